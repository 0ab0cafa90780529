//! The real program tells a webhook what happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod site;

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::Value;
use site::{Daemon, PATIENCE, Site, cloud, with};
use tokio::net::TcpListener;

type Got = Arc<Mutex<Vec<Value>>>;

async fn take(State(got): State<Got>, body: String) {
    got.lock()
        .unwrap()
        .push(serde_json::from_str(&body).unwrap());
}

async fn eventually(got: &Got, event: &str, name: Option<&str>) -> Value {
    let end = Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        let found = got
            .lock()
            .unwrap()
            .iter()
            .find(|it| it["event"] == event && name.is_none_or(|name| it["object"]["name"] == name))
            .cloned();
        if let Some(found) = found {
            return found;
        }
        assert!(Instant::now() < end, "{event}: {:?}", got.lock().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_after_the_first_look_is_told() {
    let got = Got::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/s3cret-path", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/s3cret-path", post(take))
        .with_state(Arc::clone(&got));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let cloud = cloud().await;
    let site = Site::new(&[("old", 1)]);
    site.clouds(&cloud.clouds_yaml());
    // What is there at the first look is no news.
    assert!(site.run(&with(&["--once"])).status.success());
    let arguments = with(&[
        "--listen",
        "127.0.0.1:0",
        "--webhook-url",
        &url,
        "--prune-grace",
        "0s",
        "--prune-data-grace",
        "0s",
    ]);
    let mut daemon = Daemon::start(site.command(&arguments));
    daemon.line_with("metrics:");
    site.volume("new", 1);
    let told = eventually(&got, "Available", Some("new")).await;
    assert_eq!(told["text"], "Volume/default/new is Available");
    assert_eq!(told["object"]["kind"], "Volume");
    assert!(told["object"]["id"].is_string());

    fs::write(site.manifests().join("bad.yaml"), "kind: [").unwrap();
    let told = eventually(&got, "ManifestProblem", None).await;
    assert!(
        told["text"].as_str().unwrap().contains("bad.yaml:1:"),
        "{told}"
    );
    fs::remove_file(site.manifests().join("bad.yaml")).unwrap();

    fs::remove_file(site.manifests().join("new.yaml")).unwrap();
    eventually(&got, "Removed", Some("new")).await;
    let old = got
        .lock()
        .unwrap()
        .iter()
        .any(|it| it["object"]["name"] == "old");
    assert!(!old, "{:?}", got.lock().unwrap());
    daemon.signal("-TERM");
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn a_webhook_that_cannot_be_is_refused_at_the_start() {
    let site = Site::new(&[]);
    for (flags, said) in [
        (
            &["--webhook-url", "hooks.example.com"][..],
            "expected an address",
        ),
        (
            &["--webhook-rate", "5"],
            "--webhook-rate without an address",
        ),
        (
            &[
                "--webhook-url",
                "http://127.0.0.1:1/",
                "--webhook-token-file",
                "nowhere",
                "--listen",
                "none",
            ],
            "cannot read nowhere",
        ),
    ] {
        let output = site.run(&with(flags));
        assert!(!output.status.success(), "{flags:?}");
        let words = site::err(&output);
        assert!(words.contains(said), "{flags:?}: {words}");
    }
}
