//! What is served: an object, a namespace, or an event, as it was at one version.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::engine::snapshot::ObjectView;
use crate::engine::status::Transition;
use crate::kinds;
use crate::manifest::{Group, Key, Manifest};

use super::resource::Resource;

/// Something that has a place in the API.
#[derive(Debug)]
pub(super) struct Entry {
    /// Kind, namespace and name; a namespace itself is in the namespace "".
    pub(super) key: Key,
    /// The same for the same thing.
    pub(super) uid: Uuid,
    /// When it last changed, on the counter of the cache.
    pub(super) version: u64,
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
    /// Something that happened to one.
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
    /// What that says, without the texts that are told to nobody.
    pub(super) spec: Arc<Value>,
    /// When it was first seen without its manifest.
    pub(super) deleted: Option<Timestamp>,
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
        match &self.body {
            Body::Object(object) => object.manifest.as_ref().map(|it| &it.labels),
            Body::Event(_) | Body::Namespace => None,
        }
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
        let spec = match (&manifest, before) {
            (Some(manifest), Some(before)) if before.is_of(manifest) => Arc::clone(&before.spec),
            (Some(manifest), _) => told(manifest),
            (None, _) => Arc::new(Value::Object(serde_json::Map::new())),
        };
        let deleted = view
            .deleting
            .then(|| before.and_then(|it| it.deleted).unwrap_or(now));
        Self {
            view,
            manifest,
            spec,
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
        let same_manifest = match (manifest, &view.manifest) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one.says_the_same(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same_manifest
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

    /// The group that its manifest was written in.
    pub(super) fn group(&self) -> Group {
        self.manifest
            .as_ref()
            .map_or(Group::Native, |manifest| manifest.group)
    }

    /// When its resource was made, if the cloud tells.
    pub(super) fn made_at(&self) -> Option<Timestamp> {
        let text = self.view.status.resource["createdAt"].as_str()?;
        text.parse().ok()
    }

    fn is_of(&self, manifest: &Arc<Manifest>) -> bool {
        self.manifest
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, manifest))
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

/// What stands for a text that is told to nobody.
const WITHHELD: &str = "(not shown)";

/// The spec of a manifest without its confidential texts.
fn told(manifest: &Manifest) -> Arc<Value> {
    let private = kinds::find(&manifest.key.kind).map_or(&[] as &[&str], |it| it.confidential());
    if private.is_empty() {
        return Arc::clone(&manifest.spec);
    }
    let mut spec = Value::clone(&manifest.spec);
    let below = manifest.base.strip_prefix("/spec").unwrap_or_default();
    if let Some(resource) = spec.pointer_mut(below) {
        for pointer in private {
            let path: Vec<&str> = pointer.split('/').skip(1).collect();
            withhold(resource, &path);
        }
    }
    Arc::new(spec)
}

fn withhold(value: &mut Value, path: &[&str]) {
    let Some((first, rest)) = path.split_first() else {
        *value = Value::from(WITHHELD);
        return;
    };
    match value {
        Value::Object(map) if *first == "*" => {
            map.values_mut().for_each(|it| withhold(it, rest));
        }
        Value::Object(map) => {
            if let Some(it) = map.get_mut(*first) {
                withhold(it, rest);
            }
        }
        Value::Array(items) if *first == "*" => {
            items.iter_mut().for_each(|it| withhold(it, rest));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::parse::{Kinds, Shape, parse};

    #[test]
    fn texts_that_people_put_passwords_into_are_not_shown() {
        let text = "apiVersion: stackward.dev/v1alpha1\nkind: Server\nmetadata: {name: db}\nspec:\n  \
                    resource:\n    flavorRef: a\n    userData:\n      template: hunter2\n      \
                    values: {a: {value: hunter3}, b: {secretKeyRef: {name: s, key: k}}}\n";
        let (manifests, problems) = parse("a", text, Kinds(&[("Server", Shape::Enveloped)]));
        assert_eq!(problems, []);
        assert_eq!(
            *told(&manifests[0]),
            json!({"resource": {"flavorRef": "a", "userData": {"template": WITHHELD, "values": {
                "a": {"value": WITHHELD}, "b": {"secretKeyRef": {"name": "s", "key": "k"}}}}}})
        );
    }
}
