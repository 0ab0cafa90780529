//! From an outcome back to what is known: of a write to the journal, and of a request.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::kinds::call::{CallError, Reply};
use crate::kinds::erased::{Found, Intent};
use crate::kinds::health::Health;
use crate::kinds::need::Material;
use crate::kinds::{self, Birth, MarkerPlace};
use crate::manifest::{Adopt, Key};
use crate::zoo::{self, Bug};

use super::journal::Change;
use super::pace::{End, after, backoff};
use super::reason::{Blocker, Waiting};
use super::scope::Scope;
use super::steps::Flight;
use super::work::{Missing, Work};
use super::{Effect, Engine, Link, Ticket};

impl Engine {
    /// The journal was written, or not: creates that waited for it go, or do not.
    pub(super) fn recorded(
        &mut self,
        ticket: Ticket,
        result: Result<(), String>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let result = if zoo::has(Bug::SendsAfterAFailedRecord) {
            Ok(())
        } else {
            result
        };
        self.saved(ticket, result.is_ok(), now);
        let waiting: Vec<Ticket> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.record == Some(ticket))
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in waiting {
            match &result {
                Ok(()) if self.leads_elsewhere(ticket) && !zoo::has(Bug::SendsElsewhere) => {
                    // Not sent, so the intent never was: it is taken back.
                    self.land(ticket, End::Unsent, now);
                    let Some(flight) = self.flights.remove(&ticket) else {
                        continue;
                    };
                    if let Some(mut record) = self.journal.records.get(&flight.key).cloned() {
                        record.intent = None;
                        self.change(Change::Put(flight.key.clone(), record));
                    }
                    self.dirty.insert(flight.key);
                }
                Ok(()) => {
                    let Some(flight) = self.flights.get_mut(&ticket) else {
                        continue;
                    };
                    (flight.record, flight.began) = (None, now);
                    if let Some(call) = flight.call.take() {
                        let (scope, key) = (flight.scope.clone(), flight.key.clone());
                        let intent = flight.intent.clone();
                        effects.push(Effect::Call {
                            ticket,
                            scope,
                            key,
                            intent,
                            call,
                        });
                    }
                }
                Err(why) => {
                    // Not on disk, so not sent: the intent never was.
                    let error = Blocker::Journal(why.clone()).to_string();
                    self.land(ticket, End::Unsent, now);
                    let Some(flight) = self.flights.remove(&ticket) else {
                        continue;
                    };
                    if let Some(record) = self.journal.records.get_mut(&flight.key) {
                        record.intent = None;
                    }
                    self.fail(&flight.key, error, None, false, now);
                }
            }
        }
    }

    /// Has the connection changed while the journal was being written?
    fn leads_elsewhere(&self, ticket: Ticket) -> bool {
        let scope = self.flights.get(&ticket).map(|flight| &flight.scope);
        !matches!(
            scope.and_then(|scope| self.links.get(scope)),
            Some(Link::Up(_))
        )
    }

    /// A request was answered, or not.
    pub(super) fn called(
        &mut self,
        ticket: Ticket,
        result: Result<Reply, CallError>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        if let Ok(reply) = &result
            && self
                .flights
                .get(&ticket)
                .is_some_and(|flight| flight.then_delete)
        {
            self.delete_if_ours(ticket, reply, now, effects);
            return;
        }
        let end = self.flights.get(&ticket).map(|it| it.end(&result));
        self.land(ticket, end.unwrap_or(End::Unsent), now);
        let Some(flight) = self.flights.remove(&ticket) else {
            return;
        };
        let key = &flight.key;
        let refused = matches!(
            result,
            Err(CallError::NotSent { .. } | CallError::Rejected { .. })
        );
        self.quotas.ended(key, !refused, now);
        if let Err(error) = &result
            && error.is_throttled()
        {
            let pause = error.retry_after().unwrap_or(Duration::from_secs(5));
            self.lanes
                .pause(&flight.scope, flight.service, after(now, pause));
        }
        match (&flight.intent, result) {
            (Intent::Create, result) => self.created(&flight, result, now),
            (Intent::Inspect, Ok(reply)) if self.is_leaving(key, &reply) => {
                self.not_found(key, now);
            }
            (Intent::Inspect, Ok(_)) => {
                // It is there although the list does not show it: the list is asked again.
                let at = after(now, self.settings.gone_after);
                if let Some(work) = self.work.get_mut(key) {
                    work.missing = None;
                    work.pause = Some(Waiting::Missing(at));
                }
                self.want_own(key, at);
            }
            (Intent::Inspect | Intent::Delete, Err(error)) if error.is_not_found() => {
                self.not_found(key, now);
            }
            (Intent::Delete, Ok(_)) => {
                self.asked(key, &Intent::Delete, now);
                if let Some(work) = self.work.get_mut(key) {
                    work.deleting = true;
                    work.failures = 0;
                    work.repairs.accepted(now);
                }
                self.wrote(key, &Intent::Delete, now);
            }
            (intent, Ok(reply)) => {
                self.asked(key, intent, now);
                if let Some(work) = self.work.get_mut(key) {
                    work.failures = 0;
                    work.pause = None;
                    work.repairs.accepted(now);
                }
                self.wrote_and_saw(key, intent, &reply, now);
            }
            (intent, Err(error)) => {
                if *intent != Intent::Inspect && !matches!(error, CallError::NotSent { .. }) {
                    self.wrote(key, intent, now);
                }
                let words = if *intent == Intent::Delete && self.desired.objects.contains_key(key) {
                    format!(
                        "it is to be made anew, but what is there cannot be deleted yet: {error} (where something uses it, lifecycle.replace: CreateFirst lets that follow to the new one first)"
                    )
                } else {
                    error.to_string()
                };
                self.fail(key, words, error.retry_after(), error.is_quota(), now);
            }
        }
        self.dirty.insert(flight.key);
    }

    fn created(&mut self, flight: &Flight, result: Result<Reply, CallError>, now: Timestamp) {
        let key = &flight.key;
        let born = match &result {
            Ok(reply) => kinds::find(&key.kind).and_then(|kind| kind.born(reply)),
            Err(_) => None,
        };
        let mut record = self.journal.records.get(key).cloned();
        let was = record.clone();
        if let Some(record) = &mut record {
            match (&result, &born) {
                (Ok(_), Some(id)) => {
                    record.id = Some(id.clone());
                    record.intent = None;
                    record.made_here = true;
                }
                // Certainly not made: as if it had never been tried.
                (Err(CallError::NotSent { .. } | CallError::Rejected { .. }), _) => {
                    record.intent = None
                }
                (Err(CallError::Unknown { .. }), _) if zoo::has(Bug::TakesUnknownForRefused) => {
                    record.intent = None;
                }
                (Ok(_), None) if zoo::has(Bug::TakesAnAnswerWithoutAnIdForRefused) => {
                    record.intent = None;
                }
                // It may have been made: the intent stays until it is found or given up.
                (Err(CallError::Unknown { .. }) | Ok(_), _) => {}
            }
            if was.as_ref() != Some(record) {
                let change = Change::Put(key.clone(), record.clone());
                self.change(change);
            }
        }
        match &result {
            Ok(reply) => self.wrote_and_saw(key, &Intent::Create, reply, now),
            Err(_) => self.wrote(key, &Intent::Create, now),
        }
        match result {
            Ok(_) => {
                if let Some(work) = self.work.get_mut(key) {
                    work.failures = 0;
                    work.pause = None;
                    work.state = None;
                }
            }
            Err(error) => {
                self.fail(
                    key,
                    error.to_string(),
                    error.retry_after(),
                    error.is_quota(),
                    now,
                );
            }
        }
    }

    /// A fresh look right before a deletion: what carries our marker, in our project, is deleted.
    fn delete_if_ours(
        &mut self,
        ticket: Ticket,
        reply: &Reply,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(flight) = self.flights.get(&ticket) else {
            return;
        };
        let (key, scope) = (flight.key.clone(), flight.scope.clone());
        let end = flight.answered();
        let is_removal = flight.is_removal;
        if !zoo::has(Bug::DeletesWhatCameBack) && self.is_reprieved(&key, is_removal) {
            self.land(ticket, end, now);
            self.flights.remove(&ticket);
            self.dirty.insert(key);
            return;
        }
        let call = kinds::find(&key.kind)
            .ok_or_else(|| "its kind is not known".to_owned())
            .and_then(|kind| {
                let found = kind.look(kind.item(self.known_id(&key), reply))?;
                self.is_deletable(&key, kind.marker(), &scope, &found)?;
                if let Some((field, call)) = kind.before_delete(&found) {
                    return Ok((Intent::Act(field), call, found.id));
                }
                let birth = Birth {
                    name: "",
                    marker: self.settings.owner.marker(&self.identity(&key), 0),
                    object: "",
                    id: Uuid::nil(),
                    material: &Material::default(),
                };
                kind.request(
                    &Intent::Delete,
                    &serde_json::Value::Null,
                    Some(&found),
                    &birth,
                )
                .map(|call| (Intent::Delete, call, found.id))
                .map_err(|refusal| refusal.message)
            });
        match call {
            Ok((intent, _, id)) if !self.may_ask(&key, &intent, &id, now) => {
                self.land(ticket, end, now);
                self.flights.remove(&ticket);
                self.dirty.insert(key);
            }
            Ok((intent, call, _)) => {
                if let Some(flight) = self.flights.get_mut(&ticket) {
                    flight.intent = intent.clone();
                    flight.then_delete = false;
                    flight.began = now;
                }
                effects.push(Effect::Call {
                    ticket,
                    scope,
                    key,
                    intent,
                    call,
                });
            }
            Err(why) => {
                self.land(ticket, end, now);
                self.flights.remove(&ticket);
                self.fail(&key, format!("it is not deleted: {why}"), None, false, now);
                self.dirty.insert(key);
            }
        }
    }

    /// Was its deletion taken back while it was looked at: declared again, frozen, paused?
    fn is_reprieved(&mut self, key: &Key, is_removal: bool) -> bool {
        let declared = self.declared(key).is_some();
        let is_pruned = is_removal && !self.is_replaced(key);
        let record = self.journal.records.get(key).cloned();
        self.pause().is_some()
            || declared == is_removal
            || is_pruned && record.is_none_or(|record| self.held(&record).is_some())
    }

    fn is_deletable(
        &self,
        key: &Key,
        place: MarkerPlace,
        scope: &Scope,
        found: &Found,
    ) -> Result<(), String> {
        let owner = self.settings.owner;
        let ours = match place {
            MarkerPlace::NaturalKey => self.journal.records.get(key).is_some_and(|record| {
                (record.made_here || zoo::has(Bug::DeletesWhatItDidNotMake))
                    && record.id.as_deref() == Some(found.id.as_str())
            }),
            _ => found.marker.is_some_and(|it| {
                it.uid == owner.uid(&self.identity(key)) && it.owner == owner.short()
            }),
        };
        if zoo::has(Bug::DeletesWithoutTheLastLook) {
            return Ok(());
        }
        if !ours {
            return Err(format!("{} does not carry our marker", found.id));
        }
        let recorded = self.journal.records.get(key);
        let recorded = recorded.and_then(|record| record.project.as_deref());
        if !self.is_in_project(scope, &[recorded], found) {
            return Err(format!("{} belongs to another project", found.id));
        }
        Ok(())
    }

    /// A read or a deletion by id answered 404.
    fn not_found(&mut self, key: &Key, now: Timestamp) {
        let record = self.journal.records.get(key).cloned();
        let Some(id) = record.as_ref().and_then(|record| record.id.clone()) else {
            return;
        };
        let scope = record.as_ref().map(|record| record.scope.clone());
        let Some(kind) = kinds::find(&key.kind) else {
            return;
        };
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        let first = work.missing.clone().filter(|missing| missing.id == id);
        let deleted_by_us = work.deleting;
        let proven = match &first {
            _ if deleted_by_us || zoo::has(Bug::TakesOne404ForGone) => true,
            None => false,
            Some(missing) => {
                // The token was proven good in between: a list of the same service succeeded.
                let listing = scope
                    .as_ref()
                    .and_then(|it| self.inventory.listing(it, kind.name()));
                after(missing.since, self.settings.gone_after) <= now
                    && listing.is_some_and(|listing| listing.started_at > missing.since)
            }
        };
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        if !proven {
            work.missing.get_or_insert(Missing { id, since: now });
            let at = after(now, Duration::from_secs(1));
            self.want_own(key, at);
            return;
        }
        self.stirred(key, now);
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        *work = Work {
            status: std::mem::take(&mut work.status),
            undeclared_since: work.undeclared_since,
            wake: work.wake,
            repairs: std::mem::take(&mut work.repairs).gone(),
            ..Work::default()
        };
        if let Some(mut record) = record {
            let adopt = self.desired.objects.get(key).map(|it| &it.policy().adopt);
            if matches!(adopt, Some(Some(Adopt::Id(adopted))) if *adopted == id) {
                record.gone = Some(id.clone());
            }
            record.last = Some(id);
            record.id = None;
            record.intent = None;
            record.made_here = false;
            self.change(Change::Put(key.clone(), record));
        }
    }

    /// Its request has ended, or never was: the place is free.
    pub(super) fn land(&mut self, ticket: Ticket, end: End, now: Timestamp) {
        let Some(flight) = self.flights.get(&ticket) else {
            return;
        };
        if let Some(work) = self.work.get_mut(&flight.key) {
            work.flight = None;
            work.doing = None;
        }
        let limit = self.settings.max_in_flight;
        let next = (self.lanes).leave(&flight.scope, flight.service, end, limit, now);
        self.dirty.extend(next);
    }

    pub(super) fn fail(
        &mut self,
        key: &Key,
        error: String,
        retry_after: Option<Duration>,
        quota: bool,
        now: Timestamp,
    ) {
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        work.failures += 1;
        // A quota is not freed by asking often.
        let failures = if quota {
            work.failures + 4
        } else {
            work.failures
        };
        let pause = backoff(failures, &mut self.rng).max(retry_after.unwrap_or_default());
        let until = after(now, pause);
        work.pause = Some(if quota {
            Waiting::Quota { until, error }
        } else {
            Waiting::Backoff { until, error }
        });
        self.dirty.insert(key.clone());
    }

    /// Services that delete late still show what is as good as gone (Nova's `SOFT_DELETED`).
    fn is_leaving(&self, key: &Key, reply: &Reply) -> bool {
        kinds::find(&key.kind)
            .and_then(|kind| kind.look(kind.item(self.known_id(key), reply)).ok())
            .is_some_and(|found| found.health == Health::Leaving)
    }

    /// The id that the journal has for an object; empty if it has none.
    pub(super) fn known_id(&self, key: &Key) -> &str {
        let record = self.journal.records.get(key);
        let id = record.and_then(|record| record.id.as_deref());
        id.unwrap_or_default()
    }
}
