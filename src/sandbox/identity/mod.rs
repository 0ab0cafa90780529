//! Keystone: users, projects, tokens, the catalog. v3, and v2.0 as clouds up to Pike had it.

mod auth;
mod credentials;
mod directory;
mod v2;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::request::Request;
use super::response::{Answer, Refusal, Response, reason};
use super::world::{Account, World};

/// All state of Keystone.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
    users: Vec<Named>,
    projects: Vec<Named>,
    roles: Vec<Named>,
    /// (user id, project id, role name)
    grants: Vec<(String, String, String)>,
    /// (service type, name, service id, endpoint id, path)
    services: Vec<Service>,
    tokens: BTreeMap<String, Token>,
    credentials: BTreeMap<String, credentials::Credential>,
}

#[derive(Debug, Clone)]
struct Named {
    id: String,
    name: String,
    description: String,
}

#[derive(Debug, Clone)]
struct Service {
    kind: &'static str,
    name: &'static str,
    id: String,
    endpoint: String,
    path: &'static str,
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
        for name in ["admin", "demo", "demo2", "service"] {
            let project = self.named(name);
            self.identity.projects.push(project);
        }
        for name in ["admin", "member", "reader", "service"] {
            let role = self.named(name);
            self.identity.roles.push(role);
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
                self.identity
                    .grants
                    .push((user.id.clone(), project, (*role).to_owned()));
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
        ] {
            let (id, endpoint) = (self.new_hex(), self.new_hex());
            self.identity.services.push(Service {
                kind,
                name,
                id,
                endpoint,
                path,
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
        let user = self
            .identity
            .users
            .iter()
            .find(|u| u.name == user)?
            .id
            .clone();
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
            ["v3", rest @ ..] if request.method == Method::GET => {
                self.directory_route(request, rest)
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
        Named {
            id: self.new_hex(),
            name: name.to_owned(),
            description: String::new(),
        }
    }
}

impl Identity {
    fn project_by_name(&self, name: &str) -> Option<&Named> {
        self.projects.iter().find(|p| p.name == name)
    }

    fn project(&self, id: &str) -> Option<&Named> {
        self.projects.iter().find(|p| p.id == id)
    }

    fn user(&self, id: &str) -> Option<&Named> {
        self.users.iter().find(|u| u.id == id)
    }

    /// Roles that a user has in a scope, as (id, name).
    fn roles_in(&self, user: &str, scope: &Scope) -> Vec<(String, String)> {
        let names: Vec<&str> = match scope {
            Scope::None => Vec::new(),
            Scope::Project(project) => self
                .grants
                .iter()
                .filter(|(u, p, _)| u == user && p == project)
                .map(|(_, _, role)| role.as_str())
                .collect(),
            Scope::Domain | Scope::System => {
                let is_admin = self
                    .grants
                    .iter()
                    .any(|(u, _, role)| u == user && role == "admin");
                if is_admin { vec!["admin"] } else { Vec::new() }
            }
        };
        self.roles
            .iter()
            .filter(|role| names.contains(&role.name.as_str()))
            .map(|role| (role.id.clone(), role.name.clone()))
            .collect()
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
