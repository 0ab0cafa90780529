//! Neutron ports.
//!
//! API: <https://docs.openstack.org/api-ref/network/v2/#ports>. Binding a port to a server is the
//! business of `server`.

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
use super::neutron::{self, Standard, StandardStatus, Wanted};
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal,
};

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
    /// Further properties of the create request, as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub value_specs: Option<Vec<ValueSpec>>,
    /// Tags; the whole set is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
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
    pub ip: String,
    /// MAC address; the port's own if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

/// A property of the create request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueSpec {
    /// Its name in Neutron.
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
    pub(super) standard: Standard,
    pub(super) network_id: String,
    status: Option<String>,
    admin_state_up: Option<bool>,
    mac_address: String,
    #[serde(default)]
    device_id: String,
    #[serde(default)]
    device_owner: String,
    #[serde(default)]
    pub(super) fixed_ips: Vec<FixedIp>,
    #[serde(default)]
    allowed_address_pairs: Vec<Pair>,
    #[serde(default)]
    pub(super) security_groups: Vec<String>,
    port_security_enabled: Option<bool>,
    propagate_uplink_status: Option<bool>,
    trusted: Option<bool>,
    #[serde(rename = "binding:vnic_type")]
    vnic_type: Option<String>,
    #[serde(rename = "binding:host_id")]
    host_id: Option<String>,
}

/// One address in a port's answer.
#[derive(Debug, Clone, Deserialize)]
pub struct FixedIp {
    pub(super) subnet_id: String,
    pub(super) ip_address: IpAddr,
}

/// A pair in Neutron's spelling.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pair {
    ip_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac_address: Option<String>,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Replace the addresses: who talks to the old ones is cut off.
    SetAddresses,
    /// Replace the tags.
    SetTags,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetAddresses => "set addresses",
            Self::SetTags => "set tags",
        })
    }
}

/// The kind.
#[derive(Debug)]
pub enum Port {}

impl Kind for Port {
    const NAME: &'static str = "Port";
    const SERVICE: Service = Service::Network;
    const COLLECTION: Collection = Collection {
        list: "ports",
        query: &[],
        path: "ports",
        route: "ports/{id}",
        one: "port",
        many: "ports",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::Description;
    const QUOTA: Option<&'static str> = Some("port");
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("adminStateUp", Change::Update),
        Field::new("portSecurity", Change::Update),
        Field::new("securityGroupRefs", Change::Update).by(Compare::Set),
        Field::new("allowedAddressPairs", Change::Update).by(Compare::Elements(&[])),
        Field::new("vnicType", Change::Update),
        Field::new("trustedVIF", Change::Update),
        Field::new("addresses", Change::Disrupt(Action::SetAddresses)).by(Compare::Contains),
        Field::new("tags", Change::Action(Action::SetTags)).by(Compare::Set),
        Field::new("networkRef", Change::Replace),
        Field::new("macAddress", Change::Birth),
        Field::new("propagateUplinkStatus", Change::Birth),
        Field::new("valueSpecs", Change::Birth),
    ];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(port: &Object) -> Identity {
        Identity {
            attached_to: neutron::filled(&port.device_id).into_iter().collect(),
            ..port.standard.identity()
        }
    }

    fn health(port: &Object) -> Health {
        neutron::health_when_used(port.status.as_deref())
    }

    fn project(port: &Object, _: &Attached<'_>) -> Spec {
        let addresses = port.fixed_ips.iter().map(|it| Address {
            subnet_ref: Ref::Id(it.subnet_id.clone()),
            ip: Some(it.ip_address),
        });
        let security = |enabled| {
            if enabled {
                PortSecurity::Enabled
            } else {
                PortSecurity::Disabled
            }
        };
        Spec {
            name: Some(port.standard.name().to_owned()),
            description: Some(port.standard.text().to_owned()),
            network_ref: Ref::Id(port.network_id.clone()),
            addresses: Some(addresses.collect()),
            admin_state_up: port.admin_state_up,
            allowed_address_pairs: Some(pairs(port)),
            mac_address: Some(canonical_mac(&port.mac_address)),
            port_security: port.port_security_enabled.map(security),
            security_group_refs: Some(
                port.security_groups
                    .iter()
                    .map(|id| Ref::Id(id.clone()))
                    .collect(),
            ),
            vnic_type: port.vnic_type.clone(),
            trusted_vif: port.trusted,
            propagate_uplink_status: port.propagate_uplink_status,
            value_specs: None,
            tags: Some(port.standard.tags()),
        }
    }

    fn status(port: &Object, _: &Attached<'_>) -> Status {
        let fixed_ips = port.fixed_ips.iter().map(|it| FixedIpStatus {
            ip: it.ip_address,
            subnet_id: it.subnet_id.clone(),
        });
        Status {
            standard: port.standard.status(),
            network_id: port.network_id.clone(),
            status: port.status.clone(),
            fixed_ips: fixed_ips.collect(),
            mac_address: port.mac_address.clone(),
            admin_state_up: port.admin_state_up,
            allowed_address_pairs: pairs(port),
            device_id: neutron::filled(&port.device_id),
            device_owner: neutron::filled(&port.device_owner),
            host_id: port.host_id.as_deref().and_then(neutron::filled),
            port_security_enabled: port.port_security_enabled,
            security_groups: port.security_groups.clone(),
            vnic_type: port.vnic_type.clone(),
            trusted_vif: port.trusted,
            propagate_uplink_status: port.propagate_uplink_status,
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        let what = What::Object {
            kind: "Network",
            reference: &mut spec.network_ref,
        };
        visit(Need {
            pointer: "/networkRef".to_owned(),
            what,
        });
        for (index, address) in spec.addresses.iter_mut().flatten().enumerate() {
            let pointer = format!("/addresses/{index}/subnetRef");
            let reference = &mut address.subnet_ref;
            visit(Need {
                pointer,
                what: What::Object {
                    kind: "Subnet",
                    reference,
                },
            });
        }
        for (index, reference) in spec.security_group_refs.iter_mut().flatten().enumerate() {
            let pointer = format!("/securityGroupRefs/{index}");
            visit(Need {
                pointer,
                what: What::Object {
                    kind: "SecurityGroup",
                    reference,
                },
            });
        }
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
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
        if spec.port_security == Some(PortSecurity::Disabled) {
            for (pointer, is_set) in [
                ("/securityGroupRefs", spec.security_group_refs.is_some()),
                ("/allowedAddressPairs", spec.allowed_address_pairs.is_some()),
            ] {
                if is_set {
                    let message = "cannot be set when portSecurity is Disabled";
                    complaints.push(Complaint::new(pointer, message));
                }
            }
        }
        if spec.mac_address.as_ref().is_some_and(|mac| !is_mac(mac)) {
            complaints.push(Complaint::new("/macAddress", "no MAC address"));
        }
        for (index, pair) in spec.allowed_address_pairs.iter().flatten().enumerate() {
            let pointer = format!("/allowedAddressPairs/{index}");
            if block(&pair.ip).is_none() {
                let message = "neither an address nor a block of addresses";
                complaints.push(Complaint::new(format!("{pointer}/ip"), message));
            }
            if pair.mac.as_ref().is_some_and(|mac| !is_mac(mac)) {
                complaints.push(Complaint::new(format!("{pointer}/mac"), "no MAC address"));
            }
        }
        for (index, property) in spec.value_specs.iter().flatten().enumerate() {
            if ["name", "description", "network_id"].contains(&property.key.as_str()) {
                let message = format!("`{}` has a field of its own", property.key);
                complaints.push(Complaint::new(format!("/valueSpecs/{index}/key"), message));
            }
        }
        complaints
    }

    fn fill(spec: &mut Spec, _: &Inputs) -> Result<Material, Refusal> {
        neutron::as_set(&mut spec.tags);
        // The network's choice: nothing to send, nothing to compare.
        if spec.port_security == Some(PortSecurity::Inherit) {
            spec.port_security = None;
        }
        if let Some(mac) = &mut spec.mac_address {
            *mac = canonical_mac(mac);
        }
        for pair in spec.allowed_address_pairs.iter_mut().flatten() {
            pair.ip = canonical_block(&pair.ip);
            pair.mac = pair.mac.as_deref().map(canonical_mac);
        }
        if let Some(groups) = &mut spec.security_group_refs {
            groups.sort_by(|a, b| a.id().cmp(&b.id()));
            groups.dedup();
        }
        Ok(Material::default())
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut body = Map::new();
        for ValueSpec { key, value } in spec.value_specs.iter().flatten() {
            body.insert(key.clone(), json!(value));
        }
        body.extend(neutron::newborn(birth, spec.description.as_deref()));
        body.insert("network_id".to_owned(), json!(spec.network_ref.id()));
        neutron::set(&mut body, "mac_address", spec.mac_address.as_ref());
        neutron::set(
            &mut body,
            "propagate_uplink_status",
            spec.propagate_uplink_status,
        );
        if spec.addresses.is_some() {
            body.insert("fixed_ips".to_owned(), fixed_ips(spec));
        }
        for field in [
            "adminStateUp",
            "portSecurity",
            "securityGroupRefs",
            "allowedAddressPairs",
            "vnicType",
            "trustedVIF",
        ] {
            write(&mut body, spec, field);
        }
        neutron::post(&Self::COLLECTION, body)
    }

    fn update(spec: &Spec, port: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            match *field {
                "description" => {
                    let text = port.standard.described(spec.description.as_deref());
                    body.insert("description".to_owned(), text);
                }
                field => write(&mut body, spec, field),
            }
        }
        neutron::put(&Self::COLLECTION, &port.standard.id, body)
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        port: &Object,
    ) -> Result<Call, Refusal> {
        let id = &port.standard.id;
        match action {
            Action::SetAddresses => {
                let mut body = Map::new();
                body.insert("fixed_ips".to_owned(), fixed_ips(spec));
                Ok(neutron::put(&Self::COLLECTION, id, body))
            }
            Action::SetTags => {
                let tags = spec.tags.as_deref();
                Ok(neutron::put_tags(
                    &Self::COLLECTION,
                    "ports/{id}/tags",
                    id,
                    tags,
                ))
            }
        }
    }

    fn brand(port: &Object, birth: &Birth<'_>) -> Option<Call> {
        Some(port.standard.brand(&Self::COLLECTION, birth))
    }

    fn matches(filter: &Filter, port: &Object) -> bool {
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
            admin_state_up,
            mac_address,
            ..
        } = filter;
        port.standard.is(&wanted)
            && network_ref
                .as_ref()
                .is_none_or(|it| it.id() == Some(port.network_id.as_str()))
            && admin_state_up.is_none_or(|it| Some(it) == port.admin_state_up)
            && mac_address
                .as_ref()
                .is_none_or(|it| canonical_mac(it) == canonical_mac(&port.mac_address))
    }
}

/// Writes a field that the spec sets under Neutron's name for it.
fn write(body: &mut Map<String, Value>, spec: &Spec, field: &str) {
    match field {
        "name" => neutron::set(body, "name", spec.name.as_ref()),
        "adminStateUp" => neutron::set(body, "admin_state_up", spec.admin_state_up),
        "portSecurity" => match spec.port_security {
            Some(PortSecurity::Enabled) => {
                body.insert("port_security_enabled".to_owned(), json!(true));
            }
            Some(PortSecurity::Disabled) => {
                // Neutron refuses (409) while the port still has groups or pairs.
                body.insert("port_security_enabled".to_owned(), json!(false));
                body.insert("security_groups".to_owned(), json!([]));
                body.insert("allowed_address_pairs".to_owned(), json!([]));
            }
            Some(PortSecurity::Inherit) | None => {}
        },
        "securityGroupRefs" => {
            let ids =
                |groups: &Vec<Ref>| groups.iter().map(|it| json!(it.id())).collect::<Vec<_>>();
            neutron::set(
                body,
                "security_groups",
                spec.security_group_refs.as_ref().map(ids),
            );
        }
        "allowedAddressPairs" => {
            let pairs = |pairs: &Vec<AddressPair>| pairs.iter().map(Pair::from).collect::<Vec<_>>();
            let pairs = spec.allowed_address_pairs.as_ref().map(pairs);
            neutron::set(body, "allowed_address_pairs", pairs);
        }
        "vnicType" => neutron::set(body, "binding:vnic_type", spec.vnic_type.as_ref()),
        "trustedVIF" => neutron::set(body, "trusted", spec.trusted_vif),
        _ => {}
    }
}

fn fixed_ips(spec: &Spec) -> Value {
    let address = |it: &Address| {
        let mut address = Map::new();
        address.insert("subnet_id".to_owned(), json!(it.subnet_ref.id()));
        neutron::set(&mut address, "ip_address", it.ip);
        address
    };
    json!(
        spec.addresses
            .iter()
            .flatten()
            .map(address)
            .collect::<Vec<_>>()
    )
}

fn pairs(port: &Object) -> Vec<AddressPair> {
    let pair = |it: &Pair| AddressPair {
        ip: canonical_block(&it.ip_address),
        mac: it.mac_address.as_deref().map(canonical_mac),
    };
    port.allowed_address_pairs.iter().map(pair).collect()
}

impl From<&AddressPair> for Pair {
    fn from(pair: &AddressPair) -> Self {
        Self {
            ip_address: pair.ip.clone(),
            mac_address: pair.mac.clone(),
        }
    }
}

/// An address is a block of one.
fn block(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// One spelling for each block: host bits are zero, and a block of one is an address.
fn canonical_block(text: &str) -> String {
    match block(text) {
        Some(block) if block.prefix_len() == block.max_prefix_len() => block.addr().to_string(),
        Some(block) => block.trunc().to_string(),
        None => text.to_owned(),
    }
}

fn canonical_mac(text: &str) -> String {
    text.to_ascii_lowercase().replace('-', ":")
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let is_byte = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    parts.len() == 6 && parts.iter().all(is_byte)
}

#[cfg(test)]
mod tests;
