//! What is on this machine: the manifests, and the place of the journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, access};
use serde_json::json;

use crate::cloud::environment::Environment;
use crate::config::{CloudChoice, Flags, SANDBOX, default_state};
use crate::daemon::load::Loader;
use crate::engine::desired::Desired;
use crate::engine::journal::Journal;
use crate::manifest::Problem;
use crate::store::{Store, StoreError};

use super::super::validate::counted;
use super::check::Checks;

/// Reads the manifests; without any the set is empty.
pub(super) fn manifests(flags: &Flags, choice: &CloudChoice, checks: &mut Checks) -> Arc<Desired> {
    let Some(directory) = &flags.manifests else {
        let remedy = "name the directory: --manifests DIR (`stackward init` writes a first one)";
        checks.warn("manifests", "no directory is named", remedy);
        return Arc::default();
    };
    let allowed = flags.allow_files_from.clone();
    let loaded = Loader::new(directory.clone(), allowed, choice.scope()).load();
    let desired = loaded.desired;
    let shown = directory.display();
    let errors: Vec<&Problem> = desired.problems.iter().filter(|it| it.is_error()).collect();
    let warnings = desired.problems.len() - errors.len();
    let count = desired.objects.len() + desired.data.len();
    let objects = counted(count, "object");
    let facts = json!({"directory": directory, "objects": count, "errors": errors.len(),
                       "warnings": warnings});
    if loaded.identity.is_none() {
        let why = errors
            .first()
            .map(|it| it.message.clone())
            .unwrap_or_default();
        let remedy = "make the directory, let this user read it, or correct --manifests";
        checks.fail("manifests", why, remedy).facts(facts);
    } else if !errors.is_empty() {
        let message = format!("{shown}: {objects}, {}", counted(errors.len(), "error"));
        let details = errors.iter().map(|it| it.message.to_string());
        checks
            .fail("manifests", message, format!("stackward validate {shown}"))
            .facts(facts)
            .details(details);
    } else if count == 0 {
        let remedy = "`stackward init` writes a first one; an empty directory deletes nothing";
        checks
            .warn("manifests", format!("{shown} holds no manifest"), remedy)
            .facts(facts);
    } else if warnings > 0 {
        let message = format!("{shown}: {objects}, {}", counted(warnings, "warning"));
        checks
            .warn("manifests", message, format!("stackward validate {shown}"))
            .facts(facts);
    } else {
        checks
            .ok("manifests", format!("{shown}: {objects}"))
            .facts(facts);
    }
    desired
}

/// Looks at the journal and at its place; what is in it, as far as it can be read.
pub(super) fn state(
    flags: &Flags,
    choice: &CloudChoice,
    environment: &Environment,
    checks: &mut Checks,
) -> Journal {
    if *choice == CloudChoice::Sandbox && flags.state_dir.is_none() {
        checks.ok(
            "state",
            format!("in memory, as always with --cloud {SANDBOX}"),
        );
        return Journal::default();
    }
    let variable = |name: &str| environment.var(name).map(str::to_owned);
    let directory = flags.state_dir.clone().or_else(|| default_state(&variable));
    let Some(directory) = directory else {
        checks.fail(
            "state",
            "there is no place for the journal",
            "give --state-dir, or set HOME",
        );
        return Journal::default();
    };
    writable(&directory, checks);
    let shown = directory.display().to_string();
    match Store::peek(&directory) {
        Ok((journal, None)) => {
            checks.ok("journal", "none yet: the first run begins one");
            journal
        }
        Ok((journal, Some(owner))) => {
            let (count, short) = (journal.records.len(), owner.short());
            let message = format!("{}, owner {short:08x}", counted(count, "object"));
            let facts = json!({"objects": count, "owner": owner.0, "paused": journal.paused});
            match (flags.owner, journal.paused) {
                (Some(wanted), _) if wanted != owner.0 => {
                    let message = format!("it belongs to owner {}, not to {wanted}", owner.0);
                    let remedy = "leave --owner out, or choose another --state-dir";
                    checks.fail("journal", message, remedy)
                }
                (_, true) => {
                    let message = format!("{message}; paused: nothing is written");
                    checks.warn("journal", message, "stackward resume")
                }
                (_, false) => checks.ok("journal", message),
            }
            .facts(facts);
            journal
        }
        Err(StoreError::InUse(_)) => {
            let facts = json!({"inUse": true});
            checks
                .ok("journal", format!("in use: a stackward runs with {shown}"))
                .facts(facts);
            Journal::default()
        }
        Err(error) => {
            let source = std::error::Error::source(&error).map(|it| format!(": {it}"));
            let message = format!("{error}{}", source.unwrap_or_default());
            checks.fail("journal", message, error.hint().unwrap_or_default());
            Journal::default()
        }
    }
}

/// Can the directory be written to, or be made?
fn writable(directory: &Path, checks: &mut Checks) {
    let shown = directory.display();
    let facts = json!({"directory": directory});
    let existing = existing(directory);
    let may = access(&existing, Access::WRITE_OK | Access::EXEC_OK);
    let is_there = existing == directory;
    match may {
        Ok(()) if is_there && !directory.is_dir() => checks.fail(
            "state",
            format!("{shown} is no directory"),
            "choose another --state-dir",
        ),
        Ok(()) if is_there => checks.ok("state", format!("{shown} can be written to")),
        Ok(()) if existing.is_dir() => checks.ok(
            "state",
            format!("{shown} is not there yet, and can be made"),
        ),
        Ok(()) => {
            let message = format!("{shown} cannot be made: {} is a file", existing.display());
            checks.fail("state", message, "choose another --state-dir")
        }
        Err(error) => {
            let verb = if is_there { "written to" } else { "made" };
            let message = format!("{shown} cannot be {verb}: {error}");
            let remedy = format!(
                "let this user write to {}, or choose another --state-dir",
                existing.display()
            );
            checks.fail("state", message, remedy)
        }
    }
    .facts(facts);
}

/// The directory, or the nearest one above it that there is.
fn existing(directory: &Path) -> PathBuf {
    let above = directory
        .ancestors()
        .find(|path| access(*path, Access::EXISTS).is_ok());
    match above {
        Some(path) if !path.as_os_str().is_empty() => path.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
