// Matrix product for CPU adapters, any strides: out[z] = epilogue(A[z] B[z]), [M, K] by [K, N].
// A workgroup is one subgroup of eight lanes and makes 16 rows by 8 columns: each lane loads two rows of A and
// its column of B, and the rows are passed between lanes by broadcast. No workgroup memory, no barriers.
// Grid: x over columns by 8, y over rows by 16, z over batch and parts of K.
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

// Lanes 0 to 3, and 4 to 7, of a value.
fn low(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u));
}
fn high(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupBroadcast(v, 4u), subgroupBroadcast(v, 5u), subgroupBroadcast(v, 6u), subgroupBroadcast(v, 7u));
}

@compute @workgroup_size(8)
fn matmul_subgroup_any(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * 16u;
    let col = group.x * 8u + lane;
    let batch = group.z % BATCHES;
    let start = (group.z / BATCHES) * CHUNK;
    let length = min(K - start, CHUNK);
    var p = A_OFFSET + batch * A_BATCH + min(row + lane, M - 1u) * A_ROW + start * A_COL;
    var q = A_OFFSET + batch * A_BATCH + min(row + 8u + lane, M - 1u) * A_ROW + start * A_COL;
    var s = B_OFFSET + batch * B_BATCH + min(col, N - 1u) * B_COL + start * B_ROW;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var sum0 = 0.0;
    var sum1 = 0.0;
    for (var k = 0u; k < length / 4u; k++) {
        let p0 = f32(a[p]);
        let q0 = f32(a[q]);
        let b0 = f32(b[s]);
        let p1 = f32(a[p + A_COL]);
        let q1 = f32(a[q + A_COL]);
        let b1 = f32(b[s + B_ROW]);
        let p2 = f32(a[p + 2u * A_COL]);
        let q2 = f32(a[q + 2u * A_COL]);
        let b2 = f32(b[s + 2u * B_ROW]);
        let p3 = f32(a[p + 3u * A_COL]);
        let q3 = f32(a[q + 3u * A_COL]);
        let b3 = f32(b[s + 3u * B_ROW]);
        c0 += low(p0) * b0;
        c1 += high(p0) * b0;
        c2 += low(q0) * b0;
        c3 += high(q0) * b0;
        c0 += low(p1) * b1;
        c1 += high(p1) * b1;
        c2 += low(q1) * b1;
        c3 += high(q1) * b1;
        c0 += low(p2) * b2;
        c1 += high(p2) * b2;
        c2 += low(q2) * b2;
        c3 += high(q2) * b2;
        c0 += low(p3) * b3;
        c1 += high(p3) * b3;
        c2 += low(q3) * b3;
        c3 += high(q3) * b3;
        if (ROW_SUM) {
            sum0 += (p0 + p1) + (p2 + p3);
            sum1 += (q0 + q1) + (q2 + q3);
        }
        p += 4u * A_COL;
        q += 4u * A_COL;
        s += 4u * B_ROW;
    }
    for (var k = 0u; k < length % 4u; k++) {
        let p0 = f32(a[p]);
        let q0 = f32(a[q]);
        let b0 = f32(b[s]);
        c0 += low(p0) * b0;
        c1 += high(p0) * b0;
        c2 += low(q0) * b0;
        c3 += high(q0) * b0;
        if (ROW_SUM) {
            sum0 += p0;
            sum1 += q0;
        }
        p += A_COL;
        q += A_COL;
        s += B_ROW;
    }
    store(group.z, row + 0u, col, c0.x);
    store(group.z, row + 1u, col, c0.y);
    store(group.z, row + 2u, col, c0.z);
    store(group.z, row + 3u, col, c0.w);
    store(group.z, row + 4u, col, c1.x);
    store(group.z, row + 5u, col, c1.y);
    store(group.z, row + 6u, col, c1.z);
    store(group.z, row + 7u, col, c1.w);
    store(group.z, row + 8u, col, c2.x);
    store(group.z, row + 9u, col, c2.y);
    store(group.z, row + 10u, col, c2.z);
    store(group.z, row + 11u, col, c2.w);
    store(group.z, row + 12u, col, c3.x);
    store(group.z, row + 13u, col, c3.y);
    store(group.z, row + 14u, col, c3.z);
    store(group.z, row + 15u, col, c3.w);
    if (ROW_SUM && group.x == 0u) {
        store_row_sum(row + lane, sum0);
        store_row_sum(row + 8u + lane, sum1);
    }
}
