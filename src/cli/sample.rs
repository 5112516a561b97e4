//! `downhill sample`

use std::path::PathBuf;

use clap::Args;
use downhill::Error;
use downhill::data::Encoding;
use downhill::infer::{Sampling, TextModel};

use super::finished::Finished;
use super::output::print;
use super::run_args::AdapterArg;

/// Write text with the model of a run
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill sample runs/tiny_gpt-1
  downhill sample runs/tiny_gpt-1 --prompt \"pub fn \" --length 2000 --temperature 0.8 --top-k 20
  downhill sample runs/tiny_gpt-1 --temperature 0

The run's data must be text. Prints the prompt, then one character after the other. The same seed on the same adapter
writes the same text. The model sees the last data.context characters.
Exit code: 0; 1 no weights, or no adapter; 2 the command line is wrong, or the run's data are not text.")]
pub struct SampleArgs {
    /// The run directory
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The text to continue [default: a line break, which is not printed]
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    prompt: String,
    /// Number of characters to write after the prompt
    #[arg(long, value_name = "N", default_value_t = 500)]
    length: usize,
    /// Divides the logits: below 1 likely characters become likelier; 0 takes the likeliest
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,
    /// Draw from the K likeliest characters only
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The adapter
    #[command(flatten)]
    adapter: AdapterArg,
}

impl SampleArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let run = Finished::open(&self.run)?;
        let (Some(context), Some(Encoding::Text { vocabulary })) = (run.config.data.context(), &run.encoding)
        else {
            return Err(Error::Config(format!(
                "{}: not the run of a text, so there is no text to write; its data.source would be \"sources\" or \
                 {{ text = \"FILE\" }}, and the vocabulary in data.json",
                run.path.display()
            ))
            .into());
        };
        let weights = run.own_weights()?;
        let gpu = run.gpu(&self.adapter)?;
        let build = |net: &_, x: &_| run.config.model.build(net, x);
        let mut model = TextModel::new(&gpu, &build, context, vocabulary.clone(), &weights)?;
        let sampling = Sampling { temperature: self.temperature, top_k: self.top_k, seed: self.seed };
        let writing = model.write(&self.prompt, &sampling)?;

        let mut is_read = print(&self.prompt);
        for character in writing.take(self.length) {
            let character = character?;
            is_read = is_read && print(character.encode_utf8(&mut [0; 4]));
            if !is_read {
                return Ok(());
            }
        }
        print("\n");
        Ok(())
    }
}
