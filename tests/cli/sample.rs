//! `downhill sample`: a run of a text writes on, and what has no text to write says so.

use crate::adapter::wanted;
use crate::folder::{Done, Folder};

/// A run on a text that repeats itself, in `run`.
fn trained() -> Folder {
    let folder = Folder::new();
    folder.write("pattern.txt", "gradient\n".repeat(60));
    let settings = [
        "data={ source = { text = \"pattern.txt\" }, context = 8, hop = 5, batch_size = 16 }",
        "model.layers=[{ embedding = { num_embeddings = 9, embedding_dim = 16 } }, { positional_embedding = 8 }, \
         { residual = [{ multi_head_attention = { num_heads = 2, causal = true } }] }, { linear = 9 }]",
        "optimizer={ name = \"adam\", lr = 0.02 }",
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    folder.trained("run", &[&settings[..], &["--steps", "80"]].concat());
    folder
}

fn sample(folder: &Folder, more: &[&str]) -> Done {
    folder.run(&[&["sample", "run", "--adapter", &wanted()], more].concat())
}

#[test]
fn a_run_of_a_text_writes_on() {
    let folder = trained();
    // The text is not needed any more: the vocabulary is in the run.
    std::fs::remove_file(folder.path("pattern.txt")).expect("the text");
    let written = |more: &[&str]| {
        let done = sample(&folder, more);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{more:?}");
        done.stdout
    };
    let cold = ["--temperature", "0"];
    let pattern = "gradient\ngradient\ngradient\n";
    assert_eq!(
        written(&[&cold[..], &["--prompt", "grad", "--length", "23"]].concat()),
        pattern.to_owned() + "\n"
    );
    assert_eq!(written(&[&cold[..], &["--length", "18"]].concat()), pattern[..18].to_owned() + "\n");
    assert_eq!(written(&["--prompt", "tend", "--length", "0"]), "tend\n");
    assert_eq!(written(&cold).chars().count(), 501);

    let hot = |more: &[&str]| written(&[&["--length", "40", "--temperature", "30"], more].concat());
    let first = hot(&["--seed", "3"]);
    assert_eq!(hot(&["--seed", "3"]), first);
    assert_ne!(hot(&["--seed", "4"]), first);
    assert_eq!(hot(&["--top-k", "1"]), written(&[&cold[..], &["--length", "40"]].concat()));

    // A reader that goes away.
    let args = ["sample", "run", "--adapter", &wanted(), "--length", "100000"];
    let mut command = folder.command(&args);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    drop(child.stdout.take());
    let done = Done::of(&child.wait_with_output().expect("an end"));
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));

    for (more, words) in [
        (&["--prompt", "grad!ent"][..], &["prompt", "character 4", "'!'"][..]),
        (&["--temperature", "-1"], &["temperature = -1", "likeliest"]),
        (&["--temperature", "nan"], &["temperature = NaN"]),
        (&["--top-k", "0"], &["top_k = 0", "1 to 9"]),
        (&["--top-k", "10"], &["top_k = 10", "1 to 9"]),
        (&["--length=-1"], &["--length"]),
    ] {
        let done = sample(&folder, more);
        done.refused(2, words);
        assert_eq!(done.stdout, "", "{more:?}");
    }
    let weights = folder.read("run/model.safetensors");
    folder.write("run/model.safetensors", &weights[..weights.len() / 2]);
    sample(&folder, &[]).refused(1, &["model.safetensors", "not a whole safetensors file"]);
    std::fs::remove_file(folder.path("run/model.safetensors")).expect("the weights");
    sample(&folder, &[]).refused(1, &["model.safetensors", "to the end"]);
    std::fs::remove_file(folder.path("run/data.json")).expect("the vocabulary");
    sample(&folder, &[]).refused(2, &["not the run of a text", "data.json"]);
}

#[test]
fn what_is_no_run_of_a_text_says_so() {
    let folder = Folder::new();
    folder.trained("run", &["--steps", "1"]);
    sample(&folder, &[]).refused(2, &["run", "not the run of a text", "\"sources\""]);
    folder.run(&["sample", "none"]).refused(2, &["none", "no such directory"]);
    std::fs::create_dir(folder.path("empty")).expect("a folder");
    folder.run(&["sample", "empty"]).refused(2, &["empty", "config.toml"]);
}

/// Tables that are too small for the text are told before there is a run, with both numbers.
#[test]
fn an_embedding_has_a_row_for_every_character() {
    let folder = Folder::new();
    folder.write("pattern.txt", "gradient\n".repeat(60));
    let before = folder.listing();
    let data = "data={ source = { text = \"pattern.txt\" }, context = 8 }";
    for (rows, outputs, words) in [
        (8, 9, ["layer 0 (embedding)", "has 8 rows", "has 9 characters"]),
        (9, 8, ["pattern.txt", "has 8 classes", "has 9"]),
    ] {
        let layers = format!(
            "model.layers=[{{ embedding = {{ num_embeddings = {rows}, embedding_dim = 4 }} }}, {{ linear = {outputs} }}]"
        );
        for command in ["train", "explain"] {
            folder.run(&[command, "net.toml", "--set", data, "--set", &layers]).refused(2, &words);
        }
        assert_eq!(folder.listing(), before);
    }
}
