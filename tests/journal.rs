//! Between the intent and the request: what the answer of the journal lets go, and what it stops.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sim;

use sim::Sim;
use stackward::engine::Event;
use stackward::engine::looked::Looked;
use stackward::kinds::call::{CallError, Service};
use stackward::manifest::Key;

fn key(kind: &str, name: &str) -> Key {
    Key::new(kind, "default", name)
}

/// One volume, as a file of manifests.
fn volume() -> (String, String) {
    let text = "apiVersion: stackward.dev/v1alpha1\nkind: Volume\nmetadata: {name: v0}\n\
                spec: {resource: {size: 1}}\n";
    ("volumes.yaml".to_owned(), text.to_owned())
}

/// Everything that is looked at before a volume is made, in an empty project without quotas.
fn looks(scope: &stackward::engine::scope::Scope, now: jiff::Timestamp) -> Vec<Event> {
    let listed = |kind| Event::Listed {
        scope: scope.clone(),
        kind,
        started_at: now,
        result: Ok(Looked::default()),
    };
    let refused = CallError::Rejected {
        service: Service::BlockStorage,
        status: 403,
        fault: None,
        message: "not for you".to_owned(),
        request_id: None,
        retry_after: None,
    };
    let quota = Event::Quota {
        scope: scope.clone(),
        service: Service::BlockStorage,
        started_at: now,
        result: Err(refused),
    };
    vec![listed("VolumeSnapshot"), quota, listed("Volume")]
}

#[test]
fn a_failed_journal_stops_creates() {
    let mut sim = Sim::new(1);
    sim.declare(&[volume()]);
    // The shell answers for the disk: here it says that it is full.
    let mut effects = Vec::new();
    let scope = stackward::engine::scope::Scope::new(sim::SCOPE);
    let fingerprint = stackward::engine::scope::Fingerprint {
        project: "p".to_owned(),
        user: "u".to_owned(),
        region: None,
        auth_url: "http://sandbox/identity".to_owned(),
    };
    effects.extend(sim.engine.handle(
        Event::Connected {
            scope: scope.clone(),
            result: Ok(fingerprint),
        },
        sim.now,
    ));
    for look in looks(&scope, sim.now) {
        effects.extend(sim.engine.handle(look, sim.now));
    }
    let tickets: Vec<u64> = effects
        .iter()
        .filter_map(|effect| match effect {
            stackward::engine::Effect::Record { ticket, .. } => Some(*ticket),
            _ => None,
        })
        .collect();
    for ticket in tickets {
        let full = Err("no space left on device".to_owned());
        effects.extend(sim.engine.handle(
            Event::Recorded {
                ticket,
                result: full,
            },
            sim.now,
        ));
    }
    let called = effects
        .iter()
        .any(|it| matches!(it, stackward::engine::Effect::Call { .. }));
    assert!(!called, "{effects:?}");
    let snapshot = sim.engine.snapshot();
    let status = &snapshot.objects[&key("Volume", "v0")].status;
    let message = &status.condition("Progressing").unwrap().message;
    assert!(message.contains("no space left on device"), "{message}");
}

#[test]
fn a_create_that_waits_for_the_journal_is_not_sent_elsewhere() {
    use stackward::engine::{Effect, scope::Fingerprint, scope::Scope};
    let mut sim = Sim::new(1);
    sim.declare(&[volume()]);
    let (scope, now) = (Scope::new(sim::SCOPE), sim.now);
    let to = |project: &str| Event::Connected {
        scope: scope.clone(),
        result: Ok(Fingerprint {
            project: project.to_owned(),
            user: "u".to_owned(),
            region: None,
            auth_url: "http://sandbox/identity".to_owned(),
        }),
    };
    let mut effects = sim.engine.handle(to("p"), now);
    for look in looks(&scope, now) {
        effects.extend(sim.engine.handle(look, now));
    }
    let tickets: Vec<u64> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Record { ticket, .. } => Some(*ticket),
            _ => None,
        })
        .collect();
    assert_eq!(tickets.len(), 2, "the scope, and the intent: {effects:?}");
    effects.extend(sim.engine.handle(to("another"), now));
    for ticket in tickets {
        effects.extend(sim.engine.handle(
            Event::Recorded {
                ticket,
                result: Ok(()),
            },
            now,
        ));
    }
    assert!(
        !effects.iter().any(|it| matches!(it, Effect::Call { .. })),
        "{effects:?}"
    );
}

#[tokio::test]
async fn an_intent_that_was_acknowledged_is_in_the_file_of_a_process_that_is_killed_now() {
    use stackward::engine::journal::{Attempt, Change, Record};
    use stackward::engine::scope::Scope;
    use stackward::store::Store;
    let (directory, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let opened = Store::open(directory.path(), None).unwrap();
    let mut record = Record::new(Scope::new(sim::SCOPE));
    record.intent = Some(Attempt {
        nonce: 7,
        id: uuid::Uuid::from_u128(7),
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
    });
    let change = Change::Put(key("Volume", "v0"), record.clone());
    opened.store.write(vec![change]).await.unwrap();
    // The process is still there: what it did not write is not in the copy.
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, after.path().join(path.file_name().unwrap())).unwrap();
    }
    let (journal, _) = Store::peek(after.path()).unwrap();
    assert_eq!(journal.records.get(&key("Volume", "v0")), Some(&record));
}
