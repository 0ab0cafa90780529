//! The planner, model-checked: every kind in every abstract state of (what is declared and how, what
//! the journal says, what the cloud holds, what its list shows) is played to its end.
//!
//! Each comes to a fixpoint within six writes and stays there; nothing is created where there is
//! something of that identity; and what is deleted, created and adopted at all is written out in
//! `model/cells.txt`, for a person to read (`UPDATE=1` writes it). The cloud moves on what is in
//! transit, and the answer to every create is lost. `KIND=Port` plays one kind only.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "what was tried is printed"
)]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "the parts of a test see each other"
)]

#[path = "model/cell.rs"]
mod cell;
#[path = "model/play.rs"]
mod play;
mod sim;
#[path = "model/subject.rs"]
mod subject;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cell::{Cell, Deed, Word, cells};
use play::play;
use sim::assemble;
use stackward::engine::desired::Desired;
use stackward::kinds::MarkerPlace;
use stackward::kinds::marker::Owner;
use subject::Subject;

const TABLE: &str = "tests/model/cells.txt";

/// What came of one kind.
struct Findings {
    name: &'static str,
    states: usize,
    writes: usize,
    deeds: Vec<(Cell, Vec<Deed>)>,
    faults: Vec<String>,
}

fn explore(subject: &Subject, owner: Owner) -> Findings {
    let mut desired: BTreeMap<Word, Desired> = BTreeMap::new();
    let mut findings = Findings {
        name: subject.kind.name(),
        states: 0,
        writes: 0,
        deeds: Vec::new(),
        faults: Vec::new(),
    };
    for cell in cells(subject, owner) {
        let desired = desired.entry(cell.word).or_insert_with(|| {
            let (policy, annotations) = cell.word.policy();
            let files = match cell.word.declares() {
                true => subject.declared(&policy, &annotations),
                false => Vec::new(),
            };
            assemble(&files, None, &BTreeMap::new())
        });
        let outcome = play(subject, cell, desired, owner);
        findings.states += 1;
        findings.writes += outcome.deeds.len();
        let words =
            |fault: String| format!("{} {cell:?}: {fault} ({})", findings.name, outcome.end);
        let faults: Vec<String> = outcome.faults.into_iter().map(words).collect();
        findings.faults.extend(faults);
        findings.deeds.push((cell, outcome.deeds));
    }
    findings
}

/// Every state in which something is written, and how many kinds write that there.
fn table(subjects: &[Subject], all: &[Findings]) -> String {
    let mut rows: BTreeMap<(bool, Cell), BTreeMap<String, BTreeSet<&str>>> = BTreeMap::new();
    for findings in all {
        let subject = subjects.iter().find(|it| it.kind.name() == findings.name);
        let natural = subject.unwrap().kind.marker() == MarkerPlace::NaturalKey;
        for (cell, deeds) in &findings.deeds {
            let words: Vec<String> = deeds.iter().map(|it| format!("{it:?}")).collect();
            let row = rows.entry((natural, *cell)).or_default();
            row.entry(words.join(" "))
                .or_default()
                .insert(findings.name);
        }
    }
    let mut text = String::from(
        "# What is written in which state, by how many kinds. A state that is not here writes nothing.\n\
         # word memory world view: deeds\n",
    );
    for natural in [false, true] {
        let which = if natural {
            "with a natural key"
        } else {
            "with a marker"
        };
        text.push_str(&format!("\n## Kinds {which}\n\n"));
        for ((_, cell), outcomes) in rows.iter().filter(|((it, _), _)| *it == natural) {
            if outcomes.keys().all(String::is_empty) {
                continue;
            }
            let outcomes: Vec<String> = outcomes
                .iter()
                .map(|(deeds, kinds)| {
                    let deeds = if deeds.is_empty() { "nothing" } else { deeds };
                    match kinds.len() {
                        1..=3 => {
                            let names: Vec<&str> = kinds.iter().copied().collect();
                            format!("{deeds} ({})", names.join(", "))
                        }
                        many => format!("{deeds} ({many} kinds)"),
                    }
                })
                .collect();
            let Cell {
                word,
                memory,
                world,
                view,
            } = cell;
            text.push_str(&format!(
                "{word:?} {memory:?} {world:?} {view:?}: {}\n",
                outcomes.join("; ")
            ));
        }
    }
    text
}

#[test]
fn every_kind_in_every_state_comes_to_rest_and_does_only_what_it_may() {
    let wanted = std::env::var("KIND").unwrap_or_default();
    let subjects = Subject::all(&wanted);
    let owner = sim::Sim::new(1).settings.owner;
    println!("{} subjects", subjects.len());
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
        "{:<22} {:>7} {:>7} {:>6}",
        "kind", "states", "writes", "faults"
    );
    for it in &found {
        println!(
            "{:<22} {:>7} {:>7} {:>6}",
            it.name,
            it.states,
            it.writes,
            it.faults.len()
        );
    }
    let faults: Vec<&String> = found.iter().flat_map(|it| &it.faults).collect();
    for fault in faults.iter().take(40) {
        println!("{fault}");
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
    let table = table(&subjects, &found);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(TABLE, &table).unwrap();
    }
    let written = std::fs::read_to_string(TABLE).unwrap_or_default();
    assert!(
        table == written,
        "what is written where has changed: read it, and UPDATE=1 writes {TABLE}"
    );
}
