//! Glance images: records, and the content that is uploaded into them.
//!
//! What the closed set of properties is called in Glance is in `properties`. Importing on the
//! server's side (web-download) is not done here.
//! API: <https://docs.openstack.org/api-ref/image/v2/>.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::call::{
    Body, Call, Compression, Hash, HashAlgorithm, Method, Service, Source, Upload, segment,
};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::marker::{MARKED_KEY, MARKER_KEY, Marker, OBJECT_KEY};
use super::need::{Inputs, Material, Need, Reading, What};
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal,
};

mod properties;

pub use properties::{Hardware, OperatingSystem, Properties};

/// A disk image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Image")]
pub struct Spec {
    /// Name in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who may see it. `public` usually needs the rights of a cloud administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// A protected image cannot be deleted, neither by this daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    /// Whether it is put out of use: nobody can make servers of it then, or fetch its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivated: Option<bool>,
    /// Tags; the whole set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// What the image needs and how servers are made from it. Only what is set is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<Properties>,
    /// What is in it. An image that is managed must say so; it matters when the image is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// Who may see an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// The project.
    Private,
    /// The project and its members.
    Shared,
    /// Everybody who knows its id.
    Community,
}

/// The bytes of an image: exactly one of `download` and `file`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Content {
    /// The container around the disk; hardly ever anything but `bare`.
    #[serde(default)]
    pub container_format: ContainerFormat,
    /// The format of the disk, after decompression.
    pub disk_format: DiskFormat,
    /// Fetched from an address by the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download: Option<Download>,
    /// A file beside the manifest. It is streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How `file` is decompressed on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decompress: Option<Compression>,
    /// The digest of `file`, before any decompression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
}

/// An address that content is fetched from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Download {
    /// An http or https address.
    #[schemars(extend("format" = "uri"))]
    pub url: String,
    /// How it is decompressed on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decompress: Option<Compression>,
    /// The digest of what is fetched, before any decompression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
}

/// Containers that Glance knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "Glance's own words")]
pub enum ContainerFormat {
    Ami,
    Ari,
    Aki,
    #[default]
    Bare,
    Ovf,
    Ova,
    Docker,
    Compressed,
}

/// Disk formats that Glance knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "Glance's own words")]
pub enum DiskFormat {
    Ami,
    Ari,
    Aki,
    Vhd,
    Vhdx,
    Vmdk,
    Raw,
    Qcow2,
    Vdi,
    Ploop,
    Iso,
}

/// Chooses images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// It has all of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}

/// What is known of an image. As in ORC, what is empty is absent.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Glance's status: `queued`, `active`, ...
    pub status: String,
    /// Who may see it.
    pub visibility: String,
    /// Whether it can be deleted.
    pub protected: bool,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The digest of the content as Glance keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<StatusHash>,
    /// Size of the content in bytes.
    #[serde(rename = "sizeB", skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Size of the disk in bytes.
    #[serde(rename = "virtualSizeB", skip_serializing_if = "Option::is_none")]
    pub virtual_size: Option<u64>,
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatusHash {
    /// The algorithm.
    pub algorithm: String,
    /// The digest in hexadecimal.
    pub value: String,
}

/// An image as Glance answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: Option<String>,
    status: String,
    #[serde(default)]
    visibility: String,
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    min_disk: u32,
    #[serde(default)]
    min_ram: u32,
    owner: Option<String>,
    container_format: Option<String>,
    disk_format: Option<String>,
    size: Option<u64>,
    virtual_size: Option<u64>,
    checksum: Option<String>,
    os_hash_algo: Option<String>,
    os_hash_value: Option<String>,
    /// All properties stand beside the fields.
    #[serde(flatten)]
    properties: BTreeMap<String, Value>,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send the content.
    Upload,
    /// Put it out of use, or back.
    SetDeactivated,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upload => "upload",
            Self::SetDeactivated => "deactivate or reactivate",
        })
    }
}

/// The kind.
#[derive(Debug)]
pub enum Image {}

impl Kind for Image {
    const NAME: &'static str = "Image";
    const SERVICE: Service = Service::Image;
    const COLLECTION: Collection = Collection {
        list: "images",
        // A page is 25 images otherwise.
        query: &[("limit", "1000")],
        path: "images",
        route: "images/{id}",
        one: "",
        many: "images",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::Property;
    const ANSWERS_WHOLE: bool = true;
    const SINGLE: Option<&'static str> = Some("we choose its id");
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("visibility", Change::Update),
        Field::new("protected", Change::Update),
        Field::new("tags", Change::Update).by(Compare::Set),
        Field::new("properties", Change::Update),
        Field::new("deactivated", Change::Action(Action::SetDeactivated)),
        Field::new("content", Change::Birth),
    ];
    const NATIVE_FIELDS: &'static [&'static str] = &[
        "/deactivated",
        "/content/file",
        "/content/decompress",
        "/content/hash",
        "/properties/additional",
    ];
    const UNTOLD: &'static [&'static str] = &["where its data came from"];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(image: &Object) -> Identity {
        let property = |key: &str| image.properties.get(key).and_then(Value::as_str);
        let is_copy = property(MARKED_KEY) != Some(&image.id);
        let marker = property(MARKER_KEY).filter(|_| !is_copy);
        Identity {
            id: image.id.clone(),
            name: image.name.clone().unwrap_or_default(),
            project: image.owner.clone(),
            marker: marker.and_then(Marker::parse),
            ..Identity::default()
        }
    }

    fn health(image: &Object) -> Health {
        match image.status.as_str() {
            "active" => Health::Ready,
            "deactivated" => Health::Off(image.status.clone()),
            "queued" => Health::Stuck {
                state: image.status.clone(),
                fault: is_spoilt(image).then(|| "an upload was refused".to_owned()),
            },
            "killed" => Health::Stuck {
                state: image.status.clone(),
                fault: None,
            },
            "pending_delete" | "deleted" => Health::Leaving,
            status => Health::Moving(status.to_owned()),
        }
    }

    fn project(image: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(image.name.clone().unwrap_or_default()),
            visibility: known(&image.visibility),
            protected: Some(image.protected),
            deactivated: Some(image.status == "deactivated"),
            tags: Some(image.tags.clone()),
            properties: Some(Properties::read(
                image.min_disk,
                image.min_ram,
                &image.properties,
            )),
            content: image
                .disk_format
                .as_deref()
                .and_then(known)
                .map(|disk_format| Content {
                    container_format: image
                        .container_format
                        .as_deref()
                        .and_then(known)
                        .unwrap_or_default(),
                    disk_format,
                    download: None,
                    file: None,
                    decompress: None,
                    hash: None,
                }),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.protected.take_if(|it| !*it);
        let _ = spec.tags.take_if(|it| it.is_empty());
        if let Some(properties) = &mut spec.properties {
            properties.abridge();
        }
        let _ = spec.properties.take_if(|it| *it == Properties::default());
    }

    fn status(image: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: image.name.clone().unwrap_or_default(),
            status: image.status.clone(),
            visibility: image.visibility.clone(),
            protected: image.protected,
            tags: image.tags.clone(),
            hash: image
                .os_hash_algo
                .clone()
                .zip(image.os_hash_value.clone())
                .map(|(algorithm, value)| StatusHash { algorithm, value }),
            size: image.size,
            virtual_size: image.virtual_size,
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        if let Some(Content {
            file: Some(path), ..
        }) = &spec.content
        {
            visit(Need {
                pointer: "/content/file".to_owned(),
                what: What::File {
                    path,
                    reading: Reading::Stream,
                },
            });
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        match &spec.content {
            Some(content) => check_content(content, &mut complaints),
            None => complaints.push(
                Complaint::new("/content", "an image that is managed must have content")
                    .hint("content: {diskFormat: qcow2, file: image.qcow2}"),
            ),
        }
        if let Some(properties) = &spec.properties {
            properties.check(&mut complaints);
        }
        complaints
    }

    fn fill(spec: &mut Spec, inputs: &Inputs) -> Result<Material, Refusal> {
        if let Some(content) = &mut spec.content
            && let Some(file) = &mut content.file
            && let Some(path) = inputs.files.get("/content/file")
        {
            let path = path.to_str().ok_or_else(|| {
                Refusal::new(format!(
                    "the path of `{file}` is not UTF-8: {}",
                    path.display()
                ))
            })?;
            *file = path.to_owned();
        }
        Ok(Material::default())
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut image = Map::new();
        let mut put = |key: &str, value: Value| image.insert(key.to_owned(), value);
        // Not `protected`: if its upload fails it must be deleted. That comes by PATCH.
        put("id", json!(birth.id));
        put("name", json!(birth.name));
        put(MARKER_KEY, json!(birth.marker.to_string()));
        put(MARKED_KEY, json!(birth.id));
        put(OBJECT_KEY, json!(birth.object));
        if let Some(content) = &spec.content {
            put("container_format", json!(content.container_format));
            put("disk_format", json!(content.disk_format));
        }
        if let Some(visibility) = spec.visibility {
            put("visibility", json!(visibility));
        }
        if let Some(tags) = &spec.tags {
            put("tags", json!(tags));
        }
        for (name, value) in spec.properties.iter().flat_map(Properties::write) {
            put(&name, value);
        }
        Call::new(Self::SERVICE, Method::Post, "images", "images").json(Value::Object(image))
    }

    fn update(spec: &Spec, image: &Object, fields: &[&'static str]) -> Call {
        let mut operations = Vec::new();
        for field in fields {
            match *field {
                "properties" => {
                    for (name, value) in spec.properties.iter().flat_map(Properties::write) {
                        let there = matches!(name.as_str(), "min_disk" | "min_ram")
                            || image.properties.contains_key(&name);
                        let op = if there { "replace" } else { "add" };
                        let name = name.replace('~', "~0").replace('/', "~1");
                        let path = format!("/{name}");
                        operations.push(json!({"op": op, "path": path, "value": value}));
                    }
                }
                field => {
                    let value = match field {
                        "name" => json!(spec.name),
                        "visibility" => json!(spec.visibility),
                        "protected" => json!(spec.protected),
                        "tags" => json!(spec.tags),
                        _ => continue,
                    };
                    let path = format!("/{field}");
                    operations.push(json!({"op": "replace", "path": path, "value": value}));
                }
            }
        }
        patch(image, Value::Array(operations))
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        image: &Object,
    ) -> Result<Call, Refusal> {
        if action == Action::SetDeactivated {
            return Ok(switch(image, spec.deactivated == Some(true)));
        }
        let upload = spec
            .content
            .as_ref()
            .and_then(upload)
            .ok_or_else(|| Refusal::new("the image has no content to upload"))?;
        // A relative path was never resolved beneath the manifests.
        if let Source::File(path) = &upload.source
            && !path.is_absolute()
        {
            let message = format!("the file `{}` could not be found", path.display());
            return Err(Refusal::new(message));
        }
        let path = format!("images/{}/file", segment(&image.id));
        Ok(
            Call::new(Self::SERVICE, Method::Put, "images/{id}/file", path)
                .body(Body::Upload(upload)),
        )
    }

    fn is_meant(spec: &Spec, image: &Object) -> bool {
        spec.deactivated == Some(true) && image.status == "deactivated"
    }

    fn remedy(spec: &Spec, image: &Object) -> Option<Change<Action>> {
        let has_content = spec.content.as_ref().and_then(upload).is_some();
        (image.status == "queued" && !is_spoilt(image) && has_content)
            .then_some(Change::Action(Action::Upload))
    }

    fn is_husk(image: &Object) -> bool {
        match image.status.as_str() {
            "saving" | "uploading" | "importing" | "killed" => true,
            "queued" => is_spoilt(image),
            _ => false,
        }
    }

    fn brand(image: &Object, birth: &Birth<'_>) -> Option<Call> {
        let operations: Vec<Value> = [
            (MARKER_KEY, birth.marker.to_string()),
            (MARKED_KEY, image.id.clone()),
            (OBJECT_KEY, birth.object.to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| {
            let op = if image.properties.contains_key(name) {
                "replace"
            } else {
                "add"
            };
            json!({"op": op, "path": format!("/{name}"), "value": value})
        })
        .collect();
        Some(patch(image, Value::Array(operations)))
    }

    fn matches(filter: &Filter, image: &Object) -> bool {
        let Filter {
            name,
            visibility,
            tags,
        } = filter;
        name.as_ref()
            .is_none_or(|it| Some(it) == image.name.as_ref())
            && visibility.is_none_or(|it| known(&image.visibility) == Some(it))
            && tags.iter().flatten().all(|tag| image.tags.contains(tag))
    }
}

fn switch(image: &Object, off: bool) -> Call {
    let (route, verb) = if off {
        ("images/{id}/actions/deactivate", "deactivate")
    } else {
        ("images/{id}/actions/reactivate", "reactivate")
    };
    let path = format!("images/{}/actions/{verb}", segment(&image.id));
    Call::new(Service::Image, Method::Post, route, path)
}

/// A refused upload leaves an image that says `queued`, with a checksum but no size; it never takes
/// another one.
fn is_spoilt(image: &Object) -> bool {
    image.checksum.is_some() && image.size.is_none()
}

/// Reads one of Glance's words; one that is not known is not compared.
fn known<'de, T: Deserialize<'de>>(word: &'de str) -> Option<T> {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};
    let deserializer: StrDeserializer<'de, Error> = word.into_deserializer();
    T::deserialize(deserializer).ok()
}

fn patch(image: &Object, operations: Value) -> Call {
    let path = format!("images/{}", segment(&image.id));
    Call::new(Service::Image, Method::Patch, "images/{id}", path).body(Body::ImagePatch(operations))
}

fn upload(content: &Content) -> Option<Upload> {
    if let Some(download) = &content.download {
        return Some(Upload {
            source: Source::Url(download.url.clone()),
            decompress: download.decompress,
            hash: download.hash.clone(),
        });
    }
    let file = content.file.as_ref()?;
    Some(Upload {
        source: Source::File(PathBuf::from(file)),
        decompress: content.decompress,
        hash: content.hash.clone(),
    })
}

fn check_content(content: &Content, complaints: &mut Vec<Complaint>) {
    match (&content.download, &content.file) {
        (Some(_), Some(_)) => {
            complaints.push(Complaint::new(
                "/content/file",
                "download and file exclude each other",
            ));
        }
        (None, None) => complaints.push(
            Complaint::new("/content", "one of download and file must be given")
                .hint("file: image.qcow2, or download: {url: https://...}")
                .at_birth(),
        ),
        (Some(download), None) => {
            let url = &download.url;
            if !url.starts_with("https://") && !url.starts_with("http://") {
                let message = "the address must begin with https:// or http://";
                complaints.push(Complaint::new("/content/download/url", message));
            }
            for (field, is_set) in [
                ("decompress", content.decompress.is_some()),
                ("hash", content.hash.is_some()),
            ] {
                if is_set {
                    complaints.push(
                        Complaint::new(format!("/content/{field}"), "this belongs to `file`")
                            .hint(format!("move it to content.download.{field}")),
                    );
                }
            }
            check_hash("/content/download/hash", download.hash.as_ref(), complaints);
        }
        (None, Some(_)) => check_hash("/content/hash", content.hash.as_ref(), complaints),
    }
}

fn check_hash(pointer: &str, hash: Option<&Hash>, complaints: &mut Vec<Complaint>) {
    let Some(Hash { algorithm, value }) = hash else {
        return;
    };
    let (name, length) = match algorithm {
        HashAlgorithm::Md5 => ("MD5", 32),
        HashAlgorithm::Sha1 => ("SHA-1", 40),
        HashAlgorithm::Sha256 => ("SHA-256", 64),
        HashAlgorithm::Sha512 => ("SHA-512", 128),
    };
    let is_hex = value
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex || value.len() != length {
        complaints.push(Complaint::new(
            format!("{pointer}/value"),
            format!("a {name} digest is {length} lower-case hexadecimal digits"),
        ));
    }
}

#[cfg(test)]
mod tests;
