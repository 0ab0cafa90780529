//! The command line: one file per subcommand.
//!
//! Results go to stdout, diagnostics and the log to stderr. What an exit status means is in `exit`.

mod adopt;
mod bars;
mod changes;
mod completions;
mod connect;
mod control;
mod daemon;
mod describe;
mod doctor;
mod embedded;
mod events;
mod exit;
mod explain;
mod export;
mod failure;
mod fields;
mod generated;
mod get;
mod init;
mod inventory;
mod man;
mod output;
mod plan;
mod problems;
mod progress;
mod reconcile;
mod reference;
mod resources;
mod run;
mod sandbox;
mod schema;
mod sheet;
mod standing;
mod status;
mod table;
mod tree;
mod validate;
mod wait;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use generated::{Page, pages};

const EXAMPLES: &str = "\
Examples:
  Try it on a simulated cloud, with its metrics at http://127.0.0.1:9797/metrics:
    stackward run --manifests manifests/wordpress --cloud sandbox

  Begin with a first manifest, and see whether the cloud can be reached:
    stackward init
    stackward doctor --config stackward.yaml

  See what would be done on a real one, then do it and stay on:
    stackward plan --manifests ./manifests --cloud mycloud
    stackward run --manifests ./manifests --cloud mycloud

  In CI: check the files, then converge and say with the exit status how it went:
    stackward validate ./manifests
    stackward run --once --manifests ./manifests --cloud mycloud";

/// GitOps for OpenStack in one binary: keeps a project as a directory of manifests says
///
/// Drop Kubernetes-style manifests into a directory: what they declare is created, put right when
/// somebody changes it, and deleted when it is no longer declared. Nothing is written but what is
/// declared here, and nothing is deleted but what was made here.
#[derive(Debug, Parser)]
#[command(name = "stackward", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

// What a command is, in a line and a paragraph, stands at its own type: a doc comment here would
// take its place.
#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Run>),
    Plan(Box<plan::Plan>),
    Validate(validate::Validate),
    Init(init::Init),
    Doctor(Box<doctor::Doctor>),
    Status(status::Status),
    Get(Box<get::Get>),
    Describe(Box<describe::Describe>),
    Events(Box<events::Events>),
    Wait(Box<wait::Wait>),
    Tree(Box<tree::Tree>),
    Reconcile(reconcile::Reconcile),
    Approve(control::Approve),
    Pause(control::Pause),
    Resume(control::Resume),
    Inventory(inventory::Inventory),
    Export(export::Export),
    Adopt(adopt::Adopt),
    Explain(explain::Explain),
    Schema(schema::Schema),
    Sandbox(sandbox::Sandbox),
    Completions(completions::Completions),
    Man(man::Man),
    #[command(hide = true)]
    Docs(generated::Docs),
}

/// The command line as clap knows it, for everything that is made of it.
fn command() -> clap::Command {
    Arguments::command().after_help(format!("{EXAMPLES}\n\n{}", exit::help()))
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&anyhow::Error::from(error)),
    };
    let outcome = runtime.block_on(arguments.command.execute(&matches));
    // A thread that reads a dead network file system must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome.unwrap_or_else(|error| failure::report(&error))
}

impl Command {
    async fn execute(self, matches: &clap::ArgMatches) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(run) => run.execute().await,
            Self::Plan(plan) => plan.execute().await,
            Self::Validate(validate) => validate.execute().await,
            Self::Init(init) => init.execute(),
            Self::Doctor(doctor) => doctor.execute(matches).await,
            Self::Status(status) => status.execute().await,
            Self::Get(get) => get.execute().await,
            Self::Describe(describe) => describe.execute().await,
            Self::Events(events) => events.execute().await,
            Self::Wait(wait) => wait.execute().await,
            Self::Tree(tree) => tree.execute().await,
            Self::Reconcile(reconcile) => reconcile.execute().await,
            Self::Approve(approve) => approve.execute().await,
            Self::Pause(pause) => pause.execute().await,
            Self::Resume(resume) => resume.execute().await,
            Self::Inventory(inventory) => inventory.execute().await,
            Self::Export(export) => export.execute().await,
            Self::Adopt(adopt) => adopt.execute().await,
            Self::Explain(explain) => explain.execute(),
            Self::Schema(schema) => schema.execute(),
            Self::Sandbox(sandbox) => sandbox.execute().await,
            Self::Completions(completions) => completions.execute(),
            Self::Man(man) => man.execute(),
            Self::Docs(docs) => docs.execute(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
