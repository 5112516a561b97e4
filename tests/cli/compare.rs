//! `downhill compare`: what counts as the same run, and where two part.

use downhill::plan::NamedTensor;
use downhill::run;
use serde_json::Value;

use crate::folder::{Done, Folder};

/// Two epochs of two steps.
const METRICS: &str = r#"{"event":"step","step":1,"epoch":1,"loss":2.5,"lr":0.003,"metrics":{"kl":1.5,"nll":null}}
{"event":"step","step":2,"epoch":1,"loss":2.25,"lr":0.003,"metrics":{"kl":1.25,"nll":0.5}}
{"event":"epoch","epoch":1,"train_loss":2.375,"eval_loss":2.0,"eval_accuracy":0.5,"samples_per_second":31344.2}
{"event":"step","step":3,"epoch":2,"loss":2.0,"lr":0.003,"metrics":{"kl":1.125,"nll":-0.0}}
{"event":"step","step":4,"epoch":2,"loss":0.0,"lr":0.003,"metrics":{"kl":1.0,"nll":0.25}}
{"event":"epoch","epoch":2,"train_loss":1.0,"eval_loss":1.5,"eval_accuracy":0.75,"samples_per_second":31344.2}
"#;

const SETTINGS: &str = "seed = 1\n[optimizer]\nname = \"sgd\"\nlr = 0.1\n";

fn weights() -> Vec<NamedTensor> {
    let tensor = |name: &str, shape: &[usize], values: &[f32]| NamedTensor {
        name: name.into(),
        shape: shape.into(),
        values: values.into(),
    };
    vec![tensor("1.bias", &[2], &[0.0, 0.5]), tensor("1.weight", &[2, 3], &[1.0, -2.0, 3.0, 1e-3, 5.0, -8.0])]
}

/// The runs `a`, as above, and `b`, changed.
struct Runs(Folder);

impl Runs {
    fn new() -> Self {
        let runs = Runs(Folder::new());
        for run in ["a", "b"] {
            std::fs::create_dir(runs.0.path(run)).expect("a folder");
            runs.write(run, METRICS);
            runs.0.write(&format!("{run}/config.toml"), SETTINGS);
        }
        runs
    }

    fn write(&self, run: &str, metrics: &str) {
        self.0.write(&format!("{run}/metrics.jsonl"), metrics);
    }

    fn change(&self, from: &str, to: &str) {
        assert_eq!(METRICS.matches(from).count(), 1, "{from}");
        self.write("b", &METRICS.replace(from, to));
    }

    fn save(&self, run: &str, weights: &[NamedTensor]) {
        run::save(&self.0.path(run).join("model.safetensors"), weights).expect("weights");
    }

    fn compare(&self, more: &[&str]) -> Done {
        self.0.run(&[&["compare", "a", "b"], more].concat())
    }

    #[track_caller]
    fn alike(&self, more: &[&str]) -> String {
        let done = self.compare(more);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
        done.stdout
    }

    #[track_caller]
    fn part(&self, more: &[&str], line: &str) {
        let done = self.compare(more);
        done.refused(3, &["a and b are not alike"]);
        assert!(done.stdout.lines().any(|have| have == line), "no {line:?} in: {}", done.stdout);
    }
}

#[test]
fn equal_runs_are_alike() {
    let runs = Runs::new();
    assert_eq!(
        runs.alike(&[]),
        "metrics  alike over 4 steps and 2 epochs, to the bit\nweights  not compared: a has no model.safetensors\n"
    );
    runs.save("a", &weights());
    runs.compare(&["--weights"]).refused(1, &["b/model.safetensors", "no such file"]);
    runs.save("b", &weights());
    assert_eq!(
        runs.alike(&["--tolerance", "1e-6", "--weights"]),
        "metrics  alike over 4 steps and 2 epochs, within 1e-6\nweights  alike in 2 tensors, within 1e-6\n"
    );
    assert!(!runs.alike(&["--no-weights"]).contains("weights"));
}

#[test]
fn what_times_a_run_is_not_compared() {
    let runs = Runs::new();
    let timed = METRICS.replace("31344.2", "2.0,\"data_wait\":0.25");
    // Neither are lines of other events, nor one that was cut off.
    runs.write("b", &format!("{{\"event\":\"resume\",\"step\":0}}\n{timed}{{\"event\":\"st"));
    runs.alike(&[]);
    runs.write("b", &METRICS[..METRICS.len() - 1]);
    runs.alike(&[]);
}

#[test]
fn the_first_number_that_differs_is_told() {
    let runs = Runs::new();
    for (from, to, line) in [
        (
            "\"loss\":2.25",
            "\"loss\":2.0",
            "metrics  loss of step 2 is 2.25 in a and 2.0 in b: they differ by 2.500e-1, 1.111e-1 of the larger",
        ),
        (
            "2.25,\"lr\":0.003,\"metrics\":{\"kl\":1.25",
            "2.25,\"lr\":0.006,\"metrics\":{\"kl\":1.0",
            "metrics  lr of step 2 is 0.003 in a and 0.006 in b: they differ by 3.000e-3, 5.000e-1 of the larger",
        ),
        (
            "\"kl\":1.125",
            "\"kl\":-1.125",
            "metrics  metrics.kl of step 3 is 1.125 in a and -1.125 in b: they differ by 2.250e0, 2.000e0 of the larger",
        ),
        (
            "\"eval_accuracy\":0.5",
            "\"eval_accuracy\":0.25",
            "metrics  eval_accuracy of epoch 1 is 0.5 in a and 0.25 in b: they differ by 2.500e-1, 5.000e-1 of the larger",
        ),
        ("\"nll\":null", "\"nll\":0.5", "metrics  metrics.nll of step 1 is null in a and 0.5 in b"),
        (",\"nll\":0.5", "", "metrics  metrics.nll of step 2 is 0.5 in a and not there in b"),
        (
            "\"eval_accuracy\":0.5",
            "\"eval_accuracy\":0.5,\"new\":true",
            "metrics  new of epoch 1 is not there in a and true in b",
        ),
        (
            "\"nll\":-0.0",
            "\"nll\":0.0",
            "metrics  metrics.nll of step 3 is -0.0 in a and 0.0 in b: they differ by 0.000e0, 0.000e0 of the larger",
        ),
        ("\"step\":3", "\"step\":7", "metrics  event of step 3 is \"step 3\" in a and \"step 7\" in b"),
    ] {
        runs.change(from, to);
        runs.part(&[], line);
    }
    runs.write("b", &METRICS.replace("2.375", "2.0").replace("\"loss\":2.5", "\"loss\":2.25"));
    runs.part(
        &[],
        "metrics  loss of step 1 is 2.5 in a and 2.25 in b: they differ by 2.500e-1, 1.000e-1 of the larger",
    );
}

/// |a - b| is at most the tolerance times the larger of both.
#[test]
fn a_tolerance_is_of_the_larger_number() {
    let runs = Runs::new();
    runs.change("\"loss\":2.5", "\"loss\":2.25");
    runs.alike(&["--tolerance", "0.1"]);
    assert_eq!(runs.compare(&["--tolerance", "0.0999999"]).code, 3);
    runs.change("\"nll\":-0.0", "\"nll\":0.0");
    runs.alike(&["--tolerance", "1e-300"]);
    // Nothing is near 0 but 0, and a number is not near null.
    runs.change("\"loss\":0.0", "\"loss\":1e-30");
    assert_eq!(runs.compare(&["--tolerance", "0.9"]).code, 3);
    runs.change("\"nll\":null", "\"nll\":1.5");
    assert_eq!(runs.compare(&["--tolerance", "0.9"]).code, 3);
    for wrong in ["-1", "1", "nan", "much"] {
        runs.compare(&["--tolerance", wrong]).refused(2, &["--tolerance", wrong, "below 1"]);
    }
}

#[test]
fn a_shorter_run_is_not_alike() {
    let runs = Runs::new();
    let lines: Vec<&str> = METRICS.split_inclusive('\n').collect();
    for (kept, length) in [
        (5, "length   a has 4 steps and 2 epochs, b has 4 steps and 1 epoch"),
        (3, "length   a has 4 steps and 2 epochs, b has 2 steps and 1 epoch"),
        (1, "length   a has 4 steps and 2 epochs, b has 1 step and 0 epochs"),
        (0, "length   a has 4 steps and 2 epochs, b has 0 steps and 0 epochs"),
    ] {
        runs.write("b", &lines[..kept].concat());
        runs.part(&["--tolerance", "0.5"], length);
    }
    runs.write("a", "");
    runs.compare(&[]).refused(1, &["neither a nor b has a step"]);
    // Epochs of other lengths part at the first that ends.
    runs.write("a", METRICS);
    runs.write("b", &[&lines[..2], &lines[3..4], &lines[2..3], &lines[4..]].concat().concat());
    runs.part(&[], "metrics  event of epoch 1 is \"epoch 1\" in a and \"step 3\" in b");
}

#[test]
fn weights_are_compared_by_the_largest_of_their_tensor() {
    let runs = Runs::new();
    runs.save("a", &weights());
    let changed = |tensor: usize, at: usize, value: f32| {
        let mut weights = weights();
        weights[tensor].values[at] = value;
        runs.save("b", &weights);
    };
    changed(1, 3, 1.001);
    runs.part(
        &[],
        "weights  1.weight [1, 0] is 0.001 in a and 1.001 in b: they differ by 1.000e0, 1.250e-1 of the tensor's largest",
    );
    assert_eq!(runs.compare(&["--tolerance", "0.1249"]).code, 3);
    runs.alike(&["--tolerance", "0.1251"]);
    runs.alike(&["--no-weights"]);
    changed(0, 0, -0.0);
    runs.part(
        &[],
        "weights  1.bias [0] is 0.0 in a and -0.0 in b: they differ by 0.000e0, 0.000e0 of the tensor's largest",
    );
    runs.alike(&["--tolerance", "1e-30"]);
    for value in [f32::NAN, f32::INFINITY] {
        changed(1, 5, value);
        assert_eq!(runs.compare(&["--tolerance", "0.9"]).code, 3, "{value}");
    }
    let mut other = weights();
    other[1].shape = [3, 2].as_slice().into();
    runs.save("b", &other);
    runs.part(&[], "weights  1.weight has shape [2, 3] in a and [3, 2] in b");
    runs.save("b", &weights()[1..]);
    runs.part(&[], "weights  only a has 1.bias");
    runs.0.write("b/model.safetensors", "none");
    runs.compare(&[]).refused(1, &["b/model.safetensors", "safetensors file"]);
}

#[test]
fn configs_that_differ_are_told_and_count_for_nothing() {
    let runs = Runs::new();
    runs.0.write(
        "b/config.toml",
        "seed = 2\n[optimizer]\nname = \"sgd\"\nmomentum = 0.9\n[train]\nepochs = 3\n",
    );
    let text = runs.alike(&["--no-weights"]);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "config   seed is 1 in a and 2 in b",
            "config   optimizer.lr is 0.1 in a and not there in b",
            "config   optimizer.momentum is not there in a and 0.9 in b",
            "config   train.epochs is not there in a and 3 in b",
        ]
    );
    std::fs::remove_file(runs.0.path("b/config.toml")).expect("a file");
    assert_eq!(runs.alike(&["--no-weights"]).lines().count(), 1);
}

#[test]
fn json_has_all_of_it() {
    let runs = Runs::new();
    runs.change("\"kl\":1.25", "\"kl\":1.0");
    runs.0.write("b/config.toml", SETTINGS.replace("0.1", "0.2"));
    runs.save("a", &weights());
    runs.save("b", &weights()[..1]);
    let done = runs.compare(&["--json"]);
    done.refused(3, &["a and b are not alike"]);
    let value: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let length = serde_json::json!({ "steps": 4, "epochs": 2 });
    assert_eq!(
        value,
        serde_json::json!({
            "alike": false,
            "runs": ["a", "b"],
            "torn": [false, false],
        "tolerance": 0.0,
            "lengths": [length, length],
            "metrics": {
                "event": "step", "number": 2, "key": "metrics.kl", "a": 1.25, "b": 1.0, "difference": 0.25, "relative": 0.2,
            },
            "tensors": 2,
            "weights": { "tensor": "1.weight", "only_in": "a" },
            "config": [{ "key": "optimizer.lr", "a": 0.1, "b": 0.2 }],
        })
    );
    runs.write("b", METRICS);
    let value: Value = serde_json::from_str(&runs.alike(&["--json", "--no-weights"])).expect("JSON");
    assert_eq!(
        (&value["alike"], &value["metrics"], &value["tensors"]),
        (&true.into(), &Value::Null, &Value::Null)
    );
}

#[test]
fn what_is_no_run_is_refused() {
    let runs = Runs::new();
    for (args, words) in [
        (["compare", "a", "none"], ["none: no metrics.jsonl", "as train made it"]),
        (["compare", "net.toml", "b"], ["net.toml: no metrics.jsonl", "as train made it"]),
    ] {
        runs.0.run(&args).refused(2, &words);
    }
    for (line, fault) in [
        ("{\"event\":\"step\"\n", "EOF"),
        ("[1]\n", "numbers by name"),
        ("{\"step\":1}\n", "it names no event"),
        ("{\"event\":\"step\",\"epoch\":1}\n", "a step without its number"),
    ] {
        runs.write("b", &format!("{}{line}", METRICS.split_inclusive('\n').next().expect("a line")));
        runs.compare(&[]).refused(1, &["b/metrics.jsonl:2: not a line that a run writes", fault]);
    }
}

/// The same seed gives the same run; another seed parts at the first step.
#[test]
fn real_runs() {
    let folder = Folder::new();
    for (run, seed) in [("a", "1"), ("b", "1"), ("c", "2")] {
        folder.trained(run, &["--seed", seed]);
    }
    let done = folder.run(&["compare", "a", "b", "--weights"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("15 steps and 1 epoch, to the bit"), "{}", done.stdout);
    assert!(done.stdout.contains("alike in 4 tensors, to the bit"), "{}", done.stdout);
    let done = folder.run(&["compare", "a", "c", "--tolerance", "1e-4"]);
    done.refused(3, &["a and c are not alike"]);
    for words in
        ["metrics  loss of step 1 is ", "weights  1.bias [0] is ", "config   seed is 1 in a and 2 in c"]
    {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
}

#[test]
fn a_last_line_that_is_cut_off_is_told() {
    let runs = Runs::new();
    runs.write("b", &format!("{METRICS}{{\"event\":\"step\",\"step\":5,\"ep"));
    let done = runs.compare(&[]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let note = "the last line of b/metrics.jsonl is cut off";
    assert!(done.stdout.contains("alike over 4 steps") && done.stdout.contains(note), "{}", done.stdout);
    let json: Value = serde_json::from_str(&runs.compare(&["--json"]).stdout).expect("JSON");
    assert_eq!(json["torn"], serde_json::json!([false, true]));
}
