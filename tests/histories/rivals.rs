//! Two daemons with one owner id beside one cloud: that is noticed, nothing is deleted, and there is
//! never more than one copy for each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use stackward::kinds;
use stackward::kinds::call::Service::Identity;

use super::catalogue::{Declared, PROJECT};
use super::sim::Sim;

const HISTORIES: u64 = 120;

/// Plays one; whether something was made twice, and then somebody said so.
fn play(seed: u64) -> bool {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut declared = Declared::nothing(PROJECT);
    for _ in 0..rng.usize(1..=3) {
        declared.toggle(PROJECT, rng.usize(..PROJECT.len()));
    }
    let files = declared.files(PROJECT);
    let mut one = Sim::new(seed);
    let mut other = one.clone();
    other.reseed(seed + 1);
    one.declare(&files);
    one.run_for(Duration::from_millis(rng.u64(..10_000)));
    other.world = one.world.clone();
    other.now = one.now;
    other.declare(&files);
    for _ in 0..100 {
        let slice = Duration::from_millis(rng.u64(10..5_000));
        other.run_for(slice);
        one.world = other.world.clone();
        one.run_for(slice);
        other.world = one.world.clone();
    }
    let deleted = |sim: &Sim| sim.trace.iter().any(|line| line.contains(": delete "));
    assert!(!deleted(&one) && !deleted(&other), "seed {seed}");
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for kind in kinds::KINDS.iter().filter(|it| it.service() != Identity) {
        for item in one.items(kind.name()) {
            if let Some(marker) = kind.look(item).unwrap().marker {
                *copies
                    .entry(format!("{} {}", kind.name(), marker.uid))
                    .or_default() += 1;
            }
        }
    }
    let paused = |sim: &Sim| sim.engine.snapshot().paused.is_some();
    let twice: Vec<_> = copies.iter().filter(|(_, count)| **count > 1).collect();
    assert!(
        twice.iter().all(|(_, count)| **count == 2),
        "seed {seed}: {twice:?}"
    );
    let known = paused(&one) || paused(&other) || !one.complaints().is_empty();
    assert!(
        twice.is_empty() || known,
        "seed {seed}: {twice:?} and nobody says so"
    );
    !twice.is_empty()
}

#[test]
fn a_second_daemon_with_the_same_owner_deletes_nothing_and_doubles_nothing_unseen() {
    let doubled = (0..HISTORIES).filter(|seed| play(*seed)).count();
    println!("{HISTORIES} pairs of daemons, something twice and said so in {doubled}");
    assert!(doubled > 0);
}
