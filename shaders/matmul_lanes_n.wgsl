// Matrix product for CPU adapters where B is contiguous along N (the two products of a backward pass):
// out[z] = epilogue(A[z] B[z]); K, N and the strides multiples of 4.
// A is contiguous along K (A_COLS false: dX = dY W) or along M (A_COLS true, M a multiple of 4: dW = dY' X).
// A workgroup is one subgroup of eight lanes and makes 8 rows by 32 columns, four adjacent columns a lane. One vec4
// load a lane brings 8 rows of A by 4 of K, passed between lanes by broadcast.
// Grid: x over columns by 32, y over rows by 8, z over batch and parts of K.
// Optionally the sum of each row of A, by the workgroups of the first columns (A_COLS only).

//#slot types
alias T0 = f32; alias T1 = f32; alias T2 = f32; alias T3 = f32; alias T4 = f32;
//#end
@group(0) @binding(0) var<storage, read> in0: array<T0>;
@group(0) @binding(1) var<storage, read> in1: array<T1>;
@group(0) @binding(2) var<storage, read> in2: array<T2>;
@group(0) @binding(3) var<storage, read> in3: array<T3>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<storage, read_write> out2: array<f32>;
@group(0) @binding(8) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read> b: array<vec4<f32>>;

override M: u32;
override N: u32;
override K: u32;
override SPLITS: u32 = 1u; // parts of K, each with a partial result of its own
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

//#slot epilogue
fn epilogue(acc: f32, batch: u32, row: u32, col: u32) -> f32 { return acc; }
//#end

//#slot row_sum
fn store_row_sum(row: u32, sum: f32) {}
//#end

fn store(z: u32, row: u32, col: u32, acc: f32) {
    if (row < M && col < N) {
        out[(z * M + row) * N + col] = epilogue(acc, z, row, col);
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

fn store4(z: u32, row: u32, col: u32, v: vec4<f32>) {
    store(z, row, col, v.x);
    store(z, row, col + 1u, v.y);
    store(z, row, col + 2u, v.z);
    store(z, row, col + 3u, v.w);
}

@compute @workgroup_size(8)
fn matmul_lanes_n(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * 8u;
    let col = group.x * 32u + 4u * lane;
    let batch = group.z / SPLITS;
    let start = (group.z % SPLITS) * CHUNK;
    let length = min(K - start, CHUNK);
    // Along K: lane l holds row l. Along M: lane l holds rows 4 (l % 2) to 4 (l % 2) + 3 of k = l / 2.
    var p = A_OFFSET + batch * A_BATCH;
    var step = 1u;
    if (A_COLS) {
        p += min(row + 4u * (lane % 2u), M - 4u) + (start + lane / 2u) * A_COL;
        step = A_COL;
    } else {
        p += min(row + lane, M - 1u) * A_ROW + start;
    }
    p /= 4u;
    var s = (B_OFFSET + batch * B_BATCH + min(col, N - 4u) + start * B_ROW) / 4u;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var c4 = vec4<f32>();
    var c5 = vec4<f32>();
    var c6 = vec4<f32>();
    var c7 = vec4<f32>();
    var sum = vec4<f32>();
    for (var k = 0u; k < length / 4u; k++) {
        let v = a[p];
        let b0 = b[s];
        let b1 = b[s + B_ROW / 4u];
        let b2 = b[s + 2u * (B_ROW / 4u)];
        let b3 = b[s + 3u * (B_ROW / 4u)];
        var lo0 = low(v.x);
        var hi0 = high(v.x);
        if (A_COLS) {
            lo0 = subgroupBroadcast(v, 0u);
            hi0 = subgroupBroadcast(v, 1u);
        }
        c0 += lo0.x * b0;
        c1 += lo0.y * b0;
        c2 += lo0.z * b0;
        c3 += lo0.w * b0;
        c4 += hi0.x * b0;
        c5 += hi0.y * b0;
        c6 += hi0.z * b0;
        c7 += hi0.w * b0;
        var lo1 = low(v.y);
        var hi1 = high(v.y);
        if (A_COLS) {
            lo1 = subgroupBroadcast(v, 2u);
            hi1 = subgroupBroadcast(v, 3u);
        }
        c0 += lo1.x * b1;
        c1 += lo1.y * b1;
        c2 += lo1.z * b1;
        c3 += lo1.w * b1;
        c4 += hi1.x * b1;
        c5 += hi1.y * b1;
        c6 += hi1.z * b1;
        c7 += hi1.w * b1;
        var lo2 = low(v.z);
        var hi2 = high(v.z);
        if (A_COLS) {
            lo2 = subgroupBroadcast(v, 4u);
            hi2 = subgroupBroadcast(v, 5u);
        }
        c0 += lo2.x * b2;
        c1 += lo2.y * b2;
        c2 += lo2.z * b2;
        c3 += lo2.w * b2;
        c4 += hi2.x * b2;
        c5 += hi2.y * b2;
        c6 += hi2.z * b2;
        c7 += hi2.w * b2;
        var lo3 = low(v.w);
        var hi3 = high(v.w);
        if (A_COLS) {
            lo3 = subgroupBroadcast(v, 6u);
            hi3 = subgroupBroadcast(v, 7u);
        }
        c0 += lo3.x * b3;
        c1 += lo3.y * b3;
        c2 += lo3.z * b3;
        c3 += lo3.w * b3;
        c4 += hi3.x * b3;
        c5 += hi3.y * b3;
        c6 += hi3.z * b3;
        c7 += hi3.w * b3;
        if (ROW_SUM) { sum += v; }
        p += step;
        s += B_ROW;
    }
    store4(group.z, row + 0u, col, c0);
    store4(group.z, row + 1u, col, c1);
    store4(group.z, row + 2u, col, c2);
    store4(group.z, row + 3u, col, c3);
    store4(group.z, row + 4u, col, c4);
    store4(group.z, row + 5u, col, c5);
    store4(group.z, row + 6u, col, c6);
    store4(group.z, row + 7u, col, c7);
    if (ROW_SUM && group.x == 0u) {
        // Lanes of equal parity hold the same rows for different k.
        let lo = (subgroupBroadcast(sum, 0u) + subgroupBroadcast(sum, 2u)) + (subgroupBroadcast(sum, 4u) + subgroupBroadcast(sum, 6u));
        let hi = (subgroupBroadcast(sum, 1u) + subgroupBroadcast(sum, 3u)) + (subgroupBroadcast(sum, 5u) + subgroupBroadcast(sum, 7u));
        let half = select(lo, hi, lane >= 4u);
        let i = lane % 4u;
        store_row_sum(row + lane, select(select(half.x, half.y, i == 1u), select(half.z, half.w, i == 3u), i >= 2u));
    }
}
