//! Creation of volumes: blank, from an image, a snapshot or another volume.

use serde_json::{Value, json};

use super::super::json::{Object, integer, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, Event, World};
use super::{DEFAULT_TYPE, Volume, VolumeEvent, bad_body};

impl World {
    pub(super) fn create_volume(
        &mut self,
        request: &Request,
        account: &Account,
        minor: u32,
    ) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let wanted = body
            .get("volume")
            .and_then(Value::as_object)
            .ok_or_else(bad_body)?;
        let id = self.new_volume(wanted, account)?;
        let body = self.volume_body(&self.volumes.volumes[&id], account, minor, false);
        Ok(Response::json(202, json!({ "volume": body })))
    }

    /// Makes a volume for a user, or for a server that boots from it.
    pub(in super::super) fn new_volume(
        &mut self,
        wanted: &Object,
        account: &Account,
    ) -> Result<String, Refusal> {
        let mut size = match wanted.get("size") {
            None | Some(Value::Null) => None,
            Some(value) => Some(asked_size(value)?),
        };
        let zone = match text(wanted, "availability_zone") {
            None | Some("nova") => "nova".to_owned(),
            Some(zone) => {
                return Err(Refusal::new(
                    400,
                    format!("Availability zone '{zone}' is invalid."),
                ));
            }
        };
        let (mut image_metadata, mut bootable, mut multiattach) = (Object::new(), false, false);
        let mut inherited = None;
        if let Some(source) = text(wanted, "source_volid") {
            let source = self
                .volume_shown(account, source)
                .map_err(|_| missing("volume", source))?;
            if !matches!(source.status.as_str(), "available" | "in-use") {
                return Err(Refusal::new(
                    400,
                    "Invalid volume: Source volume must be available or in-use.",
                ));
            }
            size = Some(at_least(size, source.size, "original volume")?);
            (image_metadata, bootable) = (source.image_metadata.clone(), source.bootable);
            inherited = Some(source.type_name.clone());
        }
        if let Some(source) = text(wanted, "snapshot_id") {
            let snapshot = self
                .snapshot_shown(account, source)
                .map_err(|_| missing("snapshot", source))?;
            if snapshot.status != "available" {
                return Err(Refusal::new(
                    400,
                    format!(
                        "Invalid snapshot: Originating snapshot status must be one of 'available' values, but it is {}.",
                        snapshot.status
                    ),
                ));
            }
            size = Some(at_least(size, snapshot.size, "the snapshot")?);
            if let Some(source) = self.volumes.volumes.get(&snapshot.volume_id) {
                (image_metadata, bootable) = (source.image_metadata.clone(), source.bootable);
                inherited = Some(source.type_name.clone());
            }
        }
        let image = text(wanted, "imageRef").filter(|i| !i.is_empty());
        if let Some(image_id) = image {
            (image_metadata, bootable) = (self.bootable_image(account, image_id, size)?, true);
        }
        let size = size.filter(|s| *s > 0).ok_or_else(bad_body)?;
        let (type_name, type_id) = match text(wanted, "volume_type").filter(|t| !t.is_empty()) {
            None => self.volume_type(inherited.as_deref().unwrap_or(DEFAULT_TYPE))?,
            Some(name) => self.volume_type(name)?,
        };
        multiattach |= self
            .volumes
            .types
            .iter()
            .any(|t| t.id == type_id && t.extra_specs.contains_key("multiattach"));
        let metadata = wanted
            .get("metadata")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        super::metadata::check(&metadata)?;
        self.check_volume_size(&account.project_id, size)?;
        self.check_volume_quota(&account.project_id, &type_name, 1, size)?;
        let id = self.new_uuid();
        let volume = Volume {
            id: id.clone(),
            sequence: self.next_sequence(),
            name: wanted
                .get("name")
                .or_else(|| wanted.get("display_name"))
                .cloned()
                .unwrap_or_default(),
            description: wanted
                .get("description")
                .or_else(|| wanted.get("display_description"))
                .cloned()
                .unwrap_or_default(),
            status: "creating".to_owned(),
            previous: "available".to_owned(),
            size,
            zone,
            type_name,
            type_id,
            multiattach,
            bootable,
            project_id: account.project_id.clone(),
            user_id: account.user_id.clone(),
            metadata,
            image_metadata,
            snapshot_id: wanted.get("snapshot_id").cloned().unwrap_or_default(),
            source_volid: wanted.get("source_volid").cloned().unwrap_or_default(),
            created: self.now,
            updated: None,
            attachments: Vec::new(),
        };
        self.volumes.volumes.insert(id.clone(), volume);
        if image.is_some() {
            self.after(500, Event::Volume(id.clone(), VolumeEvent::Download));
        } else {
            let created = Event::Volume(id.clone(), VolumeEvent::Created);
            self.after_chosen(self.options.build, 1000, created);
        }
        Ok(id)
    }

    /// The metadata that a volume takes over from an image it is made of.
    fn bootable_image(
        &self,
        account: &Account,
        id: &str,
        size: Option<i64>,
    ) -> Result<Object, Refusal> {
        let image = self.image_shown(account, id).map_err(|_| {
            Refusal::new(
                400,
                "Invalid image identifier or unable to access requested image.",
            )
        })?;
        if image.status != "active" {
            return Err(Refusal::new(
                400,
                format!("Invalid input received: Image {id} is not active."),
            ));
        }
        let body = image.body();
        let size = size.unwrap_or(0);
        if size < image.min_disk {
            return Err(Refusal::new(
                400,
                format!(
                    "Invalid input received: Volume size {size}GB cannot be smaller than the image minDisk size {}GB.",
                    image.min_disk
                ),
            ));
        }
        let gigabytes = image.size.unwrap_or(0).div_ceil(1 << 30);
        if size < i64::try_from(gigabytes).unwrap_or(i64::MAX) {
            return Err(Refusal::new(
                400,
                format!(
                    "Invalid input received: Size of specified image {gigabytes}GB is larger than volume size {size}GB."
                ),
            ));
        }
        let mut taken = Object::new();
        for name in [
            "checksum",
            "min_ram",
            "min_disk",
            "disk_format",
            "container_format",
            "size",
        ] {
            let value = &body[name];
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            taken.insert(name.to_owned(), json!(value));
        }
        taken.insert("image_id".to_owned(), json!(id));
        taken.insert("image_name".to_owned(), json!(image.name));
        taken.extend(image.properties.iter().map(|(k, v)| (k.clone(), v.clone())));
        Ok(taken)
    }

    pub(super) fn volume_type(&self, wanted: &str) -> Result<(String, String), Refusal> {
        let found = self
            .volumes
            .types
            .iter()
            .find(|t| t.id == wanted || t.name == wanted);
        found
            .map(|t| (t.name.to_owned(), t.id.clone()))
            .ok_or_else(|| {
                Refusal::new(
                    404,
                    format!("Volume type with name {wanted} could not be found."),
                )
            })
    }

    pub(super) fn volume_summary(&self, account: &Account) -> Answer {
        let own: Vec<&Volume> = self
            .volumes
            .volumes
            .values()
            .filter(|v| v.project_id == account.project_id)
            .collect();
        let size: i64 = own.iter().map(|v| v.size).sum();
        Ok(Response::json(
            200,
            json!({"volume-summary": {"total_count": own.len(), "total_size": size}}),
        ))
    }
}

pub(super) fn asked_size(value: &Value) -> Result<i64, Refusal> {
    let shown = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    if integer(value) == Some(0) {
        return Err(Refusal::new(
            400,
            "Invalid input for field/attribute size. Value: 0. 0 is less than the minimum of 1",
        ));
    }
    integer(value).filter(|s| *s >= 0).ok_or_else(|| {
        Refusal::new(400, format!(
            "Invalid input for field/attribute size. Value: {shown}. '{shown}' does not match '^[0-9]+$'"))
    })
}

fn at_least(size: Option<i64>, source: i64, what: &str) -> Result<i64, Refusal> {
    let size = size.unwrap_or(source);
    if size < source {
        return Err(Refusal::new(
            400,
            format!(
                "Invalid input received: Volume size '{size}'GB cannot be smaller than {what} size {source}GB. They must \
                 be >= original {} size.",
                what.rsplit(' ').next().unwrap_or(what)
            ),
        ));
    }
    Ok(size)
}

fn missing(what: &str, id: &str) -> Refusal {
    let what = if what == "volume" {
        "Volume"
    } else {
        "Snapshot"
    };
    Refusal::new(404, format!("{what} {id} could not be found."))
}

/// What a user is told when the project is full: 413 with a Retry-After that must not be obeyed.
pub(super) fn over_quota(what: &str, asked: i64, limit: i64, used: i64) -> Refusal {
    let kind = what.split('_').next();
    let text = match kind {
        Some("volumes") => format!(
            "VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded for quota '{what}'."
        ),
        Some("snapshots") => {
            format!("SnapshotLimitExceeded: Maximum number of snapshots allowed ({limit}) exceeded")
        }
        _ => format!(
            "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {what} quota. Requested \
             {asked}G, quota is {limit}G and {used}G has been consumed."
        ),
    };
    Refusal::new(413, text).with("Retry-After", "0")
}
