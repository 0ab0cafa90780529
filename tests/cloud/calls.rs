//! One call and what came of it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use stackward::cloud::wire::{Exchange, Observer, Outcome};
use stackward::cloud::{Cloud, Options};
use stackward::kinds::call::{Body, Call, CallError, List, Method, Microversion, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::fake::{Fake, PASSWORD, profile, profile_at, say};

fn create_server() -> Call {
    Call::new(Service::Compute, Method::Post, "servers", "servers")
        .json(json!({"server": {"name": "a"}}))
        .at(Some(Microversion {
            want: (2, 90),
            floor: (2, 52),
        }))
}

fn get_server() -> Call {
    Call::new(Service::Compute, Method::Get, "servers/{id}", "servers/s1")
}

#[tokio::test]
async fn a_call_goes_out_with_token_microversion_and_ids_and_comes_back_as_a_reply() {
    let fake = Fake::new(|seen, _| {
        (seen.line() == "POST /compute/v2.1/servers").then(|| {
            say(202, json!({"server": {"id": "s1"}}))
                .with("x-openstack-request-id", "req-from-nova")
        })
    });
    let reply = fake.cloud("").send(&create_server(), None).await.unwrap();
    assert_eq!(
        (reply.status, &reply.body["server"]["id"]),
        (202, &json!("s1"))
    );
    assert_eq!(reply.request_id.as_deref(), Some("req-from-nova"));

    let sent = fake.asked("POST /compute/v2.1/servers").pop().unwrap();
    assert_eq!(sent.header("x-auth-token"), fake.newest_token());
    assert_eq!(sent.header("openstack-api-version"), "compute 2.90");
    assert_eq!(sent.header("x-openstack-nova-api-version"), "2.90");
    assert_eq!(sent.header("content-type"), "application/json");
    assert_eq!(
        sent.header("user-agent"),
        concat!("stackward/", env!("CARGO_PKG_VERSION"))
    );
    let id = sent
        .header("x-openstack-request-id")
        .strip_prefix("req-")
        .unwrap();
    assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 4);
    assert_eq!(sent.json(), json!({"server": {"name": "a"}}));
}

#[tokio::test]
async fn cinder_is_named_volume_in_its_microversion_and_glance_has_a_patch_type_of_its_own() {
    let fake = Fake::new(|seen, _| match seen.line().as_str() {
        "GET /volume/v3/p1/volumes/v" => Some(say(200, json!({"volume": {}}))),
        "PATCH /image/v2/images/i" => Some(say(200, json!({"id": "i"}))),
        _ => None,
    });
    let cloud = fake.cloud("");
    let call = Call::new(
        Service::BlockStorage,
        Method::Get,
        "volumes/{id}",
        "volumes/v",
    )
    .at(Some(Microversion {
        want: (3, 99),
        floor: (3, 0),
    }));
    let _ = cloud.send(&call, None).await.unwrap();
    let sent = fake.asked("GET /volume/v3/p1/volumes/v").pop().unwrap();
    assert_eq!(sent.header("openstack-api-version"), "volume 3.71");
    assert_eq!(sent.header("x-openstack-nova-api-version"), "");

    let patch = Call::new(Service::Image, Method::Patch, "images/{id}", "images/i")
        .body(Body::ImagePatch(json!([])));
    let _ = cloud.send(&patch, None).await.unwrap();
    let sent = fake.asked("PATCH /image/v2/images/i").pop().unwrap();
    assert_eq!(
        sent.header("content-type"),
        "application/openstack-images-v2.1-json-patch"
    );
    assert_eq!(sent.header("openstack-api-version"), "");
}

#[tokio::test]
async fn manila_has_a_header_of_its_own_for_microversions() {
    let line = "GET /share/v2/share-networks/s";
    let fake = Fake::new(move |seen, _| (seen.line() == line).then(|| say(200, json!({}))));
    let versions = Microversion {
        want: (2, 63),
        floor: (2, 0),
    };
    let path = "share-networks/s";
    let call = Call::new(Service::SharedFileSystem, Method::Get, path, path).at(Some(versions));
    let _ = fake.cloud("").send(&call, None).await.unwrap();
    let sent = fake.asked(line).pop().unwrap();
    assert_eq!(sent.header("x-openstack-manila-api-version"), "2.63");
    let common = "shared-file-system 2.63";
    assert_eq!(sent.header("openstack-api-version"), common);
    assert_eq!(sent.header("x-openstack-nova-api-version"), "");
}

#[tokio::test]
async fn a_path_may_be_below_the_user_of_the_connection() {
    let line = "GET /identity/v3/users/u1/application_credentials";
    let fake = Fake::new(move |seen, _| {
        let none = json!({"application_credentials": []});
        (seen.line() == line).then(|| say(200, none))
    });
    let path = "users/{user_id}/application_credentials";
    let call = Call::new(Service::Identity, Method::Get, path, path);
    let _ = fake.cloud("").send(&call, None).await.unwrap();
    assert_eq!(fake.asked(line).len(), 1);
}

#[tokio::test]
async fn a_call_that_the_cloud_is_too_old_for_is_not_sent() {
    let fake = Fake::new(|_, _| None);
    let call = create_server().at(Some(Microversion {
        want: (2, 200),
        floor: (2, 100),
    }));
    let error = fake.cloud("").send(&call, None).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("offers microversions 2.1 to 2.96"),
        "{error}"
    );
    assert_eq!(fake.asked("POST /compute/v2.1/servers").len(), 0);
}

#[tokio::test]
async fn a_refusal_keeps_the_services_words_its_fault_and_its_request_id() {
    let fake = Fake::new(|seen, _| {
        (seen.line() == "POST /compute/v2.1/servers").then(|| {
            say(
                403,
                json!({"forbidden": {"code": 403, "message": "Quota exceeded for cores"}}),
            )
            .with("x-compute-request-id", "req-1")
        })
    });
    let error = fake
        .cloud("")
        .send(&create_server(), None)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "compute answered 403: Quota exceeded for cores (req-1)"
    );
    assert!(error.is_quota());
}

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_when_its_failure_passes_and_a_write_never() {
    for (status, attempts) in [
        (502, 3),
        (503, 3),
        (504, 3),
        (429, 3),
        (0, 3),
        (500, 1),
        (404, 1),
    ] {
        let fake = Fake::new(move |seen, _| {
            seen.path
                .contains("/servers")
                .then(|| say(status, Value::Null))
        });
        let cloud = fake.cloud("");
        let _ = cloud.send(&get_server(), None).await.unwrap_err();
        assert_eq!(
            fake.asked("GET /compute/v2.1/servers/s1").len(),
            attempts,
            "GET {status}"
        );
        for method in [Method::Post, Method::Put, Method::Patch, Method::Delete] {
            let call = Call::new(Service::Compute, method, "servers/{id}", "servers/s1");
            let error = cloud.send(&call, None).await.unwrap_err();
            let line = format!("{} /compute/v2.1/servers/s1", method.as_str());
            assert_eq!(fake.asked(&line).len(), 1, "{line} {status}");
            let known = matches!(error, CallError::Rejected { .. });
            assert_eq!(
                known,
                (400..500).contains(&status),
                "{line} {status}: {error:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_as_long_as_it_is_told_and_leaves_a_long_wait_to_the_caller() {
    let fake = Fake::new(|seen, fake| {
        if !seen.path.contains("/servers") {
            return None;
        }
        let first = fake.asked("GET /compute/v2.1/servers/s1").len() == 1;
        Some(if first {
            say(503, Value::Null).with("retry-after", "4")
        } else {
            say(200, json!({}))
        })
    });
    let cloud = fake.cloud("");
    let _ = cloud.scope().await.unwrap();
    let started = Instant::now();
    let _ = cloud.send(&get_server(), None).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 4);

    let long = Fake::new(|seen, _| {
        seen.path
            .contains("/servers")
            .then(|| say(429, Value::Null).with("retry-after", "3600"))
    });
    let error = long.cloud("").send(&get_server(), None).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(300)));
    assert!(error.is_throttled());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_to_be_asked_at_once_is_given_a_second() {
    let fake = Fake::new(|seen, _| {
        let full = json!({"overLimit": {"code": 413, "message": "quota", "retryAfter": "0"}});
        let says = |status| say(status, full.clone()).with("retry-after", "0");
        match seen.method.as_str() {
            "GET" if seen.path.contains("/servers") => Some(says(503)),
            "POST" if seen.path.contains("/servers") => Some(says(413)),
            _ => None,
        }
    });
    let cloud = fake.cloud("");
    let _ = cloud.scope().await.unwrap();
    let started = Instant::now();
    let read = cloud.send(&get_server(), None).await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), 2, "a pause before each repeat");
    let write = cloud.send(&create_server(), None).await.unwrap_err();
    for error in [read, write] {
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    }
}

#[tokio::test]
async fn a_redirect_is_followed_for_a_read_on_the_same_server_and_for_nothing_else() {
    let fake = Fake::new(|seen, _| match seen.path.as_str() {
        "/compute/v2.1/servers/here" => {
            Some(say(302, Value::Null).with("location", "/compute/v2.1/servers/moved"))
        }
        "/compute/v2.1/servers/moved" => Some(say(200, json!({"server": {}}))),
        "/compute/v2.1/servers/away" => {
            Some(say(302, Value::Null).with("location", "http://evil.example/steal"))
        }
        _ => None,
    });
    let cloud = fake.cloud("");
    let call = |method, id: &str| {
        Call::new(
            Service::Compute,
            method,
            "servers/{id}",
            format!("servers/{id}"),
        )
    };
    assert_eq!(
        cloud
            .send(&call(Method::Get, "here"), None)
            .await
            .unwrap()
            .status,
        200
    );
    for call in [
        call(Method::Get, "away"),
        call(Method::Post, "here"),
        call(Method::Delete, "here"),
    ] {
        let error = cloud.send(&call, None).await.unwrap_err();
        assert!(
            matches!(
                error,
                CallError::Unknown {
                    status: Some(302),
                    ..
                }
            ),
            "{error:?}"
        );
    }
    assert!(fake.seen().iter().all(|seen| seen.host == "cloud.example"));
    assert_eq!(fake.asked("POST /compute/v2.1/servers/moved").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_outcome_of_a_write_whose_answer_is_lost_garbled_or_late_is_unknown() {
    let fake = Fake::new(|seen, _| match seen.path.as_str() {
        "/compute/v2.1/servers/lost" => Some(say(0, Value::Null)),
        "/compute/v2.1/servers/garbled" => Some(crate::fake::Say(202, Vec::new(), "<html>".into())),
        _ => None,
    });
    let cloud = fake.cloud("");
    for id in ["lost", "garbled"] {
        let call = Call::new(Service::Compute, Method::Post, "x", format!("servers/{id}"));
        let error = cloud.send(&call, None).await.unwrap_err();
        assert!(
            matches!(error, CallError::Unknown { .. }),
            "{id}: {error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline() {
    // A service that never answers calls, although Keystone does.
    let keystone = Fake::new(|_, _| None).service();
    let service = tower::service_fn(move |request: http::Request<axum::body::Body>| {
        let keystone = keystone.clone();
        async move {
            if request.uri().path().contains("/servers") {
                std::future::pending::<()>().await;
            }
            tower::ServiceExt::oneshot(keystone, request).await
        }
    });
    let options = Options {
        in_process: Some(tower::util::BoxCloneSyncService::new(service)),
        ..Options::default()
    };
    let cloud = Cloud::new(profile(""), options).unwrap();
    let _ = cloud.scope().await.unwrap();
    for (timeout, seconds) in [(None, 60), (Some(Duration::from_secs(300)), 300)] {
        let started = Instant::now();
        let error = cloud
            .send(
                &Call {
                    timeout,
                    ..create_server()
                },
                None,
            )
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::Unknown { status: None, .. }),
            "{error:?}"
        );
        assert_eq!(started.elapsed().as_secs(), seconds);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_even_when_it_is_small_on_the_wire() {
    let mut bomb = async_compression::tokio::write::GzipEncoder::new(Vec::new());
    let zeros = vec![b'0'; 1 << 20];
    for _ in 0..20 {
        bomb.write_all(&zeros).await.unwrap();
    }
    bomb.shutdown().await.unwrap();
    let bomb = bomb.into_inner();
    assert!(bomb.len() < 1 << 20);
    let router = axum::Router::new().fallback(move || {
        let bomb = bomb.clone();
        async move { ([("content-encoding", "gzip")], bomb) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap()
    }));
    let more = format!("    auth_type: none\n    network_endpoint_override: {url}/v2.0\n");
    let cloud = Cloud::new(profile_at(&url, &more), Options::default()).unwrap();
    let call = Call::new(Service::Network, Method::Get, "networks/{id}", "networks/n");
    let error = cloud.send(&call, None).await.unwrap_err();
    assert!(error.to_string().contains("larger than 8 MiB"), "{error}");
}

/// Serves 1 GiB for whatever is asked, and counts what was taken of it.
async fn gibibyte() -> (String, Arc<AtomicUsize>) {
    const PIECE: usize = 1 << 20;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let router = axum::Router::new().fallback(move || {
        let counter = Arc::clone(&counter);
        async move {
            let pieces = futures_util::stream::iter(0..1024).map(move |_| {
                counter.fetch_add(PIECE, Ordering::Relaxed);
                Ok::<_, Infallible>(Bytes::from(vec![b' '; PIECE]))
            });
            axum::body::Body::from_stream(pieces)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap()
    }));
    (url, taken)
}

#[tokio::test]
async fn of_an_answer_of_a_gibibyte_no_more_is_taken_than_an_answer_may_have() {
    let (url, taken) = gibibyte().await;
    let more = format!("    auth_type: none\n    network_endpoint_override: {url}/v2.0\n");
    let cloud = Cloud::new(profile_at(&url, &more), Options::default()).unwrap();
    let call = Call::new(Service::Network, Method::Get, "networks/{id}", "networks/n");
    let error = cloud.send(&call, None).await.unwrap_err();
    assert!(error.to_string().contains("larger than 8 MiB"), "{error}");
    // What is under way in sockets and buffers beside it.
    let buffers = 24 << 20;
    let of_one = taken.swap(0, Ordering::Relaxed);
    assert!(of_one < (8 << 20) + buffers, "{of_one} bytes");
    let list = List {
        service: Service::Network,
        path: "networks",
        query: Vec::new(),
        items: "networks",
        microversion: None,
        parts: Vec::new(),
    };
    let error = cloud.list(&list).await.unwrap_err();
    assert!(error.to_string().contains("larger than 64 MiB"), "{error}");
    let of_list = taken.load(Ordering::Relaxed);
    assert!(of_list < (64 << 20) + buffers, "{of_list} bytes");
}

#[tokio::test]
async fn neither_http_library_repeats_a_write_when_the_connection_breaks() {
    // Counts requests; answers the first on each connection, and drops the second without an answer.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let posts = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&posts);
    drop(tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let counted = Arc::clone(&counted);
            drop(tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                for _ in 0..2 {
                    let read = stream.read(&mut buffer).await.unwrap_or(0);
                    let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    if request.starts_with("POST") {
                        *counted.lock().unwrap() += 1;
                        return;
                    }
                    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }));
        }
    }));
    let more = format!("    auth_type: none\n    network_endpoint_override: {url}/v2.0\n");
    let cloud = Cloud::new(profile_at(&url, &more), Options::default()).unwrap();
    let warm = Call::new(Service::Network, Method::Get, "networks/{id}", "networks/n");
    let _ = cloud.send(&warm, None).await.unwrap();
    let call = Call::new(Service::Network, Method::Post, "networks", "networks").json(json!({}));
    let error = cloud.send(&call, None).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    assert_eq!(*posts.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_named_with_its_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let more = format!("    auth_type: none\n    network_endpoint_override: {url}/v2.0\n");
    let cloud = Cloud::new(profile_at(&url, &more), Options::default()).unwrap();
    let call = Call::new(Service::Network, Method::Post, "networks", "networks").json(json!({}));
    let error = cloud.send(&call, None).await.unwrap_err();
    let CallError::NotSent { message, hint } = error else {
        panic!("{error:?}")
    };
    assert!(
        message.contains(&url) && message.contains("refused"),
        "{message}"
    );
    assert!(hint.is_some());
}

#[tokio::test]
async fn a_router_in_the_process_is_a_cloud_too() {
    let router = axum::Router::new().route(
        "/v2.0/networks/{id}",
        axum::routing::get(
            |axum::extract::Path(id): axum::extract::Path<String>| async move {
                axum::Json(json!({"network": {"id": id}}))
            },
        ),
    );
    let in_process = Some(stackward::cloud::transport::in_process(router));
    let more = "    auth_type: none\n    network_endpoint_override: http://n.example/v2.0\n";
    let cloud = Cloud::new(
        profile(more),
        Options {
            in_process,
            ..Options::default()
        },
    )
    .unwrap();
    let call = Call::new(
        Service::Network,
        Method::Get,
        "networks/{id}",
        "networks/n%2F1",
    );
    let reply = cloud.send(&call, None).await.unwrap();
    assert_eq!(reply.body, json!({"network": {"id": "n/1"}}));
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_except_for_loopback_and_no_proxy() {
    let proxy = Fake::new(|seen, _| Some(say(200, json!({"host": seen.host, "by": "proxy"}))));
    let direct = Fake::new(|_, _| Some(say(200, json!({"by": "itself"}))));
    let (proxy_url, direct_url) = (proxy.listen().await, direct.listen().await);
    let localhost = direct_url.replace("127.0.0.1", "localhost");
    let mut environment = stackward::cloud::environment::Environment::default();
    let _ = environment.vars.insert("http_proxy".into(), proxy_url);
    let _ = environment
        .vars
        .insert("NO_PROXY".into(), "spared.invalid".into());
    for (host, by) in [
        ("http://far.invalid", Some("proxy")),
        ("http://spared.invalid", None),
        (&direct_url, Some("itself")),
        (&localhost, Some("itself")),
    ] {
        let text =
            format!("clouds: {{c: {{auth_type: none, network_endpoint_override: '{host}/v2.0'}}}}");
        let profile =
            stackward::cloud::profile::Profile::from_clouds_yaml(&text, "c", None, &environment);
        let cloud = Cloud::new(profile.unwrap(), Options::default()).unwrap();
        let call = Call::new(Service::Network, Method::Post, "networks", "networks");
        let by_whom = cloud
            .send(&call, None)
            .await
            .ok()
            .map(|reply| reply.body["by"].clone());
        assert_eq!(by_whom, by.map(Value::from), "{host}");
    }
}

#[derive(Default)]
struct Notes(Mutex<Vec<Exchange>>);

impl Observer for Notes {
    fn exchanged(&self, exchange: &Exchange) {
        self.0.lock().unwrap().push(exchange.clone());
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_hears_of_every_exchange_once() {
    let fake = Fake::new(|seen, fake| {
        seen.path.contains("/servers").then(|| {
            match fake.asked("GET /compute/v2.1/servers/s1").len() {
                1 => say(503, Value::Null),
                2 => say(0, Value::Null),
                _ => say(200, json!({})).with("x-openstack-request-id", "req-3"),
            }
        })
    });
    let notes = Arc::new(Notes::default());
    let options = Options {
        observer: Some(notes.clone()),
        ..Options::default()
    };
    let _ = fake
        .cloud_with("", options)
        .send(&get_server(), None)
        .await
        .unwrap();
    let notes = notes.0.lock().unwrap();
    let told: Vec<_> = notes
        .iter()
        .map(|note| {
            (
                note.service,
                note.method,
                note.route,
                note.outcome,
                note.attempt,
            )
        })
        .collect();
    let (identity, compute) = (Service::Identity, Service::Compute);
    assert_eq!(
        told,
        [
            (identity, "POST", "auth/tokens", Outcome::Status(201), 1),
            (compute, "GET", "/", Outcome::Status(200), 1),
            (compute, "GET", "servers/{id}", Outcome::Status(503), 1),
            (compute, "GET", "servers/{id}", Outcome::Lost, 2),
            (compute, "GET", "servers/{id}", Outcome::Status(200), 3),
        ]
    );
    assert_eq!(notes[4].request_id.as_deref(), Some("req-3"));
}

/// Collects everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_no_debug_and_no_log_holds_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // A service that repeats what it was sent, in its refusal.
    let fake = Fake::new(|seen, _| {
        let token = seen.header("x-auth-token");
        seen.path.contains("/servers").then(|| {
            say(
                400,
                json!({"badRequest": {"message": format!("bad token {token} of {PASSWORD}")}}),
            )
        })
    });
    let cloud = fake.cloud("");
    let refused = cloud.send(&create_server(), None).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("bad token [REDACTED] of [REDACTED]"),
        "{refused}"
    );
    let wrong = Fake::new(|seen, _| {
        seen.path.contains("auth/tokens").then(|| {
            let body = String::from_utf8_lossy(seen.body.as_ref().unwrap()).into_owned();
            say(401, json!({"error": {"message": body}}))
        })
    });
    let wrong_cloud = wrong.cloud("");
    let denied = wrong_cloud.send(&get_server(), None).await.unwrap_err();
    let scope = wrong_cloud.scope().await.unwrap_err();
    let texts = [
        format!("{refused:?} {denied} {denied:?} {scope:?}"),
        format!(
            "{cloud:?} {:?} {:?}",
            cloud.profile(),
            wrong_cloud.profile()
        ),
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap(),
    ];
    assert!(
        texts[2].contains("no token from Keystone"),
        "the log was not captured"
    );
    for text in texts {
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(!text.contains(&fake.newest_token()), "{text}");
    }
}
