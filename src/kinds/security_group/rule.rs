//! Rules of security groups, and the one form in which Neutron would call two of them the same.
//!
//! A rule has no update: it is there or it is not. Everything here is about telling which.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::kinds::{Complaint, neutron};
use crate::manifest::Ref;

/// The fields in which two rules must differ to be two rules. A description is none of them.
pub const IDENTITY: &[&str] = &[
    "direction",
    "ethertype",
    "protocol",
    "portRange",
    "remoteIPPrefix",
    "remoteGroupRef",
    "remoteSelf",
    "remoteAddressGroupID",
];

/// Protocols by the names that Neutron has for them. Of several names of a number the first is the
/// one that Neutron answers.
const PROTOCOLS: &[(&str, u8)] = &[
    ("ah", 51),
    ("dccp", 33),
    ("egp", 8),
    ("esp", 50),
    ("gre", 47),
    ("icmp", ICMP),
    ("igmp", 2),
    ("ipip", 4),
    ("ipv6-encap", 41),
    ("ipv6-frag", 44),
    ("ipv6-icmp", IPV6_ICMP),
    ("icmpv6", IPV6_ICMP),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-route", 43),
    ("ospf", 89),
    ("pgm", 113),
    ("rsvp", 46),
    ("sctp", 132),
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("vrrp", 112),
];
const ICMP: u8 = 1;
const IPV6_ICMP: u8 = 58;
const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];
/// Those that only IPv6 has.
const ONLY_IPV6: [u8; 6] = [41, 43, 44, IPV6_ICMP, 59, 60];

/// A rule: what it describes is allowed, everything else is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Free text for people. It is given at birth and never compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Into the port or out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Which IP.
    pub ethertype: Ethertype,
    /// The protocol by name or, in quotes, by number; any if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["tcp", "udp", "6", "icmp", "ipv6-icmp", "58", "vrrp", "any"]))]
    pub protocol: Option<String>,
    /// The ports; of ICMP, type and code. All if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_range: Option<PortRange>,
    /// The other side's addresses; all if not set.
    #[serde(
        default,
        rename = "remoteIPPrefix",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>", extend("format" = "cidr"))]
    pub remote_ip_prefix: Option<IpNet>,
    /// The other side's security group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_group_ref: Option<Ref>,
    /// True: the other side is this group itself. A reference to it would wait for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_self: Option<bool>,
    /// Id of the other side's address group.
    #[serde(
        default,
        rename = "remoteAddressGroupID",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("format" = "uuid"))]
    pub remote_address_group_id: Option<String>,
}

/// Into a port or out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Into the port.
    Ingress,
    /// Out of the port.
    Egress,
}

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Ethertype {
    /// IPv4.
    #[serde(rename = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    V6,
}

/// A range of ports; of ICMP, type and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// First port; of ICMP, the type.
    pub min: u16,
    /// Last port; of ICMP, the code, and all codes if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u16>,
}

/// A rule as Neutron answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct RuleObject {
    pub(super) id: String,
    pub(super) description: Option<String>,
    pub(super) direction: Direction,
    pub(super) ethertype: Ethertype,
    pub(super) protocol: Option<String>,
    port_range_min: Option<i32>,
    port_range_max: Option<i32>,
    pub(super) remote_ip_prefix: Option<IpNet>,
    pub(super) remote_group_id: Option<String>,
    pub(super) remote_address_group_id: Option<String>,
}

impl RuleObject {
    /// The rule in its canonical form, of the group with this id.
    pub(super) fn rule(&self, group: &str) -> Rule {
        let (own, other): (Option<String>, Option<String>) = match self.remote_group_id.clone() {
            Some(id) if id == group => (Some(id), None),
            other => (None, other),
        };
        let mut rule = Rule {
            description: self.description.as_deref().and_then(neutron::filled),
            direction: Some(self.direction),
            ethertype: self.ethertype,
            protocol: self.protocol.clone(),
            port_range: self.port_range(),
            remote_ip_prefix: self.remote_ip_prefix,
            remote_group_ref: other.map(Ref::Id),
            remote_self: own.map(|_| true),
            remote_address_group_id: self.remote_address_group_id.clone(),
        };
        rule.canonicalise();
        rule
    }

    pub(super) fn port_range(&self) -> Option<PortRange> {
        let port = |number: Option<i32>| u16::try_from(number?).ok();
        Some(PortRange {
            min: port(self.port_range_min)?,
            max: port(self.port_range_max),
        })
    }
}

impl Rule {
    /// Brings the rule into the form in which equal rules are equal.
    pub(super) fn canonicalise(&mut self) {
        let canonical = |text: String| canonical_protocol(&text, self.ethertype);
        self.protocol = self.protocol.take().map(canonical);
        self.remote_self = self.remote_self.filter(|is_self| *is_self);
        // Neutron stores an empty one, and answers none for the rules that it makes itself.
        self.description = self.description.take().filter(|it| !it.is_empty());
        // Neutron calls "all addresses" and "none named" the same.
        self.remote_ip_prefix = self
            .remote_ip_prefix
            .map(|it| it.trunc())
            .filter(|it| it.prefix_len() > 0);
    }

    /// Are the two the same to Neutron? Both are in their canonical form.
    pub(super) fn same(&self, other: &Self) -> bool {
        let bare = |rule: &Self| Self {
            description: None,
            ..rule.clone()
        };
        bare(self) == bare(other)
    }

    /// The body that adds it to a group.
    pub(super) fn body(&self, group: &str) -> Value {
        let mut body = Map::new();
        body.insert("security_group_id".to_owned(), json!(group));
        body.insert("ethertype".to_owned(), json!(self.ethertype));
        neutron::set(&mut body, "direction", self.direction);
        neutron::set(&mut body, "description", self.description.as_ref());
        neutron::set(&mut body, "protocol", self.protocol.as_ref());
        neutron::set(
            &mut body,
            "port_range_min",
            self.port_range.map(|it| it.min),
        );
        neutron::set(
            &mut body,
            "port_range_max",
            self.port_range.and_then(|it| it.max),
        );
        neutron::set(&mut body, "remote_ip_prefix", self.remote_ip_prefix);
        let remote = match self.remote_self {
            Some(true) => Some(group),
            _ => self.remote_group_ref.as_ref().and_then(Ref::id),
        };
        neutron::set(&mut body, "remote_group_id", remote);
        let addresses = self.remote_address_group_id.as_ref();
        neutron::set(&mut body, "remote_address_group_id", addresses);
        json!({ "security_group_rule": body })
    }

    /// What is wrong with it, where `pointer` is its place.
    pub(super) fn check(&self, pointer: &str) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        if self.direction.is_none() {
            let message = "a rule needs its direction: ingress or egress";
            let hint = "write `direction: ingress` or `direction: egress`";
            complaints.push(Complaint::new(pointer, message).hint(hint));
        }
        let mut complain = |field: &str, message: String| {
            complaints.push(Complaint::new(format!("{pointer}{field}"), message));
        };
        if let Some(block) = self.remote_ip_prefix
            && matches!(block, IpNet::V4(_)) != (self.ethertype == Ethertype::V4)
        {
            let message = format!("{block} is not of the rule's ethertype");
            complain("/remoteIPPrefix", message);
        }
        let remotes = [
            self.remote_ip_prefix.is_some(),
            self.remote_group_ref.is_some(),
            self.remote_self == Some(true),
            self.remote_address_group_id.is_some(),
        ];
        if remotes.into_iter().filter(|is_set| *is_set).count() > 1 {
            let message = "a rule has one other side: remoteIPPrefix, remoteGroupRef, remoteSelf or remoteAddressGroupID";
            complain("", message.to_owned());
        }
        // Neutron fails on it (500), and that may mean anything.
        if self.remote_address_group_id.as_deref() == Some("") {
            complain("/remoteAddressGroupID", "an id is not empty".to_owned());
        }
        let number = self.protocol.as_deref().map(protocol_number);
        match (number, self.port_range) {
            (Some(None), _) => {
                let message = "neither a protocol that Neutron knows nor a number from 0 to 255";
                complain("/protocol", message.to_owned());
            }
            (Some(Some(number)), _)
                if ONLY_IPV6.contains(&number) && self.ethertype == Ethertype::V4 =>
            {
                complain("/protocol", "only IPv6 has this protocol".to_owned());
            }
            (None, Some(_)) => {
                complain(
                    "/portRange",
                    "ports need a protocol that has them".to_owned(),
                );
            }
            (Some(Some(number)), Some(range)) => {
                if let Some(message) = range.fault(number) {
                    complain("/portRange", message.to_owned());
                }
            }
            (_, None) => {}
        }
        complaints
    }
}

impl PortRange {
    fn fault(self, protocol: u8) -> Option<&'static str> {
        match (protocol, self.max) {
            (ICMP | IPV6_ICMP, _) if self.min > 255 => {
                Some("When protocol is ICMP or ICMPv6 portRange.min should be between 0 and 255")
            }
            (ICMP | IPV6_ICMP, Some(256..)) => {
                Some("When protocol is ICMP or ICMPv6 portRange.max should be between 0 and 255")
            }
            (ICMP | IPV6_ICMP, _) => None,
            (protocol, _) if !WITH_PORTS.contains(&protocol) => Some("this protocol has no ports"),
            (_, None) => Some("a range of ports needs `max`"),
            (_, Some(max)) if self.min == 0 || max == 0 => Some("Neutron refuses port 0"),
            (_, Some(max)) if self.min > max => {
                Some("portRangeMax should be equal or greater than portRange.min")
            }
            (_, Some(_)) => None,
        }
    }
}

/// The number of a protocol; `None` if there is no such one.
fn protocol_number(text: &str) -> Option<u8> {
    let known = PROTOCOLS
        .iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name));
    known
        .map(|(_, number)| *number)
        .or_else(|| text.parse().ok())
}

/// One name for each protocol: Neutron's own, or the number where it has none.
fn canonical_protocol(text: &str, ethertype: Ethertype) -> String {
    let number = match protocol_number(text) {
        // Neutron reads it so too.
        Some(ICMP) if ethertype == Ethertype::V6 => IPV6_ICMP,
        Some(number) => number,
        None => return text.to_ascii_lowercase(),
    };
    let known = PROTOCOLS.iter().find(|(_, other)| *other == number);
    known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::field::{Compare, missing, surplus};
    use proptest::prelude::*;

    fn rule(value: Value) -> Rule {
        serde_json::from_value(value).unwrap()
    }

    fn canonical(value: Value) -> Value {
        let mut rule = rule(value);
        rule.canonicalise();
        serde_json::to_value(rule).unwrap()
    }

    #[test]
    fn different_spellings_of_a_rule_are_one_rule() {
        let v4 = |more: Value| {
            let mut rule = json!({"direction": "ingress", "ethertype": "IPv4"});
            rule.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            canonical(rule)
        };
        let v6 = |protocol: &str| {
            canonical(json!({"direction": "egress", "ethertype": "IPv6", "protocol": protocol}))
        };
        for (one, other) in [
            (v4(json!({"protocol": "tcp"})), v4(json!({"protocol": "6"}))),
            (
                v4(json!({"protocol": "TCP"})),
                v4(json!({"protocol": "tcp"})),
            ),
            (
                v4(json!({"protocol": "99"})),
                v4(json!({"protocol": "099"})),
            ),
            (v4(json!({"remoteIPPrefix": "0.0.0.0/0"})), v4(json!({}))),
            (
                v4(json!({"remoteIPPrefix": "10.1.2.3/8"})),
                v4(json!({"remoteIPPrefix": "10.0.0.0/8"})),
            ),
            (v6("icmp"), v6("ipv6-icmp")),
            (v6("icmpv6"), v6("ipv6-icmp")),
            (v6("1"), v6("58")),
        ] {
            assert_eq!(one, other);
        }
        assert_ne!(v4(json!({"protocol": "icmp"})), v6("icmp"));
    }

    #[test]
    fn a_narrower_rule_is_not_a_wider_one() {
        let compare = Compare::Elements(IDENTITY);
        let wide = json!([canonical(
            json!({"direction": "ingress", "ethertype": "IPv4"})
        )]);
        for narrow in [
            json!({"remoteIPPrefix": "10.0.0.0/8"}),
            json!({"protocol": "tcp"}),
            json!({"remoteGroupRef": {"id": "g"}}),
            json!({"remoteSelf": true}),
            json!({"remoteAddressGroupID": "a"}),
        ] {
            let mut rule = json!({"direction": "ingress", "ethertype": "IPv4"});
            rule.as_object_mut()
                .unwrap()
                .extend(narrow.as_object().unwrap().clone());
            let narrow = json!([canonical(rule)]);
            assert_eq!(missing(compare, &wide, &narrow).len(), 1, "{narrow}");
            assert_eq!(surplus(compare, &wide, &narrow).len(), 1, "{narrow}");
        }
    }

    #[test]
    fn what_neutron_would_refuse_is_refused_at_its_place() {
        let check = |more: Value| {
            let mut value = json!({"direction": "ingress", "ethertype": "IPv4"});
            value
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let complaints = rule(value).check("/rules/0");
            complaints
                .into_iter()
                .map(|it| it.pointer)
                .collect::<Vec<_>>()
        };
        let range = |protocol: &str, min: u16, max: Option<u16>| {
            check(json!({"protocol": protocol, "portRange": {"min": min, "max": max}}))
        };
        assert_eq!(range("tcp", 80, Some(80)), Vec::<String>::new());
        assert_eq!(range("icmp", 8, None), Vec::<String>::new());
        assert_eq!(
            check(json!({"remoteAddressGroupID": ""})),
            ["/rules/0/remoteAddressGroupID"]
        );
        assert_eq!(range("icmp", 3, Some(1)), Vec::<String>::new());
        for (protocol, min, max) in [
            ("tcp", 90, Some(80)),
            ("tcp", 0, Some(80)),
            ("udp", 80, None),
            ("gre", 1, Some(2)),
            ("icmp", 256, None),
        ] {
            assert_eq!(
                range(protocol, min, max),
                ["/rules/0/portRange"],
                "{protocol} {min}"
            );
        }
        assert_eq!(
            check(json!({"portRange": {"min": 1, "max": 2}})),
            ["/rules/0/portRange"]
        );
        for protocol in ["htcp", "256", "-1", "ipv6-icmp", "58"] {
            assert_eq!(
                check(json!({"protocol": protocol})),
                ["/rules/0/protocol"],
                "{protocol}"
            );
        }
        assert_eq!(
            check(json!({"remoteIPPrefix": "::/0"})),
            ["/rules/0/remoteIPPrefix"]
        );
        let two = json!({"remoteIPPrefix": "10.0.0.0/8", "remoteGroupRef": "g"});
        assert_eq!(check(two), ["/rules/0"]);
        let undirected = rule(json!({"ethertype": "IPv4"})).check("/rules/3");
        assert_eq!(undirected[0].pointer, "/rules/3");
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        let protocol = prop_oneof![
            Just(None),
            (0..PROTOCOLS.len()).prop_map(|index| Some(PROTOCOLS[index].0.to_owned())),
            any::<u8>().prop_map(|number| Some(number.to_string())),
        ];
        let block = prop_oneof![
            Just(None),
            (any::<u32>(), 0_u8..=32).prop_map(|(address, length)| {
                format!("{}/{length}", std::net::Ipv4Addr::from(address))
                    .parse()
                    .ok()
            }),
        ];
        (
            any::<bool>(),
            protocol,
            block,
            proptest::option::of((any::<u16>(), any::<u16>())),
        )
            .prop_map(|(is_v4, protocol, remote_ip_prefix, range)| Rule {
                description: None,
                direction: Some(if is_v4 {
                    Direction::Ingress
                } else {
                    Direction::Egress
                }),
                ethertype: if is_v4 { Ethertype::V4 } else { Ethertype::V6 },
                protocol,
                port_range: range.map(|(min, max)| PortRange {
                    min,
                    max: Some(max),
                }),
                remote_ip_prefix,
                remote_group_ref: None,
                remote_self: is_v4.then_some(true),
                remote_address_group_id: None,
            })
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own(rule in any_rule()) {
            let mut once = rule;
            once.canonicalise();
            let mut twice = once.clone();
            twice.canonicalise();
            prop_assert_eq!(twice, once);
        }

        /// Whatever is sent is found again in what Neutron answers, and is then no difference.
        #[test]
        fn what_is_added_is_recognised(rule in any_rule()) {
            let mut wanted = rule;
            wanted.canonicalise();
            let mut answer = wanted.body("group")["security_group_rule"].clone();
            answer["id"] = json!("r");
            let there: RuleObject = serde_json::from_value(answer).unwrap();
            prop_assert!(there.rule("group").same(&wanted));
            let (want, have) = (json!([wanted]), json!([there.rule("group")]));
            let compare = Compare::Elements(IDENTITY);
            prop_assert!(missing(compare, &want, &have).is_empty());
            prop_assert!(surplus(compare, &want, &have).is_empty());
        }
    }
}
