//! Text to desired objects, with the place of every field.
//!
//! What a manifest is, in whichever API group it was written. Pure: no files, environment, clock,
//! logging. What the fields below `spec.resource` mean is not known here but in `kinds`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

mod compact;
mod documents;
mod duration;
mod envelope;
mod fields;
mod json;
mod key;
mod names;
mod object;
pub mod parse;
mod place;
mod policy;
pub mod problem;
pub mod reference;
pub mod render;
mod secret;
mod suggest;
mod syntax;
pub mod template;
pub mod typed;
pub mod write;
mod yaml;

pub use compact::Compact;
pub use duration::{duration_text, parse_duration};
pub use key::{BadKey, DEFAULT_NAMESPACE, INCARNATIONS, Key};
pub use names::{mend as mend_name, name_fault, namespace_fault};
pub use object::MANAGED_FIELDS;
pub use parse::Shape;
pub use place::{Mark, Origin, Places, words};
pub use policy::{
    Adopt, CloudRef, DEFAULT_DEADLINE, Lifecycle, Management, OnDelete, OnError, Permission,
    Policy, Replace, UserDataChange,
};
pub use problem::Problem;
pub use reference::{Ref, ValueSource, lookup};
pub use secret::Bytes;
pub use suggest::did_you_mean;
pub use typed::{native_fields, typed_all};

use problem::Code;

/// The API group that a manifest was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// ORC's own, `openstack.k-orc.cloud/v1alpha1`: accepted unchanged, without extensions.
    Orc,
    /// `stackward.dev/v1alpha1`: a strict superset of it.
    Native,
    /// `v1`: Secret and ConfigMap.
    Core,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 3] = [Self::Native, Self::Orc, Self::Core];

    /// The `apiVersion` of the group.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Orc => "openstack.k-orc.cloud/v1alpha1",
            Self::Native => "stackward.dev/v1alpha1",
            Self::Core => "v1",
        }
    }
}

/// One desired object, as a person wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its identity.
    pub key: Key,
    /// The API group that it was written in.
    pub group: Group,
    /// Where the object begins.
    pub origin: Origin,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// What the daemon may do with it.
    pub policy: Policy,
    /// What it is about.
    pub content: Content,
    /// `spec` as it is written; of a Secret or a ConfigMap what it says beside its entries.
    pub spec: Compact,
    /// Where each of its fields stands.
    pub places: Arc<Places>,
    /// The pointer that `content` is found at: `/spec/resource`, `/spec/import/filter`, `/spec`.
    pub base: &'static str,
}

impl Manifest {
    /// Where the field at a JSON pointer stands; for a field that is not written, its nearest
    /// parent that is.
    #[must_use]
    pub fn place(&self, pointer: &str) -> Origin {
        self.places.value(pointer)
    }

    /// The manifest of an object without an envelope that this one's resource stands for.
    #[must_use]
    pub fn child(&self, kind: &str, name: &str, spec: Value) -> Self {
        let policy = Policy {
            adopt: None,
            ..self.policy.clone()
        };
        Self {
            key: self.key.sibling(kind, name),
            spec: Compact::from(&spec),
            content: Content::Resource(Compact::from(spec)),
            base: "/spec",
            policy,
            ..self.clone()
        }
    }

    /// Whether both say the same, wherever and in whatever order it is written.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let Self {
            key,
            group,
            origin: _,
            labels,
            annotations,
            policy,
            content,
            spec: _,
            places: _,
            base,
        } = self;
        (key, group, labels, annotations, policy, content, base)
            == (
                &other.key,
                &other.group,
                &other.labels,
                &other.annotations,
                &other.policy,
                &other.content,
                &other.base,
            )
    }

    /// An error about the field at a JSON pointer: the message says what is wrong with it (`must be
    /// at least 1`), the field's path is put before it. It holds up this object only.
    #[must_use]
    pub fn problem(
        &self,
        pointer: &str,
        code: Code,
        message: impl AsRef<str>,
        hint: Option<String>,
    ) -> Problem {
        let message = fields::prefixed(pointer, message.as_ref());
        // What concerns a mapping as a whole stands at its key: a block mapping begins with its
        // first field, which may have no part in it.
        let place = match code {
            Code::MissingField | Code::UnknownField | Code::Conflict => self.places.key(pointer),
            _ => self.places.fault(pointer),
        };
        let mut problem = Problem::error(code, message)
            .at(place)
            .about(self.key.clone());
        problem.hint = hint;
        problem.confidential = matches!(self.content, Content::Data(_));
        problem
    }
}

/// What a manifest is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A resource to create and keep: `spec.resource`, not yet understood.
    Resource(Compact),
    /// A resource that exists already.
    Import(Import),
    /// A Secret or a ConfigMap.
    Data(Data),
}

/// Which existing resource is meant. Exactly one of the two is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// `spec.import.id`.
    pub id: Option<String>,
    /// `spec.import.filter`, not yet understood; has at least one field.
    pub filter: Option<Compact>,
}

/// The decoded entries of a Secret or a ConfigMap.
pub type Data = BTreeMap<String, Bytes>;
