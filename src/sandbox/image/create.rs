//! Creation of image records, and the rules for their fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::json::{Object, is_uuid, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::{IMPORT_METHODS, Image};

pub(super) const DISK_FORMATS: [&str; 11] = [
    "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
];
pub(super) const CONTAINER_FORMATS: [&str; 8] = [
    "ami",
    "ari",
    "aki",
    "bare",
    "ovf",
    "ova",
    "docker",
    "compressed",
];
const READ_ONLY: [&str; 13] = [
    "status",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "size",
    "virtual_size",
    "created_at",
    "updated_at",
    "self",
    "file",
    "schema",
    "direct_url",
    "locations",
];

impl World {
    pub(super) fn create_image(&mut self, request: &Request, account: &Account) -> Answer {
        let body = request.body_json();
        let body = body
            .as_ref()
            .and_then(Value::as_object)
            .ok_or_else(|| Refusal::new(400, "Malformed JSON in request body."))?;
        let id = match text(body, "id") {
            Some(id) if is_uuid(id) && id.len() == 36 => id.to_owned(),
            Some(id) => {
                return Err(mismatch(&format!(
                    "'{id}' does not match the pattern of an id"
                )));
            }
            None => self.new_uuid(),
        };
        let mut image = Image {
            id: id.clone(),
            sequence: self.next_sequence(),
            name: None,
            status: "queued",
            visibility: "shared".to_owned(),
            owner: account.project_id.clone(),
            protected: false,
            hidden: false,
            min_disk: 0,
            min_ram: 0,
            disk_format: None,
            container_format: None,
            size: None,
            checksum: None,
            hash: None,
            created: self.now,
            updated: self.now,
            tags: BTreeSet::new(),
            properties: BTreeMap::new(),
            staged: None,
        };
        for (name, value) in body.iter().filter(|(name, _)| *name != "id") {
            image.set(name, value, account)?;
        }
        if self.images.images.contains_key(&id) || self.images.burned.contains(&id) {
            return Err(Refusal::new(409, format!("Image ID {id} already exists!")));
        }
        let answer = Response::json(201, image.body())
            .with("Location", self.url(&format!("/image/v2/images/{id}")))
            .with("OpenStack-image-import-methods", IMPORT_METHODS)
            .with("OpenStack-image-store-ids", "fs");
        self.images.images.insert(id, image);
        Ok(answer)
    }

    /// What an image says of itself; nothing if there is no such image.
    pub(in super::super) fn properties_of(&self, id: Option<&str>) -> Object {
        let image = id.and_then(|id| self.images.images.get(id));
        let properties = image.map(|image| image.properties.clone());
        properties.unwrap_or_default().into_iter().collect()
    }

    /// An image that Nova makes from a server or Cinder from a volume: queued, owned by the asker.
    pub(in super::super) fn create_snapshot_image(
        &mut self,
        name: &str,
        account: &Account,
        properties: &Object,
    ) -> String {
        let body = serde_json::json!({"name": name, "disk_format": "raw", "container_format": "bare",
            "visibility": "private"});
        let request = Request::post("/image/v2/images", body);
        let answer = self.create_image(&request, account);
        let id = answer
            .ok()
            .and_then(|r| r.value()["id"].as_str().map(str::to_owned))
            .unwrap_or_default();
        if let Some(image) = self.images.images.get_mut(&id) {
            image
                .properties
                .extend(properties.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        id
    }
}

impl Image {
    /// Sets one field or custom property by its name in the API.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: &Value,
        account: &Account,
    ) -> Result<(), Refusal> {
        if READ_ONLY.contains(&name) || name == "id" {
            return Err(Refusal::new(
                403,
                format!("Attribute '{name}' is read-only."),
            ));
        }
        if name.starts_with("os_glance_") {
            return Err(Refusal::new(
                403,
                format!("Attribute '{name}' is reserved."),
            ));
        }
        match name {
            "name" => self.name = optional_text(name, value)?,
            "visibility" => self.set_visibility(value, account)?,
            "owner" => {
                let owner = optional_text(name, value)?.unwrap_or_default();
                if owner != account.project_id && !account.admin {
                    let text =
                        format!("You are not permitted to create images owned by '{owner}'.");
                    return Err(Refusal::new(403, text));
                }
                self.owner = owner;
            }
            "protected" => self.protected = flag(name, value)?,
            "os_hidden" => self.hidden = flag(name, value)?,
            "min_disk" => self.min_disk = count(name, value)?,
            "min_ram" => self.min_ram = count(name, value)?,
            "disk_format" | "container_format" => {
                let known: &[&str] = if name == "disk_format" {
                    &DISK_FORMATS
                } else {
                    &CONTAINER_FORMATS
                };
                let wanted = optional_text(name, value)?;
                if let Some(format) = wanted.as_deref().filter(|f| !known.contains(f)) {
                    return Err(mismatch(&format!(
                        "'{format}' is not one of [None, {}]",
                        quoted(known)
                    )));
                }
                if self.status != "queued" {
                    return Err(Refusal::new(
                        403,
                        format!("Attribute {name} can be only replaced for a queued image."),
                    ));
                }
                if name == "disk_format" {
                    self.disk_format = wanted
                } else {
                    self.container_format = wanted
                }
            }
            "tags" => {
                let tags = value
                    .as_array()
                    .ok_or_else(|| mismatch(&format!("{value} is not of type 'array'")))?;
                self.tags = tags
                    .iter()
                    .filter_map(|t| t.as_str().map(str::to_owned))
                    .collect();
            }
            _ => {
                if !value.is_string() && !value.is_null() {
                    return Err(mismatch(&format!(
                        "{value} is not of type 'string', 'null'"
                    )));
                }
                self.properties.insert(name.to_owned(), value.clone());
            }
        }
        Ok(())
    }

    fn set_visibility(&mut self, value: &Value, account: &Account) -> Result<(), Refusal> {
        let known = ["community", "public", "private", "shared"];
        let wanted = value.as_str().filter(|v| known.contains(v));
        let wanted = wanted
            .ok_or_else(|| mismatch(&format!("{value} is not one of [{}]", quoted(&known))))?;
        if wanted == "public" && self.visibility != "public" && !account.admin {
            return Err(Refusal::new(
                403,
                "You are not authorized to complete publicize_image action.",
            ));
        }
        wanted.clone_into(&mut self.visibility);
        Ok(())
    }
}

fn quoted(words: &[&str]) -> String {
    words
        .iter()
        .map(|w| format!("'{w}'"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn optional_text(name: &str, value: &Value) -> Result<Option<String>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.len() <= 255 => Ok(Some(text.clone())),
        Value::String(text) => Err(mismatch(&format!("'{text}' is too long"))),
        other => Err(mismatch(&format!(
            "{other} is not of type 'null', 'string' (field {name})"
        ))),
    }
}

fn flag(name: &str, value: &Value) -> Result<bool, Refusal> {
    value
        .as_bool()
        .ok_or_else(|| mismatch(&format!("{value} is not of type 'boolean' (field {name})")))
}

fn count(name: &str, value: &Value) -> Result<i64, Refusal> {
    let count = value
        .as_i64()
        .ok_or_else(|| mismatch(&format!("{value} is not of type 'integer' (field {name})")))?;
    if count < 0 {
        return Err(Refusal::new(
            400,
            format!("Invalid value '{count}' for parameter '{name}': Cannot be a negative value"),
        ));
    }
    Ok(count)
}

fn mismatch(why: &str) -> Refusal {
    Refusal::new(
        400,
        format!("Provided object does not match schema 'image': {why}"),
    )
}
