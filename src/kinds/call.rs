//! A request to OpenStack as data, and what may come of it.
//!
//! Kinds build these, the engine decides when one is sent, `cloud` sends it. Nothing here does I/O.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An OpenStack service, by its official type in the service-types authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Keystone.
    Identity,
    /// Glance.
    Image,
    /// Nova.
    Compute,
    /// Cinder.
    BlockStorage,
    /// Neutron.
    Network,
    /// Manila.
    SharedFileSystem,
}

impl Service {
    /// Every service, in the order in which they are usually needed.
    pub const ALL: [Self; 6] = [
        Self::Identity,
        Self::Image,
        Self::Compute,
        Self::BlockStorage,
        Self::Network,
        Self::SharedFileSystem,
    ];

    /// The official service type: `identity`, `image`, `compute`, `block-storage`, `network`,
    /// `shared-file-system`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Image => "image",
            Self::Compute => "compute",
            Self::BlockStorage => "block-storage",
            Self::Network => "network",
            Self::SharedFileSystem => "shared-file-system",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// HTTP method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Read; safe to repeat.
    Get,
    /// Create or act; never repeated by the client.
    Post,
    /// Replace.
    Put,
    /// Change in part.
    Patch,
    /// Delete.
    Delete,
}

impl Method {
    /// The method's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A microversion that a request was written for: the newest one it understands and the oldest one
/// that it can do with. The client sends `min(want, what the server offers)`, and refuses when that
/// is below `floor`. Never "latest".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion {
    /// The version asked for when the server has it.
    pub want: (u16, u16),
    /// The oldest version with which the request still means the same.
    pub floor: (u16, u16),
}

/// Stands in a path for the id of the user whose connection it is, as `$(user_id)s` does in a
/// catalog: what belongs to a user is listed below that user. [`segment`] never gives this text.
pub const USER_ID: &str = "{user_id}";

/// One HTTP request to one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Where it goes.
    pub service: Service,
    /// HTTP method.
    pub method: Method,
    /// Path below the service's versioned endpoint, without a leading slash: `servers/{id}/action`.
    /// Each segment that is not a literal has been percent-encoded with [`segment`]; [`USER_ID`] is
    /// put in by who sends it.
    pub path: String,
    /// Query parameters, not yet encoded.
    pub query: Vec<(String, String)>,
    /// Microversion, for the services that have them (compute, block storage, shared file systems).
    pub microversion: Option<Microversion>,
    /// What is sent.
    pub body: Body,
    /// Deadline of the whole request; `None` is the client's default (60 s). Uploads have no
    /// total deadline, only one for a stall.
    pub timeout: Option<Duration>,
    /// Path of the same request with every id replaced by `{id}`: the label of metrics and logs.
    pub route: &'static str,
}

impl Call {
    /// A request without a body.
    #[must_use]
    pub fn new(
        service: Service,
        method: Method,
        route: &'static str,
        path: impl Into<String>,
    ) -> Self {
        Self {
            service,
            method,
            path: path.into(),
            query: Vec::new(),
            microversion: None,
            body: Body::None,
            timeout: None,
            route,
        }
    }

    /// The same request with a JSON body.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// The same request with another body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// The same request at a microversion.
    #[must_use]
    pub fn at(mut self, microversion: Option<Microversion>) -> Self {
        self.microversion = microversion;
        self
    }
}

/// Percent-encodes one path segment, so that an id can never change the path it is put into.
#[must_use]
pub fn segment(id: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    match id {
        "." | ".." => id.replace('.', "%2E"),
        _ => utf8_percent_encode(id, KEEP).to_string(),
    }
}

/// What a request carries. `Debug` never prints contents: bodies hold user data and passwords.
#[derive(Clone, PartialEq)]
pub enum Body {
    /// Nothing.
    None,
    /// `application/json`.
    Json(Value),
    /// RFC 6902 operations in Glance's media type `application/openstack-images-v2.1-json-patch`.
    ImagePatch(Value),
    /// A byte stream, `application/octet-stream`, never whole in memory.
    Upload(Upload),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Json(_) => f.write_str("Json(..)"),
            Self::ImagePatch(_) => f.write_str("ImagePatch(..)"),
            Self::Upload(upload) => f.debug_tuple("Upload").field(upload).finish(),
        }
    }
}

/// The source of an upload and what is checked on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Where the bytes come from.
    pub source: Source,
    /// How they are decompressed on the way, if at all.
    pub decompress: Option<Compression>,
    /// The digest of the bytes as they arrive from the source, before any decompression. A
    /// difference aborts the upload before its last byte was sent.
    pub hash: Option<Hash>,
}

/// Where the bytes of an upload come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A local file; the path was resolved beneath an allowed root when the manifest was read.
    File(PathBuf),
    /// An HTTP or HTTPS address.
    Url(String),
}

/// Compression of an image's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// XZ.
    Xz,
    /// gzip.
    Gz,
    /// bzip2.
    Bz2,
}

/// A digest that must match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hash {
    /// The algorithm.
    pub algorithm: HashAlgorithm,
    /// The digest in lower-case hexadecimal.
    #[schemars(extend("examples" = [
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
    ]))]
    pub value: String,
}

/// Digest algorithms that ORC accepts for images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HashAlgorithm {
    /// MD5: an integrity check only.
    Md5,
    /// SHA-1: an integrity check only.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// A request that only looks: who can send nothing else cannot change anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Get {
    /// See [`Call::service`].
    pub service: Service,
    /// See [`Call::route`].
    pub route: &'static str,
    /// See [`Call::path`].
    pub path: String,
    /// See [`Call::query`].
    pub query: Vec<(String, String)>,
    /// See [`Call::microversion`].
    pub microversion: Option<Microversion>,
}

impl From<&Get> for Call {
    fn from(get: &Get) -> Self {
        let call = Self::new(get.service, Method::Get, get.route, get.path.clone());
        Self {
            query: get.query.clone(),
            ..call.at(get.microversion)
        }
    }
}

/// A whole collection to be read, page by page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The service.
    pub service: Service,
    /// Path below the versioned endpoint: `servers/detail`; with [`USER_ID`] as in [`Call::path`].
    pub path: &'static str,
    /// Query parameters of the first page.
    pub query: Vec<(String, String)>,
    /// The key of the array in the answer: `servers`.
    pub items: &'static str,
    /// Microversion, for the services that have them.
    pub microversion: Option<Microversion>,
    /// The same is asked for once more with each of these parameters, and all of it is one list: what
    /// a service shows part by part only.
    pub parts: Vec<(&'static str, String)>,
}

impl List {
    /// The requests that make it up, none of them with parts of its own.
    pub fn requests(&self) -> impl Iterator<Item = Self> {
        let whole = Self {
            parts: Vec::new(),
            ..self.clone()
        };
        let parts: Vec<Self> = self
            .parts
            .iter()
            .map(|(name, value)| {
                let mut part = whole.clone();
                part.query.push(((*name).to_owned(), value.clone()));
                part
            })
            .collect();
        std::iter::once(whole).chain(parts)
    }
}

/// A 2xx answer whose body was read to its end and understood.
#[derive(Clone, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The decoded body; `Null` when there was none.
    pub body: Value,
    /// `X-Openstack-Request-Id` of the answer, for support tickets.
    pub request_id: Option<String>,
}

impl fmt::Debug for Reply {
    // The body may hold adminPass or user data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// Why a request has no [`Reply`], by what is known of its effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It certainly did not reach the service: name resolution, connection refused, TLS handshake,
    /// no such service in the catalog, no usable credentials, a local file that cannot be read; or an
    /// upload that this side ended before its last byte (wrong digest, broken source).
    #[error("{message}")]
    NotSent {
        /// What happened, with the address.
        message: String,
        /// A hint for a person, when one can mend it.
        hint: Option<String>,
    },
    /// The service answered 4xx: it was understood and refused.
    #[error("{service} answered {status}: {message}{}", id_suffix(.request_id))]
    Rejected {
        /// Who answered.
        service: Service,
        /// HTTP status.
        status: u16,
        /// Short type of the fault when the service names one (`OverQuota`, `SecurityGroupRuleExists`).
        fault: Option<String>,
        /// The service's own words.
        message: String,
        /// `X-Openstack-Request-Id`.
        request_id: Option<String>,
        /// `Retry-After`, clamped to 1 s .. 5 min.
        retry_after: Option<Duration>,
    },
    /// Whether it took effect is not known: time-out, reset after the first byte, 5xx, 3xx, 408,
    /// a body that is cut short, is no JSON, or is too large.
    #[error("{message}{}", id_suffix(.request_id))]
    Unknown {
        /// What happened.
        message: String,
        /// HTTP status, when there was one.
        status: Option<u16>,
        /// `X-Openstack-Request-Id`.
        request_id: Option<String>,
        /// `Retry-After`, clamped to 1 s .. 5 min.
        retry_after: Option<Duration>,
    },
}

fn id_suffix(request_id: &Option<String>) -> String {
    request_id
        .as_ref()
        .map(|id| format!(" ({id})"))
        .unwrap_or_default()
}

impl CallError {
    /// HTTP status, when the service answered.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::NotSent { .. } => None,
            Self::Rejected { status, .. } => Some(*status),
            Self::Unknown { status, .. } => *status,
        }
    }

    /// How long the service asks to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotSent { .. } => None,
            Self::Rejected { retry_after, .. } | Self::Unknown { retry_after, .. } => *retry_after,
        }
    }

    /// True for a 404.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// True for a 409.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// True when the refusal is about a quota: Nova 403, Neutron 409 `OverQuota`, Cinder and Glance 413.
    #[must_use]
    pub fn is_quota(&self) -> bool {
        match self {
            Self::Rejected {
                status,
                fault,
                message,
                ..
            } => {
                let words = message.to_ascii_lowercase();
                fault.as_deref() == Some("OverQuota")
                    || (*status == 413 && words.contains("quota"))
                    || (*status == 413 && words.contains("exceed"))
                    || (*status == 403 && words.contains("quota"))
            }
            _ => false,
        }
    }

    /// True when the service asks for a slower pace: 429, or 413/503 with `Retry-After`, but no quota.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        match self.status() {
            Some(429) => true,
            Some(413 | 503) => self.retry_after().is_some() && !self.is_quota(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_its_segment() {
        assert_eq!(segment("../admin?x=1#y"), "..%2Fadmin%3Fx%3D1%23y");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("a b"), "a%20b");
    }

    #[test]
    fn debug_of_a_body_shows_no_content() {
        let body = Body::Json(serde_json::json!({"adminPass": "hunter2"}));
        assert!(!format!("{body:?}").contains("hunter2"));
    }
}
