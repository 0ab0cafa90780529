//! Times as the services write them: ISO 8601 in UTC, which not all of them say.

use jiff::Timestamp;

/// `2026-11-22T21:41:59.000000`, with or without a `Z`.
pub(super) fn utc(text: &str) -> Option<Timestamp> {
    let text = text.trim_end_matches('Z');
    format!("{text}Z").parse().ok()
}
