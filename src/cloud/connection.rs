//! One cloud with one set of credentials: from a [`Call`] to its [`Reply`].
//!
//! Everything that belongs to credentials lives and dies with it, so that new ones start clean.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method as HttpMethod;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::Url;
use serde_json::Value;
use serde_json::value::RawValue;

use super::discovery::{Endpoint, Endpoints, Look, negotiate};
use super::fault;
use super::profile::Profile;
use super::token::{Need, Session, Tokens};
use super::transport::{Answer, Payload};
use super::upload::{self, Progress};
use super::wire::{Ask, Deadline, USUAL_CAP, Wire, place};
use super::{Scope, credentials::Auth};
use crate::kinds::call::{Body, Call, CallError, Method, Reply, Service, USER_ID, Upload, segment};

/// A profile at work.
pub(super) struct Connection {
    pub(super) profile: Arc<Profile>,
    pub(super) wire: Wire,
    pub(super) stall: std::time::Duration,
    pub(super) tokens: Tokens,
    pub(super) endpoints: Endpoints,
}

/// A call with everything that is needed to send it, except its body.
struct Ready {
    session: Arc<Session>,
    url: Url,
    microversion: Option<(u16, u16)>,
}

impl Connection {
    pub(super) async fn session(&self, need: Need<'_>) -> Result<Arc<Session>, CallError> {
        self.tokens.get(&self.wire, &self.profile, need).await
    }

    pub(super) async fn send(
        &self,
        call: &Call,
        cap: usize,
        progress: Option<Progress>,
    ) -> Result<Reply, CallError> {
        let outcome = match &call.body {
            Body::Upload(upload) => self.upload(call, upload, progress).await,
            _ => self
                .send_small(call, cap)
                .await
                .and_then(|answer| reply(call, &answer)),
        };
        outcome.map_err(|error| self.scrub(error))
    }

    /// The fields of what a read answers, as their texts; none if the answer is something else.
    pub(super) async fn fields(
        &self,
        call: &Call,
        cap: usize,
    ) -> Result<BTreeMap<String, Box<RawValue>>, CallError> {
        let answer = self.send_small(call, cap).await;
        let fields = answer.and_then(|answer| match serde_json::from_slice(&answer.body) {
            Ok(fields) => Ok(fields),
            Err(_) => reply(call, &answer).map(|_| BTreeMap::new()),
        });
        fields.map_err(|error| self.scrub(error))
    }

    /// Sends a call whose body is at hand, so that it can go again with a new token.
    async fn send_small(&self, call: &Call, cap: usize) -> Result<Answer, CallError> {
        let ready = self.ready(call, Need::Usable).await?;
        let answer = self.once(call, &ready, cap).await?;
        if answer.status != 401 {
            ready.session.prove();
        } else if ready.session.worth_replacing() {
            // Refused before it was looked at, so that it is no repetition of a write.
            let ready = self.ready(call, Need::Another(&ready.session)).await?;
            let answer = self.once(call, &ready, cap).await?;
            if answer.status != 401 {
                ready.session.prove();
            }
            return accepted(call, answer);
        }
        if answer.status == 406 && call.microversion.is_some() {
            // The cloud was changed since its versions were asked for.
            self.endpoints.forget(call.service);
        }
        accepted(call, answer)
    }

    async fn once(&self, call: &Call, ready: &Ready, cap: usize) -> Result<Answer, CallError> {
        let ask = self.ask(call, ready, cap);
        let ask = match &call.body {
            Body::None | Body::Upload(_) => ask,
            Body::Json(body) => ask.json(body),
            Body::ImagePatch(body) => ask.json(body).header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/openstack-images-v2.1-json-patch"),
            ),
        };
        self.wire.ask(ask).await.map_err(|failure| {
            fault::failed(call.service, &what(call), &place(&ready.url), failure)
        })
    }

    fn ask(&self, call: &Call, ready: &Ready, cap: usize) -> Ask {
        let mut ask = Ask::get(call.service, call.route, ready.url.clone());
        ask.method = http_method(call.method);
        ask.timeout = call.timeout.map_or(Deadline::Usual, Deadline::Of);
        ask.cap = cap;
        for (name, value) in microversion_headers(call.service, ready.microversion) {
            ask = ask.header(name, value);
        }
        ask.token(ready.session.header.as_ref())
    }

    async fn ready(&self, call: &Call, need: Need<'_>) -> Result<Ready, CallError> {
        let session = self.session(need).await?;
        let endpoint = self.endpoint(call.service, &session).await?;
        let microversion = match call.microversion {
            None => None,
            Some(wanted) => negotiate(wanted, endpoint.offer, call.service).map_err(|message| {
                CallError::NotSent {
                    message,
                    hint: None,
                }
            })?,
        };
        let mut url = endpoint.base.clone();
        url.set_path(&format!(
            "{}/{}",
            endpoint.base.path().trim_end_matches('/'),
            self.path(call, &session)?
        ));
        if !call.query.is_empty() {
            let _ = url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(Ready {
            session,
            url,
            microversion,
        })
    }

    /// The path of a call, with our own user in it where it asks for that.
    fn path<'a>(&self, call: &'a Call, session: &Session) -> Result<Cow<'a, str>, CallError> {
        if !call.path.contains(USER_ID) {
            return Ok(Cow::Borrowed(&call.path));
        }
        let user = session.who.user_id.as_deref();
        let user = user.ok_or_else(|| CallError::NotSent {
            message: format!(
                "cloud `{}` is used without a user, and {} is below one",
                self.profile.name, call.route
            ),
            hint: None,
        })?;
        Ok(Cow::Owned(call.path.replace(USER_ID, &segment(user))))
    }

    async fn endpoint(
        &self,
        service: Service,
        session: &Session,
    ) -> Result<Arc<Endpoint>, CallError> {
        let url = self.address(service, session)?;
        let look = Look {
            wire: &self.wire,
            service,
            url,
            token: session.header.as_ref(),
            project_id: session.who.project_id.as_deref(),
        };
        self.endpoints.get(look).await
    }

    /// The address of a service as settings or catalog have it.
    fn address(&self, service: Service, session: &Session) -> Result<Url, CallError> {
        if let Some(url) = self.profile.service(service).endpoint {
            return Ok(url);
        }
        if let Auth::None { endpoint } = &self.profile.auth {
            let url = endpoint.as_ref().and_then(|url| Url::parse(url).ok());
            return url.or_else(|| self.profile.auth_url.clone()).ok_or_else(|| CallError::NotSent {
                message: format!("cloud `{}` has no address for {service}", self.profile.name),
                hint: Some(format!(
                    "without authentication there is no catalog: set `{}_endpoint_override` or `endpoint`",
                    service.as_str().replace('-', "_")
                )),
            });
        }
        session
            .catalog
            .find(service, &self.profile)
            .map_err(|none| CallError::NotSent {
                message: none.message,
                hint: Some(none.hint),
            })
    }

    async fn upload(
        &self,
        call: &Call,
        upload: &Upload,
        progress: Option<Progress>,
    ) -> Result<Reply, CallError> {
        let source = upload::open(upload, &self.profile).await?;
        // A server that refuses early resets the connection, and its answer is lost with it: so the
        // token is made young, and tried on the image, before the first byte goes out.
        let ready = self.ready(call, Need::Long).await?;
        if let Some(image) = call.path.strip_suffix("/file") {
            let check = Call::new(call.service, Method::Get, "images/{id}", image);
            let _ = self.send_small(&check, USUAL_CAP).await?;
        }
        let ready = match self.tokens.current() {
            Some(session) if !Arc::ptr_eq(&session, &ready.session) => Ready { session, ..ready },
            _ => ready,
        };
        let (stream, length, watch) = source.stream(self.stall, progress);
        let mut ask = self.ask(call, &ready, USUAL_CAP);
        ask.timeout = Deadline::None;
        ask.payload = Payload::Stream(stream);
        ask = ask.header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        if let Some(length) = length {
            ask = ask.header(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let place = place(&ready.url);
        tokio::select! {
            // The watch first: when both are ready, it knows the reason.
            biased;
            error = watch.broken() => Err(error),
            outcome = self.wire.ask(ask) => match (watch.taken(), outcome) {
                (Some(error), _) => Err(error),
                (None, Ok(answer)) => {
                    accepted(call, answer).and_then(|answer| reply(call, &answer))
                }
                (None, Err(failure)) => {
                    Err(fault::failed(call.service, &what(call), &place, failure))
                }
            },
        }
    }

    pub(super) fn scope_of(&self, session: &Session) -> Scope {
        let mut endpoints = BTreeMap::new();
        for service in Service::ALL {
            if let Ok(url) = self.address(service, session) {
                let _ = endpoints.insert(service, place(&url));
            }
        }
        let who = session.who.clone();
        Scope {
            cloud: self.profile.name.clone(),
            auth_url: self
                .profile
                .auth_url
                .as_ref()
                .map(place)
                .unwrap_or_default(),
            region: self.profile.region.clone(),
            user_id: who.user_id,
            user_name: who.user_name,
            project_id: who.project_id,
            project_name: who.project_name,
            domain_id: who.domain_id,
            system: who.system,
            endpoints,
        }
    }

    /// The endpoint with its version, for `stackward check` and the like.
    pub(super) async fn versioned(&self, service: Service) -> Result<Url, CallError> {
        let session = self.session(Need::Usable).await?;
        Ok(self.endpoint(service, &session).await?.base.clone())
    }

    /// What lies behind a service's address.
    pub(super) async fn behind(&self, service: Service) -> Result<Arc<Endpoint>, CallError> {
        let session = self.session(Need::Usable).await?;
        self.endpoint(service, &session).await
    }

    /// Takes our secrets out of texts that others wrote.
    pub(super) fn scrub(&self, error: CallError) -> CallError {
        let mut secrets = self.profile.auth.secrets();
        secrets.extend(
            self.tokens
                .current()
                .and_then(|session| session.secret.clone()),
        );
        fault::scrub(error, &secrets)
    }
}

/// The answer, unless it refuses.
fn accepted(call: &Call, answer: Answer) -> Result<Answer, CallError> {
    if (200..=299).contains(&answer.status) {
        return Ok(answer);
    }
    Err(fault::refused(call.service, &what(call), &answer))
}

fn reply(call: &Call, answer: &Answer) -> Result<Reply, CallError> {
    let request_id = fault::request_id(answer);
    let body = if answer.body.iter().all(u8::is_ascii_whitespace) {
        Value::Null
    } else {
        serde_json::from_slice(&answer.body).map_err(|error| CallError::Unknown {
            message: format!(
                "{} answered {} with {} and a body that is no JSON: {error}",
                call.service,
                what(call),
                answer.status
            ),
            status: Some(answer.status),
            request_id: request_id.clone(),
            retry_after: None,
        })?
    };
    Ok(Reply {
        status: answer.status,
        body,
        request_id,
    })
}

/// The call in messages: its route, not its ids or its query.
fn what(call: &Call) -> String {
    format!("{} {}", call.method.as_str(), call.route)
}

fn http_method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
        Method::Put => HttpMethod::PUT,
        Method::Patch => HttpMethod::PATCH,
        Method::Delete => HttpMethod::DELETE,
    }
}

/// The common header, and the one that Nova read before there was a common one; Manila still reads
/// only its own.
fn microversion_headers(
    service: Service,
    version: Option<(u16, u16)>,
) -> Vec<(HeaderName, HeaderValue)> {
    let Some((major, minor)) = version else {
        return Vec::new();
    };
    let name = match service {
        Service::Compute => "compute",
        // Cinder's name for itself in this header.
        Service::BlockStorage => "volume",
        Service::SharedFileSystem => "shared-file-system",
        // The others have no microversions.
        Service::Identity | Service::Image | Service::Network => return Vec::new(),
    };
    let mut headers = Vec::new();
    if let Ok(value) = HeaderValue::from_str(&format!("{name} {major}.{minor}")) {
        headers.push((HeaderName::from_static("openstack-api-version"), value));
    }
    let own = match service {
        Service::Compute => Some("x-openstack-nova-api-version"),
        Service::SharedFileSystem => Some("x-openstack-manila-api-version"),
        _ => None,
    };
    if let (Some(own), Ok(value)) = (own, HeaderValue::from_str(&format!("{major}.{minor}"))) {
        headers.push((HeaderName::from_static(own), value));
    }
    headers
}
