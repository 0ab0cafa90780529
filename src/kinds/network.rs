//! Neutron networks.
//!
//! API: <https://docs.openstack.org/api-ref/network/v2/#networks>.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::manifest::Ref;

use super::call::{Call, Service};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::need::{Inputs, Material, Need};
use super::neutron::{self, Standard, StandardStatus, Wanted};
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal,
};

/// A network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it forwards packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// Whether every project can use it; needs an administrator in most clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// Whether routers can have their gateway in it; needs an administrator in most clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<bool>,
    /// Largest packet in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 68, max = 9216))]
    pub mtu: Option<u32>,
    /// Whether ports that do not say have port security.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_security_enabled: Option<bool>,
    /// DNS domain of its ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["example.org.", ""]))]
    pub dns_domain: Option<String>,
    /// Availability zones to place its services in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [["nova"]]))]
    pub availability_zone_hints: Option<Vec<String>>,
    /// Tags; the whole set is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The project that it is made in; that of the credentials if not set. Needs an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// Chooses networks by what the API returns of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether routers can have their gateway in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<bool>,
    /// It has all of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// It has at least one of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags_any: Option<Vec<String>>,
    /// It does not have all of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_tags: Option<Vec<String>>,
    /// It has none of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_tags_any: Option<Vec<String>>,
    /// The project that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// What is known of a network.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What every resource of Neutron has.
    #[serde(flatten)]
    pub standard: StandardStatus,
    /// Neutron's status: `ACTIVE`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Whether it forwards packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// Whether every project can use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
    /// Whether routers can have their gateway in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<bool>,
    /// Largest packet in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Whether ports that do not say have port security.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_security_enabled: Option<bool>,
    /// DNS domain of its ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_domain: Option<String>,
    /// Availability zones that it was asked to be in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub availability_zone_hints: Vec<String>,
    /// Ids of its subnets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// How the provider has it, as far as the project may see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
}

/// How the provider has a network.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    /// `vxlan`, `vlan`, `flat`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_type: Option<String>,
    /// The physical network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_network: Option<String>,
    /// VLAN tag, VXLAN identifier, ...
    #[serde(rename = "segmentationID", skip_serializing_if = "Option::is_none")]
    pub segmentation_id: Option<u32>,
}

/// A network as Neutron answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    #[serde(flatten)]
    standard: Standard,
    status: Option<String>,
    admin_state_up: Option<bool>,
    shared: Option<bool>,
    #[serde(rename = "router:external")]
    external: Option<bool>,
    mtu: Option<u32>,
    port_security_enabled: Option<bool>,
    dns_domain: Option<String>,
    availability_zone_hints: Option<Vec<String>>,
    #[serde(default)]
    subnets: Vec<String>,
    #[serde(rename = "provider:network_type")]
    network_type: Option<String>,
    #[serde(rename = "provider:physical_network")]
    physical_network: Option<String>,
    #[serde(rename = "provider:segmentation_id")]
    segmentation_id: Option<u32>,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Replace the tags.
    SetTags,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetTags => "set tags",
        })
    }
}

/// The kind.
#[derive(Debug)]
pub enum Network {}

impl Kind for Network {
    const NAME: &'static str = "Network";
    const SERVICE: Service = Service::Network;
    const COLLECTION: Collection = Collection {
        list: "networks",
        query: &[],
        path: "networks",
        route: "networks/{id}",
        one: "network",
        many: "networks",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::Description;
    const ANSWERS_WHOLE: bool = true;
    const QUOTA: Option<&'static str> = Some("network");
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("adminStateUp", Change::Update),
        Field::new("shared", Change::Update),
        Field::new("external", Change::Update),
        Field::new("mtu", Change::Update),
        Field::new("portSecurityEnabled", Change::Update),
        Field::new("dnsDomain", Change::Update),
        Field::new("tags", Change::Action(Action::SetTags)).by(Compare::Set),
        Field::new("availabilityZoneHints", Change::Replace).by(Compare::Set),
        Field::new("projectRef", Change::Replace),
    ];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(network: &Object) -> Identity {
        network.standard.identity()
    }

    fn health(network: &Object) -> Health {
        neutron::health(network.status.as_deref())
    }

    fn project(network: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(network.standard.name().to_owned()),
            description: Some(network.standard.text().to_owned()),
            admin_state_up: network.admin_state_up,
            shared: network.shared,
            external: network.external,
            mtu: network.mtu,
            port_security_enabled: network.port_security_enabled,
            dns_domain: network.dns_domain.clone(),
            availability_zone_hints: network.availability_zone_hints.clone(),
            tags: Some(network.standard.tags()),
            project_ref: network.standard.project_ref(),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.admin_state_up.take_if(|it| *it);
        let _ = spec.shared.take_if(|it| !*it);
        let _ = spec.external.take_if(|it| !*it);
        let _ = spec.port_security_enabled.take_if(|it| *it);
        let _ = spec.dns_domain.take_if(|it| it.is_empty());
        let _ = spec.availability_zone_hints.take_if(|it| it.is_empty());
        let _ = spec.tags.take_if(|it| it.is_empty());
    }

    fn status(network: &Object, _: &Attached<'_>) -> Status {
        let provider = Provider {
            network_type: network.network_type.clone(),
            physical_network: network.physical_network.clone(),
            segmentation_id: network.segmentation_id,
        };
        Status {
            standard: network.standard.status(),
            status: network.status.clone(),
            admin_state_up: network.admin_state_up,
            shared: network.shared,
            external: network.external,
            mtu: network.mtu,
            port_security_enabled: network.port_security_enabled,
            dns_domain: network.dns_domain.as_deref().and_then(neutron::filled),
            availability_zone_hints: network.availability_zone_hints.clone().unwrap_or_default(),
            subnets: network.subnets.clone(),
            provider: network.network_type.is_some().then_some(provider),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut spec.project_ref, visit);
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut filter.project_ref, visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let Spec {
            name,
            description,
            tags,
            mtu,
            ..
        } = spec;
        let mut complaints =
            neutron::check(name.as_deref(), description.as_deref(), tags.as_deref());
        if mtu.is_some_and(|mtu| !(68..=9216).contains(&mtu)) {
            complaints.push(Complaint::new("/mtu", "the MTU is from 68 to 9216"));
        }
        complaints
    }

    fn fill(spec: &mut Spec, _: &Inputs) -> Result<Material, Refusal> {
        neutron::as_set(&mut spec.tags);
        // Neutron keeps it in small letters.
        if let Some(domain) = &mut spec.dns_domain {
            domain.make_ascii_lowercase();
        }
        Ok(Material::default())
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut body = neutron::newborn(birth, spec.description.as_deref());
        for field in [
            "adminStateUp",
            "shared",
            "external",
            "mtu",
            "portSecurityEnabled",
            "dnsDomain",
            "availabilityZoneHints",
        ] {
            write(&mut body, spec, field);
        }
        neutron::place(&mut body, spec.project_ref.as_ref());
        neutron::post(&Self::COLLECTION, body)
    }

    fn update(spec: &Spec, network: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            match *field {
                "description" => {
                    let text = network.standard.described(spec.description.as_deref());
                    body.insert("description".to_owned(), text);
                }
                field => write(&mut body, spec, field),
            }
        }
        neutron::put(&Self::COLLECTION, &network.standard.id, body)
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        network: &Object,
    ) -> Result<Call, Refusal> {
        match action {
            Action::SetTags => Ok(neutron::put_tags(
                &Self::COLLECTION,
                "networks/{id}/tags",
                &network.standard.id,
                spec.tags.as_deref(),
            )),
        }
    }

    fn brand(network: &Object, birth: &Birth<'_>) -> Option<Call> {
        Some(network.standard.brand(&Self::COLLECTION, birth))
    }

    fn matches(filter: &Filter, network: &Object) -> bool {
        let Filter {
            name,
            description,
            external,
            tags,
            tags_any,
            not_tags,
            not_tags_any,
            ..
        } = filter;
        let wanted = Wanted {
            name: name.as_deref(),
            description: description.as_deref(),
            tags: tags.as_deref(),
            tags_any: tags_any.as_deref(),
            not_tags: not_tags.as_deref(),
            not_tags_any: not_tags_any.as_deref(),
        };
        network.standard.is(&wanted)
            && external.is_none_or(|it| it == network.external.unwrap_or_default())
            && neutron::is_of(
                filter.project_ref.as_ref(),
                network.standard.project().as_deref(),
            )
    }
}

/// Writes a field that the spec sets under Neutron's name for it.
fn write(body: &mut Map<String, Value>, spec: &Spec, field: &str) {
    let (property, value) = match field {
        "name" => ("name", json!(spec.name)),
        "adminStateUp" => ("admin_state_up", json!(spec.admin_state_up)),
        "shared" => ("shared", json!(spec.shared)),
        "external" => ("router:external", json!(spec.external)),
        "mtu" => ("mtu", json!(spec.mtu)),
        "portSecurityEnabled" => ("port_security_enabled", json!(spec.port_security_enabled)),
        "dnsDomain" => ("dns_domain", json!(spec.dns_domain)),
        "availabilityZoneHints" => (
            "availability_zone_hints",
            json!(spec.availability_zone_hints),
        ),
        _ => return,
    };
    if !value.is_null() {
        body.insert(property.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::Method;
    use super::super::erased::{Intent, Of, unclassified};
    use super::super::neutron::testing::*;
    use super::*;

    const RECORDED: &str = include_str!("testdata/network.json");
    const PUBLIC: &str = include_str!("testdata/network-external.json");

    fn whole() -> Value {
        json!({
            "name": "blog", "description": "of the blog", "adminStateUp": false, "shared": true,
            "external": false, "mtu": 1400, "portSecurityEnabled": false,
            "dnsDomain": "Blog.example.", "availabilityZoneHints": ["b", "a"], "tags": ["x"],
        })
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Network>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_was_wanted() {
        assert_eq!(
            unlike::<Network>(&whole(), &json!({"status": "ACTIVE"})),
            ["tags"]
        );
        assert_eq!(
            unlike::<Network>(&json!({}), &json!({})),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn a_recorded_network_is_understood() {
        let found = fixture::<Network>(RECORDED);
        assert_eq!(found.health, Health::Ready);
        assert_eq!(found.name, "rec-network");
        assert_eq!(
            found.project.as_deref(),
            Some("5d1c919fd583475cb09f0dcd5342c375")
        );
        assert_eq!(
            status::<Network>(&found),
            json!({
                "name": "rec-network", "description": "of the recording", "status": "ACTIVE",
                "projectID": "5d1c919fd583475cb09f0dcd5342c375", "adminStateUp": true,
                "shared": false, "external": false, "mtu": 1450, "portSecurityEnabled": true,
                "subnets": ["8406c6eb-1a51-4952-b895-a6fdbcb8a578"], "revisionNumber": 2,
                "createdAt": "2026-11-22T10:14:23Z", "updatedAt": "2026-11-22T10:14:23Z",
            })
        );
    }

    #[test]
    fn what_is_not_set_is_no_drift_and_changes_go_in_one_request() {
        let found = fixture::<Network>(RECORDED);
        assert_eq!(drift::<Network>(&json!({}), &found), []);
        let want = json!({"description": "new", "external": true, "mtu": 1450});
        let fields: Vec<_> = drift::<Network>(&want, &found)
            .iter()
            .map(|it| it.field)
            .collect();
        assert_eq!(fields, ["description", "external"]);
        let call = request::<Network>(&Intent::Update(fields), &want, Some(&found)).unwrap();
        assert_eq!(call.method, Method::Put);
        assert_eq!(call.path, "networks/2947d296-3fb8-48a9-a057-98e0c66e1fd1");
        assert_eq!(
            body(&call),
            &json!({"network": {"description": "new", "router:external": true}})
        );
    }

    #[test]
    fn tags_have_a_request_of_their_own() {
        let found = fixture::<Network>(RECORDED);
        let want = resolved::<Network>(&json!({"tags": ["b", "a", "b"]}));
        let call = request::<Network>(&Intent::Act("tags"), &want, Some(&found)).unwrap();
        assert_eq!(
            call.path,
            "networks/2947d296-3fb8-48a9-a057-98e0c66e1fd1/tags"
        );
        assert_eq!(
            (call.method, call.route),
            (Method::Put, "networks/{id}/tags")
        );
        assert_eq!(body(&call), &json!({"tags": ["a", "b"]}));
    }

    #[test]
    fn the_external_network_is_found_by_its_filter() {
        let (inner, public) = (fixture::<Network>(RECORDED), fixture::<Network>(PUBLIC));
        let filter = json!({"external": true});
        assert!(chooses::<Network>(&filter, &public) && !chooses::<Network>(&filter, &inner));
        assert!(chooses::<Network>(
            &json!({"name": "public", "external": true}),
            &public
        ));
        assert!(!chooses::<Network>(&json!({"name": "publi"}), &public));
        assert!(!chooses::<Network>(&json!({"tags": ["x"]}), &public));
    }

    #[test]
    fn an_mtu_out_of_range_is_refused() {
        assert_eq!(complaints::<Network>(&json!({"mtu": 67})), ["/mtu"]);
        assert_eq!(
            complaints::<Network>(&json!({"mtu": 9216})),
            Vec::<String>::new()
        );
    }
}
