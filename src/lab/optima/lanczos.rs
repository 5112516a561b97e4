//! Eigenvalues of a symmetric matrix of which only products with vectors are known.

use super::super::statistics::{Chance, length};
use crate::error::Result;

/// The product of the matrix with a vector.
pub(super) type Product<'a> = dyn FnMut(&[f64]) -> Result<Vec<f64>> + 'a;

/// Eigenvalues of the matrix as it acts near a start vector (Ritz values), from the least to the greatest. The first and the
/// last are close to the matrix's own after few products.
pub(super) struct Ritz {
    /// The values.
    pub values: Vec<f64>,
    /// The squared parts of the start vector along each; their sum is 1. The mean over random start vectors is the share of
    /// eigenvalues there (stochastic Lanczos quadrature).
    pub weights: Vec<f64>,
}

impl Ritz {
    /// The greatest.
    pub fn largest(&self) -> f64 {
        self.values.last().copied().unwrap_or(f64::NAN)
    }

    /// The least.
    pub fn smallest(&self) -> f64 {
        self.values.first().copied().unwrap_or(f64::NAN)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `a` less `by` times `b`.
fn subtract(a: &mut [f64], by: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a -= by * b);
}

fn unit(mut vector: Vec<f64>) -> Vec<f64> {
    let norm = length(&vector);
    vector.iter_mut().for_each(|v| *v /= norm);
    vector
}

/// A random direction.
fn random(size: usize, chance: &mut Chance) -> Vec<f64> {
    unit((0..size).map(|_| chance.normal()).collect())
}

/// At most `steps` steps of Lanczos from a random start, each vector made orthogonal to all before it, twice.
pub(super) fn lanczos(
    size: usize,
    steps: usize,
    chance: &mut Chance,
    product: &mut Product<'_>,
) -> Result<Ritz> {
    let mut basis = vec![random(size, chance)];
    let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
    for k in 0..steps.min(size) {
        let mut next = product(&basis[k])?;
        let scale = length(&next);
        diagonal.push(dot(&next, &basis[k]));
        for _ in 0..2 {
            for vector in &basis {
                let part = dot(&next, vector);
                subtract(&mut next, part, vector);
            }
        }
        let norm = length(&next);
        // Nothing but rounding is left: the vectors span all that the matrix makes of the start.
        if norm <= 1e-12 * scale {
            break;
        }
        beside.push(norm);
        basis.push(unit(next));
    }
    beside.truncate(diagonal.len().saturating_sub(1));
    Ok(tridiagonal(diagonal, beside))
}

/// Eigenvalues of a symmetric tridiagonal matrix and the squared first elements of its unit eigenvectors, by implicit QL
/// (Golub and Welsch 1969).
fn tridiagonal(mut d: Vec<f64>, mut e: Vec<f64>) -> Ritz {
    let n = d.len();
    e.resize(n, 0.0);
    let mut first: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i == 0))).collect();
    for l in 0..n {
        // Each takes two or three rounds.
        for _ in 0..100 {
            let m = (l..n - 1)
                .find(|&m| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs()))
                .unwrap_or(n - 1);
            if m == l {
                break;
            }
            let mut g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let mut r = g.hypot(1.0);
            g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    split = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                (first[i], first[i + 1]) = (c * first[i] - s * first[i + 1], s * first[i] + c * first[i + 1]);
            }
            if !split {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| d[i].total_cmp(&d[j]));
    Ritz {
        values: order.iter().map(|&i| d[i]).collect(),
        weights: order.iter().map(|&i| first[i] * first[i]).collect(),
    }
}

/// The eigenvalue of largest size, by multiplying again and again until it stands still.
pub(super) fn power_iteration(size: usize, chance: &mut Chance, product: &mut Product<'_>) -> Result<f64> {
    const MOST: usize = 1000;
    const ROUND: usize = 20;
    let mut vector = random(size, chance);
    let mut before = f64::NAN;
    for k in 1..=MOST {
        let next = product(&vector)?;
        let value = dot(&next, &vector);
        if k % ROUND == 0 {
            if (value - before).abs() <= 1e-6 * value.abs() {
                return Ok(value);
            }
            before = value;
        }
        vector = unit(next);
    }
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix with known eigenvalues: a diagonal seen through a reflection, I − 2uuᵀ.
    fn reflected(values: &[f64]) -> impl FnMut(&[f64]) -> Result<Vec<f64>> {
        let u = random(values.len(), &mut Chance::new(5));
        let values = values.to_vec();
        let reflect = move |v: &[f64]| {
            let mut v = v.to_vec();
            let part = 2.0 * dot(&v, &u);
            subtract(&mut v, part, &u);
            v
        };
        move |v| Ok(reflect(&reflect(v).iter().zip(&values).map(|(v, d)| v * d).collect::<Vec<_>>()))
    }

    #[test]
    fn all_eigenvalues_of_a_small_matrix() {
        let values = [-2.0, -0.5, 0.0, 0.25, 1.0, 3.0, 10.0];
        let ritz = lanczos(7, 20, &mut Chance::new(1), &mut reflected(&values)).unwrap();
        assert_eq!(ritz.values.len(), 7);
        for (got, want) in ritz.values.iter().zip(values) {
            assert!((got - want).abs() < 1e-10, "{got} {want}");
        }
        assert!((ritz.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn repeated_eigenvalues_end_it_early() {
        let mut values = vec![1.0; 50];
        values[3] = 4.0;
        let ritz = lanczos(50, 20, &mut Chance::new(1), &mut reflected(&values)).unwrap();
        assert_eq!(ritz.values.len(), 2, "{:?}", ritz.values);
        assert!((ritz.smallest() - 1.0).abs() < 1e-10 && (ritz.largest() - 4.0).abs() < 1e-10);
    }

    #[test]
    fn ends_and_moments_of_a_large_matrix() {
        let mut values: Vec<f64> = (0..400).map(|i| (f64::from(i) / 400.0 - 0.5) * 0.2).collect();
        values.extend([-0.5, 2.0, 3.0]);
        let n = values.len();
        let mut chance = Chance::new(2);
        let mut shares = [0.0; 2];
        for _ in 0..40 {
            let ritz = lanczos(n, 30, &mut chance, &mut reflected(&values)).unwrap();
            assert!((ritz.largest() - 3.0).abs() < 1e-9 && (ritz.smallest() + 0.5).abs() < 1e-6);
            for (value, weight) in ritz.values.iter().zip(&ritz.weights) {
                shares[0] += weight / 40.0 * value;
                shares[1] += weight / 40.0 * value * value;
            }
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let square = values.iter().map(|v| v * v).sum::<f64>() / n as f64;
        assert!((shares[0] - mean).abs() < 0.2 * square.sqrt() && (shares[1] / square - 1.0).abs() < 0.5);
        let power = power_iteration(n, &mut chance, &mut reflected(&values)).unwrap();
        assert!((power - 3.0).abs() < 1e-5);
    }
}
