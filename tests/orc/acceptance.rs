//! What ORC's own tests of its API have accepted and refused, case by case: see `cases.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use stackward::engine::desired::Desired;
use stackward::kinds;
use stackward::manifest::problem::Severity;
use stackward::manifest::{Management, OnDelete};

use crate::sim::assemble;

/// How many cases ORC has of each kind: so many must be in the file.
const COUNTS: &[(&str, usize)] = &[
    ("AddressScope", 2),
    ("ApplicationCredential", 4),
    ("Domain", 0),
    ("Endpoint", 5),
    ("Flavor", 7),
    ("FloatingIP", 5),
    ("Group", 1),
    ("Image", 14),
    ("KeyPair", 4),
    ("Network", 8),
    ("Policy", 10),
    ("Port", 9),
    ("Project", 3),
    ("Role", 1),
    ("RoleAssignment", 2),
    ("Router", 4),
    ("RouterInterface", 6),
    ("SecurityGroup", 13),
    ("Server", 7),
    ("ServerGroup", 6),
    ("Service", 1),
    ("ShareNetwork", 7),
    ("Subnet", 12),
    ("Trunk", 6),
    ("User", 5),
    ("Volume", 6),
    ("VolumeType", 1),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chapter {
    #[serde(default)]
    sample: Value,
    #[serde(default)]
    import: Value,
    #[serde(default)]
    filter: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    it: String,
    steps: Vec<Step>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    managed: Option<bool>,
    #[serde(default)]
    resource: Value,
    #[serde(default)]
    import: Value,
    #[serde(default)]
    options: Value,
    #[serde(default)]
    each: Vec<String>,
    #[serde(default)]
    refused: Option<String>,
    #[serde(default)]
    then: Option<String>,
}

fn book() -> BTreeMap<String, Chapter> {
    serde_saphyr::from_str(include_str!("cases.yaml")).unwrap()
}

#[test]
fn no_case_of_orc_is_lost() {
    let counts: Vec<(String, usize)> = book()
        .into_iter()
        .map(|(kind, chapter)| (kind, chapter.cases.len()))
        .collect();
    let expected: Vec<(String, usize)> = COUNTS
        .iter()
        .map(|(kind, count)| ((*kind).to_owned(), *count))
        .collect();
    assert_eq!(counts, expected);
    // 136 single cases, and 13 that it runs over a table of values.
    assert_eq!(COUNTS.iter().map(|(_, count)| count).sum::<usize>(), 149);
}

#[test]
fn what_orc_accepts_is_accepted_and_what_it_refuses_is_refused() {
    let mut book = book();
    let policy = book.remove("Policy").unwrap();
    let mut faults = Vec::new();
    let mut done = 0;
    for (kind, chapter) in &book {
        // A kind without an envelope has no policy.
        let common = if kind == "RouterInterface" {
            &[]
        } else {
            policy.cases.as_slice()
        };
        for case in chapter.cases.iter().chain(common) {
            run(kind, chapter, case, &mut faults);
        }
        println!(
            "{kind:22} {:2} cases, {:2} of the policy",
            chapter.cases.len(),
            common.len()
        );
        done += chapter.cases.len() + common.len();
    }
    println!("{done} cases");
    assert!(
        faults.is_empty(),
        "{} differ:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn every_kind_of_orc_is_there() {
    let kinds = book().into_keys().filter(|kind| kind != "Policy");
    let (there, missing): (Vec<_>, Vec<_>) = kinds.partition(|kind| kinds::find(kind).is_some());
    assert_eq!(missing, [] as [&str; 0]);
    assert_eq!(there.len(), 26);
}

fn run(kind: &str, chapter: &Chapter, case: &Case, faults: &mut Vec<String>) {
    let mut previous = None;
    for step in &case.steps {
        let fault = |what: String| format!("{kind}: {}: {what}", case.it);
        if step.each.is_empty() {
            let step = with(step, chapter, None);
            let (desired, fault_of_step) = take(kind, &step, previous.as_ref());
            faults.extend(fault_of_step.map(fault));
            previous = Some(desired);
            continue;
        }
        for word in &step.each {
            let step = with(step, chapter, Some(word));
            let (_, fault_of_step) = take(kind, &step, None);
            faults.extend(fault_of_step.map(fault));
        }
    }
}

/// The step with the kind's own resource, import and filter, and with a word, in their places.
fn with(step: &Step, chapter: &Chapter, each: Option<&str>) -> Step {
    let mut step = step.clone();
    let id = json!({"id": "265c9e4f-0f5a-46e4-9f3f-fb8de25ae12f"});
    let import = match &chapter.import {
        Value::Null => &id,
        import => import,
    };
    for value in [&mut step.spec, &mut step.resource, &mut step.import] {
        fill(value, &|text| match text {
            "SAMPLE" => Some(chapter.sample.clone()),
            "IMPORT" => Some(import.clone()),
            "FILTER" => Some(chapter.filter.clone()),
            "EACH" => each.map(|it| json!(it)),
            _ => {
                let (letter, times) = text.split_once('×')?;
                Some(json!(letter.repeat(times.parse().ok()?)))
            }
        });
    }
    step
}

fn fill(value: &mut Value, of: &dyn Fn(&str) -> Option<Value>) {
    match value {
        Value::String(text) => {
            if let Some(new) = of(text) {
                *value = new;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| fill(it, of)),
        Value::Object(map) => map.values_mut().for_each(|it| fill(it, of)),
        _ => {}
    }
}

/// Declares what the step says; also says how the outcome differs from what is expected.
fn take(kind: &str, step: &Step, previous: Option<&Desired>) -> (Desired, Option<String>) {
    let mut spec = json!({
        "cloudCredentialsRef": {"secretName": "openstack-credentials", "cloudName": "openstack"},
    });
    if !step.spec.is_null() {
        spec = step.spec.clone();
    }
    if let Some(managed) = step.managed {
        spec["managementPolicy"] = json!(if managed { "managed" } else { "unmanaged" });
    }
    for (field, value) in [
        ("resource", &step.resource),
        ("import", &step.import),
        ("managedOptions", &step.options),
    ] {
        if !value.is_null() {
            spec[field] = value.clone();
        }
    }
    let manifest = json!({
        "apiVersion": "openstack.k-orc.cloud/v1alpha1",
        "kind": kind,
        "metadata": {"name": "case"},
        "spec": spec,
    });
    let files = [("case.json".to_owned(), manifest.to_string())];
    let desired = assemble(&files, previous, &BTreeMap::new());
    let errors: Vec<&str> = desired
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| &*problem.message)
        .collect();
    let fault = match &step.refused {
        None if errors.is_empty() => step.then.as_deref().and_then(|then| is(&desired, then)),
        None => Some(format!("is refused: {errors:?}")),
        Some(_) if errors.is_empty() => Some(format!("is accepted: {spec}")),
        Some(words) if errors.iter().any(|error| error.contains(words)) => None,
        Some(words) => Some(format!("is refused with {errors:?}, not with {words:?}")),
    };
    (desired, fault)
}

/// How the one object differs from a word about its policy.
fn is(desired: &Desired, word: &str) -> Option<String> {
    let policy = desired.objects.values().next().unwrap().policy();
    let holds = match word {
        "managed" => policy.management == Management::Managed,
        "unmanaged" => policy.management == Management::Unmanaged,
        "detach" => policy.on_delete == OnDelete::Detach,
        _ => panic!("{word}?"),
    };
    (!holds).then(|| format!("is not {word}"))
}
