//! The door of the endpoint: TLS, and who may come in. What it goes by is a web.yml.
//!
//! Every path is behind it, the probes as well: exporter-toolkit knows no exception either.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;

use super::tls::Tls;
use super::web::WebConfig;

pub use super::web::BadWebConfig;

/// So many passwords that were right are known again without hashing.
const KNOWN: usize = 64;

/// The door; its clones are the same one.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    path: Option<PathBuf>,
    rules: Mutex<Rules>,
    /// Makes the digests of `Rules::known` worthless outside of this process.
    seal: [u8; 16],
}

#[derive(Default)]
struct Rules {
    tls: Option<Tls>,
    users: Arc<BTreeMap<String, String>>,
    /// Digests of names with passwords that were right: bcrypt is slow on purpose.
    known: HashSet<[u8; 32]>,
}

impl Door {
    /// One that is open to everybody.
    #[must_use]
    pub fn open() -> Self {
        Self::with(None, Rules::default())
    }

    /// What a web.yml says.
    ///
    /// # Errors
    /// It, or a file that it names, cannot be used.
    pub fn guarded_by(path: &Path) -> Result<Self, BadWebConfig> {
        Ok(Self::with(Some(path.to_owned()), Rules::read(path)?))
    }

    fn with(path: Option<PathBuf>, rules: Rules) -> Self {
        Self(Arc::new(Inner {
            path,
            rules: Mutex::new(rules),
            seal: uuid::Uuid::new_v4().into_bytes(),
        }))
    }

    /// Reads the web.yml again; a bad one changes nothing.
    ///
    /// # Errors
    /// As [`Door::guarded_by`].
    pub fn renew(&self) -> Result<(), BadWebConfig> {
        if let Some(path) = &self.0.path {
            let rules = Rules::read(path)?;
            *self.rules() = rules;
        }
        Ok(())
    }

    /// May everybody come in who reaches it?
    #[must_use]
    pub fn is_open(&self) -> bool {
        let rules = self.rules();
        rules.users.is_empty() && !rules.tls.as_ref().is_some_and(Tls::demands_certificates)
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.rules().tls.is_some() {
            "https"
        } else {
            "http"
        }
    }

    /// Every path of a router behind this door, those that do not exist included.
    pub(super) fn before(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), check))
    }

    /// What a connection has to pass, with certificates as new as their files; `None` without TLS.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        Some(self.rules().tls.as_mut()?.acceptor())
    }

    async fn admits(&self, headers: &HeaderMap) -> bool {
        let users = Arc::clone(&self.rules().users);
        let Some(any) = users.values().next() else {
            return true;
        };
        let Some((name, password)) = login(headers) else {
            return false;
        };
        // A name that nobody has takes as long as a wrong password.
        let (hash, exists) = match users.get(&name) {
            Some(hash) => (hash.clone(), true),
            None => (any.clone(), false),
        };
        let mut digest = Sha256::new();
        for part in [&self.0.seal[..], name.as_bytes(), hash.as_bytes()] {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.update(&password);
        let digest: [u8; 32] = digest.finalize().into();
        if self.rules().known.contains(&digest) {
            return true;
        }
        let hashed =
            tokio::task::spawn_blocking(move || bcrypt::verify(&password, &hash).unwrap_or(false));
        if !hashed.await.unwrap_or(false) || !exists {
            return false;
        }
        let mut rules = self.rules();
        if rules.known.len() >= KNOWN {
            rules.known.clear();
        }
        rules.known.insert(digest);
        true
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    fn read(path: &Path) -> Result<Self, BadWebConfig> {
        let web = WebConfig::read(path)?;
        let tls = web.tls.map(|files| {
            Tls::load(files).map_err(|message| BadWebConfig {
                path: path.to_owned(),
                place: None,
                message: format!("tls_server_config: {message}"),
                hint: "the files have to be PEM, and readable by the user that the daemon runs as",
            })
        });
        Ok(Self {
            tls: tls.transpose()?,
            users: Arc::new(web.users),
            known: HashSet::new(),
        })
    }
}

async fn check(State(door): State<Door>, request: Request, next: Next) -> Response {
    if door.admits(request.headers()).await {
        return next.run(request).await;
    }
    let ask = [(header::WWW_AUTHENTICATE, r#"Basic realm="stackward""#)];
    (StatusCode::UNAUTHORIZED, ask, "Unauthorized\n").into_response()
}

/// Name and password of a request.
fn login(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let text = STANDARD.decode(rest.trim_ascii()).ok()?;
    let colon = text.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(text[..colon].to_vec()).ok()?;
    Some((name, text[colon + 1..].to_vec()))
}
