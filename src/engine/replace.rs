//! When a resource is deleted so that a new one takes its place: because only a new one can have a
//! value, or because it is in ERROR. Both need leave by the manifest's `lifecycle`.
//!
//! Only the decision is here. The deletion looks again right before it, like every deletion; the
//! next look finds nothing and creates; what refers to it follows to the new id. How often this may
//! happen is the business of `flap`.

use crate::kinds::erased::Intent;
use crate::kinds::field::{Class, Difference};
use crate::manifest::{OnError, Permission, Replace};

use super::plan::{Plan, Todo, Wanted, unmet_at_birth};
use super::reason::{Blocker, Denied};

/// Begins a replacement for what only a new resource can have, if the manifest allows that.
pub(super) fn replacement(want: &Wanted<'_>, differences: &[Difference]) -> Option<Plan> {
    let lifecycle = &want.policy.lifecycle;
    let why: Vec<Difference> = differences
        .iter()
        .filter(|it| it.class == Class::Replace)
        .cloned()
        .collect();
    let allowed = lifecycle.replace == Replace::Allow
        && (!want.kind.holds_data() || lifecycle.lose_data == Permission::Allow);
    (allowed && !why.is_empty()).then(|| delete(want, why))
}

/// Begins to make one anew that is in ERROR, if the manifest allows that and no data is lost by it.
pub(super) fn recreation(want: &Wanted<'_>) -> Option<Plan> {
    let allowed = want.policy.lifecycle.on_error == OnError::Recreate && !want.kind.holds_data();
    allowed.then(|| delete(want, Vec::new()))
}

/// What would allow a change that is not allowed.
pub(super) fn denied(want: &Wanted<'_>, difference: Difference) -> Denied {
    let lifecycle = &want.policy.lifecycle;
    let leave = match difference.class {
        Class::Disrupt => "lifecycle.disrupt: Allow changes it, which interrupts its service",
        Class::Lose => "lifecycle.loseData: Allow changes it, which loses what is on it",
        Class::Replace if lifecycle.replace == Replace::CreateFirst => {
            "lifecycle.replace: CreateFirst is not available yet; Allow deletes it before it is made anew"
        }
        Class::Replace if want.kind.holds_data() => {
            "lifecycle.replace: Allow with loseData: Allow deletes it with what is on it and makes it anew"
        }
        Class::Replace => "lifecycle.replace: Allow deletes it and makes it anew",
        Class::Update | Class::Action | Class::Members | Class::Birth => "",
    };
    Denied { difference, leave }
}

/// What could not be made again now is not deleted now.
fn delete(want: &Wanted<'_>, why: Vec<Difference>) -> Plan {
    if want.policy.protect {
        return Plan::Blocked(Blocker::Protected);
    }
    unmet_at_birth(want).unwrap_or(Plan::Do(Todo {
        intent: Intent::Delete,
        why,
    }))
}
