// The average of the weights: avg <- keep avg + (1 - keep) w, or w itself where keep is 0.
@group(0) @binding(7) var<storage, read_write> averaged: array<vec4<f32>>;

fn average_put(at: u32, i: u32, w: vec4<f32>) {
    let keep = table[at + 3u].y;
    if (keep == 0.0) {
        averaged[i] = w;
    } else {
        averaged[i] = blend(averaged[i], w, 1.0 - keep);
    }
}
