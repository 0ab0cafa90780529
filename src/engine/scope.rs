//! A scope: one cloud as one project sees it, in one region. World, pace and faults are kept per
//! scope.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::kinds::call::Service;
use crate::manifest::Bytes;

/// The name of a scope: of a cloud in clouds.yaml, or `namespace/secret#cloud`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope(pub Arc<str>);

impl Scope {
    /// The scope of this name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a scope's credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The daemon's own clouds.yaml; `None` is its default cloud.
    Cloud(Option<String>),
    /// A Secret manifest that holds a clouds.yaml, as ORC has it.
    Secret {
        /// The text of clouds.yaml.
        clouds_yaml: Bytes,
        /// A bundle of certificates, if there is one.
        cacert: Option<Bytes>,
        /// Which cloud of it.
        cloud: String,
    },
}

/// What tells one scope from another, whatever it is called. When it is not what it was, somebody
/// points us at another cloud: nothing is written there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The project's id.
    pub project: String,
    /// The user's id: keypairs belong to users.
    pub user: String,
    /// The region, if the catalog has several.
    pub region: Option<String>,
    /// Keystone's address.
    pub auth_url: String,
}

impl Fingerprint {
    /// What differs, in words; `None` when nothing does.
    #[must_use]
    pub fn difference(&self, now: &Self) -> Option<String> {
        let region = |it: &Self| it.region.clone().unwrap_or_else(|| "none".to_owned());
        let rows = [
            ("project", self.project.clone(), now.project.clone()),
            ("user", self.user.clone(), now.user.clone()),
            ("region", region(self), region(now)),
            ("Keystone", self.keystone(), now.keystone()),
        ];
        let words: Vec<String> = rows
            .iter()
            .filter(|(_, was, is)| was != is)
            .map(|(what, was, is)| format!("{what} was {was} and is now {is}"))
            .collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// Why an id that `service` gave there means nothing here, in words; `None` when it may be
    /// known here as well, as that of a network that another project shares.
    #[must_use]
    pub fn apart(&self, there: &Self, service: Service) -> Option<String> {
        let (here, other) = (self.keystone(), there.keystone());
        if here != other {
            return Some(format!("its Keystone is {other} and not {here}"));
        }
        // Keystone's own resources are the same in all regions.
        match (&self.region, &there.region) {
            (Some(here), Some(other)) if here != other && service != Service::Identity => {
                Some(format!("its region is {other} and not {here}"))
            }
            _ => None,
        }
    }

    /// Keystone's address without its version: the same Keystone is written with and without.
    fn keystone(&self) -> String {
        let address = self.auth_url.trim_end_matches('/');
        let versions = ["/v3", "/v2.0"];
        let found = versions.iter().find_map(|it| address.strip_suffix(it));
        found.unwrap_or(address).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(auth_url: &str, region: Option<&str>) -> Fingerprint {
        Fingerprint {
            project: "p".to_owned(),
            user: "u".to_owned(),
            region: region.map(str::to_owned),
            auth_url: auth_url.to_owned(),
        }
    }

    #[test]
    fn ids_are_known_within_a_keystone_and_but_for_its_own_within_a_region() {
        let here = of("https://k:5000/v3", Some("one"));
        for (there, of_nova, of_keystone) in [
            (of("https://k:5000/v3", Some("one")), true, true),
            (of("https://k:5000/", Some("one")), true, true),
            (of("https://k:5000", None), true, true),
            (of("https://k:5000/v3", Some("two")), false, true),
            (of("https://l:5000/v3", Some("one")), false, false),
        ] {
            let known = |service| here.apart(&there, service).is_none();
            assert_eq!(known(Service::Compute), of_nova, "{there:?}");
            assert_eq!(known(Service::Identity), of_keystone, "{there:?}");
        }
    }

    #[test]
    fn the_version_in_keystones_address_makes_no_other_cloud() {
        let (with, without) = (
            of("https://k/identity/v3", None),
            of("https://k/identity", None),
        );
        assert_eq!(with.difference(&without), None);
        let other = of("https://k/other", None);
        assert_eq!(
            with.difference(&other).unwrap(),
            "Keystone was https://k/identity and is now https://k/other"
        );
    }
}
