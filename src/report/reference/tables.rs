//! The tables of names as data, for programs that make functions and classes of them: the Python package.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use toml::Table;

use super::data;
use super::options::{Complete, OptionDefault, merged, options_of};
use crate::config::reference::{Key, Section, complete_entry, sections};
use crate::config::{Augmentation, DATA_FORMATS, LossSpec};
use crate::metrics::Metric;
use crate::nn::{Form, Layer};
use crate::optim::{Optimizer, Schedule};

/// Every layer, loss, metric, augmentation, optimizer and schedule with its options, and the sections of a config with their
/// keys. An option has a `name`, a `kind`, and a `default` unless it is `required`.
pub fn tables() -> Json {
    let layers = Layer::TABLE.iter().map(|row| {
        let torch = row.torch.map(str::to_owned);
        entry::<Layer>(&row.form, complete_entry::<Layer>, json!({ "about": row.about, "torch": torch }))
    });
    let losses = LossSpec::TABLE.iter().map(|row| {
        let texts = json!({ "about": row.about, "equation": row.equation });
        entry::<LossSpec>(&row.form, complete_entry::<LossSpec>, texts)
    });
    let metrics = Metric::TABLE.iter().map(|row| {
        let texts = json!({ "about": row.about, "equation": row.equation });
        entry::<Metric>(&row.form, complete_entry::<Metric>, texts)
    });
    let augmentations = Augmentation::TABLE
        .iter()
        .map(|(form, about)| entry::<Augmentation>(form, data::complete, json!({ "about": about })));
    json!({
        "layers": layers.collect::<Vec<_>>(),
        "losses": losses.collect::<Vec<_>>(),
        "metrics": metrics.collect::<Vec<_>>(),
        "augmentations": augmentations.collect::<Vec<_>>(),
        "optimizers": optimizers(),
        "schedules": schedules(),
        "sections": sections().into_iter().map(section).collect::<Vec<_>>(),
        "memory": memory(),
    })
}

/// A named entry with its options.
fn entry<T: Serialize + for<'de> Deserialize<'de>>(form: &Form, complete: Complete, texts: Json) -> Json {
    let options = options_of::<T>(form, complete).into_iter().map(|(Key { name, kind, .. }, default)| {
        let mut option = Map::from_iter([("name".to_owned(), name.into()), ("kind".to_owned(), kind.into())]);
        match default {
            OptionDefault::Required => drop(option.insert("required".to_owned(), true.into())),
            OptionDefault::None => drop(option.insert("default".to_owned(), Json::Null)),
            OptionDefault::Value(value) => drop(option.insert("default".to_owned(), json!(merged(&value)))),
            OptionDefault::Of(other) => {
                option.insert("default".to_owned(), Json::Null);
                option.insert("follows".to_owned(), other.into());
            }
        }
        Json::Object(option)
    });
    let options = options.collect::<Vec<_>>();
    with_texts(json!({ "name": form.name, "short": form.short, "options": options }), texts)
}

fn with_texts(mut row: Json, texts: Json) -> Json {
    if let (Some(row), Json::Object(texts)) = (row.as_object_mut(), texts) {
        row.extend(texts);
    }
    row
}

/// Options of a table with a `name`: those in `required` have no default.
fn named(keys: &[&str], defaults: &Table, required: &Table) -> Vec<Json> {
    let option = |key: &&str| match required.contains_key(*key) {
        true => json!({ "name": key, "kind": "", "required": true }),
        false => json!({ "name": key, "kind": "", "default": defaults.get(*key) }),
    };
    keys.iter().map(option).collect()
}

fn optimizers() -> Vec<Json> {
    let row = |(name, class): (&&'static str, &&str)| {
        let about = Optimizer::about(name)?;
        let defaults = Table::try_from(Optimizer::parse(name, "").ok()?).ok()?;
        Some(json!({
            "name": name,
            "class": about.torch.unwrap_or(class),
            "about": about.equation,
            "source": about.source,
            "torch": about.torch.map(|torch| format!("torch.optim.{torch}")),
            "options": named(Optimizer::keys(name)?, &defaults, &Table::new()),
        }))
    };
    Optimizer::NAMES.iter().zip(&Optimizer::CLASSES).filter_map(row).collect()
}

fn schedules() -> Vec<Json> {
    let row = |name: &&'static str| {
        let about = Schedule::about(name)?;
        let required: Table = format!("v = {{ {} }}", about.example).parse().ok()?;
        let required = required.get("v")?.as_table()?.clone();
        let defaults = schedule_defaults(name, &required);
        Some(json!({
            "name": name,
            "about": about.equation,
            "source": about.source,
            "torch": about.torch.map(|torch| format!("torch.optim.lr_scheduler.{torch}")),
            "options": named(Schedule::keys(name)?, &defaults, &required),
        }))
    };
    Schedule::NAMES.iter().filter_map(row).collect()
}

/// Every key of the schedule of this name with the required ones.
fn schedule_defaults(name: &str, required: &Table) -> Table {
    let mut table = required.clone();
    table.insert("name".to_owned(), name.into());
    let schedule = toml::Value::Table(table).try_into::<Schedule>().ok();
    schedule.and_then(|schedule| Table::try_from(schedule).ok()).unwrap_or_default()
}

fn section(Section { name, about, keys }: Section) -> Json {
    let keys = keys.into_iter().map(|Key { name, kind, default, about }| {
        json!({ "name": name, "kind": kind, "default": default, "about": about })
    });
    json!({ "name": name, "about": about, "keys": keys.collect::<Vec<_>>() })
}

/// The keys of `[data]` for arrays of a program.
fn memory() -> Vec<Json> {
    let format = DATA_FORMATS.iter().find(|format| format.name == "memory");
    let keys = format.into_iter().flat_map(|format| format.beside).flat_map(|group| group.keys);
    keys.map(|(name, about)| json!({ "name": name, "about": about })).collect()
}
