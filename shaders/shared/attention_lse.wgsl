// A row that looks at nothing has 0, so that its exponentials are 0 in the backward pass too.
fn store_lse(at: u32, most: f32, sum: f32) { out2[at] = T7(select(most + log_(sum), 0.0, sum == 0.0)); }
