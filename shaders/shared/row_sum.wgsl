// Stores the sum of a row of A.
fn store_row_sum(row: u32, sum: f32) {
    if (row < M) { out2[row] = T7(sum); }
}
