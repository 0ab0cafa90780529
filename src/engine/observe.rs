//! What can be said of one resource from the looks that we have.
//!
//! A look that failed, is missing, or began before our last write says nothing; absence from a list
//! alone is no proof of a deletion, since services leave items out.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::kinds::erased::Found;
use crate::kinds::field::{Compare, diff};
use crate::kinds::health::Health;
use crate::kinds::{self, MarkerPlace};
use crate::manifest::{Adopt, Content, Key};
use crate::zoo::{self, Bug};

use super::desired::Object;
use super::inventory::Listing;
use super::journal::Record;
use super::pace::{after, between};
use super::plan::{Observed, Seen, Unmet};
use super::reason::{Blocker, Waiting};
use super::resolve::Resolved;
use super::scope::Scope;
use super::work::Work;
use super::{Engine, Link};

/// What a search by identity gives.
pub(super) enum Trace<'a> {
    /// It is there.
    Here(&'a Found),
    /// It is not there and, as far as is known, never was.
    Nowhere,
    /// It was there, and now no list shows it.
    Lost(&'a str),
    /// A create is or was under way; it may still appear.
    Pending(Timestamp),
    /// A person must look.
    Blocked(Blocker),
}

impl Engine {
    /// The last complete look at a collection, if it can be believed about something that we last
    /// wrote to at `wrote_at`.
    pub(super) fn evidence(
        &self,
        scope: &Scope,
        kind: &'static str,
        wrote_at: Option<Timestamp>,
    ) -> Result<&Listing, Waiting> {
        match self.links.get(scope) {
            Some(Link::Up(_) | Link::Foreign(_)) => {}
            Some(Link::Down { error, .. }) => return Err(Waiting::LookFailed(error.clone())),
            // What was seen through another connection may be of another place.
            Some(Link::Connecting) | None => return Err(Waiting::FirstLook),
        }
        if let Some(failure) = self.inventory.failure(scope, kind) {
            return Err(Waiting::LookFailed(failure.to_owned()));
        }
        let listing = self
            .inventory
            .listing(scope, kind)
            .ok_or(Waiting::FirstLook)?;
        let is_older = wrote_at.is_some_and(|wrote_at| listing.started_at <= wrote_at);
        if is_older && !zoo::has(Bug::BelievesAnOlderList) {
            return Err(Waiting::Settling);
        }
        Ok(listing)
    }

    /// The same about one resource: the answer to our last write may have been a look at it.
    pub(super) fn evidence_of(
        &self,
        id: Option<&str>,
        scope: &Scope,
        kind: &'static str,
        wrote_at: Option<Timestamp>,
    ) -> Result<&Listing, Waiting> {
        let listing = self.inventory.listing(scope, kind);
        let answered_at = id.and_then(|id| listing?.answered_at(id));
        self.evidence(scope, kind, wrote_at.filter(|at| answered_at < Some(*at)))
    }

    /// The last look at the collection of an object, if it shows this one as it is.
    pub(super) fn own_evidence(
        &self,
        object: &Object,
        work: Option<&Work>,
    ) -> Result<&Listing, Waiting> {
        let record = self.journal.records.get(object.key());
        let id = record.and_then(|record| record.id.as_deref());
        let wrote_at = work.and_then(|work| work.wrote_at);
        self.evidence_of(id, &object.scope, object.kind.name(), wrote_at)
    }

    /// What is known of a declared object.
    pub(super) fn observe<'a>(
        &'a self,
        object: &'a Object,
        resolved: &Resolved,
        work: Option<&Work>,
        now: Timestamp,
    ) -> Observed<'a> {
        if let Some(Link::Foreign(how)) = self.links.get(&object.scope) {
            return Observed::Blocked(Blocker::ScopeChanged(how.clone()));
        }
        let listing = match self.own_evidence(object, work) {
            Ok(listing) => listing,
            Err(waiting) => return Observed::Unknown(waiting),
        };
        // A look that left its part out says nothing of it.
        let content = resolved.spec.as_ref().or(resolved.filter.as_ref());
        if let Some((_, field)) = object.kind.part()
            && let Some(part) = content.and_then(|content| content[field]["id"].as_str())
            && !listing.parts.contains(part)
        {
            return Observed::Unknown(Waiting::Settling);
        }
        let Some(spec) = &resolved.spec else {
            return self.observe_import(object, resolved, listing, work, now);
        };
        let record = self.journal.records.get(object.key());
        if let Some(record) = record
            && record.scope != object.scope
        {
            return Observed::Blocked(Blocker::Invalid(format!(
                "it was created in {} and cannot move to {}; delete it there first",
                record.scope, object.scope
            )));
        }
        match self.trace(object.key(), object, spec, record, listing) {
            Trace::Here(found) => self
                .seen(object, found, work, now)
                .map_or_else(Observed::Unknown, Observed::Found),
            Trace::Blocked(blocker) => Observed::Blocked(blocker),
            Trace::Pending(at) => {
                let until = after(at, self.settings.uncertain_window);
                Observed::Unknown(Waiting::Uncertain(until))
            }
            Trace::Lost(_) if zoo::has(Bug::TrustsAnAbsentListEntry) => Observed::Absent,
            Trace::Lost(id) => {
                let missing = work.and_then(|work| work.missing.as_ref());
                let deleting = work.is_some_and(|work| work.deleting);
                Observed::Lost {
                    id: id.to_owned(),
                    next: missing
                        .filter(|missing| missing.id == id && !deleting)
                        .map(|missing| after(missing.since, self.settings.gone_after)),
                }
            }
            Trace::Nowhere
                if !listing.malformed.is_empty()
                    && !zoo::has(Bug::TakesWhatIsNotUnderstoodForAbsent) =>
            {
                let why = format!(
                    "{} items are not understood, the first: {}",
                    listing.malformed.len(),
                    listing.malformed[0]
                );
                Observed::Unknown(Waiting::LookFailed(why))
            }
            Trace::Nowhere => self.observe_adoptable(object, spec, listing, work, now),
        }
    }

    /// A resource with what is attached to it. Those lists must be as fresh as its own; when one
    /// fails, the fields that it tells are not known.
    fn seen<'a>(
        &'a self,
        object: &Object,
        found: &'a Found,
        work: Option<&Work>,
        now: Timestamp,
    ) -> Result<Seen<'a>, Waiting> {
        let own = self.own_evidence(object, work)?;
        // While it moves nothing is done about it, whatever is attached to it.
        let is_moving = matches!(found.health, Health::Moving(_) | Health::Leaving);
        let mut blind = Vec::new();
        for kind in object.attached().filter(|_| !is_moving) {
            let since = attached_since(object, kind, work, found, own);
            let is_older = |listing: &Listing| Some(listing.started_at) < since;
            match self.evidence(&object.scope, kind, None) {
                Ok(listing) if is_older(listing) => return Err(Waiting::Settling),
                Ok(_) => {}
                // Only what is told there has to wait: the rest is as well known as ever.
                Err(Waiting::LookFailed(why)) => blind.extend(untold_by(object, kind, &why)),
                Err(waiting) => return Err(waiting),
            }
        }
        let attached = self
            .inventory
            .attached(&object.scope, object.kind, &found.id);
        let have = object.kind.project(found, &attached);
        let since = work
            .map(|work| work.age(state_of(found), now))
            .unwrap_or_default();
        let moving = work
            .and_then(|work| work.moving_since)
            .filter(|_| !found.health.is_settled())
            .map(|since| between(since, now))
            .unwrap_or_default();
        Ok(Seen {
            found,
            attached,
            have,
            since,
            blind,
            moving,
        })
    }

    fn observe_import<'a>(
        &'a self,
        object: &'a Object,
        resolved: &Resolved,
        listing: &'a Listing,
        work: Option<&Work>,
        now: Timestamp,
    ) -> Observed<'a> {
        let see = |found| {
            self.seen(object, found, work, now)
                .map_or_else(Observed::Unknown, Observed::Found)
        };
        if let Content::Import(import) = &object.manifest.content
            && let Some(id) = &import.id
        {
            return match listing.get(id) {
                Some(found) => see(found),
                None => Observed::Unknown(Waiting::External(format!("id {id}"))),
            };
        }
        if !resolved.unmet.is_empty() {
            // The plan says what the filter waits for.
            return Observed::Absent;
        }
        let filter = resolved.filter.clone().unwrap_or(Value::Null);
        let items: Vec<&Found> = listing.items.iter().collect();
        let chosen = if zoo::has(Bug::TrustsAFilter) {
            (0..items.len()).collect()
        } else {
            object.kind.choose(&filter, &items)
        };
        match chosen[..] {
            [one] => see(items[one]),
            [] => Observed::Unknown(Waiting::External(format!("filter {filter}"))),
            ref several => Observed::Blocked(Blocker::Ambiguous {
                what: "found more than one matching OpenStack resource during import".to_owned(),
                ids: several.iter().map(|it| items[*it].id.clone()).collect(),
            }),
        }
    }

    /// Nothing is ours: is there something that the manifest consents to take over?
    fn observe_adoptable<'a>(
        &'a self,
        object: &'a Object,
        spec: &Value,
        listing: &'a Listing,
        work: Option<&Work>,
        now: Timestamp,
    ) -> Observed<'a> {
        let candidates: Vec<&Found> = match &object.policy().adopt {
            None if !zoo::has(Bug::AdoptsByName) => return Observed::Absent,
            Some(Adopt::Id(id)) => match listing.get(id) {
                Some(found) => vec![found],
                // It was taken over, and is proven gone since: it is made anew.
                None if self.is_gone(object.key(), id) => return Observed::Absent,
                None => return Observed::Unknown(Waiting::External(format!("id {id}"))),
            },
            Some(Adopt::ByName) | None => listing
                .items
                .iter()
                .filter(|found| {
                    found.name == object.name
                        && self.is_in_project(&object.scope, &[named_project(spec)], found)
                })
                .collect(),
        };
        match candidates[..] {
            [] => Observed::Absent,
            [found] if found.marker.is_some() && !zoo::has(Bug::AdoptsAnothersMarker) => {
                Observed::Blocked(Blocker::NotOurs(format!(
                    "{} carries the marker of another object or installation",
                    found.id
                )))
            }
            [found] if !self.is_in_project(&object.scope, &[named_project(spec)], found) => {
                Observed::Blocked(Blocker::NotOurs(format!(
                    "{} belongs to another project; log in to that one, or name it as projectRef, to adopt it",
                    found.id
                )))
            }
            [found] => self
                .seen(object, found, work, now)
                .map_or_else(Observed::Unknown, Observed::Adoptable),
            _ => Observed::Blocked(Blocker::Ambiguous {
                what: format!("several are named {}", object.name),
                ids: candidates.iter().map(|found| found.id.clone()).collect(),
            }),
        }
    }

    /// Looks for a managed object by its identity.
    pub(super) fn trace<'a>(
        &self,
        key: &Key,
        object: &Object,
        spec: &Value,
        record: Option<&'a Record>,
        listing: &'a Listing,
    ) -> Trace<'a> {
        if object.kind.marker() == MarkerPlace::NaturalKey {
            return self.trace_by_natural_key(object, spec, record, listing);
        }
        self.trace_by_marker(
            key,
            &object.scope,
            object.policy().adopt.as_ref(),
            named_project(spec),
            record,
            listing,
        )
    }

    /// Looks for what carries our marker, then for what the journal knows.
    pub(super) fn trace_by_marker<'a>(
        &self,
        key: &Key,
        scope: &Scope,
        adopt: Option<&Adopt>,
        project: Option<&str>,
        record: Option<&'a Record>,
        listing: &'a Listing,
    ) -> Trace<'a> {
        let recorded = record.and_then(|record| record.project.as_deref());
        let projects = [project, recorded];
        let ours = match self.incarnation_in_force(key, scope, &projects, listing) {
            Ok(identity) => self.marked(&identity, scope, &projects, listing),
            Err(blocker) => return Trace::Blocked(blocker),
        };
        match ours[..] {
            _ if record.is_none() && zoo::has(Bug::TrustsTheJournalAlone) => {}
            [found] if record.is_some_and(|it| has_succeeded(it, &found.id)) => {}
            [found] => return Trace::Here(found),
            [found, ..] if zoo::has(Bug::TakesTheFirstOfSeveral) => return Trace::Here(found),
            [] => {}
            _ => {
                return Trace::Blocked(Blocker::Ambiguous {
                    what: "several resources carry its marker".to_owned(),
                    ids: ours.iter().map(|found| found.id.clone()).collect(),
                });
            }
        }
        let Some(record) = record else {
            return Trace::Nowhere;
        };
        if let Some(id) = &record.id {
            return match listing.get(id) {
                // Consent by id is asked for anew, and read as such.
                Some(_) if *adopt_id(adopt) == **id => Trace::Nowhere,
                Some(_) => Trace::Blocked(Blocker::MarkerLost(id.clone())),
                None => Trace::Lost(id),
            };
        }
        record
            .intent
            .as_ref()
            .map_or(Trace::Nowhere, |intent| Trace::Pending(intent.at))
    }

    /// What carries the marker of this incarnation; of several, what is not leaving.
    pub(super) fn marked<'a>(
        &self,
        identity: &Key,
        scope: &Scope,
        projects: &[Option<&str>],
        listing: &'a Listing,
    ) -> Vec<&'a Found> {
        let owner = self.settings.owner;
        let mut ours: Vec<&Found> = listing
            .marked(owner.uid(identity))
            .filter(|found| {
                found
                    .marker
                    .is_some_and(|marker| marker.owner == owner.short())
            })
            .filter(|found| self.is_in_project(scope, projects, found))
            .collect();
        if ours.len() > 1 {
            ours.retain(|found| found.health != Health::Leaving);
        }
        ours
    }

    /// Looks for what the API itself tells apart by its name.
    fn trace_by_natural_key<'a>(
        &self,
        object: &Object,
        spec: &Value,
        record: Option<&'a Record>,
        listing: &'a Listing,
    ) -> Trace<'a> {
        let known = record.and_then(|record| record.id.as_deref());
        if let Some(found) = known.and_then(|id| listing.get(id)) {
            // Its key is not that of the spec while a reference is not known yet, and after the
            // spec was given another name.
            return Trace::Here(found);
        }
        let natural_key = object.kind.natural_key(spec, &object.name);
        let mut candidates: Vec<&Found> = natural_key
            .iter()
            .flat_map(|key| listing.keyed(key))
            .collect();
        let consent = adopt_id(object.policy().adopt.as_ref());
        if candidates.len() > 1 && candidates.iter().any(|found| found.id == consent) {
            candidates.retain(|found| found.id == consent);
        }
        let found = match candidates[..] {
            [found] => found,
            [] => {
                return match record.map(|record| (&record.id, &record.intent)) {
                    Some((Some(id), _)) => Trace::Lost(id),
                    Some((None, Some(intent))) => Trace::Pending(intent.at),
                    Some((None, None)) | None => Trace::Nowhere,
                };
            }
            _ => {
                return Trace::Blocked(Blocker::Ambiguous {
                    what: format!(
                        "several are the {} {} of the manifest",
                        object.kind.name(),
                        object.name
                    ),
                    ids: candidates.iter().map(|found| found.id.clone()).collect(),
                });
            }
        };
        let is_known = record.is_some_and(|record| {
            record.intent.is_some() || record.id.as_deref() == Some(found.id.as_str())
        });
        let have = object.kind.project(
            found,
            &self
                .inventory
                .attached(&object.scope, object.kind, &found.id),
        );
        // What the cloud does not tell of a stranger is no proof that it is the same.
        let mut rows = object.kind.rows();
        for row in rows.iter_mut().filter(|row| row.compare == Compare::IfTold) {
            row.compare = Compare::Value;
        }
        let differs = diff(&rows, spec, &have);
        let takes_over = zoo::has(Bug::TakesOverANaturalKey);
        if is_known || takes_over || differs.is_empty() || object.policy().adopt.is_some() {
            return Trace::Here(found);
        }
        let fields: Vec<&str> = differs.iter().map(|it| it.field).collect();
        Trace::Blocked(Blocker::NotOurs(format!(
            "there is a {} {} already that is not ours and differs in {}; choose another name, or set adopt: {{byName: true}}",
            object.kind.name(),
            found.name,
            fields.join(", ")
        )))
    }

    /// Is the resource with this id one that this object once was?
    fn is_gone(&self, key: &Key, id: &str) -> bool {
        let record = self.journal.records.get(key);
        record.is_some_and(|record| record.gone.as_deref() == Some(id))
    }

    /// Ownership is checked on our side: admin tokens and dropped filters show other projects.
    /// Besides the project of the credentials it may be in one of `others`: the one that the
    /// manifest names, or the one that it was made in.
    pub(super) fn is_in_project(
        &self,
        scope: &Scope,
        others: &[Option<&str>],
        found: &Found,
    ) -> bool {
        match (self.links.get(scope), &found.project) {
            _ if zoo::has(Bug::IgnoresTheProject) => true,
            (Some(Link::Up(fingerprint)), Some(project)) => {
                *project == fingerprint.project || others.contains(&Some(project))
            }
            (_, None) => true,
            _ => false,
        }
    }
}

/// Since when a look at what is attached to a resource has to have begun, to show it as it is: after our
/// last write, if that kind tells of it, and after the resource became what it is. A port is bound while
/// its server boots: a look from before would show it unbound.
pub(super) fn attached_since(
    object: &Object,
    kind: &str,
    work: Option<&Work>,
    found: &Found,
    own: &Listing,
) -> Option<Timestamp> {
    let work = work?;
    let is_told = work.told_by(object).is_none_or(|teller| teller == kind);
    let written = work.wrote_at.filter(|_| is_told);
    let changed = match &work.state {
        Some((before, _)) => before != state_of(found),
        None => work.wrote_at.is_some(),
    };
    let written = written.map(|at| after(at, Duration::from_millis(1)));
    written.max(changed.then_some(own.started_at))
}

/// The fields that cannot be told while a kind cannot be listed.
fn untold_by(object: &Object, kind: &str, why: &str) -> Vec<Unmet> {
    let service = kinds::find(kind).map_or("", |it| it.service().as_str());
    let waits = |field: &str| Unmet {
        field: field.to_owned(),
        why: Ok(Waiting::LookFailed(format!(
            "its {field} are not known while {service} does not list them: {why}"
        ))),
    };
    let told = object.kind.told_by().iter();
    told.filter(|(_, teller)| *teller == kind)
        .map(|(field, _)| waits(field))
        .collect()
}

/// The project that a resolved spec has its resource made in, if it names one.
pub(super) fn named_project(spec: &Value) -> Option<&str> {
    spec["projectRef"]["id"].as_str()
}

fn adopt_id(adopt: Option<&Adopt>) -> &str {
    match adopt {
        Some(Adopt::Id(id)) => id,
        _ => "",
    }
}

/// Has something else been made in the place of this, or may it have been? The resource is proven
/// gone, and a list that shows it and nothing else lags.
fn has_succeeded(record: &Record, id: &str) -> bool {
    let is_another = |it: &String| it != id;
    record.last.as_deref() == Some(id)
        && !zoo::has(Bug::BelievesAListThatLags)
        && (record.id.as_ref().is_some_and(is_another) || record.intent.is_some())
}

/// The name of a resource's state, to tell how long it has been in it.
pub(super) fn state_of(found: &Found) -> &str {
    match &found.health {
        Health::Ready => "ready",
        Health::Off(state) | Health::Moving(state) | Health::Stuck { state, .. } => state,
        Health::Leaving => "leaving",
    }
}
