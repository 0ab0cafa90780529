//! The forms of texts that ORC's API knows by name.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Without a comma.
    NoComma,
    /// An address block.
    Cidr,
    /// A point in time, as RFC 3339 writes it.
    DateTime,
    /// A domain name.
    DnsDomain,
    /// What a flavor may have as its id.
    FlavorId,
    /// The name of a flavor's extra spec.
    ExtraSpec,
    /// Hexadecimal digits in lower case.
    Hex,
}

impl Form {
    /// The form of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "no-comma" => Self::NoComma,
            "cidr" => Self::Cidr,
            "date-time" => Self::DateTime,
            "like:dns-domain" => Self::DnsDomain,
            "like:flavor-id" => Self::FlavorId,
            "like:extra-spec" => Self::ExtraSpec,
            "like:hex" => Self::Hex,
            _ => return None,
        })
    }

    /// What is wrong with the text, if it is not of this form.
    pub(super) fn fault(self, text: &str) -> Option<&'static str> {
        let all = |extra: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
        };
        let (fits, fault) = match self {
            Self::NoComma => (!text.contains(','), "must not have a comma"),
            Self::Cidr => (
                text.parse::<IpNet>().is_ok(),
                "is not an address block such as 10.0.0.0/8",
            ),
            Self::DateTime => (
                text.parse::<Timestamp>().is_ok(),
                "is not a time such as 2026-01-31T12:00:00Z",
            ),
            Self::DnsDomain => (is_domain(text), "is not a domain name"),
            Self::FlavorId => (
                all(". _-") && !text.starts_with(' ') && !text.ends_with(' '),
                "must consist of letters, digits and . _-, and neither begin nor end with a space",
            ),
            Self::ExtraSpec => (
                all("-_:. "),
                "must consist of letters, digits, spaces and -_:.",
            ),
            Self::Hex => (
                text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')),
                "must consist of the digits 0-9 and a-f",
            ),
        };
        (!fits).then_some(fault)
    }
}

fn is_domain(text: &str) -> bool {
    let labels = text.strip_suffix('.').unwrap_or(text);
    text.parse::<IpAddr>().is_err()
        && !labels.starts_with('-')
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_texts_that_fit_and_texts_that_do_not() {
        for (name, fits, fits_not) in [
            ("no-comma", "a b", "a,b"),
            ("cidr", "10.0.0.1/8", "10.0.0.1"),
            ("date-time", "2026-01-31T12:00:00Z", "tomorrow"),
            ("like:dns-domain", "foo.bar.example.com.", "-example.com"),
            ("like:dns-domain", "example", "foo..bar"),
            ("like:flavor-id", "test.id -123_", "test "),
            ("like:extra-spec", "hw:cpu_policy", "hw/cpu"),
            ("like:hex", "0af", "0AF"),
        ] {
            let form = Form::named(name).unwrap();
            assert_eq!(form.fault(fits), None, "{name} {fits}");
            assert!(form.fault(fits_not).is_some(), "{name} {fits_not}");
        }
        assert_eq!(Form::named("like:nothing"), None);
    }
}
