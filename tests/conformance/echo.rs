//! Whether an answer shows what a list shows. The engine takes the answers of some kinds for looks
//! (`Kind::ANSWERS_WHOLE`): a field that one of them left out would look like drift.

use serde_json::Value;
use stackward::kinds::call::{Method, Reply};
use stackward::kinds::erased::{AnyKind, Found};
use stackward::kinds::{Attached, KINDS};

use super::cloud::{Answer, Request};

/// An answer that shows a resource as a whole.
pub(crate) struct Echo {
    pub(crate) kind: &'static dyn AnyKind,
    shown: Found,
}

/// What the answer to this request shows, if it is to a create or an update of a kind whose answers do.
pub(crate) fn echo(request: &Request, path: &str, answer: &Answer) -> Option<Echo> {
    let writes = ["POST", "PUT", "PATCH"].contains(&request.method.as_str());
    if !writes || answer.status >= 300 {
        return None;
    }
    let (collection, id) = path.split_once('/').unwrap_or((path, ""));
    if id.contains('/') {
        return None;
    }
    let mut kinds = KINDS.iter().filter(|kind| kind.answers_whole());
    let kind = kinds.find(|kind| {
        let one = kind.read("x");
        one.method == Method::Get && one.path == format!("{collection}/x")
    })?;
    let reply = Reply {
        status: answer.status,
        body: answer.body.clone(),
        request_id: None,
    };
    let shown = kind.look(kind.item("", &reply)).ok()?;
    Some(Echo { kind: *kind, shown })
}

impl Echo {
    /// The list that should show the same.
    pub(crate) fn list(&self, request: &Request, base: &str) -> Request {
        let kept = |(name, _): &&(String, String)| name != "Content-Type";
        Request {
            method: "GET".to_owned(),
            url: format!("{base}/{}", self.kind.list().path),
            headers: request.headers.iter().filter(kept).cloned().collect(),
            body: None,
        }
    }

    /// How the list shows another thing than the answer, if it does.
    pub(crate) fn difference(&self, list: &Answer) -> Option<String> {
        let items = list.body[self.kind.list().items].as_array();
        let mut found = items.into_iter().flatten();
        let found = found.find_map(|item| {
            let found = self.kind.look(item.clone()).ok()?;
            (found.id == self.shown.id).then_some(found)
        });
        let Some(found) = found else {
            return Some(format!("the list does not have {}", self.shown.id));
        };
        let (answer, list) = (self.said(&self.shown), self.said(&found));
        (answer != list).then(|| format!("the answer shows {answer:?}, the list {list:?}"))
    }

    /// All that is compared with a manifest, and all that tells whose it is.
    fn said(&self, found: &Found) -> (Value, String) {
        let identity = (
            &found.name,
            &found.project,
            found.marker.map(|it| it.to_string()),
            &found.natural_key,
            &found.attached_to,
        );
        let mut spec = self.kind.project(found, &Attached::default());
        sort(&mut spec);
        (spec, format!("{identity:?}"))
    }
}

/// Services keep no order: Neutron's rules come in any.
fn sort(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(sort);
            items.sort_by_cached_key(Value::to_string);
        }
        Value::Object(fields) => fields.values_mut().for_each(sort),
        _ => {}
    }
}
