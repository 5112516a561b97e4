// Shared by every update. A block is 64 EACH vec4s and belongs to one group of parameters. The table has
// a row of four vec4s for each group of each update: three for the optimizer, the last for what is below. Where the
// step is CHECKED, gradients_settle has written to the state whether the step is skipped (state[11]), the row of its
// update in the table (state[13]) and the factor of its gradients (state[12], an f32).
override CHECKED: bool = false;
override CLIP_VALUE: bool = false;
override GROUPS: u32 = 1u;
// vec4s of a block, in units of 64.
override EACH: u32 = 1u;
// Invocations of a workgroup. Where it updates block after block, a block's vec4s are LANES apart in an invocation, so that
// neighbours touch neighbours.
override LANES: u32 = 64u;

// The first block of a pass that is not over all of them; EACH is 1 then.
override FIRST: u32 = 0u;

// The group of a block: the number of groups that end before it.
//#slot groups
fn group_of(block: u32) -> u32 { return 0u; }
//#end

fn step_skipped() -> bool {
    if (CHECKED) { return state[11] != 0u; }
    return false;
}
// The first vec4 of a block's row in the table.
fn row_at(block: u32) -> u32 {
    var update = state[1] - 1u;
    if (CHECKED) { update = state[13]; }
    return 4u * (update * GROUPS + group_of(block));
}
// The vec4s of an invocation.
fn first_of(block: u32, lane: u32) -> u32 { return block * EACH * 64u + lane; }
fn end_of(block: u32) -> u32 { return min(LENGTH, (block + 1u) * EACH * 64u); }
// The step is done.
fn close(block: u32, lane: u32) {
    if (block == FIRST && lane == 0u) { state[0] = state[1]; }
    //#slot closing
    //#end
}
// By the bits: a compiler may take x != x for false.
fn not_numbers(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}
// A gradient with its scale taken out, clipped.
fn clipped(at: u32, raw: vec4<f32>) -> vec4<f32> {
    var g = raw;
    if (CHECKED) { g *= bitcast<f32>(state[12]); }
    if (CLIP_VALUE) {
        let most = vec4<f32>(table[at + 3u].x);
        g = select(clamp(g, -most, most), g, not_numbers(g));
    }
    return g;
}
// Read from memory, or computed here (kernel/mlp/update.rs).
//#slot raw_gradient
fn raw_gradient(i: u32) -> vec4<f32> { return grad[i]; }
//#end
fn gradient(at: u32, i: u32) -> vec4<f32> { return clipped(at, raw_gradient(i)); }
//#slot averages
//#end
// Stores the weight, and adds it to the average where there is one.
fn put(at: u32, i: u32, w: vec4<f32>) {
    param[i] = w;
    //#slot average
    //#end
}
// torch.lerp, from the nearer end, so that a weight of 1 gives b to the bit.
fn blend(a: vec4<f32>, b: vec4<f32>, weight: f32) -> vec4<f32> {
    return select(b - (b - a) * (1.0 - weight), a + weight * (b - a), weight < 0.5);
}
