//! Lines of equal height: marching squares (Lorensen and Cline 1987, in two dimensions).

use super::layer::Contours;

/// The pieces of the line at a height, each from a point to a point. A cell with an unknown corner has none.
pub(super) fn pieces(grid: &Contours, level: f64) -> Vec<[(f64, f64); 2]> {
    let columns = grid.x.len();
    let mut out = Vec::new();
    for j in 1..grid.y.len() {
        for i in 1..columns {
            // The corners of the cell, around it.
            let corners = [(i - 1, j - 1), (i, j - 1), (i, j), (i - 1, j)]
                .map(|(i, j)| (grid.x[i], grid.y[j], grid.values[j * columns + i] - level));
            if corners.iter().any(|c| !c.2.is_finite()) {
                continue;
            }
            let crossings: Vec<(f64, f64)> = (0..4)
                .map(|k| (corners[k], corners[(k + 1) % 4]))
                .filter(|(a, b)| (a.2 < 0.0) != (b.2 < 0.0))
                .map(|(a, b)| {
                    let t = a.2 / (a.2 - b.2);
                    (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1))
                })
                .collect();
            match crossings[..] {
                [a, b] => out.push([a, b]),
                // A saddle: the height of its middle says which corners belong together.
                [a, b, c, d] => {
                    let middle = corners.iter().map(|c| c.2).sum::<f64>();
                    if (middle < 0.0) == (corners[0].2 < 0.0) {
                        out.extend([[a, b], [c, d]]);
                    } else {
                        out.extend([[a, d], [b, c]]);
                    }
                }
                _ => {}
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found() {
        let grid = Contours::of(|x, y| x * x + y * y, (-2.0, 2.0), (-2.0, 2.0), 41, vec![1.0]);
        let pieces = pieces(&grid, 1.0);
        let length: f64 = pieces.iter().map(|[a, b]| (a.0 - b.0).hypot(a.1 - b.1)).sum();
        assert!((length - std::f64::consts::TAU).abs() < 0.02, "{length}");
        assert!(pieces.iter().flatten().all(|p| (p.0.hypot(p.1) - 1.0).abs() < 3e-3));
    }

    #[test]
    fn a_saddle_has_two_lines_in_a_cell() {
        let saddle = Contours::of(|x, y| x * y - 0.1, (-1.0, 1.0), (-1.0, 1.0), 2, vec![0.0]);
        assert_eq!(pieces(&saddle, 0.0).len(), 2);
        let unknown = Contours::of(|_, _| f64::NAN, (-1.0, 1.0), (-1.0, 1.0), 3, vec![0.0]);
        assert!(pieces(&unknown, 0.0).is_empty());
    }
}
