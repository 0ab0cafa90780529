//! Keystone endpoints: the addresses of a service in the catalog.
//!
//! Keystone lets several be all the same; service, interface, region and address are the identity
//! here. Needs a cloud administrator.
//! API: <https://docs.openstack.org/api-ref/identity/v3/#service-catalog-and-endpoints>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::manifest::Ref;

use super::call::{Call, Service};
use super::field::{Change, Field};
use super::health::Health;
use super::keystone;
use super::need::Need;
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never, Refusal,
};

/// An address of a service. Making one needs a cloud administrator. Service, interface, region and
/// address together are its identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The service.
    pub service_ref: Ref,
    /// Whom it is for.
    pub interface: Interface,
    /// The address.
    #[schemars(extend("format" = "uri"))]
    pub url: String,
    /// The id of its region, which must exist; none if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["RegionOne"]))]
    pub region: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is shown in the catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Whom an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// Operators.
    Admin,
    /// Services of the same cloud.
    Internal,
    /// Everybody.
    Public,
}

impl Interface {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

/// Chooses an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ref: Option<Ref>,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
    /// Exact address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Exact region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// What is known of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The service.
    #[serde(rename = "serviceID")]
    pub service_id: String,
    /// Whom it is for.
    pub interface: Interface,
    /// The address.
    pub url: String,
    /// Its region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is shown in the catalog.
    pub enabled: bool,
}

/// An endpoint as Keystone answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    service_id: String,
    interface: Interface,
    url: String,
    region_id: Option<String>,
    description: Option<String>,
    #[serde(default = "enabled")]
    enabled: bool,
}

/// What an endpoint is as long as nobody says otherwise.
const fn enabled() -> bool {
    true
}

/// The kind.
#[derive(Debug)]
pub enum Endpoint {}

impl Kind for Endpoint {
    const NAME: &'static str = "Endpoint";
    const SERVICE: Service = Service::Identity;
    const COLLECTION: Collection = Collection {
        list: "endpoints",
        query: &[],
        path: "endpoints",
        route: "endpoints/{id}",
        one: "endpoint",
        many: "endpoints",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("interface", Change::Update),
        Field::new("url", Change::Update),
        Field::new("description", Change::Update),
        Field::new("enabled", Change::Update),
        // Keystone would move it, but the catalog of others would change under them.
        Field::new("serviceRef", Change::Replace),
        Field::new("region", Change::Replace),
    ];
    const NATIVE_FIELDS: &'static [&'static str] = &["/region"];
    const NATIVE_FILTERS: &'static [&'static str] = &["/region"];
    const OF_THE_CLOUD: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(endpoint: &Object) -> Identity {
        let Object {
            service_id,
            interface,
            url,
            region_id,
            ..
        } = endpoint;
        Identity {
            id: endpoint.id.clone(),
            natural_key: Some(key(service_id, *interface, region_id.as_deref(), url)),
            attached_to: vec![service_id.clone()],
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(endpoint: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            service_ref: Ref::Id(endpoint.service_id.clone()),
            interface: endpoint.interface,
            url: endpoint.url.clone(),
            region: endpoint.region_id.clone(),
            description: Some(endpoint.description.clone().unwrap_or_default()),
            enabled: Some(endpoint.enabled),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.enabled.take_if(|it| *it);
    }

    fn status(endpoint: &Object, _: &Attached<'_>) -> Status {
        Status {
            service_id: endpoint.service_id.clone(),
            interface: endpoint.interface,
            url: endpoint.url.clone(),
            region: endpoint.region_id.clone(),
            description: endpoint.description.clone().filter(|it| !it.is_empty()),
            enabled: endpoint.enabled,
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/serviceRef", "Service", Some(&mut spec.service_ref), visit);
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/serviceRef", "Service", filter.service_ref.as_mut(), visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let scheme = spec
            .url
            .split_once(':')
            .map(|(scheme, rest)| (scheme, rest.is_empty()));
        let is_scheme = |it: &str| {
            !it.is_empty()
                && it
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
        };
        match scheme {
            Some((scheme, false)) if is_scheme(scheme) => Vec::new(),
            _ => vec![Complaint::new(
                "/url",
                "an address begins with its scheme, `https:`",
            )],
        }
    }

    fn natural_key(spec: &Spec, _: &str) -> Option<String> {
        let service = spec.service_ref.id()?;
        Some(key(
            service,
            spec.interface,
            spec.region.as_deref(),
            &spec.url,
        ))
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let property = |field: &str| property(spec, field);
        keystone::post(&Self::COLLECTION, Self::FIELDS, property, birth, [])
    }

    fn update(spec: &Spec, endpoint: &Object, fields: &[&'static str]) -> Call {
        keystone::patch(&Self::COLLECTION, &endpoint.id, fields, |field| {
            property(spec, field)
        })
    }

    fn act(action: Never, _: Option<&Element>, _: &Spec, _: &Object) -> Result<Call, Refusal> {
        match action {}
    }

    /// Nowhere to write it: names are the identity in Keystone.
    fn brand(_: &Object, _: &Birth<'_>) -> Option<Call> {
        None
    }

    fn matches(filter: &Filter, endpoint: &Object) -> bool {
        keystone::refers(filter.service_ref.as_ref(), Some(&endpoint.service_id))
            && filter.interface.is_none_or(|it| it == endpoint.interface)
            && filter.url.as_ref().is_none_or(|it| *it == endpoint.url)
            && filter
                .region
                .as_ref()
                .is_none_or(|it| Some(it) == endpoint.region_id.as_ref())
    }
}

fn key(service: &str, interface: Interface, region: Option<&str>, url: &str) -> String {
    format!(
        "{service}/{}/{}/{url}",
        interface.as_str(),
        region.unwrap_or_default()
    )
}

fn property(spec: &Spec, field: &str) -> Option<(&'static str, Value)> {
    Some(match field {
        "interface" => ("interface", json!(spec.interface)),
        "url" => ("url", json!(spec.url)),
        "description" => ("description", json!(spec.description.as_ref()?)),
        "enabled" => ("enabled", json!(spec.enabled?)),
        "serviceRef" => ("service_id", json!(spec.service_ref.id()?)),
        "region" => ("region_id", json!(spec.region.as_ref()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::erased::{AnyKind, Intent, Of, unclassified};
    use super::super::keystone::testing::created_differs;
    use super::super::neutron::testing::*;
    use super::*;
    use crate::kinds::call::Method;
    use crate::manifest::Group;

    const RECORDED: &str = include_str!("testdata/endpoint.json");

    fn wanted() -> Value {
        json!({"serviceRef": {"id": "s1"}, "interface": "internal", "url": "https://cloud/x",
            "region": "RegionOne", "description": "of the tests", "enabled": false})
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Endpoint>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen() {
        assert_eq!(
            created_differs::<Endpoint>(&wanted(), &json!({})),
            [] as [&str; 0]
        );
    }

    #[test]
    fn what_it_is_and_where_are_the_identity_of_spec_and_endpoint() {
        let found = fixture::<Endpoint>(RECORDED);
        let kind = Of::<Endpoint>::NEW;
        assert_eq!(
            found.natural_key,
            kind.natural_key(&projected::<Endpoint>(&found), "")
        );
        let mut waiting = wanted();
        waiting["serviceRef"] = json!("later");
        assert_eq!(kind.natural_key(&waiting, ""), None);
        let expected = json!({"serviceID": found.attached_to[0], "interface": "public",
            "url": "http://127.0.0.1:1/sw", "region": "RegionOne",
            "description": "for a fixture", "enabled": true});
        assert_eq!(status::<Endpoint>(&found), expected);
    }

    #[test]
    fn only_what_differs_is_sent() {
        let found = fixture::<Endpoint>(RECORDED);
        let update = Intent::Update(vec!["interface", "url"]);
        let call = request::<Endpoint>(&update, &wanted(), Some(&found)).unwrap();
        assert_eq!(
            (call.method, &call.path),
            (Method::Patch, &format!("endpoints/{}", found.id))
        );
        let expected = json!({"endpoint": {"interface": "internal", "url": "https://cloud/x"}});
        assert_eq!(body(&call), &expected);
    }

    #[test]
    fn the_filter_goes_by_all_that_it_sets() {
        let found = fixture::<Endpoint>(RECORDED);
        let service = json!({"id": found.attached_to[0]});
        for (filter, chosen) in [
            (
                json!({"serviceRef": service, "interface": "public", "region": "RegionOne"}),
                true,
            ),
            (json!({"serviceRef": {"id": "other"}}), false),
            (json!({"interface": "admin"}), false),
            (json!({"url": "http://127.0.0.1:1"}), false),
        ] {
            assert_eq!(chooses::<Endpoint>(&filter, &found), chosen, "{filter}");
        }
    }

    #[test]
    fn an_address_is_one_and_a_region_is_native() {
        let with = |field: &str, value: Value| {
            let mut spec = json!({"serviceRef": "s", "interface": "public", "url": "http://x"});
            spec[field] = value;
            spec
        };
        for url in ["not a url", "http:", ":x", ""] {
            assert_eq!(
                complaints::<Endpoint>(&with("url", json!(url))),
                ["/url"],
                "{url}"
            );
        }
        assert_eq!(
            accepted::<Endpoint>(Group::Orc, &with("enabled", json!(true))),
            Ok(())
        );
        assert!(accepted::<Endpoint>(Group::Orc, &with("region", json!("r"))).is_err());
        assert_eq!(
            accepted::<Endpoint>(Group::Native, &with("region", json!("r"))),
            Ok(())
        );
        assert!(accepted::<Endpoint>(Group::Orc, &with("interface", json!("x"))).is_err());
    }
}
