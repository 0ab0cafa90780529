//! Keystone services: the entries of the catalog, without their addresses.
//!
//! Keystone lets several have the same type and name, which are the identity here: two of them are
//! an ambiguity that a person ends. Needs a cloud administrator.
//! API: <https://docs.openstack.org/api-ref/identity/v3/#service-catalog-and-endpoints>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{self, Call};
use super::field::{Change, Field};
use super::health::Health;
use super::keystone;
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never, Refusal,
};

/// An entry of the catalog. Making one needs a cloud administrator. It is deleted only when it has no
/// endpoints, since Keystone would delete them too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Its name; the object's own name if not set. Type and name together are its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its type: `compute`, `image`, ...
    #[serde(rename = "type")]
    pub service_type: String,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is shown in the catalog; ORC's default, `true`, is the one here.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

/// As in ORC.
const fn enabled() -> bool {
    true
}

/// Chooses a service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
}

/// What is known of a service.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub service_type: String,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is shown in the catalog.
    pub enabled: bool,
}

/// A service as Keystone answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(rename = "type")]
    service_type: String,
    description: Option<String>,
    #[serde(default = "enabled")]
    enabled: bool,
}

/// The kind.
#[derive(Debug)]
pub enum Service {}

impl Kind for Service {
    const NAME: &'static str = "Service";
    const SERVICE: call::Service = call::Service::Identity;
    const COLLECTION: Collection = Collection {
        list: "services",
        query: &[],
        path: "services",
        route: "services/{id}",
        one: "service",
        many: "services",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("name", Change::Update),
        Field::new("type", Change::Update),
        Field::new("description", Change::Update),
        Field::new("enabled", Change::Update),
    ];
    const CASCADE: &'static [&'static str] = &["Endpoint"];
    const OF_THE_CLOUD: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(service: &Object) -> Identity {
        let name = service.name.clone().unwrap_or_default();
        Identity {
            id: service.id.clone(),
            natural_key: Some(keystone::natural_key(&service.service_type, &name)),
            name,
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(service: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(service.name.clone().unwrap_or_default()),
            service_type: service.service_type.clone(),
            description: Some(service.description.clone().unwrap_or_default()),
            enabled: service.enabled,
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
    }

    fn status(service: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: service.name.clone().filter(|it| !it.is_empty()),
            service_type: service.service_type.clone(),
            description: service.description.clone().filter(|it| !it.is_empty()),
            enabled: service.enabled,
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let name = keystone::check("/name", spec.name.as_deref(), 255);
        let service_type = keystone::check("/type", Some(&spec.service_type), 255);
        name.into_iter().chain(service_type).collect()
    }

    fn natural_key(spec: &Spec, name: &str) -> Option<String> {
        let name = spec.name.as_deref().unwrap_or(name);
        Some(keystone::natural_key(&spec.service_type, name))
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let property = |field: &str| property(spec, field);
        keystone::post(&Self::COLLECTION, Self::FIELDS, property, birth, [])
    }

    fn update(spec: &Spec, service: &Object, fields: &[&'static str]) -> Call {
        keystone::patch(&Self::COLLECTION, &service.id, fields, |field| {
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

    fn matches(filter: &Filter, service: &Object) -> bool {
        filter
            .name
            .as_ref()
            .is_none_or(|it| Some(it) == service.name.as_ref())
            && filter
                .service_type
                .as_ref()
                .is_none_or(|it| *it == service.service_type)
    }
}

fn property(spec: &Spec, field: &str) -> Option<(&'static str, Value)> {
    Some(match field {
        "name" => ("name", json!(spec.name.as_ref()?)),
        "type" => ("type", json!(spec.service_type)),
        "description" => ("description", json!(spec.description.as_ref()?)),
        "enabled" => ("enabled", json!(spec.enabled)),
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

    const RECORDED: &str = include_str!("testdata/service.json");

    fn wanted() -> Value {
        json!({"name": "s", "type": "t", "description": "of the tests", "enabled": false})
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Service>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen() {
        assert_eq!(
            created_differs::<Service>(&wanted(), &json!({})),
            [] as [&str; 0]
        );
    }

    #[test]
    fn it_is_enabled_if_nobody_says_otherwise() {
        let call = request::<Service>(&Intent::Create, &json!({"type": "t"}), None).unwrap();
        let service = json!({"name": "called", "type": "t", "enabled": true});
        assert_eq!(body(&call), &json!({ "service": service }));
    }

    #[test]
    fn type_and_name_are_the_identity_of_spec_and_service() {
        let found = fixture::<Service>(RECORDED);
        let kind = Of::<Service>::NEW;
        assert_eq!(found.natural_key.as_deref(), Some("sw-type/sw-service"));
        assert_eq!(
            found.natural_key,
            kind.natural_key(&projected::<Service>(&found), "called")
        );
        let expected = json!({"name": "sw-service", "type": "sw-type",
            "description": "for a fixture", "enabled": true});
        assert_eq!(status::<Service>(&found), expected);
    }

    #[test]
    fn a_service_without_a_name_is_understood() {
        let nameless = json!({"id": "1", "type": "t", "name": "", "enabled": true});
        let found = look::<Service>(nameless);
        assert_eq!(
            status::<Service>(&found),
            json!({"type": "t", "enabled": true})
        );
    }

    #[test]
    fn only_what_differs_is_sent() {
        let found = fixture::<Service>(RECORDED);
        let update = Intent::Update(vec!["type", "enabled"]);
        let call = request::<Service>(&update, &wanted(), Some(&found)).unwrap();
        assert_eq!(
            (call.method, &call.path),
            (Method::Patch, &format!("services/{}", found.id))
        );
        assert_eq!(
            body(&call),
            &json!({"service": {"type": "t", "enabled": false}})
        );
    }

    #[test]
    fn the_filter_goes_by_all_that_it_sets() {
        let found = fixture::<Service>(RECORDED);
        for (filter, chosen) in [
            (json!({"name": "sw-service", "type": "sw-type"}), true),
            (json!({"type": "sw"}), false),
            (json!({"name": "other"}), false),
        ] {
            assert_eq!(chooses::<Service>(&filter, &found), chosen, "{filter}");
        }
    }

    #[test]
    fn type_and_name_are_not_empty() {
        assert_eq!(
            complaints::<Service>(&json!({"type": "", "name": ""})),
            ["/name", "/type"]
        );
        assert_eq!(complaints::<Service>(&wanted()), [] as [&str; 0]);
    }
}
