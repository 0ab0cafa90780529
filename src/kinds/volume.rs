//! Cinder volumes.
//!
//! API: <https://docs.openstack.org/api-ref/block-storage/v3/#volumes-volumes>.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::manifest::Ref;

use super::call::{Call, Method, Microversion, Service, segment};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::marker::{KEY_PREFIX, MARKER_KEY, Marker, OBJECT_KEY};
use super::need::{Need, What};
use super::{
    Attached, BLOCK_STORAGE, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace,
    Refusal,
};

/// Volumes tell the id of their type from 3.63 on.
const READ: Microversion = Microversion {
    want: (3, 63),
    ..BLOCK_STORAGE
};

/// A block storage volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Size in GiB, at least 1. It can grow, never shrink.
    #[schemars(range(min = 1))]
    pub size: u32,
    /// The volume type; the cloud's default if not set. It can be changed as long as the volume need
    /// not move to other storage for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_type_ref: Option<Ref>,
    /// Availability zone; the cloud's default if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// An image to copy onto the volume when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<Ref>,
    /// A snapshot to copy onto the volume when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_ref: Option<Ref>,
    /// Another volume to copy when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_volume_ref: Option<Ref>,
    /// Metadata, owned key by key: keys that others set stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Vec<Metadata>>,
}

/// One metadata item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The key.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Chooses volumes by what the API returns of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Size in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
}

/// What is known of a volume.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Description, without our marker.
    pub description: Option<String>,
    /// Size in GiB.
    pub size: u32,
    /// Cinder's status: `available`, `in-use`, ...
    pub status: String,
    /// Availability zone.
    pub availability_zone: Option<String>,
    /// Name of the volume type.
    pub volume_type: Option<String>,
    /// Whether a server can boot from it.
    pub bootable: bool,
    /// Where it is attached.
    pub attachments: Vec<AttachmentStatus>,
    /// Metadata, ours included.
    pub metadata: Vec<Metadata>,
}

/// Where a volume is attached.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentStatus {
    /// The server.
    #[serde(rename = "serverID")]
    pub server_id: String,
    /// Device in the server, as far as the hypervisor tells.
    pub device: Option<String>,
}

/// A volume as Cinder answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: Option<String>,
    description: Option<String>,
    size: u32,
    pub(super) status: String,
    availability_zone: Option<String>,
    volume_type: Option<String>,
    /// Told from 3.63 on.
    volume_type_id: Option<String>,
    snapshot_id: Option<String>,
    source_volid: Option<String>,
    #[serde(default)]
    pub(super) bootable: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) attachments: Vec<Attachment>,
    #[serde(default)]
    volume_image_metadata: Option<BTreeMap<String, Value>>,
    #[serde(rename = "os-vol-tenant-attr:tenant_id")]
    project: Option<String>,
}

/// One attachment in a volume's answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Attachment {
    pub(super) server_id: String,
    pub(super) device: Option<String>,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `os-extend`.
    Extend,
    /// `os-retype`.
    Retype,
    /// Set metadata items.
    SetMetadata,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Extend => "extend",
            Self::Retype => "retype",
            Self::SetMetadata => "set metadata",
        })
    }
}

/// The kind.
#[derive(Debug)]
pub enum Volume {}

impl Kind for Volume {
    const NAME: &'static str = "Volume";
    const SERVICE: Service = Service::BlockStorage;
    const COLLECTION: Collection = Collection {
        list: "volumes/detail",
        query: &[],
        path: "volumes",
        route: "volumes/{id}",
        one: "volume",
        many: "volumes",
        read: Some(READ),
    };
    const MARKER: MarkerPlace = MarkerPlace::Metadata;
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("size", Change::Action(Action::Extend)),
        Field::new("metadata", Change::Action(Action::SetMetadata))
            .by(Compare::Pairs("name", "value")),
        // Older clouds answer the type's name, not its id: there a difference cannot be seen.
        Field::new("volumeTypeRef", Change::Action(Action::Retype)).by(Compare::IfTold),
        Field::new("availabilityZone", Change::Birth),
        Field::new("imageRef", Change::Birth),
        Field::new("snapshotRef", Change::Birth),
        Field::new("sourceVolumeRef", Change::Birth),
    ];
    const NATIVE_FIELDS: &'static [&'static str] = &["/snapshotRef", "/sourceVolumeRef"];
    const HOLDS_DATA: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(volume: &Object) -> Identity {
        Identity {
            id: volume.id.clone(),
            name: volume.name.clone().unwrap_or_default(),
            project: volume.project.clone(),
            marker: volume
                .metadata
                .get(MARKER_KEY)
                .and_then(|text| Marker::parse(text)),
            attached_to: volume
                .attachments
                .iter()
                .map(|it| it.server_id.clone())
                .collect(),
            ..Identity::default()
        }
    }

    fn health(volume: &Object) -> Health {
        match volume.status.as_str() {
            "available" | "in-use" => Health::Ready,
            "deleting" => Health::Leaving,
            status if status.starts_with("error") => Health::Stuck {
                state: status.to_owned(),
                fault: None,
            },
            status => Health::Moving(status.to_owned()),
        }
    }

    fn project(volume: &Object, _: &Attached<'_>) -> Spec {
        let image = volume
            .volume_image_metadata
            .as_ref()
            .and_then(|image| image.get("image_id"));
        Spec {
            name: Some(volume.name.clone().unwrap_or_default()),
            description: Some(volume.description.clone().unwrap_or_default()),
            size: volume.size,
            volume_type_ref: volume.volume_type_id.clone().map(Ref::Id),
            availability_zone: volume.availability_zone.clone(),
            image_ref: image
                .and_then(Value::as_str)
                .map(|id| Ref::Id(id.to_owned())),
            snapshot_ref: volume.snapshot_id.clone().map(Ref::Id),
            source_volume_ref: volume.source_volid.clone().map(Ref::Id),
            metadata: Some(metadata(volume, false)),
        }
    }

    fn status(volume: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: volume.name.clone().unwrap_or_default(),
            description: volume.description.clone(),
            size: volume.size,
            status: volume.status.clone(),
            availability_zone: volume.availability_zone.clone(),
            volume_type: volume.volume_type.clone(),
            bootable: volume.bootable == "true",
            attachments: volume
                .attachments
                .iter()
                .map(|it| AttachmentStatus {
                    server_id: it.server_id.clone(),
                    device: it.device.clone(),
                })
                .collect(),
            metadata: metadata(volume, true),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        for (pointer, kind, reference) in [
            ("/volumeTypeRef", "VolumeType", &mut spec.volume_type_ref),
            ("/imageRef", "Image", &mut spec.image_ref),
            ("/snapshotRef", "VolumeSnapshot", &mut spec.snapshot_ref),
            ("/sourceVolumeRef", "Volume", &mut spec.source_volume_ref),
        ] {
            if let Some(reference) = reference {
                visit(Need {
                    pointer: pointer.to_owned(),
                    what: What::Object { kind, reference },
                });
            }
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        if spec.size == 0 {
            complaints.push(Complaint::new("/size", "a volume has at least 1 GiB"));
        }
        let sources = [
            ("/imageRef", &spec.image_ref),
            ("/snapshotRef", &spec.snapshot_ref),
            ("/sourceVolumeRef", &spec.source_volume_ref),
        ];
        let given = sources.iter().filter(|(_, reference)| reference.is_some());
        for (pointer, _) in given.skip(1) {
            let message = "imageRef, snapshotRef and sourceVolumeRef exclude each other";
            complaints.push(Complaint::new(*pointer, message));
        }
        complaints.extend(check_metadata(spec.metadata.as_deref()));
        complaints
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut volume = Map::new();
        volume.insert("name".to_owned(), json!(birth.name));
        volume.insert("size".to_owned(), json!(spec.size));
        let mut metadata: Map<String, Value> = pairs(spec.metadata.as_deref());
        metadata.insert(MARKER_KEY.to_owned(), json!(birth.marker.to_string()));
        metadata.insert(OBJECT_KEY.to_owned(), json!(birth.object));
        volume.insert("metadata".to_owned(), Value::Object(metadata));
        for (key, value) in [
            ("description", spec.description.as_deref()),
            ("availability_zone", spec.availability_zone.as_deref()),
            (
                "volume_type",
                spec.volume_type_ref.as_ref().and_then(Ref::id),
            ),
            ("imageRef", spec.image_ref.as_ref().and_then(Ref::id)),
            ("snapshot_id", spec.snapshot_ref.as_ref().and_then(Ref::id)),
            (
                "source_volid",
                spec.source_volume_ref.as_ref().and_then(Ref::id),
            ),
        ] {
            if let Some(value) = value {
                volume.insert(key.to_owned(), json!(value));
            }
        }
        Call::new(Self::SERVICE, Method::Post, "volumes", "volumes")
            .at(Some(BLOCK_STORAGE))
            .json(json!({ "volume": volume }))
    }

    fn update(spec: &Spec, volume: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            let value = match *field {
                "name" => json!(spec.name),
                "description" => json!(spec.description),
                _ => continue,
            };
            body.insert((*field).to_owned(), value);
        }
        let path = format!("volumes/{}", segment(&volume.id));
        Call::new(Self::SERVICE, Method::Put, "volumes/{id}", path)
            .at(Some(BLOCK_STORAGE))
            .json(json!({ "volume": body }))
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        volume: &Object,
    ) -> Result<Call, Refusal> {
        let id = segment(&volume.id);
        match action {
            Action::Extend if spec.size < volume.size => Err(Refusal::new(format!(
                "a volume cannot shrink: {} GiB wanted, {} GiB there",
                spec.size, volume.size
            ))),
            Action::Extend => {
                // Extending an attached volume came with 3.42.
                let floor = if volume.status == "in-use" {
                    (3, 42)
                } else {
                    (3, 0)
                };
                let at = Microversion {
                    floor,
                    ..BLOCK_STORAGE
                };
                Ok(Call::new(
                    Self::SERVICE,
                    Method::Post,
                    "volumes/{id}/action",
                    format!("volumes/{id}/action"),
                )
                .at(Some(at))
                .json(json!({"os-extend": {"new_size": spec.size}})))
            }
            // Never onto other storage: copying a volume takes hours and may interrupt its server.
            Action::Retype => {
                let wanted = spec.volume_type_ref.as_ref().and_then(Ref::id);
                let wanted = wanted.ok_or_else(|| Refusal::new("the volume type is not known"))?;
                const ROUTE: &str = "volumes/{id}/action";
                Ok(Call::new(
                    Self::SERVICE,
                    Method::Post,
                    ROUTE,
                    format!("volumes/{id}/action"),
                )
                .at(Some(BLOCK_STORAGE))
                .json(json!({
                    "os-retype": {"new_type": wanted, "migration_policy": "never"}
                })))
            }
            Action::SetMetadata => Ok(Call::new(
                Self::SERVICE,
                Method::Post,
                "volumes/{id}/metadata",
                format!("volumes/{id}/metadata"),
            )
            .at(Some(BLOCK_STORAGE))
            .json(json!({ "metadata": pairs(spec.metadata.as_deref()) }))),
        }
    }

    fn brand(volume: &Object, birth: &Birth<'_>) -> Option<Call> {
        let path = format!("volumes/{}/metadata", segment(&volume.id));
        let marker = birth.marker.to_string();
        Some(
            Call::new(Self::SERVICE, Method::Post, "volumes/{id}/metadata", path)
                .at(Some(BLOCK_STORAGE))
                .json(json!({"metadata": {MARKER_KEY: marker, OBJECT_KEY: birth.object}})),
        )
    }

    fn matches(filter: &Filter, volume: &Object) -> bool {
        let Filter {
            name,
            description,
            size,
            availability_zone,
        } = filter;
        name.as_ref()
            .is_none_or(|it| Some(it) == volume.name.as_ref())
            && description
                .as_ref()
                .is_none_or(|it| Some(it) == volume.description.as_ref())
            && size.is_none_or(|it| it == volume.size)
            && availability_zone
                .as_ref()
                .is_none_or(|it| Some(it) == volume.availability_zone.as_ref())
    }
}

/// What is wrong with metadata of Cinder.
pub(super) fn check_metadata(metadata: Option<&[Metadata]>) -> Vec<Complaint> {
    let items = metadata.unwrap_or_default().iter().enumerate();
    let complaint = |index: usize| {
        Complaint::new(
            format!("/metadata/{index}/name"),
            format!("metadata keys that begin with `{KEY_PREFIX}` are the daemon's own"),
        )
    };
    items
        .filter(|(_, item)| item.name.starts_with(KEY_PREFIX))
        .map(|(index, _)| complaint(index))
        .collect()
}

fn metadata(volume: &Object, ours_too: bool) -> Vec<Metadata> {
    volume
        .metadata
        .iter()
        .filter(|(name, _)| ours_too || !name.starts_with(KEY_PREFIX))
        .map(|(name, value)| Metadata {
            name: name.clone(),
            value: value.clone(),
        })
        .collect()
}

fn pairs(metadata: Option<&[Metadata]>) -> Map<String, Value> {
    metadata
        .unwrap_or_default()
        .iter()
        .map(|it| (it.name.clone(), json!(it.value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::call::Body;
    use crate::kinds::erased::{AnyKind, Of, unclassified};
    use crate::kinds::field::diff;
    use crate::kinds::need::Material;
    use crate::kinds::testing::birth;

    fn recorded(text: &str) -> Object {
        serde_json::from_str(text).unwrap()
    }

    fn available() -> Object {
        recorded(include_str!("testdata/volume.json"))
    }

    fn in_use() -> Object {
        recorded(include_str!("testdata/volume-in-use.json"))
    }

    fn spec() -> Spec {
        serde_json::from_value(json!({
            "name": "data", "description": "d", "size": 5, "availabilityZone": "nova",
            "metadata": [{"name": "role", "value": "database"}]
        }))
        .unwrap()
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Volume>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen() {
        let mut spec = spec();
        spec.image_ref = Some(Ref::Id("i".to_owned()));
        spec.volume_type_ref = Some(Ref::Id("t".to_owned()));
        let material = Material::default();
        let birth = birth("data", &material);
        let Body::Json(mut body) = Volume::create(&spec, &birth).body else {
            panic!("no JSON")
        };
        let mut answer = body["volume"].take();
        assert_eq!(answer["volume_type"], "t");
        answer["id"] = json!("1");
        answer["status"] = json!("available");
        answer["volume_type_id"] = answer["volume_type"].clone();
        answer["volume_image_metadata"] = json!({"image_id": answer["imageRef"]});
        let found = Of::<Volume>::NEW.look(answer).unwrap();
        assert_eq!(found.marker, Some(birth.marker));
        let seen: Spec =
            serde_json::from_value(Of::<Volume>::NEW.project(&found, &Attached::default()))
                .unwrap();
        assert_eq!(seen, spec);
    }

    #[test]
    fn a_copy_tells_of_what() {
        for (field, property) in [
            ("snapshotRef", "snapshot_id"),
            ("sourceVolumeRef", "source_volid"),
        ] {
            let mut value = json!({"size": 1});
            value[field] = json!({"id": "x"});
            let spec: Spec = serde_json::from_value(value).unwrap();
            let material = Material::default();
            let Body::Json(body) = Volume::create(&spec, &birth("data", &material)).body else {
                panic!("no JSON")
            };
            assert_eq!(body["volume"][property], "x");
            let mut answer = body["volume"].clone();
            answer["id"] = json!("1");
            answer["status"] = json!("creating");
            let object: Object = serde_json::from_value(answer).unwrap();
            let seen = serde_json::to_value(Volume::project(&object, &Attached::default()));
            assert_eq!(seen.unwrap()[field], json!({"id": "x"}));
        }
        let both = json!({"size": 1, "imageRef": "i", "snapshotRef": "s", "sourceVolumeRef": "v"});
        let both: Spec = serde_json::from_value(both).unwrap();
        let pointers: Vec<String> = Volume::check(&both)
            .into_iter()
            .map(|it| it.pointer)
            .collect();
        assert_eq!(pointers, ["/snapshotRef", "/sourceVolumeRef"]);
    }

    #[test]
    fn another_type_is_a_retype_where_the_cloud_tells_the_type() {
        let want = json!({"size": 5, "volumeTypeRef": {"id": "other"}});
        let differences = |volume: &Object| {
            let have = serde_json::to_value(Volume::project(volume, &Attached::default())).unwrap();
            diff(&Of::<Volume>::NEW.rows(), &want, &have)
        };
        assert_eq!(
            differences(&available()),
            [],
            "before 3.63 nothing can be said"
        );
        let typed = recorded(include_str!("testdata/volume-typed.json"));
        let fields: Vec<_> = differences(&Object {
            size: 5,
            ..typed.clone()
        })
        .iter()
        .map(|it| it.field)
        .collect();
        assert_eq!(fields, ["volumeTypeRef"]);
        let spec: Spec = serde_json::from_value(want.clone()).unwrap();
        let call = Volume::act(Action::Retype, None, &spec, &typed).unwrap();
        assert_eq!(
            call.body,
            Body::Json(json!({"os-retype": {"new_type": "other", "migration_policy": "never"}}))
        );
    }

    #[test]
    fn a_volume_without_a_description_has_an_empty_one() {
        let volume = Object {
            description: None,
            ..available()
        };
        let want = json!({"size": 5, "description": ""});
        let have = serde_json::to_value(Volume::project(&volume, &Attached::default())).unwrap();
        assert_eq!(diff(&Of::<Volume>::NEW.rows(), &want, &have), []);
    }

    #[test]
    fn a_recorded_volume_tells_where_it_is_attached() {
        let status = Volume::status(&in_use(), &Attached::default());
        assert_eq!(
            (status.size, status.volume_type.as_deref()),
            (5, Some("lvmdriver-1"))
        );
        assert_eq!(status.attachments[0].device.as_deref(), Some("/dev/vdb"));
        let identity = Volume::identity(&in_use());
        assert_eq!(
            identity.attached_to,
            ["01f0709f-8223-4a4c-ae41-bafa6816f5b1"]
        );
        assert_eq!(
            identity.project.as_deref(),
            Some("5d1c919fd583475cb09f0dcd5342c375")
        );
        assert_eq!(
            Volume::identity(&available()).attached_to,
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_state_means_something() {
        for (status, health) in [
            ("available", Health::Ready),
            ("in-use", Health::Ready),
            ("creating", Health::Moving("creating".to_owned())),
            ("downloading", Health::Moving("downloading".to_owned())),
            ("reserved", Health::Moving("reserved".to_owned())),
            ("extending", Health::Moving("extending".to_owned())),
            ("deleting", Health::Leaving),
            (
                "error",
                Health::Stuck {
                    state: "error".to_owned(),
                    fault: None,
                },
            ),
            (
                "error_deleting",
                Health::Stuck {
                    state: "error_deleting".to_owned(),
                    fault: None,
                },
            ),
        ] {
            let volume = Object {
                status: status.to_owned(),
                ..available()
            };
            assert_eq!(Volume::health(&volume), health, "{status}");
        }
        let creating = recorded(include_str!("testdata/volume-creating.json"));
        assert_eq!(
            Volume::health(&creating),
            Health::Moving("creating".to_owned())
        );
    }

    #[test]
    fn it_grows_attached_only_where_that_is_possible_and_never_shrinks() {
        let act = |size, volume: &Object| {
            Volume::act(Action::Extend, None, &Spec { size, ..spec() }, volume)
        };
        let call = act(6, &available()).unwrap();
        assert_eq!(
            call.path,
            "volumes/6373b955-c971-420d-ba42-4be73e427809/action"
        );
        assert_eq!(call.body, Body::Json(json!({"os-extend": {"new_size": 6}})));
        assert_eq!(call.microversion.unwrap().floor, (3, 0));
        assert_eq!(
            act(6, &in_use()).unwrap().microversion.unwrap().floor,
            (3, 42)
        );
        let refusal = act(4, &available()).unwrap_err();
        assert_eq!(
            refusal.message,
            "a volume cannot shrink: 4 GiB wanted, 5 GiB there"
        );
    }

    #[test]
    fn only_what_differs_is_sent() {
        let call = Volume::update(&spec(), &available(), &["description"]);
        assert_eq!(
            call.body,
            Body::Json(json!({"volume": {"description": "d"}}))
        );
        let call = Volume::act(Action::SetMetadata, None, &spec(), &available()).unwrap();
        assert_eq!(
            call.method,
            Method::Post,
            "PUT would remove what others set"
        );
        assert_eq!(
            call.body,
            Body::Json(json!({"metadata": {"role": "database"}}))
        );
    }

    #[test]
    fn the_filter_goes_by_all_that_it_sets() {
        for (filter, matches) in [
            (json!({"name": "rec-volume"}), true),
            (json!({"name": "rec"}), false),
            (json!({"size": 5, "availabilityZone": "nova"}), true),
            (json!({"size": 6, "availabilityZone": "nova"}), false),
            (
                json!({"description": "backup volume of mysql server."}),
                true,
            ),
            (json!({"description": "backup"}), false),
        ] {
            let filter: Filter = serde_json::from_value(filter).unwrap();
            assert_eq!(
                Volume::matches(&filter, &available()),
                matches,
                "{filter:?}"
            );
        }
    }

    #[test]
    fn sizes_of_nothing_and_keys_of_ours_are_refused() {
        let metadata = vec![Metadata {
            name: MARKER_KEY.to_owned(),
            value: String::new(),
        }];
        let spec = Spec {
            size: 0,
            metadata: Some(metadata),
            ..spec()
        };
        let pointers: Vec<String> = Volume::check(&spec)
            .into_iter()
            .map(|it| it.pointer)
            .collect();
        assert_eq!(pointers, ["/size", "/metadata/0/name"]);
    }
}
