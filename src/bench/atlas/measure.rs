//! Measures an atlas in about two minutes at most: sizes grow until the next one would take too long.

use std::time::Instant;

use super::date::today;
use super::file::{ATLAS_SCHEMA, Atlas, AtlasAdapter, AtlasOptimizer, AtlasProduct, AtlasVersions, entries};
use crate::bench::bench_context::BenchContext;
use crate::bench::{LaunchBench, MatmulBench, OptimBench, Options, Way, cache};
use crate::error::Result;
use crate::gpu::Gpu;

/// Optimizers: the least an update moves, what most use, and one whose norms come before the update.
const OPTIMIZERS: [&str; 5] = ["sgd", "momentum", "adamw", "lion", "lamb"];
/// Parameters of an update.
const PARAMETERS: [usize; 3] = [1 << 16, 1 << 20, 1 << 24];
const QUICK_PARAMETERS: [usize; 2] = [1 << 12, 1 << 16];
/// Sides of a product.
const SIDES: [usize; 4] = [256, 512, 1024, 2048];
const QUICK_SIDES: [usize; 2] = [64, 128];
/// Seconds of the sizes of a section.
const LIMIT: f64 = 40.0;
/// Turns of a candidate whose turn is longer than a sample: a warm-up of two, and three samples.
const TURNS: f64 = 5.0;
/// Most seconds of all samples of a candidate.
const MOST: f64 = 1.0;

/// Measures an adapter. With quick options, small sizes.
///
/// # Errors
/// A result that is wrong; a lost device.
pub fn atlas(gpu: &Gpu, options: &Options) -> Result<Atlas> {
    let begun = Instant::now();
    let mut options = options.clone();
    options.effort.most = options.effort.most.min(MOST);
    let (launches, _) = LaunchBench::default().measure(gpu, &options)?;
    let context = BenchContext::new(gpu, &options)?;
    let mut left_out = Vec::new();

    let parameters = if options.quick { &QUICK_PARAMETERS[..] } else { &PARAMETERS };
    let fitting = gpu.largest_buffer() / 4;
    let (fits, too_large): (Vec<usize>, Vec<usize>) =
        parameters.iter().copied().partition(|&n| n as u64 <= fitting);
    left_out.extend(too_large.iter().map(|n| format!("updates of {n} parameters: no buffer holds them")));
    let optimizers = within_limit(&fits, 1, &mut left_out, ["updates of", " parameters"], |size| {
        let bench = OptimBench {
            optimizers: OPTIMIZERS.map(str::to_owned).to_vec(),
            sizes: vec![size],
            tensors: vec![1],
        };
        let (sheet, _) = bench.measure(&context, &[Way::Fused], None)?;
        entries(&sheet)
    })?;
    let sides = if options.quick { &QUICK_SIDES[..] } else { &SIDES };
    let products = within_limit(sides, 3, &mut left_out, ["products of side", ""], |side| {
        let (sheet, _) = MatmulBench { sizes: vec![side] }.measure(&context, None)?;
        entries(&sheet)
    })?;
    Ok(Atlas {
        schema: ATLAS_SCHEMA,
        date: today(),
        quick: options.quick,
        seconds: begun.elapsed().as_secs_f64(),
        adapter: adapter(gpu),
        versions: versions(),
        launches: entries(&launches)?,
        roof: context.roof,
        optimizers,
        products,
        sizing: format!(
            "Sizes grow until the next one, predicted from the measured time of the one before, would take its section \
             past {LIMIT} s."
        ),
        left_out,
    })
}

/// An entry that was timed.
trait Timed {
    /// Seconds of a turn.
    fn seconds(&self) -> f64;
}

impl Timed for AtlasOptimizer {
    fn seconds(&self) -> f64 {
        self.wall_seconds
    }
}

impl Timed for AtlasProduct {
    fn seconds(&self) -> f64 {
        self.wall_seconds
    }
}

/// Measures sizes in turn. One whose predicted seconds do not fit into what is left of [`LIMIT`] is left out with those
/// after it. Work grows as the size to the `power`.
fn within_limit<T: Timed>(
    sizes: &[usize],
    power: i32,
    left_out: &mut Vec<String>,
    [what, unit]: [&str; 2],
    mut measure: impl FnMut(usize) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let begun = Instant::now();
    let mut all = Vec::new();
    // The size before, the seconds of its turns, and those of everything about it.
    let mut before: Option<(usize, f64, f64)> = None;
    for (i, &size) in sizes.iter().enumerate() {
        if let Some((last, turns, whole)) = before {
            let needed = predicted(turns, (size as f64 / last as f64).powi(power), whole);
            let left = LIMIT - begun.elapsed().as_secs_f64();
            if needed > left {
                let sizes: Vec<String> = sizes[i..].iter().map(ToString::to_string).collect();
                let sizes = sizes.join(", ");
                left_out.push(format!(
                    "{what} {sizes}{unit}: about {needed:.0} s for the first, and {left:.0} s are left"
                ));
                break;
            }
        }
        let start = Instant::now();
        let entries = measure(size)?;
        let turns = entries.iter().map(Timed::seconds).sum();
        before = Some((size, turns, start.elapsed().as_secs_f64()));
        all.extend(entries);
    }
    Ok(all)
}

/// Seconds that a size takes: the turns of the one before, so many times longer, and what that took in all.
fn predicted(turns: f64, growth: f64, whole: f64) -> f64 {
    whole + TURNS * turns * growth
}

fn adapter(gpu: &Gpu) -> AtlasAdapter {
    let of = gpu.adapter();
    AtlasAdapter {
        name: of.name.clone(),
        driver: of.driver.clone(),
        backend: of.backend.clone(),
        kind: of.kind.name().to_owned(),
        family: format!("{:?}", gpu.family()).to_lowercase(),
        reads: gpu.reads().to_string(),
        subgroups: [of.subgroup_min, of.subgroup_max],
        memory: of.memory,
        cache: cache::last_level(gpu),
        features: of.features.iter().map(|(name, is)| ((*name).to_owned(), *is)).collect(),
        limits: of.limits.iter().map(|(name, limit)| ((*name).to_owned(), *limit)).collect(),
    }
}

fn versions() -> AtlasVersions {
    // Linux alone has this file.
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    AtlasVersions {
        downhill: env!("CARGO_PKG_VERSION").to_owned(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        processor: name.map(|(_, name)| name.trim().to_owned()),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two entries of half of these seconds each.
    struct Half(f64);

    impl Timed for Half {
        fn seconds(&self) -> f64 {
            self.0 / 2.0
        }
    }

    #[test]
    fn sizes_grow_until_the_next_takes_too_long() {
        let mut left_out = Vec::new();
        let measured = |seconds: f64, left_out: &mut Vec<String>| {
            let of = |size: usize| Ok(vec![Half(seconds * (size * size) as f64), Half(0.0)]);
            within_limit(&[1, 2, 4, 8], 2, left_out, ["things of", " kg"], of).unwrap().len() / 2
        };
        // 8: five turns of 0.05 x 64 / 2 seconds.
        assert_eq!((measured(0.05, &mut left_out), left_out.as_slice()), (4, &[][..]));
        // 4: five turns of 16 / 2 seconds would be the whole limit; 2: ten seconds.
        assert_eq!(measured(1.0, &mut left_out), 2);
        assert_eq!(left_out, ["things of 4, 8 kg: about 40 s for the first, and 40 s are left"]);
    }

    #[test]
    fn the_first_size_is_always_measured() {
        let mut left_out = Vec::new();
        let of = |_| Ok(vec![Half(1e9)]);
        assert_eq!(within_limit(&[1, 2], 1, &mut left_out, ["things of", " kg"], of).unwrap().len(), 1);
        assert!(left_out[0].starts_with("things of 2 kg: about "), "{left_out:?}");
    }
}
