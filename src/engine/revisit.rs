//! When an object is looked at again, and at what: soon while it moves, once after a write, and at what
//! is attached to it when that may have changed.

use std::time::Duration;

use jiff::Timestamp;

use crate::kinds;
use crate::manifest::Key;

use super::Engine;
use super::observe::attached_since;
use super::pace::{AT_ONCE, after, between, next_look};
use super::plan::Plan;
use super::reason::Waiting;
use super::scope::Scope;

impl Engine {
    /// Sees to it that it is looked at again in time.
    pub(super) fn look_again(&mut self, key: &Key, plan: &Plan, age: Duration, now: Timestamp) {
        let age = match plan {
            Plan::Wait(Waiting::Moving(_) | Waiting::Leaving | Waiting::Stalled { .. }) => {
                Some(age)
            }
            Plan::Wait(Waiting::Uncertain(until)) => {
                let began = until
                    .checked_sub(self.settings.uncertain_window)
                    .unwrap_or(now);
                Some(between(began, now))
            }
            _ => None,
        };
        if let Some(age) = age {
            let at = after(now, next_look(age));
            self.want_own(key, at);
            // What is attached to it is asked for when it has arrived, or when somebody waits for what
            // is told there: an address, while the server still boots.
            if self.is_awaited(key)
                && let Some(began) = self.own_look(key)
            {
                self.want_revealing(key, began);
            }
        }
        if *plan == Plan::Wait(Waiting::Settling) {
            self.settle(key, now);
        }
        if let Plan::Wait(waiting) = plan
            && let Some(until) = waiting.until()
            // What is over and still waited for ends with a look, not with the clock: an alarm for
            // the past would be the next event again and again.
            && until > now
        {
            self.wake(key, until);
        }
    }

    /// Asks for what is missing to know how it is.
    fn settle(&mut self, key: &Key, now: Timestamp) {
        // What is attached to it is looked at once it is known what it is itself.
        match self.own_look(key) {
            Some(began) => self.want_attached(key, began),
            None => self.want_own_after_write(key, now),
        }
        if !self.desired.objects.contains_key(key) {
            self.want_cascade(key, now);
        }
        if kinds::find(&key.kind).is_some_and(|kind| kind.part().is_some()) {
            self.want_own(key, now);
        }
    }

    fn want_own_after_write(&mut self, key: &Key, now: Timestamp) {
        if let (Some(kind), Some(scope)) = (kinds::find(&key.kind), self.scope_of(key).cloned())
            && !self.is_due(&scope, kind.name(), Duration::from_secs(1), now)
        {
            let since = self.written(key).unwrap_or(now);
            self.lists.want(&scope, kind.name(), since);
        }
    }

    /// Has somebody asked for a look at this soon?
    fn is_due(&self, scope: &Scope, kind: &'static str, within: Duration, now: Timestamp) -> bool {
        let due = self.lists.due(scope, kind);
        due.is_some_and(|due| due <= after(now, within))
    }

    /// Asks for the first look after a write that has only begun something: with others of its kind, if
    /// there is one soon.
    pub(super) fn want_first(&mut self, key: &Key, now: Timestamp) {
        if let (Some(kind), Some(scope)) = (kinds::find(&key.kind), self.scope_of(key).cloned())
            && !self.is_due(&scope, kind.name(), Duration::from_secs(1), now)
        {
            self.lists.want(&scope, kind.name(), after(now, AT_ONCE));
        }
    }

    /// From when on a look knows of the last write.
    pub(super) fn written(&self, key: &Key) -> Option<Timestamp> {
        let wrote_at = self.work.get(key)?.wrote_at?;
        Some(after(wrote_at, Duration::from_millis(1)))
    }

    /// When the look began that says what it is by now, if there is one.
    fn own_look(&self, key: &Key) -> Option<Timestamp> {
        let work = self.work.get(key);
        let look = match self.declared(key) {
            Some(object) => self.own_evidence(object, work),
            None => {
                let record = self.journal.records.get(key);
                let id = record.and_then(|record| record.id.as_deref());
                let wrote_at = work.and_then(|work| work.wrote_at);
                let (scope, kind) = (self.scope_of(key)?, kinds::find(&key.kind)?);
                self.evidence_of(id, scope, kind.name(), wrote_at)
            }
        };
        look.ok().map(|look| look.started_at)
    }

    /// Does anything that refers to it wait for it?
    fn is_awaited(&self, key: &Key) -> bool {
        let dependents = self.desired.dependents.get(key);
        let waits = |other: &Key| {
            let plan = self.work.get(other).and_then(|work| work.plan.as_ref());
            match plan {
                Some(Plan::Wait(Waiting::For { key: it, .. } | Waiting::Value { key: it, .. })) => {
                    it == key
                }
                _ => false,
            }
        };
        dependents.is_some_and(|dependents| dependents.iter().any(waits))
    }

    /// Asks for a look at the collection that this object is in.
    pub(super) fn want_own(&mut self, key: &Key, at: Timestamp) {
        if let (Some(kind), Some(scope)) = (kinds::find(&key.kind), self.scope_of(key).cloned()) {
            self.lists.want(&scope, kind.name(), at);
        }
    }

    /// Asks for looks at what its service would delete together with this object.
    fn want_cascade(&mut self, key: &Key, at: Timestamp) {
        if let (Some(kind), Some(scope)) = (kinds::find(&key.kind), self.scope_of(key).cloned()) {
            for name in kind.cascade() {
                self.lists.want(&scope, name, at);
            }
        }
    }

    /// Asks for looks at what shows of it what others refer to.
    fn want_revealing(&mut self, key: &Key, at: Timestamp) {
        let Some(object) = self.declared(key).cloned() else {
            return;
        };
        for name in object.kind.revealed_by() {
            self.lists.want(&object.scope, name, at);
        }
    }

    /// Asks for looks at what is attached to this object, where there is none yet that shows it as it is
    /// since it was looked at itself.
    fn want_attached(&mut self, key: &Key, began: Timestamp) {
        let Some(object) = self.declared(key).cloned() else {
            return;
        };
        let own = self.inventory.listing(&object.scope, object.kind.name());
        let id = self
            .work
            .get(key)
            .and_then(|work| work.status.id.as_deref());
        let found = own.and_then(|own| Some((own, own.get(id?)?)));
        let work = self.work.get(key);
        let since = |kind| match found {
            Some((own, found)) => attached_since(&object, kind, work, found, own),
            None => Some(began),
        };
        let wanted = object
            .attached()
            .filter_map(|kind| Some((kind, since(kind)?)));
        for (kind, since) in wanted.collect::<Vec<_>>() {
            self.lists.want(&object.scope, kind, since);
        }
    }
}
