//! One resource of a kind as texts in which id, marker, state and project can be exchanged: the
//! sandbox made it once, and the model has it in every form that it can take.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use stackward::kinds::erased::{AnyKind, Found};
use stackward::kinds::field::Class;
use stackward::kinds::health::Health;
use stackward::kinds::need::DeclaredWhat;
use stackward::kinds::{KINDS, MarkerPlace};
use stackward::manifest::{Key, Ref, parse};

use super::sim::Sim;

pub const NAME: &str = "the-subject";
/// Somebody else's project.
const ELSEWHERE: &str = "00000000000000000000000000000bad";

/// One resource as the model has it; its other properties are those of the original.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Item {
    pub id: String,
    /// The text in the place of the marker; `None` is none.
    pub marker: Option<String>,
    /// Its state, if not the original's.
    pub state: Option<String>,
    /// It is not as declared in a field of this class.
    pub differs: Option<Class>,
    pub is_elsewhere: bool,
    /// No list shows it, as long as it is like this.
    pub is_hidden: bool,
    /// Requests to change or delete it are answered, and change nothing.
    pub is_stubborn: bool,
    /// It was disabled, so that it can be deleted.
    pub is_off: bool,
}

/// What differs from the manifest in one field.
#[derive(Debug, Clone)]
pub struct Differing {
    pub field: &'static str,
    item: String,
    read: String,
}

/// A kind, an object of it, and all that is around it.
pub struct Subject {
    pub kind: &'static dyn AnyKind,
    pub sim_project: String,
    pub user: String,
    /// The manifests, with references by id.
    pub manifest: Value,
    pub secret: Value,
    pub original: Item,
    /// Words for states: of transit, of leaving, of error.
    pub moving: Option<String>,
    pub leaving: Option<String>,
    pub stuck: Option<String>,
    project: Option<String>,
    state: Option<String>,
    item: String,
    read: String,
    /// The ways in which it can differ.
    pub differing: BTreeMap<Class, Differing>,
    /// What else there is, of each kind.
    others: BTreeMap<&'static str, Vec<Value>>,
}

impl Subject {
    /// One of every kind, or of these.
    pub fn all(wanted: &str) -> Vec<Self> {
        let mut sim = Sim::of_admin(1);
        let user = sim.user().to_owned();
        let world = include_str!("world.yaml").replace("<user>", &user);
        sim.declare(&[("world.yaml".to_owned(), world.clone())]);
        sim.run_until_rest(Duration::from_secs(3600));
        sim.assert_converged();
        let shapes: Vec<_> = KINDS.iter().map(|it| (it.name(), it.shape())).collect();
        let (manifests, problems) = parse::parse("world.yaml", &world, parse::Kinds(&shapes));
        assert!(problems.is_empty(), "{problems:?}");
        let documents: Value = serde_saphyr::from_str(&world).unwrap();
        let lists: BTreeMap<&'static str, Vec<Value>> = KINDS
            .iter()
            .map(|kind| (kind.name(), sim.items(kind.name())))
            .collect();
        KINDS
            .iter()
            .filter(|kind| wanted.is_empty() || wanted.split(',').any(|it| it == kind.name()))
            .map(|kind| {
                let is_it =
                    |it: &&Value| it["kind"] == kind.name() && it["metadata"]["name"] == NAME;
                let all = documents["items"].as_array().unwrap();
                let document = all.iter().find(is_it).cloned();
                let document = document.unwrap_or_else(|| panic!("no {}", kind.name()));
                let key = Key::new(kind.name(), "default", NAME);
                let manifest = manifests.iter().find(|it| it.key == key).unwrap();
                let needs = kind.accept(manifest).unwrap().needs;
                Self::new(&mut sim, &lists, *kind, document, &needs, all[0].clone())
            })
            .collect()
    }

    fn new(
        sim: &mut Sim,
        lists: &BTreeMap<&'static str, Vec<Value>>,
        kind: &'static dyn AnyKind,
        mut manifest: Value,
        needs: &[stackward::kinds::need::Declared],
        secret: Value,
    ) -> Self {
        let ids: BTreeMap<Key, String> = sim
            .engine
            .snapshot()
            .objects
            .iter()
            .map(|(key, object)| (key.clone(), object.status.id.clone().unwrap()))
            .collect();
        for need in needs {
            if let DeclaredWhat::Object {
                kind,
                reference: Ref::Name(name),
            } = &need.what
            {
                let id = &ids[&Key::new(*kind, "default", &**name)];
                let spec = &mut manifest["spec"];
                let place = match spec.get("resource") {
                    Some(_) => spec["resource"].pointer_mut(&need.pointer),
                    None => spec.pointer_mut(&need.pointer),
                };
                *place.unwrap() = json!({"id": id});
            }
        }
        let id = ids[&Key::new(kind.name(), "default", NAME)].clone();
        let mut others: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
        let mut item = Value::Null;
        for value in lists[kind.name()].iter().cloned() {
            if kind.look(value.clone()).unwrap().id == id {
                item = value;
            } else if others.is_empty() {
                // One that is nobody's business is as good as many.
                others.entry(kind.name()).or_default().push(value);
            }
        }
        let part_of = kind.look(item.clone()).unwrap().part_of;
        for other in KINDS.iter().filter(|it| it.name() != kind.name()) {
            for value in lists[other.name()].iter().cloned() {
                let found = other.look(value.clone()).unwrap();
                let is_whole = part_of.as_ref() == Some(&(other.name(), found.id));
                // What the service would delete along with it has its own test.
                let is_attached =
                    found.attached_to.contains(&id) && !kind.cascade().contains(&other.name());
                if is_whole || is_attached {
                    others.entry(other.name()).or_default().push(value);
                }
            }
        }
        let found = kind.look(item.clone()).unwrap();
        let marker = found.marker.map(|marker| marker.to_string());
        assert_eq!(marker.is_none(), kind.marker() == MarkerPlace::NaturalKey);
        let read = sim.send(&kind.read(&id)).unwrap().body;
        let mut subject = Self {
            kind,
            sim_project: sim.project(),
            user: sim.user().to_owned(),
            manifest,
            secret,
            project: found.project.clone(),
            state: item["status"].as_str().map(str::to_owned),
            item: item.to_string(),
            read: read.to_string(),
            differing: BTreeMap::new(),
            original: Item {
                id,
                marker,
                ..Item::default()
            },
            moving: None,
            leaving: None,
            stuck: None,
            others,
        };
        for state in [
            "BUILD",
            "creating",
            "queued",
            "saving",
            "ERROR",
            "error",
            "killed",
            "DELETING",
            "deleting",
            "deleted",
            "SOFT_DELETED",
            "pending_delete",
        ] {
            let it = Item {
                state: Some(state.to_owned()),
                ..subject.original.clone()
            };
            let Ok(found) = kind.look(subject.listed(&it)) else {
                continue;
            };
            let place = match found.health {
                _ if subject.state.is_none() => continue,
                Health::Moving(_) => &mut subject.moving,
                Health::Leaving => &mut subject.leaving,
                Health::Stuck { .. } => &mut subject.stuck,
                Health::Ready | Health::Off(_) => continue,
            };
            place.get_or_insert_with(|| state.to_owned());
        }
        subject
    }

    /// Can there be another one beside it? Ids that are made of names or parts are taken.
    pub fn can_have_twins(&self) -> bool {
        uuid::Uuid::try_parse(&self.original.id).is_ok()
    }

    pub fn has_project(&self) -> bool {
        self.project.as_ref() == Some(&self.sim_project)
    }

    /// Does a request name another resource of its kind?
    pub fn is_anothers(&self, path: &str) -> bool {
        let others = self.others.get(self.kind.name());
        let mut ids = others
            .into_iter()
            .flatten()
            .filter_map(|it| it["id"].as_str());
        ids.any(|id| path.split('/').any(|part| part == id))
    }

    /// A list of a kind.
    pub fn list(&self, kind: &str, items: &[Item]) -> Vec<Value> {
        let mut list = self.others.get(kind).cloned().unwrap_or_default();
        if kind == self.kind.name() {
            let shown = items.iter().filter(|item| !item.is_hidden);
            list.extend(shown.map(|item| self.listed(item)));
        }
        list
    }

    fn listed(&self, item: &Item) -> Value {
        let differing = item.differs.map(|class| &self.differing[&class].item);
        let text = self.exchange(differing.unwrap_or(&self.item), item);
        serde_json::from_str(&text).unwrap()
    }

    /// The answer to a read by id.
    pub fn answer(&self, item: &Item) -> Value {
        let differing = item.differs.map(|class| &self.differing[&class].read);
        let text = self.exchange(differing.unwrap_or(&self.read), item);
        serde_json::from_str(&text).unwrap()
    }

    /// Looks for ways to differ: changes one value of the resource after the other, and keeps the
    /// first of each class that `look` sees as a difference in one field.
    pub fn find_differences(&mut self, look: impl Fn(&Self) -> Option<(&'static str, Class)>) {
        let item: Value = serde_json::from_str(&self.item).unwrap();
        let read: Value = serde_json::from_str(&self.read).unwrap();
        let natural_key = self.kind.look(item.clone()).unwrap().natural_key;
        let mut places = Vec::new();
        collect(&item, "", &mut places);
        for (pointer, other) in places {
            let mut item = item.clone();
            let mut read = read.clone();
            *item.pointer_mut(&pointer).unwrap() = other.clone();
            if let Some(place) = pointer_in_read(&mut read, &pointer) {
                *place = other;
            }
            let same = (self.item.clone(), self.read.clone());
            (self.item, self.read) = (item.to_string(), read.to_string());
            // Another name would be another one, where names tell them apart.
            let is_same = |it: &Found| it.natural_key == natural_key;
            let found = self.kind.look(item).ok().filter(is_same);
            let seen = found.and_then(|_| look(self));
            let (item, read) = (
                std::mem::replace(&mut self.item, same.0),
                std::mem::replace(&mut self.read, same.1),
            );
            if let Some((field, class)) = seen {
                let it = Differing { field, item, read };
                self.differing.entry(class).or_insert(it);
            }
        }
    }

    fn exchange(&self, text: &str, item: &Item) -> String {
        let mut text = text.replace(&self.original.id, &item.id);
        if let Some(marker) = &self.original.marker {
            text = text.replace(marker, item.marker.as_deref().unwrap_or("none"));
        }
        if let (Some(project), true) = (&self.project, item.is_elsewhere) {
            text = text.replace(project, ELSEWHERE);
        }
        if let (Some(before), Some(state)) = (&self.state, &item.state) {
            let of = |state: &str| format!(r#""status":"{state}""#);
            text = text.replace(&of(before), &of(state));
        }
        if item.is_off {
            text = text.replace(r#""enabled":true"#, r#""enabled":false"#);
        }
        text
    }

    /// The manifests of the object with this policy, and what it needs.
    pub fn declared(&self, policy: &Value, annotations: &Value) -> Vec<(String, String)> {
        let mut manifest = self.manifest.clone();
        for (name, value) in policy.as_object().unwrap() {
            manifest["spec"][name] = value.clone();
        }
        if !annotations.is_null() {
            manifest["metadata"]["annotations"] = annotations.clone();
        }
        vec![
            ("secret.yaml".to_owned(), self.secret.to_string()),
            ("subject.yaml".to_owned(), manifest.to_string()),
        ]
    }

    pub fn key(&self) -> Key {
        Key::new(self.kind.name(), "default", NAME)
    }
}

/// Every value of a resource, and another one in its place.
fn collect(value: &Value, pointer: &str, places: &mut Vec<(String, Value)>) {
    let other = match value {
        Value::Null => return,
        Value::Bool(it) => json!(!it),
        Value::Number(it) => json!(it.as_u64().unwrap_or_default() + 1),
        Value::String(it) => json!(format!("x{it}")),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{pointer}/{index}"), places);
            }
            json!([])
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                collect(field, &format!("{pointer}/{name}"), places);
            }
            json!({})
        }
    };
    if !pointer.is_empty() {
        places.push((pointer.to_owned(), other));
    }
}

/// The same place in the answer to a read, which has the resource in an envelope, or has none.
fn pointer_in_read<'a>(read: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    let fields = read.as_object()?;
    let envelope = match fields.iter().next() {
        Some((name, Value::Object(_))) if fields.len() == 1 => format!("/{name}"),
        _ => String::new(),
    };
    read.pointer_mut(&format!("{envelope}{pointer}"))
}
