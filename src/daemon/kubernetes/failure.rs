//! What goes wrong, in Kubernetes' form: a `Status` with a code, a reason and words.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::resource::{Resource, parts};

/// One thing that is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    /// `FieldValueInvalid`, ...
    pub(super) reason: &'static str,
    /// What is wrong.
    pub(super) message: String,
    /// Where: `spec.resource.size`.
    pub(super) field: String,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failure {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
        }
    }

    /// There is no such path.
    pub(super) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// There is no object of this name.
    pub(super) fn no_such_object(resource: &Resource, name: &str) -> Self {
        let code = StatusCode::NOT_FOUND;
        Self::about(code, "NotFound", resource, name, "not found")
    }

    /// Nothing is written here.
    pub(super) fn read_only() -> Self {
        let message = "this API is read only: what is wanted is said by the manifests in the \
                       daemon's directory";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// Something else can be done here, and this cannot.
    pub(super) fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// It is not known who asks.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// Who asks may not do this, wherever it is done.
    pub(super) fn not_a_writer(why: &str) -> Self {
        let message = format!("forbidden: {why}");
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// Nobody may do this with this object.
    pub(super) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let words = format!("is forbidden: {why}");
        Self::about(StatusCode::FORBIDDEN, "Forbidden", resource, name, &words)
    }

    /// There is one already.
    pub(super) fn already_exists(resource: &Resource, name: &str) -> Self {
        let code = StatusCode::CONFLICT;
        Self::about(code, "AlreadyExists", resource, name, "already exists")
    }

    /// It is not as the client believes.
    pub(super) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let mut failure = Self::about(StatusCode::CONFLICT, "Conflict", resource, name, "");
        let what = resource.qualified();
        failure.message = format!("Operation cannot be fulfilled on {what} \"{name}\": {why}");
        failure
    }

    /// Others have set these fields: their managers and names.
    pub(super) fn field_conflicts(
        resource: &Resource,
        name: &str,
        conflicts: &[(String, String)],
    ) -> Self {
        let words =
            |(manager, field): &(String, String)| format!("conflict with \"{manager}\": {field}");
        let all: Vec<String> = conflicts.iter().map(words).collect();
        let plural = if all.len() == 1 { "" } else { "s" };
        let (count, all) = (all.len(), all.join("; "));
        let mut failure = Self::about(StatusCode::CONFLICT, "Conflict", resource, name, "");
        failure.message = format!("Apply failed with {count} conflict{plural}: {all}");
        let causes = conflicts.iter().map(
            |it| json!({"reason": "FieldManagerConflict", "message": words(it), "field": it.1}),
        );
        failure.details["causes"] = causes.collect();
        failure
    }

    /// The object is not right: where, and what is wrong there.
    pub(super) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let (group, _) = parts(resource.group);
        let kind = match group {
            "" => resource.kind.to_owned(),
            group => format!("{}.{group}", resource.kind),
        };
        let words = causes.iter().map(|it| match it.field.as_str() {
            "" => it.message.clone(),
            field => format!("{field}: {}", it.message),
        });
        let words: Vec<String> = words.collect();
        let words = match &words[..] {
            [only] => only.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let mut failure = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("{kind} \"{name}\" is invalid: {words}"),
        );
        let causes = causes
            .iter()
            .map(|it| json!({"reason": it.reason, "message": it.message, "field": it.field}));
        let causes: Value = causes.collect();
        failure.details =
            json!({"name": name, "group": group, "kind": resource.kind, "causes": causes});
        failure
    }

    /// The body is not in a form that is understood here.
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(code, "UnsupportedMediaType", message)
    }

    /// The body is too large.
    pub(super) fn too_large(most: usize) -> Self {
        let message = format!("the body of the request is larger than {most} bytes");
        let code = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(code, "RequestEntityTooLarge", message)
    }

    /// The body did not arrive.
    pub(super) fn too_slow(seconds: u64) -> Self {
        let message = format!("the body of the request did not arrive within {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, "Timeout", message)
    }

    fn about(
        code: StatusCode,
        reason: &'static str,
        resource: &Resource,
        name: &str,
        words: &str,
    ) -> Self {
        let message = format!("{} \"{name}\" {words}", resource.qualified());
        let mut failure = Self::new(code, reason, message);
        failure.details =
            json!({"name": name, "group": parts(resource.group).0, "kind": resource.plural});
        failure
    }

    /// Its status code.
    pub(super) fn code(&self) -> StatusCode {
        self.code
    }

    /// The question is not understood.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// No form of the answer that the client accepts is there.
    pub(super) fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!(
            "only the following media types are accepted: {}",
            accepted.join(", ")
        );
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// What was asked for is not remembered any more, or was never known: look again.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// Nothing is known yet.
    pub(super) fn not_ready() -> Self {
        let message = "the daemon has not read its manifests yet";
        let mut failure = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            message,
        );
        failure.details = json!({"retryAfterSeconds": 1});
        failure
    }

    /// Too many watch at a time.
    pub(super) fn too_many(most: usize) -> Self {
        let message = format!("{most} watches are open, and no more are served at a time");
        let mut failure = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        failure.details = json!({"retryAfterSeconds": 5});
        failure
    }

    /// The answer could not be put together.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// As a `Status` object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.code, axum::Json(self.status())).into_response();
        let headers = response.headers_mut();
        if self.code == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if let Some(seconds) = self.details["retryAfterSeconds"].as_u64() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
