//! The engine against the sandbox's pure core: no socket, no thread, a clock that is a number.
//!
//! What the shell does with effects is done here at once or after a pause on the fake clock; what
//! the shell keeps on disk is kept in [`Sim::disk`], so that a crash is the engine being dropped.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

mod cloud;
#[path = "../conformance/coverage.rs"]
mod coverage;
mod directory;
mod fault;
#[path = "../conformance/story.rs"]
mod story;
mod weather;

use cloud::unknown;
pub use directory::{assemble, assemble_directory};
pub use fault::Fault;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
pub use weather::{View, Weather};

use jiff::Timestamp;
use serde_json::{Value, json};
use stackward::engine::desired::Desired;
use stackward::engine::guard::{Control, Limits, Percent};
use stackward::engine::journal::Journal;
use stackward::engine::looked::Looked;
use stackward::engine::scope::{Fingerprint, Scope};
use stackward::engine::snapshot::Snapshot;
use stackward::engine::{Effect, Engine, Event, Settings, Ticket};
use stackward::kinds::call::{Call, CallError, Reply, Service};
use stackward::kinds::erased::Intent;
use stackward::kinds::health::Health;
use stackward::kinds::marker::Owner;
use stackward::manifest::Key;
use stackward::sandbox::{self, Request, World};
use uuid::Uuid;

/// How long a request takes on the fake clock.
const LATENCY: Duration = Duration::from_millis(50);

/// A simulated daemon and its cloud. A copy goes on as the original would.
#[derive(Clone)]
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
    /// What goes wrong around the daemon.
    pub weather: Weather,
    /// Writes of the journal so far.
    pub recorded: usize,
    pub desired: Arc<Desired>,
    /// A service that the cloud does not have.
    pub without: Option<Service>,
    /// The scopes that were connected to, in order.
    pub connects: Vec<Scope>,
    /// Scopes whose Keystone never answers.
    pub silent: BTreeSet<Scope>,
    /// Scopes that say they are another place than the rest.
    pub elsewhere: BTreeMap<Scope, Fingerprint>,
    /// How what the daemon deletes was just before, if that is asked for.
    pub deleted: Option<Vec<(Key, Option<Health>)>>,
    seed: u64,
    fed: u64,
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

/// Every so many events, what the engine does not decide about again is decided about again.
const CHECK_EVERY: u64 = 16;

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
            weather: Weather::default(),
            recorded: 0,
            desired: Arc::default(),
            without: None,
            connects: Vec::new(),
            silent: BTreeSet::new(),
            elsewhere: BTreeMap::new(),
            deleted: None,
            seed,
            fed: 0,
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
        self.read();
        self.read();
    }

    /// The directory is read, and is as it was.
    pub fn read(&mut self) {
        self.feed(Event::Desired(Arc::clone(&self.desired)));
    }

    /// The same daemon on another machine: its own chance, and nothing known yet.
    pub fn reseed(&mut self, seed: u64) {
        (self.seed, self.disk) = (seed, Journal::default());
        self.restart();
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

    pub fn declare_set(&mut self, desired: impl Into<Arc<Desired>>) {
        self.desired = desired.into();
        self.read();
        self.read();
    }

    /// Runs until everything is at rest, at most this long on the fake clock.
    pub fn run_until_rest(&mut self, limit: Duration) -> bool {
        let end = self.now.checked_add(limit).unwrap();
        while self.now < end && !self.crashed {
            if self.engine.is_at_rest() {
                return true;
            }
            if !self.step(end) {
                break;
            }
        }
        self.engine.is_at_rest()
    }

    /// Runs for this long on the fake clock.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now.checked_add(span).unwrap();
        while !self.crashed && self.step(end) {}
        self.now = self.now.max(end);
    }

    /// Lets the next thing happen; false when nothing does before `end`.
    pub fn step(&mut self, end: Timestamp) -> bool {
        let next = self.pending.keys().next().map(|(at, _)| *at);
        let late = self.weather.late.keys().next().map(|(at, _)| *at);
        let next = next.into_iter().chain(self.alarm).chain(late).min();
        let Some(at) = next.filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(at);
        if late.is_some_and(|late| late <= self.now) {
            self.catch_up();
            return true;
        }
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
        self.fed += 1;
        if self.fed.is_multiple_of(CHECK_EVERY) {
            self.check_decisions();
        }
    }

    /// What holds is what a copy decides that is made to decide about everything again.
    fn check_decisions(&self) {
        let holds = |key: &&Key| self.engine.holds(key);
        let decided: BTreeSet<&Key> = self.desired.objects.keys().filter(holds).collect();
        if decided.is_empty() {
            return;
        }
        let mut again = self.engine.clone();
        let nobody = Control::Reconcile(Key::new("Nothing", "", ""));
        for effect in again.handle(Event::Control(nobody), self.now) {
            if let Effect::Call { key, intent, .. } = effect {
                assert!(!decided.contains(&key), "{key}: {intent} was put off");
            }
        }
        let (before, after) = (self.engine.snapshot(), again.snapshot());
        for key in decided {
            let told = |it: &Snapshot| serde_json::to_value(it.objects.get(key)).unwrap();
            assert_eq!(told(&before), told(&after), "{key} would be told otherwise");
        }
    }

    /// Where the daemon finds itself.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            project: self.project.clone(),
            user: self.user.clone(),
            region: None,
            auth_url: "http://sandbox/identity".to_owned(),
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
                let other = self.elsewhere.get(&scope).cloned();
                let result = Ok(other.unwrap_or_else(|| self.fingerprint()));
                self.later(Event::Connected { scope, result });
            }
            Effect::List { scope, kind, list } => {
                let started_at = self.now;
                let result = self.look(kind, &list);
                let result = result.map(|items| Looked::of(kind, items));
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
                let fault = self.weather.writes.remove(&number);
                if fault.is_none_or(|how| how == Some(true)) {
                    for change in &changes {
                        self.disk.apply(change);
                    }
                }
                let result = match fault {
                    Some(Some(_)) => {
                        self.crashed = true;
                        return;
                    }
                    Some(None) => Err("no space left on device".to_owned()),
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
                let fault = self.weather.requests.remove(&number);
                if self.crash == Some((number, false)) || fault == Some(Fault::CrashBefore) {
                    self.crashed = true;
                    return;
                }
                self.in_flight.insert(ticket, key.clone());
                self.remember(&call);
                self.trace.push(format!(
                    "{key}: {intent} {} {}",
                    call.method.as_str(),
                    call.path
                ));
                let result = match fault {
                    None | Some(Fault::CrashAfter | Fault::CrashBefore) => self.send(&call),
                    Some(Fault::Late(seconds)) => {
                        self.put_off(call.clone(), seconds);
                        Err(unknown(None, "the connection was reset"))
                    }
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

/// The keys of every object that a set declares.
pub fn keys(desired: &Desired) -> BTreeSet<Key> {
    desired.objects.keys().cloned().collect()
}
