//! The fault switchboard: which requests go wrong, and how.
//!
//! Rules are tried in the order in which they were set. The first rule that fires decides, except that any number
//! of delays may add up before it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::request::Request;
use super::response::{Body, Delivery, Response};
use super::world::{World, route_of};

/// A rule: which requests, which of them, and what happens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// First path segment: `identity`, `image`, `compute`, `volume`, `network`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// HTTP method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Matches a path without its service (`/v2.1/servers`) or a route (`/v2.1/servers/{id}`): whole, or a prefix
    /// when it ends with `*`; a `*` elsewhere stands for one path segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// So many matches pass before the rule fires.
    #[serde(default)]
    pub skip: u32,
    /// So many times the rule fires; without it, for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// What happens.
    pub effect: Effect,
}

/// What a rule does to a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// Nothing is done; this is answered.
    Answer {
        /// Status.
        status: u16,
        /// Body.
        #[serde(default)]
        body: Value,
        /// Headers; only `Retry-After` and `Location` are sent.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// It is done, but this is answered.
    DoAndAnswer {
        /// Status.
        status: u16,
        /// Body.
        #[serde(default)]
        body: Value,
    },
    /// It is done, and the connection breaks.
    DoAndDrop,
    /// The connection breaks before anything is done.
    Drop,
    /// The answer comes late; other rules still apply.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// The connection breaks in the middle of the body.
    Truncate {
        /// Bytes that arrive.
        bytes: usize,
    },
    /// The body is no JSON any more; the status stays.
    Garble,
    /// A list misses items.
    Omit(Omission),
    /// A list is read from the state in which the cloud was when the rule was set.
    Stale,
}

/// Which items of a list are missing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Omission {
    /// Items with these ids.
    pub ids: Vec<String>,
    /// So many items from the front; all with a big number.
    pub first: usize,
    /// Links to the next page as well.
    pub next: bool,
}

/// All rules that are set.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Vec<Armed>,
}

#[derive(Debug, Clone)]
struct Armed {
    rule: Rule,
    seen: u32,
    fired: u32,
    snapshot: Option<Arc<World>>,
}

/// What the switchboard says about a request.
pub(super) enum Verdict {
    Pass,
    Instead(Response),
    After(After),
    Stale(Arc<World>, After),
}

/// What is done to the answer of the real handler.
pub(super) struct After {
    delay: Duration,
    effect: Option<Effect>,
}

impl World {
    /// Adds a rule behind those that are set.
    pub fn add_fault(&mut self, rule: Rule) {
        let snapshot = matches!(rule.effect, Effect::Stale).then(|| self.frozen());
        self.faults.rules.push(Armed {
            rule,
            seen: 0,
            fired: 0,
            snapshot,
        });
    }

    /// Removes all rules.
    pub fn clear_faults(&mut self) {
        self.faults.rules.clear();
    }
}

impl Faults {
    /// The rules and how often each matched and fired.
    #[must_use]
    pub fn report(&self) -> Value {
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|armed| json!({"rule": armed.rule, "matched": armed.seen, "fired": armed.fired}))
            .collect();
        json!({ "faults": rules })
    }

    /// How often the rule at this place fired.
    #[must_use]
    pub fn fired(&self, index: usize) -> u32 {
        self.rules.get(index).map_or(0, |armed| armed.fired)
    }

    pub(super) fn judge(&mut self, request: &Request) -> Verdict {
        if self.rules.is_empty() {
            return Verdict::Pass;
        }
        let mut delay = Duration::ZERO;
        for armed in self
            .rules
            .iter_mut()
            .filter(|armed| armed.rule.matches(request))
        {
            armed.seen += 1;
            let spent = armed.rule.count.is_some_and(|count| armed.fired >= count);
            if armed.seen <= armed.rule.skip || spent {
                continue;
            }
            armed.fired += 1;
            let effect = match &armed.rule.effect {
                Effect::Delay { millis } => {
                    delay += Duration::from_millis(*millis);
                    continue;
                }
                Effect::Answer {
                    status,
                    body,
                    headers,
                } => {
                    return Verdict::Instead(answer(*status, body, headers, delay));
                }
                Effect::Drop => {
                    let delivery = Delivery::Dropped;
                    return Verdict::Instead(Response {
                        delivery,
                        delay,
                        ..Response::empty(503)
                    });
                }
                Effect::Stale => {
                    return match &armed.snapshot {
                        Some(old) => Verdict::Stale(
                            Arc::clone(old),
                            After {
                                delay,
                                effect: None,
                            },
                        ),
                        None => Verdict::After(After {
                            delay,
                            effect: None,
                        }),
                    };
                }
                other => other.clone(),
            };
            return Verdict::After(After {
                delay,
                effect: Some(effect),
            });
        }
        Verdict::After(After {
            delay,
            effect: None,
        })
    }
}

impl Rule {
    /// A rule for every request of a service.
    #[must_use]
    pub fn new(service: &str, effect: Effect) -> Self {
        Self {
            service: Some(service.to_owned()),
            method: None,
            path: None,
            skip: 0,
            count: None,
            effect,
        }
    }

    /// Only this method and path (see [`Rule::path`]).
    #[must_use]
    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.method = Some(method.to_owned());
        self.path = Some(path.to_owned());
        self
    }

    /// Fires so many times.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// Fires only from the n-th match on, counted from 1.
    #[must_use]
    pub fn from_nth(mut self, nth: u32) -> Self {
        self.skip = nth.saturating_sub(1);
        self
    }

    fn matches(&self, request: &Request) -> bool {
        if self
            .method
            .as_ref()
            .is_some_and(|m| !m.eq_ignore_ascii_case(request.method.as_str()))
        {
            return false;
        }
        let (service, route) = route_of(&request.path);
        if self.service.as_ref().is_some_and(|s| *s != service) {
            return false;
        }
        let Some(pattern) = &self.path else {
            return true;
        };
        let path = request
            .path
            .trim_end_matches('/')
            .strip_prefix(&format!("/{service}"))
            .unwrap_or("");
        path_matches(pattern, path) || path_matches(pattern, &route)
    }
}

impl After {
    pub(super) fn apply(self, mut response: Response) -> Response {
        response.delay += self.delay;
        match self.effect {
            Some(Effect::DoAndAnswer { status, body }) => {
                response = Response {
                    delay: response.delay,
                    ..answer(status, &body, &[], Duration::ZERO)
                };
            }
            Some(Effect::DoAndDrop) => response.delivery = Delivery::Dropped,
            Some(Effect::Truncate { bytes }) => response.delivery = Delivery::CutAfter(bytes),
            Some(Effect::Garble) => {
                let mut text = response.bytes().to_vec();
                text.truncate(text.len() / 2);
                text.extend_from_slice(b"\0\xff<html>");
                response.body = Body::Bytes(Bytes::from(text));
            }
            Some(Effect::Omit(omission)) => {
                if let Body::Json(value) = &mut response.body {
                    omission.apply(value);
                }
            }
            _ => {}
        }
        response
    }
}

impl Omission {
    fn apply(&self, list: &mut Value) {
        let Some(object) = list.as_object_mut() else {
            return;
        };
        if self.next {
            object.retain(|name, _| name != "next" && !name.ends_with("_links"));
        }
        for items in object.values_mut().filter_map(Value::as_array_mut) {
            items.retain(|item| {
                item.get("id")
                    .and_then(Value::as_str)
                    .is_none_or(|id| !self.ids.iter().any(|i| i == id))
            });
            items.drain(..self.first.min(items.len()));
        }
    }
}

fn answer(status: u16, body: &Value, headers: &[(String, String)], delay: Duration) -> Response {
    let mut response = match body {
        Value::Null => Response::empty(status),
        Value::String(text) => Response {
            body: Body::Text("text/html", text.clone()),
            ..Response::empty(status)
        },
        value => Response::json(status, value.clone()),
    };
    for (name, value) in headers {
        let known = ["Retry-After", "Location"]
            .into_iter()
            .find(|k| k.eq_ignore_ascii_case(name));
        if let Some(name) = known {
            response.headers.push((name, value.clone()));
        }
    }
    response.delay = delay;
    response
}

fn path_matches(pattern: &str, path: &str) -> bool {
    if let Some(prefix) = pattern.strip_suffix('*').filter(|p| !p.contains('*')) {
        return path.starts_with(prefix);
    }
    let (mut want, mut have) = (pattern.split('/'), path.split('/'));
    loop {
        match (want.next(), have.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::path_matches;

    #[test]
    fn a_star_stands_for_one_segment_and_at_the_end_for_any_rest() {
        assert!(path_matches(
            "/v2.1/servers/*/action",
            "/v2.1/servers/abc/action"
        ));
        assert!(!path_matches(
            "/v2.1/servers/*/action",
            "/v2.1/servers/abc/metadata"
        ));
        assert!(path_matches("/v2.1/servers*", "/v2.1/servers/abc/metadata"));
        assert!(path_matches("/v2.1/servers/{id}", "/v2.1/servers/{id}"));
        assert!(!path_matches("/v2.1/servers", "/v2.1/servers/abc"));
    }
}
