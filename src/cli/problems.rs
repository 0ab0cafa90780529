//! Problems of manifests, each with the line that it is about.

#![expect(
    clippy::disallowed_methods,
    reason = "the line is read from the file that it is in"
)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::manifest::Problem;

/// Problems as a person reads them, the texts of their files given.
pub(super) fn render(problems: &[Problem], texts: &HashMap<Arc<str>, String>) -> String {
    let text = |problem: &Problem| {
        let origin = problem.origin.as_ref()?;
        texts.get(&origin.file).map(String::as_str)
    };
    problems
        .iter()
        .map(|problem| format!("{}\n", problem.render(text(problem))))
        .collect()
}

/// One problem; its file is read again, and may have changed or gone in the meantime.
pub(super) fn render_from(problem: &Problem, directory: &Path) -> String {
    let text = problem
        .origin
        .as_ref()
        .and_then(|origin| std::fs::read_to_string(directory.join(&*origin.file)).ok());
    problem.render(text.as_deref())
}
