//! The output of `train` and `resume` before the first step and after the last.

use std::time::Duration;

use downhill::run::{CHECKPOINTS, Outcome, Session};
use downhill::train::{RunEnd, Trainer};
use downhill::{Gpu, report, units};

use super::output::println;
use super::ranks;
use super::targets::{confusion, named, unit_note};
use super::view::evaluated;

/// A run whose device waits for data longer than this share of the time reports it.
const DATA_BOUND: f64 = 0.1;

/// Columns of a table that are printed.
const COLUMNS: usize = 20;
/// Remarks on columns that are printed.
const REMARKS: usize = 10;
/// Classes of a confusion matrix that is printed, at most.
const MOST_CONFUSED: usize = 20;

/// Prints the adapter, and why it was chosen.
pub(super) fn introduce_adapter(gpu: &Gpu) {
    let adapter = gpu.adapter();
    println(&format!(
        "adapter  {} ({}, {}); {}",
        adapter.name,
        adapter.kind.name(),
        adapter.backend,
        gpu.chosen_because()
    ));
}

/// Prints the adapter, data and model before the first step.
pub(super) fn introduce(session: &Session) {
    let (gpu, data, plan) = (session.gpu(), session.data(), session.trainer().plan());
    introduce_adapter(gpu);
    println(&format!(
        "data     {}: {} to train on, {} to evaluate on",
        data.name(),
        data.train().len(),
        data.eval().map_or(0, downhill::data::Part::len)
    ));
    let columns = data.columns();
    if !columns.is_empty() {
        println(report::columns_text(columns, COLUMNS).trim_end());
    }
    let remarks = data.remarks().unwrap_or_default();
    for remark in report::column_remarks(columns, REMARKS).iter().chain(&remarks) {
        println(&format!("note     {remark}"));
    }
    if let Some(note) = unit_note(data) {
        println(&format!("target   {note}"));
    }
    println(&format!(
        "model    {}, {} a step, {} on the device",
        units::plural(plan.parameter_count(), "parameter"),
        units::plural(plan.dispatches(), "dispatch"),
        units::bytes(gpu.ledger().total())
    ));
    if plan.ranks > 1 {
        println(&format!(
            "ranks    {} share each batch of {} in {}",
            plan.ranks,
            plan.batches.rows,
            units::plural(plan.batches.shards, "shard")
        ));
        if let Some(note) = ranks::time_to_save() {
            println(&format!("note     {note}"));
        }
    }
    let tuned = plan.tuned_products();
    if tuned > 0 {
        let all = units::plural(plan.product_tiles().count(), "product");
        println(&format!(
            "tiles    {tuned} of {all} as [tune] says, measured on {}",
            session.config().tune.adapter
        ));
    }
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
        let evaluated: String = evaluated(last).iter().map(|text| format!(", {text}")).collect();
        let (steps, took) = (units::plural(outcome.step, "step"), units::seconds(seconds));
        println(&format!("done     {steps} in {took}: train loss {:.4}{evaluated}", last.train_loss));
        if let Some(matrix) = &last.eval_confusion {
            let names = session.config().class_names(session.data().encoding());
            match matrix.len() {
                0..=MOST_CONFUSED => println(&confusion(matrix, &named(names, matrix.len()))),
                n => println(&format!("confusion of {n} classes: in metrics.jsonl, as eval_confusion")),
            }
        }
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
    let (exchanged, bytes) = session.gpu().ranks().exchanged();
    if bytes > 0 {
        println(&format!(
            "ranks    exchanges brought {} in {}, {:.0}% of the time",
            units::bytes(bytes),
            units::seconds(exchanged.as_secs_f64()),
            100.0 * exchanged.as_secs_f64() / seconds
        ));
    }
    let skipped = trainer.skipped_steps().unwrap_or(0);
    if skipped > 0 {
        println(&format!("skipped  {}: their gradients were not finite", units::plural(skipped, "step")));
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
