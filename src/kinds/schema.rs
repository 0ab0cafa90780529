//! The JSON Schema of manifests, put together from the kinds' own.
//!
//! For editors (`stackward schema`), for the reference and for OpenAPI; what is accepted is decided
//! where manifests are read.

use serde_json::{Map, Value, json};

use crate::manifest::{Group, Shape};

use super::KINDS;
use super::erased::AnyKind;

/// The schema of any document.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut choices = Vec::new();
    for kind in KINDS {
        choices.push(hoisted(*kind, &mut definitions));
    }
    choices.push(data_document("Secret"));
    choices.push(data_document("ConfigMap"));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stackward manifest",
        "oneOf": choices,
        "$defs": definitions,
    })
}

/// The schema of the documents of one kind.
#[must_use]
pub fn document(kind: &dyn AnyKind) -> Value {
    let mut definitions = Map::new();
    let mut schema = hoisted(kind, &mut definitions);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["$defs"] = Value::Object(definitions);
    schema
}

/// A kind's document, its definitions moved to the common ones under names of their own.
fn hoisted(kind: &dyn AnyKind, definitions: &mut Map<String, Value>) -> Value {
    let schemas = kind.schemas();
    let mut part = |schema: Value, prefix: &str| {
        let mut schema = schema;
        rename(&mut schema, prefix);
        if let Some(object) = schema.as_object_mut() {
            object.remove("$schema");
            if let Some(Value::Object(found)) = object.remove("$defs") {
                let found = found
                    .into_iter()
                    .map(|(name, it)| (format!("{prefix}{name}"), it));
                definitions.extend(found);
            }
        }
        schema
    };
    let spec = part(schemas.spec, &format!("{}.", kind.name()));
    let filter = part(schemas.filter, &format!("{}.filter.", kind.name()));
    let spec = match kind.shape() {
        Shape::Flat => spec,
        Shape::Enveloped => envelope(&spec, &filter),
    };
    json!({
        "title": kind.name(),
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "properties": {
            "apiVersion": {"enum": [Group::Native.api_version(), Group::Orc.api_version()]},
            "kind": {"const": kind.name()},
            "metadata": metadata(),
            "spec": spec,
            "status": {"description": "Written by the daemon, ignored in a file.", "type": "object"},
        },
    })
}

fn rename(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(target) if name == "$ref" => {
                        if let Some(rest) = target.strip_prefix("#/$defs/") {
                            *target = format!("#/$defs/{prefix}{rest}");
                        }
                    }
                    other => rename(other, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, prefix)),
        _ => {}
    }
}

fn metadata() -> Value {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "namespace": {"type": "string", "default": "default"},
            "labels": texts,
            "annotations": texts,
        },
    })
}

/// `spec` of a kind in an envelope; the words are those of `manifest::Policy`.
fn envelope(spec: &Value, filter: &Value) -> Value {
    let choice =
        |words: &[&str], description: &str| json!({"enum": words, "description": description});
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "cloudCredentialsRef": {
                "description": "A Secret with a clouds.yaml, and the cloud in it.",
                "type": "object",
                "required": ["secretName", "cloudName"],
                "additionalProperties": false,
                "properties": {"secretName": {"type": "string"}, "cloudName": {"type": "string"}},
            },
            "cloud": {"type": "string", "description": "A cloud of the daemon's own clouds.yaml."},
            "managementPolicy": choice(&["managed", "unmanaged"], "Whether the resource is ours to change."),
            "managedOptions": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "onDelete": choice(&["delete", "detach"], "What happens when the manifest is gone."),
                },
            },
            "resyncPeriod": {"type": "string", "description": "A duration such as 10m."},
            "suspend": {"type": "boolean", "description": "Look and report, change nothing."},
            "adopt": {
                "description": "Consent to take over an existing resource.",
                "oneOf": [
                    {"type": "object", "required": ["id"], "additionalProperties": false,
                     "properties": {"id": {"type": "string"}}},
                    {"type": "object", "required": ["byName"], "additionalProperties": false,
                     "properties": {"byName": {"type": "boolean"}}},
                ],
            },
            "lifecycle": {
                "description": "What may be done without asking.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "disrupt": choice(&["Allow", "Deny"], "Changes that interrupt service. Default Allow."),
                    "loseData": choice(&["Allow", "Deny"], "Changes that lose data. Default Deny."),
                    "replace": choice(&["Deny", "Allow", "CreateFirst"], "A new resource in place of the old one. Default Deny."),
                    "onError": choice(&["Hold", "Recreate"], "What becomes of a resource in ERROR. Default Hold."),
                    "userData": choice(&["Ignore", "Replace"], "What a change of user data does. Default Ignore."),
                    "deadline": {"type": "string", "description": "A duration such as 30m."},
                    "ignoreChanges": {"type": "array", "items": {"type": "string"},
                        "description": "JSON pointers such as /spec/resource/metadata that are not drift."},
                },
            },
            "resource": spec,
            "import": {
                "description": "A resource that is there already, by id or by filter.",
                "oneOf": [
                    {"type": "object", "required": ["id"], "additionalProperties": false,
                     "properties": {"id": {"type": "string"}}},
                    {"type": "object", "required": ["filter"], "additionalProperties": false,
                     "properties": {"filter": filter}},
                ],
            },
        },
    })
}

fn data_document(kind: &str) -> Value {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let mut properties = json!({
        "apiVersion": {"const": Group::Core.api_version()},
        "kind": {"const": kind},
        "metadata": metadata(),
        "immutable": {"type": "boolean"},
        "data": texts,
    });
    if kind == "Secret" {
        properties["stringData"] = texts;
        properties["type"] = json!({"type": "string"});
    } else {
        properties["binaryData"] = texts;
    }
    json!({
        "title": kind,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "additionalProperties": false,
        "properties": properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_schema_leads_to_a_definition() {
        fn check(part: &Value, whole: &Value) {
            match part {
                Value::Object(object) => {
                    if let Some(target) = object.get("$ref").and_then(Value::as_str) {
                        let pointer = target.trim_start_matches('#');
                        assert!(whole.pointer(pointer).is_some(), "{target} leads nowhere");
                    }
                    object.values().for_each(|value| check(value, whole));
                }
                Value::Array(items) => items.iter().for_each(|item| check(item, whole)),
                _ => {}
            }
        }
        let schema = schema();
        check(&schema, &schema);
        assert_eq!(schema["oneOf"].as_array().unwrap().len(), KINDS.len() + 2);
        for kind in KINDS {
            let document = document(*kind);
            check(&document, &document);
        }
    }
}
