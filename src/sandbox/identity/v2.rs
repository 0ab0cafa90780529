//! Identity v2.0, as clouds before Queens speak it: unscoped token, list of tenants, scoped token.

use http::Method;
use serde_json::{Value, json};

use super::super::json::{Object, stamp, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::{DOMAIN_ID, Identity, Named, REGION, Scope, not_found};

impl World {
    pub(super) fn identity_v2(&mut self, request: &Request, path: &[&str]) -> Answer {
        match (&request.method, path) {
            (&Method::GET, []) => Ok(Response::json(
                200,
                json!({"version": self.identity_version("v2.0")}),
            )),
            (&Method::POST, ["tokens"]) => self.authenticate_v2(request),
            (&Method::GET, ["tenants"]) => {
                let account = self.account(request)?;
                let tenants: Vec<Value> = self
                    .identity
                    .projects
                    .iter()
                    .filter(|p| self.identity.has_role(&account.user_id, &p.id))
                    .filter(|p| request.arg("name").is_none_or(|name| name == p.name))
                    .map(tenant_body)
                    .collect();
                Ok(Response::json(
                    200,
                    json!({"tenants": tenants, "tenants_links": []}),
                ))
            }
            _ => Err(not_found()),
        }
    }

    fn authenticate_v2(&mut self, request: &Request) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let auth = body
            .get("auth")
            .and_then(Value::as_object)
            .ok_or_else(|| missing("auth", "request body"))?;
        let user = self.prove_v2(auth)?;
        let wanted = (
            text(auth, "tenantId").unwrap_or(""),
            text(auth, "tenantName").unwrap_or(""),
        );
        let tenant = match wanted {
            ("", "") => None,
            ("", name) => Some(self.identity.project_by_name(name)),
            (id, _) => Some(self.identity.project(id)),
        };
        let tenant = match tenant {
            None => None,
            Some(None) => return Err(self.unauthenticated()),
            Some(Some(found)) => Some(found.clone()),
        };
        let scope = tenant
            .as_ref()
            .map_or(Scope::None, |t| Scope::Project(t.id.clone()));
        let id = self.new_token(&user, scope.clone(), vec!["password".to_owned()], None)?;
        Ok(Response::json(
            200,
            json!({"access": self.access(&id, &scope, tenant.as_ref())}),
        ))
    }

    fn prove_v2(&self, auth: &Object) -> Result<String, Refusal> {
        if let Some(token) = auth.get("token").and_then(Value::as_object) {
            let old = self.identity.tokens.get(text(token, "id").unwrap_or(""));
            let old = old.filter(|t| t.expires > self.now);
            return old
                .map(|t| t.account.user_id.clone())
                .ok_or_else(|| self.unauthenticated());
        }
        let proof = auth.get("passwordCredentials").and_then(Value::as_object);
        let proof = proof.ok_or_else(|| missing("passwordCredentials", "auth"))?;
        let password =
            text(proof, "password").ok_or_else(|| missing("password", "passwordCredentials"))?;
        let user = match (text(proof, "userId"), text(proof, "username")) {
            (Some(id), _) => self.identity.user(id),
            (None, Some(name)) => self.identity.user_by_name(DOMAIN_ID, name),
            (None, None) => return Err(missing("username or userId", "passwordCredentials")),
        };
        user.filter(|u| self.identity.is_enabled(u) && password == self.password(&u.id))
            .map(|u| u.id.clone())
            .ok_or_else(|| self.unauthenticated())
    }

    fn access(&self, id: &str, scope: &Scope, tenant: Option<&Named>) -> Value {
        let token = &self.identity.tokens[id];
        let roles = self.identity.roles_in(&token.account.user_id, scope);
        let mut shown = json!({"id": id, "audit_ids": [token.audit_id], "expires": stamp(token.expires),
            "issued_at": super::super::json::stamp_micros(token.issued)});
        if let Some(tenant) = tenant {
            shown["tenant"] = tenant_body(tenant);
        }
        json!({
            "metadata": {"is_admin": 0, "roles": roles.iter().map(|(id, _)| id).collect::<Vec<_>>()},
            "serviceCatalog": if tenant.is_some() { self.catalog_v2() } else { json!([]) },
            "token": shown,
            "user": {"id": token.account.user_id, "name": token.account.user_name,
                "username": token.account.user_name, "roles_links": [],
                "roles": roles.iter().map(|(_, name)| json!({"name": name})).collect::<Vec<_>>()},
        })
    }

    fn catalog_v2(&self) -> Value {
        self.identity
            .services
            .iter()
            .filter_map(|service| {
                let (endpoint, path) = service.first.as_ref()?;
                let path = if service.kind == "identity" {
                    "/identity/v2.0"
                } else {
                    path
                };
                let url = self.url(path);
                Some(
                    json!({"name": service.name, "type": service.kind, "endpoints_links": [],
                    "endpoints": [{"id": endpoint, "region": REGION, "publicURL": url,
                        "internalURL": url, "adminURL": url}]}),
                )
            })
            .collect()
    }
}

impl Identity {
    fn has_role(&self, user: &str, project: &str) -> bool {
        self.grants
            .iter()
            .any(|grant| grant.is_of(user) && grant.is_in(project))
    }
}

fn tenant_body(tenant: &Named) -> Value {
    json!({"id": tenant.id, "name": tenant.name, "description": tenant.description(), "enabled": tenant.enabled})
}

fn missing(what: &str, place: &str) -> Refusal {
    Refusal::new(
        400,
        format!(
            "Expecting to find {what} in {place}. The server could not comply with the request since it is either \
         malformed or otherwise incorrect. The client is assumed to be in error."
        ),
    )
}
