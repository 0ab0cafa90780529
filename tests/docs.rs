//! The pages under docs/ and beside the code: links lead somewhere, every page can be found, and the page of the
//! reasons knows all of them.
//!
//! Whether what they say is so is not asked here: tests/tutorial does the tutorial, tests/generated.rs compares what
//! is generated.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !path.is_symlink() {
            // What git leaves aside, and what a test of an editor or of the lab may have left.
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                pages(&path, found);
            }
        } else if path.extension().is_some_and(|it| it == "md") {
            found.insert(path);
        }
    }
}

fn all() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    pages(root(), &mut found);
    assert!(found.len() > 30, "only {} pages were found", found.len());
    found
}

/// The lines that are text rather than code, numbered from 1.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut code = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if !code {
            lines.push((index + 1, line));
        }
    }
    lines
}

/// Where the links of a line lead, those to other sites left out. What is between backquotes is no link.
fn links(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = line[from..].find("](").map(|at| from + at) {
        let rest = &line[at + 2..];
        let end = rest.find(')').unwrap_or(rest.len());
        let quoted = line[..at].matches('`').count() % 2 == 1;
        let target = &rest[..end];
        if !quoted && !target.contains("://") && !target.starts_with("mailto:") {
            found.push(target);
        }
        from = at + 2 + end;
    }
    found
}

/// What a heading is called in an address.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The page that a link leads to, or what is wrong with it.
fn follow(page: &Path, link: &str) -> Result<PathBuf, String> {
    let (path, section) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() {
        page.to_owned()
    } else {
        page.parent().unwrap().join(path)
    };
    let Ok(target) = target.canonicalize() else {
        return Err(format!("{link} is not there"));
    };
    if !section.is_empty() && target.extension().is_some_and(|it| it == "md") {
        let text = fs::read_to_string(&target).unwrap();
        let mut headings = prose(&text).into_iter().filter(|it| it.1.starts_with('#'));
        if !headings.any(|(_, line)| anchor(line) == section) {
            return Err(format!("{link}: no such section"));
        }
    }
    Ok(target)
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut faults = Vec::new();
    for page in all() {
        let text = fs::read_to_string(&page).unwrap();
        for (number, line) in prose(&text) {
            for link in links(line) {
                if let Err(fault) = follow(&page, link) {
                    faults.push(format!("{}:{number}: {fault}", page.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_page_of_docs_can_be_found_from_its_index() {
    let index = root().join("docs/README.md").canonicalize().unwrap();
    let (mut found, mut open) = (BTreeSet::from([index.clone()]), vec![index]);
    while let Some(page) = open.pop() {
        let text = fs::read_to_string(&page).unwrap();
        let targets = prose(&text).into_iter().flat_map(|(_, line)| links(line));
        for target in targets.filter_map(|link| follow(&page, link).ok()) {
            let is_page = target.extension().is_some_and(|it| it == "md");
            if is_page && found.insert(target.clone()) {
                open.push(target);
            }
        }
    }
    let docs = root().join("docs").canonicalize().unwrap();
    let mut pages_of_docs = BTreeSet::new();
    pages(&docs, &mut pages_of_docs);
    let lost: Vec<_> = pages_of_docs.difference(&found).collect();
    assert!(lost.is_empty(), "no link leads to {lost:#?}");
}

/// The words in double quotes in a piece of code that look like a reason: `"LookFailed"`.
fn reasons(code: &str) -> BTreeSet<&str> {
    let words = code.split('"').skip(1).step_by(2);
    words
        .filter(|word| {
            word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.chars().all(|c| c.is_ascii_alphabetic())
        })
        .collect()
}

/// The functions that begin with these words, each to the brace that ends it.
fn functions<'a>(code: &'a str, from: &'a str) -> impl Iterator<Item = &'a str> {
    let depth = from.len() - from.trim_start().len() - 1;
    let end = format!("\n{}}}\n", " ".repeat(depth));
    code.match_indices(from).map(move |(at, _)| {
        let rest = &code[at..];
        &rest[..rest.find(&end).expect(from)]
    })
}

/// The words in the first column of the table below a heading.
fn column<'a>(page: &'a str, heading: &str) -> BTreeSet<&'a str> {
    let (_, section) = page.split_once(heading).expect(heading);
    let section = section.split("\n## ").next().unwrap();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect()
}

#[test]
fn the_page_of_the_reasons_knows_all_of_them_and_no_others() {
    let page = fs::read_to_string(root().join("docs/reference/conditions.md")).unwrap();
    let code = fs::read_to_string(root().join("src/engine/reason.rs")).unwrap();
    let mut codes = functions(&code, "\n    pub const fn code(").map(reasons);
    let (waiting, blocker) = (codes.next().unwrap(), codes.next().unwrap());
    assert!(waiting.contains("Dependency") && blocker.contains("Frozen"));
    assert_eq!(column(&page, "\n## Waiting\n"), waiting);
    assert_eq!(column(&page, "\n## Blocked\n"), blocker);

    let code = fs::read_to_string(root().join("src/engine/status.rs")).unwrap();
    let told: BTreeSet<&str> = ["\nfn conditions(", "\nfn progressing(", "\nfn available("]
        .into_iter()
        .flat_map(|name| functions(&code, name).flat_map(reasons))
        .collect();
    assert!(told.contains("Available") && told.contains("TransientError"));
    let said: BTreeSet<&str> = column(&page, "\n## Conditions\n")
        .union(&column(&page, "\n## Their reasons\n"))
        .copied()
        .collect();
    assert_eq!(said, told);
}
