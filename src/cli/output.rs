//! The output of every command: lines, notes, and figures in files. Nothing here panics where a stream cannot be written. Of
//! several ranks the first alone prints.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::OnceLock;

use downhill::Error;
use downhill::figure::Figure;

use super::ranks;

/// The first fault of standard output. A process has one standard output.
static FAULT: OnceLock<io::Error> = OnceLock::new();

/// Prints a line to standard output. [`finish`] reports what was lost.
pub(super) fn println(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints a text to standard output at once; false where it is lost, or its reader went away.
pub(super) fn print(text: &str) -> bool {
    if !ranks::prints() {
        return true;
    }
    let mut out = io::stdout().lock();
    keep(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints a line to standard error. Where that is lost, there is nowhere to report it.
pub fn eprintln(text: &str) {
    if !ranks::prints() {
        return;
    }
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Prints the help, the version, or the fault of a command line.
pub fn print_usage(usage: &clap::Error) {
    if !ranks::prints() {
        return;
    }
    let printed = usage.print();
    if !usage.use_stderr() {
        keep(printed);
    }
}

/// The fault of standard output, where something printed is lost. A reader that went away is none.
///
/// # Errors
/// [`Error::Io`], for a full disk or a limit of the file's size.
pub fn finish() -> Result<(), Error> {
    keep(io::stdout().lock().flush());
    match FAULT.get().filter(|err| err.kind() != ErrorKind::BrokenPipe) {
        Some(err) => {
            let err = io::Error::new(err.kind(), format!("{err}; what was printed is incomplete"));
            Err(Error::io("cannot write", "standard output", &err))
        }
        None => Ok(()),
    }
}

fn keep(written: io::Result<()>) -> bool {
    written.map_err(|err| FAULT.get_or_init(|| err)).is_ok()
}

/// Writes a figure into the file that the user asks for, if any.
pub(super) fn draw(path: Option<&Path>, figure: &Figure) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, figure.svg()).map_err(|err| Error::io("cannot write", path, &err))
}
