//! A file's text to manifests and problems. Never stops at the first problem.

use std::sync::Arc;

use serde_json::Value;

use super::problem::{Code, Problem};
use super::{Manifest, documents, object};

/// The kinds that may be declared, beside Secret and ConfigMap.
#[derive(Debug, Clone, Copy)]
pub struct Kinds<'a>(pub &'a [(&'a str, Shape)]);

/// How the `spec` of a kind is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The resource in `spec.resource`, or an `import` in its place.
    Enveloped,
    /// The resource's fields directly in `spec` (RouterInterface).
    Flat,
}

impl<'a> Kinds<'a> {
    pub(super) fn shape(self, kind: &str) -> Option<Shape> {
        self.0
            .iter()
            .find(|(name, _)| *name == kind)
            .map(|&(_, shape)| shape)
    }

    pub(super) fn names(self) -> Vec<&'a str> {
        self.0.iter().map(|&(name, _)| name).collect()
    }
}

/// Reads the text of one file: YAML or JSON, any number of documents, lists of objects.
///
/// What is wrong with one object is a [`Problem`] and does not keep the others from being read.
/// Guarantees: an object of which nothing is returned is covered by an error whose `hides` says so.
#[must_use]
pub fn parse(file: &str, text: &str, kinds: Kinds<'_>) -> (Vec<Manifest>, Vec<Problem>) {
    let file: Arc<str> = file.into();
    let (documents, mut problems) = documents::read(&file, text);
    let mut manifests = Vec::new();
    for document in documents {
        let (found, faults) = object::read(&document.value, document.places, kinds);
        manifests.extend(found);
        problems.extend(faults);
    }
    problems.sort_by(|a, b| a.origin.cmp(&b.origin));
    (manifests, problems)
}

/// What a text of one document says, for whoever changes it: not yet an object, nor one that is right.
///
/// # Errors
/// It is no document, or not the only one.
pub fn document(file: &str, text: &str) -> Result<Value, Vec<Problem>> {
    let (mut documents, problems) = documents::read(&file.into(), text);
    match (documents.pop(), problems.is_empty()) {
        (Some(only), true) if documents.is_empty() => Ok(only.value),
        (_, false) => Err(problems),
        _ => {
            let message = "not exactly one document";
            Err(vec![Problem::error(Code::NotAnObject, message)])
        }
    }
}

/// The two problems of objects that share an identity: each names the other's place, and neither
/// object may be used, since it cannot be known which one is meant.
#[must_use]
pub fn duplicates(one: &Manifest, other: &Manifest) -> [Problem; 2] {
    let problem = |of: &Manifest, also: &Manifest| {
        let message = format!("declared twice, also at {}", also.origin);
        Problem::error(Code::DuplicateObject, message)
            .at(of.origin.clone())
            .about(of.key.clone())
            .hint("rename one of them, or remove it")
    };
    [problem(one, other), problem(other, one)]
}
