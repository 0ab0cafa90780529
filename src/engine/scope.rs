//! A scope: one cloud as one project sees it, in one region. World, pace and faults are kept per
//! scope.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::manifest::Bytes;

/// The name of a scope: of a cloud in clouds.yaml, or `namespace/secret#cloud`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope(pub Arc<str>);

impl Scope {
    /// The scope of this name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a scope's credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The daemon's own clouds.yaml; `None` is its default cloud.
    Cloud(Option<String>),
    /// A Secret manifest that holds a clouds.yaml, as ORC has it.
    Secret {
        /// The text of clouds.yaml.
        clouds_yaml: Bytes,
        /// A bundle of certificates, if there is one.
        cacert: Option<Bytes>,
        /// Which cloud of it.
        cloud: String,
    },
}

/// What tells one scope from another, whatever it is called. When it is not what it was, somebody
/// points us at another cloud: nothing is written there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The project's id.
    pub project: String,
    /// The user's id: keypairs belong to users.
    pub user: String,
    /// The region, if the catalog has several.
    pub region: Option<String>,
    /// Keystone's address.
    pub auth_url: String,
}

impl Fingerprint {
    /// What differs, in words; `None` when nothing does.
    #[must_use]
    pub fn difference(&self, now: &Self) -> Option<String> {
        let region = |it: &Self| it.region.clone().unwrap_or_else(|| "none".to_owned());
        let rows = [
            ("project", self.project.clone(), now.project.clone()),
            ("user", self.user.clone(), now.user.clone()),
            ("region", region(self), region(now)),
            ("Keystone", self.auth_url.clone(), now.auth_url.clone()),
        ];
        let words: Vec<String> = rows
            .iter()
            .filter(|(_, was, is)| was != is)
            .map(|(what, was, is)| format!("{what} was {was} and is now {is}"))
            .collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}
