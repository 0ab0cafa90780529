//! What is wanted of one object, and what it makes of a document.

use axum::http::Method;
use json_patch::Patch;
use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::resource::Resource;
use super::body;
use super::params::{Params, Validation};

/// What is wanted.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// It shall be there, and is not yet.
    Create(Value),
    /// It shall be so.
    Replace(Value),
    /// Some of it shall be so; `null` takes away.
    Merge(Value),
    /// This shall be done to it, step by step.
    Steps(Patch),
    /// This much of it shall be as one manager says.
    Apply(Value),
    /// It shall be gone.
    Delete(Conditions),
}

/// What must hold, or nothing is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    /// It is still this one.
    pub(super) uid: Option<String>,
    /// It has not changed since.
    pub(super) version: Option<String>,
}

const FORMS: &str = "application/json-patch+json, application/merge-patch+json, \
     application/apply-patch+yaml";

impl Change {
    /// Reads what a request wants, and how it could have been written better.
    ///
    /// # Errors
    /// It is not understood.
    pub(super) fn read(
        method: &Method,
        media: &str,
        body: &[u8],
        resource: &Resource,
        params: &mut Params,
    ) -> Result<(Self, Vec<String>), Failure> {
        let validation = params.validation;
        match *method {
            Method::DELETE => Ok((Self::delete(media, body, params)?, Vec::new())),
            Method::PATCH => Self::patch(media, body, resource, params),
            _ => {
                let (object, warnings) = body::object(media, body, resource, validation)?;
                let change = match *method {
                    Method::POST => Self::Create(object),
                    _ => Self::Replace(object),
                };
                Ok((change, warnings))
            }
        }
    }

    fn patch(
        media: &str,
        body: &[u8],
        resource: &Resource,
        params: &Params,
    ) -> Result<(Self, Vec<String>), Failure> {
        let object = |value: Value| match value.is_object() {
            true => Ok(value),
            false => Err(Failure::bad_request("the patch is not an object")),
        };
        if params.force && media != "application/apply-patch+yaml" {
            return Err(Failure::bad_request(
                "force is for application/apply-patch+yaml",
            ));
        }
        match media {
            "application/merge-patch+json" => {
                let (patch, warnings) = body::json(body, params.validation)?;
                Ok((Self::Merge(object(patch)?), warnings))
            }
            // What kubectl knows by itself it patches so. Their entries are merged by name anyway.
            "application/strategic-merge-patch+json" if resource.is_data() => {
                let (patch, warnings) = body::json(body, params.validation)?;
                Ok((Self::Merge(plain(object(patch)?)?), warnings))
            }
            "application/json-patch+json" => {
                let steps = serde_json::from_slice(body).map_err(|error| {
                    Failure::bad_request(format!("the body is no JSON patch: {error}"))
                })?;
                Ok((Self::Steps(steps), Vec::new()))
            }
            "application/apply-patch+yaml" => {
                if !params.named {
                    return Err(Failure::bad_request("fieldManager is required for apply"));
                }
                Ok((Self::Apply(object(body::yaml(body)?)?), Vec::new()))
            }
            other => Err(Failure::unsupported(format!(
                "the body of the request was in an unknown format ({other}) - accepted media types \
                 include: {FORMS}"
            ))),
        }
    }

    fn delete(media: &str, body: &[u8], params: &mut Params) -> Result<Self, Failure> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::Delete(Conditions::default()));
        }
        let options = match media {
            "application/json" => body::json(body, Validation::Ignore)?.0,
            "application/yaml" => body::yaml(body)?,
            other => {
                return Err(Failure::unsupported(format!(
                    "DeleteOptions in an unknown format ({other}): application/json is known"
                )));
            }
        };
        match options["dryRun"].as_array().map(Vec::as_slice) {
            None | Some([]) => {}
            Some([all]) if all == "All" => params.dry_run = true,
            Some(_) => return Err(Failure::bad_request("dryRun: All is the only one there is")),
        }
        let text = |name: &str| {
            let value = options["preconditions"][name].as_str();
            value.filter(|it| !it.is_empty()).map(str::to_owned)
        };
        Ok(Self::Delete(Conditions {
            uid: text("uid"),
            version: text("resourceVersion"),
        }))
    }

    /// The object that a body is, whose name says which one is meant.
    pub(super) fn object(&self) -> Option<&Value> {
        match self {
            Self::Create(object) | Self::Replace(object) | Self::Apply(object) => Some(object),
            Self::Merge(_) | Self::Steps(_) | Self::Delete(_) => None,
        }
    }

    /// Its word in Kubernetes.
    pub(super) const fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Replace(_) => "update",
            Self::Merge(_) | Self::Steps(_) => "patch",
            Self::Apply(_) => "apply",
            Self::Delete(_) => "delete",
        }
    }
}

/// What a patch makes of a document.
///
/// # Errors
/// It does not fit.
pub(super) fn merged(mut document: Value, patch: &Value) -> Value {
    json_patch::merge(&mut document, patch);
    document
}

/// The same, step by step.
///
/// # Errors
/// A step does not fit.
pub(super) fn stepped(mut document: Value, steps: &Patch) -> Result<Value, String> {
    json_patch::patch(&mut document, steps).map_err(|error| error.to_string())?;
    Ok(document)
}

/// A strategic merge patch of mappings of text as the merge patch that it is.
fn plain(patch: Value) -> Result<Value, Failure> {
    let Value::Object(map) = patch else {
        return Ok(patch);
    };
    let mut result = Map::new();
    for (name, value) in map {
        // Lists are not merged here, so that their order says nothing.
        if name.starts_with("$setElementOrder/") {
            continue;
        }
        if name.starts_with('$') {
            let message = format!("{name} is not understood here: send a merge patch");
            return Err(Failure::bad_request(message));
        }
        result.insert(name, plain(value)?);
    }
    Ok(json!(result))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::daemon::kubernetes::resource::{Access, find};
    use crate::manifest::Group;

    fn read(method: Method, media: &str, body: &str, plural: &str) -> Result<Change, u16> {
        let group = match plural {
            "secrets" => Group::Core,
            _ => Group::Native,
        };
        let resource = find(group, plural, Access::Write).unwrap();
        let uri = "/x?fieldManager=me".parse().unwrap();
        let mut params = Params::of(&uri, &HeaderMap::new()).unwrap();
        Change::read(&method, media, body.as_bytes(), resource, &mut params)
            .map(|(change, _)| change)
            .map_err(|failure| failure.code().as_u16())
    }

    #[test]
    fn a_patch_is_read_by_its_type() {
        let patch =
            |media: &str, body: &str, plural: &str| read(Method::PATCH, media, body, plural);
        let merge = "application/merge-patch+json";
        let strategic = "application/strategic-merge-patch+json";
        let steps = "application/json-patch+json";
        assert!(matches!(
            patch(merge, "{}", "volumes"),
            Ok(Change::Merge(_))
        ));
        assert!(matches!(
            patch(steps, "[]", "volumes"),
            Ok(Change::Steps(_))
        ));
        let apply = patch("application/apply-patch+yaml", "a: 1", "volumes");
        assert!(matches!(apply, Ok(Change::Apply(_))));
        assert_eq!(patch(strategic, "{}", "volumes").unwrap_err(), 415);
        let ordered = r#"{"metadata": {"$setElementOrder/x": [], "labels": {"a": "b"}}}"#;
        let Ok(Change::Merge(merged)) = patch(strategic, ordered, "secrets") else {
            panic!("not a merge");
        };
        assert_eq!(merged, json!({"metadata": {"labels": {"a": "b"}}}));
        assert_eq!(
            patch(strategic, r#"{"data": {"$patch": "delete"}}"#, "secrets").unwrap_err(),
            400
        );
        for (media, body) in [
            (merge, "[]"),
            (merge, "{"),
            (steps, "{}"),
            ("application/apply-patch+yaml", "a: ["),
        ] {
            assert_eq!(
                patch(media, body, "volumes").unwrap_err(),
                400,
                "{media} {body}"
            );
        }
        assert_eq!(patch("text/plain", "x", "volumes").unwrap_err(), 415);
    }

    #[test]
    fn a_deletion_may_have_conditions() {
        let delete = |body: &str| read(Method::DELETE, "application/json", body, "volumes");
        assert!(matches!(delete(""), Ok(Change::Delete(it)) if it == Conditions::default()));
        let body = r#"{"propagationPolicy": "Background", "preconditions": {"uid": "u", "resourceVersion": "7"}}"#;
        let Ok(Change::Delete(conditions)) = delete(body) else {
            panic!("not a deletion");
        };
        assert_eq!(conditions.uid.as_deref(), Some("u"));
        assert_eq!(conditions.version.as_deref(), Some("7"));
        assert_eq!(delete(r#"{"dryRun": ["Some"]}"#).unwrap_err(), 400);
        assert_eq!(delete("{").unwrap_err(), 400);
    }
}
