//! `-o`: one answer in the form that its reader wants. Every command that lists something uses it.
//!
//! What is in the answer is the command's; this only turns rows and a document into text.

use anyhow::Context as _;
use serde_json::Value;

use super::standing::clean;
use super::table;

/// Form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// For people
    Table,
    /// For people, with everything that fits into a line
    Wide,
    /// For programs: everything that is known
    Json,
    /// The same as YAML
    Yaml,
    /// Names only, one per line: for xargs
    Name,
}

/// The choice of a form, as every command takes it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Output {
    /// Form of the answer: table, wide, json, yaml or name
    #[arg(
        long = "output",
        short = 'o',
        value_name = "FORM",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) form: Form,
}

/// A list: its columns, its rows, and the same as a document for programs.
pub(super) struct List<'a> {
    /// The columns; the second of a pair says that `wide` alone shows it.
    pub(super) columns: &'a [(&'a str, bool)],
    /// The rows, with a cell for each column.
    pub(super) rows: Vec<Row>,
    /// Everything that is known, for `json` and `yaml`.
    pub(super) document: Value,
    /// What follows the table.
    pub(super) summary: String,
}

/// One thing of a list.
pub(super) struct Row {
    /// What `-o name` prints.
    pub(super) name: String,
    /// What stands in each column.
    pub(super) cells: Vec<String>,
}

impl List<'_> {
    /// The text of the list.
    pub(super) fn text(&self, form: Form) -> anyhow::Result<String> {
        match form {
            Form::Table | Form::Wide => Ok(self.table(form == Form::Wide) + &self.summary),
            Form::Name => Ok(names(self.rows.iter().map(|row| row.name.as_str()))),
            Form::Json | Form::Yaml => document(&self.document, form),
        }
    }

    fn table(&self, wide: bool) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let shown = |index: &usize| wide || !self.columns[*index].1;
        let columns: Vec<usize> = (0..self.columns.len()).filter(shown).collect();
        let mut table = table::table(columns.iter().map(|index| self.columns[*index].0));
        for row in &self.rows {
            let cells = columns.iter().map(|index| {
                let cell = row.cells.get(*index).map(|cell| clean(cell));
                cell.unwrap_or_default()
            });
            let _: &mut comfy_table::Table = table.add_row(cells);
        }
        table::text(&table)
    }
}

/// Names, one per line.
pub(super) fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("{}\n", clean(name))).collect()
}

/// A document for programs: `json`, or else YAML.
pub(super) fn document(document: &Value, form: Form) -> anyhow::Result<String> {
    if form == Form::Json {
        return Ok(serde_json::to_string_pretty(document)? + "\n");
    }
    serde_saphyr::to_string(document).context("cannot write YAML")
}

/// Writes an answer to stdout. Who reads it may have gone away: that is no fault of ours.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list() -> List<'static> {
        List {
            columns: &[("NAME", false), ("ID", true), ("STATE", false)],
            rows: vec![Row {
                name: "Volume/a".to_owned(),
                cells: vec!["a".to_owned(), "42".to_owned(), "in\u{1b}[2Juse".to_owned()],
            }],
            document: json!([{"name": "a", "size": 1}]),
            summary: "\n1 volume.\n".to_owned(),
        }
    }

    #[test]
    fn one_list_has_five_forms() {
        let text = |form| list().text(form).unwrap();
        assert_eq!(
            text(Form::Table),
            "NAME  STATE\na     in [2Juse\n\n1 volume.\n"
        );
        assert_eq!(
            text(Form::Wide),
            "NAME  ID  STATE\na     42  in [2Juse\n\n1 volume.\n"
        );
        assert_eq!(text(Form::Name), "Volume/a\n");
        let back: Value = serde_json::from_str(&text(Form::Json)).unwrap();
        assert_eq!(back, list().document);
        let back: Value = serde_saphyr::from_str(&text(Form::Yaml)).unwrap();
        assert_eq!(back, list().document);
    }

    #[test]
    fn an_empty_list_has_no_head() {
        let empty = List {
            rows: Vec::new(),
            ..list()
        };
        assert_eq!(empty.text(Form::Table).unwrap(), "\n1 volume.\n");
        assert_eq!(empty.text(Form::Name).unwrap(), "");
    }
}
