//! Commands that train nothing: help, `adapters`, `explain`, `optimizers`, `completions`.

use std::process::Command;

use serde_json::Value;

use crate::folder::Folder;

#[test]
fn help_has_examples() {
    let folder = Folder::new();
    for args in [
        &["--help"][..],
        &["train", "--help"],
        &["lr-find", "--help"],
        &["explain", "--help"],
        &["adapters", "--help"],
        &["doctor", "--help"],
        &["optimizers", "--help"],
        &["reference", "--help"],
        &["completions", "--help"],
        &["report", "--help"],
        &["plot", "--help"],
        &["data", "--help"],
        &["data", "synth", "--help"],
        &["bench", "--help"],
        &["bench", "launch", "--help"],
        &["bench", "optim", "--help"],
        &["bench", "matmul", "--help"],
        &["bench", "train", "--help"],
        &["bench", "atlas", "--help"],
    ] {
        let done = folder.run(args);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
        assert!(done.stdout.contains("Example"), "{args:?} has none: {}", done.stdout);
        assert!(done.stdout.contains("  downhill "), "{args:?}: {}", done.stdout);
    }
    let train = folder.run(&["train", "--help"]).stdout;
    for option in ["--set", "--adapter", "--out", "--seed", "--steps", "--init", "Exit code"] {
        assert!(train.contains(option), "{option}: {train}");
    }
    let version = folder.run(&["--version"]);
    assert_eq!(version.stdout.trim(), format!("downhill {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_for_every_shell() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let done = folder.run_without_adapter(&["completions", shell]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        for word in ["downhill", "explain", "adapters", "steps"] {
            assert!(done.stdout.contains(word), "{shell}: {word}");
        }
        folder.write(shell, &done.stdout);
    }
    if let Ok(checked) = Command::new("bash").arg("-n").arg(folder.path("bash")).output() {
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[test]
fn adapters_are_listed_with_the_one_chosen() {
    let folder = Folder::new();
    let done = folder.run(&["adapters"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for word in ["kind", "driver", "features", "max_buffer_size", "chosen"] {
        assert!(done.stdout.contains(word), "{word}: {}", done.stdout);
    }
    let done = folder.run(&["adapters", "--adapter", &crate::adapter::wanted(), "--json"]);
    let list: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let chosen = list["chosen"].as_u64().expect("an index") as usize;
    if crate::adapter::wanted() == "software" {
        assert_eq!(list["adapters"][chosen]["kind"], "software");
    }
    assert!(list["because"].as_str().is_some_and(|why| !why.is_empty()));
}

#[test]
fn optimizers_are_listed_for_a_person_and_as_the_page() {
    let folder = Folder::new();
    let text = folder.run_without_adapter(&["optimizers"]);
    let page = folder.run_without_adapter(&["reference", "optimizers"]);
    for done in [&text, &page] {
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        for name in downhill::optim::Optimizer::NAMES {
            assert!(done.stdout.contains(name), "{name}: {}", done.stdout);
        }
        assert!(done.stdout.contains("weight_decay = 1e-2"), "{}", done.stdout);
    }
    assert_eq!(page.stdout, downhill::report::optimizers_page());
    assert!(text.stdout.lines().all(|line| !line.starts_with('|')), "{}", text.stdout);
}

fn explain(folder: &Folder, more: &[&str]) -> Value {
    let done = folder.run_without_adapter(&[&["explain", "net.toml", "--json"], more].concat());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn numbers(list: &Value, key: &str) -> u64 {
    list.as_array().expect("a list").iter().map(|item| item[key].as_u64().expect("a number")).sum()
}

/// Peak memory of R nets at once is what they share and R times what each has; the dispatches are those of one net.
#[test]
fn many_nets_take_what_they_share_and_what_each_has() {
    let folder = Folder::new();
    let of = |settings: &[&str]| explain(&folder, settings);
    let alone = of(&[]);
    assert_eq!((&alone["replicas"], &of(&["--replicas", "1"])), (&Value::Null, &alone));
    for order in ["own", "shared"] {
        for count in [2, 64] {
            let all = of(&["--replicas", &count.to_string(), "--order", order]);
            let number = |key: &str| all["replicas"][key].as_u64().expect("a number");
            let peak = number("shared_bytes") + count * number("private_bytes");
            assert_eq!((number("count"), &all["peak_bytes"]), (count, &peak.into()));
            assert_eq!(number("image_bytes"), 0);
            assert_eq!(all["train"][0]["dispatches"], alone["train"][0]["dispatches"]);
            assert_eq!(numbers(&all["buffers"], "bytes"), peak);
        }
    }
    let few = ["explain", "net.toml", "--replicas", "8", "--memory", "100MiB"];
    let text = folder.run_without_adapter(&few).stdout;
    for part in ["\n8 replicas: ", "shared by all", "of each", "peak of 8", "the budget holds "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let none = ["explain", "net.toml", "--replicas", "0"];
    folder.run_without_adapter(&none).refused(2, &["no replicas to run", "the least is 1"]);
}

#[test]
fn a_step_of_a_three_layer_perceptron_is_twelve_dispatches_at_most() {
    let folder = Folder::new();
    let three =
        "model.layers=[\"flatten\", { linear = 64 }, \"relu\", { linear = 64 }, \"relu\", { linear = 10 }]";
    let optimizers = [
        "{ name = \"sgd\" }",
        "{ name = \"sgd\", momentum = 0.9, nesterov = true }",
        "{ name = \"rmsprop\", centered = true, momentum = 0.5 }",
        "{ name = \"adam\", amsgrad = true }",
        "{ name = \"adamw\" }",
        "{ name = \"schedule_free_adamw\" }",
    ];
    for target in ["gpu", "software"] {
        for optimizer in optimizers {
            for batch in ["1", "32", "128", "1000", "\"full\""] {
                let batch = format!("data.batch_size={batch}");
                let optimizer = format!("optimizer={optimizer}");
                let settings = ["--set", three, "--set", &optimizer, "--set", &batch, "--target", target];
                let plan = explain(&folder, &settings);
                for build in plan["train"].as_array().expect("builds") {
                    let dispatches = build["dispatches"].as_u64().expect("a number");
                    assert!(dispatches <= 12, "{target}, {optimizer}, {batch}: {dispatches} dispatches");
                    let kernels = build["kernels"].as_array().expect("kernels");
                    assert_eq!(kernels.len() as u64, dispatches);
                    let last = kernels.last().expect("kernels")["what"].as_str().expect("a title");
                    assert_eq!(last, "optimizer");
                }
            }
        }
    }
}

#[test]
fn twelve_whatever_activation_and_loss() {
    let folder = Folder::new();
    let activations =
        ["relu", "leaky_relu", "elu", "gelu", "{ gelu = \"tanh\" }", "silu", "tanh", "sigmoid", "softplus"];
    let losses = ["cross_entropy", "mse", "l1", "huber", "bce_with_logits"];
    for (i, activation) in activations.into_iter().enumerate() {
        let activation =
            if activation.starts_with('{') { activation.into() } else { format!("\"{activation}\"") };
        let layers = format!(
            "model.layers=[\"flatten\", {{ linear = 64 }}, {activation}, {{ linear = 64 }}, {activation}, \
             {{ linear = 10 }}]"
        );
        for loss in losses {
            let loss = format!("model.loss=\"{loss}\"");
            let target = ["gpu", "software"][i % 2];
            let plan = explain(&folder, &["--set", &layers, "--set", &loss, "--target", target]);
            for build in plan["train"].as_array().expect("builds") {
                let dispatches = build["dispatches"].as_u64().expect("a number");
                assert!(dispatches <= 12, "{layers}, {loss}, {target}: {dispatches} dispatches");
            }
        }
    }
}

/// What a schedule-free optimizer evaluates is computed by a dispatch of its own, which no step has.
#[test]
fn the_average_of_a_schedule_free_optimizer_is_in_the_plan() {
    let folder = Folder::new();
    assert!(explain(&folder, &[])["average"].is_null());
    let optimizer = ["--set", "optimizer={ name = \"schedule_free_sgd\" }"];
    let plan = explain(&folder, &optimizer);
    let kernels = plan["average"]["kernels"].as_array().expect("kernels");
    assert_eq!(kernels.len(), 1);
    assert_eq!(kernels[0]["kernel"], "schedule_free_average");
    assert_eq!(numbers(&plan["buffers"], "bytes"), plan["peak_bytes"].as_u64().expect("bytes"));
    let text = folder.run_without_adapter(&[&["explain", "net.toml"], &optimizer[..]].concat()).stdout;
    assert!(text.contains("average, before an evaluation and a save: 1 dispatch,"), "{text}");
}

#[test]
fn the_plan_adds_up() {
    let folder = Folder::new();
    for target in ["gpu", "software"] {
        let plan = explain(&folder, &["--target", target]);
        let count = (64 * 16 + 16) + (16 * 10 + 10);
        assert_eq!(plan["parameter_count"], count);
        assert_eq!(numbers(&plan["parameters"], "elements"), count);
        assert_eq!(plan["parameters"][0]["name"], "1.weight");
        assert_eq!(plan["parameters"][0]["shape"], serde_json::json!([16, 64]));
        assert_eq!(plan["steps_per_epoch"], 15);
        assert_eq!(numbers(&plan["buffers"], "bytes"), plan["peak_bytes"].as_u64().expect("bytes"));
        let builds = plan["train"].as_array().expect("builds");
        assert_eq!(builds.iter().map(|b| b["batch"].as_u64()).collect::<Vec<_>>(), [Some(100), Some(37)]);
        assert_eq!(plan["eval"][0]["batch"], 100);
        for build in builds {
            let batch = build["batch"].as_u64().expect("a number");
            let flops = build["flops"].as_u64().expect("a number");
            assert_eq!(numbers(&build["kernels"], "flops"), flops);
            // Forward and both gradients, but for the one of the input: the products alone.
            let least = 2 * batch * (2 * 64 * 16 + 3 * 16 * 10);
            assert!((least..2 * least).contains(&flops), "{flops} against {least}");
            let predicted = |item: &Value| item["predicted_us"].as_f64();
            let kernels = build["kernels"].as_array().expect("kernels");
            assert_eq!(predicted(build).is_some(), target == "gpu");
            if let Some(sum) = predicted(build) {
                let all: f64 = kernels.iter().filter_map(predicted).sum();
                // No dispatch takes less than its launch and barrier.
                assert!((sum - all).abs() < 1e-6 && sum > 2.2 * kernels.len() as f64, "{sum} and {all}");
            }
            for kernel in kernels {
                assert!(kernel["bytes_written"].as_u64().is_some_and(|bytes| bytes > 0), "{kernel}");
                assert!(kernel["shape"].is_array() && kernel["grid"].is_array(), "{kernel}");
            }
        }
        let text = folder.run_without_adapter(&["explain", "net.toml", "--target", target]).stdout;
        for word in
            ["1.weight", "[16, 64]", "peak", "parameters", "optimizer", "matmul", "FLOPs", "evaluation"]
        {
            assert!(text.contains(word), "{word}: {text}");
        }
        let dispatches = builds[0]["dispatches"].as_u64().expect("a number");
        assert!(text.contains(&format!("{dispatches} dispatches")), "{text}");
        assert_eq!(text.contains("µs predicted on the nominal GPU"), target == "gpu", "{text}");
    }
}
