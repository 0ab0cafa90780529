//! What is served: an object, a namespace, or an event, as it was at one version.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::engine::snapshot::ObjectView;
use crate::engine::status::Transition;
use crate::manifest::{Group, Key, Manifest};

use super::resource::Resource;
use super::told::Told;

/// Something that has a place in the API.
#[derive(Debug)]
pub(super) struct Entry {
    /// Kind, namespace and name; a namespace itself is in the namespace "".
    pub(super) key: Key,
    /// The same for the same thing.
    pub(super) uid: Uuid,
    /// When it last changed, on the counter of the cache.
    pub(super) version: u64,
    /// When its manifest last changed, on the same counter.
    pub(super) written: u64,
    /// When it began to be, as far as that is known.
    pub(super) created: Timestamp,
    /// What it is.
    pub(super) body: Body,
}

/// What an entry is.
#[derive(Debug)]
pub(super) enum Body {
    /// An object of the manifests.
    Object(Object),
    /// A Secret or a ConfigMap.
    Data(Data),
    /// Something that happened to an object.
    Event(Event),
    /// What objects have their names in.
    Namespace,
}

/// An object of the manifests.
#[derive(Debug)]
pub(super) struct Object {
    /// How it stands.
    pub(super) view: Arc<ObjectView>,
    /// Its manifest; the last one, if it is gone.
    pub(super) manifest: Option<Arc<Manifest>>,
    /// When it was first seen without its manifest.
    pub(super) deleted: Option<Timestamp>,
}

/// A Secret or a ConfigMap.
#[derive(Debug)]
pub(super) struct Data {
    /// Its manifest.
    pub(super) manifest: Arc<Manifest>,
}

/// Something that happened to an object.
#[derive(Debug)]
pub(super) struct Event {
    /// To which.
    pub(super) about: Key,
    /// Its `uid`.
    pub(super) uid: Uuid,
    /// The group of its manifest.
    pub(super) group: Group,
    /// What.
    pub(super) transition: Transition,
}

const METADATA: [&str; 2] = ["metadata.name", "metadata.namespace"];
const EVENT: [&str; 13] = [
    "metadata.name",
    "metadata.namespace",
    "involvedObject.apiVersion",
    "involvedObject.fieldPath",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.resourceVersion",
    "involvedObject.uid",
    "reason",
    "reportingComponent",
    "source",
    "type",
];
const NAMESPACE: [&str; 3] = ["metadata.name", "metadata.namespace", "status.phase"];

/// The fields by which a resource can be selected.
pub(super) fn selectable(resource: &Resource) -> &'static [&'static str] {
    match resource.kind {
        super::resource::EVENT => &EVENT,
        super::resource::NAMESPACE => &NAMESPACE,
        _ => &METADATA,
    }
}

impl Entry {
    /// Is it served in this group? See [`super::resource`].
    pub(super) fn is_in(&self, group: Group) -> bool {
        match (&self.body, group) {
            (Body::Object(object), Group::Orc) => object.group() == Group::Orc,
            _ => true,
        }
    }

    /// Its labels.
    pub(super) fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.manifest().map(|it| &it.labels)
    }

    /// Its manifest.
    pub(super) fn manifest(&self) -> Option<&Arc<Manifest>> {
        match &self.body {
            Body::Object(object) => object.manifest.as_ref(),
            Body::Data(data) => Some(&data.manifest),
            Body::Event(_) | Body::Namespace => None,
        }
    }

    /// What of its manifest is told.
    pub(super) fn told(&self) -> Option<Told> {
        self.manifest().map(|manifest| Told::of(manifest))
    }

    /// Is it on its way out?
    pub(super) fn is_going(&self) -> bool {
        matches!(&self.body, Body::Object(object) if object.deleted.is_some())
    }

    /// Has a field of [`selectable`] this value?
    pub(super) fn has(&self, field: &str, value: &str) -> bool {
        match (field, &self.body) {
            ("metadata.name", _) => *self.key.name == *value,
            ("metadata.namespace", _) => *self.key.namespace == *value,
            ("status.phase", Body::Namespace) => value == "Active",
            (field, Body::Event(event)) => event.has(field, value),
            _ => false,
        }
    }
}

impl Object {
    /// What is served of a view; `before` is what was served before it.
    pub(super) fn new(view: Arc<ObjectView>, before: Option<&Self>, now: Timestamp) -> Self {
        let last = before.and_then(|it| it.manifest.clone());
        let manifest = view.manifest.clone().or(last);
        let deleted = view
            .deleting
            .then(|| before.and_then(|it| it.deleted).unwrap_or(now));
        Self {
            view,
            manifest,
            deleted,
        }
    }

    /// Does a view say the same as this one?
    pub(super) fn says_the_same(&self, view: &ObjectView) -> bool {
        let ObjectView {
            scope,
            origin,
            manifest,
            uid,
            api_version,
            generation,
            deleting,
            unmanaged,
            reason,
            status,
            // Not served, and neither changes without the manifest or a condition.
            refers_to: _,
            drift: _,
        } = &*self.view;
        let is_declared = |manifest: &Option<Arc<Manifest>>| manifest.is_some();
        is_declared(manifest) == is_declared(&view.manifest)
            && self.has_manifest_of(view)
            && (scope, origin, uid, api_version, generation)
                == (
                    &view.scope,
                    &view.origin,
                    &view.uid,
                    &view.api_version,
                    &view.generation,
                )
            && (deleting, unmanaged, reason, status)
                == (&view.deleting, &view.unmanaged, &view.reason, &view.status)
    }

    /// Does the manifest of a view, if it has one, say the same as the last one here?
    pub(super) fn has_manifest_of(&self, view: &ObjectView) -> bool {
        match (&self.manifest, &view.manifest) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one.says_the_same(other),
            (_, None) => true,
            (None, Some(_)) => false,
        }
    }

    /// The group that its manifest was written in.
    pub(super) fn group(&self) -> Group {
        self.manifest
            .as_ref()
            .map_or(Group::Native, |manifest| manifest.group)
    }

    /// When its resource was made, if the cloud tells.
    pub(super) fn made_at(&self) -> Option<Timestamp> {
        let resource = self.view.status.resource.value();
        resource["createdAt"].as_str()?.parse().ok()
    }
}

impl Data {
    pub(super) fn new(manifest: &Arc<Manifest>) -> Self {
        Self {
            manifest: Arc::clone(manifest),
        }
    }
}

impl Event {
    /// `Normal`, or `Warning` for what is in the way.
    pub(super) fn kind(&self) -> &'static str {
        let Transition {
            condition, reason, ..
        } = &self.transition;
        let wrong = matches!(*condition, "Blocked" | "Drifted")
            || reason.ends_with("Error")
            || *reason == "InvalidConfiguration";
        if wrong { "Warning" } else { "Normal" }
    }

    fn has(&self, field: &str, value: &str) -> bool {
        match field {
            "involvedObject.apiVersion" => {
                value == Group::Native.api_version() || value == self.group.api_version()
            }
            "involvedObject.kind" => *self.about.kind == *value,
            "involvedObject.name" => *self.about.name == *value,
            "involvedObject.namespace" => *self.about.namespace == *value,
            "involvedObject.uid" => value.parse::<Uuid>().is_ok_and(|it| it == self.uid),
            "involvedObject.fieldPath" | "involvedObject.resourceVersion" => value.is_empty(),
            "reason" => self.transition.reason == value,
            "reportingComponent" | "source" => value == super::COMPONENT,
            "type" => self.kind() == value,
            _ => false,
        }
    }
}
