//! What happens to a server by itself, step by step.

use serde_json::{Value, json};

use super::super::json::Object;
use super::super::world::{Event, World};
use super::networks::owner_of;
use super::server::{Block, Fault, RUNNING, Server, ServerEvent, Step};

impl World {
    /// Puts the next step of a server's operation on the agenda.
    pub(super) fn step_after(&mut self, millis: u64, id: &str, operation: u64, step: Step) {
        self.after(
            millis,
            Event::Server(id.to_owned(), ServerEvent { operation, step }),
        );
    }

    pub(in super::super) fn server_event(&mut self, id: &str, event: ServerEvent) {
        let Some(server) = self.compute.servers.get(id) else {
            return;
        };
        let operation = event.operation;
        // Volumes and ports come and go beside the operations; the rest is void once another one began.
        match event.step {
            _ if server.deleted.is_some() => return,
            Step::ConnectVolume(volume) => return self.connect_step(id, volume),
            Step::AttachVolume(volume) => return self.attach_step(id, &volume),
            Step::DetachVolume(volume) => return self.detach_step(id, &volume),
            Step::AttachNic(port) => return self.set_port_status(&port, "ACTIVE"),
            Step::DetachNic(port) => return self.detach_nic_step(id, &port),
            _ if server.operation != operation => return,
            _ => {}
        }
        match event.step {
            Step::Network => self.network_step(id, operation),
            Step::MapBlocks => self.map_step(id, operation),
            Step::Spawn => {
                self.set_task(id, Some("spawning"));
                let millis = 1200 + self.chance(2500);
                let step = Step::Launch;
                let event = Event::Server(id.to_owned(), ServerEvent { operation, step });
                self.after_chosen(self.options.boot, millis, event);
            }
            Step::Launch => self.launch_step(id),
            Step::NoHost => self.fail(id, 500, "No valid host was found. "),
            Step::Delete => self.delete_step(id),
            Step::Task(task) => self.set_task(id, Some(task)),
            Step::Settle(vm_state, power) => self.settle(id, vm_state, power),
            Step::FinishResize => self.settle(id, "resized", RUNNING),
            Step::FinishRevert => {
                if let Some(server) = self.compute.servers.get_mut(id)
                    && let Some(old) = server.other_flavor.take()
                {
                    server.flavor = old;
                }
                self.settle(id, "active", RUNNING);
            }
            Step::FailResize => {
                self.set_task(id, None);
                let now = self.now;
                if let Some(server) = self.compute.servers.get_mut(id) {
                    let message = "No valid host was found. ".to_owned();
                    server.fault = Some(Fault {
                        code: 400,
                        message,
                        at: now,
                    });
                    server.other_flavor = None;
                }
            }
            Step::Snapshot(image) => {
                self.set_task(id, None);
                let size = self
                    .compute
                    .servers
                    .get(id)
                    .map_or(1 << 20, |s| (s.flavor.disk.max(1) as u64) << 20);
                self.expect_snapshot(&image, size);
            }
            _ => {}
        }
    }

    fn network_step(&mut self, id: &str, operation: u64) {
        let Some(server) = self.compute.servers.get(id).cloned() else {
            return;
        };
        if !self.fits_a_host(&server) {
            return self.server_event(
                id,
                ServerEvent {
                    operation,
                    step: Step::NoHost,
                },
            );
        }
        self.set_task(id, Some("networking"));
        match self.plug_all(&server) {
            Ok(nics) => {
                if let Some(server) = self.compute.servers.get_mut(id) {
                    server.nics = nics;
                }
                let next = if server.blocks.is_empty() {
                    Step::Spawn
                } else {
                    Step::MapBlocks
                };
                let millis = 600 + self.chance(400);
                self.step_after(millis, id, operation, next);
            }
            Err(refusal) => {
                let message = format!(
                    "Build of instance {id} aborted: Failed to allocate the network(s), not rescheduling. {}",
                    refusal.message
                );
                self.fail(id, 500, &message);
            }
        }
    }

    /// Whether the only host could take it.
    pub(super) fn fits_a_host(&self, server: &Server) -> bool {
        let (vcpus, ram, disk) = self.options.host;
        let fits = |wanted: i64, have: u64| u64::try_from(wanted).is_ok_and(|w| w <= have);
        let alone = self
            .compute
            .groups
            .values()
            .filter(|g| g.members.contains(&server.id))
            .all(|group| {
                group.policy != "anti-affinity"
                    || group.members.iter().all(|m| {
                        *m == server.id
                            || self
                                .compute
                                .servers
                                .get(m)
                                .is_none_or(|s| s.launched.is_none())
                    })
            });
        let wanted = server.other_flavor.as_ref().unwrap_or(&server.flavor);
        alone && fits(wanted.vcpus, vcpus) && fits(wanted.ram, ram) && fits(wanted.disk, disk)
    }

    /// Makes the volumes that are to be made, and attaches all once they are there.
    fn map_step(&mut self, id: &str, operation: u64) {
        self.set_task(id, Some("block_device_mapping"));
        let Some(server) = self.compute.servers.get(id).cloned() else {
            return;
        };
        let account = owner_of(&server);
        let mut blocks = server.blocks.clone();
        let mut waiting = false;
        for block in &mut blocks {
            let made = match block.volume.clone() {
                Some(volume) => Ok(volume),
                None => self
                    .new_volume(&wanted_volume(block), &account)
                    .map_err(|refusal| refusal.message),
            };
            let outcome = made.and_then(|volume| {
                block.volume = Some(volume.clone());
                let status = self
                    .volumes
                    .volumes
                    .get(&volume)
                    .map(|v| v.status.clone())
                    .unwrap_or_default();
                match status.as_str() {
                    "creating" | "downloading" => waiting = true,
                    "error" | "" => {
                        return Err(format!("Volume {volume} did not finish being created"));
                    }
                    _ if block.attachment.is_none() => {
                        let device = block.device.as_deref().unwrap_or("");
                        block.attachment = Some(
                            self.reserve_volume(&volume, id, device)
                                .map_err(|r| r.message)?,
                        );
                    }
                    _ => {}
                }
                Ok(())
            });
            if let Err(why) = outcome {
                if let Some(server) = self.compute.servers.get_mut(id) {
                    server.blocks = blocks;
                }
                let message = format!("Build of instance {id} aborted: {why}");
                return self.fail(id, 500, &message);
            }
        }
        if !waiting {
            for block in &mut blocks {
                let (Some(volume), Some(attachment)) = (&block.volume, &block.attachment) else {
                    continue;
                };
                self.complete_attachment(volume, attachment);
                block.attached = true;
            }
        }
        if let Some(server) = self.compute.servers.get_mut(id) {
            server.blocks = blocks;
        }
        let next = if waiting {
            Step::MapBlocks
        } else {
            Step::Spawn
        };
        self.step_after(500, id, operation, next);
    }

    fn launch_step(&mut self, id: &str) {
        let now = self.now;
        if let Some(server) = self.compute.servers.get_mut(id) {
            server.launched = Some(now);
        }
        self.settle(id, "active", RUNNING);
        for port in self.ports_of(id) {
            self.set_port_status(&port, "ACTIVE");
        }
    }

    fn delete_step(&mut self, id: &str) {
        let Some(server) = self.compute.servers.get(id).cloned() else {
            return;
        };
        for nic in &server.nics {
            let ours = nic
                .port
                .as_deref()
                .and_then(|p| self.port(p))
                .is_some_and(|p| p["device_id"] == id);
            if ours {
                self.unplug(nic);
            }
        }
        for block in &server.blocks {
            let Some(volume) = &block.volume else {
                continue;
            };
            if let Some(attachment) = &block.attachment {
                self.release_volume(volume, attachment);
            }
            if block.delete_on_termination {
                // A volume that cannot be deleted stays; Nova logs that and goes on.
                let _ = self.remove_volume(volume);
            }
        }
        for group in self.compute.groups.values_mut() {
            group.members.retain(|m| m != id);
        }
        self.drop_kept_image(id);
        let now = self.now;
        if let Some(server) = self.compute.servers.get_mut(id) {
            server.deleted = Some(now);
            server.updated = now;
            server.vm_state = "deleted";
            server.task_state = None;
            server.power_state = 0;
            server.nics.clear();
            server.blocks.clear();
        }
    }

    /// The server goes to ERROR, with a fault.
    pub(super) fn fail(&mut self, id: &str, code: u16, message: &str) {
        let now = self.now;
        let Some(server) = self.compute.servers.get_mut(id) else {
            return;
        };
        server.vm_state = "error";
        server.task_state = None;
        server.updated = now;
        server.fault = Some(Fault {
            code,
            message: message.to_owned(),
            at: now,
        });
    }

    fn set_task(&mut self, id: &str, task: Option<&'static str>) {
        let now = self.now;
        if let Some(server) = self.compute.servers.get_mut(id) {
            server.task_state = task;
            server.updated = now;
        }
    }

    fn settle(&mut self, id: &str, vm_state: &'static str, power: u8) {
        let now = self.now;
        let before = self.compute.servers.get(id).map(|server| server.vm_state);
        match (before, vm_state) {
            (Some("shelved_offloaded"), "active") => self.leave_the_shelf(id),
            (_, "shelved_offloaded") => self.reserve_attached(id),
            _ => {}
        }
        if let Some(server) = self.compute.servers.get_mut(id) {
            server.vm_state = vm_state;
            server.task_state = None;
            server.power_state = power;
            server.updated = now;
        }
    }

    /// Ports of a server.
    pub(super) fn ports_of(&self, id: &str) -> Vec<String> {
        let server = self.compute.servers.get(id);
        server
            .map(|s| s.nics.iter().filter_map(|n| n.port.clone()).collect())
            .unwrap_or_default()
    }

    // Volumes of a running server.

    fn connect_step(&mut self, id: &str, volume: String) {
        let waits = self
            .compute
            .servers
            .get(id)
            .is_some_and(|s| s.blocks.iter().any(|b| b.volume.as_ref() == Some(&volume)));
        if waits {
            self.connect_volume(&volume);
            self.step_after(500, id, 0, Step::AttachVolume(volume));
        }
    }

    fn attach_step(&mut self, id: &str, volume: &str) {
        let Some(server) = self.compute.servers.get_mut(id) else {
            return;
        };
        let block = server
            .blocks
            .iter_mut()
            .find(|b| b.volume.as_deref() == Some(volume));
        let attachment = block.and_then(|block| {
            block.attached = true;
            block.attachment.clone()
        });
        if let Some(attachment) = attachment {
            self.complete_attachment(volume, &attachment);
        }
    }

    fn detach_step(&mut self, id: &str, volume: &str) {
        let Some(server) = self.compute.servers.get_mut(id) else {
            return;
        };
        let place = server
            .blocks
            .iter()
            .position(|b| b.volume.as_deref() == Some(volume));
        let block = place.map(|place| server.blocks.remove(place));
        let Some(block) = block else { return };
        if let Some(attachment) = &block.attachment {
            self.release_volume(volume, attachment);
        }
        if block.delete_on_termination {
            let _ = self.remove_volume(volume);
        }
    }

    fn detach_nic_step(&mut self, id: &str, port: &str) {
        let Some(server) = self.compute.servers.get_mut(id) else {
            return;
        };
        let place = server
            .nics
            .iter()
            .position(|n| n.port.as_deref() == Some(port));
        let nic = place.map(|place| server.nics.remove(place));
        if let Some(nic) = nic {
            self.unplug(&nic);
        }
    }
}

/// What Nova asks Cinder for when it makes a volume for a server.
fn wanted_volume(block: &Block) -> Object {
    let mut wanted = Object::new();
    wanted.insert("name".into(), json!(""));
    wanted.insert("description".into(), json!(""));
    wanted.insert("size".into(), block.size.map_or(Value::Null, Value::from));
    if let Some(kind) = &block.volume_type {
        wanted.insert("volume_type".into(), json!(kind));
    }
    match (block.source.as_str(), &block.source_id) {
        ("image", Some(id)) => drop(wanted.insert("imageRef".into(), json!(id))),
        ("snapshot", Some(id)) => drop(wanted.insert("snapshot_id".into(), json!(id))),
        _ => {}
    }
    wanted
}
