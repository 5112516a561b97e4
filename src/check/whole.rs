//! The numbers of a whole tensor that an update of one element needs, in f64.

use super::near::{Near, depth};
use super::orthogonal::Orthogonal;
use super::reference::{Before, Settings, TensorTerms};
use crate::error::Result;

/// The numbers of a tensor.
#[derive(Debug)]
pub(crate) enum Whole {
    /// The optimizer goes element by element.
    Nothing,
    /// The rate of all its elements.
    Rate(Near),
    /// The next running means, the mean of the rows', and the rate of all elements.
    Factored { rows: Vec<Near>, columns: Vec<Near>, mean: Near, rate: Near },
    /// The step of every element.
    Orthogonal(Orthogonal),
}

impl Whole {
    /// The numbers of step `t`.
    ///
    /// # Errors
    /// A slot that the kernel does not have.
    pub fn new(s: &Settings, t: u64, before: &Before<'_>) -> Result<Whole> {
        let weight = |i: usize| before.element(i).param;
        match s.name() {
            "lamb" => {
                // A missing slot is an error here.
                before.element(0).lamb(s, t)?;
                let u = before.norm(|i| before.element(i).lamb(s, t).unwrap_or_default());
                Ok(Whole::Rate(before.norm(weight) / u))
            }
            "lars" => {
                let g = before.norm(|i| before.element(i).decayed(s)) + Near::scalar(s.number("eps"));
                let trust = Near::scalar(s.number("trust_coefficient"));
                Ok(Whole::Rate(trust * before.norm(weight) / g))
            }
            "adafactor" => Ok(factored(s, t, before, before.norm(weight))),
            "muon" => Orthogonal::new(s, before).map(Whole::Orthogonal),
            _ => Ok(Whole::Nothing),
        }
    }

    /// The numbers for element `i` of a tensor of `columns`.
    pub fn terms(&self, s: &Settings, columns: usize, i: usize) -> TensorTerms {
        match self {
            Whole::Nothing => TensorTerms::default(),
            Whole::Rate(rate) => TensorTerms { rate: *rate, ..TensorTerms::default() },
            Whole::Factored { rate, .. } => {
                TensorTerms { rate: *rate, value: self.second_moment(s, columns, i) }
            }
            Whole::Orthogonal(matrix) => TensorTerms { value: matrix.at(i), ..TensorTerms::default() },
        }
    }

    fn second_moment(&self, s: &Settings, width: usize, i: usize) -> Near {
        let Whole::Factored { rows, columns, mean, .. } = self else { return Near::default() };
        let [eps, _] = s.numbers("eps");
        rows[i / width] * columns[i % width] / mean.max(Near::scalar(eps))
    }
}

/// w moves by rho max(eps2, rms(w)) / max(1, rms(u) / d) u.
fn factored(s: &Settings, t: u64, before: &Before<'_>, norm: Near) -> Whole {
    let scalar = Near::scalar;
    let [height, width] = before.shape;
    let ([rho, weight], [_, least]) = (s.relative(t), s.numbers("eps"));
    let blend = |old: &f32, mean: Near| Near::exact(*old).lerp(mean, scalar(weight));
    let row = |(i, old): (usize, &f32)| blend(old, before.mean_square(i * width, width, 1));
    let column = |(i, old): (usize, &f32)| blend(old, before.mean_square(i, height, width));
    let rows: Vec<Near> = before.rows.iter().enumerate().map(row).collect();
    let columns: Vec<Near> = before.columns.iter().enumerate().map(column).collect();
    let mean = Near::sum(rows.iter().map(|r| (*r, 1)), depth(height)) / Near::exact(height as f32);
    let known = Whole::Factored { rows, columns, mean, rate: Near::default() };
    // Rows do not begin again, so every element counts by itself.
    let square = |i: usize| {
        let u = before.element(i).adafactor(s, known.second_moment(s, width, i));
        (u * u, 1)
    };
    let count = before.count();
    let root = scalar((count as f64).sqrt());
    let rms = Near::sum((0..count).map(square), depth(count)).sqrt() / root;
    let largest = scalar(1.0).max(rms / scalar(s.number("d")));
    let rate = scalar(rho) * (norm / root).max(scalar(least)) / largest;
    match known {
        Whole::Factored { rows, columns, mean, .. } => Whole::Factored { rows, columns, mean, rate },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::super::noise;
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings { table: text.replace("; ", "\n").parse::<Table>().expect("settings") }
    }

    /// Sums that use how numbers begin again are those of every element.
    #[test]
    fn a_tensor_that_begins_again_is_summed_whole() {
        let s = settings("name = 'lars'; weight_decay = 0.1; trust_coefficient = 0.01; eps = 1e-8");
        let short: Vec<Vec<f32>> = (0..3).map(|seed| noise(seed, 24, -1.0, 1.0)).collect();
        let long: Vec<Vec<f32>> = short.iter().map(|array| array.repeat(10)).collect();
        let rate = |arrays: &[Vec<f32>]| {
            let before = Before {
                shape: [19, 8],
                names: &["momentum_buffer"],
                arrays: arrays.iter().map(Vec::as_slice).collect(),
                first: 7,
                rows: vec![],
                columns: vec![],
            };
            match Whole::new(&s, 10, &before).expect("a rate") {
                Whole::Rate(rate) => (rate.value, before.mean_square(3, 19, 8).value),
                other => panic!("{other:?}"),
            }
        };
        let ((a, column), (b, other)) = (rate(&short), rate(&long));
        assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
        assert!((column / other - 1.0).abs() < 1e-12, "{column} {other}");
        let (mut w, mut g) = (0.0, 0.0);
        for i in 7..7 + 19 * 8 {
            let (x, y) = (f64::from(short[0][i % 24]), f64::from(short[1][i % 24]));
            (w, g) = (w + x * x, g + (y + 0.1 * x).powi(2));
        }
        assert!((a - 0.01 * w.sqrt() / g.sqrt()).abs() < 1e-9, "{a}");
    }

    /// One row and two columns, whose second moment is exact, at a size that is not clipped.
    #[test]
    fn adafactor_by_hand() {
        let s = settings("name = 'adafactor'; lr = 0.01; beta2_decay = -0.5; eps = [1e-7, 1e-3]; d = 9.0");
        let arrays: [&[f32]; 2] = [&[3.0, 4.0], &[2.0, -1.0]];
        let before = Before {
            shape: [1, 2],
            names: &[],
            arrays: arrays.to_vec(),
            first: 0,
            rows: vec![1.0],
            columns: vec![1.0, 2.0],
        };
        let whole = Whole::new(&s, 4, &before).expect("means");
        // Half is taken in: R = (1 + 2.5)/2; C = (1 + 4)/2, (2 + 1)/2; one row's mean is itself, so v = C.
        let Whole::Factored { rows, columns, rate, .. } = &whole else { panic!("{whole:?}") };
        let close = |near: Near, want: f64| assert!((near.value - want).abs() < 1e-12, "{near:?} {want}");
        close(rows[0], 1.75);
        close(columns[0], 2.5);
        close(columns[1], 1.5);
        close(*rate, 0.01 * 12.5_f64.sqrt());
        let mut e = before.element(1);
        e.step(&s, 4, whole.terms(&s, 2, 1)).expect("a step");
        close(e.param, 4.0 + 0.01 * 12.5_f64.sqrt() / 1.5_f64.sqrt());
    }
}
