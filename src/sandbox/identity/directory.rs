//! Lists of domains, projects, users, groups, roles, services, endpoints and assignments.

use serde_json::{Value, json};

use super::super::json::Object;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::{Endpoint, Named, REGION, Service, forbidden, not_found};

impl World {
    pub(super) fn directory_route(&mut self, request: &Request, path: &[&str]) -> Answer {
        let account = self.account(request)?;
        let (items, member): (Vec<Value>, &str) = match path {
            ["users", id, "projects"] if *id == account.user_id || account.admin => {
                (self.projects_of(id), "project")
            }
            ["projects", ..] => (
                self.identity
                    .projects
                    .iter()
                    .map(|p| self.project_body(p))
                    .collect(),
                "project",
            ),
            ["users", ..] => (
                self.identity
                    .users
                    .iter()
                    .map(|u| self.user_body(u))
                    .collect(),
                "user",
            ),
            ["roles", ..] => (
                self.identity
                    .roles
                    .iter()
                    .map(|r| self.role_body(r))
                    .collect(),
                "role",
            ),
            ["groups", ..] => (
                self.identity
                    .groups
                    .iter()
                    .map(|g| self.group_body(g))
                    .collect(),
                "group",
            ),
            ["domains", ..] => (self.domains(), "domain"),
            ["regions", ..] => (
                vec![json!({"id": REGION, "description": "", "parent_region_id": null})],
                "region",
            ),
            ["services", ..] => (
                self.identity
                    .services
                    .iter()
                    .map(|s| self.service_body(s))
                    .collect(),
                "service",
            ),
            ["endpoints", ..] => (
                self.identity
                    .endpoints
                    .iter()
                    .map(|e| self.endpoint_body(e))
                    .collect(),
                "endpoint",
            ),
            ["role_assignments"] => (self.assignments(), "role_assignment"),
            _ => return Err(not_found()),
        };
        match path {
            [collection] => {
                if !account.admin && *collection != "regions" {
                    return Err(forbidden(&format!("identity:list_{collection}")));
                }
                // Roles of a domain are shown only to who asks for that domain.
                let other_domain = |item: &Value| {
                    *collection == "roles"
                        && request.arg("domain_id").is_none()
                        && !item["domain_id"].is_null()
                };
                let kept = items
                    .into_iter()
                    .filter(|item| has_what_is_asked(request, item) && !other_domain(item))
                    .collect();
                Ok(Response::json(
                    200,
                    self.collection(collection, kept, &format!("/{collection}")),
                ))
            }
            ["users", _, "projects"] => Ok(Response::json(
                200,
                self.collection("projects", items, "/projects"),
            )),
            [collection, id] => {
                let own = match *collection {
                    "projects" => self
                        .identity
                        .grants
                        .iter()
                        .any(|grant| grant.is_of(&account.user_id) && grant.is_in(id)),
                    "users" => account.user_id == *id,
                    _ => false,
                };
                if !own && !account.admin {
                    return Err(forbidden(&format!("identity:get_{member}")));
                }
                let found = items
                    .into_iter()
                    .find(|item| item["id"] == *id)
                    .ok_or_else(|| Refusal::new(404, format!("Could not find {member}: {id}.")))?;
                Ok(Response::json(200, json!({ member: found })))
            }
            _ => Err(not_found()),
        }
    }

    /// A list in Keystone's form.
    pub(super) fn collection(&self, name: &str, items: Vec<Value>, path: &str) -> Value {
        json!({"links": {"next": null, "previous": null, "self": self.url(&format!("/identity/v3{path}"))},
            name: items})
    }

    pub(super) fn projects_of(&self, user: &str) -> Vec<Value> {
        self.identity
            .projects
            .iter()
            .filter(|p| {
                self.identity
                    .grants
                    .iter()
                    .any(|grant| grant.is_of(user) && grant.is_in(&p.id))
            })
            .map(|p| self.project_body(p))
            .collect()
    }

    pub(super) fn domains(&self) -> Vec<Value> {
        let domains = self.identity.domains.iter();
        domains.map(|domain| self.domain_body(domain)).collect()
    }

    pub(super) fn domain_body(&self, domain: &Named) -> Value {
        let body = json!({"id": domain.id, "name": domain.name, "description": "",
            "enabled": domain.enabled, "tags": [], "options": {},
            "links": self.self_link("domains", &domain.id)});
        with(body, domain)
    }

    pub(super) fn project_body(&self, project: &Named) -> Value {
        let body = json!({"id": project.id, "name": project.name, "domain_id": project.domain,
            "description": "", "enabled": project.enabled, "parent_id": project.domain,
            "is_domain": false, "tags": [], "options": {},
            "links": self.self_link("projects", &project.id)});
        with(body, project)
    }

    pub(super) fn user_body(&self, user: &Named) -> Value {
        let body = json!({"id": user.id, "name": user.name, "domain_id": user.domain,
            "enabled": user.enabled, "options": {}, "password_expires_at": null,
            "links": self.self_link("users", &user.id)});
        with(body, user)
    }

    pub(super) fn group_body(&self, group: &Named) -> Value {
        let body = json!({"id": group.id, "name": group.name, "domain_id": group.domain,
            "description": "", "links": self.self_link("groups", &group.id)});
        with(body, group)
    }

    pub(super) fn role_body(&self, role: &Named) -> Value {
        let body = json!({"id": role.id, "name": role.name, "domain_id": role.domain,
            "description": null, "options": {}, "links": self.self_link("roles", &role.id)});
        with(body, role)
    }

    pub(super) fn service_body(&self, service: &Service) -> Value {
        let mut body = json!({"id": service.id, "type": service.kind, "name": service.name,
            "enabled": service.enabled, "links": self.self_link("services", &service.id)});
        add(&mut body, &service.more);
        body
    }

    pub(super) fn endpoint_body(&self, endpoint: &Endpoint) -> Value {
        let mut body = json!({"id": endpoint.id, "interface": endpoint.interface,
            "service_id": endpoint.service, "region": endpoint.region,
            "region_id": endpoint.region, "url": self.endpoint_url(endpoint),
            "enabled": endpoint.enabled, "links": self.self_link("endpoints", &endpoint.id)});
        add(&mut body, &endpoint.more);
        body
    }

    pub(super) fn endpoint_url(&self, endpoint: &Endpoint) -> String {
        if endpoint.url.starts_with('/') {
            self.url(&endpoint.url)
        } else {
            endpoint.url.clone()
        }
    }

    fn self_link(&self, collection: &str, id: &str) -> Value {
        json!({"self": self.url(&format!("/identity/v3/{collection}/{id}"))})
    }

    fn assignments(&self) -> Vec<Value> {
        let one = |many: &str| many.trim_end_matches('s').to_owned();
        let grants = self.identity.grants.iter();
        grants
            .map(|grant| {
                let ((place, place_id), (actor, actor_id)) = (&grant.place, &grant.actor);
                let path = format!(
                    "/identity/v3/{place}/{place_id}/{actor}/{actor_id}/roles/{}",
                    grant.role
                );
                json!({(one(actor)): {"id": actor_id}, "role": {"id": grant.role},
                    "scope": {(one(place)): {"id": place_id}},
                    "links": {"assignment": self.url(&path)}})
            })
            .collect()
    }
}

/// A body with what else the resource was given.
fn with(mut body: Value, one: &Named) -> Value {
    add(&mut body, &one.more);
    body
}

fn add(body: &mut Value, more: &Object) {
    for (name, value) in more {
        body[name.as_str()] = value.clone();
    }
}

fn has_what_is_asked(request: &Request, item: &Value) -> bool {
    request
        .query
        .iter()
        .filter(|(name, _)| !["limit", "marker", "sort_key", "sort_dir"].contains(&name.as_str()))
        // `user.id` goes down into the item: who has no user is not asked for.
        .all(|(name, value)| match name.split_once('.') {
            Some(_) => {
                let pointer = format!("/{}", name.replace('.', "/"));
                item.pointer(&pointer).is_some_and(|have| have == value)
            }
            None => match item.get(name) {
                None => true,
                Some(Value::String(have)) => have == value,
                Some(Value::Array(have)) => value.split(',').all(|it| have.contains(&json!(it))),
                Some(have) => have.to_string().eq_ignore_ascii_case(value),
            },
        })
}
