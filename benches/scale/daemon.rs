//! The program that is measured.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cloud::{Cloud, http, text};
use crate::process::{Process, Usage};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stackward");

pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) address: String,
}

/// What a run with an end took.
pub(crate) struct Outcome {
    pub(crate) seconds: f64,
    pub(crate) usage: Usage,
}

fn command(cloud: &Cloud, directory: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["run", "--cloud", "bench", "--log-level", "warn"])
        .arg("--manifests")
        .arg(manifests(directory))
        .arg("--state-dir")
        .arg(directory.join("state"))
        .args(flags)
        .env("OS_CLIENT_CONFIG_FILE", &cloud.clouds);
    command
}

/// Where the manifests of a benchmark are.
pub(crate) fn manifests(directory: &Path) -> PathBuf {
    directory.join("manifests")
}

/// `run --once`, to its end.
pub(crate) fn once(cloud: &Cloud, directory: &Path, flags: &[&str]) -> Outcome {
    let began = Instant::now();
    let child = command(cloud, directory, flags)
        .args(["--once", "--timeout", "2h"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut process = Process(child);
    let mut usage = Usage::default();
    loop {
        usage = process.usage().unwrap_or(usage);
        if let Some(status) = process.0.try_wait().unwrap() {
            assert!(status.success(), "the run did not converge: {status}");
            let seconds = began.elapsed().as_secs_f64();
            return Outcome { seconds, usage };
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Daemon {
    pub(crate) fn start(cloud: &Cloud, directory: &Path, flags: &[&str]) -> Self {
        // A port that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let child = command(cloud, directory, flags)
            .args(["--listen", &address])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            process: Process(child),
            address,
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        self.process.usage().unwrap()
    }

    pub(crate) fn status(&self) -> Value {
        http(&self.address, "GET", "/status")
    }

    /// The value of a line of the metrics, 0 if there is none.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = text(&self.address, "GET", "/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.and_then(|value| value.trim().parse().ok())
            .unwrap_or(0.0)
    }

    /// How long it thought about events, from its own histogram: in how many of them at most 2 ms.
    pub(crate) fn print_thoughts(&self) {
        let name = "stackward_event_duration_seconds";
        for event in [
            "called", "recorded", "alarm", "listed", "desired", "publish",
        ] {
            let series = |end: &str, more: &str| {
                self.metric(&format!("{name}_{end}{{event=\"{event}\"{more}}}"))
            };
            let (count, sum) = (series("count", ""), series("sum", ""));
            if count > 0.0 {
                println!(
                    "    {event:<9} {count:>8} times, {:>8.3} ms on average, {:>5.1} % within 2 ms",
                    sum / count * 1000.0,
                    series("bucket", ",le=\"0.002\"") / count * 100.0
                );
            }
        }
    }

    /// Waits until everything is as its manifests say.
    pub(crate) fn settle(&self, objects: usize) {
        loop {
            let status = self.status();
            let all = status["objects"].as_object();
            let settled = |it: &&Value| it["reason"] == "InSync";
            let settled = all.map_or(0, |all| all.values().filter(settled).count());
            if settled == objects {
                return;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}
