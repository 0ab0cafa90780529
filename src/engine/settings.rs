//! What the engine goes by: the numbers that an operator may choose, with their defaults.

use std::time::Duration;

use crate::kinds::marker::Owner;

use super::guard::{Limits, Percent, Prune};

/// What the engine goes by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose resources these are.
    pub owner: Owner,
    /// How often each collection is read when nothing moves. Default 30 s.
    pub poll_interval: Duration,
    /// How long a manifest must be gone before its resource is deleted. Default 60 s.
    pub prune_grace: Duration,
    /// The same for kinds that hold data. Default 10 min.
    pub prune_data_grace: Duration,
    /// Whether an empty directory means that everything is to be deleted. Default no.
    pub prune_allow_empty: bool,
    /// Whether what is not declared any more is deleted. Default after the guards.
    pub prune: Prune,
    /// How many deletions are made without asking.
    pub prune_limits: Limits,
    /// Whether nothing is written at all. Default no.
    pub observe_only: bool,
    /// How long a create whose outcome is not known is looked for before it is tried again.
    /// Default 120 s, which is twice the client's deadline.
    pub uncertain_window: Duration,
    /// The time between the two reads that prove a resource gone. Default 30 s.
    pub gone_after: Duration,
    /// How many requests may be in flight per scope and service at most: a service that answers in
    /// time is sent more and more, from 8 on. Default 32.
    pub max_in_flight: usize,
}

impl Settings {
    /// The defaults, for an owner.
    #[must_use]
    pub const fn new(owner: Owner) -> Self {
        Self {
            owner,
            poll_interval: Duration::from_secs(30),
            prune_grace: Duration::from_secs(60),
            prune_data_grace: Duration::from_secs(600),
            prune_allow_empty: false,
            prune: Prune::Auto,
            prune_limits: Limits {
                share: Percent::FIFTH,
                per_cycle: 25,
                per_hour: 100,
            },
            observe_only: false,
            uncertain_window: Duration::from_secs(120),
            gone_after: Duration::from_secs(30),
            max_in_flight: 32,
        }
    }
}
