//! Tags of any record.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::kind::Kind;
use super::{bad_request, no_route};

impl World {
    pub(super) fn tags_call(
        &mut self,
        kind: Kind,
        request: &Request,
        account: &Account,
        id: &str,
        path: &[&str],
    ) -> Answer {
        let record = if request.method == Method::GET {
            self.record_shown(kind, account, id)?
        } else {
            self.record_owned(kind, account, id)?
        };
        let mut tags: BTreeSet<String> = record["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|t| t.as_str().map(str::to_owned))
            .collect();
        let missing =
            |tag: &str| Refusal::of(404, "TagNotFound", format!("Tag {tag} could not be found."));
        let answer = match (&request.method, path) {
            (&Method::GET, []) => return Ok(Response::json(200, json!({ "tags": tags }))),
            (&Method::GET, [tag]) => {
                return if tags.contains(*tag) {
                    Ok(Response::empty(204))
                } else {
                    Err(missing(tag))
                };
            }
            (&Method::PUT | &Method::POST, []) => {
                let body = request.body_json().unwrap_or_default();
                let wanted = body
                    .get("tags")
                    .and_then(Value::as_array)
                    .ok_or_else(|| bad_request("Invalid tags body"))?;
                if request.method == Method::PUT {
                    tags.clear();
                }
                for tag in wanted {
                    let tag = tag
                        .as_str()
                        .ok_or_else(|| bad_request(format!("'{tag}' is not a valid tag")))?;
                    check(tag)?;
                    tags.insert(tag.to_owned());
                }
                Response::json(
                    if request.method == Method::PUT {
                        200
                    } else {
                        201
                    },
                    json!({ "tags": tags }),
                )
            }
            (&Method::PUT, [tag]) => {
                check(tag)?;
                tags.insert((*tag).to_owned());
                Response::json(201, Value::Null)
            }
            (&Method::DELETE, []) => {
                tags.clear();
                Response::empty(204)
            }
            (&Method::DELETE, [tag]) => {
                if !tags.remove(*tag) {
                    return Err(missing(tag));
                }
                Response::empty(204)
            }
            _ => return Err(no_route()),
        };
        if let Some(record) = self.record_mut(kind, id) {
            record.insert("tags".into(), json!(tags));
        }
        self.touch(kind, id);
        Ok(answer)
    }
}

fn check(tag: &str) -> Result<(), Refusal> {
    if tag.chars().count() > 255 {
        return Err(bad_request(format!(
            "Invalid input for tags. Reason: '{tag}' exceeds maximum length of 255."
        )));
    }
    Ok(())
}
