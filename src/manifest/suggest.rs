//! "Did you mean": the nearest of the words that would have been understood.

/// The candidate that a word is most probably a misspelling of.
#[must_use]
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    if wanted.len() > 64 {
        return None;
    }
    let limit = (wanted.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::osa_distance(&wanted, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Fields that people know from elsewhere, and what is here in their place.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "prevent_destroy",
        "write the annotation `stackward.dev/protect: \"true\"` under metadata",
    ),
    ("create_before_destroy", "write `replace: CreateFirst`"),
    (
        "depends_on",
        "leave it out: references between objects make the order",
    ),
    (
        "dependsOn",
        "leave it out: references between objects make the order",
    ),
    ("count", "leave it out: one object is one resource"),
    ("for_each", "leave it out: one object is one resource"),
    ("replicas", "leave it out: one object is one resource"),
    (
        "valueFrom",
        "leave it out: secretKeyRef, configMapKeyRef and fieldRef stand in its place",
    ),
    (
        "subnets",
        "a Subnet is an object of its own, with a networkRef",
    ),
    (
        "resource",
        "the fields of this kind stand directly under `spec`",
    ),
    ("pool", "name the external network in `floatingNetworkRef`"),
];

/// What helps with a field that is not known: the one that was meant, or else what there is.
pub(super) fn hint(word: &str, candidates: &[&str]) -> Option<String> {
    let near = did_you_mean(word, candidates.iter().copied());
    let elsewhere = || ELSEWHERE.iter().find(|(name, _)| *name == word);
    if is_secret(word) {
        return Some(match near.or_else(|| kindred(word, candidates)) {
            Some(near) => format!("put it into a Secret, and name that in `{near}`"),
            None => format!(
                "secrets belong into a Secret; expected {}",
                one_of(candidates)
            ),
        });
    }
    if let Some(near) = near {
        return Some(format!("did you mean `{near}`?"));
    }
    if let Some((_, advice)) = elsewhere() {
        return Some((*advice).to_owned());
    }
    match kindred(word, candidates) {
        Some(kindred) if kindred.ends_with("Ref") && ends_as_id(word) => {
            Some(format!("did you mean `{kindred}: {{id: ...}}`?"))
        }
        Some(kindred) => Some(format!("did you mean `{kindred}`?")),
        None if candidates.is_empty() => None,
        None => Some(format!("expected {}", one_of(candidates))),
    }
}

/// Values that people know from elsewhere.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("inbound", "ingress"),
    ("in", "ingress"),
    ("outbound", "egress"),
    ("out", "egress"),
    ("Retain", "detach"),
    ("Orphan", "detach"),
    ("CreateBeforeDestroy", "CreateFirst"),
    ("Off", "Stopped"),
    ("On", "Running"),
    ("active", "Running"),
    ("shutoff", "Stopped"),
];

/// What helps with a value that is none of a few words: the one that was meant.
pub(super) fn value_hint(word: &str, candidates: &[&str]) -> Option<String> {
    let other = || {
        let (_, here) = OTHER_WORDS
            .iter()
            .find(|(there, here)| there.eq_ignore_ascii_case(word) && candidates.contains(here))?;
        Some(*here)
    };
    let meant = other().or_else(|| did_you_mean(word, candidates.iter().copied()))?;
    Some(format!("did you mean `{meant}`?"))
}

/// The field that was meant by one that is not known, if it is one of these.
pub(super) fn meant<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    did_you_mean(word, candidates.iter().copied()).or_else(|| kindred(word, candidates))
}

/// Whether a field of this name would hold a secret: its line is not shown then.
pub(super) fn is_secret(field: &str) -> bool {
    let plain = plain(field);
    let named = [
        "password",
        "passwd",
        "passphrase",
        "adminpass",
        "secret",
        "token",
        "privatekey",
    ];
    named.iter().any(|it| plain.contains(it)) && !plain.ends_with("ref") && !plain.ends_with("name")
}

/// The field of the same thing in another form: `imageRef` for `image_id`, `diskBus` for
/// `hw_disk_bus`.
fn kindred<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = plain(word);
    let mut stem = word.as_str();
    for end in ["ids", "id", "names", "name", "s"] {
        if let Some(shorter) = stem.strip_suffix(end) {
            stem = shorter;
            break;
        }
    }
    let refers = |candidate: &&&str| {
        let candidate = plain(candidate);
        let thing = candidate
            .strip_suffix("refs")
            .or_else(|| candidate.strip_suffix("ref"));
        thing.is_some_and(|thing| !thing.is_empty() && (thing == stem || thing == word))
    };
    let within = |candidate: &&&str| candidate.len() >= 4 && word.contains(&plain(candidate));
    (candidates.iter().find(refers))
        .or_else(|| candidates.iter().filter(within).max_by_key(|it| it.len()))
        .copied()
}

fn ends_as_id(word: &str) -> bool {
    word.ends_with("_id") || word.ends_with("Id") || word.ends_with("ID")
}

fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn one_of<T: AsRef<str>>(words: &[T]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => only.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} or {}", first.join(", "), last.as_ref())
        }
    }
}

/// Text of a person in a message: short, on one line, without control characters.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut quoted: String = text
        .chars()
        .take(LONGEST)
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        quoted.push_str("...");
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let fields = ["flavorRef", "imageRef", "ports", "userData"];
        for (word, expected) in [
            ("flavourRef", Some("flavorRef")),
            ("userdata", Some("userData")),
            ("prots", Some("ports")),
            ("size", None),
            ("x", None),
        ] {
            assert_eq!(did_you_mean(word, fields), expected, "{word}");
        }
    }

    #[test]
    fn words_from_elsewhere_lead_to_what_is_here() {
        let fields = [
            "flavorRef",
            "imageRef",
            "securityGroupRefs",
            "passwordRef",
            "diskBus",
        ];
        for (word, expected) in [
            ("image_id", "did you mean `imageRef: {id: ...}`?"),
            ("image", "did you mean `imageRef`?"),
            ("security_groups", "did you mean `securityGroupRefs`?"),
            ("hw_disk_bus", "did you mean `diskBus`?"),
            (
                "password",
                "put it into a Secret, and name that in `passwordRef`",
            ),
            (
                "depends_on",
                "leave it out: references between objects make the order",
            ),
            (
                "x",
                "expected flavorRef, imageRef, securityGroupRefs, passwordRef or diskBus",
            ),
        ] {
            assert_eq!(hint(word, &fields).as_deref(), Some(expected), "{word}");
        }
        assert!(is_secret("adminPass") && !is_secret("passwordref") && !is_secret("secretName"));
    }
}
