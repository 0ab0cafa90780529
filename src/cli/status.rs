//! `stackward status`: how a running daemon is doing.

use std::process::ExitCode;

use serde_json::Value;

use super::daemon::Address;
use super::output::{self, List, Output, Row};
use super::standing::clean;

const EXAMPLES: &str = "\
Examples:
  stackward status
  stackward status --address http://10.0.0.5:9797
  stackward status -o json | jq '.objects[\"Server/default/db\"].status'

The exit status is 0 when everything was looked at, every object is Available and nothing is left to
do, and 1 otherwise.";

/// Show how a running daemon is doing
///
/// Every object with its conditions and what is in its way, and in the end what holds for all of
/// them: problems of the manifests, deletions that wait for approval, clouds that cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Status {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    address: Address,
}

impl Status {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let status = self.address.daemon()?.status().await?;
        output::print(&list(&status).text(self.output.form)?)?;
        let done = objects(&status).all(|(_, object)| is_done(object));
        Ok(if done && has_looked(&status) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn objects(status: &Value) -> impl Iterator<Item = (&String, &Value)> {
    status["objects"].as_object().into_iter().flatten()
}

/// Until then, what is there and what is to be done is not known.
fn has_looked(status: &Value) -> bool {
    status["looked"] == true
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|it| it["type"] == kind)
}

fn is_done(object: &Value) -> bool {
    let holds = |kind| condition(object, kind).is_some_and(|it| it["status"] == "True");
    object["deleting"] == false && holds("Available") && !holds("Progressing") && !holds("Blocked")
}

const COLUMNS: &[(&str, bool)] = &[
    ("KIND", false),
    ("NAME", false),
    ("AVAILABLE", false),
    ("PROGRESSING", false),
    ("ID", true),
    ("CLOUD", true),
    ("MESSAGE", false),
];

fn list(status: &Value) -> List<'static> {
    let rows = objects(status).map(|(key, object)| row(key, object));
    List {
        columns: COLUMNS,
        rows: rows.collect(),
        summary: summary(status),
        document: status.clone(),
    }
}

fn row(key: &str, object: &Value) -> Row {
    let short = key
        .parse::<crate::manifest::Key>()
        .map(|key| key.short().to_string());
    let short = short.unwrap_or_else(|_| key.to_owned());
    let (kind, name) = short.split_once('/').unwrap_or(("", &short));
    let state = |kind| {
        condition(object, kind)
            .and_then(|it| it["status"].as_str())
            .unwrap_or("Unknown")
    };
    let kinds = ["Blocked", "Suspended", "Progressing"];
    let message = kinds
        .iter()
        .find_map(|kind| condition(object, kind)?["message"].as_str());
    let id = object["status"]["id"].as_str();
    let message = if is_done(object) { id } else { message };
    let cells = [
        kind,
        name,
        state("Available"),
        state("Progressing"),
        id.unwrap_or("-"),
        object["scope"].as_str().unwrap_or("-"),
        message.unwrap_or_default(),
    ];
    let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
    Row { name: short, cells }
}

/// What holds for all of them.
fn summary(status: &Value) -> String {
    let done = objects(status).filter(|(_, it)| is_done(it)).count();
    let all = objects(status).count();
    let problems = status["problems"].as_array().map_or(0, Vec::len);
    let mut text = format!("\n{done} of {all} objects are Available and up to date");
    if problems > 0 {
        text.push_str(&format!(", {problems} problems in the manifests"));
    }
    text.push_str(".\n");
    if !has_looked(status) {
        text.push_str("Not everything was looked at yet.\n");
    }
    if let Some(why) = status["paused"].as_str() {
        text.push_str(&format!("Nothing is written: {}.\n", clean(why)));
    }
    if let Some(hash) = status["frozen"]["hash"].as_str() {
        let count = status["frozen"]["objects"].as_array().map_or(0, Vec::len);
        text.push_str(&format!(
            "{count} deletions wait for `stackward approve {}`.\n",
            clean(hash)
        ));
    }
    for (scope, view) in status["scopes"].as_object().into_iter().flatten() {
        if let Some(error) = view["error"].as_str() {
            text.push_str(&format!(
                "cloud {} cannot be used: {}\n",
                clean(scope),
                clean(error)
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::output::Form;

    #[test]
    fn the_table_shows_what_is_in_the_way_and_no_control_characters() {
        let done = json!({"deleting": false, "status": {"id": "42", "conditions": [
            {"type": "Available", "status": "True", "message": "x"},
            {"type": "Progressing", "status": "False", "message": "y"}]}});
        let blocked = json!({"deleting": false, "status": {"conditions": [
            {"type": "Available", "status": "False", "message": "x"},
            {"type": "Progressing", "status": "False", "message": "y"},
            {"type": "Blocked", "status": "True", "message": "too\u{1b}[2J big"}]}});
        let status = json!({"objects": {"Server/team/a": blocked, "Volume/default/b": done},
            "problems": [{}], "scopes": {"lab": {"error": "no route"}}, "looked": true});
        assert_eq!(
            list(&status).text(Form::Table).unwrap(),
            "KIND    NAME    AVAILABLE  PROGRESSING  MESSAGE\n\
             Server  team/a  False      False        too [2J big\n\
             Volume  b       True       False        42\n\
             \n1 of 2 objects are Available and up to date, 1 problems in the manifests.\n\
             cloud lab cannot be used: no route\n"
        );
    }

    #[test]
    fn a_daemon_that_has_not_looked_yet_does_not_say_that_all_is_well() {
        let status = |looked: bool| json!({"objects": {}, "looked": looked});
        assert!(has_looked(&status(true)) && !has_looked(&status(false)));
        assert_eq!(
            summary(&status(false)),
            "\n0 of 0 objects are Available and up to date.\nNot everything was looked at yet.\n"
        );
    }
}
