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
// grid:   one workgroup a block of 64 vec4s, folded from x into y
// source: Jordan et al. 2024, as torch.optim.Muon has it, in f32 where torch has bfloat16

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> momentum_buffer: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> exp_avg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> exp_avg_sq: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> places: array<u32>;
@group(0) @binding(6) var<storage, read_write> directions: array<f32>;

override LENGTH: u32;
override SHAPES: u32 = 0u;
override FIRST: u32 = 0u; // block that belongs to no matrix
override NESTEROV: bool = true;

//#import update
//#import adam

// Where the directions of the vec4 i of a block begin, and how many of its four are the tensor's.
fn span(block: u32, i: u32) -> vec2<u32> {
    let s = SHAPES + 3u * places[block];
    let element = 4u * i - places[s];
    let count = places[s + 1u];
    return vec2<u32>(places[s + 2u] + element, min(4u, max(count, element) - element));
}

@compute @workgroup_size(64)
fn muon_momentum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    let i = block * 64u + lane;
    if block >= FIRST || step_skipped() {
        return;
    }
    let at = row_at(block);
    let row = table[at]; // lr, mu, 1 - mu, shrink
    let g = gradient(at, i);
    let b = blend(momentum_buffer[i], g, row.z);
    momentum_buffer[i] = b;
    var d = b;
    if NESTEROV { d = blend(g, b, row.y); }
    let place = span(block, i);
    for (var c = 0u; c < place.y; c++) { directions[place.x + c] = d[c]; }
}

@compute @workgroup_size(64)
fn muon_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    let i = block * 64u + lane;
    if block >= FIRST || step_skipped() {
        return;
    }
    let at = row_at(block);
    let row = table[at];
    close(block, lane);
    let place = span(block, i);
    var x = vec4<f32>(0.0);
    for (var c = 0u; c < place.y; c++) { x[c] = directions[place.x + c]; }
    let w = param[i];
    put(at, i, w - (row.w * w + row.x * x));
}

@compute @workgroup_size(64)
fn muon_others(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let own = group.y * groups.x + group.x;
    let block = FIRST + own;
    let i = block * 64u + lane;
    if i >= LENGTH || step_skipped() {
        return;
    }
    let at = row_at(block);
    let row = open_row(at);
    close(own, lane);
    let slot = own * 64u + lane;
    let next = next_moments(row, Moments(exp_avg[slot], exp_avg_sq[slot]), gradient(at, i));
    exp_avg[slot] = next.m;
    exp_avg_sq[slot] = next.v;
    put(at, i, next_weight(row, param[i], next.m, next.v));
}
