//! A look that somebody asks for: what is known of an object is read again now, and an error is not
//! waited out.
//!
//! Nothing is decided here. What proves that a resource is gone, what a create with an unknown outcome
//! waits for, and what holds up a deletion is none of this file's affair, and stays as it is.

use jiff::Timestamp;

use crate::manifest::Key;

use super::reason::Waiting;
use super::scope::Scope;
use super::{Engine, Link};

impl Engine {
    /// Reads everything that is read for this object, and considers it again without its pause.
    pub(super) fn look_now(&mut self, key: &Key, now: Timestamp) {
        let is_it =
            |it: &Key| it == key || it.as_incarnation().is_some_and(|(base, _)| base == *key);
        for (it, work) in self.work.iter_mut().filter(|(it, _)| is_it(it)) {
            // A time that is part of a proof runs on.
            if matches!(
                work.pause,
                Some(Waiting::Backoff { .. } | Waiting::Quota { .. })
            ) {
                work.pause = None;
            }
            self.dirty.insert(it.clone());
        }
        let collections: Vec<(Scope, &'static str)> = self
            .readers
            .iter()
            .filter(|(_, readers)| readers.iter().any(is_it))
            .map(|(collection, _)| collection.clone())
            .collect();
        for (scope, kind) in collections {
            self.lists.want(&scope, kind, now);
            if let Some(Link::Down { retry_at, .. }) = self.links.get_mut(&scope) {
                // One that is being tried has no time.
                if *retry_at < Timestamp::MAX {
                    *retry_at = now;
                }
            }
        }
    }
}
