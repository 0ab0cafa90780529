//! Hours of churn: does anything grow that should not?
//!
//! A day of cycles at the default interval of 30 s, at one cycle a second: 2880 looks at everything for 24 hours.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cloud::Cloud;
use crate::daemon::{Daemon, manifests as root, once};
use crate::manifests;

/// Cycles in an hour at the default interval.
const CYCLES: u64 = 120;
const FLAGS: [&str; 12] = [
    "--poll-interval",
    "1s",
    "--prune-grace",
    "1s",
    "--prune-data-grace",
    "1s",
    "--prune-per-cycle",
    "1000",
    "--prune-per-hour",
    "1000000",
    "--max-in-flight",
    "32",
];

/// With about this many objects, for so many simulated hours.
pub(crate) fn bench(objects: u64, hours: u64) {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::start(directory.path(), &["--clock", "fast"]);
    let servers = objects.saturating_sub(manifests::BESIDE) / 3;
    let objects = manifests::write(directory.path(), servers);
    once(&cloud, directory.path(), &["--max-in-flight", "32"]);
    let daemon = Daemon::start(&cloud, directory.path(), &FLAGS);
    daemon.settle(usize::try_from(objects).unwrap());
    let seed = 1;
    println!(
        "{objects} objects, seed {seed}; each cycle one server, its port and its volume go or come back"
    );
    println!(
        "{:>5} {:>9} {:>6} {:>12} {:>8}",
        "hour", "RSS MiB", "files", "journal KiB", "cpu s"
    );
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut gone: Vec<u64> = Vec::new();
    for cycle in 0..=hours * CYCLES {
        if cycle % CYCLES == 0 {
            let usage = daemon.usage();
            println!(
                "{:>5} {:>9.1} {:>6} {:>12} {:>8.0}",
                cycle / CYCLES,
                usage.memory,
                usage.files,
                size(&directory.path().join("state")) / 1024,
                usage.cpu
            );
        }
        // Some are away at any time, never many.
        let path = |index: u64| root(directory.path()).join(format!("s{index:05}.yaml"));
        if gone.len() > 20 {
            let index = gone.swap_remove(rng.usize(..gone.len()));
            fs::write(path(index), manifests::server(index)).unwrap();
        } else {
            let index = rng.u64(..servers);
            if !gone.contains(&index) {
                fs::remove_file(path(index)).unwrap();
                gone.push(index);
            }
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    for index in gone {
        let path = root(directory.path()).join(format!("s{index:05}.yaml"));
        fs::write(path, manifests::server(index)).unwrap();
    }
    daemon.settle(usize::try_from(objects).unwrap());
    println!("all {objects} are there again");
}

/// Bytes of the files in a directory.
fn size(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).unwrap().flatten();
    files.filter_map(|it| Some(it.metadata().ok()?.len())).sum()
}
