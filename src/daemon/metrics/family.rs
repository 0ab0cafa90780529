//! Every metric, as a table: its name, its labels, and what HELP and the page of the reference say.
//!
//! Names follow Prometheus' rules: base units, `_total` for counters, and labels from closed sets only
//! (kinds, reasons, services, templates of routes, the clouds that are configured), never ids.

use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
};

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Observations in buckets of seconds.
    Histogram,
}

impl Type {
    /// As TYPE has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it is to Prometheus.
    pub kind: Type,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

type Labels = &'static [&'static str];

const fn family(name: &'static str, kind: Type, labels: Labels, help: &'static str) -> Family {
    Family {
        name,
        kind,
        labels,
        help,
    }
}

const fn counter(name: &'static str, labels: Labels, help: &'static str) -> Family {
    family(name, Type::Counter, labels, help)
}

const fn gauge(name: &'static str, labels: Labels, help: &'static str) -> Family {
    family(name, Type::Gauge, labels, help)
}

const fn histogram(name: &'static str, labels: Labels, help: &'static str) -> Family {
    family(name, Type::Histogram, labels, help)
}

/// Makes the constants, and the table of all of them: none can be forgotten in it.
macro_rules! families {
    ($($constant:ident = $family:expr;)*) => {
        $(pub(in crate::daemon) const $constant: Family = $family;)*
        /// Every metric of the daemon, in the order of the page.
        pub const FAMILIES: &[Family] = &[$($constant),*];
    };
}

families! {
    OBJECTS = gauge("stackward_objects", &["kind", "condition", "status"],
        "Objects by kind and the state of each of their conditions.");
    REASONS = gauge("stackward_object_reasons", &["kind", "reason"],
        "Objects by why nothing is sent for them: `InSync`, `Doing`, or a reason of waiting (`Stalled`, `Quota`, ...) or being blocked (`Immutable`, `Successor`, ...).");
    PROGRESSING = gauge("stackward_progressing_oldest_seconds", &["kind"],
        "For how long the object that has been Progressing the longest has been so.");
    AVAILABLE_AFTER = histogram("stackward_time_to_available_seconds", &["kind"],
        "Time from when an object was first seen in the manifests, or had to be made anew, until what was made for it was Available.");
    DELETIONS = gauge("stackward_deletions", &["reason"],
        "Objects whose manifest is gone and whose resource is not, by what they wait for: `Frozen` needs `stackward approve`.");
    DRIFT_FOUND = counter("stackward_drift_found_total", &["kind"],
        "Resources that were as their manifests say and, with the same manifests, are not any more.");
    DRIFT_REPAIRED = counter("stackward_drift_repaired_total", &["kind"],
        "Resources that drifted and are as their manifests say again after a request of the daemon.");
    STEPS = counter("stackward_reconcile_steps_total", &["kind", "intent", "outcome"],
        "Requests that reconcile an object, by what for and how they ended: `done`, `rejected`, `not_sent`, `unknown`.");
    STEP_DURATION = histogram("stackward_reconcile_step_duration_seconds", &["kind", "intent"],
        "Time of those requests, uploads included.");
    IN_FLIGHT = gauge("stackward_requests_in_flight", &["cloud", "service"],
        "Requests that reconcile an object and are under way.");
    QUEUE_LENGTH = gauge("stackward_queue_length", &["cloud", "service"],
        "Objects with a request to send that wait for a place among those in flight.");
    QUEUE_OLDEST = gauge("stackward_queue_oldest_seconds", &["cloud", "service"],
        "For how long the first of them has waited.");
    SERVICE_PAUSED = gauge("stackward_service_paused", &["cloud", "service"],
        "1 while nothing is sent to a service because it asked for a pause (`Retry-After`).");
    READY = gauge("stackward_ready", &[],
        "1 after the first complete look at the manifests and the clouds, as `/readyz` says.");
    PAUSED = gauge("stackward_paused", &[],
        "1 while nothing at all is written.");
    PROBLEMS = gauge("stackward_problems", &["severity"],
        "What is wrong with the manifests.");
    SCANS = counter("stackward_manifest_scans_total", &["outcome"],
        "Readings of the directory: `complete`, `incomplete`, `unreadable`.");
    KUBERNETES_WRITES = counter("stackward_kubernetes_writes_total", &["verb", "outcome"],
        "What kubectl and others wanted written (`--api-write`): `done`, `unchanged`, `dry-run`, `refused` (their mistake), `failed` (ours).");
    CONNECTED = gauge("stackward_cloud_connected", &["cloud"],
        "1 while a cloud can be used; 0 when it refuses the credentials, cannot be reached or turns out to be another one.");
    LIST_AGE = gauge("stackward_list_age_seconds", &["cloud", "kind"],
        "Time since a kind of resources was last looked at completely.");
    REQUESTS = counter("stackward_api_requests_total", &["cloud", "service", "method", "route", "outcome"],
        "Requests to OpenStack by how they ended: the status, `not_sent` or `lost`.");
    REQUEST_DURATION = histogram("stackward_api_request_duration_seconds", &["cloud", "service", "method", "route"],
        "Time of requests to OpenStack, from the first byte out to the last byte in.");
    RETRIES = counter("stackward_api_retries_total", &["cloud", "service", "method", "route"],
        "Those among them that repeated a read that had failed. Writes are never repeated.");
    THROTTLED = counter("stackward_api_throttled_total", &["cloud", "service", "method", "route"],
        "Those among them that were answered with 429: too many requests.");
    TOKEN_EXPIRY = gauge("stackward_token_expiry_timestamp_seconds", &["cloud"],
        "When the token in use ends, since the epoch.");
    QUOTA_LIMIT = gauge("stackward_quota_limit", &["cloud", "resource"],
        "How much a project may have of what a service counts (`cores`, `gigabytes`, `port`, ...); absent without a limit.");
    QUOTA_USED = gauge("stackward_quota_used", &["cloud", "resource"],
        "How much of it there is, reservations included.");
    UPLOADED = counter("stackward_upload_bytes_total", &[],
        "Bytes of images that were handed over to OpenStack.");
    JOURNAL_WRITES = counter("stackward_journal_writes_total", &["outcome"],
        "Writes to the journal: `done` or `failed`.");
    JOURNAL_DURATION = histogram("stackward_journal_write_duration_seconds", &[],
        "Time of writes to the journal, until they are on the disk.");
    EVENT_DURATION = histogram("stackward_event_duration_seconds", &["event"],
        "Time to find out what follows from an event (`listed`, `called`, `desired`, ...), and to `publish` the outcome.");
    NOTICES = counter("stackward_webhook_notices_total", &["outcome"],
        "Notices for the webhook: `delivered`, `failed` after all tries, or `dropped` since too many waited.");
    BUILD_INFO = gauge("stackward_build_info", &["version"],
        "The running version; always 1.");
    PROCESS_CPU = counter("process_cpu_seconds_total", &[],
        "CPU time of the process.");
    PROCESS_START = gauge("process_start_time_seconds", &[],
        "Start of the process since the epoch.");
    PROCESS_RESIDENT = gauge("process_resident_memory_bytes", &[],
        "Memory that is held.");
    PROCESS_VIRTUAL = gauge("process_virtual_memory_bytes", &[],
        "Memory that is mapped.");
    PROCESS_FDS = gauge("process_open_fds", &[],
        "Open file descriptors.");
    PROCESS_MAX_FDS = gauge("process_max_fds", &[],
        "File descriptors that may be open.");
    PROCESS_THREADS = gauge("process_threads", &[],
        "Threads.");
}

type Registered<T> = Result<T, prometheus::Error>;

impl Family {
    pub(in crate::daemon) fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    pub(super) fn counters(&self, registry: &Registry) -> Registered<IntCounterVec> {
        let made = IntCounterVec::new(self.opts(), self.labels)?;
        registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    pub(super) fn gauges(&self, registry: &Registry) -> Registered<IntGaugeVec> {
        let made = IntGaugeVec::new(self.opts(), self.labels)?;
        registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    /// For what is no whole number.
    pub(super) fn floats(&self, registry: &Registry) -> Registered<GaugeVec> {
        let made = GaugeVec::new(self.opts(), self.labels)?;
        registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    pub(super) fn histograms(
        &self,
        registry: &Registry,
        buckets: &[f64],
    ) -> Registered<HistogramVec> {
        let opts = HistogramOpts::new(self.name, self.help).buckets(buckets.to_vec());
        let made = HistogramVec::new(opts, self.labels)?;
        registry.register(Box::new(made.clone()))?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let names: BTreeSet<&str> = FAMILIES.iter().map(|it| it.name).collect();
        assert_eq!(names.len(), FAMILIES.len(), "a name is there twice");
        for family in FAMILIES {
            let name = family.name;
            assert!(
                name.starts_with("stackward_") || name.starts_with("process_"),
                "{name}"
            );
            assert!(family.help.ends_with('.'), "{name}");
            let total = name.ends_with("_total");
            assert_eq!(total, family.kind == Type::Counter, "{name}");
            if family.kind == Type::Histogram {
                assert!(name.ends_with("_seconds"), "{name}");
            }
            for suffix in ["_count", "_sum", "_bucket", "_ms", "_millis", "_minutes"] {
                assert!(!name.ends_with(suffix), "{name}");
            }
            for label in family.labels {
                assert!(
                    !["id", "name", "uid", "object", "le"].contains(label),
                    "{name}"
                );
            }
        }
    }
}
