//! The section `[optimizer]`: its name and numbers, groups of parameters, clipping; and `[average]`.

use toml::{Table, Value};

use super::section::{Section, kind, suggestion};
use crate::error::{Error, Result};
use crate::optim::{Average, Clip, Optimizer, ParamGroup, Update};

/// Keys beside the optimizer's own.
const COMMON: [&str; 5] = ["clip_norm", "clip_value", "skip_nonfinite", "decay_biases_and_norms", "groups"];

/// Reads `[optimizer]`.
pub(super) fn read(mut section: Section) -> Result<Update> {
    section.misspelt("name")?;
    let (norm, value) = (section.quantity("clip_norm")?, section.quantity("clip_value")?);
    let clip = match (norm, value) {
        (Some(_), Some(_)) => {
            let text = "optimizer.clip_norm and optimizer.clip_value: one of them, not both";
            return Err(Error::Config(text.into()));
        }
        (norm, value) => norm.map(Clip::Norm).or(value.map(Clip::Value)),
    };
    let skip_nonfinite = section.flag("skip_nonfinite")?;
    let decay_biases_and_norms = section.boolean("decay_biases_and_norms", true)?;
    let groups = section.take("groups").map_or(Ok(Vec::new()), read_groups)?;
    let optimizer = optimizer(section.rest())?;
    for (i, group) in groups.iter().enumerate() {
        check_types(&format!("optimizer.groups[{i}]"), optimizer.name(), &group.keys)?;
    }
    let update = Update { groups, decay_biases_and_norms, clip, skip_nonfinite, ..Update::new(optimizer) };
    update.validate()?;
    Ok(update)
}

fn read_groups(value: Value) -> Result<Vec<ParamGroup>> {
    let Value::Array(list) = value else {
        let what = kind(&value);
        return Err(Error::Config(format!(
            "optimizer.groups = {value}: a list of tables is needed, as [{{ params = [\"*.bias\"], weight_decay = 0.0 \
             }}], and this is {what}"
        )));
    };
    let read = |(i, value): (usize, Value)| {
        let name = format!("optimizer.groups[{i}]");
        let Value::Table(table) = value else {
            let what = kind(&value);
            return Err(Error::Config(format!("{name} = {value}: a table is needed, and this is {what}")));
        };
        let mut section = Section::new(name.clone(), table);
        let params = match section.required("params", "[\"*.bias\"]")? {
            Value::String(one) => vec![one],
            list => list.clone().try_into().map_err(|_| {
                Error::Config(format!("{name}.params = {list}: a list of names is needed, as [\"*.bias\"]"))
            })?,
        };
        let lr_factor = section.number("lr_factor", 1.0)?;
        let frozen = section.boolean("frozen", false)?;
        Ok(ParamGroup { params, lr_factor, frozen, keys: section.rest() })
    };
    list.into_iter().enumerate().map(read).collect()
}

fn optimizer(table: Table) -> Result<Optimizer> {
    let name = match table.get("name") {
        Some(Value::String(name)) => name.clone(),
        Some(other) => {
            let text = format!("optimizer.name = {other}: a name is needed, and this is {}", kind(other));
            return Err(Error::Config(text));
        }
        None => return Err(Error::Config("optimizer.name is missing; for example name = \"adamw\"".into())),
    };
    let Some(keys) = Optimizer::keys(&name) else {
        return Err(Error::Config(format!(
            "optimizer.name: unknown optimizer \"{name}\"; {}",
            suggestion(&name, &Optimizer::NAMES)
        )));
    };
    if let Some(key) = table.keys().find(|k| *k != "name" && !keys.contains(&k.as_str())) {
        let known: Vec<&str> = keys.iter().copied().chain(COMMON).collect();
        return Err(Error::Config(format!(
            "unknown key optimizer.{key} for {name}; {}",
            suggestion(key, &known)
        )));
    }
    check_types("optimizer", &name, &table)?;
    let optimizer: Optimizer = Value::Table(table)
        .try_into()
        .map_err(|err: toml::de::Error| Error::Config(format!("optimizer: {err}")))?;
    optimizer.validate()?;
    Ok(optimizer)
}

/// Says of keys that optimizer `name` has which one is of a wrong type.
fn check_types(path: &str, name: &str, table: &Table) -> Result<()> {
    let keys = Optimizer::keys(name).unwrap_or_default();
    for (key, value) in table.iter().filter(|(key, _)| keys.contains(&key.as_str())) {
        let one = Table::from_iter([("name".to_owned(), Value::from(name)), (key.clone(), value.clone())]);
        if Value::Table(one).try_into::<Optimizer>().is_err() {
            let wanted = match key.as_str() {
                "betas" => "two numbers, as [0.9, 0.999],",
                "form" => "\"torch\", \"velocity\" or \"average\"",
                "nesterov" | "centered" | "amsgrad" | "bias_correction" | "decoupled_weight_decay" => {
                    "true or false"
                }
                "state_bits" => "32 or 8",
                "warmup_steps" => "a whole number from 0 on",
                _ => "a number",
            };
            let what = kind(value);
            return Err(Error::Config(format!(
                "{path}.{key} = {value}: {wanted} is needed, and this is {what}"
            )));
        }
    }
    Ok(())
}

/// Reads `[average]`, which need not be there.
pub(super) fn average(mut section: Section) -> Result<Option<Average>> {
    if section.is_empty() {
        return Ok(None);
    }
    let kind = section.required("kind", "\"ema\"")?;
    let average = match kind.as_str() {
        Some("ema") => Average::Ema {
            decay: section.number("decay", Average::DECAY)?,
            eval: section.boolean("eval", true)?,
        },
        Some("swa") => Average::Swa {
            start_epoch: section.whole("start_epoch")?.unwrap_or(0),
            eval: section.boolean("eval", true)?,
        },
        _ => return Err(Error::Config(format!("average.kind = {kind}: \"ema\" or \"swa\" is needed"))),
    };
    section.finish()?;
    average.validate()?;
    Ok(Some(average))
}

/// `[optimizer]` with every default, what is off left out.
pub(super) fn to_toml(update: &Update) -> Value {
    let mut table = match Value::try_from(&update.optimizer) {
        Ok(Value::Table(table)) => table,
        _ => Table::new(),
    };
    let mut put = |key: &str, value: Value| table.insert(key.to_owned(), value);
    match update.clip {
        Some(Clip::Norm(max)) => put("clip_norm", max.into()),
        Some(Clip::Value(max)) => put("clip_value", max.into()),
        None => None,
    };
    if let Some(skip) = update.skip_nonfinite {
        put("skip_nonfinite", skip.into());
    }
    put("decay_biases_and_norms", update.decay_biases_and_norms.into());
    if !update.groups.is_empty() {
        put("groups", Value::try_from(&update.groups).unwrap_or("".into()));
    }
    Value::Table(table)
}
