//! Server groups.

use http::Method;
use serde_json::{Value, json};

use super::super::json::text;
use super::super::quota::Counted;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::{Caller, invalid, no_route};

#[derive(Debug, Clone)]
pub(super) struct ServerGroup {
    pub(super) id: String,
    sequence: u64,
    name: String,
    pub(super) policy: String,
    rules: Value,
    project_id: String,
    user_id: String,
    pub(super) members: Vec<String>,
}

impl World {
    pub(super) fn groups_call(
        &mut self,
        request: &Request,
        who: Caller<'_>,
        path: &[&str],
    ) -> Answer {
        let missing =
            |id: &str| Refusal::new(404, format!("Instance group {id} could not be found."));
        let own = |group: &&ServerGroup| group.project_id == who.account.project_id;
        match (&request.method, path) {
            (&Method::GET, []) => {
                let all = who.account.admin && request.arg("all_projects").is_some();
                let mut found: Vec<&ServerGroup> = self
                    .compute
                    .groups
                    .values()
                    .filter(|g| all || own(g))
                    .collect();
                found.sort_by_key(|g| g.sequence);
                let offset = request
                    .arg("offset")
                    .and_then(|o| o.parse().ok())
                    .unwrap_or(0);
                let limit = super::list::page_size(request, self.options.pages.compute)?;
                let page: Vec<Value> = found
                    .into_iter()
                    .skip(offset)
                    .take(limit)
                    .map(|g| g.body(who.minor))
                    .collect();
                Ok(Response::json(200, json!({ "server_groups": page })))
            }
            (&Method::POST, []) => {
                let body = request.body_json().unwrap_or_default();
                let wanted = body
                    .get("server_group")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                let name = text(&wanted, "name").ok_or_else(|| {
                    invalid(
                        "server_group",
                        &json!(wanted),
                        "'name' is a required property",
                    )
                })?;
                let policy = match who.minor {
                    ..64 => wanted.get("policies").and_then(|p| p[0].as_str()),
                    _ => text(&wanted, "policy"),
                };
                let known = [
                    "anti-affinity",
                    "affinity",
                    "soft-anti-affinity",
                    "soft-affinity",
                ];
                let policy = policy.filter(|p| known.contains(p)).ok_or_else(|| {
                    let given = policy.unwrap_or("");
                    let known = known.map(|it| format!("'{it}'")).join(", ");
                    let why = format!("'{given}' is not one of [{known}]");
                    invalid("policy", &json!(policy), &why)
                })?;
                let has_rules = wanted.get("rules").and_then(Value::as_object);
                if policy != "anti-affinity" && has_rules.is_some_and(|it| !it.is_empty()) {
                    let text = "Only anti-affinity policy supports rules.";
                    return Err(Refusal::new(400, text));
                }
                let limit = self.limit(Counted::Compute, &who.account.project_id, "server_groups");
                let used = self.compute.groups.values().filter(|g| own(g)).count() as i64;
                if limit >= 0 && used >= limit {
                    return Err(Refusal::new(403, "Quota exceeded, too many server groups."));
                }
                let group = ServerGroup {
                    id: self.new_uuid(),
                    sequence: self.next_sequence(),
                    name: name.to_owned(),
                    policy: policy.to_owned(),
                    rules: wanted.get("rules").cloned().unwrap_or_else(|| json!({})),
                    project_id: who.account.project_id.clone(),
                    user_id: who.account.user_id.clone(),
                    members: Vec::new(),
                };
                let body = group.body(who.minor);
                self.compute.groups.insert(group.id.clone(), group);
                Ok(Response::json(200, json!({ "server_group": body })))
            }
            (&Method::GET, [id]) => {
                let found = self
                    .compute
                    .groups
                    .get(*id)
                    .filter(|g| own(g) || who.account.admin)
                    .ok_or_else(|| missing(id))?;
                Ok(Response::json(
                    200,
                    json!({"server_group": found.body(who.minor)}),
                ))
            }
            (&Method::DELETE, [id]) => {
                self.compute
                    .groups
                    .get(*id)
                    .filter(|g| own(g) || who.account.admin)
                    .ok_or_else(|| missing(id))?;
                self.compute.groups.remove(*id);
                Ok(Response::empty(204))
            }
            _ => Err(no_route()),
        }
    }
}

impl ServerGroup {
    pub(super) fn is_of(&self, project: &str) -> bool {
        self.project_id == project
    }

    fn body(&self, minor: u32) -> Value {
        let mut body = json!({"id": self.id, "name": self.name, "members": self.members});
        if minor >= 13 {
            body["project_id"] = json!(self.project_id);
            body["user_id"] = json!(self.user_id);
        }
        if minor >= 64 {
            body["policy"] = json!(self.policy);
            body["rules"] = self.rules.clone();
        } else {
            body["policies"] = json!([self.policy]);
            body["metadata"] = json!({});
        }
        body
    }
}
