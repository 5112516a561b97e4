//! Arrow IPC: a file of record batches, or a stream of them. A file is a stream between a head and a foot, and is
//! read as one.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::{CompressionType, root_as_message};
use arrow_schema::SchemaRef;

use super::batch::{guarded, names, rows, unfit};
use super::reader::{Each, Rows};
use crate::error::{Error, Result};

/// The magic before a file's stream, padded by two bytes to eight, and at its end.
const MAGIC: &[u8] = b"ARROW1";
/// Before the length of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// A stream of batches.
#[derive(Debug)]
pub(super) struct Ipc {
    schema: SchemaRef,
    /// From the schema to the last batch.
    stream: Buffer,
    /// Bytes of the file before the stream.
    offset: usize,
}

impl Ipc {
    /// The columns' names, and the rest.
    ///
    /// # Errors
    /// [`Error::Data`] where the file is neither, is cut short, or claims more than it can have.
    pub fn new(name: &str, bytes: Vec<u8>) -> Result<(Vec<String>, Ipc)> {
        let wrong = |at: usize, text: String| Error::Data(format!("{name}, byte {at}: {text}"));
        let (from, to) = stream(&bytes).map_err(|(at, text)| wrong(at, text))?;
        check(&bytes[from..to]).map_err(|(at, text)| wrong(from + at, text))?;
        let stream = Buffer::from_vec(bytes).slice_with_length(from, to - from);
        let mut decoder = StreamDecoder::new();
        let mut rest = stream.clone();
        guarded(|| decoder.decode(&mut rest)).map_err(|text| wrong(from, text))?;
        let Some(schema) = decoder.schema() else {
            return Err(wrong(from, "no schema; is this an Arrow file?".into()));
        };
        Ok((names(&schema), Ipc { schema, stream, offset: from }))
    }
}

impl Rows for Ipc {
    fn scan(&self, name: &str, _columns: &[usize], each: &mut Each) -> Result<()> {
        let (mut decoder, mut rest, mut first) = (StreamDecoder::new(), self.stream.clone(), 0);
        // Columns that are not wanted lie in the file as they are, and cost nothing.
        let places: Vec<usize> = (0..self.schema.fields().len()).collect();
        loop {
            let at = self.offset + self.stream.len() - rest.len();
            let batch = guarded(|| decoder.decode(&mut rest));
            let wrong = |text: String| {
                Error::Data(format!(
                    "{name}, byte {at}, after {first} rows: {text}; the file is cut short or damaged"
                ))
            };
            let Some(batch): Option<RecordBatch> = batch.map_err(wrong)? else {
                return guarded(|| decoder.finish()).map_err(wrong);
            };
            rows(&batch, &places, first, each)?;
            first += batch.num_rows();
        }
    }

    fn unfit(&self, column: usize) -> Option<String> {
        unfit(&self.schema, column)
    }
}

type Fault = (usize, String);

/// The bytes of a file that are its stream.
fn stream(bytes: &[u8]) -> Result<(usize, usize), Fault> {
    if !bytes.starts_with(MAGIC) {
        return Ok((0, bytes.len()));
    }
    let end = bytes.len();
    let cut = || (end, "the file is cut short: an Arrow file ends in ARROW1".into());
    let foot = bytes.strip_suffix(MAGIC).filter(|_| end >= 22).ok_or_else(cut)?;
    let (before, length) = foot.split_last_chunk::<4>().ok_or_else(cut)?;
    let length = u32::from_le_bytes(*length) as usize;
    match before.len().checked_sub(length) {
        Some(to) if to >= 8 => Ok((8, to)),
        _ => Err((end - 10, format!("a foot of {length} bytes is more than the file has"))),
    }
}

/// Checks that every message lies in the stream, and that no compressed buffer claims to become more than its bytes
/// can. A decoder allocates the claimed size before it reads.
fn check(stream: &[u8]) -> Result<(), Fault> {
    let mut at = 0;
    loop {
        let rest = &stream[at..];
        let (head, length) = match rest.first_chunk::<8>() {
            Some([a, b, c, d, length @ ..]) if [*a, *b, *c, *d] == CONTINUATION => {
                (8, u32::from_le_bytes(*length))
            }
            Some([length @ .., _, _, _, _]) => (4, u32::from_le_bytes(*length)),
            None => return Ok(()),
        };
        if length == 0 {
            return Ok(());
        }
        let cut = |what: &str| {
            (at, format!("{what} is longer than the rest of the file; it is cut short or damaged"))
        };
        let start = head + length as usize;
        let message = rest.get(head..start).ok_or_else(|| cut("a message"))?;
        let message =
            root_as_message(message).map_err(|err| (at, format!("no message of Arrow's: {err}")))?;
        let length = usize::try_from(message.bodyLength()).unwrap_or(usize::MAX);
        let end = start.saturating_add(length);
        let body = rest.get(start..end).ok_or_else(|| cut("a batch"))?;
        let batch = match message.header_as_dictionary_batch() {
            Some(dictionary) => dictionary.data(),
            None => message.header_as_record_batch(),
        };
        if let Some((codec, buffers)) = batch.and_then(|b| Some((b.compression()?.codec(), b.buffers()?))) {
            for buffer in buffers {
                let from = usize::try_from(buffer.offset()).unwrap_or(usize::MAX);
                let claim = body.get(from..).and_then(|bytes| bytes.first_chunk::<8>());
                let claim = claim.map_or(0, |claim| i64::from_le_bytes(*claim));
                let packed = usize::try_from(buffer.length()).unwrap_or(0);
                // Without packed bytes, the bytes that follow belong to another buffer.
                if packed > 0 && usize::try_from(claim).is_ok_and(|claim| claim > most(codec, packed)) {
                    let text =
                        format!("{packed} bytes claim to unpack into {claim}, which is more than they can");
                    return Err((at + start, text));
                }
            }
        }
        at += end;
    }
}

/// The most bytes that `packed` bytes can unpack to: LZ4 lengthens a match by 255 for each byte, and zstd repeats a
/// byte over a block of 128 KiB with a head of three.
fn most(codec: CompressionType, packed: usize) -> usize {
    match codec {
        CompressionType::LZ4_FRAME => packed.saturating_mul(255),
        _ => packed.saturating_mul((128 << 10) / 4),
    }
}
