//! Problems of manifests, each with the line that it is about, for people and for programs.

#![expect(
    clippy::disallowed_methods,
    reason = "the line is read from the file that it is in"
)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use owo_colors::Style;
use serde_json::{Value, json};

use crate::manifest::Problem;
use crate::manifest::render::Looks;

/// Problems as a person reads them, the texts of their files given.
pub(super) fn render(problems: &[Problem], texts: &HashMap<Arc<str>, String>) -> String {
    problems
        .iter()
        .map(|problem| format!("{}\n", problem.render_in(text(problem, texts), &looks())))
        .collect()
}

/// One problem; its file is read again, and may have changed or gone in the meantime.
pub(super) fn render_from(problem: &Problem, directory: &Path) -> String {
    let text = problem
        .origin
        .as_ref()
        .and_then(|origin| std::fs::read_to_string(directory.join(&*origin.file)).ok());
    problem.render_in(text.as_deref(), &looks())
}

/// Problems as an editor reads them; `docs/reference/validate.md` describes it.
pub(super) fn report(problems: &[Problem], texts: &HashMap<Arc<str>, String>) -> Value {
    let described = problems.iter().map(|problem| {
        let mut described = json!({
            "severity": problem.severity,
            "code": problem.code,
            "message": problem.message,
        });
        if let Some(hint) = &problem.hint {
            described["hint"] = json!(hint);
        }
        if let Some(key) = &problem.object {
            let (kind, namespace, name) = (&key.kind, &key.namespace, &key.name);
            described["object"] = json!({"kind": kind, "namespace": namespace, "name": name});
        }
        if let Some(origin) = &problem.origin {
            described["file"] = json!(&*origin.file);
            described["line"] = json!(origin.line);
            described["column"] = json!(origin.column);
            if let Some(end) = problem.end_column(text(problem, texts)) {
                described["endColumn"] = json!(end);
            }
        }
        described
    });
    described.collect()
}

fn text<'t>(problem: &Problem, texts: &'t HashMap<Arc<str>, String>) -> Option<&'t str> {
    let origin = problem.origin.as_ref()?;
    texts.get(&origin.file).map(String::as_str)
}

fn looks() -> Looks {
    Looks {
        error: Style::new().red().bold(),
        warning: Style::new().yellow().bold(),
        margin: Style::new().blue(),
        hint: Style::new().green(),
    }
}
