// A vec4 of a block to each invocation of a workgroup: the largest of each subgroup, then of them all, with one barrier.
const PER: u32 = 1u;

var<workgroup> parts: array<vec2<f32>, 64>;
// This one's number, and how many there are.
var<private> subgroup: vec2<u32>;

fn largest(lane: u32, own: vec2<f32>) -> vec2<f32> {
    let part = vec2<f32>(subgroupMax(own.x), subgroupMax(own.y));
    // All of a subgroup store the same.
    parts[subgroup.x] = part;
    workgroupBarrier();
    var most = parts[0];
    for (var k = 1u; k < subgroup.y; k += 1u) { most = max(most, parts[k]); }
    return most;
}
