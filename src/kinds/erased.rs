//! A kind without its types: above this line nothing is generic.
//!
//! The only place where a `Value` becomes a `K::Spec` or a `K::Object`, and back.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::Value;

use crate::manifest::typed::native_fields;
use crate::manifest::{self, Adopt, Compact, Content, Group, Manifest, Problem, Ref, Shape};

use super::advice::{advised, complained};
use super::call::{Call, List, Reply, Service};
use super::field::{Change, Class, Row};
use super::found;
pub use super::found::Found;
pub use super::intent::Intent;
pub use super::laws::unclassified;
use super::need::{Declared, Inputs, Material, What};
use super::orc::{self, Place};
use super::quota::{Demand, Nearby};
use super::unfit::{keys_given_twice, only_names, unadoptable};
use super::{Attached, Birth, Child, Element, Kind, MarkerPlace, Refusal};

/// A spec that was read from a manifest and found right.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The spec of a managed resource, or of its natural key; `None` for an import.
    pub spec: Option<Compact>,
    /// The filter of an import.
    pub filter: Option<Compact>,
    /// Everything that the spec or the filter needs from outside.
    pub needs: Vec<Declared>,
}

impl std::fmt::Debug for dyn AnyKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a kind can do, without its types.
pub trait AnyKind: Sync {
    /// See [`Kind::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Kind::SERVICE`].
    fn service(&self) -> Service;
    /// See [`Kind::SHAPE`].
    fn shape(&self) -> Shape;
    /// See [`Kind::MARKER`].
    fn marker(&self) -> MarkerPlace;
    /// See [`Kind::ANSWERS_WHOLE`].
    fn answers_whole(&self) -> bool;
    /// See [`Kind::ANSWERS_EARLY`].
    fn answers_early(&self) -> bool;
    /// See [`Kind::ATTACHED`].
    fn attached(&self) -> &'static [&'static str];
    /// See [`Kind::REVEALED_BY`].
    fn revealed_by(&self) -> &'static [&'static str];
    /// See [`Kind::HINDERED_BY`].
    fn hindered_by(&self) -> &'static [(&'static str, &'static str)];
    /// See [`Kind::TOLD_BY`].
    fn told_by(&self) -> &'static [(&'static str, &'static str)];
    /// See [`Kind::SINGLE`]. Where it is `None`, the journal and the wait after an unknown outcome
    /// keep it to one; what a service did later than that is found by its marker and reported.
    fn single(&self) -> Option<&'static str>;
    /// See [`Kind::OF_USER`].
    fn of_user(&self) -> Option<&'static str>;
    /// See [`Kind::LATER`].
    fn later(&self) -> &'static [&'static str];
    /// See [`Kind::CASCADE`].
    fn cascade(&self) -> &'static [&'static str];
    /// See [`Kind::NATIVE_FIELDS`].
    fn native_fields(&self) -> &'static [&'static str];
    /// See [`Kind::CONFIDENTIAL`].
    fn confidential(&self) -> &'static [&'static str];
    /// See [`Kind::HOLDS_DATA`].
    fn holds_data(&self) -> bool;
    /// See [`Kind::OF_THE_CLOUD`].
    fn of_the_cloud(&self) -> bool;
    /// See [`Kind::UNTOLD`].
    fn untold(&self) -> &'static [&'static str];
    /// See [`Kind::ADOPTABLE`].
    fn adoptable(&self) -> bool;
    /// FIELDS without the types.
    fn rows(&self) -> Vec<Row>;
    /// See [`Kind::list`].
    fn list(&self) -> List;
    /// JSON Schemas of spec, filter and status.
    fn schemas(&self) -> Schemas;

    /// Reads the spec of a manifest.
    ///
    /// # Errors
    /// Every problem that was found, each at its place.
    fn accept(&self, manifest: &Manifest) -> Result<Accepted, Vec<Problem>>;

    /// Reads one item of a list, or the answer to a read.
    ///
    /// # Errors
    /// Why the item is not understood.
    fn look(&self, item: Value) -> Result<Found, String> {
        self.look_at(&item.to_string())
    }
    /// The same of its JSON text.
    ///
    /// # Errors
    /// As [`AnyKind::look`].
    fn look_at(&self, item: &str) -> Result<Found, String>;
    /// See [`Kind::item`].
    fn item(&self, id: &str, reply: &Reply) -> Value;
    /// See [`Kind::after`].
    fn after(&self, intent: &Intent, found: &Found, reply: &Reply) -> Option<Found>;

    /// See [`Kind::project`]; `null` when it does not serialize, which is a bug.
    fn project(&self, found: &Found, attached: &Attached<'_>) -> Value;
    /// The same without what goes without saying: see [`Kind::abridge`].
    fn abridged(&self, found: &Found, attached: &Attached<'_>) -> Value;
    /// See [`Kind::made_by_cloud`].
    fn made_by_cloud(&self, found: &Found) -> Option<&'static str>;
    /// See [`Kind::needs`]; none when the spec is not understood.
    fn needs(&self, spec: &Value) -> Vec<Declared>;
    /// Why one that was adopted cannot be made again from this spec, if it cannot.
    fn birth_fault(&self, spec: &Value) -> Option<String>;
    /// See [`Kind::status`].
    fn status(&self, found: &Found, attached: &Attached<'_>) -> Value;

    /// Fills in ids and inputs: `id_of` gives the id for a reference, by pointer. What it has no id
    /// for stays as it is.
    ///
    /// # Errors
    /// See [`Kind::fill`].
    fn resolve(
        &self,
        spec: &Value,
        id_of: &dyn Fn(&str) -> Option<String>,
        inputs: &Inputs,
    ) -> Result<(Value, Material), Refusal>;
    /// The same for a filter.
    fn resolve_filter(&self, filter: &Value, id_of: &dyn Fn(&str) -> Option<String>) -> Value;
    /// See [`Kind::choose`]: indices into `objects`.
    fn choose(&self, filter: &Value, objects: &[&Found]) -> Vec<usize>;
    /// The spec's own name for the resource, if it has one.
    fn resource_name(&self, spec: &Value) -> Option<String>;
    /// See [`Kind::PART`].
    fn part(&self) -> Option<(&'static str, &'static str)>;
    /// See [`Kind::child`].
    fn child(&self, spec: &Value, name: &str) -> Option<Child>;
    /// See [`Kind::natural_key`].
    fn natural_key(&self, spec: &Value, name: &str) -> Option<String>;
    /// See [`Kind::may_remove`].
    fn may_remove(&self, field: &str, element: &Element, attached: &Attached<'_>) -> bool;
    /// What moves a stuck one on, and in words, if anything does: see [`Kind::remedy`].
    fn remedy(&self, spec: &Value, found: &Found) -> Option<(Class, String)>;
    /// See [`Kind::interrupts`].
    fn interrupts(&self, field: &str, want: &Value) -> bool;
    /// See [`Kind::is_same`].
    fn is_same(&self, field: &str, want: &Value, have: &Value) -> bool;
    /// See [`Kind::hindrance`].
    fn hindrance(&self, intent: &Intent, found: &Found, attached: &Attached<'_>) -> Option<String>;
    /// See [`Kind::lock`].
    fn lock(&self, found: &Found) -> Option<String>;
    /// See [`Kind::beside`].
    ///
    /// # Errors
    /// A [`Refusal`] in words.
    fn beside(&self, spec: &Value, found: &Found) -> Result<(), Refusal>;
    /// See [`Kind::is_meant`].
    fn is_meant(&self, spec: &Value, found: &Found) -> bool;
    /// See [`Kind::is_husk`].
    fn is_husk(&self, found: &Found) -> bool;
    /// See [`Kind::demand`].
    fn demand(
        &self,
        intent: &Intent,
        spec: &Value,
        found: Option<&Found>,
        nearby: &Nearby<'_>,
    ) -> Vec<Demand>;
    /// See [`Kind::before_delete`].
    fn before_delete(&self, found: &Found) -> Option<(&'static str, Call)>;
    /// See [`Kind::born`].
    fn born(&self, reply: &Reply) -> Option<String>;
    /// See [`Kind::read`].
    fn read(&self, id: &str) -> Call;

    /// The request for an intent.
    ///
    /// # Errors
    /// A [`Refusal`] when it cannot be made.
    fn request(
        &self,
        intent: &Intent,
        spec: &Value,
        found: Option<&Found>,
        birth: &Birth<'_>,
    ) -> Result<Call, Refusal>;
}

/// JSON Schemas of a kind.
pub struct Schemas {
    /// Of `spec.resource`.
    pub spec: Value,
    /// Of `spec.import.filter`.
    pub filter: Value,
    /// Of `status.resource`.
    pub status: Value,
}

/// The one implementation of [`AnyKind`].
pub struct Of<K>(PhantomData<fn() -> K>);

impl<K> Of<K> {
    /// The value to put into the registry.
    pub const NEW: Self = Self(PhantomData);
}

impl<K: Kind> Of<K> {
    fn object(found: &Found) -> Result<&K::Object, Refusal> {
        found
            .object
            .downcast_ref()
            .ok_or_else(|| Refusal::new(format!("{} {} is of another kind", K::NAME, found.id)))
    }

    fn found(object: K::Object, digest: u64) -> Result<Found, String> {
        let identity = K::identity(&object);
        if identity.id.is_empty() {
            return Err("it has no id".to_owned());
        }
        Ok(Found {
            id: identity.id,
            name: identity.name,
            project: identity.project,
            marker: identity.marker,
            natural_key: identity.natural_key,
            attached_to: identity.attached_to,
            part_of: identity.part_of,
            expires: identity.expires,
            settles: identity.settles,
            health: K::health(&object),
            digest,
            object: Arc::new(object),
        })
    }

    /// The action that an intent asks for, if it is one that a field has.
    fn action(intent: &Intent) -> Option<K::Action> {
        let (Intent::Act(field) | Intent::Add(field, _) | Intent::Remove(field, _)) = intent else {
            return None;
        };
        match K::FIELDS.iter().find(|row| row.name == *field)?.change {
            Change::Members { remove, .. } if matches!(intent, Intent::Remove(..)) => Some(remove),
            Change::Action(action)
            | Change::Disrupt(action)
            | Change::Lose(action)
            | Change::Members { add: action, .. } => Some(action),
            _ => None,
        }
    }

    fn typed(spec: &Value) -> Result<K::Spec, Refusal> {
        serde_json::from_value(spec.clone()).map_err(|error| {
            Refusal::new(format!("the {} spec is not understood: {error}", K::NAME))
        })
    }
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

impl<K: Kind> AnyKind for Of<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn service(&self) -> Service {
        K::SERVICE
    }

    fn shape(&self) -> Shape {
        K::SHAPE
    }

    fn marker(&self) -> MarkerPlace {
        K::MARKER
    }

    fn answers_whole(&self) -> bool {
        K::ANSWERS_WHOLE
    }

    fn answers_early(&self) -> bool {
        K::ANSWERS_EARLY
    }

    fn attached(&self) -> &'static [&'static str] {
        K::ATTACHED
    }

    fn revealed_by(&self) -> &'static [&'static str] {
        K::REVEALED_BY
    }

    fn hindered_by(&self) -> &'static [(&'static str, &'static str)] {
        K::HINDERED_BY
    }

    fn told_by(&self) -> &'static [(&'static str, &'static str)] {
        K::TOLD_BY
    }

    fn single(&self) -> Option<&'static str> {
        K::SINGLE
    }

    fn of_user(&self) -> Option<&'static str> {
        K::OF_USER
    }

    fn later(&self) -> &'static [&'static str] {
        K::LATER
    }

    fn cascade(&self) -> &'static [&'static str] {
        K::CASCADE
    }

    fn native_fields(&self) -> &'static [&'static str] {
        K::NATIVE_FIELDS
    }

    fn confidential(&self) -> &'static [&'static str] {
        K::CONFIDENTIAL
    }

    fn holds_data(&self) -> bool {
        K::HOLDS_DATA
    }

    fn of_the_cloud(&self) -> bool {
        K::OF_THE_CLOUD
    }

    fn untold(&self) -> &'static [&'static str] {
        K::UNTOLD
    }

    fn adoptable(&self) -> bool {
        K::ADOPTABLE
    }

    fn rows(&self) -> Vec<Row> {
        K::FIELDS
            .iter()
            .map(|field| Row {
                name: field.name,
                class: field.change.class(),
                compare: field.compare,
            })
            .collect()
    }

    fn list(&self) -> List {
        K::list()
    }

    fn schemas(&self) -> Schemas {
        Schemas {
            spec: schemars::schema_for!(K::Spec).to_value(),
            filter: schemars::schema_for!(K::Filter).to_value(),
            status: schemars::schema_for!(K::Status).to_value(),
        }
    }

    fn accept(&self, manifest: &Manifest) -> Result<Accepted, Vec<Problem>> {
        let base = if K::SHAPE == Shape::Flat {
            "/spec"
        } else {
            "/spec/resource"
        };
        let mut needs = Vec::new();
        let mut accepted = Accepted {
            spec: None,
            filter: None,
            needs: Vec::new(),
        };
        let mut problems = Vec::new();
        let pointer_base = match &manifest.content {
            Content::Resource(value) => {
                let value = &orc::filled(manifest, &value.value());
                let asked = |known: &[Problem]| {
                    orc::problems(manifest, Place::Resource, base, value, known)
                };
                let mut spec: K::Spec = manifest::typed_all(manifest, base, value)
                    .map_err(|known| advised::<K::Spec>(base, with(known, asked)))?;
                let exists = matches!(manifest.policy.adopt, Some(Adopt::Id(_)));
                problems.extend(unadoptable::<K>(manifest));
                problems.extend(keys_given_twice::<K>(manifest, base, value));
                for complaint in K::check(&spec) {
                    if complaint.at_birth && exists {
                        continue;
                    }
                    problems.push(complained(manifest, base, complaint));
                }
                problems.extend(native_fields(manifest, value, K::NATIVE_FIELDS));
                problems = with(problems, asked);
                K::needs(&mut spec, &mut |need| needs.push(need.declare()));
                accepted.spec = Some(json(&spec).into());
                base
            }
            Content::Import(import) => {
                if let Some(value) = &import.filter {
                    let value = &value.value();
                    let base = "/spec/import/filter";
                    let asked = |known: &[Problem]| {
                        orc::problems(manifest, Place::Filter, base, value, known)
                    };
                    let mut filter: K::Filter = manifest::typed_all(manifest, base, value)
                        .map_err(|known| advised::<K::Filter>(base, with(known, asked)))?;
                    problems.extend(native_fields(manifest, value, K::NATIVE_FILTERS));
                    problems = with(problems, asked);
                    K::filter_needs(&mut filter, &mut |need| needs.push(need.declare()));
                    accepted.filter = Some(json(&filter).into());
                }
                "/spec/import/filter"
            }
            Content::Data(_) => return Ok(accepted),
        };
        if manifest.group == Group::Orc {
            problems.extend(
                needs
                    .iter()
                    .filter_map(|need| only_names(manifest, pointer_base, need)),
            );
        }
        accepted.needs = needs;
        if problems.is_empty() {
            Ok(accepted)
        } else {
            Err(advised::<K::Spec>(base, problems))
        }
    }

    fn look_at(&self, item: &str) -> Result<Found, String> {
        let mut digest = DefaultHasher::new();
        item.hash(&mut digest);
        Self::found(found::read::<K>(item)?, digest.finish())
    }

    fn after(&self, intent: &Intent, found: &Found, reply: &Reply) -> Option<Found> {
        let object = Self::object(found).ok()?;
        let after = K::after(Self::action(intent)?, object, reply)?;
        // No list has shown it like this.
        Self::found(after, !found.digest).ok()
    }

    fn item(&self, id: &str, reply: &Reply) -> Value {
        K::item(id, reply)
    }

    fn project(&self, found: &Found, attached: &Attached<'_>) -> Value {
        Self::object(found).map_or(Value::Null, |object| json(&K::project(object, attached)))
    }

    fn abridged(&self, found: &Found, attached: &Attached<'_>) -> Value {
        Self::object(found).map_or(Value::Null, |object| {
            let mut spec = K::project(object, attached);
            K::abridge(&mut spec);
            json(&spec)
        })
    }

    fn made_by_cloud(&self, found: &Found) -> Option<&'static str> {
        K::made_by_cloud(Self::object(found).ok()?)
    }

    fn needs(&self, spec: &Value) -> Vec<Declared> {
        let mut needs = Vec::new();
        if let Ok(mut spec) = Self::typed(spec) {
            K::needs(&mut spec, &mut |need| needs.push(need.declare()));
        }
        needs
    }

    fn birth_fault(&self, spec: &Value) -> Option<String> {
        let complaints = K::check(&Self::typed(spec).ok()?);
        let fault = complaints.into_iter().find(|it| it.at_birth)?;
        Some(fault.message)
    }

    fn status(&self, found: &Found, attached: &Attached<'_>) -> Value {
        Self::object(found).map_or(Value::Null, |object| json(&K::status(object, attached)))
    }

    fn resolve(
        &self,
        spec: &Value,
        id_of: &dyn Fn(&str) -> Option<String>,
        inputs: &Inputs,
    ) -> Result<(Value, Material), Refusal> {
        let mut typed = Self::typed(spec)?;
        K::needs(&mut typed, &mut |need| put_id(need, id_of));
        let material = K::fill(&mut typed, inputs)?;
        Ok((json(&typed), material))
    }

    fn resolve_filter(&self, filter: &Value, id_of: &dyn Fn(&str) -> Option<String>) -> Value {
        let Ok(mut typed) = serde_json::from_value::<K::Filter>(filter.clone()) else {
            return filter.clone();
        };
        K::filter_needs(&mut typed, &mut |need| put_id(need, id_of));
        json(&typed)
    }

    fn choose(&self, filter: &Value, objects: &[&Found]) -> Vec<usize> {
        let Ok(filter) = serde_json::from_value::<K::Filter>(filter.clone()) else {
            return Vec::new();
        };
        let typed: Vec<&K::Object> = objects
            .iter()
            .filter_map(|found| found.object.downcast_ref())
            .collect();
        let chosen = K::choose(&filter, &typed);
        let is_chosen = |found: &Found| {
            found
                .object
                .downcast_ref::<K::Object>()
                .is_some_and(|object| chosen.iter().any(|other| std::ptr::eq(*other, object)))
        };
        (0..objects.len())
            .filter(|index| is_chosen(objects[*index]))
            .collect()
    }

    fn resource_name(&self, spec: &Value) -> Option<String> {
        spec["name"].as_str().map(str::to_owned)
    }

    fn part(&self) -> Option<(&'static str, &'static str)> {
        K::PART
    }

    fn child(&self, spec: &Value, name: &str) -> Option<Child> {
        K::child(&Self::typed(spec).ok()?, name)
    }

    fn natural_key(&self, spec: &Value, name: &str) -> Option<String> {
        K::natural_key(&Self::typed(spec).ok()?, name)
    }

    fn may_remove(&self, field: &str, element: &Element, attached: &Attached<'_>) -> bool {
        K::may_remove(field, element, attached)
    }

    fn remedy(&self, spec: &Value, found: &Found) -> Option<(Class, String)> {
        let (spec, object) = (Self::typed(spec).ok()?, Self::object(found).ok()?);
        let remedy = K::remedy(&spec, object)?;
        let (Change::Action(it) | Change::Disrupt(it) | Change::Lose(it)) = remedy else {
            return None;
        };
        Some((remedy.class(), it.to_string()))
    }

    fn interrupts(&self, field: &str, want: &Value) -> bool {
        K::interrupts(field, want)
    }

    fn is_same(&self, field: &str, want: &Value, have: &Value) -> bool {
        K::is_same(field, want, have)
    }

    fn hindrance(&self, intent: &Intent, found: &Found, attached: &Attached<'_>) -> Option<String> {
        let (field, element) = match intent {
            Intent::Act(field) => (*field, None),
            Intent::Add(field, element) => (*field, Some(element)),
            _ => return None,
        };
        K::hindrance(field, element, Self::object(found).ok()?, attached)
    }

    fn lock(&self, found: &Found) -> Option<String> {
        K::lock(Self::object(found).ok()?)
    }

    fn beside(&self, spec: &Value, found: &Found) -> Result<(), Refusal> {
        if K::MARKER == MarkerPlace::NaturalKey {
            return Err(Refusal::new(format!(
                "a {} is told from others by its name alone, and the old one has it",
                K::NAME
            )));
        }
        K::beside(&Self::typed(spec)?, Self::object(found)?)
    }

    fn is_meant(&self, spec: &Value, found: &Found) -> bool {
        match (Self::typed(spec), Self::object(found)) {
            (Ok(spec), Ok(object)) => K::is_meant(&spec, object),
            _ => false,
        }
    }

    fn is_husk(&self, found: &Found) -> bool {
        Self::object(found).is_ok_and(K::is_husk)
    }

    fn demand(
        &self,
        intent: &Intent,
        spec: &Value,
        found: Option<&Found>,
        nearby: &Nearby<'_>,
    ) -> Vec<Demand> {
        let object = found.and_then(|found| Self::object(found).ok());
        Self::typed(spec)
            .map(|spec| K::demand(intent, &spec, object, nearby))
            .unwrap_or_default()
    }

    fn before_delete(&self, found: &Found) -> Option<(&'static str, Call)> {
        K::before_delete(Self::object(found).ok()?)
    }

    fn born(&self, reply: &Reply) -> Option<String> {
        K::born(reply)
    }

    fn read(&self, id: &str) -> Call {
        K::read(id)
    }

    fn request(
        &self,
        intent: &Intent,
        spec: &Value,
        found: Option<&Found>,
        birth: &Birth<'_>,
    ) -> Result<Call, Refusal> {
        if *intent == Intent::Create {
            return Ok(K::create(&Self::typed(spec)?, birth));
        }
        let found = found.ok_or_else(|| Refusal::new("there is nothing to change"))?;
        let object = Self::object(found)?;
        let action = |field: &str, element: Option<&Element>| {
            let action = Self::action(intent).ok_or_else(|| {
                Refusal::new(format!("{field} of a {} cannot be changed", K::NAME))
            })?;
            K::act(action, element, &Self::typed(spec)?, object)
        };
        match intent {
            Intent::Create | Intent::Inspect => Ok(K::read(&found.id)),
            Intent::Update(fields) => {
                let spec = Self::typed(spec)?;
                Ok(K::update_with(&spec, object, fields, birth.material))
            }
            Intent::Act(field) => action(field, None),
            Intent::Add(field, element) | Intent::Remove(field, element) => {
                action(field, Some(element))
            }
            Intent::Remedy(_) => {
                let spec = Self::typed(spec)?;
                match K::remedy(&spec, object) {
                    Some(Change::Action(it) | Change::Disrupt(it) | Change::Lose(it)) => {
                        K::act(it, None, &spec, object)
                    }
                    _ => Err(Refusal::new("there is no remedy for this state")),
                }
            }
            Intent::Adopt => K::brand(object, birth)
                .ok_or_else(|| Refusal::new(format!("a {} cannot carry a marker", K::NAME))),
            Intent::Delete => Ok(K::delete(object)),
            Intent::Replace => Err(Refusal::new("its successor has requests of its own")),
        }
    }
}

fn put_id(need: super::need::Need<'_>, id_of: &dyn Fn(&str) -> Option<String>) {
    if let What::Object { reference, .. } = need.what
        && let Some(id) = id_of(&need.pointer)
    {
        *reference = Ref::Id(id);
    }
}

/// Problems, and what else there is to say when these are known.
fn with(mut known: Vec<Problem>, more: impl FnOnce(&[Problem]) -> Vec<Problem>) -> Vec<Problem> {
    known.extend(more(&known));
    known
}
