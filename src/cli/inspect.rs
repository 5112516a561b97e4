//! `downhill data inspect`

use downhill::Error;
use downhill::config::{DataConfig, DataSpec};
use downhill::data::{self, Summary};
use downhill::report;
use downhill::units;

use super::data_args::InspectArgs;
use super::{progress, say};

pub(super) fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let config = DataConfig::open(&args.which.path, &args.which.settings)?;
    let verified = if args.verify { Some(verify(&config.spec)?) } else { None };
    let data = config.load()?;
    let summary = Summary::of(&data, args.most.saturating_mul(1_000_000))?;
    if args.json {
        let mut json = serde_json::to_value(&summary)?;
        json["is"] = config.about.into();
        json["verified_bytes"] = verified.into();
        json["config"] = config.lines().into();
        say(&serde_json::to_string_pretty(&json)?);
        return Ok(());
    }
    if let Some(about) = config.about {
        say(&format!("is       {about}"));
    }
    say(report::inspect_text(&summary, data.encoding()).trim_end());
    if let Some(bytes) = verified {
        say(&format!("verified {}: every checksum is right", units::bytes(bytes)));
    }
    if args.rows > 0 {
        say(report::inspect_rows(&data, &summary, args.rows)?.trim_end());
    }
    say(&format!("\nin a config:\n{}", config.lines()));
    Ok(())
}

/// Bytes that were read and found whole.
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
