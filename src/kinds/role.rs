//! Keystone roles, of a domain or of none. Needs a cloud administrator.
//!
//! Keystone lists the roles of a domain only to who asks for that one domain, so the list is made up
//! of one for no domain and one for each that is declared.
//! API: <https://docs.openstack.org/api-ref/identity/v3/#roles>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::manifest::Ref;

use super::call::{Call, Service};
use super::field::{Change, Field};
use super::health::Health;
use super::keystone;
use super::need::Need;
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never, Refusal,
};

/// A role. Making one needs a cloud administrator. It is deleted only when it is assigned to nobody,
/// since Keystone would take it away from all who have it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud, unique in its domain, or among the roles of none; the object's own name if
    /// not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The domain that it belongs to: such a role permits nothing by itself, but may imply others. It
    /// belongs to none if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_ref: Option<Ref>,
}

/// Chooses a role: of this domain, or of none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The domain that it belongs to; none if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_ref: Option<Ref>,
}

/// What is known of a role.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The domain that it belongs to, if any.
    #[serde(rename = "domainID", skip_serializing_if = "Option::is_none")]
    pub domain_id: Option<String>,
}

/// A role as Keystone answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: String,
    description: Option<String>,
    domain_id: Option<String>,
}

/// The kind.
#[derive(Debug)]
pub enum Role {}

impl Kind for Role {
    const NAME: &'static str = "Role";
    const SERVICE: Service = Service::Identity;
    const COLLECTION: Collection = Collection {
        list: "roles",
        query: &[],
        path: "roles",
        route: "roles/{id}",
        one: "role",
        many: "roles",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const SINGLE: Option<&'static str> =
        Some("a name is given once in a domain, or among those of none");
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("domainRef", Change::Replace),
    ];
    const PART: Option<(&'static str, &'static str)> = Some(("domain_id", "domainRef"));
    const CASCADE: &'static [&'static str] = &["RoleAssignment"];
    const OF_THE_CLOUD: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(role: &Object) -> Identity {
        Identity {
            id: role.id.clone(),
            name: role.name.clone(),
            project: role.domain_id.clone(),
            natural_key: Some(key(role.domain_id.as_deref(), &role.name)),
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(role: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(role.name.clone()),
            description: Some(role.description.clone().unwrap_or_default()),
            domain_ref: role.domain_id.as_deref().and_then(keystone::by_id),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
    }

    fn status(role: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: role.name.clone(),
            description: role.description.clone().filter(|it| !it.is_empty()),
            domain_id: role.domain_id.clone(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/domainRef", "Domain", spec.domain_ref.as_mut(), visit);
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/domainRef", "Domain", filter.domain_ref.as_mut(), visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let name = keystone::check("/name", spec.name.as_deref(), 255);
        name.into_iter().collect()
    }

    fn natural_key(spec: &Spec, name: &str) -> Option<String> {
        let name = spec.name.as_deref().unwrap_or(name);
        match &spec.domain_ref {
            None => Some(key(None, name)),
            Some(domain) => Some(key(Some(domain.id()?), name)),
        }
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let property = |field: &str| property(spec, field);
        keystone::post(&Self::COLLECTION, Self::FIELDS, property, birth, [])
    }

    fn update(spec: &Spec, role: &Object, fields: &[&'static str]) -> Call {
        keystone::patch(&Self::COLLECTION, &role.id, fields, |field| {
            property(spec, field)
        })
    }

    fn act(action: Never, _: Option<&Element>, _: &Spec, _: &Object) -> Result<Call, Refusal> {
        match action {}
    }

    /// Nowhere to write it: names are the identity in Keystone.
    fn brand(_: &Object, _: &Birth<'_>) -> Option<Call> {
        None
    }

    fn matches(filter: &Filter, role: &Object) -> bool {
        filter.name.as_ref().is_none_or(|it| *it == role.name)
            && filter.domain_ref.as_ref().map(Ref::id) == role.domain_id.as_deref().map(Some)
    }
}

/// Names of roles are unique in their domain, and among those of none.
fn key(domain: Option<&str>, name: &str) -> String {
    match domain {
        Some(domain) => format!("{domain}/{name}"),
        None => name.to_owned(),
    }
}

fn property(spec: &Spec, field: &str) -> Option<(&'static str, Value)> {
    Some(match field {
        "name" => ("name", json!(spec.name.as_ref()?)),
        "description" => ("description", json!(spec.description.as_ref()?)),
        "domainRef" => ("domain_id", json!(spec.domain_ref.as_ref()?.id()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::erased::{AnyKind, Intent, Of, unclassified};
    use super::super::keystone::testing::created_differs;
    use super::super::neutron::testing::*;
    use super::*;
    use crate::kinds::call::Method;

    const RECORDED: &str = include_str!("testdata/role.json");

    fn wanted() -> Value {
        json!({"name": "r", "description": "of the tests"})
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Role>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen() {
        assert_eq!(
            created_differs::<Role>(&wanted(), &json!({})),
            [] as [&str; 0]
        );
    }

    #[test]
    fn a_recorded_role_is_identified_by_its_name() {
        let found = fixture::<Role>(RECORDED);
        let kind = Of::<Role>::NEW;
        assert_eq!(
            found.natural_key,
            kind.natural_key(&projected::<Role>(&found), "called")
        );
        let expected = json!({"name": "sw-role", "description": "for a fixture"});
        assert_eq!(status::<Role>(&found), expected);
    }

    #[test]
    fn a_role_of_a_domain_is_no_role_of_none() {
        let kind = Of::<Role>::NEW;
        let mut role: Value = serde_json::from_str(RECORDED).unwrap();
        role["domain_id"] = json!("d1");
        let found = look::<Role>(role);
        assert_eq!(found.natural_key.as_deref(), Some("d1/sw-role"));
        let of = |domain: Value| {
            let spec = json!({"name": "sw-role", "domainRef": domain});
            kind.natural_key(&spec, "called")
        };
        assert_eq!(of(json!({"id": "d1"})), found.natural_key);
        assert_eq!(of(json!("later")), None, "it cannot be told yet");
        assert!(!chooses::<Role>(&json!({"name": "sw-role"}), &found));
        let filter = json!({"name": "sw-role", "domainRef": {"id": "d1"}});
        assert!(chooses::<Role>(&filter, &found));
        let create = request::<Role>(&Intent::Create, &json!({"domainRef": {"id": "d1"}}), None);
        assert_eq!(body(&create.unwrap())["role"]["domain_id"], "d1");
    }

    #[test]
    fn only_what_differs_is_sent() {
        let found = fixture::<Role>(RECORDED);
        let update = Intent::Update(vec!["name"]);
        let call = request::<Role>(&update, &json!({"name": "n"}), Some(&found)).unwrap();
        assert_eq!(
            (call.method, &call.path),
            (Method::Patch, &format!("roles/{}", found.id))
        );
        assert_eq!(body(&call), &json!({"role": {"name": "n"}}));
    }

    #[test]
    fn the_filter_is_the_exact_name() {
        let found = fixture::<Role>(RECORDED);
        assert!(chooses::<Role>(&json!({"name": "sw-role"}), &found));
        assert!(!chooses::<Role>(&json!({"name": "sw"}), &found));
    }
}
