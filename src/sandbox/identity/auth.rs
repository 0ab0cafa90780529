//! v3 tokens: issue, validate, revoke; the catalog.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::super::json::{Object, stamp_micros, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::{DOMAIN_ID, Scope, Token, forbidden, no_content, not_found};

impl World {
    pub(super) fn auth_route(&mut self, request: &Request, path: &[&str]) -> Answer {
        match (&request.method, path) {
            (&Method::POST, ["tokens"]) => self.authenticate(request),
            (&Method::GET | &Method::HEAD, ["tokens"]) => {
                let subject = self.subject(request)?;
                let token = &self.identity.tokens[&subject];
                let body = self.token_body(token, request.arg("nocatalog").is_none());
                Ok(Response::json(200, body).with("X-Subject-Token", subject))
            }
            (&Method::DELETE, ["tokens"]) => {
                let subject = self.subject(request)?;
                self.identity.tokens.remove(&subject);
                no_content()
            }
            (&Method::GET, ["catalog"]) => {
                self.account(request)?;
                let links = json!({"next": null, "previous": null, "self": self.url("/identity/v3/auth/catalog")});
                Ok(Response::json(
                    200,
                    json!({"catalog": self.catalog(), "links": links}),
                ))
            }
            (&Method::GET, ["projects"]) => {
                let account = self.account(request)?;
                let projects = self.projects_of(&account.user_id);
                Ok(Response::json(
                    200,
                    self.collection("projects", projects, "/auth/projects"),
                ))
            }
            (&Method::GET, ["domains"]) => {
                let account = self.account(request)?;
                let domains = if account.admin {
                    self.domains()
                } else {
                    Vec::new()
                };
                Ok(Response::json(
                    200,
                    self.collection("domains", domains, "/auth/domains"),
                ))
            }
            (&Method::GET, ["system"]) => {
                let account = self.account(request)?;
                let system = if account.admin {
                    vec![json!({"all": true})]
                } else {
                    Vec::new()
                };
                Ok(Response::json(
                    200,
                    self.collection("system", system, "/auth/system"),
                ))
            }
            _ => Err(not_found()),
        }
    }

    /// The token that `X-Subject-Token` names, if the asker may see it.
    fn subject(&self, request: &Request) -> Result<String, Refusal> {
        let account = self.account(request)?;
        let subject = request.header_value("x-subject-token").unwrap_or("");
        match self
            .identity
            .tokens
            .get(subject)
            .filter(|t| t.expires > self.now)
        {
            None => Err(Refusal::new(404, "Failed to validate token")),
            Some(token) if token.account.user_id == account.user_id || account.admin => {
                Ok(subject.to_owned())
            }
            Some(_) => Err(forbidden("identity:validate_token")),
        }
    }

    fn authenticate(&mut self, request: &Request) -> Answer {
        let body = request.body_json().ok_or_else(|| Refusal::new(400,
            "Expecting to find valid JSON in request body. The server could not comply with the request since it is \
             either malformed or otherwise incorrect. The client is assumed to be in error."))?;
        let auth = body
            .get("auth")
            .and_then(Value::as_object)
            .ok_or_else(|| missing("auth"))?;
        let identity = auth
            .get("identity")
            .and_then(Value::as_object)
            .ok_or_else(|| missing("identity"))?;
        let methods: Vec<String> = identity
            .get("methods")
            .and_then(Value::as_array)
            .ok_or_else(|| missing("methods"))?
            .iter()
            .filter_map(|m| m.as_str().map(str::to_owned))
            .collect();
        let (mut user, mut credential, mut bound) = (None, None, None);
        for method in &methods {
            let proof = identity
                .get(method)
                .and_then(Value::as_object)
                .ok_or_else(|| missing(method))?;
            match method.as_str() {
                "password" => user = Some(self.prove_user(proof, "password", None)?),
                "totp" => {
                    let passcode = self.options.passcode.clone().unwrap_or_default();
                    user = Some(self.prove_user(proof, "passcode", Some(passcode))?)
                }
                "token" => {
                    let old = text(proof, "id").and_then(|id| self.identity.tokens.get(id));
                    let old = old.filter(|t| t.expires > self.now && t.credential.is_none());
                    let old = old.ok_or_else(|| self.unauthenticated())?;
                    user = Some(old.account.user_id.clone());
                }
                "application_credential" => {
                    let found = self.prove_credential(proof)?;
                    user = Some(found.user_id.clone());
                    bound = Some(Scope::Project(found.project_id.clone()));
                    credential = Some(found.id.clone());
                }
                _ => return Err(self.unauthenticated()),
            }
        }
        let user = user.ok_or_else(|| self.unauthenticated())?;
        let scope = match (bound, auth.get("scope")) {
            (Some(_), Some(_)) => {
                return Err(Refusal::new(
                    401,
                    "Application credentials cannot request a scope.",
                ));
            }
            (Some(scope), None) => scope,
            (None, scope) => self.scope(scope)?,
        };
        let id = self.new_token(&user, scope, methods, credential)?;
        let body = self.token_body(
            &self.identity.tokens[&id],
            request.arg("nocatalog").is_none(),
        );
        Ok(Response::json(201, body).with("X-Subject-Token", id))
    }

    /// Checks a secret: this one, or the user's password.
    fn prove_user(
        &self,
        proof: &Object,
        field: &str,
        secret: Option<String>,
    ) -> Result<String, Refusal> {
        let user = proof
            .get("user")
            .and_then(Value::as_object)
            .ok_or_else(|| missing("user"))?;
        let given = text(user, field).ok_or_else(|| missing(field))?;
        let found = self.find_user(user);
        let secret = secret.or_else(|| Some(self.password(found.as_deref()?).to_owned()));
        found
            .filter(|_| !given.is_empty() && secret.as_deref() == Some(given))
            .ok_or_else(|| self.unauthenticated())
    }

    /// The password of a user.
    pub(super) fn password(&self, user: &str) -> &str {
        let user = self.identity.user(user);
        user.and_then(|user| user.password.as_deref())
            .unwrap_or(&self.options.password)
    }

    pub(super) fn find_user(&self, user: &Object) -> Option<String> {
        let found = match (text(user, "id"), text(user, "name")) {
            (Some(id), _) => self.identity.user(id),
            (None, Some(name)) => {
                let domain = self.named_domain(user.get("domain"))?;
                self.identity.user_by_name(domain, name)
            }
            _ => None,
        };
        found
            .filter(|u| self.identity.is_enabled(u))
            .map(|u| u.id.clone())
    }

    /// The id of the domain that a user or a project is named with.
    fn named_domain(&self, domain: Option<&Value>) -> Option<&str> {
        let domain = domain.and_then(Value::as_object)?;
        let found = self.identity.domains.iter().find(|known| {
            text(domain, "id") == Some(&known.id)
                || text(domain, "name").is_some_and(|n| n.eq_ignore_ascii_case(&known.name))
        });
        found.map(|known| known.id.as_str())
    }

    fn scope(&self, scope: Option<&Value>) -> Result<Scope, Refusal> {
        let Some(scope) = scope.and_then(Value::as_object) else {
            return Ok(Scope::None);
        };
        if let Some(project) = scope.get("project").and_then(Value::as_object) {
            let found = match (text(project, "id"), text(project, "name")) {
                (Some(id), _) => self.identity.project(id),
                (None, Some(name)) => self
                    .named_domain(project.get("domain"))
                    .and_then(|domain| self.identity.project_in(domain, name)),
                _ => None,
            };
            return found
                .filter(|p| self.identity.is_enabled(p))
                .map(|p| Scope::Project(p.id.clone()))
                .ok_or_else(|| self.unauthenticated());
        }
        if let Some(domain) = scope.get("domain") {
            let known = self.named_domain(Some(domain)) == Some(DOMAIN_ID);
            return if known {
                Ok(Scope::Domain)
            } else {
                Err(self.unauthenticated())
            };
        }
        if scope.contains_key("system") {
            return Ok(Scope::System);
        }
        Ok(Scope::None)
    }

    /// Issues a token; refused when the user has no role in the scope.
    pub(super) fn new_token(
        &mut self,
        user: &str,
        scope: Scope,
        methods: Vec<String>,
        credential: Option<String>,
    ) -> Result<String, Refusal> {
        let mut roles = self.identity.roles_in(user, &scope);
        let limits = |id: &String| self.identity.credentials.get(id);
        if let Some(credential) = credential.as_ref().and_then(limits) {
            roles.retain(|(id, _)| credential.has_role(id));
        }
        if scope != Scope::None && roles.is_empty() {
            return Err(self.unauthenticated());
        }
        let account = Arc::new(Account {
            user_id: user.to_owned(),
            user_name: self
                .identity
                .user(user)
                .map(|u| u.name.clone())
                .unwrap_or_default(),
            project_id: if let Scope::Project(id) = &scope {
                id.clone()
            } else {
                String::new()
            },
            admin: roles.iter().any(|(_, name)| name == "admin"),
        });
        let lifetime = self.options.token_lifetime.max(Duration::from_secs(1));
        let expires = self
            .now
            .checked_add(SignedDuration::try_from(lifetime).unwrap_or_default())
            .unwrap_or(self.now);
        let id = format!("gAAAAAB{}{}", self.new_hex(), self.new_hex());
        let audit_id = self.new_hex()[..22].to_owned();
        let token = Token {
            account,
            scope,
            methods,
            audit_id,
            issued: self.now,
            expires,
            credential,
        };
        let now = self.now;
        if self.identity.tokens.len() > 1000 {
            self.identity.tokens.retain(|_, token| token.expires > now);
        }
        self.identity.tokens.insert(id.clone(), token);
        Ok(id)
    }

    fn token_body(&self, token: &Token, with_catalog: bool) -> Value {
        let domain = |of: Option<&super::Named>| {
            let id = of
                .and_then(|one| one.domain.as_deref())
                .unwrap_or(DOMAIN_ID);
            let name = self.identity.domain(id).map_or("", |domain| &domain.name);
            json!({"id": id, "name": name})
        };
        let user = self.identity.user(&token.account.user_id);
        let mut body = json!({
            "methods": token.methods,
            "user": {"domain": domain(user), "id": token.account.user_id, "name": token.account.user_name,
                "password_expires_at": null},
            "audit_ids": [token.audit_id],
            "expires_at": format!("{}Z", stamp_micros(token.expires)),
            "issued_at": format!("{}Z", stamp_micros(token.issued)),
        });
        match &token.scope {
            Scope::None => return json!({ "token": body }),
            Scope::Project(id) => {
                let project = self.identity.project(id);
                let name = project.map_or("", |p| p.name.as_str());
                body["project"] = json!({"domain": domain(project), "id": id, "name": name});
                body["is_domain"] = json!(false);
            }
            Scope::Domain => body["domain"] = domain(None),
            Scope::System => body["system"] = json!({"all": true}),
        }
        let credential = token.credential.as_ref();
        let credential = credential.and_then(|id| self.identity.credentials.get(id));
        let roles: Vec<Value> = self
            .identity
            .roles_in(&token.account.user_id, &token.scope)
            .into_iter()
            .filter(|(id, _)| credential.is_none_or(|it| it.has_role(id)))
            .map(|(id, name)| json!({"id": id, "name": name}))
            .collect();
        body["roles"] = Value::Array(roles);
        if with_catalog {
            body["catalog"] = self.catalog();
        }
        if let Some(credential) = credential {
            body["application_credential"] = json!({"id": credential.id, "name": credential.name,
                "restricted": !credential.is_unrestricted()});
        }
        json!({ "token": body })
    }

    fn catalog(&self) -> Value {
        self.identity
            .services
            .iter()
            .filter(|service| service.enabled)
            .map(|service| {
                let endpoints: Vec<Value> = self
                    .identity
                    .endpoints
                    .iter()
                    .filter(|it| it.enabled && it.service == service.id)
                    .map(|it| {
                        json!({"id": it.id, "interface": it.interface, "region_id": it.region,
                            "region": it.region, "url": self.endpoint_url(it)})
                    })
                    .collect();
                json!({"endpoints": endpoints, "id": service.id, "type": service.kind, "name": service.name})
            })
            .collect()
    }
}

fn missing(what: &str) -> Refusal {
    Refusal::new(
        400,
        format!(
            "Expecting to find {what} in request. The server could not comply with the request since it is either \
         malformed or otherwise incorrect. The client is assumed to be in error."
        ),
    )
}
