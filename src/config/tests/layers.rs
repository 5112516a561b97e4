//! Layers in a config: every option of every one, containers, and what their errors say.

use super::super::model;
use crate::graph::Graph;
use crate::nn::{Layer, Net, Sequential};
use toml::Value;

fn value(text: &str) -> Value {
    format!("v = {text}").parse::<toml::Table>().unwrap().remove("v").unwrap()
}

fn read(layers: Value) -> Result<Sequential, String> {
    model::layers(layers).map_err(|err| err.to_string())
}

fn alone(entry: Value) -> Result<Sequential, String> {
    read(Value::Array(vec![entry]))
}

/// Every key of a layer, from the list an unknown key is answered with.
fn keys(name: &str) -> Vec<String> {
    let text = alone(value(&format!("{{ {name} = {{ no_key_is_near_this_one = 1 }} }}"))).unwrap_err();
    let (_, list) = text.rsplit_once("; ").unwrap();
    match list.strip_prefix("there are: ") {
        Some(list) => list.split(", ").map(str::to_owned).collect(),
        None => {
            assert_eq!(list, "there are none", "{text}");
            Vec::new()
        }
    }
}

/// Values other than this one, some of which its key may take.
fn others(value: Option<&Value>) -> Vec<Value> {
    let mut others: Vec<Value> = match value {
        Some(Value::Boolean(b)) => vec![(!b).into()],
        Some(Value::Integer(i)) => vec![(i + 1).into(), (i * 2).into(), (i - 1).into(), "same".into()],
        Some(Value::Float(f)) => vec![(f * 0.5 + 0.125).into(), "none".into()],
        Some(Value::String(_)) => ["tanh", "add", "bilinear", "decoder"].map(Value::from).to_vec(),
        Some(Value::Array(list)) => {
            let mut first = list.clone();
            first[0] = match &list[0] {
                Value::Integer(i) => (i + 1).into(),
                Value::Float(f) => (f + 1.0).into(),
                Value::Array(_) => Value::Array(vec!["silu".into()]),
                _ => "silu".into(),
            };
            [first, list.iter().rev().cloned().collect(), list[1..].to_vec()].map(Value::Array).to_vec()
        }
        Some(Value::Table(_) | Value::Datetime(_)) => vec![],
        None => vec![3.into(), 0.25.into(), true.into(), Value::Array(vec!["silu".into()])],
    };
    others.retain(|other| Some(other) != value);
    others
}

/// Where options exclude each other, another entry in which the rest can be changed.
const MORE: [(&str, &str); 1] = [("upsample", "{ upsample = { size = 4, mode = \"bilinear\" } }")];

#[test]
fn every_option_of_every_layer_reads_itself_back() {
    for form in Layer::FORMS {
        let keys = keys(form.name);
        assert!(form.short.is_none_or(|short| keys.iter().any(|key| key == short)), "{form:?}");
        let mut untried = keys.clone();
        let more = MORE.iter().filter(|(name, _)| *name == form.name).map(|(_, text)| *text);
        for example in std::iter::once(form.example).chain(more) {
            let plain = alone(value(example)).unwrap();
            assert_eq!(plain.layers[0].name(), form.name);
            let written = model::to_value(&plain);
            assert_eq!(read(written.clone()).as_ref(), Ok(&plain), "{written}");
            let Some(options) = written[0].get(form.name).and_then(Value::as_table) else {
                assert_eq!((&written[0], keys.len()), (&Value::String(form.name.into()), 0));
                continue;
            };
            for key in &keys {
                for other in others(options.get(key)) {
                    let mut options = options.clone();
                    options.insert(key.clone(), other.clone());
                    let entry = toml::Table::from_iter([(form.name.to_owned(), Value::Table(options))]);
                    // Values that are refused have their own test.
                    let Ok(changed) = alone(Value::Table(entry)) else { continue };
                    assert_ne!(changed, plain, "{}.{key} = {other} changes nothing", form.name);
                    let written = model::to_value(&changed);
                    assert_eq!(read(written.clone()), Ok(changed), "{written}");
                    untried.retain(|k| k != key);
                }
            }
        }
        assert!(untried.is_empty(), "{}: no other value was taken for {untried:?}", form.name);
    }
}

/// The README has a row for each layer, with each of its keys.
#[test]
fn the_readme_knows_every_option() {
    let readme = include_str!("../../../README.md");
    let start = readme.find("| layer | options |").unwrap();
    let rows = readme[start..].split("\n\n").next().unwrap();
    for form in Layer::FORMS {
        let mut rows = rows.lines().filter_map(|row| row.split_once(" | "));
        let row = rows.find(|(names, _)| names.contains(&format!("`{}`", form.name)));
        let (_, options) = row.unwrap_or_else(|| panic!("{} has no row", form.name));
        for key in keys(form.name) {
            assert!(options.contains(&format!("`{key}")), "{}: {key} is not in {options}", form.name);
        }
    }
}

/// The parameters of `layers` on an input of this shape, or the error.
fn build(layers: &str, shape: &[usize]) -> Result<Vec<String>, String> {
    let model = read(value(layers))?;
    let graph = Graph::new();
    let y = model.build(&Net::new(&graph, true), &graph.input("x", shape));
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
fn what_cannot_be_read_is_named_with_its_place() {
    for (layers, words) in [
        ("[{ conv2d = 16 }]", &["model.layers[0].conv2d.kernel_size is missing", "kernel_size = 3"][..]),
        ("[\"conv2d\"]", &["model.layers[0].conv2d.out_channels is missing"]),
        ("[\"linear\"]", &["model.layers[0].linear.out_features is missing", "{ linear = 128 }"]),
        (
            "[{ linear = true }]",
            &["model.layers[0].linear.out_features = true", "whole number", "true or false"],
        ),
        ("[{ conv2d = { out_channels = 1, kernelsize = 3 } }]", &["conv2d.kernelsize", "\"kernel_size\""]),
        (
            "[{ conv2d = { out_channels = 1, kernel_size = [3] } }]",
            &["model.layers[0].conv2d.kernel_size = [3]", "a list of 2"],
        ),
        (
            "[{ conv2d = { out_channels = 1, kernel_size = [3, -1] } }]",
            &["model.layers[0].conv2d.kernel_size[1] = -1", "whole number from 0 on"],
        ),
        ("[{ conv2d = { out_channels = 1, kernel_size = 2.5 } }]", &["kernel_size = 2.5", "a number"]),
        ("[{ conv2d = { out_channels = 1, kernel_size = [[3], 3] } }]", &["kernel_size[0] = [3]", "a list"]),
        ("[{ conv2d = { out_channels = 1, kernel_size = 9000000000 } }]", &["kernel_size = 9000000000"]),
        (
            "[{ conv2d = { out_channels = 1, kernel_size = 0 } }]",
            &["model.layers[0].conv2d.kernel_size = [0, 0]"],
        ),
        ("[{ conv2d = { out_channels = 0, kernel_size = 1 } }]", &["out_channels = 0", "at least 1"]),
        (
            "[{ conv1d = { out_channels = 1, kernel_size = 3, padding = \"valid\" } }]",
            &["model.layers[0].conv1d.padding = \"valid\"", "\"same\", or a whole number"],
        ),
        ("[{ gelu = \"erf\" }]", &["gelu.approximate = \"erf\"", "\"none\" or \"tanh\" is needed"]),
        ("[{ softplus = 0 }]", &["model.layers[0].softplus.beta = 0", "above 0"]),
        ("[{ elu = 1e39 }]", &["model.layers[0].elu.alpha", "finite"]),
        ("[{ elu = \"1\" }]", &["model.layers[0].elu.alpha = \"1\"", "a number is needed", "a string"]),
        ("[{ relu = { slope = 1 } }]", &["model.layers[0].relu.slope", "none"]),
        ("[{ linear = 3, relu = 1 }]", &["model.layers[0]", "a table of one name"]),
        ("[{ max_pool2d = 0 }]", &["model.layers[0].max_pool2d", "kernel_size = [0, 0]"]),
        (
            "[{ avg_pool1d = { kernel_size = 2, dilation = 2 } }]",
            &["avg_pool1d.dilation", "there are: kernel_size"],
        ),
        ("[\"adaptive_avg_pool2d\"]", &["output_size is missing", "{ adaptive_avg_pool2d = 1 }"]),
        ("[{ adaptive_avg_pool2d = [3, 0] }]", &["output_size = 0"]),
        ("[\"upsample\"]", &["model.layers[0].upsample", "one of scale_factor and size"]),
        ("[{ upsample = { size = 4, scale_factor = 2 } }]", &["one of scale_factor and size"]),
        ("[{ upsample = 0 }]", &["scale_factor = [0.0, 0.0]"]),
        ("[{ upsample = [2, \"x\"] }]", &["model.layers[0].upsample.scale_factor[1] = \"x\"", "a number"]),
        ("[{ upsample = { scale_factor = 2, align_corners = true } }]", &["bilinear"]),
        ("[{ batch_norm = 1e-3 }]", &["model.layers[0].batch_norm = 0.001", "by name"]),
        (
            "[{ batch_norm = { momentum = \"no\" } }]",
            &["batch_norm.momentum = \"no\"", "a number or \"none\" is needed"],
        ),
        ("[{ batch_norm = { momentum = 1.5 } }]", &["batch_norm.momentum = 1.5", "from 0 to 1"]),
        ("[{ layer_norm = { eps = -1 } }]", &["layer_norm.eps = -1", "from 0 on"]),
        ("[{ rms_norm = 0 }]", &["rms_norm.axes = 0", "at least 1"]),
        ("[\"group_norm\"]", &["group_norm.num_groups is missing", "{ group_norm = 4 }"]),
        ("[{ dropout = 1.5 }]", &["model.layers[0].dropout.p = 1.5", "from 0 to 1"]),
        ("[{ dropout2d = true }]", &["model.layers[0].dropout2d.p = true", "a number"]),
        ("[{ flatten = 0 }]", &["start_axis = 0", "batch axis"]),
        ("[{ reshape = [2, 0] }]", &["[2, 0]", "at least 1"]),
        ("[{ reshape = [-1, -1] }]", &["[-1, -1]", "only once"]),
        ("[{ reshape = 3 }]", &["model.layers[0].reshape.shape = 3", "a list is needed"]),
        ("[{ permute = [0, 1] }]", &["[0, 1]", "counted from 1"]),
        // within containers
        ("[{ residual = [\"relu\", \"rellu\"] }]", &["model.layers[0].residual.layers[1]", "\"relu\""]),
        ("[{ residual = \"relu\" }]", &["model.layers[0].residual.layers = \"relu\"", "a list"]),
        ("[{ residual = [] }]", &["model.layers[0].residual.layers = []"]),
        (
            "[{ residual = { layers = [\"relu\"], shortcut = [{ linear = -1 }] } }]",
            &["model.layers[0].residual.shortcut[0].linear.out_features = -1"],
        ),
        ("[{ parallel = [\"relu\"] }]", &["model.layers[0].parallel.branches[0] = \"relu\"", "a list"]),
        ("[{ parallel = [[\"relu\"], [3]] }]", &["model.layers[0].parallel.branches[1][0] = 3"]),
        ("[{ parallel = [] }]", &["model.layers[0].parallel.branches = []"]),
        ("[{ parallel = { branches = [[]], axis = 0 } }]", &["axis = 0", "batch axis"]),
        (
            "[{ parallel = { branches = [[]], join = \"sum\" } }]",
            &["parallel.join = \"sum\"", "\"concat\" or \"add\""],
        ),
        ("[{ repeat = 3 }]", &["model.layers[0].repeat = 3", "by name"]),
        ("[{ repeat = { times = 3 } }]", &["repeat.layers is missing", "times = 2"]),
        ("[{ repeat = { times = 0, layers = [\"relu\"] } }]", &["times = 0"]),
        ("[{ repeat = { times = 1000000000, layers = [\"relu\"] } }]", &["times = 1000000000", "1000"]),
        (
            "[{ block = { name = \"a.b\", layers = [\"relu\"] } }]",
            &["model.layers[0].block", "name = \"a.b\""],
        ),
        ("[{ block = { name = \"3\", layers = [\"relu\"] } }]", &["name = \"3\"", "a letter first"]),
        (
            "[{ block = { name = \"a\", layers = [\"relu\"] } }, { block = { name = \"a\", layers = [\"relu\"] } }]",
            &["model.layers", "two blocks are named \"a\""],
        ),
        (
            "[{ block = { name = \"a\", layer = [\"relu\"] } }]",
            &["model.layers[0].block.layer", "\"layers\""],
        ),
    ] {
        let text = read(value(layers)).expect_err(layers);
        for word in words {
            assert!(text.contains(word), "{layers}: {text}");
        }
    }
}

#[test]
fn what_does_not_fit_is_named_with_its_layer() {
    for (layers, shape, words) in [
        (
            "[{ residual = [{ linear = 3 }] }]",
            &[5, 4][..],
            &["layer 0 (residual)", "[5, 4]", "[5, 3]", "shortcut = [{ linear = 3 }]"][..],
        ),
        (
            "[{ residual = [{ conv2d = { out_channels = 6, kernel_size = 3, stride = 2, padding = 1 } }] }]",
            &[5, 2, 8, 9],
            &[
                "[5, 2, 8, 9]",
                "[5, 6, 4, 5]",
                "shortcut = [{ conv2d = { out_channels = 6, kernel_size = 1, stride = 2 } }]",
            ],
        ),
        (
            "[{ residual = [{ conv1d = { out_channels = 6, kernel_size = 3, padding = 1 } }] }]",
            &[5, 2, 8],
            &["shortcut = [{ conv1d = { out_channels = 6, kernel_size = 1 } }]"],
        ),
        ("[{ residual = [\"flatten\"] }]", &[5, 2, 8], &["[5, 2, 8]", "[5, 16]", "give it a shortcut"]),
        (
            "[\"relu\", { residual = { layers = [{ linear = 3 }], shortcut = [{ linear = 2 }] } }]",
            &[5, 4],
            &["layer 1 (residual)", "the shortcut [5, 2]", "[5, 3]", "shortcut = [{ linear = 3 }]"],
        ),
        (
            "[{ parallel = { branches = [[], [{ linear = 3 }]], join = \"add\" } }]",
            &[5, 4],
            &["layer 0 (parallel)", "branch 0 [5, 4]", "branch 1 [5, 3]"],
        ),
        (
            "[{ parallel = [[], [{ flatten = 1 }]] }]",
            &[5, 4, 2],
            &["layer 0 (parallel)", "branch 0 [5, 4, 2]", "branch 1 [5, 8]", "axis 1"],
        ),
        ("[{ parallel = { branches = [[]], axis = 2 } }]", &[5, 4], &["axis = 2", "[5, 4]", "1 to 1"]),
        (
            "[{ block = { name = \"encoder\", layers = [{ repeat = { times = 2, layers = [{ linear = { out_features = 2 } },
               { reshape = [3] }] } }] } }]",
            &[5, 4],
            &["layer encoder.0.0.1 (reshape)", "[2]", "[3]"],
        ),
        ("[{ reshape = [3, -1] }]", &[5, 4], &["layer 0 (reshape)", "[4]", "3 does not divide"]),
        ("[{ permute = [2, 1] }]", &[5, 4], &["layer 0 (permute)", "[5, 4]", "orders 2 axes"]),
        ("[{ flatten = 2 }]", &[5, 4], &["layer 0 (flatten)", "start_axis = 2", "[5, 4]"]),
        (
            "[{ conv2d = { out_channels = 6, kernel_size = 5, padding = 1 } }]",
            &[5, 2, 8, 2],
            &["layer 0 (conv2d)", "kernel of 5", "padded input of 4", "axis 3"],
        ),
        (
            "[{ conv2d = { out_channels = 6, kernel_size = 3, groups = 4 } }]",
            &[5, 2, 8, 8],
            &["layer 0 (conv2d)", "groups = 4", "2 channels"],
        ),
        (
            "[{ conv2d = { out_channels = 6, kernel_size = 3, stride = 2, padding = \"same\" } }]",
            &[5, 2, 8, 8],
            &["layer 0 (conv2d)", "\"same\"", "[2, 2]"],
        ),
        ("[{ max_pool2d = 3 }]", &[5, 2, 8, 2], &["layer 0 (max_pool2d)", "kernel of 3", "input of 2", "axis 3"]),
        (
            "[{ avg_pool1d = { kernel_size = 2, padding = 2 } }]",
            &[5, 2, 8],
            &["layer 0 (avg_pool1d)", "padding = 2", "half of the kernel of 2"],
        ),
        ("[{ group_norm = 4 }]", &[5, 6, 8], &["layer 0 (group_norm)", "4", "6"]),
        ("[\"batch_norm\"]", &[1, 6], &["layer 0 (batch_norm)", "more than one value"]),
        ("[{ layer_norm = 3 }]", &[5, 6], &["layer 0 (layer_norm)", "[5, 6]"]),
        ("[\"dropout2d\"]", &[5, 6], &["layer 0 (dropout2d)", "[5, 6]"]),
        ("[\"global_avg_pool\"]", &[5, 2], &["layer 0 (global_avg_pool)", "[5, 2]"]),
        ("[{ conv2d = { out_channels = 6, kernel_size = 3 } }]", &[5, 8], &["batch, channels, height, width", "[5, 8]"]),
    ] {
        let text = build(layers, shape).expect_err(layers);
        for word in words {
            assert!(text.contains(word), "{layers}: {text}");
        }
    }
}
