//! The shell of a page: one HTML file without network, readable without script, in light, dark and print.
//!
//! The style replaces the colours of figures by its own, through their classes. The script adds what a picture alone has not:
//! nearest values, series on and off, logarithmic axes, smoothing, sorted tables; `#selftest` has it examine the page, for
//! the tests. The page of a report and that of the lab have the same shell.

use std::fmt::Write;

use super::escaped;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const SELFTEST: &str = include_str!("page_selftest.js");

/// What a page may load: nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The title, as text.
    pub title: String,
    /// A sentence about it, as text.
    pub description: String,
    /// HTML between `<main>` and `</main>`, with its texts escaped.
    pub body: String,
}

/// The page as a file.
pub fn document(page: &Page) -> String {
    let Page { title, description, body } = page;
    let (title, description) = (escaped(title), escaped(description));
    let style = STYLE.trim();
    let (script, selftest) = (SCRIPT.trim(), SELFTEST.trim());
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <meta name=\"description\" content=\"{description}\">\n<style>\n{style}\n</style>\n</head>\n<body>\n<main>\n{}\n\
         </main>\n<script>\n{script}\n{selftest}\n</script>\n</body>\n</html>\n",
        body.trim()
    )
}

/// A cell of a [`Table`].
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A number as it is shown, and by its value for sorting.
    Number(String, f64),
    /// A number with a bar of this share of the cell, from 0 to 1.
    Bar(String, f64),
    /// HTML, with its texts escaped.
    Html(String),
    /// Nothing.
    Empty,
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<String>) -> Cell {
        Cell::Text(text.into())
    }

    /// A number with at most four digits; nothing where there is none.
    pub fn number(value: Option<f64>) -> Cell {
        value.map_or(Cell::Empty, |value| Cell::Number(super::number(value), value))
    }

    /// A count.
    pub fn count(count: u64) -> Cell {
        Cell::Number(crate::units::grouped(count as usize), count as f64)
    }

    fn is_number(&self) -> bool {
        matches!(self, Cell::Number(..) | Cell::Bar(..))
    }
}

/// Rows of a table that stands in a box of its own height.
const TALL: usize = 24;

/// A table whose columns can be sorted where a script runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// What it is, as text.
    pub caption: String,
    /// The names of its columns.
    pub head: Vec<String>,
    /// Its rows; the first cell names the row.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new<S: Into<String>>(caption: impl Into<String>, head: impl IntoIterator<Item = S>) -> Table {
        Table { caption: caption.into(), head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// The table as HTML, in a box that scrolls where it is wider than the page.
    pub fn html(&self) -> String {
        let caption = escaped(&self.caption);
        let class = if self.rows.len() > TALL { "scroll tall" } else { "scroll" };
        let mut out = format!(
            "<div class=\"{class}\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table>\n<caption>{caption}</caption>\n\
             <thead><tr>"
        );
        let is_number = |column: usize| {
            let mut cells =
                self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| **cell != Cell::Empty);
            cells.next().is_some_and(Cell::is_number)
        };
        for (column, name) in self.head.iter().enumerate() {
            let class = if is_number(column) { " class=\"n\"" } else { "" };
            let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", escaped(name));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            out.push_str("<tr>");
            for (column, cell) in row.iter().enumerate() {
                let (tag, scope) = if column == 0 { ("th", " scope=\"row\"") } else { ("td", "") };
                let _ = match cell {
                    Cell::Text(text) => write!(out, "<{tag}{scope}>{}</{tag}>", escaped(text)),
                    Cell::Html(html) => write!(out, "<{tag}{scope}>{html}</{tag}>"),
                    Cell::Empty => write!(out, "<{tag}{scope}></{tag}>"),
                    Cell::Number(text, value) => {
                        write!(out, "<{tag}{scope} class=\"n\" data-v=\"{value}\">{}</{tag}>", escaped(text))
                    }
                    Cell::Bar(text, share) => write!(
                        out,
                        "<{tag}{scope} class=\"n bar\" data-v=\"{share}\" style=\"--v:{:.1}%\">{}</{tag}>",
                        100.0 * share.clamp(0.0, 1.0),
                        escaped(text)
                    ),
                };
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
        out
    }

    /// [`Table::html`] behind a line that opens it.
    pub fn folded(&self) -> String {
        details(&self.caption, &self.html())
    }
}

/// HTML behind a line that opens it.
pub fn details(summary: &str, html: &str) -> String {
    format!("<details><summary>{}</summary>\n{html}</details>\n", escaped(summary))
}

/// A section with its heading. `id` is for links to it.
pub fn section(id: &str, title: &str, html: &str) -> String {
    format!("<section id=\"{id}\"><h2>{}</h2>\n{html}</section>\n", escaped(title))
}

/// Names with their values and a note on each, as tiles.
pub fn tiles(all: &[(String, String, String)]) -> String {
    let mut out = String::from("<dl class=\"tiles\">\n");
    for (name, value, note) in all {
        let _ = writeln!(
            out,
            "<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>",
            escaped(name),
            escaped(value),
            escaped(note)
        );
    }
    out.push_str("</dl>\n");
    out
}

/// Names with their values, a line each.
pub fn facts(all: &[(&str, String)]) -> String {
    let mut out = String::from("<dl class=\"facts\">\n");
    for (name, value) in all {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(value));
    }
    out.push_str("</dl>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_loads_nothing_and_escapes_its_texts() {
        let page = Page {
            title: "<script>alert(1)</script>".into(),
            description: "\"quoted\" & more".into(),
            body: Table {
                rows: vec![vec![Cell::text("<b>"), Cell::number(Some(0.5))]],
                ..Table::new("c", ["a", "b"])
            }
            .html(),
        };
        let text = document(&page);
        assert!(text.contains("<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>"), "{text}");
        assert!(text.contains("content=\"&quot;quoted&quot; &amp; more\""), "{text}");
        assert!(
            text.contains("<th scope=\"row\">&lt;b&gt;</th><td class=\"n\" data-v=\"0.5\">0.5</td>"),
            "{text}"
        );
        assert_eq!(text.matches("<script>").count(), 1);
        for word in ["http://", "https://", "src=", "@import", "url("] {
            let is_name = |at: usize| text[at..].starts_with("http://www.w3.org/");
            assert!(text.match_indices(word).all(|(at, _)| is_name(at)), "{word}");
        }
    }
}
