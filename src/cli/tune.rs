//! `downhill tune`

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use downhill::atomic_file::write_whole;
use downhill::bench::{Options, Tuned, Tuning, without_tiles};
use downhill::config::{Config, Tune};
use downhill::data::Dataset;
use downhill::kernel::{Target, TunedProducts};
use downhill::{Error, Gpu, GpuOptions, units};
use serde_json::json;

use super::output::{eprintln, println};
use super::run_args::{AdapterArg, DataRootArg};

/// Measure on this adapter which tiles make the products of a config fastest
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill tune examples/tiny_gpt.toml
  downhill train examples/tiny_gpt.toml --tune examples/tiny_gpt.tune.toml
  downhill tune examples/tiny_gpt.toml --set data.batch_size=64 --out gpt64.tune.toml --json

On GPUs a product's tile is predicted, so that the bits of a run follow from its config. This measures at most four tiles
for each product of the training step, of its short last batch and of the evaluation, and names another one where the
predicted one takes at least 1.05 times as long. A tile changes the order of sums, and so the last bits.
The file is for train and explain, with --tune. A run keeps the tiles in its config.toml, and resume and eval use them.
Products that the file has already of this adapter, driver and version of the kernel are not measured again; --again
measures all. Nothing else should run on the adapter meanwhile.
Exit code: 0, also where there is nothing to tune, and then no file is written; 1 no adapter; 2 the command line or the
config is wrong.")]
pub struct TuneArgs {
    /// The config file
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Override a setting, as data.batch_size=64 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// The data
    #[command(flatten)]
    data: DataRootArg,
    /// The adapter
    #[command(flatten)]
    adapter: AdapterArg,
    /// Write the tiles into this file [default: CONFIG.tune.toml, beside the config]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Measure also the products that the file has
    #[arg(long)]
    again: bool,
    /// Timed runs of each tile [default: 15]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Print JSON: every tile that was tried, and what the named ones change
    #[arg(long)]
    json: bool,
}

impl TuneArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let config = self.data.load(&self.config, &self.settings)?;
        let out = self.out.clone().unwrap_or_else(|| self.config.with_extension("tune.toml"));
        // Before anything is measured.
        let before = if out.exists() { Some(Tune::load_own(&out)?) } else { None };
        let data = config.dataset()?;
        // The shader checks of a debug build are not part of the measurement.
        let options = GpuOptions { shader_checks: false, ..self.adapter.gpu_options() };
        let gpu = Gpu::open(&config.gpu_options(&options))?;
        if let Some(why) = without_tiles(&gpu) {
            self.nothing(&why);
            return Ok(());
        }
        let known = before.filter(|tune| !self.again && tune.is_of(gpu.adapter()));
        let known = known.map(|tune| tune.products).unwrap_or_default();
        let tuned = self.measure(&config, &data, &gpu, known)?;
        if tuned.products.is_empty() {
            self.nothing(
                "no product of this config has a tile: small nets are trained whole, and convolutions are products of \
                 windows",
            );
            return Ok(());
        }
        let tune = Tune::measured_on(gpu.adapter(), tuned.products.clone());
        write_whole(&out, tune.to_toml().as_bytes())?;
        self.report(&tuned, &tune, &out.display().to_string())
    }

    fn measure(
        &self,
        config: &Config,
        data: &Dataset,
        gpu: &Gpu,
        known: TunedProducts,
    ) -> Result<Tuned, Error> {
        let mut options = Options::new(false);
        if let Some(runs) = self.runs {
            options.effort = options.effort.exactly(runs as usize);
        }
        if std::io::stderr().is_terminal() {
            options.progress = eprintln;
        }
        let plan = |products: &TunedProducts| {
            let mut config = config.clone();
            config.tune = Tune { products: products.clone(), ..Tune::default() };
            // Each product is measured alone.
            config.plan(data, Target { side_by_side: false, ..Target::for_gpu(gpu) })
        };
        Tuning { plan: &plan, known }.run(gpu, &options)
    }

    /// Prints that there is nothing to tune.
    fn nothing(&self, why: &str) {
        if self.json {
            println(&json!({ "nothing": why }).to_string());
        } else {
            println(&format!("nothing to tune: {why}"));
        }
    }

    fn report(&self, tuned: &Tuned, tune: &Tune, out: &str) -> anyhow::Result<()> {
        let sheets = tuned.sheets();
        if self.json {
            let [products, steps] = [0, 1].map(|i| sheets[i].json());
            let report = json!({
                "adapter": tune.adapter,
                "driver": tune.driver,
                "template": tune.template,
                "file": out,
                "products": products["rows"],
                "notes": products["notes"],
                "candidates": tuned.candidates().json()["rows"],
                "steps": steps["rows"],
            });
            println(&serde_json::to_string_pretty(&report)?);
            return Ok(());
        }
        println(&format!("adapter  {} (driver {})\n", tune.adapter, tune.driver));
        sheets.iter().for_each(|sheet| println(&sheet.markdown()));
        let measured = units::plural(tuned.measured.len(), "product");
        println(&format!(
            "measured {measured}; {} with another tile than the predicted one",
            tuned.changed()
        ));
        let config = self.config.display();
        println(&format!("tiles    {out}; downhill train {config} --tune {out}"));
        Ok(())
    }
}
