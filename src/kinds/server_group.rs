//! Nova server groups: which servers share a host, and which never do.
//!
//! Nothing of a group can be changed, and it has neither a description nor metadata: its name is
//! the only text that we may write, and names are not unique. A natural key of name and policy
//! would leave two doubts open for ever (whose is a group of that name? which of two did our POST
//! make?), so the mark of ownership stands in the name, behind the user's text. Servers refer to a
//! group by its id.
//! API: <https://docs.openstack.org/api-ref/compute/#server-groups-os-server-groups>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::call::{Call, Method, Microversion, Service};
use super::field::{Change, Field};
use super::health::Health;
use super::marker::Marker;
use super::{
    Attached, Birth, COMPUTE, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never,
    Refusal,
};

/// Groups name one policy and its rules since 2.64, their project since 2.13. From 2.75 on Nova
/// refuses the paging words that this list does not know.
const READ: Microversion = Microversion {
    want: (2, 64),
    floor: (2, 13),
};

/// Servers that are placed with regard to each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ServerGroup")]
pub struct Spec {
    /// Name in the cloud, before the mark of ownership; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How its servers are placed.
    pub policy: Policy,
    /// What the policy leaves open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
}

/// How the servers of a group are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ServerGroupPolicy")]
pub enum Policy {
    /// On one host.
    Affinity,
    /// Each on a host of its own.
    AntiAffinity,
    /// On one host, as far as possible.
    SoftAffinity,
    /// Each on a host of its own, as far as possible.
    SoftAntiAffinity,
}

/// What a policy leaves open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ServerGroupRules")]
pub struct Rules {
    /// How many of them may be on one host; only with `anti-affinity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_server_per_host: Option<u32>,
}

/// Chooses a server group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Exact name, with or without a mark of ownership.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What is known of a server group.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud, without our mark.
    pub name: String,
    /// How its servers are placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What the policy leaves open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
    /// The project it belongs to.
    #[serde(rename = "projectID", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The user who made it.
    #[serde(rename = "userID", skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Ids of the servers in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// A server group as Nova answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    #[serde(default)]
    name: String,
    policy: Option<String>,
    /// Before 2.64; there was never more than one.
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default)]
    rules: Map<String, Value>,
    #[serde(default)]
    members: Vec<String>,
    project_id: Option<String>,
    user_id: Option<String>,
}

impl Object {
    fn policy(&self) -> Option<&str> {
        self.policy
            .as_deref()
            .or_else(|| self.policies.first().map(String::as_str))
    }

    fn rules(&self) -> Option<Rules> {
        let most = self.rules.get("max_server_per_host")?.as_u64()?;
        Some(Rules {
            max_server_per_host: u32::try_from(most).ok(),
        })
    }
}

/// The kind.
#[derive(Debug)]
pub enum ServerGroup {}

impl Kind for ServerGroup {
    const NAME: &'static str = "ServerGroup";
    const SERVICE: Service = Service::Compute;
    const COLLECTION: Collection = Collection {
        list: "os-server-groups",
        query: &[],
        path: "os-server-groups",
        route: "os-server-groups/{id}",
        one: "server_group",
        many: "server_groups",
        read: Some(READ),
    };
    const MARKER: MarkerPlace = MarkerPlace::Name;
    const QUOTA: Option<&'static str> = Some("server_groups");
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("name", Change::Replace),
        Field::new("policy", Change::Replace),
        Field::new("rules", Change::Replace),
    ];
    const ADOPTABLE: bool = false;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(group: &Object) -> Identity {
        let (name, marker) = Marker::split(&group.name);
        Identity {
            id: group.id.clone(),
            name: name.to_owned(),
            project: group.project_id.clone(),
            marker,
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(group: &Object, _: &Attached<'_>) -> Spec {
        let policy = group.policy().unwrap_or_default();
        Spec {
            name: Some(Marker::split(&group.name).0.to_owned()),
            // A policy that is none of ours is certainly not the wanted one, but it has to be said
            // somehow; Nova has had these four since 2.15.
            policy: serde_json::from_value(json!(policy)).unwrap_or(Policy::SoftAffinity),
            rules: group.rules(),
        }
    }

    fn abridge(spec: &mut Spec) {
        let is_usual = |it: &mut Rules| it.max_server_per_host.is_none();
        let _ = spec.rules.take_if(is_usual);
    }

    fn status(group: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: Marker::split(&group.name).0.to_owned(),
            policy: group.policy().map(str::to_owned),
            rules: group.rules(),
            project_id: group.project_id.clone(),
            user_id: group.user_id.clone(),
            members: group.members.clone(),
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let mut complaints = super::marker::check_name(spec.name.as_deref());
        let most = spec.rules.as_ref().and_then(|it| it.max_server_per_host);
        match most {
            Some(0) => complaints.push(Complaint::new(
                "/rules/maxServerPerHost",
                "at least one server must be allowed on a host",
            )),
            Some(_) if spec.policy != Policy::AntiAffinity => complaints.push(Complaint::new(
                "/rules/maxServerPerHost",
                "maxServerPerHost can only be used with the anti-affinity policy",
            )),
            _ => {}
        }
        complaints
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut group = Map::new();
        group.insert(
            "name".to_owned(),
            json!(birth.marker.describe(Some(birth.name))),
        );
        group.insert("policy".to_owned(), json!(spec.policy));
        let most = spec.rules.as_ref().and_then(|it| it.max_server_per_host);
        if let Some(most) = most {
            group.insert("rules".to_owned(), json!({"max_server_per_host": most}));
        }
        let at = Microversion {
            floor: (2, 64),
            ..COMPUTE
        };
        Call::new(
            Self::SERVICE,
            Method::Post,
            "os-server-groups",
            "os-server-groups",
        )
        .at(Some(at))
        .json(json!({ "server_group": group }))
    }

    /// Nothing of a group can be changed, so this is not asked for; a look does no harm.
    fn update(_: &Spec, group: &Object, _: &[&'static str]) -> Call {
        Self::read(&group.id)
    }

    fn act(action: Never, _: Option<&Element>, _: &Spec, _: &Object) -> Result<Call, Refusal> {
        match action {}
    }

    fn brand(_: &Object, _: &Birth<'_>) -> Option<Call> {
        None
    }

    fn matches(filter: &Filter, group: &Object) -> bool {
        filter
            .name
            .as_ref()
            .is_none_or(|it| *it == group.name || it == Marker::split(&group.name).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::erased::{Intent, Of, unclassified};
    use crate::kinds::neutron::testing::{
        body, chooses, complaints, drift, fixture, look, request, status, unlike,
    };

    const RECORDED: &str = include_str!("testdata/server-group.json");
    const BEFORE_2_64: &str = include_str!("testdata/server-group-before-2.64.json");

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<ServerGroup>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_was_wanted_and_its_name_is_marked() {
        let spec =
            json!({"name": "db", "policy": "anti-affinity", "rules": {"maxServerPerHost": 2}});
        assert_eq!(unlike::<ServerGroup>(&spec, &json!({})), Vec::<&str>::new());
        let plain = json!({"name": "db", "policy": "soft-affinity"});
        assert_eq!(
            unlike::<ServerGroup>(&plain, &json!({})),
            Vec::<&str>::new()
        );
        let call = request::<ServerGroup>(&Intent::Create, &spec, None).unwrap();
        assert_eq!(call.microversion.unwrap().floor, (2, 64));
        let sent = &body(&call)["server_group"];
        assert!(sent["name"].as_str().unwrap().starts_with("db [sw1."));
        assert_eq!(sent["rules"], json!({"max_server_per_host": 2}));
        let seen = look::<ServerGroup>(json!({"id": "g", "name": sent["name"]}));
        assert_eq!(seen.name, "db", "people are told the name without the mark");
    }

    #[test]
    fn recorded_groups_of_both_shapes_are_understood() {
        let spec = json!({"name": "rec-server-group", "policy": "anti-affinity"});
        for text in [RECORDED, BEFORE_2_64] {
            let found = fixture::<ServerGroup>(text);
            assert_eq!(found.health, Health::Ready);
            assert_eq!(found.marker, None, "it was made by hand");
            assert_eq!(drift::<ServerGroup>(&spec, &found), []);
        }
        let found = fixture::<ServerGroup>(RECORDED);
        let status = status::<ServerGroup>(&found);
        assert_eq!(status["rules"], json!({"maxServerPerHost": 2}));
        assert_eq!(status["projectID"], json!(found.project));
        assert!(chooses::<ServerGroup>(
            &json!({"name": "rec-server-group"}),
            &found
        ));
        assert!(!chooses::<ServerGroup>(&json!({"name": "rec"}), &found));
    }

    #[test]
    fn a_foreign_group_cannot_be_marked() {
        let found = fixture::<ServerGroup>(RECORDED);
        let refusal = request::<ServerGroup>(&Intent::Adopt, &json!({}), Some(&found)).unwrap_err();
        assert_eq!(refusal.message, "a ServerGroup cannot carry a marker");
    }

    #[test]
    fn a_number_for_each_host_belongs_to_anti_affinity() {
        let with = |policy: &str, most: u32| {
            complaints::<ServerGroup>(
                &json!({"policy": policy, "rules": {"maxServerPerHost": most}}),
            )
        };
        assert_eq!(with("anti-affinity", 1), Vec::<String>::new());
        assert_eq!(with("anti-affinity", 0), ["/rules/maxServerPerHost"]);
        assert_eq!(with("affinity", 1), ["/rules/maxServerPerHost"]);
        let long = json!({"policy": "affinity", "name": "x".repeat(200)});
        assert_eq!(complaints::<ServerGroup>(&long), ["/name"]);
    }
}
