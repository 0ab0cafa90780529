//! Exports of worlds that are written out here; against whole clouds, see `tests/export.rs`.

use jiff::Timestamp;

use super::*;
use crate::manifest::Key;

const PROJECT: &str = "p";

/// A world of these items, by kind.
fn world(scope: &Scope, kinds: &[(&str, Vec<Value>)]) -> Inventory {
    let mut inventory = Inventory::default();
    for (name, items) in kinds {
        let kind = kinds::find(name).unwrap();
        let found = items.iter().map(|it| kind.look(it.clone()).unwrap());
        let listing = Listing::new(Timestamp::UNIX_EPOCH, found.collect(), Vec::new());
        inventory
            .believe(scope, kind.name(), listing, |_| true)
            .unwrap();
    }
    inventory
}

fn exported(kinds: &[(&str, Vec<Value>)], change: impl FnOnce(&mut Wish<'_>)) -> Export {
    let scope = Scope::new("c");
    let inventory = world(&scope, kinds);
    let mut wish = Wish {
        kinds: usual_kinds(),
        only: None,
        scope: &scope,
        project: PROJECT,
        adopt: true,
        suspend: false,
    };
    change(&mut wish);
    export(&wish, &inventory)
}

fn network(id: &str, name: &str, more: Value) -> Value {
    with(
        json!({"id": id, "name": name, "project_id": PROJECT, "status": "ACTIVE", "description": "",
        "admin_state_up": true, "shared": false, "router:external": false, "tags": []}),
        more,
    )
}

fn port(id: &str, more: Value) -> Value {
    with(
        json!({"id": id, "name": "", "project_id": PROJECT, "status": "ACTIVE", "network_id": "n1",
        "mac_address": "fa:16:3e:00:00:01", "admin_state_up": true, "security_groups": [],
        "port_security_enabled": true}),
        more,
    )
}

fn server(more: Value) -> Value {
    with(
        json!({"id": "s1", "name": "Web 1", "status": "ACTIVE", "tenant_id": PROJECT, "metadata": {},
        "tags": [], "image": {"id": "i1"}, "flavor": {"id": "f1"}, "key_name": "ops", "config_drive": "",
        "OS-EXT-AZ:availability_zone": "nova", "os-extended-volumes:volumes_attached": []}),
        more,
    )
}

fn with(mut item: Value, more: Value) -> Value {
    if let (Value::Object(item), Value::Object(more)) = (&mut item, more) {
        item.extend(more);
    }
    item
}

fn texts(export: &Export) -> String {
    let texts = export.documents.iter().map(|it| it.text.as_str());
    texts.collect::<Vec<_>>().join("---\n")
}

fn left_out(export: &Export) -> Vec<(&str, &str, &str)> {
    let rows = export.left_out.iter();
    rows.map(|it| (it.kind, it.which.as_str(), it.why.as_str()))
        .collect()
}

#[test]
fn ids_become_names_and_what_is_not_exported_keeps_its_id() {
    let kinds = [
        ("Network", vec![network("n1", "Front Net", json!({}))]),
        (
            "Port",
            vec![port(
                "p1",
                json!({"device_id": "s1", "device_owner": "compute:nova"}),
            )],
        ),
        ("Server", vec![server(json!({}))]),
        (
            "Flavor",
            vec![json!({"id": "f1", "name": "m1.tiny", "ram": 512, "vcpus": 1, "disk": 1})],
        ),
        ("Image", vec![]),
        (
            "KeyPair",
            vec![
                json!({"keypair": {"name": "ops", "public_key": "ssh-ed25519 AAAA", "type": "ssh"}}),
            ],
        ),
    ];
    let export = exported(&kinds, |_| {});
    assert_eq!(left_out(&export), []);
    let server = export
        .documents
        .iter()
        .find(|it| it.kind == "Server")
        .unwrap();
    assert_eq!(
        server.text,
        "# the cloud does not give back user data, scheduler hints, the administrator's password\n\
         apiVersion: stackward.dev/v1alpha1\n\
         kind: Server\n\
         metadata:\n  name: web-1\n\
         spec:\n  adopt:\n    id: s1\n  resource:\n    name: Web 1\n    ports:\n    - portRef: web-1\n    \
         flavorRef:\n      id: f1 # m1.tiny\n    imageRef:\n      id: i1 # not to be seen\n    keypairRef: ops\n"
    );
    let port = export
        .documents
        .iter()
        .find(|it| it.kind == "Port")
        .unwrap();
    assert_eq!(port.name, "web-1");
    assert!(
        port.text.contains("name: ''\n") || port.text.contains("name: \"\"\n"),
        "{}",
        port.text
    );
    assert!(
        port.text.contains("networkRef: front-net\n"),
        "{}",
        port.text
    );
}

#[test]
fn what_others_have_or_the_cloud_made_is_not_exported() {
    let marker = crate::kinds::marker::Owner(uuid::Uuid::from_u128(7 << 96))
        .marker(&Key::new("Network", "d", "x"), 1);
    let kinds = [
        (
            "Network",
            vec![
                network("n1", "mine", json!({})),
                network("n2", "public", json!({"project_id": "other"})),
                network("n3", "HA network", json!({"project_id": ""})),
                network("n4", "kept", json!({"description": format!("[{marker}]")})),
            ],
        ),
        (
            "SecurityGroup",
            vec![
                json!({"id": "g", "name": "default", "project_id": PROJECT, "security_group_rules": []}),
            ],
        ),
        (
            "Port",
            vec![
                port(
                    "p1",
                    json!({"device_owner": "network:dhcp", "device_id": "d"}),
                ),
                port("p2", json!({"security_groups": ["g"]})),
            ],
        ),
    ];
    let export = exported(&kinds, |_| {});
    let names: Vec<(&str, &str)> = export
        .documents
        .iter()
        .map(|it| (it.kind, it.name.as_str()))
        .collect();
    assert_eq!(names, [("Network", "mine"), ("Port", "mine-port")]);
    assert!(
        texts(&export).contains("id: g # default\n"),
        "{}",
        texts(&export)
    );
    assert_eq!(
        left_out(&export),
        [
            (
                "Network",
                "kept",
                "managed by the stackward whose owner begins with 00000007"
            ),
            (
                "Port",
                "p1",
                "it belongs to a router, DHCP or another service"
            ),
            ("SecurityGroup", "default", "every project has one"),
        ]
    );
}

#[test]
fn what_a_volume_was_made_from_is_left_out_when_it_is_gone() {
    let volume = |id: &str, snapshot: &str| {
        json!({"id": id, "name": id, "size": 1, "status": "available", "metadata": {}, "attachments": [],
            "bootable": "true", "os-vol-tenant-attr:tenant_id": PROJECT, "snapshot_id": snapshot,
            "volume_image_metadata": {"image_id": "i1"}})
    };
    let snapshot = json!({"id": "here", "name": "nightly", "volume_id": "a", "size": 1, "status": "available",
        "os-extended-snapshot-attributes:project_id": PROJECT, "metadata": {}});
    let kinds = [
        ("Volume", vec![volume("a", "here"), volume("b", "gone")]),
        ("VolumeSnapshot", vec![snapshot]),
        ("Image", vec![]),
    ];
    let export = exported(&kinds, |_| {});
    let text = |name: &str| {
        &export
            .documents
            .iter()
            .find(|it| it.name == name)
            .unwrap()
            .text
    };
    assert!(
        text("a").contains("snapshotRef: nightly\n"),
        "{}",
        text("a")
    );
    assert!(!text("a").contains("imageRef"), "{}", text("a"));
    assert!(
        text("b").starts_with("# its snapshotRef is not there any more: gone\n"),
        "{}",
        text("b")
    );
    assert_eq!(text("b").matches("snapshotRef").count(), 1);
}

#[test]
fn what_cannot_be_managed_is_imported_so_that_it_can_be_referred_to() {
    let group = json!({"id": "g1", "name": "apart", "policy": "affinity", "project_id": PROJECT});
    // It boots from a volume, and which one is not to be told.
    let rootless = server(json!({"image": "", "key_name": null}));
    let kinds = [("ServerGroup", vec![group]), ("Server", vec![rootless])];
    let export = exported(&kinds, |_| {});
    assert_eq!(
        texts(&export),
        "# it cannot be managed: nothing of it can be changed\n\
         apiVersion: stackward.dev/v1alpha1\nkind: ServerGroup\nmetadata:\n  name: apart\n\
         spec:\n  managementPolicy: unmanaged\n  import:\n    id: g1\n---\n\
         # it cannot be managed: spec.resource: either imageRef or bootVolume must be specified\n\
         apiVersion: stackward.dev/v1alpha1\nkind: Server\nmetadata:\n  name: web-1\n\
         spec:\n  managementPolicy: unmanaged\n  import:\n    id: s1\n"
    );
    // To make another one needs no consent.
    let anew = exported(&kinds[..1], |wish| wish.adopt = false);
    assert!(
        texts(&anew).contains("resource:\n    name: apart\n    policy: affinity\n"),
        "{}",
        texts(&anew)
    );
}

#[test]
fn consent_and_patience_are_asked_for() {
    let kinds = [("Network", vec![network("n1", "a", json!({}))])];
    let suspended = texts(&exported(&kinds, |wish| wish.suspend = true));
    assert!(
        suspended.contains("spec:\n  suspend: true\n  adopt:\n    id: n1\n"),
        "{suspended}"
    );
    let anew = texts(&exported(&kinds, |wish| wish.adopt = false));
    assert!(anew.contains("spec:\n  resource:\n    name: a\n"), "{anew}");
}

#[test]
fn the_order_of_the_cloud_does_not_matter() {
    let group = |rules: Vec<Value>, tags: Value| json!({"id": "g1", "name": "web", "project_id": PROJECT, "security_group_rules": rules, "tags": tags});
    let rule = |id: &str, port: u16| {
        json!({"id": id, "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
            "port_range_min": port, "port_range_max": port})
    };
    let networks = |ids: [&str; 2]| ids.map(|id| network(id, "twin", json!({}))).to_vec();
    let one = exported(
        &[
            (
                "SecurityGroup",
                vec![group(
                    vec![rule("1", 80), rule("2", 443)],
                    json!(["a", "b"]),
                )],
            ),
            ("Network", networks(["n1", "n2"])),
        ],
        |_| {},
    );
    let other = exported(
        &[
            (
                "SecurityGroup",
                vec![group(
                    vec![rule("2", 443), rule("1", 80)],
                    json!(["b", "a"]),
                )],
            ),
            ("Network", networks(["n2", "n1"])),
        ],
        |_| {},
    );
    assert_eq!(one, other);
    assert!(texts(&one).contains("name: twin-n1\n"), "{}", texts(&one));
}

#[test]
fn the_kinds_of_the_cloud_are_exported_when_they_are_named() {
    let usual: Vec<&str> = usual_kinds().iter().map(|kind| kind.name()).collect();
    for kind in [
        "Flavor",
        "VolumeType",
        "Domain",
        "Project",
        "User",
        "Role",
        "Service",
        "Endpoint",
    ] {
        assert!(!usual.contains(&kind), "{kind}");
    }
    let kinds = [(
        "Flavor",
        vec![
            json!({"id": "f1", "name": "tiny", "ram": 512, "vcpus": 1, "disk": 1,
        "OS-FLV-EXT-DATA:ephemeral": 0, "swap": 0, "os-flavor-access:is_public": true}),
        ],
    )];
    assert_eq!(exported(&kinds, |_| {}).documents.len(), 0);
    let named = exported(&kinds, |wish| {
        wish.kinds = vec![kinds::find("Flavor").unwrap()]
    });
    assert!(
        texts(&named).contains("  resource:\n    name: tiny\n"),
        "{}",
        texts(&named)
    );
}

#[test]
fn what_is_referred_to_is_listed_for_its_name() {
    let scope = Scope::new("c");
    let inventory = world(&scope, &[("Server", vec![server(json!({}))])]);
    let kinds = vec![kinds::find("Server").unwrap()];
    let listed: Vec<&str> = kinds_to_list(&kinds).iter().map(|it| it.name()).collect();
    assert_eq!(listed, ["Port", "Volume", "Server"]);
    let wish = Wish {
        kinds,
        only: None,
        scope: &scope,
        project: PROJECT,
        adopt: true,
        suspend: false,
    };
    let looked_up: Vec<&str> = kinds_to_look_up(&wish, &inventory)
        .iter()
        .map(|it| it.name())
        .collect();
    assert_eq!(looked_up, ["Flavor", "Image", "KeyPair"]);
}

#[test]
fn one_resource_alone_is_asked_for_by_its_name_or_id() {
    let kinds = [(
        "Network",
        vec![
            network("n1", "blog", json!({})),
            network("n2", "shop", json!({})),
            network("n3", "shop", json!({})),
        ],
    )];
    let ids = |only| {
        let export = exported(&kinds, |wish| wish.only = Some(only));
        let ids = export.documents.into_iter().map(|it| it.id);
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        [ids("blog"), ids("n2"), ids("shop"), ids("none")],
        ["n1", "n2", "n2 n3", ""]
    );
}
