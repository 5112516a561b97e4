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

@compute @workgroup_size(64)
fn tensor_norms(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tensor = group.y * groups.x + group.x;
    if tensor >= TENSORS { return; }
    let span = spans[tensor];
    var own = vec2<f32>(0.0);
    for (var b = span.x + lane; b < span.y; b += 64u) { own += block_sums[b]; }
    let norm = sqrt(added(lane, own));
    for (var b = span.x + lane; b < span.y; b += 64u) { norms[b] = norm; }
}
