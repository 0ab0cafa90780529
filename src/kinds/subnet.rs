//! Neutron subnets.
//!
//! API: <https://docs.openstack.org/api-ref/network/v2/#subnets>.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::manifest::Ref;

use super::call::{Call, Service};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::need::{Inputs, Material, Need, What};
use super::neutron::{self, Hop, Route, Standard, StandardStatus, Wanted};
use super::{
    Attached, Birth, Child, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal,
};

/// A subnet of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The network that it belongs to.
    pub network_ref: Ref,
    /// The address block, `192.168.50.0/24`.
    #[schemars(with = "String", extend("format" = "cidr"))]
    pub cidr: IpNet,
    /// 4 or 6; what the address block says if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4, max = 6))]
    pub ip_version: Option<u8>,
    /// Ranges that addresses are given out of; everything but the gateway if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_pools: Option<Vec<Pool>>,
    /// The gateway that guests are told; the first address of the block if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
    /// Whether addresses are handed out by DHCP.
    #[serde(
        default,
        rename = "enableDHCP",
        skip_serializing_if = "Option::is_none"
    )]
    pub enable_dhcp: Option<bool>,
    /// Name servers that guests are told, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_nameservers: Option<Vec<IpAddr>>,
    /// Whether fixed addresses are published in DNS.
    #[serde(
        default,
        rename = "dnsPublishFixedIP",
        skip_serializing_if = "Option::is_none"
    )]
    pub dns_publish_fixed_ip: Option<bool>,
    /// Routes that guests are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_routes: Option<Vec<Route>>,
    /// How IPv6 addresses come about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6>,
    /// The router that it is plugged into, by a RouterInterface of its own that is called as the
    /// object and `-subnet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_ref: Option<Ref>,
    /// Tags; the whole set is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The project that it is made in; that of the credentials if not set. Needs an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// First address.
    pub start: IpAddr,
    /// Last address.
    pub end: IpAddr,
}

/// Which gateway guests are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// None, the cloud's choice, or the address in `ip`.
    #[serde(rename = "type")]
    pub kind: GatewayType,
    /// The address, for type IP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
}

/// How a gateway is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GatewayType {
    /// There is no gateway.
    None,
    /// The cloud chooses it; like an unset field it is never compared.
    Automatic,
    /// This address.
    #[serde(rename = "IP")]
    Ip,
}

/// How IPv6 addresses come about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ipv6 {
    /// How guests get their addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_mode: Option<Ipv6Mode>,
    /// What router advertisements say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ra_mode: Option<Ipv6Mode>,
}

/// A mode of IPv6 addressing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6Mode {
    /// From router advertisements alone.
    Slaac,
    /// From DHCPv6.
    Dhcpv6Stateful,
    /// From router advertisements, the rest from DHCPv6.
    Dhcpv6Stateless,
}

/// Chooses subnets by what the API returns of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The network that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_ref: Option<Ref>,
    /// The address block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "cidr"))]
    pub cidr: Option<IpNet>,
    /// 4 or 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_version: Option<u8>,
    /// Address of the gateway.
    #[serde(default, rename = "gatewayIP", skip_serializing_if = "Option::is_none")]
    pub gateway_ip: Option<IpAddr>,
    /// How IPv6 addresses come about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6>,
    /// It has all of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// It has at least one of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags_any: Option<Vec<String>>,
    /// It does not have all of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_tags: Option<Vec<String>>,
    /// It has none of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_tags_any: Option<Vec<String>>,
    /// The project that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// What is known of a subnet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What every resource of Neutron has.
    #[serde(flatten)]
    pub standard: StandardStatus,
    /// The network that it belongs to.
    #[serde(rename = "networkID")]
    pub network_id: String,
    /// The address block.
    #[schemars(with = "String", extend("format" = "cidr"))]
    pub cidr: IpNet,
    /// 4 or 6.
    pub ip_version: u8,
    /// Ranges that addresses are given out of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allocation_pools: Vec<Pool>,
    /// Address of the gateway.
    #[serde(rename = "gatewayIP", skip_serializing_if = "Option::is_none")]
    pub gateway_ip: Option<IpAddr>,
    /// Whether addresses are handed out by DHCP.
    #[serde(rename = "enableDHCP", skip_serializing_if = "Option::is_none")]
    pub enable_dhcp: Option<bool>,
    /// Name servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_nameservers: Vec<IpAddr>,
    /// Whether fixed addresses are published in DNS.
    #[serde(rename = "dnsPublishFixedIP", skip_serializing_if = "Option::is_none")]
    pub dns_publish_fixed_ip: Option<bool>,
    /// Routes that guests are told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_routes: Vec<Route>,
    /// How guests get their IPv6 addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_address_mode: Option<Ipv6Mode>,
    /// What router advertisements say.
    #[serde(rename = "ipv6RAMode", skip_serializing_if = "Option::is_none")]
    pub ipv6_ra_mode: Option<Ipv6Mode>,
    /// The pool that the address block was taken from.
    #[serde(rename = "subnetPoolID", skip_serializing_if = "Option::is_none")]
    pub subnet_pool_id: Option<String>,
}

/// A subnet as Neutron answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    #[serde(flatten)]
    standard: Standard,
    network_id: String,
    cidr: IpNet,
    ip_version: u8,
    #[serde(default)]
    allocation_pools: Vec<Pool>,
    gateway_ip: Option<IpAddr>,
    enable_dhcp: Option<bool>,
    #[serde(default)]
    dns_nameservers: Vec<IpAddr>,
    dns_publish_fixed_ip: Option<bool>,
    #[serde(default)]
    host_routes: Vec<Hop>,
    ipv6_address_mode: Option<Ipv6Mode>,
    ipv6_ra_mode: Option<Ipv6Mode>,
    subnetpool_id: Option<String>,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Replace the tags.
    SetTags,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetTags => "set tags",
        })
    }
}

/// The kind.
#[derive(Debug)]
pub enum Subnet {}

impl Kind for Subnet {
    const NAME: &'static str = "Subnet";
    const SERVICE: Service = Service::Network;
    const COLLECTION: Collection = Collection {
        list: "subnets",
        query: &[],
        path: "subnets",
        route: "subnets/{id}",
        one: "subnet",
        many: "subnets",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::Description;
    const ANSWERS_WHOLE: bool = true;
    const QUOTA: Option<&'static str> = Some("subnet");
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("gateway", Change::Update),
        Field::new("allocationPools", Change::Update).by(Compare::Set),
        Field::new("enableDHCP", Change::Update),
        Field::new("dnsNameservers", Change::Update),
        Field::new("dnsPublishFixedIP", Change::Update),
        Field::new("hostRoutes", Change::Update).by(Compare::Set),
        Field::new("tags", Change::Action(Action::SetTags)).by(Compare::Set),
        Field::new("networkRef", Change::Replace),
        Field::new("cidr", Change::Replace),
        Field::new("ipVersion", Change::Replace),
        Field::new("ipv6", Change::Replace),
        // Of the RouterInterface; never compared here.
        Field::new("routerRef", Change::Replace),
        Field::new("projectRef", Change::Replace),
    ];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(subnet: &Object) -> Identity {
        subnet.standard.identity()
    }

    /// A subnet has no state: it is there or it is not.
    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(subnet: &Object, _: &Attached<'_>) -> Spec {
        let gateway = match subnet.gateway_ip {
            Some(ip) => Gateway {
                kind: GatewayType::Ip,
                ip: Some(ip),
            },
            None => Gateway {
                kind: GatewayType::None,
                ip: None,
            },
        };
        let ipv6 = Ipv6 {
            address_mode: subnet.ipv6_address_mode,
            ra_mode: subnet.ipv6_ra_mode,
        };
        Spec {
            name: Some(subnet.standard.name().to_owned()),
            description: Some(subnet.standard.text().to_owned()),
            network_ref: Ref::Id(subnet.network_id.clone()),
            cidr: subnet.cidr.trunc(),
            ip_version: Some(subnet.ip_version),
            allocation_pools: Some(subnet.allocation_pools.clone()),
            gateway: Some(gateway),
            enable_dhcp: subnet.enable_dhcp,
            dns_nameservers: Some(subnet.dns_nameservers.clone()),
            dns_publish_fixed_ip: subnet.dns_publish_fixed_ip,
            host_routes: Some(subnet.host_routes.iter().map(Route::from).collect()),
            ipv6: Some(ipv6),
            router_ref: None,
            tags: Some(subnet.standard.tags()),
            project_ref: subnet.standard.project_ref(),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        spec.ip_version = None;
        let first = usual_gateway(&spec.cidr);
        let pools = usual_pools(&spec.cidr, spec.gateway.as_ref().and_then(|it| it.ip));
        let _ = spec.allocation_pools.take_if(|it| *it == pools);
        let _ = spec.gateway.take_if(|it| it.ip.is_some() && it.ip == first);
        let _ = spec.enable_dhcp.take_if(|it| *it);
        let _ = spec.dns_nameservers.take_if(|it| it.is_empty());
        let _ = spec.dns_publish_fixed_ip.take_if(|it| !*it);
        let _ = spec.host_routes.take_if(|it| it.is_empty());
        let is_usual = |it: &mut Ipv6| it.address_mode.is_none() && it.ra_mode.is_none();
        let _ = spec.ipv6.take_if(is_usual);
        let _ = spec.tags.take_if(|it| it.is_empty());
    }

    fn status(subnet: &Object, _: &Attached<'_>) -> Status {
        Status {
            standard: subnet.standard.status(),
            network_id: subnet.network_id.clone(),
            cidr: subnet.cidr,
            ip_version: subnet.ip_version,
            allocation_pools: subnet.allocation_pools.clone(),
            gateway_ip: subnet.gateway_ip,
            enable_dhcp: subnet.enable_dhcp,
            dns_nameservers: subnet.dns_nameservers.clone(),
            dns_publish_fixed_ip: subnet.dns_publish_fixed_ip,
            host_routes: subnet.host_routes.iter().map(Route::from).collect(),
            ipv6_address_mode: subnet.ipv6_address_mode,
            ipv6_ra_mode: subnet.ipv6_ra_mode,
            subnet_pool_id: subnet.subnetpool_id.clone(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut spec.project_ref, visit);
        let reference = &mut spec.network_ref;
        let what = What::Object {
            kind: "Network",
            reference,
        };
        visit(Need {
            pointer: "/networkRef".to_owned(),
            what,
        });
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut filter.project_ref, visit);
        if let Some(reference) = &mut filter.network_ref {
            let what = What::Object {
                kind: "Network",
                reference,
            };
            visit(Need {
                pointer: "/networkRef".to_owned(),
                what,
            });
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let Spec {
            name,
            description,
            tags,
            ..
        } = spec;
        let mut complaints =
            neutron::check(name.as_deref(), description.as_deref(), tags.as_deref());
        let version = version(&spec.cidr);
        if spec.ip_version.is_some_and(|it| it != version) {
            let message = format!("{} is an address block of IPv{version}", spec.cidr);
            complaints.push(Complaint::new("/ipVersion", message));
        }
        if spec.ipv6.is_some() && version == 4 {
            complaints.push(Complaint::new("/ipv6", "only subnets of IPv6 have this"));
        }
        if let Some(Gateway {
            kind: GatewayType::Ip,
            ip,
        }) = &spec.gateway
        {
            match ip {
                None => complaints.push(Complaint::new("/gateway", "type IP needs `ip`")),
                Some(ip) => complaints.extend(of_version(version, ip, "/gateway/ip")),
            }
        }
        for (index, Pool { start, end }) in spec.allocation_pools.iter().flatten().enumerate() {
            let pointer = format!("/allocationPools/{index}");
            let outside = [start, end].into_iter().find(|it| !spec.cidr.contains(*it));
            if let Some(outside) = outside {
                let message = format!("{outside} is not in {}", spec.cidr.trunc());
                complaints.push(Complaint::new(pointer, message));
            } else if start > end {
                complaints.push(Complaint::new(pointer, format!("{start} is after {end}")));
            }
        }
        for (index, route) in spec.host_routes.iter().flatten().enumerate() {
            let pointer = format!("/hostRoutes/{index}/nextHop");
            complaints.extend(of_version(version, &route.next_hop, &pointer));
        }
        complaints
    }

    fn child(spec: &Spec, name: &str) -> Option<Child> {
        let router = spec.router_ref.as_ref()?;
        Some(Child {
            kind: "RouterInterface",
            field: "/routerRef",
            name: format!("{name}-subnet"),
            spec: json!({"type": "Subnet", "routerRef": router, "subnetRef": name}),
        })
    }

    fn fill(spec: &mut Spec, _: &Inputs) -> Result<Material, Refusal> {
        neutron::as_set(&mut spec.tags);
        spec.cidr = spec.cidr.trunc();
        spec.router_ref = None;
        match &mut spec.gateway {
            // The cloud's choice: nothing to send, nothing to compare.
            Some(Gateway {
                kind: GatewayType::Automatic,
                ..
            }) => spec.gateway = None,
            Some(Gateway {
                kind: GatewayType::None,
                ip,
            }) => *ip = None,
            Some(Gateway {
                kind: GatewayType::Ip,
                ..
            })
            | None => {}
        }
        for route in spec.host_routes.iter_mut().flatten() {
            route.destination = route.destination.trunc();
        }
        Ok(Material::default())
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut body = neutron::newborn(birth, spec.description.as_deref());
        body.insert("network_id".to_owned(), json!(spec.network_ref.id()));
        body.insert("cidr".to_owned(), json!(spec.cidr));
        let version = spec.ip_version.unwrap_or_else(|| version(&spec.cidr));
        body.insert("ip_version".to_owned(), json!(version));
        for field in [
            "gateway",
            "allocationPools",
            "enableDHCP",
            "dnsNameservers",
            "dnsPublishFixedIP",
            "hostRoutes",
        ] {
            write(&mut body, spec, field);
        }
        if let Some(Ipv6 {
            address_mode,
            ra_mode,
        }) = spec.ipv6
        {
            neutron::set(&mut body, "ipv6_address_mode", address_mode);
            neutron::set(&mut body, "ipv6_ra_mode", ra_mode);
        }
        neutron::place(&mut body, spec.project_ref.as_ref());
        neutron::post(&Self::COLLECTION, body)
    }

    fn update(spec: &Spec, subnet: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            match *field {
                "description" => {
                    let text = subnet.standard.described(spec.description.as_deref());
                    body.insert("description".to_owned(), text);
                }
                field => write(&mut body, spec, field),
            }
        }
        neutron::put(&Self::COLLECTION, &subnet.standard.id, body)
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        subnet: &Object,
    ) -> Result<Call, Refusal> {
        match action {
            Action::SetTags => Ok(neutron::put_tags(
                &Self::COLLECTION,
                "subnets/{id}/tags",
                &subnet.standard.id,
                spec.tags.as_deref(),
            )),
        }
    }

    fn beside(spec: &Spec, subnet: &Object) -> Result<(), Refusal> {
        let overlaps = spec.cidr.contains(&subnet.cidr) || subnet.cidr.contains(&spec.cidr);
        let same_network = spec.network_ref.id() == Some(&subnet.network_id);
        let message = "its range overlaps with that of the old one in the same network";
        Refusal::when(overlaps && same_network, message)
    }

    fn brand(subnet: &Object, birth: &Birth<'_>) -> Option<Call> {
        Some(subnet.standard.brand(&Self::COLLECTION, birth))
    }

    fn matches(filter: &Filter, subnet: &Object) -> bool {
        let wanted = Wanted {
            name: filter.name.as_deref(),
            description: filter.description.as_deref(),
            tags: filter.tags.as_deref(),
            tags_any: filter.tags_any.as_deref(),
            not_tags: filter.not_tags.as_deref(),
            not_tags_any: filter.not_tags_any.as_deref(),
        };
        let Filter {
            network_ref,
            cidr,
            ip_version,
            gateway_ip,
            ipv6,
            ..
        } = filter;
        let Ipv6 {
            address_mode,
            ra_mode,
        } = ipv6.clone().unwrap_or(Ipv6 {
            address_mode: None,
            ra_mode: None,
        });
        subnet.standard.is(&wanted)
            && network_ref
                .as_ref()
                .is_none_or(|it| it.id() == Some(subnet.network_id.as_str()))
            && cidr.is_none_or(|it| it.trunc() == subnet.cidr.trunc())
            && ip_version.is_none_or(|it| it == subnet.ip_version)
            && gateway_ip.is_none_or(|it| Some(it) == subnet.gateway_ip)
            && address_mode.is_none_or(|it| Some(it) == subnet.ipv6_address_mode)
            && ra_mode.is_none_or(|it| Some(it) == subnet.ipv6_ra_mode)
            && neutron::is_of(
                filter.project_ref.as_ref(),
                subnet.standard.project().as_deref(),
            )
    }
}

/// Writes a field that the spec sets under Neutron's name for it.
fn write(body: &mut Map<String, Value>, spec: &Spec, field: &str) {
    match field {
        "name" => neutron::set(body, "name", spec.name.as_ref()),
        "gateway" => match &spec.gateway {
            // Here null says something: no gateway.
            Some(Gateway {
                kind: GatewayType::None | GatewayType::Ip,
                ip,
            }) => {
                body.insert("gateway_ip".to_owned(), json!(ip));
            }
            Some(Gateway {
                kind: GatewayType::Automatic,
                ..
            })
            | None => {}
        },
        "allocationPools" => neutron::set(body, "allocation_pools", spec.allocation_pools.as_ref()),
        "enableDHCP" => neutron::set(body, "enable_dhcp", spec.enable_dhcp),
        "dnsNameservers" => neutron::set(body, "dns_nameservers", spec.dns_nameservers.as_ref()),
        "dnsPublishFixedIP" => {
            neutron::set(body, "dns_publish_fixed_ip", spec.dns_publish_fixed_ip);
        }
        "hostRoutes" => {
            let hops = |routes: &Vec<Route>| routes.iter().map(Hop::from).collect::<Vec<_>>();
            neutron::set(body, "host_routes", spec.host_routes.as_ref().map(hops));
        }
        _ => {}
    }
}

/// The gateway that Neutron chooses: the first address after the network's own.
fn usual_gateway(block: &IpNet) -> Option<IpAddr> {
    address(block, number(block.network()).saturating_add(1))
}

/// The pools that Neutron makes when none are asked for: all but the network's own address, the
/// gateway and, of IPv4, the broadcast address.
fn usual_pools(block: &IpNet, gateway: Option<IpAddr>) -> Vec<Pool> {
    let first = number(block.network()).saturating_add(1);
    let last = match block {
        IpNet::V4(_) => number(block.broadcast()).saturating_sub(1),
        IpNet::V6(_) => number(block.broadcast()),
    };
    let gateway = gateway.map(number);
    let ranges = match gateway.filter(|it| (first..=last).contains(it)) {
        Some(at) => vec![(first, at - 1), (at.saturating_add(1), last)],
        None => vec![(first, last)],
    };
    let pool = |(start, end): (u128, u128)| {
        let (start, end) = (address(block, start)?, address(block, end)?);
        Some(Pool { start, end })
    };
    ranges
        .into_iter()
        .filter(|(start, end)| start <= end)
        .filter_map(pool)
        .collect()
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// The address of this number, of the block's version.
fn address(block: &IpNet, number: u128) -> Option<IpAddr> {
    match block {
        IpNet::V4(_) => u32::try_from(number).ok().map(|it| IpAddr::V4(it.into())),
        IpNet::V6(_) => Some(IpAddr::V6(number.into())),
    }
}

const fn version(block: &IpNet) -> u8 {
    match block {
        IpNet::V4(_) => 4,
        IpNet::V6(_) => 6,
    }
}

fn of_version(version: u8, address: &IpAddr, pointer: &str) -> Option<Complaint> {
    (address.is_ipv4() != (version == 4))
        .then(|| Complaint::new(pointer, format!("{address} is no address of IPv{version}")))
}

#[cfg(test)]
mod tests;
