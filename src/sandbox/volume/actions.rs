//! Actions on volumes: extend, retype, set bootable, image metadata, upload, reset.

use serde_json::{Value, json};

use super::super::json::{boolean, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, Event, World};
use super::{VolumeEvent, bad_body};

/// In-use volumes can be extended from this microversion on.
const EXTEND_IN_USE: u32 = 42;

impl World {
    pub(super) fn volume_action(
        &mut self,
        request: &Request,
        account: &Account,
        id: &str,
        minor: u32,
    ) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let (action, arguments) = body
            .as_object()
            .and_then(|o| o.iter().next())
            .ok_or_else(bad_body)?;
        self.volume_shown(account, id)?;
        match action.as_str() {
            "os-extend" => self.extend_volume(account, id, arguments, minor),
            "os-retype" => self.retype_volume(account, id, arguments),
            "os-set_bootable" => {
                let wanted = arguments
                    .get("bootable")
                    .and_then(boolean)
                    .ok_or_else(bad_body)?;
                self.volume_mut(account, id)?.bootable = wanted;
                Ok(Response::empty(200))
            }
            "os-update_readonly_flag" => {
                let wanted = arguments
                    .get("readonly")
                    .and_then(boolean)
                    .ok_or_else(bad_body)?;
                let metadata = &mut self.volume_mut(account, id)?.metadata;
                metadata.insert(
                    "readonly".to_owned(),
                    json!(if wanted { "True" } else { "False" }),
                );
                Ok(Response::empty(202))
            }
            "os-set_image_metadata" => {
                let wanted = arguments
                    .get("metadata")
                    .and_then(Value::as_object)
                    .ok_or_else(bad_body)?;
                let volume = self.volume_mut(account, id)?;
                volume.image_metadata.extend(wanted.clone());
                Ok(Response::json(
                    200,
                    json!({"metadata": volume.image_metadata}),
                ))
            }
            "os-show_image_metadata" => {
                let volume = self.volume_shown(account, id)?;
                Ok(Response::json(
                    200,
                    json!({"metadata": volume.image_metadata}),
                ))
            }
            "os-unset_image_metadata" => {
                let key = arguments
                    .get("key")
                    .and_then(Value::as_str)
                    .ok_or_else(bad_body)?;
                let gone = self.volume_mut(account, id)?.image_metadata.remove(key);
                gone.map(|_| Response::empty(200)).ok_or_else(|| {
                    Refusal::new(
                        404,
                        format!("Volume {id} has no glance metadata with key {key}."),
                    )
                })
            }
            "os-reset_status" if account.admin => {
                let status = arguments
                    .get("status")
                    .and_then(Value::as_str)
                    .ok_or_else(bad_body)?;
                status.clone_into(&mut self.volume_mut(account, id)?.status);
                Ok(Response::empty(202))
            }
            "os-force_delete" if account.admin => {
                let volume = self.volume_mut(account, id)?;
                "deleting".clone_into(&mut volume.status);
                self.after(1000, Event::Volume(id.to_owned(), VolumeEvent::Deleted));
                Ok(Response::empty(202))
            }
            "os-reset_status" | "os-force_delete" => Err(Refusal::new(
                403,
                format!(
                    "Policy doesn't allow volume_extension:volume_admin_actions:{} to be performed.",
                    &action[3..]
                ),
            )),
            "os-detach" | "os-roll_detaching" => self.refuse_detach(id),
            other => Err(Refusal::new(
                400,
                format!(
                    "There is no such action: {other}. Verify the request body and Content-Type header and try again."
                ),
            )),
        }
    }

    fn extend_volume(
        &mut self,
        account: &Account,
        id: &str,
        arguments: &Value,
        minor: u32,
    ) -> Answer {
        let size = super::create::asked_size(arguments.get("new_size").ok_or_else(bad_body)?)?;
        let volume = self.volume_shown(account, id)?;
        let usable =
            volume.status == "available" || (volume.status == "in-use" && minor >= EXTEND_IN_USE);
        if !usable {
            let wanted = if minor >= EXTEND_IN_USE {
                "available or in-use"
            } else {
                "available"
            };
            return Err(Refusal::new(
                400,
                format!(
                    "Invalid volume: Volume {id} status must be '{wanted}' to extend, currently {}.",
                    volume.status
                ),
            ));
        }
        if size <= volume.size {
            return Err(Refusal::new(
                400,
                format!(
                    "Invalid input received: New size for extend must be greater than current size. (current: {}, \
                 extended: {size}).",
                    volume.size
                ),
            ));
        }
        let (project, more) = (volume.project_id.clone(), size - volume.size);
        let type_name = volume.type_name.clone();
        self.check_volume_size(&project, size)?;
        self.check_volume_quota(&project, &type_name, 0, more)?;
        let volume = self.volume_mut(account, id)?;
        volume.previous = std::mem::replace(&mut volume.status, "extending".to_owned());
        self.after(
            1000,
            Event::Volume(id.to_owned(), VolumeEvent::Extended(size)),
        );
        Ok(Response::empty(202))
    }

    fn retype_volume(&mut self, account: &Account, id: &str, arguments: &Value) -> Answer {
        let wanted = arguments
            .as_object()
            .and_then(|a| text(a, "new_type"))
            .ok_or_else(bad_body)?;
        let (name, _) = self.volume_type(wanted).map_err(|_| {
            Refusal::new(
                404,
                format!("Volume type with name {wanted} could not be found."),
            )
        })?;
        let multiattach = |world: &Self, name: &str| {
            world
                .volumes
                .types
                .iter()
                .any(|t| t.name == name && t.extra_specs.contains_key("multiattach"))
        };
        let volume = self.volume_shown(account, id)?;
        if !matches!(volume.status.as_str(), "available" | "in-use") {
            return Err(Refusal::new(
                400,
                "Invalid volume: Volume status must be available or in-use, but the current \
                status is: "
                    .to_owned()
                    + &volume.status
                    + ".",
            ));
        }
        if volume.type_name == name {
            return Err(Refusal::new(
                400,
                format!("Invalid input received: New volume_type same as original: {name}."),
            ));
        }
        if volume.status == "in-use" && (multiattach(self, &name) || volume.multiattach) {
            return Err(Refusal::new(
                400,
                format!(
                    "Invalid input received: Changing volume type between multiattach and not is not allowed for in-use \
                 volume {id}."
                ),
            ));
        }
        self.check_type_quota(&volume.project_id, &name, volume.size)?;
        let becomes = multiattach(self, &name);
        let volume = self.volume_mut(account, id)?;
        volume.multiattach = becomes;
        volume.previous = std::mem::replace(&mut volume.status, "retyping".to_owned());
        // cinder-volume 29 fails to save a volume that has snapshots, and leaves it `retyping`.
        let hangs = self.volumes.snapshots.values().any(|it| it.volume_id == id);
        if !hangs {
            self.after(
                1500,
                Event::Volume(id.to_owned(), VolumeEvent::Retyped(name)),
            );
        }
        Ok(Response::empty(202))
    }
}
