//! One document as an object: which kind it is, what it is called, and lists of objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::fields::{Field, Fields, Report};
use super::names::{label_key_fault, label_value_fault, mend, name_fault, namespace_fault};
use super::parse::{Kinds, Shape};
use super::place::Places;
use super::problem::{Code, Problem, Severity};
use super::suggest::{one_of, quote};
use super::{Compact, DEFAULT_NAMESPACE, Group, Key, Manifest, did_you_mean, envelope};

const PROTECT: &str = "stackward.dev/protect";
/// The annotation in which the API remembers who has set which field; it says nothing to the engine.
pub const MANAGED_FIELDS: &str = "stackward.dev/managed-fields";
/// Annotations of this program begin so.
const OURS: &str = "stackward.dev/";
/// What Kubernetes writes into `metadata`: without effect here, and normal in an exported object.
const WRITTEN_BY_KUBERNETES: [&str; 10] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
const DATA_KINDS: [&str; 2] = ["ConfigMap", "Secret"];

/// Reads an object, or each of a list of objects.
pub(super) fn read(
    value: &Value,
    places: Places,
    kinds: Kinds<'_>,
) -> (Vec<Manifest>, Vec<Problem>) {
    let (mut manifests, mut problems) = (Vec::new(), Vec::new());
    let is_list = |value: &Value| value.get("kind").and_then(Value::as_str) == Some("List");
    if !is_list(value) {
        let (manifest, faults) = one(value, places, kinds);
        manifests.extend(manifest);
        return (manifests, faults);
    }
    let places = Arc::new(places);
    let mut report = Report::new(&places);
    let mut items = Vec::new();
    if let Some(mut fields) = report.fields(&Field {
        value,
        pointer: String::new(),
    }) {
        for known in ["apiVersion", "kind", "metadata"] {
            let _ = fields.get(known);
        }
        if let Some(field) = fields.required("items", &mut report) {
            items = report.items(&field);
        }
        fields.finish(&mut report);
    }
    problems.append(&mut report.into_problems());
    for item in items {
        if is_list(item.value) {
            let problem = Problem::error(Code::NotAnObject, "a list within a list")
                .at(places.value(&item.pointer))
                .hint("put its items into the outer list");
            problems.push(problem);
            continue;
        }
        let (manifest, faults) = one(item.value, places.below(&item.pointer), kinds);
        manifests.extend(manifest);
        problems.extend(faults);
    }
    (manifests, problems)
}

fn one(value: &Value, places: Places, kinds: Kinds<'_>) -> (Option<Manifest>, Vec<Problem>) {
    let places = Arc::new(places);
    let mut report = Report::new(&places);
    let Value::Object(map) = value else {
        let found = super::fields::type_name(value);
        let message = format!("expected an object with apiVersion and kind, found {found}");
        let hint = match value {
            Value::Array(_) => "write several objects one after the other with `---` between them",
            _ => "a manifest begins with `apiVersion: ` and `kind: `",
        };
        report.error("", Code::NotAnObject, message, Some(hint.to_owned()));
        return (None, report.into_problems());
    };
    if !["apiVersion", "kind", "metadata", "spec"]
        .iter()
        .any(|name| map.contains_key(*name))
        && !map
            .keys()
            .any(|name| super::did_you_mean(name, ["apiVersion"]).is_some())
    {
        report.missing("", "apiVersion", Some(stranger(map)));
        return (None, report.into_problems());
    }
    report.confidential =
        map.get("kind").and_then(Value::as_str) == Some("Secret") || map.contains_key("stringData");
    let manifest = object(value, kinds, &mut report);
    let (failed, problems) = (report.failed(), report.into_problems());
    (manifest.filter(|_| !failed), problems)
}

/// What helps with a document that is no manifest at all.
fn stranger(map: &serde_json::Map<String, Value>) -> String {
    if map.contains_key("clouds") {
        return "a clouds.yaml does not belong among the manifests: everything here is read as one"
            .to_owned();
    }
    "a manifest has apiVersion, kind, metadata and spec; what is none does not belong here, or gets \
     a name that begins with a dot"
        .to_owned()
}

/// What could be read of an object; it is whole when nothing was reported.
fn object(value: &Value, kinds: Kinds<'_>, report: &mut Report<'_>) -> Option<Manifest> {
    let root = Field {
        value,
        pointer: String::new(),
    };
    let mut fields = report.fields(&root)?;
    let group = fields
        .required("apiVersion", report)
        .and_then(|field| Some((report.text(&field)?, field.pointer)));
    let kind = fields
        .required("kind", report)
        .and_then(|field| Some((report.filled_text(&field)?, field.pointer)));
    let metadata = fields
        .required("metadata", report)
        .and_then(|field| report.fields(&field));
    let metadata = metadata.and_then(|metadata| metadata_of(metadata, report));

    let kind_is_known = |kind: &str| kinds.shape(kind).is_some() || DATA_KINDS.contains(&kind);
    if let (Some((kind, _)), Some(metadata)) = (&kind, &metadata)
        && kind_is_known(kind)
    {
        // From here on a fault holds up this object only.
        report.key = Some(Key::new(
            *kind,
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        ));
    }
    let group = group.and_then(|(text, pointer)| {
        let known = api_group(text, &pointer, report);
        if known.is_none() && report.key.is_none() {
            // What is none of ours need not have what ours have.
            report
                .problems
                .retain(|problem| problem.code != Code::MissingField);
        }
        known
    });
    let (kind, group) = (kind?, group?);
    let shape = match (group, kinds.shape(kind.0)) {
        (Group::Core, _) if DATA_KINDS.contains(&kind.0) => None,
        (Group::Orc | Group::Native, Some(shape)) => Some(shape),
        _ => {
            unknown_kind(group, &kind, kinds, report);
            return None;
        }
    };
    let contents = match shape {
        Some(shape) => envelope::resource(group, shape, &mut fields, report),
        None => envelope::data(kind.0, &mut fields, report),
    };
    if let Some(status) = fields.get("status") {
        let message = "ignored: the daemon reports the status, manifests do not";
        report.at_key(
            Severity::Warning,
            &status.pointer,
            Code::Ignored,
            message,
            Some("remove it".to_owned()),
        );
    }
    let before = report.problems.len();
    fields.finish(report);
    for problem in report.problems.iter_mut().skip(before) {
        let name = problem.message.split(": ").next().unwrap_or_default();
        if ["name", "namespace", "labels", "annotations"].contains(&name) {
            problem.hint = Some("put it under `metadata`".to_owned());
        }
    }
    let (contents, metadata, key) = (contents?, metadata?, report.key.clone()?);
    let mut policy = contents.policy;
    policy.protect = protect(&metadata, report);
    Some(Manifest {
        key,
        group,
        origin: report.places.value(""),
        labels: metadata.labels,
        annotations: metadata.annotations,
        policy,
        content: contents.content,
        spec: match shape {
            Some(_) => value.get("spec").map(Compact::from).unwrap_or_default(),
            None => Compact::from(beside_entries(value)),
        },
        places: Arc::clone(report.places),
        base: match shape {
            Some(Shape::Enveloped) => contents.base,
            Some(Shape::Flat) => "/spec",
            None => "",
        },
    })
}

/// `type` and `immutable` of a Secret or a ConfigMap.
fn beside_entries(value: &Value) -> Value {
    let fields = ["immutable", "type"];
    let known = fields
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), value.get(name)?.clone())));
    Value::Object(known.collect())
}

fn api_group(text: &str, pointer: &str, report: &mut Report<'_>) -> Option<Group> {
    let group = Group::ALL
        .into_iter()
        .find(|group| group.api_version() == text);
    if group.is_none() {
        let versions = Group::ALL.map(Group::api_version);
        let hint = match text.split_once('/') {
            Some((name, _)) => versions
                .into_iter()
                .find(|version| version.split('/').next() == Some(name))
                .or_else(|| did_you_mean(text, versions)),
            None => did_you_mean(text, versions),
        };
        let hint = match hint {
            Some(version) => format!("did you mean `{version}`?"),
            None => format!("expected {}", one_of(&versions)),
        };
        let message = format!("unknown API version `{}`", quote(text));
        report.error(pointer, Code::UnknownApiVersion, message, Some(hint));
    }
    group
}

fn unknown_kind(group: Group, kind: &(&str, String), kinds: Kinds<'_>, report: &mut Report<'_>) {
    let (kind, pointer) = kind;
    let served = match group {
        Group::Core => DATA_KINDS.to_vec(),
        Group::Orc | Group::Native => kinds.names(),
    };
    let elsewhere = match group {
        Group::Core if kinds.shape(kind).is_some() => Some(Group::Native),
        Group::Orc | Group::Native if DATA_KINDS.contains(kind) => Some(Group::Core),
        _ => None,
    };
    let hint = match elsewhere {
        Some(group) => Some(format!(
            "write `apiVersion: {}` for a {kind}",
            group.api_version()
        )),
        None => known_elsewhere(kind)
            .map(str::to_owned)
            .or_else(|| super::suggest::hint(kind, &served)),
    };
    let message = format!("unknown kind `{}` in {}", quote(kind), group.api_version());
    report.error(pointer, Code::UnknownKind, message, hint);
}

/// What people know by another name, or as an object of its own.
fn known_elsewhere(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Instance" | "VM" | "VirtualMachine" => "did you mean `Server`?",
        "Tenant" => "did you mean `Project`?",
        "Snapshot" => "did you mean `VolumeSnapshot`?",
        "Interface" => "did you mean `RouterInterface`?",
        "SecurityGroupRule" => "write it under `rules` of a SecurityGroup",
        "VolumeAttachment" => "name the volume under `volumes` of a Server",
        "FloatingIPAssociation" => "name the port in `portRef` of a FloatingIP",
        "Namespace" => "there is nothing to declare: a namespace is where objects name it",
        _ => return None,
    })
}

struct Metadata {
    name: String,
    namespace: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// `None` when the identity cannot be known.
fn metadata_of(mut fields: Fields<'_>, report: &mut Report<'_>) -> Option<Metadata> {
    let generated = fields.get("generateName");
    let name = match (fields.get("name"), &generated) {
        (None, Some(field)) => {
            report.at_key(
                Severity::Error,
                &field.pointer,
                Code::InvalidName,
                "names are not generated here",
                Some("give it a name: it is how the object is known again".to_owned()),
            );
            None
        }
        (None, None) => {
            report.missing(&fields.pointer, "name", None);
            None
        }
        (Some(field), _) => report.text(&field).and_then(|name| {
            let fault = name_fault(name);
            checked(name, fault, "name", &field.pointer, report)
        }),
    };
    let namespace = match fields.get("namespace") {
        None => Some(DEFAULT_NAMESPACE.to_owned()),
        Some(field) => report.text(&field).and_then(|name| {
            let fault = namespace_fault(name);
            checked(name, fault, "namespace", &field.pointer, report)
        }),
    };
    let labels = fields
        .get("labels")
        .map(|field| texts(&field, "label", report));
    let annotations = (fields.get("annotations")).map(|field| texts(&field, "annotation", report));
    let (labels, annotations) = (labels.unwrap_or_default(), annotations.unwrap_or_default());
    for name in WRITTEN_BY_KUBERNETES {
        if let Some(field) = fields.get(name) {
            let message = "ignored: Kubernetes writes this, it has no effect here";
            report.at_key(
                Severity::Warning,
                &field.pointer,
                Code::Ignored,
                message,
                Some("remove it".to_owned()),
            );
        }
    }
    fields.finish(report);
    Some(Metadata {
        name: name?,
        namespace: namespace?,
        labels,
        annotations,
    })
}

fn checked(
    name: &str,
    fault: Option<&str>,
    what: &str,
    pointer: &str,
    report: &mut Report<'_>,
) -> Option<String> {
    let Some(fault) = fault else {
        return Some(name.to_owned());
    };
    let message = format!(
        "`{}` is not a {what} as Kubernetes has them: it {fault}",
        quote(name)
    );
    let hint = mend(name).map(|mended| match what {
        "name" => format!(
            "write `{mended}`, and the name that OpenStack shall show in spec.resource.name"
        ),
        _ => format!("write `{}`", mended.replace('.', "-")),
    });
    let hint = hint.or_else(|| Some("write a name such as `web-1`".to_owned()));
    report.error(pointer, Code::InvalidName, message, hint);
    None
}

/// The labels or annotations, by `what` they are.
fn texts(field: &Field<'_>, what: &str, report: &mut Report<'_>) -> BTreeMap<String, String> {
    let Some(map) = field.value.as_object() else {
        report.wrong_type(&field.pointer, "a mapping", field.value);
        return BTreeMap::new();
    };
    let mut texts = BTreeMap::new();
    for (name, value) in map {
        let item = Field {
            value,
            pointer: super::place::join(&field.pointer, name),
        };
        if let Some(fault) = label_key_fault(name) {
            let message = format!("not a key that Kubernetes takes for {what}s: {fault}");
            let hint = "write a word such as `tier` or `example.com/tier`".to_owned();
            let (severity, code) = (Severity::Error, Code::InvalidName);
            report.at_key(severity, &item.pointer, code, &message, Some(hint));
        }
        if what == "annotation"
            && name.starts_with(OURS)
            && ![PROTECT, MANAGED_FIELDS].contains(&name.as_str())
        {
            let hint = format!("did you mean `{PROTECT}`?");
            report.unknown(&item.pointer, Some(hint));
        }
        let Some(text) = report.text(&item) else {
            continue;
        };
        if what == "label"
            && let Some(fault) = label_value_fault(text)
        {
            let message = format!("not a value that Kubernetes takes for labels: {fault}");
            let hint = "free text belongs into an annotation".to_owned();
            report.error(&item.pointer, Code::InvalidValue, message, Some(hint));
        }
        texts.insert(name.clone(), text.to_owned());
    }
    texts
}

fn protect(metadata: &Metadata, report: &mut Report<'_>) -> bool {
    match metadata.annotations.get(PROTECT).map(String::as_str) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let pointer = super::place::join("/metadata/annotations", PROTECT);
            let message = "expected \"true\" or \"false\"";
            let hint = "write \"true\" to protect it from deletion".to_owned();
            report.error(&pointer, Code::InvalidValue, message, Some(hint));
            false
        }
    }
}
