//! What is known after a write: nothing of what was seen before, and what the answer shows.

use jiff::Timestamp;

use crate::kinds::call::Reply;
use crate::kinds::erased::{Found, Intent};
use crate::kinds::{self, KINDS, MarkerPlace};
use crate::manifest::Key;

use super::Engine;

impl Engine {
    /// A write about an object has ended: what was seen before is no evidence any more.
    pub(super) fn wrote(&mut self, key: &Key, intent: &Intent, now: Timestamp) {
        self.noted(key, intent, now);
        let since = self.written(key).unwrap_or(now);
        self.want_own(key, since);
    }

    /// The same, and the service has answered: that may be a look at what has become of it, or say that
    /// it has only begun.
    pub(super) fn wrote_and_saw(
        &mut self,
        key: &Key,
        intent: &Intent,
        reply: &Reply,
        now: Timestamp,
    ) {
        self.noted(key, intent, now);
        if self.shown(key, intent, reply, now) {
            return;
        }
        let has_begun = match intent {
            Intent::Create => kinds::find(&key.kind).is_some_and(|kind| kind.answers_early()),
            // Another service has been told.
            _ => self.teller(key).is_some(),
        };
        if has_begun {
            self.want_first(key, now);
        } else {
            let since = self.written(key).unwrap_or(now);
            self.want_own(key, since);
        }
    }

    /// The kind that tells of the last write beside its own, if there is one.
    fn teller(&self, key: &Key) -> Option<&'static str> {
        self.work.get(key)?.told_by(self.declared(key)?)
    }

    fn noted(&mut self, key: &Key, intent: &Intent, now: Timestamp) {
        if let Some(work) = self.work.get_mut(key) {
            work.wrote_at = Some(now);
            work.wrote_field = match intent {
                Intent::Add(field, _) | Intent::Remove(field, _) => Some(field),
                _ => None,
            };
        }
        self.stirred(key, now);
    }

    /// Does the answer show the resource, whole and ours? Then nothing has to be listed.
    fn shown(&mut self, key: &Key, intent: &Intent, reply: &Reply, now: Timestamp) -> bool {
        let (Some(kind), Some(scope)) = (kinds::find(&key.kind), self.scope_of(key).cloned())
        else {
            return false;
        };
        if !kind.answers_whole() {
            return false;
        }
        let id = self.known_id(key);
        let before = self.inventory.listing(&scope, kind.name());
        let before = before.and_then(|it| it.get(id));
        let shown = kind.look(kind.item(id, reply)).ok();
        let shown = shown.or_else(|| kind.after(intent, before?, reply));
        let uid = self.settings.owner.uid(&self.identity(key));
        let is_ours = |found: &Found| match kind.marker() {
            MarkerPlace::NaturalKey => true,
            _ => found.marker.is_some_and(|marker| marker.uid == uid),
        };
        shown
            .filter(|found| found.id == id && is_ours(found))
            .is_some_and(|found| self.inventory.answered(&scope, kind.name(), found, now))
    }

    /// Something has changed in the service of an object, and maybe more than the object: a role is
    /// free when the last user who has it is gone. What is kept by such a thing looks again.
    pub(super) fn stirred(&mut self, key: &Key, now: Timestamp) {
        let (Some(kind), Some(scope)) = (kinds::find(&key.kind), self.scope_of(key).cloned())
        else {
            return;
        };
        let service = kind.service();
        let careful = KINDS
            .iter()
            .filter(|it| it.service() == service && !it.cascade().is_empty());
        for kind in careful {
            let first = Key::new(kind.name(), "", "");
            let records = self.journal.records.range(first..);
            let records = records.take_while(|(key, _)| *key.kind == *kind.name());
            let ours = records.filter(|(key, record)| {
                record.scope == scope && !self.desired.objects.contains_key(*key)
            });
            self.dirty.extend(ours.map(|(key, _)| key.clone()));
        }
        self.wrote.insert((scope, service), now);
    }
}
