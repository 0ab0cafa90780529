//! What a kind finds wrong with a spec as problems of its manifest, with hints from its schema: how a
//! field is written, and what it is.

use schemars::JsonSchema;
use serde_json::Value;

use crate::manifest::problem::Code;
use crate::manifest::{Manifest, Problem, words};

use super::Complaint;

/// A complaint as the problem of its manifest.
pub(super) fn complained(manifest: &Manifest, base: &str, complaint: Complaint) -> Problem {
    let pointer = format!("{base}{}", complaint.pointer);
    let code = match complaint.within {
        Some(_) => Code::BadTemplate,
        None => Code::InvalidValue,
    };
    let excludes = ["exclude each other", "mutually exclusive", "only one of"];
    let is_conflict = excludes
        .iter()
        .any(|words| complaint.message.contains(words));
    let problem = manifest.problem(&pointer, code, complaint.message, complaint.hint);
    match complaint.within {
        Some(mark) => problem.at(manifest.places.within(&pointer, mark)),
        // The field is one too many, whatever its value.
        None if is_conflict => {
            let hint = problem.hint.clone();
            let problem = problem.at(manifest.places.key(&pointer));
            problem.hint(hint.unwrap_or_else(|| "keep one of them".to_owned()))
        }
        None => problem,
    }
}

/// The same problems, with what the schema knows of their fields for hints.
pub(super) fn advised<T: JsonSchema>(base: &str, mut problems: Vec<Problem>) -> Vec<Problem> {
    complete(&mut problems, base, &schemars::schema_for!(T).to_value());
    problems
}

/// Adds hints to the problems of content at `base`, whose schema is given.
fn complete(problems: &mut [Problem], base: &str, schema: &Value) {
    let base = words(base);
    for problem in problems {
        let message = problem.message.clone();
        let Some((path, said)) = message.split_once(": ") else {
            continue;
        };
        let Some(path) = path.strip_prefix(&*base) else {
            continue;
        };
        if let Some(form) = property(schema, path).and_then(|it| wrong_form(said, it)) {
            problem.message = format!("{base}{path}: {form}").into();
        }
        if let Some(hint) = &mut problem.hint {
            if problem.code == Code::UnknownField {
                only_for_manifests(hint, schema, path);
            }
            continue;
        }
        let at = at(schema, path);
        problem.hint = match problem.code {
            Code::WrongType => at.and_then(|at| form(schema, at)),
            Code::MissingField => at.and_then(|at| {
                let name = said.split('`').nth(1)?;
                let field = at.get("properties")?.get(name)?;
                Some(format!("write `{name}: ...`: {}", sentence(field)?))
            }),
            Code::InvalidValue if !path.is_empty() && !said.starts_with("unknown value") => {
                about(schema, path).map(|about| format!("what belongs there: {about}"))
            }
            _ => None,
        };
    }
}

/// The words of parsers for a text of another form, in ours.
fn wrong_form(said: &str, schema: &Value) -> Option<&'static str> {
    let is_parser = said == "invalid IP address syntax" || said.starts_with("failed to ");
    match schema.get("format").and_then(Value::as_str) {
        Some("cidr") if is_parser => Some("not a block of addresses such as 10.0.0.0/24"),
        Some("ip") if is_parser => Some("not an address such as 10.0.0.5"),
        Some("date-time") if is_parser => Some("not a time such as 2030-01-31T12:00:00Z"),
        _ => None,
    }
}

/// Of the fields that a hint lists, only those of the schema: the others are not for manifests.
fn only_for_manifests(hint: &mut String, schema: &Value, path: &str) {
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    let properties = at(schema, parent).and_then(|at| at.get("properties")?.as_object());
    if let (Some(list), Some(properties)) = (hint.find("expected "), properties) {
        hint.truncate(list);
        let mut names: Vec<&str> = properties.keys().map(String::as_str).collect();
        let last = names.pop().unwrap_or_default();
        let others = names.join(", ");
        let or = if others.is_empty() { "" } else { " or " };
        hint.push_str(&format!("expected {others}{or}{last}"));
    }
}

/// The schema of the value at a path such as `.ports[0].portRef`.
fn at<'s>(root: &'s Value, path: &str) -> Option<&'s Value> {
    property(root, path).map(|found| resolved(root, found))
}

/// What a field is in words: of an item of a list, what the list is.
fn about(root: &Value, path: &str) -> Option<String> {
    let says_something = |text: &String| text.split(' ').count() > 2;
    let own = property(root, path)
        .and_then(sentence)
        .filter(says_something);
    own.or_else(|| about(root, path.strip_suffix(']')?.rsplit_once('[')?.0))
}

/// The same as it stands in its parent: with the description of the field.
fn property<'s>(root: &'s Value, path: &str) -> Option<&'s Value> {
    let mut found = root;
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        let of = resolved(root, found);
        // Of several forms, the one that has such a field.
        let forms = of.get("anyOf").and_then(Value::as_array);
        let mut forms = forms.into_iter().flatten().map(|form| resolved(root, form));
        let below = |of: &'s Value| match step.strip_suffix(']') {
            Some(_) => of.get("items"),
            None => (of.get("properties").and_then(|all| all.get(step)))
                .or_else(|| of.get("additionalProperties")),
        };
        found = below(of).or_else(|| forms.find_map(below))?;
    }
    Some(found)
}

/// Behind references and beside `null`.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let definition = name
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer));
        return definition.map_or(schema, |definition| resolved(root, definition));
    }
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let mut real = choices
        .into_iter()
        .flatten()
        .filter(|it| it["type"] != "null");
    match (real.next(), real.next()) {
        (Some(only), None) => resolved(root, only),
        _ => schema,
    }
}

/// How a mapping or a list is written.
fn form(root: &Value, schema: &Value) -> Option<String> {
    let is = |schema: &Value, kind: &str| match schema.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(some)) => some.iter().any(|it| it == kind),
        _ => false,
    };
    if is(schema, "array") {
        let items = resolved(root, schema.get("items")?);
        return Some(match mapping(items) {
            Some(fields) => format!("write a list of mappings: [{fields}]"),
            None => "write a list: [...]".to_owned(),
        });
    }
    mapping(schema).map(|fields| format!("write a mapping: {fields}"))
}

/// The fields of a mapping: those that it must have, or the first few.
fn mapping(schema: &Value) -> Option<String> {
    const MOST: usize = 3;
    let properties = schema.get("properties")?.as_object()?;
    if schema.get("maxProperties") == Some(&Value::from(1)) {
        let forms: Vec<String> = properties
            .keys()
            .map(|it| format!("{{{it}: ...}}"))
            .collect();
        return Some(format!("one of {}", forms.join(", ")));
    }
    let required: Vec<&str> = (schema.get("required").and_then(Value::as_array))
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut names: Vec<&str> = required;
    if properties.len() <= MOST {
        let others = properties
            .keys()
            .filter(|name| !names.contains(&name.as_str()));
        let others: Vec<&str> = others.map(String::as_str).collect();
        names.extend(others);
    }
    if names.is_empty() {
        return sentence(schema);
    }
    let more = if names.len() > MOST { ", ..." } else { "" };
    let fields: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|it| format!("{it}: ..."))
        .collect();
    Some(format!("{{{}{more}}}", fields.join(", ")))
}

/// The first sentence of a description.
fn sentence(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?.replace('\n', " ");
    let text = text.split(". ").next().unwrap_or_default();
    let text = match text.strip_suffix('.') {
        Some(whole) if !whole.ends_with('.') => whole,
        _ => text,
    };
    let mut letters = text.chars();
    let (first, second) = (letters.next()?, letters.next());
    // `MAC address` stays as it is.
    if second.is_some_and(char::is_uppercase) {
        return Some(text.to_owned());
    }
    Some(first.to_lowercase().chain(second).chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;

    /// A thing.
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema matters here")]
    struct Thing {
        /// Its size in GiB. What for is told later.
        size: u32,
        /// Its parts.
        parts: Option<Vec<Part>>,
        tags: Option<Vec<String>>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only its schema matters here")]
    struct Part {
        key: String,
        value: String,
    }

    #[test]
    fn the_schema_says_how_a_field_is_written_and_what_it_is() {
        let schema = schemars::schema_for!(Thing).to_value();
        for (code, message, hint) in [
            (
                Code::MissingField,
                "spec.resource: missing field `size`",
                Some("write `size: ...`: its size in GiB"),
            ),
            (
                Code::InvalidValue,
                "spec.resource.size: too small",
                Some("what belongs there: its size in GiB"),
            ),
            (
                Code::WrongType,
                "spec.resource.parts: expected a list, found text",
                Some("write a list of mappings: [{key: ..., value: ...}]"),
            ),
            (
                Code::WrongType,
                "spec.resource.parts[1]: expected a mapping, found text",
                Some("write a mapping: {key: ..., value: ...}"),
            ),
            (
                Code::WrongType,
                "spec.resource.tags: expected a list, found text",
                Some("write a list: [...]"),
            ),
            (
                Code::WrongType,
                "spec.elsewhere: expected a list, found text",
                None,
            ),
            (Code::InvalidValue, "spec.resource.nothing: wrong", None),
        ] {
            let mut problems = [Problem::error(code, message)];
            complete(&mut problems, "/spec/resource", &schema);
            assert_eq!(problems[0].hint.as_deref(), hint, "{message}");
        }
    }
}
