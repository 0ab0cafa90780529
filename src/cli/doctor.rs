//! `stackward doctor`: can this installation work, and if not, what is in its way?
//!
//! Each check is a line, and a check that fails does not end those after it, as far as they make
//! sense without it. It reads: nothing is written to a cloud, to the manifests or to the journal.

mod check;
mod cloud;
mod microversions;
mod settings;
mod site;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cloud::environment::Environment;
use crate::cloud::profile::Profile;
use crate::config::{CloudChoice, Flags};
use crate::engine::desired::Desired;
use crate::engine::scope::{Scope, Source};

use self::check::Checks;
use self::cloud::Wanted;
use super::output::{self, Output};
use super::{connect, embedded};

const EXAMPLES: &str = "\
Examples:
  stackward doctor --cloud mycloud
  stackward doctor --config /etc/stackward/stackward.yaml
  stackward doctor --all-clouds -o wide
  stackward doctor -o json | jq '.checks[] | select(.verdict != \"ok\")'

The exit status is 0 when nothing has failed (there may be warnings), and 1 otherwise. `-o name`
prints the names of the checks that were not ok.";

/// Check settings, credentials, endpoints and quotas, and say what is in the way
///
/// What takes four requests by hand (a token, the projects, the catalog, an endpoint) in one
/// command, and the rest of what has to be right: where each setting comes from, clocks,
/// microversions, quotas, the manifests and the journal. Each check is a line: ok, warning or failed,
/// and what to do. It only reads, and no secret is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    /// File with settings, named as the flags are, in camelCase; flags beat it
    #[arg(long, value_name = "FILE", env = "STACKWARD_CONFIG")]
    config: Option<PathBuf>,
    /// Check every cloud of clouds.yaml, not only those that the manifests and settings use
    #[arg(long)]
    all_clouds: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    flags: Flags,
}

impl Doctor {
    pub(super) async fn execute(self, matches: &clap::ArgMatches) -> anyhow::Result<ExitCode> {
        let environment = Environment::of_process();
        let mut checks = Checks::default();
        let given = matches.subcommand_matches("doctor").unwrap_or(matches);
        let flags = settings::check(
            self.flags,
            self.config.as_deref(),
            given,
            &environment,
            &mut checks,
        );
        let choice = CloudChoice::new(flags.cloud.as_deref());
        let desired = site::manifests(&flags, &choice, &mut checks);
        let journal = site::state(&flags, &choice, &environment, &mut checks);
        let running = embedded::start(&choice).await?;
        for target in targets(&choice, &desired, self.all_clouds, &environment) {
            let profile = match &target.source {
                Source::Secret {
                    clouds_yaml,
                    cacert,
                    cloud,
                } => {
                    let text = clouds_yaml.expose_text().unwrap_or_default();
                    let cacert = cacert.as_ref().and_then(|pem| pem.expose_text());
                    Profile::from_clouds_yaml(text, cloud, cacert, &environment)
                }
                Source::Cloud(name) => {
                    // One that is called `sandbox` there is an ordinary cloud.
                    let choice = match name {
                        Some(name) => CloudChoice::Named(name.clone()),
                        None => choice.clone(),
                    };
                    let running = running.as_ref().filter(|_| choice == CloudChoice::Sandbox);
                    connect::profile(&choice, running, &environment)
                }
            };
            let wanted = Wanted::of(&target.scope, &desired);
            let before = journal.scopes.get(&target.scope);
            checks.begin(&target.scope.to_string());
            cloud::check(profile, &wanted, before, &mut checks).await;
        }
        output::print(&checks.text(self.output.form)?)?;
        Ok(match checks.failed() {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }
}

/// A cloud that is to be checked.
struct Target {
    scope: Scope,
    source: Source,
}

/// The default cloud, those of the manifests, and all that there are if that is wanted, or if there
/// is no telling which one is the default.
fn targets(
    choice: &CloudChoice,
    desired: &Desired,
    all: bool,
    environment: &Environment,
) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let mut seen: BTreeSet<Scope> = BTreeSet::new();
    let mut add = |scope: Scope, source: Source| {
        if seen.insert(scope.clone()) {
            targets.push(Target { scope, source });
        }
    };
    let names = Profile::names(environment).unwrap_or_default();
    let is_named = *choice != CloudChoice::Default;
    let obvious = Profile::load(None, environment).is_ok() || names.is_empty();
    if is_named || obvious {
        add(choice.scope(), Source::Cloud(None));
    }
    for (scope, source) in &desired.sources {
        let is_used = desired
            .objects
            .values()
            .any(|object| object.scope == *scope);
        if is_used && *scope != choice.scope() {
            add(scope.clone(), source.clone());
        }
    }
    if all || !(is_named || obvious) {
        for name in names {
            add(Scope::new(name.as_str()), Source::Cloud(Some(name)));
        }
    }
    targets
}
