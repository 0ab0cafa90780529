//! A server as the API shows it, in each microversion.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha224};

use super::super::json::{Object, stamp, stamp_micros, text_or_empty};
use super::super::world::World;
use super::Caller;
use super::server::Server;

impl World {
    pub(super) fn server_summary(&self, server: &Server) -> Value {
        json!({"id": server.id, "name": server.name, "links": self.compute_links("servers", &server.id)})
    }

    pub(super) fn server_body(&self, server: &Server, who: Caller<'_>, single: bool) -> Value {
        let minor = who.minor;
        let is_shelved = server.vm_state == "shelved_offloaded";
        let zone = match (server.launched.is_some(), server.task_state) {
            _ if is_shelved => "",
            (true, _) | (_, Some("spawning")) => "nova",
            _ => "",
        };
        let host_id: String = if zone.is_empty() {
            String::new()
        } else {
            let digest = Sha224::digest(format!("{}sandbox-1", server.project_id));
            digest.iter().map(|b| format!("{b:02x}")).collect()
        };
        let mut body = json!({
            "id": server.id, "name": server.name, "status": server.status(), "tenant_id": server.project_id,
            "user_id": server.user_id, "metadata": server.metadata, "hostId": host_id,
            "image": self.server_image(server, minor), "flavor": self.server_flavor(server, minor),
            "created": stamp(server.created), "updated": stamp(server.updated),
            "addresses": self.server_addresses(server), "accessIPv4": server.access.0, "accessIPv6": server.access.1,
            "links": self.compute_links("servers", &server.id), "OS-DCF:diskConfig": "MANUAL",
            "OS-EXT-AZ:availability_zone": server.scheduled_zone.as_deref().filter(|_| !is_shelved).unwrap_or(zone),
            "config_drive": if server.config_drive { "True" } else { "" }, "key_name": server.key_name,
            "OS-SRV-USG:launched_at": server.launched.map(stamp_micros),
            "OS-SRV-USG:terminated_at": server.deleted.map(stamp_micros),
            "OS-EXT-STS:task_state": server.task_state.map(|t| t.trim_end_matches("_hard")),
            "OS-EXT-STS:vm_state": server.vm_state, "OS-EXT-STS:power_state": server.power_state,
            "os-extended-volumes:volumes_attached": volumes_attached(server, minor),
        });
        if matches!(
            server.status(),
            "ACTIVE" | "BUILD" | "REBUILD" | "RESIZE" | "VERIFY_RESIZE"
        ) {
            body["progress"] = json!(if server.status() == "BUILD" { 0 } else { 100 });
            if server.status() == "ACTIVE" {
                body["progress"] = json!(0);
            }
        }
        if let Some(fault) = server
            .fault
            .as_ref()
            .filter(|_| matches!(server.status(), "ERROR" | "DELETED"))
        {
            body["fault"] =
                json!({"code": fault.code, "created": stamp(fault.at), "message": fault.message});
            if who.account.admin || fault.code != 500 {
                body["fault"]["details"] = json!(fault.message);
            }
        }
        let names = self.server_group_names(server);
        if !names.is_empty() {
            body["security_groups"] = names
                .into_iter()
                .map(|name| json!({ "name": name }))
                .collect();
        }
        self.add_newer_fields(&mut body, server, who, single);
        body
    }

    fn add_newer_fields(&self, body: &mut Value, server: &Server, who: Caller<'_>, single: bool) {
        let minor = who.minor;
        let placed = (!body["hostId"].as_str().unwrap_or("").is_empty()).then_some("sandbox-1");
        if who.account.admin {
            body["OS-EXT-SRV-ATTR:host"] = json!(placed);
            body["OS-EXT-SRV-ATTR:hypervisor_hostname"] = json!(placed);
            body["OS-EXT-SRV-ATTR:instance_name"] =
                json!(format!("instance-{:08x}", server.sequence));
            if minor >= 3 {
                body["OS-EXT-SRV-ATTR:user_data"] = json!(server.user_data);
                body["OS-EXT-SRV-ATTR:root_device_name"] = json!("/dev/vda");
                body["OS-EXT-SRV-ATTR:launch_index"] = json!(0);
                body["OS-EXT-SRV-ATTR:reservation_id"] =
                    json!(format!("r-{:08x}", server.sequence));
                body["OS-EXT-SRV-ATTR:kernel_id"] = json!("");
                body["OS-EXT-SRV-ATTR:ramdisk_id"] = json!("");
            }
            if minor >= 16 {
                body["host_status"] = json!(placed.map_or("", |_| "UP"));
            }
        }
        if minor >= 9 {
            body["locked"] = json!(server.locked);
        }
        if minor >= 19 {
            body["description"] = json!(server.description);
        }
        if minor >= 26 {
            body["tags"] = json!(server.tags);
        }
        if minor >= 63 {
            body["trusted_image_certificates"] = Value::Null;
        }
        if minor >= 71 && single {
            let groups: Vec<&String> = self
                .compute
                .groups
                .values()
                .filter(|g| g.members.contains(&server.id))
                .map(|g| &g.id)
                .collect();
            body["server_groups"] = json!(groups);
        }
        if minor >= 73 {
            body["locked_reason"] = json!(server.locked_reason);
        }
        if minor >= 90 || (minor >= 3 && who.account.admin) {
            body["OS-EXT-SRV-ATTR:hostname"] = json!(server.hostname);
        }
        if minor >= 96 {
            body["pinned_availability_zone"] = json!(server.pinned_zone);
        }
        if minor >= 100 {
            body["scheduler_hints"] = server.hints.clone();
        }
    }

    /// Addresses by network name, fixed ones and floating ones.
    pub(super) fn server_addresses(&self, server: &Server) -> Value {
        let mut addresses: Map<String, Value> = Map::new();
        for port in server
            .nics
            .iter()
            .filter_map(|nic| self.port(nic.port.as_deref()?))
        {
            if text_or_empty(port, "device_id") != server.id {
                continue;
            }
            let network = self.network_name(text_or_empty(port, "network_id"));
            let mac = &port["mac_address"];
            let mut list = Vec::new();
            let entry = |address: &str, kind: &str| {
                json!({"version": if address.contains(':') { 6 } else { 4 }, "addr": address,
                    "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac})
            };
            let floating = self.floating_addresses(text_or_empty(port, "id"));
            for fixed in port["fixed_ips"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|f| f["ip_address"].as_str())
            {
                list.push(entry(fixed, "fixed"));
                list.extend(
                    floating
                        .iter()
                        .filter(|(inside, _)| inside == fixed)
                        .map(|(_, out)| entry(out, "floating")),
                );
            }
            let all = addresses.entry(network).or_insert_with(|| json!([]));
            if let Some(all) = all.as_array_mut() {
                all.extend(list);
            }
        }
        Value::Object(addresses)
    }

    /// Names of the security groups on the server's ports.
    pub(super) fn server_group_names(&self, server: &Server) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for port in server
            .nics
            .iter()
            .filter_map(|nic| self.port(nic.port.as_deref()?))
        {
            for name in port_groups(port).filter_map(|id| self.group_name(id)) {
                names.push(name.to_owned());
            }
        }
        // Nova lists a group once for each port it is on, but not twice under one name in a set.
        names.sort();
        names.dedup();
        names
    }

    /// The security groups on the server's ports under Neutron's ids; their rules are left out.
    pub(super) fn server_groups_full(&self, server: &Server) -> Vec<Value> {
        let ports = server.nics.iter().filter_map(|nic| nic.port.as_deref());
        let ports = ports.filter_map(|id| self.port(id));
        let ids: BTreeSet<&str> = ports.flat_map(port_groups).collect();
        let shown = |id: &str| {
            let group = self.group(id)?;
            Some(json!({
                "id": id,
                "name": group["name"],
                "description": group["description"],
                "tenant_id": group["project_id"],
                "rules": [],
            }))
        };
        ids.into_iter().filter_map(shown).collect()
    }

    fn server_image(&self, server: &Server, minor: u32) -> Value {
        let Some(id) = &server.image else {
            return json!("");
        };
        let mut image = json!({"id": id, "links": self.bookmark("images", id)});
        if minor >= 98 {
            image["properties"] = json!({});
        }
        image
    }

    fn server_flavor(&self, server: &Server, minor: u32) -> Value {
        let flavor = &server.flavor;
        if minor < 47 {
            return json!({"id": flavor.id, "links": self.bookmark("flavors", &flavor.id)});
        }
        json!({"original_name": flavor.name, "vcpus": flavor.vcpus, "ram": flavor.ram, "disk": flavor.disk,
            "ephemeral": flavor.ephemeral, "swap": flavor.swap, "extra_specs": flavor.extra_specs})
    }
}

pub(super) fn port_groups(port: &Object) -> impl Iterator<Item = &str> {
    port["security_groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn volumes_attached(server: &Server, minor: u32) -> Vec<Value> {
    server
        .blocks
        .iter()
        .filter_map(|block| {
            let mut shown = json!({"id": block.volume.as_ref()?});
            if minor >= 3 {
                shown["delete_on_termination"] = json!(block.delete_on_termination);
            }
            Some(shown)
        })
        .collect()
}
