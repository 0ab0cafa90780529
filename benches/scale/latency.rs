//! From a file that is written to the first request that it causes.

use std::fs;
use std::time::{Duration, Instant};

use crate::cloud::{self, Cloud};
use crate::daemon::{Daemon, manifests as root, once};
use crate::manifests;

/// The directory is read this long after the last notice of a change (`src/daemon/watch.rs`).
const DEBOUNCE: Duration = Duration::from_millis(200);
const CHANGES: u64 = 100;

/// With about this many objects loaded.
pub(crate) fn bench(objects: u64) {
    println!(
        "{:>8} {:>10} {:>10} {:>10} {:>14}",
        "objects", "p50 ms", "p99 ms", "most ms", "cpu ms/change"
    );
    for objects in [objects / 100, objects] {
        one(objects);
    }
}

fn one(objects: u64) {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::start(directory.path(), &["--clock", "fast"]);
    let servers = objects.saturating_sub(manifests::BESIDE) / 3;
    let objects = manifests::write(directory.path(), servers);
    once(&cloud, directory.path(), &["--max-in-flight", "32"]);
    let flags = ["--poll-interval", "1h", "--rescan-interval", "1h"];
    let daemon = Daemon::start(&cloud, directory.path(), &flags);
    daemon.settle(usize::try_from(objects).unwrap());
    std::thread::sleep(Duration::from_secs(5));

    let before = daemon.usage().cpu;
    let mut times: Vec<Duration> = (0..CHANGES)
        .map(|change| {
            // Attached volumes are not extended: a new one is made beside a server that is there.
            let text = manifests::volume(&format!("new{change}"));
            cloud.reset();
            let path = root(directory.path()).join(format!("new{change}.yaml"));
            fs::write(path, text).unwrap();
            let began = Instant::now();
            while cloud::writes(&cloud.requests()) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            let took = began.elapsed();
            std::thread::sleep(Duration::from_secs(3));
            took.saturating_sub(DEBOUNCE)
        })
        .collect();
    let cpu = (daemon.usage().cpu - before) * 1000.0 / CHANGES as f64;
    times.sort();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times[index.min(times.len() - 1)].as_secs_f64() * 1000.0
    };
    println!(
        "{objects:>8} {:>10.1} {:>10.1} {:>10.1} {cpu:>14.0}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    daemon.print_thoughts();
}
