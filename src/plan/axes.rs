//! The axes that a value shares with what it is computed from, followed down through views.

use crate::graph::{Node, Op};

/// The axes of a value that each axis of a node below it runs along, the first outermost; `None` behind a view that moves
/// elements along an axis.
pub(super) type Axes = Option<Vec<Vec<usize>>>;

/// Each axis of a shape by its own number; none for an extent of 1.
pub(super) fn own(shape: &[usize]) -> Axes {
    Some(shape.iter().enumerate().map(|(i, &d)| if d == 1 { vec![] } else { vec![i] }).collect())
}

/// The axes of the input of a view whose axes are `axes`, where `below` is the input's shape.
pub(super) fn through(node: &Node, axes: &Axes, below: &[usize]) -> Axes {
    let axes = axes.as_ref()?;
    match &node.op {
        Op::Reshape => joined(axes, &node.shape, below),
        Op::Permute(perm) => {
            let mut inner = vec![vec![]; perm.len()];
            perm.iter().zip(axes).for_each(|(&p, axis)| inner[p].clone_from(axis));
            Some(inner)
        }
        Op::Broadcast => {
            let extra = axes.len() - below.len();
            let pick = |(i, &d): (usize, &usize)| if d == 1 { vec![] } else { axes[extra + i].clone() };
            Some(below.iter().enumerate().map(pick).collect())
        }
        _ => None,
    }
}

/// The axes of a shape under another, where no axis has to be split.
fn joined(axes: &[Vec<usize>], outer: &[usize], inner: &[usize]) -> Axes {
    let mut parts = axes.iter().zip(outer).filter(|(_, d)| **d != 1);
    let mut result = Vec::with_capacity(inner.len());
    for &dim in inner {
        let (mut size, mut all) = (1, Vec::new());
        while size < dim {
            let (axis, d) = parts.next()?;
            size *= d;
            all.extend_from_slice(axis);
        }
        if size != dim {
            return None;
        }
        result.push(all);
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    #[test]
    fn axes_are_followed_through_views() {
        let graph = Graph::new();
        let x = graph.input("x", [4, 6]);
        let y = x.reshape([4, 1, 6]).permute(&[2, 1, 0]).broadcast_to([5, 6, 3, 4]);
        let nodes = graph.nodes();
        let mut at = y.id();
        let mut axes = own(&nodes[at.0].shape);
        while nodes[at.0].op.is_view() {
            let input = nodes[at.0].inputs[0];
            axes = through(&nodes[at.0], &axes, &nodes[input.0].shape);
            at = input;
        }
        assert_eq!(axes, Some(vec![vec![3], vec![1]]));
    }

    #[test]
    fn axes_are_joined_and_not_split() {
        let own = |shape: &[usize]| own(shape).unwrap_or_default();
        assert_eq!(joined(&own(&[2, 3, 5]), &[2, 3, 5], &[6, 1, 5]), Some(vec![vec![0, 1], vec![], vec![2]]));
        assert_eq!(joined(&own(&[6, 5]), &[6, 5], &[2, 15]), None);
        assert_eq!(joined(&own(&[4, 1]), &[4, 1], &[4]), Some(vec![vec![0]]));
    }
}
