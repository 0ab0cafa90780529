//! Notifications: what has happened is told to a webhook, in order, not too often, and again if it
//! was not taken. Off unless `--webhook-url` is given.
//!
//! At most once is too little and for ever is too much: a notice is tried five times within about
//! half a minute and then given up, which is counted and logged. What was missed is still in the
//! status; this is for people, not for programs that must know all.

#![expect(clippy::disallowed_methods, reason = "the token is in a file")]

mod notice;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config;
use crate::engine::snapshot::Snapshot;

use super::Picture;
use super::clock::Clock;
use super::metrics::Metrics;
use super::telemetry;
use notice::{Notice, notices};

/// Notices that wait; further ones are given up.
const QUEUE: usize = 1000;
/// How often one is tried,
const TRIES: u32 = 5;
/// how long an answer is waited for,
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// the pause after the first failure, doubled after each further one,
const PAUSE: Duration = Duration::from_secs(2);
/// and the longest that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Who is told, by whom.
pub struct Webhook {
    config: config::Webhook,
    token: Option<SecretString>,
    source: String,
}

/// The token of the webhook cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("--webhook-token-file: cannot read {}", path.display())]
pub struct NoToken {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl Webhook {
    /// A webhook as the settings say. `owner` is who tells.
    ///
    /// # Errors
    /// Its token cannot be read.
    pub fn new(config: config::Webhook, owner: Uuid) -> Result<Self, NoToken> {
        let token = config.token_file.as_ref().map(|path| {
            let text = std::fs::read_to_string(path);
            text.map(|text| SecretString::from(text.trim_end()))
                .map_err(|source| NoToken {
                    path: path.clone(),
                    source,
                })
        });
        Ok(Self {
            token: token.transpose()?,
            config,
            source: format!("urn:uuid:{owner}"),
        })
    }

    /// Tells what happens from the first complete look on, until there are no more pictures.
    ///
    /// # Errors
    /// There is no HTTP client to be had.
    pub fn start(
        self,
        pictures: watch::Receiver<Picture>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> reqwest::Result<()> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let delivery = Delivery {
            client: Client::builder()
                .redirect(redirect::Policy::none())
                .timeout(ANSWER_WITHIN)
                .user_agent(concat!("stackward/", env!("CARGO_PKG_VERSION")))
                .build()?,
            sent: VecDeque::new(),
            pause: PAUSE,
            webhook: self,
            metrics: Arc::clone(&metrics),
        };
        telemetry::spawn("webhook", follow(pictures, queue, metrics, stop.clone()));
        telemetry::spawn("webhook", delivery.run(waiting, stop));
        Ok(())
    }
}

/// Compares each picture with the one before. What holds at the first complete look is no news.
async fn follow(
    mut pictures: watch::Receiver<Picture>,
    queue: mpsc::Sender<Notice>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut clock = Clock::machine();
    let mut known: Option<Arc<Snapshot>> = None;
    let mut dropped = 0;
    loop {
        let picture = pictures.borrow_and_update().clone();
        if picture.is_ready() {
            let before = known.replace(Arc::clone(&picture.snapshot));
            for notice in news(before.as_deref(), &picture.snapshot, clock.now()) {
                match queue.try_send(Notice { dropped, ..notice }) {
                    Ok(()) => dropped = 0,
                    Err(_) => {
                        dropped += 1;
                        metrics.notified("dropped");
                    }
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = pictures.changed() => if changed.is_err() { return },
        }
    }
}

fn news(before: Option<&Snapshot>, after: &Snapshot, now: Timestamp) -> Vec<Notice> {
    before.map_or_else(Vec::new, |before| notices(before, after, now))
}

/// Hands notices over, one after the other.
struct Delivery {
    client: Client,
    webhook: Webhook,
    metrics: Arc<Metrics>,
    /// When the last ones were sent.
    sent: VecDeque<Instant>,
    /// The pause after the first failure.
    pause: Duration,
}

/// How a try ended.
enum Outcome {
    Delivered,
    /// Another try may help, after this long if the server says so.
    Again(String, Option<Duration>),
    Refused(String),
}

impl Delivery {
    async fn run(mut self, mut waiting: mpsc::Receiver<Notice>, stop: CancellationToken) {
        loop {
            let notice = tokio::select! {
                () = stop.cancelled() => return,
                notice = waiting.recv() => match notice {
                    Some(notice) => notice,
                    None => return,
                },
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.deliver(&notice) => {}
            }
        }
    }

    async fn deliver(&mut self, notice: &Notice) {
        let mut tried = 0;
        let outcome = loop {
            self.turn().await;
            tried += 1;
            match self.send(notice).await {
                Outcome::Delivered => break None,
                Outcome::Refused(why) => break Some(why),
                Outcome::Again(why, _) if tried == TRIES => break Some(why),
                Outcome::Again(_, asked) => {
                    let usual = self.pause * 2_u32.pow(tried - 1);
                    sleep(asked.map_or(usual, |it| it.min(LONGEST_PAUSE))).await;
                }
            }
        };
        match outcome {
            None => self.metrics.notified("delivered"),
            Some(error) => {
                self.metrics.notified("failed");
                let to = &self.webhook.config.address;
                tracing::warn!(%to, event = notice.event, tried, error, "notice given up");
            }
        }
    }

    /// Waits until one more may be sent.
    async fn turn(&mut self) {
        if self.sent.len() >= self.webhook.config.per_minute
            && let Some(first) = self.sent.pop_front()
        {
            sleep_until(first + Duration::from_secs(60)).await;
        }
        self.sent.push_back(Instant::now());
    }

    async fn send(&self, notice: &Notice) -> Outcome {
        let (content_type, body) = match self.webhook.config.form {
            config::Form::Json => ("application/json", serde_json::to_vec(notice)),
            config::Form::CloudEvents => (
                "application/cloudevents+json",
                serde_json::to_vec(&notice.cloud_event(&self.webhook.source)),
            ),
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        let mut request = self.client.post(self.webhook.config.address.url());
        if let Some(token) = &self.webhook.token {
            request = request.bearer_auth(token.expose_secret());
        }
        match request
            .header(CONTENT_TYPE, content_type)
            .body(body)
            .send()
            .await
        {
            // An address is part of its words otherwise.
            Err(error) => Outcome::Again(cause(&error.without_url()), None),
            Ok(answer) => {
                let status = answer.status();
                let asked = answer.headers().get(RETRY_AFTER);
                let asked = asked.and_then(|it| it.to_str().ok()?.parse().ok());
                match status {
                    status if status.is_success() => Outcome::Delivered,
                    StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                        Outcome::Again(status.to_string(), asked.map(Duration::from_secs))
                    }
                    status if status.is_server_error() => {
                        Outcome::Again(status.to_string(), asked.map(Duration::from_secs))
                    }
                    status => Outcome::Refused(status.to_string()),
                }
            }
        }
    }
}

/// What an error comes from in the end.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::Router;
    use axum::extract::State;
    use axum::http::HeaderMap;
    use axum::response::IntoResponse;
    use axum::routing::post;
    use serde_json::Value;
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers so, one after the other, and remembers what it was sent.
    #[derive(Clone, Default)]
    struct Server {
        answers: Arc<Mutex<Vec<u16>>>,
        got: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    }

    async fn take(
        State(server): State<Server>,
        headers: HeaderMap,
        body: String,
    ) -> impl IntoResponse {
        let body = serde_json::from_str(&body).unwrap();
        server.got.lock().unwrap().push((headers, body));
        let status = server.answers.lock().unwrap().pop().unwrap_or(204);
        (
            StatusCode::from_u16(status).unwrap(),
            [("retry-after", "0")],
        )
    }

    impl Server {
        /// The last answer comes first.
        async fn start(answers: &[u16]) -> (Self, config::Address) {
            let server = Self::default();
            server.answers.lock().unwrap().extend(answers);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let router = Router::new()
                .route("/hook", post(take))
                .with_state(server.clone());
            tokio::spawn(async move { axum::serve(listener, router).await });
            (server, format!("http://{address}/hook").parse().unwrap())
        }

        fn got(&self) -> Vec<(HeaderMap, Value)> {
            self.got.lock().unwrap().clone()
        }
    }

    fn delivery(address: config::Address, form: config::Form, per_minute: usize) -> Delivery {
        Delivery {
            client: Client::new(),
            webhook: Webhook {
                config: config::Webhook {
                    address,
                    form,
                    token_file: None,
                    per_minute,
                },
                token: Some(SecretString::from("t0ken")),
                source: "urn:uuid:0".to_owned(),
            },
            metrics: Arc::new(Metrics::new().unwrap()),
            sent: VecDeque::new(),
            pause: Duration::from_millis(1),
        }
    }

    fn notice() -> Notice {
        let after = Snapshot {
            paused: Some("somebody said so".to_owned()),
            ..Snapshot::default()
        };
        let all = notices(&Snapshot::default(), &after, Timestamp::UNIX_EPOCH);
        all.into_iter().next().unwrap()
    }

    fn counted(delivery: &Delivery, outcome: &str) -> bool {
        let text = delivery
            .metrics
            .render(&Snapshot::default(), Timestamp::UNIX_EPOCH)
            .unwrap();
        text.contains(&format!(
            "stackward_webhook_notices_total{{outcome=\"{outcome}\"}} 1"
        ))
    }

    #[tokio::test]
    async fn a_failure_of_the_server_is_tried_again() {
        let (server, address) = Server::start(&[200, 429, 500]).await;
        let mut delivery = delivery(address, config::Form::Json, 60);
        delivery.deliver(&notice()).await;
        let got = server.got();
        assert_eq!(got.len(), 3);
        assert_eq!(
            got[2].1["text"],
            "nothing is written any more: somebody said so"
        );
        assert_eq!(got[2].0["authorization"], "Bearer t0ken");
        assert!(counted(&delivery, "delivered"));
    }

    #[tokio::test]
    async fn what_is_refused_is_not_sent_again_and_what_fails_for_ever_is_given_up() {
        let (server, address) = Server::start(&[404]).await;
        let mut refused = delivery(address, config::Form::Json, 60);
        refused.deliver(&notice()).await;
        assert_eq!(server.got().len(), 1);
        assert!(counted(&refused, "failed"));
        let (server, address) = Server::start(&[503; 20]).await;
        let mut failing = delivery(address, config::Form::Json, 60);
        failing.deliver(&notice()).await;
        assert_eq!(server.got().len(), TRIES as usize);
        assert!(counted(&failing, "failed"));
    }

    #[tokio::test]
    async fn a_cloud_event_has_what_the_specification_asks_for() {
        let (server, address) = Server::start(&[]).await;
        let mut delivery = delivery(address, config::Form::CloudEvents, 60);
        delivery.deliver(&notice()).await;
        let (headers, event) = server.got().remove(0);
        assert_eq!(headers["content-type"], "application/cloudevents+json");
        for (field, value) in [
            ("specversion", "1.0"),
            ("source", "urn:uuid:0"),
            ("type", "dev.stackward.Paused"),
            ("time", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(event[field], value);
        }
        assert!(event["id"].as_str().is_some_and(|it| !it.is_empty()));
        assert_eq!(event["data"]["event"], "Paused");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_sent_in_a_minute_than_are_allowed() {
        let address = "http://127.0.0.1:1/".parse().unwrap();
        let mut delivery = delivery(address, config::Form::Json, 3);
        let began = Instant::now();
        for _ in 0..7 {
            delivery.turn().await;
        }
        assert_eq!(began.elapsed().as_secs(), 120);
    }

    #[test]
    fn an_address_shows_no_more_than_its_host() {
        let address: config::Address = "https://hooks.example.com/T0/s3cret?k=v".parse().unwrap();
        assert_eq!(address.to_string(), "https://hooks.example.com");
        assert_eq!(format!("{address:?}"), "Address(https://hooks.example.com)");
        for wrong in ["", "hooks.example.com", "ftp://a/b", "http://"] {
            assert!(wrong.parse::<config::Address>().is_err(), "{wrong}");
        }
    }
}
