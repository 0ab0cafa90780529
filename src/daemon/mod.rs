//! The thin shell around the engine: it carries effects out and hands their results back.
//!
//! One task owns the engine. It awaits nothing but events: every effect is a task of its own. What
//! is decided is decided in [`crate::engine`].

pub mod clock;
pub mod clouds;
pub mod control;
pub mod door;
pub mod kubernetes;
pub mod load;
pub mod metrics;
mod page;
pub mod preview;
mod process;
pub mod remote;
pub mod serve;
pub mod supervisor;
pub mod telemetry;
mod tls;
mod tokens;
mod turn;
pub mod uploads;
pub mod watch;
mod web;
pub mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch as watched};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::engine::desired::Desired;
use crate::engine::guard::Control;
use crate::engine::scope::Scope;
use crate::engine::snapshot::Snapshot;
use crate::engine::{Engine, Settings};
use crate::store::Store;

use clock::{Clock, Heartbeat};
use metrics::Metrics;
use remote::Connections;

/// Everything that a daemon is made of.
pub struct Parts {
    /// The brain.
    pub engine: Engine,
    /// The journal.
    pub store: Store,
    /// The clouds.
    pub connections: Connections,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Something that the daemon is told from outside.
#[derive(Debug)]
pub enum Input {
    /// The directory was read.
    Desired(Arc<Desired>),
    /// Credentials are to be read again.
    Reload,
    /// The settings were read again.
    Settings(Settings),
    /// A person has spoken.
    Control(Control, Answer),
}

/// Tells a person that the word is in force and in the journal, or why it is not in the journal.
pub type Answer = oneshot::Sender<Result<(), String>>;

/// What can be seen of a daemon.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// The engine's own.
    pub snapshot: Arc<Snapshot>,
    /// The directory was read at least once.
    pub loaded: bool,
    /// Scopes whose credentials were refused for good.
    pub refused: BTreeMap<Scope, String>,
}

impl Picture {
    /// The first complete look at the manifests and the clouds is over.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.loaded && self.snapshot.looked
    }
}

/// A daemon that runs.
pub struct Daemon {
    /// What can be seen of it; the sender is gone when it has ended.
    pub pictures: watched::Receiver<Picture>,
    /// Whether it turns.
    pub heartbeat: Heartbeat,
    /// What it is told.
    pub inputs: mpsc::Sender<Input>,
    /// Tells it to stop: nothing new is begun, what is in flight is waited for and journaled.
    pub stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Daemon {
    /// Starts one on the current runtime.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let (pictures, seen) = watched::channel(Picture::default());
        let (inputs, inbox) = mpsc::channel(16);
        let heartbeat = Heartbeat::new();
        let stop = CancellationToken::new();
        let turn = turn::Turn::new(parts, pictures, inbox, heartbeat.clone(), stop.clone());
        let task = telemetry::spawn("engine", turn.run());
        Self {
            pictures: seen,
            heartbeat,
            inputs,
            stop,
            task,
        }
    }

    /// Stops it and waits until everything in flight has ended and is journaled, at most 30 s.
    pub async fn stop(self) {
        self.stop.cancel();
        // A panic of the task was reported by the panic hook; there is nothing left to wait for.
        let _: Result<(), _> = self.task.await;
    }
}
