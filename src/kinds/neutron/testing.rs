//! A kind's laws, checked without a cloud.

use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kinds::call::{Body, Call};
use crate::kinds::erased::{AnyKind, Found, Intent, Of};
use crate::kinds::field::{Class, Difference, Row, diff};
use crate::kinds::marker::{Marker, Owner};
use crate::kinds::need::{Inputs, Material};
use crate::kinds::{Attached, Birth, Complaint, Kind, Refusal};
use crate::manifest::parse::{Kinds, Shape, parse};
use crate::manifest::problem::Code;
use crate::manifest::{Group, Key};

pub(crate) fn marker() -> Marker {
    Owner(Uuid::from_u128(7)).marker(&Key::new("Network", "default", "x"), 42)
}

/// The request for an intent, about an object called `called`.
pub(crate) fn request<K: Kind>(
    intent: &Intent,
    spec: &Value,
    found: Option<&Found>,
) -> Result<Call, Refusal> {
    let material = Material::default();
    let birth = Birth {
        name: spec["name"].as_str().unwrap_or("called"),
        marker: marker(),
        object: "Kind/default/called",
        id: Uuid::nil(),
        material: &material,
    };
    Of::<K>::NEW.request(intent, spec, found, &birth)
}

pub(crate) fn body(call: &Call) -> &Value {
    match &call.body {
        Body::Json(body) => body,
        other => panic!("{other:?}"),
    }
}

/// A spec with its references resolved and everything folded in.
pub(crate) fn resolved<K: Kind>(spec: &Value) -> Value {
    let inputs = Inputs::default();
    Of::<K>::NEW.resolve(spec, &|_| None, &inputs).unwrap().0
}

/// The same with texts at pointers.
pub(crate) fn resolved_with<K: Kind>(spec: &Value, texts: &[(&str, &str)]) -> Value {
    let mut inputs = Inputs::default();
    for (pointer, text) in texts {
        inputs
            .texts
            .insert((*pointer).to_owned(), SecretString::from(*text));
    }
    Of::<K>::NEW.resolve(spec, &|_| None, &inputs).unwrap().0
}

pub(crate) fn look<K: Kind>(object: Value) -> Found {
    Of::<K>::NEW.look(object).unwrap()
}

pub(crate) fn fixture<K: Kind>(text: &str) -> Found {
    look::<K>(serde_json::from_str(text).unwrap())
}

pub(crate) fn projected<K: Kind>(found: &Found) -> Value {
    Of::<K>::NEW.project(found, &Attached::default())
}

pub(crate) fn status<K: Kind>(found: &Found) -> Value {
    Of::<K>::NEW.status(found, &Attached::default())
}

/// What a planner would see between a wanted spec and what is there.
pub(crate) fn drift<K: Kind>(spec: &Value, found: &Found) -> Vec<Difference> {
    diff(
        &Of::<K>::NEW.rows(),
        &resolved::<K>(spec),
        &projected::<K>(found),
    )
}

/// Creates from a spec, answers as Neutron would (what was sent, over `answer`), and names the
/// fields in which the result is not what was wanted, those that matter at birth included.
pub(crate) fn unlike<K: Kind>(spec: &Value, answer: &Value) -> Vec<&'static str> {
    let kind = Of::<K>::NEW;
    let want = resolved::<K>(spec);
    let call = request::<K>(&Intent::Create, &want, None).unwrap();
    let mut object = json!({"id": "11111111-1111-4111-8111-111111111111", "project_id": "p"});
    for source in [answer, &body(&call)[K::COLLECTION.one]] {
        for (property, value) in source.as_object().unwrap() {
            object[property] = value.clone();
        }
    }
    let found = look::<K>(object);
    assert_eq!(
        found.marker,
        Some(marker()),
        "the marker is part of the create request"
    );
    let rows: Vec<Row> = kind
        .rows()
        .into_iter()
        .map(|row| Row {
            class: Class::Update,
            ..row
        })
        .collect();
    diff(&rows, &want, &projected::<K>(&found))
        .iter()
        .map(|it| it.field)
        .collect()
}

/// Pointers of the complaints about a spec.
pub(crate) fn complaints<K: Kind>(spec: &Value) -> Vec<String> {
    let spec = serde_json::from_value(spec.clone()).unwrap();
    K::check(&spec)
        .into_iter()
        .map(|Complaint { pointer, .. }| pointer)
        .collect()
}

/// Is a manifest of this API group with this spec accepted? If not, the codes of its problems.
pub(crate) fn accepted<K: Kind>(group: Group, spec: &Value) -> Result<(), Vec<Code>> {
    let kind = Of::<K>::NEW;
    let spec = match kind.shape() {
        Shape::Flat => spec.clone(),
        Shape::Enveloped => json!({
            "cloudCredentialsRef": {"secretName": "s", "cloudName": "c"}, "resource": spec,
        }),
    };
    let manifest = json!({
        "apiVersion": group.api_version(), "kind": K::NAME, "metadata": {"name": "x"}, "spec": spec,
    });
    let shapes = [(K::NAME, kind.shape())];
    let (manifests, problems) = parse("x.json", &manifest.to_string(), Kinds(&shapes));
    assert!(problems.is_empty(), "{problems:?}");
    let problems = kind.accept(&manifests[0]).err();
    problems.map_or(Ok(()), |them| Err(them.iter().map(|it| it.code).collect()))
}

/// Does a filter choose an object?
pub(crate) fn chooses<K: Kind>(filter: &Value, found: &Found) -> bool {
    !Of::<K>::NEW.choose(filter, &[found]).is_empty()
}
