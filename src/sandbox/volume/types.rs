//! Volume types and their extra specs.

use http::Method;
use serde_json::{Value, json};

use super::super::json::{Object, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::{DEFAULT_TYPE, VolumeType, bad_body};

impl World {
    pub(super) fn types_call(
        &mut self,
        request: &Request,
        account: &Account,
        path: &[&str],
    ) -> Answer {
        let rule = match request.method {
            Method::GET => None,
            Method::POST => Some("create"),
            Method::PUT => Some("update"),
            _ => Some("delete"),
        };
        if let Some(rule) = rule.filter(|_| !account.admin) {
            let text =
                format!("Policy doesn't allow volume_extension:type_{rule} to be performed.");
            return Err(Refusal::new(403, text));
        }
        let body = request.body_json().unwrap_or_default();
        match (&request.method, path) {
            (&Method::GET, []) => Ok(self.list_types(request, account)),
            (&Method::POST, []) => self.create_type(&body["volume_type"]),
            (&Method::GET, [id]) => {
                let found = self.type_shown(account, id)?;
                Ok(Response::json(
                    200,
                    json!({"volume_type": type_body(found, account)}),
                ))
            }
            (&Method::PUT, [id]) => self.update_type(account, id, &body["volume_type"]),
            (&Method::DELETE, [id]) => {
                let name = self.type_shown(account, id)?.name.clone();
                let volumes = &self.volumes.volumes;
                if volumes.values().any(|volume| volume.type_id == *id) {
                    let text = "Target volume type is still in use.";
                    return Err(Refusal::new(400, text));
                }
                if name == DEFAULT_TYPE {
                    let text = format!(
                        "The volume type {name} is the only currently defined volume type and cannot be deleted."
                    );
                    return Err(Refusal::new(400, text));
                }
                self.volumes.types.retain(|kind| kind.id != *id);
                Ok(Response::empty(202))
            }
            (&Method::GET, [id, "extra_specs"]) => {
                let specs = self.type_shown(account, id)?.extra_specs.clone();
                Ok(Response::json(200, json!({"extra_specs": specs})))
            }
            (&Method::POST, [id, "extra_specs"]) => {
                self.type_shown(account, id)?;
                let wanted = body["extra_specs"].as_object().ok_or_else(bad_body)?;
                check_specs(wanted)?;
                let mut types = self.volumes.types.iter_mut();
                if let Some(kind) = types.find(|kind| kind.id == *id) {
                    kind.extra_specs.extend(wanted.clone());
                }
                Ok(Response::json(200, json!({"extra_specs": wanted})))
            }
            (&Method::DELETE, [id, "extra_specs", key]) => {
                self.type_shown(account, id)?;
                let mut types = self.volumes.types.iter_mut();
                let kind = types.find(|kind| kind.id == *id);
                let gone = kind.and_then(|kind| kind.extra_specs.remove(*key));
                gone.ok_or_else(|| {
                    let text = format!("Volume Type {id} has no extra specs with key {key}.");
                    Refusal::new(404, text)
                })?;
                Ok(Response::empty(202))
            }
            _ => Err(Refusal::of(
                404,
                "no route",
                "The resource could not be found.",
            )),
        }
    }

    /// The newest first. Who does not ask for others is shown the public ones.
    fn list_types(&self, request: &Request, account: &Account) -> Response {
        let asked = request.arg("is_public").unwrap_or("true");
        let public = if account.admin {
            super::super::json::bool_text(asked)
        } else {
            Some(true)
        };
        let types = self.volumes.types.iter().rev();
        let shown: Vec<Value> = types
            .filter(|kind| public.is_none_or(|public| kind.is_public == public))
            .map(|kind| type_body(kind, account))
            .collect();
        Response::json(200, json!({"volume_types": shown}))
    }

    fn type_shown(&self, account: &Account, id: &str) -> Result<&VolumeType, Refusal> {
        let mut types = self.volumes.types.iter();
        types
            .find(|kind| kind.id == id || (id == "default" && kind.name == DEFAULT_TYPE))
            .filter(|kind| kind.is_public || account.admin)
            .ok_or_else(|| Refusal::new(404, format!("Volume type {id} could not be found.")))
    }

    fn create_type(&mut self, wanted: &Value) -> Answer {
        let wanted = wanted.as_object().ok_or_else(bad_body)?;
        let name = text(wanted, "name").ok_or_else(bad_body)?;
        check_name(name)?;
        if self.volumes.types.iter().any(|kind| kind.name == name) {
            let text = format!("Volume Type {name} already exists.");
            return Err(Refusal::new(409, text));
        }
        let specs = wanted.get("extra_specs").and_then(Value::as_object);
        let extra_specs = specs.cloned().unwrap_or_default();
        check_specs(&extra_specs)?;
        let public = wanted.get("os-volume-type-access:is_public");
        let kind = VolumeType {
            id: self.new_uuid(),
            name: name.to_owned(),
            description: wanted.get("description").cloned().unwrap_or_default(),
            is_public: public.and_then(Value::as_bool).unwrap_or(true),
            extra_specs,
        };
        let mut body = full_body(&kind);
        self.volumes.types.push(kind);
        if let Some(body) = body.as_object_mut() {
            body.remove("qos_specs_id");
        }
        Ok(Response::json(200, json!({"volume_type": body})))
    }

    fn update_type(&mut self, account: &Account, id: &str, wanted: &Value) -> Answer {
        self.type_shown(account, id)?;
        let given = |name: &str| wanted.get(name).filter(|it| !it.is_null());
        let (name, description, public) = (given("name"), given("description"), given("is_public"));
        if name.is_none() && description.is_none() && public.is_none() {
            let text = "Specify volume type name, description, is_public or a combination thereof.";
            return Err(Refusal::new(400, text));
        }
        if let Some(name) = name.and_then(Value::as_str) {
            check_name(name)?;
        }
        let mut types = self.volumes.types.iter_mut();
        let kind = types.find(|kind| kind.id == id).ok_or_else(bad_body)?;
        if let Some(name) = name.and_then(Value::as_str) {
            name.clone_into(&mut kind.name);
        }
        if let Some(description) = description {
            kind.description = description.clone();
        }
        if let Some(public) = public.and_then(Value::as_bool) {
            kind.is_public = public;
        }
        let body = json!({"id": kind.id, "name": kind.name, "is_public": kind.is_public,
            "extra_specs": kind.extra_specs, "description": kind.description});
        Ok(Response::json(200, json!({"volume_type": body})))
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() {
        let text = format!(
            "Invalid input for field/attribute name. Value: {name}. '{name}' should be non-empty"
        );
        return Err(Refusal::new(400, text));
    }
    Ok(())
}

fn check_specs(specs: &Object) -> Result<(), Refusal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c);
    for key in specs.keys() {
        if key.is_empty() || key.len() > 255 || !key.chars().all(fits) {
            let text = format!(
                "Invalid input for field/attribute extra_specs. Value: {specs:?}. '{key}' does not match any of the \
                 regexes: '^[a-zA-Z0-9-_:.]{{1,255}}$'"
            );
            return Err(Refusal::new(400, text));
        }
    }
    Ok(())
}

/// Who is no administrator sees only the extra specs that tell what a volume of the type can do.
fn type_body(kind: &VolumeType, account: &Account) -> Value {
    const TOLD: [&str; 3] = [
        "RESKEY:availability_zones",
        "multiattach",
        "replication_enabled",
    ];
    let mut body = full_body(kind);
    if !account.admin {
        let specs = kind.extra_specs.iter();
        let told = specs.filter(|(key, _)| TOLD.contains(&key.as_str()));
        let told: Object = told.map(|(key, it)| (key.clone(), it.clone())).collect();
        body["extra_specs"] = Value::Object(told);
        if let Some(body) = body.as_object_mut() {
            body.remove("qos_specs_id");
        }
    }
    body
}

fn full_body(kind: &VolumeType) -> Value {
    json!({"id": kind.id, "name": kind.name, "is_public": kind.is_public,
        "description": kind.description, "extra_specs": kind.extra_specs, "qos_specs_id": null,
        "os-volume-type-access:is_public": kind.is_public})
}
