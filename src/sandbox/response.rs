//! What the simulated services answer, and refusals before they have a service's form.

use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers beside `Content-Type` and `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// Whether it reaches the client.
    pub delivery: Delivery,
    /// How long a fault holds it back.
    pub delay: Duration,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON, not yet serialised.
    Json(Value),
    /// Other content: its type and its text.
    Text(&'static str, String),
    /// What a fault left of the body, under the content type of the whole.
    Bytes(Bytes),
}

/// What the way back does to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It arrives.
    Whole,
    /// The connection breaks before the first byte.
    Dropped,
    /// The connection breaks after this many bytes of the body.
    CutAfter(usize),
}

impl Response {
    /// An answer without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Empty,
            delivery: Delivery::Whole,
            delay: Duration::ZERO,
        }
    }

    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, body: Value) -> Self {
        Self {
            body: Body::Json(body),
            ..Self::empty(status)
        }
    }

    /// With this header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The JSON body, or null.
    #[must_use]
    pub fn value(&self) -> &Value {
        match &self.body {
            Body::Json(value) => value,
            _ => &Value::Null,
        }
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The body as it goes over the wire.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        match &self.body {
            Body::Empty => Bytes::new(),
            Body::Json(value) => Bytes::from(value.to_string()),
            Body::Text(_, text) => Bytes::from(text.clone()),
            Body::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// A handler's answer; the service gives a refusal its own form.
pub(super) type Answer = Result<Response, Refusal>;

/// Why a service does not do what it is asked.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The exception's name, which Neutron shows.
    pub(super) kind: &'static str,
    pub(super) message: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: "",
            message: message.into(),
            headers: Vec::new(),
        }
    }

    pub(super) fn of(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The reason phrase of a status.
pub(super) fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|s| s.canonical_reason())
        .unwrap_or("Error")
}
