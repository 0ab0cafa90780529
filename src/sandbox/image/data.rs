//! Image data: uploads, staging, imports. Bytes are not kept, only what was measured of them.

use bytes::Bytes;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use sha2::Sha512;

use super::super::request::{Payload, Request, Upload};
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, Event, World};
use super::Image;

/// What happens to an image by itself.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum ImageEvent {
    /// An import or snapshot is done.
    Activate,
    /// An import found nothing to read.
    FailImport,
    /// Data of a server snapshot begins to arrive.
    Save,
}

impl World {
    /// Before a streamed upload: checks what can be checked without the data, and sets the image to `saving`.
    /// The refusal, if there is one, is the answer to the whole request.
    pub fn begin_upload(
        &mut self,
        request: &Request,
        now: jiff::Timestamp,
    ) -> Result<(), Box<Response>> {
        self.advance(now);
        let Some(id) = upload_target(request) else {
            return Ok(());
        };
        let checked = self.account(request).and_then(|account| {
            let image = self.image_owned(&account, &id, "upload_image")?;
            image.check_receives_data()?;
            image.status = "saving";
            Ok(())
        });
        checked.map_err(|refusal| Box::new(super::glance_error(request, refusal)))
    }

    /// After a streamed upload broke off: back to `queued`, as Glance does when its worker lives.
    pub fn abort_upload(&mut self, request: &Request) {
        let image = upload_target(request).and_then(|id| self.images.images.get_mut(&id));
        if let Some(image) = image.filter(|image| image.status == "saving") {
            image.status = "queued";
        }
    }

    pub(super) fn upload_image(
        &mut self,
        request: &Request,
        account: &Account,
        id: &str,
    ) -> Answer {
        let upload = self.measured(request)?;
        let streamed = matches!(request.body, Payload::Upload(_));
        let used: u64 = self
            .images
            .images
            .values()
            .filter(|i| i.owner == account.project_id)
            .filter_map(|i| i.size)
            .sum();
        let room = self
            .options
            .quotas
            .image_bytes
            .map(|total| total.saturating_sub(used));
        let now = self.now;
        let image = self.image_owned(account, id, "upload_image")?;
        if !(streamed && image.status == "saving") {
            image.check_receives_data()?;
        }
        image.status = "queued";
        if room.is_some_and(|room| upload.size > room) {
            return Err(Refusal::new(
                413,
                format!(
                    "The size of the data {} will exceed the limit. {} bytes remaining.",
                    upload.size,
                    room.unwrap_or(0)
                ),
            ));
        }
        image.updated = now;
        image.accept(upload)?;
        Ok(Response::empty(204))
    }

    pub(super) fn stage_image(&mut self, request: &Request, account: &Account, id: &str) -> Answer {
        let upload = self.measured(request)?;
        let image = self.image_owned(account, id, "upload_image")?;
        if image.status != "queued" {
            return Err(transition(image.status, "uploading"));
        }
        image.status = "uploading";
        image.size = Some(upload.size);
        image.staged = Some(upload);
        Ok(Response::empty(204))
    }

    pub(super) fn import_image(
        &mut self,
        request: &Request,
        account: &Account,
        id: &str,
    ) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let method = body["method"]["name"].as_str().unwrap_or("").to_owned();
        let image = self.image_owned(account, id, "import_image")?;
        if image.disk_format.is_none() || image.container_format.is_none() {
            return Err(Refusal::new(
                400,
                "'disk_format' and 'container_format' needs to be set before import",
            ));
        }
        let event = match method.as_str() {
            "glance-direct" if image.status != "uploading" => {
                return Err(Refusal::new(
                    409,
                    "Image needs to be staged before 'glance-direct' method can be used",
                ));
            }
            "glance-direct" => ImageEvent::Activate,
            "web-download" if image.status != "queued" => {
                return Err(Refusal::new(
                    409,
                    "Image needs to be in 'queued' state to use 'web-download' method",
                ));
            }
            "web-download" => {
                let uri = body["method"]["uri"].as_str().unwrap_or("");
                if !(uri.starts_with("http://") || uri.starts_with("https://")) {
                    return Err(Refusal::new(
                        400,
                        format!("URI for web-download does not pass filtering: {uri}"),
                    ));
                }
                image.staged = Some(pretend_download(uri, image.disk_format.as_deref()));
                // A host that can never exist (RFC 2606) stands for every address that does not answer.
                if uri.contains(".invalid/") {
                    ImageEvent::FailImport
                } else {
                    ImageEvent::Activate
                }
            }
            other => {
                return Err(Refusal::new(
                    400,
                    format!("Unknown import method name '{other}'."),
                ));
            }
        };
        image.status = "importing";
        image
            .properties
            .insert("os_glance_import_task".into(), json!(""));
        image
            .properties
            .insert("os_glance_importing_to_stores".into(), json!("fs"));
        image
            .properties
            .insert("os_glance_failed_import".into(), json!(""));
        self.after(1500, Event::Image(id.to_owned(), event));
        Ok(Response::empty(202))
    }

    /// Lets a server's snapshot arrive: queued, then saving, then active.
    pub(in super::super) fn expect_snapshot(&mut self, id: &str, size: u64) {
        if let Some(image) = self.images.images.get_mut(id) {
            image.staged = Some(measure(&Bytes::from(format!("snapshot {id}"))));
            if let Some(staged) = &mut image.staged {
                staged.size = size;
            }
            self.after(500, Event::Image(id.to_owned(), ImageEvent::Save));
        }
    }

    pub(in super::super) fn image_event(&mut self, id: &str, event: ImageEvent) {
        let now = self.now;
        let Some(image) = self.images.images.get_mut(id) else {
            return;
        };
        image.updated = now;
        match event {
            ImageEvent::Save => {
                image.status = "saving";
                self.after(1500, Event::Image(id.to_owned(), ImageEvent::Activate));
            }
            ImageEvent::Activate => {
                let staged = image.staged.take();
                let accepted = staged.map(|upload| image.accept(upload));
                image
                    .properties
                    .retain(|name, _| !name.starts_with("os_glance_"));
                if !matches!(accepted, Some(Ok(()))) {
                    image.status = "queued";
                    image
                        .properties
                        .insert("os_glance_failed_import".into(), json!("fs"));
                    image
                        .properties
                        .insert("os_glance_importing_to_stores".into(), json!(""));
                }
            }
            ImageEvent::FailImport => {
                image.status = "queued";
                image.staged = None;
                image
                    .properties
                    .insert("os_glance_failed_import".into(), json!("fs"));
                image
                    .properties
                    .insert("os_glance_importing_to_stores".into(), json!(""));
            }
        }
    }

    fn measured(&self, request: &Request) -> Result<Upload, Refusal> {
        match &request.body {
            Payload::Upload(upload) => Ok(upload.clone()),
            Payload::Bytes(bytes) => Ok(measure(bytes)),
            Payload::Json(value) => Ok(measure(&Bytes::from(value.to_string()))),
            Payload::Empty => Ok(measure(&Bytes::new())),
        }
    }
}

impl Image {
    fn check_receives_data(&self) -> Result<(), Refusal> {
        if self.status != "queued" {
            return Err(transition(self.status, "saving"));
        }
        if self.disk_format.is_none() || self.container_format.is_none() {
            return Err(Refusal::new(
                400,
                "Properties disk_format, container_format must be set prior to saving data.",
            ));
        }
        // The refused data is still in the store, and in the way.
        if self.checksum.is_some() {
            return Err(Refusal::new(
                500,
                "The server has either erred or is incapable of performing the requested operation.",
            ));
        }
        Ok(())
    }

    /// Takes the data, if it is what the record says. A refused upload leaves its digests behind, but no size: that
    /// is what Glance 2026.2 does.
    fn accept(&mut self, upload: Upload) -> Result<(), Refusal> {
        self.checksum = Some(upload.md5);
        self.hash = Some(upload.sha512);
        let claimed = self.disk_format.as_deref().unwrap_or("");
        let found = format_of(&upload.head);
        // Only formats with a magic number can be told; "ami" and the like are seen as raw.
        let comparable = ["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso"].contains(&claimed);
        if comparable && claimed != found {
            self.status = "queued";
            return Err(Refusal::new(
                415,
                format!("Image disk_format {claimed} does not match stream data {found}"),
            ));
        }
        self.size = Some(upload.size);
        self.status = "active";
        self.properties
            .insert("stores".to_owned(), Value::from("fs"));
        Ok(())
    }
}

fn upload_target(request: &Request) -> Option<String> {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["image", "v2", "images", id, "file"] => Some((*id).to_owned()),
        _ => None,
    }
}

fn transition(from: &str, to: &str) -> Refusal {
    Refusal::new(
        409,
        format!("Image status transition from {from} to {to} is not allowed"),
    )
}

/// The format that the first bytes show.
fn format_of(head: &[u8]) -> &'static str {
    match head {
        [b'Q', b'F', b'I', 0xfb, 0, 0, 0, 2 | 3, ..] => "qcow2",
        [b'K', b'D', b'M', b'V', ..] => "vmdk",
        _ if head.starts_with(b"vhdxfile") => "vhdx",
        _ if head.starts_with(b"conectix") => "vhd",
        _ if head.get(0x40..0x44) == Some(&[0x7f, 0x10, 0xda, 0xbe]) => "vdi",
        _ if head.get(0x8001..0x8006) == Some(b"CD001") => "iso",
        _ => "raw",
    }
}

/// Digests of data that is in memory.
pub(in super::super) fn measure(bytes: &Bytes) -> Upload {
    Upload {
        size: bytes.len() as u64,
        md5: hex(&Md5::digest(bytes)),
        sha512: hex(&Sha512::digest(bytes)),
        head: bytes.slice(..bytes.len().min(HEAD)),
    }
}

/// How many first bytes tell every format (an ISO's mark lies behind 32 KiB).
pub(in super::super) const HEAD: usize = 0x8006;

pub(in super::super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The sandbox reads nothing from the network: a download yields an empty disk in the claimed format, always the
/// same for the same address.
fn pretend_download(uri: &str, format: Option<&str>) -> Upload {
    let mut bytes = match format {
        Some("qcow2") => b"QFI\xfb\0\0\0\x03".to_vec(),
        Some("vmdk") => b"KDMV".to_vec(),
        Some("vhdx") => b"vhdxfile".to_vec(),
        Some("vhd") => b"conectix".to_vec(),
        _ => Vec::new(),
    };
    bytes.extend_from_slice(uri.as_bytes());
    measure(&Bytes::from(bytes))
}
