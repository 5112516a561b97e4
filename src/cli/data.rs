//! `downhill data`

use std::path::Path;

use downhill::data::synth::{self, Kind, SynthOptions};
use downhill::units;

use super::data_args::{DataArgs, DataCommand, SynthArgs};
use super::{progress, say};

pub(super) fn data(args: &DataArgs) -> anyhow::Result<()> {
    match &args.what {
        DataCommand::Synth(args) => synth(args),
        DataCommand::Convert(args) => super::convert::convert(args),
        DataCommand::Inspect(args) => super::inspect::inspect(args),
    }
}

fn synth(args: &SynthArgs) -> anyhow::Result<()> {
    let kind = Kind::named(&args.kind)?;
    let options = SynthOptions { kind, count: args.count, seed: args.seed, force: args.force };
    let eval = kind.eval_count(args.count);
    let total = args.count + eval;
    let written = progress::under_bar(kind.name(), |show| {
        synth::write(&options, &args.out, &mut |done| show(done, total))
    })?;

    let beside = if eval > 0 { format!(" to train on, {eval} to evaluate on") } else { String::new() };
    say(&format!("made     {} samples{beside}, seed {}", args.count, args.seed));
    for (path, bytes) in written {
        say(&format!("wrote    {}, {}", path.display(), units::bytes(bytes)));
    }
    say(&format!("next     in the config:\n{}", config(kind, &args.out)?));
    Ok(())
}

/// The lines of a config that use the files; the path is absolute, for a config may lie anywhere.
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
