//! `stackward sandbox`: a simulated OpenStack for trials, with any client.

#![expect(
    clippy::disallowed_methods,
    reason = "a clouds.yaml is written on request"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::manifest::parse_duration;
use crate::sandbox::{Clock, Options, Quotas, Sandbox as Cloud, Spread};

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
    /// What an answer takes: a fixed time, or median..p99; of one service or, without its name, of all
    #[arg(long, value_name = "[SERVICE=]TIME[..TIME]", value_parser = latency)]
    latency: Vec<(Option<Service>, Spread)>,
    /// How many requests a second a service takes; what comes faster waits for its turn
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = throughput)]
    throughput: Vec<(Service, f64)>,
    /// The longest page of a service's lists
    ///
    /// By default 1000, of the image service 25, of the network service without end.
    #[arg(long, value_name = "SERVICE=NUMBER", value_parser = page_size)]
    page_size: Vec<(Service, usize)>,
    /// How long a server builds on its host: a fixed time, or median..p99; otherwise 2 s to 5 s by the clock
    #[arg(long, value_name = "TIME[..TIME]", value_parser = spread)]
    boot_time: Option<Spread>,
    /// How long a volume takes to be available; otherwise 1 s by the clock
    #[arg(long, value_name = "TIME[..TIME]", value_parser = spread)]
    volume_time: Option<Spread>,
    /// Have no quotas
    #[arg(long)]
    no_quotas: bool,
}

/// By the first segment of its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Service {
    Identity,
    Image,
    Volume,
    Compute,
    Network,
    Share,
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
        let options = self.options(clock);
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

impl Sandbox {
    fn options(&self, clock: Clock) -> Options {
        let mut options = Options {
            clock,
            boot: self.boot_time,
            build: self.volume_time,
            ..Options::default()
        };
        for (service, spread) in &self.latency {
            match service {
                Some(service) => {
                    let of = &mut options.pace.latency_of;
                    of.insert(service.segment().to_owned(), *spread);
                }
                None => options.pace.latency = Some(*spread),
            }
        }
        for (service, number) in &self.throughput {
            let per_second = &mut options.pace.per_second;
            per_second.insert(service.segment().to_owned(), *number);
        }
        for (service, size) in &self.page_size {
            let pages = &mut options.pages;
            match service {
                Service::Image => (pages.image, pages.image_max) = (*size, *size),
                Service::Volume => pages.volume = *size,
                Service::Compute => pages.compute = *size,
                Service::Network => pages.network = Some(*size),
                Service::Share => pages.share = *size,
                Service::Identity => {}
            }
        }
        if self.no_quotas {
            options.quotas = Quotas::none();
        }
        options
    }
}

impl Service {
    fn segment(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Image => "image",
            Self::Volume => "volume",
            Self::Compute => "compute",
            Self::Network => "network",
            Self::Share => "share",
        }
    }
}

fn service(text: &str) -> Result<Service, String> {
    Service::from_str(text, false).map_err(|_| {
        "expected a service: identity, image, volume, compute, network or share".to_owned()
    })
}

fn spread(text: &str) -> Result<Spread, String> {
    let time = |text| {
        parse_duration(text).ok_or_else(|| "expected a time like 20ms, or 20ms..200ms".to_owned())
    };
    let (median, p99) = match text.split_once("..") {
        Some((median, p99)) => (time(median)?, time(p99)?),
        None => (time(text)?, time(text)?),
    };
    if p99 < median {
        return Err("the second time is the 99th percentile, and less than the median".to_owned());
    }
    Ok(Spread { median, p99 })
}

fn latency(text: &str) -> Result<(Option<Service>, Spread), String> {
    match text.split_once('=') {
        Some((name, time)) => Ok((Some(service(name)?), spread(time)?)),
        None => Ok((None, spread(text)?)),
    }
}

fn of_a_service(text: &str) -> Result<(Service, &str), String> {
    let (name, number) = text
        .split_once('=')
        .ok_or_else(|| "expected SERVICE=NUMBER".to_owned())?;
    Ok((service(name)?, number))
}

fn throughput(text: &str) -> Result<(Service, f64), String> {
    let (service, number) = of_a_service(text)?;
    let number: f64 = number.parse().unwrap_or_default();
    if number.is_finite() && number > 0.0 {
        Ok((service, number))
    } else {
        Err("expected a number of requests a second above 0".to_owned())
    }
}

fn page_size(text: &str) -> Result<(Service, usize), String> {
    let (service, number) = of_a_service(text)?;
    let number: usize = number.parse().unwrap_or_default();
    match (service, number) {
        (Service::Identity, _) => Err("lists of the identity service have no pages".to_owned()),
        (_, 0) => Err("expected a number above 0".to_owned()),
        _ => Ok((service, number)),
    }
}
