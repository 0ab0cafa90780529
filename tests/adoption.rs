//! Taking over what exists, by consent: on the pure engine beside the sandbox's pure core.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sim;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::kinds::marker::Owner;
use stackward::manifest::Key;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBOCxGeLFIe4rb2+HG0HqsnyFM6Fp4bqUpX1w0cvoM+e";

type File = (String, String);

fn object(kind: &str, name: &str, spec: &Value) -> File {
    let manifest = json!({
        "apiVersion": "stackward.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": spec,
    });
    (format!("{kind}-{name}.json"), manifest.to_string())
}

fn network(name: &str, spec: &Value) -> File {
    object("Network", name, spec)
}

/// A network that somebody made; its id.
fn by_hand(sim: &mut Sim, name: &str) -> String {
    let body = json!({"network": {"name": name, "description": "by hand"}});
    let made = sim.by_hand("POST", "/network/v2.0/networks", body);
    made["network"]["id"].as_str().unwrap().to_owned()
}

fn settle(sim: &mut Sim, files: &[File]) {
    sim.declare(files);
    sim.run_until_rest(30 * MINUTE);
}

fn converge(sim: &mut Sim, files: &[File]) {
    settle(sim, files);
    sim.assert_converged();
}

fn item(sim: &mut Sim, kind: &str, id: &str) -> Value {
    let items = sim.items(kind);
    let found = items.into_iter().find(|it| it["id"] == id);
    found.unwrap_or(Value::Null)
}

/// The code and the words of what an object waits for or is blocked by.
fn reason(sim: &Sim, kind: &str, name: &str) -> (String, String) {
    let object = &sim.engine.snapshot().objects[&Key::new(kind, "default", name)];
    let words = object.status.condition("Progressing").unwrap();
    (object.reason.to_owned(), words.message.clone())
}

/// What it did by requests, a word for each.
fn verbs(sim: &Sim) -> Vec<&str> {
    let writes = sim.writes().into_iter();
    writes
        .map(|line| line.split(' ').nth(1).unwrap_or_default())
        .collect()
}

#[test]
fn the_marker_comes_first_and_then_what_differs() {
    let mut sim = Sim::new(1);
    let id = by_hand(&mut sim, "old");
    let files = [network(
        "net",
        &json!({"adopt": {"id": id}, "resource": {"name": "new", "description": "ours"}}),
    )];
    converge(&mut sim, &files);
    assert_eq!(verbs(&sim), ["adopt", "update"]);
    let there = item(&mut sim, "Network", &id);
    assert_eq!(there["name"], "new");
    let description = there["description"].as_str().unwrap();
    assert!(description.starts_with("ours [sw1."), "{description}");
    assert_eq!(
        sim.items("Network")
            .iter()
            .filter(|it| it["name"] == "new")
            .count(),
        1
    );

    // And from then on it is one of ours like any other, also when the disk is lost.
    sim.lose_disk();
    sim.run_until_rest(30 * MINUTE);
    sim.assert_converged();
    assert_eq!(verbs(&sim), ["adopt", "update"]);
    let rest = [network("other", &json!({"resource": {}}))];
    converge(&mut sim, &rest);
    sim.run_for(5 * MINUTE);
    assert_eq!(item(&mut sim, "Network", &id), Value::Null);
}

#[test]
fn one_of_that_name_is_adopted_none_is_made_and_several_are_named() {
    let mut sim = Sim::new(2);
    let id = by_hand(&mut sim, "one");
    let spec = |name: &str| json!({"adopt": {"byName": true}, "resource": {"name": name}});
    converge(
        &mut sim,
        &[network("a", &spec("one")), network("b", &spec("none"))],
    );
    let owners: BTreeMap<Key, Vec<String>> = sim.ours();
    assert_eq!(owners[&Key::new("Network", "default", "a")], [id]);
    assert_eq!(owners[&Key::new("Network", "default", "b")].len(), 1);

    let twins = [by_hand(&mut sim, "twin"), by_hand(&mut sim, "twin")];
    // Until it has looked again: what came since the last look is not known.
    sim.run_for(MINUTE);
    let before = sim.writes().len();
    settle(
        &mut sim,
        &[
            network("a", &spec("one")),
            network("b", &spec("none")),
            network("c", &spec("twin")),
        ],
    );
    let (code, words) = reason(&sim, "Network", "c");
    assert_eq!(code, "Ambiguous");
    for twin in &twins {
        assert!(words.contains(twin.as_str()), "{words}");
    }
    assert_eq!(sim.writes().len(), before);
}

#[test]
fn an_id_that_is_not_there_is_waited_for_and_nothing_is_made_in_its_place() {
    let mut sim = Sim::new(3);
    let before = sim.items("Network").len();
    let spec = json!({"adopt": {"id": "6a4c0a3e-0000-4000-8000-000000000000"}, "resource": {}});
    settle(&mut sim, &[network("net", &spec)]);
    sim.run_for(10 * MINUTE);
    let (code, words) = reason(&sim, "Network", "net");
    assert_eq!(code, "External", "{words}");
    assert!(words.contains("6a4c0a3e"), "{words}");
    assert_eq!(sim.items("Network").len(), before);
    assert_eq!(sim.writes().len(), 0);
}

#[test]
fn what_another_object_of_ours_has_is_not_taken_from_it() {
    let mut sim = Sim::new(4);
    converge(
        &mut sim,
        &[network("mine", &json!({"resource": {"name": "n"}}))],
    );
    let id = sim.ours()[&Key::new("Network", "default", "mine")][0].clone();
    let before = item(&mut sim, "Network", &id);
    settle(
        &mut sim,
        &[
            network("mine", &json!({"resource": {"name": "n"}})),
            network(
                "thief",
                &json!({"adopt": {"id": id}, "resource": {"name": "stolen"}}),
            ),
        ],
    );
    let (code, words) = reason(&sim, "Network", "thief");
    assert_eq!(code, "NotOurs", "{words}");
    assert!(words.contains(&id), "{words}");
    assert_eq!(item(&mut sim, "Network", &id), before);
}

#[test]
fn what_another_installation_has_is_not_taken_from_it() {
    let mut sim = Sim::new(5);
    converge(
        &mut sim,
        &[network("mine", &json!({"resource": {"name": "n"}}))],
    );
    let id = sim.ours()[&Key::new("Network", "default", "mine")][0].clone();
    let before = item(&mut sim, "Network", &id);
    // Another one, with the very same manifest and with consent of both sorts.
    sim.settings.owner = Owner(Uuid::from_u128(2));
    sim.desired = std::sync::Arc::default();
    sim.lose_disk();
    for adopt in [json!({"id": id}), json!({"byName": true})] {
        settle(
            &mut sim,
            &[network(
                "mine",
                &json!({"adopt": adopt, "resource": {"name": "n", "description": "x"}}),
            )],
        );
        assert_eq!(reason(&sim, "Network", "mine").0, "NotOurs");
        assert_eq!(item(&mut sim, "Network", &id), before);
    }
}

#[test]
fn of_two_objects_that_adopt_the_same_one_gets_it() {
    let mut sim = Sim::new(6);
    let id = by_hand(&mut sim, "n");
    let spec = json!({"adopt": {"id": id}, "resource": {"name": "n"}});
    settle(&mut sim, &[network("a", &spec), network("b", &spec)]);
    sim.run_for(10 * MINUTE);
    let ours = sim.ours();
    assert_eq!(ours.len(), 1, "{ours:?}");
    let loser = if ours.contains_key(&Key::new("Network", "default", "a")) {
        "b"
    } else {
        "a"
    };
    assert_eq!(reason(&sim, "Network", loser).0, "NotOurs");
    // Nobody fights: it ends.
    let before = sim.writes().len();
    sim.run_for(60 * MINUTE);
    assert_eq!(sim.writes().len(), before);
}

#[test]
fn what_is_of_another_project_is_not_adopted() {
    let mut sim = Sim::new(7);
    let id = by_hand(&mut sim, "n");
    // An administrator is shown the networks of all projects.
    sim.log_in("admin");
    let before = item(&mut sim, "Network", &id);
    assert_eq!(before["name"], "n");
    settle(
        &mut sim,
        &[
            network(
                "a",
                &json!({"adopt": {"id": id}, "resource": {"name": "m"}}),
            ),
            network(
                "b",
                &json!({"adopt": {"byName": true}, "resource": {"name": "n"}}),
            ),
        ],
    );
    let (code, words) = reason(&sim, "Network", "a");
    assert_eq!(code, "NotOurs");
    assert!(words.contains("another project"), "{words}");
    assert_eq!(item(&mut sim, "Network", &id), before);
    // That of the same name is not the one of this project: that has none, and it is made.
    let made = &sim.ours()[&Key::new("Network", "default", "b")];
    assert_ne!(made[0], id);
}

#[test]
fn an_import_becomes_managed_and_nothing_that_refers_to_it_notices() {
    let mut sim = Sim::new(8);
    let id = by_hand(&mut sim, "n");
    let subnet = object(
        "Subnet",
        "sub",
        &json!({"resource": {"networkRef": "net", "cidr": "10.9.0.0/24"}}),
    );
    let import = network("net", &json!({"import": {"id": id}}));
    converge(&mut sim, &[import, subnet.clone()]);
    assert_eq!(verbs(&sim), ["create"]);
    let managed = network(
        "net",
        &json!({"adopt": {"id": id}, "resource": {"name": "n"}}),
    );
    converge(&mut sim, &[managed, subnet]);
    assert_eq!(verbs(&sim), ["create", "adopt"]);
    let description = item(&mut sim, "Network", &id)["description"].clone();
    assert!(description.as_str().unwrap().starts_with("by hand ["));
}

#[test]
fn what_is_suspended_is_looked_at_until_that_line_is_removed() {
    let mut sim = Sim::new(9);
    let id = by_hand(&mut sim, "n");
    let spec = json!({"suspend": true, "adopt": {"id": id}, "resource": {"name": "m"}});
    settle(&mut sim, &[network("net", &spec)]);
    sim.run_for(10 * MINUTE);
    assert_eq!(sim.writes().len(), 0);
    let object = sim.engine.snapshot().objects[&Key::new("Network", "default", "net")].clone();
    assert_eq!(object.status.id.as_deref(), Some(id.as_str()));
    assert_eq!(object.status.resource.value()["name"], "n");
    let spec = json!({"adopt": {"id": id}, "resource": {"name": "m"}});
    converge(&mut sim, &[network("net", &spec)]);
    assert_eq!(verbs(&sim), ["adopt", "update"]);
}

#[test]
fn what_was_adopted_and_is_deleted_by_hand_is_made_anew_each_time() {
    let mut sim = Sim::new(10);
    let id = by_hand(&mut sim, "n");
    let files = [network(
        "net",
        &json!({"adopt": {"id": id}, "resource": {"name": "n"}}),
    )];
    converge(&mut sim, &files);
    let mut last = id;
    for _ in 0..2 {
        sim.by_hand(
            "DELETE",
            &format!("/network/v2.0/networks/{last}"),
            Value::Null,
        );
        sim.run_for(10 * MINUTE);
        sim.assert_converged();
        let now = sim.ours()[&Key::new("Network", "default", "net")].clone();
        assert_eq!(now.len(), 1);
        assert_ne!(now[0], last);
        last = now[0].clone();
    }
}

#[test]
fn a_marker_that_was_removed_by_hand_comes_back_as_long_as_the_consent_stands() {
    let mut sim = Sim::new(11);
    let id = by_hand(&mut sim, "n");
    let resource = json!({"name": "n", "description": "ours"});
    let with = [network(
        "net",
        &json!({"adopt": {"id": id}, "resource": resource}),
    )];
    let without = [network("net", &json!({"resource": resource}))];
    converge(&mut sim, &with);
    let wipe = json!({"network": {"description": "wiped"}});
    let path = format!("/network/v2.0/networks/{id}");
    sim.by_hand("PUT", &path, wipe.clone());
    sim.run_for(10 * MINUTE);
    sim.assert_converged();
    let description = item(&mut sim, "Network", &id)["description"].clone();
    assert!(
        description.as_str().unwrap().starts_with("ours ["),
        "{description}"
    );

    converge(&mut sim, &without);
    sim.by_hand("PUT", &path, wipe);
    sim.run_for(10 * MINUTE);
    let (code, words) = reason(&sim, "Network", "net");
    assert_eq!(code, "MarkerLost");
    assert!(words.contains(&format!("adopt: {{id: {id}}}")), "{words}");
    assert_eq!(item(&mut sim, "Network", &id)["description"], "wiped");
}

#[test]
fn a_keypair_has_no_place_for_a_marker_and_is_let_go_rather_than_deleted() {
    let mut sim = Sim::new(12);
    let body = json!({"keypair": {"name": "ops", "public_key": format!("{KEY} me@home")}});
    sim.by_hand("POST", "/compute/v2.1/os-keypairs", body);
    let spec = json!({"adopt": {"id": "ops"}, "resource": {"publicKey": KEY}});
    let rest = network("rest", &json!({"resource": {}}));
    converge(&mut sim, &[object("KeyPair", "ops", &spec), rest.clone()]);
    assert_eq!(verbs(&sim), ["create"]);
    converge(&mut sim, &[rest]);
    sim.run_for(30 * MINUTE);
    assert_eq!(sim.items("KeyPair").len(), 1);
    assert_eq!(verbs(&sim), ["create"]);
}

#[test]
fn what_has_no_marker_and_differs_needs_consent() {
    let mut sim = Sim::of_admin(13);
    let flavor = json!({"flavor": {"name": "f", "ram": 64, "vcpus": 1, "disk": 1}});
    sim.by_hand("POST", "/compute/v2.1/flavors", flavor);
    let resource =
        json!({"ram": 64, "vcpus": 1, "disk": 1, "extraSpecs": [{"name": "a", "value": "b"}]});
    settle(
        &mut sim,
        &[object("Flavor", "f", &json!({"resource": resource}))],
    );
    let (code, words) = reason(&sim, "Flavor", "f");
    assert_eq!(code, "NotOurs", "{words}");
    assert!(words.contains("adopt"), "{words}");
    assert_eq!(sim.writes().len(), 0);
    let spec = json!({"adopt": {"byName": true}, "resource": resource});
    converge(&mut sim, &[object("Flavor", "f", &spec)]);
    assert!(!sim.writes().is_empty());
    assert_eq!(
        sim.items("Flavor")
            .iter()
            .filter(|it| it["name"] == "f")
            .count(),
        1
    );
}

#[test]
fn a_server_group_cannot_be_adopted_and_the_manifest_says_what_to_do() {
    let spec = json!({"adopt": {"byName": true}, "resource": {"policy": "affinity"}});
    let desired = sim::assemble(&[object("ServerGroup", "g", &spec)], None, &BTreeMap::new());
    let words: Vec<String> = desired.problems.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(words[0].contains("cannot be adopted"), "{words:?}");
    assert!(
        desired.problems[0]
            .hint
            .as_ref()
            .unwrap()
            .contains("import")
    );
}

#[test]
fn an_image_is_adopted_without_a_word_of_where_its_data_came_from() {
    let mut sim = Sim::new(14);
    let id = sim.image_by_hand("i");
    let resource = json!({"name": "i", "tags": ["golden"], "content": {"diskFormat": "raw"}});
    let adopted = [object(
        "Image",
        "i",
        &json!({"adopt": {"id": id}, "resource": resource}),
    )];
    converge(&mut sim, &adopted);
    assert_eq!(verbs(&sim), ["adopt", "update"]);
    // Without the consent it is one that cannot be made.
    let alone = sim::assemble(
        &[object("Image", "i", &json!({"resource": resource}))],
        None,
        &BTreeMap::new(),
    );
    assert!(alone.problems[0].message.contains("download and file"));
    // Gone, it stays so, and says why.
    sim.by_hand("DELETE", &format!("/image/v2/images/{id}"), Value::Null);
    sim.run_for(10 * MINUTE);
    let (code, words) = reason(&sim, "Image", "i");
    assert_eq!(code, "Invalid");
    assert!(words.contains("cannot be made anew"), "{words}");
    assert_eq!(verbs(&sim), ["adopt", "update"]);
}
