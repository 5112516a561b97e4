// muon: SGD with momentum whose step is, for a matrix, the nearest orthogonal one; AdamW for all else.
//
//   b <- b + (1 - mu) (g - b);   d = b             NESTEROV: d = g + mu (b - g)
//   X  = what Newton-Schulz makes of d, times the matrix's factor
//   w <- w - shrink w - lr X                       shrink: lr weight_decay
//
// muon_momentum writes d without padding, matrices of one shape one after the other; products of batches of matrices make
// X of it there; muon_update takes X. muon_others is AdamW for what is no matrix.
//
// shapes: grad, param: every arena [LENGTH] vec4, padding included, the matrices' blocks first; momentum_buffer those,
//         exp_avg and exp_avg_sq the blocks from FIRST on; directions: d, then X; places: for each block of a matrix its
//         tensor, from SHAPES [first element, elements, place of its directions] for each
// grid:   shared/pass_*.wgsl: the passes of matrices up to FIRST, muon_others from there on
// source: Jordan et al. 2024, as torch.optim.Muon has it, in f32 where torch has bfloat16

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> momentum_buffer: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> exp_avg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> exp_avg_sq: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> places: array<u32>;

override LENGTH: u32;
override SHAPES: u32 = 0u;
override NESTEROV: bool = true;

//#import update
//#import adam

// The row of a block of a matrix, lr, mu, 1 - mu and shrink, the place of its directions, and how many are the matrix's.
struct BlockRow {
    row: vec4<f32>,
    place: u32,
    left: u32,
}

fn muon_row(at: u32, block: u32) -> BlockRow {
    let s = SHAPES + 3u * places[block];
    let element = 256u * block - places[s];
    return BlockRow(table[at], places[s + 2u] + element, places[s + 1u] - min(places[s + 1u], element));
}

//#slot directions
@group(0) @binding(6) var<storage, read_write> directions: array<f32>;

fn put_directions(own: BlockRow, first: u32, d: vec4<f32>) {
    for (var c = 0u; c < 4u && first + c < own.left; c++) { directions[own.place + first + c] = d[c]; }
}

fn directions_of(own: BlockRow, first: u32) -> vec4<f32> {
    var x = vec4<f32>(0.0);
    for (var c = 0u; c < 4u && first + c < own.left; c++) { x[c] = directions[own.place + first + c]; }
    return x;
}
//#end

// What the momentum's pass reads of a vec4.
struct MomentumOld {
    g: vec4<f32>,
    b: vec4<f32>,
}

fn muon_momentum_row(at: u32, block: u32) -> BlockRow { return muon_row(at, block); }

fn muon_momentum_old(i: u32) -> MomentumOld { return MomentumOld(raw_gradient(i), momentum_buffer[i]); }

fn muon_momentum_step(at: u32, own: BlockRow, i: u32, old: MomentumOld) {
    let row = own.row;
    let g = clipped(at, old.g);
    let b = blend(old.b, g, row.z);
    momentum_buffer[i] = b;
    var d = b;
    if NESTEROV { d = blend(g, b, row.y); }
    put_directions(own, 4u * (i % 64u), d);
}

@compute @workgroup_size(LANES)
fn muon_momentum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}

fn muon_old(i: u32) -> vec4<f32> { return param[i]; }

fn muon_step(at: u32, own: BlockRow, i: u32, w: vec4<f32>) {
    let row = own.row;
    let x = directions_of(own, 4u * (i % 64u));
    put(at, i, w - (row.w * w + row.x * x));
}

@compute @workgroup_size(LANES)
fn muon_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}

// What AdamW reads of a vec4.
struct OthersOld {
    g: vec4<f32>,
    w: vec4<f32>,
    moments: Moments,
}

fn muon_others_row(at: u32, block: u32) -> Row { return open_row(at); }

fn muon_others_old(i: u32) -> OthersOld {
    let slot = i - 64u * FIRST;
    return OthersOld(raw_gradient(i), param[i], Moments(exp_avg[slot], exp_avg_sq[slot]));
}

fn muon_others_step(at: u32, row: Row, i: u32, old: OthersOld) {
    let slot = i - 64u * FIRST;
    let next = next_moments(row, old.moments, clipped(at, old.g));
    exp_avg[slot] = next.m;
    exp_avg_sq[slot] = next.v;
    put(at, i, next_weight(row, old.w, next.m, next.v));
}

@compute @workgroup_size(LANES)
fn muon_others(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
