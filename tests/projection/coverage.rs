//! What was tried of a kind's schema, and what is lacking.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proptest::strategy::BoxedStrategy;
use serde_json::Value;

use crate::schema::{End, Schema};

/// How often each property was set, and not set, in the specs that came so far, wherever what it
/// is of was there; and how often it was each choice that it has.
#[derive(Debug, Clone)]
pub struct Coverage(BTreeMap<(String, Option<String>), (usize, usize)>);

/// Something that is still to be tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// The property.
    pub path: String,
    /// What it lacks.
    pub lack: Lack,
}

/// What a property lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// To be set at all.
    Set,
    /// To be left out.
    Unset,
    /// To be this, as JSON.
    Choice(String),
    /// To be set so that a wrong projection would show.
    Comparison,
    /// To be changed by somebody, and repaired.
    Repair,
}

impl Coverage {
    /// Of nothing.
    pub fn new(schema: Schema<'_>) -> Self {
        let mut coverage = Self(BTreeMap::new());
        coverage.walk(schema, "", None);
        coverage
    }

    /// Takes a spec into account.
    pub fn count(&mut self, schema: Schema<'_>, value: &Value) {
        self.walk(schema, "", Some(value));
    }

    /// What it would be with one more.
    pub fn with(&self, schema: Schema<'_>, value: &Value) -> Self {
        let mut with = self.clone();
        with.count(schema, value);
        with
    }

    /// How many things are counted.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The properties that have none of their own.
    pub fn leaves(&self) -> Vec<String> {
        let all: BTreeSet<&str> = self.0.keys().map(|(path, _)| path.as_str()).collect();
        let is_leaf = |path: &&str| {
            let mut others = all.iter();
            !path.is_empty()
                && !others.any(|it| it.strip_prefix(path).is_some_and(|it| it.starts_with('/')))
        };
        all.iter()
            .copied()
            .filter(is_leaf)
            .map(str::to_owned)
            .collect()
    }

    /// Properties that were never set, or always, and choices that were never made.
    pub fn gaps(&self) -> Vec<Gap> {
        let lack = |((path, choice), seen): (&(String, Option<String>), &(usize, usize))| {
            let lack = match (seen, choice) {
                ((0, _), None) => Lack::Set,
                ((0, _), Some(choice)) => Lack::Choice(choice.clone()),
                ((_, 0), None) => Lack::Unset,
                _ => return None,
            };
            let path = path.clone();
            Some(Gap { path, lack })
        };
        self.0.iter().filter_map(lack).collect()
    }

    fn walk(&mut self, schema: Schema<'_>, path: &str, value: Option<&Value>) {
        let it = schema.plain();
        if it.is_reference() {
            return;
        }
        let choices = it.at["enum"].as_array().into_iter().flatten();
        for choice in choices.filter(|it| !it.is_null()) {
            self.see(path, Some(choice), value.is_some(), value == Some(choice));
        }
        for alternative in it.alternatives() {
            let plain = alternative.plain();
            let choice = &plain.at["const"];
            if choice.is_null() {
                let fits = |it: &&Value| plain.is_of_type(it);
                self.walk(plain, path, value.filter(fits));
            } else {
                self.see(path, Some(choice), value.is_some(), value == Some(choice));
            }
        }
        for (name, property, required) in it.properties() {
            let path = format!("{path}/{name}");
            let inner = value.and_then(|it| it.get(name)).filter(|it| !it.is_null());
            self.see(&path, None, value.is_some(), inner.is_some());
            if required {
                // It cannot be left out: only whether it was there at all is of interest.
                self.0.get_mut(&(path.clone(), None)).unwrap().1 = usize::MAX / 2;
            }
            self.walk(property, &path, inner);
        }
        if let Some(items) = it.at.get("items") {
            let path = format!("{path}/*");
            self.walk(it.to(items), &path, None);
            for item in value.and_then(Value::as_array).into_iter().flatten() {
                self.walk(it.to(items), &path, Some(item));
            }
        }
    }

    fn see(&mut self, path: &str, choice: Option<&Value>, there: bool, set: bool) {
        let place = (path.to_owned(), choice.map(Value::to_string));
        let seen = self.0.entry(place).or_default();
        if there && set {
            seen.0 += 1;
        } else if there {
            seen.1 += 1;
        }
    }
}

impl Gap {
    /// The field of the spec that it is in.
    pub fn field(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }

    /// Specs that may fill it.
    pub fn strategy(&self, schema: Schema<'_>) -> BoxedStrategy<Value> {
        let steps: Vec<&str> = self.path.split('/').skip(1).collect();
        let end = match &self.lack {
            Lack::Set | Lack::Comparison | Lack::Repair => End::Set,
            Lack::Unset => End::Unset,
            Lack::Choice(json) => End::Choice(serde_json::from_str(json).unwrap()),
        };
        schema.toward(&steps, &end)
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.lack {
            Lack::Set => write!(f, "{path} was never set"),
            Lack::Unset => write!(f, "{path} was always set"),
            Lack::Choice(choice) => write!(f, "{path}={choice} was never set"),
            Lack::Comparison => write!(f, "{path} was never compared"),
            Lack::Repair => write!(f, "{path} was never repaired"),
        }
    }
}
