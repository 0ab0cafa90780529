//! Limits: what every project has, and what an administrator has set for one. How they are asked for and how a
//! refusal reads is each service's own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::Object;
use super::world::World;

/// What administrators have set, by service and project.
pub(super) type Overrides = BTreeMap<(Counted, String), BTreeMap<String, i64>>;

/// A service that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counted {
    Compute,
    Volume,
    Network,
}

impl World {
    /// The limit of a project; -1 is none.
    pub(super) fn limit(&self, service: Counted, project: &str, name: &str) -> i64 {
        let own = self.overrides.get(&(service, project.to_owned()));
        let limit = own.and_then(|own| own.get(name));
        let limit = limit.or_else(|| self.usual(service).get(name));
        limit.copied().unwrap_or(-1)
    }

    /// All limits of a project by their names.
    pub(super) fn limits(&self, service: Counted, project: &str) -> Vec<(String, i64)> {
        let names = self.usual(service).keys();
        names
            .map(|name| (name.clone(), self.limit(service, project, name)))
            .collect()
    }

    /// Takes over the numbers in a request's body.
    pub(super) fn set_limits(&mut self, service: Counted, project: &str, wanted: Option<&Value>) {
        let wanted = wanted.and_then(Value::as_object);
        let numbers = wanted.into_iter().flat_map(Object::iter);
        let numbers = numbers.filter_map(|(name, value)| Some((name.clone(), value.as_i64()?)));
        let key = (service, project.to_owned());
        self.overrides.entry(key).or_default().extend(numbers);
    }

    /// The project has what all have again.
    pub(super) fn reset_limits(&mut self, service: Counted, project: &str) {
        self.overrides.remove(&(service, project.to_owned()));
    }

    fn usual(&self, service: Counted) -> &BTreeMap<String, i64> {
        let quotas = &self.options.quotas;
        match service {
            Counted::Compute => &quotas.compute,
            Counted::Volume => &quotas.volume,
            Counted::Network => &quotas.network,
        }
    }
}
