//! What may be written in which state, as the specification has it, in words of its own: nothing here
//! asks the engine.

use stackward::kinds::MarkerPlace;
use stackward::kinds::field::Class;
use stackward::kinds::marker::{Marker, Owner};
use stackward::manifest::INCARNATIONS;

use super::cell::{Cell, MADE, Memory, View, Word};
use super::subject::{Item, Subject};

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    Create,
    Adopt,
    Delete,
    /// What has to be done before it can be deleted.
    Disable,
    Change,
}

/// The case that is judged.
pub struct Case<'a> {
    pub subject: &'a Subject,
    pub cell: Cell,
    pub owner: Owner,
    /// All that there is.
    pub truth: &'a [Item],
}

impl Case<'_> {
    /// What the specification has against a deed, if anything.
    pub fn objection(&self, deed: Deed, target: Option<&Item>) -> Option<&'static str> {
        let Cell { word, view, .. } = self.cell;
        if word.forbids() {
            return Some("nothing may be written");
        }
        if view == View::Fails {
            return Some("nothing was seen");
        }
        match deed {
            Deed::Create => self.against_creating(),
            Deed::Adopt => match target {
                _ if word != Word::DeclaredAdopt => Some("nobody consented"),
                Some(it) if it.marker.is_none() && !it.is_elsewhere && self.truth.len() == 1 => {
                    None
                }
                _ => Some("that is not what the consent is about"),
            },
            Deed::Delete | Deed::Disable | Deed::Change => match target {
                Some(it) if !self.is_ours(it) => Some("it is not ours"),
                None => Some("it is not there"),
                Some(_) if self.ours().count() > 1 && !self.is_succession() => {
                    Some("there are several")
                }
                Some(it) if deed == Deed::Change => self.against_changing(it),
                Some(it) if word.declares() => self.against_replacing(it),
                Some(_) => self.against_removing(),
            },
        }
    }

    fn against_creating(&self) -> Option<&'static str> {
        let Cell { word, view, .. } = self.cell;
        // What is left out of the lists while it is being deleted is as good as gone (SOFT_DELETED).
        let is_going =
            |it: &&Item| it.is_hidden && it.state.is_some() && it.state == self.subject.leaving;
        let serving = self.ours().filter(|it| !is_going(it)).count();
        let is_taken = self.has_natural_key() && self.truth.iter().any(|it| !it.is_hidden);
        // A successor is made beside the one that only a new one can replace.
        let is_successor = word == Word::DeclaredCreateFirst
            && matches!(self.truth, [one] if self.is_ours(one) && one.differs == Some(Class::Replace));
        match () {
            () if !word.declares() => Some("nobody declares it"),
            () if is_successor => None,
            // What neither a list nor the journal knows of cannot be known. It is found when it
            // shows, and then both are left alone.
            () if serving > 0 && !self.is_unknowable() => Some("it is there"),
            () if is_taken => Some("its name is taken"),
            () if view == View::HasNonsense => Some("a list was not understood"),
            () => None,
        }
    }

    fn against_changing(&self, target: &Item) -> Option<&'static str> {
        let word = self.cell.word;
        let loses = matches!(
            word,
            Word::DeclaredLoseData
                | Word::DeclaredReplaceLoseData
                | Word::DeclaredCreateFirst
                | Word::DeclaredProtected
        );
        match target.differs {
            _ if !word.declares() => Some("nobody declares it"),
            Some(Class::Disrupt) if word == Word::DeclaredNoDisrupt => {
                Some("it may not be interrupted")
            }
            Some(Class::Lose) if !loses => Some("its data may not be lost"),
            Some(Class::Replace | Class::Birth) => Some("only a new one can have that"),
            Some(_) => None,
            None if target.state.is_some() && target.state == self.subject.stuck => None,
            None => Some("nothing differs"),
        }
    }

    /// Deleting what is declared, so that a new one can be made.
    fn against_replacing(&self, target: &Item) -> Option<&'static str> {
        let word = self.cell.word;
        let holds_data = self.subject.kind.holds_data();
        let is_stuck = target.state.is_some() && target.state == self.subject.stuck;
        let may_be_replaced = match word {
            Word::DeclaredReplace => !holds_data,
            Word::DeclaredReplaceLoseData => true,
            // Not before there is another one.
            Word::DeclaredCreateFirst => self.is_succession(),
            _ => false,
        };
        match () {
            () if word == Word::DeclaredProtected && !self.is_husk(target) => {
                Some("it is protected")
            }
            () if self.is_husk(target) => None,
            () if is_stuck && word == Word::DeclaredRecreate && !holds_data => self.unmade(),
            () if target.differs == Some(Class::Replace) && may_be_replaced => self.unmade(),
            () => Some("it is declared"),
        }
    }

    /// Deleting what nobody declares any more.
    fn against_removing(&self) -> Option<&'static str> {
        let Cell { word, memory, .. } = self.cell;
        let needs_a_word = matches!(word, Word::GonePruneOff | Word::GoneConfirm);
        match memory {
            Memory::Protected => Some("it is protected"),
            Memory::Detached => Some("it is to be let go"),
            Memory::Nothing => Some("it is not known"),
            memory if needs_a_word && memory != Memory::Approved => Some("nobody approved it"),
            _ => self.unmade(),
        }
    }

    /// What carries no marker is deleted only if we made it.
    fn unmade(&self) -> Option<&'static str> {
        let made = matches!(
            self.cell.memory,
            Memory::Made | Memory::Approved | Memory::Protected | Memory::Detached
        );
        // What is seen after a create that was begun counts as made by it.
        let begun = self.cell.word.declares()
            && matches!(self.cell.memory, Memory::IntentNow | Memory::IntentLongAgo);
        (self.has_natural_key() && !made && !begun).then_some("it was not made here")
    }

    fn ours(&self) -> impl Iterator<Item = &Item> {
        self.truth.iter().filter(|it| self.is_ours(it))
    }

    /// Is it ours, by what it carries? What has the natural key of the object is, if we know it, if
    /// it is all as declared, or by consent.
    fn is_ours(&self, item: &Item) -> bool {
        if item.is_elsewhere {
            return false;
        }
        if self.has_natural_key() {
            let is_known = !matches!(
                self.cell.memory,
                Memory::Nothing | Memory::GivenUp | Memory::OtherId
            );
            return is_known
                || item.differs.is_none()
                || item.id == MADE
                || self.cell.word == Word::DeclaredAdopt;
        }
        let marker = item.marker.as_deref().and_then(Marker::parse);
        let key = self.subject.key();
        marker.is_some_and(|marker| {
            (0..INCARNATIONS).any(|it| self.owner.uid(&key.incarnation(it)) == marker.uid)
        })
    }

    /// The old one and its successor, neither more nor less.
    fn is_succession(&self) -> bool {
        let ours: Vec<&Item> = self.ours().collect();
        let old = |it: &&&Item| it.differs == Some(Class::Replace);
        self.cell.word == Word::DeclaredCreateFirst
            && ours.len() == 2
            && ours.iter().filter(old).count() == 1
    }

    /// No list shows it, and the journal does not have its id.
    fn is_unknowable(&self) -> bool {
        self.cell.view == View::LeavesItOut
            && matches!(
                self.cell.memory,
                Memory::Nothing
                    | Memory::IntentNow
                    | Memory::IntentLongAgo
                    | Memory::GivenUp
                    | Memory::OtherId
            )
    }

    /// An image that nobody will ever upload anything into.
    fn is_husk(&self, item: &Item) -> bool {
        item.state.is_some() && self.subject.kind.name() == "Image"
    }

    fn has_natural_key(&self) -> bool {
        self.subject.kind.marker() == MarkerPlace::NaturalKey
    }
}
