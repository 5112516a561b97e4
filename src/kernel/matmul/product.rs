//! A matrix product as the planner asks for it.

use super::choice::Sizes;
use crate::graph::{Node, NodeId};

/// A matrix operand in memory: element (z, i, j) is at `offset + z·batch + i·row + j·col` of `node`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixView {
    /// The node in memory.
    pub node: NodeId,
    /// The first element.
    pub offset: usize,
    /// Stride from row to row.
    pub row: usize,
    /// Stride from column to column.
    pub col: usize,
    /// Stride from matrix to matrix; 0 broadcasts.
    pub batch: usize,
}

/// A matrix operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matrix {
    /// Strides over a node in memory.
    Strided(MatrixView),
    /// A chain of views [batch.., rows, columns] over a node in memory, computed element by element.
    Mapped {
        /// The node in memory.
        base: NodeId,
        /// The last view.
        view: NodeId,
        /// The view is [batch.., columns, rows].
        turned: bool,
    },
}

impl Matrix {
    /// The node in memory.
    pub fn node(&self) -> NodeId {
        match self {
            Matrix::Strided(view) => view.node,
            Matrix::Mapped { base, .. } => *base,
        }
    }

    /// Its strides; zeros for a mapped operand, and then no kernel reads them.
    pub fn strides(&self) -> MatrixView {
        match self {
            Matrix::Strided(view) => view.clone(),
            Matrix::Mapped { base, .. } => MatrixView { node: *base, offset: 0, row: 0, col: 0, batch: 0 },
        }
    }

    /// True for a chain of views.
    pub fn is_mapped(&self) -> bool {
        matches!(self, Matrix::Mapped { .. })
    }
}

/// out\[z\] = epilogue(A\[z\]·B\[z\]).
pub struct Product<'a> {
    /// All nodes.
    pub nodes: &'a [Node],
    /// The matmul node.
    pub node: NodeId,
    /// The last node of the epilogue, or `node` itself.
    pub root: NodeId,
    /// A value of the epilogue that is written to the second output.
    pub side_output: Option<NodeId>,
    /// True for nodes in memory.
    pub stored: &'a dyn Fn(NodeId) -> bool,
    /// [m, k]
    pub a: Matrix,
    /// [k, n]
    pub b: Matrix,
    /// Products in the batch.
    pub batch: usize,
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// The summed axis.
    pub k: usize,
    /// Also write the sum of each row of A to the second output.
    pub row_sum: bool,
}

impl Product<'_> {
    /// Its sizes.
    pub fn sizes(&self) -> Sizes {
        Sizes { batch: self.batch, m: self.m, n: self.n, k: self.k }
    }
}
