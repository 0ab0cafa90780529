//! Application credentials.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::json::{Object, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::{Scope, forbidden, no_content, not_found};

#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub(super) id: String,
    pub(super) name: String,
    description: Value,
    secret: String,
    pub(super) user_id: String,
    pub(super) project_id: String,
    pub(super) unrestricted: bool,
    expires_at: Value,
}

impl World {
    pub(super) fn credentials_route(
        &mut self,
        request: &Request,
        user: &str,
        path: &[&str],
    ) -> Answer {
        let account = self.account(request)?;
        if account.user_id != user && !(account.admin && request.method == Method::GET) {
            return Err(forbidden("identity:application_credential"));
        }
        match (&request.method, path) {
            (&Method::GET, []) => {
                let wanted = request.arg("name");
                let items = self
                    .identity
                    .credentials
                    .values()
                    .filter(|c| c.user_id == user && wanted.is_none_or(|name| name == c.name))
                    .map(|c| self.credential_body(c))
                    .collect();
                let place = format!("/users/{user}/application_credentials");
                Ok(Response::json(
                    200,
                    self.collection("application_credentials", items, &place),
                ))
            }
            (&Method::POST, []) => self.create_credential(request, user, &account.project_id),
            (&Method::GET, [id]) => {
                let found = self
                    .identity
                    .credentials
                    .get(*id)
                    .filter(|c| c.user_id == user);
                let found = found.ok_or_else(|| missing(id))?;
                Ok(Response::json(
                    200,
                    json!({"application_credential": self.credential_body(found)}),
                ))
            }
            (&Method::DELETE, [id]) => {
                self.identity
                    .credentials
                    .get(*id)
                    .filter(|c| c.user_id == user)
                    .ok_or_else(|| missing(id))?;
                self.identity.credentials.remove(*id);
                self.identity
                    .tokens
                    .retain(|_, token| token.credential.as_deref() != Some(*id));
                no_content()
            }
            _ => Err(not_found()),
        }
    }

    fn create_credential(&mut self, request: &Request, user: &str, project: &str) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let wanted = body
            .get("application_credential")
            .and_then(Value::as_object);
        let wanted = wanted
            .ok_or_else(|| Refusal::new(400, "'application_credential' is a required property"))?;
        let name = text(wanted, "name")
            .ok_or_else(|| Refusal::new(400, "'name' is a required property"))?;
        if self
            .identity
            .credentials
            .values()
            .any(|c| c.user_id == user && c.name == name)
        {
            return Err(Refusal::new(409, "Conflict occurred attempting to store application_credential - Duplicate entry found with name \
                 '".to_owned() + name + "'."));
        }
        let secret =
            text(wanted, "secret").map_or_else(|| self.new_hex() + &self.new_hex(), str::to_owned);
        let credential = Credential {
            id: self.new_hex(),
            name: name.to_owned(),
            description: wanted.get("description").cloned().unwrap_or_default(),
            secret: secret.clone(),
            user_id: user.to_owned(),
            project_id: project.to_owned(),
            unrestricted: wanted
                .get("unrestricted")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            expires_at: wanted.get("expires_at").cloned().unwrap_or_default(),
        };
        let mut body = self.credential_body(&credential);
        body["secret"] = json!(secret);
        self.identity
            .credentials
            .insert(credential.id.clone(), credential);
        Ok(Response::json(201, json!({"application_credential": body})))
    }

    /// The credential that a proof of possession names.
    pub(super) fn prove_credential(&self, proof: &Object) -> Result<&Credential, Refusal> {
        let secret = text(proof, "secret").unwrap_or("");
        let found = match (text(proof, "id"), text(proof, "name")) {
            (Some(id), _) => self.identity.credentials.get(id),
            (None, Some(name)) => {
                let user = proof
                    .get("user")
                    .and_then(Value::as_object)
                    .and_then(|u| self.find_user(u));
                self.identity
                    .credentials
                    .values()
                    .find(|c| c.name == name && Some(&c.user_id) == user.as_ref())
            }
            _ => None,
        };
        found
            .filter(|c| c.secret == secret && !c.has_expired(self.now))
            .ok_or_else(|| self.unauthenticated())
    }

    fn credential_body(&self, credential: &Credential) -> Value {
        let scope = Scope::Project(credential.project_id.clone());
        let roles: Vec<Value> = self
            .identity
            .roles_in(&credential.user_id, &scope)
            .into_iter()
            .map(|(id, name)| json!({"id": id, "name": name, "domain_id": null, "description": null, "options": {}}))
            .collect();
        let place = format!(
            "/identity/v3/users/{}/application_credentials/{}",
            credential.user_id, credential.id
        );
        json!({"id": credential.id, "name": credential.name, "description": credential.description,
            "project_id": credential.project_id, "user_id": credential.user_id, "roles": roles,
            "unrestricted": credential.unrestricted, "expires_at": credential.expires_at, "system": null,
            "links": {"self": self.url(&place)}})
    }
}

impl Credential {
    fn has_expired(&self, now: Timestamp) -> bool {
        let Some(text) = self.expires_at.as_str() else {
            return false;
        };
        let text = if text.ends_with('Z') {
            text.to_owned()
        } else {
            format!("{text}Z")
        };
        text.parse::<Timestamp>().is_ok_and(|at| at <= now)
    }
}

fn missing(id: &str) -> Refusal {
    Refusal::new(404, format!("Could not find Application Credential: {id}."))
}
