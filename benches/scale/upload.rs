//! An image of this size, beside `curl -T` of the same file to the same endpoint.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::daemon::{Daemon, manifests};

const API: &str = "apiVersion: stackward.dev/v1alpha1";

pub(crate) fn bench(mib: u64) {
    let directory = tempfile::tempdir().unwrap();
    let cloud = Cloud::start(directory.path(), &["--clock", "fast"]);
    let root = manifests(directory.path());
    fs::create_dir_all(&root).unwrap();
    let disk = root.join("disk.raw");
    // Not of zeros alone: a file with holes is read faster than one that is on a disk.
    let wrote = Command::new("dd")
        .args(["if=/dev/urandom", "bs=1M", "status=none"])
        .arg(format!("count={mib}"))
        .arg(format!("of={}", disk.display()))
        .status();
    assert!(wrote.unwrap().success());

    let daemon = Daemon::start(&cloud, directory.path(), &["--rescan-interval", "1h"]);
    daemon.settle(0);
    std::thread::sleep(Duration::from_secs(3));
    let idle = daemon.usage();
    let manifest = format!(
        "{API}\nkind: Image\nmetadata: {{name: base}}\n\
         spec: {{resource: {{content: {{diskFormat: raw, file: disk.raw}}}}}}\n"
    );
    fs::write(root.join("image.yaml"), manifest).unwrap();
    let (began, mut most) = (Instant::now(), 0.0_f64);
    while daemon.status()["objects"]["Image/default/base"]["reason"] != "InSync" {
        most = most.max(daemon.usage().memory);
        std::thread::sleep(Duration::from_millis(50));
    }
    let whole = began.elapsed().as_secs_f64();
    let upload = daemon
        .metric(r#"stackward_reconcile_step_duration_seconds_sum{intent="upload",kind="Image"}"#);
    let used = daemon.usage().cpu - idle.cpu;
    let curl = with_curl(&cloud, &disk.display().to_string());
    let speed = |seconds: f64| mib as f64 / seconds;
    println!("{mib} MiB");
    println!("{:<12} {:>9} {:>9} {:>9}", "", "seconds", "MiB/s", "cpu s");
    println!("{:<12} {curl:>9.1} {:>9.0}", "curl -T", speed(curl));
    println!(
        "{:<12} {upload:>9.1} {:>9.0} {used:>9.1}",
        "stackward",
        speed(upload)
    );
    println!("{:<12} {whole:>9.1}", "file to InSync");
    println!(
        "throughput {:.2} of curl's; memory {:.0} MiB idle, {most:.0} MiB at most while uploading",
        curl / upload,
        idle.memory
    );
}

/// Seconds of the transfer.
fn with_curl(cloud: &Cloud, file: &str) -> f64 {
    let base = format!("http://{}", cloud.address);
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["-sS", "--fail"])
            .args(arguments)
            .output();
        let output = output.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let domain = json!({"id": "default"});
    let login = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user":
            {"name": "demo", "domain": domain, "password": "let-me-in"}}},
        "scope": {"project": {"name": "demo", "domain": domain}}}});
    let tokens = format!("{base}/identity/v3/auth/tokens");
    let json_body = "Content-Type: application/json";
    let head = curl(&[
        "-D-",
        "-o/dev/null",
        "-H",
        json_body,
        "-d",
        &login.to_string(),
        &tokens,
    ]);
    let token = head
        .lines()
        .find_map(|line| {
            Some(line.split_once(": ")?).filter(|it| it.0.eq_ignore_ascii_case("x-subject-token"))
        })
        .unwrap()
        .1
        .trim();
    let token = format!("X-Auth-Token: {token}");
    let image = json!({"name": "by curl", "disk_format": "raw", "container_format": "bare"});
    let images = format!("{base}/image/v2/images");
    let answer = curl(&[
        "-H",
        &token,
        "-H",
        json_body,
        "-d",
        &image.to_string(),
        &images,
    ]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let data = format!("{images}/{}/file", answer["id"].as_str().unwrap());
    let kind = "Content-Type: application/octet-stream";
    let took = curl(&[
        "-H",
        &token,
        "-H",
        kind,
        "-w",
        "%{time_total}",
        "-T",
        file,
        &data,
    ]);
    took.parse().unwrap()
}
