//! `downhill lab`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use downhill::error::Result;
use downhill::lab::{self, Chapter, Conditions, Setup};
use downhill::{Error, Gpu, units};

use super::output::{eprintln, println};
use super::run_args::AdapterArg;

/// Show the lecture's statements on optimisation on the engine itself: pictures, and numbers beside theory's
#[derive(Debug, Args)]
#[command(after_help = "\
Exhibits:
  minibatch     the gradient of a minibatch: unbiased, its variance by its size
  average-step  many small steps make the average step
  orders        shuffled epochs, fixed minibatches, draws with replacement
  stability     the largest rate that converges, with and without momentum
  momentum      two parametrisations that are one
  ema           running means, their weights and their bias
  rmsprop       steps of the size of the learning rate
  adam          momentum and RMSProp together; weight decay
  optima        the mysterious absence of local optima

Examples:
  downhill lab                                       all of them, into lab/index.html
  downhill lab stability momentum --seed 3
  downhill lab rmsprop --set rmsprop.alpha=0.999     a number changed
  downhill lab all --quick --assert                  in a minute, as a test

The folder gets NAME.svg (further pictures NAME-2.svg ..) and NAME.json of each exhibit, and one page, index.html, that needs
no network. Existing files of these names are replaced. Tolerances follow from statistics: nearly every seed agrees.
Exit code: 0; 1 an exhibit failed; 2 the command line is wrong; 3 with --assert, a number is outside its tolerance.")]
pub struct LabArgs {
    /// Exhibits to run [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Folder of the page and its files
    #[arg(long, value_name = "DIR", default_value = "lab")]
    out: PathBuf,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Fewer nets and draws, in about a minute
    #[arg(long)]
    quick: bool,
    /// Change a number of an exhibit, as ema.beta=0.5 (repeatable); the page lists them
    #[arg(long = "set", value_name = "NAME.KEY=VALUE")]
    settings: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Fail with exit code 3 where a number is outside its tolerance
    #[arg(long)]
    assert: bool,
    /// The adapter
    #[command(flatten)]
    adapter: AdapterArg,
}

impl LabArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let planned = lab::plan(&self.names, &self.settings, self.quick)?;
        std::fs::create_dir_all(&self.out).map_err(|err| Error::io("cannot create", &self.out, &err))?;
        let gpu = Gpu::open(&self.adapter.gpu_options())?;
        let conditions = Conditions {
            seed: self.seed,
            quick: self.quick,
            adapter: gpu.adapter().name.clone(),
            set: self.settings.clone(),
        };
        if !self.json {
            println(&format!("adapter  {}", conditions.adapter));
        }
        let mut chapters = Vec::new();
        for (about, settings) in planned {
            if !self.json && std::io::stdout().is_terminal() {
                eprintln(&format!("{} ..", about.name));
            }
            let start = Instant::now();
            let setup = Setup { gpu: &gpu, seed: self.seed, settings };
            let shown = match (about.run)(&setup) {
                Ok(shown) => shown,
                Err(err) => {
                    // The chapters before it are kept.
                    self.file("index.html", lab::page(&chapters, &conditions).as_bytes())?;
                    eprintln(&format!("{} failed; the page has the exhibits before it", about.name));
                    return Err(err.into());
                }
            };
            let seconds = start.elapsed().as_secs_f64();
            let chapter = Chapter { about, settings: setup.settings, shown, seconds };
            self.write(&chapter, &conditions)?;
            if !self.json {
                println(&format!("{}  {}  {}", about.name, about.title, units::seconds(seconds)));
                for finding in &chapter.shown.findings {
                    println(&lab::finding_text(finding));
                }
            }
            chapters.push(chapter);
        }
        let page = self.out.join("index.html");
        self.file("index.html", lab::page(&chapters, &conditions).as_bytes())?;
        if self.json {
            let values: Vec<_> = chapters.iter().map(|c| lab::json(c, &conditions)).collect();
            println(&serde_json::to_string_pretty(&values)?);
        } else {
            println(&format!("page  {}", page.display()));
        }
        let faults: Vec<String> = chapters
            .iter()
            .flat_map(|c| c.faults().map(|f| format!("{}:{}", c.about.name, lab::finding_text(f))))
            .collect();
        if self.assert && !faults.is_empty() {
            return Err(Error::Assertion(faults.join("\n")).into());
        }
        Ok(())
    }

    fn write(&self, chapter: &Chapter, conditions: &Conditions) -> anyhow::Result<()> {
        let name = chapter.about.name;
        for (i, figure) in chapter.shown.figures.iter().enumerate() {
            let file = if i == 0 { format!("{name}.svg") } else { format!("{name}-{}.svg", i + 1) };
            self.file(&file, figure.svg().as_bytes())?;
        }
        let text = serde_json::to_string_pretty(&lab::json(chapter, conditions))? + "\n";
        Ok(self.file(&format!("{name}.json"), text.as_bytes())?)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.out.join(name);
        downhill::atomic_file::write_whole(&path, bytes)
    }
}
