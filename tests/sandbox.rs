//! The simulated OpenStack by itself: state machines, pages, errors and faults, on the pure core.
//!
//! No sockets and no sleep: time is an argument. What is asserted was compared with OpenStack 2026.2.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what went wrong by its panic"
)]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stackward::sandbox::{
    Delivery, Effect, Omission, Options, Payload, Request, Response, Rule, Sandbox, World,
};

/// A cloud, its time, and a user.
#[derive(Clone)]
struct Cloud {
    world: World,
    now: Timestamp,
    token: String,
}

impl Cloud {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut world = World::new(options, now);
        let token = world.issue_token("demo", "demo").unwrap();
        Self { world, now, token }
    }

    fn into_user(mut self, user: &str) -> Self {
        self.token = self.world.issue_token(user, user).unwrap();
        self
    }

    fn send(&mut self, request: Request) -> Response {
        self.world.handle(&request.token(&self.token), self.now)
    }

    fn get(&mut self, target: &str) -> Value {
        let response = self.send(Request::get(target));
        assert_eq!(response.status, 200, "{target}: {:?}", response.body);
        response.value().clone()
    }

    fn post(&mut self, target: &str, body: Value) -> Response {
        self.send(Request::post(target, body))
    }

    fn nova(&mut self, request: Request, minor: u32) -> Response {
        self.send(request.header("OpenStack-API-Version", &format!("compute 2.{minor}")))
    }

    fn wait(&mut self, millis: i64) {
        self.now += SignedDuration::from_millis(millis);
    }

    fn image(&mut self) -> String {
        let body = json!({"name": "disk", "disk_format": "raw", "container_format": "bare"});
        let response = self.post("/image/v2/images", body);
        let id = response.value()["id"].as_str().unwrap().to_owned();
        let mut upload = Request::new(http::Method::PUT, &format!("/image/v2/images/{id}/file"));
        upload.body = Payload::Bytes("data".into());
        assert_eq!(self.send(upload).status, 204);
        id
    }

    fn volume(&mut self) -> String {
        let response = self.post(
            "/volume/v3/volumes",
            json!({"volume": {"size": 1, "name": "v"}}),
        );
        assert_eq!(response.status, 202, "{:?}", response.body);
        self.wait(2000);
        response.value()["volume"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn network(&mut self, name: &str) -> String {
        let list = self.get(&format!("/network/v2.0/networks?name={name}"));
        list["networks"][0]["id"].as_str().unwrap().to_owned()
    }

    fn server(&mut self) -> String {
        let image = self.image();
        let network = self.network("private");
        let body = json!({"server": {"name": "s", "flavorRef": "1", "imageRef": image,
            "networks": [{"uuid": network}]}});
        let response = self.post("/compute/v2.1/servers", body);
        assert_eq!(response.status, 202, "{:?}", response.body);
        response.value()["server"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn running_server(&mut self) -> String {
        let id = self.server();
        self.wait(10_000);
        assert_eq!(self.status(&id), "ACTIVE");
        id
    }

    fn status(&mut self, id: &str) -> String {
        let server = self.get(&format!("/compute/v2.1/servers/{id}"));
        server["server"]["status"].as_str().unwrap().to_owned()
    }

    fn volume_status(&mut self, id: &str) -> String {
        let volume = self.get(&format!("/volume/v3/volumes/{id}"));
        volume["volume"]["status"].as_str().unwrap().to_owned()
    }

    fn act(&mut self, id: &str, action: Value) -> Response {
        self.post(&format!("/compute/v2.1/servers/{id}/action"), action)
    }
}

fn neutron_error(response: &Response) -> &str {
    response.value()["NeutronError"]["type"]
        .as_str()
        .unwrap_or("")
}

#[test]
fn the_same_history_gives_the_same_answers() {
    let run = || {
        let mut cloud = Cloud::new();
        let id = cloud.running_server();
        cloud.get(&format!("/compute/v2.1/servers/{id}"))
    };
    assert_eq!(run(), run());
}

#[test]
fn a_clone_is_a_snapshot_that_goes_its_own_way() {
    let mut one = Cloud::new();
    let mut other = one.clone();
    one.volume();
    assert_eq!(
        one.get("/volume/v3/volumes")["volumes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        other.get("/volume/v3/volumes")["volumes"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn a_token_ends_with_its_lifetime() {
    let options = Options {
        token_lifetime: Duration::from_secs(60),
        ..Options::default()
    };
    let mut cloud = Cloud::with(options);
    cloud.wait(59_000);
    cloud.get("/compute/v2.1/servers");
    cloud.wait(2000);
    let response = cloud.send(Request::get("/compute/v2.1/servers"));
    assert_eq!(response.status, 401);
    assert!(response.header("WWW-Authenticate").is_some());
    assert_eq!(response.value()["error"]["code"], 401);
}

#[test]
fn a_wrong_password_is_refused_and_a_right_one_scoped_by_name() {
    let mut cloud = Cloud::new();
    let auth = |password: &str| {
        json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "demo",
            "domain": {"name": "Default"}, "password": password}}},
            "scope": {"project": {"name": "demo", "domain": {"id": "default"}}}}})
    };
    assert_eq!(
        cloud.post("/identity/v3/auth/tokens", auth("wrong")).status,
        401
    );
    let response = cloud.post("/identity/v3/auth/tokens", auth("sandbox"));
    assert_eq!(response.status, 201);
    assert!(response.header("X-Subject-Token").is_some());
    assert_eq!(response.value()["token"]["project"]["name"], "demo");
    let types: Vec<&str> = response.value()["token"]["catalog"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|s| s["type"].as_str())
        .collect();
    for wanted in [
        "compute",
        "image",
        "network",
        "block-storage",
        "volumev3",
        "identity",
    ] {
        assert!(types.contains(&wanted), "{wanted}");
    }
}

#[test]
fn v2_0_gives_a_catalog_to_scoped_tokens_only() {
    let mut cloud = Cloud::new();
    let proof = json!({"username": "demo", "password": "sandbox"});
    let unscoped = cloud
        .post(
            "/identity/v2.0/tokens",
            json!({"auth": {"passwordCredentials": proof}}),
        )
        .value()
        .clone();
    assert_eq!(unscoped["access"]["serviceCatalog"], json!([]));
    cloud.token = unscoped["access"]["token"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let tenants = cloud.get("/identity/v2.0/tenants");
    let tenant = &tenants["tenants"][0]["id"];
    let scoped = cloud.post(
        "/identity/v2.0/tokens",
        json!({"auth": {"passwordCredentials": proof, "tenantId": tenant}}),
    );
    assert_eq!(scoped.value()["access"]["token"]["tenant"]["id"], *tenant);
    assert!(
        !scoped.value()["access"]["serviceCatalog"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

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

#[test]
fn pages_link_to_the_next_in_every_service() {
    let mut cloud = Cloud::new();
    for _ in 0..3 {
        cloud.volume();
        cloud.image();
    }
    for (list, items, links) in [
        (
            "/volume/v3/volumes/detail?limit=2",
            "volumes",
            "volumes_links",
        ),
        ("/compute/v2.1/flavors?limit=2", "flavors", "flavors_links"),
        (
            "/network/v2.0/networks?limit=2",
            "networks",
            "networks_links",
        ),
    ] {
        let (mut target, mut ids) = (list.to_owned(), Vec::new());
        loop {
            let page = cloud.get(&target);
            ids.extend(
                page[items]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|i| i["id"].to_string()),
            );
            let next = page[links]
                .as_array()
                .into_iter()
                .flatten()
                .find(|l| l["rel"] == "next");
            let Some(next) = next else { break };
            let href = next["href"].as_str().unwrap();
            target = href
                .strip_prefix("http://127.0.0.1:5000")
                .unwrap()
                .to_owned();
            assert!(ids.len() < 50, "the pages of {list} do not end");
        }
        let (all, count) = (ids.len(), {
            ids.sort();
            ids.dedup();
            ids.len()
        });
        assert_eq!(all, count, "{list} repeats items");
        let whole = cloud.get(list.split('?').next().unwrap());
        assert_eq!(
            count,
            whole[items].as_array().unwrap().len(),
            "{list} misses items"
        );
    }
    let first = cloud.get("/image/v2/images?limit=2");
    let rest = cloud.get(&format!("/image{}", first["next"].as_str().unwrap()));
    assert_eq!(rest["images"].as_array().unwrap().len(), 1);
    assert!(rest.get("next").is_none());
}

#[test]
fn an_image_id_is_chosen_once_and_burned_after_deletion() {
    let mut cloud = Cloud::new();
    let body = json!({"name": "x", "id": "6b0e6c1c-0000-4000-8000-0000000000aa"});
    let target = "/image/v2/images/6b0e6c1c-0000-4000-8000-0000000000aa";
    assert_eq!(cloud.post("/image/v2/images", body.clone()).status, 201);
    assert_eq!(cloud.post("/image/v2/images", body.clone()).status, 409);
    assert_eq!(cloud.send(Request::delete(target)).status, 204);
    assert_eq!(cloud.send(Request::get(target)).status, 404);
    assert_eq!(cloud.post("/image/v2/images", body).status, 409);
}

#[test]
fn data_of_another_format_is_refused_and_leaves_digests_behind() {
    let mut cloud = Cloud::new();
    let body = json!({"name": "x", "disk_format": "qcow2", "container_format": "bare"});
    let id = cloud.post("/image/v2/images", body).value()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut upload = Request::new(http::Method::PUT, &format!("/image/v2/images/{id}/file"));
    upload.body = Payload::Bytes("not a qcow2".into());
    assert_eq!(cloud.send(upload).status, 415);
    let image = cloud.get(&format!("/image/v2/images/{id}"));
    assert_eq!(
        (&image["status"], &image["size"]),
        (&json!("queued"), &Value::Null)
    );
    assert_eq!(image["checksum"], "899dfa43af65f95fa7aca16aa786acb6");
}

#[test]
fn quotas_are_refused_in_each_services_way() {
    let mut options = Options::default();
    options.quotas.volume.insert("volumes".to_owned(), 0);
    options.quotas.compute.insert("instances".to_owned(), 0);
    options.quotas.network.insert("network".to_owned(), 0);
    let mut cloud = Cloud::with(options);
    let volume = cloud.post("/volume/v3/volumes", json!({"volume": {"size": 1}}));
    assert_eq!(
        (volume.status, volume.header("Retry-After")),
        (413, Some("0"))
    );
    assert!(volume.value()["overLimit"]["message"].is_string());
    let image = cloud.image();
    let network = cloud.post("/network/v2.0/networks", json!({"network": {"name": "n"}}));
    assert_eq!(
        (network.status, neutron_error(&network)),
        (409, "OverQuota")
    );
    let body = json!({"server": {"name": "s", "flavorRef": "1", "imageRef": image,
        "networks": "none"}});
    let server = cloud.nova(Request::post("/compute/v2.1/servers", body), 37);
    assert_eq!(server.status, 403);
    assert!(
        server.value()["forbidden"]["message"]
            .as_str()
            .unwrap()
            .starts_with("Quota exceeded")
    );
}

#[test]
fn neutron_keeps_what_is_in_use() {
    let mut cloud = Cloud::new();
    let network = cloud.network("private");
    let port = cloud.post(
        "/network/v2.0/ports",
        json!({"port": {"network_id": network}}),
    );
    let port = port.value()["port"].clone();
    let subnet = port["fixed_ips"][0]["subnet_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let router = cloud.get("/network/v2.0/routers")["routers"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (target, kind) in [
        (format!("/network/v2.0/networks/{network}"), "NetworkInUse"),
        (format!("/network/v2.0/subnets/{subnet}"), "SubnetInUse"),
        (format!("/network/v2.0/routers/{router}"), "RouterInUse"),
    ] {
        let refused = cloud.send(Request::delete(&target));
        assert_eq!((refused.status, neutron_error(&refused)), (409, kind));
    }
    let public = cloud.network("public");
    let floating = json!({"floatingip": {"floating_network_id": public, "port_id": port["id"]}});
    let first = cloud.post("/network/v2.0/floatingips", floating.clone());
    assert_eq!(first.value()["floatingip"]["status"], "ACTIVE");
    let twin = cloud.post("/network/v2.0/floatingips", floating);
    assert_eq!(
        (twin.status, neutron_error(&twin)),
        (409, "FloatingIPPortAlreadyAssociated")
    );
    let remove = Request::put(
        &format!("/network/v2.0/routers/{router}/remove_router_interface"),
        json!({"subnet_id": subnet}),
    );
    let refused = cloud.send(remove);
    assert_eq!(neutron_error(&refused), "RouterInterfaceInUseByFloatingIP");
    let id = port["id"].as_str().unwrap();
    assert_eq!(
        cloud
            .send(Request::delete(&format!("/network/v2.0/ports/{id}")))
            .status,
        204
    );
    let left = cloud.get("/network/v2.0/floatingips")["floatingips"][0].clone();
    assert_eq!(
        (&left["status"], &left["port_id"]),
        (&json!("DOWN"), &Value::Null)
    );
}

#[test]
fn a_floating_ip_needs_a_way_out() {
    let mut cloud = Cloud::new();
    let (shared, public) = (cloud.network("shared"), cloud.network("public"));
    let port = cloud.post(
        "/network/v2.0/ports",
        json!({"port": {"network_id": shared}}),
    );
    let port = port.value()["port"]["id"].clone();
    let refused = cloud.post(
        "/network/v2.0/floatingips",
        json!({"floatingip": {"floating_network_id": public, "port_id": port}}),
    );
    assert_eq!(refused.status, 404);
    assert_eq!(
        neutron_error(&refused),
        "ExternalGatewayForFloatingIPNotFound"
    );
    assert_eq!(
        cloud.get("/network/v2.0/floatingips")["floatingips"],
        json!([])
    );
}

#[test]
fn a_rule_has_no_twin_and_the_twin_is_named() {
    let mut cloud = Cloud::new();
    let group = cloud.post(
        "/network/v2.0/security-groups",
        json!({"security_group": {"name": "g"}}),
    );
    let group = group.value()["security_group"]["id"].clone();
    let rule = |more: Value| {
        let mut rule = json!({"security_group_id": group, "direction": "ingress", "protocol": "tcp",
            "port_range_min": 80, "port_range_max": 80});
        rule.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "security_group_rule": rule })
    };
    let target = "/network/v2.0/security-group-rules";
    let first = cloud.post(target, rule(json!({})));
    let id = first.value()["security_group_rule"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let twin = cloud.post(
        target,
        rule(json!({"remote_ip_prefix": "0.0.0.0/0", "description": "x"})),
    );
    assert_eq!(
        (twin.status, neutron_error(&twin)),
        (409, "SecurityGroupRuleExists")
    );
    assert!(
        twin.value()["NeutronError"]["message"]
            .as_str()
            .unwrap()
            .contains(&id)
    );
    assert_eq!(
        cloud
            .post(target, rule(json!({"remote_ip_prefix": "10.0.0.0/8"})))
            .status,
        201
    );
}

#[test]
fn a_revision_can_be_demanded() {
    let mut cloud = Cloud::new();
    let network = cloud.network("private");
    let target = format!("/network/v2.0/networks/{network}");
    let revision = cloud.get(&target)["network"]["revision_number"]
        .as_u64()
        .unwrap();
    let change = |revision: u64| {
        Request::put(&target, json!({"network": {"description": "d"}}))
            .header("If-Match", &format!("revision_number={revision}"))
    };
    assert_eq!(cloud.send(change(revision + 7)).status, 412);
    let changed = cloud.send(change(revision));
    assert_eq!(changed.value()["network"]["revision_number"], revision + 1);
}

#[test]
fn projects_do_not_see_each_other() {
    let mut demo = Cloud::new();
    let (volume, image) = (demo.volume(), demo.image());
    let mut other = demo.clone().into_user("demo2");
    assert_eq!(
        other
            .send(Request::get(&format!("/volume/v3/volumes/{volume}")))
            .status,
        404
    );
    assert_eq!(
        other
            .send(Request::get(&format!("/image/v2/images/{image}")))
            .status,
        404
    );
    let networks = other.get("/network/v2.0/networks");
    let names: Vec<&str> = networks["networks"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|n| n["name"].as_str())
        .collect();
    assert!(!names.contains(&"private") && names.contains(&"shared") && names.contains(&"public"));
    let mut admin = demo.into_user("admin");
    assert_eq!(
        admin.get("/volume/v3/volumes?all_tenants=1")["volumes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn faults_do_what_the_rule_says_as_often_as_it_says() {
    let mut cloud = Cloud::new();
    let create = || Request::post("/volume/v3/volumes", json!({"volume": {"size": 1}}));
    let count = |cloud: &mut Cloud| {
        cloud.get("/volume/v3/volumes")["volumes"]
            .as_array()
            .unwrap()
            .len()
    };
    let unavailable = Effect::Answer {
        status: 503,
        body: Value::Null,
        headers: Vec::new(),
    };
    cloud.world.add_fault(
        Rule::new("volume", unavailable)
            .on("POST", "/v3/volumes")
            .from_nth(2)
            .times(1),
    );
    assert_eq!(cloud.send(create()).status, 202);
    assert_eq!(cloud.send(create()).status, 503);
    assert_eq!(cloud.send(create()).status, 202);
    assert_eq!(count(&mut cloud), 2);
    cloud.world.clear_faults();

    cloud.world.add_fault(
        Rule::new("volume", Effect::DoAndDrop)
            .on("POST", "/v3/volumes")
            .times(1),
    );
    assert_eq!(cloud.send(create()).delivery, Delivery::Dropped);
    assert_eq!(count(&mut cloud), 3, "it was done");
    cloud.world.clear_faults();

    cloud.world.add_fault(
        Rule::new("volume", Effect::Drop)
            .on("POST", "/v3/volumes")
            .times(1),
    );
    assert_eq!(cloud.send(create()).delivery, Delivery::Dropped);
    assert_eq!(count(&mut cloud), 3, "it was not done");
    cloud.world.clear_faults();

    let gateway = Effect::DoAndAnswer {
        status: 504,
        body: json!("<html>"),
    };
    cloud
        .world
        .add_fault(Rule::new("volume", gateway).on("POST", "/v3/*").times(1));
    assert_eq!(cloud.send(create()).status, 504);
    assert_eq!(count(&mut cloud), 4);
}

#[test]
fn lists_can_lie_by_omission_and_by_age() {
    let mut cloud = Cloud::new();
    let kept = cloud.volume();
    cloud.world.add_fault(
        Rule::new("volume", Effect::Stale)
            .on("GET", "/v3/volumes")
            .times(1),
    );
    let newer = cloud.volume();
    let stale = cloud.get("/volume/v3/volumes");
    assert_eq!(stale["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(stale["volumes"][0]["id"], kept);
    assert_eq!(
        cloud.get("/volume/v3/volumes")["volumes"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let omission = Omission {
        ids: vec![newer],
        ..Omission::default()
    };
    cloud
        .world
        .add_fault(Rule::new("volume", Effect::Omit(omission)).on("GET", "/v3/volumes"));
    assert_eq!(
        cloud.get("/volume/v3/volumes")["volumes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn requests_are_counted_by_route() {
    let mut cloud = Cloud::new();
    let volume = cloud.volume();
    cloud.world.reset_requests();
    cloud.get(&format!("/volume/v3/volumes/{volume}"));
    cloud.get(&format!("/volume/v3/volumes/{volume}"));
    let counts = cloud.world.requests();
    assert_eq!(counts.len(), 1);
    assert_eq!(
        (counts[0].route.as_str(), counts[0].count),
        ("/v3/volumes/{id}", 2)
    );
}

#[tokio::test]
async fn over_http_uploads_are_measured_and_faults_break_connections() {
    let running = Sandbox::start(Options::default(), "127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let token = running.world().issue_token("demo", "demo").unwrap();
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", running.url());
    let body = r#"{"name": "x", "disk_format": "raw", "container_format": "bare"}"#;
    let made = client
        .post(url("/image/v2/images"))
        .header("X-Auth-Token", &token)
        .body(body);
    let made: Value =
        serde_json::from_str(&made.send().await.unwrap().text().await.unwrap()).unwrap();
    let target = url(&format!(
        "/image/v2/images/{}",
        made["id"].as_str().unwrap()
    ));
    let upload = client
        .put(format!("{target}/file"))
        .header("X-Auth-Token", &token)
        .body("hello");
    assert_eq!(upload.send().await.unwrap().status(), 204);
    let shown = client
        .get(&target)
        .header("X-Auth-Token", &token)
        .send()
        .await
        .unwrap();
    let shown: Value = serde_json::from_str(&shown.text().await.unwrap()).unwrap();
    assert_eq!(shown["checksum"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(
        (&shown["size"], &shown["status"]),
        (&json!(5), &json!("active"))
    );

    let rules = r#"{"faults": [{"service": "image", "method": "GET", "count": 1, "effect": "drop"},
        {"service": "image", "method": "GET", "count": 1, "effect": {"truncate": {"bytes": 10}}}]}"#;
    let set = client
        .put(url("/sandbox/faults"))
        .body(rules)
        .send()
        .await
        .unwrap();
    assert_eq!(set.status(), 200, "{}", set.text().await.unwrap());
    let get = || client.get(&target).header("X-Auth-Token", &token).send();
    assert!(
        get().await.is_err(),
        "the connection breaks before an answer"
    );
    assert!(
        get().await.unwrap().bytes().await.is_err(),
        "the body breaks off"
    );
    assert_eq!(get().await.unwrap().status(), 200);
    running.stop();
}
