//! The journal's promises: durable, private, one process at a time, never reset.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use redb::{Database, TableDefinition};
use tempfile::tempdir;

use crate::engine::journal::{Attempt, Record};
use crate::engine::scope::{Fingerprint, Scope};
use crate::manifest::Key;

use super::*;

fn put(name: &str) -> Change {
    let mut record = Record::new(Scope::new("lab"));
    record.intent = Some(Attempt {
        nonce: u64::MAX,
        id: Uuid::from_u128(7),
        at: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
    });
    record.refers_to.push(Key::new("Network", "team", "blog"));
    Change::Put(Key::new("Server", "default", name), record)
}

fn put_scope() -> Change {
    let fingerprint = Fingerprint {
        project: "p".to_owned(),
        user: "u".to_owned(),
        region: Some("r".to_owned()),
        auth_url: "http://127.0.0.1:5000/v3".to_owned(),
    };
    Change::PutScope(Scope::new("lab"), fingerprint)
}

fn journal_of(changes: &[Change]) -> Journal {
    let mut journal = Journal::default();
    changes.iter().for_each(|change| journal.apply(change));
    journal
}

/// The thread that writes closes the file after the last handle is gone.
fn reopen(directory: &Path) -> Opened {
    for _ in 0..10_000 {
        match Store::open(directory, None) {
            Err(StoreError::InUse(_)) => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
    panic!("the journal is never closed");
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    let directory = tempdir().unwrap();
    let opened = Store::open(directory.path(), None).unwrap();
    assert_eq!(opened.journal, Journal::default());
    let changes = vec![put("a"), put("b"), put_scope(), put("c")];
    let forget = Change::Forget(Key::new("Server", "default", "b"));
    opened.store.write(changes.clone()).await.unwrap();
    opened.store.write(vec![forget.clone()]).await.unwrap();
    let owner = opened.owner;
    drop(opened);

    let again = reopen(directory.path());
    assert_eq!(again.journal, journal_of(&[changes, vec![forget]].concat()));
    assert_eq!(again.owner, owner);
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = tempdir().unwrap();
    let opened = Store::open(directory.path(), None).unwrap();
    opened.store.write(vec![put("a")]).await.unwrap();
    // The file as a process that is killed now leaves it: never closed.
    let after = tempdir().unwrap();
    fs::copy(directory.path().join(FILE), after.path().join(FILE)).unwrap();
    assert_eq!(
        Store::peek(after.path()).unwrap(),
        (journal_of(&[put("a")]), Some(opened.owner))
    );
    assert_eq!(
        Store::open(after.path(), None).unwrap().journal,
        journal_of(&[put("a")])
    );
}

/// One byte in thirty-one, in every page. What is found is refused; what is not matters to nobody, since the journal reads
/// the same.
#[tokio::test]
async fn a_byte_that_was_turned_over_is_found() {
    let directory = tempdir().unwrap();
    let opened = Store::open(directory.path(), None).unwrap();
    let changes: Vec<Change> = ["a", "b", "c"].map(put).to_vec();
    opened.store.write(changes.clone()).await.unwrap();
    let whole = (journal_of(&changes), Some(opened.owner));
    drop(opened);
    let path = directory.path().join(FILE);
    // Closing takes a moment, in the thread that writes.
    drop(reopen(directory.path()));
    let bytes = fs::read(&path).unwrap();
    let mut found = 0;
    for place in (0..bytes.len()).step_by(31) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(&path, &damaged).unwrap();
        match Store::peek(directory.path()) {
            Ok(read) => assert_eq!(read, whole, "byte {place}"),
            Err(_) => found += 1,
        }
    }
    assert!(found > 100, "{found}");
}

#[tokio::test]
async fn many_writes_at_once_are_all_there() {
    let opened = Store::memory(None).unwrap();
    let names: Vec<String> = (0..1000).map(|number| format!("s{number}")).collect();
    let writes = names.iter().map(|name| opened.store.write(vec![put(name)]));
    assert!(
        futures_util::future::join_all(writes)
            .await
            .iter()
            .all(Result::is_ok)
    );

    let directory = tempdir().unwrap();
    let opened = Store::open(directory.path(), None).unwrap();
    let writes = names.iter().map(|name| opened.store.write(vec![put(name)]));
    assert!(
        futures_util::future::join_all(writes)
            .await
            .iter()
            .all(Result::is_ok)
    );
    drop(opened);
    assert_eq!(reopen(directory.path()).journal.records.len(), 1000);
}

#[test]
fn a_second_process_is_told_which_directory_is_in_use() {
    let directory = tempdir().unwrap();
    let _held = Store::open(directory.path(), None).unwrap();
    let error = Store::open(directory.path(), None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&directory.path().display().to_string()),
        "{error}"
    );
    assert!(matches!(error, StoreError::InUse(_)));
    assert!(matches!(
        Store::peek(directory.path()),
        Err(StoreError::InUse(_))
    ));
}

#[test]
fn a_journal_of_a_later_version_is_left_as_it_is() {
    let directory = tempdir().unwrap();
    let path = directory.path().join(FILE);
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
    transaction
        .open_table(meta)
        .unwrap()
        .insert("version", "2")
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    for _ in 0..2 {
        let error = Store::open(directory.path(), None).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Newer {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
        assert!(matches!(
            Store::peek(directory.path()),
            Err(StoreError::Newer { .. })
        ));
    }
}

#[test]
fn what_is_no_journal_is_not_overwritten() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join(FILE), "precious").unwrap();
    assert!(matches!(
        Store::open(directory.path(), None),
        Err(StoreError::Database { .. })
    ));
    assert_eq!(fs::read(directory.path().join(FILE)).unwrap(), b"precious");
}

#[test]
fn nobody_else_can_read_the_journal() {
    let directory = tempdir().unwrap();
    let state = directory.path().join("a/b");
    drop(Store::open(&state, None).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join(FILE)), 0o600);

    let other = directory.path().join("c");
    fs::create_dir(&other).unwrap();
    fs::write(other.join(FILE), "").unwrap();
    fs::set_permissions(other.join(FILE), fs::Permissions::from_mode(0o644)).unwrap();
    drop(Store::open(&other, None).unwrap());
    assert_eq!(mode(&other.join(FILE)), 0o600);
}

#[test]
fn a_link_in_place_of_the_journal_is_refused() {
    let directory = tempdir().unwrap();
    let target = directory.path().join("target");
    fs::write(&target, "").unwrap();
    let state = directory.path().join("state");
    fs::create_dir(&state).unwrap();
    symlink(&target, state.join(FILE)).unwrap();
    let error = Store::open(&state, None).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::NotAFile {
                what: "a symbolic link",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(fs::read(&target).unwrap(), b"");
}

#[test]
fn the_owner_is_the_configured_one_and_never_changes() {
    let directory = tempdir().unwrap();
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let opened = Store::open(directory.path(), Some(one)).unwrap();
    assert_eq!(opened.owner, Owner(one));
    drop(opened);
    assert_eq!(reopen(directory.path()).owner, Owner(one));
    let error = loop {
        match Store::open(directory.path(), Some(other)).unwrap_err() {
            StoreError::InUse(_) => std::thread::yield_now(),
            error => break error,
        }
    };
    assert!(
        matches!(error, StoreError::OtherOwner { stored, configured } if (stored, configured) == (one, other))
    );
}

#[test]
fn peeking_makes_nothing() {
    let directory = tempdir().unwrap();
    let nowhere = directory.path().join("nowhere");
    assert_eq!(Store::peek(&nowhere).unwrap(), (Journal::default(), None));
    assert!(!nowhere.exists());
}
