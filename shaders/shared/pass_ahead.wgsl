    // An update for GPUs: sixteen invocations a block of 64 vec4s, four each, and LANES / 16 blocks a workgroup, folded from
    // x into y. All loads go out before the row of the step is asked for, which is behind two loads that wait for each
    // other. Past the end the last vec4 is loaded again, and nothing is stored.
    let block = FIRST + (group.y * groups.x + group.x) * (LANES / 16u) + lane / 16u;
    let i = block * 64u + lane % 16u;
    let old0 = PASS_old(min(i, LENGTH - 1u));
    let old1 = PASS_old(min(i + 16u, LENGTH - 1u));
    let old2 = PASS_old(min(i + 32u, LENGTH - 1u));
    let old3 = PASS_old(min(i + 48u, LENGTH - 1u));
    if step_skipped() || i >= LENGTH { return; }
    let at = row_at(block);
    let row = OPEN_ROW;
    close(block, lane);
    PASS_step(at, row, i, old0);
    if i + 16u < LENGTH { PASS_step(at, row, i + 16u, old1); }
    if i + 32u < LENGTH { PASS_step(at, row, i + 32u, old2); }
    if i + 48u < LENGTH { PASS_step(at, row, i + 48u, old3); }
