//! The service catalog: which endpoint of which service belongs to a scope.
//!
//! What lies behind an endpoint (versions) is found out in `discovery`.

use reqwest::Url;
use serde_json::Value;

use super::profile::Profile;
use crate::kinds::call::Service;

/// Every endpoint that the token's scope has.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Catalog(Vec<Entry>);

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    kind: String,
    name: String,
    interface: String,
    region: Option<String>,
    region_id: Option<String>,
    url: String,
}

/// Why the catalog has no endpoint for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoEndpoint {
    pub(super) message: String,
    pub(super) hint: String,
}

/// The names under which a service may be in a catalog or in clouds.yaml, official type first, then in
/// the order of the service-types authority.
pub(super) const fn aliases(service: Service) -> &'static [&'static str] {
    match service {
        Service::Identity => &["identity", "keystone"],
        Service::Image => &["image", "glance"],
        Service::Compute => &["compute", "nova"],
        Service::BlockStorage => &[
            "block-storage",
            "block-store",
            "volumev3",
            "volumev2",
            "volume",
            "cinder",
        ],
        Service::Network => &["network", "neutron"],
        // `share` was the type of v1, and is that of v2 in clouds that never had v1.
        Service::SharedFileSystem => &["shared-file-system", "sharev2", "share", "manila"],
    }
}

impl Catalog {
    /// Reads `token.catalog` of v3.
    pub(super) fn of_v3(catalog: &Value) -> Self {
        let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
        let mut entries = Vec::new();
        for service in catalog.as_array().into_iter().flatten() {
            for endpoint in service["endpoints"].as_array().into_iter().flatten() {
                entries.push(Entry {
                    kind: text(service, "type").unwrap_or_default(),
                    name: text(service, "name").unwrap_or_default(),
                    interface: text(endpoint, "interface").unwrap_or_default(),
                    region: text(endpoint, "region"),
                    region_id: text(endpoint, "region_id"),
                    url: text(endpoint, "url").unwrap_or_default(),
                });
            }
        }
        Self(entries)
    }

    /// Reads `access.serviceCatalog` of v2.0, whose endpoints have one address per interface.
    pub(super) fn of_v2(catalog: &Value) -> Self {
        let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
        let mut entries = Vec::new();
        for service in catalog.as_array().into_iter().flatten() {
            for endpoint in service["endpoints"].as_array().into_iter().flatten() {
                for interface in ["public", "internal", "admin"] {
                    let Some(url) = text(endpoint, &format!("{interface}URL")) else {
                        continue;
                    };
                    entries.push(Entry {
                        kind: text(service, "type").unwrap_or_default(),
                        name: text(service, "name").unwrap_or_default(),
                        interface: interface.to_owned(),
                        region: text(endpoint, "region"),
                        region_id: None,
                        url,
                    });
                }
            }
        }
        Self(entries)
    }

    /// The address of a service for this profile.
    pub(super) fn find(&self, service: Service, profile: &Profile) -> Result<Url, NoEndpoint> {
        let settings = profile.service(service);
        let wanted: Vec<&str> = match &settings.service_type {
            Some(one) => vec![one],
            None => aliases(service).to_vec(),
        };
        let named = |entry: &&Entry| match &settings.name {
            Some(name) => entry.name == *name,
            None => true,
        };
        // Types in the authority's order; one that is plainly an older API comes after all others.
        let mut found: Vec<&Entry> = Vec::new();
        for kind in &wanted {
            found.extend(
                self.0
                    .iter()
                    .filter(|entry| entry.kind == *kind)
                    .filter(named),
            );
        }
        found.sort_by_key(|entry| service == Service::BlockStorage && is_old_volume(&entry.url));
        let region = settings.region.as_ref().or(profile.region.as_ref());
        let in_region = |entry: &&&Entry| match region {
            None => true,
            Some(_) => entry.region.as_ref() == region || entry.region_id.as_ref() == region,
        };
        let here: Vec<_> = found.iter().filter(in_region).collect();
        let interfaces = settings.interfaces.as_ref().unwrap_or(&profile.interfaces);
        let best = interfaces
            .iter()
            .find_map(|interface| here.iter().find(|entry| entry.interface == *interface));
        match best {
            Some(entry) => Url::parse(&entry.url).map_err(|error| NoEndpoint {
                message: format!(
                    "the catalog's address of the {service} service is no URL ({error}): {}",
                    entry.url
                ),
                hint: format!(
                    "tell the cloud's operator, or set {}",
                    override_key(service)
                ),
            }),
            None => Err(self.explain(service, &wanted, &found, here.is_empty(), profile)),
        }
    }

    fn explain(
        &self,
        service: Service,
        wanted: &[&str],
        found: &[&Entry],
        no_region: bool,
        profile: &Profile,
    ) -> NoEndpoint {
        let cloud = &profile.name;
        if found.is_empty() {
            let kinds = unique(self.0.iter().map(|entry| entry.kind.as_str()));
            let message = if kinds.is_empty() {
                format!("the catalog of cloud `{cloud}` is empty, so it has no {service} service")
            } else {
                let named = profile.service(service).name;
                let named = named.map_or_else(String::new, |name| format!(" named `{name}`"));
                format!(
                    "cloud `{cloud}` has no {service} service{named}; its catalog has: {}",
                    kinds.join(", ")
                )
            };
            let hint = if kinds.is_empty() {
                "the token has no scope: set `project_name` or `project_id`".to_owned()
            } else {
                format!(
                    "looked for {}; set {} if it is elsewhere",
                    wanted.join(", "),
                    override_key(service)
                )
            };
            return NoEndpoint { message, hint };
        }
        let regions = unique(found.iter().filter_map(|entry| entry.region.as_deref()));
        let settings = profile.service(service);
        let region = settings
            .region
            .or_else(|| profile.region.clone())
            .unwrap_or_default();
        if no_region {
            return NoEndpoint {
                message: format!(
                    "the {service} service of cloud `{cloud}` is not in region `{region}`"
                ),
                hint: format!(
                    "the regions there are: {} (case matters)",
                    regions.join(", ")
                ),
            };
        }
        let interfaces = unique(found.iter().map(|entry| entry.interface.as_str()));
        NoEndpoint {
            message: format!(
                "the {service} service of cloud `{cloud}` has no {} endpoint",
                profile.interfaces.join(" or ")
            ),
            hint: format!("the interfaces there are: {}", interfaces.join(", ")),
        }
    }
}

fn unique<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut words: Vec<_> = words.collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn override_key(service: Service) -> String {
    format!("`{}_endpoint_override`", service.as_str().replace('-', "_"))
}

fn is_old_volume(url: &str) -> bool {
    url.split('/')
        .any(|segment| matches!(segment, "v1" | "v2" | "v1.0" | "v2.0"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cloud::environment::Environment;

    fn profile(more: &str) -> Profile {
        let text = format!(
            "clouds:\n  c:\n    auth: {{auth_url: http://192.0.2.1:5000/v3, username: u, password: p}}\n{more}"
        );
        Profile::from_clouds_yaml(&text, "c", None, &Environment::default()).unwrap()
    }

    fn service(kind: &str, url: &str) -> Value {
        let endpoint = |interface: &str, region: &str| {
            json!({"interface": interface, "region": region, "region_id": region,
                   "url": url.replace("HOST", &format!("{interface}.{region}.example").to_lowercase())})
        };
        json!({"type": kind, "name": kind, "endpoints": [
            endpoint("admin", "One"), endpoint("public", "One"), endpoint("public", "Two"),
        ]})
    }

    fn found(catalog: Value, wanted: Service, more: &str) -> Result<String, NoEndpoint> {
        Catalog::of_v3(&catalog)
            .find(wanted, &profile(more))
            .map(String::from)
    }

    #[test]
    fn the_official_type_wins_over_its_aliases_in_the_authoritys_order() {
        let all = json!([
            service("volume", "http://HOST/volume/v3"),
            service("volumev3", "http://HOST/volumev3/v3"),
            service("block-storage", "http://HOST/block-storage/v3"),
        ]);
        let url = found(all, Service::BlockStorage, "").unwrap();
        assert_eq!(url, "http://public.one.example/block-storage/v3");
    }

    #[test]
    fn an_endpoint_of_an_old_volume_api_is_taken_only_when_there_is_no_other() {
        let both = json!([
            service("volumev2", "http://HOST/v2/p"),
            service("volume", "http://HOST/v3/p")
        ]);
        let url = found(both, Service::BlockStorage, "").unwrap();
        assert_eq!(url, "http://public.one.example/v3/p");
        let old = json!([service("volumev2", "http://HOST/v2/p")]);
        assert_eq!(
            found(old, Service::BlockStorage, "").unwrap(),
            "http://public.one.example/v2/p"
        );
    }

    #[test]
    fn region_and_interface_choose_the_endpoint() {
        let one = json!([service("image", "http://HOST/")]);
        let in_two = found(one.clone(), Service::Image, "    region_name: Two\n").unwrap();
        assert_eq!(in_two, "http://public.two.example/");
        let admin = "    interface: [internal, adminURL]\n";
        assert_eq!(
            found(one.clone(), Service::Image, admin).unwrap(),
            "http://admin.one.example/"
        );
        let per_service = "    image_interface: admin\n";
        assert_eq!(
            found(one, Service::Image, per_service).unwrap(),
            "http://admin.one.example/"
        );
    }

    #[test]
    fn an_unknown_region_is_an_error_that_lists_those_there_are() {
        let error = found(
            json!([service("image", "http://HOST/")]),
            Service::Image,
            "    region_name: two\n",
        )
        .unwrap_err();
        assert!(error.message.contains("region `two`"), "{}", error.message);
        assert!(error.hint.contains("One, Two"), "{}", error.hint);
    }

    #[test]
    fn a_missing_service_is_an_error_that_names_what_there_is() {
        let error = found(
            json!([service("image", "http://HOST/")]),
            Service::Network,
            "",
        )
        .unwrap_err();
        assert!(
            error
                .message
                .contains("no network service; its catalog has: image"),
            "{error:?}"
        );
        assert!(
            error.hint.contains("network_endpoint_override"),
            "{error:?}"
        );
    }

    #[test]
    fn a_cloud_without_shares_says_so_by_the_services_official_name() {
        let error = found(
            json!([service("image", "http://HOST/")]),
            Service::SharedFileSystem,
            "",
        )
        .unwrap_err();
        let says = "no shared-file-system service";
        assert!(error.message.contains(says), "{error:?}");
        let key = "shared_file_system_endpoint_override";
        assert!(error.hint.contains(key), "{error:?}");
        let old = json!([
            service("share", "http://HOST/v1"),
            service("sharev2", "http://HOST/v2")
        ]);
        let url = found(old, Service::SharedFileSystem, "").unwrap();
        assert_eq!(url, "http://public.one.example/v2");
    }

    #[test]
    fn a_service_name_tells_two_of_one_type_apart() {
        let mut other = service("image", "http://HOST/other");
        other["name"] = json!("glare");
        let two = json!([service("image", "http://HOST/first"), other]);
        let url = found(two, Service::Image, "    image_service_name: glare\n").unwrap();
        assert_eq!(url, "http://public.one.example/other");
    }
}
