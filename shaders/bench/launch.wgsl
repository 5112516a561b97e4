// launch: the least that a dispatch can do, and loads that wait for each other: what a launch, a barrier and a load cost.
//
//   launch_step    after <- before + 1, one word
//   launch_chase   LOADS times: at <- links[at]; total <- total + at
//   launch_copy    fours_out <- fours_in, a vec4 an invocation
//
// shapes: before, after [1]; links [any], a permutation of one cycle; state [2]: at and total, kept for the next dispatch;
//         fours_in, fours_out [64] vec4
// grid:   one workgroup; step and chase have one invocation
// source: the chase is that of lmbench (McVoy and Staelin 1996)

@group(0) @binding(0) var<storage, read_write> after: array<u32>;
@group(0) @binding(1) var<storage, read> before: array<u32>;

@group(0) @binding(0) var<storage, read_write> state: array<u32>;
@group(0) @binding(1) var<storage, read> links: array<u32>;

@group(0) @binding(0) var<storage, read_write> fours_out: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> fours_in: array<vec4<f32>>;

override LOADS: u32 = 1u; // under 65,535: software adapters cut long loops

@compute @workgroup_size(1)
fn launch_step() {
    after[0] = before[0] + 1u;
}

@compute @workgroup_size(1)
fn launch_chase() {
    var at = state[0];
    var total = state[1];
    for (var i = 0u; i < LOADS; i++) {
        at = links[at];
        total += at;
    }
    state[0] = at;
    state[1] = total;
}

@compute @workgroup_size(64)
fn launch_copy(@builtin(local_invocation_index) lane: u32) {
    fours_out[lane] = fours_in[lane];
}
