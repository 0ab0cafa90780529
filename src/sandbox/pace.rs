//! How long things take: the latency of answers, and how many requests a second a service takes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A time that differs from one occasion to the next: log-normal, as the latencies of real services nearly are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Half of all take at most this.
    pub median: Duration,
    /// 99 of 100 take at most this. The same as the median: all take the same.
    pub p99: Duration,
}

impl Spread {
    /// One of the times.
    pub(super) fn draw(self, rng: &mut fastrand::Rng) -> Duration {
        /// How many standard deviations of a normal distribution the 99th percentile lies above its middle.
        const P99: f64 = 2.326;
        let (median, p99) = (self.median.as_secs_f64(), self.p99.as_secs_f64());
        if median <= 0.0 || p99 <= median {
            return self.median;
        }
        // Box and Muller; the logarithm of 0 is avoided.
        let (u, v) = (1.0 - rng.f64(), rng.f64());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let drawn = median * (normal * (p99 / median).ln() / P99).exp();
        Duration::try_from_secs_f64(drawn).unwrap_or(self.p99)
    }
}

/// How fast each service answers. Services go by the first segment of their paths: `compute`, `volume`, ...
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// What an answer takes where `latency_of` has no other.
    pub latency: Option<Spread>,
    /// What an answer of these services takes.
    pub latency_of: BTreeMap<String, Spread>,
    /// How many requests a second these services take; what comes faster waits for its turn.
    pub per_second: BTreeMap<String, f64>,
}

/// When each service takes its next request.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(BTreeMap<String, Timestamp>);

impl Pace {
    /// How long the answer to a request of now takes.
    pub(super) fn delay(
        &self,
        service: &str,
        now: Timestamp,
        turns: &mut Turns,
        rng: &mut fastrand::Rng,
    ) -> Duration {
        let spread = self.latency_of.get(service).copied().or(self.latency);
        let latency = spread.map_or(Duration::ZERO, |spread| spread.draw(rng));
        let per_second = self.per_second.get(service).copied();
        let Some(per_second) = per_second.filter(|it| *it > 0.0) else {
            return latency;
        };
        let turn = turns.0.get(service).map_or(now, |next| (*next).max(now));
        let pause = SignedDuration::try_from_secs_f64(1.0 / per_second).unwrap_or_default();
        let next = turn.checked_add(pause).unwrap_or(turn);
        turns.0.insert(service.to_owned(), next);
        latency + turn.duration_since(now).unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn half_are_below_the_median_and_one_in_a_hundred_above_the_p99() {
        let (median, p99) = (Duration::from_millis(20), Duration::from_millis(200));
        let mut rng = fastrand::Rng::with_seed(1);
        let times: Vec<Duration> = (0..10_000)
            .map(|_| Spread { median, p99 }.draw(&mut rng))
            .collect();
        let above = |limit| times.iter().filter(|time| **time > limit).count();
        assert!((4800..5200).contains(&above(median)), "{}", above(median));
        assert!((60..140).contains(&above(p99)), "{}", above(p99));
        let fixed = Spread {
            median,
            p99: median,
        };
        assert_eq!(fixed.draw(&mut rng), median);
    }

    #[test]
    fn what_comes_faster_than_a_service_takes_it_waits_for_its_turn() {
        let mut pace = Pace::default();
        pace.per_second.insert("compute".to_owned(), 10.0);
        let (mut turns, mut rng) = (Turns::default(), fastrand::Rng::with_seed(1));
        let mut delay = |service, now| pace.delay(service, now, &mut turns, &mut rng).as_millis();
        assert_eq!([0, 100, 200], [(); 3].map(|()| delay("compute", NOW)));
        assert_eq!(delay("volume", NOW), 0, "that is another service");
        let later = NOW + SignedDuration::from_millis(250);
        assert_eq!(delay("compute", later), 50);
        let much_later = NOW + SignedDuration::from_secs(9);
        assert_eq!(delay("compute", much_later), 0);
    }
}
