//! Network interfaces of running servers.

use http::Method;
use serde_json::{Value, json};

use super::super::json::{Object, text, text_or_empty};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::actions::check_lock;
use super::networks::owner_of;
use super::server::Step;
use super::{Caller, no_route};

impl World {
    pub(super) fn interfaces(
        &mut self,
        request: &Request,
        who: Caller<'_>,
        id: &str,
        path: &[&str],
    ) -> Answer {
        let server = self.server_shown(who.account, id)?;
        let missing = |port: &str| {
            Refusal::new(
                404,
                format!("Instance {id} does not have a port with id {port}"),
            )
        };
        match (&request.method, path) {
            (&Method::GET, []) => {
                let all: Vec<Value> = self
                    .ports_of(id)
                    .iter()
                    .filter_map(|p| self.port(p))
                    .map(interface_body)
                    .collect();
                Ok(Response::json(200, json!({ "interfaceAttachments": all })))
            }
            (&Method::GET, [port]) => {
                let has = self.ports_of(id).iter().any(|p| p == port);
                let found = self
                    .port(port)
                    .filter(|_| has)
                    .ok_or_else(|| missing(port))?;
                Ok(Response::json(
                    200,
                    json!({"interfaceAttachment": interface_body(found)}),
                ))
            }
            (&Method::POST, []) => {
                check_lock(server, who)?;
                server.check("attach_interface", &["active", "paused", "stopped"])?;
                self.attach_interface(request, who, id)
            }
            (&Method::DELETE, [port]) => {
                check_lock(server, who)?;
                server.check("detach_interface", &["active", "paused", "stopped"])?;
                // The port is looked for by the host, after the answer.
                if !self.ports_of(id).iter().any(|p| p == port) {
                    return Ok(Response::empty(202));
                }
                self.step_after(800, id, 0, Step::DetachNic((*port).to_owned()));
                Ok(Response::empty(202))
            }
            _ => Err(no_route()),
        }
    }

    fn attach_interface(&mut self, request: &Request, who: Caller<'_>, id: &str) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let wanted = body
            .get("interfaceAttachment")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let given = match (text(&wanted, "port_id"), text(&wanted, "net_id")) {
            (Some(_), Some(_)) => {
                return Err(Refusal::new(
                    400,
                    "Must not input both network_id and port_id",
                ));
            }
            (Some(port), None) => json!({ "port": port }),
            (None, Some(network)) => {
                json!({"uuid": network, "fixed_ip": wanted.get("fixed_ips").map(|f| f[0]["ip_address"].clone())})
            }
            (None, None) => match self.networks_for_server(&who.account.project_id).as_slice() {
                [one] => json!({ "uuid": one }),
                _ => {
                    return Err(Refusal::new(
                        400,
                        "Multiple possible networks found, use a Network ID to be more specific.",
                    ));
                }
            },
        };
        let nic = self
            .checked_nic(&given, who)
            .map_err(|refusal| match refusal.status {
                400 if refusal.message.contains("could not be found") => {
                    Refusal::new(404, refusal.message)
                }
                _ => refusal,
            })?;
        let owner = owner_of(self.server_shown(who.account, id)?);
        let nic = self
            .plug(&owner, id, &nic, &[])
            .map_err(|refusal| Refusal::new(400, refusal.message))?;
        let port = nic.port.clone().unwrap_or_default();
        self.server_mut(who.account, id)?.nics.push(nic);
        self.step_after(500, id, 0, Step::AttachNic(port.clone()));
        let body = self.port(&port).map(interface_body);
        Ok(Response::json(200, json!({ "interfaceAttachment": body })))
    }
}

fn interface_body(port: &Object) -> Value {
    json!({"net_id": text_or_empty(port, "network_id"), "port_id": text_or_empty(port, "id"),
        "mac_addr": port["mac_address"], "port_state": port["status"], "fixed_ips": port["fixed_ips"]})
}
