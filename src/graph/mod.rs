//! The graph of a model: shaped nodes, the builder behind [`Tensor`], reverse-mode differentiation.
//!
//! Operations never panic on a bad shape. The graph keeps the first error and returns it from [`Graph::check`] and from
//! all that compile the graph, so that model functions read like formulas.

mod attention;
mod checkpoint;
mod conv;
mod elementwise;
mod grad;
mod layers;
mod linear;
mod loss_info;
mod op;
mod random;
mod reduce;
mod view;
mod window;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

pub use attention::AttentionOptions;
pub use conv::Geometry;
pub use layers::LayerSummary;
use loss_info::LossInfo;
pub(crate) use loss_info::Reading;
pub use op::{
    AttentionAttrs, Binary, Bits, Clock, CrossEntropyAttrs, DType, Fold, Node, NodeId, Op, Unary, Window,
    Windowed,
};

use crate::error::{Error, Result};
use crate::shape::{MAX_ELEMENTS, Shape};

/// Initial values of a parameter, drawn from the run's seed and the parameter's index in f64 and rounded to f32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// This number everywhere.
    Constant(f32),
    /// U(low, high).
    Uniform {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// N(mean, std²).
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// N(0, std²) for a table of rows, with zeros in one row.
    NormalButRow {
        /// Standard deviation.
        std: f64,
        /// Elements of a row.
        width: usize,
        /// The row of zeros.
        row: usize,
    },
}

/// A trainable tensor of the graph.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Name in the weights file, as in `torch.nn.Sequential`: `1.weight`.
    pub name: String,
    /// Shape.
    pub shape: Shape,
    /// Initial values.
    pub init: Init,
    /// Its node.
    pub node: NodeId,
}

/// Computes the gradients of a value's inputs from the value's gradient, the inputs and the saved tensors.
type Backward = Rc<dyn Fn(&Tensor, &[Tensor], &[Tensor]) -> Vec<Option<Tensor>>>;

/// A rule for the gradient of a node, in place of the derived one.
#[derive(Clone)]
struct CustomGradient {
    inputs: Vec<NodeId>,
    saved: Vec<NodeId>,
    backward: Backward,
}

/// A running buffer, such as a running mean: kept from step to step and saved, but not trained.
#[derive(Debug, Clone)]
pub struct StateBuffer {
    /// Name in the weights file, as in torch: `1.running_mean`.
    pub name: String,
    /// Shape.
    pub shape: Shape,
    /// The first value of every element.
    pub init: f32,
    /// Its node; `None` for a count of training steps, which the host keeps.
    pub node: Option<NodeId>,
    /// Its value after the step, if this graph updates it.
    pub next: Option<NodeId>,
}

#[derive(Default)]
struct Inner {
    nodes: Vec<Node>,
    cse: HashMap<(Op, Vec<NodeId>, Shape), NodeId>,
    /// Nodes with a custom gradient.
    custom_gradients: HashMap<NodeId, CustomGradient>,
    /// Ranges of nodes that the backward pass recomputes.
    checkpoints: Vec<Range<usize>>,
    loss_info: LossInfo,
    parameters: Vec<Parameter>,
    buffers: Vec<StateBuffer>,
    /// The scope of each layer and the shape of its output.
    layers: Vec<(String, Shape)>,
    streams: u32,
    scope: String,
    error: Option<Error>,
}

/// A graph under construction. Clones share it.
#[derive(Clone, Default)]
pub struct Graph {
    inner: Rc<RefCell<Inner>>,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, n) in self.inner.borrow().nodes.iter().enumerate() {
            let inputs: Vec<usize> = n.inputs.iter().map(|i| i.0).collect();
            writeln!(f, "%{i} = {:?}{inputs:?} {} {:?}", n.op, n.shape, n.dtype)?;
        }
        Ok(())
    }
}

/// A node of a graph, with its shape at hand. Clones are the same node.
#[derive(Clone)]
pub struct Tensor {
    graph: Graph,
    id: NodeId,
    shape: Shape,
    dtype: DType,
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{} {:?} {:?}", self.id.0, self.dtype, self.shape)
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// An f32 input of the given name and shape.
    pub fn input(&self, name: &str, shape: impl Into<Shape>) -> Tensor {
        self.push(Op::Input(name.to_owned()), &[], shape.into(), DType::F32)
    }

    /// An i32 input: class targets or indices.
    pub fn input_i32(&self, name: &str, shape: impl Into<Shape>) -> Tensor {
        self.push(Op::Input(name.to_owned()), &[], shape.into(), DType::I32)
    }

    /// A scalar constant.
    pub fn constant(&self, value: f32) -> Tensor {
        self.push(Op::Constant(value.into()), &[], Shape::default(), DType::F32)
    }

    /// A constant of a shape.
    pub(crate) fn full(&self, value: f32, shape: &Shape) -> Tensor {
        self.constant(value).broadcast_to(shape)
    }

    /// The index along `axis` of `shape`, i32.
    pub(crate) fn iota(&self, axis: usize, shape: &Shape) -> Tensor {
        self.push(Op::Iota(axis), &[], shape.clone(), DType::I32)
    }

    /// A new trainable tensor. Its name must not repeat within the graph.
    pub fn parameter(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Tensor {
        let shape = shape.into();
        let index = self.inner.borrow().parameters.len();
        self.check_name(name);
        if shape.elements() == 0 {
            self.fail(format!("parameter \"{name}\" of shape {shape} has no elements"));
        }
        let tensor = self.push(Op::Parameter(index), &[], shape.clone(), DType::F32);
        self.inner.borrow_mut().parameters.push(Parameter {
            name: name.to_owned(),
            shape,
            init,
            node: tensor.id,
        });
        tensor
    }

    fn check_name(&self, name: &str) {
        let inner = self.inner.borrow();
        let mut names = inner.parameters.iter().map(|p| &p.name).chain(inner.buffers.iter().map(|b| &b.name));
        let taken = names.any(|n| n == name);
        drop(inner);
        if taken {
            self.fail(format!("two parameters are named \"{name}\""));
        }
    }

    /// A new running buffer: kept from step to step and saved, but not trained. [`Graph::update`] gives it its next value.
    pub fn buffer(&self, name: &str, shape: impl Into<Shape>, init: f32) -> Tensor {
        let shape = shape.into();
        let index = self.inner.borrow().buffers.len();
        self.check_name(name);
        let tensor = self.push(Op::Buffer(index), &[], shape.clone(), DType::F32);
        let node = Some(tensor.id);
        self.inner.borrow_mut().buffers.push(StateBuffer {
            name: name.to_owned(),
            shape,
            init,
            node,
            next: None,
        });
        tensor
    }

    /// An f32 scalar, saved under `name`, that counts the training steps of its layer. It includes the current step in
    /// training.
    pub fn step_count(&self, name: &str) -> Tensor {
        self.check_name(name);
        self.inner.borrow_mut().buffers.push(StateBuffer {
            name: name.to_owned(),
            shape: Shape::default(),
            init: 0.0,
            node: None,
            next: None,
        });
        self.clock_word(Clock::Tracked).add(&self.clock_word(Clock::Open))
    }

    /// True where the next value of a buffer depends on how many training steps its layer has seen.
    pub(crate) fn moves_by_step_count(&self) -> bool {
        // Equal nodes are one.
        let count = self.clock_word(Clock::Tracked).id;
        let inner = self.inner.borrow();
        let mut open: Vec<NodeId> = inner.buffers.iter().filter_map(|buffer| buffer.next).collect();
        let mut seen = std::collections::HashSet::new();
        while let Some(id) = open.pop() {
            if id == count {
                return true;
            }
            if seen.insert(id) {
                open.extend(&inner.nodes[id.0].inputs);
            }
        }
        false
    }

    /// Sets `buffer`, made by [`Graph::buffer`], to `value` at the end of a step. No gradient flows into either.
    pub fn update(&self, buffer: &Tensor, value: &Tensor) {
        if buffer.shape != value.shape {
            self.fail(format!("a buffer of shape {} cannot become {}", buffer.shape, value.shape));
        }
        let mut inner = self.inner.borrow_mut();
        match inner.buffers.iter_mut().find(|b| b.node == Some(buffer.id)) {
            Some(b) => b.next = Some(value.id),
            None => {
                drop(inner);
                self.fail("only what `buffer` made can be updated".into());
            }
        }
    }

    /// The buffers in the order they were made.
    pub fn buffers(&self) -> Vec<StateBuffer> {
        self.inner.borrow().buffers.clone()
    }

    /// The words of the open step, i32 \[16\]; [`Clock`] names them.
    pub(crate) fn clock(&self) -> Tensor {
        self.push(Op::Clock, &[], Shape::from([Clock::WORDS]), DType::I32)
    }

    /// One word of the open step as an f32 scalar.
    pub(crate) fn clock_word(&self, word: Clock) -> Tensor {
        let at = word as usize;
        self.clock().slice(0, at, at + 1).reshape([]).to_f32()
    }

    /// The trainable tensors in the order they were made.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.inner.borrow().parameters.clone()
    }

    /// The tensor of the parameter of this name. A graph without it gets an error.
    pub fn parameter_of(&self, name: &str) -> Tensor {
        let node = self.inner.borrow().parameters.iter().find(|p| p.name == name).map(|p| p.node);
        match node {
            Some(id) => self.tensor(id),
            None => {
                self.fail(format!("no parameter is named \"{name}\""));
                self.constant(0.0)
            }
        }
    }

    /// The tensor of a parameter.
    pub(crate) fn parameter_tensor(&self, index: usize) -> Tensor {
        let id = self.inner.borrow().parameters[index].node;
        self.tensor(id)
    }

    /// Returns the first shape error met while building, if any.
    pub fn check(&self) -> Result<()> {
        self.inner.borrow().error.clone().map_or(Ok(()), Err)
    }

    /// The nodes so far, inputs before their consumers.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.inner.borrow().nodes.clone()
    }

    /// Runs `build` under a name for shape errors and `explain`.
    pub fn scoped<T>(&self, name: &str, build: impl FnOnce() -> T) -> T {
        let outer = std::mem::replace(&mut self.inner.borrow_mut().scope, name.to_owned());
        let result = build();
        self.inner.borrow_mut().scope = outer;
        result
    }

    /// Sets the graph's error, if it has none yet.
    pub(crate) fn fail(&self, message: String) {
        let mut inner = self.inner.borrow_mut();
        if inner.error.is_none() {
            let context = match inner.scope.as_str() {
                "" => String::new(),
                "loss" => "loss: ".to_owned(),
                key if key.starts_with("data.") => format!("{key}: "),
                layer => format!("layer {layer}: "),
            };
            inner.error = Some(Error::Shape { context, message });
        }
    }

    pub(crate) fn tensor(&self, id: NodeId) -> Tensor {
        let inner = self.inner.borrow();
        let node = &inner.nodes[id.0];
        Tensor { graph: self.clone(), id, shape: node.shape.clone(), dtype: node.dtype }
    }

    /// Replaces the derived gradient of `value`: `backward` computes the gradients of `inputs`.
    ///
    /// `backward` takes the gradient of the value, the inputs and the tensors `saved`, and returns for each input a gradient of
    /// its shape, or none. It must read tensors of the forward pass from its arguments only: in a checkpointed block these
    /// have been recomputed. For functions whose derivative has a better form than that of the operations they are composed
    /// of, or a different one on purpose. The counterpart of `torch.autograd.Function`.
    pub fn custom_gradient(
        &self,
        value: &Tensor,
        inputs: &[&Tensor],
        saved: &[&Tensor],
        backward: impl Fn(&Tensor, &[Tensor], &[Tensor]) -> Vec<Option<Tensor>> + 'static,
    ) -> Tensor {
        let ids = |tensors: &[&Tensor]| tensors.iter().map(|t| t.id).collect();
        let (inputs, saved) = (ids(inputs), ids(saved));
        if let Some((source, perm)) = value.permutation() {
            let order = perm.clone();
            let backward: Backward =
                Rc::new(move |dy, inputs, saved| backward(&dy.permute(&order), inputs, saved));
            return self
                .push_custom_gradient(&source, CustomGradient { inputs, saved, backward })
                .permute(&perm);
        }
        self.push_custom_gradient(value, CustomGradient { inputs, saved, backward: Rc::new(backward) })
    }

    fn push_custom_gradient(&self, value: &Tensor, gradient: CustomGradient) -> Tensor {
        // A reshape to the same shape, which is not merged with an equal node.
        let node = Node {
            op: Op::Reshape,
            inputs: vec![value.id],
            shape: value.shape.clone(),
            dtype: value.dtype,
            scope: self.inner.borrow().scope.clone(),
            materialized: false,
            half: false,
        };
        let id = self.push_new(node);
        self.inner.borrow_mut().custom_gradients.insert(id, gradient);
        self.tensor(id)
    }

    /// Adds a node that is not merged with an equal one.
    fn push_new(&self, node: Node) -> NodeId {
        let mut inner = self.inner.borrow_mut();
        inner.nodes.push(node);
        NodeId(inner.nodes.len() - 1)
    }

    /// The custom gradient of a node, if it has one.
    fn custom_gradient_of(&self, id: NodeId) -> Option<CustomGradient> {
        self.inner.borrow().custom_gradients.get(&id).cloned()
    }

    pub(crate) fn push(&self, op: Op, inputs: &[&Tensor], shape: Shape, dtype: DType) -> Tensor {
        if shape.elements() > MAX_ELEMENTS {
            self.fail(format!("a tensor of shape {shape} is too large: at most {MAX_ELEMENTS} elements"));
        }
        if let Some(stranger) = inputs.iter().find(|t| !Rc::ptr_eq(&t.graph.inner, &self.inner)) {
            self.fail(format!("a tensor of another graph is used here: {stranger:?}"));
            return self.push(Op::Constant(0.0.into()), &[], shape, DType::F32);
        }
        let inputs: Vec<NodeId> = inputs.iter().map(|t| t.id).collect();
        let key = (op, inputs, shape);
        let mut inner = self.inner.borrow_mut();
        let id = match inner.cse.get(&key) {
            Some(&id) => id,
            None => {
                let id = NodeId(inner.nodes.len());
                let (op, inputs, shape) = key.clone();
                let scope = inner.scope.clone();
                inner.nodes.push(Node { op, inputs, shape, dtype, scope, materialized: false, half: false });
                inner.cse.insert(key.clone(), id);
                id
            }
        };
        Tensor { graph: self.clone(), id, shape: key.2, dtype }
    }
}

impl Graph {
    /// Notes that a loss is a sum, or a mean over a number of terms that depends on the data. Then micro-batches do not weigh
    /// by their samples.
    pub(crate) fn note_uneven_mean(&self) {
        self.inner.borrow_mut().loss_info.uneven = true;
    }

    /// True where [`Graph::note_uneven_mean`] was called.
    pub(crate) fn has_uneven_mean(&self) -> bool {
        self.inner.borrow().loss_info.uneven
    }

    /// Notes that a value depends on all samples of a batch, such as batch norm's statistics or mixup's partners.
    pub(crate) fn note_batch_statistics(&self) {
        self.inner.borrow_mut().loss_info.batch_statistics = true;
    }

    /// True where [`Graph::note_batch_statistics`] was called.
    pub(crate) fn has_batch_statistics(&self) -> bool {
        self.inner.borrow().loss_info.batch_statistics
    }

    /// Notes the output and the target of a loss.
    pub(crate) fn note_loss(&self, output: &Tensor, target: &Tensor, reading: Reading) {
        let (noted, mut inner) = ((output.id, target.id, reading), self.inner.borrow_mut());
        if !inner.loss_info.losses.contains(&noted) {
            inner.loss_info.losses.push(noted);
        }
    }

    /// Notes an output of relu, with the axes in the model's order, which may differ from the order in memory.
    pub(super) fn note_relu_output(&self, y: &Tensor) {
        let mut inner = self.inner.borrow_mut();
        if !inner.loss_info.relu_outputs.contains(&y.id) {
            inner.loss_info.relu_outputs.push(y.id);
        }
    }

    /// The outputs of relu, each once.
    pub(crate) fn relu_outputs(&self) -> Vec<Tensor> {
        let outputs = self.inner.borrow().loss_info.relu_outputs.clone();
        outputs.into_iter().map(|id| self.tensor(id)).collect()
    }

    /// The output, target and reading of each loss, each once.
    pub(crate) fn losses(&self) -> Vec<(Tensor, Tensor, Reading)> {
        let losses = self.inner.borrow().loss_info.losses.clone();
        losses
            .into_iter()
            .map(|(output, target, reading)| (self.tensor(output), self.tensor(target), reading))
            .collect()
    }
}

impl Tensor {
    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The graph it belongs to.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Materializes this tensor in memory, for example several small ones put together for a kernel that reads them all.
    pub(crate) fn materialized(self) -> Tensor {
        self.graph.inner.borrow_mut().nodes[self.id.0].materialized = true;
        self
    }

    /// [`Tensor::materialized`] of the tensor below reshapes: the same numbers, without a copy.
    pub(crate) fn materialized_below(self) -> Tensor {
        let mut inner = self.graph.inner.borrow_mut();
        let mut at = self.id.0;
        while inner.nodes[at].op == Op::Reshape {
            at = inner.nodes[at].inputs[0].0;
        }
        inner.nodes[at].materialized = true;
        drop(inner);
        self
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn full_shape(&self) -> &Shape {
        &self.shape
    }

    /// Sets the graph's error and returns this tensor, whose value is never read.
    pub(crate) fn fail(&self, message: String) -> Tensor {
        self.graph.fail(message);
        self.clone()
    }

    /// The number that this tensor holds everywhere, if it is a constant.
    pub(crate) fn as_constant(&self) -> Option<f32> {
        let inner = self.graph.inner.borrow();
        let mut id = self.id;
        loop {
            let node = &inner.nodes[id.0];
            match &node.op {
                Op::Constant(bits) => return Some(bits.get()),
                Op::Broadcast | Op::Reshape | Op::Permute(_) | Op::Slice(_) => id = node.inputs[0],
                _ => return None,
            }
        }
    }

    /// Resolves axes (negative from the end; none means all) and sorts them. An axis out of range or given twice is an error.
    pub(crate) fn axes(&self, axes: &[isize]) -> Option<Vec<usize>> {
        if axes.is_empty() {
            return Some((0..self.shape.len()).collect());
        }
        let mut out = Vec::with_capacity(axes.len());
        for &axis in axes {
            match self.shape.axis(axis) {
                Some(a) if !out.contains(&a) => out.push(a),
                Some(_) => {
                    self.fail(format!("axis {axis} is named twice"));
                    return None;
                }
                None => {
                    self.fail(format!("axis {axis} is out of range for shape {}", self.shape));
                    return None;
                }
            }
        }
        out.sort_unstable();
        Some(out)
    }
}
