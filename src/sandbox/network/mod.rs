//! Neutron v2.0: networks, subnets, ports, routers, floating IPs, security groups. No packets.
//!
//! Records are kept as the JSON objects that the API shows; what is derived from other records is added when they
//! are shown.

mod address_groups;
mod address_scopes;
mod addresses;
mod collection;
mod floating_ips;
mod kind;
mod networks;
mod ports;
mod quota;
mod router_interfaces;
mod routers;
mod rules;
mod security_groups;
mod subnets;
mod tags;
mod trunks;

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::Method;
use serde_json::{Value, json};

use super::identity::keystone_error;
use super::json::{Object, stamp, text_or_empty};
use super::request::Request;
use super::response::{Answer, Refusal, Response};
use super::world::{Account, World};
use kind::Kind;

/// All state of Neutron.
#[derive(Debug, Clone, Default)]
pub(super) struct Network {
    records: BTreeMap<Kind, BTreeMap<String, Object>>,
    /// Addresses in use, by subnet, and what uses them.
    taken: BTreeMap<(String, IpAddr), String>,
}

const EXTENSIONS: &[&str] = &[
    "address-scope",
    "agent",
    "allowed-address-pairs",
    "availability_zone",
    "default-subnetpools",
    "dns-integration",
    "empty-string-filtering",
    "external-net",
    "extra_dhcp_opt",
    "extraroute",
    "fip-port-details",
    "filter-validation",
    "ip-substring-filtering",
    "router",
    "ext-gw-mode",
    "multi-provider",
    "net-mtu",
    "net-mtu-writable",
    "network_availability_zone",
    "pagination",
    "port-security",
    "port-security-groups-filtering",
    "project-id",
    "provider",
    "quotas",
    "quota_details",
    "rbac-policies",
    "revision-if-match",
    "standard-attr-revisions",
    "router_availability_zone",
    "security-group",
    "security-groups-normalized-cidr",
    "security-groups-remote-address-group",
    "service-type",
    "sorting",
    "standard-attr-description",
    "stateful-security-group",
    "subnet-service-types",
    "subnet_allocation",
    "tag-creation",
    "standard-attr-tag",
    "standard-attr-timestamp",
    "binding",
    "uplink-status-propagation",
    "trunk",
    "trunk-details",
];

impl World {
    /// The networks that a new cloud has: `public`, `shared`, and demo's `private` behind `router1`.
    pub(super) fn found_network(&mut self) {
        let project =
            |world: &Self, name: &str| world.project_id(name).unwrap_or_default().to_owned();
        let (admin, demo) = (project(self, "admin"), project(self, "demo"));
        let account = |project: &str| Account {
            user_id: String::new(),
            user_name: "neutron".to_owned(),
            project_id: project.to_owned(),
            admin: true,
        };
        let (admin, demo) = (account(&admin), account(&demo));
        let public = json!({"name": "public", "router:external": true, "provider:network_type": "flat",
            "provider:physical_network": "public", "mtu": 1500});
        let public = self.founded(Kind::Network, &admin, &public);
        let shared = self.founded(
            Kind::Network,
            &admin,
            &json!({"name": "shared", "shared": true}),
        );
        let private = self.founded(Kind::Network, &demo, &json!({"name": "private"}));
        let subnet = |network: &str, name: &str, cidr: &str, dhcp: bool| json!({"network_id": network, "name": name, "cidr": cidr, "ip_version": 4, "enable_dhcp": dhcp});
        self.founded(
            Kind::Subnet,
            &admin,
            &subnet(&public, "public-subnet", "172.24.0.0/16", false),
        );
        self.founded(
            Kind::Subnet,
            &admin,
            &subnet(&shared, "shared-subnet", "10.32.0.0/16", true),
        );
        let inside = self.founded(
            Kind::Subnet,
            &demo,
            &subnet(&private, "private-subnet", "10.0.0.0/18", true),
        );
        let gateway = json!({"name": "router1", "external_gateway_info": {"network_id": public}});
        let router = self.founded(Kind::Router, &demo, &gateway);
        let interface = Object::from_iter([("subnet_id".to_owned(), json!(inside))]);
        let _ = self.add_router_interface(&demo, &router, &interface);
    }

    fn founded(&mut self, kind: Kind, account: &Account, wanted: &Value) -> String {
        let wanted = wanted.as_object().cloned().unwrap_or_default();
        self.create_record(kind, account, wanted)
            .unwrap_or_default()
    }

    pub(super) fn network_route(&mut self, request: &Request, path: &[&str]) -> Response {
        let answer = match path {
            [] => {
                let link = json!([{"rel": "self", "href": self.url("/network/v2.0/")}]);
                Ok(Response::json(
                    200,
                    json!({"versions": [{"id": "v2.0", "status": "CURRENT", "links": link}]}),
                ))
            }
            ["v2.0", rest @ ..] => match self.account(request) {
                Ok(account) => self.network_call(request, &account, rest),
                Err(refusal) => return keystone_error(refusal),
            },
            _ => Err(no_route()),
        };
        answer.unwrap_or_else(neutron_error)
    }

    fn network_call(&mut self, request: &Request, account: &Account, path: &[&str]) -> Answer {
        match (&request.method, path) {
            (&Method::GET, ["extensions"]) => {
                let all: Vec<Value> = EXTENSIONS.iter().map(|alias| extension(alias)).collect();
                return Ok(Response::json(200, json!({ "extensions": all })));
            }
            (&Method::GET, ["extensions", alias]) => {
                return if EXTENSIONS.contains(alias) {
                    Ok(Response::json(200, json!({"extension": extension(alias)})))
                } else {
                    Err(Refusal::of(
                        404,
                        "HTTPNotFound",
                        format!("Extension with alias {alias} does not exist"),
                    ))
                };
            }
            (&Method::GET, ["availability_zones"]) => {
                return Ok(Response::json(200, json!({"availability_zones": []})));
            }
            (&Method::GET, [empty @ ("agents" | "subnetpools" | "rbac-policies")]) => {
                let name = empty.replace('-', "_");
                return Ok(Response::json(200, json!({ name: [] })));
            }
            (_, ["quotas", rest @ ..]) => return self.network_quotas(request, account, rest),
            _ => {}
        }
        let [collection, rest @ ..] = path else {
            return Err(no_route());
        };
        let kind = Kind::of_path(collection).ok_or_else(no_route)?;
        if kind == Kind::SecurityGroup || kind == Kind::Port {
            self.default_group(&account.project_id);
        }
        match (&request.method, rest) {
            (&Method::GET, []) => self.list_records(kind, request, account),
            (&Method::POST, []) => self.create_records(kind, request, account),
            (&Method::GET, [id]) => {
                let record = self.record_shown(kind, account, id)?;
                let body = self.record_body(kind, record, account, &fields(request));
                Ok(Response::json(200, json!({ kind.member(): body })))
            }
            (&Method::PUT, [id]) => self.update_call(kind, request, account, id),
            (&Method::DELETE, [id]) => {
                self.record_owned(kind, account, id)?;
                self.check_revision(kind, request, id)?;
                self.delete_record(kind, account, id)?;
                Ok(Response::empty(204))
            }
            (_, [_, "tags", ..]) if matches!(kind, Kind::AddressScope | Kind::AddressGroup) => {
                Err(no_route())
            }
            (_, [id, "tags", rest @ ..]) => self.tags_call(kind, request, account, id, rest),
            (&Method::PUT, [id, action]) if kind == Kind::Router => {
                self.router_action(request, account, id, action)
            }
            (&Method::PUT, [id, action]) if kind == Kind::Trunk => {
                self.trunk_action(request, account, id, action)
            }
            _ => Err(no_route()),
        }
    }

    fn create_records(&mut self, kind: Kind, request: &Request, account: &Account) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let many = body.get(kind.collection()).and_then(Value::as_array);
        let wanted: Vec<Object> = match (many, body.get(kind.member()).and_then(Value::as_object)) {
            (Some(many), _) => many.iter().filter_map(|v| v.as_object().cloned()).collect(),
            (None, Some(one)) => vec![one.clone()],
            (None, None) => {
                let text = format!("Unable to find '{}' in request body", kind.member());
                return Err(Refusal::of(400, "HTTPBadRequest", text));
            }
        };
        for one in &wanted {
            kind.check_create(one)?;
        }
        let mut made = Vec::new();
        for one in wanted {
            let id = self.create_record(kind, account, one);
            match id {
                Ok(id) => made.push(id),
                Err(refusal) => {
                    // A bulk request is one transaction.
                    for id in made {
                        self.forget(kind, &id);
                    }
                    return Err(refusal);
                }
            }
        }
        let shown: Vec<Value> = made
            .iter()
            .filter_map(|id| self.record(kind, id))
            .map(|record| self.record_body(kind, record, account, &[]))
            .collect();
        let body = if many.is_some() {
            json!({ kind.collection(): shown })
        } else {
            json!({ kind.member(): shown.into_iter().next() })
        };
        Ok(Response::json(201, body))
    }

    /// Creates one record for an account; gives its id.
    fn create_record(
        &mut self,
        kind: Kind,
        account: &Account,
        mut wanted: Object,
    ) -> Result<String, Refusal> {
        let project = wanted
            .remove("project_id")
            .or_else(|| wanted.remove("tenant_id"));
        wanted.remove("tenant_id");
        let project = project
            .and_then(|p| p.as_str().map(str::to_owned))
            .unwrap_or_else(|| account.project_id.clone());
        if project != account.project_id && !account.admin {
            return Err(policy(&format!("rule:create_{}", kind.member())));
        }
        self.check_network_quota(kind, &project)?;
        self.create_uncounted(kind, account, &project, wanted)
    }

    /// The same whatever the quota says: Neutron's own ports are counted, and never refused.
    fn create_uncounted(
        &mut self,
        kind: Kind,
        account: &Account,
        project: &str,
        wanted: Object,
    ) -> Result<String, Refusal> {
        let mut record = Object::new();
        record.insert("id".into(), json!(self.new_uuid()));
        record.insert("tenant_id".into(), json!(project));
        record.insert("project_id".into(), json!(project));
        record.insert("description".into(), json!(""));
        record.insert("tags".into(), json!([]));
        record.insert("created_at".into(), json!(stamp(self.now)));
        record.insert("updated_at".into(), json!(stamp(self.now)));
        record.insert("revision_number".into(), json!(0));
        match kind {
            Kind::Network => self.create_network(account, record, wanted),
            Kind::Subnet => self.create_subnet(account, record, wanted),
            Kind::Port => self.create_port(account, record, wanted),
            Kind::Router => self.create_router(account, record, wanted),
            Kind::FloatingIp => self.create_floating_ip(account, record, wanted),
            Kind::SecurityGroup => self.create_security_group(record, &wanted),
            Kind::SecurityGroupRule => self.create_rule(account, record, &wanted),
            Kind::AddressScope => self.create_address_scope(account, record, wanted),
            Kind::AddressGroup => self.create_address_group(record, wanted),
            Kind::Trunk => self.create_trunk(account, record, wanted),
        }
    }

    fn update_call(
        &mut self,
        kind: Kind,
        request: &Request,
        account: &Account,
        id: &str,
    ) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let wanted = body
            .get(kind.member())
            .and_then(Value::as_object)
            .cloned()
            .ok_or_else(|| {
                Refusal::of(
                    400,
                    "HTTPBadRequest",
                    format!("Unable to find '{}' in request body", kind.member()),
                )
            })?;
        kind.check_update(&wanted)?;
        self.record_owned(kind, account, id)?;
        self.check_revision(kind, request, id)?;
        match kind {
            Kind::Network => self.update_network(account, id, wanted)?,
            Kind::Subnet => self.update_subnet(id, wanted)?,
            Kind::Port => self.update_port(account, id, wanted)?,
            Kind::Router => self.update_router(account, id, wanted)?,
            Kind::FloatingIp => self.update_floating_ip(account, id, wanted)?,
            Kind::SecurityGroup => self.update_security_group(id, wanted)?,
            Kind::SecurityGroupRule => return Err(no_route()),
            Kind::AddressScope => self.update_address_scope(account, id, wanted)?,
            Kind::AddressGroup => self.update_address_group(id, wanted)?,
            Kind::Trunk => self.update_trunk(id, wanted)?,
        }
        self.touch(kind, id);
        let record = self.record(kind, id).ok_or_else(|| kind.missing(id))?;
        Ok(Response::json(
            200,
            json!({ kind.member(): self.record_body(kind, record, account, &[]) }),
        ))
    }

    fn delete_record(&mut self, kind: Kind, account: &Account, id: &str) -> Result<(), Refusal> {
        match kind {
            Kind::Network => self.delete_network(id)?,
            Kind::Subnet => self.delete_subnet(id)?,
            Kind::Port => self.delete_port(id)?,
            Kind::Router => self.delete_router(id)?,
            Kind::FloatingIp => self.delete_floating_ip(id),
            Kind::SecurityGroup => self.delete_security_group(account, id)?,
            Kind::SecurityGroupRule => self.delete_rule(id),
            Kind::AddressGroup => self.check_address_group(id)?,
            Kind::AddressScope | Kind::Trunk => {}
        }
        self.forget(kind, id);
        Ok(())
    }

    fn check_revision(&self, kind: Kind, request: &Request, id: &str) -> Result<(), Refusal> {
        let Some(asked) = request
            .header_value("if-match")
            .and_then(|h| h.trim_matches('"').strip_prefix("revision_number="))
        else {
            return Ok(());
        };
        let have = self
            .record(kind, id)
            .map_or(Value::Null, |r| r["revision_number"].clone());
        if asked.parse::<u64>().ok() == have.as_u64() {
            return Ok(());
        }
        let text = format!("Constrained to {asked}, but current revision is {have}");
        Err(Refusal::of(412, "RevisionNumberConstraintFailed", text))
    }

    // The store of records.

    fn table(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.network
            .records
            .get(&kind)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    fn record(&self, kind: Kind, id: &str) -> Option<&Object> {
        self.network.records.get(&kind)?.get(id)
    }

    fn record_mut(&mut self, kind: Kind, id: &str) -> Option<&mut Object> {
        self.network.records.get_mut(&kind)?.get_mut(id)
    }

    fn keep(&mut self, kind: Kind, record: Object) -> String {
        let id = text_or_empty(&record, "id").to_owned();
        self.network
            .records
            .entry(kind)
            .or_default()
            .insert(id.clone(), record);
        id
    }

    fn forget(&mut self, kind: Kind, id: &str) {
        if let Some(table) = self.network.records.get_mut(&kind) {
            table.remove(id);
        }
        self.network.taken.retain(|_, user| user != id);
    }

    /// Marks a record as changed now.
    fn touch(&mut self, kind: Kind, id: &str) {
        if kind == Kind::AddressScope {
            return;
        }
        let now = stamp(self.now);
        if let Some(record) = self.record_mut(kind, id) {
            let revision = record["revision_number"].as_u64().unwrap_or(0) + 1;
            record.insert("revision_number".into(), json!(revision));
            record.insert("updated_at".into(), json!(now));
        }
    }

    fn record_shown(&self, kind: Kind, account: &Account, id: &str) -> Result<&Object, Refusal> {
        self.record(kind, id)
            .filter(|r| self.is_shown(kind, r, account))
            .ok_or_else(|| kind.missing(id))
    }

    /// A record that the account may change. Others' records that it may see are refused, those that it may not
    /// see do not exist.
    fn record_owned(&self, kind: Kind, account: &Account, id: &str) -> Result<&Object, Refusal> {
        let record = self.record_shown(kind, account, id)?;
        if account.admin || text_or_empty(record, "project_id") == account.project_id {
            return Ok(record);
        }
        Err(policy(&format!("rule:update_{}", kind.member())))
    }
}

fn fields(request: &Request) -> Vec<String> {
    request
        .query
        .iter()
        .filter(|(n, _)| n == "fields")
        .map(|(_, v)| v.clone())
        .collect()
}

fn extension(alias: &str) -> Value {
    json!({"alias": alias, "name": alias.replace(['-', '_'], " "), "description": alias, "links": [],
        "updated": "2020-01-01T10:00:00-00:00"})
}

fn no_route() -> Refusal {
    Refusal::of(404, "HTTPNotFound", "The resource could not be found.")
}

fn invalid_input(text: &str) -> Refusal {
    let message = format!("Invalid input for operation: {text}");
    Refusal::of(400, "InvalidInput", message)
}

fn bad_request(text: impl Into<String>) -> Refusal {
    Refusal::of(400, "HTTPBadRequest", text)
}

fn policy(rule: &str) -> Refusal {
    Refusal::of(
        403,
        "PolicyNotAuthorized",
        format!("{rule} is disallowed by policy"),
    )
}

fn neutron_error(refusal: Refusal) -> Response {
    let kind = if refusal.kind.is_empty() {
        "HTTPBadRequest"
    } else {
        refusal.kind
    };
    let body = json!({"NeutronError": {"type": kind, "message": refusal.message, "detail": ""}});
    Response {
        headers: refusal.headers,
        ..Response::json(refusal.status, body)
    }
}
