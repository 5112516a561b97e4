// The norms of each tensor from the sums of squares of its blocks, at each of its blocks:
//   norms[b] = sqrt(sum over the blocks b' of b's tensor of block_sums[b'])
//
// shapes: spans [tensors, 2]: first block and the one past the last; block_sums and norms [blocks, 2]
// grid:   one workgroup a tensor, folded from x into y. The order of summation is fixed

@group(0) @binding(0) var<storage, read> spans: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read> block_sums: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> norms: array<vec2<f32>>;

override TENSORS: u32;

//#import added

// A block's sum; 0 past the end.
fn sum_at(b: u32, end: u32) -> vec2<f32> {
    if b < end { return block_sums[b]; }
    return vec2<f32>(0.0);
}

fn put_norm(b: u32, end: u32, norm: vec2<f32>) {
    if b < end { norms[b] = norm; }
}

//#slot lanes
// Four loads of a turn are under way together.
const LANES: u32 = 256u;

fn own_sum(first: u32, end: u32) -> vec2<f32> {
    var own: array<vec2<f32>, 4>;
    for (var b = first; b < end; b += 1024u) {
        let s0 = sum_at(b, end);
        let s1 = sum_at(b + 256u, end);
        let s2 = sum_at(b + 512u, end);
        let s3 = sum_at(b + 768u, end);
        own[0] += s0;
        own[1] += s1;
        own[2] += s2;
        own[3] += s3;
    }
    return (own[0] + own[2]) + (own[1] + own[3]);
}

fn put_norms(first: u32, end: u32, norm: vec2<f32>) {
    for (var b = first; b < end; b += 256u) { norms[b] = norm; }
}
//#end

@compute @workgroup_size(LANES)
fn tensor_norms(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tensor = group.y * groups.x + group.x;
    if tensor >= TENSORS { return; }
    let span = spans[tensor];
    let norm = sqrt(added_among(lane, LANES, own_sum(span.x + lane, span.y)));
    put_norms(span.x + lane, span.y, norm);
}
