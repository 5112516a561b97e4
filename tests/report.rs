//! `downhill report` and `downhill plot`: bytes, bounds, and runs of every kind. `tests/browser.rs` has the pages in a browser.

#[path = "report/colours.rs"]
mod colours;
#[path = "report/fixture.rs"]
mod fixture;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use downhill::figure::page::document;
use downhill::report::{RunRecord, plotted, several_page, sweep_page};
use fixture::{HOSTILE, POINTS, RUN, SWEEP, config, page_of, run, steps};

/// Compares a text with a file in the fixture; `DOWNHILL_BLESS=1` writes it.
#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new("tests/fixtures/report").join(name);
    if std::env::var_os("DOWNHILL_BLESS").is_some() {
        fs::write(&path, text).expect("the file is written");
        return;
    }
    let known = fs::read_to_string(&path).expect("the file");
    if known == text {
        return;
    }
    let line = known.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or(0);
    let of = |text: &str| text.lines().nth(line).unwrap_or_default().chars().take(300).collect::<String>();
    panic!(
        "{} differs from line {} on; DOWNHILL_BLESS=1 writes it again:\n  was {}\n  is  {}",
        path.display(),
        line + 1,
        of(&known),
        of(text)
    );
}

fn downhill(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_downhill")).args(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The body without the shell: its style and script are not the concern of a report.
#[test]
fn pages_have_the_bytes_of_the_fixture() {
    golden("run.html", &page_of(Path::new(RUN)).body);
    golden("sweep.html", &sweep_page(Path::new(SWEEP), Some("A sweep"), 2000).expect("a sweep").body);
    let records = [RUN, RUN].map(|path| RunRecord::read(Path::new(path), POINTS).expect("a run"));
    golden("several.html", &several_page(&records, Some("Twice the same")).body);
}

#[test]
fn a_figure_has_the_bytes_of_the_fixture() {
    let records = [RunRecord::read(Path::new(RUN), POINTS).expect("a run")];
    let plot = plotted(&records, "loss", true, false).expect("a plot");
    golden("loss.svg", &plot.figure().svg());
    golden("loss.txt", &plot.text());
}

#[test]
fn what_stands_in_a_run_is_in_its_page() {
    let page = page_of(Path::new(RUN));
    for word in [
        "<h1>run</h1>",
        "finished after 60 steps, 5 epochs",
        "best accuracy, held out",
        "<h2>Curves</h2>",
        "gradient norm",
        "learning rate (per update)",
        "class=\"confusion\"",
        "Confused most",
        "Values of weights",
        "Sizes of gradients",
        "dead units of relu",
        "<code>adam_update</code>",
        "llvmpipe",
        "dispatches a step",
        "UTC",
        "clip_norm = 1.0",
    ] {
        assert!(page.body.contains(word), "no {word}");
    }
    assert!(!document(&page).contains("NaN"), "a number that is none was drawn");
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    for make in [fixture::run_page, fixture::sweep_page, fixture::hostile_page] {
        let (one, two) = (make(), make());
        // Of the hostile run the folder has another name each time.
        let without = |text: String| {
            text.lines().filter(|line| !line.contains("/tmp")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(without(one), without(two));
    }
}

#[test]
fn texts_of_a_run_do_not_break_out() {
    let page = fixture::hostile_page();
    let own = fixture::run_page();
    for word in ["<script", "</script", "<img", "onload=\""] {
        assert_eq!(page.matches(word).count(), own.matches(word).count(), "{word}");
    }
    let tags = |text: &str| (text.matches("<title").count(), text.matches("</title").count());
    assert_eq!(tags(&page).0, tags(&page).1, "a title ends early");
    assert!(page.contains("&lt;img src=x onerror=alert(2)&gt;&quot; onload=&quot;"), "the text is there");
    let folder = tempfile::tempdir().expect("a folder");
    let run = fixture::hostile_run(folder.path());
    let out = folder.path().join("page.html");
    let done = downhill(&[
        "report",
        &run.to_string_lossy(),
        "--no-eval",
        "--title",
        HOSTILE,
        "--out",
        &out.to_string_lossy(),
    ]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let page = fs::read_to_string(out).expect("a page");
    assert_eq!(page.matches("<script").count(), own.matches("<script").count());
    assert_eq!(tags(&page).0, tags(&page).1, "a title ends early");
}

#[test]
fn runs_of_every_kind_have_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config();
    let step = |step: u64, loss: &str| {
        format!("{{\"event\":\"step\",\"step\":{step},\"epoch\":1,\"loss\":{loss},\"lr\":0.01}}\n")
    };
    let kinds: [(&str, String, &[&str]); 7] = [
        ("empty", String::new(), &["No step was reported yet", "system.json"]),
        ("one-step", step(1, "2.5"), &["loss of the last step", "1 step, 0 of 5 epochs"]),
        ("one-nan", step(1, "null"), &["not a finite number in 1 step, first in step 1"]),
        (
            "nan",
            step(1, "2.5") + &step(2, "null") + &step(3, "\"NaN\"") + &step(4, "1.5"),
            &["not a finite number in 2 steps, first in step 2"],
        ),
        ("cut", step(1, "2.5") + "{\"event\":\"step\",\"step\":2,\"ep", &["line 2, is cut off"]),
        ("garbage", step(1, "2.5") + "garbage\n" + &step(2, "1.0"), &["metrics.jsonl:2"]),
        ("constant", (1..100).map(|i| step(i, "1.5")).collect(), &["stopped after 99 steps"]),
    ];
    for (name, metrics, words) in &kinds {
        let path = run(folder.path(), name, &config, metrics, &[]);
        let page = page_of(&path);
        for word in *words {
            assert!(page.body.contains(word), "{name}: no \"{word}\"");
        }
        assert!(!page.body.contains("NaN ") && !page.body.contains("inf "), "{name}");
        let records = [
            RunRecord::read(&path, POINTS).expect("a run"),
            RunRecord::read(Path::new(RUN), POINTS).expect("a run"),
        ];
        assert!(several_page(&records, None).body.contains(name), "{name}");
    }
    // Without metrics, and with a config that is none.
    let path = run(folder.path(), "broken", "seed = [", "", &[]);
    fs::remove_file(path.join("metrics.jsonl")).expect("the file goes");
    let page = page_of(&path);
    assert!(page.body.contains("config.toml:1") && page.body.contains("cannot read"), "{}", page.body);
}

#[test]
fn a_damaged_step_is_noted_beside_other_faults() {
    let folder = tempfile::tempdir().expect("a folder");
    let metrics = steps(2) + "{\"event\":\"step\",\"step\":\"three\"}\n" + &steps(1);
    let lines = metrics.lines().position(|line| line.contains("three")).expect("the line") + 1;
    let page = page_of(&run(folder.path(), "both", "seed = [", &metrics, &[]));
    assert!(page.body.contains("config.toml:1"), "{}", page.body);
    assert!(page.body.contains(&format!("metrics.jsonl:{lines}")), "{}", page.body);
}

#[test]
fn the_best_of_many_epochs_has_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let epoch = |at: i32| {
        let loss = 2.5 + f64::from((at - 502).abs());
        format!(
            "{{\"event\":\"step\",\"step\":{at},\"epoch\":{at},\"loss\":1.0,\"lr\":0.01}}\n\
             {{\"event\":\"epoch\",\"epoch\":{at},\"train_loss\":1.0,\"eval_loss\":{loss:?}}}\n"
        )
    };
    // The table has every eighth of them, and not this one.
    let metrics: String = (1..=1000).map(epoch).collect();
    let page = page_of(&run(folder.path(), "many", &config(), &metrics, &[]));
    assert!(!page.body.contains(">502</td>"), "the table has the epoch");
    assert!(page.body.contains("data-name=\"best epoch\""), "{}", page.body);
}

#[test]
fn a_run_of_an_earlier_version_says_what_it_lacks() {
    let folder = tempfile::tempdir().expect("a folder");
    let machine = "{\"version\":\"0.1.0\",\"adapter\":\"old card\",\"driver\":\"7\",\"peak_bytes\":1024}";
    let old = run(folder.path(), "old", &config(), &steps(3), &[("machine.json", machine)]);
    let page = page_of(&old);
    assert!(
        page.body.contains("old card") && page.body.contains("1.0 KiB") && !page.body.contains("UTC"),
        "{}",
        page.body
    );
    let older = run(folder.path(), "older", &config(), &steps(3), &[]);
    assert!(page_of(&older).body.contains("it has no system.json"));
}

/// A page of at most 400 KB within 3 s and 100 MB, whatever the length; in the tests' profile.
#[test]
fn a_long_run_takes_bounded_time_memory_and_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = 200_000;
    let path = run(folder.path(), "long", &config(), &steps(count), &[]);
    let out = folder.path().join("long.html");
    let args = ["report", &path.to_string_lossy(), "--no-eval", "--out", &out.to_string_lossy()];
    let start = Instant::now();
    let done = downhill(&args);
    let took = start.elapsed();
    assert!(done.status.success(), "{}", text(&done.stderr));
    let page = fs::read_to_string(&out).expect("a page");
    println!("{count} steps: {took:?}, {} bytes", page.len());
    assert!(page.len() <= 400_000, "{} bytes", page.len());
    // A machine that does other things takes longer.
    assert!(took.as_secs_f64() < 9.0, "{took:?}");
    // The words of the figure name the greatest loss.
    let spike = downhill::figure::number(2.0 / 11.0 + 0.05 * ((count / 2 * 7919) % 13) as f64 + 9.5);
    assert!(page.contains(&format!(" and {spike}.")), "the spike of {spike} is gone");
    #[cfg(target_os = "linux")]
    {
        let limited = Command::new("sh")
            .args(["-c", "ulimit -v 102400; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_downhill")])
            .args(args)
            .output()
            .expect("a shell");
        assert!(limited.status.success(), "more than 100 MiB: {}", text(&limited.stderr));
    }
}

#[test]
fn a_sweep_of_64_runs_takes_bounded_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fixture::large_sweep(folder.path(), 64, 100);
    let page = document(&sweep_page(&path, None, 2000).expect("a sweep"));
    println!("64 runs: {} bytes", page.len());
    assert!(page.len() <= 3_000_000, "{} bytes", page.len());
    assert!(page.contains("80% and half of 64 runs") && page.contains("best: 00-lr=0.001-seed=0"), "no band");
}

#[test]
fn a_sweep_of_many_epochs_takes_bounded_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let page =
        document(&sweep_page(&fixture::large_sweep(folder.path(), 2, 20_000), None, 2000).expect("a sweep"));
    println!("20,000 epochs: {} bytes", page.len());
    assert!(page.len() <= 400_000, "{} bytes", page.len());
}

#[test]
fn a_plot_names_what_it_does_not_know() {
    let done = downhill(&["plot", RUN, "--metric", "evalloss"]);
    assert_eq!(done.status.code(), Some(2), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("did you mean \"eval_loss\"?"), "{}", text(&done.stderr));
    let done = downhill(&["plot", RUN, "--metric", "accuracy", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(
        (&found["metric"], found["curves"][0]["points"].as_array().map(Vec::len)),
        (&"eval_accuracy".into(), Some(5))
    );
    let folder = tempfile::tempdir().expect("a folder");
    let svg = folder.path().join("lr.svg");
    let done = downhill(&["plot", RUN, "--metric", "lr", "--svg", &svg.to_string_lossy()]);
    assert!(done.status.success() && text(&done.stdout).contains("lr.svg"), "{}", text(&done.stderr));
    assert!(fs::read_to_string(svg).expect("a figure").starts_with("<svg "));
}

/// With the feature and a font, a picture twice as large as the SVG; else the error says what to do.
#[test]
fn a_plot_as_png() {
    let folder = tempfile::tempdir().expect("a folder");
    let png = folder.path().join("loss.png");
    let done = downhill(&["plot", RUN, "--png", &png.to_string_lossy()]);
    let said = text(&done.stderr);
    if cfg!(feature = "raster") && !said.contains("font of the system") {
        assert!(done.status.success(), "{said}");
        let bytes = fs::read(png).expect("a picture");
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 10_000, "{} bytes", bytes.len());
        return;
    }
    assert_eq!(done.status.code(), Some(2), "{said}");
    let remedy = if cfg!(feature = "raster") { "fonts-dejavu-core" } else { "rsvg-convert" };
    assert!(said.contains(remedy) && !png.exists(), "{said}");
}

#[test]
fn a_folder_without_runs_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, word) in
        [(folder.path().join("none"), "no such directory"), (folder.path().to_owned(), "holds no run")]
    {
        let done = downhill(&["report", &path.to_string_lossy()]);
        assert_eq!(done.status.code(), Some(2));
        assert!(text(&done.stderr).contains(word), "{}", text(&done.stderr));
    }
}
