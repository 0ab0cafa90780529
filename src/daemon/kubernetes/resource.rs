//! The resources that are served: their names, and in which API group.
//!
//! Every object is served in the native group, whichever its manifest was written in: it is a strict
//! superset of ORC's, and who asks for `servers` means all of them. What was written in ORC's group
//! is served there as well. Only the native one is in categories, so that `get all` shows nothing
//! twice. Secrets and ConfigMaps are resources only where they can be written.

use std::sync::LazyLock;

use crate::kinds::erased::AnyKind;
use crate::kinds::{self, schema};
use crate::manifest::Group;

/// The version of every group.
pub(super) const VERSION: &str = "v1alpha1";
/// The kind of what happened to an object.
pub(super) const EVENT: &str = "Event";
/// The kind of what objects have their names in.
pub(super) const NAMESPACE: &str = "Namespace";

/// One resource in one group.
#[derive(Debug)]
pub(super) struct Resource {
    /// The group that it is served in.
    pub(super) group: Group,
    /// `Server`.
    pub(super) kind: &'static str,
    /// `servers`.
    pub(super) plural: String,
    /// `server`.
    pub(super) singular: String,
    /// `srv`.
    pub(super) short: Vec<&'static str>,
    /// Words that stand for several resources.
    pub(super) categories: &'static [&'static str],
    /// Only namespaces are not.
    pub(super) namespaced: bool,
    /// Somebody declares it; the others are what the daemon says.
    pub(super) declared: bool,
}

/// What the API is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Looking.
    Read,
    /// Also writing.
    Write,
}

impl Access {
    /// Both.
    #[cfg(test)]
    pub(super) const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// What can be done with a resource.
    pub(super) fn verbs(self, resource: &Resource) -> &'static [&'static str] {
        match self {
            Self::Write if resource.declared => &[
                "create", "delete", "get", "list", "patch", "update", "watch",
            ],
            Self::Read | Self::Write => &["get", "list", "watch"],
        }
    }
}

static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(|| {
    let core = [(NAMESPACE, "ns", false), (EVENT, "ev", true)];
    let mut all: Vec<Resource> = core
        .into_iter()
        .map(|(kind, short, namespaced)| Resource {
            short: vec![short],
            namespaced,
            declared: false,
            ..Resource::new(Group::Core, kind)
        })
        .collect();
    for (kind, short) in [("ConfigMap", Some("cm")), ("Secret", None)] {
        all.push(Resource {
            short: short.into_iter().collect(),
            ..Resource::new(Group::Core, kind)
        });
    }
    for kind in kinds::KINDS {
        all.push(Resource {
            short: short(kind.name()).into_iter().collect(),
            categories: &["all", "openstack"],
            ..Resource::new(Group::Native, kind.name())
        });
    }
    for kind in kinds::KINDS.iter().filter(|kind| is_in_orc(**kind)) {
        all.push(Resource::new(Group::Orc, kind.name()));
    }
    all
});

/// Every resource of a group.
pub(super) fn of(group: Group, access: Access) -> impl Iterator<Item = &'static Resource> {
    RESOURCES
        .iter()
        .filter(move |it| it.group == group && (access == Access::Write || !it.is_data()))
}

/// The resource of this plural name.
pub(super) fn find(group: Group, plural: &str, access: Access) -> Option<&'static Resource> {
    of(group, access).find(|it| it.plural == plural)
}

/// The group of this name, with its version.
pub(super) fn group(name: &str, version: &str) -> Option<Group> {
    let wanted = (name, version);
    Group::ALL
        .into_iter()
        .find(|group| parts(*group) == wanted && *group != Group::Core)
}

/// Name and version of a group; the core group has no name.
pub(super) fn parts(group: Group) -> (&'static str, &'static str) {
    let version = group.api_version();
    version.split_once('/').unwrap_or(("", version))
}

impl Resource {
    fn new(group: Group, kind: &'static str) -> Self {
        let singular = kind.to_lowercase();
        Self {
            group,
            kind,
            plural: format!("{singular}s"),
            singular,
            short: Vec::new(),
            categories: &[],
            namespaced: true,
            declared: true,
        }
    }

    /// A Secret or a ConfigMap?
    pub(super) fn is_data(&self) -> bool {
        self.group == Group::Core && self.declared
    }

    /// `servers.stackward.dev`, as messages name it.
    pub(super) fn qualified(&self) -> String {
        match parts(self.group).0 {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

fn short(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "ApplicationCredential" => "appcred",
        "FloatingIP" => "fip",
        "Image" => "img",
        "KeyPair" => "kp",
        "Network" => "net",
        "Project" => "proj",
        "RouterInterface" => "rif",
        "SecurityGroup" => "sg",
        "Server" => "srv",
        "Subnet" => "sub",
        "Volume" => "vol",
        "VolumeSnapshot" => "snap",
        _ => return None,
    })
}

/// A kind whose manifests cannot be written without a field that only the native group has is none
/// of ORC's.
fn is_in_orc(kind: &dyn AnyKind) -> bool {
    let spec = kind.schemas().spec;
    let required = spec["required"].as_array();
    !required.into_iter().flatten().any(|field| {
        kind.native_fields()
            .iter()
            .any(|native| native.strip_prefix('/') == field.as_str())
    })
}

/// The schema of a resource's objects; `None` for those that no manifest declares.
pub(super) fn schema(resource: &Resource) -> Option<serde_json::Value> {
    kinds::find(resource.kind).map(schema::document)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_names_of_a_group_are_the_same() {
        for (group, access) in Group::ALL.into_iter().zip([Access::Write; 3]) {
            let mut seen = BTreeSet::new();
            for resource in of(group, access) {
                let names = [resource.plural.as_str(), resource.singular.as_str()];
                for name in names.into_iter().chain(resource.short.iter().copied()) {
                    assert!(seen.insert(name.to_owned()), "{name} twice in {group:?}");
                }
            }
        }
        assert_eq!(of(Group::Native, Access::Read).count(), kinds::KINDS.len());
    }

    #[test]
    fn what_orc_does_not_have_is_not_in_its_group() {
        assert!(find(Group::Orc, "servers", Access::Read).is_some());
        assert!(find(Group::Orc, "volumesnapshots", Access::Read).is_none());
        assert!(find(Group::Native, "volumesnapshots", Access::Read).is_some());
    }

    #[test]
    fn secrets_are_no_resource_but_where_they_can_be_written() {
        for plural in ["secrets", "configmaps"] {
            for group in Group::ALL {
                assert!(find(group, plural, Access::Read).is_none());
            }
            let found = find(Group::Core, plural, Access::Write).unwrap();
            assert!(Access::Write.verbs(found).contains(&"create"));
        }
        let events = find(Group::Core, "events", Access::Write).unwrap();
        assert!(!Access::Write.verbs(events).contains(&"create"));
    }
}
