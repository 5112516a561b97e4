//! Pages and examples that say what the code says.

use downhill::config::Config;
use downhill::kernel::{Family, Target};
use downhill::report;
use toml::Table;

fn text(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|err| panic!("{name}: {err}"))
}

#[test]
fn the_page_of_optimizers_is_what_the_code_says() {
    let (have, want) = (text("docs/optimizers.md"), report::optimizers_page());
    for (line, (have, want)) in (1..).zip(have.lines().zip(want.lines())) {
        assert_eq!(have, want, "line {line}; {AGAIN}");
    }
    assert_eq!(have.len(), want.len(), "{AGAIN}");
}

const AGAIN: &str = "write it again: cargo run --release -- optimizers --markdown > docs/optimizers.md";

/// The README's row of an optimizer has the defaults that the page has.
#[test]
fn the_readme_has_every_default_of_every_optimizer() {
    let (readme, page) = (text("README.md"), report::optimizers_page());
    let mut count = 0;
    for row in page.lines().filter(|row| row.ends_with("` |") && row.contains(" | `lr = ")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let (name, defaults) = (cells[0], cells[cells.len() - 1]);
        let line = format!("{name} | {defaults}");
        assert!(readme.lines().any(|have| have == line), "README.md has no line: {line}");
        count += 1;
    }
    assert_eq!(count, downhill::optim::Optimizer::NAMES.len());
}

/// Every TOML in a page can be planned; sections it does not have are those of `examples/digits.toml`.
#[test]
fn configs_in_pages_can_be_planned() {
    let base: Table = text("examples/digits.toml").parse().expect("TOML");
    let mut count = 0;
    for name in [
        "README.md",
        "docs/optimizers.md",
        "docs/extending.md",
        "docs/benchmarks.md",
        "docs/ci.md",
        "docs/runs.md",
    ] {
        for block in text(name).split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            let mut table = base.clone();
            table.extend(block.parse::<Table>().unwrap_or_else(|err| panic!("{name}: {err}: {block}")));
            let config = Config::parse(&table.to_string(), &[]).unwrap_or_else(|err| panic!("{name}: {err}"));
            let data = config.dataset().expect("the digits");
            let planned = config.plan(&data, Target::new(Family::Tiled));
            planned.unwrap_or_else(|err| panic!("{name}: {err}"));
            count += 1;
        }
    }
    assert!(count > 0, "no page has a config");
}
