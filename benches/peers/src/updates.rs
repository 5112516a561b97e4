//! A library's optimizer, served to `optimizers.py`: checked steps first, then blocks of steps to be timed.
//!
//! See README.md, "The protocol". Burn's program and candle's share this file.

use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

use serde_json::{Value, json};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Streams of [`noise`].
pub const PARAMETERS: u64 = 0;
const GRADIENTS: u64 = 1;
const OTHER_GRADIENTS: u64 = 2;

/// The first `count` numbers of a stream, SplitMix64's to [-1, 1), and their cubes for gradients: as in `noise.py`.
pub fn noise(stream: u64, count: usize) -> Vec<f32> {
    (0..count as u64)
        .map(|at| {
            let mut z = (at + (stream << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            let v = (z >> 40) as f32 / (1 << 23) as f32 - 1.0;
            if stream == PARAMETERS { v } else { v * v * v }
        })
        .collect()
}

/// What is asked for, from the JSON of the command line.
pub struct Job {
    pub optimizer: String,
    /// Elements of a tensor.
    pub each: usize,
    pub tensors: usize,
    /// Sets of parameters, gradients and state that steps go through in turn.
    sets: usize,
    /// Steps that are checked, on the first set.
    steps: usize,
    /// Where the parameters go after them, as f32.
    file: String,
    settings: Value,
}

impl Job {
    /// From the one argument of this program.
    pub fn read() -> Result<Job> {
        let text =
            std::env::args().nth(1).ok_or("which job? One argument is needed, of JSON: see optimizers.py")?;
        let job: Value = serde_json::from_str(&text)?;
        let word = |key: &str| {
            job[key]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("the job has no text \"{key}\": {text}"))
        };
        let count = |key: &str| {
            let number =
                job[key].as_u64().ok_or_else(|| format!("the job has no whole number \"{key}\": {text}"));
            number.map(|n| n as usize)
        };
        Ok(Job {
            optimizer: word("optimizer")?,
            each: count("each")?,
            tensors: count("tensors")?,
            sets: count("sets")?,
            steps: count("steps")?,
            file: word("file")?,
            settings: job["settings"].clone(),
        })
    }

    /// A setting of the optimizer.
    pub fn number(&self, key: &str) -> Result<f64> {
        let number = self.settings[key].as_f64();
        number.ok_or_else(|| format!("{} needs a number \"{key}\": {}", self.optimizer, self.settings).into())
    }

    pub fn betas(&self) -> Result<[f64; 2]> {
        let betas = &self.settings["betas"];
        match (betas[0].as_f64(), betas[1].as_f64()) {
            (Some(first), Some(second)) => Ok([first, second]),
            _ => Err(format!("{} needs two numbers \"betas\": {}", self.optimizer, self.settings).into()),
        }
    }
}

/// A library, with the optimizer that was asked for.
pub trait Library {
    /// Parameters with the state of their optimizer.
    type Set;
    /// Gradients of a set.
    type Gradients;

    /// `engine`, `version`, `device`, and `scalars`: "f32" where the scalars of a step are computed in that.
    fn facts(&self) -> Value;
    fn set(&self) -> Result<Self::Set>;
    fn gradients(&self, set: &Self::Set, stream: u64) -> Result<Self::Gradients>;
    /// One update, begun.
    fn step(&self, set: &mut Self::Set, gradients: &Self::Gradients) -> Result<()>;
    /// Returns when all updates are done.
    fn wait(&self) -> Result<()>;
    /// All parameters of a set, one tensor after the other.
    fn parameters(&self, set: &Self::Set) -> Result<Vec<f32>>;
}

/// Says that the library does not have the optimizer.
pub fn unsupported(engine: &str, job: &Job) {
    println!("{}", json!({ "engine": engine, "unsupported": job.optimizer }));
}

/// Answers until standard input ends.
pub fn serve<L: Library>(library: &L, job: &Job) -> Result<()> {
    let mut sets = (0..job.sets)
        .map(|_| {
            let set = library.set()?;
            let gradients = library.gradients(&set, GRADIENTS)?;
            Ok((set, gradients))
        })
        .collect::<Result<Vec<_>>>()?;
    let (first, gradients) = &mut sets[0];
    let other = library.gradients(first, OTHER_GRADIENTS)?;
    for step in 0..job.steps {
        library.step(first, if step % 2 == 0 { gradients } else { &other })?;
    }
    library.wait()?;
    println!("{}", library.facts());
    let bytes: Vec<u8> = library.parameters(first)?.into_iter().flat_map(f32::to_le_bytes).collect();
    std::fs::write(&job.file, bytes)?;
    drop(other);
    // The first update of a set makes its state.
    for (set, gradients) in &mut sets {
        library.step(set, gradients)?;
        library.step(set, gradients)?;
    }
    library.wait()?;
    println!("{}", json!({ "checked": job.steps }));
    let mut at = 0;
    for line in std::io::stdin().lock().lines() {
        let steps: usize = line?.trim().parse()?;
        let start = Instant::now();
        for _ in 0..steps {
            let (set, gradients) = &mut sets[at];
            library.step(set, gradients)?;
            at = (at + 1) % job.sets;
        }
        library.wait()?;
        println!("{}", json!({ "steps": steps, "seconds": start.elapsed().as_secs_f64() }));
    }
    Ok(())
}
