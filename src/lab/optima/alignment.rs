//! The order of hidden units that brings one net closest to another.

use crate::plan::NamedTensor;

/// The cheapest way to give each row a column of its own: the column of each row. `cost` is square. By shortest augmenting
/// paths, in O(n³) (Jonker and Volgenant 1987).
pub(super) fn assignment(cost: &[Vec<f64>]) -> Vec<usize> {
    let n = cost.len();
    // Row `n` and column `n` are a start that belongs to no row.
    let (mut row_price, mut column_price) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    let mut row_of: Vec<Option<usize>> = vec![None; n + 1];
    for row in 0..n {
        row_of[n] = Some(row);
        let mut column = n;
        let mut distance = vec![f64::INFINITY; n];
        let mut back = vec![n; n];
        let mut done = vec![false; n + 1];
        while let Some(here) = row_of[column] {
            done[column] = true;
            let (mut least, mut next) = (f64::INFINITY, n);
            for j in (0..n).filter(|&j| !done[j]) {
                let reduced = cost[here][j] - row_price[here] - column_price[j];
                if reduced < distance[j] {
                    (distance[j], back[j]) = (reduced, column);
                }
                if distance[j] < least {
                    (least, next) = (distance[j], j);
                }
            }
            for j in 0..=n {
                match row_of[j] {
                    Some(i) if done[j] => {
                        row_price[i] += least;
                        column_price[j] -= least;
                    }
                    _ if j < n && !done[j] => distance[j] -= least,
                    _ => {}
                }
            }
            column = next;
        }
        while column != n {
            row_of[column] = row_of[back[column]];
            column = back[column];
        }
    }
    let mut columns = vec![0; n];
    for (j, row) in row_of[..n].iter().enumerate() {
        if let Some(i) = *row {
            columns[i] = j;
        }
    }
    columns
}

/// The part of a weight that belongs to a hidden unit.
#[derive(Clone, Copy)]
enum Side {
    /// A row: `[units, ..]`.
    Rows,
    /// A column: `[.., units]`.
    Columns,
}

/// Tensors of a net with one hidden layer that have a part for each hidden unit.
const PARTS: [(&str, Side); 3] =
    [("hidden.weight", Side::Rows), ("hidden.bias", Side::Rows), ("out.weight", Side::Columns)];

fn side(tensor: &NamedTensor) -> Option<Side> {
    PARTS.iter().find(|(name, _)| *name == tensor.name).map(|(_, side)| *side)
}

/// Index of element `k` of the part of a unit.
fn index(side: Side, units: usize, unit: usize, k: usize, length: usize) -> usize {
    match side {
        Side::Rows => unit * length + k,
        Side::Columns => k * units + unit,
    }
}

/// All weights of each hidden unit, those into it and those out of it.
fn by_unit(net: &[NamedTensor], units: usize) -> Vec<Vec<f64>> {
    let mut out = vec![Vec::new(); units];
    for tensor in net {
        let Some(side) = side(tensor) else { continue };
        let length = tensor.values.len() / units;
        for (unit, weights) in out.iter_mut().enumerate() {
            weights
                .extend((0..length).map(|k| f64::from(tensor.values[index(side, units, unit, k, length)])));
        }
    }
    out
}

/// The net `b` with its hidden units in the order that brings its weights closest to those of `a`. It computes the same
/// function as before.
pub(super) fn aligned(a: &[NamedTensor], b: &[NamedTensor], units: usize) -> Vec<NamedTensor> {
    let (from, to) = (by_unit(a, units), by_unit(b, units));
    let match_of = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cost: Vec<Vec<f64>> = from.iter().map(|a| to.iter().map(|b| -match_of(a, b)).collect()).collect();
    let order = assignment(&cost);
    let moved = |tensor: &NamedTensor| {
        let Some(side) = side(tensor) else { return tensor.clone() };
        let length = tensor.values.len() / units;
        let mut values = tensor.values.clone();
        for (unit, &other) in order.iter().enumerate() {
            for k in 0..length {
                values[index(side, units, unit, k, length)] =
                    tensor.values[index(side, units, other, k, length)];
            }
        }
        NamedTensor { values, ..tensor.clone() }
    };
    b.iter().map(moved).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::nets::tensor;
    use super::super::super::statistics::Chance;
    use super::*;

    /// The least cost over all orders of the rows from `row` on.
    fn least(cost: &[Vec<f64>], row: usize, taken: &mut Vec<bool>) -> f64 {
        if row == cost.len() {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        for j in 0..cost.len() {
            if !std::mem::replace(&mut taken[j], true) {
                best = best.min(cost[row][j] + least(cost, row + 1, taken));
                taken[j] = false;
            }
        }
        best
    }

    #[test]
    fn no_order_is_cheaper() {
        let mut chance = Chance::new(4);
        for n in 1..=7 {
            for whole in [false, true] {
                let mut draw = || if whole { chance.below(4) as f64 } else { chance.normal() };
                let cost: Vec<Vec<f64>> = (0..n).map(|_| (0..n).map(|_| draw()).collect()).collect();
                let columns = assignment(&cost);
                let mut sorted = columns.clone();
                sorted.sort_unstable();
                assert!(sorted.into_iter().eq(0..n));
                let total: f64 = columns.iter().enumerate().map(|(i, &j)| cost[i][j]).sum();
                assert!((total - least(&cost, 0, &mut vec![false; n])).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_shuffled_net_is_put_in_order() {
        let net = |order: &[usize]| {
            let take = |f: &dyn Fn(usize) -> f64| order.iter().map(|&u| f(u)).collect::<Vec<_>>();
            let rows: Vec<f64> = order.iter().flat_map(|&u| [u as f64 + 1.0, -(u as f64)]).collect();
            vec![
                tensor("hidden.weight", &[4, 2], &rows),
                tensor("hidden.bias", &[4], &take(&|u| 0.5 * u as f64)),
                tensor("out.weight", &[1, 4], &take(&|u| 3.0 - u as f64)),
                tensor("out.bias", &[1], &[7.0]),
            ]
        };
        assert_eq!(aligned(&net(&[0, 1, 2, 3]), &net(&[2, 0, 3, 1]), 4), net(&[0, 1, 2, 3]));
    }
}
