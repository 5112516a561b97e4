// Shared by both families of attention kernels: rows as vec4s, the scores of a pair, and the stores.
fn scale() -> f32 { return bitcast<f32>(SCALE_BITS); }
// Below every score that counts, and finite, so that the difference of two is no NaN.
fn lowest() -> f32 { return -3.0e38; }

//#slot q_rows
fn q_four(n: u32, row: u32, h: u32, c: u32) -> vec4<f32> {
    let at = Q_OFFSET + n * Q_BATCH + row * Q_ROW + h * Q_HEAD + 4u * c;
    if (D % 4u == 0u) { return vec4<f32>(vec4<T8>(q[at], q[at + 1u], q[at + 2u], q[at + 3u])); }
    let left = D - 4u * c; // past the row's end lie other rows, or nothing: its last element is read, and 0 taken
    let x = vec4<f32>(vec4<T8>(q[at], q[at + min(1u, left - 1u)], q[at + min(2u, left - 1u)], q[at + min(3u, left - 1u)]));
    return select(vec4<f32>(), x, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(left));
}
//#end
//#slot k_rows
fn k_four(n: u32, row: u32, h: u32, c: u32) -> vec4<f32> {
    let at = K_OFFSET + n * K_BATCH + row * K_ROW + h * K_HEAD + 4u * c;
    if (D % 4u == 0u) { return vec4<f32>(vec4<T9>(k[at], k[at + 1u], k[at + 2u], k[at + 3u])); }
    let left = D - 4u * c;
    let x = vec4<f32>(vec4<T9>(k[at], k[at + min(1u, left - 1u)], k[at + min(2u, left - 1u)], k[at + min(3u, left - 1u)]));
    return select(vec4<f32>(), x, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(left));
}
//#end
//#slot v_rows
fn v_four(n: u32, row: u32, h: u32, c: u32) -> vec4<f32> {
    let at = V_OFFSET + n * V_BATCH + row * V_ROW + h * V_HEAD + 4u * c;
    if (D % 4u == 0u) { return vec4<f32>(vec4<T10>(v[at], v[at + 1u], v[at + 2u], v[at + 3u])); }
    let left = D - 4u * c;
    let x = vec4<f32>(vec4<T10>(v[at], v[at + min(1u, left - 1u)], v[at + min(2u, left - 1u)], v[at + min(3u, left - 1u)]));
    return select(vec4<f32>(), x, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(left));
}
//#end
//#slot dout_rows
fn dout_four(n: u32, row: u32, h: u32, c: u32) -> vec4<f32> {
    let at = ((n * TQ + row) * HEADS + h) * D + 4u * c;
    if (D % 4u == 0u) { return vec4<f32>(vec4<T11>(dout[at], dout[at + 1u], dout[at + 2u], dout[at + 3u])); }
    let left = D - 4u * c;
    let x = vec4<f32>(vec4<T11>(dout[at], dout[at + min(1u, left - 1u)], dout[at + min(2u, left - 1u)], dout[at + min(3u, left - 1u)]));
    return select(vec4<f32>(), x, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(left));
}
//#end
fn store_four(at: u32, c: u32, x: vec4<f32>) {
    out[at + 4u * c] = T6(x.x);
    if (4u * c + 1u < D) { out[at + 4u * c + 1u] = T6(x.y); }
    if (4u * c + 2u < D) { out[at + 4u * c + 2u] = T6(x.z); }
    if (4u * c + 3u < D) { out[at + 4u * c + 3u] = T6(x.w); }
}

// One past the last key that rows up to this one look at.
fn last_key(row: u32) -> u32 { return select(TK, min(TK, row + 1u), CAUSAL); }
// The first row, of eight, that looks at keys from this one on.
fn first_row(col: u32) -> u32 { return select(0u, col, CAUSAL); }

fn inside(row: u32, col: u32) -> bool { return row < TQ && col < TK && (!CAUSAL || col <= row); }
// The score of a pair, below every other where the row may not look. A mask may be minus infinity.
fn score(s: f32, n: u32, h: u32, row: u32, col: u32) -> f32 {
    let masked = s + mask(n, h, min(row, TQ - 1u), min(col, TK - 1u));
    return select(1.1 * lowest(), masked, inside(row, col));
}
// Of one row against keys col to col + 3.
fn scores(s: vec4<f32>, n: u32, h: u32, row: u32, col: u32) -> vec4<f32> {
    return vec4<f32>(
        score(s.x, n, h, row, col), score(s.y, n, h, row, col + 1u),
        score(s.z, n, h, row, col + 2u), score(s.w, n, h, row, col + 3u),
    );
}
// Of rows row to row + 3 against one key.
fn scores_of(s: vec4<f32>, n: u32, h: u32, row: u32, col: u32) -> vec4<f32> {
    return vec4<f32>(
        score(s.x, n, h, row, col), score(s.y, n, h, row + 1u, col),
        score(s.z, n, h, row + 2u, col), score(s.w, n, h, row + 3u, col),
    );
}
// Past the edges the weight is 0, but what lies there may be no number.
fn keep_at(n: u32, h: u32, row: u32, col: u32) -> f32 { return keep(n, h, min(row, TQ - 1u), min(col, TK - 1u)); }
fn keeps(n: u32, h: u32, row: u32, col: u32) -> vec4<f32> {
    return vec4<f32>(keep_at(n, h, row, col), keep_at(n, h, row, col + 1u), keep_at(n, h, row, col + 2u), keep_at(n, h, row, col + 3u));
}
fn keeps_of(n: u32, h: u32, row: u32, col: u32) -> vec4<f32> {
    return vec4<f32>(keep_at(n, h, row, col), keep_at(n, h, row + 1u, col), keep_at(n, h, row + 2u, col), keep_at(n, h, row + 3u, col));
}
fn exps(s: vec4<f32>) -> vec4<f32> { return vec4<f32>(exp_(s.x), exp_(s.y), exp_(s.z), exp_(s.w)); }
fn total(x: vec4<f32>) -> f32 { return (x.x + x.y) + (x.z + x.w); }
// 1/x, and 0 for a row that looks at nothing.
fn reciprocal(x: f32) -> f32 { return select(1.0 / x, 0.0, x == 0.0); }

// The softmax of a row as the forward kernel left it, and the sum of dout out over D.
struct RowStats { most: f32, by: f32, delta: f32 }
fn row_stats(n: u32, row: u32, h: u32) -> RowStats {
    let at = (n * TQ + row) * HEADS + h;
    let size = BATCH * TQ * HEADS;
    return RowStats(stats[at], stats[size + at], delta_of(n, row, h));
}
//#slot delta
fn delta_of(n: u32, row: u32, h: u32) -> f32 { return stats[(2u * BATCH * TQ + n * TQ + row) * HEADS + h]; }
//#end
