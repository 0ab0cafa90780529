//! One line of the table of fields, and what it refuses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::manifest::problem::Code;

use super::Fault;
use super::form::Form;

/// Which content a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `spec.resource`.
    Resource,
    /// `spec.import.filter`.
    Filter,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// Yes or no.
    Bool,
    /// A list.
    List,
    /// A mapping.
    Map,
}

/// What ORC asks of one field.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Names on the way to it; `[]` is any item. Empty for the content itself.
    pub path: Vec<&'static str>,
    /// Its type.
    pub kind: Type,
    /// Whether it must be there, if what it is in is.
    pub required: bool,
    /// Whether it stays once it was accepted.
    pub fixed: bool,
    /// Least and most: characters, value, elements or fields.
    pub range: (Option<i64>, Option<i64>),
    /// The only words (or numbers) that it may be; any if there are none.
    pub words: Vec<&'static str>,
    /// Its form.
    pub form: Option<Form>,
    /// Of a list: by which field of theirs no two elements are the same; by all of it if empty.
    pub unique: Option<&'static str>,
    /// What it is where nothing is written.
    pub default: Option<Value>,
    /// Words of the line that are not understood: none, which a test holds.
    pub unknown: Vec<&'static str>,
}

/// Reads the table.
pub(super) fn table(text: &'static str) -> BTreeMap<(&'static str, Place), Vec<Rule>> {
    let mut table: BTreeMap<_, Vec<Rule>> = BTreeMap::new();
    let mut section = ("", Place::Resource);
    for line in text.lines().map(str::trim) {
        let header = line.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        if let Some((kind, place)) = header.and_then(|header| header.split_once(' ')) {
            let place = match place {
                "filter" => Place::Filter,
                _ => Place::Resource,
            };
            section = (kind, place);
        } else if !line.is_empty() && !line.starts_with('#') {
            table.entry(section).or_default().push(Rule::read(line));
        }
    }
    table
}

impl Rule {
    fn read(line: &'static str) -> Self {
        let mut parts = line.split_ascii_whitespace();
        let path = parts.next().unwrap_or_default();
        let path = match path {
            "." => Vec::new(),
            // `a[]/b` is three steps.
            path => path
                .split('/')
                .flat_map(|step| {
                    let name = step.strip_suffix("[]");
                    [Some(name.unwrap_or(step)), name.map(|_| "[]")]
                })
                .flatten()
                .collect(),
        };
        let mut rule = Self {
            path,
            kind: Type::Map,
            required: false,
            fixed: false,
            range: (None, None),
            words: Vec::new(),
            form: None,
            unique: None,
            default: None,
            unknown: Vec::new(),
        };
        for word in parts {
            rule.take(word);
        }
        rule
    }

    fn take(&mut self, word: &'static str) {
        match word {
            "text" => self.kind = Type::Text,
            "number" => self.kind = Type::Number,
            "bool" => self.kind = Type::Bool,
            "list" => self.kind = Type::List,
            "map" => self.kind = Type::Map,
            "required" => self.required = true,
            "fixed" => self.fixed = true,
            "set" => self.unique = Some(""),
            _ => {
                if let Some(field) = word.strip_prefix("by:") {
                    self.unique = Some(field);
                } else if let Some(value) = word.strip_prefix('=') {
                    self.default = Some(value.parse::<bool>().map_or(json!(value), Value::Bool));
                } else if let Some((least, most)) = word.split_once("..") {
                    self.range = (least.parse().ok(), most.parse().ok());
                } else if let Some(form) = Form::named(word) {
                    self.form = Some(form);
                } else if word.contains('|') || self.kind == Type::Text {
                    self.words = word.split('|').collect();
                } else {
                    self.unknown.push(word);
                }
            }
        }
    }

    /// Its path in words: `rules[].portRange`.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.join(".").replace(".[]", "[]")
    }

    /// What it refuses of this content.
    pub(super) fn faults(&self, content: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        let fault = |pointer: &str, message: String| Fault {
            pointer: pointer.to_owned(),
            code: Code::InvalidValue,
            message,
        };
        for (pointer, value) in self.values(content) {
            let messages = [self.size(value), self.word(value), self.shape(value)];
            faults.extend(messages.into_iter().flatten().map(|it| fault(&pointer, it)));
        }
        if self.required
            && let Some((name, parent)) = self.path.split_last()
        {
            for (pointer, parent) in values(content, parent, String::new()) {
                if parent.is_object() && parent.get(*name).is_none_or(Value::is_null) {
                    faults.push(Fault {
                        pointer,
                        code: Code::MissingField,
                        message: format!("missing field `{name}`"),
                    });
                }
            }
        }
        faults
    }

    /// Every value that it is about, with its pointer.
    pub(super) fn values<'v>(&self, content: &'v Value) -> Vec<(String, &'v Value)> {
        values(content, &self.path, String::new())
    }

    pub(super) fn put_default(&self, content: &mut Value, default: &Value) {
        put(content, &self.path, default);
    }

    fn size(&self, value: &Value) -> Option<String> {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let (size, what) = match (self.kind, value) {
            (Type::Text, Value::String(text)) => (count(text.chars().count()), " characters"),
            (Type::List, Value::Array(items)) => (count(items.len()), " elements"),
            (Type::Map, Value::Object(map)) => (count(map.len()), " fields"),
            (Type::Number, Value::Number(number)) => (number.as_i64()?, ""),
            _ => return None,
        };
        let (least, most) = self.range;
        if least.is_none_or(|least| size >= least) && most.is_none_or(|most| size <= most) {
            return None;
        }
        let verb = if self.kind == Type::Number {
            "be"
        } else {
            "have"
        };
        Some(match (least, most) {
            (Some(least), Some(most)) if what.is_empty() => {
                format!("must be from {least} to {most}")
            }
            (Some(least), Some(most)) => format!("must {verb} {least} to {most}{what}"),
            (Some(least), None) => format!("must {verb} at least {least}{what}"),
            (_, most) => format!("must {verb} at most {}{what}", most.unwrap_or_default()),
        })
    }

    fn word(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        if self.words.is_empty() || self.words.contains(&text.as_str()) {
            return None;
        }
        let (last, others) = self.words.split_last()?;
        let expected = match others {
            [] => (*last).to_owned(),
            others => format!("{} or {last}", others.join(", ")),
        };
        Some(format!("unknown value `{text}`, expected {expected}"))
    }

    fn shape(&self, value: &Value) -> Option<String> {
        if let (Some(form), Value::String(text)) = (self.form, value)
            && !text.is_empty()
        {
            return form.fault(text).map(str::to_owned);
        }
        let (Some(field), Value::Array(items)) = (self.unique, value) else {
            return None;
        };
        let key = |item: &Value| match field {
            "" => item.clone(),
            field => item[field].clone(),
        };
        let twice = items.iter().enumerate().find_map(|(index, item)| {
            let key = key(item);
            let before = items[..index].iter().any(|it| self.key_of(it) == key);
            (before && !key.is_null()).then_some(key)
        })?;
        let twice = twice
            .as_str()
            .map_or_else(|| twice.to_string(), str::to_owned);
        Some(match field {
            "" => format!("{twice} is there twice"),
            field => format!("duplicate entries for {field}: {twice}"),
        })
    }

    fn key_of(&self, item: &Value) -> Value {
        match self.unique {
            Some(field) if !field.is_empty() => item[field].clone(),
            _ => item.clone(),
        }
    }
}

fn values<'v>(value: &'v Value, path: &[&str], pointer: String) -> Vec<(String, &'v Value)> {
    let Some((step, rest)) = path.split_first() else {
        return vec![(pointer, value)];
    };
    if *step != "[]" {
        return value
            .get(*step)
            .filter(|it| !it.is_null())
            .map(|it| values(it, rest, format!("{pointer}/{step}")))
            .unwrap_or_default();
    }
    // The items of a list, or the values of a map with free keys.
    let items: Vec<(String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        Value::Object(map) => map.iter().map(|(key, it)| (key.clone(), it)).collect(),
        _ => Vec::new(),
    };
    items
        .into_iter()
        .flat_map(|(name, item)| values(item, rest, format!("{pointer}/{name}")))
        .collect()
}

fn put(value: &mut Value, path: &[&str], default: &Value) {
    match (path, value) {
        ([], value) if value.is_null() => value.clone_from(default),
        (["[]", rest @ ..], Value::Array(items)) => {
            items.iter_mut().for_each(|item| put(item, rest, default));
        }
        ([last], Value::Object(map)) => {
            put(map.entry(*last).or_insert(Value::Null), &[], default);
        }
        ([step, rest @ ..], Value::Object(map)) => {
            if let Some(next) = map.get_mut(*step) {
                put(next, rest, default);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_understood() {
        let text = include_str!("fields.txt");
        let lines = text
            .lines()
            .filter(|it| !it.trim().is_empty() && !it.starts_with(['#', '[']))
            .count();
        let table = table(text);
        assert_eq!(table.values().map(Vec::len).sum::<usize>(), lines);
        for ((kind, place), rules) in &table {
            for rule in rules {
                assert!(rule.unknown.is_empty(), "{kind} {place:?} {rule:?}");
            }
        }
        let kinds: std::collections::BTreeSet<&str> = table.keys().map(|it| it.0).collect();
        assert_eq!(kinds.len(), 26);
    }

    #[test]
    fn a_path_goes_through_lists() {
        let rule = Rule::read("rules[]/portRange/min number required 0..65535");
        assert_eq!(rule.path, ["rules", "[]", "portRange", "min"]);
        assert_eq!(rule.name(), "rules[].portRange.min");
        assert_eq!((rule.required, rule.range), (true, (Some(0), Some(65535))));
    }
}
