// Sums rows that share a number, in the order of the rows: out[v, :] = sum of x[t, :] over the t whose number is v.
// The rows of a number are a chain: head[v] is the first of them, next[t] the one after t; ROWS ends it.
// Shapes: out [SEGMENTS, WIDTH], x [ROWS, WIDTH], head [SEGMENTS], next [ROWS], both f32 holding whole numbers.
// Grid: one invocation an element of out, 64 a workgroup, folded into y.

//#slot types
alias T8 = f32;
//#end
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(8) var<storage, read> x: array<T8>;
@group(0) @binding(9) var<storage, read> head: array<f32>;
@group(0) @binding(10) var<storage, read> next: array<f32>;

override SEGMENTS: u32;
override WIDTH: u32;
override ROWS: u32;

@compute @workgroup_size(64)
fn segment_sum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i >= SEGMENTS * WIDTH) { return; }
    var sum = 0.0;
    var t = u32(head[i / WIDTH]);
    // Counted, so that the loop ends whatever the chain.
    for (var k = 0u; k < ROWS && t < ROWS; k++) {
        sum += f32(x[t * WIDTH + i % WIDTH]);
        t = u32(next[t]);
    }
    out[i] = sum;
}
