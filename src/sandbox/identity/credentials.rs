//! Application credentials and their access rules. What a rule forbids is not held back here: that is
//! the business of keystonemiddleware in front of each service.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::json::{Object, stamp_micros, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::{Named, Scope, forbidden, no_content, not_found};

#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub(super) id: String,
    pub(super) name: String,
    description: Value,
    secret: String,
    pub(super) user_id: String,
    pub(super) project_id: String,
    unrestricted: Value,
    expires: Option<Timestamp>,
    /// Ids of roles, those that others imply included.
    roles: Vec<String>,
    /// Ids of access rules; none is any request.
    rules: Vec<String>,
}

/// A request that credentials may be used for. It outlives them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AccessRule {
    id: String,
    user_id: String,
    service: String,
    path: String,
    method: String,
}

/// What each role of a new cloud implies.
const IMPLIED: [(&str, &str); 2] = [("admin", "member"), ("member", "reader")];
const METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];

impl World {
    /// Everybody may list, read and delete what is his own, and an administrator what is anybody's;
    /// whose path it is asked for below does not matter. Only the user makes one.
    pub(super) fn credentials_route(
        &mut self,
        request: &Request,
        user: &str,
        path: &[&str],
    ) -> Answer {
        let account = self.account(request)?;
        match (&request.method, path) {
            (&Method::GET, []) => {
                may(&account, user, "list_application_credentials")?;
                let all = self.identity.credentials.values();
                let wanted = request.arg("name");
                let items = all
                    .filter(|it| it.user_id == user && wanted.is_none_or(|name| name == it.name))
                    .map(|it| self.credential_body(it))
                    .collect();
                let place = format!("/users/{user}/application_credentials");
                let list = self.collection("application_credentials", items, &place);
                Ok(Response::json(200, list))
            }
            (&Method::POST, []) => {
                if account.user_id != user {
                    return Err(forbidden("identity:create_application_credential"));
                }
                self.is_unrestricted(request)?;
                self.create_credential(request, &account)
            }
            (&Method::GET, [id]) => {
                let found = self
                    .identity
                    .credentials
                    .get(*id)
                    .ok_or_else(|| missing(id))?;
                may(&account, &found.user_id, "get_application_credential")?;
                let body = json!({"application_credential": self.credential_body(found)});
                Ok(Response::json(200, body))
            }
            (&Method::DELETE, [id]) => {
                let found = self
                    .identity
                    .credentials
                    .get(*id)
                    .ok_or_else(|| missing(id))?;
                may(&account, &found.user_id, "delete_application_credential")?;
                self.is_unrestricted(request)?;
                self.identity.credentials.remove(*id);
                let tokens = &mut self.identity.tokens;
                tokens.retain(|_, token| token.credential.as_deref() != Some(*id));
                no_content()
            }
            (_, [] | [_]) => Err(Refusal::new(
                405,
                "The method is not allowed for the requested URL.",
            )),
            _ => Err(not_found()),
        }
    }

    pub(super) fn access_rules(&self, request: &Request, user: &str) -> Answer {
        may(&*self.account(request)?, user, "list_access_rules")?;
        let all = self.identity.access_rules.iter();
        let items = all
            .filter(|it| it.user_id == user)
            .map(AccessRule::body)
            .collect();
        let place = format!("/users/{user}/access_rules");
        Ok(Response::json(
            200,
            self.collection("access_rules", items, &place),
        ))
    }

    /// A token that came of a restricted credential neither makes nor deletes any.
    fn is_unrestricted(&self, request: &Request) -> Result<(), Refusal> {
        let token = request.header_value("x-auth-token").unwrap_or_default();
        let token = self.identity.tokens.get(token);
        let credential = token.and_then(|token| token.credential.as_ref());
        let credential = credential.and_then(|id| self.identity.credentials.get(id));
        match credential.is_none_or(Credential::is_unrestricted) {
            true => Ok(()),
            false => Err(forbidden(
                "Using method 'application_credential' is not allowed for managing additional application credentials.",
            )),
        }
    }

    fn create_credential(&mut self, request: &Request, account: &Account) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let wanted = body
            .get("application_credential")
            .and_then(Value::as_object);
        let wanted = wanted
            .ok_or_else(|| Refusal::new(400, "'application_credential' is a required property"))?;
        let name = check(wanted)?;
        let expires = text(wanted, "expires_at")
            .map(|it| self.expiry(it))
            .transpose()?;
        let roles = self.chosen_roles(wanted, account)?;
        let rules = self.chosen_rules(wanted, &account.user_id)?;
        let mut theirs = self.identity.credentials.values();
        let twin = theirs.any(|it| it.user_id == account.user_id && it.name == name);
        let twice = |list: &[String]| (1..list.len()).any(|at| list[..at].contains(&list[at]));
        // The same words for twins among its roles and rules.
        if twin || twice(&roles) || twice(&rules) {
            return Err(Refusal::new(
                409,
                format!(
                    "Conflict occurred attempting to store application_credential - Duplicate entry found with name {name}."
                ),
            ));
        }
        let given = text(wanted, "secret").filter(|it| !it.is_empty());
        let secret = given.map_or_else(|| self.new_hex() + &self.new_hex(), str::to_owned);
        let credential = Credential {
            id: self.new_hex(),
            name: name.to_owned(),
            description: wanted.get("description").cloned().unwrap_or_default(),
            secret: secret.clone(),
            user_id: account.user_id.clone(),
            project_id: account.project_id.clone(),
            unrestricted: wanted.get("unrestricted").cloned().unwrap_or_default(),
            expires,
            roles: self.with_implied(roles),
            rules,
        };
        let mut body = self.credential_body(&credential);
        body["secret"] = json!(secret);
        let all = &mut self.identity.credentials;
        all.insert(credential.id.clone(), credential);
        Ok(Response::json(201, json!({"application_credential": body})))
    }

    fn expiry(&self, given: &str) -> Result<Timestamp, Refusal> {
        const MALFORMED: &str = "The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.";
        let bare = given.trim_end_matches('Z');
        let parsed = bare
            .contains('T')
            .then(|| format!("{bare}Z").parse::<Timestamp>());
        let micros = parsed.and_then(Result::ok).map(Timestamp::as_microsecond);
        let at = micros.and_then(|it| Timestamp::from_microsecond(it).ok());
        let at = at.ok_or_else(|| {
            Refusal::new(
                400,
                format!("Timestamp not in expected format. {MALFORMED}"),
            )
        })?;
        match at > self.now {
            true => Ok(at),
            false => Err(Refusal::new(
                400,
                format!("The 'expires_at' must not be before now. {MALFORMED}"),
            )),
        }
    }

    /// The roles that were asked for; all that its user has if none were.
    fn chosen_roles(&self, wanted: &Object, account: &Account) -> Result<Vec<String>, Refusal> {
        let scope = Scope::Project(account.project_id.clone());
        let has = self.identity.roles_in(&account.user_id, &scope).into_iter();
        // A token has the roles that others imply as well, and those may be asked for.
        let has = self.with_implied(has.map(|(id, _)| id).collect());
        let asked = wanted.get("roles").and_then(Value::as_array);
        let Some(asked) = asked.filter(|roles| !roles.is_empty()) else {
            return Ok(has);
        };
        let known = self.identity.roles.iter();
        let has: Vec<_> = known.filter(|it| has.contains(&it.id)).collect();
        asked
            .iter()
            .map(|role| {
                let is = |it: &&&Named| role["id"] == it.id || role["name"] == it.name;
                has.iter().find(is).map(|it| it.id.clone()).ok_or_else(|| {
                    Refusal::new(
                        400,
                        "Invalid application credential: Cannot create an application credential with unassigned role",
                    )
                })
            })
            .collect()
    }

    fn with_implied(&self, mut roles: Vec<String>) -> Vec<String> {
        let id = |name: &str| {
            let mut all = self.identity.roles.iter();
            let found = all.find(|it| it.domain.is_none() && it.name == name);
            found.map(|it| it.id.clone())
        };
        for (role, implied) in IMPLIED {
            if let (Some(role), Some(implied)) = (id(role), id(implied))
                && roles.contains(&role)
                && !roles.contains(&implied)
            {
                roles.push(implied);
            }
        }
        roles
    }

    /// Rules of one user that say the same are one.
    fn chosen_rules(&mut self, wanted: &Object, user: &str) -> Result<Vec<String>, Refusal> {
        let asked = wanted.get("access_rules").and_then(Value::as_array);
        let mut chosen = Vec::new();
        for asked in asked.into_iter().flatten() {
            let part = |name: &str| asked[name].as_str();
            if let Some(method) = part("method").filter(|it| !METHODS.contains(it)) {
                let why = format!("'{method}' is not one of {METHODS:?}").replace('"', "'");
                return Err(invalid("method", method, &why));
            }
            if let Some(path) = part("path").filter(|it| !it.starts_with('/')) {
                return Err(invalid(
                    "path",
                    path,
                    &format!("'{path}' does not match '^/\\\\.*'"),
                ));
            }
            let parts = (part("service"), part("path"), part("method"));
            let (Some(service), Some(path), Some(method)) = parts else {
                return Err(Refusal::new(500, "Internal Server Error"));
            };
            let rule = AccessRule {
                id: String::new(),
                user_id: user.to_owned(),
                service: service.to_owned(),
                path: path.to_owned(),
                method: method.to_owned(),
            };
            let mut known = self.identity.access_rules.iter();
            let known = known.find(|it| {
                rule == AccessRule {
                    id: String::new(),
                    ..(*it).clone()
                }
            });
            let id = known.map(|it| it.id.clone());
            chosen.push(id.unwrap_or_else(|| {
                let id = self.new_hex();
                let rule = AccessRule {
                    id: id.clone(),
                    ..rule
                };
                self.identity.access_rules.push(rule);
                id
            }));
        }
        Ok(chosen)
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
            .filter(|it| it.secret == secret && it.expires.is_none_or(|at| at > self.now))
            .ok_or_else(|| self.unauthenticated())
    }

    fn credential_body(&self, credential: &Credential) -> Value {
        let all = self.identity.roles.iter();
        let roles: Vec<Value> = all
            .filter(|it| credential.roles.contains(&it.id))
            .map(|it| {
                json!({"id": it.id, "name": it.name, "domain_id": it.domain, "description": null,
                    "options": {"immutable": true}})
            })
            .collect();
        let place = format!("/identity/v3/application_credentials/{}", credential.id);
        let mut body = json!({"id": credential.id, "name": credential.name, "description": credential.description,
            "project_id": credential.project_id, "user_id": credential.user_id, "roles": roles,
            "unrestricted": credential.unrestricted, "expires_at": credential.expires.map(stamp_micros),
            "system": null, "links": {"self": self.url(&place)}});
        if !credential.rules.is_empty() {
            let rule = |id: &String| self.identity.access_rules.iter().find(|it| it.id == *id);
            let rules = credential.rules.iter().filter_map(rule);
            body["access_rules"] = rules.map(AccessRule::body).collect();
        }
        body
    }
}

impl Credential {
    pub(super) fn is_unrestricted(&self) -> bool {
        self.unrestricted == true
    }

    pub(super) fn has_role(&self, id: &str) -> bool {
        self.roles.iter().any(|it| it == id)
    }
}

impl AccessRule {
    fn body(&self) -> Value {
        json!({"id": self.id, "service": self.service, "path": self.path, "method": self.method})
    }
}

/// What does not fit Keystone's schema; the name if it does.
fn check(wanted: &Object) -> Result<&str, Refusal> {
    let known = [
        "name",
        "description",
        "secret",
        "roles",
        "access_rules",
        "unrestricted",
        "expires_at",
    ];
    if let Some(other) = wanted.keys().find(|it| !known.contains(&it.as_str())) {
        let why = format!("Additional properties are not allowed ('{other}' was unexpected)");
        return Err(invalid(
            "application_credential",
            &json!(wanted).to_string(),
            &why,
        ));
    }
    if let Some(value) = wanted
        .get("unrestricted")
        .filter(|it| !it.is_boolean() && !it.is_null())
    {
        let why = format!("{value} is not of type 'boolean', 'null'");
        return Err(invalid("unrestricted", &value.to_string(), &why));
    }
    match text(wanted, "name") {
        None => {
            let value = json!(wanted).to_string();
            Err(invalid(
                "application_credential",
                &value,
                "'name' is a required property",
            ))
        }
        Some("") => Err(invalid("name", "", "'' should be non-empty")),
        Some(name) if name.chars().count() > 255 => {
            Err(invalid("name", name, &format!("'{name}' is too long")))
        }
        Some(name) => Ok(name),
    }
}

fn invalid(field: &str, value: &str, why: &str) -> Refusal {
    let message = format!("Invalid input for field/attribute {field}. Value: {value}. {why}");
    Refusal::new(400, message)
}

fn may(account: &Account, user: &str, action: &str) -> Result<(), Refusal> {
    match account.admin || account.user_id == user {
        true => Ok(()),
        false => Err(forbidden(&format!("identity:{action}"))),
    }
}

fn missing(id: &str) -> Refusal {
    Refusal::new(404, format!("Could not find Application Credential: {id}."))
}
