//! Trunks and their subports.

use http::Method;
use serde_json::{Value, json};

use super::super::json::{Object, text, text_or_empty};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::kind::Kind;
use super::networks::apply;
use super::subnets::required;
use super::{bad_request, no_route};

impl World {
    pub(super) fn create_trunk(
        &mut self,
        account: &Account,
        mut record: Object,
        mut wanted: Object,
    ) -> Result<String, Refusal> {
        let parent = required(&wanted, "port_id")?;
        self.record_owned(Kind::Port, account, &parent)?;
        if self.trunk_of(&parent).is_some() {
            return Err(Refusal::of(
                409,
                "ParentPortInUse",
                format!(
                    "Port {parent} is currently in use and is not eligible for use as a parent port."
                ),
            ));
        }
        let given = wanted.remove("sub_ports").unwrap_or_else(|| json!([]));
        let defaults = json!({"name": "", "admin_state_up": true, "status": "DOWN", "port_id": parent,
            "sub_ports": []});
        record.extend(defaults.as_object().cloned().unwrap_or_default());
        apply(&mut record, wanted)?;
        let subports = self.checked_subports(account, "", &parent, &[], &given)?;
        record.insert("sub_ports".into(), json!(subports));
        Ok(self.keep(Kind::Trunk, record))
    }

    pub(super) fn update_trunk(&mut self, id: &str, wanted: Object) -> Result<(), Refusal> {
        if let Some(record) = self.record_mut(Kind::Trunk, id) {
            let mut draft = record.clone();
            apply(&mut draft, wanted)?;
            *record = draft;
        }
        Ok(())
    }

    pub(super) fn trunk_action(
        &mut self,
        request: &Request,
        account: &Account,
        id: &str,
        action: &str,
    ) -> Answer {
        let record = self.record_owned(Kind::Trunk, account, id)?;
        if record["admin_state_up"] == false {
            return Err(Refusal::of(
                409,
                "TrunkDisabled",
                format!("Trunk {id} is currently disabled."),
            ));
        }
        let have = record["sub_ports"].as_array().cloned().unwrap_or_default();
        let parent = text_or_empty(record, "port_id").to_owned();
        let body = request.body_json().unwrap_or_default();
        let given = body.get("sub_ports").cloned().unwrap_or_default();
        let subports = match (&request.method, action) {
            (&Method::PUT, "add_subports") => {
                let mut all = have.clone();
                all.extend(self.checked_subports(account, id, &parent, &have, &given)?);
                all
            }
            (&Method::PUT, "remove_subports") => {
                let gone = |subport: &Value| {
                    let mut given = given.as_array().into_iter().flatten();
                    given.any(|it| it["port_id"] == subport["port_id"])
                };
                for subport in given.as_array().into_iter().flatten() {
                    if !have.iter().any(|it| it["port_id"] == subport["port_id"]) {
                        let port = subport["port_id"].as_str().unwrap_or("");
                        return Err(Refusal::of(
                            404,
                            "SubPortNotFound",
                            format!("SubPort {port} on trunk {id} could not be found."),
                        ));
                    }
                }
                have.into_iter().filter(|it| !gone(it)).collect()
            }
            _ => return Err(no_route()),
        };
        let wanted = Object::from_iter([("sub_ports".to_owned(), json!(subports))]);
        self.update_trunk(id, wanted)?;
        self.touch(Kind::Trunk, id);
        // Without an envelope, unlike everything else.
        Ok(Response::json(200, json!(self.record(Kind::Trunk, id))))
    }

    /// A port of a trunk is not deleted.
    pub(super) fn check_trunk_port(&self, port: &str) -> Result<(), Refusal> {
        let Some((kind, role, trunk)) = self.trunk_of(port) else {
            return Ok(());
        };
        Err(Refusal::of(
            409,
            kind,
            format!("Port {port} is currently a {role} for trunk {trunk}."),
        ))
    }

    fn trunk_of(&self, port: &str) -> Option<(&'static str, &'static str, &str)> {
        self.table(Kind::Trunk).find_map(|trunk| {
            let id = text_or_empty(trunk, "id");
            let mut subports = trunk["sub_ports"].as_array().into_iter().flatten();
            if text(trunk, "port_id") == Some(port) {
                Some(("PortInUseAsTrunkParent", "parent port", id))
            } else if subports.any(|it| it["port_id"] == port) {
                Some(("PortInUseAsSubPort", "subport", id))
            } else {
                None
            }
        })
    }

    fn network_of_port(&self, port: &str) -> Option<&Object> {
        let network = text(self.record(Kind::Port, port)?, "network_id")?;
        self.record(Kind::Network, network)
    }

    /// What goes through a subport has to fit through its parent.
    fn check_mtu(&self, port: &str, parent: &str) -> Result<(), Refusal> {
        let mtu = |port: &str| self.network_of_port(port)?["mtu"].as_u64();
        match (mtu(port), mtu(parent)) {
            (Some(inner), Some(outer)) if inner > outer => Err(Refusal::of(
                409,
                "SubPortMtuGreaterThanTrunkPortMtu",
                format!(
                    "MTU {inner} of subport {port} cannot be greater than MTU {outer} of trunk {parent}."
                ),
            )),
            _ => Ok(()),
        }
    }

    fn checked_subports(
        &self,
        account: &Account,
        trunk: &str,
        parent: &str,
        have: &[Value],
        given: &Value,
    ) -> Result<Vec<Value>, Refusal> {
        let mut made: Vec<Value> = Vec::new();
        for subport in given.as_array().into_iter().flatten() {
            let port = subport["port_id"].as_str().unwrap_or("");
            self.record_owned(Kind::Port, account, port)?;
            let network = self.network_of_port(port);
            let id = match (
                subport["segmentation_type"].as_str(),
                subport["segmentation_id"].as_u64(),
            ) {
                (Some("inherit"), _) => inherited(network)?,
                (Some("vlan"), Some(id @ 1..=4094)) => id,
                _ => return Err(bad_request("Invalid input for sub_ports.")),
            };
            if self.trunk_of(port).is_some() || port == parent {
                return Err(Refusal::of(
                    409,
                    "TrunkPortInUse",
                    format!("Port {port} is in use by another trunk."),
                ));
            }
            self.check_mtu(port, parent)?;
            if have
                .iter()
                .chain(&made)
                .any(|it| it["segmentation_id"] == id)
            {
                return Err(Refusal::of(
                    409,
                    "DuplicateSubPort",
                    format!(
                        "segmentation_type vlan and segmentation_id {id} already in use on trunk {trunk}."
                    ),
                ));
            }
            made.push(json!({"port_id": port, "segmentation_type": "vlan", "segmentation_id": id}));
        }
        Ok(made)
    }
}

/// The id that a subport has from its own network, which must be a VLAN.
fn inherited(network: Option<&Object>) -> Result<u64, Refusal> {
    let of = |name: &str| network.and_then(|it| it.get(name));
    let type_of = of("provider:network_type").and_then(Value::as_str);
    let id = of("provider:segmentation_id").and_then(Value::as_u64);
    match (type_of.unwrap_or_default(), id) {
        ("vlan", Some(id)) => Ok(id),
        (other, _) => Err(Refusal::of(
            400,
            "InvalidInput",
            format!("Invalid input for operation: Unknown segmentation_type '{other}'."),
        )),
    }
}
