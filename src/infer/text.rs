//! A trained model of text continues a text, character by character.

use crate::compile::Model;
use crate::data::Vocabulary;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::graph::{DType, Graph};
use crate::nn::Net;
use crate::plan::{Function, NamedTensor, Value};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// The name of the model's input.
const INPUT: &str = "x";

/// How the next character is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits: below 1 likely characters become likelier, above 1 less so; 0 takes the likeliest.
    /// Default: 1.
    pub temperature: f64,
    /// Draws only from this many of the likeliest characters; `None` draws from all.
    pub top_k: Option<usize>,
    /// The seed of the draws.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 1.0, top_k: None, seed: 0 }
    }
}

impl Sampling {
    /// Refuses options that are invalid for this many characters.
    fn check(&self, characters: usize) -> Result<()> {
        let Sampling { temperature, top_k, .. } = *self;
        if !(temperature.is_finite() && temperature >= 0.0) {
            return Err(Error::Config(format!(
                "temperature = {temperature}: 0, for the likeliest character, or a number above is needed"
            )));
        }
        match top_k {
            Some(k) if k == 0 || k > characters => Err(Error::Config(format!(
                "top_k = {k}: from 1 to {characters}, all characters of the vocabulary, is allowed"
            ))),
            _ => Ok(()),
        }
    }

    /// Draws a number by p ∝ exp(logit / temperature) among the `top_k` largest. Of equal ones the first is larger.
    fn draw(&self, logits: &[f32], rng: &mut ChaCha8Rng) -> usize {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        order.truncate(self.top_k.unwrap_or(logits.len()));
        let best = order[0];
        if self.temperature == 0.0 {
            return best;
        }
        let below = |&i: &usize| f64::from(logits[i]) - f64::from(logits[best]);
        let weights: Vec<f64> = order.iter().map(|i| (below(i) / self.temperature).exp()).collect();
        let mut at = rng.random::<f64>() * weights.iter().sum::<f64>();
        for (&i, weight) in order.iter().zip(&weights) {
            if at < *weight {
                return i;
            }
            at -= weight;
        }
        best
    }
}

/// A trained model of text on a device: the logits of the next character.
///
/// It is compiled once, for a whole context. A shorter text is placed at the left, and the logits are read at its
/// last character, so a causal model ignores the places after it. A model that is not causal (attention without
/// `causal`, a convolution that looks ahead) also sees those places, which hold the vocabulary's first character.
#[derive(Debug)]
pub struct TextModel {
    function: Function,
    vocabulary: Vocabulary,
    context: usize,
    /// Logits at each place: at least one for each character.
    width: usize,
}

impl TextModel {
    /// Builds `model` for evaluation on x, i32 [1, context], compiles it, and loads its weights.
    ///
    /// The output is logits [1, context, characters], or [context, characters]; outputs beyond the vocabulary are
    /// ignored.
    ///
    /// # Errors
    /// A shape error; [`Error::Config`] where the output is of another shape; [`Error::Weights`] where the weights are
    /// another model's; too little memory.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(
        gpu: &Gpu,
        model: &Model<'_>,
        context: usize,
        vocabulary: Vocabulary,
        weights: &[NamedTensor],
    ) -> Result<TextModel> {
        pollster::block_on(Self::new_async(gpu, model, context, vocabulary, weights))
    }

    /// [`TextModel::new`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn new_async(
        gpu: &Gpu,
        model: &Model<'_>,
        context: usize,
        vocabulary: Vocabulary,
        weights: &[NamedTensor],
    ) -> Result<TextModel> {
        let graph = Graph::new();
        let x = graph.input_i32(INPUT, [1, context]);
        let y = model(&Net::new(&graph, false), &x);
        graph.check()?;
        let characters = vocabulary.len();
        let width = match *y.shape() {
            [1, places, width] | [places, width] if places == context => width,
            _ => 0,
        };
        if y.dtype() != DType::F32 || characters == 0 || width < characters {
            return Err(Error::Config(format!(
                "the model's output has shape {:?}; text of {characters} different characters needs logits [1, {context}, \
                 {characters}], one for each place and character",
                y.shape()
            )));
        }
        let function = Function::with_weights_async(gpu, &graph, &[&y], weights).await?;
        Ok(TextModel { function, vocabulary, context, width })
    }

    /// The characters it knows.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Logits of the character after `text`. The model sees the last `context` characters of `text`.
    ///
    /// # Errors
    /// [`Error::Data`] for no text, [`Error::Weights`] where a logit is not finite; a lost device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn logits(&mut self, text: &[i32]) -> Result<Vec<f32>> {
        pollster::block_on(self.logits_async(text))
    }

    /// [`TextModel::logits`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn logits_async(&mut self, text: &[i32]) -> Result<Vec<f32>> {
        let seen = &text[text.len().saturating_sub(self.context)..];
        let Some(last) = seen.len().checked_sub(1) else {
            return Err(Error::Data("there is no character to go on from".into()));
        };
        let mut places = vec![0; self.context];
        places[..seen.len()].copy_from_slice(seen);
        let outputs = self.function.call_async(&[(INPUT, Value::I32(&places))]).await?;
        let from = last * self.width;
        let logits = outputs[0][from..from + self.vocabulary.len()].to_vec();
        match logits.iter().find(|logit| !logit.is_finite()) {
            None => Ok(logits),
            Some(logit) => Err(Error::Weights(format!(
                "the model gives a logit of {logit}: its weights are too large or not finite"
            ))),
        }
    }

    /// Continues `prompt`: an endless iterator over characters. Without a prompt it begins after a line break, or
    /// after the vocabulary's first character where it has none.
    ///
    /// # Errors
    /// [`Error::Config`] for a character that the vocabulary lacks, a temperature or a `top_k` that cannot be.
    pub fn write(&mut self, prompt: &str, sampling: &Sampling) -> Result<Writing<'_>> {
        sampling.check(self.vocabulary.len())?;
        let text = match prompt {
            "" => vec![self.vocabulary.encode("\n").map_or(0, |line_break| line_break[0])],
            prompt => {
                let wrong = |err| Error::Config(format!("the prompt cannot be read: {err}"));
                self.vocabulary.encode(prompt).map_err(wrong)?
            }
        };
        let rng = ChaCha8Rng::seed_from_u64(sampling.seed);
        Ok(Writing { model: self, sampling: *sampling, rng, text })
    }
}

/// The text that [`TextModel::write`] writes, a character at a time.
#[derive(Debug)]
pub struct Writing<'m> {
    model: &'m mut TextModel,
    sampling: Sampling,
    rng: ChaCha8Rng,
    text: Vec<i32>,
}

impl Writing<'_> {
    /// The next character, without blocking the thread.
    ///
    /// # Errors
    /// As [`TextModel::logits`].
    pub async fn next_async(&mut self) -> Result<char> {
        let logits = self.model.logits_async(&self.text).await?;
        let number = self.sampling.draw(&logits, &mut self.rng);
        // Forgets the characters that the model will not see again.
        let old = self.text.len().saturating_sub(self.model.context);
        self.text.drain(..old);
        self.text.push(number as i32);
        Ok(self.model.vocabulary.chars()[number])
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Iterator for Writing<'_> {
    type Item = Result<char>;

    fn next(&mut self) -> Option<Result<char>> {
        Some(pollster::block_on(self.next_async()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each number is drawn of 20,000 times.
    fn shares(logits: &[f32], sampling: &Sampling) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(sampling.seed);
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..20_000 {
            counts[sampling.draw(logits, &mut rng)] += 1.0 / 20_000.0;
        }
        counts
    }

    #[test]
    fn draws_follow_temperature_and_top_k() {
        let logits = [0.5, 2.0, -1.0, 2.0, 1.0];
        for (temperature, top_k) in [(1.0, None), (0.5, None), (3.0, Some(3)), (1.0, Some(4)), (1e-300, None)]
        {
            let sampling = Sampling { temperature, top_k, seed: 1 };
            let kept = |i: usize| match top_k {
                Some(3) => [1, 3, 4].contains(&i),
                Some(4) => i != 2,
                _ => true,
            };
            let weight =
                |i: usize| if kept(i) { ((f64::from(logits[i]) - 2.0) / temperature).exp() } else { 0.0 };
            let total: f64 = (0..5).map(weight).sum();
            for (i, share) in shares(&logits, &sampling).into_iter().enumerate() {
                // Five standard deviations of a share of 20,000.
                let want = weight(i) / total;
                let tol = 5.0 * (want * (1.0 - want) / 20_000.0).sqrt() + 1e-9;
                assert!((share - want).abs() <= tol, "{sampling:?}, {i}: {share}, not {want}");
            }
        }
        // The likeliest, and of equal ones the first.
        let coldest = Sampling { temperature: 0.0, ..Sampling::default() };
        let share = shares(&logits, &coldest);
        assert!(share[1] > 0.999 && [0, 2, 3, 4].iter().all(|&i| share[i] == 0.0), "{share:?}");
        let one = Sampling { temperature: 2.0, top_k: Some(1), seed: 3 };
        assert_eq!(shares(&logits, &one), shares(&logits, &coldest));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |sampling: Sampling, words: &[&str]| {
            let err = sampling.check(7).unwrap_err();
            assert!(err.is_usage(), "{err:?}");
            for word in words {
                assert!(err.to_string().contains(word), "{err}");
            }
        };
        for temperature in [-0.1, f64::NAN, f64::INFINITY] {
            refused(Sampling { temperature, ..Sampling::default() }, &["temperature = ", "likeliest"]);
        }
        for k in [0, 8] {
            refused(Sampling { top_k: Some(k), ..Sampling::default() }, &[&format!("top_k = {k}"), "1 to 7"]);
        }
        Sampling { temperature: 0.0, top_k: Some(7), seed: 0 }.check(7).unwrap();
    }
}
