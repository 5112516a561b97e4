// Functions of one or two numbers, accurate to a few ulp on every adapter.
// Sources: argument reductions and polynomials after Cephes (Moshier); erf after W. J. Cody 1969.

// Infinity and NaN that the compiler does not fold.
var<private> infinity_bits: u32 = 0x7f800000u;
var<private> nan_bits: u32 = 0x7fc00000u;

// By its bits: compilers take a comparison of a number with itself for true.
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

// y 2^n for whole n in [-252, 252], in two factors, so that the ends of the range do not overflow early.
fn scale2(y: f32, n: f32) -> f32 {
    let half = i32(n) / 2;
    let rest = i32(n) - half;
    return y * bitcast<f32>(u32(half + 127) << 23u) * bitcast<f32>(u32(rest + 127) << 23u);
}

// e^x: x = n ln 2 + r, |r| <= ln 2 / 2, polynomial of degree 6 in r.
fn exp_(x: f32) -> f32 {
    let c = clamp(x, -104.0, 89.0);
    let n = floor(c * 1.44269504 + 0.5);
    let r = (c - n * 0.693359375) + n * 2.12194440e-4;
    var p = 1.9875691500e-4;
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    p = p * r + 5.0000001201e-1;
    p = p * r * r + r + 1.0;
    let y = scale2(p, n);
    return select(select(y, 0.0, x < -104.0), x, is_nan(x))
        + select(0.0, bitcast<f32>(infinity_bits), x > 88.8);
}

// e^x - 1 without cancellation near 0: a Taylor polynomial where |x| < 0.35.
fn expm1_(x: f32) -> f32 {
    var p = 1.0 / 5040.0;
    p = p * x + 1.0 / 720.0;
    p = p * x + 1.0 / 120.0;
    p = p * x + 1.0 / 24.0;
    p = p * x + 1.0 / 6.0;
    p = p * x + 0.5;
    p = p * x * x + x;
    return select(exp_(x) - 1.0, p, abs(x) < 0.35);
}

// ln x: x = 2^e m, sqrt(1/2) <= m < sqrt(2), polynomial of degree 9 in m - 1.
fn log_(x: f32) -> f32 {
    // Subnormals are scaled into the normal range first.
    let tiny = x < 1.17549435e-38;
    let scaled = select(x, x * 8388608.0, tiny);
    let bits = bitcast<u32>(scaled);
    var e = f32(i32((bits >> 23u) & 255u) - 126) - select(0.0, 23.0, tiny);
    var m = bitcast<f32>((bits & 0x007fffffu) | 0x3f000000u);
    let small = m < 0.707106781;
    e = select(e, e - 1.0, small);
    m = select(m, m + m, small) - 1.0;
    let z = m * m;
    var p = 7.0376836292e-2;
    p = p * m - 1.1514610310e-1;
    p = p * m + 1.1676998740e-1;
    p = p * m - 1.2420140846e-1;
    p = p * m + 1.4249322787e-1;
    p = p * m - 1.6668057665e-1;
    p = p * m + 2.0000714765e-1;
    p = p * m - 2.4999993993e-1;
    p = p * m + 3.3333331174e-1;
    var y = p * m * z;
    y = y - 2.12194440e-4 * e;
    y = y - 0.5 * z;
    y = m + y + 0.693359375 * e;
    y = select(y, -bitcast<f32>(infinity_bits), x == 0.0);
    y = select(y, bitcast<f32>(nan_bits), !(x >= 0.0));
    return select(y, x, x > 3.4028234e38);
}

// ln(1 + x) without cancellation for small x (Kahan's correction).
fn log1p_(x: f32) -> f32 {
    let u = 1.0 + x;
    let d = u - 1.0;
    return select(log_(u) * (x / select(d, 1.0, d == 0.0)), x, d == 0.0);
}

// Sine of r and cosine of r for |r| <= pi/4.
fn sin_poly(r: f32) -> f32 {
    let z = r * r;
    return ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
}
fn cos_poly(r: f32) -> f32 {
    let z = r * r;
    return ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z
        - 0.5 * z + 1.0;
}
// x reduced by multiples of pi/2 in three parts; good to about |x| = 8000.
fn reduce_half_pi(x: f32, n: f32) -> f32 {
    return ((x - n * 1.5703125) - n * 4.837512969970703125e-4) - n * 7.54978995489188216e-8;
}
fn sin_(x: f32) -> f32 {
    let n = floor(x * 0.636619772 + 0.5);
    let r = reduce_half_pi(x, n);
    let q = i32(n) & 3;
    let y = select(sin_poly(r), cos_poly(r), (q & 1) == 1);
    return select(y, -y, q >= 2);
}
fn cos_(x: f32) -> f32 {
    let n = floor(x * 0.636619772 + 0.5);
    let r = reduce_half_pi(x, n);
    let q = i32(n) & 3;
    let y = select(cos_poly(r), sin_poly(r), (q & 1) == 1);
    return select(y, -y, q == 1 || q == 2);
}

fn sigmoid(x: f32) -> f32 {
    let e = exp_(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e) + select(0.0, x, is_nan(x));
}

// tanh x = 1 - 2/(e^{2|x|} + 1) with the sign of x; an odd polynomial where |x| < 0.625.
fn tanh_(x: f32) -> f32 {
    let a = abs(x);
    let big = 1.0 - 2.0 / (exp_(2.0 * min(a, 20.0)) + 1.0);
    let z = x * x;
    let p = (((-5.70498872745e-3 * z + 2.06390887954e-2) * z - 5.37397155531e-2) * z + 1.33314422036e-1) * z
        - 3.33332819422e-1;
    let y = select(p * z * x + x, select(-big, big, x > 0.0), a >= 0.625);
    return select(y, x, is_nan(x));
}

// The error function: an odd Taylor-like polynomial below 1 (Cephes), 1 - erfc above.
fn erf(x: f32) -> f32 {
    let a = abs(x);
    let z = x * x;
    var p = 7.853861353153693e-5;
    p = p * z - 8.010193625184903e-4;
    p = p * z + 5.188327685732524e-3;
    p = p * z - 2.685381193529856e-2;
    p = p * z + 1.128358514861418e-1;
    p = p * z - 3.761262582423300e-1;
    p = p * z + 1.128379165726710;
    // erfc(a) = e^{-a^2}/a P(1/a^2), in two ranges.
    let c = max(a, 1.0);
    let q = 1.0 / c;
    let w = q * q;
    var near = 2.326819970068386e-2;
    near = near * w - 1.387039388740657e-1;
    near = near * w + 3.687424674597105e-1;
    near = near * w - 5.824733027278666e-1;
    near = near * w + 6.210004621745983e-1;
    near = near * w - 4.944515323274145e-1;
    near = near * w + 3.404879937665872e-1;
    near = near * w - 2.741127028184656e-1;
    near = near * w + 5.638259427386472e-1;
    var far = -1.047766399936249e+1;
    far = far * w + 1.297719955372516e+1;
    far = far * w - 7.495518717768503;
    far = far * w + 2.921019019210786;
    far = far * w - 1.015265279202700;
    far = far * w + 4.218463358204948e-1;
    far = far * w - 2.820767439740514e-1;
    far = far * w + 5.641895067754075e-1;
    let tail = exp_(-min(c * c, 100.0)) * q * select(far, near, c < 2.0);
    let big = select(-1.0 + tail, 1.0 - tail, x > 0.0);
    let y = select(p * x, big, a >= 1.0);
    return select(y, x, is_nan(x));
}

fn elu(x: f32, alpha: f32) -> f32 {
    return select(alpha * expm1_(min(x, 0.0)), x, x > 0.0) + select(0.0, x, is_nan(x));
}

// log(1 + e^{beta x}) / beta, x itself where beta x > threshold.
fn softplus(x: f32, beta: f32, threshold: f32) -> f32 {
    let s = x * beta;
    let y = (max(s, 0.0) + log1p_(exp_(-abs(s)))) / beta;
    return select(y, x, s > threshold || is_nan(x));
}

// a^b as C's pow, in the cases that training meets: whole exponents of negative bases, zero bases.
fn pow_(a: f32, b: f32) -> f32 {
    let whole = floor(b) == b;
    let odd = whole && abs(b) < 16777216.0 && (i32(clamp(b, -16777216.0, 16777216.0)) & 1) == 1;
    // log2 |a| in two parts, so that large exponents keep their digits.
    let bits = bitcast<u32>(abs(a));
    var e = f32(i32(bits >> 23u) - 127);
    var m = bitcast<f32>((bits & 0x007fffffu) | 0x3f800000u);
    let large = m > 1.41421356;
    m = select(m, 0.5 * m, large);
    e = select(e, e + 1.0, large);
    let whole_part = b * e;
    let n = floor(whole_part + 0.5);
    let y = scale2(exp_(b * log_(m) + (whole_part - n) * 0.69314718), clamp(n, -252.0, 252.0));
    let signed = select(select(bitcast<f32>(nan_bits), select(y, -y, odd), whole), y, a > 0.0);
    let zero_base = select(select(0.0, bitcast<f32>(infinity_bits), b < 0.0), 1.0, b == 0.0);
    let result = select(signed, zero_base, a == 0.0);
    return select(result, 1.0, b == 0.0) + select(0.0, a + b, is_nan(a) || is_nan(b));
}

fn minimum(a: f32, b: f32) -> f32 {
    return select(select(b, a, a < b), a + b, is_nan(a) || is_nan(b));
}
fn maximum(a: f32, b: f32) -> f32 {
    return select(select(b, a, a > b), a + b, is_nan(a) || is_nan(b));
}
