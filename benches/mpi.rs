//! A training step that ranks share, measured: the whole step, the part of it that is exchange, and what a cluster would take.
//!
//!   cargo bench --bench mpi --features mpi
//!
//! It starts itself under `mpirun` with 1, 2 and 4 ranks, all on this machine. Where DOWNHILL_PYTHON names a Python that has
//! torch, `benches/mpi.py` trains the same net with torch.distributed and gloo beside it. DOWNHILL_ADAPTER names the adapter.

use std::process::{Command, ExitCode};
use std::time::Instant;

use downhill::data::BatchSize;
use downhill::prelude::*;
use downhill::ranks::mpi::join;
use serde_json::{Value, json};

/// Hidden widths, the samples of a batch, and the steps that are timed.
const NETS: [(&[usize], usize, u64); 2] = [(&[128, 64], 32, 400), (&[512, 512], 256, 100)];
const RANKS: [usize; 3] = [1, 2, 4];
const SHARDS: usize = 4;
/// Steps before the first that is timed.
const WARM_UP: u64 = 30;
/// Steps that are timed together; the median of their means counts.
const TOGETHER: u64 = 10;

/// Networks of clusters: a name, seconds until a message arrives, bytes a second.
const NETWORKS: [(&str, f64, f64); 3] = [
    ("10 Gb/s Ethernet", 30e-6, 1.1e9),
    ("100 Gb/s InfiniBand", 2e-6, 11e9),
    ("400 Gb/s InfiniBand", 2e-6, 45e9),
];

fn main() -> ExitCode {
    let result = match std::env::var("DOWNHILL_BENCH_NET") {
        Ok(net) => rank(net.parse().unwrap_or(0)),
        Err(_) => all(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err}");
            ExitCode::FAILURE
        }
    }
}

/// Trains as one of the ranks. Rank 0 prints the times as JSON.
fn rank(net: usize) -> Result<(), Error> {
    let joined = join()?;
    let ranks = joined.ranks().clone();
    let (widths, batch, steps) = NETS[net.min(NETS.len() - 1)];
    let adapter = std::env::var("DOWNHILL_ADAPTER").unwrap_or_else(|_| "auto".into());
    let gpu = Gpu::open(&GpuOptions { adapter, ranks: ranks.clone(), ..GpuOptions::default() })?;
    let data = downhill::data::digits()?;
    let model = |net: &Net, x: &Tensor| {
        let hidden = widths
            .iter()
            .enumerate()
            .fold(x.flatten(), |x, (i, &width)| net.linear(&format!("hidden{i}"), &x, width).relu());
        net.linear("out", &hidden, 10)
    };
    let loss = |y: &Tensor, t: &Tensor| loss::cross_entropy(y, t, &CrossEntropy::default());
    let adamw = Optimizer::AdamW(AdamW { lr: 3e-3, ..AdamW::default() });
    let times = |shards: usize| -> Result<(f64, f64, usize), Error> {
        let batch_size = BatchSize::Rows(batch);
        let options = TrainOptions { batch_size, shards, drop_last: true, ..TrainOptions::default() };
        let mut trainer = Trainer::new(&gpu, &model, &loss, &adamw, &data, &options)?;
        trainer.advance(WARM_UP)?;
        let (before, _) = ranks.exchanged();
        let mut each = Vec::new();
        for _ in 0..steps / TOGETHER {
            let start = Instant::now();
            trainer.advance(TOGETHER)?;
            each.push(start.elapsed().as_secs_f64() / TOGETHER as f64);
        }
        let exchanged = (ranks.exchanged().0 - before).as_secs_f64() / steps as f64;
        each.sort_by(f64::total_cmp);
        Ok((1e3 * each[each.len() / 2], 1e3 * exchanged, trainer.plan().parameter_count()))
    };
    let (step, exchange, parameters) = times(SHARDS)?;
    let whole = if ranks.is_alone() { Some(times(1)?.0) } else { None };
    if ranks.is_first() {
        let adapter = gpu.adapter();
        println!(
            "{}",
            json!({
                "parameters": parameters, "batch": batch, "step_ms": step, "exchange_ms": exchange, "whole_ms": whole,
                "adapter": format!("{}, {}", adapter.name, adapter.driver),
            })
        );
    }
    ranks.conclude(Ok(()))
}

/// The last line of a program's output, which is JSON.
fn last_json(command: &mut Command) -> Result<Value, Error> {
    let output = command.output().map_err(|err| Error::Program(format!("{command:?}: {err}")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    let told = String::from_utf8_lossy(&output.stderr);
    line.ok_or_else(|| Error::Program(format!("{command:?}: {text}{told}")))
}

/// Starts the ranks, and prints the tables.
fn all() -> Result<(), Error> {
    let own = std::env::current_exe().map_err(|err| Error::Program(err.to_string()))?;
    let python = std::env::var("DOWNHILL_PYTHON").ok();
    for (net, (widths, batch, steps)) in NETS.into_iter().enumerate() {
        let mut single = None;
        for ranks in RANKS {
            let mut command = Command::new("mpirun");
            command.args(["-n", &ranks.to_string()]).arg(&own).env("DOWNHILL_BENCH_NET", net.to_string());
            for name in [
                "OMPI_ALLOW_RUN_AS_ROOT",
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
                "OMPI_MCA_rmaps_base_oversubscribe",
            ] {
                command.env(name, "1");
            }
            let ours = last_json(&mut command)?;
            if ranks == 1 {
                println!(
                    "\n64-{widths:?}-10, {} parameters, batch {batch}, {}",
                    ours["parameters"], ours["adapter"]
                );
                println!(
                    "whole batch, one rank: {:.3} ms a step; in {SHARDS} shards:",
                    ours["whole_ms"].as_f64().unwrap_or(0.0)
                );
                println!(
                    "| ranks | step | of it exchange | gloo, step | gloo, all-reduce | gloo, all-gather |"
                );
                println!("|--:|--:|--:|--:|--:|--:|");
                single = ours["step_ms"].as_f64().zip(ours["parameters"].as_f64());
            }
            let theirs = python.as_ref().map(|python| {
                let widths: Vec<String> = widths.iter().map(usize::to_string).collect();
                let mut peer = Command::new(python);
                peer.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/mpi.py")).arg(ranks.to_string());
                peer.arg("--width").args(widths).args([
                    "--batch",
                    &batch.to_string(),
                    "--steps",
                    &steps.to_string(),
                ]);
                last_json(&mut peer)
            });
            let theirs = theirs.transpose()?.unwrap_or_default();
            let ms = |value: &Value| value.as_f64().map_or("-".to_owned(), |ms| format!("{ms:.3} ms"));
            println!(
                "| {ranks} | {} | {} | {} | {} | {} |",
                ms(&ours["step_ms"]),
                ms(&ours["exchange_ms"]),
                ms(&theirs["step_ms"]),
                ms(&theirs["all_reduce_ms"]),
                ms(&theirs["all_gather_ms"])
            );
        }
        if let Some((step, parameters)) = single {
            predict(step, 4.0 * parameters);
        }
    }
    Ok(())
}

/// Prints the time of a step on a cluster, where each rank has a device like this one: shards go at once, and sums of `bytes`
/// bytes are gathered by a ring, or by doubling, whichever is faster. Copies between device and host are not counted.
fn predict(step_ms: f64, bytes: f64) {
    println!("\npredicted, of a step that takes {step_ms:.3} ms on one rank (exchange in brackets):");
    println!("| network | 2 ranks | 4 | 8 | 16 |");
    println!("|---|--:|--:|--:|--:|");
    for (name, latency, bandwidth) in NETWORKS {
        let cells = [2.0_f64, 4.0, 8.0, 16.0].map(|ranks| {
            let moved = (ranks - 1.0) * bytes / bandwidth;
            let ring = (ranks - 1.0) * latency + moved;
            let doubling = ranks.log2() * latency + moved;
            // The words that go before the sums, and the sums.
            let exchange = 1e3 * (ranks.log2() * latency + ring.min(doubling));
            format!("{:.3} ({exchange:.3})", step_ms / ranks + exchange)
        });
        println!("| {name} | {} |", cells.join(" | "));
    }
}
