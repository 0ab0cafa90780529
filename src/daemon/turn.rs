//! The loop: an event in, its effects out, each as a task whose result is the next event.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::engine::journal::Change;
use crate::engine::scope::Scope;
use crate::engine::{Effect, Engine, Event, Ticket};
use crate::kinds::call::{Call, CallError};
use crate::kinds::erased::Intent;
use crate::manifest::Key;
use crate::store::Store;

use super::clock::{Clock, Heartbeat};
use super::metrics::{Metrics, Step};
use super::remote::{Connected, Connections, Refused};
use super::{Answer, Input, Parts, Picture};

/// Pictures are not published more often than this.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);
/// The heart beats at least this often.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// How long a stop waits for what is in flight.
const STOP_WITHIN: Duration = Duration::from_secs(30);

pub(super) struct Turn {
    engine: Engine,
    store: Store,
    connections: Connections,
    clock: Clock,
    metrics: Arc<Metrics>,
    pictures: watch::Sender<Picture>,
    inbox: mpsc::Receiver<Input>,
    heartbeat: Heartbeat,
    stop: CancellationToken,
    /// Connecting and listing: given up when the daemon stops.
    reads: JoinSet<Outcome>,
    /// Requests and journal writes: their outcomes are waited for.
    writes: JoinSet<Outcome>,
    /// What to say when a task dies without an outcome.
    last_words: HashMap<Id, Outcome>,
    steps: HashMap<Ticket, Step>,
    /// Persons that wait until their word is in the journal.
    answers: HashMap<Ticket, Answer>,
    alarm: Option<Timestamp>,
    unpublished: bool,
    published_at: Instant,
    loaded: bool,
    refused: BTreeMap<Scope, String>,
    stopping: Option<Instant>,
}

/// What became of an effect.
enum Outcome {
    Event(Event),
    Connected(Scope, Result<Connected, Refused>),
}

impl Turn {
    pub(super) fn new(
        parts: Parts,
        pictures: watch::Sender<Picture>,
        inbox: mpsc::Receiver<Input>,
        heartbeat: Heartbeat,
        stop: CancellationToken,
    ) -> Self {
        Self {
            engine: parts.engine,
            store: parts.store,
            connections: parts.connections,
            clock: parts.clock,
            metrics: parts.metrics,
            pictures,
            inbox,
            heartbeat,
            stop,
            reads: JoinSet::new(),
            writes: JoinSet::new(),
            last_words: HashMap::new(),
            steps: HashMap::new(),
            answers: HashMap::new(),
            alarm: None,
            unpublished: true,
            published_at: Instant::now() - PUBLISH_EVERY,
            loaded: false,
            refused: BTreeMap::new(),
            stopping: None,
        }
    }

    pub(super) async fn run(mut self) {
        let mut beat = interval(BEAT_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.heartbeat.beat();
            let stopping = self.stopping.is_some();
            if stopping && self.writes.is_empty() {
                break;
            }
            let alarm = self.alarm.map(|at| self.clock.instant(at));
            let publish = self.published_at + PUBLISH_EVERY;
            // Where there is always something to do (a slow machine, many objects), what people see
            // is as due as ever,
            if self.unpublished && Instant::now() >= publish {
                self.publish();
            }
            // and nothing that is ready is put off for ever by something else: no `biased`.
            tokio::select! {
                () = self.stop.cancelled(), if !stopping => self.begin_stop(),
                () = at(self.stopping), if stopping => {
                    self.metrics.stopped_with_requests_in_flight(self.writes.len());
                    break;
                }
                Some(done) = self.writes.join_next_with_id() => self.done(done),
                Some(done) = self.reads.join_next_with_id() => self.done(done),
                Some(input) = self.inbox.recv(), if !stopping => self.told(input),
                () = at(alarm), if alarm.is_some() && !stopping => {
                    self.alarm = None;
                    self.handle(Event::Alarm);
                }
                () = sleep_until(publish), if self.unpublished => self.publish(),
                _ = beat.tick() => {}
            }
        }
        self.publish();
    }

    fn begin_stop(&mut self) {
        self.stopping = Some(Instant::now() + STOP_WITHIN);
        self.reads.abort_all();
    }

    fn told(&mut self, input: Input) {
        match input {
            Input::Desired(desired) => {
                self.loaded = true;
                self.unpublished = true;
                self.handle(Event::Desired(desired));
            }
            Input::Settings(settings) => {
                self.handle(Event::Settings(settings));
            }
            Input::Control(control, answer) => {
                tracing::info!(?control, "a person has spoken");
                let recorded = self.handle(Event::Control(control));
                match recorded {
                    Some(ticket) => {
                        self.answers.insert(ticket, answer);
                    }
                    None => answered(answer, Ok(())),
                }
            }
            Input::Reload => {
                self.connections.forgive();
                for (scope, source) in self.connections.sources() {
                    self.carry_out(Effect::Connect { scope, source });
                }
            }
        }
    }

    fn done(&mut self, done: Result<(Id, Outcome), JoinError>) {
        let outcome = match done {
            Ok((id, outcome)) => {
                self.last_words.remove(&id);
                outcome
            }
            Err(error) => match self.last_words.remove(&error.id()) {
                Some(outcome) if error.is_panic() => outcome,
                // Given up on purpose: nobody waits for it.
                _ => return,
            },
        };
        match outcome {
            Outcome::Event(event) => {
                self.handle(event);
            }
            Outcome::Connected(scope, result) => self.connected(scope, result),
        }
    }

    fn connected(&mut self, scope: Scope, result: Result<Connected, Refused>) {
        let result = result.map(|connected| self.connections.admit(&scope, connected));
        self.metrics.connected(&scope, &result);
        match &result {
            Err(refused) if refused.lasting => {
                self.refused.insert(scope.clone(), refused.message.clone());
            }
            _ => {
                self.refused.remove(&scope);
            }
        }
        self.unpublished = true;
        // A reload that failed leaves the connection that there was, and the engine need not know.
        if result.is_ok() || self.connections.look(&scope).is_err() {
            let result = result.map_err(|refused| refused.message);
            self.handle(Event::Connected { scope, result });
        }
    }

    /// Tells the engine, and carries out what it wants; the ticket of its write to the journal.
    fn handle(&mut self, event: Event) -> Option<Ticket> {
        match &event {
            Event::Called { ticket, result } => {
                if let Some(step) = self.steps.remove(ticket) {
                    self.metrics.step_ended(&step, result);
                }
            }
            Event::Recorded { ticket, result } => {
                self.metrics.journal_written(result);
                if let Some(answer) = self.answers.remove(ticket) {
                    answered(answer, result.clone());
                }
            }
            Event::Listed {
                scope,
                kind,
                result: Err(error),
                ..
            } => {
                self.metrics.list_failed(scope, kind, error);
            }
            _ => {}
        }
        let now = self.clock.now();
        let mut recorded = None;
        let (what, began) = (event.name(), Instant::now());
        let effects = self.engine.handle(event, now);
        self.metrics.thought(what, began.elapsed());
        for effect in effects {
            if let Effect::Record { ticket, .. } = &effect {
                recorded = Some(*ticket);
            }
            self.carry_out(effect);
        }
        recorded
    }

    fn carry_out(&mut self, effect: Effect) {
        let effect = match self.stopping {
            None => effect,
            Some(_) => match finishing(effect) {
                Some(effect) => effect,
                None => return,
            },
        };
        match effect {
            Effect::Connect { scope, source } => {
                let connections = self.connections.clone();
                let died = Refused::new("the attempt to connect crashed", None, false);
                let last_words = Outcome::Connected(scope.clone(), Err(died));
                let task = self.reads.spawn(async move {
                    let result = connections.connect(&scope, &source).await;
                    Outcome::Connected(scope, result)
                });
                self.last_words.insert(task.id(), last_words);
            }
            Effect::List { scope, kind, list } => {
                let started_at = self.clock.now();
                let remote = self.connections.look(&scope);
                let event = move |scope, result| {
                    Outcome::Event(Event::Listed {
                        scope,
                        kind,
                        started_at,
                        result,
                    })
                };
                let last_words = event(scope.clone(), Err(crashed("the list")));
                let task = self.reads.spawn(async move {
                    let result = match remote {
                        Ok(remote) => remote.list(kind, &list).await,
                        Err(error) => Err(error),
                    };
                    event(scope, result)
                });
                self.last_words.insert(task.id(), last_words);
            }
            Effect::Quota { scope, get } => {
                let (started_at, service) = (self.clock.now(), get.service);
                let remote = self.connections.look(&scope);
                let event = move |scope, result| {
                    Outcome::Event(Event::Quota {
                        scope,
                        service,
                        started_at,
                        result,
                    })
                };
                let last_words = event(scope.clone(), Err(crashed("the reading of quotas")));
                let task = self.reads.spawn(async move {
                    let result = match remote {
                        Ok(remote) => remote.get(&get).await,
                        Err(error) => Err(error),
                    };
                    event(scope, result)
                });
                self.last_words.insert(task.id(), last_words);
            }
            Effect::Call {
                ticket,
                scope,
                key,
                intent,
                call,
            } => {
                self.call(ticket, &scope, key, intent, call);
            }
            Effect::Record { ticket, changes } => {
                let (store, metrics) = (self.store.clone(), Arc::clone(&self.metrics));
                let event = move |result| Outcome::Event(Event::Recorded { ticket, result });
                let task = self.writes.spawn(async move {
                    let began = Instant::now();
                    let result = store.write(changes).await;
                    metrics.journal_took(began.elapsed());
                    event(result.map_err(|error| error.to_string()))
                });
                self.expect(
                    &task,
                    event(Err("the write to the journal crashed".to_owned())),
                );
            }
            Effect::Alarm(at) => self.alarm = Some(at),
            Effect::Publish => self.unpublished = true,
        }
    }

    fn call(&mut self, ticket: Ticket, scope: &Scope, key: Key, intent: Intent, call: Call) {
        let step = Step {
            key,
            intent,
            scope: scope.clone(),
            began: Instant::now(),
        };
        self.metrics.step_began(&step);
        self.steps.insert(ticket, step);
        let remote = self.connections.remote(scope);
        let event = move |result| Outcome::Event(Event::Called { ticket, result });
        let task = self.writes.spawn(async move {
            event(match remote {
                Ok(remote) => remote.send(&call).await,
                Err(error) => Err(error),
            })
        });
        self.expect(&task, event(Err(crashed("the request"))));
    }

    fn expect(&mut self, task: &AbortHandle, last_words: Outcome) {
        self.last_words.insert(task.id(), last_words);
    }

    fn publish(&mut self) {
        self.unpublished = false;
        self.published_at = Instant::now();
        let before = Arc::clone(&self.pictures.borrow().snapshot);
        let picture = Picture {
            snapshot: Arc::new(self.engine.snapshot_after(&before)),
            loaded: self.loaded,
            refused: self.refused.clone(),
        };
        self.metrics.published(&before, &picture.snapshot);
        self.pictures.send_replace(picture);
        self.metrics.thought("publish", self.published_at.elapsed());
    }
}

/// What a stop still lets happen: outcomes are written down, but no new request is announced.
fn finishing(effect: Effect) -> Option<Effect> {
    let announces =
        |change: &Change| matches!(change, Change::Put(_, record) if record.intent.is_some());
    match effect {
        Effect::Record {
            ticket,
            mut changes,
        } => {
            changes.retain(|change| !announces(change));
            (!changes.is_empty()).then_some(Effect::Record { ticket, changes })
        }
        Effect::Publish => Some(effect),
        Effect::Connect { .. }
        | Effect::List { .. }
        | Effect::Quota { .. }
        | Effect::Call { .. }
        | Effect::Alarm(_) => None,
    }
}

/// Who asked may have gone away meanwhile.
fn answered(answer: Answer, result: Result<(), String>) {
    let _: Result<(), Result<(), String>> = answer.send(result);
}

/// A task that died may have sent its request.
fn crashed(what: &str) -> CallError {
    CallError::Unknown {
        message: format!("{what} crashed in this process"),
        status: None,
        request_id: None,
        retry_after: None,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
