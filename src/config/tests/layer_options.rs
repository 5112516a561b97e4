//! Every option of every layer, found by the table: read back as written, and in the reference page.

use super::layers::{read, value};
use super::reference_row;
use crate::nn::{Layer, Sequential};
use toml::Value;

/// The layers as a run's config has them.
fn written(layers: &Sequential) -> Value {
    let text = toml::to_string(&std::collections::BTreeMap::from([("v", layers)])).unwrap();
    text.parse::<toml::Table>().unwrap().remove("v").unwrap()
}

fn alone(entry: Value) -> Result<Sequential, String> {
    read(Value::Array(vec![entry]))
}

/// Every key of a layer, from the list an unknown key is answered with.
fn keys(name: &str) -> Vec<String> {
    let text = alone(value(&format!("{{ {name} = {{ no_key_is_near_this_one = 1 }} }}"))).unwrap_err();
    let (_, list) = text.rsplit_once("; ").unwrap();
    match list.strip_prefix("there are: ") {
        Some(list) => list.split(", ").map(str::to_owned).collect(),
        None => {
            assert_eq!(list, "there are none", "{text}");
            Vec::new()
        }
    }
}

/// Other values than this one. Its key may take some of them.
fn others(value: Option<&Value>) -> Vec<Value> {
    let mut others: Vec<Value> = match value {
        Some(Value::Boolean(b)) => vec![(!b).into()],
        Some(Value::Integer(i)) => vec![(i + 1).into(), (i * 2).into(), (i - 1).into(), "same".into()],
        // 0.25 is the fixed point of the first.
        Some(Value::Float(f)) => vec![(f * 0.5 + 0.125).into(), (f * 0.25 + 0.125).into(), "none".into()],
        Some(Value::String(_)) => ["tanh", "add", "bilinear", "decoder"].map(Value::from).to_vec(),
        Some(Value::Array(list)) => {
            let mut first = list.clone();
            first[0] = match &list[0] {
                Value::Integer(i) => (i + 1).into(),
                Value::Float(f) => (f + 1.0).into(),
                Value::Array(_) => Value::Array(vec!["silu".into()]),
                _ => "silu".into(),
            };
            [first, list.iter().rev().cloned().collect(), list[1..].to_vec()].map(Value::Array).to_vec()
        }
        Some(Value::Table(_) | Value::Datetime(_)) => vec![],
        None => vec![3.into(), 0.25.into(), true.into(), Value::Array(vec!["silu".into()])],
    };
    others.retain(|other| Some(other) != value);
    others
}

/// Another entry in which the remaining options can be changed, where options exclude each other.
const MORE: [(&str, &str); 2] = [
    ("upsample", "{ upsample = { size = 4, mode = \"bilinear\" } }"),
    ("positional_embedding", "{ positional_embedding = { kind = \"sinusoidal\" } }"),
];

#[test]
fn every_option_of_every_layer_reads_itself_back() {
    for form in Layer::FORMS {
        let keys = keys(form.name);
        assert!(form.short.is_none_or(|short| keys.iter().any(|key| key == short)), "{form:?}");
        let (mut untried, mut usual) = (keys.clone(), None);
        let more = MORE.iter().filter(|(name, _)| *name == form.name).map(|(_, text)| *text);
        for example in std::iter::once(form.example).chain(more) {
            let plain = alone(value(example)).unwrap();
            assert_eq!(plain.layers[0].name(), form.name);
            let text = written(&plain);
            assert_eq!(read(text.clone()).as_ref(), Ok(&plain), "{text}");
            let Some(options) = text[0].get(form.name).and_then(Value::as_table) else {
                assert_eq!((&text[0], keys.len()), (&Value::String(form.name.into()), 0));
                continue;
            };
            let usual = usual.get_or_insert_with(|| options.clone());
            untried.retain(|key| options.get(key) == usual.get(key));
            for key in &keys {
                for other in others(options.get(key)) {
                    let mut options = options.clone();
                    options.insert(key.clone(), other.clone());
                    let entry = toml::Table::from_iter([(form.name.to_owned(), Value::Table(options))]);
                    // Values that are refused have their own test.
                    let Ok(changed) = alone(Value::Table(entry)) else { continue };
                    assert_ne!(changed, plain, "{}.{key} = {other} changes nothing", form.name);
                    let text = written(&changed);
                    assert_eq!(read(text.clone()), Ok(changed), "{text}");
                    untried.retain(|k| k != key);
                }
            }
        }
        assert!(untried.is_empty(), "{}: no other value was taken for {untried:?}", form.name);
    }
}

/// The reference page has a row for each layer, with each of its keys.
#[test]
fn the_reference_page_has_every_option() {
    for form in Layer::FORMS {
        let options = reference_row("layers.md", form.name);
        for key in keys(form.name) {
            assert!(options.contains(&format!("`{key}")), "{}: {key} is not in {options}", form.name);
        }
    }
}
