//! Derivatives by central differences.

use super::Array;

/// ∂f/∂inputs[which][element], by the central difference D(h) = (f(x+h) − f(x−h)) / 2h at two steps
/// and Richardson's (4 D(h/2) − D(h)) / 3.
///
/// With h = 2⁻¹⁵ max(1, |x|) what is left of the truncation is h⁴ f⁽⁵⁾/480 ≈ 2e-21 f⁽⁵⁾, and rounding
/// leaves 2⁻⁵²|f| / h ≈ 1e-11 |f|: better than 1e-8 while |f| stays under 1000. The steps are powers
/// of two times x's own grid, so x ± h is nearly exact, and what is not is divided by the true step.
pub fn numeric_partial(f: &dyn Fn(&[Array]) -> f64, inputs: &[Array], which: usize, element: usize) -> f64 {
    let mut inputs = inputs.to_vec();
    let x = inputs[which].data[element];
    let h = x.abs().max(1.0) * 2.0_f64.powi(-15);
    let mut central = |h: f64| {
        let (up, down) = (x + h, x - h);
        inputs[which].data[element] = up;
        let above = f(&inputs);
        inputs[which].data[element] = down;
        (above - f(&inputs)) / (up - down)
    };
    (4.0 * central(h / 2.0) - central(h)) / 3.0
}

/// The gradient of the scalar function `f` with respect to `inputs[which]`.
pub fn numeric_grad(f: &dyn Fn(&[Array]) -> f64, inputs: &[Array], which: usize) -> Array {
    let partials = (0..inputs[which].len()).map(|element| numeric_partial(f, inputs, which, element));
    Array::new(&inputs[which].shape, partials.collect())
}
