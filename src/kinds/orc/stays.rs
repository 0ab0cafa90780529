//! What a manifest of ORC's group may not change once it was accepted.
//!
//! As in ORC, a rule that compares old and new says nothing when the field is new or gone, except
//! where only the create request could have used it: then nothing would ever come of it.

use serde_json::Value;

use crate::manifest::problem::Code;

use super::{Fault, Place, rules};

/// What the new content changes of what has to stay. `birth` are the fields that matter only when
/// the resource is made.
#[must_use]
pub fn changed(kind: &str, birth: &[&str], before: &Value, after: &Value) -> Vec<Fault> {
    let immutable = |pointer: &str, name: &str| Fault {
        pointer: pointer.to_owned(),
        code: Code::InvalidValue,
        message: format!("{name} is immutable"),
    };
    let mut faults = Vec::new();
    for rule in rules(kind, Place::Resource).iter().filter(|it| it.fixed) {
        let Some(name) = rule.path.last() else {
            if before != after {
                faults.push(immutable("", &format!("{kind}ResourceSpec")));
            }
            continue;
        };
        let pointer = format!("/{}", rule.path.join("/"));
        match (before.pointer(&pointer), after.pointer(&pointer)) {
            (Some(old), Some(new)) if old != new => faults.push(immutable(&pointer, name)),
            (None, Some(_)) if rule.path.len() == 1 && birth.contains(name) => {
                faults.push(immutable(&pointer, name));
            }
            _ => {}
        }
    }
    faults.extend(one_way(kind, before, after));
    if kind == "Server" {
        faults.extend(devices(before, after));
    }
    faults
}

/// A volume that stays attached stays where it is: ORC takes another device, and forgets it.
fn devices(before: &Value, after: &Value) -> Vec<Fault> {
    let volumes = |spec: &Value| spec["volumes"].as_array().cloned().unwrap_or_default();
    let old = volumes(before);
    let new = volumes(after).into_iter().enumerate();
    let moved = new.filter(|(_, volume)| {
        let was = old.iter().find(|it| it["volumeRef"] == volume["volumeRef"]);
        was.is_some_and(|was| !volume["device"].is_null() && was["device"] != volume["device"])
    });
    moved
        .map(|(index, _)| Fault {
            pointer: format!("/volumes/{index}/device"),
            code: Code::InvalidValue,
            message: "device is immutable while the volume is attached".to_owned(),
        })
        .collect()
}

/// Fields that may be changed in one direction only.
fn one_way(kind: &str, before: &Value, after: &Value) -> Option<Fault> {
    let (pointer, message) = match kind {
        "AddressScope" if before["shared"] == true && after["shared"] == false => {
            ("/shared", "shared address scope can't be unshared")
        }
        "Port"
            if matches!(
                before["portSecurity"].as_str(),
                Some("Enabled" | "Disabled")
            ) && after["portSecurity"] == "Inherit" =>
        {
            ("/portSecurity", "portSecurity cannot be changed to Inherit")
        }
        "User" if !before["passwordRef"].is_null() && after["passwordRef"].is_null() => {
            ("/passwordRef", "passwordRef may not be removed once set")
        }
        _ => return None,
    };
    Some(Fault {
        pointer: pointer.to_owned(),
        code: Code::InvalidValue,
        message: message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(kind: &str, birth: &[&str], before: &Value, after: &Value) -> Vec<String> {
        changed(kind, birth, before, after)
            .into_iter()
            .map(|fault| fault.message)
            .collect()
    }

    #[test]
    fn what_is_fixed_stays_and_the_rest_may_change() {
        let before = json!({"size": 1, "name": "a", "imageRef": "i"});
        let after = json!({"size": 2, "name": "b", "imageRef": "i"});
        assert_eq!(
            messages("Volume", &[], &before, &after),
            ["size is immutable"]
        );
        assert_eq!(messages("Volume", &[], &before, &before), [] as [&str; 0]);
    }

    #[test]
    fn a_whole_that_is_fixed_is_named_as_orc_names_it() {
        let (before, after) = (
            json!({"policy": "affinity"}),
            json!({"policy": "anti-affinity"}),
        );
        assert_eq!(
            messages("ServerGroup", &[], &before, &after),
            ["ServerGroupResourceSpec is immutable"]
        );
    }

    #[test]
    fn what_only_the_create_could_use_is_not_added_later() {
        let (before, after) = (json!({"size": 1}), json!({"size": 1, "imageRef": "i"}));
        assert_eq!(messages("Volume", &[], &before, &after), [] as [&str; 0]);
        assert_eq!(
            messages("Volume", &["imageRef"], &before, &after),
            ["imageRef is immutable"]
        );
    }

    #[test]
    fn some_go_one_way_only() {
        let (open, closed) = (json!({"shared": true}), json!({"shared": false}));
        assert_eq!(
            messages("AddressScope", &[], &closed, &open),
            [] as [&str; 0]
        );
        assert_eq!(messages("AddressScope", &[], &open, &closed).len(), 1);
        let (with, without) = (json!({"passwordRef": "p"}), json!({}));
        assert_eq!(messages("User", &[], &without, &with), [] as [&str; 0]);
        assert_eq!(messages("User", &[], &with, &without).len(), 1);
    }
}
