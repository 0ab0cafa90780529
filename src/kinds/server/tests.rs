//! Servers: what is sent, what is read back, what is told from what is plugged in, and what never
//! shows.

use serde_json::{Value, json};

use super::*;
use crate::kinds::call::{Body, Method};
use crate::kinds::erased::{AnyKind, Found, Of, unclassified};
use crate::kinds::field::{diff, missing, surplus};
use crate::kinds::testing::birth;
use crate::kinds::{port, volume};

mod manifest;
mod user_data;

const KIND: Of<Server> = Of::NEW;
const SERVER: &str = "01f0709f-8223-4a4c-ae41-bafa6816f5b1";
const VOLUME: &str = "6373b955-c971-420d-ba42-4be73e427809";
const PORT: &str = "d0cd3bea-6f76-4641-acaa-9a20b77def20";

fn spec(value: Value) -> Spec {
    serde_json::from_value(value).unwrap()
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn active() -> Value {
    parse(include_str!("../testdata/server.json"))
}

fn bound_port() -> Found {
    Of::<port::Port>::NEW
        .look(parse(include_str!("../testdata/port-bound.json")))
        .unwrap()
}

/// A volume that is attached to the recorded server.
fn attached_volume(id: &str, device: Option<&str>, bootable: bool, ours: bool) -> Found {
    let mut item = parse(include_str!("../testdata/volume-in-use.json"));
    item["id"] = json!(id);
    item["bootable"] = json!(bootable.to_string());
    item["attachments"][0]["device"] = json!(device);
    if ours {
        let material = Material::default();
        item["metadata"][MARKER_KEY] = json!(birth("v", &material).marker.to_string());
    }
    Of::<volume::Volume>::NEW.look(item).unwrap()
}

/// The recorded server as one that boots from a volume and has these attached.
fn boots_from_volume(volumes: &[&Found]) -> Found {
    let mut item = active();
    item["image"] = json!("");
    item["os-extended-volumes:volumes_attached"] =
        volumes.iter().map(|it| json!({"id": it.id})).collect();
    KIND.look(item).unwrap()
}

fn attached<'a>(ports: &[&'a Found], volumes: &[&'a Found]) -> Attached<'a> {
    let mut attached = Attached::default();
    ports.iter().for_each(|it| attached.push("Port", it));
    volumes.iter().for_each(|it| attached.push("Volume", it));
    attached
}

fn minimal() -> Value {
    json!({"imageRef": {"id": "i"}, "flavorRef": {"id": "f"}, "networks": "auto"})
}

/// The minimal spec with changes.
fn with(changes: Value) -> Value {
    let mut value = minimal();
    for (field, change) in changes.as_object().unwrap() {
        value[field] = change.clone();
    }
    value.as_object_mut().unwrap().retain(|_, it| !it.is_null());
    value
}

fn created(value: Value) -> (Call, Value) {
    let material = Material::default();
    let call = Server::create(&spec(value), &birth("s", &material));
    let Body::Json(body) = call.body.clone() else {
        panic!("no JSON")
    };
    (call, body)
}

#[test]
fn every_field_is_classified() {
    assert_eq!(unclassified(&KIND), Vec::<String>::new());
}

#[test]
fn what_is_created_is_what_is_seen() {
    let mut wanted = spec(json!({
        "name": "db", "description": "d", "imageRef": {"id": "i"}, "flavorRef": {"id": "3"},
        "keypairRef": {"id": "k"}, "ports": [{"portRef": {"id": PORT}}],
        "volumes": [{"volumeRef": {"id": VOLUME}, "device": "/dev/vdb"}],
        "availabilityZone": "nova", "configDrive": true, "powerState": "Running",
        "metadata": [{"key": "role", "value": "database"}], "tags": ["a"],
        "userData": {"inline": "#!/bin/sh\n"}
    }));
    let material = Server::fill(&mut wanted, &Inputs::default()).unwrap();
    let birth = birth("db", &material);
    let call = Server::create(&wanted, &birth);
    assert_eq!((call.method, call.path.as_str()), (Method::Post, "servers"));
    let Body::Json(mut body) = call.body else {
        panic!("no JSON")
    };
    let sent = body["server"].take();
    assert_eq!(sent["networks"], json!([{"port": PORT}]));
    assert_eq!(sent["user_data"], "IyEvYmluL3NoCg==");
    // What Nova makes of it.
    let mut answer = active();
    for key in ["name", "description", "key_name", "metadata", "tags"] {
        answer[key] = sent[key].clone();
    }
    answer["OS-EXT-AZ:availability_zone"] = sent["availability_zone"].clone();
    answer["image"] = json!({"id": sent["imageRef"]});
    answer["flavor"] = json!({"id": sent["flavorRef"]});
    let found = KIND.look(answer).unwrap();
    assert_eq!(found.marker, Some(birth.marker));
    let (port, volume) = (
        bound_port(),
        attached_volume(VOLUME, Some("/dev/vdb"), false, true),
    );
    let seen = KIND.project(&found, &attached(&[&port], &[&volume]));
    assert_eq!(spec(seen), wanted);
}

#[test]
fn a_create_asks_for_the_microversion_that_it_needs() {
    for (changes, floor) in [
        (json!({}), (2, 37)),
        (json!({"networks": "none"}), (2, 37)),
        (json!({"networks": null, "ports": []}), (2, 37)),
        (json!({"networks": [{"networkRef": {"id": "n"}}]}), (2, 1)),
        (
            json!({"networks": [{"networkRef": {"id": "n"}}], "description": ""}),
            (2, 19),
        ),
        (json!({"tags": []}), (2, 37)),
        (json!({"tags": ["a"]}), (2, 52)),
        (
            json!({"imageRef": null, "bootVolume": {"volumeRef": {"id": "v"}, "tag": "root"}}),
            (2, 42),
        ),
    ] {
        let (call, _) = created(with(changes.clone()));
        assert_eq!(call.microversion.unwrap().floor, floor, "{changes}");
        assert_eq!(call.microversion.unwrap().want, (2, 79));
    }
}

#[test]
fn networks_are_words_or_lists() {
    for (changes, networks) in [
        (json!({}), json!("auto")),
        (json!({"networks": "none"}), json!("none")),
        (json!({"networks": []}), json!("none")),
        (json!({"networks": null, "ports": []}), json!("none")),
        (
            json!({"networks": [{"networkRef": {"id": "n"}, "fixedIP": "10.0.0.5"}]}),
            json!([{"uuid": "n", "fixed_ip": "10.0.0.5"}]),
        ),
        (
            json!({"networks": null, "ports": [{"portRef": {"id": "b"}}, {"portRef": {"id": "a"}}]}),
            json!([{"port": "b"}, {"port": "a"}]),
        ),
    ] {
        assert_eq!(created(with(changes)).1["server"]["networks"], networks);
    }
    for bad in [
        json!("some"),
        json!(7),
        json!([{"network": "n"}]),
        json!([{"networkRef": "n", "fixedIP": "x"}]),
    ] {
        assert!(
            serde_json::from_value::<Spec>(with(json!({"networks": bad}))).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn a_boot_volume_outlives_its_server() {
    let (_, body) = created(with(
        json!({"imageRef": null, "bootVolume": {"volumeRef": {"id": "v"}}}),
    ));
    assert!(body["server"].get("imageRef").is_none());
    assert_eq!(
        body["server"]["block_device_mapping_v2"],
        json!([{"boot_index": 0, "source_type": "volume", "destination_type": "volume",
                "uuid": "v", "delete_on_termination": false}])
    );
}

#[test]
fn groups_and_hints_are_sent_as_nova_names_them() {
    let (_, body) = created(with(json!({
        "securityGroupRefs": [{"id": "g"}],
        "schedulerHints": {
            "serverGroupRef": {"id": "g"},
            "differentHostServerRefs": [{"id": "a"}], "sameHostServerRefs": [{"id": "b"}],
            "query": "[]", "targetCell": "c", "differentCell": ["d"],
            "buildNearHostIP": "192.0.2.1/24", "additionalProperties": {"own": "1"}
        }
    })));
    assert_eq!(body["server"]["security_groups"], json!([{"name": "g"}]));
    assert_eq!(
        body["os:scheduler_hints"],
        json!({"group": "g", "different_host": ["a"], "same_host": ["b"], "query": "[]", "target_cell": "c",
               "different_cell": ["d"], "build_near_host_ip": "192.0.2.1", "cidr": "/24", "own": "1"})
    );
}

#[test]
fn every_state_means_something() {
    let moving = |state: &str| Health::Moving(state.to_owned());
    let off = |state: &str| Health::Off(state.to_owned());
    for (status, task, health) in [
        ("ACTIVE", None, Health::Ready),
        ("ACTIVE", Some("powering-off"), moving("powering-off")),
        ("ACTIVE", Some("deleting"), Health::Leaving),
        ("BUILD", Some("spawning"), moving("BUILD")),
        ("REBUILD", None, moving("REBUILD")),
        ("RESIZE", None, moving("RESIZE")),
        (
            "VERIFY_RESIZE",
            Some("resize_reverting"),
            moving("VERIFY_RESIZE"),
        ),
        ("MIGRATING", None, moving("MIGRATING")),
        ("REBOOT", None, moving("REBOOT")),
        (
            "VERIFY_RESIZE",
            None,
            Health::Stuck {
                state: "VERIFY_RESIZE".to_owned(),
                fault: None,
            },
        ),
        ("SHUTOFF", None, off("SHUTOFF")),
        ("SHUTOFF", Some("powering-on"), moving("powering-on")),
        ("PAUSED", None, off("PAUSED")),
        ("SUSPENDED", None, off("SUSPENDED")),
        ("SHELVED_OFFLOADED", None, off("SHELVED_OFFLOADED")),
        ("RESCUE", None, off("RESCUE")),
        ("ERROR", Some("deleting"), Health::Leaving),
        ("DELETED", None, Health::Leaving),
        ("SOFT_DELETED", None, Health::Leaving),
        ("UNKNOWN", None, moving("UNKNOWN: its cell is down")),
        ("NEW", None, moving("NEW")),
    ] {
        let item = json!({"id": "1", "status": status, "OS-EXT-STS:task_state": task});
        assert_eq!(KIND.look(item).unwrap().health, health, "{status} {task:?}");
    }
    let recorded = |text| KIND.look(parse(text)).unwrap().health;
    assert_eq!(
        recorded(include_str!("../testdata/server-build.json")),
        moving("BUILD")
    );
    assert_eq!(
        recorded(include_str!("../testdata/server-shutoff.json")),
        off("SHUTOFF")
    );
    assert_eq!(
        recorded(include_str!("../testdata/server-error.json")),
        Health::Stuck {
            state: "ERROR".to_owned(),
            fault: Some("No valid host was found.".to_owned())
        }
    );
}

#[test]
fn the_status_tells_addresses_and_devices() {
    let (port, volume) = (
        bound_port(),
        attached_volume(VOLUME, Some("/dev/vdb"), false, false),
    );
    let found = KIND.look(active()).unwrap();
    let status = KIND.status(&found, &attached(&[&port], &[&volume]));
    assert_eq!(
        status["interfaces"],
        json!([{
            "portID": PORT, "netID": "2947d296-3fb8-48a9-a057-98e0c66e1fd1",
            "macAddr": "fa:16:3e:a3:b4:0b", "portState": "ACTIVE",
            "fixedIPs": [{"ipAddress": "192.168.50.10",
                          "subnetID": "8406c6eb-1a51-4952-b895-a6fdbcb8a578"}]
        }])
    );
    assert_eq!(
        status["volumes"],
        json!([{"id": VOLUME, "device": "/dev/vdb"}])
    );
    assert_eq!(status["imageID"], "aebcec5c-1dd8-453e-a574-500e435cba21");
    assert_eq!(
        (&status["configDrive"], &status["keypair"]),
        (&json!(true), &json!("rec-keypair"))
    );
    assert_eq!(
        status["metadata"],
        json!([{"key": "role", "value": "database"}])
    );
    assert_eq!(
        found.project.as_deref(),
        Some("5d1c919fd583475cb09f0dcd5342c375")
    );
}

#[test]
fn interfaces_have_an_order_of_their_own() {
    let port = |id: &str, created: &str, server: &str| {
        let mut item = parse(include_str!("../testdata/port-bound.json"));
        item["id"] = json!(id);
        item["created_at"] = json!(created);
        item["device_id"] = json!(server);
        Of::<port::Port>::NEW.look(item).unwrap()
    };
    let first = port("z", "2026-11-22T10:00:00Z", SERVER);
    let (second, third) = (
        port("a", "2026-11-22T10:00:01Z", SERVER),
        port("b", "2026-11-22T10:00:01Z", SERVER),
    );
    let foreign = port("c", "2026-11-22T09:00:00Z", "another");
    let found = KIND.look(active()).unwrap();
    for order in [
        [&third, &foreign, &second, &first],
        [&first, &second, &third, &foreign],
    ] {
        let status = KIND.status(&found, &attached(&order, &[]));
        let ids: Vec<&Value> = status["interfaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["portID"])
            .collect();
        assert_eq!(ids, ["z", "a", "b"]);
    }
}

#[test]
fn the_volume_that_it_boots_from_is_no_volume_of_the_list() {
    let data = attached_volume("data", Some("/dev/vdb"), false, true);
    let unplaced = attached_volume("unplaced", None, false, true);
    for (boot, others) in [
        (
            attached_volume("boot", Some("/dev/vda"), true, true),
            vec![&data],
        ),
        (
            attached_volume("boot", Some("/dev/sda1"), false, true),
            vec![&data, &unplaced],
        ),
        (
            attached_volume("boot", None, true, true),
            vec![&data, &unplaced],
        ),
        (attached_volume("boot", None, false, true), vec![]),
    ] {
        let volumes: Vec<&Found> = others.iter().copied().chain([&boot]).collect();
        let found = boots_from_volume(&volumes);
        let seen = spec(KIND.project(&found, &attached(&[], &volumes)));
        assert_eq!(seen.boot_volume.unwrap().volume_ref.id(), Some("boot"));
        let listed: Vec<String> = seen
            .volumes
            .unwrap()
            .iter()
            .map(|it| it.volume_ref.id().unwrap().to_owned())
            .collect();
        assert_eq!(
            listed,
            others.iter().map(|it| it.id.clone()).collect::<Vec<_>>()
        );
    }
}

#[test]
fn nova_tells_administrators_the_root_device() {
    let boot = attached_volume("boot", Some("/dev/vdc"), true, true);
    let data = attached_volume("data", Some("/dev/vdb"), true, true);
    let mut item = active();
    item["image"] = json!("");
    item["OS-EXT-SRV-ATTR:root_device_name"] = json!("/dev/vdc");
    item["os-extended-volumes:volumes_attached"] = json!([{"id": "data"}, {"id": "boot"}]);
    let found = KIND.look(item).unwrap();
    let seen = spec(KIND.project(&found, &attached(&[], &[&boot, &data])));
    assert_eq!(seen.boot_volume.unwrap().volume_ref.id(), Some("boot"));
}

#[test]
fn a_server_from_an_image_has_no_boot_volume() {
    let only = attached_volume(VOLUME, Some("/dev/vdb"), true, true);
    let found = KIND.look(active()).unwrap();
    let seen = spec(KIND.project(&found, &attached(&[], &[&only])));
    assert_eq!(seen.boot_volume, None);
    assert_eq!(seen.volumes.unwrap().len(), 1);
}

#[test]
fn a_volume_is_attached_as_soon_as_nova_says_so() {
    // Cinder still calls it `attaching`, and a second request would be refused.
    let mut item = parse(include_str!("../testdata/volume.json"));
    item["status"] = json!("attaching");
    let volume = Of::<volume::Volume>::NEW.look(item).unwrap();
    let found = KIND.look(active()).unwrap();
    let have = KIND.project(&found, &attached(&[], &[&volume]));
    let want = json!({"volumes": [{"volumeRef": {"id": VOLUME}, "device": "/dev/vdb"}]});
    assert_eq!(diff(&KIND.rows(), &want, &have), []);
}

#[test]
fn only_what_is_ours_is_unplugged_and_never_the_root() {
    let may = |volume: Found| {
        let element = json!({"volumeRef": {"id": volume.id}});
        Server::may_remove("volumes", &element, &attached(&[], &[&volume]))
    };
    for (device, bootable, ours, expected) in [
        (Some("/dev/vdb"), false, true, true),
        (Some("/dev/vdb"), true, true, true),
        (Some("/dev/vdb"), false, false, false),
        (Some("/dev/vda"), true, true, false),
        (Some("/dev/sda"), false, true, false),
        (None, true, true, false),
        (None, false, true, true),
    ] {
        let volume = attached_volume("v", device, bootable, ours);
        assert_eq!(may(volume), expected, "{device:?} {bootable} {ours}");
    }
    let foreign = bound_port();
    let element = json!({"portRef": {"id": PORT}});
    assert!(!Server::may_remove(
        "ports",
        &element,
        &attached(&[&foreign], &[])
    ));
    let mut item = parse(include_str!("../testdata/port-bound.json"));
    let material = Material::default();
    item["description"] = json!(birth("p", &material).marker.describe(None));
    let ours = Of::<port::Port>::NEW.look(item).unwrap();
    assert!(Server::may_remove(
        "ports",
        &element,
        &attached(&[&ours], &[])
    ));
    let unknown = json!({"portRef": {"id": "another"}});
    assert!(!Server::may_remove(
        "ports",
        &unknown,
        &attached(&[&ours], &[])
    ));
}

#[test]
fn volumes_and_ports_are_plugged_in_one_by_one() {
    let found = KIND.look(active()).unwrap();
    let server: &Object = found.object.downcast_ref().unwrap();
    let wanted = spec(minimal());
    let act = |action, element: Value| Server::act(action, Some(&element), &wanted, server);
    let call = act(
        Action::AttachVolume,
        json!({"volumeRef": {"id": "v"}, "device": "/dev/vdb"}),
    )
    .unwrap();
    assert_eq!(call.path, format!("servers/{SERVER}/os-volume_attachments"));
    let body = json!({"volumeAttachment": {"volumeId": "v", "device": "/dev/vdb"}});
    assert_eq!(call.body, Body::Json(body));
    let call = act(Action::DetachVolume, json!({"volumeRef": {"id": "../v"}})).unwrap();
    assert_eq!(
        call.path,
        format!("servers/{SERVER}/os-volume_attachments/..%2Fv")
    );
    assert_eq!((call.method, call.body), (Method::Delete, Body::None));
    let call = act(Action::AttachPort, json!({"portRef": {"id": "p"}})).unwrap();
    assert_eq!(call.path, format!("servers/{SERVER}/os-interface"));
    assert_eq!(
        call.body,
        Body::Json(json!({"interfaceAttachment": {"port_id": "p"}}))
    );
    let call = act(Action::DetachPort, json!({"portRef": {"id": "p"}})).unwrap();
    assert_eq!(call.path, format!("servers/{SERVER}/os-interface/p"));
    assert!(act(Action::AttachVolume, json!({"volumeRef": "a-name"})).is_err());
}

#[test]
fn what_is_plugged_in_is_compared_by_what_it_is() {
    let row = KIND
        .rows()
        .into_iter()
        .find(|row| row.name == "volumes")
        .unwrap();
    let want =
        json!([{"volumeRef": {"id": "a"}, "device": "/dev/vdb"}, {"volumeRef": {"id": "b"}}]);
    let have =
        json!([{"volumeRef": {"id": "a"}, "device": "/dev/vdc"}, {"volumeRef": {"id": "c"}}]);
    assert_eq!(
        missing(row.compare, &want, &have),
        [json!({"volumeRef": {"id": "b"}})]
    );
    assert_eq!(
        surplus(row.compare, &want, &have),
        [json!({"volumeRef": {"id": "c"}})]
    );
}

#[test]
fn metadata_is_added_to_and_tags_are_replaced() {
    let found = KIND.look(active()).unwrap();
    let server: &Object = found.object.downcast_ref().unwrap();
    let wanted = spec(with(json!({
        "name": "n", "description": "d", "tags": ["a"], "metadata": [{"key": "k", "value": "v"}]
    })));
    let call = Server::act(Action::SetMetadata, None, &wanted, server).unwrap();
    assert_eq!(
        (call.method, call.path.as_str()),
        (Method::Post, &*format!("servers/{SERVER}/metadata"))
    );
    assert_eq!(call.body, Body::Json(json!({"metadata": {"k": "v"}})));
    let call = Server::act(Action::SetTags, None, &wanted, server).unwrap();
    assert_eq!(
        (call.method, call.path.as_str()),
        (Method::Put, &*format!("servers/{SERVER}/tags"))
    );
    assert_eq!(call.body, Body::Json(json!({"tags": ["a"]})));
    assert_eq!(call.microversion.unwrap().floor, (2, 26));
    let call = Server::update(&wanted, server, &["name"]);
    assert_eq!(call.body, Body::Json(json!({"server": {"name": "n"}})));
    assert_eq!(call.microversion.unwrap().floor, (2, 1));
    let call = Server::update(&wanted, server, &["name", "description"]);
    assert_eq!(
        call.body,
        Body::Json(json!({"server": {"name": "n", "description": "d"}}))
    );
    assert_eq!(call.microversion.unwrap().floor, (2, 19));
}

#[test]
fn the_filter_goes_by_all_that_it_sets() {
    let mut item = active();
    item["tags"] = json!(["a", "b"]);
    let found = KIND.look(item).unwrap();
    for (filter, matches) in [
        (json!({"name": "REC-SERVER"}), true),
        (json!({"name": "REC-SERVE."}), false),
        (
            json!({"availabilityZone": "nova", "tags": ["a", "b"]}),
            true,
        ),
        (json!({"tags": ["a", "c"]}), false),
        (json!({"tagsAny": ["c", "b"]}), true),
        (json!({"tagsAny": ["c"]}), false),
        (json!({"notTags": ["a", "c"]}), true),
        (json!({"notTags": ["a", "b"]}), false),
        (json!({"notTagsAny": ["c"]}), true),
        (json!({"notTagsAny": ["c", "a"]}), false),
        (json!({"availabilityZone": "other"}), false),
    ] {
        assert_eq!(
            !KIND.choose(&filter, &[&found]).is_empty(),
            matches,
            "{filter}"
        );
    }
}

#[test]
fn a_server_in_a_cell_that_is_down_is_still_a_server() {
    let found = KIND
        .look(json!({"id": "1", "status": "UNKNOWN", "links": []}))
        .unwrap();
    assert_eq!(found.id, "1");
    assert!(!found.health.is_settled());
    let status = KIND.status(&found, &Attached::default());
    assert_eq!(status["status"], "UNKNOWN");
}

#[test]
fn every_power_state_is_one_step_nearer_after_each_action() {
    use PowerState::{Paused, Running, Shelved, Stopped, Suspended};
    for (status, wanted, action) in [
        ("ACTIVE", Stopped, Some("os-stop")),
        ("ACTIVE", Paused, Some("pause")),
        ("ACTIVE", Suspended, Some("suspend")),
        ("ACTIVE", Shelved, Some("shelve")),
        ("SHUTOFF", Running, Some("os-start")),
        ("SHUTOFF", Paused, Some("os-start")),
        ("SHUTOFF", Shelved, Some("shelve")),
        ("PAUSED", Running, Some("unpause")),
        ("PAUSED", Stopped, Some("unpause")),
        ("SUSPENDED", Running, Some("resume")),
        ("SHELVED", Running, Some("unshelve")),
        ("SHELVED_OFFLOADED", Stopped, Some("unshelve")),
        ("RESCUE", Running, None),
    ] {
        let server: Object = serde_json::from_value(json!({"id": "1", "status": status})).unwrap();
        let spec = spec(json!({
            "imageRef": "i", "flavorRef": "f", "networks": "none", "powerState": wanted
        }));
        let call = Server::act(Action::SetPowerState, None, &spec, &server);
        let body = action.map(|action| Body::Json(json!({ action: null })));
        assert_eq!(
            call.ok().map(|call| call.body),
            body,
            "{status} -> {wanted:?}"
        );
        assert_eq!(
            Server::interrupts("powerState", &json!(wanted)),
            wanted != Running
        );
    }
}

#[test]
fn a_resize_is_kept_if_it_is_to_the_wanted_flavor_and_undone_otherwise() {
    let server = |status: &str, flavor: &str| -> Object {
        let value = json!({"id": "1", "status": status, "flavor": {"id": flavor}});
        serde_json::from_value(value).unwrap()
    };
    let spec = spec(json!({"imageRef": {"id": "i"}, "flavorRef": {"id": "f"}, "networks": "none"}));
    let remedy = |status, flavor| Server::remedy(&spec, &server(status, flavor));
    assert_eq!(remedy("ACTIVE", "f"), None);
    assert_eq!(
        remedy("VERIFY_RESIZE", "f"),
        Some(Change::Action(Action::ConfirmResize))
    );
    assert_eq!(
        remedy("VERIFY_RESIZE", "g"),
        Some(Change::Disrupt(Action::RevertResize))
    );
    let act = |action, status| Server::act(action, None, &spec, &server(status, "g"));
    assert_eq!(
        act(Action::Resize, "SHUTOFF").unwrap().body,
        Body::Json(json!({"resize": {"flavorRef": "f"}}))
    );
    let refusal = act(Action::Resize, "PAUSED").unwrap_err();
    assert_eq!(
        refusal.message,
        "a server that is PAUSED cannot be resized; powerState: Running or Stopped makes it possible"
    );
    // It boots from a volume: there is no image.
    assert!(act(Action::Rebuild, "ACTIVE").is_err());
}
