//! The shell around the engine, against clouds that misbehave on purpose, on a paused clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where"
)]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use stackward::daemon::clock::Clock;
use stackward::daemon::load::Loader;
use stackward::daemon::metrics::Metrics;
use stackward::daemon::remote::{Connections, Dial, Look, Refused, Remote};
use stackward::daemon::{Daemon, Input, Parts, Picture};
use stackward::engine::looked::Looked;
use stackward::engine::scope::{Fingerprint, Scope, Source};
use stackward::engine::{Engine, Settings};
use stackward::kinds::call::{Call, CallError, Get, List, Method, Reply};
use stackward::store::{Opened, Store};
use tempfile::TempDir;

/// What the cloud does with the next POST.
enum Post {
    Answer,
    Crash,
    AnswerAfter(Duration),
}

/// A block storage service with a few volumes, and orders for the next requests.
#[derive(Default)]
struct Cloud {
    volumes: Mutex<Vec<Value>>,
    posts: Mutex<VecDeque<Post>>,
    sent: Mutex<Vec<Method>>,
    refuses: Mutex<bool>,
}

impl Cloud {
    fn create(&self, body: &Value) -> Reply {
        let mut volumes = self.volumes.lock().unwrap();
        let asked = &body["volume"];
        let volume = json!({
            "id": format!("v{}", volumes.len()), "name": asked["name"], "status": "available",
            "size": asked["size"], "metadata": asked["metadata"], "attachments": [],
            "description": asked["description"], "availability_zone": "nova", "volume_type": "t",
            "bootable": "false", "encrypted": false, "multiattach": false,
            "created_at": "2026-01-01T00:00:00.000000", "updated_at": null,
            "os-vol-tenant-attr:tenant_id": "p",
        });
        volumes.push(volume.clone());
        Reply {
            status: 202,
            body: json!({"volume": volume}),
            request_id: None,
        }
    }
}

struct Line(Arc<Cloud>);

impl Look for Line {
    fn fingerprint(&self) -> BoxFuture<'_, Result<Fingerprint, Refused>> {
        let fingerprint = Fingerprint {
            project: "p".to_owned(),
            user: "u".to_owned(),
            region: None,
            auth_url: "http://127.0.0.1/".to_owned(),
        };
        std::future::ready(Ok(fingerprint)).boxed()
    }

    fn list<'a>(
        &'a self,
        kind: &'static str,
        list: &'a List,
    ) -> BoxFuture<'a, Result<Looked, CallError>> {
        let items = match list.items {
            "volumes" => self.0.volumes.lock().unwrap().clone(),
            _ => Vec::new(),
        };
        std::future::ready(Ok(Looked::of(kind, items))).boxed()
    }

    fn get<'a>(&'a self, get: &'a Get) -> BoxFuture<'a, Result<Reply, CallError>> {
        // It has no quotas.
        let refused = CallError::Rejected {
            service: get.service,
            status: 404,
            fault: None,
            message: "not found".to_owned(),
            request_id: None,
            retry_after: None,
        };
        std::future::ready(Err(refused)).boxed()
    }
}

impl Remote for Line {
    fn send<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Reply, CallError>> {
        async move {
            self.0.sent.lock().unwrap().push(call.method);
            let stackward::kinds::call::Body::Json(body) = &call.body else {
                panic!("unexpected request {call:?}");
            };
            let order = self.0.posts.lock().unwrap().pop_front();
            match order.unwrap_or(Post::Answer) {
                Post::Answer => Ok(self.0.create(body)),
                Post::Crash => {
                    self.0.create(body);
                    panic!("a bug in the client, on purpose");
                }
                Post::AnswerAfter(pause) => {
                    tokio::time::sleep(pause).await;
                    Ok(self.0.create(body))
                }
            }
        }
        .boxed()
    }
}

struct Dialer(Arc<Cloud>);

impl Dial for Dialer {
    fn dial<'a>(
        &'a self,
        _: &'a Scope,
        _: &'a Source,
    ) -> BoxFuture<'a, Result<Arc<dyn Remote>, Refused>> {
        let dialled = if *self.0.refuses.lock().unwrap() {
            Err(Refused::new("wrong password", None, true))
        } else {
            Ok(Arc::new(Line(Arc::clone(&self.0))) as Arc<dyn Remote>)
        };
        std::future::ready(dialled).boxed()
    }
}

/// A daemon, its cloud, and a directory of manifests.
struct House {
    cloud: Arc<Cloud>,
    daemon: Daemon,
    loader: Loader,
    directory: TempDir,
}

impl House {
    fn new(cloud: Arc<Cloud>, opened: Opened) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings::new(opened.owner);
        let base = Timestamp::from_second(1_700_000_000).unwrap();
        let daemon = Daemon::start(Parts {
            engine: Engine::new(settings, opened.journal, 7),
            store: opened.store,
            connections: Connections::new(Arc::new(Dialer(Arc::clone(&cloud)))),
            clock: Clock::runtime(base),
            metrics: Arc::new(Metrics::new().unwrap()),
        });
        let loader = Loader::new(directory.path().to_owned(), Vec::new(), Scope::new("lab"));
        Self {
            cloud,
            daemon,
            loader,
            directory,
        }
    }

    fn declare(&self, name: &str) {
        let text = format!(
            "apiVersion: stackward.dev/v1alpha1\nkind: Volume\nmetadata: {{name: {name}}}\n\
             spec: {{resource: {{size: 1}}}}\n"
        );
        std::fs::write(self.directory.path().join(format!("{name}.yaml")), text).unwrap();
    }

    async fn load(&mut self) {
        let desired = self.loader.load().desired;
        self.daemon
            .inputs
            .send(Input::Desired(desired))
            .await
            .unwrap();
    }

    /// Waits, in virtual time, for a picture that is as it should be.
    async fn until(&mut self, wanted: impl FnMut(&Picture) -> bool) -> Picture {
        let pictures = &mut self.daemon.pictures;
        let found = tokio::time::timeout(Duration::from_secs(3600), pictures.wait_for(wanted));
        found
            .await
            .expect("an hour is enough")
            .expect("the daemon runs")
            .clone()
    }
}

fn converged(picture: &Picture) -> bool {
    picture.loaded && picture.snapshot.looked && picture.snapshot.is_converged()
}

fn memory() -> Opened {
    Store::memory(None).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_is_made_and_then_nothing_more_is_sent() {
    let mut house = House::new(Arc::default(), memory());
    house.declare("a");
    house.declare("b");
    house.load().await;
    house.until(converged).await;
    assert_eq!(house.cloud.volumes.lock().unwrap().len(), 2);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(
        *house.cloud.sent.lock().unwrap(),
        [Method::Post, Method::Post]
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_crashes_this_process_half_is_not_sent_twice() {
    let cloud = Arc::new(Cloud::default());
    cloud.posts.lock().unwrap().push_back(Post::Crash);
    let mut house = House::new(cloud, memory());
    house.declare("a");
    house.load().await;
    house.until(converged).await;
    assert_eq!(house.cloud.volumes.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_answer_and_writes_it_down() {
    let cloud = Arc::new(Cloud::default());
    cloud
        .posts
        .lock()
        .unwrap()
        .push_back(Post::AnswerAfter(Duration::from_secs(20)));
    let state = tempfile::tempdir().unwrap();
    let mut house = House::new(cloud, Store::open(state.path(), None).unwrap());
    house.declare("a");
    house.load().await;
    house
        .until(|picture| {
            picture
                .snapshot
                .objects
                .values()
                .any(|it| it.reason == "Doing")
        })
        .await;
    while house.cloud.sent.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    house.daemon.stop().await;
    let journal = journal_of(state.path()).await;
    let record = journal
        .records
        .values()
        .next()
        .expect("the create is recorded");
    assert_eq!((record.id.as_deref(), &record.intent), (Some("v0"), &None));
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_ever() {
    let cloud = Arc::new(Cloud::default());
    cloud
        .posts
        .lock()
        .unwrap()
        .push_back(Post::AnswerAfter(Duration::from_secs(3000)));
    let mut house = House::new(Arc::clone(&cloud), memory());
    house.declare("a");
    house.load().await;
    while cloud.sent.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = tokio::time::Instant::now();
    house.daemon.stop().await;
    assert!(
        before.elapsed() <= Duration::from_secs(31),
        "{:?}",
        before.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_vanishes_keeps_everything_in_force() {
    let mut house = House::new(Arc::default(), memory());
    house.declare("a");
    house.load().await;
    house.until(converged).await;
    let hidden = house.directory.path().with_extension("hidden");
    std::fs::rename(house.directory.path(), &hidden).unwrap();
    for _ in 0..3 {
        house.load().await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    let picture = house.daemon.pictures.borrow().clone();
    std::fs::rename(&hidden, house.directory.path()).unwrap();
    assert_eq!(picture.snapshot.objects.len(), 1);
    assert!(
        picture
            .snapshot
            .objects
            .values()
            .all(|it| !it.deleting && it.status.is_available())
    );
    let problems: Vec<String> = picture
        .snapshot
        .problems
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(problems[0].contains("does not exist"), "{problems:?}");
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_said_and_a_reload_that_fails_keeps_the_old_ones() {
    let cloud = Arc::new(Cloud::default());
    *cloud.refuses.lock().unwrap() = true;
    let mut house = House::new(Arc::clone(&cloud), memory());
    house.declare("a");
    house.load().await;
    let picture = house.until(|picture| !picture.refused.is_empty()).await;
    assert_eq!(picture.refused[&Scope::new("lab")], "wrong password");

    *cloud.refuses.lock().unwrap() = false;
    house.until(converged).await;
    *cloud.refuses.lock().unwrap() = true;
    house.daemon.inputs.send(Input::Reload).await.unwrap();
    house.until(|picture| !picture.refused.is_empty()).await;
    house.declare("b");
    house.load().await;
    house
        .until(|picture| picture.snapshot.objects.len() == 2 && converged(picture))
        .await;
    assert_eq!(cloud.volumes.lock().unwrap().len(), 2);
}

/// The journal of a daemon that has ended; its file is closed by another thread.
async fn journal_of(directory: &Path) -> stackward::engine::journal::Journal {
    loop {
        match Store::peek(directory) {
            Err(stackward::store::StoreError::InUse(_)) => tokio::task::yield_now().await,
            other => return other.unwrap().0,
        }
    }
}
