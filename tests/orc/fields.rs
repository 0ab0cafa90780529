//! Every field of ORC is one of ours, and is held to ORC's limits in its group: compared with the
//! table of its fields, line by line.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use stackward::kinds;
use stackward::kinds::erased::AnyKind;
use stackward::kinds::orc::{Place, Rule, Type, rules};
use stackward::manifest::Shape;
use stackward::manifest::problem::Severity;

use crate::sim::assemble;

const PLACES: [Place; 2] = [Place::Resource, Place::Filter];

fn ours() -> impl Iterator<Item = (&'static dyn AnyKind, Place, &'static [Rule])> {
    kinds::KINDS.iter().flat_map(|kind| {
        PLACES
            .iter()
            .map(|place| (*kind, *place, rules(kind.name(), *place)))
    })
}

#[test]
fn every_field_of_orc_is_a_field_of_ours() {
    let (mut missing, mut count) = (Vec::new(), 0);
    for (kind, place, rules) in ours() {
        let schemas = kind.schemas();
        let schema = match place {
            Place::Resource => &schemas.spec,
            Place::Filter => &schemas.filter,
        };
        for rule in rules {
            count += 1;
            // The envelope reads it.
            let is_period = kind.shape() == Shape::Flat && rule.name() == "resyncPeriod";
            if !is_period && below(schema, schema, &rule.path).is_none() {
                missing.push(format!("{} {place:?} {}", kind.name(), rule.name()));
            }
        }
    }
    println!("{count} fields of ORC compared");
    assert_eq!(missing, [] as [&str; 0]);
    // 426 when all 26 kinds are there.
    assert!(count > 400, "{count}");
}

#[test]
fn each_limit_is_held_and_each_word_is_taken() {
    let (mut faults, mut count) = (Vec::new(), 0);
    for (kind, place, rules) in ours() {
        for rule in rules.iter().filter(|rule| !rule.path.is_empty()) {
            let field = path_in_words(kind, place, rule);
            for wrong in wrong_values(rule, rules) {
                count += 1;
                let mut content = build(rules, &[]);
                plant(&mut content, rules, &[], &rule.path, &wrong);
                let said = problems(kind, place, &content);
                if !said.iter().any(|it| it.starts_with(&format!("{field}: "))) {
                    faults.push(format!("{field} takes {wrong}: {said:?}"));
                }
            }
            for word in &rule.words {
                count += 1;
                let mut content = build(rules, &[]);
                let word = word.parse::<i64>().map_or(json!(word), |it| json!(it));
                plant(&mut content, rules, &[], &rule.path, &word);
                beside(&mut content, &word);
                let said = problems(kind, place, &content);
                if said.iter().any(|it| it.starts_with(&format!("{field}: "))) {
                    faults.push(format!("{field} does not take {word}: {said:?}"));
                }
            }
            if rule.required {
                count += 1;
                let (name, parent) = rule.path.split_last().unwrap();
                let mut content = build(rules, &[]);
                if !parent.is_empty() {
                    let value = build(rules, parent);
                    plant(&mut content, rules, &[], parent, &value);
                }
                take_away(&mut content, &rule.path);
                if place == Place::Filter && content == json!({}) {
                    // An empty filter is refused as such.
                    content["name"] = json!("aa");
                }
                let said = problems(kind, place, &content);
                let words = format!("missing field `{name}`");
                if !said.iter().any(|it| it.contains(&words)) {
                    faults.push(format!("{field} need not be there: {said:?}"));
                }
            }
        }
    }
    println!("{count} limits and words tried");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_orc_does_not_have_is_refused_in_its_group() {
    let (mut taken, mut count) = (Vec::new(), 0);
    for (kind, place, rules) in ours().filter(|(_, _, rules)| !rules.is_empty()) {
        let schemas = kind.schemas();
        let schema = match place {
            Place::Resource => &schemas.spec,
            Place::Filter => &schemas.filter,
        };
        for name in properties(schema, schema).keys() {
            if rules
                .iter()
                .any(|rule| rule.path.first() == Some(&name.as_str()))
            {
                continue;
            }
            count += 1;
            let mut content = build(rules, &[]);
            content[name] = json!(true);
            let said = problems(kind, place, &content);
            let field = format!("{}.{name}: ", base(kind, place));
            if !said.iter().any(|it| it.starts_with(&field)) {
                taken.push(format!("{field}{said:?}"));
            }
        }
    }
    println!("{count} fields of the native group alone");
    assert_eq!(taken, [] as [&str; 0]);
    assert!(count > 15, "{count}");
}

fn base(kind: &dyn AnyKind, place: Place) -> &'static str {
    match (kind.shape(), place) {
        (Shape::Flat, _) => "spec",
        (_, Place::Resource) => "spec.resource",
        (_, Place::Filter) => "spec.import.filter",
    }
}

fn path_in_words(kind: &dyn AnyKind, place: Place, rule: &Rule) -> String {
    let base = base(kind, place);
    // The free keys of a mapping are called `a` here.
    let name = rule
        .name()
        .replace("additionalProperties[]", "additionalProperties.a");
    format!("{base}.{}", name.replace("[]", "[0]"))
}

fn problems(kind: &dyn AnyKind, place: Place, content: &Value) -> Vec<String> {
    let credentials = json!({"secretName": "s", "cloudName": "c"});
    let spec = match (kind.shape(), place) {
        (Shape::Flat, _) => content.clone(),
        (_, Place::Resource) => json!({"cloudCredentialsRef": credentials, "resource": content}),
        (_, Place::Filter) => json!({"cloudCredentialsRef": credentials,
            "managementPolicy": "unmanaged", "import": {"filter": content}}),
    };
    let manifest = json!({"apiVersion": "openstack.k-orc.cloud/v1alpha1", "kind": kind.name(),
        "metadata": {"name": "it"}, "spec": spec});
    let files = [("it.json".to_owned(), manifest.to_string())];
    assemble(&files, None, &BTreeMap::new())
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| problem.message.to_string())
        .collect()
}

/// What goes with a word: addresses and protocols of the same version.
fn beside(content: &mut Value, word: &Value) {
    let is_v6 = word.as_str().is_some_and(|it| it.contains("v6"));
    if let Some(rule) = content.pointer_mut("/rules/0")
        && is_v6
    {
        rule["ethertype"] = json!("IPv6");
    }
    if *word == json!(6) && content["cidr"].is_string() {
        content["cidr"] = json!("2001:db8::/64");
    }
}

/// Values that a rule forbids.
fn wrong_values(rule: &Rule, rules: &[Rule]) -> Vec<Value> {
    let mut wrong = Vec::new();
    let (least, most) = rule.range;
    let element = || {
        let mut path = rule.path.clone();
        path.push("[]");
        build(rules, &path)
    };
    match rule.kind {
        Type::Number => {
            wrong.extend(least.map(|it| json!(it - 1)));
            wrong.extend(most.map(|it| json!(it + 1)));
        }
        Type::Text => {
            wrong.extend(least.filter(|it| *it > 0).map(|_| json!("")));
            wrong.extend(most.map(|it| json!("a".repeat(usize::try_from(it).unwrap() + 1))));
            wrong.extend(rule.form.map(|_| json!(",no/such form,")));
        }
        Type::List => {
            let many = |it: i64| vec![element(); usize::try_from(it).unwrap() + 1];
            wrong.extend(most.map(|it| json!(many(it))));
            wrong.extend(rule.unique.map(|_| json!([element(), element()])));
        }
        Type::Map => wrong.extend(least.filter(|it| *it > 0).map(|_| json!({}))),
        Type::Bool => wrong.push(json!("perhaps")),
    }
    if !rule.words.is_empty() {
        wrong.push(match rule.kind {
            Type::Number => json!(5),
            _ => json!("no-such-word"),
        });
    }
    wrong
}

/// A value that the rules at this path take, with what is required in it.
fn build(rules: &[Rule], path: &[&'static str]) -> Value {
    let rule = rules.iter().find(|rule| rule.path == path);
    match rule.map_or(Type::Map, |rule| rule.kind) {
        Type::Text => {
            let rule = rule.unwrap();
            json!(match rule.words.first() {
                Some(word) => word,
                None => text_of(rule),
            })
        }
        Type::Number => {
            let rule = rule.unwrap();
            let word = rule.words.first().and_then(|word| word.parse().ok());
            json!(word.unwrap_or_else(|| rule.range.0.unwrap_or(1).max(1)))
        }
        Type::Bool => json!(true),
        Type::List => json!([]),
        Type::Map => {
            let mut map = Map::new();
            let required = rules.iter().filter(|it| it.required);
            for rule in required {
                let Some((name, parent)) = rule.path.split_last() else {
                    continue;
                };
                if parent == path {
                    map.insert((*name).to_owned(), build(rules, &rule.path));
                }
            }
            Value::Object(map)
        }
    }
}

fn text_of(rule: &Rule) -> &'static str {
    match *rule.path.last().unwrap() {
        "cidr" | "destination" | "remoteIPPrefix" | "buildNearHostIP" => "10.0.0.0/24",
        "ip" | "start" | "end" | "nextHop" | "gatewayIP" | "fixedIP" | "floatingIP" => "10.0.0.9",
        "[]" if rule.path[0] == "dnsNameservers" => "10.0.0.9",
        "url" => "https://example.com/a",
        "mac" | "macAddress" => "fa:16:3e:00:00:01",
        "publicKey" => "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me",
        "expiresAt" => "2030-01-01T00:00:00Z",
        _ => "aa",
    }
}

/// Puts a value at a path, with all that has to be around it.
fn plant(
    at: &mut Value,
    rules: &[Rule],
    done: &[&'static str],
    path: &[&'static str],
    value: &Value,
) {
    let Some((step, rest)) = path.split_first() else {
        at.clone_from(value);
        return;
    };
    let here = [done, &[step]].concat();
    let next = match at {
        Value::Array(items) => {
            items.clear();
            items.push(build(rules, &here));
            &mut items[0]
        }
        Value::Object(map) => {
            let name = if *step == "[]" { "a" } else { step };
            map.entry(name).or_insert_with(|| build(rules, &here))
        }
        _ => panic!("{path:?}"),
    };
    plant(next, rules, &here, rest, value);
}

fn take_away(at: &mut Value, path: &[&str]) {
    match (at, path) {
        (Value::Object(map), [last]) => {
            map.remove(*last);
        }
        (Value::Object(map), [step, rest @ ..]) => take_away(map.get_mut(*step).unwrap(), rest),
        (Value::Array(items), [_, rest @ ..]) => take_away(&mut items[0], rest),
        _ => {}
    }
}

/// The schema at a path, if there is one.
fn below<'s>(root: &'s Value, schema: &'s Value, path: &[&str]) -> Option<&'s Value> {
    let Some((step, rest)) = path.split_first() else {
        return Some(schema);
    };
    alternatives(root, schema).into_iter().find_map(|schema| {
        let next = match *step {
            "[]" => schema.get("items").or_else(|| {
                schema
                    .get("additionalProperties")
                    .filter(|it| **it != false)
            })?,
            name => schema.get("properties")?.get(name)?,
        };
        below(root, next, rest)
    })
}

/// A schema and those that it stands for.
fn alternatives<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let mut found = vec![schema];
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.trim_start_matches('#');
        found.extend(alternatives(root, root.pointer(pointer).unwrap()));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for schema in schema[key].as_array().into_iter().flatten() {
            found.extend(alternatives(root, schema));
        }
    }
    found
}

fn properties<'s>(root: &'s Value, schema: &'s Value) -> &'s Map<String, Value> {
    alternatives(root, schema)
        .into_iter()
        .find_map(|it| it["properties"].as_object())
        .unwrap()
}
