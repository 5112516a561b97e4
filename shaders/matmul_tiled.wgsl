// Matrix product for GPUs, operands by strides or through views: out[z] = epilogue(A[z] B[z]), [M, K] by [K, N].
// A workgroup of THREADS x THREADS invocations makes a square tile of 4 THREADS, 4 by 4 elements an invocation, from
// slabs of 16 along K held in workgroup memory.
// Grid: x over columns by the tile, y over rows by the tile, z over batch and parts of K.
// Optionally the sum of each row of A, by the workgroups of the first columns.
// Source: the tiling of ggml's and wgpu-mm's WGSL kernels, written anew.

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

override THREADS: u32 = 8u;
override TILE: u32 = 32u;        // 4 THREADS
override SLAB: u32 = 512u;       // 16 TILE
override A_ALONG_K: bool = true; // neighbouring invocations load neighbours along K, else along M
override B_ALONG_K: bool = false;

var<workgroup> a_slab: array<f32, SLAB>; // [16, TILE]
var<workgroup> b_slab: array<f32, SLAB>; // [16, TILE]

@compute @workgroup_size(THREADS, THREADS)
fn matmul_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row0 = group.y * TILE;
    let col0 = group.x * TILE;
    let batch = group.z % BATCHES;
    let start = (group.z / BATCHES) * CHUNK;
    let end = min(K, start + CHUNK);
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var sum = vec4<f32>();
    for (var k0 = start; k0 < end; k0 += 16u) {
        for (var i = lane; i < SLAB; i += THREADS * THREADS) {
            let ak = select(i / TILE, i % 16u, A_ALONG_K);
            let am = select(i % TILE, i / 16u, A_ALONG_K);
            let a_value = a_number(a_line(batch, min(row0 + am, M - 1u)), a_step(min(k0 + ak, end - 1u)));
            a_slab[ak * TILE + am] = select(0.0, a_value, k0 + ak < end);
            let bk = select(i / TILE, i % 16u, B_ALONG_K);
            let bn = select(i % TILE, i / 16u, B_ALONG_K);
            let b_value = b_number(b_line(batch, min(col0 + bn, N - 1u)), b_step(min(k0 + bk, end - 1u)));
            b_slab[bk * TILE + bn] = select(0.0, b_value, k0 + bk < end);
        }
        workgroupBarrier();
        for (var k = 0u; k < 16u; k++) {
            let p = k * TILE + local.y;
            let q = k * TILE + local.x;
            let u = vec4<f32>(a_slab[p], a_slab[p + THREADS], a_slab[p + 2u * THREADS], a_slab[p + 3u * THREADS]);
            let v = vec4<f32>(b_slab[q], b_slab[q + THREADS], b_slab[q + 2u * THREADS], b_slab[q + 3u * THREADS]);
            c0 += u.x * v;
            c1 += u.y * v;
            c2 += u.z * v;
            c3 += u.w * v;
            if (ROW_SUM) { sum += u; }
        }
        workgroupBarrier();
    }
    // Element (i, j) of an invocation is row y + i THREADS, column x + j THREADS of the tile: no bank conflicts.
    let row = row0 + local.y;
    let col = col0 + local.x;
    for (var j = 0u; j < 4u; j++) {
        store(group.z, row, col + j * THREADS, c0[j]);
        store(group.z, row + THREADS, col + j * THREADS, c1[j]);
        store(group.z, row + 2u * THREADS, col + j * THREADS, c2[j]);
        store(group.z, row + 3u * THREADS, col + j * THREADS, c3[j]);
    }
    if (ROW_SUM && group.x == 0u && local.x == 0u) {
        store_row_sum(row, sum.x);
        store_row_sum(row + THREADS, sum.y);
        store_row_sum(row + 2u * THREADS, sum.z);
        store_row_sum(row + 3u * THREADS, sum.w);
    }
}
