//! A manifest as YAML, in an order that people read, with the names of ids beside them.
//!
//! The other way is `parse`. What is written here is read back as the same value, whatever is in it.

use std::collections::BTreeMap;

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// How a document is written.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// The fields that come first, in this order, wherever they are; the others follow by name.
    pub order: &'a [&'a str],
    /// What an id stands for: a comment beside `id: ...`.
    pub labels: &'a BTreeMap<String, String>,
}

/// Writes one document, without the `---` before it.
///
/// # Errors
/// The reason in words; none is known for a value that was JSON.
pub fn to_yaml(document: &Value, style: Style<'_>) -> Result<String, String> {
    let node = Node {
        value: document,
        style,
    };
    let text = scalar_lines(&node)?;
    let mut labels = BTreeMap::new();
    for (id, label) in style.labels {
        labels.insert(format!("id: {}", scalar_lines(id)?.trim_end()), label);
    }
    Ok(text
        .lines()
        .map(
            |line| match labels.get(line.trim_start_matches([' ', '-'])) {
                Some(label) => format!("{line} # {}\n", comment(label)),
                None => format!("{line}\n"),
            },
        )
        .collect())
}

/// YAML without block scalars: text of several lines is one line in quotes, so that a line that
/// looks like a field is one.
fn scalar_lines(value: &impl Serialize) -> Result<String, String> {
    let options = serde_saphyr::ser_options! {
        prefer_block_scalars: false,
    };
    serde_saphyr::to_string_with_options(value, options).map_err(|error| error.to_string())
}

/// Text as a comment: one line, and nothing that a terminal would obey.
#[must_use]
pub fn comment(text: &str) -> String {
    text.chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect()
}

struct Node<'a> {
    value: &'a Value,
    style: Style<'a>,
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { value, style } = *self;
        match value {
            Value::Object(map) => {
                let rank = |key: &str| {
                    let place = style.order.iter().position(|it| *it == key);
                    place.unwrap_or(usize::MAX)
                };
                let mut fields: Vec<(&String, &Value)> = map.iter().collect();
                fields.sort_by_key(|(key, _)| (rank(key), *key));
                let mut out = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    out.serialize_entry(key, &Node { value, style })?;
                }
                out.end()
            }
            Value::Array(items) => {
                let mut out = serializer.serialize_seq(Some(items.len()))?;
                for value in items {
                    out.serialize_element(&Node { value, style })?;
                }
                out.end()
            }
            scalar => scalar.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::manifest::documents;

    fn write(value: &Value, labels: &BTreeMap<String, String>) -> String {
        let order = &["kind", "spec", "name"];
        to_yaml(value, Style { order, labels }).unwrap()
    }

    fn read(text: &str) -> Value {
        let (documents, problems) = documents::read(&"f".into(), text);
        assert!(problems.is_empty(), "{text}\n{problems:?}");
        assert_eq!(documents.len(), 1, "{text}");
        documents[0].value.clone()
    }

    #[test]
    fn fields_have_their_order_and_ids_their_names() {
        let labels = BTreeMap::from([("1f".to_owned(), "m1.tiny\nx: 1".to_owned())]);
        let value = json!({"spec": {"flavorRef": {"id": "1f"}, "name": "a", "b": {"id": "2e"}}, "kind": "Server"});
        let text = write(&value, &labels);
        assert_eq!(
            text,
            "kind: Server\nspec:\n  name: a\n  b:\n    id: 2e\n  flavorRef:\n    id: 1f # m1.tiny x: 1\n"
        );
    }

    #[test]
    fn text_that_looks_like_something_else_stays_text() {
        for text in [
            "no",
            "0755",
            "1e3",
            "null",
            "~",
            "",
            " a",
            "a ",
            "a: b",
            "#a",
            "a #b",
            "- a",
            "---",
            "2026-01-01",
            "0x1f",
            "1_000",
            "é\n\n",
            "a\nid: 1f",
            "\u{85}",
            "\u{2028}",
            "%x",
            "!x",
            "&a",
            "*a",
            "{{ x }}",
            "\t",
            "\u{feff}",
            "12:30:45",
            "=",
            "<<",
            "...",
            ".",
            "|",
            ">",
            "'",
            "\"",
        ] {
            let value = json!({"a": text, "list": [text], "m": {"k": {"name": text}}});
            let labels = BTreeMap::from([("1f".to_owned(), "x".to_owned())]);
            let written = write(&value, &labels);
            assert_eq!(read(&written), value, "{written}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(
            texts in proptest::collection::vec(any::<String>(), 1..5),
            key in "[a-zA-Z0-9 :#._-]{1,12}", number: i64, yes: bool,
        ) {
            let value = json!({"a": texts, "b": {key: texts[0]}, "id": texts[0], "n": number, "y": yes, "e": [], "o": {}});
            let labels = BTreeMap::from([(texts[0].clone(), texts[texts.len() - 1].clone())]);
            prop_assert_eq!(read(&write(&value, &labels)), value);
        }
    }
}
