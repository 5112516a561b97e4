//! `downhill data convert`

use std::time::Instant;

use downhill::config::DataConfig;
use downhill::data::{Part, write_pack};
use downhill::units;

use super::data_args::ConvertArgs;
use super::{progress, say};

pub(super) fn convert(args: &ConvertArgs) -> anyhow::Result<()> {
    let config = DataConfig::open(&args.which.path, &args.which.settings)?;
    let data = config.load()?;
    let start = Instant::now();
    let packed = progress::under_bar("", |show| write_pack(&data, &args.out, args.force, show))?;
    let eval = data.eval().map_or(0, Part::len);
    say(&format!("packed   {}: {} to train on, {eval} to evaluate on", data.name(), data.train().len()));
    let (bytes, seconds) = (units::bytes(packed.bytes), units::seconds(start.elapsed().as_secs_f64()));
    say(&format!("wrote    {}, {bytes} in {seconds}", args.out.display()));
    let path = std::path::absolute(&args.out)?;
    let path = toml::Value::from(path.to_string_lossy().as_ref());
    say(&format!("next     in the config:\n[data]\nsource = {{ pack = {path} }}"));
    Ok(())
}
