//! Training steps of many nets at once, and of one net alone in turn with them: `cargo bench --bench replicas`, with
//! `-- --python PATH` also JAX and torch.func, as far as that Python has them (`benches/replicas.py`). Other options:
//! `--replicas 1,4,16`, `--blocks 5`, `--nets 784-256-256` for the dense nets of `downhill bench train` whose names hold
//! that, `--order shared` for one order of samples in place of each net's own, `--device cuda` for the peers.
//!
//! Each net has AdamW, a learning rate and seeds of its own, and no evaluation. A round is a block of the net alone and one
//! of all nets, about a second each; gains are taken round by round. The net alone advances through a whole block. A fleet
//! draws the orders of an epoch at its start, and waits for the device at its end: that counts, and blocks end with an epoch
//! where epochs are short. On Mesa's software adapter the net alone has none of the adapter's threads where `downhill train`
//! has none, and fleets have them; `LP_NUM_THREADS` decides for both.

#[path = "common/alone.rs"]
mod alone;
#[expect(dead_code, reason = "the nets here have more data")]
mod common;
#[path = "common/dense.rs"]
mod dense;

use std::error::Error as StdError;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use alone::Alone;
use dense::{adamw, cross_entropy, options, widths};
use downhill::bench::Workload;
use downhill::compile::{Orders, Seeds, TrainOptions, TrainPlan};
use downhill::error::Result;
use downhill::kernel::Target;
use downhill::train::{EpochRecord, Fleet, FleetObserver, FleetOptions, StepRecord, Variant};
use downhill::units::{bytes, three};
use downhill::{Error, Gpu};
use serde_json::Value;

type Outcome<T> = std::result::Result<T, Box<dyn StdError>>;

/// The least time of a block.
const BLOCK: Duration = Duration::from_secs(1);

/// The value of an option.
fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

/// Ends a block with the first epoch after its time, or within an epoch after twice that.
struct Block(Instant);

impl Block {
    fn ends_after(&self, net: usize, time: Duration) -> Result<()> {
        if net == 0 && self.0.elapsed() > time { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl FleetObserver for Block {
    fn steps(&mut self, _: &Fleet, net: usize, _: &[StepRecord]) -> Result<()> {
        self.ends_after(net, 2 * BLOCK)
    }

    fn epoch(&mut self, _: &Fleet, net: usize, _: &EpochRecord) -> Result<()> {
        self.ends_after(net, BLOCK)
    }
}

/// A fleet of so many nets that all train at once.
fn fleet(gpu: &Gpu, net: &Workload, replicas: usize, orders: Orders) -> Outcome<Fleet> {
    let seeds = Seeds { order: (orders == Orders::Shared).then_some(0), ..Seeds::default() };
    let variant = |i| {
        let lr = 1e-4 * 30f64.powf(i as f64 / replicas as f64);
        Variant::new(format!("net {i}"), adamw(lr), &TrainOptions { seeds, ..options(net) }).seed(i as u64)
    };
    let variants: Vec<Variant> = (0..replicas).map(variant).collect();
    let options = FleetOptions { orders, ..FleetOptions::default() };
    let fleet = Fleet::new(gpu, &*net.model, &cross_entropy, &variants, &net.data, &options)?;
    if fleet.at_once() < replicas {
        return Err(format!("memory has room for {} at once", fleet.at_once()).into());
    }
    Ok(fleet)
}

/// Seconds of a step of all nets, the mean of a block.
fn block(fleet: &mut Fleet) -> Outcome<f64> {
    let (before, start) = (fleet.steps_done(0), Instant::now());
    fleet.run(&mut Block(start))?;
    let seconds = start.elapsed().as_secs_f64();
    if fleet.training().len() < fleet.len() {
        return Err("a net has ended".into());
    }
    Ok(seconds / (fleet.steps_done(0) - before) as f64)
}

/// Median and quartiles.
fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [2, 1, 3].map(|quarter| sorted[sorted.len() * quarter / 4])
}

/// Milliseconds with three significant digits down to tenths of a microsecond.
fn ms(value: f64) -> String {
    if value < 0.01 {
        format!("{value:.5}")
    } else if value < 1.0 {
        format!("{value:.3}")
    } else {
        three(value)
    }
}

/// A median in milliseconds with its quartiles.
fn spread([median, lower, upper]: [f64; 3]) -> String {
    format!("{} ({} to {})", ms(median), ms(lower), ms(upper))
}

/// The lines of `benches/replicas.py`.
fn peers(python: &str, net: &Workload, counts: &[usize], blocks: usize) -> Outcome<Vec<Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/replicas.py");
    let list = |n: &[usize]| n.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let output = Command::new(python)
        .arg(script)
        .args(["--replicas", &list(counts), "--widths", &list(&widths(&net.name).ok_or("a dense net")?)])
        .args(["--batch", &net.batch.to_string(), "--blocks", &blocks.to_string()])
        .args(["--device", option("--device").as_deref().unwrap_or("cpu")])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        eprintln!("{python}: {}; its lines before that count", output.status);
    }
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?)
}

/// Measures a net, and prints its table.
fn measure(gpu: &Gpu, net: &Workload, counts: &[usize], blocks: usize, orders: Orders) -> Outcome<()> {
    let optimizer = adamw(1e-3);
    let builder = TrainPlan::builder(&net.data, &optimizer).model(&*net.model, &cross_entropy);
    let plan = builder.options(&options(net)).target(Target::for_gpu(gpu)).build()?;
    let mut alone = Alone::start(net, &plan)?;
    let (mut rows, mut notes, mut all_alone) = (Vec::new(), Vec::new(), Vec::new());
    for &replicas in counts {
        let start = Instant::now();
        let mut fleet = match fleet(gpu, net, replicas, orders) {
            Ok(fleet) => fleet,
            Err(err) => {
                notes.push(format!("{replicas} nets: {err}"));
                rows.push((replicas, format!("| {replicas} | | | | |")));
                continue;
            }
        };
        let made = start.elapsed();
        // Compiles, and finds how many steps to submit at once.
        block(&mut fleet)?;
        let (mut together, mut gains) = (Vec::new(), Vec::new());
        for _ in 0..blocks {
            let (one, all) = (alone.block()? * 1e3, block(&mut fleet)? * 1e3);
            all_alone.push(one);
            together.push(all);
            gains.push(replicas as f64 * one / all);
        }
        let (times, [gain, ..]) = (quartiles(&together), quartiles(&gains));
        let each = ms(times[0] / replicas as f64);
        let memory = bytes(fleet.plan().peak_bytes());
        let row = format!("| {replicas} | {} | {each} | {} | {memory} |", spread(times), three(gain));
        eprintln!("{row} made in {:.1} s", made.as_secs_f64());
        rows.push((replicas, row));
    }
    drop(alone);
    if !all_alone.is_empty() {
        let (times, memory) = (quartiles(&all_alone), bytes(plan.peak_bytes()));
        rows.insert(0, (0, format!("| Trainer alone | {} | {} | | {memory} |", spread(times), ms(times[0]))));
    }
    let found = option("--python").map_or(Ok(Vec::new()), |python| peers(&python, net, counts, blocks))?;
    print(net, &rows, &found, notes);
    Ok(())
}

/// Prints the table of a net, with a column for each peer, and notes below it.
fn print(net: &Workload, rows: &[(usize, String)], peers: &[Value], mut notes: Vec<String>) {
    let mut engines: Vec<&str> = Vec::new();
    for peer in peers {
        let engine = peer["engine"].as_str().unwrap_or_default();
        let note = format!("{engine}: {}", peer["note"].as_str().unwrap_or_default());
        engines.extend((!engines.contains(&engine)).then_some(engine));
        notes.extend((!notes.contains(&note)).then_some(note));
    }
    let cell = |engine: &str, replicas: usize| {
        let peer = peers.iter().find(|peer| peer["engine"] == engine && peer["replicas"] == replicas)?;
        let [median, lower, upper] = ["ms", "lower", "upper"].map(|key| peer[key].as_f64());
        Some(spread([median?, lower?, upper?]) + if peer["cut"] == true { ", cut short" } else { "" })
    };
    println!("\n{}, AdamW; milliseconds a step, median and quartiles:\n", net.name);
    let columns: String = engines.iter().map(|engine| format!(" {engine} |")).collect();
    println!("| nets | a step | a step a net | gain | memory |{columns}");
    println!("|---|---|---|---|---|{}", "---|".repeat(engines.len()));
    for (replicas, row) in rows {
        let cells =
            engines.iter().map(|engine| format!(" {} |", cell(engine, *replicas).unwrap_or_default()));
        println!("{row}{}", cells.collect::<String>());
    }
    println!();
    notes.iter().for_each(|note| println!("{note}"));
}

fn main() -> Outcome<()> {
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    if let Some(name) = option(alone::OPTION) {
        return alone::serve(dense::nets(&name)?.first().ok_or("no such net")?, BLOCK);
    }
    let counts = option("--replicas").unwrap_or_else(|| "1,4,16,64,256,1024".into());
    let counts = counts.split(',').map(str::parse).collect::<std::result::Result<Vec<usize>, _>>()?;
    let blocks = option("--blocks").map_or(Ok(5), |blocks| blocks.parse::<usize>())?.max(1);
    let orders = match option("--order").as_deref() {
        Some("own") | None => Orders::Own,
        Some("shared") => Orders::Shared,
        Some(other) => return Err(format!("--order {other}: own or shared").into()),
    };
    let gpu = common::gpu();
    println!("adapter: {} ({})", gpu.adapter().name, gpu.adapter().driver);
    let name = option("--nets").unwrap_or_else(|| "64-64-64-10".into());
    let nets = dense::nets(&name)?;
    if nets.is_empty() {
        return Err(format!("--nets {name}: no net has this in its name").into());
    }
    for net in nets {
        measure(&gpu, &net, &counts, blocks, orders)?;
    }
    Ok(())
}
