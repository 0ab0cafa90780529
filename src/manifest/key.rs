//! The identity of an object.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The namespace of an object that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// How many incarnations of one object are told apart; the next after the last is the first. Two
/// live beside each other while one replaces the other, and of three it is always clear which of
/// two is the newer.
pub const INCARNATIONS: u8 = 3;

/// The identity of an object: kind, namespace and name. The API group is not part of it, so that a
/// manifest can move between the groups without becoming another object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `Server`.
    pub kind: Arc<str>,
    /// `default` when the manifest has none.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl Key {
    /// A key from its parts.
    #[must_use]
    pub fn new(
        kind: impl Into<Arc<str>>,
        namespace: impl Into<Arc<str>>,
        name: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of another object in the same namespace, as references name them.
    #[must_use]
    pub fn sibling(&self, kind: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            kind: kind.into(),
            namespace: Arc::clone(&self.namespace),
            name: name.into(),
        }
    }

    /// The key of one incarnation of an object: `Server/default/blog-db#1`. Names in manifests have
    /// no `#`. See [`INCARNATIONS`].
    #[must_use]
    pub fn incarnation(&self, number: u8) -> Self {
        self.sibling(Arc::clone(&self.kind), format!("{}#{number}", self.name))
    }

    /// Of a key that [`Key::incarnation`] made: the object's own key, and which incarnation it is.
    #[must_use]
    pub fn as_incarnation(&self) -> Option<(Self, u8)> {
        let (name, number) = self.name.split_once('#')?;
        Some((
            self.sibling(Arc::clone(&self.kind), name),
            number.parse().ok()?,
        ))
    }

    /// For people: `Server/blog-db` in the default namespace, `Server/team/blog-db` elsewhere.
    #[must_use]
    pub fn short(&self) -> impl fmt::Display + '_ {
        Short(self)
    }
}

struct Short<'a>(&'a Key);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if &*self.0.namespace == DEFAULT_NAMESPACE {
            write!(f, "{}/{}", self.0.kind, self.0.name)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an object, expected Kind/name or Kind/namespace/name")]
pub struct BadKey(String);

impl FromStr for Key {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(BadKey(text.to_owned()));
        }
        match parts[..] {
            [kind, name] => Ok(Self::new(kind, DEFAULT_NAMESPACE, name)),
            [kind, namespace, name] => Ok(Self::new(kind, namespace, name)),
            _ => Err(BadKey(text.to_owned())),
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_what_it_shows_long_and_short() {
        for (key, short) in [
            (Key::new("Server", "default", "db"), "Server/db"),
            (Key::new("Server", "team", "db"), "Server/team/db"),
        ] {
            assert_eq!(key.short().to_string(), short);
            assert_eq!(short.parse(), Ok(key.clone()));
            assert_eq!(key.to_string().parse(), Ok(key.clone()));
            let json = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<Key>(&json).unwrap(), key);
        }
        for bad in ["", "Server", "Server/", "/a/b", "a/b/c/d"] {
            assert!(bad.parse::<Key>().is_err(), "{bad}");
        }
    }
}
