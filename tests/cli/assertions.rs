//! `--assert`: what must hold at the end of a run.

use crate::folder::{Folder, events};

#[test]
fn what_holds_is_said_and_what_does_not_is_exit_code_3() {
    let folder = Folder::new();
    let holds = ["--assert", "eval_accuracy >= 0.1", "--assert", "steps==15", "--assert", "eval_loss<3"];
    let done = folder.train(&[&["--out", "good"][..], &holds].concat());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let lines = folder.metrics("good");
    let accuracy = &events(&lines, "epoch")[0]["eval_accuracy"];
    assert!(
        done.stdout.contains(&format!("holds    eval_accuracy >= 0.1: it is {accuracy}\n")),
        "{}",
        done.stdout
    );
    assert!(done.stdout.contains("holds    steps == 15.0: it is 15.0\n"), "{}", done.stdout);

    let fails = ["--assert", "eval_accuracy > 0.999", "--assert", "train_loss < 0"];
    let done = folder.train(&[&["--out", "bad"][..], &holds, &fails].concat());
    let loss = &events(&lines, "epoch")[0]["train_loss"];
    let [first, second] = [
        format!("asserted eval_accuracy > 0.999, but eval_accuracy is {accuracy}"),
        format!("asserted train_loss < 0.0, but train_loss is {loss}"),
    ];
    done.refused(3, &[&format!("error: {first}; {second}\n")]);
    assert_eq!(done.stdout.matches("holds ").count(), 3, "{}", done.stdout);
    // Everything is written all the same.
    for name in ["config.toml", "model.safetensors"] {
        assert_eq!(folder.read(&format!("bad/{name}")), folder.read(&format!("good/{name}")), "{name}");
    }
    assert_eq!(folder.metrics("bad").len(), 16);
}

/// Before the run, which leaves no directory.
#[test]
fn what_cannot_be_asserted_is_exit_code_2() {
    let folder = Folder::new();
    for (text, words) in [
        ("eval_accuracy", &["there is no operator", "eval_accuracy >= 0.95", "train_loss"][..]),
        ("eval_accuracy => 0.9", &["no name"]),
        ("eval_accuracy >= 90%", &["\"90%\" is no finite number"]),
        (
            "accuracy >= 0.9",
            &[
                "the run has no accuracy; it has train_loss, samples_per_second, steps, eval_loss, eval_accuracy",
            ],
        ),
        ("eval_metrics.kl < 1", &["the run has no eval_metrics.kl; it has train_loss"]),
    ] {
        folder.train(&["--out", "run", "--assert", text]).refused(2, words);
    }
    // Without an evaluation part, or without classes, there is less.
    folder.write("line.csv", "x,y\n1,2\n2,4\n3,6\n4,8\n");
    let table = "data={ source = { csv = \"line.csv\", target = \"y\" }, eval_fraction = 0 }";
    let settings = ["--set", table, "--set", "model={ layers = [{ linear = 1 }], loss = \"mse\" }"];
    for text in ["eval_loss < 1", "eval_accuracy > 0"] {
        let done = folder.train(&[&["--out", "run", "--assert", text][..], &settings].concat());
        done.refused(2, &["it has train_loss, samples_per_second, steps\n"]);
    }
    assert_eq!(folder.listing(), ["line.csv", "net.toml"]);
    let done = folder.train(&[&["--out", "run", "--assert", "train_loss > 0"][..], &settings].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
}
