//! What a person is told of one object: conditions with ORC's meaning, and the last transitions.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::manifest::Compact;

use super::plan::Plan;

/// How many transitions are remembered.
const HISTORY: usize = 5;

/// Three-valued, as Kubernetes conditions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Truth {
    /// Yes.
    True,
    /// No.
    False,
    /// It cannot be said.
    Unknown,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Available`, `Progressing`, `Drifted`, `Blocked`, `Suspended`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether it holds.
    pub status: Truth,
    /// A stable word.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// The generation of the manifest that it is about.
    pub observed_generation: u64,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
}

/// A change of a condition that is remembered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// When.
    pub time: Timestamp,
    /// Which condition.
    pub condition: &'static str,
    /// What it became.
    pub status: Truth,
    /// Why.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// The status of one object.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Available and Progressing always; the others while they hold.
    pub conditions: Vec<Condition>,
    /// Its id in the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the cloud says of it.
    #[serde(skip_serializing_if = "Compact::is_null")]
    pub resource: Compact,
    /// The last transitions, the newest last.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub history: VecDeque<Transition>,
}

/// What is known of an object at the end of a pass.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The generation of its manifest.
    pub generation: u64,
    /// What is to be done.
    pub plan: &'a Plan,
    /// A request that is under way, in words.
    pub doing: Option<String>,
    /// Does the resource serve?
    pub serves: Truth,
    /// Fields that differ and are left as they are.
    pub left: &'a [&'static str],
    /// What the resource is instead of serving, in words.
    pub state: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// What the cloud says of it.
    pub resource: Compact,
}

impl Status {
    /// The condition of this type.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.kind == kind)
    }

    /// Does the resource serve?
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.condition("Available")
            .is_some_and(|it| it.status == Truth::True)
    }

    /// Is there anything left to do that ends by itself?
    #[must_use]
    pub fn is_progressing(&self) -> bool {
        self.condition("Progressing")
            .is_none_or(|it| it.status == Truth::True)
    }

    /// Is it as its manifest wants it, with nothing left to do?
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.condition("Progressing")
            .is_some_and(|it| it.status == Truth::False && it.reason == "Success")
    }

    /// What references and templates read.
    #[must_use]
    pub fn document(&self, name: &str, namespace: &str) -> Value {
        json!({
            "metadata": {"name": name, "namespace": namespace},
            "status": {"id": self.id, "resource": self.resource},
        })
    }

    /// The status after a pass. Only what changed gets a new time.
    #[must_use]
    pub fn next(&self, facts: Facts<'_>, now: Timestamp) -> Self {
        let mut next = Self {
            conditions: Vec::with_capacity(3),
            history: self.history.clone(),
            id: facts.id.clone(),
            resource: facts.resource.clone(),
        };
        for (kind, status, reason, message) in conditions(&facts) {
            let before = self.condition(kind);
            let since = match before {
                Some(before) if before.status == status => before.last_transition_time,
                _ => now,
            };
            if before.is_none_or(|before| (before.status, before.reason) != (status, reason)) {
                next.history.push_back(Transition {
                    time: now,
                    condition: kind,
                    status,
                    reason,
                    message: message.clone(),
                });
            }
            next.conditions.push(Condition {
                kind,
                status,
                reason,
                message,
                observed_generation: facts.generation,
                last_transition_time: since,
            });
        }
        while next.history.len() > HISTORY {
            next.history.pop_front();
        }
        next
    }
}

type Row = (&'static str, Truth, &'static str, String);

fn conditions(facts: &Facts<'_>) -> Vec<Row> {
    let progressing = progressing(facts);
    let mut rows = vec![available(facts, &progressing), progressing];
    match facts.plan {
        Plan::Blocked(blocker) => {
            rows.push(("Blocked", Truth::True, blocker.code(), blocker.to_string()));
        }
        Plan::Suspended(todo) => {
            let message = match todo {
                Some(todo) => format!("suspended; without that: {}", todo.intent),
                None => "suspended; there is nothing to do".to_owned(),
            };
            rows.push(("Suspended", Truth::True, "Suspended", message));
        }
        _ => {}
    }
    if let Plan::Do(todo) | Plan::Suspended(Some(todo)) = facts.plan
        && !todo.why.is_empty()
    {
        let fields: Vec<&str> = todo.why.iter().map(|it| it.field).collect();
        rows.push((
            "Drifted",
            Truth::True,
            "Difference",
            format!("{} differs", fields.join(", ")),
        ));
    } else if !facts.left.is_empty() {
        let message = format!(
            "{} is another one than it was made with, and is left so",
            facts.left.join(", ")
        );
        rows.push(("Drifted", Truth::True, "Ignored", message));
    }
    rows
}

fn progressing(facts: &Facts<'_>) -> Row {
    let row = |status, reason, message| ("Progressing", status, reason, message);
    if let Some(doing) = &facts.doing {
        return row(Truth::True, "Progressing", doing.clone());
    }
    match facts.plan {
        Plan::InSync | Plan::Suspended(_) => row(
            Truth::False,
            "Success",
            "OpenStack resource is up to date".to_owned(),
        ),
        Plan::Do(todo) => row(Truth::True, "Progressing", todo.intent.to_string()),
        Plan::Wait(waiting) => {
            let reason = if waiting.is_error() {
                "TransientError"
            } else {
                "Progressing"
            };
            row(Truth::True, reason, waiting.to_string())
        }
        Plan::Blocked(blocker) => {
            let reason = if blocker.is_unrecoverable() {
                "UnrecoverableError"
            } else {
                "InvalidConfiguration"
            };
            row(Truth::False, reason, blocker.to_string())
        }
    }
}

fn available(facts: &Facts<'_>, progressing: &Row) -> Row {
    let row = |status, reason, message| ("Available", status, reason, message);
    match (facts.serves, &facts.state) {
        (Truth::True, _) => row(
            Truth::True,
            "Success",
            "OpenStack resource is available".to_owned(),
        ),
        (status, Some(state)) if progressing.2 == "Success" => row(status, "Off", state.clone()),
        (status, _) => row(status, progressing.2, progressing.3.clone()),
    }
}
