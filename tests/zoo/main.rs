//! The bug zoo: every deliberately wrong variant of `src/zoo.rs` must be caught by a test that the
//! suites have anyway, and without a bug the same tests pass.
//!
//! The suites are part of this program, which starts itself once for each bug, so that all of it is
//! built once. `cargo test --features zoo --test zoo -- every_bug_is_caught --nocapture` prints who
//! caught what; with `ZOO=all` it runs everything that is here against every bug (minutes each),
//! with `ZOO=KnowsNoGrace,KnowsNoBudget` only these. What is wrong with the planner is to be caught by
//! its model check besides, without the scenarios.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "the table is what it is for")]
#![allow(
    clippy::duplicate_mod,
    reason = "each suite brings what it needs, as it does when it is a program of its own"
)]

#[path = "../adoption.rs"]
mod adoption;
#[path = "../cloud/calls.rs"]
mod calls;
#[path = "../changes.rs"]
mod changes;
#[path = "../doubt.rs"]
mod doubt;
#[path = "../cloud/fake.rs"]
#[allow(dead_code, reason = "the other suites of the client use the rest")]
mod fake;
#[path = "../guards.rs"]
mod guards;
#[path = "../journal.rs"]
mod journal;
#[path = "../keystone_kinds.rs"]
mod keystone_kinds;
#[path = "../model.rs"]
mod model;
#[path = "../properties.rs"]
mod properties;

mod catchers;

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use catchers::{OF_THE_PLANNER, catchers};
use stackward::zoo::Bug;

/// This program again, with a bug or without; only these tests, or all but the zoo itself.
fn run(bug: Option<Bug>, tests: &[&str]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    match tests {
        [] => command.args(["--skip", "every_bug_is_caught"]),
        tests => command.arg("--exact").args(tests),
    };
    command.env_remove("STACKWARD_ZOO");
    // With a marker, with a natural key, and with data: what the model check is to play.
    command.env("KIND", "Network,Role,VolumeSnapshot");
    if let Some(bug) = bug {
        command.env("STACKWARD_ZOO", format!("{bug:?}"));
    }
    command.env("RUST_BACKTRACE", "0").output().unwrap()
}

/// The names of the tests that came out like this, in the words of the test harness.
fn with_result(output: &Output, result: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let name = |line: &str| {
        let name = line.strip_prefix("test ")?.strip_suffix(result)?;
        Some(name.trim_end_matches(" - should panic").to_owned())
    };
    text.lines().filter_map(name).collect()
}

/// What became of one bug.
struct Hunt {
    bug: Bug,
    caught_by: Vec<String>,
    took: Duration,
}

fn hunt(bug: Bug, everything: bool) -> Hunt {
    let started = Instant::now();
    let tests = if everything { &[] } else { catchers(bug) };
    let output = run(Some(bug), tests);
    Hunt {
        bug,
        caught_by: with_result(&output, " ... FAILED"),
        took: started.elapsed(),
    }
}

#[test]
fn every_bug_is_caught() {
    let wanted = std::env::var("ZOO").unwrap_or_default();
    let everything = wanted == "all";
    let bugs: Vec<Bug> = Bug::ALL
        .iter()
        .filter(|bug| {
            let name = format!("{bug:?}");
            wanted.is_empty() || everything || wanted.split(',').any(|it| it == name)
        })
        .copied()
        .collect();
    assert!(!bugs.is_empty(), "there is no bug {wanted}");

    // Without a bug each of these tests is there and passes.
    let tests: BTreeSet<&str> = bugs
        .iter()
        .flat_map(|bug| catchers(*bug))
        .copied()
        .collect();
    let tests: Vec<&str> = tests.into_iter().collect();
    let healthy = run(None, &tests);
    let passed = with_result(&healthy, " ... ok");
    let missing: Vec<&&str> = tests
        .iter()
        .filter(|test| !passed.iter().any(|it| it == *test))
        .collect();
    assert!(
        healthy.status.success() && missing.is_empty(),
        "without a bug these do not pass: {missing:?}\n{}",
        String::from_utf8_lossy(&healthy.stdout)
    );

    let next = AtomicUsize::new(0);
    let hunts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let hunt = hunt(*bug, everything);
                    hunts.lock().unwrap().push(hunt);
                }
            });
        }
    });
    let mut hunts = hunts.into_inner().unwrap();
    hunts.sort_by_key(|hunt| bugs.iter().position(|bug| *bug == hunt.bug));
    for Hunt {
        bug,
        caught_by,
        took,
    } in &hunts
    {
        let names = match &caught_by[..] {
            [] => "SURVIVED".to_owned(),
            names if names.len() > 3 => format!("{} and {} more", names[0], names.len() - 1),
            names => names.join(", "),
        };
        println!(
            "{:<36} {:>5.1} s  {names}",
            format!("{bug:?}"),
            took.as_secs_f64()
        );
    }
    let survivors: Vec<Bug> = hunts
        .iter()
        .filter(|hunt| hunt.caught_by.is_empty())
        .map(|hunt| hunt.bug)
        .collect();
    println!(
        "{} of {} bugs are caught",
        hunts.len() - survivors.len(),
        hunts.len()
    );
    assert!(survivors.is_empty(), "these survive: {survivors:?}");
}

#[test]
fn every_bug_is_caught_that_the_planner_has_by_the_model_check_alone() {
    const TEST: &str = "model::every_kind_in_every_state_comes_to_rest_and_does_only_what_it_may";
    let healthy = run(None, &[TEST]);
    assert_eq!(with_result(&healthy, " ... ok"), [TEST]);
    let next = AtomicUsize::new(0);
    let survivors = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(bug) = OF_THE_PLANNER.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let output = run(Some(*bug), &[TEST]);
                    let text = String::from_utf8_lossy(&output.stdout);
                    let fault = text.lines().find(|line| line.contains(" Cell {"));
                    println!("{:<36} {}", format!("{bug:?}"), fault.unwrap_or("SURVIVED"));
                    if fault.is_none() || with_result(&output, " ... FAILED") != [TEST] {
                        survivors.lock().unwrap().push(*bug);
                    }
                }
            });
        }
    });
    let survivors = survivors.into_inner().unwrap();
    assert!(survivors.is_empty(), "these survive: {survivors:?}");
}
