//! Nova v2.1 with its microversions: servers and what belongs to them.

mod actions;
mod attachments;
mod create;
mod flavors;
mod groups;
mod interfaces;
mod keypairs;
mod lifecycle;
mod list;
mod metadata;
mod networks;
mod quota;
mod server;
mod snapshots;
mod view;

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

pub(super) use server::ServerEvent;

use super::identity::keystone_error;
use super::request::Request;
use super::response::{Answer, Refusal, Response};
use super::volume::page_not_found;
use super::world::{Account, World};
use server::Server;

/// All state of Nova.
#[derive(Debug, Clone, Default)]
pub(super) struct Compute {
    servers: BTreeMap<String, Server>,
    flavors: Vec<flavors::Flavor>,
    /// By user id and name.
    keypairs: BTreeMap<(String, String), keypairs::Keypair>,
    groups: BTreeMap<String, groups::ServerGroup>,
}

/// Who asks, and in which microversion.
#[derive(Debug, Clone, Copy)]
struct Caller<'a> {
    account: &'a Account,
    minor: u32,
}

impl World {
    pub(super) fn compute_route(&mut self, request: &Request, path: &[&str]) -> Response {
        let newest = self.options.microversions.compute;
        let path = match path {
            [] => return Response::json(200, self.compute_versions()),
            ["v2.1", rest @ ..] => rest,
            _ => return page_not_found(),
        };
        let asked = request_version(request).to_owned();
        let (answer, shown) = match asked_version(&asked, newest) {
            Err(refusal) if refusal.status == 400 => return nova_error(refusal),
            Err(refusal) => (Err(refusal), asked),
            Ok(minor) => (
                self.compute_authorized(request, path, minor),
                format!("2.{minor}"),
            ),
        };
        match answer {
            Ok(response) => response,
            Err(refusal) if refusal.status == 401 => return keystone_error(refusal),
            Err(refusal) if refusal.kind == "no route" => return page_not_found(),
            Err(refusal) => nova_error(refusal),
        }
        .with("OpenStack-API-Version", format!("compute {shown}"))
        .with("X-OpenStack-Nova-API-Version", shown)
        .with(
            "Vary",
            "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
        )
    }

    fn compute_authorized(&mut self, request: &Request, path: &[&str], minor: u32) -> Answer {
        if path.is_empty() {
            return Ok(Response::json(200, self.compute_version()));
        }
        let account = self.account(request)?;
        let path = if path[0] == account.project_id || self.project_named(path[0]) {
            &path[1..]
        } else {
            path
        };
        self.compute_call(
            request,
            Caller {
                account: &account,
                minor,
            },
            path,
        )
    }

    fn compute_call(&mut self, request: &Request, who: Caller<'_>, path: &[&str]) -> Answer {
        match (&request.method, path) {
            (&Method::GET, ["servers"]) => self.list_servers(request, who, false),
            (&Method::GET, ["servers", "detail"]) => self.list_servers(request, who, true),
            (&Method::POST, ["servers"]) => self.create_server(request, who),
            (&Method::GET, ["servers", id]) => {
                let server = self.server_shown(who.account, id)?;
                Ok(Response::json(
                    200,
                    json!({"server": self.server_body(server, who, true)}),
                ))
            }
            (&Method::PUT, ["servers", id]) => self.update_server(request, who, id),
            (&Method::DELETE, ["servers", id]) => self.delete_server(who, id),
            (&Method::POST, ["servers", id, "action"]) => self.server_action(request, who, id),
            (&Method::GET, ["servers", id, "ips"]) => {
                let server = self.server_shown(who.account, id)?;
                Ok(Response::json(
                    200,
                    json!({"addresses": self.server_addresses(server)}),
                ))
            }
            (_, ["servers", id, "metadata", rest @ ..]) => {
                self.server_metadata(request, who, id, rest)
            }
            (_, ["servers", id, "tags", rest @ ..]) => self.server_tags(request, who, id, rest),
            (_, ["servers", id, "os-volume_attachments", rest @ ..]) => {
                self.attachments(request, who, id, rest)
            }
            (_, ["servers", id, "os-interface", rest @ ..]) => {
                self.interfaces(request, who, id, rest)
            }
            (&Method::GET, ["servers", id, "os-security-groups"]) => {
                let server = self.server_shown(who.account, id)?;
                Ok(Response::json(
                    200,
                    json!({"security_groups": self.server_groups_full(server)}),
                ))
            }
            (&Method::GET, ["servers", id, "os-instance-actions"]) => {
                let server = self.server_shown(who.account, id)?;
                Ok(Response::json(
                    200,
                    json!({"instanceActions": server.history_body()}),
                ))
            }
            (_, ["flavors", rest @ ..]) => self.flavors_call(request, who, rest),
            (_, ["os-keypairs", rest @ ..]) => self.keypairs_call(request, who, rest),
            (_, ["os-server-groups", rest @ ..]) => self.groups_call(request, who, rest),
            (_, ["os-quota-sets", project, rest @ ..]) => {
                self.compute_quota_sets(request, who, project, rest)
            }
            (&Method::GET, ["limits"]) => Ok(Response::json(200, self.compute_limits(who))),
            (&Method::GET, ["os-availability-zone", rest @ ..]) => {
                let mut zone =
                    json!({"zoneName": "nova", "zoneState": {"available": true}, "hosts": null});
                if rest == ["detail"] {
                    only_admin(who, "os_compute_api:os-availability-zone:detail")?;
                    zone["hosts"] =
                        json!({"sandbox-1": {"nova-compute": {"active": true, "available": true}}});
                }
                Ok(Response::json(200, json!({"availabilityZoneInfo": [zone]})))
            }
            (&Method::GET, ["os-hypervisors", ..]) => {
                only_admin(who, "os_compute_api:os-hypervisors:list")?;
                let (vcpus, ram, disk) = self.options.host;
                Ok(Response::json(
                    200,
                    json!({"hypervisors": [{"id": 1, "hypervisor_hostname": "sandbox-1",
                    "state": "up", "status": "enabled", "vcpus": vcpus, "memory_mb": ram, "local_gb": disk,
                    "running_vms": self.compute.servers.values().filter(|s| s.deleted.is_none()).count()}]}),
                ))
            }
            (&Method::GET, ["os-services"]) => {
                only_admin(who, "os_compute_api:os-services:list")?;
                Ok(Response::json(
                    200,
                    json!({"services": [{"id": 1, "binary": "nova-compute", "host": "sandbox-1",
                    "state": "up", "status": "enabled", "zone": "nova"}]}),
                ))
            }
            (&Method::GET, ["extensions"]) => Ok(Response::json(200, json!({"extensions": []}))),
            _ => Err(no_route()),
        }
    }

    /// A server that is there and that the account may see.
    fn server_shown(&self, account: &Account, id: &str) -> Result<&Server, Refusal> {
        self.compute
            .servers
            .get(id)
            .filter(|s| {
                s.deleted.is_none() && (account.admin || s.project_id == account.project_id)
            })
            .ok_or_else(|| Refusal::new(404, format!("Instance {id} could not be found.")))
    }

    fn server_mut(&mut self, account: &Account, id: &str) -> Result<&mut Server, Refusal> {
        self.server_shown(account, id)?;
        let found = self.compute.servers.get_mut(id);
        found.ok_or_else(|| Refusal::new(404, format!("Instance {id} could not be found.")))
    }

    fn compute_links(&self, collection: &str, id: &str) -> Value {
        json!([{"rel": "self", "href": self.url(&format!("/compute/v2.1/{collection}/{id}"))},
            {"rel": "bookmark", "href": self.url(&format!("/compute/{collection}/{id}"))}])
    }

    fn bookmark(&self, collection: &str, id: &str) -> Value {
        json!([{"rel": "bookmark", "href": self.url(&format!("/compute/{collection}/{id}"))}])
    }

    fn next_page(&self, request: &Request, last: &str) -> Value {
        let query = request.query_without(&["marker"]);
        let joint = if query.is_empty() { '?' } else { '&' };
        let href = self.url(&format!("{}{query}{joint}marker={last}", request.path));
        json!([{"rel": "next", "href": href}])
    }

    fn compute_versions(&self) -> Value {
        let mut current = self.compute_version()["version"].take();
        current.as_object_mut().map(|o| o.remove("media-types"));
        current["links"] = json!([{"rel": "self", "href": self.url("/compute/v2.1/")}]);
        json!({"versions": [
            {"id": "v2.0", "status": "DEPRECATED", "version": "", "min_version": "", "updated": "2025-07-04T12:00:00Z",
                "links": [{"rel": "self", "href": self.url("/compute/v2/")}]},
            current]})
    }

    fn compute_version(&self) -> Value {
        json!({"version": {"id": "v2.1", "status": "CURRENT", "min_version": "2.1",
            "version": format!("2.{}", self.options.microversions.compute), "updated": "2013-07-23T11:33:21Z",
            "links": [{"rel": "self", "href": self.url("/compute/v2.1/")},
                {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}],
            "media-types": [{"base": "application/json",
                "type": "application/vnd.openstack.compute+json;version=2.1"}]}})
    }
}

fn no_route() -> Refusal {
    Refusal::of(404, "no route", "The resource could not be found.")
}

fn only_admin(who: Caller<'_>, rule: &str) -> Result<(), Refusal> {
    if who.account.admin {
        return Ok(());
    }
    Err(Refusal::new(
        403,
        format!("Policy doesn't allow {rule} to be performed."),
    ))
}

/// The form of a refusal by Nova's JSON schemas.
fn invalid(field: &str, value: &Value, why: &str) -> Refusal {
    let shown = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    Refusal::new(
        400,
        format!("Invalid input for field/attribute {field}. Value: {shown}. {why}"),
    )
}

/// The name of a server.
fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.chars().count() > 255 {
        let why = format!("'{name}' is too short or too long");
        return Err(invalid("name", &json!(name), &why));
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        let why = "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace.";
        return Err(Refusal::new(400, why));
    }
    Ok(())
}

fn request_version(request: &Request) -> &str {
    let newer = request
        .header_value("openstack-api-version")
        .and_then(|v| v.strip_prefix("compute "));
    newer
        .or_else(|| request.header_value("x-openstack-nova-api-version"))
        .unwrap_or("2.1")
        .trim()
}

fn asked_version(text: &str, newest: u32) -> Result<u32, Refusal> {
    if text == "latest" {
        return Ok(newest);
    }
    let parsed = text
        .split_once('.')
        .and_then(|(a, b)| Some((a.parse::<u32>().ok()?, b.parse::<u32>().ok()?)));
    let Some((major, minor)) = parsed else {
        let why = format!(
            "API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
        );
        return Err(Refusal::new(400, why));
    };
    if major != 2 || minor == 0 || minor > newest {
        let why = format!(
            "Version {text} is not supported by the API. Minimum is 2.1 and maximum is 2.{newest}."
        );
        return Err(Refusal::new(406, why));
    }
    Ok(minor)
}

fn nova_error(refusal: Refusal) -> Response {
    let name = match refusal.status {
        400 => "badRequest",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 | 429 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };
    let body = json!({name: {"code": refusal.status, "message": refusal.message}});
    Response {
        headers: refusal.headers,
        ..Response::json(refusal.status, body)
    }
}
