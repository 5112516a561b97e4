//! The workflow in `docs/ci.md` does what the page says: its steps are run as they stand there.

use std::process::{Command, Stdio};

use crate::folder::{Done, Folder, events};

/// What ends the line of a step that only prepares the machine.
const SETUP: &str = "# setup";

/// The first block of this language.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("```{language}\n")).expect("a block");
    rest.split_once("```").expect("its end").0
}

/// The scripts of the steps that have one, but for the preparing ones.
fn scripts(workflow: &str) -> Vec<String> {
    let (_, steps) = workflow.split_once("    steps:\n").expect("steps");
    let mut out = Vec::new();
    for step in steps.split("      - ").skip(1) {
        let Some((head, run)) = step.split_once("run: ") else { continue };
        if head.trim_end().ends_with(SETUP) {
            continue;
        }
        // `run: |` and lines further in, or one line.
        let script = match run.strip_prefix("|\n") {
            Some(lines) => lines.lines().map(|line| format!("{}\n", line.trim_start())).collect(),
            None => run.lines().next().unwrap_or_default().to_owned(),
        };
        out.push(script);
    }
    out
}

#[test]
fn scripts_are_found_in_both_forms() {
    let workflow = "jobs:\n    steps:\n      - uses: a\n\n      - name: b  # setup\n        run: c\n\n      - name: d\n        \
                    run: |\n          e \\\n            f\n          g\n\n      - run: h\n        if: i\n";
    assert_eq!(scripts(workflow), ["e \\\nf\ng\n\n", "h"]);
}

#[test]
#[cfg(unix)]
fn the_workflow_of_the_page_works() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ci.md")).expect("the page");
    let folder = Folder::new();
    folder.write("ci.toml", block(&page, "toml"));
    let built = std::path::Path::new(env!("CARGO_BIN_EXE_downhill")).parent().expect("a folder");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::join_paths([built.to_owned()].into_iter().chain(std::env::split_paths(&paths)));
    let bash = |script: &str| {
        let mut command = Command::new("bash");
        command
            .args(["-e", "-o", "pipefail", "-c", script])
            .current_dir(folder.path(""))
            .stdin(Stdio::null());
        Done::of(&command.env("PATH", paths.as_ref().expect("a path")).output().expect("bash"))
    };
    let scripts = scripts(block(&page, "yaml"));
    let count = |command: &str| scripts.iter().filter(|script| script.contains(command)).count();
    assert_eq!((scripts.len(), count("downhill train ci.toml"), count("downhill compare")), (3, 2, 1));
    for script in &scripts {
        assert!(script.contains("--adapter software") || !script.contains("train"), "{script}");
        let script = script.replace("--adapter software", &format!("--adapter {}", crate::adapter::wanted()));
        let done = bash(&script);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{script}\n{}", done.stdout);
    }
    // The steps can fail: another seed is another run.
    let done = bash(&format!("rm -r runs/second; {}", scripts[1].replace("--seed 0", "--seed 1")));
    assert_eq!(done.code, 0, "{}", done.stderr);
    bash(&scripts[2]).refused(3, &["runs/first and runs/second are not alike"]);
    assert_eq!(events(&folder.metrics("runs/first"), "epoch").len(), 3);
}
