//! What is common to the `spec` of every kind, and the contents of Secrets and ConfigMaps.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::fields::{Field, Fields, Report, native_only};
use super::parse::Shape;
use super::place::join;
use super::policy::{CloudRef, Management, managed_options};
use super::problem::{Code, Severity};
use super::{Bytes, Content, Data, Group, Import, Policy, policy};

/// What a `spec` says.
pub(super) struct Contents {
    pub(super) policy: Policy,
    pub(super) content: Content,
    pub(super) base: &'static str,
}

/// Reads the `spec` of an OpenStack resource.
pub(super) fn resource(
    group: Group,
    shape: Shape,
    object: &mut Fields<'_>,
    report: &mut Report<'_>,
) -> Option<Contents> {
    let Some(field) = object.required("spec", report) else {
        report.cut_off = true;
        return None;
    };
    let mut spec = report.fields(&field)?;
    match shape {
        Shape::Enveloped => enveloped(group, spec, report),
        Shape::Flat => {
            let mut policy = flat_policy(group, &mut spec, report);
            policy.management = Management::Managed;
            let rest = Value::Object(spec.rest());
            if group == Group::Orc {
                refuse_native_references(&rest, "/spec", report);
            }
            Some(Contents {
                policy,
                content: Content::Resource(rest.into()),
                base: "/spec",
            })
        }
    }
}

fn flat_policy(group: Group, spec: &mut Fields<'_>, report: &mut Report<'_>) -> Policy {
    if group == Group::Native {
        let mut policy = policy::read(group, spec, report);
        if let Some((on_delete, _)) = managed_options(spec, report) {
            policy.on_delete = on_delete;
        }
        return policy;
    }
    // ORC's flat kind has none of the envelope but this. What else is in `spec` is the kind's
    // business, and unknown to it.
    let mut policy = Policy::default();
    for name in ["cloud", "suspend", "adopt", "lifecycle", "managedOptions"] {
        let _ = spec.native(name, group, report);
    }
    policy.resync_period = policy::resync_period(spec, report);
    policy
}

fn enveloped(group: Group, mut spec: Fields<'_>, report: &mut Report<'_>) -> Option<Contents> {
    let mut policy = policy::read(group, &mut spec, report);
    let before = report.problems.len();
    if group == Group::Orc && policy.cloud == CloudRef::Default {
        // An error inside it has been reported where it stands.
        if spec.get("cloudCredentialsRef").is_none() {
            let hint = format!(
                "name a Secret with a clouds.yaml, or write `apiVersion: {}`, where it is optional",
                Group::Native.api_version()
            );
            report.missing(&spec.pointer, "cloudCredentialsRef", Some(hint));
        }
    }
    let choices = [
        ("managed", Management::Managed),
        ("unmanaged", Management::Unmanaged),
    ];
    let written = spec
        .get("managementPolicy")
        .map(|field| report.choice(&field, &choices));
    let options = managed_options(&mut spec, report);
    let resource = spec.get("resource");
    let import = spec.get("import");
    let pointer = spec.pointer.clone();
    let empty = spec.has("resource").then(|| join(&pointer, "resource"));
    let known = report.problems.len();
    spec.finish(report);
    if resource.is_none() && import.is_none() {
        // A field that none of `spec` is like: one of the resource, most probably.
        for problem in report.problems.iter_mut().skip(known) {
            let lists = |hint: &String| hint.starts_with("expected ");
            if problem.hint.as_ref().is_none_or(lists) {
                problem.hint =
                    Some("fields of the resource belong under `spec.resource`".to_owned());
            }
        }
    }
    if report.problems.len() > known && resource.is_none() && import.is_none() {
        // Most probably one of the two, misspelled.
        return None;
    }

    policy.management = match written {
        Some(Some(written)) => written,
        // What the policy was meant to be is unknown, so nothing more can be said.
        Some(None) => return None,
        None if group == Group::Native && import.is_some() && resource.is_none() => {
            Management::Unmanaged
        }
        None => Management::Managed,
    };
    if let Some((on_delete, pointer)) = options {
        policy.on_delete = on_delete;
        if policy.management == Management::Unmanaged {
            report.conflict(
                &pointer,
                "managedOptions may only be provided when policy is managed",
                "what is only looked at is never deleted: leave it out",
            );
        }
    }
    let place = |field: &Option<Field<'_>>| {
        field
            .as_ref()
            .map_or_else(|| pointer.clone(), |field| field.pointer.clone())
    };
    let adopt = (group == Group::Native)
        .then(|| "to take over an existing resource and manage it, write `adopt`".to_owned());
    match (policy.management, &resource, &import) {
        (Management::Managed, Some(_), None) | (Management::Unmanaged, None, Some(_)) => {}
        (Management::Managed, resource, import) => {
            if import.is_some() {
                let message = "import may not be specified when policy is managed";
                report.at_key(
                    Severity::Error,
                    &place(import),
                    Code::Conflict,
                    message,
                    adopt,
                );
            }
            if resource.is_none() {
                let hint = "write `resource: {}` for one with nothing but defaults".to_owned();
                let message = "resource must be specified when policy is managed";
                report.at_key(
                    Severity::Error,
                    &empty.clone().unwrap_or_else(|| pointer.clone()),
                    Code::Conflict,
                    message,
                    Some(hint),
                );
            }
        }
        (Management::Unmanaged, resource, import) => {
            if resource.is_some() {
                let message = "resource may not be specified when policy is unmanaged";
                let hint = "write `managementPolicy: managed`, or `import` in its place";
                report.conflict(&place(resource), message, hint);
            }
            if import.is_none() {
                let message = "import must be specified when policy is unmanaged";
                let hint = "write `import: {filter: {name: ...}}` or `import: {id: ...}`";
                report.conflict(&pointer, message, hint);
            }
        }
    }
    if policy.adopt.is_some() && policy.management == Management::Unmanaged {
        let message = "adopt may only be provided when policy is managed";
        let hint = "leave `managementPolicy` out, or leave `adopt` out";
        report.conflict(&join(&pointer, "adopt"), message, hint);
    }
    let (content, base) = match (resource, import) {
        (Some(field), _) => {
            report.fields(&field)?;
            (Content::Resource(field.value.into()), "/spec/resource")
        }
        (None, Some(field)) => (
            Content::Import(read_import(&field, report)?),
            "/spec/import/filter",
        ),
        (None, None) => return None,
    };
    if group == Group::Orc && report.problems.len() == before {
        match &content {
            Content::Resource(value) => {
                refuse_native_references(&value.value(), base, report);
            }
            Content::Import(Import {
                filter: Some(value),
                ..
            }) => {
                refuse_native_references(&value.value(), base, report);
            }
            _ => {}
        }
    }
    Some(Contents {
        policy,
        content,
        base,
    })
}

fn read_import(field: &Field<'_>, report: &mut Report<'_>) -> Option<Import> {
    if !field.value.is_object() {
        let hint = "write {filter: {name: ...}} or {id: ...}".to_owned();
        let found = super::fields::type_name(field.value);
        let message = format!("expected a mapping, found {found}");
        report.error(&field.pointer, Code::WrongType, message, Some(hint));
        return None;
    }
    let mut fields = report.fields(field)?;
    let id = fields.get("id");
    let filter = fields.get("filter");
    let before = report.problems.len();
    fields.finish(report);
    if report.problems.len() > before && id.is_none() && filter.is_none() {
        // What the filter has in it, most probably.
        for problem in report.problems.iter_mut().skip(before) {
            problem.hint = Some("what to look for stands under `filter`, or is an `id`".to_owned());
        }
        return None;
    }
    match (id, filter) {
        (Some(id), None) => Some(Import {
            id: Some(report.filled_text(&id)?.to_owned()),
            filter: None,
        }),
        (None, Some(filter)) => {
            report.fields(&filter)?;
            if filter
                .value
                .as_object()
                .is_some_and(serde_json::Map::is_empty)
            {
                let message = "must have at least one field";
                let hint = "an empty filter would mean any: write {name: ...}".to_owned();
                report.error(&filter.pointer, Code::InvalidValue, message, Some(hint));
            }
            Some(Import {
                id: None,
                filter: Some(filter.value.into()),
            })
        }
        (Some(_), Some(_)) => {
            let message = "id and filter exclude each other";
            report.conflict(
                &field.pointer,
                message,
                "an id says all: leave the filter out",
            );
            None
        }
        (None, None) => {
            let hint = "write {id: ...} or {filter: {name: ...}}";
            report.conflict(
                &field.pointer,
                "one of id and filter must be specified",
                hint,
            );
            None
        }
    }
}

/// ORC's references are names. An object in the place of one is the native group's.
fn refuse_native_references(value: &Value, pointer: &str, report: &mut Report<'_>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let pointer = join(pointer, name);
                let native = match value {
                    Value::Object(_) => name.ends_with("Ref"),
                    Value::Array(items) => {
                        name.ends_with("Refs") && items.iter().any(Value::is_object)
                    }
                    _ => false,
                };
                if native {
                    native_only(&pointer, report);
                } else {
                    refuse_native_references(value, &pointer, report);
                }
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                refuse_native_references(value, &join(pointer, &index.to_string()), report);
            }
        }
        _ => {}
    }
}

/// Reads the contents of a Secret or a ConfigMap.
pub(super) fn data(
    kind: &str,
    object: &mut Fields<'_>,
    report: &mut Report<'_>,
) -> Option<Contents> {
    let mut data = Data::new();
    // What may stand there is the same text in both kinds, but not under the same name.
    let (encoded, plain) = match kind {
        "Secret" => ("data", "stringData"),
        _ => ("binaryData", "data"),
    };
    for (name, is_encoded) in [(encoded, true), (plain, false)] {
        let Some(field) = object.get(name) else {
            continue;
        };
        let Some(map) = field.value.as_object() else {
            report.wrong_type(&field.pointer, "a mapping", field.value);
            continue;
        };
        for (key, value) in map {
            let item = Field {
                value,
                pointer: join(&field.pointer, key),
            };
            if let Some(bytes) = entry(key, &item, is_encoded, report) {
                data.insert(key.clone(), bytes);
            }
        }
    }
    if kind == "Secret"
        && let Some(field) = object.get("type")
    {
        let _ = report.text(&field);
    }
    if let Some(field) = object.get("immutable") {
        let _ = report.boolean(&field);
    }
    Some(Contents {
        policy: Policy::default(),
        content: Content::Data(data),
        base: "",
    })
}

fn entry(key: &str, item: &Field<'_>, is_encoded: bool, report: &mut Report<'_>) -> Option<Bytes> {
    let well_formed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if key.is_empty() || key.len() > 253 || !key.chars().all(well_formed) {
        let message = "not a key of a Secret or ConfigMap";
        let hint = "letters, digits, `-`, `_` and `.` only".to_owned();
        report.error(&item.pointer, Code::InvalidName, message, Some(hint));
        return None;
    }
    // An explicit null is an empty value in Kubernetes.
    let text = if item.value.is_null() {
        ""
    } else {
        report.text(item)?
    };
    if !is_encoded {
        return Some(Bytes::new(text.as_bytes().to_vec()));
    }
    let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    match STANDARD.decode(compact) {
        Ok(bytes) => Some(Bytes::new(bytes)),
        Err(_) => {
            let hint = "encode it, or put plain text under stringData".to_owned();
            report.error(&item.pointer, Code::InvalidBase64, "not base64", Some(hint));
            None
        }
    }
}
