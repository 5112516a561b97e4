//! Layers of [`Net`] as entries of a list: what their options may be, and which of its functions builds them.

use super::conv::{check_windows, demand};
use super::layer::Rule;
use super::{Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Net, Upsample, UpsampleSize};
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

/// What must be at least 1.
pub(super) fn above_zero(numbers: &[(&str, usize)]) -> Result<(), String> {
    let demands = numbers.iter().map(|(key, n)| (*n > 0, format!("{key} = {n}: at least 1 is needed")));
    demand(&demands.collect::<Vec<_>>())
}

/// The whole numbers of a convolution, one line for the four kinds.
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
