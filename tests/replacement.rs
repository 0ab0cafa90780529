//! Replacement in both orders, on the pure engine beside the sandbox's pure core: what makes room for
//! what, what follows to the new id, and what is left when it fails or the daemon dies in between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sim;

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::manifest::Key;
const MINUTE: Duration = Duration::from_secs(60);

fn object(kind: &str, name: &str, lifecycle: &Value, resource: &Value) -> (String, String) {
    let manifest = json!({
        "apiVersion": "stackward.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": {"lifecycle": lifecycle, "resource": resource},
    });
    (format!("{kind}-{name}.json"), manifest.to_string())
}

fn settle(sim: &mut Sim, files: &[(String, String)]) {
    sim.declare(files);
    sim.run_until_rest(30 * MINUTE);
}

fn converge(sim: &mut Sim, files: &[(String, String)]) {
    settle(sim, files);
    sim.assert_converged();
}

fn named(sim: &mut Sim, kind: &str, name: &str) -> Vec<Value> {
    let mut items = sim.items(kind);
    let marked = format!("{name} [");
    let is_it = |it: &str| it == name || it.starts_with(&marked);
    items.retain(|it| it["name"].as_str().is_some_and(is_it));
    items
}

fn only(sim: &mut Sim, kind: &str, name: &str) -> Value {
    let items = named(sim, kind, name);
    assert_eq!(items.len(), 1, "{items:#?}");
    items[0].clone()
}

fn id(item: &Value) -> String {
    item["id"].as_str().unwrap().to_owned()
}

/// The code and the words of what an object waits for or is blocked by.
fn reason(sim: &Sim, kind: &str, name: &str) -> (String, String) {
    let object = &sim.engine.snapshot().objects[&Key::new(kind, "default", name)];
    let words = object.status.condition("Progressing").unwrap();
    (object.reason.to_owned(), words.message.clone())
}

fn is_available(sim: &Sim, kind: &str, name: &str) -> bool {
    sim.engine.snapshot().objects[&Key::new(kind, "default", name)]
        .status
        .is_available()
}

fn group(order: &str, policy: &str) -> (String, String) {
    object(
        "ServerGroup",
        "g",
        &json!({"replace": order}),
        &json!({"policy": policy}),
    )
}

#[test]
fn the_new_one_is_there_before_the_old_one_goes() {
    let mut sim = Sim::new(1);
    converge(&mut sim, &[group("CreateFirst", "affinity")]);
    let before = id(&only(&mut sim, "ServerGroup", "g"));
    sim.trace.clear();
    converge(&mut sim, &[group("CreateFirst", "soft-affinity")]);
    let after = only(&mut sim, "ServerGroup", "g");
    assert_ne!(id(&after), before);
    assert_eq!(after["policy"], "soft-affinity");
    let writes = sim.writes();
    assert_eq!(writes.len(), 2, "{writes:#?}");
    assert!(writes[0].contains(": create ") && writes[1].contains(": delete "));
    assert!(writes[1].contains(&before));
    // As often as it is asked for: the incarnations go round.
    for policy in ["anti-affinity", "affinity", "soft-affinity", "affinity"] {
        converge(&mut sim, &[group("CreateFirst", policy)]);
        assert_eq!(only(&mut sim, "ServerGroup", "g")["policy"], policy);
    }
    // It is known by its marker alone, whatever its incarnation, and deleted by it.
    let writes = sim.writes().len();
    sim.lose_disk();
    sim.run_until_rest(5 * MINUTE);
    sim.assert_converged();
    assert_eq!(sim.writes().len(), writes);
    sim.settings.prune_allow_empty = true;
    sim.restart();
    settle(&mut sim, &[]);
    sim.run_for(10 * MINUTE);
    assert!(named(&mut sim, "ServerGroup", "g").is_empty());
    assert!(sim.disk.records.is_empty(), "{:?}", sim.disk.records);
}

fn network(order: &str, zone: &str) -> (String, String) {
    object(
        "Network",
        "n",
        &json!({"replace": order}),
        &json!({"availabilityZoneHints": [zone]}),
    )
}

fn port(order: &str) -> (String, String) {
    object(
        "Port",
        "p",
        &json!({"replace": order}),
        &json!({"networkRef": "n", "securityGroupRefs": ["g"]}),
    )
}

fn firewall(stateful: bool) -> (String, String) {
    object(
        "SecurityGroup",
        "g",
        &json!({"replace": "CreateFirst"}),
        &json!({"stateful": stateful, "rules": [{"direction": "ingress", "ethertype": "IPv4"}]}),
    )
}

#[test]
fn what_uses_it_follows_in_place_where_it_can_and_the_old_one_goes_last() {
    let mut sim = Sim::new(1);
    let files = |stateful| [firewall(stateful), network("Deny", "nova"), port("Deny")];
    converge(&mut sim, &files(true));
    let (group, before) = (
        only(&mut sim, "SecurityGroup", "g"),
        only(&mut sim, "Port", "p"),
    );
    assert_eq!(before["security_groups"], json!([id(&group)]));
    sim.trace.clear();
    converge(&mut sim, &files(false));
    let (group, after) = (
        only(&mut sim, "SecurityGroup", "g"),
        only(&mut sim, "Port", "p"),
    );
    assert_eq!(id(&after), id(&before), "the port is the same");
    assert_eq!(after["security_groups"], json!([id(&group)]));
    assert_eq!(group["stateful"], false);
    // It had its rules before anything used it.
    let position = |words: &str| sim.trace.iter().position(|it| it.contains(words)).unwrap();
    assert!(position("add to rules") < position("Port/default/p: update"));
    assert!(position("Port/default/p: update") < position(": delete "));
}

#[test]
fn what_cannot_follow_without_leave_holds_the_old_one_and_says_so() {
    let mut sim = Sim::new(1);
    let files =
        |zone: &str, order: &str| [firewall(true), network("CreateFirst", zone), port(order)];
    converge(&mut sim, &files("nova", "Deny"));
    let before = id(&only(&mut sim, "Network", "n"));
    sim.declare(&files("other", "Deny"));
    sim.run_for(10 * MINUTE);
    assert_eq!(
        named(&mut sim, "Network", "n").len(),
        2,
        "the old one serves the port"
    );
    assert_eq!(only(&mut sim, "Port", "p")["network_id"], before.as_str());
    assert!(is_available(&sim, "Network", "n"));
    let (code, words) = reason(&sim, "Port", "p");
    assert_eq!(code, "Immutable");
    assert!(words.contains("lifecycle.replace: Allow"), "{words}");
    let (code, words) = reason(&sim, "Network", "n#0");
    assert_eq!(code, "Followers");
    assert!(words.contains("Port/p"), "{words}");
    // A loss of the state directory in between changes nothing.
    let writes = sim.writes().len();
    sim.lose_disk();
    sim.run_for(10 * MINUTE);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
    converge(&mut sim, &files("other", "Allow"));
    let network = only(&mut sim, "Network", "n");
    assert_ne!(id(&network), before);
    assert_eq!(only(&mut sim, "Port", "p")["network_id"], network["id"]);
}

#[test]
fn what_is_a_part_of_it_goes_before_it_and_comes_back_after_it() {
    let mut sim = Sim::new(1);
    let files = |zone: &str, part: &str| {
        let lifecycle = json!({"replace": part});
        let subnet = json!({"networkRef": "n", "cidr": "10.1.0.0/24"});
        let port = json!({"networkRef": "n", "addresses": [{"subnetRef": "s"}]});
        [
            network("Allow", zone),
            object("Subnet", "s", &lifecycle, &subnet),
            object("Port", "p", &lifecycle, &port),
        ]
    };
    converge(&mut sim, &files("nova", "Deny"));
    let before = id(&only(&mut sim, "Network", "n"));
    let writes = sim.writes().len();
    settle(&mut sim, &files("other", "Deny"));
    let (code, words) = reason(&sim, "Network", "n");
    assert_eq!(code, "Held");
    assert!(words.contains("Port/p, Subnet/s"), "{words}");
    assert_eq!(
        sim.writes().len(),
        writes,
        "nothing is touched by half a leave"
    );
    converge(&mut sim, &files("other", "Allow"));
    let network = only(&mut sim, "Network", "n");
    assert_ne!(id(&network), before);
    assert_eq!(only(&mut sim, "Subnet", "s")["network_id"], network["id"]);
    assert_eq!(only(&mut sim, "Port", "p")["network_id"], network["id"]);
    sim.run_for(60 * MINUTE);
    sim.assert_converged();
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here";

fn keypair(name: &str) -> (String, String) {
    object(
        "KeyPair",
        name,
        &json!({"replace": "CreateFirst"}),
        &json!({"publicKey": KEY}),
    )
}

fn server(keypair: &str, more: &Value) -> (String, String) {
    let mut resource = json!({
        "flavorRef": {"filter": {"name": "m1.tiny"}}, "networks": "none",
        "keypairRef": keypair, "imageRef": "i",
    });
    for (field, value) in more.as_object().unwrap() {
        resource[field] = value.clone();
    }
    if more.get("ports").is_some() {
        resource.as_object_mut().unwrap().remove("networks");
    }
    object("Server", "s", &json!({"replace": "CreateFirst"}), &resource)
}

fn image() -> (String, String) {
    let content = json!({"diskFormat": "raw", "download": {"url": "http://127.0.0.1/x"}});
    object("Image", "i", &json!({}), &json!({ "content": content }))
}

fn servers(keypair_name: &str) -> [(String, String); 4] {
    [
        keypair("one"),
        keypair("two"),
        image(),
        server(keypair_name, &json!({})),
    ]
}

#[test]
fn a_successor_that_fails_leaves_the_old_one_serving_and_says_so() {
    let mut sim = Sim::new(1);
    converge(&mut sim, &servers("one"));
    let before = id(&only(&mut sim, "Server", "s"));
    let room = |sim: &mut Sim, memory| {
        sim.world
            .set_options(|options| options.host = (160_000, memory, 10 << 20));
    };
    room(&mut sim, 64);
    settle(&mut sim, &servers("two"));
    assert_eq!(
        named(&mut sim, "Server", "s").len(),
        2,
        "the new one is in ERROR"
    );
    let (code, words) = reason(&sim, "Server", "s");
    assert_eq!(code, "Successor");
    assert!(
        words.contains("ERROR") && words.contains("serves on"),
        "{words}"
    );
    assert!(is_available(&sim, "Server", "s"));
    let status = &sim.engine.snapshot().objects[&Key::new("Server", "default", "s")].status;
    assert_eq!(status.id.as_ref(), Some(&before));
    // It stays at one try, also after a restart and without a state directory.
    sim.restart();
    sim.run_for(30 * MINUTE);
    sim.lose_disk();
    sim.run_for(30 * MINUTE);
    assert_eq!(named(&mut sim, "Server", "s").len(), 2);
    assert_eq!(reason(&sim, "Server", "s").0, "Successor");
    // The manifest goes back: what was begun is undone, and the old one was never touched.
    converge(&mut sim, &servers("one"));
    assert_eq!(id(&only(&mut sim, "Server", "s")), before);
    // With room, it works.
    room(&mut sim, 64 << 20);
    converge(&mut sim, &servers("two"));
    let after = only(&mut sim, "Server", "s");
    assert_eq!(after["key_name"], "two");
    assert_ne!(id(&after), before);
}

#[test]
fn a_successor_takes_the_place_of_one_that_vanishes_meanwhile() {
    let mut sim = Sim::new(1);
    converge(&mut sim, &servers("one"));
    let before = id(&only(&mut sim, "Server", "s"));
    sim.declare(&servers("two"));
    while named(&mut sim, "Server", "s").len() < 2 {
        sim.run_for(Duration::from_millis(50));
    }
    let path = format!("/compute/v2.1/servers/{before}");
    sim.by_hand("DELETE", &path, Value::Null);
    sim.run_until_rest(30 * MINUTE);
    sim.assert_converged();
    assert_eq!(only(&mut sim, "Server", "s")["key_name"], "two");
    let creates = |line: &&&String| line.starts_with("Server/") && line.contains(": create ");
    assert_eq!(sim.writes().iter().filter(creates).count(), 2);
}

#[test]
fn where_there_cannot_be_two_it_is_said_why_and_what_would_do() {
    let mut sim = Sim::new(1);
    let other = KEY.replace("NTE5", "NTE5AAAA");
    let subnet = |cidr: &str| {
        object(
            "Subnet",
            "s",
            &json!({"replace": "CreateFirst"}),
            &json!({"networkRef": "n", "cidr": cidr}),
        )
    };
    let volume = object("Volume", "v", &json!({}), &json!({"size": 1}));
    let with_volume = json!({"volumes": [{"volumeRef": "v"}]});
    let files = |keypair_name: &str, cidr: &str| {
        vec![
            network("Deny", "nova"),
            subnet(cidr),
            keypair("one"),
            keypair("two"),
            image(),
            volume.clone(),
            server(keypair_name, &with_volume),
        ]
    };
    converge(&mut sim, &files("one", "10.1.0.0/24"));
    let writes = sim.writes().len();
    let mut changed = files("two", "10.1.0.0/16");
    changed[2].1 = changed[2].1.replace(KEY, &other);
    settle(&mut sim, &changed);
    for (kind, name, why) in [
        ("KeyPair", "one", "by its name alone"),
        ("Subnet", "s", "its range overlaps"),
        ("Server", "s", "the old one has the volumes"),
    ] {
        let (code, words) = reason(&sim, kind, name);
        assert_eq!(code, "Immutable", "{kind}: {words}");
        assert!(
            words.contains("CreateFirst is not possible") && words.contains(why),
            "{kind}: {words}"
        );
        assert!(words.contains("Allow deletes it before"), "{kind}: {words}");
        assert!(is_available(&sim, kind, name));
    }
    assert_eq!(sim.writes().len(), writes);
}

#[test]
fn a_snapshot_is_taken_before_the_old_one_goes_by_both_leaves_only() {
    let mut sim = Sim::new(1);
    let files = |lifecycle: Value, volume: &str| {
        [
            object("Volume", "v", &json!({}), &json!({"size": 1})),
            object("Volume", "w", &json!({}), &json!({"size": 1})),
            object(
                "VolumeSnapshot",
                "s",
                &lifecycle,
                &json!({"volumeRef": volume}),
            ),
        ]
    };
    let half = json!({"replace": "CreateFirst"});
    converge(&mut sim, &files(half.clone(), "v"));
    settle(&mut sim, &files(half, "w"));
    let (code, words) = reason(&sim, "VolumeSnapshot", "s");
    assert_eq!(code, "Immutable");
    assert!(words.contains("loseData: Allow"), "{words}");
    let both = json!({"replace": "CreateFirst", "loseData": "Allow"});
    sim.trace.clear();
    converge(&mut sim, &files(both, "w"));
    let writes = sim.writes();
    assert!(
        writes[0].contains("create") && writes[1].contains("delete"),
        "{writes:#?}"
    );
}

#[test]
fn there_cannot_be_two_of_what_is_fixed_in_one_place() {
    let refused = |kind: &str, spec: Value, item: Value| {
        let kind = stackward::kinds::find(kind).unwrap();
        let found = kind.look(item).unwrap();
        kind.beside(&spec, &found).err().map(|it| it.message)
    };
    let port = |network: &str, address: Value| {
        let spec = json!({"networkRef": {"id": network}, "addresses": [address]});
        let item = json!({"id": "p", "network_id": "n", "mac_address": "fa:16:3e:00:00:01",
            "device_id": "", "device_owner": "", "fixed_ips": [], "name": "p", "description": ""});
        refused("Port", spec, item)
    };
    let fixed = json!({"subnetRef": {"id": "s"}, "ip": "10.0.0.9"});
    let free = json!({"subnetRef": {"id": "s"}});
    assert!(port("n", fixed.clone()).unwrap().contains("addresses"));
    assert_eq!(port("n", free), None);
    assert_eq!(port("m", fixed), None, "in another network it is free");
    let address = |spec: Value| {
        let item = json!({"id": "f", "floating_ip_address": "172.24.4.9",
            "floating_network_id": "n", "port_id": "p", "description": ""});
        refused("FloatingIP", spec, item)
    };
    let network = json!({"id": "m"});
    let spec = json!({"floatingNetworkRef": network, "floatingIP": "172.24.4.9"});
    assert!(address(spec).unwrap().contains("the address"));
    let spec = json!({"floatingNetworkRef": network, "portRef": {"id": "p"}});
    assert!(address(spec).unwrap().contains("associated"));
    assert_eq!(address(json!({"floatingNetworkRef": network})), None);
    let trunk = |port: &str| {
        let spec = json!({"portRef": {"id": "parent"}, "subports": [{"portRef": {"id": port},
            "segmentationID": 7, "segmentationType": "vlan"}]});
        let item = json!({"id": "t", "port_id": "old", "name": "t", "description": "",
            "sub_ports": [{"port_id": "a", "segmentation_id": 7, "segmentation_type": "vlan"}]});
        refused("Trunk", spec, item)
    };
    assert!(trunk("a").unwrap().contains("subports"));
    assert_eq!(trunk("b"), None);
}
