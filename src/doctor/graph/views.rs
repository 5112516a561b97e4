//! Views in f64: where each element comes from.

use crate::check::Near;
use crate::graph::{Op, Window, Windowed};

/// Calls `f` with the coordinates of every element, the last axis fastest.
pub(super) fn each(shape: &[usize], mut f: impl FnMut(&[usize])) {
    let mut at = vec![0; shape.len()];
    for _ in 0..shape.iter().product() {
        f(&at);
        for axis in (0..shape.len()).rev() {
            at[axis] += 1;
            if at[axis] < shape[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
}

/// The place of an element in memory.
pub(super) fn index(at: &[usize], shape: &[usize]) -> usize {
    at.iter().zip(shape).fold(0, |index, (c, extent)| index * extent + c)
}

/// The coordinate that a window reads for position `o` and element `j`.
fn seen(w: Window, o: usize, j: usize) -> Option<usize> {
    (o * w.stride + j * w.dilation).checked_sub(w.padding)
}

/// A view of one input; `None` for an op that is not a view.
pub(super) fn view(op: &Op, input: (&[usize], &[Near]), shape: &[usize]) -> Option<Vec<Near>> {
    let (from, values) = input;
    let mut out = Vec::with_capacity(shape.iter().product());
    let mut take = |source: &dyn Fn(&[usize]) -> Option<Vec<usize>>, outside: f32| {
        each(shape, |at| {
            let inside = source(at).filter(|c| c.iter().zip(from).all(|(c, extent)| c < extent));
            out.push(inside.map_or(Near::exact(outside), |c| values[index(&c, from)]));
        });
    };
    match op {
        Op::Reshape => return Some(values.to_vec()),
        Op::Permute(perm) => take(
            &|at| {
                let mut c = vec![0; at.len()];
                perm.iter().zip(at).for_each(|(&axis, &x)| c[axis] = x);
                Some(c)
            },
            0.0,
        ),
        Op::Broadcast => take(
            &|at| {
                let own = &at[at.len() - from.len()..];
                Some(own.iter().zip(from).map(|(&c, &extent)| if extent == 1 { 0 } else { c }).collect())
            },
            0.0,
        ),
        Op::Slice(starts) => {
            take(&|at| Some(at.iter().zip(starts).map(|(c, start)| c + start).collect()), 0.0);
        }
        Op::Pad(before) => take(&|at| at.iter().zip(before).map(|(c, n)| c.checked_sub(*n)).collect(), 0.0),
        Op::Window(w, Windowed::Unfold(fill)) => take(
            &|at| {
                let mut c = at.to_vec();
                let j = c.remove(w.element);
                c[w.axis] = seen(*w, at[w.axis], j)?;
                Some(c)
            },
            fill.get(),
        ),
        Op::Window(w, Windowed::FoldTranspose) => take(
            &|at| {
                let mut c = at.to_vec();
                c[w.axis] = seen(*w, at[w.axis], at[w.element])?;
                Some(c)
            },
            0.0,
        ),
        Op::Window(w, Windowed::Fold) => take(
            &|at| {
                let from = (at[w.axis] + w.padding).checked_sub(at[w.element] * w.dilation)?;
                let mut c = at.to_vec();
                c[w.axis] = from / w.stride;
                from.is_multiple_of(w.stride).then_some(c)
            },
            0.0,
        ),
        _ => return None,
    }
    Some(out)
}

/// Inputs one after the other along an axis.
pub(super) fn concat(axis: usize, inputs: &[(&[usize], &[Near])], shape: &[usize]) -> Vec<Near> {
    let mut out = Vec::with_capacity(shape.iter().product());
    each(shape, |at| {
        let mut c = at.to_vec();
        for (from, values) in inputs {
            if c[axis] < from[axis] {
                out.push(values[index(&c, from)]);
                return;
            }
            c[axis] -= from[axis];
        }
    });
    out
}

/// x with the coordinate of `axis` taken from the index, which is held within it.
pub(super) fn gather(axis: usize, x: (&[usize], &[Near]), which: &[Near], shape: &[usize]) -> Vec<Near> {
    let (from, values) = x;
    let (mut out, mut i) = (Vec::with_capacity(which.len()), 0);
    each(shape, |at| {
        let mut c = at.to_vec();
        c[axis] = which[i].value.clamp(0.0, (from[axis] - 1) as f64) as usize;
        out.push(values[index(&c, from)]);
        i += 1;
    });
    out
}
