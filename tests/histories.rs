//! Random histories: edits of manifests and of the cloud, faults, crashes, lists that lie. What
//! `play` says must hold throughout does, and in the end the world is as declared.
//!
//! A seed gives the whole history. `HISTORIES=1000000 cargo test --release --test histories` plays
//! more of them, with `FROM=500000` those from that seed on; `SEED=17` plays one. What fails is made
//! as short as it still fails, and its seed belongs into `histories/regressions.txt`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "how much was tried is printed")]

#[path = "histories/catalogue.rs"]
mod catalogue;
#[path = "histories/found.rs"]
mod found;
#[path = "histories/play.rs"]
mod play;
#[path = "histories/rivals.rs"]
mod rivals;
mod sim;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use play::{History, play};

/// What an ordinary run plays: about two and a half minutes on two idle cores, with `cargo simulate`.
const ORDINARY: u64 = 20_000;

/// Seeds that have failed once.
const REGRESSIONS: &str = include_str!("histories/regressions.txt");

/// A panic is a violation like any other.
fn attempt(history: &History) -> Result<u64, String> {
    catch_unwind(AssertUnwindSafe(|| play(history))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        Err(text.unwrap_or_else(|| "it panicked".to_owned()))
    })
}

/// Leaves out what it fails without, until nothing can be left out any more.
fn shrink(mut history: History, mut why: String) -> (History, String) {
    loop {
        let before = history.ops.len();
        let mut at = 0;
        while at < history.ops.len() {
            let mut shorter = history.clone();
            shorter.ops.remove(at);
            match attempt(&shorter) {
                Err(still) => (history, why) = (shorter, still),
                Ok(_) => at += 1,
            }
        }
        if history.ops.len() == before {
            return (history, why);
        }
    }
}

fn wrong(seed: u64) -> Option<String> {
    let history = History::of(seed);
    let why = attempt(&history).err()?;
    let (history, why) = shrink(history, why);
    Some(format!("SEED={seed}\n{history:#?}\n{why}"))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|it| it.parse().unwrap())
}

/// Plays these on all cores; stops beginning new ones after some have failed.
fn play_all(seeds: std::ops::Range<u64>) -> (usize, Vec<String>) {
    let (next, played) = (AtomicU64::new(seeds.start), AtomicUsize::new(0));
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while found.lock().unwrap().len() < 5 {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let wrong = wrong(seed);
                    found.lock().unwrap().extend(wrong);
                    played.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    (played.into_inner(), found.into_inner().unwrap())
}

#[test]
fn whatever_happens_it_is_made_once_and_ends_as_declared() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let from = number("FROM").unwrap_or(0);
            from..from + number("HISTORIES").unwrap_or(ORDINARY)
        }
    };
    let began = Instant::now();
    let (played, wrong) = play_all(seeds.clone());
    println!(
        "{played} histories of seeds {seeds:?} in {:.1} s, {} violations",
        began.elapsed().as_secs_f64(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_failed_once_does_not_fail_again() {
    let lines = REGRESSIONS
        .lines()
        .map(|it| it.split('#').next().unwrap().trim());
    for seed in lines.filter(|it| !it.is_empty()) {
        let wrong = wrong(seed.parse().unwrap());
        assert!(wrong.is_none(), "{}", wrong.unwrap());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        let one = attempt(&History::of(seed)).unwrap();
        let other = attempt(&History::of(seed)).unwrap();
        println!("seed {seed}: {one:016x}");
        assert_eq!(one, other, "seed {seed}");
    }
}
