//! `stackward status`: how a running daemon is doing.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::failure::Advised;
use super::standing::clean;
use super::table;

const EXAMPLES: &str = "\
Examples:
  stackward status
  stackward status --address http://10.0.0.5:9797
  stackward status -o json | jq '.objects[\"Server/default/db\"].status'

The exit status is 0 when every object is Available and nothing is left to do, and 1 otherwise.";

/// Show how a running daemon is doing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Status {
    /// Address of the daemon's endpoint
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9797",
        env = "STACKWARD_ADDRESS"
    )]
    address: String,
    /// Form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "table")]
    output: Output,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For programs: everything that is known
    Json,
}

impl Status {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        use std::io::Write as _;
        let status = self.fetch().await?;
        let text = match self.output {
            Output::Table => table_of(&status),
            Output::Json => serde_json::to_string_pretty(&status)? + "\n",
        };
        anstream::stdout()
            .write_all(text.as_bytes())
            .context("cannot write to stdout")?;
        let done = objects(&status).all(|(_, object)| is_done(object));
        Ok(if done {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    async fn fetch(&self) -> anyhow::Result<Value> {
        let base = match self.address.contains("://") {
            true => self.address.clone(),
            false => format!("http://{}", self.address),
        };
        let address = format!("{}/status", base.trim_end_matches('/'));
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()?;
        let unreachable = |error: reqwest::Error| {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            let hint =
                "is the daemon running? --address says where: the one that it prints or logs";
            Advised::error(format!("no answer from {address}: {cause}"), hint)
        };
        let answer = client.get(&address).send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            let hint = "is it a stackward that listens there?";
            return Err(Advised::error(format!("{address} answered {status}"), hint));
        }
        serde_json::from_slice(&body).with_context(|| format!("{address} gave no status"))
    }
}

fn objects(status: &Value) -> impl Iterator<Item = (&String, &Value)> {
    status["objects"].as_object().into_iter().flatten()
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

fn table_of(status: &Value) -> String {
    let mut rows = table::table(["KIND", "NAME", "AVAILABLE", "PROGRESSING", "MESSAGE"]);
    let mut done = 0;
    for (key, object) in objects(status) {
        done += usize::from(is_done(object));
        let short = key
            .parse::<crate::manifest::Key>()
            .map(|key| key.short().to_string());
        let short = short.unwrap_or_else(|_| key.clone());
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
        let message = if is_done(object) {
            object["status"]["id"].as_str()
        } else {
            message
        };
        let message = clean(message.unwrap_or_default());
        let row = [
            kind,
            name,
            state("Available"),
            state("Progressing"),
            &message,
        ];
        let _: &mut comfy_table::Table = rows.add_row(row);
    }
    let all = objects(status).count();
    let mut text = if all > 0 {
        table::text(&rows)
    } else {
        String::new()
    };
    let problems = status["problems"].as_array().map_or(0, Vec::len);
    text.push_str(&format!(
        "\n{done} of {all} objects are Available and up to date"
    ));
    if problems > 0 {
        text.push_str(&format!(", {problems} problems in the manifests"));
    }
    text.push_str(".\n");
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
            "problems": [{}], "scopes": {"lab": {"error": "no route"}}});
        assert_eq!(
            table_of(&status),
            "KIND    NAME    AVAILABLE  PROGRESSING  MESSAGE\n\
             Server  team/a  False      False        too [2J big\n\
             Volume  b       True       False        42\n\
             \n1 of 2 objects are Available and up to date, 1 problems in the manifests.\n\
             cloud lab cannot be used: no route\n"
        );
    }
}
