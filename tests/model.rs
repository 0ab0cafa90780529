//! The planner, model-checked: every kind in every abstract state of (what is declared and how, what
//! the journal says, what the cloud holds, what its list shows) is played to its end.
//!
//! Each comes to a fixpoint within six steps (writes that the cloud carries out), no write brings back
//! what was there before (a cycle), and `model/law.rs` has nothing against any of them. What is
//! written in which state is in `model/cells.txt`, for a person to read: more than that is a
//! failure, and less as well. `UPDATE=1` writes it. `KIND=Port,Role` plays these kinds
//! only, and leaves the table alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "what was tried is printed"
)]
#![allow(unreachable_pub, reason = "the parts of a test see each other")]

#[path = "model/cell.rs"]
mod cell;
#[path = "model/checker.rs"]
mod checker;
#[path = "model/law.rs"]
mod law;
#[path = "model/play.rs"]
mod play;
mod sim;
#[path = "model/subject.rs"]
mod subject;
#[path = "model/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cell::{Cell, Memory, View, Word, World, cells};
use law::Deed;
use play::play;
use sim::assemble;
use stackward::engine::desired::Desired;
use stackward::kinds::field::Class;
use stackward::kinds::marker::Owner;
use subject::Subject;

const TABLE: &str = "tests/model/cells.txt";

/// What came of one kind.
struct Findings {
    name: &'static str,
    states: usize,
    steps: usize,
    most: usize,
    events: usize,
    deeds: Vec<(Cell, Vec<Deed>)>,
    faults: Vec<String>,
}

/// What is declared of a subject by a word.
fn declared(subject: &Subject, word: Word) -> Desired {
    let (policy, annotations) = word.policy();
    let files = match word.declares() {
        true => subject.declared(&policy, &annotations),
        false => Vec::new(),
    };
    assemble(&files, None, &BTreeMap::new())
}

/// The one field in which the subject is seen to differ from its manifest, and its class.
fn difference(subject: &Subject, owner: Owner) -> Option<(&'static str, Class)> {
    let cell = Cell {
        word: Word::DeclaredSuspended,
        memory: Memory::Made,
        world: World::Ours,
        view: View::True,
    };
    let drift = play(subject, cell, &declared(subject, cell.word), owner).drift;
    let denied = drift.denied.iter().map(|it| &it.difference);
    let all: Vec<_> = drift.repaired.iter().chain(denied).collect();
    let [one] = all[..] else {
        return None;
    };
    let is_gentle = one.class == Class::Disrupt && !subject.kind.interrupts(one.field, &one.want);
    (!is_gentle && drift.left.is_empty()).then_some((one.field, one.class))
}

fn explore(subject: &Subject, owner: Owner) -> Findings {
    let mut desired: BTreeMap<Word, Desired> = BTreeMap::new();
    let mut findings = Findings {
        name: subject.kind.name(),
        states: 0,
        steps: 0,
        most: 0,
        events: 0,
        deeds: Vec::new(),
        faults: Vec::new(),
    };
    for cell in cells(subject, owner) {
        let desired = desired
            .entry(cell.word)
            .or_insert_with(|| declared(subject, cell.word));
        let outcome = play(subject, cell, desired, owner);
        findings.states += 1;
        findings.steps += outcome.deeds.len();
        findings.most = findings.most.max(outcome.deeds.len());
        findings.events += outcome.events;
        let words =
            |fault: String| format!("{} {cell:?}: {fault} ({})", findings.name, outcome.end);
        let faults: Vec<String> = outcome.faults.into_iter().map(words).collect();
        findings.faults.extend(faults);
        findings.deeds.push((cell, outcome.deeds));
    }
    findings
}

/// One of every kind, or of these, with all the ways in which it can differ.
fn subjects(wanted: &str, owner: Owner) -> Vec<Subject> {
    let mut subjects = Subject::all(wanted);
    for subject in &mut subjects {
        subject.find_differences(|it| difference(it, owner));
    }
    subjects
}

fn owner() -> Owner {
    sim::Sim::new(1).settings.owner
}

#[test]
fn every_kind_in_every_state_comes_to_rest_and_does_only_what_it_may() {
    let wanted = std::env::var("KIND").unwrap_or_default();
    let owner = owner();
    let subjects = subjects(&wanted, owner);
    assert!(!subjects.is_empty(), "there is no kind like {wanted}");
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(subject) = subjects.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let findings = explore(subject, owner);
                    found.lock().unwrap().push(findings);
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|it| it.name);
    println!(
        "{:<22} {:>7} {:>7} {:>5} {:>8} {:>6}",
        "kind", "states", "steps", "most", "events", "faults"
    );
    let line = |name: &str, of: &[&Findings]| {
        let sum = |number: fn(&Findings) -> usize| of.iter().map(|it| number(it)).sum::<usize>();
        println!(
            "{name:<22} {:>7} {:>7} {:>5} {:>8} {:>6}",
            sum(|it| it.states),
            sum(|it| it.steps),
            of.iter().map(|it| it.most).max().unwrap_or_default(),
            sum(|it| it.events),
            sum(|it| it.faults.len()),
        );
    };
    let all: Vec<&Findings> = found.iter().collect();
    for it in &all {
        line(it.name, &[it]);
    }
    line("all", &all);
    let faults: Vec<&String> = found.iter().flat_map(|it| &it.faults).collect();
    for fault in faults.iter().take(40) {
        println!("{fault}");
    }
    let seen = table::table(&subjects, &found);
    if std::env::var_os("SHOW").is_some() {
        println!("{seen}");
    }
    assert!(
        faults.is_empty(),
        "{} faults, the first: {}",
        faults.len(),
        faults[0]
    );
    if !wanted.is_empty() {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(TABLE, &seen).unwrap();
    }
    let allowed = std::fs::read_to_string(TABLE).unwrap_or_default();
    let differences = table::differences(&seen, &allowed);
    assert!(
        seen == allowed,
        "what is written where is not what {TABLE} says; read what is new, and UPDATE=1 writes it:\n{}",
        differences.join("\n")
    );
}
