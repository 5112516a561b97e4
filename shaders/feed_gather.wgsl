// Opens a step and gathers its minibatch from the data set on the device, or from the part of it that is there:
//   x[i, :] = inputs[X_FIRST + order[row * STRIDE + i] * X_HOP ..][: X], t likewise.
// Numbers of 32 bits travel as they are, narrower ones become i32 or f32, and x_at scales them where a field says so;
// in fours where a sample, its hop and its beginning are whole numbers of those (X, X_FIRST and X_HOP count in the
// same unit).
// Shapes: x [BATCH, X], t [BATCH, T], order [steps, STRIDE]. inputs and targets are samples one after the other
// (the hop is a sample long), or sequences that samples are windows over, perhaps the same one.
// state[0] counts the steps done within the window and is the row; state[1] becomes state[0] + 1, where OPENS is
// not 0. Further fields are gathered by further dispatches, which do not open. Nets that train at once on the same samples
// have OPENS states, STATE_HOP words apart, and all of them are opened.
// Grid: one invocation a unit of x and t, 64 a workgroup, folded into y.

//#import unpack
//#slot units
alias XUnit = u32; alias XFrom = u32; alias TUnit = u32; alias TFrom = u32;
//#end
@group(0) @binding(0) var<storage, read> inputs: array<XFrom>;
//#slot targets
@group(0) @binding(1) var<storage, read> targets: array<TFrom>;
//#end
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> x: array<XUnit>;
//#slot t
@group(0) @binding(5) var<storage, read_write> t: array<TUnit>;
//#end

override BATCH: u32;
override STRIDE: u32;
override OPENS: u32;
override STATE_HOP: u32 = 0u;
override X: u32;
override X_FIRST: u32;
override X_HOP: u32;
override T: u32;
override T_FIRST: u32;
override T_HOP: u32;

// The unit at `at` of the source, which is the sample's unit `unit`.
//#slot x_at
fn x_at(at: u32, unit: u32) -> XUnit { return inputs[at]; }
//#end
//#slot t_at
fn t_at(at: u32, unit: u32) -> TUnit { return targets[at]; }
//#end

@compute @workgroup_size(64)
fn feed_gather(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    let row = state[0];
    if (i < BATCH * X) {
        x[i] = x_at(X_FIRST + order[row * STRIDE + i / X] * X_HOP + i % X, i % X);
    }
    //#slot gather_t
    else if (i < BATCH * (X + T)) {
        let j = i - BATCH * X;
        t[j] = t_at(T_FIRST + order[row * STRIDE + j / T] * T_HOP + j % T, j % T);
    }
    //#end
    if (i < OPENS) { state[i * STATE_HOP + 1u] = row + 1u; }
}
