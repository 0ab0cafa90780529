//! Metadata of volumes.

use http::Method;
use serde_json::{Value, json};

use super::super::json::Object;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::bad_body;

impl World {
    pub(super) fn volume_metadata(
        &mut self,
        request: &Request,
        account: &Account,
        id: &str,
        path: &[&str],
    ) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let volume = self.volume_mut(account, id)?;
        let missing =
            |key: &str| Refusal::new(404, format!("Volume {id} has no metadata with key {key}."));
        match (&request.method, path) {
            (&Method::GET, []) => {}
            (&Method::GET, [key]) => {
                let value = volume.metadata.get(*key).ok_or_else(|| missing(key))?;
                return Ok(Response::json(200, json!({"meta": {*key: value}})));
            }
            (&Method::POST | &Method::PUT, []) => {
                let wanted = body
                    .get("metadata")
                    .and_then(Value::as_object)
                    .ok_or_else(bad_body)?;
                check(wanted)?;
                if request.method == Method::PUT {
                    volume.metadata.clear();
                }
                volume.metadata.extend(wanted.clone());
            }
            (&Method::PUT, [key]) => {
                let wanted = body
                    .get("meta")
                    .and_then(Value::as_object)
                    .ok_or_else(bad_body)?;
                check(wanted)?;
                let value = wanted
                    .get(*key)
                    .ok_or_else(|| Refusal::new(400, "Request body and URI mismatch"))?;
                volume.metadata.insert((*key).to_owned(), value.clone());
                return Ok(Response::json(200, json!({ "meta": wanted })));
            }
            (&Method::DELETE, [key]) => {
                volume.metadata.remove(*key).ok_or_else(|| missing(key))?;
                return Ok(Response::empty(200));
            }
            _ => return Err(Refusal::of(404, "no route", "")),
        }
        Ok(Response::json(200, json!({"metadata": volume.metadata})))
    }
}

/// Keys of 1 to 255 and values of up to 255 characters, all text.
pub(super) fn check(metadata: &Object) -> Result<(), Refusal> {
    for (key, value) in metadata {
        if !value.is_string() {
            return Err(Refusal::new(
                400,
                format!(
                    "Invalid input for field/attribute {key}. Value: {value}. {value} is not of type 'string'"
                ),
            ));
        }
        let fits = value.as_str().is_some_and(|v| v.chars().count() <= 255);
        if !fits || key.is_empty() || key.chars().count() > 255 {
            return Err(Refusal::new(
                400,
                format!(
                    "Invalid input for field/attribute metadata. Value: {value}. '{key}' or its value is not text of at \
                 most 255 characters"
                ),
            ));
        }
    }
    Ok(())
}
