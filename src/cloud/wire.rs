//! Requests on their way: common headers, repeats of reads, redirects, and one note per exchange.
//!
//! A write is sent once. Tokens and versions are not known here; they come as headers and addresses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use reqwest::Url;
use tokio::time::Instant;

use super::fault;
use super::transport::{Answer, Failure, Payload, Request, Transport, USER_AGENT};
use crate::kinds::call::Service;
use crate::zoo::{self, Bug};

/// Is told of each HTTP exchange, for logs and metrics. Must not block.
pub trait Observer: Send + Sync {
    /// One request was answered, or failed.
    fn exchanged(&self, exchange: &Exchange);
}

/// One HTTP request and what came of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The service it went to.
    pub service: Service,
    /// HTTP method.
    pub method: &'static str,
    /// Its path with every id replaced by `{id}`.
    pub route: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// From the first byte out to the last byte in.
    pub duration: Duration,
    /// The service's id of the request, for support tickets.
    pub request_id: Option<String>,
    /// 1 for the first time, 2 and 3 for repeats of a read.
    pub attempt: u32,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With this HTTP status.
    Status(u16),
    /// The request did not arrive.
    NotSent,
    /// No whole answer came.
    Lost,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::NotSent => f.write_str("not_sent"),
            Self::Lost => f.write_str("lost"),
        }
    }
}

/// A transport with everything that is done alike for each request.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) transport: Transport,
    pub(super) observer: Option<Arc<dyn Observer>>,
    /// Deadline of each attempt, unless the request has its own.
    pub(super) timeout: Duration,
}

/// A request before it is dressed.
pub(super) struct Ask {
    pub(super) service: Service,
    pub(super) route: &'static str,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    pub(super) timeout: Deadline,
    pub(super) cap: usize,
}

/// How long an attempt may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deadline {
    Usual,
    Of(Duration),
    /// Somebody else watches it.
    None,
}

/// Answers that are no list.
pub(super) const USUAL_CAP: usize = 8 << 20;

/// How often a read is repeated after its first failure.
const REPEATS: u32 = 2;

/// Longer waits are left to the caller, who has other things to do.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How many redirects of one read are followed.
const REDIRECTS: u32 = 5;

impl Ask {
    pub(super) fn get(service: Service, route: &'static str, url: Url) -> Self {
        Self {
            service,
            route,
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            payload: Payload::None,
            timeout: Deadline::Usual,
            cap: USUAL_CAP,
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let _ = self.headers.insert(name, value);
        self
    }

    pub(super) fn token(self, token: Option<&HeaderValue>) -> Self {
        match token {
            Some(token) => self.header(HeaderName::from_static("x-auth-token"), token.clone()),
            None => self,
        }
    }

    pub(super) fn json(mut self, body: &serde_json::Value) -> Self {
        self.payload = Payload::Bytes(body.to_string().into());
        self.header(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )
    }
}

/// Scheme, host, port and path of an address: what may be shown. The rest may be secret.
pub(super) fn place(url: &Url) -> String {
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path()
    )
}

impl Wire {
    /// Sends a request; a read again when it failed for a reason that passes.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Answer, Failure> {
        let Ask {
            service,
            route,
            method,
            mut url,
            headers,
            payload,
            timeout,
            cap,
        } = ask;
        let timeout = match timeout {
            Deadline::Usual => Some(self.timeout),
            Deadline::Of(limit) => Some(limit),
            Deadline::None => None,
        };
        let once = |url: Url, payload: Payload, attempt: u32| {
            let request = Request {
                method: method.clone(),
                url,
                headers: dressed(&headers),
                payload,
                timeout,
                cap,
            };
            self.observed(service, route, request, attempt)
        };
        let is_read = method == Method::GET
            || zoo::has(Bug::RepeatsAWrite)
            || zoo::has(Bug::FollowsARedirectOfAWrite);
        if !is_read {
            return once(url, payload, 1).await;
        }
        let (mut attempt, mut redirects) = (1, 0);
        loop {
            let outcome = once(url.clone(), Payload::None, attempt).await;
            if let Some(next) = redirect(&url, &outcome).filter(|_| redirects < REDIRECTS) {
                redirects += 1;
                url = next;
                continue;
            }
            match worth_repeating(&outcome, attempt) {
                Some(wait) if attempt <= REPEATS && !zoo::has(Bug::FollowsARedirectOfAWrite) => {
                    tokio::time::sleep(wait).await
                }
                _ => return outcome,
            }
            attempt += 1;
        }
    }

    async fn observed(
        &self,
        service: Service,
        route: &'static str,
        request: Request,
        attempt: u32,
    ) -> Result<Answer, Failure> {
        let (started, method) = (Instant::now(), method_name(&request.method));
        let result = self.transport.exchange(request).await;
        let exchange = Exchange {
            service,
            method,
            route,
            outcome: match &result {
                Ok(answer) => Outcome::Status(answer.status),
                Err(Failure::NotSent { .. }) => Outcome::NotSent,
                Err(Failure::Lost { .. }) => Outcome::Lost,
            },
            duration: started.elapsed(),
            request_id: result.as_ref().ok().and_then(fault::request_id),
            attempt,
        };
        tracing::debug!(
            service = %exchange.service,
            method = exchange.method,
            route = exchange.route,
            outcome = %exchange.outcome,
            elapsed = exchange.duration.as_secs_f64(),
            request_id = exchange.request_id.as_deref(),
            attempt = exchange.attempt,
            "exchange with the cloud"
        );
        if let Some(observer) = &self.observer {
            observer.exchanged(&exchange);
        }
        result
    }
}

/// The headers of every request, and an id of its own for each attempt.
fn dressed(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    let _ = headers
        .entry(ACCEPT)
        .or_insert_with(|| HeaderValue::from_static("application/json"));
    let _ = headers.insert(
        http::header::USER_AGENT,
        HeaderValue::from_static(USER_AGENT),
    );
    if let Ok(id) = HeaderValue::from_str(&format!("req-{}", uuid::Uuid::new_v4())) {
        let _ = headers.insert(HeaderName::from_static("x-openstack-request-id"), id);
    }
    headers
}

/// Where a read was sent on to, as long as it stays with the same server: the token goes with it.
fn redirect(url: &Url, outcome: &Result<Answer, Failure>) -> Option<Url> {
    let answer = outcome.as_ref().ok()?;
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let next = url.join(answer.header("location")?).ok()?;
    (next.origin() == url.origin()).then_some(next)
}

/// How long to wait before the same read is tried again, if it is worth it.
fn worth_repeating(outcome: &Result<Answer, Failure>, attempt: u32) -> Option<Duration> {
    let pause = Duration::from_millis(250) * 2_u32.pow(attempt);
    match outcome {
        Ok(answer) if matches!(answer.status, 429 | 502 | 503 | 504) => {
            let wait = fault::retry_after(answer).unwrap_or(pause);
            (wait <= LONGEST_WAIT).then_some(wait)
        }
        Ok(_) => None,
        // What cannot be mended by waiting (an unknown authority, a wrong name) has no second chance.
        Err(Failure::NotSent { reason, .. }) if reason.contains("certificate") => None,
        Err(Failure::NotSent { .. }) => Some(pause),
        Err(Failure::Lost {
            status: None,
            reason,
        }) if !reason.starts_with("no whole answer") => Some(pause),
        Err(Failure::Lost { .. }) => None,
    }
}

fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "OTHER",
    }
}
