//! Manifest files: any text is read, objects or problems come out, and no problem steers the terminal of who reads it.

#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use stackward::engine::desired::{Draft, FileAnswer};
use stackward::engine::scope::Scope;
use stackward::kinds::KINDS;
use stackward::kinds::need::Reading;
use stackward::manifest::parse::{Kinds, parse};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let shapes: Vec<_> = KINDS
        .iter()
        .map(|kind| (kind.name(), kind.shape()))
        .collect();
    let (manifests, problems) = parse("file.yaml", text, Kinds(&shapes));
    let draft = Draft::new(manifests, problems, None);
    let files = draft.files();
    let answers = files.iter().map(|need| {
        Ok(match need.reading {
            Reading::Stream => FileAnswer::Path(PathBuf::from("/file")),
            Reading::Text(_) => FileAnswer::Text("text".into()),
        })
    });
    let desired = draft.finish(answers.collect(), &Scope::new("cloud"));
    for problem in &desired.problems {
        let shown = problem.to_string();
        assert!(
            !shown.chars().any(|c| c.is_control() && c != '\n'),
            "{shown:?}"
        );
    }
});
