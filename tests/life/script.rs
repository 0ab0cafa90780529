//! What is done with one subject, step by step, and what must come of it: derived from its kind's
//! rows and the subject's table, without looking at any cloud.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use stackward::kinds::MarkerPlace;
use stackward::kinds::field::Class;
use stackward::manifest::Shape;

use crate::subject::{Life, Subject};
use crate::table::{COLUMNS, Column};

/// How the subject is declared.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// The fields that the manifest sets.
    pub(crate) spec: Map<String, Value>,
    pub(crate) lifecycle: Map<String, Value>,
    pub(crate) mode: Mode,
}

#[derive(Debug, Clone)]
pub(crate) enum Mode {
    Managed,
    /// Managed, and let go of when the manifest goes.
    Detached,
    Imported(Value),
    Adopting(Value),
    /// There is no manifest.
    Nowhere,
}

/// What is to be seen of each field; what is not in it is not looked at.
pub(crate) type World = BTreeMap<String, Value>;

/// One step of one subject.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// In words, for failures.
    pub(crate) what: String,
    /// What it shows.
    pub(crate) cells: Vec<(String, Column)>,
    pub(crate) form: Form,
    /// What somebody else does first: method and path, and the body.
    pub(crate) by_hand: Vec<(String, Value)>,
    /// The field that it changes.
    pub(crate) drifts: Option<String>,
    pub(crate) expect: Expect,
    pub(crate) world: World,
}

#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// Available and up to date, with the world as said.
    Becomes { anew: bool, writes: Writes },
    /// Blocked for this reason, nothing written, the world as said.
    Blocked { code: String, words: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    Some,
    None,
    Any,
}

/// The script of a subject, from made to at home again.
pub(crate) struct Script<'a> {
    subject: &'a Subject,
    pub(crate) form: Form,
    pub(crate) world: World,
    pub(crate) steps: Vec<Step>,
    /// Cells with nothing to try.
    pub(crate) without: Vec<(String, Column, String)>,
}

const IN_PLACE: Expect = Expect::Becomes {
    anew: false,
    writes: Writes::Some,
};
const QUIET: Expect = Expect::Becomes {
    anew: false,
    writes: Writes::None,
};
const ANEW: Expect = Expect::Becomes {
    anew: true,
    writes: Writes::Some,
};

impl<'a> Script<'a> {
    /// The subject as it is made.
    pub(crate) fn new(subject: &'a Subject) -> Self {
        let mut form = Form {
            spec: subject.base.clone(),
            lifecycle: subject.lifecycle.clone(),
            mode: Mode::Managed,
        };
        let mut world = World::new();
        for (field, life) in &subject.fields {
            if life.never.is_none() {
                form.set(field, life, 0);
                world.insert(field.clone(), life.seen(field, 0));
            }
        }
        Self {
            subject,
            form,
            world,
            steps: Vec::new(),
            without: Vec::new(),
        }
    }

    /// The fields of a subject in groups of at most so many steps, where one alone has no more.
    pub(crate) fn parts(subject: &Subject, most: usize) -> Vec<BTreeSet<String>> {
        let mut parts: Vec<(usize, BTreeSet<String>)> = Vec::new();
        for row in subject.kind().rows() {
            let Some(life) = subject.fields.get(row.name) else {
                continue;
            };
            let mut alone = Script::new(subject);
            alone.field(row.name, row.class, life);
            let steps = alone.steps.len();
            let fits = |(taken, _): &&mut (usize, BTreeSet<String>)| *taken + steps <= most;
            match parts.iter_mut().find(fits) {
                Some((taken, part)) => {
                    *taken += steps;
                    part.insert(row.name.to_owned());
                }
                None => parts.push((steps, [row.name.to_owned()].into())),
            }
        }
        parts.into_iter().map(|(_, part)| part).collect()
    }

    /// Every field that it tries, one after the other.
    pub(crate) fn fields(&mut self) {
        for row in self.subject.kind().rows() {
            if let Some(life) = self.subject.fields.get(row.name)
                && self
                    .subject
                    .tries
                    .as_ref()
                    .is_none_or(|it| it.contains(row.name))
            {
                self.field(row.name, row.class, life);
            }
        }
    }

    fn field(&mut self, field: &str, class: Class, life: &Life) {
        use Column::{Back, Change, Refused, Replaced};
        if let Some(why) = &life.never {
            for column in COLUMNS {
                self.skip(field, column, why);
            }
            return;
        }
        let class = match life.acts_as.as_deref() {
            Some("Replace") => Class::Replace,
            _ => class,
        };
        let leave = self.leave(class);
        if life.values.len() < 2 {
            let why = life
                .no_change
                .as_deref()
                .unwrap_or("no other value in the table");
            for column in [Change, Back, Refused, Replaced] {
                self.skip(field, column, why);
            }
        } else {
            match class {
                Class::Update | Class::Action | Class::Members => {
                    self.skip(field, Refused, "changed in place, nothing refuses it");
                    self.skip(field, Replaced, "changed in place");
                    self.there_and_back(field, life, &leave, IN_PLACE, Change, Back);
                }
                Class::Disrupt | Class::Lose => {
                    self.refused(field, life, class);
                    self.skip(field, Replaced, "changed in place");
                    self.there_and_back(field, life, &leave, IN_PLACE, Change, Back);
                }
                Class::Replace => {
                    self.skip(field, Change, "only a new resource can have it");
                    self.skip(field, Back, "only a new resource can have it");
                    self.refused(field, life, class);
                    match &life.no_replace {
                        Some(why) => self.skip(field, Replaced, why),
                        None => {
                            self.there_and_back(field, life, &leave, ANEW, Replaced, Replaced);
                        }
                    }
                }
                Class::Birth => {
                    self.skip(field, Refused, "has no effect after the creation");
                    self.skip(field, Replaced, "has no effect after the creation");
                    self.there_and_back(field, life, &leave, QUIET, Change, Back);
                }
            }
        }
        self.drift(field, class, life, &leave);
        self.unset(field, class, life, &leave);
    }

    /// What allows a change of this class.
    fn leave(&self, class: Class) -> Map<String, Value> {
        let mut leave = self.form.lifecycle.clone();
        match class {
            Class::Lose => drop(leave.insert("loseData".to_owned(), json!("Allow"))),
            Class::Replace => {
                leave.insert("replace".to_owned(), json!("Allow"));
                if self.subject.kind().holds_data() {
                    leave.insert("loseData".to_owned(), json!("Allow"));
                }
            }
            _ => {}
        }
        leave
    }

    /// To the other value without leave, and back.
    fn refused(&mut self, field: &str, life: &Life, class: Class) {
        let mut form = self.form.clone();
        form.set(field, life, 1);
        let words = match class {
            Class::Disrupt => {
                form.lifecycle.insert("disrupt".to_owned(), json!("Deny"));
                "lifecycle.disrupt: Allow"
            }
            Class::Lose => "lifecycle.loseData: Allow",
            _ => "lifecycle.replace: Allow",
        };
        if life.harmless {
            self.skip(field, Column::Refused, "the change interrupts nothing");
            return;
        }
        let blocked = Expect::Blocked {
            code: "Immutable".to_owned(),
            words: words.to_owned(),
        };
        self.step("no leave", field, &[Column::Refused], form, blocked, None);
        self.step(
            "as before",
            field,
            &[Column::Refused],
            self.form.clone(),
            QUIET,
            None,
        );
    }

    fn there_and_back(
        &mut self,
        field: &str,
        life: &Life,
        leave: &Map<String, Value>,
        expect: Expect,
        there: Column,
        back: Column,
    ) {
        let is_birth = matches!(
            expect,
            Expect::Becomes {
                writes: Writes::None,
                ..
            }
        );
        let seen = |index| (!is_birth).then(|| life.seen(field, index));
        let last = life.values.len() - 1;
        for index in 1..=last {
            let mut form = self.form.clone();
            form.lifecycle.clone_from(leave);
            form.set(field, life, index);
            let what = format!("to {}", life.values[index]);
            self.step(&what, field, &[there], form, expect.clone(), seen(index));
        }
        let Some(one_way) = &life.one_way else {
            let mut form = self.form.clone();
            form.lifecycle.clone_from(leave);
            self.step("back", field, &[back], form, expect, seen(0));
            return;
        };
        let blocked = Expect::Blocked {
            code: one_way.code.clone(),
            words: one_way.words.clone(),
        };
        let held = life.seen(field, last);
        self.step(
            "back",
            field,
            &[back],
            self.form.clone(),
            blocked,
            Some(held.clone()),
        );
        self.form.set(field, life, last);
        self.world.insert(field.to_owned(), held);
        self.step(
            "forward again",
            field,
            &[back],
            self.form.clone(),
            QUIET,
            None,
        );
    }

    fn drift(&mut self, field: &str, class: Class, life: &Life, leave: &Map<String, Value>) {
        let Some(by_hand) = self.by_hand(field, class, life) else {
            let why = match class {
                Class::Birth => "has no effect after the creation",
                Class::Replace => "the API cannot change it",
                _ => life
                    .no_drift
                    .as_deref()
                    .or(life.no_change.as_deref())
                    .unwrap_or("no drift"),
            };
            self.skip(
                field,
                Column::Drift,
                life.no_drift.as_deref().unwrap_or(why),
            );
            return;
        };
        let mut form = self.form.clone();
        form.lifecycle.clone_from(leave);
        self.step("drift", field, &[Column::Drift], form, IN_PLACE, None);
        let last = self.steps.len() - 1;
        self.steps[last].by_hand = by_hand;
        self.steps[last].drifts = Some(field.to_owned());
    }

    fn unset(&mut self, field: &str, class: Class, life: &Life, leave: &Map<String, Value>) {
        if let Some(why) = &life.no_unset {
            return self.skip(field, Column::Unset, why);
        }
        if self.subject.requires(field) {
            return self.skip(field, Column::Unset, "required");
        }
        let cells = [Column::Unset];
        let mut form = self.form.clone();
        form.lifecycle.clone_from(leave);
        form.spec.remove(field);
        let own_name = (field == "name" && class != Class::Replace)
            .then(|| json!({life.word.as_deref().unwrap_or("name"): self.subject.name}));
        let becomes = life.unset_seen.clone().or(own_name);
        if let Some(becomes) = becomes {
            let any = Expect::Becomes {
                anew: false,
                writes: Writes::Any,
            };
            self.step("unset", field, &cells, form, any.clone(), Some(becomes));
            let mut form = self.form.clone();
            form.lifecycle.clone_from(leave);
            self.step("set again", field, &cells, form, any, None);
            return;
        }
        self.step("unset", field, &cells, form.clone(), QUIET, None);
        let drift = self.by_hand(field, class, life);
        let drifts = drift.is_some();
        if let Some(by_hand) = drift {
            self.step(
                "unset, and changed by others",
                field,
                &cells,
                form,
                QUIET,
                None,
            );
            let last = self.steps.len() - 1;
            self.steps[last].by_hand = by_hand;
            self.steps[last].drifts = Some(field.to_owned());
            // It stays as others made it.
            self.steps[last].world.remove(field);
        }
        let expect = if drifts { IN_PLACE } else { QUIET };
        let mut form = self.form.clone();
        form.lifecycle.clone_from(leave);
        self.step("set again", field, &cells, form, expect, None);
    }

    /// What somebody else does to a field; `None` when nobody can.
    pub(crate) fn by_hand(
        &self,
        field: &str,
        class: Class,
        life: &Life,
    ) -> Option<Vec<(String, Value)>> {
        if let Some(requests) = &life.drift {
            return Some(requests.iter().map(request).collect());
        }
        let in_place = !matches!(class, Class::Birth | Class::Replace);
        if !in_place || life.no_drift.is_some() || life.values.len() < 2 {
            return None;
        }
        Some(vec![self.write(life.seen(field, 1))])
    }

    /// A person's update of a resource, which keeps the mark of ownership where it is.
    fn write(&self, mut change: Value) -> (String, Value) {
        let subject = self.subject;
        let marked = match subject.kind().marker() {
            MarkerPlace::Description => "description",
            MarkerPlace::Name => "name",
            _ => "",
        };
        if let Some(text) = change.get_mut(marked) {
            *text = json!(format!("{} <mark>", text.as_str().unwrap_or_default()).trim());
        }
        if subject.kind == "Image" {
            let members = change.as_object().into_iter().flatten();
            let operations: Vec<Value> = members
                .map(|(key, value)| json!({"op": "replace", "path": format!("/{key}"), "value": value}))
                .collect();
            return ("PATCH <path>".to_owned(), json!(operations));
        }
        let method = subject.by_hand.method.as_deref().unwrap_or("PUT");
        let wrap = subject.by_hand.wrap.as_deref().unwrap_or_else(|| {
            panic!("{}: by_hand.wrap is not said", subject.file);
        });
        (format!("{method} <path>"), json!({wrap: change}))
    }

    /// The mark of ownership is taken off, as if somebody else had made it.
    pub(crate) fn strip(&self) -> Vec<(String, Value)> {
        if let Some(requests) = &self.subject.strip {
            return requests.iter().map(request).collect();
        }
        let wrap = self.subject.by_hand.wrap.clone().unwrap_or_default();
        let plain = |word: &str| {
            vec![(
                "PUT <path>".to_owned(),
                json!({wrap.clone(): {word: "<plain>"}}),
            )]
        };
        match self.subject.kind().marker() {
            MarkerPlace::Description => plain("description"),
            MarkerPlace::Name => plain("name"),
            MarkerPlace::Metadata => vec![(
                "DELETE <path>/metadata/stackward.marker".to_owned(),
                Value::Null,
            )],
            MarkerPlace::Property => vec![(
                "PATCH <path>".to_owned(),
                json!([{"op": "remove", "path": "/stackward.marker"}]),
            )],
            MarkerPlace::NaturalKey => Vec::new(),
        }
    }

    fn skip(&mut self, field: &str, column: Column, why: &str) {
        self.without
            .push((field.to_owned(), column, why.to_owned()));
    }

    /// One step; what is seen of the field itself, if that is not as it was.
    fn step(
        &mut self,
        what: &str,
        field: &str,
        columns: &[Column],
        form: Form,
        expect: Expect,
        seen: Option<Value>,
    ) {
        let mut world = self.world.clone();
        if let Some(seen) = seen {
            world.insert(field.to_owned(), seen);
        }
        for (other, value) in &form.spec {
            // What goes along with it has another value for now.
            if other != field && self.form.spec.get(other) != Some(value) {
                world.remove(other);
            }
        }
        for other in self.form.spec.keys() {
            if other != field && !form.spec.contains_key(other) {
                world.remove(other);
            }
        }
        self.steps.push(Step {
            what: format!("{field} {what}"),
            cells: columns.iter().map(|it| (field.to_owned(), *it)).collect(),
            form,
            by_hand: Vec::new(),
            drifts: None,
            expect,
            world,
        });
    }
}

impl Form {
    fn set(&mut self, field: &str, life: &Life, index: usize) {
        self.put(field, &life.values[index]);
        let along = life.along.as_ref().and_then(|along| along.get(index));
        for (other, value) in along.into_iter().flatten() {
            self.put(other, value);
        }
    }

    /// Null is: not set.
    fn put(&mut self, field: &str, value: &Value) {
        if value.is_null() {
            self.spec.remove(field);
        } else {
            self.spec.insert(field.to_owned(), value.clone());
        }
    }

    /// The manifest, if there is one.
    pub(crate) fn manifest(&self, subject: &Subject) -> Option<Value> {
        let mut spec = match &self.mode {
            Mode::Nowhere => return None,
            Mode::Imported(import) => {
                json!({"managementPolicy": "unmanaged", "import": import})
            }
            _ if subject.kind().shape() == Shape::Flat => Value::Object(self.spec.clone()),
            _ => json!({"resource": self.spec}),
        };
        if !self.lifecycle.is_empty() {
            spec["lifecycle"] = json!(self.lifecycle);
        }
        match &self.mode {
            Mode::Detached => spec["managedOptions"] = json!({"onDelete": "detach"}),
            Mode::Adopting(consent) => spec["adopt"] = consent.clone(),
            _ => {}
        }
        Some(
            json!({"apiVersion": "stackward.dev/v1alpha1", "kind": subject.kind,
            "metadata": {"name": subject.name}, "spec": spec}),
        )
    }
}

/// `PUT path: body` of the table.
pub(crate) fn request(request: &Map<String, Value>) -> (String, Value) {
    let (line, body) = request.iter().next().expect("a request has a line");
    (line.clone(), body.clone())
}
