//! What Nova asks of Neutron: which networks and groups a new server gets, and its ports.

use serde_json::{Value, json};

use super::super::json::{Object, text, text_or_empty};
use super::super::response::Refusal;
use super::super::world::{Account, World};
use super::server::{Nic, Server};
use super::{Caller, invalid};

impl World {
    pub(super) fn checked_nics(
        &mut self,
        wanted: &Object,
        who: Caller<'_>,
    ) -> Result<Vec<Nic>, Refusal> {
        let listed = match wanted.get("networks") {
            Some(Value::String(text)) if text == "none" && who.minor >= 37 => return Ok(Vec::new()),
            Some(Value::String(text)) if text == "auto" && who.minor >= 37 => Vec::new(),
            Some(Value::Array(list)) => list.clone(),
            Some(other) => {
                return Err(invalid(
                    "networks",
                    other,
                    "it is not valid under any of the given schemas",
                ));
            }
            None => Vec::new(),
        };
        if listed.is_empty() {
            let available = self.networks_for_server(&who.account.project_id);
            return match available.as_slice() {
                [] if wanted.contains_key("networks") && who.minor >= 37 => Err(Refusal::new(
                    400,
                    "Unable to automatically allocate a network for project ".to_owned()
                        + &who.account.project_id,
                )),
                [] => Ok(Vec::new()),
                [one] => {
                    self.check_network(who.account, one)?;
                    Ok(vec![Nic {
                        network: Some(one.clone()),
                        fixed_ip: None,
                        port: None,
                        made_by_nova: true,
                    }])
                }
                _ => Err(Refusal::new(
                    409,
                    "Multiple possible networks found, use a Network ID to be more specific.",
                )),
            };
        }
        let mut nics: Vec<Nic> = Vec::new();
        for one in &listed {
            let nic = self.checked_nic(one, who)?;
            if nic.port.is_some() && nics.iter().any(|n| n.port == nic.port) {
                return Err(Refusal::new(
                    400,
                    format!("Port id {} is given twice.", nic.port.unwrap_or_default()),
                ));
            }
            nics.push(nic);
        }
        Ok(nics)
    }

    pub(super) fn checked_nic(&self, given: &Value, who: Caller<'_>) -> Result<Nic, Refusal> {
        let empty = Object::new();
        let given = given.as_object().unwrap_or(&empty);
        if let Some(id) = text(given, "port") {
            let port = self
                .port_for_server(who.account, id)
                .ok_or_else(|| Refusal::new(400, format!("Port id {id} could not be found.")))?;
            if !text_or_empty(port, "device_id").is_empty() {
                return Err(Refusal::new(409, format!("Port {id} is still in use.")));
            }
            if port["fixed_ips"].as_array().is_none_or(Vec::is_empty) {
                return Err(Refusal::new(
                    400,
                    format!("Port {id} requires a FixedIP in order to be used."),
                ));
            }
            return Ok(Nic {
                network: None,
                fixed_ip: None,
                port: Some(id.to_owned()),
                made_by_nova: false,
            });
        }
        let id = text(given, "uuid").ok_or_else(|| {
            Refusal::new(
                400,
                "Bad networks format: network uuid is not in proper format (None)",
            )
        })?;
        self.check_network(who.account, id)?;
        let fixed_ip = text(given, "fixed_ip").map(str::to_owned);
        Ok(Nic {
            network: Some(id.to_owned()),
            fixed_ip,
            port: None,
            made_by_nova: true,
        })
    }

    fn check_network(&self, account: &Account, id: &str) -> Result<(), Refusal> {
        let network = self
            .network_for_server(account, id)
            .ok_or_else(|| Refusal::new(400, format!("Network {id} could not be found.")))?;
        if network["router:external"] == true && network["shared"] != true && !account.admin {
            return Err(Refusal::new(
                403,
                format!("It is not allowed to create an interface on external network {id}"),
            ));
        }
        if !self.network_has_subnets(id) {
            return Err(Refusal::new(
                400,
                format!("Network {id} requires a subnet in order to boot instances on."),
            ));
        }
        Ok(())
    }

    /// Names or ids of the groups for the ports that Nova makes.
    pub(super) fn checked_server_groups(
        &self,
        wanted: &Object,
        who: Caller<'_>,
    ) -> Result<Vec<String>, Refusal> {
        let listed = wanted
            .get("security_groups")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut names = Vec::new();
        for name in listed.iter().filter_map(|g| g["name"].as_str()) {
            self.one_group(who.account, name)
                .map(|_| names.push(name.to_owned()))?;
        }
        Ok(names)
    }

    /// The one group of this name or id.
    pub(super) fn one_group(&self, account: &Account, name: &str) -> Result<String, Refusal> {
        match self.groups_called(account, name).as_slice() {
            // The default group is made by Neutron when the first port is.
            [] if name == "default" => Ok(String::new()),
            [] => Err(Refusal::new(
                400,
                format!(
                    "Security group {name} not found for project {}.",
                    account.project_id
                ),
            )),
            [one] => Ok(one.clone()),
            _ => Err(Refusal::new(
                409,
                format!(
                    "Multiple security_groups matching '{name}' found for project '{}'. Use security group id to be more \
                 specific.",
                    account.project_id
                ),
            )),
        }
    }

    /// Makes or takes the ports of a server that is being built.
    pub(super) fn plug_all(&mut self, server: &Server) -> Result<Vec<Nic>, Refusal> {
        let account = owner_of(server);
        let groups: Vec<String> = server
            .groups_asked
            .iter()
            .filter_map(|name| self.one_group(&account, name).ok())
            .filter(|id| !id.is_empty())
            .collect();
        let mut nics: Vec<Nic> = Vec::new();
        for nic in &server.nics {
            match self.plug(&account, &server.id, nic, &groups) {
                Ok(nic) => nics.push(nic),
                Err(refusal) => {
                    for nic in &nics {
                        self.unplug(nic);
                    }
                    return Err(refusal);
                }
            }
        }
        Ok(nics)
    }

    /// Makes or takes one port.
    pub(super) fn plug(
        &mut self,
        account: &Account,
        server: &str,
        nic: &Nic,
        groups: &[String],
    ) -> Result<Nic, Refusal> {
        if let Some(id) = &nic.port {
            let taken = self
                .port(id)
                .map(|p| text_or_empty(p, "device_id").to_owned());
            match taken.as_deref() {
                None => return Err(Refusal::new(400, format!("Port {id} could not be found."))),
                Some("") => {}
                Some(other) if other == server => {}
                Some(_) => return Err(Refusal::new(409, format!("Port {id} is still in use."))),
            }
            self.bind_port(id, Some(server));
            return Ok(nic.clone());
        }
        let mut wanted = Object::new();
        wanted.insert("network_id".into(), json!(nic.network));
        wanted.insert("project_id".into(), json!(account.project_id));
        wanted.insert("device_id".into(), json!(server));
        wanted.insert("device_owner".into(), json!("compute:nova"));
        if let Some(ip) = &nic.fixed_ip {
            wanted.insert("fixed_ips".into(), json!([{ "ip_address": ip }]));
        }
        if !groups.is_empty() {
            wanted.insert("security_groups".into(), json!(groups));
        }
        let id = self.make_server_port(account, wanted)?;
        self.bind_port(&id, Some(server));
        Ok(Nic {
            port: Some(id),
            ..nic.clone()
        })
    }

    /// Lets go of a port: Nova deletes what it made and frees what it was given.
    pub(super) fn unplug(&mut self, nic: &Nic) {
        let Some(port) = &nic.port else { return };
        if nic.made_by_nova {
            self.drop_server_port(port);
        } else {
            self.bind_port(port, None);
        }
    }

    /// A port was deleted behind Nova's back: Neutron tells Nova.
    pub(in super::super) fn unplug_from_servers(&mut self, port: &str) {
        for server in self.compute.servers.values_mut() {
            server.nics.retain(|nic| nic.port.as_deref() != Some(port));
        }
    }

    pub(super) fn network_name(&self, id: &str) -> String {
        let nobody = Account {
            user_id: String::new(),
            user_name: String::new(),
            project_id: String::new(),
            admin: true,
        };
        self.network_for_server(&nobody, id)
            .map_or_else(|| id.to_owned(), |n| text_or_empty(n, "name").to_owned())
    }
}

/// The account in whose name Nova acts for a server.
pub(super) fn owner_of(server: &Server) -> Account {
    Account {
        user_id: server.user_id.clone(),
        user_name: String::new(),
        project_id: server.project_id.clone(),
        admin: false,
    }
}
