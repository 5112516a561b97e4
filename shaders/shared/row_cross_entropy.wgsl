// A stage of mlp_rows: cross-entropy of rows of logits, and its gradient, as cross_entropy.wgsl has them. A row has LANES
// invocations, which stride over the classes; then a fixed tree.
fn stage_STAGE_tree(lane: u32, largest: bool) {
    for (var half = LANES / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if (lane % LANES < half) {
            let other = tree[lane + half];
            if (largest) { tree[lane] = maximum(tree[lane], other); } else { tree[lane] += other; }
        }
    }
    workgroupBarrier();
}

fn stage_STAGE(row0: u32, lane: u32) {
    let row = min(row0 + lane / LANES, BATCH - 1u);
    let first = lane % LANES;
    let t = TARGET;
    let kept = !(HAS_IGNORE && t == IGNORED);
    let hit = u32(clamp(t, 0i, i32(CLASSES) - 1i));
    var most = logit_STAGE(row, min(first, CLASSES - 1u));
    for (var c = first + LANES; c < CLASSES; c += LANES) { most = maximum(most, logit_STAGE(row, c)); }
    tree[lane] = most;
    stage_STAGE_tree(lane, true);
    let largest = tree[lane - first];
    workgroupBarrier();
    var sum = 0.0;
    for (var c = first; c < CLASSES; c += LANES) {
        sum += select(exp_(logit_STAGE(row, c) - largest), 0.0, c == hit);
    }
    tree[lane] = sum;
    stage_STAGE_tree(lane, false);
    let others = tree[lane - first];
    workgroupBarrier();
    let at_hit = logit_STAGE(row, hit) - largest;
    let z = others + exp_(at_hit);
    var mean = 0.0;
    if (SMOOTHING != 0.0) {
        for (var c = first; c < CLASSES; c += LANES) { mean += logit_STAGE(row, c) - largest; }
        tree[lane] = mean;
        stage_STAGE_tree(lane, false);
        mean = tree[lane - first] / f32(CLASSES);
        workgroupBarrier();
    }
    let inside = row0 + lane / LANES < BATCH;
    if (first == 0u && inside) {
        let log_sum = log_(z);
        var loss = log_sum - at_hit;
        if (SMOOTHING != 0.0) { loss = (1.0 - SMOOTHING) * loss + SMOOTHING * (log_sum - mean); }
        loss = select(0.0, loss, kept);
        LOSS_STORE
    }
    if (inside) {
        let up = select(0.0, upstream_STAGE(row), kept);
        let by = 1.0 / z;
        for (var c = first; c < CLASSES; c += LANES) {
            var d = exp_(logit_STAGE(row, c) - largest) * by - SMOOTHING / f32(CLASSES);
            if (c == hit) { d = SMOOTHING - SMOOTHING / f32(CLASSES) - others * by; }
            d = select(0.0, up * d, kept);
            GRADIENT_STORE
        }
    }
}
