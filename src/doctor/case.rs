//! One test of a kernel: a plan, the contents of its buffers before it, and the contents required after it.

use super::graph::{STATE as WORDS, evaluate};
use crate::check::Near;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, wgsl};
use crate::graph::{DType, Graph, Tensor};
use crate::kernel::feed::{STATE, STATE_BYTES};
use crate::kernel::update::PARAMETERS;
use crate::kernel::{Kernel, Target};
use crate::plan::{METRICS, Memory, Plan, Program, Replicas, Ring, Shared, Sink, input_buffer};
use crate::shape::Shape;

/// The required numbers of a buffer.
#[derive(Debug, Clone)]
pub(super) enum Want {
    /// f32, each within its bound.
    Numbers(Vec<Near>),
    /// Two f16 a word, each within its bound.
    Halves(Vec<Near>),
    /// Exactly these words.
    Words(Vec<u32>),
    /// Four codes a word. Each is the whole number nearest to this number, which f32 computes within its bound.
    Codes(Vec<Near>),
}

/// The required contents of a part of a buffer.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub buffer: String,
    /// First byte.
    pub offset: u64,
    pub want: Want,
}

/// A test of a kernel.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// The kernel's file below `shaders/`.
    pub kernel: String,
    /// The variant, for the report of a failure.
    pub what: String,
    pub plan: Plan,
    /// Initial bytes of buffers by name.
    pub given: Vec<(String, Vec<u8>)>,
    pub claims: Vec<Claim>,
}

/// The number nearest to its bound.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Worst {
    /// The number found, the number wanted, their difference, and the bound.
    pub got: f64,
    pub want: f64,
    pub off: f64,
    pub bound: f64,
}

impl Worst {
    /// The difference as a share of the bound; more than 1 is wrong.
    pub fn share(&self) -> f64 {
        match self.off {
            off if off <= self.bound => off / self.bound.max(f64::MIN_POSITIVE),
            off if off.is_nan() => f64::INFINITY,
            off if self.bound > 0.0 => off / self.bound,
            _ => f64::INFINITY,
        }
    }
}

/// The result of a case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    /// Over all claims.
    pub worst: Worst,
    /// The finding in words, where a number is wrong.
    pub fault: Option<String>,
}

/// f32s as bytes.
pub(super) fn bytes(numbers: &[f32]) -> Vec<u8> {
    bytemuck::cast_slice(numbers).to_vec()
}

/// Words as bytes.
pub(super) fn word_bytes(words: &[u32]) -> Vec<u8> {
    bytemuck::cast_slice(words).to_vec()
}

/// Numbers that must be exact.
pub(super) fn exact(numbers: &[f32]) -> Vec<Near> {
    numbers.iter().map(|x| Near::exact(*x)).collect()
}

impl Case {
    /// A test of kernels of the engine, in order, whose buffers have these sizes.
    pub fn of_kernels(
        kernel: &str,
        what: &str,
        kernels: Vec<Kernel>,
        given: Vec<(&str, Vec<u8>)>,
        sizes: &[(&str, u64)],
        claims: Vec<Claim>,
    ) -> Case {
        let mut plan = Plan::default();
        let mut all: Vec<(&str, u64)> =
            given.iter().map(|(name, bytes)| (*name, bytes.len() as u64)).collect();
        all.extend(sizes);
        kernels.into_iter().for_each(|k| plan.add_kernel_after(k, "", Shape::default(), &all));
        let given = given.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        Case { kernel: kernel.into(), what: what.into(), plan, given, claims }
    }

    /// Its entry points.
    pub fn entries(&self) -> impl Iterator<Item = &'static str> {
        self.plan.steps.iter().flat_map(|step| step.kernel.each()).map(|kernel| kernel.entry)
    }

    /// Runs the kernels of a plan, which is the case's own or one for several nets, each of which is given the same.
    fn executed(&self, gpu: &Gpu, plan: &Plan, replicas: Option<&Replicas>) -> Result<Memory> {
        let memory = Memory::allocate(gpu, &Memory::plan([plan]))?;
        for buffer in &plan.buffers {
            // An unwritten number must not pass for a wanted zero.
            let Some(buffer) = memory.find(&buffer.name) else { continue };
            gpu.write(buffer, 0, &vec![0xcd; buffer.bytes() as usize]);
        }
        let write = |name: &str, bytes: &[u8]| {
            let stride = replicas.map_or(0, |replicas| replicas.stride(name));
            let parts = if stride == 0 { 1 } else { replicas.map_or(1, Replicas::count) as u64 };
            (0..parts).for_each(|part| gpu.write(memory.get(name), part * stride, bytes));
        };
        if memory.find(STATE).is_some() && self.given.iter().all(|(name, _)| name != STATE) {
            write(STATE, bytemuck::cast_slice(&WORDS));
        }
        for (name, words) in &plan.constants {
            write(name, bytemuck::cast_slice(words));
        }
        for (name, bytes) in &self.given {
            write(name, bytes);
        }
        let program = Program::new(gpu, plan, &memory)?;
        let mut recorder = gpu.recorder();
        recorder.pass(&program.dispatches, 1);
        recorder.submit()?;
        Ok(memory)
    }

    /// Its plan with the buffers that it is given.
    fn whole_plan(&self) -> Plan {
        let mut plan = self.plan.clone();
        for (name, bytes) in &self.given {
            plan.buffer(name, bytes.len() as u64);
        }
        plan
    }

    /// Runs the kernels for several nets at once, and compares what each has with what the kernels compute for one: every bit
    /// of what the case claims something about.
    ///
    /// # Errors
    /// As [`Case::run`].
    pub fn run_replicated(&self, gpu: &Gpu, count: usize) -> Result<Outcome> {
        let own = self.whole_plan();
        let shared: Shared = own.constants.iter().map(|(name, _)| (*name).to_owned()).collect();
        let replicas = Replicas::new(count, [(&own, &shared)])?;
        let mut all = own.replicated(&replicas, &shared)?;
        all.read_by(gpu.reads(), u64::MAX, Some(&replicas));
        let mut one = own;
        one.read_by(gpu.reads(), u64::MAX, None);
        let (one, all) = (self.executed(gpu, &one, None)?, self.executed(gpu, &all, Some(&replicas))?);
        let mut outcome = Outcome { worst: Worst::default(), fault: None };
        for claim in &self.claims {
            let (bytes, stride) = (claim.want.bytes(), replicas.stride(&claim.buffer));
            let read = |memory: &Memory, part: u64| {
                pollster::block_on(gpu.read(memory.get(&claim.buffer), part * stride + claim.offset, bytes))
            };
            let wanted = read(&one, 0)?;
            let parts = if stride == 0 { 1 } else { count as u64 };
            for part in 0..parts {
                let found = read(&all, part)?;
                let pairs = found.chunks(4).zip(wanted.chunks(4));
                let differing = pairs.filter(|(a, b)| a != b).count();
                if differing > 0 && outcome.fault.is_none() {
                    outcome.fault = Some(format!(
                        "{}, {}: {differing} of {} words of {} have other bits for net {} of {count} than for one alone; \
                         a sweep here is equal to rounding",
                        self.kernel,
                        self.what,
                        wanted.len() / 4,
                        claim.buffer,
                        part + 1
                    ));
                }
            }
        }
        Ok(outcome)
    }

    /// Runs the kernels and compares the results.
    ///
    /// # Errors
    /// A kernel that does not compile; a lost device.
    pub fn run(&self, gpu: &Gpu) -> Result<Outcome> {
        let mut plan = self.whole_plan();
        plan.read_as(gpu.reads(), Target::for_gpu(gpu).memory.budget);
        let memory = self.executed(gpu, &plan, None)?;
        let mut outcome = Outcome { worst: Worst::default(), fault: None };
        for claim in &self.claims {
            let bytes = claim.want.bytes();
            let read = pollster::block_on(gpu.read(memory.get(&claim.buffer), claim.offset, bytes))?;
            let (at, worst) = claim.want.compare(&read);
            if worst.share() > 1.0 && outcome.fault.is_none() {
                let Worst { got, want, bound, .. } = worst;
                let allowed = if bound > 0.0 {
                    format!("at most {bound:.1e} between them is rounding")
                } else {
                    "it must be exact".into()
                };
                outcome.fault = Some(format!(
                    "{}: number {at} of {} is {got} where {want} should be, and {allowed}",
                    self.what, claim.buffer
                ));
            }
            if worst.share() >= outcome.worst.share() {
                outcome.worst = worst;
            }
        }
        Ok(outcome)
    }
}

/// An f16 as a number.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

impl Want {
    /// Number of bytes compared.
    fn bytes(&self) -> u64 {
        match self {
            Want::Numbers(all) => 4 * all.len() as u64,
            Want::Words(all) => 4 * all.len() as u64,
            Want::Halves(all) => (2 * all.len() as u64).next_multiple_of(4),
            Want::Codes(all) => all.len() as u64,
        }
    }

    /// The number nearest to its bound, and its index.
    fn compare(&self, read: &[u8]) -> (usize, Worst) {
        let of = |got: f64, near: &Near| Worst {
            got,
            want: near.value,
            off: (got - near.value).abs(),
            bound: near.bound,
        };
        let words = || read.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b));
        let all: Vec<Worst> = match self {
            Want::Numbers(wants) => {
                wants.iter().zip(words()).map(|(near, w)| of(f32::from_bits(w).into(), near)).collect()
            }
            Want::Words(wants) => {
                let exact = |word: &u32| Near { value: f64::from(*word), bound: 0.0 };
                wants.iter().zip(words()).map(|(want, w)| of(w.into(), &exact(want))).collect()
            }
            Want::Halves(wants) => {
                let halves = read.as_chunks().0.iter().map(|b| half(u16::from_le_bytes(*b)));
                wants.iter().zip(halves).map(|(near, got)| of(got, near)).collect()
            }
            Want::Codes(wants) => {
                // Codes are signed where some may be negative.
                let signed = wants.iter().any(|near| near.value < 0.0);
                let code = |b: &u8| if signed { f64::from(b.cast_signed()) } else { f64::from(*b) };
                // The distance beyond half the way to the next code.
                let beyond = |worst: Worst| Worst { off: (worst.off - 0.5).max(0.0), ..worst };
                wants.iter().zip(read).map(|(near, b)| beyond(of(code(b), near))).collect()
            }
        };
        let mut worst = (0, Worst::default());
        for (at, here) in all.into_iter().enumerate() {
            if here.share() > worst.1.share() || at == 0 {
                worst = (at, here);
            }
        }
        worst
    }
}

/// An input of a graph and its contents.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub name: &'static str,
    pub shape: Vec<usize>,
    pub numbers: Vec<f32>,
    pub dtype: DType,
}

impl Given {
    /// Numbers of an f32 input.
    pub fn new(name: &'static str, shape: &[usize], numbers: Vec<f32>) -> Given {
        Given { name, shape: shape.to_vec(), numbers, dtype: DType::F32 }
    }

    /// Multiples of a quarter in [−2, 2): products and sums of up to a million of them are exact in f32, in any order.
    pub fn quarters(name: &'static str, shape: &[usize], seed: u64) -> Given {
        let count = shape.iter().product();
        let numbers = crate::check::noise(seed, count, -8.0, 8.0).iter().map(|x| x.floor() / 4.0).collect();
        Given::new(name, shape, numbers)
    }

    /// Numbers of [−1, 1).
    pub fn noise(name: &'static str, shape: &[usize], seed: u64) -> Given {
        Given::new(name, shape, crate::check::noise(seed, shape.iter().product(), -1.0, 1.0))
    }

    /// Whole numbers below `end`, i32.
    pub fn whole(name: &'static str, shape: &[usize], end: usize) -> Given {
        let count = shape.iter().product();
        let numbers = (0..count).map(|i| ((i * 7 + i / 3) % end) as f32).collect();
        Given { dtype: DType::I32, ..Given::new(name, shape, numbers) }
    }

    fn bytes(&self) -> Vec<u8> {
        match self.dtype {
            DType::F32 => bytes(&self.numbers),
            DType::I32 => self.numbers.iter().flat_map(|x| (*x as i32).to_le_bytes()).collect(),
        }
    }
}

/// The bound of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Exact: every intermediate number is an f32, so a correctly rounded operation gives it.
    Exact,
    /// The bound that follows from the operations.
    Rounding,
}

/// A test of a planned graph. Its kernel is the first whose entry point begins with `kernel`.
///
/// # Errors
/// A graph whose shapes do not fit, which is a bug of the test.
pub(super) fn of_graph(
    kernel: &str,
    what: &str,
    target: Target,
    room: Room,
    given: &[Given],
    build: impl Fn(&Graph, &[Tensor]) -> Vec<Tensor>,
) -> Result<Case> {
    of_graph_into(kernel, what, target, (room, |i| Sink::Buffer(format!("result {i}"))), given, build)
}

/// The ring of metrics.
const RING: Ring = Ring { columns: 5, rows: 2 };

/// [`of_graph`] with results in the places that `sink` names: buffers of their own, or columns of the ring.
///
/// # Errors
/// As [`of_graph`].
pub(super) fn of_graph_into(
    kernel: &str,
    what: &str,
    target: Target,
    (room, sink): (Room, fn(usize) -> Sink),
    given: &[Given],
    build: impl Fn(&Graph, &[Tensor]) -> Vec<Tensor>,
) -> Result<Case> {
    let graph = Graph::new();
    let input = |g: &Given| match g.dtype {
        DType::F32 => graph.input(g.name, &g.shape[..]),
        DType::I32 => graph.input_i32(g.name, &g.shape[..]),
    };
    let outputs = build(&graph, &given.iter().map(input).collect::<Vec<_>>());
    graph.check()?;
    let sinks: Vec<(Tensor, Sink)> = outputs.iter().zip(0..).map(|(t, i)| (t.clone(), sink(i))).collect();
    let mut plan = Plan::new(&graph, &sinks, RING, target)?;
    let of_input = |name: &str| given.iter().find(|g| g.name == name).map_or(vec![], |g| exact(&g.numbers));
    // Parameters take their numbers from the inputs of the same names, which may be unread.
    let parameters = graph.parameters();
    let of_parameter = |i: usize| of_input(&parameters[i].name);
    let mut held: Vec<(String, Vec<u8>)> = Vec::new();
    let read: Vec<String> = plan.buffers.iter().map(|b| b.name.clone()).collect();
    let inputs =
        given.iter().map(|g| (input_buffer(g.name), g.bytes())).filter(|(name, _)| read.contains(name));
    held.extend(inputs);
    if !parameters.is_empty() {
        let mut arena = vec![0; plan.arena.bytes as usize];
        for (p, &at) in parameters.iter().zip(&plan.arena.offsets) {
            let numbers = given.iter().find(|g| g.name == p.name).map_or(vec![], Given::bytes);
            arena[at as usize..][..numbers.len()].copy_from_slice(&numbers);
        }
        held.push((PARAMETERS.to_owned(), arena));
    }
    if plan.buffers.iter().any(|b| b.name == STATE) {
        plan.buffer(STATE, STATE_BYTES);
    }
    let mut claims = Vec::new();
    for (i, mut want) in evaluate(&graph, &outputs, &of_input, &of_parameter).into_iter().enumerate() {
        if room == Room::Exact {
            want.iter_mut().for_each(|near| near.bound = 0.0);
        }
        let (buffer, offset) = match sink(i) {
            Sink::Buffer(name) => (name, 0),
            // The open step is the first of its window, whose row is the first.
            Sink::Metric(column) => (METRICS.to_owned(), 4 * column as u64),
            other => return Err(Error::Gpu(format!("\"{what}\" looks at no {other:?}"))),
        };
        claims.push(Claim { buffer, offset, want: Want::Numbers(want) });
    }
    let mut case = Case { kernel: kernel.into(), what: what.into(), plan, given: held, claims };
    let own = case.entries().find(|entry| entry.starts_with(kernel)).map(file_of);
    case.kernel = own.ok_or_else(|| Error::Gpu(format!("\"{what}\" runs no kernel {kernel}")))?.to_owned();
    Ok(case)
}

/// The shader with this entry point.
pub(super) fn file_of(entry: &str) -> &'static str {
    let start = format!("fn {entry}(");
    wgsl::FILES.iter().find(|(_, text)| text.contains(&start)).map_or("", |(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read() {
        let all = [0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400].map(half);
        assert_eq!(all, [1.0, -2.0, 65504.0, 2f64.powi(-24), 2f64.powi(-14)]);
        assert!(half(0x7e00).is_nan() && half(0xfc00) == f64::NEG_INFINITY);
    }

    #[test]
    fn nothing_that_is_no_number_is_within_a_bound() {
        let near = Near { value: 1.0, bound: 1e30 };
        let (at, worst) = Want::Numbers(vec![near; 2]).compare(&bytes(&[1.5, f32::NAN]));
        assert_eq!((at, worst.share()), (1, f64::INFINITY));
        let (at, worst) = Want::Numbers(exact(&[0.0, 2.0])).compare(&bytes(&[0.0, 2.000_000_2]));
        assert_eq!((at, worst.share()), (1, f64::INFINITY));
        let codes = [Near { value: -3.4, bound: 0.0 }, Near { value: 2.6, bound: 0.0 }];
        assert!(Want::Codes(codes.to_vec()).compare(&[253, 3]).1.share() <= 1.0);
        assert!(Want::Codes(codes.to_vec()).compare(&[252, 3]).1.share() > 1.0);
    }
}
