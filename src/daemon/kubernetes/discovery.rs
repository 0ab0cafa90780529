//! Discovery: which groups, versions and resources there are, one by one and all at once.

use serde_json::{Value, json};

use crate::manifest::Group;

use super::resource::{self, Access, Resource, VERSION, parts};

/// What `/version` says: the level of Kubernetes' API that is spoken, and who speaks it.
pub(super) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "32",
        "gitVersion": concat!("v1.32.0+stackward.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// The versions of the core group.
pub(super) fn core() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
    })
}

/// Every other group, the native one first: kubectl asks that one for `servers`.
pub(super) fn groups() -> Value {
    let groups: Vec<Value> = [Group::Native, Group::Orc].map(about).into();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// One group.
pub(super) fn group(group: Group) -> Value {
    let mut about = about(group);
    about["kind"] = json!("APIGroup");
    about["apiVersion"] = json!("v1");
    about
}

/// The resources of a group.
pub(super) fn resources(group: Group, access: Access) -> Value {
    let all: Vec<Value> = resource::of(group, access)
        .map(|it| {
            let mut about = json!({
                "name": it.plural,
                "singularName": it.singular,
                "namespaced": it.namespaced,
                "kind": it.kind,
                "verbs": access.verbs(it),
            });
            words(&mut about, it);
            about
        })
        .collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group.api_version(),
        "resources": all,
    })
}

/// Groups with everything in them, in one answer.
pub(super) fn all_at_once(groups: &[Group], access: Access) -> Value {
    let items: Vec<Value> = groups
        .iter()
        .map(|group| {
            let (name, version) = parts(*group);
            let resources: Vec<Value> = resource::of(*group, access)
                .map(|it| {
                    let mut about = json!({
                        "resource": it.plural,
                        "singularResource": it.singular,
                        "responseKind": {"group": name, "version": version, "kind": it.kind},
                        "scope": if it.namespaced { "Namespaced" } else { "Cluster" },
                        "verbs": access.verbs(it),
                    });
                    words(&mut about, it);
                    about
                })
                .collect();
            let metadata = match name {
                "" => json!({"creationTimestamp": null}),
                name => json!({"name": name, "creationTimestamp": null}),
            };
            json!({
                "metadata": metadata,
                "versions": [{"version": version, "resources": resources, "freshness": "Current"}],
            })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn about(group: Group) -> Value {
    let version = json!({"groupVersion": group.api_version(), "version": VERSION});
    json!({"name": parts(group).0, "versions": [version], "preferredVersion": version})
}

fn words(about: &mut Value, resource: &Resource) {
    if !resource.short.is_empty() {
        about["shortNames"] = json!(resource.short);
    }
    if !resource.categories.is_empty() {
        about["categories"] = json!(resource.categories);
    }
}
