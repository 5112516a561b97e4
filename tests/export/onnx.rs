//! Nets as ONNX files: the checker passes them, and ONNX Runtime computes the engine's outputs.

use downhill::graph::DType;
use downhill::infer::Head;
use downhill::nn::Layer;
use downhill::plan::NamedTensor;

use crate::cases::{Case, Exports, Numbers, cases, example, small};
use crate::python;
use crate::random_nets::random_net;

/// Checks each file in full and runs it on its inputs, whole and one sample at a time.
const SCRIPT: &str = r#"
import numpy, onnx, onnxruntime
from safetensors.numpy import load_file, save_file
outputs = {}
for name, x in load_file("inputs.safetensors").items():
    onnx.checker.check_model(f"{name}.onnx", full_check=True)
    session = onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])
    x = x.astype(numpy.int64) if name.startswith("int") else x
    run = lambda x: session.run(None, {session.get_inputs()[0].name: x})[0]
    outputs[name] = numpy.ascontiguousarray(run(x))
    if not name.startswith("batch"):
        ones = numpy.concatenate([run(x[i : i + 1]) for i in range(len(x))])
        assert ones.shape == outputs[name].shape, name
        assert numpy.abs(ones - outputs[name]).max() <= 1e-5 * numpy.abs(ones).max(), name
save_file(outputs, "outputs.safetensors")
"#;

/// The name of a case: whole numbers, statistics of the batch, or neither.
fn name(i: usize, case: &Case) -> String {
    let kind = match () {
        () if case.dtype == DType::I32 => "int",
        () if case.takes_statistics_of_the_batch() => "batch",
        () => "net",
    };
    format!("{kind}_{i}")
}

#[track_caller]
fn check(
    cases: impl IntoIterator<Item = (Case, Head)>,
    seed: u64,
    scale: fn(Vec<NamedTensor>) -> Vec<NamedTensor>,
) {
    let Some(python) = python::with_onnx() else { return };
    let mut exports = Exports::new();
    let mut numbers = Numbers(seed);
    for (i, (case, head)) in cases.into_iter().enumerate() {
        let name = name(i, &case);
        let weights = scale(case.weights(&mut numbers));
        let weights = exports.add_with(&name, case, weights, head, &mut numbers);
        let mut net = exports.last().exported();
        net.head = head;
        let file = net.onnx(&weights).expect("a file");
        std::fs::write(exports.file(&name, "onnx"), file).expect("a file");
    }
    exports.check(&python, SCRIPT);
}

/// The operator that a reader expects for a layer.
const OPERATORS: &[(&str, &str)] = &[
    ("flatten", "Flatten"),
    ("linear", "Gemm"),
    ("conv1d", "Conv"),
    ("conv2d", "Conv"),
    ("conv_transpose2d", "ConvTranspose"),
    ("max_pool2d", "MaxPool"),
    ("avg_pool2d", "AveragePool"),
    ("adaptive_avg_pool2d", "GlobalAveragePool"),
    ("global_avg_pool", "GlobalAveragePool"),
    ("global_max_pool", "GlobalMaxPool"),
    ("upsample", "Resize"),
    ("batch_norm", "BatchNormalization"),
    ("layer_norm", "LayerNormalization"),
    ("group_norm", "GroupNormalization"),
    ("instance_norm", "InstanceNormalization"),
    ("embedding", "Gather"),
    ("multi_head_attention", "Softmax"),
    ("gru", "GRU"),
    ("lstm", "LSTM"),
    ("gelu", "Gelu"),
    ("prelu", "PRelu"),
];

#[test]
fn layers_become_the_operators_that_readers_expect() {
    for (layer, operator) in OPERATORS {
        let form = Layer::form(layer).expect("a layer");
        let case = match *layer {
            "linear" => Case::new(form.example, &[5], DType::F32),
            _ => Case::shortest(form.example),
        };
        let file = case.exported().onnx(&case.weights(&mut Numbers(1))).expect("a file");
        // Field 4 of a node, a text: its operator.
        let field = [&[0x22, operator.len() as u8], operator.as_bytes()].concat();
        assert!(file.windows(field.len()).any(|bytes| bytes == field), "{layer}: no {operator}");
    }
}

#[test]
fn weights_keep_their_names_and_a_missing_one_is_named() {
    let case = Case::new(
        "{ block = { name = \"body\", layers = [{ linear = 3 }] } }, \"batch_norm\"",
        &[5],
        DType::F32,
    );
    let mut weights = case.weights(&mut Numbers(1));
    let file = case.exported().onnx(&weights).expect("a file");
    for name in ["body.0.weight", "body.0.bias", "1.running_var"] {
        assert!(file.windows(name.len()).any(|bytes| bytes == name.as_bytes()), "{name}");
    }
    weights.retain(|own| own.name != "1.running_var");
    let err = case.exported().onnx(&weights).expect_err("no weight").to_string();
    assert!(err.contains("1.running_var"), "{err}");
}

#[test]
fn every_layer_gives_what_onnx_runtime_gives() {
    check(cases().into_iter().map(|case| (case, Head::Numbers)), 21, |weights| weights);
}

#[test]
fn random_nets_give_what_onnx_runtime_gives() {
    let heads = [Head::Numbers, Head::Softmax, Head::Sigmoid];
    check((0..50).map(|i| (random_net(i), heads[i as usize % 3])), 22, |weights| weights);
}

/// Those of tables are tried in `tests/cli/export.rs`, from their rows on.
#[test]
fn examples_give_what_onnx_runtime_gives() {
    let names =
        ["digits", "digits_cnn", "digits_resnet", "autoencoder", "fashion_mlp", "fashion_cnn", "tiny_gpt"];
    check(names.into_iter().map(example).map(|(_, case, head)| (case, head)), 24, small);
}
