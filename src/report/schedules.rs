//! The page of schedules: equation, source and keys of each, from the table in code.

use std::fmt::Write;

use toml::{Table, Value};

use super::optimizers::{cells, shown};
use crate::optim::Schedule;

/// The head of the page.
const HEAD: &str = include_str!("schedules.head.md");
/// The URL of a class of `torch.optim.lr_scheduler` in PyTorch's documentation, without its name.
const TORCH: &str = "https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.";
/// A length that differs from every default: a key that takes it is as long as the run.
const LENGTH: u64 = 987_654_321;

/// The schedule `name` with these keys, resolved for a run of [`LENGTH`] steps.
fn resolved(name: &str, keys: &Table) -> Option<Table> {
    let mut table = keys.clone();
    table.insert("name".into(), name.into());
    let schedule: Schedule = table.try_into().ok()?;
    schedule.validate().ok()?;
    Table::try_from(schedule.resolve(LENGTH)).ok()
}

/// Each key of schedule `name` with its default, as `gamma = 0.1`.
fn keys(name: &str, example: &Table) -> Vec<String> {
    let Some(table) = resolved(name, example) else { return Vec::new() };
    let shown = |key: &&str| {
        let mut others = example.clone();
        let is_needed = others.remove(*key).is_some() && resolved(name, &others).is_none();
        match table.get(*key) {
            _ if is_needed => format!("`{key}`, required"),
            Some(Value::Integer(n)) if *n == LENGTH as i64 => format!("`{key}` = the length of the run"),
            Some(value) => format!("`{key} = {}`", shown(value)),
            None => format!("`{key}`, none"),
        }
    };
    Schedule::keys(name).unwrap_or_default().iter().map(shown).collect()
}

/// The page of schedules.
pub fn schedules_page() -> String {
    let mut out = format!("{}\n\n", HEAD.trim_end());
    out.push_str("| schedule | learning rate | source | keys and defaults |\n|---|---|---|---|\n");
    for name in Schedule::NAMES {
        let Some(about) = Schedule::about(name) else { continue };
        let torch =
            about.torch.map(|class| format!("[torch.optim.lr_scheduler.{class}]({TORCH}{class}.html)"));
        let source: Vec<String> = about.source.map(str::to_owned).into_iter().chain(torch).collect();
        let example = format!("v = {{ {} }}", about.example).parse::<Table>().unwrap_or_default();
        let example = example.get("v").and_then(Value::as_table).cloned().unwrap_or_default();
        let keys = keys(name, &example).join(", ");
        cells(&mut out, &[format!("`{name}`"), about.equation.to_owned(), source.join("; "), keys]);
    }
    let _ =
        writeln!(out, "\nA whole example:\n\n```toml\n[schedule]\nname = \"cosine\"\neta_min = 1e-5\n```");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every schedule has a row with each of its keys, and required keys are those of its example.
    #[test]
    fn every_key_of_every_schedule_has_its_default() {
        let page = schedules_page();
        for name in Schedule::NAMES {
            let row = page.lines().find(|row| row.starts_with(&format!("| `{name}` |"))).expect(name);
            for key in Schedule::keys(name).expect("keys") {
                assert!(row.contains(&format!("`{key}")), "{name}: {key} is not in {row}");
            }
            let about = Schedule::about(name).expect("a row of the table");
            assert!(about.source.is_some() || about.torch.is_some(), "{name} has no source");
        }
        for text in
            ["`step_size`, required, `gamma = 0.1`", "`t_max` = the length of the run", "`d_model`, none"]
        {
            assert!(page.contains(text), "{text} is not in {page}");
        }
    }
}
