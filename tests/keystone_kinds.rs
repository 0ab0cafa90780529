//! Keystone's kinds through their whole life, on the pure engine beside the sandbox's pure core,
//! with an administrator's rights.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod sim;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::kinds::erased::Found;
use stackward::kinds::{Attached, find};
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Request, Rule};

const MINUTES: Duration = Duration::from_secs(60);
const KINDS: [&str; 8] = [
    "Domain",
    "Project",
    "Group",
    "User",
    "Role",
    "RoleAssignment",
    "Service",
    "Endpoint",
];

/// The set: kind, name and spec of each object.
fn objects() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "Domain",
            "d",
            json!({"description": "one", "enabled": true}),
        ),
        (
            "Project",
            "p",
            json!({"domainRef": "d", "description": "one", "enabled": true, "tags": ["a", "b"]}),
        ),
        ("Project", "q", json!({"domainRef": "d"})),
        (
            "Group",
            "g",
            json!({"domainRef": "d", "description": "one"}),
        ),
        (
            "User",
            "u",
            json!({"domainRef": "d", "description": "one", "enabled": true,
                "defaultProjectRef": "p", "passwordRef": "pw"}),
        ),
        ("Role", "r", json!({"description": "one"})),
        (
            "RoleAssignment",
            "of-user",
            json!({"roleRef": "r", "userRef": "u", "projectRef": "p"}),
        ),
        (
            "RoleAssignment",
            "of-group",
            json!({"roleRef": "r", "groupRef": "g", "domainRef": "d"}),
        ),
        (
            "Service",
            "s",
            json!({"type": "dns", "description": "one", "enabled": true}),
        ),
        (
            "Endpoint",
            "e",
            json!({"serviceRef": "s", "interface": "public", "url": "https://dns.cloud",
                "region": "RegionOne", "description": "one", "enabled": true}),
        ),
    ]
}

fn file(objects: &[(&str, &str, Value)], password: &str) -> (String, String) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pw"},
        "stringData": {"password": password}});
    let mut documents = vec![secret.to_string()];
    documents.extend(objects.iter().map(|(kind, name, resource)| {
        json!({"apiVersion": "stackward.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": {"resource": resource}})
        .to_string()
    }));
    ("keystone.yaml".to_owned(), documents.join("\n---\n"))
}

fn settle(sim: &mut Sim) {
    assert!(
        sim.run_until_rest(10 * MINUTES),
        "{}",
        sim.complaints().join("\n")
    );
    sim.assert_converged();
}

fn converged() -> Sim {
    let mut sim = Sim::of_admin(1);
    sim.declare(&[file(&objects(), "first-secret")]);
    settle(&mut sim);
    sim
}

fn key(kind: &str, name: &str) -> Key {
    Key::new(kind, "default", name)
}

fn id(sim: &Sim, kind: &str, name: &str) -> String {
    let status = &sim.engine.snapshot().objects[&key(kind, name)].status;
    status.id.clone().unwrap()
}

fn reason(sim: &Sim, kind: &str, name: &str) -> String {
    sim.engine.snapshot().objects[&key(kind, name)]
        .reason
        .to_string()
}

fn found(sim: &mut Sim, kind: &str, id: &str) -> Option<Found> {
    let items = sim.items(kind).into_iter();
    let mut all = items.map(|item| find(kind).unwrap().look(item).unwrap());
    all.find(|found| found.id == id)
}

/// The spec that would have made what is in the cloud.
fn spec(sim: &mut Sim, kind: &str, id: &str) -> Value {
    let found = found(sim, kind, id).unwrap_or_else(|| panic!("{kind} {id} is not there"));
    find(kind).unwrap().project(&found, &Attached::default())
}

/// Each field that can be changed in place, with another value and Keystone's word for it.
fn changes() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    vec![
        ("Domain", "name", "name", json!("renamed")),
        ("Domain", "description", "description", json!("")),
        ("Domain", "enabled", "enabled", json!(false)),
        ("Project", "name", "name", json!("renamed")),
        ("Project", "description", "description", json!("two")),
        ("Project", "enabled", "enabled", json!(false)),
        ("Project", "tags", "tags", json!(["c"])),
        ("Group", "name", "name", json!("renamed")),
        ("Group", "description", "description", json!("two")),
        ("User", "name", "name", json!("renamed")),
        ("User", "description", "description", json!("two")),
        ("User", "enabled", "enabled", json!(false)),
        (
            "User",
            "defaultProjectRef",
            "default_project_id",
            json!("q"),
        ),
        ("Role", "name", "name", json!("renamed")),
        ("Role", "description", "description", json!("")),
        ("Service", "name", "name", json!("renamed")),
        ("Service", "type", "type", json!("other")),
        ("Service", "description", "description", json!("two")),
        ("Service", "enabled", "enabled", json!(false)),
        ("Endpoint", "interface", "interface", json!("admin")),
        ("Endpoint", "url", "url", json!("https://other.cloud")),
        ("Endpoint", "description", "description", json!("two")),
        ("Endpoint", "enabled", "enabled", json!(false)),
    ]
}

fn collection(kind: &str) -> &'static str {
    find(kind).unwrap().list().path
}

fn logs_in(sim: &mut Sim, domain: &str, user: &str, password: &str) -> bool {
    let user = json!({"name": user, "domain": {"name": domain}, "password": password});
    let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}});
    let now = sim.now;
    let answer = sim
        .world
        .handle(&Request::post("/identity/v3/auth/tokens", body), now);
    answer.status == 201
}

#[test]
fn one_of_each_converges_and_a_second_pass_only_reads() {
    let mut sim = converged();
    assert!(logs_in(&mut sim, "d", "u", "first-secret"));
    let writes = sim.writes().len();
    sim.run_for(5 * MINUTES);
    sim.restart();
    settle(&mut sim);
    sim.run_for(5 * MINUTES);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
}

#[test]
fn a_lost_journal_writes_nothing() {
    let mut sim = converged();
    let writes = sim.writes().len();
    sim.lose_disk();
    settle(&mut sim);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
}

#[test]
fn every_field_is_changed_in_place_and_changed_back() {
    let mut sim = converged();
    for (kind, field, _, other) in changes() {
        let mut wanted = objects();
        let place = wanted.iter().position(|it| it.0 == kind).unwrap();
        let id_before = id(&sim, kind, wanted[place].1);
        let before = spec(&mut sim, kind, &id_before);
        wanted[place].2[field] = other.clone();
        sim.declare(&[file(&wanted, "first-secret")]);
        settle(&mut sim);
        let changed = spec(&mut sim, kind, &id_before);
        if field == "defaultProjectRef" {
            assert_eq!(changed[field]["id"], json!(id(&sim, "Project", "q")));
        } else {
            assert_eq!(changed[field], other, "{kind}.{field}");
        }
        sim.declare(&[file(&objects(), "first-secret")]);
        settle(&mut sim);
        assert_eq!(
            spec(&mut sim, kind, &id_before),
            before,
            "{kind}.{field} and back"
        );
    }
}

#[test]
fn every_field_that_somebody_else_changes_is_put_right() {
    let mut sim = converged();
    for (kind, field, property, other) in changes() {
        let name = objects().iter().find(|it| it.0 == kind).unwrap().1;
        let id_before = id(&sim, kind, name);
        let before = spec(&mut sim, kind, &id_before);
        let collection = collection(kind);
        let one = collection.trim_end_matches('s');
        let other = match field {
            "defaultProjectRef" => json!(id(&sim, "Project", "q")),
            _ => other,
        };
        sim.by_hand(
            "PATCH",
            &format!("/identity/v3/{collection}/{id_before}"),
            json!({one: {property: other}}),
        );
        assert_ne!(
            spec(&mut sim, kind, &id_before),
            before,
            "{kind}.{field} was changed"
        );
        sim.run_for(2 * MINUTES);
        settle(&mut sim);
        assert_eq!(spec(&mut sim, kind, &id_before), before, "{kind}.{field}");
    }
}

#[test]
fn what_cannot_be_changed_waits_for_a_person() {
    let mut sim = converged();
    for (name, kind, field, other) in [
        ("p", "Project", "domainRef", json!({"id": "default"})),
        ("g", "Group", "domainRef", json!({"id": "default"})),
        ("u", "User", "domainRef", json!({"id": "default"})),
        ("e", "Endpoint", "region", json!("RegionTwo")),
        ("of-user", "RoleAssignment", "projectRef", json!("q")),
    ] {
        let mut wanted = objects();
        let place = wanted
            .iter()
            .position(|it| (it.0, it.1) == (kind, name))
            .unwrap();
        wanted[place].2[field] = other;
        let writes = sim.writes().len();
        sim.declare(&[file(&wanted, "first-secret")]);
        sim.run_for(2 * MINUTES);
        assert_eq!(reason(&sim, kind, name), "Immutable", "{kind}.{field}");
        assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
        sim.declare(&[file(&objects(), "first-secret")]);
        settle(&mut sim);
    }
}

#[test]
fn a_changed_secret_is_the_new_password_and_shows_nowhere() {
    let mut sim = converged();
    sim.declare(&[file(&objects(), "second-secret")]);
    settle(&mut sim);
    assert!(logs_in(&mut sim, "d", "u", "second-secret"));
    assert!(!logs_in(&mut sim, "d", "u", "first-secret"));
    let writes = sim.writes().len();
    sim.run_for(5 * MINUTES);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
    let user = sim.items("User");
    let shown = format!(
        "{:?} {} {:?} {user:?}",
        sim.disk,
        serde_json::to_string(&sim.engine.snapshot()).unwrap(),
        sim.trace
    );
    assert!(!shown.contains("-secret"), "{shown}");
}

#[test]
fn what_is_deleted_behind_our_back_is_made_again() {
    let mut sim = converged();
    // From the leaves on; the whole domain, with all that is in it, at last.
    for (kind, name) in [
        ("Endpoint", "e"),
        ("Service", "s"),
        ("RoleAssignment", "of-group"),
        ("RoleAssignment", "of-user"),
        ("Role", "r"),
        ("User", "u"),
        ("Group", "g"),
        ("Project", "q"),
        ("Domain", "d"),
    ] {
        let before = id(&sim, kind, name);
        if kind == "Domain" {
            let target = format!("/identity/v3/domains/{before}");
            sim.by_hand("PATCH", &target, json!({"domain": {"enabled": false}}));
        }
        let path = match kind {
            "RoleAssignment" => before.clone(),
            _ => format!("{}/{before}", collection(kind)),
        };
        sim.by_hand("DELETE", &format!("/identity/v3/{path}"), Value::Null);
        sim.run_for(5 * MINUTES);
        settle(&mut sim);
        let after = id(&sim, kind, name);
        assert!(found(&mut sim, kind, &after).is_some(), "{kind}");
        assert_eq!(after == before, kind == "RoleAssignment", "{kind}");
    }
}

#[test]
fn without_manifests_all_of_it_goes_leaves_first() {
    let mut sim = Sim::of_admin(1);
    let everything = |sim: &mut Sim| -> BTreeMap<&str, Vec<Value>> {
        KINDS.iter().map(|kind| (*kind, sim.items(kind))).collect()
    };
    let before = everything(&mut sim);
    sim.declare(&[file(&objects(), "first-secret")]);
    settle(&mut sim);
    for kind in KINDS {
        let new = objects().iter().filter(|it| it.0 == kind).count();
        assert_eq!(sim.items(kind).len(), before[kind].len() + new, "{kind}");
    }
    let trace = sim.trace.len();
    sim.declare(&[file(&[("Role", "stays", json!({}))], "first-secret")]);
    sim.run_for(20 * MINUTES);
    settle(&mut sim);
    let mut left = everything(&mut sim);
    let roles = left.get_mut("Role").unwrap();
    roles.retain(|role| role["name"] != "stays");
    assert_eq!(left, before, "and nothing of others was touched");
    let at = |what: &str| {
        let lines = sim.trace[trace..].iter();
        let mut found = lines.enumerate().filter(|(_, line)| line.starts_with(what));
        found.next_back().map(|(at, _)| at)
    };
    let deleted = |kind: &str, name: &str| {
        at(&format!("{}: delete", key(kind, name)))
            .unwrap_or_else(|| panic!("{kind} {name}: {:?}", &sim.trace[trace..]))
    };
    for (first, then) in [
        (("Endpoint", "e"), ("Service", "s")),
        (("RoleAssignment", "of-user"), ("User", "u")),
        (("RoleAssignment", "of-user"), ("Role", "r")),
        (("RoleAssignment", "of-group"), ("Group", "g")),
        (("User", "u"), ("Project", "p")),
        (("Project", "p"), ("Domain", "d")),
        (("Project", "q"), ("Domain", "d")),
        (("Group", "g"), ("Domain", "d")),
    ] {
        assert!(
            deleted(first.0, first.1) < deleted(then.0, then.1),
            "{first:?} before {then:?}"
        );
    }
    let disabled = at(&format!("{}: change enabled", key("Domain", "d")));
    assert!(disabled < Some(deleted("Domain", "d")));
}

#[test]
fn nothing_of_others_is_deleted_along_with_ours() {
    let mut sim = converged();
    let (domain, service) = (id(&sim, "Domain", "d"), id(&sim, "Service", "s"));
    let role = id(&sim, "Role", "r");
    let foreign = sim.by_hand(
        "POST",
        "/identity/v3/projects",
        json!({"project": {"name": "theirs", "domain_id": domain}}),
    );
    let endpoint = sim.by_hand(
        "POST",
        "/identity/v3/endpoints",
        json!({"endpoint": {"service_id": service, "interface": "admin", "url": "http://x"}}),
    );
    let admin = sim
        .items("User")
        .iter()
        .find(|user| user["name"] == "admin")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let project = sim.world.project_id("demo").unwrap().to_owned();
    let grant = format!("/identity/v3/projects/{project}/users/{admin}/roles/{role}");
    sim.by_hand("PUT", &grant, Value::Null);

    sim.declare(&[file(&[("Role", "stays", json!({}))], "first-secret")]);
    sim.run_for(20 * MINUTES);
    for (kind, name, whose) in [
        ("Domain", "d", "Project theirs"),
        ("Service", "s", "Endpoint "),
        ("Role", "r", "RoleAssignment "),
    ] {
        assert_eq!(reason(&sim, kind, name), "Refused", "{kind}");
        let status = &sim.engine.snapshot().objects[&key(kind, name)].status;
        let message = status.condition("Progressing").unwrap().message.clone();
        assert!(message.contains(whose), "{message}");
    }
    let theirs = foreign["project"]["id"].as_str().unwrap();
    assert_eq!(spec(&mut sim, "Domain", &domain)["enabled"], true);
    assert!(found(&mut sim, "Project", theirs).is_some());

    let endpoint = endpoint["endpoint"]["id"].as_str().unwrap();
    for target in [
        format!("/identity/v3/projects/{theirs}"),
        format!("/identity/v3/endpoints/{endpoint}"),
        grant,
    ] {
        sim.by_hand("DELETE", &target, Value::Null);
    }
    sim.run_for(5 * MINUTES);
    for (kind, id) in [("Domain", domain), ("Service", service), ("Role", role)] {
        assert!(found(&mut sim, kind, &id).is_none(), "{kind}");
    }
}

#[test]
fn a_create_whose_answer_is_lost_is_not_sent_twice() {
    for (kind, name, _) in objects() {
        let (method, path) = match kind {
            "RoleAssignment" => ("PUT", "/*/*/*/*/*/roles/*".to_owned()),
            _ => ("POST", format!("/*/{}", collection(kind))),
        };
        let mut sim = Sim::of_admin(1);
        let effect = Effect::DoAndAnswer {
            status: 504,
            body: Value::Null,
        };
        let rule = Rule::new("identity", effect);
        sim.world.add_fault(rule.on(method, &path).times(1));
        sim.declare(&[file(&objects(), "first-secret")]);
        settle(&mut sim);
        assert_eq!(sim.world.faults.fired(0), 1, "{kind}");
        let created = |line: &&String| line.contains(": create ");
        let creates: Vec<&String> = sim.trace.iter().filter(created).collect();
        assert_eq!(creates.len(), objects().len(), "{creates:?}");
        // It is known as ours: when its manifest goes, so does it.
        let id = id(&sim, kind, name);
        sim.declare(&[file(&[("Role", "stays", json!({}))], "first-secret")]);
        sim.run_for(20 * MINUTES);
        assert!(found(&mut sim, kind, &id).is_none(), "{kind}");
    }
}

#[test]
fn two_services_of_one_type_and_name_are_an_ambiguity() {
    let mut sim = Sim::of_admin(1);
    let body = json!({"service": {"type": "dns", "name": "s"}});
    let one = sim.by_hand("POST", "/identity/v3/services", body.clone());
    let other = sim.by_hand("POST", "/identity/v3/services", body);
    let wanted = [("Service", "s", json!({"type": "dns"}))];
    sim.declare(&[file(&wanted, "x")]);
    sim.run_for(2 * MINUTES);
    assert_eq!(reason(&sim, "Service", "s"), "Ambiguous");
    let message = sim.complaints().join("\n");
    for service in [&one, &other] {
        assert!(
            message.contains(service["service"]["id"].as_str().unwrap()),
            "{message}"
        );
    }
    assert_eq!(sim.writes(), [] as [&String; 0]);
    // Ended by a person.
    let id = one["service"]["id"].as_str().unwrap();
    sim.by_hand(
        "DELETE",
        &format!("/identity/v3/services/{id}"),
        Value::Null,
    );
    sim.run_for(2 * MINUTES);
    settle(&mut sim);
    assert_eq!(sim.writes(), [] as [&String; 0]);
}

#[test]
fn a_name_that_somebody_else_has_is_not_taken_over() {
    let mut sim = Sim::of_admin(1);
    let theirs = json!({"group": {"name": "g", "description": "theirs"}});
    sim.by_hand("POST", "/identity/v3/groups", theirs);
    let wanted = [("Group", "g", json!({"description": "ours"}))];
    sim.declare(&[file(&wanted, "x")]);
    sim.run_for(5 * MINUTES);
    assert_eq!(reason(&sim, "Group", "g"), "NotOurs");
    sim.declare(&[file(&[("Role", "stays", json!({}))], "x")]);
    sim.run_for(5 * MINUTES);
    assert_eq!(sim.items("Group")[0]["description"], "theirs");
}

#[test]
fn imports_choose_by_filter() {
    let mut sim = Sim::of_admin(1);
    let imported = |kind: &str, name: &str, filter: Value| {
        json!({"apiVersion": "stackward.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": {"managementPolicy": "unmanaged", "import": {"filter": filter}}})
        .to_string()
    };
    let documents = [
        imported("Domain", "default", json!({"name": "Default"})),
        imported(
            "Project",
            "demo",
            json!({"name": "demo", "domainRef": "default"}),
        ),
        imported(
            "User",
            "demo",
            json!({"name": "demo", "domainRef": "default"}),
        ),
        imported("Role", "member", json!({"name": "member"})),
        imported(
            "RoleAssignment",
            "demo",
            json!({"userRef": "demo", "projectRef": "demo", "roleRef": "member"}),
        ),
        imported("Service", "nova", json!({"type": "compute"})),
        imported(
            "Endpoint",
            "nova",
            json!({"serviceRef": "nova", "interface": "public"}),
        ),
    ];
    sim.declare(&[("imports.yaml".to_owned(), documents.join("\n---\n"))]);
    settle(&mut sim);
    assert_eq!(id(&sim, "Domain", "default"), "default");
    assert_eq!(
        Some(id(&sim, "Project", "demo").as_str()),
        sim.world.project_id("demo")
    );
    assert_eq!(sim.writes(), [] as [&String; 0]);
}

#[test]
fn who_is_no_administrator_is_told_so() {
    let mut sim = Sim::new(1);
    let wanted = [("Role", "r", json!({}))];
    sim.declare(&[file(&wanted, "x")]);
    sim.run_for(2 * MINUTES);
    assert_eq!(reason(&sim, "Role", "r"), "LookFailed");
    let message = sim.complaints().join("\n");
    assert!(message.contains("identity:list_roles"), "{message}");
    assert_eq!(sim.writes(), [] as [&String; 0]);
}
