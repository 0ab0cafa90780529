//! Cinder volume snapshots: what a volume held at one moment.
//!
//! API: <https://docs.openstack.org/api-ref/block-storage/v3/#volume-snapshots-snapshots>.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::manifest::Ref;

use super::call::{Call, Method, Service, segment};
use super::erased::Intent;
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::marker::{KEY_PREFIX, MARKER_KEY, Marker, OBJECT_KEY};
use super::need::{Need, What};
use super::quota::{Demand, Nearby};
use super::volume::{Metadata, Volume, of_type, take};
use super::{
    Attached, BLOCK_STORAGE, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace,
    Refusal,
};

/// What a volume held at one moment. ORC has no such kind: it belongs to the native group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "VolumeSnapshot")]
pub struct Spec {
    /// Name in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The volume.
    pub volume_ref: Ref,
    /// Also while the volume is attached: what the server had not written yet is missing from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// Metadata, owned key by key: keys that others set stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Vec<Metadata>>,
}

/// Chooses a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_ref: Option<Ref>,
}

/// What is known of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "VolumeSnapshotStatus")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Cinder's status: `available`, ...
    pub status: String,
    /// Size of the volume in GiB when it was taken.
    pub size: u32,
    /// The volume.
    #[serde(rename = "volumeID")]
    pub volume_id: String,
    /// When it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Metadata, ours included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<Metadata>,
}

/// A snapshot as Cinder answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: Option<String>,
    description: Option<String>,
    volume_id: String,
    status: String,
    size: u32,
    created_at: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(rename = "os-extended-snapshot-attributes:project_id")]
    project: Option<String>,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Set metadata items.
    SetMetadata,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("set metadata")
    }
}

/// The kind.
#[derive(Debug)]
pub enum VolumeSnapshot {}

impl Kind for VolumeSnapshot {
    const NAME: &'static str = "VolumeSnapshot";
    const SERVICE: Service = Service::BlockStorage;
    const COLLECTION: Collection = Collection {
        list: "snapshots/detail",
        query: &[],
        path: "snapshots",
        route: "snapshots/{id}",
        one: "snapshot",
        many: "snapshots",
        read: Some(BLOCK_STORAGE),
    };
    const MARKER: MarkerPlace = MarkerPlace::Metadata;
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("metadata", Change::Action(Action::SetMetadata))
            .by(Compare::Pairs("name", "value")),
        Field::new("volumeRef", Change::Replace),
        Field::new("force", Change::Birth),
    ];
    // The kind as a whole: every spec of it has this field.
    const NATIVE_FIELDS: &'static [&'static str] = &["/volumeRef"];
    const HOLDS_DATA: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(snapshot: &Object) -> Identity {
        Identity {
            id: snapshot.id.clone(),
            name: snapshot.name.clone().unwrap_or_default(),
            project: snapshot.project.clone(),
            marker: snapshot
                .metadata
                .get(MARKER_KEY)
                .and_then(|text| Marker::parse(text)),
            attached_to: vec![snapshot.volume_id.clone()],
            ..Identity::default()
        }
    }

    fn health(snapshot: &Object) -> Health {
        match snapshot.status.as_str() {
            "available" => Health::Ready,
            "deleting" => Health::Leaving,
            status if status.starts_with("error") => Health::Stuck {
                state: status.to_owned(),
                fault: None,
            },
            status => Health::Moving(status.to_owned()),
        }
    }

    fn project(snapshot: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(snapshot.name.clone().unwrap_or_default()),
            description: Some(snapshot.description.clone().unwrap_or_default()),
            volume_ref: Ref::Id(snapshot.volume_id.clone()),
            force: None,
            metadata: Some(metadata(snapshot, false)),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.metadata.take_if(|it| it.is_empty());
    }

    fn status(snapshot: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: snapshot.name.clone().unwrap_or_default(),
            description: snapshot.description.clone(),
            status: snapshot.status.clone(),
            size: snapshot.size,
            volume_id: snapshot.volume_id.clone(),
            created_at: snapshot.created_at.clone(),
            metadata: metadata(snapshot, true),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        visit(volume(&mut spec.volume_ref));
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        if let Some(reference) = &mut filter.volume_ref {
            visit(volume(reference));
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        super::volume::check_metadata(spec.metadata.as_deref())
    }

    /// Not its size: whether snapshots count as gigabytes is the operator's choice
    /// (`no_snapshot_gb_quota`), and no API tells it.
    fn demand(
        intent: &Intent,
        spec: &Spec,
        _: Option<&Object>,
        nearby: &Nearby<'_>,
    ) -> Vec<Demand> {
        if *intent != Intent::Create {
            return Vec::new();
        }
        let volume = spec.volume_ref.id().and_then(|id| nearby.get::<Volume>(id));
        let name = volume.and_then(|it| it.volume_type.as_deref());
        let mut demands = vec![take("snapshots", 1)];
        demands.extend(of_type("snapshots", 1, name));
        demands
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut metadata = pairs(spec);
        metadata.insert(MARKER_KEY.to_owned(), json!(birth.marker.to_string()));
        metadata.insert(OBJECT_KEY.to_owned(), json!(birth.object));
        let mut snapshot = Map::new();
        snapshot.insert("name".to_owned(), json!(birth.name));
        snapshot.insert("volume_id".to_owned(), json!(spec.volume_ref.id()));
        snapshot.insert("metadata".to_owned(), Value::Object(metadata));
        if let Some(description) = &spec.description {
            snapshot.insert("description".to_owned(), json!(description));
        }
        if let Some(force) = spec.force {
            snapshot.insert("force".to_owned(), json!(force));
        }
        Call::new(Self::SERVICE, Method::Post, "snapshots", "snapshots")
            .at(Some(BLOCK_STORAGE))
            .json(json!({ "snapshot": snapshot }))
    }

    fn update(spec: &Spec, snapshot: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            let value = match *field {
                "name" => json!(spec.name),
                "description" => json!(spec.description),
                _ => continue,
            };
            body.insert((*field).to_owned(), value);
        }
        let path = format!("snapshots/{}", segment(&snapshot.id));
        Call::new(Self::SERVICE, Method::Put, "snapshots/{id}", path)
            .at(Some(BLOCK_STORAGE))
            .json(json!({ "snapshot": body }))
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        snapshot: &Object,
    ) -> Result<Call, Refusal> {
        let Action::SetMetadata = action;
        Ok(set_metadata(&snapshot.id, Value::Object(pairs(spec))))
    }

    fn brand(snapshot: &Object, birth: &Birth<'_>) -> Option<Call> {
        let marker = birth.marker.to_string();
        let metadata = json!({MARKER_KEY: marker, OBJECT_KEY: birth.object});
        Some(set_metadata(&snapshot.id, metadata))
    }

    fn matches(filter: &Filter, snapshot: &Object) -> bool {
        let Filter {
            name,
            description,
            volume_ref,
        } = filter;
        name.as_ref()
            .is_none_or(|it| Some(it) == snapshot.name.as_ref())
            && description
                .as_ref()
                .is_none_or(|it| Some(it) == snapshot.description.as_ref())
            && volume_ref
                .as_ref()
                .is_none_or(|it| it.id() == Some(&snapshot.volume_id))
    }
}

fn volume(reference: &mut Ref) -> Need<'_> {
    Need {
        pointer: "/volumeRef".to_owned(),
        what: What::Object {
            kind: "Volume",
            reference,
        },
    }
}

/// Adds to a snapshot's metadata; what is there under other keys stays.
fn set_metadata(id: &str, metadata: Value) -> Call {
    const ROUTE: &str = "snapshots/{id}/metadata";
    let path = format!("snapshots/{}/metadata", segment(id));
    Call::new(Service::BlockStorage, Method::Post, ROUTE, path)
        .at(Some(BLOCK_STORAGE))
        .json(json!({ "metadata": metadata }))
}

fn metadata(snapshot: &Object, ours_too: bool) -> Vec<Metadata> {
    snapshot
        .metadata
        .iter()
        .filter(|(name, _)| ours_too || !name.starts_with(KEY_PREFIX))
        .map(|(name, value)| Metadata {
            name: name.clone(),
            value: value.clone(),
        })
        .collect()
}

fn pairs(spec: &Spec) -> Map<String, Value> {
    spec.metadata
        .iter()
        .flatten()
        .map(|it| (it.name.clone(), json!(it.value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::erased::{Intent, Of, unclassified};
    use crate::kinds::neutron::testing::{
        accepted, body, chooses, complaints, drift, fixture, request, status, unlike,
    };
    use crate::manifest::Group;
    use crate::manifest::problem::Code;

    const RECORDED: &str = include_str!("testdata/volume-snapshot.json");
    const VOLUME: &str = "fbda4cdc-6b04-4811-98ca-4911bf05424c";

    #[test]
    fn every_field_is_classified() {
        assert_eq!(
            unclassified(&Of::<VolumeSnapshot>::NEW),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_is_created_is_what_was_wanted() {
        let whole = json!({
            "name": "a", "description": "b", "volumeRef": {"id": "v"}, "force": true,
            "metadata": [{"name": "k", "value": "w"}],
        });
        let answer = json!({"status": "creating", "size": 1});
        assert_eq!(unlike::<VolumeSnapshot>(&whole, &answer), ["force"]);
    }

    #[test]
    fn a_recorded_snapshot_is_understood() {
        let found = fixture::<VolumeSnapshot>(RECORDED);
        assert_eq!(found.health, Health::Ready);
        assert!(found.project.is_some());
        let want = json!({
            "name": "rec-snapshot", "description": "d", "volumeRef": {"id": VOLUME},
            "metadata": [{"name": "a", "value": "b"}],
        });
        assert_eq!(drift::<VolumeSnapshot>(&want, &found), []);
        assert_eq!(status::<VolumeSnapshot>(&found)["volumeID"], VOLUME);
        assert!(chooses::<VolumeSnapshot>(
            &json!({"volumeRef": {"id": VOLUME}}),
            &found
        ));
        assert!(!chooses::<VolumeSnapshot>(&json!({"name": "rec"}), &found));
    }

    #[test]
    fn metadata_of_others_stays() {
        let found = fixture::<VolumeSnapshot>(RECORDED);
        let want = json!({"volumeRef": {"id": VOLUME}, "metadata": [{"name": "c", "value": "d"}]});
        let call =
            request::<VolumeSnapshot>(&Intent::Act("metadata"), &want, Some(&found)).unwrap();
        assert_eq!(
            call.method,
            Method::Post,
            "PUT would remove what others set"
        );
        assert_eq!(body(&call), &json!({"metadata": {"c": "d"}}));
        let ours = json!({"volumeRef": "v", "metadata": [{"name": MARKER_KEY, "value": ""}]});
        assert_eq!(complaints::<VolumeSnapshot>(&ours), ["/metadata/0/name"]);
    }

    #[test]
    fn it_belongs_to_the_native_group() {
        let spec = json!({"volumeRef": "data"});
        assert_eq!(accepted::<VolumeSnapshot>(Group::Native, &spec), Ok(()));
        assert_eq!(
            accepted::<VolumeSnapshot>(Group::Orc, &spec),
            Err(vec![Code::NativeField])
        );
    }

    #[test]
    fn every_state_means_something() {
        for (status, health) in [
            ("available", Health::Ready),
            ("creating", Health::Moving("creating".to_owned())),
            ("backing-up", Health::Moving("backing-up".to_owned())),
            ("deleting", Health::Leaving),
            (
                "error_deleting",
                Health::Stuck {
                    state: "error_deleting".to_owned(),
                    fault: None,
                },
            ),
        ] {
            let mut object: Object = serde_json::from_str(RECORDED).unwrap();
            object.status = status.to_owned();
            assert_eq!(VolumeSnapshot::health(&object), health);
        }
    }
}
