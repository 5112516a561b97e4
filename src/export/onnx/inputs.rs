//! The inputs of the graph, and the nodes that make of them what the first layer takes.

use super::builder::{Builder, Element, int};
use crate::data::{Encoding, InputColumn, InputKind, Scale, TableEncoding};
use crate::export::trace::{Exported, listed_numbers};
use crate::graph::DType;

/// Words for a missing cell, as files have them.
const MISSING: [&str; 6] = ["", "na", "n/a", "nan", "null", "?"];

/// Writes the inputs with their encoding: the first layer's input.
pub(super) fn write(net: &Exported<'_>, b: &mut Builder<'_>) -> String {
    match (net.encoding, net.dtype) {
        (Some(Encoding::Table(table)), _) => rows(table, b),
        (Some(Encoding::Text { .. }), _) => {
            let about = "numbers of characters: their places in the metadata's vocabulary";
            b.input("characters", Element::Int64, &net.sample, about)
        }
        (_, DType::I32) => b.input("input", Element::Int64, &net.sample, "whole numbers"),
        (encoding, DType::F32) => {
            let about = match encoding {
                Some(Encoding::Images(_)) => "the bytes of images, from 0 to 255, as floats",
                _ => "numbers as the data have them",
            };
            let x = b.input("input", Element::Float, &net.sample, about);
            match net.scale() {
                Some(scale) => scaled(b, &x, &scale, net.sample.len()),
                None => x,
            }
        }
    }
}

/// x·factor + offset, one pair for all numbers or one for each index of the first axis after the batch.
fn scaled(b: &mut Builder<'_>, x: &str, Scale { factor, offset }: &Scale, rank: usize) -> String {
    let dims = |values: &[f32]| match values.len() {
        1 => Vec::new(),
        n => [&[n], &*vec![1; rank.saturating_sub(1)]].concat(),
    };
    let mut x = x.to_owned();
    if factor.iter().any(|value| *value != 1.0) {
        let factor_name = b.floats("input_factor", &dims(factor), factor);
        x = b.op("Mul", &[&x, &factor_name], Vec::new());
    }
    if offset.iter().any(|value| *value != 0.0) {
        let offset_name = b.floats("input_offset", &dims(offset), offset);
        x = b.op("Add", &[&x, &offset_name], Vec::new());
    }
    x
}

/// The columns of a table side by side, an input each.
fn rows(table: &TableEncoding, b: &mut Builder<'_>) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let (element, about) = match &column.kind {
                InputKind::Numeric { .. } => (Element::Double, "a number; NaN where it is missing"),
                InputKind::Categorical { .. } => (Element::String, "a category; \"\" where it is missing"),
            };
            b.input(&column.name, element, &[1], about)
        })
        .collect();
    let encoded: Vec<String> = table
        .columns
        .iter()
        .zip(&columns)
        .map(|(InputColumn { name, kind }, x)| {
            b.at(name);
            match kind {
                InputKind::Numeric { mean, std, fill } => {
                    numeric(b, x, [*mean, *std], *fill, &listed_numbers(table))
                }
                InputKind::Categorical { categories, fill } => {
                    categorical(b, x, categories, fill.as_deref(), &table.missing)
                }
            }
        })
        .collect();
    b.at("");
    match &encoded[..] {
        [one] => one.clone(),
        all => {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            b.op("Concat", &all, vec![int("axis", 1)])
        }
    }
}

/// (x - mean)/std in f64, as f32; a missing number is filled first, and stays NaN where there is no fill.
fn numeric(b: &mut Builder<'_>, x: &str, [mean, std]: [f64; 2], fill: Option<f64>, listed: &[f64]) -> String {
    let mut x = x.to_owned();
    let stand_in = fill.unwrap_or(f64::NAN);
    for number in listed {
        let (number, stand_in) = (b.doubles("listed", &[], &[*number]), b.doubles("fill", &[], &[stand_in]));
        let is_listed = b.op("Equal", &[&x, &number], Vec::new());
        x = b.op("Where", &[&is_listed, &stand_in, &x], Vec::new());
    }
    if fill.is_some() {
        let stand_in = b.doubles("fill", &[], &[stand_in]);
        let is_missing = b.op("IsNaN", &[&x], Vec::new());
        x = b.op("Where", &[&is_missing, &stand_in, &x], Vec::new());
    }
    let (mean, std) = (b.doubles("mean", &[], &[mean]), b.doubles("std", &[], &[std]));
    let x = b.op("Sub", &[&x, &mean], Vec::new());
    let x = b.op("Div", &[&x, &std], Vec::new());
    b.cast(&x, Element::Float)
}

/// A number for each category: 1 for that of x, 0 for the others.
fn categorical(
    b: &mut Builder<'_>,
    x: &str,
    categories: &[String],
    fill: Option<&str>,
    listed: &[String],
) -> String {
    let mut x = x.to_owned();
    if let Some(fill) = fill {
        let words = words(listed);
        let count = words.len();
        let words = b.strings("missing", &[1, count], &words);
        let equal = b.op("Equal", &[&x, &words], Vec::new());
        let equal = b.cast(&equal, Element::Float);
        let axes = b.integers("axes", &[1]);
        let is_missing = b.op("ReduceMax", &[&equal, &axes], vec![int("keepdims", 1)]);
        let is_missing = b.cast(&is_missing, Element::Bool);
        let fill = b.strings("fill", &[1, 1], &[fill.to_owned()]);
        x = b.op("Where", &[&is_missing, &fill, &x], Vec::new());
    }
    let categories = b.strings("categories", &[1, categories.len()], categories);
    let equal = b.op("Equal", &[&x, &categories], Vec::new());
    b.cast(&equal, Element::Float)
}

/// Words for a missing category: those of every file in lower and upper case and all between, and those that the config
/// lists.
fn words(listed: &[String]) -> Vec<String> {
    let every = MISSING.iter().flat_map(|word| {
        word.chars().fold(vec![String::new()], |spellings, letter| {
            let both = [letter, letter.to_ascii_uppercase()];
            spellings.iter().flat_map(|start| both.map(|letter| format!("{start}{letter}"))).collect()
        })
    });
    let mut words: Vec<String> = every.chain(listed.iter().map(|word| word.trim().to_owned())).collect();
    words.sort();
    words.dedup();
    words
}
