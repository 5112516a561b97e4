// adam_8bit: Adam and AdamW whose moments are kept in 8 bits between steps, 256 of a tensor to a scale.
//
//   m, v, w as in optim/adam.wgsl; the step is by the moments as it makes them, before they are put away
//   m is put away as c = round(127 sign(m) sqrt(|m| / absmax.x)), and comes back as absmax.x (c / 127) |c / 127|
//   v as c = round(255 (v / absmax.y)^(1/4)), at least 1 where v > 0, and comes back as absmax.y (c / 255)^4
//   absmax = (max |m|, max v) over the block
//
// Codes lie denser near 0, and none of a v that is not 0 is 0, for its root is divided by. Zeros are zeros.
//
// shapes: grad, param [LENGTH] vec4, padding included; table: rows of shared/update.wgsl; absmax a pair a block in 8
//         bits; exp_avg, exp_avg_sq block after block: 64 words of four codes, or, of tensors too small, 256 f32s
// grid:   one workgroup of LANES a block of 64 vec4s, folded from x into y
// source: Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization", but for the codes, which are powers here
//         in place of their tree, and for blocks of 256 in place of 2048

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> exp_avg: array<u32>;
@group(0) @binding(5) var<storage, read_write> exp_avg_sq: array<u32>;
@group(0) @binding(6) var<storage, read_write> absmax: array<vec2<f32>>;

override LENGTH: u32;

//#import update
//#import adam

// The blocks in f32.
//#slot wide
fn is_wide(block: u32) -> bool { return false; }
fn wide_before(block: u32) -> u32 { return 0u; }
//#end

// The largest of a block, to each of its LANES invocations, which have PER vec4s each.
//#slot largest
const PER: u32 = 1u;

var<workgroup> parts: array<vec2<f32>, 64>;

fn largest(lane: u32, own: vec2<f32>) -> vec2<f32> {
    parts[lane] = own;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half >>= 1u) {
        if lane < half { parts[lane] = max(parts[lane], parts[lane + half]); }
        workgroupBarrier();
    }
    return parts[0];
}
//#end

fn largest_of(x: vec4<f32>) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }

// Four moments each, as they were kept.
fn opened(at: u32, most: vec2<f32>) -> Moments {
    let c = vec4<f32>(unpack4xI8(exp_avg[at])) / 127.0;
    let d = vec4<f32>(unpack4xU8(exp_avg_sq[at])) / 255.0;
    let square = d * d;
    return Moments(most.x * (c * abs(c)), most.y * (square * square));
}

fn keep(at: u32, next: Moments, most: vec2<f32>) {
    var c = vec4<i32>(0);
    var d = vec4<u32>(0u);
    if most.x > 0.0 { c = vec4<i32>(round(127.0 * sign(next.m) * sqrt(abs(next.m) / most.x))); }
    if most.y > 0.0 { d = vec4<u32>(round(255.0 * sqrt(sqrt(next.v / most.y)))); }
    exp_avg[at] = pack4xI8(c);
    exp_avg_sq[at] = pack4xU8(max(d, vec4<u32>(next.v > vec4<f32>(0.0))));
}

fn wide_opened(at: u32) -> Moments {
    let m = vec4<u32>(exp_avg[at], exp_avg[at + 1u], exp_avg[at + 2u], exp_avg[at + 3u]);
    let v = vec4<u32>(exp_avg_sq[at], exp_avg_sq[at + 1u], exp_avg_sq[at + 2u], exp_avg_sq[at + 3u]);
    return Moments(bitcast<vec4<f32>>(m), bitcast<vec4<f32>>(v));
}

fn wide_keep(at: u32, next: Moments) {
    let m = bitcast<vec4<u32>>(next.m);
    let v = bitcast<vec4<u32>>(next.v);
    for (var k = 0u; k < 4u; k += 1u) {
        exp_avg[at + k] = m[k];
        exp_avg_sq[at + k] = v[k];
    }
}

@compute @workgroup_size(LANES)
fn adam_8bit_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    //#slot subgroup
    //#end
) {
    //#slot which_subgroup
    //#end
    let block = group.y * groups.x + group.x;
    let at = row_at(block);
    let row = open_row(at);
    let wide = is_wide(block);
    let before = wide_before(block);
    let first = 64u * block + 192u * before; // word of the block's first moment
    let live = block * 64u < LENGTH && !step_skipped();
    var most = vec2<f32>(0.0);
    if live {
        close(block, lane);
        if !wide { most = absmax[block - before]; }
    }
    var next: array<Moments, PER>;
    var own = vec2<f32>(0.0);
    for (var k = 0u; k < PER; k += 1u) {
        let j = k * LANES + lane;
        let i = block * 64u + j;
        if live && i < LENGTH {
            let w = param[i];
            let g = gradient(at, i) + row.decay * w;
            if wide {
                next[k] = next_moments(row, wide_opened(first + 4u * j), g);
                wide_keep(first + 4u * j, next[k]);
            } else {
                next[k] = next_moments(row, opened(first + j, most), g);
                own = max(own, vec2<f32>(largest_of(abs(next[k].m)), largest_of(next[k].v)));
            }
            put(at, i, next_weight(row, w, next[k].m, next[k].v));
        }
    }
    most = largest(lane, own);
    if live && !wide {
        for (var k = 0u; k < PER; k += 1u) { keep(first + k * LANES + lane, next[k], most); }
        if lane == 0u { absmax[block - before] = most; }
    }
}
