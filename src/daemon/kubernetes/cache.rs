//! What is served, as of the last picture, and a bounded past of it for those who watch.
//!
//! The counter begins at the time of the start in milliseconds, so that a version of the process
//! before is older than anything that is remembered, and whoever comes with it is told to look again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::engine::pace::between;
use crate::engine::snapshot::{ObjectView, Snapshot};
use crate::engine::status::Transition;
use crate::manifest::{DEFAULT_NAMESPACE, Group, Key, Manifest};

use super::entry::{Body, Data, Entry, Event, Object};
use super::resource::{EVENT, NAMESPACE};

/// At most this many changes are remembered,
const CHANGES: usize = 8192;
/// and none that is older: the time after which Kubernetes forgets its own.
const PAST: Duration = Duration::from_secs(300);

/// What is served.
#[derive(Debug)]
pub(super) struct Cache {
    /// Secrets and ConfigMaps are served whose manifests have paths that begin so; else none.
    data_below: Option<String>,
    state: RwLock<State>,
    version: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    loaded: bool,
    /// The time of the last picture.
    now: Timestamp,
    version: u64,
    /// Every change after this version is in `past`.
    forgotten: u64,
    entries: BTreeMap<Key, Arc<Entry>>,
    past: VecDeque<Change>,
}

/// One change of one entry.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// When.
    at: Timestamp,
    /// The counter after it.
    pub(super) version: u64,
    /// What was there.
    pub(super) before: Option<Arc<Entry>>,
    /// What is there.
    pub(super) after: Option<Arc<Entry>>,
}

/// What a version is not good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It is from before what is remembered.
    TooOld,
    /// It was never given.
    Future,
}

impl Cache {
    /// An empty one, which serves Secrets and ConfigMaps below this directory only.
    pub(super) fn new(now: Timestamp, data_below: Option<String>) -> Self {
        let version = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let state = State {
            loaded: false,
            now,
            version,
            forgotten: version,
            entries: BTreeMap::new(),
            past: VecDeque::new(),
        };
        Self {
            data_below,
            state: RwLock::new(state),
            version: watch::Sender::new(version),
        }
    }

    /// Takes a picture over.
    pub(super) fn update(&self, snapshot: &Snapshot, now: Timestamp) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        (state.loaded, state.now) = (true, now);
        let mut named_anew = !state.entries.contains_key(&namespace(DEFAULT_NAMESPACE));
        let data: BTreeMap<&Key, &Arc<Manifest>> = snapshot
            .data
            .iter()
            .filter(|(_, manifest)| self.serves(manifest))
            .collect();
        let is_gone = |(key, entry): (&Key, &Arc<Entry>)| {
            let gone = match entry.body {
                Body::Object(_) => !is_served(snapshot, key),
                Body::Data(_) => !data.contains_key(key),
                Body::Event(_) | Body::Namespace => false,
            };
            gone.then(|| key.clone())
        };
        let gone: Vec<Key> = state.entries.iter().filter_map(is_gone).collect();
        for key in &gone {
            state.tell(key, None, now);
            state.put(key, None);
            named_anew = true;
        }
        // Successors that are made beside the old one have no name that Kubernetes knows.
        let served = snapshot
            .objects
            .iter()
            .filter(|(key, _)| key.as_incarnation().is_none());
        for (key, view) in served {
            named_anew |= !state.entries.contains_key(key);
            state.see(key, view, now);
        }
        for (key, manifest) in data {
            named_anew |= !state.entries.contains_key(key);
            state.see_data(key, manifest, now);
        }
        if named_anew {
            state.name_spaces(now);
        }
        let is_over = |state: &State, change: &Change| {
            state.past.len() > CHANGES || between(change.at, now) > PAST
        };
        while state.past.front().is_some_and(|it| is_over(&state, it)) {
            if let Some(change) = state.past.pop_front() {
                state.forgotten = change.version;
            }
        }
        let version = state.version;
        drop(state);
        self.version.send_if_modified(|before| {
            let changed = *before != version;
            *before = version;
            changed
        });
    }

    /// Is this Secret or ConfigMap one of those that are served?
    fn serves(&self, manifest: &Manifest) -> bool {
        let below = self.data_below.as_deref();
        below.is_some_and(|it| manifest.origin.file.starts_with(it))
    }

    /// The version of all.
    pub(super) fn version(&self) -> u64 {
        self.read().version
    }

    /// Whether there was a picture at all.
    pub(super) fn is_loaded(&self) -> bool {
        self.read().loaded
    }

    /// Tells when something has changed.
    pub(super) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Everything of a kind, of one namespace or of all, and the version that this is.
    pub(super) fn list(&self, kind: &str, namespace: Option<&str>) -> (Vec<Arc<Entry>>, u64) {
        let state = self.read();
        let first = Key::new(kind, namespace.unwrap_or_default(), "");
        let entries = state
            .entries
            .range(first..)
            .take_while(|(key, _)| {
                *key.kind == *kind && namespace.is_none_or(|it| *key.namespace == *it)
            })
            .map(|(_, entry)| Arc::clone(entry))
            .collect();
        (entries, state.version)
    }

    /// One entry.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.read().entries.get(key).cloned()
    }

    /// At most so many changes after a version, and the version up to which these are all of them.
    pub(super) fn changes(&self, since: u64, most: usize) -> Result<(Vec<Change>, u64), Unknown> {
        let state = self.read();
        state.check(since)?;
        let begin = state.past.partition_point(|it| it.version <= since);
        let changes: Vec<Change> = state.past.range(begin..).take(most).cloned().collect();
        let until = match changes.last() {
            Some(last) if changes.len() == most => last.version,
            _ => state.version,
        };
        Ok((changes, until))
    }

    /// Whether a version is one of those that are remembered.
    pub(super) fn check(&self, version: u64) -> Result<(), Unknown> {
        self.read().check(version)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_served(snapshot: &Snapshot, key: &Key) -> bool {
    snapshot.objects.contains_key(key)
}

fn namespace(name: &str) -> Key {
    Key::new(NAMESPACE, "", name)
}

impl State {
    fn check(&self, version: u64) -> Result<(), Unknown> {
        if version > self.version {
            return Err(Unknown::Future);
        }
        if version < self.forgotten {
            return Err(Unknown::TooOld);
        }
        Ok(())
    }

    /// Takes over how an object stands.
    fn see(&mut self, key: &Key, view: &Arc<ObjectView>, now: Timestamp) {
        let before = self.entries.get(key).cloned();
        let known = before.as_deref().and_then(|it| match &it.body {
            Body::Object(object) => Some(object),
            _ => None,
        });
        if known.is_some_and(|it| Arc::ptr_eq(&it.view, view)) {
            return;
        }
        let object = Object::new(Arc::clone(view), known, now);
        let created = object.made_at();
        let created = created.or(before.as_ref().map(|it| it.created));
        let same_manifest = known.is_some_and(|it| it.has_manifest_of(view));
        let written = before.as_ref().map(|it| it.written);
        let written = written.filter(|_| same_manifest);
        let entry = |version| {
            Arc::new(Entry {
                key: key.clone(),
                uid: view.uid,
                version,
                written: written.unwrap_or(version),
                created: created.unwrap_or(now),
                body: Body::Object(object),
            })
        };
        match (known, before.as_ref()) {
            (Some(known), Some(before)) if known.says_the_same(view) => {
                // The same in a newer picture: the older one can be let go.
                let entry = entry(before.version);
                self.entries.insert(key.clone(), entry);
            }
            _ => {
                self.tell(key, Some(view), now);
                let entry = entry(self.version + 1);
                self.put(key, Some(entry));
            }
        }
    }

    /// Takes over a Secret or a ConfigMap.
    fn see_data(&mut self, key: &Key, manifest: &Arc<Manifest>, now: Timestamp) {
        let before = self.entries.get(key).cloned();
        let same = before
            .as_deref()
            .and_then(Entry::manifest)
            .is_some_and(|it| {
                Arc::ptr_eq(it, manifest) || it.says_the_same(manifest) && it.spec == manifest.spec
            });
        if same {
            return;
        }
        let version = self.version + 1;
        let entry = Entry {
            uid: Uuid::new_v5(&Uuid::NAMESPACE_OID, key.to_string().as_bytes()),
            version,
            written: version,
            created: before.map_or(now, |it| it.created),
            body: Body::Data(Data::new(manifest)),
            key: key.clone(),
        };
        self.put(key, Some(Arc::new(entry)));
    }

    /// What happened to an object, as far as it remembers it.
    fn tell(&mut self, about: &Key, view: Option<&Arc<ObjectView>>, now: Timestamp) {
        let known = match self.entries.get(about).map(|it| &it.body) {
            Some(Body::Object(object)) => Some(Arc::clone(&object.view)),
            _ => None,
        };
        let history = |view: Option<&Arc<ObjectView>>| -> Vec<(Key, Transition)> {
            let history = view.iter().flat_map(|view| &view.status.history);
            history
                .map(|it| (event_key(about, it), it.clone()))
                .collect()
        };
        let (old, new) = (history(known.as_ref()), history(view));
        for (key, _) in &old {
            if !new.iter().any(|(other, _)| other == key) {
                self.put(key, None);
            }
        }
        let Some(view) = view else { return };
        for (key, transition) in new {
            if self.entries.contains_key(&key) {
                continue;
            }
            let group = view.manifest.as_ref().map_or(Group::Native, |it| it.group);
            let entry = Entry {
                uid: Uuid::new_v5(&view.uid, key.to_string().as_bytes()),
                version: self.version + 1,
                written: self.version + 1,
                created: transition.time.min(now),
                body: Body::Event(Event {
                    about: about.clone(),
                    uid: view.uid,
                    group,
                    transition,
                }),
                key: key.clone(),
            };
            self.put(&key, Some(Arc::new(entry)));
        }
    }

    /// The namespaces that there are: those of the objects, and the one that always is.
    fn name_spaces(&mut self, now: Timestamp) {
        let mut wanted = BTreeSet::from([namespace(DEFAULT_NAMESPACE)]);
        let mut there = BTreeSet::new();
        for (key, entry) in &self.entries {
            match entry.body {
                Body::Object(_) | Body::Data(_) => {
                    wanted.insert(namespace(&key.namespace));
                }
                Body::Namespace => {
                    there.insert(key.clone());
                }
                Body::Event(_) => {}
            }
        }
        for key in there.difference(&wanted) {
            self.put(key, None);
        }
        for key in wanted.difference(&there) {
            let entry = Entry {
                key: key.clone(),
                uid: Uuid::new_v5(&Uuid::NAMESPACE_OID, key.to_string().as_bytes()),
                version: self.version + 1,
                written: self.version + 1,
                created: now,
                body: Body::Namespace,
            };
            self.put(key, Some(Arc::new(entry)));
        }
    }

    fn put(&mut self, key: &Key, after: Option<Arc<Entry>>) {
        self.version += 1;
        let before = match &after {
            Some(entry) => self.entries.insert(key.clone(), Arc::clone(entry)),
            None => self.entries.remove(key),
        };
        self.past.push_back(Change {
            at: self.now,
            version: self.version,
            before,
            after,
        });
    }
}

/// The name says to which object of which kind, when, and what: two are never the same.
fn event_key(about: &Key, transition: &Transition) -> Key {
    let Transition {
        time, condition, ..
    } = transition;
    let name = format!(
        "{}.{}.{}.{:x}",
        about.name,
        about.kind.to_lowercase(),
        condition.to_lowercase(),
        time.as_nanosecond()
    );
    Key::new(EVENT, Arc::clone(&about.namespace), name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scope::Scope;
    use crate::engine::status::{Status, Truth};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000 + second).unwrap()
    }

    fn view(reason: &'static str, history: &[i64]) -> Arc<ObjectView> {
        let history = history.iter().map(|second| Transition {
            time: at(*second),
            condition: "Available",
            status: Truth::True,
            reason: "Success",
            message: String::new(),
        });
        Arc::new(ObjectView {
            scope: Scope::new("c"),
            origin: None,
            manifest: None,
            uid: Uuid::nil(),
            api_version: None,
            generation: 1,
            deleting: false,
            unmanaged: false,
            reason,
            refers_to: Vec::new(),
            drift: Vec::new(),
            status: Arc::new(Status {
                history: history.collect(),
                ..Status::default()
            }),
        })
    }

    fn picture(objects: &[(&str, &str, &Arc<ObjectView>)]) -> Snapshot {
        let objects = objects.iter().map(|(namespace, name, view)| {
            (Key::new("Volume", *namespace, *name), Arc::clone(view))
        });
        Snapshot {
            objects: objects.collect(),
            ..Snapshot::default()
        }
    }

    fn names(cache: &Cache, kind: &str, namespace: Option<&str>) -> Vec<String> {
        let (entries, _) = cache.list(kind, namespace);
        entries.iter().map(|it| it.key.name.to_string()).collect()
    }

    /// What happened after a version: which kind, and whether it was there before and after.
    fn told(cache: &Cache, since: u64) -> Vec<(String, bool, bool)> {
        let (changes, _) = cache.changes(since, 1000).unwrap();
        changes
            .iter()
            .map(|it| {
                let entry = it.after.as_ref().or(it.before.as_ref()).unwrap();
                (
                    entry.key.kind.to_string(),
                    it.before.is_some(),
                    it.after.is_some(),
                )
            })
            .collect()
    }

    #[test]
    fn what_changes_gets_a_new_version_and_nothing_else() {
        let cache = Cache::new(at(0), None);
        assert!(!cache.is_loaded());
        let start = cache.list("Volume", None).1;
        let (same, other) = (view("InSync", &[1]), view("InSync", &[1]));
        cache.update(&picture(&[("a", "x", &same), ("b", "y", &other)]), at(2));
        assert_eq!(names(&cache, "Volume", None), ["x", "y"]);
        assert_eq!(names(&cache, "Volume", Some("b")), ["y"]);
        assert_eq!(names(&cache, NAMESPACE, None), ["a", "b", "default"]);
        assert_eq!(names(&cache, EVENT, Some("a")).len(), 1);
        let (_, version) = cache.list("Volume", None);
        assert_eq!(told(&cache, start).len(), 7);
        // The same said once more is no change,
        let again = view("InSync", &[1]);
        cache.update(&picture(&[("a", "x", &again), ("b", "y", &other)]), at(3));
        assert_eq!(
            (told(&cache, version), cache.check(version)),
            (vec![], Ok(()))
        );
        // another reason is one, and what it forgets and learns is told before it,
        let moved = view("Moving", &[4]);
        cache.update(&picture(&[("a", "x", &moved), ("b", "y", &other)]), at(5));
        assert_eq!(
            told(&cache, version),
            [
                (EVENT.to_owned(), true, false),
                (EVENT.to_owned(), false, true),
                ("Volume".to_owned(), true, true)
            ]
        );
        // and what is gone takes its namespace with it.
        let (_, version) = cache.list("Volume", None);
        cache.update(&picture(&[("b", "y", &other)]), at(6));
        assert_eq!(
            told(&cache, version),
            [
                (EVENT.to_owned(), true, false),
                ("Volume".to_owned(), true, false),
                (NAMESPACE.to_owned(), true, false)
            ]
        );
    }

    #[test]
    fn the_past_is_bounded_and_says_so() {
        let cache = Cache::new(at(0), None);
        let first = cache.list("Volume", None).1;
        for round in 0..CHANGES / 2 {
            let reason = if round % 2 == 0 { "InSync" } else { "Moving" };
            cache.update(&picture(&[("a", "x", &view(reason, &[]))]), at(1));
        }
        assert!(cache.check(first).is_ok());
        for round in 0..CHANGES {
            let reason = if round % 2 == 0 { "InSync" } else { "Moving" };
            cache.update(&picture(&[("a", "x", &view(reason, &[]))]), at(1));
        }
        assert_eq!(cache.changes(first, 1).err(), Some(Unknown::TooOld));
        let (_, last) = cache.list("Volume", None);
        assert_eq!(cache.check(last + 1), Err(Unknown::Future));
        // In pieces, each change once.
        let (changes, until) = cache.changes(last - 10, 4).unwrap();
        assert_eq!((changes.len(), until), (4, last - 6));
        assert_eq!(cache.changes(until, 100).unwrap().0.len(), 6);
        // What nobody has asked for in five minutes.
        let same = picture(&[("a", "x", &view("Moving", &[]))]);
        cache.update(&same, at(301));
        assert!(cache.check(last - 10).is_ok());
        cache.update(&same, at(302));
        assert_eq!(cache.check(last - 1), Err(Unknown::TooOld));
        assert!(cache.check(last).is_ok());
    }

    #[test]
    fn a_later_start_counts_from_beyond_an_earlier_one() {
        let before = Cache::new(at(0), None);
        before.update(&picture(&[("a", "x", &view("InSync", &[]))]), at(1));
        let (_, version) = before.list("Volume", None);
        assert_eq!(
            Cache::new(at(60), None).check(version),
            Err(Unknown::TooOld)
        );
    }

    #[test]
    fn a_successor_beside_the_old_one_is_not_shown() {
        let cache = Cache::new(at(0), None);
        let view = view("InSync", &[]);
        cache.update(&picture(&[("a", "x", &view), ("a", "x#1", &view)]), at(1));
        assert_eq!(names(&cache, "Volume", None), ["x"]);
    }
}
