//! Security group rules: validation and the search for twins.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::super::json::{Object, integer, stamp, text, text_or_empty};
use super::super::response::Refusal;
use super::super::world::{Account, World};
use super::bad_request;
use super::kind::Kind;
use super::subnets::required;

const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("ah", 51),
    ("dccp", 33),
    ("egp", 8),
    ("esp", 50),
    ("gre", 47),
    ("igmp", 2),
    ("ipv6-encap", 41),
    ("ipv6-frag", 44),
    ("ipv6-icmp", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-route", 43),
    ("ospf", 89),
    ("pgm", 113),
    ("rsvp", 46),
    ("sctp", 132),
    ("udplite", 136),
    ("vrrp", 112),
    ("ipip", 4),
];

impl World {
    pub(super) fn create_rule(
        &mut self,
        account: &Account,
        mut record: Object,
        wanted: &Object,
    ) -> Result<String, Refusal> {
        let group = required(wanted, "security_group_id")?;
        let owner = self.record_owned(Kind::SecurityGroup, account, &group)?;
        let in_default = text(owner, "name") == Some("default");
        let ethertype = text(wanted, "ethertype").unwrap_or("IPv4").to_owned();
        let direction = required(wanted, "direction")?;
        if !["ingress", "egress"].contains(&direction.as_str()) {
            return Err(bad_request(format!(
                "Invalid input for direction. Reason: {direction} is not in valid_values."
            )));
        }
        if !["IPv4", "IPv6"].contains(&ethertype.as_str()) {
            return Err(bad_request(format!(
                "Invalid input for ethertype. Reason: '{ethertype}' is not in [None, 'IPv4', 'IPv6']."
            )));
        }
        let protocol = protocol(wanted.get("protocol"), &ethertype)?;
        let (low, high) = ports(wanted, protocol.as_str())?;
        let prefix = prefix(wanted.get("remote_ip_prefix"), &ethertype)?;
        let peer = wanted.get("remote_group_id").cloned().unwrap_or_default();
        let addresses = text(wanted, "remote_address_group_id");
        let remotes = [!prefix.is_null(), !peer.is_null(), addresses.is_some()];
        if remotes.into_iter().filter(|is_given| *is_given).count() > 1 {
            return Err(Refusal::of(
                400,
                "SecurityGroupMultipleRemoteEntites",
                "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
            ));
        }
        if let Some(peer) = peer.as_str() {
            self.record_shown(Kind::SecurityGroup, account, peer)?;
        }
        if addresses == Some("") {
            // Not looked up, and the database does not take it.
            return Err(Refusal::of(
                500,
                "HTTPInternalServerError",
                "Request Failed: internal server error while processing your request.",
            ));
        }
        if let Some(addresses) = addresses {
            self.record_shown(Kind::AddressGroup, account, addresses)?;
        }
        let normalized = prefix
            .as_str()
            .and_then(|p| p.parse::<IpNet>().ok())
            .map(|net| net.trunc().to_string());
        let rest = json!({"security_group_id": group, "ethertype": ethertype, "direction": direction,
            "protocol": protocol, "port_range_min": low, "port_range_max": high, "remote_ip_prefix": prefix,
            "remote_address_group_id": addresses, "normalized_cidr": normalized, "remote_group_id": peer,
            "belongs_to_default_sg": in_default, "description": text_or_empty(wanted, "description")});
        record.extend(rest.as_object().cloned().unwrap_or_default());
        record.remove("tags");
        let key = key_of(&record);
        let twin = self
            .table(Kind::SecurityGroupRule)
            .find(|r| text(r, "security_group_id") == Some(&group) && key_of(r) == key);
        if let Some(twin) = twin {
            return Err(Refusal::of(
                409,
                "SecurityGroupRuleExists",
                format!(
                    "Security group rule already exists. Rule id is {}.",
                    text_or_empty(twin, "id")
                ),
            ));
        }
        self.touch(Kind::SecurityGroup, &group);
        Ok(self.keep(Kind::SecurityGroupRule, record))
    }

    pub(super) fn delete_rule(&mut self, id: &str) {
        let group = self
            .record(Kind::SecurityGroupRule, id)
            .map(|r| text_or_empty(r, "security_group_id").to_owned());
        self.touch(Kind::SecurityGroup, &group.unwrap_or_default());
    }

    pub(super) fn default_rule(
        &mut self,
        project: &str,
        group: &str,
        direction: &str,
        ethertype: &str,
        peer: Option<&str>,
    ) {
        let in_default = peer.is_some() || self.group_name(group) == Some("default");
        let record = json!({"id": self.new_uuid(), "tenant_id": project, "project_id": project,
            "security_group_id": group, "ethertype": ethertype, "direction": direction, "protocol": null,
            "port_range_min": null, "port_range_max": null, "remote_ip_prefix": null, "remote_address_group_id": null,
            "normalized_cidr": null, "remote_group_id": peer, "belongs_to_default_sg": in_default, "description": null,
            "created_at": stamp(self.now), "updated_at": stamp(self.now), "revision_number": 0});
        self.keep(
            Kind::SecurityGroupRule,
            record.as_object().cloned().unwrap_or_default(),
        );
    }
}

/// What makes two rules the same: the description is no part of it, and no prefix is every address.
fn key_of(rule: &Object) -> Vec<String> {
    let names = [
        "direction",
        "ethertype",
        "protocol",
        "port_range_min",
        "port_range_max",
        "remote_group_id",
        "remote_address_group_id",
    ];
    let mut key: Vec<String> = names.iter().map(|n| rule[*n].to_string()).collect();
    if let Some(number) = PROTOCOLS.iter().find(|(name, _)| rule["protocol"] == *name) {
        key[2] = format!("\"{}\"", number.1);
    }
    let prefix = text(rule, "normalized_cidr").filter(|p| !["0.0.0.0/0", "::/0"].contains(p));
    key.push(prefix.unwrap_or("").to_owned());
    key
}

fn protocol(given: Option<&Value>, ethertype: &str) -> Result<Value, Refusal> {
    let given = match given {
        None | Some(Value::Null) => return Ok(Value::Null),
        Some(Value::String(text)) => text.to_ascii_lowercase(),
        Some(other) => other.to_string(),
    };
    if given == "any" || given == "-1" {
        return Ok(Value::Null);
    }
    let known = PROTOCOLS.iter().any(|(name, _)| *name == given)
        || given.parse::<u8>().is_ok()
        || given == "icmpv6";
    if !known {
        let names: Vec<&str> = PROTOCOLS.iter().map(|(name, _)| *name).collect();
        return Err(Refusal::of(
            400,
            "SecurityGroupRuleInvalidProtocol",
            format!(
                "Security group rule protocol {given} not supported. Only protocol values [None, {}] and integer \
             representations [0 to 255] are supported.",
                names.join(", ")
            ),
        ));
    }
    // The aliases of ICMPv6 are stored under one name.
    if ethertype == "IPv6" && ["icmp", "icmpv6", "ipv6-icmp", "1", "58"].contains(&given.as_str()) {
        return Ok(json!("ipv6-icmp"));
    }
    Ok(json!(given))
}

fn ports(wanted: &Object, protocol: Option<&str>) -> Result<(Value, Value), Refusal> {
    let port = |name: &str| {
        wanted
            .get(name)
            .filter(|v| !v.is_null())
            .map(|v| integer(v).ok_or(v))
    };
    let (low, high) = (port("port_range_min"), port("port_range_max"));
    let bad = [&low, &high]
        .into_iter()
        .flatten()
        .find_map(|p| p.as_ref().err());
    if let Some(bad) = bad {
        return Err(Refusal::of(
            400,
            "SecurityGroupInvalidPortValue",
            format!("Invalid value for port {bad}"),
        ));
    }
    let (low, high) = (low.and_then(Result::ok), high.and_then(Result::ok));
    if low.is_none() && high.is_none() {
        return Ok((Value::Null, Value::Null));
    }
    match protocol {
        None => Err(Refusal::of(
            400,
            "SecurityGroupProtocolRequiredWithPorts",
            "Must also specify protocol if port range is given.",
        )),
        Some("icmp" | "ipv6-icmp" | "icmpv6" | "1" | "58") => {
            for (field, value) in [("port_range_min", low), ("port_range_max", high)] {
                if let Some(value) = value.filter(|v| !(0..=255).contains(v)) {
                    let which = if field == "port_range_min" {
                        "type"
                    } else {
                        "code"
                    };
                    return Err(Refusal::of(
                        400,
                        "SecurityGroupInvalidIcmpValue",
                        format!(
                            "Invalid value for ICMP {which} ({field}) {value}. It must be 0 to 255."
                        ),
                    ));
                }
            }
            if low.is_none() {
                let high = high.unwrap_or_default();
                return Err(Refusal::of(
                    400,
                    "SecurityGroupMissingIcmpType",
                    format!(
                        "ICMP code (port-range-max) {high} is provided but ICMP type (port-range-min) is missing."
                    ),
                ));
            }
            Ok((json!(low), json!(high)))
        }
        Some("tcp" | "udp" | "6" | "17" | "sctp" | "dccp" | "udplite" | "132" | "33" | "136") => {
            match (low, high) {
                (Some(low), Some(high))
                    if low <= high && (1..=65535).contains(&low) && high <= 65535 =>
                {
                    Ok((json!(low), json!(high)))
                }
                _ => Err(Refusal::of(
                    400,
                    "SecurityGroupInvalidPortRange",
                    "For TCP/UDP protocols, port_range_min must be <= port_range_max",
                )),
            }
        }
        Some(other) => Err(Refusal::of(
            400,
            "SecurityGroupInvalidProtocolForPort",
            format!(
                "Invalid protocol {other} for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP."
            ),
        )),
    }
}

fn prefix(given: Option<&Value>, ethertype: &str) -> Result<Value, Refusal> {
    let Some(text) = given.and_then(Value::as_str) else {
        return Ok(Value::Null);
    };
    let network = text
        .parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let network = network.ok_or_else(|| {
        bad_request(format!(
            "Invalid input for remote_ip_prefix. Reason: '{text}' is not a valid IP subnet."
        ))
    })?;
    if network.addr().is_ipv4() != (ethertype == "IPv4") {
        return Err(Refusal::of(
            400,
            "SecurityGroupRuleParameterConflict",
            format!("Conflicting value ethertype {ethertype} for CIDR {text}"),
        ));
    }
    Ok(json!(network.to_string()))
}
