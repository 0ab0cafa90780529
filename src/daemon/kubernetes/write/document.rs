//! An object as a client sends it, and as it is kept in a file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::manifest::write::{Style, to_yaml};
use crate::manifest::{Group, Key};

use super::super::failure::Failure;
use super::super::resource::Resource;
use super::super::told::{LAST_APPLIED, MANAGED, last_applied, restore_all, withhold_all};
use super::managed::Managed;

const ORDER: [&str; 12] = [
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "type",
    "immutable",
    "spec",
    "data",
    "resource",
];
const HEADER: &str =
    "# Written through the daemon's Kubernetes API (--api-write): change it there, with kubectl.\n";
/// What belongs to a client in `metadata`; everything else there is the server's.
const METADATA: [&str; 4] = ["annotations", "labels", "name", "namespace"];

/// A document as a client knows it: without what is told to nobody, with what the server adds.
pub(super) fn shown(document: &Value, resource: &Resource, version: Option<&str>) -> Value {
    let mut shown = document.clone();
    withhold_all(resource.kind, &mut shown);
    let api_version = resource.group.api_version();
    let managed = Managed::of(document).entries(api_version);
    shown["apiVersion"] = json!(api_version);
    let metadata = &mut shown["metadata"];
    if let Some(annotations) = metadata["annotations"].as_object_mut() {
        annotations.remove(MANAGED);
    }
    metadata["managedFields"] = managed;
    if let Some(version) = version {
        metadata["resourceVersion"] = json!(version);
    }
    shown
}

/// What of an object that a client wants is kept: under this name, with the texts that it was not
/// told. And what is left out without effect.
///
/// # Errors
/// It is another object, or refers to a text that is not there.
pub(super) fn kept(
    mut object: Value,
    resource: &Resource,
    key: &Key,
    stored: Option<&Value>,
) -> Result<(Value, Vec<String>), Failure> {
    let api_version = resource.group.api_version();
    for (field, expected) in [("apiVersion", api_version), ("kind", resource.kind)] {
        match object[field].as_str() {
            Some(given) if given == expected => {}
            given => {
                let given = given.unwrap_or_default();
                return Err(Failure::bad_request(format!(
                    "{field} of the object is `{given}`, and the path is that of `{expected}`"
                )));
            }
        }
    }
    let mut warnings = Vec::new();
    if object["metadata"].is_null() {
        object["metadata"] = json!({});
    }
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return Err(Failure::bad_request("metadata is not a mapping"));
    };
    for (field, expected) in [("name", &key.name), ("namespace", &key.namespace)] {
        match metadata.get(field).and_then(Value::as_str) {
            None | Some("") => {}
            Some(given) if *given == **expected => {}
            Some(given) => {
                return Err(Failure::bad_request(format!(
                    "the {field} of the object ({given}) does not match the {field} on the URL \
                     ({expected})"
                )));
            }
        }
        metadata.insert(field.to_owned(), json!(**expected));
    }
    for field in ["finalizers", "ownerReferences"] {
        let given = metadata.get(field).and_then(Value::as_array);
        if given.is_some_and(|it| !it.is_empty()) {
            warnings.push(format!(
                "metadata.{field}: has no effect here, and is not kept"
            ));
        }
    }
    metadata.retain(|name, value| {
        let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        METADATA.contains(&name.as_str()) && !empty
    });
    let managed = stored.and_then(|it| it["metadata"]["annotations"].get(MANAGED));
    let annotations = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.remove(MANAGED);
        if let Some(text) = annotations.get(LAST_APPLIED).and_then(Value::as_str) {
            // It repeats what is told to nobody, and is told.
            match last_applied(resource.kind, text) {
                Some(text) => annotations.insert(LAST_APPLIED.to_owned(), json!(text)),
                None => annotations.remove(LAST_APPLIED),
            };
        }
    }
    if let Some(managed) = managed {
        if !metadata.contains_key("annotations") {
            metadata.insert("annotations".to_owned(), json!({}));
        }
        metadata["annotations"][MANAGED] = managed.clone();
    }
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    restore_all(resource.kind, &mut object, stored).map_err(|place| {
        Failure::bad_request(format!(
            "{place}: this word stands for a text that is not shown, and there is none here"
        ))
    })?;
    if resource.kind == "Secret" {
        encode(&mut object)?;
    }
    Ok((object, warnings))
}

/// A Secret's plain texts, as Kubernetes keeps them.
fn encode(secret: &mut Value) -> Result<(), Failure> {
    let Some(plain) = secret
        .as_object_mut()
        .and_then(|it| it.remove("stringData"))
    else {
        return Ok(());
    };
    let plain = match plain {
        Value::Null => return Ok(()),
        Value::Object(plain) => plain,
        _ => return Err(Failure::bad_request("stringData is not a mapping")),
    };
    if secret["data"].is_null() {
        secret["data"] = json!({});
    }
    let Some(data) = secret["data"].as_object_mut() else {
        return Err(Failure::bad_request("data is not a mapping"));
    };
    for (name, value) in plain {
        let text = match &value {
            Value::String(text) => text.as_str(),
            Value::Null => "",
            // Not repeated: it is part of a Secret.
            _ => {
                let message = format!("stringData.{name}: expected text");
                return Err(Failure::bad_request(message));
            }
        };
        data.insert(name, json!(STANDARD.encode(text)));
    }
    Ok(())
}

/// The name of an object's file.
pub(super) fn file_name(key: &Key) -> String {
    // Neither a namespace nor a kind has a dot in it.
    let kind = key.kind.to_lowercase();
    format!("{}.{kind}.{}.yaml", key.namespace, key.name)
}

/// The text of its file.
///
/// # Errors
/// A value cannot be written as YAML.
pub(super) fn text(document: &Value) -> Result<String, Failure> {
    let style = Style {
        order: &ORDER,
        labels: &std::collections::BTreeMap::new(),
    };
    let yaml = to_yaml(document, style).map_err(Failure::internal)?;
    Ok(format!("{HEADER}{yaml}"))
}

/// The group that a document is written in.
pub(super) fn group(document: &Value) -> Option<Group> {
    let version = document["apiVersion"].as_str()?;
    Group::ALL
        .into_iter()
        .find(|group| group.api_version() == version)
}

/// Takes out the field of this name: `spec.resource.rules[0].ports`. Says whether there was one.
pub(super) fn remove(value: &mut Value, words: &str) -> bool {
    match value {
        Value::Object(map) => {
            if map.remove(words).is_some() {
                return true;
            }
            map.iter_mut().any(|(name, value)| {
                let rest = words.strip_prefix(name.as_str());
                let rest = rest.and_then(|it| match it.strip_prefix('.') {
                    Some(below) => Some(below),
                    None => it.starts_with('[').then_some(it),
                });
                rest.is_some_and(|rest| remove(value, rest))
            })
        }
        Value::Array(items) => {
            let number = words.strip_prefix('[').and_then(|it| it.split_once(']'));
            let Some((number, rest)) = number else {
                return false;
            };
            let item = number
                .parse::<usize>()
                .ok()
                .and_then(|it| items.get_mut(it));
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            item.is_some_and(|item| remove(item, rest))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::kubernetes::resource::{Access, find};
    use crate::manifest::parse;

    fn keep(object: Value, stored: Option<&Value>) -> Result<(Value, Vec<String>), String> {
        let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
        let group = match plural.as_str() {
            "secrets" => Group::Core,
            _ => Group::Native,
        };
        let resource = find(group, &plural, Access::Write).unwrap();
        let key = Key::new(resource.kind, "team", "x");
        kept(object, resource, &key, stored).map_err(|it| it.to_string())
    }

    #[test]
    fn what_the_server_writes_is_not_kept_and_names_are_made_whole() {
        let object = json!({
            "apiVersion": "stackward.dev/v1alpha1", "kind": "Volume",
            "metadata": {"name": "x", "uid": "u", "labels": null, "finalizers": ["f"], "creationTimestamp": null},
            "spec": {"resource": {"size": 1}}, "status": {"id": "i"},
        });
        let (document, warnings) = keep(object.clone(), None).unwrap();
        assert_eq!(
            document,
            json!({"apiVersion": "stackward.dev/v1alpha1", "kind": "Volume",
                "metadata": {"name": "x", "namespace": "team"}, "spec": {"resource": {"size": 1}}})
        );
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let text = text(&document).unwrap();
        assert!(
            text.starts_with("# Written")
                && text.contains("\nkind: Volume\nmetadata:\n  name: x\n"),
            "{text}"
        );
        assert_eq!(parse::document("a", &text).unwrap(), document);
        for (field, value) in [
            ("/metadata/name", json!("y")),
            ("/kind", json!("Server")),
            ("/apiVersion", json!("v1")),
            ("/metadata", json!([])),
        ] {
            let mut wrong = object.clone();
            *wrong.pointer_mut(field).unwrap() = value;
            let resource = find(Group::Native, "volumes", Access::Write).unwrap();
            let key = Key::new("Volume", "team", "x");
            assert!(kept(wrong, resource, &key, None).is_err(), "{field}");
        }
    }

    #[test]
    fn a_secret_is_kept_encoded_and_what_repeats_it_is_not() {
        let secret = |text: &str| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "stringData": {"a": text},
                "metadata": {"name": "x", "annotations": {
                    LAST_APPLIED: json!({"stringData": {"a": text}}).to_string(),
                }},
            })
        };
        let (document, _) = keep(secret("hunter2"), None).unwrap();
        assert_eq!(document["data"], json!({"a": "aHVudGVyMg=="}));
        assert!(!document.to_string().contains("hunter2"), "{document}");
        // The same once more is the same.
        let again = keep(secret("hunter2"), Some(&document)).unwrap().0;
        assert_eq!(again, document);
        let resource = find(Group::Core, "secrets", Access::Write).unwrap();
        let mut shown = shown(&document, resource, Some("7"));
        assert!(!shown.to_string().contains("aHVudGVyMg"), "{shown}");
        shown["data"]["b"] = json!("bmV3");
        let back = keep(shown, Some(&document)).unwrap().0;
        assert_eq!(back["data"], json!({"a": "aHVudGVyMg==", "b": "bmV3"}));
        let error = keep(
            json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"a": 17}}),
            None,
        );
        assert_eq!(error.unwrap_err(), "stringData.a: expected text");
    }

    #[test]
    fn a_field_is_found_by_its_name() {
        let mut value = json!({"spec": {"rules": [{"a": 1}, {"b.c": {"d": 1, "e": 2}}]}});
        assert!(remove(&mut value, "spec.rules[1].b.c.d"));
        assert!(!remove(&mut value, "spec.rules[7].a") && !remove(&mut value, "spec.none"));
        assert_eq!(
            value,
            json!({"spec": {"rules": [{"a": 1}, {"b.c": {"e": 2}}]}})
        );
        assert!(remove(&mut value, "spec.rules"));
    }
}
