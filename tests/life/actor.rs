//! A subject on its way through its life, and how what is seen of it is compared.

use serde_json::{Value, json};
use stackward::kinds::call::{Body, Call, Method, Microversion, Service};
use stackward::kinds::marker::Marker;

use crate::script::{Expect, Form, Script, Step, World};
use crate::subject::Subject;
use crate::table::{COLUMNS, Column};

/// A subject on its way.
pub(crate) struct Actor<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) form: Form,
    pub(crate) world: World,
    /// Its id, once it has one.
    pub(crate) id: String,
}

impl Actor<'_> {
    /// The step that changes nothing.
    pub(crate) fn step(&self, expect: Expect) -> Step {
        Step {
            what: String::new(),
            cells: Vec::new(),
            form: self.form.clone(),
            by_hand: Vec::new(),
            drifts: None,
            expect,
            world: self.world.clone(),
        }
    }

    /// A field that a person changes with one request, without which it is found all the same: its
    /// description at best, since others may be a part of its natural key.
    pub(crate) fn easily_changed(&self) -> Option<(String, Vec<(String, Value)>)> {
        let mut rows = self.subject.kind().rows();
        rows.sort_by_key(|row| row.name != "description");
        rows.iter()
            .filter(|row| row.name != "name")
            .find_map(|row| {
                let life = self.subject.fields.get(row.name)?;
                let script = Script::new(self.subject);
                let by_hand = script.by_hand(row.name, row.class, life)?;
                Some((row.name.to_owned(), by_hand))
            })
    }
}

pub(crate) fn all_fields(subject: &Subject, columns: &[Column]) -> Vec<(String, Column)> {
    let columns = COLUMNS.iter().filter(|column| columns.contains(column));
    columns
        .flat_map(|column| {
            let fields = subject
                .fields
                .iter()
                .filter(|(_, life)| life.never.is_none());
            fields.map(|(field, _)| (field.clone(), *column))
        })
        .collect()
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|it| it["type"] == kind);
    found.map_or(("", ""), |it| {
        (
            it["status"].as_str().unwrap_or_default(),
            it["message"].as_str().unwrap_or_default(),
        )
    })
}

/// A resource without marks of ownership in its texts.
pub(crate) fn plain(value: Value) -> Value {
    match value {
        // Behind " [sw1:" stands what an application credential was made of.
        Value::String(text) => {
            let text = Marker::split(&text).0;
            json!(text.split_once(" [sw1:").map_or(text, |(text, _)| text))
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| (key, plain(value)))
            .collect(),
        other => other,
    }
}

/// Is what is wanted a part of what is there? Lists in any order, but complete.
pub(crate) fn matches(want: &Value, have: &Value) -> bool {
    match (want, have) {
        (Value::Object(want), have) => want.iter().all(|(key, value)| matches(value, &have[key])),
        (Value::Array(want), Value::Array(have)) => {
            let mut left: Vec<&Value> = have.iter().collect();
            want.len() == have.len()
                && want.iter().all(|wanted| {
                    let place = left.iter().position(|there| matches(wanted, there));
                    place.map(|place| left.swap_remove(place)).is_some()
                })
        }
        (want, have) => want == have,
    }
}

/// The request that `METHOD path`, or `METHOD service:path`, stands for.
pub(crate) fn call(own: Service, line: &str, body: &Value) -> Call {
    let (method, path) = line.split_once(' ').expect("METHOD path");
    let (service, path) = match path.split_once(':') {
        Some((word, rest)) if Service::ALL.iter().any(|it| it.as_str() == word) => {
            let service = Service::ALL.into_iter().find(|it| it.as_str() == word);
            (service.unwrap(), rest)
        }
        _ => (own, path),
    };
    let method: Method = serde_json::from_value(json!(method)).unwrap();
    let microversion = match service {
        Service::Compute => Some((2, 90)),
        Service::BlockStorage => Some((3, 60)),
        _ => None,
    };
    Call::new(service, method, "by hand", path)
        .body(match body {
            Value::Null => Body::None,
            body if service == Service::Image && method == Method::Patch => {
                Body::ImagePatch(body.clone())
            }
            body => Body::Json(body.clone()),
        })
        .at(microversion.map(|want| Microversion { want, floor: want }))
}
