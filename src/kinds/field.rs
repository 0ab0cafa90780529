//! The fields of a spec and what it takes to change each: one declaration that the planner, the
//! schema, the reference pages and the text of `plan` all read.

use serde_json::Value;

/// What it takes to change a field of something that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<A> {
    /// In place; rides in the ordinary update request.
    Update,
    /// In place; has a request of its own.
    Action(A),
    /// A set: one request for each element that is missing or too many.
    Members {
        /// The request that adds an element.
        add: A,
        /// The request that removes one.
        remove: A,
    },
    /// In place, but it interrupts service: `lifecycle.disrupt` must allow it.
    Disrupt(A),
    /// In place, but it loses data: `lifecycle.loseData` must allow it.
    Lose(A),
    /// Only a new resource can have it: `lifecycle.replace` must allow it.
    Replace,
    /// Matters at birth; a later difference is not drift.
    Birth,
}

/// The class of a change without its request: for schema, docs and plan text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Class {
    /// See [`Change::Update`].
    Update,
    /// See [`Change::Action`].
    Action,
    /// See [`Change::Members`].
    Members,
    /// See [`Change::Disrupt`].
    Disrupt,
    /// See [`Change::Lose`].
    Lose,
    /// See [`Change::Replace`].
    Replace,
    /// See [`Change::Birth`].
    Birth,
}

impl<A> Change<A> {
    /// The class of this change.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Update => Class::Update,
            Self::Action(_) => Class::Action,
            Self::Members { .. } => Class::Members,
            Self::Disrupt(_) => Class::Disrupt,
            Self::Lose(_) => Class::Lose,
            Self::Replace => Class::Replace,
            Self::Birth => Class::Birth,
        }
    }
}

/// How two values of a field are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Equal; of objects only the keys that the manifest sets.
    Value,
    /// As a value, unless the cloud does not tell it: what is not told is no difference.
    IfTold,
    /// Lists whose order means nothing, and where twice is no more than once: tags.
    Set,
    /// A list of pairs, owned pair by pair: keys that others set stay. The names of the key and of
    /// the value in a pair.
    Pairs(&'static str, &'static str),
    /// A list of elements, each of which is the same as another when these of its fields are; all
    /// that the manifest sets when empty.
    Elements(&'static [&'static str]),
    /// A list whose elements must be there, as far as the manifest sets them; others stay.
    Contains,
}

/// One row of a kind's FIELDS.
#[derive(Debug, Clone, Copy)]
pub struct Field<A: 'static> {
    /// The property's name in the spec.
    pub name: &'static str,
    /// What it takes to change it.
    pub change: Change<A>,
    /// How it is compared.
    pub compare: Compare,
}

impl<A> Field<A> {
    /// A field that is compared as a value.
    #[must_use]
    pub const fn new(name: &'static str, change: Change<A>) -> Self {
        Self {
            name,
            change,
            compare: Compare::Value,
        }
    }

    /// The same field, compared otherwise.
    #[must_use]
    pub const fn by(mut self, compare: Compare) -> Self {
        self.compare = compare;
        self
    }
}

/// A row without the type of its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The property's name in the spec.
    pub name: &'static str,
    /// The class of a change.
    pub class: Class,
    /// How it is compared.
    pub compare: Compare,
}

/// A field whose wanted value is not the one that is there.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Difference {
    /// The property's name in the spec.
    pub field: &'static str,
    /// The class of the change that would mend it.
    pub class: Class,
    /// What is there.
    pub have: Value,
    /// What the manifest wants.
    pub want: Value,
}

/// The differences between two specs, in the order of the rows. Fields that `want` does not set,
/// and those that matter at birth only, are skipped.
#[must_use]
pub fn diff(rows: &[Row], want: &Value, have: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    for row in rows.iter().filter(|row| row.class != Class::Birth) {
        let wanted = &want[row.name];
        let there = &have[row.name];
        if wanted.is_null() || satisfies(row.compare, wanted, there) {
            continue;
        }
        differences.push(Difference {
            field: row.name,
            class: row.class,
            have: there.clone(),
            want: wanted.clone(),
        });
    }
    differences
}

fn satisfies(compare: Compare, want: &Value, have: &Value) -> bool {
    match compare {
        Compare::Value => covers(want, have),
        Compare::IfTold => have.is_null() || covers(want, have),
        Compare::Set => sorted(want) == sorted(have),
        Compare::Pairs(key, value) => elements(want).iter().all(|pair| {
            elements(have)
                .iter()
                .any(|there| there[key] == pair[key] && there[value] == pair[value])
        }),
        Compare::Elements(_) => {
            missing(compare, want, have).is_empty() && surplus(compare, want, have).is_empty()
        }
        Compare::Contains => missing(compare, want, have).is_empty(),
    }
}

/// The elements of `want` that `have` lacks.
#[must_use]
pub fn missing(compare: Compare, want: &Value, have: &Value) -> Vec<Value> {
    let have = elements(have);
    elements(want)
        .iter()
        .filter(|wanted| !have.iter().any(|there| same(compare, wanted, there)))
        .cloned()
        .collect()
}

/// The elements of `have` that `want` does not name. One that it names stands for one alone: of two
/// address pairs with the same address, a wanted one that leaves the MAC open allows one.
#[must_use]
pub fn surplus(compare: Compare, want: &Value, have: &Value) -> Vec<Value> {
    let mut free: Vec<&Value> = elements(want).iter().collect();
    // What says more is served first.
    let says = |it: &Value| {
        let fields = it.as_object().into_iter().flat_map(|it| it.values());
        fields.filter(|it| !it.is_null()).count()
    };
    free.sort_by_key(|it| std::cmp::Reverse(says(it)));
    let is_surplus = |there: &&Value| {
        let named = free.iter().position(|wanted| same(compare, wanted, there));
        if let (Some(at), Compare::Elements([])) = (named, compare) {
            free.remove(at);
        }
        named.is_none()
    };
    elements(have).iter().filter(is_surplus).cloned().collect()
}

fn same(compare: Compare, want: &Value, have: &Value) -> bool {
    match compare {
        Compare::Elements(fields) if !fields.is_empty() => {
            fields.iter().all(|field| want[field] == have[field])
        }
        _ => covers(want, have),
    }
}

/// Does `have` hold everything that `want` sets?
fn covers(want: &Value, have: &Value) -> bool {
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => want.iter().all(|(key, wanted)| {
            wanted.is_null() || have.get(key).is_some_and(|there| covers(wanted, there))
        }),
        (Value::Array(want), Value::Array(have)) => {
            want.len() == have.len()
                && want
                    .iter()
                    .zip(have)
                    .all(|(wanted, there)| covers(wanted, there))
        }
        // Of nothing nothing is missing.
        (Value::Object(want), Value::Null) => want.values().all(|wanted| covers(wanted, have)),
        (Value::Array(want), Value::Null) => want.is_empty(),
        _ => want == have,
    }
}

fn elements(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn sorted(list: &Value) -> Vec<String> {
    let mut texts: Vec<String> = elements(list).iter().map(Value::to_string).collect();
    texts.sort();
    texts.dedup();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const fn row(name: &'static str, class: Class, compare: Compare) -> Row {
        Row {
            name,
            class,
            compare,
        }
    }

    #[test]
    fn only_what_the_manifest_sets_is_compared() {
        let rows = [
            row("size", Class::Action, Compare::Value),
            row("description", Class::Update, Compare::Value),
            row("image", Class::Birth, Compare::Value),
        ];
        let have = json!({"size": 5, "description": "by hand", "image": "b"});
        assert_eq!(
            diff(
                &rows,
                &json!({"size": 5, "description": null, "image": "a"}),
                &have
            ),
            []
        );
        let found = diff(&rows, &json!({"size": 6}), &have);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].field, &found[0].have, &found[0].want),
            ("size", &json!(5), &json!(6))
        );
    }

    #[test]
    fn what_is_empty_is_the_same_as_what_is_not_there() {
        let rows = [row("rules", Class::Replace, Compare::Value)];
        for (want, is_drift) in [
            (json!({}), false),
            (json!([]), false),
            (json!({"max": null}), false),
            (json!({"max": 1}), true),
            (json!([1]), true),
            (json!(0), true),
        ] {
            let found = diff(&rows, &json!({ "rules": want }), &json!({}));
            assert_eq!(!found.is_empty(), is_drift, "{want}");
        }
    }

    #[test]
    fn pairs_of_others_stay() {
        let rows = [row(
            "metadata",
            Class::Action,
            Compare::Pairs("key", "value"),
        )];
        let want = json!({"metadata": [{"key": "role", "value": "db"}]});
        let mut have =
            json!({"metadata": [{"key": "x", "value": "1"}, {"key": "role", "value": "db"}]});
        assert_eq!(diff(&rows, &want, &have), []);
        have["metadata"][1]["value"] = json!("web");
        assert_eq!(diff(&rows, &want, &have).len(), 1);
    }

    #[test]
    fn elements_are_matched_by_their_identity() {
        let by = Compare::Elements(&["volumeRef"]);
        let want = json!([{"volumeRef": "a", "device": "/dev/vdb"}, {"volumeRef": "b"}]);
        let have = json!([{"volumeRef": "a", "device": "/dev/vdc"}, {"volumeRef": "c"}]);
        assert_eq!(missing(by, &want, &have), [json!({"volumeRef": "b"})]);
        assert_eq!(surplus(by, &want, &have), [json!({"volumeRef": "c"})]);
    }

    #[test]
    fn an_element_that_leaves_something_open_allows_one() {
        let by = Compare::Elements(&[]);
        let want = json!([{"ip": "a", "mac": null}, {"ip": "a", "mac": "2"}]);
        let (own, two, three) = (
            json!({"ip": "a", "mac": "1"}),
            json!({"ip": "a", "mac": "2"}),
            json!({"ip": "a", "mac": "3"}),
        );
        assert_eq!(surplus(by, &want, &json!([two, own])), [json!(null); 0]);
        assert_eq!(surplus(by, &want, &json!([own, two, three])), [three]);
    }

    #[test]
    fn what_must_be_contained_may_have_company() {
        let rows = [row("addresses", Class::Action, Compare::Contains)];
        let have =
            json!({"addresses": [{"subnet": "v6", "ip": "::1"}, {"subnet": "v4", "ip": "1"}]});
        assert_eq!(
            diff(&rows, &json!({"addresses": [{"subnet": "v4"}]}), &have),
            []
        );
        let other = json!({"addresses": [{"subnet": "v4", "ip": "2"}]});
        assert_eq!(diff(&rows, &other, &have).len(), 1);
    }

    #[test]
    fn order_and_number_mean_nothing_in_a_set() {
        let rows = [row("tags", Class::Update, Compare::Set)];
        assert_eq!(
            diff(
                &rows,
                &json!({"tags": ["b", "a"]}),
                &json!({"tags": ["a", "b"]})
            ),
            []
        );
        // Glance keeps a tag once that was given twice.
        let (twice, once) = (json!({"tags": ["a", "a"]}), json!({"tags": ["a"]}));
        assert_eq!(diff(&rows, &twice, &once), []);
        assert_eq!(
            diff(&rows, &json!({"tags": []}), &json!({"tags": ["a"]})).len(),
            1
        );
    }
}
