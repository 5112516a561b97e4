//! The workflows in `docs/ci.md` and the guide do what they say: their steps are run as they stand there.

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

/// What runs scripts in a folder, with the program in the path, on the adapter under test.
#[cfg(unix)]
fn shell(folder: &Folder) -> impl Fn(&str) -> Done + '_ {
    let built = std::path::Path::new(env!("CARGO_BIN_EXE_downhill")).parent().expect("a folder");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::join_paths([built.to_owned()].into_iter().chain(std::env::split_paths(&paths)));
    let paths = paths.expect("a path");
    move |script| {
        assert!(script.contains("--adapter software") || !script.contains("train"), "{script}");
        let script = script.replace("--adapter software", &format!("--adapter {}", crate::adapter::wanted()));
        let mut command = Command::new("bash");
        command
            .args(["-e", "-o", "pipefail", "-c", &script])
            .current_dir(folder.path(""))
            .stdin(Stdio::null())
            .env("DOWNHILL_PIPELINE_CACHE", "off");
        Done::of(&command.env("PATH", &paths).output().expect("bash"))
    }
}

fn page(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).expect("the page")
}

#[test]
#[cfg(unix)]
fn the_workflow_of_the_guide_works() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("examples")).expect("a folder");
    folder.write("examples/digits.toml", page("examples/digits.toml"));
    let scripts = scripts(block(&page("docs/guide/use-the-result.md"), "yaml"));
    assert_eq!(scripts.len(), 2);
    let bash = shell(&folder);
    for script in &scripts {
        let done = bash(script);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{script}\n{}", done.stdout);
    }
}

#[test]
#[cfg(unix)]
fn the_workflow_of_the_page_works() {
    let page = page("docs/ci.md");
    let folder = Folder::new();
    folder.write("ci.toml", block(&page, "toml"));
    let bash = shell(&folder);
    let scripts = scripts(block(&page, "yaml"));
    let count = |command: &str| scripts.iter().filter(|script| script.contains(command)).count();
    assert_eq!((scripts.len(), count("downhill train ci.toml"), count("downhill compare")), (3, 2, 1));
    for script in &scripts {
        let done = bash(script);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{script}\n{}", done.stdout);
    }
    // The steps can fail: another seed is another run.
    let done = bash(&format!("rm -r runs/second; {}", scripts[1].replace("--seed 0", "--seed 1")));
    assert_eq!(done.code, 0, "{}", done.stderr);
    bash(&scripts[2]).refused(3, &["runs/first and runs/second are not alike"]);
    assert_eq!(events(&folder.metrics("runs/first"), "epoch").len(), 3);
}
