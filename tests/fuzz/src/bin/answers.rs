//! What services answer: to a login, a discovery, a list or a create, anything may come. The client says what is known of
//! the effect, a write is sent once, what it reads of an object cannot lead a request elsewhere.
//!
//! Input: which exchange, which status, which kind (a byte each), then the body.

#![no_main]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use stackward::cloud::environment::Environment;
use stackward::cloud::profile::Profile;
use stackward::cloud::{Cloud, Options};
use stackward::kinds::Attached;
use stackward::kinds::KINDS;
use stackward::kinds::call::{Call, CallError, Method, Service};
use stackward::kinds::erased::AnyKind;
use tower::util::BoxCloneSyncService;

const CLOUDS: &str = "clouds: {c: {auth: {auth_url: 'http://cloud.example/v3', username: u, password: p, \
                      project_name: p, user_domain_id: default, project_domain_id: default}}}";
const STATUS: [u16; 16] = [
    200, 201, 202, 204, 206, 300, 302, 307, 400, 401, 404, 409, 413, 429, 500, 503,
];

/// Whose answer is the input's.
#[derive(Clone, Copy, PartialEq)]
enum Exchange {
    Login,
    Discovery,
    List,
    Create,
}

fuzz_target!(|data: &[u8]| {
    let [exchange, status, kind, body @ ..] = data else {
        return;
    };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let exchange = [
        Exchange::Login,
        Exchange::Discovery,
        Exchange::List,
        Exchange::Create,
    ][usize::from(*exchange) % 4];
    let status = STATUS[usize::from(*status) % STATUS.len()];
    if let Ok(item) = serde_json::from_slice(body) {
        look(kind, item);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // The waits between repeats of a read pass at once.
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(talk(exchange, status, kind, body));
});

fn look(kind: &dyn AnyKind, item: Value) {
    let Ok(found) = kind.look(item) else {
        return;
    };
    let nothing = Attached::default();
    let _: Value = kind.project(&found, &nothing);
    let _: Value = kind.abridged(&found, &nothing);
    let _: Value = kind.status(&found, &nothing);
    // The id of an assignment is a path of such segments.
    if kind.name() != "RoleAssignment" {
        let read = kind.read(&found.id).path;
        assert_eq!(
            read.split('/').count(),
            kind.read("x").path.split('/').count(),
            "{read}"
        );
        assert!(
            !read
                .chars()
                .any(|c| c.is_control() || "?#% ".contains(c) && c != '%'),
            "{read:?}"
        );
        assert!(!read.split('/').any(|segment| segment == ".."), "{read}");
    }
}

async fn talk(exchange: Exchange, status: u16, kind: &dyn AnyKind, body: &[u8]) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let profile = Profile::from_clouds_yaml(CLOUDS, "c", None, &Environment::default());
    let (body, log) = (Bytes::copy_from_slice(body), Arc::clone(&seen));
    let service = tower::service_fn(move |request: Request<Body>| {
        let answer = answer(&request, exchange, status, &body);
        let line = format!("{} {}", request.method(), request.uri().path());
        log.lock().expect("a log").push(line);
        async move { Ok::<_, Infallible>(answer) }
    });
    let service = tower::util::MapErr::new(service, |never: Infallible| match never {});
    let options = Options {
        in_process: Some(BoxCloneSyncService::new(service)),
        ..Options::default()
    };
    let cloud = Cloud::new(profile.expect("a profile"), options).expect("a client");
    match exchange {
        Exchange::Create => {
            let call = Call::new(Service::Network, Method::Post, "networks", "networks");
            let result = cloud.send(&call.json(json!({"network": {}})), None).await;
            let posts = seen.lock().expect("a log");
            let posts = posts
                .iter()
                .filter(|line| line.ends_with("/networks"))
                .count();
            // After a 401 it logs in again: that request was refused, so this is the first that counts.
            assert!(
                posts == 1 || posts == 2 && status == 401,
                "{posts} POSTs after {status}"
            );
            match result {
                Ok(_) => assert!((200..300).contains(&status), "{status} was taken for done"),
                Err(CallError::Rejected { status: said, .. }) => {
                    assert!((400..500).contains(&said), "{said} was taken for a refusal");
                }
                Err(CallError::Unknown { .. }) => {}
                Err(CallError::NotSent { message, .. }) => {
                    panic!("a request that arrived was taken for not sent: {message}")
                }
            }
        }
        _ => {
            let _: Result<_, CallError> = cloud.list(&kind.list()).await;
        }
    }
}

fn answer(
    request: &Request<Body>,
    exchange: Exchange,
    status: u16,
    body: &Bytes,
) -> Response<Body> {
    let path = request.uri().path();
    let asked = match path {
        "/v3/auth/tokens" => Exchange::Login,
        _ if request.method() == "POST" => Exchange::Create,
        "/compute/v2.1/" | "/volume/v3/" | "/share/v2/" | "/image/" | "/network/"
        | "/identity/" | "/identity" | "/v3" | "/v3/" => Exchange::Discovery,
        _ => Exchange::List,
    };
    let response = Response::builder();
    let (response, text) = if asked == exchange {
        (
            response
                .status(status)
                .header("x-subject-token", "t")
                .header("location", "/v3"),
            body.clone(),
        )
    } else {
        let version = |id: &str, top: &str| {
            json!({"versions": [{"id": id, "status": "CURRENT", "version": top, "min_version": "2.1",
                   "links": [{"rel": "self", "href": format!("http://cloud.example{path}")}]}]})
        };
        let (status, text) = match (asked, path) {
            (Exchange::Login, _) => (201, login()),
            (Exchange::Create, _) => (201, json!({"network": {"id": "n1"}})),
            (_, "/compute/v2.1/") => (200, version("v2.1", "2.96")),
            (_, "/volume/v3/") => (200, version("v3.0", "3.71")),
            (_, "/share/v2/") => (200, version("v2.0", "2.99")),
            (_, "/image/") => (300, version("v2.15", "")),
            (_, "/network/") => (200, version("v2.0", "")),
            (Exchange::Discovery, _) => (200, version("v3.14", "")),
            (Exchange::List, _) => (200, json!({})),
        };
        (
            response.status(status).header("x-subject-token", "t"),
            Bytes::from(text.to_string()),
        )
    };
    response.body(Body::from(text)).expect("an answer")
}

fn login() -> Value {
    let entry = |kind: &str, path: &str| {
        json!({"type": kind, "name": kind, "endpoints": [{"interface": "public", "region_id": "R",
               "region": "R", "url": format!("http://cloud.example/{path}")}]})
    };
    json!({"token": {
        "issued_at": "2026-01-01T00:00:00Z", "expires_at": "2999-01-01T00:00:00Z",
        "user": {"id": "u1", "name": "u"}, "project": {"id": "p1", "name": "p"},
        "catalog": [entry("identity", "identity"), entry("image", "image"), entry("compute", "compute/v2.1"),
                    entry("block-storage", "volume/v3/p1"), entry("network", "network"),
                    entry("sharev2", "share/v2")],
    }})
}
