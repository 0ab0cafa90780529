//! Snapshots of volumes.

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::json::{Object, boolean, stamp_micros, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, Event, World};
use super::{VolumeEvent, bad_body, volume_not_found};

#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    id: String,
    sequence: u64,
    pub(super) volume_id: String,
    pub(super) project_id: String,
    user_id: String,
    name: Value,
    description: Value,
    pub(super) status: &'static str,
    pub(super) size: i64,
    metadata: Object,
    created: Timestamp,
    updated: Option<Timestamp>,
}

impl World {
    pub(super) fn snapshots_call(
        &mut self,
        request: &Request,
        account: &Account,
        path: &[&str],
    ) -> Answer {
        match (&request.method, path) {
            (&Method::GET, [] | ["detail"]) => self.list_snapshots(request, account),
            (&Method::POST, []) => self.create_snapshot(request, account),
            (&Method::GET, [id]) => {
                let found = self.snapshot_shown(account, id)?;
                Ok(Response::json(200, json!({"snapshot": found.body()})))
            }
            (&Method::PUT, [id]) => {
                let body = request.body_json().unwrap_or_default();
                let wanted = body
                    .get("snapshot")
                    .and_then(Value::as_object)
                    .ok_or_else(bad_body)?;
                let now = self.now;
                let snapshot = self.snapshot_mut(account, id)?;
                for (name, value) in wanted {
                    match name.as_str() {
                        "name" => snapshot.name = value.clone(),
                        "description" => snapshot.description = value.clone(),
                        _ => {}
                    }
                }
                snapshot.updated = Some(now);
                Ok(Response::json(200, json!({"snapshot": snapshot.body()})))
            }
            (&Method::DELETE, [id]) => {
                let snapshot = self.snapshot_mut(account, id)?;
                if !matches!(snapshot.status, "available" | "error") {
                    return Err(Refusal::new(
                        400,
                        "Invalid snapshot: Snapshot status must be available or error.",
                    ));
                }
                snapshot.status = "deleting";
                self.after(
                    500,
                    Event::Volume((*id).to_owned(), VolumeEvent::SnapshotDeleted),
                );
                Ok(Response::empty(202))
            }
            (&Method::GET, [id, "metadata"]) => {
                let metadata = &self.snapshot_shown(account, id)?.metadata;
                Ok(Response::json(200, json!({ "metadata": metadata })))
            }
            (&Method::DELETE, [id, "metadata", key]) => {
                let gone = self.snapshot_mut(account, id)?.metadata.remove(*key);
                gone.map(|_| Response::empty(200)).ok_or_else(|| {
                    let why = format!("Snapshot {id} has no metadata with key {key}.");
                    Refusal::new(404, why)
                })
            }
            (&Method::PUT | &Method::POST, [id, "metadata"]) => {
                let body = request.body_json().unwrap_or_default();
                let wanted = body
                    .get("metadata")
                    .and_then(Value::as_object)
                    .ok_or_else(bad_body)?;
                super::metadata::check(wanted)?;
                let snapshot = self.snapshot_mut(account, id)?;
                if request.method == Method::PUT {
                    snapshot.metadata.clear();
                }
                snapshot.metadata.extend(wanted.clone());
                Ok(Response::json(200, json!({"metadata": snapshot.metadata})))
            }
            _ => Err(Refusal::of(404, "no route", "")),
        }
    }

    fn list_snapshots(&self, request: &Request, account: &Account) -> Answer {
        let limit = super::list::page_size(request, self.options.pages.volume)?;
        let mut found: Vec<&Snapshot> = self
            .volumes
            .snapshots
            .values()
            .filter(|s| {
                s.project_id == account.project_id
                    || (account.admin && request.arg("all_tenants").is_some())
            })
            .filter(|s| request.arg("volume_id").is_none_or(|v| v == s.volume_id))
            .filter(|s| request.arg("status").is_none_or(|v| v == s.status))
            .filter(|s| {
                request
                    .arg("name")
                    .is_none_or(|v| s.name.as_str() == Some(v))
            })
            .collect();
        found.sort_by_key(|s| std::cmp::Reverse(s.sequence));
        if let Some(marker) = request.arg("marker") {
            self.snapshot_shown(account, marker)?;
            let place = found.iter().position(|s| s.id == marker);
            found.drain(..place.map_or(found.len(), |p| p + 1));
        }
        let full = found.len() > limit || (found.len() == limit && request.arg("limit").is_some());
        found.truncate(limit);
        let mut body = json!({"snapshots": found.iter().map(|s| s.body()).collect::<Vec<Value>>()});
        if let Some(last) = found.last().filter(|_| full) {
            body["snapshots_links"] =
                json!([{"rel": "next", "href": self.next_volumes(request, &last.id)}]);
        }
        Ok(Response::json(200, body))
    }

    fn create_snapshot(&mut self, request: &Request, account: &Account) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let wanted = body
            .get("snapshot")
            .and_then(Value::as_object)
            .ok_or_else(bad_body)?;
        let volume_id = text(wanted, "volume_id").ok_or_else(bad_body)?;
        let volume = self
            .volume_shown(account, volume_id)
            .map_err(|_| volume_not_found(volume_id))?;
        let forced = wanted.get("force").and_then(boolean).unwrap_or(false);
        let usable = volume.status == "available" || (forced && volume.status == "in-use");
        if !usable {
            return Err(Refusal::new(
                400,
                format!(
                    "Invalid volume: Volume {volume_id} status must be available, but current status is: {}.",
                    volume.status
                ),
            ));
        }
        let size = volume.size;
        let type_name = volume.type_name.clone();
        self.check_snapshot_quota(&account.project_id, &type_name, size)?;
        let id = self.new_uuid();
        let snapshot = Snapshot {
            id: id.clone(),
            sequence: self.next_sequence(),
            volume_id: volume_id.to_owned(),
            project_id: account.project_id.clone(),
            user_id: account.user_id.clone(),
            name: wanted.get("name").cloned().unwrap_or_default(),
            description: wanted.get("description").cloned().unwrap_or_default(),
            status: "creating",
            size,
            metadata: wanted
                .get("metadata")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            created: self.now,
            updated: None,
        };
        let body = snapshot.body();
        self.volumes.snapshots.insert(id.clone(), snapshot);
        self.after(700, Event::Volume(id, VolumeEvent::SnapshotCreated));
        Ok(Response::json(202, json!({ "snapshot": body })))
    }

    pub(super) fn snapshot_event(&mut self, id: &str, event: &VolumeEvent) {
        let now = self.now;
        if matches!(event, VolumeEvent::SnapshotDeleted) {
            self.volumes.snapshots.remove(id);
        } else if let Some(snapshot) = self.volumes.snapshots.get_mut(id) {
            snapshot.status = "available";
            snapshot.updated = Some(now);
        }
    }

    pub(super) fn snapshot_shown(&self, account: &Account, id: &str) -> Result<&Snapshot, Refusal> {
        let found = self.volumes.snapshots.get(id);
        found
            .filter(|s| account.admin || s.project_id == account.project_id)
            .ok_or_else(|| snapshot_not_found(id))
    }

    fn snapshot_mut(&mut self, account: &Account, id: &str) -> Result<&mut Snapshot, Refusal> {
        self.snapshot_shown(account, id)?;
        self.volumes
            .snapshots
            .get_mut(id)
            .ok_or_else(|| snapshot_not_found(id))
    }
}

impl Snapshot {
    fn body(&self) -> Value {
        json!({"id": self.id, "created_at": stamp_micros(self.created), "updated_at": self.updated.map(stamp_micros),
            "name": self.name, "description": self.description, "volume_id": self.volume_id, "status": self.status,
            "size": self.size, "metadata": self.metadata, "group_snapshot_id": null, "user_id": self.user_id,
            "os-extended-snapshot-attributes:progress": if self.status == "available" { "100%" } else { "0%" },
            "os-extended-snapshot-attributes:project_id": self.project_id})
    }
}

fn snapshot_not_found(id: &str) -> Refusal {
    Refusal::new(404, format!("Snapshot {id} could not be found."))
}
