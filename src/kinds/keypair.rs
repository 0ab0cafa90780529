//! Nova keypairs: the public half of an SSH key, or a certificate.
//!
//! A keypair belongs to a user, not to a project, and carries nothing but its key: its name is its
//! identity. API: <https://docs.openstack.org/api-ref/compute/#keypairs-keypairs>.

use std::borrow::Cow;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, json};

use super::call::{Call, Method, Microversion, Reply, Service};
use super::field::{Change, Field};
use super::health::Health;
use super::need::{Inputs, Material, Need, Reading, What};
use super::{
    Attached, Birth, COMPUTE, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never,
    Refusal,
};

/// Public keys are far smaller, certificates too.
const MAX_KEY: u64 = 16 * 1024;
/// The key as a person wrote it, with its comment, beside the canonical one in the spec.
const PUBLIC_KEY: &str = "publicKey";

/// A public key that servers are given at birth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud, unique among the user's; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What sort of key it is; Nova's default is `ssh`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub key_type: Option<KeyType>,
    /// The public key itself. Its comment is not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINPtmIMnPDYcDI1FWLU0ZmWYXZDi6dmBWf1DPFkxUbBR me@here"]))]
    pub public_key: Option<String>,
    /// A file with the public key, beside the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_file: Option<String>,
}

/// The sorts of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    /// An SSH public key.
    Ssh,
    /// An X.509 certificate, for Windows.
    X509,
}

/// Chooses a keypair.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What is known of a keypair.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Fingerprint of the key.
    pub fingerprint: String,
    /// The public key.
    pub public_key: String,
    /// What sort of key it is.
    #[serde(rename = "type")]
    pub key_type: KeyType,
}

/// A keypair as Nova answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    name: String,
    public_key: String,
    #[serde(default)]
    fingerprint: String,
    #[serde(rename = "type", default = "ssh")]
    key_type: KeyType,
}

/// All keys were, before 2.2.
const fn ssh() -> KeyType {
    KeyType::Ssh
}

/// The kind.
#[derive(Debug)]
pub enum KeyPair {}

impl Kind for KeyPair {
    const NAME: &'static str = "KeyPair";
    const SERVICE: Service = Service::Compute;
    const COLLECTION: Collection = Collection {
        list: "os-keypairs",
        query: &[],
        path: "os-keypairs",
        route: "os-keypairs/{id}",
        one: "keypair",
        many: "keypairs",
        read: Some(COMPUTE),
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const ANSWERS_WHOLE: bool = true;
    const SINGLE: Option<&'static str> = Some("a name is given once to a user");
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("name", Change::Replace),
        Field::new("type", Change::Replace),
        Field::new("publicKey", Change::Replace),
        // Becomes publicKey before anything is compared.
        Field::new("publicKeyFile", Change::Birth),
    ];
    const NATIVE_FIELDS: &'static [&'static str] = &["/publicKeyFile"];
    const UNTOLD: &'static [&'static str] = &["the private key"];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(keypair: &Object) -> Identity {
        Identity {
            id: keypair.name.clone(),
            name: keypair.name.clone(),
            natural_key: Some(keypair.name.clone()),
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(keypair: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(keypair.name.clone()),
            key_type: Some(keypair.key_type),
            public_key: Some(canonical(&keypair.public_key)),
            public_key_file: None,
        }
    }

    fn status(keypair: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: keypair.name.clone(),
            fingerprint: keypair.fingerprint.clone(),
            public_key: keypair.public_key.clone(),
            key_type: keypair.key_type,
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        if let Some(path) = &spec.public_key_file {
            visit(Need {
                pointer: "/publicKeyFile".to_owned(),
                what: What::File {
                    path,
                    reading: Reading::Text(MAX_KEY),
                },
            });
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        match (&spec.public_key, &spec.public_key_file) {
            (Some(_), Some(_)) => vec![Complaint::new(
                "/publicKeyFile",
                "publicKey and publicKeyFile exclude each other",
            )],
            (None, None) => vec![
                Complaint::new("", "one of publicKey and publicKeyFile must be given")
                    .hint("publicKeyFile: id_ed25519.pub"),
            ],
            (Some(key), None) => fault(key)
                .map(|fault| {
                    Complaint::new("/publicKey", fault).hint("publicKeyFile: id_ed25519.pub")
                })
                .into_iter()
                .collect(),
            (None, Some(_)) => Vec::new(),
        }
    }

    fn fill(spec: &mut Spec, inputs: &Inputs) -> Result<Material, Refusal> {
        let key = match (&spec.public_key_file, &spec.public_key) {
            (Some(path), _) => match inputs.texts.get("/publicKeyFile") {
                Some(text) => {
                    let key = text.expose_secret().trim().to_owned();
                    if let Some(fault) = fault(&key) {
                        return Err(Refusal::new(format!("{path}: {fault}")));
                    }
                    key
                }
                None => return Err(Refusal::new(format!("{path} could not be read"))),
            },
            (None, Some(key)) => key.trim().to_owned(),
            (None, None) => return Ok(Material::default()),
        };
        spec.public_key = Some(canonical(&key));
        spec.public_key_file = None;
        Ok(Material([(PUBLIC_KEY, SecretString::from(key))].into()))
    }

    fn natural_key(spec: &Spec, name: &str) -> Option<String> {
        Some(spec.name.clone().unwrap_or_else(|| name.to_owned()))
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut keypair = Map::new();
        keypair.insert("name".to_owned(), json!(birth.name));
        let key = match birth.material.0.get(PUBLIC_KEY) {
            Some(key) => Some(key.expose_secret()),
            None => spec.public_key.as_deref(),
        };
        keypair.insert("public_key".to_owned(), json!(key));
        // Types came with 2.2.
        let mut at = COMPUTE;
        if let Some(key_type) = spec.key_type {
            keypair.insert("type".to_owned(), json!(key_type));
            at = Microversion {
                floor: (2, 2),
                ..COMPUTE
            };
        }
        Call::new(Self::SERVICE, Method::Post, "os-keypairs", "os-keypairs")
            .at(Some(at))
            .json(json!({ "keypair": keypair }))
    }

    /// The name is the id.
    fn born(reply: &Reply) -> Option<String> {
        reply.body["keypair"]["name"].as_str().map(str::to_owned)
    }

    /// Nothing of a keypair can be changed, so this is not asked for; a look does no harm.
    fn update(_: &Spec, keypair: &Object, _: &[&'static str]) -> Call {
        Self::read(&keypair.name)
    }

    fn act(action: Never, _: Option<&Element>, _: &Spec, _: &Object) -> Result<Call, Refusal> {
        match action {}
    }

    fn brand(_: &Object, _: &Birth<'_>) -> Option<Call> {
        None
    }

    fn matches(filter: &Filter, keypair: &Object) -> bool {
        filter.name.as_ref().is_none_or(|it| *it == keypair.name)
    }

    /// Lists wrap each item in an envelope of its own.
    fn unwrap(item: &str) -> Cow<'_, str> {
        #[derive(Deserialize)]
        struct Wrapped {
            keypair: Option<Box<RawValue>>,
        }
        match serde_json::from_str(item) {
            Ok(Wrapped { keypair: Some(it) }) => Cow::Owned(it.get().to_owned()),
            _ => Cow::Borrowed(item),
        }
    }
}

/// The type and the key without the comment and the white space around them.
fn canonical(key: &str) -> String {
    let words: Vec<&str> = key.split_whitespace().collect();
    match words[..] {
        [kind, key, ..] if !kind.starts_with("-----") => format!("{kind} {key}"),
        _ => key
            .lines()
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n")
            .trim()
            .to_owned(),
    }
}

fn fault(key: &str) -> Option<&'static str> {
    if key.contains("PRIVATE KEY") {
        Some("this is a private key; the public one is in the file that ends in .pub")
    } else if key.trim().ends_with(".pub") && !key.trim().contains(char::is_whitespace) {
        Some("this is the name of a file, which belongs into publicKeyFile")
    } else if key.trim().is_empty() {
        Some("the key is empty")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::call::Body;
    use crate::kinds::erased::{AnyKind, Of, unclassified};
    use crate::kinds::testing::birth;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here";

    fn spec(value: serde_json::Value) -> Spec {
        serde_json::from_value(value).unwrap()
    }

    fn file(text: &str) -> Inputs {
        Inputs {
            texts: [("/publicKeyFile".to_owned(), SecretString::from(text))].into(),
            ..Inputs::default()
        }
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<KeyPair>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen_whatever_the_comment() {
        let mut wanted = spec(json!({"name": "k", "type": "ssh", "publicKeyFile": "id.pub"}));
        let material = KeyPair::fill(&mut wanted, &file(&format!("\n {KEY}\n"))).unwrap();
        let call = KeyPair::create(&wanted, &birth("k", &material));
        assert_eq!(
            (call.path.as_str(), call.microversion.unwrap().floor),
            ("os-keypairs", (2, 2))
        );
        let Body::Json(body) = call.body else {
            panic!("no JSON")
        };
        assert_eq!(body["keypair"]["public_key"], KEY, "the comment goes along");
        let object: Object = serde_json::from_str(&KeyPair::unwrap(&body.to_string())).unwrap();
        assert_eq!(KeyPair::project(&object, &Attached::default()), wanted);
        let mut other =
            spec(json!({"name": "k", "type": "ssh", "publicKey": format!("{KEY}.other")}));
        KeyPair::fill(&mut other, &Inputs::default()).unwrap();
        assert_eq!(other, wanted);
    }

    #[test]
    fn certificates_are_compared_whole() {
        let pem = "-----BEGIN CERTIFICATE-----\nabc def\n-----END CERTIFICATE-----\n";
        assert_eq!(canonical(pem), pem.trim());
        assert_eq!(canonical(&pem.replace('\n', "\r\n")), pem.trim());
    }

    #[test]
    fn a_recorded_keypair_is_identified_by_its_name() {
        let item = serde_json::from_str(include_str!("testdata/keypair.json")).unwrap();
        let found = Of::<KeyPair>::NEW.look(item).unwrap();
        assert_eq!(
            (found.id.as_str(), found.natural_key.as_deref()),
            ("rec-keypair", Some("rec-keypair"))
        );
        assert_eq!(found.health, Health::Ready);
        let status = Of::<KeyPair>::NEW.status(&found, &Attached::default());
        assert_eq!(
            status["fingerprint"],
            "f7:03:97:5f:81:73:8c:9c:6e:01:78:a4:e6:da:2d:99"
        );
        assert_eq!(status["type"], "ssh");
        let reply = json!({"keypair": {"name": "k", "user_id": "u"}});
        let reply = Reply {
            status: 201,
            body: reply,
            request_id: None,
        };
        assert_eq!(KeyPair::born(&reply).as_deref(), Some("k"));
    }

    #[test]
    fn the_filter_is_the_exact_name() {
        let object: Object =
            serde_json::from_value(json!({"name": "key", "public_key": KEY})).unwrap();
        let matches = |name: Option<&str>| {
            KeyPair::matches(
                &Filter {
                    name: name.map(str::to_owned),
                },
                &object,
            )
        };
        assert!(matches(Some("key")) && matches(None) && !matches(Some("ke")));
    }

    #[test]
    fn exactly_one_source_and_never_a_private_key() {
        for (value, pointer) in [
            (json!({}), Some("")),
            (
                json!({"publicKey": KEY, "publicKeyFile": "id.pub"}),
                Some("/publicKeyFile"),
            ),
            (
                json!({"publicKey": "-----BEGIN OPENSSH PRIVATE KEY-----\n"}),
                Some("/publicKey"),
            ),
            (json!({"publicKey": " "}), Some("/publicKey")),
            (json!({"publicKey": KEY}), None),
            (json!({"publicKeyFile": "id.pub"}), None),
        ] {
            let complaints = KeyPair::check(&spec(value.clone()));
            assert_eq!(
                complaints.first().map(|it| it.pointer.as_str()),
                pointer,
                "{value}"
            );
        }
        let mut wanted = spec(json!({"publicKeyFile": "id"}));
        let private = file("-----BEGIN RSA PRIVATE KEY-----\nhunter2");
        let refusal = KeyPair::fill(&mut wanted, &private).unwrap_err();
        assert!(
            refusal.message.starts_with("id: this is a private key"),
            "{refusal}"
        );
        assert!(!refusal.message.contains("hunter2"));
    }

    #[test]
    fn a_file_that_was_not_read_is_refused() {
        let mut wanted = spec(json!({"publicKeyFile": "id.pub"}));
        let refusal = KeyPair::fill(&mut wanted, &Inputs::default()).unwrap_err();
        assert_eq!(refusal.message, "id.pub could not be read");
    }
}
