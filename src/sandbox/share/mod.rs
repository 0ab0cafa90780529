//! Manila v2: share networks, which need no back end. No shares, and so nothing that uses one, unless
//! a test says that there is ([`World::use_share_network`]).

mod view;

use std::collections::BTreeMap;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::identity::keystone_error;
use super::json::{Object, text};
use super::request::Request;
use super::response::{Answer, Refusal, Response};
use super::volume::{cinder_error, page_not_found};
use super::world::{Account, World};

/// The only header in which Manila looks for a microversion.
const VERSION: &str = "X-OpenStack-Manila-API-Version";

/// All state of Manila.
#[derive(Debug, Clone, Default)]
pub(super) struct Shares {
    networks: BTreeMap<String, ShareNetwork>,
}

#[derive(Debug, Clone)]
struct ShareNetwork {
    id: String,
    sequence: u64,
    project_id: String,
    name: Value,
    description: Value,
    subnets: Vec<Subnet>,
    created: Timestamp,
    updated: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Subnet {
    id: String,
    zone: Value,
    network: Value,
    subnet: Value,
    /// A share server is in it: its addresses are known, and it cannot be moved.
    in_use: bool,
    created: Timestamp,
}

impl World {
    /// As if a share had been made in this share network: a share server is in its subnet.
    pub fn use_share_network(&mut self, id: &str) {
        if let Some(network) = self.shares.networks.get_mut(id) {
            for subnet in &mut network.subnets {
                subnet.in_use = true;
            }
        }
    }

    pub(super) fn share_route(&mut self, request: &Request, path: &[&str]) -> Response {
        let (answer, minor) = match (path, self.share_version(request)) {
            ([], _) => return Response::json(300, self.share_versions()),
            (["v2", ..], Err(refusal)) => (Err(refusal), 0),
            (["v2"], Ok(minor)) => (Ok(Response::json(200, self.share_versions())), minor),
            (["v2", rest @ ..], Ok(minor)) => (self.share_authorized(request, rest, minor), minor),
            _ => return page_not_found(),
        };
        match answer {
            Ok(response) => response,
            Err(refusal) if refusal.status == 401 => return keystone_error(refusal),
            Err(refusal) if refusal.kind == "no route" => return page_not_found(),
            Err(refusal) => cinder_error(refusal),
        }
        .with(VERSION, format!("2.{minor}"))
        .with("Vary", VERSION)
    }

    fn share_authorized(&mut self, request: &Request, path: &[&str], minor: u32) -> Answer {
        let account = self.account(request)?;
        let path = match path {
            // Before 2.60 the project has to be in the address.
            [first, rest @ ..] if *first == account.project_id => rest,
            other => other,
        };
        match (&request.method, path) {
            (&Method::GET, ["share-networks"]) => self.list_shares(request, &account, minor, false),
            (&Method::GET, ["share-networks", "detail"]) => {
                self.list_shares(request, &account, minor, true)
            }
            (&Method::POST, ["share-networks"]) => {
                self.create_share_network(request, &account, minor)
            }
            (&Method::GET, ["share-networks", id]) => {
                let network = self.share_network(&account, id)?;
                Ok(network.answer(&account, minor))
            }
            (&Method::PUT, ["share-networks", id]) => {
                self.update_share_network(request, &account, id, minor)
            }
            (&Method::DELETE, ["share-networks", id]) => self.delete_share_network(&account, id),
            (&Method::POST, ["share-networks", id, "subnets"]) if minor >= 51 => {
                self.add_share_subnet(request, &account, id)
            }
            (&Method::DELETE, ["share-networks", id, "subnets", subnet]) if minor >= 51 => {
                let network = self.share_network_mut(&account, id)?;
                network.subnets.retain(|it| it.id != *subnet);
                Ok(Response::empty(202))
            }
            _ => Err(Refusal::of(404, "no route", "")),
        }
    }

    /// Manila cuts a list at its `osapi_max_limit` and says nothing of the rest; what it does not know
    /// is a property to filter by.
    fn list_shares(
        &self,
        request: &Request,
        account: &Account,
        minor: u32,
        detailed: bool,
    ) -> Answer {
        let number = |name| request.arg(name).and_then(|it| it.parse::<usize>().ok());
        let limit = number("limit").filter(|it| *it > 0).unwrap_or(usize::MAX);
        let all = account.admin && request.arg("all_tenants").is_some_and(|it| it != "0");
        let project = request.arg("project_id").filter(|_| account.admin);
        let project = project.unwrap_or(&account.project_id);
        let mut found: Vec<&ShareNetwork> = self.shares.networks.values().collect();
        found.retain(|it| all || it.project_id == project);
        found.sort_by_key(|it| it.sequence);
        let mut views: Vec<Value> = Vec::new();
        for network in found {
            let whole = network.view(account, 0);
            let plain = ["all_tenants", "limit", "offset", "project_id"];
            let mut filters = request.query.iter();
            let wanted = filters.all(|(name, value)| {
                plain.contains(&name.as_str()) || whole[name.as_str()] == json!(value)
            });
            if wanted && detailed {
                views.push(network.view(account, minor));
            } else if wanted {
                views.push(json!({"id": network.id, "name": network.name}));
            }
        }
        let most = limit.min(self.options.pages.share);
        let views = views
            .into_iter()
            .skip(number("offset").unwrap_or(0))
            .take(most);
        Ok(Response::json(
            200,
            json!({"share_networks": views.collect::<Vec<_>>()}),
        ))
    }

    fn create_share_network(&mut self, request: &Request, account: &Account, minor: u32) -> Answer {
        let wanted = body(request)?;
        let (network, subnet) = place(&wanted)?;
        let zone = match text(&wanted, "availability_zone") {
            Some(zone) if minor >= 51 => zone_named(zone)?,
            _ => Value::Null,
        };
        let mine = |it: &&ShareNetwork| it.project_id == account.project_id;
        let count = self.shares.networks.values().filter(mine).count();
        let most = self.options.quotas.share.get("share_networks");
        if let Some(most) = most.and_then(|it| usize::try_from(*it).ok())
            && count >= most
        {
            let why = format!("Maximum number of share-networks allowed ({most}) exceeded.");
            return Err(Refusal::new(413, why).with("Retry-After", "0"));
        }
        let made = ShareNetwork {
            id: self.new_uuid(),
            sequence: self.next_sequence(),
            project_id: account.project_id.clone(),
            name: wanted.get("name").cloned().unwrap_or_default(),
            description: wanted.get("description").cloned().unwrap_or_default(),
            subnets: vec![self.new_share_subnet(zone, network, subnet)],
            created: self.now,
            updated: None,
        };
        let answer = made.answer(account, minor);
        self.shares.networks.insert(made.id.clone(), made);
        Ok(answer)
    }

    fn update_share_network(
        &mut self,
        request: &Request,
        account: &Account,
        id: &str,
        minor: u32,
    ) -> Answer {
        let now = self.now;
        let network = self.share_network_mut(account, id)?;
        let wanted = body(request)?;
        let only_words = wanted
            .keys()
            .all(|it| matches!(it.as_str(), "name" | "description"));
        if !only_words && network.subnets.iter().any(|it| it.in_use) {
            let why = format!(
                "Cannot update share network {id}. It is used by share servers. Only 'name' and 'description' fields are available for update"
            );
            return Err(Refusal::new(403, why));
        }
        if wanted.contains_key("neutron_net_id") || wanted.contains_key("neutron_subnet_id") {
            network.put(&wanted)?;
        }
        for (name, value) in wanted {
            match name.as_str() {
                "name" => network.name = value,
                "description" => network.description = value,
                _ => {}
            }
        }
        network.updated = Some(now);
        Ok(network.answer(account, minor))
    }

    fn delete_share_network(&mut self, account: &Account, id: &str) -> Answer {
        let network = self.share_network(account, id)?;
        if network.subnets.len() > 1 {
            let why = format!(
                "The share network {id} has more than one subnet attached. Please remove the subnets untill you have one or no subnets remaining."
            );
            return Err(Refusal::new(409, why));
        }
        if network.subnets.iter().any(|it| it.in_use) {
            let why = format!("Can not delete share network {id}, it has 1 share(s).");
            return Err(Refusal::new(409, why));
        }
        self.shares.networks.remove(id);
        Ok(Response::empty(202))
    }

    fn add_share_subnet(&mut self, request: &Request, account: &Account, id: &str) -> Answer {
        self.share_network(account, id)?;
        let envelope = request.body_json().unwrap_or_default();
        let wanted = envelope
            .get("share-network-subnet")
            .and_then(Value::as_object);
        let wanted = wanted.cloned().ok_or_else(|| {
            Refusal::new(
                400,
                "Share Network Subnet is missing from the request body.",
            )
        })?;
        let (network, subnet) = place(&wanted)?;
        let zone = text(&wanted, "availability_zone").map_or(Ok(Value::Null), zone_named)?;
        let subnet = self.new_share_subnet(zone, network, subnet);
        let answer = json!({"share_network_subnet": subnet.view(account)});
        self.share_network_mut(account, id)?.subnets.push(subnet);
        Ok(Response::json(200, answer))
    }

    fn new_share_subnet(&mut self, zone: Value, network: Value, subnet: Value) -> Subnet {
        Subnet {
            id: self.new_uuid(),
            zone,
            network,
            subnet,
            in_use: false,
            created: self.now,
        }
    }

    fn share_network(&self, account: &Account, id: &str) -> Result<&ShareNetwork, Refusal> {
        let found = self.shares.networks.get(id);
        found
            .filter(|it| account.admin || it.project_id == account.project_id)
            .ok_or_else(|| not_found(id))
    }

    fn share_network_mut(
        &mut self,
        account: &Account,
        id: &str,
    ) -> Result<&mut ShareNetwork, Refusal> {
        let found = self.shares.networks.get_mut(id);
        found
            .filter(|it| account.admin || it.project_id == account.project_id)
            .ok_or_else(|| not_found(id))
    }
}

impl ShareNetwork {
    /// Moves the subnet for all zones; Manila refuses if there is none or more than one.
    fn put(&mut self, wanted: &Object) -> Result<(), Refusal> {
        let id = &self.id;
        let mut of_all = self.subnets.iter_mut().filter(|it| it.zone.is_null());
        let (Some(subnet), None) = (of_all.next(), of_all.next()) else {
            let why = format!(
                "The share network {id} does not have an unique 'default' subnet that serves all availability zones, so subnet details ('neutron_net_id', 'neutron_subnet_id') cannot be updated."
            );
            return Err(Refusal::new(400, why));
        };
        let given = |name| wanted.get(name).filter(|it| !it.is_null());
        let (network, inner) = (given("neutron_net_id"), given("neutron_subnet_id"));
        if subnet.network.is_null() && (network.is_none() || inner.is_none()) {
            let why = format!(
                "To update the share network {id} you need to specify both 'neutron_net_id' and 'neutron_subnet_id'."
            );
            return Err(Refusal::new(400, why));
        }
        if let Some(network) = network {
            subnet.network = network.clone();
        }
        if let Some(inner) = inner {
            subnet.subnet = inner.clone();
        }
        Ok(())
    }
}

fn body(request: &Request) -> Result<Object, Refusal> {
    let envelope = request.body_json().unwrap_or_default();
    let wanted = envelope.get("share_network").and_then(Value::as_object);
    // Unprocessable, with the words of WebOb.
    wanted
        .cloned()
        .ok_or_else(|| Refusal::new(422, "Unable to process the contained instructions"))
}

/// The network and the subnet of a request: both or none.
fn place(wanted: &Object) -> Result<(Value, Value), Refusal> {
    let (network, subnet) = (
        wanted.get("neutron_net_id"),
        wanted.get("neutron_subnet_id"),
    );
    if network.is_some() != subnet.is_some() {
        return Err(Refusal::new(
            400,
            "When creating a new share network subnet you need to specify both neutron_net_id and neutron_subnet_id or none of them.",
        ));
    }
    let given = |it: Option<&Value>| it.cloned().unwrap_or_default();
    Ok((given(network), given(subnet)))
}

fn zone_named(zone: &str) -> Result<Value, Refusal> {
    match zone {
        "nova" => Ok(json!(zone)),
        _ => Err(Refusal::new(
            400,
            format!("The provided availability zone {zone} does not exist."),
        )),
    }
}

fn not_found(id: &str) -> Refusal {
    Refusal::new(404, format!("Share network {id} could not be found."))
}
