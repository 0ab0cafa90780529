//! What should happen to one resource now: at most one request. The next look decides the rest.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kinds::Attached;
use crate::kinds::erased::{AnyKind, Found, Intent};
use crate::kinds::field::{Class, Difference, diff, missing, surplus};
use crate::kinds::health::Health;
use crate::manifest::{Permission, Policy, UserDataChange};
use crate::zoo::{self, Bug};

use super::reason::{Blocker, Denied, Waiting};
use super::replace::{denied, giving_way, recreation, replacement};

/// How long a resource that holds nothing may stay in a state of transit before it is made anew:
/// an upload whose end nobody is going to see. Uploads of this process are in flight and are not
/// judged.
pub const HUSK_AFTER: Duration = Duration::from_secs(600);

/// A resource as it was seen, beside what is attached to it.
pub struct Seen<'a> {
    /// The resource.
    pub found: &'a Found,
    /// What is attached to it.
    pub attached: Attached<'a>,
    /// The spec that would have produced it.
    pub have: Value,
    /// How long it has been in its state, as far as this process has seen.
    pub since: Duration,
    /// Fields that cannot be told now, since the look at what is attached failed.
    pub blind: Vec<Unmet>,
    /// How long it has been moving or leaving, whatever the states it went through.
    pub moving: Duration,
}

/// What is known of a resource. Not knowing is a value of its own.
pub enum Observed<'a> {
    /// It cannot be said.
    Unknown(Waiting),
    /// It is not there.
    Absent,
    /// It is there and ours, or imported.
    Found(Seen<'a>),
    /// It is there, is not ours, and the manifest consents to take it over.
    Adoptable(Seen<'a>),
    /// It was there and no list shows it: it is read by id, at once or at `next`.
    Lost {
        /// Its id.
        id: String,
        /// When the next read is due; `None` is now.
        next: Option<Timestamp>,
    },
    /// It cannot be told, and only a person can.
    Blocked(Blocker),
}

/// What a manifest wants, with its references filled in.
pub struct Wanted<'a> {
    /// The kind.
    pub kind: &'a dyn AnyKind,
    /// The spec; `None` for an import.
    pub spec: Option<&'a Value>,
    /// What could not be filled in, by the field that needs it.
    pub unmet: &'a [Unmet],
    /// What may be done.
    pub policy: &'a Policy,
}

/// A need that is not met.
#[derive(Debug, Clone, PartialEq)]
pub struct Unmet {
    /// The top-level field that needs it.
    pub field: String,
    /// What it waits for, or why it never will be met.
    pub why: Result<Waiting, Blocker>,
}

/// What should happen.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Nothing.
    InSync,
    /// One request.
    Do(Todo),
    /// Nothing now; it ends by itself.
    Wait(Waiting),
    /// Nothing; a person must decide.
    Blocked(Blocker),
    /// This, if the object were not suspended.
    Suspended(Option<Todo>),
}

/// One request, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Todo {
    /// What for.
    pub intent: Intent,
    /// What differs.
    pub why: Vec<Difference>,
}

/// Decides for one resource.
pub fn plan(want: &Wanted<'_>, seen: &Observed<'_>, now: Timestamp) -> Plan {
    let plan = match seen {
        Observed::Unknown(why) => Plan::Wait(why.clone()),
        Observed::Blocked(why) => Plan::Blocked(why.clone()),
        Observed::Lost { next: Some(at), .. } if *at > now => Plan::Wait(Waiting::Missing(*at)),
        // Reading changes nothing, so it is not held up by a suspension.
        Observed::Lost { .. } => {
            return Plan::Do(Todo {
                intent: Intent::Inspect,
                why: Vec::new(),
            });
        }
        Observed::Absent => create(want),
        Observed::Adoptable(_) => Plan::Do(Todo {
            intent: Intent::Adopt,
            why: Vec::new(),
        }),
        Observed::Found(seen) => match &seen.found.health {
            Health::Leaving => {
                Plan::Wait(stalled(want, seen, "being deleted").unwrap_or(Waiting::Leaving))
            }
            Health::Moving(state) => moving(want, seen, state),
            Health::Stuck { state, fault } => stuck(want, seen, state, fault.as_deref()),
            Health::Ready | Health::Off(_) => converge(want, seen),
        },
    };
    match plan {
        Plan::Do(_)
            if let Observed::Found(seen) | Observed::Adoptable(seen) = seen
                && let Some(why) = want.kind.lock(seen.found) =>
        {
            Plan::Blocked(Blocker::Refused(why))
        }
        Plan::Do(todo) if want.policy.suspend && !zoo::has(Bug::IgnoresSuspend) => {
            Plan::Suspended(Some(todo))
        }
        Plan::InSync if want.policy.suspend => Plan::Suspended(None),
        plan => plan,
    }
}

fn create(want: &Wanted<'_>) -> Plan {
    match unmet_at_birth(want) {
        Some(plan) => plan,
        // An import is never created, whatever was or was not seen.
        None if want.spec.is_none() => Plan::Wait(Waiting::External(String::new())),
        None => Plan::Do(Todo {
            intent: Intent::Create,
            why: Vec::new(),
        }),
    }
}

fn moving(want: &Wanted<'_>, seen: &Seen<'_>, state: &str) -> Plan {
    if want.spec.is_some() && want.kind.is_husk(seen.found) && seen.since > HUSK_AFTER {
        return Plan::Do(Todo {
            intent: Intent::Delete,
            why: Vec::new(),
        });
    }
    match stalled(want, seen, state) {
        Some(stalled) => want
            .spec
            .and_then(|_| recreation(want))
            .unwrap_or(Plan::Wait(stalled)),
        None => Plan::Wait(Waiting::Moving(state.to_owned())),
    }
}

/// Has it been on its way for longer than the manifest gives it? The cloud may still move it on.
fn stalled(want: &Wanted<'_>, seen: &Seen<'_>, state: &str) -> Option<Waiting> {
    let deadline = want.policy.lifecycle.deadline;
    (seen.moving > deadline).then(|| Waiting::Stalled {
        state: state.to_owned(),
        deadline,
    })
}

fn stuck(want: &Wanted<'_>, seen: &Seen<'_>, state: &str, fault: Option<&str>) -> Plan {
    if let Some(spec) = want.spec {
        let remedy = want.kind.remedy(spec, seen.found);
        if let Some((class, action)) = &remedy
            && allows(want, *class)
        {
            return first_unmet(want, |_| true).unwrap_or(Plan::Do(Todo {
                intent: Intent::Remedy(action.clone()),
                why: Vec::new(),
            }));
        }
        if want.kind.is_husk(seen.found) {
            return Plan::Do(Todo {
                intent: Intent::Delete,
                why: Vec::new(),
            });
        }
        if remedy.is_none()
            && let Some(plan) = recreation(want)
        {
            return untold(want, seen).unwrap_or(plan);
        }
    }
    Plan::Blocked(Blocker::Stuck {
        state: state.to_owned(),
        fault: fault.map(str::to_owned),
    })
}

fn converge(want: &Wanted<'_>, seen: &Seen<'_>) -> Plan {
    let Some(spec) = want.spec else {
        return Plan::InSync;
    };
    let mut differences = differences(want, spec, seen);
    differences.retain(|it| !is_left(want, it));
    let leaving = giving_way(want, seen).or_else(|| replacement(want, seen, &differences));
    if let Some(plan) = leaving {
        return untold(want, seen).unwrap_or(plan);
    }
    let updates: Vec<&Difference> = differences
        .iter()
        .filter(|it| it.class == Class::Update)
        .collect();
    if !updates.is_empty() {
        return Plan::Do(Todo {
            intent: Intent::Update(updates.iter().map(|it| it.field).collect()),
            why: updates.into_iter().cloned().collect(),
        });
    }
    let mut hindered = None;
    for difference in &differences {
        if let Some(intent) = mend(want, seen, difference) {
            if let Some(why) = want.kind.hindrance(&intent, seen.found, &seen.attached) {
                hindered = hindered.or(Some(why));
                continue;
            }
            return Plan::Do(Todo {
                intent,
                why: vec![difference.clone()],
            });
        }
    }
    if let Some(why) = hindered {
        return Plan::Blocked(Blocker::Refused(why));
    }
    let immutable: Vec<Denied> = differences
        .into_iter()
        .filter(|it| it.class != Class::Members)
        .map(|it| denied(want, seen, it))
        .collect();
    if !immutable.is_empty() {
        return Plan::Blocked(Blocker::Immutable(immutable));
    }
    match first_unmet(want, |_| true) {
        Some(Plan::Blocked(blocker)) => Plan::Blocked(blocker),
        // What others wait for because of an outage is no news beside the outage.
        waiting => untold(want, seen).or(waiting).unwrap_or(Plan::InSync),
    }
}

/// What has to be seen again before it can be said that nothing differs, or before anything is
/// deleted: fields that the spec sets, and that nobody tells just now.
fn untold(want: &Wanted<'_>, seen: &Seen<'_>) -> Option<Plan> {
    let spec = want.spec?;
    let mut fields = seen.blind.iter().filter(|it| !spec[&*it.field].is_null());
    let why = fields.find_map(|it| it.why.as_ref().ok());
    why.cloned().map(Plan::Wait)
}

/// Does the policy allow changes of this class?
fn allows(want: &Wanted<'_>, class: Class) -> bool {
    let lifecycle = &want.policy.lifecycle;
    match class {
        Class::Action | Class::Members | Class::Update => true,
        Class::Disrupt => lifecycle.disrupt == Permission::Allow,
        Class::Lose => lifecycle.lose_data == Permission::Allow,
        Class::Replace | Class::Birth => false,
    }
}

/// The request that mends one difference, if policy allows one.
fn mend(want: &Wanted<'_>, seen: &Seen<'_>, difference: &Difference) -> Option<Intent> {
    if difference.class == Class::Replace || !is_allowed(want, seen, difference) {
        return None;
    }
    if difference.class != Class::Members {
        return Some(Intent::Act(difference.field));
    }
    let rows = want.kind.rows();
    let row = rows.iter().find(|row| row.name == difference.field)?;
    // What is too many goes first: it may hold what is missing (a device, an address).
    let too_many = surplus(row.compare, &difference.want, &difference.have)
        .into_iter()
        .find(|element| {
            want.kind
                .may_remove(difference.field, element, &seen.attached)
        });
    if let Some(element) = too_many {
        return Some(Intent::Remove(row.name, element));
    }
    let lacking = missing(row.compare, &difference.want, &difference.have)
        .into_iter()
        .next();
    lacking.map(|element| Intent::Add(row.name, element))
}

/// What differs, leaving out what cannot be said yet and what the manifest asks to ignore.
fn differences(want: &Wanted<'_>, spec: &Value, seen: &Seen<'_>) -> Vec<Difference> {
    let ignored = |field: &str| {
        want.policy
            .lifecycle
            .ignore_changes
            .iter()
            .any(|pointer| pointer.trim_start_matches("/spec/resource/") == field)
    };
    let have = &seen.have;
    let mut differences = diff(&want.kind.rows(), spec, have);
    differences.retain(|it| !want.kind.is_same(it.field, spec, have));
    differences.extend(user_data(want.kind, spec, have));
    differences.retain(|difference| {
        !ignored(difference.field)
            && !want
                .unmet
                .iter()
                .chain(&seen.blind)
                .any(|unmet| unmet.field == difference.field)
    });
    differences
}

/// The user data that it booted with, if it is another one than the manifest's: known by a digest
/// where the daemon made it. Whether that matters is said by `lifecycle.userData`.
fn user_data(kind: &dyn AnyKind, spec: &Value, have: &Value) -> Option<Difference> {
    const FIELD: &str = "userData";
    let (want, have) = (&spec[FIELD]["sha256"], &have[FIELD]["sha256"]);
    if !want.is_string() || !have.is_string() || want == have {
        return None;
    }
    let rows = kind.rows();
    let row = rows.iter().find(|row| row.name == FIELD)?;
    Some(Difference {
        field: row.name,
        class: Class::Replace,
        have: json!({ "sha256": have }),
        want: json!({ "sha256": want }),
    })
}

/// All that differs, whatever is done about it now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drift {
    /// What is changed, one request after the other.
    pub repaired: Vec<Difference>,
    /// What is not changed without leave.
    pub denied: Vec<Denied>,
    /// Fields that are left as they are.
    pub left: Vec<&'static str>,
}

impl Drift {
    pub(super) fn of(want: &Wanted<'_>, seen: &Seen<'_>) -> Self {
        let mut drift = Self::default();
        let Some(spec) = want.spec else {
            return drift;
        };
        for difference in differences(want, spec, seen) {
            if is_left(want, &difference) {
                drift.left.push(difference.field);
            } else if is_allowed(want, seen, &difference) {
                drift.repaired.push(difference);
            } else {
                drift.denied.push(denied(want, seen, difference));
            }
        }
        drift
    }
}

fn is_allowed(want: &Wanted<'_>, seen: &Seen<'_>, difference: &Difference) -> bool {
    match difference.class {
        Class::Replace => replacement(want, seen, std::slice::from_ref(difference)).is_some(),
        Class::Disrupt if !want.kind.interrupts(difference.field, &difference.want) => true,
        class => allows(want, class),
    }
}

fn is_left(want: &Wanted<'_>, difference: &Difference) -> bool {
    difference.field == "userData" && want.policy.lifecycle.user_data == UserDataChange::Ignore
}

/// What keeps it from being created now.
pub(super) fn unmet_at_birth(want: &Wanted<'_>) -> Option<Plan> {
    // What was adopted may be less than what is needed to make another one.
    if let Some(fault) = want.spec.and_then(|spec| want.kind.birth_fault(spec)) {
        return Some(Plan::Blocked(Blocker::Invalid(format!(
            "it cannot be made anew: {fault}"
        ))));
    }
    first_unmet(want, |unmet| {
        !want.kind.later().contains(&unmet.field.as_str())
    })
}

/// What the needs that count keep it from, a person's part first.
fn first_unmet(want: &Wanted<'_>, counts: impl Fn(&Unmet) -> bool) -> Option<Plan> {
    let unmet: Vec<&Unmet> = want.unmet.iter().filter(|unmet| counts(unmet)).collect();
    let blocked = unmet.iter().find_map(|unmet| unmet.why.as_ref().err());
    if let Some(blocker) = blocked {
        return Some(Plan::Blocked(blocker.clone()));
    }
    let waiting = unmet.first().and_then(|unmet| unmet.why.as_ref().ok());
    waiting.cloned().map(Plan::Wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use crate::manifest::{OnError, Replace};

    fn volume(status: &str, size: u32) -> Found {
        let item = json!({"id": "v", "name": "data", "size": size, "status": status,
            "metadata": {}, "attachments": [], "bootable": "false", "description": null,
            "availability_zone": "nova", "volume_type": "t"});
        kinds::find("Volume").unwrap().look(item).unwrap()
    }

    fn decide(found: Option<&Found>, size: u32, policy: &Policy, unmet: &[Unmet]) -> Plan {
        let kind = kinds::find("Volume").unwrap();
        let spec = json!({"name": "data", "size": size});
        let want = Wanted {
            kind,
            spec: Some(&spec),
            unmet,
            policy,
        };
        let seen = match found {
            None => Observed::Absent,
            Some(found) => Observed::Found(Seen {
                found,
                attached: Attached::default(),
                have: kind.project(found, &Attached::default()),
                since: Duration::ZERO,
                blind: Vec::new(),
                moving: Duration::ZERO,
            }),
        };
        plan(&want, &seen, Timestamp::UNIX_EPOCH)
    }

    fn intent(plan: Plan) -> Option<Intent> {
        match plan {
            Plan::Do(todo) => Some(todo.intent),
            _ => None,
        }
    }

    #[test]
    fn each_state_has_its_plan() {
        let policy = Policy::default();
        assert_eq!(intent(decide(None, 1, &policy, &[])), Some(Intent::Create));
        assert_eq!(
            decide(Some(&volume("available", 1)), 1, &policy, &[]),
            Plan::InSync
        );
        assert_eq!(
            intent(decide(Some(&volume("available", 1)), 2, &policy, &[])),
            Some(Intent::Act("size"))
        );
        assert_eq!(
            decide(Some(&volume("creating", 1)), 2, &policy, &[]),
            Plan::Wait(Waiting::Moving("creating".to_owned()))
        );
        assert_eq!(
            decide(Some(&volume("deleting", 1)), 1, &policy, &[]),
            Plan::Wait(Waiting::Leaving)
        );
        assert!(matches!(
            decide(Some(&volume("error", 1)), 1, &policy, &[]),
            Plan::Blocked(Blocker::Stuck { .. })
        ));
    }

    #[test]
    fn nothing_is_created_while_a_need_is_unmet_and_nothing_else_is_held_up() {
        let policy = Policy::default();
        let waiting = Waiting::External("x".to_owned());
        let unmet = [Unmet {
            field: "imageRef".to_owned(),
            why: Ok(waiting.clone()),
        }];
        assert_eq!(
            decide(None, 1, &policy, &unmet),
            Plan::Wait(waiting.clone())
        );
        let there = volume("available", 1);
        assert_eq!(
            intent(decide(Some(&there), 2, &policy, &unmet)),
            Some(Intent::Act("size"))
        );
        assert_eq!(
            decide(Some(&there), 1, &policy, &unmet),
            Plan::Wait(waiting)
        );
    }

    #[test]
    fn a_suspended_object_is_only_looked_at() {
        let policy = Policy {
            suspend: true,
            ..Policy::default()
        };
        assert!(matches!(
            decide(None, 1, &policy, &[]),
            Plan::Suspended(Some(_))
        ));
        assert_eq!(
            decide(Some(&volume("available", 1)), 1, &policy, &[]),
            Plan::Suspended(None)
        );
    }

    #[test]
    fn what_is_not_known_is_neither_created_nor_changed() {
        let kind = kinds::find("Volume").unwrap();
        let (spec, policy) = (json!({"size": 1}), Policy::default());
        let want = Wanted {
            kind,
            spec: Some(&spec),
            unmet: &[],
            policy: &policy,
        };
        let unknown = Observed::Unknown(Waiting::FirstLook);
        assert_eq!(
            plan(&want, &unknown, Timestamp::UNIX_EPOCH),
            Plan::Wait(Waiting::FirstLook)
        );
    }

    #[test]
    fn what_no_list_shows_is_read_when_its_time_has_come_also_if_it_is_suspended() {
        let (spec, mut policy) = (json!({"size": 1}), Policy::default());
        let now = Timestamp::from_second(100).unwrap();
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        for suspend in [false, true] {
            policy.suspend = suspend;
            let want = Wanted {
                kind: kinds::find("Volume").unwrap(),
                spec: Some(&spec),
                unmet: &[],
                policy: &policy,
            };
            let lost = |next| {
                let id = "v".to_owned();
                plan(&want, &Observed::Lost { id, next }, now)
            };
            for due in [None, at(99), at(100)] {
                assert_eq!(intent(lost(due)), Some(Intent::Inspect), "{due:?}");
            }
            let until = Timestamp::from_second(101).unwrap();
            let waits = Plan::Wait(Waiting::Missing(until));
            assert_eq!(lost(at(101)), waits);
        }
    }

    #[test]
    fn ignored_fields_are_no_drift() {
        let mut policy = Policy::default();
        policy.lifecycle.ignore_changes = vec!["/spec/resource/size".to_owned()];
        assert_eq!(
            decide(Some(&volume("available", 1)), 2, &policy, &[]),
            Plan::InSync
        );
    }

    #[test]
    fn what_is_not_allowed_says_what_would_allow_it() {
        let kind = kinds::find("Server").unwrap();
        let item = json!({"id": "s", "status": "ACTIVE", "image": {"id": "i"}, "flavor": {"id": "f"},
            "key_name": "k"});
        let found = kind.look(item).unwrap();
        let spec = json!({"imageRef": {"id": "j"}, "flavorRef": {"id": "g"}, "keypairRef": {"id": "l"},
            "networks": "none"});
        let decide = |policy: &Policy| {
            let want = Wanted {
                kind,
                spec: Some(&spec),
                unmet: &[],
                policy,
            };
            let seen = Observed::Found(Seen {
                found: &found,
                attached: Attached::default(),
                have: kind.project(&found, &Attached::default()),
                since: Duration::ZERO,
                blind: Vec::new(),
                moving: Duration::ZERO,
            });
            plan(&want, &seen, Timestamp::UNIX_EPOCH)
        };
        let mut policy = Policy::default();
        policy.lifecycle.disrupt = Permission::Deny;
        let Plan::Blocked(blocker) = decide(&policy) else {
            panic!("nothing is allowed")
        };
        let words = blocker.to_string();
        for leave in ["disrupt: Allow", "loseData: Allow", "replace: Allow"] {
            assert!(words.contains(&format!("lifecycle.{leave}")), "{words}");
        }
        policy.lifecycle.lose_data = Permission::Allow;
        assert_eq!(intent(decide(&policy)), Some(Intent::Act("imageRef")));
        // What is to be deleted is not changed before.
        policy.lifecycle.replace = Replace::Allow;
        assert_eq!(intent(decide(&policy)), Some(Intent::Delete));
        policy.protect = true;
        assert_eq!(decide(&policy), Plan::Blocked(Blocker::Protected));
    }

    #[test]
    fn what_is_in_error_is_made_anew_by_leave_and_never_what_holds_data() {
        let mut policy = Policy::default();
        policy.lifecycle.on_error = OnError::Recreate;
        assert!(matches!(
            decide(Some(&volume("error", 1)), 1, &policy, &[]),
            Plan::Blocked(Blocker::Stuck { .. })
        ));
        let kind = kinds::find("Server").unwrap();
        let found = kind
            .look(json!({"id": "s", "status": "ERROR", "fault": {"message": "No valid host"}}))
            .unwrap();
        let spec = json!({"imageRef": {"id": "j"}, "flavorRef": {"id": "g"}, "networks": "none"});
        let decide = |policy: &Policy| {
            let want = Wanted {
                kind,
                spec: Some(&spec),
                unmet: &[],
                policy,
            };
            let seen = Observed::Found(Seen {
                found: &found,
                attached: Attached::default(),
                have: Value::Null,
                since: Duration::ZERO,
                blind: Vec::new(),
                moving: Duration::ZERO,
            });
            intent(plan(&want, &seen, Timestamp::UNIX_EPOCH))
        };
        assert_eq!(decide(&policy), Some(Intent::Delete));
        assert_eq!(decide(&Policy::default()), None);
    }
}
