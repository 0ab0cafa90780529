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
    /// What is read with something else.
    within: BTreeMap<(Scope, W), W>,
}

impl<W> Default for Lists<W> {
    fn default() -> Self {
        Self {
            states: BTreeMap::new(),
            within: BTreeMap::new(),
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
    /// Only when somebody asks.
    on_demand: bool,
}

impl<W: Ord + Copy> Lists<W> {
    /// Reads these collections from then on, `on_demand` whenever somebody asks, and no others.
    pub(super) fn watch(
        &mut self,
        collections: &BTreeSet<(Scope, W)>,
        on_demand: &BTreeSet<(Scope, W)>,
        first: Timestamp,
    ) {
        self.states.retain(|collection, state| {
            state.in_flight || collections.contains(collection) || on_demand.contains(collection)
        });
        for collection in collections {
            let state = self.states.entry(collection.clone()).or_default();
            let is_new = state.started_at.is_none() && state.due.is_none();
            if std::mem::take(&mut state.on_demand) || is_new {
                state.due = Some(state.due.map_or(first, |due| due.min(first)));
            }
        }
        for collection in on_demand {
            let state = self.states.entry(collection.clone()).or_default();
            state.on_demand = true;
        }
    }

    /// These are read with another one, which is read: asking for them is asking for that.
    pub(super) fn read_within(&mut self, within: BTreeMap<(Scope, W), W>) {
        self.within = within;
    }

    /// Is this read only when somebody asks?
    pub(super) fn is_on_demand(&self, scope: &Scope, kind: W) -> bool {
        let state = self.states.get(&(scope.clone(), kind));
        state.is_some_and(|state| state.on_demand)
    }

    /// Is this read with another one?
    pub(super) fn is_within(&self, scope: &Scope, kind: W) -> bool {
        self.within.contains_key(&(scope.clone(), kind))
    }

    fn place(&self, scope: &Scope, kind: W) -> (Scope, W) {
        let place = (scope.clone(), kind);
        match self.within.get(&place) {
            Some(whole) => (place.0, *whole),
            None => place,
        }
    }

    /// Is this looked at?
    pub(super) fn watches(&self, collection: &(Scope, W)) -> bool {
        self.states.contains_key(collection)
    }

    /// When this is looked at next, if that is known.
    pub(super) fn due(&self, scope: &Scope, kind: W) -> Option<Timestamp> {
        self.states.get(&self.place(scope, kind))?.due
    }

    /// Asks for a look now, unless one is under way.
    pub(super) fn want_any(&mut self, scope: &Scope, kind: W, now: Timestamp) {
        let state = self.states.get(&(scope.clone(), kind));
        if state.is_some_and(|state| !state.in_flight) {
            self.want(scope, kind, now);
        }
    }

    /// Asks for a look that begins at this time or, where that has been, as soon as may be. One that
    /// has begun since then is the one.
    pub(super) fn want(&mut self, scope: &Scope, kind: W, at: Timestamp) {
        let place = self.place(scope, kind);
        if let Some(state) = self.states.get_mut(&place) {
            if state.started_at.is_some_and(|started_at| started_at >= at) {
                return;
            }
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
        state.due = match state.due {
            due if complete && state.on_demand => due,
            // After a failure nobody is served by asking sooner.
            Some(due) if complete => Some(due.min(next)),
            _ => Some(next),
        };
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
        let mut states = self.states.values();
        states.all(|state| state.complete || state.on_demand)
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
        lists.watch(
            &BTreeSet::from([(scope.clone(), "Volume")]),
            &BTreeSet::new(),
            now,
        );
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
        lists.watch(
            &BTreeSet::from([(scope.clone(), "Volume")]),
            &BTreeSet::new(),
            now,
        );
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

    #[test]
    fn what_is_read_on_demand_is_read_then_and_once() {
        let mut lists: Lists = Lists::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let (scope, now) = (Scope::new("c"), Timestamp::UNIX_EPOCH);
        let at = |seconds| after(now, Duration::from_secs(seconds));
        let snapshots = BTreeSet::from([(scope.clone(), "VolumeSnapshot")]);
        lists.watch(&BTreeSet::new(), &snapshots, now);
        assert_eq!(
            (lists.next_due(|_| true), lists.all_complete()),
            (None, true)
        );
        lists.want(&scope, "VolumeSnapshot", at(1));
        assert_eq!(lists.next_due(|_| true), Some(at(1)));
        let mut read = |lists: &mut Lists, second, complete| {
            assert_eq!(lists.begin(at(second), |_| true).len(), 1);
            let interval = Duration::from_secs(30);
            lists.end(
                &scope,
                "VolumeSnapshot",
                complete,
                at(second),
                interval,
                &mut rng,
            );
        };
        read(&mut lists, 1, false);
        assert!(lists.next_due(|_| true) <= Some(at(2)), "tried again");
        read(&mut lists, 2, true);
        assert_eq!(lists.next_due(|_| true), None);
        // Somebody declares one.
        lists.watch(&snapshots, &BTreeSet::new(), at(5));
        assert_eq!(lists.next_due(|_| true), Some(at(5)));
        read(&mut lists, 5, true);
        assert!(lists.next_due(|_| true) >= Some(at(30)));
    }

    #[test]
    fn who_asks_for_a_part_asks_for_the_whole() {
        let mut lists: Lists = Lists::default();
        let (scope, now) = (Scope::new("c"), Timestamp::UNIX_EPOCH);
        let ports = (scope.clone(), "Port");
        lists.watch(&BTreeSet::from([ports.clone()]), &BTreeSet::new(), now);
        lists.read_within(BTreeMap::from([(
            (scope.clone(), "RouterInterface"),
            "Port",
        )]));
        assert_eq!(lists.begin(now, |_| true), [ports]);
        let later = after(now, Duration::from_secs(1));
        lists.want(&scope, "RouterInterface", later);
        assert_eq!(lists.due(&scope, "RouterInterface"), Some(later));
        assert_eq!(lists.due(&scope, "Port"), Some(later));
    }
}
