//! The bridge from a manifest's content to a kind's own types, with serde's errors turned into
//! problems at the right place.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::fields::{Report, type_hint};
use super::place::join;
use super::problem::{Code, Problem};
use super::suggest::{hint, is_secret, meant, one_of, quote, value_hint};
use super::{Group, Manifest};

/// Reads a value that stands at `base` (`/spec/resource`) in a manifest.
///
/// # Errors
/// The first fault that serde finds, with its place, its field path and a suggestion.
pub fn typed<T: DeserializeOwned>(
    manifest: &Manifest,
    base: &str,
    value: &Value,
) -> Result<T, Problem> {
    match serde_path_to_error::deserialize(value) {
        Ok(read) => Ok(read),
        Err(error) => Err(problem(
            manifest,
            base,
            value,
            error.path(),
            &error.inner().to_string(),
        )),
    }
}

/// Reads a value as [`typed`] does, but goes on behind a fault: what is at fault is left out and the
/// rest read again.
///
/// # Errors
/// Every unknown field and wrong value up to the first field that is missing; of a list, its first
/// fault.
pub fn typed_all<T: DeserializeOwned>(
    manifest: &Manifest,
    base: &str,
    value: &Value,
) -> Result<T, Vec<Problem>> {
    const MOST: usize = 20;
    let mut problems: Vec<Problem> = Vec::new();
    let mut rest = None;
    let mut left_out: Vec<String> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize(rest.as_ref().unwrap_or(value)) {
            Ok(read) if problems.is_empty() => return Ok(read),
            Ok(_) => return Err(problems),
            Err(error) => error,
        };
        let message = error.inner().to_string();
        let pointer = pointer_of(error.path());
        let missing = missing_field(&message).map(|name| join(&pointer, name));
        // What is wrong with a mapping of which something was left out may come of that.
        let follows = match &missing {
            Some(missing) => left_out.contains(missing),
            None if unknown_field(&message).is_some() => false,
            None => left_out
                .iter()
                .any(|it| it.rsplit_once('/').is_some_and(|(of, _)| of == pointer)),
        };
        if !follows {
            problems.push(problem(manifest, base, value, error.path(), &message));
        }
        let fault = match unknown_field(&message) {
            Some((field, expected)) => {
                let (parent, pointer) = split_pointer(&pointer, field);
                // The fields of a kind without an envelope, all of them in one.
                if field == "resource" && value.pointer(&pointer).is_some_and(Value::is_object) {
                    return Err(problems);
                }
                left_out.extend(meant(field, &expected).map(|meant| join(&parent, meant)));
                pointer
            }
            None => pointer,
        };
        let removed = leave_out(rest.get_or_insert_with(|| value.clone()), &fault);
        match removed {
            Some(removed) if problems.len() < MOST => left_out.push(removed),
            _ => return Err(problems),
        }
    }
}

/// Removes the nearest field around a fault: an item that went would move the ones behind it.
fn leave_out(value: &mut Value, fault: &str) -> Option<String> {
    let mut pointer = fault;
    loop {
        let (parent, name) = pointer.rsplit_once('/')?;
        if let Some(Value::Object(map)) = value.pointer_mut(parent) {
            let _: Value = map.remove(&name.replace("~1", "/").replace("~0", "~"))?;
            return Some(pointer.to_owned());
        }
        pointer = parent;
    }
}

/// The problems of fields that only the native group has, in a manifest of ORC's. Each pointer is
/// relative to the content, and `*` stands for any item: `/networks`, `/ports/*/macAddress`.
#[must_use]
pub fn native_fields(manifest: &Manifest, value: &Value, pointers: &[&str]) -> Vec<Problem> {
    if manifest.group != Group::Orc {
        return Vec::new();
    }
    let mut report = Report::new(&manifest.places);
    report.key = Some(manifest.key.clone());
    for pointer in pointers {
        let segments: Vec<&str> = pointer.split('/').skip(1).collect();
        find(value, &segments, manifest.base.to_owned(), &mut report);
    }
    report.into_problems()
}

fn find(value: &Value, segments: &[&str], pointer: String, report: &mut Report<'_>) {
    match (segments, value) {
        ([], _) => super::fields::native_only(&pointer, report),
        (["*", rest @ ..], Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                find(item, rest, join(&pointer, &index.to_string()), report);
            }
        }
        ([name, rest @ ..], Value::Object(map)) => {
            if let Some(value) = map.get(*name) {
                find(value, rest, join(&pointer, name), report);
            }
        }
        _ => {}
    }
}

fn pointer_of(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } => pointer = join(&pointer, key),
            Segment::Seq { index } => pointer = join(&pointer, &index.to_string()),
            // Variants have no place of their own in the tagged forms that manifests use.
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// The mapping that holds an unknown field, and the field's own pointer.
fn split_pointer(pointer: &str, field: &str) -> (String, String) {
    let own = join("", field);
    match pointer.strip_suffix(&own) {
        Some(parent) => (parent.to_owned(), pointer.to_owned()),
        None => (pointer.to_owned(), format!("{pointer}{own}")),
    }
}

fn problem(manifest: &Manifest, base: &str, value: &Value, path: &Path, message: &str) -> Problem {
    let below = pointer_of(path);
    let pointer = format!("{base}{below}");
    if let Some((field, expected)) = unknown_field(message) {
        let (parent, pointer) = split_pointer(&pointer, field);
        let hint = match field {
            "name" if expected == ["id", "filter"] => {
                let (of, _) = split_pointer(&below, field);
                let name = value.pointer(&of).and_then(|it| it["name"].as_str());
                Some(format!(
                    "write the name alone: `{}: {}`; or {{filter: {{name: ...}}}} for what is no \
                     object here",
                    quote(parent.rsplit('/').next().unwrap_or_default()),
                    quote(name.unwrap_or("..."))
                ))
            }
            _ => hint(field, &expected),
        };
        let mut problem = manifest.problem(&pointer, Code::UnknownField, "unknown field", hint);
        problem.confidential |= is_secret(field);
        return problem;
    }
    let (code, message, hint) = explain(message);
    let found = value.pointer(&below);
    let expected = message
        .split("expected ")
        .nth(1)
        .and_then(|it| it.split(", found").next());
    let hint = hint.or_else(|| match (code, expected, found) {
        (Code::WrongType, Some(expected), Some(found)) => type_hint(&pointer, expected, found),
        _ => None,
    });
    let mut problem = manifest.problem(&pointer, code, message, hint);
    problem.confidential |= is_secret(pointer.rsplit('/').next().unwrap_or_default());
    problem
}

fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// `unknown field `x`, expected one of `a`, `b``: the field and what was expected.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (field, rest) = rest.split_once("`, ").unwrap_or((rest, ""));
    Some((field, backticked(rest)))
}

fn backticked(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Serde's words in ours. The value itself is not repeated unless it is one of a few words: it may
/// be a password.
fn explain(message: &str) -> (Code, String, Option<String>) {
    if let Some(rest) = message.strip_prefix("missing field ") {
        return (Code::MissingField, format!("missing field {rest}"), None);
    }
    if let Some((variant, expected)) = message.strip_prefix("unknown variant `").and_then(|rest| {
        rest.split_once("`, expected ")
            .or_else(|| rest.split_once("`, "))
    }) {
        let words = backticked(expected);
        let hint = value_hint(variant, &words);
        let message = format!(
            "unknown value `{}`, expected {}",
            quote(variant),
            one_of(&words)
        );
        return (Code::InvalidValue, message, hint);
    }
    if let Some((found, expected)) = message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.rsplit_once(", expected "))
    {
        let (mut found, expected) = (found_words(found), expected_words(expected));
        if found.starts_with("a number") && !expected.contains("number") {
            found = "a number";
        }
        let message = format!("expected {expected}, found {found}");
        return (Code::WrongType, message, None);
    }
    if let Some((found, expected)) = message
        .strip_prefix("invalid value: ")
        .and_then(|rest| rest.rsplit_once(", expected "))
    {
        let expected = expected_words(expected);
        let message = match found
            .split_once('`')
            .and_then(|(_, rest)| rest.split_once('`'))
        {
            Some((number, _)) if !found.starts_with("string") => {
                format!("`{}` is out of range, expected {expected}", quote(number))
            }
            _ => format!("expected {expected}"),
        };
        return (Code::InvalidValue, message, None);
    }
    let quotes = message.contains("must be in quotes");
    let hint = quotes.then(|| "put it in quotes".to_owned());
    (Code::InvalidValue, message.to_owned(), hint)
}

fn found_words(found: &str) -> &'static str {
    match found.split([' ', '`']).next().unwrap_or_default() {
        "null" | "unit" | "Option" => "nothing",
        "boolean" => "true or false",
        "integer" | "number" => "a number",
        "floating" => "a number with a decimal point",
        "string" | "character" => "text",
        "sequence" => "a list",
        "map" => "a mapping",
        _ => "another type",
    }
}

fn expected_words(expected: &str) -> String {
    let words = match expected {
        "a string" | "string" | "str" | "a borrowed string" => "text",
        "a boolean" | "bool" => "true or false",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        other if other.starts_with("struct ") => "a mapping",
        other if other.starts_with("a nonzero u") => "a whole number of at least 1",
        other if other.starts_with("enum ") => "one of its words",
        other => other,
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Content;
    use crate::manifest::parse::{Kinds, Shape, parse};
    use crate::manifest::reference::Ref;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[allow(dead_code, reason = "only whether it can be read matters here")]
    struct Spec {
        flavor_ref: Ref,
        size: Option<u16>,
        boot: Option<bool>,
        name: Option<String>,
        mode: Option<Mode>,
        #[serde(default)]
        ports: Vec<Port>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[allow(dead_code, reason = "only whether it can be read matters here")]
    struct Port {
        port_ref: Ref,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Auto,
        Manual,
    }

    fn faults(resource: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: stackward.dev/v1alpha1\nkind: Server\nmetadata: {{name: db}}\nspec:\n  \
             resource:\n{resource}"
        );
        let (manifests, problems) = parse("a", &text, Kinds(&[("Server", Shape::Enveloped)]));
        assert_eq!(problems, []);
        let Content::Resource(value) = &manifests[0].content else {
            panic!("no resource")
        };
        match typed_all::<Spec>(&manifests[0], manifests[0].base, &value.value()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(Problem::to_string).collect(),
        }
    }

    #[test]
    fn errors_of_serde_become_problems_at_their_place() {
        assert_eq!(
            faults("    flavorRef: a\n    mode: auto\n"),
            Vec::<String>::new()
        );
        for (resource, expected) in [
            (
                "    flavourRef: a\n",
                "a:6:5: error[unknown-field]: spec.resource.flavourRef: unknown field (Server/db)\n  \
                 hint: did you mean `flavorRef`?",
            ),
            (
                "    flavorRef: a\n    size: 70000\n",
                "a:7:11: error[invalid-value]: spec.resource.size: `70000` is out of range, \
                 expected a whole number from 0 to 65535 (Server/db)",
            ),
            (
                "    flavorRef: a\n    boot: hunter2\n",
                "a:7:11: error[wrong-type]: spec.resource.boot: expected true or false, found text \
                 (Server/db)\n  hint: write true or false, without quotes",
            ),
            (
                "    flavorRef: a\n    name: 7\n",
                "a:7:11: error[wrong-type]: spec.resource.name: expected text, found a number \
                 (Server/db)\n  hint: put it in quotes",
            ),
            (
                "    flavorRef: a\n    mode: automatic\n",
                "a:7:11: error[invalid-value]: spec.resource.mode: unknown value `automatic`, \
                 expected auto or manual (Server/db)",
            ),
            (
                "    flavorRef: a\n    ports:\n      - portRef: a\n      - {}\n",
                "a:9:9: error[missing-field]: spec.resource.ports[1]: missing field `portRef` \
                 (Server/db)",
            ),
            (
                "    flavorRef: {ids: a}\n",
                "a:6:17: error[unknown-field]: spec.resource.flavorRef.ids: unknown field \
                 (Server/db)\n  hint: did you mean `id`?",
            ),
            (
                "    flavorRef: [a]\n",
                "a:6:16: error[wrong-type]: spec.resource.flavorRef: expected a name, {id: ...} or \
                 {filter: {...}}, found a list (Server/db)",
            ),
        ] {
            assert_eq!(faults(resource).first().map(String::as_str), Some(expected));
        }
    }

    #[test]
    fn a_name_that_looks_like_a_number_needs_quotes() {
        assert_eq!(
            faults("    flavorRef: 7\n"),
            [
                "a:6:16: error[wrong-type]: spec.resource.flavorRef: expected a name, {id: ...} or \
              {filter: {...}}, found a number (Server/db)\n  hint: put it in quotes"
            ]
        );
    }

    #[test]
    fn fields_of_the_native_group_are_refused_in_a_manifest_of_orc() {
        let text = "apiVersion: openstack.k-orc.cloud/v1alpha1\nkind: Server\nmetadata: {name: db}\n\
                    spec:\n  cloudCredentialsRef: {secretName: a, cloudName: b}\n  resource:\n    \
                    networks: auto\n    ports: [{portRef: a}, {portRef: b, fixed: c}]\n";
        let (manifests, problems) = parse("a", text, Kinds(&[("Server", Shape::Enveloped)]));
        assert_eq!(problems, []);
        let Content::Resource(value) = &manifests[0].content else {
            panic!("no resource")
        };
        let fields = ["/networks", "/ports/*/fixed", "/userData/template"];
        let problems = native_fields(&manifests[0], &value.value(), &fields);
        let places: Vec<String> = problems
            .iter()
            .filter_map(|p| p.origin.as_ref().map(ToString::to_string))
            .collect();
        assert_eq!(places, ["a:7:5", "a:8:40"]);
    }

    #[test]
    fn every_unknown_field_is_reported_and_then_what_is_wrong_beside_them() {
        let faults = faults("    flavorRef: a\n    aaa: 1\n    ports: [{bbb: 2}]\n    ccc: 3\n");
        let codes: Vec<bool> = faults
            .iter()
            .map(|fault| fault.contains("unknown-field"))
            .collect();
        assert_eq!(codes, [true, true, true, false], "{faults:#?}");
    }
}
