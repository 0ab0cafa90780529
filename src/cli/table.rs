//! Tables: aligned columns and nothing else, so that they can be read and cut alike.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

/// An empty table with these columns.
pub(super) fn table<'a>(columns: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    let _: &mut Table = table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.into_iter().collect::<Vec<&str>>());
    if let Some(first) = table.column_mut(0) {
        // Flush left with the other lines.
        let _: &mut comfy_table::Column = first.set_padding((0, 1));
    }
    table
}

/// A table's text without the blanks at the ends of its lines.
pub(super) fn text(table: &Table) -> String {
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}
