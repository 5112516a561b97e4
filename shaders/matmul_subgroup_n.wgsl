// Matrix product for CPU adapters where B is contiguous along N (the two products of a backward pass):
// out[z] = T6(epilogue(A[z] B[z])); N and the strides of B multiples of 4.
// A is read as vec4s along K (A_COLS false: dX = dY W) or along M (A_COLS true: dW = dY' X), where K, its strides,
// and along M also M are multiples of 4; or as single numbers with any strides.
// A workgroup is one subgroup of eight lanes and makes 16 rows by 32 columns, four adjacent columns a lane. Two
// vec4 loads a lane bring 16 rows of A by 4 of K, passed between lanes by broadcast.
// Grid: x over columns by 32, y over rows by 16, z over batch and parts of K.
// Optionally the sum of each row of A, by the workgroups of the first columns.

//#slot types
alias T0 = f32; alias T1 = f32; alias T2 = f32; alias T3 = f32; alias T4 = f32;
alias T6 = f32; alias T7 = f32; alias T8 = f32; alias T9 = f32;
//#end
@group(0) @binding(0) var<storage, read> in0: array<T0>;
@group(0) @binding(1) var<storage, read> in1: array<T1>;
@group(0) @binding(2) var<storage, read> in2: array<T2>;
@group(0) @binding(3) var<storage, read> in3: array<T3>;
@group(0) @binding(6) var<storage, read_write> out: array<T6>;
@group(0) @binding(7) var<storage, read_write> out2: array<T7>;
@group(0) @binding(8) var<storage, read> a: array<AUnit>;
@group(0) @binding(9) var<storage, read> b: array<vec4<T9>>;

override M: u32;
override N: u32;
override K: u32;
override BATCHES: u32 = 1u; // products; z counts them for each part of K, whose results are partial
override CHUNK: u32;       // K of a part
override A_OFFSET: u32 = 0u;
override A_ROW: u32;       // strides in elements
override A_COL: u32;
override A_BATCH: u32 = 0u;
override B_OFFSET: u32 = 0u;
override B_ROW: u32;
override B_COL: u32;
override B_BATCH: u32 = 0u;
override ROW_SUM: bool = false;

//#import math
//#import random

//#slot epilogue
fn epilogue(acc: f32, batch: u32, row: u32, col: u32) -> f32 { return acc; }
//#end

//#slot row_sum
fn store_row_sum(row: u32, sum: f32) {}
//#end

fn store(z: u32, row: u32, col: u32, acc: f32) {
    if (row < M && col < N) {
        out[(z * M + row) * N + col] = T6(epilogue(acc, z, row, col));
    }
}
override A_COLS: bool = false;

// Lanes 0 to 3, and 4 to 7, of a value.
fn low(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u));
}
fn high(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupBroadcast(v, 4u), subgroupBroadcast(v, 5u), subgroupBroadcast(v, 6u), subgroupBroadcast(v, 7u));
}

//#slot a_unit
alias AUnit = vec4<T8>;
const A_WIDTH = 4u;
// Four of A from p on, and one of them (which only the numbers one by one need).
fn a_four(p: u32) -> vec4<f32> { return vec4<f32>(a[p]); }
fn a_one(p: u32) -> f32 { return f32(a[p].x); }
//#end

// c + a0 b0 + a1 b1 + a2 b2 + a3 b3, in this order: one row for four of K, while its sums are in registers.
fn fours(c: vec4<f32>, a0: f32, a1: f32, a2: f32, a3: f32, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>) -> vec4<f32> {
    return (((c + a0 * b0) + a1 * b1) + a2 * b2) + a3 * b3;
}

fn store4(z: u32, row: u32, col: u32, v: vec4<f32>) {
    var next = v;
    for (var c = col; c < min(col + 4u, N); c++) {
        store(z, row, c, next.x);
        next = next.yzwx;
    }
}

@compute @workgroup_size(8)
fn matmul_subgroup_n(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * 16u;
    let col = group.x * 32u + 4u * lane;
    let batch = group.z % BATCHES;
    let start = (group.z / BATCHES) * CHUNK;
    let length = min(K - start, CHUNK);
    // Along K: lane l holds rows l and l + 8. Along M: lane l holds rows 4 (l % 4) to 4 (l % 4) + 3, of k = l / 4
    // and of k = l / 4 + 2.
    var p = A_OFFSET + batch * A_BATCH;
    var q = p;
    var step = A_COL * 4u / A_WIDTH;
    if (A_COLS) {
        p += min(row + 4u * (lane % 4u), M - 4u) + (start + lane / 4u) * A_COL;
        q = p + 2u * A_COL;
        step = A_COL;
    } else {
        p += min(row + lane, M - 1u) * A_ROW + start * A_COL;
        q += min(row + 8u + lane, M - 1u) * A_ROW + start * A_COL;
    }
    p /= A_WIDTH;
    q /= A_WIDTH;
    var s = (B_OFFSET + batch * B_BATCH + min(col, N - 4u) + start * B_ROW) / 4u;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var c4 = vec4<f32>();
    var c5 = vec4<f32>();
    var c6 = vec4<f32>();
    var c7 = vec4<f32>();
    var c8 = vec4<f32>();
    var c9 = vec4<f32>();
    var c10 = vec4<f32>();
    var c11 = vec4<f32>();
    var c12 = vec4<f32>();
    var c13 = vec4<f32>();
    var c14 = vec4<f32>();
    var c15 = vec4<f32>();
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    for (var k = 0u; k < length / 4u; k++) {
        let u = a_four(p);
        let v = a_four(q);
        let b0 = vec4<f32>(b[s]);
        let b1 = vec4<f32>(b[s + B_ROW / 4u]);
        let b2 = vec4<f32>(b[s + 2u * (B_ROW / 4u)]);
        let b3 = vec4<f32>(b[s + 3u * (B_ROW / 4u)]);
        if (A_COLS) {
            c0 = fours(c0, subgroupBroadcast(u.x, 0u), subgroupBroadcast(u.x, 4u), subgroupBroadcast(v.x, 0u), subgroupBroadcast(v.x, 4u), b0, b1, b2, b3);
            c1 = fours(c1, subgroupBroadcast(u.y, 0u), subgroupBroadcast(u.y, 4u), subgroupBroadcast(v.y, 0u), subgroupBroadcast(v.y, 4u), b0, b1, b2, b3);
            c2 = fours(c2, subgroupBroadcast(u.z, 0u), subgroupBroadcast(u.z, 4u), subgroupBroadcast(v.z, 0u), subgroupBroadcast(v.z, 4u), b0, b1, b2, b3);
            c3 = fours(c3, subgroupBroadcast(u.w, 0u), subgroupBroadcast(u.w, 4u), subgroupBroadcast(v.w, 0u), subgroupBroadcast(v.w, 4u), b0, b1, b2, b3);
            c4 = fours(c4, subgroupBroadcast(u.x, 1u), subgroupBroadcast(u.x, 5u), subgroupBroadcast(v.x, 1u), subgroupBroadcast(v.x, 5u), b0, b1, b2, b3);
            c5 = fours(c5, subgroupBroadcast(u.y, 1u), subgroupBroadcast(u.y, 5u), subgroupBroadcast(v.y, 1u), subgroupBroadcast(v.y, 5u), b0, b1, b2, b3);
            c6 = fours(c6, subgroupBroadcast(u.z, 1u), subgroupBroadcast(u.z, 5u), subgroupBroadcast(v.z, 1u), subgroupBroadcast(v.z, 5u), b0, b1, b2, b3);
            c7 = fours(c7, subgroupBroadcast(u.w, 1u), subgroupBroadcast(u.w, 5u), subgroupBroadcast(v.w, 1u), subgroupBroadcast(v.w, 5u), b0, b1, b2, b3);
            c8 = fours(c8, subgroupBroadcast(u.x, 2u), subgroupBroadcast(u.x, 6u), subgroupBroadcast(v.x, 2u), subgroupBroadcast(v.x, 6u), b0, b1, b2, b3);
            c9 = fours(c9, subgroupBroadcast(u.y, 2u), subgroupBroadcast(u.y, 6u), subgroupBroadcast(v.y, 2u), subgroupBroadcast(v.y, 6u), b0, b1, b2, b3);
            c10 = fours(c10, subgroupBroadcast(u.z, 2u), subgroupBroadcast(u.z, 6u), subgroupBroadcast(v.z, 2u), subgroupBroadcast(v.z, 6u), b0, b1, b2, b3);
            c11 = fours(c11, subgroupBroadcast(u.w, 2u), subgroupBroadcast(u.w, 6u), subgroupBroadcast(v.w, 2u), subgroupBroadcast(v.w, 6u), b0, b1, b2, b3);
            c12 = fours(c12, subgroupBroadcast(u.x, 3u), subgroupBroadcast(u.x, 7u), subgroupBroadcast(v.x, 3u), subgroupBroadcast(v.x, 7u), b0, b1, b2, b3);
            c13 = fours(c13, subgroupBroadcast(u.y, 3u), subgroupBroadcast(u.y, 7u), subgroupBroadcast(v.y, 3u), subgroupBroadcast(v.y, 7u), b0, b1, b2, b3);
            c14 = fours(c14, subgroupBroadcast(u.z, 3u), subgroupBroadcast(u.z, 7u), subgroupBroadcast(v.z, 3u), subgroupBroadcast(v.z, 7u), b0, b1, b2, b3);
            c15 = fours(c15, subgroupBroadcast(u.w, 3u), subgroupBroadcast(u.w, 7u), subgroupBroadcast(v.w, 3u), subgroupBroadcast(v.w, 7u), b0, b1, b2, b3);
        } else {
            c0 = fours(c0, subgroupBroadcast(u.x, 0u), subgroupBroadcast(u.y, 0u), subgroupBroadcast(u.z, 0u), subgroupBroadcast(u.w, 0u), b0, b1, b2, b3);
            c1 = fours(c1, subgroupBroadcast(u.x, 1u), subgroupBroadcast(u.y, 1u), subgroupBroadcast(u.z, 1u), subgroupBroadcast(u.w, 1u), b0, b1, b2, b3);
            c2 = fours(c2, subgroupBroadcast(u.x, 2u), subgroupBroadcast(u.y, 2u), subgroupBroadcast(u.z, 2u), subgroupBroadcast(u.w, 2u), b0, b1, b2, b3);
            c3 = fours(c3, subgroupBroadcast(u.x, 3u), subgroupBroadcast(u.y, 3u), subgroupBroadcast(u.z, 3u), subgroupBroadcast(u.w, 3u), b0, b1, b2, b3);
            c4 = fours(c4, subgroupBroadcast(u.x, 4u), subgroupBroadcast(u.y, 4u), subgroupBroadcast(u.z, 4u), subgroupBroadcast(u.w, 4u), b0, b1, b2, b3);
            c5 = fours(c5, subgroupBroadcast(u.x, 5u), subgroupBroadcast(u.y, 5u), subgroupBroadcast(u.z, 5u), subgroupBroadcast(u.w, 5u), b0, b1, b2, b3);
            c6 = fours(c6, subgroupBroadcast(u.x, 6u), subgroupBroadcast(u.y, 6u), subgroupBroadcast(u.z, 6u), subgroupBroadcast(u.w, 6u), b0, b1, b2, b3);
            c7 = fours(c7, subgroupBroadcast(u.x, 7u), subgroupBroadcast(u.y, 7u), subgroupBroadcast(u.z, 7u), subgroupBroadcast(u.w, 7u), b0, b1, b2, b3);
            c8 = fours(c8, subgroupBroadcast(v.x, 0u), subgroupBroadcast(v.y, 0u), subgroupBroadcast(v.z, 0u), subgroupBroadcast(v.w, 0u), b0, b1, b2, b3);
            c9 = fours(c9, subgroupBroadcast(v.x, 1u), subgroupBroadcast(v.y, 1u), subgroupBroadcast(v.z, 1u), subgroupBroadcast(v.w, 1u), b0, b1, b2, b3);
            c10 = fours(c10, subgroupBroadcast(v.x, 2u), subgroupBroadcast(v.y, 2u), subgroupBroadcast(v.z, 2u), subgroupBroadcast(v.w, 2u), b0, b1, b2, b3);
            c11 = fours(c11, subgroupBroadcast(v.x, 3u), subgroupBroadcast(v.y, 3u), subgroupBroadcast(v.z, 3u), subgroupBroadcast(v.w, 3u), b0, b1, b2, b3);
            c12 = fours(c12, subgroupBroadcast(v.x, 4u), subgroupBroadcast(v.y, 4u), subgroupBroadcast(v.z, 4u), subgroupBroadcast(v.w, 4u), b0, b1, b2, b3);
            c13 = fours(c13, subgroupBroadcast(v.x, 5u), subgroupBroadcast(v.y, 5u), subgroupBroadcast(v.z, 5u), subgroupBroadcast(v.w, 5u), b0, b1, b2, b3);
            c14 = fours(c14, subgroupBroadcast(v.x, 6u), subgroupBroadcast(v.y, 6u), subgroupBroadcast(v.z, 6u), subgroupBroadcast(v.w, 6u), b0, b1, b2, b3);
            c15 = fours(c15, subgroupBroadcast(v.x, 7u), subgroupBroadcast(v.y, 7u), subgroupBroadcast(v.z, 7u), subgroupBroadcast(v.w, 7u), b0, b1, b2, b3);
        }
        if (ROW_SUM) {
            sum0 += u;
            sum1 += v;
        }
        p += step;
        q += step;
        s += B_ROW;
    }
    for (var k = 0u; k < length % 4u; k++) {
        let u = a_one(p);
        let v = a_one(q);
        let b0 = vec4<f32>(b[s]);
        let r0 = low(u);
        let r4 = high(u);
        let r8 = low(v);
        let r12 = high(v);
        c0 += r0.x * b0;
        c1 += r0.y * b0;
        c2 += r0.z * b0;
        c3 += r0.w * b0;
        c4 += r4.x * b0;
        c5 += r4.y * b0;
        c6 += r4.z * b0;
        c7 += r4.w * b0;
        c8 += r8.x * b0;
        c9 += r8.y * b0;
        c10 += r8.z * b0;
        c11 += r8.w * b0;
        c12 += r12.x * b0;
        c13 += r12.y * b0;
        c14 += r12.z * b0;
        c15 += r12.w * b0;
        if (ROW_SUM) {
            sum0.x += u;
            sum1.x += v;
        }
        p += A_COL;
        q += A_COL;
        s += B_ROW / 4u;
    }
    // A row at a time: a loop, for a driver takes longer over each store's text than over its execution.
    for (var r = row; r < min(row + 16u, M); r++) {
        store4(group.z, r, col, c0);
        c0 = c1;
        c1 = c2;
        c2 = c3;
        c3 = c4;
        c4 = c5;
        c5 = c6;
        c6 = c7;
        c7 = c8;
        c8 = c9;
        c9 = c10;
        c10 = c11;
        c11 = c12;
        c12 = c13;
        c13 = c14;
        c14 = c15;
    }
    if (ROW_SUM && group.x == 0u) {
        if (A_COLS) {
            // Lanes l and l + 4 hold the same rows for different k.
            let sum = sum0 + sum1;
            let g0 = subgroupBroadcast(sum, 0u) + subgroupBroadcast(sum, 4u);
            let g1 = subgroupBroadcast(sum, 1u) + subgroupBroadcast(sum, 5u);
            let g2 = subgroupBroadcast(sum, 2u) + subgroupBroadcast(sum, 6u);
            let g3 = subgroupBroadcast(sum, 3u) + subgroupBroadcast(sum, 7u);
            let near = select(g0, g1, lane >= 4u);
            let far = select(g2, g3, lane >= 4u);
            let i = lane % 4u;
            store_row_sum(row + lane, select(select(near.x, near.y, i == 1u), select(near.z, near.w, i == 3u), i >= 2u));
            store_row_sum(row + 8u + lane, select(select(far.x, far.y, i == 1u), select(far.z, far.w, i == 3u), i >= 2u));
        } else {
            store_row_sum(row + lane, (sum0.x + sum0.y) + (sum0.z + sum0.w));
            store_row_sum(row + 8u + lane, (sum1.x + sum1.y) + (sum1.z + sum1.w));
        }
    }
}
