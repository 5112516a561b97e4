//! Models as a list of layers, the way a config file names them.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use super::{Layer, Net};
use crate::graph::Tensor;

/// Most layers of a list, those within layers and their copies counted: a model of more is a slip of the pen.
const MOST_LAYERS: usize = 10_000;

/// Layers one after the other; parameters are named by position, as in `torch.nn.Sequential`.
///
/// Lists within layers go on from their layer's name: `3.0.weight`. A [`Block`](super::Block) has its name in
/// place of its position: `encoder.0.weight`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sequential {
    /// The layers.
    pub layers: Vec<Layer>,
}

impl Sequential {
    /// These layers.
    pub fn new(layers: impl IntoIterator<Item = Layer>) -> Self {
        Sequential { layers: layers.into_iter().collect() }
    }

    /// Builds the layers on `x`.
    pub fn build(&self, net: &Net, x: &Tensor) -> Tensor {
        self.build_below(net, "", x)
    }

    /// Builds the layers on `x`, named below `path`.
    pub(super) fn build_below(&self, net: &Net, path: &str, x: &Tensor) -> Tensor {
        if let Err(text) = self.check() {
            return x.fail(text);
        }
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            let own = layer.label().map_or_else(|| i.to_string(), str::to_owned);
            let name = if path.is_empty() { own } else { format!("{path}.{own}") };
            x = layer.build(net, &name, &x);
        }
        x
    }

    /// How many layers it makes, those within layers included.
    pub(super) fn count(&self) -> usize {
        self.layers.iter().map(Layer::count).fold(0, usize::saturating_add)
    }

    /// Refuses two blocks of one name, for so would be their parameters; and too many layers.
    fn check(&self) -> Result<(), String> {
        let labels: Vec<&str> = self.layers.iter().filter_map(Layer::label).collect();
        let again = labels.iter().enumerate().find(|(i, label)| labels[..*i].contains(label));
        if let Some((_, label)) = again {
            return Err(format!("two blocks are named \"{label}\"; rename one"));
        }
        match self.count() {
            0..=MOST_LAYERS => Ok(()),
            n => Err(format!("{n} layers in all, copies counted: at most {MOST_LAYERS} are allowed")),
        }
    }

    /// Refuses an empty list.
    pub(super) fn filled(&self, key: &str) -> Result<(), String> {
        if self.layers.is_empty() { Err(format!("{key} = []: at least one layer is needed")) } else { Ok(()) }
    }
}

impl Serialize for Sequential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.layers.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sequential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Sequential { layers: Vec::deserialize(deserializer)? };
        list.check().map_err(D::Error::custom)?;
        Ok(list)
    }
}
