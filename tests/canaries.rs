//! Secrets are planted wherever the program gets one, and then looked for in everything that it gives: what it prints,
//! logs at the finest level, serves, counts and keeps. The cloud repeats what it was sent, as bad services do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod site;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use data_encoding::BASE64_NOPAD;
use serde_json::json;
use site::{Daemon, PATIENCE, Site, get, with};
use stackward::sandbox::{Clock, Options, World, router};

const LOGIN: &str = "canaryLogin7f1c90d2";
const USER_DATA: &str = "canaryUserData5be30a71";
const USER: &str = "canaryUser91d7c4fe";
const APPLICATION: &str = "canaryApplication2a60b8";
/// In a Secret that holds a clouds.yaml of its own, with a password that is wrong there.
const OTHER_LOGIN: &str = "canaryOther4c83e15b";

const MANIFESTS: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: all}
stringData:
  password: canaryUser91d7c4fe
  value: canaryApplication2a60b8
  boot: canaryUserData5be30a71
  clouds.yaml: |
    clouds:
      other: {auth: {auth_url: 'URL/identity/v3', username: demo, password: canaryOther4c83e15b, project_name: demo,
              user_domain_name: Default, project_domain_name: Default}}
---
apiVersion: stackward.dev/v1alpha1
kind: User
metadata: {name: person}
spec: {resource: {passwordRef: all}}
---
apiVersion: stackward.dev/v1alpha1
kind: User
metadata: {name: admin}
spec: {managementPolicy: unmanaged, import: {filter: {name: admin}}}
---
apiVersion: stackward.dev/v1alpha1
kind: ApplicationCredential
metadata: {name: robot}
spec: {resource: {userRef: admin, secretRef: all}}
---
apiVersion: stackward.dev/v1alpha1
kind: Volume
metadata: {name: elsewhere}
spec: {cloudCredentialsRef: {secretName: all, cloudName: other}, resource: {size: 1}}
---
apiVersion: stackward.dev/v1alpha1
kind: Network
metadata: {name: net}
spec: {resource: {}}
---
apiVersion: stackward.dev/v1alpha1
kind: Subnet
metadata: {name: net}
spec: {resource: {networkRef: net, ipVersion: 4, cidr: 10.1.0.0/24}}
---
apiVersion: stackward.dev/v1alpha1
kind: Port
metadata: {name: port}
spec: {resource: {networkRef: net}}
---
apiVersion: stackward.dev/v1alpha1
kind: Image
metadata: {name: image}
spec: {resource: {content: {diskFormat: raw, containerFormat: bare, file: image.raw}}}
---
apiVersion: stackward.dev/v1alpha1
kind: Server
metadata: {name: server}
spec:
  resource:
    imageRef: image
    flavorRef: {filter: {name: m1.tiny}}
    ports: [{portRef: port}]
    userData:
      template: \"#!/bin/sh\\npassword={{ boot }}\\n\"
      values: {boot: {secretKeyRef: {name: all, key: boot}}}
";

/// How the cloud answers a write, and some reads: as it should, or with what it was sent.
const MOODS: [&str; 6] = ["well", "400", "500", "login", "list", "cut"];

/// A cloud that hears everything and repeats it, if it is in that mood.
struct Gossip {
    url: String,
    mood: Arc<AtomicUsize>,
    tokens: Arc<Mutex<Vec<String>>>,
}

impl Gossip {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let options = Options {
            clock: Clock::Fast,
            password: LOGIN.to_owned(),
            base_url: url.clone(),
            ..Options::default()
        };
        let world = World::new(options, jiff::Timestamp::now());
        let (mood, tokens) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<_>>::default());
        let (its_mood, its_tokens) = (Arc::clone(&mood), Arc::clone(&tokens));
        let routes = router(Arc::new(Mutex::new(world))).layer(from_fn(move |request, next| {
            hear(
                request,
                next,
                Arc::clone(&its_mood),
                Arc::clone(&its_tokens),
            )
        }));
        drop(tokio::spawn(
            async move { axum::serve(listener, routes).await },
        ));
        Self { url, mood, tokens }
    }
}

async fn hear(
    request: Request,
    next: Next,
    mood: Arc<AtomicUsize>,
    tokens: Arc<Mutex<Vec<String>>>,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let is_login = parts.uri.path().ends_with("/tokens");
    let heard = format!("{:?} {}", parts.headers, String::from_utf8_lossy(&body));
    let answer = |status: u16, said: &str| {
        // The forms of Nova, Neutron and Keystone.
        let text = json!({"badRequest": {"code": status, "message": said},
            "NeutronError": {"type": "Bad", "message": said}, "error": {"code": status, "message": said}});
        Response::builder()
            .status(status)
            .body(Body::from(text.to_string()))
            .unwrap()
    };
    match (MOODS[mood.load(Ordering::SeqCst)], parts.method.as_str()) {
        ("400", "POST") if !is_login => return answer(400, &heard),
        ("500", "POST") if !is_login => return answer(500, &heard),
        ("login", "POST") if is_login => return answer(401, &heard),
        ("cut", "POST") if !is_login => {
            return Response::builder()
                .status(201)
                .body(Body::from(format!("{{{heard}")))
                .unwrap();
        }
        ("list", "GET") if parts.uri.path().contains("/volumes") => {
            let said = json!({"volumes": [{"id": {heard: 1}}]}).to_string();
            return Response::new(Body::from(said));
        }
        _ => {}
    }
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    if let Some(token) = answer.headers().get("x-subject-token") {
        tokens
            .lock()
            .unwrap()
            .push(token.to_str().unwrap().to_owned());
    }
    answer
}

/// The text as it is, and as it looks inside of base64 at any place.
fn forms(secret: &str) -> Vec<String> {
    let inside = (0..3).map(|shift| {
        let text = BASE64_NOPAD.encode(format!("{}{secret}", &"..."[..shift]).as_bytes());
        // What stands next to it changes the first characters and the last.
        text[4..text.len() - 3].to_owned()
    });
    std::iter::once(secret.to_owned()).chain(inside).collect()
}

/// Everything in the state directory, however deep.
fn kept(directory: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(kept(&path));
        } else if path.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            files.push((path.display().to_string(), text));
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_anything_that_comes_out() {
    let cloud = Gossip::start().await;
    let mut heard: Vec<(String, String)> = Vec::new();
    for (number, mood) in MOODS.iter().enumerate() {
        cloud.mood.store(number, Ordering::SeqCst);
        let site = Site::new(&[("plain", 1)]);
        site.clouds(&format!(
            "clouds:\n  sandbox-admin:\n    auth: {{auth_url: '{}/identity/v3', username: admin, password: {LOGIN}, \
             project_name: admin, user_domain_name: Default, project_domain_name: Default}}\n",
            cloud.url
        ));
        fs::write(site.manifests().join("image.raw"), "an image").unwrap();
        let text = MANIFESTS.replace("URL", &cloud.url);
        fs::write(site.manifests().join("all.yaml"), text).unwrap();
        let trace = ["--log-level", "trace", "--log-format", "json"];
        let note = |heard: &mut Vec<_>, what: &str, output: std::process::Output| {
            for text in [output.stdout, output.stderr] {
                heard.push((
                    format!("{what} ({mood})"),
                    String::from_utf8_lossy(&text).into_owned(),
                ));
            }
        };
        let checked = site.run(&["validate", "manifests"]);
        assert_ne!(checked.status.code(), Some(2), "the command line is right");
        note(&mut heard, "validate", checked);
        let mut plan = vec![
            "plan",
            "--manifests",
            "manifests",
            "--cloud",
            "sandbox-admin",
        ];
        plan.extend(["--state-dir", "state"]);
        note(&mut heard, "plan", site.run(&plan));
        let mut once = with(&["--once", "--timeout", "6s"]);
        once.extend(trace);
        note(&mut heard, "run --once", site.run(&once));
        note(
            &mut heard,
            "export",
            site.run(&["export", "--cloud", "sandbox-admin"]),
        );
        plan.extend(["-o", "json"]);
        note(&mut heard, "plan -o json", site.run(&plan));
        for form in ["wide", "json"] {
            let mut doctor = with(&["-o", form]);
            doctor[0] = "doctor";
            note(&mut heard, "doctor", site.run(&doctor));
            let list = [
                "inventory",
                "Server",
                "--cloud",
                "sandbox-admin",
                "-o",
                form,
            ];
            note(&mut heard, "inventory", site.run(&list));
        }

        let log = site.directory.path().join("log");
        let mut command =
            site.command(&with(&["--listen", "127.0.0.1:0", "--poll-interval", "1s"]));
        command.args(trace);
        let mut daemon = Daemon::start_to(command, fs::File::create(&log).unwrap().into());
        let line = daemon.line_with("metrics:   http://");
        let address = line
            .split("http://")
            .nth(1)
            .unwrap()
            .split('/')
            .next()
            .unwrap()
            .to_owned();
        let end = Instant::now() + PATIENCE;
        // It has looked, or said why it cannot; and the objects are shown.
        for (path, sign) in [
            ("/metrics", "stackward_api_requests_total{"),
            ("/graph", "Server"),
            ("/api/v1/events", r#""reason":"#),
        ] {
            while !get(&address, path).contains(sign) {
                assert!(
                    Instant::now() < end,
                    "{path} never shows {sign} ({mood}): {}",
                    get(&address, path)
                );
                tokio::task::yield_now().await;
            }
        }
        let native = "/apis/stackward.dev/v1alpha1";
        let kinds = ["servers", "users", "applicationcredentials", "volumes"];
        let lists = kinds.map(|kind| format!("{native}/{kind}"));
        let of_kubernetes = ["/api/v1/events", "/api/v1/secrets", "/openapi/v3"];
        let page = ["/", "/graph", "/objects/Server/default/server"];
        let others = ["/metrics", "/status", "/readyz"];
        let paths = of_kubernetes.into_iter().chain(page).chain(others);
        for path in paths.chain(lists.iter().map(String::as_str)) {
            heard.push((format!("{path} ({mood})"), get(&address, path)));
        }
        let status = ["status", "--address", &format!("http://{address}"), "-o"];
        for form in ["json", "yaml", "wide"] {
            let arguments: Vec<&str> = status.iter().copied().chain([form]).collect();
            note(&mut heard, "status", site.run(&arguments));
        }
        for command in [
            &["get", "all", "-o", "wide"][..],
            &["get", "all", "-o", "yaml"],
            &["describe", "all"],
            &["describe", "all", "-o", "json"],
            &["events", "-o", "yaml"],
            &["tree", "-o", "wide"],
        ] {
            let mut command = site.command(command);
            let output = command.env("STACKWARD_ADDRESS", &address).output().unwrap();
            assert!(output.status.success(), "{command:?}");
            note(&mut heard, "what the daemon told", output);
        }
        daemon.signal("-TERM");
        let _: Option<i32> = daemon.end();
        heard.push((format!("log ({mood})"), fs::read_to_string(&log).unwrap()));
        heard.extend(kept(&site.directory.path().join("state")));
    }
    // It did speak: of what was refused, of what was made, with what it heard.
    let all: String = heard.iter().map(|(_, text)| text.as_str()).collect();
    for part in [
        "[REDACTED]",
        "Available",
        "Server/default/server",
        "stackward_api_requests_total",
        "ApplicationCredentialList",
        "State:           ",
    ] {
        assert!(
            all.contains(part),
            "{part} is in nothing that was looked at"
        );
    }
    let tokens = cloud.tokens.lock().unwrap().clone();
    assert!(tokens.len() > 10);
    let secrets = [LOGIN, USER_DATA, USER, APPLICATION, OTHER_LOGIN].map(str::to_owned);
    let mut told = Vec::new();
    for secret in secrets.into_iter().chain(tokens) {
        for form in forms(&secret) {
            for (place, text) in &heard {
                if let Some(at) = text.find(&form) {
                    let from = text[..at]
                        .char_indices()
                        .rev()
                        .nth(160)
                        .map_or(0, |(at, _)| at);
                    told.push(format!(
                        "{secret} in {place}: ...{}",
                        &text[from..at + form.len()]
                    ));
                }
            }
        }
    }
    told.dedup();
    assert!(
        told.is_empty(),
        "{} places:\n{}",
        told.len(),
        told[..told.len().min(20)].join("\n\n")
    );
}
