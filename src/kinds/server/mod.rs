//! Nova servers.
//!
//! What a person may ask is in `spec`, what is sent in `requests`, the text for the first boot in
//! `user_data`, and what is plugged into a server in `devices`.
//! API: <https://docs.openstack.org/api-ref/compute/#servers-servers>.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{Call, Service};
use super::erased::Intent;
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::marker::{IMAGE_KEY, KEY_PREFIX, MARKER_KEY, Marker, OBJECT_KEY, USER_DATA_KEY};
use super::need::{Inputs, Material, Need};
use super::quota::{Demand, Nearby};
use super::{
    Attached, Birth, COMPUTE_READ, Collection, Complaint, Element, Identity, Kind, MarkerPlace,
    Refusal,
};
use crate::manifest::Ref;

mod devices;
mod power;
mod quota;
mod requests;
mod spec;
/// The Image object that its disk was made from, if it is still that disk.
fn image_object(server: &Object) -> Option<String> {
    let (name, id) = server.metadata.get(IMAGE_KEY)?.rsplit_once(' ')?;
    (id_in(&server.image) == Some(id.to_owned())).then(|| name.to_owned())
}

#[cfg(test)]
mod tests;
mod user_data;

pub use devices::{AttachedVolume, FixedIp, Interface};
pub use power::PowerState;
pub use spec::{BootVolume, Metadata, Network, Networks, Port, SchedulerHints, Spec, Volume};
pub use user_data::UserData;

use devices::is_first_disk;

/// Chooses servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
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
}

/// What is known of a server. As in ORC, what is empty is absent.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Nova's status: `ACTIVE`, `SHUTOFF`, ...
    pub status: String,
    /// Its host, as a name that differs from project to project.
    #[serde(rename = "hostID", skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
    /// The name of that host, for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The image that its disk was made from.
    #[serde(rename = "imageID", skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Its flavor.
    #[serde(rename = "flavorID", skip_serializing_if = "Option::is_none")]
    pub flavor_id: Option<String>,
    /// Its keypair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keypair: Option<String>,
    /// Availability zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// Whether it finds its metadata on a drive.
    pub config_drive: bool,
    /// Its network interfaces, in the order in which their ports were made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
    /// The volumes that are attached to it, the one that it boots from among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<AttachedVolume>,
    /// Metadata, ours included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<Metadata>,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A server as Nova answers it. Of one in a cell that is down only the id and the status are there.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    status: String,
    name: Option<String>,
    description: Option<String>,
    tenant_id: Option<String>,
    #[serde(rename = "OS-EXT-STS:task_state")]
    task_state: Option<String>,
    fault: Option<Fault>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    tags: Option<Vec<String>>,
    /// An empty text when it boots from a volume.
    #[serde(default)]
    image: Value,
    /// Without an id from 2.47 on.
    #[serde(default)]
    flavor: Value,
    key_name: Option<String>,
    #[serde(rename = "hostId")]
    host_id: Option<String>,
    #[serde(rename = "OS-EXT-SRV-ATTR:host")]
    host: Option<String>,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    availability_zone: Option<String>,
    /// `"True"` or an empty text.
    #[serde(default)]
    config_drive: Value,
    #[serde(rename = "os-extended-volumes:volumes_attached", default)]
    volumes_attached: Vec<VolumeId>,
    /// For administrators only.
    #[serde(rename = "OS-EXT-SRV-ATTR:root_device_name")]
    root_device: Option<String>,
    /// From 2.9 on. The reason is told from 2.73 on only.
    #[serde(default)]
    locked: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Fault {
    message: String,
}

#[derive(Debug, Clone, Deserialize)]
struct VolumeId {
    id: String,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Set metadata items.
    SetMetadata,
    /// Replace the tags.
    SetTags,
    /// Attach a volume.
    AttachVolume,
    /// Detach a volume.
    DetachVolume,
    /// Plug a port in.
    AttachPort,
    /// Unplug a port.
    DetachPort,
    /// Start, stop, pause, suspend, shelve, and back.
    SetPowerState,
    /// Give it another flavor.
    Resize,
    /// Keep what a resize made.
    ConfirmResize,
    /// Undo a resize.
    RevertResize,
    /// Make its disk anew.
    Rebuild,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetMetadata => "set metadata",
            Self::SetTags => "set tags",
            Self::AttachVolume => "attach volume",
            Self::DetachVolume => "detach volume",
            Self::AttachPort => "attach port",
            Self::DetachPort => "detach port",
            Self::SetPowerState => "change the power state",
            Self::Resize => "resize",
            Self::ConfirmResize => "confirm the resize",
            Self::RevertResize => "revert the resize",
            Self::Rebuild => "rebuild",
        })
    }
}

/// The kind.
#[derive(Debug)]
pub enum Server {}

impl Kind for Server {
    const NAME: &'static str = "Server";
    const SERVICE: Service = Service::Compute;
    const COLLECTION: Collection = Collection {
        list: "servers/detail",
        // No limit and no filter: with one, Nova leaves out the servers of cells that are down.
        query: &[],
        path: "servers",
        route: "servers/{id}",
        one: "server",
        many: "servers",
        read: Some(COMPUTE_READ),
    };
    const MARKER: MarkerPlace = MarkerPlace::Metadata;
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("metadata", Change::Action(Action::SetMetadata))
            .by(Compare::Pairs("key", "value")),
        Field::new("tags", Change::Action(Action::SetTags)).by(Compare::Set),
        // First, since what follows needs a server that runs or is stopped.
        Field::new("powerState", Change::Disrupt(Action::SetPowerState)).by(Compare::IfTold),
        Field::new(
            "ports",
            Change::Members {
                add: Action::AttachPort,
                remove: Action::DetachPort,
            },
        )
        .by(Compare::Elements(&["portRef"])),
        Field::new(
            "volumes",
            Change::Members {
                add: Action::AttachVolume,
                remove: Action::DetachVolume,
            },
        )
        // Not by the device: hypervisors choose their own.
        .by(Compare::Elements(&["volumeRef"])),
        Field::new("flavorRef", Change::Disrupt(Action::Resize)),
        Field::new("imageRef", Change::Lose(Action::Rebuild)),
        Field::new("keypairRef", Change::Replace),
        // Which volume it is can only be guessed where Nova does not tell the root device.
        Field::new("bootVolume", Change::Birth),
        Field::new("networks", Change::Birth),
        Field::new("securityGroupRefs", Change::Birth),
        // A shelved server is on no host, and so in no zone.
        Field::new("availabilityZone", Change::Birth).by(Compare::IfTold),
        Field::new("configDrive", Change::Birth),
        Field::new("schedulerHints", Change::Birth),
        Field::new("userData", Change::Birth),
    ];
    const ANSWERS_EARLY: bool = true;
    const ATTACHED: &'static [&'static str] = &["Port", "Volume"];
    const REVEALED_BY: &'static [&'static str] = &["Port"];
    const TOLD_BY: &'static [(&'static str, &'static str)] =
        &[("ports", "Port"), ("volumes", "Volume")];
    const LATER: &'static [&'static str] = &["volumes"];
    const CONFIDENTIAL: &'static [&'static str] = &[
        "/userData/inline",
        "/userData/template",
        "/userData/values/*/value",
    ];
    const NATIVE_FIELDS: &'static [&'static str] = &[
        "/description",
        "/powerState",
        "/networks",
        "/securityGroupRefs",
        "/userData/template",
        "/userData/templateFile",
        "/userData/inline",
        "/userData/file",
        "/userData/values",
        "/userData/delimiters",
    ];
    const UNTOLD: &'static [&'static str] = &[
        "user data",
        "scheduler hints",
        "the administrator's password",
    ];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(server: &Object) -> Identity {
        Identity {
            id: server.id.clone(),
            name: server.name.clone().unwrap_or_default(),
            project: server.tenant_id.clone(),
            marker: server
                .metadata
                .get(MARKER_KEY)
                .and_then(|text| Marker::parse(text)),
            ..Identity::default()
        }
    }

    fn health(server: &Object) -> Health {
        let status = server.status.as_str();
        match (status, server.task_state.as_deref()) {
            ("DELETED" | "SOFT_DELETED", _) | (_, Some("deleting" | "soft-deleting")) => {
                Health::Leaving
            }
            ("ERROR", _) => Health::Stuck {
                state: status.to_owned(),
                fault: server.fault.as_ref().map(|it| it.message.trim().to_owned()),
            },
            // It waits for a word, see `remedy`.
            ("VERIFY_RESIZE", None) => Health::Stuck {
                state: status.to_owned(),
                fault: None,
            },
            ("UNKNOWN", _) => Health::Moving("UNKNOWN: its cell is down".to_owned()),
            ("ACTIVE" | "SHUTOFF" | "PAUSED" | "SUSPENDED" | "RESCUE", Some(task))
            | ("SHELVED" | "SHELVED_OFFLOADED", Some(task)) => Health::Moving(task.to_owned()),
            ("ACTIVE", None) => Health::Ready,
            (
                "SHUTOFF" | "PAUSED" | "SUSPENDED" | "RESCUE" | "SHELVED" | "SHELVED_OFFLOADED",
                None,
            ) => Health::Off(status.to_owned()),
            _ => Health::Moving(status.to_owned()),
        }
    }

    fn project(server: &Object, attached: &Attached<'_>) -> Spec {
        let boot = devices::boot_volume(server, attached);
        let volumes = devices::volumes(server, attached)
            .into_iter()
            .filter(|volume| Some(&volume.id) != boot.as_ref())
            .map(|volume| Volume {
                volume_ref: Ref::Id(volume.id),
                device: volume.device,
            });
        let ports = devices::interfaces(server, attached)
            .into_iter()
            .map(|interface| Port {
                port_ref: Ref::Id(interface.port_id),
            });
        Spec {
            name: Some(server.name.clone().unwrap_or_default()),
            description: Some(server.description.clone().unwrap_or_default()),
            image_ref: id_in(&server.image).map(Ref::Id),
            image_name: image_object(server),
            volumes: Some(volumes.collect()),
            boot_volume: boot.map(|id| BootVolume {
                volume_ref: Ref::Id(id),
                tag: None,
            }),
            flavor_ref: flavor(server),
            keypair_ref: server.key_name.clone().map(Ref::Id),
            power_state: power::state(server),
            ports: Some(ports.collect()),
            networks: None,
            security_group_refs: None,
            availability_zone: some(server.availability_zone.as_ref()),
            config_drive: Some(has_config_drive(server)),
            metadata: Some(metadata(server, false)),
            tags: server.tags.clone(),
            scheduler_hints: None,
            user_data: server
                .metadata
                .get(USER_DATA_KEY)
                .map(|it| UserData::digest(it)),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.power_state.take_if(|it| *it == PowerState::Running);
        let _ = spec.volumes.take_if(|it| it.is_empty());
        // The zone of hosts that were given none.
        let _ = spec.availability_zone.take_if(|it| it == "nova");
        let _ = spec.config_drive.take_if(|it| !*it);
        let _ = spec.metadata.take_if(|it| it.is_empty());
        let _ = spec.tags.take_if(|it| it.is_empty());
        // A digest of ours: the text itself is not known.
        spec.user_data = None;
    }

    fn status(server: &Object, attached: &Attached<'_>) -> Status {
        Status {
            name: server.name.clone().unwrap_or_default(),
            description: server.description.clone(),
            status: server.status.clone(),
            host_id: some(server.host_id.as_ref()),
            host: some(server.host.as_ref()),
            image_id: id_in(&server.image),
            flavor_id: id_in(&server.flavor),
            keypair: server.key_name.clone(),
            availability_zone: some(server.availability_zone.as_ref()),
            config_drive: has_config_drive(server),
            interfaces: devices::interfaces(server, attached),
            volumes: devices::volumes(server, attached),
            metadata: metadata(server, true),
            tags: server.tags.clone().unwrap_or_default(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        spec.needs(visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        spec.check()
    }

    fn fill(spec: &mut Spec, inputs: &Inputs) -> Result<Material, Refusal> {
        spec.image_name = inputs.names.get("/imageRef").cloned();
        if let Some(twin) = spec.twin() {
            return Err(Refusal::new(twin));
        }
        spec.user_data
            .as_mut()
            .map_or_else(|| Ok(Material::default()), |it| it.fill(inputs))
    }

    fn demand(
        intent: &Intent,
        spec: &Spec,
        server: Option<&Object>,
        nearby: &Nearby<'_>,
    ) -> Vec<Demand> {
        quota::demand(intent, spec, server, nearby)
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        requests::create(spec, birth)
    }

    fn update(spec: &Spec, server: &Object, fields: &[&'static str]) -> Call {
        requests::update(spec, &server.id, fields)
    }

    fn act(
        action: Action,
        element: Option<&Element>,
        spec: &Spec,
        server: &Object,
    ) -> Result<Call, Refusal> {
        requests::act(action, element, spec, server)
    }

    fn interrupts(field: &str, want: &Value) -> bool {
        field != "powerState" || *want != json!(PowerState::Running)
    }

    fn is_meant(spec: &Spec, server: &Object) -> bool {
        spec.power_state.is_some() && spec.power_state == power::state(server)
    }

    fn is_same(field: &str, want: &Value, have: &Value) -> bool {
        // The image of that name was made anew: that is no other image than the one it was made of.
        field == "imageRef"
            && want["imageName"].is_string()
            && want["imageName"] == have["imageName"]
    }

    fn hindrance(
        field: &str,
        element: Option<&Element>,
        server: &Object,
        attached: &Attached<'_>,
    ) -> Option<String> {
        devices::hindrance(field, element?, server, attached)
    }

    /// Nova keeps only other users off a locked server, and not from everything: an administrator
    /// would go over the lock without noticing.
    fn lock(server: &Object) -> Option<String> {
        let unlock = || {
            format!(
                "a person has locked the server; after `openstack server unlock {}` it goes on",
                server.id
            )
        };
        server.locked.then(unlock)
    }

    fn beside(spec: &Spec, _: &Object) -> Result<(), Refusal> {
        spec.beside()
    }

    fn remedy(spec: &Spec, server: &Object) -> Option<Change<Action>> {
        power::remedy(spec, server)
    }

    fn may_remove(field: &str, element: &Element, attached: &Attached<'_>) -> bool {
        devices::may_remove(field, element, attached)
    }

    fn brand(server: &Object, birth: &Birth<'_>) -> Option<Call> {
        let marker = birth.marker.to_string();
        let metadata = json!({MARKER_KEY: marker, OBJECT_KEY: birth.object});
        Some(requests::set_metadata(&server.id, metadata))
    }

    fn matches(filter: &Filter, server: &Object) -> bool {
        let Filter {
            name,
            availability_zone,
            tags,
            tags_any,
            not_tags,
            not_tags_any,
        } = filter;
        let has = |tag: &String| server.tags.iter().flatten().any(|it| it == tag);
        name.as_ref()
            .is_none_or(|it| Some(it) == server.name.as_ref())
            && availability_zone
                .as_ref()
                .is_none_or(|it| Some(it) == server.availability_zone.as_ref())
            && tags.as_ref().is_none_or(|it| it.iter().all(has))
            && tags_any.as_ref().is_none_or(|it| it.iter().any(has))
            && !not_tags.as_ref().is_some_and(|it| it.iter().all(has))
            && !not_tags_any.as_ref().is_some_and(|it| it.iter().any(has))
    }
}

/// The flavor by its id, or by its name where that is all that is embedded.
fn flavor(server: &Object) -> Ref {
    match (
        id_in(&server.flavor),
        server.flavor["original_name"].as_str(),
    ) {
        (Some(id), _) => Ref::Id(id),
        (None, Some(name)) => Ref::Filter(json!({ "name": name })),
        (None, None) => Ref::Id("unknown".to_owned()),
    }
}

/// A text that says something: what is not so is an empty one in Nova.
fn some(text: Option<&String>) -> Option<String> {
    text.filter(|it| !it.is_empty()).cloned()
}

fn id_in(embedded: &Value) -> Option<String> {
    embedded["id"].as_str().map(str::to_owned)
}

fn has_config_drive(server: &Object) -> bool {
    match &server.config_drive {
        Value::Bool(has) => *has,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

fn metadata(server: &Object, ours_too: bool) -> Vec<Metadata> {
    server
        .metadata
        .iter()
        .filter(|(key, _)| ours_too || !key.starts_with(KEY_PREFIX))
        .map(|(key, value)| Metadata {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}
