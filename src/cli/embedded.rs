//! The simulated cloud inside of this process, for `--cloud sandbox`.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;

use crate::config::CloudChoice;
use crate::sandbox::{Options, Running, Sandbox};

/// Starts one, if it is the chosen cloud. It ends when this is dropped.
pub(super) async fn start(choice: &CloudChoice) -> anyhow::Result<Option<Running>> {
    if *choice != CloudChoice::Sandbox {
        return Ok(None);
    }
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let running = Sandbox::start(Options::default(), anywhere)
        .await
        .context("cannot start the simulated cloud")?;
    Ok(Some(running))
}
