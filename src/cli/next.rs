//! The commands that a finished run is good for.

use std::path::Path;

use downhill::data::Encoding;
use downhill::run::Session;

use super::output::println;

/// Prints commands for the run, and for its config where `file` is a new run's.
pub(super) fn offer(session: &Session, file: Option<&Path>, program: &str) {
    let run = session.dir().path().display();
    let (other, what) = match session.data().encoding() {
        Some(Encoding::Table(_)) => ("rows.csv", "other rows"),
        Some(Encoding::Images(_)) => ("photos/", "other images"),
        Some(Encoding::Text { .. }) => ("other.txt", "another text"),
        Some(Encoding::Array(_)) | None => ("inputs.npy", "other arrays"),
    };
    let mut lines = Vec::new();
    if let Some(Encoding::Text { .. }) = session.data().encoding() {
        lines.push(format!("sample {run}    write text with the model"));
    } else {
        lines.push(format!("predict {run} {other}    predict {what}"));
    }
    lines.push(match session.data().eval() {
        Some(_) => format!("eval {run}    evaluate again; --data PATH takes other data"),
        None => format!("eval {run} --part train    evaluate; --data PATH takes other data"),
    });
    lines.push(format!("export {run}    write the net as a PyTorch module"));
    let folder = session.dir().path().parent().unwrap_or(Path::new(""));
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let folder = if folder == Path::new("runs") { String::new() } else { format!(" {}", folder.display()) };
    lines.push(format!("runs{folder}    compare it with other runs"));
    if let Some(file) = file.map(Path::display) {
        lines.push(format!("lr-find {file}    look for a better learning rate"));
        lines.push(format!("train {file} --init {run}/model.safetensors    start from these weights"));
    }
    for (at, line) in lines.iter().enumerate() {
        println(&format!("{:<9}{program} {line}", if at == 0 { "next" } else { "" }));
    }
}
