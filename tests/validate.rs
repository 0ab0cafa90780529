//! `stackward validate` beside what it says of each mistake (`tests/diagnostics.rs`): one file,
//! standard input, what editors read, colours, and `--watch`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod site;

use std::fs;
use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use site::{Daemon, Site, err, out};

const BAD: &str = "apiVersion: stackward.dev/v1alpha1\nkind: Volume\nmetadata: {name: bad}\nspec:\n  \
                   resource:\n    sise: 1\n";

fn given(site: &Site, arguments: &[&str], text: &str) -> Output {
    let mut command = site.command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn editors_get_each_problem_with_its_place() {
    let site = Site::new(&[("good", 1)]);
    fs::write(site.manifests().join("bad.yaml"), BAD).unwrap();
    let output = site.run(&["validate", "-o", "json", "manifests"]);
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(1), ""));
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    let object = json!({"kind": "Volume", "namespace": "default", "name": "bad"});
    let unknown = json!({
        "severity": "error", "code": "unknown-field", "object": object,
        "message": "spec.resource.sise: unknown field", "hint": "did you mean `size`?",
        "file": "bad.yaml", "line": 6, "column": 5, "endColumn": 9,
    });
    assert_eq!(
        (&report["objects"], &report["errors"]),
        (&json!(1), &json!(1))
    );
    assert!(
        report["problems"].as_array().unwrap().contains(&unknown),
        "{report:#}"
    );
}

#[test]
fn one_file_or_standard_input_is_enough_and_what_others_declare_is_not_asked_for() {
    let site = Site::new(&[]);
    let subnet = "apiVersion: stackward.dev/v1alpha1\nkind: Subnet\nmetadata: {name: s}\nspec:\n  \
                  resource: {networkRef: elsewhere, cidr: 10.0.0.0/24}\n";
    fs::write(site.manifests().join("bad.yaml"), BAD).unwrap();
    fs::write(site.manifests().join("subnet.yaml"), subnet).unwrap();

    let one = site.run(&["validate", "manifests/subnet.yaml"]);
    assert_eq!(
        out(&one),
        "1 object, 0 errors, 0 warnings.\n",
        "{}",
        err(&one)
    );
    let strict = site.run(&["validate", "--strict", "manifests/subnet.yaml"]);
    assert_eq!(strict.status.code(), Some(1));

    let other = site.run(&["validate", "manifests/bad.yaml"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(err(&other).contains(" bad.yaml:6:5\n"), "{}", err(&other));

    let piped = given(&site, &["validate", "-"], BAD);
    assert_eq!(piped.status.code(), Some(1));
    assert!(err(&piped).contains(" -:6:5\n"), "{}", err(&piped));
    let watched = given(&site, &["validate", "--watch", "-"], BAD);
    assert!(err(&watched).contains("standard input cannot be watched"));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let site = Site::new(&[]);
    fs::write(site.manifests().join("bad.yaml"), BAD).unwrap();
    let shown = |variables: &[(&str, &str)]| {
        let mut command = site.command(&["validate", "manifests"]);
        err(&command.envs(variables.iter().copied()).output().unwrap())
    };
    let plain = shown(&[]);
    assert!(!plain.contains('\u{1b}'), "no colours in a pipe: {plain:?}");
    let forced = shown(&[("CLICOLOR_FORCE", "1"), ("TERM", "xterm")]);
    assert!(
        forced.contains("\u{1b}[31;1merror[unknown-field]"),
        "{forced:?}"
    );
    assert_eq!(shown(&[("NO_COLOR", "1"), ("TERM", "xterm")]), plain);
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let site = Site::new(&[]);
    let output = site.run(&["validate", "nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("nowhere"), "{}", err(&output));
}

#[test]
fn with_watch_each_change_is_checked_until_a_signal() {
    let site = Site::new(&[("good", 1)]);
    let command = site.command(&["validate", "--watch", "manifests"]);
    let log = fs::File::create(site.directory.path().join("log")).unwrap();
    let mut watch = Daemon::start_to(command, log.into());
    watch.line_with("1 object, 0 errors, 0 warnings.");

    fs::write(site.manifests().join("bad.yaml"), BAD).unwrap();
    watch.line_with("1 object, 1 error, 0 warnings.");
    fs::remove_file(site.manifests().join("bad.yaml")).unwrap();
    watch.line_with("1 object, 0 errors, 0 warnings.");
    fs::write(site.manifests().join("bad.yaml"), BAD).unwrap();
    watch.line_with("1 object, 1 error, 0 warnings.");

    watch.signal("-INT");
    assert_eq!(watch.end(), Some(1), "the status is that of the last look");
    let log = fs::read_to_string(site.directory.path().join("log")).unwrap();
    assert!(log.matches("──── ").count() >= 3, "{log}");
    assert!(log.contains("bad.yaml:6:5"), "{log}");
}

#[test]
fn with_watch_editors_get_a_line_for_each_look() {
    let site = Site::new(&[("good", 1)]);
    let path = "manifests/good.yaml";
    let mut watch = Daemon::start(site.command(&["validate", "-w", "-o", "json", path]));
    let look = |watch: &Daemon, part: &str| {
        let line = watch.line_with(part);
        serde_json::from_str::<Value>(&line).unwrap()
    };
    assert_eq!(look(&watch, "objects")["errors"], 0);
    fs::write(site.manifests().join("good.yaml"), BAD).unwrap();
    assert_eq!(
        look(&watch, "unknown-field")["problems"][0]["file"],
        "good.yaml"
    );
    site.volume("good", 2);
    assert_eq!(look(&watch, "\"errors\":0")["objects"], 1);
    watch.signal("-TERM");
    assert_eq!(watch.end(), Some(0));
}
