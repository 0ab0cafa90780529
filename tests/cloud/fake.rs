//! A server that answers what a test tells it to, and remembers what it was asked.
//!
//! Not the sandbox: it has no state of its own, so that a test shows both sides of an exchange.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use stackward::cloud::environment::Environment;
use stackward::cloud::profile::Profile;
use stackward::cloud::transport::{BoxError, InProcess};
use stackward::cloud::{Cloud, Options};
use tower::util::BoxCloneSyncService;

/// The password that the fake Keystone accepts.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// The body, or why it did not come to its end.
    pub(crate) body: Result<Bytes, String>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap()
    }

    /// `GET /v2.1/servers`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What a test answers: a status, headers and a body.
pub(crate) struct Say(
    pub(crate) u16,
    pub(crate) Vec<(&'static str, String)>,
    pub(crate) String,
);

pub(crate) fn say(status: u16, body: Value) -> Say {
    Say(
        status,
        Vec::new(),
        if body.is_null() {
            String::new()
        } else {
            body.to_string()
        },
    )
}

impl Say {
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.1.push((name, value.into()));
        self
    }
}

type Script = dyn Fn(&Seen, &Fake) -> Option<Say> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Fake {
    seen: Arc<Mutex<Vec<Seen>>>,
    tokens: Arc<Mutex<u32>>,
    script: Arc<Script>,
}

impl Fake {
    /// A cloud whose services answer as `script` says; what it leaves open is answered by a Keystone
    /// with an ordinary catalog, and by version documents.
    pub(crate) fn new(
        script: impl Fn(&Seen, &Self) -> Option<Say> + Send + Sync + 'static,
    ) -> Self {
        Self {
            seen: Arc::default(),
            tokens: Arc::default(),
            script: Arc::new(script),
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests of one kind.
    pub(crate) fn asked(&self, line: &str) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.line() == line)
            .collect()
    }

    pub(crate) fn logins(&self) -> usize {
        self.asked("POST /v3/auth/tokens").len()
    }

    /// The value of the newest token.
    pub(crate) fn newest_token(&self) -> String {
        format!("token-number-{}", *self.tokens.lock().unwrap())
    }

    async fn answer(self, request: Request<Body>) -> Result<Response, BoxError> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX)
            .await
            .map_err(|error| error.to_string());
        let host = match parts.uri.host() {
            Some(host) => host.to_owned(),
            None => parts.headers["host"].to_str().unwrap().to_owned(),
        };
        let seen = Seen {
            method: parts.method.to_string(),
            host,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
        };
        self.seen.lock().unwrap().push(seen.clone());
        let said = (self.script)(&seen, &self)
            .or_else(|| self.keystone(&seen))
            .or_else(|| versions(&seen));
        let Say(status, headers, body) =
            said.unwrap_or_else(|| say(404, json!({"error": {"message": "nothing here"}})));
        if status == 0 {
            // The line breaks before any answer.
            return Err(body.into());
        }
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        Ok(response.body(Body::from(body)).unwrap())
    }

    /// Grants tokens of an hour.
    fn keystone(&self, seen: &Seen) -> Option<Say> {
        if seen.line() != "POST /v3/auth/tokens" {
            return None;
        }
        if !String::from_utf8_lossy(seen.body.as_ref().unwrap()).contains(PASSWORD) {
            let message = "The request you have made requires authentication.";
            return Some(say(
                401,
                json!({"error": {"code": 401, "title": "Unauthorized", "message": message}}),
            ));
        }
        *self.tokens.lock().unwrap() += 1;
        Some(say(201, token_body(3600, catalog())).with("x-subject-token", self.newest_token()))
    }

    pub(crate) fn service(&self) -> InProcess {
        let fake = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |request| {
            fake.clone().answer(request)
        }))
    }

    /// A client of this cloud; `more` is added to its entry in clouds.yaml.
    pub(crate) fn cloud(&self, more: &str) -> Cloud {
        self.cloud_with(more, Options::default())
    }

    pub(crate) fn cloud_with(&self, more: &str, options: Options) -> Cloud {
        Cloud::new(
            profile(more),
            Options {
                in_process: Some(self.service()),
                ..options
            },
        )
        .unwrap()
    }

    /// Serves on a port of the loopback interface.
    pub(crate) async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fake = self.clone();
        let router = axum::Router::new().fallback(move |request: Request<Body>| {
            let fake = fake.clone();
            async move { fake.answer(request).await.unwrap() }
        });
        drop(tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap()
        }));
        format!("http://{address}")
    }
}

pub(crate) fn token_body(seconds: i64, catalog: Value) -> Value {
    let now = jiff::Timestamp::now();
    let end = now + jiff::SignedDuration::from_secs(seconds);
    json!({"token": {
        "issued_at": now.to_string(), "expires_at": end.to_string(), "catalog": catalog,
        "user": {"id": "u1", "name": "demo"}, "project": {"id": "p1", "name": "demo-project"},
    }})
}

pub(crate) fn catalog() -> Value {
    let entry = |kind: &str, url: &str| {
        json!({"type": kind, "name": kind, "endpoints": [
            {"interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": url}]})
    };
    json!([
        entry("identity", "http://cloud.example/identity"),
        entry("image", "http://cloud.example/image"),
        entry("compute", "http://cloud.example/compute/v2.1"),
        entry("block-storage", "http://cloud.example/volume/v3/p1"),
        entry("network", "http://cloud.example/network"),
        entry("sharev2", "http://cloud.example/share/v2"),
    ])
}

fn versions(seen: &Seen) -> Option<Say> {
    let link =
        |path: &str| json!([{"rel": "self", "href": format!("http://inside.example{path}")}]);
    match seen.line().as_str() {
        "GET /compute/v2.1/" => Some(say(
            200,
            json!({"version": {
            "id": "v2.1", "status": "CURRENT", "version": "2.96", "min_version": "2.1",
            "links": link("/v2.1/")}}),
        )),
        "GET /volume/v3/" => Some(say(
            200,
            json!({"versions": [{
            "id": "v3.0", "status": "CURRENT", "version": "3.71", "min_version": "3.0",
            "links": link("/v3/")}]}),
        )),
        "GET /share/v2/" => Some(say(
            200,
            json!({"versions": [{
            "id": "v2.0", "status": "CURRENT", "version": "2.99", "min_version": "2.0",
            "links": link("/v2/")}]}),
        )),
        "GET /image/" => Some(say(
            300,
            json!({"versions": [
            {"id": "v2.15", "status": "CURRENT", "links": link("/v2/")},
            {"id": "v2.0", "status": "SUPPORTED", "links": link("/v2/")}]}),
        )),
        "GET /network/" => Some(say(
            200,
            json!({"versions": [
            {"id": "v2.0", "status": "CURRENT", "links": link("/v2.0/")}]}),
        )),
        _ => None,
    }
}

pub(crate) fn profile(more: &str) -> Profile {
    profile_at("http://cloud.example/v3", more)
}

pub(crate) fn profile_at(auth_url: &str, more: &str) -> Profile {
    let text = format!(
        "clouds:\n  test:\n    auth:\n      auth_url: {auth_url}\n      username: demo\n      password: {PASSWORD}\n      project_name: demo-project\n      user_domain_id: default\n      project_domain_id: default\n{more}"
    );
    Profile::from_clouds_yaml(&text, "test", None, &Environment::default()).unwrap()
}
