//! A server's record and the states it can be in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::json::{Object, stamp_micros};
use super::super::response::Refusal;
use super::flavors::Flavor;

#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) id: String,
    pub(super) sequence: u64,
    pub(super) name: String,
    pub(super) hostname: String,
    pub(super) description: Option<String>,
    pub(super) project_id: String,
    pub(super) user_id: String,
    pub(super) vm_state: &'static str,
    pub(super) task_state: Option<&'static str>,
    pub(super) power_state: u8,
    pub(super) flavor: Flavor,
    /// The other flavor of a resize that is not yet confirmed.
    pub(super) other_flavor: Option<Flavor>,
    pub(super) image: Option<String>,
    /// The properties of that image when the server was made of it: its snapshots take them over.
    pub(super) image_properties: Object,
    /// The image that it is kept in while it is shelved.
    pub(super) shelved_image: Option<String>,
    pub(super) key_name: Option<String>,
    pub(super) user_data: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tags: BTreeSet<String>,
    pub(super) scheduled_zone: Option<String>,
    pub(super) pinned_zone: Option<String>,
    pub(super) config_drive: bool,
    pub(super) hints: Value,
    pub(super) groups_asked: Vec<String>,
    pub(super) nics: Vec<Nic>,
    pub(super) blocks: Vec<Block>,
    pub(super) fault: Option<Fault>,
    pub(super) locked: bool,
    pub(super) locked_reason: Option<String>,
    pub(super) access: (String, String),
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) launched: Option<Timestamp>,
    pub(super) deleted: Option<Timestamp>,
    /// Grows with each operation; events of an older one are void.
    pub(super) operation: u64,
    pub(super) history: Vec<(String, Timestamp)>,
}

/// A network interface.
#[derive(Debug, Clone)]
pub(super) struct Nic {
    /// Network to make a port on.
    pub(super) network: Option<String>,
    pub(super) fixed_ip: Option<String>,
    /// The port, given by the user or made by Nova.
    pub(super) port: Option<String>,
    pub(super) made_by_nova: bool,
}

/// A block device that is or becomes a volume.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) bdm_id: String,
    /// `volume`, `image`, `snapshot` or `blank`: what it is made of.
    pub(super) source: String,
    pub(super) source_id: Option<String>,
    pub(super) size: Option<i64>,
    pub(super) volume_type: Option<String>,
    pub(super) volume: Option<String>,
    pub(super) attachment: Option<String>,
    pub(super) device: Option<String>,
    pub(super) boot_index: Option<i64>,
    pub(super) delete_on_termination: bool,
    pub(super) tag: Option<String>,
    pub(super) attached: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) code: u16,
    pub(super) message: String,
    pub(super) at: Timestamp,
}

/// What happens to a server by itself: a step of an operation.
#[derive(Debug, Clone)]
pub(in super::super) struct ServerEvent {
    pub(super) operation: u64,
    pub(super) step: Step,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Network,
    MapBlocks,
    Spawn,
    Launch,
    NoHost,
    Delete,
    /// The end of a simple action: vm state and power state.
    Settle(&'static str, u8),
    /// Another task state on the way.
    Task(&'static str),
    FinishResize,
    FinishRevert,
    FailResize,
    ConnectVolume(String),
    AttachVolume(String),
    DetachVolume(String),
    AttachNic(String),
    DetachNic(String),
    Snapshot(String),
}

pub(super) const RUNNING: u8 = 1;
pub(super) const PAUSED: u8 = 3;
pub(super) const SHUTDOWN: u8 = 4;

impl Server {
    /// The status that the API shows, made of vm state and task state.
    pub(super) fn status(&self) -> &'static str {
        match (self.vm_state, self.task_state) {
            ("active", Some("rebooting" | "reboot_pending" | "reboot_started")) => "REBOOT",
            (
                "active" | "stopped" | "error",
                Some("reboot_pending_hard" | "rebooting_hard" | "reboot_started_hard"),
            ) => "HARD_REBOOT",
            (
                "active" | "stopped" | "error",
                Some("rebuilding" | "rebuild_block_device_mapping" | "rebuild_spawning"),
            ) => "REBUILD",
            (
                "active" | "stopped",
                Some("resize_prep" | "resize_migrating" | "resize_migrated" | "resize_finish"),
            ) => "RESIZE",
            ("resized", Some("resize_reverting")) => "REVERT_RESIZE",
            ("active", _) => "ACTIVE",
            ("building", _) => "BUILD",
            ("stopped", _) => "SHUTOFF",
            ("paused", _) => "PAUSED",
            ("suspended", _) => "SUSPENDED",
            ("resized", _) => "VERIFY_RESIZE",
            ("shelved", _) => "SHELVED",
            ("shelved_offloaded", _) => "SHELVED_OFFLOADED",
            ("deleted", _) => "DELETED",
            ("error", _) => "ERROR",
            _ => "UNKNOWN",
        }
    }

    /// Refuses an action in the wrong state, in Nova's words.
    pub(super) fn check(&self, action: &str, allowed: &[&str]) -> Result<(), Refusal> {
        let wrong = |attribute: &str, state: &str| {
            let text = format!(
                "Cannot '{action}' instance {} while it is in {attribute} {state}",
                self.id
            );
            Err(Refusal::new(409, text))
        };
        if !allowed.contains(&self.vm_state) {
            return wrong("vm_state", self.vm_state);
        }
        match self.task_state {
            Some(task) => wrong("task_state", task.trim_end_matches("_hard")),
            None => Ok(()),
        }
    }

    /// Begins an operation; its steps carry the number.
    pub(super) fn begin(&mut self, task: Option<&'static str>, now: Timestamp) -> u64 {
        self.operation += 1;
        self.task_state = task;
        self.updated = now;
        self.operation
    }

    /// The first device name that no volume has.
    pub(super) fn free_device(&self) -> String {
        let used: Vec<&str> = self
            .blocks
            .iter()
            .filter_map(|b| b.device.as_deref())
            .collect();
        let first = if self.image.is_some() { b'b' } else { b'a' };
        (first..=b'z')
            .map(|letter| format!("/dev/vd{}", letter as char))
            .find(|device| !used.contains(&device.as_str()))
            .unwrap_or_else(|| "/dev/vdaa".to_owned())
    }

    pub(super) fn history_body(&self) -> Vec<Value> {
        self.history
            .iter()
            .rev()
            .map(|(action, at)| {
                json!({"action": action, "instance_uuid": self.id, "message": null, "project_id": self.project_id,
                    "user_id": self.user_id, "start_time": stamp_micros(*at),
                    "request_id": format!("req-{}", self.id)})
            })
            .collect()
    }
}
