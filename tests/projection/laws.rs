//! What has to be true of every object, whatever its kind.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::sample::Index;
use serde_json::{Value, json};
use stackward::kinds::erased::AnyKind;
use stackward::kinds::field::{Class, Compare, Row, diff};
use stackward::kinds::need::DeclaredWhat;

use crate::cloud::{Cloud, MINUTE, Trial, Wanted};
use crate::known::completed;
use crate::like::{shown, unlike};

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
    /// The properties whose wrong projection would have been noticed.
    pub compared: BTreeSet<String>,
    /// The fields that somebody changed and the daemon changed back.
    pub repaired: BTreeSet<&'static str>,
}

/// What a spec is to be tried with.
pub struct Means<'m> {
    /// Where other values are from.
    pub others: &'m [Value],
    pub index: Index,
    /// The properties of which a wrong projection is to show.
    pub uncompared: Vec<&'m str>,
    /// The fields that are to be repaired.
    pub unrepaired: Vec<&'m str>,
}

/// Leave for all that can be repaired in place.
pub fn lifecycle() -> Value {
    json!({"disrupt": "Allow", "loseData": "Allow"})
}

/// The laws that apply to a kind.
pub fn laws(kind: &dyn AnyKind) -> Vec<&'static str> {
    let rows = kind.rows();
    let required = kind.schemas().spec["required"].clone();
    let is_optional = |row: &&Row| {
        let all = required.as_array();
        !all.is_some_and(|all| all.iter().any(|it| it == row.name))
    };
    let mut changeable = rows.iter().filter(|row| in_place(row));
    let mut laws = vec!["projected", "twice"];
    let has_pairs = changeable
        .clone()
        .any(|row| matches!(row.compare, Compare::Pairs(..)));
    if has_pairs {
        laws.push("foreign");
    }
    if changeable.clone().next().is_some() {
        laws.push("repaired");
    }
    if changeable.any(|row| is_optional(&row)) {
        laws.push("unset");
    }
    laws
}

/// Tries every law on one spec.
pub fn hold(cloud: &Cloud, wanted: &Wanted, means: &Means<'_>) -> Outcome {
    let mut case = match Case::made(cloud, wanted) {
        Ok(case) => case,
        Err(outcome) => return outcome,
    };
    let uncompared = means.uncompared.iter().copied();
    let mut held = Held {
        laws: vec!["projected"],
        compared: shown(wanted.kind, &case.want, &case.have, uncompared),
        repaired: BTreeSet::new(),
    };
    let laws: [(&'static str, Law<'_>); 4] = [
        ("twice", &|case, _| case.is_made_twice_alike()),
        ("foreign", &|case, held| case.foreign_keys_stay(held)),
        ("repaired", &|case, held| case.repairs(means, held)),
        ("unset", &|case, _| case.leaves_alone(means)),
    ];
    for (name, law) in laws {
        match law(&mut case, &mut held) {
            Ok(true) => held.laws.push(name),
            Ok(false) => {}
            Err(how) => return Outcome::Broken(format!("{name}: {how}")),
        }
    }
    Outcome::Held(held)
}

/// One law on one object.
type Law<'l> = &'l dyn Fn(&mut Case<'_>, &mut Held) -> Verdict;

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
        let mut whole = completed(kind.name(), self.have.clone(), &self.wanted.spec);
        // Of a text from elsewhere a digest is seen; the manifest says where the text is.
        for need in &self.wanted.accepted.needs {
            let is_text = !matches!(need.what, DeclaredWhat::Object { .. });
            let (as_wanted, place) = (
                self.wanted.spec.pointer(&need.pointer),
                whole.pointer_mut(&need.pointer),
            );
            if let (true, Some(as_wanted), Some(place)) = (is_text, as_wanted, place) {
                *place = as_wanted.clone();
            }
        }
        let Some(again) = self.cloud.projected(self.wanted, without_nulls(&whole)) else {
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
    fn foreign_keys_stay(&mut self, held: &mut Held) -> Verdict {
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
            let between = self.have_now()?;
            self.settle()?;
            let have = self.have_now()?;
            if !diff(&[row], &self.want, &between).is_empty() {
                held.repaired.insert(row.name);
            }
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

    /// What the manifest sets is repaired: each field that is to be, and one more.
    fn repairs(&mut self, means: &Means<'_>, held: &mut Held) -> Verdict {
        let rows = self.changeable(true);
        if rows.is_empty() {
            return Ok(false);
        }
        let any = rows[means.index.index(rows.len())].name;
        let mut tried = false;
        for row in rows {
            let is_lacking = means.unrepaired.contains(&row.name);
            if !is_lacking && row.name != any {
                continue;
            }
            let most = if is_lacking { usize::MAX } else { 1 };
            for value in self.others(&row, means).into_iter().take(most) {
                match self.drift(&row, &value)? {
                    Drift::Untried | Drift::Left => continue,
                    // It stays as it is, and so do others then.
                    Drift::Said => return Ok(true),
                    Drift::Mended => {
                        tried = true;
                        held.repaired.insert(row.name);
                        break;
                    }
                }
            }
        }
        Ok(tried)
    }

    /// What somebody else might write into a field.
    fn others(&self, row: &Row, means: &Means<'_>) -> Vec<Value> {
        let own = &self.wanted.spec[row.name];
        let mut others: Vec<Value> = Vec::new();
        let nothing = own.is_array().then(|| json!([]));
        let near = Some(next_to(own));
        let values = means.others.iter().map(|other| other[row.name].clone());
        for value in values.chain(nothing).chain(near) {
            if !value.is_null() && value != *own && !others.contains(&value) {
                others.push(value);
            }
        }
        others
    }

    /// What the manifest does not set stays as somebody made it.
    fn leaves_alone(&mut self, means: &Means<'_>) -> Verdict {
        let rows = self.changeable(false);
        if rows.is_empty() {
            return Ok(false);
        }
        let row = rows[means.index.index(rows.len())];
        let Some(value) = self.others(&row, means).into_iter().next() else {
            return Ok(false);
        };
        Ok(self.drift(&row, &value)? != Drift::Untried)
    }

    /// The fields that can be changed in place, and that the manifest sets or does not.
    fn changeable(&self, set: bool) -> Vec<Row> {
        let kind = self.wanted.kind;
        let rows = kind.rows().into_iter().filter(in_place);
        rows.filter(|row| self.want[row.name].is_null() != set)
            .collect()
    }

    /// Somebody changes a field.
    fn drift(&mut self, row: &Row, other: &Value) -> Result<Drift, String> {
        let kind = self.wanted.kind;
        let mut spec = self.wanted.spec.clone();
        spec[row.name] = other.clone();
        let Some(changed) = self.cloud.wanted(kind, &spec) else {
            return Ok(Drift::Untried);
        };
        let Ok(resolved) = self.cloud.resolved(&changed) else {
            return Ok(Drift::Untried);
        };
        let value = resolved[row.name].clone();
        let before = self.have_now()?;
        if value.is_null() || !self.trial.by_hand(kind, &self.id, row.name, &value) {
            return Ok(Drift::Untried);
        }
        let between = self.have_now()?;
        let is_drift = !diff(&kind.rows(), &self.want, &between).is_empty();
        let writes = self.trial.sim.writes().len();
        if let Err(why) = self.settle() {
            // What the API cannot take back (a volume grown, a scope shared) is said in words.
            let refused = self.trial.trouble(kind).is_some_and(|it| it.0 == "Refused");
            if refused && self.trial.sim.writes().len() == writes {
                return Ok(Drift::Said);
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
        let was_drift = !diff(&[*row], &self.want, &between).is_empty();
        Ok(if was_drift {
            Drift::Mended
        } else {
            Drift::Left
        })
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

/// What became of a change by somebody else.
#[derive(PartialEq, Eq)]
enum Drift {
    /// It could not be made.
    Untried,
    /// It was changed back.
    Mended,
    /// It was no difference to the manifest, and stayed.
    Left,
    /// What the API cannot take back was said in words.
    Said,
}

/// Makes what is wanted in a new copy of the cloud.
fn make(cloud: &Cloud, wanted: &Wanted) -> Result<(Trial, String), Outcome> {
    let mut trial = cloud.trial();
    trial.declare(wanted, &lifecycle());
    let trouble = trial.trouble(wanted.kind);
    if let Some(deleted) = trial.deleted_wrongly() {
        return Err(Outcome::Broken(format!(
            "deleted although it was {deleted}: {trouble:?}\n{}",
            trial.sim.trace.join("\n")
        )));
    }
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

/// Whether a change of the field needs no new object.
pub const fn in_place(row: &Row) -> bool {
    matches!(
        row.class,
        Class::Update | Class::Action | Class::Members | Class::Disrupt | Class::Lose
    )
}

/// The same with the addresses that come after.
fn next_to(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.parse() {
            Ok(IpAddr::V4(ip)) => json!(Ipv4Addr::from(u32::from(ip) + 1)),
            Ok(IpAddr::V6(ip)) => json!(Ipv6Addr::from(u128::from(ip) + 1)),
            Err(_) => value.clone(),
        },
        Value::Object(map) => {
            let all = map.iter();
            Value::Object(all.map(|(key, it)| (key.clone(), next_to(it))).collect())
        }
        Value::Array(all) => all.iter().map(next_to).collect(),
        _ => value.clone(),
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
