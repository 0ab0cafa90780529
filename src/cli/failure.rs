//! Errors on their way to a person: the chain in one line, then the hint.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use crate::config::BadConfigs;
use crate::daemon::door::BadDoor;
use crate::daemon::kubernetes::FolderError;
use crate::daemon::serve::CannotListen;
use crate::daemon::supervisor::BadSocket;
use crate::daemon::telemetry;
use crate::store::StoreError;

/// An error that comes with advice.
#[derive(Debug)]
pub(super) struct Advised {
    message: String,
    hint: String,
}

impl Advised {
    /// An error and what to do about it.
    pub(super) fn error(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self {
            message: message.into(),
            hint: hint.into(),
        })
    }
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Advised {}

/// Prints an error. The exit status is 2 when the settings are wrong, otherwise 1.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    let mut out = anstream::stderr().lock();
    let mut words = words(error);
    if telemetry::stderr_is_the_journal() {
        words = words.lines().map(|line| format!("<3>{line}\n")).collect();
    }
    // Where errors go cannot be reported anywhere else.
    let _: std::io::Result<()> = out.write_all(words.as_bytes());
    ExitCode::from(if error.is::<BadConfigs>() { 2 } else { 1 })
}

pub(super) fn words(error: &anyhow::Error) -> String {
    if let Some(BadConfigs(problems)) = error.downcast_ref() {
        return problems
            .iter()
            .map(|it| format!("error: {it}\n  hint: {}\n", it.hint))
            .collect();
    }
    let mut words = format!("error: {error:#}\n");
    if let Some(hint) = hint(error) {
        words.push_str(&format!("  hint: {hint}\n"));
    }
    words
}

fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let advised = cause.downcast_ref::<Advised>().map(|it| it.hint.clone());
        let store = || {
            cause
                .downcast_ref::<StoreError>()?
                .hint()
                .map(str::to_owned)
        };
        let listen = || {
            cause
                .downcast_ref::<CannotListen>()
                .map(|it| it.hint().to_owned())
        };
        let socket = || Some(cause.downcast_ref::<BadSocket>()?.hint().to_owned());
        let door = || Some(cause.downcast_ref::<BadDoor>()?.hint().to_owned());
        let folder = || Some(cause.downcast_ref::<FolderError>()?.hint().to_owned());
        let advised = advised.or_else(door).or_else(folder);
        advised.or_else(store).or_else(listen).or_else(socket)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_is_one_line_with_its_causes_and_a_hint() {
        let cause: anyhow::Result<()> =
            Err(Advised::error("no such cloud", "name one with --cloud"));
        let error = cause.context("cannot plan").unwrap_err();
        assert_eq!(
            words(&error),
            "error: cannot plan: no such cloud\n  hint: name one with --cloud\n"
        );
    }
}
