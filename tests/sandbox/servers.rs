//! Servers, and what is plugged into them.

use super::*;

#[test]
fn a_server_is_built_in_steps_and_then_active() {
    let mut cloud = Cloud::new();
    let id = cloud.server();
    let mut seen = Vec::new();
    for _ in 0..80 {
        let server = cloud.get(&format!("/compute/v2.1/servers/{id}"))["server"].clone();
        let task = server["OS-EXT-STS:task_state"]
            .as_str()
            .unwrap_or("none")
            .to_owned();
        if seen.last() != Some(&task) {
            seen.push(task);
        }
        cloud.wait(100);
    }
    assert_eq!(seen, ["scheduling", "networking", "spawning", "none"]);
    assert_eq!(cloud.status(&id), "ACTIVE");
}

#[test]
fn a_deleted_server_frees_given_ports_and_takes_its_own_with_it() {
    let mut cloud = Cloud::new();
    let (network, image) = (cloud.network("private"), cloud.image());
    let port = cloud.post(
        "/network/v2.0/ports",
        json!({"port": {"network_id": network}}),
    );
    let port = port.value()["port"]["id"].as_str().unwrap().to_owned();
    let body = json!({"server": {"name": "s", "flavorRef": "1", "imageRef": image,
        "networks": [{"port": port}, {"uuid": network}]}});
    let response = cloud.post("/compute/v2.1/servers", body.clone());
    let id = response.value()["server"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    cloud.wait(10_000);
    let ports = format!("/network/v2.0/ports?device_id={id}");
    assert_eq!(cloud.get(&ports)["ports"].as_array().unwrap().len(), 2);
    // A port that is in use makes a repeated create safe.
    assert_eq!(cloud.post("/compute/v2.1/servers", body).status, 409);
    assert_eq!(
        cloud
            .send(Request::delete(&format!("/compute/v2.1/servers/{id}")))
            .status,
        204
    );
    let server = cloud.get(&format!("/compute/v2.1/servers/{id}"));
    assert_eq!(server["server"]["OS-EXT-STS:task_state"], "deleting");
    cloud.wait(3000);
    assert_eq!(
        cloud
            .send(Request::get(&format!("/compute/v2.1/servers/{id}")))
            .status,
        404
    );
    assert_eq!(cloud.get(&ports)["ports"].as_array().unwrap().len(), 0);
    let port = cloud.get(&format!("/network/v2.0/ports/{port}"));
    assert_eq!(
        (&port["port"]["status"], &port["port"]["device_id"]),
        (&json!("DOWN"), &json!(""))
    );
    let gone = cloud.get("/compute/v2.1/servers/detail?changes-since=2026-01-01T00:00:00Z");
    assert_eq!(gone["servers"][0]["status"], "DELETED");
}

#[test]
fn the_groups_of_a_server_have_the_ids_that_they_have_in_neutron() {
    let mut cloud = Cloud::new();
    let id = cloud.running_server();
    let ports = cloud.get(&format!("/network/v2.0/ports?device_id={id}"));
    let groups = cloud.get(&format!("/compute/v2.1/servers/{id}/os-security-groups"));
    let shown: Vec<&Value> = (groups["security_groups"].as_array().unwrap().iter())
        .map(|group| &group["id"])
        .collect();
    let on_the_port: Vec<&Value> = (ports["ports"][0]["security_groups"].as_array().unwrap())
        .iter()
        .collect();
    assert_eq!(shown, on_the_port);
    assert_eq!(groups["security_groups"][0]["name"], "default");
}

#[test]
fn actions_in_the_wrong_state_are_refused_in_novas_words() {
    let mut cloud = Cloud::new();
    let id = cloud.running_server();
    let refused = cloud.act(&id, json!({"os-start": null}));
    assert_eq!(refused.status, 409);
    let text = format!("Cannot 'start' instance {id} while it is in vm_state active");
    assert_eq!(refused.value()["conflictingRequest"]["message"], text);
    assert_eq!(cloud.act(&id, json!({"os-stop": null})).status, 202);
    assert_eq!(cloud.act(&id, json!({"os-stop": null})).status, 409);
    cloud.wait(3000);
    assert_eq!(cloud.status(&id), "SHUTOFF");
    assert_eq!(cloud.act(&id, json!({"lock": null})).status, 202);
    let locked = cloud.act(&id, json!({"os-start": null}));
    assert_eq!(
        locked.value()["conflictingRequest"]["message"],
        format!("Instance {id} is locked")
    );
}

#[test]
fn a_resize_waits_for_its_confirmation() {
    let mut cloud = Cloud::new();
    let id = cloud.running_server();
    assert_eq!(
        cloud.act(&id, json!({"resize": {"flavorRef": "2"}})).status,
        202
    );
    assert_eq!(cloud.status(&id), "RESIZE");
    cloud.wait(4000);
    assert_eq!(cloud.status(&id), "VERIFY_RESIZE");
    assert_eq!(cloud.act(&id, json!({"revertResize": null})).status, 202);
    cloud.wait(4000);
    let server = cloud.get(&format!("/compute/v2.1/servers/{id}"));
    assert_eq!(
        (
            &server["server"]["status"],
            &server["server"]["flavor"]["id"]
        ),
        (&json!("ACTIVE"), &json!("1"))
    );
    cloud.act(&id, json!({"resize": {"flavorRef": "2"}}));
    cloud.wait(4000);
    assert_eq!(cloud.act(&id, json!({"confirmResize": null})).status, 204);
    assert_eq!(cloud.status(&id), "ACTIVE");
}

#[test]
fn a_flavor_that_fits_nowhere_ends_in_error_with_a_fault() {
    let options = Options {
        host: (1, 64, 10),
        ..Options::default()
    };
    let mut cloud = Cloud::with(options);
    let id = cloud.server();
    cloud.wait(10_000);
    let server = cloud.get(&format!("/compute/v2.1/servers/{id}"));
    assert_eq!(server["server"]["status"], "ERROR");
    assert_eq!(
        server["server"]["fault"]["message"],
        "No valid host was found. "
    );
}

#[test]
fn a_volume_is_attached_in_steps_and_belongs_to_nova_then() {
    let mut cloud = Cloud::new();
    let (server, volume) = (cloud.running_server(), cloud.volume());
    let target = format!("/compute/v2.1/servers/{server}/os-volume_attachments");
    let body = json!({"volumeAttachment": {"volumeId": volume, "device": "/dev/vdb"}});
    assert_eq!(cloud.post(&target, body.clone()).status, 200);
    assert_eq!(cloud.volume_status(&volume), "reserved");
    assert_eq!(cloud.post(&target, body).status, 400);
    cloud.wait(600);
    assert_eq!(cloud.volume_status(&volume), "attaching");
    cloud.wait(1000);
    let shown = cloud.get(&format!("/volume/v3/volumes/{volume}"));
    assert_eq!(shown["volume"]["status"], "in-use");
    assert_eq!(shown["volume"]["attachments"][0]["device"], "/dev/vdb");
    let refused = cloud.send(Request::delete(&format!("/volume/v3/volumes/{volume}")));
    assert_eq!(refused.status, 400);
    let other = cloud.volume();
    let taken = json!({"volumeAttachment": {"volumeId": other, "device": "/dev/vdb"}});
    assert_eq!(cloud.post(&target, taken).status, 409);
    let bypass = cloud.post(
        &format!("/volume/v3/volumes/{volume}/action"),
        json!({"os-detach": {}}),
    );
    assert_eq!(bypass.status, 409);
    assert_eq!(
        cloud
            .send(Request::delete(&format!("{target}/{volume}")))
            .status,
        202
    );
    assert_eq!(cloud.volume_status(&volume), "detaching");
    cloud.wait(2000);
    assert_eq!(cloud.volume_status(&volume), "available");
}

#[test]
fn an_asynchronous_attach_has_no_body() {
    let mut cloud = Cloud::new();
    let (server, volume) = (cloud.running_server(), cloud.volume());
    let target = format!("/compute/v2.1/servers/{server}/os-volume_attachments");
    let body = json!({"volumeAttachment": {"volumeId": volume}});
    let response = cloud.nova(Request::post(&target, body), 101);
    assert_eq!((response.status, response.value()), (202, &Value::Null));
}

#[test]
fn two_servers_cannot_boot_from_one_volume() {
    let mut cloud = Cloud::new();
    let image = cloud.image();
    let made = cloud.post(
        "/volume/v3/volumes",
        json!({"volume": {"size": 1, "imageRef": image}}),
    );
    let volume = made.value()["volume"]["id"].as_str().unwrap().to_owned();
    cloud.wait(5000);
    let network = cloud.network("private");
    let body = json!({"server": {"name": "b", "flavorRef": "7", "networks": [{"uuid": network}],
        "block_device_mapping_v2": [{"boot_index": 0, "uuid": volume, "source_type": "volume",
            "destination_type": "volume", "delete_on_termination": true}]}});
    let first = cloud.post("/compute/v2.1/servers", body.clone());
    assert_eq!(first.status, 202, "{:?}", first.body);
    assert_eq!(cloud.post("/compute/v2.1/servers", body).status, 400);
    cloud.wait(10_000);
    let id = first.value()["server"]["id"].as_str().unwrap().to_owned();
    let server = cloud.get(&format!("/compute/v2.1/servers/{id}"));
    assert_eq!(server["server"]["image"], "");
    assert_eq!(cloud.volume_status(&volume), "in-use");
    cloud.send(Request::delete(&format!("/compute/v2.1/servers/{id}")));
    cloud.wait(5000);
    assert_eq!(
        cloud
            .send(Request::get(&format!("/volume/v3/volumes/{volume}")))
            .status,
        404
    );
}

#[test]
fn microversions_change_what_is_shown_and_what_is_taken() {
    let mut cloud = Cloud::new();
    let id = cloud.running_server();
    let target = format!("/compute/v2.1/servers/{id}");
    let old = cloud.nova(Request::get(&target), 1).value()["server"].clone();
    assert_eq!(old["flavor"]["id"], "1");
    assert!(old.get("tags").is_none() && old.get("description").is_none());
    let new = cloud.nova(Request::get(&target), 90).value()["server"].clone();
    assert_eq!(new["flavor"]["original_name"], "m1.nano");
    assert!(new["flavor"].get("id").is_none());
    assert_eq!(new["tags"], json!([]));
    assert_eq!(cloud.nova(Request::get(&target), 999).status, 406);
    let unknown = Request::get("/compute/v2.1/servers?nonsense=1");
    assert_eq!(cloud.nova(unknown.clone(), 74).status, 200);
    assert_eq!(cloud.nova(unknown, 75).status, 400);
    let no_networks = json!({"server": {"name": "x", "flavorRef": "1", "imageRef": "x"}});
    let refused = cloud.nova(Request::post("/compute/v2.1/servers", no_networks), 37);
    assert!(
        refused.value()["badRequest"]["message"]
            .as_str()
            .unwrap()
            .contains("'networks'")
    );
}

#[test]
fn a_metadata_filter_of_a_user_is_dropped_without_a_word() {
    let mut cloud = Cloud::new();
    cloud.running_server();
    let filtered = "/compute/v2.1/servers?metadata=%7B%22a%22:%22b%22%7D";
    assert_eq!(cloud.get(filtered)["servers"].as_array().unwrap().len(), 1);
}

#[test]
fn several_networks_and_none_named_is_a_conflict() {
    let mut cloud = Cloud::new();
    let image = cloud.image();
    let body =
        json!({"server": {"name": "x", "flavorRef": "1", "imageRef": image, "networks": "auto"}});
    assert_eq!(
        cloud
            .nova(Request::post("/compute/v2.1/servers", body), 37)
            .status,
        409
    );
}
