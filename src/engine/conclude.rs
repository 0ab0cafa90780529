//! The end of a pass over one object: what people are told, who else has to look again, and when.

use std::sync::Arc;

use jiff::Timestamp;

use crate::kinds::health::Health;
use crate::manifest::{Compact, Key};

use super::Engine;
use super::assess::Assessment;
use super::pace::between;
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
                Compact::from(&assessment.resource)
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

    /// Where an object is, or was when it was last declared.
    pub(super) fn scope_of(&self, key: &Key) -> Option<&Scope> {
        let object = self.declared(key).map(|object| &object.scope);
        let record = self.journal.records.get(key).map(|record| &record.scope);
        object.or(record)
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
