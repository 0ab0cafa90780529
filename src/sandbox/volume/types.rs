//! Volume types, which an administrator makes, and their extra specs.

use http::Method;
use serde_json::{Value, json};

use super::super::json::{Object, bool_text, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::bad_body;

#[derive(Debug, Clone)]
pub(super) struct VolumeType {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: Value,
    pub(super) is_public: bool,
    pub(super) extra_specs: Object,
}

impl World {
    pub(super) fn types_call(
        &mut self,
        request: &Request,
        account: &Account,
        path: &[&str],
    ) -> Answer {
        match (&request.method, path) {
            (&Method::GET, []) => {
                // Private ones are shown to an administrator who asks for them.
                let wanted = request.arg("is_public").map(str::to_lowercase);
                let wanted = match wanted.as_deref() {
                    Some("none") if account.admin => None,
                    Some(text) if account.admin => bool_text(text),
                    _ => Some(true),
                };
                let shown = self.volumes.types.iter();
                let shown = shown.filter(|it| wanted.is_none_or(|public| it.is_public == public));
                let types: Vec<Value> = shown.map(|it| body(it, account)).collect();
                Ok(Response::json(200, json!({ "volume_types": types })))
            }
            (&Method::GET, [id]) => {
                let found = body(self.shown_type(account, id)?, account);
                Ok(Response::json(200, json!({ "volume_type": found })))
            }
            (&Method::GET, [id, "extra_specs"]) => {
                let specs = &self.shown_type(account, id)?.extra_specs;
                Ok(Response::json(200, json!({ "extra_specs": specs })))
            }
            (&Method::POST, []) => {
                only_admin(account, "volume_extension:type_create")?;
                self.create_type(request, account)
            }
            (&Method::PUT, [id]) => {
                only_admin(account, "volume_extension:type_update")?;
                self.update_type(request, account, id)
            }
            (&Method::DELETE, [id]) => {
                only_admin(account, "volume_extension:type_delete")?;
                self.delete_type(account, id)
            }
            (&Method::POST, [id, "extra_specs"]) => {
                only_admin(account, "volume_extension:types_extra_specs:create")?;
                let sent = request.body_json().unwrap_or_default();
                let wanted = sent["extra_specs"].as_object().ok_or_else(bad_body)?;
                self.type_mut(account, id)?
                    .extra_specs
                    .extend(wanted.clone());
                Ok(Response::json(200, json!({ "extra_specs": wanted })))
            }
            (&Method::PUT, [id, "extra_specs", key]) => {
                only_admin(account, "volume_extension:types_extra_specs:update")?;
                let sent = request.body_json().unwrap_or_default();
                let value = sent.get(*key).cloned().ok_or_else(bad_body)?;
                let specs = &mut self.type_mut(account, id)?.extra_specs;
                specs.insert((*key).to_owned(), value);
                Ok(Response::json(200, sent))
            }
            (&Method::DELETE, [id, "extra_specs", key]) => {
                only_admin(account, "volume_extension:types_extra_specs:delete")?;
                let gone = self.type_mut(account, id)?.extra_specs.remove(*key);
                gone.map(|_| Response::empty(202)).ok_or_else(|| {
                    let why = format!("Volume Type {id} has no extra specs with key {key}.");
                    Refusal::new(404, why)
                })
            }
            _ => Err(Refusal::of(404, "no route", "")),
        }
    }

    fn create_type(&mut self, request: &Request, account: &Account) -> Answer {
        let sent = request.body_json().unwrap_or_default();
        let wanted = sent["volume_type"].as_object().ok_or_else(bad_body)?;
        let Some(name) = text(wanted, "name") else {
            let value = &sent["volume_type"];
            return Err(Refusal::new(
                400,
                format!(
                    "Invalid input for field/attribute volume_type. Value: {value}. 'name' is a \
                     required property"
                ),
            ));
        };
        self.check_type_name(name, None)?;
        let public = wanted.get("os-volume-type-access:is_public");
        let made = VolumeType {
            id: self.new_uuid(),
            name: name.to_owned(),
            description: wanted.get("description").cloned().unwrap_or_default(),
            is_public: public.and_then(Value::as_bool).unwrap_or(true),
            extra_specs: wanted
                .get("extra_specs")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        };
        let mut shown = body(&made, account);
        shown.as_object_mut().map(|it| it.remove("qos_specs_id"));
        self.volumes.types.push(made);
        Ok(Response::json(200, json!({ "volume_type": shown })))
    }

    fn update_type(&mut self, request: &Request, account: &Account, id: &str) -> Answer {
        self.shown_type(account, id)?;
        let sent = request.body_json().unwrap_or_default();
        let wanted = sent["volume_type"].as_object().ok_or_else(bad_body)?;
        if wanted.is_empty() {
            return Err(Refusal::new(
                400,
                "Specify volume type name, description, is_public or a combination thereof.",
            ));
        }
        if let Some(name) = text(wanted, "name") {
            self.check_type_name(name, Some(id))?;
        }
        let found = self.type_mut(account, id)?;
        if let Some(name) = text(wanted, "name") {
            name.clone_into(&mut found.name);
        }
        if let Some(description) = wanted.get("description") {
            found.description = description.clone();
        }
        if let Some(public) = wanted.get("is_public").and_then(Value::as_bool) {
            found.is_public = public;
        }
        let shown = json!({"id": found.id, "name": found.name, "is_public": found.is_public,
            "extra_specs": found.extra_specs, "description": found.description});
        Ok(Response::json(200, json!({ "volume_type": shown })))
    }

    fn delete_type(&mut self, account: &Account, id: &str) -> Answer {
        self.shown_type(account, id)?;
        if self.volumes.volumes.values().any(|it| it.type_id == id) {
            return Err(Refusal::new(400, "Target volume type is still in use."));
        }
        self.volumes.types.retain(|it| it.id != id);
        Ok(Response::empty(202))
    }

    fn check_type_name(&self, name: &str, own: Option<&str>) -> Result<(), Refusal> {
        if name.is_empty() {
            return Err(Refusal::new(
                400,
                "Invalid input for field/attribute name. Value: . '' should be non-empty",
            ));
        }
        let mut others = self.volumes.types.iter().filter(|it| Some(&*it.id) != own);
        if others.any(|it| it.name == name) {
            let why = format!("Volume Type {name} already exists.");
            return Err(Refusal::new(409, why));
        }
        Ok(())
    }

    fn shown_type(&self, account: &Account, id: &str) -> Result<&VolumeType, Refusal> {
        let found = self.volumes.types.iter().find(|it| match id {
            "default" => it.name == super::DEFAULT_TYPE,
            id => it.id == id,
        });
        found
            .filter(|it| it.is_public || account.admin)
            .ok_or_else(|| Refusal::new(404, format!("Volume type {id} could not be found.")))
    }

    fn type_mut(&mut self, account: &Account, id: &str) -> Result<&mut VolumeType, Refusal> {
        self.shown_type(account, id)?;
        let found = self.volumes.types.iter_mut().find(|it| it.id == id);
        found.ok_or_else(|| Refusal::new(404, format!("Volume type {id} could not be found.")))
    }
}

fn only_admin(account: &Account, rule: &str) -> Result<(), Refusal> {
    if account.admin {
        return Ok(());
    }
    let why = format!("Policy doesn't allow {rule} to be performed.");
    Err(Refusal::new(403, why))
}

/// What everybody sees of a type, and what only an administrator does.
fn body(it: &VolumeType, account: &Account) -> Value {
    let mut body = json!({"id": it.id, "name": it.name, "is_public": it.is_public,
        "description": it.description, "extra_specs": it.extra_specs,
        "os-volume-type-access:is_public": it.is_public});
    if account.admin {
        body["qos_specs_id"] = Value::Null;
    }
    body
}
