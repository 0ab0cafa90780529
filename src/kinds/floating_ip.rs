//! Neutron floating IPs.
//!
//! API: <https://docs.openstack.org/api-ref/network/v2/#floating-ips-floatingips>.
//!
//! An address is allocated once and associated afterwards, in a request of its own: an association
//! may fail for long (no route yet), and a second try must not allocate a second address.

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::manifest::{Ref, ValueSource};

use super::call::{Call, Service};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::need::{Inputs, Material, Need, What};
use super::neutron::{self, Standard, StandardStatus, Wanted};
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal,
};

/// Where the network of the subnet that is referred to arrives among the inputs.
const NETWORK_OF_SUBNET: &str = "/floatingSubnetRef/networkID";
/// The need of the first port of a server.
const PORT_OF_SERVER: &str = "/serverRef";

/// A floating IP.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The external network that the address is from; this or `floatingSubnetRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floating_network_ref: Option<Ref>,
    /// The subnet of an external network that the address is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floating_subnet_ref: Option<Ref>,
    /// The address itself; the cloud's choice if not set. Needs an administrator in most clouds.
    #[serde(
        default,
        rename = "floatingIP",
        skip_serializing_if = "Option::is_none"
    )]
    pub floating_ip: Option<IpAddr>,
    /// The port that it leads to. If not set, the association is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_ref: Option<Ref>,
    /// Name of the Server that it leads to: to the first port that the server has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_ref: Option<String>,
    /// Which of the port's addresses it leads to.
    #[serde(default, rename = "fixedIP", skip_serializing_if = "Option::is_none")]
    pub fixed_ip: Option<IpAddr>,
    /// Tags; the whole set is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The project that it is made in; that of the credentials if not set. Needs an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// Chooses floating IPs by what the API returns of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The address itself.
    #[serde(
        default,
        rename = "floatingIP",
        skip_serializing_if = "Option::is_none"
    )]
    pub floating_ip: Option<IpAddr>,
    /// The external network that the address is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floating_network_ref: Option<Ref>,
    /// The port that it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_ref: Option<Ref>,
    /// Neutron's status: `ACTIVE`, `DOWN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
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

/// What is known of a floating IP.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What every resource of Neutron has.
    #[serde(flatten)]
    pub standard: StandardStatus,
    /// The address itself.
    #[serde(rename = "floatingIP")]
    pub floating_ip: IpAddr,
    /// The external network that it is from.
    #[serde(rename = "floatingNetworkID")]
    pub floating_network_id: String,
    /// The port's address that it leads to.
    #[serde(rename = "fixedIP", skip_serializing_if = "Option::is_none")]
    pub fixed_ip: Option<IpAddr>,
    /// The port that it leads to.
    #[serde(rename = "portID", skip_serializing_if = "Option::is_none")]
    pub port_id: Option<String>,
    /// The router that does it.
    #[serde(rename = "routerID", skip_serializing_if = "Option::is_none")]
    pub router_id: Option<String>,
    /// Neutron's status: `DOWN` until it leads somewhere, `ACTIVE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The project it belongs to, by its older name.
    #[serde(rename = "tenantID", skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
}

/// A floating IP as Neutron answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    #[serde(flatten)]
    standard: Standard,
    floating_ip_address: IpAddr,
    floating_network_id: String,
    fixed_ip_address: Option<IpAddr>,
    port_id: Option<String>,
    router_id: Option<String>,
    status: Option<String>,
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
pub enum FloatingIp {}

impl Kind for FloatingIp {
    const NAME: &'static str = "FloatingIP";
    const SERVICE: Service = Service::Network;
    const COLLECTION: Collection = Collection {
        list: "floatingips",
        query: &[],
        path: "floatingips",
        route: "floatingips/{id}",
        one: "floatingip",
        many: "floatingips",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::Description;
    const ANSWERS_WHOLE: bool = true;
    const QUOTA: Option<&'static str> = Some("floatingip");
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("description", Change::Update),
        Field::new("portRef", Change::Update),
        // Becomes portRef before anything is compared.
        Field::new("serverRef", Change::Update),
        Field::new("fixedIP", Change::Update),
        Field::new("tags", Change::Action(Action::SetTags)).by(Compare::Set),
        Field::new("floatingNetworkRef", Change::Replace),
        // Not shown: the network is, and that is compared.
        Field::new("floatingSubnetRef", Change::Birth),
        Field::new("floatingIP", Change::Birth),
        Field::new("projectRef", Change::Replace),
    ];
    const LATER: &'static [&'static str] = &["portRef", "serverRef", "fixedIP"];
    const NATIVE_FIELDS: &'static [&'static str] = &["/serverRef"];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(address: &Object) -> Identity {
        Identity {
            attached_to: address.port_id.iter().cloned().collect(),
            ..address.standard.identity()
        }
    }

    fn health(address: &Object) -> Health {
        neutron::health_when_used(address.status.as_deref())
    }

    fn project(address: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            description: Some(address.standard.text().to_owned()),
            floating_network_ref: Some(Ref::Id(address.floating_network_id.clone())),
            floating_subnet_ref: None,
            floating_ip: Some(address.floating_ip_address),
            port_ref: address.port_id.clone().map(Ref::Id),
            server_ref: None,
            fixed_ip: address.fixed_ip_address,
            tags: Some(address.standard.tags()),
            project_ref: address.standard.project_ref(),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.tags.take_if(|it| it.is_empty());
    }

    fn status(address: &Object, _: &Attached<'_>) -> Status {
        Status {
            standard: address.standard.status(),
            floating_ip: address.floating_ip_address,
            floating_network_id: address.floating_network_id.clone(),
            fixed_ip: address.fixed_ip_address,
            port_id: address.port_id.clone(),
            router_id: address.router_id.clone(),
            status: address.status.clone(),
            tenant_id: address.standard.project(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut spec.project_ref, visit);
        if let Some(reference) = &mut spec.floating_network_ref {
            let what = What::Object {
                kind: "Network",
                reference,
            };
            visit(Need {
                pointer: "/floatingNetworkRef".to_owned(),
                what,
            });
        }
        if let Some(reference) = &mut spec.floating_subnet_ref {
            // Neutron wants the network of the subnet too.
            if let Ref::Name(name) = &*reference {
                let (kind, name) = ("Subnet".to_owned(), name.clone());
                let path = "status.resource.networkID".to_owned();
                let what = What::Value(&ValueSource::Field { kind, name, path });
                visit(Need {
                    pointer: NETWORK_OF_SUBNET.to_owned(),
                    what,
                });
            }
            let what = What::Object {
                kind: "Subnet",
                reference,
            };
            visit(Need {
                pointer: "/floatingSubnetRef".to_owned(),
                what,
            });
        }
        if let Some(name) = &spec.server_ref {
            let (kind, name) = ("Server".to_owned(), name.clone());
            let path = "status.resource.interfaces[0].portID".to_owned();
            visit(Need {
                pointer: PORT_OF_SERVER.to_owned(),
                what: What::Value(&ValueSource::Field { kind, name, path }),
            });
        }
        if let Some(reference) = &mut spec.port_ref {
            let what = What::Object {
                kind: "Port",
                reference,
            };
            visit(Need {
                pointer: "/portRef".to_owned(),
                what,
            });
        }
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut filter.project_ref, visit);
        for (pointer, kind, reference) in [
            (
                "/floatingNetworkRef",
                "Network",
                &mut filter.floating_network_ref,
            ),
            ("/portRef", "Port", &mut filter.port_ref),
        ] {
            if let Some(reference) = reference {
                visit(Need {
                    pointer: pointer.to_owned(),
                    what: What::Object { kind, reference },
                });
            }
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let Spec {
            description,
            tags,
            floating_network_ref,
            floating_subnet_ref,
            ..
        } = spec;
        let mut complaints = neutron::check(None, description.as_deref(), tags.as_deref());
        if floating_network_ref.is_some() == floating_subnet_ref.is_some() {
            complaints.push(
                Complaint::new(
                    "",
                    "Exactly one of 'floatingNetworkRef' or 'floatingSubnetRef' must be set",
                )
                .hint("name the external network in `floatingNetworkRef`"),
            );
        }
        if matches!(floating_subnet_ref, Some(Ref::Id(_) | Ref::Filter(_))) {
            complaints.push(
                Complaint::new(
                    "/floatingSubnetRef",
                    "the network of this subnet is not known here",
                )
                .hint("refer by name to a Subnet (an import will do), or set floatingNetworkRef"),
            );
        }
        if spec.port_ref.is_some() && spec.server_ref.is_some() {
            let message = "portRef and serverRef exclude each other";
            complaints.push(Complaint::new("/serverRef", message));
        }
        if spec.fixed_ip.is_some() && spec.port_ref.is_none() && spec.server_ref.is_none() {
            complaints.push(
                Complaint::new("/fixedIP", "an address of a port, but no port is named")
                    .hint("set portRef too"),
            );
        }
        complaints
    }

    fn fill(spec: &mut Spec, inputs: &Inputs) -> Result<Material, Refusal> {
        neutron::as_set(&mut spec.tags);
        if let Some(network) = inputs.texts.get(NETWORK_OF_SUBNET)
            && spec.floating_subnet_ref.is_some()
        {
            spec.floating_network_ref = Some(Ref::Id(network.expose_secret().to_owned()));
        }
        let port = inputs.texts.get(PORT_OF_SERVER);
        if spec.server_ref.take().is_some() {
            spec.port_ref = port.map(|port| Ref::Id(port.expose_secret().to_owned()));
        }
        Ok(Material::default())
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut body = neutron::newborn(birth, spec.description.as_deref());
        // A floating IP has no name.
        body.remove("name");
        let id = |reference: &Option<Ref>| reference.as_ref().and_then(Ref::id).map(str::to_owned);
        neutron::set(
            &mut body,
            "floating_network_id",
            id(&spec.floating_network_ref),
        );
        neutron::set(&mut body, "subnet_id", id(&spec.floating_subnet_ref));
        neutron::set(&mut body, "floating_ip_address", spec.floating_ip);
        neutron::place(&mut body, spec.project_ref.as_ref());
        neutron::post(&Self::COLLECTION, body)
    }

    fn update(spec: &Spec, address: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            match *field {
                "description" => {
                    let text = address.standard.described(spec.description.as_deref());
                    body.insert("description".to_owned(), text);
                }
                // Neutron takes the two together only.
                "portRef" | "fixedIP" => {
                    let port = spec.port_ref.as_ref().and_then(Ref::id);
                    body.insert("port_id".to_owned(), json!(port));
                    neutron::set(&mut body, "fixed_ip_address", spec.fixed_ip);
                }
                _ => {}
            }
        }
        keep_association(&mut body, address);
        neutron::put(&Self::COLLECTION, &address.standard.id, body)
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        address: &Object,
    ) -> Result<Call, Refusal> {
        match action {
            Action::SetTags => Ok(neutron::put_tags(
                &Self::COLLECTION,
                "floatingips/{id}/tags",
                &address.standard.id,
                spec.tags.as_deref(),
            )),
        }
    }

    fn beside(spec: &Spec, address: &Object) -> Result<(), Refusal> {
        let fixed = spec.floating_ip == Some(address.floating_ip_address);
        Refusal::when(fixed, "the old one has the address that it is to have")?;
        let port = spec.port_ref.as_ref().and_then(Ref::id);
        let taken = port.is_some() && port == address.port_id.as_deref();
        Refusal::when(
            taken,
            "the old one is associated with the port, which takes one only",
        )
    }

    fn brand(address: &Object, birth: &Birth<'_>) -> Option<Call> {
        let mut body = Map::new();
        let text = birth.marker.describe(Some(address.standard.text()));
        body.insert("description".to_owned(), json!(text));
        keep_association(&mut body, address);
        Some(neutron::put(&Self::COLLECTION, &address.standard.id, body))
    }

    fn matches(filter: &Filter, address: &Object) -> bool {
        let wanted = Wanted {
            name: None,
            description: filter.description.as_deref(),
            tags: filter.tags.as_deref(),
            tags_any: filter.tags_any.as_deref(),
            not_tags: filter.not_tags.as_deref(),
            not_tags_any: filter.not_tags_any.as_deref(),
        };
        let Filter {
            floating_ip,
            floating_network_ref,
            port_ref,
            status,
            ..
        } = filter;
        address.standard.is(&wanted)
            && floating_ip.is_none_or(|it| it == address.floating_ip_address)
            && floating_network_ref
                .as_ref()
                .is_none_or(|it| it.id() == Some(address.floating_network_id.as_str()))
            && port_ref
                .as_ref()
                .is_none_or(|it| it.id().is_some() && it.id() == address.port_id.as_deref())
            && status
                .as_ref()
                .is_none_or(|it| Some(it) == address.status.as_ref())
            && neutron::is_of(
                filter.project_ref.as_ref(),
                address.standard.project().as_deref(),
            )
    }
}

/// Neutron reads every update as an association, too, and refuses one of anything else while the
/// port has several addresses, unless it says again which of them is meant.
fn keep_association(body: &mut Map<String, Value>, address: &Object) {
    if let (Some(port), Some(fixed), false) = (
        &address.port_id,
        address.fixed_ip_address,
        body.contains_key("port_id"),
    ) {
        body.insert("port_id".to_owned(), json!(port));
        body.insert("fixed_ip_address".to_owned(), json!(fixed));
    }
}

#[cfg(test)]
mod tests {
    use super::super::erased::{Intent, Of, unclassified};
    use super::super::neutron::testing::*;
    use super::*;
    use serde_json::Value;

    const RECORDED: &str = include_str!("testdata/floating-ip.json");
    const ASSOCIATED: &str = include_str!("testdata/floating-ip-associated.json");
    const PUBLIC: &str = "bfa4fa3e-6c44-4e1a-8401-5e9d1ec3ee90";
    const PORT: &str = "d0cd3bea-6f76-4641-acaa-9a20b77def20";

    fn minimal(more: &Value) -> Value {
        let mut spec = json!({"floatingNetworkRef": {"id": PUBLIC}});
        for (name, value) in more.as_object().unwrap() {
            spec[name] = value.clone();
        }
        spec
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<FloatingIp>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_was_wanted_but_for_the_association() {
        let whole = minimal(&json!({
            "description": "b", "floatingIP": "172.24.2.14", "portRef": {"id": PORT},
            "fixedIP": "192.168.50.10", "tags": ["x"],
        }));
        let answer = json!({"floating_ip_address": "172.24.2.99"});
        assert_eq!(
            unlike::<FloatingIp>(&whole, &answer),
            ["portRef", "fixedIP", "tags"]
        );
    }

    #[test]
    fn allocation_says_nothing_of_the_port() {
        let want = resolved::<FloatingIp>(&minimal(&json!({"portRef": {"id": PORT}})));
        let call = request::<FloatingIp>(&Intent::Create, &want, None).unwrap();
        let description = marker().describe(None);
        assert_eq!(
            body(&call),
            &json!({"floatingip": {
                "description": description, "floating_network_id": PUBLIC,
            }})
        );
    }

    #[test]
    fn a_subnet_brings_its_network_along() {
        let mut spec: Spec = serde_json::from_value(json!({"floatingSubnetRef": "s"})).unwrap();
        let mut pointers = Vec::new();
        FloatingIp::needs(&mut spec, &mut |need| pointers.push(need.declare().pointer));
        assert_eq!(pointers, [NETWORK_OF_SUBNET, "/floatingSubnetRef"]);

        let want = resolved_with::<FloatingIp>(
            &json!({"floatingSubnetRef": {"id": "s"}}),
            &[(NETWORK_OF_SUBNET, PUBLIC)],
        );
        let call = request::<FloatingIp>(&Intent::Create, &want, None).unwrap();
        let sent = &body(&call)["floatingip"];
        assert_eq!(
            (&sent["floating_network_id"], &sent["subnet_id"]),
            (&json!(PUBLIC), &json!("s"))
        );
    }

    #[test]
    fn a_recorded_floating_ip_is_understood() {
        let free = fixture::<FloatingIp>(RECORDED);
        assert_eq!((&free.health, free.name.as_str()), (&Health::Ready, ""));
        let used = fixture::<FloatingIp>(ASSOCIATED);
        assert_eq!(
            (&used.health, &used.attached_to),
            (&Health::Ready, &vec![PORT.to_owned()])
        );
        let status = status::<FloatingIp>(&used);
        assert_eq!(status["floatingIP"], "172.24.2.14");
        assert_eq!(status["fixedIP"], "192.168.50.10");
        assert_eq!(status["portID"], PORT);
        assert_eq!(status["routerID"], "cd776169-e7d1-415a-b65b-24d15fd90b8d");
        assert_eq!(status["status"], "ACTIVE");
        assert_eq!(status.get("name"), None);
    }

    #[test]
    fn association_is_an_update_and_no_port_is_no_wish() {
        let (free, used) = (
            fixture::<FloatingIp>(RECORDED),
            fixture::<FloatingIp>(ASSOCIATED),
        );
        assert_eq!(drift::<FloatingIp>(&minimal(&json!({})), &used), []);
        let port = minimal(&json!({"portRef": {"id": PORT}}));
        assert_eq!(drift::<FloatingIp>(&port, &used), []);
        let fields: Vec<_> = drift::<FloatingIp>(&port, &free)
            .iter()
            .map(|it| it.field)
            .collect();
        assert_eq!(fields, ["portRef"]);
        let call = request::<FloatingIp>(&Intent::Update(fields), &port, Some(&free)).unwrap();
        assert_eq!(call.path, format!("floatingips/{}", free.id));
        assert_eq!(body(&call), &json!({"floatingip": {"port_id": PORT}}));
    }

    #[test]
    fn another_address_of_the_port_is_sent_with_the_port() {
        let used = fixture::<FloatingIp>(ASSOCIATED);
        let want = minimal(&json!({"portRef": {"id": PORT}, "fixedIP": "192.168.50.11"}));
        let fields: Vec<_> = drift::<FloatingIp>(&want, &used)
            .iter()
            .map(|it| it.field)
            .collect();
        assert_eq!(fields, ["fixedIP"]);
        let call = request::<FloatingIp>(&Intent::Update(fields), &want, Some(&used)).unwrap();
        assert_eq!(
            body(&call),
            &json!({"floatingip": {"port_id": PORT, "fixed_ip_address": "192.168.50.11"}})
        );
    }

    #[test]
    fn filters_choose_by_address_port_and_network() {
        let (free, used) = (
            fixture::<FloatingIp>(RECORDED),
            fixture::<FloatingIp>(ASSOCIATED),
        );
        for filter in [
            json!({"portRef": {"id": PORT}}),
            json!({"status": "ACTIVE", "floatingIP": "172.24.2.14"}),
        ] {
            assert!(chooses::<FloatingIp>(&filter, &used), "{filter}");
            assert!(!chooses::<FloatingIp>(&filter, &free), "{filter}");
        }
        assert!(!chooses::<FloatingIp>(
            &json!({"portRef": "not-resolved"}),
            &free
        ));
        assert!(chooses::<FloatingIp>(
            &json!({"floatingNetworkRef": {"id": PUBLIC}}),
            &free
        ));
        assert!(!chooses::<FloatingIp>(
            &json!({"description": "other"}),
            &free
        ));
    }

    #[test]
    fn the_origin_of_the_address_must_be_said_once() {
        let complain = complaints::<FloatingIp>;
        assert_eq!(complain(&json!({})), [""]);
        assert_eq!(complain(&minimal(&json!({"floatingSubnetRef": "s"}))), [""]);
        assert_eq!(
            complain(&json!({"floatingSubnetRef": "s"})),
            Vec::<String>::new()
        );
        assert_eq!(
            complain(&json!({"floatingSubnetRef": {"id": "s"}})),
            ["/floatingSubnetRef"]
        );
        assert_eq!(
            complain(&minimal(&json!({"fixedIP": "10.0.0.1"}))),
            ["/fixedIP"]
        );
    }
}
