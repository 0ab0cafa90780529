//! The log: where it goes, in which form, and tasks that are named in it.

use std::future::Future;
use std::io::IsTerminal as _;

use tokio::task::JoinHandle;
use tracing::Instrument as _;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Sends the log of this process to stderr. The first call counts.
///
/// # Errors
/// The filter is not understood; says why.
pub fn start(format: LogFormat, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| error.to_string())?;
    let plain = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call is a test in the same process: it logs as the first one said.
    let _: Result<(), _> = match format {
        LogFormat::Text => builder.with_ansi(plain && !no_color()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
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
