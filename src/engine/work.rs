//! What this process remembers of one object. All of it may be lost: the journal and the cloud know
//! the rest.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Ticket;
use super::desired::Object;
use super::drift::Course;
use super::flap::{Asked, Repairs};
use super::pace::between;
use super::plan::{Drift, Plan};
use super::reason::Waiting;
use super::status::Status;

/// The memory of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct Work {
    /// The request that is under way; at most one.
    pub(super) flight: Option<Ticket>,
    /// That request in words.
    pub(super) doing: Option<String>,
    /// When our last write about it ended: looks that began before are no evidence.
    pub(super) wrote_at: Option<Timestamp>,
    /// The one field that this write was about, if it was no more.
    pub(super) wrote_field: Option<&'static str>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Nothing is sent before this, and why.
    pub(super) pause: Option<Waiting>,
    /// Reads that say that it is gone.
    pub(super) missing: Option<Missing>,
    /// A complete look showed that it is not there and, as far as is known, never was.
    pub(super) seen_absent: bool,
    /// Complete looks that did not show what an uncertain create may have made.
    pub(super) negatives: Negatives,
    /// It is being deleted so that it can be made anew: nothing new is made on it.
    pub(super) making_way: bool,
    /// Whether a successor is being made beside it; `None` until that could be seen.
    pub(super) replacing: Option<bool>,
    /// Its state in the cloud, and since when it was seen in it.
    pub(super) state: Option<(String, Timestamp)>,
    /// Since when it has been moving or leaving, through however many states.
    pub(super) moving_since: Option<Timestamp>,
    /// What was repaired, and how often.
    pub(super) repairs: Repairs,
    /// We have asked for its deletion.
    pub(super) deleting: bool,
    /// What was last asked for in order to delete it, and how often in vain.
    pub(super) asked: Option<Asked>,
    /// Since when its manifest is gone.
    pub(super) undeclared_since: Option<Timestamp>,
    /// The `Engine::epoch` in which the last decision was made.
    pub(super) decided_at: u64,
    /// What was decided last.
    pub(super) plan: Option<Plan>,
    /// All that differed then.
    pub(super) drift: Drift,
    /// Since when it differs from what was carried out.
    pub(super) course: Course,
    /// Whether it was seen in the cloud when that was decided.
    pub(super) exists: bool,
    /// What people are told.
    pub(super) status: Arc<Status>,
    /// When it is to be looked at again without an event.
    pub(super) wake: Option<Timestamp>,
}

/// A resource that no list shows any more.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Missing {
    /// Its id.
    pub(super) id: String,
    /// When a read by id first answered 404.
    pub(super) since: Timestamp,
}

/// Counts complete looks without a result.
#[derive(Debug, Clone, Default)]
pub(super) struct Negatives {
    /// How many, at least ten seconds apart.
    pub(super) count: u32,
    /// When the last counted one began.
    pub(super) last: Option<Timestamp>,
}

/// Looks that are nearer to each other than this may show the same stale state.
const APART: Duration = Duration::from_secs(10);

impl Negatives {
    /// Counts a look that began then.
    pub(super) fn count(&mut self, started_at: Timestamp) {
        if self
            .last
            .is_none_or(|last| between(last, started_at) >= APART)
        {
            self.count += 1;
            self.last = Some(started_at);
        }
    }
}

impl Work {
    /// The kind that tells of our last write, where its own does not.
    pub(super) fn told_by(&self, object: &Object) -> Option<&'static str> {
        let mut told_by = object.kind.told_by().iter();
        let (_, teller) = told_by.find(|(field, _)| Some(*field) == self.wrote_field)?;
        Some(teller)
    }

    /// How long it has been in this state.
    pub(super) fn age(&self, state: &str, now: Timestamp) -> Duration {
        match &self.state {
            Some((before, since)) if before == state => between(*since, now),
            _ => Duration::ZERO,
        }
    }
}
