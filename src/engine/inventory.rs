//! What the cloud was last seen to hold: one dated listing per scope and kind.
//!
//! A listing that failed, or that has items that are not understood, never stands for absence.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use uuid::Uuid;

use crate::kinds::Attached;
use crate::kinds::erased::{AnyKind, Found};
use crate::zoo::{self, Bug};

use super::scope::Scope;

/// A list that lost at least this many,
const DOUBTED: usize = 3;
/// and more than this share of them, is not believed at once.
const DOUBTED_PERCENT: usize = 30;

/// One look at one collection, read to its end.
#[derive(Debug, Clone)]
pub struct Listing {
    /// When the first page was asked for.
    pub started_at: Timestamp,
    /// What was there.
    pub items: Vec<Found>,
    /// Items that were not understood, with the reason: while there are any, nothing is absent.
    pub malformed: Vec<String>,
    /// Of a kind that is listed part by part: the parts that were looked at.
    pub parts: BTreeSet<String>,
    /// Items that the answer to a request has shown since, and when.
    answered: BTreeMap<String, Timestamp>,
    by_id: HashMap<String, usize>,
    by_uid: HashMap<Uuid, Vec<usize>>,
    by_natural_key: HashMap<String, Vec<usize>>,
    by_attachment: HashMap<String, Vec<usize>>,
}

impl Listing {
    /// Indexes what a list held.
    #[must_use]
    pub fn new(started_at: Timestamp, items: Vec<Found>, malformed: Vec<String>) -> Self {
        let mut listing = Self {
            started_at,
            malformed,
            parts: BTreeSet::new(),
            answered: BTreeMap::new(),
            by_id: HashMap::with_capacity(items.len()),
            by_uid: HashMap::new(),
            by_natural_key: HashMap::new(),
            by_attachment: HashMap::new(),
            items: Vec::with_capacity(items.len()),
        };
        for found in items {
            listing.push(found);
        }
        listing
    }

    fn push(&mut self, found: Found) {
        let index = self.items.len();
        self.by_id.insert(found.id.clone(), index);
        if let Some(marker) = found.marker {
            self.by_uid.entry(marker.uid).or_default().push(index);
        }
        if let Some(key) = &found.natural_key {
            let same = self.by_natural_key.entry(key.clone()).or_default();
            same.push(index);
        }
        for id in &found.attached_to {
            let same = self.by_attachment.entry(id.clone()).or_default();
            same.push(index);
        }
        self.items.push(found);
    }

    /// Shows an item as an answer at this time showed it.
    fn show(&mut self, found: Found, at: Timestamp) {
        self.answered.insert(found.id.clone(), at);
        let Some(index) = self.by_id.get(&found.id).copied() else {
            self.push(found);
            return;
        };
        let before = &self.items[index];
        let is_found_as_before = before.marker == found.marker
            && before.natural_key == found.natural_key
            && before.attached_to == found.attached_to;
        self.items[index] = found;
        if !is_found_as_before {
            let (parts, answered) = (self.parts.clone(), self.answered.clone());
            let items = std::mem::take(&mut self.items);
            let malformed = std::mem::take(&mut self.malformed);
            *self = Self {
                parts,
                answered,
                ..Self::new(self.started_at, items, malformed)
            };
        }
    }

    /// When an answer showed this item, if one did since the look began.
    #[must_use]
    pub fn answered_at(&self, id: &str) -> Option<Timestamp> {
        self.answered.get(id).copied()
    }

    /// What answers showed while this look was under way is not undone by it.
    fn keep_answers(&mut self, before: &Self) {
        let since = self.started_at;
        let later = before.answered.iter().filter(|(_, at)| **at >= since);
        for (id, at) in later {
            if let Some(found) = before.get(id) {
                self.show(found.clone(), *at);
            }
        }
    }

    /// The same as a look at these parts.
    #[must_use]
    pub fn of_parts(mut self, parts: BTreeSet<String>) -> Self {
        self.parts = parts;
        self
    }

    /// Does it show nothing that another one did not?
    fn shows_the_same(&self, before: &Self) -> bool {
        let is_whole = |it: &Self| it.malformed.is_empty() && it.by_id.len() == it.items.len();
        let is_known = |now: &Found| before.get(&now.id).is_some_and(|was| was.is_as(now));
        is_whole(self)
            && is_whole(before)
            && self.parts == before.parts
            && self.items.len() == before.items.len()
            && self.items.iter().all(is_known)
    }

    /// The item with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Found> {
        self.by_id.get(id).map(|index| &self.items[*index])
    }

    /// The items that carry a marker with this uid.
    pub fn marked(&self, uid: Uuid) -> impl Iterator<Item = &Found> {
        self.by_uid
            .get(&uid)
            .into_iter()
            .flatten()
            .map(|index| &self.items[*index])
    }

    /// The items with this natural key: several where the service does not see to it that there is
    /// only one (endpoints, services).
    pub fn keyed(&self, key: &str) -> impl Iterator<Item = &Found> {
        self.by_natural_key
            .get(key)
            .into_iter()
            .flatten()
            .map(|index| &self.items[*index])
    }

    /// The items that are attached to the resource with this id.
    pub fn attached_to(&self, id: &str) -> impl Iterator<Item = &Found> {
        self.by_attachment
            .get(id)
            .into_iter()
            .flatten()
            .map(|index| &self.items[*index])
    }
}

/// The last complete look at each collection, and how the last try went.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    collections: BTreeMap<(Scope, &'static str), Collection>,
}

#[derive(Debug, Clone, Default)]
struct Collection {
    listing: Option<Listing>,
    failure: Option<String>,
    /// The last look is not believed until another one confirms it.
    doubted: bool,
}

impl Inventory {
    /// A look failed: the last complete listing stays in place.
    pub fn fail(&mut self, scope: &Scope, kind: &'static str, failure: String) {
        let collection = self.collections.entry((scope.clone(), kind)).or_default();
        collection.failure = Some(failure);
    }

    /// Takes over what the answer to a request shows of one resource: as good as a look at this time,
    /// at this one alone. `false` where the collection has not been looked at yet.
    pub(super) fn answered(
        &mut self,
        scope: &Scope,
        kind: &'static str,
        found: Found,
        at: Timestamp,
    ) -> bool {
        let collection = self.collections.get_mut(&(scope.clone(), kind));
        let listing = collection.and_then(|it| it.listing.as_mut());
        listing.map(|it| it.show(found, at)).is_some()
    }

    /// Takes a complete look over, unless too much has disappeared in it at once: then another one
    /// must confirm it. `expected` says what was deleted by us. `Ok` says whether it shows anything
    /// that was not known, `Err` is the doubt.
    ///
    /// # Errors
    /// What has disappeared, in words.
    pub fn believe(
        &mut self,
        scope: &Scope,
        kind: &'static str,
        mut listing: Listing,
        expected: impl Fn(&str) -> bool,
    ) -> Result<bool, String> {
        let collection = self.collections.entry((scope.clone(), kind)).or_default();
        let before = collection.listing.as_ref();
        if let Some(before) = before {
            listing.keep_answers(before);
        }
        let known = before.map_or(0, |before| before.items.len());
        let lost = before.map_or(0, |before| {
            let lost = |found: &&Found| listing.get(&found.id).is_none() && !expected(&found.id);
            before.items.iter().filter(lost).count()
        });
        let is_odd = lost >= DOUBTED && lost * 100 > known * DOUBTED_PERCENT;
        if is_odd && !collection.doubted && !zoo::has(Bug::BelievesAShrunkenList) {
            collection.doubted = true;
            let doubt = format!("{lost} of {known} have disappeared at once; looking again");
            collection.failure = Some(doubt.clone());
            return Err(doubt);
        }
        collection.doubted = false;
        let is_news =
            collection.failure.is_some() || !before.is_some_and(|it| listing.shows_the_same(it));
        collection.listing = Some(listing);
        collection.failure = None;
        Ok(is_news)
    }

    /// The last complete listing.
    #[must_use]
    pub fn listing(&self, scope: &Scope, kind: &'static str) -> Option<&Listing> {
        self.collections
            .get(&(scope.clone(), kind))?
            .listing
            .as_ref()
    }

    /// Why the last look failed, if it did.
    #[must_use]
    pub fn failure(&self, scope: &Scope, kind: &'static str) -> Option<&str> {
        self.collections
            .get(&(scope.clone(), kind))?
            .failure
            .as_deref()
    }

    /// Everything that is attached to a resource, of the kinds that say so.
    #[must_use]
    pub fn attached(&self, scope: &Scope, kind: &dyn AnyKind, id: &str) -> Attached<'_> {
        let mut attached = Attached::default();
        for other in kind.attached() {
            if let Some(listing) = self.listing(scope, other) {
                for found in listing.attached_to(id) {
                    attached.push(other, found);
                }
            }
        }
        attached
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use crate::kinds::marker::Marker;
    use serde_json::json;

    #[test]
    fn two_of_one_natural_key_are_both_found() {
        let kind = kinds::find("VolumeType").unwrap();
        let look = |id: &str| kind.look(json!({"id": id, "name": "fast"})).unwrap();
        let items = vec![look("1"), look("2")];
        let listing = Listing::new(Timestamp::UNIX_EPOCH, items, Vec::new());
        let ids: Vec<&str> = listing.keyed("fast").map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["1", "2"]);
        assert_eq!(listing.keyed("slow").count(), 0);
    }

    fn volumes(items: &[(&str, &str)]) -> Listing {
        let kind = kinds::find("Volume").unwrap();
        let item = |&(id, status): &(&str, &str)| {
            kind.look(json!({"id": id, "name": id, "size": 1, "status": status}))
                .unwrap()
        };
        let items = items.iter().map(item).collect();
        Listing::new(Timestamp::UNIX_EPOCH, items, Vec::new())
    }

    #[test]
    fn a_look_that_shows_nothing_new_is_told_from_one_that_does() {
        let before = volumes(&[("1", "in-use"), ("2", "available")]);
        for same in [&before, &volumes(&[("2", "available"), ("1", "in-use")])] {
            assert!(same.shows_the_same(&before));
        }
        let mut odd = before.clone();
        odd.malformed.push("3: it has no id".to_owned());
        for other in [
            volumes(&[("1", "available"), ("2", "available")]),
            volumes(&[("1", "in-use")]),
            volumes(&[("1", "in-use"), ("3", "available")]),
            volumes(&[("1", "in-use"), ("2", "available"), ("3", "available")]),
            volumes(&[("1", "in-use"), ("1", "in-use")]),
            before.clone().of_parts(BTreeSet::from(["p".to_owned()])),
            odd,
        ] {
            assert!(!other.shows_the_same(&before) && !before.shows_the_same(&other));
        }
    }

    #[test]
    fn what_was_not_believed_or_not_seen_for_a_while_is_new() {
        let (mut inventory, scope) = (Inventory::default(), Scope::new("it"));
        let four = [
            ("1", "in-use"),
            ("2", "in-use"),
            ("3", "in-use"),
            ("4", "in-use"),
        ];
        let mut look =
            |items: &[(&str, &str)]| inventory.believe(&scope, "Volume", volumes(items), |_| false);
        assert_eq!(look(&four), Ok(true));
        assert_eq!(look(&four), Ok(false));
        assert!(look(&four[..1]).is_err());
        assert_eq!(look(&four), Ok(true));
        assert_eq!(look(&four), Ok(false));
        inventory.fail(&scope, "Volume", "500".to_owned());
        let again = inventory.believe(&scope, "Volume", volumes(&four), |_| false);
        assert_eq!(again, Ok(true));
    }

    #[test]
    fn what_an_answer_showed_outlasts_the_looks_that_began_before_it_and_no_others() {
        let (scope, mut inventory) = (Scope::new("c"), Inventory::default());
        let at = |second| Timestamp::from_second(second).unwrap();
        let network = |id: &str, name: &str| {
            let item = json!({"id": id, "name": name, "status": "ACTIVE", "project_id": "p"});
            kinds::find("Network").unwrap().look(item).unwrap()
        };
        let names = |inventory: &Inventory| {
            let listing = inventory.listing(&Scope::new("c"), "Network").unwrap();
            let names = listing.items.iter().map(|it| it.name.clone());
            names.collect::<Vec<_>>()
        };
        let look = |inventory: &mut Inventory, second, items: Vec<Found>| {
            let listing = Listing::new(at(second), items, Vec::new());
            let belief = inventory.believe(&Scope::new("c"), "Network", listing, |_| false);
            belief.unwrap();
        };
        let answer = |inventory: &mut Inventory, id, name, second| {
            inventory.answered(&scope, "Network", network(id, name), at(second))
        };
        assert!(!answer(&mut inventory, "1", "one", 1));
        look(&mut inventory, 2, vec![network("1", "one")]);
        assert!(answer(&mut inventory, "2", "two", 3));
        assert!(answer(&mut inventory, "1", "eins", 4));
        assert_eq!(names(&inventory), ["eins", "two"]);
        let listing = inventory.listing(&scope, "Network").unwrap();
        assert_eq!(listing.get("2").unwrap().name, "two");
        let answered_at = ["1", "2", "3"].map(|id| listing.answered_at(id));
        assert_eq!(answered_at, [Some(at(4)), Some(at(3)), None]);
        // It began before both answers, and between them.
        look(&mut inventory, 3, vec![network("1", "one")]);
        assert_eq!(names(&inventory), ["eins", "two"]);
        look(&mut inventory, 4, vec![network("1", "one")]);
        assert_eq!(names(&inventory), ["eins"]);
        look(&mut inventory, 5, vec![network("1", "uno")]);
        assert_eq!(names(&inventory), ["uno"]);
    }

    #[test]
    fn what_an_answer_showed_is_found_by_its_marker() {
        let (scope, mut inventory) = (Scope::new("c"), Inventory::default());
        let uid = Uuid::from_u128;
        let network = |marker: u128| {
            let item = json!({"id": "1", "name": "n", "status": "ACTIVE", "project_id": "p"});
            let mut found = kinds::find("Network").unwrap().look(item).unwrap();
            (found.marker, found.attached_to) = (
                Some(Marker {
                    owner: 1,
                    uid: uid(marker),
                    attempt: 1,
                }),
                vec![marker.to_string()],
            );
            found
        };
        let listing = Listing::new(Timestamp::UNIX_EPOCH, vec![network(1)], Vec::new());
        assert!(
            inventory
                .believe(&scope, "Network", listing, |_| false)
                .unwrap()
        );
        assert!(inventory.answered(&scope, "Network", network(2), Timestamp::UNIX_EPOCH));
        let listing = inventory.listing(&scope, "Network").unwrap();
        let marked = [1, 2].map(|it| listing.marked(uid(it)).count());
        let attached = ["1", "2"].map(|it| listing.attached_to(it).count());
        assert_eq!((marked, attached), ([0, 1], [0, 1]));
        assert_eq!(
            listing.answered_at("1"),
            Some(Timestamp::UNIX_EPOCH),
            "it is kept where the rest is indexed anew"
        );
    }
}
