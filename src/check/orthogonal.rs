//! Newton–Schulz on a matrix, in f64, with a bound of the f32 rounding error.
//!
//! With A = XᵀX and M = aI + bA + cA², a step X ← XM takes A to MAM. So the check computes only squares of the shorter
//! side, however long the matrix is. The result is the first X times the product of all M.
//!
//! The bound assumes rounding errors that are independent of each other (Higham and Mary 2019). The errors of a sum of
//! K products add up as √K. Each is in proportion to a partial product, whose norm is at most that of the whole, so
//! ‖error of AB‖ ≤ √K·u·‖A‖₂‖B‖. Each later step multiplies an error by at most max|f'|, where a step maps a singular
//! value s to f(s) = as + bs³ + c·s^5. The error spreads evenly over the elements.

use super::near::{DIVISION, Near, ROOT, UNIT, depth};
use super::reference::{Before, Settings};
use crate::error::Result;

/// The largest of evenly spread errors over their root mean square.
const LARGEST: f64 = 6.0;
/// Points at which a polynomial is evaluated to find its largest value.
const POINTS: usize = 1000;

/// A matrix made orthogonal.
#[derive(Debug)]
pub(crate) struct Orthogonal {
    /// The matrix over its norm, up to where its numbers repeat.
    x: Vec<f64>,
    /// The product of all M, times the factor of the step. Its side is the shorter one of the matrix.
    power: Vec<f64>,
    side: usize,
    columns: usize,
    /// More rows than columns: X is multiplied from the right.
    tall: bool,
    /// The bound of each element of the result.
    bound: f64,
}

/// The product AB of square matrices.
fn product(a: &[f64], b: &[f64], side: usize) -> Vec<f64> {
    let mut out = vec![0.0; side * side];
    for (a, out) in a.chunks_exact(side).zip(out.chunks_exact_mut(side)) {
        for (a, b) in a.iter().zip(b.chunks_exact(side)) {
            out.iter_mut().zip(b).for_each(|(out, b)| *out += a * b);
        }
    }
    out
}

/// XᵀX of a matrix of `rows` rows, which repeat those of x; XXᵀ where it is wide.
fn gram(x: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    let side = rows.min(columns);
    let mut out = vec![0.0; side * side];
    let period = x.len() / columns;
    for (i, row) in x.chunks_exact(columns).enumerate() {
        if rows > columns {
            let times = (rows / period + usize::from(i < rows % period)) as f64;
            for (a, out) in row.iter().zip(out.chunks_exact_mut(side)) {
                out.iter_mut().zip(row).for_each(|(out, b)| *out += times * a * b);
            }
        } else {
            for (j, other) in x.chunks_exact(columns).enumerate() {
                out[i * side + j] = row.iter().zip(other).map(|(a, b)| a * b).sum();
            }
        }
    }
    out
}

fn norm(numbers: &[f64]) -> f64 {
    numbers.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The largest |f(t)| for t from 0 to `end`.
fn most(end: f64, f: impl Fn(f64) -> f64) -> f64 {
    (0..=POINTS).map(|i| f(end * i as f64 / POINTS as f64).abs()).fold(0.0, f64::max)
}

/// The rounding error in the Frobenius norm, step by step.
#[derive(Debug)]
struct Errors {
    coefficients: [f64; 3],
    /// The longest and the shortest sum.
    sums: [usize; 2],
    bound: f64,
    /// Singular values are at most this.
    largest: f64,
}

impl Errors {
    /// A step from X with XᵀX = `gram` to the next X.
    fn step(&mut self, gram: &[f64], side: usize) {
        let [a, b, c] = self.coefficients;
        let [long, short] = self.sums.map(|k| (k as f64).sqrt() * UNIT);
        let size = (0..side).map(|i| gram[i * side + i]).sum::<f64>().sqrt();
        let rows = gram.chunks_exact(side).map(|row| row.iter().map(|x| x.abs()).sum::<f64>());
        let s = self.largest.min(rows.fold(0.0, f64::max).sqrt());
        let all = norm(gram);
        let of_gram = long * s * size;
        let of_square = 2.0 * s * s * of_gram + short * s * s * all;
        // Roundings of bA + cA², and of the coefficients.
        let rounded = 3.0 * UNIT * (b.abs() + c.abs() * s * s) * all;
        let of_blend = b.abs() * of_gram + c.abs() * of_square + rounded;
        let blend = most(s * s, |t| b * t + c * t * t);
        let of_product = s * of_blend + short * size * blend + 3.0 * UNIT * (a.abs() + blend) * size;
        self.bound = most(s, |t| a + 3.0 * b * t * t + 5.0 * c * t.powi(4)) * self.bound + of_product;
        self.largest = most(s, |t| a * t + b * t.powi(3) + c * t.powi(5));
    }
}

impl Orthogonal {
    /// Muon's direction of a matrix.
    ///
    /// # Errors
    /// A slot that the kernel does not have.
    pub fn new(s: &Settings, before: &Before<'_>) -> Result<Orthogonal> {
        let ([rows, columns], count) = (before.shape, before.count());
        let numbers = (0..count.min(before.period())).map(|i| before.element(i).muon(s));
        let d: Vec<Near> = numbers.collect::<Result<_>>()?;
        let times = |i: usize| (count / d.len() + usize::from(i < count % d.len())) as f64;
        let bound_d = d.iter().enumerate().map(|(i, d)| times(i) * d.bound * d.bound).sum::<f64>().sqrt();
        let mut x: Vec<f64> = d.iter().map(|d| d.value).collect();
        let mut a = gram(&x, rows, columns);
        let side = rows.min(columns);
        let size = (0..side).map(|i| a[i * side + i]).sum::<f64>().sqrt();
        let least = size.max(s.number("eps"));
        x.iter_mut().for_each(|x| *x /= least);
        a.iter_mut().for_each(|a| *a /= least * least);
        let of_norm = (depth(count) as f64).sqrt() / 2.0 + ROOT + DIVISION;
        let coefficients @ [first, b, c] = s.numbers("ns_coefficients");
        let mut errors = Errors {
            coefficients,
            sums: [rows.max(columns), side],
            bound: bound_d / least + of_norm * UNIT * size / least,
            largest: 1.0,
        };
        let unit = |i: usize| if i / side == i % side { 1.0 } else { 0.0 };
        let mut power: Vec<f64> = (0..side * side).map(unit).collect();
        for _ in 0..s.whole("ns_steps") {
            errors.step(&a, side);
            let square = product(&a, &a, side);
            let m: Vec<f64> = (0..side * side).map(|i| first * unit(i) + b * a[i] + c * square[i]).collect();
            power = product(&power, &m, side);
            a = product(&product(&m, &a, side), &m, side);
        }
        let factor = s.factor(rows, columns);
        power.iter_mut().for_each(|x| *x *= factor);
        let bound = LARGEST * errors.bound * factor / (count as f64).sqrt();
        Ok(Orthogonal { x, power, side, columns, tall: rows > columns, bound })
    }

    /// Element `i`.
    pub fn at(&self, i: usize) -> Near {
        let i = i % self.x.len();
        let (row, column) = (i / self.columns, i % self.columns);
        let term = |k: usize| {
            if self.tall {
                self.x[row * self.columns + k] * self.power[k * self.side + column]
            } else {
                self.power[row * self.side + k] * self.x[k * self.columns + column]
            }
        };
        Near { value: (0..self.side).map(term).sum(), bound: self.bound }
    }
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::super::noise;
    use super::*;

    /// Step by step, as the papers have it, in f64 or rounded to f32 after each operation.
    fn directly(x: &[f64], [rows, columns]: [usize; 2], round: fn(f64) -> f64) -> Vec<f64> {
        let dot =
            |n: usize, term: &dyn Fn(usize) -> f64| (0..n).fold(0.0, |sum, k| round(sum + round(term(k))));
        let norm = round(dot(x.len(), &|k| x[k] * x[k]).sqrt());
        let mut x: Vec<f64> = x.iter().map(|x| round(x / norm)).collect();
        let side = rows.min(columns);
        for _ in 0..5 {
            let line = |x: &[f64], i: usize, k: usize| {
                if rows > columns { x[k * columns + i] } else { x[i * columns + k] }
            };
            let square = |f: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
                (0..side * side).map(|at| f(at / side, at % side)).collect()
            };
            let a = square(&|i, j| dot(rows.max(columns), &|k| line(&x, i, k) * line(&x, j, k)));
            let m = square(&|i, j| {
                let aa = dot(side, &|k| a[i * side + k] * a[k * side + j]);
                round(round(-4.775 * a[i * side + j]) + round(2.0315 * aa))
            });
            let next = |at: usize| {
                let (i, j) = (at / columns, at % columns);
                let moved = if rows > columns {
                    dot(side, &|k| x[i * columns + k] * m[k * side + j])
                } else {
                    dot(side, &|k| m[i * side + k] * x[k * columns + j])
                };
                round(round(3.4445 * x[at]) + moved)
            };
            x = (0..rows * columns).map(next).collect();
        }
        let factor = (rows as f64 / columns as f64).max(1.0).sqrt();
        x.iter().map(|x| round(factor * x)).collect()
    }

    #[test]
    fn it_is_newton_schulz_and_f32_stays_within_the_bound() {
        let text = "name = 'muon'\nmomentum = 0.95\nnesterov = true\nns_coefficients = [3.4445, -4.775, 2.0315]\n\
                    ns_steps = 5\neps = 1e-7";
        let s = Settings { table: text.parse::<Table>().expect("settings") };
        // Tall ones that begin again after six rows, and wide ones.
        for shape in [[1, 40], [6, 8], [8, 8], [20, 24], [48, 8], [23, 8]] {
            let count: usize = shape.iter().product();
            let period = if shape[0] > shape[1] { 48 } else { count };
            let arrays: Vec<Vec<f32>> = (1..4).map(|seed| noise(seed, period, -1.0, 1.0)).collect();
            let before = Before {
                shape,
                names: &["momentum_buffer"],
                arrays: arrays.iter().map(Vec::as_slice).collect(),
                first: 16,
                rows: vec![],
                columns: vec![],
            };
            let got = Orthogonal::new(&s, &before).expect("a matrix");
            let d: Vec<f64> = (0..count).map(|i| before.element(i).muon(&s).expect("a slot").value).collect();
            let exact = directly(&d, shape, |x| x);
            let single = directly(&d, shape, |x| f64::from(x as f32));
            let size = norm(&exact) / (count as f64).sqrt();
            for i in 0..count {
                let near = got.at(i);
                assert!((near.value - exact[i]).abs() < 1e-11, "{shape:?} {i}: {near:?} {}", exact[i]);
                assert!((single[i] - exact[i]).abs() <= near.bound, "{shape:?} {i}: {} {near:?}", single[i]);
                assert!(near.bound < 0.03 * size, "{shape:?}: the bound says something, {near:?} of {size}");
            }
        }
    }
}
