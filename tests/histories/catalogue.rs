//! What the manifests of a history may declare: objects with what they need, each in variants that
//! a change leads from one to another. Not for what becomes of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// One object that may be declared.
pub(crate) struct Entry {
    /// `Kind/name`.
    pub key: &'static str,
    /// What is declared whenever it is.
    pub needs: &'static [&'static str],
    /// Its spec in each variant: below `resource` if it has no envelope of its own.
    variant: fn(usize) -> Value,
    /// Where its kind is listed and, with `/{id}`, changed by hand.
    pub path: &'static str,
    /// What a person wraps a change in: `{"volume": {...}}`.
    pub wrapper: &'static str,
}

/// Where a project's objects are: for the daemon of a user.
pub(crate) const PROJECT: &[Entry] = &[
    Entry {
        key: "Volume/v",
        needs: &[],
        variant: |it| json!({"size": 1 + it, "description": format!("no {it}"), "metadata": [{"name": "k", "value": it.to_string()}]}),
        path: "/volume/v3/{project}/volumes",
        wrapper: "volume",
    },
    Entry {
        key: "Network/n",
        needs: &[],
        variant: |it| json!({"tags": [format!("t{it}")], "description": format!("no {it}")}),
        path: "/network/v2.0/networks",
        wrapper: "network",
    },
    Entry {
        key: "Subnet/s",
        needs: &["Network/n"],
        variant: |it| json!({"networkRef": "n", "cidr": "10.1.0.0/24", "description": format!("no {it}")}),
        path: "/network/v2.0/subnets",
        wrapper: "subnet",
    },
    Entry {
        key: "SecurityGroup/g",
        needs: &[],
        variant: |it| {
            let rule = |port: usize| {
                json!({"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
                    "portRange": {"min": port, "max": port}})
            };
            json!({"rules": [rule(22), rule(80 + it)]})
        },
        path: "/network/v2.0/security-groups",
        wrapper: "security_group",
    },
    Entry {
        key: "Port/p",
        needs: &["Network/n", "Subnet/s", "SecurityGroup/g"],
        variant: |it| {
            json!({"networkRef": "n", "addresses": [{"subnetRef": "s"}],
                "securityGroupRefs": ["g"], "description": format!("no {it}")})
        },
        path: "/network/v2.0/ports",
        wrapper: "port",
    },
    Entry {
        key: "Router/r",
        needs: &[],
        variant: |it| {
            json!({"externalGateways": [{"networkRef": {"filter": {"name": "public"}}}],
                "description": format!("no {it}")})
        },
        path: "/network/v2.0/routers",
        wrapper: "router",
    },
    Entry {
        key: "RouterInterface/i",
        needs: &["Router/r", "Network/n", "Subnet/s"],
        variant: |_| json!({"type": "Subnet", "routerRef": "r", "subnetRef": "s"}),
        path: "",
        wrapper: "",
    },
    Entry {
        key: "FloatingIP/f",
        needs: &[
            "Port/p",
            "Network/n",
            "Subnet/s",
            "SecurityGroup/g",
            "Router/r",
            "RouterInterface/i",
        ],
        variant: |it| match it {
            0 => json!({"floatingNetworkRef": {"filter": {"name": "public"}}, "portRef": "p"}),
            _ => json!({"floatingNetworkRef": {"filter": {"name": "public"}}, "portRef": "p",
                "description": format!("no {it}")}),
        },
        path: "/network/v2.0/floatingips",
        wrapper: "floatingip",
    },
    Entry {
        key: "Image/i",
        needs: &[],
        variant: |it| {
            json!({"content": {"diskFormat": "raw", "download": {"url": "http://127.0.0.1/x"}},
                "tags": [format!("t{it}")], "properties": {"minDiskGB": 1}})
        },
        path: "/image/v2/images",
        wrapper: "image",
    },
    Entry {
        key: "KeyPair/k",
        needs: &[],
        variant: |_| json!({"publicKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqfBqUe7VfZr3BN1r2sZJ1lGkKGyO0QmC6S3bYzm1Yp"}),
        path: "",
        wrapper: "",
    },
    Entry {
        key: "ServerGroup/allow",
        needs: &[],
        variant: |it| json!({"lifecycle": {"replace": "Allow"}, "resource": {"policy": policy(it)}}),
        path: "/compute/v2.1/os-server-groups",
        wrapper: "",
    },
    Entry {
        key: "ServerGroup/first",
        needs: &[],
        variant: |it| json!({"lifecycle": {"replace": "CreateFirst"}, "resource": {"policy": policy(it)}}),
        path: "/compute/v2.1/os-server-groups",
        wrapper: "",
    },
    Entry {
        key: "Volume/boot",
        needs: &["Image/i"],
        variant: |it| json!({"size": 1, "imageRef": "i", "metadata": [{"name": "k", "value": it.to_string()}]}),
        path: "/volume/v3/{project}/volumes",
        wrapper: "volume",
    },
    Entry {
        key: "Server/s",
        needs: &[
            "Volume/boot",
            "Image/i",
            "Port/p",
            "Network/n",
            "Subnet/s",
            "SecurityGroup/g",
            "KeyPair/k",
            "Volume/v",
        ],
        variant: |it| {
            json!({"bootVolume": {"volumeRef": "boot"}, "ports": [{"portRef": "p"}],
                "keypairRef": "k", "flavorRef": {"filter": {"name": "m1.tiny"}},
                "metadata": [{"name": "k", "value": it.to_string()}],
                "volumes": if it % 2 == 0 { json!([{"volumeRef": "v", "device": "/dev/vdb"}]) } else { json!([]) }})
        },
        path: "/compute/v2.1/servers",
        wrapper: "server",
    },
];

/// And what an administrator makes.
pub(crate) const CLOUD: &[Entry] = &[
    Entry {
        key: "Domain/d",
        needs: &[],
        variant: |it| json!({"enabled": true, "description": format!("no {it}")}),
        path: "",
        wrapper: "",
    },
    Entry {
        key: "Project/p",
        needs: &["Domain/d"],
        variant: |it| json!({"domainRef": "d", "description": format!("no {it}")}),
        path: "/identity/v3/projects",
        wrapper: "",
    },
    Entry {
        key: "User/u",
        needs: &["Domain/d", "Project/p", "Secret/password"],
        variant: |it| {
            json!({"domainRef": "d", "defaultProjectRef": "p", "passwordRef": "password",
                "description": format!("no {it}")})
        },
        path: "/identity/v3/users",
        wrapper: "",
    },
    Entry {
        key: "Group/g",
        needs: &["Domain/d"],
        variant: |it| json!({"domainRef": "d", "description": format!("no {it}")}),
        path: "/identity/v3/groups",
        wrapper: "",
    },
    Entry {
        key: "Role/r",
        needs: &[],
        variant: |it| json!({"description": format!("no {it}")}),
        path: "/identity/v3/roles",
        wrapper: "",
    },
    Entry {
        key: "RoleAssignment/a",
        needs: &[
            "User/u",
            "Domain/d",
            "Project/p",
            "Role/r",
            "Secret/password",
        ],
        variant: |_| json!({"userRef": "u", "projectRef": "p", "roleRef": "r"}),
        path: "",
        wrapper: "",
    },
    Entry {
        key: "Flavor/f",
        needs: &[],
        variant: |it| json!({"vcpus": 1, "ram": 512, "disk": 1, "extraSpecs": [{"name": "a", "value": it.to_string()}]}),
        path: "",
        wrapper: "",
    },
    Entry {
        key: "VolumeType/t",
        needs: &[],
        variant: |it| json!({"extraSpecs": [{"name": "a", "value": it.to_string()}]}),
        path: "",
        wrapper: "",
    },
];

/// What no output may contain.
pub(crate) const CANARY: &str = "canary-7f3a-never-shown";

fn policy(variant: usize) -> &'static str {
    ["affinity", "anti-affinity", "soft-affinity"][variant % 3]
}

/// What is declared: each object of a catalogue, in which variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    pub variants: Vec<Option<usize>>,
    /// The file of this one is broken.
    pub broken: Option<usize>,
}

impl Declared {
    pub(crate) fn nothing(catalogue: &[Entry]) -> Self {
        Self {
            variants: vec![None; catalogue.len()],
            broken: None,
        }
    }

    /// Adds an object with what it needs, or removes it with what needs it.
    pub(crate) fn toggle(&mut self, catalogue: &[Entry], object: usize) {
        let entry = &catalogue[object];
        let adds = self.variants[object].is_none();
        for (index, other) in catalogue.iter().enumerate() {
            let variant = &mut self.variants[index];
            if adds && (index == object || entry.needs.contains(&other.key)) {
                variant.get_or_insert(0);
            } else if !adds && (index == object || other.needs.contains(&entry.key)) {
                *variant = None;
            }
        }
    }

    /// The next variant of an object, if it is declared. Nothing here ever shrinks.
    pub(crate) fn vary(&mut self, object: usize) {
        if let Some(variant) = &mut self.variants[object] {
            *variant += 1;
        }
    }

    pub(crate) fn keys<'a>(&self, catalogue: &'a [Entry]) -> BTreeSet<&'a str> {
        let declared = catalogue.iter().zip(&self.variants);
        let declared = declared.filter(|(_, variant)| variant.is_some());
        declared.map(|(entry, _)| entry.key).collect()
    }

    pub(crate) fn files(&self, catalogue: &[Entry]) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for (index, (entry, variant)) in catalogue.iter().zip(&self.variants).enumerate() {
            let Some(variant) = variant else { continue };
            let (kind, name) = entry.key.split_once('/').unwrap();
            let spec = (entry.variant)(*variant);
            let spec = match spec.get("resource").is_some() || kind == "RouterInterface" {
                true => spec,
                false => json!({ "resource": spec }),
            };
            let manifest = json!({
                "apiVersion": "stackward.dev/v1alpha1", "kind": kind,
                "metadata": {"name": name}, "spec": spec,
            });
            let mut text = manifest.to_string();
            if self.broken == Some(index) {
                text.truncate(text.len() / 2);
            }
            files.push((format!("{kind}-{name}.json"), text));
            if entry.needs.contains(&"Secret/password") {
                let secret = json!({"apiVersion": "v1", "kind": "Secret",
                    "metadata": {"name": "password"}, "stringData": {"password": CANARY}});
                files.push(("secret.json".to_owned(), secret.to_string()));
            }
        }
        files.sort();
        files.dedup();
        files
    }
}
