//! Nova flavors.
//!
//! Most clouds let only administrators make them; everybody chooses one, by a filter.
//! API: <https://docs.openstack.org/api-ref/compute/#flavors>.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::call::{Call, Method, Microversion, Service, segment};
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::{
    Attached, Birth, COMPUTE, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal,
};

/// The size of a server. Making one needs the rights of a cloud administrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud, where it is unique; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Id of the flavor; chosen by Nova if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 255),
        regex(pattern = r"^[a-zA-Z0-9._-]([a-zA-Z0-9. _-]*[a-zA-Z0-9._-])?$")
    )]
    pub id: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Memory in MiB.
    #[schemars(range(min = 1))]
    pub ram: u32,
    /// Number of virtual CPUs.
    #[schemars(range(min = 1))]
    pub vcpus: u32,
    /// Root disk in GiB; 0 is the size of the image.
    pub disk: u32,
    /// Ephemeral disk in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<u32>,
    /// Swap in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<u32>,
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
pub struct ExtraSpec {
    /// The key.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Chooses a flavor by its numbers: exactly these, or the smallest that is large enough.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram: Option<u32>,
    /// Number of virtual CPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcpus: Option<u32>,
    /// Root disk in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
    /// Ephemeral disk in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<u32>,
    /// Swap in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<u32>,
    /// The smallest with at least this memory, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ram: Option<u32>,
    /// The smallest with at least this many virtual CPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_vcpus: Option<u32>,
    /// The smallest with at least this root disk, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_disk: Option<u32>,
}

/// What is known of a flavor. As in ORC, what is empty is absent.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name in the cloud.
    pub name: String,
    /// Free text for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Memory in MiB.
    pub ram: u32,
    /// Number of virtual CPUs.
    pub vcpus: u32,
    /// Root disk in GiB.
    pub disk: u32,
    /// Ephemeral disk in GiB.
    pub ephemeral: u32,
    /// Swap in MiB.
    pub swap: u32,
    /// May every project use it?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
    /// Extra specs, when they may be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_specs: Option<Vec<ExtraSpec>>,
}

/// A flavor as Nova answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    id: String,
    name: String,
    description: Option<String>,
    pub(super) ram: u32,
    pub(super) vcpus: u32,
    disk: u32,
    #[serde(rename = "OS-FLV-EXT-DATA:ephemeral", default)]
    ephemeral: u32,
    #[serde(default, deserialize_with = "number_or_nothing")]
    swap: u32,
    #[serde(rename = "os-flavor-access:is_public")]
    is_public: Option<bool>,
    extra_specs: Option<BTreeMap<String, String>>,
}

/// No swap was the empty text before 2.75.
fn number_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Swap {
        Number(u32),
        Text(String),
    }
    match Swap::deserialize(deserializer)? {
        Swap::Number(number) => Ok(number),
        Swap::Text(text) if text.is_empty() => Ok(0),
        Swap::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
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
pub enum Flavor {}

impl Kind for Flavor {
    const NAME: &'static str = "Flavor";
    const SERVICE: Service = Service::Compute;
    const COLLECTION: Collection = Collection {
        list: "flavors/detail",
        // For administrators: the private ones too. Nova does not look at it for others.
        query: &[("is_public", "None")],
        path: "flavors",
        route: "flavors/{id}",
        one: "flavor",
        many: "flavors",
        // Not COMPUTE_READ: descriptions came with 2.55, extra specs with 2.61.
        read: Some(COMPUTE),
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const SINGLE: Option<&'static str> = Some("a name is given once in the cloud");
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("description", Change::Update),
        Field::new("extraSpecs", Change::Action(Action::SetExtraSpecs))
            .by(Compare::Pairs("name", "value")),
        Field::new("name", Change::Replace),
        Field::new("id", Change::Replace),
        Field::new("ram", Change::Replace),
        Field::new("vcpus", Change::Replace),
        Field::new("disk", Change::Replace),
        Field::new("ephemeral", Change::Replace),
        Field::new("swap", Change::Replace),
        Field::new("isPublic", Change::Replace),
    ];
    const NATIVE_FILTERS: &'static [&'static str] =
        &["/ephemeral", "/swap", "/minRam", "/minVcpus", "/minDisk"];
    const OF_THE_CLOUD: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(flavor: &Object) -> Identity {
        Identity {
            id: flavor.id.clone(),
            name: flavor.name.clone(),
            natural_key: Some(flavor.name.clone()),
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(flavor: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(flavor.name.clone()),
            id: Some(flavor.id.clone()),
            description: Some(flavor.description.clone().unwrap_or_default()),
            ram: flavor.ram,
            vcpus: flavor.vcpus,
            disk: flavor.disk,
            ephemeral: Some(flavor.ephemeral),
            swap: Some(flavor.swap),
            is_public: flavor.is_public,
            extra_specs: extra_specs(flavor),
        }
    }

    fn abridge(spec: &mut Spec) {
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.ephemeral.take_if(|it| *it == 0);
        let _ = spec.swap.take_if(|it| *it == 0);
        let _ = spec.is_public.take_if(|it| *it);
        let _ = spec.extra_specs.take_if(|it| it.is_empty());
    }

    fn status(flavor: &Object, _: &Attached<'_>) -> Status {
        Status {
            name: flavor.name.clone(),
            description: flavor.description.clone(),
            ram: flavor.ram,
            vcpus: flavor.vcpus,
            disk: flavor.disk,
            ephemeral: flavor.ephemeral,
            swap: flavor.swap,
            is_public: flavor.is_public,
            extra_specs: extra_specs(flavor),
        }
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        let fits = |c: char| c.is_ascii_alphanumeric() || ". _-".contains(c);
        let is_id =
            |id: &str| (1..=255).contains(&id.len()) && id.trim() == id && id.chars().all(fits);
        if spec.id.as_deref().is_some_and(|id| !is_id(id)) {
            complaints.push(Complaint::new(
                "/id",
                "an id is 1 to 255 letters, digits, spaces and . _ -, without a space at its ends",
            ));
        }
        if spec.ram == 0 {
            complaints.push(Complaint::new(
                "/ram",
                "a flavor has at least 1 MiB of memory",
            ));
        }
        if spec.vcpus == 0 {
            complaints.push(Complaint::new(
                "/vcpus",
                "a flavor has at least 1 virtual CPU",
            ));
        }
        complaints
    }

    fn natural_key(spec: &Spec, name: &str) -> Option<String> {
        Some(spec.name.clone().unwrap_or_else(|| name.to_owned()))
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut flavor = Map::new();
        let mut put = |key: &str, value: Value| flavor.insert(key.to_owned(), value);
        put("name", json!(birth.name));
        put("ram", json!(spec.ram));
        put("vcpus", json!(spec.vcpus));
        put("disk", json!(spec.disk));
        if let Some(id) = &spec.id {
            put("id", json!(id));
        }
        if let Some(description) = &spec.description {
            put("description", json!(description));
        }
        if let Some(ephemeral) = spec.ephemeral {
            put("OS-FLV-EXT-DATA:ephemeral", json!(ephemeral));
        }
        if let Some(swap) = spec.swap {
            put("swap", json!(swap));
        }
        if let Some(is_public) = spec.is_public {
            put("os-flavor-access:is_public", json!(is_public));
        }
        // Descriptions came with 2.55. Extra specs have a request of their own.
        let floor = if spec.description.is_some() {
            (2, 55)
        } else {
            COMPUTE.floor
        };
        Call::new(Self::SERVICE, Method::Post, "flavors", "flavors")
            .at(Some(Microversion { floor, ..COMPUTE }))
            .json(json!({ "flavor": flavor }))
    }

    fn update(spec: &Spec, flavor: &Object, _: &[&'static str]) -> Call {
        Call::new(
            Self::SERVICE,
            Method::Put,
            "flavors/{id}",
            format!("flavors/{}", segment(&flavor.id)),
        )
        .at(Some(Microversion {
            floor: (2, 55),
            ..COMPUTE
        }))
        .json(json!({"flavor": {"description": spec.description}}))
    }

    fn act(
        action: Action,
        _: Option<&Element>,
        spec: &Spec,
        flavor: &Object,
    ) -> Result<Call, Refusal> {
        let Action::SetExtraSpecs = action;
        let extra_specs: Map<String, Value> = spec
            .extra_specs
            .iter()
            .flatten()
            .map(|it| (it.name.clone(), json!(it.value)))
            .collect();
        Ok(Call::new(
            Self::SERVICE,
            Method::Post,
            "flavors/{id}/os-extra_specs",
            format!("flavors/{}/os-extra_specs", segment(&flavor.id)),
        )
        .at(Some(COMPUTE))
        .json(json!({ "extra_specs": extra_specs })))
    }

    fn brand(_: &Object, _: &Birth<'_>) -> Option<Call> {
        None
    }

    fn matches(filter: &Filter, flavor: &Object) -> bool {
        let Filter {
            name,
            ram,
            vcpus,
            disk,
            ephemeral,
            swap,
            min_ram,
            min_vcpus,
            min_disk,
        } = filter;
        name.as_ref().is_none_or(|it| *it == flavor.name)
            && ram.is_none_or(|it| it == flavor.ram)
            && vcpus.is_none_or(|it| it == flavor.vcpus)
            && disk.is_none_or(|it| it == flavor.disk)
            && ephemeral.is_none_or(|it| it == flavor.ephemeral)
            && swap.is_none_or(|it| it == flavor.swap)
            && min_ram.is_none_or(|it| it <= flavor.ram)
            && min_vcpus.is_none_or(|it| it <= flavor.vcpus)
            && min_disk.is_none_or(|it| it <= flavor.disk)
    }

    /// With a minimum, the smallest; two that are equally small are an ambiguity.
    fn choose<'a>(filter: &Filter, flavors: &[&'a Object]) -> Vec<&'a Object> {
        let mut chosen: Vec<&Object> = flavors
            .iter()
            .copied()
            .filter(|it| Self::matches(filter, it))
            .collect();
        if filter
            .min_ram
            .or(filter.min_vcpus)
            .or(filter.min_disk)
            .is_some()
            && let Some(smallest) = chosen.iter().copied().min_by(|a, b| by_size(a, b))
        {
            chosen.retain(|it| by_size(it, smallest) == Ordering::Equal);
        }
        chosen
    }
}

fn by_size(a: &Object, b: &Object) -> Ordering {
    (a.vcpus, a.ram, a.disk).cmp(&(b.vcpus, b.ram, b.disk))
}

fn extra_specs(flavor: &Object) -> Option<Vec<ExtraSpec>> {
    let specs = flavor.extra_specs.as_ref()?;
    let pair = |(name, value): (&String, &String)| ExtraSpec {
        name: name.clone(),
        value: value.clone(),
    };
    Some(specs.iter().map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::call::Body;
    use crate::kinds::erased::{AnyKind, Of, unclassified};
    use crate::kinds::need::Material;
    use crate::kinds::testing::birth;

    fn recorded() -> Object {
        serde_json::from_str(include_str!("testdata/flavor.json")).unwrap()
    }

    fn sized(name: &str, vcpus: u32, ram: u32, disk: u32) -> Object {
        serde_json::from_value(
            json!({"id": name, "name": name, "vcpus": vcpus, "ram": ram, "disk": disk, "swap": ""}),
        )
        .unwrap()
    }

    fn chosen(filter: Value, flavors: &[Object]) -> Vec<&str> {
        let filter: Filter = serde_json::from_value(filter).unwrap();
        let flavors: Vec<&Object> = flavors.iter().collect();
        Flavor::choose(&filter, &flavors)
            .iter()
            .map(|it| it.name.as_str())
            .collect()
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(unclassified(&Of::<Flavor>::NEW), Vec::<String>::new());
    }

    #[test]
    fn what_is_created_is_what_is_seen() {
        let spec: Spec = serde_json::from_value(json!({
            "name": "small", "id": "42", "description": "d", "ram": 512, "vcpus": 1, "disk": 0,
            "ephemeral": 2, "swap": 64, "isPublic": false
        }))
        .unwrap();
        let call = Flavor::create(&spec, &birth("small", &Material::default()));
        assert_eq!((call.path.as_str(), call.method), ("flavors", Method::Post));
        assert_eq!(call.microversion.unwrap().floor, (2, 55));
        let Body::Json(mut body) = call.body else {
            panic!("no JSON")
        };
        let object: Object = serde_json::from_value(body["flavor"].take()).unwrap();
        assert_eq!(Flavor::project(&object, &Attached::default()), spec);
    }

    #[test]
    fn a_recorded_flavor_is_read_with_and_without_swap() {
        let status = Flavor::status(&recorded(), &Attached::default());
        assert_eq!(
            (status.name.as_str(), status.disk, status.swap),
            ("m1.small", 20, 0)
        );
        assert_eq!(status.is_public, Some(true));
        assert_eq!(sized("a", 1, 1, 1).swap, 0);
        let bad = json!({"id": "1", "name": "a", "vcpus": 1, "ram": 1, "disk": 1, "swap": "x"});
        assert!(Of::<Flavor>::NEW.look(bad).is_err());
    }

    #[test]
    fn a_flavor_is_chosen_by_its_numbers() {
        let flavors = [
            sized("tiny", 1, 512, 1),
            sized("small", 1, 2048, 20),
            sized("wide", 2, 2048, 20),
            sized("large", 4, 8192, 80),
            sized("twin", 4, 8192, 80),
        ];
        for (filter, names) in [
            (json!({"disk": 20}), vec!["small", "wide"]),
            (json!({"disk": 20, "vcpus": 2}), vec!["wide"]),
            (json!({"minDisk": 2}), vec!["small"]),
            (json!({"minRam": 512}), vec!["tiny"]),
            (json!({"minVcpus": 2, "minDisk": 20}), vec!["wide"]),
            (json!({"minVcpus": 3}), vec!["large", "twin"]),
            (json!({"minRam": 1024, "name": "twin"}), vec!["twin"]),
            (json!({"minDisk": 81}), vec![]),
            (json!({"swap": 1}), vec![]),
            (json!({"ephemeral": 0, "name": "tiny"}), vec!["tiny"]),
        ] {
            assert_eq!(chosen(filter.clone(), &flavors), names, "{filter}");
        }
    }

    #[test]
    fn extra_specs_are_set_by_a_request_of_their_own() {
        let mut spec = Flavor::project(&recorded(), &Attached::default());
        spec.extra_specs = Some(vec![ExtraSpec {
            name: "hw:cpu_policy".to_owned(),
            value: "shared".to_owned(),
        }]);
        let call = Flavor::act(Action::SetExtraSpecs, None, &spec, &recorded()).unwrap();
        assert_eq!(call.path, "flavors/3/os-extra_specs");
        assert_eq!(
            call.body,
            Body::Json(json!({"extra_specs": {"hw:cpu_policy": "shared"}}))
        );
    }

    #[test]
    fn a_flavor_of_nothing_is_refused() {
        let spec: Spec = serde_json::from_value(json!({"ram": 0, "vcpus": 0, "disk": 0})).unwrap();
        let pointers: Vec<String> = Flavor::check(&spec)
            .into_iter()
            .map(|it| it.pointer)
            .collect();
        assert_eq!(pointers, ["/ram", "/vcpus"]);
    }
}
