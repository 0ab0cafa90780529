//! One HTTP exchange: a request goes out, a whole and bounded answer comes back, or it is known why not.
//!
//! The way is reqwest, or a service inside the process (a `Router` under a paused clock, without
//! sockets). Nothing here knows OpenStack, retries, or follows a redirect.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method};
use reqwest::Url;
use secrecy::ExposeSecret;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::profile::{Profile, Proxies};
use super::tls;
use crate::zoo::{self, Bug};

/// An error of any kind, as services and streams have it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A server inside the process. An `io::Error` of kind `ConnectionRefused` means that the request
/// never arrived; any other error that it got lost on the way.
pub type InProcess = BoxCloneSyncService<
    http::Request<axum::body::Body>,
    http::Response<axum::body::Body>,
    BoxError,
>;

/// A router as a server inside the process.
#[must_use]
pub fn in_process(router: axum::Router) -> InProcess {
    BoxCloneSyncService::new(tower::service_fn(
        move |request: http::Request<axum::body::Body>| {
            let router = router.clone();
            async move {
                router
                    .oneshot(request)
                    .await
                    .map_err(|never| match never {})
            }
        },
    ))
}

/// The way that requests take.
#[derive(Clone)]
pub enum Transport {
    /// Over the network.
    Http(reqwest::Client),
    /// To a service inside the process.
    InProcess(InProcess),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "Http",
            Self::InProcess(_) => "InProcess",
        })
    }
}

/// Bytes of a request body as they come.
pub(super) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>;

/// What a request carries.
pub(super) enum Payload {
    None,
    Bytes(Bytes),
    Stream(ByteStream),
}

/// A request that is ready to go.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    /// Deadline of everything up to the answer's last byte.
    pub(super) timeout: Option<Duration>,
    /// The longest body that is read, counted after decompression.
    pub(super) cap: usize,
}

/// A whole answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The request certainly did not arrive.
    NotSent {
        reason: String,
        hint: Option<String>,
    },
    /// It may have arrived; with the status when there was one.
    Lost { reason: String, status: Option<u16> },
}

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections are dropped before the usual load balancer drops them (30 s), so that a request
/// rarely meets a connection that is being closed.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// This program's name to servers.
pub(super) const USER_AGENT: &str = concat!("stackward/", env!("CARGO_PKG_VERSION"));

impl Transport {
    /// A network client for one cloud. The error is a text for a person.
    pub(super) fn for_profile(profile: &Profile) -> Result<Self, String> {
        let config = tls::client_config(&profile.tls)?;
        Self::with_proxies(plain_builder(config), &profile.proxies)?
            .build()
            .map(Self::Http)
            .map_err(|error| describe(&error))
    }

    /// Adds the proxies of the environment. Never for loopback: through a proxy that is the proxy's own.
    pub(super) fn with_proxies(
        mut builder: reqwest::ClientBuilder,
        proxies: &Proxies,
    ) -> Result<reqwest::ClientBuilder, String> {
        let except = format!("localhost,127.0.0.0/8,::1,{}", proxies.except);
        let except = reqwest::NoProxy::from_string(&except);
        let described = |error: reqwest::Error| describe(&error);
        if let Some(proxy) = &proxies.http {
            let proxy = reqwest::Proxy::http(proxy.expose_secret()).map_err(described)?;
            builder = builder.proxy(proxy.no_proxy(except.clone()));
        }
        if let Some(proxy) = &proxies.https {
            let proxy = reqwest::Proxy::https(proxy.expose_secret()).map_err(described)?;
            builder = builder.proxy(proxy.no_proxy(except));
        }
        Ok(builder)
    }

    /// Sends a request and reads its answer to the end.
    pub(super) async fn exchange(&self, request: Request) -> Result<Answer, Failure> {
        let timeout = request.timeout;
        let exchange = async {
            match self {
                Self::Http(client) => over_network(client, request).await,
                Self::InProcess(service) => within_process(service.clone(), request).await,
            }
        };
        match timeout {
            None => exchange.await,
            Some(limit) => tokio::time::timeout(limit, exchange)
                .await
                .unwrap_or_else(|_| {
                    if zoo::has(Bug::TakesATimeoutForNotSent) {
                        let reason = "timeout".to_owned();
                        return Err(Failure::NotSent { reason, hint: None });
                    }
                    Err(Failure::Lost {
                        reason: format!("no whole answer within {} s", limit.as_secs_f32()),
                        status: None,
                    })
                }),
        }
    }
}

/// What every network client of ours has in common: HTTP/1.1, no redirects, no replays, no proxy.
pub(super) fn plain_builder(config: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .http1_only()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
}

async fn over_network(client: &reqwest::Client, request: Request) -> Result<Answer, Failure> {
    let Request {
        method,
        url,
        headers,
        payload,
        cap,
        ..
    } = request;
    let mut builder = client.request(method, url).headers(headers);
    builder = match payload {
        Payload::None => builder,
        Payload::Bytes(bytes) => builder.body(bytes),
        Payload::Stream(stream) => builder.body(reqwest::Body::wrap_stream(stream)),
    };
    let response = builder.send().await.map_err(|error| failed(&error, None))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let chunks = response
        .bytes_stream()
        .map(|chunk| chunk.map_err(|error| describe(&error)));
    let body = collect(chunks, cap, status).await?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

async fn within_process(service: InProcess, request: Request) -> Result<Answer, Failure> {
    let Request {
        method,
        url,
        headers,
        payload,
        cap,
        ..
    } = request;
    let body = match payload {
        Payload::None => axum::body::Body::empty(),
        Payload::Bytes(bytes) => axum::body::Body::from(bytes),
        Payload::Stream(stream) => axum::body::Body::from_stream(stream),
    };
    let mut parts = http::Request::builder().method(method).uri(url.as_str());
    if let Some(host) = url.host_str() {
        parts = parts.header(http::header::HOST, host);
    }
    let mut request = parts.body(body).map_err(|error| Failure::NotSent {
        reason: error.to_string(),
        hint: None,
    })?;
    request.headers_mut().extend(headers);
    let response = service.oneshot(request).await.map_err(|error| {
        let refused = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        match refused {
            true => Failure::NotSent {
                reason: error.to_string(),
                hint: None,
            },
            false => Failure::Lost {
                reason: error.to_string(),
                status: None,
            },
        }
    })?;
    let (parts, body) = response.into_parts();
    let status = parts.status.as_u16();
    let chunks = body
        .into_data_stream()
        .map(|chunk| chunk.map_err(|error| error.to_string()));
    let body = collect(chunks, cap, status).await?;
    Ok(Answer {
        status,
        headers: parts.headers,
        body,
    })
}

async fn collect(
    chunks: impl Stream<Item = Result<Bytes, String>>,
    cap: usize,
    status: u16,
) -> Result<Bytes, Failure> {
    let mut chunks = std::pin::pin!(chunks);
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|reason| Failure::Lost {
            reason: format!("the answer was cut short: {reason}"),
            status: Some(status),
        })?;
        if body.len() + chunk.len() > cap {
            return Err(Failure::Lost {
                reason: format!("the answer is larger than {} MiB", cap >> 20),
                status: Some(status),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What a failed request of reqwest's says about its effect.
pub(super) fn failed(error: &reqwest::Error, status: Option<u16>) -> Failure {
    if let Some(error) = tls_error(error) {
        let (reason, hint) = tls::explain(error);
        return Failure::NotSent {
            reason,
            hint: hint.map(str::to_owned),
        };
    }
    let reason = describe(error);
    if error.is_builder() {
        return Failure::NotSent { reason, hint: None };
    }
    if error.is_connect() {
        let hint = if error.is_dns() {
            "check the host name, and this machine's name resolution"
        } else {
            "check the address and port, and that nothing on the way blocks them"
        };
        return Failure::NotSent {
            reason,
            hint: Some(hint.to_owned()),
        };
    }
    Failure::Lost { reason, status }
}

/// The innermost reasons of an error, without the address, which may hold secrets.
pub(super) fn describe(error: &reqwest::Error) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        // "client error (Connect)" and the like say nothing to a person.
        let layer = text.starts_with("client error (");
        if !layer && reasons.last().is_none_or(|last| !last.contains(&text)) {
            reasons.push(text);
        }
        next = error.source();
    }
    if error.is_timeout() && error.is_connect() {
        return format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
    }
    match reasons.len() {
        0 => "the request failed".to_owned(),
        len => reasons[len.saturating_sub(2)..].join(": "),
    }
}

fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // `source` of an `io::Error` skips the very error that it wraps.
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref());
        if let Some(found) = inner.and_then(|inner| tls_error(inner)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}
