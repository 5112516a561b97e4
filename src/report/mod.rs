//! Texts for people and JSON for programs: plans, adapters, optimizers, comparisons of runs, reference pages. The caller
//! prints them.

mod adapters;
mod columns;
mod compare;
mod explain;
mod init;
mod inspect;
mod lr_find;
mod optimizers;
mod page;
mod plot;
mod profile;
mod reference;
mod runs;
mod schedules;
mod sweep;

pub use adapters::{adapter_json, adapter_table};
pub use columns::{column_remarks, columns_text};
pub use compare::{
    CompareOptions, Comparison, Length, MetricParting, Weighing, WeightParting, compare_json, compare_text,
};
pub use explain::{explain_json, explain_text};
pub use init::init_text;
pub use inspect::{inspect_rows, inspect_text};
pub use lr_find::{lr_find_csv, lr_find_figure, lr_find_json, lr_find_text};
pub use optimizers::{optimizers_page, optimizers_text};
pub use page::{Plotted, RunRecord, Verdict, plotted, several_page, single_page, sweep_page};
pub use profile::{profile_json, profile_text};
pub use reference::{Page, pages as reference_pages, tables as reference_tables};
pub use runs::{RunTable, runs_csv, runs_json, runs_text};
pub use schedules::schedules_page;
pub use sweep::{Setting, ends as sweep_ends, settings as sweep_settings, sweep_json, sweep_text};

/// Rows of cells as lines of aligned columns: left where `left` says so, else right.
fn align(rows: &[Vec<String>], left: &[bool]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (c, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[c] - cell.chars().count());
            line.push(' ');
            if left.get(c).copied().unwrap_or(false) {
                line.push_str(cell);
                line.push_str(&pad);
            } else {
                line.push_str(&pad);
                line.push_str(cell);
            }
            line.push(' ');
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
