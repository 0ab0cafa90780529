//! Interfaces of Neutron routers: a port that Neutron makes when a subnet is plugged into a router.
//!
//! API: <https://docs.openstack.org/api-ref/network/v2/#add-interface-to-router>.
//!
//! There is one for each router and subnet, so the pair is its identity and no marker is needed.
//! An IPv6 port may hold addresses of several subnets; its first one counts, the others are not
//! seen as interfaces.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::manifest::{Ref, Shape};

use super::call::{Call, Method, Reply, Service, segment};
use super::field::{Change, Field};
use super::health::Health;
use super::need::{Need, What};
use super::neutron::{self, Standard};
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never, Refusal,
};

/// Owners of ports that plug a subnet into a router: plain, distributed, highly available.
const OWNERS: [&str; 3] = [
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
];

/// A subnet plugged into a router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// What is plugged in.
    #[serde(rename = "type")]
    pub kind: InterfaceType,
    /// The router.
    pub router_ref: Ref,
    /// The subnet, for type Subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_ref: Option<Ref>,
}

/// What is plugged into a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InterfaceType {
    /// A subnet; the router takes its gateway address.
    Subnet,
}

/// A router interface cannot be imported: there is nothing to choose by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {}

/// What is known of a router interface.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The port that Neutron made.
    #[serde(rename = "portID")]
    pub port_id: String,
    /// The router's address in the subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The port's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// The port of a router interface as Neutron answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    #[serde(flatten)]
    standard: Standard,
    status: Option<String>,
    #[serde(default)]
    device_id: String,
    #[serde(default)]
    device_owner: String,
    #[serde(default)]
    fixed_ips: Vec<FixedIp>,
}

#[derive(Debug, Clone, Deserialize)]
struct FixedIp {
    subnet_id: String,
    ip_address: String,
}

/// The kind.
#[derive(Debug)]
pub enum RouterInterface {}

impl Kind for RouterInterface {
    const NAME: &'static str = "RouterInterface";
    const SERVICE: Service = Service::Network;
    const SHAPE: Shape = Shape::Flat;
    const COLLECTION: Collection = Collection {
        list: "ports",
        query: &[
            ("device_owner", OWNERS[0]),
            ("device_owner", OWNERS[1]),
            ("device_owner", OWNERS[2]),
        ],
        path: "ports",
        route: "ports/{id}",
        one: "port",
        many: "ports",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const SINGLE: Option<&'static str> = Some("a router is in a subnet once");
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("routerRef", Change::Replace),
        Field::new("subnetRef", Change::Replace),
        Field::new("type", Change::Replace),
    ];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(interface: &Object) -> Identity {
        // The list is asked for these owners only, but a cloud may ignore a filter.
        let is_interface = OWNERS.contains(&interface.device_owner.as_str());
        let subnet = interface.fixed_ips.first().filter(|_| is_interface);
        Identity {
            natural_key: subnet.map(|it| key(&interface.device_id, &it.subnet_id)),
            part_of: Some(("Router", interface.device_id.clone())),
            ..interface.standard.identity()
        }
    }

    fn health(interface: &Object) -> Health {
        neutron::health_when_used(interface.status.as_deref())
    }

    fn project(interface: &Object, _: &Attached<'_>) -> Spec {
        let subnet = interface.fixed_ips.first();
        Spec {
            kind: InterfaceType::Subnet,
            router_ref: Ref::Id(interface.device_id.clone()),
            subnet_ref: subnet.map(|it| Ref::Id(it.subnet_id.clone())),
        }
    }

    fn status(interface: &Object, _: &Attached<'_>) -> Status {
        Status {
            port_id: interface.standard.id.clone(),
            ip: interface.fixed_ips.first().map(|it| it.ip_address.clone()),
            status: interface.status.clone(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        let what = What::Object {
            kind: "Router",
            reference: &mut spec.router_ref,
        };
        visit(Need {
            pointer: "/routerRef".to_owned(),
            what,
        });
        if let Some(reference) = &mut spec.subnet_ref {
            let what = What::Object {
                kind: "Subnet",
                reference,
            };
            visit(Need {
                pointer: "/subnetRef".to_owned(),
                what,
            });
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        match (spec.kind, &spec.subnet_ref) {
            (InterfaceType::Subnet, None) => {
                vec![Complaint::new(
                    "",
                    "subnetRef is required when type is 'Subnet' and not permitted otherwise",
                )]
            }
            (InterfaceType::Subnet, Some(_)) => Vec::new(),
        }
    }

    fn natural_key(spec: &Spec, _: &str) -> Option<String> {
        Some(key(spec.router_ref.id()?, spec.subnet_ref.as_ref()?.id()?))
    }

    fn create(spec: &Spec, _: &Birth<'_>) -> Call {
        let router = spec.router_ref.id().unwrap_or_default();
        let subnet = spec
            .subnet_ref
            .as_ref()
            .and_then(Ref::id)
            .unwrap_or_default();
        plug(true, router, subnet)
    }

    fn born(reply: &Reply) -> Option<String> {
        reply.body["port_id"].as_str().map(str::to_owned)
    }

    /// No field changes in place, so nothing asks for this: looking again is all there is to do.
    fn update(_: &Spec, interface: &Object, _: &[&'static str]) -> Call {
        Self::read(&interface.standard.id)
    }

    fn act(action: Never, _: Option<&Element>, _: &Spec, _: &Object) -> Result<Call, Refusal> {
        match action {}
    }

    /// The port cannot be deleted as a port (409): the subnet is unplugged.
    fn delete(interface: &Object) -> Call {
        let subnet = interface.fixed_ips.first().map(|it| it.subnet_id.as_str());
        plug(false, &interface.device_id, subnet.unwrap_or_default())
    }

    fn brand(_: &Object, _: &Birth<'_>) -> Option<Call> {
        None
    }

    fn matches(_: &Filter, _: &Object) -> bool {
        false
    }
}

fn key(router: &str, subnet: &str) -> String {
    format!("{router}/{subnet}")
}

fn plug(add: bool, router: &str, subnet: &str) -> Call {
    let (route, verb) = if add {
        ("routers/{id}/add_router_interface", "add_router_interface")
    } else {
        (
            "routers/{id}/remove_router_interface",
            "remove_router_interface",
        )
    };
    let path = format!("routers/{}/{verb}", segment(router));
    Call::new(Service::Network, Method::Put, route, path).json(json!({ "subnet_id": subnet }))
}

#[cfg(test)]
mod tests {
    use super::super::erased::{AnyKind, Intent, Of, unclassified};
    use super::super::neutron::testing::*;
    use super::*;
    use serde_json::Value;

    const RECORDED: &str = include_str!("testdata/router-interface.json");
    const ROUTER: &str = "cd776169-e7d1-415a-b65b-24d15fd90b8d";
    const SUBNET: &str = "8406c6eb-1a51-4952-b895-a6fdbcb8a578";

    fn wanted() -> Value {
        json!({"type": "Subnet", "routerRef": {"id": ROUTER}, "subnetRef": {"id": SUBNET}})
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(
            unclassified(&Of::<RouterInterface>::NEW),
            Vec::<String>::new()
        );
    }

    #[test]
    fn router_and_subnet_are_the_identity_of_spec_and_port() {
        let found = fixture::<RouterInterface>(RECORDED);
        let kind = Of::<RouterInterface>::NEW;
        let key = kind.natural_key(&wanted(), "called");
        assert_eq!(key, Some(format!("{ROUTER}/{SUBNET}")));
        assert_eq!(found.natural_key, key);
        assert_eq!(projected::<RouterInterface>(&found), wanted());
        let waiting = json!({"type": "Subnet", "routerRef": {"id": ROUTER}, "subnetRef": "later"});
        assert_eq!(kind.natural_key(&waiting, "called"), None);
    }

    #[test]
    fn ports_of_others_are_no_interfaces_even_if_the_list_holds_them() {
        let mut port: Value = serde_json::from_str(RECORDED).unwrap();
        for owner in ["compute:nova", "network:dhcp", "network:router_gateway", ""] {
            port["device_owner"] = json!(owner);
            assert_eq!(
                look::<RouterInterface>(port.clone()).natural_key,
                None,
                "{owner}"
            );
        }
        for owner in OWNERS {
            port["device_owner"] = json!(owner);
            assert!(
                look::<RouterInterface>(port.clone()).natural_key.is_some(),
                "{owner}"
            );
        }
    }

    #[test]
    fn it_is_plugged_and_unplugged_by_its_subnet() {
        let kind = Of::<RouterInterface>::NEW;
        let plug = request::<RouterInterface>(&Intent::Create, &wanted(), None).unwrap();
        assert_eq!(plug.path, format!("routers/{ROUTER}/add_router_interface"));
        assert_eq!(body(&plug), &json!({"subnet_id": SUBNET}));
        let body = json!({"id": ROUTER, "port_id": "p", "subnet_id": SUBNET});
        let reply = Reply {
            status: 200,
            body,
            request_id: None,
        };
        assert_eq!(kind.born(&reply).as_deref(), Some("p"));
        assert_eq!(kind.read("p").path, "ports/p");

        let found = fixture::<RouterInterface>(RECORDED);
        let unplug = request::<RouterInterface>(&Intent::Delete, &wanted(), Some(&found)).unwrap();
        assert_eq!(unplug.method, Method::Put);
        assert_eq!(
            unplug.path,
            format!("routers/{ROUTER}/remove_router_interface")
        );
        assert_eq!(
            super::super::neutron::testing::body(&unplug),
            &json!({"subnet_id": SUBNET})
        );
    }

    #[test]
    fn status_says_port_and_address() {
        let found = fixture::<RouterInterface>(RECORDED);
        assert_eq!(found.health, Health::Ready);
        let expected = json!({"portID": found.id, "ip": "192.168.50.1", "status": "ACTIVE"});
        assert_eq!(status::<RouterInterface>(&found), expected);
    }

    #[test]
    fn a_subnet_is_required() {
        let spec = json!({"type": "Subnet", "routerRef": "r"});
        assert_eq!(complaints::<RouterInterface>(&spec), [""]);
        assert_eq!(
            complaints::<RouterInterface>(&wanted()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_list_asks_for_all_owners() {
        let query = Of::<RouterInterface>::NEW.list().query;
        let owners: Vec<&str> = query.iter().map(|(_, owner)| owner.as_str()).collect();
        assert_eq!(owners, OWNERS);
    }
}
