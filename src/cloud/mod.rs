//! OpenStack over HTTP: clouds.yaml, tokens, catalog, versions, pages, uploads.
//!
//! Sends what `kinds::call` describes and says what came of it. Knows no kinds and decides nothing:
//! when to send, and what an outcome means for a resource, is the engine's.
//!
//! | file | what it is |
//! |---|---|
//! | `environment`, `settings`, `profile`, `resolve`, `credentials` | from files and variables to one cloud's settings |
//! | `transport`, `tls` | one HTTP exchange, over the network or inside the process |
//! | `wire` | common headers, repeats of reads, observation |
//! | `auth`, `token`, `catalog`, `discovery` | from settings to an address and a token |
//! | `connection`, `fault`, `page` | calls, refusals, whole lists |
//! | `upload`, `download`, `hashing` | images in constant memory |

mod auth;
mod catalog;
mod connection;
mod credentials;
mod discovery;
mod download;
pub mod environment;
mod fault;
mod hashing;
mod page;
pub mod profile;
mod resolve;
pub mod settings;
mod tls;
mod token;
pub mod transport;
pub mod upload;
pub mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;

use self::connection::Connection;
use self::discovery::Offer;
use self::profile::{ConfigError, Profile};
use self::token::Need;
use self::transport::{InProcess, Transport};
use self::upload::Progress;
use self::wire::{Observer, USUAL_CAP, Wire};
use crate::kinds::call::{Call, CallError, List, Reply, Service};

/// What may be different from the usual.
#[derive(Clone, Default)]
pub struct Options {
    /// A server inside the process instead of the network.
    pub in_process: Option<InProcess>,
    /// Is told of each HTTP exchange.
    pub observer: Option<Arc<dyn Observer>>,
    /// Deadline of a request that has none of its own; 60 s, or the profile's `api_timeout`.
    pub timeout: Option<Duration>,
    /// An upload without progress for this long is aborted; 60 s.
    pub stall: Option<Duration>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("in_process", &self.in_process.is_some())
            .field("observer", &self.observer.is_some())
            .field("timeout", &self.timeout)
            .field("stall", &self.stall)
            .finish()
    }
}

/// Whom, where and what for a cloud is used: the fingerprint of everything that is written there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Scope {
    /// Name in clouds.yaml.
    pub cloud: String,
    /// Keystone's address.
    pub auth_url: String,
    /// Region, when one is set.
    pub region: Option<String>,
    /// The user.
    pub user_id: Option<String>,
    /// The user's name.
    pub user_name: Option<String>,
    /// The project, unless the scope is a domain or the system.
    pub project_id: Option<String>,
    /// The project's name.
    pub project_name: Option<String>,
    /// The domain of a domain scope.
    pub domain_id: Option<String>,
    /// The scope is the whole system.
    pub system: bool,
    /// Each service's address as the settings or the catalog have it; those that are missing are left out.
    pub endpoints: BTreeMap<Service, String>,
}

/// What a login brought along beside the token and its [`Scope`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// When the token ends.
    pub expires: Option<Timestamp>,
    /// The names of the roles that it stands for.
    pub roles: Vec<String>,
    /// Seconds by which the cloud's clock is ahead of this machine's; `None` when it did not tell.
    pub skew: Option<i64>,
}

/// What lies behind a service's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Where its calls go, version included.
    pub url: String,
    /// The oldest and the newest microversion, where the service has them and tells.
    pub microversions: Option<((u16, u16), (u16, u16))>,
    /// The service hides its version document.
    pub guessed: bool,
}

/// One cloud in one scope. Clones share everything.
#[derive(Clone)]
pub struct Cloud(Arc<Inner>);

struct Inner {
    options: Options,
    connections: RwLock<Connections>,
}

struct Connections {
    live: Arc<Connection>,
    /// New settings that have not logged in yet.
    next: Option<Arc<Connection>>,
}

const TIMEOUT: Duration = Duration::from_secs(60);
const STALL: Duration = Duration::from_secs(60);

impl Cloud {
    /// Prepares the use of a cloud; sends nothing yet.
    ///
    /// # Errors
    ///
    /// Certificates, keys or proxies that cannot be used.
    pub fn new(profile: Profile, options: Options) -> Result<Self, ConfigError> {
        let live = Arc::new(connection(profile, &options)?);
        let connections = RwLock::new(Connections { live, next: None });
        Ok(Self(Arc::new(Inner {
            options,
            connections,
        })))
    }

    /// Sends a call. A write is sent once, and once more only when it was refused for an old token.
    ///
    /// # Errors
    ///
    /// See [`CallError`]: what is known of the call's effect.
    pub async fn send(&self, call: &Call, progress: Option<Progress>) -> Result<Reply, CallError> {
        self.connection()
            .await
            .send(call, USUAL_CAP, progress)
            .await
    }

    /// Reads a whole collection, in its own order and each item once.
    ///
    /// # Errors
    ///
    /// Any page that cannot be had is an error: a part of a list is never returned.
    pub async fn list(&self, list: &List) -> Result<Vec<Value>, CallError> {
        let items = self.list_as(list, |item| serde_json::from_str(item.get()));
        // It was found to be JSON when its page was read.
        Ok(items.await?.into_iter().flatten().collect())
    }

    /// The same, with something else for each item: what is not needed of a page is let go with it.
    ///
    /// # Errors
    ///
    /// As [`Cloud::list`].
    pub async fn list_as<T>(
        &self,
        list: &List,
        read: impl Fn(&RawValue) -> T,
    ) -> Result<Vec<T>, CallError> {
        let connection = self.connection().await;
        let mut items = Vec::new();
        for request in list.requests() {
            items.extend(page::all(&connection, &request, &read).await?);
        }
        Ok(items)
    }

    /// Logs in if need be, and says whom, where and what for.
    ///
    /// # Errors
    ///
    /// No token is to be had.
    pub async fn scope(&self) -> Result<Scope, CallError> {
        let connection = self.connection().await;
        let session = connection.session(Need::Usable).await;
        let session = session.map_err(|error| connection.scrub(error))?;
        Ok(connection.scope_of(&session))
    }

    /// The address that calls to a service start with, version included.
    ///
    /// # Errors
    ///
    /// No token, no such service, or none of a version that this program speaks.
    pub async fn endpoint(&self, service: Service) -> Result<String, CallError> {
        let connection = self.connection().await;
        let endpoint = connection.versioned(service).await;
        endpoint
            .map(String::from)
            .map_err(|error| connection.scrub(error))
    }

    /// What was found at a service's address: for people who want to know why.
    ///
    /// # Errors
    ///
    /// As [`Cloud::endpoint`].
    pub async fn behind(&self, service: Service) -> Result<Behind, CallError> {
        let connection = self.connection().await;
        let endpoint = connection.behind(service).await;
        let endpoint = endpoint.map_err(|error| connection.scrub(error))?;
        Ok(Behind {
            url: wire::place(&endpoint.base),
            microversions: match endpoint.offer {
                Offer::Range(oldest, newest) => Some((oldest, newest)),
                Offer::None | Offer::Unknown => None,
            },
            guessed: endpoint.guessed,
        })
    }

    /// What the current token brought along, if there is one.
    #[must_use]
    pub fn login(&self) -> Option<Login> {
        let session = self.live().tokens.current()?;
        Some(Login {
            expires: session.expires,
            roles: session.who.roles.clone(),
            skew: session.skew,
        })
    }

    /// When the current token ends, if there is one.
    #[must_use]
    pub fn token_expires(&self) -> Option<Timestamp> {
        self.live()
            .tokens
            .current()
            .and_then(|session| session.expires)
    }

    /// The settings in use.
    #[must_use]
    pub fn profile(&self) -> Arc<Profile> {
        Arc::clone(&self.live().profile)
    }

    /// Takes new settings. The old ones stay in use until the new ones have logged in once.
    ///
    /// # Errors
    ///
    /// As [`Cloud::new`]; then nothing changes.
    pub fn reload(&self, profile: Profile) -> Result<(), ConfigError> {
        let next = Arc::new(connection(profile, &self.0.options)?);
        let mut connections = self
            .0
            .connections
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        connections.next = Some(next);
        Ok(())
    }

    fn live(&self) -> Arc<Connection> {
        let connections = self
            .0
            .connections
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&connections.live)
    }

    /// The connection to use: the new one as soon as it has a token.
    async fn connection(&self) -> Arc<Connection> {
        let next = {
            let connections = self
                .0
                .connections
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            match &connections.next {
                None => return Arc::clone(&connections.live),
                Some(next) => Arc::clone(next),
            }
        };
        // A failure was logged there, and is not tried again at once.
        if next.session(Need::Usable).await.is_err() {
            return self.live();
        }
        let mut connections = self
            .0
            .connections
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if connections
            .next
            .as_ref()
            .is_some_and(|waiting| Arc::ptr_eq(waiting, &next))
        {
            connections.next = None;
            connections.live = Arc::clone(&next);
            tracing::info!(cloud = next.profile.name, "new credentials are in use");
        }
        next
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud")
            .field("name", &self.live().profile.name)
            .finish_non_exhaustive()
    }
}

fn connection(profile: Profile, options: &Options) -> Result<Connection, ConfigError> {
    for warning in &profile.warnings {
        tracing::warn!(
            cloud = profile.name,
            reason = warning.as_str(),
            "settings of the cloud"
        );
    }
    let transport = match &options.in_process {
        Some(service) => Transport::InProcess(service.clone()),
        None => Transport::for_profile(&profile).map_err(|message| ConfigError::Tls {
            cloud: profile.name.clone(),
            message,
        })?,
    };
    let wire = Wire {
        transport,
        observer: options.observer.clone(),
        timeout: options.timeout.or(profile.timeout).unwrap_or(TIMEOUT),
    };
    Ok(Connection {
        profile: Arc::new(profile),
        wire,
        stall: options.stall.unwrap_or(STALL),
        tokens: token::Tokens::default(),
        endpoints: discovery::Endpoints::default(),
    })
}
