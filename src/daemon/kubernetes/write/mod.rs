//! Writing through Kubernetes' API: what is wanted of an object becomes a file below the manifest
//! directory, or goes from there, and takes the ordinary path from then on. Nothing here speaks to
//! the engine or to a cloud.
//!
//! Only with `--api-write`, and only for who has a token or can open the control socket.

mod body;
mod change;
mod desk;
mod document;
mod managed;
mod params;
mod protobuf;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::daemon::load::Loader;
use crate::daemon::metrics::Metrics;
use crate::daemon::tokens::Caller;
use crate::files::{Folder, FolderError};
use crate::manifest::{Key, Manifest};

use super::Kubernetes;
use super::cache::Cache;
use super::entry::Entry;
use super::failure::Failure;
use super::object::Whole;
use super::query::Form;
use super::resource::{self, Access, Resource, parts};
use super::route::{Route, Selection};
use super::told::Told;

use change::Change;
use desk::{Desk, Done, Order, Outcome, Seen};
use params::Params;

/// Whoever has written reads it back: the answer waits for the daemon so long.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(5);
/// A change that is none to the cache is not told by it: it is looked for this often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What writing needs.
#[derive(Clone)]
pub struct Writes {
    desk: Arc<Mutex<Desk>>,
    again: Arc<Notify>,
    metrics: Arc<Metrics>,
    prefix: String,
    /// What was written last of each object and is not in the pictures yet.
    latest: Arc<Mutex<Latest>>,
}

type Latest = HashMap<Key, Option<Arc<Manifest>>>;

impl Writes {
    /// Writes into a directory below the one that the loader reads; `again` has it read by the daemon.
    ///
    /// # Errors
    /// The directory is none that can be written to.
    pub fn open(
        manifests: &Path,
        directory: &Path,
        loader: Loader,
        again: Arc<Notify>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, FolderError> {
        let folder = Folder::open(manifests, directory)?;
        Ok(Self {
            prefix: folder.prefix().to_owned(),
            desk: Arc::new(Mutex::new(Desk { folder, loader })),
            again,
            metrics,
            latest: Arc::default(),
        })
    }

    /// What the paths of the files begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Do the pictures show what was written last? Somebody else may have written since.
    fn is_shown(&self, cache: &Cache, key: &Key) -> bool {
        let mut latest = self.latest();
        let Some(wanted) = latest.get(key) else {
            return true;
        };
        let entry = cache.get(key);
        let shown = match (&entry, wanted) {
            (None, None) => true,
            (Some(entry), None) => entry.is_going(),
            (None, Some(_)) => false,
            (Some(entry), Some(wanted)) => {
                let same = |it: &Arc<Manifest>| it.says_the_same(wanted) && it.spec == wanted.spec;
                entry.manifest().is_some_and(same) && !entry.is_going()
            }
        };
        if shown {
            latest.remove(key);
        }
        shown
    }

    /// Carries a write out, and counts and logs it, whether the client waits for it or not.
    fn carry_out(&self, order: &Order, who: &str) -> Result<Done, Failure> {
        // Who panicked at the desk has left no half file.
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let result = desk.carry_out(order);
        if let Ok(done) = &result
            && done.outcome != Outcome::Unchanged
            && !order.params.dry_run
        {
            self.latest()
                .insert(order.key.clone(), done.manifest.clone());
        }
        drop(desk);
        let outcome = match &result {
            Ok(_) if order.params.dry_run => "dry-run",
            Ok(Done { outcome, .. }) => match outcome {
                Outcome::Unchanged => "unchanged",
                Outcome::Created | Outcome::Changed | Outcome::Removed => {
                    self.again.notify_one();
                    "done"
                }
            },
            Err(failure) if failure.code().is_server_error() => "failed",
            Err(_) => "refused",
        };
        let why = result.as_ref().err().map(ToString::to_string);
        self.metrics.written(
            &order.key,
            order.change.verb(),
            who,
            outcome,
            why.as_deref(),
        );
        result
    }
}

impl Kubernetes {
    /// Answers a request that wants something changed.
    pub(super) async fn change(&self, request: Request) -> Result<Response, Failure> {
        let Some(writes) = self.writes.clone() else {
            return Err(Failure::read_only());
        };
        let (head, body) = request.into_parts();
        let who = writer(head.extensions.get::<Caller>())?;
        let selection = match Route::of(head.uri.path(), Access::Write)? {
            Route::Objects(selection) => selection,
            _ => return Err(method_not_allowed()),
        };
        let resource = selection.resource;
        check_method(&head.method, &selection)?;
        Form::accepted(&head.headers, &[Form::Plain])?;
        let mut params = Params::of(&head.uri, &head.headers)?;
        if !self.cache.is_loaded() {
            return Err(Failure::not_ready());
        }
        let media = body::media_type(&head.headers);
        let body = body::read(body).await?;
        let (change, mut warnings) =
            Change::read(&head.method, &media, &body, resource, &mut params)?;
        let order = Order {
            key: key(&selection, &change)?,
            resource,
            change,
            params,
            seen: None,
        };
        let order = Order {
            seen: self.seen(resource, &order.key),
            ..order
        };
        let desk = writes.clone();
        let working = tokio::task::spawn_blocking(move || {
            let done = desk.carry_out(&order, &who);
            (order, done)
        });
        let Ok((order, done)) = working.await else {
            return Err(Failure::internal("the write was broken off"));
        };
        let done = done?;
        warnings.extend(done.warnings.iter().cloned());
        if !order.params.dry_run && done.outcome != Outcome::Unchanged {
            let settled = timeout(TAKEN_UP_WITHIN, self.settled(&writes, &order.key)).await;
            if settled.is_err() {
                let words = "it is written, and the daemon has not taken it up yet";
                warnings.push(words.to_owned());
            }
        }
        let mut response = self.outcome(&order, &done);
        for words in warnings {
            if let Some(value) = warning(&words) {
                response.headers_mut().append("warning", value);
            }
        }
        Ok(response)
    }

    fn seen(&self, resource: &Resource, key: &Key) -> Option<Seen> {
        let entry = entry(&self.cache, resource, key)?;
        Some(Seen {
            uid: entry.uid,
            version: entry.version,
            written: entry.written,
            newest: self.cache.version(),
            manifest: entry.manifest().cloned(),
            going: entry.is_going(),
        })
    }

    /// Ends when the pictures show what was written.
    async fn settled(&self, writes: &Writes, key: &Key) {
        let mut versions = self.cache.versions();
        while !writes.is_shown(&self.cache, key) {
            tokio::select! {
                _ = versions.changed() => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn outcome(&self, order: &Order, done: &Done) -> Response {
        let Order { resource, key, .. } = order;
        let entry = entry(&self.cache, resource, key);
        let code = match done.outcome {
            Outcome::Created => StatusCode::CREATED,
            Outcome::Changed | Outcome::Unchanged | Outcome::Removed => StatusCode::OK,
        };
        let body = match (&done.manifest, &entry) {
            (None, Some(entry)) => served(entry, resource),
            (None, None) => {
                let uid = order.seen.as_ref().map(|it| it.uid);
                let (group, kind) = (parts(resource.group).0, &resource.plural);
                json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": {"name": *key.name, "group": group, "kind": kind, "uid": uid},
                })
            }
            (Some(manifest), entry) => {
                let before = entry.as_ref().map(|it| served(it, resource));
                // As it is written, whether the pictures show it already or not.
                wanted(resource, key, &Told::of(manifest), &manifest.labels, before)
            }
        };
        (code, axum::Json(body)).into_response()
    }
}

fn entry(cache: &Cache, resource: &Resource, key: &Key) -> Option<Arc<Entry>> {
    let entry = cache.get(key)?;
    entry.is_in(resource.group).then_some(entry)
}

fn served(entry: &Entry, resource: &Resource) -> Value {
    serde_json::to_value(Whole::new(entry, resource, entry.version)).unwrap_or_default()
}

/// An object as its manifest says, with what else is known of it.
fn wanted(
    resource: &Resource,
    key: &Key,
    told: &Told,
    labels: &std::collections::BTreeMap<String, String>,
    before: Option<Value>,
) -> Value {
    let mut object = before.unwrap_or_else(|| {
        json!({"apiVersion": resource.group.api_version(), "kind": resource.kind,
            "metadata": {"name": *key.name, "namespace": *key.namespace}})
    });
    let metadata = &mut object["metadata"];
    for (name, value) in [
        ("labels", (!labels.is_empty()).then(|| json!(labels))),
        (
            "annotations",
            (!told.annotations.is_empty()).then(|| json!(told.annotations)),
        ),
        ("managedFields", told.managed.clone()),
    ] {
        match (value, metadata.as_object_mut()) {
            (Some(value), Some(map)) => drop(map.insert(name.to_owned(), value)),
            (None, Some(map)) => drop(map.remove(name)),
            (_, None) => {}
        }
    }
    if resource.is_data() {
        for (name, value) in &told.data {
            object[name] = value.clone();
        }
    } else {
        object["spec"] = told.spec.value();
    }
    object
}

/// May this one write, and who is it?
fn writer(caller: Option<&Caller>) -> Result<Arc<str>, Failure> {
    match caller {
        Some(Caller::Token(user)) => Ok(Arc::clone(user)),
        Some(Caller::Local(uid)) => Ok(format!("uid {uid}").into()),
        Some(Caller::Guest) => Err(Failure::not_a_writer(
            "a password lets you look; writing needs a token of --api-token-file",
        )),
        None => Err(Failure::unauthorized()),
    }
}

fn method_not_allowed() -> Failure {
    Failure::not_allowed("the server does not allow this method on the requested resource")
}

fn check_method(method: &Method, selection: &Selection) -> Result<(), Failure> {
    let resource = selection.resource;
    if resource.kind == resource::NAMESPACE {
        let message = "namespaces are not written: there is one as soon as an object is in it";
        return Err(Failure::not_allowed(message));
    }
    let one = selection.name.is_some();
    let fits = match *method {
        Method::POST => !one && selection.namespace.is_some(),
        Method::PUT | Method::PATCH | Method::DELETE => one,
        _ => false,
    };
    match fits && resource.declared {
        true => Ok(()),
        false => Err(method_not_allowed()),
    }
}

/// Which object is meant.
fn key(selection: &Selection, change: &Change) -> Result<Key, Failure> {
    let namespace = selection.namespace.as_deref().unwrap_or_default();
    let named = selection.name.as_deref();
    let name = match (named, change.object()) {
        (Some(name), _) => name,
        (None, object) => {
            let metadata = object.map(|it| &it["metadata"]);
            let name = metadata.and_then(|it| it["name"].as_str());
            let generated = metadata.is_some_and(|it| it["generateName"].is_string());
            name.filter(|it| !it.is_empty()).ok_or_else(|| {
                Failure::bad_request(match generated {
                    true => "names are not generated here: give it one, by which it is known again",
                    false => "metadata.name is missing",
                })
            })?
        }
    };
    Ok(Key::new(selection.resource.kind, namespace, name))
}

/// As RFC 7234 has it, and Kubernetes with it.
fn warning(words: &str) -> Option<HeaderValue> {
    let text: String = words
        .chars()
        .filter(|it| !it.is_control())
        .take(1024)
        .collect();
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::from_bytes(format!("299 - \"{text}\"").as_bytes()).ok()
}
