// The sums of a batch over its shards. Each shard has a slot, which its micro-batches add to; the slots are added in a
// fixed tree of pairs, so that the sum has the same bits however many ranks the shards are dealt to.
//
// shards_weigh  slot[s] <- share grad + (slot[s], but for the first micro-batch of a shard); closes the micro-batch
// shards_move   slot[s] <- share (next - now) + (slot[s], as above): what the micro-batch changes in running statistics
// shards_add    total <- the sum over slots 0 .. COUNT: (0 + 1) + (2 + 3), .. A slot that no micro-batch of the step has
//               filled is 0. GATHERED: each slot holds the sum of a rank, and all are filled
// shards_apply  now <- now + total
//
// shapes: grad, next, now and total [LENGTH] vec4; slot [COUNT, LENGTH] vec4; shares [micro-batches of the window]: share,
//         0 for the first of its shard, else 1, the shard's slot, slots filled so far
// grid:   one workgroup a block of 64 vec4s, folded from x into y

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(0) var<storage, read> next: array<vec4<f32>>;
@group(0) @binding(0) var<storage, read> filled: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> shares: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> change: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> slot: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> total: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> running: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> now: array<vec4<f32>>;

override LENGTH: u32;
override COUNT: u32 = 1u;
override GATHERED: bool = false;

fn index(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
    return (group.y * groups.x + group.x) * 64u + lane;
}

// Adds numbers of the open micro-batch, weighted by its share, to its shard.
fn add_to_slot(i: u32, own: vec4<f32>) {
    let share = shares[state[1] - 1u];
    let place = u32(share.z) * LENGTH + i;
    var sum = share.x * own;
    if (share.y != 0.0) { sum += slot[place]; }
    slot[place] = sum;
}

@compute @workgroup_size(64)
fn shards_weigh(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = index(group, groups, lane);
    if (i >= LENGTH) { return; }
    add_to_slot(i, grad[i]);
    if (i == 0u) { state[0] = state[1]; }
}

@compute @workgroup_size(64)
fn shards_move(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = index(group, groups, lane);
    if (i >= LENGTH) { return; }
    add_to_slot(i, next[i] - now[i]);
}

@compute @workgroup_size(64)
fn shards_add(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = index(group, groups, lane);
    if (i >= LENGTH) { return; }
    var present = COUNT;
    if (!GATHERED) { present = u32(shares[state[1] - 1u].w); }
    // Sums of 1, 2, 4 .. slots that wait for their pair: at most 64 slots.
    var waiting: array<vec4<f32>, 7>;
    var level = 0u;
    for (var s = 0u; s < COUNT; s++) {
        var sum = vec4<f32>(0.0);
        if (s < present) { sum = filled[s * LENGTH + i]; }
        level = 0u;
        for (var pairs = s; (pairs & 1u) == 1u; pairs >>= 1u) {
            sum = waiting[level] + sum;
            level++;
        }
        waiting[level] = sum;
    }
    total[i] = waiting[level];
}

@compute @workgroup_size(64)
fn shards_apply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = index(group, groups, lane);
    if (i >= LENGTH) { return; }
    running[i] += change[i];
}
