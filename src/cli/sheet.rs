//! The daemon's tables as tables of the command line: rows of one or several resources, in columns that
//! they share, all at once or as they come.

use serde_json::Value;

use super::output::{List, Row};
use super::resources::{Resource, short};
use super::standing::clean;

/// Rows with the same columns.
#[derive(Debug)]
pub(super) struct Sheet {
    columns: Vec<Column>,
    rows: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    wide: bool,
    /// It has the object's name.
    is_name: bool,
}

/// One object.
#[derive(Debug)]
struct Line {
    kind: String,
    metadata: Value,
    cells: Vec<String>,
}

/// What stands beside the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Beside {
    /// Objects are of several namespaces.
    pub(super) namespace: bool,
    /// Objects are of several kinds.
    pub(super) kind: bool,
}

impl Sheet {
    /// What a table of the API says, in its order.
    pub(super) fn of(resource: &Resource, table: &Value) -> Self {
        let list = |field: &str| table[field].as_array().into_iter().flatten();
        let columns = list("columnDefinitions").map(|it| Column {
            name: it["name"].as_str().unwrap_or_default().to_uppercase(),
            wide: it["priority"].as_u64() != Some(0),
            is_name: it["format"] == "name",
        });
        let rows = list("rows").map(|row| Line {
            kind: resource.kind.clone(),
            metadata: row["object"]["metadata"].clone(),
            cells: row["cells"]
                .as_array()
                .into_iter()
                .flatten()
                .map(cell)
                .collect(),
        });
        Self {
            columns: columns.collect(),
            rows: rows.collect(),
        }
    }

    /// Is there nothing in it?
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes the rows of another one over, if it has the same columns.
    pub(super) fn take(&mut self, other: Self) -> Result<(), Self> {
        if self.columns != other.columns {
            return Err(other);
        }
        self.rows.extend(other.rows);
        Ok(())
    }

    fn columns(&self, beside: Beside) -> Vec<(&str, bool)> {
        let namespace = beside.namespace.then_some(("NAMESPACE", false));
        let own = self.columns.iter().map(|it| (it.name.as_str(), it.wide));
        namespace.into_iter().chain(own).collect()
    }

    fn rows(&self, beside: Beside) -> Vec<Row> {
        let row = |line: &Line| {
            let namespace = line.metadata["namespace"].as_str().unwrap_or("-");
            let mut cells = Vec::new();
            if beside.namespace {
                cells.push(namespace.to_owned());
            }
            for (column, cell) in self.columns.iter().zip(&line.cells) {
                cells.push(match column.is_name && beside.kind {
                    true => format!("{}/{cell}", line.kind),
                    false => cell.clone(),
                });
            }
            Row {
                name: short(&line.kind, &line.metadata),
                cells,
            }
        };
        self.rows.iter().map(row).collect()
    }

    /// All of it, as the output module wants it.
    pub(super) fn text(&self, beside: Beside, form: super::output::Form) -> anyhow::Result<String> {
        let columns = self.columns(beside);
        let list = List {
            columns: &columns,
            rows: self.rows(beside),
            document: Value::Null,
            summary: String::new(),
        };
        list.text(form)
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A table whose rows come one after another: columns only ever become wider.
#[derive(Debug, Default)]
pub(super) struct Growing {
    widths: Vec<usize>,
}

impl Growing {
    /// The next rows; the first ones with the names of the columns above them.
    pub(super) fn text(&mut self, sheet: &Sheet, beside: Beside, wide: bool) -> String {
        let columns = sheet.columns(beside);
        let shown: Vec<usize> = (0..columns.len())
            .filter(|at| wide || !columns[*at].1)
            .collect();
        let mut lines: Vec<Vec<String>> = Vec::new();
        if self.widths.is_empty() {
            lines.push(shown.iter().map(|at| columns[*at].0.to_owned()).collect());
            self.widths = vec![0; shown.len()];
        }
        for row in sheet.rows(beside) {
            let cell = |at: &usize| row.cells.get(*at).map(|it| clean(it)).unwrap_or_default();
            lines.push(shown.iter().map(cell).collect());
        }
        for line in &lines {
            for (width, cell) in self.widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let text = |line: Vec<String>| {
            let padded = line
                .iter()
                .zip(&self.widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            let whole = padded.collect::<Vec<String>>().join("  ");
            format!("{}\n", whole.trim_end())
        };
        lines.into_iter().map(text).collect()
    }
}
