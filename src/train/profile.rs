//! The time of each kernel of a training step, where it stands in the step.

use super::trainer::Trainer;
use crate::error::Result;

impl Trainer {
    /// Seconds of each kernel in `steps` training steps of a full batch, by the device's timestamps; `None` where it has
    /// none. The same batch is trained on each time, and no loss is told: a trainer that has been profiled is good for
    /// nothing else.
    ///
    /// Each kernel is a pass of its own, so that the next one waits for it.
    ///
    /// # Errors
    /// A lost device; a loss that is not finite before.
    pub fn profile(&mut self, steps: usize) -> Result<Option<Vec<Vec<f64>>>> {
        // A step of the usual kind leaves orders and scalars on the device.
        self.advance(1)?;
        let dispatches = &self.train[0].dispatches;
        let Some(watch) = self.gpu.stopwatch(dispatches.len())? else { return Ok(None) };
        let mut all = Vec::with_capacity(steps);
        for _ in 0..steps {
            self.open_window();
            let mut recorder = self.gpu.recorder();
            for lap in 0..dispatches.len() {
                recorder.lap(Some(&watch), lap, &[&dispatches[lap..=lap]]);
            }
            all.push(self.gpu.stop(recorder, &watch)?);
        }
        Ok(Some(all))
    }
}
