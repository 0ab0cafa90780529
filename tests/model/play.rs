//! One daemon beside a cloud that holds at most a few resources: from an abstract state to where
//! nothing happens any more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use stackward::engine::desired::Desired;
use stackward::engine::guard::Prune;
use stackward::engine::journal::Journal;
use stackward::engine::looked::Looked;
use stackward::engine::plan::{Drift, Plan};
use stackward::engine::reason::Waiting;
use stackward::engine::scope::{Fingerprint, Scope};
use stackward::engine::{Effect, Engine, Event, Settings};
use stackward::kinds::MarkerPlace;
use stackward::kinds::call::{Body, Call, CallError, Method, Reply};
use stackward::kinds::erased::Intent;
use stackward::kinds::field::Class;
use stackward::kinds::marker::{Marker, Owner};
use uuid::Uuid;

use super::cell::{Cell, MADE, NOWHERE, TWIN, View, Word, items, record};
use super::law::{Case, Deed};
use super::sim::SCOPE;
use super::subject::{Item, Subject};

const POLL: Duration = Duration::from_secs(150);
/// No state needs longer to come to rest: grace, window, pauses and proof of absence are shorter. What
/// is asked for in vain is asked for again after an hour, and is at rest until then.
const LONGEST: Duration = Duration::from_secs(300);
/// More writes that are carried out than this are no way to a fixpoint.
const STEPS: usize = 6;
/// Nothing takes more events than this.
const BUSIEST: usize = 1000;

/// What became of a state.
pub struct Outcome {
    /// The writes that were carried out.
    pub deeds: Vec<Deed>,
    /// What is wrong, in words.
    pub faults: Vec<String>,
    /// Why nothing is sent at the end.
    pub end: &'static str,
    /// What differed when it was first seen.
    pub drift: Drift,
    /// What the engine was told.
    pub events: usize,
}

/// A resource as far as it matters whether it has been like this before.
type Shape = (
    String,
    Option<Uuid>,
    Option<String>,
    Option<Class>,
    bool,
    bool,
);

struct Play<'a> {
    subject: &'a Subject,
    cell: Cell,
    /// The state that is said to be the one it began in.
    judged: Cell,
    owner: Owner,
    items: Vec<Item>,
    /// The list, until something changes.
    shown: Option<Vec<Value>>,
    foe: Foe,
    /// What the cloud has held so far.
    worlds: Vec<Vec<Shape>>,
    now: Timestamp,
    queue: VecDeque<Event>,
    alarm: Option<Timestamp>,
    wrote_at: Timestamp,
    outcome: Outcome,
}

fn settings(cell: Cell, owner: Owner) -> Settings {
    let mut settings = Settings::new(owner);
    settings.poll_interval = POLL;
    settings.prune_grace = Duration::from_secs(20);
    settings.prune_data_grace = Duration::from_secs(20);
    settings.uncertain_window = Duration::from_secs(40);
    settings.gone_after = Duration::from_secs(30);
    settings.prune_allow_empty = cell.word != Word::GoneEmpty;
    settings.observe_only = cell.word == Word::DeclaredObserved;
    settings.prune = match cell.word {
        Word::GonePruneOff => Prune::Off,
        Word::GoneConfirm => Prune::Confirm,
        _ => Prune::Auto,
    };
    settings
}

/// Somebody who works against the daemon, which no state has: planted to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foe {
    Nobody,
    /// Changes it back whenever nothing else happens.
    Reverts,
    /// Removes it.
    Removes,
}

/// What is wrong on purpose.
#[derive(Debug, Clone, Copy)]
pub struct Plant {
    /// The state by whose laws it is judged.
    pub judged: Cell,
    pub foe: Foe,
}

/// Plays one state to its end and judges it. `desired` is what its word declares.
pub fn play(subject: &Subject, cell: Cell, desired: &Desired, owner: Owner) -> Outcome {
    let plant = Plant {
        judged: cell,
        foe: Foe::Nobody,
    };
    play_with(plant, subject, cell, desired, owner)
}

/// Plays one state to its end with something planted in it.
pub fn play_with(
    plant: Plant,
    subject: &Subject,
    cell: Cell,
    desired: &Desired,
    owner: Owner,
) -> Outcome {
    let now: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
    let fingerprint = Fingerprint {
        project: subject.sim_project.clone(),
        user: subject.user.clone(),
        region: None,
        auth_url: "http://model/identity".to_owned(),
    };
    let mut journal = Journal {
        paused: matches!(cell.word, Word::DeclaredPaused | Word::GonePaused),
        ..Journal::default()
    };
    let mut recorded = fingerprint.clone();
    if matches!(cell.word, Word::DeclaredElsewhere | Word::GoneElsewhere) {
        recorded.project = "another".to_owned();
    }
    journal.scopes.insert(Scope::new(SCOPE), recorded);
    if let Some(record) = record(subject, cell.memory, now) {
        journal.records.insert(subject.key(), record);
    }
    let mut items = items(subject, cell.world, owner).unwrap_or_default();
    for item in &mut items {
        item.is_hidden = cell.view == View::LeavesItOut;
    }
    let mut engine = Engine::new(settings(cell, owner), journal, 1);
    let mut play = Play {
        subject,
        cell,
        judged: plant.judged,
        owner,
        shown: None,
        foe: plant.foe,
        worlds: vec![shapes(&items)],
        items,
        now,
        queue: VecDeque::new(),
        alarm: None,
        wrote_at: now,
        outcome: Outcome {
            deeds: Vec::new(),
            faults: Vec::new(),
            end: "",
            drift: Drift::default(),
            events: 0,
        },
    };
    let mut desired = desired.clone();
    if cell.word == Word::GoneHidden {
        desired.hiding = Some("a file cannot be read".to_owned());
    }
    let desired = Arc::new(desired);
    if cell.word != Word::GoneReadOnce {
        play.queue.push_back(Event::Desired(Arc::clone(&desired)));
    }
    play.queue.push_back(Event::Desired(desired));
    play.run(&mut engine, &fingerprint);
    let snapshot = engine.snapshot();
    play.outcome.end = match snapshot.objects.get(&subject.key()) {
        Some(object) => object.reason,
        None => "Forgotten",
    };
    play.outcome
}

impl Play<'_> {
    fn run(&mut self, engine: &mut Engine, fingerprint: &Fingerprint) {
        let mut rests = 0;
        while self.outcome.deeds.len() <= STEPS {
            if let Some(event) = self.queue.pop_front() {
                self.now += jiff::SignedDuration::from_millis(20);
                self.outcome.events += 1;
                if self.outcome.events > BUSIEST {
                    let plan = engine.plans().remove(&self.subject.key()).map(|it| it.plan);
                    let words = format!("it never rests: {plan:?}");
                    self.outcome.faults.push(words);
                    return;
                }
                for effect in engine.handle(event, self.now) {
                    self.carry_out(effect, fingerprint);
                }
                continue;
            }
            // At rest, and a poll later still.
            rests = if engine.is_at_rest() { rests + 1 } else { 0 };
            if rests == 1 && self.outcome.drift == Drift::default() {
                let intention = engine.plans().remove(&self.subject.key());
                self.outcome.drift = intention.map(|it| it.drift).unwrap_or_default();
            }
            if rests > 1 || self.now > self.wrote_at + LONGEST {
                return;
            }
            self.cloud_moves_on(engine);
            let Some(alarm) = self.alarm.take() else {
                return;
            };
            self.now = self.now.max(alarm);
            self.queue.push_back(Event::Alarm);
        }
        let words = format!("no fixpoint within {STEPS} steps");
        self.outcome.faults.push(words);
    }

    /// The list as it is.
    fn shown(&mut self) -> &Vec<Value> {
        let list = || self.subject.list(self.subject.kind.name(), &self.items);
        self.shown.get_or_insert_with(list)
    }

    /// What is in transit arrives while it is waited for.
    fn cloud_moves_on(&mut self, engine: &Engine) {
        match self.foe {
            Foe::Nobody => {}
            Foe::Reverts => self.items.iter_mut().for_each(|item| {
                item.differs = Some(Class::Update);
            }),
            Foe::Removes => self.items.clear(),
        }
        self.shown = None;
        if self.items.iter().all(|item| item.state.is_none()) {
            return;
        }
        let plans = engine.plans();
        let plan = plans.get(&self.subject.key()).map(|it| &it.plan);
        let Some(Plan::Wait(waiting)) = plan else {
            return;
        };
        match waiting {
            Waiting::Moving(_) => self.items.iter_mut().for_each(|item| item.state = None),
            Waiting::Leaving => self.items.retain(|item| item.state != self.subject.leaving),
            _ => {}
        }
    }

    fn carry_out(&mut self, effect: Effect, fingerprint: &Fingerprint) {
        let event = match effect {
            Effect::Connect { scope, .. } => Event::Connected {
                scope,
                result: Ok(fingerprint.clone()),
            },
            Effect::List { scope, kind, .. } => {
                let is_it = kind == self.subject.kind.name();
                let mut list = match is_it {
                    true => self.shown().clone(),
                    false => self.subject.list(kind, &[]),
                };
                if is_it && self.cell.view == View::HasNonsense {
                    list.push(Value::from(7));
                }
                let result = match self.cell.view {
                    View::Fails if is_it => Err(lost()),
                    _ => Ok(Looked::of(kind, list)),
                };
                Event::Listed {
                    scope,
                    kind,
                    started_at: self.now,
                    result,
                }
            }
            Effect::Quota { scope, get } => Event::Quota {
                scope,
                service: get.service,
                started_at: self.now,
                result: Err(refused(&Call::from(&get), 403)),
            },
            Effect::Record { ticket, .. } => Event::Recorded {
                ticket,
                result: Ok(()),
            },
            Effect::Call {
                ticket,
                intent,
                call,
                ..
            } => Event::Called {
                ticket,
                result: self.answer(&intent, &call),
            },
            Effect::Alarm(at) => {
                self.alarm = Some(at);
                return;
            }
            Effect::Publish => return,
        };
        self.queue.push_back(event);
    }

    fn answer(&mut self, intent: &Intent, call: &Call) -> Result<Reply, CallError> {
        let body = text(&call.body);
        if call.method != Method::Get && self.subject.is_anothers(&call.path) {
            let words = format!("{intent} ({}): it is another's", call.path);
            self.outcome.faults.push(words);
        }
        let target = self.named(&format!("{} {body}", call.path));
        if *intent == Intent::Inspect || call.method == Method::Get {
            return match target {
                Some(index) => Ok(ok(self.subject.answer(&self.items[index]))),
                None => Err(refused(call, 404)),
            };
        }
        let deed = match intent {
            Intent::Create => Deed::Create,
            Intent::Adopt => Deed::Adopt,
            Intent::Delete => Deed::Delete,
            _ if self.cell.word.declares() => Deed::Change,
            _ => Deed::Disable,
        };
        let target = target.filter(|_| deed != Deed::Create);
        self.judge(deed, target, intent, call);
        let is_taken = self.subject.kind.marker() == MarkerPlace::NaturalKey;
        match target {
            None if deed != Deed::Create => return Err(refused(call, 404)),
            None if is_taken && !self.items.is_empty() => return Err(refused(call, 409)),
            _ => {}
        }
        self.outcome.deeds.push(deed);
        self.wrote_at = self.now;
        let Some(index) = target else {
            self.items.push(Item {
                id: match self.subject.can_have_twins() {
                    true => MADE.to_owned(),
                    false => self.subject.original.id.clone(),
                },
                marker: marker_in(&body),
                ..self.subject.original.clone()
            });
            self.look_for_a_cycle();
            // The answer is lost: it is looked for.
            return Err(lost());
        };
        let item = &mut self.items[index];
        match deed {
            _ if item.is_stubborn => return Ok(ok(Value::Null)),
            Deed::Delete => {
                self.items.remove(index);
            }
            Deed::Adopt => item.marker = marker_in(&body),
            Deed::Disable => item.is_off = true,
            Deed::Change | Deed::Create => (item.state, item.differs) = (None, None),
        }
        self.look_for_a_cycle();
        Ok(ok(Value::Null))
    }

    /// Which one a request is about. Some are known by their parts, and not named by an id.
    fn named(&self, request: &str) -> Option<usize> {
        let original = &self.subject.original.id;
        let is_named = |id: &&&str| request.contains(**id);
        let ids = [&**original, TWIN, MADE, NOWHERE];
        match ids.iter().find(is_named) {
            Some(id) => self.items.iter().position(|it| it.id == **id),
            None => (!self.items.is_empty()).then_some(0),
        }
    }

    fn judge(&mut self, deed: Deed, target: Option<usize>, intent: &Intent, call: &Call) {
        let case = Case {
            subject: self.subject,
            cell: self.judged,
            owner: self.owner,
            truth: &self.items,
        };
        if let Some(why) = case.objection(deed, target.map(|index| &self.items[index])) {
            let words = format!("{intent} ({} {}): {why}", call.method.as_str(), call.path);
            self.outcome.faults.push(words);
        }
    }

    /// After a write there must not be again what there was before.
    fn look_for_a_cycle(&mut self) {
        self.shown = None;
        let world = shapes(&self.items);
        if self.worlds.contains(&world) {
            self.outcome.faults.push("a cycle".to_owned());
        }
        self.worlds.push(world);
    }
}

fn shapes(items: &[Item]) -> Vec<Shape> {
    let shape = |it: &Item| {
        let uid = it.marker.as_deref().and_then(Marker::parse);
        (
            it.id.clone(),
            uid.map(|it| it.uid),
            it.state.clone(),
            it.differs,
            it.is_hidden,
            it.is_off,
        )
    };
    items.iter().map(shape).collect()
}

fn ok(body: Value) -> Reply {
    Reply {
        status: 200,
        body,
        request_id: None,
    }
}

fn lost() -> CallError {
    CallError::Unknown {
        message: "the connection was reset".to_owned(),
        status: None,
        request_id: None,
        retry_after: None,
    }
}

fn refused(call: &Call, status: u16) -> CallError {
    CallError::Rejected {
        service: call.service,
        status,
        fault: None,
        message: "no".to_owned(),
        request_id: None,
        retry_after: None,
    }
}

fn text(body: &Body) -> String {
    match body {
        Body::Json(value) | Body::ImagePatch(value) => value.to_string(),
        Body::None | Body::Upload(_) => String::new(),
    }
}

/// The marker in a request.
fn marker_in(text: &str) -> Option<String> {
    let marker = &text[text.find("sw1.")?..];
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let end = marker.find(|c| !is_part(c)).unwrap_or(marker.len());
    Some(marker[..end].to_owned())
}
