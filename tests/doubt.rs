//! What is seen is doubted: lists that lag, leave out, or cannot be understood; answers that say
//! nothing; one reading of the directory; several that claim to be ours.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sim;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sim::{Fault, Sim, View, assemble};
use stackward::engine::Event;
use stackward::engine::guard::Control;
use stackward::engine::looked::Looked;
use stackward::engine::scope::Scope;
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Omission, Rule};

const MINUTE: Duration = Duration::from_secs(60);
const LIST: &str = "/v2.0/security-groups";

type File = (String, String);

/// Security groups are quick to make, hold no data and refer to nothing.
fn group(name: &str, resource: &Value) -> File {
    let manifest = json!({
        "apiVersion": "stackward.dev/v1alpha1", "kind": "SecurityGroup",
        "metadata": {"name": name}, "spec": {"resource": resource},
    });
    (format!("{name}.json"), manifest.to_string())
}

fn groups(count: usize) -> Vec<File> {
    (0..count)
        .map(|number| group(&format!("g{number}"), &json!({})))
        .collect()
}

fn key(name: &str) -> Key {
    Key::new("SecurityGroup", "default", name)
}

fn made(count: usize) -> Sim {
    let mut sim = Sim::new(1);
    sim.declare(&groups(count));
    settle(&mut sim);
    sim
}

fn settle(sim: &mut Sim) {
    assert!(sim.run_until_rest(30 * MINUTE), "{:?}", sim.complaints());
    sim.assert_converged();
}

/// The groups that are there; the cloud's own is not counted.
fn there(sim: &mut Sim) -> Vec<Value> {
    let mut items = sim.items("SecurityGroup");
    items.retain(|item| item["name"] != "default");
    items
}

fn reason(sim: &Sim, name: &str) -> &'static str {
    sim.engine.snapshot().objects[&key(name)].reason
}

/// Lists show from now on what is there now, whatever happens.
fn lists_lag(sim: &mut Sim) {
    sim.world
        .add_fault(Rule::new("network", Effect::Stale).on("GET", LIST));
}

fn on_create(effect: Effect) -> Rule {
    Rule::new("network", effect).on("POST", LIST)
}

fn refused() -> Effect {
    Effect::Answer {
        status: 400,
        body: json!({"NeutronError": {"type": "BadRequest", "message": "no", "detail": ""}}),
        headers: Vec::new(),
    }
}

#[test]
fn a_look_that_is_asked_for_makes_nothing_twice() {
    let mut sim = Sim::new(1);
    lists_lag(&mut sim);
    sim.world.add_fault(on_create(Effect::DoAndDrop).times(1));
    sim.declare(&groups(1));
    for _ in 0..90 {
        sim.run_for(Duration::from_secs(1));
        sim.feed(Event::Control(Control::Reconcile(key("g0"))));
    }
    assert_eq!(sim.writes().len(), 1, "{:?}", sim.writes());
    sim.world.clear_faults();
    settle(&mut sim);
    assert_eq!(there(&mut sim).len(), 1);
}

#[test]
fn a_create_whose_answer_says_nothing_is_looked_for_also_in_lists_that_lag() {
    let says_nothing = |status| Effect::DoAndAnswer {
        status,
        body: Value::Null,
    };
    for effect in [Effect::DoAndDrop, says_nothing(503), says_nothing(201)] {
        let mut sim = Sim::new(1);
        lists_lag(&mut sim);
        sim.world.add_fault(on_create(effect.clone()).times(1));
        sim.declare(&groups(1));
        sim.run_for(90 * Duration::from_secs(1));
        sim.world.clear_faults();
        settle(&mut sim);
        assert_eq!(there(&mut sim).len(), 1, "{effect:?}");
    }
}

#[test]
fn a_create_during_which_the_daemon_died_is_looked_for_also_in_lists_that_lag() {
    let mut sim = Sim::new(1);
    lists_lag(&mut sim);
    sim.weather.requests.insert(0, Fault::CrashAfter);
    sim.declare(&groups(1));
    sim.run_until_rest(MINUTE);
    assert!(sim.crashed);
    sim.weather.requests.clear();
    sim.restart();
    sim.run_for(Duration::from_secs(90));
    sim.world.clear_faults();
    settle(&mut sim);
    assert_eq!(there(&mut sim).len(), 1);
}

#[test]
fn a_create_that_was_under_way_long_ago_is_looked_for_without_a_busy_loop() {
    let mut sim = Sim::new(1);
    sim.weather.requests.insert(0, Fault::CrashBefore);
    sim.declare(&groups(1));
    sim.run_until_rest(MINUTE);
    assert!(sim.crashed);
    sim.weather.requests.clear();
    sim.now = sim.now.checked_add(60 * MINUTE).unwrap();
    sim.restart();
    // The clock of the simulation stands still as long as an alarm is for the past.
    let began = sim.now;
    for _ in 0..200 {
        sim.run_for(Duration::from_secs(1));
    }
    assert!(sim.now > began);
    settle(&mut sim);
    assert_eq!(there(&mut sim).len(), 1);
}

#[test]
fn what_a_try_that_was_given_up_has_made_is_ours_when_it_shows_at_last() {
    let mut sim = Sim::new(1);
    lists_lag(&mut sim);
    sim.world.add_fault(on_create(Effect::DoAndDrop).times(1));
    sim.world.add_fault(on_create(refused()));
    sim.declare(&groups(1));
    sim.run_for(20 * MINUTE);
    assert!(
        !sim.disk.records[&key("g0")].given_up.is_empty(),
        "{:?}",
        sim.complaints()
    );
    sim.world.clear_faults();
    settle(&mut sim);
    assert_eq!(sim.engine.snapshot().paused, None);
    assert_eq!(there(&mut sim).len(), 1);
}

#[test]
fn what_one_list_leaves_out_is_neither_gone_nor_made_again() {
    let mut sim = made(2);
    let id = there(&mut sim)[0]["id"].as_str().unwrap().to_owned();
    let without = Omission {
        ids: vec![id],
        ..Omission::default()
    };
    sim.world
        .add_fault(Rule::new("network", Effect::Omit(without)).on("GET", LIST));
    let writes = sim.writes().len();
    sim.run_for(20 * MINUTE);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
    sim.world.clear_faults();
    settle(&mut sim);
    assert_eq!(there(&mut sim).len(), 2);
}

#[test]
fn one_read_that_finds_nothing_is_no_proof_either() {
    let mut sim = made(2);
    let id = there(&mut sim)[0]["id"].as_str().unwrap().to_owned();
    let without = Omission {
        ids: vec![id],
        ..Omission::default()
    };
    let not_found = Effect::Answer {
        status: 404,
        body: Value::Null,
        headers: Vec::new(),
    };
    let one = format!("{LIST}/*");
    sim.world
        .add_fault(Rule::new("network", Effect::Omit(without)).on("GET", LIST));
    sim.world
        .add_fault(Rule::new("network", not_found).on("GET", &one).times(1));
    let writes = sim.writes().len();
    sim.run_for(20 * MINUTE);
    sim.world.clear_faults();
    settle(&mut sim);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
}

/// Declares one text and then another, and the first again just when a list from before shows that one
/// still. Says what the object waits for.
fn old_list(kind: &'static str, resource: &Value) -> &'static str {
    let file = |text: &str| {
        let mut resource = resource.clone();
        resource["description"] = json!(text);
        let manifest = json!({
            "apiVersion": "stackward.dev/v1alpha1", "kind": kind,
            "metadata": {"name": "it"}, "spec": {"resource": resource},
        });
        [("it.json".to_owned(), manifest.to_string())]
    };
    let text = |sim: &mut Sim| {
        let items = sim.items(kind);
        let mut named = items.iter().filter(|item| item["name"] == "it");
        let text = named.next().unwrap()["description"].as_str().unwrap();
        text.split(' ').next().unwrap().to_owned()
    };
    let mut sim = Sim::new(1);
    sim.declare(&file("first"));
    settle(&mut sim);
    let (before, began) = (sim.items(kind), sim.now);
    sim.declare(&file("second"));
    sim.run_for(Duration::from_millis(60));
    assert_eq!(text(&mut sim), "second");
    sim.declare(&file("first"));
    sim.feed(Event::Listed {
        scope: Scope::new(sim::SCOPE),
        kind,
        started_at: began,
        result: Ok(Looked::of(kind, before)),
    });
    let reason = sim.engine.snapshot().objects[&Key::new(kind, "default", "it")].reason;
    settle(&mut sim);
    assert_eq!(text(&mut sim), "first");
    reason
}

#[test]
fn a_list_that_began_before_our_last_write_says_nothing() {
    assert_eq!(old_list("Volume", &json!({"size": 1})), "Settling");
    // The answer has told what is there now, so it is already being changed back.
    assert_eq!(old_list("SecurityGroup", &json!({})), "Doing");
}

/// While lists are answered like this nothing is made, and afterwards it is.
fn stands_not_for_absence(status: u16, body: Value) {
    let mut sim = Sim::new(1);
    let answer = Effect::Answer {
        status,
        body,
        headers: Vec::new(),
    };
    sim.world
        .add_fault(Rule::new("network", answer).on("GET", LIST));
    sim.declare(&groups(1));
    sim.run_for(10 * MINUTE);
    assert_eq!(sim.trace, [] as [String; 0]);
    assert_eq!(reason(&sim, "g0"), "LookFailed");
    sim.world.clear_faults();
    settle(&mut sim);
}

#[test]
fn a_list_that_fails_does_not_stand_for_absence() {
    for status in [404, 500, 503] {
        stands_not_for_absence(status, Value::Null);
    }
}

#[test]
fn a_list_with_items_that_are_not_understood_does_not_stand_for_absence() {
    stands_not_for_absence(200, json!({"security_groups": [{"id": 7}]}));
}

#[test]
fn what_was_replaced_is_not_in_force_again_in_lists_that_lag() {
    // A kind of which only lists tell what was made.
    let wanted = |policy: &str| {
        let manifest = json!({
            "apiVersion": "stackward.dev/v1alpha1", "kind": "ServerGroup",
            "metadata": {"name": "g0"},
            "spec": {"lifecycle": {"replace": "Allow"}, "resource": {"policy": policy}},
        });
        [("g0.json".to_owned(), manifest.to_string())]
    };
    let creates = |sim: &Sim| {
        let made = |line: &&String| line.contains(": create");
        sim.trace.iter().filter(made).count()
    };
    let mut sim = Sim::new(1);
    sim.weather.keeps = true;
    sim.declare(&wanted("affinity"));
    settle(&mut sim);
    sim.declare(&wanted("anti-affinity"));
    let end = sim.now + 30 * MINUTE;
    while creates(&sim) < 2 {
        assert!(sim.step(end), "{:?}", sim.complaints());
    }
    // As it was before the old one was deleted, and then before the new one was made.
    let looks_show = |sim: &mut Sim, back: usize, looks: usize| {
        let view = (View::Stale(back), looks);
        sim.weather.views.insert("ServerGroup", view);
    };
    looks_show(&mut sim, 2, 1);
    while !sim.weather.views.is_empty() {
        assert!(sim.step(end), "nobody looks");
    }
    looks_show(&mut sim, 1, 8);
    sim.run_for(30 * MINUTE);
    settle(&mut sim);
    assert_eq!(creates(&sim), 2, "{:#?}", sim.trace);
    assert_eq!(sim.items("ServerGroup").len(), 1);
}

#[test]
fn what_a_filter_let_through_is_looked_at_again() {
    let mut sim = Sim::new(1);
    let manifest = json!({
        "apiVersion": "stackward.dev/v1alpha1", "kind": "SecurityGroup",
        "metadata": {"name": "g0"}, "spec": {
            "managementPolicy": "unmanaged", "import": {"filter": {"name": "another"}}},
    });
    sim.declare(&[("g0.json".to_owned(), manifest.to_string())]);
    sim.run_for(MINUTE);
    assert_eq!(sim.items("SecurityGroup").len(), 1, "the cloud's own");
    assert_eq!(reason(&sim, "g0"), "External");
}

#[test]
fn of_several_that_claim_to_be_ours_none_is_touched() {
    let mut sim = made(1);
    let description = there(&mut sim)[0]["description"].clone();
    let twin = json!({"security_group": {"name": "g0", "description": description}});
    sim.by_hand("POST", "/network/v2.0/security-groups", twin);
    sim.run_for(MINUTE);
    let writes = sim.writes().len();
    sim.declare(&[group("g0", &json!({"description": "one"}))]);
    sim.run_for(10 * MINUTE);
    assert_eq!(reason(&sim, "g0"), "Ambiguous");
    sim.declare(&groups(0));
    sim.settings.prune_allow_empty = true;
    sim.feed(Event::Settings(sim.settings.clone()));
    sim.run_for(10 * MINUTE);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
    assert_eq!(there(&mut sim).len(), 2);
}

#[test]
fn what_has_lost_its_marker_by_the_last_look_is_not_deleted() {
    let mut sim = made(5);
    lists_lag(&mut sim);
    let items = there(&mut sim);
    let item = items.iter().find(|item| item["name"] == "g4").unwrap();
    let target = format!("/network{LIST}/{}", item["id"].as_str().unwrap());
    let taken = json!({"security_group": {"description": "mine now"}});
    sim.by_hand("PUT", &target, taken);
    sim.declare(&groups(4));
    // The grace, and some time for the look.
    sim.run_for(Duration::from_secs(90));
    assert!(
        sim.trace
            .iter()
            .any(|line| line.starts_with("SecurityGroup/default/g4: inspect")),
        "{:#?}",
        sim.trace
    );
    sim.world.clear_faults();
    assert_eq!(there(&mut sim).len(), 5);
}

#[test]
fn what_was_protected_stays_when_its_manifest_is_gone() {
    let mut sim = Sim::new(1);
    let mut files = groups(2);
    files[1].1 = files[1].1.replace(
        r#""metadata":{"name":"g1"}"#,
        r#""metadata":{"name":"g1","annotations":{"stackward.dev/protect":"true"}}"#,
    );
    sim.declare(&files);
    settle(&mut sim);
    sim.declare(&groups(1));
    sim.restart();
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim).len(), 2);
    assert_eq!(reason(&sim, "g1"), "Protected");
}

#[test]
fn a_file_that_cannot_be_read_may_declare_what_it_did() {
    let mut sim = made(5);
    let mut files = groups(5);
    files[4].1.truncate(20);
    sim.declare(&files);
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim).len(), 5);
    // A process that never read it in its right form does not even know that it was there.
    sim.desired = assemble(&files, None, &BTreeMap::new()).into();
    sim.restart();
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim).len(), 5);
    assert_eq!(reason(&sim, "g4"), "Manifests");
}

#[test]
fn while_a_request_is_under_way_no_other_is_sent_for_its_object() {
    let mut sim = made(1);
    let sent = sim.writes().len();
    // Each reading of the directory is an occasion to look at it again.
    sim.declare(&[group("g0", &json!({"description": "one"}))]);
    settle(&mut sim);
    assert_eq!(sim.writes().len(), sent + 1, "{:#?}", sim.writes());
}

#[test]
fn one_reading_of_the_directory_deletes_nothing() {
    let mut sim = made(5);
    let fewer = Arc::new(assemble(&groups(4), Some(&sim.desired), &BTreeMap::new()));
    sim.feed(Event::Desired(Arc::clone(&fewer)));
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim).len(), 5);
    assert_eq!(reason(&sim, "g4"), "Manifests");
    sim.feed(Event::Desired(fewer));
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim).len(), 4);
}
