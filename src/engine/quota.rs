//! The quotas of each scope: when they are read, what this daemon has taken since, and whether one
//! more request fits.
//!
//! A look before the leap, and no more than that: the service decides. What it does not tell holds
//! nothing up.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::kinds::call::{CallError, Reply, Service};
use crate::kinds::erased::Intent;
use crate::kinds::quota::{self, Amount, Demand, Limits, Nearby, RESOURCES};
use crate::manifest::Key;

use super::assess::Assessment;
use super::desired::Object;
use super::lists::Lists;
use super::observe::named_project;
use super::pace::after;
use super::plan::{Plan, Todo};
use super::reason::Waiting;
use super::scope::Scope;
use super::{Effect, Engine, Link};

/// What is known of the quotas.
#[derive(Debug, Clone, Default)]
pub(super) struct Quotas {
    reads: Lists<Service>,
    /// The last answers; `None` when a service does not tell.
    told: BTreeMap<(Scope, Service), Option<Limits>>,
    /// For requests that are decided on or under way.
    open: BTreeMap<Key, (Scope, Vec<Demand>)>,
    /// For requests that ended then: only a reading that began later knows of them.
    ended: Vec<(Timestamp, Scope, Demand)>,
    /// The sum of both, so that a thousand creates are not summed up a thousand times.
    taken: BTreeMap<(Scope, Service, String), u64>,
}

impl Quotas {
    /// Nothing is under way for this object: what was set aside for it is free again.
    pub(super) fn let_go(&mut self, key: &Key) {
        if let Some((scope, demands)) = self.open.remove(key) {
            for demand in demands {
                self.give_back(&scope, &demand);
            }
        }
    }

    /// The request for this object has ended. What the service may have taken counts until it says
    /// so itself.
    pub(super) fn ended(&mut self, key: &Key, may_be_done: bool, now: Timestamp) {
        if !may_be_done {
            self.let_go(key);
            return;
        }
        if let Some((scope, demands)) = self.open.remove(key) {
            let ended = demands.into_iter().map(|it| (now, scope.clone(), it));
            self.ended.extend(ended);
        }
    }

    /// What a scope's services tell, by the names that every cloud has.
    pub(super) fn view(&self, scope: &Scope) -> BTreeMap<&'static str, Amount> {
        let told = self.told.iter().filter(|((of, _), _)| of == scope);
        let limits: Vec<&Limits> = told.filter_map(|(_, limits)| limits.as_ref()).collect();
        let amount = |name: &str| limits.iter().find_map(|it| it.0.get(name).copied());
        let named = RESOURCES.iter().filter_map(|it| Some((*it, amount(it)?)));
        named.collect()
    }

    /// Sets aside what a request takes, or says what is missing.
    fn take(
        &mut self,
        key: &Key,
        scope: &Scope,
        demands: Vec<Demand>,
        now: Timestamp,
    ) -> Result<(), Waiting> {
        let mut short = Vec::new();
        for demand in &demands {
            let of = (scope.clone(), demand.service);
            match self.told.get(&of) {
                None if self.reads.watches(&of) => {
                    self.reads.want_any(scope, demand.service, now);
                    return Err(Waiting::FirstLook);
                }
                None | Some(None) => {}
                Some(Some(limits)) => {
                    let name = (of.0, of.1, demand.resource.to_string());
                    let taken = self.taken.get(&name).copied().unwrap_or_default();
                    short.extend(limits.shortage(demand, taken));
                }
            }
        }
        if !short.is_empty() {
            return Err(Waiting::Room(short));
        }
        for demand in &demands {
            *self.taken.entry(name(scope, demand)).or_default() += demand.amount;
        }
        self.open.insert(key.clone(), (scope.clone(), demands));
        Ok(())
    }

    /// A service has told, or not.
    fn put(&mut self, scope: &Scope, service: Service, began: Timestamp, limits: Option<Limits>) {
        let is_silent = limits.is_none();
        self.told.insert((scope.clone(), service), limits);
        let (known, kept) =
            std::mem::take(&mut self.ended)
                .into_iter()
                .partition(|(at, of, demand)| {
                    of == scope && demand.service == service && (is_silent || *at < began)
                });
        self.ended = kept;
        for (_, scope, demand) in known {
            self.give_back(&scope, &demand);
        }
    }

    fn give_back(&mut self, scope: &Scope, demand: &Demand) {
        let name = name(scope, demand);
        if let Some(taken) = self.taken.get_mut(&name) {
            *taken = taken.saturating_sub(demand.amount);
            if *taken == 0 {
                self.taken.remove(&name);
            }
        }
    }
}

fn name(scope: &Scope, demand: &Demand) -> (Scope, Service, String) {
    let resource = demand.resource.to_string();
    (scope.clone(), demand.service, resource)
}

/// Where nothing is written, nothing is taken.
fn writes(links: &BTreeMap<Scope, Link>, scope: &Scope) -> bool {
    matches!(links.get(scope), Some(Link::Up(_)))
}

impl Engine {
    /// Says whose quotas are read: those from which a declared object would take.
    pub(super) fn watch_quotas(&mut self, now: Timestamp) {
        let mut wanted: BTreeSet<(Scope, Service)> = BTreeSet::new();
        for object in self.desired.objects.values() {
            let Some(spec) = &object.accepted.spec else {
                continue;
            };
            let unseen = Nearby(&|_, _| None);
            let demands = object
                .kind
                .demand(&Intent::Create, &spec.value(), None, &unseen);
            wanted.extend(demands.iter().map(|it| (object.scope.clone(), it.service)));
        }
        self.quotas.told.retain(|of, _| wanted.contains(of));
        // Sooner if anything is about to take of them.
        let first = after(now, self.settings.poll_interval);
        self.quotas.reads.watch(&wanted, &BTreeSet::new(), first);
    }

    /// Begins the readings that are due.
    pub(super) fn read_quotas(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for (scope, service) in self
            .quotas
            .reads
            .begin(now, |scope| writes(&self.links, scope))
        {
            let Some(Link::Up(fingerprint)) = self.links.get(&scope) else {
                continue;
            };
            if let Some(get) = quota::read(service, &fingerprint.project) {
                effects.push(Effect::Quota { scope, get });
            }
        }
    }

    /// When the next reading is due.
    pub(super) fn next_quota(&self) -> Option<Timestamp> {
        self.quotas
            .reads
            .next_due(|scope| writes(&self.links, scope))
    }

    /// A reading has ended. A service that refuses it, has none, or is out of order is not waited for.
    pub(super) fn quota_told(
        &mut self,
        scope: &Scope,
        service: Service,
        started_at: Timestamp,
        result: &Result<Reply, CallError>,
        now: Timestamp,
    ) {
        let limits = result.as_ref().ok();
        let limits = limits.map(|reply| Limits::of(service, &reply.body));
        // A refusal is an answer: asking again at once would bring the same.
        let answered = !matches!(
            result,
            Err(CallError::NotSent { .. } | CallError::Unknown { .. })
        );
        let interval = self.settings.poll_interval;
        self.quotas.put(scope, service, started_at, limits);
        let rng = &mut self.rng;
        self.quotas
            .reads
            .end(scope, service, answered, now, interval, rng);
        let waits = |plan: &Option<Plan>| {
            matches!(
                plan,
                Some(Plan::Wait(Waiting::Room(_) | Waiting::FirstLook))
            )
        };
        let waiting = self.work.iter().filter(|(_, work)| waits(&work.plan));
        self.dirty.extend(waiting.map(|(key, _)| key.clone()));
        self.visible = true;
    }

    /// Is it made in another project? That one's quotas are not read.
    fn is_elsewhere(&self, scope: &Scope, spec: &Value) -> bool {
        match (self.links.get(scope), named_project(spec)) {
            (Some(Link::Up(fingerprint)), Some(project)) => project != fingerprint.project,
            (_, named) => named.is_some(),
        }
    }

    /// Does a request fit into what is left? Then what it takes is set aside.
    pub(super) fn make_room(
        &mut self,
        object: &Object,
        todo: &Todo,
        assessment: &Assessment,
        now: Timestamp,
    ) -> Option<Plan> {
        let spec = assessment.resolved.spec.as_ref()?;
        let seen =
            |kind: &'static str, id: &str| self.inventory.listing(&object.scope, kind)?.get(id);
        if self.is_elsewhere(&object.scope, spec) {
            return None;
        }
        let found = assessment.found.as_ref();
        let demands = object
            .kind
            .demand(&todo.intent, spec, found, &Nearby(&seen));
        if demands.is_empty() {
            return None;
        }
        let taken = self.quotas.take(object.key(), &object.scope, demands, now);
        taken.err().map(Plan::Wait)
    }
}
