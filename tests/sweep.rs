//! Every request and every write of the journal of the reference runs goes wrong once, in every way,
//! with the state directory kept and lost; two of them go wrong; what looks show lags behind. The
//! world ends as it does without a fault.
//!
//! The tables of what was run are printed: `cargo test --test sweep -- --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "how much was tried is printed")]

#[path = "sweep/runs.rs"]
mod runs;
mod sim;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runs::{RUNS, Run};
use sim::{Fault, Sim, View};
use stackward::engine::desired::Desired;
use stackward::kinds::KINDS;
use stackward::kinds::call::Service;
use stackward::kinds::erased::AnyKind;

const MINUTE: Duration = Duration::from_secs(60);
/// The seed of every run; another one gives other nonces and pauses, and the same world.
const SEED: u64 = 11;
/// A run with no more pairs of faults than this is small: all of them are carried out.
const SMALL: usize = 4000;
/// So many looks in a row lag behind.
const LOOKS: usize = 4;

/// One thing that goes wrong in a run.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// With a request.
    Request(usize, Fault),
    /// With a write of the journal: it fails, or the daemon dies before or after it.
    Journal(usize, Option<bool>),
    /// From this request on, some looks at a kind lag behind by so many requests.
    Stale(usize, &'static str, usize),
}

#[derive(Debug, Clone)]
struct Case {
    troubles: Vec<Trouble>,
    keep_disk: bool,
}

/// How many resources of each kind have each name.
type Census = BTreeMap<(&'static str, String), usize>;

/// A run without a fault.
struct Reference {
    /// What each stage declares.
    stages: Vec<Arc<Desired>>,
    requests: usize,
    writes: usize,
    last: Census,
    /// The most that there ever was of each.
    most: Census,
    /// The kinds that were looked at.
    kinds: Vec<&'static str>,
    /// The run right before each request and write, with the stage that it was in: a case begins
    /// where it differs.
    branches: Vec<(usize, Sim)>,
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

/// The rest of a run with a trouble; a daemon that dies in a stage is started again in it. Whether
/// it came to rest.
fn carry_out(reference: &Reference, stage: usize, sim: &mut Sim, case: &Case) -> bool {
    // A loss of the disk alone: the daemon dies with it, right after the first fault.
    let mut to_lose = !case.keep_disk;
    let struck = |sim: &Sim| {
        case.troubles.iter().any(|trouble| match trouble {
            Trouble::Request(number, _) => sim.sent() > *number,
            Trouble::Journal(number, _) => sim.recorded > *number,
            Trouble::Stale(..) => false,
        })
    };
    for (number, desired) in reference.stages.iter().enumerate().skip(stage) {
        if number > stage {
            sim.declare_set(desired.clone());
        }
        loop {
            let rested = sim.run_until_rest(120 * MINUTE);
            if sim.crashed || to_lose && struck(sim) {
                if to_lose {
                    to_lose = false;
                    sim.lose_disk();
                } else {
                    sim.restart();
                }
                continue;
            }
            if !rested {
                return false;
            }
            break;
        }
    }
    // What is carried out late may still come, and be put right; what is being deleted is forgotten
    // when no list shows it any more, and is gone soon.
    let lagged = (case.troubles.iter()).any(|it| matches!(it, Trouble::Stale(..)));
    if lagged || !sim.weather.late.is_empty() {
        sim.run_for(5 * MINUTE);
        return sim.run_until_rest(120 * MINUTE);
    }
    true
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
    (run.prepare)(&mut sim);
    let (mut stages, mut branches, mut most): (Vec<Arc<Desired>>, _, _) =
        (Vec::new(), Vec::new(), Census::new());
    let mut kinds = BTreeSet::new();
    let mut last = Census::new();
    for (stage, files) in run.stages().iter().enumerate() {
        sim.declare(files);
        stages.push(sim.desired.clone());
        kinds.extend(sim.desired.objects.values().map(|it| it.kind.name()));
        let end = sim.now + 120 * MINUTE;
        while !sim.engine.is_at_rest() {
            let before = sim.clone();
            assert!(sim.step(end), "no rest: {:?}", sim.complaints());
            if (sim.sent(), sim.recorded) != (before.sent(), before.recorded) {
                branches.push((stage, before));
            }
        }
        last = census(run, &mut sim);
        for (name, count) in &last {
            let most = most.entry(name.clone()).or_default();
            *most = (*most).max(*count);
        }
    }
    sim.assert_converged();
    Reference {
        stages,
        requests: sim.sent(),
        writes: sim.recorded,
        last,
        most,
        kinds: kinds.into_iter().collect(),
        branches,
    }
}

/// Every trouble that there can be, once.
fn troubles(reference: &Reference) -> Vec<Trouble> {
    let requests = (0..reference.requests)
        .flat_map(|number| Fault::ALL.map(|fault| Trouble::Request(number, fault)));
    let writes = (0..reference.writes).flat_map(|number| {
        [None, Some(false), Some(true)].map(|how| Trouble::Journal(number, how))
    });
    requests.chain(writes).collect()
}

fn singles(reference: &Reference) -> Vec<Case> {
    let both = |trouble| {
        [true, false].map(|keep_disk| Case {
            troubles: vec![trouble],
            keep_disk,
        })
    };
    troubles(reference).into_iter().flat_map(both).collect()
}

/// Two requests or writes, each going wrong in every way.
fn pairs(reference: &Reference) -> Vec<Case> {
    let all = troubles(reference);
    let place = |trouble: &Trouble| match trouble {
        Trouble::Request(number, _) | Trouble::Stale(number, ..) => (0, *number),
        Trouble::Journal(number, _) => (1, *number),
    };
    let mut pairs = Vec::new();
    for (index, one) in all.iter().enumerate() {
        let others = all[index + 1..].iter();
        for other in others.filter(|other| place(other) != place(one)) {
            pairs.push(Case {
                troubles: vec![*one, *other],
                keep_disk: true,
            });
        }
    }
    pairs
}

/// Each kind's looks lag behind by 1 to 8 requests, from every request on.
fn lags(reference: &Reference) -> Vec<Case> {
    let mut lags = Vec::new();
    for number in 0..reference.requests {
        for kind in &reference.kinds {
            for back in 1..=8.min(number + 1) {
                lags.push(Case {
                    troubles: vec![Trouble::Stale(number, kind, back)],
                    keep_disk: true,
                });
            }
        }
    }
    lags
}

/// So many of the cases, or all of them.
fn sample(mut cases: Vec<Case>, most: usize) -> Vec<Case> {
    if cases.len() > most {
        fastrand::Rng::with_seed(SEED).shuffle(&mut cases);
        cases.truncate(most);
    }
    cases
}

/// The run right before the first trouble of a case.
fn branch(reference: &Reference, case: &Case) -> (usize, Sim) {
    let is_before = |(_, sim): &&(usize, Sim)| {
        case.troubles.iter().all(|trouble| match trouble {
            Trouble::Request(number, _) | Trouble::Stale(number, ..) => sim.sent() <= *number,
            Trouble::Journal(number, _) => sim.recorded <= *number,
        })
    };
    let before = reference.branches.iter().take_while(is_before).last();
    let (stage, mut sim) = before.unwrap().clone();
    for trouble in &case.troubles {
        match *trouble {
            Trouble::Request(number, fault) => {
                sim.weather.requests.insert(number, fault);
            }
            Trouble::Journal(number, how) => {
                sim.weather.writes.insert(number, how);
            }
            Trouble::Stale(_, kind, back) => {
                let past: Vec<&Sim> = reference.branches.iter().map(|(_, it)| it).collect();
                sim.remember_from(&past);
                sim.weather.views.insert(kind, (View::Stale(back), LOOKS));
            }
        }
    }
    (stage, sim)
}

/// What is wrong with the world after a run with a fault; nothing if it is as it should be.
fn violation(run: &Run, reference: &Reference, case: &Case) -> Option<String> {
    let (stage, mut sim) = branch(reference, case);
    let mut wrong = Vec::new();
    if !carry_out(reference, stage, &mut sim, case) {
        wrong.push("no rest".to_owned());
    }
    let last = census(run, &mut sim);
    if case.keep_disk {
        if last != reference.last {
            wrong.push(format!("there is {last:?} instead of {:?}", reference.last));
        }
    } else {
        // Without the journal, what is not declared any more is not known to be ours to delete; it
        // stays. Nothing is made twice, and nothing that is declared is missing.
        let count = |census: &Census, name| census.get(name).copied().unwrap_or_default();
        let missing = reference.last.iter();
        let missing = missing.filter(|(name, number)| count(&last, name) < **number);
        wrong.extend(missing.map(|it| format!("missing: {it:?}")));
        let surplus = last.iter();
        let surplus = surplus.filter(|(name, number)| **number > count(&reference.most, name));
        wrong.extend(surplus.map(|it| format!("surplus: {it:?}")));
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

/// Carries cases out on all cores; what was violated.
fn violations(run: &Run, reference: &Reference, cases: &[Case]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let violation = violation(run, reference, case);
                    found.lock().unwrap().extend(violation);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

/// Runs a family of cases over all reference runs; the table of it is printed.
/// `most` says how many of a run's cases are carried out.
fn sweep(family: &str, most: impl Fn(usize) -> usize, cases: fn(&Reference) -> Vec<Case>) {
    println!(
        "{family:<28} {:>8} {:>7} {:>8} {:>7} {:>10}",
        "requests", "writes", "possible", "run", "violations"
    );
    let (mut all, mut done) = (0, 0);
    let mut wrong = Vec::new();
    // `SWEEP=replacement cargo test --test sweep` for those whose name has that in it.
    let wanted = std::env::var("SWEEP").unwrap_or_default();
    for run in RUNS.iter().filter(|run| run.name.contains(&wanted)) {
        let reference = reference(run);
        let cases = cases(&reference);
        let possible = cases.len();
        let cases = sample(cases, most(possible));
        let found = violations(run, &reference, &cases);
        println!(
            "{:<28} {:>8} {:>7} {possible:>8} {:>7} {:>10}",
            run.name,
            reference.requests,
            reference.writes,
            cases.len(),
            found.len()
        );
        (all, done) = (all + possible, done + cases.len());
        wrong.extend(found);
    }
    let percent = done * 100 / all.max(1);
    println!(
        "{:<45} {all:>8} {done:>7} {:>10}  {percent} % run",
        "in all",
        wrong.len()
    );
    assert!(
        wrong.is_empty(),
        "{} violations, the first:\n{}",
        wrong.len(),
        wrong[0]
    );
}

#[test]
fn whatever_goes_wrong_once_the_world_ends_the_same() {
    sweep("one fault", |all| all, singles);
}

#[test]
fn whatever_goes_wrong_twice_the_world_ends_the_same() {
    // Of a large run so many: `PAIRS=1000000` for all of them.
    let most = std::env::var("PAIRS").map_or(400, |it| it.parse().unwrap());
    let of_run = |all| if all <= SMALL { all } else { most };
    sweep("two faults", of_run, pairs);
}

#[test]
fn looks_that_lag_behind_change_nothing() {
    sweep("looks that lag", |all| all, lags);
}
