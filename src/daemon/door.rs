//! The door of the endpoint: TLS, and who may come in. What it goes by is a web.yml, and a file of
//! tokens for those who may also write.
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

use super::kubernetes;
use super::tls::Tls;
use super::tokens::{Caller, Tokens, bearer};
use super::web::WebConfig;

pub use super::tokens::BadTokens;
pub use super::web::BadWebConfig;

/// So many passwords that were right are known again without hashing.
const KNOWN: usize = 64;

/// The door; its clones are the same one.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    web_config: Option<PathBuf>,
    token_file: Option<PathBuf>,
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
    tokens: Arc<Tokens>,
}

/// A file that a door cannot go by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDoor {
    /// The web.yml.
    #[error(transparent)]
    WebConfig(#[from] BadWebConfig),
    /// The file of tokens.
    #[error(transparent)]
    Tokens(#[from] BadTokens),
}

impl BadDoor {
    /// What a person can do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::WebConfig(bad) => bad.hint,
            Self::Tokens(bad) => bad.hint,
        }
    }
}

impl Door {
    /// One that is open to everybody.
    #[must_use]
    pub fn open() -> Self {
        Self::with(None, None, Rules::default())
    }

    /// What a web.yml and a file of tokens say, as far as there are any.
    ///
    /// # Errors
    /// One of them, or a file that it names, cannot be used.
    pub fn guarded_by(
        web_config: Option<&Path>,
        token_file: Option<&Path>,
    ) -> Result<Self, BadDoor> {
        let rules = Rules::read(web_config, token_file)?;
        let owned = |path: Option<&Path>| path.map(Path::to_owned);
        Ok(Self::with(owned(web_config), owned(token_file), rules))
    }

    fn with(web_config: Option<PathBuf>, token_file: Option<PathBuf>, rules: Rules) -> Self {
        Self(Arc::new(Inner {
            web_config,
            token_file,
            rules: Mutex::new(rules),
            seal: uuid::Uuid::new_v4().into_bytes(),
        }))
    }

    /// Reads the files again; a bad one changes nothing.
    ///
    /// # Errors
    /// As [`Door::guarded_by`].
    pub fn renew(&self) -> Result<(), BadDoor> {
        let Inner {
            web_config,
            token_file,
            ..
        } = &*self.0;
        let rules = Rules::read(web_config.as_deref(), token_file.as_deref())?;
        *self.rules() = rules;
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

    /// Who it is, as far as it matters; `None` for who may not come in.
    async fn admits(&self, headers: &HeaderMap) -> Option<Option<Caller>> {
        let tokens = Arc::clone(&self.rules().tokens);
        match bearer(headers) {
            Some(token) if !tokens.is_empty() => {
                return tokens.user(token).map(|user| Some(Caller::Token(user)));
            }
            _ => {}
        }
        let users = Arc::clone(&self.rules().users);
        let Some(any) = users.values().next() else {
            return Some(None);
        };
        let (name, password) = login(headers)?;
        let admitted = self.is_password(&users, any, name, password).await;
        admitted.then_some(Some(Caller::Guest))
    }

    async fn is_password(
        &self,
        users: &BTreeMap<String, String>,
        any: &str,
        name: String,
        password: Vec<u8>,
    ) -> bool {
        // A name that nobody has takes as long as a wrong password.
        let (hash, exists) = match users.get(&name) {
            Some(hash) => (hash.clone(), true),
            None => (any.to_owned(), false),
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
    fn read(web_config: Option<&Path>, token_file: Option<&Path>) -> Result<Self, BadDoor> {
        let rules = web_config.map(Self::of_web_config).transpose()?;
        let tokens = token_file.map(Tokens::read).transpose()?;
        Ok(Self {
            tokens: Arc::new(tokens.unwrap_or_default()),
            ..rules.unwrap_or_default()
        })
    }

    fn of_web_config(path: &Path) -> Result<Self, BadWebConfig> {
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
            ..Self::default()
        })
    }
}

async fn check(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    if let Some(caller) = door.admits(request.headers()).await {
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        return next.run(request).await;
    }
    let ask = [(header::WWW_AUTHENTICATE, r#"Basic realm="stackward""#)];
    if kubernetes::is_of(request.uri().path()) {
        return (ask, kubernetes::unauthorized()).into_response();
    }
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
