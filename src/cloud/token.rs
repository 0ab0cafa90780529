//! The token of one scope: renewed before it ends, by one task at a time, and never in a rush.
//!
//! Refused credentials are not tried again at once, since a Keystone may lock a user out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::header::HeaderValue;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::auth::{self, Refusal, Who};
use super::catalog::Catalog;
use super::fault;
use super::profile::Profile;
use super::wire::Wire;
use crate::kinds::call::CallError;

/// A token with everything that came with it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) header: Option<HeaderValue>,
    pub(super) secret: Option<SecretString>,
    pub(super) expires: Option<Timestamp>,
    pub(super) catalog: Catalog,
    pub(super) who: Who,
    /// Seconds by which the clock of the cloud is ahead of this one.
    pub(super) skew: Option<i64>,
    born: Instant,
    life: Option<Duration>,
    /// Made because a service refused the one before.
    replacement: bool,
    /// Some service has accepted it.
    proven: AtomicBool,
}

/// How good a token must be.
#[derive(Clone, Copy)]
pub(super) enum Need<'a> {
    /// Not about to end.
    Usable,
    /// With half of its life before it: a long upload follows.
    Long,
    /// Any but this one, which a service has refused.
    Another(&'a Arc<Session>),
}

/// Keeps the current token.
#[derive(Default)]
pub(super) struct Tokens {
    current: RwLock<Option<Arc<Session>>>,
    gate: Mutex<Gate>,
}

/// Whoever holds it is the one who logs in.
#[derive(Default)]
struct Gate {
    refusals: u32,
    closed: Option<(Instant, CallError)>,
}

/// Renewal starts this long before the end, or a fifth of the token's life, whichever is more.
const MARGIN: Duration = Duration::from_secs(120);

/// A replacement that is refused within this time was refused for another reason than its age.
const FRESH: Duration = Duration::from_secs(30);

/// Clocks that differ by more make expiry and time filters wrong.
const SKEW: i64 = 60;

impl Session {
    fn age(&self) -> Duration {
        self.born.elapsed()
    }

    fn meets(&self, need: Need<'_>) -> bool {
        let Some(life) = self.life else { return true };
        // A short life is not used up by its margin.
        let margin = MARGIN.max(life / 5).min(life / 2);
        match need {
            Need::Usable => self.age() + margin < life,
            Need::Long => self.age() + margin.max(life / 2) <= life,
            Need::Another(refused) => !std::ptr::eq(self, Arc::as_ptr(refused)),
        }
    }

    fn has_ended(&self) -> bool {
        self.life.is_some_and(|life| self.age() >= life)
    }

    /// Notes that a service has accepted the token.
    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// False when a new token would be refused as this one was.
    pub(super) fn worth_replacing(&self) -> bool {
        let doubtful = self.replacement && !self.proven.load(Ordering::Relaxed);
        self.header.is_some() && !(doubtful && self.age() < FRESH)
    }
}

impl Tokens {
    /// The current token, if there ever was one.
    pub(super) fn current(&self) -> Option<Arc<Session>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A token that is good enough, from memory or from Keystone.
    pub(super) async fn get(
        &self,
        wire: &Wire,
        profile: &Profile,
        need: Need<'_>,
    ) -> Result<Arc<Session>, CallError> {
        if let Some(session) = self.current().filter(|session| session.meets(need)) {
            return Ok(session);
        }
        let mut gate = self.gate.lock().await;
        // Somebody else may have done it while this task waited.
        let current = self.current();
        if let Some(session) = current.clone().filter(|session| session.meets(need)) {
            return Ok(session);
        }
        let refused = matches!(need, Need::Another(_));
        let still_good = current.filter(|session| !refused && !session.has_ended());
        if let Some((until, error)) = &gate.closed
            && Instant::now() < *until
        {
            return still_good.ok_or_else(|| error.clone());
        }
        match auth::log_in(wire, profile, gate.refusals == 0).await {
            Ok(grant) => {
                *gate = Gate::default();
                let session = Arc::new(session(grant, refused, profile));
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Some(Arc::clone(&session));
                Ok(session)
            }
            Err(refusal) => {
                let (error, pause) = gate.pause_after(refusal);
                let error = fault::scrub(error, &profile.auth.secrets());
                gate.closed = Some((Instant::now() + pause, error.clone()));
                tracing::warn!(
                    cloud = profile.name,
                    error = %error,
                    pause = pause.as_secs(),
                    "no token from Keystone"
                );
                still_good.ok_or(error)
            }
        }
    }
}

impl Gate {
    /// 30 s, 60 s ... 10 min after refused credentials; a moment after anything else.
    fn pause_after(&mut self, refusal: Refusal) -> (CallError, Duration) {
        match refusal {
            Refusal::Credentials(error) => {
                let pause = Duration::from_secs(30) * 2_u32.pow(self.refusals.min(5));
                self.refusals += 1;
                (error, pause.min(Duration::from_secs(600)))
            }
            Refusal::Passing(error) => (error, Duration::from_secs(2)),
        }
    }
}

fn session(grant: auth::Grant, replacement: bool, profile: &Profile) -> Session {
    if let Some(skew) = grant.skew.filter(|skew| skew.abs() > SKEW) {
        tracing::warn!(
            cloud = profile.name,
            seconds = skew,
            "this machine's clock differs from the cloud's"
        );
    }
    Session {
        header: grant.token.as_ref().and_then(auth::token_header),
        secret: grant.token,
        expires: grant.expires,
        catalog: grant.catalog,
        who: grant.who,
        skew: grant.skew,
        born: Instant::now(),
        life: grant.life,
        replacement,
        proven: AtomicBool::new(false),
    }
}
