//! Repairs that do not hold: each is tried three times, ever more slowly, and then a person decides.
//!
//! Counted is what was accepted by the service and yet was found the same again. A repair whose
//! difference has not been seen for an hour has held. A new generation of the manifest begins anew.
//! The memory is this process's; a restart forgets it, so that it bounds loops and is no judge.
//!
//! The same for deletions: one that was accepted and did nothing is asked for again after ever longer
//! pauses, up to an hour.

use std::time::Duration;

use jiff::Timestamp;

use crate::kinds::erased::Intent;
use crate::kinds::field::Difference;
use crate::kinds::health::Health;
use crate::manifest::Key;
use crate::zoo::{self, Bug};

use super::Engine;
use super::assess::Assessment;
use super::desired::Object;
use super::pace::{after, between};
use super::plan::{Plan, Todo};
use super::reason::{Blocker, Waiting};

/// How often the same is repaired.
const MOST: u32 = 3;
/// How often one is replaced for the same difference: what the second would bring, the first would
/// have brought.
const MOST_REPLACEMENTS: u32 = 1;
/// A difference that was not seen for so long is a new one.
const HELD: Duration = Duration::from_secs(3600);
/// Pauses before the second and the third repair of the same.
const BETWEEN_REPAIRS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// Pauses before a deletion that did nothing is asked for again; the last one counts from then on.
const BETWEEN_DELETIONS: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(3600),
];
/// How long one is in ERROR before it is made anew for the first, second and third time.
const BEFORE_RECREATION: [Duration; 3] = [
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(480),
];

/// What was repaired of one object, and how often.
#[derive(Debug, Clone, Default)]
pub(super) struct Repairs {
    generation: u64,
    /// What the request under way is to repair, and on which resource.
    sent: Option<(Cause, String)>,
    done: Vec<Done>,
}

/// Why something was sent.
#[derive(Debug, Clone, PartialEq)]
enum Cause {
    /// These differences, by changing it.
    Change(Vec<Difference>),
    /// These differences, by replacing it.
    Replacement(Vec<Difference>),
    /// It was in ERROR.
    Error,
}

#[derive(Debug, Clone)]
struct Done {
    cause: Cause,
    count: u32,
    /// The resource that was last deleted for it: asking twice for its deletion is one.
    deleted: Option<String>,
    at: Timestamp,
    seen: Timestamp,
}

/// A deletion that was sent, or what has to be done before it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    intent: Intent,
    id: String,
    /// How often it was accepted.
    count: usize,
    at: Timestamp,
    /// It is still there, and is not asked for again before this.
    until: Option<Timestamp>,
}

impl Asked {
    /// It is sent now; what was asked for before counts if it was the same.
    fn again(before: Option<Self>, intent: Intent, id: String, now: Timestamp) -> Self {
        let same = before.filter(|it| it.intent == intent && it.id == id);
        Self {
            count: same.map_or(0, |it| it.count),
            at: now,
            until: None,
            intent,
            id,
        }
    }

    /// When the same may be sent again.
    fn next(&self) -> Timestamp {
        let pauses = BETWEEN_DELETIONS
            .get(..self.count)
            .unwrap_or(&BETWEEN_DELETIONS);
        after(self.at, pauses.last().copied().unwrap_or_default())
    }
}

impl Repairs {
    /// The request was accepted.
    pub(super) fn accepted(&mut self, now: Timestamp) {
        let Some((cause, id)) = self.sent.take() else {
            return;
        };
        let deletes = !matches!(cause, Cause::Change(_));
        let deleted = deletes.then_some(id);
        match self.done.iter_mut().find(|done| done.cause == cause) {
            Some(done) => {
                if !deletes || done.deleted != deleted {
                    done.count += 1;
                }
                done.deleted = deleted;
                done.at = now;
                done.seen = now;
            }
            None => self.done.push(Done {
                cause,
                count: 1,
                deleted,
                at: now,
                seen: now,
            }),
        }
    }

    /// What was deleted is gone: the same id would be another resource.
    pub(super) fn gone(mut self) -> Self {
        for done in &mut self.done {
            done.deleted = None;
        }
        self.sent = None;
        self
    }

    /// How often a cause was dealt with in vain, and when last.
    fn tally(&mut self, cause: &Cause, now: Timestamp) -> Option<&mut Done> {
        self.done.retain(|done| between(done.seen, now) < HELD);
        let done = self.done.iter_mut().find(|done| done.cause == *cause)?;
        done.seen = now;
        Some(done)
    }
}

impl Engine {
    /// May this deletion be sent now? If so, it is remembered as sent. Not so soon after the same was
    /// accepted, and did nothing.
    pub(super) fn may_ask(&mut self, key: &Key, intent: &Intent, id: &str, now: Timestamp) -> bool {
        let Some(work) = self.work.get_mut(key) else {
            return true;
        };
        if let Some(asked) = &mut work.asked
            && (&asked.intent, &*asked.id) == (intent, id)
            && asked.next() > now
            && !zoo::has(Bug::DeletesForEver)
        {
            asked.until = Some(asked.next());
            return false;
        }
        let asked = Asked::again(work.asked.take(), intent.clone(), id.to_owned(), now);
        work.asked = Some(asked);
        true
    }

    /// A deletion was accepted, or what has to be done before it.
    pub(super) fn asked(&mut self, key: &Key, intent: &Intent, now: Timestamp) {
        let asked = self.work.get_mut(key).and_then(|work| work.asked.as_mut());
        if let Some(asked) = asked.filter(|asked| asked.intent == *intent) {
            asked.count += 1;
            asked.at = now;
        }
    }

    /// Its deletion was accepted, and it is still there: it is not looked at for that before then.
    pub(super) fn still_there(&self, key: &Key, now: Timestamp) -> Option<Waiting> {
        let asked = self.work.get(key)?.asked.as_ref()?;
        let until = asked.until.filter(|until| *until > now)?;
        let error = format!(
            "{} {} was accepted {} times, and nothing came of it",
            asked.intent, asked.id, asked.count
        );
        Some(Waiting::Backoff { until, error })
    }

    /// Is this repair to wait, or has it failed to hold too often? If not, it is remembered as sent.
    pub(super) fn restrain(
        &mut self,
        object: &Object,
        todo: &Todo,
        assessment: &Assessment,
        now: Timestamp,
    ) -> Option<Plan> {
        let key = object.key();
        let looked = self
            .inventory
            .listing(&object.scope, object.kind.name())
            .map(|listing| listing.started_at);
        let work = self.work.get_mut(key)?;
        if work.repairs.generation != object.generation {
            work.repairs = Repairs {
                generation: object.generation,
                ..Repairs::default()
            };
        }
        work.repairs.sent = None;
        let found = assessment.found.as_ref()?;
        // The planner deletes what is only moving when that has taken too long, and husks.
        let is_stuck = !found.health.is_settled();
        let cause = match &todo.intent {
            Intent::Delete if !todo.why.is_empty() => Cause::Replacement(todo.why.clone()),
            Intent::Delete if is_stuck && !object.kind.is_husk(found) => Cause::Error,
            Intent::Update(_) | Intent::Act(_) | Intent::Add(..) | Intent::Remove(..) => {
                Cause::Change(todo.why.clone())
            }
            _ => return None,
        };
        let in_state = work.state.as_ref().map_or(now, |(_, since)| *since);
        let done = work.repairs.tally(&cause, now);
        let again = done.as_ref().is_some_and(|done| {
            done.deleted.as_deref() == Some(found.id.as_str()) && done.count > 0
        });
        let (count, last) = done.map_or((0, None), |done| (done.count, Some(done.at)));
        let until = match &cause {
            // It has been asked for, and is still there.
            _ if again => None,
            Cause::Change(why) if count >= MOST && !zoo::has(Bug::RepairsForEver) => {
                return Some(Plan::Blocked(Blocker::Flapping(why.clone())));
            }
            Cause::Replacement(why) if count >= MOST_REPLACEMENTS => {
                return Some(Plan::Blocked(Blocker::Flapping(why.clone())));
            }
            Cause::Change(_) => {
                let pause = count
                    .checked_sub(1)
                    .and_then(|index| BETWEEN_REPAIRS.get(index as usize));
                last.zip(pause).map(|(last, pause)| after(last, *pause))
            }
            Cause::Replacement(_) => None,
            Cause::Error => match BEFORE_RECREATION.get(count as usize) {
                Some(pause) => Some(after(in_state, *pause)),
                None if zoo::has(Bug::RecreatesForEver) => {
                    Some(after(in_state, BEFORE_RECREATION[0]))
                }
                None => return Some(Plan::Blocked(exhausted(found.health.clone()))),
            },
        };
        // What is seen must be younger than the pause, or it would be the old picture again.
        if let Some(until) = until
            && looked.is_none_or(|looked| looked < until)
        {
            self.want_own(key, until.max(now));
            return Some(Plan::Wait(if until > now {
                let error = words(&cause, count, &found.health);
                Waiting::Backoff { until, error }
            } else {
                Waiting::Settling
            }));
        }
        let id = found.id.clone();
        if let Some(work) = self.work.get_mut(key) {
            work.repairs.sent = Some((cause, id));
        }
        None
    }
}

fn words(cause: &Cause, count: u32, health: &Health) -> String {
    match cause {
        Cause::Change(why) | Cause::Replacement(why) => {
            let fields: Vec<&str> = why.iter().map(|it| it.field).collect();
            format!(
                "{} differs again although it was repaired",
                fields.join(", ")
            )
        }
        Cause::Error => {
            let (state, fault) = state_and_fault(health);
            let fault = fault.map(|it| format!(" ({it})")).unwrap_or_default();
            let next = count + 1;
            format!(
                "it is in {state}{fault} and will be made anew, try {next} of {}",
                BEFORE_RECREATION.len()
            )
        }
    }
}

fn exhausted(health: Health) -> Blocker {
    let (state, fault) = state_and_fault(&health);
    let tries = BEFORE_RECREATION.len();
    let again = format!("it was made anew {tries} times");
    let fault = fault.map_or_else(|| again.clone(), |fault| format!("{fault}; {again}"));
    Blocker::Stuck {
        state,
        fault: Some(fault),
    }
}

fn state_and_fault(health: &Health) -> (String, Option<String>) {
    match health {
        Health::Stuck { state, fault } => (state.clone(), fault.clone()),
        Health::Moving(state) => (state.clone(), None),
        _ => ("ERROR".to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::field::Class;
    use serde_json::json;

    fn change() -> Cause {
        Cause::Change(vec![Difference {
            field: "tags",
            class: Class::Action,
            have: json!(["b"]),
            want: json!(["a"]),
        }])
    }

    fn send(repairs: &mut Repairs, cause: Cause, id: &str, now: Timestamp) {
        repairs.sent = Some((cause, id.to_owned()));
        repairs.accepted(now);
    }

    fn count(repairs: &mut Repairs, cause: &Cause, now: Timestamp) -> u32 {
        repairs.tally(cause, now).map_or(0, |done| done.count)
    }

    #[test]
    fn only_what_was_accepted_counts_and_only_once() {
        let (mut repairs, now) = (Repairs::default(), Timestamp::UNIX_EPOCH);
        repairs.sent = Some((change(), "n".to_owned()));
        assert_eq!(count(&mut repairs, &change(), now), 0);
        repairs.accepted(now);
        repairs.accepted(now);
        assert_eq!(count(&mut repairs, &change(), now), 1);
        send(&mut repairs, change(), "n", now);
        assert_eq!(count(&mut repairs, &change(), now), 2);
        assert_eq!(count(&mut repairs, &Cause::Error, now), 0);
    }

    #[test]
    fn a_deletion_that_is_asked_for_twice_is_one_until_it_is_gone() {
        let (mut repairs, now) = (Repairs::default(), Timestamp::UNIX_EPOCH);
        send(&mut repairs, Cause::Error, "s", now);
        send(&mut repairs, Cause::Error, "s", now);
        assert_eq!(count(&mut repairs, &Cause::Error, now), 1);
        let mut repairs = repairs.gone();
        send(&mut repairs, Cause::Error, "s", now);
        assert_eq!(
            count(&mut repairs, &Cause::Error, now),
            2,
            "a name is used again"
        );
    }

    #[test]
    fn a_deletion_that_does_nothing_is_asked_for_ever_more_slowly_and_another_one_at_once() {
        let start = Timestamp::UNIX_EPOCH;
        let ask = |before, id: &str, at| Asked::again(before, Intent::Delete, id.to_owned(), at);
        let mut asked = ask(None, "s", start);
        assert_eq!(asked.next(), start, "it was not accepted");
        let mut pauses = Vec::new();
        for _ in 0..5 {
            asked.count += 1;
            let next = asked.next();
            pauses.push(between(asked.at, next).as_secs());
            asked = ask(Some(asked), "s", next);
        }
        assert_eq!(pauses, [5, 60, 3600, 3600, 3600]);
        assert_eq!(ask(Some(asked), "t", start).next(), start);
    }

    #[test]
    fn what_was_not_seen_for_an_hour_has_held() {
        let (mut repairs, start) = (Repairs::default(), Timestamp::UNIX_EPOCH);
        send(&mut repairs, change(), "n", start);
        let mut now = start;
        for _ in 0..10 {
            now = after(now, HELD / 2);
            assert_eq!(
                count(&mut repairs, &change(), now),
                1,
                "it is seen all along"
            );
        }
        assert_eq!(count(&mut repairs, &change(), after(now, HELD)), 0);
    }
}
