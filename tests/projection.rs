//! `project(create(spec)) == spec`, for every kind there is: specs are generated from the kind's own
//! schema, made by the simulated daemon in the sandbox, and read back through the kind's own list.
//!
//! A new kind is covered without a line here. `KIND=Port,Trunk` looks at these kinds only, `SEED=7` at other
//! specs, `CASES=500` at more of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::print_stdout,
    clippy::panic,
    reason = "what was tried is printed"
)]
#![allow(unreachable_pub, reason = "the parts of a test see each other")]

#[path = "projection/cloud.rs"]
mod cloud;
#[path = "projection/coverage.rs"]
mod coverage;
#[path = "projection/known.rs"]
mod known;
#[path = "projection/laws.rs"]
mod laws;
#[path = "projection/like.rs"]
mod like;
#[path = "projection/schema.rs"]
mod schema;
mod sim;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::Value;
use stackward::kinds::KINDS;
use stackward::kinds::erased::AnyKind;

use cloud::{Cloud, accept};
use coverage::{Coverage, Gap, Lack};
use known::{HINTS, Told, UNREPAIRED, UNTRIED, told, told_in};
use laws::{Means, Outcome, hold, in_place, laws};
use schema::Schema;

/// How many specs are generated at most, for each kind.
const GENERATED: u32 = 20_000;
/// How many of them are made, unless a property is still missing.
const MADE: usize = 12;
/// How many are made at most, while something is lacking, and how many the cloud is asked for.
const MOST: usize = 100;
const TRIED: usize = 3000;
/// How many of those that were made others are from.
const OTHERS: usize = 12;

/// What came of the specs of one kind.
#[derive(Debug)]
struct Tally<'a> {
    kind: &'static dyn AnyKind,
    schema: Schema<'a>,
    generated: usize,
    accepted: usize,
    tried: usize,
    made: usize,
    counts: BTreeMap<&'static str, usize>,
    refusals: BTreeMap<String, usize>,
    complaints: BTreeMap<String, usize>,
    coverage: Coverage,
    /// The properties that have none of their own, or are told as one.
    leaves: BTreeSet<String>,
    /// The properties whose wrong projection would have been noticed.
    compared: BTreeSet<String>,
    /// The fields that somebody changed, and the daemon changed back.
    repaired: BTreeSet<&'static str>,
    /// The specs that were made: what a missing property is set in.
    made_of: Vec<Value>,
}

/// Specs for what is lacking, one gap after the other, and by chance.
#[derive(Debug)]
struct Directed<'a> {
    tally: &'a RefCell<Tally<'a>>,
    any: BoxedStrategy<Value>,
    toward: RefCell<BTreeMap<Gap, BoxedStrategy<Value>>>,
    turn: Cell<usize>,
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn explore(kind: &'static dyn AnyKind, cloud: &Cloud, seed: u64) -> (String, Vec<String>) {
    let schemas = kind.schemas();
    let schema = Schema::new(&schemas.spec);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 60,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let enough = setting("CASES").map_or(MADE, |it| it as usize);
    let tally = RefCell::new(Tally::new(kind, schema));
    let directed = Directed {
        tally: &tally,
        any: schema.strategy(),
        toward: RefCell::default(),
        turn: Cell::new(0),
    };
    let specs = (directed, schema.whole(), any::<Index>());
    let test = |(spec, other, index): (Value, Value, Index)| {
        let gaps = tally.borrow().gaps();
        tally.borrow_mut().generated += 1;
        let Some(wanted) = cloud.wanted(kind, &spec) else {
            let why = accept(kind, &spec).err().unwrap_or_default();
            *tally.borrow_mut().complaints.entry(why).or_default() += 1;
            return Ok(());
        };
        tally.borrow_mut().accepted += 1;
        // When there are enough, only what fills a gap is of interest.
        if tally.borrow().made >= enough && !tally.borrow().may_fill(&gaps, &wanted.spec) {
            return Ok(());
        }
        if let Err(why) = cloud.resolved(&wanted) {
            *tally.borrow_mut().refusals.entry(why).or_default() += 1;
            return Ok(());
        }
        tally.borrow_mut().tried += 1;
        let of = |lack: Lack| gaps.iter().filter(move |gap| gap.lack == lack);
        let mut others = vec![other];
        others.extend(tally.borrow().made_of.iter().rev().take(OTHERS).cloned());
        let means = Means {
            others: &others,
            index,
            uncompared: of(Lack::Comparison).map(|gap| gap.path.as_str()).collect(),
            unrepaired: of(Lack::Repair).map(Gap::field).collect(),
        };
        let outcome = hold(cloud, &wanted, &means);
        let mut tally = tally.borrow_mut();
        match outcome {
            Outcome::Refused(why) => {
                let why = why.split(" (req-").next().unwrap_or_default().to_owned();
                *tally.refusals.entry(why).or_default() += 1;
            }
            Outcome::Held(held) => {
                tally.made += 1;
                tally.coverage.count(schema, &wanted.spec);
                tally.made_of.push(wanted.spec);
                tally.compared.extend(held.compared);
                tally.repaired.extend(held.repaired);
                for law in held.laws {
                    *tally.counts.entry(law).or_default() += 1;
                }
            }
            Outcome::Broken(how) => {
                let manifest =
                    serde_saphyr::to_string(&wanted.manifest(&laws::lifecycle())).unwrap();
                return Err(TestCaseError::fail(format!("{how}\n{manifest}")));
            }
        }
        Ok(())
    };
    let is_enough = || {
        let tally = tally.borrow();
        tally.tried >= TRIED
            || tally.made >= MOST
            || (tally.made >= enough && tally.gaps().is_empty())
    };
    let mut result = Ok(true);
    for _ in 0..GENERATED {
        if result.is_err() || is_enough() {
            break;
        }
        let tree = specs.new_tree(&mut runner).unwrap();
        result = runner.run_one(tree, test);
    }
    let tally = tally.borrow();
    let wrong = match result {
        Ok(_) => tally.wrongs(),
        Err(TestError::Fail(why, (spec, other, _))) => {
            vec![format!("{why}\nas generated: {spec}\nother: {other}")]
        }
        Err(TestError::Abort(why)) => vec![why.to_string()],
    };
    (tally.to_string(), wrong)
}

impl Strategy for Directed<'_> {
    type Tree = Box<dyn ValueTree<Value = Value>>;
    type Value = Value;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let turn = self.turn.replace(self.turn.get() + 1);
        let tally = self.tally.borrow();
        let gaps = tally.gaps();
        if gaps.is_empty() || turn % 4 == 3 {
            return self.any.new_tree(runner);
        }
        let gap = &gaps[(turn - turn / 4) % gaps.len()];
        let mut toward = self.toward.borrow_mut();
        let toward = toward
            .entry(gap.clone())
            .or_insert_with(|| gap.strategy(tally.schema));
        // Every other time into one that was made: what goes with what a schema does not say.
        if tally.made_of.is_empty() || runner.rng().random() {
            return toward.new_tree(runner);
        }
        let made = prop::sample::select(tally.made_of.clone());
        let names: Vec<String> = tally
            .schema
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let field = gap.field().to_owned();
        let with = prop::sample::select(names);
        (toward.clone(), made, with)
            .prop_map(move |(spec, made, with)| grafted(made, &spec, [&field, &with]))
            .boxed()
            .new_tree(runner)
    }
}

/// What was made, with these fields as in `spec`, or left out as there.
fn grafted(mut made: Value, spec: &Value, fields: [&str; 2]) -> Value {
    for name in fields {
        match spec.get(name) {
            Some(value) => made[name] = value.clone(),
            None => drop(made.as_object_mut().and_then(|it| it.remove(name))),
        }
    }
    made
}

#[test]
fn what_is_created_is_what_is_seen_and_stays_so() {
    let seed = setting("SEED").unwrap_or(1);
    let only = std::env::var("KIND").ok();
    let kinds: Vec<_> = KINDS
        .iter()
        .copied()
        .filter(|kind| {
            only.as_deref()
                .is_none_or(|only| only.split(',').any(|it| it == kind.name()))
        })
        .collect();
    println!("seed {seed}");
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let cloud = Cloud::new();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(kind) = kinds.get(at) else { break };
                    let began = Instant::now();
                    let (tally, wrong) = explore(*kind, &cloud, seed);
                    let wrong = wrong.iter().map(|it| format!("{}: {it}", kind.name()));
                    let wrong: Vec<String> = wrong.collect();
                    let line = format!("{:16} {tally} {:.1?}", kind.name(), began.elapsed());
                    println!("{line}");
                    failures.lock().unwrap().extend(wrong);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "again with SEED={seed}:\n{}",
        failures.join("\n\n")
    );
}

impl<'a> Tally<'a> {
    fn new(kind: &'static dyn AnyKind, schema: Schema<'a>) -> Self {
        let coverage = Coverage::new(schema);
        Self {
            kind,
            schema,
            generated: 0,
            accepted: 0,
            tried: 0,
            made: 0,
            counts: BTreeMap::new(),
            refusals: BTreeMap::new(),
            complaints: BTreeMap::new(),
            leaves: (coverage.leaves().iter())
                .map(|path| told_in(kind.name(), path).to_owned())
                .collect(),
            coverage,
            compared: BTreeSet::new(),
            repaired: BTreeSet::new(),
            made_of: Vec::new(),
        }
    }

    /// What was not tried, but for what cannot be: first what was never made.
    fn gaps(&self) -> Vec<Gap> {
        let kind = self.kind.name();
        let mut gaps = self.coverage.gaps();
        let uncompared = self
            .leaves
            .iter()
            .filter(|path| !self.compared.contains(*path) && told(kind, path) != Some(Told::Never));
        gaps.extend(uncompared.map(|path| Gap {
            path: path.clone(),
            lack: Lack::Comparison,
        }));
        let rows = self.kind.rows().into_iter();
        let unrepaired = rows.filter(|row| in_place(row) && !self.repaired.contains(row.name));
        gaps.extend(unrepaired.map(|row| Gap {
            path: format!("/{}", row.name),
            lack: Lack::Repair,
        }));
        let never_set = |path: &str| {
            let unset = format!("{path} was never set");
            HINTS.iter().any(|it| it.0 == kind && it.1 == unset)
        };
        let is_known = |gap: &Gap| match gap.lack {
            Lack::Comparison => never_set(&gap.path),
            Lack::Repair => {
                let mut known = UNREPAIRED.iter();
                known.any(|it| it.0 == kind && it.1 == gap.field())
                    || told(kind, &gap.path) == Some(Told::Never)
                    || never_set(&gap.path)
            }
            _ => {
                let gap = gap.to_string();
                HINTS.iter().any(|it| it.0 == kind && it.1 == gap)
            }
        };
        gaps.retain(|gap| !is_known(gap));
        gaps
    }

    /// Whether a spec fills a gap, as far as can be said before it is tried.
    fn may_fill(&self, gaps: &[Gap], spec: &Value) -> bool {
        if self.coverage.with(self.schema, spec).gaps().len() < self.coverage.gaps().len() {
            return true;
        }
        let shows = |gap: &Gap| {
            matches!(gap.lack, Lack::Comparison | Lack::Repair) && !spec[gap.field()].is_null()
        };
        gaps.iter().any(shows)
    }

    /// What is too little to say anything.
    fn wrongs(&self) -> Vec<String> {
        let mut wrongs: Vec<String> = self.gaps().iter().map(Gap::to_string).collect();
        for law in laws(self.kind) {
            let mut untried = UNTRIED.iter();
            let is_known = untried.any(|it| (it.0, it.1) == (self.kind.name(), law));
            if !is_known && !self.counts.contains_key(law) {
                wrongs.push(format!("the law \"{law}\" was never tried"));
            }
        }
        if self.accepted * 20 < self.generated {
            wrongs.push(format!(
                "only {} of {} specs were accepted: the schema has to say more: {:#?}",
                self.accepted,
                self.generated,
                most(&self.complaints)
            ));
        }
        if self.made * 20 < self.tried || self.made < 10 {
            wrongs.push(format!(
                "only {} of {} specs were made",
                self.made, self.tried
            ));
        }
        if !wrongs.is_empty() {
            wrongs.push(format!("refused: {:#?}", most(&self.refusals)));
            wrongs.push(format!("not accepted: {:#?}", most(&self.complaints)));
        }
        wrongs
    }
}

fn most(counts: &BTreeMap<String, usize>) -> Vec<(usize, &String)> {
    let mut all: Vec<_> = counts.iter().map(|(why, count)| (*count, why)).collect();
    all.sort_by_key(|it| std::cmp::Reverse(it.0));
    all.truncate(8);
    all
}

impl std::fmt::Display for Tally<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:4} generated, {:4} accepted, {:3} tried, {:3} made; {} properties, {} gaps;",
            self.generated,
            self.accepted,
            self.tried,
            self.made,
            self.coverage.len(),
            self.gaps().len()
        )?;
        for (law, count) in &self.counts {
            write!(f, " {law} {count}")?;
        }
        Ok(())
    }
}
