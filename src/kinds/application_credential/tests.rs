//! What Keystone answers is understood, and what is asked of it is what it takes.

use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::kinds::erased::{AnyKind, Found, Intent, Of, unclassified};
use crate::kinds::field::{Difference, diff};
use crate::kinds::neutron::testing::{
    accepted, body, chooses, complaints, fixture, look, marker, projected, status,
};
use crate::manifest::Group;
use crate::manifest::problem::Code;

const RECORDED: &str = include_str!("../testdata/application-credential.json");
const USER: &str = "019e718a714a489cb439aeb2b163884d";
const MEMBER: &str = "f83b2ee0ebe74400bfaf610eec309996";
const READER: &str = "493c8c9b21d944f38355665b7fa20c9d";

fn wanted() -> Value {
    json!({"name": "c", "description": "of the tests", "userRef": {"id": USER}, "secretRef": "secret",
        "roleRefs": [{"id": MEMBER}], "unrestricted": false, "expiresAt": "2035-01-01T04:03:04.5+02:00",
        "accessRules": [{"path": "/v2.1/servers", "method": "GET", "serviceRef": "nova"},
            {"path": "/v2.0/networks/**", "method": "POST", "service": "network"}]})
}

fn fill(spec: &Value, secret: &str) -> Result<(Value, Material), Refusal> {
    let texts = [
        ("/secretRef", secret),
        ("/accessRules/0/serviceRef", "compute"),
    ];
    let texts = texts.map(|(pointer, text)| (pointer.to_owned(), SecretString::from(text)));
    let inputs = Inputs {
        texts: texts.into(),
        uid: Uuid::from_u128(1),
        ..Inputs::default()
    };
    Of::<ApplicationCredential>::NEW.resolve(spec, &|_| None, &inputs)
}

fn create(filled: &(Value, Material)) -> Call {
    let birth = Birth {
        name: "c",
        marker: marker(),
        object: "ApplicationCredential/default/c",
        id: Uuid::nil(),
        material: &filled.1,
    };
    let kind = Of::<ApplicationCredential>::NEW;
    kind.request(&Intent::Create, &filled.0, None, &birth)
        .unwrap()
}

/// What Keystone makes of a request: the role that is implied comes with the one that was asked for.
fn answer(call: &Call) -> Value {
    let mut made = body(call)["application_credential"].clone();
    made.as_object_mut().unwrap().remove("secret");
    made["id"] = json!("1");
    made["user_id"] = json!(USER);
    made["project_id"] = json!("p");
    let roles = [(READER, "reader"), (MEMBER, "member")];
    made["roles"] = roles
        .map(|(id, name)| json!({"id": id, "name": name}))
        .into();
    for (index, rule) in made["access_rules"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        rule["id"] = json!(index.to_string());
    }
    if let Some(text) = made["expires_at"].as_str() {
        made["expires_at"] = json!(text.trim_end_matches('Z'));
    }
    made
}

fn differences(want: &Value, found: &Found) -> Vec<Difference> {
    let rows = Of::<ApplicationCredential>::NEW.rows();
    diff(&rows, want, &projected::<ApplicationCredential>(found))
}

#[test]
fn every_field_is_classified() {
    let kind = Of::<ApplicationCredential>::NEW;
    assert_eq!(unclassified(&kind), Vec::<String>::new());
}

#[test]
fn what_is_created_is_what_is_seen_without_the_secret() {
    let filled = fill(&wanted(), "hunter2-hunter2").unwrap();
    let call = create(&filled);
    assert_eq!(call.path, format!("users/{USER}/application_credentials"));
    let sent = &body(&call)["application_credential"];
    assert_eq!(sent["secret"], "hunter2-hunter2");
    assert_eq!(sent["roles"], json!([{"id": MEMBER}]));
    assert_eq!(sent["expires_at"], "2035-01-01T02:03:04.500000Z");
    let rules = json!([{"path": "/v2.0/networks/**", "method": "POST", "service": "network"},
        {"path": "/v2.1/servers", "method": "GET", "service": "compute"}]);
    assert_eq!(sent["access_rules"], rules);
    let found = look::<ApplicationCredential>(answer(&call));
    assert_eq!(differences(&filled.0, &found), []);
    for text in [
        filled.0.to_string(),
        status::<ApplicationCredential>(&found).to_string(),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn every_other_value_is_seen_and_needs_a_new_one() {
    let found = look::<ApplicationCredential>(answer(&create(&fill(&wanted(), "a").unwrap())));
    for (field, value) in [
        ("name", json!("d")),
        ("description", json!("")),
        ("userRef", json!({"id": "another"})),
        ("roleRefs", json!([{"id": MEMBER}, {"id": READER}])),
        ("roleRefs", json!([{"id": READER}])),
        ("accessRules", json!([])),
        ("unrestricted", json!(true)),
        ("expiresAt", json!("2036-01-01T00:00:00Z")),
    ] {
        let mut spec = wanted();
        spec[field] = value;
        let differs = differences(&fill(&spec, "a").unwrap().0, &found);
        let fields: Vec<_> = differs.iter().map(|it| (it.field, it.class)).collect();
        assert_eq!(fields, [(field, crate::kinds::field::Class::Replace)]);
    }
    let differs = differences(&fill(&wanted(), "b").unwrap().0, &found);
    assert_eq!(
        differs[0].field, "secretRef",
        "the Secret holds another text"
    );
    assert_eq!(differs.len(), 1);
}

#[test]
fn a_recorded_credential_is_understood() {
    let found = fixture::<ApplicationCredential>(RECORDED);
    let kind = Of::<ApplicationCredential>::NEW;
    let spec = projected::<ApplicationCredential>(&found);
    assert_eq!(found.natural_key, Some(format!("{USER}/sw-credential")));
    assert_eq!(found.natural_key, kind.natural_key(&spec, "called"));
    assert_eq!(found.expires, "2035-01-01T02:03:04.5Z".parse().ok());
    assert_eq!(spec["description"], "for a fixture");
    assert_eq!(spec["secretRef"], "sw1:00112233445566778899aabbccddeeff");
    assert_eq!(
        spec["roleRefs"],
        json!([{"id": MEMBER}]),
        "the reader is implied"
    );
    let told = status::<ApplicationCredential>(&found);
    assert_eq!(told["expiresAt"], "2035-01-01T02:03:04.5Z");
    assert_eq!(told["roles"][0], json!({"id": READER, "name": "reader"}));
    assert_eq!(told["accessRules"][0]["service"], "compute");
    let waiting = json!({"userRef": "me", "secretRef": "s"});
    assert_eq!(kind.natural_key(&waiting, "c"), None);
}

#[test]
fn one_that_somebody_else_made_differs_in_nothing_that_is_not_told() {
    let bare = json!({"id": "1", "name": "c", "description": null, "user_id": USER, "project_id": "p",
        "expires_at": null, "unrestricted": null, "roles": [{"id": MEMBER, "name": "member"}]});
    let found = look::<ApplicationCredential>(bare);
    assert_eq!((found.expires, &found.health), (None, &Health::Ready));
    let spec = json!({"name": "c", "description": "", "userRef": {"id": USER}, "secretRef": "s",
        "roleRefs": [{"id": MEMBER}], "accessRules": [], "unrestricted": false});
    assert_eq!(differences(&fill(&spec, "a").unwrap().0, &found), []);
}

#[test]
fn it_is_read_and_deleted_below_the_user_of_the_connection() {
    let kind = Of::<ApplicationCredential>::NEW;
    let path = "users/{user_id}/application_credentials";
    assert_eq!(kind.list().path, path);
    assert_eq!(kind.read("1").path, format!("{path}/1"));
    let sly = segment("{user_id}");
    assert!(!sly.contains('{'), "an id is no placeholder: {sly}");
}

#[test]
fn it_serves_until_it_expires() {
    let found = fixture::<ApplicationCredential>(RECORDED);
    let at = |time: &str| found.clone().at(time.parse().unwrap()).health;
    assert_eq!(at("2035-01-01T02:03:04Z"), Health::Ready);
    let off = Health::Off("expired".to_owned());
    assert_eq!(at("2035-01-01T02:03:04.5Z"), off);
}

#[test]
fn what_keystone_fails_at_is_not_sent() {
    let refused = |spec: &Value, secret: &str| fill(spec, secret).unwrap_err().message;
    assert!(refused(&wanted(), "").contains("Secret secret is empty"));
    let mut half = wanted();
    half["accessRules"] = json!([{"method": "TRACE"}]);
    assert!(refused(&half, "a").contains("accessRules[0] needs path, method and serviceRef"));
    // ORC accepts it, and so does the manifest: the cloud is where it fails.
    let orc = json!({"userRef": "u", "secretRef": "s", "accessRules": half["accessRules"]});
    assert_eq!(accepted::<ApplicationCredential>(Group::Orc, &orc), Ok(()));
    let mut twins = wanted();
    twins["accessRules"][1] =
        json!({"path": "/v2.1/servers", "method": "GET", "service": "compute"});
    twins["roleRefs"] = json!([{"id": MEMBER}, {"id": MEMBER}]);
    let call = create(&fill(&twins, "a").unwrap());
    let sent = &body(&call)["application_credential"];
    assert_eq!(sent["access_rules"].as_array().map(Vec::len), Some(1));
    assert_eq!(sent["roles"].as_array().map(Vec::len), Some(1));
}

#[test]
fn while_the_secret_is_missing_the_rest_is_understood() {
    let mut spec = wanted();
    spec["secretRef"] = Value::Null;
    let filled = Of::<ApplicationCredential>::NEW.resolve(&spec, &|_| None, &Inputs::default());
    // The rule's service is not known either, and that is no fault of the rule.
    assert_eq!(filled.unwrap().0.get("secretRef"), None);
}

#[test]
fn specs_have_their_form() {
    let with = |field: &str, value: Value| {
        let mut spec = json!({"userRef": "u", "secretRef": "s"});
        spec[field] = value;
        complaints::<ApplicationCredential>(&spec)
    };
    assert_eq!(
        complaints::<ApplicationCredential>(&wanted()),
        [] as [&str; 0]
    );
    assert_eq!(with("name", json!("")), ["/name"]);
    assert_eq!(with("secretRef", json!("")), ["/secretRef"]);
    assert_eq!(with("accessRules", json!([{}])), ["/accessRules/0"]);
    let both = json!([{"service": "compute", "serviceRef": "nova"}]);
    assert_eq!(with("accessRules", both), ["/accessRules/0"]);
    let native = json!({"userRef": "u", "secretRef": "s", "accessRules": [{"service": "compute"}]});
    assert_eq!(
        accepted::<ApplicationCredential>(Group::Orc, &native),
        Err(vec![Code::NativeField])
    );
    for missing in ["userRef", "secretRef"] {
        let mut spec = json!({"userRef": "u", "secretRef": "s"});
        spec.as_object_mut().unwrap().remove(missing);
        assert!(
            accepted::<ApplicationCredential>(Group::Native, &spec).is_err(),
            "{missing}"
        );
    }
}

#[test]
fn the_filter_goes_by_all_that_it_sets() {
    let found = fixture::<ApplicationCredential>(RECORDED);
    let user = json!({"id": USER});
    for (filter, chosen) in [
        (json!({"userRef": user}), true),
        (
            json!({"userRef": user, "name": "sw-credential", "description": "for a fixture"}),
            true,
        ),
        (json!({"userRef": user, "description": "for"}), false),
        (
            json!({"userRef": {"id": "another"}, "name": "sw-credential"}),
            false,
        ),
        (json!({"userRef": "me"}), false),
    ] {
        assert_eq!(
            chooses::<ApplicationCredential>(&filter, &found),
            chosen,
            "{filter}"
        );
    }
}
