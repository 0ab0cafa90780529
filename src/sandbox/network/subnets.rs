//! Subnets.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::super::json::{Object, integer, text, text_or_empty};
use super::super::response::Refusal;
use super::super::world::{Account, World};
use super::addresses::{address, cidr_of, number};
use super::kind::Kind;
use super::networks::apply;
use super::{bad_request, invalid_input, policy};

impl World {
    pub(super) fn create_subnet(
        &mut self,
        account: &Account,
        mut record: Object,
        mut wanted: Object,
    ) -> Result<String, Refusal> {
        let network_id = required(&wanted, "network_id")?;
        let network = self.record_shown(Kind::Network, account, &network_id)?;
        if !account.admin && text(network, "project_id") != Some(account.project_id.as_str()) {
            return Err(policy("(rule:create_subnet)"));
        }
        let external = network["router:external"].clone();
        let version = wanted.get("ip_version").and_then(integer).ok_or_else(|| {
            bad_request("Failed to parse request. Required attribute 'ip_version' not specified")
        })?;
        let cidr_text = text(&wanted, "cidr").ok_or_else(|| {
            Refusal::of(
                400,
                "BadRequest",
                "Bad subnets request: a subnetpool must be specified in the absence of a cidr.",
            )
        })?;
        let given: IpNet = cidr_text
            .parse()
            .map_err(|_| invalid_input(&format!("{cidr_text} is not in a CIDR format.")))?;
        let cidr = given.trunc();
        if cidr.addr().is_ipv4() != (version == 4) {
            return Err(Refusal::of(
                400,
                "InvalidInput",
                format!(
                    "Invalid input for operation: cidr '{cidr}' does not match the ip_version '{version}'."
                ),
            ));
        }
        let overlaps =
            |s: &&Object| cidr_of(s).is_some_and(|c| c.contains(&cidr) || cidr.contains(&c));
        if self.subnets_of(&network_id).iter().any(overlaps) {
            return Err(Refusal::of(
                400,
                "InvalidInput",
                format!(
                    "Invalid input for operation: Requested subnet with cidr: {cidr} for network: {network_id} overlaps with \
                 another subnet."
                ),
            ));
        }
        let gateway = match wanted.remove("gateway_ip") {
            // Where addresses are made of the prefix, the router's is the first one of all.
            None if is_automatic(&wanted) => json!(cidr.network().to_string()),
            None => json!(address(number(cidr.network()) + 1, version == 4).to_string()),
            Some(given) => given,
        };
        let pools = match wanted.remove("allocation_pools") {
            None | Some(Value::Null) => {
                default_pools(cidr, gateway.as_str().and_then(|g| g.parse().ok()))
            }
            Some(pools) => checked_pools(&pools, cidr, &gateway)?,
        };
        let defaults = json!({"name": "", "network_id": network_id, "ip_version": version, "cidr": cidr.to_string(),
            "subnetpool_id": null, "enable_dhcp": true, "ipv6_ra_mode": null, "ipv6_address_mode": null,
            "gateway_ip": gateway, "allocation_pools": pools, "host_routes": [], "dns_nameservers": [],
            "router:external": external, "service_types": [], "dns_publish_fixed_ip": false});
        record.extend(defaults.as_object().cloned().unwrap_or_default());
        for settled in [
            "cidr",
            "ip_version",
            "network_id",
            "prefixlen",
            "use_default_subnetpool",
        ] {
            wanted.remove(settled);
        }
        check_lists(&wanted)?;
        apply(&mut record, wanted)?;
        self.touch(Kind::Network, &network_id);
        Ok(self.keep(Kind::Subnet, record))
    }

    pub(super) fn update_subnet(&mut self, id: &str, wanted: Object) -> Result<(), Refusal> {
        check_lists(&wanted)?;
        let Some(record) = self.record(Kind::Subnet, id) else {
            return Ok(());
        };
        let mut draft = record.clone();
        let mut plain = wanted.clone();
        // Null is no text, but a subnet may do without a gateway.
        if let Some(gateway) = plain.remove("gateway_ip") {
            draft.insert("gateway_ip".into(), gateway);
        }
        apply(&mut draft, plain)?;
        let cidr = cidr_of(&draft).ok_or_else(|| bad_request("the subnet has no cidr"))?;
        if draft["gateway_ip"] != record["gateway_ip"] {
            self.check_gateway_free(record)?;
        }
        if wanted.contains_key("allocation_pools") || wanted.contains_key("gateway_ip") {
            let pools = checked_pools(
                &draft["allocation_pools"].clone(),
                cidr,
                &draft["gateway_ip"].clone(),
            )?;
            draft.insert("allocation_pools".into(), json!(pools));
        }
        self.keep(Kind::Subnet, draft);
        Ok(())
    }

    /// The address of a gateway that a router has is not changed.
    fn check_gateway_free(&self, subnet: &Object) -> Result<(), Refusal> {
        let has_it = |port: &&Object| {
            let mut fixed = port["fixed_ips"].as_array().into_iter().flatten();
            text_or_empty(port, "device_owner") == "network:router_interface"
                && fixed.any(|f| {
                    f["subnet_id"] == subnet["id"] && f["ip_address"] == subnet["gateway_ip"]
                })
        };
        match self.table(Kind::Port).find(has_it) {
            None => Ok(()),
            Some(port) => Err(Refusal::of(
                409,
                "GatewayIpInUse",
                format!(
                    "Current gateway ip {} already in use by port {}. Unable to update.",
                    text_or_empty(subnet, "gateway_ip"),
                    text_or_empty(port, "id")
                ),
            )),
        }
    }

    pub(super) fn delete_subnet(&mut self, id: &str) -> Result<(), Refusal> {
        if self.network.taken.keys().any(|(subnet, _)| subnet == id) {
            return Err(Refusal::of(
                409,
                "SubnetInUse",
                format!(
                    "Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet."
                ),
            ));
        }
        let network = self
            .record(Kind::Subnet, id)
            .map(|s| text_or_empty(s, "network_id").to_owned());
        self.touch(Kind::Network, &network.unwrap_or_default());
        Ok(())
    }
}

/// Do ports of this subnet make their addresses of its prefix?
fn is_automatic(wanted: &Object) -> bool {
    let mode = |name| text(wanted, name).unwrap_or("");
    ["slaac", "dhcpv6-stateless"].contains(&mode("ipv6_address_mode"))
}

pub(super) fn required(wanted: &Object, name: &str) -> Result<String, Refusal> {
    text(wanted, name).map(str::to_owned).ok_or_else(|| {
        bad_request(format!(
            "Failed to parse request. Required attribute '{name}' not specified"
        ))
    })
}

fn check_lists(wanted: &Object) -> Result<(), Refusal> {
    let list = |name: &str| {
        wanted
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    for server in list("dns_nameservers") {
        if server.as_str().is_none_or(|s| s.parse::<IpAddr>().is_err()) {
            return Err(bad_request(format!(
                "Invalid input for dns_nameservers. Reason: {server} is not a valid nameserver."
            )));
        }
    }
    for route in list("host_routes") {
        let fits = route["destination"]
            .as_str()
            .is_some_and(|d| d.parse::<IpNet>().is_ok())
            && route["nexthop"]
                .as_str()
                .is_some_and(|h| h.parse::<IpAddr>().is_ok());
        if !fits {
            return Err(bad_request(format!(
                "Invalid input for host_routes. Reason: {route} is not a valid route."
            )));
        }
    }
    Ok(())
}

/// The whole subnet without its network address, broadcast address (v4) and gateway.
fn default_pools(cidr: IpNet, gateway: Option<IpAddr>) -> Vec<Value> {
    let v4 = cidr.addr().is_ipv4();
    let (low, high) = (number(cidr.network()), number(cidr.broadcast()));
    let (first, last) = match (v4, high - low) {
        (_, 0..=1) => (low, high),
        (true, _) => (low + 1, high - 1),
        (false, _) => (low + 1, high),
    };
    let gateway = gateway.map(number).filter(|g| (first..=last).contains(g));
    let mut spans = Vec::new();
    match gateway {
        None => spans.push((first, last)),
        Some(gateway) => {
            if gateway > first {
                spans.push((first, gateway - 1));
            }
            if gateway < last {
                spans.push((gateway + 1, last));
            }
        }
    }
    spans
        .into_iter()
        .map(|(a, b)| json!({"start": address(a, v4).to_string(), "end": address(b, v4).to_string()}))
        .collect()
}

fn checked_pools(pools: &Value, cidr: IpNet, gateway: &Value) -> Result<Vec<Value>, Refusal> {
    let pools = pools.as_array().ok_or_else(|| {
        bad_request("Invalid input for allocation_pools. Reason: Invalid data format for IP pool.")
    })?;
    let gateway = gateway.as_str().and_then(|g| g.parse::<IpAddr>().ok());
    for pool in pools {
        let ends: Option<(IpAddr, IpAddr)> = pool["start"]
            .as_str()
            .zip(pool["end"].as_str())
            .and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok()?)));
        let Some((start, end)) = ends else {
            return Err(bad_request(
                "Invalid input for allocation_pools. Reason: Invalid data format for IP pool.",
            ));
        };
        if !cidr.contains(&start) || !cidr.contains(&end) || number(start) > number(end) {
            return Err(Refusal::of(
                400,
                "OutOfBoundsAllocationPool",
                format!("The allocation pool {start}-{end} spans beyond the subnet cidr {cidr}."),
            ));
        }
        if let Some(gateway) =
            gateway.filter(|g| (number(start)..=number(end)).contains(&number(*g)))
        {
            return Err(Refusal::of(
                409,
                "GatewayConflictWithAllocationPools",
                format!("Gateway ip {gateway} conflicts with allocation pool {start}-{end}."),
            ));
        }
    }
    Ok(pools.clone())
}
