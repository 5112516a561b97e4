// Matrix product for CPU adapters where B is contiguous along N (the two products of a backward pass):
// out[z] = epilogue(A[z] B[z]); N and the strides of B multiples of 4.
// A is read as vec4s along K (A_COLS false: dX = dY W) or along M (A_COLS true: dW = dY' X), where K, its strides,
// and along M also M are multiples of 4; or as single numbers with any strides.
// A workgroup is one subgroup of eight lanes and makes 16 rows by 32 columns, four adjacent columns a lane. Two
// vec4 loads a lane bring 16 rows of A by 4 of K, passed between lanes by broadcast.
// Grid: x over columns by 32, y over rows by 16, z over batch and parts of K.
// Optionally the sum of each row of A, by the workgroups of the first columns.

//#slot types
alias T0 = f32; alias T1 = f32; alias T2 = f32; alias T3 = f32; alias T4 = f32;
//#end
@group(0) @binding(0) var<storage, read> in0: array<T0>;
@group(0) @binding(1) var<storage, read> in1: array<T1>;
@group(0) @binding(2) var<storage, read> in2: array<T2>;
@group(0) @binding(3) var<storage, read> in3: array<T3>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<storage, read_write> out2: array<f32>;
@group(0) @binding(8) var<storage, read> a: array<AUnit>;
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
override A_COLS: bool = false;

// Lanes 0 to 3, and 4 to 7, of a value.
fn low(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u));
}
fn high(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupBroadcast(v, 4u), subgroupBroadcast(v, 5u), subgroupBroadcast(v, 6u), subgroupBroadcast(v, 7u));
}

//#slot a_unit
alias AUnit = vec4<f32>;
const A_WIDTH = 4u;
// Four of A from p on, and one of them (which only the numbers one by one need).
fn a_four(p: u32) -> vec4<f32> { return a[p]; }
fn a_one(p: u32) -> f32 { return a[p].x; }
//#end

fn store4(z: u32, row: u32, col: u32, v: vec4<f32>) {
    store(z, row, col, v.x);
    store(z, row, col + 1u, v.y);
    store(z, row, col + 2u, v.z);
    store(z, row, col + 3u, v.w);
}

@compute @workgroup_size(8)
fn matmul_lanes_n(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
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
        let b0 = b[s];
        let b1 = b[s + B_ROW / 4u];
        let b2 = b[s + 2u * (B_ROW / 4u)];
        let b3 = b[s + 3u * (B_ROW / 4u)];
        var r0_0 = low(u.x);
        var r4_0 = high(u.x);
        var r8_0 = low(v.x);
        var r12_0 = high(v.x);
        if (A_COLS) {
            r0_0 = subgroupBroadcast(u, 0u);
            r4_0 = subgroupBroadcast(u, 1u);
            r8_0 = subgroupBroadcast(u, 2u);
            r12_0 = subgroupBroadcast(u, 3u);
        }
        c0 += r0_0.x * b0;
        c1 += r0_0.y * b0;
        c2 += r0_0.z * b0;
        c3 += r0_0.w * b0;
        c4 += r4_0.x * b0;
        c5 += r4_0.y * b0;
        c6 += r4_0.z * b0;
        c7 += r4_0.w * b0;
        c8 += r8_0.x * b0;
        c9 += r8_0.y * b0;
        c10 += r8_0.z * b0;
        c11 += r8_0.w * b0;
        c12 += r12_0.x * b0;
        c13 += r12_0.y * b0;
        c14 += r12_0.z * b0;
        c15 += r12_0.w * b0;
        var r0_1 = low(u.y);
        var r4_1 = high(u.y);
        var r8_1 = low(v.y);
        var r12_1 = high(v.y);
        if (A_COLS) {
            r0_1 = subgroupBroadcast(u, 4u);
            r4_1 = subgroupBroadcast(u, 5u);
            r8_1 = subgroupBroadcast(u, 6u);
            r12_1 = subgroupBroadcast(u, 7u);
        }
        c0 += r0_1.x * b1;
        c1 += r0_1.y * b1;
        c2 += r0_1.z * b1;
        c3 += r0_1.w * b1;
        c4 += r4_1.x * b1;
        c5 += r4_1.y * b1;
        c6 += r4_1.z * b1;
        c7 += r4_1.w * b1;
        c8 += r8_1.x * b1;
        c9 += r8_1.y * b1;
        c10 += r8_1.z * b1;
        c11 += r8_1.w * b1;
        c12 += r12_1.x * b1;
        c13 += r12_1.y * b1;
        c14 += r12_1.z * b1;
        c15 += r12_1.w * b1;
        var r0_2 = low(u.z);
        var r4_2 = high(u.z);
        var r8_2 = low(v.z);
        var r12_2 = high(v.z);
        if (A_COLS) {
            r0_2 = subgroupBroadcast(v, 0u);
            r4_2 = subgroupBroadcast(v, 1u);
            r8_2 = subgroupBroadcast(v, 2u);
            r12_2 = subgroupBroadcast(v, 3u);
        }
        c0 += r0_2.x * b2;
        c1 += r0_2.y * b2;
        c2 += r0_2.z * b2;
        c3 += r0_2.w * b2;
        c4 += r4_2.x * b2;
        c5 += r4_2.y * b2;
        c6 += r4_2.z * b2;
        c7 += r4_2.w * b2;
        c8 += r8_2.x * b2;
        c9 += r8_2.y * b2;
        c10 += r8_2.z * b2;
        c11 += r8_2.w * b2;
        c12 += r12_2.x * b2;
        c13 += r12_2.y * b2;
        c14 += r12_2.z * b2;
        c15 += r12_2.w * b2;
        var r0_3 = low(u.w);
        var r4_3 = high(u.w);
        var r8_3 = low(v.w);
        var r12_3 = high(v.w);
        if (A_COLS) {
            r0_3 = subgroupBroadcast(v, 4u);
            r4_3 = subgroupBroadcast(v, 5u);
            r8_3 = subgroupBroadcast(v, 6u);
            r12_3 = subgroupBroadcast(v, 7u);
        }
        c0 += r0_3.x * b3;
        c1 += r0_3.y * b3;
        c2 += r0_3.z * b3;
        c3 += r0_3.w * b3;
        c4 += r4_3.x * b3;
        c5 += r4_3.y * b3;
        c6 += r4_3.z * b3;
        c7 += r4_3.w * b3;
        c8 += r8_3.x * b3;
        c9 += r8_3.y * b3;
        c10 += r8_3.z * b3;
        c11 += r8_3.w * b3;
        c12 += r12_3.x * b3;
        c13 += r12_3.y * b3;
        c14 += r12_3.z * b3;
        c15 += r12_3.w * b3;
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
        let b0 = b[s];
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
    // Four rows at a time: a loop, for a driver takes longer over each store's text than over its execution.
    for (var r = row; r < min(row + 16u, M); r += 4u) {
        store4(group.z, r + 0u, col, c0);
        store4(group.z, r + 1u, col, c1);
        store4(group.z, r + 2u, col, c2);
        store4(group.z, r + 3u, col, c3);
        c0 = c4;
        c1 = c5;
        c2 = c6;
        c3 = c7;
        c4 = c8;
        c5 = c9;
        c6 = c10;
        c7 = c11;
        c8 = c12;
        c9 = c13;
        c10 = c14;
        c11 = c15;
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
