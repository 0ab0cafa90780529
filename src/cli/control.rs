//! `stackward approve`, `pause`, `resume`: a person's word to a running daemon, through the socket
//! in its state directory.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::cloud::environment::Environment;
use crate::config::default_state;
use crate::daemon::control::SOCKET;
use crate::manifest::Key;

use super::failure::Advised;

const APPROVE_EXAMPLES: &str = "\
Examples:
  stackward approve                # what waits for approval, and its hash
  stackward approve 3f9c0a1b2c4d   # delete exactly that

A hash stands for exactly these objects: if anything about them changes, it is another one.";

const PAUSE_EXAMPLES: &str = "\
Examples:
  stackward pause
  stackward pause --state-dir /var/lib/stackward";

const RESUME_EXAMPLES: &str = "\
Examples:
  stackward resume
  stackward resume --state-dir /var/lib/stackward";

/// Show the deletions that wait for approval, or approve them
///
/// When more would go than the guards let pass, all deletions wait for a person. Without a hash it
/// shows which these are; with the hash that it shows it approves exactly them.
#[derive(Debug, clap::Args)]
#[command(after_help = APPROVE_EXAMPLES)]
pub(super) struct Approve {
    /// The hash that is shown with them
    #[arg(value_name = "HASH")]
    hash: Option<String>,
    #[command(flatten)]
    daemon: Socket,
}

/// Have the daemon write nothing until `resume`, also after a restart
///
/// It goes on looking and reporting. For the time of somebody else's maintenance, or when it does
/// what it should not.
#[derive(Debug, clap::Args)]
#[command(after_help = PAUSE_EXAMPLES)]
pub(super) struct Pause {
    #[command(flatten)]
    daemon: Socket,
}

/// End a pause
///
/// Also one that the daemon began by itself, since another one seems to write with the same owner.
#[derive(Debug, clap::Args)]
#[command(after_help = RESUME_EXAMPLES)]
pub(super) struct Resume {
    #[command(flatten)]
    daemon: Socket,
}

/// Where the daemon is.
#[derive(Debug, clap::Args)]
struct Socket {
    /// The daemon's state directory [default: $STATE_DIRECTORY, else ~/.local/state/stackward]
    #[arg(long, value_name = "DIR", env = "STACKWARD_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Frozen {
    hash: String,
    objects: Vec<Key>,
    managed: usize,
}

impl Approve {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(hash) = &self.hash else {
            return self.show().await;
        };
        self.daemon
            .ask(Method::POST, &format!("approve/{hash}"))
            .await?;
        anstream::println!("approved; `stackward status` shows how it goes");
        Ok(ExitCode::SUCCESS)
    }

    async fn show(&self) -> anyhow::Result<ExitCode> {
        let body = self.daemon.ask(Method::GET, "frozen").await?;
        let frozen: Option<Frozen> =
            serde_json::from_slice(&body).context("the daemon's answer is not understood")?;
        let Some(frozen) = frozen else {
            anstream::println!("nothing waits for approval");
            return Ok(ExitCode::SUCCESS);
        };
        let (going, managed) = (frozen.objects.len(), frozen.managed);
        anstream::println!("{going} of {managed} managed objects would be deleted:");
        for key in &frozen.objects {
            anstream::println!("  {}", key.short());
        }
        anstream::println!("stackward approve {}", frozen.hash);
        Ok(ExitCode::SUCCESS)
    }
}

impl Pause {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        self.daemon.ask(Method::POST, "pause").await?;
        anstream::println!("paused: requests that are under way end, no other is begun");
        Ok(ExitCode::SUCCESS)
    }
}

impl Resume {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        self.daemon.ask(Method::POST, "resume").await?;
        anstream::println!("resumed");
        Ok(ExitCode::SUCCESS)
    }
}

impl Socket {
    async fn ask(&self, method: Method, path: &str) -> anyhow::Result<Vec<u8>> {
        let environment = Environment::of_process();
        let variable = |name: &str| environment.var(name).map(str::to_owned);
        let directory = self.state_dir.clone().or_else(|| default_state(&variable));
        let directory = directory.context("give --state-dir, or set HOME")?;
        let socket = directory.join(SOCKET);
        let client = reqwest::Client::builder()
            .unix_socket(socket.clone())
            .timeout(Duration::from_secs(30))
            .build()?;
        let request = client.request(method, format!("http://daemon/{path}"));
        let answer = request
            .send()
            .await
            .map_err(|error| unreachable(&socket, &error))?;
        let status = answer.status();
        let body = answer.bytes().await?.to_vec();
        if !status.is_success() {
            let words = String::from_utf8_lossy(&body).into_owned();
            return Err(match status {
                StatusCode::CONFLICT => {
                    Advised::error(words, "`stackward approve` shows what waits")
                }
                _ => anyhow::Error::msg(words),
            });
        }
        Ok(body)
    }
}

fn unreachable(socket: &Path, error: &reqwest::Error) -> anyhow::Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let hint = "is the daemon running, as this user, with this --state-dir? With --once, or a simulated cloud without one, there is none to talk to";
    Advised::error(format!("no answer at {}: {cause}", socket.display()), hint)
}
