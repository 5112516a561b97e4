// Matrix product for CPU adapters where both operands are contiguous along K (a forward pass: x by the weight
// [out, in] transposed): out[z] = epilogue(A[z] B[z]), K and the strides multiples of 4.
// A workgroup is one subgroup of eight lanes and makes 16 rows by 16 columns: each lane loads vec4s of two rows
// of A and of its two columns of B, and the rows are passed between lanes by broadcast.
// Grid: x over columns by 16, y over rows by 16, z over batch and parts of K.

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
@group(0) @binding(8) var<storage, read> a: array<vec4<T8>>;
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

// c + a0 b0 + a1 b1 + a2 b2 + a3 b3, in this order: one row for four of K, while its sums are in registers.
fn fours(c: vec2<f32>, a0: f32, a1: f32, a2: f32, a3: f32, b0: vec2<f32>, b1: vec2<f32>, b2: vec2<f32>, b3: vec2<f32>) -> vec2<f32> {
    return (((c + a0 * b0) + a1 * b1) + a2 * b2) + a3 * b3;
}

@compute @workgroup_size(8)
fn matmul_subgroup_nt(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * 16u;
    let col = group.x * 16u + lane;
    let batch = group.z % BATCHES;
    let start = (group.z / BATCHES) * CHUNK;
    let length = min(K - start, CHUNK);
    var p = (A_OFFSET + batch * A_BATCH + min(row + lane, M - 1u) * A_ROW + start) / 4u;
    var q = (A_OFFSET + batch * A_BATCH + min(row + 8u + lane, M - 1u) * A_ROW + start) / 4u;
    var s = (B_OFFSET + batch * B_BATCH + min(col, N - 1u) * B_COL + start) / 4u;
    var t = (B_OFFSET + batch * B_BATCH + min(col + 8u, N - 1u) * B_COL + start) / 4u;
    var c0 = vec2<f32>();
    var c1 = vec2<f32>();
    var c2 = vec2<f32>();
    var c3 = vec2<f32>();
    var c4 = vec2<f32>();
    var c5 = vec2<f32>();
    var c6 = vec2<f32>();
    var c7 = vec2<f32>();
    var c8 = vec2<f32>();
    var c9 = vec2<f32>();
    var c10 = vec2<f32>();
    var c11 = vec2<f32>();
    var c12 = vec2<f32>();
    var c13 = vec2<f32>();
    var c14 = vec2<f32>();
    var c15 = vec2<f32>();
    for (var k = 0u; k < length / 4u; k++) {
        let u = vec4<f32>(a[p]);
        let v = vec4<f32>(a[q]);
        let x = vec4<f32>(b[s]);
        let y = vec4<f32>(b[t]);
        let b0 = vec2<f32>(x.x, y.x);
        let b1 = vec2<f32>(x.y, y.y);
        let b2 = vec2<f32>(x.z, y.z);
        let b3 = vec2<f32>(x.w, y.w);
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
        p += 1u;
        q += 1u;
        s += 1u;
        t += 1u;
    }
    // A row at a time: a loop, for a driver takes longer over each store's text than over its execution.
    for (var r = row; r < min(row + 16u, M); r++) {
        store(group.z, r, col, c0.x);
        store(group.z, r, col + 8u, c0.y);
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
}
