//! Layers made of layers.

use serde::{Deserialize, Serialize};

use super::layer::Rule;
use super::{Net, Sequential};
use crate::graph::Tensor;

/// Most copies a [`Repeat`] makes.
const MOST_COPIES: usize = 1000;

/// shortcut(x) + layers(x); x itself where there is no shortcut.
///
/// Parameters are below `NAME.layers` and `NAME.shortcut`. Source: He et al. 2015, arXiv 1512.03385.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// What is added to x.
    pub layers: Sequential,
    /// Gives x the shape of the layers' output, where they change it.
    #[serde(default)]
    pub shortcut: Option<Sequential>,
}

/// A shortcut from shape `x` to shape `y`, as a config has it.
fn remedy(x: &[usize], y: &[usize]) -> Option<String> {
    if x.len() < 2 || x.len() != y.len() || x[0] != y[0] {
        return None;
    }
    let last = x.len() - 1;
    if x[..last] == y[..last] {
        return Some(format!("{{ linear = {} }}", y[last]));
    }
    let (name, spatial) = match x.len() {
        3 => ("conv1d", 2..3),
        4 => ("conv2d", 2..4),
        _ => return None,
    };
    // A 1x1 convolution at stride s takes an extent of n to ceil(n / s).
    let stride = x[2].div_ceil(y[2].max(1)).max(1);
    if spatial.into_iter().any(|axis| x[axis].div_ceil(stride) != y[axis]) {
        return None;
    }
    let stride = if stride > 1 { format!(", stride = {stride}") } else { String::new() };
    Some(format!("{{ {name} = {{ out_channels = {}, kernel_size = 1{stride} }} }}", y[1]))
}

impl Rule for Residual {
    fn check(&self) -> Result<(), String> {
        self.layers.filled("layers")?;
        self.shortcut.as_ref().map_or(Ok(()), |shortcut| shortcut.filled("shortcut"))
    }

    fn within(&self) -> usize {
        self.layers.count().saturating_add(self.shortcut.as_ref().map_or(0, Sequential::count))
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        let y = self.layers.build_below(net, &format!("{name}.layers"), x);
        let short = match &self.shortcut {
            Some(shortcut) => shortcut.build_below(net, &format!("{name}.shortcut"), x),
            None => x.clone(),
        };
        if short.shape() == y.shape() {
            return short.add(&y);
        }
        let what = if self.shortcut.is_some() { "the shortcut" } else { "x" };
        let remedy = match (&self.shortcut, remedy(x.shape(), y.shape())) {
            (_, Some(text)) => format!("shortcut = [{text}] would do"),
            (None, None) => {
                "give it a shortcut that makes them equal, as a linear layer or a convolution with kernel_size = 1"
                    .to_owned()
            }
            (Some(_), None) => "they must be equal".to_owned(),
        };
        x.fail(format!(
            "a residual adds {what} {:?} and the layers' output {:?}, which differ; {remedy}",
            short.shape(),
            y.shape()
        ))
    }
}

/// How [`Parallel`] joins its branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Join {
    /// One after the other along an axis.
    #[default]
    Concat,
    /// Their sum.
    Add,
}

/// The same x through several lists of layers; an empty one passes it on.
///
/// Parameters are below `NAME.BRANCH`, branches counted from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    /// The lists.
    pub branches: Vec<Sequential>,
    /// How their outputs are joined.
    #[serde(default)]
    pub join: Join,
    /// Along which axis `concat` joins, the batch axis being 0; negative from the end.
    #[serde(default = "one")]
    pub axis: isize,
}

fn one() -> isize {
    1
}

impl Rule for Parallel {
    fn check(&self) -> Result<(), String> {
        if self.branches.is_empty() {
            return Err("branches = []: at least one list of layers is needed".into());
        }
        if self.axis == 0 {
            return Err("axis = 0: that is the batch axis; 1 is the first after it".into());
        }
        Ok(())
    }

    fn within(&self) -> usize {
        self.branches.iter().map(Sequential::count).fold(0, usize::saturating_add)
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        let branches = self.branches.iter().enumerate();
        let made: Vec<Tensor> =
            branches.map(|(i, branch)| branch.build_below(net, &format!("{name}.{i}"), x)).collect();
        let first = made[0].shape();
        match self.join {
            Join::Add => match made.iter().position(|y| y.shape() != first) {
                Some(i) => x.fail(format!(
                    "parallel adds branch 0 {first:?} and branch {i} {:?}, which differ; equal shapes are needed",
                    made[i].shape()
                )),
                None => made[1..].iter().fold(made[0].clone(), |sum, y| sum.add(y)),
            },
            Join::Concat => {
                let rank = first.len() as isize;
                let axis = if self.axis < 0 { self.axis + rank } else { self.axis };
                if axis < 1 || axis >= rank {
                    return x.fail(format!(
                        "axis = {}: branch 0 is {first:?}, whose axes after the batch are 1 to {}",
                        self.axis,
                        rank - 1
                    ));
                }
                let differ = |y: &Tensor| {
                    y.shape().len() != first.len()
                        || (0..first.len()).any(|i| i as isize != axis && y.shape()[i] != first[i])
                };
                match made.iter().position(differ) {
                    Some(i) => x.fail(format!(
                        "parallel joins branch 0 {first:?} and branch {i} {:?} along axis {axis}, and other \
                         extents differ; equal ones are needed",
                        made[i].shape()
                    )),
                    None => Tensor::concat(&made.iter().collect::<Vec<_>>(), axis),
                }
            }
        }
    }
}

/// Copies of a list one after the other, each with parameters of its own.
///
/// Parameters are below `NAME.COPY`, copies counted from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How many copies.
    pub times: usize,
    /// What is repeated.
    pub layers: Sequential,
}

impl Rule for Repeat {
    fn check(&self) -> Result<(), String> {
        if !(1..=MOST_COPIES).contains(&self.times) {
            return Err(format!("times = {}: from 1 to {MOST_COPIES} copies", self.times));
        }
        self.layers.filled("layers")
    }

    fn within(&self) -> usize {
        self.layers.count().saturating_mul(self.times)
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        let copy = |x: Tensor, i: usize| self.layers.build_below(net, &format!("{name}.{i}"), &x);
        (0..self.times).fold(x.clone(), copy)
    }
}

/// A list under a name, which takes the place of its position in parameters, errors and `explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Letters, digits and `_`, a letter first.
    pub name: String,
    /// What it holds.
    pub layers: Sequential,
    /// Computes its inner values again in the backward pass rather than keep them.
    #[serde(default)]
    pub checkpoint: bool,
}

impl Rule for Block {
    fn check(&self) -> Result<(), String> {
        let letters = self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !letters || !self.name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(format!(
                "name = \"{}\": letters, digits and _, a letter first, are needed",
                self.name
            ));
        }
        self.layers.filled("layers")
    }

    fn within(&self) -> usize {
        self.layers.count()
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        let build = |x: &Tensor| self.layers.build_below(net, name, x);
        if self.checkpoint { net.checkpoint(x, build) } else { build(x) }
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}
