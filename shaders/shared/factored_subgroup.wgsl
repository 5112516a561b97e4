// The sums of optim/adafactor.wgsl where a workgroup is a subgroup of eight: a lane has a column or a short row, or all have a
// long line. A long line has 64 parts, of every 64th element each, in the order of the tree of added.wgsl. The gradient is
// read as vec4s, as by the other passes, which so share an image with this one.
fn line_sum(lane: u32, at: u32, kind: u32, base: u32, stride: u32, length: u32) -> f32 {
    let long = (kind & LONG) != 0u;
    let to_all = (kind >> LINES_FROM) == 0u;
    // One loop for all kinds: where lanes branch, a software adapter does both sides.
    let turns = select(1u, 8u, long && !to_all);
    let parts = select(1u, 8u, long);
    let step = select(1u, 64u, long);
    var of_turns = Tree();
    for (var k = 0u; k < turns; k += 1u) {
        let first = select(nth(k), lane, to_all);
        var of_parts = Tree();
        for (var j = 0u; j < parts; j += 1u) {
            var own = 0.0;
            for (var e = 8u * nth(j) + first; e < length; e += step) {
                let element = base + e * stride;
                own += square(at, grad[element >> 2u][element & 3u]);
            }
            of_parts = grown(of_parts, j, vec2<f32>(own));
        }
        of_turns = grown(of_turns, k, select(of_parts.one, of_parts.sum, long));
    }
    let own = select(of_turns.one, of_turns.sum, long && !to_all);
    return select(own, added_among(lane, LANES, own), to_all).x;
}

fn means_sum(lane: u32, first: u32, height: u32) -> f32 {
    var tree = Tree();
    for (var j = 0u; j < 8u; j += 1u) {
        var own = 0.0;
        for (var k = 8u * nth(j) + lane; k < height; k += 64u) { own += variance[first + k]; }
        tree = grown(tree, j, vec2<f32>(own));
    }
    return added_among(lane, LANES, tree.sum).x;
}
