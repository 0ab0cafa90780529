//! Metadata and tags of servers.

use http::Method;
use serde_json::{Value, json};

use super::super::quota::Counted;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::actions::check_lock;
use super::{Caller, invalid, no_route};

/// States in which metadata can be changed.
const CHANGEABLE: &[&str] = &["active", "paused", "suspended", "stopped"];

impl World {
    pub(super) fn server_metadata(
        &mut self,
        request: &Request,
        who: Caller<'_>,
        id: &str,
        path: &[&str],
    ) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let limit = self.limit(Counted::Compute, &who.account.project_id, "metadata_items");
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let server = self.server_shown(who.account, id)?;
        let missing = || Refusal::new(404, "Metadata item was not found");
        if request.method != Method::GET {
            check_lock(server, who)?;
            let action = if request.method == Method::DELETE {
                "delete metadata"
            } else {
                "update metadata"
            };
            server.check(action, CHANGEABLE)?;
        }
        let now = self.now;
        let server = self.server_mut(who.account, id)?;
        match (&request.method, path) {
            (&Method::GET, []) => {}
            (&Method::GET, [key]) => {
                let value = server.metadata.get(*key).ok_or_else(missing)?;
                return Ok(Response::json(200, json!({"meta": {*key: value}})));
            }
            (&Method::POST | &Method::PUT, []) => {
                let wanted = body
                    .get("metadata")
                    .ok_or_else(|| invalid("None", &body, "'metadata' is a required property"))?;
                check_metadata(wanted)?;
                let mut draft = if request.method == Method::PUT {
                    Default::default()
                } else {
                    server.metadata.clone()
                };
                draft.extend(super::create::strings(wanted.as_object()));
                if draft.len() > limit {
                    return Err(Refusal::new(
                        403,
                        format!("Maximum number of metadata items exceeds {limit}"),
                    ));
                }
                server.metadata = draft;
            }
            (&Method::PUT, [key]) => {
                let wanted = body
                    .get("meta")
                    .ok_or_else(|| invalid("None", &body, "'meta' is a required property"))?;
                check_metadata(wanted)?;
                let value = wanted[*key]
                    .as_str()
                    .ok_or_else(|| Refusal::new(400, "Request body and URI mismatch"))?;
                server.metadata.insert((*key).to_owned(), value.to_owned());
                server.updated = now;
                return Ok(Response::json(200, json!({ "meta": wanted })));
            }
            (&Method::DELETE, [key]) => {
                server.metadata.remove(*key).ok_or_else(missing)?;
                server.updated = now;
                return Ok(Response::empty(204));
            }
            _ => return Err(no_route()),
        }
        Ok(Response::json(200, json!({"metadata": server.metadata})))
    }

    pub(super) fn server_tags(
        &mut self,
        request: &Request,
        who: Caller<'_>,
        id: &str,
        path: &[&str],
    ) -> Answer {
        if who.minor < 26 {
            return Err(no_route());
        }
        let body = request.body_json().unwrap_or_default();
        let server = self.server_shown(who.account, id)?;
        if request.method != Method::GET {
            server
                .check("update tags", &["active", "paused", "suspended", "stopped"])
                .or_else(|refusal| {
                    // Nova looks at the vm state only.
                    if server.task_state.is_some() && CHANGEABLE.contains(&server.vm_state) {
                        Ok(())
                    } else {
                        Err(refusal)
                    }
                })?;
        }
        let location = self.url(&format!("/compute/v2.1/servers/{id}/tags"));
        let server = self.server_mut(who.account, id)?;
        let missing = |tag: &str| Refusal::new(404, format!("Server {id} has no tag '{tag}'"));
        match (&request.method, path) {
            (&Method::GET, []) => Ok(Response::json(200, json!({"tags": server.tags}))),
            (&Method::GET, [tag]) => {
                if server.tags.contains(*tag) {
                    Ok(Response::empty(204))
                } else {
                    Err(missing(tag))
                }
            }
            (&Method::PUT, []) => {
                let wanted = body
                    .get("tags")
                    .and_then(Value::as_array)
                    .ok_or_else(|| invalid("None", &body, "'tags' is a required property"))?;
                for tag in wanted {
                    check_tag(tag.as_str().unwrap_or(""))?;
                }
                if wanted.len() > 50 {
                    return Err(Refusal::new(
                        400,
                        format!(
                            "Invalid input for field/attribute tags. Value: {}. {} is too long",
                            body["tags"], body["tags"]
                        ),
                    ));
                }
                server.tags = wanted
                    .iter()
                    .filter_map(|t| t.as_str().map(str::to_owned))
                    .collect();
                Ok(Response::json(200, json!({"tags": server.tags})))
            }
            (&Method::PUT, [tag]) => {
                check_tag(tag)?;
                if server.tags.contains(*tag) {
                    return Ok(Response::empty(204));
                }
                if server.tags.len() >= 50 {
                    return Err(Refusal::new(
                        400,
                        "The number of tags exceeded the per-server limit 50",
                    ));
                }
                server.tags.insert((*tag).to_owned());
                Ok(Response::empty(201).with("Location", format!("{location}/{tag}")))
            }
            (&Method::DELETE, []) => {
                server.tags.clear();
                Ok(Response::empty(204))
            }
            (&Method::DELETE, [tag]) => {
                if server.tags.remove(*tag) {
                    Ok(Response::empty(204))
                } else {
                    Err(missing(tag))
                }
            }
            _ => Err(no_route()),
        }
    }
}

/// Keys of 1 to 255 and values of up to 255 characters, all text.
pub(super) fn check_metadata(metadata: &Value) -> Result<(), Refusal> {
    let object = metadata
        .as_object()
        .ok_or_else(|| invalid("metadata", metadata, "it is not of type 'object'"))?;
    for (key, value) in object {
        let Some(text) = value.as_str() else {
            return Err(invalid(
                key,
                value,
                &format!("{value} is not of type 'string'"),
            ));
        };
        if text.chars().count() > 255 {
            return Err(invalid(key, value, &format!("'{text}' is too long")));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
        if key.is_empty() || key.chars().count() > 255 || !key.chars().all(plain) {
            return Err(invalid(
                "metadata",
                metadata,
                &format!(
                    "'{key}' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{{1,255}}$'"
                ),
            ));
        }
    }
    Ok(())
}

/// 1 to 60 characters, without `/` and `,`.
pub(super) fn check_tag(tag: &str) -> Result<(), Refusal> {
    if tag.is_empty() || tag.chars().count() > 60 || tag.contains(['/', ',']) {
        return Err(invalid(
            "tag",
            &json!(tag),
            &format!("'{tag}' does not match '^[^,/]*$' or is not of 1 to 60 characters"),
        ));
    }
    Ok(())
}
