//! One resource as it was seen: what can be said of it whatever its kind, and the object itself.

use std::any::Any;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::Kind;
use super::health::Health;
use super::marker::Marker;

/// One resource as it was seen.
#[derive(Clone)]
pub struct Found {
    /// Its id in the cloud.
    pub id: String,
    /// Its name there.
    pub name: String,
    /// The project it belongs to, where the API says.
    pub project: Option<String>,
    /// The marker that it carries.
    pub marker: Option<Marker>,
    /// See [`super::Identity::natural_key`].
    pub natural_key: Option<String>,
    /// See [`super::Identity::attached_to`].
    pub attached_to: Vec<String>,
    /// See [`super::Identity::part_of`].
    pub part_of: Option<(&'static str, String)>,
    /// See [`super::Identity::expires`].
    pub expires: Option<Timestamp>,
    /// See [`super::Identity::settles`].
    pub settles: Option<Timestamp>,
    /// What its state means.
    pub health: Health,
    /// Of all that the list said of it: another one means that something has changed.
    pub digest: u64,
    /// The object itself, as its kind reads it.
    pub object: Arc<dyn Any + Send + Sync>,
}

/// An item of a list, or the answer to a read, as its kind reads it.
pub(super) fn read<K: Kind>(item: &str) -> Result<K::Object, String> {
    let item = K::unwrap(item);
    serde_json::from_str(&item).or_else(|_| {
        // As a tree, for the path of what is wrong.
        let item: Value = serde_json::from_str(&item).map_err(|error| error.to_string())?;
        serde_path_to_error::deserialize(item).map_err(|error| error.to_string())
    })
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("marker", &self.marker.map(|marker| marker.to_string()))
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

impl Found {
    /// Does a newer look say the same of it?
    #[must_use]
    pub fn is_as(&self, newer: &Self) -> bool {
        self.digest == newer.digest && self.health == newer.health
    }

    /// The same as it is at this time: what has expired is there, and does not serve; what was left
    /// on its way has arrived.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        if self.expires.is_some_and(|expires| expires <= now) && self.health.is_settled() {
            self.health = Health::Off("expired".to_owned());
        }
        if self.settles.is_some_and(|settles| settles <= now) {
            self.health = Health::Ready;
        }
        self
    }
}
