//! `train --report`, `resume --report`, `sweep --report`, and what `downhill report` makes of what it finds.

use serde_json::Value;

use crate::folder::{Done, Folder};

fn last_line(done: &Done) -> &str {
    done.stdout.trim_end().lines().last().unwrap_or_default()
}

fn page(folder: &Folder, name: &str) -> String {
    String::from_utf8(folder.read(name)).expect("UTF-8")
}

#[test]
fn the_last_line_of_a_run_names_its_report() {
    let folder = Folder::new();
    let done = folder.train(&["--out", "run", "--report", "--profile"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(last_line(&done).starts_with("report   run/report.html ("), "{}", done.stdout);
    let text = page(&folder, "run/report.html");
    for word in [
        "Worst mistakes",
        "data:image/png;base64,",
        "feed_gather",
        "finished after 15 steps",
        "15 steps an epoch",
    ] {
        assert!(text.contains(word), "no {word}");
    }
    assert!(text.len() < 400_000, "{} bytes", text.len());
    let again = folder.train(&["--resume", "run", "--report=other.html"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(page(&folder, "other.html"), text, "the same run has the same bytes");
    let quiet = folder.train(&["--out", "quiet", "--report", "--quiet"]);
    assert_eq!((quiet.code, quiet.stdout.as_str()), (0, ""), "{}", quiet.stderr);
    assert!(page(&folder, "quiet/report.html").contains("<h1>quiet</h1>"));
}

#[test]
fn a_run_that_diverged_has_a_report_too() {
    let folder = Folder::new();
    let sgd = ["--set", "optimizer={ name = \"sgd\", lr = 1e30 }", "--out", "run", "--report"];
    let done = folder.train(&sgd);
    assert_eq!(done.code, 1, "{}", done.stdout);
    let text = page(&folder, "run/report.html");
    assert!(text.contains("diverged") && text.contains("The run ended by an error"), "no error");
    let system: Value = serde_json::from_slice(&folder.read("run/system.json")).expect("JSON");
    assert_eq!(system["segments"][0]["end"], "diverged", "{system}");
}

#[test]
fn what_is_missing_is_said() {
    let folder = Folder::new();
    folder.trained("run", &[]);
    let report = |more: &[&str]| {
        folder.run(&[&["report", "run", "--adapter", &crate::adapter::wanted()], more].concat())
    };
    // No weights.
    std::fs::remove_file(folder.path("run/model.safetensors")).expect("the weights go");
    assert_eq!(report(&[]).code, 0);
    assert!(
        page(&folder, "run/report.html").contains("The weights were not evaluated: it has no weights yet")
    );
    // No adapter is opened where nobody asks.
    let done = folder.run_without_adapter(&["report", "run", "--no-eval", "--out", "plain.html"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!page(&folder, "plain.html").contains("were not evaluated"));
    // Data that are gone.
    folder.write(
        "rows.csv",
        "a,b,kind\n1,2,x\n2,1,y\n3,4,x\n4,3,y\n5,6,x\n6,5,y\n7,8,x\n8,7,y\n9,10,x\n10,9,y\n",
    );
    let table = [
        "--set",
        "data={ source = { csv = \"rows.csv\", target = \"kind\" }, batch_size = 4 }",
        "--set",
        "model.layers=[{ linear = 2 }]",
    ];
    let done = folder.train(&[&["--out", "table"], &table[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    std::fs::remove_file(folder.path("rows.csv")).expect("the data go");
    let done = folder.run(&["report", "table", "--adapter", &crate::adapter::wanted()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let text = page(&folder, "table/report.html");
    assert!(text.contains("The weights were not evaluated") && text.contains("rows.csv"), "nothing is said");
}

#[test]
fn a_sweep_writes_its_report_and_its_system() {
    let folder = Folder::new();
    let adapter = crate::adapter::wanted();
    let args = [
        "sweep",
        "net.toml",
        "--adapter",
        &adapter,
        "--grid",
        "optimizer.lr=1e-3,1e-2",
        "--seeds",
        "0..2",
        "--out",
        "S",
        "--report",
    ];
    let done = folder.run(&args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(last_line(&done).starts_with("report   S/report.html ("), "{}", done.stdout);
    let text = page(&folder, "S/report.html");
    for word in ["The metric against each key", "optimizer.lr (value)", "4 finished", "of all runs at once"] {
        assert!(text.contains(word), "no {word}");
    }
    let system: Value = serde_json::from_slice(&folder.read("S/system.json")).expect("JSON");
    assert_eq!(system["segments"][0]["end"], "finished", "{system}");
    // Its runs are runs as any.
    let done = folder.run_without_adapter(&[
        "report",
        "S/0-lr=0.001-seed=0",
        "S/2-lr=0.01-seed=0",
        "--out",
        "two.html",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let text = page(&folder, "two.html");
    assert!(
        text.contains("2 runs compared") && text.contains("<code>optimizer.lr</code>"),
        "{}",
        done.stdout
    );
}
