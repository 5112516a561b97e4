//! Runs of small tables, and what is predicted with them.

use serde_json::Value;

use crate::adapter::wanted;
use crate::folder::{Done, Folder};

/// 48 rows: two numbers and a word, and one of three classes that follows from them.
pub const GARDEN: &str = "harvest";

/// The table, whose `weight` is a number that follows from the others, near 500.
fn table() -> String {
    let mut text = String::from("rain,sun,soil,harvest,weight\n");
    for i in 0..48 {
        let (rain, sun) = (i % 7, (i * 5) % 11);
        let soil = ["clay", "loam", "sand"][i % 3];
        let harvest = ["good", "fair, really", "poor"][(rain + sun) % 3];
        text += &format!("{rain},{sun},{soil},\"{harvest}\",{}\n", 500 + 10 * rain + 3 * sun);
    }
    text
}

/// A run on it in `run`: of the classes, or of `weight`.
pub fn trained(target: &str, more: &[&str]) -> Folder {
    let folder = Folder::new();
    folder.write("garden.csv", table());
    let (options, outputs, loss) = match target {
        GARDEN => ("", 3, "cross_entropy"),
        _ => (", standardise_target = true", 1, "mse"),
    };
    let settings = [
        format!(
            "data.source={{ csv = \"garden.csv\", target = \"{target}\", numeric = [\"rain\", \"sun\"], categorical = \
             [\"soil\"]{options} }}"
        ),
        "data.batch_size=5".into(),
        format!(
            "model={{ layers = [{{ linear = 12 }}, \"relu\", {{ linear = {outputs} }}], loss = \"{loss}\" }}"
        ),
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting.as_str()]).collect();
    folder.trained("run", &[&settings[..], &["--steps", "30"], more].concat());
    folder
}

/// `predict run` with more arguments.
pub fn predict(folder: &Folder, more: &[&str]) -> Done {
    folder.run(&[&["predict", "run", "--adapter", &wanted()], more].concat())
}

/// What it prints as CSV.
#[track_caller]
pub fn csv(folder: &Folder, more: &[&str]) -> String {
    let done = predict(folder, more);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{more:?}");
    done.stdout
}

/// What it prints as JSON, line by line.
#[track_caller]
pub fn predictions(folder: &Folder, more: &[&str]) -> Vec<Value> {
    let text = csv(folder, &[more, &["--json"]].concat());
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|err| panic!("{line}: {err}")))
        .collect()
}
