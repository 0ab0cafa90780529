//! What is reported and waited for rather than done at once: stalls, user data, an image that was made
//! anew, a device that is taken; and an image put out of use.

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

fn image(name: &str, more: &Value) -> (String, String) {
    let content = json!({"diskFormat": "raw", "download": {"url": "http://127.0.0.1/x"}});
    let mut resource = json!({ "content": content });
    for (field, value) in more.as_object().unwrap() {
        resource[field] = value.clone();
    }
    object("Image", name, &json!({}), &resource)
}

fn server(lifecycle: &Value, more: &Value) -> (String, String) {
    let mut resource = json!({
        "imageRef": "i", "flavorRef": {"filter": {"name": "m1.tiny"}}, "networks": "none",
    });
    for (field, value) in more.as_object().unwrap() {
        resource[field] = value.clone();
    }
    object("Server", "s", lifecycle, &resource)
}

fn settle(sim: &mut Sim, files: &[(String, String)]) {
    sim.declare(files);
    sim.run_until_rest(30 * MINUTE);
}

fn converge(sim: &mut Sim, files: &[(String, String)]) {
    settle(sim, files);
    sim.assert_converged();
}

fn named(sim: &mut Sim, kind: &str, name: &str) -> Value {
    let items = sim.items(kind);
    items.into_iter().find(|it| it["name"] == name).unwrap()
}

fn id(item: &Value) -> String {
    item["id"].as_str().unwrap().to_owned()
}

fn condition(sim: &Sim, kind: &str, name: &str, condition: &str) -> Option<(String, String)> {
    let object = &sim.engine.snapshot().objects[&Key::new(kind, "default", name)];
    let condition = object.status.condition(condition)?;
    Some((condition.reason.to_owned(), condition.message.clone()))
}

fn reason(sim: &Sim, kind: &str, name: &str) -> (String, String) {
    let object = &sim.engine.snapshot().objects[&Key::new(kind, "default", name)];
    let words = object.status.condition("Progressing").unwrap();
    (object.reason.to_owned(), words.message.clone())
}

#[test]
fn an_image_made_anew_is_no_other_image_to_the_servers_made_of_it() {
    let mut sim = Sim::new(1);
    let files = |name: &str, lifecycle: Value| {
        [
            image("i", &json!({})),
            image("j", &json!({})),
            server(&lifecycle, &json!({"imageRef": name})),
        ]
    };
    converge(&mut sim, &files("i", json!({})));
    let (before, server_id) = (
        id(&named(&mut sim, "Image", "i")),
        id(&named(&mut sim, "Server", "s")),
    );
    sim.by_hand("DELETE", &format!("/image/v2/images/{before}"), Value::Null);
    sim.run_for(10 * MINUTE);
    sim.assert_converged();
    assert_ne!(id(&named(&mut sim, "Image", "i")), before);
    let server = named(&mut sim, "Server", "s");
    assert_eq!(
        (id(&server), &server["image"]["id"]),
        (server_id.clone(), &json!(before))
    );
    // Another name in the manifest is another image.
    settle(&mut sim, &files("j", json!({})));
    assert_eq!(reason(&sim, "Server", "s").0, "Immutable");
    converge(&mut sim, &files("j", json!({"loseData": "Allow"})));
    let server = named(&mut sim, "Server", "s");
    assert_eq!(id(&server), server_id, "a rebuild keeps the server");
    assert_eq!(server["image"]["id"], named(&mut sim, "Image", "j")["id"]);
    assert_eq!(server["metadata"]["stackward.image"], "default/j");
    // And it is of that one from now on.
    let there = id(&named(&mut sim, "Image", "j"));
    sim.by_hand("DELETE", &format!("/image/v2/images/{there}"), Value::Null);
    sim.run_for(10 * MINUTE);
    sim.assert_converged();
    assert_eq!(named(&mut sim, "Server", "s")["image"]["id"], json!(there));
}

#[test]
fn other_user_data_is_reported_and_replaces_by_leave_only() {
    let mut sim = Sim::new(1);
    let files = |lifecycle: Value, text: &str| {
        let user_data = json!({"userData": {"inline": text}});
        [image("i", &json!({})), server(&lifecycle, &user_data)]
    };
    converge(&mut sim, &files(json!({}), "one"));
    let before = id(&named(&mut sim, "Server", "s"));
    converge(&mut sim, &files(json!({}), "two"));
    assert_eq!(id(&named(&mut sim, "Server", "s")), before);
    let (code, words) = condition(&sim, "Server", "s", "Drifted").unwrap();
    assert_eq!(code, "Ignored");
    assert!(words.contains("userData"), "{words}");
    settle(&mut sim, &files(json!({"userData": "Replace"}), "two"));
    assert_eq!(
        reason(&sim, "Server", "s").0,
        "Immutable",
        "it needs leave to replace"
    );
    for (order, text) in [("Allow", "two"), ("CreateFirst", "three")] {
        let before = id(&named(&mut sim, "Server", "s"));
        let lifecycle = json!({"userData": "Replace", "replace": order});
        converge(&mut sim, &files(lifecycle, text));
        assert_ne!(id(&named(&mut sim, "Server", "s")), before, "{order}");
        assert_eq!(condition(&sim, "Server", "s", "Drifted"), None);
    }
}

#[test]
fn what_is_stalled_says_so_and_goes_on_when_the_cloud_does() {
    let mut admin = Sim::of_admin(1);
    let files = |lifecycle: Value, size: u32| {
        let resource = json!({"size": size});
        [object("Volume", "v", &lifecycle, &resource)]
    };
    let lifecycle = json!({"deadline": "10m"});
    converge(&mut admin, &files(lifecycle.clone(), 1));
    let volume = id(&named(&mut admin, "Volume", "v"));
    let path = format!("/volume/v3/{}/volumes/{volume}/action", admin.project());
    admin.by_hand(
        "POST",
        &path,
        json!({"os-reset_status": {"status": "extending"}}),
    );
    admin.run_for(9 * MINUTE);
    assert_eq!(reason(&admin, "Volume", "v").0, "Moving");
    admin.run_for(5 * MINUTE);
    let (code, words) = reason(&admin, "Volume", "v");
    assert_eq!(code, "Stalled");
    assert!(
        words.contains("extending") && words.contains("600 s"),
        "{words}"
    );
    admin.by_hand(
        "POST",
        &path,
        json!({"os-reset_status": {"status": "available"}}),
    );
    admin.run_for(MINUTE);
    admin.assert_converged();
    // What holds data is never made anew for it.
    let recreate = json!({"deadline": "10m", "onError": "Recreate"});
    converge(&mut admin, &files(recreate, 1));
    admin.by_hand(
        "POST",
        &path,
        json!({"os-reset_status": {"status": "extending"}}),
    );
    admin.run_for(60 * MINUTE);
    assert_eq!(reason(&admin, "Volume", "v").0, "Stalled");
    assert_eq!(id(&named(&mut admin, "Volume", "v")), volume);
}

#[test]
fn an_image_is_put_out_of_use_and_back_and_kept_so() {
    let mut sim = Sim::new(1);
    let off = |off: bool| [image("i", &json!({"deactivated": off}))];
    converge(&mut sim, &off(true));
    let there = named(&mut sim, "Image", "i");
    assert_eq!(there["status"], "deactivated");
    let path = format!("/image/v2/images/{}/actions/reactivate", id(&there));
    sim.by_hand("POST", &path, Value::Null);
    sim.run_for(2 * MINUTE);
    sim.assert_converged();
    assert_eq!(named(&mut sim, "Image", "i")["status"], "deactivated");
    converge(&mut sim, &off(false));
    assert_eq!(named(&mut sim, "Image", "i")["status"], "active");
}

#[test]
fn a_volume_that_has_snapshots_keeps_its_type_until_they_are_gone() {
    let mut sim = Sim::new(1);
    let files = |name: &str, snapshot: bool| {
        let resource = json!({"size": 1, "volumeTypeRef": {"filter": {"name": name}}});
        let mut files = vec![object("Volume", "v", &json!({}), &resource)];
        if snapshot {
            let resource = json!({"volumeRef": "v"});
            files.push(object("VolumeSnapshot", "s", &json!({}), &resource));
        }
        files
    };
    converge(&mut sim, &files("lvmdriver-1", true));
    settle(&mut sim, &files("lvmdriver-2", true));
    let (code, words) = reason(&sim, "Volume", "v");
    assert_eq!(code, "Refused");
    assert!(words.contains("delete them first: s"), "{words}");
    assert_eq!(named(&mut sim, "Volume", "v")["status"], "available");
    sim.declare(&files("lvmdriver-2", false));
    sim.run_for(30 * MINUTE);
    sim.assert_converged();
    assert_eq!(named(&mut sim, "Volume", "v")["volume_type"], "lvmdriver-2");
}

#[test]
fn a_device_that_is_taken_is_said_and_left_alone() {
    let mut sim = Sim::new(1);
    let volume = |name: &str| object("Volume", name, &json!({}), &json!({"size": 1}));
    let files = |volumes: Value| {
        [
            image("i", &json!({})),
            volume("v"),
            server(&json!({}), &json!({ "volumes": volumes })),
        ]
    };
    converge(&mut sim, &files(json!([])));
    let server = id(&named(&mut sim, "Server", "s"));
    let foreign = json!({"volume": {"name": "by-hand", "size": 1}});
    let path = format!("/volume/v3/{}/volumes", sim.project());
    let foreign = sim.by_hand("POST", &path, foreign);
    sim.run_for(MINUTE);
    let foreign = foreign["volume"]["id"].as_str().unwrap().to_owned();
    let path = format!("/compute/v2.1/servers/{server}/os-volume_attachments");
    let body = json!({"volumeAttachment": {"volumeId": foreign, "device": "/dev/vdb"}});
    sim.by_hand("POST", &path, body);
    sim.run_for(MINUTE);
    let writes = sim.writes().len();
    settle(
        &mut sim,
        &files(json!([{"volumeRef": "v", "device": "/dev/vdb"}])),
    );
    let (code, words) = reason(&sim, "Server", "s");
    assert_eq!(code, "Refused");
    assert!(
        words.contains("/dev/vdb") && words.contains(&foreign),
        "{words}"
    );
    assert_eq!(sim.writes().len(), writes);
    converge(
        &mut sim,
        &files(json!([{"volumeRef": "v", "device": "/dev/vdc"}])),
    );
}
