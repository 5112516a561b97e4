//! The table of data formats: the description of each, and the function that reads its keys.

use std::path::Path;

use super::keys::{HOLDOUT, Key, KeyGroup, Keys, MEMORY, NORMALISE, TEXT};
use super::spec::DataSpec;
use super::{arrays, images, memory, pack, table, text};
use crate::data::{ends_in, has_file, is_image_folder, is_pack};
use crate::error::{Error, Result};
use crate::regular_file::check_regular;

/// A value of `data.source`: a word, or a table whose first key names a file or a folder.
#[derive(Debug)]
pub struct DataFormat {
    /// The word, or the key that names the file.
    pub name: &'static str,
    /// The least a config says, as `source = FORM`.
    pub form: &'static str,
    /// A short description.
    pub about: &'static str,
    /// Its files, or where its samples are.
    pub files: &'static str,
    /// Keys in `data.source`, each with a description.
    pub keys: &'static [Key],
    /// Keys of `[data]` that only some sources have.
    pub beside: &'static [&'static KeyGroup],
    /// True for a path that is recognised as this format without a config.
    pub(super) recognise: fn(&Path) -> bool,
    pub(super) read: fn(Keys) -> Result<DataSpec>,
}

const TABLE: &[Key] = &[
    ("target", "the column to learn"),
    ("numeric", "the numeric inputs; every other column that holds numbers alone where it is left out"),
    ("categorical", "the categorical inputs; every other column that holds words where it is left out"),
    ("ignore", "columns that are left out; \"\" for those without a name, as the index that pandas writes"),
    (
        "missing",
        "cells that count as missing, as [\"-\", -999], beside the empty one, NA, N/A, NaN, null and ?",
    ),
    (
        "delimiter",
        "the character between two cells of CSV; comma, tab or semicolon, as the first line has, where it is left out",
    ),
    ("classes", "true: the target's values are classes, even if they are numbers"),
    ("standardise_target", "true: a numeric target is learnt as (value - mean) / std"),
    (
        "fill",
        "\"median\", \"mean\", or a table by column of these, a number or a category, for missing cells",
    ),
    ("eval", "a file of rows to evaluate on, in place of a share of the rows"),
    ("eval_csv", "the older name of eval"),
];
const ARRAYS: &[Key] = &[
    ("x", "the array of inputs"),
    ("y", "the array of targets"),
    ("eval_x", "the array of inputs to evaluate on"),
    ("eval_y", "the array of targets to evaluate on"),
];
const NORMALISED: &[&KeyGroup] = &[&NORMALISE, &HOLDOUT];

/// Every format. Paths are recognised from the last to the first.
pub static DATA_FORMATS: &[DataFormat] = &[
    DataFormat {
        name: "digits",
        form: "\"digits\"",
        about: "1,797 handwritten digits of 8x8 pixels",
        files: "part of the program",
        keys: &[],
        beside: &[],
        recognise: |_| false,
        read: |_| Ok(DataSpec::Digits),
    },
    DataFormat {
        name: "sources",
        form: "\"sources\"",
        about: "the program's own source code as a text",
        files: "part of the program",
        keys: &[],
        beside: &[&TEXT],
        recognise: |_| false,
        read: |keys| text::sources(keys).map(DataSpec::Text),
    },
    DataFormat {
        name: "text",
        form: "{ text = \"FILE\" }",
        about: "a text",
        files: "UTF-8",
        keys: &[],
        beside: &[&TEXT],
        recognise: |path| ends_in(path, &["txt"]),
        read: |keys| text::read(keys).map(DataSpec::Text),
    },
    DataFormat {
        name: "csv",
        form: table::FORM,
        about: "a table",
        files: ".csv, .tsv",
        keys: TABLE,
        beside: &[&HOLDOUT],
        recognise: |path| ends_in(path, &["csv", "tsv"]),
        read: |keys| table::csv(keys).map(DataSpec::Table),
    },
    DataFormat {
        name: "parquet",
        form: "{ parquet = \"FILE\", target = \"COLUMN\" }",
        about: "a table",
        files: ".parquet; needs the feature parquet",
        keys: TABLE,
        beside: &[&HOLDOUT],
        recognise: |path| ends_in(path, &["parquet"]),
        read: |keys| table::parquet(keys).map(DataSpec::Table),
    },
    DataFormat {
        name: "arrow",
        form: "{ arrow = \"FILE\", target = \"COLUMN\" }",
        about: "a table",
        files: ".arrow, .feather, .ipc, as a file or a stream; needs the feature arrow",
        keys: TABLE,
        beside: &[&HOLDOUT],
        recognise: |path| ends_in(path, &["arrow", "feather", "ipc"]),
        read: |keys| table::arrow(keys).map(DataSpec::Table),
    },
    DataFormat {
        name: "cifar",
        form: "{ cifar = \"FOLDER\" }",
        about: "a folder of CIFAR files",
        files: "CIFAR-10's or CIFAR-100's binary version",
        keys: &[("labels", "\"fine\" or \"coarse\": which labels of CIFAR-100")],
        beside: NORMALISED,
        recognise: |path| has_file(path, &["_batch.bin", "train.bin"]),
        read: |keys| arrays::cifar(keys).map(DataSpec::Arrays),
    },
    DataFormat {
        name: "idx",
        form: "{ idx = \"FOLDER\" }",
        about: "a folder of IDX files",
        files: "MNIST's four files, as they are or in gzip",
        keys: &[("set", "what the files' names begin with, where the folder has several sets")],
        beside: NORMALISED,
        recognise: |path| has_file(path, &["idx3-ubyte"]),
        read: |keys| arrays::idx(keys).map(DataSpec::Arrays),
    },
    DataFormat {
        name: "npz",
        form: "{ npz = \"FILE\", x = \"ARRAY\", y = \"ARRAY\" }",
        about: "arrays of NumPy",
        files: ".npz",
        keys: ARRAYS,
        beside: NORMALISED,
        recognise: |path| ends_in(path, &["npz"]),
        read: |keys| arrays::npz(keys).map(DataSpec::Arrays),
    },
    DataFormat {
        name: "npy",
        form: arrays::NPY,
        about: "arrays of NumPy, inputs and targets",
        files: ".npy, .npy.gz",
        keys: &[("target", "the file of targets")],
        beside: NORMALISED,
        recognise: |path| ends_in(path, &["npy", "npy.gz"]),
        read: |keys| arrays::npy(keys).map(DataSpec::Arrays),
    },
    DataFormat {
        name: "safetensors",
        form: "{ safetensors = \"FILE\", x = \"TENSOR\", y = \"TENSOR\" }",
        about: "named tensors",
        files: ".safetensors",
        keys: ARRAYS,
        beside: NORMALISED,
        recognise: |path| ends_in(path, &["safetensors"]),
        read: |keys| arrays::safetensors(keys).map(DataSpec::Arrays),
    },
    DataFormat {
        name: "images",
        form: "{ images = \"DIR\" }",
        about: "a folder of images",
        files: "PNG and JPEG in DIR/CLASS, or DIR/train/CLASS and DIR/eval/CLASS; needs the feature images",
        keys: &[
            ("size", "height and width, as [32, 32]; all images have one size where it is left out"),
            ("fit", "\"crop\" or \"stretch\": how images come to size"),
            ("channels", "1 or 3; 1 where it is left out and no image has colours"),
        ],
        beside: NORMALISED,
        recognise: is_image_folder,
        read: |keys| images::read(keys).map(DataSpec::Images),
    },
    DataFormat {
        name: "pack",
        form: "{ pack = \"FILE.dhd\" }",
        about: "a packed data set",
        files: ".dhd, as downhill data convert writes it",
        keys: &[],
        beside: &[],
        recognise: is_pack,
        read: |keys| pack::read(keys).map(DataSpec::Pack),
    },
    DataFormat {
        name: memory::NAME,
        form: "\"memory\"",
        about: "arrays that a program of Python or Rust gives beside the config",
        files: "in the memory of that program",
        keys: &[],
        beside: &[&NORMALISE, &HOLDOUT, &MEMORY],
        recognise: |_| false,
        read: |keys| memory::read(keys).map(DataSpec::Memory),
    },
];

impl DataFormat {
    /// True for a word without a file.
    pub fn is_word(&self) -> bool {
        self.form.starts_with('"')
    }

    pub(super) fn has_key(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, _)| *name == key)
    }

    pub(super) fn has_beside(&self, key: &str) -> bool {
        self.beside.iter().any(|group| group.has(key))
    }

    /// The description of a key.
    pub(super) fn about(&self, key: &str) -> Option<&'static str> {
        let beside = self.beside.iter().flat_map(|group| group.keys);
        self.keys.iter().chain(beside).find(|(name, _)| *name == key).map(|(_, about)| *about)
    }
}

/// The format of a path.
///
/// # Errors
/// [`Error::Io`] where nothing is there, [`Error::Config`] where it is none of [`DATA_FORMATS`].
pub fn recognise(path: &Path) -> Result<&'static DataFormat> {
    if !path.is_dir() {
        check_regular(path)?;
    }
    DATA_FORMATS.iter().rev().find(|format| (format.recognise)(path)).ok_or_else(|| {
        let files = DATA_FORMATS.iter().rev().filter(|format| !format.is_word());
        let known: Vec<String> = files.map(|f| format!("{} ({})", f.about, f.name)).collect();
        Error::Config(format!(
            "{}: what it is cannot be told from it; known are {}. A config says what other data are, and is taken in \
             place of the path",
            path.display(),
            known.join(", ")
        ))
    })
}
