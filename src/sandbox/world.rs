//! The pure core: all state of the simulated cloud, the passing of its time, and the way of a request through it.
//!
//! No clock, no socket, no thread-local randomness: `now` comes with each request, chance comes from the seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::compute::{Compute, ServerEvent};
use super::fault::{Faults, Verdict};
use super::identity::Identity;
use super::image::{ImageEvent, Images};
use super::json::is_uuid;
use super::network::Network;
use super::options::Options;
use super::pace::{Spread, Turns};
use super::quota::Overrides;
use super::request::{Payload, Request};
use super::response::{Delivery, Response};
use super::share::Shares;
use super::volume::{VolumeEvent, Volumes};

/// A simulated cloud.
///
/// ```
/// use stackward::sandbox::{Options, Request, World};
/// let mut world = World::new(Options::default(), "2026-01-01T00:00:00Z".parse().unwrap());
/// let answer = world.handle(&Request::get("/identity/v3"), "2026-01-01T00:00:01Z".parse().unwrap());
/// assert_eq!(answer.status, 200);
/// ```
#[derive(Debug, Clone)]
pub struct World {
    pub(super) now: Timestamp,
    pub(super) options: Arc<Options>,
    pub(super) identity: Identity,
    pub(super) images: Images,
    pub(super) volumes: Volumes,
    pub(super) compute: Compute,
    pub(super) network: Network,
    pub(super) shares: Shares,
    pub(super) overrides: Overrides,
    /// Faults that are to happen.
    pub faults: Faults,
    rng: fastrand::Rng,
    turns: Turns,
    sequence: u64,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    counts: BTreeMap<(String, String, String), u64>,
}

/// Who asks: the user, project and role behind a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub user_id: String,
    /// User name.
    pub user_name: String,
    /// Project id; empty without project scope.
    pub project_id: String,
    /// Whether the role `admin` is held.
    pub admin: bool,
}

/// How often a route was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestCount {
    /// HTTP method.
    pub method: String,
    /// First path segment: `compute`, `image`, ...
    pub service: String,
    /// The rest of the path, with ids replaced by `{id}`.
    pub route: String,
    /// Number of requests.
    pub count: u64,
}

/// Something that happens later by itself.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Image(String, ImageEvent),
    Volume(String, VolumeEvent),
    Server(String, ServerEvent),
}

impl World {
    /// A cloud with its first users, flavors, networks and volume types.
    #[must_use]
    pub fn new(options: Options, now: Timestamp) -> Self {
        let mut world = Self {
            now,
            rng: fastrand::Rng::with_seed(options.seed),
            options: Arc::new(options),
            identity: Identity::default(),
            images: Images::default(),
            volumes: Volumes::default(),
            compute: Compute::default(),
            network: Network::default(),
            shares: Shares::default(),
            overrides: Overrides::default(),
            faults: Faults::default(),
            turns: Turns::default(),
            sequence: 0,
            agenda: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        world.found_identity();
        world.found_volumes();
        world.found_compute();
        world.found_network();
        world
    }

    /// Answers one request at the given time. Time never runs backwards: an earlier `now` counts as no progress.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Response {
        self.advance(now);
        let service = self.count(request);
        let latency = self
            .options
            .pace
            .delay(&service, self.now, &mut self.turns, &mut self.rng);
        let mut response = self.answer(request);
        response.delay += latency;
        response
    }

    fn answer(&mut self, request: &Request) -> Response {
        match self.faults.judge(request) {
            Verdict::Pass => self.route(request),
            Verdict::Instead(response) => {
                self.abandon_upload(request);
                response
            }
            Verdict::Stale(snapshot, after) => {
                let mut old = (*snapshot).clone();
                old.now = self.now;
                old.identity = self.identity.clone();
                after.apply(old.route(request))
            }
            Verdict::After(after) => {
                let response = self.route(request);
                after.apply(response)
            }
        }
    }

    /// Lets everything happen that is due by `now`.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            match event {
                Event::Image(id, event) => self.image_event(&id, event),
                Event::Volume(id, event) => self.volume_event(&id, event),
                Event::Server(id, event) => self.server_event(&id, event),
            }
        }
        self.now = self.now.max(now);
    }

    /// When the next thing happens by itself, if anything does.
    #[must_use]
    pub fn next_event(&self) -> Option<Timestamp> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// How often each route was asked, sorted by service and route.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestCount> {
        self.counts
            .iter()
            .map(|((service, route, method), count)| RequestCount {
                method: method.clone(),
                service: service.clone(),
                route: route.clone(),
                count: *count,
            })
            .collect()
    }

    /// Forgets the counts.
    pub fn reset_requests(&mut self) {
        self.counts.clear();
    }

    /// The options this world was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Changes an option of the running cloud (quotas, page sizes, device names, ...).
    pub fn set_options(&mut self, change: impl FnOnce(&mut Options)) {
        change(Arc::make_mut(&mut self.options));
    }

    /// A frozen copy without faults, for lists that lag behind.
    pub(super) fn frozen(&self) -> Arc<Self> {
        Arc::new(Self {
            faults: Faults::default(),
            agenda: BTreeMap::new(),
            ..self.clone()
        })
    }

    /// Puts something on the agenda, `millis` realistic milliseconds from now.
    pub(super) fn after(&mut self, millis: u64, event: Event) {
        self.later(self.options.clock.scale(millis), event);
    }

    /// Puts something on the agenda: after a time that was chosen, or else `millis` by the clock.
    pub(super) fn after_chosen(&mut self, chosen: Option<Spread>, millis: u64, event: Event) {
        let pause = match chosen {
            Some(spread) => spread.draw(&mut self.rng),
            None => self.options.clock.scale(millis),
        };
        self.later(pause, event);
    }

    fn later(&mut self, pause: Duration, event: Event) {
        let pause = SignedDuration::try_from(pause).unwrap_or_default();
        let at = self.now.checked_add(pause).unwrap_or(self.now);
        let sequence = self.next_sequence();
        self.agenda.insert((at, sequence), event);
    }

    /// A number that grows: the order in which things were made.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// A number below `bound`.
    pub(super) fn chance(&mut self, bound: u64) -> u64 {
        self.rng.u64(0..bound.max(1))
    }

    /// A random UUID with dashes.
    pub(super) fn new_uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes())
            .into_uuid()
            .to_string()
    }

    /// A random UUID as Keystone writes it.
    pub(super) fn new_hex(&mut self) -> String {
        format!("{:032x}", self.rng.u128(..))
    }

    /// An absolute URL under the sandbox's root.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.options.base_url)
    }

    /// Counts a request and says which service it is for.
    fn count(&mut self, request: &Request) -> String {
        let (service, route) = route_of(&request.path);
        let key = (service.clone(), route, request.method.to_string());
        *self.counts.entry(key).or_insert(0) += 1;
        service
    }

    fn route(&mut self, request: &Request) -> Response {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let request_id = format!("req-{}", self.new_uuid());
        let mut response = match segments.as_slice() {
            ["identity", rest @ ..] => self.identity_route(request, rest),
            ["image", rest @ ..] => self.image_route(request, rest),
            ["volume", rest @ ..] => self.volume_route(request, rest),
            ["compute", rest @ ..] => self
                .compute_route(request, rest)
                .with("X-Compute-Request-Id", &request_id),
            ["network", rest @ ..] => self.network_route(request, rest),
            ["share", rest @ ..] => self
                .share_route(request, rest)
                .with("X-Compute-Request-Id", &request_id),
            _ => Response::json(
                404,
                json!({"error": {"code": 404, "title": "Not Found",
                "message": "the sandbox serves /identity, /image, /volume, /compute, /network, /share"}}),
            ),
        };
        response
            .headers
            .push(("X-Openstack-Request-Id", request_id));
        response
    }

    /// An upload whose request a fault swallowed leaves no trace.
    fn abandon_upload(&mut self, request: &Request) {
        if matches!(request.body, Payload::Upload(_)) {
            self.abort_upload(request);
        }
    }
}

impl Response {
    /// Whether the client gets to see it.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.delivery == Delivery::Whole
    }
}

/// Service and route of a path: ids and names that users chose become placeholders.
pub(super) fn route_of(path: &str) -> (String, String) {
    let mut segments = path.split('/').filter(|s| !s.is_empty());
    let service = segments.next().unwrap_or("").to_owned();
    let mut route = String::new();
    let mut previous = "";
    for segment in segments {
        route.push('/');
        let placeholder = match previous {
            "os-keypairs" => Some("{name}"),
            "metadata" => Some("{key}"),
            "tags" => Some("{tag}"),
            "flavors" | "types" | "os-quota-sets" | "quotas" if segment != "detail" => Some("{id}"),
            _ if is_uuid(segment) => Some("{id}"),
            _ => None,
        };
        route.push_str(placeholder.unwrap_or(segment));
        previous = segment;
    }
    (service, route)
}
