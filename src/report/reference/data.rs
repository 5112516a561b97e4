//! The page of data: sources, their keys, augmentations.

use toml::{Table, Value};

use super::options::options_by;
use super::page::Page;
use crate::config::{Augmentation, DATA_FORMATS};

const INTRO: &str = "\
`data.source` names the samples: a word, or a table whose first key names a file or a folder, relative to the folder of \
the config. `downhill data inspect PATH` recognises a file or folder and prints the lines of a config that use it. The \
keys of `[data]` that every source has are on the page of the [config](config.md).

A run keeps the encoding of its data as `data.json`: means and standard deviations, categories, classes, vocabulary. \
`downhill eval RUN --data PATH` and `downhill predict RUN` encode other data by it.";

const AUGMENTATIONS: &str = "\
`data.augment` is a list, applied in its order: `augment = [{ horizontal_flip = 0.5 }, { crop = 4 }, \
{ erasing = 0.5, scale = [0.02, 0.2] }]`. The value beside the name is that of the option marked by *; the other options \
stand beside it. Training samples are augmented on the device, anew each step; evaluation sees them unchanged. Images \
are samples [channels, height, width] or [height, width]; `noise` and `mixup` take f32 samples of any shape.";

/// The page.
pub fn page() -> Page {
    let mut page = Page::new("data", "Data", INTRO);
    page.section("Sources", "");
    let rows = DATA_FORMATS
        .iter()
        .map(|format| [format!("`{}`", format.form), format.about.to_owned(), format.files.to_owned()]);
    page.table(["`data.source`", "samples", "files"], rows);

    page.section("Keys in `data.source`", "");
    let own = DATA_FORMATS.iter().flat_map(|format| format.keys.iter().map(|key| (format.name, *key)));
    page.table(["key", "sources", "meaning"], by_key(own));

    page.section("Keys of `[data]` that some sources have", "");
    let beside = DATA_FORMATS.iter().flat_map(|format| {
        let keys = format.beside.iter().flat_map(|group| group.keys);
        keys.map(|key| (format.name, *key))
    });
    page.table(["key", "sources", "meaning"], by_key(beside));

    page.section("Augmentations", AUGMENTATIONS);
    let rows = Augmentation::TABLE.iter().map(|(form, about)| {
        let options = options_by::<Augmentation>(form, complete);
        [format!("`{}`", form.name), (*about).to_owned(), options]
    });
    page.table(["augmentation", "what it does", "options"], rows);
    page
}

/// A row for each key with the sources that have it in this meaning.
fn by_key(keys: impl Iterator<Item = (&'static str, (&'static str, &'static str))>) -> Vec<[String; 3]> {
    let mut rows: Vec<((&str, &str), Vec<String>)> = Vec::new();
    for (source, key) in keys {
        let source = format!("`{source}`");
        match rows.iter_mut().find(|(other, _)| *other == key) {
            Some((_, sources)) => sources.push(source),
            None => rows.push((key, vec![source])),
        }
    }
    let row = |((key, about), sources): ((&str, &str), Vec<String>)| {
        [format!("`{key}`"), sources.join(", "), about.to_owned()]
    };
    rows.into_iter().map(row).collect()
}

/// The entry with all of its options, as serde writes it.
pub(super) fn complete(entry: Value) -> Option<Value> {
    let entry = match entry {
        Value::String(name) => Value::Table(Table::from_iter([(name, Value::Table(Table::new()))])),
        entry => entry,
    };
    Value::try_from(entry.try_into::<Augmentation>().ok()?).ok()
}
