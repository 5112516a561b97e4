//! Files of several arrays by name: NPZ and safetensors.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::file::DataFile;
use super::super::keys;
use super::super::{Dataset, Part};
use super::arrays::{Array, ArrayOptions, dataset, inputs, targets};
use super::npy;
use super::safetensors::Tensors;
use super::zip::{Member, members};
use crate::error::{Error, Result, suggestion};

/// The roles of the arrays in a file. An array that is `None` is found, where only one way is possible: as `x_train`,
/// `y_train`, `x_test` and `y_test`; `train_images`, `train_labels`, `test_images` and `test_labels`; `x` and `y`;
/// `images` and `labels`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ArrayNames {
    /// The inputs to train on.
    #[serde(deserialize_with = "keys::array", skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The targets to train on.
    #[serde(deserialize_with = "keys::array", skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The inputs to evaluate on.
    #[serde(deserialize_with = "keys::array", skip_serializing_if = "Option::is_none")]
    pub eval_x: Option<String>,
    /// The targets to evaluate on.
    #[serde(deserialize_with = "keys::array", skip_serializing_if = "Option::is_none")]
    pub eval_y: Option<String>,
}

/// Usual names of arrays: inputs and targets to train on, and those to evaluate on.
const USUAL: [([&str; 2], Option<[&str; 2]>); 4] = [
    (["x_train", "y_train"], Some(["x_test", "y_test"])),
    (["train_images", "train_labels"], Some(["test_images", "test_labels"])),
    (["x", "y"], None),
    (["images", "labels"], None),
];

/// The names of inputs and targets.
type Names = [String; 2];

impl ArrayNames {
    /// The arrays to train on and, where the file has some and they are wanted, those to evaluate on.
    fn among(&self, file: &str, have: &[String], own_part: bool) -> Result<(Names, Option<Names>)> {
        let has = |name: &str| have.iter().any(|other| other == name);
        for (key, name) in
            [("x", &self.x), ("y", &self.y), ("eval_x", &self.eval_x), ("eval_y", &self.eval_y)]
        {
            let Some(name) = name.as_deref().filter(|name| !has(name)) else { continue };
            let names: Vec<&str> = have.iter().map(String::as_str).collect();
            let hint = suggestion(name, &names);
            return Err(Error::Config(format!(
                "data.source.{key} = \"{name}\": {file} has no such array; {hint}"
            )));
        }
        let fits = |usual: &[&str; 2], [x, y]: [&Option<String>; 2]| {
            let alike = |name: &Option<String>, usual: &str| name.as_deref().is_none_or(|name| name == usual);
            alike(x, usual[0]) && alike(y, usual[1]) && usual.iter().all(|name| has(name))
        };
        let found: Vec<_> = USUAL.iter().filter(|(train, _)| fits(train, [&self.x, &self.y])).collect();
        let owned = |names: &[&str; 2]| names.map(str::to_owned);
        let train = match (&self.x, &self.y, &found[..]) {
            (Some(x), Some(y), _) => [x.clone(), y.clone()],
            (_, _, [(train, _)]) => owned(train),
            _ => {
                let key = if self.x.is_none() { "x" } else { "y" };
                let both: Vec<String> = found.iter().map(|(train, _)| train.join(" and ")).collect();
                let why = match both.len() {
                    0 => "none of them have the usual names".to_owned(),
                    _ => format!("{} fit", both.join(" or ")),
                };
                return Err(Error::Config(format!(
                    "data.source.{key} is missing: which array of {file}? There are {}, and {why}; for example x = \
                     \"{}\", y = \"{}\"",
                    have.join(", "),
                    have.first().map_or("x_train", String::as_str),
                    have.last().map_or("y_train", String::as_str)
                )));
            }
        };
        let usual = USUAL.iter().find(|(usual, _)| owned(usual) == train).and_then(|(_, eval)| *eval);
        let usual = usual.filter(|eval| fits(eval, [&self.eval_x, &self.eval_y]));
        let eval = match (&self.eval_x, &self.eval_y, usual) {
            (Some(x), Some(y), _) => Some([x.clone(), y.clone()]),
            (None, None, _) if !own_part => None,
            (_, _, Some(usual)) => Some(owned(&usual)),
            (None, None, None) => None,
            (x, ..) => {
                let (has, lacks) = if x.is_some() { ("eval_x", "eval_y") } else { ("eval_y", "eval_x") };
                return Err(Error::Config(format!("data.source.{lacks} is missing, and {has} is there")));
            }
        };
        Ok((train, eval))
    }

    /// The arrays as a data set, named by the file and the arrays taken from it.
    fn load(
        &self,
        file: &str,
        have: &[String],
        read: impl Fn(&str) -> Result<Array>,
        options: &ArrayOptions,
    ) -> Result<Dataset> {
        let (train, eval) = self.among(file, have, options.own_part())?;
        let taken: Vec<String> =
            [Some(&train), eval.as_ref()].into_iter().flatten().map(|both| both.join(", ")).collect();
        let part = |[x, y]: &Names| {
            let (x, y) = (read(x)?, read(y)?);
            Part::new(inputs(&x)?, targets(&y, &x)?)
        };
        let wrong = |err| match err {
            Error::Data(text) if !text.contains(file) => Error::Data(format!("{file}: {text}")),
            other => other,
        };
        let parts = part(&train).and_then(|train| Ok((train, eval.as_ref().map(part).transpose()?)));
        let (train, eval) = parts.map_err(wrong)?;
        dataset(format!("{file} ({})", taken.join("; ")), train, eval, None, options)
    }
}

/// Arrays of an NPZ file, as `np.savez` and `np.savez_compressed` write it: samples along their first axis. Integer
/// targets `[n]` are labels.
///
/// By default bytes are scaled to numbers from 0 to 1, and other integers stay integers. Arrays that are not
/// compressed stay in the file.
///
/// ```no_run
/// use downhill::data::{self, ArrayNames, ArrayOptions};
/// let mnist = data::npz("mnist.npz".as_ref(), &ArrayNames::default(), &ArrayOptions::default())?;
/// assert_eq!(mnist.name(), "mnist.npz (x_train, y_train; x_test, y_test)");
/// # Ok::<(), downhill::error::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] with the offset of what is wrong in the file, or where arrays do not fit; [`Error::Config`] where one
/// has to be named or the options do not fit; [`Error::Io`].
pub fn npz(path: &Path, names: &ArrayNames, options: &ArrayOptions) -> Result<Dataset> {
    let file = DataFile::open(path)?;
    let members = members(&file)?;
    let arrays: Vec<(String, &Member)> =
        members.iter().filter_map(|one| Some((one.name.strip_suffix(".npy")?.to_owned(), one))).collect();
    let have: Vec<String> = arrays.iter().map(|(name, _)| name.clone()).collect();
    let read = |name: &str| member(&file, &arrays, name);
    names.load(&file.name(), &have, read, options)
}

fn member(file: &Arc<DataFile>, arrays: &[(String, &Member)], name: &str) -> Result<Array> {
    let Some((_, member)) = arrays.iter().find(|(other, _)| other == name) else {
        return Err(Error::Data(format!("{} has no array {name}", file.name())));
    };
    let (inner, begin, end) = member.open(file)?;
    npy::read(&inner, begin, end, name)
}

/// Tensors of a safetensors file, as [`npz`] of an NPZ file's.
///
/// ```no_run
/// use downhill::data::{self, ArrayNames, ArrayOptions};
/// let names = ArrayNames { x: Some("features".into()), y: Some("price".into()), ..ArrayNames::default() };
/// let houses = data::safetensors("houses.safetensors".as_ref(), &names, &ArrayOptions::default())?;
/// # Ok::<(), downhill::error::Error>(())
/// ```
///
/// # Errors
/// As [`npz`].
pub fn safetensors(path: &Path, names: &ArrayNames, options: &ArrayOptions) -> Result<Dataset> {
    let file = DataFile::open(path)?;
    let tensors = Tensors::open(&file)?;
    names.load(&file.name(), &tensors.names(), |name| tensors.read(name), options)
}

#[cfg(test)]
mod tests {
    use super::super::npy::tests::file as npy_file;
    use super::super::zip::tests::archive;
    use super::*;
    use proptest::prelude::*;

    fn names(given: [&str; 4]) -> ArrayNames {
        let [x, y, eval_x, eval_y] = given.map(|name| (!name.is_empty()).then(|| name.to_owned()));
        ArrayNames { x, y, eval_x, eval_y }
    }

    fn among(have: &[&str], given: [&str; 4], own: bool) -> Result<Vec<String>, String> {
        let have: Vec<String> = have.iter().map(|&name| name.to_owned()).collect();
        let found = names(given).among("f.npz", &have, own).map_err(|err| err.to_string())?;
        Ok(found.1.into_iter().fold(found.0.to_vec(), |train, eval| [&train[..], &eval].concat()))
    }

    #[test]
    fn arrays_are_found_where_there_is_one_way() {
        let keras = ["x_train", "y_train", "x_test", "y_test"];
        assert_eq!(among(&keras, [""; 4], true).unwrap(), keras);
        assert_eq!(among(&keras, [""; 4], false).unwrap(), keras[..2]);
        assert_eq!(among(&keras, ["x_train", "y_train", "", ""], true).unwrap(), keras);
        assert_eq!(among(&keras, ["x_test", "y_test", "", ""], true).unwrap(), keras[2..]);
        assert_eq!(among(&keras, ["", "", "x_test", ""], false).unwrap(), keras);
        assert_eq!(among(&["y", "x", "z"], [""; 4], true).unwrap(), ["x", "y"]);
        assert_eq!(
            among(&["x", "y", "images", "labels"], ["", "labels", "", ""], true).unwrap(),
            ["images", "labels"]
        );
        assert_eq!(among(&["a", "b", "c", "d"], ["a", "b", "c", "d"], true).unwrap(), ["a", "b", "c", "d"]);
        let refused = |have: &[&str], given, words: &[&str]| {
            let err = among(have, given, true).unwrap_err();
            words.iter().for_each(|word| assert!(err.contains(word), "{word}: {err}"));
        };
        refused(
            &["x", "y", "images", "labels"],
            [""; 4],
            &["data.source.x is missing", "x and y or images and labels fit"],
        );
        refused(&["a", "b"], [""; 4], &["There are a, b", "usual names", "x = \"a\", y = \"b\""]);
        refused(&["a", "b"], ["a", "", "", ""], &["data.source.y is missing"]);
        refused(
            &keras,
            ["x_trian", "y_train", "", ""],
            &["data.source.x = \"x_trian\"", "did you mean \"x_train\""],
        );
        refused(&["a", "b", "c"], ["a", "b", "c", ""], &["data.source.eval_y is missing"]);
        refused(&["a", "b", "c"], ["a", "b", "", "c"], &["data.source.eval_x is missing"]);
    }

    fn write(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.npz");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn whole() -> Vec<u8> {
        let header = |kind: &str, shape: &str| {
            format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n")
        };
        let x = npy_file(&header("|u1", "(3, 2)"), &[0, 255, 1, 2, 3, 4]);
        let y = npy_file(&header("<i2", "(3,)"), &[0, 0, 1, 0, 2, 0]);
        archive(&[("x.npy", &x, true), ("y.npy", &y, false), ("words.txt", b"none", false)])
    }

    fn load(path: &Path) -> Result<Dataset> {
        npz(
            path,
            &ArrayNames::default(),
            &ArrayOptions { eval_fraction: Some(0.0), ..ArrayOptions::default() },
        )
    }

    #[test]
    fn arrays_of_both_kinds_of_member_are_read() {
        let (_dir, path) = write(&whole());
        let data = load(&path).unwrap();
        assert_eq!((data.name(), data.classes()), ("f.npz (x, y)", Some(3)));
        assert_eq!(data.train().inputs().sample(0).unwrap(), [0.0, 1.0]);
        assert_eq!(data.train().targets().sample(2).unwrap(), [2.0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn changed_and_cut_files_are_read_or_refused(at: prop::sample::Index, to: u8, cut: prop::sample::Index) {
            let whole = whole();
            let (_dir, path) = write(&whole[..cut.index(whole.len())]);
            prop_assert!(load(&path).is_err());
            let mut changed = whole;
            let at = at.index(changed.len());
            changed[at] = to;
            std::fs::write(&path, changed).unwrap();
            let _ = load(&path);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(0u8.., 0..200), end: bool) {
            let mark: &[u8] = if end { b"PK\x05\x06" } else { b"" };
            let (_dir, path) = write(&[&bytes[..bytes.len() / 2], mark, &bytes[bytes.len() / 2..]].concat());
            prop_assert!(load(&path).is_err());
        }
    }
}
