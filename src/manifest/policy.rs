//! What the daemon may do with an object: everything in `spec` but the resource itself.

use std::time::Duration;

use serde_json::Value;

use super::fields::{Field, Fields, Report};
use super::problem::Code;
use super::{Group, parse_duration};

/// How long a resource may be moving before it is reported as stalled, unless the manifest says
/// otherwise: longer than the slowest ordinary step, the conversion of a large image.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30 * 60);

/// Everything in `spec` but the resource itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Where the resource lives.
    pub cloud: CloudRef,
    /// Whether it is written to at all.
    pub management: Management,
    /// What happens to the resource when its manifest is gone.
    pub on_delete: OnDelete,
    /// How often it is compared with the cloud; zero is never, `None` the daemon's own interval.
    pub resync_period: Option<Duration>,
    /// Observe and report, change nothing.
    pub suspend: bool,
    /// Consent to take over a resource that exists already.
    pub adopt: Option<Adopt>,
    /// What may be done without asking.
    pub lifecycle: Lifecycle,
    /// Never delete: the annotation `stackward.dev/protect: "true"`.
    pub protect: bool,
}

/// Where a resource lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum CloudRef {
    /// The daemon's default cloud. Of a RouterInterface: its router's cloud.
    #[default]
    Default,
    /// A cloud of the daemon's own clouds.yaml.
    Named(String),
    /// A cloud of the clouds.yaml in a Secret of the same namespace.
    Secret {
        /// `cloudCredentialsRef.secretName`.
        name: String,
        /// `cloudCredentialsRef.cloudName`.
        cloud: String,
    },
}

/// Whether a resource is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Management {
    /// Created, repaired and deleted.
    #[default]
    Managed,
    /// Only looked at.
    Unmanaged,
}

/// What happens to a resource when its manifest is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnDelete {
    /// It is deleted.
    #[default]
    Delete,
    /// It is let go.
    Detach,
}

/// Which existing resource may be taken over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Adopt {
    /// This one.
    Id(String),
    /// The one of the same name.
    ByName,
}

/// What the daemon may do by itself. The defaults refuse whatever loses data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// Interrupting service: resize, reboot, detaching and attaching.
    pub disrupt: Permission,
    /// Losing data: rebuild of a server.
    pub lose_data: Permission,
    /// A new resource in place of the old one.
    pub replace: Replace,
    /// What to do with a resource in ERROR.
    pub on_error: OnError,
    /// JSON pointers of fields whose differences are not drift.
    pub ignore_changes: Vec<String>,
    /// How long the resource may be moving before it is reported as stalled.
    pub deadline: Duration,
    /// What a change of the user data does.
    pub user_data: UserDataChange,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            disrupt: Permission::Allow,
            lose_data: Permission::Deny,
            replace: Replace::Deny,
            on_error: OnError::Hold,
            ignore_changes: Vec::new(),
            deadline: DEFAULT_DEADLINE,
            user_data: UserDataChange::Ignore,
        }
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Yes.
    Allow,
    /// No: the object is Blocked instead.
    Deny,
}

/// Whether a new resource may take the place of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Replace {
    /// No: the object is Blocked instead.
    Deny,
    /// Yes; the old one is deleted first.
    Allow,
    /// Yes; the new one is created first.
    CreateFirst,
}

/// What to do with a resource in ERROR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnError {
    /// Report it.
    Hold,
    /// Delete and create it again, a bounded number of times.
    Recreate,
}

/// What a change of the user data does to a server that has booted with the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserDataChange {
    /// Nothing, but it is reported.
    Ignore,
    /// The server is replaced.
    Replace,
}

/// Reads the fields of `spec` that make the policy. Management and import are the envelope's
/// business, since they depend on each other.
pub(super) fn read(group: Group, spec: &mut Fields<'_>, report: &mut Report<'_>) -> Policy {
    let mut policy = Policy {
        cloud: cloud(group, spec, report),
        ..Policy::default()
    };
    // What interrupts service is immutable in ORC, and a manifest of its group cannot give leave.
    if group == Group::Orc {
        policy.lifecycle.disrupt = Permission::Deny;
    }
    policy.resync_period = resync_period(spec, report);
    if let Some(field) = spec.native("suspend", group, report) {
        policy.suspend = report.boolean(&field).unwrap_or(false);
    }
    if let Some(field) = spec.native("adopt", group, report) {
        policy.adopt = adopt(&field, report);
    }
    if let Some(field) = spec.native("lifecycle", group, report) {
        policy.lifecycle = lifecycle(&field, report);
    }
    policy
}

/// Reads `resyncPeriod`.
pub(super) fn resync_period(spec: &mut Fields<'_>, report: &mut Report<'_>) -> Option<Duration> {
    spec.get("resyncPeriod")
        .and_then(|field| duration(&field, report))
}

/// Reads `managedOptions`: the choice and where it stands.
pub(super) fn managed_options(
    spec: &mut Fields<'_>,
    report: &mut Report<'_>,
) -> Option<(OnDelete, String)> {
    let field = spec.get("managedOptions")?;
    let mut options = report.fields(&field)?;
    let on_delete = options
        .get("onDelete")
        .and_then(|field| {
            report.choice(
                &field,
                &[("delete", OnDelete::Delete), ("detach", OnDelete::Detach)],
            )
        })
        .unwrap_or_default();
    options.finish(report);
    Some((on_delete, field.pointer))
}

fn cloud(group: Group, spec: &mut Fields<'_>, report: &mut Report<'_>) -> CloudRef {
    let named = spec
        .native("cloud", group, report)
        .and_then(|field| Some((report.filled_text(&field)?.to_owned(), field.pointer)));
    let Some(field) = spec.get("cloudCredentialsRef") else {
        return named.map_or(CloudRef::Default, |(name, _)| CloudRef::Named(name));
    };
    if let Some((_, pointer)) = named {
        report.error(
            &pointer,
            Code::Conflict,
            "cloud and cloudCredentialsRef exclude each other",
            Some(
                "keep `cloud` for the daemon's own clouds.yaml, the other for a Secret".to_owned(),
            ),
        );
    }
    let Some(mut fields) = report.fields(&field) else {
        return CloudRef::Default;
    };
    let mut part = |name| {
        fields
            .required(name, report)
            .and_then(|field| report.filled_text(&field))
            .map(str::to_owned)
    };
    let (name, cloud) = (part("secretName"), part("cloudName"));
    fields.finish(report);
    match (name, cloud) {
        (Some(name), Some(cloud)) => CloudRef::Secret { name, cloud },
        _ => CloudRef::Default,
    }
}

fn adopt(field: &Field<'_>, report: &mut Report<'_>) -> Option<Adopt> {
    if !field.value.is_object() {
        let hint = "write {byName: true} or {id: ...}".to_owned();
        let found = super::fields::type_name(field.value);
        let message = format!("expected a mapping, found {found}");
        report.error(&field.pointer, Code::WrongType, message, Some(hint));
        return None;
    }
    let mut fields = report.fields(field)?;
    let id = fields
        .get("id")
        .and_then(|id| report.filled_text(&id))
        .map(str::to_owned);
    let by_name = fields
        .get("byName")
        .and_then(|by_name| report.boolean(&by_name));
    fields.finish(report);
    match (id, by_name) {
        (Some(id), None | Some(false)) => Some(Adopt::Id(id)),
        (None, Some(true)) => Some(Adopt::ByName),
        (None, Some(false)) => None,
        (Some(_), Some(true)) => {
            let hint = "an id says all: leave byName out";
            report.conflict(&field.pointer, "id and byName exclude each other", hint);
            None
        }
        (None, None) => {
            let hint = "write {id: ...} or {byName: true}";
            report.conflict(
                &field.pointer,
                "one of id and byName must be specified",
                hint,
            );
            None
        }
    }
}

fn lifecycle(field: &Field<'_>, report: &mut Report<'_>) -> Lifecycle {
    const PERMISSION: &[(&str, Permission)] =
        &[("Allow", Permission::Allow), ("Deny", Permission::Deny)];
    let mut lifecycle = Lifecycle::default();
    let Some(mut fields) = report.fields(field) else {
        return lifecycle;
    };
    if let Some(choice) = fields
        .get("disrupt")
        .and_then(|field| report.choice(&field, PERMISSION))
    {
        lifecycle.disrupt = choice;
    }
    if let Some(choice) = fields
        .get("loseData")
        .and_then(|field| report.choice(&field, PERMISSION))
    {
        lifecycle.lose_data = choice;
    }
    let replace = [
        ("Deny", Replace::Deny),
        ("Allow", Replace::Allow),
        ("CreateFirst", Replace::CreateFirst),
    ];
    if let Some(choice) = fields
        .get("replace")
        .and_then(|field| report.choice(&field, &replace))
    {
        lifecycle.replace = choice;
    }
    let on_error = [("Hold", OnError::Hold), ("Recreate", OnError::Recreate)];
    if let Some(choice) = fields
        .get("onError")
        .and_then(|field| report.choice(&field, &on_error))
    {
        lifecycle.on_error = choice;
    }
    let user_data = [
        ("Ignore", UserDataChange::Ignore),
        ("Replace", UserDataChange::Replace),
    ];
    if let Some(choice) = fields
        .get("userData")
        .and_then(|field| report.choice(&field, &user_data))
    {
        lifecycle.user_data = choice;
    }
    if let Some(field) = fields.get("deadline")
        && let Some(deadline) = duration(&field, report)
    {
        if deadline.is_zero() {
            report.error(
                &field.pointer,
                Code::InvalidValue,
                "must be more than 0",
                Some("leave it out for 30m".to_owned()),
            );
        }
        lifecycle.deadline = deadline;
    }
    if let Some(field) = fields.get("ignoreChanges") {
        lifecycle.ignore_changes = pointers(&field, report);
    }
    fields.finish(report);
    lifecycle
}

fn pointers(field: &Field<'_>, report: &mut Report<'_>) -> Vec<String> {
    let mut pointers = Vec::new();
    for item in report.items(field) {
        let Some(text) = report.text(&item) else {
            continue;
        };
        if text.starts_with('/') && text.len() > 1 {
            pointers.push(text.to_owned());
        } else {
            report.error(
                &item.pointer,
                Code::InvalidValue,
                "not a JSON pointer",
                Some("write it as /spec/resource/metadata".to_owned()),
            );
        }
    }
    pointers
}

fn duration(field: &Field<'_>, report: &mut Report<'_>) -> Option<Duration> {
    const HINT: &str = "write a number and a unit, as 90s, 10m or 1h30m";
    // An unquoted 0 is what people write to switch something off; other bare numbers lack a unit.
    let text = match field.value {
        Value::Number(number) => number.to_string(),
        _ => report.text(field)?.to_owned(),
    };
    let duration = parse_duration(&text);
    if duration.is_none() {
        let message = format!("`{}` is not a duration", super::suggest::quote(&text));
        report.error(
            &field.pointer,
            Code::InvalidDuration,
            message,
            Some(HINT.to_owned()),
        );
    }
    duration
}
