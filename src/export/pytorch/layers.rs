//! Each layer as a module of `torch.nn`, or as one of the classes in `helpers.py`, whose parameters have our names.
//!
//! The match over the layers has no arm for the rest: a new layer does not compile without its form here.

use std::collections::BTreeSet;

use super::code::{Call, Code, axes, number, single, string, truth, tuple};
use crate::error::Result;
use crate::export::trace::{Traced, refused};
use crate::nn::{
    Approximate, AvgPool, Conv, ConvTranspose, Join, Layer, MaxPool, MultiHeadAttention, Padding, Parallel,
    Positional, Recurrent, Repeat, Residual, Sequential, Upsample, UpsampleMode, UpsampleSize,
};

/// Attributes of `torch.nn.Sequential`, and of the exported class: no module can have these names.
const TAKEN: &[&str] = &[
    "add_module",
    "append",
    "apply",
    "bfloat16",
    "buffers",
    "call_super_init",
    "children",
    "compile",
    "cpu",
    "cuda",
    "double",
    "dump_patches",
    "eval",
    "extend",
    "extra_repr",
    "float",
    "forward",
    "get_buffer",
    "get_extra_state",
    "get_parameter",
    "get_submodule",
    "half",
    "input_factor",
    "input_offset",
    "insert",
    "ipu",
    "load_state_dict",
    "modules",
    "mtia",
    "named_buffers",
    "named_children",
    "named_modules",
    "named_parameters",
    "parameters",
    "pop",
    "register_backward_hook",
    "register_buffer",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
    "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook",
    "register_module",
    "register_parameter",
    "register_state_dict_post_hook",
    "register_state_dict_pre_hook",
    "requires_grad_",
    "set_extra_state",
    "set_submodule",
    "share_memory",
    "state_dict",
    "to",
    "to_empty",
    "train",
    "training",
    "type",
    "xpu",
    "zero_grad",
    "T_destination",
];

/// The classes and functions that the modules of a net need.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Classes of `helpers.py`.
    pub helpers: BTreeSet<&'static str>,
    /// True where a list has names of its own.
    pub ordered: bool,
    /// Beginnings of names that torch does not allow, and those in their place.
    pub renamed: Vec<(String, String)>,
}

/// A list of layers that is being written, and where it is.
struct Place {
    /// The beginning of names in errors.
    ours: String,
    /// The beginning of names in torch.
    theirs: String,
}

impl Place {
    fn below(&self, name: &str) -> Place {
        Place { ours: format!("{}{name}.", self.ours), theirs: format!("{}{name}.", self.theirs) }
    }

    /// The name of a layer here.
    fn name(&self, own: &str) -> String {
        format!("{}{own}", self.ours)
    }
}

/// The layers of the whole net as the parts between `open` and `close`.
pub(super) fn net(model: &Sequential, x: Traced, needs: &mut Needs, call: &str) -> Result<Code> {
    let root = Place { ours: String::new(), theirs: String::new() };
    sequential(model, &root, x, needs, call).map(|(code, _)| code)
}

/// A list as a call of `call`, and its output.
fn sequential(
    list: &Sequential,
    place: &Place,
    mut x: Traced,
    needs: &mut Needs,
    call: &str,
) -> Result<(Code, Traced)> {
    let labels: Vec<Option<&str>> = list.layers.iter().map(Layer::label).collect();
    let mut parts = Vec::with_capacity(list.layers.len());
    for (i, layer) in list.layers.iter().enumerate() {
        let own = labels[i].map_or_else(|| i.to_string(), str::to_owned);
        let mut theirs = own.clone();
        while TAKEN.contains(&theirs.as_str()) || (theirs != own && labels.contains(&Some(&theirs))) {
            theirs.push('_');
        }
        let mut inner = place.below(&own);
        if theirs != own {
            let (from, to) = (format!("{}{own}.", place.theirs), format!("{}{theirs}.", place.theirs));
            inner.theirs.clone_from(&to);
            needs.renamed.push((from, to));
        }
        parts.push((theirs, module(layer, &inner, &x, needs)?));
        x = x.after(layer, &place.name(&own))?;
    }
    if labels.iter().all(Option::is_none) {
        let code = Code::between(&format!("{call}("), parts.into_iter().map(|(_, code)| code), ")");
        return Ok((code, x));
    }
    needs.ordered = true;
    let parts = parts.into_iter().map(|(name, code)| (string(&name), code));
    let ends = [&*format!("{call}(OrderedDict(["), "]))"];
    Ok((Code::pairs(ends, ["(", ", ", ")"], parts), x))
}

/// A layer on `x`; `place` is that of its parameters.
fn module(layer: &Layer, place: &Place, x: &Traced, needs: &mut Needs) -> Result<Code> {
    let name = place.ours.trim_end_matches('.');
    let last = x.shape.last().copied().unwrap_or(1);
    let channels = x.shape.get(1).copied().unwrap_or(1);
    // The module of this many axes after the channels.
    let by_rank = |modules: &[&'static str]| {
        let found =
            x.rank().checked_sub(2).and_then(|axes| modules.get(axes)).filter(|name| !name.is_empty());
        found.copied().ok_or_else(|| {
            refused("PyTorch", layer, name, &format!("torch has no module of it for {:?}", x.shape))
        })
    };
    Ok(match layer {
        Layer::Flatten(_) if x.rank() == 1 => Call::new("nn.Unflatten").arg("-1").arg("(-1, 1)").code(),
        Layer::Flatten(o) => {
            let call = Call::new("nn.Flatten");
            if o.start_axis == 1 { call.code() } else { call.arg(o.start_axis).code() }
        }
        Layer::Reshape(o) => {
            let extents: Vec<String> = o.shape.iter().map(isize::to_string).collect();
            let unflatten =
                Code::text(format!("nn.Unflatten(1, ({}{}))", extents.join(", "), comma(extents.len())));
            if x.rank() == 2 {
                unflatten
            } else {
                Code::between("nn.Sequential(", [Code::text("nn.Flatten()"), unflatten], ")")
            }
        }
        Layer::Permute(o) => o.axes.iter().fold(needs.call("Permute"), |call, axis| call.arg(axis)).code(),
        Layer::Linear(o) => {
            Call::new("nn.Linear").arg(last).arg(o.out_features).key("bias", truth(o.bias), "True").code()
        }
        Layer::Conv1d(o) => conv("nn.Conv1d", channels, o),
        Layer::Conv2d(o) => conv("nn.Conv2d", channels, o),
        Layer::ConvTranspose1d(o) => conv_transpose("nn.ConvTranspose1d", channels, o),
        Layer::ConvTranspose2d(o) => conv_transpose("nn.ConvTranspose2d", channels, o),
        Layer::MaxPool1d(o) => max_pool("nn.MaxPool1d", o),
        Layer::MaxPool2d(o) => max_pool("nn.MaxPool2d", o),
        Layer::AvgPool1d(o) => avg_pool("nn.AvgPool1d", o),
        Layer::AvgPool2d(o) => avg_pool("nn.AvgPool2d", o),
        Layer::AdaptiveAvgPool2d(o) => Call::new("nn.AdaptiveAvgPool2d").arg(axes(&o.output_size)).code(),
        Layer::GlobalAvgPool(_) => needs.call("GlobalAvgPool").code(),
        Layer::GlobalMaxPool(_) => needs.call("GlobalMaxPool").code(),
        Layer::Upsample(o) => upsample(o),
        Layer::BatchNorm(o) => {
            let momentum = o.momentum.map_or_else(|| "None".into(), number);
            Call::new(by_rank(&["nn.BatchNorm1d", "nn.BatchNorm1d", "nn.BatchNorm2d", "nn.BatchNorm3d"])?)
                .arg(channels)
                .key("eps", number(o.eps), "1e-5")
                .key("momentum", momentum, "0.1")
                .key("affine", truth(o.affine), "True")
                .key("track_running_stats", truth(o.track_running_stats), "True")
                .code()
        }
        Layer::LayerNorm(o) => Call::new("nn.LayerNorm")
            .arg(last_axes(&x.shape, o.axes))
            .key("eps", number(o.eps), "1e-5")
            .key("elementwise_affine", truth(o.elementwise_affine), "True")
            .key("bias", truth(o.bias), "True")
            .code(),
        Layer::RmsNorm(o) => Call::new("nn.RMSNorm")
            .arg(last_axes(&x.shape, o.axes))
            .key("eps", o.eps.map_or_else(|| "None".into(), number), "None")
            .key("elementwise_affine", truth(o.elementwise_affine), "True")
            .code(),
        Layer::GroupNorm(o) => Call::new("nn.GroupNorm")
            .arg(o.num_groups)
            .arg(channels)
            .key("eps", number(o.eps), "1e-5")
            .key("affine", truth(o.affine), "True")
            .code(),
        Layer::InstanceNorm(o) => {
            Call::new(by_rank(&["", "nn.InstanceNorm1d", "nn.InstanceNorm2d", "nn.InstanceNorm3d"])?)
                .arg(channels)
                .key("eps", number(o.eps), "1e-5")
                .key("affine", truth(o.affine), "False")
                .code()
        }
        Layer::Dropout(o) => Call::new("nn.Dropout").arg(number(o.p)).code(),
        Layer::Dropout2d(o) => {
            // torch's Dropout2d takes [n, c, l] for one image without a batch.
            Call::new(by_rank(&["", "nn.Dropout1d", "nn.Dropout2d", "nn.Dropout3d"])?).arg(number(o.p)).code()
        }
        Layer::Embedding(o) => {
            let padding = o.padding_idx.map_or_else(|| "None".into(), |index| index.to_string());
            let call = Call::new("nn.Embedding").arg(o.num_embeddings).arg(o.embedding_dim);
            call.key("padding_idx", padding, "None").code()
        }
        Layer::PositionalEmbedding(o) => match o.0 {
            Positional::Learned { max_len } => {
                needs.call("PositionalEmbedding").arg(max_len).arg(last).code()
            }
            Positional::Sinusoidal => needs.call("SinusoidalPositions").code(),
        },
        Layer::MultiHeadAttention(o) => attention(o, last, needs),
        Layer::Gru(o) => recurrent("GRU", &o.0, last, needs),
        Layer::Lstm(o) => recurrent("LSTM", &o.0, last, needs),
        Layer::Relu(_) => Code::text("nn.ReLU()"),
        Layer::LeakyRelu(o) => Call::new("nn.LeakyReLU").arg(single(o.negative_slope)).code(),
        Layer::PRelu(o) => {
            Call::new("nn.PReLU").arg(o.num_parameters).key("init", single(o.init), "0.25").code()
        }
        Layer::Elu(o) => Call::new("nn.ELU").key("alpha", single(o.alpha), "1.0").code(),
        Layer::Gelu(o) => match o.approximate {
            Approximate::None => Code::text("nn.GELU()"),
            Approximate::Tanh => Code::text("nn.GELU(approximate=\"tanh\")"),
        },
        Layer::Silu(_) => Code::text("nn.SiLU()"),
        Layer::Softplus(o) => Call::new("nn.Softplus")
            .key("beta", single(o.beta), "1.0")
            .key("threshold", single(o.threshold), "20.0")
            .code(),
        Layer::Tanh(_) => Code::text("nn.Tanh()"),
        Layer::Sigmoid(_) => Code::text("nn.Sigmoid()"),
        Layer::Softmax(_) => Code::text("nn.Softmax(-1)"),
        Layer::LogSoftmax(_) => Code::text("nn.LogSoftmax(-1)"),
        Layer::Residual(o) => residual(o, place, x, needs)?,
        Layer::Parallel(o) => parallel(o, place, x, needs)?,
        Layer::Repeat(o) => repeat(o, place, x, needs)?,
        Layer::Block(o) => sequential(&o.layers, place, x.clone(), needs, "nn.Sequential")?.0,
    })
}

impl Needs {
    /// A call of a class of `helpers.py`.
    fn call(&mut self, class: &'static str) -> Call {
        self.helpers.insert(class);
        Call::new(class)
    }
}

fn comma(len: usize) -> &'static str {
    if len == 1 { "," } else { "" }
}

fn last_axes(shape: &[usize], count: usize) -> String {
    let shape = &shape[shape.len().saturating_sub(count)..];
    if let [only] = shape { only.to_string() } else { tuple(shape) }
}

fn conv<const N: usize>(class: &'static str, channels: usize, o: &Conv<N>) -> Code {
    let padding = match &o.padding {
        Padding::Same => string("same"),
        Padding::Explicit(numbers) => axes(numbers),
    };
    Call::new(class)
        .arg(channels)
        .arg(o.out_channels)
        .arg(axes(&o.kernel_size))
        .key("stride", axes(&o.stride), "1")
        .key("padding", padding, "0")
        .key("dilation", axes(&o.dilation), "1")
        .key("groups", o.groups, "1")
        .key("bias", truth(o.bias), "True")
        .code()
}

fn conv_transpose<const N: usize>(class: &'static str, channels: usize, o: &ConvTranspose<N>) -> Code {
    Call::new(class)
        .arg(channels)
        .arg(o.out_channels)
        .arg(axes(&o.kernel_size))
        .key("stride", axes(&o.stride), "1")
        .key("padding", axes(&o.padding), "0")
        .key("output_padding", axes(&o.output_padding), "0")
        .key("dilation", axes(&o.dilation), "1")
        .key("groups", o.groups, "1")
        .key("bias", truth(o.bias), "True")
        .code()
}

fn max_pool<const N: usize>(class: &'static str, MaxPool(o): &MaxPool<N>) -> Code {
    Call::new(class)
        .arg(axes(&o.kernel_size))
        .key("stride", axes(&o.stride), &axes(&o.kernel_size))
        .key("padding", axes(&o.padding), "0")
        .key("dilation", axes(&o.dilation), "1")
        .key("ceil_mode", truth(o.ceil_mode), "False")
        .code()
}

fn avg_pool<const N: usize>(class: &'static str, pool: &AvgPool<N>) -> Code {
    let o = &pool.windows;
    Call::new(class)
        .arg(axes(&o.kernel_size))
        .key("stride", axes(&o.stride), &axes(&o.kernel_size))
        .key("padding", axes(&o.padding), "0")
        .key("ceil_mode", truth(o.ceil_mode), "False")
        .key("count_include_pad", truth(pool.count_include_pad), "True")
        .code()
}

fn upsample(o: &Upsample) -> Code {
    let call = match o.size {
        UpsampleSize::Size([h, w]) => Call::new("nn.Upsample").arg(tuple(&[h, w])),
        UpsampleSize::Scale([h, w]) if h == w => {
            Call::new("nn.Upsample").key("scale_factor", number(h), "None")
        }
        UpsampleSize::Scale([h, w]) => {
            Call::new("nn.Upsample").key("scale_factor", format!("({}, {})", number(h), number(w)), "None")
        }
    };
    match o.mode {
        UpsampleMode::Nearest => call.code(),
        UpsampleMode::Bilinear { align_corners } => call
            .key("mode", string("bilinear"), "")
            .key("align_corners", truth(align_corners), "False")
            .code(),
    }
}

fn attention(o: &MultiHeadAttention, width: usize, needs: &mut Needs) -> Code {
    let class = if o.rotary { "RotaryAttention" } else { "SelfAttention" };
    // The one class is built on the other.
    needs.helpers.insert("SelfAttention");
    needs
        .call(class)
        .arg(width)
        .arg(o.num_heads)
        .key("causal", truth(o.causal), "False")
        .key("dropout", number(o.dropout), "0.0")
        .key("bias", truth(o.bias), "True")
        .code()
}

fn recurrent(class: &'static str, o: &Recurrent, features: usize, needs: &mut Needs) -> Code {
    needs
        .call(class)
        .arg(features)
        .arg(o.hidden_size)
        .key("num_layers", o.num_layers, "1")
        .key("bias", truth(o.bias), "True")
        .key("return_sequences", truth(o.return_sequences), "True")
        .code()
}

fn residual(o: &Residual, place: &Place, x: &Traced, needs: &mut Needs) -> Result<Code> {
    needs.helpers.insert("Residual");
    let (layers, _) = sequential(&o.layers, &place.below("layers"), x.clone(), needs, "nn.Sequential")?;
    let Some(shortcut) = &o.shortcut else { return Ok(Code::between("Residual(", [layers], ")")) };
    let (shortcut, _) = sequential(shortcut, &place.below("shortcut"), x.clone(), needs, "nn.Sequential")?;
    let parts = [("layers".to_owned(), layers), ("shortcut".to_owned(), shortcut)];
    Ok(Code::pairs(["Residual(", ")"], ["", "=", ""], parts))
}

fn parallel(o: &Parallel, place: &Place, x: &Traced, needs: &mut Needs) -> Result<Code> {
    let branches = o.branches.iter().enumerate().map(|(i, branch)| {
        sequential(branch, &place.below(&i.to_string()), x.clone(), needs, "nn.Sequential")
            .map(|(code, _)| code)
    });
    let mut parts = branches.collect::<Result<Vec<_>>>()?;
    Ok(match o.join {
        Join::Add => {
            needs.helpers.insert("Sum");
            Code::between("Sum(", parts, ")")
        }
        Join::Concat => {
            needs.helpers.insert("Concat");
            if o.axis != 1 {
                parts.push(Code::text(format!("axis={}", o.axis)));
            }
            Code::between("Concat(", parts, ")")
        }
    })
}

fn repeat(o: &Repeat, place: &Place, x: &Traced, needs: &mut Needs) -> Result<Code> {
    let mut x = x.clone();
    let mut copies = Vec::with_capacity(o.times);
    for i in 0..o.times {
        let (code, y) = sequential(&o.layers, &place.below(&i.to_string()), x, needs, "nn.Sequential")?;
        copies.push(code);
        x = y;
    }
    Ok(match &copies[..] {
        [first, _, ..] if copies.iter().all(|code| code == first) => {
            Code::copies("nn.Sequential", first.clone(), o.times)
        }
        _ => Code::between("nn.Sequential(", copies, ")"),
    })
}
