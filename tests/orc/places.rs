//! What ORC has made elsewhere than in the project of the credentials, or by another object: other
//! projects, domains, hosts, and the interface that a subnet stands for.

use std::time::Duration;

use serde_json::{Value, json};
use stackward::manifest::Key;

use crate::defects::{converge, import, named, orc};
use crate::sim::Sim;

const MINUTE: Duration = Duration::from_secs(60);

fn key(kind: &str, name: &str) -> Key {
    Key::new(kind, "default", name)
}

fn id(sim: &Sim, kind: &str, name: &str) -> String {
    let snapshot = sim.engine.snapshot();
    snapshot.objects[&key(kind, name)]
        .status
        .id
        .clone()
        .unwrap()
}

/// One of each kind that can be made in another project.
fn elsewhere() -> Vec<(String, String)> {
    vec![
        import("Network", "public", &json!({"name": "public"})),
        orc("Project", "tenant", &json!({})),
        orc(
            "AddressScope",
            "a",
            &json!({"ipVersion": 4, "projectRef": "tenant"}),
        ),
        orc("Network", "n", &json!({"projectRef": "tenant"})),
        orc(
            "Subnet",
            "s",
            &json!({"networkRef": "n", "cidr": "10.9.0.0/24", "ipVersion": 4,
                "projectRef": "tenant", "routerRef": "r"}),
        ),
        orc(
            "SecurityGroup",
            "g",
            &json!({"projectRef": "tenant", "tags": ["t"], "rules": [{"ethertype": "IPv4"}]}),
        ),
        orc(
            "Port",
            "p",
            &json!({"networkRef": "n", "projectRef": "tenant", "securityGroupRefs": ["g"],
                "addresses": [{"subnetRef": "s"}]}),
        ),
        orc(
            "Trunk",
            "t",
            &json!({"portRef": "p", "projectRef": "tenant"}),
        ),
        orc(
            "Router",
            "r",
            &json!({"projectRef": "tenant", "externalGateways": [{"networkRef": "public"}]}),
        ),
        orc(
            "FloatingIP",
            "f",
            &json!({"floatingNetworkRef": "public", "projectRef": "tenant"}),
        ),
    ]
}

const KINDS: [(&str, &str); 9] = [
    ("AddressScope", "a"),
    ("Network", "n"),
    ("Subnet", "s"),
    ("RouterInterface", "s-subnet"),
    ("SecurityGroup", "g"),
    ("Port", "p"),
    ("Trunk", "t"),
    ("Router", "r"),
    ("FloatingIP", "f"),
];

fn there(sim: &mut Sim, kind: &str, id: &str) -> Option<Value> {
    sim.items(kind).into_iter().find(|item| item["id"] == id)
}

#[test]
fn an_administrator_makes_keeps_and_deletes_what_is_in_another_project() {
    let mut sim = Sim::of_admin(1);
    converge(&mut sim, &elsewhere());
    let tenant = id(&sim, "Project", "tenant");
    let ids: Vec<String> = KINDS
        .iter()
        .map(|(kind, name)| id(&sim, kind, name))
        .collect();
    for ((kind, _), id) in KINDS.iter().zip(&ids) {
        let item = there(&mut sim, kind, id).unwrap();
        assert_eq!(item["project_id"], tenant, "{kind} {item}");
    }
    // A daemon that starts anew knows them as its own, with and without its journal.
    let writes = sim.writes().len();
    sim.restart();
    sim.run_until_rest(10 * MINUTE);
    sim.assert_converged();
    sim.lose_disk();
    sim.run_until_rest(10 * MINUTE);
    sim.assert_converged();
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
}

#[test]
fn what_is_in_another_project_goes_with_its_manifest() {
    let mut sim = Sim::of_admin(1);
    converge(&mut sim, &elsewhere());
    let ids: Vec<String> = KINDS
        .iter()
        .map(|(kind, name)| id(&sim, kind, name))
        .collect();
    sim.settings.prune_allow_empty = true;
    sim.restart();
    sim.declare(&[elsewhere()[0].clone()]);
    sim.run_for(120 * MINUTE);
    let trace = sim.trace.join("\n");
    for ((kind, _), id) in KINDS.iter().zip(&ids) {
        assert!(there(&mut sim, kind, id).is_none(), "{kind}\n{trace}");
    }
}

#[test]
fn what_carries_our_marker_in_a_project_that_nobody_names_is_not_ours() {
    let mut sim = Sim::of_admin(1);
    let project = orc("Project", "tenant", &json!({}));
    let network = orc("Network", "n", &json!({"projectRef": "tenant"}));
    converge(&mut sim, &[project.clone(), network]);
    let first = id(&sim, "Network", "n");
    // The project is not named any more, and the journal is lost: it may be anybody's.
    sim.declare(std::slice::from_ref(&project));
    sim.disk = stackward::engine::journal::Journal::default();
    sim.restart();
    converge(&mut sim, &[project, orc("Network", "n", &json!({}))]);
    assert_ne!(id(&sim, "Network", "n"), first);
    assert!(there(&mut sim, "Network", &first).is_some());
}

#[test]
fn a_filter_finds_what_is_in_a_project() {
    let mut sim = Sim::of_admin(1);
    let files = [
        orc("Project", "tenant", &json!({})),
        orc(
            "Network",
            "one",
            &json!({"name": "same", "projectRef": "tenant"}),
        ),
        orc("Network", "other", &json!({"name": "same"})),
        import(
            "Network",
            "found",
            &json!({"name": "same", "projectRef": "tenant"}),
        ),
    ];
    converge(&mut sim, &files);
    assert_eq!(id(&sim, "Network", "found"), id(&sim, "Network", "one"));
}

fn plugged(router: Option<&str>) -> Vec<(String, String)> {
    let mut subnet = json!({"networkRef": "n", "cidr": "10.9.0.0/24", "ipVersion": 4});
    if let Some(router) = router {
        subnet["routerRef"] = json!(router);
    }
    vec![
        orc("Network", "n", &json!({})),
        orc("Router", "r", &json!({})),
        orc("Subnet", "s", &subnet),
    ]
}

#[test]
fn a_subnet_is_plugged_into_its_router_by_an_interface_that_goes_first() {
    let mut sim = Sim::new(1);
    converge(&mut sim, &plugged(Some("r")));
    let interface = id(&sim, "RouterInterface", "s-subnet");
    assert_eq!(
        there(&mut sim, "RouterInterface", &interface).unwrap()["device_id"],
        id(&sim, "Router", "r")
    );
    sim.declare(&plugged(Some("r"))[..2]);
    sim.run_for(30 * MINUTE);
    sim.assert_converged();
    assert!(there(&mut sim, "RouterInterface", &interface).is_none());
    let at = |what: &str| {
        sim.trace
            .iter()
            .position(|line| line.contains(what))
            .unwrap()
    };
    assert!(at("remove_router_interface") < at("delete DELETE subnets"));
}

#[test]
fn a_subnet_without_its_router_is_unplugged() {
    let mut sim = Sim::new(1);
    converge(&mut sim, &plugged(None));
    converge(&mut sim, &plugged(Some("r")));
    let interface = id(&sim, "RouterInterface", "s-subnet");
    sim.declare(&plugged(None));
    sim.run_for(30 * MINUTE);
    sim.assert_converged();
    assert!(there(&mut sim, "RouterInterface", &interface).is_none());
    assert_eq!(named(&mut sim, "Subnet", "s")["cidr"], "10.9.0.0/24");
}

#[test]
fn an_interface_stays_while_the_manifest_of_its_subnet_is_wrong() {
    let mut sim = Sim::new(1);
    converge(&mut sim, &plugged(Some("r")));
    let interface = id(&sim, "RouterInterface", "s-subnet");
    let mut files = plugged(Some("r"));
    files[2] = orc(
        "Subnet",
        "s",
        &json!({"networkRef": "n", "cidr": "nonsense"}),
    );
    sim.declare(&files);
    sim.run_for(60 * MINUTE);
    assert!(there(&mut sim, "RouterInterface", &interface).is_some());
}

#[test]
fn an_interface_that_is_declared_as_well_is_a_problem() {
    let mut sim = Sim::new(1);
    let mut files = plugged(Some("r"));
    let interface = json!({"type": "Subnet", "routerRef": "r", "subnetRef": "s"});
    files.push(orc("RouterInterface", "s-subnet", &interface));
    sim.declare(&files);
    let problems: Vec<String> = sim
        .desired
        .problems
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        problems.join("\n").contains("is declared as well"),
        "{problems:?}"
    );
}

#[test]
fn a_role_belongs_to_its_domain_and_is_seen_there() {
    let mut sim = Sim::of_admin(1);
    let domain = orc("Domain", "d", &json!({"enabled": false}));
    let role = |description: &str| {
        orc(
            "Role",
            "r",
            &json!({"domainRef": "d", "description": description}),
        )
    };
    // The same name in no domain is another role.
    let plain = orc("Role", "plain", &json!({"name": "r"}));
    converge(&mut sim, &[domain.clone(), role("one"), plain.clone()]);
    assert_ne!(id(&sim, "Role", "r"), id(&sim, "Role", "plain"));
    let writes = sim.writes().len();
    sim.restart();
    sim.run_until_rest(10 * MINUTE);
    sim.assert_converged();
    assert_eq!(sim.writes()[writes..], [] as [&String; 0]);
    converge(&mut sim, &[domain.clone(), role("two"), plain.clone()]);
    sim.declare(&[domain, plain]);
    sim.run_for(30 * MINUTE);
    sim.assert_converged();
    let deletions = sim
        .trace
        .iter()
        .filter(|line| line.contains("DELETE roles"));
    assert_eq!(deletions.count(), 1);
}

#[test]
fn a_port_is_bound_to_its_host() {
    let mut sim = Sim::of_admin(1);
    let files = [
        orc("Network", "n", &json!({})),
        orc(
            "Port",
            "p",
            &json!({"networkRef": "n", "hostID": {"id": "compute-7"}}),
        ),
    ];
    converge(&mut sim, &files);
    assert_eq!(named(&mut sim, "Port", "p")["binding:host_id"], "compute-7");
}

#[test]
fn an_address_leads_to_the_first_port_of_a_server() {
    let mut sim = Sim::new(1);
    let native = |kind: &str, name: &str, resource: Value| {
        let manifest = json!({"apiVersion": "stackward.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name}, "spec": {"resource": resource}});
        (format!("{name}.json"), manifest.to_string())
    };
    let files = [
        native("Volume", "root", json!({"size": 1})),
        native(
            "Port",
            "p",
            json!({"networkRef": {"filter": {"name": "private"}}}),
        ),
    ];
    converge(&mut sim, &files);
    let root = id(&sim, "Volume", "root");
    let path = format!("/volume/v3/volumes/{root}/action");
    sim.by_hand(
        "POST",
        &path,
        json!({"os-set_bootable": {"bootable": true}}),
    );
    let [root, port] = files;
    let files = [
        root,
        port,
        native(
            "Server",
            "s",
            json!({"flavorRef": {"filter": {"name": "m1.tiny"}},
                "bootVolume": {"volumeRef": "root"}, "ports": [{"portRef": "p"}]}),
        ),
        native(
            "FloatingIP",
            "f",
            json!({"floatingNetworkRef": {"filter": {"name": "public"}}, "serverRef": "s"}),
        ),
    ];
    converge(&mut sim, &files);
    let address = sim.items("FloatingIP")[0].clone();
    assert_eq!(address["port_id"], id(&sim, "Port", "p"));
}
