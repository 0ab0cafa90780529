//! What is written in which state, as a text for a person to read: `cells.txt`.

use std::collections::{BTreeMap, BTreeSet};

use stackward::kinds::MarkerPlace;

use super::cell::{Cell, Memory, View, Word, World};
use super::law::Deed;
use super::{Findings, Subject};

const HEAD: &str = "\
# What is written in which state of the world, kind by kind: all that is not here writes nothing.
#
# c create, a adopt, d delete, u change, o disable before a deletion; in this order, one letter for each
# that the cloud carries out; `.` is nothing, `-` is no state of these kinds. The columns are what the
# journal says, the rows what is declared, what there is, and what the list shows of it if not that.
# `UPDATE=1 cargo test --test model` writes this file; what every letter means to whom is then yours to
# judge: each one that is new is something that the program did not do before.
";

/// What is done in one row by one kind: of each memory, if that is a state of the kind.
type Row = Vec<Option<String>>;
/// Where: what is declared, what there is and what is shown.
type Place = (Word, World, View);

/// The table of all that was seen.
pub fn table(subjects: &[Subject], all: &[Findings]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n## In which fields they differ where they do\n\n");
    for subject in subjects {
        let ways: Vec<String> = subject
            .differing
            .iter()
            .map(|(class, it)| format!("{class:?} {}", it.field))
            .collect();
        let ways = match ways.is_empty() {
            true => "in none that the planner can see".to_owned(),
            false => ways.join(", "),
        };
        text.push_str(&format!("{}: {ways}\n", subject.kind.name()));
    }
    for (natural, title) in [
        (false, "Kinds with a marker"),
        (true, "Kinds with a natural key"),
    ] {
        let of_family = |it: &&Findings| {
            let subject = subjects
                .iter()
                .find(|subject| subject.kind.name() == it.name);
            let marker = subject.map(|subject| subject.kind.marker());
            (marker == Some(MarkerPlace::NaturalKey)) == natural
        };
        let family: Vec<&Findings> = all.iter().filter(of_family).collect();
        text.push_str(&format!("\n## {title}\n\n"));
        text.push_str(&format!("{:<44}", ""));
        for memory in Memory::ALL {
            text.push_str(&format!(" {memory:?}"));
        }
        text.push('\n');
        for (place, rows) in places(&family) {
            render(&mut text, place, rows);
        }
    }
    text
}

fn places<'a>(family: &[&'a Findings]) -> BTreeMap<Place, BTreeMap<&'a str, Row>> {
    let mut places: BTreeMap<Place, BTreeMap<&str, Row>> = BTreeMap::new();
    for findings in family {
        for (cell, deeds) in &findings.deeds {
            let Cell {
                word,
                memory,
                world,
                view,
            } = *cell;
            let row = places
                .entry((word, world, view))
                .or_default()
                .entry(findings.name)
                .or_insert_with(|| vec![None; Memory::ALL.len()]);
            row[memory as usize] = Some(deeds.iter().map(|it| letter(*it)).collect());
        }
    }
    places
}

fn letter(deed: Deed) -> char {
    match deed {
        Deed::Create => 'c',
        Deed::Adopt => 'a',
        Deed::Delete => 'd',
        Deed::Disable => 'o',
        Deed::Change => 'u',
    }
}

/// One line for the kinds that do the same.
fn render(text: &mut String, (word, world, view): Place, rows: BTreeMap<&str, Row>) {
    let many = rows.len();
    let mut groups: Vec<(Row, BTreeSet<&str>)> = Vec::new();
    for (name, row) in rows {
        // A memory that a kind cannot have is like any other.
        let is_like = |(other, _): &&mut (Row, BTreeSet<&str>)| {
            other.iter().zip(&row).all(|pair| match pair {
                (Some(one), Some(other)) => one == other,
                _ => true,
            })
        };
        match groups.iter_mut().find(is_like) {
            Some((group, names)) => {
                for (known, seen) in group.iter_mut().zip(row) {
                    *known = known.take().or(seen);
                }
                names.insert(name);
            }
            None => groups.push((row, BTreeSet::from([name]))),
        }
    }
    let writes = |row: &Row| row.iter().flatten().any(|it| !it.is_empty());
    if !groups.iter().any(|(row, _)| writes(row)) {
        return;
    }
    groups.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    for (index, (row, names)) in groups.iter().enumerate() {
        let names: Vec<&str> = names.iter().copied().collect();
        let who = match names.len() {
            some if some == many => "all".to_owned(),
            some if index == 0 && some > 3 => "the others".to_owned(),
            _ => names.join(" "),
        };
        let shown = match view {
            View::True => String::new(),
            view => format!(" {view:?}"),
        };
        let mut line = format!("{:<44}", format!("{word:?} {world:?}{shown}"));
        for (memory, deeds) in Memory::ALL.iter().zip(row) {
            let deeds = match deeds.as_deref() {
                None => "-",
                Some("") => ".",
                Some(deeds) => deeds,
            };
            let width = format!("{memory:?}").len();
            line.push_str(&format!(" {deeds:<width$}"));
        }
        text.push_str(&format!("{}  {who}\n", line.trim_end()));
    }
}

/// What is in one text and not in the other, both ways: what was done and is not allowed, and what is
/// allowed and was not done.
pub fn differences(seen: &str, allowed: &str) -> Vec<String> {
    let lines = |text: &'_ str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let (seen, allowed) = (lines(seen), lines(allowed));
    let done = seen
        .difference(&allowed)
        .map(|it| format!("done, not allowed: {it}"));
    let left = allowed
        .difference(&seen)
        .map(|it| format!("allowed, not done: {it}"));
    done.chain(left).collect()
}
