    // The sum of each block for GPUs, its vec4s loaded as in pass_ahead.wgsl.
    let block = (group.y * groups.x + group.x) * (LANES / 16u) + lane / 16u;
    let i = block * 64u + lane % 16u;
    let old0 = PASS_old(min(i, LENGTH - 1u));
    let old1 = PASS_old(min(i + 16u, LENGTH - 1u));
    let old2 = PASS_old(min(i + 32u, LENGTH - 1u));
    let old3 = PASS_old(min(i + 48u, LENGTH - 1u));
    var own: array<vec2<f32>, 4>;
    if i < LENGTH && !step_skipped() {
        let at = row_at(block);
        let row = OPEN_ROW;
        own[0] = PASS_step(at, row, i, old0);
        if i + 16u < LENGTH { own[1] = PASS_step(at, row, i + 16u, old1); }
        if i + 32u < LENGTH { own[2] = PASS_step(at, row, i + 32u, old2); }
        if i + 48u < LENGTH { own[3] = PASS_step(at, row, i + 48u, old3); }
    }
    let sum = added_among(lane, 16u, (own[0] + own[2]) + (own[1] + own[3]));
    if lane % 16u == 0u && i < LENGTH { block_sums[block] = sum; }
