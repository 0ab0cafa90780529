//! `stackward describe`: everything that is known of an object, for people.

use std::process::ExitCode;

use owo_colors::{OwoColorize as _, Style};
use serde_json::{Value, json};

use crate::kinds;

use super::daemon::{Address, Answer, Daemon, JSON, TABLE};
use super::output::{self, Form, Output};
use super::resources::{Place, Resources, Target, short};
use super::standing::{Standing, clean};
use super::table;

const EXAMPLES: &str = "\
Examples:
  stackward describe server db
  stackward describe Volume/data -n team
  stackward describe volumes              # all of a kind
  stackward describe server db -o json | jq .drift";

/// Tell everything that is known of an object
///
/// How it stands and since when, what it refers to and what refers to it, what differs from its
/// manifest and what becomes of that, what its manifest and the cloud say of it, and what happened to
/// it last. Nothing secret is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Describe {
    /// A kind, or one object as KIND/NAME
    #[arg(value_name = "KIND")]
    kind: String,
    /// Names of objects; all of the kind without one
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    address: Address,
}

impl Describe {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let daemon = self.address.daemon()?;
        let resources = Resources::of(&daemon).await?;
        let mut words = vec![self.kind.clone()];
        words.extend(self.names.iter().cloned());
        let targets = resources.targets(&words, self.place.namespace().as_deref())?;
        let mut objects = Vec::new();
        for target in &targets {
            objects.append(&mut of(&daemon, target).await?);
        }
        let status = daemon.status().await?;
        let mut about = Vec::new();
        for object in objects {
            about.push(About::new(&daemon, object, &status).await?);
        }
        let text = match self.output.form {
            Form::Table | Form::Wide => {
                let texts: Vec<String> = about.iter().map(About::text).collect();
                texts.join("\n\n")
            }
            Form::Name => {
                let names: Vec<String> = about.iter().map(About::short).collect();
                output::names(names.iter().map(String::as_str))
            }
            form => {
                let mut documents: Vec<Value> = about.iter().map(About::document).collect();
                let document = match (documents.len(), &targets[..]) {
                    (1, [target]) if target.is_one() => documents.remove(0),
                    _ => Value::Array(documents),
                };
                output::document(&document, form)?
            }
        };
        output::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The objects that are meant.
async fn of(daemon: &Daemon, target: &Target<'_>) -> anyhow::Result<Vec<Value>> {
    let fields = target.fields().map(|it| ("fieldSelector", it));
    let query: Vec<(&str, String)> = fields.into_iter().collect();
    match daemon.get(&target.path(), &query, JSON).await? {
        Answer::Here(it) if target.is_one() => Ok(vec![it]),
        Answer::Here(mut list) => match list["items"].take() {
            Value::Array(items) if items.is_empty() && target.name.is_some() => {
                Err(target.missing(daemon).await)
            }
            Value::Array(items) => Ok(items),
            _ => Err(daemon.is_foreign("its list has no items")),
        },
        Answer::Missing(_) => Err(target.missing(daemon).await),
    }
}

/// Everything about one object.
struct About {
    object: Value,
    /// What `/status` says of it; null for what it does not know.
    view: Value,
    /// Each object that it refers to, with how that stands.
    needs: Vec<(String, String)>,
    /// Each object that refers to it, with how that stands.
    needed_by: Vec<(String, String)>,
    /// A table of the API.
    events: Value,
}

impl About {
    async fn new(daemon: &Daemon, object: Value, status: &Value) -> anyhow::Result<Self> {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, name) = (text(&object["kind"]), text(&metadata["name"]));
        let namespace = text(&metadata["namespace"]);
        let key = format!("{kind}/{namespace}/{name}");
        let objects = &status["objects"];
        let standing = |key: &str| match &objects[key] {
            // A Secret or a ConfigMap has no state.
            Value::Null if kinds::find(key.split('/').next().unwrap_or_default()).is_none() => {
                "a value".to_owned()
            }
            Value::Null => "no manifest declares it".to_owned(),
            it => {
                let Standing { word, detail } = Standing::read(it);
                match word {
                    "Available" => word.to_owned(),
                    _ => format!("{word}: {detail}")
                        .trim_end_matches(": ")
                        .to_owned(),
                }
            }
        };
        let refers = |it: &Value| -> Vec<String> {
            let keys = it["refersTo"].as_array().into_iter().flatten();
            keys.filter_map(|key| key.as_str().map(str::to_owned))
                .collect()
        };
        let with_standing = |key: String| {
            let standing = standing(&key);
            (key, standing)
        };
        let needs = refers(&objects[&key])
            .into_iter()
            .map(with_standing)
            .collect();
        let needed_by = objects
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, it)| refers(it).contains(&key))
            .map(|(other, _)| with_standing(other.clone()))
            .collect();
        let events = match namespace.as_str() {
            "" => Value::Null,
            namespace => {
                let path = format!("api/v1/namespaces/{namespace}/events");
                let about = format!("involvedObject.kind={kind},involvedObject.name={name}");
                let query = [
                    ("fieldSelector", about),
                    ("includeObject", "Object".to_owned()),
                ];
                match daemon.get(&path, &query, TABLE).await? {
                    Answer::Here(mut events) => {
                        super::events::sort(&mut events["rows"]);
                        events
                    }
                    Answer::Missing(_) => Value::Null,
                }
            }
        };
        Ok(Self {
            view: objects[&key].clone(),
            needs,
            needed_by,
            events,
            object,
        })
    }

    fn short(&self) -> String {
        let kind = self.object["kind"].as_str().unwrap_or_default();
        short(kind, &self.object["metadata"])
    }

    fn document(&self) -> Value {
        let events = self.events["rows"].as_array().into_iter().flatten();
        let events: Vec<&Value> = events.map(|row| &row["object"]).collect();
        let keys = |all: &[(String, String)]| -> Vec<String> {
            all.iter().map(|(key, _)| key.clone()).collect()
        };
        let drift = match &self.view["drift"] {
            Value::Null => json!([]),
            drift => drift.clone(),
        };
        json!({"object": self.object, "drift": drift, "refersTo": keys(&self.needs),
            "referredToBy": keys(&self.needed_by), "events": events})
    }

    fn text(&self) -> String {
        let (object, view) = (&self.object, &self.view);
        let (metadata, status) = (&object["metadata"], &object["status"]);
        let mut text = String::new();
        let mut line = |label: &str, value: &Value| {
            if let Some(value) = one_line(value) {
                text.push_str(&format!("{}{value}\n", label_text(label)));
            }
        };
        line("Name", &metadata["name"]);
        line("Namespace", &metadata["namespace"]);
        line("Kind", &object["kind"]);
        line("API Version", &object["apiVersion"]);
        line("Labels", &pairs(&metadata["labels"]));
        line("Annotations", &pairs(&metadata["annotations"]));
        line("Generation", &metadata["generation"]);
        line("Created", &metadata["creationTimestamp"]);
        line("Deleting Since", &metadata["deletionTimestamp"]);
        line("UID", &metadata["uid"]);
        line("Manifest", &status["manifest"]["origin"]);
        line("Cloud", &status["cloud"]);
        line("ID", &status["id"]);
        line("State", &self.state());
        if view["unmanaged"] == true {
            line("Managed", &json!("no: it is only looked at"));
        }
        text.push_str(&standings("Refers To", &self.needs));
        text.push_str(&standings("Referred To By", &self.needed_by));
        let conditions = items(&status["conditions"], |it| {
            ["type", "status", "reason", "lastTransitionTime", "message"]
                .map(|field| cell(&it[field]))
        });
        text.push_str(&section(
            "Conditions",
            ["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"],
            conditions,
        ));
        let drift = items(&view["drift"], |it| {
            ["field", "want", "have", "outlook"].map(|field| cell(&it[field]))
        });
        text.push_str(&section(
            "Drift",
            ["FIELD", "MANIFEST", "CLOUD", "WHAT BECOMES OF IT"],
            drift,
        ));
        text.push_str(&document("Spec", &object["spec"]));
        text.push_str(&document("In The Cloud", &status["resource"]));
        let events = items(&self.events["rows"], |row| {
            [0, 1, 2, 4].map(|at| cell(&row["cells"][at]))
        });
        text.push_str(&section(
            "Events",
            ["AGE", "TYPE", "REASON", "MESSAGE"],
            events,
        ));
        text
    }

    /// How it stands, and what it waits for.
    fn state(&self) -> Value {
        if self.view.is_null() {
            return Value::Null;
        }
        let Standing { word, detail } = Standing::read(&self.view);
        match word {
            "Available" => json!(word),
            _ => json!(format!("{word}: {detail}").trim_end_matches(": ")),
        }
    }
}

const LABEL: usize = 17;

fn bold(text: &str) -> String {
    text.style(Style::new().bold()).to_string()
}

fn label_text(label: &str) -> String {
    let gap = LABEL.saturating_sub(label.len() + 1);
    format!("{}{}", bold(&format!("{label}:")), " ".repeat(gap.max(1)))
}

/// A value in a line; nothing for what is not there.
fn one_line(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        value => Some(cell(value)),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => clean(text),
        other => clean(&other.to_string()),
    }
}

fn pairs(map: &Value) -> Value {
    let pairs = map.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={}", cell(value)))
        .collect();
    json!(pairs.join(", "))
}

fn items<const N: usize>(list: &Value, row: impl Fn(&Value) -> [String; N]) -> Vec<[String; N]> {
    list.as_array().into_iter().flatten().map(row).collect()
}

/// A table below a heading; nothing without rows.
fn section<const N: usize>(heading: &str, columns: [&str; N], rows: Vec<[String; N]>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = table::table(columns);
    for row in rows {
        let _: &mut comfy_table::Table = table.add_row(row);
    }
    format!(
        "{}\n{}",
        bold(&format!("{heading}:")),
        indented(&table::text(&table))
    )
}

fn standings(heading: &str, all: &[(String, String)]) -> String {
    let shown = |key: &String| match key.parse::<crate::manifest::Key>() {
        Ok(key) => clean(&key.short().to_string()),
        Err(_) => clean(key),
    };
    let rows = all
        .iter()
        .map(|(key, standing)| [shown(key), clean(standing)]);
    section(heading, ["OBJECT", "STATE"], rows.collect())
}

fn document(heading: &str, value: &Value) -> String {
    let is_empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    let yaml = match is_empty {
        true => return String::new(),
        false => output::document(value, Form::Yaml).unwrap_or_else(|_| value.to_string()),
    };
    // Its line ends are those of YAML; everything else of a service must not steer the terminal.
    let lines: String = yaml
        .lines()
        .map(|line| format!("{}\n", clean(line)))
        .collect();
    format!("{}\n{}", bold(&format!("{heading}:")), indented(&lines))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
