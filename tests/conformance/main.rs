//! Requests and the shape of their answers, refusals and changes of state included: the same file is told to the
//! sandbox and to a real OpenStack, so that neither the kinds nor the sandbox rest on what we think an API does.
//!
//! ```text
//! cargo test --test conformance
//! STACKWARD_TEST_ADMIN=admin cargo test --test conformance -- --ignored --nocapture
//! ```
//!
//! `STACKWARD_TEST_ADMIN` names a cloud of an administrator in the clouds.yaml of `OS_CLIENT_CONFIG_FILE`;
//! `CONFORMANCE=network,image` tells only those stories.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what went wrong by its panic"
)]
#![allow(clippy::print_stderr, reason = "how much was asked is printed")]

mod cloud;
mod coverage;
mod echo;
mod pattern;
mod run;
mod story;

use serde_json::{Value, json};
use stackward::kinds::KINDS;
use stackward::kinds::call::{Call, Method, Service};

use cloud::Cloud;
use pattern::Names;
use run::Report;

#[tokio::test]
async fn the_sandbox_answers_as_the_file_says() {
    let names = [
        ("auth_url", "http://127.0.0.1:5000/identity/v3"),
        ("password", "let-me-in"),
    ];
    conclude(&run::run(Cloud::sandbox(), reach(names, "sandbox"), &chosen()).await);
}

#[tokio::test]
#[ignore = "needs a real cloud: set STACKWARD_TEST_ADMIN and add --ignored"]
async fn a_real_openstack_answers_as_the_file_says() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let file = variable("OS_CLIENT_CONFIG_FILE");
    let text = std::fs::read_to_string(&file).unwrap();
    let clouds: Value = serde_saphyr::from_str(&text).unwrap();
    let auth = &clouds["clouds"][variable("STACKWARD_TEST_ADMIN")]["auth"];
    let names = ["auth_url", "password"].map(|name| {
        let value = auth[name].as_str();
        (name, value.unwrap_or_else(|| panic!("no {name} in {file}")))
    });
    let run = uuid::Uuid::new_v4().simple().to_string();
    let report = run::run(Cloud::real(), reach(names, &run[..8]), &chosen()).await;
    conclude(&report);
}

#[test]
fn every_kind_is_listed_read_and_deleted_by_a_step() {
    for kind in KINDS {
        assert_eq!(
            coverage::lacking_list(&kind.list()),
            None,
            "{}",
            kind.name()
        );
        let id = match kind.name() {
            "RoleAssignment" => "projects/p/users/u/roles/r",
            _ => "id",
        };
        let read = kind.read(id);
        let delete = Call {
            method: Method::Delete,
            ..read.clone()
        };
        // A router's interface is a port that is taken away by an action of the router.
        let calls = match kind.name() {
            "RouterInterface" => vec![read],
            _ => vec![read, delete],
        };
        for call in calls {
            assert_eq!(coverage::lacking(&call), None, "{}", kind.name());
        }
    }
}

#[test]
fn what_a_kind_says_of_a_second_one_was_asked() {
    for kind in KINDS.iter().filter(|kind| kind.single().is_some()) {
        let list = kind.list();
        let (ask, status) = match kind.name() {
            "RouterInterface" => ("PUT routers/*/add_router_interface".to_owned(), 400),
            // What is there already is confirmed.
            "RoleAssignment" => ("PUT projects/*/users/*/roles/*".to_owned(), 204),
            _ => {
                let path = list.path.trim_end_matches("/detail");
                (format!("POST {path}"), 409)
            }
        };
        assert!(
            coverage::is_asked(list.service, &ask, status),
            "{}: no step asks `{ask}` for what is there, with {status}",
            kind.name()
        );
    }
}

#[test]
fn a_request_that_no_step_asks_is_noticed() {
    let call = |route, body| Call::new(Service::Network, Method::Post, route, route).json(body);
    let known = call("networks", json!({"network": {"name": "n", "mtu": 1}}));
    assert_eq!(coverage::lacking(&known), None);
    let field = call("networks", json!({"network": {"colour": "red"}}));
    let lacking = coverage::lacking(&field).unwrap();
    assert!(lacking.contains("`network.colour`"), "{lacking}");
    let foreign = call("nonesuch", json!({}));
    let lacking = coverage::lacking(&foreign).unwrap();
    assert!(lacking.contains("POST nonesuch"), "{lacking}");
}

/// What every story may use from the start.
fn reach(names: [(&str, &str); 2], run: &str) -> Names {
    let given = names.into_iter().chain([
        ("run", run),
        ("nil", "00000000-0000-0000-0000-000000000000"),
    ]);
    given
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}

fn chosen() -> Vec<String> {
    let chosen = std::env::var("CONFORMANCE").unwrap_or_default();
    let chosen = chosen.split(',').filter(|it| !it.is_empty());
    chosen.map(str::to_owned).collect()
}

fn conclude(report: &Report) {
    let failures: Vec<&str> = report
        .failures
        .iter()
        .chain(&report.left)
        .map(String::as_str)
        .collect();
    assert!(
        failures.is_empty(),
        "{}\n\n{}",
        failures.join("\n\n"),
        report.summary()
    );
    eprintln!("{}", report.summary());
    if chosen().is_empty() {
        for kind in KINDS.iter().filter(|kind| kind.answers_whole()) {
            let times = report.echoes.get(kind.name()).copied().unwrap_or_default();
            assert!(
                times > 0,
                "no answer about a {} was compared with a list",
                kind.name()
            );
        }
    }
    let echoes: Vec<String> = (report.echoes.iter())
        .map(|(kind, times)| format!("{times} {kind}"))
        .collect();
    eprintln!("answers that say what the list says: {}", echoes.join(", "));
}
