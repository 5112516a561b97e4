//! The text of `data inspect`: the summary of a data set, and its first samples.

use std::fmt::Write;

use super::align;
use crate::data::{Dataset, Encoding, Field, FieldSummary, Summary};
use crate::error::Result;
use crate::units;

/// From nothing to full.
const RAMP: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];
/// Sides of images that are drawn.
const DRAWN: std::ops::RangeInclusive<usize> = 4..=32;
/// Numbers of a sample that are printed.
const NUMBERS: usize = 8;
/// Characters of a sample that are printed.
const CHARACTERS: usize = 60;
/// Classes whose counts are printed.
const CLASSES: usize = 20;

/// The number with four digits.
fn number(v: Option<f64>) -> String {
    match v {
        None => "none".into(),
        Some(v) if v == v.trunc() && v.abs() < 1e6 => format!("{v}"),
        Some(v) if (1e-3..1e6).contains(&v.abs()) => format!("{v:.4}"),
        Some(v) => format!("{v:.3e}"),
    }
}

/// A class by its name, or else by its number.
fn class(encoding: Option<&Encoding>, number: usize) -> String {
    let name = encoding.and_then(|encoding| encoding.class(number));
    name.map_or_else(|| number.to_string(), str::to_owned)
}

/// Fields, counts, moments.
pub fn inspect_text(summary: &Summary, encoding: Option<&Encoding>) -> String {
    let mut out = String::new();
    let classes = summary.classes.map_or(String::new(), |n| format!(", {}", units::plural(n, "class")));
    let parts = summary.parts.iter().map(|part| {
        let what = if part.name == "train" { "to train on" } else { "to evaluate on" };
        format!("{} {what}", part.samples)
    });
    let parts = parts.collect::<Vec<_>>().join(", ");
    let _ = writeln!(out, "data     {}: {parts}{classes}", summary.name);
    let _ = writeln!(out, "device   {}", units::bytes(summary.device_bytes));
    let head = ["part", "field", "role", "stored", "model", "sample", "channel", "min", "max", "mean", "std"];
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|&cell| cell.to_owned()).collect()];
    for part in &summary.parts {
        for field in &part.fields {
            rows.extend(field_rows(part.name, field));
        }
    }
    let left = [true, true, true, true, true, true];
    let _ = write!(out, "\n{}", align(&rows, &left));
    for part in &summary.parts {
        for field in &part.fields {
            let (name, stride) = (&field.name, field.stride);
            if stride > 1 {
                let _ = writeln!(out, "  {} {name}: of every {stride} samples one was looked at", part.name);
            }
            let odd: u64 = field.channels.iter().map(|c| c.not_finite).sum();
            if odd > 0 {
                let _ = writeln!(
                    out,
                    "  {} {name}: left out {} that {} NaN or infinite",
                    part.name,
                    units::plural(odd, "number"),
                    if odd == 1 { "is" } else { "are" }
                );
            }
            let Some(counts) = &field.counts else { continue };
            let shown = counts.iter().take(CLASSES).enumerate();
            let list: Vec<String> = shown.map(|(i, n)| format!("{} {n}", class(encoding, i))).collect();
            let more = if counts.len() > CLASSES {
                format!(", and {} more", counts.len() - CLASSES)
            } else {
                String::new()
            };
            let _ = writeln!(out, "  {} classes: {}{more}", part.name, list.join(", "));
        }
    }
    out
}

fn field_rows(part: &str, field: &FieldSummary) -> Vec<Vec<String>> {
    let one = field.channels.len() == 1;
    let row = |(i, c): (usize, &crate::data::Numbers)| {
        let first = |text: String| if i == 0 { text } else { String::new() };
        vec![
            first(part.to_owned()),
            first(field.name.clone()),
            first(field.role.to_owned()),
            first(field.kind.to_owned()),
            first(field.model.to_owned()),
            first(format!("{:?}", field.shape)),
            if one { String::new() } else { i.to_string() },
            number(c.min),
            number(c.max),
            number(c.mean),
            number(c.std),
        ]
    };
    field.channels.iter().enumerate().map(row).collect()
}

/// The first samples to train on. Small images are drawn, dark where the numbers are small.
///
/// # Errors
/// An error of a source.
pub fn inspect_rows(data: &Dataset, summary: &Summary, rows: usize) -> Result<String> {
    let mut out = String::new();
    let part = data.train();
    for row in 0..rows.min(part.len()) {
        let _ = writeln!(out, "\nsample {row}");
        for ((name, field), about) in part.fields().zip(&summary.parts[0].fields) {
            let sample = field.sample(part.source_index(row as u32) as usize)?;
            let text = show(data, field, about, &sample);
            let _ = writeln!(out, "  {name} {text}");
        }
    }
    Ok(out)
}

fn show(data: &Dataset, field: &Field, about: &FieldSummary, sample: &[f64]) -> String {
    if about.counts.is_some() && sample.len() == 1 {
        return class(data.encoding(), sample[0] as usize);
    }
    if let (Some(vocabulary), false) = (data.vocabulary(), field.is_float()) {
        let ids: Vec<usize> = sample.iter().take(CHARACTERS).map(|&v| v as usize).collect();
        let more = if sample.len() > CHARACTERS { ".." } else { "" };
        let text: String = ids.iter().filter_map(|&id| vocabulary.chars().get(id)).collect();
        return format!("{text:?}{more}");
    }
    if let [channels @ (1 | 3), height, width] = field.shape()[..]
        && DRAWN.contains(&height)
        && DRAWN.contains(&width)
    {
        return format!("\n{}", draw(sample, about, [channels, height, width]));
    }
    let numbers: Vec<String> = sample.iter().take(NUMBERS).map(|&v| number(Some(v))).collect();
    let more = if sample.len() > NUMBERS { format!(", .. ({} in all)", sample.len()) } else { String::new() };
    format!("{}{more}", numbers.join(", "))
}

/// An image in characters, two a pixel, the mean of its channels from their least to their greatest.
fn draw(sample: &[f64], about: &FieldSummary, [channels, height, width]: [usize; 3]) -> String {
    let area = height * width;
    let part = |channel: usize, pixel: usize| {
        let numbers = about.channels[channel.min(about.channels.len() - 1)];
        let (low, high) = (numbers.min.unwrap_or(0.0), numbers.max.unwrap_or(0.0));
        if high > low { ((sample[channel * area + pixel] - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
    };
    let mut out = String::new();
    for y in 0..height {
        let mut line = "    ".to_owned();
        for x in 0..width {
            let grey = (0..channels).map(|c| part(c, y * width + x)).sum::<f64>() / channels as f64;
            let mark = RAMP[(grey * (RAMP.len() - 1) as f64).round() as usize];
            line.extend([mark, mark]);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    #[test]
    fn digits_are_drawn_and_counted() {
        let digits = data::digits().unwrap();
        let summary = Summary::new(&digits, u64::MAX).unwrap();
        let text = inspect_text(&summary, digits.encoding());
        for words in
            ["digits: 1437 to train on, 360 to evaluate on, 10 classes", "[1, 8, 8]", "train classes: 0 "]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(!text.contains("looked at"), "{text}");
        let rows = inspect_rows(&digits, &summary, 2).unwrap();
        assert_eq!(rows.matches("sample ").count(), 2);
        let drawn = rows.lines().filter(|line| line.starts_with("    ") && line.contains('@')).count();
        assert!(drawn > 4, "{rows}");
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 255.0, 0.1307, -1.5e-7, 123456789.5].map(|v| number(Some(v)));
        assert_eq!(shown, ["0", "255", "0.1307", "-1.500e-7", "1.235e8"]);
        assert_eq!(number(None), "none");
    }
}
