//! The pages in a real browser: Debian's Chromium, without a network. The page examines itself (`#selftest`), in light and in
//! dark, with reduced motion, wide and narrow; each test asserts what it found.
//!
//! `DOWNHILL_CHROMIUM` names the browser; else it is looked for on the PATH. Where there is none, the tests say so and pass:
//! `scripts/setup-chromium.sh` installs one, as `make test` does.

mod adapter;
#[path = "report/fixture.rs"]
mod fixture;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// How a page is opened, and what it must then say of itself.
struct Mode {
    name: &'static str,
    flags: &'static [&'static str],
    dark: bool,
    still: bool,
    width: u32,
}

const MODES: [Mode; 5] = [
    Mode { name: "plain", flags: &[], dark: false, still: false, width: 1280 },
    Mode { name: "dark", flags: DARK, dark: true, still: false, width: 1280 },
    Mode {
        name: "reduced motion",
        flags: &["--force-prefers-reduced-motion"],
        dark: false,
        still: true,
        width: 1280,
    },
    Mode { name: "narrow", flags: &[], dark: false, still: false, width: 400 },
    Mode { name: "narrow and dark", flags: DARK, dark: true, still: false, width: 400 },
];

const DARK: &[&str] = &["--blink-settings=preferredColorScheme=0"];

/// The browser, if there is one.
fn chromium() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let named = std::env::var_os("DOWNHILL_CHROMIUM").filter(|name| !name.is_empty()).map(PathBuf::from);
            let names = ["chromium", "chromium-browser", "google-chrome"];
            let path = std::env::var_os("PATH").unwrap_or_default();
            let places = || std::env::split_paths(&path).collect::<Vec<_>>();
            let found = names.iter().flat_map(|name| places().into_iter().map(move |dir| dir.join(name)));
            let found = named.or_else(|| found.into_iter().find(|file| file.is_file()));
            if found.is_none() {
                println!("no browser: set DOWNHILL_CHROMIUM, or run scripts/setup-chromium.sh; the pages are not examined");
            }
            found
        })
        .as_deref()
}

/// The document of a page after its script, as this mode has it.
fn dom(browser: &Path, page: &Path, mode: &Mode) -> String {
    let profile = tempfile::tempdir().expect("a folder");
    let output = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args(["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        // A window has no less than 500 pixels; the page makes itself as narrow as it is asked to be.
        .arg(format!("--window-size={},900", mode.width.max(500)))
        .args(mode.flags)
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("file://{}#selftest={}", page.display(), mode.width))
        .stderr(Stdio::null())
        .output()
        .expect("the browser starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Opens a page in every mode, and asserts that it finds nothing wrong with itself.
fn examine(name: &str, html: &str) {
    let Some(browser) = chromium() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.html");
    std::fs::write(&page, html).expect("the page is written");
    for mode in &MODES {
        let place = format!("{name}, {}", mode.name);
        let dom = dom(browser, &page, mode);
        let found = dom
            .split("<script type=\"application/json\" id=\"selftest\">")
            .nth(1)
            .and_then(|rest| rest.split("</script>").next())
            .unwrap_or_else(|| {
                panic!(
                    "{place}: the page did not examine itself:\n{}",
                    &dom[dom.len().saturating_sub(2000)..]
                )
            });
        let found: Value = serde_json::from_str(found).expect("JSON");
        let problems: Vec<&str> =
            found["problems"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert!(problems.is_empty(), "{place}:\n{}", problems.join("\n"));
        assert!(found["checks"].as_u64().is_some_and(|checks| checks > 20), "{place}: {found}");
        assert_eq!(
            (&found["dark"], &found["still"]),
            (&mode.dark.into(), &mode.still.into()),
            "{place}: {found}"
        );
        let ground = found["ground"].as_str().expect("a colour");
        assert_eq!(ground == "rgb(255, 255, 255)", !mode.dark, "{place}: {ground}");
        let scrolling = if mode.still { "auto" } else { "smooth" };
        assert_eq!(found["scrolling"], scrolling, "{place}");
        assert!(found["contrast"].as_f64().is_some_and(|ratio| ratio >= 4.5), "{place}: {found}");
    }
}

#[test]
fn the_report_of_a_run() {
    examine("a run", &fixture::run_page());
}

#[test]
fn the_report_of_several_runs() {
    examine("several runs", &fixture::several_page());
}

#[test]
fn the_report_of_a_sweep() {
    examine("a sweep", &fixture::sweep_page());
}

/// The weights of the fixture, evaluated: pictures of the worst mistakes.
#[test]
fn the_report_of_a_run_with_its_mistakes() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("page.html");
    let done = Command::new(env!("CARGO_BIN_EXE_downhill"))
        .args(["report", fixture::RUN, "--adapter", adapter::wanted().as_str(), "--out"])
        .arg(&out)
        .output()
        .expect("the program starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let page = std::fs::read_to_string(out).expect("a page");
    let pictures = page.matches("src=\"data:image/png;base64,").count();
    assert_eq!(pictures, 24, "the worst mistakes have pictures");
    assert!(page.len() < 400_000, "{} bytes", page.len());
    examine("a run with its mistakes", &page);
}

/// Names and texts that break out of a page if they are not escaped.
#[test]
fn a_report_of_hostile_names() {
    examine("hostile names", &fixture::hostile_page());
}

/// The lab's page: formulas, contours, heat maps, bars, areas.
#[test]
fn the_page_of_the_lab() {
    let folder = tempfile::tempdir().expect("a folder");
    let done = Command::new(env!("CARGO_BIN_EXE_downhill"))
        .args(["lab", "--quick"])
        // Few nets: the numbers are not looked at here.
        .args(
            ["minibatch.draws=100", "average-step.replicas=16", "orders.seeds=4"]
                .map(|set| format!("--set={set}")),
        )
        .args(
            ["orders.digits_seeds=2", "orders.digits_epochs=3", "optima.seeds=4"]
                .map(|set| format!("--set={set}")),
        )
        .args(["optima.steps=30", "optima.edge_looks=8"].map(|set| format!("--set={set}")))
        .args(["--adapter", adapter::wanted().as_str(), "--out"])
        .arg(folder.path())
        .output()
        .expect("the program starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let page = std::fs::read_to_string(folder.path().join("index.html")).expect("a page");
    assert!(page.contains("<math"), "formulas are there");
    examine("the lab", &page);
}
