//! How often the world was found to differ from a manifest that had been carried out already, and how
//! often that was set right. Counts of this process, for people; nothing is decided by them.

use jiff::Timestamp;

use crate::kinds::erased::Intent;
use crate::manifest::Key;

use super::Engine;
use super::plan::{Drift, Plan};

/// Counts of one kind since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drifts {
    /// Resources that were in sync and are not any more, although their manifest is the same.
    pub found: u64,
    /// Those that are in sync again after a request of ours.
    pub repaired: u64,
}

/// What is remembered of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    /// The generation of the manifest that was seen carried out.
    settled: Option<u64>,
    /// Since when it differs from that.
    drifted: Option<Timestamp>,
}

/// What a look has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Nothing,
    Found,
    Repaired,
}

impl Engine {
    /// Counts what a decision says about drift.
    pub(super) fn follow_drift(
        &mut self,
        key: &Key,
        generation: u64,
        plan: &Plan,
        drift: &Drift,
        now: Timestamp,
    ) {
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        let news = work
            .course
            .next(generation, plan, drift, work.wrote_at, now);
        if news == News::Nothing {
            return;
        }
        let counts = self.drifts.entry(key.kind.clone()).or_default();
        match news {
            News::Nothing => {}
            News::Found => counts.found += 1,
            News::Repaired => counts.repaired += 1,
        }
    }
}

impl Course {
    fn next(
        &mut self,
        generation: u64,
        plan: &Plan,
        drift: &Drift,
        wrote_at: Option<Timestamp>,
        now: Timestamp,
    ) -> News {
        if *plan == Plan::InSync {
            self.settled = Some(generation);
            let ours = self.drifted.take().is_some_and(|at| wrote_at >= Some(at));
            return if ours { News::Repaired } else { News::Nothing };
        }
        if self.settled != Some(generation) {
            // The manifest is another one: what differs now is what it asks for.
            *self = Self::default();
            return News::Nothing;
        }
        let differs = !drift.repaired.is_empty() || !drift.denied.is_empty();
        let lost = matches!(plan, Plan::Do(todo) if todo.intent == Intent::Create);
        if self.drifted.is_none() && (differs || lost) {
            self.drifted = Some(now);
            return News::Found;
        }
        News::Nothing
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::reason::Waiting;
    use super::*;
    use crate::kinds::field::{Class, Difference};

    const SEEN: Plan = Plan::Wait(Waiting::Settling);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn another_name() -> Drift {
        Drift {
            repaired: vec![Difference {
                field: "name",
                class: Class::Update,
                have: json!("b"),
                want: json!("a"),
            }],
            ..Drift::default()
        }
    }

    #[test]
    fn a_drift_is_found_once_and_repaired_by_a_write_of_ours() {
        let (mut course, none) = (Course::default(), Drift::default());
        let drift = another_name();
        assert_eq!(
            course.next(1, &SEEN, &drift, None, at(1)),
            News::Nothing,
            "it was never carried out: that is no drift"
        );
        assert_eq!(
            course.next(1, &Plan::InSync, &none, Some(at(2)), at(3)),
            News::Nothing
        );
        let wrote = Some(at(2));
        assert_eq!(course.next(1, &SEEN, &drift, wrote, at(4)), News::Found);
        assert_eq!(course.next(1, &SEEN, &drift, wrote, at(5)), News::Nothing);
        assert_eq!(
            course.next(1, &Plan::InSync, &none, Some(at(6)), at(7)),
            News::Repaired
        );
    }

    #[test]
    fn what_others_set_right_is_not_our_repair_and_another_manifest_is_no_drift() {
        let (mut course, none) = (Course::default(), Drift::default());
        let drift = another_name();
        course.next(1, &Plan::InSync, &none, Some(at(1)), at(2));
        assert_eq!(
            course.next(1, &SEEN, &drift, Some(at(1)), at(3)),
            News::Found
        );
        assert_eq!(
            course.next(1, &Plan::InSync, &none, Some(at(1)), at(4)),
            News::Nothing
        );
        assert_eq!(
            course.next(2, &SEEN, &drift, Some(at(1)), at(5)),
            News::Nothing
        );
    }
}
