//! When each collection is read: now and then when nothing moves, soon after a write, one look of a
//! kind at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::pace::{after, backoff, between};
use super::scope::Scope;

/// The least time between the starts of two looks at one collection; a look that takes long is
/// followed by a pause of three times its length, so that looking never fills the day.
const LEAST_GAP: Duration = Duration::from_millis(200);

/// The schedule of looks, each at something of a scope: a kind, or a service's quotas.
#[derive(Debug, Clone)]
pub(super) struct Lists<W = &'static str> {
    states: BTreeMap<(Scope, W), State>,
}

impl<W> Default for Lists<W> {
    fn default() -> Self {
        Self {
            states: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    in_flight: bool,
    started_at: Option<Timestamp>,
    due: Option<Timestamp>,
    failures: u32,
    took: Duration,
    complete: bool,
}

impl<W: Ord + Copy> Lists<W> {
    /// Reads these collections from now on, and no others.
    pub(super) fn watch(&mut self, collections: &BTreeSet<(Scope, W)>, now: Timestamp) {
        self.states
            .retain(|collection, state| state.in_flight || collections.contains(collection));
        for collection in collections {
            self.states
                .entry(collection.clone())
                .or_insert_with(|| State {
                    due: Some(now),
                    ..State::default()
                });
        }
    }

    /// Is this looked at?
    pub(super) fn watches(&self, collection: &(Scope, W)) -> bool {
        self.states.contains_key(collection)
    }

    /// Asks for a look at this time or sooner.
    pub(super) fn want(&mut self, scope: &Scope, kind: W, at: Timestamp) {
        if let Some(state) = self.states.get_mut(&(scope.clone(), kind)) {
            let gap = LEAST_GAP.max(state.took * 4);
            let earliest = state
                .started_at
                .map_or(at, |started| after(started, gap).max(at));
            state.due = Some(state.due.map_or(earliest, |due| due.min(earliest)));
        }
    }

    /// The looks that are due, of the scopes that can be looked at; they count as begun.
    pub(super) fn begin(&mut self, now: Timestamp, up: impl Fn(&Scope) -> bool) -> Vec<(Scope, W)> {
        let mut begun = Vec::new();
        for (collection, state) in &mut self.states {
            if !state.in_flight && state.due.is_some_and(|due| due <= now) && up(&collection.0) {
                state.in_flight = true;
                state.started_at = Some(now);
                state.due = None;
                begun.push(collection.clone());
            }
        }
        begun
    }

    /// A look has ended. The next ordinary one is an interval away, a little less or more, so that
    /// collections do not march in step.
    pub(super) fn end(
        &mut self,
        scope: &Scope,
        kind: W,
        complete: bool,
        now: Timestamp,
        interval: Duration,
        rng: &mut fastrand::Rng,
    ) {
        let Some(state) = self.states.get_mut(&(scope.clone(), kind)) else {
            return;
        };
        state.in_flight = false;
        state.took = state
            .started_at
            .map(|started| between(started, now))
            .unwrap_or_default();
        let pause = if complete {
            state.failures = 0;
            state.complete = true;
            interval.mul_f64(0.9 + rng.f64() / 5.0)
        } else {
            state.failures += 1;
            backoff(state.failures, rng).min(interval.max(Duration::from_secs(1)))
        };
        let next = after(now, pause);
        state.due = Some(match state.due {
            // After a failure nobody is served by asking sooner.
            Some(due) if complete => due.min(next),
            _ => next,
        });
    }

    /// When the next look is due, among the scopes that can be looked at.
    pub(super) fn next_due(&self, up: impl Fn(&Scope) -> bool) -> Option<Timestamp> {
        self.states
            .iter()
            .filter(|((scope, _), state)| !state.in_flight && up(scope))
            .filter_map(|(_, state)| state.due)
            .min()
    }

    /// Was every collection read completely at least once?
    #[must_use]
    pub(super) fn all_complete(&self) -> bool {
        self.states.values().all(|state| state.complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_at_a_time_and_a_wish_during_it_is_kept() {
        let mut lists: Lists = Lists::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let scope = Scope::new("c");
        let now = Timestamp::UNIX_EPOCH;
        let at = |millis| after(now, Duration::from_millis(millis));
        lists.watch(&BTreeSet::from([(scope.clone(), "Volume")]), now);
        assert_eq!(lists.begin(now, |_| true).len(), 1);
        assert_eq!(lists.begin(at(1), |_| true).len(), 0);
        lists.want(&scope, "Volume", at(300));
        lists.end(
            &scope,
            "Volume",
            true,
            at(400),
            Duration::from_secs(30),
            &mut rng,
        );
        assert_eq!(lists.next_due(|_| true), Some(at(300)));
        assert!(lists.all_complete());
    }

    #[test]
    fn a_failed_look_is_not_repeated_at_once() {
        let mut lists: Lists = Lists::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let scope = Scope::new("c");
        let now = Timestamp::UNIX_EPOCH;
        lists.watch(&BTreeSet::from([(scope.clone(), "Volume")]), now);
        assert_eq!(lists.begin(now, |_| false).len(), 0);
        assert_eq!(lists.begin(now, |_| true).len(), 1);
        lists.want(&scope, "Volume", now);
        lists.end(
            &scope,
            "Volume",
            false,
            now,
            Duration::from_secs(30),
            &mut rng,
        );
        assert!(lists.next_due(|_| true) >= Some(after(now, Duration::from_millis(500))));
        assert!(!lists.all_complete());
    }
}
