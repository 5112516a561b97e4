//! Every kernel has a test, and the doctor reports a wrong kernel.

use std::collections::BTreeSet;

use super::case::Case;
use super::cases::all;
use super::verdict::{Verdict, judge};
use super::{Options, Report, advice, examine};
use crate::gpu::{Family, Gpu, GpuOptions, wgsl};
use crate::kernel::Target;
use crate::optim::Optimizer;

fn planned(family: Family) -> Vec<Case> {
    all(Target::new(family).with_subgroups(true), true).unwrap()
}

/// No GPU is needed: the plans name the kernels before anything runs.
#[test]
fn every_entry_point_of_every_shader_is_tested() {
    let cases: Vec<Case> = [Family::Subgroup, Family::Tiled].into_iter().flat_map(planned).collect();
    let run: BTreeSet<&str> = cases.iter().flat_map(Case::entries).collect();
    // Kernels of bench/ train nothing, and the benchmark checks them before it times them.
    for (name, text) in wgsl::FILES.iter().filter(|(name, _)| !name.starts_with("bench/")) {
        let mut entry = false;
        for line in text.lines() {
            if let Some(named) = line.strip_prefix("fn ").filter(|_| entry) {
                let named = named.split('(').next().unwrap();
                assert!(
                    run.contains(named),
                    "{named} of shaders/{name}.wgsl has no test in src/doctor/cases"
                );
            }
            entry = line.starts_with("@compute");
        }
        if let Some(of_file) = name.strip_prefix("shared/") {
            let line =
                text.lines().find(|l| l.starts_with("fn ") || l.contains("= fn")).unwrap_or_else(|| {
                    text.lines().find(|l| !l.starts_with("//") && !l.trim().is_empty()).unwrap()
                });
            // A part of a whole net has the number of its stage.
            let lines: Vec<String> =
                (0..12).map(|stage| line.replace("STAGE", &format!("{stage}"))).collect();
            let has = |text: &str| lines.iter().any(|line| text.contains(line.as_str()));
            let used = cases.iter().flat_map(|c| &c.plan.steps).any(|step| has(&step.kernel.wgsl));
            assert!(used, "no test has the text of shared/{of_file}");
        }
    }
}

#[test]
fn both_families_have_lines_of_their_own_and_say_what_goes_around_them() {
    let rows = |family| -> BTreeSet<String> { planned(family).into_iter().map(|case| case.kernel).collect() };
    let (lanes, tiled) = (rows(Family::Subgroup), rows(Family::Tiled));
    for kernel in [
        "matmul_subgroup_any",
        "matmul_subgroup_map",
        "matmul_subgroup_n",
        "matmul_subgroup_nt",
        "attention_subgroup",
    ] {
        assert!(lanes.contains(kernel) && !tiled.contains(kernel), "{kernel}: {lanes:?}");
    }
    for kernel in ["matmul_block", "matmul_tiled", "attention_tiled", "reduce_rows"] {
        assert!(tiled.contains(kernel) && !lanes.contains(kernel), "{kernel}: {tiled:?}");
    }
    for name in Optimizer::NAMES {
        let file = super::cases::variant_of(name).unwrap_or_else(|| panic!("no variant of {name}"));
        assert!(lanes.contains(file) && advice::around(file).contains(name), "{name}: {file}");
    }
}

fn device(adapter: &str) -> GpuOptions {
    GpuOptions { adapter: adapter.into(), ..GpuOptions::default() }
}

fn software(family: Option<Family>) -> Gpu {
    let open = |adapter: &str| Gpu::open(&GpuOptions { family, ..device(adapter) });
    open("software").or_else(|_| open("auto")).unwrap()
}

/// A change to a kernel's text that leaves it compiling.
type Mutant = (&'static str, &'static str, &'static str);

/// One mutant for every line of the report, in either family.
const MUTANTS: &[Mutant] = &[
    ("chain", "out[place(i)] = T6(value(i));", "out[place(i)] = T6(value(i) + 1e-3);"),
    ("shared/random", "1013904223u", "1013904221u"),
    ("shared/math", "1.9875691500e-4", "2.9875691500e-3"),
    ("cross_entropy", "let by = 1.0 / row.sum;", "let by = 1.00001 / row.sum;"),
    ("segment_sum", "k < ROWS && t < ROWS", "k < 4u && t < ROWS"),
    ("feed_gather", "order[row * STRIDE + i / X]", "order[row * STRIDE + (i / X) / 2u]"),
    ("step_close", "state[0] = state[1];", "state[0] = state[2];"),
    ("buffers_commit", "current[i] = next[i];", "current[i] = next[max(i, 1u)];"),
    ("gradients", "norm + 1e-6", "norm + 1e-3"),
    ("accumulate", "share.y != 0.0", "share.y == 0.0"),
    ("shared/update", "clamp(g, -most, most)", "min(g, most)"),
    ("statistics", "(a.x * share)", "(b.x * share)"),
    ("tensor_norms", "let norm = sqrt(", "let norm = abs("),
    ("optim/sgd", "row.keep * old.b", "row.momentum * old.b"),
    ("optim/rmsprop", "row.unbias", "1.0"),
    ("optim/adam", "row.eps;", "1e-3;"),
    ("optim/adam_8bit", "round(255.0", "floor(255.0"),
    ("optim/nadam", "row.go * m", "row.go * g"),
    ("optim/radam", "row.decay * w", "row.decay"),
    ("optim/adamax", "max(", "min("),
    ("optim/adagrad", "+ g * g", "- g * g"),
    ("optim/adadelta", "sqrt(", "abs("),
    ("optim/lion", "sign(", "abs("),
    ("optim/lamb", "row.decay", "-row.decay"),
    ("optim/lars", "norm.y + row.eps", "norm.x + row.eps"),
    ("optim/adafactor", "row.shrink * w", "row.shrink"),
    ("optim/muon", "w - (row.w * w + row.x * x)", "w - (row.w * w - row.x * x)"),
    ("optim/schedule_free", "(base[i] - y[i])", "(base[i] + y[i])"),
];

/// Mutants of one family only.
const OF_LANES: &[Mutant] = &[
    (
        "reduce",
        "fn fold(a: f32, b: f32) -> f32 { return a + b; }",
        "fn fold(a: f32, b: f32) -> f32 { return a + b * 1.01; }",
    ),
    ("matmul_subgroup_any", "c1 += ", "c1 -= "),
    ("matmul_subgroup_n", "c1 += ", "c1 -= "),
    ("matmul_subgroup_nt", "(x.y, y.y)", "(x.x, y.y)"),
    ("matmul_subgroup_map", "c1 += ", "c1 -= "),
    ("attention_subgroup", "sum * shrink", "sum"),
];
const OF_TILED: &[Mutant] = &[
    (
        "reduce_rows",
        "fn fold(a: f32, b: f32) -> f32 { return a + b; }",
        "fn fold(a: f32, b: f32) -> f32 { return a + b * 1.01; }",
    ),
    ("matmul_block", "c1_0 += ", "c1_0 -= "),
    ("matmul_tiled", "c1 += ", "c1 -= "),
    ("attention_tiled", "sum * shrink", "sum"),
    ("mlp_rows", "acc0 += dot", "acc0 -= dot"),
    ("mlp_rows", "order[step + row]", "order[step + row / 2u]"),
    ("mlp_rows", "sum += select(exp_(", "sum += 1.02 * select(exp_("),
    ("mlp_rows", "parts[lane] += ", "parts[lane] -= "),
    ("mlp_rows", "return (s0 + s1)", "return (s0 - s1)"),
];

/// True where the doctor reports the kernel with this change as wrong and names the right number.
fn is_told(gpu: &Gpu, cases: &[Case], (kernel, from, to): Mutant) -> bool {
    let mut own: Vec<Case> = cases.iter().filter(|case| case.kernel == kernel).cloned().collect();
    let mut changed = false;
    for step in own.iter_mut().flat_map(|case| &mut case.plan.steps) {
        // The change applies after the declarations, whose operators are not the kernel's.
        let start = step.kernel.wgsl.find("\nfn ").unwrap_or(0);
        let (head, body) = step.kernel.wgsl.split_at(start);
        changed |= body.contains(from);
        step.kernel.wgsl = format!("{head}{}", body.replace(from, to));
    }
    assert!(changed, "{kernel} has no \"{from}\"");
    let reports = judge(gpu, &own, |_| {});
    let [report] = &reports[..] else { panic!("one line: {reports:?}") };
    assert!(
        !matches!(&report.verdict, Verdict::Wrong(fault) if fault.contains("does not compile")),
        "{kernel}: {}",
        report.words()
    );
    matches!(report.verdict, Verdict::Wrong(_)) && report.words().contains("should be")
}

fn hunt(gpu: &Gpu, mutants: &[Mutant]) {
    let cases = all(Target::for_gpu(gpu), gpu.has_f16()).unwrap();
    let missed: Vec<&Mutant> = mutants.iter().filter(|mutant| !is_told(gpu, &cases, **mutant)).collect();
    assert!(missed.is_empty(), "not seen: {missed:?}");
}

#[test]
fn a_wrong_kernel_of_any_kind_is_told() {
    hunt(&software(None), MUTANTS);
}

#[test]
fn a_wrong_kernel_of_either_family_is_told() {
    hunt(&software(Some(Family::Tiled)), OF_TILED);
    let gpu = software(None);
    if gpu.family() == Family::Subgroup {
        hunt(&gpu, OF_LANES);
    }
}

/// Software adapters of the tiled family have no such cases of their own.
#[test]
fn what_shares_a_dispatch_is_right() {
    let gpu = software(Some(Family::Tiled));
    let cases = all(Target::new(Family::Tiled), false).unwrap().into_iter();
    let cases: Vec<Case> =
        cases.filter(|case| case.what.contains("beside") || case.what.contains("the end of a net")).collect();
    let entries: Vec<&str> = cases.iter().flat_map(|case| &case.plan.steps).map(|s| s.kernel.entry).collect();
    assert!(entries.contains(&"side_by_side") && entries.contains(&"mlp_rows"), "{entries:?}");
    let reports = judge(&gpu, &cases, |_| {});
    assert!(reports.iter().all(|r| !matches!(r.verdict, Verdict::Wrong(_))), "{reports:?}");
}

/// The texts of whole nets are printed, so each of their lines is changed: all with `DOWNHILL_CASES=7`, else every twentieth.
#[test]
fn lines_of_whole_nets_count() {
    const OPERATORS: [(&str, &str); 6] =
        [(" += ", " -= "), (" - ", " + "), (" + ", " - "), (" * ", " + "), (" / ", " * "), (" % ", " / ")];
    let spared = [
        ("min(", "keeps a load inside, of what is not stored"),
        ("for (", "a longer stride or another start meets what is there"),
        ("/ 8u * 9u", "another order of the same cells"),
        ("state[1] = state[0]", "the next step is not run"),
        ("let v0 = i / ", "the row of a value whose column alone is read"),
        (" + 0u", "adds nothing"),
        ("i - 0u", "the first parameter begins at 0"),
    ];
    let options = GpuOptions { shader_checks: true, family: Some(Family::Tiled), ..device("software") };
    let gpu = Gpu::open(&options)
        .or_else(|_| Gpu::open(&GpuOptions { adapter: "auto".into(), ..options }))
        .unwrap();
    let cases: Vec<Case> = all(Target::new(Family::Tiled), false)
        .unwrap()
        .into_iter()
        .filter(|case| case.kernel == "mlp_rows")
        .collect();
    let as_they_are = judge(&gpu, &cases, |_| {});
    assert!(as_they_are.iter().all(|r| !matches!(r.verdict, Verdict::Wrong(_))), "{as_they_are:?}");
    let mut lines: Vec<String> = Vec::new();
    for step in cases.iter().flat_map(|case| &case.plan.steps) {
        let text = &step.kernel.wgsl;
        if !["mlp_rows", "mlp_gradients"].contains(&step.kernel.entry) && !text.contains("\nfn gradient_0") {
            continue;
        }
        let starts = ["\nfn open_step", "\nfn gradient_0", "\nfn end_0"];
        let start = starts.into_iter().find_map(|start| text.find(start)).unwrap();
        let end = text.find("\n@compute").unwrap();
        // The update's own functions have tests of their own.
        let end = text[start..].find("\nfn gradient(").map_or(end.max(start), |own| start + own);
        for line in text[start..end].lines().filter(|line| !line.trim_start().starts_with("//")) {
            if !lines.iter().any(|known| known == line) && spared.iter().all(|(part, _)| !line.contains(part))
            {
                lines.push(line.to_owned());
            }
        }
    }
    let every = if std::env::var("DOWNHILL_CASES").is_ok_and(|n| n == "7") { 1 } else { 20 };
    let (mut number, mut seen, mut missed) = (0, 0, Vec::new());
    for line in &lines {
        for (from, to) in OPERATORS.iter().filter(|(from, _)| line.contains(from)) {
            number += 1;
            if number % every != 0 {
                continue;
            }
            let mutant = line.replacen(from, to, 1);
            let with_ends = format!("\n{line}\n");
            let has = |case: &&Case| case.plan.steps.iter().any(|s| s.kernel.wgsl.contains(&with_ends));
            let told = cases.iter().filter(has).any(|case| {
                let mut own = case.clone();
                for step in &mut own.plan.steps {
                    step.kernel.wgsl = step.kernel.wgsl.replace(&with_ends, &format!("\n{mutant}\n"));
                }
                let reports = judge(&gpu, &[own], |_| {});
                matches!(&reports[0].verdict, Verdict::Wrong(fault) if !fault.contains("does not compile"))
            });
            if told {
                seen += 1;
            } else {
                missed.push(mutant.trim().to_owned());
            }
        }
    }
    println!("{seen} of {} mutants seen", seen + missed.len());
    assert!(seen > 15 && missed.is_empty(), "not seen:\n{}", missed.join("\n"));
}

#[test]
fn a_well_adapter_is_well_and_a_wrong_kernel_is_not() {
    // The software adapter, else any adapter.
    let of = |adapter: &str| examine(&Options { device: device(adapter), ..Options::default() });
    let mut report: Report =
        of("software").ok().filter(|report| report.adapter.is_some()).unwrap_or_else(|| of("auto").unwrap());
    assert!(report.is_well(), "{}", report.text());
    let adapter = report.adapter.clone().unwrap();
    let text = report.text();
    assert!(
        text.contains(&adapter.name)
            && ["What to do", "Nothing to do"].iter().any(|words| text.contains(words))
            && text.contains("exact"),
        "{text}"
    );
    assert!(!text.contains("WRONG"), "{text}");

    report.kernels[1].verdict = Verdict::Wrong("number 3 of x is 1 where 2 should be".into());
    report.kernels[1].kernel = "optim/adam_8bit".into();
    report.advice = advice::of(&adapter, &[], &report.kernels);
    let text = report.text();
    assert!(!report.is_well() && text.contains("WRONG"), "{text}");
    assert!(report.advice[0].text.contains("optimizer.state_bits = 8"), "{text}");
    assert_eq!(report.json()["well"], false);
    assert_eq!(report.json()["kernels"][1]["verdict"]["wrong"], "number 3 of x is 1 where 2 should be");
}

#[test]
fn without_an_adapter_it_says_what_to_install() {
    let options = Options { device: device("no such adapter"), ..Options::default() };
    let report = examine(&options).unwrap();
    assert!(!report.is_well() && report.kernels.is_empty());
    let text = report.text();
    for part in ["no such adapter", "apt-get install", "dnf install", "pacman -S", "NVIDIA"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
