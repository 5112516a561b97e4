//! An ONNX graph that is being written: nodes, constants and names.

use std::collections::HashSet;

use super::proto::{
    AttributeProto, DimensionProto, Extent, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::error::{Error, Result};
use crate::plan::NamedTensor;

/// The type of a tensor's elements, by its number in `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Float = 1,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Double = 11,
}

/// The name of the batch axis.
const BATCH: &str = "batch";

/// An option of an operator.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), kind: 2, ..AttributeProto::default() }
}

/// An option of an operator.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f: Some(value), kind: 1, ..AttributeProto::default() }
}

/// An option of an operator.
pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), s: Some(value.into()), kind: 3, ..AttributeProto::default() }
}

/// An option of an operator.
pub(super) fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> AttributeProto {
    let ints = values.into_iter().map(|value| value as i64).collect();
    AttributeProto { name: name.into(), ints, kind: 7, ..AttributeProto::default() }
}

/// The graph so far. Values have names: nodes take and return these.
pub(super) struct Builder<'a> {
    graph: GraphProto,
    weights: &'a [NamedTensor],
    taken: HashSet<String>,
    /// The layer that nodes are named after.
    place: String,
}

impl<'a> Builder<'a> {
    pub fn new(name: &str, weights: &'a [NamedTensor]) -> Self {
        let graph = GraphProto { name: name.into(), ..GraphProto::default() };
        Builder { graph, weights, taken: HashSet::new(), place: String::new() }
    }

    /// Names nodes after this layer from here on.
    pub fn at(&mut self, place: &str) {
        place.clone_into(&mut self.place);
    }

    /// This name, or with a number where it is taken.
    fn free(&mut self, name: String) -> String {
        let mut free = name.clone();
        let mut number = 1;
        while !self.taken.insert(free.clone()) {
            number += 1;
            free = format!("{name}_{number}");
        }
        free
    }

    /// Appends a node of one output.
    pub fn op(&mut self, kind: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        self.op_of(kind, inputs, 1, attributes).swap_remove(0)
    }

    /// Appends a node of several outputs.
    pub fn op_of(
        &mut self,
        kind: &str,
        inputs: &[&str],
        outputs: usize,
        attributes: Vec<AttributeProto>,
    ) -> Vec<String> {
        let name = self.local(kind);
        let output = match outputs {
            1 => vec![name.clone()],
            _ => (0..outputs).map(|i| self.free(format!("{name}.{i}"))).collect::<Vec<_>>(),
        };
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: output.clone(),
            name,
            op_type: kind.into(),
            attribute: attributes,
        });
        output
    }

    /// A free name in this layer.
    fn local(&mut self, what: &str) -> String {
        let name = if self.place.is_empty() { what.to_owned() } else { format!("{}/{what}", self.place) };
        self.free(name)
    }

    /// A weight of the run under its own name.
    ///
    /// # Errors
    /// [`Error::Weights`] where there is none of this name.
    pub fn weight(&mut self, name: &str) -> Result<String> {
        let weight = self.find(name)?;
        let dims: Vec<usize> = weight.shape.to_vec();
        let name = self.free(weight.name.clone());
        self.graph.initializer.push(tensor(name.clone(), &dims, Element::Float, bytes(&weight.values)));
        Ok(name)
    }

    /// The numbers of a weight of the run.
    ///
    /// # Errors
    /// [`Error::Weights`] where there is none of this name.
    pub fn find(&self, name: &str) -> Result<&'a NamedTensor> {
        self.weights
            .iter()
            .find(|own| own.name == name)
            .ok_or_else(|| Error::Weights(format!("there is no weight named {name}")))
    }

    /// A constant of f32.
    pub fn floats(&mut self, what: &str, dims: &[usize], values: &[f32]) -> String {
        let name = self.local(what);
        self.graph.initializer.push(tensor(name.clone(), dims, Element::Float, bytes(values)));
        name
    }

    /// A constant of f64.
    pub fn doubles(&mut self, what: &str, dims: &[usize], values: &[f64]) -> String {
        let name = self.local(what);
        self.graph.initializer.push(tensor(name.clone(), dims, Element::Double, bytes(values)));
        name
    }

    /// A list of integers, as shapes and axes are.
    pub fn integers(&mut self, what: &str, values: &[i64]) -> String {
        let name = self.local(what);
        self.graph.initializer.push(tensor(name.clone(), &[values.len()], Element::Int64, bytes(values)));
        name
    }

    /// A constant of texts.
    pub fn strings(&mut self, what: &str, dims: &[usize], values: &[String]) -> String {
        let name = self.local(what);
        let string_data = values.iter().map(|value| value.clone().into_bytes()).collect();
        let shell = tensor(name.clone(), dims, Element::String, Vec::new());
        self.graph.initializer.push(TensorProto { string_data, raw_data: None, ..shell });
        name
    }

    /// x in another shape; -1 stands for what is left over, 0 for the extent that x has there.
    pub fn reshape(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.integers("shape", shape);
        self.op("Reshape", &[x, &shape], Vec::new())
    }

    /// The axes of x in this order.
    pub fn transpose(&mut self, x: &str, order: &[usize]) -> String {
        self.op("Transpose", &[x], vec![ints("perm", order.iter().copied())])
    }

    /// x with elements of another type.
    pub fn cast(&mut self, x: &str, to: Element) -> String {
        self.op("Cast", &[x], vec![int("to", to as i64)])
    }

    /// x·Wᵀ + b for x of more than two axes.
    pub fn product(&mut self, x: &str, weight: &str, bias: Option<&str>) -> String {
        let weight = self.transpose(weight, &[1, 0]);
        let y = self.op("MatMul", &[x, &weight], Vec::new());
        match bias {
            Some(bias) => self.op("Add", &[&y, bias], Vec::new()),
            None => y,
        }
    }

    /// x times a number.
    pub fn times(&mut self, x: &str, factor: f32) -> String {
        let factor = self.floats("factor", &[], &[factor]);
        self.op("Mul", &[x, &factor], Vec::new())
    }

    /// An input of the graph, `[batch, extents..]`.
    pub fn input(&mut self, name: &str, element: Element, extents: &[usize], about: &str) -> String {
        let name = self.free(name.to_owned());
        self.graph.input.push(value(name.clone(), element, extents, about));
        name
    }

    /// Makes a value an output of the graph, `[batch, extents..]`.
    pub fn output(&mut self, name: &str, element: Element, x: &str, extents: &[usize], about: &str) {
        let name = self.free(name.to_owned());
        self.graph.node.push(NodeProto {
            input: vec![x.into()],
            output: vec![name.clone()],
            name: name.clone(),
            op_type: "Identity".into(),
            attribute: Vec::new(),
        });
        self.graph.output.push(value(name, element, extents, about));
    }

    pub fn finish(self) -> GraphProto {
        self.graph
    }
}

fn tensor(name: String, dims: &[usize], element: Element, raw: Vec<u8>) -> TensorProto {
    let dims = dims.iter().map(|&extent| extent as i64).collect();
    TensorProto { dims, data_type: element as i32, string_data: Vec::new(), name, raw_data: Some(raw) }
}

/// The little-endian bytes of numbers.
fn bytes<T: bytemuck::NoUninit>(values: &[T]) -> Vec<u8> {
    if cfg!(target_endian = "little") {
        return bytemuck::cast_slice(values).to_vec();
    }
    let size = size_of::<T>();
    values.iter().flat_map(|value| bytemuck::bytes_of(value)[..size].iter().rev().copied()).collect()
}

fn value(name: String, element: Element, extents: &[usize], about: &str) -> ValueInfoProto {
    let batch = Extent::Param(BATCH.into());
    let extents = extents.iter().map(|&extent| Extent::Value(extent as i64));
    let dim = std::iter::once(batch).chain(extents).map(|value| DimensionProto { value: Some(value) });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: element as i32, shape });
    ValueInfoProto { name, kind: Some(TypeProto { tensor_type }), doc_string: about.into() }
}
