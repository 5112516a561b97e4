//! Tables whose key `name` decides which other keys they have: an optimizer, a schedule.

use toml::{Table, Value};

use super::read::kind;
use crate::error::{Error, Result, nearest, suggestion};

/// A kind of such tables.
pub(super) struct Named {
    /// The word for it in errors: `optimizer`.
    pub what: &'static str,
    /// Every name.
    pub names: &'static [&'static str],
    /// The keys beside `name`.
    pub keys: fn(&str) -> Option<&'static [&'static str]>,
    /// A name, for errors.
    pub example: &'static str,
}

impl Named {
    /// Takes the name out of `table`, found at `path`, and checks that it has the table's other keys. The keys `beside` them
    /// are suggested too.
    pub fn take(&self, path: &str, table: &mut Table, beside: &[&str]) -> Result<String> {
        require(path, table, "name", &format!("\"{}\"", self.example))?;
        let name = match table.remove("name") {
            Some(Value::String(name)) => name,
            Some(other) => {
                let text = format!("{path}.name = {other}: a name is needed, and this is {}", kind(&other));
                return Err(Error::Config(text));
            }
            None => String::new(),
        };
        let Some(keys) = (self.keys)(&name) else {
            let (what, help) = (self.what, suggestion(&name, self.names));
            return Err(Error::Config(format!("{path}.name: unknown {what} \"{name}\"; {help}")));
        };
        if let Some(key) = table.keys().find(|key| !keys.contains(&key.as_str())) {
            let known: Vec<&str> = keys.iter().chain(beside).copied().collect();
            let help = suggestion(key, &known);
            return Err(Error::Config(format!("unknown key {path}.{key} for {name}; {help}")));
        }
        Ok(name)
    }
}

/// Refuses a table without `key`, and names the key that seems to mean it.
pub(super) fn require(path: &str, table: &Table, key: &str, example: &str) -> Result<()> {
    if table.contains_key(key) {
        return Ok(());
    }
    Err(Error::Config(match table.keys().find(|other| nearest(other, &[key]).is_some()) {
        Some(other) => format!("unknown key {path}.{other}; did you mean \"{key}\"?"),
        None => format!("{path}.{key} is missing; for example {key} = {example}"),
    }))
}
