//! The reference runs: what is declared, stage after stage, on a new cloud.

use serde_json::{Value, json};

use super::sim::Sim;

/// One reference run.
pub(crate) struct Run {
    pub name: &'static str,
    /// Whether the daemon has the rights of the cloud's administrator.
    pub admin: bool,
    /// What somebody else does before the daemon begins.
    pub prepare: fn(&mut Sim),
    /// The resources of each stage, as `Kind/name` and the spec below `resource`.
    stages: fn() -> Vec<Stage>,
}

type Stage = Vec<(&'static str, Value)>;

impl Run {
    /// The files of each stage.
    pub(crate) fn stages(&self) -> Vec<Vec<(String, String)>> {
        let file = |(key, spec): &(&str, Value)| {
            let (kind, name) = key.split_once('/').unwrap();
            // With an envelope of its own, the spec is taken as it is.
            let spec = match spec.get("resource").is_some() || kind == "RouterInterface" {
                true => spec.clone(),
                false => json!({"resource": spec}),
            };
            let manifest = json!({
                "apiVersion": "stackward.dev/v1alpha1", "kind": kind,
                "metadata": {"name": name}, "spec": spec,
            });
            (format!("{kind}-{name}.json"), manifest.to_string())
        };
        (self.stages)()
            .iter()
            .map(|stage| stage.iter().map(file).collect())
            .collect()
    }
}

const fn run(name: &'static str, stages: fn() -> Vec<Stage>) -> Run {
    Run {
        name,
        admin: false,
        prepare: |_| {},
        stages,
    }
}

const fn of_admin(name: &'static str, stages: fn() -> Vec<Stage>) -> Run {
    Run {
        admin: true,
        ..run(name, stages)
    }
}

pub(crate) const RUNS: &[Run] = &[
    run("volume grows and goes", || {
        vec![
            vec![(
                "Volume/a",
                json!({"size": 1, "metadata": [{"name": "k", "value": "1"}]}),
            )],
            vec![(
                "Volume/a",
                json!({"size": 2, "metadata": [{"name": "k", "value": "2"}]}),
            )],
            vec![],
        ]
    }),
    run("network, subnet, router", || {
        vec![
            vec![
                ("Network/n", json!({"tags": ["a"]})),
                (
                    "Subnet/s",
                    json!({"networkRef": "n", "cidr": "10.1.0.0/24"}),
                ),
                (
                    "Router/r",
                    json!({"externalGateways": [{"networkRef": {"filter": {"name": "public"}}}]}),
                ),
                (
                    "RouterInterface/i",
                    json!({"type": "Subnet", "routerRef": "r", "subnetRef": "s"}),
                ),
            ],
            vec![("Network/n", json!({"tags": ["b"], "description": "later"}))],
        ]
    }),
    run("rules of a group", || {
        let rule = |port: u16| {
            json!({"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
                "portRange": {"min": port, "max": port}})
        };
        vec![
            vec![("SecurityGroup/g", json!({"rules": [rule(22), rule(80)]}))],
            vec![(
                "SecurityGroup/g",
                json!({"rules": [rule(80), rule(443)], "name": "web"}),
            )],
            vec![],
        ]
    }),
    run("server with port and volume", || {
        let base = vec![
            ("Network/n", json!({})),
            (
                "Subnet/s",
                json!({"networkRef": "n", "cidr": "10.1.0.0/24"}),
            ),
            (
                "Port/p",
                json!({"networkRef": "n", "addresses": [{"subnetRef": "s", "ip": "10.1.0.9"}]}),
            ),
            (
                "Image/i",
                json!({"content": {"diskFormat": "raw", "download": {"url": "http://127.0.0.1/x"}}}),
            ),
            ("Volume/v", json!({"size": 1})),
        ];
        let server = |more: &Value| {
            let mut spec = json!({"bootVolume": {"volumeRef": "boot"}, "ports": [{"portRef": "p"}],
                "flavorRef": {"filter": {"name": "m1.tiny"}}});
            for (field, value) in more.as_object().unwrap() {
                spec[field] = value.clone();
            }
            ("Server/s", spec)
        };
        let with = |more: Value| {
            let mut stage = base.clone();
            stage.push(("Volume/boot", json!({"size": 1, "imageRef": "i"})));
            stage.push(server(&more));
            stage
        };
        vec![
            with(json!({"volumes": [{"volumeRef": "v", "device": "/dev/vdb"}]})),
            with(json!({"volumes": [], "name": "renamed", "powerState": "Stopped"})),
            base.clone(),
        ]
    }),
    run("floating address moves", || {
        let base = |port: &str| {
            vec![
                ("Network/n", json!({})),
                (
                    "Subnet/s",
                    json!({"networkRef": "n", "cidr": "10.1.0.0/24"}),
                ),
                (
                    "Router/r",
                    json!({"externalGateways": [{"networkRef": {"filter": {"name": "public"}}}]}),
                ),
                (
                    "RouterInterface/i",
                    json!({"type": "Subnet", "routerRef": "r", "subnetRef": "s"}),
                ),
                (
                    "Port/a",
                    json!({"networkRef": "n", "addresses": [{"subnetRef": "s"}]}),
                ),
                (
                    "Port/b",
                    json!({"networkRef": "n", "addresses": [{"subnetRef": "s"}]}),
                ),
                (
                    "FloatingIP/f",
                    json!({"floatingNetworkRef": {"filter": {"name": "public"}}, "portRef": port}),
                ),
            ]
        };
        vec![base("a"), base("b")]
    }),
    run("snapshot and its copy", || {
        vec![
            vec![
                ("Volume/a", json!({"size": 1})),
                ("VolumeSnapshot/s", json!({"volumeRef": "a"})),
                ("Volume/copy", json!({"size": 1, "snapshotRef": "s"})),
            ],
            vec![("Volume/a", json!({"size": 1}))],
        ]
    }),
    run("trunk and its subports", || {
        let base = |subports: Value| {
            vec![
                ("Network/n", json!({})),
                ("Port/parent", json!({"networkRef": "n"})),
                ("Port/one", json!({"networkRef": "n"})),
                ("Port/two", json!({"networkRef": "n"})),
                (
                    "Trunk/t",
                    json!({"portRef": "parent", "subports": subports}),
                ),
            ]
        };
        let sub = |port: &str, id: u16| json!({"portRef": port, "segmentationID": id, "segmentationType": "vlan"});
        vec![base(json!([sub("one", 10)])), base(json!([sub("two", 20)]))]
    }),
    run("image", || {
        let image = |more: &Value| {
            let mut spec = json!({"content": {"diskFormat": "raw", "download": {"url": "http://127.0.0.1/x"}}});
            for (field, value) in more.as_object().unwrap() {
                spec[field] = value.clone();
            }
            vec![("Image/i", spec)]
        };
        vec![
            image(&json!({"tags": ["a"], "properties": {"minDiskGB": 1}})),
            image(&json!({"tags": ["b"], "properties": {"minDiskGB": 2}, "name": "later"})),
            vec![],
        ]
    }),
    run("keypair and server group", || {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqfBqUe7VfZr3BN1r2sZJ1lGkKGyO0QmC6S3bYzm1Yp";
        vec![
            vec![
                ("KeyPair/k", json!({"publicKey": key})),
                ("ServerGroup/g", json!({"policy": "anti-affinity"})),
            ],
            vec![],
        ]
    }),
    of_admin("people of a domain", || {
        vec![
            vec![
                ("Domain/d", json!({"enabled": true})),
                ("Project/p", json!({"domainRef": "d"})),
                (
                    "User/u",
                    json!({"domainRef": "d", "defaultProjectRef": "p"}),
                ),
                ("Group/g", json!({"domainRef": "d"})),
                ("Role/r", json!({})),
                (
                    "RoleAssignment/a",
                    json!({"userRef": "u", "projectRef": "p", "roleRef": "r"}),
                ),
            ],
            vec![("Domain/d", json!({"enabled": true}))],
        ]
    }),
    of_admin("what an administrator makes", || {
        vec![
            vec![
                (
                    "Flavor/f",
                    json!({"vcpus": 1, "ram": 512, "disk": 1, "extraSpecs": [{"name": "a", "value": "1"}]}),
                ),
                (
                    "VolumeType/t",
                    json!({"extraSpecs": [{"name": "a", "value": "1"}]}),
                ),
                ("Service/s", json!({"type": "dns"})),
                (
                    "Endpoint/e",
                    json!({"serviceRef": "s", "interface": "public", "url": "http://127.0.0.1/dns"}),
                ),
            ],
            vec![],
        ]
    }),
    Run {
        prepare: |sim| {
            let volume = json!({"volume": {"name": "old", "size": 1}});
            let _: Value = sim.by_hand(
                "POST",
                &format!("/volume/v3/{}/volumes", sim.project()),
                volume,
            );
            let network = json!({"network": {"name": "old"}});
            let _: Value = sim.by_hand("POST", "/network/v2.0/networks", network);
        },
        ..run("what was there is adopted", || {
            let adopt = |spec: Value| json!({"adopt": {"byName": true}, "resource": spec});
            vec![
                vec![
                    (
                        "Volume/old",
                        adopt(json!({"size": 1, "description": "ours"})),
                    ),
                    ("Network/old", adopt(json!({"description": "ours"}))),
                ],
                vec![("Network/old", adopt(json!({"description": "ours"})))],
            ]
        })
    },
    run("replacement", || {
        let network = |zone: &str| {
            vec![(
                "ServerGroup/g",
                json!({"lifecycle": {"replace": "Allow"}, "resource": {"policy": zone}}),
            )]
        };
        vec![network("affinity"), network("anti-affinity")]
    }),
    run("replacement, new one first", || {
        let group = |policy: &str| {
            vec![(
                "ServerGroup/g",
                json!({"lifecycle": {"replace": "CreateFirst"}, "resource": {"policy": policy}}),
            )]
        };
        vec![group("affinity"), group("anti-affinity"), group("affinity")]
    }),
    run("replacement and what follows", || {
        let all = |stateful: bool, zone: &str| {
            let first =
                |spec: Value| json!({"lifecycle": {"replace": "CreateFirst"}, "resource": spec});
            let any = |spec: Value| json!({"lifecycle": {"replace": "Allow"}, "resource": spec});
            vec![
                ("SecurityGroup/g", first(json!({"stateful": stateful}))),
                ("Network/n", first(json!({"availabilityZoneHints": [zone]}))),
                (
                    "Port/p",
                    any(json!({"networkRef": "n", "securityGroupRefs": ["g"]})),
                ),
            ]
        };
        vec![all(true, "nova"), all(false, "nova"), all(false, "other")]
    }),
    run("replacement with its parts", || {
        let all = |zone: &str| {
            let any = |spec: Value| json!({"lifecycle": {"replace": "Allow"}, "resource": spec});
            vec![
                ("Network/n", any(json!({"availabilityZoneHints": [zone]}))),
                (
                    "Subnet/s",
                    any(json!({"networkRef": "n", "cidr": "10.1.0.0/24"})),
                ),
                (
                    "Port/p",
                    any(json!({"networkRef": "n", "addresses": [{"subnetRef": "s"}]})),
                ),
            ]
        };
        vec![all("nova"), all("other")]
    }),
];
