//! The word of a person: a socket in the state directory that only the daemon's own user (and root)
//! can open. What is said goes to the engine as an event; everything else is only shown, by
//! [`super::serve`]. Kubernetes' API is served here too: who can open the socket may write, if anybody.

#![expect(
    clippy::disallowed_methods,
    reason = "a socket's file is made and removed by hand"
)]

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as Named, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::guard::Control;
use crate::engine::snapshot::Snapshot;
use crate::manifest::{Key, did_you_mean};

use super::kubernetes::Kubernetes;
use super::{Input, Picture, serve};

/// The socket's name in the state directory.
pub const SOCKET: &str = "control.sock";

/// The socket, open.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The next start removes what a crash leaves; here it is only tidy.
        let _: io::Result<()> = std::fs::remove_file(&self.path);
    }
}

impl Socket {
    /// Opens it in a state directory whose journal this process has locked: a socket that is there
    /// already was left behind by a process that is gone.
    ///
    /// # Errors
    /// The path is too long for a socket, or cannot be written.
    pub fn open(state: &Path) -> io::Result<Self> {
        let path = state.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Listens until it is told to stop.
    pub async fn serve(
        self,
        inputs: mpsc::Sender<Input>,
        pictures: watch::Receiver<Picture>,
        kubernetes: Kubernetes,
        stop: CancellationToken,
    ) {
        let router = Router::new()
            .route("/frozen", get(frozen))
            .route("/approve/{hash}", post(approve))
            .route("/pause", post(pause))
            .route("/resume", post(resume))
            .route("/reconcile/{kind}/{namespace}/{name}", post(reconcile))
            .with_state(Desk { inputs, pictures })
            .merge(kubernetes.router());
        serve::accept(&self.listener, router, stop).await;
    }
}

#[derive(Clone)]
struct Desk {
    inputs: mpsc::Sender<Input>,
    pictures: watch::Receiver<Picture>,
}

impl Desk {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.pictures.borrow().snapshot)
    }

    /// Answers when the word is in force and in the journal, so that a crash cannot undo it.
    async fn tell(&self, control: Control) -> Response {
        let stopping = (StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping");
        let (answer, answered) = oneshot::channel();
        let input = Input::Control(control, answer);
        if self.inputs.send(input).await.is_err() {
            return stopping.into_response();
        }
        match answered.await {
            Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
            Ok(Err(why)) => {
                let words =
                    format!("in force until the daemon ends, but not in its journal: {why}");
                (StatusCode::INTERNAL_SERVER_ERROR, words).into_response()
            }
            Err(_) => stopping.into_response(),
        }
    }
}

async fn frozen(State(desk): State<Desk>) -> Response {
    axum::Json(desk.snapshot().frozen.clone()).into_response()
}

async fn approve(State(desk): State<Desk>, Named(hash): Named<String>) -> Response {
    let snapshot = desk.snapshot();
    match &snapshot.frozen {
        Some(frozen) if frozen.hash == hash => desk.tell(Control::Approve(hash)).await,
        Some(frozen) => {
            let words = format!("what waits is {} now, not {hash}", frozen.hash);
            (StatusCode::CONFLICT, words).into_response()
        }
        None => (StatusCode::CONFLICT, "nothing waits to be approved").into_response(),
    }
}

async fn pause(State(desk): State<Desk>) -> Response {
    desk.tell(Control::Pause).await
}

async fn resume(State(desk): State<Desk>) -> Response {
    desk.tell(Control::Resume).await
}

async fn reconcile(
    State(desk): State<Desk>,
    Named((kind, namespace, name)): Named<(String, String, String)>,
) -> Response {
    let key = Key::new(kind, namespace, name);
    let snapshot = desk.snapshot();
    if snapshot.objects.contains_key(&key) {
        return desk.tell(Control::Reconcile(key)).await;
    }
    let names: Vec<String> = snapshot
        .objects
        .keys()
        .map(|it| it.short().to_string())
        .collect();
    let wanted = key.short().to_string();
    let near = did_you_mean(&wanted, names.iter().map(String::as_str));
    let near = near.map_or_else(String::new, |it| format!("; did you mean {it}?"));
    let words = format!("no manifest declares {wanted}{near}");
    (StatusCode::NOT_FOUND, words).into_response()
}
