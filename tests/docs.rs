//! Pages and examples that say what the code says.

use downhill::report;

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
