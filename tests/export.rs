//! Nets exported to PyTorch: every layer of the table has a form there, and its outputs are ours.

mod adapter;
mod python;

use std::collections::BTreeSet;
use std::path::Path;

use downhill::config::Config;
use downhill::data::{ArrayEncoding, Encoding};
use downhill::export::Exported;
use downhill::gpu::Family;
use downhill::graph::DType;
use downhill::infer::{Head, Predictor};
use downhill::nn::{Layer, Net, Sequential};
use downhill::plan::NamedTensor;
use downhill::shape::Shape;
use downhill::{Graph, Value, run};

/// Samples of each case.
const ROWS: usize = 3;
/// The promise, relative to the largest output.
const BOUND: f64 = 1e-5;

/// Layers with options, beside the shortest entry of each; inputs that begin with `i` are whole numbers.
const WITH_OPTIONS: &[(&str, &[usize])] = &[
    ("{ flatten = 2 }", &[3, 4, 5]),
    ("{ reshape = [2, -1] }", &[3, 4]),
    ("{ reshape = [12] }", &[3, 4]),
    ("{ reshape = [3, 2, 2] }", &[12]),
    ("{ permute = [3, 1, 2] }", &[3, 4, 5]),
    ("{ linear = { out_features = 3, bias = false } }", &[4, 5]),
    (
        "{ conv1d = { out_channels = 4, kernel_size = 3, stride = 2, padding = 1, dilation = 2, groups = 2 } }",
        &[4, 11],
    ),
    ("{ conv2d = { out_channels = 4, kernel_size = [2, 3], padding = \"same\", bias = false } }", &[3, 5, 6]),
    ("{ conv2d = { out_channels = 4, kernel_size = 3, stride = [1, 2], padding = [0, 1] } }", &[2, 6, 7]),
    (
        "{ conv_transpose1d = { out_channels = 4, kernel_size = 3, stride = 2, padding = 1, output_padding = 1 } }",
        &[4, 5],
    ),
    (
        "{ conv_transpose2d = { out_channels = 4, kernel_size = [2, 3], stride = 2, groups = 2, bias = false } }",
        &[4, 5, 4],
    ),
    ("{ conv_transpose2d = { out_channels = 2, kernel_size = 3, dilation = [1, 2] } }", &[2, 3, 4]),
    ("{ max_pool1d = { kernel_size = 3, stride = 2, padding = 1, ceil_mode = true } }", &[2, 8]),
    ("{ max_pool2d = { kernel_size = [2, 3], stride = 1, dilation = 2 } }", &[2, 8, 9]),
    ("{ avg_pool1d = { kernel_size = 3, stride = 2, padding = 1, count_include_pad = false } }", &[2, 8]),
    ("{ avg_pool2d = { kernel_size = 3, stride = 2, padding = 1, ceil_mode = true } }", &[2, 8, 9]),
    ("{ adaptive_avg_pool2d = [2, 3] }", &[2, 5, 7]),
    ("\"global_avg_pool\"", &[3, 7]),
    ("\"global_max_pool\"", &[3, 7]),
    ("{ upsample = [2.0, 1.5] }", &[2, 4, 6]),
    ("{ upsample = { size = [7, 5], mode = \"bilinear\" } }", &[2, 4, 6]),
    ("{ upsample = { scale_factor = 2, mode = \"bilinear\", align_corners = true } }", &[2, 4, 6]),
    ("{ batch_norm = { eps = 1e-3, momentum = \"none\", affine = false } }", &[5]),
    ("\"batch_norm\"", &[3, 7]),
    ("{ batch_norm = { track_running_stats = false } }", &[3, 4, 5]),
    ("{ layer_norm = { axes = 2, eps = 1e-3, bias = false } }", &[3, 4, 5]),
    ("{ layer_norm = { elementwise_affine = false } }", &[4, 5]),
    ("{ rms_norm = { axes = 2, eps = 1e-3 } }", &[3, 4, 5]),
    ("{ rms_norm = { elementwise_affine = false } }", &[5]),
    ("{ group_norm = { num_groups = 2, eps = 1e-3, affine = false } }", &[4, 5]),
    ("{ instance_norm = { affine = true, eps = 1e-3 } }", &[3, 7]),
    ("{ dropout2d = 0.2 }", &[3, 7]),
    ("{ positional_embedding = { kind = \"sinusoidal\" } }", &[6, 5]),
    ("{ multi_head_attention = { num_heads = 2, causal = true, dropout = 0.1 } }", &[6, 8]),
    ("{ multi_head_attention = { num_heads = 2, rotary = true, bias = false } }", &[6, 8]),
    ("{ multi_head_attention = { num_heads = 2, rotary = true, causal = true } }", &[6, 8]),
    ("{ gru = { hidden_size = 5, num_layers = 2, return_sequences = false } }", &[6, 4]),
    ("{ lstm = { hidden_size = 5, bias = false } }", &[6, 4]),
    ("{ leaky_relu = 0.2 }", &[5]),
    ("{ prelu = { num_parameters = 3, init = 0.1 } }", &[3, 4]),
    ("{ elu = 0.5 }", &[5]),
    ("{ gelu = \"tanh\" }", &[5]),
    ("{ softplus = { beta = 2.0, threshold = 1.0 } }", &[5]),
    ("{ residual = { layers = [{ linear = 3 }], shortcut = [{ linear = 3 }, \"relu\"] } }", &[5]),
    ("{ parallel = { branches = [[{ linear = 5 }], []], join = \"add\" } }", &[5]),
    ("{ parallel = { branches = [[{ linear = 3 }], [], [\"tanh\"]], axis = -1 } }", &[4, 5]),
    ("{ repeat = { times = 3, layers = [{ linear = 5 }, \"tanh\"] } }", &[5]),
    ("{ repeat = { times = 2, layers = [{ linear = 3 }] } }", &[5]),
    // Names that no module of torch can have, one within the other, and one that is taken by another block.
    (
        "{ block = { name = \"train\", layers = [{ block = { name = \"forward\", layers = [{ linear = 3 }] } }] } }, \
         { block = { name = \"type\", layers = [{ linear = 4 }] } }, \
         { block = { name = \"type_\", checkpoint = true, layers = [{ linear = 5 }] } }",
        &[5],
    ),
];

/// Samples that the shortest entries take: the first that fits.
const SAMPLES: &[(&[usize], DType)] =
    &[(&[8, 6, 6], DType::F32), (&[8, 12], DType::F32), (&[8], DType::F32), (&[7], DType::I32)];

struct Case {
    model: Sequential,
    sample: Shape,
    dtype: DType,
    encoding: Option<Encoding>,
}

fn parse(layers: &str) -> Sequential {
    let text = format!(
        "data = {{ source = \"digits\" }}\nmodel = {{ layers = [{layers}], loss = \"mse\" }}\noptimizer = {{ name = \
         \"sgd\" }}"
    );
    Config::parse(&text, &[]).unwrap_or_else(|err| panic!("{layers}: {err}")).model
}

impl Case {
    fn new(layers: &str, sample: &[usize], dtype: DType) -> Case {
        Case { model: parse(layers), sample: Shape::from(sample), dtype, encoding: None }
    }

    /// The graph of a batch, where the layers take it.
    fn graph(&self) -> Option<Graph> {
        let graph = Graph::new();
        let shape = [&[ROWS], &self.sample[..]].concat();
        let x = match self.dtype {
            DType::F32 => graph.input("x", shape),
            DType::I32 => graph.input_i32("x", shape),
        };
        self.model.build(&Net::new(&graph, false), &x);
        graph.check().ok().map(|()| graph)
    }

    /// The shortest entry of a row of the table, with a sample that it takes.
    fn shortest(entry: &str) -> Case {
        let cases = SAMPLES.iter().map(|(sample, dtype)| Case::new(entry, sample, *dtype));
        cases
            .into_iter()
            .find(|case| case.graph().is_some())
            .unwrap_or_else(|| panic!("no sample for {entry}"))
    }

    fn exported(&self) -> Exported<'_> {
        Exported {
            title: "a case".into(),
            model: &self.model,
            sample: self.sample.clone(),
            dtype: self.dtype,
            encoding: self.encoding.as_ref(),
            delimiter: None,
            head: Head::Numbers,
            classes: Vec::new(),
            target: None,
        }
    }

    /// Weights that are no initial ones.
    fn weights(&self, numbers: &mut Numbers) -> Vec<NamedTensor> {
        let graph = self.graph().expect("a graph");
        let parameters = graph.parameters().into_iter().map(|own| (own.name, own.shape));
        let buffers = graph.buffers().into_iter().map(|own| (own.name, own.shape));
        let all = parameters.chain(buffers);
        all.map(|(name, shape)| {
            let values = (0..shape.elements()).map(|_| match () {
                () if name.ends_with("num_batches_tracked") => 3.0,
                () if name.ends_with("running_var") => 1.0 + 0.5 * numbers.next(),
                () => 0.7 * numbers.next(),
            });
            NamedTensor { values: values.collect(), name, shape }
        })
        .collect()
    }
}

/// Numbers from -1 to 1, by a linear congruence.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32) / (1 << 23) as f32 - 1.0
    }
}

/// Every row of the table by its shortest entry, then the entries with options, then scaled inputs.
fn cases() -> Vec<Case> {
    let rows = Layer::TABLE.iter().map(|row| Case::shortest(row.form.example));
    let options = WITH_OPTIONS.iter().map(|(layers, sample)| Case::new(layers, sample, DType::F32));
    let mut cases: Vec<Case> = rows.chain(options).collect();
    let padded = "{ embedding = { num_embeddings = 9, embedding_dim = 4, padding_idx = 0 } }, { lstm = 3 }";
    cases.push(Case::new(padded, &[7], DType::I32));
    for (shape, mean, std) in [
        (vec![1, 5, 4], vec![0.1], vec![0.3]),
        (vec![3, 5, 4], vec![0.1, 0.2, 0.3], vec![0.3, 0.2, 0.1]),
        (vec![2], vec![0.5, 0.25], vec![0.2, 0.1]),
    ] {
        let scaled = ArrayEncoding { shape: shape.clone(), divisor: 255.0, mean, std };
        let layers = "\"flatten\", { linear = 3 }";
        let encoding = Some(Encoding::Array(scaled));
        cases.push(Case { encoding, ..Case::new(layers, &shape, DType::F32) });
    }
    cases
}

#[test]
fn every_layer_of_the_table_has_a_form() {
    for row in Layer::TABLE {
        let case = Case::shortest(row.form.example);
        let text = case.exported().pytorch("net.safetensors").unwrap_or_else(|err| panic!("{err}"));
        assert!(text.contains("class Net(nn.Sequential):"), "{text}");
        // What torch has is torch's own, or a class of its own name that is built on it.
        if let Some(class) = row.torch.and_then(|class| class.strip_prefix("torch.")) {
            let class = class.trim_end_matches("2d").trim_end_matches("1d");
            assert!(text.contains(class), "{}: no {class} in\n{text}", row.form.name);
        }
    }
    let with_options: BTreeSet<&str> =
        WITH_OPTIONS.iter().flat_map(|(layers, _)| parse(layers).layers).map(|layer| layer.name()).collect();
    assert!(with_options.len() > 30, "{}", with_options.len());
}

#[test]
fn what_torch_lacks_is_refused_by_name() {
    for layers in
        ["\"batch_norm\"", "{ block = { name = \"body\", layers = [\"instance_norm\"] } }", "\"dropout2d\""]
    {
        let case = Case::new(layers, &[2, 2, 2, 2, 2], DType::F32);
        let err = case.exported().pytorch("net.safetensors").expect_err(layers).to_string();
        let name = parse(layers).layers[0].name();
        let name = if name == "block" { "body.0 (instance_norm)" } else { name };
        assert!(err.contains(name) && err.contains("[2, 2, 2, 2, 2, 2]"), "{err}");
    }
}

#[test]
fn other_weights_are_refused() {
    let case = Case::new("{ linear = 3 }", &[5], DType::F32);
    let mut weights = case.weights(&mut Numbers(1));
    case.exported().check(&weights).expect("its own");
    weights[0].name = "1.weight".into();
    let err = case.exported().check(&weights).expect_err("another's").to_string();
    assert!(err.contains("0.weight") && err.contains("1.weight"), "{err}");
}

/// The module is what a person would write.
#[test]
fn a_module_reads_well() {
    let layers = "{ conv2d = { out_channels = 4, kernel_size = 3, padding = \"same\" } }, \"relu\", \
                  { residual = [{ conv2d = { out_channels = 4, kernel_size = 1, bias = false } }, \"batch_norm\"] }, \
                  { max_pool2d = 2 }, \"flatten\", { linear = 2 }";
    let unit = ArrayEncoding { shape: vec![1, 8, 8], divisor: 255.0, mean: vec![0.5], std: vec![0.25] };
    let encoding = Some(Encoding::Array(unit));
    let case = Case { encoding, ..Case::new(layers, &[1, 8, 8], DType::F32) };
    let mut exported = case.exported();
    exported.head = Head::Softmax;
    exported.classes = vec!["cat".into(), "dog".into()];
    exported.title = "runs/pets-1".into();
    let text = exported.pytorch("model.safetensors").expect("a module");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export/pets.py");
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "{}", path.display());
}

/// Runs each module on its inputs: whole numbers where the name says so.
const SCRIPT: &str = r#"
import importlib, sys, torch
from safetensors.torch import load_file, save_file
sys.path.insert(0, ".")
outputs = {}
with torch.no_grad():
    for name, x in load_file("inputs.safetensors").items():
        module = importlib.import_module(name)
        net = module.load()
        own = set(load_file(module.WEIGHTS))
        if not hasattr(module, "RENAMED"):
            assert set(net.state_dict()) == own, (name, set(net.state_dict()) ^ own)
        outputs[name] = net(x.int() if name.startswith("int") else x).contiguous()
save_file(outputs, "outputs.safetensors")
"#;

/// Plain torch in f32 and we, each off by its rounding.
#[test]
fn every_layer_gives_what_torch_gives() {
    let Some(python) = python::with_torch() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let gpu = adapter::open(Family::Tiled);
    let mut numbers = Numbers(16);
    let (mut inputs, mut ours) = (Vec::new(), Vec::new());
    for (i, case) in cases().iter().enumerate() {
        let kind = if case.dtype == DType::I32 { "int" } else { "net" };
        let name = format!("{kind}_{i}");
        let weights = case.weights(&mut numbers);
        let exported = case.exported();
        exported.check(&weights).expect("its own weights");
        let file = |ending: &str| folder.path().join(format!("{name}.{ending}"));
        run::save(&file("safetensors"), &weights).expect("weights");
        let module = exported.pytorch(&format!("{name}.safetensors")).expect("a module");
        std::fs::write(file("py"), module).expect("a module");

        let count = ROWS * case.sample.elements();
        let raw: Vec<f32> = match case.dtype {
            DType::I32 => (0..count).map(|_| (4.0 + 4.0 * numbers.next()).floor()).collect(),
            DType::F32 if case.encoding.is_some() => {
                (0..count).map(|_| (127.0 + 127.0 * numbers.next()).floor()).collect()
            }
            DType::F32 => (0..count).map(|_| 2.0 * numbers.next()).collect(),
        };
        let build = |net: &Net, x: &_| case.model.build(net, x);
        let mut predictor =
            Predictor::new(&gpu, &build, Head::Numbers, case.sample.clone(), case.dtype, ROWS, &weights)
                .unwrap_or_else(|err| panic!("{name}: {err}"));
        let outputs = match case.dtype {
            DType::I32 => {
                let whole: Vec<i32> = raw.iter().map(|x| *x as i32).collect();
                predictor.predict(Value::I32(&whole))
            }
            DType::F32 => predictor.predict(Value::F32(&scaled(case, &raw))),
        };
        ours.push((name.clone(), outputs.expect("outputs")));
        let shape = Shape::from([&[ROWS], &case.sample[..]].concat());
        inputs.push(NamedTensor { name, shape, values: raw });
    }
    run::save(&folder.path().join("inputs.safetensors"), &inputs).expect("inputs");
    python::run(&python, folder.path(), SCRIPT);
    let theirs = run::load(&folder.path().join("outputs.safetensors")).expect("outputs");
    let mut wrong = Vec::new();
    for ((name, ours), case) in ours.iter().zip(cases()) {
        let theirs = &theirs.iter().find(|own| own.name == *name).expect("an output").values;
        assert_eq!(ours.len(), theirs.len(), "{name}: {:?}", case.model);
        let largest = theirs.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(largest > 0.0, "{name}: all outputs are 0, {:?}", case.model);
        let off = || ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs()));
        // NaN is within no bound.
        if !off().all(|off| off <= BOUND * f64::from(largest)) {
            let worst = off().fold(0.0, f64::max);
            wrong.push(format!("{name}: off by {worst:e} of {largest}: {:?}", case.model));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The inputs as the device scales them.
fn scaled(case: &Case, raw: &[f32]) -> Vec<f32> {
    let Some(Encoding::Array(encoding)) = &case.encoding else { return raw.to_vec() };
    let scale = encoding.scale();
    let inner: usize = case.sample[1..].iter().product();
    let channel = |i: usize| if scale.factor.len() == 1 { 0 } else { i / inner % scale.factor.len() };
    raw.iter().enumerate().map(|(i, x)| x * scale.factor[channel(i)] + scale.offset[channel(i)]).collect()
}
