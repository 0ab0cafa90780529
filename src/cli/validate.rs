//! `stackward validate`: manifests without a cloud, once or with every change.

#![expect(
    clippy::disallowed_methods,
    reason = "the one file that is named on the command line is read here"
)]

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::daemon::load::{Loaded, Loader};
use crate::daemon::watch::Watch;
use crate::engine::desired::Desired;
use crate::engine::scope::Scope;
use crate::manifest::problem::Code;
use crate::manifest::{Key, Problem, did_you_mean, name_fault};

use super::failure::Advised;
use super::problems;

const EXAMPLES: &str = "\
Examples:
  stackward validate ./manifests
  stackward validate --watch ./manifests       (again with every change, until Ctrl-C)
  stackward validate --strict ./manifests      (also references to objects that are not declared)
  stackward validate -o json server.yaml       (one file, for an editor)
  kustomize build . | stackward validate -

The exit status is 0 when there is no error, 1 when there is one, 2 when the command line is wrong;
with --watch it is that of the last look.";

/// Changes that the system does not notice are found this late.
const INTERVAL: Duration = Duration::from_secs(10);

/// Check manifests without a cloud
///
/// Reads a directory as `run` does, and shows every problem with its line, what is wrong and what to
/// do. No credentials are needed and nothing is sent, so that it fits an editor and CI.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Validate {
    /// Directory of manifests, one file, or - for standard input
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// A reference to an object that no manifest declares is an error
    #[arg(long)]
    strict: bool,
    /// Check again with every change, until a signal ends it
    #[arg(long, short)]
    watch: bool,
    /// Form of the answer
    #[arg(long, short, value_name = "FORM", default_value = "text")]
    output: Output,
    /// Directory outside of PATH that manifests may name files in (repeatable)
    #[arg(long, value_name = "DIR")]
    allow_files_from: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people: problems to stderr, a summary to stdout
    Text,
    /// For editors: one JSON object to stdout, on one line with --watch
    Json,
}

/// What is read.
enum Source {
    Directory,
    /// Its name within the directory.
    File(String),
    Stdin,
}

/// What was found in one look.
#[derive(PartialEq)]
struct Look {
    errors: usize,
    /// Goes to stderr.
    problems: String,
    /// Goes to stdout.
    summary: String,
}

impl Validate {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let (directory, source) = self.source()?;
        let allowed = self.allow_files_from.clone();
        let mut loader = Loader::new(directory.clone(), allowed, Scope::new("default"));
        let mut watch = self.watch.then(|| Watch::new(&directory));
        if let Some(watch) = &mut watch {
            // Watched before it is read: what changes in between is noticed.
            renew(watch, &directory);
        }
        let mut look = self.look(&mut loader, &directory, &source)?;
        look.print()?;
        if let Some(watch) = watch {
            look = self
                .follow(watch, loader, &directory, &source, look)
                .await?;
        }
        Ok(if look.errors == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// The directory that paths are relative to, and what of it is read.
    fn source(&self) -> anyhow::Result<(PathBuf, Source)> {
        if self.path == Path::new("-") {
            if self.watch {
                let hint = "name a directory or a file";
                return Err(Advised::error("standard input cannot be watched", hint));
            }
            return Ok((PathBuf::from("."), Source::Stdin));
        }
        if !self.path.is_file() {
            return Ok((self.path.clone(), Source::Directory));
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let parent = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new(".")).to_owned();
        Ok((directory, Source::File(name.into_owned())))
    }

    fn look(&self, loader: &mut Loader, directory: &Path, source: &Source) -> anyhow::Result<Look> {
        let loaded = match source {
            Source::Directory => loader.load(),
            Source::File(name) => {
                let path = directory.join(name);
                let read = || format!("cannot read {}", path.display());
                loader.load_given(name, std::fs::read(&path).with_context(read)?)
            }
            Source::Stdin => {
                let mut bytes = Vec::new();
                let read = std::io::stdin().read_to_end(&mut bytes);
                let _: usize = read.context("cannot read standard input")?;
                loader.load_given("-", bytes)
            }
        };
        let Loaded {
            desired,
            texts,
            identity,
            ..
        } = loaded;
        let mut found = desired.problems.clone();
        // Of one file it is not known what the others declare.
        if identity.is_some() && (self.strict || matches!(source, Source::Directory)) {
            found.extend(missing(&desired, self.strict));
        }
        if identity.is_some() && desired.is_empty() && found.is_empty() {
            let hint = "manifests are files whose names end in .yaml, .yml or .json";
            let nothing = Problem::warning(Code::Empty, "nothing is declared here");
            found.push(nothing.hint(hint));
        }
        found.sort_by(|a, b| a.origin.cmp(&b.origin));
        let errors = found.iter().filter(|problem| problem.is_error()).count();
        let (objects, warnings) = (
            desired.objects.len() + desired.data.len(),
            found.len() - errors,
        );
        Ok(match self.output {
            Output::Text => Look {
                errors,
                problems: problems::render(&found, &texts),
                summary: format!(
                    "{}, {}, {}.\n",
                    counted(objects, "object"),
                    counted(errors, "error"),
                    counted(warnings, "warning"),
                ),
            },
            Output::Json => {
                let report = json!({
                    "objects": objects,
                    "errors": errors,
                    "warnings": warnings,
                    "problems": problems::report(&found, &texts),
                });
                let text = if self.watch {
                    report.to_string()
                } else {
                    serde_json::to_string_pretty(&report)?
                };
                Look {
                    errors,
                    problems: String::new(),
                    summary: text + "\n",
                }
            }
        })
    }

    /// Looks again after every change, until a signal; the last look.
    async fn follow(
        &self,
        mut watch: Watch,
        mut loader: Loader,
        directory: &Path,
        source: &Source,
        mut last: Look,
    ) -> anyhow::Result<Look> {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot await signals")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot await signals")?;
        loop {
            let noticed = tokio::select! {
                _ = interrupt.recv() => return Ok(last),
                _ = terminate.recv() => return Ok(last),
                noticed = tokio::time::timeout(INTERVAL, watch.noticed()) => noticed.is_ok(),
            };
            renew(&mut watch, directory);
            let look = match self.look(&mut loader, directory, source) {
                Ok(look) => look,
                // An editor replaces a file by another one: between the two there is none.
                Err(error) => {
                    let problems = format!("error: {error:#}\n");
                    Look {
                        errors: 1,
                        problems,
                        summary: String::new(),
                    }
                }
            };
            if noticed || look != last {
                if self.output == Output::Text {
                    let now = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
                    let line = format!("\n──── {now} ────\n");
                    anstream::stderr().write_all(line.as_bytes())?;
                }
                look.print()?;
                last = look;
            }
        }
    }
}

impl Look {
    fn print(&self) -> anyhow::Result<()> {
        anstream::stderr()
            .write_all(self.problems.as_bytes())
            .context("cannot write to stderr")?;
        let mut out = anstream::stdout();
        out.write_all(self.summary.as_bytes())
            .and_then(|()| out.flush())
            .context("cannot write to stdout")
    }
}

/// Without notices the interval is all that is left: said, and gone on.
fn renew(watch: &mut Watch, directory: &Path) {
    if let Err(error) = watch.renew() {
        let seconds = INTERVAL.as_secs();
        anstream::eprintln!(
            "warning: cannot watch {}: {error}; it is read every {seconds} s",
            directory.display()
        );
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
            let problem = if strict {
                Problem::error(Code::MissingReference, message)
            } else {
                Problem::warning(Code::MissingReference, message)
            };
            let pointer = object.place_of(target);
            problems.push(
                problem
                    .at(object.manifest.place(&pointer))
                    .about(key.clone())
                    .hint(remedy(target, &declared, !pointer.contains("/values/"))),
            );
        }
    }
    problems
}

/// What helps with a reference to nothing.
fn remedy(target: &Key, declared: &BTreeSet<Key>, is_reference: bool) -> String {
    let (kind, name) = (&target.kind, &target.name);
    let same_kind = || declared.iter().filter(|key| key.kind == *kind);
    let near = same_kind().filter(|key| key.namespace == target.namespace);
    if let Some(near) = did_you_mean(name, near.map(|key| &*key.name)) {
        return format!("did you mean `{near}`?");
    }
    if let Some(other) = same_kind().find(|key| key.name == *name) {
        let (there, here) = (&other.namespace, &target.namespace);
        return format!(
            "there is one in the namespace `{there}`: references stay in their own, `{here}`"
        );
    }
    let is_data = matches!(&**kind, "Secret" | "ConfigMap");
    if is_data || !is_reference {
        return format!("declare a {kind} named `{name}`");
    }
    if uuid::Uuid::parse_str(name).is_ok() {
        return format!("for an existing resource write {{id: {name}}}");
    }
    if name_fault(name).is_some() {
        return format!(
            "no object has such a name; for an existing resource write {{filter: {{name: {name}}}}}"
        );
    }
    format!(
        "declare a {kind} named `{name}`, or for an existing one write {{filter: {{name: {name}}}}}"
    )
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
