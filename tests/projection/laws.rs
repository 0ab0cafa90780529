//! What has to be true of every object, whatever its kind.

use std::collections::BTreeSet;

use proptest::sample::Index;
use serde_json::{Value, json};
use stackward::kinds::erased::AnyKind;
use stackward::kinds::field::{Class, Compare, Row, diff};

use crate::cloud::{Cloud, MINUTE, Trial, Wanted};

/// What came of one spec.
pub enum Outcome {
    /// The cloud does not make such a thing.
    Refused(String),
    /// It was made.
    Held(Held),
    /// A law does not hold: which, and how.
    Broken(String),
}

/// What was shown by one spec.
#[derive(Debug, Default)]
pub struct Held {
    /// The laws that could be tried.
    pub laws: Vec<&'static str>,
    /// The fields whose wrong projection would have been noticed.
    pub seen: BTreeSet<&'static str>,
}

/// Leave for all that can be repaired in place.
pub fn lifecycle() -> Value {
    json!({"disrupt": "Allow", "loseData": "Allow"})
}

/// Tries every law on one spec; `other` is where other values are from.
pub fn hold(cloud: &Cloud, wanted: &Wanted, other: &Value, index: Index) -> Outcome {
    let mut case = match Case::made(cloud, wanted) {
        Ok(case) => case,
        Err(outcome) => return outcome,
    };
    let mut held = Held {
        laws: vec!["projected"],
        seen: case.seen(),
    };
    let laws: [(&'static str, Law<'_>); 4] = [
        ("twice", &|case| case.is_made_twice_alike()),
        ("foreign", &|case| case.foreign_keys_stay()),
        ("repaired", &|case| case.drift(other, index, true)),
        ("unset", &|case| case.drift(other, index, false)),
    ];
    for (name, law) in laws {
        match law(&mut case) {
            Ok(true) => held.laws.push(name),
            Ok(false) => {}
            Err(how) => return Outcome::Broken(format!("{name}: {how}")),
        }
    }
    Outcome::Held(held)
}

/// One law on one object.
type Law<'l> = &'l dyn Fn(&mut Case<'_>) -> Verdict;

/// Whether a law could be tried; how it does not hold.
type Verdict = Result<bool, String>;

struct Case<'a> {
    cloud: &'a Cloud,
    wanted: &'a Wanted,
    trial: Trial,
    id: String,
    /// The resolved spec.
    want: Value,
    /// What was projected from the object when it was new.
    have: Value,
}

impl<'a> Case<'a> {
    fn made(cloud: &'a Cloud, wanted: &'a Wanted) -> Result<Self, Outcome> {
        let (mut trial, id) = make(cloud, wanted)?;
        let want = cloud.resolved(wanted).map_err(Outcome::Refused)?;
        trial.pause();
        let Some((_, have)) = trial.look(wanted.kind, &id) else {
            return Err(Outcome::Broken("it is in no list".to_owned()));
        };
        let wrong = unlike(wanted.kind, &want, &have);
        if !wrong.is_empty() {
            return Err(Outcome::Broken(format!("projected: {}", wrong.join("; "))));
        }
        let mut case = Self {
            cloud,
            wanted,
            trial,
            id,
            want,
            have,
        };
        match case.quiet() {
            Ok(()) => Ok(case),
            Err(how) => Err(Outcome::Broken(format!("quiet: {how}"))),
        }
    }

    /// The fields that are compared in earnest: were one projected otherwise, it would show.
    fn seen(&self) -> BTreeSet<&'static str> {
        let shows = |row: &Row| {
            let mut have = self.have.clone();
            have[row.name] = otherwise(&self.have[row.name]);
            !unlike(self.wanted.kind, &self.want, &have).is_empty()
        };
        let rows = self.wanted.kind.rows().into_iter();
        rows.filter(shows).map(|row| row.name).collect()
    }

    /// Nothing is written as long as nothing changes.
    fn quiet(&mut self) -> Result<(), String> {
        let before = self.trial.sim.writes().len();
        self.trial.sim.run_for(3 * MINUTE);
        let writes = self.trial.sim.writes();
        if writes.len() == before {
            return Ok(());
        }
        Err(format!(
            "written although nothing changed: {:?}",
            &writes[before..]
        ))
    }

    /// What is made of the projection is the same again.
    fn is_made_twice_alike(&mut self) -> Verdict {
        let kind = self.wanted.kind;
        let Some(again) = self.cloud.projected(kind, without_nulls(&self.have)) else {
            return Ok(false);
        };
        let (mut trial, id) = match make(self.cloud, &again) {
            Ok(made) => made,
            Err(Outcome::Refused(why)) => return Err(format!("{why}: {}", self.have)),
            Err(Outcome::Broken(how)) => return Err(how),
            Err(Outcome::Held(_)) => return Ok(false),
        };
        trial.pause();
        let Some((_, have)) = trial.look(kind, &id) else {
            return Err("it is in no list".to_owned());
        };
        let wrong = unlike(kind, &self.have, &have);
        if wrong.is_empty() {
            Ok(true)
        } else {
            Err(wrong.join("; "))
        }
    }

    /// Keys of others stay, and do not show.
    fn foreign_keys_stay(&mut self) -> Verdict {
        let kind = self.wanted.kind;
        let mut tried = false;
        for row in kind.rows() {
            let Compare::Pairs(key, value) = row.compare else {
                continue;
            };
            if !in_place(&row) {
                continue;
            }
            let foreign = json!({key: "foreign", value: "of others"});
            let mut with = self.have[row.name].as_array().cloned().unwrap_or_default();
            with.push(foreign.clone());
            // One of our own is changed at the same time.
            let own = self.want[row.name][0][key].clone();
            for pair in &mut with {
                if pair[key] == own {
                    pair[value] = json!("changed");
                }
            }
            if !self.trial.by_hand(kind, &self.id, row.name, &json!(with)) {
                continue;
            }
            tried = true;
            self.settle()?;
            let have = self.have_now()?;
            if !have[row.name]
                .as_array()
                .is_some_and(|all| all.contains(&foreign))
            {
                return Err(format!("{} lost {foreign}: {}", row.name, have[row.name]));
            }
            self.agrees(&have)?;
        }
        Ok(tried)
    }

    /// Somebody changes a field: it is repaired if the manifest sets it, and left alone if not.
    fn drift(&mut self, other: &Value, index: Index, set: bool) -> Verdict {
        let kind = self.wanted.kind;
        let rows: Vec<Row> = kind
            .rows()
            .into_iter()
            .filter(|row| in_place(row) && !other[row.name].is_null())
            .filter(|row| self.want[row.name].is_null() != set)
            .collect();
        if rows.is_empty() {
            return Ok(false);
        }
        let row = rows[index.index(rows.len())];
        let mut spec = self.wanted.spec.clone();
        spec[row.name] = other[row.name].clone();
        let Some(changed) = self.cloud.wanted(kind, &spec) else {
            return Ok(false);
        };
        let Ok(resolved) = self.cloud.resolved(&changed) else {
            return Ok(false);
        };
        let value = resolved[row.name].clone();
        let before = self.have_now()?;
        if value.is_null() || !self.trial.by_hand(kind, &self.id, row.name, &value) {
            return Ok(false);
        }
        let between = self.have_now()?;
        let is_drift = !diff(&kind.rows(), &self.want, &between).is_empty();
        let writes = self.trial.sim.writes().len();
        if let Err(why) = self.settle() {
            // What the API cannot take back (a volume grown, a scope shared) is said in words.
            let refused = self.trial.trouble(kind).is_some_and(|it| it.0 == "Refused");
            if refused && self.trial.sim.writes().len() == writes {
                return Ok(true);
            }
            return Err(format!(
                "{} was {}, by hand {}: {why}",
                row.name, before[row.name], between[row.name]
            ));
        }
        let after = self.have_now()?;
        let written = self.trial.sim.writes()[writes..].to_vec();
        if is_drift == written.is_empty() {
            return Err(format!(
                "{} by hand {}: written {written:?}",
                row.name, between[row.name]
            ));
        }
        if !is_drift && between != after {
            return Err(format!(
                "{} did not stay: {between}, then {after}",
                row.name
            ));
        }
        self.agrees(&after)?;
        Ok(is_drift || !set)
    }

    fn settle(&mut self) -> Result<(), String> {
        self.trial.sim.run_for(2 * MINUTE);
        self.trial.sim.run_until_rest(20 * MINUTE);
        match self.trial.trouble(self.wanted.kind) {
            None => Ok(()),
            Some((code, words)) => Err(format!("{code}: {words}: {:#?}", self.trial.sim.writes())),
        }
    }

    fn have_now(&mut self) -> Result<Value, String> {
        let look = self.trial.look(self.wanted.kind, &self.id);
        look.map(|it| it.1).ok_or_else(|| "it is gone".to_owned())
    }

    fn agrees(&self, have: &Value) -> Result<(), String> {
        let wrong = unlike(self.wanted.kind, &self.want, have);
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("; "))
        }
    }
}

/// Makes what is wanted in a new copy of the cloud.
fn make(cloud: &Cloud, wanted: &Wanted) -> Result<(Trial, String), Outcome> {
    let mut trial = cloud.trial();
    trial.declare(wanted, &lifecycle());
    let trouble = trial.trouble(wanted.kind);
    match (trouble, trial.id(wanted.kind)) {
        (None, Some(id)) => Ok((trial, id)),
        (Some(("Refused" | "NotOurs" | "Quota" | "Invalid" | "Stuck", why)), _) => {
            Err(Outcome::Refused(why))
        }
        // The service said no; a repair that did not hold is another matter.
        (Some(("Backoff", why)), _) if why.contains(" answered 4") => Err(Outcome::Refused(why)),
        (Some((_, why)), _) if trial.is_refused_later() => Err(Outcome::Refused(why)),
        (Some((code, why)), _) => Err(Outcome::Broken(format!(
            "{code}: {why}\n{}",
            trial.sim.trace.join("\n")
        ))),
        (None, None) => Err(Outcome::Broken("it has no id".to_owned())),
    }
}

const fn in_place(row: &Row) -> bool {
    matches!(
        row.class,
        Class::Update | Class::Action | Class::Members | Class::Disrupt | Class::Lose
    )
}

/// The fields of `have` that are not as `want` sets them. Written down anew, and not as the engine
/// has it: what matters at birth is compared as well, where it is told.
fn unlike(kind: &dyn AnyKind, want: &Value, have: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in kind.rows() {
        let (wanted, there) = (&want[row.name], &have[row.name]);
        let is_birth = row.class == Class::Birth;
        if wanted.is_null() || ((is_birth || row.compare == Compare::IfTold) && there.is_null()) {
            continue;
        }
        let told = if is_birth {
            told(wanted, there)
        } else {
            wanted.clone()
        };
        let wanted = &told;
        if !is_like(row.compare, wanted, there) {
            wrong.push(format!("{}: {wanted} wanted, {there} there", row.name));
        }
    }
    wrong
}

/// Another value, wherever the value says anything.
fn otherwise(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(it) => json!(!it),
        Value::Number(it) => json!(it.as_i64().unwrap_or_default() + 1),
        Value::String(it) => json!(format!("{it}-otherwise")),
        Value::Array(all) if all.is_empty() => json!(["otherwise"]),
        Value::Array(all) => all.iter().map(otherwise).collect(),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, it)| (key.clone(), otherwise(it)))
                .collect(),
        ),
    }
}

/// The part of a value that is told at all.
fn told(want: &Value, have: &Value) -> Value {
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => {
            let both = want
                .iter()
                .filter_map(|(key, it)| Some((key, it, have.get(key)?)));
            Value::Object(
                both.map(|(key, it, there)| (key.clone(), told(it, there)))
                    .collect(),
            )
        }
        _ => want.clone(),
    }
}

fn is_like(compare: Compare, want: &Value, have: &Value) -> bool {
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let within = |some: &Value, of: &Value| {
        let of = all(of);
        all(some)
            .iter()
            .all(|it| of.iter().any(|other| holds(other, it)))
    };
    match compare {
        Compare::Value | Compare::IfTold => holds(have, want),
        Compare::Set => within(want, have) && within(have, want),
        Compare::Pairs(..) | Compare::Contains => within(want, have),
        Compare::Elements(identity) => {
            let of = all(have);
            let there = |it: &Value| of.iter().any(|other| is_element(identity, it, other));
            all(want).iter().all(there) && all(want).len() == of.len()
        }
    }
}

/// What does not make an element another one is given when it is made, and may not be told: a rule
/// that a group is born with has no description.
fn is_element(identity: &[&str], want: &Value, have: &Value) -> bool {
    let mut want = want.clone();
    if let Some(map) = want.as_object_mut().filter(|_| !identity.is_empty()) {
        map.retain(|key, _| identity.contains(&key.as_str()) || !have[key].is_null());
    }
    holds(have, &want)
}

/// Everything that `want` says, `have` says as well.
fn holds(have: &Value, want: &Value) -> bool {
    match (have, want) {
        (_, Value::Null) => true,
        (Value::Null, Value::Object(want)) => want.values().all(|it| holds(have, it)),
        (Value::Object(have), Value::Object(want)) => want
            .iter()
            .all(|(key, it)| it.is_null() || have.get(key).is_some_and(|there| holds(there, it))),
        (Value::Array(have), Value::Array(want)) => {
            have.len() == want.len() && have.iter().zip(want).all(|(there, it)| holds(there, it))
        }
        _ => have == want,
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let set = map.iter().filter(|(_, it)| !it.is_null());
            Value::Object(
                set.map(|(key, it)| (key.clone(), without_nulls(it)))
                    .collect(),
            )
        }
        Value::Array(all) => all.iter().map(without_nulls).collect(),
        _ => value.clone(),
    }
}
