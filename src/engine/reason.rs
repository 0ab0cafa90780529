//! Why nothing is sent: the closed words of waiting and being blocked.
//!
//! Waiting ends by itself; being blocked needs a person. The reasons become conditions, metric
//! labels and documentation.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::kinds::field::Difference;
use crate::kinds::quota::Shortage;
use crate::manifest::Key;

/// What is needed of another object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// That it exists.
    Created,
    /// That it is Available.
    Ready,
    /// That it is gone.
    Deleted,
    /// That it is made anew.
    Replaced,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Ready => "ready",
            Self::Deleted => "deleted",
            Self::Replaced => "replaced",
        }
    }
}

/// Something that ends by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Waiting {
    /// The cloud has not been looked at yet.
    FirstLook,
    /// The look failed.
    LookFailed(String),
    /// The look is older than our last write.
    Settling,
    /// Another object.
    For {
        /// Which.
        key: Key,
        /// What of it.
        stage: Stage,
    },
    /// A value of another object's status that is not there yet.
    Value {
        /// Which object.
        key: Key,
        /// The path in it.
        path: String,
    },
    /// A resource that somebody else is to create.
    External(String),
    /// The resource is moving by itself; its state.
    Moving(String),
    /// It has been moving for longer than its manifest gives it; it may still move on.
    Stalled {
        /// Its state.
        state: String,
        /// `lifecycle.deadline`.
        deadline: Duration,
    },
    /// It is being deleted.
    Leaving,
    /// A create's outcome is not known; until then it is looked for.
    Uncertain(Timestamp),
    /// It was there and no list shows it now: is it gone? Checked again then.
    Missing(Timestamp),
    /// An error; tried again then.
    Backoff {
        /// When.
        until: Timestamp,
        /// The error.
        error: String,
    },
    /// A quota; tried again then.
    Quota {
        /// When.
        until: Timestamp,
        /// The service's words.
        error: String,
    },
    /// A quota has no room for it, as far as the service tells.
    Room(Vec<Shortage>),
    /// The objects that refer to it are deleted first.
    Dependents(Vec<Key>),
    /// What uses it has not followed to its successor yet.
    Followers(Vec<Key>),
    /// Its successor could not be made yet: why.
    Successor(String),
    /// The grace before a deletion ends then.
    Grace(Timestamp),
    /// As many deletions as may be made without asking have been made; there is room again then.
    Budget(Timestamp),
    /// The directory of manifests could not be trusted; the reason.
    Manifests(String),
}

impl Waiting {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::FirstLook => "FirstLook",
            Self::LookFailed(_) => "LookFailed",
            Self::Settling => "Settling",
            Self::For { .. } => "Dependency",
            Self::Value { .. } => "Value",
            Self::External(_) => "External",
            Self::Moving(_) => "Moving",
            Self::Stalled { .. } => "Stalled",
            Self::Leaving => "Leaving",
            Self::Uncertain(_) => "Uncertain",
            Self::Missing(_) => "Missing",
            Self::Backoff { .. } => "Backoff",
            Self::Quota { .. } | Self::Room(_) => "Quota",
            Self::Dependents(_) => "Dependents",
            Self::Followers(_) => "Followers",
            Self::Successor(_) => "Successor",
            Self::Grace(_) => "Grace",
            Self::Budget(_) => "Budget",
            Self::Manifests(_) => "Manifests",
        }
    }

    /// When time alone ends it.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Uncertain(at) | Self::Missing(at) | Self::Grace(at) | Self::Budget(at) => {
                Some(*at)
            }
            Self::Backoff { until, .. } | Self::Quota { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// Is it only that we do not see it just now?
    #[must_use]
    pub const fn is_blindness(&self) -> bool {
        matches!(self, Self::FirstLook | Self::LookFailed(_) | Self::Settling)
    }

    /// Is it an error that is being retried?
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(
            self,
            Self::LookFailed(_)
                | Self::Backoff { .. }
                | Self::Quota { .. }
                | Self::Successor(_)
                | Self::Stalled { .. }
                | Self::Room(_)
        )
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstLook => f.write_str("Waiting for the first look at the cloud"),
            Self::LookFailed(why) => write!(f, "The cloud could not be looked at: {why}"),
            Self::Settling => f.write_str("Resource status will be refreshed"),
            Self::For { key, stage } => {
                write!(f, "Waiting for {} to be {}", key.short(), stage.as_str())
            }
            Self::Value { key, path } => write!(f, "Waiting for {} to have {path}", key.short()),
            Self::External(what) => {
                write!(
                    f,
                    "Waiting for OpenStack resource to be created externally: {what}"
                )
            }
            Self::Moving(state) => {
                write!(
                    f,
                    "Waiting for OpenStack resource to be ready: it is {state}"
                )
            }
            Self::Stalled { state, deadline } => write!(
                f,
                "OpenStack resource has been {state} for longer than lifecycle.deadline ({} s); still waiting for it",
                deadline.as_secs()
            ),
            Self::Leaving => f.write_str("Waiting for OpenStack resource to be deleted"),
            Self::Uncertain(_) => {
                f.write_str("The outcome of its creation is not known; looking for it")
            }
            Self::Missing(_) => {
                f.write_str("No list shows it any more; making sure that it is gone")
            }
            Self::Backoff { error, .. } | Self::Quota { error, .. } => f.write_str(error),
            Self::Room(short) => {
                f.write_str("Waiting for quota: ")?;
                for (index, shortage) in short.iter().enumerate() {
                    write!(f, "{}{shortage}", if index == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::Dependents(keys) => {
                f.write_str("Waiting for what refers to it to be deleted: ")?;
                list(f, keys)
            }
            Self::Followers(keys) => {
                f.write_str("Waiting for what uses it to follow to the one that replaced it: ")?;
                list(f, keys)
            }
            Self::Successor(why) => {
                write!(
                    f,
                    "The one that is to take its place is not there yet: {why}"
                )
            }
            Self::Grace(until) => {
                write!(f, "Its manifest is gone; it will be deleted after {until}")
            }
            Self::Budget(until) => write!(
                f,
                "As many were deleted as may be without asking; goes on at {until}, or at once after `stackward approve`"
            ),
            Self::Manifests(why) => write!(f, "Nothing is deleted while {why}"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, keys: &[Key]) -> fmt::Result {
    for (index, key) in keys.iter().enumerate() {
        write!(f, "{}{}", if index == 0 { "" } else { ", " }, key.short())?;
    }
    Ok(())
}

/// A difference that may not be mended, and what would allow it.
#[derive(Debug, Clone, PartialEq)]
pub struct Denied {
    /// The difference.
    pub difference: Difference,
    /// The setting that would allow it, and what that would cost.
    pub leave: String,
}

/// Something that only a person can end.
#[derive(Debug, Clone, PartialEq)]
pub enum Blocker {
    /// The manifest is wrong.
    Invalid(String),
    /// Fields that cannot be changed without leave.
    Immutable(Vec<Denied>),
    /// Differences that come back however often they are repaired.
    Flapping(Vec<Difference>),
    /// Several resources carry its marker, or match its filter.
    Ambiguous {
        /// Of what there are several.
        what: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// The resource that it names is not ours.
    NotOurs(String),
    /// It lost our marker.
    MarkerLost(String),
    /// The service would never accept the request.
    Refused(String),
    /// It is in a state that it will not leave by itself.
    Stuck {
        /// The state.
        state: String,
        /// The service's words.
        fault: Option<String>,
    },
    /// The scope is not the one that was recorded.
    ScopeChanged(String),
    /// The journal cannot be written.
    Journal(String),
    /// It is protected against deletion.
    Protected,
    /// It is to be deleted and made anew, and so would have to be what is a part of it.
    Held(Vec<Key>),
    /// The one that was to take its place cannot: why. It serves on.
    Successor(String),
    /// Its manifest is gone, and nothing is ever deleted for that.
    PruneOff,
    /// More would be deleted than is done without asking.
    Frozen {
        /// What `stackward approve` takes.
        hash: String,
        /// How many would be deleted.
        going: usize,
        /// Of how many managed objects.
        managed: usize,
    },
}

impl Blocker {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "Invalid",
            Self::Immutable(_) => "Immutable",
            Self::Flapping(_) => "Flapping",
            Self::Ambiguous { .. } => "Ambiguous",
            Self::NotOurs(_) => "NotOurs",
            Self::MarkerLost(_) => "MarkerLost",
            Self::Refused(_) => "Refused",
            Self::Stuck { .. } => "Stuck",
            Self::ScopeChanged(_) => "ScopeChanged",
            Self::Journal(_) => "Journal",
            Self::Protected => "Protected",
            Self::Held(_) => "Held",
            Self::Successor(_) => "Successor",
            Self::PruneOff => "PruneOff",
            Self::Frozen { .. } => "Frozen",
        }
    }

    /// Is it the resource (rather than the manifest) that cannot be helped?
    #[must_use]
    pub const fn is_unrecoverable(&self) -> bool {
        matches!(
            self,
            Self::Stuck { .. } | Self::MarkerLost(_) | Self::ScopeChanged(_)
        )
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) | Self::NotOurs(why) | Self::Refused(why) => f.write_str(why),
            Self::Immutable(denied) => {
                for (index, Denied { difference, leave }) in denied.iter().enumerate() {
                    write!(
                        f,
                        "{}{} is immutable: {} wanted, {} there",
                        if index == 0 { "" } else { "; " },
                        difference.field,
                        difference.want,
                        difference.have
                    )?;
                    if !leave.is_empty() {
                        write!(f, " ({leave})")?;
                    }
                }
                Ok(())
            }
            Self::Flapping(differences) => {
                for (index, difference) in differences.iter().enumerate() {
                    write!(
                        f,
                        "{}{} does not stay as it is set: {} wanted, {} there again",
                        if index == 0 { "" } else { "; " },
                        difference.field,
                        difference.want,
                        difference.have
                    )?;
                }
                f.write_str("; a change of the manifest has it tried anew")
            }
            Self::Ambiguous { what, ids } => write!(f, "{what}: {}", ids.join(", ")),
            Self::MarkerLost(id) => write!(
                f,
                "{id} does not carry our marker any more; set adopt: {{id: {id}}} to take it back"
            ),
            Self::Stuck { state, fault } => {
                write!(f, "the resource is in state {state}")?;
                fault.as_ref().map_or(Ok(()), |fault| write!(f, ": {fault}"))
            }
            Self::ScopeChanged(how) => write!(
                f,
                "the credentials lead to another place than before ({how}); nothing is written there"
            ),
            Self::Journal(why) => write!(f, "the journal cannot be written: {why}"),
            Self::Held(parts) => {
                f.write_str("it can only be made anew together with what is a part of it: ")?;
                list(f, parts)?;
                f.write_str("; lifecycle.replace: Allow on that too deletes it and makes it anew")
            }
            Self::Successor(why) => write!(
                f,
                "the one that was to take its place cannot, and this one serves on: {why}"
            ),
            Self::PruneOff => f.write_str(
                "its manifest is gone, and --prune is Off; delete it by hand, or declare it again",
            ),
            Self::Frozen {
                hash,
                going,
                managed,
            } => write!(
                f,
                "{going} of {managed} managed objects would be deleted; `stackward approve {hash}` allows it, the manifests back in the directory cancel it"
            ),
            Self::Protected => f.write_str(
                "it is protected by stackward.dev/protect; declare it again without protection to delete it",
            ),
        }
    }
}
