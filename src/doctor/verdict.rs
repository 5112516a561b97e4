//! Runs the cases of each kernel and gives one verdict for all of them.

use serde::Serialize;

use super::case::{Case, Worst};
use crate::gpu::{Family, Gpu};

/// The result of a kernel's tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Right in every variant.
    Right,
    /// Wrong: the variant and the finding.
    Wrong(String),
    /// Not tested, because the device was lost.
    Untested,
}

/// The report on a kernel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelReport {
    /// Its file below `shaders/`, or the common part of several files.
    pub kernel: String,
    /// The kernels' family: `subgroup` or `tiled`.
    pub family: &'static str,
    /// Number of tested variants.
    pub variants: usize,
    /// The error of the number nearest to its bound.
    pub error: f64,
    /// The bound of that number: the largest error that rounding in f32 explains. 0 where the result is exact.
    pub bound: f64,
    /// The verdict.
    pub verdict: Verdict,
}

impl KernelReport {
    /// The finding in words.
    pub fn words(&self) -> String {
        match &self.verdict {
            Verdict::Untested => "not tested: the device was lost".into(),
            Verdict::Wrong(text) => text.clone(),
            Verdict::Right if self.bound == 0.0 => "exact, as it must be".into(),
            Verdict::Right => {
                let share = 100.0 * self.error / self.bound;
                let digits = usize::from(share < 10.0);
                format!(
                    "off by {:.1e} where rounding explains {:.1e} ({share:.digits$}%)",
                    self.error, self.bound
                )
            }
        }
    }
}

/// The family's name.
pub(super) fn family_name(family: Family) -> &'static str {
    match family {
        Family::Subgroup => "subgroup",
        Family::Tiled => "tiled",
    }
}

/// The row of kernels that run for several nets at once.
const REPLICAS: &str = "replicas";
/// Nets of that test.
const NETS: usize = 3;

/// Runs the cases and merges those of the same kernel, in the order of the first case of each.
pub(super) fn judge(gpu: &Gpu, cases: &[Case], progress: fn(&str)) -> Vec<KernelReport> {
    judged(gpu, cases.iter().map(|case| (&*case.kernel, case, None)), progress)
}

/// Runs the first case of each kernel for several nets at once: one row.
pub(super) fn judge_replicas(gpu: &Gpu, cases: &[Case], progress: fn(&str)) -> Vec<KernelReport> {
    let is_first = |i: usize| !cases[..i].iter().any(|other| other.kernel == cases[i].kernel);
    let firsts = (0..cases.len()).filter(|&i| is_first(i));
    judged(gpu, firsts.map(|i| (REPLICAS, &cases[i], Some(NETS))), progress)
}

/// Runs cases, each under the name of its row, for one net or for several.
fn judged<'c>(
    gpu: &Gpu,
    cases: impl Iterator<Item = (&'c str, &'c Case, Option<usize>)>,
    progress: fn(&str),
) -> Vec<KernelReport> {
    let mut reports: Vec<(KernelReport, Worst)> = Vec::new();
    for (kernel, case, nets) in cases {
        let known = reports.iter().position(|(report, _)| report.kernel == kernel);
        let at = known.unwrap_or(reports.len());
        if known.is_none() {
            let family = family_name(gpu.family());
            let (kernel, verdict) = (kernel.to_owned(), Verdict::Right);
            let report = KernelReport { kernel, family, variants: 0, error: 0.0, bound: 0.0, verdict };
            reports.push((report, Worst::default()));
        }
        let (report, worst) = &mut reports[at];
        report.variants += 1;
        if gpu.check().is_err() {
            if report.verdict == Verdict::Right {
                report.verdict = Verdict::Untested;
            }
            continue;
        }
        let more = if nets.is_some() { ", several nets at once" } else { "" };
        progress(&format!("{}: {}{more}", case.kernel, case.what));
        let outcome = nets.map_or_else(|| case.run(gpu), |nets| case.run_replicated(gpu, nets));
        let fault = match outcome {
            Ok(outcome) => {
                if outcome.worst.share() >= worst.share() {
                    *worst = outcome.worst;
                }
                outcome.fault
            }
            Err(err) => {
                // A driver's message may have several lines.
                let words: Vec<String> = err.to_string().split_whitespace().map(str::to_owned).collect();
                Some(format!("{}: {}", case.what, words.join(" ")))
            }
        };
        if let (Some(fault), Verdict::Right) = (fault, &report.verdict) {
            report.verdict = Verdict::Wrong(fault);
        }
        (report.error, report.bound) = (worst.off, worst.bound);
    }
    reports.into_iter().map(|(report, _)| report).collect()
}
