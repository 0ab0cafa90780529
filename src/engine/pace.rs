//! How long to wait: pure functions of attempts and ages, and the places a service has for us.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::kinds::call::Service;
use crate::manifest::Key;

use super::scope::Scope;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);

/// The pause after this many failures in a row: doubling from 1 s to 5 min, less up to a half.
#[must_use]
pub fn backoff(failures: u32, rng: &mut fastrand::Rng) -> Duration {
    let exponent = failures.saturating_sub(1).min(16);
    let full = FIRST_RETRY.saturating_mul(1 << exponent).min(LAST_RETRY);
    full.mul_f64(0.5 + rng.f64() / 2.0)
}

/// The pause before the next look at something that has been moving this long: short at first,
/// a quarter of its age later, so that a boot is seen soon and an hour of copying costs little.
#[must_use]
pub fn next_look(age: Duration) -> Duration {
    (age / 4).clamp(Duration::from_millis(250), Duration::from_secs(15))
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
    /// Since when.
    waiting: BTreeMap<Key, Timestamp>,
    paused_until: Option<Timestamp>,
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
        if lane.in_flight >= limit {
            lane.waiting.entry(key.clone()).or_insert(now);
            return Admission::Full;
        }
        lane.waiting.remove(key);
        lane.in_flight += 1;
        Admission::Go
    }

    /// Gives a place back; says who is next.
    pub fn leave(&mut self, scope: &Scope, service: Service) -> Option<Key> {
        let lane = self.lanes.get_mut(&(scope.clone(), service))?;
        lane.in_flight = lane.in_flight.saturating_sub(1);
        Some(lane.waiting.pop_first()?.0)
    }

    /// The lanes of a scope, for people.
    #[must_use]
    pub fn view(&self, scope: &Scope) -> BTreeMap<&'static str, LaneView> {
        let own = self.lanes.iter().filter(|((of, _), _)| of == scope);
        own.map(|((_, service), lane)| {
            let view = LaneView {
                in_flight: lane.in_flight,
                waiting: lane.waiting.len(),
                oldest: lane.waiting.values().min().copied(),
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
        let view = lanes.view(&scope)["block-storage"];
        assert_eq!(
            (view.in_flight, view.waiting, view.oldest),
            (1, 1, Some(now))
        );
        assert_eq!(lanes.leave(&scope, Service::BlockStorage), Some(key("b")));
        assert_eq!(enter(&mut lanes, "b"), Admission::Go);
        let later = after(now, Duration::from_secs(5));
        lanes.pause(&scope, Service::BlockStorage, later);
        assert_eq!(enter(&mut lanes, "c"), Admission::Paused(later));
    }
}
