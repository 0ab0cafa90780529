//! Application credentials through their whole life, on the pure engine beside the sandbox's pure
//! core: as an ordinary user, who makes them for himself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod sim;

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::kinds::{Attached, find};
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Request, Rule};

const KIND: &str = "ApplicationCredential";
const MINUTES: Duration = Duration::from_secs(60);

/// A Secret, and objects of the kind: name, and spec without the user.
fn file(sim: &Sim, secret: &str, objects: &[(&str, Value)]) -> Vec<(String, String)> {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pw"},
        "stringData": {"value": secret}});
    let mut documents = vec![secret.to_string()];
    for (name, spec) in objects {
        let mut spec = spec.clone();
        if let Some(resource) = spec.get_mut("resource") {
            for (field, value) in [
                ("userRef", json!({"id": sim.user()})),
                ("secretRef", json!("pw")),
            ] {
                if resource[field].is_null() {
                    resource[field] = value;
                }
            }
        }
        documents.push(
            json!({"apiVersion": "stackward.dev/v1alpha1", "kind": KIND,
                "metadata": {"name": name}, "spec": spec})
            .to_string(),
        );
    }
    vec![("credentials.yaml".to_owned(), documents.join("\n---\n"))]
}

fn full(sim: &mut Sim) -> Value {
    let member = role(sim, "member");
    json!({"description": "one", "roleRefs": [member], "unrestricted": false,
        "expiresAt": "2030-01-01T00:00:00Z",
        "accessRules": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]})
}

/// A role that everybody has, as a reference: who is no administrator may not list roles.
fn role(sim: &mut Sim, name: &str) -> Value {
    let by_hand = json!({"application_credential": {"name": "to-see-the-roles"}});
    let path = path(sim);
    let made = sim.by_hand("POST", &path, by_hand)["application_credential"].take();
    sim.by_hand(
        "DELETE",
        &format!("{path}/{}", text(&made["id"])),
        Value::Null,
    );
    let mut roles = made["roles"].as_array().unwrap().iter();
    json!({"id": roles.find(|it| it["name"] == name).unwrap()["id"]})
}

fn path(sim: &Sim) -> String {
    format!("/identity/v3/users/{}/application_credentials", sim.user())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn settle(sim: &mut Sim) {
    let rests = sim.run_until_rest(10 * MINUTES);
    assert!(rests, "{}", sim.complaints().join("\n"));
    sim.assert_converged();
}

fn converged() -> (Sim, Value) {
    let mut sim = Sim::new(1);
    let resource = full(&mut sim);
    let files = file(
        &sim,
        "first-secret",
        &[("c", json!({"resource": resource}))],
    );
    sim.declare(&files);
    settle(&mut sim);
    (sim, resource)
}

fn key(name: &str) -> Key {
    Key::new(KIND, "default", name)
}

fn id(sim: &Sim, name: &str) -> String {
    let status = &sim.engine.snapshot().objects[&key(name)].status;
    status.id.clone().unwrap()
}

fn reason(sim: &Sim, name: &str) -> String {
    sim.engine.snapshot().objects[&key(name)].reason.to_string()
}

fn message(sim: &Sim, name: &str, condition: &str) -> String {
    let status = &sim.engine.snapshot().objects[&key(name)].status;
    status.condition(condition).unwrap().message.clone()
}

/// The spec that would have made the only one that there is.
fn spec(sim: &mut Sim) -> Value {
    let mut items = sim.items(KIND);
    assert_eq!(items.len(), 1, "{items:?}");
    let kind = find(KIND).unwrap();
    kind.project(&kind.look(items.remove(0)).unwrap(), &Attached::default())
}

fn logs_in(sim: &mut Sim, id: &str, secret: &str) -> bool {
    let proof = json!({"id": id, "secret": secret});
    let body = json!({"auth": {"identity": {"methods": ["application_credential"],
        "application_credential": proof}}});
    let request = Request::post("/identity/v3/auth/tokens", body);
    sim.world.handle(&request, sim.now).status == 201
}

/// Each field with another value.
fn changes() -> Vec<(&'static str, Value)> {
    vec![
        ("name", json!("renamed")),
        ("description", json!("")),
        ("roleRefs", Value::Null),
        ("accessRules", json!([])),
        ("unrestricted", json!(true)),
        ("expiresAt", json!("2031-01-01T00:00:00Z")),
    ]
}

#[test]
fn it_converges_logs_in_and_a_second_pass_only_reads() {
    let (mut sim, _) = converged();
    let made = id(&sim, "c");
    assert!(logs_in(&mut sim, &made, "first-secret"));
    let writes = sim.writes().len();
    sim.run_for(5 * MINUTES);
    sim.restart();
    settle(&mut sim);
    sim.lose_disk();
    settle(&mut sim);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
}

#[test]
fn its_secret_shows_nowhere() {
    let (mut sim, _) = converged();
    let listed = sim.items(KIND);
    let snapshot = serde_json::to_string(&sim.engine.snapshot()).unwrap();
    let shown = format!("{:?} {snapshot} {:?} {listed:?}", sim.disk, sim.trace);
    assert!(!shown.contains("first-secret"), "{shown}");
}

#[test]
fn without_leave_every_change_waits_for_a_person() {
    let (mut sim, resource) = converged();
    let mut wanted: Vec<(&str, Value, &str)> = changes()
        .into_iter()
        .filter(|(field, _)| *field != "roleRefs")
        .map(|(field, value)| (field, value, "first-secret"))
        .collect();
    let both = json!([role(&mut sim, "member"), role(&mut sim, "reader")]);
    wanted.push(("roleRefs", both, "first-secret"));
    // The field is the same; the Secret is not.
    wanted.push(("secretRef", json!("pw"), "second-secret"));
    for (field, value, secret) in wanted {
        let mut other = resource.clone();
        other[field] = value;
        let writes = sim.writes().len();
        let files = file(&sim, secret, &[("c", json!({"resource": other}))]);
        sim.declare(&files);
        sim.run_for(2 * MINUTES);
        assert_eq!(reason(&sim, "c"), "Immutable", "{field}");
        let words = message(&sim, "c", "Progressing");
        assert!(words.contains(&format!("{field} is immutable")), "{words}");
        assert!(!words.contains("-secret"), "{words}");
        assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
        let files = file(
            &sim,
            "first-secret",
            &[("c", json!({"resource": resource}))],
        );
        sim.declare(&files);
        settle(&mut sim);
    }
}

#[test]
fn with_leave_every_field_is_changed_and_changed_back_by_a_new_one() {
    let declare = |sim: &mut Sim, resource: &Value, secret: &str| {
        let spec = json!({"resource": resource, "lifecycle": {"replace": "Allow"}});
        let files = file(sim, secret, &[("c", spec)]);
        sim.declare(&files);
        settle(sim);
    };
    for (field, value) in changes() {
        let (mut sim, resource) = converged();
        let (was, before) = (id(&sim, "c"), spec(&mut sim));
        let mut other = resource.clone();
        other[field] = value.clone();
        declare(&mut sim, &other, "first-secret");
        // A field that is not set any more is not minded any more.
        assert_eq!(id(&sim, "c") == was, value.is_null(), "{field}");
        if !value.is_null() {
            assert_eq!(spec(&mut sim)[field], value);
        }
        declare(&mut sim, &resource, "first-secret");
        assert_eq!(spec(&mut sim), before, "{field} and back");
    }
    let (mut sim, resource) = converged();
    declare(&mut sim, &resource, "second-secret");
    let now = id(&sim, "c");
    assert!(logs_in(&mut sim, &now, "second-secret"));
    assert!(!logs_in(&mut sim, &now, "first-secret"));
}

#[test]
fn deleted_behind_our_back_it_is_made_again() {
    let (mut sim, _) = converged();
    let was = id(&sim, "c");
    let target = format!("{}/{was}", path(&sim));
    sim.by_hand("DELETE", &target, Value::Null);
    sim.run_for(5 * MINUTES);
    settle(&mut sim);
    let now = id(&sim, "c");
    assert_ne!(now, was);
    assert!(logs_in(&mut sim, &now, "first-secret"));
}

#[test]
fn a_create_whose_answer_is_lost_is_not_sent_twice() {
    let mut sim = Sim::new(1);
    let effect = Effect::DoAndAnswer {
        status: 504,
        body: Value::Null,
    };
    let resource = full(&mut sim);
    let rule = Rule::new("identity", effect);
    let rule = rule.on("POST", "/*/users/*/application_credentials");
    sim.world.add_fault(rule.times(1));
    let files = file(&sim, "s-e-c", &[("c", json!({"resource": resource}))]);
    sim.declare(&files);
    settle(&mut sim);
    assert_eq!(sim.world.faults.fired(0), 1);
    assert_eq!(sim.writes().len(), 1, "{:?}", sim.writes());
    // It is known as ours: when its manifest goes, so does it.
    let files = file(&sim, "s-e-c", &[("other", json!({"resource": {}}))]);
    sim.declare(&files);
    sim.run_for(20 * MINUTES);
    assert_eq!(sim.items(KIND).len(), 1);
    assert_eq!(spec(&mut sim)["name"], "other");
}

#[test]
fn a_crash_at_any_request_makes_no_second_one() {
    for at in 0..4 {
        for after in [false, true] {
            let mut sim = Sim::new(1);
            let resource = full(&mut sim);
            sim.crash = Some((at, after));
            let files = file(&sim, "s-e-c", &[("c", json!({"resource": resource}))]);
            sim.declare(&files);
            sim.run_until_rest(10 * MINUTES);
            sim.crash = None;
            sim.restart();
            settle(&mut sim);
            spec(&mut sim);
            let files = file(&sim, "s-e-c", &[("d", json!({"resource": {}}))]);
            sim.declare(&files);
            sim.run_for(20 * MINUTES);
            assert_eq!(spec(&mut sim)["name"], "d", "{at} {after}");
        }
    }
}

#[test]
fn a_name_that_is_taken_is_not_taken_over_without_consent() {
    let mut sim = Sim::new(1);
    let path = path(&sim);
    let theirs = json!({"application_credential": {"name": "c", "secret": "their-secret"}});
    let theirs = sim.by_hand("POST", &path, theirs)["application_credential"].take();
    // Nothing differs that Keystone tells; but it does not tell the secret.
    let files = file(&sim, "our-secret", &[("c", json!({"resource": {}}))]);
    sim.declare(&files);
    sim.run_for(5 * MINUTES);
    assert_eq!(reason(&sim, "c"), "NotOurs");
    assert!(message(&sim, "c", "Progressing").contains("differs in secretRef"));
    for consent in [json!({"byName": true}), json!({"id": theirs["id"]})] {
        let spec = json!({"resource": {}, "adopt": consent});
        let files = file(&sim, "our-secret", &[("c", spec)]);
        sim.declare(&files);
        settle(&mut sim);
        assert_eq!(id(&sim, "c"), text(&theirs["id"]));
    }
    let files = file(&sim, "our-secret", &[("d", json!({"resource": {}}))]);
    sim.declare(&files);
    sim.run_for(20 * MINUTES);
    assert!(
        logs_in(&mut sim, &text(&theirs["id"]), "their-secret"),
        "it stays"
    );
}

#[test]
fn imports_choose_by_filter_and_by_id() {
    let mut sim = Sim::new(1);
    let path = path(&sim);
    let mut make = |name: &str| {
        let body = json!({"application_credential": {"name": name, "description": "theirs"}});
        text(&sim.by_hand("POST", &path, body)["application_credential"]["id"])
    };
    let (one, other) = (make("one"), make("other"));
    let me = json!({"id": sim.user()});
    let import = |import: Value| json!({"managementPolicy": "unmanaged", "import": import});
    let by = |filter: Value| import(json!({ "filter": filter }));
    let objects = [
        ("by-name", by(json!({"userRef": me, "name": "one"}))),
        ("by-id", import(json!({"id": other}))),
        (
            "several",
            by(json!({"userRef": me, "description": "theirs"})),
        ),
        ("none", by(json!({"userRef": me, "name": "three"}))),
    ];
    let files = file(&sim, "x", &objects);
    sim.declare(&files);
    sim.run_for(2 * MINUTES);
    assert_eq!(id(&sim, "by-name"), one);
    assert_eq!(id(&sim, "by-id"), other);
    assert_eq!(reason(&sim, "several"), "Ambiguous");
    let words = message(&sim, "several", "Progressing");
    assert!(words.contains(&one) && words.contains(&other), "{words}");
    assert_eq!(reason(&sim, "none"), "External");
    assert_eq!(sim.writes(), [] as [&String; 0]);
}

#[test]
fn another_user_is_refused_before_anything_is_sent() {
    // Not even an administrator makes one for somebody else, and nobody's list shows it.
    let mut sim = Sim::of_admin(1);
    let users = sim.items("User");
    let demo = users.iter().find(|it| it["name"] == "demo").unwrap()["id"].clone();
    let filter = json!({"userRef": {"id": demo}, "name": "x"});
    let objects = [
        ("theirs", json!({"resource": {"userRef": {"id": demo}}})),
        (
            "seen",
            json!({"managementPolicy": "unmanaged", "import": {"filter": filter}}),
        ),
        ("mine", json!({"resource": {}})),
    ];
    let files = file(&sim, "x", &objects);
    sim.declare(&files);
    sim.run_for(2 * MINUTES);
    for name in ["theirs", "seen"] {
        assert_eq!(reason(&sim, name), "Invalid", "{name}");
        let words = message(&sim, name, "Progressing");
        let says = format!("userRef is user {}", text(&demo));
        assert!(
            words.contains(&says) && words.contains(sim.user()),
            "{words}"
        );
    }
    assert!(!id(&sim, "mine").is_empty());
    assert_eq!(sim.writes().len(), 1, "{:?}", sim.writes());
}

#[test]
fn references_give_the_user_the_roles_and_the_type_of_a_service() {
    let mut sim = Sim::of_admin(1);
    let import = |kind: &str, filter: Value| {
        json!({"apiVersion": "openstack.k-orc.cloud/v1alpha1", "kind": kind,
            "metadata": {"name": "it"}, "spec": {"managementPolicy": "unmanaged",
            "cloudCredentialsRef": {"secretName": "clouds", "cloudName": "c"},
            "import": {"filter": filter}}})
    };
    let clouds = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "clouds"},
        "stringData": {"clouds.yaml": "clouds: {c: {}}"}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pw"},
        "stringData": {"value": "s-e-c"}});
    let credential = json!({"apiVersion": "openstack.k-orc.cloud/v1alpha1", "kind": KIND,
        "metadata": {"name": "c"},
        "spec": {"cloudCredentialsRef": {"secretName": "clouds", "cloudName": "c"},
            "resource": {"userRef": "it", "secretRef": "pw", "roleRefs": ["it"],
                "accessRules": [{"path": "/v3/volumes", "method": "GET", "serviceRef": "it"}]}}});
    let mut documents = vec![
        clouds,
        import("User", json!({"name": "admin"})),
        import("Role", json!({"name": "admin"})),
        import("Service", json!({"type": "block-storage"})),
        credential,
    ];
    let declare = |sim: &mut Sim, documents: &[Value]| {
        let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
        sim.declare(&[("orc.yaml".to_owned(), texts.join("\n---\n"))]);
    };
    declare(&mut sim, &documents);
    sim.run_for(2 * MINUTES);
    let words = message(&sim, "c", "Progressing");
    assert_eq!(words, "Waiting for Secret/pw to be created");
    documents.push(secret);
    declare(&mut sim, &documents);
    settle(&mut sim);
    let rules = json!([{"path": "/v3/volumes", "method": "GET", "service": "block-storage"}]);
    assert_eq!(spec(&mut sim)["accessRules"], rules);
    // Of the roles that come with it, one was asked for.
    assert_eq!(spec(&mut sim)["roleRefs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn one_that_has_expired_is_there_and_does_not_serve() {
    let mut sim = Sim::new(1);
    let ends = |at: &str| json!({"resource": {"expiresAt": at}, "lifecycle": {"replace": "Allow"}});
    let files = file(&sim, "s-e-c", &[("c", ends("2026-01-01T00:10:00Z"))]);
    sim.declare(&files);
    settle(&mut sim);
    let was = id(&sim, "c");
    assert!(logs_in(&mut sim, &was, "s-e-c"));
    sim.run_for(15 * MINUTES);
    assert!(!logs_in(&mut sim, &was, "s-e-c"));
    let available = message(&sim, "c", "Available");
    assert!(available.contains("expired"), "{available}");
    assert_eq!(sim.writes().len(), 1, "nothing is made anew by itself");
    // The manifest has to ask for a later end.
    let files = file(&sim, "s-e-c", &[("c", ends("2027-01-01T00:00:00Z"))]);
    sim.declare(&files);
    settle(&mut sim);
    let now = id(&sim, "c");
    assert_ne!(now, was);
    assert!(logs_in(&mut sim, &now, "s-e-c"));
}

#[test]
fn detached_it_stays() {
    let (mut sim, resource) = converged();
    let detach = json!({"resource": resource, "managedOptions": {"onDelete": "detach"}});
    let files = file(&sim, "first-secret", &[("c", detach)]);
    sim.declare(&files);
    settle(&mut sim);
    let made = id(&sim, "c");
    let files = file(&sim, "first-secret", &[("d", json!({"resource": {}}))]);
    sim.declare(&files);
    sim.run_for(20 * MINUTES);
    assert!(logs_in(&mut sim, &made, "first-secret"));
}
