//! Text, character by character: windows of it as inputs, the same one character ahead as targets.

use std::collections::BTreeSet;
#[cfg(not(target_arch = "wasm32"))]
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::vocabulary::Vocabulary;
use super::{Dataset, Encoding, Field, FileValues, Kind, Part, Spill, Values, Windows, Written};
use crate::error::{Error, Result};
use crate::regular_file::check_regular;
use crate::units::plural;

/// The project's own sources and shaders, put together by `build.rs`.
#[cfg(not(target_arch = "wasm32"))]
const SOURCES: &str = include_str!(concat!(env!("OUT_DIR"), "/sources.txt"));

/// How a text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TextOptions {
    /// Characters of a sample.
    pub context: usize,
    /// Characters from one training sample's beginning to the next one's; `context` where it is `None`.
    #[serde(default)]
    pub hop: Option<usize>,
    /// The share of the text, its end, that is evaluated on; 0 for none.
    #[serde(default = "tenth")]
    pub eval_fraction: f64,
}

fn tenth() -> f64 {
    0.1
}

impl TextOptions {
    /// Samples of `context` characters side by side, the last tenth of the text to evaluate on.
    pub fn new(context: usize) -> Self {
        TextOptions { context, hop: None, eval_fraction: tenth() }
    }
}

/// A text as a data set: inputs i32 `[context]`, and targets of the same shape, one character ahead. Both are windows
/// over the same numbers. The last characters are evaluated on, in samples side by side.
///
/// # Errors
/// [`Error::Config`] for a context or a hop of 0, or a share that is not in 0..1; [`Error::Data`] where the text
/// is too short.
pub fn text(name: &str, text: &str, options: &TextOptions) -> Result<Dataset> {
    cut(name, Path::new(name), options, &|look| {
        look(text);
        Ok(())
    })
}

/// [`text()`] from a file, which is read twice from its beginning to its end and never held whole.
///
/// # Errors
/// As [`text()`]; [`Error::Io`] where it cannot be read, [`Error::Data`] where it is not UTF-8.
pub fn text_file(path: &Path, options: &TextOptions) -> Result<Dataset> {
    cut(&super::file::file_name(path), path, options, &|look| pieces(path, look))
}

/// Another text by the numbers of a vocabulary: samples of `context` characters side by side, from its beginning to its
/// end.
///
/// # Errors
/// [`Error::Data`] with the first character that the vocabulary lacks, or where the text is too short; as
/// [`text_file`].
pub fn text_part(path: &Path, vocabulary: &Vocabulary, context: usize) -> Result<Part> {
    let (mut len, mut line, mut unknown) = (0_usize, 1_usize, None);
    pieces(path, &mut |text| {
        for c in text.chars() {
            if unknown.is_none() && vocabulary.chars().binary_search(&c).is_err() {
                unknown = Some((line, c));
            }
            line += usize::from(c == '\n');
            len += 1;
        }
    })?;
    if let Some((line, c)) = unknown {
        return Err(Error::Data(format!(
            "{}, line {line}: {c:?} is none of the {} that the model was trained on; take it out of the text",
            path.display(),
            plural(vocabulary.len(), "character")
        )));
    }
    let at = Windows::fitting(0, len.saturating_sub(1), context, context);
    if at.samples == 0 {
        return Err(Error::Data(format!(
            "{} has {}; a data.context of {context} needs at least {}",
            path.display(),
            plural(len, "character"),
            context.saturating_add(1)
        )));
    }
    let tokens = numbers(path, vocabulary, len, &|look| pieces(path, look))?;
    pairs(&Arc::new(tokens), context, at)
}

/// Windows as inputs, and the same one character ahead as targets.
fn pairs(tokens: &Arc<Values>, context: usize, at: Windows) -> Result<Part> {
    let inputs = Field::windows([context], tokens, at)?;
    let targets = Field::windows([context], tokens, Windows { first: at.first + 1, ..at })?;
    Part::new(inputs, targets)
}

/// A text piece by piece.
type Pieces<'a> = dyn Fn(&mut dyn FnMut(&str)) -> Result<()> + 'a;

/// Gives `look` the file's text, whole characters at a time.
fn pieces(path: &Path, look: &mut dyn FnMut(&str)) -> Result<()> {
    let fault = |err: std::io::Error| Error::io("cannot read", path, &err);
    check_regular(path)?;
    #[cfg(not(target_arch = "wasm32"))]
    let mut file = File::open(path).map_err(fault)?;
    #[cfg(target_arch = "wasm32")]
    let mut file = std::io::Cursor::new(crate::regular_file::read_regular(path)?);
    let (mut block, mut held, mut before) = (vec![0; BLOCK], 0, 0);
    loop {
        let n = file.read(&mut block[held..]).map_err(fault)?;
        let (end, last) = (held + n, n == 0);
        let whole = match std::str::from_utf8(&block[..end]) {
            Ok(text) => text,
            // The block may end inside a character.
            Err(err) if err.error_len().is_none() && !last => {
                let valid = &block[..err.valid_up_to()];
                std::str::from_utf8(valid).unwrap_or_default()
            }
            Err(err) => {
                let at = before + err.valid_up_to();
                return Err(Error::Data(format!(
                    "{}, byte {at}: not UTF-8; a text has to be",
                    path.display()
                )));
            }
        };
        look(whole);
        let used = whole.len();
        if last {
            return Ok(());
        }
        block.copy_within(used..end, 0);
        (held, before) = (end - used, before + used);
    }
}

/// Bytes of a file that are read at once.
const BLOCK: usize = 1 << 16;

/// The text as windows; numbers of its characters take as few bytes as the vocabulary allows.
fn cut(name: &str, path: &Path, options: &TextOptions, pieces: &Pieces<'_>) -> Result<Dataset> {
    let TextOptions { context, hop, eval_fraction } = *options;
    let hop = hop.unwrap_or(context);
    for (key, value) in [("context", context), ("hop", hop)] {
        if value == 0 {
            return Err(Error::Config(format!("data.{key} = 0: at least 1 character is needed")));
        }
    }
    super::split::check_fraction(eval_fraction)?;
    let (mut chars, mut len) = (BTreeSet::new(), 0);
    pieces(&mut |text| {
        for c in text.chars() {
            chars.insert(c);
            len += 1;
        }
    })?;
    let vocabulary = Vocabulary::from_chars(chars);
    let tokens = Arc::new(numbers(path, &vocabulary, len, pieces)?);
    let kept = (len as f64 * eval_fraction).round() as usize;
    let split = len - kept.min(len);
    let part = |what: &str, from: usize, end: usize, hop: usize| {
        // One more than the inputs, for the last target.
        let at = Windows::fitting(from, end.saturating_sub(1).max(from), context, hop);
        if at.samples == 0 {
            return Err(Error::Data(format!(
                "\"{name}\" has {}, {} of them to {what} (data.eval_fraction = {eval_fraction}); a \
                 data.context of {context} needs at least {}: choose a smaller one, or a longer text{}",
                plural(len, "character"),
                end - from,
                context.saturating_add(1),
                if kept > 0 { ", or another eval_fraction" } else { "" }
            )));
        }
        pairs(&tokens, context, at)
    };
    let train = part("train on", 0, split, hop)?;
    let eval = (kept > 0).then(|| part("evaluate on", split, len, context)).transpose()?;
    let classes = vocabulary.len();
    Ok(Dataset::new(name, train, eval, Some(classes))?.with_encoding(Encoding::Text { vocabulary }))
}

/// The numbers of all `len` characters: as bytes where the vocabulary is small, and in a temporary file where there
/// are many characters.
fn numbers(path: &Path, vocabulary: &Vocabulary, len: usize, pieces: &Pieces<'_>) -> Result<Values> {
    let kind = match vocabulary.len() {
        0..=0x100 => Kind::U8,
        0x101..=0x1_0000 => Kind::U16,
        _ => Kind::I32,
    };
    let mut spill = Spill::new(path, "as numbers");
    let (mut bytes, mut fault) = (Vec::new(), Ok(()));
    pieces(&mut |text| {
        if fault.is_err() {
            return;
        }
        bytes.clear();
        fault = vocabulary.encode(text).and_then(|numbers| {
            numbers.iter().for_each(|n| bytes.extend_from_slice(&n.to_le_bytes()[..kind.bytes()]));
            spill.write_all(&bytes).map_err(|err| Error::io("cannot keep the numbers of", path, &err))
        });
    })?;
    // A file that has changed between the readings has other characters, or another number of them.
    fault?;
    FileValues::open(&spill.finish()?, 0, len, Written::As(kind), false)
}

/// The project's own sources and shaders as a text: part of the program, and the same for all who build it from
/// the same commit.
///
/// # Errors
/// As [`text()`].
pub fn sources(options: &TextOptions) -> Result<Dataset> {
    #[cfg(not(target_arch = "wasm32"))]
    return text("sources", SOURCES, options);
    #[cfg(target_arch = "wasm32")]
    return Err(Error::Config(format!(
        "data.source = \"sources\", context = {}: a page has no text of its own; give it one",
        options.context
    )));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(field: &Field, index: usize) -> Vec<i32> {
        field.sample(index).unwrap().into_iter().map(|number| number as i32).collect()
    }

    #[test]
    fn targets_are_one_character_ahead() {
        // 20 characters, the last 5 kept: training windows never see them, not even as targets.
        let options = TextOptions { context: 4, hop: None, eval_fraction: 0.25 };
        let alphabet = "abcdefghijklmnopqrst";
        let data = text("alphabet", alphabet, &options).unwrap();
        let vocabulary = data.vocabulary().unwrap();
        let read = |field: &Field, i| vocabulary.decode(&sample(field, i)).unwrap();
        let pairs = |part: &Part| {
            (0..part.len())
                .map(|i| read(part.inputs(), i) + " " + &read(part.targets(), i))
                .collect::<Vec<_>>()
        };
        assert_eq!(pairs(data.train()), ["abcd bcde", "efgh fghi", "ijkl jklm"]);
        assert_eq!(pairs(data.eval().unwrap()), ["pqrs qrst"]);
        assert_eq!((data.classes(), data.name()), (Some(20), "alphabet"));
        let close = text("close", alphabet, &TextOptions { hop: Some(3), ..options }).unwrap();
        assert_eq!(pairs(close.train()), ["abcd bcde", "defg efgh", "ghij hijk", "jklm klmn"]);
        let all = text("all", alphabet, &TextOptions { eval_fraction: 0.0, ..options }).unwrap();
        assert_eq!((all.train().len(), all.eval()), (4, None));
        // All four fields are over the same numbers.
        let eval = data.eval().unwrap();
        for field in [data.train().targets(), eval.inputs(), eval.targets()] {
            assert!(Arc::ptr_eq(field.shared(), data.train().inputs().shared()));
        }
    }

    #[test]
    fn faults_have_the_numbers_and_the_remedy() {
        let options = TextOptions::new(8);
        let refused = |content: &str, options: &TextOptions, words: &[&str]| {
            let err = text("t", content, options).unwrap_err().to_string();
            for word in words {
                assert!(err.contains(word), "{word}: {err}");
            }
        };
        refused("", &options, &["\"t\" has 0 characters", "context of 8 needs at least 9"]);
        refused("12345678", &options, &["8 characters, 7 of them to train on", "at least 9", "smaller"]);
        refused(&"x".repeat(40), &options, &["4 of them to evaluate on", "at least 9", "eval_fraction"]);
        let all = TextOptions { eval_fraction: 0.0, ..options };
        refused("12345678", &all, &["8 of them to train on"]);
        assert_eq!(text("t", "123456789", &all).unwrap().train().len(), 1);
        refused("123", &TextOptions { context: 0, ..all }, &["data.context = 0"]);
        refused("123", &TextOptions { hop: Some(0), ..all }, &["data.hop = 0"]);
        refused("123", &TextOptions { context: usize::MAX, ..all }, &["3 characters"]);
        for eval_fraction in [1.0, -0.1, f64::NAN] {
            refused("123", &TextOptions { eval_fraction, ..all }, &["data.eval_fraction", "below 1"]);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bytes");
        std::fs::write(&path, b"abc\xff").unwrap();
        let err = text_file(&path, &all).unwrap_err().to_string();
        assert!(err.contains("byte 3") && err.contains("UTF-8"), "{err}");
        let err = text_file(&dir.path().join("none"), &all).unwrap_err();
        assert!(matches!(err, Error::Io { .. }), "{err:?}");
    }

    #[test]
    fn the_sources_are_those_of_the_project() {
        let data = sources(&TextOptions::new(64)).unwrap();
        let named: Vec<&str> = SOURCES.lines().filter_map(|line| line.strip_prefix("// s")).collect();
        let at = |name: &str| named.iter().position(|line| *line == name).unwrap_or_else(|| panic!("{name}"));
        assert!(at("haders/chain.wgsl") < at("rc/data/text.rs") && at("rc/data/text.rs") < at("rc/main.rs"));
        // This file is in it, whole.
        let this = include_str!("text.rs").replace("\r\n", "\n");
        assert!(SOURCES.contains(&format!("// src/data/text.rs\n{this}")));
        let len = SOURCES.chars().count();
        assert!(len > 200_000, "{len}");
        let kept = (len as f64 * 0.1).round() as usize;
        let windows = |characters: usize| (characters - 1) / 64;
        assert_eq!(data.train().len(), windows(len - kept));
        assert_eq!(data.eval().unwrap().len(), windows(kept));
        let vocabulary = data.vocabulary().unwrap();
        assert!(vocabulary.len() > 90 && vocabulary.chars().contains(&'\n'), "{vocabulary:?}");
    }

    proptest! {
        /// Characters of any length, over the ends of blocks, by as few bytes as they need.
        #[test]
        fn a_file_is_read_as_its_text_is(kinds in 1u32..400, salt in 0u32..50) {
            let content: String = (0..40_000u32)
                .map(|i| char::from_u32(0x20 + (i * i + i / 7 + salt) % kinds * 3).unwrap_or('?'))
                .collect();
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("text");
            std::fs::write(&path, &content).unwrap();
            let options = TextOptions::new(50);
            let (file, whole) = (text_file(&path, &options).unwrap(), text("text", &content, &options).unwrap());
            prop_assert_eq!(file.vocabulary(), whole.vocabulary());
            let field = |data: &Dataset| data.train().inputs().clone();
            prop_assert_eq!(field(&file), field(&whole));
            let bytes = if file.classes() > Some(256) { 2 } else { 1 };
            prop_assert_eq!(field(&file).values().kind().bytes(), bytes);
            let said = file.vocabulary().unwrap().decode(&sample(&field(&file), 7)).unwrap();
            prop_assert_eq!(said, content.chars().skip(350).take(50).collect::<String>());
        }

        #[test]
        fn a_text_goes_round_by_its_vocabulary_and_that_by_its_json(content in "\\PC{0,80}") {
            let vocabulary = Vocabulary::from_text(&content);
            let numbers = vocabulary.encode(&content).unwrap();
            prop_assert!(numbers.iter().all(|&n| n >= 0 && (n as usize) < vocabulary.len()));
            prop_assert_eq!(vocabulary.decode(&numbers).unwrap(), content);
            let json = serde_json::to_string(&vocabulary).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vocabulary>(&json).unwrap(), vocabulary);
        }
    }

    #[test]
    fn what_a_vocabulary_lacks_is_told() {
        let vocabulary = Vocabulary::from_text("hello");
        assert_eq!(vocabulary.chars(), ['e', 'h', 'l', 'o']);
        let err = vocabulary.encode("hexe").unwrap_err().to_string();
        assert!(err.contains("character 2") && err.contains("'x'") && err.contains("4"), "{err}");
        for number in [-1, 4] {
            let err = vocabulary.decode(&[0, number]).unwrap_err().to_string();
            assert!(err.contains(&number.to_string()) && err.contains("0..4"), "{err}");
        }
        for json in ["[\"b\",\"a\"]", "[\"a\",\"a\"]", "[\"ab\"]"] {
            assert!(serde_json::from_str::<Vocabulary>(json).is_err(), "{json}");
        }
    }
}
