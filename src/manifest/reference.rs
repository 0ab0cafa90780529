//! References between objects, as fields of the kinds' specs, and paths into an object's status.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A reference to another resource: the name of an object in the same namespace, or (in the native
/// group) the resource itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ref {
    /// `networkRef: blog`
    Name(String),
    /// `networkRef: {id: 5a1f...}`
    Id(String),
    /// `networkRef: {filter: {name: public}}`: the import filter of the kind, not yet understood.
    Filter(Value),
}

impl Ref {
    /// The resource's id, where it is known: as written, or once the reference was resolved.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Id(id) => Some(id),
            Self::Name(_) | Self::Filter(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefFields {
    id: Option<String>,
    filter: Option<serde_json::Map<String, Value>>,
}

impl<'de> Deserialize<'de> for Ref {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Ref;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name, {id: ...} or {filter: {...}}")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Ref, E> {
                if name.is_empty() {
                    return Err(E::custom("must not be empty"));
                }
                Ok(Ref::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Ref, A::Error> {
                let fields = RefFields::deserialize(MapAccessDeserializer::new(map))?;
                match (fields.id, fields.filter) {
                    (Some(id), None) if id.is_empty() => {
                        Err(A::Error::custom("id must not be empty"))
                    }
                    (Some(id), None) => Ok(Ref::Id(id)),
                    (None, Some(filter)) if filter.is_empty() => {
                        Err(A::Error::custom("filter must have at least one field"))
                    }
                    (None, Some(filter)) => Ok(Ref::Filter(Value::Object(filter))),
                    (Some(_), Some(_)) => Err(A::Error::custom("id and filter exclude each other")),
                    (None, None) => Err(A::Error::custom("one of id and filter must be specified")),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for Ref {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Id(id) => serializer.collect_map([("id", id)]),
            Self::Filter(filter) => serializer.collect_map([("filter", filter)]),
        }
    }
}

impl schemars::JsonSchema for Ref {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ref".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The name of an object in the same namespace, or an existing resource \
                            by its id or by the import filter of its kind.",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "properties": {"id": {"type": "string", "minLength": 1}},
                    "required": ["id"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {"filter": {"type": "object", "minProperties": 1}},
                    "required": ["filter"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// Where the value of a template variable comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "ValueFields", into = "ValueFields")]
pub enum ValueSource {
    /// `{value: text}`; a whole number or a boolean is the text of it.
    Value(String),
    /// `{fieldRef: {kind, name, path}}`: a field of another object's status.
    Field {
        /// The object's kind.
        kind: String,
        /// The object's name, in the same namespace.
        name: String,
        /// `status.resource.interfaces[0].fixedIPs[0].ipAddress`
        path: String,
    },
    /// `{secretKeyRef: {name, key}}`
    SecretKey {
        /// The Secret's name.
        name: String,
        /// The entry in it.
        key: String,
    },
    /// `{configMapKeyRef: {name, key}}`
    ConfigMapKey {
        /// The ConfigMap's name.
        name: String,
        /// The entry in it.
        key: String,
    },
}

/// Where the value of a template variable comes from: exactly one of these.
#[derive(Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ValueFields {
    /// The value itself: text, a whole number, true or false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    /// A field of another object's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field_ref: Option<FieldRef>,
    /// An entry of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_key_ref: Option<KeyRef>,
    /// An entry of a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config_map_key_ref: Option<KeyRef>,
}

#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct FieldRef {
    #[schemars(extend("examples" = ["Network"]))]
    kind: String,
    name: String,
    #[schemars(extend("examples" = ["status.resource.name"]))]
    path: String,
}

#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeyRef {
    name: String,
    key: String,
}

impl TryFrom<ValueFields> for ValueSource {
    type Error = String;

    fn try_from(fields: ValueFields) -> Result<Self, String> {
        match fields {
            ValueFields {
                value: Some(value),
                field_ref: None,
                secret_key_ref: None,
                config_map_key_ref: None,
            } => match value {
                Value::String(text) => Ok(Self::Value(text)),
                // What a person wrote is not known any more: 1.20 has become 1.2.
                Value::Number(number) if number.is_f64() => {
                    Err("a value with a decimal point must be in quotes".to_owned())
                }
                Value::Number(number) => Ok(Self::Value(number.to_string())),
                Value::Bool(flag) => Ok(Self::Value(flag.to_string())),
                _ => Err("value must be text, a whole number, true or false".to_owned()),
            },
            ValueFields {
                value: None,
                field_ref: Some(FieldRef { kind, name, path }),
                secret_key_ref: None,
                config_map_key_ref: None,
            } => match segments(&path) {
                Some(_) => Ok(Self::Field { kind, name, path }),
                None => Err(format!(
                    "fieldRef.path `{}` is not a path such as status.resource.items[0].name",
                    super::suggest::quote(&path)
                )),
            },
            ValueFields {
                value: None,
                field_ref: None,
                secret_key_ref: Some(KeyRef { name, key }),
                config_map_key_ref: None,
            } => Ok(Self::SecretKey { name, key }),
            ValueFields {
                value: None,
                field_ref: None,
                secret_key_ref: None,
                config_map_key_ref: Some(KeyRef { name, key }),
            } => Ok(Self::ConfigMapKey { name, key }),
            _ => Err(
                "exactly one of value, fieldRef, secretKeyRef and configMapKeyRef must be \
                      specified"
                    .to_owned(),
            ),
        }
    }
}

impl From<ValueSource> for ValueFields {
    fn from(source: ValueSource) -> Self {
        let none = Self::default();
        match source {
            ValueSource::Value(value) => Self {
                value: Some(Value::String(value)),
                ..none
            },
            ValueSource::Field { kind, name, path } => Self {
                field_ref: Some(FieldRef { kind, name, path }),
                ..none
            },
            ValueSource::SecretKey { name, key } => Self {
                secret_key_ref: Some(KeyRef { name, key }),
                ..none
            },
            ValueSource::ConfigMapKey { name, key } => Self {
                config_map_key_ref: Some(KeyRef { name, key }),
                ..none
            },
        }
    }
}

impl schemars::JsonSchema for ValueSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ValueSource".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = ValueFields::json_schema(generator);
        schema.insert("minProperties".to_owned(), 1.into());
        schema.insert("maxProperties".to_owned(), 1.into());
        schema
    }
}

/// The value at a path such as `status.resource.interfaces[0].fixedIPs[0].ipAddress`. `None` when
/// it is not there, or is null, or the path is none.
#[must_use]
pub fn lookup<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let mut found = value;
    for segment in segments(path)? {
        found = match segment {
            Step::Field(name) => found.get(name)?,
            Step::Item(index) => found.get(index)?,
        };
    }
    (!found.is_null()).then_some(found)
}

enum Step<'p> {
    Field(&'p str),
    Item(usize),
}

fn segments(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, mut indexes) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() || name.contains(']') {
            return None;
        }
        steps.push(Step::Field(name));
        while !indexes.is_empty() {
            let (index, rest) = indexes.strip_prefix('[')?.split_once(']')?;
            if !index.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            steps.push(Step::Item(index.parse().ok()?));
            indexes = rest;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_read_back_what_they_write() {
        for value in [
            json!("blog"),
            json!({"id": "5a1f"}),
            json!({"filter": {"name": "public"}}),
        ] {
            let reference: Ref = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(reference).unwrap(), value);
        }
        for (bad, message) in [
            (
                json!(7),
                "invalid type: integer `7`, expected a name, {id: ...} or {filter: {...}}",
            ),
            (json!({}), "one of id and filter must be specified"),
            (
                json!({"id": "a", "filter": {"a": 1}}),
                "id and filter exclude each other",
            ),
            (json!({"filter": {}}), "filter must have at least one field"),
            (
                json!({"name": "a"}),
                "unknown field `name`, expected `id` or `filter`",
            ),
            (json!(""), "must not be empty"),
        ] {
            assert_eq!(
                serde_json::from_value::<Ref>(bad).unwrap_err().to_string(),
                message
            );
        }
    }

    #[test]
    fn values_come_from_exactly_one_source() {
        let field = json!({"fieldRef": {"kind": "Server", "name": "db", "path": "status.id"}});
        for value in [
            json!({"value": "a"}),
            field.clone(),
            json!({"secretKeyRef": {"name": "s", "key": "k"}}),
            json!({"configMapKeyRef": {"name": "c", "key": "k"}}),
        ] {
            let source: ValueSource = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(source).unwrap(), value);
        }
        for (value, text) in [
            (json!(8080), "8080"),
            (json!(true), "true"),
            (json!(-1), "-1"),
        ] {
            let source: ValueSource = serde_json::from_value(json!({"value": value})).unwrap();
            assert_eq!(source, ValueSource::Value(text.to_owned()));
        }
        let both = json!({"value": "a", "fieldRef": field["fieldRef"]});
        for bad in [
            both,
            json!({}),
            json!({"value": null}),
            json!({"value": 1.2}),
            json!({"value": []}),
            json!("a"),
        ] {
            assert!(
                serde_json::from_value::<ValueSource>(bad.clone()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_schemas_say_what_is_accepted() {
        let schema = schemars::schema_for!(ValueSource);
        assert_eq!(schema.get("maxProperties"), Some(&json!(1)));
        let properties = schema.get("properties").and_then(Value::as_object).unwrap();
        let names: Vec<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["configMapKeyRef", "fieldRef", "secretKeyRef", "value"]
        );
        let schema = schemars::schema_for!(Ref);
        assert_eq!(schema.pointer("/anyOf/0/type"), Some(&json!("string")));
    }

    #[test]
    fn a_path_finds_what_it_names_and_nothing_else() {
        let value = json!({"status": {"a": [{"b": ["x", null]}], "0": 1}});
        for (path, found) in [
            ("status.a[0].b[0]", Some(json!("x"))),
            ("status.a[0].b[1]", None),
            ("status.a[1]", None),
            ("status.a.0", None),
            ("status.0", Some(json!(1))),
            ("status.a[0]b", None),
            ("status..a", None),
            ("status.a[-1]", None),
            ("status.a[]", None),
            ("", None),
            ("status.a[99999999999999999999]", None),
        ] {
            assert_eq!(lookup(&value, path), found.as_ref(), "{path}");
        }
    }
}
