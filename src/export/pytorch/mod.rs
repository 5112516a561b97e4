//! A Python module of plain `torch.nn`: a class of the net's layers, the encoding of its inputs, and the loading of its
//! weights.

mod code;
mod layers;

use std::fmt::Write;

use super::trace::{Exported, Traced};
use crate::data::{Encoding, InputKind, Scale, TableEncoding};
use crate::error::Result;
use crate::graph::DType;
use crate::infer::Head;
use code::{Code, number, single, string, tuple};
use layers::Needs;

/// The classes that torch lacks.
const HELPERS: &str = include_str!("helpers.py");
/// Encodes rows as inputs.
const TABLE: &str = include_str!("table.py");
/// Encodes characters as inputs.
const TEXT: &str = include_str!("text.py");

/// The name of the net's class, which is a list of its layers.
const NET: &str = "super().__init__";

impl Exported<'_> {
    /// The net as a Python module of plain `torch.nn`, which loads its weights from the safetensors file of the name
    /// `weights` beside it. Its state dict has the names of the run's weights.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) naming the layer that torch has no module for; the model's shape
    /// error.
    pub fn pytorch(&self, weights: &str) -> Result<String> {
        module(self, weights)
    }
}

/// The whole module; `weights` is the name of the file beside it.
fn module(net: &Exported<'_>, weights: &str) -> Result<String> {
    let mut needs = Needs::default();
    let layers = layers::net(net.model, Traced::samples(&net.sample, net.dtype), &mut needs, NET)?;
    let ordered = if needs.ordered { "from collections import OrderedDict\n" } else { "" };
    let rows = if matches!(net.encoding, Some(Encoding::Table(_))) {
        "import csv\nimport io\nimport math\n"
    } else {
        ""
    };
    let mut text = format!(
        "\"\"\"{}: a net trained by downhill, in plain torch.nn.\n\n{}\"\"\"\n\n{rows}{ordered}from pathlib import Path\n\n\
         import torch\nfrom safetensors.torch import load_file\nfrom torch import nn\n\n\
         WEIGHTS = Path(__file__).with_name({})\n",
        net.title.replace(['\\', '"'], "_"),
        usage(net),
        string(weights)
    );
    text += &constants(net);
    for class in HELPERS.split("\n\n\n").filter(|class| needs.helpers.contains(class_name(class))) {
        let _ = write!(text, "\n\n{}\n", class.trim());
    }
    let _ = write!(text, "\n\n{}", class(net, &layers));
    match net.encoding {
        Some(Encoding::Table(_)) => text += &format!("\n\n{TABLE}"),
        Some(Encoding::Text { .. }) => text += &format!("\n\n{TEXT}"),
        _ => {}
    }
    text += &loading(&needs);
    text += &predicting(net);
    Ok(text)
}

fn class_name(class: &str) -> &str {
    class.trim().trim_start_matches("class ").split('(').next().unwrap_or_default()
}

/// The words for the net's inputs: their shape, and what they are.
fn inputs(net: &Exported<'_>) -> String {
    let shape = net.sample.iter().fold("[n".to_owned(), |text, extent| format!("{text}, {extent}")) + "]";
    match net.encoding {
        Some(Encoding::Array(encoding)) if encoding.divisor == 255.0 => {
            format!("bytes {shape}, from 0 to 255")
        }
        Some(Encoding::Array(encoding)) if encoding.divisor == 16.0 => format!("bytes {shape}, from 0 to 16"),
        Some(Encoding::Array(_)) => format!("numbers {shape}, as the data have them"),
        Some(Encoding::Images(_)) => format!("the bytes of images {shape}, from 0 to 255"),
        Some(Encoding::Table(_)) => format!("numbers {shape}, as encode makes them of rows"),
        Some(Encoding::Text { .. }) => "numbers of characters [n, t], as encode makes them".into(),
        None if net.dtype == DType::I32 => format!("whole numbers {shape}"),
        None => format!("numbers {shape}"),
    }
}

/// The lines that show how it is used.
fn usage(net: &Exported<'_>) -> String {
    let made = match net.encoding {
        Some(Encoding::Table(_)) => "encode(read(\"rows.csv\"))",
        Some(Encoding::Text { .. }) => "encode(\"a text\")",
        _ => "x",
    };
    format!("    net = load()\n    print(predict(net, {made}))\n\nInputs: {}.\n", inputs(net))
}

/// Names of classes, columns, characters; how a table is read; mean and deviation of the target.
fn constants(net: &Exported<'_>) -> String {
    let mut text = String::new();
    let mut set = |name: &str, code: Code| {
        let line = format!("{name} = ");
        let _ = writeln!(text, "{line}{}", code.lines(0, line.len(), false));
    };
    if !net.classes.is_empty() {
        set("CLASSES", strings(&net.classes));
    }
    if let Some((mean, std)) = net.target {
        set("MEAN, STD", Code::text(format!("{}, {}", number(mean), number(std))));
    }
    match net.encoding {
        Some(Encoding::Table(table)) => {
            set("COLUMNS", columns(table));
            let missing: Vec<String> = table.missing.iter().map(|word| word.trim().to_owned()).collect();
            set("LISTED", strings(&missing));
            let delimiter = net.delimiter.map(|byte| string(&char::from(byte).to_string()));
            set("DELIMITER", Code::text(delimiter.unwrap_or_else(|| "None".into())));
        }
        Some(Encoding::Text { vocabulary }) => {
            set("CHARACTERS", Code::text(string(&vocabulary.chars().iter().collect::<String>())));
        }
        _ => {}
    }
    text
}

fn strings(list: &[String]) -> Code {
    Code::between("[", list.iter().map(|item| Code::text(string(item))), "]")
}

/// The columns of a table in the order of the inputs.
fn columns(table: &TableEncoding) -> Code {
    let column = |kind: &InputKind| {
        let (mut keys, fill) = match kind {
            InputKind::Numeric { mean, std, fill, .. } => {
                let keys = vec![("mean", Code::text(number(*mean))), ("std", Code::text(number(*std)))];
                (keys, fill.map(number))
            }
            InputKind::Categorical { categories, fill, .. } => {
                (vec![("categories", strings(categories))], fill.as_deref().map(string))
            }
        };
        keys.extend(fill.map(|fill| ("fill", Code::text(fill))));
        Code::pairs(["{", "}"], ["", ": ", ""], keys.into_iter().map(|(key, code)| (string(key), code)))
    };
    let columns = table.columns.iter().map(|own| (string(&own.name), column(&own.kind)));
    Code::pairs(["{", "}"], ["", ": ", ""], columns)
}

/// The class of the net.
fn class(net: &Exported<'_>, layers: &Code) -> String {
    let mut text = format!(
        "class Net(nn.Sequential):\n    \"\"\"Inputs: {}.\"\"\"\n\n    def __init__(self):\n        {}\n",
        inputs(net),
        layers.lines(8, 0, true)
    );
    let Some(Scale { factor, offset }) = net.scale() else { return text };
    let rank = net.sample.len();
    for (name, values) in [("input_factor", &factor), ("input_offset", &offset)] {
        // One for all numbers, or one for each index of the first axis after the batch.
        let reshape = match values.len() {
            1 => String::new(),
            n if rank > 1 => format!(".reshape{}", tuple(&[&[n], &*vec![1; rank - 1]].concat())),
            _ => String::new(),
        };
        let list =
            Code::between("torch.tensor([", values.iter().map(|value| Code::text(single(*value))), "])");
        let code = Code::pairs(
            ["self.register_buffer(", ")"],
            ["", "", ""],
            [
                (string(name), Code::text("")),
                (format!("{}{reshape}", list.lines(12, reshape.len() + 1, false)), Code::text("")),
                ("persistent=False".to_owned(), Code::text("")),
            ],
        );
        let _ = writeln!(text, "        {}", code.lines(8, 0, false));
    }
    // Images without an axis of one channel, or with it at the end, have the same numbers in the same order.
    let shape = match net.sample.contains(&1) {
        true => {
            let extents: Vec<String> = net.sample.iter().map(usize::to_string).collect();
            format!(".reshape(len(x), {})", extents.join(", "))
        }
        false => String::new(),
    };
    text += &format!(
        "\n    def forward(self, x):\n        \
         return super().forward(x{shape}.float() * self.input_factor + self.input_offset)\n"
    );
    text
}

/// The function that loads the weights.
fn loading(needs: &Needs) -> String {
    let doc = "def load(path=WEIGHTS):\n    \"\"\"The net with its weights, in evaluation mode.\"\"\"\n    net = Net()\n";
    if needs.renamed.is_empty() {
        return format!("\n\n{doc}    net.load_state_dict(load_file(path))\n    return net.eval()\n");
    }
    let pairs = needs.renamed.iter().map(|(from, to)| (string(from), Code::text(string(to))));
    let renamed = Code::pairs(["{", "}"], ["", ": ", ""], pairs);
    format!(
        "\n\n# Beginnings of names in the file, and those in torch, whose modules have attributes of these names.\n\
         RENAMED = {}\n\n\n{doc}    state = load_file(path)\n    \
         for name, other in RENAMED.items():\n        \
         state = {{other + key.removeprefix(name) if key.startswith(name) else key: state[key] for key in state}}\n    \
         net.load_state_dict(state)\n    return net.eval()\n",
        renamed.lines(0, "RENAMED = ".len(), false)
    )
}

/// The function that answers as `downhill predict` does.
fn predicting(net: &Exported<'_>) -> String {
    let what = match (net.head, net.classes.is_empty()) {
        (Head::Numbers, _) if net.target.is_some() => "The numbers, in the unit of the target.",
        (Head::Numbers, _) => "The outputs.",
        (Head::Sigmoid, _) => "The probability of each label.",
        (Head::Softmax | Head::Exp, false) => "The probabilities of CLASSES.",
        (Head::Softmax | Head::Exp, true) => "The probabilities of the classes.",
    };
    let head = match net.head {
        Head::Numbers if net.target.is_some() => ".double() * STD + MEAN",
        Head::Numbers => "",
        Head::Softmax => ".softmax(-1)",
        Head::Exp => ".exp()",
        Head::Sigmoid => ".sigmoid()",
    };
    format!("\n\n@torch.no_grad()\ndef predict(net, x):\n    \"\"\"{what}\"\"\"\n    return net(x){head}\n")
}
