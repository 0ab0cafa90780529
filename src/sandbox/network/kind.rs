//! The kinds of records: their names in paths, bodies and errors, and which fields may be set when.

use super::super::json::Object;
use super::super::response::Refusal;
use super::bad_request;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Network,
    Subnet,
    Port,
    Router,
    FloatingIp,
    SecurityGroup,
    SecurityGroupRule,
    AddressScope,
    AddressGroup,
    Trunk,
}

/// Fields that only the service sets.
const READ_ONLY: &[&str] = &[
    "id",
    "status",
    "created_at",
    "updated_at",
    "revision_number",
    "tags",
];
/// Fields that an administrator alone sees.
const ADMIN_ONLY: &[&str] = &[
    "provider:network_type",
    "provider:physical_network",
    "provider:segmentation_id",
    "binding:host_id",
    "binding:profile",
    "binding:vif_type",
    "binding:vif_details",
    "ha",
    "distributed",
];

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Network,
        Self::Subnet,
        Self::Port,
        Self::Router,
        Self::FloatingIp,
        Self::SecurityGroup,
        Self::SecurityGroupRule,
        Self::AddressScope,
        Self::AddressGroup,
        Self::Trunk,
    ];

    pub(super) fn of_path(path: &str) -> Option<Self> {
        let name = path.replace('-', "_");
        Self::ALL.into_iter().find(|kind| kind.collection() == name)
    }

    pub(super) const fn member(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Subnet => "subnet",
            Self::Port => "port",
            Self::Router => "router",
            Self::FloatingIp => "floatingip",
            Self::SecurityGroup => "security_group",
            Self::SecurityGroupRule => "security_group_rule",
            Self::AddressScope => "address_scope",
            Self::AddressGroup => "address_group",
            Self::Trunk => "trunk",
        }
    }

    pub(super) const fn collection(self) -> &'static str {
        match self {
            Self::Network => "networks",
            Self::Subnet => "subnets",
            Self::Port => "ports",
            Self::Router => "routers",
            Self::FloatingIp => "floatingips",
            Self::SecurityGroup => "security_groups",
            Self::SecurityGroupRule => "security_group_rules",
            Self::AddressScope => "address_scopes",
            Self::AddressGroup => "address_groups",
            Self::Trunk => "trunks",
        }
    }

    pub(super) fn missing(self, id: &str) -> Refusal {
        let (kind, what) = match self {
            Self::Network => ("NetworkNotFound", "Network"),
            Self::Subnet => ("SubnetNotFound", "Subnet"),
            Self::Port => ("PortNotFound", "Port"),
            Self::AddressScope => ("AddressScopeNotFound", "Address scope"),
            Self::AddressGroup => ("AddressGroupNotFound", "Address group"),
            Self::Trunk => ("TrunkNotFound", "Trunk"),
            // These two end without a stop.
            Self::Router => {
                let text = format!("Router {id} could not be found");
                return Refusal::of(404, "RouterNotFound", text);
            }
            Self::FloatingIp => {
                let text = format!("Floating IP {id} could not be found");
                return Refusal::of(404, "FloatingIPNotFound", text);
            }
            Self::SecurityGroup => {
                return Refusal::of(
                    404,
                    "SecurityGroupNotFound",
                    format!("Security group {id} does not exist"),
                );
            }
            Self::SecurityGroupRule => {
                return Refusal::of(
                    404,
                    "SecurityGroupRuleNotFound",
                    format!("Security group rule {id} does not exist"),
                );
            }
        };
        Refusal::of(404, kind, format!("{what} {id} could not be found."))
    }

    /// Fields of the record beside the read-only ones that may be given in a POST.
    const fn creatable(self) -> &'static [&'static str] {
        match self {
            Self::Network => &[
                "name",
                "admin_state_up",
                "shared",
                "tenant_id",
                "project_id",
                "router:external",
                "mtu",
                "port_security_enabled",
                "description",
                "availability_zone_hints",
                "provider:network_type",
                "provider:physical_network",
                "provider:segmentation_id",
                "dns_domain",
                "is_default",
                "vlan_transparent",
                "qinq",
            ],
            Self::Subnet => &[
                "name",
                "network_id",
                "tenant_id",
                "project_id",
                "cidr",
                "ip_version",
                "gateway_ip",
                "allocation_pools",
                "enable_dhcp",
                "dns_nameservers",
                "host_routes",
                "description",
                "ipv6_ra_mode",
                "ipv6_address_mode",
                "service_types",
                "subnetpool_id",
                "prefixlen",
                "dns_publish_fixed_ip",
                "use_default_subnetpool",
            ],
            Self::Port => &[
                "name",
                "network_id",
                "tenant_id",
                "project_id",
                "mac_address",
                "fixed_ips",
                "admin_state_up",
                "device_id",
                "device_owner",
                "security_groups",
                "allowed_address_pairs",
                "description",
                "port_security_enabled",
                "binding:vnic_type",
                "binding:host_id",
                "binding:profile",
                "extra_dhcp_opts",
                "dns_name",
                "dns_domain",
                "propagate_uplink_status",
                "trusted",
            ],
            Self::Router => &[
                "name",
                "tenant_id",
                "project_id",
                "admin_state_up",
                "external_gateway_info",
                "description",
                "availability_zone_hints",
                "flavor_id",
                "ha",
                "distributed",
            ],
            Self::FloatingIp => &[
                "floating_network_id",
                "tenant_id",
                "project_id",
                "port_id",
                "fixed_ip_address",
                "floating_ip_address",
                "subnet_id",
                "description",
                "dns_name",
                "dns_domain",
            ],
            Self::SecurityGroup => &["name", "tenant_id", "project_id", "description", "stateful"],
            Self::SecurityGroupRule => &[
                "security_group_id",
                "tenant_id",
                "project_id",
                "direction",
                "ethertype",
                "protocol",
                "port_range_min",
                "port_range_max",
                "remote_ip_prefix",
                "remote_group_id",
                "remote_address_group_id",
                "description",
            ],
            Self::AddressScope => &["name", "tenant_id", "project_id", "ip_version", "shared"],
            Self::AddressGroup => &[
                "name",
                "tenant_id",
                "project_id",
                "description",
                "addresses",
            ],
            Self::Trunk => &[
                "name",
                "tenant_id",
                "project_id",
                "admin_state_up",
                "port_id",
                "sub_ports",
                "description",
            ],
        }
    }

    /// Fields that are settled at creation.
    const fn fixed(self) -> &'static [&'static str] {
        match self {
            Self::Network => &[
                "tenant_id",
                "project_id",
                "availability_zone_hints",
                "vlan_transparent",
                "qinq",
            ],
            Self::Subnet => &[
                "network_id",
                "tenant_id",
                "project_id",
                "cidr",
                "ip_version",
                "ipv6_ra_mode",
                "ipv6_address_mode",
                "subnetpool_id",
                "prefixlen",
                "use_default_subnetpool",
            ],
            Self::Port => &["network_id", "tenant_id", "project_id"],
            Self::Router => &[
                "tenant_id",
                "project_id",
                "availability_zone_hints",
                "flavor_id",
            ],
            Self::FloatingIp => &[
                "floating_network_id",
                "tenant_id",
                "project_id",
                "floating_ip_address",
                "subnet_id",
                "dns_name",
                "dns_domain",
            ],
            Self::SecurityGroup => &["tenant_id", "project_id"],
            Self::SecurityGroupRule => &[],
            Self::AddressScope => &["tenant_id", "project_id", "ip_version"],
            Self::AddressGroup => &["tenant_id", "project_id", "addresses"],
            Self::Trunk => &["tenant_id", "project_id", "port_id", "sub_ports"],
        }
    }

    /// Fields that exist beside those that can be set.
    const fn derived(self) -> &'static [&'static str] {
        match self {
            Self::Network => &[
                "subnets",
                "availability_zones",
                "ipv4_address_scope",
                "ipv6_address_scope",
            ],
            Self::Subnet => &["router:external"],
            Self::Port => &[
                "binding:vif_type",
                "binding:vif_details",
                "dns_assignment",
                "ip_allocation",
            ],
            Self::Router => &["routes", "availability_zones"],
            Self::FloatingIp => &["router_id", "port_details"],
            Self::SecurityGroup => &["security_group_rules", "shared"],
            Self::SecurityGroupRule => &["normalized_cidr", "belongs_to_default_sg"],
            Self::AddressScope | Self::AddressGroup | Self::Trunk => &[],
        }
    }

    pub(super) fn check_create(self, wanted: &Object) -> Result<(), Refusal> {
        self.check_known(wanted)?;
        match wanted
            .keys()
            .find(|n| !self.creatable().contains(&n.as_str()))
        {
            Some(name) => Err(bad_request(format!(
                "Attribute '{name}' not allowed in POST"
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn check_update(self, wanted: &Object) -> Result<(), Refusal> {
        self.check_known(wanted)?;
        let routes = self == Self::Router;
        for name in wanted.keys() {
            let settable =
                self.creatable().contains(&name.as_str()) || (routes && name == "routes");
            if !settable || self.fixed().contains(&name.as_str()) {
                return Err(bad_request(format!(
                    "Cannot update read-only attribute {name}"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn has_field(self, name: &str) -> bool {
        let standard = if self == Self::AddressScope {
            &["id"]
        } else {
            READ_ONLY
        };
        [self.creatable(), self.derived(), standard]
            .iter()
            .any(|names| names.contains(&name))
    }

    pub(super) fn is_hidden(name: &str) -> bool {
        ADMIN_ONLY.contains(&name)
    }

    fn check_known(self, wanted: &Object) -> Result<(), Refusal> {
        let unknown: Vec<String> = wanted
            .keys()
            .filter(|n| !self.has_field(n))
            .map(|n| format!("'{n}'"))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(bad_request(format!(
            "Unrecognized attribute(s) {}",
            unknown.join(", ")
        )))
    }
}
