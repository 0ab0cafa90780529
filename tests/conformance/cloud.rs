//! The two clouds that are asked: the sandbox in memory, on a clock that is a number, and a real one over HTTP.
//!
//! Not for meaning: a request goes out as it is, an answer comes back as it is.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use stackward::sandbox::{self, Payload, World};

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// JSON, or a text, or null if there is none.
    pub(crate) body: Value,
}

/// Who is asked.
pub(crate) enum Cloud {
    /// The simulated one.
    Sandbox {
        /// All of it.
        world: Box<World>,
        /// Its time.
        now: Timestamp,
    },
    /// A real one.
    Real(reqwest::Client),
}

impl Cloud {
    /// A new sandbox.
    pub(crate) fn sandbox() -> Self {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(490_000);
        let world = Box::new(World::new(sandbox::Options::default(), now));
        Self::Sandbox { world, now }
    }

    /// A client of a real cloud.
    pub(crate) fn real() -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(120));
        Self::Real(client.build().unwrap())
    }

    /// Sends a request once.
    pub(crate) async fn send(&mut self, request: &Request) -> Result<Answer, String> {
        match self {
            Self::Sandbox { world, now } => {
                *now += SignedDuration::from_millis(10);
                Ok(ask_world(world, request, *now))
            }
            Self::Real(client) => ask_real(client, request)
                .await
                .map_err(|error| format!("{error:?}")),
        }
    }

    /// Lets time pass.
    pub(crate) async fn pause(&mut self, pause: Duration) {
        match self {
            Self::Sandbox { now, .. } => *now += pause,
            Self::Real(_) => tokio::time::sleep(pause).await,
        }
    }
}

fn ask_world(world: &mut World, request: &Request, now: Timestamp) -> Answer {
    let root = world.options().base_url.clone();
    let target = request.url.strip_prefix(&root).unwrap_or(&request.url);
    let method = http::Method::from_bytes(request.method.as_bytes()).unwrap();
    let mut asked = sandbox::Request::new(method, target);
    for (name, value) in &request.headers {
        asked = asked.header(name, value);
    }
    if let Some(body) = &request.body {
        asked.body = Payload::Bytes(body.clone().into());
    }
    let response = world.handle(&asked, now);
    let mut headers: BTreeMap<String, String> = response
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    let (kind, body) = match &response.body {
        sandbox::Body::Empty => return answer(response.status, headers, b""),
        sandbox::Body::Json(value) => ("application/json", value.to_string()),
        sandbox::Body::Text(kind, text) => (*kind, text.clone()),
        sandbox::Body::Bytes(_) => panic!("only a fault leaves a part of a body"),
    };
    headers.insert("content-type".to_owned(), kind.to_owned());
    answer(response.status, headers, body.as_bytes())
}

async fn ask_real(client: &reqwest::Client, request: &Request) -> Result<Answer, reqwest::Error> {
    let method = http::Method::from_bytes(request.method.as_bytes()).unwrap();
    let mut asked = client.request(method, &request.url);
    for (name, value) in &request.headers {
        asked = asked.header(name, value);
    }
    if let Some(body) = &request.body {
        asked = asked.body(body.clone());
    }
    let response = asked.send().await?;
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = headers
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect();
    let body = response.bytes().await?;
    Ok(answer(status, headers, &body))
}

fn answer(status: u16, headers: BTreeMap<String, String>, body: &[u8]) -> Answer {
    let body = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(_) if body.is_empty() => Value::Null,
        Err(_) => Value::String(String::from_utf8_lossy(body).into_owned()),
    };
    Answer {
        status,
        headers,
        body,
    }
}
