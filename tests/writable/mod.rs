//! A daemon that takes writes through Kubernetes' API, and the ways to ask it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    reason = "it is a part of tests"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};

use super::site::{Daemon, PATIENCE, Site};

pub const VOLUMES: &str = "/apis/stackward.dev/v1alpha1/namespaces/default/volumes";
pub const SECRETS: &str = "/api/v1/namespaces/default/secrets";
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A daemon that takes writes.
pub struct Writable {
    pub site: Site,
    pub daemon: Daemon,
    pub address: String,
}

/// Status code, head, and what the body says.
pub struct Answer(pub u16, pub String, pub Value);

impl Writable {
    pub fn start(more: &[&str]) -> Self {
        Self::beside("", more)
    }

    /// The same with a manifest of the operator's own.
    pub fn beside(manifest: &str, more: &[&str]) -> Self {
        let site = Site::new(&[]);
        fs::write(site.manifests().join("own.yaml"), manifest).unwrap();
        Self::on(site, more)
    }

    pub fn on(site: Site, more: &[&str]) -> Self {
        let tokens = site.directory.path().join("tokens");
        fs::write(&tokens, format!("{TOKEN},writer\n")).unwrap();
        fs::set_permissions(&tokens, fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = site.command(&["run", "--manifests", "manifests", "--cloud", "sandbox"]);
        command.args(["--listen", "127.0.0.1:0", "--poll-interval", "1s"]);
        command.args(["--prune-grace", "0s", "--prune-allow-empty"]);
        if !more.contains(&"--prune-data-grace") {
            command.args(["--prune-data-grace", "0s"]);
        }
        command.args(["--api-write", "--api-token-file", "tokens"]);
        command.args(more);
        let daemon = Daemon::start(command);
        let line = daemon.line_with("metrics:   http");
        let rest = line.split("://").nth(1).unwrap();
        let address = rest.split('/').next().unwrap().to_owned();
        let writable = Self {
            site,
            daemon,
            address,
        };
        let end = Instant::now() + PATIENCE;
        while writable.ask("GET", VOLUMES, "").0 == 503 {
            assert!(Instant::now() < end, "it does not read its manifests");
        }
        writable
    }

    pub fn folder(&self) -> PathBuf {
        self.site.manifests().join("api")
    }

    /// The names of the files, hidden ones too.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    pub fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        send(&self.address, method, path, headers, body)
    }

    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        ask(&self.address, method, path, body)
    }

    pub fn patch(&self, path: &str, form: &str, body: &str) -> Answer {
        let headers =
            format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/{form}\r\n");
        self.send("PATCH", path, &headers, body)
    }

    pub fn get(&self, path: &str) -> Value {
        let Answer(code, _, body) = self.ask("GET", path, "");
        assert_eq!(code, 200, "{path}: {body}");
        body
    }

    pub fn until(&self, path: &str, is_it: impl Fn(u16, &Value) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let Answer(code, _, body) = self.ask("GET", path, "");
            if is_it(code, &body) {
                return;
            }
            assert!(Instant::now() < end, "{path}: {code} {body}");
        }
    }
}

pub fn send(address: &str, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    exchange(stream, method, path, headers, body)
}

pub fn ask(address: &str, method: &str, path: &str, body: &str) -> Answer {
    let headers = format!("Authorization: Bearer {TOKEN}\r\n");
    send(address, method, path, &headers, body)
}

pub fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    // The server may hang up before all of it is sent.
    let _: std::io::Result<()> = write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    Answer(code, head.to_owned(), body)
}

pub fn volume(name: &str, size: u32) -> String {
    json!({"apiVersion": "stackward.dev/v1alpha1", "kind": "Volume", "metadata": {"name": name},
        "spec": {"resource": {"size": size}}})
    .to_string()
}
