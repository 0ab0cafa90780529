//! The shape of the house: who may use whom, who may do I/O, how long a file may be.
//!
//! Read from the sources as text; what a compiler can see is left to clippy.toml.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of src/, and the modules that it may use. Dependencies point down only.
const MAY_USE: &[(&str, &[&str])] = &[
    ("manifest", &[]),
    ("kinds", &["manifest"]),
    ("engine", &["kinds", "manifest", "zoo"]),
    ("files", &["manifest"]),
    ("cloud", &["kinds", "zoo"]),
    ("config", &["engine", "kinds", "manifest"]),
    ("store", &["engine", "kinds", "manifest", "zoo"]),
    (
        "daemon",
        &[
            "cloud", "config", "engine", "files", "kinds", "manifest", "store",
        ],
    ),
    ("sandbox", &[]),
    ("zoo", &[]),
    (
        "cli",
        &[
            "cloud", "config", "daemon", "engine", "kinds", "manifest", "sandbox", "store",
        ],
    ),
];

/// Of `kinds` the client may know requests as data, and nothing else.
const CLOUD_MAY_USE: &str = "crate::kinds::call";

const PURE: [&str; 3] = ["manifest", "kinds", "engine"];

/// What I/O, clocks and chance look like.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::env",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::process",
    "std::thread",
    "tokio",
    "reqwest",
    "axum",
    "tracing",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "fastrand::u",
    "Uuid::new_v4",
    "println!",
    "eprintln!",
];

const LONGEST: usize = 700;

struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

impl Source {
    /// Its lines that are no comments, numbered from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self
            .text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources(directory: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).unwrap();
                let first = below
                    .components()
                    .next()
                    .unwrap()
                    .as_os_str()
                    .to_str()
                    .unwrap();
                let module = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path, module, text });
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {}", root.display());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every `crate::module...` in a line.
fn uses(line: &str) -> Vec<&str> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let starts = line.match_indices("crate::").filter(|(at, _)| {
        // `$crate`, `other_crate`
        !line[..*at].ends_with(|c: char| c == '$' || c == '_' || c.is_ascii_alphanumeric())
    });
    starts
        .map(|(at, _)| {
            let rest = &line[at..];
            &rest[..rest.find(|c| !is_path(c)).unwrap_or(rest.len())]
        })
        .collect()
}

fn complain(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn dependencies_point_down_only() {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources("src") {
        if matches!(source.module.as_str(), "lib" | "main") {
            continue;
        }
        let allowed = MAY_USE.iter().find(|(module, _)| *module == source.module);
        let Some((module, allowed)) = allowed else {
            faults.push(format!(
                "{}: the module is not in the table",
                source.path.display()
            ));
            continue;
        };
        seen.insert(*module);
        for (number, line) in source.code() {
            for path in uses(line) {
                let target = path.split("::").nth(1).unwrap_or_default();
                let is_module = MAY_USE.iter().any(|(module, _)| *module == target);
                let client = *module == "cloud" && target == "kinds";
                let fine = !is_module || target == *module || allowed.contains(&target);
                if !fine || client && !path.starts_with(CLOUD_MAY_USE) {
                    faults.push(format!(
                        "{}:{number}: {module} uses {path}",
                        source.path.display()
                    ));
                }
            }
            if line.contains("crate::{") {
                let words = "write one `use` per module, so that the edges can be seen";
                faults.push(format!("{}:{number}: {words}", source.path.display()));
            }
        }
    }
    complain(&faults);
    assert_eq!(
        seen.len(),
        MAY_USE.len(),
        "a module of the table is not there"
    );
}

#[test]
fn core_is_pure() {
    let mut faults = Vec::new();
    for source in sources("src")
        .iter()
        .filter(|it| PURE.contains(&it.module.as_str()))
    {
        for (number, line) in source.code() {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{number}: {word}", source.path.display()));
            }
        }
    }
    complain(&faults);
}

#[test]
fn every_file_says_what_it_is_for_and_none_is_too_long() {
    let mut faults = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")) {
        if !source.text.starts_with("//! ") {
            faults.push(format!(
                "{}: it does not begin with `//!`",
                source.path.display()
            ));
        }
        let lines = source.text.lines().count();
        if lines > LONGEST {
            faults.push(format!(
                "{}: {lines} lines, {LONGEST} are allowed",
                source.path.display()
            ));
        }
    }
    complain(&faults);
}

#[test]
fn only_main_and_the_command_line_know_anyhow() {
    let sources = sources("src");
    let others = sources
        .iter()
        .filter(|it| it.module != "cli" && it.module != "main");
    let faults: Vec<String> = others
        .flat_map(|source| {
            source
                .code()
                .map(move |(number, line)| (source, number, line))
        })
        .filter(|(_, _, line)| line.contains("anyhow"))
        .map(|(source, number, _)| format!("{}:{number}: anyhow", source.path.display()))
        .collect();
    complain(&faults);
}
