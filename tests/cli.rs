//! The program as a person or a script runs it, against the simulated cloud.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod site;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use site::{Daemon, Site, cloud, err, get, out, reads, with, writes};

#[test]
fn validate_shows_the_line_and_ends_with_1() {
    let site = Site::new(&[("good", 1)]);
    let output = site.run(&["validate", "manifests"]);
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(0), "1 object, 0 errors, 0 warnings.\n")
    );

    fs::write(
        site.manifests().join("bad.yaml"),
        "apiVersion: stackward.dev/v1alpha1\nkind: Volume\nmetadata:\n  name: bad\nspec:\n  resource:\n    sise: 1\n",
    )
    .unwrap();
    let output = site.run(&["validate", "manifests"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = err(&output);
    for part in [
        "bad.yaml:7:5",
        "    sise: 1\n",
        "^^^^",
        "did you mean `size`",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
}

#[test]
fn a_reference_to_nothing_is_a_warning_and_with_strict_an_error() {
    let site = Site::new(&[]);
    fs::write(
        site.manifests().join("subnet.yaml"),
        "apiVersion: stackward.dev/v1alpha1\nkind: Subnet\nmetadata: {name: s}\nspec:\n  resource:\n    \
         networkRef: nowhere\n    ipVersion: 4\n    cidr: 10.0.0.0/24\n",
    )
    .unwrap();
    let output = site.run(&["validate", "manifests"]);
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(0), "1 object, 0 errors, 1 warning.\n")
    );
    assert!(err(&output).contains("Network/nowhere"), "{}", err(&output));
    assert_eq!(
        site.run(&["validate", "--strict", "manifests"])
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn a_wrong_command_line_ends_with_2_and_a_hint() {
    let site = Site::new(&[]);
    assert_eq!(site.run(&["run", "--no-such-flag"]).status.code(), Some(2));
    let output = site.run(&["run", "--manifests", "nowhere", "--poll-interval", "1ms"]);
    assert_eq!(output.status.code(), Some(2));
    let shown = err(&output);
    for part in ["--poll-interval is 1ms", "cannot read `nowhere`", "hint: "] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    let output = site.run(&["run", "--manifests", "manifests", "--poll-interval", "soon"]);
    assert!(
        err(&output).contains("30s, 10m or 1h30m"),
        "{}",
        err(&output)
    );
}

#[test]
fn the_embedded_cloud_needs_nothing_but_manifests() {
    let site = Site::new(&[("a", 1), ("b", 2)]);
    let output = site.run(&[
        "run",
        "--once",
        "--manifests",
        "manifests",
        "--cloud",
        "sandbox",
    ]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        out(&output),
        err(&output)
    );
    assert!(
        out(&output).ends_with("All 2 objects are Available.\n"),
        "{}",
        out(&output)
    );
    assert!(!out(&output).contains('\u{1b}'), "no colours in a pipe");
    let left: Vec<_> = fs::read_dir(site.directory.path())
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(left, ["manifests"], "its state ends with the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_only_reads_and_a_second_run_as_well() {
    let cloud = cloud().await;
    let site = Site::new(&[("a", 1), ("b", 2)]);
    site.clouds(&cloud.clouds_yaml());
    let plan = [
        "plan",
        "--detailed-exitcode",
        "--manifests",
        "manifests",
        "--cloud",
        "sandbox-admin",
        "--state-dir",
        "state",
    ];
    let output = site.run(&plan);
    assert_eq!(
        output.status.code(),
        Some(2),
        "{}{}",
        out(&output),
        err(&output)
    );
    assert_eq!(
        out(&output),
        "  + create\n\n  + Volume/a create\n  + Volume/b create\n\nPlan: 2 to create, 0 to change, 0 to replace, 0 to delete.\n"
    );
    assert_eq!(writes(&cloud), Vec::<String>::new());
    assert!(!site.directory.path().join("state").exists());

    let output = site.run(&with(&["--once"]));
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        out(&output),
        err(&output)
    );
    cloud.world().reset_requests();
    assert_eq!(site.run(&with(&["--once"])).status.code(), Some(0));
    assert_eq!(writes(&cloud), Vec::<String>::new());
    let of_two = reads(&cloud);

    for number in 0..20 {
        site.volume(&format!("more{number}"), 1);
    }
    assert_eq!(site.run(&with(&["--once"])).status.code(), Some(0));
    cloud.world().reset_requests();
    assert_eq!(site.run(&with(&["--once"])).status.code(), Some(0));
    assert_eq!(
        reads(&cloud),
        of_two,
        "the number of reads does not grow with the objects"
    );

    let output = site.run(&plan);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        out(&output),
        err(&output)
    );
    assert_eq!(
        out(&output),
        "Nothing to do: the cloud is as the manifests say.\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_with_1_and_says_why() {
    let cloud = cloud().await;
    let site = Site::new(&[("good", 1)]);
    let ends = |site: &Site, part: &str| {
        let output = site.run(&with(&["--once", "--timeout", "50s"]));
        assert_eq!(output.status.code(), Some(1), "{}", out(&output));
        let shown = format!("{}{}", out(&output), err(&output));
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    };
    site.clouds("clouds: {other: {}}\n");
    ends(&site, "cloud `sandbox-admin` is not in");
    site.clouds(
        &cloud
            .clouds_yaml()
            .replace("password: \"", "password: \"not-"),
    );
    ends(&site, "refused the credentials");
    site.clouds(&cloud.clouds_yaml());
    fs::write(site.manifests().join("bad.yaml"), "kind: [\n").unwrap();
    ends(&site, "1 problems in the manifests");
    let listed = site.run(&with(&["--once", "--timeout", "50s"]));
    assert!(
        out(&listed).contains("Volume/good") || out(&listed).contains("good"),
        "{}",
        out(&listed)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_follows_its_directory_answers_and_ends_on_sigterm() {
    let cloud = cloud().await;
    let site = Site::new(&[("a", 1)]);
    site.clouds(&cloud.clouds_yaml());
    let mut daemon =
        Daemon::start(site.command(&with(&["--listen", "127.0.0.1:0", "--log-level", "error"])));
    let line = daemon.line_with("metrics:");
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .trim_end_matches("/metrics")
        .to_owned();
    daemon.line_with("The object is Available.");
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"));
    let metrics = get(&address, "/metrics");
    for part in [
        r#"stackward_objects{condition="Available",kind="Volume",status="True"} 1"#,
        r#"stackward_reconcile_steps_total{intent="create",kind="Volume",outcome="done"} 1"#,
        r#"stackward_api_requests_total{cloud="sandbox-admin",method="POST",outcome="202",route="volumes",service="block-storage"} 1"#,
        r#"stackward_list_age_seconds{cloud="sandbox-admin",kind="Volume"}"#,
        r#"stackward_journal_writes_total{outcome="done"}"#,
        r#"stackward_token_expiry_timestamp_seconds{cloud="sandbox-admin"}"#,
    ] {
        assert!(metrics.contains(part), "{part} is not in:\n{metrics}");
    }
    let url = format!("http://{address}");
    let status = site.run(&["status", "--address", &url]);
    assert_eq!(
        status.status.code(),
        Some(0),
        "{}{}",
        out(&status),
        err(&status)
    );
    assert!(
        out(&status).contains("1 of 1 objects are Available"),
        "{}",
        out(&status)
    );

    let second = site.run(&with(&["--listen", "none"]));
    assert_eq!(second.status.code(), Some(1));
    assert!(
        err(&second).contains("is in use by another stackward"),
        "{}",
        err(&second)
    );
    let busy = site.run(&[
        "run",
        "--manifests",
        "manifests",
        "--cloud",
        "sandbox",
        "--listen",
        &address,
    ]);
    assert!(
        err(&busy).contains("hint: another process listens there"),
        "{}",
        err(&busy)
    );

    site.volume("b", 1);
    daemon.line_with("All 2 objects are Available.");
    daemon.signal("-TERM");
    assert_eq!(daemon.end(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_the_settings_again() {
    let cloud = cloud().await;
    let site = Site::new(&[("a", 1), ("b", 1)]);
    site.clouds(&cloud.clouds_yaml());
    let file = site.directory.path().join("stackward.yaml");
    std::fs::write(&file, "pruneDataGrace: 10h\n").unwrap();
    let more = [
        "--config",
        "stackward.yaml",
        "--listen",
        "none",
        "--log-level",
        "error",
    ];
    let mut daemon = Daemon::start(site.command(&with(&more)));
    daemon.line_with("All 2 objects are Available.");
    std::fs::remove_file(site.manifests().join("b.yaml")).unwrap();
    daemon.line_with("Volume/b");
    let volumes = || {
        cloud
            .requests()
            .iter()
            .filter(|it| it.method == "DELETE")
            .count()
    };
    assert_eq!(volumes(), 0);
    // A file that cannot be used changes nothing.
    std::fs::write(&file, "pruneDataGrace: soon\n").unwrap();
    daemon.signal("-HUP");
    std::fs::write(&file, "pruneDataGrace: 0s\n").unwrap();
    daemon.signal("-HUP");
    daemon.line_with("The object is Available.");
    assert_eq!(volumes(), 1);
    daemon.signal("-TERM");
    assert_eq!(daemon.end(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_again_and_again_makes_each_volume_once() {
    let cloud = cloud().await;
    let names: Vec<String> = (0..12).map(|number| format!("v{number}")).collect();
    let volumes: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let site = Site::new(&volumes);
    site.clouds(&cloud.clouds_yaml());
    let more = [
        "--listen",
        "none",
        "--uncertain-window",
        "2s",
        "--poll-interval",
        "1s",
        "--log-level",
        "error",
    ];
    for _ in 0..3 {
        let daemon = Daemon::start(site.command(&with(&more)));
        daemon.line_with("Volume/v");
    }
    let once: Vec<&str> = more.iter().copied().chain(["--once"]).collect();
    let output = site.run(&with(&once));
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        out(&output),
        err(&output)
    );
    let posts = cloud.requests();
    let posts = posts
        .iter()
        .find(|it| it.method == "POST" && it.route.ends_with("volumes"));
    assert_eq!(posts.map(|it| it.count), Some(12));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_address_is_an_error_with_a_hint() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let site = Site::new(&[]);
    let output = site.run(&["status", "--address", &format!("http://{free}")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("hint: is the daemon running?"),
        "{}",
        err(&output)
    );
}

#[test]
fn the_sandbox_writes_a_clouds_yaml_and_says_how_to_use_it() {
    let site = Site::new(&[]);
    let mut sandbox = Daemon::start(site.command(&[
        "sandbox",
        "--listen",
        "127.0.0.1:0",
        "--clock",
        "fast",
        "--write-clouds",
        "clouds.yaml",
    ]));
    let line = sandbox.line_with("export OS_CLIENT_CONFIG_FILE=");
    assert!(Path::new(line.split('=').nth(1).unwrap()).is_absolute());
    let text = fs::read_to_string(site.directory.path().join("clouds.yaml")).unwrap();
    assert!(text.contains("sandbox-admin:"), "{text}");
    sandbox.signal("-INT");
    assert_eq!(sandbox.end(), Some(0));
}

#[test]
fn a_speed_that_the_sandbox_cannot_have_is_refused_in_words() {
    let site = Site::new(&[]);
    for (flag, value, words) in [
        ("--latency", "fast", "expected a time like 20ms"),
        ("--latency", "200ms..20ms", "less than the median"),
        ("--latency", "compete=1s", "expected a service"),
        ("--throughput", "compute", "expected SERVICE=NUMBER"),
        ("--throughput", "compute=0", "above 0"),
        ("--page-size", "identity=5", "have no pages"),
        ("--page-size", "image=-1", "above 0"),
    ] {
        let output = site.run(&["sandbox", flag, value]);
        assert_eq!(output.status.code(), Some(2), "{flag} {value}");
        assert!(err(&output).contains(words), "{}", err(&output));
    }
}

#[test]
fn the_schema_of_one_kind_is_json_and_an_unknown_kind_an_error() {
    let site = Site::new(&[]);
    let output = site.run(&["schema", "Volume"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["properties"]["kind"]["const"], "Volume");
    let output = site.run(&["schema", "Volumes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("the kinds are "), "{}", err(&output));
}
