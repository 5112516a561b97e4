//! Reading a TOML table with errors a person can act on: unknown keys get the nearest name suggested.

use toml::{Table, Value};

pub(super) use super::read::kind;
use crate::error::{Error, Result};
pub(super) use crate::error::{nearest, suggestion};

/// A table whose keys are taken one by one; what is left at the end is unknown.
#[derive(Debug)]
pub(super) struct Section {
    path: String,
    table: Table,
    asked: Vec<&'static str>,
}

impl Section {
    pub fn new(path: impl Into<String>, table: Table) -> Self {
        Section { path: path.into(), table, asked: Vec::new() }
    }

    /// The dotted name of a key.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.table.remove(key)
    }

    pub fn required(&mut self, key: &'static str, example: &str) -> Result<Value> {
        let name = self.name(key);
        if let Some(value) = self.take(key) {
            return Ok(value);
        }
        self.misspelt(key)?;
        Err(Error::Config(format!("{name} is missing; for example {key} = {example}")))
    }

    /// Refuses a key that seems to mean `key`, which is not there.
    pub fn misspelt(&self, key: &str) -> Result<()> {
        match self.table.keys().find(|other| nearest(other, &[key]).is_some()) {
            Some(other) if !self.table.contains_key(key) => {
                Err(Error::Config(format!("unknown key {}; did you mean \"{key}\"?", self.name(other))))
            }
            _ => Ok(()),
        }
    }

    fn wrong<T>(&self, key: &str, value: &Value, wanted: &str) -> Result<T> {
        let name = self.name(key);
        Err(Error::Config(format!("{name} = {value}: {wanted} is needed, and this is {}", kind(value))))
    }

    pub fn boolean(&mut self, key: &'static str, default: bool) -> Result<bool> {
        Ok(self.flag(key)?.unwrap_or(default))
    }

    pub fn flag(&mut self, key: &'static str) -> Result<Option<bool>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Boolean(b)) => Ok(Some(b)),
            Some(value) => self.wrong(key, &value, "true or false"),
        }
    }

    pub fn whole(&mut self, key: &'static str) -> Result<Option<u64>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Integer(i)) if i >= 0 => Ok(Some(i as u64)),
            Some(value) => self.wrong(key, &value, "a whole number from 0 on"),
        }
    }

    pub fn number(&mut self, key: &'static str, default: f64) -> Result<f64> {
        Ok(self.quantity(key)?.unwrap_or(default))
    }

    pub fn quantity(&mut self, key: &'static str) -> Result<Option<f64>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Float(f)) => Ok(Some(f)),
            Some(Value::Integer(i)) => Ok(Some(i as f64)),
            Some(value) => self.wrong(key, &value, "a number"),
        }
    }

    /// One of the words, where the key is there.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        let names: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        match found {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                Err(Error::Config(format!("{} = {value}: {} is needed", self.name(key), names.join(" or "))))
            }
        }
    }

    /// Refuses what nobody asked for.
    pub fn finish(self) -> Result<()> {
        match self.table.keys().next() {
            None => Ok(()),
            Some(key) => Err(Error::Config(format!(
                "unknown key {}; {}",
                self.name(key),
                suggestion(key, &self.asked)
            ))),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Everything that is left.
    pub fn rest(self) -> Table {
        self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let mut s = Section::new("train", "epoch = 3".parse().unwrap());
        assert_eq!(s.whole("epochs").unwrap(), None);
        let text = s.finish().unwrap_err().to_string();
        assert_eq!(text, "unknown key train.epoch; did you mean \"epochs\"?");
    }
}
