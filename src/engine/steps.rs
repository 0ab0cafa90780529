//! From a decision to a request, and from its outcome back: consider, record, call, conclude.

use jiff::Timestamp;
use uuid::Uuid;

use crate::kinds;
use crate::kinds::call::{Call, CallError, Reply, Service};
use crate::kinds::erased::{Found, Intent};
use crate::kinds::health::Health;
use crate::kinds::need::Material;
use crate::kinds::{Birth, MarkerPlace};
use crate::manifest::{Key, OnDelete};

use super::desired::Object;
use super::journal::{Attempt, Change, Record};
use super::observe::state_of;
use super::pace::{Admission, after, backoff, between, next_look};
use super::plan::{Observed, Plan, Todo, Wanted, plan};
use super::reason::{Blocker, Waiting};
use super::resolve::Resolved;
use super::scope::Scope;
use super::status::{Facts, Truth};
use super::work::{Missing, Work};
use super::{Effect, Engine, Ticket};

/// One request that is under way, or waits for the journal.
#[derive(Debug)]
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
    /// The write of the journal that it waits for.
    pub(super) record: Option<Ticket>,
    /// The request that waits.
    pub(super) call: Option<Call>,
}

/// What was found out about one object, as owned values.
struct Assessment {
    plan: Plan,
    resolved: Resolved,
    found: Option<Found>,
    resource: serde_json::Value,
}

impl Engine {
    /// Decides about one object, and begins the request if there is one.
    pub(super) fn consider(&mut self, key: &Key, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.work.get(key).is_some_and(|work| work.flight.is_some()) {
            return;
        }
        let Some(object) = self.desired.objects.get(key).cloned() else {
            self.consider_removal(key, now, effects);
            return;
        };
        self.work.entry(key.clone()).or_default().undeclared_since = None;
        self.give_up_uncertain(key, &object.scope, now);
        let assessment = self.assess(&object, now);
        if let Some(found) = &assessment.found {
            self.saw(&object, found, now);
        }
        let mut plan = assessment.plan.clone();
        if let Plan::Do(todo) = &plan {
            let todo = todo.clone();
            match self.paused(key, now) {
                Some(waiting) => plan = Plan::Wait(waiting),
                None => {
                    if let Err(blocker) = self.begin(&object, &todo, &assessment, now, effects) {
                        plan = Plan::Blocked(blocker);
                    }
                }
            }
        }
        self.conclude(key, object.generation, plan, &assessment, now);
    }

    fn assess(&self, object: &Object, now: Timestamp) -> Assessment {
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
        let (found, resource) = match &observed {
            Observed::Found(seen) | Observed::Adoptable(seen) => (
                Some(seen.found.clone()),
                object.kind.status(seen.found, &seen.attached),
            ),
            _ => (None, serde_json::Value::Null),
        };
        Assessment {
            plan,
            resolved,
            found,
            resource,
        }
    }

    /// Writes down what seeing a resource teaches.
    fn saw(&mut self, object: &Object, found: &Found, now: Timestamp) {
        let state = state_of(found);
        if let Some(work) = self.work.get_mut(object.key()) {
            if work
                .state
                .as_ref()
                .is_none_or(|(before, _)| before != state)
            {
                work.state = Some((state.to_owned(), now));
            }
            work.missing = None;
            work.negatives = super::work::Negatives::default();
        }
        let is_ours = found.marker.is_some() || object.kind.marker() == MarkerPlace::NaturalKey;
        if object.accepted.spec.is_some() && is_ours {
            let id = Some(found.id.clone());
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
    fn keep_record(&mut self, object: &Object, change: impl FnOnce(&mut Record)) {
        let before = self.journal.records.get(object.key());
        let mut record = before
            .cloned()
            .unwrap_or_else(|| Record::new(object.scope.clone()));
        record.detach = object.policy().on_delete == OnDelete::Detach;
        record.protect = object.policy().protect;
        record.refers_to = object.refers_to.iter().cloned().collect();
        change(&mut record);
        if before != Some(&record) {
            let change = Change::Put(object.key().clone(), record);
            self.change(change);
        }
    }

    /// A create whose outcome is not known has not shown up for long enough: it is given up, and
    /// remembered as such.
    fn give_up_uncertain(&mut self, key: &Key, scope: &Scope, now: Timestamp) {
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
        let (began, given_up) = (intent.at, intent.clone());
        let Ok(listing) = self.evidence(scope, kind.name(), wrote_at.max(Some(began))) else {
            return;
        };
        if !listing.malformed.is_empty()
            || listing
                .marked(self.settings.owner.uid(key))
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
        if work.negatives.count >= 3 && after(began, self.settings.uncertain_window) <= now {
            work.negatives = super::work::Negatives::default();
            let mut record = record.clone();
            record.intent = None;
            record.given_up.push(given_up);
            self.change(Change::Put(key.clone(), record));
        }
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
        if todo.intent == Intent::Create {
            self.keep_record(object, |record| record.intent = Some(attempt));
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
            marker: self.settings.owner.marker(key, attempt.nonce),
            object: &key.to_string(),
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
            key: key.clone(),
            scope: scope.clone(),
            service,
            intent,
            then_delete,
            record: None,
            call: None,
        };
        self.flights.insert(ticket, flight);
        if let Some(work) = self.work.get_mut(key) {
            work.flight = Some(ticket);
        }
        Some(ticket)
    }

    /// Remembers the decision, tells people, and sees to it that it is looked at again in time.
    fn conclude(
        &mut self,
        key: &Key,
        generation: u64,
        plan: Plan,
        assessment: &Assessment,
        now: Timestamp,
    ) {
        let (serves, state) = match assessment.found.as_ref().map(|found| &found.health) {
            Some(Health::Ready) => (Truth::True, None),
            Some(Health::Off(state)) => (Truth::False, Some(format!("it is {state}"))),
            Some(_) => (Truth::False, None),
            None => self.serves_unseen(key, &plan),
        };
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        let id = assessment.found.as_ref().map(|found| found.id.clone());
        // Not seeing it for a moment is no reason to forget what it was.
        let blind = Waiting::is_blindness;
        let keeps = id.is_none() && matches!(&plan, Plan::Wait(waiting) if blind(waiting));
        let facts = Facts {
            generation,
            plan: &plan,
            doing: work.doing.clone(),
            serves,
            state,
            id: if keeps { work.status.id.clone() } else { id },
            resource: if keeps {
                work.status.resource.clone()
            } else {
                assessment.resource.clone()
            },
        };
        let status = work.status.next(facts, now);
        work.exists = assessment.found.is_some();
        let age = work.state.as_ref().map(|(_, since)| between(*since, now));
        let changed = work.status != status;
        let matters = changed
            && (work.status.is_available() != status.is_available()
                || work.status.id != status.id
                || work.status.resource != status.resource);
        work.status = status;
        work.plan = Some(plan.clone());
        self.visible |= changed;
        if matters && let Some(dependents) = self.desired.dependents.get(key) {
            self.dirty.extend(dependents.iter().cloned());
        }
        self.look_again(key, &plan, age.unwrap_or_default(), now);
    }

    /// Whether something that is not seen just now still serves, as far as is known.
    fn serves_unseen(&self, key: &Key, plan: &Plan) -> (Truth, Option<String>) {
        let before = self
            .work
            .get(key)
            .and_then(|work| work.status.condition("Available"));
        match plan {
            Plan::Wait(Waiting::LookFailed(_) | Waiting::Settling | Waiting::FirstLook) => {
                match before.map(|condition| condition.status) {
                    Some(Truth::True) if matches!(plan, Plan::Wait(Waiting::Settling)) => {
                        (Truth::True, None)
                    }
                    Some(Truth::False) | None => (Truth::False, None),
                    Some(_) => (Truth::Unknown, None),
                }
            }
            _ => (Truth::False, None),
        }
    }

    pub(super) fn look_again(
        &mut self,
        key: &Key,
        plan: &Plan,
        age: std::time::Duration,
        now: Timestamp,
    ) {
        let age = match plan {
            Plan::Wait(Waiting::Moving(_) | Waiting::Leaving) => Some(age),
            Plan::Wait(Waiting::Uncertain(until)) => {
                let began = until
                    .checked_sub(self.settings.uncertain_window)
                    .unwrap_or(now);
                Some(between(began, now))
            }
            _ => None,
        };
        if let Some(age) = age {
            self.want_lists(key, after(now, next_look(age)));
        }
        if let Plan::Wait(waiting) = plan
            && let Some(until) = waiting.until()
        {
            self.wake(key, until);
        }
    }

    /// Asks for looks at everything that says something of this object.
    pub(super) fn want_lists(&mut self, key: &Key, at: Timestamp) {
        let Some(kind) = kinds::find(&key.kind) else {
            return;
        };
        let object = self.desired.objects.get(key).map(|object| &object.scope);
        let record = self.journal.records.get(key).map(|record| &record.scope);
        let Some(scope) = object.or(record) else {
            return;
        };
        for name in std::iter::once(kind.name()).chain(kind.attached().iter().copied()) {
            self.lists.want(scope, name, at);
        }
    }

    pub(super) fn wake(&mut self, key: &Key, at: Timestamp) {
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        match work.wake {
            Some(before) if before <= at => return,
            Some(before) => {
                self.wakes.remove(&(before, key.clone()));
            }
            None => {}
        }
        work.wake = Some(at);
        self.wakes.insert((at, key.clone()));
    }

    /// The journal was written, or not: creates that waited for it go, or do not.
    pub(super) fn recorded(
        &mut self,
        ticket: Ticket,
        result: Result<(), String>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let waiting: Vec<Ticket> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.record == Some(ticket))
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in waiting {
            match &result {
                Ok(()) => {
                    let Some(flight) = self.flights.get_mut(&ticket) else {
                        continue;
                    };
                    flight.record = None;
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
                    self.land(ticket, now);
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
        self.land(ticket, now);
        let Some(flight) = self.flights.remove(&ticket) else {
            return;
        };
        let key = &flight.key;
        if let Err(error) = &result
            && error.is_throttled()
        {
            let pause = error
                .retry_after()
                .unwrap_or(std::time::Duration::from_secs(5));
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
                self.want_lists(key, at);
            }
            (Intent::Inspect | Intent::Delete, Err(error)) if error.is_not_found() => {
                self.not_found(key, now);
            }
            (Intent::Delete, Ok(_)) => {
                if let Some(work) = self.work.get_mut(key) {
                    work.deleting = true;
                    work.failures = 0;
                }
                self.wrote(key, now);
            }
            (_, Ok(_)) => {
                if let Some(work) = self.work.get_mut(key) {
                    work.failures = 0;
                    work.pause = None;
                }
                self.wrote(key, now);
            }
            (intent, Err(error)) => {
                if *intent != Intent::Inspect && !matches!(error, CallError::NotSent { .. }) {
                    self.wrote(key, now);
                }
                self.fail(
                    key,
                    error.to_string(),
                    error.retry_after(),
                    error.is_quota(),
                    now,
                );
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
                // It may have been made: the intent stays until it is found or given up.
                (Err(CallError::Unknown { .. }) | Ok(_), _) => {}
            }
            if was.as_ref() != Some(record) {
                let change = Change::Put(key.clone(), record.clone());
                self.change(change);
            }
        }
        self.wrote(key, now);
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
        let call = kinds::find(&key.kind)
            .ok_or_else(|| "its kind is not known".to_owned())
            .and_then(|kind| {
                let found = kind.look(kind.item(self.known_id(&key), reply))?;
                self.is_deletable(&key, kind.marker(), &scope, &found)?;
                if let Some((field, call)) = kind.before_delete(&found) {
                    return Ok((Intent::Act(field), call));
                }
                let birth = Birth {
                    name: "",
                    marker: self.settings.owner.marker(&key, 0),
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
                .map(|call| (Intent::Delete, call))
                .map_err(|refusal| refusal.message)
            });
        match call {
            Ok((intent, call)) => {
                if let Some(flight) = self.flights.get_mut(&ticket) {
                    flight.intent = intent.clone();
                    flight.then_delete = false;
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
                self.land(ticket, now);
                self.flights.remove(&ticket);
                self.fail(&key, format!("it is not deleted: {why}"), None, false, now);
                self.dirty.insert(key);
            }
        }
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
                record.made_here && record.id.as_deref() == Some(found.id.as_str())
            }),
            _ => found
                .marker
                .is_some_and(|it| it.uid == owner.uid(key) && it.owner == owner.short()),
        };
        if !ours {
            return Err(format!("{} does not carry our marker", found.id));
        }
        if !self.is_in_project(scope, found) {
            return Err(format!("{} belongs to another project", found.id));
        }
        Ok(())
    }

    /// Services that delete late still show what is as good as gone (Nova's `SOFT_DELETED`).
    fn is_leaving(&self, key: &Key, reply: &Reply) -> bool {
        kinds::find(&key.kind)
            .and_then(|kind| kind.look(kind.item(self.known_id(key), reply)).ok())
            .is_some_and(|found| found.health == Health::Leaving)
    }

    /// The id that the journal has for an object; empty if it has none.
    fn known_id(&self, key: &Key) -> &str {
        let record = self.journal.records.get(key);
        let id = record.and_then(|record| record.id.as_deref());
        id.unwrap_or_default()
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
            _ if deleted_by_us => true,
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
            let at = after(now, std::time::Duration::from_secs(1));
            self.want_lists(key, at);
            return;
        }
        *work = Work {
            status: std::mem::take(&mut work.status),
            undeclared_since: work.undeclared_since,
            wake: work.wake,
            ..Work::default()
        };
        if let Some(mut record) = record {
            record.id = None;
            record.intent = None;
            record.made_here = false;
            self.change(Change::Put(key.clone(), record));
        }
    }

    /// A write about an object has ended: what was seen before is no evidence any more.
    fn wrote(&mut self, key: &Key, now: Timestamp) {
        if let Some(work) = self.work.get_mut(key) {
            work.wrote_at = Some(now);
        }
        self.want_lists(key, after(now, std::time::Duration::from_millis(1)));
    }

    fn land(&mut self, ticket: Ticket, _now: Timestamp) {
        let Some(flight) = self.flights.get(&ticket) else {
            return;
        };
        if let Some(work) = self.work.get_mut(&flight.key) {
            work.flight = None;
            work.doing = None;
        }
        let next = self.lanes.leave(&flight.scope.clone(), flight.service);
        self.dirty.extend(next);
    }

    fn fail(
        &mut self,
        key: &Key,
        error: String,
        retry_after: Option<std::time::Duration>,
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
}
