//! What is happening, for a person who watches: a line per change, and a table at the end.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use owo_colors::{OwoColorize as _, Style};

use crate::daemon::Picture;
use crate::daemon::metrics::truth;
use crate::engine::snapshot::Snapshot;
use crate::manifest::{Key, Problem};

use super::problems;
use super::standing::{Standing, clean};
use super::table;

/// Objects are aligned up to this many columns.
const WIDEST: usize = 40;

/// Turns pictures into lines.
pub(super) struct Progress<W> {
    out: W,
    directory: PathBuf,
    seen: BTreeMap<Key, Standing>,
    problems: HashSet<Problem>,
    errors: BTreeMap<String, String>,
    converged: bool,
}

impl<W: Write> Progress<W> {
    /// Lines go to `out`; `directory` is where the manifests are.
    pub(super) fn new(out: W, directory: PathBuf) -> Self {
        Self {
            out,
            directory,
            seen: BTreeMap::new(),
            problems: HashSet::new(),
            errors: BTreeMap::new(),
            converged: false,
        }
    }

    /// Prints a line of its own.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Prints what changed since the last picture, `seconds` after the start.
    pub(super) fn show(&mut self, picture: &Picture, seconds: f64) -> io::Result<()> {
        if !picture.loaded {
            return Ok(());
        }
        let snapshot = &picture.snapshot;
        self.show_problems(snapshot)?;
        self.show_scopes(snapshot, seconds)?;
        let width = snapshot
            .objects
            .keys()
            .map(|key| key.short().to_string().chars().count());
        let width = width.max().unwrap_or(0).min(WIDEST);
        for (key, object) in &snapshot.objects {
            let standing = Standing::of(object);
            let before = self.seen.get(key);
            let says_less = |before: &Standing| {
                before.word == standing.word
                    && (before.detail == standing.detail || standing.detail.is_empty())
            };
            if before.is_some_and(says_less) {
                continue;
            }
            // The first look says nothing yet.
            if !matches!(object.reason, "FirstLook" | "LookFailed") || self.seen.contains_key(key) {
                self.line(seconds, key, width, &standing)?;
            }
            self.seen.insert(key.clone(), standing);
        }
        let gone: Vec<Key> = self
            .seen
            .keys()
            .filter(|key| !snapshot.objects.contains_key(*key))
            .cloned()
            .collect();
        for key in gone {
            self.seen.remove(&key);
            let standing = Standing {
                word: "Deleted",
                detail: String::new(),
            };
            self.line(seconds, &key, width, &standing)?;
        }
        self.out.flush()
    }

    /// Whether everything has just become as it should be.
    pub(super) fn has_just_converged(&mut self, picture: &Picture) -> bool {
        let now = picture.loaded && picture.snapshot.looked && picture.snapshot.is_converged();
        now && !std::mem::replace(&mut self.converged, now) || {
            self.converged = now;
            false
        }
    }

    /// Prints the table of all objects.
    pub(super) fn summary(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let text = summary(snapshot);
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    fn show_problems(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        for problem in &snapshot.problems {
            if self.problems.insert(problem.clone()) {
                writeln!(
                    self.out,
                    "{}",
                    problems::render_from(problem, &self.directory)
                )?;
            }
        }
        self.problems
            .retain(|problem| snapshot.problems.contains(problem));
        Ok(())
    }

    fn show_scopes(&mut self, snapshot: &Snapshot, seconds: f64) -> io::Result<()> {
        for (scope, view) in &snapshot.scopes {
            let Some(error) = &view.error else {
                self.errors.remove(&*scope.0);
                continue;
            };
            if self
                .errors
                .insert(scope.to_string(), error.clone())
                .as_ref()
                != Some(error)
            {
                let word = "cannot be used".style(Style::new().red());
                writeln!(
                    self.out,
                    "{seconds:7.1}s  cloud {scope} {word}: {}",
                    clean(error)
                )?;
            }
        }
        Ok(())
    }

    fn line(
        &mut self,
        seconds: f64,
        key: &Key,
        width: usize,
        standing: &Standing,
    ) -> io::Result<()> {
        let Standing { word, detail } = standing;
        let name = key.short().to_string();
        let word = format!("{word:<9}");
        let word = word.style(color(standing.word));
        let mut line = format!("{:>7}  {name:<width$}  {word}", format!("{seconds:.1}s"));
        if !detail.is_empty() {
            let _: Result<(), _> = write!(line, "  {}", detail.style(Style::new().dimmed()));
        }
        writeln!(self.out, "{}", line.trim_end())
    }
}

/// The table of all objects, and a line that sums it up.
pub(super) fn summary(snapshot: &Snapshot) -> String {
    let mut rows = table::table(["KIND", "NAME", "AVAILABLE", "MESSAGE"]);
    let mut done = 0;
    for (key, object) in &snapshot.objects {
        let standing = Standing::of(object);
        done += usize::from(standing.word == "Available");
        let available = object
            .status
            .condition("Available")
            .map_or("Unknown", |it| truth(it.status));
        let message = match standing.word {
            "Available" => standing.detail,
            word => format!("{word}: {}", standing.detail),
        };
        let name = key.short().to_string();
        let (kind, name) = name.split_once('/').unwrap_or(("", &name));
        let _: &mut comfy_table::Table = rows.add_row([kind, name, available, &message]);
    }
    let all = snapshot.objects.len();
    let mut text = String::new();
    if all > 0 {
        text.push_str(&format!("\n{}\n", table::text(&rows)));
    }
    text.push_str(&match (done, all) {
        (_, 0) => "Nothing is declared.\n".to_owned(),
        (1, 1) => "The object is Available.\n".to_owned(),
        (done, all) if done == all => format!("All {all} objects are Available.\n"),
        (done, all) => format!("{done} of {all} objects are Available.\n"),
    });
    text
}

/// The colour of a standing's word.
pub(super) fn color(word: &str) -> Style {
    match word {
        "Available" => Style::new().green(),
        "Blocked" | "Stopped" => Style::new().red(),
        "Retrying" | "Suspended" => Style::new().yellow(),
        "Deleting" | "Deleted" => Style::new().magenta(),
        "Creating" | "Changing" | "Building" => Style::new().cyan(),
        _ => Style::new().dimmed(),
    }
}
