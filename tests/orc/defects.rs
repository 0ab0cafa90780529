//! Each defect that was found in ORC by reading it, and each hole in its way of adopting what is
//! there, as something that holds here.

use std::time::Duration;

use serde_json::{Value, json};
use stackward::engine::scope::Scope;
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Rule};

use crate::sim::{SCOPE, Sim};

const MINUTE: Duration = Duration::from_secs(60);

/// A manifest of ORC's group; its Secret is not among the manifests, so the cloud of that name is
/// the daemon's own.
pub(crate) fn orc(kind: &str, name: &str, resource: &Value) -> (String, String) {
    in_cloud(kind, name, SCOPE, resource)
}

fn in_cloud(kind: &str, name: &str, cloud: &str, resource: &Value) -> (String, String) {
    let spec = match kind {
        "RouterInterface" => resource.clone(),
        _ => json!({"cloudCredentialsRef": {"secretName": "clouds", "cloudName": cloud},
            "resource": resource}),
    };
    let manifest = json!({"apiVersion": "openstack.k-orc.cloud/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": spec});
    (format!("{kind}-{name}.json"), manifest.to_string())
}

/// An import in ORC's group.
pub(crate) fn import(kind: &str, name: &str, filter: &Value) -> (String, String) {
    let manifest = json!({"apiVersion": "openstack.k-orc.cloud/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": {"managementPolicy": "unmanaged",
        "cloudCredentialsRef": {"secretName": "clouds", "cloudName": SCOPE},
        "import": {"filter": filter}}});
    (format!("{kind}-{name}.json"), manifest.to_string())
}

pub(crate) fn settle(sim: &mut Sim, files: &[(String, String)]) {
    sim.declare(files);
    sim.run_until_rest(30 * MINUTE);
}

pub(crate) fn converge(sim: &mut Sim, files: &[(String, String)]) {
    settle(sim, files);
    sim.assert_converged();
}

pub(crate) fn named(sim: &mut Sim, kind: &str, name: &str) -> Value {
    let items = sim.items(kind);
    let found = items.iter().find(|item| item["name"] == name);
    found
        .unwrap_or_else(|| panic!("{name} in {items:?}"))
        .clone()
}

fn rules(sim: &mut Sim, group: &str) -> Vec<(String, i64, i64)> {
    let group = named(sim, "SecurityGroup", group);
    let mut rules: Vec<(String, i64, i64)> = group["security_group_rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| {
            let port = |name: &str| rule[name].as_i64().unwrap_or(-1);
            let direction = rule["direction"].as_str().unwrap().to_owned();
            (direction, port("port_range_min"), port("port_range_max"))
        })
        .collect();
    rules.sort();
    rules
}

fn rule(min: u16, max: u16) -> Value {
    json!({"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
        "portRange": {"min": min, "max": max}})
}

/// 1.9, 1: ORC takes the range of the first rule for the second.
#[test]
fn a_second_rule_that_is_added_to_a_group_keeps_its_port_range() {
    let mut sim = Sim::new(1);
    converge(
        &mut sim,
        &[orc("SecurityGroup", "g", &json!({"rules": [rule(22, 22)]}))],
    );
    assert_eq!(rules(&mut sim, "g"), [("ingress".to_owned(), 22, 22)]);
    let both = json!({"rules": [rule(22, 22), rule(8000, 8080)]});
    converge(&mut sim, &[orc("SecurityGroup", "g", &both)]);
    assert_eq!(
        rules(&mut sim, "g"),
        [
            ("ingress".to_owned(), 22, 22),
            ("ingress".to_owned(), 8000, 8080)
        ]
    );
}

/// 1.9, 2: ORC asks for the root volume to be detached, at every pass.
#[test]
fn the_volume_that_a_server_boots_from_is_never_detached() {
    let mut sim = Sim::new(1);
    sim.image_by_hand("system");
    let files = [
        import("Image", "system", &json!({"name": "system"})),
        import("Flavor", "tiny", &json!({"name": "m1.tiny"})),
        import("Network", "private", &json!({"name": "private"})),
        orc("Volume", "root", &json!({"size": 10, "imageRef": "system"})),
        orc("Volume", "data", &json!({"size": 1})),
        orc("Port", "p", &json!({"networkRef": "private"})),
        orc(
            "Server",
            "s",
            &json!({"flavorRef": "tiny", "bootVolume": {"volumeRef": "root"},
                "ports": [{"portRef": "p"}], "volumes": [{"volumeRef": "data"}]}),
        ),
    ];
    converge(&mut sim, &files);
    let root = named(&mut sim, "Volume", "root");
    assert_eq!(root["status"], "in-use");
    let writes = sim.writes().len();
    sim.run_for(60 * MINUTE);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
    // Also not when the list of the others changes.
    let mut files = files;
    files[6] = orc(
        "Server",
        "s",
        &json!({"flavorRef": "tiny", "bootVolume": {"volumeRef": "root"},
            "ports": [{"portRef": "p"}], "volumes": []}),
    );
    converge(&mut sim, &files);
    assert_eq!(named(&mut sim, "Volume", "root")["status"], "in-use");
    assert_eq!(named(&mut sim, "Volume", "data")["status"], "available");
}

fn secret(name: &str, entries: &Value) -> (String, String) {
    let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "stringData": entries});
    (format!("Secret-{name}.json"), manifest.to_string())
}

fn with_secret(cacert: Option<&str>, clouds_yaml: &str) -> [(String, String); 2] {
    let mut entries = json!({"clouds.yaml": clouds_yaml});
    if let Some(cacert) = cacert {
        entries["cacert"] = json!(cacert);
    }
    [
        secret("clouds", &entries),
        in_cloud("Network", "n", "one", &json!({})),
    ]
}

/// 1.9, 3: of ORC's connections, the CA bundle is no part of what tells them apart, and what does is
/// a short digest. Here it is the whole source.
#[test]
fn another_bundle_of_certificates_is_another_connection() {
    let mut sim = Sim::new(1);
    converge(&mut sim, &with_secret(Some("first"), "clouds: {one: {}}"));
    assert_eq!(sim.connects.len(), 1);
    converge(&mut sim, &with_secret(Some("first"), "clouds: {one: {}}"));
    assert_eq!(sim.connects.len(), 1, "nothing has changed");
    converge(&mut sim, &with_secret(Some("second"), "clouds: {one: {}}"));
    assert_eq!(sim.connects.len(), 2);
    converge(&mut sim, &with_secret(None, "clouds: {one: {}}"));
    assert_eq!(sim.connects.len(), 3);
}

/// 1.9, 4: a Keystone that never answers stops a whole kind of ORC's.
#[test]
fn a_keystone_that_never_answers_stops_nobody_else() {
    let mut sim = Sim::new(1);
    sim.silent.insert(Scope::new("dead"));
    let files = [
        in_cloud("Network", "a", "dead", &json!({})),
        in_cloud("Network", "b", SCOPE, &json!({})),
        in_cloud("Volume", "c", SCOPE, &json!({"size": 1})),
    ];
    sim.declare(&files);
    sim.run_for(5 * MINUTE);
    let available = |kind: &str, name: &str| {
        let key = Key::new(kind, "default", name);
        sim.engine.snapshot().objects[&key].status.is_available()
    };
    assert!(available("Network", "b") && available("Volume", "c"));
    assert!(!available("Network", "a"));
}

/// 1.9, 5: of a Secret with credentials, every change counts, not only that it is made.
#[test]
fn a_changed_and_a_removed_secret_are_seen() {
    let mut sim = Sim::new(1);
    converge(&mut sim, &with_secret(None, "clouds: {one: {}}"));
    converge(
        &mut sim,
        &with_secret(None, "clouds: {one: {region_name: x}}"),
    );
    assert_eq!(sim.connects.len(), 2);
    // Without it the daemon's own cloud of that name is meant, which is another place to us: the
    // network is not made there a second time.
    let [_, network] = with_secret(None, "");
    sim.declare(&[network]);
    sim.run_for(5 * MINUTE);
    let complaints = sim.complaints().join("\n");
    assert!(complaints.contains("cannot move"), "{complaints}");
    let ours = sim.items("Network");
    assert_eq!(ours.iter().filter(|item| item["name"] == "n").count(), 1);
}

/// 1.9, 6: a list that fails while something is to be deleted leaves ORC waiting for ever.
#[test]
fn a_list_that_fails_does_not_end_a_deletion() {
    let mut sim = Sim::new(1);
    let keep = orc("Network", "keep", &json!({}));
    converge(&mut sim, &[keep.clone(), orc("Network", "n", &json!({}))]);
    let broken = Effect::Answer {
        status: 500,
        body: Value::Null,
        headers: Vec::new(),
    };
    sim.world.add_fault(
        Rule::new("network", broken)
            .on("GET", "/v2.0/networks")
            .times(6),
    );
    sim.declare(&[keep]);
    sim.run_for(20 * MINUTE);
    let left = sim.items("Network");
    assert!(left.iter().all(|item| item["name"] != "n"), "{left:?}");
    sim.assert_converged();
}

/// 1.9, 7: ORC accepts a rule without a direction, and then fails on it for good.
#[test]
fn a_rule_without_a_direction_is_about_what_comes_in() {
    let mut sim = Sim::new(1);
    let group = json!({"rules": [{"ethertype": "IPv4", "protocol": "tcp",
        "portRange": {"min": 22, "max": 22}}]});
    converge(&mut sim, &[orc("SecurityGroup", "g", &group)]);
    assert_eq!(rules(&mut sim, "g"), [("ingress".to_owned(), 22, 22)]);
}

/// 1.9, 8: each port of ORC's looks at every server. Here a look is a list, whatever is in it.
#[test]
fn more_ports_and_servers_are_not_more_requests() {
    let requests = |count: usize| {
        let mut sim = Sim::new(1);
        let mut files = vec![import("Network", "private", &json!({"name": "private"}))];
        for index in 0..count {
            let port = json!({"networkRef": "private"});
            files.push(orc("Port", &format!("p{index}"), &port));
        }
        converge(&mut sim, &files);
        sim.world.reset_requests();
        sim.restart();
        assert!(sim.run_until_rest(MINUTE));
        let counts = sim.world.requests();
        counts.iter().map(|it| it.count).sum::<u64>()
    };
    assert_eq!(requests(1), requests(40));
}

/// 1.6, a: after a create whose answer was lost, ORC makes a second floating IP and leaks the first.
#[test]
fn a_floating_ip_whose_answer_was_lost_is_not_made_twice() {
    let mut sim = Sim::new(1);
    let lost = Rule::new("network", Effect::DoAndDrop);
    sim.world
        .add_fault(lost.on("POST", "/v2.0/floatingips").times(1));
    let files = [
        import("Network", "public", &json!({"name": "public"})),
        orc("FloatingIP", "f", &json!({"floatingNetworkRef": "public"})),
    ];
    converge(&mut sim, &files);
    assert_eq!(sim.items("FloatingIP").len(), 1);
}

/// 1.6, b: ORC looks for it by its tags, which it does not have yet.
#[test]
fn a_floating_ip_with_address_and_tags_is_found_again_before_it_has_its_tags() {
    let mut sim = Sim::of_admin(1);
    let lost = Rule::new("network", Effect::DoAndDrop);
    sim.world
        .add_fault(lost.on("POST", "/v2.0/floatingips").times(1));
    let files = [
        import("Network", "public", &json!({"name": "public"})),
        orc(
            "FloatingIP",
            "f",
            &json!({"floatingNetworkRef": "public", "floatingIP": "172.24.0.200", "tags": ["a"]}),
        ),
    ];
    converge(&mut sim, &files);
    let items = sim.items("FloatingIP");
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["tags"], json!(["a"]));
}

/// 1.6, c: two objects of one name share a resource in ORC, and the first deletion takes it from both.
#[test]
fn two_objects_of_one_name_in_openstack_are_two_resources() {
    let mut sim = Sim::new(1);
    let one = orc("Network", "a", &json!({"name": "same"}));
    let other = orc("Network", "b", &json!({"name": "same"}));
    converge(&mut sim, &[one.clone(), other]);
    let count = |sim: &mut Sim| {
        let items = sim.items("Network");
        items.iter().filter(|item| item["name"] == "same").count()
    };
    assert_eq!(count(&mut sim), 2);
    sim.declare(&[one]);
    sim.run_for(30 * MINUTE);
    assert_eq!(count(&mut sim), 1);
    sim.assert_converged();
}

/// 1.6, d: to declare a name that exists, and to remove the manifest again, destroys in ORC what it
/// never made.
#[test]
fn a_network_of_the_same_name_outlives_a_manifest_that_comes_and_goes() {
    let mut sim = Sim::new(1);
    let theirs = json!({"network": {"name": "n"}});
    let theirs = sim.by_hand("POST", "/network/v2.0/networks", theirs)["network"].clone();
    let keep = orc("Network", "keep", &json!({}));
    converge(&mut sim, &[keep.clone(), orc("Network", "n", &json!({}))]);
    sim.declare(&[keep]);
    sim.run_for(30 * MINUTE);
    let left = named(&mut sim, "Network", "n");
    assert_eq!(left["id"], theirs["id"]);
    assert_eq!(left["description"], theirs["description"]);
}

/// 1.6, e: what is removed together with what it needs leaks in ORC when its creation was not seen.
#[test]
fn what_goes_together_with_what_it_needs_is_not_left_behind() {
    let mut sim = Sim::new(1);
    let lost = Rule::new("network", Effect::DoAndDrop);
    sim.world
        .add_fault(lost.on("POST", "/v2.0/subnets").times(1));
    let keep = orc("Network", "keep", &json!({}));
    let network = orc("Network", "n", &json!({}));
    let subnet = orc(
        "Subnet",
        "s",
        &json!({"networkRef": "n", "cidr": "10.9.0.0/24", "ipVersion": 4}),
    );
    sim.declare(&[keep.clone(), network, subnet]);
    while !sim.trace.iter().any(|line| line.contains("POST subnets")) {
        sim.run_for(Duration::from_millis(50));
    }
    sim.declare(&[keep]);
    sim.run_for(60 * MINUTE);
    let subnets = sim.items("Subnet");
    assert!(
        subnets.iter().all(|item| item["name"] != "s"),
        "{subnets:?}"
    );
    let networks = sim.items("Network");
    assert!(
        networks.iter().all(|item| item["name"] != "n"),
        "{networks:?}"
    );
}
