//! What a service says when it refuses: each service's form of an error body, as one [`CallError`].

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::transport::{Answer, Failure};
use crate::kinds::call::{CallError, Service};
use crate::zoo::{self, Bug};

/// The longest message that is kept.
const LONGEST: usize = 1000;

/// Reads an answer that is no success.
pub(super) fn refused(service: Service, what: &str, answer: &Answer) -> CallError {
    let (fault, message) = words(&answer.body);
    let request_id = request_id(answer);
    let retry_after = retry_after(answer);
    let status = answer.status;
    match status {
        400..=599
            if status != 408 && (status < 500 || zoo::has(Bug::TakesAServerErrorForARefusal)) =>
        {
            let message = if message.is_empty() {
                reason_phrase(status)
            } else {
                message
            };
            CallError::Rejected {
                service,
                status,
                fault,
                message,
                request_id,
                retry_after,
            }
        }
        300..=399 => {
            let target = answer.header("location").map(tidy).unwrap_or_default();
            CallError::Unknown {
                message: format!(
                    "{service} answered {what} with a redirect ({status}) that is not followed: {target}"
                ),
                status: Some(status),
                request_id,
                retry_after,
            }
        }
        _ => {
            let message = if message.is_empty() {
                reason_phrase(status)
            } else {
                message
            };
            CallError::Unknown {
                message: format!("{service} answered {what} with {status}: {message}"),
                status: Some(status),
                request_id,
                retry_after,
            }
        }
    }
}

/// A failed exchange as the outcome of a call.
pub(super) fn failed(service: Service, what: &str, place: &str, failure: Failure) -> CallError {
    match failure {
        Failure::NotSent { reason, hint } => CallError::NotSent {
            message: format!("{service} at {place} cannot be reached: {}", tidy(&reason)),
            hint,
        },
        Failure::Lost { reason, status } => CallError::Unknown {
            message: format!("{what} to {service} at {place} was lost: {}", tidy(&reason)),
            status,
            request_id: None,
            retry_after: None,
        },
    }
}

/// The service's own id of the request.
pub(super) fn request_id(answer: &Answer) -> Option<String> {
    ["x-openstack-request-id", "x-compute-request-id"]
        .iter()
        .find_map(|name| answer.header(name))
        .map(tidy)
        .filter(|id| !id.is_empty())
}

/// `Retry-After` in either form, between 1 s and 5 min: a service that says 0 must not be hammered.
pub(super) fn retry_after(answer: &Answer) -> Option<Duration> {
    let text = answer.header("retry-after")?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let until = http_date(text)?;
            // The server's own clock, so that a difference between ours and its does not matter.
            let now = answer
                .header("date")
                .and_then(http_date)
                .unwrap_or_else(jiff::Timestamp::now);
            u64::try_from(until.as_second() - now.as_second()).unwrap_or(0)
        }
    };
    let least = u64::from(!zoo::has(Bug::ObeysRetryAfterZero));
    Some(Duration::from_secs(seconds.clamp(least, 300)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn http_date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
}

/// The fault's type, when there is one, and the message of an error body.
pub(super) fn words(body: &[u8]) -> (Option<String>, String) {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return (None, tidy(&without_tags(&String::from_utf8_lossy(body))));
    };
    let (fault, message) = known_forms(&json).unwrap_or_else(|| (None, json.to_string()));
    (
        fault.map(|fault| tidy(&fault)),
        redact_values(&tidy(&message)),
    )
}

fn known_forms(json: &Value) -> Option<(Option<String>, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    // Neutron: {"NeutronError": {"type", "message", "detail"}}, or a text instead of the object.
    for key in ["NeutronError", "QuantumError"] {
        match &json[key] {
            Value::String(message) => return Some((None, message.clone())),
            error @ Value::Object(_) => {
                let detail = error["detail"].as_str().filter(|detail| !detail.is_empty());
                let message = text(&error["message"]).unwrap_or_default();
                let message = match detail {
                    Some(detail) if !message.contains(detail) => format!("{message} ({detail})"),
                    _ => message,
                };
                return Some((text(&error["type"]), message));
            }
            _ => {}
        }
    }
    // API-SIG: {"errors": [{"title", "detail", "code"}]}.
    if let Some(first) = json["errors"].as_array().and_then(|errors| errors.first()) {
        let message = text(&first["detail"]).or_else(|| text(&first["title"]))?;
        return Some((text(&first["code"]), message));
    }
    // Keystone: {"error": {"message", "title"}}.
    if let Some(message) = text(&json["error"]["message"]) {
        return Some((text(&json["error"]["title"]), message));
    }
    // WebOb and Glance: {"message", "code", "title"}.
    if let Some(message) = text(&json["message"]) {
        return Some((text(&json["title"]), message));
    }
    // Nova and Cinder: one key of any name, {"badRequest": {"message", "code"}}.
    let object = json.as_object()?;
    let (name, fault) = object
        .iter()
        .find(|(_, fault)| fault["message"].is_string())?;
    Some((Some(name.clone()), text(&fault["message"])?))
}

/// The text of an HTML page.
fn without_tags(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let body = text.split_once("<body").map_or(text, |(_, body)| body);
    let mut words = String::new();
    let mut inside = !std::ptr::eq(body, text);
    for character in body.chars() {
        match character {
            '<' => inside = true,
            '>' => {
                inside = false;
                words.push(' ');
            }
            _ if !inside => words.push(character),
            _ => {}
        }
    }
    words
}

/// One line of bounded length without control characters.
pub(super) fn tidy(text: &str) -> String {
    let mut words = String::new();
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        for character in word.chars() {
            if character.is_control() {
                words.extend(character.escape_default());
            } else {
                words.push(character);
            }
        }
        if words.len() > LONGEST {
            let mut end = LONGEST;
            while !words.is_char_boundary(end) {
                end -= 1;
            }
            words.truncate(end);
            words.push_str("...");
            break;
        }
    }
    words
}

/// Nova repeats what it did not like ("Invalid input for field/attribute user_data. Value: ..."), which
/// for some fields is a secret.
fn redact_values(message: &str) -> String {
    const SECRET: [&str; 5] = [
        "adminPass",
        "user_data",
        "password",
        "private_key",
        "personality",
    ];
    match message.split_once("Value: ") {
        Some((before, after)) if SECRET.iter().any(|name| before.contains(name)) => {
            // What is wrong with it comes after the value, which is quoted again; none of it is safe.
            let _ = after;
            format!("{before}Value: [REDACTED]")
        }
        _ => message.to_owned(),
    }
}

/// Takes our secrets out of an error whose text others may have written.
pub(super) fn scrub(error: CallError, secrets: &[SecretString]) -> CallError {
    let clean = |mut text: String| {
        // A very short secret would take the words apart, and is none.
        for secret in secrets
            .iter()
            .map(ExposeSecret::expose_secret)
            .filter(|text| text.len() >= 4)
        {
            let quoted = Value::from(secret).to_string();
            for form in [secret, quoted.trim_matches('"')] {
                if text.contains(form) {
                    text = text.replace(form, "[REDACTED]");
                }
            }
        }
        text
    };
    match error {
        CallError::NotSent { message, hint } => CallError::NotSent {
            message: clean(message),
            hint: hint.map(clean),
        },
        CallError::Rejected {
            service,
            status,
            fault,
            message,
            request_id,
            retry_after,
        } => {
            let message = clean(message);
            CallError::Rejected {
                service,
                status,
                fault,
                message,
                request_id,
                retry_after,
            }
        }
        CallError::Unknown {
            message,
            status,
            request_id,
            retry_after,
        } => CallError::Unknown {
            message: clean(message),
            status,
            request_id,
            retry_after,
        },
    }
}

fn reason_phrase(status: u16) -> String {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no explanation")
        .to_lowercase()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = http::HeaderMap::new();
        for (name, value) in headers {
            let _ = map.insert(*name, value.parse().unwrap());
        }
        Answer {
            status,
            headers: map,
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn each_services_form_of_an_error_is_understood() {
        for (body, fault, message) in [
            (
                r#"{"badRequest": {"code": 400, "message": "Flavor's disk is too small"}}"#,
                Some("badRequest"),
                "Flavor's disk is too small",
            ),
            (
                r#"{"NeutronError": {"type": "OverQuota", "message": "Quota exceeded", "detail": ""}}"#,
                Some("OverQuota"),
                "Quota exceeded",
            ),
            (r#"{"NeutronError": "plain words"}"#, None, "plain words"),
            (
                r#"{"error": {"code": 401, "title": "Unauthorized", "message": "No."}}"#,
                Some("Unauthorized"),
                "No.",
            ),
            (
                r#"{"errors": [{"status": 400, "code": "x.y", "title": "t", "detail": "long"}]}"#,
                Some("x.y"),
                "long",
            ),
            (
                r#"{"message": "gone<br /><br />\n", "code": "404 Not Found", "title": "Not Found"}"#,
                Some("Not Found"),
                "gone<br /><br />",
            ),
            (
                "<html><head><title>413</title></head><body><h1>413 Too Large</h1>\n  The body.</body></html>",
                None,
                "413 Too Large The body.",
            ),
            ("upstream down\n", None, "upstream down"),
        ] {
            assert_eq!(
                words(body.as_bytes()),
                (fault.map(str::to_owned), message.to_owned()),
                "{body}"
            );
        }
    }

    #[test]
    fn a_message_is_one_bounded_line_without_control_characters() {
        let long = format!("a\u{1b}[31m\r\nb {}", "x".repeat(5000));
        let text = tidy(&long);
        assert!(text.starts_with("a\\u{1b}[31m b xxx"), "{text}");
        assert!(text.len() < LONGEST + 10);
    }

    #[test]
    fn a_secret_that_nova_repeats_is_cut_out() {
        let body = r#"{"badRequest": {"message": "Invalid input for field/attribute adminPass. Value: hunter2. 'hunter2' is too short"}}"#;
        let (_, message) = words(body.as_bytes());
        assert!(!message.contains("hunter2"), "{message}");
        assert!(message.contains("adminPass"), "{message}");
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_clamped() {
        let wait = |headers: &[(&'static str, &str)]| {
            retry_after(&answer(503, headers, "")).map(|wait| wait.as_secs())
        };
        assert_eq!(wait(&[("retry-after", "0")]), Some(1));
        assert_eq!(wait(&[("retry-after", "17")]), Some(17));
        assert_eq!(wait(&[("retry-after", "86400")]), Some(300));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(wait(&[("retry-after", later), ("date", date)]), Some(30));
        assert_eq!(wait(&[("retry-after", date), ("date", later)]), Some(1));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn only_a_refusal_is_known_to_have_had_no_effect() {
        let outcome = |status| refused(Service::Compute, "POST servers", &answer(status, &[], ""));
        for status in [400, 401, 403, 404, 409, 413, 429] {
            assert!(
                matches!(outcome(status), CallError::Rejected { .. }),
                "{status}"
            );
        }
        for status in [301, 307, 408, 500, 502, 503, 504] {
            assert!(
                matches!(outcome(status), CallError::Unknown { .. }),
                "{status}"
            );
        }
    }
}
