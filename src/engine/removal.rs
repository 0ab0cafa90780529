//! What no manifest declares any more: let go, or deleted after its guards.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::kinds;
use crate::kinds::MarkerPlace;
use crate::kinds::erased::{AnyKind, Intent};
use crate::kinds::health::Health;
use crate::manifest::Key;
use crate::zoo::{self, Bug};

use super::journal::{Change, Record};
use super::observe::Trace;
use super::pace::{after, between};
use super::plan::{Plan, Todo};
use super::reason::{Blocker, Waiting};
use super::scope::Scope;
use super::status::{Facts, Truth};
use super::{Effect, Engine, Link};

/// What becomes of something undeclared.
enum Fate {
    /// There is nothing to do about it any more.
    Forget,
    /// Read it by id: is it gone, or still ours? Then delete it if `delete`.
    Read { id: String, delete: bool },
    /// Not yet.
    Wait(Waiting),
    /// Not without a person.
    Blocked(Blocker),
}

impl Engine {
    /// Decides about something that no manifest declares.
    pub(super) fn consider_removal(
        &mut self,
        key: &Key,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(scope) = self.journal.records.get(key).map(|it| it.scope.clone()) else {
            if self.work.remove(key).is_some() {
                self.visible = true;
            }
            return;
        };
        let since = *self
            .work
            .entry(key.clone())
            .or_default()
            .undeclared_since
            .get_or_insert(now);
        self.give_up_uncertain(key, &scope);
        let (Some(kind), Some(record)) = (
            kinds::find(&key.kind),
            self.journal.records.get(key).cloned(),
        ) else {
            return;
        };
        // What was replaced goes by leave of `lifecycle.replace`, and is no pruning.
        let is_pruned = !self.is_replaced(key);
        let held = is_pruned.then(|| self.held(&record)).flatten();
        let mut fate = self.fate(key, kind, &record, held, since, now);
        let todo = |delete| Todo {
            intent: if delete {
                Intent::Delete
            } else {
                Intent::Inspect
            },
            why: Vec::new(),
        };
        if matches!(fate, Fate::Read { delete: true, .. })
            && let Some(waiting) = self
                .still_there(key, now)
                .or_else(|| is_pruned.then(|| self.budget(&record, now)).flatten())
        {
            fate = Fate::Wait(waiting);
        }
        let plan = match fate {
            Fate::Forget => {
                self.work.remove(key);
                self.change(Change::Forget(key.clone()));
                self.remember_replaced(key, record.last);
                self.visible = true;
                // What it referred to may go now.
                self.dirty.extend(record.refers_to);
                self.dirty.extend(key.as_incarnation().map(|(key, _)| key));
                return;
            }
            Fate::Wait(waiting) => Plan::Wait(waiting),
            Fate::Blocked(blocker) => Plan::Blocked(blocker),
            Fate::Read { delete: true, .. } if self.pause().is_some() => {
                Plan::Suspended(Some(todo(true)))
            }
            Fate::Read { id, delete } => match self.paused(key, now) {
                Some(waiting) => Plan::Wait(waiting),
                None => {
                    self.read_for_removal(key, kind, &record, &id, delete, now, effects);
                    Plan::Do(todo(delete))
                }
            },
        };
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        let facts = Facts {
            generation: 0,
            plan: &plan,
            doing: work.doing.clone(),
            serves: Truth::False,
            left: &[],
            state: None,
            id: record.id,
            // It is not looked at any more; what it was is said until it is gone.
            resource: work.status.resource.clone(),
        };
        let status = work.status.next(facts, now);
        if *work.status != status {
            self.visible = true;
            work.status = Arc::new(status);
        }
        work.plan = Some(plan.clone());
        let age = between(since, now);
        self.look_again(key, &plan, age, now);
    }

    fn fate(
        &self,
        key: &Key,
        kind: &'static dyn AnyKind,
        record: &Record,
        held: Option<Blocker>,
        since: Timestamp,
        now: Timestamp,
    ) -> Fate {
        if let Some(why) = self.directory_doubt(key) {
            return Fate::Wait(Waiting::Manifests(why));
        }
        let by_content_only = kind.marker() == MarkerPlace::NaturalKey
            && !record.made_here
            && !zoo::has(Bug::DeletesWhatItDidNotMake);
        if record.detach || (by_content_only && record.intent.is_none()) {
            return Fate::Forget;
        }
        if record.protect && !zoo::has(Bug::IgnoresTheProtection) {
            return Fate::Blocked(Blocker::Protected);
        }
        if let Some(Link::Foreign(how)) = self.links.get(&record.scope) {
            return Fate::Blocked(Blocker::ScopeChanged(how.clone()));
        }
        let grace = if kind.holds_data() {
            self.settings.prune_data_grace
        } else {
            self.settings.prune_grace
        };
        // What waits for a person says so at once; whether it is there at all is still looked at.
        if held.is_none() {
            let until = after(since, grace);
            // What another one has replaced is not missed: its manifest is still there.
            if until > now && !self.is_replaced(key) && !zoo::has(Bug::KnowsNoGrace) {
                return Fate::Wait(Waiting::Grace(until));
            }
            let dependents = self.referrers(key);
            if !dependents.is_empty() && !zoo::has(Bug::DeletesInForwardOrder) {
                return Fate::Wait(Waiting::Dependents(dependents));
            }
        }
        match self.followers(key, record) {
            Ok(followers) if !followers.is_empty() => {
                return Fate::Wait(Waiting::Followers(followers));
            }
            Ok(_) => {}
            Err(waiting) => return Fate::Wait(waiting),
        }
        let work = self.work.get(key);
        let wrote_at = work.and_then(|work| work.wrote_at);
        let (id, scope) = (record.id.as_deref(), &record.scope);
        let listing = match self.evidence_of(id, scope, kind.name(), wrote_at) {
            Ok(listing) => listing,
            Err(waiting) => return Fate::Wait(waiting),
        };
        let trace = if kind.marker() == MarkerPlace::NaturalKey {
            match (&record.id, &record.intent) {
                (Some(id), _) => listing.get(id).map_or(Trace::Lost(id), Trace::Here),
                (None, Some(intent)) => Trace::Pending(intent.at),
                (None, None) => Trace::Nowhere,
            }
        } else {
            self.trace_by_marker(key, &record.scope, None, None, Some(record), listing)
        };
        match trace {
            Trace::Here(found) if found.health == Health::Leaving => Fate::Wait(Waiting::Leaving),
            Trace::Here(_) if let Some(blocker) = held => Fate::Blocked(blocker),
            Trace::Here(found) if let Some(why) = kind.lock(found) => {
                Fate::Blocked(Blocker::Refused(why))
            }
            Trace::Here(found) => match self.would_go_too(kind, &record.scope, &found.id) {
                Err(waiting) => Fate::Wait(waiting),
                Ok(others) if !others.is_empty() && !zoo::has(Bug::DeletesWhatGoesAlong) => {
                    Fate::Blocked(Blocker::Refused(format!(
                        "{} would delete with it: {}; delete or move them first",
                        kind.service(),
                        others.join(", ")
                    )))
                }
                Ok(_) => Fate::Read {
                    id: found.id.clone(),
                    delete: true,
                },
            },
            Trace::Lost(id) => {
                let next = work.and_then(|work| work.missing.as_ref());
                let next = next.map(|missing| after(missing.since, self.settings.gone_after));
                match next {
                    Some(at) if at > now && !work.is_some_and(|work| work.deleting) => {
                        Fate::Wait(Waiting::Missing(at))
                    }
                    _ => Fate::Read {
                        id: id.to_owned(),
                        delete: false,
                    },
                }
            }
            Trace::Pending(at) => {
                // Until it is given up: what is forgotten before it appears would stay for ever.
                let until = after(at, self.settings.uncertain_window);
                Fate::Wait(Waiting::Uncertain(until))
            }
            Trace::Nowhere => Fate::Forget,
            Trace::Blocked(blocker) => Fate::Blocked(blocker),
        }
    }

    /// Why the manifests cannot be trusted to have lost this object on purpose.
    fn directory_doubt(&self, key: &Key) -> Option<String> {
        let base = key.as_incarnation().map(|(key, _)| key);
        if self.desired.held.contains(base.as_ref().unwrap_or(key)) {
            return Some("its manifest has a problem".to_owned());
        }
        self.doubt()
    }

    /// Why the manifests cannot be trusted to have lost any object on purpose.
    pub(super) fn doubt(&self) -> Option<String> {
        if let Some(why) = &self.desired.hiding {
            return Some(why.clone());
        }
        if self.agreements == 0 {
            return Some("the directory has not been read".to_owned());
        }
        if self.agreements < 2 && !zoo::has(Bug::BelievesOneReading) {
            return Some("the directory has been read only once like this".to_owned());
        }
        let may_be_empty =
            self.settings.prune_allow_empty || zoo::has(Bug::BelievesAnEmptyDirectory);
        if self.desired.is_empty() && !may_be_empty {
            return Some(
                "the directory declares nothing at all (--prune-allow-empty allows that)"
                    .to_owned(),
            );
        }
        None
    }

    /// The doubt that only a person ends. Another reading of the directory, moments later, ends by
    /// itself the doubt about a single one.
    pub(super) fn lasting_doubt(&self) -> Option<String> {
        let lasts = self.desired.hiding.is_some() || self.agreements >= 2;
        self.doubt().filter(|_| lasts)
    }

    /// Does one record refer to another, directly or by way of others? Objects that refer to each
    /// other need no order among themselves.
    fn leads_to(&self, from: &Key, to: &Key) -> bool {
        let mut seen: BTreeSet<&Key> = BTreeSet::new();
        let mut open = vec![from];
        while let Some(key) = open.pop() {
            let Some(record) = self.journal.records.get(key) else {
                continue;
            };
            for next in &record.refers_to {
                if next == to {
                    return true;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    }

    /// What the service would delete together with a resource, in words.
    fn would_go_too(
        &self,
        kind: &dyn AnyKind,
        scope: &Scope,
        id: &str,
    ) -> Result<Vec<String>, Waiting> {
        let mut others = Vec::new();
        for other in kind.cascade() {
            // Our own writes may have taken some of it along: what was there before says too much.
            let wrote_at = self.wrote.get(&(scope.clone(), kind.service())).copied();
            let listing = self.evidence(scope, other, wrote_at)?;
            if let Some(item) = listing.malformed.first() {
                return Err(Waiting::LookFailed(item.clone()));
            }
            others.extend(listing.attached_to(id).map(|found| match &*found.name {
                "" => format!("{other} {}", found.id),
                name => format!("{other} {name}"),
            }));
        }
        Ok(others)
    }

    /// Everything that still exists and refers to this.
    fn referrers(&self, key: &Key) -> Vec<Key> {
        let mut referrers: Vec<Key> = self
            .journal
            .records
            .iter()
            .filter(|(other, record)| {
                *other != key
                    && record.refers_to.contains(key)
                    && !self.leads_to(key, other)
                    && (record.id.is_some() || record.intent.is_some())
            })
            .map(|(other, _)| other.clone())
            .collect();
        referrers.sort();
        referrers
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one step with all that it needs, called once"
    )]
    fn read_for_removal(
        &mut self,
        key: &Key,
        kind: &'static dyn AnyKind,
        record: &Record,
        id: &str,
        delete: bool,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let call = kind.read(id);
        let (scope, service) = (record.scope.clone(), call.service);
        let Some(ticket) = self.depart(key, &scope, service, Intent::Inspect, delete, now) else {
            return;
        };
        if delete && !self.is_replaced(key) {
            self.spend(record, now);
        }
        if let Some(work) = self.work.get_mut(key) {
            work.doing = Some(
                if delete {
                    "delete"
                } else {
                    "make sure that it is gone"
                }
                .to_owned(),
            );
        }
        effects.push(Effect::Call {
            ticket,
            scope,
            key: key.clone(),
            intent: Intent::Inspect,
            call,
        });
    }
}
