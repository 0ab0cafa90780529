//! What a manifest of ORC's group must not change, held against what was accepted of it before.
//!
//! The memory is that of this process: after a restart the cloud is what a manifest is compared
//! with, and what only a new resource can have is Blocked by the plan.

use crate::kinds::field::Class;
use crate::kinds::orc;
use crate::manifest::problem::Code;
use crate::manifest::{Group, Problem};

use super::desired::{Desired, Object};

const HINT: &str = "what was accepted stays in force; remove the manifest, wait until the resource is \
    gone and add it again, or write `apiVersion: stackward.dev/v1alpha1`, where `lifecycle` decides";

/// Takes out what changes something that has to stay, and says so.
pub(super) fn refuse_changes(desired: &mut Desired, previous: &Desired) {
    let mut refused = Vec::new();
    for (key, object) in &desired.objects {
        if let Some(before) = previous.objects.get(key) {
            let problems = changes(before, object);
            if !problems.is_empty() {
                refused.push((key.clone(), problems));
            }
        }
    }
    for (key, problems) in refused {
        desired.objects.remove(&key);
        desired.problems.extend(problems);
    }
}

fn changes(before: &Object, after: &Object) -> Vec<Problem> {
    if [before, after]
        .iter()
        .any(|it| it.manifest.group != Group::Orc)
    {
        return Vec::new();
    }
    let problem = |pointer: &str, message: &str| {
        after
            .manifest
            .problem(pointer, Code::InvalidValue, message, Some(HINT.to_owned()))
    };
    if before.policy().management != after.policy().management {
        let message = "managementPolicy is immutable";
        return vec![problem("/spec/managementPolicy", message)];
    }
    let (Some(old), Some(new)) = (&before.accepted.spec, &after.accepted.spec) else {
        return Vec::new();
    };
    let rows = after.kind.rows();
    let birth: Vec<&str> = rows
        .iter()
        .filter(|row| row.class == Class::Birth)
        .map(|row| row.name)
        .collect();
    orc::changed(after.kind.name(), &birth, &old.value(), &new.value())
        .into_iter()
        .map(|fault| {
            let pointer = format!("{}{}", after.manifest.base, fault.pointer);
            problem(&pointer, &fault.message)
        })
        .collect()
}
