//! `stackward wait`: until objects are as asked for. It is told of changes, and does not ask for them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::manifest::{duration_text, parse_duration};

use super::changes::{Change, Changes};
use super::daemon::{Address, Daemon, JSON};
use super::failure::Advised;
use super::output;
use super::resources::{Place, Resources, Target, short};
use super::standing::clean;

const EXAMPLES: &str = "\
Examples:
  stackward wait Server/db --for=condition=Available --timeout=10m
  stackward wait servers,volumes --all --for=condition=Available
  stackward wait all --all -A --for=condition=Progressing=False
  stackward wait volume -l app=blog --for=delete

An object that is named and not declared yet is waited for as well: the daemon may not have read its
manifest.";

/// How long an unreachable daemon is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Wait until objects are Available, or gone
///
/// Ends with 0 as soon as each has been as asked for, and with 1 when the time is over, with the reason
/// why each of the others is not. A condition counts only when it is about the manifest as it is now.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Wait {
    /// Kinds, or one object as KIND/NAME
    #[arg(value_name = "KIND[,KIND]")]
    kinds: String,
    /// Names of objects, or more as KIND/NAME
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// What to wait for: condition=NAME[=STATUS], or delete
    #[arg(long = "for", value_name = "WHAT")]
    goal: Goal,
    /// Everything of the kinds that is there now
    #[arg(long, conflicts_with_all = ["names", "selector"])]
    all: bool,
    /// Everything of the kinds that is there now, and whose labels fit
    #[arg(long, short = 'l', value_name = "LABELS", conflicts_with = "names")]
    selector: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Give up after this long; 0 looks once
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    address: Address,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Goal {
    Condition { kind: String, status: String },
    Delete,
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || "expected condition=NAME, condition=NAME=STATUS, or delete".to_owned();
        if text == "delete" {
            return Ok(Self::Delete);
        }
        let condition = text.strip_prefix("condition=").ok_or_else(unknown)?;
        let (kind, status) = condition.split_once('=').unwrap_or((condition, "True"));
        if kind.is_empty() || status.is_empty() {
            return Err(unknown());
        }
        Ok(Self::Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a time like 30s, 10m or 1h30m".to_owned())
}

impl Wait {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let daemon = self.address.daemon()?;
        let resources = Resources::of(&daemon).await?;
        let mut words = vec![self.kinds.clone()];
        words.extend(self.names.iter().cloned());
        let targets = resources.targets(&words, self.place.namespace().as_deref())?;
        let names_all = self.all || self.selector.is_some();
        if targets.iter().any(|it| it.name.is_none() != names_all) {
            let hint = "name objects, or say --all or --selector; not both";
            return Err(Advised::error("it is not clear what to wait for", hint));
        }
        let end = Instant::now() + self.timeout;
        let (mut any, mut late) = (false, Vec::new());
        for group in groups(&targets) {
            let mut sight = Sight::of(&self.goal, &group);
            // One look at least, however short the time is.
            self.watch(&daemon, group[0], &mut sight, end).await?;
            any |= sight.any;
            late.extend(sight.late());
        }
        if !late.is_empty() {
            let time = duration_text(self.timeout);
            let words = format!("not so after {time}:\n  {}", late.join("\n  "));
            let hint = "`stackward describe` tells more; --timeout gives it more time";
            return Err(Advised::error(words, hint));
        }
        if !any && self.goal != Goal::Delete {
            let hint = "-A looks in all namespaces";
            return Err(Advised::error("there is nothing to wait for", hint));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Follows the objects of a resource until all are as they should be, or the time is over.
    async fn watch(
        &self,
        daemon: &Daemon,
        target: &Target<'_>,
        sight: &mut Sight,
        end: Instant,
    ) -> anyhow::Result<()> {
        let whole = Target {
            name: None,
            ..target.clone()
        };
        let labels = self.selector.clone().map(|it| ("labelSelector", it));
        let query = labels.into_iter().collect();
        let mut changes = Changes::all(daemon, whole.path(), query, JSON);
        loop {
            let change = if sight.told {
                match timeout_at(end, changes.next()).await {
                    Ok(change) => change,
                    Err(_) => return Ok(()),
                }
            } else {
                changes.next().await
            };
            match change {
                Ok(change) => sight.take(change),
                // It may be about to start again; but one that never answered is not waited for.
                Err(_) if sight.told && Instant::now() + PAUSE < end => sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
            let met = sight.met();
            if !output::print_on(&met)? || sight.is_done() {
                return Ok(());
            }
        }
    }
}

/// Targets of one resource and namespace are seen by one watch.
fn groups<'t, 'r>(targets: &'t [Target<'r>]) -> Vec<Vec<&'t Target<'r>>> {
    let mut groups: Vec<Vec<&Target<'_>>> = Vec::new();
    for target in targets {
        let same = |group: &&mut Vec<&Target<'_>>| {
            group[0].resource == target.resource && group[0].namespace == target.namespace
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(target),
            None => groups.push(vec![target]),
        }
    }
    groups
}

/// What is seen of the objects of one resource.
#[derive(Debug)]
struct Sight {
    goal: Goal,
    kind: String,
    /// Names that are waited for; empty for all that are there.
    names: BTreeSet<String>,
    /// Everything that is there was told once.
    told: bool,
    /// Now; until everything was told again, the picture is not whole.
    whole: bool,
    objects: BTreeMap<String, Value>,
    /// What is waited for still, as people name it.
    open: BTreeSet<String>,
    /// There is something to wait for.
    any: bool,
}

impl Sight {
    fn of(goal: &Goal, group: &[&Target<'_>]) -> Self {
        let first = group[0];
        let named = |name: &String| {
            let metadata = serde_json::json!({"name": name, "namespace": first.namespace});
            short(&first.resource.kind, &metadata)
        };
        let names: BTreeSet<String> = group.iter().filter_map(|it| it.name.clone()).collect();
        Self {
            goal: goal.clone(),
            kind: first.resource.kind.clone(),
            told: false,
            whole: false,
            objects: BTreeMap::new(),
            // A name in all namespaces is open until it is seen somewhere.
            open: match first.namespace {
                Some(_) => names.iter().map(named).collect(),
                None => BTreeSet::new(),
            },
            any: !names.is_empty(),
            names,
        }
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Here(object) => {
                let metadata = &object["metadata"];
                let name = metadata["name"].as_str().unwrap_or_default();
                if self.names.is_empty() || self.names.contains(name) {
                    let key = short(&self.kind, metadata);
                    self.objects.insert(key, object);
                }
            }
            Change::Gone(object) => {
                self.objects.remove(&short(&self.kind, &object["metadata"]));
            }
            Change::Told => {
                if !self.told {
                    self.open.extend(self.objects.keys().cloned());
                    self.any |= !self.objects.is_empty();
                }
                (self.told, self.whole) = (true, true);
            }
            Change::Lost => {
                self.objects.clear();
                self.whole = false;
            }
        }
    }

    /// Those that are as they should be, and are not waited for any more; in words.
    fn met(&mut self) -> String {
        if !self.whole {
            return String::new();
        }
        let met: Vec<String> = self
            .open
            .iter()
            .filter(|it| self.is_met(it))
            .cloned()
            .collect();
        let word = match self.goal {
            Goal::Delete => "deleted",
            Goal::Condition { .. } => "condition met",
        };
        let mut text = String::new();
        for key in met {
            text.push_str(&format!("{} {word}\n", clean(&key)));
            self.open.remove(&key);
        }
        text
    }

    fn is_met(&self, key: &str) -> bool {
        let object = self.objects.get(key);
        match (&self.goal, object) {
            (Goal::Delete, object) => object.is_none(),
            (Goal::Condition { .. }, None) => false,
            (Goal::Condition { kind, status }, Some(object)) => {
                let condition = condition(object, kind);
                let is_so = condition.is_some_and(|it| {
                    it["status"]
                        .as_str()
                        .is_some_and(|it| it.eq_ignore_ascii_case(status))
                });
                // One that is not there says no.
                let is_so = is_so || condition.is_none() && status.eq_ignore_ascii_case("False");
                is_so && condition.is_none_or(|it| is_current(object, it))
            }
        }
    }

    fn is_done(&self) -> bool {
        self.told && self.open.is_empty()
    }

    /// What is still waited for, and why it is not so.
    fn late(&self) -> Vec<String> {
        let why = |key: &String| match self.objects.get(key) {
            Some(object) => format!("{}: {}", clean(key), clean(&reason(object))),
            None if self.whole => format!("{}: no manifest declares it", clean(key)),
            None => format!("{}: the daemon could not be asked again", clean(key)),
        };
        self.open.iter().map(why).collect()
    }
}

fn condition<'o>(object: &'o Value, kind: &str) -> Option<&'o Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|it| {
        it["type"]
            .as_str()
            .is_some_and(|it| it.eq_ignore_ascii_case(kind))
    })
}

/// Is a condition about the manifest as it is now?
fn is_current(object: &Value, condition: &Value) -> bool {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let observed = &condition["observedGeneration"];
    observed.is_null() || number(observed) >= number(&object["metadata"]["generation"])
}

/// What is in the way, or under way.
fn reason(object: &Value) -> String {
    let said = ["Blocked", "Suspended", "Progressing", "Available"]
        .iter()
        .find_map(|kind| {
            let it = condition(object, kind)?;
            (*kind == "Available" || it["status"] == "True").then_some(it)
        });
    let Some(said) = said else {
        return "nothing is known of it yet".to_owned();
    };
    let text = |field: &str| said[field].as_str().unwrap_or_default();
    let (kind, message) = (text("type"), text("message"));
    match kind {
        "Available" => format!("Available is {}: {message}", text("status")),
        kind => format!("{kind}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sight(goal: &str, names: &[&str]) -> Sight {
        let names: BTreeSet<String> = names.iter().map(|it| (*it).to_owned()).collect();
        Sight {
            goal: goal.parse().unwrap(),
            kind: "Volume".to_owned(),
            told: false,
            whole: false,
            objects: BTreeMap::new(),
            open: names.iter().map(|it| format!("Volume/{it}")).collect(),
            any: !names.is_empty(),
            names,
        }
    }

    fn volume(name: &str, status: &str, observed: u64) -> Change {
        Change::Here(json!({
            "metadata": {"name": name, "namespace": "default", "generation": 2},
            "status": {"conditions": [{"type": "Available", "status": status,
                "observedGeneration": observed, "message": "it is creating"}]},
        }))
    }

    #[test]
    fn a_goal_is_a_condition_or_that_it_is_gone() {
        let condition = |kind: &str, status: &str| Goal::Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
        };
        assert_eq!(
            "condition=Available".parse(),
            Ok(condition("Available", "True"))
        );
        assert_eq!(
            "condition=Drifted=False".parse(),
            Ok(condition("Drifted", "False"))
        );
        assert_eq!("delete".parse(), Ok(Goal::Delete));
        for bad in ["", "Available", "condition=", "condition=a=", "jsonpath=x"] {
            assert!(bad.parse::<Goal>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_condition_of_an_older_manifest_does_not_count() {
        let mut sight = sight("condition=Available", &["a"]);
        for (change, expected) in [
            (volume("b", "True", 2), ""),
            (volume("a", "True", 1), ""),
            (Change::Told, ""),
            (volume("a", "False", 2), ""),
            (volume("a", "True", 2), "Volume/a condition met\n"),
            (volume("a", "True", 2), ""),
        ] {
            sight.take(change);
            assert_eq!(sight.met(), expected);
        }
        assert!(sight.is_done() && sight.late().is_empty());
    }

    #[test]
    fn what_is_gone_is_known_only_of_a_whole_picture() {
        let mut sight = sight("delete", &[]);
        sight.take(volume("a", "True", 2));
        assert_eq!((sight.met().as_str(), sight.is_done()), ("", false));
        sight.take(Change::Told);
        assert_eq!((sight.met().as_str(), sight.is_done()), ("", false));
        sight.take(Change::Lost);
        assert_eq!((sight.met().as_str(), sight.is_done()), ("", false));
        sight.take(Change::Told);
        assert_eq!(
            (sight.met().as_str(), sight.is_done()),
            ("Volume/a deleted\n", true)
        );
    }

    #[test]
    fn what_is_late_says_why() {
        let mut sight = sight("condition=Available", &["a", "c"]);
        sight.take(volume("a", "False", 2));
        sight.take(Change::Told);
        assert_eq!(
            sight.late(),
            [
                "Volume/a: Available is False: it is creating",
                "Volume/c: no manifest declares it"
            ]
        );
    }
}
