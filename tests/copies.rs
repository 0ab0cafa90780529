//! What the cloud copies takes over what we wrote into the original, our marker as well: a snapshot
//! of a server says of itself what the server's image does. It is somebody's own all the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sim;

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::engine::Event;

const MINUTE: Duration = Duration::from_secs(60);

type File = (String, String);

fn object(kind: &str, name: &str, spec: &Value) -> File {
    let manifest = json!({"apiVersion": "stackward.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": spec});
    (format!("{kind}.json"), manifest.to_string())
}

fn image(adopt: Option<&str>) -> File {
    let content = json!({"diskFormat": "raw", "download": {"url": "http://files/system"}});
    let mut spec = json!({"resource": {"name": "system", "content": content}});
    if let Some(id) = adopt {
        spec["adopt"] = json!({"id": id});
    }
    object("Image", "system", &spec)
}

fn server() -> File {
    let network = json!([{"networkRef": {"filter": {"name": "private"}}}]);
    let resource = json!({"imageRef": "system", "networks": network,
        "flavorRef": {"filter": {"name": "m1.tiny"}}});
    object("Server", "s", &json!({"resource": resource}))
}

fn settle(sim: &mut Sim) {
    assert!(sim.run_until_rest(30 * MINUTE), "{:?}", sim.complaints());
    assert_eq!(sim.complaints(), [] as [String; 0]);
}

fn ids(sim: &mut Sim, kind: &str) -> Vec<String> {
    let items = sim.items(kind).into_iter();
    let ids = items.map(|item| item["id"].as_str().unwrap().to_owned());
    ids.collect()
}

/// A server of an image of ours, and what somebody made of it: the image's id and the snapshot's.
fn snapshot(sim: &mut Sim) -> (String, String) {
    settle(sim);
    let [server] = <[String; 1]>::try_from(ids(sim, "Server")).unwrap();
    let [system] = <[String; 1]>::try_from(ids(sim, "Image")).unwrap();
    let action = format!("/compute/v2.1/servers/{server}/action");
    sim.by_hand("POST", &action, json!({"createImage": {"name": "backup"}}));
    sim.run_for(MINUTE);
    let items = sim.items("Image");
    let find = |id: bool| items.iter().find(|it| (it["id"] == json!(system)) == id);
    let (system, backup) = (find(true).unwrap(), find(false).unwrap());
    assert_eq!(backup["stackward.marker"], system["stackward.marker"]);
    let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
    (id(system), id(backup))
}

#[test]
fn a_snapshot_of_a_server_is_not_the_image_that_it_was_made_of() {
    let mut sim = Sim::new(1);
    sim.declare(&[image(None), server()]);
    let (system, backup) = snapshot(&mut sim);
    let writes = sim.writes().len();
    sim.run_for(10 * MINUTE);
    sim.assert_converged();
    assert_eq!(sim.writes().len(), writes, "nothing has to be done");
    sim.lose_disk();
    sim.run_for(10 * MINUTE);
    sim.assert_converged();
    assert_eq!(sim.writes().len(), writes, "without a journal neither");

    sim.by_hand("DELETE", &format!("/image/v2/images/{system}"), Value::Null);
    sim.run_for(30 * MINUTE);
    let now = ids(&mut sim, "Image");
    assert!(now.contains(&backup), "{now:?}");
    assert_eq!(now.len(), 2, "the image is made anew: {now:?}");

    sim.settings.prune_allow_empty = true;
    sim.feed(Event::Settings(sim.settings.clone()));
    sim.declare(&[]);
    sim.run_for(60 * MINUTE);
    assert_eq!(ids(&mut sim, "Server"), [] as [String; 0]);
    assert_eq!(ids(&mut sim, "Image"), [backup]);
}

#[test]
fn nor_when_its_image_was_adopted() {
    let mut sim = Sim::new(1);
    let id = sim.image_by_hand("system");
    sim.declare(&[image(Some(&id)), server()]);
    let (system, backup) = snapshot(&mut sim);
    assert_eq!(system, id);
    sim.run_for(10 * MINUTE);
    sim.assert_converged();
    let writes = sim.writes().len();

    // A snapshot can be adopted like any other image.
    sim.declare(&[image(Some(&backup)), server()]);
    sim.lose_disk();
    sim.run_for(10 * MINUTE);
    let complaints = sim.complaints();
    assert_eq!(sim.writes().len(), writes, "{complaints:?}");
}

#[test]
fn what_keeps_a_server_on_the_shelf_is_novas() {
    let mut sim = Sim::new(1);
    let in_state = |power: &str| {
        let (name, text) = server();
        let state = format!(r#""powerState":"{power}","imageRef""#);
        [image(None), (name, text.replace(r#""imageRef""#, &state))]
    };
    sim.declare(&in_state("Running"));
    settle(&mut sim);
    sim.declare(&in_state("Shelved"));
    settle(&mut sim);
    assert_eq!(sim.items("Server")[0]["status"], "SHELVED_OFFLOADED");
    assert_eq!(ids(&mut sim, "Image").len(), 2);
    sim.declare(&in_state("Running"));
    settle(&mut sim);
    assert_eq!(sim.items("Server")[0]["status"], "ACTIVE");
    assert_eq!(ids(&mut sim, "Image").len(), 1);
}
