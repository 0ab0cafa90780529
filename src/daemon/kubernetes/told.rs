//! What is told of a manifest: everything but the texts that are confidential. In their place stands a
//! word, and where that word comes back it means the text that it stands for.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::kinds;
use crate::manifest::{Compact, Content, Data, Manifest, Shape};

/// What stands for a text that is told to nobody.
pub(super) const WITHHELD: &str = "(not shown)";
/// The same in base64, where nothing else may be.
pub(super) const WITHHELD_DATA: &str = "KG5vdCBzaG93bik=";
/// What kubectl applied last. It repeats the whole manifest.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Who has set which field, as far as it was set by this API. Told as `metadata.managedFields`.
pub(super) use crate::manifest::MANAGED_FIELDS as MANAGED;

/// What is told of one manifest.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Annotations.
    pub(super) annotations: BTreeMap<String, String>,
    /// Who has set which field.
    pub(super) managed: Option<Value>,
    /// The spec of an object.
    pub(super) spec: Compact,
    /// What a Secret or a ConfigMap has in place of a spec.
    pub(super) data: Map<String, Value>,
}

impl Told {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let kind = &*manifest.key.kind;
        let managed = manifest.annotations.get(MANAGED);
        let told = |(name, text): (&String, &String)| {
            let text = match name.as_str() {
                MANAGED => return None,
                LAST_APPLIED => last_applied(kind, text)?,
                _ => text.clone(),
            };
            Some((name.clone(), text))
        };
        Self {
            annotations: manifest.annotations.iter().filter_map(told).collect(),
            managed: managed.and_then(|text| serde_json::from_str(text).ok()),
            spec: spec(manifest),
            data: match &manifest.content {
                Content::Data(data) => entries(manifest, data),
                _ => Map::new(),
            },
        }
    }
}

fn spec(manifest: &Manifest) -> Compact {
    if private(&manifest.key.kind).is_empty() {
        return manifest.spec.clone();
    }
    let mut whole = json!({"spec": manifest.spec});
    withhold_all(&manifest.key.kind, &mut whole);
    whole["spec"].take().into()
}

fn entries(manifest: &Manifest, data: &Data) -> Map<String, Value> {
    let mut fields = match manifest.spec.value() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let secret = &*manifest.key.kind == "Secret";
    let (mut plain, mut encoded) = (Map::new(), Map::new());
    for (name, bytes) in data {
        match bytes.expose_text() {
            _ if secret => plain.insert(name.clone(), json!(WITHHELD_DATA)),
            Some(text) => plain.insert(name.clone(), json!(text)),
            None => encoded.insert(name.clone(), json!(STANDARD.encode(bytes.expose()))),
        };
    }
    for (name, entries) in [("data", plain), ("binaryData", encoded)] {
        if !entries.is_empty() {
            fields.insert(name.to_owned(), Value::Object(entries));
        }
    }
    if secret {
        fields.entry("type").or_insert_with(|| json!("Opaque"));
    }
    fields
}

/// What kubectl applied last, without confidential texts; `None` if it is not understood.
pub(super) fn last_applied(kind: &str, text: &str) -> Option<String> {
    let before: Value = serde_json::from_str(text).ok()?;
    let mut after = before.clone();
    withhold_all(kind, &mut after);
    // As it is, to the last space, if there is nothing to be hidden: kubectl compares texts.
    Some(match before == after {
        true => text.to_owned(),
        false => after.to_string(),
    })
}

/// Takes the confidential texts out of a whole object.
pub(super) fn withhold_all(kind: &str, object: &mut Value) {
    for (path, word) in private(kind) {
        withhold(object, &path, word);
    }
}

/// Puts the confidential texts of an object back into another one, where it has a word for them.
///
/// # Errors
/// Where such a word stands for nothing.
pub(super) fn restore_all(
    kind: &str,
    object: &mut Value,
    before: Option<&Value>,
) -> Result<(), String> {
    for (path, word) in private(kind) {
        let mut place = String::new();
        if !restore(object, before, &path, word, &mut place) {
            return Err(place);
        }
    }
    Ok(())
}

/// Where the confidential texts of a kind are, and the word for them.
fn private(kind: &str) -> Vec<(Vec<&'static str>, &'static str)> {
    if kind == "Secret" {
        return vec![
            (vec!["data", "*"], WITHHELD_DATA),
            (vec!["stringData", "*"], WITHHELD),
        ];
    }
    let Some(kind) = kinds::find(kind) else {
        return Vec::new();
    };
    let base: &[&str] = match kind.shape() {
        Shape::Enveloped => &["spec", "resource"],
        Shape::Flat => &["spec"],
    };
    let pointers = kind.confidential().iter();
    pointers
        .map(|pointer| {
            let below = pointer.split('/').skip(1);
            (base.iter().copied().chain(below).collect(), WITHHELD)
        })
        .collect()
}

fn withhold(value: &mut Value, path: &[&str], word: &str) {
    let Some((first, rest)) = path.split_first() else {
        *value = Value::from(word);
        return;
    };
    match value {
        Value::Object(map) if *first == "*" => {
            map.values_mut().for_each(|it| withhold(it, rest, word));
        }
        Value::Object(map) => {
            if let Some(it) = map.get_mut(*first) {
                withhold(it, rest, word);
            }
        }
        Value::Array(items) if *first == "*" => {
            items.iter_mut().for_each(|it| withhold(it, rest, word));
        }
        _ => {}
    }
}

/// Says whether every word was found to stand for something; else `place` says which did not.
fn restore(
    value: &mut Value,
    before: Option<&Value>,
    path: &[&str],
    word: &str,
    place: &mut String,
) -> bool {
    let Some((first, rest)) = path.split_first() else {
        if *value != word {
            return true;
        }
        let Some(before) = before.filter(|it| **it != word) else {
            return false;
        };
        *value = before.clone();
        return true;
    };
    let mut each = |name: &str, value: &mut Value, before: Option<&Value>| {
        let length = place.len();
        if !place.is_empty() {
            place.push('.');
        }
        place.push_str(name);
        let found = restore(value, before, rest, word, place);
        if found {
            place.truncate(length);
        }
        found
    };
    match value {
        Value::Object(map) => map
            .iter_mut()
            .filter(|(name, _)| *first == "*" || *name == first)
            .all(|(name, value)| each(name, value, before.and_then(|it| it.get(name)))),
        Value::Array(items) if *first == "*" => {
            items.iter_mut().enumerate().all(|(index, value)| {
                each(
                    &index.to_string(),
                    value,
                    before.and_then(|it| it.get(index)),
                )
            })
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse::{Kinds, parse};

    fn manifest(text: &str) -> Manifest {
        let (mut manifests, problems) = parse("a", text, Kinds(&[("Server", Shape::Enveloped)]));
        assert_eq!(problems, []);
        manifests.remove(0)
    }

    #[test]
    fn texts_that_people_put_passwords_into_are_not_shown() {
        let told = Told::of(&manifest(
            "apiVersion: stackward.dev/v1alpha1\nkind: Server\nmetadata: {name: db}\nspec:\n  \
             resource:\n    flavorRef: a\n    userData:\n      template: hunter2\n      \
             values: {a: {value: hunter3}, b: {secretKeyRef: {name: s, key: k}}}\n",
        ));
        assert_eq!(
            told.spec.value(),
            json!({"resource": {"flavorRef": "a", "userData": {"template": WITHHELD, "values": {
                "a": {"value": WITHHELD}, "b": {"secretKeyRef": {"name": "s", "key": "k"}}}}}})
        );
    }

    #[test]
    fn of_a_secret_the_keys_are_shown_and_of_a_config_map_everything() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  annotations:\n    \
            kubectl.kubernetes.io/last-applied-configuration: '{\"stringData\":{\"a\":\"hunter2\"}}'\n\
            stringData: {a: hunter2}\n";
        let told = Told::of(&manifest(secret));
        assert_eq!(
            Value::Object(told.data.clone()),
            json!({"data": {"a": WITHHELD_DATA}, "type": "Opaque"})
        );
        assert_eq!(
            told.annotations[LAST_APPLIED],
            r#"{"stringData":{"a":"(not shown)"}}"#
        );
        assert!(!format!("{told:?}").contains("hunter2"));
        assert_eq!(STANDARD.decode(WITHHELD_DATA).unwrap(), WITHHELD.as_bytes());
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\ndata: {a: b}\nbinaryData: {c: /w==}\n\
                   immutable: true\n";
        let told = Told::of(&manifest(map));
        assert_eq!(
            Value::Object(told.data),
            json!({"data": {"a": "b"}, "binaryData": {"c": "/w=="}, "immutable": true})
        );
    }

    #[test]
    fn what_was_withheld_is_put_back_and_never_made_up() {
        let server = |template: &str, value: &str| json!({"spec": {"resource": {"userData": {"template": template, "values": {"a": {"value": value}}}}}});
        let before = server("hunter2", "hunter3");
        let mut after = server(WITHHELD, "new");
        restore_all("Server", &mut after, Some(&before)).unwrap();
        assert_eq!(after, server("hunter2", "new"));
        let error = restore_all("Server", &mut server("x", WITHHELD), None).unwrap_err();
        assert_eq!(error, "spec.resource.userData.values.a.value");
        let mut secret = json!({"data": {"a": WITHHELD_DATA, "b": "bmV3"}});
        let before = json!({"data": {"a": "aHVudGVyMg=="}});
        restore_all("Secret", &mut secret, Some(&before)).unwrap();
        assert_eq!(secret["data"], json!({"a": "aHVudGVyMg==", "b": "bmV3"}));
        secret["data"]["c"] = json!(WITHHELD_DATA);
        assert!(restore_all("Secret", &mut secret, Some(&before)).is_err());
    }
}
