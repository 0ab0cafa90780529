//! Keystone application credentials: a program's own way to log in as a user, in one project.
//!
//! Keystone lists them by user and lets nobody but the user make one, not even an administrator. So
//! the collection is that of the connection's own user, and a `userRef` to another one is refused.
//! Nothing of one can be changed. Keystone gives no secret back, and adds the roles that others
//! imply: which secret it was given, as a keyed digest, and which roles were asked for, stand at the
//! end of the description. Access rules outlive the credential, and are no kind here.
//! API: <https://docs.openstack.org/api-ref/identity/v3/#application-credentials>.

use jiff::Timestamp;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, json};

use crate::manifest::{Ref, ValueSource};

use super::call::{Call, Method, Service, segment};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::keystone;
use super::need::{Inputs, Material, Need, What};
use super::time::utc;
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never, Refusal,
};

/// The key of a Secret that holds a credential's secret, as in ORC.
const SECRET_KEY: &str = "value";
/// How much of a digest is kept: enough, and no longer than people bear to see.
const DIGEST_LENGTH: usize = 32;
/// How much of a role's id tells it from the others of one credential.
const ROLE_LENGTH: usize = 8;

/// An application credential of the user whose credentials the cloud's are: Keystone lets nobody
/// else make one. It is of the project that the cloud is used in, and cannot be changed: another
/// value of any field needs a new one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud, unique for its user; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people. Behind it stands a digest of the secret, keyed with the owner's
    /// identity, and the beginnings of the ids of the roles that were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The user that it logs in as: the one whose credentials the object's cloud is used with.
    pub user_ref: Ref,
    /// The Secret whose key `value` is its secret. Another content of the Secret needs a new
    /// credential.
    #[serde(
        deserialize_with = "missing_text",
        skip_serializing_if = "String::is_empty"
    )]
    pub secret_ref: String,
    /// The roles that it has, of those that the user has in the project; all of them if not set or
    /// empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_refs: Option<Vec<Ref>>,
    /// The only requests that it may be used for; any if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_rules: Option<Vec<Rule>>,
    /// Whether it may be used to make and delete application credentials and trusts. Dangerous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrestricted: Option<bool>,
    /// When it ends, `2030-01-01T00:00:00Z`; never if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
}

/// A request that a credential may be used for. Keystone wants all three parts of it.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "AccessRule")]
pub struct Rule {
    /// The path, as the service sees it: `/v2.1/servers`; `*` is any segment, `**` any rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["/v2.1/servers", "/v2.1/servers/*", "/v3/**"]))]
    pub path: Option<String>,
    /// The method. Keystone refuses CONNECT, OPTIONS and TRACE, which ORC accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpMethod>,
    /// The Service object whose type it is; either this or `service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ref: Option<String>,
    /// The service's type, `compute`, for who may not list services; either this or `serviceRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["compute", "identity"]))]
    pub service: Option<String>,
}

/// The method of a request.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "they are the words of RFC 9110")]
pub enum HttpMethod {
    Connect,
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
    Trace,
}

/// Chooses an application credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Its user: the one whose credentials the object's cloud is used with.
    pub user_ref: Ref,
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What is known of an application credential.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it may be used to make and delete application credentials and trusts.
    pub unrestricted: bool,
    /// The project that it leads to.
    #[serde(rename = "projectID")]
    pub project_id: String,
    /// The roles that it has.
    pub roles: Vec<RoleStatus>,
    /// When it ends, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The only requests that it may be used for, if not any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access_rules: Vec<RuleStatus>,
}

/// A role of an application credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all(serialize = "camelCase"))]
pub struct RoleStatus {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The domain that it belongs to, if it does.
    #[serde(
        rename(serialize = "domainID"),
        skip_serializing_if = "Option::is_none"
    )]
    pub domain_id: Option<String>,
}

/// An access rule, as Keystone answers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleStatus {
    /// Its id.
    pub id: String,
    /// The path.
    pub path: String,
    /// The method.
    pub method: String,
    /// The service's type.
    pub service: String,
}

/// An application credential as Keystone answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: String,
    description: Option<String>,
    user_id: String,
    project_id: String,
    unrestricted: Option<bool>,
    expires_at: Option<String>,
    roles: Vec<RoleStatus>,
    #[serde(default)]
    access_rules: Vec<RuleStatus>,
}

/// The kind.
#[derive(Debug)]
pub enum ApplicationCredential {}

impl Kind for ApplicationCredential {
    const NAME: &'static str = "ApplicationCredential";
    const SERVICE: Service = Service::Identity;
    const COLLECTION: Collection = Collection {
        list: "users/{user_id}/application_credentials",
        query: &[],
        path: "users/{user_id}/application_credentials",
        route: "users/{id}/application_credentials/{id}",
        one: "application_credential",
        many: "application_credentials",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const SINGLE: Option<&'static str> = Some("a name is given once to a user");
    const OF_USER: Option<&'static str> = Some("userRef");
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("name", Change::Replace),
        Field::new("description", Change::Replace),
        Field::new("userRef", Change::Replace),
        // Becomes the digest of the secret before anything is compared. One that somebody else
        // made has none.
        Field::new("secretRef", Change::Replace).by(Compare::IfTold),
        Field::new("roleRefs", Change::Replace).by(Compare::Set),
        Field::new("accessRules", Change::Replace).by(Compare::Set),
        Field::new("unrestricted", Change::Replace),
        Field::new("expiresAt", Change::Replace),
    ];
    const NATIVE_FIELDS: &'static [&'static str] = &["/accessRules/*/service"];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(credential: &Object) -> Identity {
        Identity {
            id: credential.id.clone(),
            name: credential.name.clone(),
            project: Some(credential.project_id.clone()),
            natural_key: Some(keystone::natural_key(&credential.user_id, &credential.name)),
            expires: credential.expires_at.as_deref().and_then(utc),
            ..Identity::default()
        }
    }

    /// Whether it has expired is a matter of the time: see [`Identity::expires`].
    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(credential: &Object, _: &Attached<'_>) -> Spec {
        let note = Note::of(credential);
        let asked = |role: &&RoleStatus| match &note.roles[..] {
            [] => true,
            roles => roles.iter().any(|it| role.id.starts_with(it)),
        };
        let roles = credential.roles.iter().filter(asked);
        let rule = |rule: &RuleStatus| Rule {
            path: Some(rule.path.clone()),
            method: serde_json::from_value(json!(rule.method)).ok(),
            service_ref: None,
            service: Some(rule.service.clone()),
        };
        Spec {
            name: Some(credential.name.clone()),
            description: Some(note.text.to_owned()),
            user_ref: Ref::Id(credential.user_id.clone()),
            secret_ref: note.digest.unwrap_or_default().to_owned(),
            role_refs: Some(roles.map(|it| Ref::Id(it.id.clone())).collect()),
            access_rules: Some(credential.access_rules.iter().map(rule).collect()),
            unrestricted: Some(credential.unrestricted.unwrap_or_default()),
            expires_at: credential.expires_at.as_deref().and_then(utc),
        }
    }

    fn status(credential: &Object, _: &Attached<'_>) -> Status {
        let text = Note::of(credential).text;
        let expires_at = credential.expires_at.as_deref();
        Status {
            name: credential.name.clone(),
            description: (!text.is_empty()).then(|| text.to_owned()),
            unrestricted: credential.unrestricted.unwrap_or_default(),
            project_id: credential.project_id.clone(),
            roles: credential.roles.clone(),
            expires_at: expires_at.map(|it| utc(it).map_or(it.to_owned(), |at| at.to_string())),
            access_rules: credential.access_rules.clone(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/userRef", "User", Some(&mut spec.user_ref), visit);
        visit(Need {
            pointer: "/secretRef".to_owned(),
            what: What::SecretKey {
                name: &spec.secret_ref,
                key: SECRET_KEY,
            },
        });
        for (index, role) in spec.role_refs.iter_mut().flatten().enumerate() {
            keystone::visit(&format!("/roleRefs/{index}"), "Role", Some(role), visit);
        }
        for (index, rule) in spec.access_rules.iter().flatten().enumerate() {
            if let Some(name) = &rule.service_ref {
                let service_type = ValueSource::Field {
                    kind: "Service".to_owned(),
                    name: name.clone(),
                    path: "status.resource.type".to_owned(),
                };
                visit(Need {
                    pointer: format!("/accessRules/{index}/serviceRef"),
                    what: What::Value(&service_type),
                });
            }
        }
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/userRef", "User", Some(&mut filter.user_ref), visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let mut complaints: Vec<Complaint> = keystone::check("/name", spec.name.as_deref(), 255)
            .into_iter()
            .collect();
        if spec.secret_ref.is_empty() || spec.secret_ref.starts_with(keystone::SCHEME) {
            let message = "this is no name of a Secret";
            complaints.push(Complaint::new("/secretRef", message));
        }
        for (index, rule) in spec.access_rules.iter().flatten().enumerate() {
            let pointer = format!("/accessRules/{index}");
            complaints.extend(check_rule(rule, &pointer));
        }
        complaints
    }

    fn fill(spec: &mut Spec, inputs: &Inputs) -> Result<Material, Refusal> {
        let mut material = Material::default();
        if let Some(secret) = inputs.texts.get("/secretRef") {
            // Keystone would make one up.
            if secret.expose_secret().is_empty() {
                let name = &spec.secret_ref;
                return Err(Refusal::new(format!("the value in Secret {name} is empty")));
            }
            let label = "stackward application credential";
            let digest = keystone::digest(label, inputs, secret.expose_secret());
            spec.secret_ref = format!("{}{}", keystone::SCHEME, &digest[..DIGEST_LENGTH]);
            material.0.insert(SECRET_KEY, secret.clone());
        }
        for (index, rule) in spec.access_rules.iter_mut().flatten().enumerate() {
            let pointer = format!("/accessRules/{index}/serviceRef");
            if let Some(service_type) = inputs.texts.get(&pointer) {
                rule.service = Some(service_type.expose_secret().to_owned());
                rule.service_ref = None;
            }
            let whole = rule.path.is_some() && rule.method.is_some();
            if !whole || (rule.service.is_none() && rule.service_ref.is_none()) {
                return Err(Refusal::new(format!(
                    "accessRules[{index}] needs path, method and serviceRef: Keystone fails without"
                )));
            }
        }
        // Keystone answers twins with a 409 that speaks of a name.
        if let Some(rules) = &mut spec.access_rules {
            rules.sort();
            rules.dedup();
        }
        // Keystone takes none for all.
        let _ = spec.role_refs.take_if(|roles| roles.is_empty());
        if let Some(roles) = &mut spec.role_refs {
            roles.sort_by(|a, b| a.id().cmp(&b.id()));
            roles.dedup();
        }
        // It keeps microseconds.
        let micros = spec.expires_at.map(Timestamp::as_microsecond);
        if let Some(Ok(at)) = micros.map(Timestamp::from_microsecond) {
            spec.expires_at = Some(at);
        }
        Ok(material)
    }

    /// Keystone refuses a second one of the name for a user, in whatever project.
    fn natural_key(spec: &Spec, name: &str) -> Option<String> {
        let name = spec.name.as_deref().unwrap_or(name);
        Some(keystone::natural_key(spec.user_ref.id()?, name))
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut body = Map::new();
        body.insert("name".to_owned(), json!(birth.name));
        body.insert("description".to_owned(), json!(Note::write(spec)));
        if let Some(secret) = birth.material.0.get(SECRET_KEY) {
            body.insert("secret".to_owned(), json!(secret.expose_secret()));
        }
        if let Some(roles) = &spec.role_refs {
            let roles = roles.iter().map(|it| json!({"id": it.id()}));
            body.insert("roles".to_owned(), roles.collect());
        }
        if let Some(rules) = &spec.access_rules {
            let rule =
                |it: &Rule| json!({"path": it.path, "method": it.method, "service": it.service});
            body.insert("access_rules".to_owned(), rules.iter().map(rule).collect());
        }
        if let Some(unrestricted) = spec.unrestricted {
            body.insert("unrestricted".to_owned(), json!(unrestricted));
        }
        if let Some(at) = spec.expires_at {
            let text = at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
            body.insert("expires_at".to_owned(), json!(text));
        }
        // Not the placeholder: should the user be another one after all, Keystone refuses.
        let user = segment(spec.user_ref.id().unwrap_or_default());
        let path = format!("users/{user}/application_credentials");
        let route = "users/{id}/application_credentials";
        Call::new(Service::Identity, Method::Post, route, path)
            .json(json!({ Self::COLLECTION.one: body }))
    }

    /// No field changes in place, so nothing asks for this: looking again is all there is to do.
    fn update(_: &Spec, credential: &Object, _: &[&'static str]) -> Call {
        Self::read(&credential.id)
    }

    fn act(action: Never, _: Option<&Element>, _: &Spec, _: &Object) -> Result<Call, Refusal> {
        match action {}
    }

    /// Nothing of it can be written any more.
    fn brand(_: &Object, _: &Birth<'_>) -> Option<Call> {
        None
    }

    fn matches(filter: &Filter, credential: &Object) -> bool {
        let text = Note::of(credential).text;
        filter.name.as_ref().is_none_or(|it| *it == credential.name)
            && filter.description.as_ref().is_none_or(|it| it == text)
            && filter.user_ref.id() == Some(&credential.user_id)
    }
}

/// What stands at the end of a description of ours: `text [sw1:<digest>.<role>.<role>]`.
struct Note<'a> {
    text: &'a str,
    /// Scheme and digest of the secret.
    digest: Option<&'a str>,
    /// The beginnings of the ids of the roles that were asked for; none if they were not chosen.
    roles: Vec<&'a str>,
}

impl<'a> Note<'a> {
    fn of(credential: &'a Object) -> Self {
        let text = credential.description.as_deref().unwrap_or_default();
        Self::read(text).unwrap_or(Self {
            text,
            digest: None,
            roles: Vec::new(),
        })
    }

    fn read(description: &'a str) -> Option<Self> {
        let (text, note) = description.strip_suffix(']')?.rsplit_once('[')?;
        let mut parts = note.split('.');
        let digest = parts.next()?;
        let hex = digest.strip_prefix(keystone::SCHEME)?;
        let is_hex = hex.bytes().all(|it| it.is_ascii_hexdigit());
        (is_hex && hex.len() == DIGEST_LENGTH).then(|| Self {
            text: text.strip_suffix(' ').unwrap_or(text),
            digest: Some(digest),
            roles: parts.collect(),
        })
    }

    fn write(spec: &Spec) -> String {
        let mut note = spec.secret_ref.clone();
        for id in spec.role_refs.iter().flatten().filter_map(Ref::id) {
            note.push('.');
            note.extend(id.chars().take(ROLE_LENGTH));
        }
        match spec.description.as_deref() {
            None | Some("") => format!("[{note}]"),
            Some(text) => format!("{text} [{note}]"),
        }
    }
}

fn check_rule(rule: &Rule, pointer: &str) -> Option<Complaint> {
    let complain = |message: &str| Some(Complaint::new(pointer, message));
    match (&rule.service_ref, &rule.service) {
        (Some(_), Some(_)) => complain("only one of serviceRef and service can be set"),
        _ if *rule == Rule::default() => complain("an access rule cannot be empty"),
        _ => None,
    }
}

/// A text that has to be there, and is null while the engine waits for it.
fn missing_text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
