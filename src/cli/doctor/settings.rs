//! The settings: each with its value and where that comes from.

use std::path::Path;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, Command};
use serde_json::{Map, Value, json};

use crate::cloud::environment::Environment;
use crate::config::{Address, Config, Flags};

use super::check::Checks;

/// Checks the settings, and gives them: flags, environment and file together.
pub(super) fn check(
    flags: Flags,
    file: Option<&Path>,
    matches: &ArgMatches,
    environment: &Environment,
    checks: &mut Checks,
) -> Flags {
    let (merged, text) = match file {
        None => (flags, String::new()),
        Some(path) => match Flags::from_file(path) {
            Ok(file) => (flags.or(file), read(path)),
            Err(error) => {
                checks.fail("config", error.message, error.hint);
                (flags, String::new())
            }
        },
    };
    let written: Value = serde_saphyr::from_str(&text).unwrap_or(Value::Null);
    // The directory has a check of its own: here it must not hide what else is wrong.
    let probe = Flags {
        manifests: Some("/".into()),
        ..merged.clone()
    };
    let variable = |name: &str| environment.var(name).map(str::to_owned);
    let config = match probe.complete(&variable, false) {
        Ok(config) => Some(config),
        Err(errors) => {
            for error in errors.0 {
                checks.fail("settings", error.message, error.hint);
            }
            None
        }
    };
    let rows = rows(matches, file, &written, config.as_ref());
    let is_set = |row: &&Row| row.source != DEFAULT;
    let set: Vec<String> = rows.iter().filter(is_set).map(Row::short).collect();
    let usual = rows.len() - set.len();
    let message = match set.as_slice() {
        [] => format!("all {usual} at their defaults"),
        set => format!("{}; {usual} at their defaults", set.join(", ")),
    };
    let facts: Map<String, Value> = rows
        .iter()
        .map(|row| {
            (
                row.name.clone(),
                json!({"value": row.value, "source": row.source}),
            )
        })
        .collect();
    checks
        .ok("settings", message)
        .facts(Value::Object(facts))
        .details(rows.iter().map(Row::long));
    merged
}

const DEFAULT: &str = "default";

/// One setting.
struct Row {
    name: String,
    value: Option<String>,
    source: String,
}

impl Row {
    fn short(&self) -> String {
        let value = self.value.as_deref().unwrap_or("-");
        format!("{} {value} ({})", self.name, self.source)
    }

    fn long(&self) -> String {
        let value = self.value.as_deref().unwrap_or("-");
        format!("{:<20} {value:<24} {}", self.name, self.source)
    }
}

fn rows(
    matches: &ArgMatches,
    file: Option<&Path>,
    written: &Value,
    config: Option<&Config>,
) -> Vec<Row> {
    let known = Flags::augment_args(Command::new("settings"));
    let mut rows = Vec::new();
    for arg in known.get_arguments() {
        let id = arg.get_id().as_str();
        let name = camel_case(id);
        let raw = || {
            let values = matches.get_raw(id).into_iter().flatten();
            let values: Vec<_> = values.map(|it| it.to_string_lossy().into_owned()).collect();
            values.join(", ")
        };
        let (value, source) = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => {
                (Some(raw()), format!("--{}", arg.get_long().unwrap_or(id)))
            }
            Some(ValueSource::EnvVariable) => {
                let variable = arg.get_env().map(|it| it.to_string_lossy().into_owned());
                (
                    Some(raw()),
                    variable.unwrap_or_else(|| "environment".to_owned()),
                )
            }
            _ => match (&written[&name], file) {
                (Value::Null, _) | (_, None) => {
                    let value = config.and_then(|config| default(config, id));
                    (value, DEFAULT.to_owned())
                }
                (value, Some(path)) => (Some(shown(value)), path.display().to_string()),
            },
        };
        rows.push(Row {
            name,
            value: value.map(|value| told(id, value)),
            source,
        });
    }
    rows
}

/// A value without what is secret in it.
fn told(id: &str, value: String) -> String {
    match id {
        "webhook_url" => value
            .parse::<Address>()
            .map_or_else(|_| "set".to_owned(), |address| address.to_string()),
        _ => value,
    }
}

/// The value that counts when nobody sets one; `None` where that is nothing at all.
fn default(config: &Config, id: &str) -> Option<String> {
    use crate::config::State;
    use crate::manifest::duration_text;
    let engine = &config.engine;
    let limits = &engine.prune_limits;
    Some(match id {
        "state_dir" => match &config.state {
            State::Directory(directory) => directory.display().to_string(),
            State::Memory => "in memory".to_owned(),
        },
        "listen" => config.listen?.to_string(),
        "poll_interval" => duration_text(engine.poll_interval),
        "rescan_interval" => duration_text(config.rescan_interval),
        "max_in_flight" => engine.max_in_flight.to_string(),
        "prune_grace" => duration_text(engine.prune_grace),
        "prune_data_grace" => duration_text(engine.prune_data_grace),
        "prune_allow_empty" => engine.prune_allow_empty.to_string(),
        "prune" => format!("{:?}", engine.prune),
        "prune_max_share" => limits.share.to_string(),
        "prune_per_cycle" => limits.per_cycle.to_string(),
        "prune_per_hour" => limits.per_hour.to_string(),
        "observe_only" => engine.observe_only.to_string(),
        "uncertain_window" => duration_text(engine.uncertain_window),
        "gone_after" => duration_text(engine.gone_after),
        "timeout" => duration_text(config.timeout),
        _ => return None,
    })
}

fn camel_case(id: &str) -> String {
    let mut words = id.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(1.min(word.len()));
        name + &head.to_uppercase() + tail
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the names of the settings that a file sets are not in its Flags"
)]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Flags::augment_args(Command::new("test"))
    }

    fn row<'a>(rows: &'a [Row], name: &str) -> (&'a str, &'a str) {
        let row = rows.iter().find(|row| row.name == name).unwrap();
        (row.value.as_deref().unwrap_or("-"), row.source.as_str())
    }

    #[test]
    fn each_setting_says_where_it_comes_from() {
        let hook = "https://hooks.example.com/s3cret";
        let arguments = ["test", "--poll-interval", "5s", "--webhook-url", hook];
        let matches = command().get_matches_from(arguments);
        let config = Flags {
            manifests: Some("/".into()),
            ..Flags::default()
        };
        let home = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        let config = config.complete(&home, false).unwrap();
        let written = json!({"pruneGrace": "10s", "pollInterval": "9s"});
        let rows = rows(&matches, Some(Path::new("s.yaml")), &written, Some(&config));
        assert_eq!(row(&rows, "pollInterval"), ("5s", "--poll-interval"));
        let told = ("https://hooks.example.com", "--webhook-url");
        assert_eq!(row(&rows, "webhookUrl"), told);
        assert_eq!(row(&rows, "pruneGrace"), ("10s", "s.yaml"));
        assert_eq!(row(&rows, "goneAfter"), ("30s", "default"));
        assert_eq!(
            row(&rows, "stateDir"),
            ("/h/.local/state/stackward", "default")
        );
    }

    #[test]
    fn every_setting_has_a_default_that_is_shown_or_none_at_all() {
        let none = [
            "manifests",
            "cloud",
            "allow_files_from",
            "owner",
            "log_level",
            "web_config",
            "api_write",
            "api_token_file",
            "webhook_url",
            "webhook_format",
            "webhook_token_file",
            "webhook_rate",
            "log_format",
        ];
        let config = Flags {
            manifests: Some("/".into()),
            ..Flags::default()
        };
        let home = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        let config = config.complete(&home, false).unwrap();
        for arg in command().get_arguments() {
            let id = arg.get_id().as_str();
            let value = default(&config, id);
            assert_eq!(value.is_none(), none.contains(&id), "{id}: {value:?}");
        }
    }
}
