//! A path to what it asks for.

use percent_encoding::percent_decode_str;

use crate::manifest::Group;

use super::failure::Failure;
use super::resource::{self, Access, Resource, parts};

/// What a path asks for.
#[derive(Debug)]
pub(super) enum Route {
    /// `/version`
    Version,
    /// `/api`: the versions of the core group.
    Api,
    /// `/apis`: the other groups.
    Apis,
    /// `/apis/stackward.dev`
    Group(Group),
    /// `/api/v1`, `/apis/stackward.dev/v1alpha1`: the resources of a group.
    Resources(Group),
    /// `/openapi/v3`: which documents there are.
    OpenApi,
    /// `/openapi/v3/apis/stackward.dev/v1alpha1`
    Document(Group),
    /// Objects.
    Objects(Selection),
}

/// Objects of one resource: all, those of a namespace, or one.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    /// Of which resource.
    pub(super) resource: &'static Resource,
    /// In this namespace only.
    pub(super) namespace: Option<String>,
    /// This one only.
    pub(super) name: Option<String>,
}

impl Route {
    /// Reads a path.
    ///
    /// # Errors
    /// There is nothing.
    pub(super) fn of(path: &str, access: Access) -> Result<Self, Failure> {
        let decoded: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8().map(String::from))
            .collect::<Result<_, _>>()
            .map_err(|_| Failure::no_such_path())?;
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let found = match parts[..] {
            ["version"] => Some(Self::Version),
            ["api"] => Some(Self::Api),
            ["apis"] => Some(Self::Apis),
            ["openapi", "v3"] => Some(Self::OpenApi),
            ["openapi", "v3", "api", "v1"] => Some(Self::Document(Group::Core)),
            ["openapi", "v3", "apis", name, version] => {
                resource::group(name, version).map(Self::Document)
            }
            ["api", "v1"] => Some(Self::Resources(Group::Core)),
            ["apis", name] => resource::group(name, resource::VERSION).map(Self::Group),
            ["apis", name, version] => resource::group(name, version).map(Self::Resources),
            ["api", "v1", ref rest @ ..] => {
                Selection::of(Group::Core, rest, access).map(Self::Objects)
            }
            ["apis", name, version, ref rest @ ..] => resource::group(name, version)
                .and_then(|group| Selection::of(group, rest, access))
                .map(Self::Objects),
            _ => None,
        };
        found.ok_or_else(Failure::no_such_path)
    }
}

impl Selection {
    fn of(group: Group, rest: &[&str], access: Access) -> Option<Self> {
        let (plural, namespace, name) = match *rest {
            [plural] => (plural, None, None),
            // A namespace itself, which is in none.
            ["namespaces", name] => ("namespaces", None, Some(name)),
            ["namespaces", namespace, plural] => (plural, Some(namespace), None),
            ["namespaces", namespace, plural, name] => (plural, Some(namespace), Some(name)),
            _ => return None,
        };
        let resource = resource::find(group, plural, access)?;
        let fits = resource.namespaced || namespace.is_none();
        fits.then(|| Self {
            resource,
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
        })
    }
}

/// The path of a group's resources: `/apis/stackward.dev/v1alpha1`.
pub(super) fn path(group: Group) -> String {
    match parts(group) {
        ("", version) => format!("/api/{version}"),
        (name, version) => format!("/apis/{name}/{version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(path: &str) -> Option<(String, Option<String>, Option<String>)> {
        match Route::of(path, Access::Read) {
            Ok(Route::Objects(it)) => Some((it.resource.qualified(), it.namespace, it.name)),
            _ => None,
        }
    }

    #[test]
    fn a_path_names_a_resource_a_namespace_and_an_object() {
        let own = |text: &str| Some(text.to_owned());
        for (path, resource, namespace, name) in [
            ("/api/v1/namespaces", "namespaces", None, None),
            ("/api/v1/namespaces/a", "namespaces", None, own("a")),
            ("/api/v1/events", "events", None, None),
            ("/api/v1/namespaces/a/events", "events", own("a"), None),
            (
                "/apis/stackward.dev/v1alpha1/servers",
                "servers.stackward.dev",
                None,
                None,
            ),
            (
                "/apis/openstack.k-orc.cloud/v1alpha1/namespaces/a/servers/b%2Ec/",
                "servers.openstack.k-orc.cloud",
                own("a"),
                own("b.c"),
            ),
        ] {
            assert_eq!(objects(path), Some((resource.to_owned(), namespace, name)));
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in [
            "/api/v2",
            "/api/v1/secrets",
            "/api/v1/namespaces/a/secrets",
            "/api/v1/namespaces/a/namespaces",
            "/apis/stackward.dev/v1",
            "/apis/apps/v1/deployments",
            "/apis/v1/v1",
            "/apis//v1/events",
            "/apis/stackward.dev/v1alpha1/servers/db",
            "/apis/stackward.dev/v1alpha1/namespaces/a/servers/b/status",
            "/apis/stackward.dev/v1alpha1/namespaces/a/servers/%ff",
            "/openapi/v2",
            "//",
        ] {
            assert!(Route::of(path, Access::Read).is_err(), "{path}");
        }
    }
}
