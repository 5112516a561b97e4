// The sum over a workgroup of 64, to each of its lanes. The order of summation is fixed.
var<workgroup> sums: array<vec2<f32>, 64>;

fn added(lane: u32, own: vec2<f32>) -> vec2<f32> {
    sums[lane] = own;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half >>= 1u) {
        if lane < half { sums[lane] += sums[lane + half]; }
        workgroupBarrier();
    }
    return sums[0];
}
