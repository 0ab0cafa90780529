//! Ownership: a short text written at birth, in the create request itself, and read back later.
//!
//! `sw1.<owner>.<uid>.<try>`: whose it is, which object of the manifests it is, and which of our
//! POSTs made it. At most 53 characters of `[a-z0-9.]`, so that it fits a Nova tag, any metadata
//! value and a Neutron description. Not a secret, and not a proof against a malicious cloud.

use std::fmt;
use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use uuid::Uuid;

use crate::manifest::{INCARNATIONS, Key};

use super::Complaint;

/// Key of the marker in metadata and properties (Nova allows letters, digits, `-_:.` and space).
pub const MARKER_KEY: &str = "stackward.marker";
/// Key of the object's name in metadata and properties, for people who look at the cloud alone.
pub const OBJECT_KEY: &str = "stackward.object";
/// Key of the id of the image that the marker beside it was given to. Nova writes all properties of an
/// image into the snapshots of the servers that are made of it, Cinder into the images that are made
/// of its volumes: a marker beside another id is a copy, and marks nothing.
pub const MARKED_KEY: &str = "stackward.marked";
/// Key of the digest of the rendered user data in a server's metadata.
pub const USER_DATA_KEY: &str = "stackward.user-data-sha256";
/// Key of the name of the Image object that a server was made of, in its metadata: when that image
/// is made anew its id changes, and the server is of it all the same.
pub const IMAGE_KEY: &str = "stackward.image";
/// Key of the id of the volume that a server boots from, in its metadata: Nova tells nobody but an
/// administrator, and of a shelved server not even the devices of its volumes are known.
pub const BOOT_VOLUME_KEY: &str = "stackward.boot-volume";
/// All metadata keys that are ours begin like this; they never show as drift.
pub const KEY_PREFIX: &str = "stackward.";

const PREFIX: &str = "sw1.";

/// Whose resources these are: minted once per installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub Uuid);

impl Owner {
    /// The identity of an object's first incarnation, or of the one that the key names: the same
    /// for the same owner and key, so that losing the journal is not losing identity.
    #[must_use]
    pub fn uid(&self, key: &Key) -> Uuid {
        let name = match key.as_incarnation() {
            Some(_) => key.to_string(),
            None => key.incarnation(0).to_string(),
        };
        Uuid::new_v5(&self.0, name.as_bytes())
    }

    /// The identities of all incarnations of an object, in their order.
    pub fn uids(&self, key: &Key) -> impl Iterator<Item = Uuid> {
        (0..INCARNATIONS).map(|number| self.uid(&key.incarnation(number)))
    }

    /// The marker of one try to create an object.
    #[must_use]
    pub fn marker(&self, key: &Key, attempt: u64) -> Marker {
        Marker {
            owner: self.short(),
            uid: self.uid(key),
            attempt,
        }
    }

    /// The first 32 bits, as they stand in a marker.
    #[must_use]
    pub fn short(&self) -> u32 {
        let [a, b, c, d, ..] = self.0.into_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// The ownership marker of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marker {
    /// First 32 bits of the owner.
    pub owner: u32,
    /// UUIDv5 of owner and key.
    pub uid: Uuid,
    /// Which POST made it.
    pub attempt: u64,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base32 = base32();
        write!(
            f,
            "{PREFIX}{:08x}.{}.{}",
            self.owner,
            base32.encode(self.uid.as_bytes()),
            base32.encode(&self.attempt.to_be_bytes())
        )
    }
}

impl Marker {
    /// Reads a marker; anything that is not exactly one gives `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(PREFIX)?.split('.');
        let (owner, uid, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || owner.len() != 8 {
            return None;
        }
        let base32 = base32();
        let marker = Self {
            owner: u32::from_str_radix(owner, 16).ok()?,
            uid: Uuid::from_slice(&base32.decode(uid.as_bytes()).ok()?).ok()?,
            attempt: u64::from_be_bytes(base32.decode(attempt.as_bytes()).ok()?.try_into().ok()?),
        };
        // One spelling only: capitals or a sign in the number are somebody else's text.
        (marker.to_string() == text).then_some(marker)
    }

    /// Splits a description (or a name) into the user's text and the marker at its end.
    #[must_use]
    pub fn split(description: &str) -> (&str, Option<Self>) {
        let found = description.strip_suffix(']').and_then(|rest| {
            let (text, marker) = rest.rsplit_once('[')?;
            Some((text, Self::parse(marker)?))
        });
        match found {
            Some((text, marker)) => (text.strip_suffix(' ').unwrap_or(text), Some(marker)),
            None => (description, None),
        }
    }

    /// A description that carries the marker: `text [marker]`, or `[marker]` without a text.
    #[must_use]
    pub fn describe(&self, text: Option<&str>) -> String {
        match text {
            Some(text) if !text.is_empty() => format!("{text} [{self}]"),
            _ => format!("[{self}]"),
        }
    }
}

/// What is wrong with the name of a resource whose name carries the marker: Nova and Neutron take
/// 255 characters, of which a marker and what sets it apart need 56.
#[must_use]
pub fn check_name(name: Option<&str>) -> Vec<Complaint> {
    const MOST: usize = 255 - 56;
    let too_long = name.is_some_and(|name| name.chars().count() > MOST);
    let complaint = || {
        Complaint::new(
            "/name",
            format!("a name has at most {MOST} characters here"),
        )
        .hint("the cloud takes 255, of which 56 hold the mark of ownership")
    };
    too_long.then(complaint).into_iter().collect()
}

fn base32() -> &'static Encoding {
    static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
        let mut specification = Specification::new();
        specification
            .symbols
            .push_str("abcdefghijklmnopqrstuvwxyz234567");
        // The alphabet is a constant of 32 different symbols, which is all that can be wrong with it.
        specification
            .encoding()
            .unwrap_or(data_encoding::BASE32_NOPAD)
    });
    &BASE32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owner() -> Owner {
        Owner(Uuid::from_u128(0x1234_5678_9abc_def0_1122_3344_5566_7788))
    }

    #[test]
    fn the_same_owner_and_key_give_the_same_uid() {
        let key = Key::new("Volume", "default", "data");
        assert_eq!(owner().uid(&key), owner().uid(&key));
        assert_ne!(
            owner().uid(&key),
            owner().uid(&Key::new("Volume", "default", "date"))
        );
        assert_ne!(owner().uid(&key), Owner(Uuid::nil()).uid(&key));
    }

    #[test]
    fn incarnations_are_told_apart_and_the_first_is_the_object_itself() {
        let key = Key::new("Volume", "default", "data");
        let uids: Vec<Uuid> = owner().uids(&key).collect();
        assert_eq!(uids[0], owner().uid(&key));
        assert!(uids[0] != uids[1] && uids[1] != uids[2] && uids[2] != uids[0]);
        assert_eq!(key.incarnation(2).as_incarnation(), Some((key.clone(), 2)));
        assert_eq!(key.as_incarnation(), None);
    }

    #[test]
    fn a_description_keeps_the_users_text() {
        let marker = owner().marker(&Key::new("Network", "default", "net"), 7);
        for text in ["", "hello", "ends with ]", "[sw1.nonsense]"] {
            let described = marker.describe(Some(text));
            assert_eq!(Marker::split(&described), (text, Some(marker)));
        }
        assert_eq!(Marker::split("plain [x]"), ("plain [x]", None));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(o: u32, uid: u128, attempt: u64) {
            let marker = Marker { owner: o, uid: Uuid::from_u128(uid), attempt };
            let text = marker.to_string();
            prop_assert!(text.len() <= 53);
            prop_assert_eq!(Marker::parse(&text), Some(marker));
            prop_assert_eq!(Marker::parse(&text.to_uppercase()), None);
        }
    }
}
