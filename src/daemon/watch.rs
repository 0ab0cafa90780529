//! Notices changes of the directory, and reads it.
//!
//! The notice is a hint only: file systems lose them, and links move without any. What counts is the
//! reading, which is repeated at an interval whatever happens.

#![expect(
    clippy::disallowed_methods,
    reason = "which directory stands there is asked of the system"
)]

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::files::Identity;

use super::Input;
use super::load::{Loaded, Loader};
use super::metrics::Metrics;

/// Changes come in bursts: the directory is read when it has been quiet for this long,
const QUIET: Duration = Duration::from_millis(200);
/// or after this long in any case.
const BURST: Duration = Duration::from_secs(2);
/// Two readings must agree before anything is deleted: the second comes this soon.
const CONFIRM: Duration = Duration::from_secs(1);

/// Reads the directory now, after every notice, every `interval`, and when `again` says so, until it
/// is told to stop or nobody listens.
pub async fn follow(
    mut loader: Loader,
    directory: PathBuf,
    interval: Duration,
    inputs: mpsc::Sender<Input>,
    again: Arc<Notify>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut watch = Watch::new(&directory);
    // What the journal remembers may be gone from the manifests since the last run.
    let mut confirm = true;
    loop {
        // Watched before it is read: what changes in between is noticed.
        if let Err(error) = watch.renew() {
            metrics.not_watched(&watch.given, &error);
        }
        let Ok((back, loaded)) = tokio::task::spawn_blocking(move || {
            let loaded = loader.load();
            (loader, loaded)
        })
        .await
        else {
            return;
        };
        loader = back;
        let Loaded {
            desired,
            identity,
            removed,
            ..
        } = loaded;
        metrics.scanned(&desired, identity.is_some());
        let replaced = identity.is_some() && identity != watch.watched;
        let unsure = std::mem::take(&mut confirm) || removed || replaced;
        let pause = if unsure {
            CONFIRM.min(interval)
        } else {
            interval
        };
        if inputs.send(Input::Desired(desired)).await.is_err() {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = again.notified() => {}
            _ = timeout(pause, watch.noticed()) => {}
        }
    }
}

/// The operating system's notices about one directory.
pub struct Watch {
    given: PathBuf,
    /// The directory that the notices are about; `None` while there is none.
    watched: Option<Identity>,
    watcher: Option<notify::RecommendedWatcher>,
    notices: mpsc::Receiver<()>,
    sender: mpsc::Sender<()>,
    complained: bool,
}

impl Watch {
    /// Notices about this directory, from the first [`Watch::renew`] on.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        // One notice is as good as many.
        let (sender, notices) = mpsc::channel(1);
        let given = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        Self {
            given,
            watched: None,
            watcher: None,
            notices,
            sender,
            complained: false,
        }
    }

    /// Watches the directory that stands there now, if that is not done yet.
    ///
    /// # Errors
    /// It cannot be watched; said once.
    pub fn renew(&mut self) -> notify::Result<()> {
        let now = std::fs::metadata(&self.given)
            .map(|found| Identity {
                device: found.dev(),
                inode: found.ino(),
            })
            .ok();
        if self.watcher.is_some() && self.watched == now {
            return Ok(());
        }
        self.watched = now;
        let outcome = self.watch();
        let said = outcome.is_err() && std::mem::replace(&mut self.complained, true);
        match outcome {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                self.watcher = None;
                if !said {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn watch(&self) -> notify::Result<notify::RecommendedWatcher> {
        let sender = self.sender.clone();
        let root = std::fs::canonicalize(&self.given).unwrap_or_else(|_| self.given.clone());
        let tops = [self.given.clone(), root.clone()];
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Reading is an event, too, and would never end. An error means that some were lost.
                let matters = event.map_or(true, |event| {
                    let ours = |path: &PathBuf| tops.iter().any(|top| path.starts_with(top));
                    let ours = event.paths.is_empty() || event.paths.iter().any(ours);
                    ours && !matches!(event.kind, EventKind::Access(_))
                });
                if matters {
                    // Full: there is a notice already.
                    let _: Result<(), _> = sender.try_send(());
                }
            })?;
        if self.watched.is_some() {
            watcher.watch(&root, RecursiveMode::Recursive)?;
        }
        // The entry itself may be replaced: by a rename, or by a link that is turned elsewhere.
        for parent in [root.parent(), self.given.parent()].into_iter().flatten() {
            watcher.watch(parent, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }

    /// Ends when something was noticed and the burst is over.
    pub async fn noticed(&mut self) {
        if self.notices.recv().await.is_none() {
            return;
        }
        let end = Instant::now() + BURST;
        while let Ok(Some(())) =
            timeout_at(end.min(Instant::now() + QUIET), self.notices.recv()).await
        {}
    }
}
