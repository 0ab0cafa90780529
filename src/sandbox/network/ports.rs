//! Ports, and what Nova does with them.

use serde_json::{Value, json};

use super::super::json::{Object, boolean, text, text_or_empty};
use super::super::response::Refusal;
use super::super::world::{Account, World};
use super::kind::Kind;
use super::networks::apply;
use super::subnets::required;
use super::{bad_request, policy};

impl World {
    pub(super) fn create_port(
        &mut self,
        account: &Account,
        mut record: Object,
        mut wanted: Object,
    ) -> Result<String, Refusal> {
        let network_id = required(&wanted, "network_id")?;
        let network = self.record_shown(Kind::Network, account, &network_id)?;
        let secured = network["port_security_enabled"].clone();
        let own = account.admin || text(network, "project_id") == Some(account.project_id.as_str());
        check_rights(account, &wanted, own)?;
        if text(network, "project_id") != Some(account.project_id.as_str())
            && network["shared"] != true
            && !account.admin
        {
            return Err(policy("(rule:create_port)"));
        }
        let project = text_or_empty(&record, "project_id").to_owned();
        let mac = match text(&wanted, "mac_address") {
            Some(mac) => self.checked_mac(&network_id, mac, "")?,
            None => self.new_mac(),
        };
        let secured = wanted
            .get("port_security_enabled")
            .and_then(boolean)
            .map_or(secured, Value::Bool);
        let groups = match wanted.get("security_groups") {
            None if secured == false => json!([]),
            None => json!([self.default_group(&project)]),
            Some(groups) => self.checked_groups(account, groups, &secured)?,
        };
        let defaults = json!({"name": "", "network_id": network_id, "mac_address": mac, "admin_state_up": true,
            "status": "DOWN", "device_id": "", "device_owner": "", "fixed_ips": [], "allowed_address_pairs": [],
            "extra_dhcp_opts": [], "security_groups": groups, "binding:vnic_type": "normal",
            "port_security_enabled": secured, "dns_name": "", "dns_assignment": [], "dns_domain": "",
            "propagate_uplink_status": true, "trusted": null, "binding:host_id": "", "binding:profile": {}, "binding:vif_type": "unbound",
            "binding:vif_details": {}});
        record.extend(defaults.as_object().cloned().unwrap_or_default());
        let id = text_or_empty(&record, "id").to_owned();
        let fixed = self.allocate(&network_id, wanted.get("fixed_ips"), &id)?;
        for settled in [
            "network_id",
            "mac_address",
            "fixed_ips",
            "security_groups",
            "port_security_enabled",
        ] {
            wanted.remove(settled);
        }
        record.insert("fixed_ips".into(), json!(fixed));
        if let Err(refusal) =
            fill_pairs(&mut wanted, &mac).and_then(|()| apply(&mut record, wanted))
        {
            self.release_addresses(&id);
            return Err(refusal);
        }
        show_trust(&mut record);
        record.insert("revision_number".into(), json!(1));
        Ok(self.keep(Kind::Port, record))
    }

    pub(super) fn update_port(
        &mut self,
        account: &Account,
        id: &str,
        mut wanted: Object,
    ) -> Result<(), Refusal> {
        check_rights(account, &wanted, true)?;
        let Some(record) = self.record(Kind::Port, id) else {
            return Ok(());
        };
        // Chosen freely at birth, afterwards by administrators alone.
        let mac = text(&wanted, "mac_address").map(str::to_ascii_lowercase);
        if !account.admin && mac.is_some_and(|mac| record["mac_address"] != mac) {
            return Err(policy(
                "((rule:update_port and rule:update_port:mac_address))",
            ));
        }
        let mut draft = record.clone();
        let network = text_or_empty(&draft, "network_id").to_owned();
        if let Some(mac) = text(&wanted, "mac_address") {
            let mac = self.checked_mac(&network, mac, id)?;
            wanted.insert("mac_address".into(), json!(mac));
        }
        let secured = wanted
            .get("port_security_enabled")
            .cloned()
            .unwrap_or_else(|| draft["port_security_enabled"].clone());
        if let Some(groups) = wanted.get("security_groups") {
            let groups = self.checked_groups(account, groups, &secured)?;
            wanted.insert("security_groups".into(), groups);
        } else if secured == false
            && draft["security_groups"]
                .as_array()
                .is_some_and(|g| !g.is_empty())
        {
            return Err(Refusal::of(
                409,
                "PortSecurityPortHasSecurityGroup",
                "Port has security group associated. Cannot disable port security or IP address until security group is removed.",
            ));
        }
        fill_pairs(&mut wanted, text_or_empty(&draft, "mac_address"))?;
        let pairs = wanted
            .get("allowed_address_pairs")
            .and_then(Value::as_array);
        if secured == false && pairs.is_some_and(|pairs| !pairs.is_empty()) {
            return Err(Refusal::of(
                409,
                "AddressPairAndPortSecurityRequired",
                "Port Security must be enabled in order to have allowed address pairs on a port.",
            ));
        }
        if let Some(fixed) = wanted.remove("fixed_ips") {
            let before = draft["fixed_ips"].clone();
            let kept = keep_addresses(&fixed, &before);
            self.release_addresses(id);
            match self.allocate(&network, Some(&kept), id) {
                Ok(fixed) => drop(draft.insert("fixed_ips".into(), json!(fixed))),
                Err(refusal) => {
                    let _ = self.allocate(&network, Some(&before), id);
                    return Err(refusal);
                }
            }
        }
        if wanted.get("device_id").is_some_and(|d| d == "") {
            draft.insert("status".into(), json!("DOWN"));
        }
        apply(&mut draft, wanted)?;
        show_trust(&mut draft);
        self.keep(Kind::Port, draft);
        Ok(())
    }

    pub(super) fn delete_port(&mut self, id: &str) -> Result<(), Refusal> {
        let owner = self
            .record(Kind::Port, id)
            .map(|p| text_or_empty(p, "device_owner").to_owned())
            .unwrap_or_default();
        if matches!(
            owner.as_str(),
            "network:router_interface" | "network:router_gateway" | "network:floatingip"
        ) {
            return Err(Refusal::of(
                409,
                "ServicePortInUse",
                format!(
                    "Port {id} cannot be deleted directly via the port API: has device owner {owner}."
                ),
            ));
        }
        self.check_trunk_port(id)?;
        self.disassociate_port(id);
        self.unplug_from_servers(id);
        Ok(())
    }

    // For Nova.

    /// A port, as a user of the project sees it.
    pub(in super::super) fn port_for_server(&self, account: &Account, id: &str) -> Option<&Object> {
        self.record_shown(Kind::Port, account, id).ok()
    }

    /// A port as it is.
    pub(in super::super) fn port(&self, id: &str) -> Option<&Object> {
        self.record(Kind::Port, id)
    }

    /// A network, as a user of the project sees it.
    pub(in super::super) fn network_for_server(
        &self,
        account: &Account,
        id: &str,
    ) -> Option<&Object> {
        self.record_shown(Kind::Network, account, id).ok()
    }

    pub(in super::super) fn network_has_subnets(&self, id: &str) -> bool {
        !self.subnets_of(id).is_empty()
    }

    /// Networks that Nova chooses from when none is asked for: the project's own and shared ones.
    pub(in super::super) fn networks_for_server(&self, project: &str) -> Vec<String> {
        let own = self
            .table(Kind::Network)
            .filter(|n| text(n, "project_id") == Some(project) && n["shared"] != true);
        let shared = self.table(Kind::Network).filter(|n| n["shared"] == true);
        own.chain(shared)
            .filter(|n| n["router:external"] != true)
            .map(|n| text_or_empty(n, "id").to_owned())
            .collect()
    }

    /// Makes a port for a server.
    pub(in super::super) fn make_server_port(
        &mut self,
        account: &Account,
        wanted: Object,
    ) -> Result<String, Refusal> {
        // Nova asks with its own rights, in the user's project.
        let nova = Account {
            admin: true,
            ..account.clone()
        };
        self.create_record(Kind::Port, &nova, wanted)
    }

    /// Gives a port to a server, or back to nobody.
    pub(in super::super) fn bind_port(&mut self, id: &str, server: Option<&str>) {
        if let Some(port) = self.record_mut(Kind::Port, id) {
            let bound = server.is_some();
            port.insert("device_id".into(), json!(server.unwrap_or("")));
            port.insert(
                "device_owner".into(),
                json!(if bound { "compute:nova" } else { "" }),
            );
            port.insert(
                "binding:host_id".into(),
                json!(if bound { "sandbox-1" } else { "" }),
            );
            port.insert(
                "binding:vif_type".into(),
                json!(if bound { "ovs" } else { "unbound" }),
            );
            if !bound {
                port.insert("status".into(), json!("DOWN"));
            }
            self.touch(Kind::Port, id);
        }
    }

    /// Sets a port's status as its server comes and goes.
    pub(in super::super) fn set_port_status(&mut self, id: &str, status: &str) {
        if let Some(port) = self.record_mut(Kind::Port, id) {
            port.insert("status".into(), json!(status));
            self.touch(Kind::Port, id);
        }
    }

    /// Deletes a port that Nova made.
    pub(in super::super) fn drop_server_port(&mut self, id: &str) {
        self.disassociate_port(id);
        self.forget(Kind::Port, id);
    }

    /// Adds or removes a security group on a port.
    pub(in super::super) fn change_port_group(&mut self, id: &str, group: &str, add: bool) {
        if let Some(groups) = self
            .record_mut(Kind::Port, id)
            .and_then(|p| p.get_mut("security_groups"))
            .and_then(Value::as_array_mut)
        {
            groups.retain(|g| g != group);
            if add {
                groups.push(json!(group));
            }
            self.touch(Kind::Port, id);
        }
    }

    pub(super) fn new_mac(&mut self) -> String {
        let bits = self.chance(1 << 24);
        format!(
            "fa:16:3e:{:02x}:{:02x}:{:02x}",
            bits >> 16,
            bits >> 8 & 0xff,
            bits & 0xff
        )
    }

    fn checked_mac(&self, network: &str, mac: &str, port: &str) -> Result<String, Refusal> {
        let mac = mac.to_ascii_lowercase();
        let parts: Vec<&str> = mac.split(':').collect();
        if parts.len() != 6
            || parts
                .iter()
                .any(|p| p.len() != 2 || u8::from_str_radix(p, 16).is_err())
        {
            return Err(bad_request(format!(
                "Invalid input for mac_address. Reason: '{mac}' is not a valid MAC address."
            )));
        }
        let twin = self.table(Kind::Port).any(|p| {
            text(p, "network_id") == Some(network)
                && text(p, "mac_address") == Some(&mac)
                && text(p, "id") != Some(port)
        });
        if twin {
            return Err(Refusal::of(
                409,
                "MacAddressInUse",
                format!(
                    "Unable to complete operation for network {network}. The mac address {mac} is in use."
                ),
            ));
        }
        let bound = self.table(Kind::Port).find(|p| {
            text(p, "id") == Some(port)
                && text(p, "mac_address") != Some(&mac)
                && text(p, "binding:host_id").is_some_and(|host| !host.is_empty())
        });
        if let Some(old) = bound.and_then(|p| text(p, "mac_address")) {
            return Err(Refusal::of(
                409,
                "PortBound",
                format!(
                    "Unable to complete operation on port {port}, port is already bound, port type: ovs, old_mac {old}, new_mac {mac}."
                ),
            ));
        }
        Ok(mac)
    }

    fn checked_groups(
        &self,
        account: &Account,
        groups: &Value,
        secured: &Value,
    ) -> Result<Value, Refusal> {
        let groups = groups.as_array().cloned().unwrap_or_default();
        if *secured == false && !groups.is_empty() {
            return Err(Refusal::of(
                400,
                "PortSecurityAndIPRequiredForSecurityGroups",
                "Port security must be enabled and port must have an IP address in order to use security groups.",
            ));
        }
        let mut states = Vec::new();
        for group in &groups {
            let id = group.as_str().unwrap_or("");
            states.push(&self.record_shown(Kind::SecurityGroup, account, id)?["stateful"]);
        }
        if states.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(Refusal::of(
                409,
                "SecurityGroupConflict",
                "Error Cannot apply both stateful and stateless security groups on the same port at the same time while \
                 attempting the operation.",
            ));
        }
        Ok(Value::Array(groups))
    }
}

fn check_rights(account: &Account, wanted: &Object, owns_network: bool) -> Result<(), Refusal> {
    let privileged = ["binding:host_id", "binding:profile", "trusted"];
    for name in wanted.keys().filter(|_| !account.admin) {
        let foreign = !owns_network
            && [
                "mac_address",
                "port_security_enabled",
                "allowed_address_pairs",
            ]
            .contains(&name.as_str());
        if privileged.contains(&name.as_str()) || foreign {
            return Err(policy(&format!(
                "((rule:create_port and rule:create_port:{name}))"
            )));
        }
    }
    Ok(())
}

/// Whether the guest is trusted is told to the host in the port's profile.
fn show_trust(port: &mut Object) {
    let trusted = port.get("trusted").cloned().filter(Value::is_boolean);
    if let (Some(trusted), Some(profile)) = (trusted, port.get_mut("binding:profile")) {
        profile["trusted"] = trusted;
    }
}

/// An address pair without a MAC address has the port's.
fn fill_pairs(wanted: &mut Object, mac: &str) -> Result<(), Refusal> {
    let Some(pairs) = wanted
        .get_mut("allowed_address_pairs")
        .and_then(Value::as_array_mut)
    else {
        return Ok(());
    };
    if pairs.len() > 10 {
        return Err(Refusal::of(
            400,
            "AllowedAddressPairExhausted",
            "The number of allowed address pair exceeds the maximum 10.",
        ));
    }
    for pair in pairs {
        let address = pair["ip_address"].as_str().unwrap_or("");
        if address.parse::<std::net::IpAddr>().is_err() && address.parse::<ipnet::IpNet>().is_err()
        {
            return Err(bad_request(format!(
                "Invalid input for allowed_address_pairs. Reason: '{address}' is not a valid IP address."
            )));
        }
        if pair.get("mac_address").is_none() {
            pair["mac_address"] = json!(mac);
        }
    }
    Ok(())
}

/// A request for a subnet on which the port already has an address keeps that address.
fn keep_addresses(wanted: &Value, have: &Value) -> Value {
    let mut left = have.as_array().cloned().unwrap_or_default();
    wanted
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let place = left.iter().position(|h| {
                h["subnet_id"] == one["subnet_id"]
                    && one
                        .get("ip_address")
                        .is_none_or(|ip| *ip == h["ip_address"])
            });
            place.map_or_else(|| one.clone(), |place| left.remove(place))
        })
        .collect()
}
