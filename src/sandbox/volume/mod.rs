//! Cinder v3: volumes, snapshots, types, quotas.

mod actions;
mod attachments;
mod create;
mod list;
mod metadata;
mod quota;
mod snapshots;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::identity::keystone_error;
use super::json::{Object, stamp_micros};
use super::request::Request;
use super::response::{Answer, Body, Refusal, Response};
use super::world::{Account, Event, World};

/// All state of Cinder.
#[derive(Debug, Clone, Default)]
pub(super) struct Volumes {
    pub(super) volumes: BTreeMap<String, Volume>,
    snapshots: BTreeMap<String, snapshots::Snapshot>,
    types: Vec<VolumeType>,
}

#[derive(Debug, Clone)]
pub(super) struct Volume {
    pub(super) id: String,
    pub(super) sequence: u64,
    pub(super) name: Value,
    description: Value,
    pub(super) status: String,
    /// Where a failed or finished attach or extend goes back to.
    previous: String,
    pub(super) size: i64,
    zone: String,
    type_name: String,
    type_id: String,
    pub(super) multiattach: bool,
    pub(in super::super) bootable: bool,
    pub(super) project_id: String,
    user_id: String,
    metadata: Object,
    image_metadata: Object,
    snapshot_id: Value,
    source_volid: Value,
    created: Timestamp,
    updated: Option<Timestamp>,
    pub(super) attachments: Vec<Attachment>,
}

/// A volume's attachment to a server, which Nova makes.
#[derive(Debug, Clone)]
pub(super) struct Attachment {
    pub(super) id: String,
    pub(super) server_id: String,
    pub(super) device: String,
    attached: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct VolumeType {
    id: String,
    name: String,
    description: Value,
    is_public: bool,
    extra_specs: Object,
}

/// What happens to a volume by itself.
#[derive(Debug, Clone)]
pub(super) enum VolumeEvent {
    Download,
    Created,
    Deleted,
    Extended(i64),
    Retyped(String),
    SnapshotCreated,
    SnapshotDeleted,
}

const DEFAULT_TYPE: &str = "lvmdriver-1";

impl World {
    pub(super) fn found_volumes(&mut self) {
        let multiattach = Object::from_iter([("multiattach".to_owned(), json!("<is> True"))]);
        for (name, description, extra_specs) in [
            ("lvmdriver-1", Value::Null, Object::new()),
            ("multiattach", Value::Null, multiattach),
            ("lvmdriver-2", Value::Null, Object::new()),
            ("__DEFAULT__", json!("Default Volume Type"), Object::new()),
        ] {
            let id = self.new_uuid();
            self.volumes.types.push(VolumeType {
                id,
                name: name.to_owned(),
                description,
                is_public: true,
                extra_specs,
            });
        }
    }

    pub(super) fn volume_route(&mut self, request: &Request, path: &[&str]) -> Response {
        let newest = self.options.microversions.volume;
        let (answer, version) = match (path, asked_version(request, newest)) {
            ([] | ["v3"], _) => {
                let status = if path.is_empty() { 300 } else { 200 };
                (
                    Ok(Response::json(status, self.volume_versions())),
                    "3.0".to_owned(),
                )
            }
            (_, Err(refusal)) => (Err(refusal), request_version(request).to_owned()),
            (["v3", rest @ ..], Ok(minor)) => (
                self.volume_authorized(request, rest, minor),
                format!("3.{minor}"),
            ),
            _ => return page_not_found(),
        };
        match answer {
            Ok(response) => response,
            Err(refusal) if refusal.status == 401 => return keystone_error(refusal),
            Err(refusal) if refusal.kind == "no route" => return page_not_found(),
            Err(refusal) => cinder_error(refusal),
        }
        .with("OpenStack-API-Version", format!("volume {version}"))
        .with("Vary", "OpenStack-API-Version")
    }

    fn volume_authorized(&mut self, request: &Request, path: &[&str], minor: u32) -> Answer {
        let account = self.account(request)?;
        let path = match path {
            [first, rest @ ..] if *first == account.project_id => rest,
            [first, ..] if self.project_named(first) && account.admin => &path[1..],
            [first, ..] if first.len() == 32 && first.bytes().all(|b| b.is_ascii_hexdigit()) => {
                return Err(Refusal::new(400, "Malformed request url"));
            }
            other => other,
        };
        self.volume_call(request, &account, path, minor)
    }

    fn volume_call(
        &mut self,
        request: &Request,
        account: &Arc<Account>,
        path: &[&str],
        minor: u32,
    ) -> Answer {
        match (&request.method, path) {
            (&Method::GET, ["volumes"]) => self.list_volumes(request, account, minor, false),
            (&Method::GET, ["volumes", "detail"]) => {
                self.list_volumes(request, account, minor, true)
            }
            (&Method::GET, ["volumes", "summary"]) => self.volume_summary(account),
            (&Method::POST, ["volumes"]) => self.create_volume(request, account, minor),
            (&Method::GET, ["volumes", id]) => {
                let body = self.volume_body(self.volume_shown(account, id)?, account, minor, true);
                Ok(Response::json(200, json!({ "volume": body })))
            }
            (&Method::PUT, ["volumes", id]) => self.update_volume(request, account, id, minor),
            (&Method::DELETE, ["volumes", id]) => self.delete_volume(request, account, id),
            (&Method::POST, ["volumes", id, "action"]) => {
                self.volume_action(request, account, id, minor)
            }
            (_, ["volumes", id, "metadata", rest @ ..]) => {
                self.volume_metadata(request, account, id, rest)
            }
            (_, ["snapshots", rest @ ..]) => self.snapshots_call(request, account, rest),
            (_, ["types", rest @ ..]) => self.types_call(request, account, rest),
            (&Method::GET, ["os-availability-zone"]) => Ok(Response::json(
                200,
                json!({"availabilityZoneInfo": [
                {"zoneName": "nova", "zoneState": {"available": true}}]}),
            )),
            (&Method::GET, ["limits"]) => Ok(Response::json(200, self.volume_limits(account))),
            (_, ["os-quota-sets", project, rest @ ..]) => {
                self.volume_quota_sets(request, account, project, rest)
            }
            (_, ["attachments", rest @ ..]) => self.attachments_call(request, account, rest, minor),
            (&Method::GET, ["extensions"]) => Ok(Response::json(200, json!({"extensions": []}))),
            _ => Err(Refusal::of(
                404,
                "no route",
                "The resource could not be found.",
            )),
        }
    }

    /// A volume that the account may see.
    pub(super) fn volume_shown(&self, account: &Account, id: &str) -> Result<&Volume, Refusal> {
        self.volumes
            .volumes
            .get(id)
            .filter(|v| account.admin || v.project_id == account.project_id)
            .ok_or_else(|| volume_not_found(id))
    }

    fn volume_mut(&mut self, account: &Account, id: &str) -> Result<&mut Volume, Refusal> {
        self.volume_shown(account, id)?;
        self.volumes
            .volumes
            .get_mut(id)
            .ok_or_else(|| volume_not_found(id))
    }

    fn update_volume(
        &mut self,
        request: &Request,
        account: &Account,
        id: &str,
        minor: u32,
    ) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let wanted = body
            .get("volume")
            .and_then(Value::as_object)
            .cloned()
            .ok_or_else(bad_body)?;
        let now = self.now;
        let volume = self.volume_mut(account, id)?;
        for (name, value) in wanted {
            match name.as_str() {
                "name" | "display_name" => volume.name = value,
                "description" | "display_description" => volume.description = value,
                "metadata" => volume.metadata = value.as_object().cloned().unwrap_or_default(),
                _ => {}
            }
        }
        volume.updated = Some(now);
        let body = self.volume_body(self.volume_shown(account, id)?, account, minor, false);
        Ok(Response::json(200, json!({ "volume": body })))
    }

    fn delete_volume(&mut self, request: &Request, account: &Account, id: &str) -> Answer {
        self.volume_shown(account, id)?;
        if request
            .arg("cascade")
            .is_some_and(|v| v.eq_ignore_ascii_case("true"))
        {
            self.volumes
                .snapshots
                .retain(|_, snapshot| snapshot.volume_id != id);
        }
        self.remove_volume(id)?;
        Ok(Response::empty(202))
    }

    /// Starts the deletion of a volume, for its owner or for Nova.
    pub(super) fn remove_volume(&mut self, id: &str) -> Result<(), Refusal> {
        let has_snapshots = self.volumes.snapshots.values().any(|s| s.volume_id == id);
        let now = self.now;
        let volume = self
            .volumes
            .volumes
            .get_mut(id)
            .ok_or_else(|| volume_not_found(id))?;
        let allowed = [
            "available",
            "error",
            "error_restoring",
            "error_extending",
            "error_managing",
        ];
        if !allowed.contains(&volume.status.as_str())
            || !volume.attachments.is_empty()
            || has_snapshots
        {
            return Err(Refusal::new(
                400,
                "Invalid volume: Volume status must be available or error or \
                error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a \
                group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.",
            ));
        }
        "deleting".clone_into(&mut volume.status);
        volume.updated = Some(now);
        self.after(1000, Event::Volume(id.to_owned(), VolumeEvent::Deleted));
        Ok(())
    }

    pub(super) fn volume_event(&mut self, id: &str, event: VolumeEvent) {
        if matches!(
            event,
            VolumeEvent::SnapshotCreated | VolumeEvent::SnapshotDeleted
        ) {
            return self.snapshot_event(id, &event);
        }
        let now = self.now;
        let type_id = match &event {
            VolumeEvent::Retyped(name) => self
                .volumes
                .types
                .iter()
                .find(|t| t.name == *name)
                .map(|t| t.id.clone()),
            _ => None,
        };
        let Some(volume) = self.volumes.volumes.get_mut(id) else {
            return;
        };
        volume.updated = Some(now);
        match event {
            VolumeEvent::Download if volume.status == "creating" => {
                "downloading".clone_into(&mut volume.status);
                let created = Event::Volume(id.to_owned(), VolumeEvent::Created);
                self.after_chosen(self.options.build, 1500, created);
            }
            VolumeEvent::Created
                if matches!(volume.status.as_str(), "creating" | "downloading") =>
            {
                "available".clone_into(&mut volume.status);
            }
            VolumeEvent::Deleted if volume.status == "deleting" => {
                self.volumes.volumes.remove(id);
            }
            VolumeEvent::Extended(size) if volume.status == "extending" => {
                volume.size = size;
                volume.status = volume.previous.clone();
            }
            VolumeEvent::Retyped(name) if volume.status == "retyping" => {
                volume.type_name = name;
                volume.type_id = type_id.unwrap_or_default();
                volume.status = volume.previous.clone();
            }
            _ => {}
        }
    }

    fn volume_versions(&self) -> Value {
        json!({"versions": [{"id": "v3.0", "status": "CURRENT", "min_version": "3.0",
            "version": format!("3.{}", self.options.microversions.volume), "updated": "2023-08-31T00:00:00Z",
            "links": [{"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
                {"rel": "self", "href": self.url("/volume/v3/")}],
            "media-types": [{"base": "application/json",
                "type": "application/vnd.openstack.volume+json;version=3"}]}]})
    }

    fn volume_body(&self, volume: &Volume, account: &Account, minor: u32, full: bool) -> Value {
        let attachments: Vec<Value> = volume
            .attachments
            .iter()
            .filter_map(|a| {
                let attached = a.attached?;
                Some(json!({"id": volume.id, "attachment_id": a.id, "volume_id": volume.id, "server_id": a.server_id,
                    "host_name": if account.admin { json!("sandbox-1") } else { Value::Null },
                    "device": a.device, "attached_at": stamp_micros(attached)}))
            })
            .collect();
        let mut body = json!({
            "id": volume.id, "status": volume.status, "size": volume.size, "availability_zone": volume.zone,
            "created_at": stamp_micros(volume.created), "updated_at": volume.updated.map(stamp_micros),
            "name": volume.name, "description": volume.description, "volume_type": volume.type_name,
            "snapshot_id": volume.snapshot_id, "source_volid": volume.source_volid, "metadata": volume.metadata,
            "links": self.volume_links("volumes", &volume.id), "user_id": volume.user_id,
            "bootable": volume.bootable.to_string(), "encrypted": false, "replication_status": null,
            "consistencygroup_id": null, "multiattach": volume.multiattach, "attachments": attachments,
        });
        if full {
            body["os-vol-tenant-attr:tenant_id"] = json!(volume.project_id);
            if account.admin {
                body["os-vol-host-attr:host"] = json!("sandbox-1@lvmdriver-1#lvmdriver-1");
                body["os-vol-mig-status-attr:migstat"] = Value::Null;
                body["os-vol-mig-status-attr:name_id"] = Value::Null;
            }
            if !volume.image_metadata.is_empty() {
                body["volume_image_metadata"] = json!(volume.image_metadata);
            }
        }
        if minor >= 13 {
            body["group_id"] = Value::Null;
        }
        if minor >= 48 {
            body["shared_targets"] = json!(false);
            body["service_uuid"] = Value::Null;
        }
        if minor >= 61 {
            body["cluster_name"] = Value::Null;
            if !account.admin {
                body.as_object_mut().map(|o| o.remove("cluster_name"));
            }
        }
        if minor >= 63 {
            body["volume_type_id"] = json!(volume.type_id);
        }
        if minor >= 65 {
            body["consumes_quota"] = json!(true);
        }
        body
    }

    fn volume_links(&self, collection: &str, id: &str) -> Value {
        json!([{"rel": "self", "href": self.url(&format!("/volume/v3/{collection}/{id}"))},
            {"rel": "bookmark", "href": self.url(&format!("/volume/{collection}/{id}"))}])
    }
}

pub(super) fn volume_not_found(id: &str) -> Refusal {
    Refusal::new(404, format!("Volume {id} could not be found."))
}

fn bad_body() -> Refusal {
    let text = "The server could not comply with the request since it is either malformed or otherwise incorrect.";
    Refusal::new(400, text)
}

fn request_version(request: &Request) -> &str {
    request
        .header_value("openstack-api-version")
        .and_then(|v| v.strip_prefix("volume "))
        .unwrap_or("3.0")
}

fn asked_version(request: &Request, newest: u32) -> Result<u32, Refusal> {
    let text = request_version(request);
    if text == "latest" {
        return Ok(newest);
    }
    let Some((major, minor)) = text
        .split_once('.')
        .and_then(|(a, b)| Some((a.parse::<u32>().ok()?, b.parse().ok()?)))
    else {
        let why = format!(
            "API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
        );
        return Err(Refusal::new(400, why));
    };
    if major != 3 || minor > newest {
        let why = format!(
            "Version {text} is not supported by the API. Minimum is 3.0 and maximum is 3.{newest}."
        );
        return Err(Refusal::new(406, why));
    }
    Ok(minor)
}

/// Cinder's form of an error, which Manila has too.
pub(super) fn cinder_error(refusal: Refusal) -> Response {
    let name = match refusal.status {
        400 => "badRequest",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 => "overLimit",
        415 => "badMediaType",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };
    let mut body = json!({name: {"code": refusal.status, "message": refusal.message}});
    if let Some((_, after)) = refusal.headers.iter().find(|(n, _)| *n == "Retry-After") {
        body[name]["retryAfter"] = json!(after);
    }
    Response {
        headers: refusal.headers,
        ..Response::json(refusal.status, body)
    }
}

/// A path that no service has: WebOb's page.
pub(super) fn page_not_found() -> Response {
    let page = "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n  The \
                resource could not be found.<br /><br />\n\n\n\n </body>\n</html>";
    Response {
        body: Body::Text("text/html; charset=UTF-8", page.to_owned()),
        ..Response::empty(404)
    }
}
