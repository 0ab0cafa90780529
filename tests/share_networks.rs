//! Share networks through their whole life, on the pure engine beside the sandbox's pure core.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

mod sim;

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::kinds::call::Service;
use stackward::kinds::{Attached, find};
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Rule};

const KIND: &str = "ShareNetwork";
const MINUTES: Duration = Duration::from_secs(60);
const PATH: &str = "/share/v2/share-networks";

/// Two networks with a subnet each, and objects of the kind: name and spec.
fn file(objects: &[(&str, Value)]) -> Vec<(String, String)> {
    let of_kind = |kind: &str, name: &str, spec: &Value| {
        json!({"apiVersion": "stackward.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
            "spec": spec})
        .to_string()
    };
    let mut documents = Vec::new();
    for (name, cidr) in [("a", "10.1.0.0/24"), ("b", "10.2.0.0/24")] {
        let subnet = json!({"networkRef": name, "ipVersion": 4, "cidr": cidr});
        documents.push(of_kind("Network", name, &json!({"resource": {}})));
        documents.push(of_kind("Subnet", name, &json!({ "resource": subnet })));
    }
    documents.extend(objects.iter().map(|(name, spec)| of_kind(KIND, name, spec)));
    vec![("shares.yaml".to_owned(), documents.join("\n---\n"))]
}

fn full() -> Value {
    json!({"description": "one", "networkRef": "a", "subnetRef": "a"})
}

fn settle(sim: &mut Sim) {
    let rests = sim.run_until_rest(10 * MINUTES);
    assert!(rests, "{}", sim.complaints().join("\n"));
    sim.assert_converged();
}

fn declare(sim: &mut Sim, resource: &Value) {
    sim.declare(&file(&[("s", json!({ "resource": resource }))]));
}

fn converged() -> Sim {
    let mut sim = Sim::new(1);
    declare(&mut sim, &full());
    settle(&mut sim);
    sim
}

fn key(kind: &str, name: &str) -> Key {
    Key::new(kind, "default", name)
}

fn id(sim: &Sim, kind: &str, name: &str) -> String {
    let status = &sim.engine.snapshot().objects[&key(kind, name)].status;
    status.id.clone().unwrap()
}

fn reason(sim: &Sim, name: &str) -> String {
    sim.engine.snapshot().objects[&key(KIND, name)]
        .reason
        .to_string()
}

fn message(sim: &Sim, name: &str) -> String {
    let status = &sim.engine.snapshot().objects[&key(KIND, name)].status;
    status.condition("Progressing").unwrap().message.clone()
}

/// The spec that would have made the only one that there is.
fn spec(sim: &mut Sim) -> Value {
    let mut items = sim.items(KIND);
    assert_eq!(items.len(), 1, "{items:?}");
    let kind = find(KIND).unwrap();
    kind.project(&kind.look(items.remove(0)).unwrap(), &Attached::default())
}

fn by_hand(sim: &mut Sim, body: Value) -> Value {
    sim.by_hand("POST", PATH, json!({ "share_network": body }))["share_network"].take()
}

#[test]
fn it_converges_and_a_second_pass_only_reads() {
    let mut sim = converged();
    let network = id(&sim, "Network", "a");
    assert_eq!(spec(&mut sim)["networkRef"]["id"], json!(network));
    assert_eq!(spec(&mut sim)["description"], "one");
    let writes = sim.writes().len();
    sim.run_for(5 * MINUTES);
    sim.restart();
    settle(&mut sim);
    sim.lose_disk();
    settle(&mut sim);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
}

#[test]
fn every_field_is_changed_in_place_and_changed_back() {
    let mut sim = converged();
    let (was, before) = (id(&sim, KIND, "s"), spec(&mut sim));
    for change in [
        json!({"name": "renamed"}),
        json!({"description": ""}),
        json!({"networkRef": "b", "subnetRef": "b"}),
    ] {
        let mut wanted = full();
        for (field, value) in change.as_object().unwrap() {
            wanted[field] = value.clone();
        }
        declare(&mut sim, &wanted);
        settle(&mut sim);
        assert_ne!(spec(&mut sim), before, "{change}");
        declare(&mut sim, &full());
        settle(&mut sim);
        assert_eq!(spec(&mut sim), before, "{change} and back");
        assert_eq!(id(&sim, KIND, "s"), was);
    }
    // Unset, they are not minded.
    declare(&mut sim, &json!({}));
    settle(&mut sim);
    assert_eq!(spec(&mut sim), before);
}

#[test]
fn one_without_a_network_is_given_one() {
    let mut sim = Sim::new(1);
    declare(&mut sim, &json!({}));
    settle(&mut sim);
    assert_eq!(spec(&mut sim)["networkRef"], Value::Null);
    declare(&mut sim, &full());
    settle(&mut sim);
    assert_eq!(
        spec(&mut sim)["networkRef"]["id"],
        json!(id(&sim, "Network", "a"))
    );
}

#[test]
fn every_field_that_somebody_else_changes_is_put_right() {
    let mut sim = converged();
    let before = spec(&mut sim);
    let target = format!("{PATH}/{}", id(&sim, KIND, "s"));
    let marked = sim.items(KIND)[0]["description"]
        .as_str()
        .unwrap()
        .to_owned();
    let (network, subnet) = (id(&sim, "Network", "b"), id(&sim, "Subnet", "b"));
    for change in [
        json!({"name": "theirs"}),
        json!({"description": marked.replace("one", "theirs")}),
        json!({"neutron_net_id": network, "neutron_subnet_id": subnet}),
    ] {
        sim.by_hand("PUT", &target, json!({ "share_network": change }));
        assert_ne!(spec(&mut sim), before, "{change}");
        sim.run_for(2 * MINUTES);
        settle(&mut sim);
        assert_eq!(spec(&mut sim), before, "{change}");
    }
}

#[test]
fn in_use_it_stays_where_it_is_and_says_why() {
    let mut sim = converged();
    let made = id(&sim, KIND, "s");
    sim.world.use_share_network(&made);
    let mut wanted = full();
    wanted["description"] = json!("two");
    declare(&mut sim, &wanted);
    settle(&mut sim);
    wanted["networkRef"] = json!("b");
    wanted["subnetRef"] = json!("b");
    declare(&mut sim, &wanted);
    sim.run_for(2 * MINUTES);
    assert!(
        message(&sim, "s").contains("It is used by share servers"),
        "{}",
        message(&sim, "s")
    );
    assert_eq!(
        spec(&mut sim)["networkRef"]["id"],
        json!(id(&sim, "Network", "a"))
    );
    assert_eq!(spec(&mut sim)["description"], "two");
}

#[test]
fn subnets_that_others_add_stay_and_hold_up_the_deletion() {
    let mut sim = converged();
    let target = format!("{PATH}/{}/subnets", id(&sim, KIND, "s"));
    let body = json!({"share-network-subnet": {"availability_zone": "nova",
        "neutron_net_id": "n", "neutron_subnet_id": "m"}});
    let subnet = sim.by_hand("POST", &target, body)["share_network_subnet"]["id"].take();
    let writes = sim.writes().len();
    sim.run_for(5 * MINUTES);
    settle(&mut sim);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
    sim.declare(&file(&[("other", json!({"resource": {}}))]));
    sim.run_for(20 * MINUTES);
    assert!(
        message(&sim, "s").contains("more than one subnet"),
        "{}",
        message(&sim, "s")
    );
    let subnet = format!("{target}/{}", subnet.as_str().unwrap());
    sim.by_hand("DELETE", &subnet, Value::Null);
    sim.run_for(20 * MINUTES);
    assert_eq!(spec(&mut sim)["name"], "other");
}

#[test]
fn deleted_behind_our_back_it_is_made_again() {
    let mut sim = converged();
    let (was, before) = (id(&sim, KIND, "s"), spec(&mut sim));
    sim.by_hand("DELETE", &format!("{PATH}/{was}"), Value::Null);
    sim.run_for(5 * MINUTES);
    settle(&mut sim);
    assert_ne!(id(&sim, KIND, "s"), was);
    assert_eq!(spec(&mut sim), before);
}

#[test]
fn a_create_whose_answer_is_lost_is_not_sent_twice() {
    let mut sim = Sim::new(1);
    let effect = Effect::DoAndAnswer {
        status: 504,
        body: Value::Null,
    };
    let rule = Rule::new("share", effect).on("POST", "/*/share-networks");
    sim.world.add_fault(rule.times(1));
    declare(&mut sim, &full());
    settle(&mut sim);
    assert_eq!(sim.world.faults.fired(0), 1);
    assert_eq!(sim.items(KIND).len(), 1);
}

#[test]
fn a_crash_at_any_request_makes_no_second_one() {
    for at in 0..8 {
        for after in [false, true] {
            let mut sim = Sim::new(1);
            sim.crash = Some((at, after));
            declare(&mut sim, &full());
            sim.run_until_rest(10 * MINUTES);
            sim.crash = None;
            sim.restart();
            settle(&mut sim);
            assert_eq!(sim.items(KIND).len(), 1, "{at} {after}");
        }
    }
}

#[test]
fn what_others_made_is_adopted_by_consent_alone() {
    for by_id in [false, true] {
        let mut sim = Sim::new(1);
        let theirs = by_hand(&mut sim, json!({"name": "s", "description": "theirs"}));
        declare(&mut sim, &json!({}));
        settle(&mut sim);
        assert_ne!(
            json!(id(&sim, KIND, "s")),
            theirs["id"],
            "names are not unique in Manila"
        );
        sim.declare(&file(&[]));
        sim.run_for(20 * MINUTES);
        let consent = match by_id {
            true => json!({"id": theirs["id"]}),
            false => json!({"byName": true}),
        };
        sim.declare(&file(&[(
            "s",
            json!({"resource": full(), "adopt": consent}),
        )]));
        settle(&mut sim);
        assert_eq!(json!(id(&sim, KIND, "s")), theirs["id"]);
        assert_eq!(spec(&mut sim)["description"], "one");
        // From now on it is ours.
        sim.declare(&file(&[]));
        sim.run_for(20 * MINUTES);
        assert_eq!(sim.items(KIND), [] as [Value; 0]);
    }
}

#[test]
fn imports_choose_by_filter_and_by_id() {
    let mut sim = Sim::new(1);
    let one = by_hand(&mut sim, json!({"name": "one", "description": "theirs"}));
    let other = by_hand(&mut sim, json!({"name": "other", "description": "theirs"}));
    let import = |import: Value| json!({"managementPolicy": "unmanaged", "import": import});
    let by = |filter: Value| import(json!({ "filter": filter }));
    sim.declare(&file(&[
        ("by-name", by(json!({"name": "one"}))),
        ("by-id", import(json!({"id": other["id"]}))),
        ("several", by(json!({"description": "theirs"}))),
        ("none", by(json!({"name": "three"}))),
    ]));
    sim.run_for(2 * MINUTES);
    assert_eq!(json!(id(&sim, KIND, "by-name")), one["id"]);
    assert_eq!(json!(id(&sim, KIND, "by-id")), other["id"]);
    assert_eq!(reason(&sim, "several"), "Ambiguous");
    assert_eq!(reason(&sim, "none"), "External");
    assert!(sim.writes().iter().all(|it| !it.contains("share-networks")));
}

#[test]
fn detached_it_stays_and_removed_it_goes_before_its_network() {
    let mut sim = converged();
    let detach = json!({"resource": full(), "managedOptions": {"onDelete": "detach"}});
    sim.declare(&file(&[("s", detach)]));
    settle(&mut sim);
    sim.declare(&file(&[("t", json!({ "resource": full() }))]));
    sim.run_for(20 * MINUTES);
    assert_eq!(sim.items(KIND).len(), 2);
    let other = json!({"apiVersion": "stackward.dev/v1alpha1", "kind": "Network",
        "metadata": {"name": "stays"}, "spec": {"resource": {}}});
    sim.declare(&[("other.yaml".to_owned(), other.to_string())]);
    sim.run_for(20 * MINUTES);
    assert_eq!(spec(&mut sim)["name"], "s");
    let at = |what: String| {
        sim.trace
            .iter()
            .position(|line| line.starts_with(&what))
            .unwrap()
    };
    let deleted = |kind: &str, name: &str| at(format!("{}: delete", key(kind, name)));
    assert!(deleted(KIND, "t") < deleted("Network", "a"));
}

#[test]
fn a_quota_is_waited_for() {
    let mut sim = Sim::new(1);
    sim.world.set_options(|options| {
        options.quotas.share.insert("share_networks".to_owned(), 0);
    });
    declare(&mut sim, &full());
    sim.run_for(2 * MINUTES);
    assert_eq!(reason(&sim, "s"), "Quota");
    assert!(message(&sim, "s").contains("share-networks allowed (0) exceeded"));
    sim.world.set_options(|options| {
        options.quotas.share.insert("share_networks".to_owned(), 1);
    });
    sim.run_for(30 * MINUTES);
    settle(&mut sim);
}

#[test]
fn a_cloud_without_the_service_is_waited_for_and_nothing_else_is_held_up() {
    let mut sim = Sim::new(1);
    sim.without = Some(Service::SharedFileSystem);
    declare(&mut sim, &full());
    sim.run_for(2 * MINUTES);
    assert_eq!(reason(&sim, "s"), "LookFailed");
    let words = message(&sim, "s");
    assert!(
        words.contains("has no shared-file-system service"),
        "{words}"
    );
    for (kind, name) in [("Network", "a"), ("Subnet", "b")] {
        let status = &sim.engine.snapshot().objects[&key(kind, name)].status;
        assert!(
            status.is_available() && status.is_up_to_date(),
            "{kind} {name}"
        );
    }
    sim.without = None;
    sim.run_for(5 * MINUTES);
    settle(&mut sim);
}
