//! Who has set which field: what server-side apply decides by.
//!
//! As in Kubernetes with schemas that say nothing about lists: mappings are shared field by field, and
//! everything else, lists too, belongs to one as a whole. When a field was set is not kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::told::MANAGED;

/// The names that lead to a field.
type Path = Vec<String>;

/// How somebody came to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// By server-side apply: what is not applied any more is taken back.
    Apply,
    /// By any other write.
    Update,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    manager: String,
    operation: Operation,
    fields: BTreeSet<Path>,
}

/// The fields of one object and who has set them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Managed(Vec<Owner>);

impl Managed {
    /// What a document remembers of it.
    pub(super) fn of(document: &Value) -> Self {
        let text = document["metadata"]["annotations"][MANAGED].as_str();
        let entries = text.and_then(|text| serde_json::from_str(text).ok());
        Self::from_entries(&entries.unwrap_or_default())
    }

    /// From `metadata.managedFields`.
    pub(super) fn from_entries(entries: &Value) -> Self {
        let entries = entries.as_array().into_iter().flatten();
        let owner = |entry: &Value| {
            let mut fields = BTreeSet::new();
            unfold(&entry["fieldsV1"], &mut Vec::new(), &mut fields);
            Some(Owner {
                manager: entry["manager"].as_str()?.to_owned(),
                operation: match entry["operation"].as_str()? {
                    "Apply" => Operation::Apply,
                    "Update" => Operation::Update,
                    _ => return None,
                },
                fields,
            })
        };
        Self(
            entries
                .filter_map(owner)
                .filter(|it| !it.fields.is_empty())
                .collect(),
        )
    }

    /// As `metadata.managedFields`.
    pub(super) fn entries(&self, api_version: &str) -> Value {
        let entry = |owner: &Owner| {
            let mut fields = json!({});
            for path in &owner.fields {
                let mut place = &mut fields;
                for name in path {
                    place = &mut place[format!("f:{name}")];
                    if place.is_null() {
                        *place = json!({});
                    }
                }
            }
            json!({
                "manager": owner.manager,
                "operation": match owner.operation {
                    Operation::Apply => "Apply",
                    Operation::Update => "Update",
                },
                "apiVersion": api_version,
                "fieldsType": "FieldsV1",
                "fieldsV1": fields,
            })
        };
        self.0.iter().map(entry).collect()
    }

    /// Somebody has written in another way than by server-side apply: what changed is theirs.
    pub(super) fn update(&mut self, manager: &str, before: Option<&Value>, after: &Value) {
        let before = before.map(leaves).unwrap_or_default();
        let after = leaves(after);
        let is_new = |(path, value): &(&Path, &&Value)| before.get(*path) != Some(value);
        let set: BTreeSet<Path> = after
            .iter()
            .filter(is_new)
            .map(|(path, _)| path.clone())
            .collect();
        if set.is_empty() && after.len() == before.len() {
            return;
        }
        for owner in &mut self.0 {
            owner
                .fields
                .retain(|it| after.contains_key(it) && !set.contains(it));
        }
        self.owner(manager, Operation::Update).fields.extend(set);
        self.tidy();
    }

    /// Somebody applies a configuration to what is there: what becomes of it.
    ///
    /// # Errors
    /// The managers and names of the fields that others have set to something else.
    pub(super) fn apply(
        &mut self,
        manager: &str,
        force: bool,
        live: &Value,
        applied: &Value,
    ) -> Result<Value, Vec<(String, String)>> {
        let (there, wanted) = (leaves(live), leaves(applied));
        let changed: Vec<&Path> = wanted
            .iter()
            .filter(|(path, value)| {
                // An empty mapping takes nothing out of one that is there.
                let is_there = value.is_object() && get(live, path).is_some_and(Value::is_object);
                there.get(*path) != Some(value) && !is_there
            })
            .map(|(path, _)| path)
            .collect();
        let is_own = |it: &Owner| it.manager == manager && it.operation == Operation::Apply;
        let mut conflicts = Vec::new();
        for owner in self.0.iter().filter(|it| !is_own(it)) {
            for path in &changed {
                if owner.fields.iter().any(|it| touches(it, path)) {
                    conflicts.push((owner.manager.clone(), shown(path)));
                }
            }
        }
        if !conflicts.is_empty() && !force {
            return Err(conflicts);
        }
        for owner in self.0.iter_mut().filter(|it| !is_own(it)) {
            owner
                .fields
                .retain(|it| !changed.iter().any(|path| touches(it, path)));
        }
        let mine = &mut self.owner(manager, Operation::Apply).fields;
        let wanted: BTreeSet<Path> = wanted.into_keys().collect();
        let before = std::mem::replace(mine, wanted.clone());
        let mut result = live.clone();
        for path in before.difference(&wanted) {
            let others = self.0.iter().any(|it| it.fields.contains(path));
            if !others {
                remove(&mut result, path);
            }
        }
        merge(&mut result, applied);
        self.tidy();
        Ok(result)
    }

    /// Forgets what is not there any more.
    pub(super) fn keep(&mut self, document: &Value) {
        let there = leaves(document);
        for owner in &mut self.0 {
            owner.fields.retain(|it| there.contains_key(it));
        }
        self.tidy();
    }

    /// Writes it into a document.
    pub(super) fn store(&self, document: &mut Value, api_version: &str) {
        let metadata = &mut document["metadata"];
        if self.0.is_empty() {
            if let Some(annotations) = metadata["annotations"].as_object_mut() {
                annotations.remove(MANAGED);
            }
            return;
        }
        if !metadata["annotations"].is_object() {
            metadata["annotations"] = json!({});
        }
        metadata["annotations"][MANAGED] = json!(self.entries(api_version).to_string());
    }

    fn owner(&mut self, manager: &str, operation: Operation) -> &mut Owner {
        let is = |it: &Owner| it.manager == manager && it.operation == operation;
        let place = self.0.iter().position(is).unwrap_or_else(|| {
            self.0.push(Owner {
                manager: manager.to_owned(),
                operation,
                fields: BTreeSet::new(),
            });
            self.0.len() - 1
        });
        &mut self.0[place]
    }

    fn tidy(&mut self) {
        self.0.retain(|it| !it.fields.is_empty());
    }
}

/// Every field that belongs to one as a whole.
fn leaves(document: &Value) -> BTreeMap<Path, &Value> {
    let mut leaves = BTreeMap::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                for name in ["labels", "annotations"] {
                    if let Some(value) = value.get(name) {
                        let mut path = vec!["metadata".to_owned(), name.to_owned()];
                        collect(value, &mut path, &mut leaves);
                    }
                }
            }
            name => collect(value, &mut vec![name.to_owned()], &mut leaves),
        }
    }
    leaves.retain(|path, _| path.last().is_none_or(|it| it != MANAGED));
    leaves
}

fn collect<'a>(value: &'a Value, path: &mut Path, leaves: &mut BTreeMap<Path, &'a Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                path.push(name.clone());
                collect(value, path, leaves);
                path.pop();
            }
        }
        leaf => {
            leaves.insert(path.clone(), leaf);
        }
    }
}

fn unfold(fields: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
    let names = fields.as_object().into_iter().flatten();
    let names = names.filter_map(|(name, below)| Some((name.strip_prefix("f:")?, below)));
    let mut is_leaf = true;
    for (name, below) in names {
        is_leaf = false;
        path.push(name.to_owned());
        unfold(below, path, found);
        path.pop();
    }
    if is_leaf && !path.is_empty() {
        found.insert(path.clone());
    }
}

/// Is one of them the other, or a part of it?
fn touches(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn shown(path: &Path) -> String {
    path.iter().map(|name| format!(".{name}")).collect()
}

fn get<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

fn remove(value: &mut Value, path: &[String]) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    match path {
        [] => {}
        [name] => {
            map.remove(name);
        }
        [name, rest @ ..] => {
            if let Some(below) = map.get_mut(name) {
                remove(below, rest);
                // What only held it together goes with it.
                if below.as_object().is_some_and(Map::is_empty) {
                    map.remove(name);
                }
            }
        }
    }
}

fn merge(value: &mut Value, applied: &Value) {
    match (value, applied) {
        (Value::Object(map), Value::Object(applied)) => {
            for (name, applied) in applied {
                merge(map.entry(name).or_insert(Value::Null), applied);
            }
        }
        (value, applied) => *value = applied.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(managed: &mut Managed, who: &str, live: &Value, spec: Value) -> Value {
        managed
            .apply(who, false, live, &json!({"spec": spec}))
            .unwrap()
    }

    #[test]
    fn what_is_not_applied_any_more_is_taken_back_unless_somebody_else_has_set_it() {
        let mut managed = Managed::default();
        let live = apply(
            &mut managed,
            "a",
            &json!({}),
            json!({"x": 1, "y": {"p": 1, "q": 2}, "l": [1]}),
        );
        let live = apply(&mut managed, "b", &live, json!({"y": {"q": 2}, "z": 3}));
        assert_eq!(
            live,
            json!({"spec": {"x": 1, "y": {"p": 1, "q": 2}, "z": 3, "l": [1]}})
        );
        let live = apply(&mut managed, "a", &live, json!({"x": 5}));
        assert_eq!(live, json!({"spec": {"x": 5, "y": {"q": 2}, "z": 3}}));
        // A mapping in the place of a text, and the other way round.
        let live = apply(&mut managed, "a", &live, json!({"x": {"deep": 1}}));
        let live = apply(&mut managed, "a", &live, json!({"x": 1}));
        assert_eq!(live["spec"]["x"], 1);
        let live = apply(&mut managed, "b", &live, json!({}));
        assert_eq!(live, json!({"spec": {"x": 1}}));
    }

    #[test]
    fn what_others_have_set_is_a_conflict_and_force_takes_it() {
        let mut managed = Managed::default();
        let live = apply(&mut managed, "a", &json!({}), json!({"x": 1, "l": [1]}));
        let edited = json!({"spec": {"x": 2, "l": [1]}});
        managed.update("editor", Some(&live), &edited);
        let wanted = json!({"spec": {"x": 1, "l": [1]}});
        let conflicts = managed.apply("a", false, &edited, &wanted).unwrap_err();
        assert_eq!(conflicts, [("editor".to_owned(), ".spec.x".to_owned())]);
        // An empty mapping takes nothing from anybody,
        let mut none = managed.clone();
        let left = none.apply("a", false, &edited, &json!({"spec": {}}));
        assert_eq!(left, Ok(json!({"spec": {"x": 2}})));
        // and the same value is nobody's conflict.
        let mut same = managed.clone();
        same.apply("a", false, &edited, &edited).unwrap();
        let forced = managed.apply("a", true, &edited, &wanted).unwrap();
        assert_eq!(forced, wanted);
        let entries = managed.entries("v");
        assert_eq!(entries.as_array().unwrap().len(), 1, "{entries}");
        assert_eq!(
            entries[0]["fieldsV1"],
            json!({"f:spec": {"f:l": {}, "f:x": {}}})
        );
    }

    #[test]
    fn a_document_remembers_it_and_it_is_no_field_of_its_own() {
        let mut document = json!({"metadata": {"labels": {"a.b/c": "d"}}, "spec": {"x": null}});
        let mut managed = Managed::default();
        managed.update("me", None, &document);
        managed.store(&mut document, "v1");
        assert_eq!(Managed::of(&document), managed);
        let mut again = managed.clone();
        again.update("other", Some(&document), &document);
        assert_eq!(again, managed);
        document["spec"] = json!({});
        document["metadata"] = json!({});
        managed.keep(&document);
        managed.store(&mut document, "v1");
        assert_eq!(Managed::of(&document), Managed::default());
        assert_eq!(Managed::from_entries(&json!([{}])), Managed::default());
    }
}
