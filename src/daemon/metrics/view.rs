//! What depends on the moment of a scrape, taken from a picture of the engine.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Registry};

use crate::engine::snapshot::{ScopeView, Snapshot};

use super::{family, truth};

pub(super) struct View {
    /// Scrapes at the same time would mix their numbers.
    turn: Mutex<()>,
    objects: IntGaugeVec,
    reasons: IntGaugeVec,
    progressing: GaugeVec,
    deletions: IntGaugeVec,
    drift_found: IntCounterVec,
    drift_repaired: IntCounterVec,
    in_flight: IntGaugeVec,
    queue_length: IntGaugeVec,
    queue_oldest: GaugeVec,
    service_paused: IntGaugeVec,
    ready: IntGaugeVec,
    paused: IntGaugeVec,
    problems: IntGaugeVec,
    connected: IntGaugeVec,
    list_age: GaugeVec,
    quota_limit: IntGaugeVec,
    quota_used: IntGaugeVec,
}

impl View {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            turn: Mutex::default(),
            objects: family::OBJECTS.gauges(registry)?,
            reasons: family::REASONS.gauges(registry)?,
            progressing: family::PROGRESSING.floats(registry)?,
            deletions: family::DELETIONS.gauges(registry)?,
            drift_found: family::DRIFT_FOUND.counters(registry)?,
            drift_repaired: family::DRIFT_REPAIRED.counters(registry)?,
            in_flight: family::IN_FLIGHT.gauges(registry)?,
            queue_length: family::QUEUE_LENGTH.gauges(registry)?,
            queue_oldest: family::QUEUE_OLDEST.floats(registry)?,
            service_paused: family::SERVICE_PAUSED.gauges(registry)?,
            ready: family::READY.gauges(registry)?,
            paused: family::PAUSED.gauges(registry)?,
            problems: family::PROBLEMS.gauges(registry)?,
            connected: family::CONNECTED.gauges(registry)?,
            list_age: family::LIST_AGE.floats(registry)?,
            quota_limit: family::QUOTA_LIMIT.gauges(registry)?,
            quota_used: family::QUOTA_USED.gauges(registry)?,
        })
    }

    /// Takes the numbers of a picture, and then lets them be read before the next one.
    pub(super) fn show<T>(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
        read: impl FnOnce() -> T,
    ) -> T {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.show_objects(snapshot, now);
        self.show_whole(snapshot);
        for all in [&self.list_age, &self.queue_oldest] {
            all.reset();
        }
        let counted = [
            &self.quota_limit,
            &self.quota_used,
            &self.connected,
            &self.in_flight,
            &self.queue_length,
            &self.service_paused,
        ];
        counted.into_iter().for_each(IntGaugeVec::reset);
        for (scope, view) in &snapshot.scopes {
            self.show_cloud(&scope.0, view, now);
        }
        read()
    }

    fn show_objects(&self, snapshot: &Snapshot, now: Timestamp) {
        self.objects.reset();
        self.reasons.reset();
        self.progressing.reset();
        self.deletions.reset();
        for (key, object) in &snapshot.objects {
            let labels = [&*key.kind, object.reason];
            self.reasons.with_label_values(&labels).inc();
            if object.deleting {
                self.deletions.with_label_values(&[object.reason]).inc();
            }
            for condition in &object.status.conditions {
                let labels = [&*key.kind, condition.kind, truth(condition.status)];
                self.objects.with_label_values(&labels).inc();
            }
            let oldest = self.progressing.with_label_values(&[&*key.kind]);
            if object.status.is_progressing()
                && let Some(condition) = object.status.condition("Progressing")
            {
                let age = seconds(condition.last_transition_time, now);
                oldest.set(oldest.get().max(age));
            }
        }
    }

    fn show_whole(&self, snapshot: &Snapshot) {
        let alone = |gauge: &IntGaugeVec, holds: bool| {
            gauge.with_label_values::<&str>(&[]).set(i64::from(holds));
        };
        alone(&self.ready, snapshot.looked);
        alone(&self.paused, snapshot.paused.is_some());
        let problems = &snapshot.problems;
        let errors = problems.iter().filter(|it| it.is_error()).count();
        for (severity, count) in [("error", errors), ("warning", problems.len() - errors)] {
            let gauge = self.problems.with_label_values(&[severity]);
            gauge.set(whole(count));
        }
        for (kind, drifts) in &snapshot.drifts {
            for (counter, total) in [
                (&self.drift_found, drifts.found),
                (&self.drift_repaired, drifts.repaired),
            ] {
                let counter = counter.with_label_values(&[&**kind]);
                counter.inc_by(total.saturating_sub(counter.get()));
            }
        }
    }

    fn show_cloud(&self, cloud: &str, view: &ScopeView, now: Timestamp) {
        let connected = view.project.is_some() && view.error.is_none();
        let gauge = self.connected.with_label_values(&[cloud]);
        gauge.set(i64::from(connected));
        for (kind, at) in &view.looked_at {
            let gauge = self.list_age.with_label_values(&[cloud, kind]);
            gauge.set(seconds(*at, now));
        }
        for (resource, amount) in &view.quotas {
            let labels = [cloud, *resource];
            let used = self.quota_used.with_label_values(&labels);
            used.set(whole(amount.used));
            if let Some(limit) = amount.limit {
                let gauge = self.quota_limit.with_label_values(&labels);
                gauge.set(whole(limit));
            }
        }
        for (service, lane) in &view.lanes {
            let labels = [cloud, *service];
            let gauge = self.in_flight.with_label_values(&labels);
            gauge.set(whole(lane.in_flight));
            let gauge = self.queue_length.with_label_values(&labels);
            gauge.set(whole(lane.waiting));
            let oldest = lane.oldest.map_or(0.0, |since| seconds(since, now));
            self.queue_oldest.with_label_values(&labels).set(oldest);
            let paused = lane.paused_until.is_some_and(|until| until > now);
            let gauge = self.service_paused.with_label_values(&labels);
            gauge.set(i64::from(paused));
        }
    }
}

fn seconds(since: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(since).as_secs_f64().max(0.0)
}

fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use prometheus::TextEncoder;

    use super::*;
    use crate::engine::drift::Drifts;
    use crate::engine::pace::{LaneView, after};
    use crate::engine::scope::Scope;
    use crate::kinds::quota::Amount;

    fn picture(now: Timestamp, lane: Option<LaneView>, drifts: Drifts) -> Snapshot {
        let scope = ScopeView {
            project: Some("p".to_owned()),
            error: lane.is_none().then(|| "out of reach".to_owned()),
            looked_at: [("Volume", now)].into(),
            quotas: [(
                "cores",
                Amount {
                    limit: Some(20),
                    used: 5,
                },
            )]
            .into(),
            lanes: lane.map(|lane| ("compute", lane)).into_iter().collect(),
        };
        Snapshot {
            scopes: [(Scope::new("c"), scope)].into(),
            looked: true,
            drifts: [(Arc::from("Port"), drifts)].into(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_picture_becomes_numbers_and_what_is_gone_from_it_is_gone_from_them() {
        let registry = Registry::new();
        let view = View::new(&registry).unwrap();
        let then = Timestamp::UNIX_EPOCH;
        let now = after(then, Duration::from_secs(90));
        let shown = |snapshot: &Snapshot| {
            view.show(snapshot, now, || {
                TextEncoder::new().encode_to_string(&registry.gather())
            })
            .unwrap()
        };
        let lane = LaneView {
            in_flight: 8,
            waiting: 3,
            oldest: Some(after(then, Duration::from_secs(60))),
            paused_until: Some(after(now, Duration::from_secs(1))),
        };
        let drifts = Drifts {
            found: 2,
            repaired: 1,
        };
        let text = shown(&picture(then, Some(lane), drifts));
        let again = shown(&picture(then, Some(lane), drifts));
        assert_eq!(text, again, "a second scrape counts nothing twice");
        for line in [
            "stackward_ready 1",
            "stackward_paused 0",
            r#"stackward_cloud_connected{cloud="c"} 1"#,
            r#"stackward_list_age_seconds{cloud="c",kind="Volume"} 90"#,
            r#"stackward_quota_limit{cloud="c",resource="cores"} 20"#,
            r#"stackward_quota_used{cloud="c",resource="cores"} 5"#,
            r#"stackward_requests_in_flight{cloud="c",service="compute"} 8"#,
            r#"stackward_queue_length{cloud="c",service="compute"} 3"#,
            r#"stackward_queue_oldest_seconds{cloud="c",service="compute"} 30"#,
            r#"stackward_service_paused{cloud="c",service="compute"} 1"#,
            r#"stackward_drift_found_total{kind="Port"} 2"#,
            r#"stackward_drift_repaired_total{kind="Port"} 1"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
        let more = Drifts { found: 5, ..drifts };
        let text = shown(&picture(then, None, more));
        for line in [
            r#"stackward_cloud_connected{cloud="c"} 0"#,
            r#"stackward_drift_found_total{kind="Port"} 5"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
        assert!(!text.contains("stackward_queue_length{"), "{text}");
    }
}
