//! Quotas: how a service is asked what it leaves to a project, and what a request takes of that.
//!
//! Only resources that the services count for a whole project are known here. Limits that hold for
//! one thing (metadata items, members of a group) and what no API tells (keypairs in use, bytes of
//! images) are left to the services' refusals.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::call::{Get, Service, segment};
use super::erased::Found;
use super::{BLOCK_STORAGE, COMPUTE_READ, Kind};

/// What a request takes of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Whose quota it is.
    pub service: Service,
    /// The service's name of the resource: `cores`, `gigabytes_fast`, `port`.
    pub resource: Cow<'static, str>,
    /// How much of it.
    pub amount: u64,
}

impl Demand {
    /// So much of a resource.
    #[must_use]
    pub fn new(service: Service, resource: impl Into<Cow<'static, str>>, amount: u64) -> Self {
        Self {
            service,
            resource: resource.into(),
            amount,
        }
    }
}

/// One resource of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How much there may be; `None` is without limit.
    pub limit: Option<u64>,
    /// How much there is, what is being made included.
    pub used: u64,
}

/// What a service says of a project: its resources by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits(pub BTreeMap<String, Amount>);

/// A demand that cannot be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// What is needed.
    pub demand: Demand,
    /// How much of it is free.
    pub free: u64,
    /// How much there may be.
    pub limit: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Demand {
            resource, amount, ..
        } = &self.demand;
        if is_per_item(resource) {
            let limit = self.limit;
            return write!(f, "needs {amount} GiB in one volume, {limit} are allowed");
        }
        let (free, limit) = (self.free, self.limit);
        write!(f, "needs {amount} {resource}, {free} of {limit} are free")
    }
}

/// Names that do not depend on the cloud: what metrics show.
pub const RESOURCES: [&str; 15] = [
    "instances",
    "cores",
    "ram",
    "server_groups",
    "volumes",
    "gigabytes",
    "snapshots",
    "network",
    "subnet",
    "port",
    "router",
    "floatingip",
    "security_group",
    "security_group_rule",
    "trunk",
];

/// The names of Nova's limits, and of what is used of them.
const NOVA: [(&str, &str, &str); 4] = [
    ("instances", "maxTotalInstances", "totalInstancesUsed"),
    ("cores", "maxTotalCores", "totalCoresUsed"),
    ("ram", "maxTotalRAMSize", "totalRAMUsed"),
    ("server_groups", "maxServerGroups", "totalServerGroupsUsed"),
];

/// The request that reads a service's quotas for a project; `None` for services without any.
#[must_use]
pub fn read(service: Service, project: &str) -> Option<Get> {
    let project = segment(project);
    Some(match service {
        Service::Compute => Get {
            service,
            route: "limits",
            path: "limits".to_owned(),
            query: Vec::new(),
            microversion: Some(COMPUTE_READ),
        },
        Service::BlockStorage => Get {
            service,
            route: "os-quota-sets/{id}",
            path: format!("os-quota-sets/{project}"),
            query: vec![("usage".to_owned(), "True".to_owned())],
            microversion: Some(BLOCK_STORAGE),
        },
        Service::Network => Get {
            service,
            route: "quotas/{id}/details.json",
            path: format!("quotas/{project}/details.json"),
            query: Vec::new(),
            microversion: None,
        },
        Service::Identity | Service::Image | Service::SharedFileSystem => return None,
    })
}

impl Limits {
    /// Reads a service's answer. What is not there is not known, and holds nothing up.
    #[must_use]
    pub fn of(service: Service, body: &Value) -> Self {
        match service {
            Service::Compute => {
                let absolute = &body["limits"]["absolute"];
                let rows = NOVA.iter().filter_map(|(name, limit, used)| {
                    let amount = Amount::of(&absolute[*limit], &[&absolute[*used]])?;
                    Some(((*name).to_owned(), amount))
                });
                Self(rows.collect())
            }
            Service::BlockStorage => Self::rows(&body["quota_set"], "in_use"),
            Service::Network => Self::rows(&body["quota"], "used"),
            Service::Identity | Service::Image | Service::SharedFileSystem => Self::default(),
        }
    }

    fn rows(set: &Value, used: &str) -> Self {
        let rows = set.as_object().into_iter().flatten();
        let rows = rows.filter_map(|(name, row)| {
            let amount = Amount::of(&row["limit"], &[&row[used], &row["reserved"]])?;
            Some((name.clone(), amount))
        });
        Self(rows.collect())
    }

    /// What does not fit, when `taken` is used beside what the service knows of.
    #[must_use]
    pub fn shortage(&self, demand: &Demand, taken: u64) -> Option<Shortage> {
        let Amount { limit, used } = *self.0.get(&*demand.resource)?;
        let limit = limit?;
        let used = if is_per_item(&demand.resource) {
            0
        } else {
            used.saturating_add(taken)
        };
        let free = limit.saturating_sub(used);
        (demand.amount > free).then(|| Shortage {
            demand: demand.clone(),
            free,
            limit,
        })
    }
}

impl Amount {
    fn of(limit: &Value, used: &[&Value]) -> Option<Self> {
        let limit = limit.as_i64()?;
        Some(Self {
            limit: u64::try_from(limit).ok(),
            used: used.iter().filter_map(|it| it.as_u64()).sum(),
        })
    }
}

/// Cinder's bound for the size of one volume stands among its quotas.
fn is_per_item(resource: &str) -> bool {
    resource == "per_volume_gigabytes"
}

/// What was seen of other resources: the flavor of a server, the type of a volume.
pub struct Nearby<'a>(pub &'a dyn Fn(&'static str, &str) -> Option<&'a Found>);

impl<'a> Nearby<'a> {
    /// The resource of a kind with this id, if it was seen.
    #[must_use]
    pub fn get<K: Kind>(&self, id: &str) -> Option<&'a K::Object> {
        (self.0)(K::NAME, id)?.object.downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn recorded(name: &str) -> Value {
        let text = match name {
            "compute" => include_str!("testdata/limits-compute.json"),
            "volume" => include_str!("testdata/quota-volume.json"),
            _ => include_str!("testdata/quota-network.json"),
        };
        serde_json::from_str(text).unwrap()
    }

    fn amount(limits: &Limits, name: &str) -> (Option<u64>, u64) {
        let Amount { limit, used } = limits.0[name];
        (limit, used)
    }

    #[test]
    fn the_answers_of_a_real_cloud_are_understood() {
        let nova = Limits::of(Service::Compute, &recorded("compute"));
        assert_eq!(amount(&nova, "cores"), (Some(20), 0));
        assert_eq!(amount(&nova, "server_groups"), (Some(5), 0));
        assert_eq!(nova.0.len(), NOVA.len());
        let cinder = Limits::of(Service::BlockStorage, &recorded("volume"));
        assert_eq!(amount(&cinder, "gigabytes"), (Some(5), 2));
        assert_eq!(amount(&cinder, "gigabytes_lvmdriver-1"), (None, 2));
        assert_eq!(amount(&cinder, "per_volume_gigabytes"), (None, 0));
        let neutron = Limits::of(Service::Network, &recorded("network"));
        assert_eq!(amount(&neutron, "port"), (Some(20), 2));
        assert_eq!(amount(&neutron, "subnetpool"), (None, 0));
    }

    #[test]
    fn every_resource_of_the_metrics_is_told_by_a_real_cloud() {
        let mut told = Limits::of(Service::Compute, &recorded("compute")).0;
        told.extend(Limits::of(Service::BlockStorage, &recorded("volume")).0);
        told.extend(Limits::of(Service::Network, &recorded("network")).0);
        for name in RESOURCES {
            assert!(told.contains_key(name), "{name}");
        }
    }

    #[test]
    fn a_reservation_is_used_and_a_limit_of_minus_one_is_none() {
        let limits = Limits::of(
            Service::BlockStorage,
            &json!({"quota_set": {"id": "p",
                "gigabytes": {"limit": 10, "in_use": 3, "reserved": 4},
                "volumes": {"limit": -1, "in_use": 9, "reserved": 0}}}),
        );
        let demand = |name: &'static str, amount| Demand::new(Service::BlockStorage, name, amount);
        assert_eq!(limits.shortage(&demand("gigabytes", 3), 0), None);
        let short = limits.shortage(&demand("gigabytes", 3), 1).unwrap();
        assert_eq!(short.to_string(), "needs 3 gigabytes, 2 of 10 are free");
        assert_eq!(limits.shortage(&demand("volumes", 1000), 1000), None);
        assert_eq!(limits.shortage(&demand("gigabytes_unheard_of", 9), 9), None);
    }

    #[test]
    fn the_bound_of_one_volume_is_not_shared() {
        let set = json!({"per_volume_gigabytes": {"limit": 5, "in_use": 0, "reserved": 0}});
        let limits = Limits::of(Service::BlockStorage, &json!({"quota_set": set}));
        let demand = |amount| Demand::new(Service::BlockStorage, "per_volume_gigabytes", amount);
        assert_eq!(limits.shortage(&demand(5), 5), None);
        let short = limits.shortage(&demand(6), 0).unwrap().to_string();
        assert_eq!(short, "needs 6 GiB in one volume, 5 are allowed");
    }

    #[test]
    fn what_is_no_quota_is_no_limit() {
        for service in Service::ALL {
            for body in [json!(null), json!([]), json!({"quota": [], "quota_set": 3})] {
                assert_eq!(Limits::of(service, &body), Limits::default());
            }
        }
    }
}
