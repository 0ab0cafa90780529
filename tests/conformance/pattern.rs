//! What an answer must look like: values with holes, compared with what came.
//!
//! A mapping asks for its keys and lets others be, a list asks for exactly its items. In text, `{name}` is what
//! an earlier step kept, and `<...>` is a hole: a type (`<uuid>`, `<time>`, `<absent>`), one of several words
//! (`<creating|available>`), kept under a name if it says so (`<uuid as server>`). A mapping of `$` keys says
//! something of a whole: `$exactly` these keys, `$each` item, `$has` such items, `$lacks` such an item, `$bag` these
//! items in any order, `$size`. Not for requests: `story` knows those.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What the steps so far have kept.
pub(crate) type Names = BTreeMap<String, Value>;

/// Puts what was kept into every `{name}`. A text that is nothing else becomes the value itself.
pub(crate) fn fill(value: &Value, names: &Names) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => {
            let whole = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
            match whole.filter(|it| is_name(it)) {
                Some(name) => known(name, names)?.clone(),
                None => Value::String(fill_text(text, names)?),
            }
        }
        Value::Array(items) => {
            let items: Result<_, _> = items.iter().map(|it| fill(it, names)).collect();
            Value::Array(items?)
        }
        Value::Object(map) => {
            let filled = map
                .iter()
                .map(|(key, value)| Ok((fill_text(key, names)?, fill(value, names)?)));
            Value::Object(filled.collect::<Result<Map<_, _>, String>>()?)
        }
        other => other.clone(),
    })
}

/// The same for a text.
pub(crate) fn fill_text(text: &str, names: &Names) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, after) = rest.split_at(start);
        out.push_str(before);
        let end = after.find('}').filter(|end| is_name(&after[1..*end]));
        let Some(end) = end else {
            out.push('{');
            rest = &after[1..];
            continue;
        };
        match known(&after[1..end], names)? {
            Value::String(text) => out.push_str(text),
            other => out.push_str(&other.to_string()),
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn known<'a>(name: &str, names: &'a Names) -> Result<&'a Value, String> {
    names
        .get(name)
        .ok_or_else(|| format!("no step before has kept `{name}`"))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// Compares a pattern with what was seen.
pub(crate) fn compare(pattern: &Value, seen: Option<&Value>) -> Look {
    let mut look = Look::default();
    look.at("", pattern, seen);
    look
}

/// What a comparison has found.
#[derive(Default)]
pub(crate) struct Look {
    /// What is to be kept, also where something else is wrong: what was made must be taken back.
    pub(crate) kept: Names,
    /// Every difference with its place.
    pub(crate) wrong: Vec<String>,
}

impl Look {
    /// What is to be kept, if nothing is wrong.
    fn good(self) -> Option<Names> {
        self.wrong.is_empty().then_some(self.kept)
    }

    fn at(&mut self, place: &str, pattern: &Value, seen: Option<&Value>) {
        match pattern {
            Value::String(text) => match matches(text, seen) {
                Some(kept) => self.kept.extend(kept),
                None => self.differs(place, pattern, seen),
            },
            Value::Object(map) if map.keys().any(|key| key.starts_with('$')) => {
                for (key, wanted) in map {
                    self.whole(place, key, wanted, seen);
                }
            }
            Value::Object(map) => match seen {
                Some(Value::Object(there)) => {
                    for (key, wanted) in map {
                        self.at(&format!("{place}/{key}"), wanted, there.get(key));
                    }
                }
                _ => self.differs(place, pattern, seen),
            },
            Value::Array(wanted) => match seen {
                Some(Value::Array(there)) if there.len() == wanted.len() => {
                    for (n, (wanted, there)) in wanted.iter().zip(there).enumerate() {
                        self.at(&format!("{place}/{n}"), wanted, Some(there));
                    }
                }
                _ => self.differs(place, pattern, seen),
            },
            other if Some(other) == seen => {}
            other => self.differs(place, other, seen),
        }
    }

    /// What a `$` key says of a whole.
    fn whole(&mut self, place: &str, key: &str, wanted: &Value, seen: Option<&Value>) {
        let empty = Vec::new();
        let items = seen.and_then(Value::as_array);
        let several = |wanted: &Value| wanted.as_array().cloned().unwrap_or(vec![wanted.clone()]);
        match key {
            "$exactly" => {
                self.at(place, wanted, seen);
                let names = |value: Option<&Value>| -> Vec<String> {
                    let map = value.and_then(Value::as_object);
                    let mut names: Vec<String> =
                        map.into_iter().flatten().map(|(k, _)| k.clone()).collect();
                    names.sort();
                    names
                };
                let (want, got) = (names(Some(wanted)), names(seen));
                if want != got {
                    self.wrong
                        .push(format!("{place}: keys {want:?} expected, {got:?} seen"));
                }
            }
            _ if items.is_none() => self.differs(place, wanted, seen),
            "$each" => {
                for (n, item) in items.unwrap_or(&empty).iter().enumerate() {
                    self.at(&format!("{place}/{n}"), wanted, Some(item));
                }
            }
            "$size" => {
                let size = Value::from(items.unwrap_or(&empty).len());
                self.at(&format!("{place} (its length)"), wanted, Some(&size));
            }
            "$has" => {
                for wanted in several(wanted) {
                    let found = items.unwrap_or(&empty).iter();
                    match found
                        .filter_map(|it| compare(&wanted, Some(it)).good())
                        .next()
                    {
                        Some(kept) => self.kept.extend(kept),
                        None => self.wrong.push(format!("{place}: no item like {wanted}")),
                    }
                }
            }
            "$lacks" => {
                for wanted in several(wanted) {
                    let mut there = items.unwrap_or(&empty).iter();
                    if let Some(it) = there.find(|it| compare(&wanted, Some(it)).wrong.is_empty()) {
                        self.wrong.push(format!("{place}: has {it}"));
                    }
                }
            }
            "$bag" => {
                let mut rest: Vec<&Value> = items.unwrap_or(&empty).iter().collect();
                for wanted in several(wanted) {
                    let looks = rest.iter().map(|it| compare(&wanted, Some(it)).good());
                    match looks.enumerate().find_map(|(n, kept)| Some((n, kept?))) {
                        Some((n, kept)) => {
                            rest.remove(n);
                            self.kept.extend(kept);
                        }
                        None => self.wrong.push(format!("{place}: no item like {wanted}")),
                    }
                }
                for surplus in rest {
                    self.wrong.push(format!("{place}: surplus {surplus}"));
                }
            }
            _ => self
                .wrong
                .push(format!("{place}: `{key}` is not understood")),
        }
    }

    fn differs(&mut self, place: &str, wanted: &Value, seen: Option<&Value>) {
        let seen = seen.map_or("nothing".to_owned(), Value::to_string);
        let place = if place.is_empty() { "/" } else { place };
        self.wrong
            .push(format!("{place}: {wanted} expected, {seen} seen"));
    }
}

/// A part of a text pattern.
enum Piece<'a> {
    Text(&'a str),
    Hole(Vec<&'a str>, Option<&'a str>),
}

const TYPES: [&str; 13] = [
    "any", "absent", "bool", "hex", "int", "list", "map", "null", "number", "string", "text",
    "time", "uuid",
];

fn matches(pattern: &str, seen: Option<&Value>) -> Option<Names> {
    let pieces = pieces(pattern);
    if let [Piece::Hole(words, name)] = pieces.as_slice() {
        let fits = words.iter().any(|word| {
            is(word, seen) || (!TYPES.contains(word) && seen.and_then(Value::as_str) == Some(word))
        });
        let kept = name.map(|name| (name.to_owned(), seen.cloned().unwrap_or_default()));
        return fits.then(|| kept.into_iter().collect());
    }
    let mut kept = Names::new();
    text_matches(&pieces, seen?.as_str()?, &mut kept).then_some(kept)
}

fn text_matches(pieces: &[Piece<'_>], text: &str, kept: &mut Names) -> bool {
    match pieces {
        [] => text.is_empty(),
        [Piece::Text(literal), rest @ ..] => text
            .strip_prefix(literal)
            .is_some_and(|text| text_matches(rest, text, kept)),
        [Piece::Hole(words, name), rest @ ..] => (0..=text.len())
            .filter(|end| text.is_char_boundary(*end))
            .any(|end| {
                let (part, after) = text.split_at(end);
                let fits = words
                    .iter()
                    .any(|word| *word == part || part_is(word, part));
                if !fits || !text_matches(rest, after, kept) {
                    return false;
                }
                if let Some(name) = name {
                    kept.insert((*name).to_owned(), Value::from(part));
                }
                true
            }),
    }
}

fn pieces(pattern: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut from, mut search) = (0, 0);
    while let Some(start) = pattern[search..].find('<').map(|at| at + search) {
        let Some(end) = pattern[start..].find('>').map(|at| at + start) else {
            break;
        };
        search = start + 1;
        let inside = &pattern[start + 1..end];
        let (words, name) = match inside.split_once(" as ") {
            Some((words, name)) => (words, Some(name)),
            None => (inside, None),
        };
        let words: Vec<&str> = words.split('|').collect();
        // What is no hole is text: `<br />`.
        if !words.iter().any(|word| TYPES.contains(word)) && words.len() < 2 && name.is_none() {
            continue;
        }
        if start > from {
            pieces.push(Piece::Text(&pattern[from..start]));
        }
        pieces.push(Piece::Hole(words, name));
        (from, search) = (end + 1, end + 1);
    }
    if from < pattern.len() || pieces.is_empty() {
        pieces.push(Piece::Text(&pattern[from..]));
    }
    pieces
}

/// Is a value of this type?
fn is(kind: &str, seen: Option<&Value>) -> bool {
    let Some(seen) = seen else {
        return kind == "absent";
    };
    match kind {
        "any" => true,
        "bool" => seen.is_boolean(),
        "int" => seen.is_i64() || seen.is_u64(),
        "list" => seen.is_array(),
        "map" => seen.is_object(),
        "null" => seen.is_null(),
        "number" => seen.is_number(),
        "string" => seen.is_string(),
        _ => seen.as_str().is_some_and(|text| part_is(kind, text)),
    }
}

/// Is a part of a text of this type?
fn part_is(kind: &str, text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    match kind {
        "any" | "string" => true,
        "text" => !text.is_empty(),
        "int" => text.parse::<i64>().is_ok(),
        "hex" => text.len() == 32 && hex(text),
        "uuid" => text.len() == 36 && uuid::Uuid::try_parse(text).is_ok(),
        // Each service has its own: with and without a zone, fractions, a `Z`.
        "time" => {
            let bare = text.trim_end_matches('Z').replacen(' ', "T", 1);
            bare.parse::<jiff::civil::DateTime>().is_ok() || text.parse::<jiff::Timestamp>().is_ok()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(pattern: Value, seen: Value) -> Vec<String> {
        compare(&pattern, Some(&seen)).wrong
    }

    #[test]
    fn a_pattern_that_differs_says_where() {
        let seen = json!({"net": {"id": 5, "tags": ["a", "b"]}, "more": 1});
        assert_eq!(
            differences(json!({"net": {"id": "<uuid>", "gone": null}}), seen.clone()),
            [
                "/net/gone: null expected, nothing seen",
                "/net/id: \"<uuid>\" expected, 5 seen"
            ]
        );
        for good in [
            json!({"net": {"id": "<int>", "tags": ["a", "<string>"], "x": "<absent>"}}),
            json!({"net": {"id": 5, "tags": {"$bag": ["b", "a"], "$size": 2, "$lacks": "c"}}}),
            json!({"net": {"tags": {"$each": "<a|b>", "$has": "b"}}}),
            json!({"$exactly": {"net": "<map>", "more": "<null|int>"}}),
        ] {
            assert_eq!(differences(good, seen.clone()), [""; 0]);
        }
        for bad in [
            json!({"$exactly": {"net": "<map>"}}),
            json!({"net": {"tags": ["b", "a"]}}),
            json!({"net": {"tags": {"$bag": ["a"]}}}),
            json!({"net": {"tags": {"$each": "<a|c>"}}}),
            json!({"net": {"tags": {"$has": "c"}}}),
            json!({"net": {"tags": {"$lacks": "b"}}}),
            json!({"net": {"tags": {"$size": 3}}}),
            json!({"net": {"tags": {"$sice": 2}}}),
            json!({"more": "<absent>"}),
        ] {
            assert_ne!(differences(bad, seen.clone()), [""; 0]);
        }
    }

    #[test]
    fn holes_in_a_text_are_kept_under_their_names() {
        let pattern = json!("Port <uuid as port> on <host-1|host-2>: <int> left<br />");
        let seen = json!("Port 8406c6eb-1a51-4952-b895-a6fdbcb8a578 on host-2: 12 left<br />");
        let kept = compare(&pattern, Some(&seen)).good().unwrap();
        assert_eq!(kept["port"], "8406c6eb-1a51-4952-b895-a6fdbcb8a578");
        let names = Names::from([("n".to_owned(), json!(5)), ("a".to_owned(), json!("x"))]);
        let filled = fill(&json!({"{a}": "{n}", "b": ["{a}-{n}{ }"]}), &names).unwrap();
        assert_eq!(filled, json!({"x": 5, "b": ["x-5{ }"]}));
        assert!(
            fill(&json!("{nobody}"), &names)
                .unwrap_err()
                .contains("nobody")
        );
    }

    #[test]
    fn times_of_every_service_are_times() {
        for time in [
            "2026-11-22T09:00:00Z",
            "2026-11-22T09:00:00.000000",
            "2026-11-22T09:00:00.000000Z",
        ] {
            assert!(part_is("time", time), "{time}");
        }
        assert!(!part_is("time", "soon"));
    }
}
