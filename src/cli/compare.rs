//! `downhill compare`

use downhill::Error;
use downhill::report::{self, CompareOptions, Comparison, Weighing};

use super::args::CompareArgs;
use super::say;

pub(super) fn compare(args: &CompareArgs) -> anyhow::Result<()> {
    let weights = match (args.weights, args.no_weights) {
        (true, _) => Weighing::Needed,
        (_, true) => Weighing::LeftOut,
        _ => Weighing::WhereThere,
    };
    let options = CompareOptions { tolerance: args.tolerance, weights };
    let comparison = Comparison::new(&args.a, &args.b, &options)?;
    if args.json {
        say(&serde_json::to_string_pretty(&report::compare_json(&comparison))?);
    } else {
        say(report::compare_text(&comparison).trim_end());
    }
    if comparison.alike() {
        return Ok(());
    }
    Err(Error::Assertion(format!("{} and {} are not alike", args.a.display(), args.b.display())).into())
}
