//! The section `[tune]`: tiles of products that were measured, and the adapter that they were measured on.

use std::path::Path;

use serde::Deserialize;
use toml::Table;

use super::described::section;
use crate::error::{Error, Result};
use crate::gpu::AdapterDescription;
use crate::kernel::TunedProducts;
use crate::kernel::matmul::template;
use crate::regular_file::read_regular;

section! {
    /// Tiles of products that `downhill tune` measured, in place of the predicted ones; `--tune FILE` fills it in. A run keeps
    /// it in its `config.toml`, for its bits depend on it. It is ignored on adapters whose products have no tiles.
    pub struct Tune {
        /// The adapter that was measured.
        pub adapter: String = String::new(),
        /// Its driver.
        pub driver: String = String::new(),
        /// A fingerprint of the kernel's text that was measured.
        pub template: String = String::new(),
        /// The tile of each product, as `"128x64x784 NT" = "64x32x16"`: rows, columns and K of the product, how its operands lie in memory, and rows, columns and slab of the tile.
        pub products: TunedProducts = TunedProducts::default(),
    }
}

/// The head of a file of tiles.
const HEAD: &str = "\
# Tiles of products, measured by downhill tune; for train and explain with --tune. A tile changes the order of sums, and so
# the last bits of results.

";

/// The section alone, as a file of `downhill tune` has it.
#[derive(Deserialize)]
struct File {
    tune: Tune,
}

impl Tune {
    /// Tiles that were measured on this adapter, with the kernel's text of this version.
    pub fn measured_on(adapter: &AdapterDescription, products: TunedProducts) -> Tune {
        let (name, driver) = (adapter.name.clone(), adapter.driver.clone());
        Tune { adapter: name, driver, template: template(), products }
    }

    /// True where nothing is tuned.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// True where this adapter, its driver and this version of the kernel's text were measured.
    pub fn is_of(&self, adapter: &AdapterDescription) -> bool {
        let measured = [&self.adapter, &self.driver, &self.template];
        measured == [&adapter.name, &adapter.driver, &template()]
    }

    /// What was measured elsewhere, or with another text; `None` where it is this adapter and this text.
    pub fn difference(&self, adapter: &AdapterDescription) -> Option<String> {
        let named = |name: &str, driver: &str| format!("{name} (driver {driver})");
        let (was, is) = (named(&self.adapter, &self.driver), named(&adapter.name, &adapter.driver));
        let rest = "results are right, and other tiles may be faster here";
        if was != is {
            return Some(format!("the tiles of [tune] were measured on {was}, and this is {is}: {rest}"));
        }
        let text = "the tiles of [tune] were measured with another text of the kernel than this version has";
        (self.template != template()).then(|| format!("{text}: {rest}"))
    }

    /// Reads the section `[tune]` of a file: one that `downhill tune` wrote, or the config of a run.
    ///
    /// # Errors
    /// [`Error::Config`] with file, line and remedy where there is no such section, or it is damaged.
    pub fn load(path: &Path) -> Result<Tune> {
        Self::read(path).map(|(tune, _)| tune)
    }

    /// [`Tune::load`] of a file that has nothing but the section, and so may be replaced by a newer one.
    ///
    /// # Errors
    /// As [`Tune::load`]; [`Error::Config`] where the file has more.
    pub fn load_own(path: &Path) -> Result<Tune> {
        let (tune, text) = Self::read(path)?;
        let others = text.parse::<Table>().unwrap_or_default().into_iter().find(|(key, _)| key != "tune");
        match others {
            None => Ok(tune),
            Some((key, _)) => Err(Error::Config(format!(
                "{}: it has more than a table of tiles, \"{key}\", and is not overwritten; name another file by --out",
                path.display()
            ))),
        }
    }

    fn read(path: &Path) -> Result<(Tune, String)> {
        let wrong = |what: &dyn std::fmt::Display| {
            Error::Config(format!(
                "{}: no table of tiles can be read: {}; bring the file back as it was, or remove it and write another one: \
                 downhill tune CONFIG --out FILE",
                path.display(),
                what.to_string().trim_end()
            ))
        };
        let bytes = read_regular(path).map_err(|err| Error::Config(format!("the table of tiles: {err}")))?;
        let text = String::from_utf8(bytes).map_err(|err| wrong(&err))?;
        let File { tune } = toml::from_str(&text).map_err(|err| wrong(&err))?;
        Ok((tune, text))
    }

    /// The text of a file that has this section alone.
    pub fn to_toml(&self) -> String {
        // Texts alone, which TOML has.
        let section = toml::Value::try_from(self).unwrap_or_else(|_| Table::new().into());
        let file = Table::from_iter([("tune".to_owned(), section)]);
        format!("{HEAD}{file}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::gpu::AdapterKind;

    const PRODUCTS: &str =
        "[tune.products]\n\"64x16x64 NT\" = \"32x32x32\"\n\"16x64x64 TN row sums\" = \"64x32x16\"\n";

    fn adapter() -> AdapterDescription {
        AdapterDescription::fake(0, "made up", AdapterKind::Discrete)
    }

    fn tune() -> Tune {
        let File { tune } = toml::from_str(PRODUCTS).unwrap();
        Tune::measured_on(&adapter(), tune.products)
    }

    #[test]
    fn a_file_reads_back_and_says_where_a_fault_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tune.toml");
        let put = |text: &str| std::fs::write(&path, text).unwrap();
        let text = tune().to_toml();
        put(&text);
        assert_eq!(Tune::load(&path).unwrap(), tune());
        assert_eq!(Tune::load_own(&path).unwrap(), tune());
        let line = text.lines().position(|line| line.contains("32x32x32")).unwrap() + 1;
        let line = format!("line {line}");
        for (wrong, words) in [
            (text.replace("32x32x32", "33x33x33"), ["no tile is named \"33x33x33\"", &line]),
            (text.replace("\"32x32x32\"", "32"), ["invalid type", &line]),
            (text.replace("64x16x64 NT", "64x16 NT"), ["\"64x16 NT\" is no product", &line]),
            (text[..text.len() - 9].to_owned(), ["TOML parse error", "line"]),
            ("[train]\nepochs = 3\n".into(), ["missing field `tune`", ""]),
            (text.replace("driver", "diver"), ["unknown field `diver`", "line"]),
        ] {
            put(&wrong);
            let err = Tune::load(&path).unwrap_err();
            let shown = err.to_string();
            assert!(err.is_usage(), "{shown}");
            for word in words.into_iter().chain(["a.tune.toml", "downhill tune"]) {
                assert!(shown.contains(word), "{word}: {shown}");
            }
        }
        let missing = Tune::load(&dir.path().join("none")).unwrap_err().to_string();
        assert!(missing.contains("none") && missing.contains("table of tiles"), "{missing}");
        // A config with the section is read, and not overwritten.
        put(&format!("seed = 1\n{text}"));
        assert_eq!(Tune::load(&path).unwrap(), tune());
        let err = Tune::load_own(&path).unwrap_err().to_string();
        assert!(err.contains("\"seed\"") && err.contains("--out"), "{err}");
    }

    #[test]
    fn another_adapter_driver_or_text_is_named() {
        let (tune, here) = (tune(), adapter());
        assert!(tune.is_of(&here) && tune.difference(&here).is_none());
        let others = [
            (
                AdapterDescription { name: "other card".into(), ..adapter() },
                tune.clone(),
                ["made up", "other card"],
            ),
            (
                AdapterDescription { driver: "570.1".into(), ..adapter() },
                tune.clone(),
                ["made up", "driver 570.1"],
            ),
            (adapter(), Tune { template: "0".into(), ..tune.clone() }, ["another text", "this version"]),
        ];
        for (here, tune, words) in others {
            let text = tune.difference(&here).unwrap();
            assert!(!tune.is_of(&here) && words.iter().all(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn a_config_keeps_the_section() {
        let config = |more: &str| {
            let text = format!(
                "[data]\nsource = \"digits\"\n[model]\nlayers = [\"flatten\", {{ linear = 10 }}]\nloss = \"cross_entropy\"\n[optimizer]\nname = \"adamw\"\n{more}"
            );
            Config::parse(&text, &[])
        };
        let plain = config("").unwrap();
        assert!(plain.tune.is_empty() && !plain.to_toml().contains("tune"));
        let tuned = config(PRODUCTS).unwrap();
        assert_eq!(tuned.tune.products, tune().products);
        assert_eq!(Config::parse(&tuned.to_toml(), &[]).unwrap(), tuned);
        for (from, to, words) in [
            ("32x32x32", "9", ["tune.products.64x16x64 NT: ", "no tile is named \"9\""]),
            ("64x16x64 NT", "x", ["tune.products: ", "\"x\" is no product"]),
            ("\"32x32x32\"", "32", ["tune.products.64x16x64 NT = 32", "is needed"]),
        ] {
            let err = config(&PRODUCTS.replace(from, to)).unwrap_err().to_string();
            assert!(words.iter().all(|word| err.contains(word)), "{err}");
        }
        let setting = "tune.products.64x16x64 NT=16x16x128".to_owned();
        let set = Config::parse(&plain.to_toml(), &[setting]).unwrap();
        assert_eq!(set.tune.products.len(), 1);
    }
}
