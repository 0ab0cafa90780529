//! The table: kinds and fields down, what happened to them across. A cell holds, failed, or says
//! why there is nothing to try; an empty one is an error.

use std::collections::BTreeMap;
use std::fmt;

use stackward::kinds::KINDS;
use stackward::kinds::field::Class;

use crate::subject::Subject;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Create,
    Rest,
    Change,
    Back,
    Unset,
    Drift,
    Refused,
    Replaced,
    Detach,
    Import,
    Adopt,
    Gone,
    Delete,
}

pub(crate) const COLUMNS: [Column; 13] = [
    Column::Create,
    Column::Rest,
    Column::Change,
    Column::Back,
    Column::Unset,
    Column::Drift,
    Column::Refused,
    Column::Replaced,
    Column::Detach,
    Column::Import,
    Column::Adopt,
    Column::Gone,
    Column::Delete,
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// It was tried and held.
    Holds,
    /// There is nothing to try.
    Without(String),
    /// It was tried and is not so.
    Fails(String),
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    /// By kind, field and subject: a field that several subjects have is shown once.
    cells: BTreeMap<(String, String), BTreeMap<Column, BTreeMap<String, Cell>>>,
    /// Kinds that were not played.
    left_out: BTreeMap<String, String>,
    /// All that have a row.
    rows: Vec<(String, String, Class)>,
}

impl Table {
    /// A table of the kinds of these subjects.
    pub(crate) fn of(subjects: &[Subject]) -> Self {
        let played = |kind: &str| subjects.iter().any(|subject| subject.kind == kind);
        let rows = KINDS
            .iter()
            .filter(|kind| played(kind.name()))
            .flat_map(|kind| {
                let rows = kind.rows().into_iter();
                rows.map(|row| (kind.name().to_owned(), row.name.to_owned(), row.class))
            });
        Self {
            rows: rows.collect(),
            ..Self::default()
        }
    }

    /// Notes what came out. A failure is never overwritten.
    pub(crate) fn note(&mut self, subject: &Subject, field: &str, column: Column, cell: Cell) {
        let row = (subject.kind.clone(), field.to_owned());
        let cells = self
            .cells
            .entry(row)
            .or_default()
            .entry(column)
            .or_default();
        let old = cells.get(&subject.file);
        if !matches!(old, Some(Cell::Fails(_))) {
            cells.insert(subject.file.clone(), cell);
        }
    }

    /// A kind that this cloud does not serve.
    pub(crate) fn leave_out(&mut self, subject: &Subject) {
        let why = subject.sandbox_only.clone().unwrap_or_default();
        self.left_out.insert(subject.kind.clone(), why);
    }

    fn cell(&self, kind: &str, field: &str, column: Column) -> Option<Cell> {
        let cells = self.cells.get(&(kind.to_owned(), field.to_owned()))?;
        let cells = cells.get(&column)?;
        let rank = |cell: &&Cell| match cell {
            Cell::Fails(_) => 0,
            Cell::Holds => 1,
            Cell::Without(_) => 2,
        };
        cells.values().min_by_key(rank).cloned()
    }

    /// Every cell that fails or is empty, in words.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (kind, field, _) in &self.rows {
            for column in COLUMNS {
                match self.cell(kind, field, column) {
                    None => wrong.push(format!("{kind}.{field} {column:?}: empty")),
                    Some(Cell::Fails(why)) => {
                        wrong.push(format!("{kind}.{field} {column:?}: {why}"));
                    }
                    Some(Cell::Holds | Cell::Without(_)) => {}
                }
            }
        }
        wrong
    }
}

/// The fields that no subject has, in words, and those that no kind has.
pub(crate) fn missing(subjects: &[Subject]) -> Vec<String> {
    let mut missing = Vec::new();
    for kind in KINDS {
        let of_kind: Vec<&Subject> = subjects
            .iter()
            .filter(|subject| subject.kind == kind.name())
            .collect();
        let rows = kind.rows();
        for row in &rows {
            if !of_kind.iter().any(|it| it.fields.contains_key(row.name)) {
                missing.push(format!("{}.{} is in no table", kind.name(), row.name));
            }
        }
        for subject in of_kind {
            for field in subject.fields.keys() {
                if !rows.iter().any(|row| row.name == field) {
                    missing.push(format!("{}: {field} is no field", subject.file));
                }
            }
        }
    }
    missing
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: Vec<String> = Vec::new();
        let width = self
            .rows
            .iter()
            .map(|(kind, field, _)| kind.len() + field.len() + 1)
            .max()
            .unwrap_or(10);
        write!(f, "{:width$}  {:8}", "", "class")?;
        for column in COLUMNS {
            write!(f, " {:8}", format!("{column:?}").to_lowercase())?;
        }
        writeln!(f)?;
        let (mut held, mut without) = (0, 0);
        for (kind, field, class) in &self.rows {
            write!(
                f,
                "{:width$}  {:8}",
                format!("{kind}.{field}"),
                format!("{class:?}").to_lowercase()
            )?;
            for column in COLUMNS {
                let text = match self.cell(kind, field, column) {
                    None => "EMPTY".to_owned(),
                    Some(Cell::Fails(_)) => "FAILS".to_owned(),
                    Some(Cell::Holds) => {
                        held += 1;
                        "yes".to_owned()
                    }
                    Some(Cell::Without(why)) => {
                        without += 1;
                        let known = reasons.iter().position(|it| *it == why);
                        let place = known.unwrap_or_else(|| {
                            reasons.push(why);
                            reasons.len() - 1
                        });
                        format!("({})", place + 1)
                    }
                };
                write!(f, " {text:8}")?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "\n{} rows, {held} cells tried, {without} with nothing to try:",
            self.rows.len()
        )?;
        for (index, reason) in reasons.iter().enumerate() {
            writeln!(f, "({}) {reason}", index + 1)?;
        }
        for (kind, why) in &self.left_out {
            writeln!(f, "{kind} is not played here: {why}")?;
        }
        Ok(())
    }
}
