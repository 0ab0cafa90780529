//! The checker can fail: what is done in one state and judged by the laws of another is objected to, a
//! cloud in which somebody works against the daemon has no fixpoint, and the table does not forgive.

use stackward::kinds::field::Class;

use super::cell::{Cell, MADE, Memory, TWIN, View, Word, World};
use super::law::{Case, Deed};
use super::play::{Foe, Outcome, Plant, play_with};
use super::subject::{Item, Subject};
use super::table::differences;
use super::{declared, owner, subjects};

const PLAIN: Cell = Cell {
    word: Word::Declared,
    memory: Memory::Made,
    world: World::Ours,
    view: View::True,
};

fn subject(kind: &str) -> Subject {
    subjects(kind, owner()).remove(0)
}

fn outcome(subject: &Subject, cell: Cell, judged: Cell, foe: Foe) -> Outcome {
    let plant = Plant { judged, foe };
    play_with(plant, subject, cell, &declared(subject, cell.word), owner())
}

/// A state, another one by whose laws it is judged, and what is said against that.
type Wrong = (Cell, Cell, &'static str);

/// Each of these is right in its own state, and wrong in the other.
fn expect(kind: &str, wrongs: &[Wrong]) {
    let subject = subject(kind);
    for (cell, judged, why) in wrongs {
        let right = outcome(&subject, *cell, *cell, Foe::Nobody);
        assert!(!right.deeds.is_empty(), "{kind} {cell:?}: nothing is done");
        assert_eq!(right.faults, Vec::<String>::new(), "{kind} {cell:?}");
        let wrong = outcome(&subject, *cell, *judged, Foe::Nobody);
        let is_said = wrong.faults.iter().any(|it| it.ends_with(why));
        assert!(is_said, "{kind} {cell:?} as {judged:?}: {:?}", wrong.faults);
    }
}

#[test]
fn what_is_right_in_one_state_is_objected_to_in_another() {
    let with = |change: fn(&mut Cell)| {
        move |mut cell: Cell| {
            change(&mut cell);
            cell
        }
    };
    let nothing = with(|it| (it.memory, it.world) = (Memory::Nothing, World::Nothing))(PLAIN);
    let hidden = with(|it| (it.memory, it.view) = (Memory::Nothing, View::LeavesItOut))(PLAIN);
    let taken = with(|it| {
        (it.word, it.memory, it.world) = (Word::DeclaredAdopt, Memory::Nothing, World::Unmarked);
    })(PLAIN);
    let gone = with(|it| it.word = Word::Gone)(PLAIN);
    let replaced = with(|it| {
        (it.word, it.world) = (Word::DeclaredReplace, World::OursReplace);
    })(PLAIN);
    let succeeded = with(|it| it.word = Word::DeclaredCreateFirst)(replaced);
    let of = |cell: Cell, change: fn(&mut Cell), why| {
        let mut judged = cell;
        change(&mut judged);
        (cell, judged, why)
    };
    expect(
        "Network",
        &[
            of(
                nothing,
                |it| it.word = Word::DeclaredPaused,
                "nothing may be written",
            ),
            of(nothing, |it| it.view = View::Fails, "nothing was seen"),
            of(nothing, |it| it.word = Word::Gone, "nobody declares it"),
            of(
                nothing,
                |it| it.view = View::HasNonsense,
                "a list was not understood",
            ),
            of(hidden, |it| it.memory = Memory::Made, "it is there"),
            of(taken, |it| it.word = Word::Declared, "nobody consented"),
            of(gone, |it| it.word = Word::Declared, "it is declared"),
            of(
                gone,
                |it| it.word = Word::GonePruneOff,
                "nobody approved it",
            ),
            of(gone, |it| it.word = Word::GoneConfirm, "nobody approved it"),
            of(
                gone,
                |it| it.word = Word::GoneEmpty,
                "nothing may be written",
            ),
            of(gone, |it| it.memory = Memory::Protected, "it is protected"),
            of(
                gone,
                |it| it.memory = Memory::Detached,
                "it is to be let go",
            ),
            of(gone, |it| it.memory = Memory::Nothing, "it is not known"),
            of(replaced, |it| it.word = Word::Declared, "it is declared"),
            of(
                replaced,
                |it| it.word = Word::DeclaredProtected,
                "it is protected",
            ),
            of(
                succeeded,
                |it| it.word = Word::DeclaredReplace,
                "it is there",
            ),
        ],
    );
    let changed = with(|it| {
        (it.word, it.memory, it.world) = (Word::DeclaredAdopt, Memory::Nothing, World::OursUpdate);
    })(PLAIN);
    expect(
        "Role",
        &[
            of(
                gone,
                |it| it.memory = Memory::Adopted,
                "it was not made here",
            ),
            of(changed, |it| it.word = Word::Declared, "it is not ours"),
        ],
    );
    let interrupted = with(|it| it.world = World::OursDisrupt)(PLAIN);
    let lost = with(|it| (it.word, it.world) = (Word::DeclaredLoseData, World::OursLose))(PLAIN);
    let broken = with(|it| (it.word, it.world) = (Word::DeclaredRecreate, World::OursStuck))(PLAIN);
    expect(
        "Server",
        &[
            of(
                interrupted,
                |it| it.word = Word::DeclaredNoDisrupt,
                "it may not be interrupted",
            ),
            of(
                lost,
                |it| it.word = Word::Declared,
                "its data may not be lost",
            ),
            of(broken, |it| it.word = Word::Declared, "it is declared"),
        ],
    );
}

#[test]
fn what_the_engine_never_does_is_objected_to_as_well() {
    let (network, role) = (subject("Network"), subject("Role"));
    let against = |subject, cell, truth: &[Item], deed, target: Option<usize>| {
        let case = Case {
            subject,
            cell,
            owner: owner(),
            truth,
        };
        case.objection(deed, target.map(|index| &truth[index]))
    };
    let ours = network.original.clone();
    let twin = Item {
        id: TWIN.to_owned(),
        ..ours.clone()
    };
    let differing = |class| Item {
        differs: Some(class),
        ..ours.clone()
    };
    let elsewhere = Item {
        is_elsewhere: true,
        ..ours.clone()
    };
    let gone = Cell {
        word: Word::Gone,
        ..PLAIN
    };
    let two = [ours.clone(), twin];
    assert_eq!(
        against(&network, gone, &two, Deed::Delete, Some(0)),
        Some("there are several")
    );
    assert_eq!(
        against(&network, gone, &[elsewhere], Deed::Delete, Some(0)),
        Some("it is not ours")
    );
    assert_eq!(
        against(&network, gone, &two[..1], Deed::Delete, None),
        Some("it is not there")
    );
    assert_eq!(
        against(&network, PLAIN, &two[..1], Deed::Change, Some(0)),
        Some("nothing differs")
    );
    assert_eq!(
        against(
            &network,
            PLAIN,
            &[differing(Class::Replace)],
            Deed::Change,
            Some(0)
        ),
        Some("only a new one can have that")
    );
    assert_eq!(
        against(
            &network,
            PLAIN,
            &[differing(Class::Update)],
            Deed::Change,
            Some(0)
        ),
        None
    );
    let adopted = Cell {
        word: Word::DeclaredAdopt,
        memory: Memory::Nothing,
        ..PLAIN
    };
    assert_eq!(
        against(&network, adopted, &two[..1], Deed::Adopt, Some(0)),
        Some("that is not what the consent is about")
    );
    let strange = Item {
        differs: Some(Class::Update),
        ..role.original.clone()
    };
    let unknown = Cell {
        memory: Memory::Nothing,
        ..PLAIN
    };
    assert_eq!(
        against(&role, unknown, &[strange], Deed::Create, None),
        Some("its name is taken")
    );
    let made = Item {
        id: MADE.to_owned(),
        ..differing(Class::Update)
    };
    assert_eq!(
        against(&network, PLAIN, &[made], Deed::Change, Some(0)),
        None
    );
}

#[test]
fn what_comes_to_no_rest_is_a_fault() {
    let network = subject("Network");
    let faults = |world, foe| {
        let cell = Cell { world, ..PLAIN };
        outcome(&network, cell, cell, foe).faults
    };
    let reverted = faults(World::OursUpdate, Foe::Reverts);
    assert!(reverted.iter().any(|it| it == "a cycle"), "{reverted:?}");
    let removed = faults(World::Nothing, Foe::Removes);
    let is_endless = |it: &String| it.starts_with("no fixpoint within");
    assert!(removed.iter().any(is_endless), "{removed:?}");
}

#[test]
fn the_table_forgives_neither_more_nor_less() {
    let allowed = "Gone Ours  .  d\nGone Two  .  .\n";
    assert_eq!(differences(allowed, allowed), Vec::<String>::new());
    let wider = differences("Gone Ours  d  d\nGone Two  .  .\n", allowed);
    assert_eq!(
        wider,
        [
            "done, not allowed: Gone Ours  d  d",
            "allowed, not done: Gone Ours  .  d"
        ]
    );
    let narrower = differences("Gone Ours  .  d\n", allowed);
    assert_eq!(narrower, ["allowed, not done: Gone Two  .  ."]);
}
