//! How long to wait: pure functions of attempts and ages, and the places a service has for us.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::kinds::call::Service;
use crate::manifest::Key;

use super::scope::Scope;
use super::window::{Sort, Window};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);
/// What a service does at once is done by then.
pub(super) const AT_ONCE: Duration = Duration::from_millis(500);

/// The pause after this many failures in a row: doubling from 1 s to 5 min, less up to a half.
#[must_use]
pub fn backoff(failures: u32, rng: &mut fastrand::Rng) -> Duration {
    let exponent = failures.saturating_sub(1).min(16);
    let full = FIRST_RETRY.saturating_mul(1 << exponent).min(LAST_RETRY);
    full.mul_f64(0.5 + rng.f64() / 2.0)
}

/// The pause before the next look at something that has been moving this long: half a second for what
/// is done at once, then a second, a tenth of its age later, so that a boot is seen soon and an hour
/// of copying costs little.
#[must_use]
pub fn next_look(age: Duration) -> Duration {
    if age < AT_ONCE {
        return AT_ONCE;
    }
    (age / 10).clamp(Duration::from_secs(1), Duration::from_secs(15))
}

/// Adds a span to a time; saturates at the end of time.
#[must_use]
pub fn after(now: Timestamp, span: Duration) -> Timestamp {
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// The time between two moments; zero if the second is the earlier.
#[must_use]
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// The places that each service has for our requests, who waits for one, and who asked us to pause.
#[derive(Debug, Clone, Default)]
pub struct Lanes {
    lanes: BTreeMap<(Scope, Service), Lane>,
}

#[derive(Debug, Clone, Default)]
struct Lane {
    in_flight: usize,
    window: Window,
    /// By kind: the kinds take turns, so that a thousand of one do not keep the others waiting.
    waiting: BTreeMap<Arc<str>, Queue>,
    /// The kind whose turn was last.
    last: Option<Arc<str>>,
    paused_until: Option<Timestamp>,
}

/// Who waits, the one that has waited longest first.
#[derive(Debug, Clone, Default)]
struct Queue {
    since: BTreeMap<Key, Timestamp>,
    order: BTreeSet<(Timestamp, Key)>,
}

impl Queue {
    fn push(&mut self, key: &Key, now: Timestamp) {
        if !self.since.contains_key(key) {
            self.since.insert(key.clone(), now);
            self.order.insert((now, key.clone()));
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(since) = self.since.remove(key) {
            self.order.remove(&(since, key.clone()));
        }
    }

    fn pop(&mut self) -> Option<Key> {
        let (_, key) = self.order.pop_first()?;
        self.since.remove(&key);
        Some(key)
    }
}

impl Lane {
    fn next(&mut self) -> Option<Key> {
        let kinds: Vec<Arc<str>> = self.waiting.keys().cloned().collect();
        let split = kinds.partition_point(|kind| Some(kind) <= self.last.as_ref());
        let (before, after) = kinds.split_at(split);
        for kind in after.iter().chain(before) {
            if let Some(key) = self.waiting.get_mut(kind).and_then(Queue::pop) {
                self.last = Some(Arc::clone(kind));
                return Some(key);
            }
        }
        None
    }
}

/// How a request has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// It was never sent.
    Unsent,
    /// The service has answered it, with yes or no.
    Answered {
        /// What it was.
        sort: Sort,
        /// When it was sent.
        began: Timestamp,
    },
    /// The service asked for less, or did not answer.
    TooMuch {
        /// When it was sent.
        began: Timestamp,
    },
}

/// One service's lane in the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneView {
    /// Requests that are under way.
    pub in_flight: usize,
    /// Objects that wait for a place.
    pub waiting: usize,
    /// Since when the first of them does.
    pub oldest: Option<Timestamp>,
    /// The service asked for a pause until then.
    pub paused_until: Option<Timestamp>,
}

/// Whether a request may go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It has a place; [`Lanes::leave`] gives it back.
    Go,
    /// Every place is taken: the key is called when one is free.
    Full,
    /// The service asked for a pause until then.
    Paused(Timestamp),
}

impl Lanes {
    /// Asks for a place.
    pub fn enter(
        &mut self,
        scope: &Scope,
        service: Service,
        key: &Key,
        limit: usize,
        now: Timestamp,
    ) -> Admission {
        let lane = self.lanes.entry((scope.clone(), service)).or_default();
        if let Some(until) = lane.paused_until {
            if until > now {
                return Admission::Paused(until);
            }
            lane.paused_until = None;
        }
        let queue = lane.waiting.entry(Arc::clone(&key.kind)).or_default();
        if lane.in_flight >= lane.window.size(limit) {
            queue.push(key, now);
            return Admission::Full;
        }
        queue.remove(key);
        lane.in_flight += 1;
        Admission::Go
    }

    /// Gives a place back; says who is next, and learns how many places the service has.
    pub(super) fn leave(
        &mut self,
        scope: &Scope,
        service: Service,
        end: End,
        limit: usize,
        now: Timestamp,
    ) -> Vec<Key> {
        let Some(lane) = self.lanes.get_mut(&(scope.clone(), service)) else {
            return Vec::new();
        };
        let is_full = lane.in_flight >= lane.window.size(limit);
        lane.in_flight = lane.in_flight.saturating_sub(1);
        match end {
            End::Unsent => {}
            End::Answered { sort, began } => {
                let took = between(began, now);
                lane.window.answered(sort, took, is_full, limit);
            }
            End::TooMuch { began } => lane.window.overloaded(began, now),
        }
        let free = lane.window.size(limit).saturating_sub(lane.in_flight);
        (0..free).map_while(|_| lane.next()).collect()
    }

    /// The lanes of a scope, for people.
    #[must_use]
    pub fn view(&self, scope: &Scope) -> BTreeMap<&'static str, LaneView> {
        let own = self.lanes.iter().filter(|((of, _), _)| of == scope);
        own.map(|((_, service), lane)| {
            let view = LaneView {
                in_flight: lane.in_flight,
                waiting: lane.waiting.values().map(|queue| queue.order.len()).sum(),
                oldest: (lane.waiting.values())
                    .filter_map(|queue| Some(queue.order.first()?.0))
                    .min(),
                paused_until: lane.paused_until,
            };
            (service.as_str(), view)
        })
        .collect()
    }

    /// The service asked for a pause.
    pub fn pause(&mut self, scope: &Scope, service: Service, until: Timestamp) {
        let lane = self.lanes.entry((scope.clone(), service)).or_default();
        lane.paused_until = lane.paused_until.max(Some(until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_and_stay_within_bounds() {
        let mut rng = fastrand::Rng::with_seed(1);
        for failures in 0..100 {
            let pause = backoff(failures, &mut rng);
            assert!(
                pause >= FIRST_RETRY / 2 && pause <= LAST_RETRY,
                "{failures}: {pause:?}"
            );
        }
        assert!(backoff(30, &mut rng) >= LAST_RETRY / 2);
    }

    #[test]
    fn a_full_lane_calls_the_next_one_when_a_place_is_free() {
        let (mut lanes, scope) = (Lanes::default(), Scope::new("c"));
        let key = |name: &str| Key::new("Volume", "default", name);
        let now = Timestamp::UNIX_EPOCH;
        let enter = |lanes: &mut Lanes, name| {
            lanes.enter(&scope, Service::BlockStorage, &key(name), 1, now)
        };
        assert_eq!(enter(&mut lanes, "a"), Admission::Go);
        assert_eq!(enter(&mut lanes, "b"), Admission::Full);
        let leave = |lanes: &mut Lanes, limit| {
            lanes.leave(&scope, Service::BlockStorage, End::Unsent, limit, now)
        };
        let view = lanes.view(&scope)["block-storage"];
        assert_eq!(
            (view.in_flight, view.waiting, view.oldest),
            (1, 1, Some(now))
        );
        assert_eq!(leave(&mut lanes, 1), [key("b")]);
        assert_eq!(enter(&mut lanes, "b"), Admission::Go);
        let later = after(now, Duration::from_secs(5));
        lanes.pause(&scope, Service::BlockStorage, later);
        assert_eq!(enter(&mut lanes, "c"), Admission::Paused(later));
    }

    #[test]
    fn kinds_take_turns_and_who_has_waited_longest_is_first() {
        let (mut lanes, scope) = (Lanes::default(), Scope::new("c"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut enter = |kind: &str, name: &str, second| {
            let key = Key::new(kind, "default", name);
            lanes.enter(&scope, Service::Network, &key, 1, at(second))
        };
        assert_eq!(enter("Port", "first", 0), Admission::Go);
        for (kind, name, second) in [
            ("Port", "b", 1),
            ("Port", "a", 2),
            ("Port", "c", 2),
            ("Router", "r", 3),
            ("Network", "n", 4),
            // Asking again does not put it behind the others.
            ("Port", "b", 5),
        ] {
            assert_eq!(enter(kind, name, second), Admission::Full);
        }
        let mut order = Vec::new();
        loop {
            let next = lanes.leave(&scope, Service::Network, End::Unsent, 1, at(6));
            let Some(key) = next.first() else { break };
            order.push(key.name.to_string());
            let entered = lanes.enter(&scope, Service::Network, key, 1, at(6));
            assert_eq!((next.len(), entered), (1, Admission::Go));
        }
        assert_eq!(order, ["n", "b", "r", "a", "c"]);
    }
}
