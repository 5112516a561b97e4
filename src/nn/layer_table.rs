//! The macro that makes everything from the table of layers in `layer.rs`: the enum, its names, how serde reads and
//! writes it.

macro_rules! optional {
    () => {
        None
    };
    ($text:literal) => {
        Some($text)
    };
}

macro_rules! example {
    ($name:literal) => {
        concat!("\"", $name, "\"")
    };
    ($name:literal $text:literal) => {
        $text
    };
}

macro_rules! layers {
    ($(
        $name:literal $kind:ident $about:literal $(torch $torch:literal)? $(short $short:literal)?
        $(as $example:literal)?;
    )*) => {
        /// One entry of a [`Sequential`](crate::nn::Sequential): its kind, and its options.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Layer {
            $(
                #[doc = concat!("`", $name, "`: ", $about)]
                $kind($kind),
            )*
        }

        impl Layer {
            /// Every layer there is.
            pub const TABLE: &[LayerRow] = &[
                $(LayerRow {
                    form: Form {
                        name: $name,
                        short: optional!($($short)?),
                        example: example!($name $($example)?),
                    },
                    about: $about,
                    torch: optional!($($torch)?),
                },)*
            ];

            /// The form of every layer.
            pub const FORMS: &[Form] = &{
                let mut forms = [Self::TABLE[0].form; Self::TABLE.len()];
                let mut i = 0;
                while i < forms.len() {
                    forms[i] = Self::TABLE[i].form;
                    i += 1;
                }
                forms
            };

            const NAMES: &[&str] = &[$($name,)*];

            /// Its name in a config.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Layer::$kind(_) => $name,)*
                }
            }

            fn rule(&self) -> &dyn Rule {
                match self {
                    $(Layer::$kind(options) => options,)*
                }
            }
        }

        $(
            impl From<$kind> for Layer {
                fn from(options: $kind) -> Layer {
                    Layer::$kind(options)
                }
            }
        )*

        /// A name, or a table of one name with its options.
        impl Serialize for Layer {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let name = self.name();
                let index = Self::NAMES.iter().position(|n| *n == name).unwrap_or_default() as u32;
                match self {
                    $(Layer::$kind(_) if size_of::<$kind>() == 0 => {
                        serializer.serialize_unit_variant(ENTRY, index, name)
                    })*
                    $(Layer::$kind(options) => {
                        serializer.serialize_newtype_variant(ENTRY, index, name, options)
                    })*
                }
            }
        }

        impl<'de> de::Visitor<'de> for Entry {
            type Value = Layer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a layer")
            }

            fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Layer, A::Error> {
                let (name, options) = data.variant::<String>()?;
                match name.as_str() {
                    $($name => options.newtype_variant_seed(Checked(PhantomData)).map(Layer::$kind),)*
                    _ => Err(de::Error::unknown_variant(&name, Layer::NAMES)),
                }
            }
        }
    };
}

pub(super) use {example, layers, optional};
