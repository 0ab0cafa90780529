//! The one thread that writes: what queues up while it forces a commit to disk rides in the next.

use std::sync::mpsc;
use std::thread;

use redb::Database;
use tokio::sync::oneshot;

use crate::engine::journal::Change;

use super::file::Place;
use super::{StoreError, tables};

/// How many writes share a commit at the most.
const GROUP: usize = 256;

/// The way to the thread. It ends when all of these are gone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Write>,
}

struct Write {
    changes: Vec<Change>,
    done: oneshot::Sender<Result<(), StoreError>>,
}

impl Writer {
    pub(super) fn start(place: Place, database: Database) -> Result<Self, StoreError> {
        let (queue, writes) = mpsc::channel();
        let path = place.path();
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || serve(&place, database, &writes))
            .map_err(|source| StoreError::Io { path, source })?;
        Ok(Self { queue })
    }

    pub(super) async fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        self.queue
            .send(Write { changes, done })
            .map_err(|_| StoreError::Closed)?;
        outcome.await.unwrap_or(Err(StoreError::Closed))
    }
}

fn serve(place: &Place, database: Database, writes: &mpsc::Receiver<Write>) {
    let mut database = Some(database);
    while let Ok(first) = writes.recv() {
        let mut group = vec![first];
        group.extend(writes.try_iter().take(GROUP - 1));
        let outcome = commit(place, &mut database, &group);
        for write in group {
            let answer = outcome.clone().map_err(|message| StoreError::Database {
                path: place.path(),
                message,
            });
            // Whoever does not wait any more does not need the answer.
            let _: Result<(), _> = write.done.send(answer);
        }
    }
}

/// After an error of its file a database refuses everything until it is opened again: the disk may
/// have been full, and now is not.
fn commit(place: &Place, database: &mut Option<Database>, group: &[Write]) -> Result<(), String> {
    let open = match database.take() {
        Some(open) => open,
        None => place.open().map_err(|error| error.to_string())?,
    };
    let changes = group.iter().flat_map(|write| &write.changes);
    match tables::write(&open, changes) {
        Ok(()) => {
            *database = Some(open);
            Ok(())
        }
        Err(error) => {
            if matches!(place, Place::Memory) {
                *database = Some(open);
            }
            Err(error.to_string())
        }
    }
}
