// The sum of dout out over D, computed where it is read.
fn delta_of(n: u32, row: u32, h: u32) -> f32 {
    var sum = vec4<f32>();
    for (var c = 0u; c < D4; c++) { sum += dout_four(n, row, h, c) * forward_four(n, row, h, c); }
    return total(sum);
}
