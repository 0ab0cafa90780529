//! The command line: one file per subcommand.
//!
//! Results go to stdout, diagnostics and the log to stderr. Exit status: 0 done, 1 not, 2 the
//! command line is wrong.

mod control;
mod embedded;
mod export;
mod failure;
mod generated;
mod plan;
mod problems;
mod progress;
mod run;
mod sandbox;
mod schema;
mod standing;
mod status;
mod table;
mod validate;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

pub use generated::{Page, pages};

const EXAMPLES: &str = "\
Examples:
  Try it on a simulated cloud, with its metrics at http://127.0.0.1:9797/metrics:
    stackward run --manifests manifests/wordpress --cloud sandbox

  See what would be done on a real one, then do it and stay on:
    stackward plan --manifests ./manifests --cloud mycloud
    stackward run --manifests ./manifests --cloud mycloud

  In CI: check the files, then converge and say with the exit status how it went:
    stackward validate ./manifests
    stackward run --once --manifests ./manifests --cloud mycloud";

/// GitOps for OpenStack in one binary: keeps a project as a directory of manifests says
#[derive(Debug, Parser)]
#[command(name = "stackward", version, after_help = EXAMPLES, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the cloud as the manifests say, and keep it so
    Run(Box<run::Run>),
    /// Show what `run` would do, and change nothing
    Plan(Box<plan::Plan>),
    /// Print manifests of what exists, to take it over
    Export(export::Export),
    /// Check manifests without a cloud
    Validate(validate::Validate),
    /// Show how a running daemon is doing
    Status(status::Status),
    /// Show the deletions that wait for approval, or approve them
    Approve(control::Approve),
    /// Have the daemon write nothing until `resume`, also after a restart
    Pause(control::Pause),
    /// End a pause
    Resume(control::Resume),
    /// Run a simulated OpenStack for trials
    Sandbox(sandbox::Sandbox),
    /// Print the JSON Schema of manifests, for editors
    Schema(schema::Schema),
    /// Write the generated pages of the documentation
    #[command(hide = true)]
    Docs(generated::Docs),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&anyhow::Error::from(error)),
    };
    let outcome = runtime.block_on(arguments.command.execute());
    // A thread that reads a dead network file system must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome.unwrap_or_else(|error| failure::report(&error))
}

impl Command {
    async fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(run) => run.execute().await,
            Self::Plan(plan) => plan.execute().await,
            Self::Export(export) => export.execute().await,
            Self::Validate(validate) => validate.execute().await,
            Self::Status(status) => status.execute().await,
            Self::Approve(approve) => approve.execute().await,
            Self::Pause(pause) => pause.execute().await,
            Self::Resume(resume) => resume.execute().await,
            Self::Sandbox(sandbox) => sandbox.execute().await,
            Self::Schema(schema) => schema.execute(),
            Self::Docs(docs) => docs.execute(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
