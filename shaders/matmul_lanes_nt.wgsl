// Matrix product for CPU adapters where both operands are contiguous along K (a forward pass: x by the weight
// [out, in] transposed): out[z] = epilogue(A[z] B[z]), K and the strides multiples of 4.
// A workgroup is one subgroup of eight lanes and makes 16 rows by 16 columns: each lane loads vec4s of two rows
// of A and of its two columns of B, and the rows are passed between lanes by broadcast.
// Grid: x over columns by 16, y over rows by 16, z over batch and parts of K.

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

// Lanes 0 to 3, and 4 to 7, of a value.
fn low(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u));
}
fn high(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupBroadcast(v, 4u), subgroupBroadcast(v, 5u), subgroupBroadcast(v, 6u), subgroupBroadcast(v, 7u));
}

@compute @workgroup_size(8)
fn matmul_lanes_nt(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * 16u;
    let col = group.x * 16u + lane;
    let batch = group.z % BATCHES;
    let start = (group.z / BATCHES) * CHUNK;
    let length = min(K - start, CHUNK);
    var p = (A_OFFSET + batch * A_BATCH + min(row + lane, M - 1u) * A_ROW + start) / 4u;
    var q = (A_OFFSET + batch * A_BATCH + min(row + 8u + lane, M - 1u) * A_ROW + start) / 4u;
    var s = (B_OFFSET + batch * B_BATCH + min(col, N - 1u) * B_COL + start) / 4u;
    var t = (B_OFFSET + batch * B_BATCH + min(col + 8u, N - 1u) * B_COL + start) / 4u;
    var c0 = vec4<f32>();
    var d0 = vec4<f32>();
    var c1 = vec4<f32>();
    var d1 = vec4<f32>();
    var c2 = vec4<f32>();
    var d2 = vec4<f32>();
    var c3 = vec4<f32>();
    var d3 = vec4<f32>();
    for (var k = 0u; k < length / 4u; k++) {
        let u = a[p];
        let v = a[q];
        let x = b[s];
        let y = b[t];
        let u0x = low(u.x);
        let u1x = high(u.x);
        let v0x = low(v.x);
        let v1x = high(v.x);
        c0 += u0x * x.x;
        d0 += u0x * y.x;
        c1 += u1x * x.x;
        d1 += u1x * y.x;
        c2 += v0x * x.x;
        d2 += v0x * y.x;
        c3 += v1x * x.x;
        d3 += v1x * y.x;
        let u0y = low(u.y);
        let u1y = high(u.y);
        let v0y = low(v.y);
        let v1y = high(v.y);
        c0 += u0y * x.y;
        d0 += u0y * y.y;
        c1 += u1y * x.y;
        d1 += u1y * y.y;
        c2 += v0y * x.y;
        d2 += v0y * y.y;
        c3 += v1y * x.y;
        d3 += v1y * y.y;
        let u0z = low(u.z);
        let u1z = high(u.z);
        let v0z = low(v.z);
        let v1z = high(v.z);
        c0 += u0z * x.z;
        d0 += u0z * y.z;
        c1 += u1z * x.z;
        d1 += u1z * y.z;
        c2 += v0z * x.z;
        d2 += v0z * y.z;
        c3 += v1z * x.z;
        d3 += v1z * y.z;
        let u0w = low(u.w);
        let u1w = high(u.w);
        let v0w = low(v.w);
        let v1w = high(v.w);
        c0 += u0w * x.w;
        d0 += u0w * y.w;
        c1 += u1w * x.w;
        d1 += u1w * y.w;
        c2 += v0w * x.w;
        d2 += v0w * y.w;
        c3 += v1w * x.w;
        d3 += v1w * y.w;
        p += 1u;
        q += 1u;
        s += 1u;
        t += 1u;
    }
    // Four rows at a time: a loop, for a driver takes longer over each store's text than over its execution.
    for (var r = row; r < min(row + 16u, M); r += 4u) {
        store(group.z, r + 0u, col, c0.x);
        store(group.z, r + 0u, col + 8u, d0.x);
        store(group.z, r + 1u, col, c0.y);
        store(group.z, r + 1u, col + 8u, d0.y);
        store(group.z, r + 2u, col, c0.z);
        store(group.z, r + 2u, col + 8u, d0.z);
        store(group.z, r + 3u, col, c0.w);
        store(group.z, r + 3u, col + 8u, d0.w);
        c0 = c1;
        d0 = d1;
        c1 = c2;
        d1 = d2;
        c2 = c3;
        d2 = d3;
    }
}
