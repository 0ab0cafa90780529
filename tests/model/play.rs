//! One daemon beside a cloud that holds at most a few resources: from an abstract state to where
//! nothing happens any more.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use stackward::engine::desired::Desired;
use stackward::engine::guard::Prune;
use stackward::engine::journal::Journal;
use stackward::engine::plan::Plan;
use stackward::engine::reason::Waiting;
use stackward::engine::scope::{Fingerprint, Scope};
use stackward::engine::{Effect, Engine, Event, Settings};
use stackward::kinds::call::{Body, Call, CallError, Method, Reply};
use stackward::kinds::erased::Intent;
use stackward::kinds::marker::Owner;

use crate::cell::{Cell, Deed, MADE, View, Word, items, objection, record};
use crate::sim::SCOPE;
use crate::subject::{Item, Subject};

const POLL: Duration = Duration::from_secs(60);
/// No state needs longer to come to rest: grace, window and proof of absence are shorter.
const LONGEST: Duration = Duration::from_secs(480);
/// More writes than this are no way to a fixpoint.
const STEPS: usize = 6;
/// Nothing takes more events than this.
const BUSIEST: usize = 600;

/// What became of a state.
pub struct Outcome {
    pub deeds: Vec<Deed>,
    /// What is wrong, in words.
    pub faults: Vec<String>,
    /// Why nothing is sent at the end.
    pub end: &'static str,
}

struct Play<'a> {
    subject: &'a Subject,
    cell: Cell,
    owner: Owner,
    items: Vec<Item>,
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
    settings.gone_after = Duration::from_secs(10);
    settings.prune_allow_empty = cell.word != Word::GoneEmpty;
    settings.observe_only = cell.word == Word::DeclaredObserved;
    settings.prune = match cell.word {
        Word::GonePruneOff => Prune::Off,
        Word::GoneConfirm => Prune::Confirm,
        _ => Prune::Auto,
    };
    settings
}

/// Plays one state to its end. `desired` is what its word declares.
pub fn play(subject: &Subject, cell: Cell, desired: &Desired, owner: Owner) -> Outcome {
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
        owner,
        items,
        now,
        queue: VecDeque::new(),
        alarm: None,
        wrote_at: now,
        outcome: Outcome {
            deeds: Vec::new(),
            faults: Vec::new(),
            end: "",
        },
    };
    let mut desired = desired.clone();
    if cell.word == Word::GoneHidden {
        desired.hiding = Some("a file cannot be read".to_owned());
    }
    if cell.word != Word::GoneReadOnce {
        play.queue.push_back(Event::Desired(desired.clone()));
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
        let (mut rests, mut events) = (0, 0);
        loop {
            if let Some(event) = self.queue.pop_front() {
                self.now += jiff::SignedDuration::from_millis(20);
                events += 1;
                if events > BUSIEST {
                    let plan = engine.plans().remove(&self.subject.key()).map(|it| it.plan);
                    self.outcome
                        .faults
                        .push(format!("it never rests: {plan:?}"));
                    return;
                }
                for effect in engine.handle(event, self.now) {
                    self.carry_out(effect, fingerprint);
                }
                if self.outcome.deeds.len() > STEPS {
                    let words = format!("no fixpoint within {STEPS} writes");
                    self.outcome.faults.push(words);
                    return;
                }
                continue;
            }
            // At rest, and a poll later still.
            if engine.snapshot().at_rest {
                rests += 1;
            }
            if rests > 2 || self.now > self.wrote_at + LONGEST {
                return;
            }
            self.cloud_moves_on(engine);
            let Some(alarm) = self.alarm.take() else {
                return;
            };
            self.now = self.now.max(alarm);
            self.queue.push_back(Event::Alarm);
        }
    }

    /// What is in transit arrives while it is waited for.
    fn cloud_moves_on(&mut self, engine: &Engine) {
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
                let mut list = self.subject.list(kind, &self.items);
                if is_it && self.cell.view == View::HasNonsense {
                    list.push(Value::from(7));
                }
                let result = match self.cell.view {
                    View::Fails if is_it => Err(lost()),
                    _ => Ok(list),
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
        // What is known by its parts is not named by its id.
        let named = self.items.iter().position(|it| call.path.contains(&it.id));
        let by_parts = (!self.subject.can_have_twins() && !self.items.is_empty()).then_some(0);
        let target = named.or(by_parts);
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
            _ => Deed::Change,
        };
        let item = target.map(|index| &self.items[index]);
        let item = item.filter(|_| deed != Deed::Create);
        let wrong = objection(self.subject, self.cell, deed, &self.items, item, self.owner);
        if let Some(why) = wrong {
            let words = format!("{intent} ({} {}): {why}", call.method.as_str(), call.path);
            self.outcome.faults.push(words);
        }
        self.outcome.deeds.push(deed);
        self.wrote_at = self.now;
        match (deed, target) {
            (Deed::Create, _) => {
                let twins = self.subject.can_have_twins();
                self.items.push(Item {
                    id: match twins {
                        true => MADE.to_owned(),
                        false => self.subject.original.id.clone(),
                    },
                    marker: marker_in(&call.body),
                    ..self.subject.original.clone()
                });
                // The answer is lost: it is looked for.
                return Err(lost());
            }
            (Deed::Delete, Some(index)) => {
                self.items.remove(index);
            }
            (Deed::Adopt, Some(index)) => self.items[index].marker = marker_in(&call.body),
            (Deed::Change, Some(index)) => self.items[index].state = None,
            (_, None) => return Err(refused(call, 404)),
        }
        Ok(ok(Value::Null))
    }
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

/// The marker in a request.
fn marker_in(body: &Body) -> Option<String> {
    let text = match body {
        Body::Json(value) | Body::ImagePatch(value) => value.to_string(),
        Body::None | Body::Upload(_) => return None,
    };
    let marker = &text[text.find("sw1.")?..];
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let end = marker.find(|c| !is_part(c)).unwrap_or(marker.len());
    Some(marker[..end].to_owned())
}
