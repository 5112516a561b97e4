//! `downhill lab`: every exhibit agrees with theory, and a number outside its tolerance is named and fails.

use serde_json::Value;

use crate::folder::{Done, Folder};

fn read(folder: &Folder, name: &str) -> String {
    String::from_utf8(folder.read(name)).expect("UTF-8")
}

/// `lab` with these arguments on the adapter under test.
fn lab(folder: &Folder, args: &[&str]) -> Done {
    folder.run(&[&["lab", "--adapter", &crate::adapter::wanted()], args].concat())
}

/// The test of each exhibit: `docs/guide/lab.md` names it. A quick run of all takes less than a minute on two cores.
#[test]
fn every_statement_of_the_lecture_holds() {
    let folder = Folder::new();
    let done = lab(&folder, &["all", "--quick", "--assert"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(!done.stdout.contains("NO  "), "{}", done.stdout);
    let page = read(&folder, "lab/index.html");
    for name in
        ["minibatch", "average-step", "orders", "stability", "momentum", "ema", "rmsprop", "adam", "optima"]
    {
        let json: Value = serde_json::from_str(&read(&folder, &format!("lab/{name}.json"))).expect("JSON");
        assert_eq!((&json["name"], &json["holds"]), (&Value::from(name), &Value::from(true)), "{json}");
        assert!(json["findings"].as_array().is_some_and(|all| all.len() >= 3), "{json}");
        assert!(read(&folder, &format!("lab/{name}.svg")).starts_with("<svg"));
        assert!(page.contains(&format!("<section id=\"{name}\">")), "{name}");
    }
}

/// Equal seeds give equal bytes, other seeds other numbers that agree too.
#[test]
fn an_exhibit_follows_from_its_seed() {
    let folder = Folder::new();
    let run = |out: &str, seed: &str| {
        let done = lab(&folder, &["adam", "momentum", "--quick", "--assert", "--seed", seed, "--out", out]);
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        ["adam.svg", "adam.json", "momentum.svg", "momentum.json", "index.html"]
            .map(|name| read(&folder, &format!("{out}/{name}")))
    };
    let (one, two, other) = (run("a", "3"), run("b", "3"), run("c", "4"));
    assert_eq!(one, two);
    assert_ne!(one[0], other[0]);
}

/// With as few draws as these, the variance of 8 sizes is not within 5% of theory.
#[test]
fn a_number_outside_its_tolerance_fails_where_it_is_asserted() {
    let folder = Folder::new();
    let args = ["minibatch", "--quick", "--set", "minibatch.draws=20", "--out", "out"];
    let done = lab(&folder, &args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("  NO  without replacement"), "{}", done.stdout);
    let done = lab(&folder, &[&args[..], &["--assert"]].concat());
    assert_eq!(done.code, 3, "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("minibatch:"), "{}", done.stderr);
    assert!(read(&folder, "out/index.html").contains(">NO<"));
}

#[test]
fn a_student_changes_a_number_and_json_says_it() {
    let folder = Folder::new();
    let done = lab(&folder, &["ema", "--set", "ema.beta=0.5", "--json", "--out", "out"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let json: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(json[0]["settings"]["beta"], 0.5);
    assert!(json[0]["command"].as_str().is_some_and(|c| c.ends_with("--set ema.beta=0.5")), "{json}");
    let sum = json[0]["findings"][1]["measured"].as_f64().expect("a number");
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");
}

#[test]
fn words_that_are_none_are_refused_before_a_device_is_opened() {
    let folder = Folder::new();
    for (args, hint) in [
        (vec!["lab", "stabilty"], "\"stability\""),
        (vec!["lab", "ema", "--set", "ema.bta=1"], "\"beta\""),
        (vec!["lab", "ema", "--set", "ema.beta=7"], "between 0.01 and 0.999"),
        (vec!["lab", "ema", "--set", "beta=7"], "NAME.KEY=VALUE"),
    ] {
        let done = folder.run_without_adapter(&args);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(hint), "{}", done.stderr);
        assert!(!folder.path("lab").exists());
    }
}
