//! The abstract states: what is declared, what the journal says, what the cloud holds and shows.
//! And what may be done in each, as the specification has it.

use jiff::Timestamp;
use serde_json::{Value, json};
use stackward::engine::journal::{Attempt, Record};
use stackward::engine::scope::Scope;
use stackward::kinds::MarkerPlace;
use stackward::kinds::marker::{Marker, Owner};
use uuid::Uuid;

use crate::sim::SCOPE;
use crate::subject::{Item, Subject};

/// The id of one more resource, of one that was made, and of one that is nowhere.
pub const TWIN: &str = "11111111-1111-4111-8111-111111111111";
pub const MADE: &str = "22222222-2222-4222-8222-222222222222";
const NOWHERE: &str = "33333333-3333-4333-8333-333333333333";

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    Declared,
    DeclaredAdopt,
    DeclaredProtected,
    DeclaredSuspended,
    DeclaredRecreate,
    DeclaredPaused,
    DeclaredObserved,
    DeclaredElsewhere,
    Gone,
    GonePruneOff,
    GoneConfirm,
    GoneEmpty,
    GoneReadOnce,
    GoneHidden,
    GonePaused,
    GoneElsewhere,
}

/// What the journal says of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Memory {
    Nothing,
    Made,
    Adopted,
    Protected,
    Detached,
    Approved,
    IntentNow,
    IntentLongAgo,
    GivenUp,
    OtherId,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum World {
    Nothing,
    Ours,
    OursMoving,
    OursLeaving,
    OursStuck,
    OursElsewhere,
    Unmarked,
    UnmarkedTwin,
    OtherOwners,
    Two,
}

/// What the list shows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    True,
    LeavesItOut,
    Fails,
    HasNonsense,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub word: Word,
    pub memory: Memory,
    pub world: World,
    pub view: View,
}

const WORDS: [Word; 16] = [
    Word::Declared,
    Word::DeclaredAdopt,
    Word::DeclaredProtected,
    Word::DeclaredSuspended,
    Word::DeclaredRecreate,
    Word::DeclaredPaused,
    Word::DeclaredObserved,
    Word::DeclaredElsewhere,
    Word::Gone,
    Word::GonePruneOff,
    Word::GoneConfirm,
    Word::GoneEmpty,
    Word::GoneReadOnce,
    Word::GoneHidden,
    Word::GonePaused,
    Word::GoneElsewhere,
];
const MEMORIES: [Memory; 10] = [
    Memory::Nothing,
    Memory::Made,
    Memory::Adopted,
    Memory::Protected,
    Memory::Detached,
    Memory::Approved,
    Memory::IntentNow,
    Memory::IntentLongAgo,
    Memory::GivenUp,
    Memory::OtherId,
];
const WORLDS: [World; 10] = [
    World::Nothing,
    World::Ours,
    World::OursMoving,
    World::OursLeaving,
    World::OursStuck,
    World::OursElsewhere,
    World::Unmarked,
    World::UnmarkedTwin,
    World::OtherOwners,
    World::Two,
];
const VIEWS: [View; 4] = [
    View::True,
    View::LeavesItOut,
    View::Fails,
    View::HasNonsense,
];

/// Every state that a resource of this kind can be in.
pub fn cells(subject: &Subject, owner: Owner) -> Vec<Cell> {
    let mut cells = Vec::new();
    for world in WORLDS {
        if items(subject, world, owner).is_none() {
            continue;
        }
        for word in WORDS {
            for memory in MEMORIES {
                // An id that is nowhere cannot be told from one that was made of the same parts.
                if memory == Memory::OtherId && !subject.can_have_twins() {
                    continue;
                }
                for view in VIEWS {
                    if !is_of_interest(word, world, view) {
                        continue;
                    }
                    cells.push(Cell {
                        word,
                        memory,
                        world,
                        view,
                    });
                }
            }
        }
    }
    cells
}

/// What is left out has to be there first; what is not shown at all need not be there in all its
/// forms; and where nothing may be written whatever is seen, what is seen is the truth.
fn is_of_interest(word: Word, world: World, view: View) -> bool {
    match view {
        View::True => true,
        View::LeavesItOut => world != World::Nothing && !word.forbids(),
        View::Fails | View::HasNonsense => {
            matches!(world, World::Nothing | World::Ours) && !word.forbids()
        }
    }
}

impl Word {
    pub fn declares(self) -> bool {
        self < Self::Gone
    }

    /// Nothing at all may be written.
    pub fn forbids(self) -> bool {
        matches!(
            self,
            Self::DeclaredSuspended
                | Self::DeclaredPaused
                | Self::DeclaredObserved
                | Self::DeclaredElsewhere
                | Self::GonePaused
                | Self::GoneElsewhere
                | Self::GoneEmpty
                | Self::GoneReadOnce
                | Self::GoneHidden
        )
    }

    pub fn policy(self) -> (Value, Value) {
        let policy = match self {
            Self::DeclaredAdopt => json!({"adopt": {"byName": true}}),
            Self::DeclaredSuspended => json!({"suspend": true}),
            Self::DeclaredRecreate => json!({"lifecycle": {"onError": "Recreate"}}),
            _ => json!({}),
        };
        let annotations = match self {
            Self::DeclaredProtected => json!({"stackward.dev/protect": "true"}),
            _ => Value::Null,
        };
        (policy, annotations)
    }
}

/// The record of the journal, if there is one.
pub fn record(subject: &Subject, memory: Memory, now: Timestamp) -> Option<Record> {
    let nonce = subject.original.marker.as_deref().and_then(Marker::parse);
    let nonce = nonce.map_or(7, |marker| marker.attempt);
    let began = |seconds: i64| Attempt {
        nonce,
        id: Uuid::from_u128(1),
        at: now - jiff::SignedDuration::from_secs(seconds),
    };
    let mut record = Record::new(Scope::new(SCOPE));
    match memory {
        Memory::Nothing => return None,
        Memory::IntentNow => record.intent = Some(began(1)),
        Memory::IntentLongAgo => record.intent = Some(began(3600)),
        Memory::GivenUp => record.given_up = vec![began(3600)],
        Memory::OtherId => record.id = Some(NOWHERE.to_owned()),
        _ => record.id = Some(subject.original.id.clone()),
    }
    record.made_here = record.id.is_some() && memory != Memory::Adopted;
    record.protect = memory == Memory::Protected;
    record.detach = memory == Memory::Detached;
    record.approved = memory == Memory::Approved;
    Some(record)
}

/// What there is of the subject; `None` where that cannot be.
pub fn items(subject: &Subject, world: World, owner: Owner) -> Option<Vec<Item>> {
    let original = &subject.original;
    let in_state = |state: &Option<String>| {
        let state = Some(state.clone()?);
        Some(vec![Item {
            state,
            ..original.clone()
        }])
    };
    let has_marker = original.marker.is_some();
    let unmarked = Item {
        marker: None,
        ..original.clone()
    };
    let twin = |item: &Item| Item {
        id: TWIN.to_owned(),
        ..item.clone()
    };
    match world {
        World::Nothing => Some(Vec::new()),
        World::Ours => Some(vec![original.clone()]),
        World::OursMoving => in_state(&subject.moving),
        World::OursLeaving => in_state(&subject.leaving),
        World::OursStuck => in_state(&subject.stuck),
        World::OursElsewhere => subject.has_project().then(|| {
            vec![Item {
                is_elsewhere: true,
                ..original.clone()
            }]
        }),
        World::Unmarked => has_marker.then(|| vec![unmarked]),
        World::UnmarkedTwin => {
            (has_marker && subject.can_have_twins()).then(|| vec![twin(&unmarked)])
        }
        World::OtherOwners => (has_marker && subject.can_have_twins()).then(|| {
            let other = Owner(Uuid::from_u128(owner.0.as_u128() ^ (1 << 127) ^ 1));
            vec![Item {
                marker: Some(other.marker(&subject.key(), 9).to_string()),
                ..twin(original)
            }]
        }),
        World::Two => {
            (has_marker && subject.can_have_twins()).then(|| vec![original.clone(), twin(original)])
        }
    }
}

/// Is it ours, by what it carries?
pub fn is_ours(subject: &Subject, item: &Item, owner: Owner) -> bool {
    let uid = owner.uid(&subject.key());
    match subject.kind.marker() {
        MarkerPlace::NaturalKey => !item.is_elsewhere,
        _ => {
            let marker = item.marker.as_deref().and_then(Marker::parse);
            !item.is_elsewhere && marker.is_some_and(|it| it.uid == uid)
        }
    }
}

/// No list shows it, and the journal does not have its id.
fn is_unknowable(cell: Cell) -> bool {
    cell.view == View::LeavesItOut
        && matches!(
            cell.memory,
            Memory::Nothing
                | Memory::IntentNow
                | Memory::IntentLongAgo
                | Memory::GivenUp
                | Memory::OtherId
        )
}

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    Create,
    Adopt,
    Delete,
    Change,
}

/// What the specification says against a deed in a state of the world, if anything.
pub fn objection(
    subject: &Subject,
    cell: Cell,
    deed: Deed,
    truth: &[Item],
    target: Option<&Item>,
    owner: Owner,
) -> Option<&'static str> {
    if cell.word.forbids() {
        return Some("nothing may be written");
    }
    let ours = truth
        .iter()
        .filter(|it| is_ours(subject, it, owner))
        .count();
    // What is left out of the lists while it is being deleted is as good as gone (SOFT_DELETED).
    let is_going = |it: &&Item| it.is_hidden && it.state.is_some() && it.state == subject.leaving;
    let serving = ours - truth.iter().filter(is_going).count();
    let target_is_ours = target.is_some_and(|it| is_ours(subject, it, owner));
    let natural = subject.kind.marker() == MarkerPlace::NaturalKey;
    let husk = target.is_some_and(|it| it.state.is_some()) && subject.kind.name() == "Image";
    let recreates = cell.word == Word::DeclaredRecreate
        && target.is_some_and(|it| it.state.is_some() && it.state == subject.stuck)
        && !subject.kind.holds_data();
    match deed {
        _ if cell.view == View::Fails => Some("nothing was seen"),
        Deed::Create if !cell.word.declares() => Some("nobody declares it"),
        // What neither a list nor the journal knows of cannot be known. It is found when it shows,
        // and then both are left alone.
        Deed::Create if serving > 0 && !is_unknowable(cell) => Some("it is there"),
        Deed::Create if cell.view == View::HasNonsense => Some("a list was not understood"),
        Deed::Adopt if cell.word != Word::DeclaredAdopt => Some("nobody consented"),
        Deed::Adopt => match target {
            Some(it) if it.marker.is_none() && !it.is_elsewhere && truth.len() == 1 => None,
            _ => Some("that is not what the consent is about"),
        },
        Deed::Delete | Deed::Change if !target_is_ours => Some("it is not ours"),
        Deed::Delete | Deed::Change if ours > 1 => Some("there are several"),
        Deed::Delete if husk || recreates => None,
        Deed::Delete if cell.word.declares() => Some("it is declared"),
        Deed::Delete if cell.memory == Memory::Protected => Some("it is protected"),
        Deed::Delete if cell.memory == Memory::Detached => Some("it is to be let go"),
        Deed::Delete
            if matches!(cell.word, Word::GonePruneOff | Word::GoneConfirm)
                && cell.memory != Memory::Approved =>
        {
            Some("nobody approved it")
        }
        Deed::Delete if natural && !matches!(cell.memory, Memory::Made | Memory::Approved) => {
            Some("it was not made here")
        }
        Deed::Delete if cell.memory == Memory::Nothing => Some("it is not known"),
        _ => None,
    }
}
