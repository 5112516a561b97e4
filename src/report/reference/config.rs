//! The page of the config file.

use super::options::shown;
use super::page::Page;
use crate::config::reference::{Section, sections};

const INTRO: &str = "\
A run is described by one TOML file. An unknown key is an error that suggests the nearest one. The command line \
overrides any key: `--set optimizer.lr=0.01`, `--set 'model.layers=[\"flatten\", { linear = 10 }]'`. A run writes its \
config with every default filled in as `config.toml` into its directory.

Pages of their own have the keys of [`[data]`](data.md), the [layers](layers.md) and [losses](losses.md) of `[model]`, \
the [optimizers](optimizers.md), the [schedules](schedules.md) of the learning rate, and the [metrics](metrics.md) of \
`[eval]`.";

/// The page.
pub fn page() -> Page {
    let mut page = Page::new("config", "The config file", INTRO);
    for section in sections() {
        let title = match section.name {
            "" => "Above all sections".to_owned(),
            name => format!("[{name}]"),
        };
        page.section(&title, section.about);
        keys(&mut page, section);
    }
    page
}

/// The table of a section's keys.
pub(super) fn keys(page: &mut Page, section: Section) {
    let rows = section.keys.into_iter().map(|key| {
        let default = match &key.default {
            Some(value) => format!("`{}`", shown(value)),
            None if section.name == "model" => "required".to_owned(),
            None => "none".to_owned(),
        };
        [format!("`{}`", key.name), key.kind, default, key.about.to_owned()]
    });
    page.table(["key", "value", "default", "meaning"], rows);
}
