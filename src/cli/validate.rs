//! `stackward validate`: manifests without a cloud.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::daemon::load::{Loaded, Loader};
use crate::engine::desired::Desired;
use crate::engine::scope::Scope;
use crate::manifest::problem::Code;
use crate::manifest::{Key, Problem};

use super::problems;

const EXAMPLES: &str = "\
Examples:
  stackward validate ./manifests
  stackward validate --strict ./manifests      (also references to objects that are not declared)

The exit status is 0 when there is no error, 1 when there is one.";

/// Check manifests without a cloud
///
/// Reads a directory as `run` does, and shows every problem with its line, what is wrong and what to
/// do. No credentials are needed and nothing is sent, so that it fits an editor and CI.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Validate {
    /// Directory of manifests
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// A reference to an object that no manifest declares is an error
    #[arg(long)]
    strict: bool,
    /// Directory outside of DIR that manifests may name files in (repeatable)
    #[arg(long, value_name = "DIR")]
    allow_files_from: Vec<PathBuf>,
}

impl Validate {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        use std::io::Write as _;
        let mut loader = Loader::new(self.directory, self.allow_files_from, Scope::new("default"));
        let Loaded {
            desired,
            texts,
            identity,
            ..
        } = loader.load();
        let mut found = desired.problems.clone();
        if identity.is_some() {
            found.extend(missing(&desired, self.strict));
        }
        found.sort_by(|a, b| a.origin.cmp(&b.origin));
        anstream::stderr()
            .write_all(problems::render(&found, &texts).as_bytes())
            .context("cannot write to stderr")?;
        let errors = found.iter().filter(|problem| problem.is_error()).count();
        let summary = format!(
            "{}, {}, {}.\n",
            counted(desired.objects.len() + desired.data.len(), "object"),
            counted(errors, "error"),
            counted(found.len() - errors, "warning"),
        );
        anstream::stdout()
            .write_all(summary.as_bytes())
            .context("cannot write to stdout")?;
        Ok(if errors == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// References to what no manifest declares. In the daemon they are waits: it may come yet.
fn missing(desired: &Desired, strict: bool) -> Vec<Problem> {
    let declared = desired.declared();
    let mut problems = Vec::new();
    for (key, object) in &desired.objects {
        for target in object
            .refers_to
            .iter()
            .filter(|target| !declared.contains(target))
        {
            let message = format!(
                "{} is referred to, and no manifest declares it",
                target.short()
            );
            let mut problem = if strict {
                Problem::error(Code::MissingReference, message)
            } else {
                Problem::warning(Code::MissingReference, message)
            };
            problem = problem
                .at(object.manifest.origin.clone())
                .about(key.clone());
            problems.push(match similar(target, &declared) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint(format!("declare a {} named `{}`", target.kind, target.name)),
            });
        }
    }
    problems
}

fn similar(target: &Key, declared: &std::collections::BTreeSet<Key>) -> Option<String> {
    let same = |key: &&Key| key.kind == target.kind && key.namespace == target.namespace;
    let names = declared.iter().filter(same).map(|key| &*key.name);
    crate::manifest::did_you_mean(&target.name, names).map(|name| name.to_string())
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
