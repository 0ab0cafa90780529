//! From nothing to everything, beside what the cloud's own speed allows.

use crate::cloud::{self, Cloud};
use crate::daemon::once;
use crate::manifests;

/// What the cloud takes: an answer, and a server until it is ACTIVE, a volume until it is available.
const LATENCY_MS: u64 = 50;
const BOOT_MS: u64 = 5000;
const VOLUME_MS: u64 = 2000;
/// Requests a second of each service.
const PER_SECOND: u64 = 50;

/// With this many servers, each with a port and a volume.
pub(crate) fn bench(servers: u64) {
    let directory = tempfile::tempdir().unwrap();
    let latency = format!("{LATENCY_MS}ms");
    let (boot, volume) = (format!("{BOOT_MS}ms"), format!("{VOLUME_MS}ms"));
    let capped: Vec<String> = ["compute", "volume", "network"]
        .map(|service| format!("{service}={PER_SECOND}"))
        .into();
    let mut flags = vec![
        "--latency",
        &latency,
        "--boot-time",
        &boot,
        "--volume-time",
        &volume,
    ];
    for cap in &capped {
        flags.extend(["--throughput", cap]);
    }
    let cloud = Cloud::start(directory.path(), &flags);
    let objects = manifests::write(directory.path(), servers);
    println!(
        "{servers} servers, each with a port and a volume: {objects} objects; {LATENCY_MS} ms an answer, {PER_SECOND} \
         requests a second of each service, {BOOT_MS} ms a boot"
    );
    println!(
        "{:<8} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7} {:>7}",
        "pass", "seconds", "bound s", "ratio", "cpu s", "peak MiB", "GETs", "writes"
    );
    for pass in ["first", "second"] {
        cloud.reset();
        let outcome = once(&cloud, directory.path(), &[]);
        let requests = cloud.requests();
        let bound = if pass == "first" { bound(servers) } else { 0.0 };
        println!(
            "{pass:<8} {:>9.1} {bound:>9.1} {:>7.2} {:>9.1} {:>9.0} {:>7} {:>7}",
            outcome.seconds,
            outcome.seconds / bound,
            outcome.usage.cpu,
            outcome.usage.peak,
            cloud::reads(&requests),
            cloud::writes(&requests),
        );
        for ((method, route), count) in &requests {
            println!("    {count:>6} {method} {route}");
        }
    }
}

/// What no client can be faster than, in seconds: Nova's two writes for each server (create, attach) at its rate, before
/// that the port of the first one and what that needs, after that the last one's boot and attachment.
fn bound(servers: u64) -> f64 {
    let latency = LATENCY_MS as f64 / 1000.0;
    // Token; network, subnet, port; and the server.
    let before = 4.0 * latency;
    let busy = 2.0 * servers as f64 / PER_SECOND as f64;
    let after = BOOT_MS as f64 / 1000.0 + 2.0 * latency;
    before + busy + after
}
