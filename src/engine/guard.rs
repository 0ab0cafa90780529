//! What holds up deletions that have nothing wrong each by itself: how many go at once, how fast,
//! and whether a person wants any; and the pause of the whole daemon.

use std::collections::{BTreeSet, VecDeque};
use std::str::FromStr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::kinds;
use crate::kinds::MarkerPlace;
use crate::kinds::erased::Found;
use crate::manifest::Key;
use crate::zoo::{self, Bug};

use super::Engine;
use super::journal::{Change, Journal, Record};
use super::pace::{after, between};
use super::reason::{Blocker, Waiting};

/// However small the directory, this many may always go: below it a share says nothing.
const ALWAYS: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// What becomes of resources whose manifests are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prune {
    /// They stay.
    Off,
    /// They are deleted after `stackward approve`.
    Confirm,
    /// They are deleted after the guards; many at once need `stackward approve`.
    #[default]
    Auto,
}

impl FromStr for Prune {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "Off" => Ok(Self::Off),
            "Confirm" => Ok(Self::Confirm),
            "Auto" => Ok(Self::Auto),
            _ => Err("expected Off, Confirm or Auto".to_owned()),
        }
    }
}

/// A share in whole per cent: `20%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(100);
    /// The default of [`Limits::share`].
    pub const FIFTH: Self = Self(20);

    const fn of(self, whole: usize) -> usize {
        whole * self.0 as usize / 100
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text);
        match number.parse() {
            Ok(number @ 0..=100) => Ok(Self(number)),
            _ => Err("expected a share from 0% to 100%".to_owned()),
        }
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// How many deletions are made without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the managed objects, at once; three may always go. Default 20 %.
    pub share: Percent,
    /// In one poll interval. Default 25.
    pub per_cycle: usize,
    /// In one hour. Default 100.
    pub per_hour: usize,
}

/// Deletions that wait for a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Frozen {
    /// What `stackward approve` takes: it stands for exactly these objects.
    pub hash: String,
    /// The objects whose manifests are gone.
    pub objects: Vec<Key>,
    /// How many objects are managed, these among them.
    pub managed: usize,
    /// Why none of them is deleted even if it is approved, until somebody mends the manifests.
    pub doubt: Option<String>,
}

/// The word of a person to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Delete what this hash stands for.
    Approve(String),
    /// Write nothing from now on, also after a restart.
    Pause,
    /// Write again.
    Resume,
    /// Look at this object now. A matter of time only: no guard, budget or grace hears of it.
    Reconcile(Key),
}

/// What is known of the deletions that are due.
#[derive(Debug, Clone, Default)]
pub(super) struct Pruning {
    /// Objects in the journal that no manifest declares.
    undeclared: BTreeSet<Key>,
    /// Those that wait for a word; made anew when anything of it changed.
    verdict: Option<Option<Frozen>>,
    /// When deletions were begun without a person's word, in the last hour.
    begun: VecDeque<Timestamp>,
}

impl Engine {
    /// The directory or the journal has changed as a whole.
    pub(super) fn recount(&mut self) {
        self.pruning.verdict = None;
        self.pruning.undeclared = self
            .journal
            .records
            .keys()
            .filter(|key| !self.desired.objects.contains_key(*key) && !self.is_replaced(key))
            .cloned()
            .collect();
    }

    /// The journal has changed, and so may have what the deletions that are due are a share of.
    pub(super) fn reweigh(&mut self) {
        if let Some(Some(_)) = self.pruning.verdict.take() {
            // With one less of them, the others may be few enough to go.
            self.dirty.extend(self.pruning.undeclared.iter().cloned());
        }
    }

    /// A person's word.
    pub(super) fn control(&mut self, control: &Control, now: Timestamp) {
        self.visible = true;
        self.dirty.extend(self.work.keys().cloned());
        match control {
            Control::Reconcile(key) => self.look_now(key, now),
            Control::Pause => self.change(Change::Pause(true)),
            Control::Resume => {
                self.rival = None;
                // What was taken for a rival's is ours from now on.
                for work in self.work.values_mut() {
                    work.seen_absent = false;
                }
                self.change(Change::Pause(false));
            }
            Control::Approve(hash) => {
                let Some(frozen) = self
                    .frozen()
                    .filter(|frozen| frozen.hash == *hash || zoo::has(Bug::TakesAnyApproval))
                else {
                    return;
                };
                for key in frozen.objects {
                    if let Some(mut record) = self.journal.records.get(&key).cloned() {
                        record.approved = true;
                        self.change(Change::Put(key, record));
                    }
                }
            }
        }
    }

    /// Why nothing at all is written, if so.
    pub(super) fn pause(&self) -> Option<String> {
        if let Some(rival) = &self.rival {
            return Some(rival.clone());
        }
        if self.settings.observe_only {
            return Some("--observe-only".to_owned());
        }
        let paused = self.journal.paused && !zoo::has(Bug::ForgetsThePause);
        paused.then(|| "paused; `stackward resume` ends it".to_owned())
    }

    /// A complete look showed nothing of this object, and now there is something with its identity
    /// that none of our tries made: another daemon has our owner id.
    pub(super) fn is_of_a_rival(&self, key: &Key, found: &Found) -> bool {
        let Some(marker) = found.marker else {
            return false;
        };
        let record = self.journal.records.get(key);
        let known = record.is_some_and(|record| {
            // What is proven gone may be in a list that lags.
            [&record.id, &record.last].contains(&&Some(found.id.clone()))
                || (record.intent.iter().chain(&record.given_up))
                    .any(|attempt| attempt.nonce == marker.attempt)
        });
        !known
            && !zoo::has(Bug::SeesNoRival)
            && self.work.get(key).is_some_and(|work| work.seen_absent)
    }

    /// Nothing is written from now on.
    pub(super) fn yield_to_rival(&mut self, key: &Key, found: &Found) {
        if self.rival.is_none() {
            self.rival = Some(format!(
                "another daemon writes with our owner id: it made {key} ({}); stop one of the two, then `stackward resume`",
                found.id
            ));
            self.dirty.extend(self.work.keys().cloned());
            self.visible = true;
        }
    }

    /// The deletions that wait for a person's word.
    pub(super) fn frozen(&mut self) -> Option<Frozen> {
        if self.pruning.verdict.is_none() {
            self.pruning.verdict = Some(self.judge());
        }
        self.pruning.verdict.clone().flatten()
    }

    pub(super) fn judge(&self) -> Option<Frozen> {
        let condemned: Vec<(&Key, &Record)> = self
            .pruning
            .undeclared
            .iter()
            .filter_map(|key| Some((key, self.journal.records.get(key)?)))
            .filter(|(key, record)| is_condemned(key, record))
            .collect();
        let managed = count(&self.journal);
        let going = condemned.len();
        let frozen = match self.settings.prune {
            Prune::Off => false,
            Prune::Confirm => going > 0,
            Prune::Auto if zoo::has(Bug::KnowsNoShareLimit) => false,
            Prune::Auto => going > ALWAYS.max(self.settings.prune_limits.share.of(managed)),
        };
        frozen.then(|| Frozen {
            hash: hash(&condemned),
            objects: condemned.iter().map(|(key, _)| (*key).clone()).collect(),
            managed,
            doubt: self.lasting_doubt(),
        })
    }

    /// Is a person's word needed to delete this?
    pub(super) fn held(&mut self, record: &Record) -> Option<Blocker> {
        if record.approved {
            return None;
        }
        if self.settings.prune == Prune::Off {
            return Some(Blocker::PruneOff);
        }
        self.frozen().map(|frozen| Blocker::Frozen {
            hash: frozen.hash,
            going: frozen.objects.len(),
            managed: frozen.managed,
        })
    }

    /// When the budgets have room for one more deletion, if they have none now.
    pub(super) fn budget(&mut self, record: &Record, now: Timestamp) -> Option<Waiting> {
        if record.approved {
            return None;
        }
        let begun = &mut self.pruning.begun;
        while begun.front().is_some_and(|at| between(*at, now) >= HOUR) {
            begun.pop_front();
        }
        let Limits {
            per_cycle,
            per_hour,
            ..
        } = self.settings.prune_limits;
        let cycle = self.settings.poll_interval;
        let recent = begun.iter().filter(|at| between(**at, now) < cycle).count();
        if begun.len() >= per_hour {
            let first = begun.front().map_or(now, |at| after(*at, HOUR));
            return Some(Waiting::Budget(first));
        }
        if recent >= per_cycle && !zoo::has(Bug::KnowsNoBudget) {
            let first = begun.get(begun.len() - recent);
            return Some(Waiting::Budget(first.map_or(now, |at| after(*at, cycle))));
        }
        None
    }

    /// A deletion was begun.
    pub(super) fn spend(&mut self, record: &Record, now: Timestamp) {
        if !record.approved {
            self.pruning.begun.push_back(now);
        }
    }
}

/// Would it be deleted if nothing held it up, and nobody has approved that yet?
fn is_condemned(key: &Key, record: &Record) -> bool {
    let has_marker =
        kinds::find(&key.kind).is_some_and(|kind| kind.marker() != MarkerPlace::NaturalKey);
    let ours = has_marker || record.made_here || record.intent.is_some();
    ours && !record.detach && !record.protect && !record.approved
}

fn count(journal: &Journal) -> usize {
    let exists = |record: &&Record| record.id.is_some() || record.intent.is_some();
    journal.records.values().filter(exists).count()
}

/// Stands for exactly these resources: another object, or another resource of it, is another hash.
fn hash(condemned: &[(&Key, &Record)]) -> String {
    let mut hasher = Sha256::new();
    for (key, record) in condemned {
        let id = record.id.as_deref().unwrap_or_default();
        hasher.update(format!("{key} {} {id}\n", record.scope));
    }
    HEXLOWER.encode(&hasher.finalize()[..6])
}
