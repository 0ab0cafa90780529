//! Volumes attached to servers.

use http::Method;
use serde_json::{Value, json};

use super::super::json::{boolean, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::actions::check_lock;
use super::server::{Block, Server, Step};
use super::{Caller, invalid, no_route};

/// From this microversion on an attach is answered with 202 and nothing else.
const ASYNCHRONOUS: u32 = 101;
const ATTACHABLE: &[&str] = &[
    "active",
    "paused",
    "stopped",
    "resized",
    "soft-delete",
    "shelved",
    "shelved_offloaded",
];

impl World {
    pub(super) fn attachments(
        &mut self,
        request: &Request,
        who: Caller<'_>,
        id: &str,
        path: &[&str],
    ) -> Answer {
        let server = self.server_shown(who.account, id)?;
        match (&request.method, path) {
            (&Method::GET, []) => {
                let all: Vec<Value> = server
                    .blocks
                    .iter()
                    .filter_map(|b| attachment_body(server, b, who.minor))
                    .collect();
                Ok(Response::json(200, json!({ "volumeAttachments": all })))
            }
            (&Method::POST, []) => self.attach(request, who, id),
            (&Method::GET, [volume]) => {
                let block = server
                    .blocks
                    .iter()
                    .find(|b| b.volume.as_deref() == Some(volume));
                let body = block.and_then(|b| attachment_body(server, b, who.minor));
                let body = body.ok_or_else(|| not_attached(id, volume))?;
                Ok(Response::json(200, json!({ "volumeAttachment": body })))
            }
            (&Method::PUT, [volume]) => {
                let body = request.body_json().unwrap_or_default();
                let keep = body["volumeAttachment"]
                    .get("delete_on_termination")
                    .and_then(boolean);
                let server = self.server_mut(who.account, id)?;
                let block = server
                    .blocks
                    .iter_mut()
                    .find(|b| b.volume.as_deref() == Some(volume));
                let block = block.ok_or_else(|| not_attached(id, volume))?;
                block.delete_on_termination = keep.unwrap_or(block.delete_on_termination);
                Ok(Response::empty(202))
            }
            (&Method::DELETE, [volume]) => self.detach(who, id, volume),
            _ => Err(no_route()),
        }
    }

    fn attach(&mut self, request: &Request, who: Caller<'_>, id: &str) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let wanted = body
            .get("volumeAttachment")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let volume = text(&wanted, "volumeId").ok_or_else(|| {
            invalid(
                "volumeAttachment",
                &json!(wanted),
                "'volumeId' is a required property",
            )
        })?;
        let newer = |name: &str| match name {
            "volumeId" | "device" => false,
            "tag" => who.minor < 49,
            "delete_on_termination" => who.minor < 79,
            _ => true,
        };
        if let Some(name) = wanted.keys().find(|n| newer(n)) {
            let why = format!("Additional properties are not allowed ('{name}' was unexpected)");
            return Err(invalid("volumeAttachment", &json!(wanted), &why));
        }
        let device = text(&wanted, "device").filter(|d| !d.is_empty());
        if let Some(device) = device.filter(|d| !is_device(d)) {
            let why = format!(
                "'{device}' does not match '(^/dev/x{{0,1}}[a-z]{{0,1}}d{{0,1}})([a-z]+)[0-9]*$'"
            );
            return Err(invalid("device", &json!(device), &why));
        }
        self.volume_shown(who.account, volume)?;
        let server = self.server_shown(who.account, id)?;
        check_lock(server, who)?;
        // A task on the way does not hinder it, a wrong state does.
        let mut idle = server.clone();
        idle.task_state = None;
        idle.check("attach_volume", ATTACHABLE)?;
        if server
            .blocks
            .iter()
            .any(|b| b.volume.as_deref() == Some(volume))
        {
            return Err(Refusal::new(
                400,
                format!("Invalid volume: volume {volume} is already attached to instances: {id}"),
            ));
        }
        let taken = |device: &str| {
            server
                .blocks
                .iter()
                .any(|b| b.device.as_deref() == Some(device))
                || (device == "/dev/vda" && server.image.is_some())
        };
        if let Some(device) = device.filter(|d| taken(d)) {
            return Err(Refusal::new(
                409,
                format!("The supplied device path ({device}) is in use."),
            ));
        }
        let device = match device.filter(|_| self.options.keep_device) {
            Some(device) => device.to_owned(),
            None => server.free_device(),
        };
        let attachment = self
            .reserve_volume(volume, id, &device)
            .map_err(|refusal| {
                Refusal::new(
                    400,
                    format!("Invalid input received: {} (HTTP 400)", refusal.message),
                )
            })?;
        let block = Block {
            bdm_id: self.new_uuid(),
            source: "volume".to_owned(),
            source_id: Some(volume.to_owned()),
            size: None,
            volume_type: None,
            volume: Some(volume.to_owned()),
            attachment: Some(attachment),
            device: Some(device),
            boot_index: None,
            delete_on_termination: wanted
                .get("delete_on_termination")
                .and_then(boolean)
                .unwrap_or(false),
            tag: text(&wanted, "tag").map(str::to_owned),
            attached: false,
        };
        let now = self.now;
        let server = self.server_mut(who.account, id)?;
        let body = attachment_body(server, &block, who.minor);
        server.blocks.push(block);
        server.history.push(("attach_volume".to_owned(), now));
        self.step_after(500, id, 0, Step::ConnectVolume(volume.to_owned()));
        if who.minor >= ASYNCHRONOUS {
            return Ok(Response::empty(202));
        }
        Ok(Response::json(200, json!({ "volumeAttachment": body })))
    }

    fn detach(&mut self, who: Caller<'_>, id: &str, volume: &str) -> Answer {
        let server = self.server_shown(who.account, id)?;
        check_lock(server, who)?;
        let block = server
            .blocks
            .iter()
            .find(|b| b.volume.as_deref() == Some(volume));
        let block = block.ok_or_else(|| not_attached(id, volume))?;
        if block.boot_index == Some(0) {
            return Err(Refusal::new(400, "Cannot detach a root device volume"));
        }
        let mut idle = server.clone();
        idle.task_state = None;
        idle.check("detach_volume", ATTACHABLE)?;
        let status = self
            .volumes
            .volumes
            .get(volume)
            .map(|v| v.status.as_str())
            .unwrap_or_default();
        if status != "in-use" {
            return Err(Refusal::new(
                400,
                "Invalid volume: Invalid input received: Invalid volume: Unable to detach volume. Volume status must be \
                 'in-use' and attach_status must be 'attached' to detach. (HTTP 400)".to_string(),
            ));
        }
        self.begin_detach(volume);
        let now = self.now;
        if let Ok(server) = self.server_mut(who.account, id) {
            server.history.push(("detach_volume".to_owned(), now));
        }
        self.step_after(1000, id, 0, Step::DetachVolume(volume.to_owned()));
        Ok(Response::empty(202))
    }
}

fn attachment_body(server: &Server, block: &Block, minor: u32) -> Option<Value> {
    let volume = block.volume.as_ref()?;
    let mut body = json!({"device": block.device, "serverId": server.id, "volumeId": volume});
    if minor < 89 {
        body["id"] = json!(volume);
    } else {
        body["attachment_id"] = json!(block.attachment);
        body["bdm_uuid"] = json!(block.bdm_id);
    }
    if minor >= 70 {
        body["tag"] = json!(block.tag);
    }
    if minor >= 79 {
        body["delete_on_termination"] = json!(block.delete_on_termination);
    }
    Some(body)
}

fn not_attached(server: &str, volume: &str) -> Refusal {
    Refusal::new(
        404,
        format!("Instance {server} is not attached to volume {volume}"),
    )
}

/// `/dev/vdb` and the like.
fn is_device(text: &str) -> bool {
    let Some(name) = text.strip_prefix("/dev/") else {
        return false;
    };
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
    !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_lowercase())
}
