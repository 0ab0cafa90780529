//! Cinder volume types.
//!
//! Most clouds let only administrators make them. Their names are unique in a cloud, and a project
//! sees them without its own mark on them.
//! API: <https://docs.openstack.org/api-ref/block-storage/v3/#volume-types-types>.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::call::{Call, Method, Service, segment};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::{
    Attached, BLOCK_STORAGE, Birth, Collection, Element, Identity, Kind, MarkerPlace, Refusal,
};

/// A sort of volume. Making one needs the rights of a cloud administrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud, where it is unique; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// May every project use it?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
    /// Extra specs, owned key by key: keys that others set stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_specs: Option<Vec<ExtraSpec>>,
}

/// One extra spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VolumeTypeExtraSpec")]
pub struct ExtraSpec {
    /// The key.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Chooses a volume type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// May every project use it?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
}

/// What is known of a volume type.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// May every project use it?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
    /// Extra specs, as far as they may be seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_specs: Vec<ExtraSpec>,
}

/// A volume type as Cinder answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    pub(super) name: String,
    description: Option<String>,
    is_public: Option<bool>,
    extra_specs: Option<BTreeMap<String, String>>,
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Set extra specs.
    SetExtraSpecs,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("set extra specs")
    }
}

/// The kind.
#[derive(Debug)]
pub enum VolumeType {}

impl Kind for VolumeType {
    const NAME: &'static str = "VolumeType";
    const SERVICE: Service = Service::BlockStorage;
    const COLLECTION: Collection = Collection {
        list: "types",
        // Without it an administrator is shown the public ones only.
        query: &[("is_public", "None")],
        path: "types",
        route: "types/{id}",
        one: "volume_type",
        many: "volume_types",
        read: Some(BLOCK_STORAGE),
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const SINGLE: Option<&'static str> = Some("a name is given once in the cloud");
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("description", Change::Update),
        Field::new("isPublic", Change::Update),
        Field::new("extraSpecs", Change::Action(Action::SetExtraSpecs))
            .by(Compare::Pairs("name", "value")),
        // The name is the identity.
        Field::new("name", Change::Replace),
    ];
    const OF_THE_CLOUD: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(kind: &Object) -> Identity {
        Identity {
            id: kind.id.clone(),
            name: kind.name.clone(),
            natural_key: Some(kind.name.clone()),
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(kind: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(kind.name.clone()),
            description: Some(kind.description.clone().unwrap_or_default()),
            is_public: kind.is_public,
            extra_specs: Some(extra_specs(kind)),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.is_public.take_if(|it| *it);
        let _ = spec.extra_specs.take_if(|it| it.is_empty());
    }

    fn status(kind: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: kind.name.clone(),
            description: kind.description.clone(),
            is_public: kind.is_public,
            extra_specs: extra_specs(kind),
        }
    }

    fn natural_key(spec: &Spec, name: &str) -> Option<String> {
        Some(spec.name.clone().unwrap_or_else(|| name.to_owned()))
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut kind = Map::new();
        kind.insert("name".to_owned(), json!(birth.name));
        if let Some(description) = &spec.description {
            kind.insert("description".to_owned(), json!(description));
        }
        if let Some(is_public) = spec.is_public {
            kind.insert(
                "os-volume-type-access:is_public".to_owned(),
                json!(is_public),
            );
        }
        if spec.extra_specs.is_some() {
            kind.insert("extra_specs".to_owned(), Value::Object(pairs(spec)));
        }
        Call::new(Self::SERVICE, Method::Post, "types", "types")
            .at(Some(BLOCK_STORAGE))
            .json(json!({ "volume_type": kind }))
    }

    fn update(spec: &Spec, kind: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            match *field {
                "description" => body.insert("description".to_owned(), json!(spec.description)),
                "isPublic" => body.insert("is_public".to_owned(), json!(spec.is_public)),
                _ => None,
            };
        }
        let path = format!("types/{}", segment(&kind.id));
        Call::new(Self::SERVICE, Method::Put, "types/{id}", path)
            .at(Some(BLOCK_STORAGE))
            .json(json!({ "volume_type": body }))
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        kind: &Object,
    ) -> Result<Call, Refusal> {
        let Action::SetExtraSpecs = action;
        let path = format!("types/{}/extra_specs", segment(&kind.id));
        Ok(
            Call::new(Self::SERVICE, Method::Post, "types/{id}/extra_specs", path)
                .at(Some(BLOCK_STORAGE))
                .json(json!({ "extra_specs": pairs(spec) })),
        )
    }

    fn brand(_: &Object, _: &Birth<'_>) -> Option<Call> {
        None
    }

    fn matches(filter: &Filter, kind: &Object) -> bool {
        let Filter {
            name,
            description,
            is_public,
        } = filter;
        name.as_ref().is_none_or(|it| *it == kind.name)
            && description
                .as_ref()
                .is_none_or(|it| Some(it) == kind.description.as_ref())
            && is_public.is_none_or(|it| Some(it) == kind.is_public)
    }
}

fn extra_specs(kind: &Object) -> Vec<ExtraSpec> {
    let pair = |(name, value): (&String, &String)| ExtraSpec {
        name: name.clone(),
        value: value.clone(),
    };
    kind.extra_specs.iter().flatten().map(pair).collect()
}

fn pairs(spec: &Spec) -> Map<String, Value> {
    spec.extra_specs
        .iter()
        .flatten()
        .map(|it| (it.name.clone(), json!(it.value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::call::Body;
    use crate::kinds::erased::{AnyKind, Of, unclassified};
    use crate::kinds::need::Material;
    use crate::kinds::testing::birth;
    use crate::manifest::Problem;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    fn spec() -> Spec {
        serde_json::from_value(json!({
            "name": "fast", "description": "d", "isPublic": false,
            "extraSpecs": [{"name": "volume_backend_name", "value": "ssd"}]
        }))
        .unwrap()
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<VolumeType>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen() {
        let material = Material::default();
        let call = VolumeType::create(&spec(), &birth("fast", &material));
        let Body::Json(mut body) = call.body else {
            panic!("no JSON")
        };
        let mut answer = body["volume_type"].take();
        answer["id"] = json!("1");
        answer["is_public"] = answer["os-volume-type-access:is_public"].clone();
        assert_eq!(
            VolumeType::project(&object(answer), &Attached::default()),
            spec()
        );
    }

    #[test]
    fn a_key_of_pairs_has_one_value() {
        let given = |names: [&str; 2]| {
            let pairs = names.map(|it| json!({"name": it, "value": it}));
            let text = json!({
                "apiVersion": "stackward.dev/v1alpha1", "kind": "VolumeType",
                "metadata": {"name": "x"}, "spec": {"resource": {"extraSpecs": pairs}},
            });
            let result = crate::kinds::testing::accept(&text.to_string());
            let messages = |it: Problem| it.message.to_string();
            result
                .err()
                .map(|all| all.into_iter().map(messages).collect::<Vec<_>>())
        };
        assert_eq!(given(["a", "b"]), None);
        let twice =
            vec!["spec.resource.extraSpecs[1].name: the name `a` is given twice".to_owned()];
        assert_eq!(given(["a", "a"]), Some(twice));
    }

    #[test]
    fn extra_specs_that_may_not_be_seen_are_none() {
        let lvm = json!({"id": "1", "name": "lvmdriver-1", "description": null, "is_public": true});
        let found = Of::<VolumeType>::NEW.look(lvm).unwrap();
        assert_eq!(found.natural_key.as_deref(), Some("lvmdriver-1"));
        let status = Of::<VolumeType>::NEW.status(&found, &Attached::default());
        assert_eq!(status, json!({"name": "lvmdriver-1", "isPublic": true}));
    }

    #[test]
    fn the_filter_goes_by_all_that_it_sets() {
        let lvm = object(json!({"id": "1", "name": "lvm", "description": "d", "is_public": true}));
        for (filter, matches) in [
            (json!({"name": "lvm"}), true),
            (json!({"name": "lv"}), false),
            (json!({"description": "d", "isPublic": true}), true),
            (json!({"name": "lvm", "isPublic": false}), false),
        ] {
            let filter: Filter = serde_json::from_value(filter).unwrap();
            assert_eq!(VolumeType::matches(&filter, &lvm), matches, "{filter:?}");
        }
    }

    #[test]
    fn changes_are_sent_as_cinder_names_them() {
        let lvm = object(json!({"id": "1", "name": "fast"}));
        let call = VolumeType::update(&spec(), &lvm, &["description", "isPublic"]);
        assert_eq!(call.path, "types/1");
        let body = json!({"volume_type": {"description": "d", "is_public": false}});
        assert_eq!(call.body, Body::Json(body));
        let call = VolumeType::act(Action::SetExtraSpecs, None, &spec(), &lvm).unwrap();
        assert_eq!(call.path, "types/1/extra_specs");
        assert_eq!(
            call.body,
            Body::Json(json!({"extra_specs": {"volume_backend_name": "ssd"}}))
        );
    }
}
