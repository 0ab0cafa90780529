//! The abstract states: what is declared, what the journal says, what the cloud holds and shows.
//! What may be done in them is said in `law`.

use jiff::Timestamp;
use serde_json::{Value, json};
use stackward::engine::journal::{Attempt, Record};
use stackward::engine::scope::Scope;
use stackward::kinds::field::Class;
use stackward::kinds::marker::{Marker, Owner};
use uuid::Uuid;

use super::sim::SCOPE;
use super::subject::{Item, Subject};

/// The ids of one more resource, of those that are made, and of one that is nowhere.
pub const TWIN: &str = "11111111-1111-4111-8111-111111111111";
pub const MADE: &str = "22222222-2222-4222-8222-222222222222";
pub const NOWHERE: &str = "33333333-3333-4333-8333-333333333333";

/// An enum that knows its values and their names.
macro_rules! dimension {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $value:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$of])* $value),* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$value),*];
        }
    };
}

dimension! {
    /// What a person says.
    Word {
        Declared,
        DeclaredAdopt,
        /// With every leave there is, and protected.
        DeclaredProtected,
        DeclaredRecreate,
        DeclaredReplace,
        DeclaredLoseData,
        DeclaredReplaceLoseData,
        DeclaredCreateFirst,
        DeclaredNoDisrupt,
        DeclaredSuspended,
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
}

dimension! {
    /// What the journal says of the object.
    Memory {
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
}

dimension! {
    /// What there is.
    World {
        Nothing,
        Ours,
        /// It differs from the manifest in a field of this class.
        OursUpdate,
        OursAction,
        OursMembers,
        OursDisrupt,
        OursLose,
        OursReplace,
        /// It differs, and nothing that is asked of the cloud changes anything.
        OursStays,
        OursMoving,
        OursLeaving,
        OursStuck,
        OursElsewhere,
        Unmarked,
        UnmarkedTwin,
        OtherOwners,
        Two,
    }
}

dimension! {
    /// What the list shows of it.
    View { True, LeavesItOut, Fails, HasNonsense }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub word: Word,
    pub memory: Memory,
    pub world: World,
    pub view: View,
}

/// Every state that a resource of this kind can be in.
pub fn cells(subject: &Subject, owner: Owner) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &world in World::ALL {
        if items(subject, world, owner).is_none() {
            continue;
        }
        for &word in Word::ALL {
            if word == Word::DeclaredAdopt && !subject.kind.adoptable() {
                continue;
            }
            for &memory in Memory::ALL {
                // An id that is nowhere cannot be told from one that was made of the same parts.
                if memory == Memory::OtherId && !subject.can_have_twins() {
                    continue;
                }
                for &view in View::ALL {
                    if is_of_interest(word, world, view) {
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
    }
    cells
}

/// What is left out has to be there first; what is not shown at all need not be there in all its
/// forms; where nothing may be written whatever is seen, what is seen is the truth; and leave to change
/// or replace is given where there is something to change or replace, or nothing, or nothing to do.
fn is_of_interest(word: Word, world: World, view: View) -> bool {
    let is_plain = !word.forbids() && !word.is_leave();
    match view {
        View::True => !word.is_leave() || world.differs() || world.is_plain(),
        View::LeavesItOut => world != World::Nothing && !world.differs() && is_plain,
        View::Fails | View::HasNonsense => {
            matches!(world, World::Nothing | World::Ours) && is_plain
        }
    }
}

impl World {
    /// Does what is there differ from what is declared?
    pub fn differs(self) -> bool {
        self.class().is_some() || self == Self::OursStays
    }

    /// Nothing, or all as it should be, or broken.
    fn is_plain(self) -> bool {
        matches!(self, Self::Nothing | Self::Ours | Self::OursStuck)
    }

    fn class(self) -> Option<Class> {
        match self {
            Self::OursUpdate => Some(Class::Update),
            Self::OursAction => Some(Class::Action),
            Self::OursMembers => Some(Class::Members),
            Self::OursDisrupt => Some(Class::Disrupt),
            Self::OursLose => Some(Class::Lose),
            Self::OursReplace => Some(Class::Replace),
            _ => None,
        }
    }
}

impl Word {
    pub fn declares(self) -> bool {
        self < Self::Gone
    }

    /// It is leave for something, or takes leave away, that only matters where something differs.
    fn is_leave(self) -> bool {
        (Self::DeclaredReplace..=Self::DeclaredNoDisrupt).contains(&self)
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

    /// Policy and annotations of the manifest.
    pub fn policy(self) -> (Value, Value) {
        let policy = match self {
            Self::DeclaredAdopt => json!({"adopt": {"byName": true}}),
            Self::DeclaredSuspended => json!({"suspend": true}),
            Self::DeclaredRecreate => json!({"lifecycle": {"onError": "Recreate"}}),
            Self::DeclaredReplace => json!({"lifecycle": {"replace": "Allow"}}),
            Self::DeclaredLoseData => json!({"lifecycle": {"loseData": "Allow"}}),
            Self::DeclaredReplaceLoseData => {
                json!({"lifecycle": {"replace": "Allow", "loseData": "Allow"}})
            }
            Self::DeclaredCreateFirst => {
                json!({"lifecycle": {"replace": "CreateFirst", "loseData": "Allow"}})
            }
            Self::DeclaredNoDisrupt => json!({"lifecycle": {"disrupt": "Deny"}}),
            Self::DeclaredProtected => json!({"lifecycle":
                {"replace": "Allow", "loseData": "Allow", "onError": "Recreate"}}),
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
        Memory::Made
        | Memory::Adopted
        | Memory::Protected
        | Memory::Detached
        | Memory::Approved => record.id = Some(subject.original.id.clone()),
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
    let differing = |class: Class| {
        let is_there = subject.differing.contains_key(&class);
        is_there.then(|| Item {
            differs: Some(class),
            ..original.clone()
        })
    };
    let has_marker = original.marker.is_some();
    let can_have_two = has_marker && subject.can_have_twins();
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
        World::OursStays => {
            let item = differing(Class::Update).or_else(|| differing(Class::Replace))?;
            Some(vec![Item {
                is_stubborn: true,
                ..item
            }])
        }
        World::Unmarked => has_marker.then(|| vec![unmarked]),
        World::UnmarkedTwin => can_have_two.then(|| vec![twin(&unmarked)]),
        World::OtherOwners => can_have_two.then(|| {
            let other = Owner(Uuid::from_u128(owner.0.as_u128() ^ (1 << 127) ^ 1));
            vec![Item {
                marker: Some(other.marker(&subject.key(), 9).to_string()),
                ..twin(original)
            }]
        }),
        World::Two => can_have_two.then(|| vec![original.clone(), twin(original)]),
        World::OursUpdate
        | World::OursAction
        | World::OursMembers
        | World::OursDisrupt
        | World::OursLose
        | World::OursReplace => Some(vec![differing(world.class()?)?]),
    }
}
