//! The output of `downhill predict`: lines of CSV or JSON.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use downhill::Error;
use downhill::error::Result;

use super::answers::{Answers, quoted};

/// An answer. `number` counts from 1.
pub(super) struct Row<'a> {
    pub number: usize,
    pub path: Option<&'a Path>,
    pub values: &'a [f32],
}

/// The file or standard output that receives answers, a batch at a time.
pub(super) struct Output {
    writer: BufWriter<Box<dyn Write>>,
    json: bool,
    line: Vec<u8>,
    /// The temporary file and its final name.
    file: Option<(PathBuf, PathBuf)>,
}

impl Output {
    /// Opens the file, or standard output, and writes the header of CSV.
    pub fn open(path: Option<&Path>, json: bool, answers: &Answers, paths: bool) -> Result<Output> {
        let mut output = match path {
            None => Output {
                writer: BufWriter::new(Box::new(std::io::stdout())),
                json,
                line: Vec::new(),
                file: None,
            },
            Some(path) => {
                // A device or a pipe is written directly.
                let special = fs::metadata(path).is_ok_and(|meta| !meta.is_file());
                let temporary = if special { path.to_owned() } else { path.with_added_extension("tmp") };
                let file = File::create(&temporary).map_err(|err| Error::io("cannot write", path, &err))?;
                let file_names = (!special).then(|| (temporary, path.to_owned()));
                Output { writer: BufWriter::new(Box::new(file)), json, line: Vec::new(), file: file_names }
            }
        };
        if !json {
            let path = paths.then(|| "path".to_owned());
            output.cells(path.into_iter().chain(answers.header()).collect())?;
        }
        Ok(output)
    }

    /// Adds the line of an answer.
    pub fn add(&mut self, answers: &Answers, row: &Row<'_>) -> Result<()> {
        let path = row.path.map(|path| path.to_string_lossy().into_owned());
        if !self.json {
            return self.cells(path.into_iter().chain(answers.cells(row.values)).collect());
        }
        let path = path.map(|path| format!("\"path\":{},", quoted(&path))).unwrap_or_default();
        let text = format!("{{\"row\":{},{path}{}}}\n", row.number, answers.json(row.values));
        self.line.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn cells(&mut self, cells: Vec<String>) -> Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.line);
        let written = writer.write_record(&cells).and_then(|()| Ok(writer.flush()?));
        written.map_err(|err| Error::Data(format!("cannot write a row: {err}")))
    }

    /// Writes all lines; false where the reader went away, which is not an error.
    pub fn flush(&mut self) -> Result<bool> {
        let written = self.writer.write_all(&self.line).and_then(|()| self.writer.flush());
        self.line.clear();
        match written {
            Ok(()) => Ok(true),
            Err(err) if err.kind() == ErrorKind::BrokenPipe && self.file.is_none() => Ok(false),
            Err(err) => {
                let path = self.file.as_ref().map_or(Path::new("standard output"), |(_, path)| path);
                Err(Error::io("cannot write", path, &err))
            }
        }
    }

    /// Gives the file its final name.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        let Some((temporary, path)) = self.file.take() else { return Ok(()) };
        fs::rename(&temporary, &path).map_err(|err| Error::io("cannot write", path, &err))
    }
}

/// Removes an incomplete file.
impl Drop for Output {
    fn drop(&mut self) {
        if let Some((temporary, _)) = self.file.take() {
            let _ = fs::remove_file(temporary);
        }
    }
}
