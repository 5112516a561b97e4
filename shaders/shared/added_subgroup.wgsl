// The sums of added.wgsl without barriers, for workgroups that are one subgroup of eight. Each lane adds up eight terms
// itself, which there were those of lanes 8 apart, in the order of that tree; so they have the bits of that tree.
fn added_among(lane: u32, count: u32, own: vec2<f32>) -> vec2<f32> {
    let a = (subgroupBroadcast(own, 0u) + subgroupBroadcast(own, 4u)) + (subgroupBroadcast(own, 2u) + subgroupBroadcast(own, 6u));
    let b = (subgroupBroadcast(own, 1u) + subgroupBroadcast(own, 5u)) + (subgroupBroadcast(own, 3u) + subgroupBroadcast(own, 7u));
    return a + b;
}

// The sum of eight terms by a tree, ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)): they come in the order 0 4 2 6 1 5 3 7.
struct Tree {
    one: vec2<f32>,
    two: vec2<f32>,
    sum: vec2<f32>,
}

// Which term comes as the k-th.
fn nth(k: u32) -> u32 { return ((k & 1u) << 2u) | (k & 2u) | (k >> 2u); }

fn grown(tree: Tree, k: u32, term: vec2<f32>) -> Tree {
    let two = tree.one + term;
    let four = tree.two + two;
    let sum = select(four, tree.sum + four, k == 7u);
    return Tree(select(term, tree.one, (k & 1u) == 1u), select(tree.two, two, (k & 3u) == 1u), select(tree.sum, sum, (k & 3u) == 3u));
}
