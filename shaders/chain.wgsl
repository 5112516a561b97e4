// A chain of elementwise ops, views included: out[i] = value(i), i < LENGTH.
// Shapes: out [LENGTH] in row-major order; inputs are read where the printed body says.
// Grid: one invocation an element, 64 a workgroup, folded into y.

//#slot types
alias T0 = f32; alias T1 = f32; alias T2 = f32; alias T3 = f32; alias T4 = f32;
alias T6 = f32;
//#end
@group(0) @binding(0) var<storage, read> in0: array<T0>;
@group(0) @binding(1) var<storage, read> in1: array<T1>;
@group(0) @binding(2) var<storage, read> in2: array<T2>;
@group(0) @binding(3) var<storage, read> in3: array<T3>;
@group(0) @binding(4) var<storage, read> in4: array<T4>;
@group(0) @binding(5) var<storage, read> state: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<T6>;

override LENGTH: u32;
override COLUMNS: u32 = 0u; // of the ring of step metrics, where the output is one
override COLUMN: u32 = 0u;

//#import math
//#import random

//#slot value
fn value(i: u32) -> f32 { return in0[i]; }
//#end

//#slot place
fn place(i: u32) -> u32 { return i; }
//#end

@compute @workgroup_size(64)
fn chain_map(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i < LENGTH) {
        out[place(i)] = T6(value(i));
    }
}
