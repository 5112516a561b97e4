//! The page of layers.

use super::options::options;
use super::page::Page;
use crate::nn::Layer;

const INTRO: &str = "\
`model.layers` is a list. An entry is a name, or a table of one name with its options: `\"relu\"`, \
`{ linear = { out_features = 10, bias = false } }`. A single value in place of the options is the value of the main \
option, marked by *: `{ linear = 10 }`. An option with a number for each axis takes one number for all axes, or a list: \
`kernel_size = 3`, `kernel_size = [3, 5]`. Names, options and defaults are PyTorch's where PyTorch has the layer.

The batch is axis 0. Parameters are named by position, as in `torch.nn.Sequential`: `1.weight`. Layers within layers \
continue the name of the layer that holds them: `2.layers.0.weight` and `2.shortcut.0.weight` in a `residual`, \
`4.0.1.weight` (branch, layer) in a `parallel`, `5.0.0.weight` (copy, layer) in a `repeat`, `encoder.0.weight` in a \
`block` of that name.";

/// The URL of a class in PyTorch's documentation, without its name.
const TORCH: &str = "https://docs.pytorch.org/docs/stable/generated/";

/// The page.
pub fn page() -> Page {
    let mut page = Page::new("layers", "Layers", INTRO);
    let rows = Layer::TABLE.iter().map(|row| {
        let torch = row.torch.map(|class| format!("[{class}]({TORCH}{class}.html)")).unwrap_or_default();
        let name = format!("`{}`", row.form.name);
        [name, row.about.to_owned(), options::<Layer>(&row.form), torch]
    });
    page.table(["layer", "what it computes", "options", "PyTorch"], rows);
    page
}
