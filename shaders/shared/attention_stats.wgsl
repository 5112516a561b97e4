// The softmax of a row for the backward pass: the largest score, then 1 / the sum of the exponentials, both
// [n, TQ, HEADS]. They stay apart, so that a shift of all scores changes no weight. A row that looks at nothing has 0 as
// the second, so its weights are 0 there too.
fn store_stats(at: u32, most: f32, by: f32) {
    out2[at] = T7(most);
    out2[BATCH * TQ * HEADS + at] = T7(by);
}
