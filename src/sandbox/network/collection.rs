//! Lists of records: who sees what, filters, sorting, pages, and what is shown of a record.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::super::json::{Object, bool_text, text, text_or_empty};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::kind::Kind;
use super::{bad_request, fields};

const CONTROLS: &[&str] = &[
    "fields",
    "limit",
    "marker",
    "page_reverse",
    "sort_key",
    "sort_dir",
];
const TAG_FILTERS: &[&str] = &["tags", "tags-any", "not-tags", "not-tags-any"];

impl World {
    pub(super) fn list_records(&self, kind: Kind, request: &Request, account: &Account) -> Answer {
        let unknown: Vec<String> = request
            .query
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|n| {
                !CONTROLS.contains(n)
                    && !TAG_FILTERS.contains(n)
                    && *n != "changed_since"
                    && !kind.has_field(n)
            })
            .map(|n| format!("'{n}'"))
            .collect();
        if !unknown.is_empty() {
            return Err(bad_request(format!(
                "[{}] is invalid attribute for filtering",
                unknown.join(", ")
            )));
        }
        let limit = self.network_limit(request)?;
        let reverse = request
            .arg("page_reverse")
            .and_then(bool_text)
            .unwrap_or(false);
        let mut found: Vec<Value> = self
            .table(kind)
            .filter(|record| self.is_shown(kind, record, account))
            .map(|record| self.record_body(kind, record, account, &[]))
            .filter(|body| body.as_object().is_some_and(|body| passes(body, request)))
            .collect();
        sort(&mut found, request);
        if let Some(marker) = request.arg("marker") {
            let place = found
                .iter()
                .position(|r| r["id"] == marker)
                .ok_or_else(|| kind.missing(marker))?;
            if reverse {
                found.truncate(place)
            } else {
                drop(found.drain(..=place))
            }
        }
        if let Some(limit) = limit {
            if reverse {
                let extra = found.len().saturating_sub(limit);
                found.drain(..extra);
            } else {
                found.truncate(limit);
            }
        }
        let links = self.record_links(request, &found, limit, reverse);
        let wanted = fields(request);
        if !wanted.is_empty() {
            for record in found.iter_mut().filter_map(Value::as_object_mut) {
                record.retain(|name, _| wanted.contains(name));
            }
        }
        let name = kind.collection();
        let mut body = Object::new();
        body.insert(format!("{name}_links"), links.into());
        body.insert(name.to_owned(), found.into());
        Ok(Response::json(200, body.into()))
    }

    /// Whether an account gets to see a record.
    pub(super) fn is_shown(&self, kind: Kind, record: &Object, account: &Account) -> bool {
        let own = |record: &Object| text_or_empty(record, "project_id") == account.project_id;
        let of_network =
            |record: &Object| self.record(Kind::Network, text_or_empty(record, "network_id"));
        if account.admin || own(record) {
            return true;
        }
        match kind {
            Kind::Network => is_common(record),
            Kind::Subnet => of_network(record).is_some_and(is_common),
            Kind::Port => of_network(record).is_some_and(own),
            _ => false,
        }
    }

    /// A record as the API shows it.
    pub(super) fn record_body(
        &self,
        kind: Kind,
        record: &Object,
        account: &Account,
        wanted: &[String],
    ) -> Value {
        let mut body = record.clone();
        if !account.admin {
            body.retain(|name, _| !Kind::is_hidden(name));
        }
        let id = text_or_empty(record, "id");
        match kind {
            Kind::Network => {
                let subnets: Vec<&Value> = self
                    .table(Kind::Subnet)
                    .filter(|s| text(s, "network_id") == Some(id))
                    .map(|s| &s["id"])
                    .collect();
                body.insert("subnets".into(), json!(subnets));
            }
            Kind::SecurityGroup => {
                let rules: Vec<Value> = self
                    .table(Kind::SecurityGroupRule)
                    .filter(|r| text(r, "security_group_id") == Some(id))
                    .map(|r| Value::Object(r.clone()))
                    .collect();
                body.insert("security_group_rules".into(), Value::Array(rules));
            }
            Kind::FloatingIp => {
                let port = text(record, "port_id").and_then(|port| self.record(Kind::Port, port));
                let details = port.map(|port| {
                    let names = [
                        "name",
                        "network_id",
                        "mac_address",
                        "admin_state_up",
                        "status",
                        "device_id",
                        "device_owner",
                    ];
                    names
                        .iter()
                        .map(|n| ((*n).to_owned(), port[*n].clone()))
                        .collect::<Object>()
                });
                body.insert("port_details".into(), json!(details));
            }
            _ => {}
        }
        if !wanted.is_empty() {
            body.retain(|name, _| wanted.contains(name));
        }
        Value::Object(body)
    }

    fn network_limit(&self, request: &Request) -> Result<Option<usize>, Refusal> {
        let most = self.options.pages.network;
        let Some(text) = request.arg("limit") else {
            return Ok(most);
        };
        let asked: usize = text.parse().map_err(|_| {
            let why = format!(
                "Bad limit request: Limit must be an integer 0 or greater and not '{text}'."
            );
            Refusal::of(400, "BadRequest", why)
        })?;
        Ok(if asked == 0 {
            most
        } else {
            Some(most.map_or(asked, |most| most.min(asked)))
        })
    }

    fn record_links(
        &self,
        request: &Request,
        page: &[Value],
        limit: Option<usize>,
        reverse: bool,
    ) -> Vec<Value> {
        let full = limit.is_some_and(|limit| page.len() >= limit);
        let link = |rel: &str, item: Option<&Value>, extra: &str| {
            let mut query = request.query_without(&["marker", "page_reverse"]);
            for part in [
                item.and_then(|i| i["id"].as_str())
                    .map(|id| format!("marker={id}")),
                Some(extra.to_owned()),
            ]
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            {
                query.push(if query.is_empty() { '?' } else { '&' });
                query.push_str(&part);
            }
            json!({"rel": rel, "href": self.url(&format!("{}{query}", request.path))})
        };
        let mut links = Vec::new();
        if full || (reverse && !page.is_empty()) {
            links.push(link("next", page.last(), ""));
        }
        if full || !reverse {
            links.push(link("previous", page.first(), "page_reverse=True"));
        }
        links
    }
}

/// Shared and external networks are seen by all.
pub(super) fn is_common(network: &Object) -> bool {
    network["shared"] == true || network["router:external"] == true
}

fn passes(record: &Object, request: &Request) -> bool {
    let names = request
        .query
        .iter()
        .map(|(n, _)| n.as_str())
        .filter(|n| !CONTROLS.contains(n));
    // Several values of one name are alternatives.
    names.into_iter().all(|name| {
        let mut values = request
            .query
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.as_str());
        match name {
            "tags" | "tags-any" | "not-tags" | "not-tags-any" => {
                values.all(|value| tags_pass(record, name, value))
            }
            "fixed_ips" => values.all(|value| fixed_ips_pass(record, value)),
            "changed_since" => {
                values.all(|value| text(record, "updated_at").is_some_and(|u| u >= value))
            }
            _ => values.any(|value| equals(record.get(name).unwrap_or(&Value::Null), value)),
        }
    })
}

fn equals(have: &Value, asked: &str) -> bool {
    match have {
        Value::String(have) => have == asked,
        Value::Bool(have) => bool_text(asked) == Some(*have),
        Value::Number(have) => have.to_string() == asked,
        Value::Null => asked.is_empty() || asked == "null",
        Value::Array(items) => items.iter().any(|item| equals(item, asked)),
        Value::Object(_) => false,
    }
}

fn tags_pass(record: &Object, name: &str, asked: &str) -> bool {
    let tags: Vec<&str> = record
        .get("tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut asked = asked.split(',');
    match name {
        "tags" => asked.all(|t| tags.contains(&t)),
        "tags-any" => asked.any(|t| tags.contains(&t)),
        "not-tags" => !asked.all(|t| tags.contains(&t)),
        _ => !asked.any(|t| tags.contains(&t)),
    }
}

fn fixed_ips_pass(record: &Object, asked: &str) -> bool {
    let Some((name, value)) = asked.split_once('=') else {
        return false;
    };
    let addresses = record
        .get("fixed_ips")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    addresses.into_iter().any(|fixed| match name {
        "ip_address_substr" => fixed["ip_address"]
            .as_str()
            .is_some_and(|ip| ip.contains(value)),
        name => fixed[name] == value,
    })
}

fn sort(records: &mut [Value], request: &Request) {
    let keys: Vec<&str> = request
        .query
        .iter()
        .filter(|(n, _)| n == "sort_key")
        .map(|(_, v)| v.as_str())
        .collect();
    let directions: Vec<&str> = request
        .query
        .iter()
        .filter(|(n, _)| n == "sort_dir")
        .map(|(_, v)| v.as_str())
        .collect();
    if keys.is_empty() {
        return; // the table is in the order of ids
    }
    records.sort_by(|a, b| {
        keys.iter()
            .enumerate()
            .fold(Ordering::Equal, |order, (n, key)| {
                order.then_with(|| {
                    let by = match (&a[*key], &b[*key]) {
                        (Value::Number(a), Value::Number(b)) => a.as_i64().cmp(&b.as_i64()),
                        (a, b) => a.as_str().cmp(&b.as_str()),
                    };
                    if directions.get(n) == Some(&"desc") {
                        by.reverse()
                    } else {
                        by
                    }
                })
            })
    });
}
