//! Durations as Go and Kubernetes write them: `10m`, `1h30m`, `1.5s`, `0`.

use std::time::Duration;

/// Reads a Go duration. `None` when it is none, is negative or does not fit.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, after) = rest.split_at(number);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        if !whole.is_empty() {
            nanos = nanos.checked_add(whole.parse::<u128>().ok()?.checked_mul(scale)?)?;
        }
        let mut part = scale;
        for digit in fraction.bytes() {
            part /= 10;
            nanos = nanos.checked_add(u128::from(digit - b'0') * part)?;
        }
        rest = after;
    }
    // Go keeps durations in 63 bits of nanoseconds.
    i64::try_from(nanos)
        .ok()
        .and_then(|nanos| u64::try_from(nanos).ok())
        .map(Duration::from_nanos)
}

/// A duration as a person would write it: `1h30m`, `45s`, `250ms`, `0s`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    let nanos = duration.subsec_nanos();
    let mut text = String::new();
    for (count, unit) in [(hours, "h"), (minutes, "m"), (rest, "s")] {
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    match nanos {
        0 if text.is_empty() => text.push_str("0s"),
        0 => {}
        nanos if nanos % 1_000_000 == 0 => text.push_str(&format!("{}ms", nanos / 1_000_000)),
        nanos => text.push_str(&format!("{nanos}ns")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", Some(0)),
            ("10m", Some(600_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5s", Some(1_500)),
            (".5s", Some(500)),
            ("250ms", Some(250)),
            ("", None),
            ("10", None),
            ("10 m", None),
            ("-5m", None),
            ("m", None),
            (".s", None),
            ("1.2.3s", None),
            ("1d", None),
            ("3000000h", None),
            ("99999999999999999999999999999999999999999h", None),
        ] {
            assert_eq!(
                parse_duration(text),
                millis.map(Duration::from_millis),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in 0..i64::MAX as u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&duration_text(duration)), Some(duration));
        }
    }
}
