// Unpacks numbers of fewer than 32 bits from little-endian words: four at once, or the one at an index counted from the
// first number of the first word.

fn four_u8(word: u32) -> vec4<u32> {
    return (vec4(word) >> vec4(0u, 8u, 16u, 24u)) & vec4(0xffu);
}
fn four_i8(word: u32) -> vec4<i32> {
    return bitcast<vec4<i32>>(vec4(word) << vec4(24u, 16u, 8u, 0u)) >> vec4(24u);
}
fn four_u16(words: vec2<u32>) -> vec4<u32> {
    return (words.xxyy >> vec4(0u, 16u, 0u, 16u)) & vec4(0xffffu);
}
fn four_i16(words: vec2<u32>) -> vec4<i32> {
    return bitcast<vec4<i32>>(words.xxyy << vec4(16u, 0u, 16u, 0u)) >> vec4(16u);
}
fn four_f16(words: vec2<u32>) -> vec4<f32> {
    return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
}
fn one_u8(word: u32, at: u32) -> u32 {
    return (word >> (8u * (at % 4u))) & 0xffu;
}
fn one_i8(word: u32, at: u32) -> i32 {
    return bitcast<i32>(word << (24u - 8u * (at % 4u))) >> 24u;
}
fn one_u16(word: u32, at: u32) -> u32 {
    return (word >> (16u * (at % 2u))) & 0xffffu;
}
fn one_i16(word: u32, at: u32) -> i32 {
    return bitcast<i32>(word << (16u - 16u * (at % 2u))) >> 16u;
}
fn one_f16(word: u32, at: u32) -> f32 {
    return unpack2x16float(word)[at % 2u];
}
