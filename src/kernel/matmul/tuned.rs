//! Tiles that are named for single products, in place of the predicted ones.
//!
//! They are data of a run, as its config is: what `downhill tune` measured on an adapter is right on every other one. A
//! product whose tile is named stays in it; one that is named with the predicted tile counts as not named, and may take
//! another where it shares a dispatch.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::choice::{Choice, Sizes, candidate, choose, fits, least_parts};
use super::kind::ProductKind;
use super::tile::{TILES, Tile};
use crate::error::suggestion;

/// A tile with the parts of K. As text `64x32x16`, rows by columns by K of a slab, or `64x32x16 in 4 parts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileChoice {
    /// The tile.
    pub tile: &'static Tile,
    /// Parts of K.
    pub parts: usize,
}

impl From<Choice> for TileChoice {
    fn from(choice: Choice) -> Self {
        TileChoice { tile: choice.tile, parts: choice.parts }
    }
}

impl fmt::Display for TileChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tile.name())?;
        if self.parts > 1 { write!(f, " in {} parts", self.parts) } else { Ok(()) }
    }
}

impl FromStr for TileChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, parts) = match text.split_once(" in ") {
            Some((name, parts)) => (name, parts.strip_suffix(" parts").and_then(|n| n.parse().ok())),
            None => (text, Some(1)),
        };
        let Some(tile) = TILES.iter().find(|tile| tile.name() == name) else {
            let names: Vec<String> = TILES.iter().map(Tile::name).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            return Err(format!("no tile is named \"{name}\"; {}", suggestion(name, &names)));
        };
        let choice = parts.map(|parts| TileChoice { tile, parts });
        choice.filter(|choice| choice.to_string() == text).ok_or_else(|| {
            format!("\"{text}\" is no tile; its name is needed, as \"{name}\", or \"{name} in 4 parts\"")
        })
    }
}

impl TileChoice {
    /// The choice for a product of these sizes.
    pub(super) fn of(self, sizes: Sizes) -> Choice {
        candidate(sizes, self.tile, self.parts)
    }

    /// Refuses a tile that cannot make a product of this kind.
    ///
    /// # Errors
    /// Why, and what would do.
    pub fn check(self, kind: &ProductKind) -> Result<(), String> {
        let choice = self.of(kind.sizes);
        // Whole slabs may make a part fewer of the least number.
        let least = candidate(kind.sizes, self.tile, least_parts(kind.sizes, kind.row_sum)).parts;
        if kind.row_sum && self.parts > 1 {
            return Err(format!(
                "\"{self}\": a product with row sums has K in one part; \"{}\" does",
                self.tile.name()
            ));
        }
        if self.parts < least {
            return Err(format!(
                "\"{self}\": K of {} is longer than a kernel loops over; at least {least} parts are needed",
                kind.sizes.k
            ));
        }
        if choice.parts != self.parts {
            return Err(format!(
                "\"{self}\": K of {} in slabs of {} makes {} parts; \"{}\" says so",
                kind.sizes.k,
                self.tile.slab,
                choice.parts,
                TileChoice { parts: choice.parts, ..self }
            ));
        }
        if !fits(kind.sizes, &choice) {
            return Err(format!(
                "\"{self}\": the product has more of these tiles than a grid; take a larger tile"
            ));
        }
        Ok(())
    }
}

/// The tile of a product in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductTile {
    /// The product.
    pub kind: ProductKind,
    /// Its tile.
    pub choice: TileChoice,
    /// True where a table names the tile; else it is predicted.
    pub is_tuned: bool,
}

impl ProductTile {
    /// True where the tile is the predicted one, named or not.
    pub fn is_predicted(&self) -> bool {
        !self.is_tuned || self.choice == choose(self.kind.sizes, self.kind.row_sum).into()
    }
}

/// Tiles by product.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TunedProducts(BTreeMap<ProductKind, TileChoice>);

/// A table that names no product.
pub const NONE_TUNED: &TunedProducts = &TunedProducts(BTreeMap::new());

impl TunedProducts {
    /// Names the tile of a product.
    ///
    /// # Errors
    /// As [`TileChoice::check`].
    pub fn insert(&mut self, kind: ProductKind, choice: TileChoice) -> Result<(), String> {
        choice.check(&kind)?;
        self.0.insert(kind, choice);
        Ok(())
    }

    /// The tile of a product, if it is named.
    pub fn get(&self, kind: &ProductKind) -> Option<TileChoice> {
        self.0.get(kind).copied()
    }

    /// The products and their tiles, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ProductKind, TileChoice)> {
        self.0.iter().map(|(kind, choice)| (kind, *choice))
    }

    /// How many products are named.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where no product is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for TunedProducts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(kind, choice)| (kind.to_string(), choice.to_string())))
    }
}

/// Reads a text at its place, so that a fault has that place.
struct Text<T, C>(C, PhantomData<T>);

impl<'de, T: FromStr<Err = String>, C: FnOnce(&T) -> Result<(), String>> Visitor<'de> for Text<T, C> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        let value = text.parse().map_err(E::custom)?;
        (self.0)(&value).map_err(E::custom)?;
        Ok(value)
    }
}

impl<'de, T: FromStr<Err = String>, C: FnOnce(&T) -> Result<(), String>> DeserializeSeed<'de> for Text<T, C> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

/// Reads the whole table.
struct Products;

impl<'de> Visitor<'de> for Products {
    type Value = TunedProducts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of products and their tiles")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TunedProducts, A::Error> {
        let mut products = TunedProducts::default();
        let any = |_: &ProductKind| Ok(());
        while let Some(kind) = map.next_key_seed(Text(any, PhantomData))? {
            let check = |choice: &TileChoice| choice.check(&kind);
            let choice = map.next_value_seed(Text(check, PhantomData))?;
            products.insert(kind, choice).map_err(A::Error::custom)?;
        }
        Ok(products)
    }
}

impl<'de> Deserialize<'de> for TunedProducts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Products)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Layout, long, ranked};
    use super::*;

    fn kind(text: &str) -> ProductKind {
        text.parse().unwrap()
    }

    fn choice(text: &str) -> TileChoice {
        text.parse().unwrap()
    }

    #[test]
    fn every_tile_has_a_name_of_its_own() {
        for tile in &TILES {
            for parts in [1, 4] {
                let choice = TileChoice { tile, parts };
                assert_eq!(choice.to_string().parse(), Ok(choice));
            }
        }
        for (text, word) in [
            ("99x99x9", "no tile is named \"99x99x9\""),
            ("32x32", "no tile is named"),
            ("64x32x16 in 1 parts", "is no tile"),
            ("64x32x16 in four parts", "is no tile"),
            ("64x32x16 in 04 parts", "is no tile"),
        ] {
            let err = text.parse::<TileChoice>().unwrap_err();
            assert!(err.contains(word) && err.contains("64x32x16"), "{err}");
        }
    }

    #[test]
    fn a_tile_that_cannot_make_a_product_is_refused() {
        for (product, tile, word) in [
            ("16x16x65536 NN", "16x16x128", "at least 7 parts"),
            ("16x16x65536 TN row sums", "16x16x128 in 8 parts", "in one part"),
            ("16x16x64 NN", "16x16x128 in 4 parts", "makes 1 parts"),
            ("2000000x10x64 NN", "16x16x128", "a larger tile"),
        ] {
            let err = choice(tile).check(&kind(product)).unwrap_err();
            assert!(err.contains(tile) && err.contains(word), "{err}");
        }
        choice("16x16x128 in 8 parts").check(&kind("16x16x65536 NN")).unwrap();
    }

    /// A tile with its parts says all of a choice, also where K is not a multiple of the parts.
    #[test]
    fn every_ranked_choice_can_be_named() {
        for k in (1..300).chain([1000, 12_345, 65_536, 910_000, 1_000_000, 1_000_003, 1_048_576]) {
            for row_sum in [false, true] {
                let sizes = Sizes { batch: 1, m: 24, n: 40, k };
                let sides = Layout { along_k: true, fours: false, mapped: false };
                let kind = ProductKind { sizes, a: sides, b: sides, row_sum, half: false };
                for choice in ranked(sizes, row_sum).into_iter().filter(|_| !row_sum || !long(k)) {
                    let named = TileChoice::from(choice);
                    assert_eq!(named.check(&kind), Ok(()), "{k}");
                    assert_eq!(named.of(sizes), choice);
                }
            }
        }
    }

    #[test]
    fn a_table_reads_back_and_names_the_place_of_a_fault() {
        #[derive(Debug, Serialize, Deserialize)]
        struct File {
            products: TunedProducts,
        }
        let text = "[products]\n\"64x64x64 NT\" = \"32x32x32\"\n\"512x64x640 TN row sums\" = \"64x64x16\"\n";
        let file: File = toml::from_str(text).unwrap();
        assert_eq!(toml::to_string(&file).unwrap(), text);
        assert_eq!(file.products.get(&kind("64x64x64 NT")), Some(choice("32x32x32")));
        assert_eq!(file.products.get(&kind("64x64x64 NN")), None);
        for (wrong, word) in [
            (text.replace("32x32x32", "9x9"), "no tile is named \"9x9\""),
            (text.replace("32x32x32", "32x32x32 in 9 parts"), "makes 2 parts"),
            (text.replace("64x64x64 NT", "64x64 NT"), "\"64x64 NT\" is no product"),
        ] {
            let err = toml::from_str::<File>(&wrong).unwrap_err().to_string();
            assert!(err.contains(word) && err.contains("line 2"), "{err}");
        }
    }
}
