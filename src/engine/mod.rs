//! The brain: world in, effects out.
//!
//! One value, one entry: [`Engine::handle`]. It awaits nothing, reads no clock and draws its random
//! numbers from a seed, so a day of operation can be replayed in milliseconds. The shell around it
//! carries the effects out and hands their results back as events.

mod assess;
mod conclude;
pub mod desired;
pub mod drift;
pub mod export;
mod flap;
pub mod graph;
pub mod guard;
mod holds;
pub mod inventory;
pub mod journal;
mod lists;
mod look;
pub mod looked;
mod observe;
mod outcome;
pub mod pace;
pub mod plan;
mod quota;
pub mod reason;
mod removal;
mod replace;
mod resolve;
mod revisit;
mod save;
pub mod scope;
mod settings;
pub mod snapshot;
pub mod status;
mod stays;
mod steps;
mod succession;
mod window;
mod work;
mod wrote;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::kinds;
use crate::kinds::call::{Call, CallError, Get, List, Reply, Service};
use crate::kinds::erased::Intent;
use crate::manifest::Key;
use crate::zoo::{self, Bug};

use desired::Desired;
use drift::Drifts;
use guard::{Control, Pruning};
use holds::may_change_decisions;
use inventory::Inventory;
use journal::{Change, Journal};
use lists::Lists;
use looked::Looked;
use pace::{Lanes, after, backoff};
use plan::{Drift, Plan};
use quota::Quotas;
use save::Saves;
use scope::{Fingerprint, Scope, Source};
use status::Status;
use steps::Flight;
use work::Work;

pub use settings::Settings;

/// Names one effect whose result comes back as an event.
pub type Ticket = u64;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The directory was read: the whole set, each time; the same one while nothing in it changes.
    Desired(Arc<Desired>),
    /// The settings were read again. The owner stays what it was.
    Settings(Settings),
    /// A scope was connected to, or could not be.
    Connected {
        /// Which.
        scope: Scope,
        /// Its fingerprint, or why not.
        result: Result<Fingerprint, String>,
    },
    /// A collection was read.
    Listed {
        /// Whose.
        scope: Scope,
        /// Of which kind.
        kind: &'static str,
        /// When the first page was asked for.
        started_at: Timestamp,
        /// All items, or why not.
        result: Result<Looked, CallError>,
    },
    /// A service's quotas were read, or not.
    Quota {
        /// Whose.
        scope: Scope,
        /// Of which service.
        service: Service,
        /// When it was asked.
        started_at: Timestamp,
        /// Its answer.
        result: Result<Reply, CallError>,
    },
    /// A request was answered, or not.
    Called {
        /// Which.
        ticket: Ticket,
        /// The answer.
        result: Result<Reply, CallError>,
    },
    /// The journal was written, or not.
    Recorded {
        /// Which effect.
        ticket: Ticket,
        /// Why not.
        result: Result<(), String>,
    },
    /// A person has spoken.
    Control(Control),
    /// The time of an [`Effect::Alarm`] has come.
    Alarm,
}

impl Event {
    /// What it is, in one word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Desired(_) => "desired",
            Self::Settings(_) => "settings",
            Self::Connected { .. } => "connected",
            Self::Listed { .. } => "listed",
            Self::Quota { .. } => "quota",
            Self::Called { .. } => "called",
            Self::Recorded { .. } => "recorded",
            Self::Control(_) => "control",
            Self::Alarm => "alarm",
        }
    }
}

/// Something to be done by the shell.
#[derive(Debug)]
pub enum Effect {
    /// Connect to a scope: get a token, say what it is.
    Connect {
        /// Which.
        scope: Scope,
        /// Where its credentials come from.
        source: Source,
    },
    /// Read a collection.
    List {
        /// Whose.
        scope: Scope,
        /// Of which kind.
        kind: &'static str,
        /// The request.
        list: List,
    },
    /// Read a service's quotas.
    Quota {
        /// Whose.
        scope: Scope,
        /// The request.
        get: Get,
    },
    /// Send one request.
    Call {
        /// Names its answer.
        ticket: Ticket,
        /// Where.
        scope: Scope,
        /// For which object.
        key: Key,
        /// What for.
        intent: Intent,
        /// The request.
        call: Call,
    },
    /// Write these changes to the journal, together, and force them to disk.
    Record {
        /// Names its outcome.
        ticket: Ticket,
        /// The changes.
        changes: Vec<Change>,
    },
    /// Send [`Event::Alarm`] then; replaces the alarm before it.
    Alarm(Timestamp),
    /// Something that people can see has changed: take a snapshot when convenient.
    Publish,
}

/// How a scope is connected.
#[derive(Debug, Clone)]
enum Link {
    /// Being connected.
    Connecting,
    /// Connected, to the place that was recorded.
    Up(Fingerprint),
    /// Could not be connected; tried again then.
    Down {
        error: String,
        retry_at: Timestamp,
        failures: u32,
    },
    /// Connected to another place than the recorded one: nothing is written there.
    Foreign(String),
}

/// What would be done about one object, for `stackward plan`.
#[derive(Debug, Clone, PartialEq)]
pub struct Intention {
    /// What.
    pub plan: Plan,
    /// Whether it is there.
    pub exists: bool,
    /// Whether its manifest is gone.
    pub deleting: bool,
    /// All that differs, with what it takes to change each; `plan` is only the next step.
    pub drift: Drift,
}

/// The brain. A copy of it goes on as the original would: simulations branch off one.
#[derive(Debug, Clone)]
pub struct Engine {
    settings: Settings,
    rng: fastrand::Rng,
    desired: Arc<Desired>,
    /// The directory was read, well or badly.
    read_once: bool,
    /// How many readings of the directory in a row declared the same objects.
    agreements: u32,
    journal: Journal,
    inventory: Inventory,
    links: BTreeMap<Scope, Link>,
    lists: Lists,
    /// The parts that the look under way was asked for.
    asked: BTreeMap<(Scope, &'static str), BTreeSet<String>>,
    quotas: Quotas,
    lanes: Lanes,
    /// When each service was last written to, or last found to have lost something of ours: a look
    /// from before that says too much.
    wrote: BTreeMap<(Scope, Service), Timestamp>,
    work: BTreeMap<Key, Work>,
    flights: BTreeMap<Ticket, Flight>,
    next_ticket: Ticket,
    dirty: BTreeSet<Key>,
    /// Counts the changes of what decisions are made from.
    epoch: u64,
    /// The epoch in which it was last said what is read.
    surveyed: u64,
    /// Something was recorded that may not be among what is read.
    is_unread: bool,
    wakes: BTreeSet<(Timestamp, Key)>,
    /// Which objects are looked at when a kind was listed in a scope.
    readers: BTreeMap<(Scope, &'static str), BTreeSet<Key>>,
    /// Changes of the journal that this round makes; they are written together.
    changes: Vec<Change>,
    /// Creates that wait for those changes to be on disk.
    recording: BTreeSet<Ticket>,
    saves: Saves,
    pruning: Pruning,
    /// What was counted of drift, by kind.
    drifts: BTreeMap<Arc<str>, Drifts>,
    /// Another daemon writes with our owner id: how that was seen.
    rival: Option<String>,
    visible: bool,
}

impl Engine {
    /// An engine that knows what the journal knows, and nothing of the cloud.
    #[must_use]
    pub fn new(settings: Settings, mut journal: Journal, seed: u64) -> Self {
        if zoo::has(Bug::ForgetsTheIntentAfterACrash) {
            let records = journal.records.values_mut();
            records.for_each(|record| record.intent = None);
        }
        let dirty = journal.records.keys().cloned().collect();
        Self {
            settings,
            rng: fastrand::Rng::with_seed(seed),
            desired: Arc::default(),
            read_once: false,
            agreements: 0,
            journal,
            inventory: Inventory::default(),
            links: BTreeMap::new(),
            lists: Lists::default(),
            asked: BTreeMap::new(),
            quotas: Quotas::default(),
            lanes: Lanes::default(),
            wrote: BTreeMap::new(),
            work: BTreeMap::new(),
            flights: BTreeMap::new(),
            next_ticket: 1,
            dirty,
            epoch: 1,
            surveyed: 0,
            is_unread: false,
            wakes: BTreeSet::new(),
            readers: BTreeMap::new(),
            changes: Vec::new(),
            recording: BTreeSet::new(),
            saves: Saves::default(),
            pruning: Pruning::default(),
            drifts: BTreeMap::new(),
            rival: None,
            visible: false,
        }
    }

    /// Takes an event in; says what is to be done.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        if may_change_decisions(&event) {
            self.epoch += 1;
        }
        match event {
            Event::Desired(desired) => self.desire(desired, now, &mut effects),
            Event::Settings(settings) => {
                self.settings = Settings {
                    owner: self.settings.owner,
                    ..settings
                };
                self.recount();
                self.dirty.extend(self.work.keys().cloned());
            }
            Event::Connected { scope, result } => self.connected(scope, result, now),
            Event::Listed {
                scope,
                kind,
                started_at,
                result,
            } => {
                self.listed(&scope, kind, started_at, result, now);
            }
            Event::Quota {
                scope,
                service,
                started_at,
                result,
            } => {
                self.quota_told(&scope, service, started_at, &result, now);
            }
            Event::Called { ticket, result } => self.called(ticket, result, now, &mut effects),
            Event::Recorded { ticket, result } => self.recorded(ticket, result, now, &mut effects),
            Event::Control(control) => self.control(&control, now),
            Event::Alarm => {}
        }
        self.run(now, &mut effects);
        effects
    }

    /// The manifests were read.
    fn desire(&mut self, mut desired: Arc<Desired>, now: Timestamp, effects: &mut Vec<Effect>) {
        if zoo::has(Bug::BelievesABrokenFile) {
            let desired = Arc::make_mut(&mut desired);
            desired.hiding = None;
            desired.held.clear();
        }
        let is_same = Arc::ptr_eq(&desired, &self.desired);
        let agrees =
            desired.hiding.is_none() && (is_same || desired.declared() == self.desired.declared());
        self.agreements = if agrees {
            self.agreements + 1
        } else {
            u32::from(desired.hiding.is_none())
        };
        let changed_sources: Vec<(Scope, Source)> = desired
            .sources
            .iter()
            .filter(|(scope, source)| self.desired.sources.get(*scope) != Some(source))
            .map(|(scope, source)| (scope.clone(), source.clone()))
            .collect();
        self.dirty.extend(self.open_after(&desired));
        if !is_same {
            self.epoch += 1;
        }
        self.desired = desired;
        self.recount();
        self.read_once = true;
        self.visible = true;
        for (scope, source) in changed_sources {
            self.connect(scope, source, effects);
        }
        if std::mem::replace(&mut self.surveyed, self.epoch) != self.epoch {
            self.survey(now, effects);
        }
    }

    /// Says what has to be connected to, and what is read there.
    fn survey(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        // What only the journal knows of lives in a cloud that no manifest may name any more.
        let remembered: BTreeSet<Scope> = self
            .journal
            .records
            .values()
            .map(|record| record.scope.clone())
            .collect();
        for scope in remembered {
            if !self.links.contains_key(&scope) {
                let source = Source::Cloud(Some(scope.to_string()));
                self.connect(scope, source, effects);
            }
        }
        self.watch(now);
    }

    fn connect(&mut self, scope: Scope, source: Source, effects: &mut Vec<Effect>) {
        self.epoch += 1;
        self.links.insert(scope.clone(), Link::Connecting);
        effects.push(Effect::Connect { scope, source });
    }

    /// Says which collections are read, and who reads them.
    fn watch(&mut self, now: Timestamp) {
        let mut readers: BTreeMap<(Scope, &'static str), BTreeSet<Key>> = BTreeMap::new();
        let mut wanted: BTreeSet<(Scope, &'static str)> = BTreeSet::new();
        let mut read = |scope: &Scope, kind: &'static str, key: &Key, always: bool| {
            let collection = (scope.clone(), kind);
            if always {
                wanted.insert(collection.clone());
            }
            readers.entry(collection).or_default().insert(key.clone());
        };
        for (key, object) in &self.desired.objects {
            read(&object.scope, object.kind.name(), key, true);
            for (kind, always) in object.read_with() {
                read(&object.scope, kind, key, always);
            }
            for kind in object.filtered_kinds() {
                read(&object.scope, kind, key, true);
            }
        }
        for (key, record) in &self.journal.records {
            if let Some(kind) = kinds::find(&key.kind) {
                read(&record.scope, kind.name(), key, true);
                if !self.desired.objects.contains_key(key) {
                    for kind in kind.cascade() {
                        read(&record.scope, kind, key, true);
                    }
                }
            }
        }
        let within = wanted.iter().filter_map(|(scope, kind)| {
            let whole = kinds::among::whole(kind)?;
            let is_read = wanted.contains(&(scope.clone(), whole));
            is_read.then(|| ((scope.clone(), *kind), whole))
        });
        let within: BTreeMap<_, _> = within.collect();
        let on_demand = readers.keys().filter(|it| !wanted.contains(it)).cloned();
        let on_demand = on_demand.collect();
        wanted.retain(|it| !within.contains_key(it));
        self.lists.watch(&wanted, &on_demand, now);
        for ((scope, kind), whole) in &within {
            // The whole may have been read before anybody wanted the part.
            if self.inventory.listing(scope, kind).is_none() {
                self.lists.want(scope, whole, now);
            }
        }
        self.lists.read_within(within);
        self.readers = readers;
        self.watch_quotas(now);
    }

    fn connected(&mut self, scope: Scope, result: Result<Fingerprint, String>, now: Timestamp) {
        let failures = match self.links.get(&scope) {
            Some(Link::Down { failures, .. }) => *failures,
            _ => 0,
        };
        let link = match result {
            Ok(fingerprint) => match self.journal.scopes.get(&scope) {
                Some(recorded) if !zoo::has(Bug::SkipsTheScopeFingerprint) => {
                    match recorded.difference(&fingerprint) {
                        Some(how) => Link::Foreign(how),
                        None => Link::Up(fingerprint),
                    }
                }
                _ => {
                    self.change(Change::PutScope(scope.clone(), fingerprint.clone()));
                    Link::Up(fingerprint)
                }
            },
            Err(error) => {
                let retry_at = after(now, backoff(failures + 1, &mut self.rng));
                Link::Down {
                    error,
                    retry_at,
                    failures: failures + 1,
                }
            }
        };
        self.links.insert(scope.clone(), link);
        self.visible = true;
        let keys = |(key, object): (&Key, &Arc<desired::Object>)| {
            (object.scope == scope).then(|| key.clone())
        };
        self.dirty
            .extend(self.desired.objects.iter().filter_map(keys));
        self.dirty.extend(
            self.journal
                .records
                .iter()
                .filter(|(_, it)| it.scope == scope)
                .map(|(key, _)| key.clone()),
        );
    }

    /// Works off everything that is dirty, then says what else is due.
    fn run(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.is_unread) {
            self.watch(now);
        }
        while let Some((at, _)) = self.wakes.first()
            && *at <= now
        {
            if let Some((_, key)) = self.wakes.pop_first() {
                if let Some(work) = self.work.get_mut(&key) {
                    work.wake = None;
                }
                self.dirty.insert(key);
            }
        }
        let retries: Vec<Scope> = self
            .links
            .iter()
            .filter(|(_, link)| matches!(link, Link::Down { retry_at, .. } if *retry_at <= now))
            .map(|(scope, _)| scope.clone())
            .collect();
        for scope in retries {
            let source = self.desired.sources.get(&scope).cloned();
            let source = source.unwrap_or_else(|| Source::Cloud(Some(scope.to_string())));
            if let Some(Link::Down { retry_at, .. }) = self.links.get_mut(&scope) {
                // Its answer sets the next time; until then it counts as down.
                *retry_at = Timestamp::MAX;
            }
            effects.push(Effect::Connect { scope, source });
        }
        while let Some(key) = self.dirty.pop_first() {
            self.decide(&key, now, effects);
        }
        for (scope, kind) in self.lists.begin(now, |scope| is_up(&self.links, scope)) {
            if let Some(known) = kinds::find(kind) {
                let mut list = known.list();
                list.parts = self.parts(known, &scope);
                let ids = list.parts.iter().map(|(_, id)| id.clone()).collect();
                self.asked.insert((scope.clone(), kind), ids);
                effects.push(Effect::List { scope, kind, list });
            }
        }
        self.read_quotas(now, effects);
        self.flush(now, effects);
        let retry = self.links.values().filter_map(|link| match link {
            Link::Down { retry_at, .. } if *retry_at < Timestamp::MAX => Some(*retry_at),
            _ => None,
        });
        let times = self
            .lists
            .next_due(|scope| is_up(&self.links, scope))
            .into_iter();
        let times = times
            .chain(self.wakes.first().map(|(at, _)| *at))
            .chain(self.next_quota())
            .chain(self.saves.retry_at())
            .chain(retry);
        if let Some(at) = times.min() {
            effects.push(Effect::Alarm(at));
        }
        if std::mem::take(&mut self.visible) {
            effects.push(Effect::Publish);
        }
    }

    fn ticket(&mut self) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        ticket
    }

    fn change(&mut self, change: Change) {
        self.epoch += 1;
        // What no manifest names is read from when it is recorded.
        if let Change::Put(key, _) = &change {
            let is_known = self.journal.records.contains_key(key);
            self.is_unread |= !is_known && !self.desired.objects.contains_key(key);
        }
        self.journal.apply(&change);
        self.reweigh();
        self.changes.push(change);
    }

    fn status_of(&self, key: &Key) -> Option<&Status> {
        self.desired
            .objects
            .contains_key(key)
            .then(|| self.work.get(key))?
            .map(|work| &*work.status)
    }
}

fn is_up(links: &BTreeMap<Scope, Link>, scope: &Scope) -> bool {
    matches!(links.get(scope), Some(Link::Up(_) | Link::Foreign(_)))
}
