//! `stackward events`: what happened to the objects of a running daemon, in its order.

use std::process::ExitCode;

use serde_json::Value;

use super::changes::{Seen, follow};
use super::daemon::{Address, JSON, TABLE};
use super::output::{self, Form, Output};
use super::resources::{Place, Resources, Target};
use super::sheet::{Beside, Growing, Sheet};

const EXAMPLES: &str = "\
Examples:
  stackward events
  stackward events -A -w                     # of all namespaces, as it happens
  stackward events --for Server/db
  stackward events --type Warning -o wide";

/// Show what happened to objects
///
/// Each change of a condition: what became so, when and why, the newest last. The daemon remembers the
/// last five of each object since its start; `run --webhook-url` and its log tell of all.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Events {
    /// Only of this object
    #[arg(long = "for", value_name = "KIND/NAME")]
    about: Option<String>,
    /// Only of this type: Normal, or Warning for what is in the way
    #[arg(long = "type", value_name = "TYPE", value_parser = ["Normal", "Warning"])]
    kind: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Go on, and show what happens
    #[arg(long, short)]
    watch: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    address: Address,
}

impl Events {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let daemon = self.address.daemon()?;
        let resources = Resources::of(&daemon).await?;
        let mut namespace = self.place.namespace();
        let mut fields = Vec::new();
        if let Some(word) = &self.about {
            let words = std::slice::from_ref(word);
            for it in resources.targets(words, namespace.as_deref())? {
                fields.push(format!("involvedObject.kind={}", it.resource.kind));
                fields.extend(it.name.map(|name| format!("involvedObject.name={name}")));
                namespace = it.namespace;
            }
        }
        fields.extend(self.kind.as_ref().map(|kind| format!("type={kind}")));
        let target = Target {
            resource: resources.one("events")?,
            namespace,
            name: None,
        };
        let form = match self.output.form {
            Form::Json | Form::Yaml => JSON,
            _ => TABLE,
        };
        let query = [
            ("fieldSelector", fields.join(",")),
            ("includeObject", "Object".to_owned()),
        ];
        let mut growing = Growing::default();
        follow(&daemon, &target.path(), &query, form, |seen| match seen {
            Seen::List(mut list) => {
                sort(&mut list["rows"]);
                sort(&mut list["items"]);
                Ok(self.show(&target, &list, &mut growing)? && self.watch)
            }
            Seen::Here(it) => self.show(&target, &it, &mut growing),
            // That it is forgotten is nothing that happened.
            Seen::Gone(_) => Ok(true),
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }

    fn show(
        &self,
        target: &Target<'_>,
        value: &Value,
        growing: &mut Growing,
    ) -> anyhow::Result<bool> {
        let beside = Beside {
            namespace: target.namespace.is_none(),
            kind: false,
        };
        let form = self.output.form;
        let text = match form {
            Form::Json | Form::Yaml => output::document(value, form)?,
            Form::Name => Sheet::of(target.resource, value).text(beside, form)?,
            Form::Table | Form::Wide => {
                let sheet = Sheet::of(target.resource, value);
                if sheet.is_empty() && !self.watch {
                    anstream::eprintln!("no events");
                }
                match sheet.is_empty() {
                    true => String::new(),
                    false => growing.text(&sheet, beside, form == Form::Wide),
                }
            }
        };
        output::print_on(&text)
    }
}

/// Events, or rows of them, by the time when they happened.
pub(super) fn sort(events: &mut Value) {
    let Value::Array(events) = events else {
        return;
    };
    events.sort_by_key(|it| {
        let event = if it["object"].is_null() {
            it
        } else {
            &it["object"]
        };
        let time = event["lastTimestamp"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        // Times have whole seconds; versions say what came first within one.
        let version = event["metadata"]["resourceVersion"].as_str();
        (time, version.and_then(|it| it.parse::<u64>().ok()))
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_is_the_last_and_a_version_decides_within_a_second() {
        let event = |name: &str, second: u32, version: &str| {
            json!({"metadata": {"name": name, "resourceVersion": version},
                "lastTimestamp": format!("2026-11-23T04:00:{second:02}Z")})
        };
        let mut events = json!([event("c", 9, "10"), event("b", 9, "9"), event("a", 1, "11")]);
        let mut rows = json!([{"object": events[0]}, {"object": events[1]}, {"object": events[2]}]);
        sort(&mut events);
        sort(&mut rows);
        let names = |list: &Value, path: &str| -> Vec<Value> {
            list.as_array()
                .unwrap()
                .iter()
                .map(|it| it.pointer(path).unwrap().clone())
                .collect()
        };
        assert_eq!(names(&events, "/metadata/name"), ["a", "b", "c"]);
        assert_eq!(names(&rows, "/object/metadata/name"), ["a", "b", "c"]);
    }
}
