//! What people want to be told: the difference between two pictures, in notices.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::engine::snapshot::{ObjectView, Snapshot};
use crate::engine::status::{Condition, Truth};
use crate::manifest::Key;
use crate::manifest::problem::Severity;

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Notice {
    /// What, as a stable word: see [`notices`].
    pub(super) event: &'static str,
    /// When it was seen.
    pub(super) time: Timestamp,
    /// It in one line, for people. Chat services show this field of what they are sent.
    pub(super) text: String,
    /// To which object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object: Option<About>,
    /// In which cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cloud: Option<String>,
    /// Why, as a stable word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// So many notices were given up before this one, since there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) dropped: u64,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    kind: Arc<str>,
    namespace: Arc<str>,
    name: Arc<str>,
    /// Its id in the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Notice {
    fn new(event: &'static str, time: Timestamp, text: String) -> Self {
        Self {
            event,
            time,
            text,
            object: None,
            cloud: None,
            reason: None,
            dropped: 0,
        }
    }

    fn about(mut self, key: &Key, view: &ObjectView) -> Self {
        self.object = Some(About {
            kind: Arc::clone(&key.kind),
            namespace: Arc::clone(&key.namespace),
            name: Arc::clone(&key.name),
            id: view.status.id.clone(),
        });
        self.cloud = Some(view.scope.0.to_string());
        self
    }

    fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// It as a CloudEvent 1.0 in structured mode. `source` is the daemon.
    pub(super) fn cloud_event(&self, source: &str) -> Value {
        let mut event = json!({
            "specversion": "1.0",
            "id": Uuid::new_v4(),
            "source": source,
            "type": format!("dev.stackward.{}", self.event),
            "time": self.time,
            "datacontenttype": "application/json",
            "data": self,
        });
        if let Some(about) = &self.object {
            event["subject"] = format!("{}/{}/{}", about.kind, about.namespace, about.name).into();
        }
        event
    }
}

/// What has happened between two pictures:
///
/// | event | |
/// |---|---|
/// | `Available`, `Unavailable` | an object serves, or does not any more |
/// | `Blocked` | an object needs a person |
/// | `Removed` | an object whose manifest is gone is not managed any more: its resource is gone too, or was let go |
/// | `DeletionsFrozen` | deletions wait for `stackward approve` |
/// | `Paused`, `Resumed` | nothing is written any more, or again |
/// | `ManifestProblem` | an error in the manifests |
/// | `CloudFailed`, `CloudRecovered` | a cloud cannot be used, or can again |
pub(super) fn notices(before: &Snapshot, after: &Snapshot, now: Timestamp) -> Vec<Notice> {
    let mut notices = Vec::new();
    whole(before, after, now, &mut notices);
    let meant = |(key, _): &(&Key, &Arc<ObjectView>)| key.as_incarnation().is_none();
    for (key, view) in after.objects.iter().filter(meant) {
        let known = before.objects.get(key).map(Arc::as_ref);
        notices.extend(changed(key, known, view, now));
    }
    for (key, view) in before.objects.iter().filter(meant) {
        if !after.objects.contains_key(key) {
            let text = format!("{key} is not managed any more");
            notices.push(Notice::new("Removed", now, text).about(key, view));
        }
    }
    notices
}

/// What concerns more than one object.
fn whole(before: &Snapshot, after: &Snapshot, now: Timestamp, notices: &mut Vec<Notice>) {
    match (&before.paused, &after.paused) {
        (None, Some(why)) => {
            let text = format!("nothing is written any more: {why}");
            notices.push(Notice::new("Paused", now, text));
        }
        (Some(_), None) => {
            let text = "changes are written again".to_owned();
            notices.push(Notice::new("Resumed", now, text));
        }
        _ => {}
    }
    if let Some(frozen) = &after.frozen
        && before.frozen.as_ref().map(|it| &it.hash) != Some(&frozen.hash)
    {
        let text = format!(
            "{} of {} objects would be deleted, and wait for `stackward approve {}`",
            frozen.objects.len(),
            frozen.managed,
            frozen.hash
        );
        notices.push(Notice::new("DeletionsFrozen", now, text));
    }
    for problem in &after.problems {
        let known = before.problems.iter().any(|it| {
            (&it.message, &it.object, it.code) == (&problem.message, &problem.object, problem.code)
        });
        if problem.severity == Severity::Error && !known {
            let place = problem.origin.as_ref().map(|it| format!("{it}: "));
            let text = format!("{}{}", place.unwrap_or_default(), problem.message);
            let notice = Notice::new("ManifestProblem", now, text);
            notices.push(notice.because(problem.code.to_string()));
        }
    }
    for (scope, view) in &after.scopes {
        let known = before.scopes.get(scope);
        let failed = known.is_some_and(|it| it.error.is_some());
        let notice = match &view.error {
            Some(error) if !failed => {
                let text = format!("cloud {scope} cannot be used: {error}");
                Notice::new("CloudFailed", now, text)
            }
            None if failed => {
                let text = format!("cloud {scope} can be used again");
                Notice::new("CloudRecovered", now, text)
            }
            _ => continue,
        };
        notices.push(Notice {
            cloud: Some(scope.0.to_string()),
            ..notice
        });
    }
}

/// What has happened to one object.
fn changed(
    key: &Key,
    before: Option<&ObjectView>,
    after: &ObjectView,
    now: Timestamp,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    let served = before.is_some_and(|it| it.status.is_available());
    if after.status.is_available() && !served {
        let text = format!("{key} is Available");
        notices.push(Notice::new("Available", now, text).about(key, after));
    }
    // What is being deleted serves no more on purpose.
    if served && !after.status.is_available() && !after.deleting {
        let (reason, message) = words(after.status.condition("Available"));
        let text = format!("{key} is not Available any more: {message}");
        let notice = Notice::new("Unavailable", now, text).about(key, after);
        notices.push(notice.because(reason));
    }
    let blocked = |view: &ObjectView| {
        let condition = view.status.condition("Blocked");
        let condition = condition.filter(|it| it.status == Truth::True);
        condition.map(|it| (it.reason, it.message.clone()))
    };
    if let Some((reason, message)) = blocked(after) {
        let known = before.and_then(blocked).map(|(reason, _)| reason);
        if known != Some(reason) {
            let text = format!("{key} needs a person: {message}");
            let notice = Notice::new("Blocked", now, text).about(key, after);
            notices.push(notice.because(reason));
        }
    }
    notices
}

fn words(condition: Option<&Condition>) -> (&'static str, &str) {
    condition.map_or(("Unknown", "its state is not known"), |it| {
        (it.reason, it.message.as_str())
    })
}
