//! Elementwise functions, with NumPy broadcasting.

use std::ops;

use super::{Binary, DType, Node, Op, Tensor, Unary};

const INV_SQRT_2: f32 = std::f32::consts::FRAC_1_SQRT_2;

fn fold_unary(op: Unary, x: f32) -> Option<f32> {
    match op {
        Unary::Neg => Some(-x),
        Unary::Recip => Some(1.0 / x),
        Unary::Sqrt => Some(x.sqrt()),
        _ => None,
    }
}

fn fold_binary(op: Binary, a: Option<f32>, b: Option<f32>) -> Option<f32> {
    let (a, b) = (a?, b?);
    match op {
        Binary::Add => Some(a + b),
        Binary::Sub => Some(a - b),
        Binary::Mul => Some(a * b),
        Binary::Div => Some(a / b),
        _ => None,
    }
}

/// If the operands are permuted tensors: all operands with the first one's permutation undone, and that permutation. Values
/// computed element by element then have their inputs' order in memory, and fuse with them. `None` if an operand is in
/// order already.
fn in_memory_order(operands: &[&Tensor]) -> Option<(Vec<Tensor>, Vec<usize>)> {
    let repeats =
        |t: &&Tensor| matches!(t.graph.inner.borrow().nodes[t.id.0].op, Op::Broadcast | Op::Constant(_));
    let perm = operands.iter().find_map(|t| t.permutation())?.1;
    if !operands.iter().all(|t| repeats(t) || t.permutation().is_some()) {
        return None;
    }
    let mut inverse = vec![0; perm.len()];
    for (i, &p) in perm.iter().enumerate() {
        inverse[p] = i;
    }
    Some((operands.iter().map(|t| t.permute(&inverse)).collect(), perm))
}

impl Tensor {
    pub(crate) fn unary(&self, op: Unary) -> Tensor {
        if (self.dtype == DType::I32) != (op == Unary::ToF32) {
            return self.fail(format!("{op:?} of an {:?} tensor", self.dtype));
        }
        if let Some(value) = self.as_constant().and_then(|x| fold_unary(op, x)) {
            return self.graph.full(value, &self.shape);
        }
        if let Some((source, perm)) = self.permutation() {
            return source.unary(op).permute(&perm);
        }
        let dtype = if op == Unary::ToI32 { DType::I32 } else { DType::F32 };
        self.graph.push(Op::Unary(op), &[self], self.shape.clone(), dtype)
    }

    pub(crate) fn binary(&self, op: Binary, other: &Tensor) -> Tensor {
        let Some(shape) = self.shape.broadcast(&other.shape) else {
            return self.fail(format!(
                "{} of {} and {}: the shapes do not broadcast",
                format!("{op:?}").to_lowercase(),
                self.shape,
                other.shape
            ));
        };
        if self.dtype != other.dtype || (self.dtype == DType::I32 && (op as u8) < (Binary::Eq as u8)) {
            return self.fail(format!("{op:?} of {:?} and {:?} tensors", self.dtype, other.dtype));
        }
        let (a, b) = (self.broadcast_to(&shape), other.broadcast_to(&shape));
        let (ca, cb) = (self.as_constant(), other.as_constant());
        if let Some(value) = fold_binary(op, ca, cb) {
            return self.graph.full(value, &shape);
        }
        match (op, ca, cb) {
            (Binary::Add, Some(0.0), _) | (Binary::Mul, Some(1.0), _) => b,
            (Binary::Add | Binary::Sub, _, Some(0.0)) | (Binary::Mul | Binary::Div, _, Some(1.0)) => a,
            _ => match in_memory_order(&[&a, &b]) {
                Some((inputs, perm)) => {
                    let shape = inputs[0].shape.clone();
                    let inputs: Vec<&Tensor> = inputs.iter().collect();
                    self.graph.push(Op::Binary(op), &inputs, shape, DType::F32).permute(&perm)
                }
                None => self.graph.push(Op::Binary(op), &[&a, &b], shape, DType::F32),
            },
        }
    }

    /// The tensor that this one permutes and the order of axes, if it is a permutation.
    pub(crate) fn permutation(&self) -> Option<(Tensor, Vec<usize>)> {
        let source = match &self.graph.inner.borrow().nodes[self.id.0] {
            Node { op: Op::Permute(perm), inputs, .. } => (inputs[0], perm.clone()),
            _ => return None,
        };
        Some((self.graph.tensor(source.0), source.1))
    }

    /// self + other
    pub fn add(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Add, other)
    }
    /// self − other
    pub fn sub(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Sub, other)
    }
    /// self · other
    pub fn mul(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Mul, other)
    }
    /// self / other
    pub fn div(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Div, other)
    }
    /// self to the power of other, as C's `pow`.
    pub fn pow(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Pow, other)
    }
    /// The minimum; NaN if either is. Equal operands share the gradient in halves.
    pub fn minimum(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Min, other)
    }
    /// The maximum; NaN if either is. Equal operands share the gradient in halves.
    pub fn maximum(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Max, other)
    }
    /// 1 where equal, else 0.
    pub fn eq(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Eq, other)
    }
    /// 1 where different, else 0.
    pub fn ne(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Ne, other)
    }
    /// 1 where self < other, else 0.
    pub fn lt(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Lt, other)
    }
    /// 1 where self ≤ other, else 0.
    pub fn le(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Le, other)
    }
    /// 1 where self > other, else 0.
    pub fn gt(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Gt, other)
    }
    /// 1 where self ≥ other, else 0.
    pub fn ge(&self, other: &Tensor) -> Tensor {
        self.binary(Binary::Ge, other)
    }

    /// `torch.where(self != 0, a, b)`, all three broadcast.
    pub fn select(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let shape = self.shape.broadcast(&a.shape).and_then(|s| s.broadcast(&b.shape));
        let Some(shape) = shape else {
            return self.fail(format!(
                "select of {}, {} and {}: the shapes do not broadcast",
                self.shape, a.shape, b.shape
            ));
        };
        if [self, a, b].iter().any(|t| t.dtype != DType::F32) {
            return self.fail("select needs f32 tensors".into());
        }
        let inputs = [self.broadcast_to(&shape), a.broadcast_to(&shape), b.broadcast_to(&shape)];
        if let Some((inputs, perm)) = in_memory_order(&[&inputs[0], &inputs[1], &inputs[2]]) {
            let shape = inputs[0].shape.clone();
            let inputs: Vec<&Tensor> = inputs.iter().collect();
            return self.graph.push(Op::Select, &inputs, shape, DType::F32).permute(&perm);
        }
        self.graph.push(Op::Select, &[&inputs[0], &inputs[1], &inputs[2]], shape, DType::F32)
    }

    /// self + c
    pub fn add_scalar(&self, c: f32) -> Tensor {
        self.add(&self.graph.constant(c))
    }
    /// self · c
    pub fn mul_scalar(&self, c: f32) -> Tensor {
        self.mul(&self.graph.constant(c))
    }
    /// selfᶜ; negative bases are good where c is whole.
    pub fn pow_scalar(&self, c: f32) -> Tensor {
        match c {
            0.0 => self.graph.full(1.0, &self.shape),
            1.0 => self.clone(),
            2.0 => self.square(),
            0.5 => self.sqrt(),
            -1.0 => self.recip(),
            _ => self.unary(Unary::PowConst(c.into())),
        }
    }
    /// −self
    pub fn neg(&self) -> Tensor {
        self.unary(Unary::Neg)
    }
    /// eˣ
    pub fn exp(&self) -> Tensor {
        self.unary(Unary::Exp)
    }
    /// ln x
    pub fn log(&self) -> Tensor {
        self.unary(Unary::Log)
    }
    /// √x
    pub fn sqrt(&self) -> Tensor {
        self.unary(Unary::Sqrt)
    }
    /// x²
    pub fn square(&self) -> Tensor {
        self.mul(self)
    }
    /// 1/x
    pub fn recip(&self) -> Tensor {
        self.unary(Unary::Recip)
    }
    /// |x|; its derivative at 0 is 0.
    pub fn abs(&self) -> Tensor {
        self.unary(Unary::Abs)
    }
    /// −1, 0 or 1; no gradient.
    pub fn sign(&self) -> Tensor {
        self.unary(Unary::Sign)
    }
    /// sin x, x in radians.
    pub fn sin(&self) -> Tensor {
        self.unary(Unary::Sin)
    }
    /// cos x, x in radians.
    pub fn cos(&self) -> Tensor {
        self.unary(Unary::Cos)
    }
    /// tanh x
    pub fn tanh(&self) -> Tensor {
        self.unary(Unary::Tanh)
    }
    /// 1/(1 + e⁻ˣ)
    pub fn sigmoid(&self) -> Tensor {
        self.unary(Unary::Sigmoid)
    }
    /// The error function.
    pub fn erf(&self) -> Tensor {
        self.unary(Unary::Erf)
    }
    /// max(x, 0); its derivative at 0 is 0.
    pub fn relu(&self) -> Tensor {
        let y = self.unary(Unary::Relu);
        self.graph.note_relu_output(&y);
        y
    }
    /// x where x > 0, else slope · x.
    pub fn leaky_relu(&self, slope: f32) -> Tensor {
        self.unary(Unary::LeakyRelu(slope.into()))
    }
    /// x where x > 0, else alpha · (eˣ − 1).
    pub fn elu(&self, alpha: f32) -> Tensor {
        self.unary(Unary::Elu(alpha.into()))
    }
    /// x·Φ(x) with the exact Φ (Hendrycks and Gimpel 2016).
    pub fn gelu(&self) -> Tensor {
        let phi = self.mul_scalar(INV_SQRT_2).erf().add_scalar(1.0);
        self.mul_scalar(0.5).mul(&phi)
    }
    /// The tanh form of gelu: 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
    pub fn gelu_tanh(&self) -> Tensor {
        // (1 + tanh u)/2 is sigmoid 2u, which keeps its digits where it is small.
        let scale = 2.0 * (2.0 / std::f64::consts::PI).sqrt();
        let inner = self.mul(&self.square().mul_scalar((0.044_715 * scale) as f32).add_scalar(scale as f32));
        self.mul(&inner.sigmoid())
    }
    /// x·sigmoid(x)
    pub fn silu(&self) -> Tensor {
        self.mul(&self.sigmoid())
    }
    /// log(1 + exp(beta·x))/beta; x itself where beta·x > threshold.
    pub fn softplus(&self, beta: f32, threshold: f32) -> Tensor {
        self.unary(Unary::Softplus(beta.into(), threshold.into()))
    }
    /// Into [min, max]; the gradient passes strictly between, as in torch 2.15. NaN stays.
    pub fn clamp(&self, min: f32, max: f32) -> Tensor {
        let (min, max) = (self.graph.constant(min), self.graph.constant(max));
        let upper = self.ge(&max).select(&max, self);
        self.le(&min).select(&min, &upper)
    }
    /// i32 to f32.
    pub fn to_f32(&self) -> Tensor {
        if self.dtype == DType::F32 { self.clone() } else { self.unary(Unary::ToF32) }
    }
    /// f32 to i32, towards 0, as torch's `to(torch.int32)`; no gradient. NaN and numbers past ±2³¹ become any number.
    pub fn to_i32(&self) -> Tensor {
        if self.dtype == DType::I32 { self.clone() } else { self.unary(Unary::ToI32) }
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident),*) => {$(
        impl ops::$trait<&Tensor> for &Tensor {
            type Output = Tensor;
            fn $method(self, other: &Tensor) -> Tensor { Tensor::$method(self, other) }
        }
        impl ops::$trait<Tensor> for &Tensor {
            type Output = Tensor;
            fn $method(self, other: Tensor) -> Tensor { Tensor::$method(self, &other) }
        }
        impl ops::$trait<&Tensor> for Tensor {
            type Output = Tensor;
            fn $method(self, other: &Tensor) -> Tensor { Tensor::$method(&self, other) }
        }
        impl ops::$trait<Tensor> for Tensor {
            type Output = Tensor;
            fn $method(self, other: Tensor) -> Tensor { Tensor::$method(&self, &other) }
        }
        impl ops::$trait<f32> for &Tensor {
            type Output = Tensor;
            fn $method(self, c: f32) -> Tensor { Tensor::$method(self, &self.graph.constant(c)) }
        }
        impl ops::$trait<f32> for Tensor {
            type Output = Tensor;
            fn $method(self, c: f32) -> Tensor { Tensor::$method(&self, &self.graph.constant(c)) }
        }
        impl ops::$trait<&Tensor> for f32 {
            type Output = Tensor;
            fn $method(self, t: &Tensor) -> Tensor { Tensor::$method(&t.graph.constant(self), t) }
        }
        impl ops::$trait<Tensor> for f32 {
            type Output = Tensor;
            fn $method(self, t: Tensor) -> Tensor { Tensor::$method(&t.graph.constant(self), &t) }
        }
    )*};
}

operators!(Add add, Sub sub, Mul mul, Div div);

impl ops::Neg for &Tensor {
    type Output = Tensor;
    fn neg(self) -> Tensor {
        Tensor::neg(self)
    }
}

impl ops::Neg for Tensor {
    type Output = Tensor;
    fn neg(self) -> Tensor {
        Tensor::neg(&self)
    }
}
