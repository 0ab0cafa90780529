//! What a person may ask of a server, and what is wrong with it although its types are right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kinds::marker::KEY_PREFIX;
use crate::kinds::need::{Need, What};
use crate::kinds::{Complaint, Refusal};
use crate::manifest::Ref;

use super::power::PowerState;
use super::user_data::UserData;

/// A server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Server")]
pub struct Spec {
    /// Name in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The image that its disk is made from; this or `bootVolume`. Another one is a rebuild, which
    /// loses what is on the disk; the same
    /// Image object made anew under another id is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<Ref>,
    /// The name of the Image object behind `imageRef`, once the spec is filled. Not for manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub image_name: Option<String>,
    /// The volume that it boots from; this or `imageRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_volume: Option<BootVolume>,
    /// Its size. Another one is a resize, which is confirmed by itself.
    pub flavor_ref: Ref,
    /// Whether it runs. Without the field that is nobody's business here: one that is stopped stays
    /// stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_state: Option<PowerState>,
    /// The public key that is put into it when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keypair_ref: Option<Ref>,
    /// Its network interfaces, as ports of their own; this or `networks`. A port that is no longer
    /// named is unplugged if this daemon made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<Port>>,
    /// Networks in which Nova makes ports when it makes the server; this or `ports`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Networks>,
    /// Security groups of the ports that Nova makes; only with `networks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group_refs: Option<Vec<Ref>>,
    /// Volumes that are attached to it once it runs. One that is no longer named is detached if
    /// this daemon made it; without the field, all stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<Volume>>,
    /// Availability zone; chosen by Nova if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["nova"]))]
    pub availability_zone: Option<String>,
    /// Whether it finds its metadata on a drive, beside the metadata service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_drive: Option<bool>,
    /// Metadata, owned key by key: keys that others set stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Vec<Metadata>>,
    /// Tags; the whole set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Where it is placed, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_hints: Option<SchedulerHints>,
    /// What it is told when it boots for the first time. Another text later is reported, or has the
    /// server made anew: `lifecycle.userData`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserData>,
}

/// A volume to boot from. It outlives the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ServerBootVolume")]
pub struct BootVolume {
    /// The volume.
    pub volume_ref: Ref,
    /// A word by which the server finds the device in its metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// A port that is plugged into the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ServerPort")]
pub struct Port {
    /// The port.
    pub port_ref: Ref,
}

/// Networks in which Nova makes ports.
#[derive(Debug, Clone, PartialEq)]
pub enum Networks {
    /// The one that the project can use, or one that is made for it.
    Auto,
    /// None.
    None,
    /// These, in this order.
    List(Vec<Network>),
}

/// A network in which Nova makes a port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ServerNetwork")]
pub struct Network {
    /// The network.
    pub network_ref: Ref,
    /// An address in it; chosen by Neutron if not set.
    #[serde(default, rename = "fixedIP", skip_serializing_if = "Option::is_none")]
    pub fixed_ip: Option<IpAddr>,
}

/// A volume that is attached to the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ServerVolume")]
pub struct Volume {
    /// The volume.
    pub volume_ref: Ref,
    /// Where it is to be attached: `/dev/vdb`. Hypervisors may choose otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/dev/vdb", "/dev/vdc"]))]
    pub device: Option<String>,
}

/// One metadata item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServerMetadata")]
pub struct Metadata {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// Where a server is placed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchedulerHints {
    /// As the policy of this group says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_group_ref: Option<Ref>,
    /// On another host than each of these servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub different_host_server_refs: Option<Vec<Ref>>,
    /// On the host of one of these servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_host_server_refs: Option<Vec<Ref>>,
    /// A condition in the scheduler's own language, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// In this cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_cell: Option<String>,
    /// In none of these cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub different_cell: Option<Vec<String>>,
    /// On a host with an address in this network: `192.0.2.1/24`.
    #[serde(
        default,
        rename = "buildNearHostIP",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("examples" = ["192.0.2.1/24", "2001:db8::1/64"]))]
    pub build_near_host_ip: Option<String>,
    /// Hints of filters that only this cloud has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("propertyNames" = {"examples": ["reservation"]}))]
    pub additional_properties: Option<BTreeMap<String, String>>,
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::None => serializer.serialize_str("none"),
            Self::List(networks) => networks.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Networks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("auto, none or a list of networks")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Networks, E> {
                match word {
                    "auto" => Ok(Networks::Auto),
                    "none" => Ok(Networks::None),
                    _ => Err(E::custom(format_args!(
                        "neither auto nor none; networks stand in a list: [{{networkRef: {word}}}]"
                    ))),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Networks, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Networks::List)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Networks {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ServerNetworks".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let list = generator.subschema_for::<Vec<Network>>();
        schemars::json_schema!({"anyOf": [{"type": "string", "enum": ["auto", "none"]}, list]})
    }
}

impl Spec {
    /// Visits everything that it needs from outside.
    pub(super) fn needs(&mut self, visit: &mut dyn FnMut(Need<'_>)) {
        let mut object = |pointer: String, kind, reference: &mut Ref| {
            visit(Need {
                pointer,
                what: What::Object { kind, reference },
            });
        };
        if let Some(reference) = &mut self.image_ref {
            object("/imageRef".to_owned(), "Image", reference);
        }
        if let Some(boot) = &mut self.boot_volume {
            object(
                "/bootVolume/volumeRef".to_owned(),
                "Volume",
                &mut boot.volume_ref,
            );
        }
        object("/flavorRef".to_owned(), "Flavor", &mut self.flavor_ref);
        if let Some(reference) = &mut self.keypair_ref {
            object("/keypairRef".to_owned(), "KeyPair", reference);
        }
        for (index, port) in self.ports.iter_mut().flatten().enumerate() {
            object(
                format!("/ports/{index}/portRef"),
                "Port",
                &mut port.port_ref,
            );
        }
        if let Some(Networks::List(networks)) = &mut self.networks {
            for (index, network) in networks.iter_mut().enumerate() {
                let pointer = format!("/networks/{index}/networkRef");
                object(pointer, "Network", &mut network.network_ref);
            }
        }
        for (index, reference) in self.security_group_refs.iter_mut().flatten().enumerate() {
            object(
                format!("/securityGroupRefs/{index}"),
                "SecurityGroup",
                reference,
            );
        }
        for (index, volume) in self.volumes.iter_mut().flatten().enumerate() {
            object(
                format!("/volumes/{index}/volumeRef"),
                "Volume",
                &mut volume.volume_ref,
            );
        }
        if let Some(hints) = &mut self.scheduler_hints {
            if let Some(reference) = &mut hints.server_group_ref {
                let pointer = "/schedulerHints/serverGroupRef".to_owned();
                object(pointer, "ServerGroup", reference);
            }
            for (field, references) in [
                (
                    "differentHostServerRefs",
                    &mut hints.different_host_server_refs,
                ),
                ("sameHostServerRefs", &mut hints.same_host_server_refs),
            ] {
                for (index, reference) in references.iter_mut().flatten().enumerate() {
                    object(
                        format!("/schedulerHints/{field}/{index}"),
                        "Server",
                        reference,
                    );
                }
            }
        }
        if let Some(user_data) = &self.user_data {
            user_data.needs(visit);
        }
    }

    /// What is wrong with it.
    pub(super) fn check(&self) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        match (&self.image_ref, &self.boot_volume) {
            (Some(_), Some(_)) => complaints.push(Complaint::new(
                "/bootVolume",
                "imageRef and bootVolume are mutually exclusive",
            )),
            (None, None) => complaints.push(
                Complaint::new("", "either imageRef or bootVolume must be specified")
                    .hint("imageRef: debian, or bootVolume: {volumeRef: ...}"),
            ),
            _ => {}
        }
        if self.image_name.is_some() {
            complaints.push(Complaint::new("/imageName", "unknown field"));
        }
        let is_odd = |name: &&String| name.trim() != **name || name.chars().any(char::is_control);
        if self.name.as_ref().filter(is_odd).is_some() {
            let why = "Nova takes printable characters, with no space at either end";
            complaints.push(Complaint::new("/name", why));
        }
        self.check_networks(&mut complaints);
        self.check_volumes(&mut complaints);
        self.check_metadata(&mut complaints);
        if let Some(near) = self
            .scheduler_hints
            .as_ref()
            .and_then(|it| it.build_near_host_ip.as_ref())
            && near.parse::<ipnet::IpNet>().is_err()
        {
            complaints.push(Complaint::new(
                "/schedulerHints/buildNearHostIP",
                "this is no address with a prefix such as 192.0.2.1/24",
            ));
        }
        if let Some(user_data) = &self.user_data {
            user_data.check(&mut complaints);
        }
        complaints
    }

    /// Ports, volumes and fixed addresses are one server's at a time.
    pub(super) fn beside(&self) -> Result<(), Refusal> {
        let ports = self.ports.iter().flatten().next().is_some();
        Refusal::when(ports, "the old one has the ports that it is to have")?;
        let volumes = self.volumes.iter().flatten().next().is_some() || self.boot_volume.is_some();
        Refusal::when(volumes, "the old one has the volumes that it is to have")?;
        let fixed = match &self.networks {
            Some(Networks::List(networks)) => networks.iter().any(|it| it.fixed_ip.is_some()),
            _ => false,
        };
        Refusal::when(fixed, "the old one has the addresses that it is to have")
    }

    fn check_networks(&self, complaints: &mut Vec<Complaint>) {
        match (&self.ports, &self.networks) {
            (Some(_), Some(_)) => {
                complaints.push(Complaint::new(
                    "/networks",
                    "ports and networks exclude each other",
                ));
            }
            (None, None) => complaints.push(
                Complaint::new("", "one of ports and networks must be given")
                    .hint("networks: auto takes the network that the project has"),
            ),
            _ => {}
        }
        if self.security_group_refs.is_some()
            && !matches!(self.networks, Some(Networks::List(_) | Networks::Auto))
        {
            complaints.push(
                Complaint::new(
                    "/securityGroupRefs",
                    "Nova gives these only to ports that it makes",
                )
                .hint("give them to the ports, by their own securityGroupRefs"),
            );
        }
        let ports = self.ports.iter().flatten().map(|it| &it.port_ref);
        twice(
            ports,
            |index| format!("/ports/{index}/portRef"),
            "port",
            complaints,
        );
    }

    /// Once references are ids: two names, or a name and a filter, may mean the same volume or port.
    pub(super) fn twin(&self) -> Option<String> {
        let ports = self.ports.iter().flatten().map(|it| &it.port_ref);
        let volumes = self.volumes.iter().flatten().map(|it| &it.volume_ref);
        let boot = self.boot_volume.as_ref().map(|it| &it.volume_ref);
        let mut twins = Vec::new();
        let ports = ports.filter(|it| it.id().is_some());
        twice(ports, |_| String::new(), "port", &mut twins);
        let volumes = boot.into_iter().chain(volumes);
        let volumes = volumes.filter(|it| it.id().is_some());
        twice(volumes, |_| String::new(), "volume", &mut twins);
        twins.pop().map(|it| it.message)
    }

    fn check_volumes(&self, complaints: &mut Vec<Complaint>) {
        // The boot volume comes first, so that the complaint is about the other one.
        let boot = self.boot_volume.as_ref().map(|it| &it.volume_ref);
        let volumes: Vec<&Ref> = boot
            .into_iter()
            .chain(self.volumes.iter().flatten().map(|it| &it.volume_ref))
            .collect();
        let offset = usize::from(boot.is_some());
        let pointer = |index: usize| format!("/volumes/{}/volumeRef", index.saturating_sub(offset));
        twice(volumes, pointer, "volume", complaints);
        let mut devices = BTreeSet::new();
        for (index, volume) in self.volumes.iter().flatten().enumerate() {
            let Some(device) = &volume.device else {
                continue;
            };
            let message = if !device.starts_with("/dev/") || device.len() == "/dev/".len() {
                "a device begins with /dev/, such as /dev/vdb"
            } else if super::is_first_disk(device) {
                "the first disk is the one that the server boots from"
            } else if !devices.insert(device) {
                "the device is named twice"
            } else {
                continue;
            };
            complaints.push(Complaint::new(format!("/volumes/{index}/device"), message));
        }
    }

    fn check_metadata(&self, complaints: &mut Vec<Complaint>) {
        for (index, Metadata { key, value }) in self.metadata.iter().flatten().enumerate() {
            let (field, message) = if key.starts_with(KEY_PREFIX) {
                (
                    "key",
                    format!("metadata keys that begin with `{KEY_PREFIX}` are the daemon's own"),
                )
            } else if key.is_empty() || key.len() > 255 || !key.chars().all(is_key) {
                (
                    "key",
                    "a key is 1 to 255 letters, digits, spaces and `-_:.`".to_owned(),
                )
            } else if value.len() > 255 {
                ("value", "a value has at most 255 characters".to_owned())
            } else {
                continue;
            };
            complaints.push(Complaint::new(
                format!("/metadata/{index}/{field}"),
                message,
            ));
        }
        for (index, tag) in self.tags.iter().flatten().enumerate() {
            if tag.is_empty() || tag.chars().count() > 60 || tag.contains(['/', ',']) {
                complaints.push(Complaint::new(
                    format!("/tags/{index}"),
                    "a tag has 1 to 60 characters and neither `/` nor `,`",
                ));
            }
        }
    }
}

const fn is_key(character: char) -> bool {
    matches!(character, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | ':' | '.' | ' ')
}

fn twice<'a>(
    references: impl IntoIterator<Item = &'a Ref>,
    pointer: impl Fn(usize) -> String,
    noun: &str,
    complaints: &mut Vec<Complaint>,
) {
    let mut seen: Vec<&Ref> = Vec::new();
    for (index, reference) in references.into_iter().enumerate() {
        if seen.contains(&reference) {
            complaints.push(
                Complaint::new(pointer(index), format!("the {noun} is named twice"))
                    .hint("remove one of them"),
            );
        }
        seen.push(reference);
    }
}
