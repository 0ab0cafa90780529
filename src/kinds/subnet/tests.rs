//! Tests of Neutron's subnets, against recorded answers.

use super::super::erased::{Intent, Of, unclassified};
use super::super::neutron::testing::*;
use super::*;

const RECORDED: &str = include_str!("../testdata/subnet.json");
const NETWORK: &str = "2947d296-3fb8-48a9-a057-98e0c66e1fd1";

fn minimal(more: &Value) -> Value {
    let mut spec = json!({"networkRef": {"id": NETWORK}, "cidr": "192.168.50.7/24"});
    for (name, value) in more.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

#[test]
fn every_field_is_classified() {
    assert_eq!(unclassified(&Of::<Subnet>::NEW), Vec::<String>::new());
}

#[test]
fn what_is_created_is_what_was_wanted() {
    let whole = json!({
        "name": "a", "description": "b", "ipVersion": 4, "enableDHCP": false,
        "allocationPools": [{"start": "192.168.50.100", "end": "192.168.50.200"}],
        "gateway": {"type": "IP", "ip": "192.168.50.254"}, "tags": ["x"],
        "dnsNameservers": ["1.1.1.1", "9.9.9.9"], "dnsPublishFixedIP": true,
        "hostRoutes": [{"destination": "10.1.2.3/8", "nextHop": "192.168.50.9"}],
    });
    assert_eq!(unlike::<Subnet>(&minimal(&whole), &json!({})), ["tags"]);
    let answer = json!({"gateway_ip": "192.168.50.1"});
    for gateway in [json!({"type": "None"}), json!({"type": "Automatic"})] {
        let spec = minimal(&json!({ "gateway": gateway }));
        assert_eq!(
            unlike::<Subnet>(&spec, &answer),
            Vec::<&str>::new(),
            "{spec}"
        );
    }
    let six = json!({
        "networkRef": {"id": "n"}, "cidr": "2001:DB8:0::1/64",
        "ipv6": {"addressMode": "slaac", "raMode": "dhcpv6-stateless"},
    });
    assert_eq!(unlike::<Subnet>(&six, &json!({})), Vec::<&str>::new());
}

#[test]
fn the_block_is_sent_in_its_canonical_form_with_its_version() {
    let want = resolved::<Subnet>(&minimal(&json!({"gateway": {"type": "None"}})));
    let call = request::<Subnet>(&Intent::Create, &want, None).unwrap();
    let description = marker().describe(None);
    assert_eq!(
        body(&call),
        &json!({"subnet": {
            "name": "called", "description": description, "network_id": NETWORK,
            "cidr": "192.168.50.0/24", "ip_version": 4, "gateway_ip": null,
        }})
    );
}

#[test]
fn a_recorded_subnet_is_understood() {
    let found = fixture::<Subnet>(RECORDED);
    assert_eq!(found.health, Health::Ready);
    let status = status::<Subnet>(&found);
    assert_eq!(status["networkID"], NETWORK);
    assert_eq!(status["gatewayIP"], "192.168.50.1");
    assert_eq!(status["cidr"], "192.168.50.0/24");
    assert_eq!(status["dnsNameservers"], json!(["192.168.50.2"]));
    assert_eq!(drift::<Subnet>(&minimal(&json!({})), &found), []);
    let automatic = json!({"gateway": {"type": "Automatic"}, "ipVersion": 4});
    assert_eq!(drift::<Subnet>(&minimal(&automatic), &found), []);
}

#[test]
fn changes_go_in_one_request() {
    let found = fixture::<Subnet>(RECORDED);
    let want = minimal(&json!({
        "gateway": {"type": "None"}, "dnsNameservers": [], "enableDHCP": true,
        "hostRoutes": [{"destination": "10.0.0.0/8", "nextHop": "192.168.50.9"}],
    }));
    let fields: Vec<_> = drift::<Subnet>(&want, &found)
        .iter()
        .map(|it| it.field)
        .collect();
    assert_eq!(fields, ["gateway", "dnsNameservers", "hostRoutes"]);
    let want = resolved::<Subnet>(&want);
    let call = request::<Subnet>(&Intent::Update(fields), &want, Some(&found)).unwrap();
    assert_eq!(
        body(&call),
        &json!({"subnet": {
            "gateway_ip": null, "dns_nameservers": [],
            "host_routes": [{"destination": "10.0.0.0/8", "nexthop": "192.168.50.9"}],
        }})
    );
}

#[test]
fn filters_compare_blocks_as_blocks() {
    let found = fixture::<Subnet>(RECORDED);
    for filter in [
        json!({"cidr": "192.168.50.9/24"}),
        json!({"networkRef": {"id": NETWORK}, "ipVersion": 4}),
        json!({"gatewayIP": "192.168.50.1"}),
    ] {
        assert!(chooses::<Subnet>(&filter, &found), "{filter}");
    }
    for filter in [
        json!({"cidr": "192.168.50.0/25"}),
        json!({"networkRef": {"id": "another"}}),
        json!({"networkRef": "not-resolved"}),
        json!({"ipv6": {"addressMode": "slaac"}}),
        json!({"gatewayIP": "192.168.50.2"}),
    ] {
        assert!(!chooses::<Subnet>(&filter, &found), "{filter}");
    }
}

#[test]
fn what_cannot_be_is_refused_at_its_place() {
    for (more, pointers) in [
        (json!({"ipVersion": 6}), vec!["/ipVersion"]),
        (json!({"gateway": {"type": "IP"}}), vec!["/gateway"]),
        (
            json!({"gateway": {"type": "IP", "ip": "::1"}}),
            vec!["/gateway/ip"],
        ),
        (json!({"ipv6": {"raMode": "slaac"}}), vec!["/ipv6"]),
        (
            json!({"allocationPools": [
                {"start": "192.168.50.9", "end": "192.168.50.2"},
                {"start": "192.168.51.1", "end": "192.168.51.2"},
            ]}),
            vec!["/allocationPools/0", "/allocationPools/1"],
        ),
        (json!({"gateway": {"type": "Automatic"}}), vec![]),
    ] {
        assert_eq!(complaints::<Subnet>(&minimal(&more)), pointers, "{more}");
    }
}
