//! Cinder volumes.
//!
//! API: <https://docs.openstack.org/api-ref/block-storage/v3/#volumes-volumes>.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::manifest::Ref;

use super::call::{Call, Method, Microversion, Service, segment};
use super::erased::Intent;
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::marker::{KEY_PREFIX, MARKER_KEY, Marker, OBJECT_KEY};
use super::need::{Need, What};
use super::quota::{Demand, Nearby};
use super::time::utc;
use super::volume_snapshot::VolumeSnapshot;
use super::volume_type::VolumeType;
use super::{
    Attached, BLOCK_STORAGE, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace,
    Refusal,
};

#[cfg(test)]
mod tests;

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
    #[schemars(extend("examples" = ["nova"]))]
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
    pub(super) volume_type: Option<String>,
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
    updated_at: Option<String>,
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
    const ANSWERS_EARLY: bool = true;
    const ATTACHED: &'static [&'static str] = &["VolumeSnapshot"];
    // A volume with snapshots keeps its type.
    const HINDERED_BY: &'static [(&'static str, &'static str)] =
        &[("volumeTypeRef", "VolumeSnapshot")];

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
            settles: kept_from(volume),
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

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        // The zone of hosts that were given none.
        let _ = spec.availability_zone.take_if(|it| it == "nova");
        let _ = spec.metadata.take_if(|it| it.is_empty());
        // A copy names the image of what it was made from too.
        if spec.snapshot_ref.is_some() {
            (spec.source_volume_ref, spec.image_ref) = (None, None);
        }
        if spec.source_volume_ref.is_some() {
            spec.image_ref = None;
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

    /// Cinder never ends a change of the type while there are snapshots: the volume would stay
    /// `retyping`, out of which only an administrator helps.
    fn hindrance(
        field: &str,
        _: Option<&Element>,
        volume: &Object,
        attached: &Attached<'_>,
    ) -> Option<String> {
        if volume.status == "reserved" && matches!(field, "size" | "volumeTypeRef") {
            return Some(
                "the volume is reserved for a server that is shelved, Cinder changes neither its size nor its type until that runs again"
                    .to_owned(),
            );
        }
        let snapshots: Vec<String> = attached
            .of::<VolumeSnapshot>()
            .map(|(found, _)| match &*found.name {
                "" => found.id.clone(),
                name => name.to_owned(),
            })
            .collect();
        (field == "volumeTypeRef" && !snapshots.is_empty()).then(|| {
            format!(
                "a volume that has snapshots cannot take another type, Cinder would never end the change; delete them first: {}",
                snapshots.join(", ")
            )
        })
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

    fn demand(
        intent: &Intent,
        spec: &Spec,
        volume: Option<&Object>,
        nearby: &Nearby<'_>,
    ) -> Vec<Demand> {
        let wanted = spec.volume_type_ref.as_ref().and_then(Ref::id);
        let wanted = wanted.and_then(|id| nearby.get::<VolumeType>(id));
        let wanted = wanted.map(|it| it.name.as_str());
        match (intent, volume) {
            (Intent::Create, _) => {
                let mut demands = vec![take("volumes", 1), take("gigabytes", spec.size)];
                demands.push(take("per_volume_gigabytes", spec.size));
                demands.extend(of_type("volumes", 1, wanted));
                demands.extend(of_type("gigabytes", spec.size, wanted));
                demands
            }
            (Intent::Act("size"), Some(volume)) => {
                let more = spec.size.saturating_sub(volume.size);
                let mut demands = vec![take("gigabytes", more)];
                demands.push(take("per_volume_gigabytes", spec.size));
                demands.extend(of_type("gigabytes", more, volume.volume_type.as_deref()));
                demands
            }
            // Of the project as a whole it has what it takes already.
            (Intent::Act("volumeTypeRef"), Some(volume)) => {
                [("volumes", 1), ("gigabytes", volume.size)]
                    .into_iter()
                    .filter_map(|(resource, amount)| of_type(resource, amount, wanted))
                    .collect()
            }
            _ => Vec::new(),
        }
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

/// So much of a quota of Cinder.
pub(super) fn take(resource: &'static str, amount: u32) -> Demand {
    Demand::new(Service::BlockStorage, resource, amount.into())
}

/// The same of the quota that each type has beside that of all.
pub(super) fn of_type(resource: &str, amount: u32, name: Option<&str>) -> Option<Demand> {
    let resource = format!("{resource}_{}", name?);
    Some(Demand::new(Service::BlockStorage, resource, amount.into()))
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

/// From when on a reserved volume is not just being attached: a shelved server keeps its volumes
/// reserved, and attaching takes seconds.
fn kept_from(volume: &Object) -> Option<Timestamp> {
    const AFTER: SignedDuration = SignedDuration::from_mins(1);
    let since = utc(volume.updated_at.as_deref()?)?;
    (volume.status == "reserved").then(|| since.saturating_add(AFTER).ok())?
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
