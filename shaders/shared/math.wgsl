// Functions of one or two numbers, accurate to a few ulp on every adapter.
// Sources: argument reductions and polynomials after Cephes (Moshier); erf after W. J. Cody 1969.
// tests/functions.rs measures each in units in the last place.

// Infinity and NaN that the compiler does not fold.
var<private> infinity_bits: u32 = 0x7f800000u;
var<private> nan_bits: u32 = 0x7fc00000u;

// By their bits: compilers take a comparison of a number with itself for true, and may take every number for finite.
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn is_infinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }

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

// ln(1 + x) for x in [0, 1]. With s = x/(2 + x) it is 2 atanh s = x - (x^2/2 - s (x^2/2 + R)), R a polynomial in s^2.
// It takes no difference that a compiler may simplify: (1 + x) - 1 may become x.
fn log1p_(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let z = s * s;
    var p = 2.3239051e-1;
    p = p * z + 2.1703315e-1;
    p = p * z + 2.8592583e-1;
    p = p * z + 3.9999701e-1;
    p = p * z + 6.6666667e-1;
    let half_square = 0.5 * x * x;
    return x - (half_square - s * (half_square + z * p));
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

// x = quarters pi/2 + rest, |rest| <= pi/4; of quarters the last two bits count.
struct Turn { quarters: i32, rest: f32 }

// pi/2 has four parts. Their products with n are exact (Cody and Waite).
fn turn_small(x: f32) -> Turn {
    let n = floor(x * 0.636619772 + 0.5);
    let r = ((x - n * 1.5703125) - n * 4.837512969970703e-4) - n * 7.549533620476723e-8;
    return Turn(i32(n), r - n * 2.563344068257090e-12);
}

// The upper word of a b.
fn product_high(a: u32, b: u32) -> u32 {
    let cross = (a >> 16u) * (b & 0xffffu) + (((a & 0xffffu) * (b & 0xffffu)) >> 16u);
    let other = (a & 0xffffu) * (b >> 16u) + (cross & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (cross >> 16u) + (other >> 16u);
}

// Any size: the bits of 2/pi that matter, times the 24 bits of x (Payne and Hanek).
fn turn_large(x: f32) -> Turn {
    var two_over_pi = array<u32, 8>(0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu);
    let bits = bitcast<u32>(abs(x));
    let m = (bits & 0x007fffffu) | 0x00800000u;
    // x = m 2^(e - 150). The bits of 2/pi before bit e - 151 give whole turns, and 96 bits from there are enough.
    let last = min(bits >> 23u, 254u) - 121u;
    let word = last / 32u;
    let up = last % 32u;
    let down = 31u - up;
    let high = ((two_over_pi[word] << up) << 1u) | (two_over_pi[word + 1u] >> down);
    let mid = ((two_over_pi[word + 1u] << up) << 1u) | (two_over_pi[word + 2u] >> down);
    let low = ((two_over_pi[word + 2u] << up) << 1u) | (two_over_pi[word + 3u] >> down);
    // The product in quarters of a turn: 2 whole bits and 62 of the fraction.
    let below = m * mid + product_high(m, low);
    let above = m * high + product_high(m, mid) + select(0u, 1u, below < m * mid);
    let n = (above + 0x20000000u) >> 30u;
    let rest = above - (n << 30u);
    let negative = rest >= 0x80000000u;
    let size_below = select(below, ~below + 1u, negative);
    let size_above = select(rest, ~rest + select(0u, 1u, below == 0u), negative);
    let zeros = select(countLeadingZeros(size_above), 32u + countLeadingZeros(size_below), size_above == 0u);
    let shift = zeros & 31u;
    let first = select(size_above, size_below, size_above == 0u);
    let second = select(size_below, 0u, size_above == 0u);
    let leading = (first << shift) | ((second >> 1u) >> (31u - shift));
    let size = f32(leading) * bitcast<f32>((97u - min(zeros, 63u)) << 23u) * 1.57079633;
    let turned = select(1.0, -1.0, negative != (x < 0.0));
    return Turn(select(i32(n), -i32(n), x < 0.0), turned * size);
}

// NaN where x is not finite.
fn turn(x: f32) -> Turn {
    if (abs(x) <= 8192.0) { return turn_small(x); }
    let large = turn_large(x);
    return Turn(large.quarters, select(large.rest, bitcast<f32>(nan_bits), is_infinite(x) || is_nan(x)));
}
fn sin_(x: f32) -> f32 {
    let t = turn(x);
    let q = t.quarters & 3;
    let y = select(sin_poly(t.rest), cos_poly(t.rest), (q & 1) == 1);
    return select(y, -y, q >= 2);
}
fn cos_(x: f32) -> f32 {
    let t = turn(x);
    let q = t.quarters & 3;
    let y = select(cos_poly(t.rest), sin_poly(t.rest), (q & 1) == 1);
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

// The 12 leading bits: products of two such numbers are exact. The differences below take sums as they are written; a
// compiler that reorders sums loses the digits of large exponents, and downhill doctor shows it.
fn head(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u); }

// x^b for finite x > 0, as 2^(b log2 x) with log2 x in two parts: log2 x = e + 2/ln 2 atanh s, s = (m - 1)/(m + 1).
// After FreeBSD's e_powf.c (Sun Microsystems 1993).
fn pow_positive(x: f32, b: f32) -> f32 {
    let tiny = x < 1.17549435e-38;
    let bits = bitcast<u32>(select(x, x * 16777216.0, tiny));
    var e = f32(i32(bits >> 23u) - 127) - select(0.0, 24.0, tiny);
    var m = bitcast<f32>((bits & 0x007fffffu) | 0x3f800000u);
    let large = m > 1.41421354;
    m = select(m, 0.5 * m, large);
    e = select(e, e + 1.0, large);
    let u = m - 1.0;
    let v = 1.0 / (m + 1.0);
    let s = u * v;
    let s_head = head(s);
    let sum_head = head(m + 1.0);
    let sum_tail = m - (sum_head - 1.0);
    let s_tail = v * ((u - s_head * sum_head) - s_head * sum_tail);
    // atanh s = s/3 (3 + s^2 + r)
    let z = s * s;
    var p = 2.7272811532e-1;
    p = p * z + 3.3333334327e-1;
    p = p * z + 4.2857143283e-1;
    p = p * z + 6.0000002384e-1;
    let r = z * z * p + s_tail * (s_head + s);
    let square = s_head * s_head;
    let t_head = head(3.0 + square + r);
    let t_tail = r - ((t_head - 3.0) - square);
    let exact = s_head * t_head;
    let more = s_tail * t_head + t_tail * s;
    let p_head = head(exact + more);
    let p_tail = more - (p_head - exact);
    // times 2/(3 ln 2), in two parts as well
    let q_head = 9.6191406250e-1 * p_head;
    let q_tail = -1.1736857402e-4 * p_head + p_tail * 9.6179670095e-1;
    let log_head = head(q_head + q_tail + e);
    let log_tail = q_tail - ((log_head - e) - q_head);
    let b_head = head(b);
    let y_head = b_head * log_head;
    let y_tail = (b - b_head) * log_head + b * log_tail;
    let n = floor(clamp(y_head + y_tail, -160.0, 160.0) + 0.5);
    let rest = select(0.0, (y_head - n) + y_tail, abs(n) < 160.0);
    return scale2(exp_(rest * 0.693147182), n);
}

// a^b as C's pow.
fn pow_(a: f32, b: f32) -> f32 {
    let infinity = bitcast<f32>(infinity_bits);
    let size = abs(a);
    let whole = floor(b) == b;
    let odd = whole && abs(b) < 16777216.0 && (i32(clamp(b, -16777216.0, 16777216.0)) & 1) == 1;
    // At the ends: 0 or infinity.
    let limit = select(0.0, infinity, (size > 1.0) == (b > 0.0));
    let ends = size == 0.0 || is_infinite(size) || is_infinite(b);
    let y = select(pow_positive(size, clamp(b, -3e38, 3e38)), limit, ends);
    let negative = (bitcast<u32>(a) >> 31u) == 1u;
    let signed = select(y, -y, negative && odd);
    let real = select(signed, bitcast<f32>(nan_bits), a < 0.0 && !is_infinite(a) && !whole);
    let number = select(real, a + b, is_nan(a) || is_nan(b));
    return select(number, 1.0, b == 0.0 || a == 1.0 || (a == -1.0 && is_infinite(b)));
}

fn minimum(a: f32, b: f32) -> f32 {
    return select(select(b, a, a < b), a + b, is_nan(a) || is_nan(b));
}
fn maximum(a: f32, b: f32) -> f32 {
    return select(select(b, a, a > b), a + b, is_nan(a) || is_nan(b));
}
