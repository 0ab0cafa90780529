//! The HTTP shell: the world behind a socket or a router. Image data is measured as it streams past.
//!
//! Beside the services there are `GET /sandbox/requests`, `POST /sandbox/reset`, and `GET`, `PUT`, `DELETE` of
//! `/sandbox/faults` (PUT takes `{"faults": [rule, ...]}` and replaces all rules).

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response as HttpResponse;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{Method, StatusCode, header};
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::json;
use sha2::Sha512;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::fault::Rule;
use super::image::{HEAD, hex};
use super::options::Options;
use super::request::{Payload, Request, Upload};
use super::response::{Body, Delivery, Response};
use super::world::{RequestCount, World};

/// No request but an upload is longer.
const LONGEST_BODY: usize = 16 << 20;

/// A simulated cloud on a socket.
#[derive(Debug)]
pub struct Sandbox;

/// A running sandbox; dropping it stops it.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    world: SharedWorld,
    server: JoinHandle<()>,
}

type SharedWorld = Arc<Mutex<World>>;

impl Sandbox {
    /// Starts to serve a new cloud; port 0 takes a free one.
    pub async fn start(mut options: Options, listen: SocketAddr) -> io::Result<Running> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        options.base_url = format!("http://{address}");
        let world = Arc::new(Mutex::new(World::new(options, Timestamp::now())));
        let routes = router(Arc::clone(&world));
        let server = tokio::spawn(async move {
            // It ends when the task is aborted; errors of single connections are not its own.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Running {
            address,
            world,
            server,
        })
    }
}

impl Running {
    /// The base of all URLs, e.g. `http://127.0.0.1:40001`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A clouds.yaml with `sandbox` (the project user demo), `sandbox-admin` and `sandbox-v2` (identity v2.0).
    #[must_use]
    pub fn clouds_yaml(&self) -> String {
        let password = self.world().options().password.clone();
        let cloud = |name: &str, user: &str, version: &str| {
            let (path, domains) = match version {
                "3" => (
                    "/identity/v3",
                    "\n      user_domain_name: Default\n      project_domain_name: Default",
                ),
                _ => ("/identity/v2.0", ""),
            };
            let url = self.url();
            let quoted = json!(password);
            format!(
                "  {name}:\n    auth:\n      auth_url: {url}{path}\n      username: {user}\n      password: {quoted}\n      \
                 project_name: {user}{domains}\n    region_name: RegionOne\n    identity_api_version: \"{version}\"\n    \
                 interface: public\n"
            )
        };
        format!(
            "clouds:\n{}{}{}",
            cloud("sandbox", "demo", "3"),
            cloud("sandbox-admin", "admin", "3"),
            cloud("sandbox-v2", "demo", "2.0")
        )
    }

    /// The world, locked. Requests wait as long as it is held.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// How often each route was asked.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestCount> {
        self.world().requests()
    }

    /// Stops serving; open connections break.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The routes of a sandbox, for a server of one's own or for `tower::ServiceExt::oneshot`.
pub fn router(world: Arc<Mutex<World>>) -> Router {
    Router::new().fallback(serve).with_state(world)
}

async fn serve(State(world): State<SharedWorld>, incoming: HttpRequest) -> HttpResponse {
    let (parts, body) = incoming.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |t| t.as_str());
    let mut request = Request::new(parts.method, target);
    request.headers = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let is_data = request.method == Method::PUT
        && request.path.starts_with("/image/v2/images/")
        && (request.path.ends_with("/file") || request.path.ends_with("/stage"));
    if is_data {
        // The guard must be gone before the first await.
        let begun = lock(&world).begin_upload(&request, Timestamp::now());
        if let Err(refusal) = begun {
            return deliver(*refusal);
        }
        match measure(body).await {
            Some(upload) => request.body = Payload::Upload(upload),
            None => {
                lock(&world).abort_upload(&request);
                return deliver(Response::json(
                    400,
                    json!({"message": "the request body broke off"}),
                ));
            }
        }
    } else {
        match axum::body::to_bytes(body, LONGEST_BODY).await {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => request.body = Payload::Bytes(bytes),
            Err(_) => {
                return deliver(Response::json(
                    413,
                    json!({"message": "the request body is too long"}),
                ));
            }
        }
    }
    if request.path.starts_with("/sandbox/") {
        return deliver(control(&world, &request));
    }
    let response = lock(&world).handle(&request, Timestamp::now());
    if !response.delay.is_zero() {
        tokio::time::sleep(response.delay).await;
    }
    deliver(response)
}

/// The switchboard's own routes.
fn control(world: &SharedWorld, request: &Request) -> Response {
    let mut world = lock(world);
    match (&request.method, request.path.trim_end_matches('/')) {
        (&Method::GET, "/sandbox/requests") => {
            Response::json(200, json!({"requests": world.requests()}))
        }
        (&Method::POST, "/sandbox/reset") => {
            world.reset_requests();
            Response::empty(204)
        }
        (&Method::GET, "/sandbox/faults") => Response::json(200, world.faults.report()),
        (&Method::DELETE, "/sandbox/faults") => {
            world.clear_faults();
            Response::empty(204)
        }
        (&Method::PUT, "/sandbox/faults") => {
            let rules = request.body_json().map(|mut body| body["faults"].take());
            match rules.map(serde_json::from_value::<Vec<Rule>>) {
                Some(Ok(rules)) => {
                    world.clear_faults();
                    for rule in rules {
                        world.add_fault(rule);
                    }
                    Response::json(200, world.faults.report())
                }
                Some(Err(error)) => Response::json(400, json!({"message": error.to_string()})),
                None => Response::json(
                    400,
                    json!({"message": "expected {\"faults\": [rule, ...]}"}),
                ),
            }
        }
        _ => Response::json(
            404,
            json!({"message": "the sandbox has /sandbox/requests, /reset and /faults"}),
        ),
    }
}

/// Measures a body without keeping it; `None` if it breaks off.
async fn measure(body: HttpBody) -> Option<Upload> {
    let (mut md5, mut sha512, mut size) = (Md5::new(), Sha512::new(), 0u64);
    let mut head = BytesMut::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.ok()?;
        md5.update(&chunk);
        sha512.update(&chunk);
        size += chunk.len() as u64;
        head.extend_from_slice(&chunk[..chunk.len().min(HEAD - head.len())]);
    }
    Some(Upload {
        size,
        md5: hex(&md5.finalize()),
        sha512: hex(&sha512.finalize()),
        head: head.freeze(),
    })
}

fn deliver(response: Response) -> HttpResponse {
    let bytes = response.bytes();
    let mut outgoing = HttpResponse::builder()
        .status(StatusCode::from_u16(response.status).unwrap_or(StatusCode::BAD_GATEWAY));
    let content_type = match &response.body {
        Body::Empty => None,
        Body::Json(_) | Body::Bytes(_) => Some("application/json"),
        Body::Text(kind, _) => Some(*kind),
    };
    if let Some(content_type) = content_type {
        outgoing = outgoing.header(header::CONTENT_TYPE, content_type);
    }
    for (name, value) in &response.headers {
        outgoing = outgoing.header(*name, value);
    }
    let body = match response.delivery {
        Delivery::Whole => HttpBody::from(bytes),
        Delivery::CutAfter(length) => {
            outgoing = outgoing.header(header::CONTENT_LENGTH, bytes.len());
            broken(Some(bytes.slice(..length.min(bytes.len()))))
        }
        // hyper writes the head with the first piece of the body; there is none, so nothing is sent.
        Delivery::Dropped => broken(None),
    };
    outgoing
        .body(body)
        .unwrap_or_else(|_| HttpResponse::new(HttpBody::empty()))
}

/// A body that ends in an error, at which hyper closes the connection.
fn broken(first: Option<Bytes>) -> HttpBody {
    let error = || io::Error::new(io::ErrorKind::ConnectionReset, "a fault of the sandbox");
    let Some(first) = first else {
        return HttpBody::from_stream(futures_util::stream::iter([Err::<Bytes, _>(error())]));
    };
    // hyper writes out what it has when the body makes it wait.
    let end = futures_util::stream::once(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(error())
    });
    HttpBody::from_stream(futures_util::stream::iter([Ok(first)]).chain(end))
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    // A panic in one request must not end all others: the state is plain data and stays readable.
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
