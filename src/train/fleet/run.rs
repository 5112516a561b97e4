//! The loop of a fleet, from top to bottom: report finished epochs, end nets where it is time, fill slots, train up to where
//! the first of them has something due.

use super::Fleet;
use super::net::{Place, ReplicaEnd};
use crate::engine::Window;
use crate::error::{Error, Result};
use crate::train::{EpochRecord, Judgement, Monitor, StepRecord};

/// Follows a fleet. Every method may end it by an error; [`Error::Cancelled`] of `steps` and `epoch` stops it, as
/// [`RunHandle::stop`](crate::train::RunHandle::stop) does.
pub trait FleetObserver {
    /// After steps of a net whose losses were received.
    fn steps(&mut self, fleet: &Fleet, net: usize, steps: &[StepRecord]) -> Result<()> {
        let _ = (fleet, net, steps);
        Ok(())
    }

    /// Before each window of an evaluation, some tenths of a second after the one before.
    fn evaluating(&mut self) -> Result<()> {
        Ok(())
    }

    /// After an epoch of a net and its evaluation.
    fn epoch(&mut self, fleet: &Fleet, net: usize, epoch: &EpochRecord) -> Result<()> {
        let _ = (fleet, net, epoch);
        Ok(())
    }

    /// After nets were judged, before those that are dropped end.
    fn judged(&mut self, judgement: &Judgement) -> Result<()> {
        let _ = judgement;
        Ok(())
    }

    /// At the end of a net, while its state can be read.
    fn end(&mut self, fleet: &Fleet, net: usize, end: &ReplicaEnd) -> Result<()> {
        let _ = (fleet, net, end);
        Ok(())
    }

    /// Between two stretches of training: every step is received, every epoch reported, and every slot filled again.
    fn rest(&mut self, fleet: &Fleet) -> Result<()> {
        let _ = fleet;
        Ok(())
    }

    /// Called after the last steps of a fleet that is stopped.
    fn stopped(&mut self, fleet: &Fleet) -> Result<()> {
        let _ = fleet;
        Ok(())
    }
}

/// Observes nothing.
impl FleetObserver for () {}

/// The reason that a fleet's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetEnd {
    /// Every net has ended.
    Finished,
    /// It was stopped, and can be run again from there.
    Stopped,
}

impl Fleet {
    /// Trains every net to its end, with an evaluation after each epoch. A net whose loss is no longer finite ends alone.
    ///
    /// # Errors
    /// A lost device; samples that cannot be read; the observer's own.
    pub fn run(&mut self, observer: &mut dyn FleetObserver) -> Result<FleetEnd> {
        pollster::block_on(self.run_async(observer))
    }

    /// [`Fleet::run`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn run_async(&mut self, observer: &mut dyn FleetObserver) -> Result<FleetEnd> {
        if let Some(rule) = self.judged.rule() {
            rule.check()?;
            self.plan.check_metric("halving", &rule.monitor.metric)?;
        }
        loop {
            // 1. Epochs that are trained but not reported: evaluate, update plateau and early stopping, report.
            match self.end_epochs(observer).await {
                Err(Error::Cancelled) => self.handle.stop(),
                other => other?,
            }
            if self.handle.is_stopped() {
                self.handle.clear();
                observer.stopped(self)?;
                return Ok(FleetEnd::Stopped);
            }
            // 2. Nets that are over leave their slots; others take them.
            let leaving = self.settle(observer)?;
            let free = self.vacate(&leaving)?;
            self.fill(free)?;
            observer.rest(self)?;
            if self.slots.is_empty() {
                return Ok(FleetEnd::Finished);
            }
            // A net that was stopped in its evaluation, and restored.
            if self.slots.iter().any(|&net| self.has_unreported_epoch(net)) {
                continue;
            }
            // 3. Train up to the first end of an epoch or of a net.
            self.train(observer).await?;
        }
    }

    fn has_unreported_epoch(&self, net: usize) -> bool {
        let own = &self.nets[net];
        own.fault.is_none() && own.progress.has_unreported_epoch(own.total)
    }

    /// Evaluates where an epoch is trained, updates plateaus and early stopping, and reports the epochs.
    async fn end_epochs(&mut self, observer: &mut dyn FleetObserver) -> Result<()> {
        let due: Vec<bool> = self.slots.iter().map(|&net| self.has_unreported_epoch(net)).collect();
        if !due.contains(&true) {
            return Ok(());
        }
        let (clocks, handle) = (self.clocks(), self.handle.clone());
        let mut between = || handle.goes_on(observer.evaluating());
        let evaluated = self.engine.evaluate(&self.plan, &clocks, &mut between).await?;
        let mut evaluated = evaluated.into_iter().flatten();
        let (waits, evaluates) = (self.engine.data_wait().is_some(), self.plan.eval_batches.is_some());
        let mut is_cancelled = false;
        for (slot, is_due) in due.into_iter().enumerate() {
            let evaluated = evaluated.next();
            let net = self.slots[slot];
            if !is_due {
                continue;
            }
            let own = &mut self.nets[net];
            let record = match own.progress.end_epoch(&self.plan, &own.variant.update, evaluated, waits) {
                Ok(record) => record,
                Err(fault) => {
                    own.fault = Some(fault);
                    continue;
                }
            };
            own.last = Some(record.clone());
            if let Some(rule) = &own.variant.options.early_stopping {
                let monitor = Monitor::for_early_stopping(rule, evaluates);
                if own.progress.early_stopping.observe(rule, &monitor, &record) && rule.restore_best {
                    let buffers = self.engine.read_weights(&self.plan, slot, true).await?;
                    own.keep_best(buffers);
                }
            }
            match observer.epoch(self, net, &record) {
                Err(Error::Cancelled) => is_cancelled = true,
                other => other?,
            }
        }
        if is_cancelled { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Ends the nets that are over, and judges those that have come to a rung; gives the nets that leave their slots.
    fn settle(&mut self, observer: &mut dyn FleetObserver) -> Result<Vec<usize>> {
        let mut leaving = Vec::new();
        for net in 0..self.nets.len() {
            let own = &self.nets[net];
            if own.end.is_some() {
                continue;
            }
            let trains = matches!(own.place, Place::Slot(_));
            let end = match &own.fault {
                Some(fault) => Some(ReplicaEnd::Failed(fault.clone())),
                None if own.is_stopped => Some(ReplicaEnd::Stopped),
                None if own.progress.step >= own.total && trains => Some(ReplicaEnd::Finished),
                None if own.progress.early_stopping.is_over() && trains => Some(ReplicaEnd::EarlyStopped),
                None => None,
            };
            if let Some(end) = end {
                self.finish(net, end, observer)?;
                leaving.push(net);
                continue;
            }
            let (epochs, is_whole) = (own.progress.epochs_reported, own.position().0 == 0);
            if is_whole && self.judged.holds(net, epochs) {
                let monitor = self.judged.rule().map(|rule| rule.monitor.clone());
                let value = monitor.zip(own.last.as_ref()).and_then(|(monitor, last)| monitor.value(last));
                self.judged.arrived(net, epochs, value);
                leaving.push(net);
            }
        }
        let nets = &self.nets;
        let judgements =
            self.judged.judge(|net| nets[net].end.is_none(), |net| nets[net].progress.epochs_reported);
        for judgement in judgements {
            observer.judged(&judgement)?;
            leaving.retain(|net| !judgement.kept.contains(net));
            for &net in &judgement.dropped {
                self.finish(net, ReplicaEnd::Dropped { rung: judgement.rung }, observer)?;
            }
        }
        Ok(leaving)
    }

    /// Ends a net: one that is over has the weights of its best epoch, where they are kept.
    fn finish(&mut self, net: usize, end: ReplicaEnd, observer: &mut dyn FleetObserver) -> Result<()> {
        let is_over = matches!(end, ReplicaEnd::Finished | ReplicaEnd::EarlyStopped);
        if let (true, Place::Slot(slot)) = (is_over, &self.nets[net].place) {
            let slot = *slot;
            if let Some(best) = self.nets[net].take_best() {
                self.engine.write_buffers(&self.plan, slot, &best);
            }
        }
        self.nets[net].end = Some(end.clone());
        observer.end(self, net, &end)
    }

    /// Trains up to the first end of an epoch or of a net, or until the fleet is stopped; receives everything.
    async fn train(&mut self, observer: &mut dyn FleetObserver) -> Result<()> {
        let steps_per_epoch = self.plan.batches.steps();
        let left =
            self.slots.iter().map(|&net| self.nets[net].steps_left(steps_per_epoch)).min().unwrap_or(0);
        let waited = self.engine.data_wait();
        self.clock.start();
        self.engine.restart_pacing();
        let mut done = 0;
        let alive = |fleet: &Fleet| fleet.slots.iter().any(|&net| fleet.nets[net].fault.is_none());
        while done < left && !self.handle.is_stopped() && alive(self) {
            let steps = self.engine.next_steps(&self.plan).min((left - done) as usize);
            let windows: Vec<Window> =
                self.slots.iter().map(|&net| self.nets[net].progress.window(steps)).collect();
            if !self.engine.is_ready(&self.plan, &windows[0]) {
                // The device must not wait for what the host would read while the device works.
                self.drain(observer).await?;
            }
            match self.submit(&windows).await {
                Ok(steps) => done += steps as u64,
                Err(err) => {
                    // The steps before it are done.
                    self.drain(observer).await?;
                    return Err(err);
                }
            }
            if self.engine.windows_in_flight() > 1 {
                self.receive(observer).await?;
            }
        }
        self.drain(observer).await?;
        let seconds = self.clock.stop().as_secs_f64();
        let waited = self.engine.data_wait().zip(waited).map(|(now, then)| (now - then).as_secs_f64());
        for &net in &self.slots {
            self.nets[net].progress.count_time(seconds, waited);
        }
        Ok(())
    }

    /// Submits the windows, or the steps of them that there are samples for; gives how many.
    async fn submit(&mut self, windows: &[Window]) -> Result<usize> {
        let (steps, samples) = self.engine.take_samples(windows)?;
        let next = |&net: &usize| self.nets[net].progress.next(&self.plan, self.nets[net].rule(), steps);
        let nets: Vec<_> = self.slots.iter().map(next).collect();
        let passes = samples.first().map_or(0, |order| order.passes());
        self.engine.submit_steps(&self.plan, &nets, samples, false).await?;
        for (&net, submitted) in self.slots.iter().zip(&nets) {
            self.nets[net].progress.advance(&submitted.window, passes, self.plan.batches.steps());
        }
        Ok(steps)
    }

    async fn drain(&mut self, observer: &mut dyn FleetObserver) -> Result<()> {
        while self.engine.windows_in_flight() > 0 {
            self.receive(observer).await?;
        }
        Ok(())
    }

    /// Waits for the oldest window in flight, and reports its steps.
    async fn receive(&mut self, observer: &mut dyn FleetObserver) -> Result<()> {
        let Some(completed) = self.engine.receive(&self.plan).await? else { return Ok(()) };
        for (slot, (window, results)) in completed.nets.iter().enumerate() {
            let net = self.slots[slot];
            let own = &mut self.nets[net];
            if own.fault.is_some() {
                continue;
            }
            let (steps, fault) = own.progress.take_results(&own.variant.update, window, results);
            own.fault = fault;
            match observer.steps(self, net, &steps) {
                Err(Error::Cancelled) => self.handle.stop(),
                other => other?,
            }
        }
        self.engine.pace(completed.steps());
        Ok(())
    }
}
