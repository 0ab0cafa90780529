//! What a spec needs from outside of itself before it can become a request: other objects, values
//! of their status, secrets, files. One visitor per kind serves edges, resolution and export.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use uuid::Uuid;

use crate::manifest::{Ref, ValueSource};

/// One need of a spec, found by [`super::Kind::needs`].
pub struct Need<'a> {
    /// JSON pointer below the spec: `/ports/0/portRef`. Its first segment is the field that has to
    /// wait while the need is unmet.
    pub pointer: String,
    /// What is needed.
    pub what: What<'a>,
}

/// What is needed.
pub enum What<'a> {
    /// The id of another object; resolution overwrites the reference with `Ref::Id`.
    Object {
        /// The kind that is referred to.
        kind: &'static str,
        /// The reference, in place.
        reference: &'a mut Ref,
    },
    /// A value for a template.
    Value(&'a ValueSource),
    /// One key of a Secret.
    SecretKey {
        /// The Secret's name, in the namespace of the object.
        name: &'a str,
        /// The key in its data.
        key: &'a str,
    },
    /// A file beside the manifest.
    File {
        /// The path as it stands in the manifest.
        path: &'a str,
        /// What is done with it.
        reading: Reading,
    },
}

/// How a file that a manifest names is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Small text, read whole when the manifests are; at most this many bytes.
    Text(u64),
    /// Streamed when it is needed; only its existence is checked before.
    Stream,
}

/// An owned [`Need`], as the engine keeps it in the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// See [`Need::pointer`].
    pub pointer: String,
    /// What is needed.
    pub what: DeclaredWhat,
}

/// See [`What`].
#[derive(Debug, Clone, PartialEq)]
pub enum DeclaredWhat {
    /// See [`What::Object`].
    Object {
        /// The kind that is referred to.
        kind: &'static str,
        /// The reference as it stands in the manifest.
        reference: Ref,
    },
    /// See [`What::Value`].
    Value(ValueSource),
    /// See [`What::SecretKey`].
    SecretKey {
        /// The Secret's name.
        name: String,
        /// The key in its data.
        key: String,
    },
    /// See [`What::File`].
    File {
        /// The path as it stands in the manifest.
        path: String,
        /// What is done with it.
        reading: Reading,
    },
}

impl Need<'_> {
    /// The same need without the borrow.
    #[must_use]
    pub fn declare(&self) -> Declared {
        let what = match &self.what {
            What::Object { kind, reference } => DeclaredWhat::Object {
                kind,
                reference: (**reference).clone(),
            },
            What::Value(source) => DeclaredWhat::Value((*source).clone()),
            What::SecretKey { name, key } => DeclaredWhat::SecretKey {
                name: (*name).to_owned(),
                key: (*key).to_owned(),
            },
            What::File { path, reading } => DeclaredWhat::File {
                path: (*path).to_owned(),
                reading: *reading,
            },
        };
        Declared {
            pointer: self.pointer.clone(),
            what,
        }
    }
}

impl Declared {
    /// The spec's top-level field that needs this.
    #[must_use]
    pub fn field(&self) -> &str {
        self.pointer
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default()
    }
}

/// The values that met the needs of one spec, by pointer. References to objects are not here: they
/// are filled in place.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Values, keys of Secrets, texts of files.
    pub texts: BTreeMap<String, SecretString>,
    /// Absolute paths of files that are streamed.
    pub files: BTreeMap<String, PathBuf>,
    /// Of references that are names: `namespace/name`.
    pub names: BTreeMap<String, String>,
    /// The object's uid: it cannot be known without the owner's, so it keys digests of secrets. For
    /// kinds without a marker only; a marker shows it to everybody.
    pub uid: Uuid,
}

/// What a spec becomes beside itself when it is filled, and what must never be printed: the
/// rendered user data, passwords.
#[derive(Debug, Clone, Default)]
pub struct Material(pub BTreeMap<&'static str, SecretString>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_of_a_need_is_its_first_segment() {
        let need = |pointer: &str| Declared {
            pointer: pointer.to_owned(),
            what: DeclaredWhat::SecretKey {
                name: String::new(),
                key: String::new(),
            },
        };
        assert_eq!(need("/userData/values/x").field(), "userData");
        assert_eq!(need("/imageRef").field(), "imageRef");
    }
}
