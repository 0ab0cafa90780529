//! Short reads of JSON that strangers sent.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// A string field.
pub(super) fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// A string field, or "".
pub(super) fn text_or_empty<'a>(object: &'a Object, name: &str) -> &'a str {
    text(object, name).unwrap_or("")
}

/// An integer, also when it is written as a string, as the services allow.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str().and_then(|s| s.parse().ok()))
}

/// A boolean in one of the spellings that oslo.utils takes in strict mode.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::Number(n) => Some(n.as_i64()? != 0),
        Value::String(s) => bool_text(s),
        _ => None,
    }
}

/// A boolean in a query string.
pub(super) fn bool_text(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// `2026-01-31T23:59:59Z`
pub(super) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-01-31T23:59:59.000000`, with microseconds.
pub(super) fn stamp_micros(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
}

/// Whether the text is a UUID, with or without dashes.
pub(super) fn is_uuid(text: &str) -> bool {
    uuid::Uuid::parse_str(text).is_ok() && (text.len() == 36 || text.len() == 32)
}
