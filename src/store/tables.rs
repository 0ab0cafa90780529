//! The journal's layout in the database: three tables of texts, values in JSON.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::engine::journal::{Change, Journal};
use crate::engine::scope::Scope;
use crate::kinds::marker::Owner;
use crate::manifest::Key;
use crate::zoo::{self, Bug};

use super::StoreError;

/// The layout that this program writes. A change of the layout raises it, and reads the older ones.
pub(super) const VERSION: u64 = 1;

const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
const OBJECTS: TableDefinition<'_, &str, &str> = TableDefinition::new("objects");
const SCOPES: TableDefinition<'_, &str, &str> = TableDefinition::new("scopes");

/// Checks version and owner, and writes them into a new journal.
pub(super) fn prepare(
    database: &Database,
    path: &Path,
    configured: Option<Uuid>,
) -> Result<Owner, StoreError> {
    let failed = |error: redb::Error| broken(path, &error);
    let mut transaction = database
        .begin_write()
        .map_err(|error| failed(error.into()))?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(|error| failed(error.into()))?;
    let owner = {
        let mut meta = transaction
            .open_table(META)
            .map_err(|error| failed(error.into()))?;
        let text = |meta: &redb::Table<'_, &str, &str>, key: &str| {
            let value = meta.get(key).map_err(|error| failed(error.into()))?;
            Ok::<_, StoreError>(value.map(|value| value.value().to_owned()))
        };
        match text(&meta, "version")? {
            Some(version) => check_version(&version, path)?,
            None => {
                meta.insert("version", VERSION.to_string().as_str())
                    .map_err(|error| failed(error.into()))?;
            }
        }
        let stored = text(&meta, "owner")?
            .map(|text| parse_owner(&text, path))
            .transpose()?;
        match (stored, configured) {
            (Some(stored), Some(configured)) if stored != configured => {
                return Err(StoreError::OtherOwner { stored, configured });
            }
            (Some(stored), _) => stored,
            (None, configured) => {
                let owner = configured.unwrap_or_else(Uuid::new_v4);
                meta.insert("owner", owner.to_string().as_str())
                    .map_err(|error| failed(error.into()))?;
                owner
            }
        }
    };
    // Made now, so that readers find them.
    transaction
        .open_table(OBJECTS)
        .map_err(|error| failed(error.into()))?;
    transaction
        .open_table(SCOPES)
        .map_err(|error| failed(error.into()))?;
    transaction.commit().map_err(|error| failed(error.into()))?;
    Ok(Owner(owner))
}

/// Reads everything.
pub(super) fn read(
    database: &Database,
    path: &Path,
) -> Result<(Journal, Option<Owner>), StoreError> {
    let failed = |error: redb::Error| broken(path, &error);
    let transaction = database
        .begin_read()
        .map_err(|error| failed(error.into()))?;
    let rows = |table: TableDefinition<'_, &'static str, &'static str>| match transaction
        .open_table(table)
    {
        Ok(table) => {
            let mut rows = Vec::new();
            for row in table.iter().map_err(|error| failed(error.into()))? {
                let (key, value) = row.map_err(|error| failed(error.into()))?;
                rows.push((key.value().to_owned(), value.value().to_owned()));
            }
            Ok(rows)
        }
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(Vec::new()),
        Err(error) => Err(failed(error.into())),
    };
    let mut owner = None;
    let mut journal = Journal::default();
    for (name, value) in rows(META)? {
        match name.as_str() {
            "version" => check_version(&value, path)?,
            "owner" => owner = Some(Owner(parse_owner(&value, path)?)),
            "paused" => journal.paused = true,
            _ => {}
        }
    }
    for (name, value) in rows(OBJECTS)? {
        let key: Key = decode(&name, &serde_json::Value::from(name.as_str()).to_string())?;
        journal.records.insert(key, decode(&name, &value)?);
    }
    for (name, value) in rows(SCOPES)? {
        journal
            .scopes
            .insert(Scope::new(name.as_str()), decode(&name, &value)?);
    }
    Ok((journal, owner))
}

/// Writes changes in one transaction, which is on disk when this returns.
pub(super) fn write<'a>(
    database: &Database,
    changes: impl Iterator<Item = &'a Change>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(if zoo::has(Bug::SkipsTheSync) {
        Durability::None
    } else {
        Durability::Immediate
    })?;
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        let mut scopes = transaction.open_table(SCOPES)?;
        let mut meta = transaction.open_table(META)?;
        for change in changes {
            match change {
                Change::Put(key, record) => {
                    objects.insert(key.to_string().as_str(), encode(record)?.as_str())?;
                }
                Change::Forget(key) => {
                    objects.remove(key.to_string().as_str())?;
                }
                Change::PutScope(scope, fingerprint) => {
                    scopes.insert(&*scope.0, encode(fingerprint)?.as_str())?;
                }
                Change::Pause(true) => {
                    meta.insert("paused", "true")?;
                }
                Change::Pause(false) => {
                    meta.remove("paused")?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn check_version(text: &str, path: &Path) -> Result<(), StoreError> {
    match text.parse() {
        Ok(VERSION) => Ok(()),
        Ok(found) => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        }),
        Err(_) => Err(StoreError::Database {
            path: path.to_owned(),
            message: format!("its version `{text}` is no number"),
        }),
    }
}

fn parse_owner(text: &str, path: &Path) -> Result<Uuid, StoreError> {
    text.parse().map_err(|_| StoreError::Database {
        path: path.to_owned(),
        message: format!("its owner `{text}` is no UUID"),
    })
}

fn decode<T: DeserializeOwned>(entry: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Entry {
        entry: entry.to_owned(),
        source,
    })
}

fn encode<T: serde::Serialize>(value: &T) -> Result<String, redb::Error> {
    serde_json::to_string(value).map_err(|error| redb::Error::Io(std::io::Error::other(error)))
}

fn broken(path: &Path, error: &redb::Error) -> StoreError {
    StoreError::Database {
        path: path.to_owned(),
        message: error.to_string(),
    }
}
