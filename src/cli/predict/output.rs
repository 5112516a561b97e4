//! The output of `downhill predict`: lines of CSV or JSON.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use downhill::Error;
use downhill::atomic_file::AtomicFile;
use downhill::error::Result;

use super::answers::{Answers, quoted};

/// An answer. `number` counts from 1.
pub(super) struct Row<'a> {
    pub number: usize,
    pub path: Option<&'a Path>,
    pub values: &'a [f32],
}

/// The destination of lines.
enum Sink {
    /// Standard output, a device or a pipe, and its name.
    Stream(Box<dyn Write>, PathBuf),
    File(AtomicFile),
}

/// The file or standard output that receives answers, a batch at a time.
pub(super) struct Output {
    sink: Sink,
    json: bool,
    lines: Vec<u8>,
}

impl Output {
    /// Opens the file, or standard output; CSV begins with its header.
    pub fn open(path: Option<&Path>, json: bool, answers: &Answers, paths: bool) -> Result<Output> {
        let sink = match path {
            None => Sink::Stream(Box::new(std::io::stdout()), "standard output".into()),
            Some(path) if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) => {
                let file = File::create(path).map_err(|err| Error::io("cannot write", path, &err))?;
                Sink::Stream(Box::new(file), path.to_owned())
            }
            Some(path) => Sink::File(AtomicFile::create(path)?),
        };
        let mut output = Output { sink, json, lines: Vec::new() };
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
        self.lines.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn cells(&mut self, cells: Vec<String>) -> Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.lines);
        let written = writer.write_record(&cells).and_then(|()| Ok(writer.flush()?));
        written.map_err(|err| Error::Data(format!("cannot write a row: {err}")))
    }

    /// Writes all lines; false where the reader closed the pipe, which is not an error.
    pub fn flush(&mut self) -> Result<bool> {
        let written = match &mut self.sink {
            Sink::Stream(stream, _) => stream.write_all(&self.lines).and_then(|()| stream.flush()),
            Sink::File(file) => file.write_all(&self.lines).and_then(|()| file.flush()),
        };
        self.lines.clear();
        match (written, &self.sink) {
            (Ok(()), _) => Ok(true),
            (Err(err), Sink::Stream(..)) if err.kind() == ErrorKind::BrokenPipe => Ok(false),
            (Err(err), Sink::Stream(_, name)) => Err(Error::io("cannot write", name, &err)),
            (Err(err), Sink::File(file)) => Err(Error::io("cannot write", file.path(), &err)),
        }
    }

    /// Gives the file its final name.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        match self.sink {
            Sink::Stream(..) => Ok(()),
            Sink::File(file) => file.persist(),
        }
    }
}
