//! Layers that change the shape. None touches the batch axis, which is the first.

use serde::{Deserialize, Serialize};

use super::Net;
use super::rule::Rule;
use crate::graph::Tensor;
use crate::shape::Shape;
use crate::units::plural;

/// Joins all axes from `start_axis` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flatten {
    /// The first axis to join; the batch axis is 0. Default: 1.
    pub start_axis: usize,
}

impl Default for Flatten {
    fn default() -> Self {
        Flatten { start_axis: 1 }
    }
}

impl Rule for Flatten {
    fn check(&self) -> Result<(), String> {
        match self.start_axis {
            0 => Err("start_axis = 0: that is the batch axis; at least 1 is needed".into()),
            _ => Ok(()),
        }
    }

    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        let (start, shape) = (self.start_axis, x.shape());
        if start == 1 {
            return x.flatten();
        }
        if start >= shape.len() {
            return x.fail(format!("start_axis = {start} is past the last axis of {shape:?}"));
        }
        let merged = Shape::from(&shape[start..]).elements();
        x.reshape([&shape[..start], &[merged]].concat())
    }
}

/// The same elements in row-major order under another shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The extents after the batch axis. One may be −1, which stands for the rest.
    pub shape: Vec<isize>,
}

impl Rule for Reshape {
    fn check(&self) -> Result<(), String> {
        if let Some(extent) = self.shape.iter().find(|&&extent| extent < -1 || extent == 0) {
            return Err(format!("shape = {:?}: {extent} is no extent; at least 1, or -1 once", self.shape));
        }
        if self.shape.iter().filter(|&&extent| extent == -1).count() > 1 {
            return Err(format!("shape = {:?}: -1 stands for what is left, so only once", self.shape));
        }
        Ok(())
    }

    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        let Some((&batch, rest)) = x.shape().split_first() else {
            return x.fail("reshape needs a batch axis, and the input is a scalar".into());
        };
        let known = self.shape.iter().filter(|&&extent| extent > 0);
        let known = known.fold(1usize, |n, &extent| n.saturating_mul(extent as usize));
        let elements = Shape::from(rest).elements();
        let open = self.shape.contains(&-1);
        if if open { !elements.is_multiple_of(known) } else { elements != known } {
            return x.fail(format!(
                "cannot reshape {rest:?}, {} beside the batch axis, to {:?}{}",
                plural(elements, "element"),
                self.shape,
                if open {
                    format!(": {known} does not divide them")
                } else {
                    format!(", {}", plural(known, "element"))
                }
            ));
        }
        let extent = |&extent: &isize| if extent == -1 { elements / known } else { extent as usize };
        x.reshape([&[batch][..], &self.shape.iter().map(extent).collect::<Vec<_>>()].concat())
    }
}

/// Axes in another order; `torch.permute` with the batch axis first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permute {
    /// Axis i + 1 of the output is this axis of the input; the axes after the batch count from 1.
    pub axes: Vec<usize>,
}

impl Rule for Permute {
    fn check(&self) -> Result<(), String> {
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        let n = self.axes.len();
        if n > 0 && sorted.into_iter().eq(1..=n) {
            return Ok(());
        }
        Err(format!(
            "axes = {:?}: each axis after the batch once, counted from 1, is needed, as [2, 1]",
            self.axes
        ))
    }

    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        if x.shape().len() != self.axes.len() + 1 {
            return x.fail(format!(
                "permute = {:?} orders {} axes after the batch axis, and {:?} has {}",
                self.axes,
                self.axes.len(),
                x.shape(),
                x.shape().len().saturating_sub(1)
            ));
        }
        x.permute(&[&[0][..], &self.axes].concat())
    }
}
