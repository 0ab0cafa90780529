//! PATCH of images: JSON patch as Glance restricts it.

use serde_json::Value;

use super::super::json::{Object, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::Image;

/// Fields that every image has: they can be replaced, not added or removed.
const BASE: [&str; 10] = [
    "name",
    "visibility",
    "owner",
    "protected",
    "os_hidden",
    "min_disk",
    "min_ram",
    "disk_format",
    "container_format",
    "tags",
];

impl World {
    pub(super) fn patch_image(&mut self, request: &Request, account: &Account, id: &str) -> Answer {
        let media = request.header_value("content-type").unwrap_or("");
        if !media.starts_with("application/openstack-images-v2") {
            return Err(Refusal::new(
                415,
                format!("Unsupported content type {media}"),
            ));
        }
        let now = self.now;
        let image = self.image_owned(account, id, "modify_image")?;
        let body = request.body_json();
        let changes = body.as_ref().and_then(Value::as_array).ok_or_else(|| {
            Refusal::new(
                400,
                "Request body must be a JSON array of operation objects.",
            )
        })?;
        let mut draft = image.clone();
        for change in changes {
            let change = change
                .as_object()
                .ok_or_else(|| Refusal::new(400, "Operations must be JSON objects."))?;
            draft.apply(change, account)?;
        }
        draft.updated = now;
        let answer = Response::json(200, draft.body());
        *image = draft;
        Ok(answer)
    }
}

impl Image {
    fn apply(&mut self, change: &Object, account: &Account) -> Result<(), Refusal> {
        let op = text(change, "op").unwrap_or("");
        if !["add", "replace", "remove"].contains(&op) {
            return Err(Refusal::new(
                400,
                format!(
                    "Operations must contain exactly one member of add, replace, remove; not '{op}'."
                ),
            ));
        }
        let path = text(change, "path")
            .and_then(|p| p.strip_prefix('/'))
            .ok_or_else(|| Refusal::new(400, "Unable to find '/' at the beginning of the path."))?;
        let name = path.replace("~1", "/").replace("~0", "~");
        let conflict = |text: String| Refusal::of(409, "detail", text);
        if op == "remove" {
            if BASE.contains(&name.as_str()) {
                return Err(Refusal::new(
                    403,
                    format!("Property {name} may not be removed."),
                ));
            }
            let gone = self.properties.remove(&name);
            return gone
                .map(|_| ())
                .ok_or_else(|| conflict(format!("Property {name} does not exist.")));
        }
        let value = change.get("value").ok_or_else(|| {
            Refusal::new(
                400,
                format!("Operation \"{op}\" requires a member named \"value\"."),
            )
        })?;
        if name == "locations" {
            return Err(Refusal::new(
                403,
                "It's not allowed to add/remove/replace locations.",
            ));
        }
        let known = BASE.contains(&name.as_str()) || self.properties.contains_key(&name);
        let computed = self.body().get(&name).is_some();
        if op == "replace" && !known && !computed {
            return Err(conflict(format!("Property {name} does not exist.")));
        }
        self.set(&name, value, account)
    }
}
