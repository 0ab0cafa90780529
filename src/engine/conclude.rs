//! The end of a pass over one object: what people are told, who else has to look again, and when.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::kinds;
use crate::kinds::health::Health;
use crate::manifest::Key;

use super::Engine;
use super::assess::Assessment;
use super::pace::{after, between, next_look};
use super::plan::Plan;
use super::reason::Waiting;
use super::scope::Scope;
use super::status::{Facts, Truth};

impl Engine {
    /// Remembers the decision, tells people, and sees to it that it is looked at again in time.
    pub(super) fn conclude(
        &mut self,
        key: &Key,
        generation: u64,
        plan: Plan,
        assessment: &Assessment,
        now: Timestamp,
    ) {
        self.follow_drift(key, generation, &plan, &assessment.drift, now);
        let (serves, state) = match assessment.found.as_ref().map(|found| &found.health) {
            Some(Health::Ready) => (Truth::True, None),
            Some(Health::Off(_)) if assessment.is_meant => (Truth::True, None),
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
            left: &assessment.drift.left,
            state,
            id: if keeps { work.status.id.clone() } else { id },
            resource: if keeps {
                work.status.resource.clone()
            } else {
                assessment.resource.clone()
            },
        };
        let status = work.status.next(facts, now);
        work.drift.clone_from(&assessment.drift);
        work.exists = assessment.found.is_some();
        let age = work.state.as_ref().map(|(_, since)| between(*since, now));
        let changed = *work.status != status;
        let matters = changed
            && (work.status.is_available() != status.is_available()
                || work.status.id != status.id
                || work.status.resource != status.resource);
        if changed {
            work.status = Arc::new(status);
        }
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
            self.want_lists(key, after(now, next_look(age)));
        }
        if *plan == Plan::Wait(Waiting::Settling) {
            self.want_attached(key, now);
            if !self.desired.objects.contains_key(key) {
                self.want_cascade(key, now);
            }
            if kinds::find(&key.kind).is_some_and(|kind| kind.part().is_some()) {
                self.want_lists(key, now);
            }
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

    /// Asks for looks at everything that says something of this object.
    pub(super) fn want_lists(&mut self, key: &Key, at: Timestamp) {
        let Some(kind) = kinds::find(&key.kind) else {
            return;
        };
        let Some(scope) = self.scope_of(key).cloned() else {
            return;
        };
        for name in std::iter::once(kind.name()).chain(kind.attached().iter().copied()) {
            self.lists.want(&scope, name, at);
        }
    }

    /// Where an object is, or was when it was last declared.
    pub(super) fn scope_of(&self, key: &Key) -> Option<&Scope> {
        let object = self.declared(key).map(|object| &object.scope);
        let record = self.journal.records.get(key).map(|record| &record.scope);
        object.or(record)
    }

    /// Asks for looks at what its service would delete together with this object.
    fn want_cascade(&mut self, key: &Key, at: Timestamp) {
        if let (Some(kind), Some(scope)) = (kinds::find(&key.kind), self.scope_of(key).cloned()) {
            for name in kind.cascade() {
                self.lists.want(&scope, name, at);
            }
        }
    }

    /// Asks for looks at what may be attached to this object.
    fn want_attached(&mut self, key: &Key, at: Timestamp) {
        let Some(object) = self.declared(key).cloned() else {
            return;
        };
        for name in object.kind.attached() {
            self.lists.want(&object.scope, name, at);
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
}
