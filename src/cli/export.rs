//! `downhill export`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use downhill::Error;
use downhill::atomic_file::write_whole;
use downhill::run::{self, RunDir};

use super::finished::Finished;
use super::output::println;
use super::run_args::DataRootArg;

/// Write the net of a run as a program for another library
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill export runs/digits-1                        # runs/digits-1/model.py
  downhill export runs/digits-1 --out deploy           # deploy/model.py and deploy/model.safetensors
  downhill export runs/garden-1 --average --out net.py # net.py and net.safetensors

pytorch is a Python module of plain torch.nn, which needs torch and safetensors: a class of the net's layers, whose
weights have the names of the run's, the encoding of its inputs, load() and predict(net, x). The inputs are those that
the data have: bytes of images, or rows of a table, which the module's encode makes numbers of. Augmentations and
checkpointed blocks are left out, as in evaluation. Files of an earlier export are overwritten, weights of a run are not.
Exit code: 0; 1 no weights; 2 the command line is wrong, or the format has no form for a layer.")]
pub struct ExportArgs {
    /// The run directory
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The format
    #[arg(long, value_name = "FORMAT", default_value = "pytorch")]
    format: Format,
    /// The module, as net.py, or a folder for it; the weights are copied beside it [default: model.py in RUN, beside its
    /// weights]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Use the run's average of the weights, average.safetensors
    #[arg(long)]
    average: bool,
    /// The data, which are read where the run does not know the shape of a sample: arrays of floats
    #[command(flatten)]
    data: DataRootArg,
}

/// The formats there are.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A Python module of torch.nn
    Pytorch,
}

impl Format {
    /// The ending of its files.
    fn extension(self) -> &'static str {
        match self {
            Format::Pytorch => "py",
        }
    }
}

impl ExportArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let run = Finished::open_with(&self.run, &self.data, &[])?;
        let weights = if self.average { run.average_weights()? } else { run.own_weights()? };
        let encoding = run.config.encoding(run.encoding.clone());
        let title = run.path.file_name().unwrap_or(run.path.as_os_str()).to_string_lossy();
        let net = run.config.exported(&title, encoding.as_ref())?;
        net.check(&weights)?;

        let name = if self.average { "average" } else { "model" };
        let program = self.program(name);
        let beside = program.with_extension("safetensors");
        let file_name = beside.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The run's own file stays as it is, and so do those of other runs.
        let own = is_same(&beside, &run.path.join(format!("{name}.safetensors")));
        if !own && RunDir::has_weights_at(&beside) {
            return Err(Error::Config(format!(
                "{}: a run has its weights there, and they are not overwritten; give --out another name",
                beside.display()
            ))
            .into());
        }
        let text = match self.format {
            Format::Pytorch => net.pytorch(&file_name)?,
        };
        if let Some(folder) = program.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|err| Error::io("cannot make the directory", folder, &err))?;
        }
        if !own {
            run::save(&beside, &weights)?;
        }
        write_whole(&program, text.as_bytes())?;
        println(&format!("program  {}", program.display()));
        println(&format!("weights  {}", beside.display()));
        Ok(())
    }

    /// The file of the program.
    fn program(&self, name: &str) -> PathBuf {
        let extension = self.format.extension();
        let folder = match &self.out {
            Some(out) if out.extension().is_some_and(|own| own == extension) && !out.is_dir() => {
                return out.clone();
            }
            Some(folder) => folder,
            None => &self.run,
        };
        folder.join(name).with_extension(extension)
    }
}

/// True for two names of one file.
fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
