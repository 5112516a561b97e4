//! Initialisers of torch, drawn on the host from the run's seed.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::graph::{Init, Parameter};

impl Init {
    /// U(−1/√fan_in, 1/√fan_in), torch's initial values of weight and bias of a linear layer.
    pub fn linear(fan_in: usize) -> Init {
        let bound = 1.0 / (fan_in as f64).sqrt();
        Init::Uniform { low: -bound, high: bound }
    }

    /// Glorot and Bengio's U(±gain·√(6/(fan_in + fan_out))), `torch.nn.init.xavier_uniform_`.
    pub fn xavier_uniform(fan_in: usize, fan_out: usize, gain: f64) -> Init {
        let bound = gain * (6.0 / (fan_in + fan_out) as f64).sqrt();
        Init::Uniform { low: -bound, high: bound }
    }

    /// Glorot and Bengio's N(0, gain²·2/(fan_in + fan_out)), `torch.nn.init.xavier_normal_`.
    pub fn xavier_normal(fan_in: usize, fan_out: usize, gain: f64) -> Init {
        Init::Normal { mean: 0.0, std: gain * (2.0 / (fan_in + fan_out) as f64).sqrt() }
    }

    /// He's U(±gain·√(3/fan)), `torch.nn.init.kaiming_uniform_`; gain √2 for ReLU.
    pub fn kaiming_uniform(fan: usize, gain: f64) -> Init {
        let bound = gain * (3.0 / fan as f64).sqrt();
        Init::Uniform { low: -bound, high: bound }
    }

    /// He's N(0, gain²/fan), `torch.nn.init.kaiming_normal_`; gain √2 for ReLU.
    pub fn kaiming_normal(fan: usize, gain: f64) -> Init {
        Init::Normal { mean: 0.0, std: gain / (fan as f64).sqrt() }
    }
}

/// Box and Muller. The first number is kept away from 0.
fn normal(unit: &mut impl FnMut() -> f64, mean: f64, std: f64) -> f32 {
    let radius = (-2.0 * (1.0 - unit()).ln()).sqrt();
    (mean + std * radius * (std::f64::consts::TAU * unit()).cos()) as f32
}

/// The initial values of a parameter. They depend on (seed, index) alone, and not on other tensors.
pub fn draw(parameter: &Parameter, index: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index as u64 + 1);
    let n = parameter.shape.elements();
    let mut unit = || rng.random::<f64>();
    match parameter.init {
        Init::Constant(value) => vec![value; n],
        Init::Uniform { low, high } => (0..n).map(|_| (low + (high - low) * unit()) as f32).collect(),
        Init::Normal { mean, std } => (0..n).map(|_| normal(&mut unit, mean, std)).collect(),
        Init::NormalButRow { std, width, row } => {
            let mut values: Vec<f32> = (0..n).map(|_| normal(&mut unit, 0.0, std)).collect();
            values[row * width..(row + 1) * width].fill(0.0);
            values
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::NodeId;

    fn moments(init: Init) -> (f64, f64, f64) {
        let p = Parameter { name: "w".into(), shape: [200, 100].into(), init, node: NodeId(0) };
        let v = draw(&p, 3, 7);
        let mean = v.iter().map(|&x| f64::from(x)).sum::<f64>() / v.len() as f64;
        let var = v.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / v.len() as f64;
        (mean, var.sqrt(), v.iter().fold(0.0, |m, &x| f64::from(x.abs()).max(m)))
    }

    #[test]
    fn distributions_have_their_moments() {
        let (mean, std, largest) = moments(Init::linear(100));
        assert!(mean.abs() < 2e-3 && (std - 0.1 / 3f64.sqrt()).abs() < 1e-3 && largest <= 0.1);
        let (mean, std, _) = moments(Init::kaiming_normal(50, 2f64.sqrt()));
        assert!(mean.abs() < 5e-3 && (std - 0.2).abs() < 4e-3);
        let (_, std, _) = moments(Init::xavier_uniform(100, 200, 1.0));
        assert!((std - (2.0f64 / 300.0).sqrt()).abs() < 2e-3);
    }

    #[test]
    fn seed_and_index_decide() {
        let p = Parameter { name: "w".into(), shape: [4].into(), init: Init::linear(4), node: NodeId(0) };
        assert_eq!(draw(&p, 0, 1), draw(&p, 0, 1));
        assert_ne!(draw(&p, 0, 1), draw(&p, 1, 1));
        assert_ne!(draw(&p, 0, 1), draw(&p, 0, 2));
    }
}
