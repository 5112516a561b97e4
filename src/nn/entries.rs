//! Layers of [`Net`] as entries of a list: checks of their options, and the methods of [`Net`] that build them.

use serde::{Deserialize, Serialize};

use super::conv::{check_windows, demand};
use super::rule::Rule;
use super::{
    BatchNorm, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Embedding, GroupNorm, InstanceNorm,
    LayerNorm, MultiHeadAttention, Net, RmsNorm, Upsample, UpsampleSize,
};
use crate::graph::Tensor;

/// Implements [`Rule`] by a method of [`Net`] that takes name, input and options.
macro_rules! entries {
    ($($kind:ident $method:ident $check:expr;)*) => {$(
        impl Rule for $kind {
            fn check(&self) -> Result<(), String> {
                let check: fn(&Self) -> Result<(), String> = $check;
                check(self)
            }

            fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
                net.$method(name, x, self)
            }
        }
    )*};
}

/// Checks that numbers are at least 1.
pub(super) fn above_zero(numbers: &[(&str, usize)]) -> Result<(), String> {
    let demands = numbers.iter().map(|(key, n)| (*n > 0, format!("{key} = {n}: at least 1 is needed")));
    demand(&demands.collect::<Vec<_>>())
}

/// Checks ε of a normalisation.
fn eps(eps: f64) -> Result<(), String> {
    demand(&[(eps >= 0.0, format!("eps = {eps}: a number from 0 on is needed"))])
}

/// Checks a probability or a share.
fn share(key: &str, x: f64) -> Result<(), String> {
    demand(&[((0.0..=1.0).contains(&x), format!("{key} = {x}: from 0 to 1"))])
}

/// The check of a convolution, the same for all four kinds.
macro_rules! conv {
    () => {
        |o| {
            above_zero(&[("out_channels", o.out_channels), ("groups", o.groups)])?;
            check_windows(&o.kernel_size, &o.stride, &o.dilation)
        }
    };
}

entries! {
    Conv1d conv1d conv!();
    Conv2d conv2d conv!();
    ConvTranspose1d conv_transpose1d conv!();
    ConvTranspose2d conv_transpose2d conv!();
    BatchNorm batch_norm |o| eps(o.eps).and_then(|()| share("momentum", o.momentum.unwrap_or(0.0)));
    LayerNorm layer_norm |o| above_zero(&[("axes", o.axes)]).and_then(|()| eps(o.eps));
    RmsNorm rms_norm |o| above_zero(&[("axes", o.axes)]).and_then(|()| eps(o.eps.unwrap_or(0.0)));
    GroupNorm group_norm |o| above_zero(&[("num_groups", o.num_groups)]).and_then(|()| eps(o.eps));
    InstanceNorm instance_norm |o| eps(o.eps);
    Embedding embedding |o| {
        above_zero(&[("num_embeddings", o.num_embeddings), ("embedding_dim", o.embedding_dim)])?;
        match o.padding_idx {
            Some(i) if i >= o.num_embeddings => {
                Err(format!("padding_idx = {i}: below num_embeddings = {} is needed", o.num_embeddings))
            }
            _ => Ok(()),
        }
    };
    MultiHeadAttention multi_head_attention |o| {
        above_zero(&[("num_heads", o.num_heads)]).and_then(|()| share("dropout", o.dropout))
    };
}

impl Rule for Upsample {
    fn check(&self) -> Result<(), String> {
        match self.size {
            UpsampleSize::Size([h, w]) => above_zero(&[("size", h), ("size", w)]),
            UpsampleSize::Scale(scale) if scale.iter().all(|s| *s > 0.0 && s.is_finite()) => Ok(()),
            UpsampleSize::Scale(scale) => {
                Err(format!("scale_factor = {scale:?}: numbers above 0 are needed"))
            }
        }
    }

    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        x.upsample(self)
    }
}

/// Dropout as a layer, from a method of [`Net`] that takes input and probability.
macro_rules! dropout {
    ($($(#[$doc:meta])* $kind:ident $method:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $kind {
            /// The probability of a zero. Default: 0.5.
            pub p: f64,
        }

        impl Default for $kind {
            fn default() -> Self {
                $kind { p: 0.5 }
            }
        }

        impl Rule for $kind {
            fn check(&self) -> Result<(), String> {
                share("p", self.p)
            }

            fn build(&self, net: &Net, _: &str, x: &Tensor) -> Tensor {
                net.$method(x, self.p)
            }
        }
    )*};
}

dropout! {
    /// Zeros elements at random in training; see [`Net::dropout`].
    Dropout dropout;
    /// Zeros whole channels at random in training; see [`Net::dropout2d`].
    Dropout2d dropout2d;
}
