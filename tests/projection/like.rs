//! Whether what is seen is what was wanted. Written down anew, and not as the engine has it: what
//! matters at birth is compared as well, and what is not told has to be known for it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stackward::kinds::erased::AnyKind;
use stackward::kinds::field::Compare;

use crate::known::{Told, told};

/// The fields of `have` that are not as `want` sets them.
pub fn unlike(kind: &dyn AnyKind, want: &Value, have: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in kind.rows() {
        let place = Place::new(kind, have).at(row.name);
        let (wanted, there) = (&want[row.name], &have[row.name]);
        if !place.is_like(row.compare, wanted, there) {
            wrong.push(format!("{}: {wanted} wanted, {there} there", row.name));
        }
    }
    wrong
}

/// Those of the properties of which it would show if one was projected as another value, or, where
/// it is always told, not at all.
pub fn shown<'p>(
    kind: &dyn AnyKind,
    want: &Value,
    have: &Value,
    properties: impl Iterator<Item = &'p str>,
) -> BTreeSet<String> {
    let shows = |path: &&str| {
        let steps: Vec<&str> = path.split('/').skip(1).collect();
        if !is_set(want, &steps) {
            return false;
        }
        let with = |change: &dyn Fn(&Value) -> Value| {
            let mut have = have.clone();
            alter(&mut have, &steps, change);
            !unlike(kind, want, &have).is_empty()
        };
        let is_optional = told(kind.name(), path) == Some(Told::Sometimes);
        with(&otherwise) && (is_optional || with(&|_| Value::Null))
    };
    properties.filter(shows).map(str::to_owned).collect()
}

/// Whether any value there is set. Of nothing nothing can be missing.
fn is_set(value: &Value, steps: &[&str]) -> bool {
    match steps.split_first() {
        None => match value {
            Value::Null => false,
            Value::Array(all) => !all.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => true,
        },
        Some((&"*", rest)) => value
            .as_array()
            .is_some_and(|all| all.iter().any(|it| is_set(it, rest))),
        Some((step, rest)) => is_set(&value[*step], rest),
    }
}

fn alter(value: &mut Value, steps: &[&str], change: &dyn Fn(&Value) -> Value) {
    match (steps.split_first(), value) {
        (None, value) => *value = change(value),
        (Some((&"*", rest)), Value::Array(all)) => {
            all.iter_mut().for_each(|it| alter(it, rest, change));
        }
        (Some((step, rest)), value @ (Value::Object(_) | Value::Null)) => {
            alter(&mut value[*step], rest, change);
        }
        _ => {}
    }
}

/// Another value.
fn otherwise(value: &Value) -> Value {
    match value {
        Value::Null => json!("otherwise"),
        Value::Bool(it) => json!(!it),
        Value::Number(it) => json!(it.as_i64().unwrap_or_default() + 1),
        Value::String(it) => json!(format!("{it}-otherwise")),
        Value::Array(all) if all.is_empty() => json!(["otherwise"]),
        Value::Array(all) => all.iter().map(otherwise).collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, it)| (key.clone(), otherwise(it)))
                .collect(),
        ),
    }
}

/// Where in a spec of which kind.
struct Place<'k> {
    kind: &'k str,
    /// Of a server that is shelved.
    shelved: bool,
    path: String,
}

impl<'k> Place<'k> {
    fn new(kind: &'k dyn AnyKind, have: &Value) -> Self {
        Self {
            kind: kind.name(),
            shelved: have["powerState"] == "Shelved",
            path: String::new(),
        }
    }

    fn at(&self, step: &str) -> Self {
        Self {
            kind: self.kind,
            shelved: self.shelved,
            path: format!("{}/{step}", self.path),
        }
    }

    fn is_like(&self, compare: Compare, want: &Value, have: &Value) -> bool {
        if want.is_null() || (have.is_null() && self.may_be_untold()) {
            return true;
        }
        let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let item = self.at("*");
        let within = |some: &Value, of: &Value| {
            let of = all(of);
            all(some)
                .iter()
                .all(|it| of.iter().any(|other| item.holds(other, it)))
        };
        match compare {
            Compare::Value | Compare::IfTold => self.holds(have, want),
            Compare::Set => within(want, have) && within(have, want),
            Compare::Pairs(..) | Compare::Contains => within(want, have),
            Compare::Elements(_) => within(want, have) && all(want).len() == all(have).len(),
        }
    }

    /// Everything that `want` says, `have` says as well.
    fn holds(&self, have: &Value, want: &Value) -> bool {
        match (have, want) {
            (_, Value::Null) => true,
            (Value::Null, _) if self.may_be_untold() => true,
            (Value::Null, Value::Object(want)) => {
                want.iter().all(|(key, it)| self.at(key).holds(have, it))
            }
            (Value::Object(have), Value::Object(want)) => want.iter().all(|(key, it)| {
                let there = have.get(key).unwrap_or(&Value::Null);
                self.at(key).holds(there, it)
            }),
            (Value::Array(have), Value::Array(want)) => {
                let item = self.at("*");
                have.len() == want.len()
                    && have
                        .iter()
                        .zip(want)
                        .all(|(there, it)| item.holds(there, it))
            }
            _ => have == want,
        }
    }

    fn may_be_untold(&self) -> bool {
        match told(self.kind, &self.path) {
            Some(Told::Never | Told::Sometimes) => true,
            Some(Told::Unshelved) => self.shelved,
            Some(Told::Whole) | None => false,
        }
    }
}
