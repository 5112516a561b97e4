//! A run in a page: trained piece by piece, kept over a reload, asked, saved and opened.

use std::time::Duration;

use downhill::config::Config;
use downhill::data::Dataset;
use downhill::graph::DType;
use downhill::infer::{Predictor, Sampling, TextModel};
use downhill::plan::{weights_from_bytes, weights_to_bytes};
use downhill::train::{RunHandle, Snapshot, Trainer};
use downhill::{Error, Gpu, Value};
use js_sys::Function;
use serde_json::json;
use wasm_bindgen::prelude::*;
use web_time::Instant;

use crate::fault;
use crate::listener::Listener;

/// A run on a device.
#[wasm_bindgen]
pub struct Run {
    gpu: Gpu,
    config: Config,
    data: Dataset,
    trainer: Trainer,
    /// Answers with the weights after this many steps.
    predictor: Option<(u64, Predictor)>,
}

/// Stops a run's piece, while it trains.
#[wasm_bindgen]
pub struct Handle(RunHandle);

#[wasm_bindgen]
impl Handle {
    /// Ends the piece once the steps in flight are received.
    pub fn stop(&self) {
        self.0.stop();
    }
}

impl Run {
    pub(crate) async fn new(gpu: &Gpu, text: &str) -> Result<Run, Error> {
        let config = Config::parse(text, &[])?;
        let data = config.dataset()?;
        let trainer = config.trainer_async(gpu, &data).await?;
        Ok(Run { gpu: gpu.clone(), config, data, trainer, predictor: None })
    }

    async fn answers(&mut self, inputs: &[f32]) -> Result<Vec<f32>, Error> {
        let step = self.trainer.steps_done();
        if self.predictor.as_ref().is_none_or(|(of, _)| *of != step) {
            let (weights, _) = self.trainer.weights_async().await?;
            let predictor = match self.predictor.take() {
                Some((_, mut predictor)) => {
                    predictor.load_state_dict(&weights)?;
                    predictor
                }
                None => {
                    let inputs = self.data.train().inputs();
                    let (shape, batch) = (inputs.shape().clone(), 1);
                    self.config.predictor_async(&self.gpu, &shape, DType::F32, batch, &weights).await?
                }
            };
            self.predictor = Some((step, predictor));
        }
        match &mut self.predictor {
            Some((_, predictor)) => predictor.predict_async(Value::F32(inputs)).await,
            None => Ok(Vec::new()),
        }
    }

    /// The names of the classes; their numbers where the data have none. Those of a text are its characters.
    fn class_names(&self) -> Vec<String> {
        if let Some(vocabulary) = self.data.vocabulary() {
            return vocabulary.chars().iter().map(char::to_string).collect();
        }
        let named = |number| self.data.encoding().and_then(|encoding| encoding.class(number));
        let classes = 0..self.data.classes().unwrap_or(0);
        classes.map(|number| named(number).map_or(number.to_string(), str::to_owned)).collect()
    }

    async fn text(&self, prompt: &str, length: usize, temperature: f64, seed: u64) -> Result<String, Error> {
        let (Some(vocabulary), Some(context)) = (self.data.vocabulary(), self.config.data.context()) else {
            return Err(Error::Config("only a model of text continues one".into()));
        };
        let (weights, _) = self.trainer.weights_async().await?;
        let build = |net: &_, x: &_| self.config.model.build(net, x);
        let mut model =
            TextModel::new_async(&self.gpu, &build, context, vocabulary.clone(), &weights).await?;
        let sampling = Sampling { temperature, top_k: None, seed };
        let mut writing = model.write(prompt, &sampling)?;
        let mut text = String::new();
        for _ in 0..length {
            text.push(writing.next_async().await?);
        }
        Ok(text)
    }
}

#[wasm_bindgen]
impl Run {
    /// The sizes of the run, as JSON.
    pub fn about(&self) -> String {
        let inputs = self.data.train().inputs();
        let plan = self.trainer.plan();
        json!({
            "data": self.data.name(),
            "train": self.data.train().len(),
            "eval": self.data.eval().map(|part| part.len()),
            "classes": self.data.classes(),
            "class_names": self.class_names(),
            "characters": self.data.vocabulary().map(|vocabulary| vocabulary.len()),
            "shape": inputs.shape().to_vec(),
            "parameters": plan.parameter_count(),
            "memory": self.gpu.ledger().total(),
            "total_steps": self.trainer.total_steps(),
            "step": self.trainer.steps_done(),
        })
        .to_string()
    }

    /// The whole config as TOML, every default written out.
    pub fn config(&self) -> String {
        self.config.to_toml()
    }

    /// The encoding of the data as JSON, `data.json` of a run's folder; empty where they were numbers.
    ///
    /// # Errors
    /// None.
    pub fn encoding(&self) -> Result<String, JsError> {
        let text = self.data.encoding().map(serde_json::to_string_pretty).transpose().map_err(fault)?;
        Ok(text.unwrap_or_default())
    }

    /// Stops a piece from outside. Take it before [`Run::train`], which holds the run.
    pub fn handle(&self) -> Handle {
        Handle(self.trainer.handle())
    }

    /// Steps done.
    pub fn step(&self) -> u32 {
        self.trainer.steps_done() as u32
    }

    /// Trains for this long, or to the end, or until the handle stops it; gives "finished", "early stopped" or "stopped".
    ///
    /// # Errors
    /// A loss that is not finite; a lost device.
    pub async fn train(&mut self, seconds: f64, call: &Function) -> Result<String, JsError> {
        let until = Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, 1e6));
        let mut listener = Listener { call, until };
        let outcome = self.trainer.run_async(&mut listener, &mut ()).await.map_err(fault)?;
        Ok(outcome.end.name().to_owned())
    }

    /// The state of the run, for [`Run::restore`].
    ///
    /// # Errors
    /// A lost device.
    pub async fn snapshot(&self) -> Result<Vec<u8>, JsError> {
        let snapshot = self.trainer.snapshot_async().await.map_err(fault)?;
        snapshot.to_bytes().map_err(fault)
    }

    /// Goes on from a state of a run of the same config and data.
    ///
    /// # Errors
    /// Bytes of another run.
    pub async fn restore(&mut self, state: Vec<u8>) -> Result<(), JsError> {
        let snapshot = Snapshot::from_bytes(&state).map_err(fault)?;
        self.predictor = None;
        self.trainer.restore_async(&snapshot).await.map_err(fault)
    }

    /// The weights as a safetensors file.
    ///
    /// # Errors
    /// A lost device.
    pub async fn weights(&self) -> Result<Vec<u8>, JsError> {
        let (weights, _) = self.trainer.weights_async().await.map_err(fault)?;
        weights_to_bytes(&weights).map_err(fault)
    }

    /// Replaces the weights by those of a safetensors file.
    ///
    /// # Errors
    /// A file of another model, with both sides.
    #[wasm_bindgen(js_name = openWeights)]
    pub fn open_weights(&mut self, name: &str, file: Vec<u8>) -> Result<(), JsError> {
        let weights = weights_from_bytes(name, &file).map_err(fault)?;
        self.trainer.load_state_dict(&weights).map_err(fault)?;
        self.predictor = None;
        Ok(())
    }

    /// Evaluates the weights, as JSON: loss, accuracy, confusion; empty without an evaluation part.
    ///
    /// # Errors
    /// A lost device.
    pub async fn evaluate(&mut self) -> Result<String, JsError> {
        let evaluation = self.trainer.evaluate_async().await.map_err(fault)?;
        Ok(evaluation.map_or(String::new(), |found| {
            json!({ "eval_loss": found.loss, "eval_accuracy": found.accuracy, "eval_confusion": found.confusion })
                .to_string()
        }))
    }

    /// The answer to one sample: probabilities of classes, or numbers.
    ///
    /// # Errors
    /// A sample of another size.
    pub async fn predict(&mut self, inputs: Vec<f32>) -> Result<Vec<f32>, JsError> {
        self.answers(&inputs).await.map_err(fault)
    }

    /// Continues a text.
    ///
    /// # Errors
    /// A run of other data; a prompt with characters that its text does not have.
    pub async fn write(
        &self,
        prompt: String,
        length: usize,
        temperature: f64,
        seed: u32,
    ) -> Result<String, JsError> {
        self.text(&prompt, length, temperature, seed.into()).await.map_err(fault)
    }
}
