//! Neutron trunks: many networks over the one port of a server, told apart by VLAN ids.
//!
//! API: <https://docs.openstack.org/api-ref/network/v2/#trunk-networking>.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::manifest::Ref;

use super::call::{Call, Method, Service, segment};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::need::{Inputs, Material, Need, What};
use super::neutron::{self, Standard, StandardStatus, Wanted};
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal,
};

/// A trunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Trunk")]
pub struct Spec {
    /// Name in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The port that carries it: the one that is plugged into a server.
    pub port_ref: Ref,
    /// Whether it may be changed: Neutron takes no change of the subports of a trunk that is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// The ports that it carries; the whole set is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subports: Option<Vec<Subport>>,
    /// Tags; the whole set is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The project that it is made in; that of the credentials if not set. Needs an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// A port that a trunk carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "TrunkSubport")]
pub struct Subport {
    /// The port.
    pub port_ref: Ref,
    /// Its VLAN id on the trunk, 1 to 4094. With `inherit` the network's own is taken instead.
    #[serde(
        default,
        rename = "segmentationID",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 4094))]
    pub segmentation_id: Option<u16>,
    /// How its packets are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segmentation_type: Option<SegmentationType>,
}

/// How the packets of a subport are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SegmentationType {
    /// As on the subport's network; works for networks of type VLAN.
    Inherit,
    /// By the VLAN id that is given.
    Vlan,
}

/// Chooses trunks by what the API returns of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The port that carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_ref: Option<Ref>,
    /// Whether it may be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
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

/// What is known of a trunk.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What every resource of Neutron has.
    #[serde(flatten)]
    pub standard: StandardStatus,
    /// Neutron's status: `ACTIVE`, `DOWN` as long as no server uses it, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Whether it may be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// The port that carries it.
    #[serde(rename = "portID")]
    pub port_id: String,
    /// The ports that it carries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subports: Vec<SubportStatus>,
}

/// A port that a trunk carries, as it is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "TrunkSubportStatus")]
pub struct SubportStatus {
    /// The port.
    #[serde(rename = "portID")]
    pub port_id: String,
    /// Its id on the trunk.
    #[serde(rename = "segmentationID")]
    pub segmentation_id: u16,
    /// How its packets are told apart.
    pub segmentation_type: String,
}

/// A trunk as Neutron answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    #[serde(flatten)]
    standard: Standard,
    status: Option<String>,
    admin_state_up: Option<bool>,
    port_id: String,
    #[serde(default)]
    sub_ports: Vec<SubportObject>,
}

#[derive(Debug, Clone, Deserialize)]
struct SubportObject {
    port_id: String,
    segmentation_id: u16,
    segmentation_type: String,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Add a subport.
    AddSubport,
    /// Remove a subport.
    RemoveSubport,
    /// Replace the tags.
    SetTags,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddSubport => "add subport",
            Self::RemoveSubport => "remove subport",
            Self::SetTags => "set tags",
        })
    }
}

/// The kind.
#[derive(Debug)]
pub enum Trunk {}

impl Kind for Trunk {
    const NAME: &'static str = "Trunk";
    const SERVICE: Service = Service::Network;
    const COLLECTION: Collection = Collection {
        list: "trunks",
        query: &[],
        path: "trunks",
        route: "trunks/{id}",
        one: "trunk",
        many: "trunks",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::Description;
    const SINGLE: Option<&'static str> = Some("a port carries one trunk");
    const QUOTA: Option<&'static str> = Some("trunk");
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("adminStateUp", Change::Update),
        Field::new(
            "subports",
            Change::Members {
                add: Action::AddSubport,
                remove: Action::RemoveSubport,
            },
        )
        // All that the manifest sets: a subport under another id is another one.
        .by(Compare::Elements(&[])),
        Field::new("tags", Change::Action(Action::SetTags)).by(Compare::Set),
        Field::new("portRef", Change::Replace),
        Field::new("projectRef", Change::Replace),
    ];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(trunk: &Object) -> Identity {
        trunk.standard.identity()
    }

    fn health(trunk: &Object) -> Health {
        match trunk.status.as_deref() {
            // Some of its subports could not be wired.
            Some("DEGRADED") => Health::Off("DEGRADED".to_owned()),
            status => neutron::health_when_used(status),
        }
    }

    fn project(trunk: &Object, _: &Attached<'_>) -> Spec {
        let subport = |it: &SubportObject| Subport {
            port_ref: Ref::Id(it.port_id.clone()),
            segmentation_id: Some(it.segmentation_id),
            segmentation_type: (it.segmentation_type == "vlan").then_some(SegmentationType::Vlan),
        };
        Spec {
            name: Some(trunk.standard.name().to_owned()),
            description: Some(trunk.standard.text().to_owned()),
            port_ref: Ref::Id(trunk.port_id.clone()),
            admin_state_up: trunk.admin_state_up,
            subports: Some(trunk.sub_ports.iter().map(subport).collect()),
            tags: Some(trunk.standard.tags()),
            project_ref: trunk.standard.project_ref(),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.admin_state_up.take_if(|it| *it);
        let _ = spec.subports.take_if(|it| it.is_empty());
        let _ = spec.tags.take_if(|it| it.is_empty());
    }

    fn status(trunk: &Object, _: &Attached<'_>) -> Status {
        let subport = |it: &SubportObject| SubportStatus {
            port_id: it.port_id.clone(),
            segmentation_id: it.segmentation_id,
            segmentation_type: it.segmentation_type.clone(),
        };
        Status {
            standard: trunk.standard.status(),
            status: trunk.status.clone(),
            admin_state_up: trunk.admin_state_up,
            port_id: trunk.port_id.clone(),
            subports: trunk.sub_ports.iter().map(subport).collect(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut spec.project_ref, visit);
        let mut port = |pointer: String, reference: &mut Ref| {
            visit(Need {
                pointer,
                what: What::Object {
                    kind: "Port",
                    reference,
                },
            });
        };
        port("/portRef".to_owned(), &mut spec.port_ref);
        for (index, subport) in spec.subports.iter_mut().flatten().enumerate() {
            port(format!("/subports/{index}/portRef"), &mut subport.port_ref);
        }
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut filter.project_ref, visit);
        if let Some(reference) = &mut filter.port_ref {
            visit(Need {
                pointer: "/portRef".to_owned(),
                what: What::Object {
                    kind: "Port",
                    reference,
                },
            });
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let Spec {
            name,
            description,
            tags,
            ..
        } = spec;
        let mut complaints =
            neutron::check(name.as_deref(), description.as_deref(), tags.as_deref());
        let (mut ids, mut ports) = (BTreeSet::new(), vec![&spec.port_ref]);
        for (index, subport) in spec.subports.iter().flatten().enumerate() {
            let mut complain = |field: &str, message: &str| {
                let pointer = format!("/subports/{index}/{field}");
                complaints.push(Complaint::new(pointer, message));
            };
            if ports.contains(&&subport.port_ref) {
                complain("portRef", "the port is named twice");
            }
            ports.push(&subport.port_ref);
            match (subport.segmentation_type, subport.segmentation_id) {
                (None, _) => complain("segmentationType", "one of inherit and vlan must be given"),
                (Some(SegmentationType::Vlan), None) => {
                    complain("segmentationID", "a VLAN has an id");
                }
                (_, Some(0 | 4095..)) => {
                    complain("segmentationID", "an id of a VLAN is 1 to 4094");
                }
                (Some(SegmentationType::Vlan), Some(id)) if !ids.insert(id) => {
                    complain("segmentationID", "the id is given twice");
                }
                _ => {}
            }
        }
        complaints
    }

    /// Neutron takes over what is inherited, and answers it as if it had been given.
    fn fill(spec: &mut Spec, _: &Inputs) -> Result<Material, Refusal> {
        neutron::as_set(&mut spec.tags);
        for subport in spec.subports.iter_mut().flatten() {
            if subport.segmentation_type == Some(SegmentationType::Inherit) {
                subport.segmentation_type = None;
                subport.segmentation_id = None;
            }
        }
        Ok(Material::default())
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut body = neutron::newborn(birth, spec.description.as_deref());
        body.insert("port_id".to_owned(), json!(spec.port_ref.id()));
        neutron::set(&mut body, "admin_state_up", spec.admin_state_up);
        let subports: Option<Vec<Value>> = spec
            .subports
            .as_ref()
            .map(|them| them.iter().map(subport).collect());
        neutron::set(&mut body, "sub_ports", subports);
        neutron::place(&mut body, spec.project_ref.as_ref());
        neutron::post(&Self::COLLECTION, body)
    }

    fn update(spec: &Spec, trunk: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            match *field {
                "name" => neutron::set(&mut body, "name", spec.name.as_ref()),
                "description" => {
                    let text = trunk.standard.described(spec.description.as_deref());
                    body.insert("description".to_owned(), text);
                }
                "adminStateUp" => neutron::set(&mut body, "admin_state_up", spec.admin_state_up),
                _ => {}
            }
        }
        neutron::put(&Self::COLLECTION, &trunk.standard.id, body)
    }

    fn act(
        action: Action,
        element: Option<&Element>,
        spec: &Spec,
        trunk: &Object,
    ) -> Result<Call, Refusal> {
        let id = &trunk.standard.id;
        let element = || -> Result<Subport, Refusal> {
            element
                .and_then(|it| serde_json::from_value(it.clone()).ok())
                .ok_or_else(|| Refusal::new("the subport is not understood"))
        };
        match action {
            Action::AddSubport if trunk.admin_state_up == Some(false) => Err(Refusal::new(
                "Neutron takes no subports while the trunk's adminStateUp is false",
            )),
            Action::AddSubport => Ok(subports(
                "trunks/{id}/add_subports",
                format!("trunks/{}/add_subports", segment(id)),
                subport(&element()?),
            )),
            Action::RemoveSubport if trunk.admin_state_up == Some(false) => Err(Refusal::new(
                "Neutron gives no subports back while the trunk's adminStateUp is false",
            )),
            Action::RemoveSubport => Ok(subports(
                "trunks/{id}/remove_subports",
                format!("trunks/{}/remove_subports", segment(id)),
                json!({"port_id": element()?.port_ref.id()}),
            )),
            Action::SetTags => Ok(neutron::put_tags(
                &Self::COLLECTION,
                "trunks/{id}/tags",
                id,
                spec.tags.as_deref(),
            )),
        }
    }

    fn beside(spec: &Spec, trunk: &Object) -> Result<(), Refusal> {
        let wanted: Vec<_> = spec.subports.iter().flatten().collect();
        let taken = trunk.sub_ports.iter().any(|there| {
            let id = Some(there.port_id.as_str());
            wanted.iter().any(|it| it.port_ref.id() == id)
        });
        Refusal::when(taken, "the old one has the subports that it is to have")
    }

    fn brand(trunk: &Object, birth: &Birth<'_>) -> Option<Call> {
        Some(trunk.standard.brand(&Self::COLLECTION, birth))
    }

    fn matches(filter: &Filter, trunk: &Object) -> bool {
        let Filter {
            name,
            description,
            port_ref,
            admin_state_up,
            tags,
            tags_any,
            not_tags,
            not_tags_any,
            ..
        } = filter;
        trunk.standard.is(&Wanted {
            name: name.as_deref(),
            description: description.as_deref(),
            tags: tags.as_deref(),
            tags_any: tags_any.as_deref(),
            not_tags: not_tags.as_deref(),
            not_tags_any: not_tags_any.as_deref(),
        }) && port_ref
            .as_ref()
            .is_none_or(|it| it.id() == Some(&trunk.port_id))
            && admin_state_up.is_none_or(|it| Some(it) == trunk.admin_state_up)
            && neutron::is_of(
                filter.project_ref.as_ref(),
                trunk.standard.project().as_deref(),
            )
    }
}

fn subport(subport: &Subport) -> Value {
    let port = subport.port_ref.id();
    match subport.segmentation_id {
        Some(id) => {
            json!({"port_id": port, "segmentation_type": "vlan", "segmentation_id": id})
        }
        None => json!({"port_id": port, "segmentation_type": "inherit"}),
    }
}

fn subports(route: &'static str, path: String, subport: Value) -> Call {
    Call::new(Service::Network, Method::Put, route, path).json(json!({ "sub_ports": [subport] }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::erased::{Intent, Of, unclassified};
    use crate::kinds::field::{missing, surplus};
    use crate::kinds::neutron::testing::{
        body, chooses, complaints, drift, fixture, projected, request, resolved, status, unlike,
    };

    const RECORDED: &str = include_str!("testdata/trunk.json");
    const PARENT: &str = "8a2b8a3c-5490-4eb3-9970-a22195f0a089";
    const CHILD: &str = "ac6bcec4-1ad4-48ad-bde5-8dd7984480b4";

    fn with(subports: &Value) -> Value {
        json!({"name": "rec-trunk", "portRef": {"id": PARENT}, "subports": subports})
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Trunk>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_was_wanted() {
        let whole = json!({
            "name": "a", "description": "b", "adminStateUp": false, "portRef": {"id": "p"},
            "subports": [{"portRef": {"id": "s"}, "segmentationType": "vlan", "segmentationID": 7}],
            "tags": ["x"],
        });
        assert_eq!(unlike::<Trunk>(&whole, &json!({})), ["tags"]);
    }

    #[test]
    fn a_recorded_trunk_is_understood() {
        let found = fixture::<Trunk>(RECORDED);
        assert_eq!(
            found.health,
            Health::Ready,
            "DOWN means that no server uses it"
        );
        let want = with(
            &json!([{"portRef": {"id": CHILD}, "segmentationType": "vlan", "segmentationID": 100}]),
        );
        assert_eq!(drift::<Trunk>(&want, &found), []);
        let inherited = with(
            &json!([{"portRef": {"id": CHILD}, "segmentationType": "inherit", "segmentationID": 5}]),
        );
        assert_eq!(
            drift::<Trunk>(&inherited, &found),
            [],
            "what is inherited is Neutron's choice"
        );
        assert_eq!(
            status::<Trunk>(&found)["subports"],
            json!([{"portID": CHILD, "segmentationID": 100, "segmentationType": "vlan"}])
        );
        assert!(chooses::<Trunk>(
            &json!({"portRef": {"id": PARENT}, "tags": ["a"]}),
            &found
        ));
        assert!(!chooses::<Trunk>(
            &json!({"portRef": {"id": CHILD}}),
            &found
        ));
    }

    #[test]
    fn a_subport_under_another_id_is_removed_and_added() {
        let found = fixture::<Trunk>(RECORDED);
        let want = resolved::<Trunk>(&with(
            &json!([{"portRef": {"id": CHILD}, "segmentationType": "vlan", "segmentationID": 101}]),
        ));
        let by = Compare::Elements(&[]);
        let have = projected::<Trunk>(&found);
        let (too_many, lacking) = (
            surplus(by, &want["subports"], &have["subports"]),
            missing(by, &want["subports"], &have["subports"]),
        );
        assert_eq!((too_many.len(), lacking.len()), (1, 1));
        let remove = Intent::Remove("subports", too_many[0].clone());
        let call = request::<Trunk>(&remove, &want, Some(&found)).unwrap();
        assert_eq!(call.path, format!("trunks/{}/remove_subports", found.id));
        assert_eq!(body(&call), &json!({"sub_ports": [{"port_id": CHILD}]}));
        let add = Intent::Add("subports", lacking[0].clone());
        let call = request::<Trunk>(&add, &want, Some(&found)).unwrap();
        assert_eq!(
            body(&call),
            &json!({"sub_ports": [{"port_id": CHILD, "segmentation_type": "vlan", "segmentation_id": 101}]})
        );
    }

    #[test]
    fn ids_and_ports_are_used_once() {
        let one = |id: &str, number: u32| json!({"portRef": id, "segmentationType": "vlan", "segmentationID": number});
        for (subports, pointer) in [
            (
                json!([one("a", 1), one("b", 1)]),
                "/subports/1/segmentationID",
            ),
            (json!([one("a", 1), one("a", 2)]), "/subports/1/portRef"),
            (json!([one("a", 0)]), "/subports/0/segmentationID"),
            (json!([one("a", 4095)]), "/subports/0/segmentationID"),
            (json!([{"portRef": "a"}]), "/subports/0/segmentationType"),
            (
                json!([{"portRef": "a", "segmentationType": "vlan"}]),
                "/subports/0/segmentationID",
            ),
        ] {
            let spec = json!({"portRef": "parent", "subports": subports});
            assert_eq!(complaints::<Trunk>(&spec), [pointer], "{spec}");
        }
    }
}
