//! `downhill data convert`

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use downhill::data::{Part, write_pack};
use downhill::units;

use super::source::SourceArgs;
use crate::cli::output::println;
use crate::cli::progress;

/// Write data of any source as one packed file, which opens at once and needs no decoding
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill data convert photos --out photos.dhd
  downhill data convert photos --set data.source.size=[64,64] --out photos.dhd
  downhill data convert net.toml --out net.dhd --force

A config reads the file by source = { pack = \"FILE.dhd\" }. The samples, their scaling and the evaluation part are those
of the source. Memory does not grow with the data. The file appears when it is complete.
Exit code: 0; 1 the data are at fault, or the file cannot be written; 2 the command line or the config is wrong,
or the file exists.")]
pub struct ConvertArgs {
    /// The data
    #[command(flatten)]
    source: SourceArgs,
    /// The file to write
    #[arg(long, value_name = "FILE.dhd")]
    out: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl ConvertArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let data = self.source.open()?.load()?;
        let start = Instant::now();
        let packed = progress::under_bar("", |show| write_pack(&data, &self.out, self.force, show))?;
        let eval = data.eval().map_or(0, Part::len);
        println(&format!(
            "packed   {}: {} to train on, {eval} to evaluate on",
            data.name(),
            data.train().len()
        ));
        let (bytes, seconds) = (units::bytes(packed.bytes), units::seconds(start.elapsed().as_secs_f64()));
        println(&format!("wrote    {}, {bytes} in {seconds}", self.out.display()));
        let path = std::path::absolute(&self.out)?;
        let path = toml::Value::from(path.to_string_lossy().as_ref());
        println(&format!("next     in the config:\n[data]\nsource = {{ pack = {path} }}"));
        Ok(())
    }
}
