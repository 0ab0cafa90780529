//! What the manifests want: the accepted set, its edges, and what is wrong with it.
//!
//! Assembling has two halves, because manifests name files: [`Draft::new`] says which,
//! [`Draft::finish`] takes what was read. Neither does I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

use crate::kinds;
use crate::kinds::erased::{Accepted, AnyKind};
use crate::kinds::need::{Declared, DeclaredWhat, Reading};
use crate::manifest::problem::{Code, Hides, Problem};
use crate::manifest::{
    CloudRef, Content, Data, Key, Manifest, Origin, Policy, Ref, Shape, ValueSource, parse,
};

use super::graph;
use super::scope::{Scope, Source};
use super::stays;

/// One object that the manifests declare and that was found right.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its kind.
    pub kind: &'static dyn AnyKind,
    /// Where it lives.
    pub scope: Scope,
    /// The manifest that it was read from.
    pub manifest: Arc<Manifest>,
    /// Its spec or filter.
    pub accepted: Arc<Accepted>,
    /// Its name in the cloud.
    pub name: String,
    /// Texts of the files that it names, by pointer.
    pub texts: BTreeMap<String, SecretString>,
    /// Absolute paths of the files that are streamed, by pointer.
    pub files: BTreeMap<String, PathBuf>,
    /// The objects and data that it refers to by name.
    pub refers_to: BTreeSet<Key>,
    /// The object that its spec stands for beside itself.
    pub child: Option<Key>,
    /// Counts the changes of what it says, from 1.
    pub generation: u64,
}

impl Object {
    /// Its identity.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.manifest.key
    }

    /// What may be done with it.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.manifest.policy
    }

    /// The pointer of the reference to an object or to data.
    #[must_use]
    pub fn place_of(&self, key: &Key) -> String {
        let refers = |need: &&Declared| target(self.key(), &need.what).as_ref() == Some(key);
        let below = (self.accepted.needs.iter().find(refers)).map(|need| need.pointer.as_str());
        format!("{}{}", self.manifest.base, below.unwrap_or_default())
    }

    /// The objects and data without which it cannot be created.
    pub(super) fn waits_for(&self) -> BTreeSet<Key> {
        let later = self.kind.later();
        let needs = self
            .accepted
            .needs
            .iter()
            .filter(|need| !later.contains(&need.field()));
        needs
            .filter_map(|need| target(self.key(), &need.what))
            .collect()
    }

    /// The kinds whose collections its references by filter are looked up in.
    pub(super) fn filtered_kinds(&self) -> impl Iterator<Item = &'static str> {
        self.accepted
            .needs
            .iter()
            .filter_map(|need| match &need.what {
                DeclaredWhat::Object {
                    kind,
                    reference: Ref::Filter(_),
                } => Some(*kind),
                _ => None,
            })
    }

    /// The kinds whose collections have to be as fresh as its own: they tell a field that it sets, or
    /// something that others refer to.
    pub(super) fn attached(&self) -> impl Iterator<Item = &'static str> {
        let kind = self.kind;
        let tells = |it: &str| {
            let mut told = kind.told_by().iter();
            told.any(|(field, by)| *by == it && self.sets(field))
        };
        let all = kind.attached().iter().copied();
        all.filter(move |it| kind.revealed_by().contains(it) || tells(it))
    }

    /// The kinds that may hinder a change of a field that it sets: the field, and the kind.
    pub(super) fn hindered_by(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let all = self.kind.hindered_by().iter().copied();
        all.filter(|(field, _)| self.sets(field))
    }

    /// All kinds that are read on its account, beside its own, and whether that is done without its
    /// asking.
    pub(super) fn read_with(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let only_hinders = |it: &str| self.kind.hindered_by().iter().any(|(_, by)| *by == it);
        let all = self.kind.attached().iter().copied();
        let always = all.filter(move |it| !only_hinders(it)).map(|it| (it, true));
        always.chain(self.hindered_by().map(|(_, it)| (it, false)))
    }

    fn sets(&self, field: &str) -> bool {
        let spec = self.accepted.spec.as_ref();
        spec.is_some_and(|spec| !spec.value()[field].is_null())
    }

    /// Does it say the same as another one?
    fn says_the_same(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret;
        let texts = |it: &Self| -> Vec<(String, String)> {
            it.texts
                .iter()
                .map(|(k, v)| (k.clone(), v.expose_secret().to_owned()))
                .collect()
        };
        self.accepted == other.accepted
            && self.manifest.content == other.manifest.content
            && self.manifest.policy == other.manifest.policy
            && self.scope == other.scope
            && self.files == other.files
            && texts(self) == texts(other)
    }
}

/// The whole set that the manifests want.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// Every object that can be worked on.
    pub objects: BTreeMap<Key, Arc<Object>>,
    /// Secrets and ConfigMaps.
    pub data: BTreeMap<Key, Data>,
    /// The manifests that these were read from.
    pub data_manifests: Arc<BTreeMap<Key, Arc<Manifest>>>,
    /// Which objects refer to a key, or to the data of that name.
    pub dependents: BTreeMap<Key, BTreeSet<Key>>,
    /// Where the credentials of each scope come from.
    pub sources: BTreeMap<Scope, Source>,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// Objects that are declared but not usable as written: their last good spec, if there is one,
    /// stays in force, and they are not deleted.
    pub held: BTreeSet<Key>,
    /// Why objects may be declared that were not seen: then nothing is deleted.
    pub hiding: Option<String>,
}

impl Desired {
    /// Does the set declare anything at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.data.is_empty() && self.held.is_empty()
    }

    /// The keys of everything that is declared, in order: two readings agree when these do.
    #[must_use]
    pub fn declared(&self) -> BTreeSet<Key> {
        self.objects
            .keys()
            .chain(self.data.keys())
            .chain(&self.held)
            .cloned()
            .collect()
    }
}

/// A file that a manifest names.
#[derive(Debug, Clone, PartialEq)]
pub struct FileNeed {
    /// Whose.
    pub key: Key,
    /// The manifest's own file: the path is relative to its directory.
    pub manifest: Arc<str>,
    /// The path as written.
    pub path: String,
    /// What is done with it.
    pub reading: Reading,
    /// The need's pointer below the spec.
    pub pointer: String,
    /// Where the path is written.
    pub origin: Origin,
}

/// What became of a [`FileNeed`].
#[derive(Debug, Clone)]
pub enum FileAnswer {
    /// Its text.
    Text(SecretString),
    /// Its absolute path.
    Path(PathBuf),
}

/// Manifests that were read, before the files that they name are.
pub struct Draft<'p> {
    previous: Option<&'p Desired>,
    objects: BTreeMap<Key, Half>,
    data: BTreeMap<Key, Arc<Manifest>>,
    problems: Vec<Problem>,
}

struct Half {
    manifest: Arc<Manifest>,
    kind: &'static dyn AnyKind,
    accepted: Arc<Accepted>,
    child: Option<Key>,
}

impl<'p> Draft<'p> {
    /// Reads the specs of the manifests. Problems of parsing are passed on. `previous` is the last set:
    /// its good specs stay in force where the new ones are wrong, and what it has of the same manifests
    /// is not read again.
    #[must_use]
    pub fn new(
        manifests: impl IntoIterator<Item: Into<Arc<Manifest>>>,
        mut problems: Vec<Problem>,
        previous: Option<&'p Desired>,
    ) -> Self {
        let manifests: Vec<Arc<Manifest>> = manifests.into_iter().map(Into::into).collect();
        let mut first: BTreeMap<&Key, &Manifest> = BTreeMap::new();
        let mut twice: BTreeSet<Key> = BTreeSet::new();
        for manifest in &manifests {
            if let Some(one) = first.get(&manifest.key) {
                problems.extend(parse::duplicates(one, manifest));
                twice.insert(manifest.key.clone());
            } else {
                first.insert(&manifest.key, manifest);
            }
        }
        let mut draft = Self {
            previous,
            objects: BTreeMap::new(),
            data: BTreeMap::new(),
            problems,
        };
        for manifest in manifests {
            if !twice.contains(&manifest.key) {
                draft.take(manifest);
            }
        }
        draft.take_children();
        draft
    }

    /// Takes what the specs stand for beside themselves, unless it is declared as well.
    fn take_children(&mut self) {
        let mut children = Vec::new();
        for half in self.objects.values_mut() {
            let manifest = &half.manifest;
            let spec = half.accepted.spec.as_ref();
            if let Some(child) =
                spec.and_then(|spec| half.kind.child(&spec.value(), &manifest.key.name))
            {
                let field = format!("{}{}", manifest.base, child.field);
                let child = manifest.child(child.kind, &child.name, child.spec);
                half.child = Some(child.key.clone());
                children.push((manifest.clone(), field, child));
            }
        }
        for (parent, field, child) in children {
            let is_declared = self.objects.contains_key(&child.key)
                || (self.problems.iter()).any(|it| it.object.as_ref() == Some(&child.key));
            if is_declared {
                let message = format!("{} is declared as well", child.key.short());
                let hint = "remove that one, or the reference here".to_owned();
                self.problems.push(parent.problem(
                    &field,
                    Code::DuplicateObject,
                    message,
                    Some(hint),
                ));
            } else {
                let before = self.before(&child.key).map(|it| &it.manifest);
                let same = before.filter(|it| ***it == child).cloned();
                self.take(same.unwrap_or_else(|| Arc::new(child)));
            }
        }
    }

    /// The same object in the last set.
    fn before(&self, key: &Key) -> Option<&'p Arc<Object>> {
        self.previous?.objects.get(key)
    }

    fn take(&mut self, manifest: Arc<Manifest>) {
        if let Content::Data(_) = manifest.content {
            self.data.insert(manifest.key.clone(), manifest);
            return;
        }
        // The parser knows the names of all kinds, so an unknown one does not get here.
        let Some(kind) = kinds::find(&manifest.key.kind) else {
            return;
        };
        let before = self.before(&manifest.key);
        let known = before.filter(|it| Arc::ptr_eq(&it.manifest, &manifest));
        let accepted = match known {
            Some(known) => Ok(Arc::clone(&known.accepted)),
            None => kind.accept(&manifest).map(Arc::new),
        };
        match accepted {
            Ok(accepted) => {
                let half = Half {
                    kind,
                    accepted,
                    manifest,
                    child: None,
                };
                self.objects.insert(half.manifest.key.clone(), half);
            }
            Err(problems) => self.problems.extend(problems),
        }
    }

    /// The files that the manifests name.
    #[must_use]
    pub fn files(&self) -> Vec<FileNeed> {
        let needs = self.objects.values().flat_map(|half| {
            half.accepted
                .needs
                .iter()
                .filter_map(|need| match &need.what {
                    DeclaredWhat::File { path, reading } => Some(FileNeed {
                        key: half.manifest.key.clone(),
                        manifest: half.manifest.origin.file.clone(),
                        path: path.clone(),
                        reading: *reading,
                        pointer: need.pointer.clone(),
                        origin: half
                            .manifest
                            .place(&format!("{}{}", half.manifest.base, need.pointer)),
                    }),
                    _ => None,
                })
        });
        needs.collect()
    }

    /// Assembles the set. `answers` are what became of [`Draft::files`], in the same order.
    #[must_use]
    pub fn finish(
        self,
        answers: Vec<Result<FileAnswer, Problem>>,
        default_scope: &Scope,
    ) -> Desired {
        let needs = self.files();
        let mut desired = Desired {
            problems: self.problems,
            ..Desired::default()
        };
        desired.data = self
            .data
            .iter()
            .filter_map(|(key, manifest)| match &manifest.content {
                Content::Data(data) => Some((key.clone(), data.clone())),
                _ => None,
            })
            .collect();
        desired.data_manifests = Arc::new(self.data);

        let mut texts: BTreeMap<Key, BTreeMap<String, SecretString>> = BTreeMap::new();
        let mut files: BTreeMap<Key, BTreeMap<String, PathBuf>> = BTreeMap::new();
        let mut unreadable = BTreeSet::new();
        for (need, answer) in needs.into_iter().zip(answers) {
            match answer {
                Ok(FileAnswer::Text(text)) => {
                    texts
                        .entry(need.key)
                        .or_default()
                        .insert(need.pointer, text);
                }
                Ok(FileAnswer::Path(path)) => {
                    files
                        .entry(need.key)
                        .or_default()
                        .insert(need.pointer, path);
                }
                Err(mut problem) => {
                    problem.hides = Hides::Object;
                    problem.object.get_or_insert_with(|| need.key.clone());
                    problem.origin.get_or_insert(need.origin);
                    desired.problems.push(problem);
                    unreadable.insert(need.key);
                }
            }
        }

        let scopes = scopes(&self.objects, &desired.data, default_scope);
        for (key, half) in self.objects {
            if unreadable.contains(&key) {
                continue;
            }
            let (scope, source) = scopes[&key].clone();
            desired.sources.insert(scope.clone(), source);
            let named = half
                .accepted
                .spec
                .as_ref()
                .and_then(|spec| half.kind.resource_name(&spec.value()));
            let object = Object {
                name: named.unwrap_or_else(|| key.name.to_string()),
                refers_to: refers_to(&key, &half.accepted),
                kind: half.kind,
                scope,
                manifest: half.manifest,
                accepted: half.accepted,
                child: half.child,
                texts: texts.remove(&key).unwrap_or_default(),
                files: files.remove(&key).unwrap_or_default(),
                generation: 1,
            };
            desired.objects.insert(key, Arc::new(object));
        }

        for cycle in graph::cycles(&desired.objects) {
            for (key, next) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
                if let Some(object) = desired.objects.remove(key) {
                    let mut path: Vec<String> =
                        cycle.iter().map(|it| it.short().to_string()).collect();
                    path.extend(path.first().cloned());
                    let (message, hint) = if key == next {
                        ("it waits for itself".to_owned(), "remove the reference")
                    } else {
                        (
                            format!("these objects wait for each other: {}", path.join(" -> ")),
                            "remove one of the references",
                        )
                    };
                    let pointer = object.place_of(next);
                    let (code, hint) = (Code::Cycle, Some(hint.to_owned()));
                    (desired.problems).push(object.manifest.problem(&pointer, code, message, hint));
                }
            }
        }

        if let Some(previous) = self.previous {
            stays::refuse_changes(&mut desired, previous);
        }
        hold(&mut desired, self.previous);
        for object in desired.objects.values() {
            for target in &object.refers_to {
                desired
                    .dependents
                    .entry(target.clone())
                    .or_default()
                    .insert(object.key().clone());
            }
        }
        desired.problems.sort_by(|a, b| {
            a.origin
                .cmp(&b.origin)
                .then_with(|| a.message.cmp(&b.message))
        });
        desired
    }
}

/// Where each object lives. An object without an envelope lives where the first object that it
/// names does.
fn scopes(
    objects: &BTreeMap<Key, Half>,
    data: &BTreeMap<Key, Data>,
    default: &Scope,
) -> BTreeMap<Key, (Scope, Source)> {
    let own = |half: &Half| scope_of(&half.manifest, data, default);
    let borrowed = |key: &Key, half: &Half| {
        if half.kind.shape() != Shape::Flat {
            return None;
        }
        refers_to(key, &half.accepted)
            .iter()
            .find_map(|target| objects.get(target))
            .map(own)
    };
    objects
        .iter()
        .map(|(key, half)| {
            (
                key.clone(),
                borrowed(key, half).unwrap_or_else(|| own(half)),
            )
        })
        .collect()
}

fn scope_of(manifest: &Manifest, data: &BTreeMap<Key, Data>, default: &Scope) -> (Scope, Source) {
    match &manifest.policy.cloud {
        CloudRef::Default => (default.clone(), Source::Cloud(None)),
        CloudRef::Named(name) => (Scope::new(name.as_str()), Source::Cloud(Some(name.clone()))),
        CloudRef::Secret { name, cloud } => {
            let secret = manifest.key.sibling("Secret", name.as_str());
            match data
                .get(&secret)
                .and_then(|data| Some((data, data.get("clouds.yaml")?)))
            {
                Some((data, clouds_yaml)) => (
                    Scope::new(format!("{}/{name}#{cloud}", manifest.key.namespace)),
                    Source::Secret {
                        clouds_yaml: clouds_yaml.clone(),
                        cacert: data.get("cacert").cloned(),
                        cloud: cloud.clone(),
                    },
                ),
                // Without such a Secret among the manifests: the daemon's own cloud of that name.
                None => (
                    Scope::new(cloud.as_str()),
                    Source::Cloud(Some(cloud.clone())),
                ),
            }
        }
    }
}

/// Everything that an object refers to by name.
fn refers_to(key: &Key, accepted: &Accepted) -> BTreeSet<Key> {
    accepted
        .needs
        .iter()
        .filter_map(|need| target(key, &need.what))
        .collect()
}

fn target(key: &Key, what: &DeclaredWhat) -> Option<Key> {
    match what {
        DeclaredWhat::Object {
            kind,
            reference: Ref::Name(name),
        } => Some(key.sibling(*kind, name.as_str())),
        DeclaredWhat::Value(ValueSource::Field { kind, name, .. }) => {
            Some(key.sibling(kind.as_str(), name.as_str()))
        }
        DeclaredWhat::SecretKey { name, .. }
        | DeclaredWhat::Value(ValueSource::SecretKey { name, .. }) => {
            Some(key.sibling("Secret", name.as_str()))
        }
        DeclaredWhat::Value(ValueSource::ConfigMapKey { name, .. }) => {
            Some(key.sibling("ConfigMap", name.as_str()))
        }
        _ => None,
    }
}

/// Keeps the last good spec of what is now wrong, remembers what must not be deleted, and counts
/// generations.
fn hold(desired: &mut Desired, previous: Option<&Desired>) {
    let mut hiding = None;
    for problem in &desired.problems {
        let key = match (&problem.hides, &problem.object) {
            (Hides::Unknown, _) => {
                hiding.get_or_insert_with(|| match &problem.origin {
                    Some(origin) => format!("{} cannot be read", origin.file),
                    None => "a file cannot be read".to_owned(),
                });
                continue;
            }
            (_, Some(key)) => key,
            (_, None) => continue,
        };
        if !desired.objects.contains_key(key) && !desired.data.contains_key(key) {
            desired.held.insert(key.clone());
        }
    }
    desired.hiding = hiding;
    let Some(previous) = previous else { return };
    for (key, object) in &mut desired.objects {
        if let Some(before) = previous.objects.get(key) {
            let is_same = before.says_the_same(object);
            if is_same && Arc::ptr_eq(&before.manifest, &object.manifest) {
                // The same one, so that whoever has it sees that nothing has changed.
                *object = Arc::clone(before);
            } else {
                Arc::make_mut(object).generation = before.generation + u64::from(!is_same);
            }
        }
    }
    // What an object stands for is held with it.
    let children: Vec<Key> = desired
        .held
        .iter()
        .filter_map(|key| previous.objects.get(key)?.child.clone())
        .filter(|key| !desired.objects.contains_key(key))
        .collect();
    desired.held.extend(children);
    let hidden = |key: &Key| desired.held.contains(key) || desired.hiding.is_some();
    let mut kept = Vec::new();
    for (key, object) in &previous.objects {
        if !desired.objects.contains_key(key) && hidden(key) {
            kept.push((key.clone(), object.clone()));
        }
    }
    for (key, object) in kept {
        if let Some(source) = previous.sources.get(&object.scope) {
            desired
                .sources
                .entry(object.scope.clone())
                .or_insert_with(|| source.clone());
        }
        desired.held.insert(key.clone());
        desired.objects.insert(key, object);
    }
    for (key, data) in &previous.data {
        let hidden = desired.held.contains(key) || desired.hiding.is_some();
        if hidden && !desired.data.contains_key(key) {
            desired.data.insert(key.clone(), data.clone());
            if let Some(manifest) = previous.data_manifests.get(key) {
                let manifests = Arc::make_mut(&mut desired.data_manifests);
                manifests.insert(key.clone(), Arc::clone(manifest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(text: &str, previous: Option<&Desired>) -> Desired {
        let shapes: Vec<(&str, Shape)> = kinds::KINDS
            .iter()
            .map(|kind| (kind.name(), kind.shape()))
            .collect();
        let (manifests, problems) = parse::parse("a.yaml", text, parse::Kinds(&shapes));
        Draft::new(manifests, problems, previous).finish(Vec::new(), &Scope::new("c"))
    }

    fn volume(name: &str, resource: &str) -> String {
        format!(
            "---\napiVersion: stackward.dev/v1alpha1\nkind: Volume\nmetadata: {{name: {name}}}\n\
             spec: {{resource: {{{resource}}}}}\n"
        )
    }

    #[test]
    fn two_objects_of_one_identity_are_both_problems_and_neither_is_used() {
        let twice = volume("a", "size: 1") + &volume("a", "size: 2") + &volume("b", "size: 1");
        let desired = assemble(&twice, None);
        assert_eq!(desired.problems.len(), 2);
        assert_eq!(
            desired
                .objects
                .keys()
                .map(|key| &*key.name)
                .collect::<Vec<_>>(),
            ["b"]
        );
        assert_eq!(desired.held.len(), 1);
    }

    #[test]
    fn a_wrong_spec_leaves_the_last_good_one_in_force() {
        let good = assemble(&volume("a", "size: 1"), None);
        let wrong = assemble(&volume("a", "size: 0"), Some(&good));
        let key = Key::new("Volume", "default", "a");
        assert_eq!(wrong.objects[&key].accepted, good.objects[&key].accepted);
        assert_eq!((wrong.held.contains(&key), wrong.problems.len()), (true, 1));
        let changed = assemble(&volume("a", "size: 2"), Some(&wrong));
        assert_eq!(changed.objects[&key].generation, 2);
        assert_eq!(
            assemble(&volume("a", "size: 2"), Some(&changed)).objects[&key].generation,
            2
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_may_hide_anything() {
        let good = assemble(&volume("a", "size: 1"), None);
        let broken = assemble("a: [", Some(&good));
        assert!(broken.hiding.is_some());
        assert_eq!(broken.declared(), good.declared());
    }
}
