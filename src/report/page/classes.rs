//! Right and wrong answers: the confusion matrix with precision and recall, the worst pairs, the worst mistakes, and numbers
//! beside their targets.

use std::fmt::Write;

use super::curves::along;
use super::judge::{Answers, Classes, Mistake, Numbers, Verdict};
use super::png::data_uri;
use super::record::{RunRecord, total};
use crate::figure::page::{Cell, Table, section};
use crate::figure::{Axis, Bars, Extent, Figure, Panel, Series, escaped, number};
use crate::units::{grouped, plural};

/// Classes of a matrix that is a table of numbers.
const MOST_CELLS: usize = 24;
/// Pairs of classes in the list of the worst.
const PAIRS: usize = 12;
/// Classes of the table of precision and recall.
const MOST_ROWS: usize = 200;
/// The most of a cell's colour that is mixed into it, in percent: a text on it stays legible.
const MIXED: f64 = 42.0;

/// The section; `verdict` is what the weights answer now, or why they do not.
pub(super) fn html(record: &RunRecord, verdict: Option<&Result<Verdict, String>>) -> String {
    let of_epoch = record.confusion.as_ref();
    match verdict {
        Some(Ok(Verdict { samples, answers: Answers::Classes(own) })) => {
            let right = total((0..own.confusion.len()).map(|at| own.confusion[at][at]));
            let judged = total(own.confusion.iter().flatten().copied());
            let about = format!(
                "The weights of the run, on the {} held out: {right} right, {} wrong.",
                plural(*samples, "sample"),
                judged - right
            );
            let names = names(own.names.as_ref().or(record.classes.as_ref()), own.confusion.len());
            let mut out = nonfinite(own.nonfinite);
            if judged > 0 || own.nonfinite == 0 {
                out.push_str(&matrix(&own.confusion, &names, &about));
                out.push_str(&mistakes(own, &names));
            }
            section("classes", "Right and wrong", &out)
        }
        Some(Ok(Verdict { samples, answers: Answers::Numbers(own) })) => {
            section("answers", "Answers beside targets", &numbers(own, *samples))
        }
        other => {
            let why = match other {
                Some(Err(why)) => format!(
                    "<p class=\"note\">The weights were not evaluated: {}.</p>\n",
                    escaped(why.trim_end_matches('.'))
                ),
                _ => String::new(),
            };
            match of_epoch {
                Some((epoch, counts)) => {
                    let about = format!("The samples held out, as epoch {epoch} left the weights.");
                    let names = names(record.classes.as_ref(), counts.len());
                    section("classes", "Right and wrong", &(matrix(counts, &names, &about) + &why))
                }
                None if why.is_empty() => why,
                None => section("classes", "Right and wrong", &why),
            }
        }
    }
}

/// A note on the samples whose answers are not finite, where there are some.
fn nonfinite(samples: u64) -> String {
    if samples == 0 {
        return String::new();
    }
    let (verb, them) = if samples == 1 { ("has an answer", "It is") } else { ("have an answer", "They are") };
    format!(
        "<p class=\"note bad\">{} {verb} that is not a finite number. {them} left out.</p>\n",
        plural(samples, "sample")
    )
}

/// A name for each class; its number where the data have none.
fn names(known: Option<&Vec<String>>, classes: usize) -> Vec<String> {
    (0..classes)
        .map(|at| known.and_then(|names| names.get(at)).cloned().unwrap_or_else(|| at.to_string()))
        .collect()
}

fn matrix(counts: &[Vec<u64>], names: &[String], about: &str) -> String {
    let mut out = format!("<p>{}</p>\n", escaped(about));
    if counts.len() <= MOST_CELLS {
        let _ = write!(
            out,
            "<div class=\"pair\"><div>\n{}</div>\n<div>{}</div></div>\n",
            cells(counts, names),
            by_class(counts, names).html()
        );
    } else {
        let _ = writeln!(
            out,
            "<p class=\"muted\">The matrix of {} classes is in metrics.jsonl, where <code>eval.metrics</code> asks for it.</p>",
            names.len()
        );
        out.push_str(&by_class(counts, names).folded());
    }
    out.push_str(&pairs(counts, names));
    out
}

/// The matrix as a table whose cells are coloured by the share of their row.
fn cells(counts: &[Vec<u64>], names: &[String]) -> String {
    let mut out = String::from(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion matrix\"><table class=\"confusion\">\n\
         <caption>Each row is a true class, each column an answer.</caption>\n<thead><tr><td></td>",
    );
    for name in names {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (at, (name, row)) in names.iter().zip(counts).enumerate() {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escaped(name));
        let all = total(row.iter().copied());
        for (column, count) in row.iter().enumerate() {
            let share = *count as f64 / all.max(1) as f64;
            // A few mistakes are to be seen beside many right ones.
            let (kind, mixed) =
                if column == at { ("", MIXED * share) } else { ("wrong", MIXED * share.sqrt()) };
            let kind = if *count == 0 { "zero" } else { kind };
            let class = if kind.is_empty() { String::new() } else { format!(" class=\"{kind}\"") };
            let mixed = if *count == 0 { 0.0 } else { mixed };
            let _ = write!(out, "<td{class} style=\"--v:{mixed:.0}%\">{count}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// Precision and recall of each class.
fn by_class(counts: &[Vec<u64>], names: &[String]) -> Table {
    let mut table = Table::new(
        "By class: of its samples, how many were found (recall); of the answers that name it, how many were right (precision)",
        ["class", "samples", "recall", "precision", "F1"],
    );
    for (at, name) in names.iter().enumerate().take(MOST_ROWS) {
        let right = counts[at][at] as f64;
        let samples = total(counts[at].iter().copied());
        let named = total(counts.iter().map(|row| row[at]));
        let share = |whole: u64| (whole > 0).then(|| right / whole as f64);
        let cell = |share: Option<f64>| {
            share.map_or(Cell::Empty, |share| Cell::Bar(format!("{:.1}%", 100.0 * share), share))
        };
        let f1 = (samples > 0 || named > 0).then(|| 2.0 * right / (samples as f64 + named as f64));
        table.rows.push(vec![
            Cell::text(name),
            Cell::count(samples),
            cell(share(samples)),
            cell(share(named)),
            cell(f1),
        ]);
    }
    table
}

/// The pairs that are confused most.
fn pairs(counts: &[Vec<u64>], names: &[String]) -> String {
    let mut all: Vec<(u64, usize, usize)> = Vec::new();
    for (target, row) in counts.iter().enumerate() {
        all.extend(
            row.iter().enumerate().filter(|(at, n)| *at != target && **n > 0).map(|(at, n)| (*n, target, at)),
        );
    }
    if all.is_empty() {
        return "<p>No sample was taken for another class.</p>\n".into();
    }
    all.sort_by_key(|(n, target, answer)| (std::cmp::Reverse(*n), *target, *answer));
    let mut table = Table::new(
        "Pairs of classes by the number of samples, the most first",
        ["true class", "answer", "samples", "of its class"],
    );
    for (n, target, answer) in all.into_iter().take(PAIRS) {
        let all = total(counts[target].iter().copied());
        let share = n as f64 / all.max(1) as f64;
        table.rows.push(vec![
            Cell::text(&names[target]),
            Cell::text(&names[answer]),
            Cell::count(n),
            Cell::Number(format!("{:.1}%", 100.0 * share), share),
        ]);
    }
    format!("<h3>Confused most</h3>\n{}", table.html())
}

/// The mistakes of which the run was most certain, as pictures where inputs are images.
fn mistakes(own: &Classes, names: &[String]) -> String {
    if own.mistakes.is_empty() {
        return String::new();
    }
    let percent = |p: f32| format!("{:.1}%", 100.0 * p);
    let mut out = format!(
        "<h3>Worst mistakes</h3>\n<p class=\"muted\">The {} of which it was most certain. Samples count from 0 in the part held \
         out.</p>\n",
        own.mistakes.len()
    );
    let has_pictures = own.mistakes.iter().any(|mistake| mistake.picture.is_some());
    if !has_pictures {
        let head = ["sample", "answer", "certain", "true class", "its probability"];
        let mut table = Table::new("Worst mistakes", head);
        for Mistake { sample, target, answer, certain, of_target, .. } in &own.mistakes {
            table.rows.push(vec![
                Cell::count(*sample as u64),
                Cell::text(&names[*answer]),
                Cell::Number(percent(*certain), (*certain).into()),
                Cell::text(&names[*target]),
                Cell::Number(percent(*of_target), (*of_target).into()),
            ]);
        }
        return out + &table.html();
    }
    out.push_str("<ul class=\"mistakes\">\n");
    for Mistake { sample, target, answer, certain, of_target, picture } in &own.mistakes {
        let (answer, target) = (escaped(&names[*answer]), escaped(&names[*target]));
        let image = picture.as_ref().map_or_else(String::new, |picture| {
            format!(
                "<img alt=\"sample {sample}, a {target} taken for {answer}\" src=\"{}\">",
                data_uri(picture)
            )
        });
        let _ = writeln!(
            out,
            "<li>{image}<b>{answer}</b> {}<br>is {target} {}<br><span class=\"muted\">sample {sample}</span></li>",
            percent(*certain),
            percent(*of_target)
        );
    }
    out.push_str("</ul>\n");
    out
}

/// Targets and answers, and the distribution of the errors.
fn numbers(own: &Numbers, samples: usize) -> String {
    let note = nonfinite(own.nonfinite);
    if own.pairs.is_empty() {
        return note;
    }
    let r2 = own.r2.map_or(String::new(), |r2| format!("; {:.1}% of the variance is explained", 100.0 * r2));
    let mut out = format!(
        "{note}<p>The weights of the run, on the {} held out: mean absolute error {}, root of the mean squared error {}{r2}.</p>\n",
        plural(samples, "sample"),
        number(own.mae),
        number(own.rmse)
    );
    let ends = own.pairs.iter().flat_map(|(a, b)| [*a, *b]);
    let (low, high) = ends.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
    let name = &own.name;
    let both = |what: &str| Axis::linear(format!("{what} ({name})")).showing(Extent::Data);
    let all: u64 = own.bars.iter().sum();
    let title = if (own.pairs.len() as u64) < all {
        format!("answers and targets, {} of {} samples", grouped(own.pairs.len()), grouped(all as usize))
    } else {
        "answers and targets".to_owned()
    };
    let scatter = Panel { equal: true, ..Panel::new(title, both("target"), both("answer")) };
    let scatter = scatter
        .with(Series::line("answer = target", 6, vec![(low, low), (high, high)]).dashed("7 4"))
        .with(Series::marks("a sample", 0, own.pairs.clone()));
    let width = 2.0 * own.farthest / own.bars.len() as f64;
    let middle = |at: usize| -own.farthest + (at as f64 + 0.5) * width;
    let points = own.bars.iter().enumerate().map(|(at, n)| (middle(at), *n as f64)).collect();
    let along = along(&format!("answer − target ({name})"));
    let spread = Panel::new("errors", along, Axis::linear("samples (count)")).with(Bars {
        name: "errors".into(),
        colour: 0,
        width,
        points,
    });
    let figure = Figure { title: "Answers".into(), panels: vec![scatter, spread], ..Figure::default() };
    out.push_str(&figure.inline("answers-figure"));
    out
}
