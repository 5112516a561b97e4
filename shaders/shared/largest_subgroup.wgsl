// A block to eight invocations, which are a subgroup: no barrier.
const PER: u32 = 8u;

fn largest(lane: u32, own: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(subgroupMax(own.x), subgroupMax(own.y));
}
