//! What the engine shows to the outside: one picture for the command line, HTTP and metrics.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::kinds::quota::Amount;
use crate::manifest::Key;
use crate::manifest::problem::Problem;

use super::guard::Frozen;
use super::scope::Scope;
use super::status::Status;

/// A picture of everything at one moment.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Every object that is declared, or is being deleted.
    pub objects: BTreeMap<Key, ObjectView>,
    /// What is wrong with the manifests.
    pub problems: Vec<Problem>,
    /// How each scope is doing.
    pub scopes: BTreeMap<Scope, ScopeView>,
    /// Nothing is under way and nothing will change by itself.
    pub at_rest: bool,
    /// Everything was looked at at least once.
    pub looked: bool,
    /// Why nothing is written at all, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// Deletions that wait for a person's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
}

/// One object in the picture.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectView {
    /// Where it lives.
    pub scope: Scope,
    /// Where it is declared: `file:line:column`; `None` when its manifest is gone.
    pub origin: Option<String>,
    /// `apiVersion` of its manifest.
    pub api_version: Option<&'static str>,
    /// The manifest's generation.
    pub generation: u64,
    /// Its manifest is gone and it is on its way out.
    pub deleting: bool,
    /// Only looked at, never written.
    pub unmanaged: bool,
    /// Why nothing is sent, as a stable code: `InSync`, `Doing`, or a reason of waiting or blocking.
    pub reason: &'static str,
    /// Its status.
    pub status: Status,
}

/// One scope in the picture.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopeView {
    /// The project's id, once connected.
    pub project: Option<String>,
    /// What is wrong with it.
    pub error: Option<String>,
    /// When each kind was last looked at completely.
    pub looked_at: BTreeMap<&'static str, Timestamp>,
    /// What its services leave to the project, where they tell.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<&'static str, Amount>,
}

impl Snapshot {
    /// Every object is Available, up to date, and nothing is being deleted.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        self.at_rest
            && self.objects.values().all(|object| {
                !object.deleting && object.status.is_available() && object.status.is_up_to_date()
            })
    }
}
