//! One service that is out of order holds up what needs it, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sim;

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::engine::scope::{Fingerprint, Scope};
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Rule};

const MINUTE: Duration = Duration::from_secs(60);

type File = (String, String);

fn object(kind: &str, name: &str, resource: &Value) -> File {
    let manifest = json!({
        "apiVersion": "stackward.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": {"resource": resource},
    });
    (format!("{kind}-{name}.json"), manifest.to_string())
}

/// A server with a port and a volume of its own, and what it wants of Nova alone.
fn server(ports: &[&str], volumes: &[&str], more: &Value) -> File {
    let ports: Vec<Value> = ports.iter().map(|it| json!({"portRef": it})).collect();
    let volumes: Vec<Value> = volumes.iter().map(|it| json!({"volumeRef": it})).collect();
    let mut resource = json!({"imageRef": {"filter": {"name": "a"}},
        "flavorRef": {"filter": {"name": "m1.tiny"}}, "ports": ports, "volumes": volumes});
    for (field, value) in more.as_object().unwrap() {
        resource[field] = value.clone();
    }
    object("Server", "s", &resource)
}

fn parts() -> Vec<File> {
    let port = |name: &str| {
        let network = json!({"networkRef": {"filter": {"name": "private"}}});
        object("Port", name, &network)
    };
    let volume = |name: &str| object("Volume", name, &json!({"size": 1}));
    vec![port("p"), port("q"), volume("v"), volume("w")]
}

fn with(file: File) -> Vec<File> {
    let mut files = parts();
    files.push(file);
    files
}

/// A cloud in which all of that is made.
fn cloud() -> Sim {
    let mut sim = Sim::new(1);
    sim.image_by_hand("a");
    sim.declare(&with(server(&["p"], &["v"], &json!({}))));
    sim.run_until_rest(10 * MINUTE);
    sim.assert_converged();
    sim
}

/// Every way in which a service can be out of order; reads and writes alike. It is noticed with the
/// next poll.
fn outages() -> Vec<Effect> {
    let answer = |status: u16| Effect::Answer {
        status,
        body: json!({"error": "on purpose"}),
        headers: Vec::new(),
    };
    vec![
        Effect::Drop,
        answer(503),
        answer(500),
        answer(404),
        Effect::Garble,
    ]
}

fn break_down(sim: &mut Sim, service: &str, effect: &Effect) {
    sim.world.add_fault(Rule::new(service, effect.clone()));
    sim.run_for(MINUTE);
}

fn named(sim: &mut Sim, kind: &str, name: &str) -> Value {
    let items = sim.items(kind);
    let found = items.into_iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn reason(sim: &Sim, kind: &str, name: &str) -> (String, String) {
    let object = &sim.engine.snapshot().objects[&Key::new(kind, "default", name)];
    let words = object.status.condition("Progressing").unwrap();
    (object.reason.to_owned(), words.message.clone())
}

fn attached(sim: &mut Sim) -> Vec<String> {
    let server = named(sim, "Server", "s");
    let volumes = server["os-extended-volumes:volumes_attached"].clone();
    let volumes = volumes.as_array().unwrap().iter();
    volumes
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_novas_alone_goes_on_while_cinder_is_out_of_order() {
    for effect in outages() {
        let mut sim = cloud();
        let before = attached(&mut sim);
        let writes = sim.writes().len();
        break_down(&mut sim, "volume", &effect);
        // Another volume is wanted, and the one that is there is not.
        let more = json!({"description": "new", "powerState": "Stopped", "tags": ["t"],
            "metadata": [{"key": "role", "value": "db"}]});
        let mut files = with(server(&["p", "q"], &["w"], &more));
        files.push(object(
            "Server",
            "plain",
            &json!({"imageRef": {"filter": {"name": "a"}},
            "flavorRef": {"filter": {"name": "m1.tiny"}}, "networks": "none"}),
        ));
        sim.declare(&files);
        sim.run_for(60 * MINUTE);
        let found = named(&mut sim, "Server", "s");
        assert_eq!(found["description"], "new", "{effect:?}");
        assert_eq!(found["status"], "SHUTOFF");
        assert_eq!(found["tags"], json!(["t"]));
        assert_eq!(found["metadata"]["role"], "db");
        assert_eq!(named(&mut sim, "Server", "plain")["status"], "ACTIVE");
        assert_eq!(reason(&sim, "Server", "plain").0, "InSync");
        let ports = sim.items("Port");
        let plugged = ports
            .iter()
            .filter(|it| it["device_id"] == found["id"])
            .count();
        assert_eq!(plugged, 2, "its ports are no business of Cinder");
        let (code, words) = reason(&sim, "Server", "s");
        assert_eq!(code, "LookFailed");
        assert!(
            words.contains("its volumes are not known while block-storage does not list them"),
            "{words}"
        );
        assert_eq!(attached(&mut sim), before, "nothing is detached unseen");
        let sent = sim.writes().split_off(writes);
        assert!(
            sent.iter().all(|it| !it.contains("os-volume_attachments")),
            "{sent:#?}"
        );
        sim.world.clear_faults();
        sim.run_until_rest(10 * MINUTE);
        sim.assert_converged();
        let wanted = vec![
            named(&mut sim, "Volume", "w")["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        ];
        assert_eq!(attached(&mut sim), wanted);
    }
}

#[test]
fn an_hour_without_neutron_holds_up_neither_volumes_nor_images_nor_servers() {
    for effect in outages() {
        let mut sim = cloud();
        break_down(&mut sim, "network", &effect);
        let more = json!({"metadata": [{"key": "role", "value": "db"}], "name": "s"});
        let mut files = with(server(&["q"], &["v", "w"], &more));
        files.retain(|it| it.0 != "Volume-v.json");
        files.push(object("Volume", "v", &json!({"size": 2})));
        files.push(object("ServerGroup", "g", &json!({"policy": "affinity"})));
        sim.declare(&files);
        sim.run_for(60 * MINUTE);
        assert_eq!(named(&mut sim, "Volume", "v")["size"], 2, "{effect:?}");
        assert_eq!(reason(&sim, "ServerGroup", "g").0, "InSync");
        let found = named(&mut sim, "Server", "s");
        assert_eq!(found["metadata"]["role"], "db");
        assert_eq!(
            attached(&mut sim).len(),
            2,
            "its volumes are no business of Neutron"
        );
        let (code, words) = reason(&sim, "Server", "s");
        assert_eq!(code, "LookFailed");
        assert!(
            words.contains("its ports are not known while network"),
            "{words}"
        );
        let object = &sim.engine.snapshot().objects[&Key::new("Server", "default", "s")];
        assert!(object.status.is_available(), "it serves as before");
        sim.world.clear_faults();
        let plugged =
            |sim: &mut Sim, name: &str| named(sim, "Port", name)["device_id"] == found["id"];
        assert!(
            plugged(&mut sim, "p") && !plugged(&mut sim, "q"),
            "nothing is unplugged unseen"
        );
        sim.run_until_rest(10 * MINUTE);
        sim.assert_converged();
        assert!(!plugged(&mut sim, "p") && plugged(&mut sim, "q"));
    }
}

#[test]
fn a_daemon_that_starts_during_an_outage_knows_its_servers_and_detaches_nothing() {
    let mut sim = cloud();
    let writes = sim.writes().len();
    for service in ["volume", "network"] {
        break_down(&mut sim, service, &Effect::Drop);
    }
    sim.lose_disk();
    sim.run_for(30 * MINUTE);
    assert_eq!(
        sim.writes()[writes..],
        [] as [&String; 0],
        "neither made again nor changed"
    );
    assert_eq!(reason(&sim, "Server", "s").0, "LookFailed");
    sim.world.clear_faults();
    sim.run_until_rest(10 * MINUTE);
    sim.assert_converged();
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
}

#[test]
fn nothing_is_replaced_while_what_is_attached_to_it_is_not_known() {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here";
    let mut sim = cloud();
    let before = named(&mut sim, "Server", "s")["id"].clone();
    break_down(&mut sim, "volume", &Effect::Drop);
    let mut files = parts();
    files.push(object("KeyPair", "k", &json!({"publicKey": KEY})));
    let (name, text) = server(&["p"], &["v"], &json!({"keypairRef": "k"}));
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    manifest["spec"]["lifecycle"] = json!({"replace": "Allow"});
    files.push((name, manifest.to_string()));
    sim.declare(&files);
    sim.run_for(30 * MINUTE);
    assert_eq!(named(&mut sim, "Server", "s")["id"], before);
    assert_eq!(reason(&sim, "Server", "s").0, "LookFailed");
    sim.world.clear_faults();
    sim.run_until_rest(10 * MINUTE);
    sim.assert_converged();
    let after = named(&mut sim, "Server", "s");
    assert_ne!(after["id"], before);
    let volume = named(&mut sim, "Volume", "v");
    assert_eq!(volume["attachments"][0]["server_id"], after["id"]);
}

#[test]
fn an_id_of_another_cloud_is_never_sent_to_this_one() {
    let image = |cloud: &str| {
        let (name, text) = object("Image", "i", &json!({"filter": {}}));
        let mut manifest: Value = serde_json::from_str(&text).unwrap();
        manifest["spec"] = json!({"cloud": cloud, "managementPolicy": "unmanaged",
            "import": {"filter": {"name": "a"}}});
        (name, manifest.to_string())
    };
    let server = object(
        "Server",
        "s",
        &json!({"imageRef": "i", "flavorRef": {"filter": {"name": "m1.tiny"}}, "networks": "none"}),
    );
    let mut sim = Sim::new(1);
    sim.image_by_hand("a");
    let far = Fingerprint {
        auth_url: "https://far.example/v3".to_owned(),
        ..sim.fingerprint()
    };
    sim.elsewhere.insert(Scope::new("far"), far);
    sim.declare(&[image("far"), server.clone()]);
    sim.run_for(60 * MINUTE);
    assert_eq!(reason(&sim, "Image", "i").0, "InSync");
    let (code, words) = reason(&sim, "Server", "s");
    assert_eq!(code, "Invalid");
    assert!(
        words.contains("Image/i is of cloud far, this object is of cloud sandbox: its Keystone is https://far.example and not http://sandbox/identity"),
        "{words}"
    );
    assert_eq!(sim.writes(), [] as [&String; 0]);
    // Another name of the same place is no other cloud.
    sim.declare(&[image("near"), server]);
    sim.run_until_rest(10 * MINUTE);
    assert_eq!(named(&mut sim, "Server", "s")["status"], "ACTIVE");
}
