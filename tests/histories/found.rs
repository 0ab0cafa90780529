//! What the simulation has found, as short as it can be told: each was a bug once.

use std::time::Duration;

use stackward::engine::journal::Journal;

use super::sim::{Fault, Sim};

const MINUTE: Duration = Duration::from_secs(60);

fn volume(name: &str) -> (String, String) {
    let text = format!(
        "apiVersion: stackward.dev/v1alpha1\nkind: Volume\nmetadata: {{name: {name}}}\n\
         spec: {{resource: {{size: 1}}}}\n"
    );
    (format!("{name}.yaml"), text)
}

/// A daemon whose only request so far has got no answer, and is carried out so much later.
fn late(seconds: u8) -> Sim {
    let mut sim = Sim::new(1);
    sim.settings.prune_allow_empty = true;
    sim.settings.prune_data_grace = Duration::ZERO;
    sim.settings.prune_grace = Duration::ZERO;
    sim.restart();
    sim.weather.requests.insert(0, Fault::Late(seconds));
    sim.declare(&[volume("v")]);
    sim
}

#[test]
fn a_create_that_is_carried_out_at_the_end_of_the_window_is_not_made_twice() {
    for seconds in 90..120 {
        let mut sim = late(seconds);
        sim.run_for(10 * MINUTE);
        sim.assert_converged();
        assert_eq!(sim.items("Volume").len(), 1, "{seconds} s late");
    }
}

#[test]
fn a_create_that_nobody_wants_any_more_is_taken_back_when_it_comes_late() {
    for seconds in 90..120 {
        let mut sim = late(seconds);
        sim.run_for(Duration::from_secs(10));
        sim.declare(&[]);
        sim.run_for(10 * MINUTE);
        assert_eq!(sim.items("Volume").len(), 0, "{seconds} s late");
        assert_eq!(sim.disk.records.len(), 0);
    }
}

#[test]
fn a_daemon_that_was_down_for_longer_than_the_window_waits_for_looks_and_does_not_spin() {
    let mut sim = Sim::new(1);
    sim.weather.requests.insert(0, Fault::CrashBefore);
    sim.declare(&[volume("v")]);
    sim.run_for(MINUTE);
    assert!(sim.crashed && sim.disk != Journal::default());
    sim.now += 10 * MINUTE;
    sim.restart();
    let end = sim.now + 5 * MINUTE;
    let mut steps = 0;
    while sim.step(end) {
        steps += 1;
        assert!(steps < 1000, "it spins");
    }
    sim.assert_converged();
    assert_eq!(sim.items("Volume").len(), 1);
}

#[test]
fn what_a_full_disk_did_not_take_is_written_when_there_is_room() {
    let keypair = "apiVersion: stackward.dev/v1alpha1\nkind: KeyPair\nmetadata: {name: k}\n\
        spec: {resource: {publicKey: \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqfBqUe7VfZr3BN1r2sZJ1lGkKGyO0QmC6S3bYzm1Yp\"}}\n";
    for number in 0..3 {
        let mut sim = Sim::new(1);
        sim.settings.prune_allow_empty = true;
        sim.restart();
        sim.weather.writes.insert(number, None);
        sim.declare(&[("k.yaml".to_owned(), keypair.to_owned())]);
        sim.run_for(5 * MINUTE);
        sim.assert_converged();
        sim.restart();
        sim.declare(&[]);
        sim.run_for(10 * MINUTE);
        // That it was made here is known by the journal alone.
        assert_eq!(sim.items("KeyPair").len(), 0, "write {number}");
    }
}
