//! Does a step ask what a kind asks? Held by every simulated run: a request that is in no story, or sends a field
//! that no step sends, has never been compared with a real cloud.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;
use stackward::kinds::call::{Body, Call, List, Method, Service};

use super::story::{self, Step};

/// The lab has no Manila: no step could be compared with a real one.
const UNSERVED: Service = Service::SharedFileSystem;

/// A field of an extension that the lab lacks too: distributed routers need a host with Open vSwitch.
const UNSERVED_FIELD: &str = "router.distributed";

/// What no step asks of what this call asks, if anything. What was found once is not looked up again: simulations
/// ask the same a million times.
pub(crate) fn lacking(call: &Call) -> Option<String> {
    thread_local! {
        static FOUND: RefCell<BTreeSet<Asked>> = const { RefCell::new(BTreeSet::new()) };
    }
    let fields = match &call.body {
        Body::Json(body) => fields(&call.path, body).collect(),
        _ => Vec::new(),
    };
    let place = match call.route {
        "" => call.path.clone(),
        route => route.to_owned(),
    };
    let asked = (call.service, call.method, place, fields);
    if FOUND.with_borrow(|found| found.contains(&asked)) {
        return None;
    }
    let lacking = lacking_anew(call);
    if lacking.is_none() {
        FOUND.with_borrow_mut(|found| found.insert(asked));
    }
    lacking
}

/// Service, method, route and the fields of the body.
type Asked = (Service, Method, String, Vec<String>);

fn lacking_anew(call: &Call) -> Option<String> {
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

/// The steps that ask this, whatever the ids are.
fn asked(service: &str, method: &str, path: &str) -> Vec<&'static Step> {
    static STEPS: LazyLock<Vec<(String, Step)>> = LazyLock::new(|| {
        // What is refused shows nothing of what is taken.
        let steps = story::read().into_iter().flat_map(|story| {
            let own = match story.name {
                "users" => "identity",
                "network-admin" => "network",
                name => name,
            };
            let taken = story.steps.into_iter().filter(|step| step.status < 300);
            taken.map(move |step| {
                let service = step.parts().1.unwrap_or(own).to_owned();
                (service, step)
            })
        });
        steps.collect()
    });
    let fits = |step: &Step| {
        let (its_method, _, target) = step.parts();
        let template = target.split('?').next().unwrap_or_default();
        its_method == method
            && template.split('/').count() == path.split('/').count()
            && template
                .split('/')
                .zip(path.split('/'))
                .all(|(ours, theirs)| ours.contains('{') || ours == theirs)
    };
    let steps = STEPS
        .iter()
        .filter(|(its, step)| its == service && fits(step));
    steps.map(|(_, step)| step).collect()
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
