// Statistics of each trained tensor after a step: of its weights, its gradients, and its update.
//
//   kind 0: weights    w
//   kind 1: gradients  grad / scale, of the whole batch and before clipping
//   kind 2: updates    w - previous
//
// A record of count numbers x. Numbers that are not finite are counted and ignored by all other entries:
//   0 zeros, 1 not finite, 2 min, 3 max, 4 mean, 5 sum of (x - mean)^2, 6 sum of x^2,
//   8 + b: how many are in bin b < 64, where m is 0 below 2^-26, else one more for each doubling, 31 from 2^4 on,
//          and b = 32 + m for x >= 0, 31 - m for x < 0
//
// statistics_chunks   a record of each chunk of a tensor, of each kind
// statistics_tensors  a record of each tensor from those of its chunks; means and squares are merged as by Chan et al. 1979
//
// shapes: spans [CHUNKS + TENSORS, 2]: first number and count of each chunk, then first chunk of each tensor and the one
//         past its last; chunks [CHUNKS, 3, 72], tensors [TENSORS, 3, 72] words
// grid:   one workgroup a chunk, or a tensor, folded from x into y; kinds along z. Orders of summation are fixed, and what
//         is added by atomics are whole numbers

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> previous: array<f32>;
@group(0) @binding(2) var<storage, read> grad: array<f32>;
@group(0) @binding(3) var<storage, read> spans: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> metrics: array<f32>;
@group(0) @binding(5) var<storage, read> state: array<u32>; // the words of Clock
@group(0) @binding(6) var<storage, read_write> chunks: array<u32>;
@group(0) @binding(6) var<storage, read> chunks_in: array<u32>;
@group(0) @binding(7) var<storage, read_write> tensors: array<u32>;

override CHUNKS: u32 = 1u;
override TENSORS: u32 = 1u;
override SCALED: bool = false;
override COLUMNS: u32 = 1u;
override COLUMN: u32 = 0u; // of the loss scale

const WORDS = 72u;
const LARGEST = 3.4028234e38;

var<workgroup> bins: array<atomic<u32>, 64>;
var<workgroup> zeros: atomic<u32>;
var<workgroup> bad: atomic<u32>;
var<workgroup> ranges: array<vec2<f32>, 64>;
var<workgroup> moments: array<vec4<f32>, 64>;

//#import added

fn number(kind: u32, i: u32, scale: f32) -> f32 {
    if (kind == 0u) { return weights[i]; }
    if (kind == 1u) { return grad[i] / scale; }
    return weights[i] - previous[i];
}

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

fn bin(x: f32) -> u32 {
    let exponent = (bitcast<u32>(x) >> 23u) & 255u;
    let m = u32(clamp(i32(exponent) - 100, 0, 31));
    return select(32u + m, 31u - m, x < 0.0);
}

// The smallest and the largest of a workgroup's.
fn ranged(lane: u32, own: vec2<f32>) -> vec2<f32> {
    ranges[lane] = own;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half >>= 1u) {
        if (lane < half) {
            let a = ranges[lane];
            let b = ranges[lane + half];
            ranges[lane] = vec2<f32>(min(a.x, b.x), max(a.y, b.y));
        }
        workgroupBarrier();
    }
    return ranges[0];
}

@compute @workgroup_size(64)
fn statistics_chunks(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let chunk = group.y * groups.x + group.x;
    if (chunk >= CHUNKS) { return; }
    let span = spans[chunk];
    let kind = group.z;
    var scale = 1.0;
    if (SCALED) { scale = metrics[(state[1] - 1u) * COLUMNS + COLUMN]; }

    atomicStore(&bins[lane], 0u);
    if (lane == 0u) {
        atomicStore(&zeros, 0u);
        atomicStore(&bad, 0u);
    }
    workgroupBarrier();
    var sum = vec2<f32>(0.0);
    var range = vec2<f32>(LARGEST, -LARGEST);
    for (var k = lane; k < span.y; k += 64u) {
        let x = number(kind, span.x + k, scale);
        if (is_finite(x)) {
            sum += vec2<f32>(x, x * x);
            range = vec2<f32>(min(range.x, x), max(range.y, x));
            atomicAdd(&bins[bin(x)], 1u);
            if ((bitcast<u32>(x) & 0x7fffffffu) == 0u) { atomicAdd(&zeros, 1u); }
        } else {
            atomicAdd(&bad, 1u);
        }
    }
    let sums_of = added(lane, sum);
    let range_of = ranged(lane, range);
    let mean = sums_of.x / max(f32(span.y - atomicLoad(&bad)), 1.0);
    var squares = 0.0;
    for (var k = lane; k < span.y; k += 64u) {
        let x = number(kind, span.x + k, scale);
        if (is_finite(x)) { squares += (x - mean) * (x - mean); }
    }
    let squares_of = added(lane, vec2<f32>(squares, 0.0));

    let at = (chunk * 3u + kind) * WORDS;
    chunks[at + 8u + lane] = atomicLoad(&bins[lane]);
    if (lane == 0u) {
        chunks[at] = atomicLoad(&zeros);
        chunks[at + 1u] = atomicLoad(&bad);
        chunks[at + 2u] = bitcast<u32>(range_of.x);
        chunks[at + 3u] = bitcast<u32>(range_of.y);
        chunks[at + 4u] = bitcast<u32>(mean);
        chunks[at + 5u] = bitcast<u32>(squares_of.x);
        chunks[at + 6u] = bitcast<u32>(sums_of.y);
    }
}

// Of two sets of numbers together: how many, their mean, the sum of (x - mean)^2, the sum of x^2.
fn merged(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let n = a.x + b.x;
    if (n == 0.0) { return vec4<f32>(0.0); }
    let apart = b.y - a.y;
    let share = b.x / n;
    return vec4<f32>(n, a.y + apart * share, a.z + b.z + apart * apart * (a.x * share), a.w + b.w);
}

@compute @workgroup_size(64)
fn statistics_tensors(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tensor = group.y * groups.x + group.x;
    if (tensor >= TENSORS) { return; }
    let span = spans[CHUNKS + tensor];
    let kind = group.z;
    if (lane == 0u) {
        atomicStore(&zeros, 0u);
        atomicStore(&bad, 0u);
    }
    workgroupBarrier();
    var own = vec4<f32>(0.0);
    var range = vec2<f32>(LARGEST, -LARGEST);
    for (var c = span.x + lane; c < span.y; c += 64u) {
        let at = (c * 3u + kind) * WORDS;
        let count = f32(spans[c].y - chunks_in[at + 1u]);
        let low = bitcast<f32>(chunks_in[at + 2u]);
        let high = bitcast<f32>(chunks_in[at + 3u]);
        let mean = bitcast<f32>(chunks_in[at + 4u]);
        let squares = bitcast<f32>(chunks_in[at + 5u]);
        own = merged(own, vec4<f32>(count, mean, squares, bitcast<f32>(chunks_in[at + 6u])));
        range = vec2<f32>(min(range.x, low), max(range.y, high));
        atomicAdd(&zeros, chunks_in[at]);
        atomicAdd(&bad, chunks_in[at + 1u]);
    }
    var in_bin = 0u;
    for (var c = span.x; c < span.y; c += 1u) { in_bin += chunks_in[(c * 3u + kind) * WORDS + 8u + lane]; }
    moments[lane] = own;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half >>= 1u) {
        if (lane < half) { moments[lane] = merged(moments[lane], moments[lane + half]); }
        workgroupBarrier();
    }
    let range_of = ranged(lane, range);

    let at = (tensor * 3u + kind) * WORDS;
    tensors[at + 8u + lane] = in_bin;
    if (lane == 0u) {
        let all = moments[0];
        tensors[at] = atomicLoad(&zeros);
        tensors[at + 1u] = atomicLoad(&bad);
        tensors[at + 2u] = bitcast<u32>(range_of.x);
        tensors[at + 3u] = bitcast<u32>(range_of.y);
        tensors[at + 4u] = bitcast<u32>(all.y);
        tensors[at + 5u] = bitcast<u32>(all.z);
        tensors[at + 6u] = bitcast<u32>(all.w);
    }
}
