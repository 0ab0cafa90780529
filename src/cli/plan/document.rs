//! The plan for programs. Its form is documented in docs/reference/plan.md, and stays: fields are
//! added, none is renamed or given another meaning without another `formatVersion`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::engine::Intention;
use crate::manifest::Key;

use super::super::output;
use super::{Sort, differences, note, sort};

/// Of another one a program that knows this one cannot make sense.
const FORMAT: u32 = 1;

const ACTIONS: [&str; 7] = [
    "create", "adopt", "change", "replace", "delete", "blocked", "wait",
];

/// The plan as a document. `failures` are the clouds that could not be looked at.
pub(super) fn document(intentions: &BTreeMap<Key, Intention>, failures: &[String]) -> Value {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut objects = Vec::new();
    for (key, intention) in intentions {
        let Some(action) = action(sort(intention)) else {
            *counts.entry("unchanged").or_default() += 1;
            continue;
        };
        *counts.entry(action).or_default() += 1;
        let fields: Vec<Value> = differences(intention)
            .map(|(it, leave)| {
                json!({"field": it.field, "class": it.class, "have": it.have, "want": it.want,
                       "made": leave.is_none(), "needs": leave})
            })
            .collect();
        objects.push(json!({
            "object": key.to_string(),
            "kind": &*key.kind,
            "namespace": &*key.namespace,
            "name": &*key.name,
            "action": action,
            "sign": sort(intention).words().0,
            "reason": note(intention),
            "fields": fields,
        }));
    }
    let summary: Map<String, Value> = ACTIONS
        .iter()
        .chain(&["unchanged"])
        .map(|name| ((*name).to_owned(), json!(counts.get(name).unwrap_or(&0))))
        .collect();
    json!({"formatVersion": FORMAT, "summary": summary, "objects": objects, "failures": failures})
}

/// The objects with which something is to be done.
pub(super) fn names(intentions: &BTreeMap<Key, Intention>) -> String {
    let changed = intentions
        .iter()
        .filter(|(_, intention)| action(sort(intention)).is_some());
    let names: Vec<String> = changed.map(|(key, _)| key.short().to_string()).collect();
    output::names(names.iter().map(String::as_str))
}

const fn action(sort: Sort) -> Option<&'static str> {
    Some(match sort {
        Sort::Create => "create",
        Sort::Adopt => "adopt",
        Sort::Change | Sort::Interrupt | Sort::Lose => "change",
        Sort::DeleteFirst | Sort::CreateFirst => "replace",
        Sort::Delete => "delete",
        Sort::Blocked => "blocked",
        Sort::Wait => "wait",
        Sort::Nothing => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::plan::{Drift, Plan, Todo};
    use crate::engine::reason::Denied;
    use crate::kinds::erased::Intent;
    use crate::kinds::field::{Class, Difference};

    #[test]
    fn the_document_names_each_object_once_and_counts_them() {
        let intended = |plan, repaired, denied| Intention {
            plan,
            exists: true,
            deleting: false,
            drift: Drift {
                repaired,
                denied,
                left: vec![],
            },
        };
        let differs = |field, class, have: u32, want: u32| Difference {
            field,
            class,
            have: json!(have),
            want: json!(want),
        };
        let size = differs("size", Class::Action, 5, 9);
        let denied = Denied {
            difference: differs("volumeTypeRef", Class::Replace, 1, 2),
            leave: "lifecycle.replace: Allow makes a new one".to_owned(),
        };
        let todo = |intent| {
            Plan::Do(Todo {
                intent,
                why: vec![],
            })
        };
        let key = |name: &str| Key::new("Volume", "default", name);
        let intentions = BTreeMap::from([
            (
                key("a"),
                intended(todo(Intent::Act("size")), vec![size], vec![denied]),
            ),
            (key("b"), intended(Plan::InSync, vec![], vec![])),
            (key("c"), intended(todo(Intent::Adopt), vec![], vec![])),
        ]);
        let document = document(&intentions, &[]);
        assert_eq!(
            document["summary"],
            json!({"create": 0, "adopt": 1, "change": 1, "replace": 0, "delete": 0,
                   "blocked": 0, "wait": 0, "unchanged": 1})
        );
        assert_eq!(
            document["objects"][0],
            json!({"object": "Volume/default/a", "kind": "Volume", "namespace": "default", "name": "a",
                   "action": "change", "sign": "~", "reason": null, "fields": [
                {"field": "size", "class": "Action", "have": 5, "want": 9, "made": true, "needs": null},
                {"field": "volumeTypeRef", "class": "Replace", "have": 1, "want": 2, "made": false,
                 "needs": "lifecycle.replace: Allow makes a new one"}]})
        );
        assert_eq!(document["objects"][1]["sign"], "<=");
        assert_eq!(names(&intentions), "Volume/a\nVolume/c\n");
    }
}
