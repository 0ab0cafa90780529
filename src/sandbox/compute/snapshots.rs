//! Images that Nova makes of servers: snapshots that are asked for, and the one that keeps a server
//! while it is shelved.

use serde_json::{Value, json};

use super::super::json::Object;
use super::super::response::{Answer, Response};
use super::super::world::World;
use super::actions::ANY_KEPT;
use super::networks::owner_of;
use super::server::{Block, Step};
use super::{Caller, invalid};

impl World {
    pub(super) fn snapshot_server(
        &mut self,
        who: Caller<'_>,
        id: &str,
        arguments: &Value,
    ) -> Answer {
        let server = self.server_shown(who.account, id)?;
        server.check("createImage", ANY_KEPT)?;
        let name = arguments["name"]
            .as_str()
            .ok_or_else(|| invalid("createImage", arguments, "'name' is a required property"))?;
        let metadata = arguments["metadata"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let image = self.image_of_server(id, name, metadata);
        self.act(
            id,
            "createImage",
            "image_snapshot",
            1000,
            Step::Snapshot(image.clone()),
        )?;
        let location = self.url(&format!("/image/v2/images/{image}"));
        if who.minor >= 45 {
            return Ok(Response::json(202, json!({ "image_id": image })));
        }
        Ok(Response::empty(202).with("Location", location))
    }

    /// Before a server is shelved: what is on its own disk goes into an image.
    pub(super) fn keep_in_image(&mut self, id: &str) {
        let server = &self.compute.servers[id];
        if server.image.is_none() {
            return;
        }
        let name = format!("{}-shelved", server.name);
        let image = self.image_of_server(id, &name, Object::new());
        self.expect_snapshot(&image, 1 << 20);
        if let Some(server) = self.compute.servers.get_mut(id) {
            server.shelved_image = Some(image);
        }
    }

    /// A shelved server without a host keeps its volumes, but is connected to none.
    pub(super) fn reserve_attached(&mut self, id: &str) {
        for (volume, attachment) in self.attached(id) {
            self.disconnect_volume(&volume, &attachment);
        }
    }

    /// A server that runs after having been shelved.
    pub(super) fn leave_the_shelf(&mut self, id: &str) {
        self.drop_kept_image(id);
        for (volume, attachment) in self.attached(id) {
            self.complete_attachment(&volume, &attachment);
        }
    }

    /// Volumes that a server has, and their attachments.
    fn attached(&self, id: &str) -> Vec<(String, String)> {
        let server = self.compute.servers.get(id).into_iter();
        let blocks = server.flat_map(|server| &server.blocks);
        let attached = blocks.filter(|block| block.attached);
        let pair = |block: &Block| Some((block.volume.clone()?, block.attachment.clone()?));
        attached.filter_map(pair).collect()
    }

    /// A server that runs again, or is deleted, needs that image no longer.
    pub(super) fn drop_kept_image(&mut self, id: &str) {
        let kept = self.compute.servers.get_mut(id);
        if let Some(image) = kept.and_then(|server| server.shelved_image.take()) {
            self.remove_image(&image);
        }
    }

    /// The record of an image of a server, with what its own image says of itself.
    fn image_of_server(&mut self, id: &str, name: &str, given: Object) -> String {
        let server = &self.compute.servers[id];
        let mut properties = server.image_properties.clone();
        properties.extend(given);
        properties.insert("image_type".into(), json!("snapshot"));
        properties.insert("instance_uuid".into(), json!(id));
        properties.insert("user_id".into(), json!(server.user_id));
        if let Some(base) = &server.image {
            properties.insert("base_image_ref".into(), json!(base));
        }
        let owner = owner_of(server);
        self.create_snapshot_image(name, &owner, &properties)
    }
}
