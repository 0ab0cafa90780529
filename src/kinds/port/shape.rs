//! The shapes of a port: what is asked for, what it is chosen by, what is known, what is answered.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::neutron::{Standard, StandardStatus};
use crate::manifest::Ref;

/// A port of a network.
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
    /// Addresses that it must have; others, as IPv6 gives them by itself, may be there too. One
    /// of each IP version, chosen by the cloud, if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub addresses: Option<Vec<Address>>,
    /// Whether it forwards packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// Further addresses that may send through it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub allowed_address_pairs: Option<Vec<AddressPair>>,
    /// MAC address; the cloud's choice if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "mac"))]
    pub mac_address: Option<String>,
    /// Whether security groups and address checks apply; the network's own setting if `Inherit` or
    /// not set, which is never compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_security: Option<PortSecurity>,
    /// Security groups; the whole set is owned. If not set, Neutron adds the project's group
    /// `default`; an empty list means none at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub security_group_refs: Option<Vec<Ref>>,
    /// How a server is plugged in: `normal`, `direct`, `macvtap`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["normal", "direct", "macvtap"]))]
    pub vnic_type: Option<String>,
    /// Whether the host may trust the guest with the device; needs an administrator in most clouds.
    #[serde(
        default,
        rename = "trustedVIF",
        skip_serializing_if = "Option::is_none"
    )]
    pub trusted_vif: Option<bool>,
    /// Whether the state of the host's uplink shows in the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagate_uplink_status: Option<bool>,
    /// The host that it is bound to when it is made. Needs an administrator.
    #[serde(default, rename = "hostID", skip_serializing_if = "Option::is_none")]
    pub host_id: Option<HostId>,
    /// Further properties of the create request, as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub value_specs: Option<Vec<ValueSpec>>,
    /// Tags; the whole set is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The project that it is made in; that of the credentials if not set. Needs an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// An address of a port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Address {
    /// The subnet that it is in.
    pub subnet_ref: Ref,
    /// The address; the cloud's choice if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
}

/// An address that may send through a port beside its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressPair {
    /// An address or a block of them.
    #[schemars(extend("examples" = ["10.4.0.9", "10.4.0.0/24", "FD00:4:0::9", "fd00:4::/64"]))]
    pub ip: String,
    /// MAC address; the port's own if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "mac"))]
    pub mac: Option<String>,
}

/// Whether security groups and address checks apply to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PortSecurity {
    /// They do.
    Enabled,
    /// They do not: the port can have neither.
    Disabled,
    /// As the network says when the port is made.
    Inherit,
}

/// A host: exactly one of its two fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostId {
    /// Its name, as the compute service knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the Server whose host it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_ref: Option<String>,
}

/// A property of the create request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueSpec {
    /// Its name in Neutron.
    #[schemars(extend("examples" = ["device_owner"]))]
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Chooses ports by what the API returns of them.
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
    /// Whether it forwards packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
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

/// What is known of a port.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What every resource of Neutron has.
    #[serde(flatten)]
    pub standard: StandardStatus,
    /// The network that it belongs to.
    #[serde(rename = "networkID")]
    pub network_id: String,
    /// Neutron's status: `DOWN` until something uses it, `ACTIVE`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Its addresses.
    #[serde(rename = "fixedIPs", skip_serializing_if = "Vec::is_empty")]
    pub fixed_ips: Vec<FixedIpStatus>,
    /// MAC address.
    pub mac_address: String,
    /// Whether it forwards packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// Further addresses that may send through it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_address_pairs: Vec<AddressPair>,
    /// What uses it: a server, a router.
    #[serde(rename = "deviceID", skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// What sort of user that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_owner: Option<String>,
    /// The host, for administrators.
    #[serde(rename = "hostID", skip_serializing_if = "Option::is_none")]
    pub host_id: Option<String>,
    /// Whether security groups and address checks apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_security_enabled: Option<bool>,
    /// Ids of its security groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// How a server is plugged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnic_type: Option<String>,
    /// Whether the host trusts the guest with the device.
    #[serde(rename = "trustedVIF", skip_serializing_if = "Option::is_none")]
    pub trusted_vif: Option<bool>,
    /// Whether the state of the host's uplink shows in the guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_uplink_status: Option<bool>,
}

/// An address of a port, as it is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FixedIpStatus {
    /// The address.
    pub ip: IpAddr,
    /// The subnet that it is in.
    #[serde(rename = "subnetID")]
    pub subnet_id: String,
}

/// A port as Neutron answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    #[serde(flatten)]
    pub(in crate::kinds) standard: Standard,
    pub(in crate::kinds) network_id: String,
    pub(super) status: Option<String>,
    pub(super) admin_state_up: Option<bool>,
    pub(super) mac_address: String,
    #[serde(default)]
    pub(super) device_id: String,
    #[serde(default)]
    pub(super) device_owner: String,
    #[serde(default)]
    pub(in crate::kinds) fixed_ips: Vec<FixedIp>,
    #[serde(default)]
    pub(super) allowed_address_pairs: Vec<Pair>,
    #[serde(default)]
    pub(in crate::kinds) security_groups: Vec<String>,
    pub(super) port_security_enabled: Option<bool>,
    pub(super) propagate_uplink_status: Option<bool>,
    pub(super) trusted: Option<bool>,
    #[serde(rename = "binding:vnic_type")]
    pub(super) vnic_type: Option<String>,
    #[serde(rename = "binding:host_id")]
    pub(super) host_id: Option<String>,
}

/// One address in a port's answer.
#[derive(Debug, Clone, Deserialize)]
pub struct FixedIp {
    pub(in crate::kinds) subnet_id: String,
    pub(in crate::kinds) ip_address: IpAddr,
}

/// A pair in Neutron's spelling.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Pair {
    pub(super) ip_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mac_address: Option<String>,
}
