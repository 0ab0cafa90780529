//! Pages, images, quotas, networks.

use super::*;

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
