//! Neutron ports.
//!
//! API: <https://docs.openstack.org/api-ref/network/v2/#ports>. Binding a port to a server is the
//! business of `server`.

mod shape;

use std::fmt;

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use crate::manifest::{Ref, ValueSource};

use super::call::{Call, Service};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::need::{Inputs, Material, Need, What};
use super::neutron::{self, Wanted};
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal,
};
use spelling::{block, canonical_block, canonical_mac, is_mac};

pub use shape::*;

/// The need of the host that a server is on.
const HOST_OF_SERVER: &str = "/hostID/serverRef";

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Replace the addresses: who talks to the old ones is cut off.
    SetAddresses,
    /// Replace the MAC address, which Neutron does as long as nothing uses the port.
    SetMac,
    /// Replace the tags.
    SetTags,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetAddresses => "set addresses",
            Self::SetMac => "set the MAC address",
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
    const ANSWERS_WHOLE: bool = true;
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
        Field::new("macAddress", Change::Disrupt(Action::SetMac)),
        Field::new("propagateUplinkStatus", Change::Replace).by(Compare::IfTold),
        // Nova binds it anew to the host of the server that uses it.
        Field::new("hostID", Change::Birth),
        Field::new("valueSpecs", Change::Birth),
        Field::new("projectRef", Change::Replace),
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
            host_id: port
                .host_id
                .as_deref()
                .and_then(neutron::filled)
                .map(|id| HostId {
                    id: Some(id),
                    server_ref: None,
                }),
            value_specs: None,
            tags: Some(port.standard.tags()),
            project_ref: port.standard.project_ref(),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.admin_state_up.take_if(|it| *it);
        let _ = spec.allowed_address_pairs.take_if(|it| it.is_empty());
        // Neutron's own prefix: nobody chose it.
        let _ = spec.mac_address.take_if(|it| it.starts_with("fa:16:3e:"));
        if spec.port_security == Some(PortSecurity::Disabled) {
            spec.security_group_refs = None;
        }
        let is_usual = |it: &mut PortSecurity| *it == PortSecurity::Enabled;
        let _ = spec.port_security.take_if(is_usual);
        let _ = spec.vnic_type.take_if(|it| it == "normal");
        let _ = spec.trusted_vif.take_if(|it| !*it);
        // Newer clouds say true of every port, older ones false.
        spec.propagate_uplink_status = None;
        let _ = spec.tags.take_if(|it| it.is_empty());
    }

    fn made_by_cloud(port: &Object) -> Option<&'static str> {
        let owner = port.device_owner.as_str();
        let by_person =
            owner.is_empty() || owner.starts_with("compute:") || owner == "trunk:subport";
        (!by_person).then_some("it belongs to a router, DHCP or another service")
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
        neutron::project_need(&mut spec.project_ref, visit);
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
        if let Some(HostId {
            server_ref: Some(name),
            ..
        }) = &spec.host_id
        {
            let (kind, name) = ("Server".to_owned(), name.clone());
            let path = "status.resource.host".to_owned();
            visit(Need {
                pointer: HOST_OF_SERVER.to_owned(),
                what: What::Value(&ValueSource::Field { kind, name, path }),
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
        if spec.port_security == Some(PortSecurity::Disabled) {
            for (pointer, is_set) in [
                ("/securityGroupRefs", spec.security_group_refs.is_some()),
                ("/allowedAddressPairs", spec.allowed_address_pairs.is_some()),
            ] {
                if is_set {
                    let message = format!(
                        "{} must be empty when portSecurity is set to Disabled",
                        &pointer[1..]
                    );
                    complaints.push(Complaint::new(pointer, message));
                }
            }
        }
        if let Some(HostId { id, server_ref }) = &spec.host_id
            && id.as_ref().is_none_or(String::is_empty) == server_ref.is_none()
        {
            let message = "exactly one of id or serverRef must be set";
            complaints.push(Complaint::new("/hostID", message));
        }
        if spec.mac_address.as_ref().is_some_and(|mac| !is_mac(mac)) {
            complaints.push(Complaint::new(
                "/macAddress",
                "not a MAC address such as fa:16:3e:12:34:56",
            ));
        }
        for (index, pair) in spec.allowed_address_pairs.iter().flatten().enumerate() {
            let pointer = format!("/allowedAddressPairs/{index}");
            if block(&pair.ip).is_none() {
                let message = "neither an address nor a block of addresses";
                complaints.push(Complaint::new(format!("{pointer}/ip"), message));
            }
            if pair.mac.as_ref().is_some_and(|mac| !is_mac(mac)) {
                complaints.push(Complaint::new(
                    format!("{pointer}/mac"),
                    "not a MAC address such as fa:16:3e:12:34:56",
                ));
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

    fn fill(spec: &mut Spec, inputs: &Inputs) -> Result<Material, Refusal> {
        neutron::as_set(&mut spec.tags);
        if let (Some(host), Some(name)) = (&mut spec.host_id, inputs.texts.get(HOST_OF_SERVER)) {
            *host = HostId {
                id: Some(name.expose_secret().to_owned()),
                server_ref: None,
            };
        }
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
        let host = spec.host_id.as_ref().and_then(|host| host.id.as_ref());
        neutron::set(&mut body, "binding:host_id", host);
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
        neutron::place(&mut body, spec.project_ref.as_ref());
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
            Action::SetMac => {
                let mut body = Map::new();
                neutron::set(&mut body, "mac_address", spec.mac_address.as_ref());
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

    fn beside(spec: &Spec, port: &Object) -> Result<(), Refusal> {
        let has_ip = spec.addresses.iter().flatten().any(|it| it.ip.is_some());
        let fixed = (has_ip || spec.mac_address.is_some())
            && spec.network_ref.id() == Some(&port.network_id);
        Refusal::when(fixed, "the old one has the addresses that it is to have")
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
            && neutron::is_of(
                filter.project_ref.as_ref(),
                port.standard.project().as_deref(),
            )
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

mod spelling;
#[cfg(test)]
mod tests;
