//! What tests of the real program share: a directory to run it in, the simulated cloud as a server,
//! and a daemon in the background.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use stackward::sandbox::{Clock, Options, Running, Sandbox};
use tempfile::TempDir;

/// A test that has not seen what it waits for by then has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with manifests, a state directory, and a clouds.yaml.
pub struct Site {
    pub directory: TempDir,
}

impl Site {
    pub fn new(volumes: &[(&str, u32)]) -> Self {
        let site = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(site.manifests()).unwrap();
        for (name, size) in volumes {
            site.volume(name, *size);
        }
        site
    }

    pub fn manifests(&self) -> PathBuf {
        self.directory.path().join("manifests")
    }

    pub fn volume(&self, name: &str, size: u32) {
        let text = format!(
            "apiVersion: stackward.dev/v1alpha1\nkind: Volume\nmetadata:\n  name: {name}\n\
             spec:\n  resource:\n    size: {size}\n"
        );
        fs::write(self.manifests().join(format!("{name}.yaml")), text).unwrap();
    }

    pub fn clouds(&self, text: &str) {
        fs::write(self.directory.path().join("clouds.yaml"), text).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackward"));
        command.current_dir(self.directory.path()).env_clear();
        command
            .env("HOME", self.directory.path())
            .env("OS_CLIENT_CONFIG_FILE", "clouds.yaml");
        command.args(arguments).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

pub async fn cloud() -> Running {
    let options = Options {
        clock: Clock::Fast,
        ..Options::default()
    };
    Sandbox::start(options, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .unwrap()
}

pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Requests that are neither reads nor logins.
pub fn writes(cloud: &Running) -> Vec<String> {
    let requests = cloud.requests();
    let writes = requests
        .iter()
        .filter(|it| it.method != "GET" && !it.route.contains("tokens"));
    writes
        .map(|it| format!("{} {} x{}", it.method, it.route, it.count))
        .collect()
}

pub fn reads(cloud: &Running) -> u64 {
    let requests = cloud.requests();
    requests
        .iter()
        .filter(|it| it.method == "GET" && it.route.contains("volumes"))
        .map(|it| it.count)
        .sum()
}

pub fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A daemon in the background. It is killed when the test ends.
pub struct Daemon {
    pub child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Daemon {
    pub fn start(command: Command) -> Self {
        Self::start_to(command, Stdio::inherit())
    }

    /// The same with a place for its log.
    pub fn start_to(mut command: Command, log: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    pub fn line_with(&self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(line) = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line with `{part}` in {seen:#?}");
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    pub fn end(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::yield_now();
        }
        panic!("the daemon does not end");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<_> = self.child.wait();
    }
}

pub const RUN: [&str; 7] = [
    "run",
    "--manifests",
    "manifests",
    "--cloud",
    "sandbox-admin",
    "--state-dir",
    "state",
];

pub fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    RUN.iter().copied().chain(more.iter().copied()).collect()
}
