//! Every request and every write of the journal of the reference runs goes wrong once, in every way,
//! with the state directory kept and lost: the world ends as it does without a fault.
//!
//! The table of what was run is printed: `cargo test --test sweep -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "how much was tried is printed")]

#[path = "sweep/runs.rs"]
mod runs;
mod sim;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runs::{RUNS, Run};
use sim::{Fault, Sim};
use stackward::kinds::KINDS;
use stackward::kinds::call::Service;
use stackward::kinds::erased::AnyKind;

const MINUTE: Duration = Duration::from_secs(60);
/// The seed of every run; another one gives other nonces and pauses, and the same world.
const SEED: u64 = 11;

/// What goes wrong in a run.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// With a request.
    Request(usize, Fault),
    /// With a write of the journal: it fails, or the daemon dies before or after it.
    Journal(usize, Option<bool>),
}

#[derive(Debug, Clone, Copy)]
struct Case {
    trouble: Trouble,
    keep_disk: bool,
}

/// How many resources of each kind have each name.
type Census = BTreeMap<(&'static str, String), usize>;

/// A run without a fault.
struct Reference {
    requests: usize,
    writes: usize,
    last: Census,
    /// The most that there ever was of each.
    most: Census,
}

fn census(run: &Run, sim: &mut Sim) -> Census {
    let mut census = Census::new();
    // Keystone shows its lists to administrators only.
    let shown = |kind: &&&dyn AnyKind| run.admin || kind.service() != Service::Identity;
    for kind in KINDS.iter().filter(shown) {
        for item in sim.items(kind.name()) {
            let found = kind.look(item).unwrap();
            *census.entry((kind.name(), found.name)).or_default() += 1;
        }
    }
    census
}

/// The stages of a run; a daemon that dies in one is started again in it.
fn carry_out(run: &Run, sim: &mut Sim, case: Option<Case>) -> Vec<Census> {
    let mut seen = Vec::new();
    let keep_disk = case.is_none_or(|case| case.keep_disk);
    // A loss of the disk alone: the daemon dies with it, right after the fault.
    let mut to_lose = !keep_disk;
    (run.prepare)(sim);
    for stage in run.stages() {
        sim.declare(&stage);
        loop {
            let rested = sim.run_until_rest(120 * MINUTE);
            let struck = match case.map(|case| case.trouble) {
                Some(Trouble::Request(number, _)) => sim.sent() > number,
                Some(Trouble::Journal(number, _)) => sim.recorded > number,
                None => false,
            };
            if sim.crashed || struck && to_lose {
                (sim.fault, sim.journal_fault) = (None, None);
                if to_lose {
                    to_lose = false;
                    sim.lose_disk();
                } else {
                    sim.restart();
                }
                continue;
            }
            assert!(rested, "no rest: {:?}", sim.complaints());
            break;
        }
        seen.push(census(run, sim));
    }
    seen
}

fn start(run: &Run) -> Sim {
    let mut sim = if run.admin {
        Sim::of_admin(SEED)
    } else {
        Sim::new(SEED)
    };
    sim.settings.prune_allow_empty = true;
    sim.settings.prune_grace = Duration::ZERO;
    sim.settings.prune_data_grace = Duration::ZERO;
    sim.restart();
    sim
}

fn reference(run: &Run) -> Reference {
    let mut sim = start(run);
    let seen = carry_out(run, &mut sim, None);
    sim.assert_converged();
    let mut most = Census::new();
    for (name, count) in seen.iter().flatten() {
        let most = most.entry(name.clone()).or_default();
        *most = (*most).max(*count);
    }
    Reference {
        requests: sim.sent(),
        writes: sim.recorded,
        last: seen.last().unwrap().clone(),
        most,
    }
}

fn cases(reference: &Reference) -> Vec<Case> {
    let requests = (0..reference.requests)
        .flat_map(|number| Fault::ALL.map(|fault| Trouble::Request(number, fault)));
    let writes = (0..reference.writes).flat_map(|number| {
        [None, Some(false), Some(true)].map(|how| Trouble::Journal(number, how))
    });
    let both = |trouble| [true, false].map(|keep_disk| Case { trouble, keep_disk });
    requests.chain(writes).flat_map(both).collect()
}

/// What is wrong with the world after a run with a fault; nothing if it is as it should be.
fn violation(run: &Run, reference: &Reference, case: Case) -> Option<String> {
    let mut sim = start(run);
    match case.trouble {
        Trouble::Request(number, fault) => sim.fault = Some((number, fault)),
        Trouble::Journal(number, how) => sim.journal_fault = Some((number, how)),
    }
    let seen = carry_out(run, &mut sim, Some(case));
    let mut wrong = Vec::new();
    let last = seen.last().unwrap();
    if case.keep_disk {
        if *last != reference.last {
            wrong.push(format!("there is {last:?} instead of {:?}", reference.last));
        }
    } else {
        // Without the journal, what is not declared any more is not known to be ours to delete; it
        // stays. Nothing is made twice, and nothing that is declared is missing.
        let missing = |(name, count): &(&(&'static str, String), &usize)| {
            last.get(*name).copied().unwrap_or_default() < **count
        };
        wrong.extend(
            reference
                .last
                .iter()
                .filter(missing)
                .map(|it| format!("missing: {it:?}")),
        );
        let surplus = |(name, count): &(&(&'static str, String), &usize)| {
            **count > reference.most.get(*name).copied().unwrap_or_default()
        };
        wrong.extend(
            last.iter()
                .filter(surplus)
                .map(|it| format!("surplus: {it:?}")),
        );
    }
    wrong.extend(sim.complaints());
    let writes = sim.writes().len();
    sim.run_for(5 * MINUTE);
    let more = &sim.writes()[writes..];
    if !more.is_empty() {
        wrong.push(format!("it does not rest: {more:?}"));
    }
    (!wrong.is_empty()).then(|| {
        format!(
            "{}: {case:?}: {}\n{}",
            run.name,
            wrong.join("; "),
            sim.trace.join("\n")
        )
    })
}

#[test]
fn whatever_goes_wrong_once_the_world_ends_the_same() {
    println!(
        "{:<28} {:>8} {:>7} {:>7} {:>6} {:>10}",
        "run", "requests", "writes", "cases", "run", "violations"
    );
    let mut violations = Vec::new();
    // `SWEEP=replacement cargo test --test sweep` for those whose name has that in it.
    let wanted = std::env::var("SWEEP").unwrap_or_default();
    for run in RUNS.iter().filter(|run| run.name.contains(&wanted)) {
        let reference = reference(run);
        let cases = cases(&reference);
        let next = AtomicUsize::new(0);
        let found = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let violation = violation(run, &reference, *case);
                        found.lock().unwrap().extend(violation);
                    }
                });
            }
        });
        let found = found.into_inner().unwrap();
        println!(
            "{:<28} {:>8} {:>7} {:>7} {:>6} {:>10}",
            run.name,
            reference.requests,
            reference.writes,
            cases.len(),
            next.into_inner().min(cases.len()),
            found.len()
        );
        violations.extend(found);
    }
    assert!(
        violations.is_empty(),
        "{} violations, the first:\n{}",
        violations.len(),
        violations[0]
    );
}
