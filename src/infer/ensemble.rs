//! Several trained models answer together: the mean of their probabilities, or of their numbers.

use super::predictor::Predictor;
use crate::error::{Error, Result};
use crate::plan::Value;
use crate::shape::Shape;

/// Models of one task whose answers are averaged: ȳ = Σₘ yₘ / M, in f64, rounded once. Probabilities stay probabilities.
///
/// Source: Lakshminarayanan, Pritzel and Blundell, "Simple and Scalable Predictive Uncertainty Estimation using Deep
/// Ensembles", 2017.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<Predictor>,
}

impl Ensemble {
    /// An ensemble of these models.
    ///
    /// # Errors
    /// [`Error::Config`] for none, and for models whose answers or batches have other shapes.
    pub fn new(members: Vec<Predictor>) -> Result<Ensemble> {
        let Some(first) = members.first() else {
            return Err(Error::Config("an ensemble needs at least one model".into()));
        };
        let other = members.iter().find(|own| own.output() != first.output() || own.batch() != first.batch());
        if let Some(other) = other {
            return Err(Error::Config(format!(
                "models of an ensemble answer alike: one answers {} to each of {} samples, and another {} to each of {}",
                first.output(),
                first.batch(),
                other.output(),
                other.batch()
            )));
        }
        Ok(Ensemble { members })
    }

    /// Samples that it answers at once, at most.
    pub fn batch(&self) -> usize {
        self.members[0].batch()
    }

    /// The shape of the answer to a sample.
    pub fn output(&self) -> &Shape {
        self.members[0].output()
    }

    /// The answer of each model to up to a batch of samples.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub fn predict_each(&mut self, inputs: Value<'_>) -> Result<Vec<Vec<f32>>> {
        self.members.iter_mut().map(|member| member.predict(inputs)).collect()
    }

    /// The mean of their answers to up to a batch of samples, one after the other.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub fn predict(&mut self, inputs: Value<'_>) -> Result<Vec<f32>> {
        Ok(mean(&self.predict_each(inputs)?))
    }
}

/// The mean of answers, number by number.
pub fn mean(answers: &[Vec<f32>]) -> Vec<f32> {
    let length = answers.iter().map(Vec::len).min().unwrap_or(0);
    let of = |i: usize| answers.iter().map(|own| f64::from(own[i])).sum::<f64>() / answers.len() as f64;
    (0..length).map(|i| of(i) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_rounded_once() {
        let answers = [vec![0.1_f32, 1.0], vec![0.2, 3.0], vec![0.4, -1.0]];
        let first = ((f64::from(0.1_f32) + f64::from(0.2_f32) + f64::from(0.4_f32)) / 3.0) as f32;
        assert_eq!(mean(&answers), [first, 1.0]);
        assert_eq!(mean(&answers[..1]), answers[0], "one alone answers as it is");
        assert!(mean(&[]).is_empty() && Ensemble::new(Vec::new()).is_err());
    }
}
