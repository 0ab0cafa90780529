//! What `stackward validate` says to the people who made the mistakes of `tests/diagnostics`.
//!
//! A case is a file, or a directory of files, with one mistake (a few have several). Beside it stands
//! what the program says, to the letter. Independent of that text each case says where a person
//! expects the problems: in lines `# expect: LINE:COLUMN CODE WORDS` at its head, or in a file
//! `.expect` where comments cannot be. `WORDS` are what the carets must be under, `(hidden)` if the
//! line may hold a secret or is not text, and must not be shown.
//!
//! `UPDATE=1 cargo test --test diagnostics` rewrites the texts, never the expectations; read the
//! difference before it is committed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails says where"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One mistake, or a few.
struct Case {
    name: String,
    /// The files, their paths relative to the case.
    files: Vec<(String, Vec<u8>)>,
}

/// Where a problem is expected, or was found.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: String,
    line: usize,
    column: usize,
    code: String,
    /// What the carets are under.
    words: String,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn cases() -> Vec<Case> {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    let is_case = |path: &&PathBuf| {
        path.is_dir()
            || path
                .extension()
                .is_some_and(|it| it == "yaml" || it == "json")
    };
    let case = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut files = Vec::new();
        if path.is_dir() {
            collect(path, "", &mut files);
        } else {
            files.push((name.clone(), fs::read(path).unwrap()));
        }
        Case { name, files }
    };
    entries.iter().filter(is_case).map(case).collect()
}

fn collect(directory: &Path, below: &str, files: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else {
            files.push((name, fs::read(&path).unwrap()));
        }
    }
}

impl Case {
    fn beside(&self, extension: &str) -> PathBuf {
        directory().join(Path::new(&self.name).with_extension(extension))
    }

    /// A directory with its files in it, and nothing else.
    fn laid_out(&self) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        for (name, bytes) in &self.files {
            let path = place.path().join("manifests").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        place
    }

    fn expected(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (file, bytes) in &self.files {
            let text = String::from_utf8_lossy(bytes);
            let lines = text
                .lines()
                .filter_map(|line| line.strip_prefix("# expect: "));
            places.extend(lines.map(|line| place(file, line)));
        }
        if let Ok(text) = fs::read_to_string(self.beside("expect")) {
            let lines = text
                .lines()
                .map(|line| line.strip_prefix("expect: ").unwrap());
            places.extend(lines.map(|line| place(&self.files[0].0, line)));
        }
        places.sort();
        places
    }

    /// What the program found, as it tells editors.
    fn found(&self, report: &Value) -> Vec<Place> {
        let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let place = |problem: &Value| {
            let file = problem["file"].as_str().unwrap_or_default().to_owned();
            let (line, column) = match &problem["line"] {
                Value::Null => (0, 0),
                line => (number(line), number(&problem["column"])),
            };
            let words = match &problem["endColumn"] {
                Value::Null if line == 0 => String::new(),
                Value::Null => "(hidden)".to_owned(),
                end => self.words(&file, line, column, number(end)),
            };
            Place {
                words,
                file,
                line,
                column,
                code: problem["code"].as_str().unwrap().to_owned(),
            }
        };
        let mut places: Vec<Place> = report["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(place)
            .collect();
        places.sort();
        places
    }

    fn words(&self, file: &str, line: usize, column: usize, end: usize) -> String {
        let Some((_, bytes)) = self.files.iter().find(|(name, _)| name == file) else {
            return String::new();
        };
        let text = String::from_utf8_lossy(bytes);
        let line = text.split('\n').nth(line - 1).unwrap_or_default();
        line.chars()
            .skip(column - 1)
            .take(end - column)
            .collect::<String>()
            .trim_end()
            .to_owned()
    }
}

fn place(file: &str, line: &str) -> Place {
    let mut parts = line.splitn(3, ' ');
    let mut number = parts
        .next()
        .unwrap()
        .split(':')
        .map(|it| it.parse().unwrap());
    let line = number.next().unwrap();
    Place {
        // Line 0 is that of no file.
        file: if line == 0 {
            String::new()
        } else {
            file.to_owned()
        },
        line,
        column: number.next().unwrap(),
        code: parts.next().unwrap().to_owned(),
        words: parts.next().unwrap_or_default().to_owned(),
    }
}

/// What the program says: to stderr, to stdout, and how it ends.
fn validate(place: &tempfile::TempDir, arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_stackward"))
        .current_dir(place.path())
        .env_clear()
        .arg("validate")
        .args(arguments)
        .arg("manifests")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        text(output.stderr),
        text(output.stdout),
        output.status.code(),
    )
}

#[test]
fn every_mistake_is_told_at_its_place_and_with_a_remedy() {
    let update = std::env::var_os("UPDATE").is_some();
    assert!(
        !update || std::env::var_os("CI").is_none(),
        "texts are rewritten by people only"
    );
    let cases = cases();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut faults = String::new();
    for case in &cases {
        let place = case.laid_out();
        let (told, summary, status) = validate(&place, &[]);
        let (_, report, _) = validate(&place, &["-o", "json"]);
        let report: Value = serde_json::from_str(&report).unwrap();
        let real = fs::canonicalize(place.path()).unwrap();
        let text = format!("{told}{summary}").replace(real.to_str().unwrap(), "/site");

        let (expected, found) = (case.expected(), case.found(&report));
        if expected != found {
            writeln!(faults, "--- {}: expected {expected:#?}\n{text}", case.name).unwrap();
        }
        let golden = case.beside("txt");
        if update {
            fs::write(&golden, &text).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != text {
            writeln!(faults, "--- {} is told differently now:\n{text}", case.name).unwrap();
        }
        let errors = report["errors"].as_u64().unwrap();
        if status != Some(i32::from(errors > 0)) {
            writeln!(faults, "--- {} ends with {status:?}", case.name).unwrap();
        }
        for problem in report["problems"].as_array().unwrap() {
            let message = problem["message"].as_str().unwrap();
            if problem["hint"].is_null() && !message.contains("expected ") {
                writeln!(faults, "--- {}: no remedy: {message}", case.name).unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn each_kind_has_a_case() {
    let mut kinds: BTreeSet<&str> = stackward::kinds::KINDS
        .iter()
        .map(|kind| kind.name())
        .collect();
    kinds.extend(["Secret", "ConfigMap", "List"]);
    for case in cases() {
        for (_, bytes) in &case.files {
            let text = String::from_utf8_lossy(bytes);
            for line in text.lines() {
                let kind = line.trim().trim_end_matches(',').replace('"', "");
                kinds.remove(kind.strip_prefix("kind: ").unwrap_or_default());
            }
        }
    }
    assert!(kinds.is_empty(), "no case for {kinds:?}");
}

#[test]
fn no_secret_of_a_case_is_shown() {
    for case in cases() {
        let place = case.laid_out();
        for arguments in [&["-o", "text"], &["-o", "json"]] {
            let (told, summary, _) = validate(&place, arguments);
            for secret in ["hunter2", "b3BlbnNzaC1rZXk", "8675309"] {
                let shown = told.contains(secret) || summary.contains(secret);
                assert!(!shown, "{}: {told}{summary}", case.name);
            }
        }
    }
}

#[test]
fn no_text_or_expectation_is_left_of_a_case_that_is_gone() {
    let names: BTreeSet<PathBuf> = cases()
        .iter()
        .flat_map(|case| {
            [
                case.beside("txt"),
                case.beside("expect"),
                directory().join(&case.name),
            ]
        })
        .collect();
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        assert!(
            names.contains(&path),
            "{} belongs to no case",
            path.display()
        );
    }
}
