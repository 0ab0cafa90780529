//! The simulated cloud, in a process of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::Process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_stackward");

pub(crate) struct Cloud {
    pub(crate) process: Process,
    pub(crate) address: String,
    pub(crate) clouds: PathBuf,
}

/// How often each route was asked: (method, route) -> count.
pub(crate) type Requests = BTreeMap<(String, String), u64>;

impl Cloud {
    /// Starts one with these flags; its clouds.yaml has the cloud `bench`, since `sandbox` is the one inside of the
    /// program.
    pub(crate) fn start(directory: &Path, flags: &[&str]) -> Self {
        let clouds = directory.join("clouds.yaml");
        let mut child = Command::new(PROGRAM)
            .args(["sandbox", "--listen", "127.0.0.1:0", "--no-quotas"])
            .args(flags)
            .arg("--write-clouds")
            .arg(&clouds)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = first.rsplit_once("http://").unwrap().1;
        let address = address.trim_end_matches('/').to_owned();
        lines.next().unwrap().unwrap();
        let text = fs::read_to_string(&clouds).unwrap();
        fs::write(&clouds, text.replacen("  sandbox:", "  bench:", 1)).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process: Process(child),
            address,
            clouds,
        }
    }

    /// Forgets what was asked so far.
    pub(crate) fn reset(&self) {
        http(&self.address, "POST", "/sandbox/reset");
    }

    pub(crate) fn requests(&self) -> Requests {
        let answer = http(&self.address, "GET", "/sandbox/requests");
        let rows = answer["requests"].as_array().unwrap();
        rows.iter()
            .filter(|row| row["service"] != "sandbox")
            .map(|row| {
                let text = |name: &str| row[name].as_str().unwrap().to_owned();
                let route = text("service") + &text("route");
                ((text("method"), route), row["count"].as_u64().unwrap())
            })
            .collect()
    }
}

/// How many of them only read.
pub(crate) fn reads(requests: &Requests) -> u64 {
    let reads = requests.iter().filter(|((method, _), _)| method == "GET");
    reads.map(|(_, count)| count).sum()
}

/// How many of them change something; a token is nothing that changes.
pub(crate) fn writes(requests: &Requests) -> u64 {
    let is_write = |(method, route): &(String, String)| {
        method != "GET" && method != "HEAD" && !route.ends_with("/auth/tokens")
    };
    let writes = requests.iter().filter(|(request, _)| is_write(request));
    writes.map(|(_, count)| count).sum()
}

/// What an address says, as JSON; `Null` if it says nothing.
pub(crate) fn http(address: &str, method: &str, path: &str) -> Value {
    serde_json::from_str(&text(address, method, path)).unwrap_or_default()
}

/// What an address says; nothing if nobody is there.
pub(crate) fn text(address: &str, method: &str, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return String::new();
    };
    // HTTP/1.0, so that the body is not sent in pieces.
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    body.to_owned()
}
