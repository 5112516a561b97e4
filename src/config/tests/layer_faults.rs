//! Errors of layers that cannot be read, and of layers that do not fit.

use super::cases;
use super::layers::{build, read, value};
use crate::graph::Graph;
use crate::nn::{Layer, Net};

#[track_caller]
fn says(layers: &str, text: String, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{layers}: {text}");
    }
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    for (layers, words) in cases(
        r#"
        [{ conv2d = 16 }] => model.layers[0].conv2d.kernel_size is missing || kernel_size = 3
        ["conv2d"] => model.layers[0].conv2d.out_channels is missing
        ["linear"] => model.layers[0].linear.out_features is missing || { linear = 128 }
        [{ linear = true }] => model.layers[0].linear.out_features = true || whole number || true or false
        [{ conv2d = { out_channels = 1, kernelsize = 3 } }] => conv2d.kernelsize || "kernel_size"
        [{ conv2d = { out_channels = 1, kernel_size = [3] } }] => model.layers[0].conv2d.kernel_size = [3] || a list of 2
        [{ conv2d = { out_channels = 1, kernel_size = [3, -1] } }] => model.layers[0].conv2d.kernel_size[1] = -1 || whole number from 0 on
        [{ conv2d = { out_channels = 1, kernel_size = 2.5 } }] => kernel_size = 2.5 || a number
        [{ conv2d = { out_channels = 1, kernel_size = [[3], 3] } }] => kernel_size[0] = [3] || a list
        [{ conv2d = { out_channels = 1, kernel_size = 9000000000 } }] => kernel_size = 9000000000
        [{ conv2d = { out_channels = 1, kernel_size = 0 } }] => model.layers[0].conv2d.kernel_size = [0, 0]
        [{ conv2d = { out_channels = 0, kernel_size = 1 } }] => out_channels = 0 || at least 1
        [{ conv1d = { out_channels = 1, kernel_size = 3, padding = "valid" } }] => model.layers[0].conv1d.padding = "valid" || "same", or a whole number
        [{ gelu = "erf" }] => gelu.approximate = "erf" || "none" or "tanh" is needed
        [{ softplus = 0 }] => model.layers[0].softplus.beta = 0 || above 0
        [{ elu = 1e39 }] => model.layers[0].elu.alpha || finite
        [{ elu = "1" }] => model.layers[0].elu.alpha = "1" || a number is needed || a string
        [{ relu = { slope = 1 } }] => model.layers[0].relu.slope || none
        [{ linear = 3, relu = 1 }] => model.layers[0] || a table of one name
        [{ max_pool2d = 0 }] => model.layers[0].max_pool2d || kernel_size = [0, 0]
        [{ avg_pool1d = { kernel_size = 2, dilation = 2 } }] => avg_pool1d.dilation || there are: kernel_size
        ["adaptive_avg_pool2d"] => output_size is missing || { adaptive_avg_pool2d = 1 }
        [{ adaptive_avg_pool2d = [3, 0] }] => output_size = 0
        ["upsample"] => model.layers[0].upsample || one of scale_factor and size
        [{ upsample = { size = 4, scale_factor = 2 } }] => one of scale_factor and size
        [{ upsample = 0 }] => scale_factor = [0.0, 0.0]
        [{ upsample = [2, "x"] }] => model.layers[0].upsample.scale_factor[1] = "x" || a finite number
        [{ upsample = nan }] => upsample.scale_factor = nan || a finite number
        [3] => model.layers[0] = 3 || "flatten" or { reshape = [8, -1] }
        [{ upsample = { scale_factor = 2, align_corners = true } }] => bilinear
        [{ batch_norm = 1e-3 }] => model.layers[0].batch_norm = 0.001 || by name
        [{ batch_norm = { momentum = "no" } }] => batch_norm.momentum = "no" || a number or "none" is needed
        [{ batch_norm = { momentum = 1.5 } }] => batch_norm.momentum = 1.5 || from 0 to 1
        [{ layer_norm = { eps = -1 } }] => layer_norm.eps = -1 || from 0 on
        [{ rms_norm = 0 }] => rms_norm.axes = 0 || at least 1
        ["group_norm"] => group_norm.num_groups is missing || { group_norm = 4 }
        [{ dropout = 1.5 }] => model.layers[0].dropout.p = 1.5 || from 0 to 1
        [{ dropout2d = true }] => model.layers[0].dropout2d.p = true || a number
        [{ embedding = 9 }] => model.layers[0].embedding = 9 || by name
        [{ embedding = { num_embeddings = 9 } }] => embedding.embedding_dim is missing
        [{ embedding = { num_embeddings = 9, embedding_dim = 2, padding_idx = 9 } }] => model.layers[0].embedding.padding_idx = 9 || below num_embeddings = 9
        ["positional_embedding"] => model.layers[0].positional_embedding || max_len || sinusoidal
        [{ positional_embedding = { kind = "sinusoidal", max_len = 3 } }] => max_len goes with
        [{ positional_embedding = { kind = "sin" } }] => kind = "sin" || "learned" or "sinusoidal"
        ["multi_head_attention"] => num_heads is missing || { multi_head_attention = 4 }
        [{ multi_head_attention = { num_heads = 2, dropout = 2 } }] => multi_head_attention.dropout = 2
        [{ gru = 0 }] => model.layers[0].gru.hidden_size = 0 || at least 1
        [{ lstm = { hidden_size = 3, num_layer = 2 } }] => lstm.num_layer || "num_layers"
        [{ flatten = 0 }] => start_axis = 0 || batch axis
        [{ reshape = [2, 0] }] => [2, 0] || at least 1
        [{ reshape = [-1, -1] }] => [-1, -1] || only once
        [{ reshape = 3 }] => model.layers[0].reshape.shape = 3 || a list is needed
        [{ permute = [0, 1] }] => [0, 1] || counted from 1
        [{ residual = ["relu", "rellu"] }] => model.layers[0].residual.layers[1] || "relu"
        [{ residual = "relu" }] => model.layers[0].residual.layers = "relu" || a list
        [{ residual = [] }] => model.layers[0].residual.layers = []
        [{ residual = { layers = ["relu"], shortcut = [{ linear = -1 }] } }] => model.layers[0].residual.shortcut[0].linear.out_features = -1
        [{ parallel = ["relu"] }] => model.layers[0].parallel.branches[0] = "relu" || a list
        [{ parallel = [["relu"], [3]] }] => model.layers[0].parallel.branches[1][0] = 3
        [{ parallel = [] }] => model.layers[0].parallel.branches = []
        [{ parallel = { branches = [[]], axis = 0 } }] => axis = 0 || batch axis
        [{ parallel = { branches = [[]], join = "sum" } }] => parallel.join = "sum" || "concat" or "add"
        [{ repeat = 3 }] => model.layers[0].repeat = 3 || by name
        [{ repeat = { times = 3 } }] => repeat.layers is missing || times = 2
        [{ repeat = { times = 0, layers = ["relu"] } }] => times = 0
        [{ repeat = { times = 1000000000, layers = ["relu"] } }] => times = 1000000000 || 1000
        [{ repeat = { times = 9, layers = [{ repeat = { times = 1000, layers = ["relu", "tanh"] } }] } }] => model.layers: 18010 layers in all || at most 10000
        [{ block = { name = "a.b", layers = ["relu"] } }] => model.layers[0].block || name = "a.b"
        [{ block = { name = "3", layers = ["relu"] } }] => name = "3" || a letter first
        [{ block = { name = "a", layers = ["relu"] } }, { block = { name = "a", layers = ["relu"] } }] => model.layers || two blocks are named "a"
        [{ block = { name = "a", layer = ["relu"] } }] => model.layers[0].block.layer || "layers"
    "#,
    ) {
        says(layers, read(value(layers)).expect_err(layers), &words);
    }
}

#[test]
fn what_does_not_fit_is_named_with_its_layer() {
    for (case, words) in cases(
        r#"
        [{ residual = [{ linear = 3 }] }] @ 5 4 => layer 0 (residual) || [5, 4] || [5, 3] || shortcut = [{ linear = 3 }]
        [{ residual = [{ conv2d = { out_channels = 6, kernel_size = 3, stride = 2, padding = 1 } }] }] @ 5 2 8 9 => [5, 2, 8, 9] || [5, 6, 4, 5] || shortcut = [{ conv2d = { out_channels = 6, kernel_size = 1, stride = 2 } }]
        [{ residual = [{ conv1d = { out_channels = 6, kernel_size = 3, padding = 1 } }] }] @ 5 2 8 => shortcut = [{ conv1d = { out_channels = 6, kernel_size = 1 } }]
        [{ residual = ["flatten"] }] @ 5 2 8 => [5, 2, 8] || [5, 16] || give it a shortcut
        ["relu", { residual = { layers = [{ linear = 3 }], shortcut = [{ linear = 2 }] } }] @ 5 4 => layer 1 (residual) || the shortcut [5, 2] || [5, 3] || shortcut = [{ linear = 3 }]
        [{ parallel = { branches = [[], [{ linear = 3 }]], join = "add" } }] @ 5 4 => layer 0 (parallel) || branch 0 [5, 4] || branch 1 [5, 3]
        [{ parallel = [[], [{ flatten = 1 }]] }] @ 5 4 2 => layer 0 (parallel) || branch 0 [5, 4, 2] || branch 1 [5, 8] || axis 1
        [{ parallel = { branches = [[]], axis = 2 } }] @ 5 4 => axis = 2 || [5, 4] || 1 to 1
        [{ block = { name = "encoder", layers = [{ repeat = { times = 2, layers = [{ linear = { out_features = 2 } }, { reshape = [3] }] } }] } }] @ 5 4 => layer encoder.0.0.1 (reshape) || [2] || [3]
        [{ reshape = [3, -1] }] @ 5 4 => layer 0 (reshape) || [4] || 3 does not divide
        [{ permute = [2, 1] }] @ 5 4 => layer 0 (permute) || [5, 4] || orders 2 axes
        [{ flatten = 2 }] @ 5 4 => layer 0 (flatten) || start_axis = 2 || [5, 4]
        [{ conv2d = { out_channels = 6, kernel_size = 5, padding = 1 } }] @ 5 2 8 2 => layer 0 (conv2d) || kernel of 5 || padded input of 4 || axis 3
        [{ conv2d = { out_channels = 6, kernel_size = 3, groups = 4 } }] @ 5 2 8 8 => layer 0 (conv2d) || groups = 4 || 2 channels
        [{ conv2d = { out_channels = 6, kernel_size = 3, stride = 2, padding = "same" } }] @ 5 2 8 8 => layer 0 (conv2d) || "same" || [2, 2]
        [{ conv2d = { out_channels = 6, kernel_size = 3, padding = 2000000 } }] @ 5 2 8 8 => layer 0 (conv2d) || padding = [2000000, 2000000] || at most 1048576
        [{ conv_transpose1d = { out_channels = 6, kernel_size = 3, stride = 2000000 } }] @ 5 2 8 => conv_transpose1d || stride = [2000000] || at most 1048576
        [{ max_pool2d = 3 }] @ 5 2 8 2 => layer 0 (max_pool2d) || kernel of 3 || input of 2 || axis 3
        [{ avg_pool1d = { kernel_size = 2, padding = 2 } }] @ 5 2 8 => layer 0 (avg_pool1d) || padding = 2 || half of the kernel of 2
        [{ group_norm = 4 }] @ 5 6 8 => layer 0 (group_norm) || 4 || 6
        ["batch_norm"] @ 1 6 => layer 0 (batch_norm) || more than one value
        [{ layer_norm = 3 }] @ 5 6 => layer 0 (layer_norm) || [5, 6]
        ["dropout2d"] @ 5 6 => layer 0 (dropout2d) || [5, 6]
        [{ multi_head_attention = 3 }] @ 5 7 4 => layer 0 (multi_head_attention) || 3 || 4
        [{ multi_head_attention = 2 }] @ 5 4 => layer 0 (multi_head_attention) || [5, 4]
        [{ positional_embedding = 6 }] @ 5 7 4 => layer 0 (positional_embedding) || 7 || 6
        [{ gru = 3 }] @ 5 4 => layer 0 (gru) || [5, 4]
        ["relu", { embedding = { num_embeddings = 9, embedding_dim = 2 } }] @ 5 4 => layer 1 (embedding) || integers
        [{ upsample = 1e9 }] @ 5 2 8 8 => layer 0 (upsample) || to [8000000000, 8000000000] || from 1 to 1073741823
        ["global_avg_pool"] @ 5 2 => layer 0 (global_avg_pool) || [5, 2]
        [{ conv2d = { out_channels = 6, kernel_size = 3 } }] @ 5 8 => batch, channels, height, width || [5, 8]
    "#,
    ) {
        let (layers, shape) = case.split_once(" @ ").expect("layers @ shape");
        let shape: Vec<usize> = shape.split(' ').map(|n| n.parse().expect("an extent")).collect();
        says(layers, build(layers, &shape).expect_err(layers), &words);
    }
}

/// A text without an embedding before what computes.
#[test]
fn integers_that_reach_a_layer_of_numbers_are_told_of_the_embedding() {
    for form in Layer::FORMS.iter().filter(|form| form.name != "embedding") {
        let graph = Graph::new();
        let x = graph.input_i32("x", [5, 8]);
        read(value(&format!("[{}]", form.example))).unwrap().build(&Net::new(&graph, true), &x);
        let name = form.name;
        match graph.check().map_err(|err| err.to_string()) {
            Ok(()) => assert!(["flatten", "reshape"].contains(&name), "{name} does without"),
            Err(text) if name == "permute" => assert!(text.contains("axes"), "{text}"),
            Err(text) => {
                assert!(text.contains("i32 [5, 8]") && text.contains("an embedding"), "{name}: {text}")
            }
        }
    }
}
