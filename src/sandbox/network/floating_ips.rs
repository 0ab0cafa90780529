//! Floating IPs.

use serde_json::{Value, json};

use super::super::json::{Object, text, text_or_empty};
use super::super::response::Refusal;
use super::super::world::{Account, World};
use super::kind::Kind;
use super::networks::apply;
use super::policy;
use super::subnets::required;

impl World {
    pub(super) fn create_floating_ip(
        &mut self,
        account: &Account,
        mut record: Object,
        mut wanted: Object,
    ) -> Result<String, Refusal> {
        let network = required(&wanted, "floating_network_id")?;
        let external = self.record_shown(Kind::Network, account, &network)?;
        if external["router:external"] != true {
            return Err(Refusal::of(
                400,
                "BadRequest",
                format!(
                    "Bad floatingip request: Network {network} is not a valid external network."
                ),
            ));
        }
        let of_network = |subnet: &&Object| text(subnet, "network_id") == Some(network.as_str());
        let reaches = self
            .table(Kind::Subnet)
            .filter(of_network)
            .any(|subnet| subnet["ip_version"] == 4);
        if !reaches {
            return Err(Refusal::of(
                400,
                "BadRequest",
                format!(
                    "Bad floatingip request: Network {network} does not contain any IPv4 subnet."
                ),
            ));
        }
        if wanted.contains_key("floating_ip_address") && !account.admin {
            return Err(policy(
                "(rule:create_floatingip and rule:create_floatingip:floating_ip_address)",
            ));
        }
        let mut asked = Object::new();
        if let Some(subnet) = wanted.remove("subnet_id").filter(|s| !s.is_null()) {
            asked.insert("subnet_id".into(), subnet);
        }
        if let Some(address) = wanted
            .remove("floating_ip_address")
            .filter(|a| !a.is_null())
        {
            asked.insert("ip_address".into(), address);
        }
        let id = text_or_empty(&record, "id").to_owned();
        let asked = (!asked.is_empty()).then(|| json!([asked]));
        let got =
            self.allocate(&network, asked.as_ref(), &id)
                .map_err(|refusal| match refusal.kind {
                    "IpAddressGenerationFailure" => Refusal::of(
                        400,
                        "ExternalIpAddressExhausted",
                        format!("Unable to find any IP address on external network {network}."),
                    ),
                    _ => refusal,
                })?;
        // A floating IP is of version 4.
        let address = got
            .iter()
            .find(|f| f["ip_address"].as_str().is_some_and(|ip| ip.contains('.')));
        let defaults = json!({"floating_network_id": network, "router_id": null, "port_id": null,
            "floating_ip_address": address.map(|f| f["ip_address"].clone()), "fixed_ip_address": null, "status": "DOWN",
            "dns_domain": "", "dns_name": ""});
        record.extend(defaults.as_object().cloned().unwrap_or_default());
        let (port, fixed) = (wanted.remove("port_id"), wanted.remove("fixed_ip_address"));
        wanted.remove("floating_network_id");
        let outcome =
            apply(&mut record, wanted).and_then(|()| match port.as_ref().and_then(Value::as_str) {
                Some(port) => self.associate(
                    account,
                    &mut record,
                    port,
                    fixed.as_ref().and_then(Value::as_str),
                ),
                None => Ok(()),
            });
        if let Err(refusal) = outcome {
            self.release_addresses(&id);
            return Err(refusal);
        }
        Ok(self.keep(Kind::FloatingIp, record))
    }

    pub(super) fn update_floating_ip(
        &mut self,
        account: &Account,
        id: &str,
        mut wanted: Object,
    ) -> Result<(), Refusal> {
        let (port, fixed) = (wanted.remove("port_id"), wanted.remove("fixed_ip_address"));
        let Some(record) = self.record(Kind::FloatingIp, id) else {
            return Ok(());
        };
        let mut draft = record.clone();
        apply(&mut draft, wanted)?;
        match port {
            // Neutron takes every update for an association, too, and one of several addresses
            // has to be named.
            None => {
                let port = text(&draft, "port_id").map(str::to_owned);
                if let Some(port) = port {
                    self.associate(account, &mut draft, &port, None)?;
                }
            }
            Some(Value::String(port)) => {
                self.associate(
                    account,
                    &mut draft,
                    &port,
                    fixed.as_ref().and_then(Value::as_str),
                )?;
            }
            Some(_) => disassociate(&mut draft),
        }
        self.keep(Kind::FloatingIp, draft);
        Ok(())
    }

    pub(super) fn delete_floating_ip(&mut self, id: &str) {
        self.release_addresses(id);
    }

    /// A port goes: its floating IPs stay, on nothing.
    pub(super) fn disassociate_port(&mut self, port: &str) {
        let on_port: Vec<String> = self
            .table(Kind::FloatingIp)
            .filter(|f| text(f, "port_id") == Some(port))
            .map(|f| text_or_empty(f, "id").to_owned())
            .collect();
        for id in on_port {
            if let Some(record) = self.record_mut(Kind::FloatingIp, &id) {
                disassociate(record);
            }
            self.touch(Kind::FloatingIp, &id);
        }
    }

    /// Floating addresses of a port with the fixed address each stands for.
    pub(in super::super) fn floating_addresses(&self, port: &str) -> Vec<(String, String)> {
        self.table(Kind::FloatingIp)
            .filter(|f| text(f, "port_id") == Some(port))
            .map(|f| {
                (
                    text_or_empty(f, "fixed_ip_address").to_owned(),
                    text_or_empty(f, "floating_ip_address").to_owned(),
                )
            })
            .collect()
    }

    fn associate(
        &mut self,
        account: &Account,
        record: &mut Object,
        port_id: &str,
        fixed: Option<&str>,
    ) -> Result<(), Refusal> {
        let port = self.record_shown(Kind::Port, account, port_id)?;
        let addresses = port["fixed_ips"].as_array().cloned().unwrap_or_default();
        let inside = match fixed {
            Some(fixed) => addresses
                .iter()
                .find(|f| f["ip_address"] == fixed)
                .ok_or_else(|| {
                    Refusal::of(
                        400,
                        "BadRequest",
                        format!(
                            "Bad floatingip request: Port {port_id} does not have fixed ip {fixed}."
                        ),
                    )
                })?,
            None => {
                let v4: Vec<&Value> = addresses
                    .iter()
                    .filter(|f| f["ip_address"].as_str().is_some_and(|ip| ip.contains('.')))
                    .collect();
                match v4.as_slice() {
                    [] => {
                        return Err(Refusal::of(
                            400,
                            "BadRequest",
                            format!(
                                "Bad floatingip request: Cannot add floating IP to port {port_id} that has no fixed IPv4 addresses."
                            ),
                        ));
                    }
                    [one] => *one,
                    _ => {
                        return Err(Refusal::of(
                            400,
                            "BadRequest",
                            format!(
                                "Bad floatingip request: Port {port_id} has multiple fixed IPv4 addresses.  Must provide a \
                             specific IPv4 address when assigning a floating IP."
                            ),
                        ));
                    }
                }
            }
        };
        let network = text_or_empty(record, "floating_network_id").to_owned();
        let subnet = inside["subnet_id"].as_str().unwrap_or("").to_owned();
        let fixed = inside["ip_address"].as_str().unwrap_or("").to_owned();
        let router = self.router_between(&network, &subnet).ok_or_else(|| {
            Refusal::of(404, "ExternalGatewayForFloatingIPNotFound", format!(
                "External network {network} is not reachable from subnet {subnet}.  Therefore, cannot associate Port \
                 {port_id} with a Floating IP."))
        })?;
        let twin = self.table(Kind::FloatingIp).any(|f| {
            f["id"] != record["id"]
                && text(f, "port_id") == Some(port_id)
                && text(f, "fixed_ip_address") == Some(&fixed)
                && text(f, "floating_network_id") == Some(&network)
        });
        if twin {
            return Err(Refusal::of(
                409,
                "FloatingIPPortAlreadyAssociated",
                format!(
                    "Cannot associate floating IP {} ({}) with port {port_id} using fixed IP {fixed}, as that fixed IP already \
                 has a floating IP on external network {network}.",
                    text_or_empty(record, "floating_ip_address"),
                    text_or_empty(record, "id")
                ),
            ));
        }
        record.insert("port_id".into(), json!(port_id));
        record.insert("fixed_ip_address".into(), json!(fixed));
        record.insert("router_id".into(), json!(router));
        record.insert("status".into(), json!("ACTIVE"));
        Ok(())
    }

    fn router_between(&self, network: &str, subnet: &str) -> Option<String> {
        self.table(Kind::Router)
            .filter(|r| r["external_gateway_info"]["network_id"] == network)
            .map(|r| text_or_empty(r, "id"))
            .find(|router| {
                self.interfaces_of(router)
                    .flat_map(|p| p["fixed_ips"].as_array().into_iter().flatten())
                    .any(|f| f["subnet_id"] == subnet)
            })
            .map(str::to_owned)
    }
}

fn disassociate(record: &mut Object) {
    for name in ["port_id", "fixed_ip_address", "router_id"] {
        record.insert(name.into(), Value::Null);
    }
    record.insert("status".into(), json!("DOWN"));
}
