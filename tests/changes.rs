//! Changes of what exists, on the pure engine beside the sandbox's pure core: each class under its
//! `lifecycle`, replacement, ERROR, and repairs that do not hold.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sim;

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Rule};

const MINUTE: Duration = Duration::from_secs(60);

/// A cloud with two images, `a` and `b`.
fn cloud() -> Sim {
    let mut sim = Sim::new(1);
    for name in ["a", "b"] {
        sim.image_by_hand(name);
    }
    sim
}

fn object(kind: &str, name: &str, lifecycle: &Value, resource: &Value) -> (String, String) {
    let manifest = json!({
        "apiVersion": "stackward.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": {"lifecycle": lifecycle, "resource": resource},
    });
    (format!("{kind}-{name}.json"), manifest.to_string())
}

fn server(lifecycle: &Value, more: &Value) -> (String, String) {
    let mut resource = json!({
        "imageRef": {"filter": {"name": "a"}}, "flavorRef": {"filter": {"name": "m1.tiny"}},
        "networks": "none",
    });
    for (field, value) in more.as_object().unwrap() {
        resource[field] = value.clone();
    }
    object("Server", "s", lifecycle, &resource)
}

fn flavor(name: &str) -> Value {
    json!({"flavorRef": {"filter": {"name": name}}})
}

fn settle(sim: &mut Sim, files: &[(String, String)]) {
    sim.declare(files);
    sim.run_until_rest(30 * MINUTE);
}

fn converge(sim: &mut Sim, files: &[(String, String)]) {
    settle(sim, files);
    sim.assert_converged();
}

fn only(sim: &mut Sim, kind: &str) -> Value {
    let items = sim.items(kind);
    assert_eq!(items.len(), 1, "{items:?}");
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

fn act(sim: &mut Sim, server: &str, action: &Value) {
    let path = format!("/compute/v2.1/servers/{server}/action");
    sim.by_hand("POST", &path, action.clone());
}

#[test]
fn a_server_is_brought_to_each_power_state_from_each_other() {
    const STATES: [(&str, &str); 5] = [
        ("Running", "ACTIVE"),
        ("Stopped", "SHUTOFF"),
        ("Paused", "PAUSED"),
        ("Suspended", "SUSPENDED"),
        ("Shelved", "SHELVED_OFFLOADED"),
    ];
    let mut sim = cloud();
    for (from, _) in STATES {
        for (to, status) in STATES {
            converge(
                &mut sim,
                &[server(&json!({}), &json!({"powerState": from}))],
            );
            converge(&mut sim, &[server(&json!({}), &json!({"powerState": to}))]);
            assert_eq!(only(&mut sim, "Server")["status"], status, "{from} -> {to}");
        }
    }
}

#[test]
fn a_stopped_server_stays_stopped_where_nothing_is_said_and_is_started_where_it_is() {
    let mut sim = cloud();
    converge(&mut sim, &[server(&json!({}), &json!({}))]);
    let there = id(&only(&mut sim, "Server"));
    act(&mut sim, &there, &json!({"os-stop": null}));
    sim.run_for(5 * MINUTE);
    assert_eq!(only(&mut sim, "Server")["status"], "SHUTOFF");
    // To start it interrupts nothing.
    let lifecycle = json!({"disrupt": "Deny"});
    converge(
        &mut sim,
        &[server(&lifecycle, &json!({"powerState": "Running"}))],
    );
    assert_eq!(only(&mut sim, "Server")["status"], "ACTIVE");
    settle(
        &mut sim,
        &[server(&lifecycle, &json!({"powerState": "Stopped"}))],
    );
    let (code, words) = reason(&sim, "Server", "s");
    assert_eq!(code, "Immutable");
    assert!(words.contains("lifecycle.disrupt: Allow"), "{words}");
    assert_eq!(only(&mut sim, "Server")["status"], "ACTIVE");
}

#[test]
fn a_resize_is_confirmed() {
    let mut sim = cloud();
    converge(&mut sim, &[server(&json!({}), &json!({}))]);
    let before = only(&mut sim, "Server");
    converge(&mut sim, &[server(&json!({}), &flavor("m1.small"))]);
    let after = only(&mut sim, "Server");
    assert_eq!(
        (id(&after), &after["status"]),
        (id(&before), &json!("ACTIVE"))
    );
    assert_eq!(after["flavor"]["id"], "3");
    settle(
        &mut sim,
        &[server(&json!({"disrupt": "Deny"}), &flavor("m1.tiny"))],
    );
    let (code, words) = reason(&sim, "Server", "s");
    assert_eq!(code, "Immutable");
    assert!(
        words.contains("\"2\"") && words.contains("\"3\""),
        "both values: {words}"
    );
    assert_eq!(only(&mut sim, "Server")["flavor"]["id"], "3");
}

#[test]
fn somebody_elses_resize_is_reverted() {
    let mut sim = cloud();
    converge(&mut sim, &[server(&json!({}), &json!({}))]);
    let there = id(&only(&mut sim, "Server"));
    act(&mut sim, &there, &json!({"resize": {"flavorRef": "3"}}));
    sim.run_for(5 * MINUTE);
    sim.assert_converged();
    let after = only(&mut sim, "Server");
    assert_eq!(
        (&after["flavor"]["id"], &after["status"]),
        (&json!("2"), &json!("ACTIVE"))
    );
}

#[test]
fn a_resize_that_no_host_can_take_is_tried_three_times_and_again_for_a_new_manifest() {
    let mut sim = cloud();
    sim.world
        .set_options(|options| options.host = (160_000, 1024, 10 << 20));
    converge(&mut sim, &[server(&json!({}), &json!({}))]);
    settle(&mut sim, &[server(&json!({}), &flavor("m1.large"))]);
    let resizes = |sim: &Sim| {
        let writes = sim.writes();
        writes.iter().filter(|it| it.contains("flavorRef")).count()
    };
    assert_eq!(resizes(&sim), 3, "{:#?}", sim.writes());
    let (code, words) = reason(&sim, "Server", "s");
    assert_eq!(code, "Flapping");
    assert!(
        words.contains("flavorRef") && words.contains("\"5\""),
        "{words}"
    );
    sim.run_for(180 * MINUTE);
    assert_eq!(resizes(&sim), 3, "it is not tried again by itself");
    let mut more = flavor("m1.large");
    more["description"] = json!("changed");
    settle(&mut sim, &[server(&json!({}), &more)]);
    assert_eq!(resizes(&sim), 6);
    converge(&mut sim, &[server(&json!({}), &json!({}))]);
}

#[test]
fn a_server_that_a_person_locked_is_left_alone_until_it_is_unlocked() {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here";
    let mut sim = cloud();
    let key = object("KeyPair", "k", &json!({}), &json!({"publicKey": KEY}));
    let first = server(&json!({}), &json!({}));
    converge(&mut sim, &[first, key.clone()]);
    let there = id(&only(&mut sim, "Server"));
    act(&mut sim, &there, &json!({"lock": null}));
    sim.run_for(5 * MINUTE);
    sim.assert_converged();
    let writes = sim.writes().len();
    let anew = json!({"replace": "Allow"});
    let stays_as_it_is = [
        vec![server(&json!({}), &flavor("m1.small")), key.clone()],
        vec![server(&anew, &json!({"keypairRef": "k"})), key.clone()],
        vec![key],
    ];
    for files in stays_as_it_is {
        settle(&mut sim, &files);
        sim.run_for(60 * MINUTE);
        let (code, words) = reason(&sim, "Server", "s");
        assert_eq!(code, "Refused", "{words}");
        assert!(words.contains("openstack server unlock"), "{words}");
        assert_eq!(sim.writes().len(), writes, "{:#?}", sim.writes());
    }
    act(&mut sim, &there, &json!({"unlock": null}));
    sim.run_for(60 * MINUTE);
    assert!(sim.items("Server").is_empty());
}

#[test]
fn another_image_is_a_rebuild_by_leave_only() {
    let mut sim = cloud();
    converge(&mut sim, &[server(&json!({}), &json!({}))]);
    let before = only(&mut sim, "Server");
    let other = json!({"imageRef": {"filter": {"name": "b"}}});
    settle(&mut sim, &[server(&json!({}), &other)]);
    let (code, words) = reason(&sim, "Server", "s");
    assert_eq!(code, "Immutable");
    assert!(words.contains("lifecycle.loseData: Allow"), "{words}");
    assert_eq!(only(&mut sim, "Server")["image"], before["image"]);
    converge(&mut sim, &[server(&json!({"loseData": "Allow"}), &other)]);
    let after = only(&mut sim, "Server");
    assert_eq!(id(&after), id(&before));
    assert_ne!(after["image"]["id"], before["image"]["id"]);
}

#[test]
fn a_volume_takes_another_type_and_back_from_behind() {
    let mut sim = cloud();
    let volume = |kind: &str| {
        let resource = json!({"size": 1, "volumeTypeRef": {"filter": {"name": kind}}});
        object("Volume", "v", &json!({}), &resource)
    };
    converge(&mut sim, &[volume("lvmdriver-1")]);
    let before = only(&mut sim, "Volume");
    converge(&mut sim, &[volume("lvmdriver-2")]);
    let after = only(&mut sim, "Volume");
    assert_eq!(
        (id(&after), &after["volume_type"]),
        (id(&before), &json!("lvmdriver-2"))
    );
    let path = format!("/volume/v3/volumes/{}/action", id(&after));
    let retype = json!({"os-retype": {"new_type": "lvmdriver-1", "migration_policy": "never"}});
    sim.by_hand("POST", &path, retype);
    sim.run_for(5 * MINUTE);
    assert_eq!(only(&mut sim, "Volume")["volume_type"], "lvmdriver-2");
}

#[test]
fn a_snapshot_is_taken_and_a_volume_made_of_it_and_all_go_in_order() {
    let mut sim = cloud();
    let files = [
        object("Volume", "v", &json!({}), &json!({"size": 1})),
        object(
            "VolumeSnapshot",
            "s",
            &json!({}),
            &json!({"volumeRef": "v"}),
        ),
        object(
            "Volume",
            "copy",
            &json!({}),
            &json!({"size": 2, "snapshotRef": "s"}),
        ),
    ];
    converge(&mut sim, &files);
    let snapshot = id(&only(&mut sim, "VolumeSnapshot"));
    let volumes = sim.items("Volume");
    assert!(
        volumes
            .iter()
            .any(|it| it["snapshot_id"] == snapshot.as_str())
    );
    sim.settings.prune_allow_empty = true;
    sim.restart();
    settle(&mut sim, &[]);
    sim.run_for(60 * MINUTE);
    assert!(sim.items("Volume").is_empty() && sim.items("VolumeSnapshot").is_empty());
}

#[test]
fn trunks_scopes_and_groups_live_and_die() {
    let mut sim = cloud();
    let port = |name: &str| object("Port", name, &json!({}), &json!({"networkRef": "n"}));
    let trunk = |subports: Value, up: bool| {
        let resource =
            json!({"portRef": "p", "subports": subports, "adminStateUp": up, "tags": ["t"]});
        object("Trunk", "t", &json!({}), &resource)
    };
    let vlan = |name: &str, id: u16| json!({"portRef": name, "segmentationType": "vlan", "segmentationID": id});
    let mut files = vec![
        object("Network", "n", &json!({}), &json!({})),
        port("p"),
        port("q"),
        port("r"),
        object("AddressScope", "a", &json!({}), &json!({"ipVersion": 6})),
        object(
            "ServerGroup",
            "g",
            &json!({}),
            &json!({"policy": "anti-affinity"}),
        ),
        server(
            &json!({}),
            &json!({"schedulerHints": {"serverGroupRef": "g"}}),
        ),
        trunk(json!([vlan("q", 7)]), true),
    ];
    converge(&mut sim, &files);
    assert_eq!(
        only(&mut sim, "ServerGroup")["members"],
        json!([id(&only(&mut sim, "Server"))])
    );
    files[7] = trunk(json!([vlan("r", 7), vlan("q", 8)]), true);
    converge(&mut sim, &files);
    let found = only(&mut sim, "Trunk");
    assert_eq!(found["sub_ports"].as_array().unwrap().len(), 2);
    // A new name keeps the mark of ownership.
    files[4] = object(
        "AddressScope",
        "a",
        &json!({}),
        &json!({"ipVersion": 6, "name": "new"}),
    );
    converge(&mut sim, &files);
    assert!(
        only(&mut sim, "AddressScope")["name"]
            .as_str()
            .unwrap()
            .starts_with("new [sw1.")
    );
    let writes = sim.writes().len();
    sim.lose_disk();
    sim.run_until_rest(5 * MINUTE);
    sim.assert_converged();
    assert_eq!(
        sim.writes().len(),
        writes,
        "known again by their names alone"
    );
    sim.settings.prune_allow_empty = true;
    sim.restart();
    settle(&mut sim, &[]);
    sim.run_for(60 * MINUTE);
    for kind in ["Trunk", "AddressScope", "ServerGroup", "Server"] {
        assert!(sim.items(kind).is_empty(), "{kind}");
    }
}

#[test]
fn what_only_a_new_one_can_have_is_replaced_by_leave_only() {
    let mut sim = cloud();
    let group = |lifecycle: Value, policy: &str| {
        object("ServerGroup", "g", &lifecycle, &json!({"policy": policy}))
    };
    converge(&mut sim, &[group(json!({}), "affinity")]);
    let before = id(&only(&mut sim, "ServerGroup"));
    settle(&mut sim, &[group(json!({}), "soft-affinity")]);
    let (code, said) = reason(&sim, "ServerGroup", "g");
    assert_eq!(code, "Immutable");
    assert!(said.contains("lifecycle.replace: Allow"), "{said}");
    assert_eq!(id(&only(&mut sim, "ServerGroup")), before);
    converge(
        &mut sim,
        &[group(json!({"replace": "Allow"}), "soft-affinity")],
    );
    let after = only(&mut sim, "ServerGroup");
    assert_ne!(id(&after), before);
    assert_eq!(after["policy"], "soft-affinity");
}

#[test]
fn a_replaced_server_gets_its_volume_back() {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here";
    let mut sim = cloud();
    let key = |name: &str| object("KeyPair", name, &json!({}), &json!({"publicKey": KEY}));
    let files = |key_name: &str| {
        let more = json!({"keypairRef": key_name, "volumes": [{"volumeRef": "v"}]});
        [
            key("one"),
            key("two"),
            object("Volume", "v", &json!({}), &json!({"size": 1})),
            server(&json!({"replace": "Allow"}), &more),
        ]
    };
    converge(&mut sim, &files("one"));
    let before = id(&only(&mut sim, "Server"));
    let volume = id(&only(&mut sim, "Volume"));
    converge(&mut sim, &files("two"));
    let after = only(&mut sim, "Server");
    assert_ne!(id(&after), before);
    assert_eq!(after["key_name"], "two");
    let attached = only(&mut sim, "Volume");
    assert_eq!(id(&attached), volume, "the volume is the same");
    assert_eq!(attached["attachments"][0]["server_id"], json!(id(&after)));
}

#[test]
fn a_keypair_of_other_content_is_replaced_once() {
    let mut sim = cloud();
    let pair = |text: &str| {
        let key = format!("ssh-ed25519 {text} me@here");
        object(
            "KeyPair",
            "k",
            &json!({"replace": "Allow"}),
            &json!({"publicKey": key}),
        )
    };
    converge(&mut sim, &[pair("AAAAC3NzaC1lZDI1NTE5")]);
    converge(&mut sim, &[pair("AAAAC3NzaC1lZDI1NTE5AAAA")]);
    let item = only(&mut sim, "KeyPair");
    let item = item.get("keypair").unwrap_or(&item);
    assert!(item["public_key"].as_str().unwrap().contains("NTE5AAAA"));
}

#[test]
fn what_holds_data_or_is_protected_is_not_replaced_by_half_a_leave() {
    let mut sim = cloud();
    let files = |lifecycle: &Value, volume: &str| {
        [
            object("Volume", "v", &json!({}), &json!({"size": 1})),
            object("Volume", "w", &json!({}), &json!({"size": 1})),
            object(
                "VolumeSnapshot",
                "s",
                lifecycle,
                &json!({"volumeRef": volume}),
            ),
        ]
    };
    converge(&mut sim, &files(&json!({}), "v"));
    let before = id(&only(&mut sim, "VolumeSnapshot"));
    settle(&mut sim, &files(&json!({"replace": "Allow"}), "w"));
    let (code, words) = reason(&sim, "VolumeSnapshot", "s");
    assert_eq!(code, "Immutable");
    assert!(words.contains("loseData: Allow"), "{words}");
    assert_eq!(id(&only(&mut sim, "VolumeSnapshot")), before);
    let both = json!({"replace": "Allow", "loseData": "Allow"});
    let mut protected = files(&both, "w");
    protected[2].1 = protected[2].1.replace(
        r#""metadata":{"name":"s"}"#,
        r#""metadata":{"name":"s","annotations":{"stackward.dev/protect":"true"}}"#,
    );
    settle(&mut sim, &protected);
    assert_eq!(reason(&sim, "VolumeSnapshot", "s").0, "Protected");
    assert_eq!(id(&only(&mut sim, "VolumeSnapshot")), before);
    converge(&mut sim, &files(&both, "w"));
    assert_ne!(id(&only(&mut sim, "VolumeSnapshot")), before);
}

#[test]
fn what_dependents_hold_in_place_is_said_and_nothing_is_lost() {
    let mut sim = cloud();
    let files = |cidr: &str| {
        let subnet = json!({"networkRef": "n", "ipVersion": 4, "cidr": cidr});
        [
            object("Network", "n", &json!({}), &json!({})),
            object("Subnet", "s", &json!({"replace": "Allow"}), &subnet),
            object(
                "Port",
                "p",
                &json!({}),
                &json!({"networkRef": "n", "addresses": [{"subnetRef": "s"}]}),
            ),
        ]
    };
    converge(&mut sim, &files("10.1.0.0/24"));
    sim.declare(&files("10.2.0.0/24"));
    sim.run_for(5 * MINUTE);
    let (code, words) = reason(&sim, "Subnet", "s");
    assert_eq!(code, "Backoff");
    assert!(words.contains("it is to be made anew, but"), "{words}");
    let subnet = sim.items("Subnet").into_iter().find(|it| it["name"] == "s");
    assert_eq!(subnet.unwrap()["cidr"], "10.1.0.0/24");
    converge(&mut sim, &files("10.1.0.0/24"));
}

#[test]
fn a_server_in_error_is_made_anew_three_times_at_most() {
    let mut sim = cloud();
    sim.world
        .set_options(|options| options.host = (160_000, 64, 10 << 20));
    let creates = |sim: &Sim| {
        sim.writes()
            .iter()
            .filter(|it| it.contains(": create "))
            .count()
    };
    settle(&mut sim, &[server(&json!({}), &json!({}))]);
    sim.run_for(60 * MINUTE);
    assert_eq!(creates(&sim), 1, "without leave it is only told");
    assert_eq!(reason(&sim, "Server", "s").0, "Stuck");
    let recreate = json!({"onError": "Recreate"});
    sim.declare(&[server(&recreate, &json!({}))]);
    sim.run_for(120 * MINUTE);
    assert_eq!(creates(&sim), 4, "{:#?}", sim.writes());
    let (code, words) = reason(&sim, "Server", "s");
    assert_eq!(code, "Stuck");
    assert!(words.contains("made anew 3 times"), "{words}");
    assert_eq!(sim.items("Server").len(), 1);
    // There is room again, and the manifest is touched.
    sim.world
        .set_options(|options| options.host = (160_000, 64 << 20, 10 << 20));
    converge(
        &mut sim,
        &[server(&recreate, &json!({"description": "again"}))],
    );
    assert_eq!(creates(&sim), 5);
}

#[test]
fn a_tag_that_somebody_takes_away_again_and_again_ends_as_flapping() {
    let mut sim = cloud();
    let network = |name: &str| {
        object(
            "Network",
            "n",
            &json!({}),
            &json!({"name": name, "tags": ["a"]}),
        )
    };
    converge(&mut sim, &[network("n")]);
    let there = sim
        .items("Network")
        .into_iter()
        .find(|it| it["name"] == "n")
        .unwrap();
    let tags = format!("/network/v2.0/networks/{}/tags", id(&there));
    for round in 0..4 {
        sim.by_hand("PUT", &tags, json!({"tags": ["other"]}));
        sim.run_for(3 * MINUTE);
        let code = reason(&sim, "Network", "n").0;
        assert_eq!(
            code,
            if round < 3 { "InSync" } else { "Flapping" },
            "{round}"
        );
    }
    let (_, words) = reason(&sim, "Network", "n");
    assert!(
        words.contains("[\"a\"] wanted") && words.contains("[\"other\"] there again"),
        "{words}"
    );
    // A new generation of the manifest is a new try.
    converge(&mut sim, &[network("m")]);
    let there = sim
        .items("Network")
        .into_iter()
        .find(|it| it["name"] == "m")
        .unwrap();
    assert_eq!(there["tags"], json!(["a"]));
}

#[test]
fn a_repair_that_the_cloud_swallows_is_not_sent_for_ever() {
    let mut sim = cloud();
    let network = |text: &str| object("Network", "n", &json!({}), &json!({"description": text}));
    converge(&mut sim, &[network("one")]);
    let swallow = Effect::Answer {
        status: 200,
        body: json!({"network": {}}),
        headers: Vec::new(),
    };
    let rule = Rule {
        method: Some("PUT".to_owned()),
        service: Some("network".to_owned()),
        path: Some("/v2.0/networks/*".to_owned()),
        skip: 0,
        count: None,
        effect: swallow,
    };
    sim.world.add_fault(rule);
    let before = sim.writes().len();
    sim.declare(&[network("two")]);
    sim.run_for(120 * MINUTE);
    assert_eq!(
        sim.writes().len() - before,
        3,
        "{:#?}",
        &sim.writes()[before..]
    );
    assert_eq!(reason(&sim, "Network", "n").0, "Flapping");
}

#[test]
fn a_floating_ip_moves_to_another_port() {
    let mut sim = cloud();
    let address = |port: &str| {
        object(
            "FloatingIP",
            "f",
            &json!({}),
            &json!({"floatingNetworkRef": {"filter": {"name": "public"}}, "portRef": port}),
        )
    };
    let private = json!({"networkRef": {"filter": {"name": "private"}}});
    let files = |port: &str| {
        [
            object("Port", "p", &json!({}), &private),
            object("Port", "q", &json!({}), &private),
            address(port),
        ]
    };
    converge(&mut sim, &files("p"));
    let before = only(&mut sim, "FloatingIP");
    converge(&mut sim, &files("q"));
    let after = only(&mut sim, "FloatingIP");
    assert_eq!(after["floating_ip_address"], before["floating_ip_address"]);
    assert_ne!(after["port_id"], before["port_id"]);
}
