//! Who logs in, how, and for what scope; and the body of the request that does it.
//!
//! No I/O: `auth` sends it.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::profile::ConfigError;
use super::resolve::Fields;

/// The way of authentication.
#[derive(Debug, Clone)]
pub(super) enum Auth {
    /// None at all: fixed endpoints, no token.
    None {
        /// Where every service is that has no endpoint of its own.
        endpoint: Option<String>,
    },
    /// Keystone v3, or v2.0 when `either` allows it and nothing newer is there.
    V3 {
        methods: Vec<Method>,
        scope: Scope,
        either: Option<Tenant>,
    },
    /// Keystone v2.0.
    V2(Tenant),
}

impl Auth {
    /// Logs in to another project, by its id or its name; false when that cannot be.
    pub(super) fn enter(&mut self, project: &str) -> bool {
        let is_id = project.len() == 32 && project.bytes().all(|it| it.is_ascii_hexdigit());
        let id = is_id.then(|| project.to_owned());
        let name = (!is_id).then(|| project.to_owned());
        let bound = |it: &Method| matches!(it, Method::ApplicationCredential { .. });
        let tenant = match self {
            Self::None { .. } => return false,
            Self::V3 { methods, scope, .. }
                if methods.iter().any(bound) || matches!(scope, Scope::Trust(_)) =>
            {
                return false;
            }
            Self::V3 { scope, either, .. } => {
                let domain = match scope {
                    Scope::Project { domain, .. } | Scope::Domain(domain) => domain.clone(),
                    _ => Domain {
                        id: Some("default".to_owned()),
                        name: None,
                    },
                };
                *scope = Scope::Project {
                    id: id.clone(),
                    name: name.clone(),
                    domain,
                };
                either.as_mut()
            }
            Self::V2(tenant) => Some(tenant),
        };
        if let Some(tenant) = tenant {
            (tenant.id, tenant.name) = (id, name);
        }
        true
    }
}

/// One of the ways to prove who one is; multi-factor has several.
#[derive(Debug, Clone)]
pub(super) enum Method {
    Password {
        user: User,
        password: SecretString,
    },
    Totp {
        user: User,
        passcode: SecretString,
    },
    Token(SecretString),
    ApplicationCredential {
        id: Option<String>,
        name: Option<String>,
        user: User,
        secret: SecretString,
    },
}

/// A user by id, or by name in a domain.
#[derive(Debug, Clone, Default)]
pub(super) struct User {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) domain: Domain,
}

/// A domain by id or name.
#[derive(Debug, Clone, Default)]
pub(super) struct Domain {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
}

/// What the token is for.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    Project {
        id: Option<String>,
        name: Option<String>,
        domain: Domain,
    },
    Domain(Domain),
    System,
    Trust(String),
    /// Explicitly none: to find out whether it is the scope that was refused.
    Unscoped,
    /// Not said: the credential itself has one.
    Inherent,
}

/// Credentials and tenant as Keystone v2.0 knows them.
#[derive(Debug, Clone)]
pub(super) struct Tenant {
    pub(super) user: String,
    pub(super) proof: Proof,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Proof {
    Password(SecretString),
    Token(SecretString),
}

const SUPPORTED: &str = "password, token, v3password, v3token, v3applicationcredential, v3totp, \
                         v3multifactor, v2password, v2token, none";

/// Reads the authentication out of a cloud's settings.
pub(super) fn understand(fields: &Fields) -> Result<Auth, ConfigError> {
    let version = identity_version(fields)?;
    let named = fields
        .text("auth_type")
        .unwrap_or_else(|| guess(fields).to_owned());
    match named.as_str() {
        "none" => Ok(Auth::None {
            endpoint: fields.text("endpoint"),
        }),
        "v2password" | "v2token" => tenant(fields, named == "v2token").map(Auth::V2),
        "password" if version == Some(2) => tenant(fields, false).map(Auth::V2),
        "token" if version == Some(2) => tenant(fields, true).map(Auth::V2),
        "password" | "v3password" => {
            let either = (named == "password" && version.is_none() && !speaks_v3_only(fields))
                .then(|| tenant(fields, false))
                .transpose()?;
            Ok(Auth::V3 {
                methods: vec![password(fields)?],
                scope: scope(fields)?,
                either,
            })
        }
        "token" | "v3token" => {
            let either = (named == "token" && version.is_none() && !speaks_v3_only(fields))
                .then(|| tenant(fields, true))
                .transpose()?;
            Ok(Auth::V3 {
                methods: vec![token(fields)?],
                scope: scope(fields)?,
                either,
            })
        }
        "v3totp" => Ok(Auth::V3 {
            methods: vec![totp(fields)?],
            scope: scope(fields)?,
            either: None,
        }),
        "v3multifactor" => multifactor(fields),
        "v3applicationcredential" => Ok(Auth::V3 {
            methods: vec![application_credential(fields)?],
            // Keystone refuses a scope beside an application credential: it has its own project.
            scope: Scope::Inherent,
            either: None,
        }),
        other => Err(fields.refuse(
            "auth_type",
            format!("auth_type `{other}` is not supported"),
            Some(format!("supported are: {SUPPORTED}")),
        )),
    }
}

/// What `auth_type` must be when it is not written.
fn guess(fields: &Fields) -> &'static str {
    let has = |key| fields.text(key).is_some();
    if has("application_credential_secret") {
        "v3applicationcredential"
    } else if has("token") && !has("password") {
        "token"
    } else {
        "password"
    }
}

fn identity_version(fields: &Fields) -> Result<Option<u8>, ConfigError> {
    match fields.text("identity_api_version").as_deref() {
        None | Some("") => Ok(None),
        Some("2" | "2.0" | "v2" | "v2.0") => Ok(Some(2)),
        Some("3" | "3.0" | "v3") => Ok(Some(3)),
        Some(other) => Err(fields.refuse(
            "identity_api_version",
            format!("identity_api_version `{other}` is not supported"),
            Some("write 3, or 2 for an old cloud".to_owned()),
        )),
    }
}

/// True when a setting has no meaning in v2.0, so that falling back to it would change who logs in.
fn speaks_v3_only(fields: &Fields) -> bool {
    const ONLY_V3: [&str; 11] = [
        "user_id",
        "user_domain_id",
        "user_domain_name",
        "project_domain_id",
        "project_domain_name",
        "domain_id",
        "domain_name",
        "default_domain_id",
        "default_domain_name",
        "system_scope",
        "trust_id",
    ];
    ONLY_V3.iter().any(|key| fields.text(key).is_some()) || fields.text("username").is_none()
}

fn tenant(fields: &Fields, with_token: bool) -> Result<Tenant, ConfigError> {
    let proof = if with_token {
        Proof::Token(needed(fields, "token")?)
    } else {
        Proof::Password(needed(fields, "password")?)
    };
    let user = fields.text("username").unwrap_or_default();
    if user.is_empty() && !with_token {
        return Err(missing(fields, "username"));
    }
    Ok(Tenant {
        user,
        proof,
        id: fields.text("project_id"),
        name: fields.text("project_name"),
    })
}

fn password(fields: &Fields) -> Result<Method, ConfigError> {
    Ok(Method::Password {
        user: user(fields)?,
        password: needed(fields, "password")?,
    })
}

fn totp(fields: &Fields) -> Result<Method, ConfigError> {
    Ok(Method::Totp {
        user: user(fields)?,
        passcode: needed(fields, "passcode")?,
    })
}

fn token(fields: &Fields) -> Result<Method, ConfigError> {
    Ok(Method::Token(needed(fields, "token")?))
}

fn application_credential(fields: &Fields) -> Result<Method, ConfigError> {
    let secret = needed(fields, "application_credential_secret")?;
    let id = fields.text("application_credential_id");
    let name = fields.text("application_credential_name");
    let named_user = match (&id, &name) {
        (Some(_), _) => User::default(),
        (None, Some(_)) => user(fields).map_err(|_| {
            let hint = "set `username` and `user_domain_name`, or `user_id`, or use application_credential_id";
            fields.missing(
                "an application credential by name needs its user".to_owned(),
                Some(hint.to_owned()),
            )
        })?,
        (None, None) => return Err(missing(fields, "application_credential_id")),
    };
    Ok(Method::ApplicationCredential {
        id,
        name,
        user: named_user,
        secret,
    })
}

fn multifactor(fields: &Fields) -> Result<Auth, ConfigError> {
    let named = fields
        .setting("auth_methods")
        .map(|setting| setting.values.clone());
    let mut methods = Vec::new();
    for word in named
        .unwrap_or_default()
        .iter()
        .flat_map(|word| word.split(','))
    {
        methods.push(match word.trim() {
            "v3password" | "password" => password(fields)?,
            "v3totp" | "totp" => totp(fields)?,
            "v3token" | "token" => token(fields)?,
            "v3applicationcredential" | "application_credential" => application_credential(fields)?,
            other => {
                let hint = "supported are: v3password, v3totp, v3token, v3applicationcredential";
                let message = format!("auth method `{other}` is not supported");
                return Err(fields.refuse("auth_methods", message, Some(hint.to_owned())));
            }
        });
    }
    if methods.is_empty() {
        return Err(missing(fields, "auth_methods"));
    }
    let inherent = methods
        .iter()
        .any(|method| matches!(method, Method::ApplicationCredential { .. }));
    let scope = if inherent {
        Scope::Inherent
    } else {
        scope(fields)?
    };
    Ok(Auth::V3 {
        methods,
        scope,
        either: None,
    })
}

fn needed(fields: &Fields, key: &str) -> Result<SecretString, ConfigError> {
    fields.secret(key).ok_or_else(|| missing(fields, key))
}

fn missing(fields: &Fields, key: &str) -> ConfigError {
    let variable = key.to_uppercase();
    fields.missing(
        format!("there is no `{key}`"),
        Some(format!(
            "write it into secure.yaml or below `auth:`, or set OS_{variable}"
        )),
    )
}

fn user(fields: &Fields) -> Result<User, ConfigError> {
    let (id, name) = (fields.text("user_id"), fields.text("username"));
    if id.is_none() && name.is_none() {
        return Err(missing(fields, "username"));
    }
    Ok(User {
        id,
        name,
        domain: domain(fields, "user_domain"),
    })
}

/// A domain by its own keys, else the one beside a project scope, else the default one.
fn domain(fields: &Fields, key: &str) -> Domain {
    let pick = |prefix: &str| {
        let id = fields.text(&format!("{prefix}_id"));
        let name = fields.text(&format!("{prefix}_name"));
        (id.is_some() || name.is_some()).then_some(Domain { id, name })
    };
    pick(key)
        .or_else(|| pick("domain"))
        .or_else(|| pick("default_domain"))
        .unwrap_or_else(|| Domain {
            id: Some("default".to_owned()),
            name: None,
        })
}

fn scope(fields: &Fields) -> Result<Scope, ConfigError> {
    let (id, name) = (fields.text("project_id"), fields.text("project_name"));
    if let Some(system) = fields.text("system_scope") {
        return match system.as_str() {
            "all" => Ok(Scope::System),
            _ => {
                let message = format!("system_scope `{system}` is not supported");
                Err(fields.refuse("system_scope", message, Some("write `all`".to_owned())))
            }
        };
    }
    if let Some(trust) = fields.text("trust_id") {
        return Ok(Scope::Trust(trust));
    }
    if id.is_some() || name.is_some() {
        return Ok(Scope::Project {
            id,
            name,
            domain: domain(fields, "project_domain"),
        });
    }
    let (id, name) = (fields.text("domain_id"), fields.text("domain_name"));
    if id.is_some() || name.is_some() {
        return Ok(Scope::Domain(Domain { id, name }));
    }
    // Keystone then uses the user's default project, if there is one.
    Ok(Scope::Inherent)
}

/// The body of `POST /v3/auth/tokens`.
pub(super) fn v3_body(methods: &[Method], scope: &Scope) -> Value {
    let mut identity = Map::new();
    let mut names = Vec::new();
    for method in methods {
        let (name, value) = match method {
            Method::Password { user, password } => (
                "password",
                json!({"user": with(user.json(), "password", password)}),
            ),
            Method::Totp { user, passcode } => (
                "totp",
                json!({"user": with(user.json(), "passcode", passcode)}),
            ),
            Method::Token(token) => ("token", json!({"id": token.expose_secret()})),
            Method::ApplicationCredential {
                id,
                name,
                user,
                secret,
            } => {
                let credential = match (id, name) {
                    (Some(id), _) => json!({"id": id}),
                    (None, name) => json!({"name": name, "user": user.json()}),
                };
                ("application_credential", with(credential, "secret", secret))
            }
        };
        names.push(Value::from(name));
        let _ = identity.insert(name.to_owned(), value);
    }
    let _ = identity.insert("methods".to_owned(), Value::Array(names));
    let mut auth = json!({"identity": identity});
    let scope = match scope {
        Scope::Project { id: Some(id), .. } => Some(json!({"project": {"id": id}})),
        Scope::Project {
            id: None,
            name,
            domain,
        } => Some(json!({"project": {"name": name, "domain": domain.json()}})),
        Scope::Domain(domain) => Some(json!({"domain": domain.json()})),
        Scope::System => Some(json!({"system": {"all": true}})),
        Scope::Trust(id) => Some(json!({"OS-TRUST:trust": {"id": id}})),
        Scope::Unscoped => Some(json!("unscoped")),
        Scope::Inherent => None,
    };
    if let Some(scope) = scope {
        auth["scope"] = scope;
    }
    json!({"auth": auth})
}

/// The body of `POST /v2.0/tokens`, for a tenant or unscoped.
pub(super) fn v2_body(tenant: &Tenant, id: Option<&str>) -> Value {
    let mut auth = match &tenant.proof {
        Proof::Password(password) => json!({"passwordCredentials": {
            "username": tenant.user, "password": password.expose_secret(),
        }}),
        Proof::Token(token) => json!({"token": {"id": token.expose_secret()}}),
    };
    if let Some(id) = id {
        auth["tenantId"] = json!(id);
    }
    json!({"auth": auth})
}

impl Auth {
    /// Who logs in, for messages: never a secret.
    pub(super) fn who(&self) -> String {
        let user = |user: &User| match (&user.name, &user.id) {
            (Some(name), _) => format!("user `{name}`"),
            (None, Some(id)) => format!("user {id}"),
            (None, None) => "the user".to_owned(),
        };
        match self {
            Self::None { .. } => "nobody".to_owned(),
            Self::V2(tenant) if tenant.user.is_empty() => "the given token".to_owned(),
            Self::V2(tenant) => format!("user `{}`", tenant.user),
            Self::V3 { methods, .. } => match methods.first() {
                Some(Method::Password { user: who, .. } | Method::Totp { user: who, .. }) => {
                    user(who)
                }
                Some(Method::ApplicationCredential { id: Some(id), .. }) => {
                    format!("application credential {id}")
                }
                Some(Method::ApplicationCredential { name, .. }) => {
                    format!(
                        "application credential `{}`",
                        name.as_deref().unwrap_or_default()
                    )
                }
                Some(Method::Token(_)) | None => "the given token".to_owned(),
            },
        }
    }

    /// What the token is to be for, for messages.
    pub(super) fn what_for(&self) -> Option<String> {
        let either = |kind: &str, id: &Option<String>, name: &Option<String>| match (name, id) {
            (Some(name), _) => Some(format!("{kind} `{name}`")),
            (None, Some(id)) => Some(format!("{kind} {id}")),
            (None, None) => None,
        };
        match self {
            Self::V3 {
                scope: Scope::Project { id, name, .. },
                ..
            } => either("project", id, name),
            Self::V3 {
                scope: Scope::Domain(domain),
                ..
            } => either("domain", &domain.id, &domain.name),
            Self::V3 {
                scope: Scope::System,
                ..
            } => Some("the whole system".to_owned()),
            Self::V3 {
                scope: Scope::Trust(id),
                ..
            } => Some(format!("trust {id}")),
            Self::V2(tenant) => either("tenant", &tenant.id, &tenant.name),
            _ => None,
        }
    }

    /// Every secret in it, to be removed from texts that others wrote.
    pub(super) fn secrets(&self) -> Vec<SecretString> {
        let of_tenant = |tenant: &Tenant| match &tenant.proof {
            Proof::Password(secret) | Proof::Token(secret) => secret.clone(),
        };
        match self {
            Self::None { .. } => Vec::new(),
            Self::V2(tenant) => vec![of_tenant(tenant)],
            Self::V3 { methods, .. } => methods
                .iter()
                .map(|method| match method {
                    Method::Password {
                        password: secret, ..
                    }
                    | Method::Totp {
                        passcode: secret, ..
                    }
                    | Method::Token(secret)
                    | Method::ApplicationCredential { secret, .. } => secret.clone(),
                })
                .collect(),
        }
    }
}

impl User {
    fn json(&self) -> Value {
        match &self.id {
            Some(id) => json!({"id": id}),
            None => json!({"name": self.name, "domain": self.domain.json()}),
        }
    }
}

impl Domain {
    fn json(&self) -> Value {
        match &self.id {
            Some(id) => json!({"id": id}),
            None => json!({"name": self.name}),
        }
    }
}

fn with(mut object: Value, key: &str, secret: &SecretString) -> Value {
    object[key] = Value::from(secret.expose_secret());
    object
}
