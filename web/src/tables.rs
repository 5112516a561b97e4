//! Tables for the page's forms: the library's optimizers with their defaults, and the columns of a CSV file.

use downhill::config::Config;
use downhill::data::{ColumnSummary, TableSummary};
use downhill::optim::Optimizer;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use crate::fault;

/// Has a file be there for `data.source`, under this name.
#[wasm_bindgen(js_name = giveFile)]
pub fn give_file(name: &str, bytes: Vec<u8>) {
    downhill::give_file(name, bytes);
}

/// Every optimizer as JSON: its name, its equation, and its keys with their defaults.
///
/// # Errors
/// None.
#[wasm_bindgen]
pub fn optimizers() -> Result<String, JsError> {
    let entry = |name: &str| -> Result<Value, JsError> {
        let optimizer = Optimizer::parse(name, "").map_err(fault)?;
        let about = Optimizer::about(name).map(|about| about.equation);
        Ok(
            json!({ "name": name, "equation": about, "keys": serde_json::to_value(&optimizer).map_err(fault)? }),
        )
    };
    let all: Vec<Value> = Optimizer::NAMES.into_iter().map(entry).collect::<Result<_, _>>()?;
    Ok(Value::from(all).to_string())
}

/// The columns of a CSV file that was given, as JSON: each with its name, and whether it has numbers, or how many words.
///
/// # Errors
/// As `downhill data inspect` has them: no such file, no table.
#[wasm_bindgen]
pub fn columns(name: &str) -> Result<String, JsError> {
    let table = TableSummary::read(name.as_ref(), None).map_err(fault)?;
    let column = |column: &downhill::data::TableColumn| match &column.holds {
        ColumnSummary::Numeric { min, max, .. } => {
            json!({ "name": column.name, "numbers": [min, max], "missing": column.missing })
        }
        ColumnSummary::Categorical { counts, .. } => {
            json!({ "name": column.name, "words": counts.len(), "missing": column.missing })
        }
        _ => json!({ "name": column.name, "missing": column.missing }),
    };
    let columns: Vec<Value> = table.columns.iter().map(column).collect();
    Ok(json!({ "rows": table.rows, "columns": columns, "first": table.first }).to_string())
}

/// The data of a config as JSON, whatever its net is: samples, their shape, and the classes of the target, or null.
///
/// # Errors
/// As the command line has them.
#[wasm_bindgen]
pub fn data(config: &str) -> Result<String, JsError> {
    let data = Config::parse(config, &[]).and_then(|config| config.dataset()).map_err(fault)?;
    let sizes = json!({
        "train": data.train().len(),
        "eval": data.eval().map(|part| part.len()),
        "shape": data.train().inputs().shape().to_vec(),
        "classes": data.classes(),
    });
    Ok(sizes.to_string())
}
