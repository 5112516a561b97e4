//! The layers that a model function builds, in its order: what `explain` lists.

use std::collections::HashMap;

use super::{Graph, Tensor};
use crate::shape::Shape;

/// A layer of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSummary {
    /// Its name, which begins those of its parameters: `0`, `3.0`, `encoder`.
    pub name: String,
    /// Its kind, as a config names it: `linear`.
    pub kind: String,
    /// The shape of its output for a batch.
    pub output: Shape,
    /// Its own parameters, by their place in [`Graph::parameters`]. Those of layers within it are theirs.
    pub parameters: Vec<usize>,
}

impl Graph {
    /// [`Graph::scoped`] for a layer, which `explain` then lists with the shape of its output. `scope` is `NAME (KIND)`.
    pub fn layer(&self, scope: &str, build: impl FnOnce() -> Tensor) -> Tensor {
        let at = {
            let mut inner = self.inner.borrow_mut();
            // An entry of a config and the builder's method that it calls are one layer.
            let is_new = inner.scope != scope;
            if is_new {
                inner.layers.push((scope.to_owned(), Shape::default()));
            }
            is_new.then(|| inner.layers.len() - 1)
        };
        let y = self.scoped(scope, build);
        if let Some(at) = at {
            self.inner.borrow_mut().layers[at].1 = y.shape().into();
        }
        y
    }

    /// The layers in the order they were begun, a layer before those within it.
    pub(crate) fn layers(&self) -> Vec<LayerSummary> {
        let inner = self.inner.borrow();
        let mut own: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, parameter) in inner.parameters.iter().enumerate() {
            own.entry(&inner.nodes[parameter.node.0].scope).or_default().push(at);
        }
        let summary = |(scope, output): &(String, Shape)| {
            let (name, kind) = scope.rsplit_once(" (").unwrap_or((scope, ""));
            LayerSummary {
                name: name.to_owned(),
                kind: kind.trim_end_matches(')').to_owned(),
                output: output.clone(),
                parameters: own.get(scope.as_str()).cloned().unwrap_or_default(),
            }
        };
        inner.layers.iter().map(summary).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Init;

    #[test]
    fn a_layer_is_listed_once_with_its_own_parameters() {
        let graph = Graph::new();
        let x = graph.input("x", [4, 2]);
        let inner = |x: &Tensor| {
            graph.layer("0.0 (linear)", || {
                let w = graph.parameter("0.0.weight", [2, 2], Init::Constant(1.0));
                // The builder's method of the same layer.
                graph.layer("0.0 (linear)", || x.matmul(&w))
            })
        };
        graph.layer("0 (residual)", || x.add(&inner(&x)).reshape([4, 2, 1]));
        graph.parameter("gain", [1], Init::Constant(1.0));
        let summary = |name: &str, kind: &str, output: &[usize], parameters: &[usize]| LayerSummary {
            name: name.into(),
            kind: kind.into(),
            output: output.into(),
            parameters: parameters.into(),
        };
        let want = [summary("0", "residual", &[4, 2, 1], &[]), summary("0.0", "linear", &[4, 2], &[0])];
        assert_eq!(graph.layers(), want);
    }
}
