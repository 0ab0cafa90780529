//! Which decisions hold: what would be decided in the same way again is not decided again.
//!
//! A decision is made from everything that is known: manifests, journal, looks, connections and what
//! was decided about other objects. `Engine::epoch` counts the changes of all that, whatever they are
//! about: coarse on purpose, since nobody has to know then what depends on what. In a cloud where
//! nothing happens a look costs what comparing it with the one before costs.
//!
//! Only a decision that something is as declared holds. What waits does so for a time, or for a look
//! from after a certain moment, and neither is a change; it is decided on with every look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::manifest::Key;

use super::desired::Desired;
use super::plan::Plan;
use super::status::Status;
use super::work::Work;
use super::{Effect, Engine, Event, Ticket};

/// What decisions about other objects, or the next one about the same object, may be made from.
struct Face {
    status: Arc<Status>,
    rest: (Option<Plan>, Option<Ticket>, Option<bool>, [bool; 3]),
}

impl Face {
    fn of(work: &Work) -> Self {
        let flags = [work.exists, work.deleting, work.making_way];
        Self {
            status: Arc::clone(&work.status),
            rest: (work.plan.clone(), work.flight, work.replacing, flags),
        }
    }

    fn is_as(&self, other: &Self) -> bool {
        // A status is another one when what it says is.
        Arc::ptr_eq(&self.status, &other.status) && self.rest == other.rest
    }
}

/// What these events bring is compared with what was known before (looks, manifests), is time, or
/// matters only to what is not as declared (quotas).
pub(super) const fn may_change_decisions(event: &Event) -> bool {
    !matches!(
        event,
        Event::Desired(_) | Event::Listed { .. } | Event::Quota { .. } | Event::Alarm
    )
}

/// The keys that do not stand for the same value in both.
fn changed<'a, T>(one: &'a BTreeMap<Key, Arc<T>>, two: &'a BTreeMap<Key, Arc<T>>) -> Vec<&'a Key> {
    let is_in = |other: &BTreeMap<Key, Arc<T>>, key: &Key, value: &Arc<T>| {
        other.get(key).is_some_and(|it| Arc::ptr_eq(it, value))
    };
    let gone = one.iter().filter(|(key, it)| !is_in(two, key, it));
    let new = two.iter().filter(|(key, it)| !is_in(one, key, it));
    gone.chain(new).map(|(key, _)| key).collect()
}

impl Engine {
    /// Decides about one object, and notices whether that is a change for others.
    pub(super) fn decide(&mut self, key: &Key, now: Timestamp, effects: &mut Vec<Effect>) {
        let decided_at = self.epoch;
        let face = |engine: &Self| engine.work.get(key).map(Face::of);
        let before = face(self);
        self.consider(key, now, effects);
        let is_same = match (before, face(self)) {
            (Some(before), Some(after)) => before.is_as(&after),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            self.epoch += 1;
        }
        if let Some(work) = self.work.get_mut(key) {
            work.decided_at = decided_at;
        }
    }

    /// What is to be decided when the manifests are these from now on: what they say another thing of,
    /// what refers to that, and what did not hold before. The rest follows with the next looks.
    pub(super) fn open_after(&self, desired: &Desired) -> BTreeSet<Key> {
        let before = &self.desired;
        let declared = desired.objects.keys().chain(before.objects.keys());
        let known = declared.chain(self.journal.records.keys());
        let mut open: BTreeSet<Key> = known.filter(|key| !self.holds(key)).cloned().collect();
        let objects = changed(&before.objects, &desired.objects);
        let data = changed(&before.data_manifests, &desired.data_manifests);
        open.extend(objects.iter().copied().cloned());
        for key in objects.into_iter().chain(data) {
            for side in [before, desired] {
                open.extend(side.dependents.get(key).into_iter().flatten().cloned());
            }
        }
        open
    }

    /// Is it as declared, and has nothing changed since that was found?
    #[must_use]
    pub fn holds(&self, key: &Key) -> bool {
        self.desired.objects.contains_key(key)
            && self.work.get(key).is_some_and(|work| {
                work.decided_at == self.epoch
                    && work.plan == Some(Plan::InSync)
                    && work.flight.is_none()
            })
    }
}
