//! Networks.

use serde_json::{Value, json};

use super::super::json::{Object, boolean, text, text_or_empty};
use super::super::response::Refusal;
use super::super::world::{Account, World};
use super::kind::Kind;
use super::{bad_request, invalid_input, policy};

impl World {
    pub(super) fn create_network(
        &mut self,
        account: &Account,
        mut record: Object,
        wanted: Object,
    ) -> Result<String, Refusal> {
        check_rights(account, &wanted, "create")?;
        let defaults = json!({"name": "", "admin_state_up": true, "mtu": 1450, "status": "ACTIVE", "shared": false,
            "availability_zone_hints": [], "availability_zones": [], "ipv4_address_scope": null,
            "ipv6_address_scope": null, "router:external": false, "qinq": false, "vlan_transparent": false,
            "port_security_enabled": true, "dns_domain": "", "provider:network_type": "vxlan",
            "provider:physical_network": null, "provider:segmentation_id": self.chance(4000) + 1});
        record.extend(defaults.as_object().cloned().unwrap_or_default());
        if wanted.get("router:external").and_then(boolean) == Some(true) {
            record.insert("is_default".into(), json!(false));
        }
        apply(&mut record, wanted)?;
        Ok(self.keep(Kind::Network, record))
    }

    pub(super) fn update_network(
        &mut self,
        account: &Account,
        id: &str,
        wanted: Object,
    ) -> Result<(), Refusal> {
        check_rights(account, &wanted, "update")?;
        if let Some(record) = self.record_mut(Kind::Network, id) {
            let mut draft = record.clone();
            apply(&mut draft, wanted)?;
            *record = draft;
        }
        Ok(())
    }

    pub(super) fn delete_network(&mut self, id: &str) -> Result<(), Refusal> {
        let in_use: Vec<String> = self
            .table(Kind::Port)
            .filter(|p| {
                text(p, "network_id") == Some(id)
                    && text_or_empty(p, "device_owner") != "network:dhcp"
            })
            .map(|p| text_or_empty(p, "id").to_owned())
            .collect();
        let is_gateway = self
            .table(Kind::Router)
            .any(|r| r["external_gateway_info"]["network_id"] == id);
        let has_floating = self
            .table(Kind::FloatingIp)
            .any(|f| text(f, "floating_network_id") == Some(id));
        if !in_use.is_empty() || is_gateway || has_floating {
            return Err(Refusal::of(
                409,
                "NetworkInUse",
                format!(
                    "Unable to complete operation on network {id}. There are one or more ports still in use on the network, \
                 id for these ports is: {}.",
                    in_use.join(",")
                ),
            ));
        }
        let subnets: Vec<String> = self
            .subnets_of(id)
            .iter()
            .map(|s| text_or_empty(s, "id").to_owned())
            .collect();
        for subnet in subnets {
            self.forget(Kind::Subnet, &subnet);
        }
        Ok(())
    }
}

fn check_rights(account: &Account, wanted: &Object, action: &str) -> Result<(), Refusal> {
    let reserved = wanted.iter().find(|(name, value)| {
        let privileged = name.starts_with("provider:")
            || matches!(name.as_str(), "shared" | "router:external" | "is_default");
        privileged && **value != Value::Bool(false) && !value.is_null()
    });
    match reserved {
        Some((name, _)) if !account.admin => {
            let rule = format!("((rule:{action}_network and rule:{action}_network:{name}))");
            Err(policy(&rule))
        }
        _ => Ok(()),
    }
}

/// Takes over plain fields, with the types that Neutron insists on.
pub(super) fn apply(record: &mut Object, wanted: Object) -> Result<(), Refusal> {
    for (name, value) in wanted {
        let have = record.get(&name).unwrap_or(&Value::Null);
        let value = match (have, value) {
            (Value::Bool(_), value) => Value::Bool(boolean(&value).ok_or_else(|| {
                let shown = value.as_str().map_or(value.to_string(), str::to_owned);
                let why = format!("'{shown}' cannot be converted to boolean.");
                invalid_input(&why)
            })?),
            (Value::String(_), Value::String(value)) if value.chars().count() > 255 => {
                let why = format!(
                    "Invalid input for {name}. Reason: '{value}' exceeds maximum length of 255."
                );
                return Err(bad_request(why));
            }
            // A gateway may be given up.
            (Value::String(_), Value::Null) if name == "gateway_ip" => Value::Null,
            (Value::String(_), value) if !value.is_string() => {
                return Err(bad_request(format!(
                    "Invalid input for {name}. Reason: '{value}' is not a valid string."
                )));
            }
            (_, value) => value,
        };
        record.insert(name, value);
    }
    Ok(())
}
