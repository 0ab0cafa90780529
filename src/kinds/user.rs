//! Keystone users.
//!
//! Needs the rights of an administrator of its domain. Keystone never gives a password back: to
//! see whether the Secret holds another one than the user was given, a digest of it is kept as an
//! attribute of the user, keyed with the object's uid so that nobody can try passwords on it.
//! API: <https://docs.openstack.org/api-ref/identity/v3/#users>.

use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::manifest::Ref;

use super::call::{Body, Call, Service};
use super::field::{Change, Field};
use super::health::Health;
use super::keystone;
use super::need::{Inputs, Material, Need, What};
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never, Refusal,
};

/// The key of a Secret that holds a password, as in ORC.
const SECRET_KEY: &str = "password";
/// The attribute of a user that holds the digest of the password that we gave it last.
const DIGEST: &str = "stackward_password";

/// A user. Making one needs an administrator of its domain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud, unique in its domain; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The domain that it belongs to; the one with the id `default` if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_ref: Option<Ref>,
    /// The project that it works in when it logs in without naming one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_project_ref: Option<Ref>,
    /// Whether it can log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The Secret whose key `password` is its password. When the Secret's content changes, so does
    /// the password. A password that somebody else changes in the cloud cannot be seen, and stays.
    /// A digest, keyed with the owner's identity, is kept in the user's attribute
    /// `stackward_password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_ref: Option<String>,
}

/// Chooses a user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The domain that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_ref: Option<Ref>,
}

/// What is known of a user.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The domain that it belongs to.
    #[serde(rename = "domainID")]
    pub domain_id: String,
    /// The project that it works in when it names none.
    #[serde(rename = "defaultProjectID", skip_serializing_if = "Option::is_none")]
    pub default_project_id: Option<String>,
    /// Whether it can log in.
    pub enabled: bool,
    /// When its password expires, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_expires_at: Option<String>,
}

/// A user as Keystone answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: String,
    description: Option<String>,
    domain_id: String,
    default_project_id: Option<String>,
    enabled: bool,
    password_expires_at: Option<String>,
    #[serde(rename = "stackward_password")]
    digest: Option<String>,
}

/// The kind.
#[derive(Debug)]
pub enum User {}

impl Kind for User {
    const NAME: &'static str = "User";
    const SERVICE: Service = Service::Identity;
    const COLLECTION: Collection = Collection {
        list: "users",
        query: &[],
        path: "users",
        route: "users/{id}",
        one: "user",
        many: "users",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const SINGLE: Option<&'static str> = Some("a name is given once in a domain");
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("enabled", Change::Update),
        Field::new("defaultProjectRef", Change::Update),
        // Becomes the digest of the password before anything is compared.
        Field::new("passwordRef", Change::Update),
        // Keystone: "Cannot change Domain ID".
        Field::new("domainRef", Change::Replace),
    ];
    const OF_THE_CLOUD: bool = true;
    const UNTOLD: &'static [&'static str] = &["the password"];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(user: &Object) -> Identity {
        Identity {
            id: user.id.clone(),
            name: user.name.clone(),
            natural_key: Some(keystone::natural_key(&user.domain_id, &user.name)),
            attached_to: vec![user.domain_id.clone()],
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(user: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(user.name.clone()),
            description: Some(user.description.clone().unwrap_or_default()),
            domain_ref: keystone::by_id(&user.domain_id),
            default_project_ref: user.default_project_id.as_deref().and_then(keystone::by_id),
            enabled: Some(user.enabled),
            password_ref: user.digest.clone(),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.enabled.take_if(|it| *it);
        // A digest of ours, and no name of a Secret.
        spec.password_ref = None;
    }

    fn status(user: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: user.name.clone(),
            description: user.description.clone().filter(|it| !it.is_empty()),
            domain_id: user.domain_id.clone(),
            default_project_id: user.default_project_id.clone().filter(|it| !it.is_empty()),
            enabled: user.enabled,
            password_expires_at: user.password_expires_at.clone(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/domainRef", "Domain", spec.domain_ref.as_mut(), visit);
        let project = spec.default_project_ref.as_mut();
        keystone::visit("/defaultProjectRef", "Project", project, visit);
        if let Some(name) = &spec.password_ref {
            let what = What::SecretKey {
                name,
                key: SECRET_KEY,
            };
            visit(Need {
                pointer: "/passwordRef".to_owned(),
                what,
            });
        }
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/domainRef", "Domain", filter.domain_ref.as_mut(), visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let name = keystone::check("/name", spec.name.as_deref(), 255);
        let secret = spec.password_ref.as_deref();
        let nameless = secret
            .filter(|name| name.is_empty() || name.starts_with(keystone::SCHEME))
            .map(|_| Complaint::new("/passwordRef", "this is no name of a Secret"));
        name.into_iter().chain(nameless).collect()
    }

    fn fill(spec: &mut Spec, inputs: &Inputs) -> Result<Material, Refusal> {
        let mut material = Material::default();
        if let Some(password) = inputs.texts.get("/passwordRef") {
            if password.expose_secret().is_empty() {
                let secret = spec.password_ref.as_deref().unwrap_or_default();
                return Err(Refusal::new(format!(
                    "the password in Secret {secret} is empty"
                )));
            }
            let digest =
                keystone::digest("stackward user password", inputs, password.expose_secret());
            spec.password_ref = Some(format!("{}{digest}", keystone::SCHEME));
            material.0.insert(SECRET_KEY, password.clone());
        }
        Ok(material)
    }

    fn natural_key(spec: &Spec, name: &str) -> Option<String> {
        let domain = keystone::domain(spec.domain_ref.as_ref())?;
        Some(keystone::natural_key(
            domain,
            spec.name.as_deref().unwrap_or(name),
        ))
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let domain = keystone::domain(spec.domain_ref.as_ref()).unwrap_or_default();
        let property = |field: &str| property(spec, field);
        let more = [("domain_id", json!(domain))];
        let call = keystone::post(&Self::COLLECTION, Self::FIELDS, property, birth, more);
        with_password(call, birth.material)
    }

    fn update(spec: &Spec, user: &Object, fields: &[&'static str]) -> Call {
        keystone::patch(&Self::COLLECTION, &user.id, fields, |field| {
            property(spec, field)
        })
    }

    fn update_with(
        spec: &Spec,
        user: &Object,
        fields: &[&'static str],
        material: &Material,
    ) -> Call {
        let call = Self::update(spec, user, fields);
        match fields.contains(&"passwordRef") {
            true => with_password(call, material),
            false => call,
        }
    }

    fn act(action: Never, _: Option<&Element>, _: &Spec, _: &Object) -> Result<Call, Refusal> {
        match action {}
    }

    /// Nowhere to write it: names are the identity in Keystone.
    fn brand(_: &Object, _: &Birth<'_>) -> Option<Call> {
        None
    }

    fn matches(filter: &Filter, user: &Object) -> bool {
        filter.name.as_ref().is_none_or(|it| *it == user.name)
            && keystone::refers(filter.domain_ref.as_ref(), Some(&user.domain_id))
    }
}

fn property(spec: &Spec, field: &str) -> Option<(&'static str, Value)> {
    Some(match field {
        "name" => ("name", json!(spec.name.as_ref()?)),
        "description" => ("description", json!(spec.description.as_ref()?)),
        "enabled" => ("enabled", json!(spec.enabled?)),
        "defaultProjectRef" => {
            let project = spec.default_project_ref.as_ref()?.id()?;
            ("default_project_id", json!(project))
        }
        "passwordRef" => (DIGEST, json!(spec.password_ref.as_ref()?)),
        _ => return None,
    })
}

/// Password and digest go in one request, so that one never is without the other.
fn with_password(mut call: Call, material: &Material) -> Call {
    if let (Some(password), Body::Json(body)) = (material.0.get(SECRET_KEY), &mut call.body) {
        body["user"]["password"] = json!(password.expose_secret());
    }
    call
}

#[cfg(test)]
mod tests {
    use super::super::erased::{AnyKind, Intent, Of, unclassified};
    use super::super::field::diff;
    use super::super::neutron::testing::{
        body, chooses, complaints, fixture, look, marker, projected, request, status,
    };
    use super::*;
    use crate::kinds::call::Method;
    use secrecy::SecretString;
    use uuid::Uuid;

    const RECORDED: &str = include_str!("testdata/user.json");

    fn wanted() -> Value {
        json!({"name": "u", "description": "of the tests", "domainRef": {"id": "d1"},
            "defaultProjectRef": {"id": "p1"}, "enabled": false, "passwordRef": "secret"})
    }

    fn filled(uid: u128, password: &str) -> (Value, Material) {
        let inputs = Inputs {
            texts: [("/passwordRef".to_owned(), SecretString::from(password))].into(),
            uid: Uuid::from_u128(uid),
            ..Inputs::default()
        };
        let filled = Of::<User>::NEW.resolve(&wanted(), &|_| None, &inputs);
        filled.unwrap()
    }

    fn send(
        intent: &Intent,
        filled: &(Value, Material),
        found: Option<&super::super::erased::Found>,
    ) -> Call {
        let birth = Birth {
            name: "u",
            marker: marker(),
            object: "User/default/u",
            id: Uuid::nil(),
            material: &filled.1,
        };
        Of::<User>::NEW
            .request(intent, &filled.0, found, &birth)
            .unwrap()
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<User>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen_without_the_password() {
        let filled = filled(1, "hunter2");
        let call = send(&Intent::Create, &filled, None);
        let mut answer = body(&call)["user"].clone();
        assert_eq!(answer["password"], "hunter2");
        answer.as_object_mut().unwrap().remove("password");
        answer["id"] = json!("1");
        assert!(!answer.to_string().contains("hunter2"));
        assert!(!filled.0.to_string().contains("hunter2"));
        let found = look::<User>(answer);
        assert_eq!(
            diff(
                &Of::<User>::NEW.rows(),
                &filled.0,
                &projected::<User>(&found)
            ),
            []
        );
        assert!(
            !status::<User>(&found)
                .to_string()
                .contains(keystone::SCHEME)
        );
    }

    #[test]
    fn another_password_is_another_digest_and_so_is_another_owner() {
        let digest = |uid, password| filled(uid, password).0["passwordRef"].clone();
        assert_eq!(digest(1, "a"), digest(1, "a"));
        assert_ne!(digest(1, "a"), digest(1, "b"));
        assert_ne!(digest(1, "a"), digest(2, "a"));
    }

    #[test]
    fn a_changed_password_goes_with_its_digest_and_with_nothing_else() {
        let found = fixture::<User>(RECORDED);
        let filled = filled(1, "new");
        let call = send(&Intent::Update(vec!["passwordRef"]), &filled, Some(&found));
        assert_eq!(
            (call.method, &call.path),
            (Method::Patch, &format!("users/{}", found.id))
        );
        let user = json!({"password": "new", "stackward_password": filled.0["passwordRef"]});
        assert_eq!(body(&call), &json!({ "user": user }));
        let call = send(&Intent::Update(vec!["enabled"]), &filled, Some(&found));
        assert_eq!(body(&call), &json!({"user": {"enabled": false}}));
    }

    #[test]
    fn domain_and_name_are_the_identity_of_spec_and_user() {
        let found = fixture::<User>(RECORDED);
        let kind = Of::<User>::NEW;
        assert_eq!(
            found.natural_key,
            kind.natural_key(&projected::<User>(&found), "called")
        );
        let expected = json!({"name": "sw-user", "description": "for a fixture",
            "domainID": found.attached_to[0], "enabled": true,
            "defaultProjectID": status::<User>(&found)["defaultProjectID"]});
        assert_eq!(status::<User>(&found), expected);
        assert_eq!(projected::<User>(&found)["passwordRef"], "sw1:recorded");
    }

    #[test]
    fn a_user_without_anything_optional_is_understood() {
        let bare = json!({"id": "1", "name": "u", "domain_id": "default", "enabled": true,
            "password_expires_at": null, "options": {}});
        let found = look::<User>(bare);
        let wanted = json!({"name": "u", "description": ""});
        assert_eq!(
            diff(&Of::<User>::NEW.rows(), &wanted, &projected::<User>(&found)),
            []
        );
        let call = request::<User>(&Intent::Create, &json!({}), None).unwrap();
        let user = json!({"name": "called", "domain_id": "default"});
        assert_eq!(body(&call), &json!({ "user": user }));
    }

    #[test]
    fn an_empty_password_is_refused() {
        let inputs = Inputs {
            texts: [("/passwordRef".to_owned(), SecretString::from(""))].into(),
            ..Inputs::default()
        };
        let refused = Of::<User>::NEW.resolve(&wanted(), &|_| None, &inputs);
        assert!(
            refused
                .unwrap_err()
                .message
                .contains("Secret secret is empty")
        );
    }

    #[test]
    fn the_filter_goes_by_all_that_it_sets() {
        let found = fixture::<User>(RECORDED);
        let domain = json!({"id": found.attached_to[0]});
        for (filter, chosen) in [
            (json!({"name": "sw-user", "domainRef": domain}), true),
            (
                json!({"name": "sw-user", "domainRef": {"id": "default"}}),
                false,
            ),
            (json!({"name": "sw"}), false),
        ] {
            assert_eq!(chooses::<User>(&filter, &found), chosen, "{filter}");
        }
    }

    #[test]
    fn names_have_their_form() {
        assert_eq!(complaints::<User>(&json!({"name": ""})), ["/name"]);
        assert_eq!(
            complaints::<User>(&json!({"passwordRef": ""})),
            ["/passwordRef"]
        );
        assert_eq!(
            complaints::<User>(&json!({"passwordRef": "sw1:00"})),
            ["/passwordRef"]
        );
        assert_eq!(complaints::<User>(&wanted()), [] as [&str; 0]);
    }
}
