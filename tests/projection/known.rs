//! What cannot be tried or told, kind by kind, and why. Whatever is not listed here has to be.

use serde_json::Value;

/// Where a schema allows what its kind never accepts: properties that are never set, or always, and
/// why that is so.
pub const HINTS: &[(&str, &str, &str)] = &[
    (
        "Image",
        "/content was always set",
        "an image that is managed must say so",
    ),
    (
        "ApplicationCredential",
        "/accessRules/*/method=\"CONNECT\" was never set",
        "Keystone refuses it, and ORC has the word",
    ),
    (
        "ApplicationCredential",
        "/accessRules/*/method=\"OPTIONS\" was never set",
        "Keystone refuses it, and ORC has the word",
    ),
    (
        "ApplicationCredential",
        "/accessRules/*/method=\"TRACE\" was never set",
        "Keystone refuses it, and ORC has the word",
    ),
    (
        "ApplicationCredential",
        "/accessRules/*/method was always set",
        "Keystone fails without it, and ORC lets it be left out",
    ),
    (
        "ApplicationCredential",
        "/accessRules/*/path was always set",
        "Keystone fails without it, and ORC lets it be left out",
    ),
    (
        "SecurityGroup",
        "/rules/*/direction was always set",
        "Neutron needs it, and ORC lets it be left out",
    ),
    (
        "Trunk",
        "/subports/*/segmentationType was always set",
        "a subport has an id of its own or inherits one",
    ),
    (
        "Role",
        "/domainRef was never set",
        "its kind refuses it: no list shows the roles of a domain",
    ),
    (
        "Subnet",
        "/routerRef was never set",
        "it stands for a RouterInterface: tests/orc/places.rs",
    ),
    (
        "RouterInterface",
        "/subnetRef was always set",
        "the only type that there is needs it",
    ),
];

/// How far an answer tells a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// In no answer, so that `project` cannot either.
    Never,
    /// All that it says together, in other words.
    Whole,
    /// Not of every object: nothing there is no difference, another value is one.
    Sometimes,
    /// Always, but of a server that is shelved.
    Unshelved,
}

/// Properties that not every answer tells, with all below them, and why that is no harm. Of all
/// others nothing there is as wrong as another value.
pub const UNTOLD: &[(&str, &str, Told, &str)] = &[
    (
        "FloatingIP",
        "/floatingSubnetRef",
        Told::Never,
        "its network is told, and compared",
    ),
    (
        "FloatingIP",
        "/serverRef",
        Told::Never,
        "it becomes portRef, which is compared",
    ),
    (
        "KeyPair",
        "/publicKeyFile",
        Told::Never,
        "it becomes publicKey, which is compared",
    ),
    (
        "ApplicationCredential",
        "/accessRules/*/serviceRef",
        Told::Never,
        "it becomes service, which is compared",
    ),
    (
        "Port",
        "/hostID/serverRef",
        Told::Never,
        "it becomes id, which is compared",
    ),
    (
        "Server",
        "/bootVolume/tag",
        Told::Never,
        "Nova tells it to the server itself alone",
    ),
    (
        "Port",
        "/valueSpecs",
        Told::Never,
        "words of Neutron that its kind does not know",
    ),
    (
        "Server",
        "/availabilityZone",
        Told::Unshelved,
        "a shelved server is in none",
    ),
    (
        "Server",
        "/volumes/*/device",
        Told::Unshelved,
        "the volumes of a shelved server are at none",
    ),
    ("Server", "/userData", Told::Whole, "a digest of it is told"),
    (
        "Server",
        "/networks",
        Told::Never,
        "the ports that Nova makes are seen as ports",
    ),
    (
        "Server",
        "/securityGroupRefs",
        Told::Never,
        "the ports that Nova makes have them",
    ),
    (
        "Server",
        "/schedulerHints",
        Told::Never,
        "Nova tells them to administrators only",
    ),
    (
        "VolumeSnapshot",
        "/force",
        Told::Never,
        "a word about the request, not about the snapshot",
    ),
    (
        "SecurityGroup",
        "/rules/*/description",
        Told::Sometimes,
        "a rule that a group is born with has none",
    ),
    (
        "Image",
        "/content/download",
        Told::Never,
        "Glance does not know where its data came from",
    ),
    (
        "Image",
        "/content/file",
        Told::Never,
        "Glance does not know where its data came from",
    ),
    (
        "Image",
        "/content/decompress",
        Told::Never,
        "Glance has what was decompressed already",
    ),
    (
        "Image",
        "/content/hash",
        Told::Never,
        "Glance has a digest of what was decompressed",
    ),
];

/// Fields that are changed in place and are never repaired, and why that is so.
pub const UNREPAIRED: &[(&str, &str, &str)] = &[
    (
        "User",
        "passwordRef",
        "only the service knows the password, and the digest of it is no part of a request",
    ),
    (
        "AddressScope",
        "shared",
        "Neutron takes it back never, which is said in words",
    ),
    (
        "Volume",
        "size",
        "Cinder shrinks none, which is said in words",
    ),
];

/// Laws that cannot be tried for a kind that they apply to, and why.
pub const UNTRIED: &[(&str, &str, &str)] = &[];

/// How far the answers tell the property; `None` if in every one.
pub fn told(kind: &str, path: &str) -> Option<Told> {
    known(kind, path).map(|(_, told)| told)
}

/// The property as it is told: itself, or what it is a part of.
pub fn told_in<'p>(kind: &str, path: &'p str) -> &'p str {
    match known(kind, path) {
        Some((whole, Told::Whole)) => whole,
        _ => path,
    }
}

fn known(kind: &str, path: &str) -> Option<(&'static str, Told)> {
    let within = |of: &str| {
        path.strip_prefix(of)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut known = UNTOLD.iter();
    known
        .find(|(name, of, ..)| *name == kind && within(of))
        .map(|(_, of, told, _)| (*of, *told))
}

/// `spec` with what no answer tells as `whole` has it.
pub fn completed(kind: &str, mut spec: Value, whole: &Value) -> Value {
    for (_, path, ..) in UNTOLD
        .iter()
        .filter(|it| it.0 == kind && it.2 == Told::Never && !it.1.contains('*'))
    {
        let Some(value) = whole.pointer(path).filter(|it| !it.is_null()) else {
            continue;
        };
        let (parent, name) = path.rsplit_once('/').unwrap();
        if let Some(place) = spec.pointer_mut(parent).filter(|it| it.is_object()) {
            place[name] = value.clone();
        }
    }
    spec
}
