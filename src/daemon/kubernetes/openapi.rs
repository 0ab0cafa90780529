//! OpenAPI v3 of what is served, made of the kinds' JSON Schemas: for `kubectl explain`.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::kinds;
use crate::manifest::{Group, Shape};

use super::resource::{self, Access, Resource, parts};
use super::route;

/// Parts of the spec that ORC's group does not have.
const NATIVE: [&str; 4] = ["cloud", "suspend", "adopt", "lifecycle"];
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

type Documents = Vec<(Group, Value)>;

static READ: LazyLock<Documents> = LazyLock::new(|| all(Access::Read));
static WRITE: LazyLock<Documents> = LazyLock::new(|| all(Access::Write));

fn all(access: Access) -> Documents {
    Group::ALL
        .map(|group| (group, assemble(group, access)))
        .into()
}

/// Which documents there are.
pub(super) fn index(access: Access) -> Value {
    let paths: Map<String, Value> = Group::ALL
        .into_iter()
        .map(|group| {
            let path = route::path(group);
            let path = path.trim_start_matches('/');
            // The hash lets a client keep what it has: it is another one with another program.
            let hash = env!("CARGO_PKG_VERSION");
            let address = format!("/openapi/v3/{path}?hash={hash}-{access:?}");
            (path.to_owned(), json!({"serverRelativeURL": address}))
        })
        .collect();
    json!({"paths": paths})
}

/// The document of a group.
pub(super) fn document(group: Group, access: Access) -> &'static Value {
    static NONE: Value = Value::Null;
    let documents = match access {
        Access::Read => &READ,
        Access::Write => &WRITE,
    };
    documents
        .iter()
        .find(|(it, _)| *it == group)
        .map_or(&NONE, |(_, document)| document)
}

fn assemble(group: Group, access: Access) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    schemas.insert(OBJECT_META.to_owned(), object_meta());
    for resource in resource::of(group, access) {
        let mut schema = object(resource, &mut schemas);
        schema["x-kubernetes-group-version-kind"] = json!([kind(resource)]);
        schemas.insert(name(group, resource.kind), schema);
        for (path, action) in addresses(resource) {
            let mut operations = json!({"get": operation(resource, action)});
            for (method, action) in writing(&path, action, access.verbs(resource)) {
                operations[*method] = operation(resource, action);
            }
            paths.insert(path, operations);
        }
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "stackward", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// `dev.stackward.v1alpha1.Server`
fn name(group: Group, part: &str) -> String {
    let (domain, version) = parts(group);
    let mut words: Vec<&str> = match domain {
        "" => vec!["core", "api", "k8s", "io"],
        domain => domain.split('.').collect(),
    };
    words.reverse();
    words.extend([version, part]);
    words.join(".")
}

fn kind(resource: &Resource) -> Value {
    let (group, version) = parts(resource.group);
    json!({"group": group, "version": version, "kind": resource.kind})
}

fn addresses(resource: &Resource) -> Vec<(String, &'static str)> {
    let (base, plural) = (route::path(resource.group), &resource.plural);
    match resource.namespaced {
        true => vec![
            (format!("{base}/{plural}"), "list"),
            (format!("{base}/namespaces/{{namespace}}/{plural}"), "list"),
            (
                format!("{base}/namespaces/{{namespace}}/{plural}/{{name}}"),
                "get",
            ),
        ],
        false => vec![
            (format!("{base}/{plural}"), "list"),
            (format!("{base}/{plural}/{{name}}"), "get"),
        ],
    }
}

fn operation(resource: &Resource, action: &str) -> Value {
    let target = format!(
        "#/components/schemas/{}",
        name(resource.group, resource.kind)
    );
    let content = json!({"schema": {"$ref": target}});
    let mut operation = json!({
        "responses": {"200": {"description": "OK", "content": {"application/json": content}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind(resource),
    });
    let parameters: &[&str] = match action {
        "post" | "put" => &["dryRun", "fieldManager", "fieldValidation"],
        "patch" => &["dryRun", "fieldManager", "fieldValidation", "force"],
        "delete" => &["dryRun"],
        _ => return operation,
    };
    let parameter = |name: &&str| {
        let text = if *name == "force" {
            "boolean"
        } else {
            "string"
        };
        json!({"name": name, "in": "query", "schema": {"type": text}})
    };
    operation["parameters"] = parameters.iter().map(parameter).collect();
    let forms: &[&str] = match action {
        "patch" => &[
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/apply-patch+yaml",
        ],
        _ => &["application/json", "application/yaml"],
    };
    if action != "delete" {
        let forms = forms
            .iter()
            .map(|form| ((*form).to_owned(), content.clone()));
        operation["requestBody"] = json!({"required": true, "content": Map::from_iter(forms)});
    }
    operation
}

/// The methods that write at a path of a resource, and what each of them is to Kubernetes.
fn writing(path: &str, reading: &str, verbs: &[&str]) -> &'static [(&'static str, &'static str)] {
    match reading {
        _ if !verbs.contains(&"create") => &[],
        "get" => &[("put", "put"), ("patch", "patch"), ("delete", "delete")],
        _ if path.contains("{namespace}") => &[("post", "post")],
        _ => &[],
    }
}

/// The schema of a resource's objects; what it refers to is put into `schemas`.
fn object(resource: &Resource, schemas: &mut Map<String, Value>) -> Value {
    let Some(mut schema) = resource::schema(resource) else {
        return plain(resource);
    };
    let group = resource.group;
    if let Some(Value::Object(definitions)) =
        schema.as_object_mut().and_then(|it| it.remove("$defs"))
    {
        for (part, mut definition) in definitions {
            convert(&mut definition, group);
            schemas.insert(name(group, &part), definition);
        }
    }
    if group == Group::Orc {
        prune(&mut schema, resource);
    }
    convert(&mut schema, group);
    let (spec, status) = (&schema["properties"]["spec"], status(resource, schemas));
    json!({
        "type": "object",
        "description": describe(resource),
        "properties": {
            "apiVersion": {"type": "string", "description": "The group and its version."},
            "kind": {"type": "string", "description": "The kind of the object."},
            "metadata": metadata(),
            "spec": spec,
            "status": status,
        },
        "required": ["spec"],
    })
}

fn describe(resource: &Resource) -> String {
    let spec = kinds::find(resource.kind).map(|kind| kind.schemas().spec);
    spec.as_ref()
        .and_then(|spec| spec["description"].as_str())
        .unwrap_or_default()
        .to_owned()
}

fn metadata() -> Value {
    json!({
        "description": "Name, namespace, labels and annotations.",
        "allOf": [{"$ref": format!("#/components/schemas/{OBJECT_META}")}],
    })
}

fn status(resource: &Resource, schemas: &mut Map<String, Value>) -> Value {
    let group = resource.group;
    let mut of = kinds::find(resource.kind)
        .map(|kind| kind.schemas().status)
        .unwrap_or_default();
    let definitions = of.as_object_mut().and_then(|it| it.remove("$defs"));
    // They may have the names of the spec's own.
    let own = format!("{}.status.", resource.kind);
    rename(&mut of, &own);
    convert(&mut of, group);
    if let Some(Value::Object(definitions)) = definitions {
        for (part, mut definition) in definitions {
            rename(&mut definition, &own);
            convert(&mut definition, group);
            schemas.insert(name(group, &format!("{own}{part}")), definition);
        }
    }
    json!({
        "type": "object",
        "description": "What the daemon says of it; manifests say nothing here.",
        "properties": {
            "id": {"type": "string", "description": "The id of the resource in the cloud."},
            "reason": {"type": "string", "description": "InSync, or what it waits for, in one word."},
            "cloud": {"type": "string", "description": "The cloud that it is in."},
            "resource": of,
            "manifest": {
                "type": "object",
                "description": "Where its manifest is, and the API version written there.",
                "properties": {"origin": {"type": "string"}, "apiVersion": {"type": "string"}},
            },
            "conditions": {
                "type": "array",
                "description": "Available and Progressing always; Blocked, Suspended and Drifted while they hold.",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string"},
                        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                        "reason": {"type": "string"},
                        "message": {"type": "string"},
                        "observedGeneration": {"type": "integer", "format": "int64"},
                        "lastTransitionTime": {"type": "string", "format": "date-time"},
                    },
                },
            },
        },
    })
}

/// Takes out what ORC's group does not have, as far as it stands at the top.
fn prune(schema: &mut Value, resource: &Resource) {
    let Some(kind) = kinds::find(resource.kind) else {
        return;
    };
    let enveloped = kind.shape() == Shape::Enveloped;
    if enveloped && let Some(spec) = schema.pointer_mut("/properties/spec") {
        forget(spec, &NATIVE);
        spec["required"] = json!(["cloudCredentialsRef"]);
    }
    let place = match enveloped {
        true => "/properties/spec/properties/resource",
        false => "/properties/spec",
    };
    if let Some(spec) = schema.pointer_mut(place) {
        let names: Vec<&str> = kind
            .native_fields()
            .iter()
            .filter_map(|it| it.strip_prefix('/'))
            .collect();
        forget(spec, &names);
    }
}

fn forget(schema: &mut Value, names: &[&str]) {
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|name, _| !names.contains(&name.as_str()));
    }
}

fn rename(schema: &mut Value, own: &str) {
    walk(schema, &mut |map| {
        if let Some(Value::String(target)) = map.get_mut("$ref")
            && let Some(rest) = target.strip_prefix("#/$defs/")
        {
            *target = format!("#/$defs/{own}{rest}");
        }
    });
}

/// JSON Schema as OpenAPI 3.0 has it: no `$defs`, no `const`, and `null` as a word beside the type.
fn convert(schema: &mut Value, group: Group) {
    walk(schema, &mut |map| {
        for word in ["$schema", "examples", "title", "prefixItems"] {
            // A property of this name is a schema, not text or a list.
            if map.get(word).is_some_and(|it| !it.is_object()) {
                map.remove(word);
            }
        }
        if let Some(Value::String(target)) = map.get_mut("$ref")
            && let Some(rest) = target.strip_prefix("#/$defs/")
        {
            *target = format!("#/components/schemas/{}", name(group, rest));
        }
        if let Some(Value::Array(types)) = map.get("type") {
            let first = types.iter().find(|it| *it != "null").cloned();
            map.insert("type".to_owned(), first.unwrap_or_else(|| json!("object")));
        }
        if let Some(only) = map.remove("const") {
            match only.is_object() {
                true => map.insert("const".to_owned(), only),
                false => map.insert("enum".to_owned(), json!([only])),
            };
        }
        if let Some(Value::Array(words)) = map.get_mut("enum") {
            words.retain(|it| !it.is_null());
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(Value::Array(choices)) = map.get_mut(word) {
                choices.retain(|it| it["type"] != "null");
                if let [only] = &mut choices[..] {
                    let only = only.take();
                    map.remove(word);
                    map.insert("allOf".to_owned(), json!([only]));
                }
            }
        }
        // kubectl takes a reference with a description beside it only as one of `allOf`.
        if map.len() > 1 && map.get("$ref").is_some_and(Value::is_string) {
            let target = map.remove("$ref");
            map.insert("allOf".to_owned(), json!([{"$ref": target}]));
        }
    });
}

/// Visits each mapping, the outer ones first.
fn walk(value: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values_mut().for_each(|it| walk(it, visit));
        }
        Value::Array(items) => items.iter_mut().for_each(|it| walk(it, visit)),
        _ => {}
    }
}

/// What no manifest declares.
fn plain(resource: &Resource) -> Value {
    let description = match resource.kind {
        resource::EVENT => "A condition of an object that has changed.",
        "Secret" => "Texts that are told to nobody: where they are read, a word stands for them.",
        "ConfigMap" => "Texts.",
        _ => "What the names of objects are in. There is one as soon as a manifest names it.",
    };
    let mut schema = json!({
        "type": "object",
        "description": description,
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": metadata(),
        },
    });
    let fields: &[&str] = match resource.kind {
        "Secret" => &["data", "stringData"],
        "ConfigMap" => &["binaryData", "data"],
        _ => return schema,
    };
    let properties = &mut schema["properties"];
    for field in fields {
        properties[field] = json!({"type": "object", "additionalProperties": {"type": "string"}});
    }
    properties["immutable"] = json!({"type": "boolean"});
    if resource.kind == "Secret" {
        properties["type"] = json!({"type": "string"});
    }
    schema
}

fn object_meta() -> Value {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let with = |schema: &Value, description: &str| {
        let mut schema = schema.clone();
        schema["description"] = json!(description);
        schema
    };
    let text = json!({"type": "string"});
    let time = json!({"type": "string", "format": "date-time"});
    json!({
        "type": "object",
        "description": "Name, namespace, labels and annotations.",
        "properties": {
            "name": with(&text, "The name, by which others refer to it."),
            "namespace": with(&text, "The namespace; `default` if none is named."),
            "labels": with(&texts, "Labels, for selecting."),
            "annotations": with(&texts, "Annotations. `stackward.dev/protect: \"true\"` forbids the deletion."),
            "uid": with(&text, "The same for the same name, whatever becomes of the resource."),
            "resourceVersion": with(&text, "Where a watch goes on. Of this process only."),
            "generation": {"type": "integer", "format": "int64", "description": "Counts the changes of what the manifest says, since the daemon's start."},
            "creationTimestamp": with(&time, "When the resource was made, if the cloud tells; else when this process first saw the object."),
            "deletionTimestamp": with(&time, "Since when the manifest is gone."),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(part: &Value, whole: &Value, faults: &mut Vec<String>) {
        match part {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref")
                    && whole.pointer(target.trim_start_matches('#')).is_none()
                {
                    faults.push(format!("{target} leads nowhere"));
                }
                if matches!(map.get("type"), Some(Value::Array(_))) {
                    faults.push(format!("two types: {part}"));
                }
                map.values().for_each(|it| check(it, whole, faults));
            }
            Value::Array(items) => items.iter().for_each(|it| check(it, whole, faults)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        for (group, access) in Group::ALL
            .into_iter()
            .flat_map(|it| Access::ALL.map(|a| (it, a)))
        {
            let document = document(group, access);
            let mut faults = Vec::new();
            check(document, document, &mut faults);
            assert_eq!(faults, Vec::<String>::new());
            let paths = document["paths"].as_object().unwrap();
            assert!(paths.len() >= 2 * resource::of(group, access).count());
        }
    }

    #[test]
    fn orc_has_no_lifecycle_and_needs_credentials() {
        let spec = |group| {
            let name = name(group, "Server");
            document(group, Access::Read)["components"]["schemas"][name]["properties"]["spec"]
                .clone()
        };
        let (native, orc) = (spec(Group::Native), spec(Group::Orc));
        assert!(native["properties"]["lifecycle"].is_object());
        assert!(native["properties"]["resource"].is_object());
        assert!(
            orc["properties"]["lifecycle"].is_null() && orc["properties"]["resource"].is_object()
        );
        assert_eq!(orc["required"], json!(["cloudCredentialsRef"]));
    }
}
