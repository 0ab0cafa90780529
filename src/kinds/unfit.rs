//! What a manifest asks of its kind that no spec of it can have, as problems of the manifest.

use serde_json::Value;

use crate::manifest::problem::Code;
use crate::manifest::{Manifest, Problem, Ref};

use super::Kind;
use super::field::Compare;
use super::need::{Declared, DeclaredWhat};

/// A key has one value: with two, each look would see another one than one of them.
pub(super) fn keys_given_twice<K: Kind>(
    manifest: &Manifest,
    base: &str,
    spec: &Value,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for field in K::FIELDS {
        let (Compare::Pairs(key, _), Some(pairs)) = (field.compare, spec[field.name].as_array())
        else {
            continue;
        };
        for (index, pair) in pairs.iter().enumerate() {
            let name = pair[key].as_str().unwrap_or_default();
            if pairs[..index].iter().any(|it| it[key] == name) {
                let pointer = format!("{base}/{}/{index}/{key}", field.name);
                let message = format!("the {key} `{name}` is given twice");
                problems.push(manifest.problem(&pointer, Code::InvalidValue, message, None));
            }
        }
    }
    problems
}

/// What cannot carry our marker, and has no key of its own either, cannot be taken over.
pub(super) fn unadoptable<K: Kind>(manifest: &Manifest) -> Option<Problem> {
    let asks = manifest.policy.adopt.is_some() && !K::ADOPTABLE;
    let message = format!(
        "a {} cannot be adopted: nothing of it can be changed",
        K::NAME
    );
    let hint = "refer to it by `import: {id: ...}` with managementPolicy: unmanaged".to_owned();
    asks.then(|| manifest.problem("/spec/adopt", Code::InvalidValue, message, Some(hint)))
}

/// In ORC's group a reference is the name of an object, nothing else.
pub(super) fn only_names(manifest: &Manifest, base: &str, need: &Declared) -> Option<Problem> {
    let DeclaredWhat::Object {
        reference: Ref::Id(_) | Ref::Filter(_),
        ..
    } = need.what
    else {
        return None;
    };
    Some(manifest.problem(
        &format!("{base}{}", need.pointer),
        Code::NativeField,
        "a reference in this API group is the name of an object",
        Some("use apiVersion stackward.dev/v1alpha1 for {id: ...} and {filter: ...}".to_owned()),
    ))
}
