//! A request as the simulated services see it.

use bytes::Bytes;
use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// One HTTP request, already decoded.
#[derive(Debug, Clone)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path with the service's prefix, still percent-encoded: `/compute/v2.1/servers/detail`.
    pub path: String,
    /// Decoded query parameters in their order.
    pub query: Vec<(String, String)>,
    /// Headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Payload,
}

/// The body of a request.
#[derive(Debug, Clone, Default)]
pub enum Payload {
    /// Nothing.
    #[default]
    Empty,
    /// JSON that needs no parsing (simulation).
    Json(Value),
    /// Raw bytes.
    Bytes(Bytes),
    /// Image data that was streamed past: its digest only.
    Upload(Upload),
}

/// What is kept of image data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Number of bytes.
    pub size: u64,
    /// MD5 in hex (Glance's `checksum`).
    pub md5: String,
    /// SHA-512 in hex (Glance's `os_hash_value`).
    pub sha512: String,
    /// The first bytes, which tell the format.
    pub head: Bytes,
}

impl Request {
    /// A request without a body. The query may be part of `target`.
    #[must_use]
    pub fn new(method: Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path: path.to_owned(),
            query: parse_query(query),
            headers: Vec::new(),
            body: Payload::Empty,
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new(Method::GET, target)
    }

    /// A POST of JSON.
    #[must_use]
    pub fn post(target: &str, body: Value) -> Self {
        Self::new(Method::POST, target).json(body)
    }

    /// A PUT of JSON.
    #[must_use]
    pub fn put(target: &str, body: Value) -> Self {
        Self::new(Method::PUT, target).json(body)
    }

    /// A DELETE.
    #[must_use]
    pub fn delete(target: &str) -> Self {
        Self::new(Method::DELETE, target)
    }

    /// With this JSON body.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Payload::Json(body);
        self
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// With this token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("x-auth-token", token)
    }

    /// First value of a header.
    pub(super) fn header_value(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// First value of a query parameter.
    pub(super) fn arg(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The body as JSON; `None` when there is none or it does not parse.
    pub(super) fn body_json(&self) -> Option<Value> {
        match &self.body {
            Payload::Json(value) => Some(value.clone()),
            Payload::Bytes(bytes) => serde_json::from_slice(bytes).ok(),
            Payload::Empty | Payload::Upload(_) => None,
        }
    }

    /// Decoded path segments, without empty ones.
    pub(super) fn segments(&self) -> Vec<String> {
        self.path
            .split('/')
            .filter(|s| !s.is_empty())
            .map(|s| percent_decode_str(s).decode_utf8_lossy().into_owned())
            .collect()
    }

    /// The query as text again, without the named parameters; starts with `?` or is empty.
    pub(super) fn query_without(&self, left_out: &[&str]) -> String {
        use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
        const KEEP: &AsciiSet = &NON_ALPHANUMERIC
            .remove(b'-')
            .remove(b'_')
            .remove(b'.')
            .remove(b'~');
        let mut text = String::new();
        for (name, value) in self
            .query
            .iter()
            .filter(|(n, _)| !left_out.contains(&n.as_str()))
        {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.extend(utf8_percent_encode(name, KEEP));
            text.push('=');
            text.extend(utf8_percent_encode(value, KEEP));
        }
        text
    }
}

/// Splits and decodes a query string.
fn parse_query(text: &str) -> Vec<(String, String)> {
    let decode = |s: &str| {
        percent_decode_str(&s.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        })
        .collect()
}
