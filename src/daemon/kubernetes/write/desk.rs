//! Where one write after the other is carried out: what is there is read, what is wanted of it is
//! judged as `validate` would, and it becomes a file. Blocks.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::daemon::load::Loader;
use crate::engine::desired::Desired;
use crate::files::{Folder, Limits};
use crate::manifest::problem::{Code, Problem};
use crate::manifest::{Group, Key, Manifest, name_fault, namespace_fault};

use super::super::failure::{Cause, Failure};
use super::super::resource::Resource;
use super::change::{Change, Conditions, merged, stepped};
use super::document::{self, file_name};
use super::managed::Managed;
use super::params::{Params, Validation};

/// Unknown fields are left out so many times, and then refused.
const ROUNDS: usize = 64;
/// Why a write of an object that somebody has changed meanwhile is refused.
const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// The only one who writes.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) folder: Folder,
    pub(super) loader: Loader,
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) resource: &'static Resource,
    pub(super) key: Key,
    pub(super) change: Change,
    pub(super) params: Params,
    /// What the client may have seen.
    pub(super) seen: Option<Seen>,
}

/// An object as it is served.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) uid: Uuid,
    /// The version that is served.
    pub(super) version: u64,
    /// The version at which its manifest last changed.
    pub(super) written: u64,
    /// The newest version of all.
    pub(super) newest: u64,
    pub(super) manifest: Option<Arc<Manifest>>,
    /// Its manifest is gone.
    pub(super) going: bool,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) outcome: Outcome,
    /// What is declared now; nothing if it was removed.
    pub(super) manifest: Option<Arc<Manifest>>,
    pub(super) warnings: Vec<String>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Created,
    Changed,
    Unchanged,
    Removed,
}

/// What is there before a write.
struct Before {
    desired: Arc<Desired>,
    name: String,
    path: String,
    stored: Option<Value>,
}

impl Desk {
    /// Does it, or only says what would become of it.
    ///
    /// # Errors
    /// Nothing was written.
    pub(super) fn carry_out(&mut self, order: &Order) -> Result<Done, Failure> {
        let Order { resource, key, .. } = order;
        let wrong = |field: &str, fault: &str| {
            let cause = Cause {
                reason: "FieldValueInvalid",
                message: fault.to_owned(),
                field: field.to_owned(),
            };
            Failure::invalid(resource, &key.name, &[cause])
        };
        // The name becomes a path.
        if let Some(fault) = name_fault(&key.name) {
            return Err(wrong("metadata.name", fault));
        }
        if let Some(fault) = namespace_fault(&key.namespace) {
            return Err(wrong("metadata.namespace", fault));
        }
        if file_name(key).len() > 255 {
            return Err(wrong("metadata.name", "is too long for the name of a file"));
        }
        let before = self.before(order)?;
        if let Some(stored) = &before.stored
            && resource.group == Group::Orc
            && document::group(stored) != Some(Group::Orc)
        {
            // It is not served in this group, which has less than what it says.
            return Err(match order.change {
                Change::Create(_) => Failure::already_exists(resource, &key.name),
                _ => Failure::no_such_object(resource, &key.name),
            });
        }
        match &order.change {
            Change::Delete(conditions) => self.delete(order, &before, conditions),
            _ => self.put(order, &before),
        }
    }

    fn before(&mut self, order: &Order) -> Result<Before, Failure> {
        let loaded = self.loader.load();
        if loaded.identity.is_none() {
            return Err(Failure::internal("the manifest directory cannot be read"));
        }
        let desired = loaded.desired;
        let name = file_name(&order.key);
        let path = self.folder.path_of(&name);
        if let Some(place) = place(&desired, &order.key).filter(|it| *it.0 != *path) {
            let why = format!(
                "its manifest is {}:{}, which was not written through this API: edit that file",
                place.0, place.1
            );
            return Err(Failure::forbidden(order.resource, &order.key.name, &why));
        }
        let text = self.folder.read(&name);
        let text = text.map_err(|error| unwritten(&path, &error))?;
        let stored = text.map(|text| {
            crate::manifest::parse::document(&path, &text).map_err(|_| {
                let why = format!("{path} cannot be read: mend it, or remove it");
                Failure::forbidden(order.resource, &order.key.name, &why)
            })
        });
        Ok(Before {
            desired,
            name,
            path,
            stored: stored.transpose()?,
        })
    }

    fn delete(
        &self,
        order: &Order,
        before: &Before,
        conditions: &Conditions,
    ) -> Result<Done, Failure> {
        let done = |outcome| Done {
            outcome,
            manifest: None,
            warnings: Vec::new(),
        };
        let going = order.seen.as_ref().is_some_and(|it| it.going);
        if before.stored.is_none() && !going {
            return Err(Failure::no_such_object(order.resource, &order.key.name));
        }
        order.check(conditions, &before.desired)?;
        if before.stored.is_none() {
            return Ok(done(Outcome::Unchanged));
        }
        if !order.params.dry_run {
            let removed = self.folder.remove(&before.name);
            removed.map_err(|error| unwritten(&before.path, &error))?;
        }
        Ok(done(Outcome::Removed))
    }

    fn put(&mut self, order: &Order, before: &Before) -> Result<Done, Failure> {
        let (mut document, mut managed, mut warnings) = order.wanted(before)?;
        managed.store(&mut document, order.resource.group.api_version());
        let (manifest, unknown) = self.judged(order, before, &mut document, &mut managed)?;
        warnings.extend(unknown);
        let outcome = match &before.stored {
            None => Outcome::Created,
            Some(stored) if *stored == document => Outcome::Unchanged,
            Some(_) => Outcome::Changed,
        };
        if outcome != Outcome::Unchanged && !order.params.dry_run {
            let text = document::text(&document)?;
            let written = self.folder.write(&before.name, &text);
            written.map_err(|error| unwritten(&before.path, &error))?;
        }
        Ok(Done {
            outcome,
            manifest: Some(manifest),
            warnings,
        })
    }

    /// What the daemon would make of it. Nothing that it would refuse becomes a file.
    fn judged(
        &mut self,
        order: &Order,
        before: &Before,
        document: &mut Value,
        managed: &mut Managed,
    ) -> Result<(Arc<Manifest>, Vec<String>), Failure> {
        let (resource, key) = (order.resource, &order.key);
        let mut left_out = Vec::new();
        for _ in 0..ROUNDS {
            let text = document::text(document)?;
            let most = Limits::default().file_bytes;
            if u64::try_from(text.len()).unwrap_or(u64::MAX) > most {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                return Err(Failure::too_large(most));
            }
            let after = self.loader.trial(&before.path, &text);
            let after = after.map_err(|error| Failure::internal(error.to_string()))?;
            let concerns = |it: &&Problem| {
                let here = it
                    .origin
                    .as_ref()
                    .is_some_and(|at| *at.file == *before.path);
                here || it.object.as_ref() == Some(key) || !before.desired.problems.contains(it)
            };
            let (errors, others): (Vec<&Problem>, Vec<&Problem>) = after
                .problems
                .iter()
                .filter(concerns)
                .partition(|it| it.is_error());
            if errors.is_empty() {
                let manifest = declared(&after, key).ok_or_else(|| {
                    Failure::internal("it would not be declared, and it is not known why")
                })?;
                left_out.extend(others.iter().map(|it| words(it)));
                return Ok((manifest, left_out));
            }
            let unknown = |it: &&&Problem| it.code == Code::UnknownField;
            let mut removed = false;
            if order.params.validation != Validation::Strict {
                for problem in errors.iter().filter(unknown) {
                    let cause = cause(problem);
                    if document::remove(document, &cause.field) {
                        removed = true;
                        if order.params.validation == Validation::Warn {
                            left_out.push(format!("unknown field \"{}\"", cause.field));
                        }
                    }
                }
            }
            if !removed {
                let causes: Vec<Cause> = errors.into_iter().map(cause).collect();
                return Err(Failure::invalid(resource, &key.name, &causes));
            }
            managed.keep(document);
            managed.store(document, resource.group.api_version());
        }
        Err(Failure::bad_request("too many unknown fields"))
    }
}

impl Order {
    /// The document that is wanted, and who has set its fields then.
    fn wanted(&self, before: &Before) -> Result<(Value, Managed, Vec<String>), Failure> {
        let (resource, key, stored) = (self.resource, &self.key, before.stored.as_ref());
        let manager = &self.params.manager;
        let managed = stored.map(Managed::of).unwrap_or_default();
        let version = self.seen.as_ref().map(|it| it.version.to_string());
        let version = version.as_deref();
        let object = match (&self.change, stored) {
            (Change::Create(_), Some(_)) => {
                return Err(Failure::already_exists(resource, &key.name));
            }
            (Change::Create(object), None) => object.clone(),
            (Change::Apply(applied), _) => return self.applied(before, managed, applied),
            (_, None) => {
                let going = self.seen.as_ref().is_some_and(|it| it.going);
                return Err(match going {
                    true => {
                        let why = "it is being deleted; create it again to keep it";
                        Failure::conflict(resource, &key.name, why)
                    }
                    false => Failure::no_such_object(resource, &key.name),
                });
            }
            (Change::Replace(object), Some(_)) => object.clone(),
            (Change::Merge(patch), Some(stored)) => {
                merged(document::shown(stored, resource, version), patch)
            }
            (Change::Steps(steps), Some(stored)) => {
                let shown = document::shown(stored, resource, version);
                stepped(shown, steps).map_err(|why| {
                    let cause = Cause {
                        reason: "FieldValueInvalid",
                        message: format!("the JSON patch does not fit: {why}"),
                        field: String::new(),
                    };
                    Failure::invalid(resource, &key.name, &[cause])
                })?
            }
            (Change::Delete(_), _) => return Err(Failure::internal("nothing is wanted")),
        };
        let metadata = &object["metadata"];
        let text = |name: &str| metadata[name].as_str().filter(|it| !it.is_empty());
        if stored.is_some() {
            let conditions = Conditions {
                uid: text("uid").map(str::to_owned),
                version: text("resourceVersion")
                    .filter(|it| Some(*it) != version)
                    .map(str::to_owned),
            };
            self.check(&conditions, &before.desired)?;
        } else if text("resourceVersion").is_some() {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Failure::bad_request(message));
        }
        // Some clients say themselves who shall have set what.
        let said = metadata["managedFields"]
            .as_array()
            .filter(|it| !it.is_empty())
            .map(|_| Managed::from_entries(&metadata["managedFields"]))
            .filter(|it| stored.is_some() && *it != managed);
        let (document, warnings) = document::kept(object, resource, key, stored)?;
        let mut managed = said.unwrap_or(managed);
        managed.update(manager, stored, &document);
        Ok((document, managed, warnings))
    }

    fn applied(
        &self,
        before: &Before,
        mut managed: Managed,
        applied: &Value,
    ) -> Result<(Value, Managed, Vec<String>), Failure> {
        let (resource, key) = (self.resource, &self.key);
        let given = applied["metadata"]["managedFields"].as_array();
        if given.is_some_and(|it| !it.is_empty()) {
            let message = "metadata.managedFields must be nil";
            return Err(Failure::bad_request(message));
        }
        if let Some(version) = applied["metadata"]["resourceVersion"].as_str() {
            let conditions = Conditions {
                uid: None,
                version: Some(version.to_owned()),
            };
            self.check(&conditions, &before.desired)?;
        }
        let stored = before.stored.as_ref();
        let (applied, warnings) = document::kept(applied.clone(), resource, key, stored)?;
        let empty = Value::Object(serde_json::Map::new());
        let live = stored.unwrap_or(&empty);
        let manager = &self.params.manager;
        let mut document = managed
            .apply(manager, self.params.force, live, &applied)
            .map_err(|conflicts| Failure::field_conflicts(resource, &key.name, &conflicts))?;
        for field in ["apiVersion", "kind"] {
            document[field] = applied[field].clone();
        }
        Ok((document, managed, warnings))
    }

    /// Is it still the object that the client means?
    fn check(&self, conditions: &Conditions, desired: &Desired) -> Result<(), Failure> {
        let Conditions { uid, version } = conditions;
        let conflict = |why: &str| Err(Failure::conflict(self.resource, &self.key.name, why));
        let Some(seen) = &self.seen else {
            return match (uid, version) {
                (None, None) => Ok(()),
                _ => conflict("it is not read yet; please try again"),
            };
        };
        if let Some(uid) = uid
            && *uid != seen.uid.to_string()
        {
            let why = format!(
                "the UID in the precondition is {uid}, and its UID is {}",
                seen.uid
            );
            return conflict(&why);
        }
        let Some(version) = version else {
            return Ok(());
        };
        let Ok(version) = version.parse::<u64>() else {
            let message = format!("resourceVersion: `{version}` is no number");
            return Err(Failure::bad_request(message));
        };
        // What the daemon says of it may have changed since: that is nothing that anybody writes.
        let current = (seen.written..=seen.newest).contains(&version);
        // Somebody has written since the last picture.
        let same = match (declared(desired, &self.key), &seen.manifest) {
            (Some(now), Some(seen)) => now.says_the_same(seen),
            (None, _) => true,
            (Some(_), None) => false,
        };
        match current && same {
            true => Ok(()),
            false => conflict(MODIFIED),
        }
    }
}

fn declared(desired: &Desired, key: &Key) -> Option<Arc<Manifest>> {
    let object = desired.objects.get(key).map(|it| &it.manifest);
    object.or_else(|| desired.data_manifests.get(key)).cloned()
}

/// File and line of what is declared of a key, right or wrong.
fn place(desired: &Desired, key: &Key) -> Option<(Arc<str>, u32)> {
    let manifest = declared(desired, key);
    let origin = manifest.map(|it| it.origin.clone()).or_else(|| {
        let mut about = desired
            .problems
            .iter()
            .filter(|it| it.object.as_ref() == Some(key));
        about.find_map(|it| it.origin.clone())
    })?;
    Some((origin.file, origin.line))
}

fn unwritten(path: &str, error: &std::io::Error) -> Failure {
    Failure::internal(format!("{path}: {error}"))
}

fn words(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{} ({hint})", problem.message),
        None => problem.message.to_string(),
    }
}

fn cause(problem: &Problem) -> Cause {
    let words = words(problem);
    // A field's path is before the first colon, and has no spaces.
    let split = words
        .split_once(": ")
        .filter(|(field, _)| !field.contains(' '));
    let (field, message) = split.unwrap_or(("", words.as_str()));
    Cause {
        reason: match problem.code {
            Code::MissingField => "FieldValueRequired",
            Code::DuplicateObject => "FieldValueDuplicate",
            Code::TooLarge | Code::UserDataTooLarge => "FieldValueTooLong",
            _ => "FieldValueInvalid",
        },
        message: message.to_owned(),
        field: field.to_owned(),
    }
}
