//! Shows a sweep: a bar on a terminal, a line a second in a pipe, JSON, or nothing.

use std::time::{Duration, Instant};

use downhill::error::Result;
use downhill::run::{Row, Sweep, SweepObserver, SweepStart};
use downhill::train::{EpochRecord, Fleet, Monitor, StepRecord};
use downhill::units::plural;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::cli::output::println;
use crate::cli::progress::bar;

/// Least time between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Shows a sweep.
pub struct SweepView {
    kind: Kind,
    state: State,
}

enum Kind {
    Bar(ProgressBar),
    Lines { printed: Option<Instant> },
    Json,
    Quiet,
}

/// The numbers that are shown.
struct State {
    monitor: Monitor,
    folders: Vec<String>,
    /// Steps of each run done, and in all.
    steps: Vec<(u64, u64)>,
    ended: usize,
    training: usize,
    /// The best value so far, its run and its epoch.
    best: Option<(f64, usize, u64)>,
    judged: Option<String>,
}

impl State {
    /// As `best eval_loss 0.1020 (013-lr=0.01), 3 train, 61 ended`.
    fn text(&self) -> String {
        let best = self.best.map(|(value, run, epoch)| {
            format!("best {} {value:.4} (run {}, epoch {epoch}), ", self.monitor.metric, self.folders[run])
        });
        let judged = self.judged.as_ref().map_or(String::new(), |text| format!(", {text}"));
        let waiting = self.steps.len() - self.ended - self.training.min(self.steps.len() - self.ended);
        let waiting = if waiting > 0 { format!(", {waiting} wait") } else { String::new() };
        format!("{}{} train{waiting}, {} ended{judged}", best.unwrap_or_default(), self.training, self.ended)
    }

    fn done(&self) -> (u64, u64) {
        self.steps.iter().fold((0, 0), |(done, all), (own, total)| (done + own, all + total))
    }
}

impl SweepView {
    pub fn new(quiet: bool, json: bool, sweep: &Sweep) -> SweepView {
        let rows = sweep.rows();
        let kind = match (quiet, json) {
            (true, _) => Kind::Quiet,
            (_, true) => Kind::Json,
            _ => bar(0).map_or(Kind::Lines { printed: None }, |bar| {
                bar.set_prefix("sweep");
                Kind::Bar(bar)
            }),
        };
        let state = State {
            monitor: sweep.monitor().clone(),
            steps: vec![(0, 0); rows.len()],
            folders: rows.into_iter().map(|row| row.folder).collect(),
            ended: 0,
            training: 0,
            best: None,
            judged: None,
        };
        SweepView { kind, state }
    }

    /// Clears the bar.
    pub fn end(self) {
        if let Kind::Bar(bar) = self.kind {
            bar.finish_and_clear();
        }
    }

    fn show(&mut self) {
        match &mut self.kind {
            Kind::Bar(bar) => {
                let (done, all) = self.state.done();
                bar.set_length(all);
                bar.set_position(done);
                bar.set_message(self.state.text());
            }
            Kind::Lines { printed } if printed.is_none_or(|at| at.elapsed() > PAUSE) => {
                let (done, all) = self.state.done();
                println(&format!("{:>3}%  {}", 100 * done / all.max(1), self.state.text()));
                *printed = Some(Instant::now());
            }
            _ => {}
        }
    }

    fn tell(&self, value: impl FnOnce() -> Value) {
        if let Kind::Json = self.kind {
            println(&value().to_string());
        }
    }
}

impl SweepObserver for SweepView {
    fn start(&mut self, start: &SweepStart) -> Result<()> {
        self.state.ended = start.ended;
        let SweepStart { runs, fleets, ended } = *start;
        self.tell(|| json!({ "event": "start", "runs": runs, "fleets": fleets, "ended": ended }));
        Ok(())
    }

    fn fleet(&mut self, fleet: &Fleet, members: &[usize]) -> Result<()> {
        for (net, &run) in members.iter().enumerate() {
            if fleet.end(net).is_none() {
                self.state.steps[run] = (fleet.steps_done(net), fleet.total_steps(net));
            }
        }
        self.tell(|| {
            let plan = fleet.plan();
            json!({
                "event": "fleet", "runs": members, "at_once": fleet.at_once(),
                "parameters": plan.parameter_count(), "memory": plan.peak_bytes(), "dispatches": plan.dispatches(),
            })
        });
        if let Kind::Lines { .. } = self.kind {
            println(&format!(
                "fleet    {}, {} at once: {} a step for all, {} on the device",
                plural(members.len(), "run"),
                fleet.at_once(),
                plural(fleet.plan().dispatches(), "dispatch"),
                downhill::units::bytes(fleet.plan().peak_bytes())
            ));
        }
        Ok(())
    }

    fn steps(&mut self, fleet: &Fleet, run: usize, steps: &[StepRecord]) -> Result<()> {
        self.state.training = fleet.training().len();
        if let Some(last) = steps.last() {
            self.state.steps[run].0 = last.step;
        }
        Ok(())
    }

    fn epoch(&mut self, run: usize, epoch: &EpochRecord) -> Result<()> {
        let monitor = &self.state.monitor;
        if let Some(value) = monitor.value(epoch)
            && self.state.best.is_none_or(|(best, ..)| monitor.better(value, best, 0.0))
        {
            self.state.best = Some((value, run, epoch.epoch));
        }
        self.tell(|| {
            let mut line = json!({ "event": "epoch", "replica": run, "step": epoch.step });
            if let (Some(line), Ok(Value::Object(record))) =
                (line.as_object_mut(), serde_json::to_value(epoch))
            {
                line.extend(record);
            }
            line
        });
        self.show();
        Ok(())
    }

    fn judged(&mut self, rung: u64, kept: usize, dropped: usize) -> Result<()> {
        self.tell(|| json!({ "event": "judged", "rung": rung, "kept": kept, "dropped": dropped }));
        self.state.judged =
            Some(format!("after {} {kept} of {} went on", plural(rung, "epoch"), kept + dropped));
        Ok(())
    }

    fn end(&mut self, row: &Row) -> Result<()> {
        self.state.ended += 1;
        // A run that ended early leaves steps undone, which nobody waits for.
        self.state.steps[row.replica].1 = self.state.steps[row.replica].0;
        self.tell(|| json!({ "event": "run_end", "replica": row.replica, "folder": row.folder, "ended": row.ended }));
        Ok(())
    }
}
