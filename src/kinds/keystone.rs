//! What Keystone's resources have in common: the default domain, names, and requests whose bodies
//! are made of one property per field. No kind of its own.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::manifest::Ref;

use super::call::{Call, Method, Service, segment};
use super::field::Field;
use super::need::{Inputs, Need, What};
use super::{Birth, Collection, Complaint};

/// The domain of what names none. Keystone would fall back to the same one, but calls it
/// deprecated; saying it also makes the identity known before anything is created.
pub const DEFAULT_DOMAIN: &str = "default";

/// What the digest of a secret begins with where one stands in the cloud: it is no name of a Secret.
pub const SCHEME: &str = "sw1:";

/// The domain that a spec means, once its reference is resolved.
#[must_use]
pub fn domain(reference: Option<&Ref>) -> Option<&str> {
    reference.map_or(Some(DEFAULT_DOMAIN), Ref::id)
}

/// The key by which Keystone tells two of a kind apart: names are unique in a domain.
#[must_use]
pub fn natural_key(domain: &str, name: &str) -> String {
    format!("{domain}/{name}")
}

/// The request that creates one: a property for each field that is set. The name is the birth's.
#[must_use]
pub fn post<A>(
    collection: &Collection,
    fields: &[Field<A>],
    property: impl Fn(&str) -> Option<(&'static str, Value)>,
    birth: &Birth<'_>,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> Call {
    let mut body = body(fields.iter().map(|field| field.name), property);
    if fields.iter().any(|field| field.name == "name") {
        body.insert("name".to_owned(), Value::from(birth.name));
    }
    body.extend(
        more.into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let path = collection.path;
    Call::new(Service::Identity, Method::Post, path, path).json(enveloped(collection, body))
}

/// The request that changes these fields of one.
#[must_use]
pub fn patch(
    collection: &Collection,
    id: &str,
    fields: &[&'static str],
    property: impl Fn(&str) -> Option<(&'static str, Value)>,
) -> Call {
    let path = format!("{}/{}", collection.path, segment(id));
    let body = body(fields.iter().copied(), property);
    Call::new(Service::Identity, Method::Patch, collection.route, path)
        .json(enveloped(collection, body))
}

fn body<'a>(
    fields: impl Iterator<Item = &'a str>,
    property: impl Fn(&str) -> Option<(&'static str, Value)>,
) -> Map<String, Value> {
    fields
        .filter_map(property)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn enveloped(collection: &Collection, body: Map<String, Value>) -> Value {
    let mut envelope = Map::new();
    envelope.insert(collection.one.to_owned(), Value::Object(body));
    Value::Object(envelope)
}

/// Visits a reference, if it is set.
pub fn visit(
    pointer: &str,
    kind: &'static str,
    reference: Option<&mut Ref>,
    visit: &mut dyn FnMut(Need<'_>),
) {
    if let Some(reference) = reference {
        visit(Need {
            pointer: pointer.to_owned(),
            what: What::Object { kind, reference },
        });
    }
}

/// Does a filter's reference, if it is set, mean this id?
#[must_use]
pub fn refers(reference: Option<&Ref>, id: Option<&str>) -> bool {
    reference.is_none_or(|it| it.id().is_some() && it.id() == id)
}

/// The digest of a secret of this sort: keyed with the object's uid, so that who sees it cannot try
/// secrets on it. The key has a fixed length and comes first, so key and secret cannot be told apart
/// wrongly.
#[must_use]
pub fn digest(sort: &str, inputs: &Inputs, secret: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(sort.as_bytes());
    hasher.update(b"\n");
    hasher.update(inputs.uid.as_bytes());
    hasher.update(secret.as_bytes());
    HEXLOWER.encode(&hasher.finalize())
}

/// What is wrong with a name, or with any text of which Keystone takes no more than so much.
#[must_use]
pub fn check(pointer: &str, text: Option<&str>, most: usize) -> Option<Complaint> {
    let length = text?.chars().count();
    (length == 0 || length > most).then(|| {
        Complaint::new(
            pointer,
            format!("Keystone takes 1 to {most} characters here"),
        )
    })
}

/// An id, as a reference that is resolved.
#[must_use]
pub fn by_id(id: &str) -> Option<Ref> {
    (!id.is_empty()).then(|| Ref::Id(id.to_owned()))
}

#[cfg(test)]
pub(super) mod testing {
    use serde_json::{Value, json};

    use crate::kinds::Kind;
    use crate::kinds::erased::{AnyKind, Intent, Of};
    use crate::kinds::field::{Class, Row, diff};
    use crate::kinds::neutron::testing::{body, look, projected, request, resolved};

    /// Creates from a spec, answers as Keystone would (what was sent, over `answer`), and names the
    /// fields in which the result is not what was wanted.
    pub(crate) fn created_differs<K: Kind>(spec: &Value, answer: &Value) -> Vec<&'static str> {
        let want = resolved::<K>(spec);
        let call = request::<K>(&Intent::Create, &want, None).unwrap();
        let mut object = json!({"id": "11111111111141118111111111111111"});
        for source in [answer, &body(&call)[K::COLLECTION.one]] {
            for (property, value) in source.as_object().unwrap() {
                object[property] = value.clone();
            }
        }
        let rows = Of::<K>::NEW.rows();
        let all = rows.into_iter().map(|row| Row {
            class: Class::Update,
            ..row
        });
        let rows: Vec<Row> = all.collect();
        let differences = diff(&rows, &want, &projected::<K>(&look::<K>(object)));
        differences.iter().map(|it| it.field).collect()
    }
}
