//! Layers built from a config: parameters by torch's names, and shapes.

use crate::graph::Graph;
use crate::nn::{Net, Sequential};
use toml::Value;

/// A value of TOML.
pub(super) fn value(text: &str) -> Value {
    format!("v = {text}").parse::<toml::Table>().unwrap().remove("v").unwrap()
}

pub(super) fn read(layers: Value) -> Result<Sequential, String> {
    super::read("model.layers", layers).map_err(|err| err.to_string())
}

/// The parameters of `layers` on an input of this shape, or the error.
pub(super) fn build(layers: &str, shape: &[usize]) -> Result<Vec<String>, String> {
    let graph = Graph::new();
    let x = if layers.starts_with("[{ embedding") {
        graph.input_i32("x", shape)
    } else {
        graph.input("x", shape)
    };
    let y = read(value(layers))?.build(&Net::new(&graph, true), &x);
    graph.check().map_err(|err| err.to_string())?;
    let mut named: Vec<String> =
        graph.parameters().iter().map(|p| format!("{} {}", p.name, p.shape)).collect();
    named.push(format!("{:?}", y.shape()));
    Ok(named)
}

fn built(layers: &str, shape: &[usize], names: &[&str]) {
    assert_eq!(build(layers, shape).unwrap(), names, "{layers}");
}

#[test]
fn containers_nest_names_as_torch_does() {
    built(
        "[\"relu\", { residual = [{ linear = 4 }, \"relu\", { linear = { out_features = 4, bias = false } }] }]",
        &[5, 4],
        &["1.layers.0.weight [4, 4]", "1.layers.0.bias [4]", "1.layers.2.weight [4, 4]", "[5, 4]"],
    );
    built(
        "[{ residual = { layers = [{ linear = 3 }], shortcut = [{ linear = { out_features = 3, bias = false } }] } }]",
        &[5, 4],
        &["0.layers.0.weight [3, 4]", "0.layers.0.bias [3]", "0.shortcut.0.weight [3, 4]", "[5, 3]"],
    );
    built(
        "[{ parallel = [[\"relu\", { linear = 2 }], [], [{ linear = 3 }]] }]",
        &[5, 4],
        &["0.0.1.weight [2, 4]", "0.0.1.bias [2]", "0.2.0.weight [3, 4]", "0.2.0.bias [3]", "[5, 9]"],
    );
    built("[{ parallel = { branches = [[\"relu\"], [\"tanh\"]], axis = -2 } }]", &[5, 3, 4], &["[5, 6, 4]"]);
    built("[{ parallel = { branches = [[\"relu\"], []], join = \"add\" } }]", &[5, 3], &["[5, 3]"]);
    built(
        "[\"relu\", { repeat = { times = 2, layers = [{ linear = { out_features = 4, bias = false } }] } }]",
        &[5, 4],
        &["1.0.0.weight [4, 4]", "1.1.0.weight [4, 4]", "[5, 4]"],
    );
    for checkpoint in [false, true] {
        built(
            &format!(
                "[{{ block = {{ name = \"encoder\", checkpoint = {checkpoint}, layers = [
                    {{ block = {{ name = \"head\", layers = [{{ linear = 2 }}] }} }}, {{ linear = 1 }}] }} }},
                  {{ linear = 4 }}]"
            ),
            &[5, 4],
            &[
                "encoder.head.0.weight [2, 4]",
                "encoder.head.0.bias [2]",
                "encoder.1.weight [1, 2]",
                "encoder.1.bias [1]",
                "1.weight [4, 1]",
                "1.bias [4]",
                "[5, 4]",
            ],
        );
    }
}

#[test]
fn shapes_are_turned_and_merged() {
    built("[{ flatten = 2 }]", &[5, 2, 3, 4], &["[5, 2, 12]"]);
    built("[\"flatten\"]", &[5, 2, 3, 4], &["[5, 24]"]);
    built("[{ reshape = [4, -1, 2] }]", &[5, 2, 3, 4], &["[5, 4, 3, 2]"]);
    built("[{ reshape = [24] }]", &[5, 2, 3, 4], &["[5, 24]"]);
    built("[{ reshape = [] }]", &[5, 1], &["[5]"]);
    built("[{ permute = [3, 1, 2] }]", &[5, 2, 3, 4], &["[5, 4, 2, 3]"]);
}

#[test]
fn one_number_stands_for_every_axis() {
    let conv = |options: &str| format!("[{{ conv2d = {{ out_channels = 6, {options} }} }}]");
    let weight = |k: &str| format!("0.weight [6, 2, {k}]");
    for (options, k, shape) in [
        ("kernel_size = 3", "3, 3", "[5, 6, 6, 7]"),
        ("kernel_size = [3, 5]", "3, 5", "[5, 6, 6, 5]"),
        ("kernel_size = [3, 5], padding = \"same\"", "3, 5", "[5, 6, 8, 9]"),
        ("kernel_size = [3, 5], padding = [1, 2], stride = [2, 1]", "3, 5", "[5, 6, 4, 9]"),
        ("kernel_size = 3, padding = 1, dilation = 2", "3, 3", "[5, 6, 6, 7]"),
    ] {
        built(&conv(options), &[5, 2, 8, 9], &[&weight(k), "0.bias [6]", shape]);
    }
    built(
        "[{ conv1d = { out_channels = 4, kernel_size = [3], groups = 2, bias = false } }]",
        &[5, 2, 8],
        &["0.weight [4, 1, 3]", "[5, 4, 6]"],
    );
    built(
        "[{ conv_transpose2d = { out_channels = 3, kernel_size = 2, stride = 2 } }]",
        &[5, 2, 8, 9],
        &["0.weight [2, 3, 2, 2]", "0.bias [3]", "[5, 3, 16, 18]"],
    );
    for (layer, shape) in [
        ("{ max_pool2d = 2 }", &[5, 2, 4, 4][..]),
        ("{ max_pool2d = [2, 3] }", &[5, 2, 4, 3]),
        ("{ max_pool2d = { kernel_size = 3, stride = [2, 1], padding = 1 } }", &[5, 2, 4, 9]),
        ("{ avg_pool2d = { kernel_size = 2, ceil_mode = true } }", &[5, 2, 4, 5]),
        ("{ adaptive_avg_pool2d = [3, 1] }", &[5, 2, 3, 1]),
        ("{ upsample = [2, 1.5] }", &[5, 2, 16, 13]),
        ("{ upsample = { size = 3, mode = \"bilinear\" } }", &[5, 2, 3, 3]),
        ("\"global_max_pool\"", &[5, 2]),
    ] {
        built(&format!("[{layer}]"), &[5, 2, 8, 9], &[&format!("{shape:?}")]);
    }
}

#[test]
fn layers_of_sequences_have_the_parameters_of_torch() {
    let embed = "{ embedding = { num_embeddings = 9, embedding_dim = 4, padding_idx = 0 } }";
    built(
        &format!("[{embed}, {{ positional_embedding = 7 }}, {{ multi_head_attention = 2 }}]"),
        &[5, 7],
        &[
            "0.weight [9, 4]",
            "1.weight [7, 4]",
            "2.in_proj_weight [12, 4]",
            "2.in_proj_bias [12]",
            "2.out_proj.weight [4, 4]",
            "2.out_proj.bias [4]",
            "[5, 7, 4]",
        ],
    );
    let gates = |name: &str, n: usize| {
        let parts = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
        let of = |layer: usize, input: usize| {
            let shapes = [format!("[{n}, {input}]"), format!("[{n}, 3]"), format!("[{n}]"), format!("[{n}]")];
            parts.into_iter().zip(shapes).map(move |(part, shape)| format!("{name}.{part}_l{layer} {shape}"))
        };
        of(0, 4).chain(of(1, 3)).collect::<Vec<_>>()
    };
    for (kind, times) in [("gru", 3), ("lstm", 4)] {
        for (sequences, shape) in [(true, "[5, 7, 3]"), (false, "[5, 3]")] {
            let mut names = gates("0", times * 3);
            names.push(shape.to_owned());
            let layers = format!(
                "[{{ {kind} = {{ hidden_size = 3, num_layers = 2, return_sequences = {sequences} }} }}]"
            );
            assert_eq!(build(&layers, &[5, 7, 4]).unwrap(), names);
        }
    }
}
