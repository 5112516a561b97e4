//! The tables of a measurement of tiles.

use super::{LEAST_GAIN, Tuned, TunedProduct};
use crate::bench::sheet::{Cell, Column, Sheet, Unit};
use crate::units::plural;

const PRODUCTS: [Column; 10] = [
    Column::new("product", "product", Unit::Text),
    Column::new("what", "what", Unit::Text),
    Column::new("tried", "tried", Unit::Whole),
    Column::new("default", "predicted tile", Unit::Text),
    Column::new("default_seconds", "takes", Unit::Seconds),
    Column::new("tile", "named tile", Unit::Text),
    Column::new("seconds", "takes", Unit::Seconds),
    Column::new("lower_seconds", "quartiles", Unit::Seconds),
    Column::new("upper_seconds", "", Unit::Seconds),
    Column::new("gain", "gain", Unit::Times),
];

const CANDIDATES: [Column; 8] = [
    Column::new("product", "product", Unit::Text),
    Column::new("tile", "tile", Unit::Text),
    Column::new("predicted_seconds", "predicted", Unit::Seconds),
    Column::new("seconds", "takes", Unit::Seconds),
    Column::new("lower_seconds", "quartiles", Unit::Seconds),
    Column::new("upper_seconds", "", Unit::Seconds),
    Column::new("runs", "runs", Unit::Whole),
    Column::new("is", "", Unit::Text),
];

const STEPS: [Column; 6] = [
    Column::new("step", "step", Unit::Text),
    Column::new("products", "products", Unit::Whole),
    Column::new("known", "measured before", Unit::Whole),
    Column::new("before_seconds", "take", Unit::Seconds),
    Column::new("after_seconds", "with named tiles", Unit::Seconds),
    Column::new("saved_seconds", "saved", Unit::Seconds),
];

/// The row of a product: its predicted tile and its named one.
fn row(product: &TunedProduct) -> Vec<Cell> {
    let [default, named] = [0, product.chosen].map(|i| &product.candidates[i]);
    vec![
        product.kind.to_string().into(),
        product.title.clone().into(),
        product.candidates.len().into(),
        default.choice.to_string().into(),
        default.seconds.median.into(),
        named.choice.to_string().into(),
        named.seconds.median.into(),
        named.seconds.lower.into(),
        named.seconds.upper.into(),
        (default.seconds.median / named.seconds.median).into(),
    ]
}

/// A row for each tile of a product that was tried.
fn rows(product: &TunedProduct) -> impl Iterator<Item = Vec<Cell>> {
    product.candidates.iter().enumerate().map(|(i, candidate)| {
        let named = if i == product.chosen { "named" } else { "" };
        vec![
            product.kind.to_string().into(),
            candidate.choice.to_string().into(),
            candidate.predicted.into(),
            candidate.seconds.median.into(),
            candidate.seconds.lower.into(),
            candidate.seconds.upper.into(),
            candidate.seconds.runs.into(),
            named.into(),
        ]
    })
}

impl Tuned {
    /// How many of the products measured have another tile than the predicted one.
    pub fn changed(&self) -> usize {
        self.measured.iter().filter(|product| product.chosen > 0).count()
    }

    /// The products and the steps, for a person.
    pub fn sheets(&self) -> Vec<Sheet> {
        let mut products = Sheet::new("Tiles of products", &PRODUCTS);
        products.rows = self.measured.iter().map(row).collect();
        products.notes.push(format!(
            "Another tile than the predicted one is named where the predicted one takes at least {LEAST_GAIN} times as long, by \
             the median over rounds in which tiles take turns. Operands stay in the cache."
        ));
        for product in &self.measured {
            let left_out = product.left_out.iter();
            products
                .notes
                .extend(left_out.map(|(tile, why)| format!("{}, {tile}: left out: {why}", product.kind)));
        }
        let known = self.products.len().saturating_sub(self.measured.len());
        if known > 0 {
            let known = plural(known, "product");
            products.notes.push(format!("{known} of the file are of this adapter, and not measured again."));
        }
        let mut steps = Sheet::new("Steps", &STEPS);
        steps.rows = self
            .steps
            .iter()
            .map(|step| {
                let saved = step.before - step.after;
                vec![
                    step.title.clone().into(),
                    step.products.into(),
                    step.known.into(),
                    step.before.into(),
                    step.after.into(),
                    saved.into(),
                ]
            })
            .collect();
        steps.notes.push(
            "Sums of the products measured now. A step has other kernels too, and kernels alone take another time than in a \
             row: downhill train --profile times a whole step."
                .into(),
        );
        vec![products, steps]
    }

    /// Every tile that was tried.
    pub fn candidates(&self) -> Sheet {
        let mut sheet = Sheet::new("Tiles tried", &CANDIDATES);
        sheet.rows = self.measured.iter().flat_map(rows).collect();
        sheet
    }
}
