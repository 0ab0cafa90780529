//! What ORC accepts and then ignores: here it is done, or it is said that it is not.

use std::time::Duration;

use serde_json::{Value, json};
use stackward::kinds::field::{Class, diff};
use stackward::kinds::{Attached, find};
use stackward::manifest::Key;

use crate::defects::{converge, import, named, orc, settle};
use crate::sim::Sim;

const MINUTE: Duration = Duration::from_secs(60);

/// The problems of the manifests, and what is said of an object.
fn said(sim: &Sim, kind: &str, name: &str) -> String {
    let key = Key::new(kind, "default", name);
    let snapshot = sim.engine.snapshot();
    let problems: Vec<String> = snapshot.problems.iter().map(ToString::to_string).collect();
    let status = &snapshot.objects[&key].status;
    let message = &status.condition("Progressing").unwrap().message;
    format!("{message}\n{}", problems.join("\n"))
}

#[test]
fn another_public_key_is_refused_and_said() {
    let mut sim = Sim::new(1);
    let pair = |text: &str| {
        let key = format!("ssh-ed25519 {text} me@here");
        orc("KeyPair", "k", &json!({"publicKey": key}))
    };
    converge(&mut sim, &[pair("AAAAC3NzaC1lZDI1NTE5")]);
    let before = sim.items("KeyPair");
    settle(&mut sim, &[pair("AAAAC3NzaC1lZDI1NTE5AAAA")]);
    let said = said(&sim, "KeyPair", "k");
    assert!(said.contains("publicKey is immutable"), "{said}");
    assert_eq!(sim.items("KeyPair"), before);
}

#[test]
fn extra_specs_of_a_volume_type_follow_the_manifest() {
    let kind = find("VolumeType").unwrap();
    let there = json!({"id": "t", "name": "t", "extra_specs": {"volume_backend_name": "one"}});
    let have = kind.project(&kind.look(there).unwrap(), &Attached::default());
    let want = json!({"extraSpecs": [{"name": "volume_backend_name", "value": "two"}]});
    let differences = diff(&kind.rows(), &want, &have);
    assert_eq!(differences.len(), 1);
    let class = differences[0].class;
    assert!(
        matches!(class, Class::Update | Class::Action | Class::Members),
        "{class:?}"
    );
}

#[test]
fn another_mac_address_of_a_port_is_refused_and_said() {
    let mut sim = Sim::new(1);
    let network = import("Network", "private", &json!({"name": "private"}));
    let port = |mac: &str| {
        orc(
            "Port",
            "p",
            &json!({"networkRef": "private", "macAddress": mac}),
        )
    };
    converge(&mut sim, &[network.clone(), port("fa:16:3e:00:00:01")]);
    settle(&mut sim, &[network, port("fa:16:3e:00:00:02")]);
    let said = said(&sim, "Port", "p");
    assert!(said.contains("macAddress is immutable"), "{said}");
}

#[test]
fn another_mac_address_of_a_port_is_given_where_that_is_allowed() {
    let mut sim = Sim::of_admin(1);
    let port = |mac: &str| {
        let manifest = json!({"apiVersion": "stackward.dev/v1alpha1", "kind": "Port",
            "metadata": {"name": "p"}, "spec": {"resource": {
                "networkRef": {"filter": {"name": "private"}}, "macAddress": mac}}});
        ("p.json".to_owned(), manifest.to_string())
    };
    converge(&mut sim, &[port("fa:16:3e:00:00:01")]);
    converge(&mut sim, &[port("FA-16-3E-00-00-02")]);
    assert_eq!(
        named(&mut sim, "Port", "p")["mac_address"],
        "fa:16:3e:00:00:02"
    );
}

#[test]
fn a_volume_is_attached_at_its_device_and_another_one_is_refused_and_said() {
    let mut sim = Sim::new(1);
    let server = |device: &str| {
        let ports = json!([{"portRef": "p"}]);
        let volumes = json!([{"volumeRef": "data", "device": device}]);
        orc(
            "Server",
            "s",
            &json!({"flavorRef": "tiny", "bootVolume": {"volumeRef": "root"},
            "ports": ports, "volumes": volumes}),
        )
    };
    let mut files = vec![
        import("Flavor", "tiny", &json!({"name": "m1.tiny"})),
        import("Network", "private", &json!({"name": "private"})),
        orc("Port", "p", &json!({"networkRef": "private"})),
        orc("Volume", "root", &json!({"size": 1})),
        orc("Volume", "data", &json!({"size": 1})),
    ];
    converge(&mut sim, &files);
    let root = named(&mut sim, "Volume", "root");
    let path = format!("/volume/v3/volumes/{}/action", root["id"].as_str().unwrap());
    sim.by_hand(
        "POST",
        &path,
        json!({"os-set_bootable": {"bootable": true}}),
    );
    files.push(server("/dev/vdx"));
    converge(&mut sim, &files);
    let data = named(&mut sim, "Volume", "data");
    assert_eq!(data["attachments"][0]["device"], "/dev/vdx");
    files[5] = server("/dev/vdy");
    settle(&mut sim, &files);
    let said = said(&sim, "Server", "s");
    assert!(said.contains("device is immutable"), "{said}");
}

#[test]
fn a_filter_for_external_networks_finds_those_alone() {
    let mut sim = Sim::new(1);
    converge(
        &mut sim,
        &[import("Network", "n", &json!({"external": true}))],
    );
    let key = Key::new("Network", "default", "n");
    let resource = sim.engine.snapshot().objects[&key].status.resource.value();
    assert_eq!(
        (&resource["name"], &resource["external"]),
        (&json!("public"), &json!(true))
    );
}

#[test]
fn another_content_of_the_same_secret_is_another_password() {
    let mut sim = Sim::of_admin(1);
    let secret = |password: &str| {
        let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "p"},
            "stringData": {"password": password}});
        ("p.json".to_owned(), manifest.to_string())
    };
    let user = orc("User", "u", &json!({"passwordRef": "p"}));
    converge(&mut sim, &[user.clone(), secret("first-one")]);
    let digest = |sim: &mut Sim| named(sim, "User", "u")["stackward_password"].clone();
    let before = digest(&mut sim);
    converge(&mut sim, &[user, secret("second-one")]);
    assert_ne!(digest(&mut sim), before);
    assert!(before.is_string());
    let writes = sim.writes().len();
    sim.run_for(10 * MINUTE);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
}

#[test]
fn what_only_the_create_could_use_is_not_added_in_silence() {
    let mut sim = Sim::new(1);
    let network = import("Network", "private", &json!({"name": "private"}));
    let port = |more: Value| {
        let mut port = json!({"networkRef": "private"});
        port.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        orc("Port", "p", &port)
    };
    converge(&mut sim, &[network.clone(), port(json!({}))]);
    let specs = json!({"valueSpecs": [{"key": "a", "value": "b"}]});
    settle(&mut sim, &[network, port(specs)]);
    let said = said(&sim, "Port", "p");
    assert!(said.contains("valueSpecs is immutable"), "{said}");
}
