//! Kubernetes' protobuf, as far as `kubectl create secret` and `create configmap` need it: they send
//! nothing else, whatever they are answered.
//!
//! Of the messages only the fields are read that a manifest can have. Their numbers are those of
//! `k8s.io/api/core/v1/generated.proto` and `k8s.io/apimachinery/pkg/runtime/generated.proto`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::resource::Resource;

/// Its name.
pub(super) const MEDIA: &str = "application/vnd.kubernetes.protobuf";
/// What stands before the envelope.
const MAGIC: &[u8] = b"k8s\0";

/// The object in a body.
///
/// # Errors
/// It is not understood, or of a kind that is not sent so.
pub(super) fn object(body: &[u8], resource: &Resource) -> Result<Value, Failure> {
    if !resource.is_data() {
        return Err(Failure::unsupported(format!(
            "{MEDIA} is not taken for {}: write YAML, as `kubectl create ... --dry-run=client -o yaml` \
             does, and `kubectl apply -f` it",
            resource.plural
        )));
    }
    read(body, resource.kind == "Secret")
        .ok_or_else(|| Failure::bad_request(format!("the body is not {MEDIA}")))
}

fn read(body: &[u8], secret: bool) -> Option<Value> {
    let mut unknown = Message::new(body.strip_prefix(MAGIC)?);
    let (mut object, mut raw) = (Map::new(), None);
    while let Some((number, field)) = unknown.next()? {
        match number {
            1 => {
                let mut meta = Message::new(field.bytes()?);
                while let Some((number, field)) = meta.next()? {
                    let name = match number {
                        1 => "apiVersion",
                        2 => "kind",
                        _ => continue,
                    };
                    object.insert(name.to_owned(), json!(field.text()?));
                }
            }
            2 => raw = Some(field.bytes()?),
            // An encoding of its own is none that is known.
            3 if !field.bytes()?.is_empty() => return None,
            _ => {}
        }
    }
    let mut message = Message::new(raw?);
    let (mut plain, mut encoded) = (Map::new(), Map::new());
    while let Some((number, field)) = message.next()? {
        match (number, secret) {
            (1, _) => {
                object.insert("metadata".to_owned(), metadata(field.bytes()?)?);
            }
            (2, true) | (3, false) => {
                let (name, bytes) = entry(field.bytes()?)?;
                encoded.insert(name, json!(STANDARD.encode(bytes)));
            }
            (4, true) | (2, false) => {
                let (name, bytes) = entry(field.bytes()?)?;
                plain.insert(name, json!(std::str::from_utf8(bytes).ok()?));
            }
            (3, true) => {
                let kind = field.text()?;
                if !kind.is_empty() {
                    object.insert("type".to_owned(), json!(kind));
                }
            }
            (5, true) | (4, false) => {
                object.insert("immutable".to_owned(), json!(field.number()? != 0));
            }
            _ => {}
        }
    }
    let names = match secret {
        true => [("data", encoded), ("stringData", plain)],
        false => [("binaryData", encoded), ("data", plain)],
    };
    for (name, entries) in names {
        if !entries.is_empty() {
            object.insert(name.to_owned(), Value::Object(entries));
        }
    }
    Some(Value::Object(object))
}

fn metadata(bytes: &[u8]) -> Option<Value> {
    let mut message = Message::new(bytes);
    let mut metadata = Map::new();
    while let Some((number, field)) = message.next()? {
        let (name, is_map) = match number {
            1 => ("name", false),
            2 => ("generateName", false),
            3 => ("namespace", false),
            11 => ("labels", true),
            12 => ("annotations", true),
            _ => continue,
        };
        if is_map {
            let (key, text) = entry(field.bytes()?)?;
            let map = metadata.entry(name).or_insert_with(|| json!({}));
            map[key] = json!(std::str::from_utf8(text).ok()?);
        } else if !field.text()?.is_empty() {
            metadata.insert(name.to_owned(), json!(field.text()?));
        }
    }
    Some(Value::Object(metadata))
}

/// One entry of a map.
fn entry(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut message = Message::new(bytes);
    let (mut key, mut value): (&str, &[u8]) = ("", &[]);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => key = field.text()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Some((key.to_owned(), value))
}

/// The fields of a message, one after the other.
struct Message<'a>(&'a [u8]);

#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    const fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Number(_) => None,
        }
    }

    fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    const fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Bytes(_) => None,
        }
    }
}

impl<'a> Message<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next field and its number; nothing in the outer option is no message.
    fn next(&mut self) -> Option<Option<(u64, Field<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Bytes(self.take(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Bytes(self.take(4)?),
            _ => return None,
        };
        Some(Some((tag >> 3, field)))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What kubectl 1.32 sends for `create secret generic foo --from-literal=a=b`.
    const SECRET: &[u8] = b"k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12\x1f\n\x13\n\x03foo\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\
        \x12\x06\n\x01a\x12\x01b\x1a\x00\x1a\x00\"\x00";
    /// And for `create configmap foo --from-literal=a=b`.
    const MAP: &[u8] = b"k8s\0\n\x0f\n\x02v1\x12\tConfigMap\x12\x1d\n\x13\n\x03foo\x12\x00\x1a\x00\"\x00*\x002\x008\x00B\x00\
        \x12\x06\n\x01a\x12\x01b\x1a\x00\"\x00";

    #[test]
    fn what_kubectl_sends_is_read() {
        assert_eq!(
            read(SECRET, true).unwrap(),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "foo"}, "data": {"a": "Yg=="}})
        );
        assert_eq!(
            read(MAP, false).unwrap(),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foo"}, "data": {"a": "b"}})
        );
    }

    #[test]
    fn labels_the_type_and_numbers_are_read() {
        let body =
            b"k8s\0\x12\x23\n\x12\x1a\x04teamZ\n\n\x03app\x12\x03web\x1a\x0bexample.com\x28\x01";
        assert_eq!(
            read(body, true).unwrap(),
            json!({"metadata": {"namespace": "team", "labels": {"app": "web"}}, "type": "example.com",
                "immutable": true})
        );
    }

    proptest! {
        #[test]
        fn what_is_cut_off_or_turned_over_is_refused_or_read_but_never_a_panic(
            end in 0..SECRET.len(), at in 0..SECRET.len(), byte: u8,
        ) {
            let mut turned = SECRET.to_vec();
            turned[at] = byte;
            let _: Option<Value> = read(&turned, true);
            let _: Option<Value> = read(&turned, false);
            prop_assert!(end >= 20 || read(&SECRET[..end], true).is_none());
        }
    }
}
