//! What exists, as manifests that would have made it: listings in, text out.
//!
//! The inverse of everything else: `Kind::project` for the fields, references turned from ids back
//! into names of the objects that are exported with it. What is not exported is referred to by its
//! id. No I/O, and nothing that depends on the time: the same cloud gives the same text.

mod naming;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::kinds::erased::{AnyKind, Found};
use crate::kinds::field::{Class, Compare};
use crate::kinds::health::Health;
use crate::kinds::need::{Declared, DeclaredWhat};
use crate::kinds::{self, KINDS, MarkerPlace};
use crate::manifest::write::{Style, to_yaml};
use crate::manifest::{Group, Manifest, Ref, Shape, parse};

use super::inventory::{Inventory, Listing};
use super::scope::Scope;

/// What is to be exported, and how.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// The kinds.
    pub kinds: Vec<&'static dyn AnyKind>,
    /// Only what has this name or id.
    pub only: Option<&'a str>,
    /// Where they were seen.
    pub scope: &'a Scope,
    /// The project whose resources they are.
    pub project: &'a str,
    /// Each object adopts the resource that it was made from.
    pub adopt: bool,
    /// Each object is only looked at until somebody removes that line.
    pub suspend: bool,
}

impl Wish<'_> {
    fn is_for(&self, found: &Found) -> bool {
        self.only
            .is_none_or(|only| found.id == only || found.name == only)
    }
}

/// Manifests of what exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// One object each, in the order in which a person would create them.
    pub documents: Vec<Document>,
    /// What there is and is not exported: kind, which, and why.
    pub left_out: Vec<LeftOut>,
}

/// One object as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The id of the resource that it was made from.
    pub id: String,
    /// Comments and YAML, without the `---` before it.
    pub text: String,
}

/// A resource that is not exported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Its kind.
    pub kind: &'static str,
    /// Why it is not exported.
    pub why: String,
    /// Its name, or its id if it has none.
    pub which: String,
}

/// The kinds that are exported when none is named: those of which every project has its own.
#[must_use]
pub fn usual_kinds() -> Vec<&'static dyn AnyKind> {
    let usual = |kind: &&&'static dyn AnyKind| !kind.of_the_cloud();
    KINDS.iter().filter(usual).copied().collect()
}

/// The kinds that have to be listed for these: themselves, and what is looked at with them.
#[must_use]
pub fn kinds_to_list(kinds: &[&'static dyn AnyKind]) -> Vec<&'static dyn AnyKind> {
    let is_wanted = |other: &&&'static dyn AnyKind| {
        let is_it = |kind: &&dyn AnyKind| {
            kind.name() == other.name() || kind.attached().contains(&other.name())
        };
        kinds.iter().any(|kind| is_it(&&**kind))
    };
    KINDS.iter().filter(is_wanted).copied().collect()
}

/// The kinds that these turn out to refer to, once they are listed: their names are wanted too.
#[must_use]
pub fn kinds_to_look_up(wish: &Wish<'_>, inventory: &Inventory) -> Vec<&'static dyn AnyKind> {
    let seen = Seen { wish, inventory };
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    for kind in &wish.kinds {
        for found in seen.items(*kind) {
            if found
                .project
                .as_deref()
                .is_some_and(|it| it != wish.project)
            {
                continue;
            }
            wanted.extend(found.part_of.iter().map(|(kind, _)| *kind));
            let spec = seen.spec(&Chosen { kind: *kind, found });
            let needs = kind.needs(&spec);
            wanted.extend(needs.iter().filter_map(target).map(|(kind, _)| kind));
        }
    }
    let is_new = |kind: &&&'static dyn AnyKind| {
        wanted.contains(kind.name()) && seen.listing(kind.name()).is_none()
    };
    KINDS.iter().filter(is_new).copied().collect()
}

/// Turns what was seen into manifests.
#[must_use]
pub fn export(wish: &Wish<'_>, inventory: &Inventory) -> Export {
    let seen = Seen { wish, inventory };
    let mut left_out = Vec::new();
    let mut chosen: Vec<Chosen<'_>> = Vec::new();
    for kind in KINDS {
        if !wish.kinds.iter().any(|it| it.name() == kind.name()) {
            continue;
        }
        let items = seen.items(*kind).into_iter();
        for found in items.filter(|it| wish.is_for(it)) {
            match seen.excludes(*kind, found) {
                Verdict::Take => chosen.push(Chosen { kind: *kind, found }),
                Verdict::Foreign => {}
                Verdict::LeaveOut(why) => left_out.push(LeftOut {
                    kind: kind.name(),
                    why,
                    which: filled(&found.name).unwrap_or(&found.id).to_owned(),
                }),
            }
        }
    }
    let names = seen.names(&chosen);
    let mut documents = Vec::new();
    for it in &chosen {
        match seen.document(it, &names) {
            Ok(document) => documents.push(document),
            Err(why) => left_out.push(LeftOut {
                kind: it.kind.name(),
                why,
                which: filled(&it.found.name).unwrap_or(&it.found.id).to_owned(),
            }),
        }
    }
    let place = |kind: &str| KINDS.iter().position(|it| it.name() == kind);
    documents.sort_by(|a, b| (place(a.kind), &a.name).cmp(&(place(b.kind), &b.name)));
    left_out.sort();
    Export {
        documents,
        left_out,
    }
}

/// A resource that is exported.
#[derive(Clone, Copy)]
struct Chosen<'a> {
    kind: &'static dyn AnyKind,
    found: &'a Found,
}

enum Verdict {
    Take,
    /// It is somebody else's, and no business of this project.
    Foreign,
    LeaveOut(String),
}

/// Names of the objects, by kind and id.
type Names = BTreeMap<(&'static str, String), String>;

struct Seen<'a> {
    wish: &'a Wish<'a>,
    inventory: &'a Inventory,
}

impl<'a> Seen<'a> {
    fn listing(&self, kind: &str) -> Option<&'a Listing> {
        let kind = kinds::find(kind)?;
        self.inventory.listing(self.wish.scope, kind.name())
    }

    /// The items of a kind, in an order that does not depend on the cloud's.
    fn items(&self, kind: &'static dyn AnyKind) -> Vec<&'a Found> {
        let listing = self.listing(kind.name());
        let mut items: Vec<&Found> = listing.into_iter().flat_map(|it| &it.items).collect();
        items.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        items
    }

    fn excludes(&self, kind: &dyn AnyKind, found: &Found) -> Verdict {
        let is_marked = |found: &Found| {
            let owner = found.marker?.owner;
            Some(format!(
                "managed by the stackward whose owner begins with {owner:08x}"
            ))
        };
        let whole = found.part_of.as_ref().map(|(kind, id)| {
            let listing = self.listing(kind);
            listing.and_then(|listing| listing.get(id))
        });
        match (&found.project, kind.marker()) {
            (Some(project), _) if project != self.wish.project => return Verdict::Foreign,
            // Neutron's own, such as the networks of routers with a spare one.
            (None, MarkerPlace::Description) => return Verdict::Foreign,
            _ => {}
        }
        if let Some(None) = whole {
            return Verdict::Foreign;
        }
        let marked = is_marked(found).or_else(|| whole.flatten().and_then(is_marked));
        if let Some(why) = marked.or_else(|| kind.made_by_cloud(found).map(str::to_owned)) {
            return Verdict::LeaveOut(why);
        }
        if found.health == Health::Leaving {
            return Verdict::LeaveOut("it is being deleted".to_owned());
        }
        if kind.is_husk(found) {
            return Verdict::LeaveOut("it holds nothing yet".to_owned());
        }
        Verdict::Take
    }

    /// A name for each: made of its name in the cloud, else of what it belongs to.
    fn names(&self, chosen: &[Chosen<'a>]) -> Names {
        let mut names = Names::new();
        // What is nameless is called after what it refers to, which comes before it.
        for kind in KINDS {
            let of_kind: Vec<&Chosen<'_>> = chosen
                .iter()
                .filter(|it| it.kind.name() == kind.name())
                .collect();
            let wanted: Vec<(String, &str)> = of_kind
                .iter()
                .map(|it| (self.nickname(it, &names), it.found.id.as_str()))
                .collect();
            for (it, name) in of_kind.iter().zip(naming::unique(&wanted)) {
                names.insert((kind.name(), it.found.id.clone()), name);
            }
        }
        names
    }

    /// What a resource is called before that is made valid and unique.
    fn nickname(&self, it: &Chosen<'_>, names: &Names) -> String {
        let Chosen { kind, found } = *it;
        if let Some(name) = filled(&found.name) {
            return name.to_owned();
        }
        let of_its_own = kind.marker() != MarkerPlace::NaturalKey;
        let holder = found.attached_to.iter().find_map(|id| {
            let named = |other: &&'static dyn AnyKind| {
                let name = names.get(&(other.name(), id.clone())).cloned();
                let seen = || filled(&self.listing(other.name())?.get(id)?.name);
                name.or_else(|| seen().map(str::to_owned))
            };
            KINDS.iter().find_map(named)
        });
        if of_its_own && let Some(name) = holder {
            return name;
        }
        let spec = self.spec(it);
        let parts = kind.needs(&spec).into_iter().filter_map(|need| {
            let (kind, id) = target(&need)?;
            let name = names.get(&(kind, id.to_owned())).cloned();
            name.or_else(|| filled(&self.listing(kind)?.get(id)?.name).map(str::to_owned))
        });
        let mut parts: Vec<String> = parts.take(if of_its_own { 1 } else { 3 }).collect();
        if of_its_own {
            parts.push(kind.name().to_lowercase());
        }
        parts.join("-")
    }

    fn spec(&self, it: &Chosen<'_>) -> Value {
        let attached = self
            .inventory
            .attached(self.wish.scope, it.kind, &it.found.id);
        let mut spec = it.kind.abridged(it.found, &attached);
        if let Value::Object(fields) = &mut spec {
            // Nobody has to say that it is made in the project of the credentials.
            let is_ours = |value: &Value| value["id"].as_str() == Some(self.wish.project);
            fields
                .retain(|name, value| !(value.is_null() || name == "projectRef" && is_ours(value)));
            for row in it.kind.rows() {
                if let Some(Value::Array(items)) = fields.get_mut(row.name)
                    && is_unordered(row.compare)
                {
                    items.sort_by_key(Value::to_string);
                }
            }
        }
        spec
    }

    fn document(&self, it: &Chosen<'_>, names: &Names) -> Result<Document, String> {
        let Chosen { kind, found } = *it;
        let mut comments = Vec::new();
        let mut labels = BTreeMap::new();
        let mut spec = self.spec(it);
        for need in kind.needs(&spec) {
            self.refer(kind, &need, &mut spec, names, &mut labels, &mut comments);
        }
        if let Health::Stuck { state, fault } = &found.health {
            let fault = fault.as_ref().map(|it| format!(": {it}"));
            comments.push(format!("it is in {state}{}", fault.unwrap_or_default()));
        }
        if !kind.untold().is_empty() {
            let what = kind.untold().join(", ");
            comments.push(format!("the cloud does not give back {what}"));
        }
        let name = names.get(&(kind.name(), found.id.clone()));
        let name = name.cloned().unwrap_or_default();
        let write = |spec: Value, labels: &BTreeMap<String, String>, comments: &[String]| {
            let document = json!({
                "apiVersion": Group::Native.api_version(),
                "kind": kind.name(),
                "metadata": {"name": name},
                "spec": spec,
            });
            let mut order: Vec<&str> = ORDER.to_vec();
            let rows = kind.rows();
            order.extend(rows.iter().map(|row| row.name));
            let style = Style {
                order: &order,
                labels,
            };
            let mut text = String::new();
            for line in comments {
                text.push_str(&format!("# {}\n", crate::manifest::write::comment(line)));
            }
            text.push_str(&to_yaml(&document, style)?);
            accepts(kind, &text)?;
            Ok::<_, String>(Document {
                kind: kind.name(),
                name: name.clone(),
                id: found.id.clone(),
                text,
            })
        };
        let mut reason = "nothing of it can be changed".to_owned();
        if kind.adoptable() || !self.wish.adopt {
            match write(self.managed(it, spec), &labels, &comments) {
                Ok(document) => return Ok(document),
                Err(why) => reason = why,
            }
        }
        // It can be referred to, at least.
        comments = vec![format!("it cannot be managed: {reason}")];
        let import = json!({"managementPolicy": "unmanaged", "import": {"id": found.id}});
        if kind.shape() == Shape::Flat {
            return Err(reason);
        }
        write(import, &BTreeMap::new(), &comments)
    }

    /// The spec of a managed object.
    fn managed(&self, it: &Chosen<'_>, resource: Value) -> Value {
        let mut spec = Map::new();
        if self.wish.suspend {
            spec.insert("suspend".to_owned(), json!(true));
        }
        if self.wish.adopt {
            spec.insert("adopt".to_owned(), json!({"id": it.found.id}));
        }
        match (it.kind.shape(), resource) {
            (Shape::Flat, Value::Object(fields)) => spec.extend(fields),
            (_, resource) => {
                spec.insert("resource".to_owned(), resource);
            }
        }
        Value::Object(spec)
    }

    /// Turns the reference at one place of a spec from an id into the name of an object. What is
    /// not exported keeps its id, with its name beside it.
    fn refer(
        &self,
        kind: &dyn AnyKind,
        need: &Declared,
        spec: &mut Value,
        names: &Names,
        labels: &mut BTreeMap<String, String>,
        comments: &mut Vec<String>,
    ) {
        let Some((target, id)) = target(need) else {
            return;
        };
        if let Some(name) = names.get(&(target, id.to_owned())) {
            if let Some(reference) = spec.pointer_mut(&need.pointer) {
                *reference = json!(name);
            }
            return;
        }
        let Some(listing) = self.listing(target) else {
            return;
        };
        if let Some(found) = listing.get(id) {
            if let Some(name) = filled(&found.name) {
                labels.insert(id.to_owned(), name.to_owned());
            }
            return;
        }
        // What it was once made from may be gone: that is of no use to anybody.
        let rows = kind.rows();
        let of_birth = |row: &&crate::kinds::field::Row| row.name == need.field();
        if rows
            .iter()
            .find(of_birth)
            .is_some_and(|it| it.class == Class::Birth)
            && let Value::Object(fields) = spec
        {
            fields.remove(need.field());
            comments.push(format!("its {} is not there any more: {id}", need.field()));
        } else {
            labels.insert(id.to_owned(), "not to be seen".to_owned());
        }
    }
}

/// The fields of every document, in the order in which they are read.
const ORDER: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "suspend",
    "managementPolicy",
    "import",
    "adopt",
    "resource",
];

/// The kind and the id that a need refers to.
fn target(need: &Declared) -> Option<(&'static str, &str)> {
    match &need.what {
        DeclaredWhat::Object {
            kind,
            reference: Ref::Id(id),
        } => Some((kind, id)),
        _ => None,
    }
}

/// Does the order of this list mean nothing? Clouds then give it in any order. What is known by
/// some of its fields (interfaces, rules) is put into its order by its kind.
const fn is_unordered(compare: Compare) -> bool {
    matches!(
        compare,
        Compare::Set | Compare::Pairs(..) | Compare::Contains | Compare::Elements([])
    )
}

/// Is it what `validate` takes? If not, why.
fn accepts(kind: &dyn AnyKind, text: &str) -> Result<(), String> {
    let shapes = [(kind.name(), kind.shape())];
    let (manifests, problems) = parse::parse("export", text, parse::Kinds(&shapes));
    let first = |problems: &[crate::manifest::Problem]| {
        let error = problems.iter().find(|it| it.is_error())?;
        Some(error.message.to_string())
    };
    if let Some(why) = first(&problems) {
        return Err(why);
    }
    let [manifest]: [Manifest; 1] = manifests
        .try_into()
        .map_err(|_| "it is not understood".to_owned())?;
    match kind.accept(&manifest) {
        Ok(_) => Ok(()),
        Err(problems) => Err(first(&problems).unwrap_or_default()),
    }
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
