//! What a list holds, as its kind understands it.
//!
//! Read where the pages arrive: nothing of it is decided by the engine, and a long list is no reason
//! for the engine to stand still.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::kinds;
use crate::kinds::among::among;
use crate::kinds::call::CallError;
use crate::kinds::erased::Found;
use crate::zoo::{self, Bug};

use super::Engine;
use super::inventory::Listing;
use super::scope::Scope;

/// The items of a whole list.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// Those that the kind understands.
    pub found: Vec<Found>,
    /// The others, with the reason.
    pub malformed: Vec<String>,
    /// What it shows of other kinds, whose items are among its own.
    pub others: BTreeMap<&'static str, Self>,
}

/// One item, as each kind understands it that it may be of; or which one it is, and why not.
pub struct Item {
    own: Result<Found, String>,
    others: Vec<(&'static str, Result<Found, String>)>,
}

/// Reads one item of a kind's list, a JSON text.
pub fn read(kind: &str, item: &str) -> Item {
    let others = among(kind).iter().filter(|among| among.has(item));
    let others = others.map(|among| (among.kind.name(), understood(among.kind.name(), item)));
    Item {
        others: others.collect(),
        own: understood(kind, item),
    }
}

fn understood(kind: &str, item: &str) -> Result<Found, String> {
    let known = kinds::find(kind).ok_or_else(|| format!("{kind} is no kind"))?;
    known.look_at(item).map_err(|why| {
        let item: Value = serde_json::from_str(item).unwrap_or_default();
        format!("{}: {why}", item["id"].as_str().unwrap_or("an item"))
    })
}

impl Looked {
    /// The whole list of these items.
    #[must_use]
    pub fn of(kind: &str, items: impl IntoIterator<Item = Value>) -> Self {
        let items = items.into_iter().map(|item| item.to_string());
        items.map(|item| read(kind, &item)).collect()
    }

    fn add(&mut self, item: Result<Found, String>) {
        match item {
            Ok(found) => self.found.push(found),
            Err(why) => self.malformed.push(why),
        }
    }
}

impl FromIterator<Item> for Looked {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        let mut looked = Self::default();
        for item in items {
            looked.add(item.own);
            for (kind, item) in item.others {
                looked.others.entry(kind).or_default().add(item);
            }
        }
        looked
    }
}

impl Engine {
    /// A collection was read, or not.
    pub(super) fn listed(
        &mut self,
        scope: &Scope,
        kind: &'static str,
        started_at: Timestamp,
        result: Result<Looked, CallError>,
        now: Timestamp,
    ) {
        let mut result = match result {
            Err(_) if zoo::has(Bug::TakesAFailedListForAnEmptyOne) => Ok(Looked::default()),
            result => result,
        };
        for other in among(kind).iter().map(|among| among.kind.name()) {
            if self.lists.is_within(scope, other) {
                let theirs = result.as_mut().map(|looked| {
                    let theirs = looked.others.remove(other);
                    theirs.unwrap_or_default()
                });
                let theirs = theirs.map_err(|error| error.clone());
                self.take_look(scope, other, started_at, theirs, now);
            }
        }
        let complete = self.take_look(scope, kind, started_at, result, now);
        let interval = self.settings.poll_interval;
        (self.lists).end(scope, kind, complete, now, interval, &mut self.rng);
    }

    /// Takes over what a look at one kind has shown; is it complete, and believed?
    fn take_look(
        &mut self,
        scope: &Scope,
        kind: &'static str,
        started_at: Timestamp,
        result: Result<Looked, CallError>,
        now: Timestamp,
    ) -> bool {
        let parts = self.asked.remove(&(scope.clone(), kind));
        let ours: BTreeSet<&str> = self
            .work
            .iter()
            .filter(|(_, work)| work.deleting)
            .filter_map(|(key, _)| self.journal.records.get(key)?.id.as_deref())
            .collect();
        let (complete, is_news) = match result {
            Ok(looked) => {
                let found = looked.found.into_iter().map(|it| it.at(now)).collect();
                let listing = Listing::new(started_at, found, looked.malformed);
                let listing = listing.of_parts(parts.unwrap_or_default());
                let expected = |id: &str| ours.contains(id);
                let belief = self.inventory.believe(scope, kind, listing, expected);
                (belief.is_ok(), belief.unwrap_or(true))
            }
            Err(failure) => {
                self.inventory.fail(scope, kind, failure.to_string());
                (false, true)
            }
        };
        if is_news {
            self.epoch += 1;
        }
        if let Some(keys) = self.readers.get(&(scope.clone(), kind)) {
            let open = keys.iter().filter(|key| !self.holds(key)).cloned();
            self.dirty.extend(open.collect::<Vec<_>>());
        }
        complete
    }
}
