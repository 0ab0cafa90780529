//! The properties of an image by their names here and in Glance.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::kinds::Complaint;
use crate::kinds::marker::KEY_PREFIX;

/// What an image needs, and how servers are made from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ImageProperties")]
pub struct Properties {
    /// The smallest disk to boot from, in GB.
    #[serde(default, rename = "minDiskGB", skip_serializing_if = "Option::is_none")]
    pub min_disk: Option<u32>,
    /// The least memory to boot with, in MB.
    #[serde(
        default,
        rename = "minMemoryMB",
        skip_serializing_if = "Option::is_none"
    )]
    pub min_memory: Option<u32>,
    /// CPU architecture: `x86_64`, `aarch64`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["x86_64", "aarch64"]))]
    pub architecture: Option<String>,
    /// Hypervisor that it is for: `qemu`, `vmware`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["qemu", "xen"]))]
    pub hypervisor_type: Option<String>,
    /// The virtual hardware of servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// The operating system in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operating_system: Option<OperatingSystem>,
    /// Any other properties, by their names in Glance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional: Option<BTreeMap<String, String>>,
}

/// The virtual hardware of servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ImageHardware")]
pub struct Hardware {
    /// CPU sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cpu_sockets: Option<u32>,
    /// Cores per socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cpu_cores: Option<u32>,
    /// Threads per core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cpu_threads: Option<u32>,
    /// Whether CPUs are pinned: `shared`, `dedicated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["shared", "dedicated"]))]
    pub cpu_policy: Option<String>,
    /// What pinned CPUs do with hardware threads: `prefer`, `isolate`, `require`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["prefer", "isolate", "require"]))]
    pub cpu_thread_policy: Option<String>,
    /// Bus of CD-ROMs: `scsi`, `virtio`, `ide`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["scsi", "virtio", "ide"]))]
    pub cdrom_bus: Option<String>,
    /// Bus of disks: `virtio`, `scsi`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["virtio", "scsi"]))]
    pub disk_bus: Option<String>,
    /// SCSI controller: `virtio-scsi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["virtio-scsi"]))]
    pub scsi_model: Option<String>,
    /// Network card: `virtio`, `e1000`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["virtio", "e1000"]))]
    pub vif_model: Option<String>,
    /// Random number generator: `virtio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["virtio"]))]
    pub rng_model: Option<String>,
    /// Whether the QEMU guest agent runs in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qemu_guest_agent: Option<bool>,
}

/// The operating system in an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ImageOperatingSystem")]
pub struct OperatingSystem {
    /// Its common name: `ubuntu`, `debian`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["ubuntu", "debian"]))]
    pub distro: Option<String>,
    /// Its version as its makers write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Where a property stands in the spec, what it is called in Glance, and its permitted words.
struct Row {
    pointer: &'static str,
    glance: &'static str,
    form: Form,
}

enum Form {
    Number,
    YesOrNo,
    Text,
    /// One of ORC's words.
    Word(&'static [&'static str]),
}

const BUSES: &[&str] = &["scsi", "virtio", "uml", "xen", "ide", "usb", "lxc"];
const ARCHITECTURES: &[&str] = &[
    "aarch64",
    "alpha",
    "armv7l",
    "cris",
    "i686",
    "ia64",
    "lm32",
    "m68k",
    "microblaze",
    "microblazeel",
    "mips",
    "mipsel",
    "mips64",
    "mips64el",
    "openrisc",
    "parisc",
    "parisc64",
    "ppc",
    "ppc64",
    "ppcemb",
    "s390",
    "s390x",
    "sh4",
    "sh4eb",
    "sparc",
    "sparc64",
    "unicore32",
    "x86_64",
    "xtensa",
    "xtensaeb",
];
const HYPERVISORS: &[&str] = &["hyperv", "ironic", "lxc", "qemu", "uml", "vmware", "xen"];
const DISTROS: &[&str] = &[
    "arch",
    "centos",
    "debian",
    "fedora",
    "freebsd",
    "gentoo",
    "mandrake",
    "mandriva",
    "mes",
    "msdos",
    "netbsd",
    "netware",
    "openbsd",
    "opensolaris",
    "opensuse",
    "rocky",
    "rhel",
    "sled",
    "ubuntu",
    "windows",
];
const VIFS: &[&str] = &[
    "e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139", "virtio", "vmxnet3",
];

const fn row(pointer: &'static str, glance: &'static str, form: Form) -> Row {
    Row {
        pointer,
        glance,
        form,
    }
}

/// Nova reads `hypervisor_type` and `architecture` by these older names too, and ORC writes them.
const ROWS: &[Row] = &[
    row("/architecture", "architecture", Form::Word(ARCHITECTURES)),
    row(
        "/hypervisorType",
        "hypervisor_type",
        Form::Word(HYPERVISORS),
    ),
    row("/hardware/cpuSockets", "hw_cpu_sockets", Form::Number),
    row("/hardware/cpuCores", "hw_cpu_cores", Form::Number),
    row("/hardware/cpuThreads", "hw_cpu_threads", Form::Number),
    row(
        "/hardware/cpuPolicy",
        "hw_cpu_policy",
        Form::Word(&["shared", "dedicated"]),
    ),
    row(
        "/hardware/cpuThreadPolicy",
        "hw_cpu_thread_policy",
        Form::Word(&["prefer", "isolate", "require"]),
    ),
    row("/hardware/cdromBus", "hw_cdrom_bus", Form::Word(BUSES)),
    row("/hardware/diskBus", "hw_disk_bus", Form::Word(BUSES)),
    row(
        "/hardware/scsiModel",
        "hw_scsi_model",
        Form::Word(&["virtio-scsi"]),
    ),
    row("/hardware/vifModel", "hw_vif_model", Form::Word(VIFS)),
    row("/hardware/rngModel", "hw_rng_model", Form::Text),
    row(
        "/hardware/qemuGuestAgent",
        "hw_qemu_guest_agent",
        Form::YesOrNo,
    ),
    row("/operatingSystem/distro", "os_distro", Form::Word(DISTROS)),
    row("/operatingSystem/version", "os_version", Form::Text),
];

/// What Glance itself keeps in an image's record; not properties.
const BASE: &[&str] = &[
    "id",
    "name",
    "status",
    "visibility",
    "protected",
    "checksum",
    "owner",
    "size",
    "virtual_size",
    "container_format",
    "disk_format",
    "created_at",
    "updated_at",
    "tags",
    "direct_url",
    "min_ram",
    "min_disk",
    "self",
    "file",
    "schema",
    "locations",
    "stores",
    "os_hidden",
    "os_hash_algo",
    "os_hash_value",
];

impl Properties {
    /// The properties by their names in Glance, `min_disk` and `min_ram` among them.
    #[must_use]
    pub fn write(&self) -> Map<String, Value> {
        let spec = serde_json::to_value(self).unwrap_or_default();
        let mut written = Map::new();
        for (name, number) in [("min_disk", self.min_disk), ("min_ram", self.min_memory)] {
            if let Some(number) = number {
                written.insert(name.to_owned(), json!(number));
            }
        }
        for row in ROWS {
            let text = match spec.pointer(row.pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Bool(true)) => "yes".to_owned(),
                Some(Value::Bool(false)) => "no".to_owned(),
                Some(Value::Number(number)) => number.to_string(),
                _ => continue,
            };
            written.insert(row.glance.to_owned(), Value::String(text));
        }
        for (name, value) in self.additional.iter().flatten() {
            written.insert(name.clone(), json!(value));
        }
        written
    }

    /// The properties that an image has. What cannot be read is not there.
    pub(super) fn read(min_disk: u32, min_ram: u32, there: &BTreeMap<String, Value>) -> Self {
        let mut spec = json!({"hardware": {}, "operatingSystem": {}});
        for row in ROWS {
            let Some(text) = there.get(row.glance).and_then(Value::as_str) else {
                continue;
            };
            let value = match row.form {
                Form::Number => text.parse::<u32>().ok().map(Value::from),
                Form::YesOrNo => match text.to_ascii_lowercase().as_str() {
                    "yes" | "true" | "on" | "1" => Some(Value::Bool(true)),
                    "no" | "false" | "off" | "0" => Some(Value::Bool(false)),
                    _ => None,
                },
                Form::Text | Form::Word(_) => Some(Value::from(text)),
            };
            let (parent, name) = row.pointer.rsplit_once('/').unwrap_or_default();
            if let Some(value) = value
                && let Some(parent) = spec.pointer_mut(parent)
            {
                parent[name] = value;
            }
        }
        let is_additional = |name: &str| {
            !BASE.contains(&name)
                && !name.starts_with(KEY_PREFIX)
                && !ROWS.iter().any(|row| row.glance == name)
        };
        let additional: BTreeMap<String, String> = there
            .iter()
            .filter(|(name, _)| is_additional(name))
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        Self {
            min_disk: Some(min_disk),
            min_memory: Some(min_ram),
            additional: Some(additional),
            ..serde_json::from_value(spec).unwrap_or_default()
        }
    }

    /// Leaves out what says nothing.
    pub(super) fn abridge(&mut self) {
        let _ = self.min_disk.take_if(|it| *it == 0);
        let _ = self.min_memory.take_if(|it| *it == 0);
        let _ = self.hardware.take_if(|it| *it == Hardware::default());
        let is_empty = |it: &mut OperatingSystem| *it == OperatingSystem::default();
        let _ = self.operating_system.take_if(is_empty);
        let _ = self.additional.take_if(|it| it.is_empty());
    }

    pub(super) fn check(&self, complaints: &mut Vec<Complaint>) {
        let spec = serde_json::to_value(self).unwrap_or_default();
        for row in ROWS {
            let pointer = || format!("/properties{}", row.pointer);
            match (&row.form, spec.pointer(row.pointer)) {
                (Form::Word(words), Some(Value::String(word)))
                    if !words.contains(&word.as_str()) =>
                {
                    let complaint = Complaint::new(
                        pointer(),
                        format!(
                            "unknown value `{word}`, expected one of {}",
                            words.join(", ")
                        ),
                    );
                    complaints.push(
                        match crate::manifest::did_you_mean(word, words.iter().copied()) {
                            Some(near) => complaint.hint(format!("did you mean `{near}`?")),
                            None => complaint.hint(format!(
                                "any other value goes into properties.additional.{}",
                                row.glance
                            )),
                        },
                    );
                }
                (Form::Number, Some(Value::Number(number))) if number.as_u64() == Some(0) => {
                    complaints.push(Complaint::new(pointer(), "must be at least 1"));
                }
                _ => {}
            }
        }
        for name in self.additional.iter().flatten().map(|(name, _)| name) {
            let set_twice = ROWS
                .iter()
                .find(|row| row.glance == name && spec.pointer(row.pointer).is_some())
                .map(|row| {
                    let field = row.pointer.trim_start_matches('/').replace('/', ".");
                    format!("`{name}` is set by properties.{field} already")
                });
            let message = if name.starts_with(KEY_PREFIX) {
                format!("properties that begin with `{KEY_PREFIX}` are the daemon's own")
            } else if BASE.contains(&name.as_str()) {
                format!("`{name}` is a field of Glance's own, not a property")
            } else if let Some(message) = set_twice {
                message
            } else {
                continue;
            };
            let pointer = name.replace('~', "~0").replace('/', "~1");
            complaints.push(Complaint::new(
                format!("/properties/additional/{pointer}"),
                message,
            ));
        }
    }
}
