//! How a large deployment converges on the sandbox: time, requests, memory, requests in flight.
//!
//! `cargo bench --bench converge [-- VOLUMES SERVERS IMAGE_MIB]`, by default 1000, 500 and 1024.
//!
//! The program itself is run, as a user would run it, beside a sandbox in a process of its own.
//! Figures are printed, nothing is asserted of them: they depend on the machine. What is asserted
//! is the end: everything Available, each resource once.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_stackward");

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|it| it.parse().ok())
        .collect();
    let number = |index: usize, default| numbers.get(index).copied().unwrap_or(default);
    let (volumes, servers, image) = (number(0, 1000), number(1, 500), number(2, 1024));
    let directory = tempfile::tempdir().unwrap();
    let clouds = directory.path().join("clouds.yaml");
    let mut sandbox = Sandbox(
        Command::new(PROGRAM)
            .args([
                "sandbox",
                "--listen",
                "127.0.0.1:0",
                "--clock",
                "fast",
                "--write-clouds",
            ])
            .arg(&clouds)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let address = first_address(&mut sandbox.0);
    let manifests = directory.path().join("manifests");
    write_manifests(&manifests, volumes, servers, image);
    println!("{volumes} volumes, {servers} servers, 2 images of {image} MiB");

    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>10} {:>10}",
        "pass", "seconds", "cpu s", "peak MiB", "GETs", "writes"
    );
    for pass in ["first", "second"] {
        reset(&address);
        let outcome = run(&manifests, &directory.path().join("state"), &clouds);
        let (gets, writes) = requests(&address);
        println!(
            "{pass:<22} {:>9.1} {:>9.1} {:>9} {gets:>10} {writes:>10}",
            outcome.seconds,
            outcome.cpu,
            outcome.peak / 1024
        );
    }
    let counts = collections(&address);
    for (route, count) in counts {
        println!("  second pass: {count:>4} x GET {route}");
    }
}

/// The simulated cloud's process; it ends with the benchmark, however that ends.
struct Sandbox(Child);

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.0.kill();
        let _: std::io::Result<_> = self.0.wait();
    }
}

struct Outcome {
    seconds: f64,
    cpu: f64,
    peak: u64,
}

fn run(manifests: &Path, state: &Path, clouds: &Path) -> Outcome {
    let began = Instant::now();
    let mut child = Command::new(PROGRAM)
        .args(["run", "--once", "--cloud", "sandbox-bench", "--manifests"])
        .arg(manifests)
        .arg("--state-dir")
        .arg(state)
        .env("OS_CLIENT_CONFIG_FILE", clouds)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (mut peak, mut cpu) = (0, 0.0);
    let status = loop {
        if let Some((memory, seconds)) = usage(child.id()) {
            peak = peak.max(memory);
            cpu = seconds;
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "the run did not converge: {status}");
    Outcome {
        seconds: began.elapsed().as_secs_f64(),
        cpu,
        peak,
    }
}

/// Peak memory in KiB and CPU time in seconds of a process, from /proc.
fn usage(pid: u32) -> Option<(u64, f64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
    Some((line.split_whitespace().nth(1)?.parse().ok()?, ticks / 100.0))
}

fn write_manifests(root: &Path, volumes: u64, servers: u64, image: u64) {
    fs::create_dir_all(root).unwrap();
    let envelope = "apiVersion: stackward.dev/v1alpha1\n";
    let mut text = String::new();
    for name in ["base", "spare"] {
        let file = fs::File::create(root.join(format!("{name}.raw"))).unwrap();
        file.set_len(image << 20).unwrap();
        writeln!(
            text,
            "---\n{envelope}kind: Image\nmetadata: {{name: {name}}}\nspec: {{resource: {{content: \
             {{diskFormat: raw, file: {name}.raw}}}}}}"
        )
        .unwrap();
    }
    for index in 0..volumes {
        writeln!(
            text,
            "---\n{envelope}kind: Volume\nmetadata: {{name: v{index}}}\nspec: {{resource: {{size: 1}}}}"
        )
        .unwrap();
    }
    for index in 0..servers {
        writeln!(
            text,
            "---\n{envelope}kind: Server\nmetadata: {{name: s{index}}}\nspec:\n  resource:\n    \
             imageRef: base\n    flavorRef: {{filter: {{name: m1.tiny}}}}\n    networks: \
             [{{networkRef: {{filter: {{name: shared}}}}}}]\n    volumes: [{{volumeRef: v{index}, device: /dev/vdb}}]"
        )
        .unwrap();
    }
    fs::write(root.join("all.yaml"), text).unwrap();
}

/// The address that the sandbox says it has, and its clouds.yaml under another name, so that the
/// program does not take it for the one inside of itself.
fn first_address(sandbox: &mut Child) -> String {
    let mut lines = BufReader::new(sandbox.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = first
        .rsplit_once("http://")
        .unwrap()
        .1
        .trim_end_matches('/')
        .to_owned();
    let path = lines.next().unwrap().unwrap();
    let path = path.rsplit_once('=').unwrap().1;
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, text.replacen("  sandbox:", "  sandbox-bench:", 1)).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    address
}

fn http(address: &str, method: &str, path: &str) -> serde_json::Value {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let body = text
        .split_once("\r\n\r\n")
        .map(|(_, body)| body)
        .unwrap_or_default();
    let json = body
        .find(['[', '{'])
        .map(|begin| &body[begin..=body.rfind([']', '}']).unwrap()]);
    json.map_or(serde_json::Value::Null, |json| {
        serde_json::from_str(json).unwrap()
    })
}

fn reset(address: &str) {
    http(address, "POST", "/sandbox/reset");
}

fn requests(address: &str) -> (u64, u64) {
    let (mut gets, mut writes) = (0, 0);
    for row in rows(address) {
        if row.0 == "GET" {
            gets += row.2;
        } else if !row.1.ends_with("/auth/tokens") {
            writes += row.2;
        }
    }
    (gets, writes)
}

fn collections(address: &str) -> BTreeMap<String, u64> {
    rows(address)
        .into_iter()
        .filter(|(method, _, _)| method == "GET")
        .map(|(_, route, count)| (route, count))
        .collect()
}

fn rows(address: &str) -> Vec<(String, String, u64)> {
    let answer = http(address, "GET", "/sandbox/requests");
    let rows = answer
        .as_array()
        .or_else(|| answer["requests"].as_array())
        .cloned()
        .unwrap_or_default();
    rows.iter()
        .filter(|row| row["service"] != "sandbox")
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            (
                text("method"),
                text("service") + &text("route"),
                row["count"].as_u64().unwrap_or(0),
            )
        })
        .collect()
}
