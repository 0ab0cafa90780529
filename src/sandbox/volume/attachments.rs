//! Attachments, which only Nova makes and ends; users may look.

use http::Method;
use serde_json::{Value, json};

use super::super::json::stamp_micros;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::{Attachment, Volume, volume_not_found};

impl World {
    pub(super) fn attachments_call(
        &mut self,
        request: &Request,
        account: &Account,
        path: &[&str],
        minor: u32,
    ) -> Answer {
        if minor < 27 {
            return Err(Refusal::new(
                404,
                "API version 3.0 is not supported on this method.",
            ));
        }
        let all = self
            .volumes
            .volumes
            .values()
            .filter(|v| account.admin || v.project_id == account.project_id)
            .flat_map(|v| v.attachments.iter().map(move |a| attachment_body(v, a)));
        match (&request.method, path) {
            (&Method::GET, [] | ["detail"]) => Ok(Response::json(
                200,
                json!({"attachments": all.collect::<Vec<Value>>()}),
            )),
            (&Method::GET, [id]) => {
                let found = all.into_iter().find(|a| a["id"] == *id).ok_or_else(|| {
                    Refusal::new(404, format!("Volume attachment could not be found with filter: attachment_id = {id}."))
                })?;
                Ok(Response::json(200, json!({ "attachment": found })))
            }
            (&Method::DELETE, [id]) => {
                let owner = self
                    .volumes
                    .volumes
                    .values()
                    .find(|v| v.attachments.iter().any(|a| a.id == *id));
                let volume = owner.map(|v| v.id.clone()).ok_or_else(|| {
                    Refusal::new(404, format!("Volume attachment could not be found with filter: attachment_id = {id}."))
                })?;
                self.refuse_detach(&volume)
            }
            _ => Err(Refusal::of(404, "no route", "")),
        }
    }

    /// Since CVE-2023-2088 only the compute service may detach what it uses.
    pub(super) fn refuse_detach(&self, id: &str) -> Answer {
        let volume = self
            .volumes
            .volumes
            .get(id)
            .ok_or_else(|| volume_not_found(id))?;
        match volume.attachments.first() {
            None => Err(Refusal::new(
                400,
                format!(
                    "Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be \
                 'attached' to detach. ({id})"
                ),
            )),
            Some(attachment) => Err(Refusal::new(
                409,
                format!(
                    "ConflictNovaUsingAttachment: Detach volume from instance {} using the Compute API",
                    attachment.server_id
                ),
            )),
        }
    }

    /// Nova's claim on a volume: atomic, so of two claims one is refused.
    pub(in super::super) fn reserve_volume(
        &mut self,
        id: &str,
        server: &str,
        device: &str,
    ) -> Result<String, Refusal> {
        let attachment_id = self.new_uuid();
        let now = self.now;
        let volume = self
            .volumes
            .volumes
            .get_mut(id)
            .ok_or_else(|| volume_not_found(id))?;
        let free = matches!(volume.status.as_str(), "available" | "downloading");
        let shareable = volume.multiattach
            && matches!(volume.status.as_str(), "in-use" | "attaching" | "reserved");
        if !free && !shareable {
            return Err(Refusal::new(
                400,
                format!(
                    "Invalid volume: Volume {id} status must be available or downloading to reserve, but the current \
                 status is {}.",
                    volume.status
                ),
            ));
        }
        "reserved".clone_into(&mut volume.status);
        volume.updated = Some(now);
        volume.attachments.push(Attachment {
            id: attachment_id.clone(),
            server_id: server.to_owned(),
            device: device.to_owned(),
            attached: None,
        });
        Ok(attachment_id)
    }

    /// The host connects the volume.
    pub(in super::super) fn connect_volume(&mut self, id: &str) {
        if let Some(volume) = self
            .volumes
            .volumes
            .get_mut(id)
            .filter(|v| v.status == "reserved")
        {
            "attaching".clone_into(&mut volume.status);
        }
    }

    /// The volume is attached.
    pub(in super::super) fn complete_attachment(&mut self, id: &str, attachment: &str) {
        let now = self.now;
        let Some(volume) = self.volumes.volumes.get_mut(id) else {
            return;
        };
        if let Some(attachment) = volume.attachments.iter_mut().find(|a| a.id == attachment) {
            attachment.attached = Some(now);
        }
        "in-use".clone_into(&mut volume.status);
        volume.updated = Some(now);
    }

    /// The volume is disconnected, and kept for its server.
    pub(in super::super) fn disconnect_volume(&mut self, id: &str, attachment: &str) {
        let now = self.now;
        let Some(volume) = self.volumes.volumes.get_mut(id) else {
            return;
        };
        for it in &mut volume.attachments {
            it.attached = it.attached.filter(|_| it.id != attachment);
        }
        "reserved".clone_into(&mut volume.status);
        volume.updated = Some(now);
    }

    /// The volume is being detached.
    pub(in super::super) fn begin_detach(&mut self, id: &str) {
        let now = self.now;
        if let Some(volume) = self.volumes.volumes.get_mut(id) {
            "detaching".clone_into(&mut volume.status);
            volume.updated = Some(now);
        }
    }

    /// Nova lets go of a volume, whether or not it was attached already.
    pub(in super::super) fn release_volume(&mut self, id: &str, attachment: &str) {
        let now = self.now;
        let Some(volume) = self.volumes.volumes.get_mut(id) else {
            return;
        };
        volume.attachments.retain(|a| a.id != attachment);
        volume.updated = Some(now);
        if matches!(
            volume.status.as_str(),
            "reserved" | "attaching" | "in-use" | "detaching"
        ) {
            let left = if volume.attachments.is_empty() {
                "available"
            } else {
                "in-use"
            };
            left.clone_into(&mut volume.status);
        }
    }
}

fn attachment_body(volume: &Volume, attachment: &Attachment) -> Value {
    json!({"id": attachment.id, "volume_id": volume.id, "instance": attachment.server_id,
        "status": if attachment.attached.is_some() { "attached" } else { "reserved" }, "attach_mode": "rw",
        "attached_at": attachment.attached.map(stamp_micros), "detached_at": null, "connection_info": {}})
}
