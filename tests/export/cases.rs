//! Nets to export: every layer of the table, and layers with options, with weights and inputs that are no initial ones.

use std::path::PathBuf;

use downhill::config::Config;
use downhill::data::{ArrayEncoding, Encoding};
use downhill::export::Exported;
use downhill::gpu::Family;
use downhill::graph::DType;
use downhill::infer::{Head, Predictor};
use downhill::nn::{Layer, Net, Sequential};
use downhill::plan::NamedTensor;
use downhill::shape::Shape;
use downhill::{Error, Gpu, Graph, Value, run};

use crate::{adapter, python};

/// Samples of each case.
pub const ROWS: usize = 3;
/// The promise, relative to the largest output.
const BOUND: f64 = 1e-5;

/// Layers with options, beside the shortest entry of each; inputs that begin with `i` are whole numbers.
pub const WITH_OPTIONS: &[(&str, &[usize])] = &[
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

pub struct Case {
    pub model: Sequential,
    pub sample: Shape,
    pub dtype: DType,
    pub encoding: Option<Encoding>,
}

pub fn parse(layers: &str) -> Sequential {
    try_parse(layers).unwrap_or_else(|err| panic!("{layers}: {err}"))
}

pub fn try_parse(layers: &str) -> Result<Sequential, Error> {
    let text = format!(
        "data = {{ source = \"digits\" }}\nmodel = {{ layers = [{layers}], loss = \"mse\" }}\noptimizer = {{ name = \
         \"sgd\" }}"
    );
    Config::parse(&text, &[]).map(|config| config.model)
}

impl Case {
    pub fn new(layers: &str, sample: &[usize], dtype: DType) -> Case {
        Case { model: parse(layers), sample: Shape::from(sample), dtype, encoding: None }
    }

    /// The graph of a batch with the shape of its output, where the layers take it.
    pub fn built(&self) -> Option<(Graph, Vec<usize>)> {
        let graph = Graph::new();
        let shape = [&[ROWS], &self.sample[..]].concat();
        let x = match self.dtype {
            DType::F32 => graph.input("x", shape),
            DType::I32 => graph.input_i32("x", shape),
        };
        let y = self.model.build(&Net::new(&graph, false), &x);
        graph.check().ok().map(|()| (graph, y.shape().to_vec()))
    }

    /// The shortest entry of a row of the table, with a sample that it takes.
    pub fn shortest(entry: &str) -> Case {
        let cases = SAMPLES.iter().map(|(sample, dtype)| Case::new(entry, sample, *dtype));
        cases
            .into_iter()
            .find(|case| case.built().is_some())
            .unwrap_or_else(|| panic!("no sample for {entry}"))
    }

    pub fn exported(&self) -> Exported<'_> {
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
    pub fn weights(&self, numbers: &mut Numbers) -> Vec<NamedTensor> {
        let (graph, _) = self.built().expect("a graph");
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

/// Weights as large as torch's initial ones: below 1/sqrt(the numbers that a weight's row multiplies).
pub fn small(mut weights: Vec<NamedTensor>) -> Vec<NamedTensor> {
    for own in weights.iter_mut().filter(|own| own.shape.len() > 1) {
        let row = own.shape[1..].iter().product::<usize>() as f32;
        own.values.iter_mut().for_each(|value| *value /= row.sqrt());
    }
    weights
}

/// Numbers from -1 to 1, by a linear congruence.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 40) as f32) / (1 << 23) as f32 - 1.0
    }
}

/// Every row of the table by its shortest entry, then the entries with options, then scaled inputs.
pub fn cases() -> Vec<Case> {
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

/// The inputs as the device scales them.
pub fn scaled(case: &Case, raw: &[f32]) -> Vec<f32> {
    let Some(Encoding::Array(encoding)) = &case.encoding else { return raw.to_vec() };
    let scale = encoding.scale();
    let inner: usize = case.sample[1..].iter().product();
    let channel = |i: usize| if scale.factor.len() == 1 { 0 } else { i / inner % scale.factor.len() };
    raw.iter().enumerate().map(|(i, x)| x * scale.factor[channel(i)] + scale.offset[channel(i)]).collect()
}

/// A net of the repository's examples, and the function that makes its answers.
pub fn example(name: &str) -> (String, Case, Head) {
    let path = format!("{}/examples/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let config = Config::load(path.as_ref(), &["data.eval_fraction=0.001".into()])
        .or_else(|_| Config::load(path.as_ref(), &[]))
        .expect("an example");
    let encoding = match name.starts_with("fashion") {
        // Fashion-MNIST is not part of the repository.
        true => Some(Encoding::Array(ArrayEncoding {
            shape: vec![1, 28, 28],
            divisor: 255.0,
            mean: vec![0.286],
            std: vec![0.353],
        })),
        false => config.encoding(config.dataset().expect("data").encoding().cloned()),
    };
    let exported = config.exported(name, encoding.as_ref()).expect("a net");
    let (sample, dtype, head) = (exported.sample.clone(), exported.dtype, exported.head);
    (name.to_owned(), Case { model: config.model, sample, dtype, encoding }, head)
}

impl Case {
    /// True where the answer to a sample depends on those beside it.
    pub fn takes_statistics_of_the_batch(&self) -> bool {
        format!("{:?}", self.model).contains("track_running_stats: false")
    }

    /// Samples as the data have them.
    fn raw(&self, numbers: &mut Numbers) -> Vec<f32> {
        let count = ROWS * self.sample.elements();
        let draw = |_| match self.dtype {
            DType::I32 => (4.0 + 4.0 * numbers.next()).floor(),
            DType::F32 => match &self.encoding {
                Some(Encoding::Array(array)) => ((0.5 + 0.5 * numbers.next()) * array.divisor as f32).floor(),
                _ => 2.0 * numbers.next(),
            },
        };
        (0..count).map(draw).collect()
    }

    /// The engine's answers to them.
    fn outputs(&self, gpu: &Gpu, weights: &[NamedTensor], head: Head, raw: &[f32]) -> Vec<f32> {
        let build = |net: &Net, x: &_| self.model.build(net, x);
        let mut predictor = Predictor::new(gpu, &build, head, self.sample.clone(), self.dtype, ROWS, weights)
            .unwrap_or_else(|err| panic!("{:?}: {err}", self.model));
        let outputs = match self.dtype {
            DType::I32 => {
                let whole: Vec<i32> = raw.iter().map(|x| *x as i32).collect();
                predictor.predict(Value::I32(&whole))
            }
            DType::F32 => predictor.predict(Value::F32(&scaled(self, raw))),
        };
        outputs.expect("outputs")
    }
}

/// Exported nets in a folder, with the engine's outputs, which another library's must equal.
pub struct Exports {
    folder: tempfile::TempDir,
    gpu: Gpu,
    inputs: Vec<NamedTensor>,
    cases: Vec<Case>,
    ours: Vec<Vec<f32>>,
}

impl Exports {
    pub fn new() -> Exports {
        let folder = tempfile::tempdir().expect("a folder");
        let gpu = adapter::open(Family::Tiled);
        Exports { folder, gpu, inputs: Vec::new(), cases: Vec::new(), ours: Vec::new() }
    }

    pub fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{ending}"))
    }

    /// Draws weights and inputs of a net, and computes its outputs: the weights.
    pub fn add(&mut self, name: &str, case: Case, numbers: &mut Numbers) -> Vec<NamedTensor> {
        let weights = case.weights(numbers);
        self.add_with(name, case, weights, Head::Numbers, numbers)
    }

    /// [`Exports::add`] with these weights, and with a function that makes the answers.
    pub fn add_with(
        &mut self,
        name: &str,
        case: Case,
        weights: Vec<NamedTensor>,
        head: Head,
        numbers: &mut Numbers,
    ) -> Vec<NamedTensor> {
        case.exported().check(&weights).expect("its own weights");
        let raw = case.raw(numbers);
        self.ours.push(case.outputs(&self.gpu, &weights, head, &raw));
        let shape = Shape::from([&[ROWS], &case.sample[..]].concat());
        self.inputs.push(NamedTensor { name: name.to_owned(), shape, values: raw });
        self.cases.push(case);
        weights
    }

    /// The samples of the net added last, and the answers.
    pub fn last_values(&self) -> (&[f32], &[f32]) {
        (&self.inputs.last().expect("a net").values, self.ours.last().expect("a net"))
    }

    /// The net added last.
    pub fn last(&self) -> &Case {
        self.cases.last().expect("a net")
    }

    /// Runs a script that reads `inputs.safetensors` and writes `outputs.safetensors` by the same names.
    #[track_caller]
    pub fn check(&self, python: &str, script: &str) {
        run::save(&self.file("inputs", "safetensors"), &self.inputs).expect("inputs");
        python::run(python, self.folder.path(), script);
        let theirs = run::load(&self.file("outputs", "safetensors")).expect("outputs");
        let mut wrong = Vec::new();
        for ((input, ours), case) in self.inputs.iter().zip(&self.ours).zip(&self.cases) {
            let name = &input.name;
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
}
