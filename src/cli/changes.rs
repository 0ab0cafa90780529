//! A watch of the daemon's API: what changes, one after another, over as many answers as it takes.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;
use tokio::time::sleep;

use super::daemon::{Answer, Daemon};

/// An answer that ended without a word is not asked for again at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Changes as they come.
#[derive(Debug)]
pub(super) struct Changes<'d> {
    daemon: &'d Daemon,
    path: String,
    query: Vec<(&'static str, String)>,
    form: &'static str,
    /// What was told last; `None` begins with everything that is there.
    since: Option<String>,
    answer: Option<Response>,
    text: Vec<u8>,
    silent: bool,
}

/// One change.
#[derive(Debug)]
pub(super) enum Change {
    /// It is there, new or not as before.
    Here(Value),
    /// It is gone; as it was last.
    Gone(Value),
    /// Everything that was there has been told.
    Told,
    /// What was told is worth nothing: of those that began with everything it is told again, and the
    /// others look again by themselves.
    Lost,
}

/// What [`follow`] shows.
#[derive(Debug)]
pub(super) enum Seen {
    /// The whole list, in the beginning and whenever the daemon cannot say what changed since.
    List(Value),
    /// It is there, new or not as before.
    Here(Value),
    /// It is gone; as it was last.
    Gone(Value),
}

/// What is there, and then what changes, until `show` says that nobody reads it. `query` selects.
pub(super) async fn follow(
    daemon: &Daemon,
    path: &str,
    query: &[(&'static str, String)],
    form: &'static str,
    mut show: impl FnMut(Seen) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    loop {
        let list = match daemon.get(path, query, form).await? {
            Answer::Here(list) => list,
            Answer::Missing(words) => return Err(daemon.is_foreign(&words)),
        };
        let version = list["metadata"]["resourceVersion"].as_str();
        let version = version.unwrap_or("0").to_owned();
        let mut going_on = show(Seen::List(list))?;
        let mut changes = Changes::since(daemon, path.to_owned(), query.to_vec(), form, version);
        while going_on {
            going_on = match changes.next().await? {
                Change::Here(it) => show(Seen::Here(it))?,
                Change::Gone(it) => show(Seen::Gone(it))?,
                Change::Told => true,
                Change::Lost => break,
            };
        }
        if !going_on {
            return Ok(());
        }
    }
}

impl<'d> Changes<'d> {
    /// What changes after a version. `query` selects.
    fn since(
        daemon: &'d Daemon,
        path: String,
        query: Vec<(&'static str, String)>,
        form: &'static str,
        version: String,
    ) -> Self {
        Self {
            since: Some(version),
            ..Self::all(daemon, path, query, form)
        }
    }

    /// What is there, then [`Change::Told`], then what changes.
    pub(super) fn all(
        daemon: &'d Daemon,
        path: String,
        query: Vec<(&'static str, String)>,
        form: &'static str,
    ) -> Self {
        Self {
            daemon,
            path,
            query,
            form,
            since: None,
            answer: None,
            text: Vec::new(),
            silent: false,
        }
    }

    /// The next one. An answer that ends is asked for again, where it ended.
    pub(super) async fn next(&mut self) -> anyhow::Result<Change> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                self.silent = false;
                match self.understood(&line)? {
                    Some(change) => return Ok(change),
                    None => continue,
                }
            }
            let Some(answer) = &mut self.answer else {
                match self.begin().await? {
                    true => continue,
                    false => return Ok(Change::Lost),
                }
            };
            match answer.chunk().await {
                Ok(Some(chunk)) => self.text.extend_from_slice(&chunk),
                // It has lasted long enough, or the daemon ends; whether it does is seen soon.
                Ok(None) | Err(_) => {
                    self.answer = None;
                    if self.since.is_none() {
                        return Ok(Change::Lost);
                    }
                }
            }
        }
    }

    /// Asks; says whether the daemon remembers where to begin.
    async fn begin(&mut self) -> anyhow::Result<bool> {
        if std::mem::replace(&mut self.silent, true) {
            sleep(PAUSE).await;
        }
        self.text.clear();
        let mut query = self.query.clone();
        query.push(("watch", "1".to_owned()));
        query.push(("allowWatchBookmarks", "true".to_owned()));
        match &self.since {
            Some(version) => query.push(("resourceVersion", version.clone())),
            None => query.push(("sendInitialEvents", "true".to_owned())),
        }
        self.answer = self.daemon.open(&self.path, &query, self.form).await?;
        Ok(self.answer.is_some())
    }

    fn understood(&mut self, line: &[u8]) -> anyhow::Result<Option<Change>> {
        let mut event: Value = serde_json::from_slice(line)
            .map_err(|_| self.daemon.is_foreign("a line of its watch is no JSON"))?;
        let object = event["object"].take();
        let metadata = &object["metadata"];
        let version = metadata["resourceVersion"].as_str().map(str::to_owned);
        let all_told = metadata["annotations"]["k8s.io/initial-events-end"] == "true";
        let change = match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => Some(Change::Here(object)),
            Some("DELETED") => Some(Change::Gone(object)),
            Some("BOOKMARK") => all_told.then_some(Change::Told),
            Some("ERROR") => {
                self.answer = None;
                self.text.clear();
                Some(Change::Lost)
            }
            _ => None,
        };
        if self.since.is_some() {
            self.since = version.or(self.since.take());
        }
        Ok(change)
    }
}
