//! Two incarnations of one object for a while (`lifecycle.replace: CreateFirst`).
//!
//! The successor is made beside the one that is there, by the same steps and with the same care as
//! any resource, under a key of its own (`Server/default/s#1`). Once it is as the manifest says it
//! takes over: references lead to it, what uses the old one follows, and then the old one is removed
//! like something that no manifest declares. At most two live at a time.
//!
//! The decision to replace is in `replace`. What is kept here can be lost: which incarnation is in
//! force is in the journal, and without it the older of two is, until the newer is ready.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::kinds;
use crate::kinds::MarkerPlace;
use crate::kinds::erased::{Found, Intent};
use crate::kinds::field::Class;
use crate::kinds::health::Health;
use crate::kinds::need::DeclaredWhat;
use crate::manifest::{INCARNATIONS, Key, OnDelete, Permission, Ref, Replace};

use super::Engine;
use super::desired::Object;
use super::inventory::Listing;
use super::journal::{Change, Record};
use super::plan::{Plan, Todo};
use super::reason::{Blocker, Stage, Waiting};
use super::replace::may_go;
use super::scope::Scope;
use super::work::Work;

const fn next(incarnation: u8) -> u8 {
    (incarnation + 1) % INCARNATIONS
}

impl Object {
    /// The same object as its successor wants it: what has never served may be changed and made
    /// anew without asking, and nothing outside of the manifests says what becomes of it.
    fn successor(&self, key: &Key) -> Self {
        let mut object = self.clone();
        let manifest = Arc::make_mut(&mut object.manifest);
        manifest.key = key.clone();
        manifest.policy.adopt = None;
        manifest.policy.on_delete = OnDelete::Delete;
        manifest.policy.protect = false;
        let lifecycle = &mut manifest.policy.lifecycle;
        lifecycle.replace = Replace::Allow;
        lifecycle.disrupt = Permission::Allow;
        lifecycle.lose_data = Permission::Allow;
        object
    }
}

impl Engine {
    /// The incarnation that is in force for a key, as a key: what its resource is marked with.
    pub(super) fn identity(&self, key: &Key) -> Key {
        match key.as_incarnation() {
            Some(_) => key.clone(),
            None => key.incarnation(self.number(key)),
        }
    }

    fn number(&self, key: &Key) -> u8 {
        let record = self.journal.records.get(key);
        record.map_or(0, |record| record.incarnation)
    }

    /// Which incarnation of an object a resource is, by its marker.
    pub(super) fn incarnation_of(&self, key: &Key, found: &Found) -> Option<u8> {
        let uid = found.marker?.uid;
        match key.as_incarnation() {
            Some((_, number)) => Some(number),
            None => (0..INCARNATIONS)
                .find(|number| self.settings.owner.uid(&key.incarnation(*number)) == uid),
        }
    }

    /// The incarnation that a list shows to be in force. Those with records of their own are
    /// successors, or were replaced; of two others the older is, and whether the newer is fit to
    /// take over is seen in due course.
    pub(super) fn incarnation_in_force(
        &self,
        key: &Key,
        scope: &Scope,
        projects: &[Option<&str>],
        listing: &Listing,
    ) -> Result<Key, Blocker> {
        let identity = self.identity(key);
        let is_recorded = self.journal.records.contains_key(key);
        if key.as_incarnation().is_some()
            || is_recorded && !self.marked(&identity, scope, projects, listing).is_empty()
        {
            return Ok(identity);
        }
        let last = self
            .journal
            .records
            .get(key)
            .and_then(|it| it.last.as_ref());
        let is_free = |number: &u8| {
            let incarnation = key.incarnation(*number);
            let marked = self.marked(&incarnation, scope, projects, listing);
            !self.journal.records.contains_key(&incarnation)
                && marked.iter().any(|found| Some(&found.id) != last)
        };
        let mut free: Vec<u8> = (0..INCARNATIONS).filter(is_free).collect();
        if free.len() > 1 {
            free.retain(|number| {
                let marked = self.marked(&key.incarnation(*number), scope, projects, listing);
                marked.iter().any(|found| found.health != Health::Leaving)
            });
        }
        match free[..] {
            [] => Ok(identity),
            [only] => Ok(key.incarnation(only)),
            [one, other] if next(one) == other => Ok(key.incarnation(one)),
            [_, other] if free.len() == 2 => Ok(key.incarnation(other)),
            _ => Err(Blocker::Ambiguous {
                what: "several resources carry its marker".to_owned(),
                ids: (0..INCARNATIONS)
                    .flat_map(|it| self.marked(&key.incarnation(it), scope, projects, listing))
                    .map(|found| found.id.clone())
                    .collect(),
            }),
        }
    }

    /// The object that a key stands for, also while it is the successor of a declared one.
    pub(super) fn object_of(&self, key: &Key) -> Option<Arc<Object>> {
        let object = self.declared(key)?;
        Some(match key.as_incarnation() {
            Some(_) => Arc::new(object.successor(key)),
            None => Arc::clone(object),
        })
    }

    /// What the manifests say of a key; of a successor, what they say of the object.
    pub(super) fn declared(&self, key: &Key) -> Option<&Arc<Object>> {
        let Some((base, number)) = key.as_incarnation() else {
            return self.desired.objects.get(key);
        };
        let object = self.desired.objects.get(&base)?;
        let replacing = self.work.get(&base)?.replacing == Some(true);
        (replacing && number == next(self.number(&base))).then_some(object)
    }

    /// Is this a successor of which it is not known yet whether it is still wanted?
    pub(super) fn is_undecided(&self, key: &Key) -> bool {
        let Some((base, number)) = key.as_incarnation() else {
            return false;
        };
        self.desired.objects.contains_key(&base)
            && number == next(self.number(&base))
            && self
                .work
                .get(&base)
                .is_none_or(|work| work.replacing.is_none())
    }

    /// Is this an incarnation that another one of the same object has replaced, or was to replace?
    pub(super) fn is_replaced(&self, key: &Key) -> bool {
        key.as_incarnation()
            .is_some_and(|(base, _)| self.desired.objects.contains_key(&base))
    }

    /// What is done about a replacement, instead of a request of its own.
    pub(super) fn succession(
        &mut self,
        object: &Object,
        todo: &Todo,
        now: Timestamp,
    ) -> Option<Plan> {
        let key = object.key();
        if todo.intent == Intent::Delete && !todo.why.is_empty() {
            return self.parts_first(object);
        }
        if todo.intent == Intent::Create && self.promote(object, now) {
            return Some(Plan::Wait(Waiting::Settling));
        }
        if todo.intent != Intent::Replace {
            return None;
        }
        let number = self.number(key);
        let before = key.incarnation((number + INCARNATIONS - 1) % INCARNATIONS);
        if self.journal.records.contains_key(&before) {
            return Some(Plan::Wait(Waiting::For {
                key: before,
                stage: Stage::Deleted,
            }));
        }
        let successor = self.work.get(&key.incarnation(next(number)));
        Some(match successor.and_then(|work| work.plan.as_ref()) {
            Some(Plan::Blocked(why)) => Plan::Blocked(Blocker::Successor(why.to_string())),
            Some(Plan::Wait(why)) if why.is_error() => {
                Plan::Wait(Waiting::Successor(why.to_string()))
            }
            _ => Plan::Do(todo.clone()),
        })
    }

    /// What refers to it by a field that only a new one can have another value in has to go before
    /// it and to come back after it: ports of a network, the interfaces of a router.
    fn parts_first(&self, object: &Object) -> Option<Plan> {
        let key = object.key();
        let dependents = self.desired.dependents.get(key)?;
        let (mut parts, mut held) = (Vec::new(), Vec::new());
        for other in dependents {
            let Some(part) = self.desired.objects.get(other) else {
                continue;
            };
            let lives = self
                .journal
                .records
                .get(other)
                .is_some_and(|it| it.id.is_some() || it.intent.is_some());
            if !lives || !is_part(part, key) {
                continue;
            }
            parts.push(other.clone());
            if !may_go(part.kind, part.policy()) {
                held.push(other.clone());
            }
        }
        match (parts.is_empty(), held.is_empty()) {
            (true, _) => None,
            (false, true) => Some(Plan::Wait(Waiting::Dependents(parts))),
            (false, false) => Some(Plan::Blocked(Blocker::Held(held))),
        }
    }

    /// Is it about to be deleted and made anew, with leave of all that would have to go with it?
    pub(super) fn makes_way(&self, key: &Key) -> bool {
        self.work.get(key).is_some_and(|work| work.making_way)
    }

    /// The end of a pass over an object: its other incarnations are seen to.
    pub(super) fn attend(&mut self, object: &Object, decided: &Plan, now: Timestamp) {
        let key = object.key().clone();
        self.make_way(&key, decided);
        if object.kind.marker() == MarkerPlace::NaturalKey || object.accepted.spec.is_none() {
            return;
        }
        if let Some((base, _)) = key.as_incarnation() {
            let is_ready = *decided == Plan::InSync
                && self
                    .work
                    .get(&key)
                    .is_some_and(|work| work.status.is_available() && work.flight.is_none());
            if is_ready && self.is_free(&base) {
                self.take_over(&base, &key, now);
            }
            return;
        }
        if let (Some(work), Some(replacing)) = (self.work.get_mut(&key), is_replacing(decided)) {
            work.replacing = Some(replacing);
        }
        self.find_strays(object);
        let current = self.number(&key);
        let wants_one = self
            .work
            .get(&key)
            .is_some_and(|work| work.replacing == Some(true));
        for number in (0..INCARNATIONS).filter(|number| *number != current) {
            let other = key.incarnation(number);
            if self.journal.records.contains_key(&other) || (wants_one && number == next(current)) {
                self.dirty.insert(other);
            }
        }
    }

    fn make_way(&mut self, key: &Key, decided: &Plan) {
        let Some(work) = self.work.get_mut(key) else {
            return;
        };
        let is_held = matches!(work.plan, Some(Plan::Blocked(_)));
        let making_way = match decided {
            Plan::Do(todo) if todo.intent == Intent::Delete => !todo.why.is_empty() && !is_held,
            Plan::Wait(_) => work.making_way,
            _ => false,
        };
        if work.making_way != making_way {
            work.making_way = making_way;
            if let Some(dependents) = self.desired.dependents.get(key) {
                self.dirty.extend(dependents.iter().cloned());
            }
        }
    }

    fn is_free(&self, key: &Key) -> bool {
        self.work.get(key).is_some_and(|work| work.flight.is_none())
    }

    /// Other incarnations that the journal has lost are written into it again.
    fn find_strays(&mut self, object: &Object) {
        let key = object.key();
        let Some(record) = self.journal.records.get(key) else {
            return;
        };
        if record.id.is_none() {
            return;
        }
        let Some(listing) = self.inventory.listing(&object.scope, object.kind.name()) else {
            return;
        };
        let strays: Vec<(Key, Record)> = (0..INCARNATIONS)
            .filter(|number| *number != record.incarnation)
            .filter_map(|number| {
                let other = key.incarnation(number);
                if self.journal.records.contains_key(&other) {
                    return None;
                }
                let projects = [record.project.as_deref()];
                let marked = self.marked(&other, &object.scope, &projects, listing);
                let found = marked.first()?;
                let mut stray = Record::new(object.scope.clone());
                stray.id = Some(found.id.clone());
                stray.incarnation = number;
                stray.made_here = true;
                stray.project = found.project.clone();
                stray.refers_to = record.refers_to.clone();
                (found.health != Health::Leaving).then_some((other, stray))
            })
            .collect();
        for (key, record) in strays {
            self.change(Change::Put(key, record));
        }
    }

    /// What was there is gone: its successor takes its place as far as it has come.
    fn promote(&mut self, object: &Object, now: Timestamp) -> bool {
        let key = object.key();
        if key.as_incarnation().is_some() {
            return false;
        }
        let successor = key.incarnation(next(self.number(key)));
        let Some(record) = self.journal.records.get(&successor) else {
            return false;
        };
        if record.id.is_none() && record.intent.is_none() {
            return false;
        }
        if self
            .work
            .get(&successor)
            .is_some_and(|work| work.flight.is_some())
        {
            // Its answer decides.
            return true;
        }
        let (key, scope) = (key.clone(), object.scope.clone());
        self.inherit(&key, &successor, None);
        let kind = object.kind.name();
        self.lists.want(&scope, kind, now);
        true
    }

    /// The successor is as the manifest says: from now on it is the resource of the object, and the
    /// one before it is something that no manifest declares.
    fn take_over(&mut self, key: &Key, successor: &Key, now: Timestamp) {
        let Some(old) = self.journal.records.get(key).cloned() else {
            return;
        };
        let replaced = key.incarnation(old.incarnation);
        let wrote_at = self.work.get(key).and_then(|work| work.wrote_at);
        self.inherit(key, successor, Some(old));
        self.work.insert(
            replaced.clone(),
            Work {
                wrote_at,
                undeclared_since: Some(now),
                ..Work::default()
            },
        );
        self.dirty.extend([key.clone(), replaced]);
        self.visible = true;
    }

    /// An object gets the record and the memory of its successor; the old record is kept under the
    /// key of its incarnation. One write: a crash before it leaves all as it was.
    fn inherit(&mut self, key: &Key, successor: &Key, old: Option<Record>) {
        let Some(new) = self.journal.records.get(successor).cloned() else {
            return;
        };
        let policy = self.journal.records.get(key).cloned();
        if let Some(mut old) = old.filter(|old| old.id.is_some() || old.intent.is_some()) {
            old.detach = false;
            old.protect = false;
            let replaced = key.incarnation(old.incarnation);
            self.change(Change::Put(replaced, old));
        }
        let mut record = new;
        if let Some(policy) = policy {
            record.detach = policy.detach;
            record.protect = policy.protect;
        }
        if let Some((_, number)) = successor.as_incarnation() {
            record.incarnation = number;
        }
        self.change(Change::Put(key.clone(), record));
        self.change(Change::Forget(successor.clone()));
        let inherited = self.work.remove(successor).unwrap_or_default();
        if let Some(work) = self.work.get_mut(key) {
            *work = Work {
                status: std::mem::take(&mut work.status),
                wake: work.wake,
                replacing: Some(false),
                flight: None,
                ..inherited
            };
        }
        self.dirty.insert(key.clone());
    }

    /// The resource of an incarnation that was replaced is gone for good: a list that still shows it
    /// lags, and shows nothing that is in force.
    pub(super) fn remember_replaced(&mut self, key: &Key, id: Option<String>) {
        let Some((base, _)) = key.as_incarnation() else {
            return;
        };
        if let (Some(mut record), Some(id)) = (self.journal.records.get(&base).cloned(), id) {
            record.last = Some(id);
            self.change(Change::Put(base, record));
        }
    }

    /// What still uses the resource of an incarnation although it refers to the object, and so has
    /// to follow to the one that is in force. A field that matters at birth only uses nothing.
    pub(super) fn followers(&self, key: &Key, record: &Record) -> Result<Vec<Key>, Waiting> {
        let (Some((base, _)), Some(id)) = (key.as_incarnation(), &record.id) else {
            return Ok(Vec::new());
        };
        // Without a journal, what is declared has to be seen before it can be said to use nothing.
        let unseen = |other: &&Key| {
            let is_managed = self
                .desired
                .objects
                .get(*other)
                .is_some_and(|object| object.accepted.spec.is_some());
            let plan = self.work.get(*other).and_then(|work| work.plan.as_ref());
            let is_blind = match plan {
                None => true,
                Some(Plan::Wait(waiting)) => waiting.is_blindness(),
                Some(_) => false,
            };
            is_managed && is_blind && !self.journal.records.contains_key(*other)
        };
        let declared = self.desired.dependents.get(&base).into_iter().flatten();
        let mut followers: Vec<Key> = declared.filter(unseen).cloned().collect();
        for (other, theirs) in &self.journal.records {
            if !theirs.refers_to.contains(&base) {
                continue;
            }
            let work = self.work.get(other);
            let busy = work.is_some_and(|work| work.flight.is_some());
            let uses = match &theirs.id {
                _ if busy => true,
                None => theirs.intent.is_some(),
                Some(their_id) => {
                    let Some(kind) = kinds::find(&other.kind) else {
                        continue;
                    };
                    let wrote_at = work.and_then(|work| work.wrote_at);
                    let (scope, kind_name) = (&theirs.scope, kind.name());
                    let listing = self.evidence_of(Some(their_id), scope, kind_name, wrote_at)?;
                    listing.get(their_id).is_some_and(|found| {
                        let attached = self.inventory.attached(&theirs.scope, kind, their_id);
                        let have = kind.project(found, &attached);
                        let rows = kind.rows();
                        let lasting = rows.iter().filter(|row| row.class != Class::Birth);
                        lasting.into_iter().any(|row| mentions(&have[row.name], id))
                    })
                }
            };
            if uses {
                followers.push(other.clone());
            }
        }
        Ok(followers)
    }
}

/// Is a successor wanted, as far as this decision says so? One that was begun is kept while the old
/// one cannot be judged, and when it fails or vanishes.
fn is_replacing(decided: &Plan) -> Option<bool> {
    match decided {
        Plan::Do(todo) => match &todo.intent {
            Intent::Replace => Some(true),
            Intent::Update(_) | Intent::Act(_) | Intent::Add(..) | Intent::Remove(..) => {
                Some(false)
            }
            Intent::Delete => (!todo.why.is_empty()).then_some(false),
            Intent::Create | Intent::Inspect | Intent::Remedy(_) | Intent::Adopt => None,
        },
        Plan::InSync | Plan::Blocked(Blocker::Immutable(_) | Blocker::Protected) => Some(false),
        Plan::Wait(_) | Plan::Blocked(_) | Plan::Suspended(_) => None,
    }
}

/// Does it refer to the object by a field that cannot be changed?
fn is_part(object: &Object, whole: &Key) -> bool {
    let rows = object.kind.rows();
    object.accepted.needs.iter().any(|need| {
        let refers = matches!(
            &need.what,
            DeclaredWhat::Object { kind, reference: Ref::Name(name) }
                if object.key().sibling(*kind, name.as_str()) == *whole
        );
        refers
            && rows
                .iter()
                .any(|row| row.name == need.field() && row.class == Class::Replace)
    })
}

fn mentions(value: &Value, id: &str) -> bool {
    match value {
        Value::String(text) => text == id,
        Value::Array(items) => items.iter().any(|item| mentions(item, id)),
        Value::Object(fields) => fields.values().any(|field| mentions(field, id)),
        _ => false,
    }
}
