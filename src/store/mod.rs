//! Where the journal lives: a redb file in the state directory, or memory.
//!
//! What is in it is the engine's matter ([`crate::engine::journal`]). Nothing outside of this module
//! knows which kind of place it is, so that another one (etcd) can be added here alone.

mod file;
mod tables;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use uuid::Uuid;

use crate::engine::journal::{Change, Journal};
use crate::kinds::marker::Owner;

use file::Place;

/// The name of the journal's file in the state directory.
pub const FILE: &str = "journal.redb";

/// An open journal. Nobody else has it open.
#[derive(Debug, Clone)]
pub struct Store {
    writer: writer::Writer,
}

/// What was in the journal when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The place to write to.
    pub store: Store,
    /// What it holds.
    pub journal: Journal,
    /// Whose resources it is about.
    pub owner: Owner,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the state directory `{}` is in use by another stackward", .0.display())]
    InUse(PathBuf),
    /// It was written by a later version of this program.
    #[error("the journal `{}` has version {found}, and this stackward knows versions up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest that is understood.
        known: u64,
    },
    /// The file is something that it must not be.
    #[error("`{}` is {what}, not the journal's file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// The owner that was asked for is not the one whose resources are recorded.
    #[error("the journal belongs to owner {stored}, and {configured} is configured")]
    OtherOwner {
        /// The owner in the journal.
        stored: Uuid,
        /// The owner that was asked for.
        configured: Uuid,
    },
    /// A byte of it is not what was written.
    #[error("the journal `{}` is damaged", .0.display())]
    Damaged(PathBuf),
    /// An entry cannot be read.
    #[error("the journal's entry `{entry}` cannot be read")]
    Entry {
        /// Which.
        entry: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The directory or the file cannot be used.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The database does not work.
    #[error("the journal `{}` cannot be used: {message}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why, in the database's words.
        message: String,
    },
    /// The thread that writes has ended.
    #[error("the journal is closed")]
    Closed,
}

impl StoreError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::InUse(_) => "stop the other one, or give this one a --state-dir of its own",
            Self::Newer { .. } => {
                "use the stackward that wrote it, or a newer one; it is left as it is"
            }
            Self::NotAFile { .. } => "move it away, or choose another --state-dir",
            Self::OtherOwner { .. } => {
                "leave --owner out to keep the recorded one, or choose another --state-dir"
            }
            Self::Damaged(_) | Self::Entry { .. } => {
                "restore it, or move it away (resources are found again by their markers)"
            }
            Self::Io { .. } => "choose a directory that this user can write to with --state-dir",
            Self::Database { .. } | Self::Closed => return None,
        })
    }
}

impl Store {
    /// Opens the journal in a directory, which is made if it is not there.
    ///
    /// The owner is minted at the first start, unless one is configured.
    ///
    /// # Errors
    /// See [`StoreError`]. What is there is never reset.
    pub fn open(directory: &Path, configured: Option<Uuid>) -> Result<Opened, StoreError> {
        file::make_directory(directory)?;
        Self::start(Place::File(directory.join(FILE)), configured)
    }

    /// A journal that ends with the process.
    ///
    /// # Errors
    /// As [`Store::open`], though there is little that can go wrong.
    pub fn memory(configured: Option<Uuid>) -> Result<Opened, StoreError> {
        Self::start(Place::Memory, configured)
    }

    /// Reads the journal of a directory and changes nothing there, not even to repair it. A
    /// directory without a journal has an empty one, and no owner.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn peek(directory: &Path) -> Result<(Journal, Option<Owner>), StoreError> {
        let path = directory.join(FILE);
        let Some(bytes) = file::read_unshared(&path)? else {
            return Ok((Journal::default(), None));
        };
        let failed = |source| StoreError::Io {
            path: path.clone(),
            source,
        };
        let copy = InMemoryBackend::new();
        copy.set_len(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            .map_err(failed)?;
        copy.write(0, &bytes).map_err(failed)?;
        let database = file::checked(&path, copy)?;
        tables::read(&database, &path)
    }

    /// Writes changes, together. When this returns they are on disk.
    ///
    /// # Errors
    /// They may be on disk or not; a later attempt may work.
    pub async fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.writer.write(changes).await
    }

    fn start(place: Place, configured: Option<Uuid>) -> Result<Opened, StoreError> {
        let mut database = place.open()?;
        // What was deleted leaves holes; a daemon that runs for years starts now and then.
        database.compact().map_err(|error| StoreError::Database {
            path: place.path(),
            message: error.to_string(),
        })?;
        let owner = tables::prepare(&database, &place.path(), configured)?;
        let (journal, _) = tables::read(&database, &place.path())?;
        let writer = writer::Writer::start(place, database)?;
        Ok(Opened {
            store: Self { writer },
            journal,
            owner,
        })
    }
}

#[cfg(test)]
mod tests;
