// Four numbers of a row of the forward kernel's output, 0 past its end.
fn forward_four(n: u32, row: u32, h: u32, c: u32) -> vec4<f32> {
    let at = ((n * TQ + row) * HEADS + h) * D + 4u * c;
    let left = D - 4u * c;
    let x = vec4<f32>(vec4<T13>(forward[at], forward[at + min(1u, left - 1u)], forward[at + min(2u, left - 1u)], forward[at + min(3u, left - 1u)]));
    return select(vec4<f32>(), x, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(left));
}
