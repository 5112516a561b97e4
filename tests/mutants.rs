//! Kernels with one operator changed must fail against the oracle: what the tests compare can tell.
//!
//! Every line of a kernel's file that holds one of [`OPERATORS`] is changed in turn, alone, in the text that a
//! plan is about to compile; the few whose change makes no difference are listed with the reason. Shader checks
//! are on, so that a mutant may stray but not crash. The optimizers' mutants are in `src/optim/tests.rs`.

mod adapter;
mod oracle;

use downhill::gpu::{Family, wgsl};
use downhill::kernel::{ProductTiles, Target};
use downhill::nn::loss;
use downhill::plan::{Memory, Plan, Program, Ring, Sink, input_buffer};
use downhill::{Gpu, GpuOptions, Graph, Tensor};
use oracle::{Array, draw, elementwise as el, matmul, reduce, view};
use rand::SeedableRng;

/// What is changed to what. The first of a line's operators that applies, from each place in this list.
const OPERATORS: &[(&str, &str)] = &[
    (" += ", " -= "),
    (" - ", " + "),
    (" + ", " - "),
    (" * ", " + "),
    (" / ", " * "),
    (" % ", " / "),
    (" < ", " > "),
    (" == ", " != "),
    ("0.5", "0.25"),
];

type StepPlan = Box<dyn Fn(&[Tensor]) -> Vec<Tensor>>;

/// One computation: inputs by name, graph, and what it must give, with the tolerance of each element.
struct Case {
    inputs: Vec<(&'static str, Array)>,
    labels: Option<Array>,
    build: StepPlan,
    want: Vec<Array>,
    tiles: ProductTiles,
    side_by_side: bool,
}

fn case(
    inputs: Vec<(&'static str, Array)>,
    build: impl Fn(&[Tensor]) -> Vec<Tensor> + 'static,
    want: Vec<Array>,
) -> Case {
    let tiles = ProductTiles::Predicted;
    Case { inputs, labels: None, build: Box::new(build), want, tiles, side_by_side: false }
}

/// A case as a plan.
fn planned(case: &Case, target: Target) -> Plan {
    let graph = Graph::new();
    let mut tensors: Vec<Tensor> =
        case.inputs.iter().map(|(name, a)| graph.input(name, &a.shape[..])).collect();
    tensors.extend(case.labels.iter().map(|a| graph.input_i32("labels", &a.shape[..])));
    let outputs = (case.build)(&tensors);
    let sinks: Vec<(Tensor, Sink)> =
        outputs.into_iter().enumerate().map(|(i, t)| (t, Sink::Buffer(format!("output {i}")))).collect();
    let ring = Ring { columns: 0, rows: 0 };
    let target = Target { side_by_side: case.side_by_side, tiles: case.tiles, ..target };
    Plan::new(&graph, &sinks, ring, target).expect("a plan")
}

/// A case planned once, its buffers filled; run with any change to its kernels' text.
struct Bench<'a> {
    gpu: &'a Gpu,
    plan: Plan,
    memory: Memory,
    want: &'a [Array],
}

impl<'a> Bench<'a> {
    fn new(gpu: &'a Gpu, case: &'a Case) -> Self {
        let mut plan = planned(case, Target::for_gpu(gpu));
        let mut words: Vec<(&str, Vec<u8>)> = Vec::new();
        for (name, array) in &case.inputs {
            words.push((name, array.to_f32().iter().flat_map(|x| x.to_le_bytes()).collect()));
        }
        if let Some(labels) = &case.labels {
            words.push(("labels", labels.to_i32().iter().flat_map(|x| x.to_le_bytes()).collect()));
        }
        for (name, bytes) in &words {
            plan.buffer(&input_buffer(name), (bytes.len() as u64).next_multiple_of(16));
        }
        let memory = Memory::allocate(gpu, &Memory::plan([&plan])).expect("memory");
        for (name, bytes) in &words {
            gpu.write(memory.get(&input_buffer(name)), 0, bytes);
        }
        Bench { gpu, plan, memory, want: &case.want }
    }

    /// Whether the kernels with `change` made to their text give what they must; `None` where none has the text.
    fn passes(&self, change: impl Fn(&str) -> Option<String>) -> Option<bool> {
        let mut plan = self.plan.clone();
        let mut changed = false;
        for step in &mut plan.steps {
            if let Some(text) = change(&step.kernel.wgsl) {
                step.kernel.wgsl = text;
                changed = true;
            }
        }
        if !changed {
            return None;
        }
        let program = Program::new(self.gpu, &plan, &self.memory).expect("a mutant that compiles");
        // What a run before it left must not pass for its own.
        for buffer in plan.buffers.iter().filter(|b| !b.name.starts_with("input ")) {
            let buffer = self.memory.get(&buffer.name);
            self.gpu.write(buffer, 0, &vec![0xcd; buffer.bytes() as usize]);
        }
        let mut recorder = self.gpu.recorder();
        recorder.pass(&program.dispatches, 1);
        recorder.submit().expect("a submission");
        let within = |(i, want): (usize, &Array)| {
            let buffer = self.memory.get(&format!("output {i}"));
            let bytes = pollster::block_on(self.gpu.read(buffer, 0, want.len() as u64 * 4)).expect("bytes");
            let got = bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b)));
            // About thirty roundings; a NaN is outside.
            let near = |(got, want): (f64, &f64)| (got - want).abs() <= 2e-6 * (1.0 + want.abs());
            got.zip(&want.data).all(near)
        };
        Some(self.want.iter().enumerate().all(within))
    }
}

fn gpu(family: Family) -> Gpu {
    adapter::open_with(GpuOptions { shader_checks: true, family: Some(family), ..GpuOptions::default() })
}

/// The line with its `place`th operator of this kind changed.
fn mutated(line: &str, (from, to): (&str, &str)) -> Option<String> {
    let code = line.split("//").next().unwrap_or_default();
    let at = code.find(from)?;
    Some(format!("{}{to}{}", &line[..at], &line[at + from.len()..]))
}

/// Runs every mutant of `lines` on all of `cases`: one of them must see it.
///
/// `spared`: parts of lines that may change without a difference, and why.
fn hunt(file: &str, family: Family, lines: &[&str], cases: &[Case], spared: &[(&str, &str)]) {
    if !adapter::families().contains(&family) {
        return;
    }
    let gpu = gpu(family);
    let benches: Vec<Bench<'_>> = cases.iter().map(|case| Bench::new(&gpu, case)).collect();
    for (i, bench) in benches.iter().enumerate() {
        assert_eq!(bench.passes(|text| Some(text.to_owned())), Some(true), "{file}: case {i} as it is");
    }
    // All of them take minutes: DOWNHILL_CASES=7 runs all, and DOWNHILL_SEED takes others.
    let every = if lines.len() > 40 { (7 / draw::cases(1)).max(1) } else { 1 };
    let mut number = draw::env::<usize>("DOWNHILL_SEED").unwrap_or(0);
    let (mut killed, mut survivors) = (0, Vec::new());
    let mut seen = Vec::new();
    for &line in lines {
        // A line that occurs twice is changed in both places.
        if seen.contains(&line) || spared.iter().any(|(part, _)| line.contains(part)) {
            continue;
        }
        seen.push(line);
        for &operator in OPERATORS {
            let Some(mutant) = mutated(line, operator) else { continue };
            let with_ends = |line: &str| format!("\n{line}\n");
            let (from, to) = (with_ends(line), with_ends(&mutant));
            let change = |text: &str| text.contains(&from).then(|| text.replace(&from, &to));
            number += 1;
            if !number.is_multiple_of(every) {
                continue;
            }
            let mut met = false;
            let seen = benches.iter().any(|bench| {
                let passes = bench.passes(change);
                met |= passes.is_some();
                passes == Some(false)
            });
            assert!(met, "{file}: no case has the line {line}");
            if seen {
                killed += 1;
            } else {
                survivors.push(format!("{}   {operator:?}", line.trim()));
            }
        }
    }
    println!("{file}: {killed} mutants seen");
    assert!(killed > 0, "{file}: no mutant");
    assert!(survivors.is_empty(), "{file}: nobody sees\n{}", survivors.join("\n"));
}

/// The code of a file from `start` on, without declarations.
fn body(file: &str, start: &str) -> Vec<&'static str> {
    let text = wgsl::source(file).expect("a shader");
    let at = text.find(start).unwrap_or_else(|| panic!("{file} has no {start}"));
    let code = |line: &&str| !line.trim_start().starts_with("//") && !line.contains("override ");
    text[at..].lines().filter(code).collect()
}

fn uniform(seed: u64, shape: &[usize]) -> Array {
    // Whole sixteenths: products and their sums are exact.
    draw::uniform(&mut draw::Rng::seed_from_u64(seed), shape, -2.0, 2.0).map(|x| (x * 16.0).round() / 16.0)
}

/// A product [lead, m, k] by [k, n], each operand transposed or not.
fn product(lead: &[usize], [m, n, k]: [usize; 3], transposed: [bool; 2]) -> Case {
    let side = |rows, columns, swap: bool| if swap { [columns, rows] } else { [rows, columns] };
    let a = uniform(1, &[lead, &side(m, k, transposed[0])].concat());
    let b = uniform(2, &[lead, &side(k, n, transposed[1])].concat());
    let turned = |x: &Array, swap: bool| if swap { view::transpose(x, -1, -2) } else { x.clone() };
    let want = matmul::matmul(&turned(&a, transposed[0]), &turned(&b, transposed[1]));
    let build = move |x: &[Tensor]| {
        let turned = |x: &Tensor, swap: bool| if swap { x.transpose(-1, -2) } else { x.clone() };
        vec![turned(&x[0], transposed[0]).matmul(&turned(&x[1], transposed[1]))]
    };
    case(vec![("a", a), ("b", b)], build, vec![want])
}

/// The gradients of a dense layer, [rows, outputs] by [rows, inputs]: dW, and db as a sum of rows on the side.
fn backward(rows: usize, outputs: usize, inputs: usize) -> Case {
    let (x, dy) = (uniform(3, &[rows, inputs]), uniform(4, &[rows, outputs]));
    let want = vec![matmul::matmul(&view::transpose(&dy, 0, 1), &x), reduce::sum(&dy, &[0], false)];
    let build = |t: &[Tensor]| vec![t[1].transpose(0, 1).matmul(&t[0]), t[1].sum(&[0], false)];
    case(vec![("x", x), ("dy", dy)], build, want)
}

/// Reading a row or column past the edge is what these keep from; what would come of it is never stored.
const EDGES: &[(&str, &str)] = &[
    ("min(", "keeps a load inside, of what is not stored"),
    ("row + 0u", "adds nothing"),
    ("i += THREADS * THREADS", "a shorter stride loads elements again"),
];

#[test]
fn matmul_subgroup_any() {
    let cases = [
        product(&[], [19, 11, 7], [false, false]),
        product(&[2], [17, 9, 13], [true, true]),
        product(&[], [3, 2, 45_003], [false, false]),
        backward(13, 18, 9),
        backward(13, 18, 7),
    ];
    hunt("matmul_subgroup_any", Family::Subgroup, &body("matmul_subgroup_any", "\nfn store"), &cases, EDGES);
}

#[test]
fn matmul_subgroup_n() {
    let cases = [
        product(&[], [20, 36, 12], [false, false]),
        product(&[2], [12, 8, 15], [true, false]),
        product(&[], [4, 4, 45_004], [false, false]),
        backward(18, 20, 20),
        backward(20, 36, 20),
        backward(24, 20, 68),
    ];
    hunt("matmul_subgroup_n", Family::Subgroup, &body("matmul_subgroup_n", "\nfn store"), &cases, EDGES);
}

#[test]
fn matmul_subgroup_nt() {
    let cases = [
        product(&[], [19, 27, 12], [false, true]),
        product(&[2], [5, 20, 8], [false, true]),
        product(&[], [3, 5, 45_004], [false, true]),
    ];
    hunt("matmul_subgroup_nt", Family::Subgroup, &body("matmul_subgroup_nt", "\nfn store"), &cases, EDGES);
}

#[test]
fn matmul_tiled() {
    let cases = [
        product(&[], [37, 35, 21], [false, false]),
        product(&[2], [5, 33, 19], [true, true]),
        product(&[2], [3, 4, 1100], [false, true]),
        backward(21, 37, 9),
    ]
    .map(|case| Case { tiles: ProductTiles::Plain, ..case });
    hunt("matmul_tiled", Family::Tiled, &body("matmul_tiled", "\nfn store"), &cases, EDGES);
}

/// The lines of the texts that are printed for these cases, each once, from `start` on.
fn printed(cases: &[Case], entry: &str, start: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for case in cases {
        let plan = planned(case, Target::new(Family::Tiled));
        for step in plan.steps.iter().filter(|step| step.kernel.entry == entry) {
            let text = &step.kernel.wgsl;
            let start = text.find(start).unwrap_or_else(|| panic!("{entry} has no {start}"));
            let code = |line: &&str| !line.trim_start().starts_with("//") && !line.contains("override ");
            for line in text[start..].lines().filter(code) {
                if !lines.iter().any(|known| known == line) {
                    lines.push(line.to_owned());
                }
            }
        }
    }
    lines
}

#[test]
fn matmul_block() {
    let cases = [
        product(&[], [37, 35, 21], [false, false]),
        product(&[2], [5, 33, 19], [true, true]),
        product(&[], [3, 4, 300], [false, true]),
        product(&[], [36, 36, 40], [true, true]),
        product(&[2], [64, 32, 48], [false, true]),
        product(&[], [12, 12, 130_004], [true, false]),
        product(&[2], [5, 9, 19], [false, false]),
        backward(21, 37, 9),
        backward(132, 12, 8),
        backward(40, 36, 28),
    ];
    let lines = printed(&cases, "matmul_block", "\nfn store");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let spared = [
        ("(s ^ ", "another order of the same cells; src/kernel/matmul/block/tests.rs sees its banks"),
        ("if (x == 0u)", "all invocations of a row have its sum"),
        (
            "(i / 4u)",
            "rows past the fourth, which the tiles of these cases lack; tests/matmul_block.rs has them",
        ),
        ("(j / 4u)", "columns past the fourth, the same"),
    ];
    hunt("matmul_block", Family::Tiled, &lines, &cases, &[EDGES, &spared].concat());
}

/// Grids past 65,535 workgroups are run by `tests/gradients/long.rs`.
const FOLDED: &[(&str, &str)] = &[("id.y", "one row of workgroups"), ("group.y", "one row of workgroups")];

fn reductions() -> Vec<Case> {
    [[5, 131, 1], [2, 5003, 1], [3, 70, 2], [70, 3, 1], [1, 2, 1], [3, 200_001, 1]]
        .into_iter()
        .flat_map(|shape| {
            let x = uniform(5, &shape).map(|x| x * 0.25);
            let sum = case(
                vec![("x", x.clone())],
                |x| vec![x[0].sum(&[1], false)],
                vec![reduce::sum(&x, &[1], false)],
            );
            let amax = case(
                vec![("x", x.clone())],
                |x| vec![x[0].amax(&[1], false)],
                vec![reduce::amax(&x, &[1], false)],
            );
            [sum, amax]
        })
        .collect()
}

#[test]
fn reduce_fold() {
    let lines = body("reduce", "\nfn reduce_fold");
    hunt("reduce", Family::Subgroup, &lines, &reductions(), FOLDED);
}

#[test]
fn reduce_rows_fold() {
    let lines = body("reduce_rows", "\nfn reduce_rows_fold");
    let spared = [
        ("min(i / PARTS", "only groups past the last"),
        ("lane == 0u && inside", "the other lanes would write the same"),
    ];
    hunt("reduce_rows", Family::Tiled, &lines, &reductions(), &[FOLDED, &spared].concat());
}

/// x - mean and its variance over some axes, with both numbers a row: two passes, numbers of a row, and outputs of both kinds.
fn normalised(shape: &[usize], axes: &[isize]) -> Case {
    let x = uniform(8, shape);
    let mean = reduce::mean(&x, axes, true);
    let wide = |row: &Array| view::broadcast_to(row, shape);
    let centred = el::zip(&x, &wide(&mean), |x, mean| x - mean);
    let var = reduce::mean(&centred.map(|x| x * x), axes, true);
    let y = el::zip(&centred, &wide(&var), |x, var| x / (var + 0.5).sqrt());
    let want = vec![y, el::zip(&mean, &var, |mean, var| mean + var), reduce::amax(&x, axes, true)];
    let axes = axes.to_vec();
    let build = move |t: &[Tensor]| {
        let mean = t[0].mean(&axes, true);
        let centred = t[0].sub(&mean);
        let var = centred.square().mean(&axes, true);
        let y = centred.mul(&var.add_scalar(0.5).pow_scalar(-0.5));
        vec![y, mean.add(&var), t[0].amax(&axes, true)]
    };
    case(vec![("x", x)], build, want)
}

#[test]
fn reduce_chain() {
    let cases =
        [normalised(&[40, 70], &[1]), normalised(&[6, 5, 31, 3], &[0, 2]), normalised(&[3, 300], &[1])];
    let lines = printed(&cases, "reduce_chain_fold", "\nfn value");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let spared = [
        ("group.y", "one row of workgroups"),
        ("min(row", "only groups past the last"),
        ("row < OUTPUTS", "there are no groups past the last"),
        ("lane == 0u", "the other lanes would write the same"),
        ("tree2[lane] = fold2", "a largest value is the same, however often it is met"),
    ];
    hunt("reduce_chain", Family::Tiled, &lines, &cases, &spared);
}

/// A batched product by a tile, an elementwise value, sums of few numbers, and in workgroups of 64 sums of many: none reads
/// another.
fn beside_each_other(index: usize, with_rows: bool) -> Case {
    let (a, b) = (uniform(9, &[3, 100, 40]), uniform(10, &[3, 40, 50]));
    let c = uniform(11, &[130, 3]).map(|x| x * 0.25);
    let few = reduce::sum(&c, &[1], false);
    let mut want = vec![matmul::matmul(&a, &b), b.map(|x| x * 0.5 + 1.0), few];
    want.extend(with_rows.then(|| reduce::sum(&a, &[2], false)));
    let build = move |t: &[Tensor]| {
        let few = t[2].sum(&[1], false);
        let mut all = vec![t[0].matmul(&t[1]), t[1].mul_scalar(0.5).add_scalar(1.0), few];
        all.extend(with_rows.then(|| t[0].sum(&[2], false)));
        all
    };
    let tiles = ProductTiles::Given { index, parts: 1 };
    Case { side_by_side: true, tiles, ..case(vec![("a", a), ("b", b), ("c", c)], build, want) }
}

#[test]
fn side_by_side() {
    let cases = [beside_each_other(2, true), beside_each_other(1, false)];
    for case in &cases {
        assert_eq!(planned(case, Target::new(Family::Tiled)).steps.len(), 1, "one dispatch");
    }
    let lines = printed(&cases, "side_by_side", "\nfn side_by_side");
    let start = |line: &&String| ["all_", "own_group", "small_"].iter().any(|name| line.contains(name));
    let lines: Vec<&str> = lines.iter().filter(start).map(String::as_str).collect();
    let spared = [("- 0u", "subtracts nothing"), ("all_groups.y", "one row of workgroups")];
    hunt("side_by_side", Family::Tiled, &lines, &cases, &spared);
}

#[test]
fn cross_entropy() {
    let (rows, classes) = (70, 7);
    let mut cases = Vec::new();
    for (smoothing, ignored) in [(0.0, None), (0.25, Some(3))] {
        let x = uniform(6, &[rows, classes]);
        let labels = Array::from_fn(&[rows], |i| (i[0] * 5 % classes) as f64);
        let options = loss::CrossEntropy { label_smoothing: smoothing as f32, ignore_index: ignored };
        let f =
            move |x: &Array, t: &Array| oracle::loss::cross_entropy(x, t, smoothing, ignored.map(i64::from));
        let want = f(&x, &labels);
        let gradient = {
            let labels = labels.clone();
            let value = move |inputs: &[Array]| f(&inputs[0], &labels).item();
            oracle::difference::numeric_grad(&value, std::slice::from_ref(&x), 0)
        };
        // The gradient is a hundredth of the loss and less: enlarged, so that the tolerance sees it.
        let enlarged = gradient.map(|g| g * 64.0);
        let build = move |t: &[Tensor]| {
            let loss = loss::cross_entropy(&t[0], &t[1], &options);
            let gradient = t[0].graph().grad(&loss.mul_scalar(64.0), &[&t[0]]).swap_remove(0);
            vec![loss, gradient]
        };
        // Alone, it is another entry point.
        let alone = move |t: &[Tensor]| build(t).split_off(1);
        let labels = Some(labels);
        cases.push(Case {
            labels: labels.clone(),
            ..case(vec![("x", x.clone())], alone, vec![enlarged.clone()])
        });
        cases.push(Case { labels, ..case(vec![("x", x)], build, vec![want, enlarged]) });
    }
    // So far apart that only the largest may be subtracted.
    let x = uniform(7, &[rows, classes]).map(|x| x * 60.0);
    let labels = Array::from_fn(&[rows], |i| (i[0] * 3 % classes) as f64);
    let want = oracle::loss::cross_entropy(&x, &labels, 0.0, None);
    let build = |t: &[Tensor]| vec![loss::cross_entropy(&t[0], &t[1], &loss::CrossEntropy::default())];
    cases.push(Case { labels: Some(labels), ..case(vec![("x", x)], build, vec![want]) });
    let spared = [FOLDED, &[("clamp(t, 0", "a label past the last class, refused before")]].concat();
    hunt("cross_entropy", Family::Subgroup, &body("cross_entropy", "\nfn open_row"), &cases, &spared);
}

/// The lines of one function of `shared/math.wgsl`.
fn function(name: &str) -> Vec<&'static str> {
    let text = wgsl::source("shared/math").expect("math");
    let at = text.find(&format!("\nfn {name}(")).unwrap_or_else(|| panic!("no function {name}"));
    let end = text[at..].find("\n}").expect("its end");
    text[at..at + end].lines().collect()
}

/// Bits that count for small results alone.
const SMALL: &str = "measured in tests/functions.rs, near multiples of pi/2";

/// Infinities and NaN are compared in `tests/golden/ops.rs`.
const MATH: &[(&str, &str)] = &[
    ("1.44269504 + 0.5", "another multiple of ln 2 is as good, within the polynomial's reach"),
    ("infinity_bits", "past the largest f32"),
    ("tiny", "subnormals, which an adapter may flush to zero"),
    ("nan_bits", "NaN"),
    ("2.563344068257090e-12", SMALL),
    ("below", SMALL),
    ("size_", SMALL),
    ("let leading", SMALL),
    ("let low =", SMALL),
    ("clamp(y_head", "another power of two is as good"),
];

#[test]
fn chain_and_math() {
    // Dense over where a function's branches meet, with points of every size beside.
    let grid = |low: f64, high: f64| {
        Array::from_fn(&[997], |i| f64::from((low + (high - low) * i[0] as f64 / 996.0) as f32))
    };
    let unary = |low, high, build: fn(&Tensor) -> Tensor, f: fn(f64) -> f64| {
        let x = grid(low, high);
        let want = x.map(f);
        case(vec![("x", x)], move |t| vec![build(&t[0])], vec![want])
    };
    let table: Vec<(&str, Vec<Case>)> = vec![
        ("exp_", vec![unary(-20.0, 2.0, |x| x.exp(), f64::exp)]),
        ("log_", vec![unary(0.01, 9.0, |x| x.log(), f64::ln)]),
        ("sin_", vec![unary(-9.0, 9.0, |x| x.sin(), f64::sin)]),
        ("cos_", vec![unary(-9.0, 9.0, |x| x.cos(), f64::cos)]),
        ("sin_poly", vec![unary(-0.7, 0.7, |x| x.sin(), f64::sin)]),
        ("cos_poly", vec![unary(-0.7, 0.7, |x| x.cos(), f64::cos)]),
        ("sigmoid", vec![unary(-9.0, 9.0, |x| x.sigmoid(), el::sigmoid)]),
        ("tanh_", vec![unary(-9.0, 9.0, |x| x.tanh(), f64::tanh)]),
        ("erf", vec![unary(-4.5, 4.5, |x| x.gelu(), el::gelu)]),
        ("softplus", vec![unary(-9.0, 9.0, |x| x.softplus(2.0, 6.0), |x| el::softplus(x, 2.0, 6.0))]),
        ("log1p_", vec![unary(-19.0, 9.0, |x| x.softplus(1.0, 20.0), |x| el::softplus(x, 1.0, 20.0))]),
        ("turn_small", vec![unary(-900.0, 900.0, |x| x.sin(), f64::sin)]),
        (
            "turn_large",
            vec![unary(-3e38, 3e38, |x| x.sin(), f64::sin), unary(-9e4, 9e4, |x| x.cos(), f64::cos)],
        ),
        (
            "pow_positive",
            vec![
                unary(0.72, 1.4, |x| x.pow_scalar(250.0), |x| x.powf(250.0)),
                unary(0.95, 1.05, |x| x.pow_scalar(700.0), |x| x.powf(700.0)),
            ],
        ),
        ("expm1_", vec![unary(-6.0, 0.1, |x| x.elu(1.0), |x| el::elu(x, 1.0))]),
    ];
    for (name, cases) in &table {
        hunt(name, Family::Subgroup, &function(name), cases, MATH);
    }
    let x = grid(-3.0, 3.0);
    let want = x.map(|x| x * 2.0 + 1.0);
    let chain = case(vec![("x", x)], |t| vec![&t[0] * 2.0 + 1.0], vec![want]);
    hunt("chain", Family::Subgroup, &body("chain", "\nfn chain_map"), &[chain], FOLDED);
}
