// stream: the highest throughput of memory.
//
//   copy    a <- b            as many writes as reads
//   TRIAD   a <- b + 3 c      the usual measure: two reads, a write and next to no arithmetic
//
// shapes: a, b, c [LENGTH] vec4; c is b where it is not read
// grid:   EACH vec4s an invocation, 64 vec4s apart, so that neighbours touch neighbours; workgroups folded from x into y
// source: McCalpin, STREAM

@group(0) @binding(0) var<storage, read_write> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> c: array<vec4<f32>>;

override LENGTH: u32;
override EACH: u32 = 1u;
override TRIAD: bool = false;

@compute @workgroup_size(64)
fn stream_move(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (group.y * groups.x + group.x) * 64u * EACH + lane;
    for (var k = 0u; k < EACH; k++) {
        let i = first + 64u * k;
        if i < LENGTH {
            if TRIAD {
                a[i] = b[i] + 3.0 * c[i];
            } else {
                a[i] = b[i];
            }
        }
    }
}
