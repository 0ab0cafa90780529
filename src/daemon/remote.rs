//! The clouds as the daemon sees them, and the connections that it holds.
//!
//! Looking and writing are two traits: what is given only [`Look`] cannot change anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::engine::looked::Looked;
use crate::engine::scope::{Fingerprint, Scope, Source};
use crate::kinds::call::{Call, CallError, Get, List, Reply};

/// A cloud that can be looked at.
pub trait Look: Send + Sync {
    /// What the credentials lead to.
    fn fingerprint(&self) -> BoxFuture<'_, Result<Fingerprint, Refused>>;
    /// A whole collection as this kind understands it, or why not.
    fn list<'a>(
        &'a self,
        kind: &'static str,
        list: &'a List,
    ) -> BoxFuture<'a, Result<Looked, CallError>>;
    /// One answer.
    fn get<'a>(&'a self, get: &'a Get) -> BoxFuture<'a, Result<Reply, CallError>>;
}

/// A cloud that can be written to.
pub trait Remote: Look {
    /// Sends one request, once.
    fn send<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Reply, CallError>>;
}

/// Makes connections.
pub trait Dial: Send + Sync {
    /// Reads the credentials and gets ready to use them.
    fn dial<'a>(
        &'a self,
        scope: &'a Scope,
        source: &'a Source,
    ) -> BoxFuture<'a, Result<Arc<dyn Remote>, Refused>>;
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What happened, with a hint when there is one.
    pub message: String,
    /// Whether trying again is of no use until somebody changes something.
    pub lasting: bool,
}

impl Refused {
    /// A refusal with its hint in the same words.
    #[must_use]
    pub fn new(message: &str, hint: Option<&str>, lasting: bool) -> Self {
        let message = hint.map_or_else(|| message.to_owned(), |hint| format!("{message} ({hint})"));
        Self { message, lasting }
    }

    /// What a request's error means for the connection.
    #[must_use]
    pub fn of_call(error: &CallError, lasting: bool) -> Self {
        match error {
            CallError::NotSent { message, hint } => Self::new(message, hint.as_deref(), lasting),
            other => Self::new(&other.to_string(), None, lasting),
        }
    }
}

/// The connections of one daemon, by scope.
#[derive(Clone)]
pub struct Connections {
    dialer: Arc<dyn Dial>,
    open: Arc<Mutex<BTreeMap<Scope, Connection>>>,
    refused: Arc<Mutex<BTreeMap<Scope, Refusal>>>,
}

/// Credentials that were refused for good: asking again at once would lock the user out.
#[derive(Clone)]
struct Refusal {
    until: Instant,
    source: Source,
    why: Refused,
}

/// Refused credentials are not shown to Keystone again for this long.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// A connection that has logged in and is not in use yet.
pub struct Connected {
    /// Where it leads.
    pub fingerprint: Fingerprint,
    connection: Connection,
}

#[derive(Clone)]
struct Connection {
    remote: Arc<dyn Remote>,
    source: Source,
}

impl Connections {
    /// No connection yet.
    #[must_use]
    pub fn new(dialer: Arc<dyn Dial>) -> Self {
        Self {
            dialer,
            open: Arc::default(),
            refused: Arc::default(),
        }
    }

    /// Connects to a scope. The connection that it had stays in use until [`Connections::admit`].
    ///
    /// # Errors
    /// No such cloud, or Keystone did not accept the credentials.
    pub async fn connect(&self, scope: &Scope, source: &Source) -> Result<Connected, Refused> {
        if let Some(refusal) = lock(&self.refused).get(scope)
            && refusal.source == *source
            && Instant::now() < refusal.until
        {
            return Err(refusal.why.clone());
        }
        let (remote, fingerprint) = match self.ask(scope, source).await {
            Ok(answer) => answer,
            Err(why) => {
                if why.lasting {
                    let (until, source) = (Instant::now() + ASK_AGAIN, source.clone());
                    let refusal = Refusal {
                        until,
                        source,
                        why: why.clone(),
                    };
                    lock(&self.refused).insert(scope.clone(), refusal);
                }
                return Err(why);
            }
        };
        lock(&self.refused).remove(scope);
        let connection = Connection {
            remote,
            source: source.clone(),
        };
        Ok(Connected {
            fingerprint,
            connection,
        })
    }

    /// Takes a new connection into use, in place of the one before. The engine has to be told its
    /// fingerprint in the same breath: it may lead to another place.
    pub fn admit(&self, scope: &Scope, connected: Connected) -> Fingerprint {
        lock(&self.open).insert(scope.clone(), connected.connection);
        connected.fingerprint
    }

    /// The connection of a scope, for looking.
    ///
    /// # Errors
    /// There is none.
    pub fn look(&self, scope: &Scope) -> Result<Arc<dyn Look>, CallError> {
        self.remote(scope).map(|remote| remote as Arc<dyn Look>)
    }

    /// The connection of a scope, for writing.
    ///
    /// # Errors
    /// There is none.
    pub fn remote(&self, scope: &Scope) -> Result<Arc<dyn Remote>, CallError> {
        let open = lock(&self.open)
            .get(scope)
            .map(|connection| Arc::clone(&connection.remote));
        open.ok_or_else(|| CallError::NotSent {
            message: format!("there is no connection to cloud {scope}"),
            hint: None,
        })
    }

    /// Every scope that is connected, with its source.
    #[must_use]
    pub fn sources(&self) -> Vec<(Scope, Source)> {
        let open = lock(&self.open);
        open.iter()
            .map(|(scope, it)| (scope.clone(), it.source.clone()))
            .collect()
    }

    /// Forgets what was refused: somebody says that it is right now.
    pub fn forgive(&self) {
        lock(&self.refused).clear();
    }

    async fn ask(
        &self,
        scope: &Scope,
        source: &Source,
    ) -> Result<(Arc<dyn Remote>, Fingerprint), Refused> {
        let remote = self.dialer.dial(scope, source).await?;
        let fingerprint = remote.fingerprint().await?;
        Ok((remote, fingerprint))
    }
}

/// A map is never left half changed.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}
