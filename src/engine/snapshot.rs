//! What the engine shows to the outside: one picture for the command line, HTTP and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::kinds;
use crate::kinds::field::Difference;
use crate::kinds::quota::Amount;
use crate::manifest::problem::Problem;
use crate::manifest::{Key, Manifest};

use super::desired::Object;
use super::drift::Drifts;
use super::guard::Frozen;
use super::pace::LaneView;
use super::plan::{Drift, Plan};
use super::scope::Scope;
use super::status::Status;
use super::work::Work;
use super::{Engine, Intention, Link};

/// A picture of everything at one moment.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Every object that is declared, or is being deleted.
    pub objects: BTreeMap<Key, Arc<ObjectView>>,
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
    /// The manifests of Secrets and ConfigMaps.
    #[serde(skip)]
    pub data: Arc<BTreeMap<Key, Arc<Manifest>>>,
    /// What was counted of drift since the start, by kind.
    #[serde(skip)]
    pub drifts: BTreeMap<Arc<str>, Drifts>,
}

/// One object in the picture.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectView {
    /// Where it lives.
    pub scope: Scope,
    /// Where it is declared: `file:line:column`; `None` when its manifest is gone.
    pub origin: Option<String>,
    /// Its manifest; `None` when that is gone.
    #[serde(skip)]
    pub manifest: Option<Arc<Manifest>>,
    /// The same for the same owner and key, whatever becomes of the resource.
    #[serde(skip)]
    pub uid: Uuid,
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
    /// What its manifest refers to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refers_to: Vec<Key>,
    /// What differs from the manifest, as far as it was seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<DriftView>,
    /// Its status.
    pub status: Arc<Status>,
}

impl ObjectView {
    /// Is it still all that there is to show of an object?
    fn is_of(&self, scope: &Scope, object: Option<&Arc<Object>>, work: &Work) -> bool {
        let same_manifest = match (object, &self.manifest) {
            (Some(object), Some(manifest)) => Arc::ptr_eq(&object.manifest, manifest),
            (None, None) => true,
            _ => false,
        };
        same_manifest
            && Arc::ptr_eq(&self.status, &work.status)
            && self.scope == *scope
            && self.reason == reason_of(work)
            && object.is_none_or(|object| {
                self.generation == object.generation
                    && self.unmanaged == object.accepted.spec.is_none()
                    && self.refers_to.iter().eq(&object.refers_to)
                    && self.drift == DriftView::all(&work.drift)
            })
    }
}

/// One field that is not as the manifest sets it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftView {
    /// Its name in the spec.
    pub field: &'static str,
    /// What the manifest sets; `null` where that is not compared.
    pub want: Value,
    /// What is there.
    pub have: Value,
    /// What becomes of it, for people.
    pub outlook: String,
}

impl DriftView {
    fn all(drift: &Drift) -> Vec<Self> {
        let of = |difference: &Difference, outlook: String| Self {
            field: difference.field,
            want: difference.want.clone(),
            have: difference.have.clone(),
            outlook,
        };
        let repaired = drift
            .repaired
            .iter()
            .map(|it| of(it, "is repaired".to_owned()));
        let denied = drift
            .denied
            .iter()
            .map(|it| of(&it.difference, format!("stays, without {}", it.leave)));
        let left = drift.left.iter().map(|field| Self {
            field,
            want: Value::Null,
            have: Value::Null,
            outlook: "is left as it is".to_owned(),
        });
        repaired.chain(denied).chain(left).collect()
    }
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
    /// The requests to its services that are under way or wait.
    #[serde(skip)]
    pub lanes: BTreeMap<&'static str, LaneView>,
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

impl Engine {
    /// A picture of everything.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_after(&Snapshot::default())
    }

    /// A picture of everything, which shares with an earlier one what has not changed.
    #[must_use]
    pub fn snapshot_after(&self, before: &Snapshot) -> Snapshot {
        let objects = self.work.iter().filter_map(|(key, work)| {
            let object = self.declared(key);
            let record = self.journal.records.get(key);
            let scope = object.map(|it| &it.scope).or(record.map(|it| &it.scope))?;
            let before = before.objects.get(key);
            if let Some(before) = before
                && before.is_of(scope, object, work)
            {
                return Some((key.clone(), Arc::clone(before)));
            }
            let view = ObjectView {
                scope: scope.clone(),
                origin: object.map(|it| it.manifest.origin.to_string()),
                manifest: object.map(|it| Arc::clone(&it.manifest)),
                uid: before.map_or_else(|| self.settings.owner.uid(key), |it| it.uid),
                api_version: object.map(|it| it.manifest.group.api_version()),
                generation: object.map_or(0, |it| it.generation),
                deleting: object.is_none(),
                unmanaged: object.is_some_and(|it| it.accepted.spec.is_none()),
                reason: reason_of(work),
                refers_to: object
                    .map_or_else(Vec::new, |it| it.refers_to.iter().cloned().collect()),
                // What nobody wants any more differs from nothing.
                drift: object.map_or_else(Vec::new, |_| DriftView::all(&work.drift)),
                status: Arc::clone(&work.status),
            };
            Some((key.clone(), Arc::new(view)))
        });
        Snapshot {
            objects: objects.collect(),
            problems: self.desired.problems.clone(),
            scopes: self
                .links
                .iter()
                .map(|(scope, link)| (scope.clone(), self.view(scope, link)))
                .collect(),
            at_rest: self.is_at_rest(),
            looked: self.read_once && self.lists.all_complete(),
            paused: self.pause(),
            frozen: self.judge(),
            data: Arc::clone(&self.desired.data_manifests),
            drifts: self.drifts.clone(),
        }
    }

    fn view(&self, scope: &Scope, link: &Link) -> ScopeView {
        ScopeView {
            project: match link {
                Link::Up(fingerprint) => Some(fingerprint.project.clone()),
                _ => None,
            },
            error: match link {
                Link::Down { error, .. } => Some(error.clone()),
                Link::Foreign(how) => Some(how.clone()),
                _ => None,
            },
            // What nobody declares any more is not read again, nor what is read on demand, and does not
            // grow old.
            looked_at: kinds::KINDS
                .iter()
                .filter(|kind| (self.readers).contains_key(&(scope.clone(), kind.name())))
                .filter(|kind| !self.lists.is_on_demand(scope, kind.name()))
                .filter_map(|kind| {
                    Some((
                        kind.name(),
                        self.inventory.listing(scope, kind.name())?.started_at,
                    ))
                })
                .collect(),
            quotas: self.quotas.view(scope),
            lanes: self.lanes.view(scope),
        }
    }

    /// Nothing is under way, and nothing will change by itself.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.flights.is_empty()
            && self.changes.is_empty()
            && self.saves.is_done()
            && self.read_once
            && self.lists.all_complete()
            && self.work.values().all(|work| {
                matches!(
                    work.plan,
                    Some(Plan::InSync | Plan::Blocked(_) | Plan::Suspended(_))
                )
            })
    }

    /// What would be done now about each object.
    #[must_use]
    pub fn plans(&self) -> BTreeMap<Key, Intention> {
        let intention = |key: &Key, work: &Work| {
            Some(Intention {
                plan: work.plan.clone()?,
                exists: work.exists,
                deleting: self.declared(key).is_none(),
                drift: work.drift.clone(),
            })
        };
        self.work
            .iter()
            .filter_map(|(key, work)| Some((key.clone(), intention(key, work)?)))
            .collect()
    }
}

fn reason_of(work: &Work) -> &'static str {
    match &work.plan {
        _ if work.doing.is_some() => "Doing",
        Some(Plan::InSync) => "InSync",
        Some(Plan::Do(_)) => "Doing",
        Some(Plan::Wait(waiting)) => waiting.code(),
        Some(Plan::Blocked(blocker)) => blocker.code(),
        Some(Plan::Suspended(_)) => "Suspended",
        None => "FirstLook",
    }
}
