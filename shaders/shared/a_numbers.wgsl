// A as numbers one by one, with any strides.
alias AUnit = T8;
const A_WIDTH = 1u;
fn a_four(p: u32) -> vec4<f32> { return vec4<f32>(vec4<T8>(a[p], a[p + A_COL], a[p + 2u * A_COL], a[p + 3u * A_COL])); }
fn a_one(p: u32) -> f32 { return f32(a[p]); }
