//#slot added
// Sums over the invocations of a workgroup. The order of summation is fixed.
var<workgroup> sums: array<vec2<f32>, 256>;

// Over each `count` neighbours, a power of two, to each of them; over a workgroup of 64.
fn added_among(lane: u32, count: u32, own: vec2<f32>) -> vec2<f32> {
    sums[lane] = own;
    workgroupBarrier();
    for (var half = count / 2u; half > 0u; half >>= 1u) {
        if lane % count < half { sums[lane] += sums[lane + half]; }
        workgroupBarrier();
    }
    return sums[lane / count * count];
}

fn added(lane: u32, own: vec2<f32>) -> vec2<f32> { return added_among(lane, 64u, own); }
//#end
