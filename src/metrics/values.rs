//! What a model function says of a minibatch beside its loss, and the numbers that come back of it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::graph::{DType, Tensor};

/// What a model function gives of a minibatch: the loss that is trained, and named scalars to watch.
///
/// ```
/// # use downhill::prelude::*;
/// fn step(net: &Net, batch: &Batch) -> Objective {
///     let h = net.linear("shared", &batch.get("image").flatten(), 32).relu();
///     let digit = loss::cross_entropy(&net.linear("digit", &h, 10), &batch.get("digit"), &CrossEntropy::default());
///     let angle = loss::mse(&net.linear("angle", &h, 1), &batch.get("angle"));
///     Objective::new(&digit + &angle * 0.1).metric("digit", digit).metric("angle", angle)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Objective {
    loss: Tensor,
    metrics: Vec<(String, Tensor)>,
}

impl Objective {
    /// Trains `loss`, a scalar: the mean over the batch.
    pub fn new(loss: Tensor) -> Self {
        Objective { loss, metrics: Vec::new() }
    }

    /// Watches `value` too, a scalar: the mean over the batch, since epochs and evaluations weight it by samples.
    ///
    /// It costs no gradient. Names are unique, and the same in training and evaluation.
    pub fn metric(mut self, name: impl Into<String>, value: Tensor) -> Self {
        self.metrics.push((name.into(), value));
        self
    }

    /// The loss.
    pub fn loss(&self) -> &Tensor {
        &self.loss
    }

    /// The other scalars with their names.
    pub fn metrics(&self) -> &[(String, Tensor)] {
        &self.metrics
    }

    pub(super) fn names(&self) -> Arc<[String]> {
        self.metrics.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Everything is an f32 scalar of a name of its own.
    pub(super) fn check(&self) -> Result<()> {
        scalar(&self.loss, "loss: ".into(), "a loss")?;
        for (at, (name, value)) in self.metrics.iter().enumerate() {
            if name.is_empty() || name == "loss" || self.metrics[..at].iter().any(|(n, _)| n == name) {
                return Err(Error::Config(format!(
                    "metric {at} (counted from 0) is named \"{name}\": names are unique, and \"loss\" is taken"
                )));
            }
            scalar(value, format!("metric \"{name}\": "), "a metric")?;
        }
        Ok(())
    }
}

fn scalar(value: &Tensor, context: String, what: &str) -> Result<()> {
    let (shape, dtype) = (value.shape(), value.dtype());
    let message = if shape.iter().product::<usize>() != 1 {
        format!("{what} is a scalar, and this one has shape {shape:?}; take its mean")
    } else if dtype != DType::F32 {
        format!("{what} is f32, and this one is {dtype:?}; take its to_f32()")
    } else {
        return Ok(());
    };
    Err(Error::Shape { context, message })
}

impl From<Tensor> for Objective {
    /// A loss alone.
    fn from(loss: Tensor) -> Self {
        Objective::new(loss)
    }
}

/// Numbers by the names of an [`Objective`]'s metrics, in its order. None for a model that names none.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics<T> {
    names: Arc<[String]>,
    values: Vec<T>,
}

impl<T> Default for Metrics<T> {
    fn default() -> Self {
        Metrics { names: Arc::default(), values: Vec::new() }
    }
}

impl<T> Metrics<T> {
    pub(super) fn new(names: &Arc<[String]>, values: impl IntoIterator<Item = T>) -> Self {
        Metrics { names: Arc::clone(names), values: values.into_iter().collect() }
    }

    /// The number of a name, if there is one.
    pub fn get(&self, name: &str) -> Option<T>
    where
        T: Copy,
    {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// Every number with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.names.iter().map(String::as_str).zip(&self.values)
    }

    /// Whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl<T: Serialize> Serialize for Metrics<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Metrics<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Numbers<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Numbers<T> {
            type Value = Metrics<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("numbers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let (mut names, mut values) = (Vec::new(), Vec::new());
                while let Some((name, value)) = map.next_entry()? {
                    names.push(name);
                    values.push(value);
                }
                Ok(Metrics { names: names.into(), values })
            }
        }
        deserializer.deserialize_map(Numbers(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::train::StepRecord;

    #[test]
    fn a_step_with_metrics_reads_itself_back() {
        let names: Arc<[String]> = ["b".to_owned(), "a".to_owned()].into();
        let metrics = Metrics::new(&names, [0.1, 2.5]);
        let step = StepRecord { step: 1, epoch: 1, loss: 0.5, lr: 0.25, metrics, checks: None };
        let text = serde_json::to_string(&step).unwrap();
        assert_eq!(text, r#"{"step":1,"epoch":1,"loss":0.5,"lr":0.25,"metrics":{"b":0.1,"a":2.5}}"#);
        let again: StepRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(again, step);
        assert_eq!((again.metrics.get("a"), again.metrics.get("c")), (Some(2.5), None));
        let plain = StepRecord { metrics: Metrics::default(), ..step };
        let text = serde_json::to_string(&plain).unwrap();
        assert!(!text.contains("metrics"), "{text}");
        assert_eq!(serde_json::from_str::<StepRecord>(&text).unwrap(), plain);
    }

    #[test]
    fn an_objective_is_of_scalars_with_names() {
        let graph = Graph::new();
        let [one, pair] = [vec![1], vec![1, 2]].map(|shape| graph.input("x", shape));
        let whole = graph.input_i32("n", []);
        let objective = || Objective::new(one.clone());
        objective().metric("a", one.clone()).metric("b", one.clone()).check().unwrap();
        let refused = |objective: Objective, words: &[&str]| {
            let err = objective.check().unwrap_err();
            assert!(err.is_usage() && words.iter().all(|word| err.to_string().contains(word)), "{err}");
        };
        refused(Objective::new(pair.clone()), &["loss: ", "scalar", "[1, 2]", "mean"]);
        refused(objective().metric("kl", pair), &["metric \"kl\"", "[1, 2]", "mean"]);
        refused(objective().metric("hits", whole), &["metric \"hits\"", "I32", "to_f32()"]);
        for name in ["", "loss", "a"] {
            let named = objective().metric("a", one.clone()).metric(name, one.clone());
            refused(named, &["metric 1", &format!("\"{name}\""), "unique"]);
        }
    }
}
