//! Entries as the rows of a table: what `kubectl get` prints.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::manifest::Content;

use super::entry::{Body, Entry, Event, Object};
use super::object::{Partial, Whole};
use super::resource::{self, Resource};

/// What of the object itself comes with each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Include {
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
    /// Nothing.
    None,
}

/// A table of the meta group.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: ListMetadata,
    column_definitions: Vec<Column>,
    rows: Vec<Row<'a>>,
}

/// The metadata of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMetadata {
    /// The version that the list is of.
    pub(super) resource_version: String,
}

#[derive(Serialize)]
struct Column {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    format: &'static str,
    description: &'static str,
    priority: u8,
}

#[derive(Serialize)]
struct Row<'a> {
    cells: Vec<Value>,
    object: Option<RowObject<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RowObject<'a> {
    Partial(Partial<'a>),
    Whole(Whole<'a>),
}

impl<'a> Table<'a> {
    /// These entries, each as of a version, in a table of another one.
    pub(super) fn new(
        resource: &Resource,
        entries: impl IntoIterator<Item = (&'a Entry, u64)>,
        include: Include,
        version: u64,
        now: Timestamp,
    ) -> Self {
        let row = |(entry, version): (&'a Entry, u64)| Row {
            cells: cells(entry, now),
            object: match include {
                Include::None => None,
                Include::Metadata => Some(RowObject::Partial(Partial::new(entry, version))),
                Include::Object => Some(RowObject::Whole(Whole::new(entry, resource, version))),
            },
        };
        Self {
            kind: "Table",
            api_version: "meta.k8s.io/v1",
            metadata: ListMetadata {
                resource_version: version.to_string(),
            },
            column_definitions: columns(resource),
            rows: entries.into_iter().map(row).collect(),
        }
    }
}

fn columns(resource: &Resource) -> Vec<Column> {
    let column = |name, description| Column {
        name,
        kind: "string",
        format: if name == "Name" { "name" } else { "" },
        description,
        priority: 0,
    };
    let wide = |name, description| Column {
        priority: 1,
        ..column(name, description)
    };
    match resource.kind {
        resource::NAMESPACE => vec![
            column("Name", "Its name."),
            column("Status", "Always Active."),
            column(
                "Age",
                "Since when there is something in it, or this process runs.",
            ),
        ],
        resource::EVENT => vec![
            column("Last Seen", "How long ago it happened."),
            column("Type", "Normal, or Warning for what is in the way."),
            column("Reason", "Why, in one word."),
            column("Object", "To what it happened."),
            column("Message", "Why, in words."),
            wide("Source", "Who says so."),
            wide(
                "Condition",
                "The condition that changed, and what it became.",
            ),
            Column {
                format: "name",
                ..wide("Name", "Its name.")
            },
        ],
        "Secret" | "ConfigMap" => vec![
            column("Name", "Its name."),
            column("Data", "How many entries it has."),
            column("Age", "How long this process has known it."),
        ],
        _ => vec![
            column("Name", "Its name."),
            column("Available", "Whether the resource serves."),
            column(
                "Reason",
                "InSync, what is being done, or what it waits for.",
            ),
            column("ID", "The id of the resource in the cloud."),
            column(
                "Age",
                "How long the resource has been there; if the cloud does not tell, how long this \
                 process has known the object.",
            ),
            wide("Message", "What is in the way, or under way."),
            wide("Cloud", "The cloud that the resource is in."),
        ],
    }
}

fn cells(entry: &Entry, now: Timestamp) -> Vec<Value> {
    let since = |time: Timestamp| json!(age(now.duration_since(time).as_secs()));
    match &entry.body {
        Body::Namespace => vec![json!(entry.key.name), json!("Active"), since(entry.created)],
        Body::Event(
            event @ Event {
                about, transition, ..
            },
        ) => vec![
            since(transition.time),
            json!(event.kind()),
            json!(transition.reason),
            json!(format!("{}/{}", about.kind.to_lowercase(), about.name)),
            json!(line(&transition.message)),
            json!(super::COMPONENT),
            json!(format!("{}={:?}", transition.condition, transition.status)),
            json!(entry.key.name),
        ],
        Body::Data(data) => {
            let entries = match &data.manifest.content {
                Content::Data(entries) => entries.len(),
                _ => 0,
            };
            vec![
                json!(entry.key.name),
                json!(entries.to_string()),
                since(entry.created),
            ]
        }
        Body::Object(object) => vec![
            json!(entry.key.name),
            json!(available(object)),
            json!(reason(object)),
            json!(object.view.status.id),
            since(entry.created),
            json!(message(object)),
            json!(object.view.scope),
        ],
    }
}

fn available(object: &Object) -> String {
    let condition = object.view.status.condition("Available");
    condition.map_or_else(|| "Unknown".to_owned(), |it| format!("{:?}", it.status))
}

fn reason(object: &Object) -> &'static str {
    match object.view.reason {
        "Doing" if object.view.deleting => "Deleting",
        "Doing" if object.view.status.id.is_none() => "Creating",
        "Doing" => "Changing",
        reason => reason,
    }
}

/// What is in the way; else what is under way; else why it does not serve.
fn message(object: &Object) -> String {
    let status = &object.view.status;
    let said = ["Blocked", "Suspended"]
        .into_iter()
        .find_map(|kind| status.condition(kind));
    let said = said
        .or_else(|| {
            let condition = status.condition("Progressing");
            condition.filter(|it| it.reason != "Success")
        })
        .or_else(|| status.condition("Available"));
    said.map(|it| line(&it.message)).unwrap_or_default()
}

/// One line, with nothing that a terminal would obey.
fn line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A duration as kubectl prints it: the shorter, the more exact.
fn age(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |big: i64, unit: &str, small: i64, rest: &str| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{rest}"),
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if days < 8 => two(days, "d", hours % 24, "h"),
        _ if years < 2 => format!("{days}d"),
        _ if years < 8 => two(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        const HOUR: i64 = 3600;
        for (seconds, expected) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (185, "3m5s"),
            (11 * 60 + 5, "11m"),
            (3 * HOUR, "3h"),
            (3 * HOUR + 60, "3h1m"),
            (47 * HOUR, "47h"),
            (49 * HOUR, "2d1h"),
            (10 * 24 * HOUR, "10d"),
            (3 * 365 * 24 * HOUR, "3y"),
            (9 * 366 * 24 * HOUR, "9y"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }

    #[test]
    fn words_of_a_service_do_not_steer_the_terminal() {
        assert_eq!(line("too\u{1b}[2J\nbig"), "too [2J big");
    }
}
