    // An update block after block: one workgroup a block of 64 EACH vec4s, folded from x into y. For software adapters,
    // which pay for each workgroup, and where the update computes its gradients itself.
    let block = FIRST + group.y * groups.x + group.x;
    if step_skipped() || block * EACH * 64u >= LENGTH { return; }
    let at = row_at(block);
    let row = OPEN_ROW;
    close(block, lane);
    for (var i = first_of(block, lane); i < end_of(block); i += LANES) { PASS_step(at, row, i, PASS_old(i)); }
