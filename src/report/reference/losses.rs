//! The page of losses.

use super::options::options;
use super::page::Page;
use crate::config::LossSpec;

const INTRO: &str = "\
`model.loss` is a name, or a table of one name with its options: `\"mse\"`, `{ huber = { delta = 0.5 } }`. A single \
value in place of the options is the value of the main option, marked by *: `{ huber = 0.5 }`. Names, options and \
defaults are PyTorch's.

x is the model's output and t the target; the mean is over all elements, or over all targets of classes. Classes are \
the last axis of an output, also where PyTorch has them second: logits [n, t, classes] go with labels [n, t]. `mse`, \
`l1`, `huber`, `smooth_l1`, `bce_with_logits` and `kl_div` turn class labels into one-hot targets. `kl_div` divides by \
the batch, as the divergence is defined; PyTorch's default divides by the classes too.";

/// The page.
pub fn page() -> Page {
    let mut page = Page::new("losses", "Losses", INTRO);
    let rows = LossSpec::TABLE.iter().map(|row| {
        let name = format!("`{}`", row.form.name);
        [name, row.about.to_owned(), row.equation.to_owned(), options::<LossSpec>(&row.form)]
    });
    page.table(["loss", "use", "value", "options"], rows);
    page
}
