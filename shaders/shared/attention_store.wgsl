// The gradients of k and v have a buffer of their own.
fn store_kv(at: u32, c: u32, x: vec4<f32>) {
    out2[at + 4u * c] = T7(x.x);
    if (4u * c + 1u < D) { out2[at + 4u * c + 1u] = T7(x.y); }
    if (4u * c + 2u < D) { out2[at + 4u * c + 2u] = T7(x.z); }
    if (4u * c + 3u < D) { out2[at + 4u * c + 3u] = T7(x.w); }
}
