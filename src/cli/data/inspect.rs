//! `downhill data inspect`

use clap::Args;
use downhill::Error;
use downhill::config::{DataConfig, DataSpec};
use downhill::data::{self, Summary};
use downhill::{report, units};

use super::source::SourceArgs;
use crate::cli::output::println;
use crate::cli::progress;

/// Describe data: shapes, types, counts, means, first samples, and the config that uses them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill data inspect photos
  downhill data inspect examples/digits.toml --rows 3
  downhill data inspect prices.csv --set data.source.target=price --json
  downhill data inspect photos.dhd --verify

Numbers are scaled, as the model receives them. Where a field has more than --most numbers, the statistics are of
samples evenly spread over it, and the report says so.
Exit code: 0; 1 the data are at fault; 2 the command line or the config is wrong.")]
pub struct InspectArgs {
    /// The data
    #[command(flatten)]
    source: SourceArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Compare the checksums of a packed file
    #[arg(long)]
    verify: bool,
    /// Number of training samples to show
    #[arg(long, value_name = "N", default_value_t = 2)]
    rows: usize,
    /// Numbers of a field to read at most, in millions
    #[arg(long, value_name = "MILLIONS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    most: u64,
}

impl InspectArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let config = DataConfig::open(&self.source.path, &self.source.settings)?;
        let verified = if self.verify { Some(verify(&config.spec)?) } else { None };
        let data = config.load()?;
        let summary = Summary::new(&data, self.most.saturating_mul(1_000_000))?;
        if self.json {
            let mut json = serde_json::to_value(&summary)?;
            json["is"] = config.about.into();
            json["verified_bytes"] = verified.into();
            json["config"] = config.lines().into();
            println(&serde_json::to_string_pretty(&json)?);
            return Ok(());
        }
        if let Some(about) = config.about {
            println(&format!("is       {about}"));
        }
        println(report::inspect_text(&summary, data.encoding()).trim_end());
        if let Some(bytes) = verified {
            println(&format!("verified {}: every checksum is right", units::bytes(bytes)));
        }
        if self.rows > 0 {
            println(report::inspect_rows(&data, &summary, self.rows)?.trim_end());
        }
        println(&format!("\nin a config:\n{}", config.lines()));
        Ok(())
    }
}

/// Compares the checksums of a packed file, and returns the bytes read.
fn verify(spec: &DataSpec) -> Result<u64, Error> {
    let DataSpec::Pack(pack) = spec else {
        return Err(Error::Config(
            "--verify compares the checksums of a packed file, and the data are of another source; downhill data \
             convert writes one"
                .into(),
        ));
    };
    progress::under_bar("", |show| data::verify(&pack.path, show))
}
