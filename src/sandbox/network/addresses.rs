//! Allocation of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::{Value, json};

use super::super::json::{Object, text, text_or_empty};
use super::super::response::Refusal;
use super::super::world::World;
use super::bad_request;
use super::kind::Kind;

impl World {
    /// Allocates what a port or gateway asks for on a network; `user` holds the addresses from then on.
    /// Nothing is allocated when it fails.
    pub(super) fn allocate(
        &mut self,
        network: &str,
        wanted: Option<&Value>,
        user: &str,
    ) -> Result<Vec<Value>, Refusal> {
        let wanted: Vec<Object> = match wanted {
            None | Some(Value::Null) => self.default_request(network),
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|i| i.as_object().cloned())
                .collect(),
            Some(other) => {
                return Err(bad_request(format!(
                    "Invalid input for fixed_ips. Reason: '{other}' is not a list."
                )));
            }
        };
        let mut got = Vec::new();
        for one in &wanted {
            match self.allocate_one(network, one, user) {
                Ok((subnet, address)) => got.push((subnet, address)),
                Err(refusal) => {
                    for (subnet, address) in got {
                        self.network.taken.remove(&(subnet, address));
                    }
                    return Err(refusal);
                }
            }
        }
        Ok(got
            .into_iter()
            .map(
                |(subnet, address)| json!({"subnet_id": subnet, "ip_address": address.to_string()}),
            )
            .collect())
    }

    /// Frees all addresses of a port or gateway.
    pub(super) fn release_addresses(&mut self, user: &str) {
        self.network.taken.retain(|_, holder| holder != user);
    }

    /// Which subnet of a network has this address.
    pub(super) fn subnet_of(&self, network: &str, address: IpAddr) -> Option<&Object> {
        self.subnets_of(network)
            .into_iter()
            .find(|s| cidr_of(s).is_some_and(|c| c.contains(&address)))
    }

    pub(super) fn subnets_of(&self, network: &str) -> Vec<&Object> {
        self.table(Kind::Subnet)
            .filter(|s| text(s, "network_id") == Some(network))
            .collect()
    }

    /// One address of each IP version for which the network has a subnet.
    fn default_request(&self, network: &str) -> Vec<Object> {
        let subnets = self.subnets_of(network);
        [4, 6]
            .into_iter()
            .filter_map(|version| {
                let subnet = subnets.iter().find(|s| s["ip_version"] == version)?;
                Some(Object::from_iter([(
                    "subnet_id".to_owned(),
                    subnet["id"].clone(),
                )]))
            })
            .collect()
    }

    fn allocate_one(
        &mut self,
        network: &str,
        wanted: &Object,
        user: &str,
    ) -> Result<(String, IpAddr), Refusal> {
        let address = match text(wanted, "ip_address") {
            None => None,
            Some(ip) => Some(ip.parse::<IpAddr>().map_err(|_| {
                bad_request(format!(
                    "Invalid input for fixed_ips. Reason: '{ip}' is not a valid IP address."
                ))
            })?),
        };
        let subnet = match (text(wanted, "subnet_id"), address) {
            (Some(id), _) => {
                let subnet = self.record(Kind::Subnet, id).ok_or_else(|| Kind::Subnet.missing(id))?;
                if text(subnet, "network_id") != Some(network) {
                    return Err(Refusal::of(400, "InvalidInput", format!(
                        "Invalid input for operation: Failed to create port on network {network}, because fixed_ips \
                         included invalid subnet {id}.")));
                }
                subnet
            }
            (None, Some(address)) => self.subnet_of(network, address).ok_or_else(|| {
                Refusal::of(400, "InvalidIpForNetwork", format!(
                    "IP address {address} is not a valid IP for any of the subnets on the specified network."))
            })?,
            (None, None) => return Err(bad_request("Invalid input for fixed_ips. Reason: no subnet and no address.")),
        };
        let subnet_id = text_or_empty(subnet, "id").to_owned();
        let cidr = cidr_of(subnet);
        let address = match address {
            Some(address) if !cidr.is_some_and(|c| c.contains(&address)) => {
                return Err(Refusal::of(
                    400,
                    "InvalidIpForSubnet",
                    format!("IP address {address} is not a valid IP for the specified subnet."),
                ));
            }
            Some(address)
                if self
                    .network
                    .taken
                    .contains_key(&(subnet_id.clone(), address)) =>
            {
                return Err(Refusal::of(
                    409,
                    "IpAddressAlreadyAllocated",
                    format!("IP address {address} already allocated in subnet {subnet_id}"),
                ));
            }
            Some(address) => address,
            None => {
                let pools = pools_of(subnet);
                self.free_address(&subnet_id, &pools).ok_or_else(|| {
                    Refusal::of(
                        409,
                        "IpAddressGenerationFailure",
                        format!("No more IP addresses available on network {network}."),
                    )
                })?
            }
        };
        self.network
            .taken
            .insert((subnet_id.clone(), address), user.to_owned());
        Ok((subnet_id, address))
    }

    /// A random free address near the beginning of the pools, as Neutron picks them.
    fn free_address(&mut self, subnet: &str, pools: &[(IpAddr, IpAddr)]) -> Option<IpAddr> {
        let window = 64 + self.network.taken.len() as u64;
        let start = u128::from(self.chance(window));
        for skip in [start, 0] {
            for (first, last) in pools {
                let (low, high) = (number(*first), number(*last));
                let mut at = low + skip.min(high.saturating_sub(low));
                while at <= high {
                    let address = address(at, first.is_ipv4());
                    if !self
                        .network
                        .taken
                        .contains_key(&(subnet.to_owned(), address))
                    {
                        return Some(address);
                    }
                    at += 1;
                }
            }
        }
        None
    }
}

pub(super) fn cidr_of(subnet: &Object) -> Option<IpNet> {
    text(subnet, "cidr")?.parse().ok()
}

pub(super) fn pools_of(subnet: &Object) -> Vec<(IpAddr, IpAddr)> {
    let pools = subnet.get("allocation_pools").and_then(Value::as_array);
    pools
        .into_iter()
        .flatten()
        .filter_map(|p| {
            Some((
                p["start"].as_str()?.parse().ok()?,
                p["end"].as_str()?.parse().ok()?,
            ))
        })
        .collect()
}

pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

pub(super) fn address(number: u128, v4: bool) -> IpAddr {
    if v4 {
        IpAddr::V4(Ipv4Addr::from_bits(
            u32::try_from(number).unwrap_or(u32::MAX),
        ))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(number))
    }
}
