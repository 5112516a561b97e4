// Matrix product for CPU adapters, operands by strides or through views (convolutions):
// out[z] = epilogue(A[z] B[z]), [M, K] by [K, N].
// A workgroup is one subgroup of eight lanes and makes ROWS (8 or 16) rows by 32 columns, four a lane: each lane loads
// a row or two of A and its columns of B, and the rows are passed between lanes by broadcast.
// Grid: x over columns by 32, y over rows by ROWS, z over batch and parts of K.
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
@group(0) @binding(8) var<storage, read> a: array<T8>;
@group(0) @binding(9) var<storage, read> b: array<T9>;

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

//#slot a_map
alias ALine = u32;
alias AStep = u32;
fn a_line(z: u32, i: u32) -> ALine { return A_OFFSET + z * A_BATCH + i * A_ROW; }
fn a_step(k: u32) -> AStep { return k * A_COL; }
fn a_number(line: ALine, step: AStep) -> f32 { return f32(a[line + step]); }
//#end

//#slot b_map
alias BLine = u32;
alias BStep = u32;
fn b_line(z: u32, i: u32) -> BLine { return B_OFFSET + z * B_BATCH + i * B_COL; }
fn b_step(k: u32) -> BStep { return k * B_ROW; }
fn b_number(line: BLine, step: BStep) -> f32 { return f32(b[line + step]); }
//#end

override ROWS: u32 = 16u;

// c + a0 b0 + a1 b1, in this order: one row for two of K.
fn twos(c: vec4<f32>, a0: f32, a1: f32, b0: vec4<f32>, b1: vec4<f32>) -> vec4<f32> {
    return (c + a0 * b0) + a1 * b1;
}

fn store4(z: u32, row: u32, col: u32, v: vec4<f32>) {
    store(z, row, col, v.x);
    store(z, row, col + 8u, v.y);
    store(z, row, col + 16u, v.z);
    store(z, row, col + 24u, v.w);
}

@compute @workgroup_size(8)
fn matmul_subgroup_map(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * ROWS;
    let col = group.x * 32u + lane; // and 8, 16, 24 further
    let batch = group.z % BATCHES;
    let start = (group.z / BATCHES) * CHUNK;
    let length = min(K - start, CHUNK);
    let p = a_line(batch, min(row + lane, M - 1u));
    let q = a_line(batch, min(row + 8u + lane, M - 1u));
    let s0 = b_line(batch, min(col, N - 1u));
    let s1 = b_line(batch, min(col + 8u, N - 1u));
    let s2 = b_line(batch, min(col + 16u, N - 1u));
    let s3 = b_line(batch, min(col + 24u, N - 1u));
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
    var sum0 = 0.0;
    var sum1 = 0.0;
    for (var k = start; k + 1u < start + length; k += 2u) {
        let j0 = b_step(k);
        let j1 = b_step(k + 1u);
        let b0 = vec4<f32>(b_number(s0, j0), b_number(s1, j0), b_number(s2, j0), b_number(s3, j0));
        let b1 = vec4<f32>(b_number(s0, j1), b_number(s1, j1), b_number(s2, j1), b_number(s3, j1));
        let i0 = a_step(k);
        let i1 = a_step(k + 1u);
        let u0 = a_number(p, i0);
        let u1 = a_number(p, i1);
        c0 = twos(c0, subgroupBroadcast(u0, 0u), subgroupBroadcast(u1, 0u), b0, b1);
        c1 = twos(c1, subgroupBroadcast(u0, 1u), subgroupBroadcast(u1, 1u), b0, b1);
        c2 = twos(c2, subgroupBroadcast(u0, 2u), subgroupBroadcast(u1, 2u), b0, b1);
        c3 = twos(c3, subgroupBroadcast(u0, 3u), subgroupBroadcast(u1, 3u), b0, b1);
        c4 = twos(c4, subgroupBroadcast(u0, 4u), subgroupBroadcast(u1, 4u), b0, b1);
        c5 = twos(c5, subgroupBroadcast(u0, 5u), subgroupBroadcast(u1, 5u), b0, b1);
        c6 = twos(c6, subgroupBroadcast(u0, 6u), subgroupBroadcast(u1, 6u), b0, b1);
        c7 = twos(c7, subgroupBroadcast(u0, 7u), subgroupBroadcast(u1, 7u), b0, b1);
        if (ROW_SUM) { sum0 += u0 + u1; }
        if (ROWS == 16u) {
            let v0 = a_number(q, i0);
            let v1 = a_number(q, i1);
            c8 = twos(c8, subgroupBroadcast(v0, 0u), subgroupBroadcast(v1, 0u), b0, b1);
            c9 = twos(c9, subgroupBroadcast(v0, 1u), subgroupBroadcast(v1, 1u), b0, b1);
            c10 = twos(c10, subgroupBroadcast(v0, 2u), subgroupBroadcast(v1, 2u), b0, b1);
            c11 = twos(c11, subgroupBroadcast(v0, 3u), subgroupBroadcast(v1, 3u), b0, b1);
            c12 = twos(c12, subgroupBroadcast(v0, 4u), subgroupBroadcast(v1, 4u), b0, b1);
            c13 = twos(c13, subgroupBroadcast(v0, 5u), subgroupBroadcast(v1, 5u), b0, b1);
            c14 = twos(c14, subgroupBroadcast(v0, 6u), subgroupBroadcast(v1, 6u), b0, b1);
            c15 = twos(c15, subgroupBroadcast(v0, 7u), subgroupBroadcast(v1, 7u), b0, b1);
            if (ROW_SUM) { sum1 += v0 + v1; }
        }
    }
    if (length % 2u == 1u) {
        let k = start + length - 1u;
        let j = b_step(k);
        let b0 = vec4<f32>(b_number(s0, j), b_number(s1, j), b_number(s2, j), b_number(s3, j));
        let u = a_number(p, a_step(k));
        c0 += subgroupBroadcast(u, 0u) * b0;
        c1 += subgroupBroadcast(u, 1u) * b0;
        c2 += subgroupBroadcast(u, 2u) * b0;
        c3 += subgroupBroadcast(u, 3u) * b0;
        c4 += subgroupBroadcast(u, 4u) * b0;
        c5 += subgroupBroadcast(u, 5u) * b0;
        c6 += subgroupBroadcast(u, 6u) * b0;
        c7 += subgroupBroadcast(u, 7u) * b0;
        if (ROW_SUM) { sum0 += u; }
        if (ROWS == 16u) {
            let v = a_number(q, a_step(k));
            c8 += subgroupBroadcast(v, 0u) * b0;
            c9 += subgroupBroadcast(v, 1u) * b0;
            c10 += subgroupBroadcast(v, 2u) * b0;
            c11 += subgroupBroadcast(v, 3u) * b0;
            c12 += subgroupBroadcast(v, 4u) * b0;
            c13 += subgroupBroadcast(v, 5u) * b0;
            c14 += subgroupBroadcast(v, 6u) * b0;
            c15 += subgroupBroadcast(v, 7u) * b0;
            if (ROW_SUM) { sum1 += v; }
        }
    }
    // A row at a time: a loop, for a driver takes longer over each store's text than over its execution.
    for (var r = row; r < min(row + ROWS, M); r++) {
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
        store_row_sum(row + lane, sum0);
        if (ROWS == 16u) { store_row_sum(row + 8u + lane, sum1); }
    }
}
