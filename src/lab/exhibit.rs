//! An exhibit: a statement of the lecture, the run that shows it, and the numbers that it must give.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, Result, suggestion};
use crate::figure::Figure;
use crate::gpu::Gpu;

/// What is known of an exhibit before it runs.
#[derive(Debug)]
pub struct About {
    /// The name on the command line.
    pub name: &'static str,
    /// The title of its chapter.
    pub title: &'static str,
    /// The place in the lecture: `equations 1 to 10`.
    pub lecture: &'static str,
    /// The statement, in paragraphs.
    pub statement: &'static [&'static str],
    /// The formulas, in LaTeX.
    pub formulas: &'static [&'static str],
    /// Slips of the lecture that it names.
    pub slips: &'static [&'static str],
    /// What to change and run again: `--set` of the command, and what to expect.
    pub to_try: &'static [(&'static str, &'static str)],
    /// The numbers that may be changed.
    pub settings: &'static [Setting],
    /// Runs it.
    pub run: fn(&Setup<'_>) -> Result<Shown>,
}

/// A number that may be changed by `--set NAME.KEY=VALUE`.
#[derive(Debug)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// Its meaning.
    pub about: &'static str,
    /// The value of a whole run.
    pub value: f64,
    /// The value of a quick one.
    pub quick: f64,
    /// The least and the greatest that make sense.
    pub range: (f64, f64),
    /// True for a count, which is whole.
    pub whole: bool,
}

impl Setting {
    /// A setting with the same value in a quick run.
    pub const fn new(key: &'static str, about: &'static str, value: f64, range: (f64, f64)) -> Setting {
        Setting { key, about, value, quick: value, range, whole: false }
    }

    /// A setting that is a count.
    pub const fn count(key: &'static str, about: &'static str, value: f64, range: (f64, f64)) -> Setting {
        Setting { whole: true, ..Setting::new(key, about, value, range) }
    }

    /// The same with another value in a quick run.
    #[must_use]
    pub const fn quick(self, quick: f64) -> Setting {
        Setting { quick, ..self }
    }
}

/// The conditions under which an exhibit runs.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The device.
    pub gpu: &'a Gpu,
    /// The seed of everything random.
    pub seed: u64,
    /// The value of each setting.
    pub settings: BTreeMap<&'static str, f64>,
}

impl Setup<'_> {
    /// A setting.
    pub(super) fn number(&self, key: &str) -> f64 {
        self.settings[key]
    }

    /// A setting that counts.
    pub(super) fn count(&self, key: &str) -> usize {
        self.settings[key].round() as usize
    }

    /// A seed for a purpose of its own.
    pub(super) fn seed_for(&self, purpose: u64) -> u64 {
        self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(purpose << 20)
    }
}

impl About {
    /// The value of each setting, with those of `--set` that are this exhibit's: (key, value).
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown key, and for a value out of its range.
    pub fn settings(&self, quick: bool, set: &[(String, f64)]) -> Result<BTreeMap<&'static str, f64>> {
        let mut values: BTreeMap<&'static str, f64> =
            self.settings.iter().map(|s| (s.key, if quick { s.quick } else { s.value })).collect();
        for (key, value) in set {
            let Some(setting) = self.settings.iter().find(|s| s.key == key) else {
                let keys: Vec<&str> = self.settings.iter().map(|s| s.key).collect();
                let hint = suggestion(key, &keys);
                return Err(Error::Config(format!("{}.{key}: no such setting; {hint}", self.name)));
            };
            let (low, high) = setting.range;
            if !(low..=high).contains(value) {
                return Err(Error::Config(format!(
                    "{}.{key} = {value}: {}, between {low} and {high}",
                    self.name, setting.about
                )));
            }
            if setting.whole && value.fract() != 0.0 {
                return Err(Error::Config(format!(
                    "{}.{key} = {value}: {}, a whole number",
                    self.name, setting.about
                )));
            }
            values.insert(setting.key, *value);
        }
        Ok(values)
    }
}

/// What a run of an exhibit gave.
#[derive(Debug)]
pub struct Shown {
    /// The pictures.
    pub figures: Vec<Figure>,
    /// The numbers beside their predictions.
    pub findings: Vec<Finding>,
    /// What the pictures show, a sentence or two for each figure.
    pub captions: Vec<String>,
}

impl Shown {
    pub(super) fn new() -> Shown {
        Shown { figures: Vec::new(), findings: Vec::new(), captions: Vec::new() }
    }

    /// Adds a picture with its caption.
    pub(super) fn figure(&mut self, figure: Figure, caption: impl Into<String>) {
        self.figures.push(figure);
        self.captions.push(caption.into());
    }

    /// Adds a number that must be within a distance of its prediction.
    pub(super) fn near(&mut self, what: impl Into<String>, predicted: f64, measured: f64, tolerance: f64) {
        let (low, high) = (predicted - tolerance, predicted + tolerance);
        self.findings.push(Finding { what: what.into(), predicted, measured, low, high });
    }

    /// Adds a number that must lie between two others.
    pub(super) fn between(
        &mut self,
        what: impl Into<String>,
        predicted: f64,
        measured: f64,
        (low, high): (f64, f64),
    ) {
        self.findings.push(Finding { what: what.into(), predicted, measured, low, high });
    }

    /// Adds an error that must not pass a bound.
    pub(super) fn below(&mut self, what: impl Into<String>, measured: f64, bound: f64) {
        self.findings.push(Finding { what: what.into(), predicted: 0.0, measured, low: 0.0, high: bound });
    }
}

/// A number beside its prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The quantity.
    pub what: String,
    /// The value that theory gives.
    pub predicted: f64,
    /// The value that the engine gave.
    pub measured: f64,
    /// The least value that agrees.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

impl Finding {
    /// True where the measured number agrees with the prediction. NaN does not.
    pub fn holds(&self) -> bool {
        (self.low..=self.high).contains(&self.measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_holds_within_its_bounds() {
        let mut shown = Shown::new();
        shown.near("slope", -1.0, -0.96, 0.05);
        shown.near("slope", -1.0, -0.94, 0.05);
        shown.below("difference", f64::NAN, 1.0);
        shown.between("ratio", 1.0, 0.8, (0.8, 1.25));
        let held: Vec<bool> = shown.findings.iter().map(Finding::holds).collect();
        assert_eq!(held, [true, false, false, true]);
    }
}
