//! What the tests of several kinds share.

use uuid::Uuid;

use crate::manifest::Key;

use super::Birth;
use super::marker::Owner;
use super::need::Material;

/// A birth as the engine would give it.
pub(crate) fn birth<'a>(name: &'a str, material: &'a Material) -> Birth<'a> {
    Birth {
        name,
        marker: Owner(Uuid::from_u128(7)).marker(&Key::new("Kind", "default", "object"), 1),
        object: "Kind/default/object",
        id: Uuid::from_u128(0x1dea),
        material,
    }
}
