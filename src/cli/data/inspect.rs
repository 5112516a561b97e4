//! `downhill data inspect`

use clap::Args;
use downhill::Error;
use downhill::config::{DataConfig, DataSpec};
use downhill::data::{self, ColumnReport, ColumnUse, Dataset, Summary, TableReport};
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
  downhill data inspect prices.csv
  downhill data inspect prices.csv --target price --set data.source.ignore=[\"id\"] --json
  downhill data inspect x.npy --target y.npy
  downhill data inspect photos.dhd --verify

A table is described column by column, and needs no target for that. Numbers of samples are scaled, as the model
receives them. Where a field has more than --most numbers, the statistics are of samples evenly spread over it, and the
report says so.
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
        let config = self.source.open()?;
        let verified = if self.verify { Some(verify(&config.spec)?) } else { None };
        let table = config.columns()?;
        let unready = unready(&config, table.as_ref());
        // A table that cannot be loaded is described by its columns alone.
        let data = match (&unready, &table) {
            (Some(_), Some(_)) => Ok(None),
            (Some(_), None) => config.load_inputs().map(Some),
            (None, _) => config.load().map(Some),
        };
        if self.json {
            let mut json = match (data?, &table) {
                (Some(data), _) => serde_json::to_value(self.summary(&data)?)?,
                (None, table) => {
                    let table = table.as_ref().map(|table| (&table.name, table.rows));
                    serde_json::json!({ "name": table.map(|t| t.0), "rows": table.map(|t| t.1) })
                }
            };
            self.add(&mut json, &config, table.as_ref(), unready, verified)?;
            println(&serde_json::to_string_pretty(&json)?);
            return Ok(());
        }
        if let Some(about) = config.about {
            println(&format!("is       {about}"));
        }
        if let Some(table) = &table {
            println(&format!("table    {}: {}\n", table.name, units::plural(table.rows, "row")));
            println(report::columns_text(&table.columns, usize::MAX).trim_end());
            // The error of a column comes last, and is not said twice.
            let error = data.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let remarks = report::column_remarks(&table.columns, usize::MAX);
            for remark in remarks.iter().filter(|remark| !error.contains(remark.as_str())) {
                println(&format!("note     {remark}"));
            }
            println("");
        }
        match data? {
            Some(data) => self.print(&data, verified, unready)?,
            None => unready.iter().for_each(|why| println(&format!("note     {why}"))),
        }
        println(&format!("\nin a config:\n{}", config.lines()));
        Ok(())
    }

    fn summary(&self, data: &Dataset) -> Result<Summary, Error> {
        Summary::new(data, self.most.saturating_mul(1_000_000))
    }

    /// Prints the samples.
    fn print(&self, data: &Dataset, verified: Option<u64>, unready: Option<String>) -> Result<(), Error> {
        let summary = self.summary(data)?;
        println(report::inspect_text(&summary, data.encoding()).trim_end());
        if let Some(bytes) = verified {
            println(&format!("verified {}: every checksum is right", units::bytes(bytes)));
        }
        for note in data.remarks()?.into_iter().chain(unready) {
            println(&format!("note     {note}"));
        }
        if self.rows > 0 {
            println(report::inspect_rows(data, &summary, self.rows)?.trim_end());
        }
        Ok(())
    }

    /// Adds what is not of the samples.
    fn add(
        &self,
        json: &mut serde_json::Value,
        config: &DataConfig,
        table: Option<&TableReport>,
        unready: Option<String>,
        verified: Option<u64>,
    ) -> serde_json::Result<()> {
        json["is"] = config.about.into();
        json["verified_bytes"] = verified.into();
        json["config"] = config.lines().into();
        if let Some(table) = table {
            json["columns"] = serde_json::to_value(&table.columns)?;
        }
        if let Some(why) = unready {
            json["not_loaded"] = why.into();
        }
        Ok(())
    }
}

/// Why the data can be looked at, and not be loaded for a run: no target is named, or cells are missing.
fn unready(config: &DataConfig, table: Option<&TableReport>) -> Option<String> {
    if let Some(why) = config.untargeted() {
        return Some(format!("{why}; --target names it too"));
    }
    let lacks = |column: &&ColumnReport| {
        (column.used.is_input() || column.used.is_target()) && column.fill.is_none() && column.missing > 0
    };
    let lacking: Vec<&ColumnReport> = table?.columns.iter().filter(lacks).collect();
    let column = lacking.first()?;
    let others = match lacking.len() - 1 {
        0 => String::new(),
        1 => " and in 1 column more".to_owned(),
        more => format!(" and in {more} columns more"),
    };
    let missing = if column.missing == 1 { "1 cell is" } else { &format!("{} cells are", column.missing) };
    let remedy = match column.used {
        ColumnUse::Numeric => "--set data.source.fill=median fills numbers".to_owned(),
        ColumnUse::Categorical => {
            format!("--set data.source.fill.{}=unknown makes it a category", column.name)
        }
        _ => "a target is not made up: take these rows out".to_owned(),
    };
    Some(format!("before a run: in column \"{}\" {missing} missing{others}; {remedy}", column.name))
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
