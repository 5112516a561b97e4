//! `downhill sample`

use std::io::Write;

use downhill::config::Config;
use downhill::data::Encoding;
use downhill::train::{self, RunDir, Sampling, TextModel};
use downhill::{Error, Gpu, GpuOptions};

use super::args::SampleArgs;

pub(super) fn sample(args: &SampleArgs) -> anyhow::Result<()> {
    let run = &args.run;
    if !run.is_dir() {
        return Err(Error::Config(format!(
            "{}: no such directory; the directory of a run is needed, as train made it",
            run.display()
        ))
        .into());
    }
    let config = Config::load(&run.join("config.toml"), &[])?;
    let (Some(context), Some(Encoding::Text { vocabulary })) =
        (config.data.context(), RunDir::encoding(run)?)
    else {
        return Err(Error::Config(format!(
            "{}: not the run of a text, so there is no text to write; its data.source would be \"sources\" or {{ text \
             = \"FILE\" }}, and the vocabulary in data.json",
            run.display()
        ))
        .into());
    };
    let weights = run.join("model.safetensors");
    if !weights.exists() {
        return Err(Error::Weights(format!(
            "{}: no such file; a run writes its weights at its end, so train it to the end",
            weights.display()
        ))
        .into());
    }
    let weights = train::load(&weights)?;
    let gpu = Gpu::open(&GpuOptions { adapter: args.adapter.clone(), ..GpuOptions::default() })?;
    let build = |net: &_, x: &_| config.model.build(net, x);
    let mut model = TextModel::new(&gpu, &build, context, vocabulary, &weights)?;
    let sampling = Sampling { temperature: args.temperature, top_k: args.top_k, seed: args.seed };
    let writing = model.write(&args.prompt, &sampling)?;

    // A reader that went away is no fault, and the end of the text.
    let mut out = std::io::stdout().lock();
    let mut put = |text: &str| out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok();
    let mut heard = put(&args.prompt);
    for character in writing.take(args.length) {
        let character = character?;
        heard = heard && put(character.encode_utf8(&mut [0; 4]));
        if !heard {
            return Ok(());
        }
    }
    put("\n");
    Ok(())
}
