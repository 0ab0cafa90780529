//! The invariants of ARCHITECTURE.md, on the pure engine beside the sandbox's pure core.
//!
//! The state of the world is asserted, not the calls; except where the point is that none is sent.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "how much was tried is printed")]

mod sim;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::kinds::KINDS;
use stackward::kinds::call::Service;
use stackward::kinds::laws::unclassified;
use stackward::manifest::Key;
use stackward::sandbox::{Effect, Rule};

const MINUTES: Duration = Duration::from_secs(60);

fn wordpress(seed: u64) -> Sim {
    let mut sim = Sim::new(seed);
    sim.declare_directory(Path::new("manifests/wordpress"));
    sim
}

fn converged(seed: u64) -> Sim {
    let mut sim = wordpress(seed);
    assert!(
        sim.run_until_rest(10 * MINUTES),
        "{}",
        sim.complaints().join("\n")
    );
    sim.assert_converged();
    sim
}

fn key(kind: &str, name: &str) -> Key {
    Key::new(kind, "default", name)
}

fn id(sim: &Sim, kind: &str, name: &str) -> String {
    sim.engine.snapshot().objects[&key(kind, name)]
        .status
        .id
        .clone()
        .unwrap()
}

#[test]
fn every_field_is_classified() {
    let wrong: Vec<String> = KINDS.iter().flat_map(|kind| unclassified(*kind)).collect();
    assert_eq!(wrong, [] as [String; 0]);
}

#[test]
fn converges_and_rests() {
    let mut sim = converged(1);
    let writes = sim.writes().len();
    sim.run_for(10 * MINUTES);
    sim.assert_converged();
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
}

#[test]
fn the_whole_deployment_is_as_the_manifests_say() {
    let mut sim = converged(1);
    let database = id(&sim, "Server", "auto-dep-db");
    let volumes = sim.items("Volume");
    assert_eq!(volumes.len(), 1);
    assert_eq!(volumes[0]["attachments"][0]["server_id"], json!(database));
    assert_eq!(volumes[0]["attachments"][0]["device"], json!("/dev/vdb"));
    assert_eq!(volumes[0]["size"], json!(5));
    assert_eq!(volumes[0]["volume_type"], json!("lvmdriver-1"));
    let images = sim.items("Image");
    assert_eq!(
        (&images[0]["status"], &images[0]["min_disk"]),
        (&json!("active"), &json!(20))
    );
    let names: BTreeSet<String> = sim
        .items("Server")
        .iter()
        .map(|server| server["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        BTreeSet::from(["AUTO-DEP-BLOG".to_owned(), "AUTO-DEP-DB".to_owned()])
    );
    let addresses = sim.items("FloatingIP");
    assert_eq!(addresses[0]["status"], json!("ACTIVE"));
}

#[test]
fn a_second_pass_only_reads() {
    let mut sim = converged(1);
    let before = sim.trace.len();
    sim.world.reset_requests();
    sim.restart();
    assert!(sim.run_until_rest(MINUTES));
    sim.assert_converged();
    assert_eq!(
        sim.trace[before..],
        [] as [String; 0],
        "a second pass sends nothing but lists"
    );
    let lists: u64 = sim.world.requests().iter().map(|it| it.count).sum();

    // Ten times the objects, the same number of lists.
    let mut many = Sim::new(1);
    many.declare(&[volumes(40)]);
    assert!(
        many.run_until_rest(30 * MINUTES),
        "{}",
        many.complaints().join("\n")
    );
    many.world.reset_requests();
    many.restart();
    assert!(many.run_until_rest(MINUTES));
    let counts = many.world.requests();
    assert!(counts.iter().all(|it| it.method == "GET"), "{counts:?}");
    assert!(
        counts.iter().all(|it| it.count == 1),
        "one list per kind: {counts:?}"
    );
    assert!(lists <= 20, "{lists}");
}

fn volumes(count: usize) -> (String, String) {
    let one = |index: usize| {
        format!(
            "apiVersion: stackward.dev/v1alpha1\nkind: Volume\nmetadata: {{name: v{index}}}\n\
             spec: {{resource: {{size: 1}}}}\n"
        )
    };
    let text: Vec<String> = (0..count).map(one).collect();
    ("volumes.yaml".to_owned(), text.join("---\n"))
}

#[test]
fn the_state_file_may_be_lost() {
    let mut sim = converged(1);
    let before = sim.writes().len();
    let ours = sim.ours();
    sim.lose_disk();
    sim.run_until_rest(5 * MINUTES);
    sim.assert_converged();
    assert_eq!(
        sim.writes()[before..],
        [] as [&String; 0],
        "adopted by marker, nothing written"
    );
    assert_eq!(sim.ours(), ours);
}

#[test]
fn deterministic() {
    let one = converged(7);
    let other = converged(7);
    assert_eq!(one.trace, other.trace);
    assert_eq!(
        serde_json::to_string(&one.engine.snapshot()).unwrap(),
        serde_json::to_string(&other.engine.snapshot()).unwrap()
    );
}

#[test]
fn no_blind_writes() {
    for kind in KINDS {
        let mut sim = wordpress(3);
        let service = match kind.service().as_str() {
            "block-storage" => "volume",
            other => other,
        };
        let list = kind.list().path;
        let path = format!("/*/{list}");
        sim.world.add_fault(
            Rule::new(
                service,
                Effect::Answer {
                    status: 503,
                    body: Value::Null,
                    headers: Vec::new(),
                },
            )
            .on("GET", &path),
        );
        sim.run_for(5 * MINUTES);
        let blind: Vec<&String> = sim
            .writes()
            .into_iter()
            .filter(|line| line.starts_with(&format!("{}/", kind.name())))
            .collect();
        assert_eq!(
            blind,
            [] as [&String; 0],
            "{} was written without having been seen",
            kind.name()
        );
    }
}

#[test]
fn hands_off() {
    let mut sim = Sim::new(1);
    // The same names, made by somebody else.
    let image = sim.by_hand(
        "POST",
        "/image/v2/images",
        json!({"name": "ubuntu_server", "disk_format": "raw", "container_format": "bare"}),
    );
    sim.by_hand(
        "POST",
        "/volume/v3/volumes",
        json!({"volume": {"name": "mysql-volume", "size": 5}}),
    );
    sim.by_hand(
        "POST",
        "/network/v2.0/networks",
        json!({"network": {"name": "auto-dep-net"}}),
    );
    sim.by_hand(
        "POST",
        "/network/v2.0/security-groups",
        json!({"security_group": {"name": "auto-dep"}}),
    );
    sim.run_for(MINUTES);
    let foreign = |sim: &mut Sim| -> BTreeMap<&'static str, Vec<Value>> {
        let mut foreign = BTreeMap::new();
        // Keystone shows its resources to administrators only; see keystone_kinds.rs.
        let visible = KINDS.iter().filter(|it| it.service() != Service::Identity);
        for kind in visible {
            let items = sim
                .items(kind.name())
                .into_iter()
                .filter(|item| kind.look(item.clone()).is_ok_and(|it| it.marker.is_none()));
            // Ports and keypairs of the deployment without a marker are ours by their natural key.
            if !matches!(kind.name(), "RouterInterface" | "KeyPair" | "Port") {
                foreign.insert(kind.name(), items.collect());
            }
        }
        foreign
    };
    let before = foreign(&mut sim);
    assert!(!before["Image"].is_empty() && image["id"].is_string());
    sim.declare_directory(Path::new("manifests/wordpress"));
    assert!(
        sim.run_until_rest(10 * MINUTES),
        "{}",
        sim.complaints().join("\n")
    );
    sim.assert_converged();
    assert_eq!(foreign(&mut sim), before);

    sim.settings.prune_allow_empty = true;
    sim.restart();
    sim.declare(&[]);
    sim.run_for(60 * MINUTES);
    assert_eq!(
        sim.ours(),
        BTreeMap::new(),
        "{}\n{}",
        sim.complaints().join("\n"),
        sim.trace.join("\n")
    );
    assert_eq!(foreign(&mut sim), before);
}

#[test]
fn removal_goes_in_reverse_order() {
    let mut sim = converged(1);
    sim.settings.prune_allow_empty = true;
    sim.restart();
    let created: Vec<String> = sim
        .trace
        .iter()
        .filter_map(|line| line.split_once(": create ").map(|(key, _)| key.to_owned()))
        .collect();
    sim.trace.clear();
    sim.declare(&[]);
    sim.run_for(60 * MINUTES);
    let deleted: Vec<String> = sim
        .trace
        .iter()
        .filter_map(|line| line.split_once(": delete ").map(|(key, _)| key.to_owned()))
        .collect();
    assert_eq!(
        created.iter().collect::<BTreeSet<_>>(),
        deleted.iter().collect::<BTreeSet<_>>(),
        "{}",
        sim.complaints().join("\n")
    );
    let position = |kind: &str| deleted.iter().position(|it| it.starts_with(kind)).unwrap();
    assert!(position("Server/") < position("Image/"));
    assert!(position("Server/") < position("Port/"));
    assert!(position("Port/") < position("Network/"));
    assert!(position("RouterInterface/") < position("Router/"));
    assert_eq!(sim.disk.records, BTreeMap::new());
}

#[test]
fn an_empty_directory_deletes_nothing_unless_that_is_allowed() {
    let mut sim = converged(1);
    let writes = sim.writes().len();
    sim.declare(&[]);
    sim.run_for(60 * MINUTES);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
}

#[test]
fn a_manifest_that_comes_back_in_its_grace_loses_nothing() {
    let mut sim = Sim::new(1);
    sim.declare(&[volumes(2)]);
    assert!(sim.run_until_rest(5 * MINUTES));
    let before = sim.ours();
    sim.declare(&[volumes(1)]);
    sim.run_for(5 * MINUTES);
    sim.declare(&[volumes(2)]);
    sim.run_for(30 * MINUTES);
    sim.assert_converged();
    assert_eq!(sim.ours(), before);
    sim.declare(&[volumes(1)]);
    sim.run_for(30 * MINUTES);
    assert_eq!(sim.ours().len(), 1);
}

#[test]
fn a_broken_manifest_keeps_what_it_declared() {
    let mut sim = Sim::new(1);
    sim.declare(&[volumes(2)]);
    assert!(sim.run_until_rest(5 * MINUTES));
    let before = sim.ours();
    let broken = volumes(2).1.replace(
        "kind: Volume\nmetadata: {name: v1}",
        "kind: Volume\nmetadata: {name: v1",
    );
    sim.declare(&[("volumes.yaml".to_owned(), broken)]);
    sim.run_for(60 * MINUTES);
    assert_eq!(sim.ours(), before);
    // Even when it is not the whole file that cannot be read.
    let wrong = volumes(2).1.replacen("size: 1", "size: one", 1);
    sim.declare(&[("volumes.yaml".to_owned(), wrong)]);
    sim.run_for(60 * MINUTES);
    assert_eq!(sim.ours(), before);
}

#[test]
fn a_server_deleted_behind_our_back_comes_back_with_its_volume() {
    let mut sim = converged(1);
    let before = id(&sim, "Server", "auto-dep-db");
    sim.by_hand(
        "DELETE",
        &format!("/compute/v2.1/servers/{before}"),
        Value::Null,
    );
    sim.run_for(5 * MINUTES);
    sim.assert_converged();
    let after = id(&sim, "Server", "auto-dep-db");
    assert_ne!(before, after);
    let volumes = sim.items("Volume");
    assert_eq!(volumes[0]["attachments"][0]["server_id"], json!(after));
    assert_eq!(volumes[0]["attachments"][0]["device"], json!("/dev/vdb"));
}

#[test]
fn a_volume_detached_behind_our_back_is_attached_again() {
    let mut sim = converged(1);
    let server = id(&sim, "Server", "auto-dep-db");
    let volume = id(&sim, "Volume", "mysql-volume");
    let path = format!("/compute/v2.1/servers/{server}/os-volume_attachments/{volume}");
    sim.by_hand("DELETE", &path, Value::Null);
    sim.run_for(5 * MINUTES);
    sim.assert_converged();
    assert_eq!(
        sim.items("Volume")[0]["attachments"][0]["server_id"],
        json!(server)
    );
}

#[test]
fn metadata_changed_behind_our_back_is_put_right_and_that_of_others_stays() {
    let mut sim = converged(1);
    let server = id(&sim, "Server", "auto-dep-db");
    let path = format!("/compute/v2.1/servers/{server}/metadata");
    sim.by_hand(
        "POST",
        &path,
        json!({"metadata": {"role": "nonsense", "team": "blue"}}),
    );
    sim.run_for(5 * MINUTES);
    sim.assert_converged();
    let servers = sim.items("Server");
    let metadata = &servers.iter().find(|it| it["id"] == json!(server)).unwrap()["metadata"];
    assert_eq!(
        (&metadata["role"], &metadata["team"]),
        (&json!("database"), &json!("blue"))
    );
}

#[test]
fn a_volume_grows_and_never_shrinks() {
    let mut sim = Sim::new(1);
    sim.declare(&[volumes(1)]);
    assert!(sim.run_until_rest(5 * MINUTES));
    let sized = |size: &str| {
        let (name, text) = volumes(1);
        [(name, text.replace("size: 1", size))]
    };
    sim.declare(&sized("size: 3"));
    sim.run_for(5 * MINUTES);
    sim.assert_converged();
    assert_eq!(sim.items("Volume")[0]["size"], json!(3));
    sim.declare(&sized("size: 2"));
    sim.run_for(5 * MINUTES);
    assert_eq!(sim.items("Volume")[0]["size"], json!(3));
    let complaints = sim.complaints().join("\n");
    assert!(complaints.contains("cannot shrink"), "{complaints}");
}

#[test]
fn groups_that_name_each_other_are_made_and_removed() {
    let group = |name: &str, other: &str| {
        format!(
            "apiVersion: stackward.dev/v1alpha1\nkind: SecurityGroup\nmetadata: {{name: {name}}}\n\
             spec:\n  resource:\n    rules: [{{direction: ingress, ethertype: IPv4, protocol: tcp, \
             portRange: {{min: 22, max: 22}}, remoteGroupRef: {other}}}]\n"
        )
    };
    let mut sim = Sim::new(1);
    sim.settings.prune_allow_empty = true;
    sim.restart();
    let text = group("a", "b") + "---\n" + &group("b", "a");
    sim.declare(&[("groups.yaml".to_owned(), text)]);
    assert!(
        sim.run_until_rest(5 * MINUTES),
        "{}",
        sim.complaints().join("\n")
    );
    sim.assert_converged();
    sim.declare(&[]);
    sim.run_for(30 * MINUTES);
    assert_eq!(
        sim.ours(),
        BTreeMap::new(),
        "{}",
        sim.complaints().join("\n")
    );
}

#[test]
fn a_crash_at_any_request_makes_no_duplicate() {
    let reference = converged(5);
    let expected: BTreeSet<Key> = {
        let mut sim = converged(5);
        sim.ours().into_keys().collect()
    };
    let requests = reference.trace.len();
    let mut runs = 0;
    for number in 0..requests {
        for after in [false, true] {
            for keep_disk in [true, false] {
                let mut sim = wordpress(5);
                sim.crash = Some((number, after));
                sim.run_until_rest(10 * MINUTES);
                assert!(sim.crashed, "request {number} was not reached");
                sim.crash = None;
                if keep_disk {
                    sim.restart();
                } else {
                    sim.lose_disk();
                }
                sim.run_until_rest(30 * MINUTES);
                sim.assert_converged();
                let ours = sim.ours();
                let twice: Vec<_> = ours.iter().filter(|(_, ids)| ids.len() != 1).collect();
                let what = format!(
                    "crash {} request {number}, disk kept: {keep_disk}",
                    if after { "after" } else { "before" }
                );
                assert!(
                    twice.is_empty(),
                    "{what}: {twice:?}\n{}",
                    sim.trace.join("\n")
                );
                assert_eq!(
                    ours.into_keys().collect::<BTreeSet<_>>(),
                    expected,
                    "{what}"
                );
                runs += 1;
            }
        }
    }
    println!("{runs} crashes over {requests} requests, 0 duplicates");
}

#[test]
fn a_lost_reply_to_a_create_is_found_again() {
    for status in [500, 502, 503, 504] {
        let mut sim = Sim::new(1);
        sim.world.add_fault(
            Rule::new(
                "volume",
                Effect::DoAndAnswer {
                    status,
                    body: Value::Null,
                },
            )
            .on("POST", "/*/volumes")
            .times(1),
        );
        sim.declare(&[volumes(1)]);
        assert!(
            sim.run_until_rest(10 * MINUTES),
            "{}",
            sim.complaints().join("\n")
        );
        sim.assert_converged();
        assert_eq!(sim.items("Volume").len(), 1);
    }
}

#[test]
fn an_upload_that_breaks_is_begun_again_on_the_same_image() {
    let mut sim = wordpress(1);
    sim.world.add_fault(
        Rule::new("image", Effect::Drop)
            .on("PUT", "/v2/images/*/file")
            .times(2),
    );
    assert!(
        sim.run_until_rest(30 * MINUTES),
        "{}",
        sim.complaints().join("\n")
    );
    sim.assert_converged();
    let uploads = sim
        .trace
        .iter()
        .filter(|line| line.ends_with("/file"))
        .count();
    assert_eq!((sim.items("Image").len(), uploads), (1, 3));
}

#[test]
fn a_create_that_was_not_carried_out_is_tried_again_after_the_window() {
    let mut sim = Sim::new(1);
    let answer = Effect::Answer {
        status: 504,
        body: Value::Null,
        headers: Vec::new(),
    };
    sim.world.add_fault(
        Rule::new("volume", answer)
            .on("POST", "/*/volumes")
            .times(1),
    );
    sim.declare(&[volumes(1)]);
    sim.run_for(Duration::from_secs(100));
    assert_eq!(
        sim.items("Volume").len(),
        0,
        "within the window nothing is tried again"
    );
    sim.run_for(10 * MINUTES);
    sim.assert_converged();
    assert_eq!(sim.items("Volume").len(), 1);
}

#[test]
fn credentials_that_lead_elsewhere_write_nothing() {
    let mut sim = converged(1);
    let writes = sim.writes().len();
    for fingerprint in sim.disk.scopes.values_mut() {
        fingerprint.project = "another".to_owned();
    }
    let server = id(&sim, "Server", "auto-dep-db");
    sim.by_hand(
        "DELETE",
        &format!("/compute/v2.1/servers/{server}"),
        Value::Null,
    );
    sim.restart();
    sim.run_for(10 * MINUTES);
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
    assert!(
        sim.complaints()
            .join("\n")
            .contains("lead to another place")
    );
}

#[test]
fn a_rejected_request_holds_up_nothing_else() {
    let mut sim = wordpress(1);
    let answer = Effect::Answer {
        status: 403,
        body: json!({"overLimit": {"code": 403, "message": "Quota exceeded"}}),
        headers: Vec::new(),
    };
    sim.world
        .add_fault(Rule::new("volume", answer).on("POST", "/*/volumes"));
    sim.run_for(10 * MINUTES);
    let snapshot = sim.engine.snapshot();
    let available = |kind, name| snapshot.objects[&key(kind, name)].status.is_available();
    assert!(available("Network", "auto-dep-net"));
    assert!(available("Image", "ubuntu-server"));
    assert!(!available("Volume", "mysql-volume"));
}
