//! Domains, projects, users, groups, roles, services and endpoints: made, changed and deleted by
//! administrators, with what Keystone deletes along with them.

use serde_json::{Value, json};

use super::super::json::{Object, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::{
    DOMAIN_ID, Endpoint, Identity, Named, REGION, Scope, Service, forbidden, no_content, not_found,
};

impl World {
    pub(super) fn create_entry(&mut self, request: &Request, collection: &str) -> Answer {
        let (one, wanted) = self.wanted(request, collection, "create")?;
        let id = self.new_hex();
        let required: &[&str] = match one {
            "service" => &["type"],
            "endpoint" => &["interface", "service_id", "url"],
            _ => &["name"],
        };
        if let Some(missing) = required.iter().find(|it| !wanted.contains_key(**it)) {
            return Err(invalid(
                one,
                &wanted,
                &format!("'{missing}' is a required property"),
            ));
        }
        check_tags(&wanted)?;
        match one {
            "service" => {
                let service = Service {
                    id: id.clone(),
                    kind: String::new(),
                    name: String::new(),
                    enabled: true,
                    first: None,
                    more: Object::new(),
                };
                self.identity.services.push(service.with(wanted));
            }
            "endpoint" => {
                let endpoint = Endpoint {
                    id: id.clone(),
                    service: String::new(),
                    interface: String::new(),
                    region: None,
                    url: String::new(),
                    enabled: true,
                    more: Object::new(),
                };
                let endpoint = endpoint.with(wanted);
                self.check_endpoint(&endpoint)?;
                self.identity.endpoints.push(endpoint);
            }
            _ => {
                let domain = match one {
                    "domain" => None,
                    "role" => text(&wanted, "domain_id"),
                    _ => text(&wanted, "domain_id").or(Some(DOMAIN_ID)),
                };
                let domain = domain.map(str::to_owned);
                if let Some(domain) = domain
                    .as_ref()
                    .filter(|it| self.identity.domain(it).is_none())
                {
                    let status = if one == "project" { 400 } else { 404 };
                    let message = format!("Could not find domain: {domain}.");
                    return Err(Refusal::new(status, message));
                }
                let mut named = Named::new(id.clone(), "").with(wanted);
                named.domain = domain;
                self.check_name(one, &named)?;
                if let Some(all) = self.identity.named(collection) {
                    all.push(named);
                }
            }
        }
        let body = self.entry_body(one, &id).ok_or_else(not_found)?;
        Ok(Response::json(201, json!({ one: body })))
    }

    pub(super) fn change_entry(&mut self, request: &Request, collection: &str, id: &str) -> Answer {
        let (one, wanted) = self.wanted(request, collection, "update")?;
        if wanted.is_empty() {
            return Err(invalid(one, &wanted, "{} should be non-empty"));
        }
        check_tags(&wanted)?;
        let missing = || Refusal::new(404, format!("Could not find {one}: {id}."));
        match one {
            "service" => {
                let all = &mut self.identity.services;
                let place = all.iter().position(|it| it.id == id).ok_or_else(missing)?;
                all[place] = all[place].clone().with(wanted);
            }
            "endpoint" => {
                let all = &self.identity.endpoints;
                let place = all.iter().position(|it| it.id == id).ok_or_else(missing)?;
                let changed = all[place].clone().with(wanted);
                self.check_endpoint(&changed)?;
                self.identity.endpoints[place] = changed;
            }
            _ => {
                let all = self.identity.named(collection).ok_or_else(not_found)?;
                let place = all.iter().position(|it| it.id == id).ok_or_else(missing)?;
                let before = all[place].clone();
                if text(&wanted, "domain_id").is_some_and(|it| !before.is_in(it)) {
                    return Err(Refusal::new(400, "Cannot change Domain ID"));
                }
                let changed = before.with(wanted);
                self.check_name(one, &changed)?;
                if let Some(all) = self.identity.named(collection) {
                    all[place] = changed;
                }
                self.end_tokens();
            }
        }
        let body = self.entry_body(one, id).ok_or_else(not_found)?;
        Ok(Response::json(200, json!({ one: body })))
    }

    pub(super) fn delete_entry(&mut self, request: &Request, collection: &str, id: &str) -> Answer {
        let account = self.account(request)?;
        let one = one(collection).ok_or_else(not_found)?;
        if !account.admin {
            return Err(forbidden(&format!("identity:delete_{one}")));
        }
        if self.entry_body(one, id).is_none() {
            return Err(Refusal::new(404, format!("Could not find {one}: {id}.")));
        }
        if one == "domain" && self.identity.domain(id).is_some_and(|it| it.enabled) {
            return Err(Refusal::new(
                403,
                "Cannot delete a domain that is enabled, please disable it first.",
            ));
        }
        let identity = &mut self.identity;
        match one {
            "service" => {
                identity.services.retain(|it| it.id != id);
                identity.endpoints.retain(|it| it.service != id);
            }
            "endpoint" => identity.endpoints.retain(|it| it.id != id),
            _ => {
                if let Some(all) = identity.named(collection) {
                    all.retain(|it| it.id != id);
                }
                if one == "domain" {
                    for all in [
                        &mut identity.projects,
                        &mut identity.users,
                        &mut identity.groups,
                    ] {
                        all.retain(|it| !it.is_in(id));
                    }
                }
                identity.drop_orphans();
            }
        }
        self.end_tokens();
        no_content()
    }

    /// The resource in a request's body, if the asker may do this.
    fn wanted(
        &self,
        request: &Request,
        collection: &str,
        verb: &str,
    ) -> Result<(&'static str, Object), Refusal> {
        let account = self.account(request)?;
        let one = one(collection).ok_or_else(not_found)?;
        if !account.admin {
            return Err(forbidden(&format!("identity:{verb}_{one}")));
        }
        let body = request.body_json().unwrap_or_default();
        let wanted = body.get(one).and_then(Value::as_object);
        let wanted =
            wanted.ok_or_else(|| Refusal::new(400, format!("'{one}' is a required property")))?;
        Ok((one, wanted.clone()))
    }

    fn check_name(&self, one: &str, named: &Named) -> Result<(), Refusal> {
        let name = &named.name;
        if name.is_empty() {
            let message = "Invalid input for field/attribute name. Value: . '' should be non-empty";
            return Err(Refusal::new(400, message));
        }
        let identity = &self.identity;
        let all = match one {
            "domain" => &identity.domains,
            "project" => &identity.projects,
            "user" => &identity.users,
            "group" => &identity.groups,
            _ => &identity.roles,
        };
        let twin = all
            .iter()
            .find(|it| it.id != named.id && it.name == *name && it.domain == named.domain);
        let Some(twin) = twin else { return Ok(()) };
        let why = match (one, &named.domain) {
            ("domain", _) => format!(
                "project - it is not permitted to have two projects acting as domains with the same name: {name}."
            ),
            ("project", _) => format!(
                "project - it is not permitted to have two projects with either the same name or same id in the \
                 same domain: name is {name}, project id {}.",
                twin.id
            ),
            (_, Some(domain)) => {
                format!("{one} - Duplicate entry found with name {name} at domain ID {domain}.")
            }
            (_, None) => format!("{one} - Duplicate entry found with name {name}."),
        };
        let message = format!("Conflict occurred attempting to store {why}");
        Err(Refusal::new(409, message))
    }

    fn check_endpoint(&self, endpoint: &Endpoint) -> Result<(), Refusal> {
        let expected = |what: &str, table: &str| {
            Refusal::new(
                400,
                format!(
                    "Expecting to find endpoint {what} in {table} table. The server could not comply with the \
                     request since it is either malformed or otherwise incorrect. The client is assumed to be in error."
                ),
            )
        };
        let interface = &endpoint.interface;
        if !["public", "internal", "admin"].contains(&interface.as_str()) {
            let message = format!(
                "Invalid input for field/attribute interface. Value: {interface}. '{interface}' is not one of ['admin', \
                 'internal', 'public']"
            );
            return Err(Refusal::new(400, message));
        }
        let url = &endpoint.url;
        if !url.starts_with('/') && !url.contains(':') {
            let message = format!(
                "Invalid input for field/attribute url. Value: {url}. '{url}' does not match '^[a-zA-Z0-9+.-]+:.+'"
            );
            return Err(Refusal::new(400, message));
        }
        if !self
            .identity
            .services
            .iter()
            .any(|it| it.id == endpoint.service)
        {
            return Err(expected("service_id", "service"));
        }
        match endpoint.region.as_deref() {
            None | Some(REGION) => Ok(()),
            Some(_) => Err(expected("region_id", "region")),
        }
    }

    fn entry_body(&self, one: &str, id: &str) -> Option<Value> {
        let identity = &self.identity;
        let find = |all: &[Named]| all.iter().find(|it| it.id == id).cloned();
        Some(match one {
            "domain" => self.domain_body(&find(&identity.domains)?),
            "project" => self.project_body(&find(&identity.projects)?),
            "user" => self.user_body(&find(&identity.users)?),
            "group" => self.group_body(&find(&identity.groups)?),
            "role" => self.role_body(&find(&identity.roles)?),
            "service" => self.service_body(identity.services.iter().find(|it| it.id == id)?),
            _ => self.endpoint_body(identity.endpoints.iter().find(|it| it.id == id)?),
        })
    }

    /// Tokens of who or where is disabled or gone are no longer good.
    fn end_tokens(&mut self) {
        let identity = &self.identity;
        let ended: Vec<String> = identity
            .tokens
            .iter()
            .filter(|(_, token)| {
                let user = identity.user(&token.account.user_id);
                let place = match &token.scope {
                    Scope::Project(id) => identity.project(id).map(|it| identity.is_enabled(it)),
                    _ => Some(true),
                };
                !user.is_some_and(|user| identity.is_enabled(user)) || place != Some(true)
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in ended {
            self.identity.tokens.remove(&id);
        }
    }
}

impl Identity {
    fn named(&mut self, collection: &str) -> Option<&mut Vec<Named>> {
        match collection {
            "domains" => Some(&mut self.domains),
            "projects" => Some(&mut self.projects),
            "users" => Some(&mut self.users),
            "groups" => Some(&mut self.groups),
            "roles" => Some(&mut self.roles),
            _ => None,
        }
    }

    /// Assignments and credentials of what is gone go too.
    fn drop_orphans(&mut self) {
        let ids = |all: &[Named]| all.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
        let (users, groups) = (ids(&self.users), ids(&self.groups));
        let (projects, domains) = (ids(&self.projects), ids(&self.domains));
        let roles = ids(&self.roles);
        self.grants.retain(|grant| {
            let actors = if grant.actor.0 == "users" {
                &users
            } else {
                &groups
            };
            let places = if grant.place.0 == "projects" {
                &projects
            } else {
                &domains
            };
            actors.contains(&grant.actor.1)
                && places.contains(&grant.place.1)
                && roles.contains(&grant.role)
        });
        self.credentials
            .retain(|_, it| users.contains(&it.user_id) && projects.contains(&it.project_id));
    }
}

impl Named {
    fn with(mut self, wanted: Object) -> Self {
        for (property, value) in wanted {
            match (property.as_str(), &value) {
                ("name", Value::String(name)) => self.name.clone_from(name),
                ("enabled", Value::Bool(enabled)) => self.enabled = *enabled,
                ("password", Value::String(password)) => self.password = Some(password.clone()),
                ("domain_id" | "id" | "links", _) => {}
                _ => put(&mut self.more, property, value),
            }
        }
        self
    }
}

impl Service {
    fn with(mut self, wanted: Object) -> Self {
        for (property, value) in wanted {
            match (property.as_str(), &value) {
                ("name", Value::String(name)) => self.name.clone_from(name),
                ("type", Value::String(kind)) => self.kind.clone_from(kind),
                ("enabled", Value::Bool(enabled)) => self.enabled = *enabled,
                ("id" | "links", _) => {}
                _ => put(&mut self.more, property, value),
            }
        }
        self
    }
}

impl Endpoint {
    fn with(mut self, wanted: Object) -> Self {
        for (property, value) in wanted {
            match (property.as_str(), &value) {
                ("url", Value::String(url)) => self.url.clone_from(url),
                ("interface", Value::String(interface)) => self.interface.clone_from(interface),
                ("service_id", Value::String(service)) => self.service.clone_from(service),
                ("region_id" | "region", _) => self.region = value.as_str().map(str::to_owned),
                ("enabled", Value::Bool(enabled)) => self.enabled = *enabled,
                ("id" | "links", _) => {}
                _ => put(&mut self.more, property, value),
            }
        }
        self
    }
}

/// Tags go into a list with commas, and into paths.
fn check_tags(wanted: &Object) -> Result<(), Refusal> {
    let tags = wanted.get("tags").and_then(Value::as_array);
    let bad = |tag: &&Value| {
        let text = tag.as_str().unwrap_or("");
        text.is_empty() || text.len() > 255 || text.contains([',', '/'])
    };
    match tags.into_iter().flatten().find(bad) {
        None => Ok(()),
        Some(tag) => Err(Refusal::new(
            400,
            format!(
                "Invalid input for field/attribute tags. Value: {}. {tag} does not match '^[^,/]*$'",
                json!(tags)
            ),
        )),
    }
}

/// An attribute that is set to null is gone.
fn put(more: &mut Object, property: String, value: Value) {
    if value.is_null() {
        more.remove(&property);
    } else {
        more.insert(property, value);
    }
}

fn one(collection: &str) -> Option<&'static str> {
    Some(match collection {
        "domains" => "domain",
        "projects" => "project",
        "users" => "user",
        "groups" => "group",
        "roles" => "role",
        "services" => "service",
        "endpoints" => "endpoint",
        _ => return None,
    })
}

fn invalid(one: &str, wanted: &Object, why: &str) -> Refusal {
    let value = Value::Object(wanted.clone());
    Refusal::new(
        400,
        format!("Invalid input for field/attribute {one}. Value: {value}. {why}"),
    )
}
