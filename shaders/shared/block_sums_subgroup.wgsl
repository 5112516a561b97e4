    // The sum of each block where a workgroup is a subgroup of eight, one block each.
    let block = group.y * groups.x + group.x;
    if block * 64u >= LENGTH { return; }
    let at = row_at(block);
    let row = OPEN_ROW;
    let skipped = step_skipped();
    var tree = Tree();
    for (var k = 0u; k < 8u; k += 1u) {
        let i = block * 64u + 8u * nth(k) + lane;
        var term = vec2<f32>(0.0);
        if i < LENGTH && !skipped { term = PASS_step(at, row, i, PASS_old(i)); }
        tree = grown(tree, k, term);
    }
    let sum = added_among(lane, 8u, tree.sum);
    if lane == 0u { block_sums[block] = sum; }
