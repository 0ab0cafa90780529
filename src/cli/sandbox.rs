//! `stackward sandbox`: a simulated OpenStack for trials, with any client.

#![expect(
    clippy::disallowed_methods,
    reason = "a clouds.yaml is written on request"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::sandbox::{Clock, Options, Sandbox as Cloud};

use super::failure::Advised;

const EXAMPLES: &str = "\
Examples:
  stackward sandbox --write-clouds /tmp/clouds.yaml &
  export OS_CLIENT_CONFIG_FILE=/tmp/clouds.yaml
  openstack --os-cloud sandbox server list
  stackward run --manifests manifests/wordpress --cloud sandbox-admin";

/// Run a simulated OpenStack for trials
///
/// It speaks the APIs of Keystone, Glance, Nova, Cinder, Neutron and Manila on one address, to any
/// client. Servers boot nothing, and it forgets everything when it ends.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Sandbox {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
    /// File to write a clouds.yaml to, with the clouds sandbox, sandbox-admin and sandbox-v2
    #[arg(long, value_name = "FILE")]
    write_clouds: Option<PathBuf>,
    /// How fast servers and volumes get ready
    #[arg(long, value_name = "SPEED", default_value = "realistic")]
    clock: Speed,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Speed {
    /// Fifty times as fast
    Fast,
    /// As a small cloud
    Realistic,
}

impl Sandbox {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        use std::io::Write as _;
        let clock = match self.clock {
            Speed::Fast => Clock::Fast,
            Speed::Realistic => Clock::Realistic,
        };
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let options = Options {
            clock,
            ..Options::default()
        };
        let running = Cloud::start(options, self.listen).await.map_err(|error| {
            let hint = "choose another --listen; port 0 takes a free one";
            Advised::error(format!("cannot listen on {}: {error}", self.listen), hint)
        })?;
        let mut words = format!("a simulated OpenStack at {}\n", running.url());
        match &self.write_clouds {
            Some(path) => {
                std::fs::write(path, running.clouds_yaml())
                    .with_context(|| format!("cannot write {}", path.display()))?;
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                words.push_str(&format!(
                    "export OS_CLIENT_CONFIG_FILE={}\n",
                    path.display()
                ));
                words.push_str("export OS_CLOUD=sandbox\n");
            }
            None => words.push_str(&format!("clouds.yaml:\n{}", running.clouds_yaml())),
        }
        let mut out = anstream::stdout();
        out.write_all(words.as_bytes())?;
        out.flush()?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        running.stop();
        Ok(ExitCode::SUCCESS)
    }
}
