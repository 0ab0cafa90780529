//! Time at the shell: what the engine is told, and whether the loop still turns.

#![expect(
    clippy::disallowed_methods,
    reason = "here the clock is read, for everybody else"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The clock of one daemon. It never goes backwards, whatever is done to the machine's.
#[derive(Debug)]
pub struct Clock {
    source: Source,
    last: Timestamp,
}

#[derive(Debug)]
enum Source {
    Machine,
    Runtime { since: Instant, base: Timestamp },
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn machine() -> Self {
        Self {
            source: Source::Machine,
            last: Timestamp::UNIX_EPOCH,
        }
    }

    /// The runtime's clock, which tests can pause, beginning at `base`.
    #[must_use]
    pub fn runtime(base: Timestamp) -> Self {
        Self {
            source: Source::Runtime {
                since: Instant::now(),
                base,
            },
            last: base,
        }
    }

    /// The time.
    pub fn now(&mut self) -> Timestamp {
        let now = match &self.source {
            Source::Machine => Timestamp::now(),
            Source::Runtime { since, base } => base
                .saturating_add(since.elapsed())
                .unwrap_or(Timestamp::MAX),
        };
        self.last = self.last.max(now);
        self.last
    }

    /// The runtime's instant for a time: at once for the past, and never further away than a day,
    /// after which whoever waits looks again.
    pub fn instant(&mut self, at: Timestamp) -> Instant {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let wait = Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO);
        Instant::now() + wait.min(DAY)
    }
}

/// The last moment in which the loop turned.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    start: Instant,
    millis: Arc<AtomicU64>,
}

impl Heartbeat {
    /// It turns now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            millis: Arc::default(),
        }
    }

    /// It turned.
    pub fn beat(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    /// How long ago it turned.
    #[must_use]
    pub fn age(&self) -> Duration {
        let beat = Duration::from_millis(self.millis.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(beat)
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_alarm_in_the_past_rings_at_once_and_one_in_a_thousand_years_does_not_overflow() {
        let base = Timestamp::from_second(1_700_000_000).unwrap();
        let mut clock = Clock::runtime(base);
        assert_eq!(clock.instant(Timestamp::MIN), Instant::now());
        assert!(clock.instant(Timestamp::MAX) > Instant::now());
        let soon = base.saturating_add(Duration::from_secs(5)).unwrap();
        assert_eq!(clock.instant(soon), Instant::now() + Duration::from_secs(5));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(
            clock.now(),
            base.saturating_add(Duration::from_secs(2)).unwrap()
        );
    }

    #[test]
    fn the_clock_never_goes_backwards() {
        let mut clock = Clock::machine();
        clock.last = Timestamp::MAX;
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
