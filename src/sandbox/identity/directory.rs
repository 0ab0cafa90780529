//! Lists of projects, users, roles, services and endpoints: read only.

use serde_json::{Value, json};

use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::{DOMAIN_ID, DOMAIN_NAME, Named, REGION, forbidden, not_found};

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
            ["domains", ..] => (vec![self.domain()], "domain"),
            ["regions", ..] => (
                vec![json!({"id": REGION, "description": "", "parent_region_id": null})],
                "region",
            ),
            ["services", ..] => (self.services(), "service"),
            ["endpoints", ..] => (self.endpoints(), "endpoint"),
            ["role_assignments"] => (self.assignments(), "role_assignment"),
            _ => return Err(not_found()),
        };
        match path {
            [collection] => {
                if !account.admin {
                    return Err(forbidden(&format!("identity:list_{collection}")));
                }
                let kept = items
                    .into_iter()
                    .filter(|item| has_what_is_asked(request, item))
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
                        .any(|(u, p, _)| *u == account.user_id && p == id),
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
                    .any(|(u, project, _)| u == user && *project == p.id)
            })
            .map(|p| self.project_body(p))
            .collect()
    }

    pub(super) fn domain(&self) -> Value {
        json!({"id": DOMAIN_ID, "name": DOMAIN_NAME, "description": "The default domain", "enabled": true,
            "tags": [], "options": {}, "links": {"self": self.url("/identity/v3/domains/default")}})
    }

    fn project_body(&self, project: &Named) -> Value {
        json!({"id": project.id, "name": project.name, "domain_id": DOMAIN_ID, "description": project.description,
            "enabled": true, "parent_id": DOMAIN_ID, "is_domain": false, "tags": [], "options": {},
            "links": {"self": self.url(&format!("/identity/v3/projects/{}", project.id))}})
    }

    fn user_body(&self, user: &Named) -> Value {
        json!({"id": user.id, "name": user.name, "domain_id": DOMAIN_ID, "enabled": true, "options": {},
            "password_expires_at": null, "links": {"self": self.url(&format!("/identity/v3/users/{}", user.id))}})
    }

    fn role_body(&self, role: &Named) -> Value {
        json!({"id": role.id, "name": role.name, "domain_id": null, "description": null, "options": {},
            "links": {"self": self.url(&format!("/identity/v3/roles/{}", role.id))}})
    }

    fn services(&self) -> Vec<Value> {
        self.identity
            .services
            .iter()
            .map(|s| {
                json!({"id": s.id, "type": s.kind, "name": s.name, "enabled": true, "description": "",
                    "links": {"self": self.url(&format!("/identity/v3/services/{}", s.id))}})
            })
            .collect()
    }

    fn endpoints(&self) -> Vec<Value> {
        let interfaces = ["public", "internal", "admin"];
        self.identity
            .services
            .iter()
            .flat_map(|s| interfaces.iter().enumerate().map(move |(n, interface)| (s, n, *interface)))
            .map(|(s, n, interface)| {
                let id = format!("{}{n}", &s.endpoint[1..]);
                json!({"links": {"self": self.url(&format!("/identity/v3/endpoints/{id}"))}, "id": id,
                    "interface": interface, "service_id": s.id, "region": REGION, "region_id": REGION,
                    "url": self.url(s.path), "enabled": true})
            })
            .collect()
    }

    fn assignments(&self) -> Vec<Value> {
        let role_id = |name: &str| {
            self.identity
                .roles
                .iter()
                .find(|r| r.name == name)
                .map(|r| r.id.clone())
        };
        self.identity
            .grants
            .iter()
            .map(|(user, project, role)| {
                json!({"user": {"id": user}, "role": {"id": role_id(role)}, "scope": {"project": {"id": project}},
                    "links": {"assignment": self.url("/identity/v3/role_assignments")}})
            })
            .collect()
    }
}

fn has_what_is_asked(request: &Request, item: &Value) -> bool {
    request
        .query
        .iter()
        .filter(|(name, _)| !["limit", "marker", "sort_key", "sort_dir"].contains(&name.as_str()))
        .all(|(name, value)| match item.get(name) {
            None => true,
            Some(Value::String(have)) => have == value,
            Some(have) => have.to_string().eq_ignore_ascii_case(value),
        })
}
