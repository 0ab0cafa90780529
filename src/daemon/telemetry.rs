//! The log: where it goes, in which form, and tasks that are named in it.

use std::future::Future;
use std::io::{self, IsTerminal as _};

use tokio::task::JoinHandle;
use tracing::Instrument as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum NoLog {
    /// The filter.
    #[error(transparent)]
    Filter(#[from] ParseError),
    /// The journal.
    #[error("the journal cannot be reached")]
    Journal(#[from] io::Error),
}

/// Sends the log of this process to stderr, in the form that is asked for; else as fields to the
/// journal when stderr is that, and as text when not. The first call counts.
///
/// # Errors
/// The filter is not understood, or there is no journal.
pub fn start(format: Option<LogFormat>, filter: &str) -> Result<(), NoLog> {
    let filter = EnvFilter::builder().parse(filter)?;
    let journal = match format {
        Some(LogFormat::Journald) => Some(tracing_journald::layer()?),
        None if stderr_is_the_journal() => tracing_journald::layer().ok(),
        _ => None,
    };
    if let Some(journal) = journal {
        let journal = journal.with_field_prefix(Some("STACKWARD".to_owned()));
        let all = tracing_subscriber::registry().with(filter).with(journal);
        // As below.
        let _: Result<(), _> = all.try_init();
        return Ok(());
    }
    let plain = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call is a test in the same process: it logs as the first one said.
    let _: Result<(), _> = match format {
        Some(LogFormat::Json) => builder.json().flatten_event(true).try_init(),
        _ => builder.with_ansi(plain && !no_color()).try_init(),
    };
    Ok(())
}

/// Whether what is written to stderr becomes entries of the journal: systemd says which file its
/// stream is, and stderr may have been sent elsewhere since.
#[expect(
    clippy::disallowed_methods,
    reason = "about the place of the log, not a setting"
)]
#[must_use]
pub fn stderr_is_the_journal() -> bool {
    let Ok(stat) = rustix::fs::fstat(std::io::stderr()) else {
        return false;
    };
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// Runs a long-lived task of this process.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where tasks are begun"
)]
pub fn spawn<F>(name: &'static str, task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(task.instrument(tracing::debug_span!("task", name)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "NO_COLOR is about the terminal, not a setting"
)]
fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
