//! Creation of servers: everything that is refused before the 202.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::json::{Object, boolean, integer, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Event, World};
use super::server::{Block, Server, Step};
use super::{Caller, ServerEvent, check_name, invalid};

const FIELDS: &[&str] = &[
    "name",
    "flavorRef",
    "imageRef",
    "networks",
    "block_device_mapping",
    "block_device_mapping_v2",
    "key_name",
    "security_groups",
    "user_data",
    "metadata",
    "tags",
    "availability_zone",
    "config_drive",
    "description",
    "adminPass",
    "OS-DCF:diskConfig",
    "accessIPv4",
    "accessIPv6",
    "min_count",
    "max_count",
    "return_reservation_id",
    "personality",
    "host",
    "hypervisor_hostname",
    "hostname",
    "trusted_image_certificates",
    "os:scheduler_hints",
    "OS-SCH-HNT:scheduler_hints",
];
/// Length of `user_data` as it is sent: base64.
const USER_DATA_MAX: usize = 65_535;

impl World {
    pub(super) fn create_server(&mut self, request: &Request, who: Caller<'_>) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let wanted = body
            .get("server")
            .and_then(Value::as_object)
            .ok_or_else(|| invalid("None", &body, "'server' is a required property"))?;
        check_schema(wanted, who.minor)?;
        let hints = ["os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"]
            .iter()
            .find_map(|n| body.get(*n))
            .cloned();
        let flavor = self
            .flavor(text(wanted, "flavorRef").map_or("", |f| f.rsplit('/').next().unwrap_or(f)))
            .map_err(|refusal| Refusal::new(400, refusal.message))?
            .clone();
        let key_name = text(wanted, "key_name").map(str::to_owned);
        if key_name
            .as_ref()
            .is_some_and(|key| !self.has_keypair(&who.account.user_id, key))
        {
            return Err(Refusal::new(400, "Invalid key_name provided."));
        }
        let zone = self.checked_zone(text(wanted, "availability_zone"))?;
        let image = text(wanted, "imageRef")
            .filter(|i| !i.is_empty())
            .map(|i| i.rsplit('/').next().unwrap_or(i).to_owned());
        let mut blocks = self.checked_blocks(wanted, who)?;
        let boots_from_volume = blocks.iter().any(|b| b.boot_index == Some(0));
        match &image {
            Some(image) => self.check_image(who, image, &flavor, boots_from_volume)?,
            None if !boots_from_volume => {
                return Err(Refusal::new(400, "Missing imageRef attribute"));
            }
            None => {}
        }
        let nics = self.checked_nics(wanted, who)?;
        let new_ports = nics.iter().filter(|nic| nic.port.is_none()).count() as i64;
        let room = self.network_room(&who.account.project_id, "port");
        if new_ports > 0 && room.is_some_and(|room| room < new_ports) {
            return Err(Refusal::new(403, "Maximum number of ports exceeded"));
        }
        let groups = self.checked_server_groups(wanted, who)?;
        let count = wanted
            .get("min_count")
            .and_then(integer)
            .unwrap_or(1)
            .max(1);
        self.check_compute_quota(&who.account.project_id, count, flavor.vcpus, flavor.ram)?;
        if let Some(group) = hints.as_ref().and_then(|h| h["group"].as_str())
            && !self.compute.groups.contains_key(group)
        {
            return Err(Refusal::new(
                400,
                format!("Instance group {group} could not be found."),
            ));
        }
        let id = self.new_uuid();
        self.reserve_blocks(&id, &mut blocks)?;
        let name = text(wanted, "name").unwrap_or("").to_owned();
        let metadata = wanted.get("metadata").and_then(Value::as_object);
        let server = Server {
            id: id.clone(),
            sequence: self.next_sequence(),
            hostname: text(wanted, "hostname").map_or_else(|| hostname(&name), str::to_owned),
            name,
            description: text(wanted, "description").map(str::to_owned),
            project_id: who.account.project_id.clone(),
            user_id: who.account.user_id.clone(),
            vm_state: "building",
            task_state: Some("scheduling"),
            power_state: 0,
            flavor,
            other_flavor: None,
            image_properties: self.properties_of(image.as_deref()),
            image: image.filter(|_| !boots_from_volume),
            shelved_image: None,
            key_name,
            user_data: text(wanted, "user_data").map(str::to_owned),
            metadata: strings(metadata),
            tags: texts(wanted.get("tags")),
            scheduled_zone: zone.clone(),
            pinned_zone: zone,
            config_drive: wanted
                .get("config_drive")
                .and_then(boolean)
                .unwrap_or(false),
            hints: hints.clone().unwrap_or_else(|| json!({})),
            groups_asked: groups.clone(),
            nics,
            blocks,
            fault: None,
            locked: false,
            locked_reason: None,
            access: (
                text(wanted, "accessIPv4").unwrap_or("").into(),
                text(wanted, "accessIPv6").unwrap_or("").into(),
            ),
            created: self.now,
            updated: self.now,
            launched: None,
            deleted: None,
            operation: 1,
            history: vec![("create".to_owned(), self.now)],
        };
        self.compute.servers.insert(id.clone(), server);
        if let Some(group) = hints
            .as_ref()
            .and_then(|h| h["group"].as_str())
            .and_then(|g| self.compute.groups.get_mut(g))
        {
            group.members.push(id.clone());
        }
        self.after(
            500,
            Event::Server(
                id.clone(),
                ServerEvent {
                    operation: 1,
                    step: Step::Network,
                },
            ),
        );
        let password = text(wanted, "adminPass")
            .map_or_else(|| self.new_hex()[..12].to_owned(), str::to_owned);
        let shown: Vec<Value> = if groups.is_empty() {
            vec![json!({"name": "default"})]
        } else {
            groups.iter().map(|g| json!({"name": g})).collect()
        };
        let links = self.compute_links("servers", &id);
        let location = links[0]["href"].as_str().unwrap_or("").to_owned();
        let answer = json!({"server": {"id": id, "links": links, "OS-DCF:diskConfig": "MANUAL", "security_groups": shown,
            "adminPass": password}});
        Ok(Response::json(202, answer).with("Location", location))
    }

    pub(super) fn check_image(
        &self,
        who: Caller<'_>,
        id: &str,
        flavor: &super::flavors::Flavor,
        from_volume: bool,
    ) -> Result<(), Refusal> {
        let image = self
            .image_shown(who.account, id)
            .map_err(|_| Refusal::new(400, "Can not find requested image"))?;
        if image.status != "active" {
            return Err(Refusal::new(400, format!("Image {id} is not active.")));
        }
        let body = image.body();
        if flavor.ram < body["min_ram"].as_i64().unwrap_or(0) {
            return Err(Refusal::new(
                400,
                "Flavor's memory is too small for requested image.",
            ));
        }
        if from_volume {
            return Ok(());
        }
        if flavor.disk == 0 {
            return Err(Refusal::new(
                403,
                "Only volume-backed servers are allowed for flavors with zero disk.",
            ));
        }
        let (room, need) = (
            flavor.disk << 30,
            i64::try_from(image.size.unwrap_or(0)).unwrap_or(i64::MAX),
        );
        if need > room {
            return Err(Refusal::new(
                400,
                format!(
                    "Flavor's disk is too small for requested image. Flavor disk is {room} bytes, image is {need} bytes."
                ),
            ));
        }
        if flavor.disk < image.min_disk {
            return Err(Refusal::new(
                400,
                format!(
                    "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is {room} bytes, \
                 minimum size is {} bytes.",
                    image.min_disk << 30
                ),
            ));
        }
        Ok(())
    }

    fn checked_zone(&self, zone: Option<&str>) -> Result<Option<String>, Refusal> {
        match zone {
            None => Ok(None),
            Some(zone) if zone == "nova" || zone.starts_with("nova:") => {
                Ok(Some("nova".to_owned()))
            }
            Some(_) => Err(Refusal::new(
                400,
                "The requested availability zone is not available",
            )),
        }
    }

    fn checked_blocks(&mut self, wanted: &Object, who: Caller<'_>) -> Result<Vec<Block>, Refusal> {
        let mut blocks = Vec::new();
        for given in wanted
            .get("block_device_mapping_v2")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let Some(given) = given.as_object() else {
                continue;
            };
            let source = text(given, "source_type").unwrap_or("volume").to_owned();
            let local = text(given, "destination_type") == Some("local")
                || (source == "image" && text(given, "destination_type").is_none());
            if local {
                continue; // the root disk of the image, or swap and ephemeral disks, which are no volumes
            }
            let uuid = text(given, "uuid").map(str::to_owned);
            let size = given.get("volume_size").and_then(integer);
            let invalid_bdm =
                |why: String| Refusal::new(400, format!("Block Device Mapping is Invalid: {why}"));
            match (source.as_str(), &uuid) {
                ("volume", Some(id)) => {
                    let volume = self
                        .volume_shown(who.account, id)
                        .map_err(|_| invalid_bdm(format!("failed to get volume {id}.")))?;
                    let is_first = given.get("boot_index").and_then(integer) == Some(0);
                    if is_first && !volume.bootable {
                        let message = format!("Block Device {id} is not bootable.");
                        return Err(Refusal::new(400, message));
                    }
                }
                ("image", Some(id)) => {
                    self.image_shown(who.account, id)
                        .map_err(|_| invalid_bdm(format!("failed to get image {id}.")))?;
                    if size.is_none() {
                        return Err(invalid_bdm("Images with destination_type 'volume' need to have a non-zero size specified".into()));
                    }
                }
                ("snapshot", Some(_)) => {}
                ("blank", _) if size.is_some() => {}
                ("blank", _) => return Err(invalid_bdm(
                    "Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size"
                        .into(),
                )),
                (source, None) => {
                    return Err(invalid(
                        "block_device_mapping_v2",
                        &json!(given),
                        &format!("Missing device UUID for source {source}."),
                    ));
                }
                (source, Some(_)) => {
                    return Err(invalid(
                        "source_type",
                        &json!(source),
                        &format!(
                            "'{source}' is not one of ['volume', 'image', 'snapshot', 'blank']"
                        ),
                    ));
                }
            }
            blocks.push(Block {
                bdm_id: self.new_uuid(),
                volume: uuid.clone().filter(|_| source == "volume"),
                source,
                source_id: uuid,
                size,
                volume_type: text(given, "volume_type")
                    .filter(|_| who.minor >= 67)
                    .map(str::to_owned),
                attachment: None,
                device: text(given, "device_name").map(str::to_owned),
                boot_index: given.get("boot_index").and_then(integer),
                delete_on_termination: given
                    .get("delete_on_termination")
                    .and_then(boolean)
                    .unwrap_or(false),
                tag: text(given, "tag").map(str::to_owned),
                attached: false,
            });
        }
        let has_image = text(wanted, "imageRef").is_some_and(|i| !i.is_empty());
        let mut used: Vec<String> = blocks.iter().filter_map(|b| b.device.clone()).collect();
        if has_image && !blocks.iter().any(|b| b.boot_index == Some(0)) {
            used.push("/dev/vda".to_owned());
        }
        for block in blocks.iter_mut().filter(|b| b.device.is_none()) {
            let first = if block.boot_index == Some(0) {
                b'a'
            } else {
                b'b'
            };
            let device = (first..=b'z')
                .map(|l| format!("/dev/vd{}", l as char))
                .find(|d| !used.contains(d));
            used.extend(device.clone());
            block.device = device;
        }
        Ok(blocks)
    }

    /// Claims the volumes at once: this is what makes two servers from one volume impossible.
    fn reserve_blocks(&mut self, server: &str, blocks: &mut [Block]) -> Result<(), Refusal> {
        let mut claimed: Vec<(String, String)> = Vec::new();
        for block in blocks {
            let Some(volume) = block.volume.clone() else {
                continue;
            };
            match self.reserve_volume(&volume, server, block.device.as_deref().unwrap_or("")) {
                Ok(attachment) => {
                    claimed.push((volume, attachment.clone()));
                    block.attachment = Some(attachment);
                }
                Err(refusal) => {
                    for (volume, attachment) in claimed {
                        self.release_volume(&volume, &attachment);
                    }
                    return Err(Refusal::new(
                        400,
                        format!(
                            "Block Device Mapping is Invalid: failed to get volume {volume}. ({})",
                            refusal.message
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

fn check_schema(wanted: &Object, minor: u32) -> Result<(), Refusal> {
    let whole = json!(wanted);
    for name in ["name", "flavorRef"] {
        if !wanted.contains_key(name) {
            return Err(invalid(
                "server",
                &whole,
                &format!("'{name}' is a required property"),
            ));
        }
    }
    if minor >= 37 && !wanted.contains_key("networks") {
        return Err(invalid(
            "server",
            &whole,
            "'networks' is a required property",
        ));
    }
    let newer = |name: &str| match name {
        "tags" => minor < 52,
        "description" => minor < 19,
        "hostname" => minor < 90,
        "trusted_image_certificates" => minor < 63,
        "host" | "hypervisor_hostname" => minor < 74,
        "personality" => minor >= 57,
        _ => false,
    };
    if let Some(name) = wanted
        .keys()
        .find(|n| !FIELDS.contains(&n.as_str()) || newer(n))
    {
        let why = format!("Additional properties are not allowed ('{name}' was unexpected)");
        return Err(invalid("server", &whole, &why));
    }
    let name = wanted.get("name").and_then(Value::as_str).unwrap_or("");
    check_name(name)?;
    if let Some(data) = wanted.get("user_data").filter(|d| !d.is_null()) {
        let data = data.as_str().unwrap_or("");
        if data.len() > USER_DATA_MAX {
            return Err(invalid(
                "user_data",
                &json!(data),
                &format!("'{data}' is too long"),
            ));
        }
        if STANDARD.decode(data.replace(['\n', '\r'], "")).is_err() {
            return Err(invalid(
                "user_data",
                &json!(data),
                &format!("'{data}' is not a 'base64'"),
            ));
        }
    }
    if let Some(metadata) = wanted.get("metadata") {
        super::metadata::check_metadata(metadata)?;
    }
    for tag in wanted
        .get("tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        super::metadata::check_tag(tag.as_str().unwrap_or(""))?;
    }
    Ok(())
}

/// A host name as Nova makes it of a name.
pub(super) fn hostname(name: &str) -> String {
    let mut clean: String = name
        .chars()
        .filter_map(|c| match c {
            ' ' | '_' | '.' => Some('-'),
            c if c.is_ascii_alphanumeric() || c == '-' => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    clean.truncate(63);
    clean.trim_matches('-').to_owned()
}

pub(super) fn strings(object: Option<&Object>) -> BTreeMap<String, String> {
    let pairs = object.into_iter().flatten();
    pairs
        .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
        .collect()
}

fn texts(list: Option<&Value>) -> BTreeSet<String> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|t| t.as_str().map(str::to_owned))
        .collect()
}
