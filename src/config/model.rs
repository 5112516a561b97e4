//! The `[model]` table: layers and loss, by name or with options.

use toml::{Table, Value};

use super::section::{Section, kind, suggestion};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::loss::{self, CrossEntropy};
use crate::nn::{Activation, Layer, Linear};

pub(super) const LAYERS: &[&str] = &[
    "flatten",
    "linear",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "tanh",
    "sigmoid",
    "softmax",
    "log_softmax",
];
pub(super) const LOSSES: &[&str] = &["cross_entropy", "mse", "l1", "huber", "bce_with_logits"];

/// A loss by name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LossSpec {
    /// Of logits against classes.
    CrossEntropy(CrossEntropy),
    /// Mean squared error; classes are taken one-hot.
    Mse,
    /// Mean absolute error; classes are taken one-hot.
    L1,
    /// Huber's loss; classes are taken one-hot.
    Huber {
        /// Where the parabola ends; torch's default is 1.
        delta: f32,
    },
    /// Binary cross-entropy of logits; classes are taken one-hot.
    BceWithLogits,
}

impl LossSpec {
    /// The loss of `output` against `target`.
    pub fn apply(&self, output: &Tensor, target: &Tensor) -> Tensor {
        let dense = || match (target.dtype(), output.shape()) {
            (crate::graph::DType::I32, [.., classes]) => target.one_hot(*classes),
            _ => target.clone(),
        };
        match self {
            LossSpec::CrossEntropy(options) => loss::cross_entropy(output, target, options),
            LossSpec::Mse => loss::mse(output, &dense()),
            LossSpec::L1 => loss::l1(output, &dense()),
            LossSpec::Huber { delta } => loss::huber(output, &dense(), *delta),
            LossSpec::BceWithLogits => loss::bce_with_logits(output, &dense()),
        }
    }

    pub(super) fn to_toml(self) -> Value {
        match self {
            LossSpec::CrossEntropy(c) => {
                let mut options = table([("label_smoothing", number(c.label_smoothing))]);
                if let Some(i) = c.ignore_index {
                    options.insert("ignore_index".into(), Value::Integer(i.into()));
                }
                named("cross_entropy", options)
            }
            LossSpec::Mse => "mse".into(),
            LossSpec::L1 => "l1".into(),
            LossSpec::Huber { delta } => named("huber", table([("delta", number(delta))])),
            LossSpec::BceWithLogits => "bce_with_logits".into(),
        }
    }
}

/// An f32 as the shortest decimal that gives it back.
fn number(x: f32) -> Value {
    Value::Float(format!("{x}").parse().unwrap_or(f64::from(x)))
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

fn named(name: &str, options: Table) -> Value {
    Value::Table(table([(name, Value::Table(options))]))
}

/// A name alone, or a table of one name with its options: `"relu"`, `{ linear = 128 }`, `{ elu = { alpha = 1 } }`.
fn entry(path: &str, value: Value, what: &str, names: &[&str]) -> Result<(String, Option<Value>)> {
    let (name, options) = match value {
        Value::String(name) => (name, None),
        Value::Table(table) if table.len() == 1 => {
            table.into_iter().next().map(|(k, v)| (k, Some(v))).unwrap_or_default()
        }
        other => {
            return Err(Error::Config(format!(
                "{path} = {other}: a {what} is a name or a table of one name, and this is {}; for example \
                 \"relu\" or {{ linear = 128 }}",
                kind(&other)
            )));
        }
    };
    if names.contains(&name.as_str()) {
        Ok((name, options))
    } else {
        Err(Error::Config(format!("{path}: unknown {what} \"{name}\"; {}", suggestion(&name, names))))
    }
}

/// Options as a section: a table, or one value that stands for `main`, or nothing.
fn options(path: String, value: Option<Value>, main: Option<&'static str>) -> Result<Section> {
    let table = match (value, main) {
        (None, _) => Table::new(),
        (Some(Value::Table(t)), _) => t,
        (Some(value), Some(main)) => table([(main, value)]),
        (Some(value), None) => {
            return Err(Error::Config(format!("{path} = {value}: it takes no options")));
        }
    };
    Ok(Section::new(path, table))
}

/// A number that is finite as f32, or an error with the key.
fn finite(section: &mut Section, key: &'static str, default: f64) -> Result<f32> {
    let value = section.number(key, default)?;
    if (value as f32).is_finite() {
        return Ok(value as f32);
    }
    Err(Error::Config(format!("{} = {value}: a finite number is needed", section.name(key))))
}

fn layer(index: usize, value: Value) -> Result<Layer> {
    let path = format!("model.layers[{index}]");
    let (name, given) = entry(&path, value, "layer", LAYERS)?;
    let path = format!("{path}.{name}");
    let main = match name.as_str() {
        "linear" => Some("out_features"),
        "leaky_relu" => Some("negative_slope"),
        "elu" => Some("alpha"),
        "gelu" => Some("approximate"),
        "softplus" => Some("beta"),
        _ => None,
    };
    let mut s = options(path.clone(), given, main)?;
    let layer = match name.as_str() {
        "flatten" => Layer::Flatten,
        "softmax" => Layer::Softmax,
        "log_softmax" => Layer::LogSoftmax,
        "linear" => {
            let (width, bias) = (s.whole("out_features")?, s.boolean("bias", true)?);
            let out_features = match width {
                Some(n) if n > 0 => n as usize,
                Some(_) => return Err(Error::Config(format!("{path} = 0: at least one output feature"))),
                None => {
                    s.finish()?; // a misspelt key says more
                    return Err(Error::Config(format!("{path} needs a width, as {{ linear = 128 }}")));
                }
            };
            Layer::Linear(Linear { out_features, bias })
        }
        "relu" => Layer::Activation(Activation::Relu),
        "silu" => Layer::Activation(Activation::Silu),
        "tanh" => Layer::Activation(Activation::Tanh),
        "sigmoid" => Layer::Activation(Activation::Sigmoid),
        "leaky_relu" => {
            let negative_slope = finite(&mut s, "negative_slope", 0.01)?;
            Layer::Activation(Activation::LeakyRelu { negative_slope })
        }
        "elu" => Layer::Activation(Activation::Elu { alpha: finite(&mut s, "alpha", 1.0)? }),
        "softplus" => {
            let (beta, threshold) = (finite(&mut s, "beta", 1.0)?, finite(&mut s, "threshold", 20.0)?);
            if beta <= 0.0 {
                return Err(Error::Config(format!("{path}.beta = {beta}: a number above 0 is needed")));
            }
            Layer::Activation(Activation::Softplus { beta, threshold })
        }
        "gelu" => {
            let tanh = match s.take("approximate") {
                None => false,
                Some(Value::String(form)) if form == "tanh" => true,
                Some(Value::String(form)) if form == "none" => false,
                Some(other) => {
                    let text = format!("{path}.approximate = {other}: \"none\" or \"tanh\"");
                    return Err(Error::Config(text));
                }
            };
            Layer::Activation(Activation::Gelu { tanh })
        }
        other => unreachable!("{other} is in LAYERS and has no arm"),
    };
    s.finish()?;
    Ok(layer)
}

pub(super) fn layers(value: Value) -> Result<Vec<Layer>> {
    let Value::Array(list) = value else {
        return Err(Error::Config(format!(
            "model.layers = {value}: a list is needed; for example [\"flatten\", {{ linear = 10 }}]"
        )));
    };
    if list.is_empty() {
        return Err(Error::Config(
            "model.layers is empty; for example [\"flatten\", { linear = 10 }]".into(),
        ));
    }
    list.into_iter().enumerate().map(|(i, v)| layer(i, v)).collect()
}

pub(super) fn loss(value: Value) -> Result<LossSpec> {
    let (name, given) = entry("model.loss", value, "loss", LOSSES)?;
    let main = (name == "huber").then_some("delta");
    if let ("cross_entropy", Some(value)) = (name.as_str(), given.as_ref().filter(|v| !v.is_table())) {
        return Err(Error::Config(format!(
            "model.loss.cross_entropy = {value}: its options go by name, as {{ label_smoothing = 0.1 }}"
        )));
    }
    let mut s = options(format!("model.loss.{name}"), given, main)?;
    let spec = match name.as_str() {
        "mse" => LossSpec::Mse,
        "l1" => LossSpec::L1,
        "bce_with_logits" => LossSpec::BceWithLogits,
        "huber" => {
            let delta = finite(&mut s, "delta", 1.0)?;
            if delta <= 0.0 {
                return Err(Error::Config(format!("model.loss.huber.delta = {delta}: a number above 0")));
            }
            LossSpec::Huber { delta }
        }
        "cross_entropy" => {
            let label_smoothing = finite(&mut s, "label_smoothing", 0.0)?;
            if !(0.0..=1.0).contains(&label_smoothing) {
                return Err(Error::Config(format!(
                    "model.loss.cross_entropy.label_smoothing = {label_smoothing}: from 0 to 1"
                )));
            }
            let ignore_index = match s.take("ignore_index") {
                None => None,
                Some(Value::Integer(i)) if i32::try_from(i).is_ok() => Some(i as i32),
                Some(other) => {
                    let text = format!("model.loss.cross_entropy.ignore_index = {other}: a label is needed");
                    return Err(Error::Config(text));
                }
            };
            LossSpec::CrossEntropy(CrossEntropy { label_smoothing, ignore_index })
        }
        other => unreachable!("{other} is in LOSSES and has no arm"),
    };
    s.finish()?;
    Ok(spec)
}

pub(super) fn layer_to_toml(layer: &Layer) -> Value {
    let name = layer.name();
    match layer {
        Layer::Linear(l) => named(
            name,
            table([
                ("out_features", Value::Integer(l.out_features as i64)),
                ("bias", Value::Boolean(l.bias)),
            ]),
        ),
        Layer::Activation(Activation::LeakyRelu { negative_slope }) => {
            named(name, table([("negative_slope", number(*negative_slope))]))
        }
        Layer::Activation(Activation::Elu { alpha }) => named(name, table([("alpha", number(*alpha))])),
        Layer::Activation(Activation::Gelu { tanh }) => {
            named(name, table([("approximate", if *tanh { "tanh" } else { "none" }.into())]))
        }
        Layer::Activation(Activation::Softplus { beta, threshold }) => {
            named(name, table([("beta", number(*beta)), ("threshold", number(*threshold))]))
        }
        _ => name.into(),
    }
}
