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
use crate::daemon::uploads::Uploads;
use crate::engine::plan::{Plan as Decision, Todo};
use crate::engine::reason::{Stage, Waiting};
use crate::engine::{Engine, Intention};
use crate::kinds::erased::Intent;
use crate::kinds::field::{Class, Difference};
use crate::kinds::marker::Owner;
use crate::manifest::Key;
use crate::sandbox::Running;
use crate::store::Store;

use super::failure::Advised;
use super::output::{self, Form, Output};
use super::standing::clean;
use super::{embedded, problems, run};

mod document;

const EXAMPLES: &str = "\
Examples:
  stackward plan --manifests ./manifests --cloud mycloud
  stackward plan --detailed-exitcode --manifests ./manifests --cloud mycloud
  stackward plan -o json --manifests ./manifests | jq '.objects[] | select(.action == \"delete\")'

The exit status is 0, and 1 when something is wrong; with --detailed-exitcode it is 2 when nothing is
wrong and there is something to do. The daemon may be running, but not with the same --state-dir.";

/// Show what `run` would do, and change nothing
///
/// It reads the manifests and the cloud, and shows each object that is to be created, adopted,
/// changed, replaced or deleted, which fields differ, and what that costs. It only reads: there is
/// nothing in it that could send a change.
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
    output: Output,
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
            uploads: Uploads::default(),
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
        let plans = engine.plans();
        let form = self.output.form;
        let report = Report::new(&plans, form == Form::Wide);
        output::print(&match form {
            Form::Table | Form::Wide => report.text,
            Form::Json | Form::Yaml => {
                output::document(&document::document(&plans, &failures), form)?
            }
            Form::Name => document::names(&plans),
        })?;
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

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Create,
    Adopt,
    Change,
    Interrupt,
    Lose,
    DeleteFirst,
    CreateFirst,
    Delete,
    Wait,
    Blocked,
    Nothing,
}

impl Sort {
    /// Its sign, what it is in the legend, and its word in a line.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Create => ("+", "create", "create"),
            Self::Adopt => ("<=", "adopt: take over what exists", "adopt"),
            Self::Change => ("~", "change in place", "change"),
            Self::Interrupt => (
                "!~",
                "change in place, which interrupts its service",
                "change, which interrupts its service",
            ),
            Self::Lose => (
                "!!",
                "change in place, which loses data",
                "change, which loses data",
            ),
            Self::DeleteFirst => ("-/+", "replace: delete, then create", "replace"),
            Self::CreateFirst => (
                "+/-",
                "replace: create, then delete the old one",
                "replace, the new one first",
            ),
            Self::Delete => ("-", "delete", "delete"),
            Self::Wait | Self::Nothing => (".", "cannot be said yet", "wait"),
            Self::Blocked => ("!", "blocked: it takes a person", "blocked"),
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Create | Self::Adopt => Style::new().green(),
            Self::Change => Style::new().yellow(),
            Self::Wait | Self::Nothing => Style::new().dimmed(),
            Self::Interrupt
            | Self::Lose
            | Self::DeleteFirst
            | Self::CreateFirst
            | Self::Delete
            | Self::Blocked => Style::new().red(),
        }
    }

    fn signed(self) -> String {
        format!("{:>3}", self.words().0)
            .style(self.style())
            .to_string()
    }
}

impl Report {
    /// `wide` shows values however long they are.
    fn new(intentions: &BTreeMap<Key, Intention>, wide: bool) -> Self {
        let mut sorts: BTreeMap<Sort, usize> = BTreeMap::new();
        let mut body = String::new();
        for (key, intention) in intentions {
            let sort = sort(intention);
            if sort != Sort::Nothing {
                *sorts.entry(sort).or_default() += 1;
                body.push_str(&lines(sort, key, intention, wide));
            }
        }
        let count =
            |wanted: &[Sort]| -> usize { wanted.iter().filter_map(|it| sorts.get(it)).sum() };
        let create = count(&[Sort::Create]);
        let change = count(&[Sort::Change, Sort::Interrupt, Sort::Lose]);
        let replace = count(&[Sort::DeleteFirst, Sort::CreateFirst]);
        let delete = count(&[Sort::Delete]);
        let adopt = count(&[Sort::Adopt]);
        let (blocked, waiting) = (count(&[Sort::Blocked]), count(&[Sort::Wait]));
        let mut text = String::new();
        for sort in sorts.keys() {
            text.push_str(&format!("{} {}\n", sort.signed(), sort.words().1));
        }
        if !sorts.is_empty() {
            text.push('\n');
            text.push_str(&body);
            text.push('\n');
        }
        let changes = create + adopt + change + replace + delete;
        if changes + blocked + waiting == 0 {
            text.push_str("Nothing to do: the cloud is as the manifests say.\n");
        } else {
            text.push_str(&format!(
                "Plan: {create} to create, {change} to change, {replace} to replace, {delete} to delete"
            ));
            if adopt > 0 {
                text.push_str(&format!("; {adopt} to adopt"));
            }
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
            intent: Intent::Adopt,
            ..
        }) => Sort::Adopt,
        Decision::Do(Todo {
            intent: Intent::Replace,
            ..
        }) => Sort::CreateFirst,
        Decision::Do(Todo {
            intent: Intent::Delete,
            why,
        }) if !why.is_empty() => Sort::DeleteFirst,
        Decision::Wait(Waiting::Dependents(_)) if !intention.deleting => Sort::DeleteFirst,
        Decision::Wait(Waiting::For {
            stage: Stage::Replaced,
            ..
        }) => Sort::Wait,
        Decision::Do(Todo {
            intent: Intent::Delete | Intent::Inspect,
            ..
        }) => Sort::Wait,
        Decision::Do(_) => worst(&intention.drift.repaired),
        Decision::Wait(Waiting::Grace(_) | Waiting::Dependents(_)) => Sort::Delete,
        Decision::Wait(Waiting::For { .. } | Waiting::Value { .. })
            if !intention.exists && !intention.deleting =>
        {
            Sort::Create
        }
        Decision::Wait(_) => Sort::Wait,
    }
}

/// The most costly of the changes that are to be made.
fn worst(differences: &[Difference]) -> Sort {
    let has = |class| differences.iter().any(|it| it.class == class);
    if has(Class::Lose) {
        Sort::Lose
    } else if has(Class::Disrupt) {
        Sort::Interrupt
    } else {
        Sort::Change
    }
}

/// What it takes to change one field, where it is more than a request.
const fn cost(class: Class) -> &'static str {
    match class {
        Class::Disrupt => "  # interrupts its service",
        Class::Lose => "  # loses data",
        Class::Replace => "  # only a new one can have it",
        Class::Update | Class::Action | Class::Members | Class::Birth => "",
    }
}

/// What is to be said beside the sort.
fn note(intention: &Intention) -> Option<String> {
    match &intention.plan {
        Decision::Wait(waiting) => Some(waiting.to_string()),
        Decision::Blocked(blocker) => Some(blocker.to_string()),
        Decision::Suspended(Some(todo)) => {
            Some(format!("suspended; without that: {}", todo.intent))
        }
        Decision::Do(Todo {
            intent: intent @ (Intent::Remedy(_) | Intent::Inspect),
            ..
        }) => Some(intent.to_string()),
        _ => None,
    }
}

/// The fields that differ, each with the leave that it would need and does not have.
fn differences(intention: &Intention) -> impl Iterator<Item = (&Difference, Option<&str>)> {
    let why: &[Difference] = match &intention.plan {
        Decision::Do(todo) | Decision::Suspended(Some(todo))
            if intention.drift.repaired.is_empty() =>
        {
            &todo.why
        }
        _ => &intention.drift.repaired,
    };
    let made = why.iter().map(|it| (it, None));
    let denied = intention.drift.denied.iter();
    made.chain(denied.map(|it| (&it.difference, Some(it.leave.as_str()))))
}

fn lines(sort: Sort, key: &Key, intention: &Intention, wide: bool) -> String {
    let mut text = format!(
        "{} {} {}",
        sort.signed(),
        key.short(),
        sort.words().2.style(sort.style())
    );
    if let Some(note) = note(intention) {
        text.push_str(&format!(": {}", clean(&note)));
    }
    text.push('\n');
    for (difference, leave) in differences(intention) {
        let (have, want) = (brief(&difference.have, wide), brief(&difference.want, wide));
        let (sign, style) = match leave {
            None => ("~", Style::new().yellow()),
            Some(_) => ("!", Style::new().red()),
        };
        let leave = leave.map(|leave| format!("; not done: {leave}"));
        let cost = format!("{}{}", cost(difference.class), leave.unwrap_or_default());
        // Writing to a String does not fail.
        let _: Result<(), _> = writeln!(
            text,
            "      {} {}: {have} -> {want}{}",
            sign.style(style),
            difference.field,
            cost.style(Style::new().red())
        );
    }
    text
}

fn brief(value: &Value, wide: bool) -> String {
    const MOST: usize = 120;
    let text = clean(&match value {
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    });
    match text.char_indices().nth(MOST) {
        Some((end, _)) if !wide => format!("{}...", &text[..end]),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::plan::Drift;
    use crate::engine::reason::{Blocker, Denied};

    fn differs(field: &'static str, class: Class, have: Value, want: Value) -> Difference {
        Difference {
            field,
            class,
            have,
            want,
        }
    }

    fn intended(plan: Decision, differences: Vec<Difference>) -> Intention {
        Intention {
            plan,
            exists: true,
            deleting: false,
            drift: Drift {
                repaired: differences,
                ..Drift::default()
            },
        }
    }

    #[test]
    fn a_plan_says_what_is_made_changed_replaced_and_deleted_and_what_that_costs() {
        let key = |kind: &str, name: &str| Key::new(kind, "default", name);
        let todo = |intent, why| Decision::Do(Todo { intent, why });
        let size = differs("size", Class::Action, json!(5), json!(9));
        let name = differs("name", Class::Update, json!("a"), json!("b"));
        let flavor = differs("flavorRef", Class::Disrupt, json!("2"), json!("3"));
        let image = differs("imageRef", Class::Lose, json!("i"), json!("j"));
        let zone = differs("keypairRef", Class::Replace, json!("k"), json!("l"));
        let policy = differs("policy", Class::Replace, json!("affinity"), json!("none"));
        let network = key("Network", "n");
        let new = |plan| Intention {
            exists: false,
            ..intended(plan, vec![])
        };
        let gone = |plan| Intention {
            deleting: true,
            ..intended(plan, vec![])
        };
        let waiting = Decision::Wait(Waiting::For {
            key: network.clone(),
            stage: Stage::Created,
        });
        let intentions = BTreeMap::from([
            (network, new(todo(Intent::Create, vec![]))),
            (key("Port", "p"), new(waiting)),
            (
                key("Volume", "v"),
                intended(
                    todo(Intent::Update(vec!["name"]), vec![name.clone()]),
                    vec![name.clone(), size],
                ),
            ),
            (
                key("Server", "resized"),
                Intention {
                    drift: Drift {
                        repaired: vec![name.clone(), flavor.clone()],
                        denied: vec![Denied {
                            difference: image.clone(),
                            leave: "lifecycle.loseData: Allow changes it".to_owned(),
                        }],
                        left: vec![],
                    },
                    ..intended(todo(Intent::Update(vec!["name"]), vec![name]), vec![])
                },
            ),
            (
                key("Server", "rebuilt"),
                intended(todo(Intent::Act("flavorRef"), vec![]), vec![flavor, image]),
            ),
            (
                key("Server", "new"),
                intended(todo(Intent::Delete, vec![zone.clone()]), vec![zone]),
            ),
            (
                key("ServerGroup", "g"),
                intended(todo(Intent::Replace, vec![policy.clone()]), vec![policy]),
            ),
            (
                key("Volume", "u"),
                intended(todo(Intent::Adopt, vec![]), vec![]),
            ),
            (key("Volume", "w"), gone(todo(Intent::Inspect, vec![]))),
            (
                key("Volume", "x"),
                gone(Decision::Blocked(Blocker::Protected)),
            ),
            (key("Volume", "y"), intended(Decision::InSync, vec![])),
        ]);
        let report = Report::new(&intentions, false);
        let plain = anstream::adapter::strip_str(&report.text).to_string();
        assert_eq!(report.changes, 9);
        assert_eq!(
            plain,
            format!(
                "  + create
 <= adopt: take over what exists
  ~ change in place
 !~ change in place, which interrupts its service
 !! change in place, which loses data
-/+ replace: delete, then create
+/- replace: create, then delete the old one
  - delete
  ! blocked: it takes a person

  + Network/n create
  + Port/p create: Waiting for Network/n to be created
-/+ Server/new replace
      ~ keypairRef: \"k\" -> \"l\"  # only a new one can have it
 !! Server/rebuilt change, which loses data
      ~ flavorRef: \"2\" -> \"3\"  # interrupts its service
      ~ imageRef: \"i\" -> \"j\"  # loses data
 !~ Server/resized change, which interrupts its service
      ~ name: \"a\" -> \"b\"
      ~ flavorRef: \"2\" -> \"3\"  # interrupts its service
      ! imageRef: \"i\" -> \"j\"  # loses data; not done: lifecycle.loseData: Allow changes it
+/- ServerGroup/g replace, the new one first
      ~ policy: \"affinity\" -> \"none\"  # only a new one can have it
 <= Volume/u adopt
  ~ Volume/v change
      ~ name: \"a\" -> \"b\"
      ~ size: 5 -> 9
  - Volume/w delete: inspect
  ! Volume/x blocked: {}

Plan: 2 to create, 3 to change, 2 to replace, 1 to delete; 1 to adopt; 1 blocked.
",
                Blocker::Protected
            )
        );
    }
}
