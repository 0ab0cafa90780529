//! What is counted, and the notable events: one function each writes the log line and the metric.
//!
//! Labels are words of closed sets, never names or ids of objects.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
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

/// From a list on the loopback to a slow create.
const SECONDS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// The metrics of one daemon.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    objects: IntGaugeVec,
    reasons: IntGaugeVec,
    steps: IntCounterVec,
    problems: IntGaugeVec,
    deletions: IntGaugeVec,
    paused: IntGaugeVec,
    list_age: GaugeVec,
    quota_limit: IntGaugeVec,
    quota_used: IntGaugeVec,
    journal_writes: IntCounterVec,
    scans: IntCounterVec,
    uploaded: IntCounter,
    token_expiry: IntGaugeVec,
    process: Process,
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
}

impl Metrics {
    /// Fresh ones, all at zero.
    ///
    /// # Errors
    /// Two have the same name, which is a bug.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let labels = ["cloud", "service", "method", "route"];
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "stackward_api_request_duration_seconds",
                "Time of requests to OpenStack, from the first byte out to the last byte in.",
            )
            .buckets(SECONDS.to_vec()),
            &labels,
        )?;
        registry.register(Box::new(durations.clone()))?;
        let list_age = GaugeVec::new(
            Opts::new(
                "stackward_list_age_seconds",
                "Time since a kind of resources was last looked at completely.",
            ),
            &["cloud", "kind"],
        )?;
        registry.register(Box::new(list_age.clone()))?;
        let uploaded = IntCounter::new(
            "stackward_upload_bytes_total",
            "Bytes of images that were handed over to OpenStack.",
        )?;
        registry.register(Box::new(uploaded.clone()))?;
        let build = gauge(
            "stackward_build_info",
            "The running version; always 1.",
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            requests: counter(
                "stackward_api_requests_total",
                "Requests to OpenStack by how they ended.",
                &["cloud", "service", "method", "route", "outcome"],
            )?,
            durations,
            objects: gauge(
                "stackward_objects",
                "Objects by kind and the state of each of their conditions.",
                &["kind", "condition", "status"],
            )?,
            reasons: gauge(
                "stackward_object_reasons",
                "Objects by kind and why nothing is sent for them, or that something is.",
                &["kind", "reason"],
            )?,
            steps: counter(
                "stackward_reconcile_steps_total",
                "Requests that reconcile an object, by what for and how they ended.",
                &["kind", "intent", "outcome"],
            )?,
            problems: gauge(
                "stackward_problems",
                "What is wrong with the manifests, by severity.",
                &["severity"],
            )?,
            deletions: gauge(
                "stackward_deletions",
                "Objects whose manifest is gone and whose resource is not, by what they wait for.",
                &["reason"],
            )?,
            paused: gauge(
                "stackward_paused",
                "1 while nothing at all is written.",
                &[],
            )?,
            list_age,
            quota_limit: gauge(
                "stackward_quota_limit",
                "How much of a resource a project may have; absent where there is no limit.",
                &["cloud", "resource"],
            )?,
            quota_used: gauge(
                "stackward_quota_used",
                "How much of a resource a project has, what is reserved included.",
                &["cloud", "resource"],
            )?,
            journal_writes: counter(
                "stackward_journal_writes_total",
                "Writes to the journal by how they ended.",
                &["outcome"],
            )?,
            scans: counter(
                "stackward_manifest_scans_total",
                "Readings of the directory of manifests by how they ended.",
                &["outcome"],
            )?,
            uploaded,
            token_expiry: gauge(
                "stackward_token_expiry_timestamp_seconds",
                "When the token in use ends, since the epoch.",
                &["cloud"],
            )?,
            process: Process::new(&registry)?,
            registry,
        })
    }

    /// The metrics in Prometheus' text format. What depends on the moment is taken from a picture.
    ///
    /// # Errors
    /// They cannot be encoded, which is a bug.
    pub fn render(&self, snapshot: &Snapshot, now: Timestamp) -> Result<String, prometheus::Error> {
        self.objects.reset();
        self.reasons.reset();
        for (key, object) in &snapshot.objects {
            let labels = [&*key.kind, object.reason];
            self.reasons.with_label_values(&labels).inc();
            for condition in &object.status.conditions {
                let labels = [&*key.kind, condition.kind, truth(condition.status)];
                self.objects.with_label_values(&labels).inc();
            }
        }
        let errors = snapshot
            .problems
            .iter()
            .filter(|problem| problem.is_error())
            .count();
        let warnings = snapshot.problems.len() - errors;
        for (severity, count) in [("error", errors), ("warning", warnings)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.problems.with_label_values(&[severity]).set(count);
        }
        self.deletions.reset();
        for object in snapshot.objects.values().filter(|object| object.deleting) {
            self.deletions.with_label_values(&[object.reason]).inc();
        }
        let paused = i64::from(snapshot.paused.is_some());
        self.paused.with_label_values::<&str>(&[]).set(paused);
        self.list_age.reset();
        for (scope, view) in &snapshot.scopes {
            for (kind, at) in &view.looked_at {
                let age = now.duration_since(*at).as_secs_f64().max(0.0);
                self.list_age.with_label_values(&[&*scope.0, kind]).set(age);
            }
        }
        self.quota_limit.reset();
        self.quota_used.reset();
        for (scope, view) in &snapshot.scopes {
            for (resource, amount) in &view.quotas {
                let labels = [&*scope.0, *resource];
                let number = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
                let used = self.quota_used.with_label_values(&labels);
                used.set(number(amount.used));
                if let Some(limit) = amount.limit {
                    let gauge = self.quota_limit.with_label_values(&labels);
                    gauge.set(number(limit));
                }
            }
        }
        self.process.refresh();
        TextEncoder::new().encode_to_string(&self.registry.gather())
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
        } = exchange;
        self.requests
            .with_label_values(&[&*cloud.0, service, method, route, outcome])
            .inc();
        self.durations
            .with_label_values(&[&*cloud.0, service, method, route])
            .observe(*seconds);
        tracing::debug!(
            cloud = %cloud, service, method, route, outcome = %outcome, seconds, request_id,
            "request ended"
        );
    }

    /// A part of an image went out.
    pub fn uploaded(&self, bytes: u64) {
        self.uploaded.inc_by(bytes);
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

    /// A step is about to be sent.
    pub fn step_began(&self, step: &Step) {
        let Step {
            key, intent, scope, ..
        } = step;
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
        for (key, object) in &now.objects {
            let before = before.objects.get(key);
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
