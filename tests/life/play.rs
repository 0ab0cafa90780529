//! Plays the scripts of all subjects side by side: what each does next is done together, settled
//! once, and then looked at, so that a whole life of all kinds takes as long as the longest one.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stackward::kinds::MarkerPlace;
use stackward::kinds::call::Reply;
use stackward::kinds::marker::Marker;
use stackward::manifest::Key;

use crate::actor::{Actor, all_fields, call, condition, matches, plain};
use crate::script::{Expect, Mode, Script, Step, Writes};
use crate::stage::Stage;
use crate::subject::Subject;
use crate::table::{Cell, Column, Table};

pub(crate) struct Play<'a, S> {
    stage: S,
    actors: Vec<Actor<'a>>,
    pub(crate) table: Table,
    picture: Value,
    declared: Vec<(String, String)>,
    /// What was read since somebody wrote last, by kind and id.
    seen: BTreeMap<(String, String), Option<Value>>,
}

impl<'a, S: Stage> Play<'a, S> {
    pub(crate) fn new(stage: S, subjects: &'a [Subject]) -> Self {
        let mut table = Table::of(subjects);
        let mut actors = Vec::new();
        for subject in subjects {
            let mut script = Script::new(subject);
            script.fields();
            for (field, column, why) in &script.without {
                table.note(subject, field, *column, Cell::Without(why.clone()));
            }
            let Script { form, world, .. } = Script::new(subject);
            actors.push(Actor {
                subject,
                form,
                world,
                id: String::new(),
            });
        }
        Self {
            stage,
            actors,
            table,
            picture: Value::Null,
            declared: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    pub(crate) fn whole_life(&mut self) {
        self.create();
        self.rest();
        self.fields();
        self.let_go();
        self.import();
        self.adopt();
        self.lose();
        self.delete();
    }

    fn create(&mut self) {
        let becomes = Expect::Becomes {
            anew: true,
            writes: Writes::Some,
        };
        self.all("create", &[Column::Create], |actor| {
            Some(actor.step(becomes.clone()))
        });
    }

    /// Nothing is written while nothing happens, neither by this process nor by the next one.
    fn rest(&mut self) {
        let quiet = Expect::Becomes {
            anew: false,
            writes: Writes::None,
        };
        self.all("rest", &[Column::Rest], |actor| {
            Some(actor.step(quiet.clone()))
        });
        self.stage.restart();
        self.all("rest after a restart", &[Column::Rest], |actor| {
            Some(actor.step(quiet.clone()))
        });
    }

    fn fields(&mut self) {
        let mut scripts: Vec<_> = self
            .actors
            .iter()
            .map(|actor| {
                let mut script = Script::new(actor.subject);
                script.fields();
                let home = (script.form.clone(), script.world.clone());
                (script.steps.into_iter(), home)
            })
            .collect();
        loop {
            let steps: Vec<Option<Step>> =
                scripts.iter_mut().map(|(steps, _)| steps.next()).collect();
            if steps.iter().all(Option::is_none) {
                break;
            }
            self.together(steps);
        }
        for (actor, (_, (form, world))) in self.actors.iter_mut().zip(scripts) {
            actor.form = form;
            actor.world = world;
        }
    }

    /// `onDelete: detach`, and then its manifest goes.
    fn let_go(&mut self) {
        let quiet = Expect::Becomes {
            anew: false,
            writes: Writes::None,
        };
        self.all("detach", &[], |actor| {
            actor.form.mode = Mode::Detached;
            Some(actor.step(quiet.clone()))
        });
        let before = self.stage.writes().len();
        for actor in &mut self.actors {
            actor.form.mode = Mode::Nowhere;
        }
        self.declare();
        self.stage.pass(self.stage.grace());
        self.settle();
        let written = self.stage.writes()[before..].to_vec();
        for index in 0..self.actors.len() {
            let subject = self.actors[index].subject;
            let key = subject.key().to_string();
            let mut wrong = self.differences(index);
            wrong.extend(
                written
                    .iter()
                    .filter(|it| it.starts_with(&format!("{key}:")))
                    .cloned(),
            );
            self.note(
                index,
                "let go of",
                &all_fields(subject, &[Column::Detach]),
                &wrong,
            );
        }
    }

    /// By filter and by id, and not put right when somebody changes it.
    fn import(&mut self) {
        let quiet = Expect::Becomes {
            anew: false,
            writes: Writes::None,
        };
        self.without(Column::Import, |subject| subject.no_import.clone());
        self.all("import by filter", &[Column::Import], |actor| {
            let filter = match (&actor.subject.no_import, &actor.subject.import) {
                (Some(_), _) => return None,
                (None, Some(filter)) => filter.clone(),
                (None, None) => json!({"name": actor.form.spec.get("name")
                    .cloned().unwrap_or_else(|| json!(actor.subject.name))}),
            };
            actor.form.mode = Mode::Imported(json!({"filter": filter}));
            Some(actor.step(quiet.clone()))
        });
        self.all("import by id", &[Column::Import], |actor| {
            if actor.subject.no_import.is_some() || actor.subject.no_import_by_id.is_some() {
                return None;
            }
            actor.form.mode = Mode::Imported(json!({"id": "<self>"}));
            Some(actor.step(quiet.clone()))
        });
        self.all("changed while imported", &[Column::Import], |actor| {
            if actor.subject.no_import.is_some() {
                return None;
            }
            let (field, by_hand) = actor.easily_changed()?;
            let mut step = actor.step(quiet.clone());
            step.by_hand = by_hand;
            step.world.remove(&field);
            for along in actor.subject.fields[&field].along.iter().flatten() {
                step.world.retain(|other, _| !along.contains_key(other));
            }
            step.drifts = Some(field);
            Some(step)
        });
        for actor in &mut self.actors {
            actor.form.mode = Mode::Nowhere;
        }
        self.declare();
        self.settle();
    }

    /// Without a mark of ownership, and changed by others: taken over by consent, and put right.
    fn adopt(&mut self) {
        self.without(Column::Adopt, |subject| subject.no_adoption.clone());
        self.all("adopt", &[Column::Adopt], |actor| {
            if actor.subject.no_adoption.is_some() {
                actor.form.mode = Mode::Managed;
                let any = Expect::Becomes {
                    anew: false,
                    writes: Writes::Any,
                };
                let mut step = actor.step(any);
                step.cells.clear();
                return Some(step);
            }
            let natural = actor.subject.kind().marker() == MarkerPlace::NaturalKey;
            actor.form.mode = Mode::Adopting(match natural {
                true => json!({"byName": true}),
                false => json!({"id": "<self>"}),
            });
            let writes = if natural { Writes::Any } else { Writes::Some };
            let mut step = actor.step(Expect::Becomes {
                anew: false,
                writes,
            });
            step.by_hand = Script::new(actor.subject).strip();
            Some(step)
        });
    }

    /// Deleted behind our back, and made again.
    fn lose(&mut self) {
        self.all("consent is taken back", &[], |actor| {
            actor.form.mode = Mode::Managed;
            Some(actor.step(Expect::Becomes {
                anew: false,
                writes: Writes::None,
            }))
        });
        self.all("gone", &[Column::Gone], |actor| {
            let requests = actor.subject.delete.as_ref();
            let mut step = actor.step(Expect::Becomes {
                anew: true,
                writes: Writes::Some,
            });
            step.by_hand = requests.map_or_else(
                || vec![("DELETE <path>".to_owned(), Value::Null)],
                |requests| requests.iter().map(crate::script::request).collect(),
            );
            Some(step)
        });
    }

    /// Without any manifest all of it goes.
    fn delete(&mut self) {
        let ids = self.ids();
        for actor in &mut self.actors {
            actor.form.mode = Mode::Nowhere;
        }
        self.stage.declare(&[], &BTreeMap::new());
        let (every, patience) = self.stage.patience();
        let end = self
            .stage
            .now()
            .checked_add(patience + self.stage.grace())
            .unwrap();
        while self.stage.now() < end {
            self.picture = self.stage.picture();
            if self.picture["objects"]
                .as_object()
                .is_some_and(serde_json::Map::is_empty)
            {
                break;
            }
            self.stage.pass(every);
        }
        self.seen.clear();
        let mut others = Vec::new();
        for (key, id) in &ids {
            if stackward::kinds::find(&key.kind).is_some() && self.read(&key.kind, id).is_some() {
                others.push(format!("{key} {id} is still there: {}", self.standing(key)));
            }
        }
        for index in 0..self.actors.len() {
            let actor = &self.actors[index];
            let of = actor.subject.others();
            let names: Vec<&str> = of
                .iter()
                .filter(|it| it["spec"].get("import").is_none())
                .filter_map(|it| it["metadata"]["name"].as_str())
                .chain([actor.subject.name.as_str()])
                .collect();
            let wrong: Vec<String> = others
                .iter()
                .filter(|line| names.iter().any(|name| line.contains(&format!("/{name} "))))
                .cloned()
                .collect();
            self.note(
                index,
                "deleted",
                &all_fields(actor.subject, &[Column::Delete]),
                &wrong,
            );
        }
    }

    fn without(&mut self, column: Column, why: impl Fn(&Subject) -> Option<String>) {
        for actor in &self.actors {
            if let Some(why) = why(actor.subject) {
                for field in actor.subject.fields.keys() {
                    self.table
                        .note(actor.subject, field, column, Cell::Without(why.clone()));
                }
            }
        }
    }

    /// The same kind of step for all.
    fn all(
        &mut self,
        what: &str,
        columns: &[Column],
        mut step: impl FnMut(&mut Actor<'_>) -> Option<Step>,
    ) {
        let steps = self
            .actors
            .iter_mut()
            .map(|actor| {
                let mut step = step(actor)?;
                what.clone_into(&mut step.what);
                if step.cells.is_empty() {
                    step.cells = all_fields(actor.subject, columns);
                }
                Some(step)
            })
            .collect();
        self.together(steps);
    }

    /// One step of each; who has none stays as it is.
    fn together(&mut self, steps: Vec<Option<Step>>) {
        let names: Vec<String> = steps
            .iter()
            .zip(&self.actors)
            .filter_map(|(step, actor)| {
                Some(format!("{} {}", actor.subject.file, step.as_ref()?.what))
            })
            .collect();
        eprintln!("{}: {}", self.stage.now(), names.join("; "));
        let written = self.stage.writes().len();
        let ids: Vec<String> = self.actors.iter().map(|it| it.id.clone()).collect();
        let mut wrong: Vec<Vec<String>> = vec![Vec::new(); steps.len()];
        for (index, step) in steps.iter().enumerate() {
            let Some(step) = step else { continue };
            for (line, body) in &step.by_hand {
                if let Err(why) = self.by_hand(index, line, body) {
                    wrong[index].push(why);
                }
            }
            // Nobody puts it right: it must be seen, or nothing is shown by that.
            let left_alone = matches!(
                step.expect,
                Expect::Becomes {
                    writes: Writes::None,
                    ..
                }
            );
            if let Some(field) = &step.drifts
                && let Some(home) = self.actors[index].world.get(field).cloned()
                && left_alone
                && wrong[index].is_empty()
                && !self.comes_to_differ(index, &home)
            {
                wrong[index].push("what was done by hand has no effect".to_owned());
            }
        }
        for (actor, step) in self.actors.iter_mut().zip(&steps) {
            if let Some(step) = step {
                actor.form.clone_from(&step.form);
                actor.world.clone_from(&step.world);
            }
        }
        self.declare();
        self.settle();
        self.learn();
        let writes = self.stage.writes()[written..].to_vec();
        for (index, step) in steps.iter().enumerate() {
            let Some(step) = step else { continue };
            wrong[index].extend(self.check(index, step, &ids[index], &writes));
            self.note(index, &step.what, &step.cells, &wrong[index]);
        }
    }

    fn comes_to_differ(&mut self, index: usize, home: &Value) -> bool {
        let (every, _) = self.stage.patience();
        for _ in 0..30 {
            self.seen.clear();
            if self.covers(index, home).is_some() {
                return true;
            }
            self.stage.pass(every);
        }
        false
    }

    fn check(&mut self, index: usize, step: &Step, id: &str, writes: &[String]) -> Vec<String> {
        let mut wrong = Vec::new();
        let actor = &self.actors[index];
        let key = actor.subject.key();
        let own = format!("{key}: ");
        let own: Vec<&String> = writes.iter().filter(|it| it.starts_with(&own)).collect();
        let object = &self.picture["objects"][key.to_string()];
        let standing = self.standing(&key);
        // With a wrong manifest the last good one would stay in force, and show nothing.
        wrong.extend(self.problems(&key));
        match &step.expect {
            Expect::Becomes { anew, writes } => {
                // What is left as others made it may well not serve: a server that was stopped.
                let serves = step.drifts.is_some() && *writes == Writes::None
                    || condition(object, "Available").0 == "True";
                if object["reason"] != "InSync" || !serves {
                    wrong.push(format!("it is {standing}"));
                }
                // An id that is made of names is the same again.
                let other = actor.id != id || actor.subject.natural_id && *anew;
                let made = own.iter().any(|it| it.contains(": create"));
                if *anew != other || *anew != made {
                    wrong.push(format!(
                        "its id was {id} and is {}; it wrote {own:?}",
                        actor.id
                    ));
                }
                let unlike = match writes {
                    Writes::Some => own.is_empty(),
                    Writes::None => !own.is_empty(),
                    Writes::Any => false,
                };
                if unlike {
                    wrong.push(format!("it wrote {own:?}"));
                }
            }
            Expect::Blocked { code, words } => {
                if object["reason"] != code.as_str() || !standing.contains(words) {
                    wrong.push(format!("it is {standing}, and not {code} with `{words}`"));
                }
                if !own.is_empty() {
                    wrong.push(format!("it wrote {own:?}"));
                }
            }
        }
        wrong.extend(self.differences(index));
        wrong
    }

    fn note(&mut self, index: usize, what: &str, cells: &[(String, Column)], wrong: &[String]) {
        let subject = self.actors[index].subject;
        let cell = match wrong {
            [] => Cell::Holds,
            _ => Cell::Fails(format!("{} {what}: {}", subject.file, wrong.join("; "))),
        };
        if let Cell::Fails(why) = &cell {
            eprintln!("  FAILS {why}");
        }
        for (field, column) in cells {
            self.table.note(subject, field, *column, cell.clone());
        }
        if cells.is_empty()
            && cell != Cell::Holds
            && let Some(field) = subject.fields.keys().next()
        {
            self.table.note(subject, field, Column::Rest, cell);
        }
    }

    /// What is not in the cloud as the world of this actor says.
    fn differences(&mut self, index: usize) -> Vec<String> {
        let world = self.actors[index].world.clone();
        let wrong = world.iter().filter_map(|(field, seen)| {
            let why = self.covers(index, seen)?;
            Some(format!("{field}: {why}"))
        });
        wrong.collect()
    }

    /// Why a part is not to be seen in a resource; `None` when it is.
    fn covers(&mut self, index: usize, seen: &Value) -> Option<String> {
        let actor = &self.actors[index];
        let (kind, id) = (actor.subject.kind.clone(), actor.id.clone());
        let seen = self.filled(index, seen);
        let mut own = serde_json::Map::new();
        for (word, value) in seen.as_object().cloned().unwrap_or_default() {
            // Of another resource.
            if let Some(other) = word.strip_prefix('@') {
                let (kind, id) = other.split_once(' ').expect("@Kind id");
                let there = self.read(kind, id).map(plain)?;
                if !matches(&value, &there) {
                    return Some(format!("{value} is not in {there}"));
                }
            } else {
                own.insert(word, value);
            }
        }
        let Some(there) = self.read(&kind, &id) else {
            return Some(format!("{kind} {id} is not there"));
        };
        let there = plain(there);
        let wrong: Vec<String> = own
            .iter()
            .filter(|(word, value)| !matches(value, &there[word.as_str()]))
            .map(|(word, value)| format!("{word} is {}, and not {value}", there[word.as_str()]))
            .collect();
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }

    /// The manifests of all forms, if anything has changed.
    fn declare(&mut self) {
        let mut documents = Vec::new();
        let mut files = BTreeMap::new();
        for index in 0..self.actors.len() {
            let actor = &self.actors[index];
            let mut own = actor.subject.others();
            files.extend(actor.subject.files.clone());
            own.extend(actor.form.manifest(actor.subject));
            for document in own {
                documents.push(self.filled(index, &document).to_string());
            }
        }
        let manifests = vec![("life.yaml".to_owned(), documents.join("\n---\n"))];
        if manifests != self.declared {
            self.stage.declare(&manifests, &files);
            self.declared = manifests;
        }
    }

    /// Until all that is declared was looked at again and nothing is left to do.
    fn settle(&mut self) {
        self.seen.clear();
        let since = self.stage.now();
        let (every, patience) = self.stage.patience();
        let end = since.checked_add(patience).unwrap();
        loop {
            self.stage.pass(every);
            self.picture = self.stage.picture();
            let rests = self.picture["atRest"] == true && self.looked_since(since);
            if rests {
                return;
            }
            if self.stage.now() >= end {
                eprintln!("  no rest: {}", self.unrest().join("; "));
                return;
            }
        }
    }

    fn looked_since(&self, since: jiff::Timestamp) -> bool {
        let scopes = self.picture["scopes"].as_object().into_iter().flatten();
        let looks: Vec<&Value> = scopes.map(|(_, scope)| &scope["lookedAt"]).collect();
        let keys = self.picture["objects"].as_object().into_iter().flatten();
        keys.map(|(key, _)| key.split('/').next().unwrap_or(key))
            .all(|kind| {
                looks.iter().any(|looks| {
                    let at = looks[kind].as_str().and_then(|at| at.parse().ok());
                    at.is_some_and(|at: jiff::Timestamp| at > since)
                })
            })
    }

    fn unrest(&self) -> Vec<String> {
        let objects = self.picture["objects"].as_object().into_iter().flatten();
        let restless = objects.filter(|(_, object)| {
            !matches!(object["reason"].as_str(), Some("InSync" | "Immutable"))
        });
        restless
            .map(|(key, _)| format!("{key} {}", self.standing(&key.parse().unwrap())))
            .collect()
    }

    /// Which ids the subjects have now.
    fn learn(&mut self) {
        for actor in &mut self.actors {
            let object = &self.picture["objects"][actor.subject.key().to_string()];
            if let Some(id) = object["status"]["id"].as_str() {
                id.clone_into(&mut actor.id);
            }
        }
    }

    fn standing(&self, key: &Key) -> String {
        let object = &self.picture["objects"][key.to_string()];
        if object.is_null() {
            return format!("not declared {}", self.problems(key).join(" "));
        }
        let (_, message) = condition(object, "Progressing");
        format!("{} ({message})", object["reason"].as_str().unwrap_or("?"))
    }

    /// What is wrong with its manifest, or with any.
    fn problems(&self, key: &Key) -> Vec<String> {
        let problems = self.picture["problems"].as_array().into_iter().flatten();
        let of_it = problems.filter(|problem| {
            problem["severity"] == "error"
                && (problem["object"].is_null() || problem["object"] == key.to_string())
        });
        of_it
            .map(|problem| problem["message"].to_string())
            .collect()
    }

    /// The ids of all objects, by key.
    fn ids(&self) -> BTreeMap<Key, String> {
        let objects = self.picture["objects"].as_object().into_iter().flatten();
        let managed = objects.filter(|(_, object)| object["unmanaged"] == false);
        managed
            .filter_map(|(key, object)| {
                let id = object["status"]["id"].as_str()?;
                Some((key.parse().unwrap(), id.to_owned()))
            })
            .collect()
    }

    /// `<self>`, `<path>`, `<mark>`, `<plain>` and `<Kind/name>` filled in.
    fn filled(&mut self, index: usize, value: &Value) -> Value {
        let mut text = value.to_string();
        let actor = &self.actors[index];
        let (kind, id) = (actor.subject.kind(), actor.id.clone());
        if text.contains("<mark>") || text.contains("<plain>") {
            let raw = self.read(kind.name(), &id).unwrap_or_default();
            let word = match kind.marker() {
                MarkerPlace::Name => "name",
                _ => "description",
            };
            let full = raw[word].as_str().unwrap_or_default();
            let (plain, marker) = Marker::split(full);
            let mark = marker.map_or_else(String::new, |marker| format!("[{marker}]"));
            text = text.replace("<mark>", &mark).replace("<plain>", plain);
        }
        if !id.is_empty() {
            text = text
                .replace("<self>", &id)
                .replace("<path>", &kind.read(&id).path);
        }
        text = text.replace("<user>", &self.stage.user());
        if text.contains('<') {
            let objects = self.picture["objects"].as_object().into_iter().flatten();
            for (key, object) in objects {
                let key: Key = key.parse().unwrap();
                if let Some(id) = object["status"]["id"].as_str() {
                    let pattern = format!("<{}/{}>", key.kind, key.name);
                    text = text.replace(&pattern, id);
                }
            }
        }
        serde_json::from_str(&text).unwrap()
    }

    /// A resource as its service answers it.
    fn read(&mut self, kind: &str, id: &str) -> Option<Value> {
        if id.is_empty() {
            return None;
        }
        let place = (kind.to_owned(), id.to_owned());
        if let Some(known) = self.seen.get(&place) {
            return known.clone();
        }
        let kind = stackward::kinds::find(kind).unwrap();
        let call = kind.read(id);
        let item = match self.stage.send(&call) {
            Ok(reply) => Some(kind.item(id, &reply)),
            Err(error) if error.is_not_found() => None,
            Err(error) => panic!("{} {id} cannot be read: {error}", kind.name()),
        };
        self.seen.insert(place, item.clone());
        item
    }

    /// A request of a person with a client.
    fn by_hand(&mut self, index: usize, line: &str, body: &Value) -> Result<Reply, String> {
        let request = self.filled(index, &json!([line, body]));
        let (line, body) = (request[0].as_str().unwrap(), &request[1]);
        let call = call(self.actors[index].subject.kind().service(), line, body);
        self.seen.clear();
        self.stage
            .send(&call)
            .map_err(|error| format!("by hand, {line} {body}: {error}"))
    }
}
