//! `downhill report`: a run, several runs or a sweep as one HTML file.
//!
//! `record` reads a run's files in bounded memory, `curve` holds its curves; `judge` evaluates its weights. `single`, `several`
//! and `sweep` are the pages; `curves`, `classes`, `weights` and `machine` their sections. The shell is `figure::page`.

mod classes;
mod curve;
mod curves;
mod judge;
mod lines;
mod machine;
mod names;
mod plotted;
mod png;
mod record;
mod several;
mod single;
mod sweep;
mod weights;

pub use judge::Verdict;
pub use plotted::{Plotted, plotted};
pub use record::RunRecord;
pub use several::several_page;
pub use single::single_page;
pub use sweep::sweep_page;
