//! The round of an export: a project made by hand, its manifests, adoption, no change, and then it
//! is kept. On the pure engine beside the sandbox's pure core, and as a person would run it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod sim;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sim::Sim;
use stackward::engine::export::{
    Export, Wish, export, kinds_to_list, kinds_to_look_up, usual_kinds,
};
use stackward::engine::inventory::{Inventory, Listing};
use stackward::engine::scope::Scope;
use stackward::kinds::erased::AnyKind;
use stackward::sandbox::{Clock, Options, Sandbox};

const MINUTE: Duration = Duration::from_secs(60);
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBOCxGeLFIe4rb2+HG0HqsnyFM6Fp4bqUpX1w0cvoM+e";

type File = (String, String);

/// What a person has made, by name: ids.
#[derive(Default)]
struct Made(BTreeMap<&'static str, String>);

impl Made {
    fn id(&self, name: &str) -> &str {
        &self.0[name]
    }
}

fn make(sim: &mut Sim, made: &mut Made, name: &'static str, path: &str, one: &str, body: Value) {
    let made_of = sim.by_hand("POST", path, json!({ one: body }));
    let id = made_of[one]["id"].as_str().unwrap_or_default().to_owned();
    let _ = made.0.insert(name, id);
    sim.run_for(Duration::from_secs(10));
}

/// A project of more than thirty resources, of every kind that a project has.
fn project(sim: &mut Sim) -> Made {
    let mut made = Made::default();
    let m = &mut made;
    let neutron = |collection: &str| format!("/network/v2.0/{collection}");
    let (net, sub) = (neutron("networks"), neutron("subnets"));
    for name in ["ops", "Ops Team"] {
        let key = json!({"name": name, "public_key": KEY});
        make(sim, m, "", "/compute/v2.1/os-keypairs", "keypair", key);
    }
    let group = json!({"name": "apart", "policy": "soft-anti-affinity"});
    make(
        sim,
        m,
        "apart",
        "/compute/v2.1/os-server-groups",
        "server_group",
        group,
    );
    let scope = json!({"name": "office", "ip_version": 4});
    make(
        sim,
        m,
        "office",
        &neutron("address-scopes"),
        "address_scope",
        scope,
    );
    let base = sim.image_by_hand("base");
    let _ = m.0.insert("base", base);
    let _ = sim.image_by_hand("plain");
    make(
        sim,
        m,
        "front",
        &net,
        "network",
        json!({"name": "Front Net", "description": "Web tier"}),
    );
    make(
        sim,
        m,
        "back",
        &net,
        "network",
        json!({"name": "back", "mtu": 1400}),
    );
    for _ in 0..2 {
        make(sim, m, "twin", &net, "network", json!({"name": "twin"}));
    }
    let subnet = |network: &str, name: &str, cidr: &str, version: u8| json!({"network_id": network, "name": name, "cidr": cidr, "ip_version": version});
    let front = m.id("front").to_owned();
    let back = m.id("back").to_owned();
    let twin = m.id("twin").to_owned();
    let mut body = subnet(&front, "front-v4", "10.71.0.0/24", 4);
    body["dns_nameservers"] = json!(["9.9.9.9"]);
    make(sim, m, "front-v4", &sub, "subnet", body);
    let mut body = subnet(&front, "front-v6", "fd71::/64", 6);
    body["ipv6_ra_mode"] = json!("slaac");
    body["ipv6_address_mode"] = json!("slaac");
    make(sim, m, "front-v6", &sub, "subnet", body);
    let mut body = subnet(&back, "back", "10.72.0.0/24", 4);
    body["gateway_ip"] = json!("10.72.0.254");
    body["enable_dhcp"] = json!(false);
    body["allocation_pools"] = json!([{"start": "10.72.0.100", "end": "10.72.0.200"}]);
    body["host_routes"] = json!([{"destination": "10.99.0.0/16", "nexthop": "10.72.0.9"}]);
    make(sim, m, "back-v4", &sub, "subnet", body);
    let mut body = subnet(&twin, "lonely", "10.73.0.0/24", 4);
    body["gateway_ip"] = Value::Null;
    make(sim, m, "lonely", &sub, "subnet", body);
    let public = sim
        .items("Network")
        .into_iter()
        .find(|it| it["router:external"] == true);
    let public = public.unwrap()["id"].as_str().unwrap().to_owned();
    let router = json!({"name": "edge", "external_gateway_info": {"network_id": public}});
    make(sim, m, "edge", &neutron("routers"), "router", router);
    for subnet in ["front-v4", "front-v6", "back-v4"] {
        let path = neutron(&format!("routers/{}/add_router_interface", m.id("edge")));
        let body = json!({"subnet_id": m.id(subnet)});
        let _ = sim.by_hand("PUT", &path, body);
    }
    for (name, description) in [("web", "From everywhere"), ("database", "")] {
        let group = json!({"name": name, "description": description});
        make(
            sim,
            m,
            name,
            &neutron("security-groups"),
            "security_group",
            group,
        );
    }
    let (web, database) = (m.id("web").to_owned(), m.id("database").to_owned());
    for rule in [
        json!({"security_group_id": web, "protocol": "tcp", "port_range_min": 443, "port_range_max": 443}),
        json!({"security_group_id": web, "protocol": "icmp"}),
        json!({"security_group_id": database, "protocol": "tcp", "port_range_min": 5432, "port_range_max": 5432,
            "remote_group_id": web}),
        json!({"security_group_id": database, "remote_group_id": database}),
    ] {
        let mut rule = rule;
        rule["direction"] = json!("ingress");
        let _ = sim.by_hand(
            "POST",
            &neutron("security-group-rules"),
            json!({"security_group_rule": rule}),
        );
    }
    let ports = neutron("ports");
    let port = json!({"name": "web", "network_id": front, "security_groups": [web],
        "fixed_ips": [{"subnet_id": m.id("front-v4"), "ip_address": "10.71.0.80"}],
        "allowed_address_pairs": [{"ip_address": "10.71.0.100"}]});
    make(sim, m, "web-port", &ports, "port", port);
    let port = json!({"name": "appliance", "network_id": back, "port_security_enabled": false, "security_groups": []});
    make(sim, m, "appliance", &ports, "port", port);
    for (name, network) in [("parent", &back), ("child", &back)] {
        make(
            sim,
            m,
            name,
            &ports,
            "port",
            json!({"name": name, "network_id": network}),
        );
    }
    let trunk = json!({"name": "vlans", "port_id": m.id("parent"), "sub_ports":
        [{"port_id": m.id("child"), "segmentation_type": "vlan", "segmentation_id": 7}]});
    make(sim, m, "vlans", &neutron("trunks"), "trunk", trunk);
    for (name, port) in [("shop", json!(m.id("web-port"))), ("spare", Value::Null)] {
        let address = json!({"floating_network_id": public, "port_id": port, "description": name});
        make(sim, m, name, &neutron("floatingips"), "floatingip", address);
    }
    let volumes = "/volume/v3/volumes";
    let volume = json!({"name": "data", "size": 1, "metadata": {"role": "data"}});
    make(sim, m, "data", volumes, "volume", volume);
    let snapshot = json!({"name": "nightly", "volume_id": m.id("data")});
    make(
        sim,
        m,
        "nightly",
        "/volume/v3/snapshots",
        "snapshot",
        snapshot,
    );
    let restored = json!({"name": "restored", "size": 2, "snapshot_id": m.id("nightly")});
    make(sim, m, "restored", volumes, "volume", restored);
    let root = json!({"name": "root", "size": 1, "imageRef": m.id("base")});
    make(sim, m, "root", volumes, "volume", root);
    let servers = "/compute/v2.1/servers";
    let server = json!({"name": "Web 1", "imageRef": m.id("base"), "flavorRef": "1", "key_name": "ops",
        "networks": [{"port": m.id("web-port")}], "metadata": {"role": "web"}});
    make(sim, m, "web-1", servers, "server", server);
    let server = json!({"name": "db-1", "flavorRef": "1", "networks": [{"uuid": back}],
        "security_groups": [{"name": "database"}], "block_device_mapping_v2":
        [{"uuid": m.id("root"), "source_type": "volume", "destination_type": "volume", "boot_index": 0}]});
    make(sim, m, "db-1", servers, "server", server);
    sim.run_for(MINUTE);
    let path = format!("{servers}/{}/os-volume_attachments", m.id("web-1"));
    let _ = sim.by_hand(
        "POST",
        &path,
        json!({"volumeAttachment": {"volumeId": m.id("data")}}),
    );
    sim.run_for(MINUTE);
    made
}

fn put(sim: &mut Sim, inventory: &mut Inventory, scope: &Scope, kinds: &[&'static dyn AnyKind]) {
    for kind in kinds {
        let items = sim.items(kind.name()).into_iter();
        let found = items.map(|it| kind.look(it).unwrap()).collect();
        let listing = Listing::new(sim.now, found, Vec::new());
        inventory
            .believe(scope, kind.name(), listing, |_| true)
            .unwrap();
    }
}

fn exported(sim: &mut Sim) -> Export {
    let (scope, mut inventory) = (Scope::new(sim::SCOPE), Inventory::default());
    let project = sim.project();
    let wish = Wish {
        kinds: usual_kinds(),
        only: None,
        scope: &scope,
        project: &project,
        adopt: true,
        suspend: false,
    };
    put(sim, &mut inventory, &scope, &kinds_to_list(&wish.kinds));
    let more = kinds_to_look_up(&wish, &inventory);
    put(sim, &mut inventory, &scope, &more);
    export(&wish, &inventory)
}

fn files(export: &Export) -> Vec<File> {
    let documents = export.documents.iter();
    documents
        .map(|it| (format!("{}-{}.yaml", it.kind, it.name), it.text.clone()))
        .collect()
}

/// Everything in the project, without marks and the cloud's diary.
fn world(sim: &mut Sim) -> BTreeMap<(&'static str, String), Value> {
    let (mut world, project) = (BTreeMap::new(), sim.project());
    for kind in usual_kinds() {
        for item in sim.items(kind.name()) {
            let found = kind.look(item.clone()).unwrap();
            if found.project.as_deref().is_some_and(|it| it != project) {
                continue;
            }
            // A router's leg that is plugged in again is another port; the interface stands for it.
            if kind.name() == "Port" && item["device_owner"] == "network:router_interface" {
                continue;
            }
            let key = found.natural_key.clone().unwrap_or(found.id);
            let _ = world.insert((kind.name(), key), plain(item));
        }
    }
    world
}

fn plain(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ours = |key: &str| {
                key.starts_with("stackward.")
                    || [
                        "updated_at",
                        "updated",
                        "revision_number",
                        "attached_at",
                        "attachment_id",
                    ]
                    .contains(&key)
            };
            let kept = map.into_iter().filter(|(key, _)| !ours(key));
            Value::Object(kept.map(|(key, value)| (key, plain(value))).collect())
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(plain).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::String(text) => {
            let (text, _) = stackward::kinds::marker::Marker::split(&text);
            json!(text)
        }
        other => other,
    }
}

fn assert_same(
    before: &BTreeMap<(&'static str, String), Value>,
    now: &BTreeMap<(&'static str, String), Value>,
) {
    let keys: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    for key in keys {
        assert_eq!(before.get(key), now.get(key), "{key:?}");
    }
}

#[test]
fn a_project_made_by_hand_is_taken_over_without_a_change() {
    let mut sim = Sim::new(1);
    let _ = project(&mut sim);
    let before = world(&mut sim);
    let export = exported(&mut sim);
    assert!(export.documents.len() >= 30, "{}", export.documents.len());
    let kinds: BTreeSet<&str> = export.documents.iter().map(|it| it.kind).collect();
    let usual: BTreeSet<&str> = usual_kinds().iter().map(|kind| kind.name()).collect();
    let made_here: BTreeSet<&str> = usual.difference(&UNMADE.into()).copied().collect();
    assert_eq!(kinds, made_here);
    assert_eq!(
        export,
        exported(&mut sim),
        "the same cloud gives the same text"
    );

    let desired = sim::assemble(&files(&export), None, &BTreeMap::new());
    let problems: Vec<String> = desired.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(desired.objects.len(), export.documents.len());
    sim.declare(&files(&export));
    sim.run_until_rest(60 * MINUTE);
    sim.assert_converged();
    let strange: Vec<&String> = sim
        .writes()
        .into_iter()
        .filter(|it| !it.contains(": adopt "))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert_same(&before, &world(&mut sim));

    // Nothing more, and nothing anew when the disk is lost.
    let writes = sim.writes().len();
    sim.run_for(60 * MINUTE);
    sim.lose_disk();
    sim.run_until_rest(60 * MINUTE);
    sim.assert_converged();
    assert_eq!(sim.writes().len(), writes);
    // What is ours is not exported again, but can be said to be ours.
    let again = exported(&mut sim);
    assert!(
        again
            .documents
            .iter()
            .all(|it| ["KeyPair", "ServerGroup"].contains(&it.kind)),
        "{:?}",
        again
            .documents
            .iter()
            .map(|it| (it.kind, &it.name))
            .collect::<Vec<_>>()
    );
}

/// Kinds that a project has and [`project`] does not make: one is secret, for one there is no
/// service.
const UNMADE: [&str; 2] = ["ApplicationCredential", "ShareNetwork"];

#[test]
fn what_was_taken_over_is_put_right_when_it_is_changed_by_hand() {
    let mut sim = Sim::new(2);
    let made = project(&mut sim);
    let export = exported(&mut sim);
    sim.declare(&files(&export));
    sim.run_until_rest(60 * MINUTE);
    sim.assert_converged();
    let before = world(&mut sim);
    let changes = meddle(&mut sim, &made);
    assert!(changes >= 25, "{changes}");
    sim.run_for(MINUTE);
    sim.run_until_rest(60 * MINUTE);
    sim.run_for(10 * MINUTE);
    sim.assert_converged();
    let mut now = world(&mut sim);
    let mut before = before;
    // What was deleted is another one now, of the same sort.
    for world in [&mut before, &mut now] {
        for ((kind, _), item) in world.iter_mut() {
            if *kind == "RouterInterface" {
                for field in ["id", "mac_address", "created_at"] {
                    item[field] = Value::Null;
                }
            }
        }
    }
    assert_same(&before, &now);
}

/// Changes each resource; how many.
fn meddle(sim: &mut Sim, made: &Made) -> usize {
    let mut count = 0;
    let project = sim.project();
    let neutron = [
        ("Network", "networks", "network"),
        ("Subnet", "subnets", "subnet"),
        ("Router", "routers", "router"),
        ("AddressScope", "address-scopes", "address_scope"),
        ("Trunk", "trunks", "trunk"),
        ("Port", "ports", "port"),
        ("SecurityGroup", "security-groups", "security_group"),
    ];
    for (kind, path, one) in neutron {
        for item in sim.items(kind) {
            let owner = item["device_owner"].as_str().unwrap_or_default();
            if item["project_id"] != project
                || item["name"] == "default"
                || owner.starts_with("network:")
            {
                continue;
            }
            let id = item["id"].as_str().unwrap();
            let body = json!({ one: {"name": "hijacked"} });
            let _ = sim.by_hand("PUT", &format!("/network/v2.0/{path}/{id}"), body);
            count += 1;
        }
    }
    // The mark goes with the description: the manifest says which one it is.
    for name in ["shop", "spare"] {
        let body = json!({"floatingip": {"description": "hijacked", "port_id": null}});
        let _ = sim.by_hand(
            "PUT",
            &format!("/network/v2.0/floatingips/{}", made.id(name)),
            body,
        );
        count += 1;
    }
    for (kind, path, one) in [
        ("Volume", "volumes", "volume"),
        ("VolumeSnapshot", "snapshots", "snapshot"),
    ] {
        for item in sim.items(kind) {
            // What a manifest does not set, such as a description here, is nobody's drift.
            let body = json!({ one: {"name": "hijacked"} });
            let path = format!("/volume/v3/{path}/{}", item["id"].as_str().unwrap());
            let _ = sim.by_hand("PUT", &path, body);
            count += 1;
        }
    }
    for item in sim.items("Server") {
        let path = format!("/compute/v2.1/servers/{}", item["id"].as_str().unwrap());
        let _ = sim.by_hand("PUT", &path, json!({"server": {"name": "hijacked"}}));
        count += 1;
    }
    let path = format!(
        "/compute/v2.1/servers/{}/os-volume_attachments/{}",
        made.id("web-1"),
        made.id("data")
    );
    let _ = sim.by_hand("DELETE", &path, Value::Null);
    let _ = sim.by_hand("DELETE", "/compute/v2.1/os-keypairs/ops", Value::Null);
    let leg = json!({"subnet_id": made.id("back-v4")});
    let path = format!(
        "/network/v2.0/routers/{}/remove_router_interface",
        made.id("edge")
    );
    let _ = sim.by_hand("PUT", &path, leg);
    count + 2
}

/// The program in a directory with a clouds.yaml.
fn stackward(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stackward"));
    let command = command.current_dir(directory).env_clear();
    let command = command
        .env("HOME", directory)
        .env("OS_CLIENT_CONFIG_FILE", "clouds.yaml");
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{error}");
    text.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_exports_what_it_then_plans_to_adopt_and_nothing_else() {
    let options = Options {
        clock: Clock::Fast,
        ..Options::default()
    };
    let cloud = Sandbox::start(options, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // `sandbox` is the one inside of the program.
    let clouds = cloud.clouds_yaml().replace("  sandbox:\n", "  demo:\n");
    std::fs::write(at.join("clouds.yaml"), clouds).unwrap();
    // Made by another stackward, which is then forgotten: without its marks, nothing is ours.
    std::fs::create_dir(at.join("first")).unwrap();
    let network = "apiVersion: stackward.dev/v1alpha1\nkind: Network\nmetadata: {name: kept}\nspec: {resource: {}}\n";
    std::fs::write(at.join("first/n.yaml"), network).unwrap();
    let first = [
        "run",
        "--once",
        "--manifests",
        "first",
        "--cloud",
        "demo",
        "--state-dir",
        "s1",
    ];
    let run = |arguments: &[&str]| stackward(at, arguments);
    let _ = out(&run(&first));
    let text = out(&run(&["export", "--cloud", "demo"]));
    assert!(
        text.contains("# Not exported: Network kept: managed by the stackward"),
        "{text}"
    );
    assert!(!text.contains("name: kept"), "{text}");

    let told = out(&run(&[
        "export",
        "--cloud",
        "demo",
        "--output",
        "all",
        "--suspend",
    ]));
    assert!(told.contains("below all"), "{told}");
    let again = run(&["export", "--cloud", "demo", "--output", "all"]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
    let valid = out(&run(&["validate", "--strict", "all"]));
    assert!(valid.contains("0 errors, 0 warnings"), "{valid}");
    let unknown = run(&["export", "--cloud", "demo", "--kind", "Netwerk"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `Network`?"));
    let elsewhere = run(&["export", "--cloud", "demo", "--project", "admin"]);
    assert!(!elsewhere.status.success(), "the user has no role there");
    let flavors = out(&run(&[
        "export",
        "--cloud",
        "demo",
        "--kind",
        "Flavor,VolumeType",
    ]));
    assert!(flavors.contains("kind: Flavor\n"), "{flavors}");

    // One alone, by name.
    let one = out(&run(&["adopt", "network", "private", "--cloud", "demo"]));
    std::fs::create_dir(at.join("one")).unwrap();
    std::fs::write(at.join("one/private.yaml"), &one).unwrap();
    let plan = [
        "plan",
        "--cloud",
        "demo",
        "--state-dir",
        "s2",
        "--manifests",
    ];
    let plan = out(&run(&[&plan[..], &["one"]].concat()));
    assert!(
        plan.contains("<= Network/private") && plan.contains("1 to adopt"),
        "{plan}"
    );
    for (arguments, words) in [
        (
            ["network", "kept"],
            "Network kept is not taken over: managed by the stackward",
        ),
        (["network", "nothing"], "there is no Network nothing"),
        (["netwerk", "private"], "did you mean `Network`?"),
    ] {
        let refused = run(&[&["adopt", "--cloud", "demo"], &arguments[..]].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(words), "{said}");
    }
}
