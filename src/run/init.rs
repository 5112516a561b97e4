//! The weights that a run starts from: a file's tensors, renamed, in the place of a model's initial ones.

use std::path::{Path, PathBuf};

use serde::Serialize;
use wildmatch::WildMatch;

use super::weights::read;
use crate::config::Init;
use crate::error::{Error, Result, suggestion};
use crate::plan::{FileTensor, NamedTensor};
use crate::shape::Shape;
use crate::train::Trainer;

/// The fate of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InitFate {
    /// The model has the file's values.
    Loaded,
    /// `init.skip` names it: it keeps its initial values.
    Skipped,
    /// The file lacks it: it keeps its initial values.
    Missing,
    /// The file has it in another shape: it keeps its initial values.
    Misshapen,
    /// Only the file has it.
    Unused,
}

/// A tensor of the model, or one of the file that the model lacks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InitTensor {
    /// Its fate.
    pub fate: InitFate,
    /// Its name in the model, or the one it would have there.
    pub name: String,
    /// Its shape in the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
    /// Its name in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Its shape in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_shape: Option<Vec<usize>>,
    /// Its type in the file, where that is none of weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_type: Option<String>,
}

/// The weights that a run started from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InitReport {
    /// The weights.
    pub file: PathBuf,
    /// The model's tensors in their order, then those that the file alone has.
    pub tensors: Vec<InitTensor>,
}

impl InitReport {
    /// The number of tensors of this fate.
    pub fn count(&self, fate: InitFate) -> usize {
        self.tensors.iter().filter(|tensor| tensor.fate == fate).count()
    }
}

/// Loads the weights of `[init]` into a trainer that has its initial ones; `None` where the section names no file.
///
/// # Errors
/// [`Error::Weights`] for a file that cannot be read, and, listing every tensor, one that does not fit; [`Error::Config`]
/// for a rename or a pattern that names nothing.
pub fn initialise(trainer: &mut Trainer, init: &Init) -> Result<Option<InitReport>> {
    if init.file.is_none() {
        return Ok(None);
    }
    let Some((weights, report)) = merged_into(trainer.state_dict()?, init)? else { return Ok(None) };
    trainer.load_state_dict(&weights)?;
    Ok(Some(report))
}

/// A model with the weights of `[init]` in the place of its own; `None` where the section names no file.
pub(super) fn merged_into(
    model: Vec<NamedTensor>,
    init: &Init,
) -> Result<Option<(Vec<NamedTensor>, InitReport)>> {
    let Some(file) = &init.file else { return Ok(None) };
    let path = if file.is_dir() { file.join("model.safetensors") } else { file.clone() };
    merged(model, read(&path)?, init, &path).map(Some)
}

/// The file's tensors under the names of the model, each with its name in the file.
fn renamed(file: Vec<FileTensor>, init: &Init) -> Result<Vec<(String, FileTensor)>> {
    if let Some((from, _)) = init.renames().find(|(from, _)| !file.iter().any(|t| t.name.starts_with(from))) {
        let names: Vec<&str> = file.iter().map(|t| t.name.as_str()).collect();
        return Err(Error::Config(format!(
            "init.map: no tensor of the file has a name that begins with \"{from}\"; {}",
            suggestion(from, &names)
        )));
    }
    let mut tensors: Vec<(String, FileTensor)> = Vec::with_capacity(file.len());
    for tensor in file {
        let rename = init.renames().find_map(|(from, to)| Some((to, tensor.name.strip_prefix(from)?)));
        let name = rename.map_or_else(|| tensor.name.clone(), |(to, rest)| format!("{to}{rest}"));
        if let Some((other, _)) = tensors.iter().find(|(_, other)| other.name == name) {
            return Err(Error::Config(format!(
                "init.map makes {name} of both {other} and {}: one of them needs another name",
                tensor.name
            )));
        }
        tensors.push((tensor.name.clone(), FileTensor { name, ..tensor }));
    }
    Ok(tensors)
}

/// The model's tensors with the values of the file's where they are loaded.
fn merged(
    mut model: Vec<NamedTensor>,
    file: Vec<FileTensor>,
    init: &Init,
    path: &Path,
) -> Result<(Vec<NamedTensor>, InitReport)> {
    let file = renamed(file, init)?;
    let patterns: Vec<WildMatch> = init.skip.iter().map(|pattern| WildMatch::new(pattern)).collect();
    for (pattern, text) in patterns.iter().zip(&init.skip) {
        if !model.iter().any(|own| pattern.matches(&own.name)) {
            let names: Vec<&str> = model.iter().map(|own| own.name.as_str()).collect();
            let hint = suggestion(text, &names);
            return Err(Error::Config(format!(
                "init.skip: no tensor of the model is named \"{text}\"; {hint}"
            )));
        }
    }
    let mut tensors = Vec::with_capacity(model.len());
    for own in &mut model {
        let found = file.iter().find(|(_, tensor)| tensor.name == own.name);
        let fate = match found {
            _ if patterns.iter().any(|pattern| pattern.matches(&own.name)) => InitFate::Skipped,
            None => InitFate::Missing,
            Some((_, tensor)) if tensor.shape != own.shape => InitFate::Misshapen,
            Some((theirs, tensor)) => {
                let name = match *theirs == own.name {
                    true => theirs.clone(),
                    false => format!("{theirs} ({} in the model)", own.name),
                };
                own.values = FileTensor { name, ..tensor.clone() }.weights(&path.display().to_string())?;
                InitFate::Loaded
            }
        };
        tensors.push(InitTensor {
            fate,
            name: own.name.clone(),
            shape: Some(own.shape.to_vec()),
            file_name: found.map(|(name, _)| name.clone()),
            file_shape: found.map(|(_, tensor)| tensor.shape.to_vec()),
            file_type: found.and_then(|(_, tensor)| type_name(tensor)),
        });
    }
    let unused = file.iter().filter(|(_, tensor)| !model.iter().any(|own| own.name == tensor.name));
    tensors.extend(unused.map(|(file_name, tensor)| InitTensor {
        fate: InitFate::Unused,
        name: tensor.name.clone(),
        shape: None,
        file_name: Some(file_name.clone()),
        file_shape: Some(tensor.shape.to_vec()),
        file_type: type_name(tensor),
    }));
    let report = InitReport { file: path.to_owned(), tensors };
    check(&report, init)?;
    Ok((model, report))
}

/// The type of a tensor, where it is none of weights.
fn type_name(tensor: &FileTensor) -> Option<String> {
    tensor.values.as_ref().err().map(|ty| format!("{ty:?}"))
}

/// Refuses what `strict` forbids, and a file of which nothing is loaded.
fn check(report: &InitReport, init: &Init) -> Result<()> {
    let faults = [InitFate::Missing, InitFate::Misshapen, InitFate::Unused];
    let [missing, misshapen, unused] = faults.map(|fate| report.count(fate));
    let nothing = report.count(InitFate::Loaded) == 0;
    if !nothing && (!init.strict || missing + misshapen + unused == 0) {
        return Ok(());
    }
    let shown = |shape: &Option<Vec<usize>>| Shape::from(shape.clone().unwrap_or_default()).to_string();
    let list = |title: &str, tensors: Vec<(&String, &Option<Vec<usize>>)>| {
        let lines: Vec<String> =
            tensors.iter().map(|(name, shape)| format!("\n  {name} {}", shown(shape))).collect();
        format!("\n{title}{}", lines.concat())
    };
    let own = report.tensors.iter().filter(|tensor| tensor.shape.is_some());
    let model = list("The model has:", own.map(|tensor| (&tensor.name, &tensor.shape)).collect());
    let theirs =
        report.tensors.iter().filter_map(|tensor| Some((tensor.file_name.as_ref()?, &tensor.file_shape)));
    let file = list("The weights are:", theirs.collect());
    Err(Error::Weights(format!(
        "{} does not fit the model: {} loaded, {missing} missing in the file, {misshapen} of another shape there, {unused} \
         in the file alone.\n{}{model}{file}",
        report.file.display(),
        report.count(InitFate::Loaded),
        remedy(report)
    )))
}

/// The keys that would help.
fn remedy(report: &InitReport) -> String {
    let names = |fate| report.tensors.iter().filter(move |t| t.fate == fate).map(|t| t.name.as_str());
    // A name of the model with something before or after the file's, or the other way round.
    let rename = names(InitFate::Unused).find_map(|theirs| {
        names(InitFate::Missing).find_map(|own| match (theirs.strip_suffix(own), own.strip_suffix(theirs)) {
            (Some(before), _) if before.ends_with('.') => Some(format!("{before}=>")),
            (_, Some(before)) if before.ends_with('.') => Some(format!("=>{before}")),
            _ => None,
        })
    });
    match rename {
        Some(rename) => {
            format!("--init-map \"{rename}\", or init.map, would rename its tensors to the model's.")
        }
        None if report.count(InitFate::Loaded) == 0 => {
            "Nothing would be loaded: rename its tensors by --init-map \"FROM=>TO\", or choose other weights."
                .into()
        }
        None => {
            "Rename its tensors by --init-map \"FROM=>TO\"; name those that keep their initial values in \
                 init.skip; or load what fits by init.strict = false."
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize], value: f32) -> NamedTensor {
        let shape = Shape::from(shape);
        NamedTensor { name: name.into(), values: vec![value; shape.elements()], shape }
    }

    fn init(map: &[&str], skip: &[&str], strict: bool) -> Init {
        let owned = |list: &[&str]| list.iter().map(|text| text.to_string()).collect();
        Init { file: Some("w".into()), map: owned(map), skip: owned(skip), strict }
    }

    fn model() -> Vec<NamedTensor> {
        vec![tensor("0.weight", &[2, 2], 0.0), tensor("head.weight", &[3, 2], 0.0)]
    }

    fn load_into(file: Vec<NamedTensor>, init: &Init) -> Result<(Vec<f32>, Vec<InitFate>)> {
        let file = file
            .into_iter()
            .map(|NamedTensor { name, shape, values }| FileTensor { name, shape, values: Ok(values) })
            .collect();
        let (weights, report) = merged(model(), file, init, Path::new("w"))?;
        let first = weights.iter().map(|own| own.values[0]).collect();
        Ok((first, report.tensors.iter().map(|tensor| tensor.fate).collect()))
    }

    #[test]
    fn tensors_are_renamed_by_the_beginning_of_their_names() {
        use InitFate::{Loaded, Misshapen, Missing, Skipped, Unused};
        let theirs = || vec![tensor("model.0.weight", &[2, 2], 1.0), tensor("model.fc.weight", &[3, 2], 2.0)];
        let both = init(&["model.fc.=>head.", "model.=>"], &[], true);
        assert_eq!(load_into(theirs(), &both).unwrap(), (vec![1.0, 2.0], vec![Loaded, Loaded]));
        // The first that fits applies.
        let other = init(&["model.=>", "model.fc.=>head."], &[], false);
        assert_eq!(load_into(theirs(), &other).unwrap(), (vec![1.0, 0.0], vec![Loaded, Missing, Unused]));
        let skipped = init(&["model.fc.=>head.", "model.=>"], &["head.*"], true);
        assert_eq!(load_into(theirs(), &skipped).unwrap(), (vec![1.0, 0.0], vec![Loaded, Skipped]));
        let bare = vec![tensor("weight", &[2, 2], 4.0)];
        let added = load_into(bare, &init(&["=>0."], &["head.weight"], true)).unwrap();
        assert_eq!(added, (vec![4.0, 0.0], vec![Loaded, Skipped]));
        let wide = vec![tensor("0.weight", &[2, 2], 1.0), tensor("head.weight", &[9, 2], 2.0)];
        assert_eq!(
            load_into(wide.clone(), &init(&[], &[], false)).unwrap(),
            (vec![1.0, 0.0], vec![Loaded, Misshapen])
        );
        assert_eq!(
            load_into(wide, &init(&[], &["head.*"], true)).unwrap(),
            (vec![1.0, 0.0], vec![Loaded, Skipped])
        );
    }

    #[test]
    fn what_does_not_fit_is_listed_with_the_remedy() {
        let refused = |file: Vec<NamedTensor>, init: &Init, words: &[&str]| {
            let err = load_into(file, init).unwrap_err().to_string();
            words.iter().for_each(|word| assert!(err.contains(word), "no {word:?} in {err}"));
        };
        let own = || vec![tensor("0.weight", &[2, 2], 1.0), tensor("head.weight", &[3, 2], 2.0)];
        let strict = init(&[], &[], true);
        refused(
            own()[..1].to_vec(),
            &strict,
            &["1 missing", "head.weight [3, 2]", "init.skip", "init.strict"],
        );
        let wide = vec![own().remove(0), tensor("head.weight", &[9, 2], 2.0)];
        refused(wide, &strict, &["1 of another shape", "head.weight [9, 2]", "head.weight [3, 2]"]);
        let prefixed =
            || own().into_iter().map(|t| NamedTensor { name: format!("model.{}", t.name), ..t }).collect();
        refused(prefixed(), &strict, &["2 in the file alone", "--init-map \"model.=>\""]);
        // Nothing at all is an error whatever is asked for.
        refused(prefixed(), &init(&[], &[], false), &["0 loaded", "--init-map \"model.=>\""]);
        refused(own(), &init(&["modl.=>"], &[], false), &["init.map", "\"modl.\""]);
        refused(own(), &init(&[], &["heat.weight"], false), &["init.skip", "did you mean \"head.weight\"?"]);
        let two = vec![tensor("a.0.weight", &[2, 2], 1.0), tensor("b.0.weight", &[2, 2], 1.0)];
        refused(two, &init(&["a.=>", "b.=>"], &[], false), &["0.weight", "a.0.weight", "b.0.weight"]);
    }
}
