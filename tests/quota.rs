//! Quotas, on the pure engine beside the sandbox's pure core: what cannot fit is not tried, what the
//! service does not tell is tried, and what is refused is tried again ever more slowly.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sim;

use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::engine::plan::Plan;
use stackward::kinds::call::{Call, Method, Service};
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Quotas, Rule};

const MINUTE: Duration = Duration::from_secs(60);
/// A poll may be a tenth late.
const POLL: Duration = Duration::from_secs(40);

type File = (String, String);

fn cloud() -> Sim {
    let mut sim = Sim::new(1);
    sim.image_by_hand("a");
    sim
}

fn object(kind: &str, name: &str, resource: &Value) -> File {
    let manifest = json!({
        "apiVersion": "stackward.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": {"resource": resource},
    });
    (format!("{kind}-{name}.json"), manifest.to_string())
}

fn volumes(count: usize) -> Vec<File> {
    (0..count)
        .map(|it| object("Volume", &format!("v{it}"), &json!({"size": 1})))
        .collect()
}

fn server(name: &str, flavor: &str) -> File {
    let resource = json!({"imageRef": {"filter": {"name": "a"}}, "networks": "none",
        "flavorRef": {"filter": {"name": flavor}}});
    object("Server", name, &resource)
}

fn limit(sim: &mut Sim, service: Service, name: &str, limit: i64) {
    sim.world.set_options(|options| {
        let Quotas {
            compute,
            volume,
            network,
            ..
        } = &mut options.quotas;
        let quotas = match service {
            Service::Compute => compute,
            Service::BlockStorage => volume,
            _ => network,
        };
        quotas.insert(name.to_owned(), limit);
    });
}

/// How much of a quota the sandbox says is used.
fn used(sim: &Sim, resource: &str) -> u64 {
    let scopes = sim.engine.snapshot().scopes;
    let told = scopes
        .values()
        .next()
        .unwrap()
        .quotas
        .get(resource)
        .copied();
    told.unwrap().used
}

fn reason(sim: &Sim, kind: &str, name: &str) -> (String, String) {
    let object = &sim.engine.snapshot().objects[&Key::new(kind, "default", name)];
    let words = object.status.condition("Progressing").unwrap();
    (object.reason.to_owned(), words.message.clone())
}

fn creates(sim: &Sim) -> usize {
    let is_create = |it: &&String| it.contains(": create ");
    sim.trace.iter().filter(is_create).count()
}

fn waiting(sim: &Sim) -> usize {
    let snapshot = sim.engine.snapshot();
    snapshot
        .objects
        .values()
        .filter(|it| it.reason == "Quota")
        .count()
}

#[test]
fn ten_creates_do_not_all_see_the_same_free_place() {
    let mut sim = cloud();
    limit(&mut sim, Service::BlockStorage, "volumes", 4);
    sim.declare(&volumes(10));
    sim.run_for(10 * MINUTE);
    assert_eq!((creates(&sim), sim.items("Volume").len()), (4, 4));
    assert_eq!(waiting(&sim), 6);
    let (code, words) = reason(&sim, "Volume", "v9");
    assert_eq!(code, "Quota");
    assert_eq!(words, "Waiting for quota: needs 1 volumes, 0 of 4 are free");
    let plans = sim.engine.plans();
    let plan = &plans[&Key::new("Volume", "default", "v9")].plan;
    assert!(matches!(plan, Plan::Wait(_)), "{plan:?}");
    limit(&mut sim, Service::BlockStorage, "volumes", 7);
    sim.run_for(POLL);
    assert_eq!((creates(&sim), sim.items("Volume").len()), (7, 7));
    limit(&mut sim, Service::BlockStorage, "volumes", -1);
    sim.run_for(POLL);
    sim.run_until_rest(MINUTE);
    sim.assert_converged();
    assert_eq!(creates(&sim), 10, "nothing was tried in vain");
}

#[test]
fn all_of_a_quota_can_be_used() {
    let mut sim = cloud();
    limit(&mut sim, Service::BlockStorage, "volumes", 40);
    limit(&mut sim, Service::BlockStorage, "gigabytes", 40);
    sim.declare(&volumes(40));
    sim.run_until_rest(10 * MINUTE);
    sim.assert_converged();
}

#[test]
fn a_server_needs_the_cores_of_its_flavor_and_goes_on_when_another_is_deleted() {
    let mut sim = cloud();
    let by_hand = json!({"server": {"name": "other", "imageRef": sim.items("Image")[0]["id"],
        "flavorRef": "3", "networks": "none"}});
    let other = sim.by_hand("POST", "/compute/v2.1/servers", by_hand);
    let files = [server("big", "m1.large"), server("tiny", "m1.tiny")];
    limit(&mut sim, Service::Compute, "cores", 4);
    sim.declare(&files);
    sim.run_for(10 * MINUTE);
    let (code, words) = reason(&sim, "Server", "big");
    assert_eq!(code, "Quota");
    assert_eq!(words, "Waiting for quota: needs 4 cores, 2 of 4 are free");
    assert_eq!(
        reason(&sim, "Server", "tiny").0,
        "InSync",
        "what fits is made"
    );
    assert_eq!(used(&sim, "cores"), 2);
    limit(&mut sim, Service::Compute, "cores", 5);
    sim.run_for(POLL);
    assert_eq!(reason(&sim, "Server", "big").0, "Quota");
    let id = other["server"]["id"].as_str().unwrap();
    sim.by_hand(
        "DELETE",
        &format!("/compute/v2.1/servers/{id}"),
        Value::Null,
    );
    sim.run_for(2 * POLL);
    sim.run_until_rest(MINUTE);
    sim.assert_converged();
    assert_eq!(creates(&sim), 2);
}

/// Everything beside volumes and servers that is counted, with what has to be there first.
fn counted() -> Vec<(Service, &'static str, Vec<File>, File)> {
    let none = json!({});
    let network = || object("Network", "n", &none);
    let subnet = |name: &str| {
        let spec = json!({"networkRef": "n", "ipVersion": 4, "cidr": "10.7.0.0/24"});
        object("Subnet", name, &spec)
    };
    let port = |name: &str| object("Port", name, &json!({"networkRef": "n"}));
    let address = json!({"floatingNetworkRef": {"filter": {"name": "public"}}});
    let group = |rules: Value| object("SecurityGroup", "g", &json!({"rules": rules}));
    let rule = json!({"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
        "portRange": {"min": 22, "max": 22}});
    let volume = object("Volume", "v", &json!({"size": 2}));
    let net = Service::Network;
    vec![
        (net, "network", vec![], network()),
        (net, "subnet", vec![network()], subnet("s")),
        (net, "port", vec![network()], port("p")),
        (net, "router", vec![], object("Router", "r", &none)),
        (
            net,
            "floatingip",
            vec![],
            object("FloatingIP", "f", &address),
        ),
        (net, "security_group", vec![], group(json!([]))),
        (
            net,
            "security_group_rule",
            vec![group(json!([]))],
            group(json!([rule])),
        ),
        (
            net,
            "trunk",
            vec![network(), port("p")],
            object("Trunk", "t", &json!({"portRef": "p"})),
        ),
        (
            Service::Compute,
            "server_groups",
            vec![],
            object("ServerGroup", "g", &json!({"policy": "affinity"})),
        ),
        (
            Service::Compute,
            "instances",
            vec![],
            server("s", "m1.tiny"),
        ),
        (
            Service::Compute,
            "ram",
            vec![server("s", "m1.tiny")],
            server("s", "m1.small"),
        ),
        (Service::BlockStorage, "gigabytes", vec![], volume.clone()),
        (
            Service::BlockStorage,
            "gigabytes",
            vec![volume.clone()],
            object("Volume", "v", &json!({"size": 3})),
        ),
        (
            Service::BlockStorage,
            "gigabytes_lvmdriver-1",
            vec![volume.clone()],
            object("Volume", "v", &json!({"size": 3})),
        ),
        (
            Service::BlockStorage,
            "volumes_lvmdriver-2",
            vec![],
            object(
                "Volume",
                "v",
                &json!({"size": 1, "volumeTypeRef": {"filter": {"name": "lvmdriver-2"}}}),
            ),
        ),
        (
            Service::BlockStorage,
            "gigabytes_lvmdriver-2",
            vec![volume.clone()],
            object(
                "Volume",
                "v",
                &json!({"size": 2, "volumeTypeRef": {"filter": {"name": "lvmdriver-2"}}}),
            ),
        ),
        (
            Service::BlockStorage,
            "snapshots",
            vec![volume],
            object("VolumeSnapshot", "s", &json!({"volumeRef": "v"})),
        ),
    ]
}

#[test]
fn everything_that_is_counted_waits_until_there_is_room_and_is_never_refused() {
    for (service, resource, before, after) in counted() {
        let mut sim = cloud();
        sim.declare(&before);
        sim.run_until_rest(10 * MINUTE);
        sim.assert_converged();
        let key = |file: &File| serde_json::from_str::<Value>(&file.1).unwrap();
        let (kind, name) = {
            let manifest = key(&after);
            let text = |it: &Value| it.as_str().unwrap().to_owned();
            (text(&manifest["kind"]), text(&manifest["metadata"]["name"]))
        };
        // There is as much as there may be: what the sandbox itself counts.
        let there = usage(&mut sim, service, resource);
        limit(&mut sim, service, resource, there);
        sim.run_for(POLL);
        let writes = sim.writes().len();
        let mut files: Vec<File> = before.clone();
        files.retain(|file| file.0 != after.0);
        files.push(after);
        sim.declare(&files);
        sim.run_for(10 * MINUTE);
        let (code, words) = reason(&sim, &kind, &name);
        assert_eq!(code, "Quota", "{resource}: {words}");
        assert!(
            words.contains(&format!(" {resource}, 0 of {there} are free")),
            "{words}"
        );
        assert_eq!(sim.writes()[writes..], [] as [&String; 0], "{resource}");
        limit(&mut sim, service, resource, there + 10_000);
        sim.run_for(POLL);
        sim.run_until_rest(5 * MINUTE);
        sim.assert_converged();
    }
}

fn usage(sim: &mut Sim, service: Service, resource: &str) -> i64 {
    let project = sim.project.clone();
    let row = match service {
        Service::Compute => {
            let path = format!("/compute/v2.1/os-quota-sets/{project}/detail");
            sim.by_hand("GET", &path, Value::Null)["quota_set"][resource]["in_use"].clone()
        }
        Service::BlockStorage => {
            let mut call = Call::new(service, Method::Get, "", format!("os-quota-sets/{project}"));
            call.query = vec![("usage".to_owned(), "True".to_owned())];
            sim.send(&call).unwrap().body["quota_set"][resource]["in_use"].clone()
        }
        _ => {
            let path = format!("/network/v2.0/quotas/{project}/details.json");
            sim.by_hand("GET", &path, Value::Null)["quota"][resource]["used"].clone()
        }
    };
    row.as_i64()
        .unwrap_or_else(|| panic!("{resource} is not counted by the sandbox"))
}

#[test]
fn the_bound_of_one_volume_is_a_wait_too() {
    let mut sim = cloud();
    limit(&mut sim, Service::BlockStorage, "per_volume_gigabytes", 5);
    let volume = |size: u32| [object("Volume", "v", &json!({"size": size}))];
    sim.declare(&volume(6));
    sim.run_for(10 * MINUTE);
    let (code, words) = reason(&sim, "Volume", "v");
    assert_eq!(code, "Quota");
    assert_eq!(
        words,
        "Waiting for quota: needs 6 GiB in one volume, 5 are allowed"
    );
    assert_eq!(creates(&sim), 0);
    sim.declare(&volume(5));
    sim.run_until_rest(5 * MINUTE);
    sim.assert_converged();
}

#[test]
fn ports_that_nova_makes_are_counted_at_neutron() {
    let mut sim = cloud();
    let there = usage(&mut sim, Service::Network, "port");
    limit(&mut sim, Service::Network, "port", there + 1);
    let private = json!({"networkRef": {"filter": {"name": "private"}}});
    let resource = |networks: Value| {
        json!({"imageRef": {"filter": {"name": "a"}},
        "flavorRef": {"filter": {"name": "m1.tiny"}}, "networks": networks})
    };
    sim.declare(&[object("Server", "s", &resource(json!([private, private])))]);
    sim.run_for(5 * MINUTE);
    let (code, words) = reason(&sim, "Server", "s");
    assert_eq!(code, "Quota", "{words}");
    assert!(words.contains("needs 2 port, 1 of"), "{words}");
    assert_eq!(creates(&sim), 0);
    sim.declare(&[object("Server", "s", &resource(json!([private])))]);
    sim.run_until_rest(5 * MINUTE);
    sim.assert_converged();
}

/// Readings that give nothing: creates are tried, and their refusals are waits with growing pauses.
#[test]
fn a_cloud_that_does_not_tell_its_quotas_is_not_held_up() {
    let answer = |status: u16| Effect::Answer {
        status,
        body: json!({"forbidden": {"code": status, "message": "no"}}),
        headers: Vec::new(),
    };
    let nonsense = Effect::DoAndAnswer {
        status: 200,
        body: json!({"quotas": "many"}),
    };
    for effect in [
        answer(403),
        answer(404),
        answer(500),
        answer(503),
        Effect::Drop,
        nonsense,
    ] {
        let mut sim = cloud();
        for (service, path) in [
            ("compute", "/v2.1/limits"),
            ("volume", "/v3/os-quota-sets/*"),
            ("network", "/v2.0/quotas/*"),
        ] {
            sim.world
                .add_fault(Rule::new(service, effect.clone()).on("GET", path));
        }
        limit(&mut sim, Service::Compute, "instances", 0);
        limit(&mut sim, Service::BlockStorage, "volumes", 0);
        let routers = usage_of_routers(&mut sim);
        limit(&mut sim, Service::Network, "router", routers);
        let files = [
            server("s", "m1.tiny"),
            object("Volume", "v", &json!({"size": 1})),
            object("Router", "r", &json!({})),
        ];
        sim.declare(&files);
        sim.run_for(Duration::from_secs(5));
        assert_eq!(
            creates(&sim),
            3,
            "{effect:?}: tried at once\n{:#?}",
            sim.complaints()
        );
        for (kind, name, words) in [
            ("Server", "s", "403"),
            ("Volume", "v", "413"),
            ("Router", "r", "OverQuota"),
        ] {
            let (code, said) = reason(&sim, kind, name);
            assert_eq!(code, "Quota", "{kind}: {said}");
            assert!(said.contains(words), "{said}");
        }
        sim.run_for(60 * MINUTE);
        let tries = creates(&sim);
        assert!(
            (30..=80).contains(&tries),
            "{tries} tries in an hour, 5 minutes apart at the end"
        );
        for (service, name) in [
            (Service::Compute, "instances"),
            (Service::BlockStorage, "volumes"),
            (Service::Network, "router"),
        ] {
            limit(&mut sim, service, name, -1);
        }
        sim.run_for(6 * MINUTE);
        sim.run_until_rest(5 * MINUTE);
        sim.assert_converged();
    }
}

fn usage_of_routers(sim: &mut Sim) -> i64 {
    i64::try_from(sim.items("Router").len()).unwrap()
}

#[test]
fn a_reading_that_fails_for_a_while_lets_what_waited_be_tried() {
    let mut sim = cloud();
    limit(&mut sim, Service::BlockStorage, "volumes", 0);
    sim.declare(&volumes(1));
    sim.run_for(5 * MINUTE);
    assert_eq!((creates(&sim), waiting(&sim)), (0, 1));
    let fault = Rule::new("volume", Effect::Drop).on("GET", "/v3/os-quota-sets/*");
    sim.world.add_fault(fault);
    limit(&mut sim, Service::BlockStorage, "volumes", 1);
    sim.run_for(POLL);
    sim.run_until_rest(MINUTE);
    sim.assert_converged();
}

#[test]
fn a_create_whose_answer_is_lost_counts_until_the_service_tells() {
    let mut sim = cloud();
    limit(&mut sim, Service::BlockStorage, "volumes", 2);
    sim.world.add_fault(
        Rule::new("volume", Effect::DoAndDrop)
            .on("POST", "/v3/volumes")
            .times(1),
    );
    sim.declare(&volumes(3));
    sim.run_for(10 * MINUTE);
    assert_eq!(
        (creates(&sim), sim.items("Volume").len(), waiting(&sim)),
        (2, 2, 1)
    );
}

#[test]
fn quotas_are_read_once_per_poll_and_only_where_they_are_needed() {
    let mut sim = cloud();
    sim.declare(&volumes(40));
    sim.run_until_rest(10 * MINUTE);
    sim.world.reset_requests();
    sim.run_for(10 * MINUTE);
    let count = |sim: &Sim, part: &str| -> u64 {
        let all = sim.world.requests();
        all.iter()
            .filter(|it| it.route.contains(part))
            .map(|it| it.count)
            .sum()
    };
    let reads = count(&sim, "os-quota-sets");
    assert!((18..=23).contains(&reads), "{reads} in twenty polls");
    assert_eq!(count(&sim, "limits") + count(&sim, "quotas/"), 0);
}
