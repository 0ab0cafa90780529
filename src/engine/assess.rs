//! What is found out about one declared object in a pass, and what seeing it teaches the journal.

use jiff::Timestamp;

use crate::kinds;
use crate::kinds::MarkerPlace;
use crate::kinds::erased::Found;
use crate::kinds::health::Health;
use crate::manifest::{Key, OnDelete};
use crate::zoo::{self, Bug};

use super::Engine;
use super::desired::Object;
use super::journal::{Change, Record};
use super::observe::state_of;
use super::pace::after;
use super::plan::{Drift, Observed, Plan, Wanted, plan};
use super::resolve::Resolved;
use super::scope::Scope;
use super::work::Negatives;

/// What was found out about one object, as owned values.
pub(super) struct Assessment {
    pub(super) plan: Plan,
    pub(super) resolved: Resolved,
    pub(super) found: Option<Found>,
    pub(super) resource: serde_json::Value,
    /// All that differs.
    pub(super) drift: Drift,
    /// Whether a complete look showed nothing of it; `None` when that cannot be said.
    pub(super) absent: Option<bool>,
    /// It does not serve, and is not to: the manifest wants it so.
    pub(super) is_meant: bool,
}

impl Engine {
    pub(super) fn assess(&self, object: &Object, now: Timestamp) -> Assessment {
        let work = self.work.get(object.key());
        let resolved = self.resolve(object);
        let observed = self.observe(object, &resolved, work, now);
        let wanted = Wanted {
            kind: object.kind,
            spec: resolved.spec.as_ref(),
            unmet: &resolved.unmet,
            policy: object.policy(),
        };
        let plan = plan(&wanted, &observed, now);
        let drift = match &observed {
            Observed::Found(seen) if seen.found.health.is_settled() => Drift::of(&wanted, seen),
            _ => Drift::default(),
        };
        let (found, resource) = match &observed {
            Observed::Found(seen) | Observed::Adoptable(seen) => (
                Some(seen.found.clone()),
                object.kind.status(seen.found, &seen.attached),
            ),
            _ => (None, serde_json::Value::Null),
        };
        let absent = match &observed {
            Observed::Absent if resolved.spec.is_some() => Some(true),
            Observed::Adoptable(_) => Some(false),
            _ => None,
        };
        let is_meant = match (&resolved.spec, &found) {
            (Some(spec), Some(found)) => object.kind.is_meant(spec, found),
            _ => false,
        };
        Assessment {
            plan,
            resolved,
            found,
            resource,
            drift,
            absent,
            is_meant,
        }
    }

    /// Writes down what seeing a resource teaches.
    pub(super) fn saw(&mut self, object: &Object, found: &Found, now: Timestamp) {
        let state = state_of(found);
        if let Some(work) = self.work.get_mut(object.key()) {
            if work
                .state
                .as_ref()
                .is_none_or(|(before, _)| before != state)
            {
                // What was just made has been so since then.
                let made_at = work.wrote_at.filter(|_| work.state.is_none());
                work.state = Some((state.to_owned(), made_at.unwrap_or(now)));
            }
            work.moving_since = match found.health {
                Health::Moving(_) | Health::Leaving => work.moving_since.or(Some(now)),
                _ => None,
            };
            work.missing = None;
            work.seen_absent = false;
            work.negatives = Negatives::default();
        }
        let is_ours = found.marker.is_some() || object.kind.marker() == MarkerPlace::NaturalKey;
        if object.accepted.spec.is_some() && is_ours {
            let id = Some(found.id.clone());
            let project = found.project.clone();
            let incarnation = self.incarnation_of(object.key(), found);
            let before = self.journal.records.get(object.key());
            let made_here = found.marker.is_some()
                || self.is_part_of_ours(&object.scope, found)
                || before.is_some_and(|it| {
                    it.intent.is_some() || (it.made_here && it.id.as_ref() == Some(&found.id))
                });
            self.keep_record(object, |record| {
                record.id = id;
                record.intent = None;
                record.made_here = made_here;
                // Once more before it is deleted, and then by this.
                record.project = project;
                record.incarnation = incarnation.unwrap_or(record.incarnation);
            });
        }
    }

    /// Is it a part of something that carries our marker?
    fn is_part_of_ours(&self, scope: &Scope, found: &Found) -> bool {
        found.part_of.as_ref().is_some_and(|(kind, id)| {
            let whole = self
                .inventory
                .listing(scope, kind)
                .and_then(|listing| listing.get(id));
            let marker = whole.and_then(|whole| whole.marker);
            marker.is_some_and(|marker| marker.owner == self.settings.owner.short())
        })
    }

    /// Brings the record of an object up to date, and writes it if that changed it.
    pub(super) fn keep_record(&mut self, object: &Object, change: impl FnOnce(&mut Record)) {
        let before = self.journal.records.get(object.key());
        let mut record = before
            .cloned()
            .unwrap_or_else(|| Record::new(object.scope.clone()));
        record.detach = object.policy().on_delete == OnDelete::Detach;
        record.protect = object.policy().protect && !zoo::has(Bug::ForgetsTheProtection);
        record.approved = false;
        record.refers_to = object.refers_to.iter().cloned().collect();
        change(&mut record);
        if before != Some(&record) {
            let change = Change::Put(object.key().clone(), record);
            self.change(change);
        }
    }

    /// A create whose outcome is not known has not shown up in three looks that began after the
    /// window: it is given up, and remembered as such.
    pub(super) fn give_up_uncertain(&mut self, key: &Key, scope: &Scope) {
        let Some(record) = self.journal.records.get(key) else {
            return;
        };
        let (None, Some(intent)) = (&record.id, &record.intent) else {
            return;
        };
        let Some(kind) = kinds::find(&key.kind) else {
            return;
        };
        let wrote_at = self.work.get(key).and_then(|work| work.wrote_at);
        let (deadline, given_up) = (
            after(intent.at, self.settings.uncertain_window),
            intent.clone(),
        );
        let Ok(listing) = self.evidence(scope, kind.name(), wrote_at) else {
            return;
        };
        // A look from within the window says nothing of a request that is carried out at its end.
        let is_early = listing.started_at < deadline && !zoo::has(Bug::PostsAgainTooEarly);
        if is_early
            || !listing.malformed.is_empty()
            || listing
                .marked(self.settings.owner.uid(&self.identity(key)))
                .next()
                .is_some()
        {
            return;
        }
        let started_at = listing.started_at;
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        work.negatives.count(started_at);
        if work.negatives.count >= 3 || zoo::has(Bug::PostsAgainTooEarly) {
            work.negatives = Negatives::default();
            let mut record = record.clone();
            record.intent = None;
            if !zoo::has(Bug::ForgetsTheOldTry) {
                record.given_up.push(given_up);
            }
            self.change(Change::Put(key.clone(), record));
        }
    }
}
