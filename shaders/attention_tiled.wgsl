// Attention for GPUs: out = softmax(scale q k' + mask) v, one head at a time, without the matrix of weights ever in
// memory (Dao et al. 2022). q, k, v are [n, t, heads, D] by strides, out is [n, TQ, HEADS, D].
// A workgroup of 32 has a row of its own each, and tiles of 8 rows of the other side in workgroup memory.
// Grid: x over rows by 32, y over heads, z over the batch.
//
// forward: rows of q; also of each row the largest score and 1 / the sum of the exponentials, [2, n, TQ, HEADS].
// grad_q: rows of q. With p = exp(s - most) by, dp = (dout v') keep, ds = p (dp - delta): dq = scale ds k.
// grad_kv: rows of k and v: dk = scale ds' q, dv = (p keep)' dout, one after the other in out.
// stats holds most and by of the forward kernel, then delta = sum of dout out over D, each [n, TQ, HEADS].
// grad: both in one dispatch. The first Q_GROUPS workgroups along x have rows of q, the others rows of k and v; delta is
// computed from the output of the forward kernel.

//#slot types
alias T0 = f32; alias T1 = f32; alias T2 = f32; alias T3 = f32; alias T4 = f32;
alias T6 = f32; alias T7 = f32; alias T8 = f32; alias T9 = f32; alias T10 = f32; alias T11 = f32; alias T13 = f32;
//#end
//#slot units
alias U8 = T8; alias U9 = T9; alias U10 = T10; alias U11 = T11; alias U13 = T13;
//#end
@group(0) @binding(0) var<storage, read> in0: array<T0>;
@group(0) @binding(1) var<storage, read> in1: array<T1>;
@group(0) @binding(2) var<storage, read> in2: array<T2>;
@group(0) @binding(3) var<storage, read> in3: array<T3>;
@group(0) @binding(4) var<storage, read> in4: array<T4>;
@group(0) @binding(6) var<storage, read_write> out: array<T6>;
@group(0) @binding(7) var<storage, read_write> out2: array<T7>;
@group(0) @binding(8) var<storage, read> q: array<U8>;
@group(0) @binding(9) var<storage, read> k: array<U9>;
@group(0) @binding(10) var<storage, read> v: array<U10>;
@group(0) @binding(11) var<storage, read> dout: array<U11>;
@group(0) @binding(12) var<storage, read> stats: array<f32>;
@group(0) @binding(13) var<storage, read> forward: array<U13>;

//#slot sizes
const D = 4u;
const D4 = 1u; // vec4s a row
//#end

override BATCH: u32;
override HEADS: u32;
override TQ: u32;
override TK: u32;
override Q_GROUPS: u32 = 0u;
override CAUSAL: bool = false;
override SCALE_BITS: u32;
override Q_OFFSET: u32; override Q_BATCH: u32; override Q_ROW: u32; override Q_HEAD: u32;
override K_OFFSET: u32; override K_BATCH: u32; override K_ROW: u32; override K_HEAD: u32;
override V_OFFSET: u32; override V_BATCH: u32; override V_ROW: u32; override V_HEAD: u32;

//#import math
//#import random

//#slot mask
fn mask(n: u32, h: u32, row: u32, col: u32) -> f32 { return 0.0; }
//#end

//#slot keep
fn keep(n: u32, h: u32, row: u32, col: u32) -> f32 { return 1.0; }
//#end

//#import attention

//#slot stats
fn store_stats(at: u32, most: f32, by: f32) {}
//#end

var<workgroup> first: array<vec4<f32>, 8u * D4>;  // 8 rows of k, or of q
var<workgroup> second: array<vec4<f32>, 8u * D4>; // 8 rows of v, or of dout
var<workgroup> softmaxes: array<RowStats, 8>;     // of 8 rows

// Rows 0 to 3, and 4 to 7, of a tile against a vec4 of one's own row.
fn low(x: vec4<f32>, c: u32) -> vec4<f32> {
    return vec4<f32>(dot(x, first[c]), dot(x, first[D4 + c]), dot(x, first[2u * D4 + c]), dot(x, first[3u * D4 + c]));
}
fn high(x: vec4<f32>, c: u32) -> vec4<f32> {
    return vec4<f32>(dot(x, first[4u * D4 + c]), dot(x, first[5u * D4 + c]), dot(x, first[6u * D4 + c]), dot(x, first[7u * D4 + c]));
}
fn low_second(x: vec4<f32>, c: u32) -> vec4<f32> {
    return vec4<f32>(dot(x, second[c]), dot(x, second[D4 + c]), dot(x, second[2u * D4 + c]), dot(x, second[3u * D4 + c]));
}
fn high_second(x: vec4<f32>, c: u32) -> vec4<f32> {
    return vec4<f32>(dot(x, second[4u * D4 + c]), dot(x, second[5u * D4 + c]), dot(x, second[6u * D4 + c]), dot(x, second[7u * D4 + c]));
}
// The sum of a tile's rows, weighted.
fn weighted(low: vec4<f32>, high: vec4<f32>, c: u32) -> vec4<f32> {
    let a = low.x * first[c] + low.y * first[D4 + c];
    let b = low.z * first[2u * D4 + c] + low.w * first[3u * D4 + c];
    let d = high.x * first[4u * D4 + c] + high.y * first[5u * D4 + c];
    let e = high.z * first[6u * D4 + c] + high.w * first[7u * D4 + c];
    return (a + b) + (d + e);
}
fn weighted_second(low: vec4<f32>, high: vec4<f32>, c: u32) -> vec4<f32> {
    let a = low.x * second[c] + low.y * second[D4 + c];
    let b = low.z * second[2u * D4 + c] + low.w * second[3u * D4 + c];
    let d = high.x * second[4u * D4 + c] + high.y * second[5u * D4 + c];
    let e = high.z * second[6u * D4 + c] + high.w * second[7u * D4 + c];
    return (a + b) + (d + e);
}
fn load_keys(n: u32, h: u32, col: u32, lane: u32) {
    workgroupBarrier();
    for (var i = lane; i < 8u * D4; i += 32u) {
        let row = min(col + i / D4, TK - 1u);
        first[i] = k_four(n, row, h, i % D4);
        second[i] = v_four(n, row, h, i % D4);
    }
    workgroupBarrier();
}
fn load_queries(n: u32, h: u32, row: u32, lane: u32) {
    workgroupBarrier();
    for (var i = lane; i < 8u * D4; i += 32u) {
        let at = min(row + i / D4, TQ - 1u);
        first[i] = q_four(n, at, h, i % D4);
        second[i] = dout_four(n, at, h, i % D4);
    }
    if (lane < 8u) {
        let at = min(row + lane, TQ - 1u);
        softmaxes[lane] = row_stats(n, at, h);
    }
    workgroupBarrier();
}

@compute @workgroup_size(32)
fn attention_tiled_forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group.z;
    let h = group.y;
    let row = group.x * 32u + lane;
    let at = min(row, TQ - 1u);
    var mine: array<vec4<f32>, D4>;
    var acc: array<vec4<f32>, D4>;
    for (var c = 0u; c < D4; c++) { mine[c] = q_four(n, at, h, c) * scale(); }
    var most = lowest();
    var sum = 0.0;
    let end = last_key(group.x * 32u + 31u);
    for (var col = 0u; col < end; col += 8u) {
        load_keys(n, h, col, lane);
        var s0 = vec4<f32>();
        var s1 = vec4<f32>();
        for (var c = 0u; c < D4; c++) {
            s0 += low(mine[c], c);
            s1 += high(mine[c], c);
        }
        s0 = scores(s0, n, h, row, col);
        s1 = scores(s1, n, h, row, col + 4u);
        let both = max(s0, s1);
        let next = max(most, max(max(both.x, both.y), max(both.z, both.w)));
        let shrink = exp_(most - next);
        s0 = exps(s0 - next);
        s1 = exps(s1 - next);
        sum = sum * shrink + total(s0 + s1);
        s0 *= keeps(n, h, row, col);
        s1 *= keeps(n, h, row, col + 4u);
        for (var c = 0u; c < D4; c++) {
            acc[c] = acc[c] * shrink + weighted_second(s0, s1, c);
        }
        most = next;
    }
    if (row >= TQ) { return; }
    let by = reciprocal(sum);
    for (var c = 0u; c < D4; c++) { store_four(((n * TQ + row) * HEADS + h) * D, c, acc[c] * by); }
    store_stats((n * TQ + row) * HEADS + h, most, by);
}

fn grad_q(group: vec3<u32>, lane: u32) {
    let n = group.z;
    let h = group.y;
    let row = group.x * 32u + lane;
    let at = min(row, TQ - 1u);
    var mine: array<vec4<f32>, D4>;
    var grad: array<vec4<f32>, D4>;
    var acc: array<vec4<f32>, D4>;
    for (var c = 0u; c < D4; c++) {
        mine[c] = q_four(n, at, h, c) * scale();
        grad[c] = dout_four(n, at, h, c);
    }
    let softmax = row_stats(n, at, h);
    let end = last_key(group.x * 32u + 31u);
    for (var col = 0u; col < end; col += 8u) {
        load_keys(n, h, col, lane);
        var s0 = vec4<f32>();
        var s1 = vec4<f32>();
        var d0 = vec4<f32>();
        var d1 = vec4<f32>();
        for (var c = 0u; c < D4; c++) {
            s0 += low(mine[c], c);
            s1 += high(mine[c], c);
            d0 += low_second(grad[c], c);
            d1 += high_second(grad[c], c);
        }
        let p0 = exps(scores(s0, n, h, row, col) - softmax.most) * softmax.by;
        let p1 = exps(scores(s1, n, h, row, col + 4u) - softmax.most) * softmax.by;
        s0 = p0 * (d0 * keeps(n, h, row, col) - softmax.delta);
        s1 = p1 * (d1 * keeps(n, h, row, col + 4u) - softmax.delta);
        for (var c = 0u; c < D4; c++) { acc[c] += weighted(s0, s1, c); }
    }
    if (row >= TQ) { return; }
    for (var c = 0u; c < D4; c++) { store_four(((n * TQ + row) * HEADS + h) * D, c, acc[c] * scale()); }
}

//#slot store_kv
fn store_kv(at: u32, c: u32, x: vec4<f32>) { store_four(at, c, x); }
//#end

fn grad_kv(group: vec3<u32>, lane: u32) {
    let n = group.z;
    let h = group.y;
    let col = group.x * 32u + lane;
    let at = min(col, TK - 1u);
    var key: array<vec4<f32>, D4>;
    var value: array<vec4<f32>, D4>;
    var dk: array<vec4<f32>, D4>;
    var dv: array<vec4<f32>, D4>;
    for (var c = 0u; c < D4; c++) {
        key[c] = k_four(n, at, h, c) * scale();
        value[c] = v_four(n, at, h, c);
    }
    for (var row = first_row(group.x * 32u); row < TQ; row += 8u) {
        load_queries(n, h, row, lane);
        var s0 = vec4<f32>();
        var s1 = vec4<f32>();
        var d0 = vec4<f32>();
        var d1 = vec4<f32>();
        for (var c = 0u; c < D4; c++) {
            s0 += low(key[c], c);
            s1 += high(key[c], c);
            d0 += low_second(value[c], c);
            d1 += high_second(value[c], c);
        }
        let most0 = vec4<f32>(softmaxes[0].most, softmaxes[1].most, softmaxes[2].most, softmaxes[3].most);
        let most1 = vec4<f32>(softmaxes[4].most, softmaxes[5].most, softmaxes[6].most, softmaxes[7].most);
        let by0 = vec4<f32>(softmaxes[0].by, softmaxes[1].by, softmaxes[2].by, softmaxes[3].by);
        let by1 = vec4<f32>(softmaxes[4].by, softmaxes[5].by, softmaxes[6].by, softmaxes[7].by);
        let delta0 = vec4<f32>(softmaxes[0].delta, softmaxes[1].delta, softmaxes[2].delta, softmaxes[3].delta);
        let delta1 = vec4<f32>(softmaxes[4].delta, softmaxes[5].delta, softmaxes[6].delta, softmaxes[7].delta);
        let p0 = exps(scores_of(s0, n, h, row, col) - most0) * by0;
        let p1 = exps(scores_of(s1, n, h, row + 4u, col) - most1) * by1;
        let k0 = keeps_of(n, h, row, col);
        let k1 = keeps_of(n, h, row + 4u, col);
        let ds0 = p0 * (d0 * k0 - delta0);
        let ds1 = p1 * (d1 * k1 - delta1);
        for (var c = 0u; c < D4; c++) {
            dk[c] += weighted(ds0, ds1, c);
            dv[c] += weighted_second(p0 * k0, p1 * k1, c);
        }
    }
    if (col >= TK) { return; }
    let place = ((n * TK + col) * HEADS + h) * D;
    for (var c = 0u; c < D4; c++) {
        store_kv(place, c, dk[c] * scale());
        store_kv(BATCH * TK * HEADS * D + place, c, dv[c]);
    }
}

@compute @workgroup_size(32)
fn attention_tiled_grad_q(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    grad_q(group, lane);
}

@compute @workgroup_size(32)
fn attention_tiled_grad_kv(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    grad_kv(group, lane);
}

@compute @workgroup_size(32)
fn attention_tiled_grad(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    if (group.x < Q_GROUPS) {
        grad_q(group, lane);
    } else {
        grad_kv(vec3<u32>(group.x - Q_GROUPS, group.y, group.z), lane);
    }
}
