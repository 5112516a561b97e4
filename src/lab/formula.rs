//! Formulas as MathML, which browsers draw without script.

use pulldown_latex::config::{DisplayMode, RenderConfig};
use pulldown_latex::{Parser, Storage, push_mathml};

use crate::figure::escaped;

/// A formula in LaTeX as MathML, in a line of its own. One that cannot be read is shown as it is written.
pub(super) fn mathml(latex: &str) -> String {
    rendered(latex).unwrap_or_else(|| format!("<code>{}</code>", escaped(latex)))
}

fn rendered(latex: &str) -> Option<String> {
    let storage = Storage::new();
    let events: Vec<_> = Parser::new(latex, &storage).collect();
    if events.iter().any(Result::is_err) {
        return None;
    }
    let config = RenderConfig { display_mode: DisplayMode::Block, ..RenderConfig::default() };
    let mut out = String::new();
    push_mathml(&mut out, events.into_iter(), config).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::EXHIBITS;

    #[test]
    fn every_formula_can_be_read() {
        for about in EXHIBITS {
            for latex in about.formulas {
                let text = rendered(latex).unwrap_or_else(|| panic!("{}: {latex}", about.name));
                assert!(text.contains("<math") && !text.contains("merror"), "{latex}: {text}");
            }
        }
        assert!(mathml("\\nothing{").contains("<code>"));
    }
}
