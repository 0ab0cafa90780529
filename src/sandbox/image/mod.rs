//! Glance v2: image records, their data as digests, tags, imports. No members, no stores to choose from.

mod create;
mod data;
mod list;
mod patch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) use data::{HEAD, ImageEvent, hex};

use super::json::stamp;
use super::request::Request;
use super::response::{Answer, Body, Refusal, Response, reason};
use super::world::{Account, World};

/// All state of Glance.
#[derive(Debug, Clone, Default)]
pub(super) struct Images {
    images: BTreeMap<String, Image>,
    /// Ids of deleted images: the database keeps them, so they cannot be used again.
    burned: BTreeSet<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) id: String,
    sequence: u64,
    pub(super) name: Option<String>,
    pub(super) status: &'static str,
    visibility: String,
    pub(super) owner: String,
    protected: bool,
    hidden: bool,
    pub(super) min_disk: i64,
    min_ram: i64,
    disk_format: Option<String>,
    container_format: Option<String>,
    pub(super) size: Option<u64>,
    checksum: Option<String>,
    hash: Option<String>,
    created: Timestamp,
    updated: Timestamp,
    tags: BTreeSet<String>,
    pub(super) properties: BTreeMap<String, Value>,
    /// Data that waits for the end of an upload or import.
    staged: Option<super::request::Upload>,
}

const IMPORT_METHODS: &str = "glance-direct,web-download,copy-image";

impl World {
    pub(super) fn image_route(&mut self, request: &Request, path: &[&str]) -> Response {
        let answer = match path {
            [] => Ok(self.image_versions(300)),
            ["versions"] => Ok(self.image_versions(200)),
            ["v2", rest @ ..] => self
                .account(request)
                .and_then(|account| self.image_call(request, &account, rest)),
            _ => Err(not_found()),
        };
        answer.unwrap_or_else(|refusal| glance_error(request, refusal))
    }

    fn image_call(&mut self, request: &Request, account: &Arc<Account>, path: &[&str]) -> Answer {
        match (&request.method, path) {
            (&Method::GET, ["images"]) => self.list_images(request, account),
            (&Method::POST, ["images"]) => self.create_image(request, account),
            (&Method::GET, ["images", id]) => {
                Ok(Response::json(200, self.image_shown(account, id)?.body()))
            }
            (&Method::PATCH, ["images", id]) => self.patch_image(request, account, id),
            (&Method::DELETE, ["images", id]) => self.delete_image(account, id),
            (&Method::PUT, ["images", id, "file"]) => self.upload_image(request, account, id),
            (&Method::GET, ["images", id, "file"]) => {
                let image = self.image_shown(account, id)?;
                if image.status == "deactivated" && !account.admin {
                    let text = "The requested image has been deactivated. Image data download is forbidden.";
                    return Err(Refusal::new(403, text));
                }
                Ok(Response::empty(204))
            }
            (&Method::POST, ["images", id, "actions", action]) => {
                self.act_on_image(account, id, action)
            }
            (&Method::PUT, ["images", id, "stage"]) => self.stage_image(request, account, id),
            (&Method::POST, ["images", id, "import"]) => self.import_image(request, account, id),
            (&Method::PUT | &Method::DELETE, ["images", id, "tags", tag]) => {
                let now = self.now;
                let image = self.image_owned(account, id, "modify_image")?;
                image.updated = now;
                if request.method == Method::PUT {
                    image.tags.insert((*tag).to_owned());
                } else if !image.tags.remove(*tag) {
                    return Err(Refusal::new(404, ""));
                }
                Ok(Response::empty(204))
            }
            (&Method::GET, ["images", id, "members"]) => {
                self.image_shown(account, id)?;
                Ok(Response::json(
                    200,
                    json!({"members": [], "schema": "/v2/schemas/members"}),
                ))
            }
            (&Method::GET, ["images", id, "tasks"]) => {
                self.image_shown(account, id)?;
                Ok(Response::json(200, json!({"tasks": []})))
            }
            (&Method::GET, ["info", "import"]) => {
                let methods: Vec<&str> = IMPORT_METHODS.split(',').collect();
                Ok(Response::json(
                    200,
                    json!({"import-methods": {"type": "array", "value": methods,
                    "description": "Import methods available."}}),
                ))
            }
            (&Method::GET, ["info", "stores"]) => Ok(Response::json(
                200,
                json!({"stores": [{"id": "fs", "default": "true"}]}),
            )),
            (&Method::GET, ["schemas", name]) => schema(name),
            _ => Err(not_found()),
        }
    }

    /// Takes an image out of use, or back into it.
    fn act_on_image(&mut self, account: &Account, id: &str, action: &str) -> Answer {
        let to = match action {
            "deactivate" => "deactivated",
            "reactivate" => "active",
            _ => return Err(not_found()),
        };
        let now = self.now;
        let image = self.image_owned(account, id, action)?;
        if !matches!(image.status, "active" | "deactivated") {
            return Err(Refusal::new(
                403,
                format!("Not allowed to {action} image in status '{}'", image.status),
            ));
        }
        image.status = to;
        image.updated = now;
        Ok(Response::empty(204))
    }

    fn delete_image(&mut self, account: &Account, id: &str) -> Answer {
        if self.image_shown(account, id).is_err() {
            let text = format!("Failed to find image {id} to delete");
            return Err(Refusal::new(404, text));
        }
        let image = self.image_owned(account, id, "delete_image")?;
        if image.protected {
            return Err(Refusal::new(
                403,
                format!("Image {id} is protected and cannot be deleted."),
            ));
        }
        self.remove_image(id);
        Ok(Response::empty(204))
    }

    pub(in super::super) fn remove_image(&mut self, id: &str) {
        self.images.images.remove(id);
        self.images.burned.insert(id.to_owned());
    }

    /// An image that the account may see.
    pub(super) fn image_shown(&self, account: &Account, id: &str) -> Result<&Image, Refusal> {
        self.images
            .images
            .get(id)
            .filter(|image| image.is_shown_to(account))
            .ok_or_else(|| Refusal::new(404, format!("No image found with ID {id}")))
    }

    /// An image that the account may change.
    fn image_owned(
        &mut self,
        account: &Account,
        id: &str,
        action: &str,
    ) -> Result<&mut Image, Refusal> {
        self.image_shown(account, id)?;
        self.images
            .images
            .get_mut(id)
            .filter(|image| account.admin || image.owner == account.project_id)
            .ok_or_else(|| {
                Refusal::new(
                    403,
                    format!("You are not authorized to complete {action} action."),
                )
            })
    }

    fn image_versions(&self, status: u16) -> Response {
        let link = json!([{"rel": "self", "href": self.url("/image/v2/")}]);
        let versions: Vec<Value> = [17, 16, 15, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
            .into_iter()
            .map(|minor| {
                let status = if minor == 17 { "CURRENT" } else { "SUPPORTED" };
                json!({"id": format!("v2.{minor}"), "status": status, "links": link})
            })
            .collect();
        Response::json(status, json!({ "versions": versions }))
    }
}

impl Image {
    fn is_shown_to(&self, account: &Account) -> bool {
        account.admin
            || self.owner == account.project_id
            || matches!(self.visibility.as_str(), "public" | "community")
    }

    /// The record as the API shows it: custom properties stand beside the others.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "name": self.name, "disk_format": self.disk_format, "container_format": self.container_format,
            "visibility": self.visibility, "size": self.size, "virtual_size": null, "status": self.status,
            "checksum": self.checksum, "protected": self.protected, "min_ram": self.min_ram,
            "min_disk": self.min_disk, "owner": self.owner, "os_hidden": self.hidden,
            "os_hash_algo": self.hash.as_ref().map(|_| "sha512"), "os_hash_value": self.hash, "id": self.id,
            "created_at": stamp(self.created), "updated_at": stamp(self.updated), "tags": self.tags,
            "self": format!("/v2/images/{}", self.id), "file": format!("/v2/images/{}/file", self.id),
            "schema": "/v2/schemas/image",
        });
        for (name, value) in &self.properties {
            body[name.as_str()] = value.clone();
        }
        body
    }
}

fn not_found() -> Refusal {
    Refusal::new(404, "The resource could not be found.")
}

fn schema(name: &str) -> Answer {
    let text = json!({"type": ["null", "string"]});
    let properties = json!({"id": {"type": "string"}, "name": text, "status": {"type": "string", "readOnly": true},
        "visibility": {"type": "string", "enum": ["community", "public", "private", "shared"]},
        "protected": {"type": "boolean"}, "os_hidden": {"type": "boolean"}, "owner": text, "checksum": text,
        "os_hash_algo": text, "os_hash_value": text, "size": {"type": ["null", "integer"], "readOnly": true},
        "virtual_size": {"type": ["null", "integer"], "readOnly": true},
        "disk_format": {"type": ["null", "string"], "enum": create::DISK_FORMATS},
        "container_format": {"type": ["null", "string"], "enum": create::CONTAINER_FORMATS},
        "created_at": {"type": "string", "readOnly": true}, "updated_at": {"type": "string", "readOnly": true},
        "tags": {"type": "array", "items": {"type": "string"}}, "min_disk": {"type": "integer"},
        "min_ram": {"type": "integer"}, "self": {"type": "string"}, "file": {"type": "string"},
        "schema": {"type": "string"}});
    match name {
        "image" => Ok(Response::json(
            200,
            json!({"name": "image", "properties": properties,
            "additionalProperties": {"type": "string"}}),
        )),
        "images" => Ok(Response::json(
            200,
            json!({"name": "images", "properties": {
            "images": {"type": "array", "items": {"name": "image", "properties": properties}},
            "first": {"type": "string"}, "next": {"type": "string"}, "schema": {"type": "string"}}}),
        )),
        _ => Err(not_found()),
    }
}

/// WebOb's form of an error: HTML, or JSON for those who ask for it.
fn glance_error(request: &Request, refusal: Refusal) -> Response {
    let code = format!("{} {}", refusal.status, reason(refusal.status));
    // WebOb puts "detail" refusals behind a sentence of its own.
    let (text, detail) = match refusal.status {
        409 if refusal.kind == "detail" => (
            "There was a conflict when trying to complete your request.",
            refusal.message.as_str(),
        ),
        415 => (
            "The request media type application/octet-stream is not supported by this server.",
            refusal.message.as_str(),
        ),
        401 => (
            "This server could not verify that you are authorized to access the document you requested. Either you \
             supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply \
             the credentials required.",
            "",
        ),
        _ => (refusal.message.as_str(), ""),
    };
    let wants_json = request.header_value("accept").is_some_and(|accept| {
        accept.starts_with("application/json") && !accept.contains("text/html")
    });
    let body = if wants_json {
        Body::Json(
            json!({"message": format!("{text}<br /><br />\n{detail}\n\n"), "code": code,
            "title": reason(refusal.status)}),
        )
    } else {
        let escape = |s: &str| {
            s.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('\'', "&#x27;")
                .replace('"', "&quot;")
        };
        Body::Text(
            "text/html; charset=UTF-8",
            format!(
                "<html>\n <head>\n  <title>{code}</title>\n </head>\n <body>\n  <h1>{code}</h1>\n  \
                 {}<br /><br />\n{}\n\n\n </body>\n</html>",
                escape(text),
                escape(detail)
            ),
        )
    };
    Response {
        headers: refusal.headers,
        body,
        ..Response::empty(refusal.status)
    }
}
