//! Selectors: which objects are meant, by their labels or by their fields.

use std::collections::BTreeMap;

use super::failure::Failure;

/// A label selector: all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Labels(Vec<(String, Test)>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    /// Also without the label.
    NotIn(Vec<String>),
    Exists,
    Missing,
    Greater(i64),
    Less(i64),
}

impl Labels {
    /// Reads `a=b,c in (d,e),!f`.
    ///
    /// # Errors
    /// What is not understood.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let bad = |part: &str| {
            let message = format!("unable to parse requirement of the label selector: `{part}`");
            Failure::bad_request(message)
        };
        let mut tests = Vec::new();
        for part in split(text) {
            let part = part.trim();
            if part.is_empty() {
                // A comma at the end, or nothing at all.
                if text.trim().is_empty() {
                    continue;
                }
                return Err(bad(text));
            }
            tests.push(requirement(part).ok_or_else(|| bad(part))?);
        }
        Ok(Self(tests))
    }

    /// Does an object with these labels fit?
    pub(super) fn fit(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.0.iter().all(|(key, test)| {
            let value = labels.and_then(|labels| labels.get(key));
            let number = value.and_then(|value| value.parse::<i64>().ok());
            match test {
                Test::In(all) => value.is_some_and(|value| all.contains(value)),
                Test::NotIn(all) => value.is_none_or(|value| !all.contains(value)),
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
                Test::Greater(than) => number.is_some_and(|it| it > *than),
                Test::Less(than) => number.is_some_and(|it| it < *than),
            }
        })
    }
}

/// At the commas that are in no parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

fn requirement(part: &str) -> Option<(String, Test)> {
    if let Some(key) = part.strip_prefix('!') {
        return Some((name(key)?, Test::Missing));
    }
    if let Some((key, rest)) = part.split_once(char::is_whitespace) {
        let rest = rest.trim_start();
        let (word, set) = rest.split_once('(').unwrap_or((rest, ""));
        if let Some(set) = set.trim_end().strip_suffix(')') {
            let values = set.split(',').map(value).collect::<Option<Vec<_>>>()?;
            return match word.trim() {
                "in" => Some((name(key)?, Test::In(values))),
                "notin" => Some((name(key)?, Test::NotIn(values))),
                _ => None,
            };
        }
    }
    if let Some((key, wanted)) = part.split_once("!=") {
        return Some((name(key)?, Test::NotIn(vec![value(wanted)?])));
    }
    if let Some((key, wanted)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some((name(key)?, Test::In(vec![value(wanted)?])));
    }
    if let Some((key, than)) = part.split_once('>') {
        return Some((name(key)?, Test::Greater(than.trim().parse().ok()?)));
    }
    if let Some((key, than)) = part.split_once('<') {
        return Some((name(key)?, Test::Less(than.trim().parse().ok()?)));
    }
    Some((name(part)?, Test::Exists))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let fine = !text.is_empty() && text.chars().all(|c| is_word(c) || c == '/');
    fine.then(|| text.to_owned())
}

fn value(text: &str) -> Option<String> {
    let text = text.trim();
    text.chars().all(is_word).then(|| text.to_owned())
}

/// A field selector: all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<FieldTest>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldTest {
    field: String,
    value: String,
    equal: bool,
}

impl Fields {
    /// Reads `metadata.name=a,metadata.namespace!=b`. Only these fields may be named.
    ///
    /// # Errors
    /// What is not understood, or not supported.
    pub(super) fn parse(text: &str, supported: &[&str]) -> Result<Self, Failure> {
        let mut tests = Vec::new();
        for part in unescaped(text) {
            if part.is_empty() {
                continue;
            }
            let Some((field, equal, value)) = comparison(&part) else {
                let message = format!("invalid field selector: `{text}` is no comparison");
                return Err(Failure::bad_request(message));
            };
            if !supported.contains(&field) {
                let message = format!("field label not supported: {field}");
                return Err(Failure::bad_request(message));
            }
            tests.push(FieldTest {
                field: field.to_owned(),
                value,
                equal,
            });
        }
        Ok(Self(tests))
    }

    /// The selector that names one object.
    pub(super) fn named(name: &str) -> Self {
        Self(vec![FieldTest {
            field: "metadata.name".to_owned(),
            value: name.to_owned(),
            equal: true,
        }])
    }

    /// Both selectors.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Does an object fit, of which this says whether a field has a value?
    pub(super) fn fit(&self, has: impl Fn(&str, &str) -> bool) -> bool {
        self.0
            .iter()
            .all(|test| has(&test.field, &test.value) == test.equal)
    }
}

/// The parts between commas; an escape stays with what follows it.
fn unescaped(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let Some(part) = parts.last_mut() else { break };
        match c {
            '\\' => {
                part.push(c);
                part.extend(chars.next());
            }
            ',' => parts.push(String::new()),
            c => part.push(c),
        }
    }
    parts
}

fn comparison(part: &str) -> Option<(&str, bool, String)> {
    let at = part.find('=')?;
    let (field, equal) = match part[..at].strip_suffix('!') {
        Some(field) => (field, false),
        None => (&part[..at], true),
    };
    let rest = &part[at + 1..];
    let rest = match equal {
        true => rest.strip_prefix('=').unwrap_or(rest),
        false => rest,
    };
    let mut value = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.push(chars.next().filter(|c| matches!(c, '\\' | ',' | '='))?),
            '=' => return None,
            c => value.push(c),
        }
    }
    Some((field, equal, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Labels::parse(selector).unwrap().fit(Some(&labels))
    }

    #[test]
    fn labels_select_as_kubernetes_says() {
        let labels = [("app", "blog"), ("tier", ""), ("n", "7"), ("x/y.z", "1")];
        for selector in [
            "",
            "app=blog",
            "app==blog,n!=8",
            "app in (blog, shop),tier",
            "app notin (shop),!gone",
            "gone!=1",
            "gone notin (a)",
            "tier=",
            "n>6,n<8",
            "x/y.z=1",
        ] {
            assert!(fits(selector, &labels), "{selector}");
        }
        for selector in [
            "app=shop",
            "!app",
            "gone",
            "gone in (a)",
            "n>7",
            "app>1",
            "app=blog,tier!=",
        ] {
            assert!(!fits(selector, &labels), "{selector}");
        }
        for selector in [
            "a b", "a in b", "a=b c", "=", "a,,b", ",", "a>b", "!", "a in (b", "a=(b)",
        ] {
            assert!(Labels::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn fields_select_by_what_is_supported() {
        let supported = ["metadata.name", "type"];
        let fits = |selector: &str| {
            let has = |field: &str, value: &str| match field {
                "metadata.name" => value == "a,b=c",
                _ => value == "Normal",
            };
            Fields::parse(selector, &supported).map(|it| it.fit(has))
        };
        assert_eq!(fits(""), Ok(true));
        assert_eq!(fits(r"metadata.name=a\,b\=c,type!=Warning"), Ok(true));
        assert_eq!(fits("type==Normal"), Ok(true));
        assert_eq!(fits("metadata.name!=x,type=Warning"), Ok(false));
        for bad in ["spec.size=1", "type", r"type=a\b", "type=a=b"] {
            assert!(fits(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_refused(text in "\\PC*") {
            let _: Result<_, _> = Labels::parse(&text);
            let _: Result<_, _> = Fields::parse(&text, &["metadata.name"]);
        }
    }
}
