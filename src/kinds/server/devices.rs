//! What is plugged into a server: the ports and the volumes that say so.
//!
//! The volume that a server boots from is not one of the volumes that a manifest lists beside it,
//! so it has to be told from them. Nova says only to administrators which it is.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::kinds::marker::BOOT_VOLUME_KEY;
use crate::kinds::{Attached, Element, Kind, port, volume};
use crate::manifest::Ref;

use super::Object;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// The port.
    #[serde(rename = "portID")]
    pub port_id: String,
    /// The network.
    #[serde(rename = "netID")]
    pub net_id: String,
    /// Hardware address.
    pub mac_addr: String,
    /// The port's status: `ACTIVE`, `DOWN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_state: Option<String>,
    /// Its addresses.
    #[serde(rename = "fixedIPs", skip_serializing_if = "Vec::is_empty")]
    pub fixed_ips: Vec<FixedIp>,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FixedIp {
    /// The address.
    pub ip_address: IpAddr,
    /// The subnet that it is in.
    #[serde(rename = "subnetID")]
    pub subnet_id: String,
}

/// A volume that is attached.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AttachedVolume {
    /// The volume.
    pub id: String,
    /// Its device in the server, as far as the hypervisor tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// The interfaces in the order in which their ports were made. The server itself does not tell an
/// order, and one that changes from look to look would change what others read from here.
pub(super) fn interfaces(server: &Object, attached: &Attached<'_>) -> Vec<Interface> {
    let mut ports: Vec<(String, port::Status)> = attached
        .of::<port::Port>()
        .filter(|(found, _)| found.attached_to.contains(&server.id))
        .map(|(found, port)| {
            (
                found.id.clone(),
                port::Port::status(port, &Attached::default()),
            )
        })
        .collect();
    ports.sort_by(|(a_id, a), (b_id, b)| {
        (&a.standard.created_at, a_id).cmp(&(&b.standard.created_at, b_id))
    });
    ports
        .into_iter()
        .map(|(id, port)| interface(id, port))
        .collect()
}

fn interface(port_id: String, port: port::Status) -> Interface {
    let fixed_ip = |it: port::FixedIpStatus| FixedIp {
        ip_address: it.ip,
        subnet_id: it.subnet_id,
    };
    Interface {
        port_id,
        net_id: port.network_id,
        mac_addr: port.mac_address,
        port_state: port.status,
        fixed_ips: port.fixed_ips.into_iter().map(fixed_ip).collect(),
    }
}

/// The volumes that Nova has attached, or is about to: its own list knows of them before Cinder's
/// attachments do, which add the device.
pub(super) fn volumes(server: &Object, attached: &Attached<'_>) -> Vec<AttachedVolume> {
    server
        .volumes_attached
        .iter()
        .map(|it| AttachedVolume {
            id: it.id.clone(),
            device: device(&it.id, server, attached),
        })
        .collect()
}

/// The volume that the server boots from, if it boots from one: of the attached volumes
/// 1. the one that it was made with, if we have made it;
/// 2. else the one at the root device, where Nova tells that;
/// 3. else the one at the first disk (`/dev/vda`, `/dev/sda`);
/// 4. else the only one;
/// 5. else the only one that can be booted from.
pub(super) fn boot_volume(server: &Object, attached: &Attached<'_>) -> Option<String> {
    if server.image["id"].is_string() {
        return None;
    }
    let volumes = volumes(server, attached);
    let noted = server.metadata.get(BOOT_VOLUME_KEY);
    if let Some(noted) = noted.filter(|id| volumes.iter().any(|it| it.id == **id)) {
        return Some(noted.clone());
    }
    let at = |is_root: &dyn Fn(&str) -> bool| {
        volumes
            .iter()
            .find(|it| it.device.as_deref().is_some_and(is_root))
    };
    let root = server
        .root_device
        .as_deref()
        .and_then(|root| at(&|device| device == root));
    if let Some(volume) = root.or_else(|| at(&is_first_disk)) {
        return Some(volume.id.clone());
    }
    let ids: Vec<&String> = volumes.iter().map(|it| &it.id).collect();
    let bootable = || {
        let is_bootable =
            |id: &&&String| object(id, attached).is_some_and(|it| it.bootable == "true");
        ids.iter().filter(is_bootable).copied().collect::<Vec<_>>()
    };
    match ids[..] {
        [only] => Some(only.clone()),
        _ => match bootable()[..] {
            [only] => Some(only.clone()),
            _ => None,
        },
    }
}

/// `/dev/vda`, also as a partition of it.
pub(super) fn is_first_disk(device: &str) -> bool {
    let disk = device.trim_end_matches(|it: char| it.is_ascii_digit());
    matches!(disk, "/dev/vda" | "/dev/sda" | "/dev/hda" | "/dev/xvda")
}

/// A device that another volume has: Nova refuses it again and again.
pub(super) fn hindrance(
    field: &str,
    element: &Element,
    server: &Object,
    attached: &Attached<'_>,
) -> Option<String> {
    let wanted = element["device"].as_str().filter(|_| field == "volumes")?;
    let holder = volumes(server, attached)
        .into_iter()
        .find(|it| it.device.as_deref() == Some(wanted))?;
    Some(format!(
        "the device {wanted} is taken by the volume {}; name another one, or detach that volume",
        holder.id
    ))
}

/// Only what this daemon made is unplugged, and never what the server may boot from.
pub(super) fn may_remove(field: &str, element: &Element, attached: &Attached<'_>) -> bool {
    let refers_to = |name: &str, id: &str| matches!(serde_json::from_value(element[name].clone()), Ok(Ref::Id(it)) if it == id);
    match field {
        "ports" => attached
            .of::<port::Port>()
            .any(|(found, _)| refers_to("portRef", &found.id) && found.marker.is_some()),
        "volumes" => attached.of::<volume::Volume>().any(|(found, volume)| {
            let devices = || volume.attachments.iter().map(|it| it.device.as_deref());
            // A volume of a shelved server has no attachments.
            let is_known = !volume.attachments.is_empty() && devices().all(|it| it.is_some());
            refers_to("volumeRef", &found.id)
                && found.marker.is_some()
                && !devices().flatten().any(is_first_disk)
                // Where no device is known, it may be the one that the server boots from.
                && (volume.bootable != "true" || is_known)
        }),
        _ => false,
    }
}

fn device(volume: &str, server: &Object, attached: &Attached<'_>) -> Option<String> {
    let attachments = &object(volume, attached)?.attachments;
    attachments
        .iter()
        .find(|it| it.server_id == server.id)?
        .device
        .clone()
}

fn object<'a>(volume: &str, attached: &Attached<'a>) -> Option<&'a volume::Object> {
    attached
        .of::<volume::Volume>()
        .find(|(found, _)| found.id == volume)
        .map(|(_, object)| object)
}
