//! From a decision to a request: the intent of a create goes to the journal first, everything takes
//! a place in its service's lane.

use std::time::Duration;

use jiff::Timestamp;

use crate::kinds::Birth;
use crate::kinds::call::{Call, CallError, Reply, Service};
use crate::kinds::erased::Intent;
use crate::manifest::Key;
use crate::zoo::{self, Bug};

use super::assess::Assessment;
use super::desired::Object;
use super::journal::Attempt;
use super::observe::named_project;
use super::pace::{Admission, End, after};
use super::plan::{Plan, Todo};
use super::reason::{Blocker, Waiting};
use super::scope::Scope;
use super::window::Sort;
use super::{Effect, Engine, Ticket};

/// One request that is under way, or waits for the journal.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    /// For whom.
    pub(super) key: Key,
    /// Where.
    pub(super) scope: Scope,
    /// At which service.
    pub(super) service: Service,
    /// What for. A deletion begins with a look: `then_delete`.
    pub(super) intent: Intent,
    /// After the look, delete what it showed if it is ours.
    pub(super) then_delete: bool,
    /// It was begun because no manifest declares the object.
    pub(super) is_removal: bool,
    /// When it was sent.
    pub(super) began: Timestamp,
    /// The write of the journal that it waits for.
    pub(super) record: Option<Ticket>,
    /// The request that waits.
    pub(super) call: Option<Call>,
}

impl Flight {
    /// How it ends by this outcome, as far as the service's pace goes.
    pub(super) fn end(&self, result: &Result<Reply, CallError>) -> End {
        match result {
            Err(CallError::NotSent { .. }) => End::Unsent,
            Err(error) if error.is_throttled() => End::TooMuch { began: self.began },
            Err(CallError::Unknown { .. }) => End::TooMuch { began: self.began },
            Ok(_) | Err(CallError::Rejected { .. }) => self.answered(),
        }
    }

    /// Its request was answered.
    pub(super) fn answered(&self) -> End {
        End::Answered {
            sort: Sort::of(&self.key.kind, &self.intent),
            began: self.began,
        }
    }
}

impl Engine {
    /// Decides about one object, and begins the request if there is one.
    pub(super) fn consider(&mut self, key: &Key, now: Timestamp, effects: &mut Vec<Effect>) {
        let is_busy = self.work.get(key).is_some_and(|work| work.flight.is_some());
        if is_busy && !zoo::has(Bug::SendsTwoRequestsAtOnce) {
            return;
        }
        self.quotas.let_go(key);
        let Some(object) = self.object_of(key) else {
            if !self.is_undecided(key) {
                self.consider_removal(key, now, effects);
            }
            return;
        };
        self.work.entry(key.clone()).or_default().undeclared_since = None;
        self.give_up_uncertain(key, &object.scope);
        let assessment = self.assess(&object, now);
        if let (Some(absent), Some(work)) = (assessment.absent, self.work.get_mut(key)) {
            work.seen_absent = absent;
        }
        match &assessment.found {
            Some(found) if self.is_of_a_rival(key, found) => self.yield_to_rival(key, found),
            Some(found) => self.saw(&object, found, now),
            None => {}
        }
        let mut plan = assessment.plan.clone();
        if let Plan::Do(todo) = &plan {
            let todo = todo.clone();
            let idle = todo.intent != Intent::Inspect && self.pause().is_some();
            let held = idle
                .then(|| Plan::Suspended(Some(todo.clone())))
                .or_else(|| self.succession(&object, &todo, now))
                .or_else(|| self.paused(key, now).map(Plan::Wait))
                .or_else(|| {
                    let deletes = todo.intent == Intent::Delete;
                    deletes.then(|| self.still_there(key, now))?.map(Plan::Wait)
                })
                .or_else(|| self.look_before(&object, &todo.intent, now).map(Plan::Wait))
                .or_else(|| self.restrain(&object, &todo, &assessment, now))
                .or_else(|| self.make_room(&object, &todo, &assessment, now));
            match held {
                Some(held) => plan = held,
                None => {
                    if let Err(blocker) = self.begin(&object, &todo, &assessment, now, effects) {
                        plan = Plan::Blocked(blocker);
                    }
                }
            }
        }
        if let Some((base, _)) = key.as_incarnation()
            && self.work.get(key).and_then(|work| work.plan.as_ref()) != Some(&plan)
        {
            self.dirty.insert(base);
        }
        self.conclude(key, object.generation, plan, &assessment, now);
        self.attend(&object, &assessment.plan, now);
    }

    /// Is there a reason not to send anything for this object yet?
    pub(super) fn paused(&mut self, key: &Key, now: Timestamp) -> Option<Waiting> {
        let work = self.work.get_mut(key)?;
        let until = work.pause.as_ref()?.until()?;
        if until > now {
            return work.pause.clone();
        }
        work.pause = None;
        None
    }

    /// What may hinder a change is looked at no sooner than there is one. What cannot be listed hinders
    /// nothing.
    fn look_before(&mut self, object: &Object, intent: &Intent, now: Timestamp) -> Option<Waiting> {
        let Intent::Act(field) = intent else {
            return None;
        };
        let wrote_at = self.work.get(object.key()).and_then(|work| work.wrote_at);
        let mut kinds = object.hindered_by().filter(|(of, _)| of == field);
        let (_, unseen) = kinds.find(|(_, kind)| {
            let listing = self.evidence(&object.scope, kind, wrote_at);
            matches!(listing, Err(Waiting::FirstLook | Waiting::Settling))
        })?;
        let since = wrote_at.map_or(now, |at| after(at, Duration::from_millis(1)));
        self.lists.want(&object.scope, unseen, since);
        Some(Waiting::Settling)
    }

    /// Begins a request: into the journal first if it creates, else onto the wire.
    fn begin(
        &mut self,
        object: &Object,
        todo: &Todo,
        assessment: &Assessment,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Blocker> {
        let key = object.key();
        let attempt = Attempt {
            nonce: self.rng.u64(..),
            id: uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid(),
            at: now,
        };
        let call = self.request(object, todo, assessment, &attempt)?;
        let then_delete = todo.intent == Intent::Delete;
        let intent = if then_delete {
            Intent::Inspect
        } else {
            todo.intent.clone()
        };
        let Some(ticket) = self.depart(key, &object.scope, call.service, intent, then_delete, now)
        else {
            return Ok(());
        };
        if todo.intent == Intent::Create && !zoo::has(Bug::SendsBeforeItIsRecorded) {
            let spec = assessment.resolved.spec.as_ref();
            let project = spec.and_then(named_project).map(str::to_owned);
            self.keep_record(object, |record| {
                record.intent = Some(attempt);
                record.project = project;
            });
            self.recording.insert(ticket);
            if let Some(flight) = self.flights.get_mut(&ticket) {
                flight.call = Some(call);
            }
        } else {
            let scope = object.scope.clone();
            let intent = self.flights[&ticket].intent.clone();
            effects.push(Effect::Call {
                ticket,
                scope,
                key: key.clone(),
                intent,
                call,
            });
        }
        if let Some(work) = self.work.get_mut(key) {
            work.doing = Some(todo.intent.to_string());
        }
        Ok(())
    }

    fn request(
        &self,
        object: &Object,
        todo: &Todo,
        assessment: &Assessment,
        attempt: &Attempt,
    ) -> Result<Call, Blocker> {
        let key = object.key();
        if matches!(todo.intent, Intent::Inspect | Intent::Delete) {
            // Right before a deletion what is there is read alone, whatever the list says.
            let recorded = self
                .journal
                .records
                .get(key)
                .and_then(|record| record.id.as_deref());
            let id = assessment
                .found
                .as_ref()
                .map(|found| found.id.as_str())
                .or(recorded);
            return Ok(object.kind.read(id.unwrap_or_default()));
        }
        let birth = Birth {
            name: &object.name,
            marker: self
                .settings
                .owner
                .marker(&self.identity(key), attempt.nonce),
            object: &key
                .as_incarnation()
                .map_or_else(|| key.to_string(), |(key, _)| key.to_string()),
            id: attempt.id,
            material: &assessment.resolved.material,
        };
        let spec = assessment.resolved.spec.clone().unwrap_or_default();
        object
            .kind
            .request(&todo.intent, &spec, assessment.found.as_ref(), &birth)
            .map_err(|refusal| Blocker::Refused(refusal.message))
    }

    /// Takes a place in the service's lane; `None` when there is none now.
    pub(super) fn depart(
        &mut self,
        key: &Key,
        scope: &Scope,
        service: Service,
        intent: Intent,
        then_delete: bool,
        now: Timestamp,
    ) -> Option<Ticket> {
        let limit = self.settings.max_in_flight;
        match self.lanes.enter(scope, service, key, limit, now) {
            Admission::Go => {}
            Admission::Full => return None,
            Admission::Paused(until) => {
                self.wake(key, until);
                return None;
            }
        }
        let ticket = self.ticket();
        let flight = Flight {
            is_removal: self.declared(key).is_none(),
            key: key.clone(),
            scope: scope.clone(),
            service,
            intent,
            then_delete,
            began: now,
            record: None,
            call: None,
        };
        self.flights.insert(ticket, flight);
        if let Some(work) = self.work.get_mut(key) {
            work.flight = Some(ticket);
        }
        Some(ticket)
    }
}
