//! Manila's share networks. What is asserted was read in Manila's source and API reference: there is
//! none that it could be compared with.

use super::*;

const PATH: &str = "/share/v2/share-networks";

impl Cloud {
    fn manila(&mut self, request: Request, minor: u32) -> Response {
        self.send(request.header("X-OpenStack-Manila-API-Version", &format!("2.{minor}")))
    }

    fn share_network(&mut self, spec: Value) -> Value {
        let answer = self.post(PATH, json!({ "share_network": spec }));
        assert_eq!(answer.status, 200, "{:?}", answer.value());
        answer.value()["share_network"].clone()
    }
}

fn at(one: &Value) -> String {
    format!("{PATH}/{}", one["id"].as_str().unwrap())
}

fn words(answer: &Response, fault: &str) -> String {
    let fault = &answer.value()[fault];
    assert_eq!(fault["code"], answer.status, "{:?}", answer.value());
    fault["message"].as_str().unwrap().to_owned()
}

#[test]
fn until_2_50_a_share_network_has_its_subnet_in_itself() {
    let mut cloud = Cloud::new();
    let spec = json!({"name": "s", "neutron_net_id": "n", "neutron_subnet_id": "m"});
    let one = cloud.share_network(spec);
    assert_eq!(
        (&one["neutron_net_id"], &one["cidr"]),
        (&json!("n"), &Value::Null)
    );
    assert!(one.get("status").is_none());
    let recent = cloud.manila(Request::get(&at(&one)), 63);
    let recent = &recent.value()["share_network"];
    assert_eq!(recent["status"], "active");
    assert!(recent.get("neutron_net_id").is_none());
    assert_eq!(recent["share_network_subnets"][0]["neutron_subnet_id"], "m");
    let newer = cloud.manila(Request::get(&at(&one)), 100);
    assert_eq!(newer.status, 406);
}

#[test]
fn network_and_subnet_are_given_together_and_moved_until_in_use() {
    let mut cloud = Cloud::new();
    let half = json!({"share_network": {"neutron_net_id": "n"}});
    let refused = cloud.post(PATH, half);
    assert!(words(&refused, "badRequest").contains("both neutron_net_id and neutron_subnet_id"));
    assert_eq!(cloud.post(PATH, json!({})).status, 422);

    let one = cloud.share_network(json!({}));
    let put = |cloud: &mut Cloud, spec: Value| {
        let body = json!({ "share_network": spec });
        cloud.send(Request::put(&at(&one), body))
    };
    let refused = put(&mut cloud, json!({"neutron_net_id": "n"}));
    assert!(words(&refused, "badRequest").contains("you need to specify both"));
    let both = json!({"neutron_net_id": "n", "neutron_subnet_id": "m"});
    assert_eq!(put(&mut cloud, both).status, 200);
    let moved = put(&mut cloud, json!({"neutron_net_id": "o"}));
    assert_eq!(moved.value()["share_network"]["neutron_net_id"], "o");

    cloud.world.use_share_network(one["id"].as_str().unwrap());
    let refused = put(&mut cloud, json!({"neutron_net_id": "n"}));
    assert!(words(&refused, "forbidden").contains("It is used by share servers"));
    assert_eq!(put(&mut cloud, json!({"name": "t"})).status, 200);
    let shown = cloud.get(&at(&one));
    assert_eq!(shown["share_network"]["cidr"], "10.0.0.0/24");
    // What kind of network it is, is the administrators' business.
    assert_eq!(shown["share_network"]["network_type"], Value::Null);
    let refused = cloud.send(Request::delete(&at(&one)));
    assert!(words(&refused, "conflictingRequest").contains("share(s)"));
}

#[test]
fn lists_are_counted_and_what_is_not_known_is_a_filter() {
    let mut cloud = Cloud::new();
    for name in ["a", "b", "c"] {
        cloud.share_network(json!({ "name": name }));
    }
    let names = |cloud: &mut Cloud, query: &str| -> Vec<String> {
        let list = cloud.get(&format!("{PATH}/detail{query}"));
        assert!(list.get("share_networks_links").is_none());
        let items = list["share_networks"].as_array().unwrap().iter();
        items
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&mut cloud, "?limit=2"), ["a", "b"]);
    assert_eq!(names(&mut cloud, "?limit=2&offset=2"), ["c"]);
    assert_eq!(names(&mut cloud, "?name=b"), ["b"]);
    assert_eq!(names(&mut cloud, "?marker=x"), [] as [&str; 0]);
    let brief = cloud.get(PATH);
    assert!(brief["share_networks"][0].get("description").is_none());
}

#[test]
fn those_of_another_project_are_seen_by_administrators_who_ask() {
    let mut cloud = Cloud::new();
    let one = cloud.share_network(json!({"name": "s"}));
    let mut other = cloud.clone().into_user("demo2");
    assert_eq!(other.send(Request::get(&at(&one))).status, 404);
    let mut admin = cloud.into_user("admin");
    let count = |cloud: &mut Cloud, query: &str| {
        let list = cloud.get(&format!("{PATH}/detail{query}"));
        list["share_networks"].as_array().unwrap().len()
    };
    assert_eq!(
        (count(&mut admin, ""), count(&mut admin, "?all_tenants=1")),
        (0, 1)
    );
}

#[test]
fn subnets_of_zones_hold_up_a_deletion() {
    let mut cloud = Cloud::new();
    let one = cloud.share_network(json!({}));
    let target = format!("{}/subnets", at(&one));
    let body = json!({"share-network-subnet": {"availability_zone": "nova",
        "neutron_net_id": "n", "neutron_subnet_id": "m"}});
    let old = cloud.post(&target, body.clone());
    assert_eq!(old.status, 404, "there is no such path before 2.51");
    let made = cloud.manila(Request::post(&target, body), 51);
    let id = made.value()["share_network_subnet"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let refused = cloud.send(Request::delete(&at(&one)));
    assert!(words(&refused, "conflictingRequest").contains("more than one subnet"));
    let removed = cloud.manila(Request::delete(&format!("{target}/{id}")), 51);
    assert_eq!(removed.status, 202);
    assert_eq!(cloud.send(Request::delete(&at(&one))).status, 202);
    let gone = cloud.send(Request::get(&at(&one)));
    assert!(words(&gone, "itemNotFound").contains("could not be found"));
}

#[test]
fn a_quota_is_a_413_that_may_be_tried_again_at_once() {
    let mut options = Options::default();
    options.quotas.share.insert("share_networks".to_owned(), 1);
    let mut cloud = Cloud::with(options);
    cloud.share_network(json!({}));
    let refused = cloud.post(PATH, json!({"share_network": {}}));
    let message = "Maximum number of share-networks allowed (1) exceeded.";
    assert_eq!(words(&refused, "overLimit"), message);
    assert_eq!(refused.header("Retry-After"), Some("0"));
}
