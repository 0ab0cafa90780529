//! Tests of Neutron's ports, against recorded answers.

use std::net::IpAddr;

use super::super::erased::{Intent, Of, unclassified};
use super::super::neutron::testing::*;
use super::*;
use proptest::prelude::*;

const RECORDED: &str = include_str!("../testdata/port.json");
const BOUND: &str = include_str!("../testdata/port-bound.json");
const NETWORK: &str = "2947d296-3fb8-48a9-a057-98e0c66e1fd1";
const SUBNET: &str = "8406c6eb-1a51-4952-b895-a6fdbcb8a578";
const GROUP: &str = "59da5f85-cb22-40db-bd5f-ea6677cd74e8";

fn minimal(more: &Value) -> Value {
    let mut spec = json!({"networkRef": {"id": NETWORK}});
    for (name, value) in more.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

#[test]
fn every_field_is_classified() {
    assert_eq!(unclassified(&Of::<Port>::NEW), Vec::<String>::new());
}

#[test]
fn what_is_created_is_what_was_wanted() {
    let answer = json!({"mac_address": "fa:16:3e:00:00:01"});
    let whole = minimal(&json!({
        "name": "a", "description": "b", "adminStateUp": false, "portSecurity": "Enabled",
        "addresses": [{"subnetRef": {"id": SUBNET}, "ip": "192.168.50.10"}],
        "allowedAddressPairs": [{"ip": "10.0.0.9/24", "mac": "FA-16-3E-00-00-02"}],
        "macAddress": "FA:16:3E:00:00:09", "securityGroupRefs": [{"id": "b"}, {"id": "a"}],
        "vnicType": "direct", "trustedVIF": true, "propagateUplinkStatus": true,
        "tags": ["x"],
    }));
    assert_eq!(unlike::<Port>(&whole, &answer), ["tags"]);
    let plain = minimal(&json!({"portSecurity": "Inherit"}));
    assert_eq!(unlike::<Port>(&plain, &answer), Vec::<&str>::new());
    let open = minimal(&json!({"portSecurity": "Disabled"}));
    assert_eq!(unlike::<Port>(&open, &answer), Vec::<&str>::new());
}

#[test]
fn groups_are_sent_only_when_they_are_set() {
    let groups = |more: Value| {
        let want = resolved::<Port>(&minimal(&more));
        let call = request::<Port>(&Intent::Create, &want, None).unwrap();
        body(&call)["port"].get("security_groups").cloned()
    };
    assert_eq!(groups(json!({})), None);
    assert_eq!(groups(json!({"securityGroupRefs": []})), Some(json!([])));
    assert_eq!(groups(json!({"portSecurity": "Disabled"})), Some(json!([])));
}

#[test]
fn further_properties_cannot_displace_the_marker() {
    let more = json!({"valueSpecs": [
        {"key": "description", "value": "mine"}, {"key": "dns_name", "value": "db"},
    ]});
    assert_eq!(complaints::<Port>(&minimal(&more)), ["/valueSpecs/0/key"]);
    let call = request::<Port>(&Intent::Create, &minimal(&more), None).unwrap();
    assert_eq!(body(&call)["port"]["dns_name"], "db");
    assert_eq!(body(&call)["port"]["description"], marker().describe(None));
}

#[test]
fn a_recorded_port_is_understood() {
    let free = fixture::<Port>(RECORDED);
    assert_eq!((&free.health, free.attached_to.len()), (&Health::Ready, 0));
    let bound = fixture::<Port>(BOUND);
    assert_eq!(bound.health, Health::Ready);
    assert_eq!(bound.attached_to, ["01f0709f-8223-4a4c-ae41-bafa6816f5b1"]);
    let status = status::<Port>(&bound);
    let address = json!({"ip": "192.168.50.10", "subnetID": SUBNET});
    assert_eq!(status["fixedIPs"], json!([address]));
    assert_eq!(status["deviceOwner"], "compute:nova");
    assert_eq!(status["securityGroups"], json!([GROUP]));
    let want = minimal(&json!({
        "addresses": [{"subnetRef": {"id": SUBNET}}], "portSecurity": "Enabled",
        "securityGroupRefs": [{"id": GROUP}], "allowedAddressPairs": [],
        "macAddress": "fa:16:3e:a3:b4:0b", "hostID": {"id": "matters at birth only"},
    }));
    assert_eq!(drift::<Port>(&want, &bound), []);
}

#[test]
fn addresses_that_appear_by_themselves_are_no_drift() {
    let mut port: Value = serde_json::from_str(RECORDED).unwrap();
    let own = json!({"subnet_id": "six", "ip_address": "2001:db8::f816:3eff:fea3:b40b"});
    port["fixed_ips"].as_array_mut().unwrap().insert(0, own);
    let found = look::<Port>(port);
    let address = |ip: &str| json!([{"subnetRef": {"id": SUBNET}, "ip": ip}]);
    let same = minimal(&json!({"addresses": address("192.168.50.10")}));
    assert_eq!(drift::<Port>(&same, &found), []);

    let other = minimal(&json!({"addresses": address("192.168.50.11")}));
    let fields: Vec<_> = drift::<Port>(&other, &found)
        .iter()
        .map(|it| it.field)
        .collect();
    assert_eq!(fields, ["addresses"]);
    let call = request::<Port>(&Intent::Act("addresses"), &other, Some(&found)).unwrap();
    let wanted = json!([{"subnet_id": SUBNET, "ip_address": "192.168.50.11"}]);
    assert_eq!(body(&call), &json!({"port": {"fixed_ips": wanted}}));
}

#[test]
fn without_port_security_there_are_no_groups() {
    let found = fixture::<Port>(RECORDED);
    let want = minimal(&json!({"portSecurity": "Disabled"}));
    let call = request::<Port>(&Intent::Update(vec!["portSecurity"]), &want, Some(&found)).unwrap();
    assert_eq!(
        body(&call),
        &json!({"port": {
            "port_security_enabled": false, "security_groups": [], "allowed_address_pairs": [],
        }})
    );
    let both = minimal(&json!({
        "portSecurity": "Disabled", "securityGroupRefs": [], "allowedAddressPairs": [],
    }));
    assert_eq!(
        complaints::<Port>(&both),
        ["/securityGroupRefs", "/allowedAddressPairs"]
    );
}

#[test]
fn a_pair_without_a_mac_is_satisfied_by_the_one_that_neutron_fills_in() {
    let mut port: Value = serde_json::from_str(RECORDED).unwrap();
    let pair = json!({"ip_address": "10.0.0.7/32", "mac_address": "fa:16:3e:a3:b4:0b"});
    port["allowed_address_pairs"] = json!([pair]);
    let found = look::<Port>(port);
    let want = |pairs: Value| minimal(&json!({ "allowedAddressPairs": pairs }));
    assert_eq!(
        drift::<Port>(&want(json!([{"ip": "10.0.0.7"}])), &found),
        []
    );
    assert_eq!(
        drift::<Port>(&want(json!([{"ip": "10.0.0.8"}])), &found).len(),
        1
    );
    assert_eq!(drift::<Port>(&want(json!([])), &found).len(), 1);
}

#[test]
fn filters_choose_by_network_and_mac() {
    let found = fixture::<Port>(RECORDED);
    for filter in [
        json!({"networkRef": {"id": NETWORK}, "adminStateUp": true}),
        json!({"macAddress": "FA:16:3E:A3:B4:0B"}),
    ] {
        assert!(chooses::<Port>(&filter, &found), "{filter}");
    }
    for filter in [
        json!({"networkRef": {"id": "other"}}),
        json!({"adminStateUp": false}),
    ] {
        assert!(!chooses::<Port>(&filter, &found), "{filter}");
    }
}

#[test]
fn addresses_that_are_none_are_refused() {
    let more = json!({
        "macAddress": "fa:16:3e", "allowedAddressPairs": [{"ip": "10.0.0", "mac": "x"}],
    });
    assert_eq!(
        complaints::<Port>(&minimal(&more)),
        [
            "/macAddress",
            "/allowedAddressPairs/0/ip",
            "/allowedAddressPairs/0/mac"
        ]
    );
}

proptest! {
    #[test]
    fn a_block_has_one_spelling(address: u32, length in 0_u8..=32) {
        let address = std::net::Ipv4Addr::from(address);
        let once = canonical_block(&format!("{address}/{length}"));
        prop_assert_eq!(&canonical_block(&once), &once);
        prop_assert!(block(&once).unwrap().contains(&IpAddr::from(address)));
    }
}
