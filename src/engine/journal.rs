//! The journal as data: what must survive a crash, and nothing else.
//!
//! Identity is recomputable and ownership is marked in the cloud, so a lost journal is no disaster.
//! What only the journal knows: that a create was under way, that a natural key was made by us,
//! and how an object is to be let go once its manifest is no longer there to say so.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::manifest::Key;

use super::scope::{Fingerprint, Scope};

/// Everything that is on disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journal {
    /// What is known of each object that was ever touched and is not yet gone.
    pub records: BTreeMap<Key, Record>,
    /// What each scope was when it was first seen.
    pub scopes: BTreeMap<Scope, Fingerprint>,
    /// A person has paused the daemon: nothing is written until it is resumed.
    pub paused: bool,
}

/// What is known of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Where it lives.
    pub scope: Scope,
    /// Its id in the cloud, once it has one.
    pub id: Option<String>,
    /// A create that was begun and whose outcome is not known.
    pub intent: Option<Attempt>,
    /// Earlier creates that were given up; a late arrival is recognised by them.
    pub given_up: Vec<Attempt>,
    /// The id that it was adopted by and that is proven gone: that consent is spent.
    #[serde(default)]
    pub gone: Option<String>,
    /// The id that it had last and that is proven gone, or that of what it has replaced: a list that
    /// still shows it lags.
    #[serde(default)]
    pub last: Option<String>,
    /// Which incarnation of the object this is: a successor that is made beside the old one is the
    /// next. Successors and what they replaced have records of their own until one is left.
    #[serde(default)]
    pub incarnation: u8,
    /// Whether one of our creates made it (`false`: it was adopted by its content).
    pub made_here: bool,
    /// Whether its manifest asked to be let go instead of deleted.
    pub detach: bool,
    /// Whether its manifest was protected against deletion.
    pub protect: bool,
    /// A person has approved its deletion.
    #[serde(default)]
    pub approved: bool,
    /// The objects that it refers to: they are deleted after it.
    pub refers_to: Vec<Key>,
    /// The project that it was made in, if its manifest names one or it was seen in it.
    #[serde(default)]
    pub project: Option<String>,
}

impl Record {
    /// The record of an object that has not been created yet.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            id: None,
            intent: None,
            given_up: Vec::new(),
            gone: None,
            last: None,
            incarnation: 0,
            made_here: false,
            detach: false,
            protect: false,
            approved: false,
            refers_to: Vec::new(),
            project: None,
        }
    }
}

/// One POST that may have made a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The nonce in its marker.
    pub nonce: u64,
    /// The id that was asked for, for APIs that let the client choose it.
    pub id: Uuid,
    /// When it was written down, right before the POST.
    pub at: Timestamp,
}

/// One change of the journal. Changes of one effect are committed together.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Write the record of an object.
    Put(Key, Record),
    /// Forget an object.
    Forget(Key),
    /// Write down what a scope is.
    PutScope(Scope, Fingerprint),
    /// Write down that the daemon is paused, or not any more.
    Pause(bool),
}

impl Journal {
    /// Applies a change in memory.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(key, record) => {
                self.records.insert(key.clone(), record.clone());
            }
            Change::Forget(key) => {
                self.records.remove(key);
            }
            Change::PutScope(scope, fingerprint) => {
                self.scopes.insert(scope.clone(), fingerprint.clone());
            }
            Change::Pause(paused) => self.paused = *paused,
        }
    }
}
