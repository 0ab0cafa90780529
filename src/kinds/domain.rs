//! Keystone domains: they hold projects, users and groups.
//!
//! Needs the rights of a cloud administrator. Deleting a domain deletes all that is in it: ours is
//! only deleted empty, and is disabled first, as Keystone demands.
//! API: <https://docs.openstack.org/api-ref/identity/v3/#domains>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{Call, Service};
use super::field::{Change, Field};
use super::health::Health;
use super::keystone;
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never, Refusal,
};

/// A domain: it holds projects, users and groups. Making one needs a cloud administrator. It is deleted
/// only when nothing is left in it, since Keystone would delete all of that too; before that it is
/// disabled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud, unique in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether its users can log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Chooses a domain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether its users can log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// What is known of a domain.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether its users can log in.
    pub enabled: bool,
}

/// A domain as Keystone answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: String,
    description: Option<String>,
    enabled: bool,
}

/// The kind.
#[derive(Debug)]
pub enum Domain {}

impl Kind for Domain {
    const NAME: &'static str = "Domain";
    const SERVICE: Service = Service::Identity;
    const COLLECTION: Collection = Collection {
        list: "domains",
        query: &[],
        path: "domains",
        route: "domains/{id}",
        one: "domain",
        many: "domains",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const SINGLE: Option<&'static str> = Some("a name is given once in the cloud");
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("enabled", Change::Update),
    ];
    const CASCADE: &'static [&'static str] = &["Project", "User", "Group"];
    const OF_THE_CLOUD: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(domain: &Object) -> Identity {
        Identity {
            id: domain.id.clone(),
            name: domain.name.clone(),
            natural_key: Some(domain.name.clone()),
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(domain: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(domain.name.clone()),
            description: Some(domain.description.clone().unwrap_or_default()),
            enabled: Some(domain.enabled),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.enabled.take_if(|it| *it);
    }

    fn status(domain: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: domain.name.clone(),
            description: domain.description.clone().filter(|it| !it.is_empty()),
            enabled: domain.enabled,
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        keystone::check("/name", spec.name.as_deref(), 64)
            .into_iter()
            .collect()
    }

    fn natural_key(spec: &Spec, name: &str) -> Option<String> {
        Some(spec.name.clone().unwrap_or_else(|| name.to_owned()))
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let property = |field: &str| property(spec, field);
        keystone::post(&Self::COLLECTION, Self::FIELDS, property, birth, [])
    }

    fn update(spec: &Spec, domain: &Object, fields: &[&'static str]) -> Call {
        keystone::patch(&Self::COLLECTION, &domain.id, fields, |field| {
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

    fn before_delete(domain: &Object) -> Option<(&'static str, Call)> {
        let disable = |_: &str| Some(("enabled", json!(false)));
        let fields = &["enabled"];
        domain.enabled.then(|| {
            (
                "enabled",
                keystone::patch(&Self::COLLECTION, &domain.id, fields, disable),
            )
        })
    }

    fn matches(filter: &Filter, domain: &Object) -> bool {
        filter.name.as_ref().is_none_or(|it| *it == domain.name)
            && filter.enabled.is_none_or(|it| it == domain.enabled)
    }
}

fn property(spec: &Spec, field: &str) -> Option<(&'static str, Value)> {
    Some(match field {
        "name" => ("name", json!(spec.name.as_ref()?)),
        "description" => ("description", json!(spec.description.as_ref()?)),
        "enabled" => ("enabled", json!(spec.enabled?)),
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

    const RECORDED: &str = include_str!("testdata/domain.json");

    fn wanted() -> Value {
        json!({"name": "d", "description": "of the tests", "enabled": true})
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Domain>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen() {
        assert_eq!(
            created_differs::<Domain>(&wanted(), &json!({})),
            [] as [&str; 0]
        );
    }

    #[test]
    fn a_recorded_domain_is_identified_by_its_name() {
        let found = fixture::<Domain>(RECORDED);
        let kind = Of::<Domain>::NEW;
        assert_eq!(
            found.natural_key,
            kind.natural_key(&projected::<Domain>(&found), "called")
        );
        assert_eq!(found.natural_key.as_deref(), Some("sw-domain"));
        assert_eq!(found.health, Health::Ready);
        let expected =
            json!({"name": "sw-domain", "description": "for a fixture", "enabled": true});
        assert_eq!(status::<Domain>(&found), expected);
    }

    #[test]
    fn only_what_differs_is_sent() {
        let found = fixture::<Domain>(RECORDED);
        let update = Intent::Update(vec!["name", "enabled"]);
        let call = request::<Domain>(
            &update,
            &json!({"name": "n", "enabled": false}),
            Some(&found),
        );
        let call = call.unwrap();
        assert_eq!(
            (call.method, &call.path),
            (Method::Patch, &format!("domains/{}", found.id))
        );
        assert_eq!(
            body(&call),
            &json!({"domain": {"name": "n", "enabled": false}})
        );
    }

    #[test]
    fn it_is_disabled_before_it_is_deleted() {
        let kind = Of::<Domain>::NEW;
        let mut domain: Value = serde_json::from_str(RECORDED).unwrap();
        let (field, call) = kind.before_delete(&look::<Domain>(domain.clone())).unwrap();
        assert_eq!((field, call.method), ("enabled", Method::Patch));
        assert_eq!(body(&call), &json!({"domain": {"enabled": false}}));
        domain["enabled"] = json!(false);
        assert!(kind.before_delete(&look::<Domain>(domain)).is_none());
    }

    #[test]
    fn the_filter_goes_by_all_that_it_sets() {
        let found = fixture::<Domain>(RECORDED);
        for (filter, chosen) in [
            (json!({"name": "sw-domain", "enabled": true}), true),
            (json!({"name": "sw"}), false),
            (json!({"enabled": false}), false),
        ] {
            assert_eq!(chooses::<Domain>(&filter, &found), chosen, "{filter}");
        }
    }

    #[test]
    fn names_have_their_length() {
        assert_eq!(
            complaints::<Domain>(&json!({"name": "n".repeat(65)})),
            ["/name"]
        );
        assert_eq!(complaints::<Domain>(&json!({"name": ""})), ["/name"]);
        assert_eq!(complaints::<Domain>(&wanted()), [] as [&str; 0]);
    }
}
