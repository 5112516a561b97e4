//! `downhill lr-find`

use downhill::config::Config;
use downhill::train::{LrFinder, Observer, StepRecord};
use downhill::{Error, Gpu, GpuOptions, error::Result, report};
use indicatif::ProgressBar;

use super::args::LrFindArgs;
use super::{draw, progress, say};

pub(super) fn lr_find(args: &LrFindArgs) -> anyhow::Result<()> {
    let finder = LrFinder { from: args.from, to: args.to, steps: args.steps, smooth: args.smooth };
    finder.validate().map_err(flagged)?;
    let mut config = Config::load(&args.config, &args.settings)?;
    config.options.seed = args.seed.unwrap_or(config.options.seed);
    let data = config.dataset()?;
    let gpu = Gpu::open(&GpuOptions {
        adapter: args.adapter.clone(),
        memory: config.memory,
        ..GpuOptions::default()
    })?;
    let trainer = config.trainer(&gpu, &data)?;

    let mut bar = Bar(progress::bar(args.steps));
    let found = finder.run(trainer, &mut bar);
    bar.0.into_iter().for_each(|bar| bar.finish_and_clear());
    let sweep = found?;

    let name = args.config.file_stem().unwrap_or_default().to_string_lossy();
    draw(args.svg.as_deref(), &report::lr_find_figure(&sweep, &name))?;
    let note = (!sweep.left_out.is_empty())
        .then(|| format!("note     the test goes without the config's {}", sweep.left_out.join(", ")));
    if args.json || args.csv {
        note.iter().for_each(|note| eprintln!("{note}"));
    }
    let text = match (args.json, args.csv) {
        (true, _) => serde_json::to_string_pretty(&report::lr_find_json(&sweep))?,
        (_, true) => report::lr_find_csv(&sweep),
        _ => {
            let file = args.config.display();
            note.iter().for_each(|note| say(note));
            let (from, to, steps) = (args.from, args.to, args.steps);
            say(&format!(
                "test     {file}: {} from {from:?} to {to:?}, {steps} steps\n",
                config.update.optimizer.name()
            ));
            report::lr_find_text(&sweep)
        }
    };
    say(text.trim_end());
    Ok(())
}

/// The finder's numbers by their options.
fn flagged(err: Error) -> Error {
    match err {
        Error::Config(text) => Error::Config(format!("--{}", text.replacen(" and to", " and --to", 1))),
        other => other,
    }
}

/// Shows how far the test is.
struct Bar(Option<ProgressBar>);

impl Observer for Bar {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        if let (Some(bar), Some(last)) = (&self.0, steps.last()) {
            bar.set_prefix("range test");
            bar.set_message(format!("lr {:.1e}  loss {:.4}", last.lr, last.loss));
            bar.set_position(last.step);
        }
        Ok(())
    }
}
