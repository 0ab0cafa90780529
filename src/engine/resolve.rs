//! Fills a spec in: ids for references, values for templates, texts of files. What cannot be filled
//! in yet is said by field.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use serde_json::Value;

use crate::kinds;
use crate::kinds::erased::AnyKind;
use crate::kinds::need::{Declared, DeclaredWhat, Inputs, Material, Reading};
use crate::manifest::{Compact, Key, Ref, ValueSource, lookup};

use super::desired::Object;
use super::plan::Unmet;
use super::reason::{Blocker, Stage, Waiting};
use super::scope::Scope;
use super::{Engine, Link};

/// A spec as far as it could be filled in.
pub(super) struct Resolved {
    /// The spec; `None` for an import.
    pub(super) spec: Option<Value>,
    /// The filter of an import.
    pub(super) filter: Option<Value>,
    /// What is missing.
    pub(super) unmet: Vec<Unmet>,
    /// What is secret in it.
    pub(super) material: Material,
}

type Met<T> = Result<T, Result<Waiting, Blocker>>;

impl Engine {
    /// Of a kind that is listed part by part: the parts that anything of ours is in.
    pub(super) fn parts(&self, kind: &dyn AnyKind, scope: &Scope) -> Vec<(&'static str, String)> {
        let Some((parameter, field)) = kind.part() else {
            return Vec::new();
        };
        let is_ours = |key: &Key, of: &Scope| *key.kind == *kind.name() && of == scope;
        let declared = self.desired.objects.values();
        let declared = declared.filter(|object| is_ours(object.key(), &object.scope));
        let wanted = declared.filter_map(|object| {
            let resolved = self.resolve(object);
            let content = resolved.spec.or(resolved.filter)?;
            Some(content[field]["id"].as_str()?.to_owned())
        });
        let records = self.journal.records.iter();
        let recorded = records
            .filter(|(key, record)| is_ours(key, &record.scope))
            .filter_map(|(_, record)| record.project.clone());
        let parts: BTreeSet<String> = wanted.chain(recorded).collect();
        parts.into_iter().map(|id| (parameter, id)).collect()
    }

    pub(super) fn resolve(&self, object: &Object) -> Resolved {
        let mut ids: BTreeMap<&str, String> = BTreeMap::new();
        let mut inputs = Inputs {
            uid: self.settings.owner.uid(object.key()),
            ..Inputs::default()
        };
        let mut unmet: Vec<Unmet> = Vec::new();
        // Fields whose text is missing are left out of the spec, so that no half of it is used.
        let mut without: Vec<&str> = Vec::new();
        for need in &object.accepted.needs {
            let failed = match &need.what {
                DeclaredWhat::Object { kind, reference } => {
                    if let Ref::Name(name) = reference {
                        let name = format!("{}/{name}", object.key().namespace);
                        inputs.names.insert(need.pointer.clone(), name);
                    }
                    let id = self.id_of(object, kind, reference);
                    id.and_then(|id| self.reachable(object, need, id))
                        .map(|id| {
                            ids.insert(&need.pointer, id);
                        })
                }
                _ => self.text_of(object, need, &mut inputs).inspect_err(|_| {
                    without.push(need.field());
                }),
            };
            if let Err(why) = failed {
                unmet.push(Unmet {
                    field: need.field().to_owned(),
                    why,
                });
            }
        }
        let id_of = |pointer: &str| ids.get(pointer).cloned();
        let filter = object
            .accepted
            .filter
            .as_ref()
            .map(|filter| object.kind.resolve_filter(&filter.value(), &id_of));
        let Some(mut spec) = object.accepted.spec.as_ref().map(Compact::value) else {
            return Resolved {
                spec: None,
                filter,
                unmet,
                material: Material::default(),
            };
        };
        for field in without {
            spec[field] = Value::Null;
        }
        let filled = object.kind.resolve(&spec, &id_of, &inputs);
        let (mut spec, material) = filled.unwrap_or_else(|refusal| {
            let why = Err(Blocker::Invalid(refusal.message));
            unmet.push(Unmet {
                field: String::new(),
                why,
            });
            (spec, Material::default())
        });
        if object.kind.rows().iter().any(|row| row.name == "name") {
            spec["name"] = Value::String(object.name.clone());
        }
        Resolved {
            spec: Some(spec),
            filter,
            unmet,
            material,
        }
    }

    /// The id that a reference stands for.
    fn id_of(&self, object: &Object, kind: &'static str, reference: &Ref) -> Met<String> {
        match reference {
            Ref::Id(id) => Ok(id.clone()),
            Ref::Name(name) => {
                let key = object.key().sibling(kind, name.as_str());
                self.same_cloud(object, &key)?;
                let waiting = |stage| {
                    Err(Ok(Waiting::For {
                        key: key.clone(),
                        stage,
                    }))
                };
                let Some(status) = self.status_of(&key) else {
                    return waiting(Stage::Created);
                };
                if self.makes_way(&key) {
                    return waiting(Stage::Replaced);
                }
                match &status.id {
                    None => waiting(Stage::Created),
                    Some(_) if !status.is_available() => waiting(Stage::Ready),
                    Some(id) => Ok(id.clone()),
                }
            }
            Ref::Filter(filter) => {
                let kind = kinds::find(kind)
                    .ok_or_else(|| Err(Blocker::Invalid(format!("{kind} is no kind"))))?;
                let listing = self
                    .evidence(&object.scope, kind.name(), None)
                    .map_err(Ok)?;
                let items: Vec<_> = listing.items.iter().collect();
                let chosen = kind.choose(filter, &items);
                match chosen[..] {
                    [one] => Ok(items[one].id.clone()),
                    [] => Err(Ok(Waiting::External(format!(
                        "no {} matches {filter}",
                        kind.name()
                    )))),
                    _ => Err(Err(Blocker::Ambiguous {
                        what: format!("several of kind {} match {filter}", kind.name()),
                        ids: chosen
                            .iter()
                            .map(|it| format!("{} ({})", items[*it].name, items[*it].id))
                            .collect(),
                    })),
                }
            }
        }
    }

    /// Refuses a reference to what is in another cloud or region: its id would be sent where nobody
    /// knows it.
    fn same_cloud(&self, object: &Object, key: &Key) -> Met<()> {
        let Some(other) = self.desired.objects.get(key) else {
            return Ok(());
        };
        let (Some(Link::Up(here)), Some(Link::Up(there))) =
            (self.links.get(&object.scope), self.links.get(&other.scope))
        else {
            return Ok(());
        };
        let Some(words) = here.apart(there, other.kind.service()) else {
            return Ok(());
        };
        Err(Err(Blocker::Invalid(format!(
            "{} is of cloud {}, this object is of cloud {}: {words}; give both the same cloud, or refer to what is in this one",
            key.short(),
            other.scope,
            object.scope,
        ))))
    }

    /// The same id, unless it is that of a user whose resources are in no list that we can read.
    fn reachable(&self, object: &Object, need: &Declared, id: String) -> Met<String> {
        let (Some(field), Some(Link::Up(we))) =
            (object.kind.of_user(), self.links.get(&object.scope))
        else {
            return Ok(id);
        };
        if need.field() != field || id == we.user {
            return Ok(id);
        }
        Err(Err(Blocker::Invalid(format!(
            "{field} is user {id}, but cloud {} is used as user {}: {} is seen and made by its own user alone; give this object that user's cloud",
            object.scope,
            we.user,
            object.kind.name(),
        ))))
    }

    fn text_of(&self, object: &Object, need: &Declared, inputs: &mut Inputs) -> Met<()> {
        let pointer = need.pointer.clone();
        let text = match &need.what {
            DeclaredWhat::Object { .. } => return Ok(()),
            DeclaredWhat::File {
                reading: Reading::Stream,
                ..
            } => {
                if let Some(path) = object.files.get(&pointer) {
                    inputs.files.insert(pointer, path.clone());
                }
                return Ok(());
            }
            DeclaredWhat::File { .. } => match object.texts.get(&pointer) {
                Some(text) => text.clone(),
                None => return Ok(()),
            },
            DeclaredWhat::SecretKey { name, key } => self.datum(object, "Secret", name, key)?,
            DeclaredWhat::Value(source) => match source {
                ValueSource::Value(text) => SecretString::from(text.clone()),
                ValueSource::SecretKey { name, key } => self.datum(object, "Secret", name, key)?,
                ValueSource::ConfigMapKey { name, key } => {
                    self.datum(object, "ConfigMap", name, key)?
                }
                ValueSource::Field { kind, name, path } => {
                    self.field(&object.key().sibling(kind.as_str(), name.as_str()), path)?
                }
            },
        };
        inputs.texts.insert(pointer, text);
        Ok(())
    }

    /// One entry of a Secret or a ConfigMap.
    fn datum(&self, object: &Object, kind: &str, name: &str, entry: &str) -> Met<SecretString> {
        let key = object.key().sibling(kind, name);
        let Some(data) = self.desired.data.get(&key) else {
            return Err(Ok(Waiting::For {
                key,
                stage: Stage::Created,
            }));
        };
        let Some(bytes) = data.get(entry) else {
            return Err(Ok(Waiting::Value {
                key,
                path: format!("the key {entry}"),
            }));
        };
        let text = bytes.expose_text().ok_or_else(|| {
            Err(Blocker::Invalid(format!(
                "the key {entry} of {} is not UTF-8",
                key.short()
            )))
        })?;
        Ok(SecretString::from(text.to_owned()))
    }

    /// A value of another object's status.
    fn field(&self, key: &Key, path: &str) -> Met<SecretString> {
        let missing = || {
            Err(Ok(Waiting::Value {
                key: key.clone(),
                path: path.to_owned(),
            }))
        };
        let Some(status) = self.status_of(key) else {
            return missing();
        };
        let document = status.document(&key.name, &key.namespace);
        match lookup(&document, path) {
            Some(Value::String(text)) if !text.is_empty() => Ok(SecretString::from(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                Ok(SecretString::from(value.to_string()))
            }
            _ => missing(),
        }
    }
}
