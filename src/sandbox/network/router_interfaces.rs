//! Router interfaces: the ports by which a router is on subnets.

use serde_json::{Value, json};

use super::super::json::{Object, text, text_or_empty};
use super::super::response::Refusal;
use super::super::world::{Account, World};
use super::addresses::cidr_of;
use super::kind::Kind;

impl World {
    pub(super) fn add_router_interface(
        &mut self,
        account: &Account,
        router: &str,
        wanted: &Object,
    ) -> Result<Value, Refusal> {
        let (port_id, subnet_id) = match (text(wanted, "subnet_id"), text(wanted, "port_id")) {
            (Some(_), Some(_)) => {
                return Err(bad_router("Cannot specify both subnet-id and port-id."));
            }
            (Some(subnet), None) => {
                let record = self.record_shown(Kind::Subnet, account, subnet)?.clone();
                self.check_new_interface(router, &record)?;
                (
                    self.interface_port(account, router, &record)?,
                    subnet.to_owned(),
                )
            }
            (None, Some(port)) => {
                let record = self.record_owned(Kind::Port, account, port)?;
                if !text_or_empty(record, "device_id").is_empty() {
                    return Err(port_in_use(record));
                }
                let subnet = record["fixed_ips"][0]["subnet_id"]
                    .as_str()
                    .unwrap_or("")
                    .to_owned();
                if record["fixed_ips"].as_array().is_none_or(Vec::is_empty) {
                    return Err(bad_router("Router port must have at least one fixed IP."));
                }
                let subnet_record = self
                    .record(Kind::Subnet, &subnet)
                    .cloned()
                    .unwrap_or_default();
                self.check_new_interface(router, &subnet_record)?;
                (port.to_owned(), subnet)
            }
            (None, None) => {
                return Err(bad_router("Either subnet_id or port_id must be specified."));
            }
        };
        if let Some(port) = self.record_mut(Kind::Port, &port_id) {
            port.insert("device_id".into(), json!(router));
            port.insert("device_owner".into(), json!("network:router_interface"));
            port.insert("status".into(), json!("ACTIVE"));
            port.insert("security_groups".into(), json!([]));
        }
        self.touch(Kind::Port, &port_id);
        self.touch(Kind::Router, router);
        Ok(self.interface_body(router, &port_id, &subnet_id))
    }

    pub(super) fn remove_router_interface(
        &mut self,
        router: &str,
        wanted: &Object,
    ) -> Result<Value, Refusal> {
        let on = |port: &Object, subnet: &str| {
            port["fixed_ips"]
                .as_array()
                .is_some_and(|f| f.iter().any(|f| f["subnet_id"] == subnet))
        };
        let found = match (text(wanted, "port_id"), text(wanted, "subnet_id")) {
            (Some(port), _) => {
                let found = self
                    .interfaces_of(router)
                    .find(|p| text(p, "id") == Some(port));
                found.ok_or_else(|| {
                    Refusal::of(
                        404,
                        "RouterInterfaceNotFound",
                        format!("Router {router} does not have an interface with id {port}"),
                    )
                })?
            }
            (None, Some(subnet)) => {
                let found = self.interfaces_of(router).find(|p| on(p, subnet));
                found.ok_or_else(|| {
                    Refusal::of(
                        404,
                        "RouterInterfaceNotFoundForSubnet",
                        format!("Router {router} has no interface on subnet {subnet}"),
                    )
                })?
            }
            (None, None) => {
                return Err(bad_router("Either subnet_id or port_id must be specified."));
            }
        };
        let port = text_or_empty(found, "id").to_owned();
        let subnet = found["fixed_ips"][0]["subnet_id"]
            .as_str()
            .unwrap_or("")
            .to_owned();
        let network = text_or_empty(found, "network_id").to_owned();
        let needed = self.table(Kind::FloatingIp).any(|f| {
            let inside = text(f, "port_id").and_then(|p| self.record(Kind::Port, p));
            text(f, "router_id") == Some(router) && inside.is_some_and(|p| on(p, &subnet))
        });
        if needed {
            return Err(Refusal::of(
                409,
                "RouterInterfaceInUseByFloatingIP",
                format!(
                    "Router interface for subnet {subnet} on router {router} cannot be deleted, as it is required by one or \
                 more floating IPs."
                ),
            ));
        }
        self.check_routes_stay(router, &subnet)?;
        let mut body = self.interface_body(router, &port, &subnet);
        body["network_id"] = json!(network);
        self.forget(Kind::Port, &port);
        self.touch(Kind::Router, router);
        Ok(body)
    }

    /// An interface that the router's routes lead through stays.
    fn check_routes_stay(&self, router: &str, subnet: &str) -> Result<(), Refusal> {
        let cidr = self.record(Kind::Subnet, subnet).and_then(cidr_of);
        let routes = self.record(Kind::Router, router).map(|r| &r["routes"]);
        let mut hops = routes
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|route| route["nexthop"].as_str()?.parse().ok());
        let needed = hops.any(|hop: std::net::IpAddr| cidr.is_some_and(|c| c.contains(&hop)));
        if !needed {
            return Ok(());
        }
        Err(Refusal::of(
            409,
            "RouterInterfaceInUseByRoute",
            format!(
                "Router interface for subnet {subnet} on router {router} cannot be deleted, as it is required by one or \
                 more routes."
            ),
        ))
    }

    fn check_new_interface(&self, router: &str, subnet: &Object) -> Result<(), Refusal> {
        let id = text_or_empty(subnet, "id");
        let cidr = cidr_of(subnet);
        for fixed in self
            .interfaces_of(router)
            .flat_map(|p| p["fixed_ips"].as_array().into_iter().flatten())
        {
            if fixed["subnet_id"] == id {
                return Err(bad_router(&format!(
                    "Router already has a port on subnet {id}."
                )));
            }
            let other = fixed["subnet_id"]
                .as_str()
                .and_then(|s| self.record(Kind::Subnet, s));
            let (Some(cidr), Some(theirs)) = (cidr, other.and_then(cidr_of)) else {
                continue;
            };
            if cidr.contains(&theirs) || theirs.contains(&cidr) {
                return Err(bad_router(&format!(
                    "Cidr {cidr} of subnet {id} overlaps with cidr {theirs} of subnet {}.",
                    fixed["subnet_id"].as_str().unwrap_or("")
                )));
            }
        }
        Ok(())
    }

    /// The router's port on a subnet: it has the gateway's address.
    fn interface_port(
        &mut self,
        account: &Account,
        router: &str,
        subnet: &Object,
    ) -> Result<String, Refusal> {
        let Some(gateway) = text(subnet, "gateway_ip") else {
            return Err(bad_router(&format!(
                "Subnet for router interface must have a gateway IP: {}",
                text_or_empty(subnet, "id")
            )));
        };
        let project = self
            .record(Kind::Router, router)
            .map_or(String::new(), |r| text_or_empty(r, "project_id").to_owned());
        let wanted = json!({"network_id": subnet["network_id"], "security_groups": [],
            "port_security_enabled": false, "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": gateway}]});
        let nobody = Account {
            admin: true,
            ..account.clone()
        };
        self.create_uncounted(
            Kind::Port,
            &nobody,
            &project,
            wanted.as_object().cloned().unwrap_or_default(),
        )
    }

    fn interface_body(&self, router: &str, port: &str, subnet: &str) -> Value {
        let project = self
            .record(Kind::Router, router)
            .map_or(Value::Null, |r| r["project_id"].clone());
        let network = self
            .record(Kind::Port, port)
            .map_or(Value::Null, |p| p["network_id"].clone());
        json!({"id": router, "project_id": project, "port_id": port, "network_id": network,
            "subnet_id": subnet, "subnet_ids": [subnet]})
    }
}

fn bad_router(text: &str) -> Refusal {
    Refusal::of(400, "BadRequest", format!("Bad router request: {text}"))
}

fn port_in_use(port: &Object) -> Refusal {
    Refusal::of(
        409,
        "PortInUse",
        format!(
            "Unable to complete operation on port {} for network {}. Port already has an attached device {}.",
            text_or_empty(port, "id"),
            text_or_empty(port, "network_id"),
            text_or_empty(port, "device_id")
        ),
    )
}
