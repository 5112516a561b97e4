// The directions of matrices that all have a multiple of four elements.
@group(0) @binding(6) var<storage, read_write> directions: array<vec4<f32>>;

fn put_directions(own: BlockRow, first: u32, d: vec4<f32>) {
    if first < own.left { directions[(own.place + first) / 4u] = d; }
}

fn directions_of(own: BlockRow, first: u32) -> vec4<f32> {
    if first < own.left { return directions[(own.place + first) / 4u]; }
    return vec4<f32>(0.0);
}
