//! `downhill sample`

use std::io::Write;

use downhill::Error;
use downhill::data::Encoding;
use downhill::infer::{Sampling, TextModel};

use super::args::SampleArgs;
use super::finished::Finished;

pub(super) fn sample(args: &SampleArgs) -> anyhow::Result<()> {
    let run = Finished::open(&args.run)?;
    let (Some(context), Some(Encoding::Text { vocabulary })) = (run.config.data.context(), &run.encoding)
    else {
        return Err(Error::Config(format!(
            "{}: not the run of a text, so there is no text to write; its data.source would be \"sources\" or {{ text \
             = \"FILE\" }}, and the vocabulary in data.json",
            run.path.display()
        ))
        .into());
    };
    let weights = run.own_weights()?;
    let gpu = run.gpu(&args.adapter)?;
    let build = |net: &_, x: &_| run.config.model.build(net, x);
    let mut model = TextModel::new(&gpu, &build, context, vocabulary.clone(), &weights)?;
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
