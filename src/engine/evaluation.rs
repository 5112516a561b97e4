//! Evaluation: the batches of a part in order, under the weights as they are.

use super::blueprint::WINDOW;
use super::observer::Evaluation;
use super::rows::Rows;
use super::score::Score;
use super::trainer::{Trainer, add, bind};
use crate::error::{Error, Result};
use crate::kernel::feed::ORDER;
use crate::plan::{METRICS, TALLY};

impl Trainer {
    /// What the evaluation part says of the weights, where there is one.
    ///
    /// # Errors
    /// A lost device.
    pub fn evaluate(&mut self) -> Result<Option<Evaluation>> {
        pollster::block_on(self.evaluate_async(false))
    }

    /// [`Trainer::evaluate`]; ends between two windows where it may be stopped and is.
    pub(super) async fn evaluate_async(&mut self, stoppable: bool) -> Result<Option<Evaluation>> {
        let (Some(plan), Some(part)) = (self.blueprint.eval_batches, self.data.eval()) else {
            return Ok(None);
        };
        let order: Vec<u32> = match self.streams.as_ref().and_then(|streams| streams.eval.as_ref()) {
            Some(_) => Vec::new(),
            None => (0..part.len() as u32).map(|sample| part.place(sample)).collect(),
        };
        // A run that ended by an error may have left some behind.
        self.drop_flights().await?;
        self.make_average()?;
        let columns = self.blueprint.ring.columns;
        let (mut sums, mut correct) = (vec![0.0; columns], 0.0);
        let tally = self.blueprint.tally.clone();
        let mut score = tally.as_ref().map(Score::new);
        let window = tally.as_ref().map_or(WINDOW, |tally| tally.ring.rows);
        let mut batch = 0;
        while batch < plan.steps() {
            if stoppable && self.handle.is_stopped() {
                return Err(Error::Cancelled);
            }
            let count = (plan.steps() - batch).min(window);
            let (rows, count) = match self.streams.as_mut().and_then(|streams| streams.eval.as_mut()) {
                None => (Rows::of(&plan, &order, batch, count), count),
                // Every evaluation is another pass over the same samples.
                Some(stream) => stream.rows(self.evaluations, batch, count)?,
            };
            self.gpu.write(self.memory.get(ORDER), 0, bytemuck::cast_slice(&rows.order));
            self.open_window();
            let full = plan.full_batches.saturating_sub(batch).min(count);
            let kinds = if full < count { 2 } else { 1 };
            bind(&self.gpu, &self.blueprint.eval, &self.memory, &mut self.eval, kinds)?;
            let readback = self.free_readback()?;
            let bytes = (count * self.blueprint.ring.columns * 4) as u64;
            let mut recorder = self.gpu.recorder();
            let mut stream = self.streams.as_mut().and_then(|streams| streams.eval.as_mut());
            if let Some(stream) = &mut stream {
                stream.land(&mut recorder, &self.memory);
            }
            recorder.pass(&self.eval[0].dispatches, full);
            if full < count {
                recorder.pass(&self.eval[1].dispatches, 1);
            }
            recorder.copy(self.memory.get(METRICS), 0, &readback, 0, bytes);
            let tallied = tally.as_ref().map(|tally| tally.ring.columns).zip(self.tallied.as_ref());
            let tallied = tallied.map(|(columns, into)| (columns, (count * columns * 4) as u64, into));
            if let Some((_, bytes, into)) = tallied {
                recorder.copy(self.memory.get(TALLY), 0, into, 0, bytes);
            }
            let after = recorder.submit()?;
            if let Some(stream) = stream {
                stream.take_back();
            }
            let filed =
                tallied.map(|(columns, bytes, from)| (columns, self.gpu.map(from, bytes, after.clone())));
            let pending = self.gpu.map(&readback, bytes, after);
            self.readback.push_back(readback);
            let ring: Vec<f32> = bytemuck::pod_collect_to_vec(&self.gpu.finish(pending).await?);
            for (row, (n, _)) in ring.chunks_exact(columns).zip(&rows.passes) {
                add(&mut sums, row, *n);
                correct += f64::from(row[1]);
            }
            if let (Some((columns, pending)), Some(score)) = (filed, &mut score) {
                let filed: Vec<f32> = bytemuck::pod_collect_to_vec(&self.gpu.finish(pending).await?);
                let rows = filed.chunks_exact(columns).zip(&rows.passes);
                rows.for_each(|(row, (n, _))| score.add(row, *n));
            }
            batch += count;
        }
        self.evaluations += 1;
        let n = plan.samples();
        let (loss, metrics) = self.means(&sums, n);
        let accuracy = self.blueprint.predictions.map(|each| correct / (n as f64 * each as f64));
        let (metrics, confusion) = match score {
            Some(score) => score.finish(&metrics),
            None => (metrics, None),
        };
        Ok(Some(Evaluation { loss, accuracy, metrics, confusion }))
    }
}
