//! What is made of the numbers of an image, or of an input like one, before the model sees them.

use super::field::MOST_CHANNELS;
use super::moments::Moments;
use super::{Kind, Part, Scale};
use crate::error::{Error, Result};

/// A rule for the first input, by its channels, the indices of a sample's first axis.
///
/// Means and deviations are of numbers from 0 to 1 where the numbers are bytes, as torchvision's `Normalize` has them
/// behind `ToTensor`.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Normalise {
    /// Bytes to numbers from 0 to 1; other numbers as they are.
    #[default]
    Unit,
    /// Numbers as they are.
    None,
    /// (number − mean) / std of each channel of the training part.
    Standard,
    /// (number − mean) / std, one of each for all channels, or one for each channel.
    By {
        /// What is subtracted.
        mean: Vec<f64>,
        /// What is divided by.
        std: Vec<f64>,
    },
}

impl Normalise {
    /// The scale of the first input of `train`.
    ///
    /// # Errors
    /// [`Error::Config`] where there are neither one mean and deviation nor one a channel, or a deviation is not above
    /// 0; what the source cannot read.
    pub fn scale(&self, train: &Part) -> Result<Scale> {
        let field = train.inputs();
        let unit = if field.values().kind() == Kind::U8 { 255.0 } else { 1.0 };
        let axis = field.shape().first().copied().unwrap_or(1);
        let channels = if field.shape().len() >= 2 && axis <= MOST_CHANNELS { axis } else { 1 };
        let by = |mean: &[f64], std: &[f64]| {
            let [mean, std] = [mean, std].map(|list| list.iter().map(|v| v * unit).collect::<Vec<_>>());
            Scale::standard(&mean, &std)
        };
        match self {
            Normalise::Unit => Ok(Scale::all((1.0 / unit) as f32, 0.0)),
            Normalise::None => Ok(Scale::all(1.0, 0.0)),
            Normalise::Standard => {
                let all = Moments::of(train, field, channels, 1)?;
                // Channels of one value become 0.
                let std = |m: &Moments| if m.std() > 0.0 { m.std() } else { 1.0 };
                let mean: Vec<f64> = all.iter().map(Moments::mean).collect();
                Ok(Scale::standard(&mean, &all.iter().map(std).collect::<Vec<_>>()))
            }
            Normalise::By { mean, std } => {
                let (n, m) = (mean.len(), std.len());
                if n != m || (n != 1 && n != channels) {
                    return Err(Error::Config(format!(
                        "data.normalise: {n} means and {m} deviations for inputs of shape {}: one of each is needed, or \
                         one for each of {channels} channels",
                        field.shape()
                    )));
                }
                if let Some(bad) = mean.iter().find(|v| !v.is_finite()) {
                    return Err(Error::Config(format!(
                        "data.normalise.mean has {bad}: finite numbers are needed"
                    )));
                }
                if let Some(bad) = std.iter().find(|v| !v.is_finite() || **v <= 0.0) {
                    return Err(Error::Config(format!(
                        "data.normalise.std has {bad}: numbers above 0 are needed"
                    )));
                }
                Ok(by(mean, std))
            }
        }
    }
}
