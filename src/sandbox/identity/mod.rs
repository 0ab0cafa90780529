//! Keystone: users, projects, tokens, the catalog. v3, and v2.0 as clouds up to Pike had it.

mod auth;
mod credentials;
mod directory;
mod entries;
mod grants;
mod v2;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::json::Object;
use super::request::Request;
use super::response::{Answer, Refusal, Response, reason};
use super::world::{Account, World};

/// All state of Keystone.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
    domains: Vec<Named>,
    users: Vec<Named>,
    groups: Vec<Named>,
    projects: Vec<Named>,
    roles: Vec<Named>,
    grants: Vec<Grant>,
    services: Vec<Service>,
    endpoints: Vec<Endpoint>,
    tokens: BTreeMap<String, Token>,
    credentials: BTreeMap<String, credentials::Credential>,
    access_rules: Vec<credentials::AccessRule>,
}

#[derive(Debug, Clone)]
struct Named {
    id: String,
    name: String,
    /// `None` for domains, and for roles of no domain.
    domain: Option<String>,
    enabled: bool,
    /// A user's own; the one of [`super::Options`] if it was never given one.
    password: Option<String>,
    /// Whatever else it was given: description, tags, attributes of other people.
    more: Object,
}

/// Who has a role, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    /// `users` or `groups`, and the id.
    actor: (String, String),
    /// `projects` or `domains`, and the id.
    place: (String, String),
    /// The role's id.
    role: String,
}

#[derive(Debug, Clone)]
struct Service {
    id: String,
    kind: String,
    name: String,
    enabled: bool,
    /// What the catalog of v2.0 shows of those that a new cloud has.
    first: Option<(String, &'static str)>,
    more: Object,
}

#[derive(Debug, Clone)]
struct Endpoint {
    id: String,
    service: String,
    interface: String,
    region: Option<String>,
    /// Begins with `/` if it is below the sandbox's own root.
    url: String,
    enabled: bool,
    more: Object,
}

#[derive(Debug, Clone)]
struct Token {
    account: Arc<Account>,
    scope: Scope,
    methods: Vec<String>,
    audit_id: String,
    issued: Timestamp,
    expires: Timestamp,
    credential: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    None,
    Project(String),
    Domain,
    System,
}

const DOMAIN_ID: &str = "default";
const DOMAIN_NAME: &str = "Default";
const REGION: &str = "RegionOne";

impl World {
    /// The accounts and services that a new cloud has.
    pub(super) fn found_identity(&mut self) {
        let mut domain = Named::new(DOMAIN_ID.to_owned(), DOMAIN_NAME);
        domain.domain = None;
        domain
            .more
            .insert("description".to_owned(), json!("The default domain"));
        self.identity.domains.push(domain);
        for name in ["admin", "demo", "demo2", "service"] {
            let project = self.named(name);
            self.identity.projects.push(project);
        }
        for name in ["admin", "member", "reader", "service"] {
            let role = self.named(name);
            self.identity.roles.push(Named {
                domain: None,
                ..role
            });
        }
        for (user, grants) in [
            ("admin", &[("admin", "admin"), ("demo", "admin")][..]),
            ("demo", &[("demo", "member"), ("demo", "reader")][..]),
            ("demo2", &[("demo2", "member"), ("demo2", "reader")][..]),
        ] {
            let user = self.named(user);
            for (project, role) in grants {
                let project = self
                    .identity
                    .project_by_name(project)
                    .map(|p| p.id.clone())
                    .unwrap_or_default();
                let role = self.identity.roles.iter().find(|r| r.name == *role);
                let role = role.map(|r| r.id.clone()).unwrap_or_default();
                self.identity.grants.push(Grant {
                    actor: ("users".to_owned(), user.id.clone()),
                    place: ("projects".to_owned(), project),
                    role,
                });
            }
            self.identity.users.push(user);
        }
        for (kind, name, path) in [
            ("identity", "keystone", "/identity"),
            ("image", "glance", "/image"),
            ("compute", "nova", "/compute/v2.1"),
            ("block-storage", "cinder", "/volume/v3"),
            ("volumev3", "cinderv3", "/volume/v3"),
            ("network", "neutron", "/network"),
            ("shared-file-system", "manila", "/share/v2"),
        ] {
            let (id, endpoint) = (self.new_hex(), self.new_hex());
            for (n, interface) in ["public", "internal", "admin"].into_iter().enumerate() {
                self.identity.endpoints.push(Endpoint {
                    id: format!("{}{n}", &endpoint[1..]),
                    service: id.clone(),
                    interface: interface.to_owned(),
                    region: Some(REGION.to_owned()),
                    url: path.to_owned(),
                    enabled: true,
                    more: Object::new(),
                });
            }
            self.identity.services.push(Service {
                id,
                kind: kind.to_owned(),
                name: name.to_owned(),
                enabled: true,
                first: Some((endpoint, path)),
                more: Object::new(),
            });
        }
    }

    /// Whose token this is; a refusal if it is none.
    pub(super) fn account(&self, request: &Request) -> Result<Arc<Account>, Refusal> {
        request
            .header_value("x-auth-token")
            .and_then(|token| self.identity.tokens.get(token))
            .filter(|token| token.expires > self.now)
            .map(|token| Arc::clone(&token.account))
            .ok_or_else(|| self.unauthenticated())
    }

    /// Makes a token without asking for a password: for tests and simulation.
    pub fn issue_token(&mut self, user: &str, project: &str) -> Option<String> {
        let user = self.identity.user_by_name(DOMAIN_ID, user)?.id.clone();
        let project = self.identity.project_by_name(project)?.id.clone();
        self.new_token(
            &user,
            Scope::Project(project),
            vec!["password".to_owned()],
            None,
        )
        .ok()
    }

    /// Ends every token, as a restart with new signing keys does.
    pub fn revoke_tokens(&mut self) {
        self.identity.tokens.clear();
    }

    /// The id of a project.
    #[must_use]
    pub fn project_id(&self, name: &str) -> Option<&str> {
        self.identity.project_by_name(name).map(|p| p.id.as_str())
    }

    /// Whether a project has this id.
    pub(super) fn project_named(&self, id: &str) -> bool {
        self.identity.project(id).is_some()
    }

    pub(super) fn unauthenticated(&self) -> Refusal {
        Refusal::new(401, "The request you have made requires authentication.").with(
            "WWW-Authenticate",
            format!("Keystone uri=\"{}\"", self.url("/identity")),
        )
    }

    pub(super) fn identity_route(&mut self, request: &Request, path: &[&str]) -> Response {
        let answer = match path {
            [] => Ok(self.identity_versions()),
            ["v3"] => Ok(Response::json(
                200,
                json!({"version": self.identity_version("v3.14")}),
            )),
            ["v2.0", rest @ ..] => self.identity_v2(request, rest),
            ["v3", "auth", rest @ ..] => self.auth_route(request, rest),
            ["v3", "users", user, "application_credentials", rest @ ..] => {
                self.credentials_route(request, user, rest)
            }
            ["v3", "users", user, "access_rules"] => self.access_rules(request, user),
            [
                "v3",
                scope @ ("projects" | "domains"),
                place,
                actor @ ("users" | "groups"),
                who,
                "roles",
                role,
            ] => {
                let place = ((*scope).to_owned(), (*place).to_owned());
                let actor = ((*actor).to_owned(), (*who).to_owned());
                let role = (*role).to_owned();
                self.grant_route(request, Grant { actor, place, role })
            }
            ["v3", rest @ ..] if request.method == Method::GET => {
                self.directory_route(request, rest)
            }
            ["v3", collection] if request.method == Method::POST => {
                self.create_entry(request, collection)
            }
            ["v3", collection, id] if request.method == Method::PATCH => {
                self.change_entry(request, collection, id)
            }
            ["v3", collection, id] if request.method == Method::DELETE => {
                self.delete_entry(request, collection, id)
            }
            _ => Err(not_found()),
        };
        answer
            .map(|r| r.with("Vary", "X-Auth-Token"))
            .unwrap_or_else(keystone_error)
    }

    fn identity_versions(&self) -> Response {
        let values = json!([
            self.identity_version("v3.14"),
            self.identity_version("v2.0")
        ]);
        Response::json(300, json!({"versions": {"values": values}}))
            .with("Location", self.url("/identity/v3/"))
    }

    fn identity_version(&self, id: &str) -> Value {
        let (status, path, updated, media) = if id == "v2.0" {
            (
                "deprecated",
                "/identity/v2.0/",
                "2016-08-04T00:00:00Z",
                "v2.0",
            )
        } else {
            ("stable", "/identity/v3/", "2020-04-07T00:00:00Z", "v3")
        };
        json!({"id": id, "status": status, "updated": updated,
            "links": [{"rel": "self", "href": self.url(path)}],
            "media-types": [{"base": "application/json",
                "type": format!("application/vnd.openstack.identity-{media}+json")}]})
    }

    fn named(&mut self, name: &str) -> Named {
        Named::new(self.new_hex(), name)
    }
}

impl Named {
    /// One of the default domain.
    fn new(id: String, name: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            domain: Some(DOMAIN_ID.to_owned()),
            enabled: true,
            password: None,
            more: Object::new(),
        }
    }

    fn is_in(&self, domain: &str) -> bool {
        self.domain.as_deref() == Some(domain)
    }

    fn description(&self) -> Value {
        self.more
            .get("description")
            .cloned()
            .unwrap_or_else(|| json!(""))
    }
}

impl Identity {
    fn project_by_name(&self, name: &str) -> Option<&Named> {
        self.project_in(DOMAIN_ID, name)
    }

    fn project_in(&self, domain: &str, name: &str) -> Option<&Named> {
        self.projects
            .iter()
            .find(|p| p.is_in(domain) && p.name == name)
    }

    fn user_by_name(&self, domain: &str, name: &str) -> Option<&Named> {
        self.users
            .iter()
            .find(|u| u.is_in(domain) && u.name == name)
    }

    fn domain(&self, id: &str) -> Option<&Named> {
        self.domains.iter().find(|d| d.id == id)
    }

    /// Whether neither it nor its domain is disabled.
    fn is_enabled(&self, one: &Named) -> bool {
        let domain = one.domain.as_ref().and_then(|id| self.domain(id));
        one.enabled && domain.is_none_or(|domain| domain.enabled)
    }

    fn project(&self, id: &str) -> Option<&Named> {
        self.projects.iter().find(|p| p.id == id)
    }

    fn user(&self, id: &str) -> Option<&Named> {
        self.users.iter().find(|u| u.id == id)
    }

    /// Roles that a user has in a scope, as (id, name).
    fn roles_in(&self, user: &str, scope: &Scope) -> Vec<(String, String)> {
        let has = |role: &Named, project: Option<&str>| {
            self.grants.iter().any(|grant| {
                grant.is_of(user)
                    && grant.role == role.id
                    && project.is_none_or(|project| grant.is_in(project))
            })
        };
        self.roles
            .iter()
            .filter(|role| match scope {
                Scope::None => false,
                Scope::Project(project) => has(role, Some(project)),
                Scope::Domain | Scope::System => role.name == "admin" && has(role, None),
            })
            .map(|role| (role.id.clone(), role.name.clone()))
            .collect()
    }
}

impl Grant {
    fn is_of(&self, user: &str) -> bool {
        self.actor.0 == "users" && self.actor.1 == user
    }

    fn is_in(&self, project: &str) -> bool {
        self.place.0 == "projects" && self.place.1 == project
    }
}

fn not_found() -> Refusal {
    Refusal::new(404, "The resource could not be found.")
}

fn forbidden(action: &str) -> Refusal {
    Refusal::new(
        403,
        format!("You are not authorized to perform the requested action: {action}."),
    )
}

/// Keystone's form of an error; keystonemiddleware uses it for the 401 of every service.
pub(super) fn keystone_error(refusal: Refusal) -> Response {
    let body = json!({"error": {"code": refusal.status, "message": refusal.message,
        "title": reason(refusal.status)}});
    Response {
        headers: refusal.headers,
        ..Response::json(refusal.status, body)
    }
}

/// An empty 204.
fn no_content() -> Answer {
    Ok(Response::empty(204))
}
