//! The output of every command: lines, and figures in files.

use std::io::Write;
use std::path::Path;

use downhill::Error;
use downhill::figure::Figure;

/// Prints a line to standard output. A reader that went away is not an error.
pub(super) fn println(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes a figure into the file that the user asks for, if any.
pub(super) fn draw(path: Option<&Path>, figure: &Figure) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, figure.svg()).map_err(|err| Error::io("cannot write", path, &err))
}
