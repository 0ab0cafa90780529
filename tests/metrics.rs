//! The metrics of the real program against the simulated cloud; and the names that rules and dashboard
//! use against the table of metrics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod site;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use site::{Daemon, PATIENCE, Site, cloud, get, with};
use stackward::daemon::metrics::{FAMILIES, Family, Type};
use stackward::sandbox::{Effect, Rule, Running};

/// One scrape.
struct Scrape(String);

impl Scrape {
    fn of(address: &str) -> Self {
        let answer = get(address, "/metrics");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Self(body.to_owned())
    }

    fn value(&self, series: &str) -> Option<f64> {
        let mut lines = self.0.lines();
        lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Every metric with its labels, as they are written.
    fn series(&self) -> impl Iterator<Item = &str> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').unwrap().0)
    }
}

async fn eventually(address: &str, what: &str, holds: impl Fn(&Scrape) -> bool) -> Scrape {
    let end = Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        let scrape = Scrape::of(address);
        if holds(&scrape) {
            return scrape;
        }
        assert!(Instant::now() < end, "{what}:\n{}", scrape.0);
    }
}

/// The family of a sample: a histogram has three.
fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| {
        let part = name.strip_prefix(family.name);
        part == Some("")
            || family.kind == Type::Histogram && matches!(part, Some("_bucket" | "_sum" | "_count"))
    })
}

/// Somebody else renames a volume.
async fn rename(cloud: &Running, from: &str, to: &str) {
    let client = reqwest::Client::new();
    let login = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": "admin", "domain": {"id": "default"},
            "password": cloud.world().options().password.clone()}}},
        "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
    }});
    let url = format!("{}/identity/v3/auth/tokens", cloud.url());
    let answer = client.post(url).body(login.to_string()).send().await;
    let token = answer.unwrap().headers()["x-subject-token"].clone();
    let volumes = format!("{}/volume/v3/volumes", cloud.url());
    let listed = client.get(&volumes).header("x-auth-token", token.clone());
    let listed = listed.send().await.unwrap().text().await.unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let found = listed["volumes"].as_array().unwrap();
    let found = found.iter().find(|it| it["name"] == from).unwrap();
    let url = format!("{volumes}/{}", found["id"].as_str().unwrap());
    let body = json!({"volume": {"name": to}}).to_string();
    let changed = client.put(url).header("x-auth-token", token).body(body);
    assert_eq!(changed.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_are_those_of_the_world() {
    let cloud = cloud().await;
    let site = Site::new(&[("a", 1), ("b", 2)]);
    fs::write(site.manifests().join("image.raw"), [7; 5000]).unwrap();
    fs::write(
        site.manifests().join("image.yaml"),
        "apiVersion: stackward.dev/v1alpha1\nkind: Image\nmetadata: {name: image}\n\
         spec: {resource: {content: {diskFormat: raw, containerFormat: bare, file: image.raw}}}\n",
    )
    .unwrap();
    site.clouds(&cloud.clouds_yaml());
    let more = ["--listen", "127.0.0.1:0", "--poll-interval", "1s"];
    let mut daemon = Daemon::start(site.command(&with(&more)));
    let line = daemon.line_with("metrics:");
    let address = line.split("http://").nth(1).unwrap();
    let address = address.trim_end_matches("/metrics").to_owned();
    daemon.line_with("All 3 objects are Available.");

    let scrape = eventually(&address, "all is quiet", |it| {
        it.value(r#"stackward_object_reasons{kind="Image",reason="InSync"}"#) == Some(1.0)
    })
    .await;
    for (series, value) in [
        (
            r#"stackward_objects{condition="Available",kind="Volume",status="True"}"#,
            2.0,
        ),
        (
            r#"stackward_time_to_available_seconds_count{kind="Volume"}"#,
            2.0,
        ),
        (
            r#"stackward_time_to_available_seconds_count{kind="Image"}"#,
            1.0,
        ),
        (
            r#"stackward_reconcile_steps_total{intent="create",kind="Volume",outcome="done"}"#,
            2.0,
        ),
        (
            r#"stackward_reconcile_step_duration_seconds_count{intent="create",kind="Volume"}"#,
            2.0,
        ),
        (
            r#"stackward_requests_in_flight{cloud="sandbox-admin",service="block-storage"}"#,
            0.0,
        ),
        (
            r#"stackward_queue_length{cloud="sandbox-admin",service="block-storage"}"#,
            0.0,
        ),
        (
            r#"stackward_progressing_oldest_seconds{kind="Volume"}"#,
            0.0,
        ),
        (r#"stackward_cloud_connected{cloud="sandbox-admin"}"#, 1.0),
        (r#"stackward_journal_writes_total{outcome="failed"}"#, 0.0),
        ("stackward_upload_bytes_total", 5000.0),
        ("stackward_ready", 1.0),
        ("stackward_paused", 0.0),
    ] {
        assert_eq!(scrape.value(series), Some(value), "{series}\n{}", scrape.0);
    }
    assert_eq!(
        scrape.value("stackward_journal_write_duration_seconds_count"),
        scrape.value(r#"stackward_journal_writes_total{outcome="done"}"#)
    );

    let quota = r#"stackward_quota_limit{cloud="sandbox-admin",resource="gigabytes"}"#;
    assert!(scrape.value(quota).is_some(), "{}", scrape.0);

    rename(&cloud, "b", "theirs").await;
    eventually(&address, "the drift is repaired", |it| {
        it.value(r#"stackward_drift_repaired_total{kind="Volume"}"#) == Some(1.0)
            && it.value(r#"stackward_drift_found_total{kind="Volume"}"#) == Some(1.0)
    })
    .await;

    let status = 429;
    let headers = vec![("Retry-After".to_owned(), "1".to_owned())];
    let body = Value::Null;
    let busy = Effect::Answer {
        status,
        body,
        headers,
    };
    let rule = Rule::new("volume", busy).on("GET", "/v3/volumes*").times(1);
    cloud.world().add_fault(rule);
    let labels =
        r#"{cloud="sandbox-admin",method="GET",route="volumes/detail",service="block-storage"}"#;
    let scrape = eventually(&address, "it was throttled once", |it| {
        it.value(&format!("stackward_api_retries_total{labels}")) == Some(1.0)
            && it.value(&format!("stackward_api_throttled_total{labels}")) == Some(1.0)
    })
    .await;

    for family in FAMILIES {
        let help = format!("# HELP {} {}", family.name, family.help);
        let kind = format!("# TYPE {} {}", family.name, family.kind.as_str());
        if scrape.series().any(|it| it.starts_with(family.name)) {
            assert!(scrape.0.lines().any(|line| line == help), "{help}");
            assert!(scrape.0.lines().any(|line| line == kind), "{kind}");
        }
    }
    for series in scrape.series() {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let family = family(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let labels: BTreeSet<&str> = labels
            .trim_end_matches('}')
            .split("\",")
            .filter_map(|label| Some(label.split_once('=')?.0))
            .filter(|label| *label != "le")
            .collect();
        let wanted: BTreeSet<&str> = family.labels.iter().copied().collect();
        assert_eq!(labels, wanted, "{series}");
    }
    daemon.signal("-TERM");
    assert_eq!(daemon.end(), Some(0));
}

/// What looks like the name of a metric, or of a recording rule.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')));
    words
        .filter(|word| {
            let base = word.split(':').nth(1).unwrap_or(word);
            base.starts_with("stackward_") || base.starts_with("process_")
        })
        .collect()
}

#[test]
fn every_metric_that_a_rule_or_the_dashboard_names_exists() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let read = |path: &str| fs::read_to_string(deploy.join(path)).unwrap();
    let rules = read("prometheus/stackward.rules.yml");
    let recorded: BTreeSet<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- record: "))
        .collect();
    assert!(!recorded.is_empty());
    let tests = read("prometheus/stackward.test.yml");
    let dashboard = read("grafana/stackward.json");
    let _: Value = serde_json::from_str(&dashboard).unwrap();
    let mut used = BTreeSet::new();
    for (file, text) in [
        ("rules", &rules),
        ("tests", &tests),
        ("dashboard", &dashboard),
    ] {
        for name in names(text) {
            let known = recorded.contains(name) || family(name).is_some();
            assert!(known, "{file}: {name} is no metric");
            used.insert(family(name).map_or(name, |family| family.name));
        }
    }
    for name in recorded {
        assert!(tests.contains(name), "no test asks for {name}");
    }
    for alert in rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        assert!(
            tests.contains(&format!("alertname: {alert}\n")),
            "no test lets {alert} fire"
        );
    }
    let unused: Vec<&str> = FAMILIES
        .iter()
        .map(|family| family.name)
        .filter(|name| !used.contains(name))
        .collect();
    // What has no use on a dashboard: sizes that say nothing, and what another one says better.
    assert_eq!(unused, ["process_virtual_memory_bytes", "process_max_fds"]);
}
