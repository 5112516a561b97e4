//! Progress bars of commands other than training.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// True unless `NO_COLOR` is set and not empty.
pub(super) fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A bar of `total` steps on standard error. `None` where that is no terminal.
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

/// Runs `work` under a bar. `work` reports its progress as (done, total).
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
