//! What kind of cloud the sandbox plays: speed, quotas, page sizes, API ranges.

use std::collections::BTreeMap;
use std::time::Duration;

use super::pace::{Pace, Spread};

/// Everything that may be chosen about the simulated cloud.
#[derive(Debug, Clone)]
pub struct Options {
    /// How fast servers build and volumes appear.
    pub clock: Clock,
    /// All ids, addresses and build times come from this; the same history gives the same answers.
    pub seed: u64,
    /// The base of every link and catalog entry, e.g. `http://127.0.0.1:5000`. Set by [`super::Sandbox`].
    pub base_url: String,
    /// Password of every account.
    pub password: String,
    /// A one-time passcode that the `totp` method accepts, if any.
    pub passcode: Option<String>,
    /// How long a token lives.
    pub token_lifetime: Duration,
    /// Limits per project.
    pub quotas: Quotas,
    /// Sizes of list pages.
    pub pages: Pages,
    /// Ranges of microversions.
    pub microversions: Microversions,
    /// How long answers take (over HTTP; the core says it and never waits).
    pub pace: Pace,
    /// From the choice of a host until a server is ACTIVE, whatever the clock; without it 2 to 5 s by the clock.
    pub boot: Option<Spread>,
    /// From its creation until a volume is available, whatever the clock; without it 1 s by the clock.
    pub build: Option<Spread>,
    /// The biggest flavor that the only host can take: (vcpus, ram in MiB, disk in GiB).
    pub host: (u64, u64, u64),
    /// Whether the device name in an attach request is kept (as most drivers show it) or replaced by the next free one.
    pub keep_device: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::Realistic,
            seed: 1,
            base_url: "http://127.0.0.1:5000".to_owned(),
            password: "let-me-in".to_owned(),
            passcode: None,
            token_lifetime: Duration::from_secs(4 * 3600),
            quotas: Quotas::default(),
            pages: Pages::default(),
            microversions: Microversions::default(),
            pace: Pace::default(),
            boot: None,
            build: None,
            host: (160_000, 64 << 20, 10 << 20),
            keep_device: true,
        }
    }
}

/// How fast asynchronous states pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// Like a small cloud: a server is ACTIVE after 3 to 6 s, a volume available after about 1 s.
    #[default]
    Realistic,
    /// The same states in the same order, fifty times as fast.
    Fast,
}

impl Clock {
    /// A realistic duration as this clock has it.
    #[must_use]
    pub fn scale(self, millis: u64) -> Duration {
        match self {
            Self::Realistic => Duration::from_millis(millis),
            Self::Fast => Duration::from_micros(millis * 1000 / 50),
        }
    }
}

/// Limits per project by the services' own names (`instances`, `gigabytes`, `security_group_rule`, ...).
/// A name that is not listed, or -1, is unlimited.
#[derive(Debug, Clone)]
pub struct Quotas {
    /// Nova's: `instances`, `cores`, `ram`, `key_pairs`, `server_groups`, `metadata_items`.
    pub compute: BTreeMap<String, i64>,
    /// Cinder's: `volumes`, `gigabytes`, `snapshots`, also of a type (`gigabytes_lvmdriver-1`), and the bound of each
    /// volume, `per_volume_gigabytes`.
    pub volume: BTreeMap<String, i64>,
    /// Neutron's: `network`, `subnet`, `port`, `router`, `floatingip`, `security_group`,
    /// `security_group_rule`, `trunk`.
    pub network: BTreeMap<String, i64>,
    /// Manila's: `share_networks`.
    pub share: BTreeMap<String, i64>,
    /// Glance's `image_size_total` in bytes.
    pub image_bytes: Option<u64>,
}

impl Quotas {
    /// No limit at all.
    #[must_use]
    pub fn none() -> Self {
        let mut quotas = Self::default();
        let Self {
            compute,
            volume,
            network,
            share,
            image_bytes: _,
        } = &mut quotas;
        for limits in [compute, volume, network, share] {
            limits.values_mut().for_each(|limit| *limit = -1);
        }
        quotas
    }
}

impl Default for Quotas {
    fn default() -> Self {
        let map =
            |pairs: &[(&str, i64)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
        Self {
            compute: map(&[
                ("instances", 10_000),
                ("cores", 100_000),
                ("ram", 100_000_000),
                ("key_pairs", 10_000),
                ("server_groups", 1000),
                ("server_group_members", 1000),
                ("metadata_items", 128),
            ]),
            volume: map(&[
                ("volumes", 10_000),
                ("gigabytes", 10_000_000),
                ("snapshots", 10_000),
                ("per_volume_gigabytes", -1),
                ("backups", 10),
                ("backup_gigabytes", 1000),
                ("groups", 10),
            ]),
            network: map(&[
                ("network", -1),
                ("subnet", -1),
                ("subnetpool", -1),
                ("port", -1),
                ("router", -1),
                ("floatingip", -1),
                ("security_group", -1),
                ("security_group_rule", -1),
                ("rbac_policy", -1),
                ("router_route", 30),
                ("trunk", -1),
            ]),
            share: map(&[("share_networks", 10_000)]),
            image_bytes: None,
        }
    }
}

/// Sizes of list pages.
#[derive(Debug, Clone, Copy)]
pub struct Pages {
    /// Nova's `max_limit`: a longer list is cut and has a `next` link.
    pub compute: usize,
    /// Cinder's `osapi_max_limit`.
    pub volume: usize,
    /// Glance's `limit_param_default`.
    pub image: usize,
    /// Glance's `api_limit_max`.
    pub image_max: usize,
    /// Neutron's `pagination_max_limit`; without it a list is whole unless `limit` is given.
    pub network: Option<usize>,
    /// Manila's `osapi_max_limit`: a longer list is cut, without a link to the rest.
    pub share: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            compute: 1000,
            volume: 1000,
            image: 25,
            image_max: 1000,
            network: None,
            share: 1000,
        }
    }
}

/// Newest minor versions of Nova's 2.x, Cinder's 3.x and Manila's 2.x API; the oldest are 2.1, 3.0 and
/// 2.0.
#[derive(Debug, Clone, Copy)]
pub struct Microversions {
    /// Nova's newest 2.x.
    pub compute: u32,
    /// Cinder's newest 3.x.
    pub volume: u32,
    /// Manila's newest 2.x.
    pub share: u32,
}

impl Default for Microversions {
    fn default() -> Self {
        Self {
            compute: 104,
            volume: 71,
            share: 99,
        }
    }
}
