//! The simulated OpenStack by itself: state machines, pages, errors and faults, on the pure core.
//!
//! No sockets and no sleep: time is an argument. What is asserted was compared with OpenStack 2026.2.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by its panic"
)]

mod faults;
mod pace;
mod resources;
mod servers;
mod shares;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stackward::sandbox::{
    Delivery, Effect, Omission, Options, Payload, Request, Response, Rule, Sandbox, World,
};

/// A cloud, its time, and a user.
#[derive(Clone)]
pub(crate) struct Cloud {
    pub(crate) world: World,
    pub(crate) now: Timestamp,
    pub(crate) token: String,
}

impl Cloud {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut world = World::new(options, now);
        let token = world.issue_token("demo", "demo").unwrap();
        Self { world, now, token }
    }

    pub(crate) fn into_user(mut self, user: &str) -> Self {
        self.token = self.world.issue_token(user, user).unwrap();
        self
    }

    pub(crate) fn send(&mut self, request: Request) -> Response {
        self.world.handle(&request.token(&self.token), self.now)
    }

    pub(crate) fn get(&mut self, target: &str) -> Value {
        let response = self.send(Request::get(target));
        assert_eq!(response.status, 200, "{target}: {:?}", response.body);
        response.value().clone()
    }

    pub(crate) fn post(&mut self, target: &str, body: Value) -> Response {
        self.send(Request::post(target, body))
    }

    pub(crate) fn nova(&mut self, request: Request, minor: u32) -> Response {
        self.send(request.header("OpenStack-API-Version", &format!("compute 2.{minor}")))
    }

    pub(crate) fn wait(&mut self, millis: i64) {
        self.now += SignedDuration::from_millis(millis);
    }

    pub(crate) fn image(&mut self) -> String {
        let body = json!({"name": "disk", "disk_format": "raw", "container_format": "bare"});
        let response = self.post("/image/v2/images", body);
        let id = response.value()["id"].as_str().unwrap().to_owned();
        let mut upload = Request::new(http::Method::PUT, &format!("/image/v2/images/{id}/file"));
        upload.body = Payload::Bytes("data".into());
        assert_eq!(self.send(upload).status, 204);
        id
    }

    pub(crate) fn volume(&mut self) -> String {
        let response = self.post(
            "/volume/v3/volumes",
            json!({"volume": {"size": 1, "name": "v"}}),
        );
        assert_eq!(response.status, 202, "{:?}", response.body);
        self.wait(2000);
        response.value()["volume"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn network(&mut self, name: &str) -> String {
        let list = self.get(&format!("/network/v2.0/networks?name={name}"));
        list["networks"][0]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn server(&mut self) -> String {
        let image = self.image();
        let network = self.network("private");
        let body = json!({"server": {"name": "s", "flavorRef": "1", "imageRef": image,
            "networks": [{"uuid": network}]}});
        let response = self.post("/compute/v2.1/servers", body);
        assert_eq!(response.status, 202, "{:?}", response.body);
        response.value()["server"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn running_server(&mut self) -> String {
        let id = self.server();
        self.wait(10_000);
        assert_eq!(self.status(&id), "ACTIVE");
        id
    }

    pub(crate) fn status(&mut self, id: &str) -> String {
        let server = self.get(&format!("/compute/v2.1/servers/{id}"));
        server["server"]["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn volume_status(&mut self, id: &str) -> String {
        let volume = self.get(&format!("/volume/v3/volumes/{id}"));
        volume["volume"]["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn act(&mut self, id: &str, action: Value) -> Response {
        self.post(&format!("/compute/v2.1/servers/{id}/action"), action)
    }
}

pub(crate) fn neutron_error(response: &Response) -> &str {
    response.value()["NeutronError"]["type"]
        .as_str()
        .unwrap_or("")
}

#[test]
fn the_same_history_gives_the_same_answers() {
    let run = || {
        let mut cloud = Cloud::new();
        let id = cloud.running_server();
        cloud.get(&format!("/compute/v2.1/servers/{id}"))
    };
    assert_eq!(run(), run());
}

#[test]
fn a_clone_is_a_snapshot_that_goes_its_own_way() {
    let mut one = Cloud::new();
    let mut other = one.clone();
    one.volume();
    assert_eq!(
        one.get("/volume/v3/volumes")["volumes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        other.get("/volume/v3/volumes")["volumes"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn a_token_ends_with_its_lifetime() {
    let options = Options {
        token_lifetime: Duration::from_secs(60),
        ..Options::default()
    };
    let mut cloud = Cloud::with(options);
    cloud.wait(59_000);
    cloud.get("/compute/v2.1/servers");
    cloud.wait(2000);
    let response = cloud.send(Request::get("/compute/v2.1/servers"));
    assert_eq!(response.status, 401);
    assert!(response.header("WWW-Authenticate").is_some());
    assert_eq!(response.value()["error"]["code"], 401);
}

#[test]
fn a_wrong_password_is_refused_and_a_right_one_scoped_by_name() {
    let mut cloud = Cloud::new();
    let auth = |password: &str| {
        json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "demo",
            "domain": {"name": "Default"}, "password": password}}},
            "scope": {"project": {"name": "demo", "domain": {"id": "default"}}}}})
    };
    assert_eq!(
        cloud.post("/identity/v3/auth/tokens", auth("wrong")).status,
        401
    );
    let response = cloud.post("/identity/v3/auth/tokens", auth("let-me-in"));
    assert_eq!(response.status, 201);
    assert!(response.header("X-Subject-Token").is_some());
    assert_eq!(response.value()["token"]["project"]["name"], "demo");
    let types: Vec<&str> = response.value()["token"]["catalog"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|s| s["type"].as_str())
        .collect();
    for wanted in [
        "compute",
        "image",
        "network",
        "block-storage",
        "volumev3",
        "identity",
    ] {
        assert!(types.contains(&wanted), "{wanted}");
    }
}

#[test]
fn v2_0_gives_a_catalog_to_scoped_tokens_only() {
    let mut cloud = Cloud::new();
    let proof = json!({"username": "demo", "password": "let-me-in"});
    let unscoped = cloud
        .post(
            "/identity/v2.0/tokens",
            json!({"auth": {"passwordCredentials": proof}}),
        )
        .value()
        .clone();
    assert_eq!(unscoped["access"]["serviceCatalog"], json!([]));
    cloud.token = unscoped["access"]["token"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let tenants = cloud.get("/identity/v2.0/tenants");
    let tenant = &tenants["tenants"][0]["id"];
    let scoped = cloud.post(
        "/identity/v2.0/tokens",
        json!({"auth": {"passwordCredentials": proof, "tenantId": tenant}}),
    );
    assert_eq!(scoped.value()["access"]["token"]["tenant"]["id"], *tenant);
    assert!(
        !scoped.value()["access"]["serviceCatalog"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}
