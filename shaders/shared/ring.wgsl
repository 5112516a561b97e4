// The index of element i of a metric of the open step: one row of COLUMNS numbers a step. state[1] counts steps from 1.
fn place(i: u32) -> u32 { return (state[1] - 1u) * COLUMNS + COLUMN + i; }
