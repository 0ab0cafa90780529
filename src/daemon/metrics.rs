//! What is counted, and the notable events: one function each writes the log line and the metric.
//!
//! Labels are words of closed sets, never names or ids of objects.

pub(super) mod family;
mod view;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Registry, TextEncoder};
use tokio::time::Instant;

use crate::engine::desired::Desired;
use crate::engine::scope::{Fingerprint, Scope};
use crate::engine::snapshot::Snapshot;
use crate::engine::status::Truth;
use crate::kinds::call::{CallError, Reply};
use crate::kinds::erased::Intent;
use crate::manifest::Key;

use super::process::Process;
use super::remote::Refused;
use view::View;

pub use family::{FAMILIES, Family, Type};

/// From a list on the loopback to a slow create.
const SECONDS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Requests that carry an image take longer.
const STEP_SECONDS: [f64; 11] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0, 1800.0,
];
/// From a network to a large volume of an image.
const BIRTH_SECONDS: [f64; 10] = [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];
/// A forced write to a disk, good or bad.
const DISK_SECONDS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
/// From one object to ten thousand of them.
const THOUGHT_SECONDS: [f64; 9] = [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1.0];

/// The metrics of one daemon.
pub struct Metrics {
    registry: Registry,
    view: View,
    process: Process,
    requests: IntCounterVec,
    durations: HistogramVec,
    retries: IntCounterVec,
    throttled: IntCounterVec,
    steps: IntCounterVec,
    step_durations: HistogramVec,
    available_after: HistogramVec,
    /// Objects that are not Available yet.
    births: Mutex<HashMap<Key, Birth>>,
    journal_writes: IntCounterVec,
    journal_durations: HistogramVec,
    thoughts: HistogramVec,
    scans: IntCounterVec,
    kubernetes_writes: IntCounterVec,
    uploaded: IntCounter,
    notices: IntCounterVec,
    token_expiry: IntGaugeVec,
}

/// An object on its way to being Available.
#[derive(Debug, Clone, Copy)]
struct Birth {
    since: Instant,
    /// Something was made for it; else it is only looked at for the first time.
    made: bool,
}

/// One request that changes something, or that a deletion hangs on.
#[derive(Debug)]
pub struct Step {
    /// For which object.
    pub key: Key,
    /// What for.
    pub intent: Intent,
    /// Where.
    pub scope: Scope,
    /// Since when.
    pub began: Instant,
}

/// One HTTP exchange with a cloud.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The service.
    pub service: &'static str,
    /// HTTP method.
    pub method: &'static str,
    /// The path without its ids.
    pub route: &'static str,
    /// The status, or a word for its absence.
    pub outcome: String,
    /// How long it took.
    pub seconds: f64,
    /// The service's id of it.
    pub request_id: Option<&'a str>,
    /// The how manieth of the same read it was, from 1.
    pub attempt: u32,
}

impl Metrics {
    /// Fresh ones, all at zero.
    ///
    /// # Errors
    /// Two have the same name, which is a bug.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let build = family::BUILD_INFO.gauges(&registry)?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let journal_writes = family::JOURNAL_WRITES.counters(&registry)?;
        let scans = family::SCANS.counters(&registry)?;
        // Rates need a zero to grow from.
        for outcome in ["done", "failed"] {
            journal_writes.with_label_values(&[outcome]);
        }
        for outcome in ["complete", "incomplete", "unreadable"] {
            scans.with_label_values(&[outcome]);
        }
        let uploaded = family::UPLOADED.counters(&registry)?;
        let notices = family::NOTICES.counters(&registry)?;
        for outcome in ["delivered", "failed", "dropped"] {
            notices.with_label_values(&[outcome]);
        }
        Ok(Self {
            view: View::new(&registry)?,
            process: Process::new(&registry)?,
            requests: family::REQUESTS.counters(&registry)?,
            durations: family::REQUEST_DURATION.histograms(&registry, &SECONDS)?,
            retries: family::RETRIES.counters(&registry)?,
            throttled: family::THROTTLED.counters(&registry)?,
            steps: family::STEPS.counters(&registry)?,
            step_durations: family::STEP_DURATION.histograms(&registry, &STEP_SECONDS)?,
            available_after: family::AVAILABLE_AFTER.histograms(&registry, &BIRTH_SECONDS)?,
            births: Mutex::default(),
            journal_writes,
            journal_durations: family::JOURNAL_DURATION.histograms(&registry, &DISK_SECONDS)?,
            thoughts: family::EVENT_DURATION.histograms(&registry, &THOUGHT_SECONDS)?,
            scans,
            kubernetes_writes: family::KUBERNETES_WRITES.counters(&registry)?,
            uploaded: uploaded.with_label_values::<&str>(&[]),
            notices,
            token_expiry: family::TOKEN_EXPIRY.gauges(&registry)?,
            registry,
        })
    }

    /// The metrics in Prometheus' text format. What depends on the moment is taken from a picture.
    ///
    /// # Errors
    /// They cannot be encoded, which is a bug.
    pub fn render(&self, snapshot: &Snapshot, now: Timestamp) -> Result<String, prometheus::Error> {
        self.view.show(snapshot, now, || {
            self.process.refresh();
            TextEncoder::new().encode_to_string(&self.registry.gather())
        })
    }

    /// A request to a cloud ended.
    pub fn exchanged(&self, cloud: &Scope, exchange: &Exchange<'_>) {
        let Exchange {
            service,
            method,
            route,
            outcome,
            seconds,
            request_id,
            attempt,
        } = exchange;
        let labels = [&*cloud.0, *service, *method, *route];
        if *attempt > 1 {
            self.retries.with_label_values(&labels).inc();
        }
        if outcome == "429" {
            self.throttled.with_label_values(&labels).inc();
        }
        self.requests
            .with_label_values(&[&*cloud.0, service, method, route, outcome])
            .inc();
        self.durations.with_label_values(&labels).observe(*seconds);
        tracing::debug!(
            cloud = %cloud, service, method, route, outcome = %outcome, seconds, request_id,
            "request ended"
        );
    }

    /// Somebody wanted something written through Kubernetes' API.
    pub(super) fn written(
        &self,
        key: &Key,
        verb: &'static str,
        user: &str,
        outcome: &'static str,
        why: Option<&str>,
    ) {
        self.kubernetes_writes
            .with_label_values(&[verb, outcome])
            .inc();
        tracing::info!(user, verb, object = %key, outcome, why, "write through the API");
    }

    /// A part of an image went out.
    pub fn uploaded(&self, bytes: u64) {
        self.uploaded.inc_by(bytes);
    }

    /// A notice for the webhook was `delivered`, has `failed`, or was `dropped`: there were too many.
    pub(super) fn notified(&self, outcome: &'static str) {
        self.notices.with_label_values(&[outcome]).inc();
    }

    /// The token of a cloud ends then.
    pub fn token_expires(&self, cloud: &Scope, at: Timestamp) {
        self.token_expiry
            .with_label_values(&[&*cloud.0])
            .set(at.as_second());
    }

    /// The directory was read, or could not be.
    pub fn scanned(&self, desired: &Desired, readable: bool) {
        let outcome = match (readable, &desired.hiding) {
            (false, _) => "unreadable",
            (true, Some(_)) => "incomplete",
            (true, None) => "complete",
        };
        self.scans.with_label_values(&[outcome]).inc();
        tracing::debug!(
            outcome,
            objects = desired.objects.len(),
            problems = desired.problems.len(),
            "manifests read"
        );
    }

    /// The operating system does not say when the directory changes.
    pub fn not_watched(&self, directory: &Path, error: &notify::Error) {
        tracing::warn!(
            directory = %directory.display(), %error,
            "directory cannot be watched, it is read at intervals"
        );
    }

    /// A scope was connected to, or refused.
    pub fn connected(&self, scope: &Scope, result: &Result<Fingerprint, Refused>) {
        match result {
            Ok(it) => tracing::info!(
                cloud = %scope, project = it.project, auth_url = it.auth_url, region = it.region,
                "connected"
            ),
            Err(error) => tracing::warn!(cloud = %scope, %error, "not connected"),
        }
    }

    /// A collection could not be read.
    pub fn list_failed(&self, scope: &Scope, kind: &'static str, error: &CallError) {
        tracing::warn!(cloud = %scope, kind, %error, "list failed");
    }

    /// The journal was written, or not.
    pub fn journal_written(&self, result: &Result<(), String>) {
        let outcome = if result.is_ok() { "done" } else { "failed" };
        self.journal_writes.with_label_values(&[outcome]).inc();
        if let Err(error) = result {
            tracing::error!(error, "journal not written");
        }
    }

    /// A write to the journal took so long.
    pub fn journal_took(&self, time: Duration) {
        let histogram = self.journal_durations.with_label_values::<&str>(&[]);
        histogram.observe(time.as_secs_f64());
    }

    /// What follows from an event took so long to find out; nothing else was decided meanwhile.
    pub fn thought(&self, event: &'static str, time: Duration) {
        let histogram = self.thoughts.with_label_values(&[event]);
        histogram.observe(time.as_secs_f64());
    }

    /// A step is about to be sent.
    pub fn step_began(&self, step: &Step) {
        let Step {
            key,
            intent,
            scope,
            began,
        } = step;
        if *intent == Intent::Create {
            let since = *began;
            let birth = Birth { since, made: true };
            let mut births = self.births();
            births.entry(key.clone()).or_insert(birth).made = true;
        }
        tracing::debug!(object = %key, intent = intent.verb(), cloud = %scope, "step begun");
    }

    /// A step was answered, or not.
    pub fn step_ended(&self, step: &Step, result: &Result<Reply, CallError>) {
        let Step {
            key,
            intent,
            scope,
            began,
        } = step;
        let (intent, seconds) = (intent.verb(), began.elapsed().as_secs_f64());
        let outcome = match result {
            Ok(_) => "done",
            Err(CallError::NotSent { .. }) => "not_sent",
            Err(CallError::Rejected { .. }) => "rejected",
            Err(CallError::Unknown { .. }) => "unknown",
        };
        self.steps
            .with_label_values(&[&*key.kind, intent, outcome])
            .inc();
        self.step_durations
            .with_label_values(&[&*key.kind, intent])
            .observe(seconds);
        match result {
            Ok(reply) => tracing::info!(
                object = %key, intent, cloud = %scope, seconds, request_id = reply.request_id,
                "step done"
            ),
            // The answer that a deletion hopes for.
            Err(error) if intent == "inspect" && error.is_not_found() => {
                tracing::info!(object = %key, intent, cloud = %scope, seconds, "step done");
            }
            Err(error) => tracing::warn!(
                object = %key, intent, cloud = %scope, seconds, outcome, %error, "step failed"
            ),
        }
    }

    /// A picture replaces the one before it: what changed is logged.
    pub fn published(&self, before: &Arc<Snapshot>, now: &Arc<Snapshot>) {
        self.follow_births(before, now);
        for (key, object) in &now.objects {
            let before = before.objects.get(key);
            if before.is_some_and(|before| Arc::ptr_eq(before, object)) {
                continue;
            }
            for condition in &object.status.conditions {
                let was = before.and_then(|object| object.status.condition(condition.kind));
                if was.map(|was| (was.status, was.reason))
                    == Some((condition.status, condition.reason))
                {
                    continue;
                }
                tracing::info!(
                    object = %key,
                    condition = condition.kind,
                    status = truth(condition.status),
                    reason = condition.reason,
                    detail = condition.message,
                    "condition changed"
                );
            }
        }
        for key in before
            .objects
            .keys()
            .filter(|key| !now.objects.contains_key(key))
        {
            tracing::info!(object = %key, "object gone");
        }
        if now.paused != before.paused {
            match &now.paused {
                Some(why) => tracing::warn!(why, "nothing is written any more"),
                None => tracing::info!("resources are written again"),
            }
        }
        let hash = |snapshot: &Snapshot| snapshot.frozen.as_ref().map(|it| it.hash.clone());
        if let Some(frozen) = &now.frozen
            && hash(now) != hash(before)
        {
            tracing::warn!(
                hash = frozen.hash,
                objects = frozen.objects.len(),
                managed = frozen.managed,
                "deletions wait for `stackward approve`"
            );
        }
        for problem in now
            .problems
            .iter()
            .filter(|problem| !before.problems.contains(problem))
        {
            let origin = problem.origin.as_ref().map(ToString::to_string);
            let object = problem.object.as_ref().map(ToString::to_string);
            tracing::warn!(
                code = problem.code.as_str(),
                origin,
                object,
                detail = problem.message,
                hint = problem.hint,
                "problem in the manifests"
            );
        }
    }

    fn follow_births(&self, before: &Snapshot, now: &Snapshot) {
        let mut births = self.births();
        births.retain(|key, _| now.objects.get(key).is_some_and(|it| !it.deleting));
        for (key, object) in &now.objects {
            if object.status.is_available() {
                if let Some(birth) = births.remove(key).filter(|birth| birth.made) {
                    let histogram = self.available_after.with_label_values(&[&*key.kind]);
                    histogram.observe(birth.since.elapsed().as_secs_f64());
                }
            } else if !object.deleting && !before.objects.contains_key(key) {
                let (since, made) = (Instant::now(), false);
                births.entry(key.clone()).or_insert(Birth { since, made });
            }
        }
    }

    fn births(&self) -> MutexGuard<'_, HashMap<Key, Birth>> {
        self.births.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stop ran out of patience.
    pub fn stopped_with_requests_in_flight(&self, count: usize) {
        tracing::error!(count, "stopped although requests are in flight");
    }
}

/// The word of a truth value.
#[must_use]
pub const fn truth(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "True",
        Truth::False => "False",
        Truth::Unknown => "Unknown",
    }
}
