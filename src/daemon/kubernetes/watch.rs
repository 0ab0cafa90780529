//! A watch: an answer that goes on, one line of JSON for each change.
//!
//! Nothing is kept for a client but the version that it was told last. A client that does not take
//! what it is given is not waited for longer than an ordinary one, and one that comes too late is
//! told to look again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use crate::daemon::clock::Clock;
use crate::daemon::serve::Lease;

use super::cache::{Cache, Change, Unknown};
use super::entry::Entry;
use super::failure::Failure;
use super::object::{Partial, Whole};
use super::query::{Form, Options};
use super::route::Selection;
use super::table::Table;

/// A watch that asks for no end gets one after this long, and none lasts longer.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// The lease of the connection is renewed at least this often while nothing changes.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// A bookmark is sent when nothing was for this long.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// Changes at a time.
const AT_A_TIME: usize = 256;

/// What is watched.
pub(super) struct Watch {
    /// Where the changes come from.
    pub(super) cache: Arc<Cache>,
    /// Of what.
    pub(super) selection: Selection,
    /// How.
    pub(super) options: Options,
    /// In which form.
    pub(super) form: Form,
    /// Keeps the connection open as long as the client takes what it is given.
    pub(super) lease: Option<Lease>,
    /// Its place among the watches.
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Watch {
    /// The answer.
    ///
    /// # Errors
    /// The version to begin at is not known.
    pub(super) fn answer(self) -> Result<Response, Failure> {
        let from_now = self.options.version.is_none() || self.options.initial;
        if let Some(version) = self.options.version {
            self.cache.check(version).map_err(expired)?;
        }
        let versions = self.cache.versions();
        let timeout = self.options.timeout.unwrap_or(LONGEST).min(LONGEST);
        let mut course = Course {
            since: self.options.version.unwrap_or_default(),
            initial: VecDeque::new(),
            mark_initial: false,
            ended: false,
            end: Instant::now() + timeout,
            quiet_since: Instant::now(),
            watch: self,
        };
        if from_now {
            let Selection {
                resource,
                namespace,
                ..
            } = &course.watch.selection;
            let (entries, version) = course.watch.cache.list(resource.kind, namespace.as_deref());
            let options = &course.watch.options;
            course.initial = entries
                .into_iter()
                .filter(|entry| entry.is_in(resource.group) && options.fit(entry))
                .collect();
            course.since = version;
            course.mark_initial = options.initial && options.bookmarks;
        }
        let lines = stream::unfold(
            (course, versions),
            |(mut course, mut versions)| async move {
                let text = course.next(&mut versions).await?;
                Some((Ok::<_, Infallible>(Bytes::from(text)), (course, versions)))
            },
        );
        Ok((
            [(header::CONTENT_TYPE, "application/json")],
            Body::from_stream(lines),
        )
            .into_response())
    }
}

/// That a version is of no use, in the words that make a client look again.
pub(super) fn expired(why: Unknown) -> Failure {
    Failure::expired(match why {
        Unknown::TooOld => "too old resource version: list again",
        Unknown::Future => "this resource version was never given here: list again",
    })
}

/// How far a watch has come.
struct Course {
    watch: Watch,
    since: u64,
    initial: VecDeque<Arc<Entry>>,
    mark_initial: bool,
    ended: bool,
    end: Instant,
    quiet_since: Instant,
}

impl Course {
    /// The next lines; `None` at the end.
    async fn next(&mut self, versions: &mut tokio::sync::watch::Receiver<u64>) -> Option<Vec<u8>> {
        if self.ended {
            return None;
        }
        loop {
            if let Some(lease) = &self.watch.lease {
                lease.renew();
            }
            if Instant::now() >= self.end {
                return None;
            }
            let text = self.due();
            if !text.is_empty() {
                self.quiet_since = Instant::now();
                return Some(text);
            }
            let renew = Instant::now() + RENEW_EVERY;
            tokio::select! {
                changed = versions.changed() => changed.ok()?,
                () = sleep_until(renew.min(self.end)) => {}
            }
        }
    }

    /// What is to be told now.
    fn due(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        if !self.initial.is_empty() {
            let some = self.initial.len().min(AT_A_TIME);
            let entries: Vec<Arc<Entry>> = self.initial.drain(..some).collect();
            for entry in entries {
                self.tell(&mut text, "ADDED", &entry, entry.version);
            }
            return text;
        }
        if std::mem::take(&mut self.mark_initial) {
            self.bookmark(&mut text, true);
            return text;
        }
        match self.watch.cache.changes(self.since, AT_A_TIME) {
            Ok((changes, until)) => {
                for change in &changes {
                    self.tell_change(&mut text, change);
                }
                self.since = until;
            }
            Err(why) => {
                self.ended = true;
                line(&mut text, "ERROR", &expired(why).status());
            }
        }
        if text.is_empty()
            && self.watch.options.bookmarks
            && self.quiet_since.elapsed() >= BOOKMARK_EVERY
        {
            self.bookmark(&mut text, false);
        }
        text
    }

    fn tell_change(&self, text: &mut Vec<u8>, change: &Change) {
        let before = change.before.as_ref().filter(|it| self.is_meant(it));
        let after = change.after.as_ref().filter(|it| self.is_meant(it));
        match (before, after) {
            (None, Some(entry)) => self.tell(text, "ADDED", entry, change.version),
            (Some(_), Some(entry)) => self.tell(text, "MODIFIED", entry, change.version),
            (Some(entry), None) => self.tell(text, "DELETED", entry, change.version),
            (None, None) => {}
        }
    }

    fn is_meant(&self, entry: &Entry) -> bool {
        let Selection {
            resource,
            namespace,
            ..
        } = &self.watch.selection;
        *entry.key.kind == *resource.kind
            && namespace
                .as_ref()
                .is_none_or(|it| *entry.key.namespace == **it)
            && entry.is_in(resource.group)
            && self.watch.options.fit(entry)
    }

    fn tell(&self, text: &mut Vec<u8>, what: &'static str, entry: &Entry, version: u64) {
        let resource = self.watch.selection.resource;
        match self.watch.form {
            Form::Table => {
                let now = Clock::machine().now();
                let include = self.watch.options.include;
                let table = Table::new(resource, [(entry, version)], include, version, now);
                line(text, what, &table);
            }
            Form::Metadata => line(text, what, &Partial::new(entry, version)),
            Form::Plain | Form::Discovery => {
                line(text, what, &Whole::new(entry, resource, version));
            }
        }
    }

    fn bookmark(&self, text: &mut Vec<u8>, initial: bool) {
        let resource = self.watch.selection.resource;
        let mut metadata =
            json!({"resourceVersion": self.since.to_string(), "creationTimestamp": null});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object: Value = match self.watch.form {
            Form::Table => json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata, "columnDefinitions": [], "rows": []}),
            Form::Metadata => json!({"kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1", "metadata": metadata}),
            Form::Plain | Form::Discovery => json!({"kind": resource.kind,
                "apiVersion": resource.group.api_version(), "metadata": metadata}),
        };
        line(text, "BOOKMARK", &object);
    }
}

#[derive(Serialize)]
struct Line<'a, T> {
    #[serde(rename = "type")]
    what: &'static str,
    object: &'a T,
}

fn line(text: &mut Vec<u8>, what: &'static str, object: &impl Serialize) {
    let begin = text.len();
    match serde_json::to_writer(&mut *text, &Line { what, object }) {
        Ok(()) => text.push(b'\n'),
        Err(error) => {
            // Nothing that is served can fail to be written.
            text.truncate(begin);
            tracing::error!(%error, "a change could not be told");
        }
    }
}
