//! Bars for what takes a while and is no run.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Whether colours are wanted: `NO_COLOR` is not set, or empty.
pub(super) fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A bar of `total` steps on standard error, if that is a terminal.
pub(super) fn bar(total: u64) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let shape = if colours() { "{wide_bar:.green/dim}" } else { "{wide_bar}" };
        let template = format!("{{prefix}} {shape} {{percent:>3}}%  {{msg}}  {{eta}} left");
        let style = ProgressStyle::with_template(&template).unwrap_or(ProgressStyle::default_bar());
        let bar = ProgressBar::new(total).with_style(style.progress_chars("━╸ "));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    })
}

/// Does `work` under a bar, which it tells how much is done of how much.
pub(super) fn under_bar<T>(prefix: &'static str, work: impl FnOnce(&mut dyn FnMut(u64, u64)) -> T) -> T {
    let bar = bar(0);
    bar.iter().for_each(|bar| bar.set_prefix(prefix));
    let done = work(&mut |done, total| {
        bar.iter().for_each(|bar| {
            bar.set_length(total);
            bar.set_position(done);
        });
    });
    bar.iter().for_each(|bar| bar.finish_and_clear());
    done
}
