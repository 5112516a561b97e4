//! The reference pages of `docs/reference/`, generated from the tables in code: one file a page.

mod config;
mod data;
mod layers;
mod losses;
mod metrics;
mod options;
mod page;
mod tables;

pub use page::Page;
pub use tables::tables;

use super::{optimizers_page, schedules_page};

/// Every page that the library can write. The program adds that of its commands.
pub fn pages() -> Vec<Page> {
    let [optimizers, schedules] = [("optimizers", optimizers_page()), ("schedules", schedules_page())]
        .map(|(name, text)| Page { name, text });
    vec![config::page(), data::page(), layers::page(), losses::page(), metrics::page(), optimizers, schedules]
}
