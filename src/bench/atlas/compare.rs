//! Atlases side by side: the tables, a page with them, and a figure of the products.

use super::file::Atlas;
use super::table::{SideBySide, markdown};
use crate::figure::{Axis, Figure, Panel, Series};
use crate::units;

/// An atlas and the name of its file, without `.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct AtlasEntry {
    /// The head of its column.
    pub name: String,
    /// What it holds.
    pub atlas: Atlas,
}

const INTRO: &str = "\
# Atlas

What adapters can do, and what downhill's kernels reach on them. Each column is a file that `downhill bench atlas` wrote on \
one machine. The files lie in [benches/atlas](../benches/atlas/README.md), which says how to add one. \
[benchmarks.md](benchmarks.md) says how everything is measured; every result is checked against a reference first.

This page is written by the program, never by hand: \
`downhill bench atlas --compare benches/atlas/*.json --page docs/atlas.md`.";

/// A person's name for a number of parameters.
fn size(n: u64) -> String {
    match n {
        n if n >= 1 << 20 && n.is_multiple_of(1 << 20) => format!("{} Mi", n >> 20),
        n if n >= 1 << 10 && n.is_multiple_of(1 << 10) => format!("{} Ki", n >> 10),
        n => n.to_string(),
    }
}

fn percent(share: f64) -> String {
    format!("{}%", units::three(100.0 * share))
}

fn rate(per_second: f64, share: f64) -> String {
    format!("{} ({})", units::three(per_second / 1e9), percent(share))
}

/// The tables of several atlases, a column each.
pub fn atlas_text(entries: &[AtlasEntry]) -> String {
    let names = || entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
    let mut roof = SideBySide::new("Limits", "limit", names());
    let mut launches = SideBySide::new("A dispatch, a load", "of a submission", names());
    let mut optimizers = SideBySide::new("Updates, GB/s (of triad)", "optimizer, parameters", names());
    let mut products = SideBySide::new("Products, GFLOP/s (of peak)", "layout, side", names());
    for (file, AtlasEntry { atlas, .. }) in entries.iter().enumerate() {
        let limits = [
            ("copy, GB/s", atlas.roof.copy),
            ("triad, GB/s", atlas.roof.triad),
            ("multiply-adds, GFLOP/s", atlas.roof.flops),
        ];
        for (title, limit) in limits {
            roof.put(file, (title, 0), title, units::three(limit / 1e9));
        }
        for l in &atlas.launches {
            let number = if l.loads.is_some() { l.bytes } else { l.dispatches };
            let title = match l.loads {
                Some(_) => format!("{}, {}", l.what, units::bytes(l.bytes)),
                None => format!("{}, {}", l.what, l.dispatches),
            };
            launches.put(file, (&l.what, number), &title, units::duration(l.each_seconds));
        }
        for o in &atlas.optimizers {
            let title = format!("{}, {}", o.optimizer, size(o.parameters));
            optimizers.put(file, (&o.optimizer, o.parameters), &title, rate(o.bytes_per_second, o.of_triad));
        }
        for p in &atlas.products {
            let title = format!("{}, {}", p.layout, p.side);
            products.put(file, (&p.layout, p.side), &title, rate(p.flops_per_second, p.of_peak));
        }
    }
    let tables = [roof, launches, optimizers, products].map(|table| table.markdown());
    format!("{}\n{}{}", machines(entries), tables.join("\n"), notes(entries))
}

/// What was measured where.
fn machines(entries: &[AtlasEntry]) -> String {
    let head = ["file", "adapter", "driver", "machine", "kernels", "downhill", "date"].map(str::to_owned);
    let row = |AtlasEntry { name, atlas }: &AtlasEntry| {
        let (adapter, versions) = (&atlas.adapter, &atlas.versions);
        let processor = versions.processor.as_deref().unwrap_or(&versions.arch);
        let quick = if atlas.quick { ", --quick" } else { "" };
        vec![
            name.clone(),
            format!("{} ({}, {})", adapter.name, adapter.kind, adapter.backend),
            adapter.driver.clone(),
            format!("{}, {processor}, {}", versions.os, units::plural(versions.threads as u64, "thread")),
            format!("{}, read {}", adapter.family, adapter.reads),
            versions.downhill.clone(),
            format!("{}, {}{quick}", atlas.date, units::seconds(atlas.seconds)),
        ]
    };
    format!("## Machines\n\n{}", markdown(head.to_vec(), entries.iter().map(row).collect(), false))
}

/// What files leave out.
fn notes(entries: &[AtlasEntry]) -> String {
    let with = entries.iter().filter(|entry| !entry.atlas.left_out.is_empty());
    let lines: Vec<String> = with
        .map(|entry| format!("\n{} leaves out {}.\n", entry.name, entry.atlas.left_out.join("; ")))
        .collect();
    lines.join("")
}

/// The page with the tables. `figure` is the name of the figure's file beside it.
pub fn atlas_page(entries: &[AtlasEntry], figure: &str) -> String {
    format!(
        "{INTRO}\n\n![Products of square matrices by side, in GFLOP/s]({figure})\n\n{}",
        atlas_text(entries)
    )
}

/// Products of square matrices by side: a panel for each layout, a line for each file.
pub fn atlas_figure(entries: &[AtlasEntry]) -> Figure {
    let mut layouts: Vec<&str> = Vec::new();
    let mut sides: Vec<u64> = Vec::new();
    for product in entries.iter().flat_map(|entry| &entry.atlas.products) {
        if !layouts.contains(&product.layout.as_str()) {
            layouts.push(&product.layout);
        }
        sides.push(product.side);
    }
    sides.sort_unstable();
    sides.dedup();
    let panel = |layout: &&str| {
        let series = entries.iter().enumerate().map(|(i, entry)| {
            let mine = entry.atlas.products.iter().filter(|product| product.layout == *layout);
            let mut points: Vec<(f64, f64)> =
                mine.map(|product| (product.side as f64, product.flops_per_second / 1e9)).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Series::both(&entry.name, i, points)
        });
        let ticks = sides.iter().map(|side| (*side as f64, side.to_string())).collect();
        Panel::new(*layout, Axis { ticks, ..Axis::log("side") }, Axis::log("GFLOP/s")).with_all(series)
    };
    Figure {
        title: "Products of square matrices".into(),
        subtitle: "f32, each result waited for".into(),
        panels: layouts.iter().map(panel).collect(),
        shared: true,
        ..Figure::default()
    }
}
