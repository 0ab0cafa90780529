//! How many requests a service is sent at a time: as many as it answers without getting slower.
//!
//! One more for each windowful of answers that came in time, one less while they take much longer than
//! they need to, half as many when the service says that it is too much or does not answer: additive
//! increase and multiplicative decrease, as in TCP.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::kinds::erased::Intent;

/// What a service is sent at first.
const FIRST: f64 = 8.0;
/// What an answer takes is smoothed over this many of its sort.
const SMOOTHED: f64 = 8.0;
/// Differences below this are noise, of ours or of the way.
const NOISE: f64 = 0.1;

/// Requests that take about the same time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sort {
    kind: Arc<str>,
    intent: Discriminant<Intent>,
}

impl Sort {
    pub(super) fn of(kind: &Arc<str>, intent: &Intent) -> Self {
        Self {
            kind: Arc::clone(kind),
            intent: discriminant(intent),
        }
    }
}

/// One service's.
#[derive(Debug, Clone)]
pub(super) struct Window {
    size: f64,
    /// When it was last halved: what was sent before says no more than that did.
    halved_at: Option<Timestamp>,
    paces: HashMap<Sort, Pace>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            size: FIRST,
            halved_at: None,
            paces: HashMap::new(),
        }
    }
}

/// What answers of one sort take, in seconds.
#[derive(Debug, Clone, Default)]
struct Pace {
    answers: u32,
    recent: f64,
    /// The least that `recent` ever was: what they take when nothing is in the way.
    least: Option<f64>,
}

impl Pace {
    fn take(&mut self, took: Duration) {
        self.answers = self.answers.saturating_add(1);
        let share = f64::from(self.answers).min(SMOOTHED);
        self.recent += (took.as_secs_f64() - self.recent) / share;
        if f64::from(self.answers) >= SMOOTHED {
            self.least = Some(self.least.unwrap_or(f64::MAX).min(self.recent));
        }
    }

    /// Do they take this many times as long as they need to?
    fn is_above(&self, times: f64) -> bool {
        self.least
            .is_some_and(|least| self.recent > times * least + NOISE)
    }
}

impl Window {
    /// How many may be under way.
    pub(super) fn size(&self, most: usize) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and `most`"
        )]
        let size = self.size as usize;
        size.clamp(1, most.max(1))
    }

    /// A request of this sort was answered; `is_full` says whether others had to wait for it.
    pub(super) fn answered(&mut self, sort: Sort, took: Duration, is_full: bool, most: usize) {
        let pace = self.paces.entry(sort).or_default();
        pace.take(took);
        if pace.is_above(4.0) {
            self.size = (self.size - 1.0 / self.size).max(1.0);
        } else if is_full && !pace.is_above(2.0) {
            #[expect(clippy::cast_precision_loss, reason = "a thousand at most")]
            let most = most as f64;
            self.size = (self.size + 1.0 / self.size).min(most);
        }
    }

    /// A request that was sent at `began` was too much, or had no answer.
    pub(super) fn overloaded(&mut self, began: Timestamp, now: Timestamp) {
        if self.halved_at.is_none_or(|at| began > at) {
            self.size = (self.size / 2.0).max(1.0);
            self.halved_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pace::after;
    use super::*;

    const MOST: usize = 32;

    fn sort(intent: &Intent) -> Sort {
        Sort::of(&"Server".into(), intent)
    }

    fn answer(window: &mut Window, times: u32, millis: u64) {
        for _ in 0..times {
            window.answered(
                sort(&Intent::Create),
                Duration::from_millis(millis),
                true,
                MOST,
            );
        }
    }

    #[test]
    fn it_grows_by_one_for_each_windowful_in_time_and_not_beyond_what_is_allowed() {
        let mut window = Window::default();
        assert_eq!(window.size(MOST), 8);
        answer(&mut window, 9, 50);
        assert_eq!(window.size(MOST), 9);
        answer(&mut window, 2000, 50);
        assert_eq!((window.size(MOST), window.size(4)), (32, 4));
        assert_eq!(window.size(0), 1);
    }

    #[test]
    fn what_nobody_waits_for_says_nothing() {
        let mut window = Window::default();
        for _ in 0..100 {
            window.answered(
                sort(&Intent::Create),
                Duration::from_millis(50),
                false,
                MOST,
            );
        }
        assert_eq!(window.size(MOST), 8);
    }

    #[test]
    fn it_stays_while_answers_take_a_little_longer_and_shrinks_while_they_take_much_longer() {
        let mut window = Window::default();
        answer(&mut window, 60, 200);
        let before = window.size(MOST);
        answer(&mut window, 40, 600);
        assert!((before..=before + 1).contains(&window.size(MOST)));
        answer(&mut window, 2000, 2000);
        assert_eq!(window.size(MOST), 1);
        answer(&mut window, 2000, 200);
        assert_eq!(window.size(MOST), 32);
        // Another sort of requests takes as long as it takes.
        for _ in 0..100 {
            window.answered(sort(&Intent::Delete), Duration::from_secs(3), true, MOST);
        }
        assert_eq!(window.size(MOST), 32);
    }

    #[test]
    fn too_much_halves_it_once_for_all_that_were_sent_before() {
        let mut window = Window::default();
        let at = |seconds| after(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds));
        for _ in 0..8 {
            window.overloaded(at(0), at(1));
        }
        assert_eq!(window.size(MOST), 4);
        window.overloaded(at(2), at(3));
        window.overloaded(at(4), at(5));
        window.overloaded(at(6), at(7));
        assert_eq!(window.size(MOST), 1);
    }
}
