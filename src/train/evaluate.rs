//! Evaluation: the batches of a part in order, under the weights as they are.

use super::blueprint::WINDOW;
use super::observer::Evaluation;
use super::trainer::{Trainer, add, bind};
use crate::error::Result;
use crate::kernel::feed::ORDER;
use crate::plan::METRICS;

impl Trainer {
    /// What the evaluation part says of the weights, where there is one.
    ///
    /// # Errors
    /// A lost device.
    pub fn evaluate(&mut self) -> Result<Option<Evaluation>> {
        pollster::block_on(self.evaluate_async())
    }

    pub(super) async fn evaluate_async(&mut self) -> Result<Option<Evaluation>> {
        let (Some(plan), Some(part)) = (self.blueprint.eval_batches, self.data.eval().cloned()) else {
            return Ok(None);
        };
        self.make_average()?;
        let columns = self.blueprint.ring.columns;
        let (mut sums, mut correct) = (vec![0.0; columns], 0.0);
        let stride = plan.rows;
        let mut batch = 0;
        while batch < plan.steps() {
            let count = (plan.steps() - batch).min(WINDOW);
            let mut order = vec![0u32; count * stride];
            let mut rows = Vec::with_capacity(count);
            for i in 0..count {
                let start = (batch + i) * plan.rows;
                let n = plan.rows.min(plan.samples() - start);
                for (j, place) in order[i * stride..i * stride + n].iter_mut().enumerate() {
                    *place = part.place((start + j) as u32);
                }
                rows.push(n);
            }
            self.gpu.write(self.memory.get(ORDER), 0, bytemuck::cast_slice(&order));
            self.open_window();
            let full = plan.full_batches.saturating_sub(batch).min(count);
            let kinds = if full < count { 2 } else { 1 };
            bind(&self.gpu, &self.blueprint.eval, &self.memory, &mut self.eval, kinds)?;
            let readback = self.free_readback()?;
            let bytes = (count * self.blueprint.ring.columns * 4) as u64;
            let mut recorder = self.gpu.recorder();
            recorder.pass(&self.eval[0].dispatches, full);
            if full < count {
                recorder.pass(&self.eval[1].dispatches, 1);
            }
            recorder.copy(self.memory.get(METRICS), 0, &readback, 0, bytes);
            let after = recorder.submit()?;
            let pending = self.gpu.map(&readback, bytes, after);
            self.readback.push_back(readback);
            let ring: Vec<f32> = bytemuck::pod_collect_to_vec(&self.gpu.finish(pending).await?);
            for (row, n) in ring.chunks_exact(columns).zip(rows) {
                add(&mut sums, row, n);
                correct += f64::from(row[1]);
            }
            batch += count;
        }
        let n = plan.samples();
        let (loss, metrics) = self.means(&sums, n);
        let accuracy = self.blueprint.predictions.map(|each| correct / (n as f64 * each as f64));
        Ok(Some(Evaluation { loss, accuracy, metrics }))
    }
}
