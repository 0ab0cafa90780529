//! The brain: world in, effects out.
//!
//! One value, one entry: [`Engine::handle`]. It awaits nothing, reads no clock and draws its random
//! numbers from a seed, so a day of operation can be replayed in milliseconds. The shell around it
//! carries the effects out and hands their results back as events.

pub mod desired;
pub mod graph;
pub mod inventory;
pub mod journal;
pub mod plan;
pub mod reason;
pub mod scope;
pub mod snapshot;
pub mod status;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::kinds::call::{Call, CallError, List, Reply};
use crate::kinds::erased::Intent;
use crate::kinds::marker::Owner;
use crate::manifest::Key;

use desired::Desired;
use journal::{Change, Journal};
use scope::{Fingerprint, Scope, Source};

/// Names one effect whose result comes back as an event.
pub type Ticket = u64;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The directory was read: the whole set, each time.
    Desired(Desired),
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
        result: Result<Vec<Value>, CallError>,
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
    /// The time of an [`Effect::Alarm`] has come.
    Alarm,
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

/// What the engine goes by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose resources these are.
    pub owner: Owner,
    /// How often each collection is read when nothing moves. Default 30 s.
    pub poll_interval: Duration,
    /// How long a manifest must be gone before its resource is deleted. Default 60 s.
    pub prune_grace: Duration,
    /// The same for kinds that hold data. Default 10 min.
    pub prune_data_grace: Duration,
    /// Whether an empty directory means that everything is to be deleted. Default no.
    pub prune_allow_empty: bool,
    /// How long a create whose outcome is not known is looked for before it is tried again.
    /// Default 120 s, which is twice the client's deadline.
    pub uncertain_window: Duration,
    /// The time between the two reads that prove a resource gone. Default 30 s.
    pub gone_after: Duration,
    /// How many requests may be in flight per scope and service. Default 8.
    pub max_in_flight: usize,
}

impl Settings {
    /// The defaults, for an owner.
    #[must_use]
    pub const fn new(owner: Owner) -> Self {
        Self {
            owner,
            poll_interval: Duration::from_secs(30),
            prune_grace: Duration::from_secs(60),
            prune_data_grace: Duration::from_secs(600),
            prune_allow_empty: false,
            uncertain_window: Duration::from_secs(120),
            gone_after: Duration::from_secs(30),
            max_in_flight: 8,
        }
    }
}

/// The brain.
pub struct Engine;

impl Engine {
    /// An engine that knows what the journal knows, and nothing of the cloud.
    #[must_use]
    pub fn new(_settings: Settings, _journal: Journal, _seed: u64) -> Self {
        Self
    }

    /// Takes an event in; says what is to be done.
    pub fn handle(&mut self, _event: Event, _now: Timestamp) -> Vec<Effect> {
        Vec::new()
    }

    /// A picture of everything.
    #[must_use]
    pub fn snapshot(&self) -> snapshot::Snapshot {
        snapshot::Snapshot::default()
    }

    /// What would be done now, for `stackward plan`: each object's plan, in order.
    #[must_use]
    pub fn plans(&self) -> BTreeMap<Key, plan::Plan> {
        BTreeMap::new()
    }
}
