//! Keystone groups of users. Who is in one is not managed here, as in ORC.
//!
//! Needs the rights of an administrator of its domain.
//! API: <https://docs.openstack.org/api-ref/identity/v3/#groups>.

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

/// A group of users, to which roles can be assigned. Who is in it is not managed. Making one needs an
/// administrator of its domain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud, unique in its domain; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The domain that it belongs to; the one with the id `default` if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_ref: Option<Ref>,
}

/// Chooses a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The domain that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_ref: Option<Ref>,
}

/// What is known of a group.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The domain that it belongs to.
    #[serde(rename = "domainID")]
    pub domain_id: String,
}

/// A group as Keystone answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: String,
    description: Option<String>,
    domain_id: String,
}

/// The kind.
#[derive(Debug)]
pub enum Group {}

impl Kind for Group {
    const NAME: &'static str = "Group";
    const SERVICE: Service = Service::Identity;
    const COLLECTION: Collection = Collection {
        list: "groups",
        query: &[],
        path: "groups",
        route: "groups/{id}",
        one: "group",
        many: "groups",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const SINGLE: Option<&'static str> = Some("a name is given once in a domain");
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        // Keystone: "Cannot change Domain ID".
        Field::new("domainRef", Change::Replace),
    ];
    const OF_THE_CLOUD: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(group: &Object) -> Identity {
        Identity {
            id: group.id.clone(),
            name: group.name.clone(),
            natural_key: Some(keystone::natural_key(&group.domain_id, &group.name)),
            attached_to: vec![group.domain_id.clone()],
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(group: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(group.name.clone()),
            description: Some(group.description.clone().unwrap_or_default()),
            domain_ref: keystone::by_id(&group.domain_id),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
    }

    fn status(group: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: group.name.clone(),
            description: group.description.clone().filter(|it| !it.is_empty()),
            domain_id: group.domain_id.clone(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/domainRef", "Domain", spec.domain_ref.as_mut(), visit);
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/domainRef", "Domain", filter.domain_ref.as_mut(), visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        keystone::check("/name", spec.name.as_deref(), 64)
            .into_iter()
            .collect()
    }

    fn natural_key(spec: &Spec, name: &str) -> Option<String> {
        let domain = keystone::domain(spec.domain_ref.as_ref())?;
        Some(keystone::natural_key(
            domain,
            spec.name.as_deref().unwrap_or(name),
        ))
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let domain = keystone::domain(spec.domain_ref.as_ref()).unwrap_or_default();
        let property = |field: &str| property(spec, field);
        let more = [("domain_id", json!(domain))];
        keystone::post(&Self::COLLECTION, Self::FIELDS, property, birth, more)
    }

    fn update(spec: &Spec, group: &Object, fields: &[&'static str]) -> Call {
        keystone::patch(&Self::COLLECTION, &group.id, fields, |field| {
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

    fn matches(filter: &Filter, group: &Object) -> bool {
        filter.name.as_ref().is_none_or(|it| *it == group.name)
            && keystone::refers(filter.domain_ref.as_ref(), Some(&group.domain_id))
    }
}

fn property(spec: &Spec, field: &str) -> Option<(&'static str, Value)> {
    Some(match field {
        "name" => ("name", json!(spec.name.as_ref()?)),
        "description" => ("description", json!(spec.description.as_ref()?)),
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

    const RECORDED: &str = include_str!("testdata/group.json");

    fn wanted() -> Value {
        json!({"name": "g", "description": "of the tests", "domainRef": {"id": "d1"}})
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Group>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen() {
        assert_eq!(
            created_differs::<Group>(&wanted(), &json!({})),
            [] as [&str; 0]
        );
    }

    #[test]
    fn domain_and_name_are_the_identity_of_spec_and_group() {
        let found = fixture::<Group>(RECORDED);
        let kind = Of::<Group>::NEW;
        assert_eq!(
            found.natural_key,
            kind.natural_key(&projected::<Group>(&found), "called")
        );
        assert_eq!(
            kind.natural_key(&json!({}), "called").as_deref(),
            Some("default/called")
        );
        assert_eq!(
            kind.natural_key(&json!({"domainRef": "later"}), "called"),
            None
        );
        let domain = found.attached_to[0].clone();
        let expected =
            json!({"name": "sw-group", "description": "for a fixture", "domainID": domain});
        assert_eq!(status::<Group>(&found), expected);
    }

    #[test]
    fn only_what_differs_is_sent() {
        let found = fixture::<Group>(RECORDED);
        let update = Intent::Update(vec!["description"]);
        let call = request::<Group>(
            &update,
            &json!({"name": "n", "description": ""}),
            Some(&found),
        );
        let call = call.unwrap();
        assert_eq!(
            (call.method, &call.path),
            (Method::Patch, &format!("groups/{}", found.id))
        );
        assert_eq!(body(&call), &json!({"group": {"description": ""}}));
    }

    #[test]
    fn the_filter_goes_by_all_that_it_sets() {
        let found = fixture::<Group>(RECORDED);
        let domain = json!({"id": found.attached_to[0]});
        for (filter, chosen) in [
            (json!({"name": "sw-group", "domainRef": domain}), true),
            (
                json!({"name": "sw-group", "domainRef": {"id": "default"}}),
                false,
            ),
            (json!({"name": "sw"}), false),
            (json!({"domainRef": "not-resolved"}), false),
        ] {
            assert_eq!(chooses::<Group>(&filter, &found), chosen, "{filter}");
        }
    }

    #[test]
    fn names_have_their_length() {
        assert_eq!(
            complaints::<Group>(&json!({"name": "n".repeat(65)})),
            ["/name"]
        );
        assert_eq!(complaints::<Group>(&wanted()), [] as [&str; 0]);
    }
}
