//! Neutron routers.
//!
//! API: <https://docs.openstack.org/api-ref/network/v2/#routers-routers>. What is plugged into a
//! router is the business of `router_interface`.

use std::fmt;

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
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal,
};

/// A router.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it forwards packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// The external network that it leads to, at most one; an empty list means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1))]
    pub external_gateways: Option<Vec<ExternalGateway>>,
    /// Whether addresses are translated at the gateway; needs an administrator in most clouds.
    #[serde(
        default,
        rename = "enableSNAT",
        skip_serializing_if = "Option::is_none"
    )]
    pub enable_snat: Option<bool>,
    /// Static routes; the whole set is owned. They are set once the router's interfaces reach the
    /// next hops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<Route>>,
    /// Whether it runs on every host; needs an administrator in most clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distributed: Option<bool>,
    /// Availability zones to place it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [["nova"]]))]
    pub availability_zone_hints: Option<Vec<String>>,
    /// Tags; the whole set is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The project that it is made in; that of the credentials if not set. Needs an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// A router's way out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalGateway {
    /// The external network.
    pub network_ref: Ref,
}

/// Chooses routers by what the API returns of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
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

/// What is known of a router.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What every resource of Neutron has.
    #[serde(flatten)]
    pub standard: StandardStatus,
    /// Neutron's status: `ACTIVE`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Whether it forwards packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_state_up: Option<bool>,
    /// The external networks that it leads to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_gateways: Vec<ExternalGatewayStatus>,
    /// Static routes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Availability zones that it was asked to be in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub availability_zone_hints: Vec<String>,
}

/// A router's way out, as it is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalGatewayStatus {
    /// The external network.
    #[serde(rename = "networkID")]
    pub network_id: String,
    /// The router's addresses in it.
    #[serde(rename = "fixedIPs", skip_serializing_if = "Vec::is_empty")]
    pub fixed_ips: Vec<String>,
    /// Whether addresses are translated.
    #[serde(rename = "enableSNAT", skip_serializing_if = "Option::is_none")]
    pub enable_snat: Option<bool>,
}

/// A router as Neutron answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    #[serde(flatten)]
    standard: Standard,
    status: Option<String>,
    admin_state_up: Option<bool>,
    external_gateway_info: Option<GatewayInfo>,
    #[serde(default)]
    routes: Vec<Hop>,
    // Shown to administrators only.
    distributed: Option<bool>,
    availability_zone_hints: Option<Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
struct GatewayInfo {
    network_id: String,
    enable_snat: Option<bool>,
    #[serde(default)]
    external_fixed_ips: Vec<FixedIp>,
}

#[derive(Debug, Clone, Deserialize)]
struct FixedIp {
    ip_address: Option<String>,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Replace the static routes.
    SetRoutes,
    /// Replace the tags.
    SetTags,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetRoutes => "set routes",
            Self::SetTags => "set tags",
        })
    }
}

/// The kind.
#[derive(Debug)]
pub enum Router {}

impl Kind for Router {
    const NAME: &'static str = "Router";
    const SERVICE: Service = Service::Network;
    const COLLECTION: Collection = Collection {
        list: "routers",
        query: &[],
        path: "routers",
        route: "routers/{id}",
        one: "router",
        many: "routers",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::Description;
    const ANSWERS_WHOLE: bool = true;
    const QUOTA: Option<&'static str> = Some("router");
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("adminStateUp", Change::Update),
        Field::new("externalGateways", Change::Update),
        Field::new("enableSNAT", Change::Update),
        // Neutron takes no routes at create, and refuses those whose next hop it cannot reach yet:
        // in a request of their own they hold nothing else up.
        Field::new("routes", Change::Action(Action::SetRoutes)).by(Compare::Set),
        Field::new("tags", Change::Action(Action::SetTags)).by(Compare::Set),
        Field::new("availabilityZoneHints", Change::Replace).by(Compare::Set),
        // Not shown to projects, so a difference could not be seen.
        Field::new("distributed", Change::Birth),
        Field::new("projectRef", Change::Replace),
    ];

    const LATER: &'static [&'static str] = &["routes"];
    const NATIVE_FIELDS: &'static [&'static str] = &["/enableSNAT", "/routes"];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(router: &Object) -> Identity {
        router.standard.identity()
    }

    fn health(router: &Object) -> Health {
        neutron::health(router.status.as_deref())
    }

    fn project(router: &Object, _: &Attached<'_>) -> Spec {
        let gateway = router.external_gateway_info.as_ref();
        let network = gateway.map(|it| Ref::Id(it.network_id.clone()));
        Spec {
            name: Some(router.standard.name().to_owned()),
            description: Some(router.standard.text().to_owned()),
            admin_state_up: router.admin_state_up,
            external_gateways: Some(
                network
                    .into_iter()
                    .map(|network_ref| ExternalGateway { network_ref })
                    .collect(),
            ),
            enable_snat: gateway.and_then(|it| it.enable_snat),
            routes: Some(router.routes.iter().map(Route::from).collect()),
            distributed: router.distributed,
            availability_zone_hints: router.availability_zone_hints.clone(),
            tags: Some(router.standard.tags()),
            project_ref: router.standard.project_ref(),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.admin_state_up.take_if(|it| *it);
        let _ = spec.external_gateways.take_if(|it| it.is_empty());
        let _ = spec.enable_snat.take_if(|it| *it);
        let _ = spec.routes.take_if(|it| it.is_empty());
        let _ = spec.distributed.take_if(|it| !*it);
        let _ = spec.availability_zone_hints.take_if(|it| it.is_empty());
        let _ = spec.tags.take_if(|it| it.is_empty());
    }

    fn status(router: &Object, _: &Attached<'_>) -> Status {
        let gateway = router
            .external_gateway_info
            .iter()
            .map(|it| ExternalGatewayStatus {
                network_id: it.network_id.clone(),
                fixed_ips: it
                    .external_fixed_ips
                    .iter()
                    .filter_map(|ip| ip.ip_address.clone())
                    .collect(),
                enable_snat: it.enable_snat,
            });
        Status {
            standard: router.standard.status(),
            status: router.status.clone(),
            admin_state_up: router.admin_state_up,
            external_gateways: gateway.collect(),
            routes: router.routes.iter().map(Route::from).collect(),
            availability_zone_hints: router.availability_zone_hints.clone().unwrap_or_default(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut spec.project_ref, visit);
        for (index, gateway) in spec.external_gateways.iter_mut().flatten().enumerate() {
            let pointer = format!("/externalGateways/{index}/networkRef");
            let reference = &mut gateway.network_ref;
            visit(Need {
                pointer,
                what: What::Object {
                    kind: "Network",
                    reference,
                },
            });
        }
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut filter.project_ref, visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let Spec {
            name,
            description,
            tags,
            external_gateways,
            enable_snat,
            ..
        } = spec;
        let mut complaints =
            neutron::check(name.as_deref(), description.as_deref(), tags.as_deref());
        let gateways = external_gateways.as_deref().unwrap_or_default();
        if gateways.len() > 1 {
            let message = "a router has at most one external gateway";
            complaints.push(Complaint::new("/externalGateways/1", message));
        }
        if enable_snat.is_some() && gateways.is_empty() {
            complaints.push(
                Complaint::new(
                    "/enableSNAT",
                    "addresses are translated at an external gateway",
                )
                .hint("set externalGateways too"),
            );
        }
        complaints
    }

    fn fill(spec: &mut Spec, _: &Inputs) -> Result<Material, Refusal> {
        neutron::as_set(&mut spec.tags);
        for route in spec.routes.iter_mut().flatten() {
            route.destination = route.destination.trunc();
        }
        Ok(Material::default())
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut body = neutron::newborn(birth, spec.description.as_deref());
        neutron::set(&mut body, "admin_state_up", spec.admin_state_up);
        neutron::set(&mut body, "distributed", spec.distributed);
        neutron::set(
            &mut body,
            "availability_zone_hints",
            spec.availability_zone_hints.as_ref(),
        );
        if spec
            .external_gateways
            .as_ref()
            .is_some_and(|it| !it.is_empty())
        {
            body.insert("external_gateway_info".to_owned(), gateway_info(spec));
        }
        neutron::place(&mut body, spec.project_ref.as_ref());
        neutron::post(&Self::COLLECTION, body)
    }

    fn update(spec: &Spec, router: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            match *field {
                "name" => neutron::set(&mut body, "name", spec.name.as_ref()),
                "description" => {
                    let text = router.standard.described(spec.description.as_deref());
                    body.insert("description".to_owned(), text);
                }
                "adminStateUp" => neutron::set(&mut body, "admin_state_up", spec.admin_state_up),
                // One property holds both.
                "externalGateways" | "enableSNAT" => {
                    body.insert("external_gateway_info".to_owned(), gateway_info(spec));
                }
                _ => {}
            }
        }
        neutron::put(&Self::COLLECTION, &router.standard.id, body)
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        router: &Object,
    ) -> Result<Call, Refusal> {
        let id = &router.standard.id;
        match action {
            Action::SetRoutes => {
                let routes: Vec<Hop> = spec.routes.iter().flatten().map(Hop::from).collect();
                let mut body = Map::new();
                body.insert("routes".to_owned(), json!(routes));
                Ok(neutron::put(&Self::COLLECTION, id, body))
            }
            Action::SetTags => Ok(neutron::put_tags(
                &Self::COLLECTION,
                "routers/{id}/tags",
                id,
                spec.tags.as_deref(),
            )),
        }
    }

    fn brand(router: &Object, birth: &Birth<'_>) -> Option<Call> {
        Some(router.standard.brand(&Self::COLLECTION, birth))
    }

    fn matches(filter: &Filter, router: &Object) -> bool {
        let Filter {
            name,
            description,
            tags,
            tags_any,
            not_tags,
            not_tags_any,
            ..
        } = filter;
        router.standard.is(&Wanted {
            name: name.as_deref(),
            description: description.as_deref(),
            tags: tags.as_deref(),
            tags_any: tags_any.as_deref(),
            not_tags: not_tags.as_deref(),
            not_tags_any: not_tags_any.as_deref(),
        }) && neutron::is_of(
            filter.project_ref.as_ref(),
            router.standard.project().as_deref(),
        )
    }
}

/// Gateway and translation as Neutron takes them; `enable_snat` only when it is asked for, because
/// projects may not set it in most clouds.
fn gateway_info(spec: &Spec) -> Value {
    let gateway = spec.external_gateways.iter().flatten().next();
    let Some(network) = gateway.and_then(|it| it.network_ref.id()) else {
        return Value::Null;
    };
    let mut info = Map::new();
    info.insert("network_id".to_owned(), json!(network));
    neutron::set(&mut info, "enable_snat", spec.enable_snat);
    Value::Object(info)
}

#[cfg(test)]
mod tests {
    use super::super::erased::{Intent, Of, unclassified};
    use super::super::neutron::testing::*;
    use super::*;
    use crate::manifest::Group;
    use crate::manifest::problem::Code;

    const RECORDED: &str = include_str!("testdata/router.json");
    const PUBLIC: &str = "bfa4fa3e-6c44-4e1a-8401-5e9d1ec3ee90";

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Router>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_was_wanted() {
        let whole = json!({
            "name": "a", "description": "b", "adminStateUp": false, "enableSNAT": false,
            "externalGateways": [{"networkRef": {"id": PUBLIC}}], "distributed": true,
            "routes": [{"destination": "10.0.0.1/8", "nextHop": "192.168.50.9"}],
            "availabilityZoneHints": ["nova"], "tags": ["x"],
        });
        assert_eq!(unlike::<Router>(&whole, &json!({})), ["routes", "tags"]);
        let none = json!({"externalGateways": []});
        assert_eq!(unlike::<Router>(&none, &json!({})), Vec::<&str>::new());
    }

    #[test]
    fn a_recorded_router_is_understood() {
        let found = fixture::<Router>(RECORDED);
        assert_eq!(found.health, Health::Ready);
        let status = status::<Router>(&found);
        assert_eq!(
            status["externalGateways"],
            json!([{"networkID": PUBLIC, "fixedIPs": ["172.24.1.156"], "enableSNAT": true}])
        );
        let want = json!({"externalGateways": [{"networkRef": {"id": PUBLIC}}]});
        assert_eq!(drift::<Router>(&want, &found), []);
        assert_eq!(drift::<Router>(&json!({}), &found), []);
    }

    #[test]
    fn the_gateway_changes_in_place() {
        let found = fixture::<Router>(RECORDED);
        for (want, field, info) in [
            (
                json!({"externalGateways": [{"networkRef": {"id": "other"}}]}),
                "externalGateways",
                json!({"network_id": "other"}),
            ),
            (
                json!({"externalGateways": []}),
                "externalGateways",
                Value::Null,
            ),
            (
                json!({"externalGateways": [{"networkRef": {"id": PUBLIC}}], "enableSNAT": false}),
                "enableSNAT",
                json!({"network_id": PUBLIC, "enable_snat": false}),
            ),
        ] {
            let fields: Vec<_> = drift::<Router>(&want, &found)
                .iter()
                .map(|it| it.field)
                .collect();
            assert_eq!(fields, [field]);
            let call = request::<Router>(&Intent::Update(fields), &want, Some(&found)).unwrap();
            assert_eq!(call.path, format!("routers/{}", found.id));
            assert_eq!(
                body(&call),
                &json!({"router": {"external_gateway_info": info}})
            );
        }
    }

    #[test]
    fn routes_are_set_alone() {
        let found = fixture::<Router>(RECORDED);
        let want = json!({"routes": [{"destination": "10.9.9.9/8", "nextHop": "192.168.50.9"}]});
        let want = resolved::<Router>(&want);
        let call = request::<Router>(&Intent::Act("routes"), &want, Some(&found)).unwrap();
        let hop = json!({"destination": "10.0.0.0/8", "nexthop": "192.168.50.9"});
        assert_eq!(body(&call), &json!({"router": {"routes": [hop]}}));
    }

    #[test]
    fn translation_and_routes_belong_to_the_native_group() {
        let spec = json!({"externalGateways": [{"networkRef": "public"}], "enableSNAT": true, "routes": []});
        assert_eq!(accepted::<Router>(Group::Native, &spec), Ok(()));
        assert_eq!(
            accepted::<Router>(Group::Orc, &spec),
            Err(vec![Code::NativeField, Code::NativeField])
        );
        let plain = json!({"externalGateways": [{"networkRef": "public"}]});
        assert_eq!(accepted::<Router>(Group::Orc, &plain), Ok(()));
    }

    #[test]
    fn filters_choose_by_name() {
        let found = fixture::<Router>(RECORDED);
        assert!(chooses::<Router>(&json!({"name": "rec-router"}), &found));
        assert!(!chooses::<Router>(
            &json!({"name": "rec-router", "tagsAny": ["a"]}),
            &found
        ));
    }

    #[test]
    fn two_gateways_and_translation_without_one_are_refused() {
        let two = json!({"externalGateways": [{"networkRef": "a"}, {"networkRef": "b"}]});
        assert_eq!(complaints::<Router>(&two), ["/externalGateways/1"]);
        assert_eq!(
            complaints::<Router>(&json!({"enableSNAT": true})),
            ["/enableSNAT"]
        );
    }
}
