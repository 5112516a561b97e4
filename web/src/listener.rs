//! Tells a page how its run goes, and ends a piece of it when its time is over.

use downhill::Error;
use downhill::error::Result;
use downhill::train::{EpochRecord, Observer, StepRecord};
use js_sys::{Float64Array, Function};
use wasm_bindgen::JsValue;
use web_time::Instant;

/// Calls `call("steps", numbers)`, three numbers a step: its number, loss, learning rate; and `call("epoch", json)`.
pub struct Listener<'c> {
    pub call: &'c Function,
    pub until: Instant,
}

impl Listener<'_> {
    /// Calls the page. An error that it throws ends the run.
    fn tell(&self, kind: &str, value: &JsValue) -> Result<()> {
        let told = self.call.call2(&JsValue::NULL, &kind.into(), value);
        told.map_err(|err| Error::Gpu(format!("the page's listener failed: {err:?}")))?;
        if Instant::now() >= self.until { Err(Error::Cancelled) } else { Ok(()) }
    }
}

impl Observer for Listener<'_> {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        let numbers = steps.iter().flat_map(|step| [step.step as f64, f64::from(step.loss), step.lr]);
        let numbers: Vec<f64> = numbers.collect();
        self.tell("steps", &Float64Array::from(&numbers[..]))
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        let mut record = serde_json::to_value(epoch).map_err(|err| Error::Gpu(err.to_string()))?;
        record["step"] = epoch.step.into();
        self.tell("epoch", &record.to_string().into())
    }
}
