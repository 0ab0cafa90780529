//! What ORC's API asks of a manifest of its group beyond the types of our kinds: its limits, its
//! closed sets of words, its defaults, and what has to stay once it was accepted.
//!
//! The facts stand in `fields.txt`. Rules between fields are in the `check` of each kind, since the
//! native group has them as well.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::manifest::problem::Code;
use crate::manifest::{Group, Manifest, Problem, words};

mod form;
mod rule;
mod stays;

pub use rule::{Place, Rule, Type};
pub use stays::changed;

static TABLE: LazyLock<BTreeMap<(&'static str, Place), Vec<Rule>>> =
    LazyLock::new(|| rule::table(include_str!("fields.txt")));

/// Something that ORC would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer below the content.
    pub pointer: String,
    /// What sort of fault.
    pub code: Code,
    /// In words.
    pub message: String,
}

/// The rules of a kind's fields; none for a kind that ORC does not have.
#[must_use]
pub fn rules(kind: &str, place: Place) -> &'static [Rule] {
    TABLE
        .iter()
        .find(|((name, of), _)| *name == kind && *of == place)
        .map_or(&[], |(_, rules)| rules)
}

/// The resource that a manifest describes: with ORC's defaults, if it is of ORC's group.
#[must_use]
pub fn filled(manifest: &Manifest, content: &Value) -> Value {
    match manifest.group {
        Group::Orc => with_defaults(&manifest.key.kind, content),
        Group::Native | Group::Core => content.clone(),
    }
}

fn with_defaults(kind: &str, content: &Value) -> Value {
    let mut content = content.clone();
    for rule in rules(kind, Place::Resource) {
        if let Some(default) = &rule.default {
            rule.put_default(&mut content, default);
        }
    }
    content
}

/// Everything that ORC would refuse in this content. `known` are the problems that were found
/// already; they are not repeated.
#[must_use]
pub fn problems(
    manifest: &Manifest,
    place: Place,
    base: &str,
    content: &Value,
    known: &[Problem],
) -> Vec<Problem> {
    if manifest.group != Group::Orc {
        return Vec::new();
    }
    let said = |fault: Code, path: &str, message: &str| {
        known.iter().any(|problem| {
            let of = problem.message.split(": ").next();
            of == Some(path) && (fault != Code::MissingField || *problem.message == *message)
        })
    };
    faults(&manifest.key.kind, place, content)
        .into_iter()
        .filter_map(|fault| {
            let pointer = format!("{base}{}", fault.pointer);
            let hint = (fault.code == Code::NativeField).then(|| {
                let native = Group::Native.api_version();
                format!("write `apiVersion: {native}` to use it")
            });
            let problem = manifest.problem(&pointer, fault.code, fault.message, hint);
            (!said(fault.code, &words(&pointer), &problem.message)).then_some(problem)
        })
        .collect()
}

/// Everything that ORC would refuse in this content.
#[must_use]
pub fn faults(kind: &str, place: Place, content: &Value) -> Vec<Fault> {
    let rules = rules(kind, place);
    let mut faults: Vec<Fault> = rules.iter().flat_map(|it| it.faults(content)).collect();
    if !rules.is_empty() {
        strangers(rules, &mut Vec::new(), content, "", &mut faults);
    }
    faults
}

/// Fields that ORC does not have.
fn strangers(
    rules: &[Rule],
    path: &mut Vec<String>,
    value: &Value,
    pointer: &str,
    faults: &mut Vec<Fault>,
) {
    let is_known = |path: &[String]| {
        let leads_to = |rule: &Rule| {
            rule.path.len() >= path.len() && rule.path.iter().zip(path).all(|(a, b)| a == b)
        };
        rules.iter().any(leads_to)
    };
    let below: Vec<(String, String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| ("[]".to_owned(), index.to_string(), item))
            .collect(),
        Value::Object(map) => map
            .iter()
            .filter(|(_, item)| !item.is_null())
            .map(|(name, item)| (name.clone(), name.clone(), item))
            .collect(),
        _ => Vec::new(),
    };
    for (step, name, item) in below {
        path.push(step);
        let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        if is_known(path) {
            strangers(rules, path, item, &pointer, faults);
        } else if value.is_object() && !has_free_keys(rules, path) {
            faults.push(Fault {
                pointer,
                code: Code::NativeField,
                message: format!("not a field of {}", Group::Orc.api_version()),
            });
        }
        path.pop();
    }
}

/// Is the mapping that this path is in one with keys of the user's own?
fn has_free_keys(rules: &[Rule], path: &[String]) -> bool {
    let Some((_, parent)) = path.split_last() else {
        return false;
    };
    rules.iter().any(|rule| {
        rule.path.len() == path.len()
            && rule.path.last() == Some(&"[]")
            && rule.path.iter().zip(parent).all(|(a, b)| a == b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(kind: &str, content: &Value) -> Vec<String> {
        faults(kind, Place::Resource, content)
            .into_iter()
            .map(|fault| format!("{} {}", fault.pointer, fault.message))
            .collect()
    }

    #[test]
    fn limits_are_those_of_the_table() {
        let fine = json!({"ram": 1, "vcpus": 1, "disk": 0, "id": "a b", "extraSpecs": []});
        assert_eq!(refused("Flavor", &fine), [] as [&str; 0]);
        let wrong = json!({"ram": 0, "disk": -1, "id": " a", "name": "a,b", "description": "",
            "extraSpecs": [{"name": "a", "value": ""}, {"name": "a", "value": "1"}, {"name": "€"}]});
        assert_eq!(
            refused("Flavor", &wrong),
            [
                "/description must have 1 to 65535 characters",
                "/disk must be at least 0",
                "/extraSpecs duplicate entries for name: a",
                "/extraSpecs/2/name must consist of letters, digits, spaces and -_:.",
                "/extraSpecs/2 missing field `value`",
                "/id must consist of letters, digits and . _-, and neither begin nor end with a space",
                "/name must not have a comma",
                "/ram must be at least 1",
                " missing field `vcpus`",
            ]
        );
    }

    #[test]
    fn sets_words_and_the_form_of_texts_are_held() {
        let wrong = json!({"tags": ["a", "b", "a"], "mtu": 67, "dnsDomain": "foo..bar"});
        assert_eq!(
            refused("Network", &wrong),
            [
                "/dnsDomain is not a domain name",
                "/mtu must be from 68 to 9216",
                "/tags a is there twice",
            ]
        );
        let wrong = json!({"rules": [{"ethertype": "ipv4", "remoteIPPrefix": "foo"}]});
        assert_eq!(
            refused("SecurityGroup", &wrong),
            [
                "/rules/0/ethertype unknown value `ipv4`, expected IPv4 or IPv6",
                "/rules/0/remoteIPPrefix is not an address block such as 10.0.0.0/8",
            ]
        );
    }

    #[test]
    fn defaults_are_put_where_their_parent_is() {
        let given = json!({"networkRef": "n", "portSecurity": "Enabled"});
        let filled = with_defaults("Port", &given);
        assert_eq!(
            filled,
            json!({"networkRef": "n", "portSecurity": "Enabled", "adminStateUp": true})
        );
        let filled = with_defaults("Image", &json!({"name": "i"}));
        assert_eq!(filled, json!({"name": "i"}));
    }

    #[test]
    fn a_kind_that_orc_does_not_have_is_asked_nothing() {
        assert_eq!(
            refused("VolumeSnapshot", &json!({"size": -1})),
            [] as [&str; 0]
        );
    }
}
