//! A table of runs for a terminal, as wide as that is.

use toml::Value;

use super::RunTable;
use crate::report::align;
use crate::report::optimizers::shown;
use crate::run::{MetricSummary, RunSummary};
use crate::units;

/// Longest cell of a setting.
const LONGEST: usize = 24;
/// Settings that stay in a narrow terminal before the loss and the steps do.
const KEPT: usize = 2;

/// A column, and its rank: the highest is left out first.
struct Column {
    head: String,
    rank: usize,
    is_text: bool,
    cells: Vec<String>,
}

impl Column {
    fn new(head: impl Into<String>, rank: usize, is_text: bool, cells: Vec<String>) -> Column {
        Column { head: head.into(), rank, is_text, cells }
    }

    /// Characters that the column takes in a line.
    fn width(&self) -> usize {
        self.cells.iter().chain([&self.head]).map(|cell| cell.chars().count()).max().unwrap_or(0) + 2
    }
}

/// The table, with columns left out where it is wider than `width`; then the errors of runs that failed, and the files
/// that cannot be read.
pub fn runs_text(table: &RunTable, width: Option<usize>) -> String {
    let mut columns = columns(table);
    let mut left_out = Vec::new();
    let is_wide = |columns: &[Column]| {
        width.is_some_and(|most| 1 + columns.iter().map(Column::width).sum::<usize>() > most)
    };
    while is_wide(&columns) {
        let last = (0..columns.len()).max_by_key(|at| columns[*at].rank);
        let Some(last) = last.filter(|at| columns[*at].rank > 0) else { break };
        left_out.insert(0, columns.remove(last).head);
    }
    let head = columns.iter().map(|column| column.head.clone()).collect();
    let row = |at: usize| columns.iter().map(|column| column.cells[at].clone()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain((0..table.runs.len()).map(row)).collect();
    let is_text: Vec<bool> = columns.iter().map(|column| column.is_text).collect();
    let mut out = align(&rows, &is_text);
    if !left_out.is_empty() {
        let names = cut(&left_out.join(", "), 160);
        out += &format!("left out, for the terminal is narrow (--csv and --json have all): {names}\n");
    }
    for run in &table.runs {
        let (path, state) = (run.path.display(), run.state.name());
        if let Some(error) = &run.error {
            out += &format!("{state:<8} {path}: {}\n", first_line(error));
        }
        for fault in &run.faults {
            out += &format!("fault    {}\n", first_line(&fault.to_string()));
        }
    }
    out
}

fn columns(table: &RunTable) -> Vec<Column> {
    let each = |cell: &dyn Fn(&RunSummary) -> Option<String>| -> Vec<String> {
        table.runs.iter().map(|run| cell(run).unwrap_or_else(|| "-".into())).collect()
    };
    let of = |done: u64, total: Option<u64>| {
        Some(total.map_or_else(|| done.to_string(), |total| format!("{done}/{total}")))
    };
    let mut columns = vec![
        Column::new("run", 0, true, each(&|run| Some(run.path.display().to_string()))),
        Column::new("state", 0, true, each(&|run| Some(run.state.name().into()))),
        Column::new("epochs", 1, false, each(&|run| of(run.epochs, run.total_epochs))),
        Column::new("steps", 9 + KEPT, false, each(&|run| of(run.steps, run.total_steps))),
        Column::new("loss", 8 + KEPT, false, each(&|run| run.loss.map(number))),
    ];
    if let Some(name) = &table.metric {
        let of = |run: &RunSummary, value: fn(&MetricSummary) -> Option<String>| value(run.metric(name)?);
        let last = |metric: &MetricSummary| metric.last.map(number);
        let best = |metric: &MetricSummary| metric.best.map(|(value, _)| number(value));
        let epoch = |metric: &MetricSummary| metric.best.map(|(_, epoch)| epoch.to_string());
        columns.push(Column::new(name.as_str(), 7 + KEPT, false, each(&|run| of(run, last))));
        columns.push(Column::new(format!("best {name}"), 2, false, each(&|run| of(run, best))));
        columns.push(Column::new("in epoch", 3, false, each(&|run| of(run, epoch))));
    }
    columns.push(Column::new("time", 4, false, each(&|run| run.seconds.map(units::seconds))));
    // Of tiles a table has dozens; `compare` lists them.
    let few = table.settings.iter().filter(|(key, _)| !key.starts_with("tune.products."));
    for (at, (key, values)) in few.enumerate() {
        let rank = if at < KEPT { 5 + at } else { 10 + at };
        columns.push(Column::new(key.as_str(), rank, true, settings(values)));
    }
    columns
}

/// A number of a metric.
fn number(value: f64) -> String {
    match value.abs() {
        size if size == 0.0 || (1e-3..1e5).contains(&size) => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    }
}

/// The values of a setting, without the quotes of texts. Long ones begin where they differ.
fn settings(values: &[Option<Value>]) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Float(number) if number.abs() >= 1e6 => format!("{number:e}"),
        other => shown(other),
    };
    let texts: Vec<Option<String>> = values.iter().map(|value| value.as_ref().map(text)).collect();
    let mut first = 0;
    if texts.iter().flatten().any(|text| text.chars().count() > LONGEST) {
        let mut long = texts.iter().flatten();
        let shared = long.next().map_or("", String::as_str);
        let shared = long.fold(shared, |shared, text| {
            let same = shared.char_indices().zip(text.chars()).find(|((_, a), b)| a != b);
            &shared[..same.map_or(shared.len().min(text.len()), |((at, _), _)| at)]
        });
        // Back to the beginning of the entry that differs.
        first = shared.rfind([',', '{', '[', '/']).map_or(0, |at| at + 1);
    }
    let cell = |text: Option<String>| match text {
        None => "-".to_owned(),
        Some(text) if first == 0 => cut(&text, LONGEST),
        Some(text) => cut(&format!("..{}", text[first..].trim_start()), LONGEST),
    };
    texts.into_iter().map(cell).collect()
}

fn cut(text: &str, most: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(most) {
        None => text,
        Some(_) => text.chars().take(most - 2).chain("..".chars()).collect(),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunState;

    fn run(name: &str, settings: &str) -> RunSummary {
        let metric = MetricSummary { name: "eval_loss".into(), last: Some(0.25), best: Some((0.125, 3)) };
        RunSummary {
            path: name.into(),
            state: RunState::Finished,
            error: None,
            epochs: 4,
            total_epochs: Some(5),
            steps: 60,
            total_steps: None,
            loss: Some(1e-7),
            metrics: vec![metric],
            started: None,
            seconds: Some(75.0),
            settings: settings.parse().unwrap(),
            faults: Vec::new(),
        }
    }

    #[test]
    fn a_table_is_as_wide_as_its_terminal() {
        let long = "x".repeat(60);
        let layers = |n: u32| format!("[\"flatten\", {{ linear = {{ out_features = {n}, bias = true }} }}]");
        let settings = ["0.1", "0.2"].map(|lr| {
            let layers = layers(if lr == "0.1" { 16 } else { 320 });
            format!("a = {lr}\nb = {lr}\nc = '{lr}{long}'\nd = {layers}\nsame = 7\n[optimizer]\nlr = {lr}\n")
        });
        let runs = vec![run("runs/a-1", &settings[0]), run("runs/a-2", &settings[1])];
        let table = RunTable::new(runs, None).unwrap();
        let all = runs_text(&table, None);
        let heads =
            ["run", "state", "epochs", "steps", "loss", "eval_loss", "best eval_loss", "in epoch", "time"];
        for word in heads.iter().chain(&[
            "a",
            "b",
            "c",
            "optimizer.lr",
            "4/5",
            "1.000e-7",
            "1 min 15 s",
            "xx..",
            "..out_features = 16, b..",
            "..out_features = 320, ..",
        ]) {
            assert!(all.contains(word), "no {word} in {all}");
        }
        assert!(!all.contains("same") && !all.contains("left out") && !all.contains(&long), "{all}");
        for width in [40, 60, 80, 100, 120] {
            let text = runs_text(&table, Some(width));
            let table: Vec<&str> = text.lines().take(3).collect();
            assert!(table.iter().all(|line| line.len() <= width), "{width}: {text}");
            assert!(
                text.contains("left out, for the terminal is narrow") && text.contains("runs/a-2"),
                "{text}"
            );
        }
        // Settings stay longer than the steps; the run and its state always.
        let narrow = runs_text(&table, Some(80));
        let head = narrow.lines().next().unwrap();
        assert!(head.contains("  a ") && head.contains("  b") && !head.contains("steps"), "{narrow}");
        assert!(runs_text(&table, Some(1)).contains("runs/a-1  finished"), "{}", runs_text(&table, Some(1)));
    }
}
