//! An entry as a Kubernetes object: metadata, spec, status.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::engine::status::Truth;
use crate::manifest::{Compact, Group};

use super::COMPONENT;
use super::entry::{Body, Entry, Event, Object};
use super::resource::Resource;
use super::told::Told;

/// What keeps an object that is being deleted until its resource is gone.
const FINALIZER: &str = "stackward.dev/resource";

/// A whole object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Whole<'a> {
    api_version: &'static str,
    kind: &'a str,
    metadata: Metadata<'a>,
    #[serde(flatten)]
    rest: Rest<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rest<'a> {
    Object { spec: Compact, status: Status<'a> },
    Data(Map<String, Value>),
    Event(Box<Happened<'a>>),
    Namespace { spec: Finalizers, status: Phase },
}

impl<'a> Whole<'a> {
    /// The object as this resource serves it, as of a version.
    pub(super) fn new(entry: &'a Entry, resource: &Resource, version: u64) -> Self {
        let mut told = entry.told().unwrap_or_default();
        let rest = match &entry.body {
            Body::Object(object) => Rest::Object {
                spec: told.spec.clone(),
                status: Status::new(object),
            },
            Body::Data(_) => Rest::Data(std::mem::take(&mut told.data)),
            Body::Event(event) => Rest::Event(Box::new(Happened::new(event))),
            Body::Namespace => Rest::Namespace {
                spec: Finalizers { finalizers: [] },
                status: Phase { phase: "Active" },
            },
        };
        Self {
            api_version: resource.group.api_version(),
            kind: resource.kind,
            metadata: Metadata::new(entry, told, version),
            rest,
        }
    }
}

/// An object's metadata alone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Partial<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
}

impl<'a> Partial<'a> {
    /// The metadata as of a version.
    pub(super) fn new(entry: &'a Entry, version: u64) -> Self {
        Self {
            api_version: "meta.k8s.io/v1",
            kind: "PartialObjectMetadata",
            metadata: Metadata::new(entry, entry.told().unwrap_or_default(), version),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    uid: Uuid,
    resource_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    creation_timestamp: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_timestamp: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_grace_period_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finalizers: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    managed_fields: Option<Value>,
}

impl<'a> Metadata<'a> {
    fn new(entry: &'a Entry, told: Told, version: u64) -> Self {
        let object = match &entry.body {
            Body::Object(object) => Some(object),
            Body::Data(_) | Body::Event(_) | Body::Namespace => None,
        };
        let deleted = object.and_then(|it| it.deleted);
        Self {
            name: &entry.key.name,
            namespace: &entry.key.namespace,
            uid: entry.uid,
            resource_version: version.to_string(),
            generation: object.map(|it| it.view.generation).filter(|it| *it > 0),
            creation_timestamp: Seconds(entry.created),
            deletion_timestamp: deleted.map(Seconds),
            deletion_grace_period_seconds: deleted.map(|_| 0),
            finalizers: deleted.map(|_| [FINALIZER]),
            labels: entry.labels().filter(|labels| !labels.is_empty()),
            annotations: Some(told.annotations).filter(|it| !it.is_empty()),
            managed_fields: told.managed,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    conditions: Vec<Condition<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Compact::is_null")]
    resource: &'a Compact,
    reason: &'static str,
    cloud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<Written<'a>>,
}

/// Where the manifest is, and in which group.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    api_version: &'static str,
    origin: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Condition<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    status: Truth,
    reason: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    observed_generation: u64,
    last_transition_time: Seconds,
}

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl<'a> Status<'a> {
    fn new(object: &'a Object) -> Self {
        let view = &object.view;
        let conditions = view.status.conditions.iter().map(|it| Condition {
            kind: it.kind,
            status: it.status,
            reason: it.reason,
            message: &it.message,
            observed_generation: it.observed_generation,
            last_transition_time: Seconds(it.last_transition_time),
        });
        Self {
            conditions: conditions.collect(),
            id: view.status.id.as_deref(),
            resource: &view.status.resource,
            reason: view.reason,
            cloud: &view.scope.0,
            manifest: view
                .origin
                .as_deref()
                .zip(view.api_version)
                .map(|(origin, api_version)| Written {
                    api_version,
                    origin,
                }),
        }
    }
}

/// An event of the core group.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Happened<'a> {
    involved_object: Involved<'a>,
    reason: &'static str,
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    count: u32,
    first_timestamp: Seconds,
    last_timestamp: Seconds,
    event_time: Option<()>,
    source: Source,
    reporting_component: &'static str,
    reporting_instance: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Involved<'a> {
    api_version: &'static str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    uid: Uuid,
}

#[derive(Serialize)]
struct Source {
    component: &'static str,
}

impl<'a> Happened<'a> {
    fn new(event: &'a Event) -> Self {
        let time = Seconds(event.transition.time);
        Self {
            involved_object: Involved {
                api_version: Group::Native.api_version(),
                kind: &event.about.kind,
                namespace: &event.about.namespace,
                name: &event.about.name,
                uid: event.uid,
            },
            reason: event.transition.reason,
            message: &event.transition.message,
            kind: event.kind(),
            count: 1,
            first_timestamp: time,
            last_timestamp: time,
            event_time: None,
            source: Source {
                component: COMPONENT,
            },
            reporting_component: COMPONENT,
            reporting_instance: "",
        }
    }
}

#[derive(Serialize)]
struct Finalizers {
    finalizers: [&'static str; 0],
}

#[derive(Serialize)]
struct Phase {
    phase: &'static str,
}

/// A time as Kubernetes writes it: whole seconds.
#[derive(Clone, Copy)]
pub(super) struct Seconds(pub(super) Timestamp);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}
