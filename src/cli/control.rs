//! `stackward approve`, `pause`, `resume`: a person's word to a running daemon, through the socket
//! in its state directory.

use std::process::ExitCode;

use anyhow::Context as _;
use reqwest::Method;
use serde::Deserialize;

use crate::manifest::Key;

use super::daemon::Socket;
use super::standing::clean;

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

#[derive(Debug, Deserialize)]
struct Frozen {
    hash: String,
    objects: Vec<Key>,
    managed: usize,
    doubt: Option<String>,
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
        if let Some(doubt) = &frozen.doubt {
            let doubt = clean(doubt);
            anstream::println!("None of them goes, approved or not, while {doubt}.");
        }
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
