//! Changes on their way to the journal, and those that did not get there: after a full disk what was
//! not written is written again, as it is by then. Otherwise memory and disk would differ until each
//! object changes once more, and a restart would go by what is old.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::manifest::Key;

use super::journal::{Change, Journal};
use super::pace::{after, backoff};
use super::scope::Scope;
use super::{Effect, Engine, Ticket};

/// What is on its way, and what has to be written again.
#[derive(Debug, Clone, Default)]
pub(super) struct Saves {
    under_way: BTreeMap<Ticket, BTreeSet<Entry>>,
    unsaved: BTreeSet<Entry>,
    failures: u32,
    retry_at: Option<Timestamp>,
}

/// A part of the journal that is written as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Object(Key),
    Scope(Scope),
    Pause,
}

impl Entry {
    fn of(change: &Change) -> Self {
        match change {
            Change::Put(key, _) | Change::Forget(key) => Self::Object(key.clone()),
            Change::PutScope(scope, _) => Self::Scope(scope.clone()),
            Change::Pause(_) => Self::Pause,
        }
    }

    /// The change that makes the disk say what memory says.
    fn change(&self, journal: &Journal) -> Option<Change> {
        match self {
            Self::Object(key) => Some(match journal.records.get(key) {
                Some(record) => Change::Put(key.clone(), record.clone()),
                None => Change::Forget(key.clone()),
            }),
            Self::Scope(scope) => {
                let fingerprint = journal.scopes.get(scope)?;
                Some(Change::PutScope(scope.clone(), fingerprint.clone()))
            }
            Self::Pause => Some(Change::Pause(journal.paused)),
        }
    }
}

impl Saves {
    /// Is memory the same as the disk, as far as is known?
    pub(super) fn is_done(&self) -> bool {
        self.unsaved.is_empty()
    }

    /// When what was not written is tried again.
    pub(super) const fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }
}

impl Engine {
    /// Sends this round's changes of the journal as one write, with those that failed before: when
    /// their time has come, or when there is something to be written anyway.
    pub(super) fn flush(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let mut changes = std::mem::take(&mut self.changes);
        let is_due = self.saves.retry_at.is_some_and(|at| at <= now);
        if is_due || !changes.is_empty() {
            self.saves.retry_at = None;
            let fresh: BTreeSet<Entry> = changes.iter().map(Entry::of).collect();
            let again = std::mem::take(&mut self.saves.unsaved).into_iter();
            let again = again.filter(|entry| !fresh.contains(entry));
            let again: Vec<Change> = again.filter_map(|it| it.change(&self.journal)).collect();
            changes.splice(0..0, again);
        }
        if changes.is_empty() {
            return;
        }
        let ticket = self.ticket();
        for flight in std::mem::take(&mut self.recording) {
            if let Some(flight) = self.flights.get_mut(&flight) {
                flight.record = Some(ticket);
            }
        }
        let entries = changes.iter().map(Entry::of).collect();
        self.saves.under_way.insert(ticket, entries);
        effects.push(Effect::Record { ticket, changes });
    }

    /// A write of the journal has ended.
    pub(super) fn saved(&mut self, ticket: Ticket, is_saved: bool, now: Timestamp) {
        let entries = self.saves.under_way.remove(&ticket).unwrap_or_default();
        if is_saved {
            self.saves.failures = 0;
            return;
        }
        self.saves.failures += 1;
        self.saves.unsaved.extend(entries);
        let pause = backoff(self.saves.failures, &mut self.rng);
        self.saves.retry_at = Some(after(now, pause));
    }
}
