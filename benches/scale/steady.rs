//! What a cycle costs in which nothing happens.

use std::time::{Duration, Instant};

use crate::cloud::{self, Cloud};
use crate::daemon::{Daemon, once};
use crate::manifests;

/// How often everything is looked at, and how many of these cycles are measured.
const INTERVAL: Duration = Duration::from_secs(10);
const CYCLES: u32 = 6;

/// With this many servers, each with a port and a volume.
pub(crate) fn bench(sizes: &[u64]) {
    println!(
        "{:>8} {:>8} {:>9} {:>8} {:>9} {:>9} {:>10} {:>12}",
        "servers", "objects", "requests", "pages", "cpu s", "RSS MiB", "wakeups/s", "sandbox MiB"
    );
    let mut points = Vec::new();
    for servers in sizes {
        points.push(one(*servers));
    }
    if let Some((slope, at_none)) = line(&points) {
        println!(
            "CPU s of a cycle = {at_none:.4} + {:.4} for each 1000 objects",
            slope * 1000.0
        );
    }
}

fn one(servers: u64) -> (f64, f64) {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::start(directory.path(), &["--clock", "fast"]);
    let objects = manifests::write(directory.path(), servers);
    once(&cloud, directory.path(), &["--max-in-flight", "32"]);
    let interval = format!("{}s", INTERVAL.as_secs());
    let daemon = Daemon::start(&cloud, directory.path(), &["--poll-interval", &interval]);
    daemon.settle(usize::try_from(objects).unwrap());
    // The manifests are read a second time soon after the start.
    std::thread::sleep(INTERVAL);

    cloud.reset();
    let (before, began) = (daemon.usage(), Instant::now());
    std::thread::sleep(INTERVAL * CYCLES);
    let (after, requests) = (daemon.usage(), cloud.requests());
    // A look comes after 0.9 to 1.1 intervals.
    let seconds = began.elapsed().as_secs_f64();
    let cycles = seconds / INTERVAL.as_secs_f64();
    let of_each = cloud::reads(&requests) as f64 / cycles;
    let pages = 2 * servers.div_ceil(1000) + 1;
    let cpu = (after.cpu - before.cpu) / cycles;
    println!(
        "{servers:>8} {objects:>8} {of_each:>9.1} {pages:>8} {cpu:>9.3} {:>9.0} {:>10.1} {:>12.0}",
        after.memory,
        (after.wakeups - before.wakeups) as f64 / seconds,
        cloud.process.usage().unwrap().memory,
    );
    for ((method, route), count) in &requests {
        println!("    {:>6.1} {method} {route}", *count as f64 / cycles);
    }
    assert_eq!(cloud::writes(&requests), 0, "a silent cycle writes");
    (objects as f64, cpu)
}

/// The line through points by least squares: its slope, and its value at 0.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|it| it.0), mean(|it| it.1));
    let spread: f64 = points.iter().map(|it| (it.0 - x).powi(2)).sum();
    let common: f64 = points.iter().map(|it| (it.0 - x) * (it.1 - y)).sum();
    (spread > 0.0).then(|| (common / spread, y - common / spread * x))
}
