// A tensor to a subgroup of eight: eight sums a lane, of blocks 8 apart, each over every 64th block.
const LANES: u32 = 8u;

fn own_sum(first: u32, end: u32) -> vec2<f32> {
    var s0 = vec2<f32>(0.0);
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    var s4 = s0;
    var s5 = s0;
    var s6 = s0;
    var s7 = s0;
    for (var b = first; b < end; b += 64u) {
        s0 += sum_at(b, end);
        s1 += sum_at(b + 8u, end);
        s2 += sum_at(b + 16u, end);
        s3 += sum_at(b + 24u, end);
        s4 += sum_at(b + 32u, end);
        s5 += sum_at(b + 40u, end);
        s6 += sum_at(b + 48u, end);
        s7 += sum_at(b + 56u, end);
    }
    return ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7));
}

fn put_norms(first: u32, end: u32, norm: vec2<f32>) {
    for (var b = first; b < end; b += 64u) {
        put_norm(b, end, norm);
        put_norm(b + 8u, end, norm);
        put_norm(b + 16u, end, norm);
        put_norm(b + 24u, end, norm);
        put_norm(b + 32u, end, norm);
        put_norm(b + 40u, end, norm);
        put_norm(b + 48u, end, norm);
        put_norm(b + 56u, end, norm);
    }
}
