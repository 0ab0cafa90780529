//! The generated pages are those of this code. `UPDATE=1 cargo test --test generated` rewrites them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use stackward::cli::pages;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference")
}

fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

#[test]
fn the_generated_pages_are_current_and_there_are_no_others() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wanted = BTreeSet::new();
    let mut stale = Vec::new();
    for page in pages() {
        let path = reference().join(&page.path);
        if fs::read_to_string(&path).ok().as_deref() != Some(&page.text) {
            if update {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &page.text).unwrap();
            } else {
                stale.push(path.clone());
            }
        }
        wanted.insert(path);
    }
    for path in files(&reference()).difference(&wanted) {
        if update {
            fs::remove_file(path).unwrap();
        } else {
            stale.push(path.clone());
        }
    }
    let words = "are not what this code generates; UPDATE=1 cargo test --test generated";
    assert!(stale.is_empty(), "{stale:#?} {words}");
}
