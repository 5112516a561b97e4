//! The output of `train` and `resume` before the first step and after the last.

use std::time::Duration;

use downhill::run::{CHECKPOINTS, Outcome, Session};
use downhill::train::{RunEnd, Trainer};
use downhill::units;

use super::output::println;

/// A run whose device waits for data longer than this share of the time reports it.
const DATA_BOUND: f64 = 0.1;

/// Prints the adapter, data and model before the first step.
pub(super) fn introduce(session: &Session) {
    let (gpu, data, plan) = (session.gpu(), session.data(), session.trainer().plan());
    let adapter = gpu.adapter();
    println(&format!(
        "adapter  {} ({}, {}); {}",
        adapter.name,
        adapter.kind.name(),
        adapter.backend,
        gpu.chosen_because()
    ));
    println(&format!(
        "data     {}: {} to train on, {} to evaluate on",
        data.name(),
        data.train().len(),
        data.eval().map_or(0, downhill::data::Part::len)
    ));
    println(&format!(
        "model    {} parameters, {} dispatches a step, {} on the device",
        plan.parameter_count(),
        plan.dispatches(),
        units::bytes(gpu.ledger().total())
    ));
    for choice in &plan.budget_choice.choices {
        println(&format!("memory   {choice}"));
    }
    if let Some(init) = session.init() {
        println(&downhill::report::init_text(init));
    }
    for note in session.notes() {
        println(&format!("note     {note}"));
    }
    if let Some(step) = session.from() {
        let (total, path) = (session.trainer().total_steps(), session.dir().path().display());
        println(&format!("resume   {path} after step {step} of {total}"));
    }
}

/// Prints the result after the last step.
pub(super) fn conclude(session: &Session, outcome: &Outcome, elapsed: Duration) {
    let (trainer, seconds) = (session.trainer(), elapsed.as_secs_f64());
    if let Some(last) = &outcome.last {
        let loss = last.eval_loss.map(|l| format!(", eval loss {l:.4}")).unwrap_or_default();
        let accuracy =
            last.eval_accuracy.map(|a| format!(", eval accuracy {:.2}%", 100.0 * a)).unwrap_or_default();
        let took = units::seconds(seconds);
        println(&format!(
            "done     {} steps in {took}: train loss {:.4}{loss}{accuracy}",
            outcome.step, last.train_loss
        ));
    }
    if outcome.end == RunEnd::EarlyStopped {
        println("stopped  early: the epochs improved no more");
    }
    if let Some((value, epoch)) = trainer.best_epoch() {
        println(&format!("best     epoch {epoch}, {value:.6}; the weights are those of its end"));
    }
    if let Some(text) = data_bound(trainer, seconds) {
        println(&format!("data     {text}"));
    }
    let skipped = trainer.skipped_steps().unwrap_or(0);
    if skipped > 0 {
        println(&format!("skipped  {skipped} steps whose gradients were not finite"));
    }
    let dir = session.dir();
    let files = [
        "config.toml",
        "data.json",
        "metrics.jsonl",
        "model.safetensors",
        "average.safetensors",
        CHECKPOINTS,
    ];
    let events = session.config().watch.tensorboard.then_some("events.out.tfevents.*");
    let there = files.into_iter().filter(|file| dir.path().join(file).exists());
    let files: Vec<&str> = there.chain(events).collect();
    println(&format!("run      {}/ ({})", dir.path().display(), files.join(", ")));
}

/// Reports that the device waited for samples, and the remedy. `None` below [`DATA_BOUND`].
fn data_bound(trainer: &Trainer, seconds: f64) -> Option<String> {
    let (waited, workers) = trainer.waited().zip(trainer.workers())?;
    let share = waited.as_secs_f64() / seconds;
    (share > DATA_BOUND).then(|| {
        format!(
            "the device waited for samples {:.0}% of the time: more threads (data.workers, {workers} now) may help, or \
             a file that needs no decoding (downhill data convert)",
            100.0 * share
        )
    })
}
