//! Keystone projects.
//!
//! Needs the rights of an administrator of its domain. What a project holds in other services is
//! not Keystone's business, and outlives it.
//! API: <https://docs.openstack.org/api-ref/identity/v3/#projects>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::manifest::Ref;

use super::call::{Call, Service};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::keystone;
use super::need::{Inputs, Material, Need};
use super::neutron::as_set;
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never, Refusal,
};

/// What Keystone takes, and ORC.
const MAX_TAGS: usize = 80;

/// A project. Making one needs an administrator of its domain. Servers, volumes and networks that are
/// still in it when it is deleted stay behind without a project.
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
    /// Whether it can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Tags; the whole set is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}

/// Chooses a project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The domain that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_ref: Option<Ref>,
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

/// What is known of a project.
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
    /// Whether it can be used.
    pub enabled: bool,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A project as Keystone answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: String,
    description: Option<String>,
    domain_id: String,
    enabled: bool,
    #[serde(default)]
    tags: Vec<String>,
}

/// The kind.
#[derive(Debug)]
pub enum Project {}

impl Kind for Project {
    const NAME: &'static str = "Project";
    const SERVICE: Service = Service::Identity;
    const COLLECTION: Collection = Collection {
        list: "projects",
        query: &[],
        path: "projects",
        route: "projects/{id}",
        one: "project",
        many: "projects",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const SINGLE: Option<&'static str> = Some("a name is given once in a domain");
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new("enabled", Change::Update),
        Field::new("tags", Change::Update).by(Compare::Set),
        // Keystone: "Cannot change Domain ID".
        Field::new("domainRef", Change::Replace),
    ];
    const OF_THE_CLOUD: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(project: &Object) -> Identity {
        Identity {
            id: project.id.clone(),
            name: project.name.clone(),
            natural_key: Some(keystone::natural_key(&project.domain_id, &project.name)),
            attached_to: vec![project.domain_id.clone()],
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(project: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(project.name.clone()),
            description: Some(project.description.clone().unwrap_or_default()),
            domain_ref: keystone::by_id(&project.domain_id),
            enabled: Some(project.enabled),
            tags: Some(project.tags.clone()),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.enabled.take_if(|it| *it);
        let _ = spec.tags.take_if(|it| it.is_empty());
    }

    fn status(project: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: project.name.clone(),
            description: project.description.clone().filter(|it| !it.is_empty()),
            domain_id: project.domain_id.clone(),
            enabled: project.enabled,
            tags: project.tags.clone(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/domainRef", "Domain", spec.domain_ref.as_mut(), visit);
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/domainRef", "Domain", filter.domain_ref.as_mut(), visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let tags = spec.tags.as_deref().unwrap_or_default();
        let many = (tags.len() > MAX_TAGS)
            .then(|| Complaint::new("/tags", format!("at most {MAX_TAGS} tags")));
        let wrong = tags.iter().enumerate().filter_map(|(index, tag)| {
            let pointer = format!("/tags/{index}");
            keystone::check(&pointer, Some(tag), 255).or_else(|| {
                let why = "a tag of Keystone has neither `/` nor `,`";
                tag.contains(['/', ','])
                    .then(|| Complaint::new(pointer, why))
            })
        });
        let name = keystone::check("/name", spec.name.as_deref(), 64);
        name.into_iter().chain(many).chain(wrong).collect()
    }

    fn fill(spec: &mut Spec, _: &Inputs) -> Result<Material, Refusal> {
        as_set(&mut spec.tags);
        Ok(Material::default())
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

    fn update(spec: &Spec, project: &Object, fields: &[&'static str]) -> Call {
        keystone::patch(&Self::COLLECTION, &project.id, fields, |field| {
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

    fn matches(filter: &Filter, project: &Object) -> bool {
        let has = |tag: &String| project.tags.contains(tag);
        filter.name.as_ref().is_none_or(|it| *it == project.name)
            && keystone::refers(filter.domain_ref.as_ref(), Some(&project.domain_id))
            && filter.tags.as_ref().is_none_or(|them| them.iter().all(has))
            && filter
                .tags_any
                .as_ref()
                .is_none_or(|them| them.iter().any(has))
            && filter
                .not_tags
                .as_ref()
                .is_none_or(|them| !them.iter().all(has))
            && filter
                .not_tags_any
                .as_ref()
                .is_none_or(|them| !them.iter().any(has))
    }
}

fn property(spec: &Spec, field: &str) -> Option<(&'static str, Value)> {
    Some(match field {
        "name" => ("name", json!(spec.name.as_ref()?)),
        "description" => ("description", json!(spec.description.as_ref()?)),
        "enabled" => ("enabled", json!(spec.enabled?)),
        "tags" => ("tags", json!(spec.tags.as_ref()?)),
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

    const RECORDED: &str = include_str!("testdata/project.json");

    fn wanted() -> Value {
        json!({"name": "p", "description": "of the tests", "domainRef": {"id": "d1"},
            "enabled": false, "tags": ["b", "a", "b"]})
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Project>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen() {
        assert_eq!(
            created_differs::<Project>(&wanted(), &json!({})),
            [] as [&str; 0]
        );
    }

    #[test]
    fn domain_and_name_are_the_identity_of_spec_and_project() {
        let found = fixture::<Project>(RECORDED);
        let kind = Of::<Project>::NEW;
        assert_eq!(
            found.natural_key,
            kind.natural_key(&projected::<Project>(&found), "called")
        );
        assert_eq!(
            kind.natural_key(&json!({}), "called").as_deref(),
            Some("default/called")
        );
        let domain = found.attached_to[0].clone();
        let expected = json!({"name": "sw-project", "description": "for a fixture",
            "domainID": domain, "enabled": true, "tags": ["a", "b"]});
        let mut status = status::<Project>(&found);
        status["tags"]
            .as_array_mut()
            .unwrap()
            .sort_by_key(Value::to_string);
        assert_eq!(status, expected);
    }

    #[test]
    fn the_domain_is_always_said() {
        let call = request::<Project>(&Intent::Create, &json!({}), None).unwrap();
        let project = json!({"name": "called", "domain_id": "default"});
        assert_eq!(body(&call), &json!({ "project": project }));
    }

    #[test]
    fn only_what_differs_is_sent() {
        let found = fixture::<Project>(RECORDED);
        let update = Intent::Update(vec!["tags", "enabled"]);
        let spec = json!({"tags": [], "enabled": false});
        let call = request::<Project>(&update, &spec, Some(&found)).unwrap();
        assert_eq!(
            (call.method, &call.path),
            (Method::Patch, &format!("projects/{}", found.id))
        );
        assert_eq!(
            body(&call),
            &json!({"project": {"tags": [], "enabled": false}})
        );
    }

    #[test]
    fn the_filter_goes_by_all_that_it_sets() {
        let found = fixture::<Project>(RECORDED);
        for (filter, chosen) in [
            (
                json!({"name": "sw-project", "tags": ["a"], "tagsAny": ["a", "x"]}),
                true,
            ),
            (json!({"tags": ["a", "x"]}), false),
            (json!({"tagsAny": ["x"]}), false),
            (json!({"notTags": ["a", "x"], "notTagsAny": ["x"]}), true),
            (json!({"notTags": ["a", "b"]}), false),
            (json!({"notTagsAny": ["a", "x"]}), false),
            (json!({"domainRef": {"id": found.attached_to[0]}}), true),
            (json!({"domainRef": {"id": "default"}}), false),
        ] {
            assert_eq!(chooses::<Project>(&filter, &found), chosen, "{filter}");
        }
    }

    #[test]
    fn names_and_tags_have_their_form() {
        let spec = json!({"name": "", "tags": ["ok", "", "a/b", "a,b"]});
        assert_eq!(
            complaints::<Project>(&spec),
            ["/name", "/tags/1", "/tags/2", "/tags/3"]
        );
        let many: Vec<String> = (0..81).map(|it| it.to_string()).collect();
        assert_eq!(complaints::<Project>(&json!({ "tags": many })), ["/tags"]);
        assert_eq!(complaints::<Project>(&wanted()), [] as [&str; 0]);
    }
}
