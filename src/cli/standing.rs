//! How an object stands, in one word and a sentence; and whether waiting for it is of any use.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::engine::scope::Scope;
use crate::engine::snapshot::{ObjectView, Snapshot};
use crate::engine::status::Truth;

/// How an object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) word: &'static str,
    pub(super) detail: String,
}

/// Whether an object will be done without anybody's help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Prospect {
    /// It is done.
    Done,
    /// Nothing in this process will move it on.
    Stuck,
    /// It waits for somebody outside, who may be about to come.
    Outside,
    /// Something is under way.
    Moving,
}

/// A condition, wherever it is told.
struct Said<'a> {
    holds: bool,
    reason: &'a str,
    message: &'a str,
}

/// What decides beside the conditions.
struct Facts<'a> {
    deleting: bool,
    reason: &'a str,
    id: Option<&'a str>,
}

impl Standing {
    pub(super) fn of(object: &ObjectView) -> Self {
        let facts = Facts {
            deleting: object.deleting,
            reason: object.reason,
            id: object.status.id.as_deref(),
        };
        Self::judge(&facts, |kind| {
            let it = object.status.condition(kind)?;
            Some(Said {
                holds: it.status == Truth::True,
                reason: it.reason,
                message: &it.message,
            })
        })
    }

    /// Of an object as the daemon's `/status` tells it.
    pub(super) fn read(object: &Value) -> Self {
        let facts = Facts {
            deleting: object["deleting"] == true,
            reason: object["reason"].as_str().unwrap_or_default(),
            id: object["status"]["id"].as_str(),
        };
        Self::judge(&facts, |kind| {
            let conditions = object["status"]["conditions"].as_array()?;
            let it = conditions.iter().find(|it| it["type"] == kind)?;
            Some(Said {
                holds: it["status"] == "True",
                reason: it["reason"].as_str().unwrap_or_default(),
                message: it["message"].as_str().unwrap_or_default(),
            })
        })
    }

    fn judge<'a>(facts: &Facts<'_>, condition: impl Fn(&str) -> Option<Said<'a>>) -> Self {
        let message = |kind| {
            condition(kind)
                .map(|it| clean(it.message))
                .unwrap_or_default()
        };
        let holds = |kind| condition(kind).is_some_and(|it| it.holds);
        let progressing = condition("Progressing").is_none_or(|it| it.holds);
        let failing = condition("Progressing").is_some_and(|it| it.reason == "TransientError");
        let (word, detail) = if holds("Blocked") {
            ("Blocked", message("Blocked"))
        } else if holds("Suspended") {
            ("Suspended", message("Suspended"))
        } else if failing {
            ("Retrying", message("Progressing"))
        } else if facts.deleting {
            ("Deleting", message("Progressing"))
        } else if holds("Available") && !progressing {
            ("Available", facts.id.map(clean).unwrap_or_default())
        } else if !progressing {
            ("Stopped", message("Available"))
        } else if facts.reason == "Doing" {
            let word = if facts.id.is_none() {
                "Creating"
            } else {
                "Changing"
            };
            (word, message("Progressing"))
        } else if matches!(facts.reason, "Moving" | "Settling") {
            ("Building", message("Progressing"))
        } else {
            ("Waiting", message("Progressing"))
        };
        Self {
            word,
            detail: short(word, detail),
        }
    }
}

/// Without what the word says already.
fn short(word: &str, detail: String) -> String {
    const READY: &str = "Waiting for OpenStack resource to be ready: ";
    match (word, detail.as_str()) {
        ("Creating", "create") | ("Building", "Resource status will be refreshed") => String::new(),
        ("Waiting", text) if text.starts_with("Waiting ") => text["Waiting ".len()..].to_owned(),
        (_, text) => text.strip_prefix(READY).unwrap_or(text).to_owned(),
    }
}

/// Whether an object will be done without help. `refused` are scopes with wrong credentials.
pub(super) fn prospect(object: &ObjectView, refused: &BTreeMap<Scope, String>) -> Prospect {
    let status = &object.status;
    let blocked = status
        .condition("Blocked")
        .is_some_and(|it| it.status == Truth::True);
    if !object.deleting && status.is_available() && !status.is_progressing() && !blocked {
        return Prospect::Done;
    }
    match object.reason {
        _ if blocked => Prospect::Stuck,
        // Whoever waits for another object moves when that one does.
        "InSync" | "Suspended" | "Dependency" | "Value" | "Dependents" | "Manifests" => {
            Prospect::Stuck
        }
        "FirstLook" | "LookFailed" if refused.contains_key(&object.scope) => Prospect::Stuck,
        "External" => Prospect::Outside,
        _ => Prospect::Moving,
    }
}

/// The best prospect of all objects; `Done` when there are none.
pub(super) fn outlook(snapshot: &Snapshot, refused: &BTreeMap<Scope, String>) -> Prospect {
    let prospects = snapshot
        .objects
        .values()
        .map(|object| prospect(object, refused));
    prospects.max().unwrap_or(Prospect::Done)
}

/// Words of a service must not steer the terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
