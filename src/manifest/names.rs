//! Names as Kubernetes has them, so that a manifest can move to a cluster and back.

/// Why text is not an RFC 1123 subdomain, the form of `metadata.name`; `None` when it is one.
#[must_use]
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > 253 {
        return Some("is longer than 253 characters");
    }
    label_fault(name, true)
}

/// Why text is not an RFC 1123 label, the form of `metadata.namespace`.
pub(super) fn namespace_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > 63 {
        return Some("is longer than 63 characters");
    }
    label_fault(name, false)
}

/// The nearest name that would be accepted, if one comes out of it.
#[must_use]
pub fn mend(name: &str) -> Option<String> {
    let mended: String = name
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let mended = mended.trim_matches(['-', '.']).to_owned();
    name_fault(&mended).is_none().then_some(mended)
}

fn label_fault(name: &str, dots: bool) -> Option<&'static str> {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("has upper-case letters");
    }
    if !name
        .bytes()
        .all(|byte| word(byte) || byte == b'-' || (dots && byte == b'.'))
    {
        return Some(if dots {
            "may only have lower-case letters, digits, `-` and `.`"
        } else {
            "may only have lower-case letters, digits and `-`"
        });
    }
    let ends = |label: &str| {
        label.bytes().next().is_some_and(word) && label.bytes().last().is_some_and(word)
    };
    (!name.split('.').all(ends)).then_some("must begin and end with a letter or a digit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_kubernetes_judges_them() {
        for good in ["a", "blog-db", "10.0.0.1", "a.b-c.d", &"a".repeat(253)] {
            assert_eq!(name_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "Blog",
            "a_b",
            "-a",
            "a-",
            "a..b",
            "a.-b",
            "é",
            &"a".repeat(254),
        ] {
            assert!(name_fault(bad).is_some(), "{bad}");
        }
        assert!(namespace_fault("a.b").is_some());
        assert_eq!(mend("AUTO_DEP DB"), Some("auto-dep-db".to_owned()));
        assert_eq!(mend("..."), None);
    }
}
