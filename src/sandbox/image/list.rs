//! Lists of images: filters, sorting, pages.

use serde_json::{Value, json};

use super::super::json::{bool_text, stamp};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::Image;

impl World {
    pub(super) fn list_images(&self, request: &Request, account: &Account) -> Answer {
        let limit = match request.arg("limit") {
            None => self.options.pages.image,
            Some(text) => {
                let asked: i64 = text
                    .parse()
                    .map_err(|_| Refusal::new(400, "limit param must be an integer"))?;
                usize::try_from(asked)
                    .map_err(|_| Refusal::new(400, "limit param must be positive"))?
                    .min(self.options.pages.image_max)
            }
        };
        let mut found: Vec<&Image> = self
            .images
            .images
            .values()
            .filter(|image| is_listed(image, account, request))
            .filter(|image| {
                request
                    .query
                    .iter()
                    .all(|(name, value)| passes(image, name, value))
            })
            .collect();
        sort(&mut found, request);
        if let Some(marker) = request.arg("marker") {
            if self.image_shown(account, marker).is_err() {
                let text = format!("Image {marker} could not be found.");
                return Err(Refusal::new(400, text));
            }
            let place = found.iter().position(|image| image.id == marker);
            found.drain(..place.map_or(found.len(), |p| p + 1));
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let images: Vec<Value> = found.iter().map(|image| image.body()).collect();
        let mut body = json!({"images": images, "schema": "/v2/schemas/images",
            "first": format!("/v2/images{}", request.query_without(&["marker"]))});
        if let Some(last) = found.last().filter(|_| more) {
            let query = request.query_without(&["marker"]);
            let joint = if query.is_empty() { '?' } else { '&' };
            body["next"] = json!(format!("/v2/images{query}{joint}marker={}", last.id));
        }
        Ok(Response::json(200, body))
    }
}

/// Community images of others are listed only when they are asked for.
fn is_listed(image: &Image, account: &Account, request: &Request) -> bool {
    let wanted = request.arg("visibility");
    let own = image.owner == account.project_id;
    let seen = image.is_shown_to(account)
        && (own || account.admin || image.visibility != "community" || wanted == Some("community"));
    let hidden = request
        .arg("os_hidden")
        .and_then(bool_text)
        .unwrap_or(false);
    seen && image.hidden == hidden
}

fn passes(image: &Image, name: &str, value: &str) -> bool {
    let text_is = |have: Option<&str>| match value.strip_prefix("in:") {
        Some(list) => have.is_some_and(|have| list.split(',').any(|v| v.trim_matches('"') == have)),
        None => have == Some(value),
    };
    match name {
        "limit" | "marker" | "sort" | "sort_key" | "sort_dir" | "os_hidden" | "member_status" => {
            true
        }
        "id" => text_is(Some(&image.id)),
        "name" => text_is(image.name.as_deref()),
        "status" => text_is(Some(image.status)),
        "disk_format" => text_is(image.disk_format.as_deref()),
        "container_format" => text_is(image.container_format.as_deref()),
        "visibility" => value == "all" || image.visibility == value,
        "owner" => image.owner == value,
        "tag" => image.tags.contains(value),
        "checksum" => image.checksum.as_deref() == Some(value),
        "os_hash_value" => image.hash.as_deref() == Some(value),
        "protected" => bool_text(value) == Some(image.protected),
        "size_min" => value
            .parse()
            .is_ok_and(|min: u64| image.size.unwrap_or(0) >= min),
        "size_max" => value
            .parse()
            .is_ok_and(|max: u64| image.size.unwrap_or(0) <= max),
        "created_at" => compares(&stamp(image.created), value),
        "updated_at" => compares(&stamp(image.updated), value),
        property => image.properties.get(property).and_then(Value::as_str) == Some(value),
    }
}

/// `gt:2026-01-01T00:00:00Z` and the like; times in one form compare as text.
fn compares(have: &str, asked: &str) -> bool {
    match asked.split_once(':') {
        Some(("gt", time)) => have > time,
        Some(("gte", time)) => have >= time,
        Some(("lt", time)) => have < time,
        Some(("lte", time)) => have <= time,
        Some(("neq", time)) => have != time,
        Some(("eq", time)) => have == time,
        _ => have == asked,
    }
}

/// `sort=name:asc,...` or `sort_key` and `sort_dir`; newest first by default.
fn sort(images: &mut [&Image], request: &Request) {
    let mut keys: Vec<(String, bool)> = Vec::new();
    if let Some(sort) = request.arg("sort") {
        for part in sort.split(',') {
            let (key, direction) = part.split_once(':').unwrap_or((part, "desc"));
            keys.push((key.to_owned(), direction == "asc"));
        }
    }
    let ascending = request.arg("sort_dir") == Some("asc");
    keys.extend(
        request
            .query
            .iter()
            .filter(|(n, _)| n == "sort_key")
            .map(|(_, v)| (v.clone(), ascending)),
    );
    if keys.is_empty() {
        keys.push(("created_at".to_owned(), ascending));
    }
    images.sort_by(|a, b| {
        let by_key = keys.iter().map(|(key, ascending)| {
            let order = match key.as_str() {
                "name" => a.name.cmp(&b.name),
                "id" => a.id.cmp(&b.id),
                "size" => a.size.cmp(&b.size),
                "status" => a.status.cmp(b.status),
                "updated_at" => a.updated.cmp(&b.updated),
                _ => a.created.cmp(&b.created),
            };
            if *ascending { order } else { order.reverse() }
        });
        by_key
            .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            .then(b.sequence.cmp(&a.sequence))
    });
}
