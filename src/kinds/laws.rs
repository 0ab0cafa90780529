//! What must hold of every kind's declaration, for the tests. Not of its requests: those are tested
//! in its own file.

use serde_json::Map;

use super::erased::AnyKind;
use super::field::{Class, Compare};

/// Every row names a property of the schema, and the other way round; says what does not fit.
#[must_use]
pub fn unclassified(kind: &dyn AnyKind) -> Vec<String> {
    let schema = kind.schemas().spec;
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let rows = kind.rows();
    let missing = properties
        .keys()
        .filter(|name| !rows.iter().any(|row| row.name == name.as_str()))
        .map(|name| format!("{}.{name} has no row", kind.name()));
    let unknown = rows
        .iter()
        .filter(|row| !properties.contains_key(row.name))
        .map(|row| format!("{}.{} is no property", kind.name(), row.name));
    let twice = rows
        .iter()
        .enumerate()
        .filter(|(index, row)| rows[..*index].iter().any(|other| other.name == row.name))
        .map(|(_, row)| format!("{}.{} has two rows", kind.name(), row.name));
    let unkeyed = rows
        .iter()
        .filter(|row| row.class == Class::Members && !matches!(row.compare, Compare::Elements(_)))
        .map(|row| {
            format!(
                "{}.{} is a set without Compare::Elements",
                kind.name(),
                row.name
            )
        });
    missing.chain(unknown).chain(twice).chain(unkeyed).collect()
}
