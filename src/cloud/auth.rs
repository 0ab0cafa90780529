//! Logging in at Keystone: v3, or v2.0 where nothing newer is there.
//!
//! One attempt, and what it says. When an attempt is made, and by whom, is in `token`.

use std::time::Duration;

use http::Method;
use http::header::HeaderValue;
use jiff::Timestamp;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::catalog::Catalog;
use super::credentials::{Auth, Method as Proof, Scope, Tenant, v2_body, v3_body};
use super::fault;
use super::profile::Profile;
use super::transport::Answer;
use super::wire::{Ask, Wire, place};
use crate::kinds::call::{CallError, Service};

/// What Keystone gave for the credentials.
#[derive(Debug)]
pub(super) struct Grant {
    /// Absent when no authentication is done.
    pub(super) token: Option<SecretString>,
    /// How long the token is good for, by the server's own clock.
    pub(super) life: Option<Duration>,
    /// When that ends, by this machine's clock.
    pub(super) expires: Option<Timestamp>,
    /// What the server's clock shows less what ours shows, in seconds.
    pub(super) skew: Option<i64>,
    pub(super) catalog: Catalog,
    pub(super) who: Who,
}

/// Whom and what a token is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) user_id: Option<String>,
    pub(super) user_name: Option<String>,
    pub(super) project_id: Option<String>,
    pub(super) project_name: Option<String>,
    pub(super) domain_id: Option<String>,
    pub(super) system: bool,
    pub(super) roles: Vec<String>,
}

/// Why there is no token.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Keystone does not accept these credentials: asking again soon would lock the user out.
    Credentials(CallError),
    /// Keystone could not say.
    Passing(CallError),
}

/// Logs in. `first` allows a second question, to tell a wrong password from a wrong project.
pub(super) async fn log_in(wire: &Wire, profile: &Profile, first: bool) -> Result<Grant, Refusal> {
    let keystone = |url: &Option<Url>| {
        url.clone().ok_or_else(|| {
            Refusal::Passing(CallError::NotSent {
                message: format!("cloud `{}` has no `auth_url`", profile.name),
                hint: None,
            })
        })
    };
    match &profile.auth {
        Auth::None { .. } => Ok(Grant {
            token: None,
            life: None,
            expires: None,
            skew: None,
            catalog: Catalog::default(),
            who: Who::default(),
        }),
        Auth::V2(tenant) => {
            let base = with_version(&keystone(&profile.auth_url)?, "v2.0");
            V2 {
                wire,
                profile,
                tenant,
                base,
            }
            .log_in()
            .await
        }
        Auth::V3 {
            methods,
            scope,
            either,
        } => {
            let url = keystone(&profile.auth_url)?;
            if let Some(tenant) = either
                && only_v2(wire, &url).await
            {
                let base = with_version(&url, "v2.0");
                return V2 {
                    wire,
                    profile,
                    tenant,
                    base,
                }
                .log_in()
                .await;
            }
            let base = with_version(&url, "v3");
            V3 {
                wire,
                profile,
                methods,
                scope,
                base,
            }
            .log_in(first)
            .await
        }
    }
}

/// Keystone's address with exactly this version at its end.
pub(super) fn with_version(url: &Url, version: &str) -> Url {
    let mut url = url.clone();
    let path = url.path().trim_end_matches('/');
    let prefix = match path.rsplit_once('/') {
        Some((prefix, "v3" | "v2.0" | "v2")) => prefix,
        _ => path,
    };
    url.set_path(&format!("{prefix}/{version}"));
    url.set_query(None);
    url
}

/// True when this Keystone has nothing newer than v2.0. In doubt it has.
async fn only_v2(wire: &Wire, url: &Url) -> bool {
    match url.path().trim_end_matches('/').rsplit('/').next() {
        Some("v3") => return false,
        Some("v2.0" | "v2") => return true,
        _ => {}
    }
    let Ok(answer) = wire
        .ask(Ask::get(Service::Identity, "/", url.clone()))
        .await
    else {
        return false;
    };
    let versions = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let list = versions["versions"]["values"]
        .as_array()
        .or(versions["versions"].as_array());
    let ids: Vec<&str> = list
        .into_iter()
        .flatten()
        .filter_map(|version| version["id"].as_str())
        .collect();
    ids.iter().any(|id| id.starts_with("v2")) && !ids.iter().any(|id| id.starts_with("v3"))
}

struct V3<'a> {
    wire: &'a Wire,
    profile: &'a Profile,
    methods: &'a [Proof],
    scope: &'a Scope,
    base: Url,
}

impl V3<'_> {
    async fn log_in(&self, first: bool) -> Result<Grant, Refusal> {
        let answer = self.ask(self.scope).await?;
        if answer.status == 401 && first && self.scope_may_be_wrong() {
            // The same credentials without a scope: if they are accepted, it is the scope that is not.
            let unscoped = self.ask(&Scope::Unscoped).await?;
            if unscoped.status == 201 {
                return Err(self.wrong_scope(&unscoped).await);
            }
        }
        if answer.status != 201 && answer.status != 200 {
            return Err(refused(self.profile, &self.base, &answer));
        }
        let body = parse(self.profile, &self.base, &answer)?;
        let token = &body["token"];
        let subject = answer.header("x-subject-token").unwrap_or_default();
        if subject.is_empty() || !token.is_object() {
            return Err(nonsense(
                self.profile,
                &self.base,
                "its answer holds no token",
            ));
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let clock = Clock::of(&answer, &token["issued_at"], &token["expires_at"]);
        Ok(Grant {
            token: Some(SecretString::from(subject.to_owned())),
            life: Some(clock.life),
            expires: Timestamp::now().checked_add(clock.life).ok(),
            skew: clock.skew,
            catalog: Catalog::of_v3(&token["catalog"]),
            who: Who {
                user_id: text(&token["user"]["id"]),
                user_name: text(&token["user"]["name"]),
                project_id: text(&token["project"]["id"]),
                project_name: text(&token["project"]["name"]),
                domain_id: text(&token["domain"]["id"]),
                system: token["system"]["all"].as_bool().unwrap_or(false),
                roles: names(&token["roles"]),
            },
        })
    }

    async fn ask(&self, scope: &Scope) -> Result<Answer, Refusal> {
        let mut ask = Ask::get(
            Service::Identity,
            "auth/tokens",
            below(&self.base, "auth/tokens"),
        );
        ask.method = Method::POST;
        let ask = ask.json(&v3_body(self.methods, scope));
        self.wire
            .ask(ask)
            .await
            .map_err(|failure| unreachable(self.profile, &self.base, failure))
    }

    /// True when there is a scope that can be left out, and credentials that can be used twice.
    fn scope_may_be_wrong(&self) -> bool {
        let scoped = matches!(
            self.scope,
            Scope::Project { .. } | Scope::Domain(_) | Scope::System
        );
        scoped && matches!(self.methods, [Proof::Password { .. }])
    }

    async fn wrong_scope(&self, unscoped: &Answer) -> Refusal {
        let profile = self.profile;
        let token = unscoped.header("x-subject-token").unwrap_or_default();
        let mut projects = Vec::new();
        if let Some(token) = secret_header(token) {
            let url = below(&self.base, "auth/projects");
            let ask = Ask::get(Service::Identity, "auth/projects", url).token(Some(&token));
            if let Ok(answer) = self.wire.ask(ask).await {
                let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
                let list = body["projects"].as_array().into_iter().flatten();
                projects.extend(
                    list.filter_map(|project| project["name"].as_str())
                        .map(|name| format!("`{}`", fault::tidy(name))),
                );
            }
        }
        let hint = match projects.as_slice() {
            [] => "the user has no role on any project: ask the cloud's operator".to_owned(),
            names => format!("projects of this user: {}", names.join(", ")),
        };
        Refusal::Credentials(CallError::NotSent {
            message: format!(
                "Keystone at {} accepts {} but gives no access to {} (cloud `{}`)",
                place(&self.base),
                profile.auth.who(),
                profile.auth.what_for().unwrap_or_default(),
                profile.name
            ),
            hint: Some(hint),
        })
    }
}

struct V2<'a> {
    wire: &'a Wire,
    profile: &'a Profile,
    tenant: &'a Tenant,
    base: Url,
}

impl V2<'_> {
    /// A tenant by name is looked up with an unscoped token first, as the name alone tells a person
    /// nothing when it is wrong.
    async fn log_in(&self) -> Result<Grant, Refusal> {
        let id = match &self.tenant.id {
            Some(id) => id.clone(),
            None => self.tenant_id().await?,
        };
        let (answer, access) = self.ask(Some(&id)).await?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let token = &access["token"];
        let Some(subject) = token["id"].as_str() else {
            return Err(nonsense(
                self.profile,
                &self.base,
                "its answer holds no token",
            ));
        };
        let clock = Clock::of(&answer, &token["issued_at"], &token["expires"]);
        Ok(Grant {
            token: Some(SecretString::from(subject.to_owned())),
            life: Some(clock.life),
            expires: Timestamp::now().checked_add(clock.life).ok(),
            skew: clock.skew,
            catalog: Catalog::of_v2(&access["serviceCatalog"]),
            who: Who {
                user_id: text(&access["user"]["id"]),
                user_name: text(&access["user"]["name"]),
                project_id: text(&token["tenant"]["id"]),
                project_name: text(&token["tenant"]["name"]),
                roles: names(&access["user"]["roles"]),
                ..Who::default()
            },
        })
    }

    async fn tenant_id(&self) -> Result<String, Refusal> {
        let (_, access) = self.ask(None).await?;
        let token = access["token"]["id"].as_str().and_then(secret_header);
        let Some(token) = token else {
            return Err(nonsense(
                self.profile,
                &self.base,
                "its answer holds no token",
            ));
        };
        let ask = Ask::get(Service::Identity, "tenants", below(&self.base, "tenants"));
        let answer = self
            .wire
            .ask(ask.token(Some(&token)))
            .await
            .map_err(|failure| unreachable(self.profile, &self.base, failure))?;
        if answer.status != 200 {
            return Err(refused(self.profile, &self.base, &answer));
        }
        let body = parse(self.profile, &self.base, &answer)?;
        let tenants: Vec<(&str, &str)> = body["tenants"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tenant| Some((tenant["name"].as_str()?, tenant["id"].as_str()?)))
            .collect();
        let names = || {
            tenants
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (cloud, who) = (&self.profile.name, self.profile.auth.who());
        match (&self.tenant.name, tenants.as_slice()) {
            (None, [(_, id)]) => Ok((*id).to_owned()),
            (None, _) => Err(Refusal::Credentials(CallError::NotSent {
                message: format!(
                    "cloud `{cloud}` names no project, and {who} has {}",
                    tenants.len()
                ),
                hint: Some(format!("set `project_name` to one of: {}", names())),
            })),
            (Some(wanted), _) => match tenants.iter().find(|(name, _)| name == wanted) {
                Some((_, id)) => Ok((*id).to_owned()),
                None => Err(Refusal::Credentials(CallError::NotSent {
                    message: format!(
                        "Keystone at {} accepts {who} but gives no access to tenant `{wanted}` (cloud `{cloud}`)",
                        place(&self.base)
                    ),
                    hint: Some(format!("projects of this user: {}", names())),
                })),
            },
        }
    }

    async fn ask(&self, tenant: Option<&str>) -> Result<(Answer, Value), Refusal> {
        let mut ask = Ask::get(Service::Identity, "tokens", below(&self.base, "tokens"));
        ask.method = Method::POST;
        let ask = ask.json(&v2_body(self.tenant, tenant));
        let answer = self
            .wire
            .ask(ask)
            .await
            .map_err(|failure| unreachable(self.profile, &self.base, failure))?;
        if answer.status != 200 {
            return Err(refused(self.profile, &self.base, &answer));
        }
        let mut body = parse(self.profile, &self.base, &answer)?;
        let access = body["access"].take();
        Ok((answer, access))
    }
}

/// A header that no log shows.
pub(super) fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text)
        .ok()
        .filter(|_| !text.is_empty())?;
    header.set_sensitive(true);
    Some(header)
}

/// The token of a grant as a header.
pub(super) fn token_header(token: &SecretString) -> Option<HeaderValue> {
    secret_header(token.expose_secret())
}

/// An address below another one.
pub(super) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// The names in a list of roles.
fn names(roles: &Value) -> Vec<String> {
    let roles = roles.as_array().into_iter().flatten();
    let names = roles.filter_map(|role| role["name"].as_str().map(str::to_owned));
    names.collect()
}

/// How long a token lives, by the clock of the server that made it.
struct Clock {
    life: Duration,
    skew: Option<i64>,
}

/// Taken for a token whose end cannot be read.
const UNKNOWN_LIFE: Duration = Duration::from_secs(300);

impl Clock {
    fn of(answer: &Answer, issued: &Value, expires: &Value) -> Self {
        let date = answer.header("date").and_then(fault::http_date);
        let now = date
            .or_else(|| instant(issued))
            .unwrap_or_else(Timestamp::now);
        let life = instant(expires)
            .and_then(|end| u64::try_from(end.as_second() - now.as_second()).ok())
            .map_or(UNKNOWN_LIFE, Duration::from_secs);
        Self {
            life,
            skew: date.map(|date| date.as_second() - Timestamp::now().as_second()),
        }
    }
}

/// `2026-11-22T10:00:00.000000Z`, or the same without its zone, which v2.0 leaves out.
fn instant(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

fn parse(profile: &Profile, base: &Url, answer: &Answer) -> Result<Value, Refusal> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| nonsense(profile, base, &format!("its answer is no JSON: {error}")))
}

fn nonsense(profile: &Profile, base: &Url, why: &str) -> Refusal {
    Refusal::Passing(CallError::NotSent {
        message: format!(
            "{} is no Keystone that this program understands (cloud `{}`): {why}",
            place(base),
            profile.name
        ),
        hint: Some("check `auth_url`".to_owned()),
    })
}

fn unreachable(profile: &Profile, base: &Url, failure: super::transport::Failure) -> Refusal {
    use super::transport::Failure;
    let (reason, hint) = match failure {
        Failure::NotSent { reason, hint } => (reason, hint),
        Failure::Lost { reason, .. } => (reason, None),
    };
    let place = place(base);
    Refusal::Passing(CallError::NotSent {
        message: format!(
            "Keystone at {place} cannot be reached (cloud `{}`): {}",
            profile.name,
            fault::tidy(&reason)
        ),
        hint: hint.or_else(|| Some("check `auth_url`, and that Keystone runs there".to_owned())),
    })
}

fn refused(profile: &Profile, base: &Url, answer: &Answer) -> Refusal {
    let (_, words) = fault::words(&answer.body);
    let id = fault::request_id(answer)
        .map(|id| format!(" ({id})"))
        .unwrap_or_default();
    let (place, cloud, who) = (place(base), &profile.name, profile.auth.who());
    // Keystone says 404 for an application credential that was deleted.
    let unknown = answer.status == 404 && words.starts_with("Could not find");
    let message = match answer.status {
        401 | 403 | 404 if unknown || answer.status != 404 => format!(
            "Keystone at {place} refused the credentials of {who} (cloud `{cloud}`): {words}{id}"
        ),
        404 => format!("there is no Keystone at {place} (cloud `{cloud}`): 404 {words}{id}"),
        status => format!("Keystone at {place} answered {status} (cloud `{cloud}`): {words}{id}"),
    };
    let written = [
        "auth.password",
        "password",
        "auth.application_credential_secret",
        "auth.token",
    ]
    .iter()
    .find_map(|key| profile.origins().get(*key))
    .map(|origin| format!(" (secret from {origin})"))
    .unwrap_or_default();
    let hint = match answer.status {
        404 if unknown => format!("it may have been deleted: make a new one{written}"),
        401 | 403 => {
            let what = profile.auth.what_for();
            let role = what
                .map(|what| format!(", and has a role on {what}"))
                .unwrap_or_default();
            format!(
                "check the name, its domain and the secret{written}; and that it is enabled{role}"
            )
        }
        404 => "check the path of `auth_url`".to_owned(),
        _ => "ask the cloud's operator with the request id, or try again later".to_owned(),
    };
    let error = CallError::NotSent {
        message,
        hint: Some(hint),
    };
    match answer.status {
        429 | 500..=599 => Refusal::Passing(error),
        _ => Refusal::Credentials(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_put_at_the_end_of_any_form_of_auth_url() {
        for (url, version, expected) in [
            ("http://k.example:5000", "v3", "http://k.example:5000/v3"),
            ("http://k.example:5000/", "v3", "http://k.example:5000/v3"),
            ("http://k.example:5000/v3", "v3", "http://k.example:5000/v3"),
            (
                "http://k.example:5000/v3/",
                "v3",
                "http://k.example:5000/v3",
            ),
            (
                "http://k.example:5000/v2.0",
                "v3",
                "http://k.example:5000/v3",
            ),
            (
                "http://k.example:5000/v3",
                "v2.0",
                "http://k.example:5000/v2.0",
            ),
            (
                "http://k.example/identity",
                "v3",
                "http://k.example/identity/v3",
            ),
            (
                "http://k.example/identity/v3/",
                "v3",
                "http://k.example/identity/v3",
            ),
            (
                "http://k.example/identity//",
                "v2.0",
                "http://k.example/identity/v2.0",
            ),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(with_version(&url, version).as_str(), expected, "{url}");
        }
    }

    #[test]
    fn times_are_read_with_and_without_their_zone() {
        for text in [
            "2017-03-19T05:48:41Z",
            "2017-03-19T05:48:41.002243",
            "2017-03-19T05:48:41.000000Z",
        ] {
            assert!(instant(&Value::from(text)).is_some(), "{text}");
        }
    }
}
