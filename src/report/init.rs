//! The weights that a run started from, as a table.

use super::align;
use crate::run::{InitFate, InitReport, InitTensor};
use crate::shape::Shape;

/// A line where every tensor is loaded under its own name, else a table of all.
pub fn init_text(report: &InitReport) -> String {
    let (file, all) = (report.file.display(), report.tensors.len());
    let loaded = report.count(InitFate::Loaded);
    let is_plain = |t: &InitTensor| t.fate == InitFate::Loaded && t.file_name.as_ref() == Some(&t.name);
    if report.tensors.iter().all(is_plain) {
        return format!("init     {file}: all {all} tensors");
    }
    let own = all - report.count(InitFate::Unused);
    let shape = |shape: &Option<Vec<usize>>| {
        shape.as_ref().map_or(String::new(), |shape| Shape::from(shape.clone()).to_string())
    };
    let rows: Vec<Vec<String>> = report
        .tensors
        .iter()
        .map(|tensor| {
            let (fate, note) = match tensor.fate {
                InitFate::Loaded => (
                    "loaded",
                    match &tensor.file_name {
                        Some(name) if *name != tensor.name => format!("from {name}"),
                        _ => String::new(),
                    },
                ),
                InitFate::Skipped => ("skipped", "keeps its initial values: init.skip".into()),
                InitFate::Missing => ("missing", "keeps its initial values: not in the file".into()),
                InitFate::Misshapen => (
                    "other shape",
                    format!("keeps its initial values: {} in the file", shape(&tensor.file_shape)),
                ),
                InitFate::Unused => {
                    let ty = tensor.file_type.as_ref().map_or(String::new(), |ty| format!(" of {ty}"));
                    ("unused", format!("{}{ty} in the file alone", shape(&tensor.file_shape)))
                }
            };
            let name = if tensor.fate == InitFate::Unused { tensor.file_name.as_ref() } else { None };
            vec![fate.to_owned(), name.unwrap_or(&tensor.name).clone(), shape(&tensor.shape), note]
        })
        .collect();
    format!("init     {file}: {loaded} of {own} tensors\n{}", align(&rows, &[true; 4]).trim_end())
}
