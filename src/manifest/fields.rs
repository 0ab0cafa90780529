//! Reading a mapping field by field, so that each fault is reported at its own place and none
//! stops at the first.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::place::{Places, join, words};
use super::problem::{Code, Hides, Problem, Severity};
use super::suggest::{hint, is_secret, one_of, quote, value_hint};
use super::{Group, Key};

/// A value and where it stands.
pub(super) struct Field<'a> {
    pub(super) value: &'a Value,
    pub(super) pointer: String,
}

/// The faults of one object.
pub(super) struct Report<'a> {
    pub(super) places: &'a Arc<Places>,
    /// Known once kind, namespace and name are.
    pub(super) key: Option<Key>,
    pub(super) confidential: bool,
    /// The object may be cut off, and its name with it: its faults may hide any object.
    pub(super) cut_off: bool,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub(super) fn new(places: &'a Arc<Places>) -> Self {
        Self {
            places,
            key: None,
            confidential: false,
            cut_off: false,
            problems: Vec::new(),
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// The problems, each with the object that is known by now.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let (key, confidential, cut_off) = (self.key, self.confidential, self.cut_off);
        let finish = |mut problem: Problem| {
            problem.confidential |= confidential;
            match &key {
                Some(key) if cut_off && problem.is_error() => {
                    problem.about(key.clone()).hiding(Hides::Unknown)
                }
                Some(key) => problem.about(key.clone()),
                None => problem,
            }
        };
        self.problems.into_iter().map(finish).collect()
    }

    /// An error about the value at a pointer.
    pub(super) fn error(
        &mut self,
        pointer: &str,
        code: Code,
        message: impl AsRef<str>,
        hint: Option<String>,
    ) {
        let mut problem = Problem::error(code, prefixed(pointer, message.as_ref()))
            .at(self.places.fault(pointer));
        problem.hint = hint;
        self.problems.push(problem);
    }

    /// An error or a warning about the key at a pointer.
    pub(super) fn at_key(
        &mut self,
        severity: Severity,
        pointer: &str,
        code: Code,
        message: &str,
        hint: Option<String>,
    ) {
        let mut problem =
            Problem::error(code, prefixed(pointer, message)).at(self.places.key(pointer));
        if severity == Severity::Warning {
            (problem.severity, problem.hides) = (severity, Hides::Nothing);
        }
        problem.hint = hint;
        self.problems.push(problem);
    }

    /// A mapping whose fields do not go together. It stands at its key: a block mapping begins
    /// with its first field, which may have no part in it.
    pub(super) fn conflict(&mut self, pointer: &str, message: &str, hint: &str) {
        let hint = Some(hint.to_owned());
        self.at_key(Severity::Error, pointer, Code::Conflict, message, hint);
    }

    pub(super) fn missing(&mut self, pointer: &str, name: &str, hint: Option<String>) {
        let hint = hint.or_else(|| known_field(name).map(str::to_owned));
        let message = format!("missing field `{name}`");
        self.at_key(Severity::Error, pointer, Code::MissingField, &message, hint);
    }

    /// The mapping that a field must be.
    pub(super) fn fields<'v>(&mut self, field: &Field<'v>) -> Option<Fields<'v>> {
        match field.value {
            Value::Object(map) => Some(Fields {
                map,
                pointer: field.pointer.clone(),
                known: Vec::new(),
                refused: Vec::new(),
                misspelled: Vec::new(),
            }),
            other => {
                self.wrong_type(&field.pointer, "a mapping", other);
                None
            }
        }
    }

    pub(super) fn items<'v>(&mut self, field: &Field<'v>) -> Vec<Field<'v>> {
        let Value::Array(items) = field.value else {
            self.wrong_type(&field.pointer, "a list", field.value);
            return Vec::new();
        };
        let item = |(index, value)| Field {
            value,
            pointer: join(&field.pointer, &usize::to_string(&index)),
        };
        items.iter().enumerate().map(item).collect()
    }

    pub(super) fn text<'v>(&mut self, field: &Field<'v>) -> Option<&'v str> {
        if let Value::String(text) = field.value {
            return Some(text);
        }
        self.wrong_type(&field.pointer, "text", field.value);
        None
    }

    pub(super) fn filled_text<'v>(&mut self, field: &Field<'v>) -> Option<&'v str> {
        let text = self.text(field)?;
        if text.is_empty() {
            self.error(
                &field.pointer,
                Code::InvalidValue,
                "must not be empty",
                Some("write a value, or leave the field out".to_owned()),
            );
            return None;
        }
        Some(text)
    }

    pub(super) fn boolean(&mut self, field: &Field<'_>) -> Option<bool> {
        if let Value::Bool(value) = field.value {
            return Some(*value);
        }
        self.wrong_type(&field.pointer, "true or false", field.value);
        None
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        field: &Field<'_>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|&(word, _)| word).collect();
        let Value::String(text) = field.value else {
            self.wrong_type(&field.pointer, &one_of(&words), field.value);
            return None;
        };
        let chosen = choices
            .iter()
            .find(|(word, _)| word == text)
            .map(|&(_, choice)| choice);
        if chosen.is_none() {
            let message = format!(
                "unknown value `{}`, expected {}",
                quote(text),
                one_of(&words)
            );
            let hint = value_hint(text, &words);
            self.error(&field.pointer, Code::InvalidValue, message, hint);
        }
        chosen
    }

    pub(super) fn unknown(&mut self, pointer: &str, hint: Option<String>) {
        let (severity, code) = (Severity::Error, Code::UnknownField);
        self.at_key(severity, pointer, code, "unknown field", hint);
        if let Some(problem) = self.problems.last_mut() {
            problem.confidential = is_secret(pointer.rsplit('/').next().unwrap_or_default());
        }
    }

    pub(super) fn wrong_type(&mut self, pointer: &str, expected: &str, found: &Value) {
        let hint = type_hint(pointer, expected, found);
        let message = format!("expected {expected}, found {}", type_name(found));
        self.error(pointer, Code::WrongType, message, hint);
    }
}

/// A mapping of which each field is asked for once; those that were never asked for are unknown.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    pub(super) pointer: String,
    known: Vec<&'static str>,
    /// Fields of the native group that were reported already.
    refused: Vec<&'static str>,
    /// Fields that were reported already, as misspelled.
    misspelled: Vec<String>,
}

impl<'a> Fields<'a> {
    /// A field, if it is there and not null.
    pub(super) fn get(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.known.push(name);
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(Field {
            value,
            pointer: join(&self.pointer, name),
        })
    }

    /// A field that must be there.
    pub(super) fn required(
        &mut self,
        name: &'static str,
        report: &mut Report<'_>,
    ) -> Option<Field<'a>> {
        let field = self.get(name);
        if field.is_some() || self.map.contains_key(name) {
            if field.is_none() {
                report.missing(&self.pointer, name, None);
            }
            return field;
        }
        // Misspelled, most probably: then that is what is wrong.
        let like = |key: &&String| super::did_you_mean(key, [name]).is_some();
        match self.map.keys().find(like) {
            Some(misspelled) => {
                let hint = format!("did you mean `{name}`?");
                report.unknown(&join(&self.pointer, misspelled), Some(hint));
                self.misspelled.push(misspelled.clone());
            }
            None => report.missing(&self.pointer, name, None),
        }
        None
    }

    /// A field that only the native group has.
    pub(super) fn native(
        &mut self,
        name: &'static str,
        group: Group,
        report: &mut Report<'_>,
    ) -> Option<Field<'a>> {
        if group == Group::Native {
            return self.get(name);
        }
        self.refused.push(name);
        if self.map.contains_key(name) {
            native_only(&join(&self.pointer, name), report);
        }
        None
    }

    /// Whether a field is written, be it without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Reports what was never asked for.
    pub(super) fn finish(self, report: &mut Report<'_>) {
        for name in self.map.keys() {
            let pointer = join(&self.pointer, name);
            let is_told = self.refused.contains(&name.as_str()) || self.misspelled.contains(name);
            if !self.known.contains(&name.as_str()) && !is_told {
                report.unknown(&pointer, hint(name, &self.known));
            }
        }
    }

    /// The fields that were not asked for, as a mapping of their own.
    pub(super) fn rest(&self) -> Map<String, Value> {
        self.map
            .iter()
            .filter(|(name, _)| !self.known.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// A field of the native group in a manifest of ORC's.
pub(super) fn native_only(pointer: &str, report: &mut Report<'_>) {
    report.at_key(
        Severity::Error,
        pointer,
        Code::NativeField,
        &format!("not a field of {}", Group::Orc.api_version()),
        Some(format!(
            "write `apiVersion: {}` to use it",
            Group::Native.api_version()
        )),
    );
}

/// What a value is, without saying what it holds: it may be a secret.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// How a field of the envelope is written.
fn known_field(name: &str) -> Option<&'static str> {
    Some(match name {
        "apiVersion" => "write `apiVersion: stackward.dev/v1alpha1`",
        "kind" => "write what it is, as `kind: Server`",
        "metadata" => "write its name, as `metadata: {name: web}`",
        "name" => "give it a name: it is how the object is known again",
        "spec" => "what is wanted stands under `spec`",
        "items" => "write the objects as a list under `items`",
        "secretName" => "name the Secret that holds a clouds.yaml",
        "cloudName" => "name the cloud of the clouds.yaml in that Secret",
        _ => return None,
    })
}

/// What helps with a value of the wrong type.
pub(super) fn type_hint(pointer: &str, expected: &str, found: &Value) -> Option<String> {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    let is_text = expected == "text" || expected.starts_with("a name");
    Some(match found {
        Value::Bool(_) | Value::Number(_) if is_text => "put it in quotes".to_owned(),
        Value::Bool(true) if expected.starts_with("Allow") || expected.starts_with("Deny") => {
            "write Allow".to_owned()
        }
        Value::Bool(false) if expected.starts_with("Allow") || expected.starts_with("Deny") => {
            "write Deny".to_owned()
        }
        Value::Number(number) if expected == "true or false" => {
            format!("write {}", number.as_f64() != Some(0.0))
        }
        Value::String(text) if expected == "true or false" => match text.to_lowercase().as_str() {
            "yes" | "on" | "true" | "y" => "write true, without quotes".to_owned(),
            "no" | "off" | "false" | "n" => "write false, without quotes".to_owned(),
            _ => "write true or false, without quotes".to_owned(),
        },
        Value::String(text) if expected.contains("number") => number_hint(text),
        Value::Number(number) if expected.contains("whole number") && number.is_f64() => {
            "write it without a decimal point".to_owned()
        }
        Value::String(text) if expected == "a list" && text.starts_with('-') => {
            "put a space behind the `-` of a list item".to_owned()
        }
        Value::Array(_) if expected == "a mapping" => {
            "leave out the `-` before its fields".to_owned()
        }
        Value::String(text) if expected == "a mapping" && text.contains(':') => {
            "put a space behind `:`".to_owned()
        }
        Value::Object(map) if is_text && map.contains_key("name") => {
            let of = map.get("name").and_then(Value::as_str).unwrap_or("...");
            format!("write the name alone: `{}: {}`", quote(name), quote(of))
        }
        Value::Object(_) | Value::Array(_) if expected == "text" => {
            "write it as text: in quotes, or as a block below `|`".to_owned()
        }
        _ => return None,
    })
}

fn number_hint(text: &str) -> String {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    let plain = digits.trim_start_matches('0');
    match (is_number, text.starts_with(|c: char| c.is_ascii_digit())) {
        (true, _) if plain.is_empty() => "write 0, without quotes".to_owned(),
        (true, _) if plain == text => "write it without quotes".to_owned(),
        (true, _) => format!("write {}", quote(plain)),
        (false, true) => "write the number alone, without a unit and without quotes".to_owned(),
        _ => "write a number, without quotes".to_owned(),
    }
}

pub(super) fn prefixed(pointer: &str, message: &str) -> String {
    let words = words(pointer);
    if words.is_empty() {
        message.to_owned()
    } else {
        format!("{}: {message}", quote(&words))
    }
}
