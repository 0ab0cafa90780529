//! Manila share networks: where in the project's networks its shares are reached.
//!
//! A share network has subnets, one for all availability zones and others for one of them each. The
//! spec, as in ORC, has the one for all; those that others add stay. Nothing is checked when it is
//! made: whether the network exists shows when the first share server is built in it.
//! API: <https://docs.openstack.org/api-ref/shared-file-system/#share-networks>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::manifest::Ref;

use super::call::{Call, Method, Service, segment};
use super::field::{Change, Field};
use super::health::Health;
use super::marker::Marker;
use super::need::{Need, What};
use super::neutron::{self, filled};
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never, Refusal,
    SHARED_FILE_SYSTEM,
};

/// Where in the project's networks its shares are reached. The cloud that this program is tested
/// with has no Manila: this kind is tested on the sandbox alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ShareNetwork")]
pub struct Spec {
    /// Name in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The network; with `subnetRef` or not at all. It can be changed until a share server uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_ref: Option<Ref>,
    /// The subnet of the network; with `networkRef` or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_ref: Option<Ref>,
}

/// Chooses a share network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What is known of a share network. As in ORC, what is empty is absent, except for the CIDR.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ShareNetworkStatus")]
pub struct Status {
    /// Name in the cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description, without our marker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The network.
    #[serde(rename = "neutronNetID", skip_serializing_if = "Option::is_none")]
    pub network_id: Option<String>,
    /// The subnet.
    #[serde(rename = "neutronSubnetID", skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<String>,
    /// `vlan`, `vxlan`, ...: known when a share server uses it, and to administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_type: Option<String>,
    /// The network's number in its type: see `networkType`.
    #[serde(rename = "segmentationID", skip_serializing_if = "Option::is_none")]
    pub segmentation_id: Option<u32>,
    /// The subnet's addresses: known when a share server uses it.
    pub cidr: String,
    /// 4 or 6: known when a share server uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_version: Option<u8>,
    /// The project it belongs to.
    #[serde(rename = "projectID", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it was changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

/// A share network as Manila answers it: before 2.51 with its one subnet in itself, since then with
/// a list of them.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: Option<String>,
    description: Option<String>,
    project_id: Option<String>,
    status: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    #[serde(default, rename = "share_network_subnets")]
    subnets: Vec<Subnet>,
    #[serde(flatten)]
    own: Place,
}

#[derive(Debug, Clone, Deserialize)]
struct Subnet {
    availability_zone: Option<String>,
    created_at: Option<String>,
    #[serde(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Deserialize)]
struct Place {
    neutron_net_id: Option<String>,
    neutron_subnet_id: Option<String>,
    network_type: Option<String>,
    segmentation_id: Option<u32>,
    cidr: Option<String>,
    ip_version: Option<u8>,
}

impl Object {
    /// The subnet for all zones. Of several, which Manila allows since 2.70, the oldest.
    fn place(&self) -> &Place {
        let of_all = self
            .subnets
            .iter()
            .filter(|it| it.availability_zone.is_none());
        let oldest = of_all.min_by(|a, b| a.created_at.cmp(&b.created_at));
        oldest.map_or(&self.own, |subnet| &subnet.place)
    }

    /// The description in two: what its author wrote, and our marker.
    fn described(&self) -> (&str, Option<Marker>) {
        Marker::split(self.description.as_deref().unwrap_or_default())
    }
}

/// The kind.
#[derive(Debug)]
pub enum ShareNetwork {}

impl Kind for ShareNetwork {
    const NAME: &'static str = "ShareNetwork";
    const SERVICE: Service = Service::SharedFileSystem;
    const COLLECTION: Collection = Collection {
        list: "share-networks/detail",
        query: &[],
        path: "share-networks",
        route: "share-networks/{id}",
        one: "share_network",
        many: "share_networks",
        read: Some(SHARED_FILE_SYSTEM),
    };
    const MARKER: MarkerPlace = MarkerPlace::Description;
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("networkRef", Change::Update),
        Field::new("subnetRef", Change::Update),
    ];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(network: &Object) -> Identity {
        Identity {
            id: network.id.clone(),
            name: network.name.clone().unwrap_or_default(),
            project: network.project_id.clone(),
            marker: network.described().1,
            ..Identity::default()
        }
    }

    fn health(network: &Object) -> Health {
        match network.status.as_deref() {
            // Before 2.63 it has none.
            None | Some("active") => Health::Ready,
            Some("error") => Health::Stuck {
                state: "error".to_owned(),
                fault: None,
            },
            Some(state) => Health::Moving(state.to_owned()),
        }
    }

    fn project(network: &Object, _: &Attached<'_>) -> Spec {
        let place = network.place();
        Spec {
            name: Some(network.name.clone().unwrap_or_default()),
            description: Some(network.described().0.to_owned()),
            network_ref: place.neutron_net_id.clone().map(Ref::Id),
            subnet_ref: place.neutron_subnet_id.clone().map(Ref::Id),
        }
    }

    fn status(network: &Object, _: &Attached<'_>) -> Status {
        let place = network.place();
        Status {
            name: network.name.as_deref().and_then(filled),
            description: filled(network.described().0),
            network_id: place.neutron_net_id.clone(),
            subnet_id: place.neutron_subnet_id.clone(),
            network_type: place.network_type.clone(),
            segmentation_id: place.segmentation_id,
            cidr: place.cidr.clone().unwrap_or_default(),
            ip_version: place.ip_version,
            project_id: network.project_id.clone(),
            created_at: network.created_at.clone(),
            updated_at: network.updated_at.clone(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        for (pointer, kind, reference) in [
            ("/networkRef", "Network", &mut spec.network_ref),
            ("/subnetRef", "Subnet", &mut spec.subnet_ref),
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
        let mut complaints =
            neutron::check(spec.name.as_deref(), spec.description.as_deref(), None);
        if spec.network_ref.is_some() != spec.subnet_ref.is_some() {
            let message = "networkRef and subnetRef must be specified together";
            let hint = "name the other one too, or neither";
            complaints.push(Complaint::new("", message).hint(hint));
        }
        complaints
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut body = Map::new();
        let description = birth.marker.describe(spec.description.as_deref());
        body.insert("name".to_owned(), json!(birth.name));
        body.insert("description".to_owned(), json!(description));
        body.extend(place(spec));
        let path = Self::COLLECTION.path;
        request(Method::Post, path, path.to_owned(), body)
    }

    fn update(spec: &Spec, network: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            let value = match *field {
                "name" => json!(spec.name),
                "description" => {
                    let text = spec.description.as_deref();
                    match network.described().1 {
                        Some(marker) => json!(marker.describe(text)),
                        None => json!(text.unwrap_or_default()),
                    }
                }
                // One without the other is refused where there was none before.
                _ => {
                    body.extend(place(spec));
                    continue;
                }
            };
            body.insert((*field).to_owned(), value);
        }
        put(network, body)
    }

    fn act(action: Never, _: Option<&Element>, _: &Spec, _: &Object) -> Result<Call, Refusal> {
        match action {}
    }

    fn brand(network: &Object, birth: &Birth<'_>) -> Option<Call> {
        let description = birth.marker.describe(Some(network.described().0));
        let body = [("description".to_owned(), json!(description))];
        Some(put(network, body.into_iter().collect()))
    }

    fn matches(filter: &Filter, network: &Object) -> bool {
        let is = |wanted: &Option<String>, there: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == there
        };
        is(&filter.name, network.name.as_deref())
            && (is(&filter.description, Some(network.described().0))
                || is(&filter.description, network.description.as_deref()))
    }
}

/// The network and the subnet, together or not at all.
fn place(spec: &Spec) -> Map<String, Value> {
    let mut place = Map::new();
    if let (Some(network), Some(subnet)) = (&spec.network_ref, &spec.subnet_ref) {
        place.insert("neutron_net_id".to_owned(), json!(network.id()));
        place.insert("neutron_subnet_id".to_owned(), json!(subnet.id()));
    }
    place
}

fn put(network: &Object, body: Map<String, Value>) -> Call {
    let Collection { path, route, .. } = ShareNetwork::COLLECTION;
    request(
        Method::Put,
        route,
        format!("{path}/{}", segment(&network.id)),
        body,
    )
}

fn request(method: Method, route: &'static str, path: String, body: Map<String, Value>) -> Call {
    Call::new(Service::SharedFileSystem, method, route, path)
        .at(Some(SHARED_FILE_SYSTEM))
        .json(json!({ ShareNetwork::COLLECTION.one: body }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::erased::{AnyKind, Intent, Of, unclassified};
    use crate::kinds::neutron::testing::{
        accepted, body, chooses, complaints, drift, look, marker, projected, request, status,
        unlike,
    };
    use crate::manifest::Group;

    fn whole() -> Value {
        json!({"name": "s", "description": "d", "networkRef": {"id": "n"}, "subnetRef": {"id": "m"}})
    }

    /// As Manila's API reference has it since 2.51, with a subnet of one zone beside the one of all.
    fn recent() -> Value {
        let subnet = |zone: Value, network: &str, created: &str| {
            json!({"id": created, "availability_zone": zone, "neutron_net_id": network,
                "neutron_subnet_id": "m", "created_at": created, "updated_at": null,
                "network_type": null, "segmentation_id": null, "ip_version": 4,
                "cidr": "10.0.0.0/24", "gateway": null, "mtu": null})
        };
        json!({"id": "1", "name": "s", "project_id": "p", "description": marker().describe(Some("d")),
            "created_at": "2026-01-01T00:00:00.000000", "updated_at": null, "status": "active",
            "security_service_update_support": true,
            "share_network_subnets": [subnet(json!("nova"), "other", "1"),
                subnet(Value::Null, "younger", "3"), subnet(Value::Null, "n", "2")]})
    }

    /// The same until 2.50.
    fn old() -> Value {
        json!({"id": "1", "name": "s", "project_id": "p", "description": marker().describe(Some("d")),
            "created_at": "2026-01-01T00:00:00.000000", "updated_at": null, "nova_net_id": null,
            "neutron_net_id": "n", "neutron_subnet_id": "m", "network_type": null,
            "segmentation_id": null, "ip_version": 4, "cidr": "10.0.0.0/24"})
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<ShareNetwork>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_was_wanted() {
        assert_eq!(
            unlike::<ShareNetwork>(&whole(), &json!({})),
            [] as [&str; 0]
        );
        let call = request::<ShareNetwork>(&Intent::Create, &json!({}), None).unwrap();
        let bare = json!({"name": "called", "description": format!("[{}]", marker())});
        assert_eq!(body(&call), &json!({ "share_network": bare }));
        assert_eq!(call.microversion, Some(SHARED_FILE_SYSTEM));
    }

    #[test]
    fn old_and_recent_microversions_say_the_same() {
        for answer in [old(), recent()] {
            let found = look::<ShareNetwork>(answer);
            assert_eq!(found.marker, Some(marker()));
            assert_eq!(drift::<ShareNetwork>(&whole(), &found), []);
            let expected = json!({"name": "s", "description": "d", "neutronNetID": "n",
                "neutronSubnetID": "m", "cidr": "10.0.0.0/24", "ipVersion": 4, "projectID": "p",
                "createdAt": "2026-01-01T00:00:00.000000"});
            assert_eq!(status::<ShareNetwork>(&found), expected);
        }
    }

    #[test]
    fn one_without_a_network_has_a_cidr_all_the_same() {
        let found = look::<ShareNetwork>(json!({"id": "1", "name": null, "description": null}));
        assert_eq!(status::<ShareNetwork>(&found), json!({"cidr": ""}));
        assert_eq!(
            projected::<ShareNetwork>(&found),
            json!({"name": "", "description": ""})
        );
    }

    #[test]
    fn an_update_keeps_the_marker_and_moves_network_and_subnet_together() {
        let found = look::<ShareNetwork>(recent());
        let want = json!({"name": "t", "description": "", "networkRef": {"id": "o"},
            "subnetRef": {"id": "m"}});
        let fields = vec!["name", "description", "networkRef"];
        let call = request::<ShareNetwork>(&Intent::Update(fields), &want, Some(&found)).unwrap();
        assert_eq!(
            (call.method, call.path.as_str()),
            (Method::Put, "share-networks/1")
        );
        let sent = json!({"name": "t", "description": format!("[{}]", marker()),
            "neutron_net_id": "o", "neutron_subnet_id": "m"});
        assert_eq!(body(&call), &json!({ "share_network": sent }));
    }

    #[test]
    fn adoption_writes_the_marker_behind_the_text() {
        let strange = json!({"id": "1", "name": "s", "description": "by hand"});
        let found = look::<ShareNetwork>(strange);
        let call = request::<ShareNetwork>(&Intent::Adopt, &whole(), Some(&found)).unwrap();
        let described = marker().describe(Some("by hand"));
        assert_eq!(
            body(&call),
            &json!({"share_network": {"description": described}})
        );
    }

    #[test]
    fn every_state_means_something() {
        let health = |status: Value| {
            let mut answer = recent();
            answer["status"] = status;
            look::<ShareNetwork>(answer).health
        };
        assert_eq!(health(json!("active")), Health::Ready);
        assert_eq!(health(Value::Null), Health::Ready);
        let moving = Health::Moving("network_change".to_owned());
        assert_eq!(health(json!("network_change")), moving);
        assert!(matches!(health(json!("error")), Health::Stuck { .. }));
    }

    #[test]
    fn network_and_subnet_come_together() {
        for (spec, complains) in [
            (json!({}), false),
            (json!({"networkRef": "n", "subnetRef": "s"}), false),
            (json!({"networkRef": "n"}), true),
            (json!({"subnetRef": "s"}), true),
        ] {
            assert_eq!(
                !complaints::<ShareNetwork>(&spec).is_empty(),
                complains,
                "{spec}"
            );
            let taken = accepted::<ShareNetwork>(Group::Orc, &spec).is_ok();
            assert_eq!(taken, !complains, "{spec}");
        }
        let long = json!({"description": "x".repeat(200)});
        assert_eq!(complaints::<ShareNetwork>(&long), ["/description"]);
    }

    #[test]
    fn the_filter_goes_by_all_that_it_sets() {
        let found = look::<ShareNetwork>(recent());
        for (filter, chosen) in [
            (json!({"name": "s", "description": "d"}), true),
            (json!({"name": "s", "description": "e"}), false),
            (json!({"name": "t"}), false),
        ] {
            assert_eq!(chooses::<ShareNetwork>(&filter, &found), chosen, "{filter}");
        }
        assert_eq!(Of::<ShareNetwork>::NEW.list().path, "share-networks/detail");
    }
}
