// Matrix product for GPUs, operands by strides or through views: out[z] = epilogue(A[z] B[z]), [M, K] by [K, N].
// A workgroup makes a tile of ROWS by COLS from slabs of SLAB along K, which lie in workgroup memory as cells of four
// numbers. The next slab is loaded into registers before the product of the present one. With two slabs in turn (SWAP > 0)
// there is one barrier a slab. Where the tile is small, SLICES groups of invocations each take their share of every slab,
// and their partial tiles are added in a fixed order at the end.
// src/kernel/matmul/block.rs prints the slots for each tile and layout; here they are those of a tile of 32 by 32, 4 by 4
// elements an invocation, A along K and B along N, both by numbers.
// An operand along K keeps fours of K of a row or column in a cell: cell (line, s) lies at line * SLAB / 4 + (s ^ turn), and
// turn depends on the line, so that neither stores nor loads of eight invocations meet in a bank. An operand along M or N
// keeps four of its lines in a cell.
// Grid: x over columns by COLS, y over rows by ROWS, z over batch and parts of K.
// Optionally the sum of each row of A, by the workgroups of the first columns.
// Source: the blocking of CUTLASS's SIMT products, written anew; the exchange of bits within a row is that of its layouts.

//#slot types
alias T0 = f32; alias T1 = f32; alias T2 = f32; alias T3 = f32; alias T4 = f32;
alias T6 = f32; alias T7 = f32; alias T8 = f32; alias T9 = f32;
//#end
//#slot units
alias AUnit = T8;
alias BUnit = T9;
//#end
@group(0) @binding(0) var<storage, read> in0: array<T0>;
@group(0) @binding(1) var<storage, read> in1: array<T1>;
@group(0) @binding(2) var<storage, read> in2: array<T2>;
@group(0) @binding(3) var<storage, read> in3: array<T3>;
@group(0) @binding(6) var<storage, read_write> out: array<T6>;
@group(0) @binding(7) var<storage, read_write> out2: array<T7>;
@group(0) @binding(8) var<storage, read> a: array<AUnit>;
@group(0) @binding(9) var<storage, read> b: array<BUnit>;

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

override ROWS: u32 = 32u;        // the tile
override COLS: u32 = 32u;
override SLAB: u32 = 32u;        // K of a slab
override SLICES: u32 = 1u;
override TALL: u32 = 8u;         // invocations of a slice along the rows
override WIDE: u32 = 8u;         // and along the columns
override INVOCATIONS: u32 = 64u; // SLICES TALL WIDE
override A_CELLS: u32 = 256u;    // ROWS SLAB / 4
override CELLS: u32 = 1024u;     // workgroup memory, in cells
override SWAP: u32 = 512u;       // the first cell of the second slab; 0 where there is one slab

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
//#end
//#slot b_map
//#end
//#slot layout
// The ith row of an invocation in its tile, and its jth column.
fn row_of(y: u32, i: u32) -> u32 { return y + TALL * i; }
fn col_of(x: u32, j: u32) -> u32 { return 4u * (x + WIDE * (j / 4u)) + j % 4u; }
// The place of a cell in its slab: for an operand along K that of line and four of K, else that of k and four lines.
fn a_at(line: u32, s: u32) -> u32 { return line * 8u + (s ^ ((line / 1u) % 8u)); }
fn b_at(k: u32, line: u32) -> u32 { return k * 8u + line; }
// Cell number id of the slab that begins at k0, as loads of neighbours in memory go to neighbouring invocations: where it
// lies, and its numbers. Lines past the edge repeat the last one, whose products are not stored; past the end of K are zeros.
fn a_place(id: u32) -> u32 { return a_at(id / 8u, id % 8u); }
fn b_place(id: u32) -> u32 { return id; }
fn a_load(z: u32, first: u32, k0: u32, end: u32, id: u32) -> vec4<f32> {
    let p = A_OFFSET + z * A_BATCH + min(first + id / 8u, M - 1u) * A_ROW;
    let k = vec4<u32>(k0 + id % 8u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    let q = min(k, vec4<u32>(end - 1u)) * A_COL;
    let v = vec4<f32>(f32(a[p + q.x]), f32(a[p + q.y]), f32(a[p + q.z]), f32(a[p + q.w]));
    return select(vec4<f32>(), v, k < vec4<u32>(end));
}
fn b_load(z: u32, first: u32, k0: u32, end: u32, id: u32) -> vec4<f32> {
    let k = k0 + id / 8u;
    let p = B_OFFSET + z * B_BATCH + min(k, end - 1u) * B_ROW;
    let line = vec4<u32>(first + id % 8u * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    let q = min(line, vec4<u32>(N - 1u)) * B_COL;
    let v = vec4<f32>(f32(b[p + q.x]), f32(b[p + q.y]), f32(b[p + q.z]), f32(b[p + q.w]));
    return select(vec4<f32>(), v, k < end);
}
//#end

fn store_four(z: u32, row: u32, col0: u32, x: u32, j: u32, sums: vec4<f32>) {
    store(z, row, col0 + col_of(x, j), sums.x);
    store(z, row, col0 + col_of(x, j + 1u), sums.y);
    store(z, row, col0 + col_of(x, j + 2u), sums.z);
    store(z, row, col0 + col_of(x, j + 3u), sums.w);
}

var<workgroup> cells: array<vec4<f32>, CELLS>;

@compute @workgroup_size(INVOCATIONS)
fn matmul_block(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row0 = group.y * ROWS;
    let col0 = group.x * COLS;
    let batch = group.z % BATCHES;
    let start = (group.z / BATCHES) * CHUNK;
    let end = min(K, start + CHUNK);
    let slice = lane / (TALL * WIDE);
    let y = lane / WIDE % TALL;
    let x = lane % WIDE;
//#slot sums
    var c0_0 = vec4<f32>();
    var c1_0 = vec4<f32>();
    var c2_0 = vec4<f32>();
    var c3_0 = vec4<f32>();
//#end
//#slot first
    for (var id = lane; id < A_CELLS; id += INVOCATIONS) {
        cells[a_place(id)] = a_load(batch, row0, start, end, id);
        cells[A_CELLS + b_place(id)] = b_load(batch, col0, start, end, id);
    }
//#end
    workgroupBarrier();
    var at = 0u;
    for (var k0 = start; k0 < end; k0 += SLAB) {
        let more = k0 + SLAB < end;
//#slot load
        var a0 = vec4<f32>();
        var b0 = vec4<f32>();
        if (more) {
            a0 = a_load(batch, row0, k0 + SLAB, end, lane);
            b0 = b_load(batch, col0, k0 + SLAB, end, lane);
        }
//#end
        for (var s = slice; s < SLAB / 4u; s += SLICES) {
//#slot four
            let v0_0 = cells[at + A_CELLS + b_at(4u * s, x)];
            let u0 = cells[at + a_at(row_of(y, 0u), s)];
            c0_0 += u0.x * v0_0;
//#end
        }
        if (more) {
//#slot keep
            at = SWAP - at;
            cells[at + a_place(lane)] = a0;
            cells[at + A_CELLS + b_place(lane)] = b0;
//#end
            workgroupBarrier();
        }
    }
//#slot finish
    store_four(group.z, row0 + row_of(y, 0u), col0, x, 0u, c0_0);
    store_four(group.z, row0 + row_of(y, 1u), col0, x, 0u, c1_0);
    store_four(group.z, row0 + row_of(y, 2u), col0, x, 0u, c2_0);
    store_four(group.z, row0 + row_of(y, 3u), col0, x, 0u, c3_0);
//#end
}
