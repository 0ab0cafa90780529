//! The journal's file: made for its owner's eyes only, never through a link.

#![expect(clippy::disallowed_methods, reason = "the journal is a file")]

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Database, DatabaseError, StorageError};

use super::StoreError;

/// Where a database is.
#[derive(Debug)]
pub(super) enum Place {
    /// In this file.
    File(PathBuf),
    /// Nowhere.
    Memory,
}

impl Place {
    /// For messages.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Memory => PathBuf::from("(memory)"),
        }
    }

    /// Opens the database, or makes an empty one.
    pub(super) fn open(&self) -> Result<Database, StoreError> {
        let path = self.path();
        let failed = |error| database_error(&path, error);
        match self {
            Self::File(path) => {
                let file = open(path)?;
                let backend = FileBackend::new(file).map_err(failed)?;
                Database::builder()
                    .create_with_backend(backend)
                    .map_err(failed)
            }
            Self::Memory => Database::builder()
                .create_with_backend(InMemoryBackend::new())
                .map_err(failed),
        }
    }
}

/// Makes the state directory, if it is not there, for this user alone. One that is there is left as
/// it is: systemd makes it, and may do so through a link.
pub(super) fn make_directory(directory: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| StoreError::Io {
            path: directory.to_owned(),
            source,
        })
}

/// The bytes of a journal that nobody has open for writing; `None` when there is none.
pub(super) fn read_unshared(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = |source| StoreError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(directory_of(path))),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// Reads every page and compares its checksum. What a crash leaves was put right when the file was opened; what is wrong
/// now was changed by something else.
pub(super) fn check(database: &mut Database, path: &Path) -> Result<(), StoreError> {
    match database.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) | Err(DatabaseError::Storage(StorageError::Corrupted(_))) => {
            Err(StoreError::Damaged(path.to_owned()))
        }
        Err(error) => Err(database_error(path, error)),
    }
}

pub(super) fn database_error(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(directory_of(path)),
        other => StoreError::Database {
            path: path.to_owned(),
            message: other.to_string(),
        },
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    let failed = |source| StoreError::Io {
        path: path.to_owned(),
        source,
    };
    let refused = |what| StoreError::NotAFile {
        path: path.to_owned(),
        what,
    };
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) => {
            let found = std::fs::symlink_metadata(path).map(|found| found.file_type());
            return Err(match found {
                Ok(found) if found.is_symlink() => refused("a symbolic link"),
                Ok(found) if found.is_dir() => refused("a directory"),
                _ => failed(error),
            });
        }
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(refused("no regular file"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(failed)?;
    }
    Ok(file)
}

fn directory_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}
