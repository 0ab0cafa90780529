//! JSON that is kept for long: as its text.
//!
//! A tree of values takes ten times the memory of its text, because a map of three fields takes as
//! much as one of eleven; of what is kept for every object, next to nothing is read again.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON value as its text; the same value has the same text, and a copy costs nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compact(Option<Arc<str>>);

impl Compact {
    /// The value.
    #[must_use]
    pub fn value(&self) -> Value {
        let value = self.0.as_deref().map(serde_json::from_str);
        // It is the text of a value: there is nothing in it that cannot be read.
        value.and_then(Result::ok).unwrap_or_default()
    }

    /// Is it `null`?
    #[must_use]
    pub const fn is_null(&self) -> bool {
        self.0.is_none()
    }
}

impl From<&Value> for Compact {
    fn from(value: &Value) -> Self {
        Self((!value.is_null()).then(|| value.to_string().into()))
    }
}

impl From<Value> for Compact {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl Serialize for Compact {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_deref().map(serde_json::from_str::<&RawValue>) {
            Some(Ok(text)) => text.serialize(serializer),
            _ => serializer.serialize_unit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_comes_back_as_it_was_and_is_written_as_it_was() {
        for value in [
            json!(null),
            json!({"b": [1, -2.5, "ä\u{1b}"], "a": null}),
            json!(18_446_744_073_709_551_615_u64),
        ] {
            let compact = Compact::from(&value);
            assert_eq!(compact.value(), value);
            assert_eq!(serde_json::to_value(&compact).unwrap(), value);
            assert_eq!(serde_json::to_string(&compact).unwrap(), value.to_string());
            assert_eq!(compact.is_null(), value.is_null());
        }
    }

    #[test]
    fn equal_values_are_equal() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":2}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{ "b": 2, "a": 1 }"#).unwrap();
        assert_eq!(Compact::from(&one), Compact::from(&other));
        assert_ne!(Compact::from(&one), Compact::default());
    }
}
