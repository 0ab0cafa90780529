//! Lists of volumes: filters, sorting, pages.

use serde_json::{Value, json};

use super::super::json::bool_text;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::Volume;

/// Filters that a project user may use (the default resource filters); others are dropped below 3.31.
const FILTERS: [&str; 10] = [
    "name",
    "status",
    "metadata",
    "bootable",
    "migration_status",
    "availability_zone",
    "group_id",
    "size",
    "created_at",
    "updated_at",
];

impl World {
    pub(super) fn list_volumes(
        &self,
        request: &Request,
        account: &Account,
        minor: u32,
        detail: bool,
    ) -> Answer {
        let known = |name: &str| {
            FILTERS.contains(&name.trim_end_matches('~'))
                || [
                    "limit",
                    "marker",
                    "offset",
                    "sort",
                    "sort_key",
                    "sort_dir",
                    "all_tenants",
                    "with_count",
                    "project_id",
                ]
                .contains(&name)
        };
        let unknown: Vec<&str> = request
            .query
            .iter()
            .map(|(n, _)| n.as_str())
            .filter(|n| !known(n))
            .collect();
        if minor >= 31 && !unknown.is_empty() && !account.admin {
            let text = format!(
                "Invalid filters {} are found in query options.",
                unknown.join(", ")
            );
            return Err(Refusal::new(400, text));
        }
        let limit = page_size(request, self.options.pages.volume)?;
        let all = account.admin
            && request
                .arg("all_tenants")
                .and_then(bool_text)
                .unwrap_or(false);
        let mut found: Vec<&Volume> = self
            .volumes
            .volumes
            .values()
            .filter(|v| all || v.project_id == account.project_id)
            .filter(|v| {
                request
                    .query
                    .iter()
                    .all(|(name, value)| passes(v, name, value))
            })
            .collect();
        sort(&mut found, request);
        if let Some(marker) = request.arg("marker") {
            self.volume_shown(account, marker)?;
            let place = found.iter().position(|v| v.id == marker);
            found.drain(..place.map_or(found.len(), |p| p + 1));
        }
        if let Some(offset) = request.arg("offset").and_then(|o| o.parse::<usize>().ok()) {
            found.drain(..offset.min(found.len()));
        }
        // Cinder links to a next page whenever the page is full, even if nothing follows.
        let full = found.len() >= limit && limit > 0 && request.arg("limit").is_some()
            || found.len() > limit;
        found.truncate(limit);
        let volumes: Vec<Value> = found
            .iter()
            .map(|v| {
                if detail {
                    self.volume_body(v, account, minor, true)
                } else {
                    json!({"id": v.id, "name": v.name, "links": self.volume_links("volumes", &v.id)})
                }
            })
            .collect();
        let mut body = json!({ "volumes": volumes });
        if let Some(last) = found.last().filter(|_| full) {
            body["volumes_links"] =
                json!([{"rel": "next", "href": self.next_volumes(request, &last.id)}]);
        }
        Ok(Response::json(200, body))
    }

    pub(super) fn next_volumes(&self, request: &Request, last: &str) -> String {
        let query = request.query_without(&["marker"]);
        let joint = if query.is_empty() { '?' } else { '&' };
        self.url(&format!("{}{query}{joint}marker={last}", request.path))
    }
}

pub(super) fn page_size(request: &Request, most: usize) -> Result<usize, Refusal> {
    let Some(text) = request.arg("limit") else {
        return Ok(most);
    };
    let limit: i64 = text
        .parse()
        .map_err(|_| Refusal::new(400, "limit param must be an integer"))?;
    usize::try_from(limit)
        .map(|l| l.min(most))
        .map_err(|_| Refusal::new(400, "limit param must be positive"))
}

fn passes(volume: &Volume, name: &str, value: &str) -> bool {
    match name {
        "name" | "display_name" => volume.name.as_str() == Some(value),
        "name~" => volume.name.as_str().is_some_and(|n| n.contains(value)),
        "status" => volume.status == value,
        "bootable" => bool_text(value) == Some(volume.bootable),
        "availability_zone" => volume.zone == value,
        "size" => value.parse() == Ok(volume.size),
        "project_id" => volume.project_id == value,
        // A Python dictionary as text: {'k': 'v'}
        "metadata" => {
            let asked: Option<Value> = serde_json::from_str(&value.replace('\'', "\"")).ok();
            let asked = asked.as_ref().and_then(Value::as_object);
            asked.is_none_or(|asked| asked.iter().all(|(k, v)| volume.metadata.get(k) == Some(v)))
        }
        _ => true,
    }
}

fn sort(volumes: &mut [&Volume], request: &Request) {
    let sort = request.arg("sort").unwrap_or("created_at:desc");
    let (key, direction) = sort.split_once(':').unwrap_or((sort, "desc"));
    let key = request.arg("sort_key").unwrap_or(key);
    let ascending = request.arg("sort_dir").unwrap_or(direction) == "asc";
    volumes.sort_by(|a, b| {
        let order = match key {
            "name" | "display_name" => a.name.as_str().cmp(&b.name.as_str()),
            "id" => a.id.cmp(&b.id),
            "size" => a.size.cmp(&b.size),
            "status" => a.status.cmp(&b.status),
            _ => a.sequence.cmp(&b.sequence),
        };
        if ascending { order } else { order.reverse() }.then(b.sequence.cmp(&a.sequence))
    });
}
