//! Does a step ask what a kind asks? Held by every simulated run: a request that is in no story, or sends a field
//! that no step sends, has never been compared with a real cloud.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;
use stackward::kinds::call::{Body, Call, List, Service};

use super::story::{self, Step};

/// The lab has no Manila: no step could be compared with a real one.
const UNSERVED: Service = Service::SharedFileSystem;

/// A field of an extension that the lab lacks too: distributed routers need a host with Open vSwitch.
const UNSERVED_FIELD: &str = "router.distributed";

/// What no step asks of what this call asks, if anything.
pub(crate) fn lacking(call: &Call) -> Option<String> {
    let service = call.service.as_str();
    if call.service == UNSERVED {
        return None;
    }
    let asked = asked(service, call.method.as_str(), &call.path);
    let what = format!("{} {} of {service}", call.method.as_str(), call.route);
    let hint = "add it to tests/conformance, and see what a real cloud answers";
    if asked.is_empty() {
        return Some(format!("no step asks {what}: {hint}"));
    }
    let Body::Json(body) = &call.body else {
        return None;
    };
    let sent: BTreeSet<String> = asked
        .iter()
        .flat_map(|step| step.body.iter().flat_map(|it| fields(&call.path, it)))
        .collect();
    let lost =
        fields(&call.path, body).find(|field| !sent.contains(field) && field != UNSERVED_FIELD)?;
    Some(format!("no step sends `{lost}` with {what}: {hint}"))
}

/// The same for a list.
pub(crate) fn lacking_list(list: &List) -> Option<String> {
    let service = list.service.as_str();
    let path = list.path;
    if list.service == UNSERVED {
        return None;
    }
    asked(service, "GET", path)
        .is_empty()
        .then(|| format!("no step lists {path} of {service}: add it to tests/conformance"))
}

/// Whether a step asks this after another one did, and is answered like this.
pub(crate) fn is_asked(service: Service, ask: &str, status: u16) -> bool {
    let (method, path) = ask.split_once(' ').unwrap_or_default();
    let fits = |(its, step): &&(String, Step)| its == service.as_str() && fits(step, method, path);
    let mut all = STEPS.iter().filter(fits).map(|(_, step)| step.status);
    all.any(|it| it < 300) && all.any(|it| it == status)
}

/// The steps that ask this and are answered, whatever the ids are. What is refused shows nothing of what is taken.
fn asked(service: &str, method: &str, path: &str) -> Vec<&'static Step> {
    let steps = STEPS.iter().filter(|(its, _)| its == service);
    let steps = steps.map(|(_, step)| step).filter(|step| step.status < 300);
    steps.filter(|step| fits(step, method, path)).collect()
}

/// Every step, with the service that it asks.
static STEPS: LazyLock<Vec<(String, Step)>> = LazyLock::new(|| {
    let steps = story::read().into_iter().flat_map(|story| {
        let own = match story.name {
            "users" => "identity",
            "network-admin" => "network",
            name => name,
        };
        story.steps.into_iter().map(move |step| {
            let service = step.parts().1.unwrap_or(own).to_owned();
            (service, step)
        })
    });
    steps.collect()
});

fn fits(step: &Step, method: &str, path: &str) -> bool {
    let (its_method, _, target) = step.parts();
    let template = target.split('?').next().unwrap_or_default();
    let any = |part: &str| part.contains('{') || part == "*";
    its_method == method
        && template.split('/').count() == path.split('/').count()
        && template
            .split('/')
            .zip(path.split('/'))
            .all(|(ours, theirs)| ours == theirs || any(ours) || any(theirs))
}

/// The names of what a body sets, two levels deep. Whoever chooses the keys of metadata and properties, it is not
/// the API.
fn fields(path: &str, body: &Value) -> impl Iterator<Item = String> {
    let free = |key: &str| ["metadata", "extra_specs"].contains(&key);
    let mut names = Vec::new();
    for (key, value) in body.as_object().into_iter().flatten() {
        if path != "images" {
            names.push(key.clone());
        }
        let inner = value.as_object().filter(|_| !free(key));
        names.extend(
            inner
                .into_iter()
                .flatten()
                .map(|(name, _)| format!("{key}.{name}")),
        );
    }
    names.into_iter()
}
