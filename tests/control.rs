//! A person's word to a running daemon: `approve`, `pause`, `resume`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod site;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use serde_json::Value;
use site::{Daemon, PATIENCE, Site, cloud, err, get, out, with};
use stackward::sandbox::Running;

const BRISK: [&str; 8] = [
    "--listen",
    "127.0.0.1:0",
    "--poll-interval",
    "1s",
    "--prune-grace",
    "0s",
    "--prune-data-grace",
    "0s",
];

fn volumes() -> [(&'static str, u32); 5] {
    [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)]
}

/// Starts a daemon that has made everything; its endpoint.
fn converged(site: &Site, cloud: &Running) -> (Daemon, String) {
    site.clouds(&cloud.clouds_yaml());
    let daemon = Daemon::start(site.command(&with(&BRISK)));
    let line = daemon.line_with("metrics:   http://");
    let address = line.split("http://").nth(1).unwrap();
    let address = address.split('/').next().unwrap().to_owned();
    let _: String = daemon.line_with("All ");
    (daemon, address)
}

fn status(address: &str) -> Value {
    let answer = get(address, "/status");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The status, as soon as it is like this.
fn status_with(address: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let status = status(address);
        if is_so(&status) {
            return status;
        }
        assert!(Instant::now() < end, "{status:#}");
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_deletion_is_shown_and_approved_by_its_hash() {
    let cloud = cloud().await;
    let site = Site::new(&volumes());
    let (_daemon, address) = converged(&site, &cloud);
    let approve = |more: &[&str]| {
        let mut arguments = vec!["approve", "--state-dir", "state"];
        arguments.extend(more);
        site.run(&arguments)
    };
    assert_eq!(out(&approve(&[])), "nothing waits for approval\n");

    for name in ["a", "b", "c", "d"] {
        fs::remove_file(site.manifests().join(format!("{name}.yaml"))).unwrap();
    }
    let frozen = status_with(&address, |status| status["frozen"].is_object());
    let hash = frozen["frozen"]["hash"].as_str().unwrap();
    assert_eq!(
        out(&approve(&[])),
        format!(
            "4 of 5 managed objects would be deleted:\n  Volume/a\n  Volume/b\n  Volume/c\n  \
             Volume/d\nstackward approve {hash}\n"
        )
    );
    let refused = approve(&["000000000000"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains(hash), "{}", err(&refused));

    let approved = approve(&[hash]);
    assert_eq!(approved.status.code(), Some(0), "{}", err(&approved));
    let gone = |status: &Value| status["objects"].as_object().unwrap().len() == 1;
    let _: Value = status_with(&address, gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_the_process_and_only_its_own_user_may_speak() {
    let cloud = cloud().await;
    let site = Site::new(&volumes());
    let (mut daemon, _) = converged(&site, &cloud);
    let socket = site.directory.path().join("state/control.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let said = site.run(&["pause", "--state-dir", "state"]);
    assert_eq!(said.status.code(), Some(0), "{}", err(&said));
    daemon.signal("-KILL");
    let _: Option<i32> = daemon.end();
    let silent = site.run(&["resume", "--state-dir", "state"]);
    assert!(
        err(&silent).contains("is the daemon running"),
        "{}",
        err(&silent)
    );

    site.volume("new", 1);
    let (_daemon, address) = {
        let daemon = Daemon::start(site.command(&with(&BRISK)));
        let line = daemon.line_with("metrics:   http://");
        let address = line.split("http://").nth(1).unwrap();
        (daemon, address.split('/').next().unwrap().to_owned())
    };
    let suspended =
        |status: &Value| status["objects"]["Volume/default/new"]["reason"] == "Suspended";
    let status = status_with(&address, suspended);
    assert!(status["paused"].as_str().unwrap().contains("resume"));

    let said = site.run(&["resume", "--state-dir", "state"]);
    assert_eq!(said.status.code(), Some(0), "{}", err(&said));
    let made = |status: &Value| status["objects"]["Volume/default/new"]["reason"] == "InSync";
    let status = status_with(&address, made);
    assert_eq!(status["paused"], Value::Null);
}
