//! The running daemon as a command sees it: its endpoint over HTTP, behind whatever guards it, and the
//! socket in its state directory.
//!
//! What is asked, and what becomes of the answer, is the commands' affair.

#![expect(
    clippy::disallowed_methods,
    reason = "certificates and passwords of the command line are in files"
)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::RETRY_AFTER;
use reqwest::{Certificate, Client, Identity, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use crate::cloud::environment::Environment;
use crate::config::default_state;
use crate::daemon::control::SOCKET;

use super::failure::Advised;
use super::standing::clean;

const ADDRESS: &str = "http://127.0.0.1:9797";
/// A connection must be there after this long,
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// and an answer that does not go on must be complete after this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Who is asked to come back later does so, this often in all,
const ATTEMPTS: u32 = 10;
/// and waits no longer than this between two.
const PAUSE_AT_MOST: Duration = Duration::from_secs(5);
/// A watch says something at least this often, if only where it is.
const SILENT_AT_MOST: Duration = Duration::from_secs(150);

/// Kubernetes' form of a list for people.
pub(super) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
/// Everything that is known.
pub(super) const JSON: &str = "application/json";

/// Where the daemon's endpoint is, and how one comes in.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Address {
    /// Address of the daemon's endpoint [default: that of STACKWARD_LISTEN, else http://127.0.0.1:9797]
    #[arg(long, value_name = "URL", env = "STACKWARD_ADDRESS")]
    address: Option<String>,
    /// Certificates to trust instead of the system's, if it speaks TLS
    #[arg(long, value_name = "FILE", env = "STACKWARD_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Certificate to show, with its key in the same file, if it asks for one
    #[arg(long, value_name = "FILE", env = "STACKWARD_CERT_FILE")]
    cert_file: Option<PathBuf>,
    /// Name to log in with; the password is in STACKWARD_PASSWORD or --password-file
    #[arg(long, value_name = "NAME", env = "STACKWARD_USER")]
    user: Option<String>,
    /// File with the password of --user
    #[arg(long, value_name = "FILE", env = "STACKWARD_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    /// File with a bearer token, which may stand in STACKWARD_TOKEN as well
    #[arg(long, value_name = "FILE", env = "STACKWARD_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// The socket in the daemon's state directory, which only its own user can open.
#[derive(Debug, clap::Args)]
pub(super) struct Socket {
    /// The daemon's state directory [default: $STATE_DIRECTORY, else ~/.local/state/stackward]
    #[arg(long, value_name = "DIR", env = "STACKWARD_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

/// A daemon's endpoint.
#[derive(Debug)]
pub(super) struct Daemon {
    client: Client,
    base: Url,
    login: Login,
}

enum Login {
    None,
    Password(String, String),
    Token(String),
}

// Neither a password nor a token is ever shown.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password(..) => "Password",
            Self::Token(_) => "Token",
        })
    }
}

/// An answer of the API.
#[derive(Debug)]
pub(super) enum Answer {
    /// What was asked for.
    Here(Value),
    /// There is no such thing; in words.
    Missing(String),
}

impl Address {
    /// The endpoint. Nothing is sent yet.
    pub(super) fn daemon(&self) -> anyhow::Result<Daemon> {
        let environment = Environment::of_process();
        let variable = |name: &str| environment.var(name).filter(|it| !it.is_empty());
        let base = match &self.address {
            Some(address) => url(address)?,
            None => match variable("STACKWARD_LISTEN") {
                Some(listen) => url(&reachable(listen)?)?,
                None => url(ADDRESS)?,
            },
        };
        let login = self.login(&variable)?;
        let mut client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(SILENT_AT_MOST);
        if let Some(file) = &self.ca_file {
            let roots = Certificate::from_pem_bundle(&read(file)?);
            let roots = roots
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or_else(|| {
                    let hint = "--ca-file takes certificates in PEM";
                    Advised::error(format!("no certificate in {}", file.display()), hint)
                })?;
            client = client.tls_certs_only(roots);
        }
        if let Some(file) = &self.cert_file {
            let identity = Identity::from_pem(&read(file)?).map_err(|_| {
                let message = format!("no certificate with its key in {}", file.display());
                Advised::error(message, "--cert-file takes both in PEM, in one file")
            })?;
            client = client.identity(identity);
        }
        Ok(Daemon {
            client: client.build()?,
            base,
            login,
        })
    }

    /// A name beats a token: it is on the command line more often.
    fn login<'e>(&self, variable: &impl Fn(&str) -> Option<&'e str>) -> anyhow::Result<Login> {
        if let Some(user) = &self.user {
            let password = match &self.password_file {
                Some(file) => Some(secret(file)?),
                None => variable("STACKWARD_PASSWORD").map(str::to_owned),
            };
            let password = password.ok_or_else(|| {
                let hint = "set STACKWARD_PASSWORD, or name a file with --password-file";
                Advised::error(format!("{user} has no password"), hint)
            })?;
            return Ok(Login::Password(user.clone(), password));
        }
        let token = match &self.token_file {
            Some(file) => Some(secret(file)?),
            None => variable("STACKWARD_TOKEN").map(str::to_owned),
        };
        Ok(token.map_or(Login::None, Login::Token))
    }
}

fn url(address: &str) -> anyhow::Result<Url> {
    let whole = match address.contains("://") {
        true => address.to_owned(),
        false => format!("http://{address}"),
    };
    let url = Url::parse(&whole).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.host().is_some() && url.password().is_none()
    });
    url.ok_or_else(|| {
        let hint = "an address is like https://gateway:9797; a name and a password have flags of their own";
        // It may hold a password.
        Advised::error("the daemon's address is not understood", hint)
    })
}

/// Where something that listens there can be reached from this machine.
fn reachable(listen: &str) -> anyhow::Result<String> {
    let address = listen
        .parse::<SocketAddr>()
        .ok()
        .filter(|it| it.port() != 0);
    let Some(mut address) = address else {
        let hint = "--address says where the daemon's endpoint is";
        let message = format!("STACKWARD_LISTEN is `{listen}`: nothing can be asked there");
        return Err(Advised::error(message, hint));
    };
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address.to_string())
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn secret(file: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8(read(file)?)
        .map_err(|_| anyhow::anyhow!("{} is not text", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl Daemon {
    /// What the daemon says of itself and of every object.
    pub(super) async fn status(&self) -> anyhow::Result<Value> {
        match self.get("status", &[], JSON).await? {
            Answer::Here(status) if status["objects"].is_object() => Ok(status),
            _ => Err(self.is_foreign("it gave no status")),
        }
    }

    /// A resource of the API, in this form.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
        form: &str,
    ) -> anyhow::Result<Answer> {
        let request = || self.request(path, query, form).timeout(ANSWER_WITHIN);
        let answer = self.send(request).await?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|it| self.unreachable(&it))?;
        if status.is_success() {
            let value = serde_json::from_slice(&body);
            return value
                .map(Answer::Here)
                .map_err(|_| self.is_foreign("its answer is no JSON"));
        }
        match said(&body) {
            Some(words) if status == StatusCode::NOT_FOUND => Ok(Answer::Missing(words)),
            words => Err(self.refused(status, words)),
        }
    }

    /// An answer that goes on; `None` when the daemon does not remember where it is to begin.
    pub(super) async fn open(
        &self,
        path: &str,
        query: &[(&str, String)],
        form: &str,
    ) -> anyhow::Result<Option<Response>> {
        let answer = self.send(|| self.request(path, query, form)).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Some(answer));
        }
        if status == StatusCode::GONE {
            return Ok(None);
        }
        let body = answer.bytes().await.map_err(|it| self.unreachable(&it))?;
        Err(self.refused(status, said(&body)))
    }

    /// As kubectl, asks again when and as often as it does where the daemon says so (`Retry-After`): one
    /// that has just started has not read its manifests yet.
    async fn send(&self, request: impl Fn() -> RequestBuilder) -> anyhow::Result<Response> {
        let mut left = ATTEMPTS;
        loop {
            let answer = request().send().await;
            let answer = answer.map_err(|it| self.unreachable(&it))?;
            left -= 1;
            match pause(&answer).filter(|_| left > 0) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Ok(answer),
            }
        }
    }

    fn request(&self, path: &str, query: &[(&str, String)], form: &str) -> RequestBuilder {
        let base = self.base.as_str().trim_end_matches('/');
        let request = self
            .client
            .get(format!("{base}/{path}"))
            .header(reqwest::header::ACCEPT, form)
            .query(query);
        match &self.login {
            Login::None => request,
            Login::Password(user, password) => request.basic_auth(user, Some(password)),
            Login::Token(token) => request.bearer_auth(token),
        }
    }

    /// Its address, without what may be a secret.
    pub(super) fn name(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Somebody else listens there.
    pub(super) fn is_foreign(&self, why: &str) -> anyhow::Error {
        let hint = "is it a stackward that listens there? --address says where it is";
        Advised::error(format!("{}: {why}", self.name()), hint)
    }

    fn refused(&self, status: StatusCode, words: Option<String>) -> anyhow::Error {
        let name = self.name();
        match (status, words) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                let (what, hint) = match &self.login {
                    Login::None => (
                        "wants to know who asks".to_owned(),
                        "give --user with STACKWARD_PASSWORD or --password-file, or a token with STACKWARD_TOKEN or --token-file",
                    ),
                    Login::Password(user, _) => (
                        format!("does not accept this name and password ({})", clean(user)),
                        "the users are in the daemon's web.yml (basic_auth_users)",
                    ),
                    Login::Token(_) => (
                        "does not accept this token".to_owned(),
                        "is it the one that the daemon has? For a name and password give --user",
                    ),
                };
                Advised::error(format!("{name} {what} ({})", status.as_u16()), hint)
            }
            (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, Some(words)) => {
                Advised::error(format!("{name}: {words}"), "try again in a moment")
            }
            (_, Some(words)) => anyhow::anyhow!("{words}"),
            (status, None) => self.is_foreign(&format!("it answered {status}")),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let cause = root(error);
        let speaks_tls = self.base.scheme() == "https";
        let hint = if cause.contains("certificate") {
            "--ca-file names the authority of its certificate, --cert-file the certificate that it asks for"
        } else if speaks_tls && cause.contains("InvalidContentType") {
            "it does not speak TLS: give --address with http://"
        } else if error.is_timeout() {
            "it is very busy, or something on the way swallows packets"
        } else if !speaks_tls && !error.is_connect() {
            "it may speak TLS: give --address with https://"
        } else {
            "is the daemon running? --address says where: the one that it prints or logs"
        };
        Advised::error(format!("no answer from {}: {cause}", self.name()), hint)
    }
}

/// How long the daemon asks to be left alone before it is asked again.
fn pause(answer: &Response) -> Option<Duration> {
    use StatusCode as Code;
    let may_change = [Code::SERVICE_UNAVAILABLE, Code::TOO_MANY_REQUESTS];
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let pause = Duration::from_secs(seconds.parse().ok()?);
    may_change
        .contains(&answer.status())
        .then_some(pause.min(PAUSE_AT_MOST))
}

/// What a `Status` of Kubernetes says.
fn said(body: &[u8]) -> Option<String> {
    let status: Value = serde_json::from_slice(body).ok()?;
    let is_status = status["kind"] == "Status";
    Some(clean(status["message"].as_str().filter(|_| is_status)?))
}

fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl Socket {
    /// Says or asks something.
    pub(super) async fn ask(&self, method: Method, path: &str) -> anyhow::Result<Vec<u8>> {
        let environment = Environment::of_process();
        let variable = |name: &str| environment.var(name).map(str::to_owned);
        let directory = self.state_dir.clone().or_else(|| default_state(&variable));
        let directory = directory.context("give --state-dir, or set HOME")?;
        let socket = directory.join(SOCKET);
        let client = Client::builder()
            .unix_socket(socket.clone())
            .timeout(ANSWER_WITHIN)
            .build()?;
        let request = client.request(method, format!("http://daemon/{path}"));
        let unreachable = |error: reqwest::Error| {
            let hint = "is the daemon running, as this user, with this --state-dir? With --once, or a simulated cloud without one, there is none to talk to";
            let message = format!("no answer at {}: {}", socket.display(), root(&error));
            Advised::error(message, hint)
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?.to_vec();
        if status.is_success() {
            return Ok(body);
        }
        let words = clean(&String::from_utf8_lossy(&body));
        Err(match status {
            StatusCode::CONFLICT => Advised::error(words, "`stackward approve` shows what waits"),
            _ => anyhow::Error::msg(words),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_out_what_goes_without_saying() {
        for (address, expected) in [
            ("gateway:9797", "http://gateway:9797/"),
            ("https://gateway", "https://gateway/"),
            ("[::1]:1", "http://[::1]:1/"),
        ] {
            assert_eq!(url(address).unwrap().as_str(), expected);
        }
        for bad in ["", "ftp://a", "http://", "http://me:secret@a", "unix:///x"] {
            let error = url(bad).unwrap_err();
            assert!(!format!("{error:#}").contains("secret"), "{error:#}");
        }
    }

    #[test]
    fn what_listens_everywhere_is_reached_here() {
        for (listen, expected) in [
            ("0.0.0.0:9000", "127.0.0.1:9000"),
            ("[::]:9000", "[::1]:9000"),
            ("10.0.0.5:9797", "10.0.0.5:9797"),
        ] {
            assert_eq!(reachable(listen).unwrap(), expected);
        }
        assert!(reachable("none").is_err() && reachable("127.0.0.1:0").is_err());
    }

    #[test]
    fn a_password_is_not_shown() {
        let login = Login::Password("me".to_owned(), "hunter2".to_owned());
        assert_eq!(format!("{login:?}"), "Password");
    }
}
