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
#[must_use]
pub fn namespace_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > 63 {
        return Some("is longer than 63 characters");
    }
    label_fault(name, false)
}

/// Why text is not the key of a label or an annotation: a name, with a domain and `/` before it or
/// not.
pub(super) fn label_key_fault(key: &str) -> Option<&'static str> {
    let (domain, name) = match key.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, key),
    };
    if domain.is_some_and(|domain| name_fault(domain).is_some()) {
        return Some("what stands before `/` is no domain name");
    }
    match name.len() {
        0 => Some("the name is empty"),
        1..=63 => word_fault(name),
        _ => Some("it is longer than 63 characters"),
    }
}

/// Why text is not the value of a label.
pub(super) fn label_value_fault(value: &str) -> Option<&'static str> {
    match value.len() {
        0 => None,
        1..=63 => word_fault(value),
        _ => Some("it is longer than 63 characters"),
    }
}

fn word_fault(word: &str) -> Option<&'static str> {
    if !(word.bytes()).all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Some("it may only have letters, digits, `-`, `_` and `.`");
    }
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let fits = is_end(word.bytes().next()) && is_end(word.bytes().last());
    (!fits).then_some("it must begin and end with a letter or a digit")
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
        for good in [
            "tier",
            "app.kubernetes.io/name",
            "a_B.c",
            "stackward.dev/protect",
        ] {
            assert_eq!(label_key_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "a b",
            "/a",
            "a/",
            "A_b/c",
            "a/b/c",
            "-a",
            &"a".repeat(64),
        ] {
            assert!(label_key_fault(bad).is_some(), "{bad}");
        }
        assert_eq!(label_value_fault(""), None);
        assert!(label_value_fault("a b").is_some() && label_value_fault("a-").is_some());
        assert!(namespace_fault("a.b").is_some());
        assert_eq!(mend("AUTO_DEP DB"), Some("auto-dep-db".to_owned()));
        assert_eq!(mend("..."), None);
    }
}
