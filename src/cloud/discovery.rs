//! What lies behind an endpoint of the catalog: the address of the API version that this program
//! speaks, and the microversions it offers.
//!
//! Catalogs hold versioned and unversioned addresses, version documents hold links of hosts that only
//! the inside of the cloud knows, and proxies hide the documents. Only paths are taken from documents.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::HeaderValue;
use reqwest::Url;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::fault;
use super::transport::Answer;
use super::wire::{Ask, Wire, place};
use crate::kinds::call::{CallError, Microversion, Service};

/// Where requests to a service go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Versioned, without a slash at its end.
    pub(super) base: Url,
    pub(super) offer: Offer,
    /// The documents were hidden.
    pub(super) guessed: bool,
}

/// The microversions of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// The document is hidden.
    Unknown,
    /// The API is older than microversions.
    None,
    /// From and to.
    Range((u16, u16), (u16, u16)),
}

/// The endpoints found so far. They outlive tokens, and are asked for by one task at a time.
#[derive(Default)]
pub(super) struct Endpoints(Mutex<HashMap<Service, Known>>);

struct Known {
    url: Url,
    since: Instant,
    found: Arc<OnceCell<Arc<Endpoint>>>,
}

/// Clouds are upgraded while this program runs.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// A document that was hidden may have been so because the token had just ended, or the service was
/// being deployed.
const GUESS_GOOD_FOR: Duration = Duration::from_secs(600);

impl Endpoints {
    /// The endpoint behind a catalog address.
    pub(super) async fn get(&self, look: Look<'_>) -> Result<Arc<Endpoint>, CallError> {
        let found = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = known
                .entry(look.service)
                .or_insert_with(|| Known::new(&look.url));
            if entry.url != look.url || entry.since.elapsed() > entry.good_for() {
                *entry = Known::new(&look.url);
            }
            Arc::clone(&entry.found)
        };
        found
            .get_or_try_init(|| async { look.discover().await.map(Arc::new) })
            .await
            .cloned()
    }

    /// Forgets what was found for a service, since it no longer seems to be so.
    pub(super) fn forget(&self, service: Service) {
        let _ = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&service);
    }
}

impl Known {
    fn new(url: &Url) -> Self {
        Self {
            url: url.clone(),
            since: Instant::now(),
            found: Arc::default(),
        }
    }

    fn good_for(&self) -> Duration {
        match self.found.get() {
            Some(found) if found.guessed => GUESS_GOOD_FOR,
            _ => GOOD_FOR,
        }
    }
}

/// One question: what is behind this address?
pub(super) struct Look<'a> {
    pub(super) wire: &'a Wire,
    pub(super) service: Service,
    pub(super) url: Url,
    pub(super) token: Option<&'a HeaderValue>,
    pub(super) project_id: Option<&'a str>,
}

/// One entry of a version document.
#[derive(Debug)]
struct Version {
    id: String,
    path: Option<String>,
    offer: Offer,
}

/// An address taken apart at its version: `/volume` + `v3` + `/{project}`.
struct Parts {
    prefix: String,
    version: Option<String>,
    suffix: String,
}

impl Look<'_> {
    async fn discover(&self) -> Result<Endpoint, CallError> {
        let parts = Parts::of(&self.url);
        let usable = parts
            .version
            .as_deref()
            .is_some_and(|version| speaks(self.service, version));
        let has_microversions = matches!(
            self.service,
            Service::Compute | Service::BlockStorage | Service::SharedFileSystem
        );
        if usable && !has_microversions {
            return Ok(Endpoint {
                base: trimmed(&self.url),
                offer: Offer::Unknown,
                guessed: false,
            });
        }
        if usable {
            let version = parts.version.as_deref().unwrap_or_default();
            // The version's own document first: it is what even a narrow proxy lets through.
            let path = format!("{}/{version}/", parts.prefix);
            let mut offer = self.offer_at(&path, version).await?;
            if offer.is_none() {
                offer = self
                    .offer_at(&format!("{}/", parts.prefix), version)
                    .await?;
            }
            let offer = offer.unwrap_or(Offer::Unknown);
            let guessed = offer == Offer::Unknown;
            return Ok(Endpoint {
                base: trimmed(&self.url),
                offer,
                guessed,
            });
        }
        if self.service == Service::Network && parts.version.is_none() {
            // There is one version, and nothing else to find out.
            let path = format!("{}/{}", parts.prefix, canonical(self.service));
            return Ok(self.endpoint(&path, &parts.suffix, Offer::Unknown));
        }
        let versions = self.versions(&format!("{}/", parts.prefix)).await?;
        let best = versions
            .iter()
            .flatten()
            .filter(|version| speaks(self.service, &version.id));
        // v2.1 before v2 of Nova; among Glance's v2.x any will do, they share a path.
        let best = best.max_by_key(|version| {
            (
                canonical(self.service) == major(&version.id),
                version.offer != Offer::None,
            )
        });
        match (best, &versions, &parts.version) {
            (Some(version), _, _) => {
                let path = version
                    .path
                    .clone()
                    .filter(|path| path.starts_with(&parts.prefix));
                let own = format!(
                    "{}/{}",
                    parts.prefix,
                    canonical_of(self.service, &version.id)
                );
                let path = path
                    .filter(|path| Parts::of_path(path).version.is_some())
                    .unwrap_or(own);
                Ok(self.endpoint(&path, &parts.suffix, version.offer))
            }
            (None, Some(versions), _) if !versions.is_empty() => {
                let ids: Vec<_> = versions.iter().map(|version| version.id.as_str()).collect();
                Err(CallError::NotSent {
                    message: format!(
                        "the {} service at {} does not offer {}; it has: {}",
                        self.service,
                        place(&self.url),
                        canonical(self.service),
                        ids.join(", ")
                    ),
                    hint: Some("this program needs a newer API than this cloud has".to_owned()),
                })
            }
            // An older version is in the address, and what else there is cannot be seen: as it is.
            (None, _, Some(_)) if self.service == Service::Compute => Ok(Endpoint {
                base: trimmed(&self.url),
                offer: Offer::None,
                guessed: true,
            }),
            (None, _, _) => {
                let path = format!("{}/{}", parts.prefix, canonical(self.service));
                Ok(self.endpoint(&path, &parts.suffix, Offer::Unknown))
            }
        }
    }

    fn endpoint(&self, path: &str, suffix: &str, offer: Offer) -> Endpoint {
        let mut base = self.url.clone();
        let mut path = path.trim_end_matches('/').to_owned();
        path.push_str(suffix);
        // Cinder can do without the project in its path since 3.67 only.
        let needs_project = self.service == Service::BlockStorage
            && suffix.is_empty()
            && !matches!(offer, Offer::Range(_, newest) if newest >= (3, 67));
        if let (true, Some(project)) = (needs_project, self.project_id) {
            path.push('/');
            path.push_str(project);
        }
        base.set_path(&path);
        Endpoint {
            base: trimmed(&base),
            offer,
            guessed: offer == Offer::Unknown,
        }
    }

    async fn offer_at(&self, path: &str, version: &str) -> Result<Option<Offer>, CallError> {
        let versions = self.versions(path).await?;
        let same = |found: &&Version| {
            // Manila calls v2.0 what stands as v2 in its address; Nova's v2 is another API.
            let manila = self.service == Service::SharedFileSystem && version == "v2";
            found.id == version
                || (major(&found.id) == major(version) && version != "v2")
                || (manila && speaks(self.service, &found.id))
        };
        Ok(versions
            .iter()
            .flatten()
            .find(same)
            .map(|found| found.offer))
    }

    /// The version document of a path; `None` when it is hidden.
    async fn versions(&self, path: &str) -> Result<Option<Vec<Version>>, CallError> {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(None);
        let answer = self.ask(&url, None).await?;
        // Version documents need no token, except where somebody thought that they should.
        let answer = match (answer.status, self.token) {
            (401 | 403, Some(token)) => self.ask(&url, Some(token)).await?,
            _ => answer,
        };
        match answer.status {
            200 | 300 => Ok(documents(&answer)),
            429 | 500..=599 => Err(fault::refused(
                self.service,
                "the question for its versions",
                &answer,
            )),
            _ => Ok(None),
        }
    }

    async fn ask(&self, url: &Url, token: Option<&HeaderValue>) -> Result<Answer, CallError> {
        let ask = Ask::get(self.service, "/", url.clone()).token(token);
        let outcome = self.wire.ask(ask).await;
        outcome.map_err(|failure| fault::failed(self.service, "GET /", &place(url), failure))
    }
}

impl Parts {
    fn of(url: &Url) -> Self {
        Self::of_path(url.path())
    }

    fn of_path(path: &str) -> Self {
        let segments: Vec<&str> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        let joined = |segments: &[&str]| {
            segments
                .iter()
                .fold(String::new(), |path, segment| path + "/" + segment)
        };
        match segments.iter().position(|segment| is_version(segment)) {
            Some(at) => Self {
                prefix: joined(&segments[..at]),
                version: Some(segments[at].to_owned()),
                suffix: joined(&segments[at + 1..]),
            },
            None => Self {
                prefix: joined(&segments),
                version: None,
                suffix: String::new(),
            },
        }
    }
}

/// Reads `{"versions": [...]}`, Keystone's `{"versions": {"values": [...]}}` and `{"version": {...}}`.
fn documents(answer: &Answer) -> Option<Vec<Version>> {
    let json: Value = serde_json::from_slice(&answer.body).ok()?;
    let list = json["versions"]
        .as_array()
        .or_else(|| json["versions"]["values"].as_array());
    match (list, json["version"].as_object()) {
        (Some(list), _) => Some(list.iter().filter_map(document).collect()),
        (None, Some(_)) => Some(document(&json["version"]).into_iter().collect()),
        (None, None) => None,
    }
}

fn document(json: &Value) -> Option<Version> {
    let id = json["id"].as_str()?.to_owned();
    let path = json["links"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|link| link["rel"] == "self")
        .and_then(|link| link["href"].as_str())
        .and_then(|href| Url::parse(href).ok())
        .map(|url| url.path().trim_end_matches('/').to_owned());
    let newest = json["version"]
        .as_str()
        .or_else(|| json["max_version"].as_str());
    let offer = match (
        json["min_version"].as_str().and_then(numbers),
        newest.and_then(numbers),
    ) {
        (Some(oldest), Some(newest)) => Offer::Range(oldest, newest),
        _ => Offer::None,
    };
    Some(Version { id, path, offer })
}

fn numbers(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn is_version(segment: &str) -> bool {
    let Some(number) = segment.strip_prefix('v') else {
        return false;
    };
    let mut parts = number.splitn(2, '.');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.next().is_some_and(digits) && parts.next().is_none_or(digits)
}

/// `v2.1` of `v2.1`, `v2` of `v2.15` and `v3` of `v3.0`: what stands in paths, except that Nova's v2.1
/// and v2 differ and Neutron writes v2.0.
fn major(id: &str) -> &str {
    match id {
        "v2.1" | "v2.0" => id,
        _ => id.split_once('.').map_or(id, |(major, _)| major),
    }
}

/// The version that this program speaks.
const fn canonical(service: Service) -> &'static str {
    match service {
        Service::Identity | Service::BlockStorage => "v3",
        Service::Image | Service::SharedFileSystem => "v2",
        Service::Compute => "v2.1",
        Service::Network => "v2.0",
    }
}

fn canonical_of(service: Service, id: &str) -> &str {
    match service {
        Service::Compute => major(id),
        _ => canonical(service),
    }
}

fn speaks(service: Service, id: &str) -> bool {
    match service {
        Service::Identity => matches!(id, "v2.0") || major(id) == "v3",
        Service::Image | Service::SharedFileSystem => id == "v2" || id.starts_with("v2."),
        Service::Compute => id == "v2.1",
        Service::BlockStorage => major(id) == "v3",
        Service::Network => matches!(id, "v2.0" | "v2"),
    }
}

fn trimmed(url: &Url) -> Url {
    let mut url = url.clone();
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url.set_query(None);
    url
}

/// The microversion to send, if any: the newest that both sides know.
pub(super) fn negotiate(
    wanted: Microversion,
    offer: Offer,
    service: Service,
) -> Result<Option<(u16, u16)>, String> {
    let Microversion { want, floor } = wanted;
    let shown = |(major, minor): (u16, u16)| format!("{major}.{minor}");
    match offer {
        // Hidden: the oldest version that means the same is the one that most clouds have.
        Offer::Unknown => Ok(Some(floor)),
        Offer::None if floor <= oldest(service) => Ok(None),
        Offer::None => Err(format!(
            "the {service} service has no microversions, and this request needs {}",
            shown(floor)
        )),
        Offer::Range(least, most) => {
            let version = want.min(most);
            if version < floor || version < least {
                Err(format!(
                    "the {service} service offers microversions {} to {}, and this request needs {} to {}",
                    shown(least),
                    shown(most),
                    shown(floor),
                    shown(want)
                ))
            } else {
                Ok(Some(version))
            }
        }
    }
}

const fn oldest(service: Service) -> (u16, u16) {
    match service {
        Service::BlockStorage | Service::Identity => (3, 0),
        Service::Compute => (2, 1),
        Service::Image | Service::Network | Service::SharedFileSystem => (2, 0),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const COMPUTE: Service = Service::Compute;

    fn wanted(want: (u16, u16), floor: (u16, u16)) -> Microversion {
        Microversion { want, floor }
    }

    #[test]
    fn the_newest_microversion_that_both_know_is_sent() {
        let offer = Offer::Range((2, 1), (2, 79));
        assert_eq!(
            negotiate(wanted((2, 96), (2, 1)), offer, COMPUTE),
            Ok(Some((2, 79)))
        );
        assert_eq!(
            negotiate(wanted((2, 60), (2, 1)), offer, COMPUTE),
            Ok(Some((2, 60)))
        );
        assert_eq!(
            negotiate(wanted((2, 96), (2, 1)), Offer::None, COMPUTE),
            Ok(None)
        );
        assert_eq!(
            negotiate(wanted((2, 96), (2, 19)), Offer::Unknown, COMPUTE),
            Ok(Some((2, 19)))
        );
    }

    #[test]
    fn a_request_that_the_cloud_is_too_old_or_too_new_for_is_refused_in_clear_words() {
        let old = negotiate(
            wanted((2, 96), (2, 90)),
            Offer::Range((2, 1), (2, 79)),
            COMPUTE,
        );
        let old = old.unwrap_err();
        assert!(old.contains("offers microversions 2.1 to 2.79"), "{old}");
        assert!(old.contains("needs 2.90 to 2.96"), "{old}");
        assert!(
            negotiate(
                wanted((2, 5), (2, 1)),
                Offer::Range((2, 50), (2, 99)),
                COMPUTE
            )
            .is_err()
        );
        assert!(negotiate(wanted((2, 96), (2, 19)), Offer::None, COMPUTE).is_err());
    }

    #[test]
    fn an_address_is_taken_apart_at_its_version() {
        let parts = |url: &str| {
            let Parts {
                prefix,
                version,
                suffix,
            } = Parts::of(&Url::parse(url).unwrap());
            (prefix, version.unwrap_or_default(), suffix)
        };
        let expected = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(
            parts("http://h/volume/v3/abc"),
            expected("/volume", "v3", "/abc")
        );
        assert_eq!(parts("http://h:8774/v2.1"), expected("", "v2.1", ""));
        assert_eq!(parts("http://h/image/"), expected("/image", "", ""));
        assert_eq!(parts("http://h/vpc/v2.0/"), expected("/vpc", "v2.0", ""));
    }
}
