//! When a resource is deleted so that a new one takes its place: because only a new one can have a
//! value, or because it is in ERROR. Both need leave by the manifest's `lifecycle`.
//!
//! Only the decision is here. The deletion looks again right before it, like every deletion; the
//! next look finds nothing and creates; what refers to it follows to the new id. Where the new one
//! is to be made first, `succession` does it. How often this may happen is the business of `flap`.

use crate::kinds::erased::{AnyKind, Intent};
use crate::kinds::field::{Class, Difference};
use crate::manifest::{OnError, Permission, Policy, Replace};
use crate::zoo::{self, Bug};

use super::plan::{Plan, Seen, Todo, Unmet, Wanted, unmet_at_birth};
use super::reason::{Blocker, Denied, Stage, Waiting};

/// Begins a replacement for what only a new resource can have, if the manifest allows that.
pub(super) fn replacement(
    want: &Wanted<'_>,
    seen: &Seen<'_>,
    differences: &[Difference],
) -> Option<Plan> {
    let lifecycle = &want.policy.lifecycle;
    let why: Vec<Difference> = differences
        .iter()
        .filter(|it| it.class == Class::Replace)
        .cloned()
        .collect();
    let may_go = !want.kind.holds_data()
        || lifecycle.lose_data == Permission::Allow
        || zoo::has(Bug::LosesDataWithoutLeave);
    if why.is_empty() || !may_go {
        return None;
    }
    match lifecycle.replace {
        Replace::Deny if zoo::has(Bug::ReplacesWithoutLeave) => {
            Some(make_room(want, Intent::Delete, why))
        }
        Replace::Deny => None,
        Replace::Allow => Some(make_room(want, Intent::Delete, why)),
        Replace::CreateFirst => alone(want, seen)
            .is_none()
            .then(|| make_room(want, Intent::Replace, why)),
    }
}

/// What it is a part of is to be deleted and made anew: it goes first, and comes back after it.
pub(super) fn giving_way(want: &Wanted<'_>, seen: &Seen<'_>) -> Option<Plan> {
    let rows = want.kind.rows();
    let is_part = |field: &str| {
        let row = rows.iter().find(|row| row.name == field);
        row.filter(|row| row.class == Class::Replace)
    };
    let why: Vec<Difference> = want
        .unmet
        .iter()
        .filter(|unmet| is_making_way(unmet))
        .filter_map(|unmet| is_part(&unmet.field))
        .map(|row| Difference {
            field: row.name,
            class: row.class,
            have: seen.have[row.name].clone(),
            want: "its new id".into(),
        })
        .collect();
    (!why.is_empty() && may_go(want.kind, want.policy)).then_some(Plan::Do(Todo {
        intent: Intent::Delete,
        why,
    }))
}

fn is_making_way(unmet: &Unmet) -> bool {
    matches!(
        unmet.why,
        Ok(Waiting::For {
            stage: Stage::Replaced,
            ..
        })
    )
}

/// May it be deleted and made anew for the sake of what it is a part of?
pub(super) fn may_go(kind: &dyn AnyKind, policy: &Policy) -> bool {
    let lifecycle = &policy.lifecycle;
    lifecycle.replace == Replace::Allow
        && !policy.protect
        && !policy.suspend
        && (!kind.holds_data() || lifecycle.lose_data == Permission::Allow)
}

/// Why there cannot be two of them for a while, if so.
fn alone(want: &Wanted<'_>, seen: &Seen<'_>) -> Option<String> {
    let beside = want.kind.beside(want.spec?, seen.found);
    beside.err().map(|refusal| refusal.message)
}

/// Begins to make one anew that is in ERROR, if the manifest allows that and no data is lost by it.
pub(super) fn recreation(want: &Wanted<'_>) -> Option<Plan> {
    let allowed = want.policy.lifecycle.on_error == OnError::Recreate && !want.kind.holds_data();
    allowed.then(|| make_room(want, Intent::Delete, Vec::new()))
}

/// What would allow a change that is not allowed.
pub(super) fn denied(want: &Wanted<'_>, seen: &Seen<'_>, difference: Difference) -> Denied {
    let lifecycle = &want.policy.lifecycle;
    let leave = match difference.class {
        Class::Disrupt => "lifecycle.disrupt: Allow changes it, which interrupts its service",
        Class::Lose => "lifecycle.loseData: Allow changes it, which loses what is on it",
        Class::Replace if want.kind.holds_data() && lifecycle.lose_data == Permission::Deny => {
            "lifecycle.replace: Allow with loseData: Allow deletes it with what is on it and makes it anew"
        }
        Class::Replace
            if lifecycle.replace == Replace::CreateFirst
                && let Some(why) = alone(want, seen) =>
        {
            return Denied {
                difference,
                leave: format!(
                    "lifecycle.replace: CreateFirst is not possible: {why}; Allow deletes it before it is made anew"
                ),
            };
        }
        Class::Replace => "lifecycle.replace: Allow deletes it and makes it anew",
        Class::Update | Class::Action | Class::Members | Class::Birth => "",
    };
    Denied {
        difference,
        leave: leave.to_owned(),
    }
}

/// What could not be made again now is not deleted now.
fn make_room(want: &Wanted<'_>, intent: Intent, why: Vec<Difference>) -> Plan {
    if want.policy.protect {
        return Plan::Blocked(Blocker::Protected);
    }
    unmet_at_birth(want).unwrap_or(Plan::Do(Todo { intent, why }))
}
