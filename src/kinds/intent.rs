//! What one request is for, in words and as a label.

use super::Element;

/// What one request is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// Make it.
    Create,
    /// Bring these fields to what is wanted, in one update.
    Update(Vec<&'static str>),
    /// The action of one field.
    Act(&'static str),
    /// Add an element to a set.
    Add(&'static str, Element),
    /// Remove an element from a set.
    Remove(&'static str, Element),
    /// Move a stuck one on, by this action.
    Remedy(String),
    /// Write our marker onto it, by consent.
    Adopt,
    /// Read it alone: right before a deletion, or to learn whether it is gone.
    Inspect,
    /// Delete it.
    Delete,
    /// Make a new one beside it that takes its place, then delete it. No request of its own.
    Replace,
}

impl std::fmt::Display for Intent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::Update(fields) => write!(f, "update {}", fields.join(", ")),
            Self::Act(field) => write!(f, "change {field}"),
            Self::Add(field, _) => write!(f, "add to {field}"),
            Self::Remove(field, _) => write!(f, "remove from {field}"),
            Self::Remedy(action) => f.write_str(action),
            Self::Adopt => f.write_str("adopt"),
            Self::Inspect => f.write_str("inspect"),
            Self::Delete => f.write_str("delete"),
            Self::Replace => f.write_str("make the one that takes its place"),
        }
    }
}

impl Intent {
    /// The verb alone, from a closed set: a metric's label.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update(_) => "update",
            Self::Act(_) => "act",
            Self::Add(..) => "add",
            Self::Remove(..) => "remove",
            Self::Remedy(_) => "remedy",
            Self::Adopt => "adopt",
            Self::Inspect => "inspect",
            Self::Delete => "delete",
            Self::Replace => "replace",
        }
    }
}
