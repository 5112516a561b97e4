//! Random composite expressions, which is where a fuser goes wrong.

use downhill::Tensor;

use crate::case::{Case, gpu};
use crate::oracle::{
    compare::Cases,
    draw::{Input, Kind, cases, rng_of},
    program::{self, Program},
};

/// Builds a random program, one tensor a node.
fn build(program: &Program, inputs: &[Tensor]) -> Vec<Tensor> {
    let mut inputs = inputs.iter();
    let mut built: Vec<Tensor> = Vec::new();
    for node in &program.nodes {
        let v = |i: &usize| &built[*i];
        let tensor = match &node.op {
            program::Op::Input => inputs.next().expect("a tensor for each input").clone(),
            program::Op::Unary(unary, a) => build_unary(*unary, v(a)),
            program::Op::Binary(binary, a, b) => match binary {
                program::Binary::Add => v(a).add(v(b)),
                program::Binary::Sub => v(a).sub(v(b)),
                program::Binary::Mul => v(a).mul(v(b)),
                program::Binary::Div => v(a).div(v(b)),
                program::Binary::Minimum => v(a).minimum(v(b)),
                program::Binary::Maximum => v(a).maximum(v(b)),
            },
            program::Op::SelectLess([a, b, yes, no]) => v(a).lt(v(b)).select(v(yes), v(no)),
            program::Op::Reduce(reduction, a, axes, keepdim) => match reduction {
                program::Reduction::Sum => v(a).sum(axes, *keepdim),
                program::Reduction::Mean => v(a).mean(axes, *keepdim),
                program::Reduction::Amax => v(a).amax(axes, *keepdim),
                program::Reduction::LogSumExp => v(a).logsumexp(axes, *keepdim),
            },
            program::Op::Softmax(a, axes) => v(a).softmax(axes),
            program::Op::LogSoftmax(a, axes) => v(a).log_softmax(axes),
            program::Op::Reshape(a) => v(a).reshape(node.shape.clone()),
            program::Op::BroadcastTo(a) => v(a).broadcast_to(node.shape.clone()),
            program::Op::Transpose(a, first, second) => v(a).transpose(*first, *second),
            program::Op::Permute(a, order) => v(a).permute(order),
            program::Op::Slice(a, axis, start, end) => v(a).slice(*axis, *start, *end),
            program::Op::Concat(parts, axis) => {
                Tensor::concat(&parts.iter().map(v).collect::<Vec<_>>(), *axis)
            }
            program::Op::MatMul(a, b) => v(a).matmul(v(b)),
        };
        built.push(tensor);
    }
    built
}

fn build_unary(unary: program::Unary, x: &Tensor) -> Tensor {
    match unary {
        program::Unary::Neg => x.neg(),
        program::Unary::Exp => x.exp(),
        program::Unary::Log => x.log(),
        program::Unary::Sqrt => x.sqrt(),
        program::Unary::Abs => x.abs(),
        program::Unary::Sin => x.sin(),
        program::Unary::Cos => x.cos(),
        program::Unary::Tanh => x.tanh(),
        program::Unary::Sigmoid => x.sigmoid(),
        program::Unary::Relu => x.relu(),
        program::Unary::Silu => x.silu(),
        program::Unary::Gelu => x.gelu(),
        program::Unary::GeluTanh => x.gelu_tanh(),
        program::Unary::Square => x.square(),
        program::Unary::Recip => x.recip(),
        program::Unary::LeakyRelu(slope) => x.leaky_relu(slope),
        program::Unary::Elu(alpha) => x.elu(alpha),
        program::Unary::Softplus(beta) => x.softplus(beta, 40.0),
        program::Unary::Clamp(min, max) => x.clamp(min, max),
        program::Unary::AddScalar(c) => x.add_scalar(c),
        program::Unary::MulScalar(c) => x.mul_scalar(c),
    }
}

/// A third of the graphs return their outputs, a third every intermediate value too, and a third the
/// gradients alone: what must be kept decides what may be fused.
#[test]
fn random_composites_and_their_gradients() {
    let mut all = Cases::default();
    for index in 0..cases(60) {
        let mut rng = rng_of("composite", index as u64);
        let (program, arrays) = Program::draw(&mut rng);
        let inputs: Vec<Input> = arrays.into_iter().map(|array| Input { array, kind: Kind::Real }).collect();
        let computed = |&i: &usize| program.nodes[i].op != program::Op::Input;
        let returned: Vec<usize> = match index % 3 {
            0 => program.sinks().into_iter().filter(computed).collect(),
            1 => (0..program.nodes.len()).filter(computed).collect(),
            _ => vec![],
        };
        let case = Case {
            inputs: &inputs,
            build: &|x| build(&program, x),
            oracle: &|arrays, jitter| program.eval(arrays, jitter).values,
            returned: &returned,
            in_loss: &program.sinks(),
        };
        all.run(&format!("composite {index}"), || {
            let checked = case.check(gpu(index), &mut rng);
            checked.map_err(|why| format!("{why}\n{program}\n  returned: {returned:?}"))
        });
    }
    all.finish();
}
