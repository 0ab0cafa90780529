//! `stackward plan`: what `run` would do now. There is nothing here that could do it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use owo_colors::{OwoColorize as _, Style};
use serde_json::Value;
use uuid::Uuid;

use crate::cloud::environment::Environment;
use crate::config::{Flags, State};
use crate::daemon::clock::Clock;
use crate::daemon::clouds::OpenStack;
use crate::daemon::load::{Loaded, Loader};
use crate::daemon::metrics::Metrics;
use crate::daemon::preview;
use crate::daemon::remote::Connections;
use crate::engine::plan::{Plan as Decision, Todo};
use crate::engine::reason::Waiting;
use crate::engine::{Engine, Intention};
use crate::kinds::erased::Intent;
use crate::kinds::marker::Owner;
use crate::manifest::Key;
use crate::sandbox::Running;
use crate::store::Store;

use super::failure::Advised;
use super::standing::clean;
use super::{embedded, problems, run};

const EXAMPLES: &str = "\
Examples:
  stackward plan --manifests ./manifests --cloud mycloud
  stackward plan --detailed-exitcode --manifests ./manifests --cloud mycloud

It only reads. The daemon may be running, but not with the same --state-dir.";

/// Show what `run` would do, and change nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Plan {
    /// File with settings, named as the flags are, in camelCase; flags beat it
    #[arg(long, value_name = "FILE", env = "STACKWARD_CONFIG")]
    config: Option<PathBuf>,
    /// The exit status is 2 when there is something to do
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    flags: Flags,
}

impl Plan {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        use std::io::Write as _;
        let environment = Environment::of_process();
        let config = run::settings(self.flags, self.config.as_deref(), &environment, true)?;
        run::start_log(&config, true)?;
        let running = embedded::start(&config.cloud).await?;
        let (journal, owner) = match &config.state {
            State::Directory(directory) => Store::peek(directory)?,
            State::Memory => Default::default(),
        };
        let mut settings = config.engine.clone();
        // Without a journal nothing is ours yet, unless an owner is configured.
        settings.owner = config
            .owner
            .map(Owner)
            .or(owner)
            .unwrap_or(Owner(Uuid::nil()));
        let mut engine = Engine::new(settings, journal, 0);

        let scope = config.cloud.scope();
        let mut loader = Loader::new(config.manifests, config.allow_files_from, scope);
        let Loaded { desired, texts, .. } = loader.load();
        anstream::stderr().write_all(problems::render(&desired.problems, &texts).as_bytes())?;
        let faulty = desired
            .problems
            .iter()
            .any(crate::manifest::Problem::is_error);

        let dialer = OpenStack {
            environment,
            choice: config.cloud,
            sandbox: running.as_ref().map(Running::clouds_yaml),
            metrics: Arc::new(Metrics::new().context("cannot set up the metrics")?),
        };
        let connections = Connections::new(Arc::new(dialer));
        let patience = config.timeout.min(Duration::from_secs(300));
        let failures = preview::look(
            &mut engine,
            desired,
            &connections,
            &mut Clock::machine(),
            patience,
        )
        .await;
        let report = Report::new(&engine.plans());
        anstream::stdout()
            .write_all(report.text.as_bytes())
            .context("cannot write to stdout")?;
        if !failures.is_empty() {
            let hint = "what lives there is not planned; everything else is";
            return Err(Advised::error(failures.join("; "), hint));
        }
        Ok(
            match (faulty, self.detailed_exitcode && report.changes > 0) {
                (true, _) => ExitCode::FAILURE,
                (false, true) => ExitCode::from(2),
                (false, false) => ExitCode::SUCCESS,
            },
        )
    }
}

/// The plan as text.
struct Report {
    text: String,
    changes: usize,
}

enum Sort {
    Create,
    Change,
    Delete,
    Wait,
    Blocked,
    Nothing,
}

impl Report {
    fn new(intentions: &BTreeMap<Key, Intention>) -> Self {
        let mut text = String::new();
        let (mut create, mut change, mut delete, mut blocked, mut waiting) = (0, 0, 0, 0, 0);
        for (key, intention) in intentions {
            match sort(intention) {
                Sort::Nothing => continue,
                Sort::Create => create += 1,
                Sort::Change => change += 1,
                Sort::Delete => delete += 1,
                Sort::Blocked => blocked += 1,
                Sort::Wait => waiting += 1,
            }
            text.push_str(&lines(key, intention));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let changes = create + change + delete;
        if changes + blocked + waiting == 0 {
            text.push_str("Nothing to do: the cloud is as the manifests say.\n");
        } else {
            text.push_str(&format!(
                "Plan: {create} to create, {change} to change, {delete} to delete"
            ));
            if blocked > 0 {
                text.push_str(&format!("; {blocked} blocked"));
            }
            if waiting > 0 {
                text.push_str(&format!("; {waiting} cannot be said yet"));
            }
            text.push_str(".\n");
        }
        Self { text, changes }
    }
}

fn sort(intention: &Intention) -> Sort {
    match &intention.plan {
        Decision::InSync | Decision::Suspended(None) => Sort::Nothing,
        Decision::Blocked(_) => Sort::Blocked,
        Decision::Suspended(Some(_)) => Sort::Wait,
        Decision::Do(Todo {
            intent: Intent::Create,
            ..
        }) => Sort::Create,
        Decision::Do(_) if intention.deleting => Sort::Delete,
        Decision::Do(Todo {
            intent: Intent::Delete | Intent::Inspect,
            ..
        }) => Sort::Wait,
        Decision::Do(_) => Sort::Change,
        Decision::Wait(Waiting::Grace(_) | Waiting::Dependents(_)) => Sort::Delete,
        Decision::Wait(Waiting::For { .. } | Waiting::Value { .. })
            if !intention.exists && !intention.deleting =>
        {
            Sort::Create
        }
        Decision::Wait(_) => Sort::Wait,
    }
}

fn lines(key: &Key, intention: &Intention) -> String {
    let (sign, word, style) = match sort(intention) {
        Sort::Create => ("+", "create", Style::new().green()),
        Sort::Change => ("~", "change", Style::new().yellow()),
        Sort::Delete => ("-", "delete", Style::new().red()),
        Sort::Wait | Sort::Nothing => (".", "wait", Style::new().dimmed()),
        Sort::Blocked => ("!", "blocked", Style::new().red()),
    };
    let mut text = format!(
        "{} {} {}",
        sign.style(style),
        key.short(),
        word.style(style)
    );
    let note = match &intention.plan {
        Decision::Wait(waiting) => Some(waiting.to_string()),
        Decision::Blocked(blocker) => Some(blocker.to_string()),
        Decision::Suspended(Some(todo)) => {
            Some(format!("suspended; without that: {}", todo.intent))
        }
        Decision::Do(todo) if !matches!(todo.intent, Intent::Create | Intent::Update(_)) => {
            Some(todo.intent.to_string())
        }
        _ => None,
    };
    if let Some(note) = note {
        text.push_str(&format!(": {}", clean(&note)));
    }
    text.push('\n');
    if let Decision::Do(todo) | Decision::Suspended(Some(todo)) = &intention.plan {
        for difference in &todo.why {
            let (have, want) = (brief(&difference.have), brief(&difference.want));
            let sign = "~".style(Style::new().yellow());
            // Writing to a String does not fail.
            let _: Result<(), _> =
                writeln!(text, "    {sign} {}: {have} -> {want}", difference.field);
        }
    }
    text
}

fn brief(value: &Value) -> String {
    const MOST: usize = 120;
    let text = clean(&match value {
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    });
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::reason::{Blocker, Stage};
    use crate::kinds::field::{Class, Difference};

    #[test]
    fn a_plan_says_what_is_made_changed_and_deleted() {
        let key = |kind: &str, name: &str| Key::new(kind, "default", name);
        let todo = |intent, why| Decision::Do(Todo { intent, why });
        let size = Difference {
            field: "size",
            class: Class::Action,
            have: json!(5),
            want: json!(9),
        };
        let network = key("Network", "n");
        let intentions = BTreeMap::from([
            (
                network.clone(),
                Intention {
                    plan: todo(Intent::Create, vec![]),
                    exists: false,
                    deleting: false,
                },
            ),
            (
                key("Port", "p"),
                Intention {
                    plan: Decision::Wait(Waiting::For {
                        key: network,
                        stage: Stage::Created,
                    }),
                    exists: false,
                    deleting: false,
                },
            ),
            (
                key("Volume", "v"),
                Intention {
                    plan: todo(Intent::Act("size"), vec![size]),
                    exists: true,
                    deleting: false,
                },
            ),
            (
                key("Volume", "w"),
                Intention {
                    plan: todo(Intent::Inspect, vec![]),
                    exists: true,
                    deleting: true,
                },
            ),
            (
                key("Volume", "x"),
                Intention {
                    plan: Decision::Blocked(Blocker::Protected),
                    exists: true,
                    deleting: true,
                },
            ),
            (
                key("Volume", "y"),
                Intention {
                    plan: Decision::InSync,
                    exists: true,
                    deleting: false,
                },
            ),
        ]);
        let report = Report::new(&intentions);
        let plain = anstream::adapter::strip_str(&report.text).to_string();
        assert_eq!(report.changes, 4);
        assert_eq!(
            plain,
            format!(
                "+ Network/n create\n\
                 + Port/p create: Waiting for Network/n to be created\n\
                 ~ Volume/v change: change size\n    ~ size: 5 -> 9\n\
                 - Volume/w delete: inspect\n\
                 ! Volume/x blocked: {}\n\
                 \nPlan: 2 to create, 1 to change, 1 to delete; 1 blocked.\n",
                Blocker::Protected
            )
        );
    }
}
