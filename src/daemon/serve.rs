//! The HTTP endpoint: metrics, probes, status, and Kubernetes' API. It reads pictures; what is written
//! through that API is written there.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::join_all;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::Picture;
use super::clock::{Clock, Heartbeat};
use super::door::Door;
use super::kubernetes::Kubernetes;
use super::metrics::Metrics;
use super::tls::Behind;
use super::tokens::Caller;
use super::{page, telemetry};

/// A loop that has not turned for this long hangs.
const ALIVE_WITHIN: Duration = Duration::from_secs(30);
/// A request's head must be complete after this long,
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// and the whole exchange after this long, unless it is one that goes on and its client keeps up.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Connections at a time; others wait.
const CONNECTIONS: usize = 64;

/// What is shown.
#[derive(Clone)]
pub struct Shown {
    /// The daemon's pictures.
    pub pictures: watch::Receiver<Picture>,
    /// Whether its loop turns.
    pub heartbeat: Heartbeat,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Kubernetes' API.
    pub kubernetes: Kubernetes,
}

/// The endpoint's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct CannotListen {
    /// The address.
    pub address: SocketAddr,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl CannotListen {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                "another process listens there: stop it, or choose another --listen (port 0 takes a free one)"
            }
            io::ErrorKind::PermissionDenied => "choose a port above 1023 with --listen",
            _ => "choose an address of this machine with --listen, or --listen none",
        }
    }
}

/// Takes the address, so that it is known before anything else begins; port 0 takes a free one.
///
/// # Errors
/// The address is in use, or not of this machine.
pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), CannotListen> {
    let failed = |source| CannotListen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Answers whom the door lets in, at each listener the same, until it is told to stop.
pub async fn serve(listeners: Vec<TcpListener>, shown: Shown, door: Door, stop: CancellationToken) {
    let kubernetes = shown.kubernetes.clone().router();
    let router = door.before(router(shown).merge(kubernetes));
    let accepting = listeners.into_iter().map(|listener| {
        let door = door.clone();
        accept(Behind { listener, door }, router.clone(), stop.clone())
    });
    join_all(accepting).await;
}

/// The time that an exchange still has. Whoever answers for longer renews it.
#[derive(Debug, Clone)]
pub(super) struct Lease(Arc<Mutex<Instant>>);

impl Lease {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + ANSWER_WITHIN)))
    }

    /// Gives it as much time as it had at the beginning.
    pub(super) fn renew(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + ANSWER_WITHIN;
    }

    fn end(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn is_over(&self) {
        while Instant::now() < self.end() {
            sleep_until(self.end()).await;
        }
    }
}

/// Answers by a router until it is told to stop, a bounded number of connections at a time.
pub(super) async fn accept<L: Accept>(listener: L, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    // Mostly too many open files: it passes, but not at once.
                    tracing::warn!(%error, "connection not accepted");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let router = router.clone();
        telemetry::spawn("http", async move {
            let caller = L::caller(&stream);
            answer(stream, router, caller).await;
            drop(slot);
        });
    }
}

/// What connections come from: a TCP port, or a socket of the file system.
pub(super) trait Accept {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Who is at its other end, where the system tells.
    fn caller(_: &Self::Stream) -> Option<Caller> {
        None
    }
}

impl Accept for &UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(UnixListener::accept(self).await?.0)
    }

    fn caller(stream: &UnixStream) -> Option<Caller> {
        let peer = stream.peer_cred().ok()?;
        Some(Caller::Local(peer.uid()))
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    caller: Option<Caller>,
) {
    let lease = Lease::new();
    let its_lease = lease.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let (router, lease, caller) = (router.clone(), its_lease.clone(), caller.clone());
        async move {
            // Who takes a body bounds it.
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(lease);
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            let Ok(mut response) = router.oneshot(request).await;
            response.headers_mut().insert(
                header::CONNECTION,
                header::HeaderValue::from_static("close"),
            );
            Ok::<_, Infallible>(response)
        }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    // A client that goes away, or is too slow, is its own affair.
    tokio::select! {
        _ = connection => {}
        () = lease.is_over() => {}
    }
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(live))
        // By its older name, which tools that know Kubernetes ask for.
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .merge(page::router())
        .with_state(shown)
}

async fn metrics(State(shown): State<Shown>) -> Response {
    let snapshot = Arc::clone(&shown.pictures.borrow().snapshot);
    match shown.metrics.render(&snapshot, Clock::machine().now()) {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn live(State(shown): State<Shown>) -> Response {
    let age = shown.heartbeat.age();
    if age < ALIVE_WITHIN {
        return "ok\n".into_response();
    }
    let words = format!("the loop has not turned for {} s\n", age.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, words).into_response()
}

async fn ready(State(shown): State<Shown>) -> Response {
    if shown.pictures.borrow().is_ready() {
        return "ok\n".into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "not everything was looked at yet\n",
    )
        .into_response()
}

async fn status(State(shown): State<Shown>) -> Response {
    let snapshot = Arc::clone(&shown.pictures.borrow().snapshot);
    axum::Json(&*snapshot).into_response()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn endpoint(picture: Picture) -> (SocketAddr, watch::Sender<Picture>, CancellationToken) {
        let (listener, address) = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (sender, pictures) = watch::channel(picture);
        let metrics = Arc::new(Metrics::new().unwrap());
        let shown = Shown {
            pictures,
            heartbeat: Heartbeat::new(),
            metrics,
            kubernetes: Kubernetes::new(None),
        };
        let stop = CancellationToken::new();
        let serving = serve(vec![listener], shown, Door::open(), stop.clone());
        telemetry::spawn("test", serving);
        (address, sender, stop)
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
    }

    #[tokio::test]
    async fn it_is_ready_after_the_first_complete_look() {
        let (address, sender, _stop) = endpoint(Picture::default()).await;
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let snapshot = Arc::new(crate::engine::snapshot::Snapshot {
            looked: true,
            ..Default::default()
        });
        sender.send_replace(Picture {
            snapshot,
            loaded: true,
            ..Picture::default()
        });
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn metrics_are_text_and_status_is_json() {
        let (address, _sender, _stop) = endpoint(Picture::default()).await;
        let answer = get(address, "/metrics").await;
        assert!(
            answer.contains("content-type: text/plain; version=0.0.4"),
            "{answer}"
        );
        assert!(answer.contains("stackward_build_info{version="), "{answer}");
        assert!(
            answer.contains("\nprocess_resident_memory_bytes "),
            "{answer}"
        );
        let answer = get(address, "/status").await;
        assert!(
            answer.ends_with(r#""atRest":false,"looked":false}"#),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn nothing_can_be_written_and_a_body_is_not_waited_for() {
        let (address, _sender, _stop) = endpoint(Picture::default()).await;
        let request = "POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
        assert!(ask(address, request).await.starts_with("HTTP/1.1 405"));
        let long = format!(
            "GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "y".repeat(100_000)
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may hang up before all of it is sent.
        let _: io::Result<()> = stream.write_all(long.as_bytes()).await;
        let mut answer = Vec::new();
        let _: io::Result<usize> = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_has_its_time_and_more_only_if_it_is_renewed() {
        let (lease, began) = (Lease::new(), Instant::now());
        let renewed = lease.clone();
        let going_on = async {
            sleep(ANSWER_WITHIN - Duration::from_secs(1)).await;
            renewed.renew();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = lease.is_over() => {}
            () = going_on => {}
        }
        let expected = 2 * ANSWER_WITHIN - Duration::from_secs(1);
        assert!(began.elapsed() >= expected && began.elapsed() < expected + ANSWER_WITHIN);
    }

    #[tokio::test]
    async fn a_busy_port_is_said_with_a_hint() {
        let (_listener, address) = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let error = bind(address).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {address}"));
        assert!(error.hint().contains("--listen"));
    }
}
