//! Actions on servers, and the states they are allowed in.

use serde_json::{Value, json};

use super::super::json::{Object, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::server::{PAUSED, RUNNING, SHUTDOWN, Server, Step};
use super::{Caller, check_name, invalid, only_admin};

const ACTIVE: &[&str] = &["active"];
pub(super) const ANY_KEPT: &[&str] = &["active", "stopped", "paused", "suspended"];

impl World {
    pub(super) fn server_action(&mut self, request: &Request, who: Caller<'_>, id: &str) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let (action, arguments) = body
            .as_object()
            .and_then(|o| o.iter().next())
            .ok_or_else(|| Refusal::new(400, "There is no such action: None"))?;
        let server = self.server_shown(who.account, id)?;
        let exempt = matches!(
            action.as_str(),
            "lock"
                | "unlock"
                | "os-getConsoleOutput"
                | "createImage"
                | "addSecurityGroup"
                | "removeSecurityGroup"
        );
        if !exempt {
            check_lock(server, who)?;
        }
        let accepted = Ok(Response::empty(202));
        match action.as_str() {
            "os-start" => {
                server.check("start", &["stopped"])?;
                self.act(
                    id,
                    "start",
                    "powering-on",
                    1000,
                    Step::Settle("active", RUNNING),
                )
            }
            "os-stop" => {
                server.check("stop", &["active", "error"])?;
                self.act(
                    id,
                    "stop",
                    "powering-off",
                    1500,
                    Step::Settle("stopped", SHUTDOWN),
                )
            }
            "reboot" => {
                let hard = arguments["type"]
                    .as_str()
                    .is_some_and(|t| t.eq_ignore_ascii_case("hard"));
                let allowed: &[&str] = if hard {
                    &["active", "stopped", "paused", "suspended", "error"]
                } else {
                    ACTIVE
                };
                server.check("reboot", allowed)?;
                let task = if hard { "rebooting_hard" } else { "rebooting" };
                self.act(id, "reboot", task, 1500, Step::Settle("active", RUNNING))
            }
            "pause" => {
                server.check("pause", ACTIVE)?;
                self.act(id, "pause", "pausing", 500, Step::Settle("paused", PAUSED))
            }
            "unpause" => {
                server.check("unpause", &["paused"])?;
                self.act(
                    id,
                    "unpause",
                    "unpausing",
                    500,
                    Step::Settle("active", RUNNING),
                )
            }
            "suspend" => {
                server.check("suspend", ACTIVE)?;
                self.act(
                    id,
                    "suspend",
                    "suspending",
                    1000,
                    Step::Settle("suspended", SHUTDOWN),
                )
            }
            "resume" => {
                server.check("resume", &["suspended"])?;
                self.act(
                    id,
                    "resume",
                    "resuming",
                    1000,
                    Step::Settle("active", RUNNING),
                )
            }
            "shelve" => {
                server.check("shelve", ANY_KEPT)?;
                self.keep_in_image(id);
                self.act(
                    id,
                    "shelve",
                    "shelving",
                    2000,
                    Step::Settle("shelved_offloaded", SHUTDOWN),
                )
            }
            "shelveOffload" => {
                server.check("shelveOffload", &["shelved"])?;
                self.act(
                    id,
                    "shelveOffload",
                    "shelving_offloading",
                    1000,
                    Step::Settle("shelved_offloaded", SHUTDOWN),
                )
            }
            "unshelve" => {
                server.check("unshelve", &["shelved", "shelved_offloaded"])?;
                self.act(
                    id,
                    "unshelve",
                    "unshelving",
                    2000,
                    Step::Settle("active", RUNNING),
                )
            }
            "resize" => self.resize(id, arguments),
            "confirmResize" => {
                server.check("confirmResize", &["resized"])?;
                let power = server.power_state;
                let state = if power == SHUTDOWN {
                    "stopped"
                } else {
                    "active"
                };
                let now = self.now;
                let server = self.server_mut(who.account, id)?;
                server.other_flavor = None;
                server.vm_state = state;
                server.updated = now;
                server.history.push(("confirmResize".to_owned(), now));
                Ok(Response::empty(204))
            }
            "revertResize" => {
                server.check("revertResize", &["resized"])?;
                self.act(
                    id,
                    "revertResize",
                    "resize_reverting",
                    2000,
                    Step::FinishRevert,
                )
            }
            "rebuild" => self.rebuild(who, id, arguments),
            "createImage" => self.snapshot_server(who, id, arguments),
            "addSecurityGroup" | "removeSecurityGroup" => self.change_groups(
                who,
                id,
                arguments["name"].as_str().unwrap_or(""),
                action == "addSecurityGroup",
            ),
            "os-getConsoleOutput" => {
                if server.launched.is_none() {
                    return Err(Refusal::new(409, "Instance not yet ready"));
                }
                let name = &server.hostname;
                Ok(Response::json(
                    200,
                    json!({"output": format!("[    0.000000] Linux\n{name} login: ")}),
                ))
            }
            "lock" => {
                let server = self.server_mut(who.account, id)?;
                server.locked = true;
                server.locked_reason = arguments["locked_reason"].as_str().map(str::to_owned);
                accepted
            }
            "unlock" => {
                let server = self.server_mut(who.account, id)?;
                (server.locked, server.locked_reason) = (false, None);
                accepted
            }
            "os-resetState" => {
                only_admin(who, "os_compute_api:os-admin-actions:reset_state")?;
                let now = self.now;
                let server = self.server_mut(who.account, id)?;
                server.begin(None, now);
                server.vm_state = if arguments["state"] == "active" {
                    "active"
                } else {
                    "error"
                };
                accepted
            }
            "forceDelete" => self.delete_server(who, id),
            other => Err(Refusal::new(
                400,
                format!("There is no such action: {other}"),
            )),
        }
    }

    pub(super) fn update_server(&mut self, request: &Request, who: Caller<'_>, id: &str) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let wanted = body
            .get("server")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let now = self.now;
        let server = self.server_mut(who.account, id)?;
        let known = |name: &str| match name {
            "name" | "accessIPv4" | "accessIPv6" | "OS-DCF:diskConfig" => true,
            "description" => who.minor >= 19,
            "hostname" => who.minor >= 90,
            _ => false,
        };
        if let Some(name) = wanted.keys().find(|n| !known(n)) {
            let why = format!("Additional properties are not allowed ('{name}' was unexpected)");
            return Err(invalid("server", &json!(wanted), &why));
        }
        if let Some(name) = text(&wanted, "name") {
            check_name(name)?;
            name.clone_into(&mut server.name);
        }
        if let Some(description) = wanted.get("description") {
            server.description = description.as_str().map(str::to_owned);
        }
        if let Some(hostname) = text(&wanted, "hostname") {
            hostname.clone_into(&mut server.hostname);
        }
        if let Some(address) = text(&wanted, "accessIPv4") {
            address.clone_into(&mut server.access.0);
        }
        if let Some(address) = text(&wanted, "accessIPv6") {
            address.clone_into(&mut server.access.1);
        }
        server.updated = now;
        let body = self.server_body(self.server_shown(who.account, id)?, who, true);
        Ok(Response::json(200, json!({ "server": body })))
    }

    pub(super) fn delete_server(&mut self, who: Caller<'_>, id: &str) -> Answer {
        let now = self.now;
        check_lock(self.server_shown(who.account, id)?, who)?;
        let server = self.server_mut(who.account, id)?;
        if server.task_state != Some("deleting") {
            let operation = server.begin(Some("deleting"), now);
            server.history.push(("delete".to_owned(), now));
            self.step_after(1500, id, operation, Step::Delete);
        }
        Ok(Response::empty(204))
    }

    /// Starts a simple action: a task state, then a step at its end.
    pub(super) fn act(
        &mut self,
        id: &str,
        name: &str,
        task: &'static str,
        millis: u64,
        end: Step,
    ) -> Answer {
        let now = self.now;
        if let Some(server) = self.compute.servers.get_mut(id) {
            let operation = server.begin(Some(task), now);
            server.history.push((name.to_owned(), now));
            self.step_after(millis, id, operation, end);
        }
        Ok(Response::empty(202))
    }

    fn resize(&mut self, id: &str, arguments: &Value) -> Answer {
        let Some(server) = self.compute.servers.get(id) else {
            return Ok(Response::empty(202));
        };
        server.check("resize", &["active", "stopped"])?;
        let wanted = arguments["flavorRef"].as_str().unwrap_or("");
        let flavor = self
            .flavor(wanted)
            .map_err(|_| Refusal::new(400, format!("Flavor {wanted} could not be found.")))?
            .clone();
        if flavor.id == server.flavor.id {
            return Err(Refusal::new(
                400,
                "When resizing, instances must change flavor!",
            ));
        }
        if flavor.disk == 0 && server.flavor.disk > 0 && server.image.is_some() {
            return Err(Refusal::new(
                400,
                "Resize to zero disk flavor is not allowed.",
            ));
        }
        let (project, old) = (server.project_id.clone(), server.flavor.clone());
        self.check_compute_quota(
            &project,
            0,
            (flavor.vcpus - old.vcpus).max(0),
            (flavor.ram - old.ram).max(0),
        )?;
        let mut draft = server.clone();
        draft.other_flavor = Some(flavor.clone());
        let fits = self.fits_a_host(&draft);
        let now = self.now;
        let Some(server) = self.compute.servers.get_mut(id) else {
            return Ok(Response::empty(202));
        };
        let operation = server.begin(Some("resize_prep"), now);
        server.history.push(("resize".to_owned(), now));
        if !fits {
            self.step_after(1000, id, operation, Step::FailResize);
            return Ok(Response::empty(202));
        }
        server.flavor = flavor;
        server.other_flavor = Some(old);
        self.step_after(500, id, operation, Step::Task("resize_migrating"));
        self.step_after(1500, id, operation, Step::Task("resize_finish"));
        self.step_after(2500, id, operation, Step::FinishResize);
        Ok(Response::empty(202))
    }

    fn rebuild(&mut self, who: Caller<'_>, id: &str, arguments: &Value) -> Answer {
        let empty = Object::new();
        let wanted = arguments.as_object().unwrap_or(&empty);
        let server = self.server_shown(who.account, id)?;
        server.check("rebuild", &["active", "stopped", "error"])?;
        let image = text(wanted, "imageRef")
            .ok_or_else(|| invalid("rebuild", arguments, "'imageRef' is a required property"))?;
        if server.image.is_none() && who.minor < 93 {
            return Err(Refusal::new(
                400,
                "Unable to rebuild with a different image for a volume-backed server.",
            ));
        }
        let flavor = server.flavor.clone();
        let (from_volume, stays) = (
            server.image.is_none(),
            if server.vm_state == "stopped" {
                ("stopped", SHUTDOWN)
            } else {
                ("active", RUNNING)
            },
        );
        self.check_image(who, image, &flavor, from_volume)?;
        let (now, properties) = (self.now, self.properties_of(Some(image)));
        let server = self.server_mut(who.account, id)?;
        if server.image.is_some() {
            server.image = Some(image.to_owned());
            server.image_properties = properties;
        }
        if let Some(name) = text(wanted, "name") {
            name.clone_into(&mut server.name);
        }
        // All of it is replaced by what is given.
        if let Some(metadata) = wanted.get("metadata").and_then(Value::as_object) {
            let texts = metadata
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
            server.metadata = texts.collect();
        }
        if let Some(description) = wanted.get("description").filter(|_| who.minor >= 19) {
            server.description = description.as_str().map(str::to_owned);
        }
        if let Some(metadata) = wanted.get("metadata").and_then(Value::as_object) {
            server.metadata = super::create::strings(Some(metadata));
        }
        if let Some(key) = wanted.get("key_name").filter(|_| who.minor >= 54) {
            server.key_name = key.as_str().map(str::to_owned);
        }
        if let Some(data) = wanted.get("user_data").filter(|_| who.minor >= 57) {
            server.user_data = data.as_str().map(str::to_owned);
        }
        server.fault = None;
        let operation = server.begin(Some("rebuilding"), now);
        server.history.push(("rebuild".to_owned(), now));
        self.step_after(1000, id, operation, Step::Task("rebuild_spawning"));
        self.step_after(3000, id, operation, Step::Settle(stays.0, stays.1));
        let mut body = self.server_body(self.server_shown(who.account, id)?, who, true);
        body["adminPass"] = json!(self.new_hex()[..12]);
        Ok(Response::json(202, json!({ "server": body })))
    }

    fn change_groups(&mut self, who: Caller<'_>, id: &str, name: &str, add: bool) -> Answer {
        let server = self.server_shown(who.account, id)?;
        let owner = super::networks::owner_of(server);
        let group = self
            .one_group(&owner, name)
            .map_err(|refusal| match refusal.status {
                400 => Refusal::new(404, refusal.message),
                _ => refusal,
            })?;
        let group = if group.is_empty() {
            self.default_group_of(&owner.project_id)
        } else {
            group
        };
        for port in self.ports_of(id) {
            self.change_port_group(&port, &group, add);
        }
        Ok(Response::empty(202))
    }
}

/// A locked server can be changed by an administrator only.
pub(super) fn check_lock(server: &Server, who: Caller<'_>) -> Result<(), Refusal> {
    if server.locked && !who.account.admin {
        return Err(Refusal::new(
            409,
            format!("Instance {} is locked", server.id),
        ));
    }
    Ok(())
}
