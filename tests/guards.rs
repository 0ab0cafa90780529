//! The guards before a deletion (safety.md 3), each violated once, and the pause: what a person did
//! not mean is not deleted, and what was approved is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sim;

use std::time::Duration;

use serde_json::json;
use sim::Sim;
use stackward::engine::Event;
use stackward::engine::guard::{Control, Limits, Percent, Prune};
use stackward::engine::journal::Journal;
use stackward::engine::{Engine, Settings};
use stackward::kinds::marker::Marker;
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Omission, Rule};

const MINUTE: Duration = Duration::from_secs(60);

/// Security groups are quick to make, hold no data and refer to nothing.
fn groups(count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|number| group(&format!("g{number}")))
        .collect()
}

fn group(name: &str) -> (String, String) {
    let manifest = json!({
        "apiVersion": "stackward.dev/v1alpha1", "kind": "SecurityGroup",
        "metadata": {"name": name}, "spec": {"resource": {}},
    });
    (format!("{name}.json"), manifest.to_string())
}

fn key(name: &str) -> Key {
    Key::new("SecurityGroup", "default", name)
}

/// A daemon with the default limits that has made this many groups.
fn with_groups(count: usize, change: impl FnOnce(&mut Settings)) -> Sim {
    let mut sim = Sim::new(1);
    sim.settings.prune_limits = Settings::new(sim.settings.owner).prune_limits;
    change(&mut sim.settings);
    sim.feed(Event::Settings(sim.settings.clone()));
    sim.declare(&groups(count));
    assert!(sim.run_until_rest(30 * MINUTE), "{:?}", sim.complaints());
    sim.assert_converged();
    sim
}

/// The names of the groups that are there; the cloud's own is not counted.
fn there(sim: &mut Sim) -> usize {
    let items = sim.items("SecurityGroup");
    items
        .iter()
        .filter(|item| item["name"] != "default")
        .count()
}

fn reason(sim: &Sim, name: &str) -> &'static str {
    sim.engine.snapshot().objects[&key(name)].reason
}

fn hash(sim: &Sim) -> String {
    sim.engine.snapshot().frozen.unwrap().hash
}

fn approve(sim: &mut Sim, hash: &str) {
    sim.feed(Event::Control(Control::Approve(hash.to_owned())));
}

#[test]
fn more_than_a_fifth_of_the_objects_is_not_deleted_without_a_word() {
    let mut sim = with_groups(20, |_| {});
    sim.declare(&groups(15));
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 20);
    assert_eq!(reason(&sim, "g17"), "Frozen");
    let frozen = sim.engine.snapshot().frozen.unwrap();
    assert_eq!((frozen.objects.len(), frozen.managed), (5, 20));
    assert_eq!(frozen.doubt, None);
}

#[test]
fn a_single_reading_of_the_directory_is_no_doubt_to_tell_a_person() {
    let mut sim = with_groups(20, |_| {});
    let all = sim.desired.clone();
    sim.declare(&groups(10));
    let ten = sim.desired.clone();
    sim.declare_set(all);
    sim.feed(Event::Desired(ten));
    let frozen = sim.engine.snapshot().frozen.unwrap();
    assert_eq!((frozen.objects.len(), frozen.doubt), (10, None));
}

#[test]
fn a_fifth_of_them_is_deleted() {
    let mut sim = with_groups(20, |_| {});
    sim.declare(&groups(16));
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 16);
    assert_eq!(sim.engine.snapshot().frozen, None);
}

#[test]
fn three_may_always_go_and_not_four() {
    let mut sim = with_groups(4, |settings| settings.prune_allow_empty = true);
    sim.declare(&[]);
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 4);
    sim.declare(&groups(1));
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 1);
    sim.assert_converged();
}

#[test]
fn an_emptied_directory_deletes_nothing_even_if_that_is_approved() {
    let mut sim = with_groups(4, |_| {});
    sim.declare(&[]);
    sim.run_for(2 * MINUTE);
    let frozen = sim.engine.snapshot().frozen.unwrap();
    let doubt = frozen.doubt.unwrap();
    assert!(doubt.contains("declares nothing at all"), "{doubt}");
    approve(&mut sim, &frozen.hash);
    sim.run_for(60 * MINUTE);
    assert_eq!(there(&mut sim), 4);
    // The word still counts once the directory declares something.
    sim.declare(&groups(1));
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 1);
}

#[test]
fn the_approved_ones_are_deleted_and_only_those() {
    let mut sim = with_groups(20, |_| {});
    sim.declare(&groups(10));
    sim.run_for(2 * MINUTE);
    let hash = hash(&sim);
    approve(&mut sim, "0123456789ab");
    sim.run_for(2 * MINUTE);
    assert_eq!(there(&mut sim), 20, "that was another hash");
    approve(&mut sim, &hash);
    // Five more go before those ten are gone: they were not approved.
    sim.declare(&groups(5));
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 10);
    assert_eq!(reason(&sim, "g5"), "Frozen");
    assert_eq!(sim.engine.snapshot().objects.len(), 10);
}

#[test]
fn an_approval_survives_a_restart_and_ends_when_the_manifest_is_back() {
    let mut sim = with_groups(20, |_| {});
    sim.declare(&groups(10));
    sim.run_for(2 * MINUTE);
    let hash = hash(&sim);
    // Within the grace of a new process nothing is deleted yet.
    sim.restart();
    sim.run_for(Duration::from_secs(10));
    approve(&mut sim, &hash);
    sim.run_for(Duration::from_secs(1));
    sim.declare(&groups(20));
    sim.run_for(2 * MINUTE);
    sim.assert_converged();
    sim.declare(&groups(10));
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 20, "that was approved for another time");

    approve(&mut sim, &hash);
    sim.run_for(Duration::from_secs(1));
    sim.restart();
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 10);
}

#[test]
fn an_approved_deletion_of_two_hundred_works_at_once() {
    let mut sim = with_groups(210, |_| {});
    sim.declare(&groups(10));
    sim.run_for(2 * MINUTE);
    assert_eq!(there(&mut sim), 210);
    let hash = hash(&sim);
    approve(&mut sim, &hash);
    assert!(sim.run_until_rest(20 * MINUTE), "{:?}", sim.complaints());
    assert_eq!(there(&mut sim), 10);
    sim.assert_converged();
}

#[test]
fn what_was_deleted_by_hand_needs_no_approval() {
    let mut sim = with_groups(20, |_| {});
    sim.declare(&groups(10));
    for item in sim.items("SecurityGroup") {
        if item["name"] != "default" && item["name"].as_str().unwrap().len() == 3 {
            let id = item["id"].as_str().unwrap();
            let target = format!("/network/v2.0/security-groups/{id}");
            sim.by_hand("DELETE", &target, json!(null));
        }
    }
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 10);
    sim.assert_converged();
    assert_eq!(sim.engine.snapshot().frozen, None);
}

#[test]
fn when_a_person_has_deleted_enough_of_them_the_rest_needs_no_approval() {
    let mut sim = with_groups(20, |_| {});
    sim.declare(&groups(15));
    sim.run_for(MINUTE);
    assert_eq!((there(&mut sim), reason(&sim, "g17")), (20, "Frozen"));
    for item in sim.items("SecurityGroup") {
        if item["name"] == "g18" || item["name"] == "g19" {
            let target = format!(
                "/network/v2.0/security-groups/{}",
                item["id"].as_str().unwrap()
            );
            sim.by_hand("DELETE", &target, json!(null));
        }
    }
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 15);
    assert_eq!(sim.engine.snapshot().frozen, None);
}

#[test]
fn prune_off_keeps_everything_and_confirm_asks_for_each() {
    let mut sim = with_groups(10, |settings| settings.prune = Prune::Off);
    sim.declare(&groups(9));
    sim.run_for(20 * MINUTE);
    assert_eq!((there(&mut sim), reason(&sim, "g9")), (10, "PruneOff"));

    sim.settings.prune = Prune::Confirm;
    sim.feed(Event::Settings(sim.settings.clone()));
    sim.run_for(20 * MINUTE);
    assert_eq!((there(&mut sim), reason(&sim, "g9")), (10, "Frozen"));
    let hash = hash(&sim);
    approve(&mut sim, &hash);
    sim.run_for(20 * MINUTE);
    assert_eq!(there(&mut sim), 9);
}

#[test]
fn the_budgets_of_a_cycle_and_of_an_hour_hold() {
    let mut sim = with_groups(60, |settings| {
        settings.prune_limits = Limits {
            per_cycle: 2,
            per_hour: 6,
            ..settings.prune_limits
        };
    });
    sim.declare(&groups(50));
    sim.run_for(MINUTE + Duration::from_secs(20));
    assert_eq!(there(&mut sim), 58);
    assert_eq!(reason(&sim, "g59"), "Budget");
    sim.run_for(30 * MINUTE);
    assert_eq!(there(&mut sim), 54);
    sim.run_for(35 * MINUTE);
    assert_eq!(there(&mut sim), 50);
}

#[test]
fn nothing_is_written_while_paused_also_after_a_restart() {
    let mut sim = with_groups(5, |_| {});
    sim.feed(Event::Control(Control::Pause));
    let mut files = groups(4);
    files.push(group("new"));
    sim.declare(&files);
    let writes = sim.writes().len();
    sim.run_for(20 * MINUTE);
    sim.restart();
    sim.run_for(20 * MINUTE);
    assert_eq!(sim.writes().len(), writes);
    assert!(sim.engine.snapshot().paused.is_some());
    assert!(sim.engine.snapshot().at_rest);
    assert_eq!(reason(&sim, "new"), "Suspended");

    sim.feed(Event::Control(Control::Resume));
    assert!(sim.run_until_rest(20 * MINUTE), "{:?}", sim.complaints());
    assert_eq!(sim.engine.snapshot().paused, None);
    sim.assert_converged();
    assert_eq!(there(&mut sim), 5);
}

#[test]
fn a_look_that_is_asked_for_waits_out_no_error_and_ends_no_guard() {
    let mut sim = with_groups(5, |_| {});
    let no = Effect::Answer {
        status: 400,
        body: json!({"NeutronError": {"type": "BadRequest", "message": "no", "detail": ""}}),
        headers: Vec::new(),
    };
    sim.world.add_fault(
        Rule::new("network", no)
            .on("POST", "/v2.0/security-groups")
            .times(1000),
    );
    sim.declare(&groups(6));
    // By now minutes are between two tries, and the next one is not near.
    sim.run_for(21 * MINUTE);
    sim.world.clear_faults();
    let moment = Duration::from_secs(5);
    sim.run_for(moment);
    assert_eq!((there(&mut sim), reason(&sim, "g5")), (5, "Backoff"));
    let look = |name: &str| Event::Control(Control::Reconcile(key(name)));
    // That of another object changes nothing for this one.
    sim.feed(look("g4"));
    sim.run_for(moment);
    assert_eq!(there(&mut sim), 5);
    sim.feed(look("g5"));
    sim.run_for(moment);
    assert_eq!((there(&mut sim), reason(&sim, "g5")), (6, "InSync"));

    let unmoved = |sim: &mut Sim, name: &str, why: &str| {
        let writes = sim.writes().len();
        for _ in 0..120 {
            sim.feed(look(name));
            sim.run_for(moment);
        }
        assert_eq!((sim.writes().len(), reason(sim, name)), (writes, why));
    };
    // Four of six is more than may go without a word.
    sim.declare(&groups(2));
    unmoved(&mut sim, "g5", "Frozen");
    sim.declare(&groups(6));
    sim.feed(Event::Control(Control::Pause));
    sim.declare(&groups(7));
    unmoved(&mut sim, "g6", "Suspended");
}

#[test]
fn an_observer_writes_nothing_and_says_what_differs() {
    let mut sim = with_groups(2, |_| {});
    sim.settings.observe_only = true;
    sim.feed(Event::Settings(sim.settings.clone()));
    let writes = sim.writes().len();
    sim.declare(&groups(3));
    sim.run_for(20 * MINUTE);
    assert_eq!(sim.writes().len(), writes);
    let view = sim.engine.snapshot().objects[&key("g2")].clone();
    let suspended = view.status.condition("Suspended").unwrap();
    assert!(
        suspended.message.contains("create"),
        "{}",
        suspended.message
    );
}

#[test]
fn a_list_that_lost_a_third_at_once_is_looked_at_again_before_it_is_believed() {
    let mut sim = with_groups(10, |_| {});
    // One answer without anything in it: no proof, and no reason to read ten groups by id.
    let all = Omission {
        first: usize::MAX,
        ..Omission::default()
    };
    sim.world.add_fault(
        Rule::new("network", Effect::Omit(all))
            .on("GET", "/v2.0/security-groups")
            .times(1),
    );
    let sent = sim.trace.len();
    sim.run_for(3 * MINUTE);
    sim.assert_converged();
    assert_eq!(sim.trace[sent..], [] as [String; 0]);
}

#[test]
fn another_daemon_with_our_owner_id_is_noticed_and_nothing_is_written_any_more() {
    let mut sim = with_groups(2, |_| {});
    // A third group is held up, so that the other daemon is the first to make it.
    let no = Effect::Answer {
        status: 400,
        body: json!({"NeutronError": {"type": "BadRequest", "message": "no", "detail": ""}}),
        headers: Vec::new(),
    };
    sim.world.add_fault(
        Rule::new("network", no)
            .on("POST", "/v2.0/security-groups")
            .times(1000),
    );
    sim.declare(&groups(3));
    sim.run_for(MINUTE);
    sim.world.clear_faults();
    let marker: Marker = sim.settings.owner.marker(&key("g2"), 42);
    sim.by_hand(
        "POST",
        "/network/v2.0/security-groups",
        json!({"security_group": {"name": "g2", "description": marker.describe(None)}}),
    );
    let writes = sim.writes().len();
    sim.run_for(20 * MINUTE);
    assert_eq!(sim.writes().len(), writes);
    let paused = sim.engine.snapshot().paused.unwrap();
    assert!(paused.contains("another daemon"), "{paused}");

    sim.feed(Event::Control(Control::Resume));
    assert!(sim.run_until_rest(20 * MINUTE), "{:?}", sim.complaints());
    sim.assert_converged();
    assert_eq!(there(&mut sim), 3);
}

#[test]
fn a_manifest_that_comes_back_during_the_last_look_cancels_the_deletion() {
    let mut sim = with_groups(5, |_| {});
    sim.declare(&groups(4));
    // Up to the read that precedes the DELETE.
    let sent = sim.trace.len();
    while sim.trace.len() == sent {
        sim.run_for(Duration::from_millis(10));
    }
    assert!(
        sim.trace[sent].contains(" GET "),
        "{:?}",
        &sim.trace[sent..]
    );
    sim.declare(&groups(5));
    sim.run_for(20 * MINUTE);
    sim.assert_converged();
    assert_eq!(there(&mut sim), 5);
    assert!(
        !sim.trace[sent..]
            .iter()
            .any(|line| line.contains(" DELETE "))
    );
}

#[test]
fn a_paused_journal_is_read_by_the_next_process() {
    let sim = with_groups(1, |_| {});
    let disk = Journal {
        paused: true,
        ..sim.disk.clone()
    };
    let engine = Engine::new(sim.settings.clone(), disk, 7);
    assert!(engine.snapshot().paused.unwrap().contains("resume"));
}

#[test]
fn the_words_of_the_settings_mean_what_they_say() {
    for (text, prune) in [
        ("Off", Prune::Off),
        ("Confirm", Prune::Confirm),
        ("Auto", Prune::Auto),
    ] {
        assert_eq!(text.parse(), Ok(prune));
    }
    let wrong = "auto".parse::<Prune>().unwrap_err();
    assert!(wrong.contains("Off, Confirm or Auto"), "{wrong}");
    assert_eq!("20%".parse(), Ok(Percent::FIFTH));
    assert_eq!("100".parse(), Ok(Percent::ALL));
    assert_eq!(Percent::FIFTH.to_string(), "20%");
    for wrong in ["101%", "-1%", "20 %", "much", ""] {
        let words = wrong.parse::<Percent>().unwrap_err();
        assert!(words.contains("0% to 100%"), "{wrong}: {words}");
    }
}
