//! The engine against the sandbox's pure core: no socket, no thread, a clock that is a number.
//!
//! What the shell does with effects is done here at once or after a pause on the fake clock; what
//! the shell keeps on disk is kept in [`Sim::disk`], so that a crash is the engine being dropped.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

#[path = "../conformance/coverage.rs"]
mod coverage;
mod directory;
mod fault;
#[path = "../conformance/story.rs"]
mod story;

pub use directory::{assemble, assemble_directory};
pub use fault::Fault;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use stackward::engine::desired::Desired;
use stackward::engine::guard::{Limits, Percent};
use stackward::engine::journal::Journal;
use stackward::engine::scope::{Fingerprint, Scope};
use stackward::engine::{Effect, Engine, Event, Settings, Ticket};
use stackward::kinds::MarkerPlace;
use stackward::kinds::call::{
    Body, Call, CallError, List, Method, Reply, Service, Source, USER_ID, Upload,
};
use stackward::kinds::erased::{AnyKind, Intent};
use stackward::kinds::health::Health;
use stackward::kinds::marker::Owner;
use stackward::manifest::Key;
use stackward::sandbox::{self, Request, World};
use uuid::Uuid;

/// How long a request takes on the fake clock.
const LATENCY: Duration = Duration::from_millis(50);

/// A simulated daemon and its cloud.
pub struct Sim {
    pub now: Timestamp,
    pub world: World,
    pub engine: Engine,
    pub settings: Settings,
    /// What is on disk.
    pub disk: Journal,
    /// Every request that was sent, in order.
    pub trace: Vec<String>,
    /// Crash right before the request with this number is carried out (`false`) or right after
    /// (`true`), counted from 0 over everything but lists.
    pub crash: Option<(usize, bool)>,
    pub crashed: bool,
    /// What goes wrong with the request of this number, counted as for `crash`.
    pub fault: Option<(usize, Fault)>,
    /// The write of the journal with this number fails (`None`), or the daemon dies before it
    /// (`false`) or after it (`true`).
    pub journal_fault: Option<(usize, Option<bool>)>,
    /// Writes of the journal so far.
    pub recorded: usize,
    pub desired: Desired,
    /// A service that the cloud does not have.
    pub without: Option<Service>,
    /// The scopes that were connected to, in order.
    pub connects: Vec<Scope>,
    /// Scopes whose Keystone never answers.
    pub silent: BTreeSet<Scope>,
    /// How what the daemon deletes was just before, if that is asked for.
    pub deleted: Option<Vec<(Key, Option<Health>)>>,
    seed: u64,
    sent: usize,
    pending: BTreeMap<(Timestamp, u64), Event>,
    sequence: u64,
    alarm: Option<Timestamp>,
    in_flight: BTreeMap<Ticket, Key>,
    account: String,
    logged_in_at: Timestamp,
    token: String,
    /// The project's id.
    pub project: String,
    user: String,
}

pub const SCOPE: &str = "sandbox";

impl Sim {
    /// A daemon that was just started beside a new cloud.
    pub fn new(seed: u64) -> Self {
        Self::of("demo", seed)
    }

    /// The same with the rights of the cloud's administrator.
    pub fn of_admin(seed: u64) -> Self {
        Self::of("admin", seed)
    }

    fn of(account: &str, seed: u64) -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let options = sandbox::Options {
            seed,
            ..sandbox::Options::default()
        };
        let mut settings = Settings::new(Owner(Uuid::from_u128(
            0x5eed_0000_0000_0000_0000_0000_0000_0001,
        )));
        // tests/guards.rs is about these.
        settings.prune_limits = Limits {
            share: Percent::ALL,
            per_cycle: usize::MAX,
            per_hour: usize::MAX,
        };
        let mut sim = Self {
            now,
            world: World::new(options, now),
            engine: Engine::new(settings.clone(), Journal::default(), seed),
            settings,
            disk: Journal::default(),
            trace: Vec::new(),
            crash: None,
            crashed: false,
            fault: None,
            journal_fault: None,
            recorded: 0,
            desired: Desired::default(),
            without: None,
            connects: Vec::new(),
            silent: BTreeSet::new(),
            deleted: None,
            seed,
            sent: 0,
            pending: BTreeMap::new(),
            sequence: 0,
            alarm: None,
            in_flight: BTreeMap::new(),
            account: account.to_owned(),
            logged_in_at: now,
            token: String::new(),
            project: String::new(),
            user: String::new(),
        };
        sim.log_in(account);
        sim
    }

    /// The daemon and whoever works by hand are this user from now on.
    pub fn log_in(&mut self, name: &str) {
        let domain = json!({"id": "default"});
        let user = json!({"name": name, "domain": domain, "password": "let-me-in"});
        let reply = self.world.handle(
            &Request::post(
                "/identity/v3/auth/tokens",
                json!({"auth": {
                    "identity": {"methods": ["password"], "password": {"user": user}},
                    "scope": {"project": {"name": name, "domain": {"id": "default"}}},
                }}),
            ),
            self.now,
        );
        assert_eq!(reply.status, 201, "{:?}", reply.value());
        self.token = reply.header("X-Subject-Token").unwrap().to_owned();
        self.logged_in_at = self.now;
        let token = &reply.value()["token"];
        self.project = token["project"]["id"].as_str().unwrap().to_owned();
        self.user = token["user"]["id"].as_str().unwrap().to_owned();
    }

    /// Requests that were sent so far, lists not counted.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// The project that the daemon works in.
    pub fn project(&self) -> String {
        self.project.clone()
    }

    /// Another daemon, of another owner and with nothing on its disk, beside a copy of this cloud.
    pub fn beside(&self, owner: u128) -> Self {
        let mut sim = Self::of("admin", self.seed);
        sim.settings.owner = Owner(Uuid::from_u128(owner));
        sim.engine = Engine::new(sim.settings.clone(), Journal::default(), self.seed);
        sim.now = self.now;
        sim.world = self.world.clone();
        sim.token.clone_from(&self.token);
        sim.project.clone_from(&self.project);
        sim.user.clone_from(&self.user);
        sim
    }

    /// The daemon dies and is started again: only the disk is left of it.
    pub fn restart(&mut self) {
        self.seed += 1;
        self.engine = Engine::new(self.settings.clone(), self.disk.clone(), self.seed);
        self.pending.clear();
        self.in_flight.clear();
        self.alarm = None;
        self.crashed = false;
        let desired = self.desired.clone();
        self.feed(Event::Desired(desired.clone()));
        self.feed(Event::Desired(desired));
    }

    /// The disk is lost as well.
    pub fn lose_disk(&mut self) {
        self.disk = Journal::default();
        self.restart();
    }

    /// The directory now holds these files; it is read twice.
    pub fn declare(&mut self, files: &[(String, String)]) {
        let desired = assemble(files, Some(&self.desired), &BTreeMap::new());
        self.declare_set(desired);
    }

    /// The directory is this one; it is read twice.
    pub fn declare_directory(&mut self, root: &Path) {
        let desired = assemble_directory(root, Some(&self.desired));
        self.declare_set(desired);
    }

    pub fn declare_set(&mut self, desired: Desired) {
        self.desired = desired.clone();
        self.feed(Event::Desired(desired.clone()));
        self.feed(Event::Desired(desired));
    }

    /// Runs until everything is at rest, at most this long on the fake clock.
    pub fn run_until_rest(&mut self, limit: Duration) -> bool {
        let end = self.now.checked_add(limit).unwrap();
        while self.now < end && !self.crashed {
            if self.engine.snapshot().at_rest {
                return true;
            }
            if !self.step(end) {
                break;
            }
        }
        self.engine.snapshot().at_rest
    }

    /// Runs for this long on the fake clock.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now.checked_add(span).unwrap();
        while !self.crashed && self.step(end) {}
        self.now = self.now.max(end);
    }

    /// Lets the next thing happen; false when nothing does before `end`.
    fn step(&mut self, end: Timestamp) -> bool {
        let next = self.pending.keys().next().map(|(at, _)| *at);
        let next = next.into_iter().chain(self.alarm).min();
        let Some(at) = next.filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(at);
        let event = match self.pending.first_entry() {
            Some(entry) if entry.key().0 <= self.now => entry.remove(),
            _ => {
                self.alarm = None;
                Event::Alarm
            }
        };
        self.feed(event);
        true
    }

    pub fn feed(&mut self, event: Event) {
        if let Event::Called { ticket, .. } = &event {
            self.in_flight.remove(ticket);
        }
        for effect in self.engine.handle(event, self.now) {
            if self.crashed {
                return;
            }
            self.carry_out(effect);
        }
    }

    fn later(&mut self, event: Event) {
        self.sequence += 1;
        let at = self.now.checked_add(LATENCY).unwrap();
        self.pending.insert((at, self.sequence), event);
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { scope, .. } => {
                self.connects.push(scope.clone());
                if self.silent.contains(&scope) {
                    return;
                }
                let fingerprint = Fingerprint {
                    project: self.project.clone(),
                    user: self.user.clone(),
                    region: None,
                    auth_url: "http://sandbox/identity".to_owned(),
                };
                self.later(Event::Connected {
                    scope,
                    result: Ok(fingerprint),
                });
            }
            Effect::List { scope, kind, list } => {
                let started_at = self.now;
                let result = self.list(&list);
                self.later(Event::Listed {
                    scope,
                    kind,
                    started_at,
                    result,
                });
            }
            Effect::Quota { scope, get } => {
                let (started_at, service) = (self.now, get.service);
                let result = self.send(&Call::from(&get));
                self.later(Event::Quota {
                    scope,
                    service,
                    started_at,
                    result,
                });
            }
            Effect::Record { ticket, changes } => {
                let number = self.recorded;
                self.recorded += 1;
                let fault = self.journal_fault.filter(|(at, _)| *at == number);
                if fault.is_none_or(|(_, how)| how == Some(true)) {
                    for change in &changes {
                        self.disk.apply(change);
                    }
                }
                let result = match fault {
                    Some((_, Some(_))) => {
                        self.crashed = true;
                        return;
                    }
                    Some((_, None)) => Err("no space left on device".to_owned()),
                    None => Ok(()),
                };
                self.later(Event::Recorded { ticket, result });
            }
            Effect::Call {
                ticket,
                key,
                call,
                intent,
                ..
            } => {
                assert!(
                    !self.in_flight.values().any(|other| *other == key),
                    "two requests in flight for {key}"
                );
                if intent == Intent::Create {
                    let record = &self.disk.records[&key];
                    assert!(
                        record.intent.is_some(),
                        "{key} is created without an intent on disk"
                    );
                }
                if intent == Intent::Delete && self.deleted.is_some() {
                    let last = self.health(&key, &call);
                    self.deleted
                        .iter_mut()
                        .for_each(|it| it.push((key.clone(), last.clone())));
                }
                let number = self.sent;
                self.sent += 1;
                let fault = self.fault.filter(|(at, _)| *at == number);
                let fault = fault.map(|(_, fault)| fault);
                if self.crash == Some((number, false)) || fault == Some(Fault::CrashBefore) {
                    self.crashed = true;
                    return;
                }
                self.in_flight.insert(ticket, key.clone());
                self.trace.push(format!(
                    "{key}: {intent} {} {}",
                    call.method.as_str(),
                    call.path
                ));
                let result = match fault {
                    None | Some(Fault::CrashAfter | Fault::CrashBefore) => self.send(&call),
                    Some(Fault::NotSent) => Err(CallError::NotSent {
                        message: "connection refused".to_owned(),
                        hint: None,
                    }),
                    Some(Fault::Refused) => Err(unknown(Some(503), "the service is down")),
                    Some(Fault::Lost) => {
                        self.send(&call).ok();
                        Err(unknown(None, "the connection was reset"))
                    }
                    Some(Fault::DoneAndRefused) => {
                        self.send(&call).ok();
                        Err(unknown(Some(503), "the service is down"))
                    }
                    Some(Fault::Empty) => self.send(&call).map(|reply| Reply {
                        body: Value::Null,
                        ..reply
                    }),
                };
                if self.crash == Some((number, true)) || fault == Some(Fault::CrashAfter) {
                    self.crashed = true;
                    return;
                }
                self.later(Event::Called { ticket, result });
            }
            Effect::Alarm(at) => self.alarm = Some(at),
            Effect::Publish => {}
        }
    }

    /// The health of what the request is about.
    fn health(&mut self, key: &Key, call: &Call) -> Option<Health> {
        let kind = stackward::kinds::find(&key.kind).unwrap();
        let items = self.items(kind.name()).into_iter();
        let mut found = items.map(|item| kind.look(item).unwrap());
        found
            .find(|it| call.path.contains(&it.id))
            .map(|it| it.health)
    }

    /// The id of the daemon's user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// One request of the daemon's user.
    pub fn send(&mut self, call: &Call) -> Result<Reply, CallError> {
        assert_eq!(coverage::lacking(call), None);
        self.pass_on(call)
    }

    /// A request of anybody with the rights of the daemon's user.
    pub fn pass_on(&mut self, call: &Call) -> Result<Reply, CallError> {
        // A token lives for some hours, and a simulated life may be longer.
        if self.now.duration_since(self.logged_in_at).as_mins() >= 30 {
            self.log_in(&self.account.clone());
        }
        if self.without == Some(call.service) {
            return Err(CallError::NotSent {
                message: format!("cloud `sandbox` has no {} service", call.service),
                hint: None,
            });
        }
        let mut request = Request::new(
            method(call.method),
            &format!("{}{}", prefix(call.service), call.path).replace(USER_ID, &self.user),
        )
        .token(&self.token);
        request.query = call.query.clone();
        if let Some(version) = call.microversion {
            request = at(request, call.service, version.want);
        }
        request.body = match &call.body {
            Body::None => sandbox::Payload::Empty,
            Body::Json(value) => sandbox::Payload::Json(value.clone()),
            Body::ImagePatch(value) => {
                request = request.header(
                    "content-type",
                    "application/openstack-images-v2.1-json-patch",
                );
                sandbox::Payload::Json(value.clone())
            }
            Body::Upload(upload) => {
                request = request.header("content-type", "application/octet-stream");
                let head = match &upload.source {
                    Source::File(path) => std::fs::read(path).unwrap(),
                    Source::Url(url) => url.as_bytes().to_vec(),
                };
                sandbox::Payload::Upload(sandbox::Upload {
                    size: head.len() as u64,
                    md5: "0".repeat(32),
                    sha512: "0".repeat(128),
                    head: head.into(),
                })
            }
        };
        let response = self.world.handle(&request, self.now);
        if !response.is_delivered() {
            return Err(unknown(None, "the connection was reset"));
        }
        let is_json = matches!(response.body, sandbox::Body::Empty | sandbox::Body::Json(_));
        if !is_json && response.status < 300 {
            return Err(unknown(Some(response.status), "the answer is no JSON"));
        }
        let body = response.value().clone();
        let request_id = response.header("X-Openstack-Request-Id").map(str::to_owned);
        match response.status {
            200..300 => Ok(Reply {
                status: response.status,
                body,
                request_id,
            }),
            status @ 400..500 => Err(CallError::Rejected {
                service: call.service,
                status,
                fault: body["NeutronError"]["type"].as_str().map(str::to_owned),
                message: body.to_string(),
                request_id,
                retry_after: None,
            }),
            status => Err(unknown(Some(status), "the service failed")),
        }
    }

    fn list(&mut self, list: &List) -> Result<Vec<Value>, CallError> {
        let mut items = Vec::new();
        for request in list.requests() {
            items.extend(self.pages(&request)?);
        }
        Ok(items)
    }

    fn pages(&mut self, list: &List) -> Result<Vec<Value>, CallError> {
        let mut items = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let mut call = Call::new(list.service, Method::Get, "", list.path);
            call.query = list.query.clone();
            call.query.push(("limit".to_owned(), "1000".to_owned()));
            if let Some(marker) = marker {
                call.query.push(("marker".to_owned(), marker));
            }
            call.microversion = list.microversion;
            let page = self.send(&call)?.body[list.items]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let full = page.len() == 1000;
            marker = page
                .last()
                .and_then(|item| item["id"].as_str())
                .map(str::to_owned);
            items.extend(page);
            if !full {
                return Ok(items);
            }
        }
    }

    /// A request of somebody else in the same project: a person with the openstack client.
    pub fn by_hand(&mut self, method: &str, target: &str, body: Value) -> Value {
        let mut request = Request::new(method.parse().unwrap(), target).token(&self.token);
        if !body.is_null() {
            request = request.json(body);
        }
        if target.starts_with("/compute") {
            request = at(request, Service::Compute, (2, 79));
        }
        if target.starts_with("/share") {
            request = at(request, Service::SharedFileSystem, (2, 63));
        }
        let response = self.world.handle(&request, self.now);
        assert!(
            response.status < 300,
            "{method} {target}: {} {}",
            response.status,
            response.value()
        );
        response.value().clone()
    }

    /// An image with data, made by hand; its id.
    pub fn image_by_hand(&mut self, name: &str) -> String {
        let image = json!({"name": name, "disk_format": "raw", "container_format": "bare"});
        let image = self.by_hand("POST", "/image/v2/images", image);
        let id = image["id"].as_str().unwrap().to_owned();
        let upload = Body::Upload(Upload {
            source: Source::Url("data".to_owned()),
            decompress: None,
            hash: None,
        });
        let path = format!("images/{id}/file");
        let call = Call::new(Service::Image, Method::Put, "images/{id}/file", path).body(upload);
        self.send(&call).unwrap();
        id
    }

    /// The items of a collection, as the project sees them.
    pub fn items(&mut self, kind: &str) -> Vec<Value> {
        let kind = stackward::kinds::find(kind).unwrap();
        let mut list = kind.list();
        // What is listed by domain is looked up in every one.
        if let Some((parameter, "domainRef")) = kind.part() {
            let domains = stackward::kinds::find("Domain").unwrap().list();
            let domains = self.list(&domains).unwrap_or_default().into_iter();
            list.parts = domains
                .filter_map(|domain| Some((parameter, domain["id"].as_str()?.to_owned())))
                .collect();
        }
        self.list(&list).unwrap()
    }

    /// The ids of those that carry a marker of ours, with the object that they are.
    pub fn ours(&mut self) -> BTreeMap<Key, Vec<String>> {
        let owner = self.settings.owner;
        let keys: Vec<Key> = self.desired.objects.keys().cloned().collect();
        let mut ours: BTreeMap<Key, Vec<String>> = BTreeMap::new();
        let marked = |kind: &&&dyn AnyKind| kind.marker() != MarkerPlace::NaturalKey;
        for kind in stackward::kinds::KINDS.iter().filter(marked) {
            for item in self.items(kind.name()) {
                let found = kind.look(item).unwrap();
                let Some(marker) = found.marker else { continue };
                let key = keys
                    .iter()
                    .find(|key| owner.uids(key).any(|uid| uid == marker.uid));
                let key = key
                    .cloned()
                    .unwrap_or_else(|| Key::new(kind.name(), "?", found.id.clone()));
                ours.entry(key).or_default().push(found.id);
            }
        }
        ours
    }

    /// Every request of the trace that is not a GET.
    pub fn writes(&self) -> Vec<&String> {
        self.trace
            .iter()
            .filter(|line| !line.contains(" GET "))
            .collect()
    }

    /// What keeps it from being converged, in words.
    pub fn complaints(&self) -> Vec<String> {
        let snapshot = self.engine.snapshot();
        let mut complaints: Vec<String> =
            snapshot.problems.iter().map(ToString::to_string).collect();
        for (key, object) in &snapshot.objects {
            if !object.status.is_available() || !object.status.is_up_to_date() || object.deleting {
                let message = object
                    .status
                    .condition("Progressing")
                    .map(|it| it.message.clone());
                complaints.push(format!(
                    "{key}: {} {}",
                    object.reason,
                    message.unwrap_or_default()
                ));
            }
        }
        complaints
    }

    pub fn assert_converged(&self) {
        let complaints = self.complaints();
        assert!(
            self.engine.snapshot().is_converged(),
            "not converged at {}:\n{}\ntrace:\n{}",
            self.now,
            complaints.join("\n"),
            self.trace.join("\n")
        );
    }
}

fn unknown(status: Option<u16>, message: &str) -> CallError {
    CallError::Unknown {
        message: message.to_owned(),
        status,
        request_id: None,
        retry_after: None,
    }
}

fn method(method: Method) -> http::Method {
    method.as_str().parse().unwrap()
}

fn prefix(service: Service) -> &'static str {
    match service {
        Service::Identity => "/identity/v3/",
        Service::Image => "/image/v2/",
        Service::Compute => "/compute/v2.1/",
        Service::BlockStorage => "/volume/v3/",
        Service::Network => "/network/v2.0/",
        Service::SharedFileSystem => "/share/v2/",
    }
}

fn at(request: Request, service: Service, (major, minor): (u16, u16)) -> Request {
    let name = match service {
        Service::SharedFileSystem => {
            let version = format!("{major}.{minor}");
            return request.header("x-openstack-manila-api-version", &version);
        }
        Service::Compute => "compute",
        _ => "volume",
    };
    request.header("openstack-api-version", &format!("{name} {major}.{minor}"))
}

/// The keys of every object that a set declares.
pub fn keys(desired: &Desired) -> BTreeSet<Key> {
    desired.objects.keys().cloned().collect()
}
