//! What the tests of several kinds share.

use uuid::Uuid;

use crate::manifest::parse::{Kinds, parse};
use crate::manifest::{Key, Problem};

use super::erased::Accepted;
use super::marker::Owner;
use super::need::Material;
use super::{Birth, KINDS};

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

/// The first manifest in a text, as its kind understands it.
pub(crate) fn accept(text: &str) -> Result<Accepted, Vec<Problem>> {
    let shapes: Vec<_> = KINDS
        .iter()
        .map(|kind| (kind.name(), kind.shape()))
        .collect();
    let (manifests, problems) = parse("test.yaml", text, Kinds(&shapes));
    let Some(manifest) = manifests.first() else {
        return Err(problems);
    };
    super::find(&manifest.key.kind).unwrap().accept(manifest)
}
