//! `downhill export`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use downhill::Error;
use downhill::atomic_file::write_whole;
use downhill::plan::NamedTensor;
use downhill::run::{self, RunDir};

use super::finished::Finished;
use super::output::println;
use super::run_args::DataRootArg;

/// Write the net of a run for another library, or as a web page
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill export runs/digits-1                        # runs/digits-1/model.py, for PyTorch
  downhill export runs/digits-1 --format onnx          # runs/digits-1/model.onnx
  downhill export runs/digits-1 --format page          # runs/digits-1/page: draw a digit in a browser
  downhill export runs/digits-1 --out deploy           # deploy/model.py and deploy/model.safetensors
  downhill export runs/garden-1 --average --out net.py # net.py and net.safetensors

pytorch is a Python module of plain torch.nn, which needs torch and safetensors: a class of the net's layers, whose
weights have the names of the run's, the encoding of its inputs, load() and predict(net, x).
onnx is one file of opset 21, with the encoding of its inputs as its first nodes and one or more samples at once. Inputs
are numbers as the data have them, as f32; of a table a column each, f64 or text; of text the numbers of characters, i64.
safetensors is the weights alone, under the names that torch.nn.Sequential has.
page is a folder of static files that runs the net by WebGPU; --out names the folder.

The inputs are those that the data have: bytes of images, or rows of a table. Augmentations and checkpointed blocks are left
out, as in evaluation. Files of an earlier export are overwritten, weights of a run are not.
Exit code: 0; 1 no weights; 2 the command line is wrong, or the format has no form for the net.")]
pub struct ExportArgs {
    /// The run directory
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The format
    #[arg(long, value_name = "FORMAT", default_value = "pytorch")]
    format: Format,
    /// The file, as net.py or net.onnx, or a folder for it [default: model.py, model.onnx, model.safetensors or page in RUN;
    /// average.* with --average]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A Python module of torch.nn, with its weights beside it
    Pytorch,
    /// One file for ONNX Runtime and others
    #[cfg(feature = "onnx")]
    Onnx,
    /// The weights alone
    Safetensors,
    /// A folder that runs the net in a browser
    Page,
}

impl Format {
    /// Its name on the command line.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The ending of its file; none for a folder.
    fn extension(self) -> &'static str {
        match self {
            Format::Pytorch => "py",
            #[cfg(feature = "onnx")]
            Format::Onnx => "onnx",
            Format::Safetensors => "safetensors",
            Format::Page => "",
        }
    }
}

impl ExportArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let run = Finished::open_with(&self.run, &self.data, &[])?;
        let weights = if self.average { run.average_weights()? } else { run.own_weights()? };
        let encoding = run.config.encoding(run.encoding.clone());
        self.check_extension()?;
        // The folder's own name, where it is given as "." or by a link.
        let folder = run.path.canonicalize().unwrap_or_else(|_| run.path.clone());
        let title = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
        let net = run.config.exported(&title, encoding.as_ref())?;
        net.check(&weights)?;
        match self.format {
            Format::Pytorch => {
                let program = self.file();
                let beside = program.with_extension("safetensors");
                let file_name = beside.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let text = net.pytorch(&file_name)?;
                self.write_weights(&beside, &weights)?;
                self.write("program", &program, text.as_bytes())?;
                println(&format!("weights  {}", beside.display()));
            }
            #[cfg(feature = "onnx")]
            Format::Onnx => self.write("net", &self.file(), &net.onnx(&weights)?)?,
            Format::Safetensors => {
                let file = self.file();
                self.write_weights(&file, &weights)?;
                println(&format!("weights  {}", file.display()));
            }
            Format::Page => {
                let folder = self.out.clone().unwrap_or_else(|| self.run.join("page"));
                for (name, bytes) in net.page(&weights)? {
                    in_folder(&folder.join(name), |file| write_whole(file, &bytes))?;
                }
                println(&format!("page  {}", folder.display()));
                println(&format!(
                    "open  python3 -m http.server --directory {}, then http://localhost:8000",
                    folder.display()
                ));
            }
        }
        Ok(())
    }

    /// Writes a file and reports it.
    fn write(&self, what: &str, file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        in_folder(file, |file| write_whole(file, bytes))?;
        println(&format!("{what}  {}", file.display()));
        Ok(())
    }

    /// Writes the weights, but for the run's own file, which has them. Those of other runs stay as they are.
    fn write_weights(&self, file: &Path, weights: &[NamedTensor]) -> Result<(), Error> {
        if is_same(file, &self.run.join(format!("{}.safetensors", self.name()))) {
            return Ok(());
        }
        if RunDir::has_weights_at(file) {
            return Err(Error::Config(format!(
                "{}: a run has its weights there, and they are not overwritten; give --out another name",
                file.display()
            )));
        }
        in_folder(file, |file| run::save(file, weights))
    }

    /// The name of the weights in the run.
    fn name(&self) -> &'static str {
        if self.average { "average" } else { "model" }
    }

    /// Refuses a name with the ending of another format.
    fn check_extension(&self) -> Result<(), Error> {
        let given =
            self.out.as_deref().and_then(Path::extension).map(|own| own.to_string_lossy().to_lowercase());
        let of = Format::value_variants().iter().find(|other| given.as_deref() == Some(other.extension()));
        match (of, &self.out) {
            (Some(other), Some(out)) if *other != self.format && !out.is_dir() => {
                Err(Error::Config(format!(
                    "{}: a file of the format {name} has this ending; give --format {name}, or another name",
                    out.display(),
                    name = other.name()
                )))
            }
            _ => Ok(()),
        }
    }

    /// The file of the net.
    fn file(&self) -> PathBuf {
        let extension = self.format.extension();
        let folder = match &self.out {
            Some(out)
                if out.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension))
                    && !out.is_dir() =>
            {
                return out.clone();
            }
            Some(folder) => folder,
            None => &self.run,
        };
        folder.join(self.name()).with_extension(extension)
    }
}

/// Writes a file whose folder is made where it is missing.
fn in_folder(file: &Path, write: impl Fn(&Path) -> Result<(), Error>) -> Result<(), Error> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|err| Error::io("cannot make the directory", folder, &err))?;
    }
    write(file)
}

/// True for two names of one file.
fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
