//! The doctor's report, as text and JSON.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::about::Adapter;
use super::advice::{Advice, Level};
use super::verdict::{KernelReport, Verdict};
use crate::error::Error;
use crate::units;

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The version of downhill.
    pub version: &'static str,
    /// The adapter; `None` where no adapter answers or fits.
    pub adapter: Option<Adapter>,
    /// The reason for its absence.
    pub missing: Option<String>,
    /// The kernels, in the order of their tests.
    pub kernels: Vec<KernelReport>,
    /// Seconds of all tests, including compilation.
    pub seconds: f64,
    /// Advice, the most important first.
    pub advice: Vec<Advice>,
}

impl Report {
    /// True where an adapter answers and every kernel is right.
    pub fn is_well(&self) -> bool {
        self.fault().is_none()
    }

    /// The fault as the error of a command, if any.
    pub fn fault(&self) -> Option<Error> {
        let Some(adapter) = &self.adapter else {
            return Some(Error::NoAdapter(self.missing.clone().unwrap_or_default()));
        };
        let ill = |k: &&KernelReport| k.verdict != Verdict::Right;
        let names: Vec<&str> = self.kernels.iter().filter(ill).map(|k| k.kernel.as_str()).collect();
        let text = |names: &[&str]| {
            format!(
                "{} of {} kernels are not right on {}: {}",
                names.len(),
                self.kernels.len(),
                adapter.name,
                names.join(", ")
            )
        };
        (!names.is_empty()).then(|| Error::Gpu(text(&names)))
    }

    /// The report as JSON.
    pub fn json(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(map) = &mut value {
            map.insert("well".into(), self.is_well().into());
        }
        value
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if let Some(adapter) = &self.adapter {
            about(&mut out, adapter);
        } else {
            let _ = writeln!(out, "No adapter: {}\n", self.missing.as_deref().unwrap_or_default());
        }
        self.tests(&mut out);
        if self.advice.is_empty() {
            out.push_str("Nothing to do.\n");
            return out;
        }
        out.push_str("What to do\n");
        for Advice { level, text } in &self.advice {
            let mark = match level {
                Level::Fault => "!!",
                Level::Caution => " !",
                Level::Note => "  ",
            };
            let _ = writeln!(out, "{mark} {text}");
        }
        out
    }

    fn tests(&self, out: &mut String) {
        if self.kernels.is_empty() {
            return;
        }
        let _ = writeln!(out, "Every kernel against a reference in f64");
        let width = self.kernels.iter().map(|k| k.kernel.len()).max().unwrap_or(0);
        let mut family = "";
        for k in &self.kernels {
            if k.family != family {
                family = k.family;
                let _ = writeln!(out, "  {family} kernels");
            }
            let mark = match k.verdict {
                Verdict::Right => "ok   ",
                Verdict::Wrong(_) => "WRONG",
                Verdict::Untested => "?    ",
            };
            let s = if k.variants == 1 { " " } else { "s" };
            let _ =
                writeln!(out, "    {mark}  {:width$}  {:>2} variant{s}  {}", k.kernel, k.variants, k.words());
        }
        let right = self.kernels.iter().filter(|k| k.verdict == Verdict::Right).count();
        let variants: usize = self.kernels.iter().map(|k| k.variants).sum();
        let _ = writeln!(
            out,
            "  {right} of {} right, {variants} variants compiled and run in {:.1} s\n",
            self.kernels.len(),
            self.seconds
        );
    }
}

fn about(out: &mut String, a: &Adapter) {
    let _ = writeln!(out, "Adapter {}: {}", a.index, a.name);
    let driver = if a.driver.is_empty() { "not said" } else { &a.driver };
    let subgroups = match a.subgroup_size {
        [0, _] => "none".to_owned(),
        [min, max] if min == max => format!("of {min}"),
        [min, max] => format!("of {min} to {max}"),
    };
    for (what, said) in [
        ("kind", format!("{}, by {}", a.kind, a.backend)),
        ("driver", driver.to_owned()),
        ("chosen", a.because.clone()),
        ("kernels", format!("{} ({})", a.family, a.family_because)),
        ("operands", format!("{} ({})", a.reads, a.reads_because)),
        (
            "buffers",
            if a.robust_buffers {
                "the driver checks each access"
            } else {
                "the driver checks no access, as asked: a wrong kernel may do anything"
            }
            .to_owned(),
        ),
        (
            "compiled",
            match &a.pipeline_file {
                Some(path) => format!("kept in {} ({})", path.display(), a.pipeline_file_because),
                None => format!("not kept: {}", a.pipeline_file_because),
            },
        ),
        ("subgroups", subgroups),
    ] {
        let _ = writeln!(out, "  {what:10}  {said}");
    }
    out.push_str("  features\n");
    for f in &a.features {
        let _ = writeln!(out, "    {:15} {:3}  {}", f.name, if f.has { "yes" } else { "no" }, f.meaning);
    }
    out.push_str("  limits\n");
    for l in &a.limits {
        let in_bytes = l.name.ends_with("size") || !l.name.starts_with("max_");
        let value = if in_bytes { units::bytes(l.value) } else { l.value.to_string() };
        let _ = writeln!(out, "    {:36} {value:>10}  {}", l.name, l.meaning);
    }
    out.push('\n');
}
