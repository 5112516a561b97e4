//! Random nets: layers that fit on what is before them, with random options.

use downhill::graph::DType;
use downhill::shape::Shape;

use crate::cases::{Case, Numbers, try_parse};

/// Draws of options.
struct Draw(Numbers);

impl Draw {
    /// A whole number from `from` to `to`.
    fn int(&mut self, from: usize, to: usize) -> usize {
        let share = (f64::from(self.0.next()) + 1.0) / 2.0;
        (from + (share * (to - from + 1) as f64) as usize).min(to)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.int(0, of.len() - 1)]
    }

    fn truth(&mut self) -> bool {
        self.int(0, 1) == 1
    }

    /// Windows along `axes` axes.
    fn windows(&mut self, axes: usize, is_pool: bool) -> String {
        let list = |values: Vec<usize>| {
            format!("[{}]", values.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))
        };
        let sizes: Vec<usize> = (0..axes).map(|_| self.int(1, 3)).collect();
        let paddings: Vec<usize> = sizes.iter().map(|size| self.int(0, size / 2)).collect();
        let strides: Vec<usize> = (0..axes).map(|_| self.int(1, 2)).collect();
        let ceil = if is_pool && self.truth() { ", ceil_mode = true" } else { "" };
        format!(
            "kernel_size = {}, padding = {}, stride = {}{ceil}",
            list(sizes),
            list(paddings),
            list(strides)
        )
    }

    /// A layer for [channels, height, width].
    fn image_layer(&mut self) -> String {
        let channels = 2 * self.int(1, 4);
        match self.int(0, 15) {
            0..=2 => {
                let (windows, dilation) = (self.windows(2, false), self.int(1, 2));
                let (groups, bias) = (self.int(1, 2), self.truth());
                format!(
                    "{{ conv2d = {{ out_channels = {channels}, {windows}, dilation = {dilation}, groups = {groups}, \
                     bias = {bias} }} }}"
                )
            }
            3 => format!(
                "{{ conv2d = {{ out_channels = {channels}, kernel_size = [{}, {}], padding = \"same\" }} }}",
                self.int(1, 4),
                self.int(1, 4)
            ),
            4 => format!("{{ conv_transpose2d = {{ out_channels = {channels}, {} }} }}", self.windows(2, false)),
            5 => format!("{{ max_pool2d = {{ {}, dilation = {} }} }}", self.windows(2, true), self.int(1, 2)),
            6 => {
                let (windows, counted) = (self.windows(2, true), self.truth());
                format!("{{ avg_pool2d = {{ {windows}, count_include_pad = {counted} }} }}")
            }
            7 => format!("{{ adaptive_avg_pool2d = [{}, {}] }}", self.int(1, 4), self.int(1, 4)),
            8 => format!("{{ upsample = {} }}", self.one(&["2", "[1.5, 2.0]", "[1.3, 0.7]"])),
            9 => {
                let (h, w, corners) = (self.int(2, 9), self.int(2, 9), self.truth());
                format!("{{ upsample = {{ size = [{h}, {w}], mode = \"bilinear\", align_corners = {corners} }} }}")
            }
            10 => self.one(&["\"batch_norm\"", "{ group_norm = 2 }", "{ instance_norm = { affine = true } }"]).into(),
            11 => "{ residual = [{ conv2d = { out_channels = 4, kernel_size = 3, padding = 1 } }, \"batch_norm\"] }".into(),
            12 => "{ parallel = [[\"relu\"], [{ conv2d = { out_channels = 3, kernel_size = 1 } }], [\"tanh\"]] }".into(),
            13 => self.one(&["{ permute = [2, 3, 1] }", "{ permute = [1, 3, 2] }", "{ layer_norm = 3 }"]).into(),
            14 => self.one(&["{ flatten = 2 }", "\"flatten\"", "\"global_max_pool\"", "\"global_avg_pool\""]).into(),
            _ => self.activation(),
        }
    }

    /// A layer for [positions, features].
    fn sequence_layer(&mut self) -> String {
        let width = 2 * self.int(1, 6);
        match self.int(0, 13) {
            0 | 1 => {
                let (causal, rotary) = (self.truth(), self.truth());
                format!("{{ multi_head_attention = {{ num_heads = 2, causal = {causal}, rotary = {rotary} }} }}")
            }
            2 => {
                let (kind, deep, all) = (self.one(&["gru", "lstm"]), self.int(1, 2), self.truth());
                let bias = self.truth();
                format!(
                    "{{ {kind} = {{ hidden_size = {width}, num_layers = {deep}, return_sequences = {all}, bias = {bias} }} }}"
                )
            }
            3 => self.one(&["\"layer_norm\"", "\"rms_norm\"", "{ rms_norm = 2 }", "\"batch_norm\""]).into(),
            4 => format!("{{ linear = {width} }}"),
            5 => format!("{{ conv1d = {{ out_channels = {width}, {} }} }}", self.windows(1, false)),
            6 => format!("{{ conv_transpose1d = {{ out_channels = {width}, {} }} }}", self.windows(1, false)),
            7 => format!("{{ max_pool1d = {{ {}, dilation = {} }} }}", self.windows(1, true), self.int(1, 2)),
            8 => format!("{{ avg_pool1d = {{ {} }} }}", self.windows(1, true)),
            9 => self.one(&["{ positional_embedding = 40 }", "{ positional_embedding = { kind = \"sinusoidal\" } }"]).into(),
            10 => "{ repeat = { times = 2, layers = [{ residual = [\"layer_norm\", { linear = 8 }, \"gelu\"] }] } }".into(),
            11 => "{ residual = { layers = [{ linear = 6 }], shortcut = [{ linear = 6 }, \"silu\"] } }".into(),
            12 => self.one(&["\"flatten\"", "{ permute = [2, 1] }", "\"global_avg_pool\"", "\"softmax\""]).into(),
            _ => self.activation(),
        }
    }

    /// A layer for [features].
    fn flat_layer(&mut self) -> String {
        let width = 2 * self.int(1, 10);
        match self.int(0, 5) {
            0 | 1 => format!("{{ linear = {{ out_features = {width}, bias = {} }} }}", self.truth()),
            2 => self.one(&["\"batch_norm\"", "\"layer_norm\"", "\"rms_norm\"", "{ group_norm = 2 }"]).into(),
            3 => format!("{{ reshape = [{}, -1] }}", self.int(1, 4)),
            4 => "{ block = { name = \"body\", layers = [{ linear = 6 }, \"elu\"] } }".into(),
            _ => self.activation(),
        }
    }

    fn activation(&mut self) -> String {
        self.one(&[
            "\"relu\"",
            "\"leaky_relu\"",
            "\"prelu\"",
            "{ elu = 0.7 }",
            "\"gelu\"",
            "{ gelu = \"tanh\" }",
            "\"silu\"",
            "{ softplus = { beta = 1.5, threshold = 3.0 } }",
            "\"tanh\"",
            "\"sigmoid\"",
            "{ dropout = 0.3 }",
            "\"log_softmax\"",
        ])
        .into()
    }

    fn layer(&mut self, rank: usize) -> String {
        match rank {
            4 => self.image_layer(),
            3 => self.sequence_layer(),
            _ => self.flat_layer(),
        }
    }
}

/// The number of axes of the layers' output; `None` where one does not take what is before it, or two blocks have one name.
fn rank(layers: &[String], sample: &[usize], dtype: DType) -> Option<usize> {
    if layers.is_empty() {
        return Some(1 + sample.len());
    }
    let model = try_parse(&layers.join(", ")).ok()?;
    let case = Case { model, sample: Shape::from(sample), dtype, encoding: None };
    case.built().map(|(_, shape)| shape.len())
}

/// The net of this number: two to seven layers, then one that is dense.
pub fn random_net(number: u64) -> Case {
    let mut draw = Draw(Numbers(1000 + 77 * number));
    draw.int(0, 1);
    let (sample, dtype, mut layers): (Vec<usize>, _, Vec<String>) = match number % 5 {
        0 | 1 => (vec![2 * draw.int(1, 2), draw.int(5, 9), draw.int(5, 9)], DType::F32, Vec::new()),
        2 => (vec![draw.int(3, 12), 2 * draw.int(1, 4)], DType::F32, Vec::new()),
        3 => {
            let embedding = "{ embedding = { num_embeddings = 9, embedding_dim = 8 } }".into();
            (vec![draw.int(3, 12)], DType::I32, vec![embedding])
        }
        _ => (vec![draw.int(2, 20)], DType::F32, Vec::new()),
    };
    let wanted = layers.len() + draw.int(2, 7);
    while layers.len() < wanted {
        let axes = rank(&layers, &sample, dtype).expect("the layers so far fit");
        layers.push(draw.layer(axes));
        if rank(&layers, &sample, dtype).is_none() {
            layers.pop();
        }
    }
    layers.extend(["\"flatten\"".to_owned(), "{ linear = 3 }".to_owned()]);
    Case::new(&layers.join(", "), &sample, dtype)
}
