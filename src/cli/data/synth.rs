//! `downhill data synth`

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use downhill::data::synth::{self, Kind, SynthOptions};
use downhill::units;

use crate::cli::output::println;
use crate::cli::progress;

/// Make data for benchmarks and tutorials: any number of samples, the same for the same seed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill data synth digits28 --count 60000 --out data/digits28
  downhill data synth digits28 --count 5000000 --seed 1 --out data/many
  downhill data synth teacher --count 10000 --out data --force

A sample depends on the seed and its number only: the first 1000 of 2000 are those of --count 1000. Memory does not grow
with the count. The files appear when all of them are complete.
Exit code: 0; 1 a file cannot be written; 2 the command line is wrong, or a file exists.")]
pub struct SynthArgs {
    /// The kind of data
    #[arg(value_parser = kinds())]
    kind: String,
    /// Number of training samples; digits28 adds a sixth as many evaluation samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX)))]
    count: u64,
    /// The directory to write to, created if needed
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of the samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// The kinds, each with its line of help.
fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Kind::ALL.map(|(_, name, about)| PossibleValue::new(name).help(about)))
}

impl SynthArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let kind = Kind::named(&self.kind)?;
        let options = SynthOptions { kind, count: self.count, seed: self.seed, force: self.force };
        let eval = kind.eval_count(self.count);
        let total = self.count + eval;
        let written = progress::under_bar(kind.name(), |show| {
            synth::write(&options, &self.out, &mut |done| show(done, total))
        })?;

        let beside = if eval > 0 { format!(" to train on, {eval} to evaluate on") } else { String::new() };
        println(&format!("made     {}{beside}, seed {}", units::plural(self.count, "sample"), self.seed));
        for (path, bytes) in written {
            println(&format!("wrote    {}, {}", path.display(), units::bytes(bytes)));
        }
        println(&format!("next     in the config:\n{}", config(kind, &self.out)?));
        Ok(())
    }
}

/// The lines of a config that use the files. The path is absolute, since a config may lie anywhere.
fn config(kind: Kind, dir: &Path) -> anyhow::Result<String> {
    let dir = std::path::absolute(dir)?;
    let quoted = |path: &Path| toml::Value::from(path.to_string_lossy().as_ref()).to_string();
    let table = quoted(&dir.join(format!("{}.csv", kind.name())));
    let points = |classes: usize| {
        let source = format!("{{ csv = {table}, target = \"label\", classes = true }}");
        (source, format!("layers = [.., {{ linear = {classes} }}]"), "cross_entropy")
    };
    let (source, layers, loss) = match kind {
        Kind::Digits28 => {
            let source = format!("{{ idx = {} }}", quoted(&dir));
            (source, "layers = [.., { linear = 10 }]".into(), "cross_entropy")
        }
        Kind::Spirals => points(3),
        Kind::Moons => points(2),
        Kind::Blobs => points(4),
        Kind::Teacher => {
            (format!("{{ csv = {table}, target = \"y\" }}"), "layers = [.., { linear = 1 }]".into(), "mse")
        }
    };
    Ok(format!("[data]\nsource = {source}\n[model]\n{layers}\nloss = \"{loss}\""))
}
