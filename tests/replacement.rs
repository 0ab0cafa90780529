//! Replacement in both orders, on the pure engine beside the sandbox's pure core: what makes room for
//! what, what follows to the new id, and what is left when it fails or the daemon dies in between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "how much was tried is printed")]

mod sim;

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Rule};

const MINUTE: Duration = Duration::from_secs(60);

type Files = Vec<(String, String)>;

fn object(kind: &str, name: &str, lifecycle: &Value, resource: &Value) -> (String, String) {
    let manifest = json!({
        "apiVersion": "stackward.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": {"lifecycle": lifecycle, "resource": resource},
    });
    (format!("{kind}-{name}.json"), manifest.to_string())
}

fn settle(sim: &mut Sim, files: &[(String, String)]) {
    sim.declare(files);
    sim.run_until_rest(30 * MINUTE);
}

fn converge(sim: &mut Sim, files: &[(String, String)]) {
    settle(sim, files);
    sim.assert_converged();
}

fn named(sim: &mut Sim, kind: &str, name: &str) -> Vec<Value> {
    let mut items = sim.items(kind);
    items.retain(|it| it["name"].as_str().is_some_and(|it| it.starts_with(name)));
    items
}

fn only(sim: &mut Sim, kind: &str, name: &str) -> Value {
    let items = named(sim, kind, name);
    assert_eq!(items.len(), 1, "{items:#?}");
    items[0].clone()
}

fn id(item: &Value) -> String {
    item["id"].as_str().unwrap().to_owned()
}

/// The code and the words of what an object waits for or is blocked by.
fn reason(sim: &Sim, kind: &str, name: &str) -> (String, String) {
    let object = &sim.engine.snapshot().objects[&Key::new(kind, "default", name)];
    let words = object.status.condition("Progressing").unwrap();
    (object.reason.to_owned(), words.message.clone())
}

fn is_available(sim: &Sim, kind: &str, name: &str) -> bool {
    sim.engine.snapshot().objects[&Key::new(kind, "default", name)]
        .status
        .is_available()
}

fn group(order: &str, policy: &str) -> (String, String) {
    object(
        "ServerGroup",
        "g",
        &json!({"replace": order}),
        &json!({"policy": policy}),
    )
}

#[test]
fn the_new_one_is_there_before_the_old_one_goes() {
    let mut sim = Sim::new(1);
    converge(&mut sim, &[group("CreateFirst", "affinity")]);
    let before = id(&only(&mut sim, "ServerGroup", "g "));
    sim.trace.clear();
    converge(&mut sim, &[group("CreateFirst", "soft-affinity")]);
    let after = only(&mut sim, "ServerGroup", "g ");
    assert_ne!(id(&after), before);
    assert_eq!(after["policy"], "soft-affinity");
    let writes = sim.writes();
    assert_eq!(writes.len(), 2, "{writes:#?}");
    assert!(writes[0].contains(": create ") && writes[1].contains(": delete "));
    assert!(writes[1].contains(&before));
    // As often as it is asked for: the incarnations go round.
    for policy in ["anti-affinity", "affinity", "soft-affinity", "affinity"] {
        converge(&mut sim, &[group("CreateFirst", policy)]);
        assert_eq!(only(&mut sim, "ServerGroup", "g ")["policy"], policy);
    }
    // It is known by its marker alone, whatever its incarnation, and deleted by it.
    let writes = sim.writes().len();
    sim.lose_disk();
    sim.run_until_rest(5 * MINUTE);
    sim.assert_converged();
    assert_eq!(sim.writes().len(), writes);
    sim.settings.prune_allow_empty = true;
    sim.restart();
    settle(&mut sim, &[]);
    sim.run_for(10 * MINUTE);
    assert!(named(&mut sim, "ServerGroup", "g ").is_empty());
    assert!(sim.disk.records.is_empty(), "{:?}", sim.disk.records);
}
