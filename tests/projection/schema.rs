//! Specs from a kind's own JSON Schema: what the schema allows is generated, in every spelling.
//!
//! What a kind's specs look like is not known here. Where a schema says too little, it is the
//! schema that has to say more.

use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Map, Value, json};

/// A schema together with the definitions that it refers to.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'a> {
    root: &'a Value,
    pub at: &'a Value,
}

/// What a property is to be.
#[derive(Debug, Clone)]
pub enum End {
    Set,
    Unset,
    Choice(Value),
}

impl<'a> Schema<'a> {
    pub fn new(root: &'a Value) -> Self {
        Self { root, at: root }
    }

    pub fn to(self, at: &'a Value) -> Self {
        Self { at, ..self }
    }

    /// The same without detours: references followed, `null` left out.
    pub fn plain(self) -> Self {
        if let Some(name) = self.at["$ref"].as_str().filter(|_| !self.is_reference()) {
            let place = name.trim_start_matches('#');
            return self.to(self.root.pointer(place).unwrap()).plain();
        }
        match self.alternatives().as_slice() {
            [one] => one.plain(),
            _ => self,
        }
    }

    pub fn alternatives(self) -> Vec<Self> {
        let list = self.at["anyOf"].as_array().or(self.at["oneOf"].as_array());
        list.into_iter()
            .flatten()
            .filter(|it| it["type"] != "null")
            .map(|it| self.to(it))
            .collect()
    }

    pub fn is_reference(self) -> bool {
        self.at["$ref"]
            .as_str()
            .is_some_and(|it| it.ends_with("/Ref"))
    }

    fn is_type(self, name: &str) -> bool {
        match &self.at["type"] {
            Value::String(it) => it == name,
            Value::Array(all) => all.iter().any(|it| it == name),
            _ => false,
        }
    }

    pub fn properties(self) -> Vec<(&'a str, Self, bool)> {
        let required = |name: &str| {
            let all = self.at["required"].as_array();
            all.is_some_and(|all| all.iter().any(|it| it == name))
        };
        let all = self.at["properties"].as_object();
        all.into_iter()
            .flatten()
            .map(|(name, it)| (name.as_str(), self.to(it), required(name)))
            .collect()
    }

    /// The names of its properties.
    pub fn names(self) -> Vec<&'a str> {
        self.properties().iter().map(|(name, ..)| *name).collect()
    }

    /// The schema of the values of a map; `None` if it is none.
    pub fn values(self) -> Option<Self> {
        let plain = self.plain();
        plain.at["additionalProperties"]
            .is_object()
            .then(|| plain.to(&plain.at["additionalProperties"]))
    }

    /// The number `name` of the schema, `maxLength` and its like.
    fn number(self, name: &str) -> Option<i64> {
        self.at[name]
            .as_i64()
            .or(self.at[name].as_f64().map(|it| it as i64))
    }

    /// Values that the schema allows.
    pub fn strategy(self) -> BoxedStrategy<Value> {
        let it = self.plain();
        if it.is_reference() {
            return reference();
        }
        if !it.at["const"].is_null() {
            return Just(it.at["const"].clone()).boxed();
        }
        if let Some(all) = it.at["enum"].as_array() {
            let all: Vec<Value> = all.iter().filter(|it| !it.is_null()).cloned().collect();
            return prop::sample::select(all).boxed();
        }
        if let Some(all) = it.at["examples"].as_array() {
            return prop::sample::select(all.clone()).boxed();
        }
        let alternatives = it.alternatives();
        if !alternatives.is_empty() {
            return Union::new(alternatives.into_iter().map(Self::strategy)).boxed();
        }
        if it.is_type("object") {
            it.object()
        } else if it.is_type("array") {
            it.array()
        } else if it.is_type("boolean") {
            any::<bool>().prop_map(Value::from).boxed()
        } else if it.is_type("integer") {
            it.integer()
        } else if it.is_type("string") {
            it.string().prop_map(Value::from).boxed()
        } else {
            // Anything: what a template's value may be.
            prop_oneof![
                "[a-z]{0,6}".prop_map(Value::from),
                (0..100).prop_map(Value::from)
            ]
            .boxed()
        }
    }

    /// Values in which the property at these steps is set, is this choice, or is left out. Beside it
    /// there is what is required and no more, a little, or anything.
    pub fn toward(self, steps: &[&str], end: &End) -> BoxedStrategy<Value> {
        Union::new([0.02, 0.2, 0.5].map(|beside| self.walk(steps, end, beside))).boxed()
    }

    fn walk(self, steps: &[&str], end: &End, beside: f64) -> BoxedStrategy<Value> {
        let it = self.plain();
        let Some((step, rest)) = steps.split_first() else {
            return match end {
                End::Choice(choice) => Just(choice.clone()).boxed(),
                End::Set | End::Unset => it.strategy(),
            };
        };
        let leads = |it: &Self| it.plain().leads(step);
        let alternatives: Vec<_> = it.alternatives().into_iter().filter(leads).collect();
        if !alternatives.is_empty() {
            let all = alternatives
                .into_iter()
                .map(|it| it.walk(steps, end, beside));
            return Union::new(all).boxed();
        }
        if *step == "*" {
            let one = it.to(&it.at["items"]).walk(rest, end, beside);
            let most = if beside > 0.1 { 2 } else { 0 };
            let others = prop::collection::vec(it.to(&it.at["items"]).strategy(), 0..=most);
            return (one, others)
                .prop_map(|(one, mut list)| {
                    list.push(one);
                    Value::Array(list)
                })
                .boxed();
        }
        it.of(|name, it, required| {
            if name != *step {
                return match required {
                    true => it.maybe(required),
                    false => prop::option::weighted(beside, it.strategy()).boxed(),
                };
            }
            match end {
                End::Unset if rest.is_empty() => Just(None).boxed(),
                _ => it.walk(rest, end, beside).prop_map(Some).boxed(),
            }
        })
    }

    /// Whether a step goes anywhere from here.
    fn leads(self, step: &str) -> bool {
        if step == "*" {
            return self.at["items"].is_object();
        }
        self.at["properties"][step] != Value::Null
            || self.alternatives().iter().any(|it| it.plain().leads(step))
    }

    /// Everything set that there is at the top.
    pub fn whole(self) -> BoxedStrategy<Value> {
        self.plain()
            .of(|_, it, _| it.strategy().prop_map(Some).boxed())
    }

    fn object(self) -> BoxedStrategy<Value> {
        if let Some(values) = self.values() {
            let names = self.to(&self.at["propertyNames"]);
            let names = match names.at {
                Value::Null => "[a-z_]{1,8}".boxed(),
                _ => names
                    .strategy()
                    .prop_map(|it| it.as_str().unwrap().to_owned())
                    .boxed(),
            };
            return prop::collection::btree_map(names, values.strategy(), 0..3)
                .prop_map(|map| json!(map))
                .boxed();
        }
        self.of(|_, it, required| it.maybe(required))
    }

    /// An object of these properties.
    fn of(
        self,
        property: impl Fn(&str, Self, bool) -> BoxedStrategy<Option<Value>>,
    ) -> BoxedStrategy<Value> {
        let (names, values): (Vec<String>, Vec<_>) = self
            .properties()
            .into_iter()
            .map(|(name, it, required)| (name.to_owned(), property(name, it, required)))
            .unzip();
        values
            .prop_map(move |values| {
                let set = names.iter().cloned().zip(values);
                let set = set.filter_map(|(name, value)| Some((name, value?)));
                Value::Object(set.collect::<Map<_, _>>())
            })
            .boxed()
    }

    /// Set, or not: left out, or written as `null` where the schema allows it.
    fn maybe(self, required: bool) -> BoxedStrategy<Option<Value>> {
        let set = self.strategy().prop_map(Some);
        let null = self.is_type("null")
            || (self.at["anyOf"].as_array())
                .is_some_and(|all| all.contains(&json!({"type": "null"})));
        if required {
            set.boxed()
        } else if null {
            prop_oneof![10 => Just(None), 1 => Just(Some(Value::Null)), 9 => set].boxed()
        } else {
            prop_oneof![Just(None), set].boxed()
        }
    }

    fn array(self) -> BoxedStrategy<Value> {
        let least = self.number("minItems").unwrap_or(0).cast_unsigned() as usize;
        let most = self.number("maxItems").unwrap_or(3).cast_unsigned() as usize;
        let unique = self.at["uniqueItems"] == true;
        let items = self.to(&self.at["items"]).strategy();
        prop::collection::vec(items, least..=most.min(least + 3))
            .prop_map(move |mut list| {
                if unique {
                    let mut seen = Vec::new();
                    list.retain(|it| !seen.contains(it) && (seen.push(it.clone()), true).1);
                }
                Value::Array(list)
            })
            .boxed()
    }

    fn integer(self) -> BoxedStrategy<Value> {
        let least = self.number("minimum").unwrap_or(0);
        let most = self.number("maximum").unwrap_or(i64::from(i32::MAX));
        let near = least..=most.min(least + 4);
        let all = least..=most.min(least + 5000);
        prop_oneof![4 => near, 2 => all, 1 => Just(least)]
            .prop_map(Value::from)
            .boxed()
    }

    fn string(self) -> BoxedStrategy<String> {
        let chosen = |all: &[&str]| {
            let all: Vec<String> = all.iter().map(|it| (*it).to_owned()).collect();
            prop::sample::select(all).boxed()
        };
        if let Some(pattern) = self.at["pattern"].as_str() {
            let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
            return proptest::string::string_regex(pattern).unwrap().boxed();
        }
        match self.at["format"].as_str() {
            Some("ip") => chosen(IPS),
            Some("ipv4") => chosen(&IPS[..IPS.len() - 3]),
            Some("cidr") => chosen(CIDRS),
            Some("mac") => chosen(MACS),
            Some("uri") => chosen(&[
                "http://x",
                "https://cloud.example:8080/v1/",
                "HTTP://Y/%20?q=1",
            ]),
            Some("uuid") => chosen(&[UUID]),
            Some("date-time") => chosen(&["2030-01-01T00:00:00Z", "2030-06-01T12:00:00.5+02:00"]),
            Some(other) => panic!("nothing is known of the format {other}"),
            None => {
                let least = self.number("minLength").unwrap_or(0);
                let most = self.number("maxLength").unwrap_or(40).min(40);
                let text = format!("[a-z]{{{least},{most}}}");
                let odd = format!("[a-zA-Z0-9 _.äß'\"{{}}-]{{{least},{most}}}");
                let short = format!("[a-z]{{{least},{}}}", most.min(least.max(1) + 2));
                let of = |pattern: &str| proptest::string::string_regex(pattern).unwrap();
                prop_oneof![3 => of(&short), 1 => of(&text), 1 => of(&odd)].boxed()
            }
        }
    }
}

/// An id: what it is of is put in its place.
pub const UUID: &str = "7d2c1a54-3b7f-4c7e-9a55-0c5f1f6b2a11";

const IPS: &[&str] = &[
    "10.1.0.10",
    "10.1.0.20",
    "10.1.0.30",
    "10.1.0.1",
    "10.2.0.20",
    "10.2.0.1",
    "10.3.0.20",
    "10.3.0.30",
    "10.4.0.1",
    "10.4.0.20",
    "10.4.0.30",
    "192.0.2.1",
    "fd00:4::1",
    "FD00:4:0:0::20",
    "fd00:4::30",
];
/// With host bits as well, which mean nothing.
const CIDRS: &[&str] = &[
    "10.4.0.0/24",
    "10.4.0.7/24",
    "10.4.0.0/16",
    "192.0.2.0/28",
    "192.0.2.1/32",
    "fd00:4::/64",
    "FD00:4:0::1/64",
    "fd00:5::1/128",
    "0.0.0.0/0",
    "::/0",
];
/// In each spelling that there is.
const MACS: &[&str] = &[
    "fa:16:3e:00:00:01",
    "FA:16:3E:00:00:02",
    "fa-16-3e-00-00-03",
];

/// `a`, `b` or `c`, by name, by id or by a filter.
fn reference() -> BoxedStrategy<Value> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    (name, 0..3)
        .prop_map(|(name, form)| match form {
            0 => json!(name),
            1 => json!({"id": name}),
            _ => json!({"filter": {"name": name}}),
        })
        .boxed()
}

impl Schema<'_> {
    pub fn is_of_type(self, value: &Value) -> bool {
        match value {
            Value::Object(_) => self.is_type("object"),
            Value::Array(_) => self.is_type("array"),
            Value::String(_) => self.is_type("string"),
            Value::Bool(_) => self.is_type("boolean"),
            Value::Number(_) => self.is_type("integer"),
            Value::Null => false,
        }
    }
}
