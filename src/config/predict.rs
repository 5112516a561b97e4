//! A config's model for predictions: the head that its loss implies, and the models that cannot predict.

use toml::Value;

use super::{Config, DataSpec};
use crate::data::{Encoding, TargetKind};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::graph::DType;
use crate::infer::{Head, Predictor};
use crate::plan::NamedTensor;
use crate::shape::Shape;

impl Config {
    /// The head that converts the model's output to probabilities, or to numbers. It follows from the loss.
    pub fn head(&self) -> Head {
        self.loss.head()
    }

    /// True where the inputs are their own targets.
    pub fn learns_inputs(&self) -> bool {
        matches!(self.data, DataSpec::Inputs(_))
    }

    /// The names of the classes by number, where the data name them. `encoding` is that of the run's data.
    pub fn class_names(&self, encoding: Option<&Encoding>) -> Option<Vec<String>> {
        match (encoding, &self.data) {
            (_, DataSpec::Inputs(_)) => None,
            (Some(Encoding::Table(table)), _) => match &table.target.kind {
                TargetKind::Classes { classes } => Some(classes.clone()),
                TargetKind::Numeric { .. } => None,
            },
            (Some(Encoding::Images(images)), _) => Some(images.classes.clone()),
            (_, DataSpec::Digits) => Some((0..10).map(|digit| digit.to_string()).collect()),
            _ => None,
        }
    }

    /// The model for predictions, with the weights of a run, on `batch` samples of this shape and type at a time.
    ///
    /// # Errors
    /// As [`Predictor::new`]; [`Error::Config`] where the model takes statistics from the batch.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn predictor(
        &self,
        gpu: &Gpu,
        sample: &Shape,
        dtype: DType,
        batch: usize,
        weights: &[NamedTensor],
    ) -> Result<Predictor> {
        pollster::block_on(self.predictor_async(gpu, sample, dtype, batch, weights))
    }

    /// [`Config::predictor`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn predictor_async(
        &self,
        gpu: &Gpu,
        sample: &Shape,
        dtype: DType,
        batch: usize,
        weights: &[NamedTensor],
    ) -> Result<Predictor> {
        if says_no(&Value::try_from(&self.model).unwrap_or("".into()), "track_running_stats") {
            return Err(Error::Config(
                "batch_norm with track_running_stats = false takes means from the batch, so that a prediction would be \
                 another beside other samples; train with track_running_stats = true"
                    .into(),
            ));
        }
        let model = |net: &_, x: &_| self.model.build(net, x);
        Predictor::new_async(gpu, &model, self.head(), sample.clone(), dtype, batch, weights).await
    }
}

/// True where the key is false somewhere in the value.
fn says_no(value: &Value, key: &str) -> bool {
    match value {
        Value::Table(table) => {
            table.get(key) == Some(&Value::Boolean(false)) || table.values().any(|inner| says_no(inner, key))
        }
        Value::Array(list) => list.iter().any(|inner| says_no(inner, key)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(layers: &str, loss: &str) -> Config {
        let text = format!(
            "data = {{ source = \"digits\" }}\nmodel = {{ layers = {layers}, loss = {loss} }}\noptimizer = {{ name = \
             \"sgd\" }}"
        );
        Config::parse(&text, &[]).unwrap()
    }

    #[test]
    fn the_loss_says_what_an_output_is() {
        for (loss, head) in [
            ("\"cross_entropy\"", Head::Softmax),
            ("\"nll\"", Head::Exp),
            ("\"kl_div\"", Head::Exp),
            ("\"bce_with_logits\"", Head::Sigmoid),
            ("\"mse\"", Head::Numbers),
            ("{ huber = 0.5 }", Head::Numbers),
        ] {
            assert_eq!(config("[\"flatten\", { linear = 10 }]", loss).head(), head, "{loss}");
        }
    }

    #[test]
    fn statistics_of_a_batch_are_found_wherever_they_are() {
        let takes = |layers: &str| {
            says_no(&Value::try_from(config(layers, "\"mse\"").model).unwrap(), "track_running_stats")
        };
        assert!(!takes("[\"batch_norm\", \"flatten\", { linear = { out_features = 10, bias = false } }]"));
        assert!(takes(
            "[\"flatten\", { repeat = { times = 2, layers = [{ batch_norm = { track_running_stats = false } }] } }]"
        ));
    }
}
