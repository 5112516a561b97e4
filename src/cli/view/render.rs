//! Draws a run for a terminal of any size.

use downhill::units;

use super::curve;
use super::line::{Line, Style};
use super::state::State;

/// Least length of a bar. A narrow terminal drops the texts beside it first.
const MIN_BAR: usize = 6;
/// Largest height and least width of the curve.
const CURVE_ROWS: usize = 6;
const CURVE_COLUMNS: usize = 16;
/// Separates two fields of a line.
const GAP: &str = "  ";

/// The size of a terminal and its support of colours.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    pub columns: usize,
    pub rows: usize,
    pub colour: bool,
}

/// The lines, none wider than the terminal, and at least one fewer than its rows.
pub fn render(state: &State, terminal: Terminal) -> Vec<String> {
    let mut lines = bars(state, terminal);
    lines.extend(flow(losses(state), terminal.columns, 1));
    lines.extend(flow(machine(state), terminal.columns, 2));
    // One row is for the cursor, one for the curve's axis.
    let rows = terminal.rows.saturating_sub(lines.len() + 2).min(CURVE_ROWS);
    lines.extend(curve(state, terminal.columns, rows));
    lines.truncate(terminal.rows.saturating_sub(1));
    lines.iter().map(|line| line.paint(terminal.columns, terminal.colour)).collect()
}

/// A name and its value.
fn field(name: &str, value: &str) -> Line {
    Line::default().with(Style::Dim, name).with(Style::Dim, " ").with(Style::Plain, value)
}

/// The bars of the epoch and of the run.
fn bars(state: &State, terminal: Terminal) -> Vec<Line> {
    let epoch = state.steps_in_epoch();
    let names = [format!("epoch {}/{}", state.epoch, state.epochs()), "run".to_owned()];
    let counts = [epoch, (state.step, state.total)];
    let texts = counts.map(|(done, all)| format!("{done}/{all} steps"));
    let [name, text] = [&names, &texts].map(|texts| texts.iter().map(String::len).max().unwrap_or(0));
    let left =
        state.rates.left.and_then(time_left).map(|left| format!("{GAP}{left} left")).unwrap_or_default();
    let bare = name + 1 + " 100%".len();
    let wide = |more: usize| terminal.columns.saturating_sub(bare + more);
    let steps = GAP.len() + text;
    // A narrow terminal drops the steps first, then the time, then the bar.
    let (with_steps, with_left, bar) = [(true, true), (false, true), (false, false)]
        .map(|(s, l)| (s, l, wide(if s { steps } else { 0 } + if l { left.len() } else { 0 })))
        .into_iter()
        .find(|(_, _, bar)| *bar >= MIN_BAR)
        .unwrap_or((false, false, 0));
    let line = |at: usize| {
        let share = match counts[at] {
            (_, 0) => 0.0,
            (done, all) => done as f64 / all as f64,
        };
        let percent = (100.0 * share.min(1.0)) as u64;
        let line = Line::default().with(Style::Plain, &names[at]).padded(name + 1);
        let line =
            line.and(Line::bar(bar, share, terminal.colour)).with(Style::Plain, format!(" {percent:>3}%"));
        let line =
            if with_steps { line.with(Style::Dim, format!("{GAP}{:>text$}", texts[at])) } else { line };
        if with_left && at == 1 { line.with(Style::Plain, &left) } else { line }
    };
    vec![line(0), line(1)]
}

/// Losses, accuracy and metrics.
fn losses(state: &State) -> Vec<Line> {
    let named = [("loss", state.loss), ("eval loss", state.eval_loss)];
    let losses = named.into_iter().filter_map(|(name, value)| Some(field(name, &number(value?)?)));
    let accuracy = state.accuracy.filter(|accuracy| accuracy.is_finite());
    let accuracy = accuracy.map(|accuracy| field("eval accuracy", &format!("{:.2}%", 100.0 * accuracy)));
    let metrics = state.metrics.iter().filter_map(|(name, value)| Some(field(name, &number(*value)?)));
    losses.chain(accuracy).chain(metrics).collect()
}

/// Speed, waits, memory and the last checkpoint.
fn machine(state: &State) -> Vec<Line> {
    let mut fields = Vec::new();
    if state.stopping {
        fields.push(Line::default().with(Style::Yellow, "stopping"));
    }
    let percent = |share: f64| format!("{:.0}%", 100.0 * share);
    if let Some(speed) = state.rates.speed {
        let samples = units::count(speed * state.batch as f64);
        fields.push(Line::default().with(Style::Plain, samples).with(Style::Dim, " samples/s"));
    }
    fields.extend(state.rates.data_wait.map(|share| field("GPU waits for data", &percent(share))));
    fields.extend(state.rates.device_wait.map(|share| field("host waits for GPU", &percent(share))));
    let budget = state.budget.map(|budget| format!(" of {}", units::bytes(budget))).unwrap_or_default();
    fields.push(field("memory", &(units::bytes(state.memory) + &budget)));
    fields.extend(state.checkpoint.map(|step| field("checkpoint", &format!("step {step}"))));
    fields
}

/// The curve with the values of its ends; empty where it does not fit.
fn curve(state: &State, columns: usize, rows: usize) -> Vec<Line> {
    let points = state.curve.points();
    let Some((first, last)) = state.curve.steps().filter(|_| rows >= 2) else { return Vec::new() };
    // The widths of the labels and the curve depend on each other, so the margin fits the widest possible label.
    let widest = |points: &[f64]| {
        let ends = [f64::min as fn(f64, f64) -> f64, f64::max].map(|f| points.iter().copied().reduce(f));
        ends.into_iter().flatten().filter_map(number).map(|text| text.len()).max().unwrap_or(0)
    };
    let margin = widest(&points).max("0.0000".len());
    let wide = columns.saturating_sub(margin + 1);
    let Some(drawn) = curve::draw(&points, wide, rows).filter(|_| wide >= CURVE_COLUMNS) else {
        return Vec::new();
    };
    let label = |at: usize| match at {
        0 => number(drawn.high),
        _ if at + 1 == rows => number(drawn.low),
        _ => None,
    };
    let line = |(at, line): (usize, &String)| {
        let label = format!("{:>margin$} ", label(at).unwrap_or_default());
        Line::default().with(Style::Dim, label).with(Style::Cyan, line.trim_end())
    };
    let mut lines: Vec<Line> = drawn.lines.iter().enumerate().map(line).collect();
    let (first, last) = (format!("step {first}"), format!("step {last}"));
    let scale = if drawn.log { "loss, logarithmic" } else { "loss" };
    let free = wide.saturating_sub(first.len() + last.len());
    let between = if free >= scale.len() + 4 { scale } else { "" };
    let axis = format!("{:margin$} {first}{between:^free$}{last}", "");
    lines.push(Line::default().with(Style::Dim, axis));
    lines
}

/// Puts fields into at most `most` lines and drops those that do not fit.
fn flow(fields: Vec<Line>, columns: usize, most: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for field in fields {
        let fits = |last: &Line| last.width() + GAP.len() + field.width() <= columns;
        match lines.pop() {
            Some(last) if fits(&last) => lines.push(last.with(Style::Plain, GAP).and(field)),
            last => {
                lines.extend(last);
                if lines.len() < most {
                    lines.push(field);
                }
            }
        }
    }
    lines
}

/// A loss with four decimals, or with an exponent where it is tiny or huge. `None` where it is not finite.
pub fn number(value: f64) -> Option<String> {
    let size = value.abs();
    value.is_finite().then(|| match size {
        _ if size == 0.0 || (1e-3..1e5).contains(&size) => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    })
}

/// A time in seconds, minutes, hours or days. `None` from 1000 days on.
fn time_left(seconds: f64) -> Option<String> {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let s = seconds.is_finite().then(|| seconds.ceil() as u64).filter(|s| *s < 1000 * DAY)?;
    Some(match s {
        0..MINUTE => format!("{s} s"),
        MINUTE..HOUR => format!("{} min {:02} s", s / MINUTE, s % MINUTE),
        HOUR..DAY => format!("{} h {:02} min", s / HOUR, s % HOUR / MINUTE),
        _ => format!("{} d {} h", s / DAY, s % DAY / HOUR),
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
